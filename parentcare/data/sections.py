"""A paper cut into its parts: title, year, abstracts, keywords, and sections by their usual names."""

import collections
import dataclasses
import re

from parentcare.data.cleaning import HANGUL, JOURNAL, SENTENCE_END, clean_lines, drop_tables
from parentcare.data.headings import find_headings
from parentcare.data.joining import WORDS_END, is_korean, join_lines, join_paragraphs
from parentcare.data.layout import Line
from parentcare.data.pairing import SECTION_NAMES

_LABELS = "주제어|핵심어|핵심주제어|주요어|주요용어|주요개념|중심어|중심단어|색인어|검색어|키워드"
_SPACED_LABELS = "|".join(r"\s*".join(label) for label in _LABELS.split("|"))
_KEY_WORDS = r"key\s*-?\s*words?"
KEYWORDS = re.compile(
    rf"^\W*(?:(?:{_SPACED_LABELS})\s*(?:[(\[/]\s*{_KEY_WORDS}\s*[)\]]?)?|{_KEY_WORDS}\s*(?:\([가-힣\s]+\))?)"
    r"\s*(?:[:：;>〉\])】］」|·-]+\s*|$)(.*)$",
    re.I | re.S,
)
INLINE_ABSTRACT = re.compile(
    r"^\s*[<〈\[［【(]?\s*((?:국\s*문\s*)?(?:초\s*록|요\s*약)|abstract)\s*[>〉\]］】):：]+\s*(\S.{20,})$", re.I | re.S
)
PARTS = ("초록", "abstract", *SECTION_NAMES)
# A line in front of the keywords is of the abstract if it has at least this many characters.
MIN_ABSTRACT_LINE_CHARS = 20
YEAR = re.compile(r"(?<!\d)((?:19[5-9]|20[0-4])\d)(?!\d)")
ISSUE = re.compile(r"제?\s*\d+\s*[권집]|제\s*\d+\s*호|\bvol\.?\s*\d|\bno\.?\s*\d|\d+\s*\(\d+\)", re.I)
DOI, COPYRIGHT = re.compile("doi", re.I), re.compile("©|copyright", re.I)
ACCEPTED = re.compile(r"게\s*재|채\s*택|accepted|published", re.I)


def parse_paper(paper: dict) -> dict:
    """Return {"title", "year", "abstract", "keywords", "english_abstract", "sections"}.

    `paper` is what `readers.read_paper` returns. `sections` is name → {"text", "pages"} in the paper's
    order, text with one line a paragraph; what was not found is "", None, [] or {}.
    """
    lines = split_inline_headings(clean_lines(paper))
    headings = find_headings(lines)
    parts, labelled = cut_parts(lines, headings)
    texts = dict(zip(parts, join_paragraphs(list(parts.values()), lines), strict=True))
    korean = {name: "\n".join(text for text in found if is_korean(text)) for name, found in texts.items()}
    return {
        "title": find_title(lines, headings),
        "year": find_year(paper),
        # a Korean abstract may stand under the heading "Abstract"
        "abstract": (korean.get("초록") or korean.get("abstract", "")).replace("\n", " "),
        "keywords": split_keywords(labelled, lines),
        "english_abstract": " ".join(text for text in texts.get("abstract", []) if not is_korean(text)),
        "sections": {
            name: {"text": korean[name], "pages": sorted({line.page for line in found})}
            for name, found in parts.items()
            if name in SECTION_NAMES and korean[name]
        },
    }


def read_prose(paper: dict) -> list[str]:
    """Return the paragraphs of any document in reading order, without heads, notes and tables."""
    lines = clean_lines(paper)
    kept = drop_tables(lines, set(find_headings(lines)))
    return join_paragraphs([[lines[i] for i in kept]], lines)[0]


