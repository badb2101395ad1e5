"""Run notebook 03, unedited, on one GPU: in bf16, killed and resumed, in fp16, and fitted to the card.

Forty optimizer steps at exactly 2×4, and in the shape that the plan chooses, on 02's files. With a base of random
weights and the real size, speed, memory, resuming and reloading are real and losses mean nothing: only differences of
losses are written. To repeat it, run notebook 02 with RUN = "h200" and the base's tokenizer, then

    PYTHONPATH=. python benchmarks/finetune_h200.py --base FOLDER --parts outputs/h200 --work FOLDER

`--only` without a name measures again what is in --work. Standard library, and papermill beside what 03 needs.
"""

import argparse
import json
import math
import os
import shutil
import signal
import statistics
import subprocess
import sys
import time
from pathlib import Path

from result_rows import replace_rows

from parentcare.manifest import REPOSITORY, current_commit, notebook_path, read_json, write_json
from parentcare.model.plan import taken_shape

RESULTS = REPOSITORY / "benchmarks" / "results" / "finetune_h200.json"
STEPS, EVAL_STEPS, KILLED_AFTER_STEP = 40, 10, 22
RECIPE = {"MAX_STEPS": STEPS, "EVAL_STEPS": EVAL_STEPS, "MAX_NEW_TOKENS": 16}
PRECISION = {"bf16": "bf16", "killed": "bf16", "fp16": "fp16", "fit": "bf16"}
# Where the seconds before the first step go: what the source of a cell has → what the cell does.
CELLS = {
    "from unsloth import": "imports",
    "FastLanguageModel.from_pretrained(": "loading the base",
    "tokenize_file(": "tokens of all rows",
    "make_plan(": "plan",
    "get_peft_model(": "LoRA",
    "base_answer =": "an answer of the base",
    "base_loss =": "validation loss of the base",
    "probe_plan(": "probe",
    "trainer = SFTTrainer(": "trainer",
}
# The step after a validation also pays for the checkpoint, so a block begins when that step is logged.
BLOCKS = [(first + 1, first + EVAL_STEPS) for first in range(EVAL_STEPS, STEPS, EVAL_STEPS)]


def run_folder(work: Path, name: str) -> Path:
    """Return outputs/<name> in a home of its own, so that no other run's files are near."""
    return work / name / "outputs" / name


def start(name: str, arguments: argparse.Namespace) -> subprocess.Popen:
    """Return papermill at work on 03 for the run `name`."""
    folder = run_folder(arguments.work, name)
    folder.mkdir(parents=True, exist_ok=True)
    for part in ("train", "validation"):
        shutil.copy(arguments.parts / f"{part}.jsonl", folder)
    parameters = RECIPE | {"RUN": name, "BASE_MODEL": str(arguments.base.resolve()), "PRECISION": PRECISION[name]}
    parameters["FIT_TO_CARD"] = name == "fit"
    command = [sys.executable, "-m", "papermill", str(notebook_path("03_finetune")), str(folder / "03.ipynb")]
    command += ["-k", "python3", "--log-output", "--no-progress-bar", "--parameters_yaml", json.dumps(parameters)]
    paths = os.pathsep.join([str(REPOSITORY), os.environ.get("PYTHONPATH", "")])
    environment = os.environ | {"PARENTCARE_HOME": str(arguments.work / name), "PYTHONPATH": paths}
    return subprocess.Popen(command, cwd=arguments.work, env=environment, start_new_session=True)


def follow(process: subprocess.Popen, folder: Path, kill_after: int = STEPS + 1) -> dict:
    """Return the seconds to the first step, and the step of the kill: past `kill_after`, its checkpoint whole."""
    begun, seen = time.time(), {"first_step_seconds": None, "killed_at": None}
    mark = folder / "checkpoints" / f"checkpoint-{kill_after // EVAL_STEPS * EVAL_STEPS}" / "complete"
    while process.poll() is None:
        last = max(read_log(folder, "loss"), default=0)
        if last and seen["first_step_seconds"] is None:
            seen["first_step_seconds"] = round(time.time() - begun, 1)
        if last >= kill_after and mark.exists():
            kill_all(process)
            return seen | {"killed_at": last}
        time.sleep(0.1)
    if process.returncode:
        sys.exit(f"03 failed; the executed copy is {folder / '03.ipynb'}")
    return seen


def kill_all(process: subprocess.Popen) -> None:
    """Send SIGKILL to the process and all below it: a Jupyter kernel is in a group of its own."""
    stats = [path.read_text() for path in Path("/proc").glob("[0-9]*/stat") if path.exists()]
    parents = {int(stat.split()[0]): int(stat.rpartition(")")[2].split()[1]) for stat in stats}
    family = [process.pid]
    for pid in family:
        family += [child for child, parent in parents.items() if parent == pid]
    for pid in family:
        os.kill(pid, signal.SIGKILL)
    process.wait()
    time.sleep(3)  # the driver frees the card's memory


def run(name: str, arguments: argparse.Namespace) -> None:
    """Run 03 to its end, the run `killed` in two goes, and keep the timings beside its log."""
    folder = run_folder(arguments.work, name)
    timings = follow(start(name, arguments), folder, KILLED_AFTER_STEP if name == "killed" else STEPS + 1)
    if timings["killed_at"]:
        follow(start(name, arguments), folder)
    write_json(folder / "timings.json", timings)


