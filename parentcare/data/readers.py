"""One PDF, HWPX or HWP file to the text of its pages, with the place of each printed line.

`python -m parentcare.data.readers` is the worker that `papers.read_papers` starts: one path a line
on its input, one JSON object a line on its output.
"""

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
import warnings
import zipfile
from importlib import metadata
from pathlib import Path

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
# What encloses a paragraph that is not body text: cells of a table of several, notes, page heads.
NOT_BODY = re.compile(r"tr\[|tc\[|header|footer|footNote|endNote|hiddenComment|caption")


class ReadError(ValueError):
    """A file that gives no usable text; the message is the reason."""


def read_paper(path: Path) -> dict:
    """Return {"pages", "boxes", "extractor", "version"} of one file.

    `pages` has the text of each page, one printed line a line, a tab between cells, and a space at
    a line's end only where the file has one there. `boxes` has, per page, [left, baseline, right,
    size] of each line in points, y upwards; for HWPX and HWP it is None and each line is a whole
    paragraph. Raises ReadError with the reason.
    """
    size = os.path.getsize(path)
    if size > MAX_FILE_BYTES:
        raise ReadError(f"huge: {size / 2**20:,.0f} MB, the limit is {MAX_FILE_BYTES // 2**20} MB")
    with open(path, "rb") as file:
        head = file.read(1024)
    if b"%PDF-" in head:
        return read_pdf(path)
    if head.startswith((b"PK\x03\x04", b"\xd0\xcf\x11\xe0")):
        return read_hwp(path)
    raise ReadError("broken: neither PDF, HWPX nor HWP by its first bytes" if head else "broken: the file is empty")


# --- PDF ---------------------------------------------------------------------------------------


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
        lines = _read_page(document, index)
        pages.append("\n".join(text for text, _ in lines))
        boxes.append([box for _, box in lines])
    printed = sum(len("".join(page.split())) for page in pages) / len(pages)
    if printed < MIN_PAGE_CHARS:
        raise ReadError(f"scanned: {printed:.0f} characters a page, fewer than {MIN_PAGE_CHARS}; it needs OCR")
    return {"pages": pages, "boxes": boxes, "extractor": "pypdfium2", "version": metadata.version("pypdfium2")}


def _read_page(document: pypdfium2.PdfDocument, index: int) -> list[tuple[str, list[float]]]:
    """Return (text, [left, baseline, right, size]) of each line of one page."""
    try:
        page = document[index]
        textpage = page.get_textpage()
    except pypdfium2.PdfiumError as error:
        raise ReadError(f"broken: page {index + 1} of {len(document)} cannot be read") from error
    lines = [_finish_line(line, textpage.raw) for line in _cut_lines(textpage)]
    textpage.close()
    page.close()
    return [line for line in lines if line[0].strip()]


def _cut_lines(textpage: pypdfium2.PdfTextPage) -> list[list[tuple]]:
    """Return the page's characters as lines of (character, index, left, bottom, right, top).

    PDFium's own line ends are not taken: it joins the last, short line of a paragraph to the next
    line where the file has a space there. A line ends where the next character stands elsewhere.
    """
    raw, box = textpage.raw, pdfium.FS_RECTF()
    unicode_at, generated_at, box_at = (
        pdfium.FPDFText_GetUnicode,
        pdfium.FPDFText_IsGenerated,
        pdfium.FPDFText_GetLooseCharBox,
    )
    lines, line = [], []
    for i in range(textpage.count_chars()):
        code = unicode_at(raw, i)
        if generated_at(raw, i) == 1:
            if code == 32 and line:
                line.append((" ", None, *line[-1][2:]))
            continue
        box_at(raw, i, box)
        place = (box.left, box.bottom, box.right, box.top)
        if line and _elsewhere(line, place):
            lines.append(line)
            line = []
        line.append((_character(code), i, *place))
    return [*lines, line] if line else lines


def _character(code: int) -> str:
    """Return the character of a code; PDFium gives a hyphen at a line's end as U+0002 or U+FFFE."""
    if code in (0x02, 0xFFFE):
        return "-"
    if 0 < code < 32:
        return " "
    return chr(code) if 0 < code < 0x110000 else "\ufffd"


def _elsewhere(line: list[tuple], place: tuple) -> bool:
    """Return whether a character at `place` begins another line than `line`."""
    _, _, _, bottom, right, top = line[-1]
    # the line's own height is that of its first character: a raised mark at its end does not count
    bottom, top = min(bottom, line[0][3]), max(top, line[0][5])
    overlap = min(top, place[3]) - max(bottom, place[1])
    height = min(line[0][5] - line[0][3], place[3] - place[1])
    return overlap < 0.5 * height or place[0] < right - 2 * (top - bottom)


