"""One PDF, HWPX or HWP file to the text of its pages, with the place of each printed line.

Run as a program, as `papers.read_papers` does, it reads files within limits and prints a line of JSON for each.
"""

import contextlib
import ctypes
import io
import itertools
import json
import math
import os
import re
import resource
import signal
import statistics
import sys
import zipfile
from pathlib import Path
from typing import NamedTuple

import pypdfium2
import pypdfium2.raw as pdfium

MAX_FILE_BYTES = 300 * 2**20
MAX_PAGES = 1_500
# A page of Korean prose has 800 to 2,500 characters; below this it is a picture of one.
MIN_PAGE_CHARS = 100
# Parts of a line further apart than this many heights of the line stand in separate cells.
CELL_GAP_HEIGHTS = 1.5
# Between the letters of a word gaps differ by less than 0.11 heights, between words by more than 0.13
# (30,000 gaps of two Hancom documents); only lines of this many letters show what is usual in them.
MIN_SPACE_HEIGHTS = 0.12
MIN_EVEN_LETTERS = 8
# Text that runs up the page, as beside a margin or in a turned table, is left out.
MAX_SLOPE = 0.3
# PDFium gives a hyphen at a line's end as U+0002 or U+FFFE.
SPECIAL_CODES = dict.fromkeys(range(32), " ") | {0: "\ufffd", 0x02: "-", 0xFFFE: "-"}
# What encloses a paragraph that is not body text: cells of a table of several, notes, page heads.
NOT_BODY = re.compile(r"tr\[|tc\[|header|footer|footNote|endNote|hiddenComment|caption")


class ReadError(ValueError):
    """A file that gives no usable text; the message is the reason."""


def read_paper(path: Path) -> dict:
    """Return {"pages", "boxes", "extractor", "version"} of one file.

    `pages` has each page's printed lines, a tab between cells, and a space at a line's end only where
    the file has one. `boxes` has, per page, [left, baseline, right, size] of each line in points, y
    upwards; for HWPX and HWP it is None and each line is a paragraph. Raises ReadError with the reason.
    """
    size = os.path.getsize(path)
    if size > MAX_FILE_BYTES:
        raise ReadError(f"huge: {size / 2**20:,.0f} MB, the limit is {MAX_FILE_BYTES // 2**20} MB")
    with open(path, "rb") as file:
        head = file.read(1024)
    is_pdf, is_hwp = b"%PDF-" in head, head.startswith((b"PK\x03\x04", b"\xd0\xcf\x11\xe0"))
    if not is_pdf and not is_hwp:
        raise ReadError("broken: neither PDF, HWPX nor HWP by its first bytes" if head else "broken: the file is empty")
    try:
        return read_pdf(path) if is_pdf else read_hwp(path)
    except (ReadError, MemoryError):
        raise
    except Exception as error:  # python-hwpx lets errors of zipfile, lxml, struct and its own through
        locked = re.search("암호|배포용|password|encrypt|distribut", str(error), re.I)
        raise ReadError(f"{'encrypted' if locked else 'broken'}: {type(error).__name__}: {error}"[:300]) from error


class Glyph(NamedTuple):
    """One character and its box in points; `index` is its number on the page, None for a space that PDFium put in."""

    char: str
    index: int | None
    left: float
    bottom: float
    right: float
    top: float

    @property
    def height(self) -> float:
        return self.top - self.bottom


