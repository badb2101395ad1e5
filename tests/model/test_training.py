import importlib.util
import itertools
import json
import math
import runpy
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from accelerate.data_loader import BatchSamplerShard, SeedableRandomSampler, SkipBatchSampler
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.data import BatchSampler

from parentcare.manifest import notebook_parameters
from parentcare.model import training

RECORDS = [{"id": f"sample-{row:03}"} for row in range(20)]
ARGS = SimpleNamespace(
    fp16=False,
    per_device_train_batch_size=2,
    gradient_accumulation_steps=4,
    world_size=1,
    data_seed=3407,
)
LOADER = SimpleNamespace(dataset=RECORDS)


def checkpoint(folder: Path, step: int, complete: bool = True) -> Path:
    path = folder / f"checkpoint-{step}"
    path.mkdir(parents=True)
    (path / "adapter_model.safetensors").write_bytes(b"weights")
    (path / "optimizer.pt").write_bytes(b"moments")
    if complete:
        training.MarkComplete().on_save(SimpleNamespace(output_dir=str(folder), world_size=1), state(step), None)
    return path


def state(step: int, max_steps: int = 30):
    names = {"global_step": step, "max_steps": max_steps, "epoch": step / 10, "num_input_tokens_seen": step * 100}
    return SimpleNamespace(is_world_process_zero=True, **names)


def test_a_half_written_checkpoint_is_never_loaded(tmp_path):
    whole = checkpoint(tmp_path, 20)
    half = checkpoint(tmp_path, 30, complete=False)
    assert training.last_complete_checkpoint(tmp_path) == str(whole)
    assert not half.exists() and training.last_complete_checkpoint(tmp_path / "none") is None


def test_the_newest_checkpoint_goes_by_number_not_by_name(tmp_path):
    checkpoint(tmp_path, 90)
    newest = checkpoint(tmp_path, 100)
    assert training.last_complete_checkpoint(tmp_path) == str(newest)


@pytest.mark.parametrize("damage", ["gone", "shorter"])
def test_a_half_deleted_checkpoint_is_never_loaded_though_it_has_its_mark(tmp_path, damage):
    whole, half = checkpoint(tmp_path, 20), checkpoint(tmp_path, 30)
    if damage == "gone":
        (half / "optimizer.pt").unlink()
    else:
        (half / "optimizer.pt").write_bytes(b"mom")
    assert training.last_complete_checkpoint(tmp_path) == str(whole) and not half.exists()


CHANGES = [
    ("train", "another dataset", "train 'abc' → 'another dataset'"),
    ("LORA_R", 8, "LORA_R 16 → 8"),
    ("BASE_MODEL", "other/base", "BASE_MODEL 'unsloth/qwen2.5-7b-instruct-bnb-4bit' → 'other/base'"),
    ("LEARNING_RATE", 1e-4, "LEARNING_RATE 0.0002 → 0.0001"),
    ("PER_DEVICE_TRAIN_BATCH_SIZE", 4, "PER_DEVICE_TRAIN_BATCH_SIZE 2 → 4"),
]


@pytest.mark.parametrize("name, value, difference", CHANGES)
def test_a_resume_with_another_dataset_rank_base_or_recipe_is_refused(tmp_path, name, value, difference):
    settings = notebook_parameters("03_finetune") | {"train": "abc"}
    assert training.begin_or_resume(tmp_path, settings, fresh=False) is None
    path = checkpoint(tmp_path, 10)
    assert training.begin_or_resume(tmp_path, settings, fresh=False) == str(path)
    with pytest.raises(ValueError) as refused:
        training.begin_or_resume(tmp_path, settings | {name: value}, fresh=False)
    assert all(words in str(refused.value) for words in (difference, "--fresh", "--run NEW"))
    assert training.begin_or_resume(tmp_path, settings | {name: value}, fresh=True) is None and not path.exists()


