"""How long 100,000 records take through deduplication and splitting: python3 benchmarks/records_at_scale.py

Writes benchmarks/results/records_at_scale.json: seconds of one core and the peak memory of the process.
The records are made from the sentences of data/output.jsonl drawn at random, five to a paper, with a known
share of papers printed again: they measure cost and whether what was planted is found, not how often real
papers repeat one another.
"""

import argparse
import random
import resource
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from result_rows import CPU, provenance, replace_rows

from parentcare.data.duplicates import NEAR_DUPLICATE_JACCARD, jaccard, similar_records, sketch
from parentcare.data.pairing import split_sentences
from parentcare.data.records import read_jsonl
from parentcare.data.splits import find_leaks, group_papers, split_records
from parentcare.manifest import REPOSITORY

SOURCE = REPOSITORY / "data" / "output.jsonl"
RESULTS = REPOSITORY / "benchmarks" / "results" / "records_at_scale.json"
SIZES = (1_000, 10_000, 100_000)
# as in data/output.jsonl: five records a paper, texts of 600 characters and summaries of 150
RECORDS_PER_PAPER, TEXT_SENTENCES, SUMMARY_SENTENCES = 5, 12, 3
# of the papers: printed again word for word, and printed again with changes
EXACT_SHARE = NEAR_SHARE = 0.05


def make_records(count: int, sentences: list[str], seed: int = 0) -> tuple[list[dict], set[tuple[str, str]]]:
    """Return (records in random order, planted pairs of paper ids at or above the threshold)."""
    chance = random.Random(seed)
    papers = count // RECORDS_PER_PAPER
    exact, near = int(papers * EXACT_SHARE), int(papers * NEAR_SHARE)
    made = [make_paper(f"p{i}", sentences, chance) for i in range(papers - exact - near)]
    planted = set()
    for i in range(exact + near):
        original = made[chance.randrange(papers - exact - near)]
        copy = [record | {"paper_id": f"copy{i}"} for record in original]
        made.append(copy if i < exact else [edit_record(record, sentences, chance) for record in copy])
        if any(agree(a, b) for a, b in zip(original, made[-1], strict=True)):
            planted.add((original[0]["paper_id"], f"copy{i}"))
    records = [record for paper in made for record in paper]
    chance.shuffle(records)
    return records, planted


def make_paper(paper_id: str, sentences: list[str], chance: random.Random) -> list[dict]:
    """Return the records of one paper, sentences drawn at random."""
    paper = []
    for _ in range(RECORDS_PER_PAPER):
        drawn = chance.sample(sentences, TEXT_SENTENCES + SUMMARY_SENTENCES)
        text, summary = " ".join(drawn[:TEXT_SENTENCES]), " ".join(drawn[TEXT_SENTENCES:])
        paper.append({"paper_id": paper_id, "text": text, "summary": summary})
    return paper


def edit_record(record: dict, sentences: list[str], chance: random.Random) -> dict:
    """Return the record with a sentence put before its text and a word of its summary left out."""
    words = record["summary"].split()
    del words[chance.randrange(len(words))]
    return record | {"text": f"{chance.choice(sentences)} {record['text']}", "summary": " ".join(words)}


def agree(a: dict, b: dict) -> bool:
    """Return whether two records are near-duplicates by their exact Jaccard similarity."""
    return any(jaccard(a[field], b[field]) >= NEAR_DUPLICATE_JACCARD for field in ("text", "summary"))


def measure(count: int, sentences: list[str]) -> list[dict]:
    """Return the results on `count` records: seconds of each step and of all, peak memory, planted copies found."""
    records, planted = make_records(count, sentences)
    seconds = {}
    sketch.cache_clear()
    pairs = timed(seconds, "near_duplicates", lambda found: list(similar_records(found)), records)
    parts, _ = timed(seconds, "split_records", split_records, records)
    leaks = timed(seconds, "find_leaks", find_leaks, parts)
    peak_gb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
    groups = group_papers([record["paper_id"] for record in records], pairs)
    found = sum(groups[original] == groups[copy] for original, copy in planted)
    # each planted pair joins one more paper; the others drew the same sentences by chance and are truly alike
    joined = len(groups) - len(set(groups.values()))
    return [
        *[result(f"{step}, {count:,} records", round(value, 1), "s", count) for step, value in seconds.items()],
        result(f"deduplication and splitting, {count:,} records", round(sum(seconds.values()), 1), "s", count),
        result(f"peak memory, {count:,} records", round(peak_gb, 2), "GB", count),
        result(f"planted copies found, {count:,} records", round(100 * found / len(planted), 2), "%", len(planted)),
        result(f"papers joined that were not planted, {count:,} records", joined - found, "papers", len(groups)),
        result(f"leaks after splitting, {count:,} records", len(leaks), "leaks", count),
    ]


def timed(seconds: dict[str, float], step: str, function, argument):
    """Return what the function returns, its seconds put into `seconds`."""
    start = time.perf_counter()
    returned = function(argument)
    seconds[step] = time.perf_counter() - start
    return returned


def result(setting: str, value: float, unit: str, n: int) -> dict:
    """Return the numbers of one line of records_at_scale.json."""
    return {"setting": setting, "value": value, "unit": unit, "n": n}


def main() -> None:
    """Measure each size, print, and replace the results of the same settings."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, help="numbers of records")
    options = parser.parse_args()
    sentences = sorted({s for record in read_jsonl(SOURCE) for s in split_sentences(record["text"])})
    common = provenance(f"{CPU}, one core", ["datasketch", "numpy"])
    # ascending, because the peak memory of a process never falls
    for count in sorted(options.sizes):
        results = measure(count, sentences)
        for found in results:
            print(f"{found['setting']:70} {found['value']:10,.2f} {found['unit']} (n={found['n']:,})", flush=True)
        replace_rows(RESULTS, [found | common for found in results])


if __name__ == "__main__":
    main()
