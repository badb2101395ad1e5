"""The passages of the papers, found by BM25 over Kiwi's content morphemes (Robertson & Zaragoza 2009).

An index is a folder of generations, each whole and named after its content, and current.json that names the one in
use: an update writes a new one beside it and then changes the name; a kill leaves the old. One writer at a time.
"""

import collections
import hashlib
import json
import math
import os
import shutil
from pathlib import Path
from typing import NamedTuple

import bm25s
import numpy as np

from parentcare.assistant.words import Synonyms, expand, find_tokenizer, read_question, read_synonyms, tokenize
from parentcare.data.pairing import split_sentences
from parentcare.data.records import read_jsonl, write_jsonl
from parentcare.data.splits import paper_key
from parentcare.manifest import read_json, short_path, write_atomically, write_json

MAX_PASSAGE_CHARS = 500
CANDIDATES = 200
# Chosen on one half of data/questions/retrieval.jsonl, reported on the other: benchmarks/retrieval.py.
SYNONYM_WEIGHT = 0.3
# a paper that speaks of the question in several passages is lifted by this share of its next best ones
OTHERS_WEIGHT, OTHERS = 0.2, 3
COVERAGE_POWER, MIN_CONFIDENCE = 3, 1.05


class Passage(NamedTuple):
    """One search hit; `kind` is 'paper' for body text, 'abstract' for an entry of the catalogue."""

    id: str
    paper_id: str
    title: str
    year: int | None
    section: str
    text: str
    kind: str
    synthetic: bool
    license: str
    source: str
    score: float


class Index(NamedTuple):
    """An index in memory; `lines` are chunks as JSON, those of paper i from paper_starts[i] to paper_starts[i + 1]."""

    lines: list[bytes]
    paper_starts: np.ndarray
    bm25: bm25s.BM25
    synonyms: Synonyms


def make_chunks(records: list[dict], catalogue: list[dict] = ()) -> list[dict]:
    """Return the passages of records and of the catalogue's abstracts, each with the fields of Passage but `score`.

    A paper's 'whole' record is used only where it has no other; a text that stands twice in a paper is one passage.
    """
    by_paper = collections.defaultdict(list)
    for record in records:
        by_paper[paper_key(record)].append(record | {"kind": "paper"})
    for paper_id, found in by_paper.items():
        by_paper[paper_id] = [row for row in found if row.get("section") not in (None, "", "whole")] or found
    for row in catalogue:
        if abstract := row.get("abstract") or row.get("abstract_en"):
            fields = {"kind": "abstract", "section": "초록", "text": abstract, "source": row.get("url") or row["id"]}
            by_paper[row.get("doi") or row["id"]].append(row | fields)
    return [chunk for paper_id, rows in by_paper.items() for chunk in cut_paper(paper_id, rows)]


def cut_paper(paper_id: str, rows: list[dict]) -> list[dict]:
    """Return the chunks of one paper, each text once."""
    chunks, counts = {}, collections.Counter()
    for row in rows:
        section = str(row.get("section") or "whole")
        for text in cut_passages(row["text"]):
            if text in chunks:
                continue
            counts[section] += 1
            chunks[text] = {
                "id": f"{paper_id}/{section}/{counts[section]}",
                "paper_id": paper_id,
                "title": str(row.get("title") or ""),
                "year": row.get("year"),
                "section": section,
                "kind": row["kind"],
                "synthetic": bool(row.get("synthetic")),
                "license": str(row.get("license") or ""),
                "text": text,
                "source": str(row.get("source") or paper_id),
            }
    return list(chunks.values())


def cut_passages(text: str) -> list[str]:
    """Return runs of whole sentences of about the same length, the mean at most MAX_PASSAGE_CHARS."""
    sentences = split_sentences(text)
    total = sum(map(len, sentences))
    target = total / max(1, math.ceil(total / MAX_PASSAGE_CHARS))
    passages, length = [[]], 0
    for sentence in sentences:
        if passages[-1] and length + len(sentence) / 2 > target:
            passages.append([])
            length = 0
        passages[-1].append(sentence)
        length += len(sentence)
    return [" ".join(passage) for passage in passages if passage]


def update_index(folder: Path, chunks: list[dict]) -> dict:
    """Return {'added', 'changed', 'removed', 'unchanged'}, numbers of papers, after bringing the index up to date.

    `chunks` is all that the index shall hold; only papers whose chunks or tokenizer changed are analysed again.
    Raises ValueError where there is none.
    """
    if not chunks:
        raise ValueError("there is no passage to index; 01_build_dataset makes data/output.jsonl from data/papers/")
    papers = collections.defaultdict(list)
    for chunk in chunks:
        papers[chunk["paper_id"]].append(chunk)
    digests = {paper: digest([find_tokenizer(), found]) for paper, found in sorted(papers.items())}
    old = read_json(folder / "current.json", {"generation": "", "papers": {}})
    remove_others(folder, old["generation"])
    before = old["papers"]
    unchanged = {paper for paper, new in digests.items() if before.get(paper) == new}
    if before != digests:
        tokens = read_tokens(folder / old["generation"], unchanged) if unchanged else {}
        generation = write_generation(folder, [papers[paper] for paper in digests], tokens)
        write_json(folder / "current.json", {"generation": generation, "papers": digests})
        remove_others(folder, generation)
    return {
        "added": len(digests.keys() - before.keys()),
        "changed": len(digests.keys() & before.keys()) - len(unchanged),
        "removed": len(before.keys() - digests.keys()),
        "unchanged": len(unchanged),
    }


def digest(value) -> str:
    """Return the hash of a JSON value."""
    return hashlib.sha256(json.dumps(value, ensure_ascii=False, sort_keys=True).encode()).hexdigest()[:16]


