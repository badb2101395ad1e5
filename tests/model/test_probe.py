import pytest
from hypothesis import given
from hypothesis import strategies as st

from parentcare.model import plan, probe
from parentcare.model.plan import Shape


def describe(batch_size: int, accumulation_steps: int, checkpointing: bool, gib: float, seconds: float) -> dict:
    shape = Shape(batch_size, accumulation_steps, checkpointing)
    return {**shape._asdict(), "peak_gib": gib, "step_seconds": seconds, "fits": True}


PLAN = {
    "recipe": "2×4",
    "shapes": [describe(8, 1, False, 40.0, 0.6), describe(8, 1, True, 8.0, 0.9), describe(2, 4, True, 7.0, 1.7)],
    "per_device_train_batch_size": 8,
    "gradient_accumulation_steps": 1,
    "gradient_checkpointing": False,
    "predicted": {"peak_gib": 40.0, "step_seconds": 0.6},
    "free_gib": 44.0,
    "ranks": 1,
    "why": "",
}


def point(tokens: int, seconds: float, peak_gib: float) -> dict:
    return {"tokens": tokens, "seconds": seconds, "peak_gib": peak_gib, "reserved_gib": peak_gib}


def test_a_shape_out_of_memory_is_struck_out_and_the_next_fastest_is_taken():
    one = probe.strike_out(PLAN, Shape(8, 1, False))
    assert plan.taken_shape(one) == Shape(8, 1, True) and one["predicted"]["step_seconds"] == 0.9
    assert "8×1 without checkpointing ran out of memory" in one["why"]
    two = probe.strike_out(one, Shape(8, 1, True))
    with pytest.raises(MemoryError, match="lower MAX_SEQ_LENGTH"):
        probe.strike_out(two, Shape(2, 4, True))


@given(st.lists(st.integers(1, 2048), min_size=1, max_size=50), st.sampled_from(plan.list_shapes(8)))
def test_the_probe_runs_the_longest_rows_in_every_micro_batch(lengths, shape):
    steps = probe.probe_rows(lengths, shape)
    assert all(len(step) == 8 for step in steps)
    longest = sorted(lengths)[-shape.batch_size :]
    if len(lengths) >= shape.batch_size:
        assert sorted(lengths[i] for i in steps[0]) == sorted(longest * shape.accumulation_steps)


def test_costs_go_through_the_probed_steps():
    points = [point(8000, 2.0, 20.0)] * 2 + [point(4000, 1.2, 12.0)] * 2
    costs = probe.fit_costs(points, Shape(2, 4, True))
    at = [plan.predict(costs, [[tokens] * 4]) for tokens in (2000, 1000, 1500)]
    assert [p["step_seconds"] for p in at] == pytest.approx([2.0, 1.2, 1.6])
    assert [p["peak_gib"] for p in at] == pytest.approx([20.0, 12.0, 16.0])


def test_rows_of_one_length_predict_what_was_seen():
    costs = probe.fit_costs([point(8000, 2.0, 20.0)] * 4, Shape(8, 1, False))
    assert plan.predict(costs, [[8000]]) == {"peak_gib": 20.0, "step_seconds": 2.0}


def test_the_comparison_leaves_out_validations_and_gives_both_errors():
    log = [{"step": 1, "loss": 5.0, "seconds": 9.0}, {"step": 2, "loss": 5.0, "seconds": 10.0}]
    log += [{"step": 2, "eval_loss": 5.0, "seconds": 30.0}, {"step": 3, "loss": 5.0, "seconds": 31.0}]
    compared = probe.compare_plan(PLAN | {"probe": {"peak_gib": 38.0, "step_seconds": 1.1}}, log, 40.0)
    assert compared["actual"] == {"step_seconds": 1.0, "peak_gib": 40.0}
    assert compared["error_predicted"] == {"step_seconds": -0.4, "peak_gib": 0.0}
    assert compared["error_probe"] == {"step_seconds": 0.1, "peak_gib": -0.05}
    assert "predicted after the probe: step_seconds +10%, peak_gib -5%" in probe.describe_comparison(compared)
    assert "error_probe" not in probe.compare_plan(PLAN, [], None)
