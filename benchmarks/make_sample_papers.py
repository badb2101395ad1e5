"""Print data/sample_papers.jsonl the way Korean journals do: python3 benchmarks/make_sample_papers.py

Writes data/papers/: 118 PDFs and two HWPX, and a scanned, an encrypted and a truncated PDF besides.
Every journal, author, address and reference in them is made up; so are the papers.
"""

import functools
import io
import itertools
import re
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pypdfium2
from hwpx import HwpxDocument
from sample_journals import Style, page_geometry, paragraph_styles
from sample_layout import Line, Sheet, draw_pdf
from sample_texts import (
    Block,
    Issue,
    contents,
    describe_issue,
    first_page_notes,
    page_number,
    running_head,
    with_tables,
)

from parentcare.data.records import read_jsonl
from parentcare.manifest import REPOSITORY, short_path, write_atomically

SOURCE = REPOSITORY / "data" / "sample_papers.jsonl"
FOLDER = REPOSITORY / "data" / "papers"
HWPX_PAPERS = {40, 83}
SCANNED_PAPER, ENCRYPTED_PAPER, TRUNCATED_PAPER = "sample-017", "sample-018", "sample-019"
PASSWORDS = ("reader", "owner")
SCAN_DPI, SCAN_QUALITY = 90, 35
TRUNCATED_SHARE = 0.6
# the pages that a paper's page range says before it has been laid out
USUAL_PAGES = 4
RANDOM_ID = re.compile(rb'(\b(?:id|idRef|instid|instId)=")(\d+)')
PARAGRAPH_ROLES = ("abstract", "body")
OWN_ROLES = ("title", "keywords", "heading", *PARAGRAPH_ROLES)


def document_name(paper: dict) -> str:
    """Return the file name of a paper."""
    return f"{paper['paper_id']}.{'hwpx' if int(paper['paper_id'][-3:]) in HWPX_PAPERS else 'pdf'}"


def make_document(paper: dict) -> bytes:
    """Return the PDF or HWPX of a paper, the same bytes each time."""
    if document_name(paper).endswith("hwpx"):
        return make_hwpx(describe_issue(paper, USUAL_PAGES))
    return draw_pdf(lay_out(paper), paper["title"])


def layout_truth(paper: dict) -> dict:
    """Return what a reader should find in a paper's document.

    `headings` has `section` and `text` of the four headings as printed; `paragraphs` has, for each paragraph
    of the 초록 and of the sections, its `section` and its `lines`, each with `text`, `page` and `column`
    (both from 0) and `space_after`: whether the break fell at a space, None at the paragraph's end. HWPX has
    one line a paragraph. `furniture` is the rest: heads, page numbers, notes, tables, references, English.
    """
    is_hwpx = document_name(paper).endswith("hwpx")
    lines = hwpx_lines(describe_issue(paper, USUAL_PAGES)) if is_hwpx else lay_out(paper).lines
    paragraphs, ended = [], True
    for line in (line for line in lines if line.role in PARAGRAPH_ROLES):
        if ended:
            paragraphs.append({"section": line.section, "lines": []})
        paragraphs[-1]["lines"].append({key: getattr(line, key) for key in ("text", "page", "column", "space_after")})
        ended = line.space_after is None
    headings = [{"section": line.section, "text": line.text} for line in lines if line.role == "heading"]
    truth = {"paper_id": paper["paper_id"], "file": document_name(paper), "headings": headings}
    return truth | {"paragraphs": paragraphs, "furniture": furniture(lines)}


def furniture(lines: list[Line]) -> list[str]:
    """Return the text of the lines that are not the paper's own, the cells of a table's row as one."""
    others = (line for line in lines if line.role not in OWN_ROLES)
    rows = itertools.groupby(others, key=lambda line: (line.role, line.page, line.column, line.y))
    return [" ".join(" ".join(line.text for line in row).split()) for _, row in rows]


def hwpx_lines(issue: Issue) -> list[Line]:
    """Return the paragraphs and table rows of an HWPX as lines, `y` counting them."""
    around = [Block("head", text) for text in (running_head(issue, 0), page_number(issue, 0))]
    around += [Block("note", text) for text in first_page_notes(issue)]
    blocks = [*around, *with_tables(contents(issue))]
    texts = [(block, text) for block in blocks for text in map(" ".join, block.rows or [(block.text,)])]
    return [Line(text, block.role, block.section, 0, y, 0, 0) for y, (block, text) in enumerate(texts)]


# --- a paper on its pages ------------------------------------------------------------------------


