"""The adapter and the merged model as folders of their own, each with all that serving needs.

LoRA is merged into 16-bit (or float32) weights: W + scale · B·A, in float32, a weight at a time (Hu et al. 2021).
"""

import contextlib
import json
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

from parentcare.manifest import read_json, short_path, write_atomically, write_json
from parentcare.model.loading import RECIPE_BASE
from parentcare.model.prompts import TEMPLATE, build_prompt

INDEX = "model.safetensors.index.json"
SIXTEEN_BIT_DOWNLOAD_GB = 15.2
EXPORTED_SECTIONS = ("02_explore_data", "03_finetune", "04_evaluate")
# What changes the arithmetic of LoRA, and is merged wrongly by the plain formula.
UNKNOWN = "use_dora lora_bias modules_to_save layer_replication fan_in_fan_out rank_pattern alpha_pattern".split()


def name_sixteen_bit_base(base: str) -> str:
    """Return the 16-bit base of a 4-bit one by its name; any other name as it is."""
    if base.lower().startswith("unsloth/qwen2.5-7b-instruct"):
        return "unsloth/Qwen2.5-7B-Instruct"
    return re.sub(r"(-unsloth)?-bnb-4bit$", "", base)


@contextlib.contextmanager
def whole_folder(folder: Path, record: dict) -> Iterator[Path]:
    """Yield a hidden folder that takes the place of `folder` once the block has ended without an error.

    A kill leaves the old folder or none. Of `record`, the run's run.json, the sections of data, training and evaluation
    go along. Raises FileExistsError where `folder` holds anything but an export of the same run.
    """
    owner = read_json(folder / "run.json", {}).get("run")
    if folder.exists() and owner != record["run"]:
        held = f"an export of run {owner!r}, not" if owner else "no export"
        raise FileExistsError(
            f"{short_path(folder)} holds {held} of run '{record['run']}', and is not overwritten: move it away"
        )
    beside = folder.with_name(f".{folder.name}.tmp")
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir(parents=True)
    try:
        yield beside
        # not what was harvested, asked or given on a command line: an export may be published
        told = {name: section for name, section in record["notebooks"].items() if name in EXPORTED_SECTIONS}
        write_json(beside / "run.json", {"run": record["run"], "notebooks": told})
        shutil.rmtree(folder, ignore_errors=True)
        os.replace(beside, folder)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def export_adapter(adapter: Path, folder: Path, record: dict, max_new_tokens: int) -> Path:
    """Return `folder` with the adapter's weights and settings, and all that `write_serving_files` writes."""
    with whole_folder(folder, record) as beside:
        write_serving_files(adapter, beside, max_new_tokens)
        shutil.copy(adapter / "adapter_model.safetensors", beside)
        config = read_json(adapter / "adapter_config.json")
        # the name under which others find the base, not a path of this machine
        config["base_model_name_or_path"] = record["notebooks"]["03_finetune"]["base"]
        write_json(beside / "adapter_config.json", config)
    return folder


def export_merged(base: Path, adapter: Path, folder: Path, record: dict, settings: dict) -> dict:
    """Return what `merge_weights` reports, after writing a model that plain transformers loads.

    `settings` has `device` and `max_new_tokens`. Raises ValueError for a 4-bit base, OSError for a full disk.
    """
    needed = sum(path.stat().st_size for path in check_base(base))
    folder.parent.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(folder.parent).free
    if free < needed * 1.02:
        raise OSError(
            f"the merged model needs {needed / 1e9:.1f} GB and {folder.parent} has {free / 1e9:.1f} GB free: "
            "make room, or export the adapter alone with MERGE = False in 06_export"
        )
    with whole_folder(folder, record) as beside:
        report = merge_weights(base, adapter, beside, settings["device"])
        write_serving_files(adapter, beside, settings["max_new_tokens"])
        shutil.copy(base / "config.json", beside)
    return report


def check_base(base: Path) -> list[Path]:
    """Return the files of the base's weights. Raises ValueError for 4-bit weights, FileNotFoundError for none."""
    config = read_json(base / "config.json", {})
    if quantised := config.get("quantization_config"):
        raise ValueError(
            f"{short_path(base)} is quantised ({quantised.get('quant_method')}), and merging there "
            f"would round away what was learnt: set BASE_16BIT in 06_export to its 16-bit base, for the recipe's "
            f"{name_sixteen_bit_base(RECIPE_BASE)} ({SIXTEEN_BIT_DOWNLOAD_GB} GB), or MERGE = False"
        )
    index = read_json(base / INDEX, {"weight_map": {"": "model.safetensors"}})
    files = [base / name for name in sorted(set(index["weight_map"].values()))]
    if missing := [path.name for path in files if not path.exists()]:
        raise FileNotFoundError(f"{short_path(base)} lacks {', '.join(missing)}: it is no whole base model")
    return files


