import json
import shutil
import subprocess
import sys

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from parentcare.export import merge
from parentcare.model.prompts import INSTRUCTION, build_prompt, encode
from tests.conftest import REPOSITORY
from tests.export.conftest import save_adapter, save_base


def logits(folder, adapter=None):
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(folder)
    model = PeftModel.from_pretrained(model, adapter) if adapter else model
    with torch.no_grad():
        return model.eval()(input_ids=torch.arange(20)[None]).logits


def merged(base, adapter, folder):
    folder.mkdir()
    report = merge.merge_weights(base, adapter, folder, "cpu")
    shutil.copy(base / "config.json", folder)
    return report


def test_the_merged_model_computes_what_base_and_adapter_compute(base, adapter, exported):
    import torch

    torch.testing.assert_close(logits(exported / "merged"), logits(base, adapter), atol=1e-4, rtol=0)
    assert (logits(exported / "merged") - logits(base)).abs().max() > 0.1


def test_a_sharded_untied_base_in_bf16_with_rslora_is_merged_shard_by_shard(demo_tokenizer, tmp_path):
    import torch
    from safetensors.torch import load_file

    base = save_base(
        demo_tokenizer, tmp_path / "b", tie_word_embeddings=False, max_shard_size="300KB", dtype="bfloat16"
    )
    adapter = save_adapter(demo_tokenizer, base, tmp_path / "a", use_rslora=True, target_modules=["q_proj"])
    assert merged(base, adapter, tmp_path / "m")["merged"] == 2
    shards = sorted(path.name for path in base.glob("*.safetensors"))
    assert len(shards) > 1 and shards == sorted(path.name for path in (tmp_path / "m").glob("*.safetensors"))
    name = "model.layers.0.self_attn.q_proj.weight"
    before, after = ({k: v for s in shards for k, v in load_file(f / s).items()} for f in (base, tmp_path / "m"))
    lora = load_file(adapter / "adapter_model.safetensors")
    a, b = (lora[f"base_model.model.{name.removesuffix('.weight')}.lora_{x}.weight"].float() for x in "AB")
    expected = (before[name].float() + 8 / 4**0.5 * b @ a).to(before[name].dtype)
    assert torch.equal(after[name], expected) and torch.equal(after["model.norm.weight"], before["model.norm.weight"])
    assert logits(tmp_path / "m").isfinite().all()


def test_it_loads_without_unsloth_and_peft(exported):
    code = (
        "import sys; sys.modules['peft'] = sys.modules['unsloth'] = None\n"
        "from transformers import AutoModelForCausalLM, AutoTokenizer\n"
        f"model = AutoModelForCausalLM.from_pretrained({str(exported / 'merged')!r})\n"
        f"tokenizer = AutoTokenizer.from_pretrained({str(exported / 'merged')!r})\n"
        "chat = [{'role': 'user', 'content': '유아'}]\n"
        "ids = tokenizer.apply_chat_template(chat, return_tensors='pt', return_dict=True)\n"
        "print(model.generate(**ids).shape[1] - ids['input_ids'].shape[1], model.generation_config.do_sample)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.split() == ["16", "False"], done.stderr[-2000:]


def test_a_4bit_base_is_refused_and_the_16bit_one_named(base, adapter, tmp_path, record):
    four_bit = shutil.copytree(base, tmp_path / "base")
    config = json.loads((four_bit / "config.json").read_text())
    (four_bit / "config.json").write_text(
        json.dumps(config | {"quantization_config": {"quant_method": "bitsandbytes"}})
    )
    with pytest.raises(ValueError, match=r"bitsandbytes.*BASE_16BIT.*unsloth/Qwen2\.5-7B-Instruct"):
        merge.export_merged(four_bit, adapter, tmp_path / "m", record, {"device": "cpu", "max_new_tokens": 4})
    assert not (tmp_path / "m").exists()


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("unsloth/qwen2.5-7b-instruct-bnb-4bit", "unsloth/Qwen2.5-7B-Instruct"),
        ("unsloth/Qwen3-8B-unsloth-bnb-4bit", "unsloth/Qwen3-8B"),
        ("outputs/demo/base", "outputs/demo/base"),
    ],
)
def test_the_16bit_base_is_known_by_the_4bit_ones_name(name, expected):
    assert merge.name_sixteen_bit_base(name) == expected


def test_an_adapter_of_another_base_is_refused(demo_tokenizer, adapter, tmp_path):
    wider = save_base(demo_tokenizer, tmp_path / "wider", intermediate_size=96)
    with pytest.raises(ValueError, match=r"64.*another base"):
        merged(wider, adapter, tmp_path / "m1")
    shallow = save_base(demo_tokenizer, tmp_path / "shallow", num_hidden_layers=1)
    with pytest.raises(ValueError, match=r"layers\.1.*another base"):
        merged(shallow, adapter, tmp_path / "m2")


def test_lora_on_the_head_or_the_embeddings_is_refused(demo_tokenizer, base, tmp_path):
    adapter = save_adapter(demo_tokenizer, base, tmp_path / "a", target_modules=["q_proj", "lm_head"])
    with pytest.raises(ValueError, match="lm_head"):
        merged(base, adapter, tmp_path / "m")


@pytest.mark.parametrize("change", [{"use_dora": True}, {"bias": "all"}, {"alpha_pattern": {"q_proj": 2}}])
def test_what_the_formula_does_not_know_is_refused(adapter, tmp_path, change):
    odd = shutil.copytree(adapter, tmp_path / "odd")
    config = json.loads((odd / "adapter_config.json").read_text())
    (odd / "adapter_config.json").write_text(json.dumps(config | change))
    with pytest.raises(ValueError, match=next(iter(change))):
        merge.read_lora(odd)


