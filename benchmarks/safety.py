"""How often the safety check misses and how often it is wrong: python3 benchmarks/safety.py

Writes benchmarks/results/safety.json: shares of safety_held_out.jsonl, which nobody who wrote code or training
utterances had seen (its first rates told that these had too few on doses and diagnoses, and more were written), and
of the questions on the sample papers, which should all be let through. Only rates are printed and stored, never a
text.
"""

import collections
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from result_rows import CPU, provenance, rate_row

from parentcare.assistant.safety import find_route
from parentcare.data.records import read_jsonl
from parentcare.manifest import REPOSITORY, write_json

QUESTIONS = REPOSITORY / "data" / "questions"
RESULTS = REPOSITORY / "benchmarks" / "results" / "safety.json"
PARTS = {"held-out": "safety_held_out.jsonl"}


def measure_routes(questions: list[dict]) -> dict[str, list[bool]]:
    """Return setting → outcomes: `missed` got no advice, `other advice` that of another route than meant.

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
    return dict(sorted(outcomes.items()))


def main() -> None:
    rows, common = [], provenance(CPU, ["scikit-learn", "kiwipiepy"])
    for part, name in PARTS.items():
        found = measure_routes(read_jsonl(QUESTIONS / name))
        rows += [rate_row(f"{setting}, {part}", outcomes, 2, common) for setting, outcomes in found.items()]
    trained = {row["text"] for row in read_jsonl(QUESTIONS / "safety_training.jsonl")}
    questions = [row["question"] for row in read_jsonl(QUESTIONS / "retrieval.jsonl")]
    alarms = [find_route(question) is not None for question in questions if question not in trained]
    rows.append(rate_row("false alarms, questions on the sample papers, the half kept apart", alarms, 2, common))
    later = [find_route(row["question"]) is not None for row in read_jsonl(QUESTIONS / "retrieval_later.jsonl")]
    rows.append(rate_row("false alarms, questions on the sample papers, written later", later, 2, common))
    for row in rows:
        print(f"{row['setting']}: {row['value']} % ({row['count']} of {row['of']}; {row['low']} to {row['high']})")
    write_json(RESULTS, rows)


if __name__ == "__main__":
    main()
