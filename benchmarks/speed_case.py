"""The cases of finetune_speed.py in a process of their own: it prints a line of results for each.

Cases that share a process are measured on one base, loaded once.
"""

import argparse
import gc
import json
import os
from pathlib import Path
from typing import NamedTuple

from parentcare.data.records import read_jsonl
from parentcare.manifest import REPOSITORY

LAYERS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
ROWS = 80  # a multiple of eight: no step is smaller than the others
LONG = (10, 10, 3)


class Case(NamedTuple):
    """One row of the table: what runs, its limit in tokens, a memory cap in GiB, precision, steps, and GPUs."""

    setting: str
    limit: int = 2048
    cap_gib: float | None = None
    precision: str = "bf16"
    steps: tuple[int, int, int] = LONG  # left out, in a block, blocks
    gpus: int = 0  # 0: one, not named in the setting

    @property
    def name(self) -> str:
        """Return the setting with what differs from the plain case."""
        cap = f", {self.cap_gib} GiB cap" if self.cap_gib else ""
        gpus = f", {self.gpus} GPU{'s' * (self.gpus > 1)}" if self.gpus else ""
        return f"{self.setting}, limit {self.limit}, {self.precision}{cap}{gpus}"


# setting → (batch, accumulation, checkpointing, rows); None: as the plan decides
SETTINGS = {
    "ours": None,
    "unsloth hand-set": (8, 1, False, "labels"),
    "unsloth hand-set, multiple of 8": (8, 1, False, "labels"),
    "unsloth notebook": (2, 4, "unsloth", "text"),
    "unsloth notebook, labels": (2, 4, "unsloth", "labels"),
    "trl": (2, 4, True, "labels"),
    "trl, text rows": (2, 4, True, "text"),
    "ours, 4×2": (4, 2, False, "labels"),
}


def load(case: Case, base: str):
    """Return (model, tokenizer) by plain transformers for TRL, else by Unsloth."""
    import torch

    dtype = torch.bfloat16 if case.precision == "bf16" else torch.float16
    if case.setting.startswith("trl"):
        from transformers import AutoModelForCausalLM, AutoTokenizer

        model = AutoModelForCausalLM.from_pretrained(base, dtype=dtype, device_map={"": 0})
        return model, AutoTokenizer.from_pretrained(base)
    from unsloth import FastLanguageModel

    return FastLanguageModel.from_pretrained(
        base, max_seq_length=case.limit, load_in_4bit=True, dtype=dtype, use_exact_model_name=True
    )


