"""Kill notebook 03 with SIGKILL again and again, go on each time, and compare its end with a run left alone.

Of four kills two fall at a random moment of training, one while a checkpoint is being written, and one anywhere
between the start of the process and its end. Losses are compared, never quoted: the demo's tell nothing. To repeat it,

    PYTHONPATH=. python benchmarks/kills.py --work FOLDER                                      (the CPU demo, 20 kills)
    PYTHONPATH=. python benchmarks/kills.py --work FOLDER --gpu --base FOLDER --parts FOLDER   (one GPU, five kills)
    ... --gpu ... --oom 16    (also: at most 16 GiB from the first step on, and no kill)

after the demo, `python3 run.py --demo`, or 02 with the base's tokenizer.
"""

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil

from parentcare.manifest import HOME, REPOSITORY, code_cells, read_json, write_json
from parentcare.model.training import COMPLETE_MARK, is_complete
from parentcare.runner import QUIET_ENVIRONMENT

RESULTS = REPOSITORY / "benchmarks" / "results"
ROWS = {"train": 200, "validation": 16}
CPU_SETTINGS = {"MAX_STEPS": 30, "EVAL_STEPS": 3, "MAX_NEW_TOKENS": 8, "CHECK_RELOAD": False}
GPU_SETTINGS = CPU_SETTINGS | {"EVAL_STEPS": 6}
KINDS = ("training", "checkpoint", "training", "anywhere")
NOTEBOOK = "from parentcare.runner import execute; execute('03_finetune', {run!r}, {settings!r}, 1800)"
CELLS = "from kills import run_cells; run_cells({settings!r}, {cap_gib!r})"