def lay_out(paper: dict) -> Sheet:
    """Return the paper's lines on its journal's pages; again where the page range was wrong."""
    sheet = place_paper(describe_issue(paper, USUAL_PAGES))
    return sheet if sheet.page + 1 == USUAL_PAGES else place_paper(describe_issue(paper, sheet.page + 1))


def place_paper(issue: Issue) -> Sheet:
    """Return the sheet with everything that the issue prints of its paper."""
    sheet, styles = Sheet(page_geometry(issue.house, issue.by_words)), paragraph_styles(issue.house)
    notes = place_notes(issue, styles["note"])
    raised = range(1 if issue.house.notes_in_column else issue.house.columns)
    sheet.raised = {(0, column): notes.top - sheet.geometry.margin_y for column in raised}
    for block in contents(issue):
        rule_abstract(sheet, block, issue.house.boxed)
        start_columns(sheet, block, issue.house.columns)
        place_block(sheet, block, styles)
    around = place_heads(Sheet(sheet.geometry), issue, sheet.page + 1)
    around.lines += notes.lines
    sheet.rules += notes.rules + around.rules
    # Hancom draws what stands around the text before it, others after it
    sheet.lines = around.lines + sheet.lines if issue.house.heads_first else sheet.lines + around.lines
    return sheet


def start_columns(sheet: Sheet, block: Block, columns: int) -> None:
    """Start the columns at the first heading, and a page of one column for the English abstract."""
    if (block.role, block.section) == ("heading", "서론") and columns > 1:
        sheet.set_columns(columns, sheet.y - 14)
    if block.role == "english_title":
        sheet.new_page(1)


def rule_abstract(sheet: Sheet, block: Block, boxed: bool) -> None:
    """Rule off the masthead, and in some journals the abstract."""
    width = sheet.geometry.inner_width
    if block.role == "title" and not any(line.role == "title" for line in sheet.lines):
        sheet.rule(sheet.geometry.margin_x, width, 0.8)
        sheet.skip(14)
    ends = ("abstract_head", "heading") if boxed and sheet.page == 0 else ()
    if block.role in ends and block.section in ("", "서론"):
        sheet.rules.append((0, sheet.geometry.margin_x, sheet.y - 4, width, 0.5))


def place_block(sheet: Sheet, block: Block, styles: dict[str, Style]) -> None:
    """Place a paragraph, with the table inside it, or a table."""
    style = styles[block.role]
    if block.role == "table":
        return place_table(sheet, block.rows, style)
    if block.role in ("heading", "tail_head"):
        sheet.need(style.above + style.leading + style.below + 2 * styles["body"].leading)
    if block.role == "caption":
        sheet.need(10 * style.leading)
    inside = [functools.partial(place_block, sheet, part, styles) for part in block.inside]
    sheet.add(block.text, style, block.section, lambda: [place() for place in inside])


def place_table(sheet: Sheet, rows: tuple[tuple[str, ...], ...], style: Style) -> None:
    """Place the rows between the three rules of a Korean table: above, below the head, below."""
    x, width = sheet.frames[sheet.column]
    label = width * 0.42
    cell = (width - label) / (len(rows[0]) - 1)
    sheet.rule(x, width, 0.9)
    for i, row in enumerate(rows):
        sheet.y -= style.leading
        for j, text in enumerate(row):
            left = x + 4 if j == 0 else x + label + (j - 1) * cell
            sheet.put_between(text, style, left, 0 if j == 0 else cell)
        if i in (0, len(rows) - 1):
            sheet.y -= 2
            sheet.rule(x, width, 0.4 if i == 0 else 0.9)


def place_notes(issue: Issue, style: Style) -> Sheet:
    """Return a sheet with only the notes at the foot of the first page; its top is where they begin."""
    notes = Sheet(page_geometry(issue.house, issue.by_words))
    columns = issue.house.columns if issue.house.notes_in_column else 1
    notes.set_columns(columns, notes.top)
    texts = first_page_notes(issue)
    count = sum(len(notes.break_text(text, style)) for text in texts)
    notes.set_columns(columns, notes.geometry.margin_y + count * style.leading + 12)
    notes.y -= 2
    notes.rule(notes.geometry.margin_x, 90, 0.4)
    notes.y -= 6
    for text in texts:
        notes.add(text, style)
    return notes


