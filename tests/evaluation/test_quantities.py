import pytest
from hypothesis import given
from hypothesis import strategies as st

from parentcare.evaluation.quantities import (
    find_counted,
    find_quantities,
    match_key,
    native_values,
    refuted_comparisons,
    unsupported_quantities,
)


def missing(summary: str, text: str) -> list[str]:
    return [quantity.words for quantity in unsupported_quantities(match_key(summary), match_key(text))]


def test_units_of_lists_and_ranges_come_from_the_last_number():
    found = find_quantities("만 3, 4, 5세와 8~13개월, 302명씩")
    assert [(q.value, q.unit) for q in found] == [
        (3, "years of age"),
        (4, "years of age"),
        (5, "years of age"),
        (8, "months"),
        (13, "months"),
        (302, "people"),
    ]


def test_statistics_keep_their_letter_and_sign():
    found = find_quantities(match_key("r=−.31, p<.001, F(1, 65)=6.58, 만 600명"))
    assert [(q.value, q.statistic) for q in found] == [
        (-0.31, "r="),
        (0.001, "p<"),
        (1, ""),
        (65, ""),
        (6.58, "F="),
        (600, ""),
    ]


@pytest.mark.parametrize(
    ("summary", "text"),
    [
        ("만 4세 유아", "4세반 유아"),
        ("3~5세", "만 3∼5세"),
        ("r=.31", "상관은 0.31이었다"),
        ("1,200명", "1200명을 모집"),
        ("2명", "교사 두 명이 남았다"),
        ("여덟 명", "8명이 답하였다"),
        ("열두 학급", "12개 학급"),
        ("36%", "36.0%였다"),
        ("5일", "닷새 동안"),
        ("약 37%가", "36.7%가"),
        ("40명 남짓이", "41명이"),
        ("p<.05", "p=.017"),
        ("５개월", "5개월"),
        ("부적 상관(.12)", "상관은 r=-.12였다"),
        ("512명", "남녀 512의 자료"),
    ],
)
def test_the_same_number_written_otherwise_is_supported(summary, text):
    assert missing(summary, text) == []


@pytest.mark.parametrize(
    ("summary", "text", "words"),
    [
        ("만 5세 유아 120명", "만 4세 유아 120명", "만 5세"),
        ("만 5세 유아", "유아 5명", "만 5세"),
        ("r=.31", "r=-.31", ".31"),
        ("r=.31", "r=.13", ".31"),
        ("p<.01", "p=.017", ".01"),
        ("p<.05", "p>.05", ".05"),
        ("r=.17", "p=.17", ".17"),
        ("여덟 명", "아홉 명", "여덟 명"),
        ("37%", "36.7%", "37%"),
        ("14개월", "14주", "14개월"),
        ("1,200명", "12,00명 200명", "1200명"),
    ],
)
def test_a_number_that_the_text_lacks_is_named(summary, text, words):
    assert missing(summary, text) == [words]


def test_words_that_only_begin_like_a_numeral_are_none():
    assert native_values("한국과 네덜란드의 두려움은 세로로 열매") == set()
    assert native_values("스물다섯 명과 열 명, 셋째 날") == {25, 10, 3}
    assert [(q.value, q.unit) for q in find_counted("스물다섯 명과 한 가정")] == [(25, "people"), (1, "people")]


@pytest.mark.parametrize(
    "summary",
    [
        "2.1개에서 만 5세 3.9개로 늘었다",
        "6.4분에서 넷째 주 2.1분으로 짧아졌다",
        "70.0%로, 표준 조건의 36.7%를 크게 앞섰다",
        "2.1점으로, 곧장 다가갔을 때의 3.0점보다 낮았다",
        "72.5%인 데 비해 어린이집에서는 44.0%에 머물렀다",
        "17명, 35명, 51명으로 늘었다",
        "말로 풀린 것(21권)보다 저절로 풀린 것(24권)이 약간 많았다",
        "놀이가 r=.35로 가장 높았고 협동은 r=.15였다",
        "12~30개월",
    ],
)
def test_a_comparison_is_refuted_only_by_its_own_numbers(summary):
    assert refuted_comparisons(match_key(summary)) == []
    opposites = [("늘었", "줄었"), ("짧아졌", "길어졌"), ("앞섰", "밑돌았"), ("낮았", "높았"), ("많았", "적었")]
    opposites += [("가장 높", "가장 낮"), ("12~30", "30~12"), ("72.5", "42.5")]
    reversed_ = next(summary.replace(a, b) for a, b in opposites if a in summary)
    assert len(refuted_comparisons(match_key(reversed_))) == 1


def test_numbers_of_different_kinds_are_not_compared():
    assert refuted_comparisons("만 4세 33.3%보다 높았다. 5명에서 3%로 늘었다.") == []


@given(st.text(alphabet="0123456789.,~-만세명%pr=< 가나두", max_size=40))
def test_a_text_supports_its_own_numbers(text):
    key = match_key(text)
    assert match_key(key) == key or "," in text
    digits = [q for q in unsupported_quantities(key, key) if q.words[-1:].isdigit() and not q.statistic]
    assert not digits
