"""How often the citation check finds a planted fault, and alarms at a true sentence: python3 benchmarks/citations.py

Writes benchmarks/results/citations.json. The questions of data/questions/retrieval.jsonl are answered by
extraction from the sample papers, and one fault at a time is put into each sentence. The thresholds were
chosen on papers 001 to 060; the rest are held out. Beside extraction: the authors' own abstract sentences,
as a model would word them, cited to the section that they report.
"""

import collections
import functools
import random
import re
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from result_rows import CPU, provenance, rate_row

from parentcare.assistant import citations
from parentcare.assistant.citations import check_claim
from parentcare.assistant.index import Passage, load_index, make_chunks, search, update_index
from parentcare.assistant.words import tokenize
from parentcare.assistant.writers import extract_sentences
from parentcare.data.records import read_jsonl
from parentcare.manifest import OUTPUT_JSONL, REPOSITORY, write_json

RESULTS = REPOSITORY / "benchmarks" / "results" / "citations.json"
HALVES = ("papers 001-060, tuned on", "papers 061-120, held out")
FAULTS = ("no such [n]", "wrong [n]", "changed number", "turned direction")
SEED = 3407
# what a sentence says → the opposite, the first that occurs is turned
OPPOSITES = [
    (r"높(?=[은았아게고])", "낮"), (r"낮(?=[은았아게고])", "높"), (r"많(?=[은았아이게고])", "적"), (r"증가", "감소"),
    (r"감소", "증가"), (r"늘(?=[어었고])", "줄"), (r"줄(?=[어었고])", "늘"), (r"정적", "부적"), (r"부적", "정적"),
    (r"긍정", "부정"), (r"부정", "긍정"), (r"길(?=[었어고])", "짧"), (r"향상", "저하"),
    (r"유의한", "유의하지 않은"), (r"유의하였", "유의하지 않았"), (r"유의하지 않았", "유의하였"),
    (r"차이가 없", "차이가 있"), (r"차이가 있", "차이가 없"),
    (r"나타났다", "나타나지 않았다"), (r"있었다", "없었다"), (r"없었다", "있었다"), (r"이었다\.", "이 아니었다."),
    (r"하였다\.", "하지 않았다."), (r"되었다\.", "되지 않았다."), (r"있다\.", "없다."), (r"한다\.", "하지 않는다."),
]  # fmt: skip


def plant(fault: str, sentence: str, number: int, count: int, chance: random.Random) -> tuple[str, int] | None:
    """Return (sentence, cited number) with the fault, or None where the sentence offers no place for it."""
    if fault == "no such [n]":
        return sentence, count + chance.randint(1, 3)
    if fault == "wrong [n]":
        others = [n for n in range(1, count + 1) if n != number]
        return (sentence, chance.choice(others)) if others else None
    if fault == "changed number":
        return change_number(sentence, chance), number
    return turn(sentence), number


def change_number(sentence: str, chance: random.Random) -> str | None:
    """Return the sentence with one digit of one number changed, or None where it has none."""
    places = [match.start() for match in re.finditer(r"\d", sentence)]
    if not places:
        return None
    place = chance.choice(places)
    digit = chance.choice([d for d in "123456789" if d != sentence[place]])
    return sentence[:place] + digit + sentence[place + 1 :]


def turn(sentence: str) -> str | None:
    """Return the sentence with one word turned into its opposite or denied, or None."""
    for pattern, opposite in OPPOSITES:
        if re.search(pattern, sentence):
            return re.sub(pattern, opposite, sentence, count=1)
    return None


def extraction_cases(index, questions: list[dict]) -> list[tuple[str, str, int, list[Passage]]]:
    """Return (half, sentence, number, passages) of each sentence that extraction answers with."""
    cases = []
    for question in questions:
        passages = search(index, question["question"], 5)
        found = extract_sentences(question["question"], passages) if passages else []
        cases += [(half_of(question["papers"][0]), sentence, cited[0], passages) for sentence, cited in found]
    return cases


def abstract_cases(index, papers: list[dict]) -> list[tuple[str, str, int, list[Passage]]]:
    """Return (half, sentence, number, passages) of abstract sentences, their section among what the title finds."""
    cases = []
    for paper in papers:
        around = search(index, paper["title"], 4)
        for sentence in (s for s in paper["abstract"] if s["section"]):
            text = paper["sections"][sentence["section"]]
            others = [p for p in around if not (p.title == paper["title"] and p.section == sentence["section"])]
            own = around[0]._replace(section=sentence["section"], text=text)
            cases.append((half_of(paper["paper_id"]), sentence["text"], 1, [own, *others]))
    return cases


def half_of(paper_id: str) -> str:
    """Return which half of the sample papers this one is in."""
    return HALVES[int(paper_id[-3:]) > 60]


def measure(kind: str, cases: list) -> list[dict]:
    """Return the rows of one kind of sentence: false alarms, then each planted fault, by half."""
    chance, outcomes = random.Random(SEED), collections.defaultdict(list)
    for half, sentence, number, passages in cases:
        outcomes[half, "false alarms"].append(bool(check_claim(sentence, [number], passages)))
        for fault in FAULTS:
            planted = plant(fault, sentence, number, len(passages), chance)
            if planted and planted[0]:
                alarm = bool(check_claim(planted[0], [planted[1]], passages))
                outcomes[half, f"caught: {fault}"].append(alarm)
                outcomes[half, "caught: all planted faults"].append(alarm)
    return [rate_row(f"{kind}, {what} ({half})", found, 1, {}) for (half, what), found in sorted(outcomes.items())]


def main() -> None:
    """Measure, print, and write citations.json."""
    papers = read_jsonl(REPOSITORY / "data" / "sample_papers.jsonl")
    questions = [q for q in read_jsonl(REPOSITORY / "data" / "questions" / "retrieval.jsonl") if q["answerable"]]
    with tempfile.TemporaryDirectory() as folder:
        update_index(Path(folder), make_chunks(read_jsonl(OUTPUT_JSONL)))
        index = load_index(Path(folder))
        # the same passages come back in thousands of checks
        citations._morphemes = functools.cache(citations._morphemes)
        one = functools.cache(lambda text: tokenize([text])[0])
        citations.tokenize = lambda texts: [one(text) for text in texts]
        rows = measure("extraction", extraction_cases(index, questions))
        rows += measure("abstract sentences", abstract_cases(index, papers))
    for found in rows:
        interval = f"{found['low']:.1f} to {found['high']:.1f}"
        print(f"{found['setting']:75} {found['value']:6.1f} % ({interval}; {found['count']} of {found['of']})")
    common = provenance(CPU, ["kiwipiepy", "kiwipiepy_model"])
    write_json(RESULTS, [found | common for found in rows])


if __name__ == "__main__":
    main()
