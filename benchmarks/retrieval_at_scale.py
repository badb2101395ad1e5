"""How fast passages are found among 100,000: python3 benchmarks/retrieval_at_scale.py

Adds to benchmarks/results/retrieval.json. The passages are sentences of data/output.jsonl drawn at random: they
measure cost, not quality. CPU time, of all threads, is what can be compared where other programs run. LanceDB is
given the same words where it is installed (pip install lancedb).
"""

import argparse
import concurrent.futures
import multiprocessing
import random
import re
import tempfile
import time
from pathlib import Path

import numpy as np
from retrieval import DATA, installed, result, save

from parentcare.assistant.index import confidence, load_index, make_chunks, search, update_index
from parentcare.assistant.words import read_question
from parentcare.data.pairing import split_sentences
from parentcare.data.records import read_jsonl

COUNT, CHUNKS_PER_PAPER, SENTENCES = 100_000, 10, 5


def make_many(chunks: list[dict], count: int) -> list[dict]:
    """Return `count` chunks of sentences drawn at random, CHUNKS_PER_PAPER to a paper."""
    chance = random.Random(0)
    sentences = [sentence for chunk in chunks for sentence in split_sentences(chunk["text"])]
    many = []
    for i in range(count):
        text, paper = " ".join(chance.sample(sentences, SENTENCES)), f"p{i // CHUNKS_PER_PAPER:06}"
        many.append(chance.choice(chunks) | {"id": f"{paper}/{i}", "paper_id": paper, "text": text})
    return many


def measure_scale(chunks: list[dict], questions: list[dict], count: int) -> list[dict]:
    """Return seconds to build and to change one paper, size, memory and milliseconds of a query."""
    many, asked = make_many(chunks, count), [question["question"] for question in questions]
    rows, size = [], f"{count:,} passages"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rows += timed(f"build, {size}", count, update_index, folder, many)
        many[0] = many[0] | {"text": many[1]["text"]}
        rows += timed(f"change one paper, {size}", count, update_index, folder, many)
        rows.append(result(f"size on disk, {size}", measure_folder(folder), "MiB", count))
        rows.append(result(f"peak memory of the build, {size}", peak_gib(), "GiB", count))
        spawn = multiprocessing.get_context("spawn")  # a fork would be born with this process's memory
        with concurrent.futures.ProcessPoolExecutor(1, mp_context=spawn) as pool:
            rows += pool.submit(measure_queries, folder, asked, size).result()
        words = next(folder.glob("generation-*/tokens.txt")).read_text(encoding="utf-8").split("\n")
    return rows + (measure_lancedb(many, words, asked) if installed("lancedb") else [])


def measure_queries(folder: Path, asked: list[str], size: str) -> list[dict]:
    """Return rows of loading and of each search with its confidence, in a process that does nothing else."""
    index = load_index(folder)
    search(index, asked[0])
    rows = time_each(f"query, {size}", asked, lambda question: confidence(index, question, search(index, question)))
    return [*rows, result(f"peak memory of a process that searches, {size}", peak_gib(), "GiB", len(asked))]


def measure_lancedb(many: list[dict], words: list[str], asked: list[str]) -> list[dict]:
    """Return the same for LanceDB's full-text index over the same words, without the time to tokenize passages."""
    import lancedb
    from lancedb.index import FTS

    rows = [chunk | {"words": found} for chunk, found in zip(many, words, strict=True)]
    config = FTS(base_tokenizer="whitespace", stem=False, remove_stop_words=False, ascii_folding=False)
    size = f"{len(many):,} passages"
    with tempfile.TemporaryDirectory() as name:

        def build():
            lancedb.connect(name).create_table("chunks", rows).create_index("words", config=config)

        def query(question: str) -> list[dict]:
            return table.search(" ".join(read_question(question)), query_type="fts").limit(5).to_list()

        found = timed(f"LanceDB: write and index, {size}", len(many), build)
        found.append(result(f"LanceDB: size on disk, {size}", measure_folder(Path(name)), "MiB", len(many)))
        table = lancedb.connect(name).open_table("chunks")
        query(asked[0])
        return found + time_each(f"LanceDB: query, {size}", asked, query)


def timed(setting: str, n: int, function, *arguments) -> list[dict]:
    """Return rows of the seconds that one call takes, on the clock and of all threads."""
    clock, used = time.perf_counter(), time.process_time()
    function(*arguments)
    rows = [(setting, time.perf_counter() - clock), (f"{setting}, CPU time", time.process_time() - used)]
    return [result(name, seconds, "s", n) for name, seconds in rows]


def time_each(setting: str, questions: list[str], function) -> list[dict]:
    """Return rows of the median and the 95th percentile in milliseconds, on the clock and of all threads."""
    taken = []
    for question in questions:
        clock, used = time.perf_counter(), time.process_time()
        function(question)
        taken.append((time.perf_counter() - clock, time.process_time() - used))
    rows = []
    for name, percent in (("median", 50), ("95th percentile", 95)):
        wall, used = 1000 * np.percentile(taken, percent, axis=0)
        rows.append(result(f"{setting}, {name}", wall, "ms", len(taken)))
        rows.append(result(f"{setting}, {name}, CPU time", used, "ms", len(taken)))
    return rows


def measure_folder(folder: Path) -> float:
    """Return the MiB of the files in a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 2**20


def peak_gib() -> float:
    """Return the most memory that this process has held, on Linux; ru_maxrss would be that of the process before."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) / 2**20


def main() -> None:
    """Measure one number of passages."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=COUNT, help="number of passages")
    options = parser.parse_args()
    chunks, questions = make_chunks(read_jsonl(DATA / "output.jsonl")), read_jsonl(DATA / "questions/retrieval.jsonl")
    save(measure_scale(chunks, questions, options.count))


if __name__ == "__main__":
    main()
