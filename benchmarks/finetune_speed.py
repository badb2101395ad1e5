"""Training speed side by side on one GPU, and how far the plan's predictions were from what happened.

Eight sequences in every optimizer step, whole-paper rows of the sample papers (joined for limits over 2,048), a
random-weight Qwen2.5-7B in NF4. Ten steps are left out, then three blocks of ten are timed by the clock; for the curve
five and one block of five. Non-pad tokens. Losses mean nothing and are not kept. Each setting runs in a process of its
own. To repeat it, run notebook 02 with RUN = "h200" and the base's tokenizer, then

    PYTHONPATH=. python benchmarks/finetune_speed.py --base FOLDER --part outputs/h200/train.jsonl
"""

import argparse
import gc
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

from result_rows import provenance, replace_rows

from parentcare.data.records import read_jsonl
from parentcare.manifest import REPOSITORY, read_json

RESULTS = REPOSITORY / "benchmarks" / "results" / "finetune_speed_h200.json"
LAYERS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
ROWS = 80  # a multiple of eight: no step is smaller than the others
LONG, SHORT = (10, 10, 3), (5, 5, 1)


class Case(NamedTuple):
    """One row of the table: what runs, its limit in tokens, a memory cap in GiB, precision, steps, and GPUs."""

    setting: str
    limit: int = 2048
    cap_gib: float | None = None
    precision: str = "bf16"
    steps: tuple[int, int, int] = LONG  # left out, in a block, blocks
    gpus: int = 0  # 0: one, in the order of rows that a single GPU takes

    @property
    def name(self) -> str:
        """Return the setting with what differs from the plain case."""
        cap = f", {self.cap_gib} GiB cap" if self.cap_gib else ""
        gpus = f", {self.gpus} GPU{'s' * (self.gpus > 1)}" if self.gpus else ""
        return f"{self.setting}, limit {self.limit}, {self.precision}{cap}{gpus}"


