"""How well the sample papers' passages are found: python3 benchmarks/retrieval.py

Writes benchmarks/results/retrieval.json. A hash splits data/questions/retrieval.jsonl: on one half the weights and
the threshold of parentcare/assistant/index.py were chosen, the other half is held out; that the confidence is the
best score plus a power of the coverage was chosen with both in sight. The questions of retrieval_later.jsonl were
written when all of it was done, by somebody who had not seen it; most of the unanswerable ones among them are near
misses. The synonyms were written before any question was read. A paper ranks where its best passage does; every
system has the same passages with their titles.
How fast it is: retrieval_at_scale.py.
"""

import collections
import hashlib
import itertools
import sys
import tempfile
from importlib import metadata
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import bm25s
import ir_measures
import numpy as np
from ir_measures import RR, R, nDCG
from result_rows import CPU, provenance, replace_rows
from scipy import stats

from parentcare.assistant.index import (
    MIN_CONFIDENCE,
    confidence,
    has_evidence,
    indexed_text,
    load_index,
    make_chunks,
    search,
    update_index,
)
from parentcare.assistant.words import read_question
from parentcare.data.pairing import split_sentences
from parentcare.data.records import read_jsonl
from parentcare.evaluation.faithfulness import count_rate
from parentcare.manifest import REPOSITORY

DATA = REPOSITORY / "data"
RESULTS = REPOSITORY / "benchmarks" / "results" / "retrieval.json"
MEASURES = {R @ 1: "recall@1", R @ 5: "recall@5", RR: "MRR", nDCG @ 10: "nDCG@10"}
PARTS = ("chosen on", "held out", "written later")
DRAWS = 10_000
VERSIONED = ("bm25s", "ir_measures", "kiwipiepy", "kiwipiepy_model", "lancedb", "numpy")


def read_questions() -> list[dict]:
    """Return the questions, each with its `part`."""
    questions = read_jsonl(DATA / "questions" / "retrieval.jsonl")
    places = [int(hashlib.sha256(question["question"].encode()).hexdigest(), 16) % 2 for question in questions]
    halves = [question | {"part": PARTS[place]} for question, place in zip(questions, places, strict=True)]
    later = read_jsonl(DATA / "questions" / "retrieval_later.jsonl")
    return halves + [question | {"part": PARTS[2]} for question in later]


def cut_bigrams(text: str) -> list[str]:
    """Return the pairs of neighbouring characters in each word, a word of one character as it is."""
    return [word[i : i + 2] for word in text.split() for i in range(max(1, len(word) - 1))]


TOKENIZERS = {
    "BM25 over whitespace": str.split,
    "BM25 over character bigrams": cut_bigrams,
    "BM25 over Kiwi morphemes": read_question,
}


# --- is the right paper found? -------------------------------------------------------------------


def rank_plainly(chunks: list[dict], questions: list[dict], cut) -> list[dict[str, float]]:
    """Return, for each question, paper → score of its best passage, by BM25 over the tokens of `cut`."""
    bm25 = bm25s.BM25()
    bm25.index([cut(indexed_text(chunk["title"], chunk["text"])) for chunk in chunks], show_progress=False)
    ranked = []
    for question in questions:
        ids = [bm25.vocab_dict[token] for token in cut(question["question"]) if token in bm25.vocab_dict]
        best = collections.defaultdict(float)
        for chunk, score in zip(chunks, bm25.get_scores_from_ids(ids), strict=True):
            best[Path(chunk["source"]).stem] = max(best[Path(chunk["source"]).stem], float(score))
        ranked.append({paper: score for paper, score in best.items() if score > 0})
    return ranked


def rank_ours(index, questions: list[dict]) -> list[dict[str, float]]:
    """Return, for each question, paper → score of its best passage, by `search`."""
    found = [search(index, question["question"], limit=100, per_paper=1) for question in questions]
    return [{Path(passage.source).stem: passage.score for passage in passages} for passages in found]


def score_ranking(questions: list[dict], ranked: list[dict[str, float]]) -> dict[str, np.ndarray]:
    """Return measure → value of each question; recall is the share of its papers, in five questions of two."""
    qrels = {str(i): dict.fromkeys(question["papers"], 1) for i, question in enumerate(questions)}
    # a question for which nothing is found counts as 0, and would be left out without an entry
    run = {str(i): found or {"none": 0.0} for i, found in enumerate(ranked)}
    values = {name: np.zeros(len(questions)) for name in MEASURES.values()}
    for metric in ir_measures.iter_calc(list(MEASURES), qrels, run):
        values[MEASURES[metric.measure]][int(metric.query_id)] = metric.value
    return values


def measure_ranking(chunks: list[dict], index, questions: list[dict]) -> list[dict]:
    """Return each system's measures by wording, and what ours gains over plain Kiwi."""
    answerable = [question for question in questions if question["answerable"]]
    systems = {name: rank_plainly(chunks, answerable, cut) for name, cut in TOKENIZERS.items()}
    systems["ours"] = rank_ours(index, answerable)
    values = {name: score_ranking(answerable, ranked) for name, ranked in systems.items()}
    rows = []
    for wording, part in itertools.product(("parent", "teacher"), PARTS):
        chosen = [q["wording"] == wording and q["part"] == part for q in answerable]
        where = f"{wording}s' wording, {part}"
        for name, measured in values.items():
            rows += [mean_row(f"{measure}, {where}, {name}", measured[measure][chosen]) for measure in measured]
        gain = (values["ours"]["recall@1"] - values["BM25 over Kiwi morphemes"]["recall@1"])[chosen]
        rows.append(mean_row(f"recall@1, {where}, ours less BM25 over Kiwi morphemes", gain))
    return rows


