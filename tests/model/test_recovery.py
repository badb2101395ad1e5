"""Out of memory in a forward, a backward, a validation and an update: nothing lost, no step twice, the same rows."""

import json
import os
import subprocess
import sys

import pytest

from parentcare.model import recovery
from parentcare.model.plan import Shape
from parentcare.runner import QUIET_ENVIRONMENT
from tests.conftest import REPOSITORY

SCRIPT = """
import json, sys
from unsloth import FastLanguageModel
import torch
from datasets import Dataset
from transformers import TrainerCallback
from trl import SFTConfig, SFTTrainer
from parentcare.data.records import read_jsonl
from parentcare.model import prompts, recovery, training

folder, home, STEPS = sys.argv[1], sys.argv[2], 8
FAILURES = [(1, "backward"), (3, "validation"), (4, "forward"), (5, "second forward"), (6, "update")]
records = sorted(read_jsonl(f"{folder}/train.jsonl"), key=lambda record: len(record["summary"]))
records = records[:22]  # three steps an epoch, the last of six rows
layers = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]

def make(name, batch):
    model, tokenizer = FastLanguageModel.from_pretrained(
        f"{folder}/base", max_seq_length=256, dtype=torch.float32, load_in_4bit=False, use_exact_model_name=True)
    model = FastLanguageModel.get_peft_model(model, r=16, lora_alpha=16, lora_dropout=0.0, target_modules=layers,
        bias="none", use_gradient_checkpointing=False, random_state=3407, max_seq_length=256)
    rows = prompts.tokenize_records(records, tokenizer, 256)[0]
    arguments = SFTConfig(output_dir=f"{home}/{name}", max_length=256, per_device_train_batch_size=batch,
        gradient_accumulation_steps=8 // batch, per_device_eval_batch_size=batch, max_steps=STEPS, learning_rate=1e-3,
        optim="adamw_8bit", packing=False, gradient_checkpointing=False, prediction_loss_only=True,
        eval_strategy="steps", seed=3407, data_seed=3407, **training.checkpoint_arguments(3))
    trainer = SFTTrainer(model=model, args=arguments, train_dataset=Dataset.from_list(rows),
        eval_dataset=Dataset.from_list(rows[:8]), processing_class=tokenizer,
        callbacks=[training.RunLog(f"{home}/{name}.jsonl"), training.MarkComplete()])
    training.keep_adapter_float32(model)
    return trainer, rows

def watch(trainer, rows, failures, seen):
    index = {tuple(row["input_ids"]): i for i, row in enumerate(rows)}
    assert len(index) == len(rows)

    def fail(where):
        step = trainer.state.global_step
        if failures and failures[0] == (step, where):
            failures.pop(0)
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB.")

    def on_forward(module, args, kwargs):
        if not trainer.model.training:
            return fail("validation")
        ids, mask = kwargs["input_ids"].tolist(), kwargs["attention_mask"].tolist()
        found = [index[tuple(i for i, m in zip(*pair) if m)] for pair in zip(ids, mask)]
        batches = seen[trainer.state.global_step + 1]
        batches.append(found)
        fail("forward" if len(batches) == 1 else "second forward")

    class BeginStep(TrainerCallback):
        def on_step_begin(self, args, state, control, **kwargs):
            seen[state.global_step + 1] = []

    trainer.add_callback(BeginStep())
    trainer.model.register_forward_pre_hook(on_forward, with_kwargs=True)
    first = trainer.model.base_model.model.model.layers[0]
    first.register_full_backward_hook(lambda *_: fail("backward"))
    create = trainer.create_optimizer

    def create_optimizer(*args):
        optimizer = create(*args)
        step = optimizer.step

        def one_then_fail(*args, **kwargs):
            if failures and failures[0] == (trainer.state.global_step, "update"):
                trained = next(p for p in trainer.model.parameters() if p.requires_grad)
                trained.data.add_(1.0)  # what an update that breaks off leaves behind
            fail("update")
            return step(*args, **kwargs)

        optimizer.step = one_then_fail
        return optimizer

    trainer.create_optimizer = create_optimizer

def run(name, batch, failures):
    trainer, rows = make(name, batch)
    seen = {}
    watch(trainer, rows, failures, seen)
    result, steps_down = recovery.train_to_the_end(trainer, None)
    trained = {n: p.detach().clone() for n, p in recovery.trained_weights(trainer.model)}
    expected = {step: sorted(training.rows_of_step(step, len(rows), trainer.args)) for step in seen}
    return trained, {
        "log": training.read_log(f"{home}/{name}.jsonl"), "down": steps_down, "failures left": failures,
        "rows": {step: sorted(sum(batches, [])) for step, batches in seen.items()}, "expected": expected,
        "batches": {step: [len(b) for b in batches] for step, batches in seen.items()}}

trained, whole = run("whole", 8, [])
_, broken = run("broken", 8, FAILURES)
_, update = run("update", 4, [(0, "update")])
trainer, rows = make("whole", 8)
finished, _ = recovery.train_to_the_end(trainer, training.last_complete_checkpoint(f"{home}/whole"))
gap = max((trained[n] - p).abs().max().item() for n, p in recovery.trained_weights(trainer.model))
folders = {name: len(list(__import__("pathlib").Path(home, name).glob("checkpoint-*"))) for name in ("whole", "broken")}
print(json.dumps({"whole": whole, "broken": broken, "update": update, "folders": folders,
    "finished": {"step": finished.global_step, "gap": gap, "log": training.read_log(f"{home}/whole.jsonl")}}))
"""


