"""What a journal prints around an author's text, told from it and taken out: heads, notes, tables."""

import collections
import itertools
import re
import unicodedata

from parentcare.data.layout import Line, body_size, place_lines
from parentcare.data.records import INVISIBLE

# The private-use codes of the Symbol font, as word processors write Greek letters and signs into PDFs.
SYMBOL_GREEK = dict(zip("abgdehqlmnpcrstfyw", "αβγδεηθλμνπχρστφψω", strict=True))
SYMBOLS = {chr(0xF000 + ord(a)): b for a, b in SYMBOL_GREEK.items()}
SYMBOLS |= dict(zip("\uf044\uf053\uf057\uf0a3\uf0b3\uf0b1\uf0b4\uf0b9\uf0bb\uf0ae\uf0d7", "ΔΣΩ≤≥±×≠≈→·", strict=True))
# The same codes in Wingdings, and where Hancom keeps its own signs: bullets, which carry no text.
BULLETS = re.compile("^[\uf06c\uf06e\uf06f\uf071\uf075\uf076\uf077\uf09f\uf0a0-\uf0fe\ue000-\uefff]\\s*")
PRIVATE_USE = re.compile("[\ue000-\uf8ff\U000f0000-\U0010fffd]")
CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
SPACES = re.compile(r"[ \u00a0\u2000-\u200a\u202f\u3000]+")

# Rows at a page's top and foot in which running heads and page numbers stand.
HEAD_ROWS, FOOT_ROWS = 3, 4
SAME_HEIGHT_PT = 4.0
PAGE_NUMBER = re.compile(r"^[\s\-–—―·•|<(\[]*(?:\d{1,4}|[ivxlc]{1,6})[\s\-–—―·•|>)\]]*(?:/\s*\d{1,4}\s*)?$", re.I)
JOURNAL = re.compile(
    r"제\s*\d+\s*권|제\s*\d+\s*[호집]|\bvol\.?\s*\d|\bno\.?\s*\d|ISSN|학회지|논문집|\bjournal\b|https?://|\bwww\.|©|copyright"
    r"|all rights reserved|\bpp\.\s*\d|\bdoi\b",
    re.I,
)
NOTICE = re.compile(
    r"^[\s*†‡#※)\d]*(?:"
    r"(?:교\s*신|책\s*임|주|공\s*동|제?\s*[12일]\s*)\s*저\s*자\s*(?:\(|:|：|,|$|[가-힣]{2,4}\s*[,(:（])"
    r"|(?:corresponding|first|co-?)\s*-?\s*author|e-?mail\s*[:：]|이메일\s*[:：]|https?://|doi\s*[:：]?\s*10\."
    r"|(?:최초\s*|논문\s*|원고\s*)*(?:접\s*수|투\s*고|심\s*사|수\s*정|게\s*재|채\s*택)\s*(?:본\s*접수|확정|완료|승인|결정|시작)?\s*(?:일자?|날짜)?"
    r"\s*(?:\([^)]*\))?\s*[:：]?\s*\d{2,4}\s*[.년/-]\s*\d|(?:received|revised|accepted)\b.{0,12}\d"
    r"|copyright|©|ISSN)",
    re.I,
)
NOTE_MARK = re.compile(r"^\s*(?:\*{1,5}|[†‡§#※]|\d{1,2}\s*\)|[①-⑳]|\(?주\s*\d*\)|\d{1,2}\s(?=[가-힣]))")
NOTE_SIZE = 0.95

_NUMBER = r"[\dⅠ-Ⅻ]+(?:\s*[-–.]\s*\d+)*"
CAPTION = re.compile(
    rf"^\s*(?:[<〈《\[［【(]\s*(?:표|그\s*림|도표|부표|사진|table|figure|fig\.?)\s*\.?\s*{_NUMBER}\s*[>〉》\]］】)](?![가-힣(])"
    rf"|(?:표|그\s*림|도표|부표|table|figure|fig\.?)\s*\.?\s*{_NUMBER}\s*[.:：]?(?:\s|$))",
    re.I,
)
IS_FIGURE = re.compile(r"^\W*(?:그\s*림|사진|fig)", re.I)
TABLE_NOTE = re.compile(r"^\s*(?:\*+\s*p\s*[<=≤]|(?:주|註|note|출처|자료)\s*\d*\s*[.:：)])", re.I)
# a line of a table of contents, and a line that is nothing but a label in brackets
LEADERS = re.compile(r"[·.…‥․]{6,}")
LABEL = re.compile(r"^\s*[\[<〈【《［][^\]>〉】》］]{2,60}[\]>〉】》］]\s*$")
SENTENCE_END = re.compile(r"[가-힣A-Za-z\d)\]%”’\"'」』][.?!][)\]”’\"'」』〉》]*\s*$")
HANGUL = re.compile("[가-힣]")


