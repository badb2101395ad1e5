"""Executing one notebook with papermill in a process of its own, and telling how far it is."""

import collections
import ctypes
import json
import os
import queue
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

from parentcare import manifest
from parentcare.manifest import format_seconds, short_path
from parentcare.ranks import launch_command

# Waiting threads of torch that spin make a tiny model five times slower on a machine with anything else to do.
QUIET_ENVIRONMENT = {
    "OMP_WAIT_POLICY": "passive",
    "TQDM_DISABLE": "1",
    "PYDEVD_DISABLE_FILE_VALIDATION": "1",
    "JUPYTER_PLATFORM_DIRS": "1",
}
CELL = re.compile(r"^Executing Cell (\d+)-+$")
SHOWN = re.compile(r"^(step|row|trial) +\d")


def execute(notebook: str, run: str, parameters: dict, limit_seconds: float, show=print) -> Path:
    """Return the executed copy, which several GPUs do not leave. Raises SystemExit with the error's last lines."""
    copy = manifest.run_folder(run) / "notebooks" / f"{notebook}.ipynb"
    copy.parent.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "papermill", str(manifest.notebook_path(notebook)), str(copy), "-k", "python3"]
    command += ["--log-output", "--no-progress-bar", "--no-request-save-on-cell-execute"]
    command += ["--parameters_yaml", json.dumps(parameters)]
    if parameters.get("GPUS", 1) > 1:
        command = launch_command(notebook, parameters["GPUS"], parameters)
    process = subprocess.Popen(
        command,
        cwd=manifest.REPOSITORY / "notebooks",
        env=QUIET_ENVIRONMENT | os.environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        preexec_fn=_die_with_parent,
    )
    try:
        cell, last_lines = _follow(process, notebook, run, limit_seconds, show)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
    if process.wait() != 0:
        sys.exit(_describe_failure(notebook, copy, cell, last_lines))
    return copy


def make_missing(path: Path, notebook: str, run: str, parameters: dict) -> Path:
    """Return `path`, after running the notebook that makes it where it is missing, as on a Colab machine of its own."""
    if not path.exists():
        print(f"{short_path(path)} is missing, so {notebook} is run first", flush=True)
        execute(notebook, run, parameters | {"RUN": run}, 24 * 3600)
    return path


def _die_with_parent() -> None:
    """Ask Linux to end this process when run.py is killed: no second writer stays behind."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


def _follow(process, notebook: str, run: str, limit_seconds: float, show) -> tuple[int, list[str]]:
    """Return (the last cell that was begun, the output's last lines) when the process has ended or its time is up."""
    lines: queue.Queue = queue.Queue()
    threading.Thread(target=lambda: [*map(lines.put, process.stdout), lines.put(None)], daemon=True).start()
    # papermill adds a cell with the parameters
    total = len(manifest.read_json(manifest.notebook_path(notebook))["cells"]) + 1
    expected = expected_seconds(notebook, run)
    started, cell, last = time.time(), 0, collections.deque(maxlen=12)
    try:
        while line := lines.get(timeout=max(0, min(started + limit_seconds - time.time(), threading.TIMEOUT_MAX))):
            last.append(line.rstrip())
            took = time.time() - started
            if match := CELL.match(last[-1]):
                cell = int(match[1])
                left = f", about {format_seconds(max(0, expected - took))} left" if expected else ""
                show(f"{notebook}  cell {cell} of {total}  {format_seconds(took)}{left}")
            elif SHOWN.match(line):
                show(f"{notebook}  {last[-1]}")
    except queue.Empty:
        last.append(f"stopped: it ran longer than the limit of {limit_seconds / 60:.0f} minutes (--time-limit)")
    return cell, list(last)


def expected_seconds(notebook: str, run: str) -> float | None:
    """Return how long the notebook took the last time, in this run or in the published one of its name."""
    published = manifest.read_json(manifest.REPOSITORY / "outputs" / "published" / run / "run.json", {"notebooks": {}})
    sections = published["notebooks"] | manifest.read_run(run)["notebooks"]
    return sections[notebook]["seconds"] if notebook in sections else None


def _describe_failure(notebook: str, copy: Path, cell: int, last_lines: list[str]) -> str:
    """Return the notebook, the cell's first line, the last lines of the error, and the executed copy."""
    source = ""
    for index, found in enumerate(manifest.read_json(copy, {"cells": []})["cells"], start=1):
        for output in found.get("outputs", []):
            if output["output_type"] == "error":
                cell, source = index, "".join(found["source"]).partition("\n")[0]
                last_lines = [f"{output['ename']}: {output['evalue']}"]
    tail = "\n".join(last_lines)
    return f"\n{notebook} failed in cell {cell}: {source}\n{tail}\nThe executed copy: {short_path(copy)}"


def print_summary(run: str, notebooks: list[str], ran: list[str], seconds: float) -> None:
    """Print what each notebook wrote, and where the time went."""
    sections = manifest.read_run(run)["notebooks"]
    print(f"\n{'notebook':<18} {'time':>7}  written")
    for notebook in notebooks:
        took = format_seconds(sections[notebook]["seconds"]) if notebook in ran else "skipped"
        for row, path in enumerate(sections[notebook]["writes"] or ["nothing"]):
            print(f"{notebook if row == 0 else '':<18} {took if row == 0 else '':>7}  {path}")
    print(f"{'in all':<18} {format_seconds(seconds):>7}  {short_path(manifest.HOME / 'outputs' / run)}/run.json")


def show_line(line: str) -> None:
    """Print the line; on a terminal it takes the place of the last one."""
    if sys.stdout.isatty():
        print(f"\r\033[K{line[:110]}", end="" if "cell" in line else "\n", flush=True)
    else:
        print(line, flush=True)
