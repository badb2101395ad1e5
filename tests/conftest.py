"""One demo run for the whole suite: run.py in a folder of its own, as a user would start it."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import hypothesis
import pytest

# no timings in tests: a busy machine is no fault of the code
hypothesis.settings.register_profile("suite", deadline=None)
hypothesis.settings.load_profile("suite")

REPOSITORY = Path(__file__).resolve().parents[1]
QWEN_TOKENIZER = REPOSITORY.parent / "shared" / "tokenizer-qwen2.5"


def run_py_options(home: Path, *words: str) -> dict:
    """Return what subprocess needs to run `run.py` with its outputs under `home`, on the CPU."""
    environment = os.environ | {"PARENTCARE_HOME": str(home), "OMP_NUM_THREADS": "2"}
    return {"args": [sys.executable, str(REPOSITORY / "run.py"), *words], "env": environment, "text": True}


def run_py(home: Path, *words: str, timeout: float = 540) -> subprocess.CompletedProcess:
    """Return the finished `run.py`."""
    return subprocess.run(**run_py_options(home, *words), capture_output=True, timeout=timeout)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items):
    """Put the tests that need the demo run last: it runs beside the others."""
    items.sort(key=_needs_demo_run)


def _needs_demo_run(item: pytest.Item) -> bool:
    return "demo_home" in item.fixturenames


@pytest.fixture(scope="session", autouse=True)
def demo_run(request, tmp_path_factory):
    """Return (home, the main job with 05 and 06 after it, on the sample data), begun with the first test of all."""
    if not any(map(_needs_demo_run, request.session.items)):
        yield None
        return
    home = tmp_path_factory.mktemp("home")
    shutil.copytree(REPOSITORY / "data", home / "data")
    with open(home / "first_run.txt", "w", encoding="utf-8") as printed:
        options = run_py_options(home, "--demo", "--with", "05,06")
        process = subprocess.Popen(**options, stdout=printed, stderr=subprocess.STDOUT)
        yield home, process
        process.kill()
        process.wait()


@pytest.fixture(scope="session")
def demo_home(demo_run) -> Path:
    """Return the home in which the demo run has ended."""
    home, process = demo_run
    assert process.wait(timeout=900) == 0, (home / "first_run.txt").read_text(encoding="utf-8")[-6000:]
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
