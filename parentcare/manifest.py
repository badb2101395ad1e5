"""Run folders, run.json, and the stamps that tell whether a notebook's outputs are still current.

Standard library only: run.py imports this before anything is installed.
"""

import ast
import contextlib
import datetime
import hashlib
import json
import os
import re
import subprocess
import sys
import time
from importlib import metadata
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
HOME = Path(os.environ.get("PARENTCARE_HOME", REPOSITORY)).resolve()
OUTPUT_JSONL = HOME / "data" / "output.jsonl"
STAMPED_PACKAGES = (
    "accelerate bitsandbytes bm25s datasets kiwipiepy kiwipiepy_model peft pypdfium2 python-hwpx "
    "scikit-learn torch transformers trl unsloth unsloth_zoo"
).split()
UNSTAMPED_PARAMETERS = {"RUN", "FRESH", "HARVEST_CONTACT"}
IMPORTED = re.compile(r"parentcare\.(\w+)")
_STARTED = time.time()


def write_atomically(path: Path, content: str | bytes) -> Path:
    """Return `path` after replacing its content in one step: a kill leaves the old file whole."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with open(beside, "wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)
    return path


def write_json(path: Path, value) -> Path:
    """Return `path` after writing `value` there as indented UTF-8 JSON."""
    return write_atomically(path, json.dumps(value, ensure_ascii=False, indent=1) + "\n")


def read_json(path: Path, default=None):
    """Return the JSON value in `path`, or `default` where there is no such file."""
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return default
    except ValueError as error:
        raise ValueError(f"{path} is not JSON ({error}); delete it, or give --run NEW") from error


def sha256(path: Path) -> str | None:
    """Return the SHA-256 of a file, or of the names and contents in a folder; None if missing."""
    path = Path(path)
    if path.is_dir():
        names = sorted(p for p in path.rglob("*") if p.is_file() and not p.name.startswith("."))
        lines = [f"{p.relative_to(path).as_posix()} {sha256(p)}" for p in names]
        return hashlib.sha256("\n".join(lines).encode(errors="surrogateescape")).hexdigest()
    if not path.is_file():
        return None
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def short_path(path: Path) -> str:
    """Return `path` relative to the project's home where it lies inside, else as it is."""
    path = Path(os.path.abspath(path))
    return path.relative_to(HOME).as_posix() if path.is_relative_to(HOME) else str(path)


