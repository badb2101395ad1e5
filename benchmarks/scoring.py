"""Time 04's scoring on a CPU: 1,000 pairs with every metric and the faithfulness check, then 10,000 draws.

Half of the pairs are lead-3 extracts, half the authors' summaries of other papers, so that texts repeat as in 04.

    PYTHONPATH=. python benchmarks/scoring.py
"""

import datetime
import itertools
import time
from importlib import metadata

from parentcare.data.records import read_jsonl
from parentcare.evaluation import baselines, report
from parentcare.manifest import REPOSITORY, current_commit, write_json

RESULTS = REPOSITORY / "benchmarks" / "results" / "scoring.json"
RECORDS = 500


def main() -> None:
    """Write the results."""
    records = list(itertools.islice(itertools.cycle(read_jsonl(REPOSITORY / "data" / "output.jsonl")), RECORDS))
    lead = baselines.extract_lead([record["text"] for record in records])
    others = [record["summary"] for record in records[7:] + records[:7]]
    answers = {
        name: {record["id"]: {"answer": text, "ended": None} for record, text in zip(records, texts, strict=True)}
        for name, texts in (("lead-3", lead), ("others", others))
    }
    started = time.time()
    scores = report.score_systems(answers, records)
    scored = time.time()
    report.compare_scores(scores, {}, [("lead-3", "others")], [record["paper_id"] for record in records])
    versions = {name: metadata.version(name) for name in ("kiwipiepy", "rouge-score", "sacrebleu", "numpy")}
    common = {"unit": "s", "repeats": 1, "device": "CPU, 2 cores", "versions": versions, "commit": current_commit()}
    common["date"] = datetime.date.today().isoformat()
    rows = [
        ("every score of 1,000 pairs", scored - started),
        ("intervals and tests, 10,000 draws", time.time() - scored),
    ]
    results = [
        {"setting": name, "value": round(s, 1), "min": round(s, 1), "max": round(s, 1)} | common for name, s in rows
    ]
    print(*results, sep="\n")
    write_json(RESULTS, results)


if __name__ == "__main__":
    main()