def read_pdf(path: Path) -> dict:
    """Return the pages and boxes of a PDF, in the order in which the file writes them."""
    try:
        document = pypdfium2.PdfDocument(path)
    except pypdfium2.PdfiumError as error:
        encrypted = error.err_code == pdfium.FPDF_ERR_PASSWORD
        raise ReadError("encrypted: it needs a password" if encrypted else f"broken: {error}") from error
    if not len(document):
        raise ReadError("broken: it has no page")
    if len(document) > MAX_PAGES:
        raise ReadError(f"huge: {len(document):,} pages, the limit is {MAX_PAGES:,}")
    pages, boxes = [], []
    for index in range(len(document)):
        try:
            textpage = document[index].get_textpage()
        except pypdfium2.PdfiumError as error:
            raise ReadError(f"broken: page {index + 1} of {len(document)} cannot be read") from error
        lines = [_finish_line(line, textpage.raw) for line in _cut_lines(textpage)]
        pages.append("\n".join(text for text, _ in lines if text.strip()))
        boxes.append([box for text, box in lines if text.strip()])
    printed = sum(len("".join(page.split())) for page in pages) / len(pages)
    if printed < MIN_PAGE_CHARS:
        raise ReadError(f"scanned: {printed:.0f} characters a page, fewer than {MIN_PAGE_CHARS}; it needs OCR")
    return {"pages": pages, "boxes": boxes, "extractor": "pypdfium2", "version": str(pypdfium2.PYPDFIUM_INFO)}


def _cut_lines(textpage: pypdfium2.PdfTextPage) -> list[list[Glyph]]:
    """Return the page's characters as lines.

    PDFium's own line ends are not taken: it joins the last, short line of a paragraph to the next
    line where the file has a space there. A line ends where the next character stands elsewhere.
    """
    raw = textpage.raw
    lines: list[list[Glyph]] = []
    for i in range(textpage.count_chars()):
        code = pdfium.FPDFText_GetUnicode(raw, i)
        if pdfium.FPDFText_IsGenerated(raw, i) == 1:
            if code == 32 and lines:
                lines[-1].append(lines[-1][-1]._replace(char=" ", index=None))
            continue
        glyph = Glyph(SPECIAL_CODES.get(code) or chr(code), i, *textpage.get_charbox(i, loose=True))
        if not lines or _stands_elsewhere(glyph, lines[-1]):
            lines.append([])
        lines[-1].append(glyph)
    return lines


def _stands_elsewhere(glyph: Glyph, line: list[Glyph]) -> bool:
    """Return whether a character begins another line than `line`."""
    first, last = line[0], line[-1]
    # the line's own height is that of its first character: a raised mark at its end does not count
    bottom, top = min(last.bottom, first.bottom), max(last.top, first.top)
    overlap = min(top, glyph.top) - max(bottom, glyph.bottom)
    return overlap < 0.5 * min(first.height, glyph.height) or glyph.left < last.right - 2 * (top - bottom)