def format_seconds(seconds: float) -> str:
    """Return '1:02:03' or '2:03'."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def run_folder(run: str) -> Path:
    """Return outputs/<run>, made if missing. Raises ValueError for a name that is no folder name."""
    if not re.fullmatch(r"[\w][\w.\-]*", run):
        raise ValueError(f"RUN is {run!r}; use letters, digits, '.', '_' and '-'")
    folder = HOME / "outputs" / run
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def read_run(run: str) -> dict:
    """Return the content of outputs/<run>/run.json, or an empty record."""
    return read_json(HOME / "outputs" / run / "run.json", {"run": run, "notebooks": {}})


def require(path: Path, made_by: str) -> Path:
    """Return `path`. Raises FileNotFoundError that names the notebook which makes it."""
    if not Path(path).exists():
        raise FileNotFoundError(f"{short_path(path)} is missing; notebook {made_by} makes it")
    return Path(path)


def record(notebook: str, run: str, namespace: dict, **entry) -> dict:
    """Return the notebook's section of run.json after replacing it whole.

    `namespace` is the notebook's globals(); `entry` has `reads` and `writes`, lists of paths, and what else it found.
    """
    section = {
        "finished": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "seconds": round(time.time() - _STARTED, 1),
        "commit": current_commit(),
        "python": sys.version.split()[0],
        "stamp": make_stamp(notebook, {name: namespace[name] for name in notebook_parameters(notebook)}),
        **entry,
        "reads": {short_path(p): sha256(p) for p in entry["reads"]},
        "writes": {short_path(p): sha256(p) for p in entry["writes"]},
    }
    content = read_run(run)
    content["notebooks"][notebook] = section
    write_json(run_folder(run) / "run.json", content)
    return section


def current_commit() -> str:
    """Return the commit that is checked out, '+changes' if the tree differs, or 'unknown'."""
    describe = ["git", "describe", "--always", "--exclude=*", "--abbrev=12", "--dirty=+changes"]
    try:
        return subprocess.run(describe, cwd=REPOSITORY, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def mark_unfinished(notebook: str, run: str) -> None:
    """Note in run.json that the notebook is at work again: what a kill leaves is not what its section says."""
    content = read_run(run)
    if notebook in content["notebooks"]:
        content["notebooks"][notebook]["unfinished"] = True
        write_json(run_folder(run) / "run.json", content)


def refuse_finished(notebook: str, run: str, fresh: bool) -> None:
    """Raise FileExistsError where all that the notebook writes is there and FRESH is not set."""
    section = read_run(run)["notebooks"].get(notebook)
    if (
        section
        and not section.get("unfinished")
        and not fresh
        and all((HOME / path).exists() for path in section["writes"])
    ):
        raise FileExistsError(
            f"run '{run}' is finished ({section['finished']}) and is not overwritten unasked: "
            "set FRESH = True (--fresh) to make it again, or another RUN (--run NEW) to keep it"
        )


def notebook_path(notebook: str) -> Path:
    """Return the file of a notebook named like '02_explore_data' or 'optional/tune'."""
    return REPOSITORY / "notebooks" / f"{notebook}.ipynb"


def code_cells(notebook: str) -> list[tuple[str, list[str]]]:
    """Return (source, tags) of each code cell of the notebook on disk, in order."""
    cells = json.loads(notebook_path(notebook).read_text(encoding="utf-8"))["cells"]
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    return [("".join(cell["source"]), cell["metadata"].get("tags", [])) for cell in code]


def notebook_parameters(notebook: str) -> dict:
    """Return name → default of the cell tagged `parameters`, which holds literals only."""
    source = next((s for s, tags in code_cells(notebook) if "parameters" in tags), "")
    assignments = [node for node in ast.parse(source).body if isinstance(node, ast.Assign)]
    return {node.targets[0].id: ast.literal_eval(node.value) for node in assignments}


def read_settings(notebook: str, file: str) -> dict:
    """Return the parameters of `notebook` that `file` of optional/tune sets, none for "". Raises ValueError."""
    if not file:
        return {}
    path = require(HOME / file, "optional/tune")
    settings, known = read_json(path).get("settings", {}), notebook_parameters(notebook)
    unknown = sorted(settings.keys() - known.keys())
    if unknown or not settings:
        raise ValueError(
            f"{short_path(path)} sets {', '.join(unknown) or 'nothing'}; "
            f"expected `settings` with parameters of {notebook}: {', '.join(known)}"
        )
    return settings


def package_files(source: str) -> list[Path]:
    """Return the files of what the source imports of parentcare, directly or through its folders.

    Figures, and what only prepares Colab, change no result.
    """
    found, waiting, files = {"figures", "colab"}, IMPORTED.findall(source), []
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            module = REPOSITORY / "parentcare" / name
            inside = sorted([*module.glob("*.py"), *module.glob("*.jinja")])
            waiting += [name for path in inside for name in IMPORTED.findall(path.read_text(encoding="utf-8"))]
            files += inside or [module.with_suffix(".py")]
    return sorted(files)


def make_stamp(notebook: str, parameters: dict) -> dict:
    """Return the hashes of code cells and package files, the parameters, and the versions."""
    parameters = parameters | read_settings(notebook, parameters.get("SETTINGS_FILE", ""))
    source = "\n".join(s for s, tags in code_cells(notebook) if "parameters" not in tags)
    package = " ".join(sha256(path) for path in package_files(source))
    versions = {}
    for name in STAMPED_PACKAGES:
        with contextlib.suppress(metadata.PackageNotFoundError):
            versions[name] = metadata.version(name)
    return {
        "code": hashlib.sha256(source.encode()).hexdigest(),
        "package": hashlib.sha256(package.encode()).hexdigest(),
        # through JSON, so that a tuple equals the list that run.json gives back
        "parameters": json.loads(json.dumps({k: v for k, v in parameters.items() if k not in UNSTAMPED_PARAMETERS})),
        "versions": versions,
    }


def check_current(notebook: str, run: str, overrides: dict) -> tuple[str, list[str]]:
    """Return ('current' | 'edited', by hand, to be kept | 'stale' | 'missing', reasons) for a notebook's outputs."""
    section = read_run(run)["notebooks"].get(notebook)
    if section is None:
        return "missing", ["it has not run"]
    if section.get("unfinished"):
        return "missing", ["it was begun again and did not end"]
    now = {path: sha256(HOME / path) for path in section["writes"]}
    if missing := [path for path, digest in now.items() if digest is None]:
        return "missing", [f"{path} is not there" for path in missing]
    if edited := [path for path, digest in now.items() if digest != section["writes"][path]]:
        return "edited", edited
    reasons = [f"{path} changed" for path, digest in section["reads"].items() if sha256(HOME / path) != digest]
    reasons += stamp_differences(section["stamp"], make_stamp(notebook, notebook_parameters(notebook) | overrides))
    return ("stale" if reasons else "current"), reasons


def stamp_differences(old: dict, new: dict) -> list[str]:
    """Return in words what differs between two stamps: 'MAX_STEPS 30 → 40', 'code cells changed'."""
    reasons = []
    for kind in ("parameters", "versions"):
        for name in sorted(old[kind] | new[kind]):
            before, after = old[kind].get(name), new[kind].get(name)
            if before != after:
                reasons.append(f"{name} {before!r} → {after!r}")
    words = {"code": "code cells changed", "package": "package code changed"}
    return reasons + [words[key] for key in words if old[key] != new[key]]