def test_a_run_begun_with_fresh_is_gone_on_with_without_it(tmp_path):
    training.begin_or_resume(tmp_path, {"FRESH": True, "LORA_R": 16}, fresh=True)
    path = checkpoint(tmp_path, 10)
    assert training.begin_or_resume(tmp_path, {"FRESH": False, "LORA_R": 16}, fresh=False) == str(path)


def test_the_mark_names_every_file_in_its_size(tmp_path):
    path = checkpoint(tmp_path, 10)
    sizes = json.loads((path / training.COMPLETE_MARK).read_text())
    assert sizes == {"adapter_model.safetensors": 7, "optimizer.pt": 7} and training.is_complete(path)


def begin(path: Path, step: int = 0) -> training.RunLog:
    train_path = path.with_name("train.jsonl")
    train_path.write_text("".join(json.dumps(record) + "\n" for record in RECORDS), encoding="utf-8")
    log = training.RunLog(path, train_path)
    log.on_train_begin(ARGS, state(step), None)
    return log


def test_the_log_of_a_resumed_run_goes_on_from_the_checkpoint(tmp_path):
    path = tmp_path / "log.jsonl"
    rows = [{"step": step, "loss": 5.0, "seconds": 2.0 * step} for step in range(1, 15)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows) + '{"step": 15, "lo')
    begin(path, 10).on_log(ARGS, state(11), None, {"loss": 4.5, "learning_rate": 1e-4}, LOADER)
    read = training.read_log(path)
    assert [row["step"] for row in read] == list(range(1, 12))
    assert read[-1]["loss"] == 4.5 and read[-1]["seconds"] >= 20.0 and read[-1]["tokens"] == 1100


def test_a_line_cut_inside_a_syllable_is_left_out_and_a_line_separator_is_no_line_end(tmp_path):
    row = {"id": "a", "answer": "줄\u2028끝"}
    line = (json.dumps(row, ensure_ascii=False) + "\n").encode()
    (tmp_path / "a.jsonl").write_bytes(line + line[:-5])
    assert training.read_log(tmp_path / "a.jsonl") == [row] and training.read_log(tmp_path / "none.jsonl") == []


@pytest.mark.parametrize("logs", [{"loss": math.nan}, {"loss": math.inf}, {"loss": 5.0, "grad_norm": math.nan}])
def test_what_is_not_finite_stops_the_run_and_names_the_rows_of_the_step(tmp_path, logs):
    log = begin(tmp_path / "log.jsonl")
    rows = training.rows_of_step(3, len(RECORDS), ARGS)
    with pytest.raises(FloatingPointError, match=r"step 3: \w+ is (nan|inf); lines .*LEARNING_RATE") as stopped:
        log.on_log(ARGS, state(3), None, logs, LOADER)
    assert all(f"{row + 1} ({RECORDS[row]['id']})" in str(stopped.value) for row in rows)
    assert training.read_log(tmp_path / "log.jsonl")[-1]["lines"] == sorted(row + 1 for row in rows)


def test_a_validation_loss_that_is_not_finite_stops_the_run(tmp_path):
    with pytest.raises(FloatingPointError, match=r"step 10: eval_loss is nan: start over with a lower LEARNING_RATE"):
        begin(tmp_path / "log.jsonl").on_log(ARGS, state(10), None, {"eval_loss": math.nan}, LOADER)


def test_a_gradient_that_overflows_in_fp16_goes_on_as_the_scaler_skips_it(tmp_path):
    args = SimpleNamespace(**vars(ARGS) | {"fp16": True})
    begin(tmp_path / "log.jsonl").on_log(args, state(1), None, {"loss": 5.0, "grad_norm": math.inf}, LOADER)
    assert "found" not in training.read_log(tmp_path / "log.jsonl")[-1]


