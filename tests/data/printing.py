"""Small PDFs for the tests, printed line by line where a test wants them."""

import io
from pathlib import Path

from fontTools.ttLib import TTFont
from reportlab.pdfbase import pdfmetrics, ttfonts
from reportlab.pdfgen.canvas import Canvas

import parentcare
from parentcare.manifest import REPOSITORY

FONT = "PrintedTests"
NANUM = Path(parentcare.__file__).parent / "fonts" / "NanumGothic.ttf"
SAMPLES = REPOSITORY / "data" / "papers"
REAL_DOCUMENTS = REPOSITORY.parent / "shared" / "samples" / "pdf"
FILLER = "부모의 민감한 반응은 영아가 세상을 믿고 둘러보게 하는 바탕이 된다고 알려져 있다."


def print_pdf(path: Path, pages: list[list[tuple]]) -> Path:
    """Return `path` after printing pages of (x, y, size, text, letter gap, degrees); the last two may lack."""
    if FONT not in pdfmetrics.getRegisteredFontNames():
        # reportlab shares what it knows of a font by the name inside, and the sample papers use another cut of this one
        font, content = TTFont(NANUM), io.BytesIO()
        for record in font["name"].names:
            if record.nameID in (1, 4, 6):
                record.string = FONT
        font.save(content)
        content.seek(0)
        pdfmetrics.registerFont(ttfonts.TTFont(FONT, content))
    content = io.BytesIO()
    canvas = Canvas(content, (595, 842), invariant=1)
    for page in pages:
        for x, y, size, text, *more in page:
            gap, degrees = (*more, 0, 0)[:2] if more else (0, 0)
            canvas.saveState()
            canvas.translate(x, y)
            canvas.rotate(degrees)
            line = canvas.beginText(0, 0)
            line.setFont(FONT, size)
            line.setCharSpace(gap)
            line.textOut(text)
            canvas.drawText(line)
            canvas.restoreState()
        canvas.showPage()
    canvas.save()
    path.write_bytes(content.getvalue())
    return path


def filler(lines: int = 12, top: float = 700, first: int = 0) -> list[tuple]:
    """Return lines of prose, no two alike, one under the other: a page of them is not taken for a scan."""
    return [(60, top - 16 * i, 10, chr(ord("가") + 28 * (first + i)) + FILLER) for i in range(lines)]


def texts(*parts: list[tuple]) -> list[str]:
    """Return the texts of printed lines."""
    return [line[3] for part in parts for line in part]