def read_log(folder: Path, field: str) -> dict[int, dict]:
    """Return step → row for the whole rows of log.jsonl that have `field`."""
    path = folder / "log.jsonl"
    lines = path.read_text(encoding="utf-8").split("\n")[:-1] if path.exists() else []
    return {row["step"]: row for row in map(json.loads, lines) if field in row}


def measure(work: Path, name: str, section: dict) -> list[tuple]:
    """Return (what, values, unit) of one finished run; several values are its blocks of steps."""
    actual, loss = section["actual"], section["validation_loss"]
    rows = read_log(run_folder(work, name), "loss")
    infinite = [row for row in rows.values() if not math.isfinite(row["loss"] + row.get("grad_norm", 0.0))]
    found = [
        ("peak allocated", [actual["peak_allocated_gib"]], "GiB"),
        ("peak reserved", [actual["peak_reserved_gib"]], "GiB"),
        ("validation loss, reloaded in a new process against tuned", [abs(loss["reloaded"] - loss["tuned"])], "nats"),
        (f"steps of {STEPS} whose loss or gradient norm is not finite", [len(infinite)], "steps"),
    ]
    timings = read_json(run_folder(work, name) / "timings.json")
    if name == "killed":  # its clock ran in two processes
        return found + compare_killed(work, timings["killed_at"] // EVAL_STEPS * EVAL_STEPS)
    pairs = [(rows[first], rows[last]) for first, last in BLOCKS]
    speeds = [(b["tokens"] - a["tokens"]) / (b["seconds"] - a["seconds"]) for a, b in pairs]
    to_first_step = "from starting papermill to the first optimizer step"
    parts = time_cells(run_folder(work, name) / "03.ipynb")
    parts["papermill, the kernel, small cells and the first step"] = timings["first_step_seconds"] - sum(parts.values())
    return [
        *found,
        *((f"{to_first_step}, of that {what}", [seconds], "s") for what, seconds in parts.items()),
        ("training, blocks of nine steps without validations and checkpoints", speeds, "non-pad tokens/s"),
        (to_first_step, [timings["first_step_seconds"]], "s"),
        (f"{STEPS} steps with {STEPS // EVAL_STEPS} validations and checkpoints", [actual["train_seconds"]], "s"),
    ]


def time_cells(executed: Path) -> dict[str, float]:
    """Return what a cell before training does → its seconds, as papermill wrote them."""
    found = {}
    for cell in read_json(executed)["cells"]:
        source = "".join(cell["source"]) if cell["cell_type"] == "code" else ""
        for mark, what in CELLS.items():
            if mark in source:
                found[what] = cell["metadata"]["papermill"]["duration"]
    return found


def compare_killed(work: Path, resumed: int) -> list[tuple]:
    """Return (what, values, unit): the largest |loss difference| from the run left alone, before and after."""
    found = []
    for field, kind in (("loss", "training"), ("eval_loss", "validation")):
        one, two = (read_log(run_folder(work, name), field) for name in ("bf16", "killed"))
        for first, last in ((1, resumed), (resumed + 1, STEPS)):
            gaps = [abs(one[step][field] - two[step][field]) for step in one if first <= step <= last]
            what = f"largest {kind} loss difference from the run left alone, steps {first}-{last}"
            found.append((what, [max(gaps)], "nats"))
    return found


def report(work: Path, commit: str) -> list[dict]:
    """Return the benchmark results of the runs in `work` that are finished."""
    results = []
    for name in (name for name in PRECISION if (run_folder(work, name) / "run.json").exists()):
        section = read_json(run_folder(work, name) / "run.json")["notebooks"]["03_finetune"]
        killed_at = read_json(run_folder(work, name) / "timings.json")["killed_at"]
        setting = f"03, Qwen2.5-7B NF4, {PRECISION[name]}, {taken_shape(section['plan'])}"
        setting += f", killed at step {killed_at} and resumed" if killed_at else ""
        common = {"device": section["device"], "versions": section["stamp"]["versions"]}
        common |= {"commit": commit, "date": section["finished"][:10]}
        for what, values, unit in measure(work, name, section):
            value, low, high = (float(f"{f(values):.4g}") for f in (statistics.median, min, max))
            row = {"setting": f"{setting}: {what}", "value": value, "unit": unit}
            row |= {"peak_gib": section["actual"]["peak_reserved_gib"], "repeats": len(values)}
            results.append(row | {"min": low, "max": high} | common)
    return results


def main() -> None:
    """Do the runs asked for, and write the results of all that are in --work."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", type=Path, help="folder of a 4-bit Qwen2.5-7B")
    parser.add_argument("--parts", type=Path, default=REPOSITORY / "outputs" / "h200", help="folder of 02's files")
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--only", nargs="*", choices=PRECISION, default=list(PRECISION))
    parser.add_argument("--commit", default=current_commit(), help="where the code is no git checkout")
    parser.add_argument("--results", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    arguments.work = arguments.work.resolve()
    arguments.work.mkdir(parents=True, exist_ok=True)
    for name in arguments.only:
        run(name, arguments)
    replace_rows(arguments.results, report(arguments.work, arguments.commit))


if __name__ == "__main__":
    main()
