"""What a notebook needs on Colab before its first import. Elsewhere nobody calls this."""

import os
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path

# The one place that says where the project is published: every badge and clone cell is held to it by a test.
REPOSITORY, TAG = "WOOJINIYA/ParentCare", "v0.1.0"
# The session runs on these: another version under it breaks it.
COLABS_OWN = ("jupyterlab", "ipykernel")
DRIVE_FOLDER = "/content/drive/MyDrive/ParentCare"


def prepare(use_drive: bool, extra: str = "") -> None:
    """Install the pinned packages, keeping Colab's torch, and choose where data and outputs are kept.

    `extra` names the packages of pyproject.toml that this notebook needs beside the others.
    """
    from parentcare.environment import ROOT, read_extras, requirement_lines, unsloth_arguments

    if not _find_version("unsloth"):
        _pip([line for line in requirement_lines(keep_torch=True) if not line.startswith(COLABS_OWN)])
        _pip(unsloth_arguments(_find_version("torch")))
    missing = [line for line in read_extras().get(extra, []) if not _find_version(line.split("==")[0])]
    if missing:
        _pip(missing)
    if use_drive:
        from google.colab import drive

        drive.mount("/content/drive")
        os.environ["PARENTCARE_HOME"] = DRIVE_FOLDER
        if not Path(DRIVE_FOLDER, "data").exists():
            shutil.copytree(ROOT / "data", Path(DRIVE_FOLDER, "data"))
        # the package read its home before Drive was there
        for name in [n for n in sys.modules if n.startswith("parentcare")]:
            del sys.modules[name]


def _find_version(package: str) -> str:
    """Return the version that is installed, '' where none is."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""


def _pip(arguments: list[str]) -> None:
    """Install, and say in Korean what to do where it fails. Raises RuntimeError."""
    loaded = [name for name in ("torch", "transformers", "numpy") if name in sys.modules]
    if loaded:
        raise RuntimeError(
            f"{', '.join(loaded)}을(를) 이미 불러왔습니다. 런타임 → 세션 다시 시작 뒤 이 셀부터 실행하십시오."
        )
    done = subprocess.run([sys.executable, "-m", "pip", "install", "-q", *arguments], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(
            "설치에 실패했습니다. 런타임 → 세션 다시 시작 뒤 이 셀부터 다시 실행하십시오. "
            "그래도 안 되면 아래 내용을 이슈로 알려 주십시오.\n" + done.stderr[-1500:]
        )
