"""How well papers are read, against the source text of the sample papers: python3 benchmarks/papers.py

Writes benchmarks/results/papers.json. `--fuzz N` also reads N mutated files (10,000 take ten minutes).
The synthetic papers are set like journals' but are no journals' papers; two public documents exported
from Hancom are measured too where they lie beside the clone.
"""

import argparse
import collections
import difflib
import itertools
import random
import re
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from make_sample_papers import FOLDER, SOURCE, document_name, layout_truth
from result_rows import CPU, provenance, replace_rows

from parentcare.data.cleaning import HANGUL
from parentcare.data.joining import join_lines
from parentcare.data.pairing import align_abstract, split_sentences
from parentcare.data.papers import find_papers, read_papers
from parentcare.data.quality import spaces_per_hangul
from parentcare.data.readers import read_paper
from parentcare.data.records import read_jsonl
from parentcare.data.sections import parse_paper, read_prose
from parentcare.manifest import REPOSITORY

RESULTS = REPOSITORY / "benchmarks" / "results" / "papers.json"
REAL_DOCUMENTS = REPOSITORY.parent / "shared" / "samples" / "pdf"
RUNNING_HEADS = re.compile(r"^\d* ?제414회-환경노동제1차|^- \d+ -$", re.M)
# the rule of alignment was tuned on the papers before this one
FIRST_HELD_OUT = 60
# a line of furniture shorter than this may stand in a text by chance
MIN_FURNITURE_CHARS = 8
FUZZ_SECONDS, FUZZ_MEMORY_MIB = 20, 1024


# --- measures ----------------------------------------------------------------------------------


def edit_distance(a: str, b: str) -> int:
    """Return the Levenshtein distance, by the bit vectors of Myers (1999) as Hyyrö (2001) has them."""
    if not a:
        return len(b)
    places = collections.defaultdict(int)
    for i, char in enumerate(a):
        places[char] |= 1 << i
    full, top = (1 << len(a)) - 1, 1 << (len(a) - 1)
    up, down, distance = full, 0, len(a)
    for char in b:
        equal = places.get(char, 0)
        vertical = equal | down
        diagonal = (((equal & up) + up) ^ up) | equal
        plus, minus = down | ~(diagonal | up) & full, up & diagonal
        distance += bool(plus & top) - bool(minus & top)
        plus, minus = (plus << 1 | 1) & full, minus << 1 & full
        up, down = minus | ~(vertical | plus) & full, plus & vertical
    return distance


def measure_text(papers: list[dict], parsed: list[dict]) -> list[dict]:
    """Return the results on the text of sections, on title, year, keywords and abstract."""
    errors = chars = found = wanted = 0
    right = collections.Counter()
    for paper, got in zip(papers, parsed, strict=True):
        for name, text in paper["sections"].items():
            wanted += 1
            found += name in got["sections"]
            errors += edit_distance(text, got["sections"].get(name, {"text": ""})["text"])
            chars += len(text)
        abstract = " ".join(sentence["text"] for sentence in paper["abstract"])
        right["abstract"] += edit_distance(abstract, got["abstract"]) <= 0.01 * len(abstract)
        right.update(key for key in ("title", "year", "keywords") if got[key] == paper[key])
    shares = [result(f"{key} right", share(n, len(papers)), "%", len(papers)) for key, n in sorted(right.items())]
    return [
        result("character error rate of section text", share(errors, chars), "%", chars),
        result("sections found", share(found, wanted), "%", wanted),
        *shares,
    ]


def measure_joins(papers: list[dict], parsed: list[dict]) -> list[dict]:
    """Return the share of line breaks at which the cleaned text has a space, or none, as the source has."""
    right = total = 0
    for paper, got in zip(papers, parsed, strict=True):
        texts = {name: section["text"] for name, section in got["sections"].items()} | {"초록": got["abstract"]}
        for name, wanted, breaks in source_breaks(layout_truth(paper)["paragraphs"]):
            spaced = spaces_before(texts.get(name, ""), wanted)
            total += len(breaks)
            right += sum(spaced.get(position) == space for position, space in breaks)
    return [result("line breaks joined right", share(right, total), "%", total)]