def clean_lines(paper: dict) -> tuple[list[Line], collections.Counter]:
    """Return (lines left, lines dropped by kind) of a paper as `readers.read_paper` gives it.

    Gone are running heads, page numbers, footnotes and notices; tables and figures go with
    `drop_tables`, which has to know the headings. The counter also has `unmapped glyphs`.
    """
    dropped: collections.Counter = collections.Counter()
    lines = place_lines(paper)
    for line in lines:
        line.text = normalise_line(line.text, dropped)
    lines = [line for line in lines if line.text.strip()]
    heads = find_running_heads(lines)
    notes = find_notes(lines)
    dropped["running heads and page numbers"] = len(heads)
    dropped["notes and notices"] = len(notes - heads)
    return [line for i, line in enumerate(lines) if i not in heads | notes], dropped


def normalise_line(text: str, dropped: collections.Counter) -> str:
    """Return a line in NFC with one kind of space, Greek for private-use codes, � for unknown ones."""
    text = unicodedata.normalize("NFC", INVISIBLE.sub("", CONTROLS.sub("", text)))
    if PRIVATE_USE.search(text):
        text = BULLETS.sub("", text)
        text = "".join(SYMBOLS.get(c, c) for c in text)
        text, unknown = PRIVATE_USE.subn("\ufffd", text)
        dropped["unmapped glyphs"] += unknown
    return SPACES.sub(" ", text)


# --- running heads -----------------------------------------------------------------------------


def find_running_heads(lines: list[Line]) -> set[int]:
    """Return the indices of running heads and page numbers.

    A line in the outer rows of a page is one if, its numbers aside, it stands at the same height
    on another page, or if it stands apart and is a page number or names a journal's issue.
    """
    rows = _outer_rows(lines)
    places = collections.defaultdict(list)
    for i in {i for row in rows for i in row[1]}:
        places[_head_key(lines[i].text)].append(lines[i])
    found = {i for _, row, _ in rows for i in row if _repeats(lines[i], places[_head_key(lines[i].text)])}
    body = body_size(lines)
    return found | {i for _, row, is_apart in rows if is_apart and _is_head(lines, row, body) for i in row}


def _outer_rows(lines: list[Line]) -> list[tuple[int, list[int], bool]]:
    """Return (page, indices, stands apart) of the outer rows of each page: outermost first, apart from
    the text if everything further out is, and if the next row is further away than lines usually are."""
    pages = collections.defaultdict(lambda: collections.defaultdict(list))
    for i, line in enumerate(lines):
        if not line.is_paragraph:
            pages[line.page][round(line.y)].append(i)
    pitch = line_pitch(lines)
    rows = []
    for page, heights in pages.items():
        ordered = sorted(heights)
        for outer, count in ((ordered[::-1], HEAD_ROWS), (ordered, FOOT_ROWS)):
            gaps = [abs(b - a) for a, b in itertools.pairwise(outer)]
            # how many rows stand further out than the first wide gap
            apart = next((k + 1 for k, gap in enumerate(gaps[:count]) if gap > 1.35 * pitch), 0)
            rows += [(page, heights[y], k < apart) for k, y in enumerate(outer[:count])]
    return rows


def line_pitch(lines: list[Line]) -> float:
    """Return the usual distance between the baselines of neighbouring lines, in points."""
    steps = [a.y - b.y for a, b in itertools.pairwise(lines) if a.page == b.page and 0 < a.y - b.y < 60]
    return collections.Counter(round(step) for step in steps).most_common(1)[0][0] if steps else 12.0


