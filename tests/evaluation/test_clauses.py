import pytest

from parentcare.data.keywords import load_kiwi
from parentcare.evaluation.clauses import (
    context_words,
    focus,
    is_denied,
    is_supposed,
    outside_brackets,
    predicate,
    split_clauses,
    standard_of,
)


def tokens(text: str) -> list:
    return load_kiwi().tokenize(text)


def text_of(text: str, part: list) -> str:
    return text[part[0].start : part[-1].end]


def find(part: list, form: str) -> int:
    return next(place for place, token in enumerate(part) if token.form == form)


def test_a_bracket_stays_with_the_clause_before_it():
    text = "외현화 문제가 많았고(β=.13, p<.001), 어머니가 온정적이면 적었으나 여아는 같지 않았다."
    assert [text_of(text, part) for part in split_clauses(tokens(text))] == [
        "외현화 문제가 많았고(β=.13, p<.001),",
        "어머니가 온정적이면 적었으나",
        "여아는 같지 않았다.",
    ]


def test_an_auxiliary_does_not_end_a_clause():
    text = "차이는 점점 커져 갔고 이득은 남아 있지 않았다."
    assert len(split_clauses(tokens(text))) == 2


def test_no_token_is_lost():
    for text in ("", "가", "집은 72.5%(SD=3), 원은 44.0%(n=3(명))였다.", "낮은 반면 높았다)"):
        parsed = tokens(text)
        assert [token for part in split_clauses(parsed) for token in part] == list(parsed)


def test_what_stands_in_brackets_is_left_out():
    assert not {"p", "SD"} & {token.form for token in outside_brackets(tokens("점수(SD=3, p=.02)는 높았다"))}


@pytest.mark.parametrize(
    ("text", "form", "denied"),
    [
        ("효과는 유의하였다.", "유의", False),
        ("효과는 유의하지 않았다.", "유의", True),
        ("효과는 유의하지는 못하였다.", "유의", True),
        ("관련이 없었다.", "관련", True),
        ("관련이 없지 않았다.", "관련", False),
        ("차이가 사라졌다.", "차이", True),
    ],
)
def test_denials_are_counted_to_the_end_of_the_predicate(text, form, denied):
    body = tokens(text)
    assert is_denied(predicate(body, find(body, form))) is denied


@pytest.mark.parametrize(
    ("text", "form", "supposed"),
    [
        ("갈등이 많은지 물었다.", "많", True),
        ("갈등이 많으리라는 예상은 빗나갔다.", "많", True),
        ("갈등이 많을까?", "많", True),
        ("갈등이 많았다.", "많", False),
        ("갈등이 많은 반은 셋이다.", "많", False),
    ],
)
def test_what_is_asked_or_supposed_is_not_claimed(text, form, supposed):
    body = tokens(text)
    place = find(body, form)
    assert is_supposed(body, place, predicate(body, place)) is supposed


def test_the_standard_is_the_phrase_before_than():
    assert {form for form, _ in standard_of(tokens("느린 접근은 빠른 접근의 점수보다 낮았다"))} >= {"빠르", "점수"}
    assert "느리" not in {form for form, _ in standard_of(tokens("느린 접근은 빠른 접근의 점수보다 낮았다"))}


def test_context_fades_with_the_clause_and_the_distance():
    parts = split_clauses(tokens("민감성은 15점 높았으나 애착은 낮았고 기질은 그대로였다."))
    words = context_words(parts, 1, frozenset({"낮"}))
    assert words[("애착", "NNG")] == 1 and words[("민감", "NNG")] < words[("애착", "NNG")]
    assert ("15", "SN") not in words, "a number belongs to its own clause"
    assert not any(form == "낮" for form, _ in words)
    near = focus({("가", "NNG"): 1.0}, parts[1], parts[1][0])
    assert near == {("가", "NNG"): 1.0}, "words of other clauses keep their weight"
