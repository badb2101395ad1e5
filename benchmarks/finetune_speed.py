"""Training speed side by side on one GPU, and how far the plan's predictions were from what happened.

Eight sequences in every optimizer step, whole-paper rows of the sample papers (joined for limits over 2,048), a
random-weight Qwen2.5-7B in NF4. Ten steps are left out, then three blocks of ten are timed by the clock; for the curve
five and one block of five. Non-pad tokens. Losses mean nothing and are not kept. Each setting runs in a process of its
own. To repeat it, run notebook 02 with RUN = "h200" and the base's tokenizer, then

    PYTHONPATH=. python benchmarks/finetune_speed.py --base FOLDER --part outputs/h200/train.jsonl
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from result_rows import provenance, replace_rows
from speed_case import SETTINGS, Case

from parentcare.manifest import REPOSITORY, read_json
from parentcare.model.plan import taken_shape

RESULTS = REPOSITORY / "benchmarks" / "results" / "finetune_speed_h200.json"
WORKER = Path(__file__).with_name("speed_case.py")
SHORT = (5, 5, 1)
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
        "attention": found["attention"],
    }
    if found["first_gradient_norm"] is not None:
        row["first_gradient_norm"] = round(found["first_gradient_norm"], 6)
    if "plan" in found:
        plan = found["plan"]
        row["shape"] = str(taken_shape(plan))
        row |= {k: plan[k] for k in ("predicted", "actual", "error_predicted", "error_probe")}
        row["probe"] = {k: plan["probe"][k] for k in ("peak_gib", "step_seconds")}
    return row | common


def run_cases(cases: list[Case], words: list[str]):
    """Yield (case, what was measured) from a process of its own, as it comes; what failed is printed."""
    gpus = max(case.gpus for case in cases)
    torchrun = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={gpus}"] if gpus > 1 else []
    command = [sys.executable, *torchrun, str(WORKER), *words, "--cases", json.dumps(cases)]
    visible = {"CUDA_VISIBLE_DEVICES": ",".join(map(str, range(max(1, gpus))))} | os.environ
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
    """Write the README's chart: rows of 2,048 tokens on whole cards, of the machine that ran `ours` last."""
    from parentcare.figures import plot_speed, save_figure
    from parentcare.manifest import sha256

    kind, rows = ", limit 2048, bf16", read_json(results)
    ours = next(row for row in rows if row["setting"] == "ours" + kind)
    shown = [
        row | {"setting": row["setting"].replace(kind, "")}
        for row in sorted(rows, key=lambda row: row["tokens_per_second"])
        if row["machine"] == ours["machine"] and row["setting"].endswith((kind, "2 GPUs"))
    ]
    note = f"{ours['device']} · {ours['date']} · 무작위 가중치 Qwen2.5-7B, NF4 · 행 평균 1,374토큰 · 한 기계에서 잼"
    save_figure(plot_speed(shown, note), REPOSITORY / "images" / "finetune_speed.png", "h200", sha256(results), 3407)


def main() -> None:
    """Write the results, one row a case, as they come."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draw", action="store_true", help="only the chart, from the results that are there")
    parser.add_argument("--base", default="")
    parser.add_argument("--part", default="")
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--commit", default="")
    parser.add_argument("--machine", default="", help="a letter: rows with the same one ran back to back")
    parser.add_argument("--groups", nargs="*", choices=GROUPS, default=list(GROUPS))
    parser.add_argument("--only", nargs="*", default=[], help="settings by name; all without")
    arguments = parser.parse_args()
    if arguments.draw:
        return draw(arguments.results)
    import torch

    packages = ["torch", "transformers", "trl", "peft", "unsloth", "bitsandbytes"]
    common = provenance(torch.cuda.get_device_name(), packages, arguments.commit) | {"machine": arguments.machine}
    losses = {}
    for cases in [cases for group in arguments.groups for cases in GROUPS[group]]:
        chosen = [case for case in cases if not arguments.only or case.setting in arguments.only]
        for case, found in run_cases(chosen, ["--base", arguments.base, "--part", arguments.part]) if chosen else ():
            row = describe(case, found, common)
            losses[case.gpus] = losses.get(case.gpus) or found["losses"]
            if case.gpus > 1 and losses.get(1):
                pairs = zip(losses[1], found["losses"], strict=True)
                row["largest_loss_difference_from_one_gpu"] = round(max(abs(a - b) for a, b in pairs), 6)
            replace_rows(arguments.results, [row])
            print({k: v for k, v in row.items() if k not in common}, flush=True)


if __name__ == "__main__":
    main()
