"""The .venv beside the code: made, filled from the pinned requirements, and entered. Standard library only."""

import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import time
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
VENV = Path(os.environ.get("PARENTCARE_VENV", ROOT / ".venv"))
NEEDED_GB = {"cpu": 4, "cuda": 20}
# With torch 2.11 Unsloth calls attention for one sequence after the other unless xformers is there (a tenth of the
# speed on an H200); newer ones do it at once by themselves. Its wheel is built for CUDA 12.
XFORMERS = "xformers==0.0.35"


def enter_environment(extras: list[str]) -> None:
    """Go on inside .venv, after installing there what is missing. Raises SystemExit in one sentence."""
    python = VENV / "bin" / "python"
    if not _is_filled(extras):
        _check_machine()
        _fill(python, extras)
    if Path(sys.prefix).resolve() != VENV.resolve():
        os.execv(python, [str(python), *sys.argv])


def wanted_stamp(extras: list[str]) -> dict:
    """Return what the environment must have been made from to be used as it is."""
    names = ("requirements.txt", "requirements-unsloth.txt")
    hashes = {name: hashlib.sha256((ROOT / name).read_bytes()).hexdigest() for name in names}
    packages = sorted(requirement for extra in extras for requirement in read_extras()[extra])
    return {"python": sys.version.split()[0], **hashes, "extras": packages}


def read_extras() -> dict[str, list[str]]:
    """Return extra → requirements, as pyproject.toml lists them."""
    with open(ROOT / "pyproject.toml", "rb") as file:
        return tomllib.load(file)["project"]["optional-dependencies"]


def requirement_lines(keep_torch: bool) -> list[str]:
    """Return the requirements without comments; without torch where the machine's own is kept."""
    lines = [line.split("#")[0].strip() for line in (ROOT / "requirements.txt").read_text().splitlines()]
    return [line for line in lines if line and not (keep_torch and line.startswith("torch=="))]


def unsloth_arguments(kept_torch: str) -> list[str]:
    """Return what pip takes to install unsloth beside the machine's own torch, for example '2.11.0+cu128', or ours."""
    attention = [XFORMERS] if kept_torch.startswith("2.11.") and "+cu12" in kept_torch else []
    return ["--no-deps", "-r", str(ROOT / "requirements-unsloth.txt"), *attention]


def find_torch() -> str:
    """Return the version of this Python's torch where it is in the range and sees a GPU, worth keeping, else ''."""
    probe = (
        "import torch; version = tuple(map(int, torch.__version__.split('.')[:2])); "
        "print(torch.__version__ if torch.cuda.is_available() and (2, 11) <= version < (2, 15) else '')"
    )
    found = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True)
    return found.stdout.strip()


def _is_filled(extras: list[str]) -> bool:
    made_from, wanted = _made_from(), wanted_stamp(extras)
    packages = set(wanted.pop("extras"))
    return all(made_from.get(k) == v for k, v in wanted.items()) and packages <= set(made_from["extras"])


def _made_from() -> dict:
    """Return the stamp of what was installed; without content before that has ended."""
    try:
        return json.loads((VENV / "made_from.json").read_text())
    except (OSError, ValueError):
        return {}


def _check_machine() -> None:
    if importlib.util.find_spec("venv") is None or importlib.util.find_spec("ensurepip") is None:
        sys.exit("Python's venv module is missing; on Debian and Ubuntu: sudo apt install python3-venv")
    needed = NEEDED_GB["cuda" if shutil.which("nvidia-smi") else "cpu"]
    free = shutil.disk_usage(ROOT).free / 1e9
    if free < needed:
        sys.exit(f"{ROOT} has {free:.1f} GB free; the packages need {needed} GB")


def _fill(python: Path, extras: list[str]) -> None:
    """Make the environment and install into it, step by step."""
    kept_torch, before = find_torch(), _made_from().get("extras", [])
    if not python.exists():
        flags = ["--system-site-packages"] if kept_torch else []
        _step("making .venv", [sys.executable, "-m", "venv", *flags, str(VENV)])
    if kept_torch:
        print(f"keeping this machine's torch {kept_torch}, which sees the GPU")
    pip = [str(python), "-m", "pip", "install", "--disable-pip-version-check"]
    lines = requirement_lines(bool(kept_torch))
    torch = [line for line in lines if line.startswith("torch==")]
    # torch first and alone: any other package that needs it would take the newest CUDA build
    if torch:
        _step("installing torch (200 MB, or several GB with CUDA)", [*pip, *torch])
    _step("installing the workflow's packages", [*pip, *(line for line in lines if line not in torch)])
    _step("installing unsloth", [*pip, *unsloth_arguments(kept_torch)])
    wanted = wanted_stamp(extras)
    wanted["extras"] = sorted({*wanted["extras"], *before})
    if wanted["extras"]:
        _step(f"installing {', '.join(extras) or 'extras'}", [*pip, *wanted["extras"]])
    site = next((VENV / "lib").glob("python*")) / "site-packages"
    (site / "parentcare.pth").write_text(f"{ROOT}\n")
    (VENV / "made_from.json").write_text(json.dumps(wanted))


def _step(title: str, command: list[str]) -> None:
    """Run one installation step, its output kept in .venv/install.log. Raises SystemExit with its end."""
    print(f"{title} …", end="", flush=True)
    started = time.time()
    done = subprocess.run(command, capture_output=True, text=True)
    output = done.stdout + done.stderr
    if VENV.exists():
        with open(VENV / "install.log", "a", encoding="utf-8") as log:
            log.write(f"$ {' '.join(command)}\n{output}\n")
    print(f" {time.time() - started:.0f} s", flush=True)
    if done.returncode:
        no_network = any(s in output for s in ("Max retries", "name resolution", "NewConnectionError", "timed out"))
        reason = "pip could not reach a package index; check the network or the proxy" if no_network else "see below"
        last = "\n".join(line for line in output.splitlines() if not line.startswith("WARNING"))[-1500:]
        sys.exit(f"{title} failed: {reason}. The whole output is in {VENV / 'install.log'}\n{last}")