def _finish_line(line: list[Glyph], raw) -> tuple[str, list[float]]:
    """Return (text, [left, baseline, right, size]) with tabs at wide gaps, footnote marks left out."""
    ink = [glyph for glyph in line if glyph.index is not None and not glyph.char.isspace()]
    if not ink or abs(math.sin(pdfium.FPDFText_GetCharAngle(raw, ink[len(ink) // 2].index))) > MAX_SLOPE:
        return "", []
    quarters = [ink[len(ink) * k // 4].index for k in (1, 2, 3)]
    baseline, size = map(statistics.median, zip(*(_baseline_and_size(raw, i) for i in quarters), strict=True))
    box = [ink[0].left, baseline, max(glyph.right for glyph in ink), size]
    text = drop_footnote_marks(_set_spaces(line, ink))
    # PDFium gives a character beyond U+FFFF as two
    text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text.lstrip(), [round(value, 1) for value in box]


def _set_spaces(line: list[Glyph], ink: list[Glyph]) -> str:
    """Return a line's text with tabs and spaces by its gaps, raised marks between \\x0e and \\x0f."""
    height = max(glyph.height for glyph in ink)
    stretch = _letter_gap(ink, height)
    text, end = "", None
    for glyph in line:
        if glyph.index is None and stretch is not None:
            # PDFium takes the gaps of a line stretched letter by letter for spaces
            continue
        is_space = glyph.char == " "
        gap = 0 if end is None or is_space else glyph.left - end
        if gap > CELL_GAP_HEIGHTS * height:
            text = text.rstrip() + "\t"
        elif stretch is not None and gap > stretch + MIN_SPACE_HEIGHTS * height and not text.endswith(" "):
            text += " "
        raised = glyph.height < 0.8 * height and glyph.bottom > line[0].bottom + 0.1 * height
        text += f"\x0e{glyph.char}\x0f" if raised and (glyph.char.isdigit() or glyph.char in "*†‡)") else glyph.char
        end = end if is_space else glyph.right
    return text


def _letter_gap(ink: list[Glyph], height: float) -> float | None:
    """Return the usual gap between the letters of a line of prose stretched letter by letter, else None.

    Gaps are 0 in most lines, 0.2 heights in stretched ones; wider ones part single letters or numbers.
    """
    if len(ink) < MIN_EVEN_LETTERS:
        return None
    usual = statistics.median(after.left - before.right for before, after in itertools.pairwise(ink))
    return usual if 0.05 * height < usual < 0.3 * height else None


def drop_footnote_marks(text: str) -> str:
    """Return `text` without raised marks of the kind 1), * and †; a raised 2 after R or χ stays."""
    text = re.sub(r"(?<=[가-힣.,”’\")」』])(?:\x0e[\d)*†‡,]\x0f)+", "", text)
    return text.replace("\x0e", "").replace("\x0f", "")


def _baseline_and_size(raw, index: int) -> tuple[float, float]:
    """Return a character's baseline and its printed size, the font's as the page scales it, in points."""
    x, y, matrix = ctypes.c_double(), ctypes.c_double(), pdfium.FS_MATRIX()
    pdfium.FPDFText_GetCharOrigin(raw, index, x, y)
    pdfium.FPDFText_GetMatrix(raw, index, matrix)
    scale = abs(matrix.a * matrix.d - matrix.b * matrix.c) ** 0.5
    return y.value, pdfium.FPDFText_GetFontSize(raw, index) * scale


def read_hwp(path: Path) -> dict:
    """Return the paragraphs of an HWPX or HWP file as one page, without tables, notes and heads.

    A table of one cell is a frame around prose and is kept.
    """
    import hwpx  # 0.3 seconds, and most papers are PDF
    from hwpx.hwp5.package import convert, to_hwpx_bytes

    content = Path(path).read_bytes()
    if not content.startswith(b"PK"):
        content = to_hwpx_bytes(convert(content).files)
    with zipfile.ZipFile(io.BytesIO(content)) as archive, hwpx.TextExtractor(archive) as extractor:
        body = [p.text() for p in extractor.iter_document_paragraphs() if not NOT_BODY.search(p.path)]
    text = "\n".join(line for paragraph in body for line in paragraph.splitlines() if line.strip())
    if len("".join(text.split())) < MIN_PAGE_CHARS:
        raise ReadError(f"empty: {len(text)} characters outside tables and notes, fewer than {MIN_PAGE_CHARS}")
    return {"pages": [text], "boxes": None, "extractor": "python-hwpx", "version": hwpx.__version__}


def main(seconds: float, memory_mib: int, paths: list[str]) -> None:
    """Print a line of JSON for each path, the paper or {"reason"}; a file that takes too long ends the process."""
    signal.signal(signal.SIGALRM, signal.SIG_DFL)  # one that is ignored is inherited
    resource.setrlimit(resource.RLIMIT_AS, (memory_mib * 2**20, memory_mib * 2**20))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for path in paths:
        signal.setitimer(signal.ITIMER_REAL, seconds)
        with contextlib.redirect_stdout(sys.stderr):
            answer = _answer(path, memory_mib)
        signal.setitimer(signal.ITIMER_REAL, 0)
        print(json.dumps(answer), flush=True)


def _answer(path: str, memory_mib: int) -> dict:
    try:
        return read_paper(path)
    except MemoryError:
        return {"reason": f"huge: it needs more than {memory_mib:,} MiB of memory"}
    except ReadError as error:
        return {"reason": str(error)}
    except OSError as error:
        return {"reason": f"unreadable: {error.strerror}"}


if __name__ == "__main__":
    main(float(sys.argv[1]), int(sys.argv[2]), sys.argv[3:])
