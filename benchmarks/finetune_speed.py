"""Training speed side by side on one GPU: transformers + PEFT + TRL, Unsloth's notebook settings, and this project's.

Eight sequences in every optimizer step, whole-paper rows of the sample papers, a random-weight Qwen2.5-7B in NF4. Ten
steps are left out, then three blocks of ten are timed by the clock; non-pad tokens. Losses mean nothing and are not
kept. Each setting runs in a process of its own. To repeat it, run notebook 02 with RUN = "h200" and the base's
tokenizer, then

    PYTHONPATH=. python benchmarks/finetune_speed.py --base FOLDER --part outputs/h200/train.jsonl
"""

import argparse
import datetime
import itertools
import json
import subprocess
import sys
import time
from importlib import metadata
from pathlib import Path

from parentcare.data.records import read_jsonl
from parentcare.manifest import REPOSITORY, current_commit, read_json, write_json

RESULTS = REPOSITORY / "benchmarks" / "results" / "finetune_speed_h200.json"
LIMIT, WARM_UP, BLOCK, BLOCKS = 2048, 10, 10, 3
LAYERS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
# setting → (batch, accumulation, checkpointing, rows)
SETTINGS = {
    "trl: transformers + PEFT + TRL, 2×4, checkpointing": (2, 4, True, "labels"),
    "unsloth notebook: 2×4, checkpointing, text rows": (2, 4, "unsloth", "text"),
    "ours, recipe shape: 2×4, checkpointing, response-only labels": (2, 4, "unsloth", "labels"),
    "ours, whole card: 8×1, no checkpointing, response-only labels": (8, 1, False, "labels"),
}


def load(setting: str, base: str, checkpointing):
    """Return (model with LoRA, tokenizer) by plain libraries for TRL, else by Unsloth."""
    if not setting.startswith("trl"):
        from unsloth import FastLanguageModel

        model, tokenizer = FastLanguageModel.from_pretrained(
            base, max_seq_length=LIMIT, load_in_4bit=True, use_exact_model_name=True
        )
        common = {"r": 16, "lora_alpha": 16, "lora_dropout": 0.0, "bias": "none", "target_modules": LAYERS}
        return FastLanguageModel.get_peft_model(
            model, use_gradient_checkpointing=checkpointing, random_state=3407, **common
        ), tokenizer
    import torch
    from peft import LoraConfig, get_peft_model, prepare_model_for_kbit_training
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.bfloat16, device_map={"": 0})
    model = prepare_model_for_kbit_training(model, use_gradient_checkpointing=checkpointing)
    config = LoraConfig(r=16, lora_alpha=16, target_modules=LAYERS, task_type="CAUSAL_LM")
    return get_peft_model(model, config), AutoTokenizer.from_pretrained(base)


def measure(setting: str, base: str, part: Path) -> dict:
    """Return tokens/s of each block and the peak memory in GiB."""
    batch, accumulation, checkpointing, kind = SETTINGS[setting]
    model, tokenizer = load(setting, base, checkpointing)
    import torch
    from datasets import Dataset
    from transformers import TrainerCallback
    from trl import SFTConfig, SFTTrainer

    from parentcare.model.prompts import build_prompt, tokenize_records

    records = [row for row in read_jsonl(part) if row["section"] == "whole"]
    rows, report = tokenize_records(records, tokenizer, LIMIT)
    if kind == "text":
        rows = [{"text": build_prompt(r["text"]) + r["summary"] + tokenizer.eos_token} for r in records]
    clock, tokens = {}, {}

    class Clock(TrainerCallback):
        def on_step_end(self, args, state, control, **kwargs):
            torch.cuda.synchronize()
            clock[state.global_step], tokens[state.global_step] = time.time(), state.num_input_tokens_seen

    arguments = SFTConfig(
        output_dir=str(REPOSITORY / "outputs" / "speed"),
        max_length=LIMIT,
        per_device_train_batch_size=batch,
        gradient_accumulation_steps=accumulation,
        gradient_checkpointing=bool(checkpointing),
        max_steps=WARM_UP + BLOCK * BLOCKS,
        learning_rate=2e-4,
        optim="adamw_8bit",
        bf16=True,
        packing=False,
        logging_strategy="no",
        save_strategy="no",
        include_num_input_tokens_seen="non_padding",
        report_to="none",
        disable_tqdm=True,
        seed=3407,
        **({"dataset_text_field": "text"} if kind == "text" else {}),
    )
    trainer = SFTTrainer(
        model=model,
        args=arguments,
        train_dataset=Dataset.from_list(rows),
        processing_class=tokenizer,
        callbacks=[Clock()],
    )
    trainer.train()
    ends = [WARM_UP + BLOCK * i for i in range(BLOCKS + 1)]
    speeds = [(tokens[b] - tokens[a]) / (clock[b] - clock[a]) for a, b in itertools.pairwise(ends)]
    seconds = [(clock[b] - clock[a]) / BLOCK for a, b in itertools.pairwise(ends)]
    peak = round(torch.cuda.max_memory_allocated() / 2**30, 2)
    return {"speeds": speeds, "seconds": seconds, "peak_gib": peak, "mean_tokens": report["tokens"] / report["rows"]}


def main() -> None:
    """Write the results, one row a setting."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--base", required=True)
    parser.add_argument("--part", type=Path, required=True)
    parser.add_argument("--commit", default=current_commit())
    parser.add_argument("--only", nargs="*", choices=SETTINGS, default=list(SETTINGS))
    parser.add_argument("--one", default="")
    arguments = parser.parse_args()
    if arguments.one:
        print("RESULT " + json.dumps(measure(arguments.one, arguments.base, arguments.part)), flush=True)
        return
    import torch

    common = {
        "device": torch.cuda.get_device_name(),
        "versions": {
            n: metadata.version(n) for n in ("torch", "transformers", "trl", "peft", "unsloth", "bitsandbytes")
        },
        "commit": arguments.commit,
        "date": datetime.date.today().isoformat(),
    }
    results = [row for row in read_json(RESULTS, []) if row["setting"] not in arguments.only]
    for setting in arguments.only:
        command = [sys.executable, __file__, *sys.argv[1:], "--one", setting]
        done = subprocess.run(command, capture_output=True, text=True)
        line = next((line for line in done.stdout.splitlines() if line.startswith("RESULT ")), None)
        if line is None:
            print(setting, "failed:", done.stderr[-2500:], flush=True)
            continue
        found = json.loads(line[7:])
        speeds = found["speeds"]
        row = {"setting": setting, "tokens_per_second": round(sum(speeds) / len(speeds)), "peak_gib": found["peak_gib"]}
        row |= {"repeats": len(speeds), "min": round(min(speeds)), "max": round(max(speeds))}
        results.append(row | {"mean_tokens_of_a_row": round(found["mean_tokens"])} | common)
        print(results[-1], found["seconds"], flush=True)
        write_json(RESULTS, results)


if __name__ == "__main__":
    main()
