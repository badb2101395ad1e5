"""One document becomes lines: as printed, in order, with spaces where the print has them."""

import json
import subprocess

import pytest
from hwpx import HwpxDocument

from parentcare.data.papers import READER
from parentcare.data.readers import ReadError, drop_footnote_marks, read_paper
from tests.data.printing import SAMPLES, filler, print_pdf, texts


def lines_of(paper: dict, page: int = 0) -> list[str]:
    return paper["pages"][page].split("\n")


def test_each_printed_line_has_a_box_and_the_extractor_is_named(tmp_path):
    paper = read_paper(print_pdf(tmp_path / "a.pdf", [filler(), filler(20)]))
    assert [len(boxes) for boxes in paper["boxes"]] == [12, 20] == [page.count("\n") + 1 for page in paper["pages"]]
    left, baseline, right, size = paper["boxes"][0][0]
    assert (left, baseline, size) == pytest.approx((60, 700, 10), abs=0.6)
    assert right > 300
    assert (paper["extractor"], paper["version"]) == ("pypdfium2", "5.15.2")


def test_a_short_last_line_with_a_space_glyph_stays_a_line_of_its_own(tmp_path):
    # PDFium's own text has "회부되었음. Ⅱ. 제안이유" on one line
    page = [*filler(), (60, 480, 10, "우리 위원회에 회부되었음. "), (60, 440, 12, "Ⅱ. 제안이유")]
    lines = lines_of(read_paper(print_pdf(tmp_path / "a.pdf", [page])))
    assert lines[-2:] == ["우리 위원회에 회부되었음. ", "Ⅱ. 제안이유"]


def test_a_line_stretched_letter_by_letter_keeps_its_words(tmp_path):
    page = [*filler(), (60, 480, 9.3, "앞의 값이 유의하게 높았다는 것이다", 2.3)]
    assert lines_of(read_paper(print_pdf(tmp_path / "a.pdf", [page])))[-1] == "앞의 값이 유의하게 높았다는 것이다"


def test_cells_far_apart_are_parted_by_tabs(tmp_path):
    cells = [(60, 480, 10, "여아"), (200, 480, 10, "52"), (300, 480, 10, "48.6")]
    assert lines_of(read_paper(print_pdf(tmp_path / "a.pdf", [filler() + cells])))[-1] == "여아\t52\t48.6"


def test_text_printed_twice_for_boldness_is_read_once(tmp_path):
    page = [*filler(), (60, 480, 12, "Ⅰ. 서 론"), (60.3, 480, 12, "Ⅰ. 서 론")]
    assert lines_of(read_paper(print_pdf(tmp_path / "a.pdf", [page])))[-1] == "Ⅰ. 서 론"


def test_text_that_runs_up_the_margin_is_left_out(tmp_path):
    page = [*filler(), (570, 300, 8, "저작권은 학회에 있음", 0, 90)]
    assert lines_of(read_paper(print_pdf(tmp_path / "a.pdf", [page]))) == texts(filler())


def test_raised_footnote_marks_go_and_raised_exponents_stay():
    raised = "\x0e{}\x0f".format
    assert drop_footnote_marks("현행법" + raised("1") + raised(")") + "은") == "현행법은"
    assert drop_footnote_marks("R" + raised("2") + "=.31") == "R2=.31"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "broken: the file is empty"),
        (b"%PDF-1.4\nnothing", "broken: Failed to load document"),
        (b"PK\x03\x04 no archive", "broken: BadZipFile"),
        (b"Hello", "broken: neither PDF, HWPX nor HWP"),
    ],
)
def test_a_file_that_is_no_document_is_refused_by_name(tmp_path, content, reason):
    path = tmp_path / "paper.pdf"
    path.write_bytes(content)
    with pytest.raises(ReadError, match=reason):
        read_paper(path)


@pytest.mark.parametrize(
    ("name", "reason"),
    [("scanned", "scanned: 0 characters a page"), ("encrypted", "password"), ("truncated", "broken")],
)
def test_scanned_encrypted_and_truncated_papers_are_refused(name, reason):
    with pytest.raises(ReadError, match=reason):
        read_paper(SAMPLES / f"{name}.pdf")


@pytest.mark.parametrize("suffix", ["hwpx", "hwp"])
def test_hangul_documents_give_paragraphs_without_tables_notes_and_heads(tmp_path, suffix):
    document = HwpxDocument.new()
    document.page.set_header(text="학회지 제1권")
    long = "본 연구는 영아의 애착을 살펴보고자 하였다. " * 8
    paragraph = document.add_paragraph(long)
    document.notes.add_footnote("교신저자의 주소", paragraph=paragraph)
    table = document.add_table(2, 2)
    table.set_cell_text(0, 0, "칸의 글")
    document.add_table(1, 1).set_cell_text(0, 0, "틀 안의 초록이다.")
    document.save_to_path(str(tmp_path / f"a.{suffix}"))
    paper = read_paper(tmp_path / f"a.{suffix}")
    assert lines_of(paper) == [long, "틀 안의 초록이다."]
    assert (paper["boxes"], paper["extractor"]) == (None, "python-hwpx")


def test_the_program_answers_one_line_for_each_path(tmp_path):
    paths = [print_pdf(tmp_path / "good.pdf", [filler()]), tmp_path / "missing.pdf"]
    done = subprocess.run([*READER, "20", "1024", *paths], capture_output=True, text=True)
    good, missing = map(json.loads, done.stdout.splitlines())
    assert len(good["pages"]) == 1
    assert missing == {"reason": "unreadable: No such file or directory"}
