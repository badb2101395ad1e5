"""A tiny base, an adapter on it that changes something, and what a run's record says of both."""

import json
import shutil

import pytest

from parentcare.export import merge
from parentcare.model.prompts import INSTRUCTION, TEMPLATE

SHAPE = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 512,
}
LAYERS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


def save_base(tokenizer, folder, **settings):
    """Return `folder` with a random Qwen2, tied unless said otherwise."""
    import torch
    from transformers import Qwen2Config, Qwen2ForCausalLM

    torch.manual_seed(1)
    shape = (
        SHAPE | {"tie_word_embeddings": True, "eos_token_id": tokenizer.eos_token_id, "bos_token_id": None} | settings
    )
    shard = shape.pop("max_shard_size", "1GB")
    model = Qwen2ForCausalLM(Qwen2Config(vocab_size=len(tokenizer), **shape))
    model.save_pretrained(folder, max_shard_size=shard)
    tokenizer.save_pretrained(folder)
    return folder


def save_adapter(tokenizer, base, folder, **settings):
    """Return `folder` with a LoRA adapter on `base` whose B is not zero."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    torch.manual_seed(2)
    config = LoraConfig(**{"r": 4, "lora_alpha": 8, "target_modules": LAYERS, "task_type": "CAUSAL_LM"} | settings)
    model = get_peft_model(AutoModelForCausalLM.from_pretrained(base), config)
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.2)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    prompt = {"template": TEMPLATE, "instruction": INSTRUCTION, "max_seq_length": 256}
    (folder / "prompt.json").write_text(json.dumps(prompt))
    return folder


@pytest.fixture(scope="session")
def base(demo_tokenizer, tmp_path_factory):
    return save_base(demo_tokenizer, tmp_path_factory.mktemp("base"))


@pytest.fixture(scope="session")
def adapter(demo_tokenizer, base, tmp_path_factory):
    return save_adapter(demo_tokenizer, base, tmp_path_factory.mktemp("adapter"))


@pytest.fixture(scope="session")
def record():
    """Return a run.json with what the exports read."""
    tuned = {
        "base": "unsloth/qwen2.5-7b-instruct-bnb-4bit",
        "demo": False,
        "synthetic": False,
        "device": "NVIDIA H200",
        "commit": "0123456789ab",
        "max_seq_length": 2048,
        "used": {"LEARNING_RATE": 2e-4},
        "stamp": {
            "parameters": {"LORA_R": 16, "LEARNING_RATE": 1e-3},
            "versions": {"torch": "2.13.0", "peft": "0.21.2"},
        },
        "actual": {"steps": 77, "train_seconds": 123.4},
        "validation_loss": {"base": 2.5, "tuned": 1.25, "reloaded": 1.25},
        "writes": {"outputs/mine/adapter": "abc"},
    }
    explored = {"data_sha256": "f00d", "split": {"papers": {"train": 8}, "records": {"train": 40}}}
    notebooks = {
        "02_explore_data": explored,
        "03_finetune": tuned,
        "04_evaluate": {"reads": {"outputs/mine/adapter": "abc"}},
    }
    return {"run": "mine", "notebooks": notebooks}


@pytest.fixture(scope="session")
def exported(base, adapter, record, tmp_path_factory):
    """Return the folders of one clean export, adapter and merged; not to be changed."""
    folder = tmp_path_factory.mktemp("run")
    merge.export_adapter(adapter, folder / "adapter_export", record, 16)
    merge.export_merged(base, adapter, folder / "merged", record, {"device": "cpu", "max_new_tokens": 16})
    return folder


@pytest.fixture
def copied(exported, tmp_path):
    """Return a copy of the clean export, for planting a fault."""
    return shutil.copytree(exported, tmp_path / "run")