def merge_weights(base: Path, adapter: Path, folder: Path, device: str) -> dict:
    """Return `merged` (weights changed) and `bytes`, after writing the base's shards anew, one after the other.

    One weight is on `device` at a time. Raises ValueError where an adapter's weight has no place in the base.
    """
    from safetensors import safe_open
    from safetensors.torch import save_file

    lora, scale = read_lora(adapter)
    placed = set()
    for path in check_base(base):
        with safe_open(path, framework="pt") as file:
            shard = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  (no mapping)
            for name in shard.keys() & lora.keys():
                shard[name] = add_lora(name, shard[name], lora[name], scale, device)
                placed.add(name)
            save_file(shard, folder / path.name, metadata={"format": "pt"})
    if missing := sorted(lora.keys() - placed):
        raise ValueError(f"{short_path(base)} has no {missing[0]} (nor {len(missing) - 1} more): another base")
    if (base / INDEX).exists():
        shutil.copy(base / INDEX, folder)
    return {"merged": len(placed), "bytes": sum(path.stat().st_size for path in folder.glob("*.safetensors"))}


def read_lora(adapter: Path) -> tuple[dict, float]:
    """Return (name of a base weight → its A (r, in) and B (out, r), the scale of B·A).

    Raises ValueError for what the formula does not know: DoRA, biases, whole trained modules, embeddings.
    """
    from peft import LoraConfig
    from safetensors.torch import load_file

    config = LoraConfig.from_pretrained(adapter)
    if odd := [name for name in UNKNOWN if getattr(config, name)] + ["bias"] * (config.bias != "none"):
        raise ValueError(f"the adapter uses {', '.join(odd)}, which cannot be merged here")
    lora: dict[str, dict] = {}
    for key, weight in load_file(adapter / "adapter_model.safetensors").items():
        match = re.fullmatch(r"base_model\.model\.(.+)\.lora_([AB])\.weight", key)
        if match is None:
            raise ValueError(f"the adapter's weight {key} is no LoRA matrix of a linear layer: it cannot be merged")
        lora.setdefault(f"{match[1]}.weight", {})[match[2]] = weight
    return lora, config.lora_alpha / (config.r**0.5 if config.use_rslora else config.r)


def add_lora(name: str, weight, matrices: dict, scale: float, device: str):
    """Return weight + scale · B·A (out, in) on the CPU, in its own dtype. Raises ValueError at another shape."""
    a, b = (matrices[key].to(device).float() for key in "AB")
    if (b.shape[0], a.shape[1]) != tuple(weight.shape) or not weight.is_floating_point():
        found, trained = f"{weight.dtype} {tuple(weight.shape)}", f"{b.shape[0]}×{a.shape[1]}"
        raise ValueError(f"{name} is {found}, the adapter was trained on {trained}: another base")
    return weight.to(device).float().addmm(b, a, alpha=scale).to(weight.dtype).cpu()


def chat_template() -> str:
    """Return a Jinja template that renders one user message into the very text of `build_prompt`."""
    before, after = (json.dumps(part) for part in build_prompt("\0").split("\0"))
    return (
        "{%- if messages | length != 1 or messages[0]['role'] != 'user' -%}"
        "{{ raise_exception('this model was trained on one user message: the text to summarise') }}{%- endif -%}"
        f"{{{{ {before} ~ messages[0]['content'] ~ {after} }}}}"
    )


def write_serving_files(adapter: Path, folder: Path, max_new_tokens: int) -> None:
    """Write tokenizer, chat template, prompt, generation settings (greedy, one EOS) and Ollama's Modelfile."""
    from transformers import AutoTokenizer

    # '<|im_end|>' inside a paper is text, behind a server too: the prompt itself has no special tokens
    tokenizer = AutoTokenizer.from_pretrained(adapter, split_special_tokens=True)
    eos = tokenizer.eos_token
    tokenizer.chat_template = chat_template()
    # without it `transformers serve` reads the answers of any Qwen2 as ChatML, and hands the prompt back as well
    tokenizer.response_template = {
        "defaults": {"role": "assistant"},
        "start_anchor": TEMPLATE.split("{text}")[1].lstrip(),
        "fields": {"content": {"close_pattern": re.escape(eos), "content": "text"}},
    }
    tokenizer.save_pretrained(folder)
    shutil.copy(adapter / "prompt.json", folder)
    settings = {"do_sample": False, "repetition_penalty": 1.0, "max_new_tokens": max_new_tokens}
    settings |= {"eos_token_id": tokenizer.eos_token_id, "pad_token_id": tokenizer.pad_token_id}
    write_json(folder / "generation_config.json", settings)
    limit = read_json(adapter / "prompt.json")["max_seq_length"]
    modelfile = f'FROM ./model.gguf\nTEMPLATE """{build_prompt("{{ .Prompt }}")}"""\nPARAMETER stop "{eos}"\n'
    modelfile += f"PARAMETER temperature 0\nPARAMETER repeat_penalty 1.0\nPARAMETER num_ctx {limit}\n"
    write_atomically(folder / "Modelfile", modelfile)