def make_home(home: Path, run: str, parts: Path, rows: dict[str, int]) -> Path:
    """Return outputs/<run> in `home` with the demo base, where `parts` has one, and the first rows of the parts."""
    folder = home / "outputs" / run
    folder.mkdir(parents=True)
    if (parts / "base").exists():
        shutil.copytree(parts / "base", folder / "base")
    for part, count in rows.items():
        lines = (parts / f"{part}.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)[:count]
        (folder / f"{part}.jsonl").write_text("".join(lines), encoding="utf-8")
    return folder


def start(folder: Path, settings: dict, cap_gib: float | None = None) -> subprocess.Popen:
    """Return notebook 03 at work in `folder`, or with `cap_gib` its cells; what it prints goes to printed.txt."""
    code = NOTEBOOK if cap_gib is None else CELLS
    code = code.format(run=folder.name, settings=settings | {"RUN": folder.name}, cap_gib=cap_gib)
    paths = os.pathsep.join([str(REPOSITORY), str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
    environment = QUIET_ENVIRONMENT | os.environ | {"PARENTCARE_HOME": str(folder.parents[1]), "PYTHONPATH": paths}
    with open(folder / "printed.txt", "w", encoding="utf-8") as printed:
        command = [sys.executable, "-u", "-c", code]
        return subprocess.Popen(command, cwd=folder, env=environment, stdout=printed, stderr=subprocess.STDOUT)


def run_cells(settings: dict, cap_gib: float) -> None:
    """Run the code cells of 03 in this process, with at most `cap_gib` GiB of the GPU from the training on."""
    namespace = {"__name__": "__main__"}
    for source, tags in code_cells("03_finetune"):
        if "train_to_the_end(" in source:
            import torch

            torch.cuda.set_per_process_memory_fraction(cap_gib * 2**30 / torch.cuda.mem_get_info()[1])
        exec(compile(source, "03_finetune", "exec"), namespace)
        namespace |= settings if "parameters" in tags else {}


def wait_for(condition, process: subprocess.Popen, seconds: float = 600) -> bool:
    """Return whether the condition came true, False where the process ended before. Raises TimeoutError."""
    deadline = time.time() + seconds
    while not condition():
        if process.poll() is not None:
            return False
        if time.time() > deadline:
            raise TimeoutError(f"nothing came in {seconds:.0f} s")
        time.sleep(0.001)
    return True


def family(process: subprocess.Popen) -> list[int]:
    """Return the ids of the process and of all below it: papermill, the Jupyter kernel."""
    children = psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []
    return [*(child.pid for child in children), process.pid]


def kill(process: subprocess.Popen, known: list[int]) -> None:
    """Send SIGKILL to the `known` at once, then to whatever was started since."""
    for pid in [*known, *set(family(process)) - set(known)]:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
    process.wait()


def checkpoints(folder: Path, complete: bool = True) -> list[int]:
    """Return the steps of the checkpoints that are whole, or of the others."""
    found = (folder / "checkpoints").glob("checkpoint-*")
    return sorted(int(path.name.split("-")[1]) for path in found if is_complete(path) == complete)


def being_written(folder: Path) -> set[str]:
    """Return the names of the checkpoints that have no mark yet."""
    return {path.name for path in (folder / "checkpoints").glob("checkpoint-*") if not (path / COMPLETE_MARK).exists()}


def log_rows(folder: Path, field: str = "loss") -> dict[int, float]:
    """Return step → value of the whole lines of log.jsonl that have the field."""
    path = folder / "log.jsonl"
    lines = path.read_text(encoding="utf-8").split("\n")[:-1] if path.exists() else []
    rows = [row for row in map(json.loads, lines) if field in row]
    assert len({row["step"] for row in rows}) == len(rows), "a step is in the log twice"
    return {row["step"]: row[field] for row in rows}


def printed_steps(folder: Path) -> list[int]:
    """Return the steps whose loss the last process printed (03 prints each where there are fewer than 60)."""
    lines = (folder / "printed.txt").read_text(encoding="utf-8").splitlines()
    found = [line.split("step", 1)[1].split() for line in lines if "  loss " in line and "step " in line]
    return [int(words[0]) for words in found]


def follow_and_kill(process: subprocess.Popen, folder: Path, kind: str, seconds: dict[str, float]) -> bool:
    """Return whether the process was killed, at a moment of that kind, before it ended by itself."""
    left_behind = being_written(folder)
    until = time.time() + random.uniform(0, seconds["whole"])
    if kind != "anywhere":
        if not wait_for(lambda: printed_steps(folder), process):
            return False
        until = time.time() + random.uniform(0, seconds["training"] / 2)
    known = family(process)
    if kind == "checkpoint":
        came = wait_for(lambda: being_written(folder) - left_behind, process)
    else:
        came = wait_for(lambda: time.time() > until, process)
    if came:
        kill(process, known)
    return came


def describe_moment(folder: Path, every_steps: int) -> str:
    """Return what a killed process was doing, by what it left behind."""
    if not printed_steps(folder):
        return "at the start"
    if checkpoints(folder, complete=False):
        return "while a checkpoint was being written"
    last = max(log_rows(folder), default=0)
    if last and last % every_steps == 0 and last not in log_rows(folder, "eval_loss"):
        return "in a validation"
    return "in a step" if last not in checkpoints(folder) else "right after a checkpoint"


def finish(process: subprocess.Popen, folder: Path) -> None:
    """Wait for the end of the run. Exits with what it printed where it failed."""
    if process.wait():
        sys.exit((folder / "printed.txt").read_text(encoding="utf-8")[-3000:])


def largest_gaps(one: Path, two: Path) -> dict[str, float]:
    """Return the largest |difference| of training and validation losses between two finished runs."""
    gaps = {}
    for field in ("loss", "eval_loss"):
        a, b = log_rows(one, field), log_rows(two, field)
        assert a.keys() == b.keys(), (field, a.keys() ^ b.keys())
        gaps[field] = max(abs(a[step] - b[step]) for step in a)
    return gaps


def run_left_alone(folder: Path, settings: dict) -> dict[str, float]:
    """Return the seconds of the whole run and of its training."""
    begun = time.time()
    finish(start(folder, settings), folder)
    log = (folder / "log.jsonl").read_text(encoding="utf-8").splitlines()
    return {"whole": time.time() - begun, "training": json.loads(log[-1])["seconds"]}


def kill_again_and_again(make_folder, settings: dict, kills: int, seconds: dict[str, float]) -> tuple[list, list]:
    """Return (what each kill met, the folders of the finished runs): a run that ends is followed by another."""
    met, folders = [], []
    while len(met) < kills:
        if not folders or (folders[-1] / "run.json").exists():
            folders.append(make_folder(len(folders)))
        folder, expected = folders[-1], max(checkpoints(folders[-1]), default=0)
        process = start(folder, settings)
        killed = follow_and_kill(process, folder, KINDS[len(met) % len(KINDS)], seconds)
        first = next(iter(printed_steps(folder)), expected + 1)
        if first != expected + 1:
            sys.exit(f"the newest whole checkpoint was of step {expected}, and the run went on with step {first}")
        if killed:
            met.append({"moment": describe_moment(folder, settings["EVAL_STEPS"]), "gib": size_gib(folder)})
            print(f"kill {len(met)} of {kills}, having gone on from step {expected}: {met[-1]['moment']}", flush=True)
        else:
            finish(process, folder)
    if not (folders[-1] / "run.json").exists():
        finish(start(folders[-1], settings), folders[-1])
    return met, folders


def size_gib(folder: Path) -> float:
    """Return the size of everything that the run has written."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 2**30


def report(setting: str, section: dict, values: list[tuple]) -> list[dict]:
    """Return the benchmark rows of (what, values, unit) from one run's section of run.json."""
    actual = section["actual"]
    peak = actual.get("peak_reserved_gib", actual.get("peak_resident_gib"))
    common = {"device": section["device"], "versions": section["stamp"]["versions"]}
    common |= {"commit": section["commit"], "date": section["finished"][:10]}
    rows = []
    for what, found, unit in values:
        numbers = [float(f"{number:.4g}") for number in found]
        row = {"setting": f"{setting}: {what}", "value": max(numbers), "unit": unit, "peak_gib": peak}
        rows.append(row | {"repeats": len(numbers), "min": min(numbers), "max": max(numbers)} | common)
    return rows


def run_killed(work: Path, run: str, options: argparse.Namespace, settings: dict) -> list[dict]:
    """Return the benchmark rows of a run left alone and of runs killed again and again."""

    def make_folder(name) -> Path:
        return make_home(work / str(name), run, options.parts, ROWS)

    whole = make_folder("whole")
    seconds = run_left_alone(whole, settings)
    met, folders = kill_again_and_again(make_folder, settings, options.kills, seconds)
    gaps = [largest_gaps(whole, folder) for folder in folders]
    moments = {moment: [m["moment"] for m in met].count(moment) for moment in sorted({m["moment"] for m in met})}
    section = read_json(whole / "run.json")["notebooks"]["03_finetune"]
    setting = (
        f"03 on {section['device']}, {settings['MAX_STEPS']} steps, killed {len(met)} times in {len(folders)} runs"
    )
    return report(
        setting,
        section,
        [
            ("largest training loss difference from the run left alone", [gap["loss"] for gap in gaps], "nats"),
            ("largest validation loss difference from the run left alone", [gap["eval_loss"] for gap in gaps], "nats"),
            ("goes that did not begin after the newest whole checkpoint", [0], "goes"),
            ("run folder at a kill, against the run left alone", [m["gib"] / size_gib(whole) for m in met], "times"),
            *((f"killed {moment}", [count], "kills") for moment, count in moments.items()),
        ],
    )


def run_out_of_memory(work: Path, run: str, options: argparse.Namespace, settings: dict) -> list[dict]:
    """Return the benchmark rows of a run whose memory is capped when training begins, so that it must step down."""
    folders = [make_home(work / name, run, options.parts, ROWS) for name in ("uncapped", "capped")]
    finish(start(folders[0], settings), folders[0])
    finish(start(folders[1], settings, options.oom), folders[1])
    gaps, section = largest_gaps(*folders), read_json(folders[1] / "run.json")["notebooks"]["03_finetune"]
    steps_down = section["actual"]["steps_down"]
    shapes = " → ".join([steps_down[0]["from"], *(down["to"] for down in steps_down)]) if steps_down else "no step down"
    return report(
        f"03 on {section['device']}, {settings['MAX_STEPS']} steps, at most {options.oom:g} GiB: {shapes}",
        section,
        [
            ("largest training loss difference from the run without the cap", [gaps["loss"]], "nats"),
            ("largest validation loss difference from the run without the cap", [gaps["eval_loss"]], "nats"),
            ("steps down", [len(steps_down)], "steps"),
            ("optimizer steps lost", [sum(d["after_step"] - d["goes_on_from"] for d in steps_down)], "steps"),
        ],
    )


def main() -> None:
    """Kill, or cap, and write the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, help="an empty folder")
    parser.add_argument("--gpu", action="store_true", help="the recipe on a GPU, with --base and --parts")
    parser.add_argument("--base", type=Path, help="folder of a 4-bit Qwen2.5-7B")
    parser.add_argument("--parts", type=Path, default=HOME / "outputs" / "demo", help="folder of 02's files")
    parser.add_argument("--kills", type=int, help="20 on a CPU, five on a GPU")
    parser.add_argument("--oom", type=float, metavar="GIB", help="cap the GPU's memory instead of killing")
    parser.add_argument("--seed", type=int, default=3407)
    options = parser.parse_args()
    random.seed(options.seed)
    options.kills = options.kills or (5 if options.gpu else 20)
    settings, run = dict(CPU_SETTINGS), "demo"
    if options.gpu:
        settings, run = GPU_SETTINGS | {"BASE_MODEL": str(options.base.resolve())}, "kills"
    make_rows = run_killed if options.oom is None else run_out_of_memory
    rows = make_rows(options.work.resolve(), run, options, settings)
    name = "oom_gpu" if options.oom is not None else "kills_gpu" if options.gpu else "kills_cpu"
    write_json(RESULTS / f"{name}.json", rows)
    print(json.dumps([{k: row[k] for k in ("setting", "value", "unit")} for row in rows], indent=1, ensure_ascii=False))


if __name__ == "__main__":
    main()
