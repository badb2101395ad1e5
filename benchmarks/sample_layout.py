"""Breaking, placing and drawing the lines of the sample papers, as Hancom and other word processors do."""

import dataclasses
import functools
import io
import itertools
import logging
import re
from collections.abc import Callable, Iterator
from pathlib import Path

from fontTools import subset
from fontTools.ttLib import TTFont
from fontTools.ttLib.scaleUpem import scale_upem
from reportlab import rl_config
from reportlab.lib.pdfencrypt import StandardEncryption
from reportlab.pdfbase import pdfmetrics, ttfonts
from reportlab.pdfgen.canvas import Canvas
from sample_journals import Geometry, Style

import parentcare

FONT = "SamplePapers"
FONT_FILE = Path(parentcare.__file__).parent / "fonts" / "NanumGothic.ttf"
# a coarse grid (0.08 pt in print) and no hinting: a third of the size, and no difference that one can see
UNITS_PER_EM = 64
PRIVATE_USE = {"\uf06c": "●", "\uf0a7": "■", "\uf0d8": "▶"}
# outside KS X 1001
RARE_SYLLABLES = "툶"
BOLD_STROKE_PT = 0.3
# em; a reader takes a wider gap for a space
MAX_LETTER_GAP = 0.06
# points
SMALL_GAP = 0.01
# what stays together within a line: words and statistics such as t(85)=2.43
LATIN = re.compile(r"[A-Za-z0-9.,()%=<>~+\-±²×/@:&αβχηΔ]")
NOT_AT_START = set(".,)]”’%?!:;~·>…-")
NOT_AT_END = set("([“‘<")


@dataclasses.dataclass
class Line:
    """One printed line: `space_after` says whether the break fell at a space, None at a paragraph's end."""

    text: str
    role: str
    section: str
    x: float
    y: float
    pt: float
    page: int
    column: int = 0
    # the width that it is stretched to; 0 where it is not
    width: float = 0
    bold: bool = False
    lead: str = ""
    tail: str = ""
    space_after: bool | None = None


# --- letters and breaks --------------------------------------------------------------------------


def journal_characters() -> set[str]:
    """Return what the papers may print: the signs and Hangul of KS X 1001, a few syllables more, and ASCII."""
    rows = itertools.chain(range(0xA1, 0xAD), range(0xB0, 0xC9))
    codes = (bytes((row, cell)) for row in rows for cell in range(0xA1, 0xFF))
    signs = "".join(code.decode("euc-kr", errors="ignore") for code in codes)
    return set(signs) | set(RARE_SYLLABLES) | set(map(chr, range(32, 127)))


@functools.cache
def register_font() -> ttfonts.TTFontFace:
    """Return the face of the package's font, cut down and registered as FONT."""
    logging.getLogger("fontTools.subset").setLevel(logging.ERROR)
    font = TTFont(FONT_FILE, recalcTimestamp=False)
    subsetter = subset.Subsetter(subset.Options(hinting=False, layout_features=[], name_IDs=[1, 2, 4, 6]))
    subsetter.populate(unicodes=map(ord, journal_characters()))
    subsetter.subset(font)
    scale_upem(font, UNITS_PER_EM)
    for table in font["cmap"].tables:
        table.cmap |= {
            ord(code): table.cmap[ord(sign)] for code, sign in PRIVATE_USE.items() if ord(sign) in table.cmap
        }
    content = io.BytesIO()
    font.save(content)
    content.seek(0)
    pdfmetrics.registerFont(ttfonts.TTFont(FONT, content))
    return pdfmetrics.getFont(FONT).face


@functools.cache
def char_em(char: str) -> float:
    """Return the width of a character as a share of the letter size. Raises ValueError without a glyph."""
    face = register_font()
    if ord(char) not in face.charToGlyph:
        raise ValueError(f"no glyph for {char!r} (U+{ord(char):04X}) in {FONT_FILE.name}; add it to RARE_SYLLABLES")
    return face.getCharWidth(ord(char)) / 1000


def text_width(text: str, pt: float) -> float:
    """Return the width of `text` in points, at a letter width of 1."""
    return pt * sum(map(char_em, text))


