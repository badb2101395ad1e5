"""The synthetic papers in data/papers/: what the script prints can be read back, and is the same each time."""

import io
import itertools
import sys

import pypdfium2
import pytest
from hwpx import HwpxDocument
from hypothesis import given
from hypothesis import strategies as st

from parentcare.data.records import read_jsonl
from parentcare.manifest import REPOSITORY

sys.path.insert(0, str(REPOSITORY / "benchmarks"))

import make_sample_papers as sample
from sample_layout import break_lines, char_em
from sample_texts import FULL_WIDTH_PAPERS, PUA_PAPERS

PAPERS = read_jsonl(sample.SOURCE)
MAX_BYTES = 15_000_000


def paper(number: int) -> dict:
    return PAPERS[number - 1]


def page_texts(content: bytes) -> list[str]:
    return [page.get_textpage().get_text_range() for page in pypdfium2.PdfDocument(content)]


def joined(lines: list[dict]) -> str:
    return "".join(line["text"] + " " * bool(line["space_after"]) for line in lines)


@pytest.mark.parametrize("number", [1, 3, 40])
def test_a_document_is_the_same_bytes_each_time(number):
    assert sample.make_document(paper(number)) == sample.make_document(paper(number))


@pytest.mark.parametrize("number", [1, 10, 65])
def test_shipped_documents_are_what_the_script_makes(number):
    shipped = sample.FOLDER / sample.document_name(paper(number))
    assert page_texts(shipped.read_bytes()) == page_texts(sample.make_document(paper(number)))


def test_all_documents_are_shipped_and_small():
    names = {sample.document_name(p) for p in PAPERS} | {"scanned.pdf", "encrypted.pdf", "truncated.pdf"}
    files = {path.name: path.stat().st_size for path in sample.FOLDER.iterdir() if not path.name.startswith(".")}
    assert len(names) == 123
    assert names <= files.keys()
    assert sum(files[name] for name in names) < MAX_BYTES


def test_a_known_sentence_can_be_read_across_its_line_breaks():
    text = "".join(page_texts(sample.make_document(paper(1)))).replace("\r\n", "")
    assert "민감성과 애착 사이의 관련은 여러 나라에서되풀이하여 확인되었지만 그 크기는 기대만큼 크지않았고" in text


@pytest.mark.parametrize("number", range(2, 120, 13))
def test_each_line_is_read_back_as_it_was_drawn(number):
    truth, pages = sample.layout_truth(paper(number)), page_texts(sample.make_document(paper(number)))
    found = [{line.strip() for line in page.split("\r\n")} for page in pages]
    for line in itertools.chain.from_iterable(p["lines"] for p in truth["paragraphs"]):
        assert line["text"] in found[line["page"]]
    assert set(truth["furniture"]) <= set().union(*found)


def test_the_truth_joins_to_the_source_text():
    for source in PAPERS:
        truth = sample.layout_truth(source)
        expected = [("초록", " ".join(sentence["text"] for sentence in source["abstract"]))]
        expected += [(name, part) for name, text in source["sections"].items() for part in text.split("\n")]
        assert [(p["section"], joined(p["lines"])) for p in truth["paragraphs"]] == expected
        assert [heading["section"] for heading in truth["headings"]] == list(source["sections"])


def test_most_lines_break_inside_words_and_leave_no_space():
    text = "".join(page_texts(sample.make_document(paper(1))))
    breaks = [line["space_after"] for p in sample.layout_truth(paper(1))["paragraphs"] for line in p["lines"][:-1]]
    assert " \r\n" not in text
    assert 0.3 < breaks.count(True) / len(breaks) < 0.7


def test_some_papers_break_at_spaces_and_leave_a_space():
    truths = [sample.layout_truth(p) for p in PAPERS]
    pdfs = [truth for truth in truths if truth["file"].endswith("pdf")]
    by_words = [
        t for t in pdfs if all(line["space_after"] is not False for p in t["paragraphs"] for line in p["lines"])
    ]
    assert len(by_words) == 15
    assert "".join(page_texts(sample.make_document(paper(3)))).count(" \r\n") > 50


def test_private_use_bullets_and_full_width_page_numbers_are_printed():
    for number, bullet in PUA_PAPERS.items():
        assert page_texts(sample.make_document(paper(number)))[0].count(bullet) >= 2
    for number in FULL_WIDTH_PAPERS:
        assert any("０" <= char <= "９" for char in page_texts(sample.make_document(paper(number)))[0])


def test_hwpx_papers_can_be_read():
    for number in sample.HWPX_PAPERS:
        text = HwpxDocument.open(io.BytesIO(sample.make_document(paper(number)))).text.plain()
        assert all(part in text for section in paper(number)["sections"].values() for part in section.split("\n"))


def test_unreadable_documents_are_unreadable():
    for name, message in (("encrypted", "Incorrect password"), ("truncated", "Data format")):
        with pytest.raises(pypdfium2.PdfiumError, match=message):
            pypdfium2.PdfDocument(sample.FOLDER / f"{name}.pdf")
    assert not any(page_texts((sample.FOLDER / "scanned.pdf").read_bytes()))


def test_a_break_keeps_statistics_and_brackets_whole():
    def lines(text: str, em: float, by_words: bool = False) -> list[tuple[str, bool | None]]:
        return break_lines(text, itertools.repeat(em), by_words)

    assert lines("어머니의 마음", 3) == [("어머니", False), ("의 마", False), ("음", None)]
    assert lines("어머니의 마음", 4, by_words=True) == [("어머니의", True), ("마음", None)]
    assert lines("값이 높았다(t(85)=2.43)", 7) == [("값이 높았다", False), ("(t(85)=2.43)", None)]
    assert lines("비율 5.4%(SD=3.6)로", 6) == [("비율 5.4%", False), ("(SD=3.6)로", None)]


@given(st.lists(st.text("가나한p=1.(“”)", min_size=1, max_size=12), min_size=1), st.floats(2, 20), st.booleans())
def test_broken_lines_join_to_the_text_and_fit(words, em, by_words):
    text = " ".join(words)
    lines = break_lines(text, itertools.repeat(em), by_words)
    assert "".join(line + " " * bool(space) for line, space in lines) == text
    assert all(sum(map(char_em, line)) < em + 1e-9 for line, _ in lines)


def test_a_character_without_a_glyph_is_named():
    with pytest.raises(ValueError, match=r"no glyph for '漢' \(U\+6F22\) in NanumGothic"):
        char_em("漢")


def test_no_two_sample_papers_share_more_than_two_percent_of_their_8_grams():
    import re

    from parentcare.data.records import read_jsonl
    from tests.conftest import REPOSITORY

    grams = []
    for paper in read_jsonl(REPOSITORY / "data" / "sample_papers.jsonl"):
        words = [paper["title"], *paper["sections"].values(), *(a["text"] for a in paper["abstract"])]
        flat = re.sub(r"\s", "", "".join(words))
        grams.append({flat[i : i + 8] for i in range(len(flat) - 7)})
    assert len(grams) >= 100
    shares = [len(a & b) / min(len(a), len(b)) for i, a in enumerate(grams) for b in grams[:i]]
    assert max(shares) <= 0.02


def test_every_number_of_a_shipped_summary_stands_in_its_text():
    from parentcare.data.quality import check_numbers
    from parentcare.data.records import read_jsonl
    from tests.conftest import REPOSITORY

    records = read_jsonl(REPOSITORY / "data" / "output.jsonl")
    assert len(records) >= 400 and all(record["synthetic"] is True for record in records)
    assert [record["id"] for record in records if check_numbers(record["text"], record["summary"])] == []
