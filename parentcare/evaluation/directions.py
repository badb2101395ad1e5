"""Directions that a summary reverses: more or less, related or not, rising or falling together.

A claim is the last word of direction in a clause, with its sign and the words around it. It is reversed where
the claims of the text that stand among the same words have the other sign. Where the summary says it in other
words than the text, nothing is said.
"""

import itertools
import re
from typing import NamedTuple

from parentcare.evaluation.clauses import Clause, Decays, Reading, Sentence, likeness, weigh_words

# chosen on the sample papers 001-060: a text that opposes by this much, and by so much more than it supports
LEAST_OPPOSED, REVERSED_MARGIN, SAME_MATTER = 0.4, 0.35, 0.4
# the weight of a word another clause away, behind the claim, and in the sentence before
CLAIM_DECAYS, BEFORE_WEIGHT = Decays(word=1, clause=0.25, after=0.3), 0.1
# how far another word of level, the same with a number shared, and a p-value alone speak for or against a claim
OTHER_LEVEL, OTHER_LEVEL_SAME_NUMBER, P_VALUE = 0.6, 0.8, 0.8

_LEVELS = {
    "height": (
        "높 높아지 오르 올라가 올리 상승 향상 웃돌 앞서 앞지르 나아지 낫 뛰어나 능가 치솟 후하 후",
        "낮 낮아지 낮추 내려가 떨어지 하락 저하 밑돌 뒤처지 뒤지 내려앉 박하 박",
    ),
    "amount": ("많 많아지 늘 늘어나 늘리 증가 잦 잦아지 불어나 흔하 흔 자주", "적 적어지 줄 줄어들 줄이 감소 드물 덜"),
    "size": (
        "크 커지 강하 강 강해지 넓 넓어지 벌어지 가파르 뚜렷 뚜렷하 심하 무겁 두드러지 활발하 활발",
        "작 작아지 약하 약 약해지 좁 좁혀지 얕 옅 옅어지 흐려지 가볍 희미하 사라지 느슨하 미미하",
    ),
    "length": ("길 길어지 오래", "짧 짧아지"),
    "speed": ("빠르 빨라지 앞당기 당기", "느리 느려지 더디 늦추 늦"),
}
_RELATIONS = (
    "유의 다르 달라지 갈리 갈라지 구별 예측 설명 매개 이어지 관련 연관 연결 좌우 맞물리",
    "무관 무관하 비슷 비슷하 엇비슷하 엇비슷 같아지 동일하 동일 대등하 대등 마찬가지 맞먹 제자리걸음",
)
_VERDICTS = "지지 뒷받침 받아들이 들어맞 부합 확인 맞아떨어지 입증", "빗나가 기각 어긋나"
_KINDS = _LEVELS | {"relation": _RELATIONS, "verdict": _VERDICTS, "slope": ("정적", "부적")}
WORDS = {
    word: (kind, sign)
    for kind, columns in _KINDS.items()
    for sign, column in zip((1, -1), columns, strict=True)
    for word in column.split()
}
# '차이가 있다', '관련을 보이다': without such a verb the noun only names something
_RELATED = frozenset(
    "관련 관련성 상관 차이 효과 영향 관계 연관 상호작용 격차 증감 변화 우열 증거 의미 이득 경로 이점 차 유의".split()
)
_HAVING = frozenset("있 보이 나타나 드러나 지니 관찰 미치 얻 나 찾 확인".split())
_EXPECTED = frozenset("가설 예상 기대 짐작 믿음 통념 경로 효과 전망 가정 증거 매개 조절".split())
# what grows or shrinks is then itself a difference or a relation
_GAPS = frozenset("격차 차이 간격 우열 거리 관련 상관 관계 설명력 영향 계수 효과 이득 우위 차 경향".split())
_NO_CONTENT = frozenset(WORDS) | frozenset(
    "관련 관련성 상관 차이 관계 유의 의미 가장 더 더욱 오히려 도리어 다소 조금 약간 않 못 집단 점수 평균".split()
)
# what is asked, supposed or intended is not claimed
_OPEN = frozenset("는지 ᆫ지 은지 ᆯ지 을지 려고 ᆯ까 을까 도록 어야 아야 는가 ᆫ가 은가 나 리라 으리라".split())
_P = re.compile(r"p\s*([=<>])\s*(\d*\.\d+)")
_SIGNED = re.compile(r"(?:[rβbB]\s*=\s*|상관[은이] )(-?)\d*\.\d")


