import pytest

from parentcare.evaluation.clauses import find_swaps, read
from parentcare.evaluation.directions import find_reversals


def clauses(text: str) -> list[str]:
    return [clause.text.strip() for sentence in read(text).sentences for clause in sentence.clauses]


def test_a_bracket_stays_with_the_clause_before_it():
    text = "외현화 문제가 많았고(β=.13, p<.001), 어머니가 온정적이면 적었으나 여아는 같지 않았다."
    assert clauses(text) == [
        "외현화 문제가 많았고(β=.13, p<.001),",
        "어머니가 온정적이면 적었으나",
        "여아는 같지 않았다.",
    ]


def test_what_stands_in_brackets_ends_no_clause_and_is_no_claim_of_it():
    text = "점수는 높았으나(집단은 낮았고 연령은 낮았으며 점수 3.5점) 차이가 있었다."
    assert clauses(text) == ["점수는 높았으나(집단은 낮았고 연령은 낮았으며 점수 3.5점)", "차이가 있었다."]
    summary, paper = (
        "어휘력은 책읽기 집단이 더 높았다.",
        "어휘력은 책읽기 집단이 더 높았으나(읽지 않은 집단은 낮았고 3.5점) 같아졌다.",
    )
    assert find_reversals(read(summary), read(paper)) == []


def test_an_auxiliary_does_not_end_a_clause():
    assert len(clauses("차이는 점점 커져 갔고 이득은 남아 있지 않았다.")) == 2


@pytest.mark.parametrize(
    "text", ["가", "집은 72.5%(SD=3), 원은 44.0%(n=3(명))였다.", "(낮은 반면 높았다)", "낮았고) 컸다"]
)
def test_clauses_lose_no_text(text):
    assert "".join(clause.text for sentence in read(text).sentences for clause in sentence.clauses) == text


def test_a_text_is_analysed_once():
    assert read("아이가 웃었다.") is read("아이가 웃었다.")
    assert read("").sentences == []


@pytest.mark.parametrize(
    ("summary", "text"),
    [
        ("실험학급 133명과 비교학급 130명", "실험 7학급 133명과 비교 7학급 130명이 남았다."),
        ("서울은 .49, 하노이는 .56이었다.", "비율은 서울이 평균 .49, 하노이가 평균 .56이었다."),
        ("수학은 r=.38, 언어는 r=.12였다.", "언어와의 상관은 r=.12였다. 수학과의 상관은 r=.38이었다."),
    ],
)
def test_two_numbers_that_changed_places_are_found(summary, text):
    assert find_swaps(read(summary), read(text)) == []
    first, second = (q.words for q in read(summary).sentences[0].quantities)
    swapped = summary.replace(first, "\0").replace(second, first).replace("\0", second)
    assert find_swaps(read(swapped), read(text)) == [f"{second}, {first}"]


def test_numbers_that_nothing_tells_apart_are_let_be():
    assert find_swaps(read("점수는 3점과 5점이었다."), read("두 점수는 차례로 5점과 3점이었다.")) == []
    assert find_swaps(read("유아 5명을 3회 만났다."), read("유아 5명을 3회 만났다.")) == []
