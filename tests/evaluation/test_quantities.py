import pytest
from hypothesis import given
from hypothesis import strategies as st

from parentcare.evaluation.quantities import find_quantities, find_unsupported, match_key


def missing(summary: str, text: str) -> list[str]:
    key = match_key(summary)
    return [q.words for q in find_unsupported(key, find_quantities(key), find_quantities(match_key(text)))]


def test_units_of_lists_and_ranges_come_from_the_last_number():
    found = find_quantities("만 3, 4, 5세와 8~13개월, 302명씩")
    assert [(q.value, q.unit) for q in found] == [
        (3, "years of age"),
        (4, "years of age"),
        (5, "years of age"),
        (8, "months"),
        (13, "months"),
        (302, "count"),
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


def test_words_that_only_begin_like_a_numeral_are_none():
    assert find_quantities("한국과 네덜란드의 두려움은 세로로 열매, 하였지만 두 집단의 세 시점") == []
    found = find_quantities("스물다섯 명과 한 가정, 사흘")
    assert [(q.value, q.unit) for q in found] == [(25, "count"), (1, "count"), (3, "days")]
    assert [q.words for q in find_quantities("하위 4분의 1과 29분의 간격")] == ["29분"]


@pytest.mark.parametrize(
    ("summary", "text"),
    [
        ("만 4세 유아", "4세반 유아"),
        ("3~5세", "만 3∼5세"),
        ("r=.31", "상관은 0.31이었다"),
        ("1,200명", "1200명을 모집"),
        ("3명", "교사 세 명이 남았다"),
        ("여덟 명", "8명이 답하였다"),
        ("열두 학급", "12개 학급"),
        ("36%", "36.0%였다"),
        ("5일", "닷새 동안"),
        ("2주 동안", "14일 동안"),
        ("약 37%가", "36.7%가"),
        ("40명 남짓이", "41명이"),
        ("p<.05", "p=.017"),
        ("５개월", "5개월"),
        ("부적 상관(.12)", "상관은 r=-.12였다"),
        ("512명", "남녀 512의 자료"),
        ("세 집단", "실험집단과 두 비교집단"),
    ],
)
def test_the_same_number_written_otherwise_is_supported(summary, text):
    assert missing(summary, text) == []


@pytest.mark.parametrize(
    ("summary", "text", "words"),
    [
        ("만 5세 유아 120명", "만 4세 유아 120명", "만 5세"),
        ("만 5세 유아", "유아 5명", "만 5세"),
        ("만 5세 유아", "다섯 곳의 유아", "만 5세"),
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


@given(st.text(alphabet="0123456789.,~-만세명%pr=< 가나두", max_size=40))
def test_a_text_supports_its_own_numbers(text):
    assert missing(text, text) == []
