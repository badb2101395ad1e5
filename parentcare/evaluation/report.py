"""From predictions and losses to the table, the comparisons and the examples of 04."""

import statistics

from parentcare.evaluation import comparison, faithfulness, metrics

SHOWN_SCORES = ("rouge1", "rouge2", "rougeL", "chrf")
SHOWN_BEHAVIOUR = ("ends_with_eos", "empty", "repeats_itself", "length_ratio", "copied_share", "hangul_share")


def score_systems(answers: dict[str, dict[str, dict]], records: list[dict]) -> dict[str, list[dict]]:
    """Return system → the scores of each record, in the records' order.

    `answers` has system → record id → {"answer", "ended"}; an extract's `ended` is None. Each text is
    analysed once for all systems. `findings` counts what the faithfulness check doubts.
    """
    rows = [row | {"ends_with_eos": row["ended"]} for row in prediction_rows(answers, records)]
    scores = metrics.score_predictions(rows)
    for row, score in zip(rows, scores, strict=True):
        score["findings"] = len(faithfulness.check_summary(row["prediction"], row["text"]))
        score["unfaithful"] = score["findings"] > 0
    size = len(records)
    return {name: scores[i * size : (i + 1) * size] for i, name in enumerate(answers)}


def describe_systems(scores: dict[str, list[dict]]) -> dict[str, dict[str, float]]:
    """Return system → the mean of every score, and the rate of every yes or no."""
    return {name: {k: round(v, 4) for k, v in metrics.mean_scores(rows).items()} for name, rows in scores.items()}


def stronger_base(scores: dict[str, list[dict]], names: list[str]) -> str:
    """Return the base with the higher mean ROUGE-L: under a prompt that it does not know, it loses by form alone."""
    return max(names, key=lambda name: statistics.fmean(row["rougeL"] for row in scores[name]))


def compare_scores(
    scores: dict[str, list[dict]], losses: dict[str, list[float]], pairs: list, papers: list, draws: int
) -> list[dict]:
    """Return one comparison for each (candidate, baseline) pair and score, loss first.

    Losses are compared where both systems have one: nats a response token, less is better.
    """
    rows = []
    for candidate, baseline in pairs:
        if candidate in losses and baseline in losses:
            one, other = losses[candidate], losses[baseline]
            result = comparison.compare_systems(one, other, papers, higher_is_better=False, draws=draws)
            rows.append({"score": "loss", "candidate_system": candidate, "baseline_system": baseline, **result})
        for name in ("rougeL", "chrf"):
            one, other = ([row[name] for row in scores[system]] for system in (candidate, baseline))
            result = comparison.compare_systems(one, other, papers, draws=draws)
            rows.append({"score": name, "candidate_system": candidate, "baseline_system": baseline, **result})
    return rows


def format_comparison(row: dict) -> str:
    """Return one comparison as a line: difference, interval, p, verdict."""
    interval = "no interval" if row["low"] is None else f"[{row['low']:+.4f}, {row['high']:+.4f}]"
    names = f"{row['candidate_system']} − {row['baseline_system']}"
    return (
        f"{row['score']:<7}{names:<28}{row['difference']:+.4f} {interval:<20} p={row['p_value']:.4f}  "
        f"n={row['papers']} papers: {row['verdict']}"
    )


def format_table(means: dict[str, dict[str, float]], columns: tuple[str, ...]) -> str:
    """Return the systems as lines, one column a score."""
    head = f"{'':<12}" + "".join(f"{name:>16}" for name in columns)
    rows = [f"{name:<12}" + "".join(f"{row[column]:>16.3f}" for column in columns) for name, row in means.items()]
    return "\n".join([head, *rows])


def pick_examples(scores: list[dict], records: list[dict]) -> dict[str, dict]:
    """Return the records with the best, the median and the worst ROUGE-L of one system."""
    order = sorted(range(len(scores)), key=lambda i: scores[i]["rougeL"])
    places = {"best": order[-1], "median": order[len(order) // 2], "worst": order[0]}
    return {name: records[i] for name, i in places.items()}


def papers_for_gain(scores: dict[str, list[dict]], one: str, other: str, papers: list[str], gain: float) -> int | None:
    """Return how many papers would show a ROUGE-L gain of that size, from the spread seen here."""
    first, second = (
        comparison.average_over_papers([row["rougeL"] for row in scores[name]], papers) for name in (one, other)
    )
    return comparison.papers_needed([first[paper] - second[paper] for paper in first], gain)


def prediction_rows(answers: dict[str, dict[str, dict]], records: list[dict]) -> list[dict]:
    """Return one row for each system and record, with all that is needed to score it again."""
    return [
        {
            "system": name,
            "id": record["id"],
            "paper_id": record.get("paper_id"),
            "prediction": by_id[record["id"]]["answer"],
            "ended": by_id[record["id"]]["ended"],
            "reference": record["summary"],
            "text": record["text"],
        }
        for name, by_id in answers.items()
        for record in records
    ]
