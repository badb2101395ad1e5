import pytest

from parentcare.evaluation.directions import agreement, find_reversals, read_claims, weigh_claim
from parentcare.evaluation.quantities import match_key

TEXT = match_key(
    "어머니의 민감성은 영아의 애착 안정성과 정적 상관을 보였다(r=.33, p=.002). "
    "아버지의 놀이 시간은 안정성과 관련이 없었다(p=.47). "
    "읽어 주는 횟수가 많은 가정의 유아는 어휘 점수가 높았다. "
    "지역에 따른 보유량의 차이는 유의하지 않았고(p=.36), 처음 방문의 울음은 마지막 방문보다 길었다."
)


def claims(text: str, kind: str) -> list[tuple[str, int]]:
    return [(claim.word, claim.sign) for claim in read_claims(match_key(text)).claims if claim.kind == kind]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("점수가 높았다.", [("높", 1)]),
        ("점수가 높지 않았다.", []),
        ("점수가 높은지 물었다.", []),
        ("답을 수첩에 적었다.", []),
        ("점수는 적었다.", [("적", -1)]),
        ("낮게 평정되었다.", []),
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
        ("수학은 이듬해의 언어를 예측하였다.", 1),
        ("수학은 이듬해의 언어를 예측하지 못하였다.", -1),
        ("집단의 점수는 2.1점과 3.0점이었다(p=.018).", 1),
        ("집단의 점수는 2.1점과 3.0점이었다(p=.18).", -1),
        ("둘의 상관은 r=.09로 0에 가까웠다.", -1),
        ("차이가 유의하였다(p=.47).", 0),
    ],
)
def test_a_relation_is_claimed_or_denied(text, sign):
    assert [found for _, found in claims(text, "relation")] == [sign]


@pytest.mark.parametrize(
    "text", ["관련은 크지 않았다.", "차이를 살펴보았다.", "관련이 있는지 물었다.", "비슷한 이득을 얻었다."]
)
def test_what_claims_no_relation_has_none(text):
    assert claims(text, "relation") == []


@pytest.mark.parametrize(
    ("text", "sign"),
    [
        ("둘은 정적 상관을 보였다.", 1),
        ("둘은 부적 상관을 보였다.", -1),
        ("상관은 -.12로 약하였다.", -1),
        ("불일치가 클수록 갈등이 높았다.", 1),
        ("불일치가 클수록 갈등이 낮았다.", -1),
        ("온정적일수록 문제가 적었다.", -1),
    ],
)
def test_what_rises_together_has_a_sign(text, sign):
    assert [found for _, found in claims(text, "slope")] == [sign]


@pytest.mark.parametrize(
    ("faithful", "reversed_"),
    [
        ("민감성은 애착 안정성과 정적 상관이 있었다.", "민감성은 애착 안정성과 부적 상관이 있었다."),
        ("아버지의 놀이 시간은 안정성과 무관하였다.", "아버지의 놀이 시간은 안정성을 예측하였다."),
        ("많이 읽어 주는 가정의 유아는 어휘 점수가 높았다.", "많이 읽어 주는 가정의 유아는 어휘 점수가 낮았다."),
        ("보유량의 지역 차이는 유의하지 않았다.", "보유량의 지역 차이는 유의하였다."),
        ("처음 방문의 울음은 마지막 방문보다 길었다.", "처음 방문의 울음은 마지막 방문보다 짧았다."),
    ],
)
def test_a_reversal_is_found_and_the_truth_is_not(faithful, reversed_):
    assert find_reversals(match_key(faithful), TEXT) == []
    assert find_reversals(match_key(reversed_), TEXT)


def test_the_same_comparison_from_the_other_side_is_no_reversal():
    assert find_reversals("마지막 방문의 울음은 처음 방문보다 짧았다.", TEXT) == []
    (claim,) = [c for c in read_claims("마지막 방문의 울음은 처음 방문보다 짧았다.").claims if c.kind == "level"]
    (other,) = [c for c in read_claims(TEXT).claims if c.word == "길"]
    assert agreement(claim, other) > 0 > agreement(claim._replace(standard=frozenset()), other)


def test_its_own_p_value_can_refute_a_summary():
    assert [why for _, why in find_reversals("놀이 집단의 점수 차이는 유의하였다(p=.47).", "다른 이야기이다.")] == [
        "its own p-value says otherwise"
    ]


def test_a_text_that_says_both_supports_either():
    text = "남아의 점수는 높았다. 여아의 점수는 낮았다."
    assert find_reversals("점수는 높았다.", text) == find_reversals("점수는 낮았다.", text) == []
    (claim,) = read_claims("점수는 높았다.").claims
    support, opposition, word = weigh_claim(claim, read_claims(text))
    assert support == pytest.approx(1.1 * opposition) and word == "낮"


def test_an_empty_text_supports_and_opposes_nothing():
    assert find_reversals("점수는 높았다.", "") == find_reversals("", TEXT) == []
