"""A record is refused with the reason in words, or passes every check."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parentcare.data.quality import CHECKS, find_numbers, hangul_share, refuse_record, spaces_per_hangul

TEXT = (
    "부모의 민감성은 영아의 애착과 정적 상관을 보였다(r=.33, p=.002). 두 집단의 어머니 1,684명은 평균 6.80점을 얻었다. "
    "어머니의 학력과 영아의 성별을 통제하여도 이러한 양상은 그대로였으며, 세 시점에서 모두 같은 모양이 나타났다."
)
SUMMARY = "어머니 1684명의 민감성은 3개 시점 모두에서 애착과 관련되었다(r=0.33)."


def reason(text: str = TEXT, summary: str = SUMMARY) -> str | None:
    return refuse_record({"text": text, "summary": summary})[0]


def test_a_good_record_passes_every_check():
    assert refuse_record({"text": TEXT, "summary": SUMMARY}) == (None, list(CHECKS))


@pytest.mark.parametrize(
    ("changed", "found"),
    [
        ({"text": TEXT[:80]}, "text too short: 80 characters, fewer than 120"),
        ({"summary": "짧다."}, "summary too short: 3 characters, fewer than 20"),
        (
            {"text": "Attachment matters. " * 10 + "애착이다."},
            "text not Korean: Hangul is 2% of its letters, less than 50%",
        ),
        ({"text": TEXT.replace(" ", "") * 2}, "text without spaces: 0.00 per Hangul character, fewer than 0.12"),
        ({"text": TEXT.replace("이", "\ufffd")}, "unknown glyphs: 2 in 183 characters"),
        ({"summary": TEXT + " 그리고 더 있다."}, "summary longer than text"),
        ({"summary": TEXT[:60]}, "summary copied: the text begins with it"),
        ({"summary": SUMMARY + " 참여자는 87명이었다."}, "numbers that the text lacks: 87"),
        (
            {"text": "홍길동, 김철수 (2014). 애착의 연구, 가상학회지, 3, 1-9. " * 4},
            "citations only: 4 references and 0 sentences",
        ),
        ({"text": "영아 애착 부모 민감성 놀이 관찰 " * 10}, "no sentence"),
    ],
)
def test_faults_are_named(changed, found):
    assert reason(**changed).startswith(found)


def test_the_checks_passed_before_the_fault_are_kept():
    assert refuse_record({"text": TEXT.replace(" ", "") * 2, "summary": SUMMARY})[1] == ["length", "hangul"]


def test_numbers_are_compared_in_one_spelling():
    assert find_numbers("1,684명, .55, 0.55, 2.50, 2.5, 007, 3.0") == {"1684", "0.55", "2.5", "7", "3"}


@pytest.mark.parametrize(
    ("text", "known"), [("세 시점에서", True), ("세시점을", True), ("세상에서", False), ("우세하였다", False)]
)
def test_small_numbers_may_stand_in_words(text, known):
    body = TEXT.replace("세 시점에서", text)
    assert (reason(body) is None) is known


def test_ratios_of_nothing_are_zero():
    assert (spaces_per_hangul(""), hangul_share("123")) == (0.0, 0.0)


@given(st.text(max_size=200), st.text(max_size=80))
def test_any_text_gets_a_verdict(text, summary):
    found, passed = refuse_record({"text": text, "summary": summary})
    assert (found is None) == (passed == list(CHECKS))