# setting → (batch, accumulation, checkpointing, rows, padding_free); None: as the plan decides
SETTINGS = {
    "ours": None,
    "unsloth hand-set": (8, 1, False, "labels", None),
    "unsloth notebook": (2, 4, "unsloth", "text", None),
    "unsloth notebook, labels": (2, 4, "unsloth", "labels", None),
    "trl": (2, 4, True, "labels", None),
    "trl, text rows": (2, 4, True, "text", None),
    "ours, 4×2": (4, 2, False, "labels", None),
}
TABLE = [Case(setting) for setting in SETTINGS if setting != "ours, 4×2"]
TWO = [Case(s, steps=(10, 10, 2), gpus=n) for s, n in (("ours", 1), ("ours, 4×2", 1), ("ours", 2))]
CURVE = [
    Case("unsloth notebook", limit, cap_gib, steps=SHORT)
    for limit, cap_gib in ((2048, 16), (1024, None), (4096, None), (8192, None))
]
HALF = [Case(setting, cap_gib=16, precision="fp16", steps=SHORT) for setting in ("ours", "unsloth notebook")]
CAPS = [
    (None, 1024),
    (10, 1024),
    (16, 2048),
    (24, 2048),
    (48, 2048),
    (None, 4096),
    (48, 4096),
    (16, 8192),
    (None, 8192),
]
PLANS = [Case("ours", limit=limit, cap_gib=cap, steps=SHORT) for cap, limit in CAPS]
# each list of cases shares a process, which loads the base once
GROUPS = {
    "table": [[case] for case in TABLE],
    "curve": [CURVE],
    "fp16": [[case] for case in HALF],
    "plans": [PLANS],
    "two GPUs": [TWO[:2], TWO[2:]],
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


def arguments_of(case: Case, batch: int, accumulation: int, checkpointing, padding_free):
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
        logging_strategy="steps" if case.gpus else "no",
        logging_steps=1,
        train_sampling_strategy="batch_rebalance" if case.gpus else "random",
        ddp_find_unused_parameters=False,
        save_strategy="no",
        include_num_input_tokens_seen="non_padding",
        report_to="none",
        disable_tqdm=True,
        seed=3407,
        data_seed=3407,
        **({} if padding_free is None else {"padding_free": padding_free}),
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


def plan_ours(case: Case, model, rows: list[dict]) -> dict:
    """Return the plan of notebook 03 for these rows, that of rank 0 on every GPU."""
    from accelerate.utils import broadcast_object_list

    from parentcare.model.plan import make_plan

    recipe = {"per_device_train_batch_size": 2, "gradient_accumulation_steps": 4, "fit_to_card": True}
    planned = make_plan(recipe, model, [len(row["input_ids"]) for row in rows], 16, 3407)
    return broadcast_object_list([planned])[0] if case.gpus > 1 else planned


def measure(cases: list[Case], base: str, part: Path) -> None:
    """Print a line of results for each case: one base, loaded for the longest limit."""
    import torch

    if "RANK" in os.environ:
        from accelerate import PartialState

        PartialState()  # each rank takes its own GPU
    longest = max(cases, key=lambda case: case.limit)
    if len(cases) == 1:
        cap_memory(longest)
    model, tokenizer = load(longest, base)
    for case in cases:
        cap_memory(case)
        try:
            model, found = run(case, model, tokenizer, part)
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
    shape = SETTINGS[case.setting] or (2, 4, "unsloth" if planned["gradient_checkpointing"] else False, "labels", None)
    batch, accumulation, checkpointing, kind, padding_free = shape
    extra = {}
    if not hasattr(model, "peft_config"):
        model, extra = attach_lora(case, model, checkpointing)
    settings = arguments_of(case, batch, accumulation, checkpointing, padding_free)
    return model, train(case, model, tokenizer, settings, texts if kind == "text" else rows, planned, extra)


def train(case, model, tokenizer, settings, rows, planned, extra) -> dict:
    """Return speeds, peak memory and the plan beside what happened, after training."""
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
    left_out, block, blocks = case.steps
    timed = [clock.steps[left_out + block * i : left_out + block * (i + 1)] for i in range(blocks)]
    ranks = settings.world_size
    speeds = [ranks * sum(s["tokens"] for s in part) / sum(s["seconds"] for s in part) for part in timed]
    kept = clock.steps[left_out:]
    found = {
        "speeds": speeds,
        "peak_gib": max(s["peak_gib"] for s in kept),
        "reserved_gib": torch.cuda.max_memory_reserved() / 2**30,
        "tokens_per_step": ranks * sum(s["tokens"] for s in kept) / len(kept),
        "losses": [row["loss"] for row in trainer.state.log_history if "loss" in row],
    }
    if planned:
        seconds = sum(s["seconds"] for s in kept) / len(kept)
        log = [{"loss": 0.0, "seconds": 0.0}, {"loss": 0.0, "seconds": seconds}]
        peak = max(s["peak_gib"] for s in clock.steps)
        found["plan"] = planned | probe.compare_plan(planned, log, peak)
    return found


def describe(case: Case, found: dict, common: dict) -> dict:
    """Return the row of the results."""
    speeds = found["speeds"]
    row = {
        "setting": case.name,
        "tokens_per_second": round(sum(speeds) / len(speeds)),
        "peak_gib": round(found["peak_gib"], 2),
        "reserved_gib": round(found["reserved_gib"], 2),
        "repeats": len(speeds),
        "min": round(min(speeds)),
        "max": round(max(speeds)),
        "blocks": [round(speed) for speed in speeds],
        "tokens_per_step": round(found["tokens_per_step"]),
    }
    if "plan" in found:
        plan = found["plan"]
        shape = (plan["per_device_train_batch_size"], plan["gradient_accumulation_steps"])
        how = "with" if plan["gradient_checkpointing"] else "without"
        row["shape"] = f"{shape[0]}×{shape[1]} {how} checkpointing"
        row |= {k: plan[k] for k in ("predicted", "actual", "error_predicted", "error_probe")}
        row["probe"] = {k: plan["probe"][k] for k in ("peak_gib", "step_seconds")}
    return row | common


def run_cases(cases: list[Case], words: list[str]):
    """Yield (case, what was measured) from a process of its own, as it comes; what failed is printed."""
    gpus = max(case.gpus for case in cases)
    torchrun = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={gpus}"] if gpus > 1 else []
    command = [sys.executable, *torchrun, __file__, *words, "--cases", json.dumps(cases)]
    visible = os.environ | {"CUDA_VISIBLE_DEVICES": ",".join(map(str, range(max(1, gpus))))}
    with tempfile.TemporaryFile("w+") as errors:
        process = subprocess.Popen(command, env=visible, stdout=subprocess.PIPE, stderr=errors, text=True)
        for line in process.stdout:
            if line.startswith("RESULT "):
                found = json.loads(line[7:])
                case = Case(*found.pop("case"))
                if "error" in found:
                    print(case.name, found["error"], flush=True)
                else:
                    yield case, found
        if process.wait():
            errors.seek(0)
            print([case.name for case in cases], "failed:", errors.read()[-1500:], flush=True)


def draw(results: Path) -> None:
    """Write the README's chart of the 2,048-token rows of a whole card; `machine` tells what ran back to back."""
    from parentcare.figures import plot_speed, save_figure
    from parentcare.manifest import sha256

    whole = [row for row in read_json(results) if "limit 2048, bf16" in row["setting"] and "cap" not in row["setting"]]
    shown = [
        row | {"setting": f"{row['setting'].replace(', limit 2048, bf16', '')} ({row['machine']})"}
        for row in sorted(whole, key=lambda row: row["tokens_per_second"])
    ]
    note = f"{whole[0]['device']} · {whole[0]['date']} · 무작위 가중치 Qwen2.5-7B, NF4 · 행 평균 1,374토큰 · "
    note += "괄호의 글자가 같은 것끼리 한 기계에서 이어서 잼"
    save_figure(plot_speed(shown, note), REPOSITORY / "images" / "finetune_speed.png", "h200", sha256(results), 3407)


def main() -> None:
    """Write the results, one row a case, as they come."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draw", action="store_true", help="only the chart, from the results that are there")
    parser.add_argument("--base")
    parser.add_argument("--part", type=Path)
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--commit", default="")
    parser.add_argument("--machine", default="", help="a letter: rows with the same one ran back to back")
    parser.add_argument("--groups", nargs="*", choices=GROUPS, default=list(GROUPS))
    parser.add_argument("--only", nargs="*", default=[], help="settings by name; all without")
    parser.add_argument("--cases", default="")
    arguments = parser.parse_args()
    if arguments.draw:
        return draw(arguments.results)
    if arguments.cases:
        return measure([Case(*case) for case in json.loads(arguments.cases)], arguments.base, arguments.part)
    import torch

    packages = ["torch", "transformers", "trl", "peft", "unsloth", "bitsandbytes"]
    common = provenance(torch.cuda.get_device_name(), packages, arguments.commit) | {"machine": arguments.machine}
    losses = {}
    for cases in [cases for group in arguments.groups for cases in GROUPS[group]]:
        chosen = [case for case in cases if not arguments.only or case.setting in arguments.only]
        for case, found in run_cases(chosen, sys.argv[1:]) if chosen else ():
            row = describe(case, found, common)
            losses[case.gpus] = losses.get(case.gpus) or found["losses"]
            if case.gpus > 1 and losses.get(1):
                pairs = zip(losses[1], found["losses"], strict=True)
                row["largest_loss_difference_from_one_gpu"] = round(max(abs(a - b) for a, b in pairs), 6)
            replace_rows(arguments.results, [row])
            print({k: v for k, v in row.items() if k not in common}, flush=True)


if __name__ == "__main__":
    main()