def test_a_spike_is_reported_with_its_rows_and_the_run_goes_on(tmp_path, capsys):
    path = tmp_path / "log.jsonl"
    path.write_text("".join(json.dumps({"step": s, "loss": 2.0, "seconds": 1.0}) + "\n" for s in range(1, 5)))
    log = begin(path, 4)
    for step, loss in ((5, 5.9), (6, 6.1), (7, 2.1)):
        log.on_log(ARGS, state(step, max_steps=10_000), None, {"loss": loss}, LOADER)
    printed = capsys.readouterr().out
    assert printed.startswith("step 6: loss 6.10, lately 2.00; lines ") and printed.count("\n") == 1
    found = {row["step"]: row.get("lines") for row in training.read_log(path)}
    assert found[6] == sorted(row + 1 for row in training.rows_of_step(6, len(RECORDS), ARGS))
    assert found[5] is found[7] is None


@given(st.integers(1, 60), st.sampled_from([(8, 1, 1), (4, 2, 1), (2, 4, 1), (1, 8, 1), (2, 2, 2)]))
def test_an_epoch_of_steps_takes_every_row_once(row_count, shape):
    names = ("per_device_train_batch_size", "gradient_accumulation_steps", "world_size")
    args = SimpleNamespace(data_seed=3407, **dict(zip(names, shape, strict=True)))
    steps = math.ceil(row_count / 8)
    for epoch in range(2):
        rows = [training.rows_of_step(epoch * steps + step + 1, row_count, args) for step in range(steps)]
        assert sorted(itertools.chain(*rows)) == list(range(row_count))


def test_the_rows_of_a_step_are_right_where_tokens_are_balanced_between_ranks():
    """By the classes that deal them on two GPUs: the trainer's sampler, Unsloth's order, accelerate's shards."""
    # by its path: the package around it needs a GPU
    source = Path(importlib.util.find_spec("unsloth").origin).parent / "utils" / "token_budget.py"
    balance, lengths, seed, ranks = runpy.run_path(str(source))["TokenBalancedSampler"], list(range(1, 25)), 3407, []
    names = ("per_device_train_batch_size", "gradient_accumulation_steps", "world_size")
    args = SimpleNamespace(data_seed=seed, **dict.fromkeys(names, 2))
    for rank in range(2):
        shuffled = SeedableRandomSampler(range(24), generator=torch.Generator(), data_seed=seed)
        balanced = balance(shuffled, lengths, batch_size=2, grad_accum=2, world_size=2)
        batches = BatchSamplerShard(BatchSampler(balanced, batch_size=2, drop_last=False), 2, rank)
        epoch = list(batches)
        # gone on with after the first step of the second epoch
        loader = SimpleNamespace(batch_sampler=batches, dataset=range(24))
        training.TellEpoch().on_epoch_begin(args, state(4), None, train_dataloader=loader)
        ranks.append([*epoch, [], [], *SkipBatchSampler(batches, skip_batches=2)])
    for step in (0, 1, 2, 4, 5):
        dealt = [[row for batch in rank[2 * step : 2 * step + 2] for row in batch] for rank in ranks]
        assert sorted(itertools.chain(*dealt)) == sorted(training.rows_of_step(step + 1, 24, args))
        one, two = (sum(lengths[row] for row in rows) for rows in dealt)
        assert abs(one - two) <= 0.06 * (one + two)


def test_the_progress_line_shows_step_loss_and_time_left(tmp_path, capsys):
    log = begin(tmp_path / "log.jsonl")
    log.started -= 10
    log.on_log(ARGS, state(10), None, {"eval_loss": 3.25}, LOADER)
    assert capsys.readouterr().out == "step   10 of 30  validation loss 3.2500  0:20 left\n"


def test_response_loss_weighs_every_token_the_same(monkeypatch):
    monkeypatch.setattr(training, "mean_losses", lambda model, rows: [2.0, 3.0])
    rows = [{"labels": [-100, 7]}, {"labels": [-100, *range(10)]}]
    assert training.response_loss(None, rows) == pytest.approx(32.0 / 11)