def _finish_line(line: list[tuple], raw) -> tuple[str, list[float]]:
    """Return (text, [left, baseline, right, size]) with tabs at wide gaps, footnote marks left out."""
    ink = [c for c in line if c[1] is not None and not c[0].isspace()]
    if not ink or abs(math.sin(pdfium.FPDFText_GetCharAngle(raw, ink[len(ink) // 2][1]))) > MAX_SLOPE:
        return "", []
    height = max(c[5] - c[3] for c in ink)
    stretch = _letter_gap(ink, height)
    text, end = [], None
    for char, index, left, bottom, right, top in line:
        if index is None and stretch is not None:
            # PDFium takes the gaps of a line stretched letter by letter for spaces
            continue
        gap = 0 if end is None or char == " " or index is None else left - end
        if gap > CELL_GAP_HEIGHTS * height:
            text = ["".join(text).rstrip(), "\t"]
        elif stretch is not None and gap > stretch + MIN_SPACE_HEIGHTS * height and text[-1] != " ":
            text.append(" ")
        raised = top - bottom < 0.8 * height and bottom > line[0][3] + 0.1 * height
        text.append(f"\x0e{char}\x0f" if raised and (char.isdigit() or char in "*†‡)") else char)
        end = right if index is not None and char != " " else end
    quarters = [ink[len(ink) * k // 4][1] for k in (1, 2, 3)]
    size = statistics.median(_size(raw, index) for index in quarters)
    box = [ink[0][2], statistics.median(_baseline(raw, index) for index in quarters), max(c[4] for c in ink), size]
    return _join_surrogates(drop_footnote_marks("".join(text))).lstrip(), [round(value, 1) for value in box]


def _letter_gap(ink: list[tuple], height: float) -> float | None:
    """Return the usual gap between a line's letters, None where they are not prose set evenly.

    Gaps are 0 in most lines, 0.2 heights in stretched ones; words stand 0.25 heights further apart.
    A line whose usual gap is wider has single letters or numbers set apart.
    """
    if len(ink) < MIN_EVEN_LETTERS:
        return None
    usual = statistics.median(after[2] - before[4] for before, after in itertools.pairwise(ink))
    return usual if 0.05 * height < usual < 0.3 * height else None


def drop_footnote_marks(text: str) -> str:
    """Return `text` without raised marks of the kind 1), * and †; a raised 2 after R or χ stays."""
    text = re.sub(r"(?<=[가-힣.,”’\")」』])(?:\x0e[\d)*†‡,]\x0f)+", "", text)
    return text.replace("\x0e", "").replace("\x0f", "")


def _baseline(raw, index: int) -> float:
    x, y = ctypes.c_double(), ctypes.c_double()
    pdfium.FPDFText_GetCharOrigin(raw, index, x, y)
    return y.value


def _size(raw, index: int) -> float:
    """Return the printed size of a character in points: the font's, scaled as the page scales it."""
    matrix = pdfium.FS_MATRIX()
    pdfium.FPDFText_GetMatrix(raw, index, matrix)
    return pdfium.FPDFText_GetFontSize(raw, index) * abs(matrix.a * matrix.d - matrix.b * matrix.c) ** 0.5


def _join_surrogates(text: str) -> str:
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


# --- HWPX, HWP ---------------------------------------------------------------------------------


def read_hwp(path: Path) -> dict:
    """Return the paragraphs of an HWPX or HWP file as one page, without tables, notes and heads.

    A table of one cell is a frame around prose and is kept.
    """
    try:
        paragraphs = _hwp_paragraphs(path)
    except (MemoryError, RecursionError):
        raise
    except Exception as error:  # python-hwpx lets errors of zipfile, lxml, struct and its own through
        locked = re.search("암호|배포용|password|encrypt|distribut", str(error), re.I)
        raise ReadError(f"{'encrypted' if locked else 'broken'}: {type(error).__name__}: {error}"[:300]) from error
    text = "\n".join(line for line in paragraphs if line.strip())
    if len("".join(text.split())) < MIN_PAGE_CHARS:
        raise ReadError(f"empty: {len(text)} characters outside tables and notes, fewer than {MIN_PAGE_CHARS}")
    return {"pages": [text], "boxes": None, "extractor": "python-hwpx", "version": metadata.version("python-hwpx")}


def _hwp_paragraphs(path: Path) -> list[str]:
    from hwpx import TextExtractor  # 0.3 seconds, and most papers are PDF
    from hwpx.hwp5.package import convert, to_hwpx_bytes

    content = Path(path).read_bytes()
    if not content.startswith(b"PK"):
        content = to_hwpx_bytes(convert(content).files)
    with zipfile.ZipFile(io.BytesIO(content)) as archive, TextExtractor(archive) as extractor:
        found = [p for p in extractor.iter_document_paragraphs() if not NOT_BODY.search(p.path)]
        return [line for p in found for line in p.text().splitlines()]


# --- the worker --------------------------------------------------------------------------------


def serve(seconds: float, memory_mib: int) -> None:
    """Answer each path on standard input with its paper or {"reason"}, within the limits.

    The alarm's default action ends the process even inside C code; the parent sees how it ended.
    """
    warnings.simplefilter("ignore")
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_AS, (memory_mib * 2**20, memory_mib * 2**20))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # whatever a library prints must not reach the answers
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    for line in sys.stdin.buffer:
        signal.setitimer(signal.ITIMER_REAL, seconds)
        answer = _answer(os.fsdecode(json.loads(line)), memory_mib)
        signal.setitimer(signal.ITIMER_REAL, 0)
        answers.write(json.dumps(answer).encode() + b"\n")
        answers.flush()


def _answer(path: str, memory_mib: int) -> dict:
    try:
        return read_paper(path)
    except MemoryError:
        return {"reason": f"huge: it needs more than {memory_mib:,} MiB of memory"}
    except RecursionError:
        return {"reason": "broken: nested too deeply"}
    except ReadError as error:
        return {"reason": str(error)}
    except OSError as error:
        return {"reason": f"unreadable: {error.strerror}"}
    except Exception as error:  # one file's surprise must not end the run; it is reported
        return {"reason": f"broken: {type(error).__name__}: {error}"[:300]}


if __name__ == "__main__":
    serve(float(sys.argv[1]), int(sys.argv[2]))
