"""A run killed with SIGKILL goes on, and ends where an uninterrupted one ends."""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import psutil

from tests.conftest import REPOSITORY

SETTINGS = {"RUN": "demo", "MAX_STEPS": 8, "EVAL_STEPS": 2, "MAX_NEW_TOKENS": 8}


def make_home(demo_home: Path, home: Path) -> Path:
    """Return a home with the demo base of the shared run and a few of its records."""
    source, target = demo_home / "outputs" / "demo", home / "outputs" / "demo"
    target.mkdir(parents=True)
    shutil.copytree(source / "base", target / "base")
    for part, rows in (("train", 64), ("validation", 8)):
        kept = (source / f"{part}.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)[:rows]
        (target / f"{part}.jsonl").write_text("".join(kept), encoding="utf-8")
    return home


def start(home: Path) -> subprocess.Popen:
    code = f"from parentcare.runner import execute; execute('03_finetune', 'demo', {SETTINGS!r}, 300)"
    command = [sys.executable, "-c", code]
    environment = os.environ | {"PARENTCARE_HOME": str(home), "UNSLOTH_FORCE_CPU": "1"}
    return subprocess.Popen(
        command, cwd=REPOSITORY, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def kill_everything(process: subprocess.Popen) -> None:
    for child in [*psutil.Process(process.pid).children(recursive=True), process]:
        child.kill()
    process.wait()


def wait_for(path: Path, process: subprocess.Popen, seconds: float = 120) -> None:
    deadline = time.time() + seconds
    while not path.exists():
        assert process.poll() is None and time.time() < deadline, process.stdout.read()[-2000:]
        time.sleep(0.05)


def losses(home: Path) -> dict[int, float]:
    rows = [json.loads(line) for line in (home / "outputs" / "demo" / "log.jsonl").read_text().splitlines()]
    return {row["step"]: row["loss"] for row in rows if "loss" in row}


def test_a_killed_run_continues_and_ends_with_the_losses_of_an_uninterrupted_one(demo_home, tmp_path):
    whole = start(make_home(demo_home, tmp_path / "whole"))
    output = whole.communicate(timeout=240)[0]
    assert whole.returncode == 0, output[-3000:]

    home = make_home(demo_home, tmp_path / "killed")
    first = start(home)
    wait_for(home / "outputs" / "demo" / "checkpoints" / "checkpoint-4" / "complete", first)
    kill_everything(first)
    assert not (home / "outputs" / "demo" / "adapter").exists()

    second = start(home)
    output = second.communicate(timeout=240)[0]
    assert second.returncode == 0, output[-3000:]
    copy = (home / "outputs" / "demo" / "notebooks" / "03_finetune.ipynb").read_text(encoding="utf-8")
    assert "going on from outputs/demo/checkpoints/checkpoint-" in copy
    one, two = losses(tmp_path / "whole"), losses(home)
    assert list(one) == list(two) == list(range(1, 9))
    assert max(abs(one[step] - two[step]) for step in one) <= 1e-3