def place_heads(sheet: Sheet, issue: Issue, pages: int) -> Sheet:
    """Return the sheet with running heads and page numbers."""
    geometry, style = sheet.geometry, Style("head", 8, 12)
    plain = "journal" not in issue.house.number_style
    for page in range(pages):
        side = "left" if (issue.first_page + page) % 2 == 0 else "right"
        if page and plain:
            y = geometry.height - geometry.margin_y + 14
            sheet.put_at(running_head(issue, page), style, (page, y), side)
            sheet.rules.append((page, geometry.margin_x, y - 4, geometry.inner_width, 0.4))
        foot = geometry.margin_y - 26
        sheet.put_at(page_number(issue, page), style, (page, foot), "center" if plain else side)
    return sheet


# --- other documents -----------------------------------------------------------------------------


def make_hwpx(issue: Issue) -> bytes:
    """Return the paper as Hancom's zipped XML, with a running head, a page foot and first-page notes."""
    document = HwpxDocument.new()
    document.page.set_header(text=running_head(issue, 0))
    document.page.set_footer(text=page_number(issue, 0))
    for block in with_tables(contents(issue)):
        if block.rows:
            fill_table(document, block.rows)
            continue
        paragraph = document.add_paragraph(block.text)
        for note in first_page_notes(issue) if block.role == "authors" else ():
            document.notes.add_footnote(note, paragraph=paragraph)
    return freeze_hwpx(document.to_bytes())


def fill_table(document: HwpxDocument, rows: tuple[tuple[str, ...], ...]) -> None:
    """Add a table with these cells."""
    table = document.add_table(len(rows), len(rows[0]))
    for i, row in enumerate(rows):
        for j, text in enumerate(row):
            table.set_cell_text(i, j, text)


def freeze_hwpx(content: bytes) -> bytes:
    """Return the package with its random ids counted through and without the time of day."""
    frozen, numbers = io.BytesIO(), {}
    with zipfile.ZipFile(io.BytesIO(content)) as source, zipfile.ZipFile(frozen, "w") as target:
        for item in source.infolist():
            data = source.read(item)
            if item.filename.startswith("Contents/section"):
                data = RANDOM_ID.sub(lambda m: m[1] + b"%d" % numbers.setdefault(m[2], len(numbers) + 1), data)
            info = zipfile.ZipInfo(item.filename, (1980, 1, 1, 0, 0, 0))
            info.compress_type = item.compress_type
            target.writestr(info, data)
    return frozen.getvalue()


def make_scan(content: bytes) -> bytes:
    """Return a PDF whose pages are grey pictures of the given PDF's pages, slightly askew."""
    pages = [page.render(scale=SCAN_DPI / 72, grayscale=True).to_pil() for page in pypdfium2.PdfDocument(content)]
    pages = [page.rotate(0.4, fillcolor=250) for page in pages]
    scan = io.BytesIO()
    dates = {"creationDate": time.gmtime(0), "modDate": time.gmtime(0)}
    size = {"resolution": SCAN_DPI, "quality": SCAN_QUALITY}
    pages[0].save(scan, "PDF", save_all=True, append_images=pages[1:], **size, **dates)
    return scan.getvalue()


def make_documents(papers: list[dict]) -> Iterator[tuple[str, bytes]]:
    """Yield (file name, content) of every document in data/papers/."""
    for paper in papers:
        yield document_name(paper), make_document(paper)
    of = {paper["paper_id"]: paper for paper in papers}
    encrypted, truncated = of[ENCRYPTED_PAPER], make_document(of[TRUNCATED_PAPER])
    yield "scanned.pdf", make_scan(make_document(of[SCANNED_PAPER]))
    yield "encrypted.pdf", draw_pdf(lay_out(encrypted), encrypted["title"], PASSWORDS)
    yield "truncated.pdf", truncated[: int(len(truncated) * TRUNCATED_SHARE)]


def write_documents(source: Path = SOURCE, folder: Path = FOLDER) -> dict[str, int]:
    """Return file name → bytes after writing every document into `folder`."""
    sizes = {}
    for name, content in make_documents(read_jsonl(source)):
        write_atomically(folder / name, content)
        sizes[name] = len(content)
    return sizes


def main() -> None:
    """Write the documents and print what was written."""
    start = time.perf_counter()
    sizes = write_documents()
    for name, size in sizes.items():
        print(f"{name:16} {size:9,} bytes")
    total, seconds = sum(sizes.values()) / 1e6, time.perf_counter() - start
    print(f"{len(sizes)} documents, {total:.2f} MB, {seconds:.0f} s, in {short_path(FOLDER)}/")


if __name__ == "__main__":
    main()