class Claim(NamedTuple):
    """One direction: `kind` is a family of levels, relation, verdict or slope; `numbers` are its clause's own."""

    kind: str
    sign: int
    word: str
    context: dict
    numbers: frozenset
    denied: bool
    text: str
    place: int


def find_reversals(said: Reading, source: Reading) -> list[tuple[str, str]]:
    """Return (the summary's words, why) for each claim that the text reverses."""
    theirs = [
        (claim, {word[0] for word in sentence.words})
        for place, sentence in enumerate(source.sentences)
        for claim in read_claims(source, place)
    ]
    found = []
    for claim in (claim for place in range(len(said.sentences)) for claim in read_claims(said, place)):
        # a number names the sentences that speak of the same thing
        anchors = {number for number in claim.numbers if source.frequency[number]}
        rivals = [other for other, words in theirs if not anchors or anchors & words]
        support, opposed, word = weigh_claim(claim, rivals, source)
        if claim.word not in ("p", "r") and opposed > LEAST_OPPOSED and opposed - support > REVERSED_MARGIN:
            found.append((claim.text, f"'{claim.word}', where the text has '{word}'"))
    return found


def weigh_claim(claim: Claim, rivals: list[Claim], source: Reading) -> tuple[float, float, str]:
    """Return (support, opposition, the opposing word), each 0 to 1, of the nearest claims of the text."""
    # a sentence that has both directions is as near with the one as with the other
    best: dict[int, float] = {}
    for other in rivals:
        best[other.place] = max(best.get(other.place, 0), likeness(claim.context, other.context, source))
    near = [best[other.place] for other in rivals]
    full = max([SAME_MATTER, *near])
    votes = [(value / full * agreement(claim, other), other.word) for value, other in zip(near, rivals, strict=True)]
    against, word = min(votes, default=(0, ""))
    return max([0, *(vote for vote, _ in votes)]), -against, word


def agreement(claim: Claim, other: Claim) -> float:
    """Return how much `other` would speak for the claim if it stood among the same words, negative for against."""
    shared, same_sign = claim.numbers & other.numbers, claim.sign * other.sign
    if claim.kind in _LEVELS and other.kind in _LEVELS:
        weight = 1 if claim.kind == other.kind else OTHER_LEVEL_SAME_NUMBER if shared else OTHER_LEVEL
        # 'the days without are lower' says the same as 'the days with are higher'
        return 0 if same_sign < 0 and claim.denied != other.denied else weight * same_sign
    if claim.kind != other.kind or (other.word == "p" and claim.numbers and other.numbers and not shared):
        return 0
    return (P_VALUE if other.word == "p" else 1) * same_sign


# --- reading claims ----------------------------------------------------------------------------


def read_claims(reading: Reading, place: int) -> list[Claim]:
    """Return the claims of one sentence: of each clause the last level, the last relation, p-values and slopes."""
    sentence = reading.sentences[place]
    before = {word[0]: BEFORE_WEIGHT for word in reading.sentences[place - 1].words} if place else {}
    found = []
    for part, clause in enumerate(sentence.clauses):
        numbers = frozenset(word[0] for word in sentence.words if word[2] == part and word[0][0] == "#")
        for kind, sign, word, at, denied in _claims_of(clause):
            # a p-value belongs to the numbers just before it
            own = numbers if word != "p" else _numbers_before(sentence, at)
            words = before | weigh_words(sentence, at, CLAIM_DECAYS)
            words = {key: weight for key, weight in words.items() if key not in _NO_CONTENT}
            found.append(Claim(kind, sign, word, words, own, denied, clause.text, place))
    return found