def test_a_base_that_lacks_a_shard_is_named(base, tmp_path):
    half = shutil.copytree(base, tmp_path / "half")
    (half / "model.safetensors").unlink()
    with pytest.raises(FileNotFoundError, match=r"lacks model\.safetensors"):
        merge.check_base(half)


def test_a_full_disk_is_an_error_before_anything_is_written(base, adapter, tmp_path, record, monkeypatch):
    full = type("Usage", (), {"free": 1000})()
    monkeypatch.setattr(shutil, "disk_usage", lambda path: full)
    with pytest.raises(OSError, match="make room"):
        merge.export_merged(base, adapter, tmp_path / "m", record, {"device": "cpu", "max_new_tokens": 4})
    assert list(tmp_path.iterdir()) == []


# --- whole folders -----------------------------------------------------------------------------


def test_a_kill_leaves_the_old_export_and_no_half_one(tmp_path):
    code = (
        "import os, pathlib; from parentcare.export.merge import whole_folder\n"
        f"with whole_folder(pathlib.Path({str(tmp_path)!r}) / 'merged', {{'run': 'mine'}}) as beside:\n"
        "    (beside / 'model.safetensors').write_text('half')\n"
        "    os.kill(os.getpid(), 9)"
    )
    (tmp_path / "merged").mkdir()
    (tmp_path / "merged" / "run.json").write_text('{"run": "mine", "notebooks": {}}')
    assert subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY).returncode == -9
    assert [path.name for path in (tmp_path / "merged").iterdir()] == ["run.json"]
    assert [path.name for path in tmp_path.iterdir() if not path.name.startswith(".")] == ["merged"]
    with merge.whole_folder(tmp_path / "merged", {"run": "mine", "notebooks": {}}) as beside:
        assert list(beside.iterdir()) == []
        (beside / "new").touch()
    assert sorted(path.name for path in (tmp_path / "merged").iterdir()) == ["new", "run.json"]
    assert [path.name for path in tmp_path.iterdir()] == ["merged"]


def test_an_error_leaves_nothing_behind(tmp_path):
    with pytest.raises(KeyboardInterrupt), merge.whole_folder(tmp_path / "merged", {"run": "mine", "notebooks": {}}):
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("owner", ['{"run": "yours"}', None])
def test_what_is_not_this_runs_export_is_never_overwritten(tmp_path, owner):
    (tmp_path / "merged").mkdir()
    (tmp_path / "merged" / ("run.json" if owner else "mine.txt")).write_text(owner or "kept")
    with (
        pytest.raises(FileExistsError, match=r"'mine'.*move it away"),
        merge.whole_folder(tmp_path / "merged", {"run": "mine", "notebooks": {}}),
    ):
        raise AssertionError("never entered")
    assert len(list((tmp_path / "merged").iterdir())) == 1


# --- what serving needs ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def serving(tokenizer, tmp_path_factory):
    """Return (the training's tokenizer, the one that a server loads from an export)."""
    from transformers import AutoTokenizer

    source, folder = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("export")
    tokenizer.save_pretrained(source)
    (source / "prompt.json").write_text('{"max_seq_length": 2048}')
    merge.write_serving_files(source, folder, 16)
    return tokenizer, AutoTokenizer.from_pretrained(folder)


SPECIAL = ["<|im_end|>", "<|endoftext|>", "<|im_start|>user\n", "### Response:\n", "{{ text }}", "{text}", "{% raw %}"]
PLAIN = ["\\n", '"', "'", "\n", " ", "가", "ㄱ", "유아의 놀이", "é", "\u200b", "😀"]
awkward = st.lists(st.sampled_from(SPECIAL + PLAIN) | st.text(max_size=5), max_size=12).map("".join)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(awkward)
def test_serving_reads_the_very_ids_of_training(serving, text):
    training, server = serving
    ids = encode(training, build_prompt(text))
    chat = [{"role": "user", "content": text}]
    assert server.apply_chat_template(chat, add_generation_prompt=True, return_dict=False) == ids
    assert server(build_prompt(text))["input_ids"] == ids
    assert training.eos_token_id not in ids


@pytest.mark.parametrize(
    "chat",
    [
        [{"role": "system", "content": "짧게"}, {"role": "user", "content": "글"}],
        [{"role": "assistant", "content": "글"}],
    ],
)
def test_a_chat_that_was_not_trained_is_refused(serving, chat):
    with pytest.raises(Exception, match="one user message"):
        serving[1].apply_chat_template(chat, add_generation_prompt=True)


def test_an_export_names_base_prompt_and_one_end(exported, demo_tokenizer):
    config = json.loads((exported / "adapter_export" / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == "unsloth/qwen2.5-7b-instruct-bnb-4bit"
    generation = json.loads((exported / "merged" / "generation_config.json").read_text())
    assert generation["eos_token_id"] == demo_tokenizer.eos_token_id and generation["do_sample"] is False
    modelfile = (exported / "merged" / "Modelfile").read_text()
    assert f'TEMPLATE """{build_prompt("{{ .Prompt }}")}"""\n' in modelfile and INSTRUCTION in modelfile
    assert 'PARAMETER stop "<|im_end|>"' in modelfile and "PARAMETER num_ctx 256" in modelfile
