"""What a journal prints around the text goes; the text stays."""

import unicodedata

import pytest

from parentcare.data.cleaning import CAPTION, NOTICE, PAGE_NUMBER, clean_lines, drop_tables, normalise_line
from parentcare.data.readers import read_paper
from tests.data.printing import filler, print_pdf, texts


def kept_texts(tmp_path, pages: list[list[tuple]]) -> list[str]:
    lines = clean_lines(read_paper(print_pdf(tmp_path / "a.pdf", pages)))
    return [lines[i].text.strip() for i in drop_tables(lines, set())]


def test_running_heads_with_changing_numbers_and_page_numbers_go(tmp_path):
    bodies = [filler(), filler(first=20)]
    pages = [
        [(60, 790, 8, f"한국견본학회지 제3권 제{n}호  {n + 23}"), *body, (290, 40, 8, f"- {n + 23} -")]
        for n, body in enumerate(bodies)
    ]
    assert kept_texts(tmp_path, pages) == texts(*bodies)


def test_a_head_that_stands_once_apart_and_small_goes(tmp_path):
    first, second = filler(), filler(first=20)
    pages = [first, [(300, 790, 8, "어머니의 말과 애착"), *second]]
    assert kept_texts(tmp_path, pages) == texts(first, second)


def test_a_last_line_apart_at_the_head_of_a_page_stays(tmp_path):
    pages = [filler(), [(60, 790, 10, "이에 학회지에 실린 논문을 살펴보았다."), *filler(12, 740, 20)]]
    assert "이에 학회지에 실린 논문을 살펴보았다." in kept_texts(tmp_path, pages)


def test_footnotes_go_with_their_following_lines_and_small_quotes_stay(tmp_path):
    quote = [(80, 500 - 14 * i, 9, "아이가 울면 저는 먼저 안아 주고 이름을 불러 주었어요.") for i in range(3)]
    note = [(60, 90, 8, "1) 이 척도는 원저자의 허락을 받아 우리말로"), (60, 80, 8, "옮긴 것으로, 그 밖의 문항은 뺐다.")]
    body = filler() + quote + filler(3, 440, 20)
    assert kept_texts(tmp_path, [body + note]) == texts(body)


@pytest.mark.parametrize(
    "text",
    [
        "교신저자: 홍길동(hong@example.com)",
        "* 교신저자 : 홍길동",
        "논문접수: 2016. 4. 26. / 심사: 2016. 9. 8.",
        "접수일 2016.04.26 | 수정일 2016.05.01 | 게재확정일 2016.06.01",
        "Corresponding Author: Hong, Gildong",
        "DOI: 10.0000/sample.2016.1.1",
        "https://doi.org/10.0000/sample",
        "제1저자 홍길동(가상대학교)",
    ],
)
def test_notices_are_recognised(text):
    assert NOTICE.match(text)


@pytest.mark.parametrize(
    "text", ["심사는 연구자 두 명이 하였다.", "접수된 설문지는 모두 320부였다.", "주 저자의 관점에서 보면 다르다."]
)
def test_sentences_are_no_notices(text):
    assert not NOTICE.match(text)


@pytest.mark.parametrize(
    "text", ["<표 1> 연구대상의 특성", "표 1. 기술통계 (N=94)", "〈그림 2〉 연구모형", "Table 3", "[표 2-1] 상관"]
)
def test_captions_are_recognised(text):
    assert CAPTION.match(text)


@pytest.mark.parametrize(
    "text", ["<표 1>에 제시한 바와 같이", "표 1과 같다.", "표본은 320명이다.", "그림책을 읽어 주었다."]
)
def test_sentences_that_name_a_table_are_no_captions(text):
    assert not CAPTION.match(text)


@pytest.mark.parametrize("text", ["- 12 -", "12", "12 / 20", "iv", "― 3 ―", "|7|"])
def test_page_numbers_are_recognised(text):
    assert PAGE_NUMBER.match(text)


def test_a_table_inside_a_paragraph_goes_and_the_paragraph_stays(tmp_path):
    table = [
        (60, 480, 9, "<표 1> 주요 변인의 기술통계 (N=94)"),
        *[(x, 460, 9, text) for x, text in ((60, "구분"), (200, "평균"), (300, "표준편차"))],
        *[(x, 446, 9, text) for x, text in ((60, "애착"), (200, "3.21"), (300, "0.61"))],
        (60, 432, 8, "*p<.05. **p<.01."),
    ]
    before, after = filler(), filler(5, 410, 20)
    assert kept_texts(tmp_path, [before + table + after]) == texts(before, after)


def test_text_becomes_nfc_with_plain_spaces_and_no_controls():
    decomposed = unicodedata.normalize("NFD", "애착")
    assert normalise_line(f"{decomposed}\u00a0\u200b유형\x07") == "애착 유형"
    assert normalise_line("만 3～5세 ① Ⅱ") == "만 3～5세 ① Ⅱ"


def test_symbol_glyphs_are_mapped_bullets_dropped_and_unknown_ones_flagged():
    assert normalise_line("\uf062=.31, \uf063²=4.1") == "β=.31, χ²=4.1"
    assert normalise_line("\uf06c 첫째") == "첫째"
    assert normalise_line("가\uf53a나") == "가�나"
