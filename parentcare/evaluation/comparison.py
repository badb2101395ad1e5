"""Is one system better than another, and how sure is that? Over papers, of the paired difference.

The records of one paper are not independent, so their scores are averaged first: the number that
counts is the number of papers. Interval: bootstrap-t (Efron & Tibshirani, An Introduction to the
Bootstrap, 1993, ch. 12), because the percentile interval is too narrow for few papers. Test: paired
sign flips (Fisher's randomisation test), exact when neither system is better.
"""

import math
from collections.abc import Iterator
from statistics import NormalDist

import numpy as np

BETTER, WORSE, NOT_DISTINGUISHABLE = "better", "worse", "not distinguishable"
TOO_FEW_PAPERS = "too few papers to tell"
LEAST_PAPERS = 20
ALPHA = 0.05
POWER = 0.80
DRAWS = 10_000
SEED = 3407
# numbers in one block of draws × papers: 16 MiB of float64
_BLOCK_NUMBERS = 2**21
# differences that vary by less than this share of their size vary by rounding only
_ROUNDING = 1e-9


def average_over_papers(scores: list[float], papers: list[str]) -> dict[str, float]:
    """Return paper → the mean of its records' scores, in order of first appearance.

    Raises ValueError where a score is not a finite number, or the two lists differ in length.
    """
    if len(scores) != len(papers):
        raise ValueError(f"{len(scores)} scores for {len(papers)} records; one score a record is expected")
    grouped: dict[str, list[float]] = {}
    for place, (score, paper) in enumerate(zip(scores, papers, strict=True)):
        if not math.isfinite(score):
            raise ValueError(f"the score of record {place}, of paper {paper}, is {score}, not a finite number")
        grouped.setdefault(paper, []).append(float(score))
    return {paper: sum(values) / len(values) for paper, values in grouped.items()}


def compare_systems(
    candidate: list[float], baseline: list[float], papers: list[str], higher_is_better: bool = True, draws: int = DRAWS
) -> dict:
    """Return the difference candidate − baseline over papers, its interval, p-value and verdict.

    The lists have one entry per record, in the same order. `low` and `high` bound the 95 % interval and are None
    where the papers bound nothing. Raises ValueError for scores that are missing or not finite.
    """
    first, second = average_over_papers(candidate, papers), average_over_papers(baseline, papers)
    if not first:
        raise ValueError("there is no record to compare; the test part is made by 02_explore_data")
    differences = np.array([first[paper] - second[paper] for paper in first])
    low, high = (float(end[0]) for end in bootstrap_t_intervals(differences[None], draws))
    p_value = float(sign_flip_p_values(differences[None], draws)[0])
    return {
        "papers": len(differences),
        "candidate": float(np.mean(list(first.values()))),
        "baseline": float(np.mean(list(second.values()))),
        "difference": float(differences.mean()),
        "low": low if math.isfinite(low) else None,
        "high": high if math.isfinite(high) else None,
        "p_value": p_value,
        "verdict": give_verdict(len(differences), low, high, p_value, higher_is_better),
        "identical": not differences.any(),
        "draws": draws,
    }


def give_verdict(papers: int, low: float, high: float, p_value: float, higher_is_better: bool = True) -> str:
    """Return the verdict in words: interval and test have to agree before one system is called better."""
    if papers < LEAST_PAPERS:
        return TOO_FEW_PAPERS
    if p_value >= ALPHA or low <= 0 <= high:
        return NOT_DISTINGUISHABLE
    return BETTER if (low > 0) == higher_is_better else WORSE


