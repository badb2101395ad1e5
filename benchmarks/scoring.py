"""Time 04's scoring on a CPU: 1,000 pairs with every metric and the faithfulness check, then 10,000 draws.

Half of the pairs are lead-3 extracts, half the authors' summaries of other papers, so that texts repeat as in 04.

    PYTHONPATH=. python benchmarks/scoring.py
"""

import itertools
import time

from result_rows import CPU, provenance

from parentcare.data.records import read_jsonl
from parentcare.evaluation import baselines, comparison, report
from parentcare.manifest import REPOSITORY, write_json

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
    papers = [record["paper_id"] for record in records]
    report.compare_scores(scores, {}, [("lead-3", "others")], papers, comparison.DRAWS)
    packages = ["kiwipiepy", "rouge-score", "sacrebleu", "numpy"]
    common = {"unit": "s", "repeats": 1} | provenance(f"{CPU}, two cores", packages)
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