def source_breaks(paragraphs: list[dict]) -> list[tuple[str, str, list[tuple[int, bool]]]]:
    """Return (section, its text without spaces, (position in it, whether a space belongs there) of each break)."""
    found = []
    for section, group in itertools.groupby(paragraphs, key=lambda paragraph: paragraph["section"]):
        flat, breaks = "", []
        for line in (line for paragraph in group for line in paragraph["lines"]):
            flat += "".join(line["text"].split())
            if line["space_after"] is not None:
                breaks.append((len(flat), line["space_after"]))
        found.append((section or "초록", flat, breaks))
    return found


def spaces_before(text: str, wanted: str) -> dict[int, bool]:
    """Return position in `wanted`, which has no spaces → whether `text` has a space before the same character."""
    spaced = [before.isspace() for before, char in itertools.pairwise(" " + text) if not char.isspace()]
    flat = "".join(text.split())
    blocks = [(0, 0, len(flat))]
    if flat != wanted:
        blocks = difflib.SequenceMatcher(None, wanted, flat, autojunk=False).get_matching_blocks()
    return {a + k: spaced[b + k] for a, b, size in blocks for k in range(size)}


def measure_furniture(papers: list[dict], parsed: list[dict]) -> list[dict]:
    """Return how many heads, page numbers, notes, cells and references the parsed texts have."""
    left = total = 0
    for paper, got in zip(papers, parsed, strict=True):
        texts = [section["text"] for section in got["sections"].values()] + [got["abstract"]]
        found = "".join("\n".join(texts).split())
        own = "".join("".join([*paper["sections"].values(), *(s["text"] for s in paper["abstract"])]).split())
        lines = ["".join(line.split()) for line in layout_truth(paper)["furniture"]]
        lines = [line for line in lines if len(line) >= MIN_FURNITURE_CHARS and line not in own]
        total += len(lines)
        left += sum(line in found for line in lines)
    return [result("heads, notes, cells and references left in the text", left, "lines", total)]


def measure_alignment(papers: list[dict], parsed: list[dict]) -> list[dict]:
    """Return the share of abstract sentences given their section, from the source and from the documents."""
    right, total = collections.Counter(), collections.Counter()
    for i, (paper, got) in enumerate(zip(papers, parsed, strict=True)):
        half = "papers 061-120, held out" if i >= FIRST_HELD_OUT else "papers 001-060, tuned on"
        wanted = {sentence["text"]: sentence["section"] for sentence in paper["abstract"]}
        total[half] += len(wanted)
        given = align_abstract(list(wanted), paper["sections"])
        right["source text", half] += sum(a == b for a, b in zip(given, wanted.values(), strict=True))
        sentences = split_sentences(got["abstract"])
        given = align_abstract(sentences, {name: section["text"] for name, section in got["sections"].items()})
        # a sentence cut or read wrongly counts as wrong
        places = zip(given, wanted.values(), strict=False) if len(sentences) == len(wanted) else []
        right["documents", half] += sum(a == b for a, b in places)
    return [
        result(f"abstract sentences aligned right ({origin}, {half})", share(n, total[half]), "%", total[half])
        for (origin, half), n in right.items()
    ]


def measure_speed(papers: list[dict]) -> list[dict]:
    """Return the pages a second of one core from file to parsed paper, in processor time."""
    paths = [FOLDER / document_name(paper) for paper in papers if document_name(paper).endswith("pdf")]
    parse_paper(read_paper(paths[0]))
    start = time.process_time()
    pages = [len(paper["pages"]) for paper in map(read_paper, paths) if parse_paper(paper)]
    return [
        result(
            "speed from file to cleaned text", sum(pages) / (time.process_time() - start), "pages/s/core", sum(pages)
        )
    ]


# --- real documents ----------------------------------------------------------------------------


def measure_real_documents() -> list[dict]:
    """Return the results on the Hancom documents beside the clone; none where they are not there."""
    results = []
    for path in find_papers(REAL_DOCUMENTS) if REAL_DOCUMENTS.is_dir() else []:
        paper = read_paper(path)
        text = "\n".join(read_prose(paper))
        heads = len(RUNNING_HEADS.findall(text))
        right, total = rejoin_real_lines(paper)
        results += [
            result(f"spaces per Hangul character ({path.stem})", round(spaces_per_hangul(text), 3), "ratio", len(text)),
            result(f"running heads left ({path.stem})", heads, "lines", len(paper["pages"])),
            result(f"breaks put into printed lines joined right ({path.stem})", share(right, total), "%", total),
        ]
    return results