def bootstrap_t_intervals(differences: np.ndarray, draws: int = DRAWS) -> tuple[np.ndarray, np.ndarray]:
    """Return (low, high), each (samples,), of the mean of each row of `differences`, shape (samples, papers).

    A single paper bounds nothing. All samples share the same resamplings: two matrix products a block.
    """
    samples, papers = differences.shape
    if papers == 1:
        return np.full(samples, -np.inf), np.full(samples, np.inf)
    means = differences.mean(axis=1)
    # centred, so that the sums of squares below lose no digits
    centred = differences - means[:, None]
    errors = np.sqrt((centred**2).sum(axis=1) / (papers - 1) / papers)
    rng, blocks = np.random.default_rng(SEED), []
    for size in _block_sizes(papers, draws):
        # how often each paper is drawn
        counts = rng.multinomial(papers, np.full(papers, 1 / papers), size).astype(float)
        shifts = counts @ centred.T / papers
        variances = (counts @ (centred**2).T / papers - shifts**2) / (papers - 1)
        # a resampling of equal differences varies by rounding only
        variances[variances <= _ROUNDING * errors**2] = 0
        with np.errstate(divide="ignore", invalid="ignore"):
            # without an error it is infinitely far off, or, where it is the mean itself, not off at all
            blocks.append(np.nan_to_num(shifts / np.sqrt(variances), nan=0, posinf=np.inf, neginf=-np.inf))
    statistics = np.concatenate(blocks)
    lower, upper = np.quantile(statistics, (ALPHA / 2, 1 - ALPHA / 2), axis=0, method="inverted_cdf")
    equal = errors <= _ROUNDING * np.abs(means)
    with np.errstate(invalid="ignore"):
        return np.where(equal, means, means - upper * errors), np.where(equal, means, means - lower * errors)


def sign_flip_p_values(differences: np.ndarray, draws: int = DRAWS) -> np.ndarray:
    """Return (samples,) two-sided p-values for `differences` of shape (samples, papers).

    The share of random sign flips whose mean is at least as far from 0, the data itself counted as one.
    """
    papers = differences.shape[1]
    observed = np.abs(differences.sum(axis=1)) * (1 - _ROUNDING)
    rng, at_least = np.random.default_rng(SEED), np.zeros(len(differences))
    for size in _block_sizes(papers, draws):
        signs = rng.integers(0, 2, (size, papers), dtype=np.int8) * 2.0 - 1
        at_least += (np.abs(signs @ differences.T) >= observed).sum(axis=0)
    return (1 + at_least) / (1 + draws)


def papers_needed(differences: np.ndarray, gain: float) -> int | None:
    """Return how many papers show a mean difference of `gain` with 80 % power at the 5 % level.

    From the spread of the differences seen, by the normal approximation with Guenther's (1981)
    correction for the t test; never under 20. None where the papers seen do not differ in spread.
    """
    if gain <= 0:
        raise ValueError(f"gain is {gain}; a positive difference in the score's own unit is expected")
    differences = np.asarray(differences, dtype=float)
    if len(differences) < 2 or np.ptp(differences) <= _ROUNDING * np.abs(differences).max():
        return None
    normal = NormalDist()
    distance = normal.inv_cdf(1 - ALPHA / 2) + normal.inv_cdf(POWER)
    needed = (distance * differences.std(ddof=1) / gain) ** 2 + normal.inv_cdf(1 - ALPHA / 2) ** 2 / 2
    return max(LEAST_PAPERS, math.ceil(needed))


# --- checks of the checks ----------------------------------------------------------------------


def simulate_coverage(papers: int, draws: int = 2_000, simulations: int = 4_000) -> dict:
    """Return `coverage` of the 95 % interval and the rate at which equal systems are `not_distinguishable`.

    Differences are normal with mean 0. The second rate counts interval and test, whatever the number of papers.
    """
    rng = np.random.default_rng([SEED, papers])
    one, other = rng.standard_normal((2, simulations, papers))
    low, high = bootstrap_t_intervals(one, draws)
    equal_low, equal_high = bootstrap_t_intervals(one - other, draws)
    told_apart = (sign_flip_p_values(one - other, draws) < ALPHA) & ((equal_low > 0) | (equal_high < 0))
    return {
        "papers": papers,
        "shape": "normal",
        "simulations": simulations,
        "coverage": float(((low <= 0) & (high >= 0)).mean()),
        "not_distinguishable": float(1 - told_apart.mean()),
    }


def _block_sizes(papers: int, draws: int) -> Iterator[int]:
    size = max(1, _BLOCK_NUMBERS // papers)
    yield from (min(size, draws - start) for start in range(0, draws, size))