def read_rows(case: Case, part: Path, tokenizer) -> tuple[list[dict], list[dict]]:
    """Return (token rows with labels, the same as text rows); over 2,048 tokens several papers are joined."""
    from parentcare.model.prompts import build_prompt, fit_text, tokenize_records

    records = [row for row in read_jsonl(part) if row["section"] == "whole"]
    joined = max(1, case.limit // 1400)
    texts = [" ".join(records[(i + k) % len(records)]["text"] for k in range(joined)) for i in range(ROWS)]
    records = [records[i % len(records)] | {"text": text} for i, text in enumerate(texts)]
    rows, _ = tokenize_records(records, tokenizer, case.limit)
    fitted = [fit_text(r["text"], tokenizer, case.limit - 400)[0] for r in records]
    return rows, [
        {"text": build_prompt(text) + r["summary"] + tokenizer.eos_token}
        for text, r in zip(fitted, records, strict=True)
    ]


def arguments_of(case: Case, batch: int, accumulation: int, checkpointing):
    """Return the SFTConfig that every setting shares."""
    from trl import SFTConfig

    left_out, block, blocks = case.steps
    return SFTConfig(
        output_dir=str(REPOSITORY / "outputs" / "speed"),
        max_length=case.limit,
        per_device_train_batch_size=batch,
        gradient_accumulation_steps=accumulation,
        gradient_checkpointing=bool(checkpointing),
        max_steps=left_out + block * blocks,
        learning_rate=2e-4,
        optim="adamw_8bit",
        bf16=case.precision == "bf16",
        fp16=case.precision == "fp16",
        packing=False,
        # an odd number of tokens sends some of LoRA's products to kernels for unaligned memory
        pad_to_multiple_of=8 if case.setting.endswith("of 8") else None,
        logging_strategy="steps",
        logging_steps=1,
        ddp_find_unused_parameters=False,
        save_strategy="no",
        include_num_input_tokens_seen="non_padding",
        report_to="none",
        disable_tqdm=True,
        seed=3407,
        data_seed=3407,
    )


def attach_lora(case: Case, model, checkpointing):
    """Return (model, extra arguments of SFTTrainer): LoRA by Unsloth, or a peft_config for TRL."""
    if case.setting.startswith("trl"):
        from peft import LoraConfig

        return model, {"peft_config": LoraConfig(r=16, lora_alpha=16, target_modules=LAYERS, task_type="CAUSAL_LM")}
    from unsloth import FastLanguageModel

    common = {"r": 16, "lora_alpha": 16, "lora_dropout": 0.0, "bias": "none", "target_modules": LAYERS}
    model = FastLanguageModel.get_peft_model(
        model, use_gradient_checkpointing=checkpointing, random_state=3407, max_seq_length=case.limit, **common
    )
    return model, {}


def attention_of(case: Case) -> str:
    """Return what computes attention over the sequences of a micro-batch: with torch < 2.12 xformers or each alone."""
    if case.setting.startswith("trl"):
        return "sdpa, padded"
    from unsloth.utils.attention_dispatch import select_attention_backend

    return select_attention_backend(use_varlen=True)


def plan_ours(case: Case, model, rows: list[dict]) -> dict:
    """Return the plan of notebook 03 for these rows, that of rank 0 on every GPU."""
    from accelerate.utils import broadcast_object_list

    from parentcare.model.plan import make_plan

    recipe = {"per_device_train_batch_size": 2, "gradient_accumulation_steps": 4, "fit_to_card": True}
    planned = make_plan(recipe, model, [len(row["input_ids"]) for row in rows], 16, 3407)
    return broadcast_object_list([planned])[0] if case.gpus > 1 else planned


def measure(cases: list[Case], base: str, part: Path) -> None:
    """Print a line of results for each case: one base, loaded for the longest limit."""
    longest = max(cases, key=lambda case: case.limit)
    if not longest.setting.startswith("trl"):
        import unsloth  # noqa: F401  it sets how memory is allocated, which counts only before CUDA's first use
    import torch

    if "RANK" in os.environ:
        from accelerate import PartialState

        os.environ["UNSLOTH_TOKEN_BALANCE"] = "1"  # as parentcare.ranks does
        PartialState()  # each rank takes its own GPU
    if len(cases) == 1:
        cap_memory(longest)
    model, tokenizer = load(longest, base)
    for case in cases:
        cap_memory(case)
        try:
            model, found = run(case, model, tokenizer, part)
            if case is not cases[0]:
                # only before any update have shapes that compute the same step the same norm
                found["first_gradient_norm"] = None
        except torch.OutOfMemoryError as error:
            found = {"error": str(error)[:200]}
        if os.environ.get("RANK", "0") == "0":
            print("RESULT " + json.dumps({"case": case, **found}), flush=True)
        gc.collect()
        torch.cuda.empty_cache()


def cap_memory(case: Case) -> None:
    """Let this process take no more of the card than the case allows."""
    import torch

    total = torch.cuda.mem_get_info()[1] / 2**30
    torch.cuda.set_per_process_memory_fraction(min(1.0, (case.cap_gib or total) / total))
    torch.cuda.reset_peak_memory_stats()


def run(case: Case, model, tokenizer, part: Path) -> tuple:
    """Return (the model with LoRA, speeds in non-pad tokens/s, peak memory in GiB, for 'ours' the plan)."""
    rows, texts = read_rows(case, part, tokenizer)
    planned = plan_ours(case, model, rows) if case.setting == "ours" else None
    shape = SETTINGS[case.setting] or (2, 4, "unsloth" if planned["gradient_checkpointing"] else False, "labels")
    batch, accumulation, checkpointing, kind = shape
    extra = {}
    if not hasattr(model, "peft_config"):
        model, extra = attach_lora(case, model, checkpointing)
    settings = arguments_of(case, batch, accumulation, checkpointing)
    return model, train(case, model, tokenizer, settings, texts if kind == "text" else rows, planned, extra)


def train(case, model, tokenizer, settings, rows, planned, extra) -> dict:
    """Return speeds, peak memory, losses, the first step's gradient norm, and the plan beside what happened."""
    import torch
    from datasets import Dataset
    from trl import SFTTrainer

    from parentcare.model import plan, probe

    dataset = Dataset.from_list(rows)
    if planned:
        planned = probe.probe_plan(planned, SFTTrainer, settings, dataset, model=model, processing_class=tokenizer)
        settings = probe.shape_arguments(settings, model, plan.taken_shape(planned))
    clock = probe.StepClock()
    trainer = SFTTrainer(
        model=model,
        args=settings,
        train_dataset=dataset,
        processing_class=tokenizer,
        callbacks=[clock],
        **extra,
    )
    trainer.train()
    found = read_clock(case, clock.steps, settings.world_size)
    logged = [row for row in trainer.state.log_history if "loss" in row]
    found |= {
        "attention": attention_of(case),
        "reserved_gib": torch.cuda.max_memory_reserved() / 2**30,
        "losses": [row["loss"] for row in logged],
        "first_gradient_norm": logged[0]["grad_norm"],
    }
    if planned:
        kept = clock.steps[case.steps[0] :]
        seconds = sum(s["seconds"] for s in kept) / len(kept)
        log = [{"loss": 0.0, "seconds": 0.0}, {"loss": 0.0, "seconds": seconds}]
        peak = max(s["peak_gib"] for s in clock.steps)
        found["plan"] = planned | probe.compare_plan(planned, log, peak)
    return found


def read_clock(case: Case, steps: list[dict], ranks: int) -> dict:
    """Return the blocks' speeds in non-pad tokens/s of all ranks, and tokens and peak memory of the timed steps."""
    left_out, block, blocks = case.steps
    timed = [steps[left_out + block * i : left_out + block * (i + 1)] for i in range(blocks)]
    kept = steps[left_out:]
    return {
        "speeds": [ranks * sum(s["tokens"] for s in part) / sum(s["seconds"] for s in part) for part in timed],
        "peak_gib": max(s["peak_gib"] for s in kept),
        "tokens_per_step": ranks * sum(s["tokens"] for s in kept) / len(kept),
    }


def main() -> None:
    """Measure the cases given as JSON; torchrun starts this on several GPUs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", required=True)
    parser.add_argument("--part", type=Path, required=True)
    parser.add_argument("--cases", required=True)
    arguments = parser.parse_args()
    measure([Case(*case) for case in json.loads(arguments.cases)], arguments.base, arguments.part)


if __name__ == "__main__":
    main()