@pytest.fixture(scope="module")
def runs(demo_home, tmp_path_factory) -> dict:
    """Return a run left alone, one that ran out of memory in four places, one in its first update, and a finished."""
    command = [sys.executable, "-c", SCRIPT, str(demo_home / "outputs" / "demo"), str(tmp_path_factory.mktemp("runs"))]
    environment = QUIET_ENVIRONMENT | os.environ | {"UNSLOTH_FORCE_CPU": "1"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, env=environment, cwd=REPOSITORY)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1]) | {"printed": done.stdout}


def losses(run: dict, field: str = "loss") -> dict[int, float]:
    return {row["step"]: row[field] for row in run["log"] if field in row}


def test_out_of_memory_steps_down_and_nothing_is_lost(runs):
    whole, broken = runs["whole"], runs["broken"]
    assert not broken["failures left"] and not whole["down"]
    assert [tuple(down.values()) for down in broken["down"]] == [
        (1, "step", "8×1 without checkpointing", "8×1 with checkpointing", 1),
        (3, "validation", "8 rows at once", "4 at once", 1),
        (4, "step", "8×1 with checkpointing", "4×2 with checkpointing", 4),
        (5, "step", "4×2 with checkpointing", "2×4 with checkpointing", 5),
        (6, "update", "2×4 with checkpointing", "1×8 with checkpointing", 6),
    ]
    steps = [row["step"] for row in broken["log"] if "loss" in row]
    assert steps == list(range(1, 9)) and list(losses(broken, "eval_loss")) == list(losses(whole, "eval_loss"))
    one, two = losses(whole), losses(broken)
    assert max(abs(one[step] - two[step]) for step in one) <= 1e-3
    assert broken["log"][-1]["tokens"] == whole["log"][-1]["tokens"]
    assert runs["folders"]["broken"] <= 3
    assert "out of memory in the step after step 1: 8×1 without checkpointing → 8×1 with" in runs["printed"]


def test_an_update_that_breaks_off_before_any_checkpoint_begins_again_from_the_first_weights(runs):
    assert runs["update"]["down"][0]["goes_on_from"] == 0 and not runs["update"]["failures left"]
    one, two = losses(runs["whole"]), losses(runs["update"])
    assert list(two) == list(range(1, 9)) and max(abs(one[step] - two[step]) for step in one) <= 1e-3


def test_every_shape_takes_the_same_rows_in_each_step_and_they_are_named_from_the_seed(runs):
    for name in ("whole", "broken", "update"):
        assert runs[name]["rows"] == runs[name]["expected"] == runs["whole"]["rows"]
    assert runs["whole"]["batches"]["1"] == [8] and runs["broken"]["batches"]["8"] == [1] * 8
    assert runs["update"]["batches"]["1"] == [4, 4] and sum(runs["whole"]["batches"]["3"]) == 6


def test_a_run_killed_after_its_last_checkpoint_takes_no_further_step(runs):
    assert runs["finished"]["step"] == 8 and runs["finished"]["gap"] == 0.0
    assert runs["finished"]["log"] == runs["whole"]["log"]


def test_the_shapes_go_down_to_one_sequence_with_checkpointing_first():
    shape, seen = Shape(8, 1, False), []
    while shape is not None:
        seen.append(shape)
        shape = recovery.smaller_shape(shape)
    assert [(s.batch_size, s.checkpointing) for s in seen] == [(8, False), (8, True), (4, True), (2, True), (1, True)]
    assert all(s.batch_size * s.accumulation_steps == 8 for s in seen)
    assert recovery.smaller_shape(Shape(3, 2, True)) == Shape(1, 6, True)
