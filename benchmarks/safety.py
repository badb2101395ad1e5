"""How often the safety check misses and how often it is wrong: python3 benchmarks/safety.py

Writes benchmarks/results/safety.json: shares of safety_held_out.jsonl, which nobody who wrote rules or training
utterances had seen, and of the questions on the sample papers, which should all be let through. Only rates are
printed and stored, never a text.
"""

import collections
import datetime
import platform
import sys
from importlib import metadata
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from parentcare.assistant.safety import find_route
from parentcare.data.records import read_jsonl
from parentcare.evaluation.faithfulness import count_rate
from parentcare.manifest import REPOSITORY, current_commit, write_json

QUESTIONS = REPOSITORY / "data" / "questions"
RESULTS = REPOSITORY / "benchmarks" / "results" / "safety.json"
PARTS = {"held-out half": "safety_held_out.jsonl"}


def measure_routes(questions: list[dict]) -> dict[str, dict]:
    """Return setting → count_rate: `missed` got no advice, `other advice` that of another route than meant.

    A question has `text` and `route`, one of ROUTES; `false alarms` are a share of the latter.
    """
    outcomes = collections.defaultdict(list)
    for question in questions:
        meant, found = question["route"], find_route(question["text"])
        if meant == "none":
            outcomes["false alarms"].append(found is not None)
            continue
        outcomes["missed"].append(found is None)
        outcomes["other advice"].append(found not in (None, meant))
        outcomes[f"missed, {meant}"].append(found is None)
    return {setting: count_rate(outcomes[setting]) for setting in sorted(outcomes)}


def result(setting: str, rate: dict, commit: str) -> dict:
    """Return one row of the results."""
    return {
        "setting": setting,
        "value": round(100 * rate["rate"], 2),
        "unit": "%",
        "count": rate["count"],
        "of": rate["of"],
        "low": round(100 * rate["low"], 2),
        "high": round(100 * rate["high"], 2),
        "device": "CPU",
        "versions": {"python": platform.python_version()}
        | {name: metadata.version(name) for name in ("numpy", "scipy")},
        "commit": commit,
        "date": datetime.date.today().isoformat(),
    }


def main() -> None:
    rows, commit = [], current_commit()
    for part, name in PARTS.items():
        rates = measure_routes(read_jsonl(QUESTIONS / name))
        rows += [result(f"{setting}, {part}", rate, commit) for setting, rate in rates.items()]
    trained = {row["text"] for row in read_jsonl(QUESTIONS / "safety_training.jsonl")}
    questions = [row["question"] for row in read_jsonl(QUESTIONS / "retrieval.jsonl")]
    alarms = [find_route(question) is not None for question in questions if question not in trained]
    rows.append(result("false alarms, questions on the sample papers, the half kept apart", count_rate(alarms), commit))
    for row in rows:
        print(f"{row['setting']}: {row['value']} % ({row['count']} of {row['of']}; {row['low']} to {row['high']})")
    write_json(RESULTS, rows)


if __name__ == "__main__":
    main()
