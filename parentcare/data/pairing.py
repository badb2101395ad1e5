"""From a paper's sections and its author's abstract to records of text and summary."""

import collections
import math
import re
from collections.abc import Iterable

from parentcare.data.keywords import load_kiwi
from parentcare.data.quality import find_numbers

SECTION_NAMES = ("서론", "이론적 배경", "연구방법", "결과", "논의", "결론")
# A whole paper's body is fitted to this many characters, the sections that the abstract reports first.
MAX_BODY_CHARS = 2_400
BODY_PRIORITY = ("결과", "논의", "결론", "연구방법", "서론", "이론적 배경")

# How the sections that bear abstract sentences out are found; tuned on sample papers 001 to 060.
NUMBER_WEIGHT = 2.0
# the best single sentence of a section counts as much as the whole section
BEST_SENTENCE_SHARE = 0.5
# An abstract follows its paper: per step back, and per section left out before the first sentence or behind the last.
BACKWARD_COST, ENDS_COST = 0.2, 0.1
# A section that bears out less of a sentence does not bear it out: two in five sentences of other papers
# score less in every section, and 1 % of a paper's own in theirs.
MIN_SUPPORT = 0.07
CONTENT_TAGS = {"NNG", "NNP", "NR", "XR", "VV", "VA", "MAG", "MM", "SL", "SH"}
SENTENCE_BREAK = re.compile(r"(?<=[가-힣)\]”’\"'%][.?!])\s+|(?<=[.?!][”’\"')])\s+(?![(가-힣]{0,3}고\s)|\n")


def make_records(paper: dict) -> list[dict]:
    """Return the records of one paper: one for the whole paper and one for each reported section.

    `paper` has the records' common fields, `sections` (name → {"text", "pages"}) in the paper's order, and
    `abstract`, a list of {"text", "section"}: each sentence and the section that bears it out, or None.
    """
    sections = paper["sections"]
    kept = ("paper_id", "title", "year", "source", "license", "synthetic", "extractor")
    common = {key: paper[key] for key in kept if key in paper} | {"summary_source": "author_abstract"}
    whole_pages = sorted({page for section in sections.values() for page in section["pages"]})
    records = []
    for name, part in {"whole": {"text": fit_body(sections), "pages": whole_pages}, **sections}.items():
        summary = " ".join(s["text"] for s in paper["abstract"] if name in ("whole", s["section"]))
        record = {"id": f"{paper['paper_id']}/{name}", "section": name, "pages": part["pages"], "text": part["text"]}
        if summary:
            records.append(record | {"summary": summary} | common)
    return records


def fit_body(sections: dict[str, dict], max_chars: int = MAX_BODY_CHARS) -> str:
    """Return the sections' text in the paper's order, at most `max_chars` long, by whole sentences.

    Results and discussion are kept first; what does not fit is taken from the other sections' ends.
    """
    kept, left = {}, max_chars
    for name in sorted(sections, key=BODY_PRIORITY.index):
        kept[name] = cut_at_sentence(sections[name]["text"], left)
        left = max(0, left - len(kept[name]) - 1)
    return "\n".join(kept[name] for name in sections if kept[name])


def cut_at_sentence(text: str, max_chars: int) -> str:
    """Return the longest run of whole sentences from the start of `text` within `max_chars`."""
    if len(text) <= max_chars:
        return text
    return text[: max(text.rfind(". ", 0, max_chars), text.rfind(".\n", 0, max_chars)) + 1]


def split_sentences(text: str) -> list[str]:
    """Return the sentences of Korean prose, cut behind a syllable or bracket with a full stop."""
    return [sentence for sentence in SENTENCE_BREAK.split(text) if sentence.strip()]


def align_abstract(sentences: list[str], sections: dict[str, str]) -> list[str | None]:
    """Return, for each sentence of an abstract, the section that bears it out, or None.

    `sections` is name → text in the paper's order. A section bears out the share of a sentence's content
    morphemes and numbers that it has, weighted by how rare they are in the paper; of all ways through
    the sections the best is taken.
    """
    if not sentences or not sections:
        return [None] * len(sentences)
    names, support = list(sections), measure_support(sentences, sections.values())
    return [names[j] if row[j] >= MIN_SUPPORT else None for j, row in zip(best_path(support), support, strict=True)]


def measure_support(sentences: list[str], sections: Iterable[str]) -> list[list[float]]:
    """Return the share of each sentence's weight that each section's text has, 0 to 1, as (sentences, sections)."""
    split = [split_sentences(text) for text in sections]
    flat = [sentence for found in split for sentence in found]
    tokens = load_kiwi().tokenize(flat + sentences)
    terms = iter([find_terms(*pair) for pair in zip(tokens, flat + sentences, strict=True)])
    of_sections = [[next(terms) for _ in found] for found in split]
    counts = collections.Counter(term for found in of_sections for terms_ in found for term in terms_)
    rows = []
    for wanted in terms:
        weights = {
            term: math.log((len(flat) + 1) / (counts[term] + 0.5)) * (NUMBER_WEIGHT if term[0] == "#" else 1)
            for term in wanted
        }
        rows.append([_support(weights, found) for found in of_sections])
    return rows


def find_terms(tokens, text: str) -> set[str]:
    """Return the content morphemes of an analysed text as "form/tag", and its numbers as "#number"."""
    morphemes = {f"{token.form}/{token.tag[:2]}" for token in tokens if token.tag.split("-")[0] in CONTENT_TAGS}
    return morphemes | {f"#{number}" for number in find_numbers(text)}


def best_path(scores: list[list[float]]) -> list[int]:
    """Return each sentence's section so that the scores (sentences, sections) less the costs are largest: Viterbi."""
    sections = range(len(scores[0]))
    totals = [scores[0][j] - ENDS_COST * j for j in sections]
    choices = []
    for row in scores[1:]:
        before = [max(sections, key=lambda i: totals[i] - BACKWARD_COST * max(0, i - j)) for j in sections]
        totals = [row[j] + totals[i] - BACKWARD_COST * max(0, i - j) for j, i in zip(sections, before, strict=True)]
        choices.append(before)
    path = [max(sections, key=lambda j: totals[j] - ENDS_COST * (len(sections) - 1 - j))]
    for before in reversed(choices):
        path.append(before[path[-1]])
    return path[::-1]


def _support(weights: dict[str, float], section: list[set[str]]) -> float:
    total = sum(weights.values())
    if total <= 0 or not section:
        return 0.0
    best = max(sum(w for term, w in weights.items() if term in terms) for terms in section)
    whole = sum(w for term, w in weights.items() if any(term in terms for terms in section))
    return ((1 - BEST_SENTENCE_SHARE) * whole + BEST_SENTENCE_SHARE * best) / total
