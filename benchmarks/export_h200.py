"""Time the merge of a LoRA adapter into a 7B's 16-bit weights, and hold the merged model against the adapter.

Random weights of Qwen2.5-7B's shape and an adapter of the recipe's shape with random A and B: time, memory, sizes and
rounding are real, the answers mean nothing. Each setting runs in a process of its own, and is written when it is done.
FOLDER has the 4-bit base, FOLDER-bf16 the 16-bit weights it was made from:

    PYTHONPATH=. python benchmarks/export_h200.py --base FOLDER --work FOLDER_WITH_32_GB_FREE
"""

import argparse
import json
import re
import resource
import shutil
import subprocess
import sys
import time
from pathlib import Path

from result_rows import provenance, replace_rows

from parentcare.export import merge
from parentcare.manifest import REPOSITORY

RESULTS = REPOSITORY / "benchmarks" / "results" / "export_h200.json"
LAYERS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
RANK, SEED, SEQUENCES, TOKENS = 16, 3407, 8, 512
# W has a standard deviation of 0.02; B·A gets about 7 % of it
A_SCALE, B_SCALE = 0.0167, 0.02
REPEAT_BELOW_SECONDS = 30


def make_adapter(base: Path, folder: Path) -> Path:
    """Return a folder with a LoRA adapter of the recipe's shape whose A and B are random."""
    import torch
    from peft import LoraConfig
    from safetensors import safe_open
    from safetensors.torch import save_file

    torch.manual_seed(SEED)
    LoraConfig(r=RANK, lora_alpha=RANK, target_modules=list(LAYERS), task_type="CAUSAL_LM").save_pretrained(folder)
    weights = {}
    for path in merge.check_base(base):
        with safe_open(path, framework="pt") as file:
            for name in sorted(file.keys()):
                if re.search(rf"\.({'|'.join(LAYERS)})\.weight$", name):
                    rows, columns = file.get_slice(name).get_shape()
                    key = f"base_model.model.{name.removesuffix('.weight')}"
                    weights[f"{key}.lora_A.weight"] = torch.randn(RANK, columns) * A_SCALE
                    weights[f"{key}.lora_B.weight"] = torch.randn(rows, RANK) * B_SCALE
    save_file(weights, folder / "adapter_model.safetensors", metadata={"format": "pt"})
    return folder


def time_merge(base: Path, work: Path, device: str) -> list[dict]:
    """Return seconds, peak memory and sizes of merging on `device`, the shards read, merged and written."""
    import torch

    seconds = []
    for _ in range(2):
        shutil.rmtree(work / "merged", ignore_errors=True)
        (work / "merged").mkdir()
        started = time.time()
        report = merge.merge_weights(base, work / "adapter", work / "merged", device)
        seconds.append(time.time() - started)
        if seconds[0] > REPEAT_BELOW_SECONDS:
            break
    shutil.copy(base / "config.json", work / "merged")
    gpu = torch.cuda.max_memory_allocated() / 2**30 if device == "cuda" else None
    where = "on the GPU" if device == "cuda" else "on the CPU"
    ram = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return [
        row(f"merge {where}, {report['merged']} weights", "seconds", seconds, gpu),
        row(f"merge {where}, peak resident memory with the mapped file", "GiB", [ram], gpu),
    ]


def read_logits(folder: Path, adapter: Path | None):
    """Return logits (sequences · tokens, vocabulary) in float32 on the GPU, and the peak memory in GiB."""
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    torch.cuda.reset_peak_memory_stats()
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.bfloat16, device_map={"": 0}).eval()
    if adapter:
        model = PeftModel.from_pretrained(model, adapter).eval()
    ids = torch.randint(1000, 100_000, (SEQUENCES, TOKENS), generator=torch.Generator().manual_seed(SEED))
    with torch.no_grad():
        logits = torch.cat([model(input_ids=one[None].cuda()).logits[0].float() for one in ids])
    peak = torch.cuda.max_memory_allocated() / 2**30
    del model
    torch.cuda.empty_cache()
    return logits, peak


def compare_logits(base: Path, work: Path, four_bit: Path) -> list[dict]:
    """Return how far the adapter, on the 16-bit and on the 4-bit base, is from the merged model."""
    merged, peak = read_logits(work / "merged", None)
    rows = [row("logits of the merged model, standard deviation", "logits", [merged.std().item()], peak)]
    roads = {
        "adapter on the 16-bit base": (base, work / "adapter"),
        "16-bit base without the adapter": (base, None),
        "adapter on the 4-bit base": (four_bit, work / "adapter"),
    }
    for name, (folder, adapter) in roads.items():
        logits, peak = read_logits(folder, adapter)
        agreement = (logits.argmax(-1) == merged.argmax(-1)).float().mean().item()
        differences = (logits - merged).abs()
        rows += [
            row(f"{name} against merged, largest logit difference", "logits", [differences.max().item()], peak),
            row(f"{name} against merged, mean logit difference", "logits", [differences.mean().item()], peak),
            row(f"{name} against merged, same best token", "share", [agreement], peak),
        ]
        del logits, differences
    return rows


def measure_sizes(base: Path, work: Path, four_bit: Path) -> list[dict]:
    """Return the bytes of the weights in each folder."""
    folders = {"4-bit base": four_bit, "16-bit base": base, "adapter": work / "adapter", "merged": work / "merged"}
    sizes = {name: sum(p.stat().st_size for p in folder.glob("*.safetensors")) for name, folder in folders.items()}
    return [row(f"weights of the {name}", "GB", [size / 1e9], None) for name, size in sizes.items()]


def row(setting: str, unit: str, values: list[float], peak_gib: float | None) -> dict:
    """Return one line of results."""
    numbers = {"value": sum(values) / len(values), "min": min(values), "max": max(values)}
    numbers = {name: round(value, 5) for name, value in numbers.items()}
    peak = None if peak_gib is None else round(peak_gib, 2)
    return {"setting": setting, "unit": unit, **numbers, "repeats": len(values), "peak_gib": peak}


def main() -> None:
    """Write the results, each setting measured in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--base", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--commit", default="")
    parser.add_argument("--only", nargs="*", default=[], help="settings by name; all without")
    parser.add_argument("--one", default="")
    arguments = parser.parse_args()
    four_bit, base = arguments.base, arguments.base.with_name(f"{arguments.base.name}-bf16")
    settings = {
        "merge on the CPU": lambda: time_merge(base, arguments.work, "cpu"),
        "merge on the GPU": lambda: time_merge(base, arguments.work, "cuda"),
        "sizes": lambda: measure_sizes(base, arguments.work, four_bit),
        "logits": lambda: compare_logits(base, arguments.work, four_bit),
    }
    if arguments.one:
        print("RESULT " + json.dumps(settings[arguments.one]()), flush=True)
        return
    import torch

    make_adapter(base, arguments.work / "adapter")
    packages = ["torch", "transformers", "peft", "safetensors"]
    common = provenance(torch.cuda.get_device_name(), packages, arguments.commit)
    for setting in arguments.only or settings:
        command = [sys.executable, __file__, *sys.argv[1:], "--one", setting]
        done = subprocess.run(command, capture_output=True, text=True)
        line = next((line for line in done.stdout.splitlines() if line.startswith("RESULT ")), None)
        if line is None:
            print(setting, "failed", done.stderr[-3000:], done.stdout[-1000:], flush=True)
            continue
        rows = [one | common for one in json.loads(line[7:])]
        replace_rows(arguments.results, rows)
        print(*rows, sep="\n", flush=True)


if __name__ == "__main__":
    main()