def _head_key(text: str) -> str:
    return re.sub(r"\d+", "#", re.sub(r"\s+", "", text)).casefold()


def _repeats(line: Line, same: list[Line]) -> bool:
    return any(other.page != line.page and abs(other.y - line.y) <= SAME_HEIGHT_PT for other in same)


def _is_head(lines: list[Line], row: list[int], body: float) -> bool:
    """Return whether a row apart from the text is a head by its words, a number at its edge, or its size."""
    texts = [lines[i].text for i in row]
    if any(SENTENCE_END.search(text) for text in texts) and not any(map(PAGE_NUMBER.match, texts)):
        return False
    if any(PAGE_NUMBER.match(text) or JOURNAL.search(text) for text in texts) or _has_page_number(texts):
        return True
    is_small = all(0 < lines[i].size < NOTE_SIZE * body for i in row)
    return is_small and lines[row[0]].page > 1 and not any("\t" in t or CAPTION.match(t) for t in texts)


def _has_page_number(texts: list[str]) -> bool:
    """Return whether a row reads like "24 홍길동" or "어머니의 양육 25": short, a number at its edge."""
    row = " ".join(texts).strip()
    return len(row) < 80 and bool(re.match(r"^\d{1,4}\s\D|.*\D\s\d{1,4}$", row)) and not SENTENCE_END.search(row)


# --- notes -------------------------------------------------------------------------------------


def find_notes(lines: list[Line]) -> set[int]:
    """Return the indices of footnotes, and of the notices on authors, dates and rights anywhere.

    A footnote begins with a mark in letters smaller than the body's, low on its page, and goes on
    in lines as small.
    """
    body = body_size(lines)
    found, note = set(), None
    for i, line in enumerate(lines):
        is_small = 0 < line.size < NOTE_SIZE * body
        starts = NOTE_MARK.match(line.text) and not TABLE_NOTE.match(line.text)
        is_note = is_small and ((note and _goes_on(note, line)) or (starts and _is_low(lines, i, body)))
        if NOTICE.match(line.text) or is_note:
            found.add(i)
        note = line if is_small and i in found else None
    return found


def _goes_on(note: Line, line: Line) -> bool:
    return line.page == note.page and abs(line.size - note.size) < 0.3 and 0 < note.y - line.y < 3 * line.size


def _is_low(lines: list[Line], i: int, body: float) -> bool:
    """Return whether no line as large as the body stands below line `i` in its column."""
    line = lines[i]
    return not any(
        other.page == line.page
        and other.y < line.y
        and other.size >= NOTE_SIZE * body
        and other.left < line.right
        and other.right > line.left
        and len(other.text) >= 12
        for other in lines
    )


# --- tables and figures ------------------------------------------------------------------------


def drop_tables(lines: list[Line], headings: set[int]) -> list[int]:
    """Return the indices of the lines that are no caption or label, no table's cell and no table's note.

    A table goes from its caption to the next heading or line of prose.
    """
    body, kept, inside = body_size(lines), [], False
    for i, line in enumerate(lines):
        if i in headings:
            inside = False
        elif CAPTION.match(line.text) and not (line.is_full and SENTENCE_END.search(line.text)):
            # a figure's caption stands below it; a paragraph of its own has no cells behind it
            inside = not line.is_paragraph and not IS_FIGURE.match(line.text)
            continue
        elif any(p.search(line.text) for p in (TABLE_NOTE, LEADERS, LABEL)) or (
            inside and not is_prose_line(line, body)
        ):
            continue
        else:
            inside = False
        kept.append(i)
    return kept


def is_prose_line(line: Line, body: float) -> bool:
    """Return whether a line looks like one of a paragraph: body-sized Hangul from the column's start,
    reaching its end or ending a sentence."""
    letters = sum(c.isalnum() for c in line.text)
    starts = -0.5 < line.indent_em < 3
    reaches = line.is_full or (SENTENCE_END.search(line.text) and len(line.text) > 4)
    # a line of statistics has as many digits as syllables
    has_hangul = len(HANGUL.findall(line.text)) >= 0.3 * letters
    return bool(letters and starts and reaches and has_hangul and line.size > body - 0.45 and "\t" not in line.text)
