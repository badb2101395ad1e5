import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parentcare.evaluation.comparison import (
    BETTER,
    NOT_DISTINGUISHABLE,
    TOO_FEW_PAPERS,
    WORSE,
    average_over_papers,
    bootstrap_t_intervals,
    compare_systems,
    papers_needed,
    sign_flip_p_values,
    simulate_coverage,
)

IDS = [f"paper {i}" for i in range(40)]
RNG = np.random.default_rng(1)
BASE = list(RNG.random(40))


def shifted(by: float, noise: float = 0.05) -> list[float]:
    return [score + by + noise * float(draw) for score, draw in zip(BASE, RNG.standard_normal(40), strict=True)]


def interval(differences: np.ndarray, draws: int = 10_000) -> tuple[float, float]:
    low, high = bootstrap_t_intervals(differences[None], draws)
    return float(low[0]), float(high[0])


def test_records_of_one_paper_count_once():
    assert average_over_papers([1, 3, 10], ["a", "a", "b"]) == {"a": 2, "b": 10}
    many = compare_systems([1, 1, 1, 1, 0, 0.5], [0] * 6, ["a"] * 4 + ["b", "c"])
    assert many["papers"] == 3 and many["difference"] == pytest.approx(0.5)


def test_a_clear_gain_is_better_and_for_a_loss_worse():
    up = compare_systems(shifted(0.1), BASE, IDS)
    assert up["verdict"] == BETTER and 0.05 < up["low"] < up["difference"] < up["high"] < 0.15
    assert compare_systems(BASE, shifted(0.1), IDS)["verdict"] == WORSE
    assert compare_systems(shifted(-0.1), BASE, IDS, higher_is_better=False)["verdict"] == BETTER


def test_noise_is_not_distinguishable():
    same = compare_systems(shifted(0, 0.2), BASE, IDS)
    assert same["verdict"] == NOT_DISTINGUISHABLE and same["low"] < 0 < same["high"] and same["p_value"] > 0.05


def test_under_twenty_papers_there_is_no_verdict():
    few = compare_systems(shifted(0.5)[:19], BASE[:19], IDS[:19])
    assert few["verdict"] == TOO_FEW_PAPERS and few["low"] > 0
    assert compare_systems(shifted(0.5)[:20], BASE[:20], IDS[:20])["verdict"] == BETTER


def test_identical_systems_are_said_to_be_identical():
    same = compare_systems(BASE, BASE, IDS)
    assert same["identical"] and (same["low"], same["high"], same["p_value"]) == (0, 0, 1)
    assert same["verdict"] == NOT_DISTINGUISHABLE


def test_the_same_difference_on_every_paper_has_no_width_but_a_test():
    constant = compare_systems([score + 0.2 for score in BASE], BASE, IDS)
    assert constant["verdict"] == BETTER and constant["low"] == pytest.approx(constant["high"])
    assert constant["p_value"] < 0.001 and not constant["identical"]


def test_one_odd_paper_proves_nothing():
    odd = compare_systems([1.0] + [0.0] * 29, [0.0] * 30, IDS[:30])
    assert odd["verdict"] == NOT_DISTINGUISHABLE and odd["p_value"] == 1
    assert odd["high"] is None, "resamplings without the odd paper bound nothing above"
    one = compare_systems([1.0], [0.0], ["a"])
    assert one["low"] is None and one["high"] is None and one["verdict"] == TOO_FEW_PAPERS


@pytest.mark.parametrize(
    ("candidate", "papers", "message"),
    [([1.0], ["a", "b"], "1 scores for 2"), ([float("nan")], ["a"], "paper a, is nan"), ([], [], "no record")],
)
def test_scores_that_cannot_be_compared_are_named(candidate, papers, message):
    with pytest.raises(ValueError, match=message):
        compare_systems(candidate, candidate, papers)


def test_sign_flips_by_hand():
    # of the eight sign patterns of 1, 2, 3 two reach a sum of six; the data itself counts as one more draw
    assert sign_flip_p_values(np.array([[1.0, 2.0, 3.0]]), 20_000)[0] == pytest.approx(2 / 8, abs=0.01)


def test_the_interval_is_wider_where_the_tail_is():
    differences = np.random.default_rng(0).standard_exponential(30)
    low, high = interval(differences)
    assert high - differences.mean() > differences.mean() - low


def test_the_same_data_give_the_same_numbers():
    assert compare_systems(BASE, shifted(0)[::-1], IDS)["draws"] == 10_000
    candidate = shifted(0.02)
    assert compare_systems(candidate, BASE, IDS) == compare_systems(candidate, BASE, IDS)


def test_papers_needed_by_hand():
    # (1.960 + 0.842)² × (0.1 / 0.05)² = 31.4, + 1.92 for the t test
    differences = np.array([-1.0, 1.0]) * 0.1 / np.sqrt(2)
    assert papers_needed(differences, 0.05) == 34
    assert papers_needed(differences, 10) == 20
    assert papers_needed(np.zeros(30), 0.05) is None
    with pytest.raises(ValueError, match="positive difference"):
        papers_needed(differences, 0)


def test_papers_needed_give_the_power_they_promise():
    rng = np.random.default_rng(5)
    needed = papers_needed(rng.standard_normal(10_000), 0.5)
    p_values = sign_flip_p_values(rng.standard_normal((1_000, needed)) + 0.5, 1_000)
    assert 0.75 < (p_values < 0.05).mean() < 0.86


@pytest.mark.parametrize("papers", [20, 24, 100])
def test_the_interval_covers_and_equal_systems_are_not_told_apart(papers):
    simulated = simulate_coverage(papers, draws=1_000)
    assert 0.93 <= simulated["coverage"] <= 0.97
    assert simulated["not_distinguishable"] >= 0.94


@pytest.mark.parametrize("papers", [20, 24, 100])
def test_the_interval_covers_whatever_the_differences_look_like(papers):
    rng = np.random.default_rng(3407)
    for drawn in (rng.standard_t(5, (4_000, papers)), rng.standard_exponential((4_000, papers)) - 1):
        low, high = bootstrap_t_intervals(drawn, 1_000)
        assert 0.93 <= ((low <= 0) & (high >= 0)).mean() <= 0.97


@settings(max_examples=40)
@given(st.lists(st.floats(-1, 1), min_size=2, max_size=30), st.floats(-3, 3))
def test_the_interval_moves_with_the_data(differences, by):
    differences = np.round(differences, 3)
    low, high = interval(differences, 400)
    moved = interval(differences + by, 400)
    assert low <= differences.mean() + 1e-9 and differences.mean() - 1e-9 <= high
    assert moved == pytest.approx((low + by, high + by), abs=1e-6)
