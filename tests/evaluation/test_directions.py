import pytest

from parentcare.evaluation.clauses import read
from parentcare.evaluation.directions import agreement, find_reversals, read_claims
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


def claims(text: str, *kinds: str) -> list[tuple[str, int]]:
    return [(claim.word, claim.sign) for claim in read_claims(read(match_key(text)), 0) if claim.kind in kinds]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("점수가 높았다.", [("높", 1)]),
        ("점수가 높지 않았다.", []),
        ("점수가 높은지 물었다.", []),
        ("높은 점수를 살폈다.", []),
        ("답을 수첩에 적었다.", []),
        ("점수는 적었다.", [("적", -1)]),
        ("낮게 평정되었다.", []),
        ("발화가 증가하였다.", [("증가", 1)]),
        ("발화의 증가를 살폈다.", []),
    ],
)
def test_levels_are_those_that_are_claimed(text, expected):
    assert claims(text, "height", "amount") == expected


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
        ("격차는 더 벌어졌다.", 1),
        ("가설은 지지되지 않았다.", -1),
        ("예상은 들어맞았다.", 1),
    ],
)
def test_a_relation_is_claimed_or_denied(text, sign):
    assert [found for _, found in claims(text, "relation", "verdict")] == [sign]


@pytest.mark.parametrize(
    "text", ["관련은 크지 않았다.", "차이를 살펴보았다.", "관련이 있는지 물었다.", "격차가 절반으로 줄었다."]
)
def test_what_claims_no_relation_has_none(text):
    assert [sign for _, sign in claims(text, "relation", "verdict") if sign > 0] == []


@pytest.mark.parametrize(
    ("text", "slopes"),
    [
        ("둘은 정적 상관을 보였다.", [1]),
        ("둘은 부적 상관을 보였다.", [-1]),
        ("둘의 계수는 β=-.31이었다.", [-1]),
        ("둘은 관련이 없었다(r=.09).", []),
    ],
)
def test_a_slope_has_the_sign_of_its_word_or_number(text, slopes):
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


def test_agreement_is_that_of_signs():
    more, less = (read_claims(read(f"유아의 점수가 {word}."), 0)[0] for word in ("높았다", "낮았다"))
    fewer, related = (read_claims(read(text), 0)[0] for text in ("유아의 점수가 적었다.", "차이가 있었다."))
    assert agreement(more, more) == 1 == -agreement(more, less)
    assert -1 < agreement(more, fewer) < 0 == agreement(more, related)
    assert agreement(more, less._replace(denied=True)) == 0, "the other condition says the same"