def can_break(text: str, at: int, by_words: bool) -> bool:
    """Return whether a line may end before text[at]: at spaces, else between letters that allow it."""
    before, after = text[at - 1], text[at]
    if " " in (before, after):
        return True
    if by_words or after in NOT_AT_START or before in NOT_AT_END:
        return False
    # 5.4%(SD=3.6) may break before its bracket, t(85)=2.43 may not
    bracket = after == "(" and not before.isalpha()
    return bracket or not (LATIN.match(before) and LATIN.match(after))


def break_lines(text: str, rooms: Iterator[float], by_words: bool) -> list[tuple[str, bool | None]]:
    """Return (line, whether a space stood at its end); None for the last.

    `rooms` yields the room of each line, in sizes of the letter.
    """
    lines, start = [], 0
    while True:
        end, used, room = start, 0.0, next(rooms)
        while end < len(text) and (used := used + char_em(text[end])) <= room:
            end += 1
        if end == len(text):
            return [*lines, (text[start:], None)]
        cut = next((at for at in range(end, start, -1) if can_break(text, at, by_words)), end)
        line = text[start:cut].rstrip(" ")
        start = cut + (text[cut] == " ")
        lines.append((line, text[start - 1] == " "))


# --- placing -------------------------------------------------------------------------------------


class Sheet:
    """A paper being laid out: its lines and rules, and the place of the next line."""

    def __init__(self, geometry: Geometry):
        self.geometry = geometry
        self.lines: list[Line] = []
        self.rules: list[tuple[int, float, float, float, float]] = []
        self.raised: dict[tuple[int, int], float] = {}
        self.page = 0
        self.set_columns(1, geometry.height - geometry.margin_y)

    def set_columns(self, columns: int, top: float) -> None:
        """Go on in `columns` columns from the height `top` of this page."""
        gap = self.geometry.gap if columns > 1 else 0
        width = (self.geometry.inner_width - gap * (columns - 1)) / columns
        self.frames = [(self.geometry.margin_x + i * (width + gap), width) for i in range(columns)]
        self.column, self.top, self.y = 0, top, top

    def next_column(self) -> None:
        """Go to the head of the next column, of the next page after the last."""
        self.column += 1
        if self.column == len(self.frames):
            self.page += 1
            self.column, self.top = 0, self.geometry.height - self.geometry.margin_y
        self.y = self.top

    def new_page(self, columns: int) -> None:
        """Go to the head of a new page of `columns` columns."""
        self.page += 1
        self.set_columns(columns, self.geometry.height - self.geometry.margin_y)

    def need(self, height: float) -> None:
        """Go to the next column unless `height` is left in this one."""
        if self.y - height < self.geometry.margin_y + self.raised.get((self.page, self.column), 0):
            self.next_column()

    def skip(self, height: float) -> None:
        """Leave `height` blank, not at the head of a column."""
        self.y -= height if self.y < self.top else 0

    def rule(self, x: float, width: float, thickness: float) -> None:
        """Draw a horizontal rule at the present height."""
        self.rules.append((self.page, x, self.y, width, thickness))

    def break_text(self, text: str, style: Style) -> list[tuple[str, bool | None]]:
        """Return the lines of a paragraph in the present column's width."""
        room = self.frames[self.column][1] - 2 * style.inset
        size = style.pt * self.geometry.scale
        first = (room - style.first) / size - sum(map(char_em, style.lead))
        rooms = itertools.chain([first], itertools.repeat((room - style.rest) / size))
        # titles and notes are broken at spaces everywhere
        return break_lines(text, rooms, self.geometry.by_words or style.align != "justify")

    def add(self, text: str, style: Style, section: str = "", interrupt: Callable[[], None] | None = None) -> None:
        """Place a paragraph; `interrupt` places something else in its middle."""
        self.skip(style.above)
        broken = self.break_text(text, style)
        for i, (line, space_after) in enumerate(broken):
            self.put(line, style, i == 0, space_after)
            self.lines[-1].section = section
            if interrupt and i == len(broken) // 2:
                interrupt()
        self.y -= style.below

    def put(self, text: str, style: Style, is_first: bool, space_after: bool | None) -> None:
        """Place one line of a paragraph."""
        self.need(style.leading)
        self.y -= style.leading
        x, width = self.frames[self.column]
        indent = style.inset + (style.first if is_first else style.rest)
        lead = style.lead if is_first else ""
        room = width - style.inset - indent
        slack = room - text_width(lead + text, style.pt) * self.geometry.scale
        line = Line(
            text, style.role, "", x + indent, self.y + style.leading - style.pt, style.pt, self.page, self.column
        )
        line.x += {"center": slack / 2, "right": slack}.get(style.align, 0)
        line.width = room if style.align == "justify" and space_after is not None else 0
        line.bold, line.lead, line.space_after = style.bold, lead, space_after
        line.tail = " " if self.geometry.by_words and space_after else ""
        self.lines.append(line)

    def put_at(self, text: str, style: Style, place: tuple[int, float], align: str) -> None:
        """Place one line of a running head or foot at `place`, a page and a height, between the margins."""
        slack = self.geometry.inner_width - text_width(text, style.pt) * self.geometry.scale
        x = self.geometry.margin_x + {"left": 0, "center": slack / 2, "right": slack}[align]
        self.lines.append(Line(text, style.role, "", x, place[1], style.pt, place[0]))

    def put_between(self, text: str, style: Style, x: float, width: float) -> None:
        """Place one cell of a table at the present height, centred in `width` unless that is 0."""
        slack = width - text_width(text, style.pt) * self.geometry.scale if width else 0
        y = self.y + style.leading * 0.25
        self.lines.append(Line(text, style.role, "", x + slack / 2, y, style.pt, self.page, self.column))