def indexed_text(title: str, text: str) -> str:
    """Return what of a chunk is looked through: a passage seldom repeats what its paper is about."""
    return f"{title}. {text}"


def read_tokens(generation: Path, papers: set[str]) -> dict[str, list[str]]:
    """Return chunk id → tokens of the given papers, as a generation holds them."""
    chunks = read_jsonl(generation / "chunks.jsonl")
    lines = (generation / "tokens.txt").read_text(encoding="utf-8").split("\n")
    pairs = zip(chunks, lines, strict=True)
    return {chunk["id"]: line.split() for chunk, line in pairs if chunk["paper_id"] in papers}


def write_generation(folder: Path, papers: list[list[dict]], tokens: dict[str, list[str]]) -> str:
    """Return the name of the generation written for the chunks, paper by paper; `tokens` are those known already."""
    chunks = [chunk for found in papers for chunk in found]
    missing = [chunk for chunk in chunks if chunk["id"] not in tokens]
    found = tokenize([indexed_text(chunk["title"], chunk["text"]) for chunk in missing])
    tokens = tokens | {chunk["id"]: words for chunk, words in zip(missing, found, strict=True)}
    rows = [tokens[chunk["id"]] for chunk in chunks]
    name = "generation-" + digest([find_tokenizer(), chunks])
    beside = folder / f".{name}.tmp"
    write_jsonl(beside / "chunks.jsonl", chunks)
    write_atomically(beside / "tokens.txt", "\n".join(map(" ".join, rows)))
    np.save(beside / "paper_starts.npy", np.cumsum([0, *map(len, papers)]))
    bm25 = bm25s.BM25()
    bm25.index(rows, show_progress=False)
    bm25.save(beside, show_progress=False)
    os.replace(beside, folder / name)
    return name


def remove_others(folder: Path, generation: str) -> None:
    """Remove every generation but the named one, the remains of killed updates too."""
    for path in [*folder.glob("generation-*"), *folder.glob(".generation-*.tmp")]:
        if path.name != generation:
            shutil.rmtree(path)


def load_index(folder: Path) -> Index:
    """Return the index in a folder. Raises FileNotFoundError that names the notebook which makes it."""
    current = read_json(folder / "current.json")
    if current is None:
        raise FileNotFoundError(f"{short_path(folder)} holds no index; notebook 05_ask_papers makes it")
    generation = folder / current["generation"]
    lines = (generation / "chunks.jsonl").read_bytes().splitlines()
    bm25 = bm25s.BM25.load(generation, show_progress=False)
    return Index(lines, np.load(generation / "paper_starts.npy"), bm25, read_synonyms())


def search(index: Index, question: str, limit: int = 5, per_paper: int = 2) -> list[Passage]:
    """Return at most `limit` passages that share words with the question, at most `per_paper` of a paper, best first.

    `score` is the passage's BM25, terms from the synonyms weighted down, plus a share of the same paper's next best.
    """
    own = score_chunks(index, question)
    rows = np.argsort(-own, kind="stable")[: max(CANDIDATES, limit)]
    rows = rows[own[rows] > 0]
    papers = np.searchsorted(index.paper_starts, rows, side="right") - 1
    scores = own[rows].astype(float)
    for i, (row, paper) in enumerate(zip(rows, papers, strict=True)):
        start, end = index.paper_starts[paper : paper + 2]
        scores[i] += OTHERS_WEIGHT * np.sort(np.delete(own[start:end], row - start))[-OTHERS:].sum(dtype=float)
    taken, passages = collections.Counter(), []
    for i in np.argsort(-scores, kind="stable"):
        if taken[papers[i]] < per_paper and len(passages) < limit:
            taken[papers[i]] += 1
            passages.append(Passage(**json.loads(index.lines[rows[i]]), score=float(scores[i])))
    return passages


def score_chunks(index: Index, question: str) -> np.ndarray:
    """Return the BM25 of each chunk, (chunks,)."""
    words, bm25 = read_question(question), index.bm25
    ids = [bm25.get_tokens_ids(sorted(terms)) for terms in (words, expand(index.synonyms, words))]
    return bm25.get_scores_from_ids(ids[0]) + SYNONYM_WEIGHT * bm25.get_scores_from_ids(ids[1])


def confidence(index: Index, question: str, passages: list[Passage]) -> float:
    """Return how much the best passage speaks of the question: 0 without passages, seldom over 3.

    The best BM25, in units of how rare a word can be, plus a power of the share of the question's words, by how rare
    they are, that it has. The score alone refuses every question of one word, the share none in everyday words.
    """
    words = sorted(set(read_question(question)))
    if not passages or not words:
        return 0.0
    held = set(*tokenize([indexed_text(passages[0].title, passages[0].text)]))
    weights = {word: weigh(index, word) for word in words}
    coverage = sum(weights[word] for word in words if word in held) / sum(weights.values())
    return float(score_chunks(index, question).max() / np.log1p(len(index.lines)) + coverage**COVERAGE_POWER)


def weigh(index: Index, word: str) -> float:
    """Return the word's inverse document frequency, as BM25 has it; a word that no chunk has weighs most."""
    number, starts = index.bm25.vocab_dict.get(word), index.bm25.scores["indptr"]
    chunks = 0 if number is None else starts[number + 1] - starts[number]
    return float(np.log1p((len(index.lines) - chunks + 0.5) / (chunks + 0.5)))


def has_evidence(index: Index, question: str, passages: list[Passage]) -> bool:
    """Return whether the passages are good enough to answer from; else say that no evidence was found."""
    return confidence(index, question, passages) >= MIN_CONFIDENCE
