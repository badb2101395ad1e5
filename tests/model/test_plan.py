import pytest
from hypothesis import given
from hypothesis import strategies as st

from parentcare.model.plan import choose_shape, describe_plan, predict_gib

RECIPE = {"per_device_train_batch_size": 2, "gradient_accumulation_steps": 4, "fit_to_card": True}


@given(st.floats(7, 200), st.integers(64, 8192))
def test_an_optimizer_step_is_always_eight_sequences(free_gib, longest_tokens):
    plan = choose_shape(RECIPE, "cuda", free_gib, longest_tokens)
    assert plan["per_device_train_batch_size"] * plan["gradient_accumulation_steps"] == 8


def test_a_large_card_runs_eight_at_once_and_says_why():
    plan = choose_shape(RECIPE, "cuda", 139.0, 1600)
    line = describe_plan(RECIPE, plan)
    assert line.startswith("recipe 2×4 → running 8×1 without checkpointing") and "139 GiB are free" in line


def test_fit_to_card_false_is_exactly_the_recipe():
    plan = choose_shape(RECIPE | {"fit_to_card": False}, "cuda", 139.0, 1600)
    assert (plan["per_device_train_batch_size"], plan["gradient_accumulation_steps"]) == (2, 4)
    assert plan["gradient_checkpointing"]


@pytest.mark.parametrize("free_gib", [12.0, 22.0, 45.0, 139.0])
def test_what_is_chosen_is_predicted_to_fit(free_gib):
    plan = choose_shape(RECIPE, "cuda", free_gib, 1600)
    assert predict_gib(plan["per_device_train_batch_size"], plan["gradient_checkpointing"], 1600) < free_gib
