"""Time greedy generation on one GPU: one by one through Unsloth, and 04's batches in 4 and in 16 bits.

64 prompts of 02's test part, 128 new tokens each, a random-weight Qwen2.5-7B in NF4 with a LoRA adapter that changes
nothing: speed and memory are real, the answers mean nothing. To repeat it, run notebook 02 with RUN = "h200" and the
base's tokenizer, then

    PYTHONPATH=. python benchmarks/generation_h200.py --base FOLDER --part outputs/h200/test.jsonl
"""

import argparse
import contextlib
import gc
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from result_rows import provenance, replace_rows

from parentcare.data.records import read_jsonl
from parentcare.manifest import REPOSITORY

RESULTS = REPOSITORY / "benchmarks" / "results" / "generation_h200.json"
PROMPTS, NEW_TOKENS, LIMIT, REPEATS = 64, 128, 2048, 3
ONE_BY_ONE = 6
# setting → (weights written out in 16 bits, adapter merged)
BATCHES = {
    "ours, batches, 4-bit": (False, False),
    "ours, batches, 16 bits written out from the 4": (True, False),
    "ours, batches, 16 bits, adapter merged": (True, True),
}


def read_prompts(arguments: argparse.Namespace) -> list[list[int]]:
    """Return the prompts' token ids, fitted as 04 fits them."""
    from parentcare.model.loading import load_tokenizer
    from parentcare.model.prompts import fit_text

    tokenizer = load_tokenizer(str(arguments.base))
    records = read_jsonl(arguments.part)[:PROMPTS]
    return [fit_text(record["text"], tokenizer, LIMIT - NEW_TOKENS)[1] for record in records]


def save_adapter(base: Path, folder: Path) -> Path:
    """Return a folder with a LoRA adapter of the recipe's shape, as it is before training."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    layers = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.bfloat16, device_map={"": 0})
    get_peft_model(model, LoraConfig(r=16, lora_alpha=16, target_modules=layers)).save_pretrained(folder)
    return folder


def time_batches(arguments: argparse.Namespace, adapter: Path, sixteen_bits: bool, merge: bool) -> dict:
    """Return tokens/s of 04's own functions over all prompts at once, the first time left out."""
    import torch

    from parentcare.model import generation, loading

    generation.DEQUANTISED_GIB = generation.DEQUANTISED_GIB if sixteen_bits else float("inf")
    model = generation.load_model(str(arguments.base), adapter, torch.bfloat16)
    tokenizer, prompts = loading.load_tokenizer(str(arguments.base)), read_prompts(arguments)
    torch.cuda.reset_peak_memory_stats()
    speeds = []
    for _ in range(REPEATS + 1):
        merged = generation.merged_adapter(model) if merge else contextlib.nullcontext()
        with tempfile.TemporaryDirectory() as folder, merged:
            started = time.time()
            named = {str(i): prompt for i, prompt in enumerate(prompts)}
            answers = generation.generate_all(model, tokenizer, named, NEW_TOKENS, Path(folder) / "a.jsonl")
            speeds.append(sum(answer["tokens"] for answer in answers.values()) / (time.time() - started))
    result = {"speeds": speeds[1:], "peak_gib": round(torch.cuda.max_memory_allocated() / 2**30, 2)}
    del model
    gc.collect()
    return result


def time_one_by_one(arguments: argparse.Namespace) -> dict:
    """Return tokens/s of Unsloth's own generation, one prompt after the other."""
    from unsloth import FastLanguageModel  # isort: skip
    import torch

    model, _ = FastLanguageModel.from_pretrained(
        str(arguments.base), max_seq_length=LIMIT, load_in_4bit=True, use_exact_model_name=True
    )
    FastLanguageModel.for_inference(model)
    speeds = []
    for prompt in read_prompts(arguments)[: ONE_BY_ONE + 1]:
        ids = torch.tensor([prompt], device="cuda")
        started = time.time()
        output = model.generate(input_ids=ids, attention_mask=torch.ones_like(ids), max_new_tokens=NEW_TOKENS)
        speeds.append((output.shape[1] - ids.shape[1]) / (time.time() - started))
    return {"speeds": speeds[1:], "peak_gib": round(torch.cuda.max_memory_allocated() / 2**30, 2)}


def measure_alone(setting: str) -> dict | None:
    """Return what a process of its own measured; None, and its last words printed, where it failed."""
    command = [sys.executable, __file__, *sys.argv[1:], "--one", setting]
    done = subprocess.run(command, capture_output=True, text=True)
    line = next((line for line in done.stdout.splitlines() if line.startswith("RESULT ")), None)
    if line is None:
        print(setting, "failed", done.stderr[-3000:], done.stdout[-1000:], flush=True)
        return None
    return json.loads(line[7:])


def measure(arguments: argparse.Namespace) -> dict:
    """Return speeds and peak memory of the one setting that the arguments name."""
    with tempfile.TemporaryDirectory() as folder:
        if arguments.one.startswith("unsloth"):
            return time_one_by_one(arguments)
        return time_batches(arguments, save_adapter(arguments.base, Path(folder)), *BATCHES[arguments.one])


def main() -> None:
    """Write the results, each setting measured in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--base", type=Path, required=True)
    parser.add_argument("--part", type=Path, required=True)
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--commit", default="")
    parser.add_argument("--only", nargs="*", default=[""], help="settings that contain one of these; all without")
    parser.add_argument("--one", default="")
    arguments = parser.parse_args()
    if arguments.one:
        print("RESULT " + json.dumps(measure(arguments)), flush=True)
        return
    import torch

    packages = ["torch", "transformers", "peft", "unsloth"]
    common = provenance(torch.cuda.get_device_name(), packages, arguments.commit)
    for setting in ("unsloth, one by one, 4-bit", *BATCHES):
        if any(part in setting for part in arguments.only) and (found := measure_alone(setting)):
            speeds = found["speeds"]
            row = {"setting": setting, "tokens_per_second": round(sum(speeds) / len(speeds), 1)}
            row |= {"peak_gib": found["peak_gib"], "repeats": len(speeds)}
            row |= {"min": round(min(speeds), 1), "max": round(max(speeds), 1)} | common
            print(row, flush=True)
            replace_rows(arguments.results, [row])


if __name__ == "__main__":
    main()
