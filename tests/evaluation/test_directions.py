import pytest

from parentcare.evaluation.clauses import read
from parentcare.evaluation.directions import find_refuted, find_reversals, read_claims
from parentcare.evaluation.quantities import match_key

TEXT = read(
    match_key(
        "어머니의 민감성은 영아의 애착 안정성과 정적 상관을 보였다(r=.33, p=.002). "
        "아버지의 놀이 시간은 안정성과 관련이 없었다(p=.47). "
        "읽어 주는 횟수가 많은 가정의 유아는 어휘 점수가 높았다. "
        "지역에 따른 보유량의 차이는 유의하지 않았고(p=.36), 처음 방문의 울음은 마지막 방문보다 길었다. "
        "융통성이 갈등을 누그러뜨리리라는 가설은 지지되지 않았다."
    )
)


def claims(text: str, kind: str) -> list[tuple[str, int]]:
    (sentence,) = read(match_key(text)).sentences
    return [(claim.word, claim.sign) for claim in read_claims(sentence) if claim.kind == kind]


def refuted(text: str) -> list[str]:
    (sentence,) = read(match_key(text)).sentences
    return find_refuted(sentence)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("점수가 높았다.", [("높", 1)]),
        ("점수가 높지 않았다.", []),
        ("점수가 높은지 물었다.", []),
        ("높은 점수를 살폈다.", []),
        ("점수는 적었다.", [("적", -1)]),
        ("낮게 평정되었다.", []),
        ("발화가 증가하였다.", [("증가", 1)]),
    ],
)
def test_levels_are_those_that_are_claimed(text, expected):
    assert claims(text, "level") == expected


@pytest.mark.parametrize(
    ("text", "sign"),
    [
        ("집단 간 차이가 있었다.", 1),
        ("집단 간 차이가 없었다.", -1),
        ("효과는 유의하였다.", 1),
        ("효과는 유의하지 않았다.", -1),
        ("조절 행동과는 유의한 관련을 얻지 못하였다.", -1),
        ("두 나라가 비슷하였다.", -1),
        ("두 비율은 다르다고 보기 어려웠다.", -1),
        ("수학은 이듬해의 언어를 예측하지 못하였다.", -1),
        ("집단의 점수는 2.1점과 3.0점이었다(p=.018).", 1),
        ("집단의 점수는 2.1점과 3.0점이었다(p=.18).", -1),
        ("가설은 지지되지 않았다.", -1),
        ("예상은 들어맞았다.", 1),
    ],
)
def test_a_relation_is_claimed_or_denied(text, sign):
    assert [found for _, found in claims(text, "relation")] == [sign]


@pytest.mark.parametrize(
    "text", ["관련은 크지 않았다.", "차이를 살펴보았다.", "관련이 있는지 물었다.", "격차가 절반으로 줄었다."]
)
def test_what_claims_no_relation_has_none(text):
    assert [sign for _, sign in claims(text, "relation") if sign > 0] == []


@pytest.mark.parametrize(
    ("text", "slopes"),
    [
        ("둘은 정적 상관을 보였다.", [1]),
        ("둘은 부적 상관을 보였다.", [-1]),
        ("둘은 관련이 없었다(r=.09).", []),
    ],
)
def test_a_slope_has_the_sign_of_its_word(text, slopes):
    assert [sign for _, sign in claims(text, "slope")] == slopes


@pytest.mark.parametrize(
    ("faithful", "reversed_"),
    [
        ("민감성은 애착 안정성과 정적 상관이 있었다.", "민감성은 애착 안정성과 부적 상관이 있었다."),
        ("아버지의 놀이 시간은 안정성과 무관하였다.", "아버지의 놀이 시간은 안정성을 예측하였다."),
        ("많이 읽어 주는 가정의 유아는 어휘 점수가 높았다.", "많이 읽어 주는 가정의 유아는 어휘 점수가 낮았다."),
        ("보유량의 지역 차이는 유의하지 않았다.", "보유량의 지역 차이는 유의하였다."),
        ("처음 방문의 울음은 마지막 방문보다 길었다.", "처음 방문의 울음은 마지막 방문보다 짧았다."),
        ("융통성이 갈등을 누그러뜨린다는 가설은 빗나갔다.", "융통성이 갈등을 누그러뜨린다는 가설은 들어맞았다."),
    ],
)
def test_a_reversal_is_found_and_the_truth_is_not(faithful, reversed_):
    assert find_reversals(read(faithful), TEXT) == []
    assert [words for words, _ in find_reversals(read(reversed_), TEXT)] == [reversed_]


def test_what_the_text_does_not_speak_of_is_not_reversed():
    assert find_reversals(read("교사의 경력은 소진과 관련이 없었다."), TEXT) == []
    assert find_reversals(read(""), TEXT) == find_reversals(read("울음은 짧았다."), read("")) == []


def test_a_sentence_with_both_directions_refutes_neither():
    text = read("민감한 어머니의 영아는 울음이 길었고 무딘 어머니의 영아는 울음이 짧았다.")
    assert find_reversals(read("민감한 어머니와 무딘 어머니의 영아는 울음이 길었다."), text) == []


@pytest.mark.parametrize(
    "summary",
    [
        "2.1개에서 만 5세 3.9개로 늘었다",
        "6.4분에서 넷째 주 2.1분으로 짧아졌다",
        "70.0%로, 표준 조건의 36.7%를 크게 앞섰다",
        "2.1점으로, 곧장 다가갔을 때의 3.0점보다 낮았다",
        "말로 풀린 것(21권)보다 저절로 풀린 것(24권)이 약간 많았다",
        "관련은 차의 유무(β=-.21)가 이동 시간(β=.07)보다 컸다",
    ],
)
def test_a_comparison_is_refuted_only_by_its_own_numbers(summary):
    assert refuted(summary) == []
    opposites = [("늘었", "줄었"), ("짧아졌", "길어졌"), ("앞섰", "밑돌았"), ("낮았", "높았"), ("많았", "적었")]
    opposites += [("컸", "작았")]
    reversed_ = next(summary.replace(a, b) for a, b in opposites if a in summary)
    assert len(refuted(reversed_)) == 1


def test_numbers_of_different_kinds_are_not_compared():
    assert refuted("만 4세 33.3%보다 높았다.") == refuted("5명에서 3%로 늘었다.") == []
    assert refuted("2.3(SD=0.7)에서 3.9(SD=0.6)로 올랐다.") == []
