"""What goes to the Hugging Face Hub: only when asked, and private unless said otherwise."""

from pathlib import Path

from parentcare.manifest import read_json, require, short_path


def list_upload(folder: Path) -> list[tuple[str, int]]:
    """Return (name, bytes) of each file that a push of `folder` uploads, in order.

    Raises ValueError for a demo model, and for a folder that the parity gate has not passed.
    """
    record = read_json(require(folder / "run.json", "06_export"))
    if record["notebooks"]["03_finetune"]["demo"]:
        raise ValueError(f"{short_path(folder)} is a demo model: it says nothing about Korean and is never pushed")
    if not read_json(folder / "parity.json", {"passed": False})["passed"]:
        raise ValueError(f"{short_path(folder)} has not passed the parity gate of 06_export: it is not pushed")
    files = sorted(p for p in folder.rglob("*") if p.is_file() and not p.name.startswith("."))
    return [(path.relative_to(folder).as_posix(), path.stat().st_size) for path in files]


def push(folder: Path, name: str, private: bool = True) -> str:
    """Return the address after uploading exactly what `list_upload` lists. Raises ValueError without a token.

    The token is HF_TOKEN, Colab's secret of that name, or a login's; it is never printed.
    """
    from huggingface_hub import HfApi, get_token

    names = [name for name, _ in list_upload(folder)]
    token = get_token()
    if token is None:
        raise ValueError("no token: set HF_TOKEN in the environment or in Colab's secrets (a token that may write)")
    api = HfApi(token=token)
    api.create_repo(name, private=private, exist_ok=True)
    return api.upload_folder(repo_id=name, folder_path=folder, allow_patterns=names).commit_url
