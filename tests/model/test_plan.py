from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parentcare.model import plan
from parentcare.model.plan import Shape

RECIPE = {"per_device_train_batch_size": 2, "gradient_accumulation_steps": 4, "fit_to_card": True}
QWEN_7B = SimpleNamespace(
    hidden_size=3584, intermediate_size=18944, num_hidden_layers=28, num_attention_heads=28, num_key_value_heads=4
)
LENGTHS = [900, 1100, 1300, 1500, 1700] * 40


def make_plan(monkeypatch, free_gib: float, lengths=tuple(LENGTHS), recipe=RECIPE, device: str = "cuda") -> dict:
    """Return the plan of Qwen2.5-7B on a card that was measured as given."""
    card = {"device": device, "free_gib": free_gib, "static_gib": 5.9, "flops_per_second": 7.9e14}
    monkeypatch.setattr(plan, "measure_card", lambda model, weights: card)
    model = SimpleNamespace(config=QWEN_7B, dtype=SimpleNamespace(itemsize=2))
    return plan.make_plan(recipe, model, list(lengths), 16, 3407)


def test_the_adapter_of_the_recipe_has_forty_million_weights():
    assert plan.count_adapter_weights(QWEN_7B, 16) == 40_370_176


@pytest.mark.parametrize("free_gib", [9.0, 12.0, 22.0, 45.0, 139.0])
def test_an_optimizer_step_is_always_eight_sequences_and_what_is_taken_fits(monkeypatch, free_gib):
    found = make_plan(monkeypatch, free_gib)
    taken = plan.taken_shape(found)
    assert taken.batch_size * taken.accumulation_steps == 8
    assert found["predicted"]["peak_gib"] < free_gib * plan.MEMORY_MARGIN


def test_a_large_card_runs_eight_at_once_and_a_small_one_says_why_not(monkeypatch):
    assert plan.taken_shape(make_plan(monkeypatch, 139.0)) == Shape(8, 1, False)
    small = make_plan(monkeypatch, 9.0)
    text = plan.describe_plan(small)
    assert plan.taken_shape(small).checkpointing and "does not fit" in text
    assert "recipe 2×4 → running 4×2 with checkpointing, because 9.0 GiB are free" in text


def test_more_memory_is_never_predicted_to_be_slower(monkeypatch):
    seconds = [make_plan(monkeypatch, gib)["predicted"]["step_seconds"] for gib in (8, 10, 16, 24, 48, 80, 139)]
    assert seconds == sorted(seconds, reverse=True)


def test_the_predictions_are_near_what_one_h200_did(monkeypatch):
    rows = {(r["batch_size"], r["checkpointing"]): r for r in make_plan(monkeypatch, 139.0, [1200] * 80)["shapes"]}
    # measured there with rows of about 1,200 tokens
    assert rows[8, False]["peak_gib"] == pytest.approx(45.7, rel=0.1)
    assert rows[8, True]["peak_gib"] == pytest.approx(8.3, rel=0.1)
    assert rows[8, False]["step_seconds"] == pytest.approx(9600 / 14600, rel=0.15)


def test_fit_to_card_false_is_exactly_the_recipe(monkeypatch):
    found = make_plan(monkeypatch, 139.0, recipe=RECIPE | {"fit_to_card": False})
    assert plan.taken_shape(found) == Shape(2, 4, True) and found["why"] == "FIT_TO_CARD is False"


def test_a_cpu_plans_too_and_keeps_the_recipes_batch(monkeypatch):
    found = make_plan(monkeypatch, None, device="cpu")
    assert plan.taken_shape(found) == Shape(2, 4, False) and len(found["shapes"]) == 8


def test_a_plan_that_cannot_fit_says_what_would(monkeypatch):
    with pytest.raises(MemoryError, match=r"1 of the longest rows \(8000 tokens\) .* MAX_SEQ_LENGTH = \d+ would fit"):
        make_plan(monkeypatch, 7.0, [8000])
    with pytest.raises(MemoryError, match=r"2 of the longest rows .* FIT_TO_CARD = True fewer at a time would fit"):
        make_plan(monkeypatch, 9.5, [8000] * 8, RECIPE | {"fit_to_card": False})
    with pytest.raises(MemoryError, match="a smaller base would fit"):
        make_plan(monkeypatch, 5.0)


def test_two_gpus_share_the_eight_sequences(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    found = make_plan(monkeypatch, 139.0)
    assert plan.taken_shape(found) == Shape(4, 1, False) and "on each of 2 GPUs" in plan.describe_plan(found)
    monkeypatch.setenv("WORLD_SIZE", "3")
    with pytest.raises(ValueError, match="cannot be shared by 3 GPUs"):
        make_plan(monkeypatch, 139.0)
    monkeypatch.setenv("WORLD_SIZE", "8")
    with pytest.raises(ValueError, match="2×4 sequences a step cannot be shared by 8 GPUs"):
        make_plan(monkeypatch, 139.0, recipe=RECIPE | {"fit_to_card": False})


@given(st.lists(st.integers(1, 4096), min_size=1, max_size=60), st.sampled_from(plan.list_shapes(8)), st.booleans())
def test_micro_batches_hold_every_row_of_a_step_and_padding_only_adds(lengths, shape, padded):
    steps = plan.micro_batches(lengths, shape, padded, seed=1)
    per_step = min(len(lengths), 8)
    for step in steps[:5]:
        assert len(step) == -(-per_step // shape.batch_size)
        low, high = per_step * min(lengths), per_step * max(lengths)
        assert low <= sum(step) <= high
    free = plan.micro_batches(lengths, shape, False, seed=1)
    assert sum(map(sum, steps)) >= sum(map(sum, free))
