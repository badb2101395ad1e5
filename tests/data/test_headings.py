"""Headings are found in their many spellings, and only where a paper can have them."""

import pytest

from parentcare.data.headings import find_headings, heading_name, heaviest_chain
from parentcare.data.layout import Line, place_lines


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("국 문 초 록", "초록"),
        ("< 요 약 >", "초록"),
        ("[초록]", "초록"),
        ("논문개요", "초록"),
        ("A b s t r a c t", "abstract"),
        ("영문초록", "abstract"),
        ("Ⅰ. 서 론", "서론"),
        ("I. 서론", "서론"),
        ("Ⅰ서론", "서론"),
        ("1. 서 론", "서론"),
        ("제1장 서론", "서론"),
        ("Ⅰ. 문제의 제기", "서론"),
        ("1. 연구의 필요성 및 목적", "서론"),
        ("들어가며", "서론"),
        ("서론 (Introduction)", "서론"),
        ("Introduction", "서론"),
        ("Ⅱ. 이론적 배경", "이론적 배경"),
        ("2. 선행연구 고찰", "이론적 배경"),
        ("Ⅱ. 이론적 배경 및 선행연구 검토", "이론적 배경"),
        ("III. 연구방법", "연구방법"),
        ("Ⅲ. 연구방법 및 절차", "연구방법"),
        ("Ⅱ. 연구대상 및 방법", "연구방법"),
        ("METHODS", "연구방법"),
        ("Ⅳ. 결과 및 해석", "결과"),
        ("Ⅳ. 연구결과 및 논의", "결과"),
        ("Results", "결과"),
        ("Ⅴ. 논의 및 결론", "논의"),
        ("Ⅴ. 결론 및 논의", "논의"),
        ("논의 및 제언", "논의"),
        ("고 찰", "논의"),
        ("Ⅵ. 결론 및 제언", "결론"),
        ("Ⅴ. 요약 및 결론", "결론"),
        ("나가며", "결론"),
        ("참 고 문 헌", "참고문헌"),
        ("References", "참고문헌"),
        ("부록 1", None),
        ("<부록>", "부록"),
    ],
)
def test_spellings_have_one_name(text, name):
    assert heading_name(text) == name


@pytest.mark.parametrize(
    "text",
    [
        "Ⅰ. 서론 ·················· 1",
        "서론에서 밝힌 바와 같다.",
        "연구결과를 요약하면 다음과 같다",
        "이러한 결과",
        "결과는",
        "방법론적 논의가 필요한 까닭",
        "3.5",
        "",
        "서론 3",
    ],
)
def test_other_lines_are_no_headings(text):
    assert heading_name(text) is None


def page(*texts: str) -> list[Line]:
    return [Line(text, 1, left=60, right=120, size=10, column_left=60, column_right=300) for text in texts]


def test_the_words_of_a_table_and_of_contents_are_passed_over():
    lines = page("Ⅰ. 서론 ······ 1", "Ⅰ. 서론", "글", "논의", "Ⅱ. 연구방법", "Ⅲ. 결과", "서론", "Ⅳ. 논의", "참고문헌")
    assert find_headings(lines) == {1: "서론", 4: "연구방법", 5: "결과", 7: "논의", 8: "참고문헌"}


def test_the_heaviest_chain_never_goes_back():
    candidates = [(0, "결과", 1.0), (1, "서론", 2.5), (2, "연구방법", 2.5), (3, "서론", 1.0), (4, "결과", 2.5)]
    assert heaviest_chain(candidates) == {1: "서론", 2: "연구방법", 4: "결과"}
    assert heaviest_chain([]) == {}


def test_main_headings_in_own_words_are_named_by_their_place():
    lines = page("Ⅰ. 서론", "Ⅱ. 아버지 양육참여의 의미", "Ⅲ. 연구방법", "Ⅳ. 놀이터에서 만난 아버지들", "Ⅴ. 결론")
    assert list(find_headings(lines).values()) == ["서론", "이론적 배경", "연구방법", "결과", "결론"]


def test_a_numbered_summary_closes_a_paper_and_one_inside_ends_nothing():
    lines = page("요약", "Ⅰ. 서론", "Ⅱ. 결과", "요약", "Ⅲ. 요약", "참고문헌")
    assert find_headings(lines) == {0: "초록", 1: "서론", 2: "결과", 4: "결론", 5: "참고문헌"}


def test_headings_behind_the_references_do_not_count():
    lines = page("Ⅰ. 서론", "Ⅱ. 결과", "Ⅲ. 논의", "참고문헌", "Abstract", "결론")
    assert find_headings(lines) == {0: "서론", 1: "결과", 2: "논의", 3: "참고문헌", 4: "abstract"}


def test_a_heading_in_the_middle_wins_over_the_same_word_at_the_edge():
    prose, rows = "본 연구는 유아의 또래 상호작용과 사회적 유능감의 관계를 살펴보고자 하였으며 이를 위하여", []
    for heading, left, after in (
        ("서론", 290, 8),
        ("결과", 60, 6),
        ("연구방법", 280, 8),
        ("결과", 290, 8),
        ("논의", 290, 5),
    ):
        rows.append((heading, left, 600 - left if left > 60 else 80))
        rows += [(prose, 60, 540)] * after
    boxes = [[left, 800 - 16 * i, right, 10.0] for i, (_, left, right) in enumerate(rows)]
    lines = place_lines({"pages": ["\n".join(text for text, _, _ in rows)], "boxes": [boxes]})
    assert list(find_headings(lines).values()) == ["서론", "연구방법", "결과", "논의"]