def rejoin_real_lines(paper: dict, seed: int = 0) -> tuple[int, int]:
    """Return (right, all) breaks between two syllables, put at a random place into each long printed line.

    The author's own spacing inside the line is the truth; lines that repeat are taken once.
    """
    chance = random.Random(seed)
    lines = {line.strip() for page in paper["pages"] for line in page.split("\n") if "\t" not in line}
    lines = [line for line in sorted(lines) if len(HANGUL.findall(line)) >= 15]
    cuts = [chance.randrange(6, len(line) - 6) for line in lines]
    pairs = [(line[:cut].rstrip(), line[cut:].lstrip()) for line, cut in zip(lines, cuts, strict=True)]
    pairs = [p if HANGUL.match(p[0][-1]) and HANGUL.match(p[1][0]) else None for p in pairs]
    lines, pairs = zip(*((line, pair) for line, pair in zip(lines, pairs, strict=True) if pair), strict=True)
    inner = "\n".join(part for pair in pairs for part in pair)
    joined = join_lines([list(pair) for pair in pairs], inner)
    return sum(a == b for a, b in zip(joined, lines, strict=True)), len(lines)


# --- mutated files -----------------------------------------------------------------------------


def measure_fuzzing(count: int, seed: int = 0) -> list[dict]:
    """Return how many of `count` mutated files were accounted for, read, and refused by kind of reason."""
    sources = [path.read_bytes() for path in find_papers(FOLDER)]
    chance, kinds, slowest = random.Random(seed), collections.Counter(), 0.0
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder, f"{i:06}.pdf") for i in range(count)]
        for path in paths:
            path.write_bytes(mutate(chance.choice(sources), sources, chance))
        start = time.perf_counter()
        for paper in read_papers(paths, None, FUZZ_SECONDS, FUZZ_MEMORY_MIB):
            kinds[paper["reason"].split(":")[0] if "reason" in paper else "read"] += 1
            slowest, start = max(slowest, time.perf_counter() - start), time.perf_counter()
    return [
        result("mutated files accounted for", sum(kinds.values()), "files", count),
        result("longest wait for a mutated file", round(slowest, 2), "s", count),
        *[result(f"mutated files: {kind}", n, "files", count) for kind, n in kinds.most_common()],
    ]


def mutate(content: bytes, others: list[bytes], chance: random.Random) -> bytes:
    """Return a file with bytes flipped, cut short, a piece of another one put in, or a piece taken out."""
    changed, at = bytearray(content), chance.randrange(len(content))
    kind = chance.randrange(4)
    if kind == 0:
        for _ in range(chance.choice((1, 10, 100, 1000))):
            changed[chance.randrange(len(changed))] = chance.randrange(256)
    elif kind == 1:
        del changed[at:]
    elif kind == 2:
        other = chance.choice(others)
        start = chance.randrange(len(other))
        changed[at:at] = other[start : start + chance.randrange(20_000)]
    else:
        del changed[at : at + chance.randrange(5_000)]
    return bytes(changed)


# --- results -----------------------------------------------------------------------------------


def share(part: int, whole: int) -> float:
    """Return a percentage, to two places."""
    return round(100 * part / whole, 2) if whole else 0.0


def result(setting: str, value: float, unit: str, n: int) -> dict:
    """Return one line of papers.json."""
    common = provenance(CPU, ["pypdfium2", "python-hwpx", "kiwipiepy", "kiwipiepy_model"])
    return {"setting": setting, "value": value, "unit": unit, "n": n} | common


def main() -> None:
    """Measure, print, and replace the results of the same settings in papers.json."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--fuzz", type=int, default=0, help="number of mutated files to read")
    options = parser.parse_args()
    papers = read_jsonl(SOURCE)
    parsed = [parse_paper(paper) for paper in read_papers(FOLDER / document_name(paper) for paper in papers)]
    results = [
        found
        for measure in (measure_text, measure_joins, measure_furniture, measure_alignment)
        for found in measure(papers, parsed)
    ]
    results += measure_speed(papers) + measure_real_documents()
    results += measure_fuzzing(options.fuzz) if options.fuzz else []
    for found in results:
        print(f"{found['setting']:90} {found['value']:10,.2f} {found['unit']} (n={found['n']:,})")
    replace_rows(RESULTS, results)


if __name__ == "__main__":
    main()
