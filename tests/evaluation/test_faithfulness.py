import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parentcare.data.pairing import split_sentences
from parentcare.data.records import read_jsonl
from parentcare.evaluation.faithfulness import check_groups, check_summary, count_rate, groups_in, measure_checker
from parentcare.evaluation.quantities import match_key
from parentcare.manifest import REPOSITORY

TEXT = "만 4세 유아 120명을 조사하였다. 민감성은 애착과 정적 상관을 보였다(r=.31, p<.001). 비교집단은 3.0점이었다."
SUMMARY = "만 4세 유아 120명에서 민감성은 애착과 정적 상관(r=.31, p<.001)을 보였다."
# The check was written on these papers; the held-out summaries come from the others.
DEVELOPMENT_PAPERS = 60


def kinds(summary: str, text: str = TEXT) -> list[str]:
    return [finding.kind for finding in check_summary(summary, text)]


def development_pairs() -> list[tuple[str, str]]:
    """Return (the abstract's sentences on a section, the section) of the development papers."""
    pairs = []
    for paper in read_jsonl(REPOSITORY / "data" / "sample_papers.jsonl")[:DEVELOPMENT_PAPERS]:
        for name, text in paper["sections"].items():
            reported = [sentence["text"] for sentence in paper["abstract"] if sentence["section"] == name]
            if reported:
                pairs.append((" ".join(reported), text))
    return pairs


def test_a_faithful_summary_has_no_findings():
    assert check_summary(SUMMARY, TEXT) == []


@pytest.mark.parametrize(
    ("old", "new", "kind"),
    [
        ("만 4세", "만 3세", "age"),
        ("120명", "210명", "sample size"),
        (".31", ".13", "number"),
        ("p<.001", "p<.05", "p-value"),
        ("정적", "부적", "direction"),
        ("유아", "영아", "age group"),
        ("유아", "초등학생", "age group"),
    ],
)
def test_each_kind_of_error_is_named(old, new, kind):
    assert kinds(SUMMARY.replace(old, new)) == [kind]


def test_a_finding_says_what_and_why():
    (finding,) = check_summary(SUMMARY.replace("120명", "210명"), TEXT)
    assert finding == ("sample size", "210명", "the text has no such number")
    (finding,) = check_summary(
        "실험집단은 2.1점으로, 비교집단의 3.0점보다 높았다.", "실험집단은 2.1점, 비교집단은 3.0점이었다."
    )
    assert finding.kind == "direction" and finding.words.startswith("2.1점으로") and "the numbers" in finding.why
    (finding,) = check_summary("실험집단은 3.0점, 비교집단은 2.1점이었다.", "실험집단 2.1점, 비교집단 3.0점이었다.")
    assert finding == ("number", "3.0점, 2.1점", "the text has them the other way round")


@pytest.mark.parametrize(
    ("text", "groups"),
    [
        ("생후 14개월에 방문하였다", {"영아"}),
        ("기간은 10개월이고 방문은 세 번이다", set()),
        ("3개월 뒤와 3개월 후에 다시 물었다", set()),
        ("만 4세 6개월", {"유아"}),
        ("24~60개월 유아", {"유아"}),
        ("초등학교 1학년", {"초등", "아동"}),
        ("어린이집에 다니는 아이", set()),
        ("아기와 어머니", {"영아"}),
        ("아기 같은 아이", set()),
    ],
)
def test_groups_are_named(text, groups):
    assert groups_in(text) == groups


def test_a_text_that_names_no_group_refutes_only_school():
    assert check_groups("영아와 유아와 아동", "아이들은 놀았다") == []
    assert [finding.words for finding in check_groups("초등학생은 놀았다", "아이들은 놀았다")] == ["초등"]
    assert check_groups("아동의 놀이", "영아와 유아의 놀이") == [], "아동 may stand for both"
    assert check_groups("유아교육의 과제", "영아의 놀이") == []
    assert check_groups("어린이집 아동의 부모", "영아 자녀를 둔 부모") == [], "아동 may be anyone's child"
    assert [finding.words for finding in check_groups("유치원생 자녀", "아기와 어머니")] == ["유치원생"]


def test_wilson_interval_by_hand():
    # 9 of 10: (0.9 + 0.1921 ± 1.96 × 0.1359) / 1.3841
    rate = count_rate([True] * 9 + [False])
    assert (rate["count"], rate["of"], rate["rate"]) == (9, 10, 0.9)
    assert (rate["low"], rate["high"]) == pytest.approx((0.5958, 0.9821), abs=1e-4)
    assert [count_rate([False] * 20)[end] for end in ("low", "high")] == pytest.approx([0, 0.1611], abs=1e-4)


@given(st.lists(st.booleans(), min_size=1, max_size=60))
def test_wilson_interval_holds_the_rate(outcomes):
    rate = count_rate(outcomes)
    assert 0 <= rate["low"] <= rate["rate"] + 1e-12 and rate["rate"] - 1e-12 <= rate["high"] <= 1


def test_the_checker_is_measured_by_kind():
    cases = [
        {"text": TEXT, "summary": SUMMARY, "faithful": True, "kind": ""},
        {"text": TEXT, "summary": SUMMARY.replace("120명", "210명"), "faithful": False, "kind": "sample size"},
        {"text": TEXT, "summary": SUMMARY, "faithful": False, "kind": "causal verb"},
    ]
    measured = measure_checker(cases)
    assert measured["false_alarms"]["rate"] == 0 and measured["detection"]["rate"] == 0.5
    assert {kind: found["rate"] for kind, found in measured["detection_by_kind"].items()} == {
        "causal verb": 0,
        "sample size": 1,
    }
    with pytest.raises(ValueError, match="2 cases, 0 of them faithful"):
        measure_checker(cases[1:])


def test_a_text_and_its_own_sentences_raise_no_alarm():
    for _, text in development_pairs()[:40]:
        assert check_summary(text, text) == []
        assert check_summary(" ".join(split_sentences(match_key(text))[1::2]), text) == []


@given(st.text(alphabet="0123456789.,~-()만세명%pr=< 가나두높낮다고.", max_size=40))
def test_any_text_bears_itself_out(text):
    assert check_summary(text, text) == []


def test_false_alarms_are_few_and_errors_found_on_the_papers_it_was_written_on():
    cases = []
    for summary, text in development_pairs():
        cases.append({"text": text, "summary": summary, "faithful": True})
        for number in re.findall(r"\d{2,}(?!\d)", summary)[:1]:
            wrong = summary.replace(number, str(int(number) + 7), 1)
            cases.append({"text": text, "summary": wrong, "faithful": False, "kind": "number"})
        for old, new in (("높았", "낮았"), ("늘었", "줄었"), ("유의하지 않았", "유의하였"), ("많았", "적었")):
            if old in summary:
                wrong = summary.replace(old, new, 1)
                cases.append({"text": text, "summary": wrong, "faithful": False, "kind": "direction"})
    measured = measure_checker(cases)
    assert measured["false_alarms"]["rate"] <= 0.05
    assert measured["detection_by_kind"]["number"]["rate"] >= 0.95
    assert measured["detection_by_kind"]["direction"]["rate"] >= 0.6