# --- drawing -------------------------------------------------------------------------------------


def draw_pdf(sheet: Sheet, title: str, passwords: tuple[str, str] | None = None) -> bytes:
    """Return the PDF of a sheet, the same bytes each time; `passwords` are the user's and the owner's."""
    register_font()
    rl_config.useA85 = 0
    lock = StandardEncryption(*passwords, strength=128) if passwords else None
    geometry = sheet.geometry
    canvas = Canvas(io.BytesIO(), (geometry.width, geometry.height), invariant=1, pageCompression=1, encrypt=lock)
    canvas.setTitle(title)
    canvas.setAuthor("synthetic")
    canvas.setSubject("Synthetic sample paper, CC0-1.0")
    for page in range(sheet.page + 1):
        draw_page(canvas, sheet, page)
    return canvas.getpdfdata()


def draw_page(canvas: Canvas, sheet: Sheet, page: int) -> None:
    """Draw the rules and the lines of one page, in the order in which they were placed."""
    for rule_page, x, y, width, thickness in sheet.rules:
        if rule_page == page:
            canvas.setLineWidth(thickness)
            canvas.line(x, y, x + width, y)
    canvas.setLineWidth(BOLD_STROKE_PT)
    text = canvas.beginText()
    text.setHorizScale(sheet.geometry.scale * 100)
    for line in sheet.lines:
        if line.page == page:
            text.setFont(FONT, line.pt)
            text.setTextRenderMode(2 if line.bold else 0)
            text.setTextOrigin(line.x, line.y)
            draw_line(text, line, sheet.geometry)
    canvas.drawText(text)
    canvas.showPage()


def draw_line(text, line: Line, geometry: Geometry) -> None:
    """Draw one line, stretched a little between letters, where lines break inside words, then at its spaces."""
    words = (line.lead + line.text).split(" ")
    letters = sum(map(len, words)) + len(words) - 1
    slack = line.width / geometry.scale - text_width(" ".join(words), line.pt) if line.width else 0
    per_letter = 0 if geometry.by_words else min(slack / letters, MAX_LETTER_GAP * line.pt)
    per_space = (slack - per_letter * letters) / max(1, len(words) - 1)
    words[-1] += line.tail
    for i, word in enumerate([" ".join(words)] if per_space < SMALL_GAP else words):
        if i:
            text.setCharSpace(round(per_letter + per_space, 3))
            text.textOut(" ")
        text.setCharSpace(round(per_letter, 3))
        text.textOut(word)
