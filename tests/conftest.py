"""One demo run for the whole suite: run.py in a folder of its own, as a user would start it."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]
QWEN_TOKENIZER = REPOSITORY.parent / "shared" / "tokenizer-qwen2.5"


def run_py(home: Path, *words: str, timeout: float = 540) -> subprocess.CompletedProcess:
    """Return the finished `run.py` with its outputs under `home`, on the CPU."""
    environment = os.environ | {"PARENTCARE_HOME": str(home), "OMP_NUM_THREADS": "2"}
    command = [sys.executable, str(REPOSITORY / "run.py"), *words]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=timeout)


@pytest.fixture(scope="session")
def demo_home(tmp_path_factory) -> Path:
    """Return a home in which the main job, and 05 and 06 after it, have run once on the sample data."""
    home = tmp_path_factory.mktemp("home")
    shutil.copytree(REPOSITORY / "data", home / "data")
    done = run_py(home, "--demo", "--with", "05,06", timeout=900)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    (home / "first_run.txt").write_text(done.stdout, encoding="utf-8")
    return home


@pytest.fixture(scope="session")
def demo_record(demo_home) -> dict:
    """Return run.json of the demo run."""
    return json.loads((demo_home / "outputs" / "demo" / "run.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="session")
def sample_records() -> list[dict]:
    """Return the records of the shipped output.jsonl."""
    with open(REPOSITORY / "data" / "output.jsonl", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


@pytest.fixture(scope="session")
def demo_tokenizer(sample_records, tmp_path_factory):
    """Return a demo tokenizer trained on a part of the sample records."""
    from parentcare.model.demo import train_tokenizer

    return train_tokenizer(sample_records[:100], tmp_path_factory.mktemp("tokenizer"))


@pytest.fixture(scope="session", params=["demo", "qwen2.5"])
def tokenizer(request, demo_tokenizer):
    """Return the demo's tokenizer, then the real Qwen2.5 one where it lies beside the clone."""
    if request.param == "demo":
        return demo_tokenizer
    if not QWEN_TOKENIZER.exists():
        pytest.skip(f"{QWEN_TOKENIZER.name} is not beside this clone")
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(QWEN_TOKENIZER)
