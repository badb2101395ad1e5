import json

import pytest

from parentcare.model import loading

RECIPE = {"base_model": loading.RECIPE_BASE, **loading.RECIPE_SETTINGS}


def test_without_a_gpu_the_demo_takes_the_recipes_place_and_says_so():
    run, used = loading.settle_recipe(RECIPE, "", "cpu")
    assert run == "demo" and used["demo"] and not used["load_in_4bit"]
    assert (used["max_seq_length"], used["max_steps"]) == (512, 40)
    text = loading.describe_choice(RECIPE, used, "cpu")
    assert "max_seq_length: 2048 → 512" in text and f"base_model: {loading.RECIPE_BASE} → outputs/demo/base" in text


def test_on_a_gpu_the_recipe_is_used_as_it_is():
    run, used = loading.settle_recipe(RECIPE, "", "cuda")
    assert run == "qwen2.5-7b" and used["load_in_4bit"] and not used["demo"]
    assert {key: used[key] for key in RECIPE} == RECIPE


def test_a_base_or_a_setting_of_ones_own_is_not_replaced():
    _, used = loading.settle_recipe(RECIPE | {"base_model": "my/base"}, "mine", "cpu")
    assert used["base_model"] == "my/base" and used["max_seq_length"] == 2048
    _, used = loading.settle_recipe(RECIPE | {"max_steps": 5}, "", "cpu")
    assert used["max_steps"] == 5


def test_a_gpu_that_cannot_be_used_is_an_error_that_names_the_demo(monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(RuntimeError, match="--demo"):
        loading.choose_device("cuda")
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.delenv("UNSLOTH_FORCE_CPU", raising=False)
    with pytest.raises(RuntimeError, match="--demo"):
        loading.choose_device("cpu")
    monkeypatch.setenv("UNSLOTH_FORCE_CPU", "1")
    assert loading.choose_device("auto") == "cpu"


def test_a_card_too_small_is_an_error_that_names_the_demo(monkeypatch):
    monkeypatch.setattr("torch.cuda.mem_get_info", lambda: (4 * 2**30, 6 * 2**30))
    with pytest.raises(RuntimeError, match=r"6\.0 GiB(.|\n)*--demo"):
        loading.describe_card({"base_model": loading.RECIPE_BASE})


@pytest.mark.parametrize(
    "kind, limit, reason",
    [("exaone4", 2048, "is a exaone4 model; 03 trains llama"), ("qwen2", 8192, "made for 4,096 tokens")],
)
def test_a_base_that_03_cannot_train_is_refused_before_it_is_loaded(tmp_path, kind, limit, reason):
    config = {"model_type": kind, "max_position_embeddings": 4096, "num_hidden_layers": 2}
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(ValueError, match=reason):
        loading.check_base(str(tmp_path), limit)
    (tmp_path / "config.json").write_text(json.dumps(config | {"model_type": "qwen2"}))
    loading.check_base(str(tmp_path), 4096)


def test_precision_names_are_checked():
    assert str(loading.choose_dtype("auto", "cpu")) == "torch.float32"
    assert str(loading.choose_dtype("fp16", "cuda")) == "torch.float16"
    with pytest.raises(ValueError, match="'half'"):
        loading.choose_dtype("half", "cuda")


def test_a_missing_base_says_what_to_do():
    with pytest.raises(OSError, match="BASE_MODEL"):
        loading.load_tokenizer("/nowhere/base")
