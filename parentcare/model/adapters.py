"""Where an adapter or a base is: in the run's folder, in another folder, or on the Hugging Face Hub."""

from pathlib import Path

from parentcare.manifest import HOME, read_json, read_run, require, run_folder


def find_adapter(source: str, run: str) -> tuple[Path, dict]:
    """Return (adapter folder, its run.json): the run's own where `source` is "", else a folder's or a published one.

    Raises FileNotFoundError for a folder that this project's 06_export did not write.
    """
    if not source:
        return require(run_folder(run) / "adapter", "03_finetune"), read_run(run)
    folder = find_folder(source)
    for name in ("adapter_model.safetensors", "run.json", "prompt.json"):
        if not (folder / name).exists():
            raise FileNotFoundError(f"{source} has no {name}: give ADAPTER a folder or a name that 06_export made")
    return folder, read_json(folder / "run.json")


def find_folder(name: str) -> Path:
    """Return the folder `name`, or that of the hub's model `name`, downloaded. Raises OSError that says what to do."""
    for folder in (Path(name), HOME / name):
        if folder.is_dir():
            return folder
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(name, allow_patterns=["*.safetensors", "*.json", "*.jinja", "README.md"]))
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError) as error:
        raise OSError(
            f"{name} is no folder here and could not be downloaded ({str(error).splitlines()[0]}): check the name, "
            "the network and, for a private model, HF_TOKEN"
        ) from error