def _claims_of(clause: Clause) -> list[tuple[str, int, str, int, bool]]:
    """Return (kind, sign, word, place, whether its condition is denied) of what one clause claims."""
    body = clause.tokens
    if any(token.form in _OPEN and token.tag[0] == "E" for token in body[-6:]):
        return []
    last = {("level" if kind in _LEVELS else kind): (i, kind, sign) for i, kind, sign in find_marks(body)}
    relation = max(filter(None, map(last.get, ("relation", "verdict"))), default=None)
    small = [(1 if _is_small(*m.groups()) else -1, clause.start + m.start()) for m in _P.finditer(clause.text)]
    signs = {match[1] for match in _SIGNED.finditer(clause.text)}
    found = [("relation", sign, "p", at, False) for sign, at in small if not relation]
    if relation:
        i, kind, sign = relation
        found.append((kind, sign * (-1) ** count_denials(body[i + 1 :]), body[i].form, body[i].start, False))
    if "level" in last and _is_claimed(body, last["level"][0]):
        i, kind, sign = last["level"]
        found.append((kind, sign, body[i].form, body[i].start, count_denials(body[:i]) % 2 == 1))
    if any(kind in ("relation", "verdict") and sign < 0 for kind, sign, *_ in found):
        return found
    if "slope" in last:
        i, kind, sign = last["slope"]
        found.append((kind, sign, body[i].form, body[i].start, False))
    elif len(signs) == 1 and body:
        found.append(("slope", -1 if signs == {"-"} else 1, "r", body[-1].start, False))
    return found


def find_marks(body: list) -> list[tuple[int, str, int]]:
    """Return (place, kind, sign) of each word of direction that is said of something."""
    found = []
    for i, token in enumerate(body):
        near = {t.form for t in body[max(0, i - 4) : i]}
        kind, sign = WORDS.get(token.form, ("", 0))
        if token.tag[0] not in "VNXM" or token.tag in ("NNB", "NNP", "MM") or token.tag[:2] in ("XS", "VX"):
            continue
        # 'r=.31의 상관을 보였다' only reports
        reported = "상관" in near and token.form != "없" and any(t.form in ("r", "β") for t in body)
        if (token.form in _HAVING or token.form == "없") and near & _RELATED and not reported:
            found.append((i, "relation", -1 if token.form == "없" else 1))
        elif kind in _LEVELS and _is_verb(body, i):
            of_gap = bool(_GAPS & {t.form for t in body[max(0, i - 3) : i]})
            # a gap that grows is there; one that shrinks may be there still
            if not of_gap or sign > 0 or token.form == "사라지":
                found.append((i, "relation" if of_gap else kind, sign))
        elif kind in ("relation", "slope") or (kind == "verdict" and _EXPECTED & {t.form for t in body}):
            found.append((i, kind, sign))
    return found


def _is_verb(body: list, i: int) -> bool:
    # with an object 적다 is 'to write'
    written = body[i].form == "적" and any(token.tag == "JKO" for token in body[:i])
    made = (
        body[i].tag[0] == "V"
        or body[i].form in ("오래", "덜", "자주")
        or body[min(len(body) - 1, i + 1)].tag[:2] == "XS"
    )
    return made and not written


def _is_claimed(body: list, i: int) -> bool:
    """Return whether the level at `i` is said of the clause's subject: not denied, no attribute, no adverb."""
    inner = ("지", "게", "어", "아", "고", "다", "다고")
    ends = (n for n in range(i + 1, len(body)) if body[n].tag in ("ETM", "EF", "EC") and body[n].form not in inner)
    end = next(ends, len(body) - 1)
    attribute = body[end].tag == "ETM" and body[min(len(body) - 1, end + 1)].tag in ("NNG", "NNP")
    adverb = body[min(end, i + 1)].form == "게"
    return not attribute and not adverb and count_denials(body[i + 1 : end + 1]) % 2 == 0


def count_denials(tokens: list) -> int:
    """Return how many denials the tokens hold: 않다, 못하다, 없다, 아니다, '-기 어렵다'."""
    words = ("않", "못하", "못", "안", "아니", "없", "말", "사라지")
    pairs = itertools.pairwise(token.form for token in tokens)
    hard = [pair for pair in pairs if pair == ("기", "어렵")]
    return len(hard) + sum(token.form in words and token.tag[0] in "VM" for token in tokens)


def _is_small(sign: str, value: str) -> bool:
    return sign != ">" and (float(value) < 0.05 or (sign == "<" and float(value) == 0.05))


def _numbers_before(sentence: Sentence, at: int) -> frozenset:
    return frozenset(key for key, start, _ in sentence.words if key[0] == "#" and at - 40 < start < at)
