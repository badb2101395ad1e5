"""Which device this machine offers, and which base, limits and steps follow from it."""

import os
import shutil
from pathlib import Path

from parentcare.manifest import HOME, run_folder

RECIPE_BASE = "unsloth/qwen2.5-7b-instruct-bnb-4bit"
RECIPE_DOWNLOAD_GB = 5.5
MINIMUM_CARD_GIB = 7.5
# whose LoRA and checkpointing Unsloth lets the plan change after loading
TRAINED_TYPES = ("llama", "mistral", "gemma", "gemma2", "qwen2", "qwen3")
DEMO_RUN, RECIPE_RUN = "demo", "qwen2.5-7b"
# A model of a million weights needs larger steps than the recipe's to move at all in a minute.
RECIPE_SETTINGS = {"max_seq_length": 2048, "max_steps": -1, "learning_rate": 2e-4, "max_new_tokens": 256}
DEMO_SETTINGS = {"max_seq_length": 512, "max_steps": 40, "learning_rate": 3e-3, "max_new_tokens": 64}


def choose_device(wanted: str = "auto") -> str:
    """Return 'cuda' or 'cpu'. Raises RuntimeError for a GPU that is there but cannot be used."""
    import torch

    if wanted not in ("auto", "cuda", "cpu"):
        raise ValueError(f"DEVICE is {wanted!r}; use 'auto', 'cuda' or 'cpu'")
    forced = os.environ.get("UNSLOTH_FORCE_CPU") == "1"
    usable = torch.cuda.is_available() and not forced
    if wanted == "cpu" and usable:
        raise RuntimeError("DEVICE is 'cpu' on a machine with a GPU: start it with `python3 run.py --demo` instead")
    if usable:
        return "cuda"
    present = Path("/proc/driver/nvidia/version").exists() and not forced
    if present or wanted == "cuda":
        raise RuntimeError(
            f"{'an NVIDIA driver is here, but' if present else 'DEVICE is cuda and'} torch {torch.__version__} sees no "
            "GPU: check `nvidia-smi` and that torch has a CUDA build for this driver, or use `python3 run.py --demo`"
        )
    return "cpu"


def name_run(run: str, device: str) -> str:
    """Return the name of the run folder: the one given, else 'demo' on a CPU and 'qwen2.5-7b' on a GPU."""
    return run or (DEMO_RUN if device == "cpu" else RECIPE_RUN)


def settle_recipe(recipe: dict, run: str, device: str) -> tuple[str, dict]:
    """Return (run name, what is used of the recipe on this device, with `demo` and `load_in_4bit`).

    On a CPU the recipe's 7B base gives way to the demo's, with its own limit and steps; any other
    base, and every setting that was changed from the recipe's, is used as given.
    """
    demo = device == "cpu" and recipe["base_model"] == RECIPE_BASE
    run = name_run(run, device)
    used = dict(recipe)
    if demo:
        used |= {k: v for k, v in DEMO_SETTINGS.items() if recipe.get(k) == RECIPE_SETTINGS[k]}
        used["base_model"] = str(run_folder(run) / "base")
    # a control or a search trial is given the demo base by its folder: it is a demo all the same
    used["demo"] = demo or (Path(used["base_model"]) / "pretraining.json").exists()
    used["load_in_4bit"] = device == "cuda"
    return run, used


def describe_choice(recipe: dict, used: dict, device: str) -> str:
    """Return the lines 'recipe → used' for what differs by device, and why."""
    why = "a CUDA GPU" if device == "cuda" else "no GPU here, so the tiny demo model" if used["demo"] else "a CPU"
    names = [name for name in ("base_model", *RECIPE_SETTINGS) if name in recipe]
    lines = [f"{name}: {recipe[name]} → {str(used[name]).removeprefix(f'{HOME}/')}" for name in names]
    return "\n".join([f"device: {device} ({why})", *lines])


def choose_dtype(precision: str, device: str):
    """Return the torch dtype for 'bf16', 'fp16' or 'float32'; for 'auto', what the device has."""
    import torch

    names = {"bf16": torch.bfloat16, "fp16": torch.float16, "float32": torch.float32}
    if precision in names:
        return names[precision]
    if precision != "auto":
        raise ValueError(f"PRECISION is {precision!r}; use 'auto', {', '.join(map(repr, names))}")
    if device == "cpu":
        return torch.float32
    return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16


def quiet_progress_bars() -> None:
    """Switch off the bars that a saved notebook would show frozen; the download's bar stays."""
    import datasets
    from transformers.utils import logging

    datasets.disable_progress_bars()
    logging.disable_progress_bar()
    logging.set_verbosity_error()


def check_base(base_model: str, max_seq_length: int) -> None:
    """Raise ValueError for a base that Unsloth's fast path, and so 03, does not train, or for rows longer than its own.

    Beyond its positions Unsloth would stretch them, and plain transformers, which 04 and 06 load it with, would not.
    """
    from transformers import AutoConfig

    try:
        config = AutoConfig.from_pretrained(base_model)
    except OSError:  # the loading itself says what to do
        return
    if config.model_type not in TRAINED_TYPES:
        raise ValueError(f"BASE_MODEL is a {config.model_type} model; 03 trains {', '.join(TRAINED_TYPES)}")
    if max_seq_length > config.max_position_embeddings:
        raise ValueError(
            f"MAX_SEQ_LENGTH is {max_seq_length:,}, and the base was made for {config.max_position_embeddings:,} tokens"
        )


def load_tokenizer(base_model: str):
    """Return the base's tokenizer. Raises FileNotFoundError or OSError that says what to do."""
    from transformers import AutoTokenizer

    try:
        return AutoTokenizer.from_pretrained(base_model)
    except OSError as error:
        name, said = base_model.removeprefix(f"{HOME}/"), str(error).splitlines()[0]
        raise OSError(
            f"the tokenizer of {name} could not be loaded ({said}): "
            "check the network, set BASE_MODEL to a folder, or use `python3 run.py --demo`"
        ) from error


def describe_card(used: dict) -> str:
    """Return what a download and the card will ask for. Raises RuntimeError for a card too small."""
    import torch

    free, total = (n / 2**30 for n in torch.cuda.mem_get_info())
    is_recipe = used["base_model"] == RECIPE_BASE
    if is_recipe and total < MINIMUM_CARD_GIB:
        raise RuntimeError(
            f"the card has {total:.1f} GiB, the 4-bit 7B needs {MINIMUM_CARD_GIB} GiB; use `python3 run.py --demo`"
        )
    cache = Path(os.environ.get("HF_HOME", Path.home() / ".cache" / "huggingface"))
    lines = [f"{torch.cuda.get_device_name()}: {free:.1f} of {total:.1f} GiB free"]
    if not Path(used["base_model"]).exists():
        disk = shutil.disk_usage(cache if cache.exists() else Path.home()).free / 1e9
        size = f" of {RECIPE_DOWNLOAD_GB} GB, without a login," if is_recipe else ""
        lines.append(f"the base is a download{size} into {cache} ({disk:.0f} GB free there)")
    return "\n".join(lines)