def cut_parts(lines: list[Line], headings: dict[int, str]) -> tuple[dict[str, list[Line]], list[list[str]]]:
    """Return (초록, abstract and sections found → their lines, the lines behind each label of keywords).

    Without a heading of its own, the Korean abstract is the prose before the line of keywords.
    """
    parts: dict[str, list[Line]] = collections.defaultdict(list)
    labelled, part = [], "front"
    for i in drop_tables(lines, set(headings)):
        match = KEYWORDS.match(lines[i].text) if part not in SECTION_NAMES else None
        if i in headings:
            part = headings[i]
        elif match:
            if not parts["초록"] and not labelled and is_korean(match[1]):
                parts["초록"] = _prose_at_end(parts["front"])
            part = "keywords"
            labelled.append([match[1]])
        elif part == "keywords" and (lines[i - 1].is_full or not labelled[-1][-1]):
            labelled[-1].append(lines[i].text)
        else:
            part = "after" if part == "keywords" else part
            parts[part].append(lines[i])
    return {name: found for name, found in parts.items() if name in PARTS and found}, labelled


def split_keywords(labelled: list[list[str]], lines: list[Line]) -> list[str]:
    """Return the keywords of the first Korean list, else of the first one."""
    chosen = next((words for words in labelled if is_korean(" ".join(words))), labelled[0] if labelled else [])
    chosen = [line for line in chosen if line.strip()]
    joined = join_lines([chosen], "\n".join(line.text for line in lines))[0] if chosen else ""
    # 일·가정 양립 is one keyword unless nothing else parts them
    parting = r"[,，;；、]" if re.search(r"[,，;；、]", joined) else r"[·/]"
    return [word for part in re.split(parting, joined) if (word := part.strip(" .*"))]


def split_inline_headings(lines: list[Line]) -> list[Line]:
    """Return the lines with "[초록] 본 연구는 …" cut into a heading and the rest."""
    cut = []
    for line in lines:
        if match := INLINE_ABSTRACT.match(line.text):
            cut.append(dataclasses.replace(line, text=match[1], is_full=False))
            line = dataclasses.replace(line, text=match[2])
        cut.append(line)
    return cut


def _prose_at_end(lines: list[Line]) -> list[Line]:
    """Return the last run of long Korean lines."""
    found: list[Line] = []
    for line in reversed(lines):
        is_last_words = not found and SENTENCE_END.search(line.text)
        if not is_korean(line.text) or (len(line.text) < MIN_ABSTRACT_LINE_CHARS and not is_last_words):
            break
        found.insert(0, line)
    return found if any(WORDS_END.search(line.text) for line in found) else []


def find_title(lines: list[Line], headings: dict[int, str]) -> str:
    """Return the title: the largest Korean lines of the first page before its first heading."""
    found = []
    for line in lines[: min(headings, default=len(lines))]:
        if line.page != lines[0].page or KEYWORDS.match(line.text):
            break
        if len(HANGUL.findall(line.text)) >= 2 and not JOURNAL.search(line.text):
            found.append(line)
    if found and found[0].is_paragraph:
        # a subtitle has a paragraph of its own behind a colon
        found = found[: 2 if found[0].text.rstrip().endswith(":") else 1]
    largest = max((line.size for line in found), default=0)
    title = " ".join(line.text.strip() for line in found if line.size > largest - 0.6)
    return re.sub(r"(?:[*†‡§]|\s\d\))+$", "", " ".join(title.split()))


def find_year(paper: dict) -> int | None:
    """Return the year of publication: that of the journal's issue, else of the DOI, else of acceptance."""
    first = [re.sub(r"pp?\.\s*\d+\s*[~–-]\s*\d+", "", line) for line in paper["pages"][0].split("\n")]
    last = paper["pages"][-1].split("\n")
    for source, lines in ((ISSUE, first), (DOI, first), (ACCEPTED, first + last), (COPYRIGHT, first)):
        if years := [int(year) for line in lines if source.search(line) for year in YEAR.findall(line)]:
            return max(years)
    return None
