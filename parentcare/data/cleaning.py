"""What a journal prints around an author's text, told from it and taken out: heads, notes, tables."""

import collections
import itertools
import re
import unicodedata

from parentcare.data.layout import Line, body_size, place_lines
from parentcare.data.quality import HANGUL
from parentcare.data.records import INVISIBLE

# The private-use codes of the Symbol font, as word processors write Greek letters and signs into PDFs.
_LETTERS = zip("abgdehqlmnpcrstfywDSW", "αβγδεηθλμνπχρστφψωΔΣΩ", strict=True)
SYMBOLS = {0xF000 + ord(code): letter for code, letter in _LETTERS}
SYMBOLS |= str.maketrans("\uf0a3\uf0b3\uf0b1\uf0b4\uf0b9\uf0bb\uf0ae\uf0d7", "≤≥±×≠≈→·")
# The same codes in Wingdings, and where Hancom keeps its own signs: bullets, which carry no text.
BULLETS = re.compile("^[\uf06c\uf06e\uf06f\uf071\uf075\uf076\uf077\uf09f\uf0a0-\uf0fe\ue000-\uefff]\\s*")
PRIVATE_USE = re.compile("[\ue000-\uf8ff\U000f0000-\U0010fffd]")
CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
SPACES = re.compile(r"[ \u00a0\u2000-\u200a\u202f\u3000]+")

# Rows at a page's top and foot in which running heads and page numbers stand.
HEAD_ROWS, FOOT_ROWS = 3, 4
SAME_HEIGHT_PT = 4.0
PAGE_NUMBER = re.compile(r"^[\s\-–—―·•|<(\[]*(?:\d{1,4}|[ivxlc]{1,6})[\s\-–—―·•|>)\]]*(?:/\s*\d{1,4}\s*)?$", re.I)
# "24 홍길동" or "어머니의 양육 25"
EDGE_NUMBER = re.compile(r"^\d{1,4}\s\D|.*\D\s\d{1,4}$")
MAX_HEAD_CHARS = 80
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
LEADERS_OR_LABEL = re.compile(r".*[·.…‥․]{6,}|^\s*[\[<〈【《［][^\]>〉】》］]{2,60}[\]>〉】》］]\s*$")
SENTENCE_END = re.compile(r"[가-힣A-Za-z\d)\]%”’\"'」』][.?!][)\]”’\"'」』〉》]*\s*$")


def clean_lines(paper: dict) -> list[Line]:
    """Return a paper's lines, as `readers.read_paper` gives it, without heads, page numbers, notes and notices."""
    lines = place_lines(paper)
    for line in lines:
        line.text = normalise_line(line.text)
    lines = [line for line in lines if line.text.strip()]
    left_out = find_running_heads(lines) | find_notes(lines)
    return [line for i, line in enumerate(lines) if i not in left_out]


def normalise_line(text: str) -> str:
    """Return a line in NFC with one kind of space, Greek for private-use codes, � for unknown ones."""
    text = unicodedata.normalize("NFC", INVISIBLE.sub("", CONTROLS.sub("", text)))
    return SPACES.sub(" ", PRIVATE_USE.sub("\ufffd", BULLETS.sub("", text).translate(SYMBOLS)))


def find_running_heads(lines: list[Line]) -> set[int]:
    """Return the indices of running heads and page numbers.

    A line in the outer rows of a page is one if, its numbers aside, it stands at the same height on
    another page, or if its row stands apart and looks like one.
    """
    body, rows, places = body_size(lines), _outer_rows(lines), collections.defaultdict(list)
    keys = {i: re.sub(r"\d+", "#", "".join(lines[i].text.split())).casefold() for row, _ in rows for i in row}
    for i, key in keys.items():
        places[key].append(lines[i])
    found = {i for row, is_apart in rows if is_apart and _is_head([lines[i] for i in row], body) for i in row}
    for i, key in keys.items():
        line = lines[i]
        if any(other.page != line.page and abs(other.y - line.y) <= SAME_HEIGHT_PT for other in places[key]):
            found.add(i)
    return found


def _outer_rows(lines: list[Line]) -> list[tuple[list[int], bool]]:
    """Return (indices, stands apart) of the outer rows of each page: apart from the text if everything
    further out is, and if the next row is further away than lines usually are."""
    pages = collections.defaultdict(lambda: collections.defaultdict(list))
    for i, line in enumerate(lines):
        if not line.is_paragraph:
            pages[line.page][round(line.y)].append(i)
    pitch, rows = line_pitch(lines), []
    for heights in pages.values():
        ordered = sorted(heights)
        for outer, count in ((ordered[::-1], HEAD_ROWS), (ordered, FOOT_ROWS)):
            gaps = [abs(b - a) for a, b in itertools.pairwise(outer)]
            # how many rows stand further out than the first wide gap
            apart = next((k + 1 for k, gap in enumerate(gaps[:count]) if gap > 1.35 * pitch), 0)
            rows += [(heights[y], k < apart) for k, y in enumerate(outer[:count])]
    return rows


def line_pitch(lines: list[Line]) -> float:
    """Return the usual distance between the baselines of neighbouring lines, in points."""
    steps = [a.y - b.y for a, b in itertools.pairwise(lines) if a.page == b.page and 0 < a.y - b.y < 60]
    return collections.Counter(round(step) for step in steps).most_common(1)[0][0] if steps else 12.0


def _is_head(row: list[Line], body: float) -> bool:
    """Return whether a row apart from the text is a head by its words, a number at its edge, or its size."""
    whole = " ".join(line.text for line in row).strip()
    if any(PAGE_NUMBER.match(line.text) for line in row):
        return True
    if any(SENTENCE_END.search(line.text) for line in row):
        return False
    if JOURNAL.search(whole) or (len(whole) < MAX_HEAD_CHARS and EDGE_NUMBER.match(whole)):
        return True
    is_small = all(0 < line.size < NOTE_SIZE * body for line in row)
    return is_small and row[0].page > 1 and not any("\t" in line.text or CAPTION.match(line.text) for line in row)


def find_notes(lines: list[Line]) -> set[int]:
    """Return the indices of footnotes, and of the notices on authors, dates and rights anywhere.

    A footnote begins with a mark in letters smaller than the body's, low on its page, and goes on in such letters.
    """
    body = body_size(lines)
    found, note = set(), None
    for i, line in enumerate(lines):
        is_small = 0 < line.size < NOTE_SIZE * body
        is_beside = note and line.page == note.page and abs(line.size - note.size) < 0.3
        goes_on = is_beside and 0 < note.y - line.y < 3 * line.size
        starts = NOTE_MARK.match(line.text) and not TABLE_NOTE.match(line.text)
        if NOTICE.match(line.text) or (is_small and (goes_on or (starts and _is_low(line, lines, body)))):
            found.add(i)
        note = line if is_small and i in found else None
    return found


def _is_low(line: Line, lines: list[Line], body: float) -> bool:
    """Return whether no line as large as the body stands below `line` in its column."""
    below = (other for other in lines if other.page == line.page and other.y < line.y and len(other.text) >= 12)
    beside = (other for other in below if other.left < line.right and other.right > line.left)
    return all(other.size < NOTE_SIZE * body for other in beside)


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
        elif TABLE_NOTE.match(line.text) or LEADERS_OR_LABEL.match(line.text):
            continue
        elif inside:
            if not is_prose_line(line, body):
                continue
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