def mean_row(setting: str, values: np.ndarray) -> dict:
    """Return a row of the mean in per cent, with a bootstrap interval over the questions."""
    low = high = values.mean()
    if values.std():
        options = {"n_resamples": DRAWS, "method": "percentile", "rng": 0}
        low, high = stats.bootstrap((values,), np.mean, **options).confidence_interval
    return result(setting, 100 * values.mean(), "%", len(values), (100 * low, 100 * high))


# --- is there evidence? --------------------------------------------------------------------------


def measure_refusals(index, questions: list[dict]) -> list[dict]:
    """Return how many questions are refused, the unanswerable and the answerable ones, with Wilson intervals."""
    refused = {q["question"]: not has_evidence(index, q["question"], search(index, q["question"])) for q in questions}
    rows = []
    for part in PARTS:
        for answerable in (False, True):
            chosen = [q for q in questions if q["answerable"] == answerable and q["part"] == part]
            name = "answerable" if answerable else "unanswerable"
            rows.append(share_row(f"refused of the {name}, {part}", [refused[q["question"]] for q in chosen]))
    values = {
        "confidence": [confidence(index, q["question"], search(index, q["question"])) for q in questions],
        "the number of words asked alone": [len(set(read_question(q["question"]))) for q in questions],
    }
    answerable = np.array([q["answerable"] for q in questions])
    for name, found in values.items():
        pairs = answerable.sum() * (~answerable).sum()
        area = stats.mannwhitneyu(np.array(found)[answerable], np.array(found)[~answerable]).statistic / pairs
        rows.append(result(f"answerable told from unanswerable by {name}: area under the curve", area, "", len(found)))
    keywords = sorted({word for paper in read_jsonl(DATA / "sample_papers.jsonl") for word in paper["keywords"]})
    general = [split_sentences(row["text"])[0] for row in read_jsonl(DATA / "questions" / "general_korean.jsonl")]
    for name, texts in (
        ("the papers' keywords, asked alone", keywords),
        ("first sentences of general Korean", general),
    ):
        rows.append(share_row(f"refused of {name}", [not has_evidence(index, t, search(index, t)) for t in texts]))
    return rows


def share_row(setting: str, outcomes: list[bool]) -> dict:
    """Return a row of a share in per cent with its Wilson interval."""
    rate = count_rate(outcomes)
    return result(setting, 100 * rate["rate"], "%", rate["of"], (100 * rate["low"], 100 * rate["high"]))


def print_confidences(index, questions: list[dict]) -> None:
    """Print the confidences that the threshold lies between, of the half that it is chosen on."""
    for answerable in (False, True):
        chosen = [q["question"] for q in questions if q["answerable"] == answerable and q["part"] == "chosen on"]
        found = sorted(confidence(index, question, search(index, question)) for question in chosen)
        print(f"answerable {answerable}:", *(f"{value:.2f}" for value in found), f"threshold {MIN_CONFIDENCE}")


def measure_general(chunks: list[dict]) -> list[dict]:
    """Return how often a sentence finds the text that it was cut out of, general Korean among the papers' passages."""
    texts = [split_sentences(row["text"]) for row in read_jsonl(DATA / "questions" / "general_korean.jsonl")]
    found = collections.defaultdict(list)
    for position in range(3):
        cut = [(f"general-{i}", text[position], text) for i, text in enumerate(texts) if len(text) > position]
        asked = [{"question": sentence, "papers": [name]} for name, sentence, _ in cut]
        rests = [
            {"text": " ".join(part for part in text if part != sentence), "source": name, "title": ""}
            for name, sentence, text in cut
        ]
        mixed = chunks + make_chunks(rests)
        with tempfile.TemporaryDirectory() as folder:
            update_index(Path(folder), mixed)
            ours = rank_ours(load_index(Path(folder)), asked)
        plain = rank_plainly(mixed, asked, read_question)
        for name, ranked in (("BM25 over Kiwi morphemes", plain), ("ours", ours)):
            found[name] += score_ranking(asked, ranked)["recall@1"].tolist()
    setting = "recall@1, general Korean, a sentence for the rest of its text"
    return [mean_row(f"{setting}, {name}", np.array(values)) for name, values in found.items()]


# --- results -------------------------------------------------------------------------------------


def installed(package: str) -> bool:
    """Return whether a package is there."""
    try:
        return bool(metadata.version(package))
    except metadata.PackageNotFoundError:
        return False


def result(setting: str, value: float, unit: str, n: int, interval: tuple[float, float] | None = None) -> dict:
    """Return the numbers of one line of retrieval.json; `low` and `high` are the ends of a 95 % interval."""
    ends = {"low": round(float(interval[0]), 1), "high": round(float(interval[1]), 1)} if interval else {}
    return {
        "setting": setting,
        "value": round(float(value), 1 if unit == "%" else 2),
        "unit": unit,
        "n": n,
        **ends,
    }


def save(rows: list[dict]) -> None:
    """Print the rows and put them in the place of those with the same settings."""
    for row in rows:
        interval = f"{row['low']}-{row['high']}" if "low" in row else ""
        print(f"{row['setting']:90} {row['value']:9} {row['unit']:3} {interval:12} n={row['n']}")
    common = provenance(f"{CPU}, two cores", [name for name in VERSIONED if installed(name)])
    replace_rows(RESULTS, [row | common for row in rows])


def main() -> None:
    """Measure the sample papers' questions."""
    chunks, questions = make_chunks(read_jsonl(DATA / "output.jsonl")), read_questions()
    with tempfile.TemporaryDirectory() as folder:
        update_index(Path(folder), chunks)
        index = load_index(Path(folder))
    print_confidences(index, questions)
    rows = measure_ranking(chunks, index, questions) + measure_refusals(index, questions) + measure_general(chunks)
    save(rows)


if __name__ == "__main__":
    main()
