"""Directions that a summary turns round: more or less, related or not, rising or falling together.

A claim is the last word of direction in a clause, with its sign and the words around it. It is reversed where
the claims of the text that stand among the same words have the other sign, or where the numbers beside it do.
Where the summary says it in other words than the text, nothing is said.
"""

import math
import re
from typing import NamedTuple

from parentcare.evaluation.clauses import Reading, Sentence

# chosen on the sample papers 001-060: from this share of common words on two claims are about one matter, and
# what opposes outweighs what supports by this share
SAME_MATTER, REVERSED_MARGIN = 0.4, 0.4

_WORDS = {
    ("level", 1): (
        "높 높아지 오르 올라가 상승 향상 웃돌 앞서 앞지르 나아지 낫 뛰어나 많 많아지 늘 늘어나 증가 잦 잦아지 흔하 "
        "크 커지 강하 강해지 넓 벌어지 가파르 두드러지 활발 길 길어지 빠르 빨라지 앞당기"
    ),
    ("level", -1): (
        "낮 낮아지 내려가 떨어지 하락 저하 밑돌 뒤처지 뒤지 적 적어지 줄 줄어들 감소 드물 작 작아지 약하 약해지 "
        "좁 좁혀지 옅 옅어지 미미 사라지 짧 짧아지 느리 느려지 더디"
    ),
    ("relation", 1): "유의 다르 달라지 갈리 갈라지 예측 설명 매개 이어지 관련 연관 지지 뒷받침 들어맞 부합",
    ("relation", -1): "무관 비슷 엇비슷 같아지 동일 대등 마찬가지 맞먹 기각 빗나가",
    ("slope", 1): "정적",
    ("slope", -1): "부적",
}
WORDS = {word: claim for claim, words in _WORDS.items() for word in words.split()}
# '차이가 있다', '관련을 보이다': without such a verb the noun only names something
_RELATED = frozenset("관련 상관 차이 효과 영향 관계".split())
_HAVING = frozenset("있 없 보이 나타나".split())
_MARK_TAGS = ("VV", "VA", "NNG", "XR", "MAG")
_DENIALS = frozenset("않 못하 못 안 아니 없 말 어렵".split())
# what is asked, supposed or intended is not claimed
_OPEN = frozenset("는지 ᆫ지 은지 ᆯ지 을지 려고 ᆯ까 을까 도록 어야 아야 는가 ᆫ가 은가 리라 으리라".split())
_P = re.compile(r"p\s*([=<>])\s*(\d*\.\d+)")


class Claim(NamedTuple):
    """One direction: `kind` is level, relation or slope; `subject` are the words of its clause beside it."""

    kind: str
    sign: int
    word: str
    subject: set[str]
    text: str


def find_reversals(said: Reading, source: Reading) -> list[tuple[str, str]]:
    """Return (the summary's words, why) for each claim that the text reverses."""
    theirs = [({word for word, _ in sentence.words}, read_claims(sentence)) for sentence in source.sentences]
    found = []
    for claim in (claim for sentence in said.sentences for claim in read_claims(sentence) if claim.word != "p"):
        # a number names the sentences that speak of the same thing
        anchors = {word for word in claim.subject if word[0] == "#" and source.frequency[word]}
        votes = {1: (0.0, ""), -1: (0.0, "")}
        for others in (others for words, others in theirs if not anchors or anchors & words):
            # a sentence that has both directions is as near with the one as with the other
            near = max((likeness(claim.subject, other.subject, source) for other in others), default=0.0)
            for other in others:
                if other.kind == claim.kind:
                    votes[other.sign] = max(votes[other.sign], (near, other.word))
        (support, _), (opposed, word) = votes[claim.sign], votes[-claim.sign]
        if opposed - support > REVERSED_MARGIN * max(SAME_MATTER, support, opposed):
            found.append((claim.text, f"'{claim.word}', where the text has '{word}'"))
    return found


def likeness(wanted: set[str], found: set[str], source: Reading) -> float:
    """Return the share of the wanted words that are found, 0 to 1; the rarer in the text, the heavier."""
    # exact sums: a set has no order
    total = math.fsum(map(source.rarity, wanted))
    return math.fsum(map(source.rarity, wanted & found)) / total if total else 0.0


def read_claims(sentence: Sentence) -> list[Claim]:
    """Return the claims of a sentence: of each clause the last of a kind, and p-values beside no relation."""
    found = []
    for clause in sentence.clauses:
        if any(token.form in _OPEN and token.tag[0] == "E" for token in clause.tokens):
            continue
        body, subject = clause.tokens, clause.words - WORDS.keys() - _RELATED
        last = {kind: (i, sign) for i, kind, sign in find_marks(body)}
        for kind, (i, sign) in last.items():
            denied = count_denials(body[i + 1 :]) % 2 == 1
            # what is not higher need not be lower
            if kind == "relation" or not denied:
                found.append(Claim(kind, -sign if denied else sign, body[i].form, subject, clause.text))
        if "relation" not in last:
            small = [_is_small(*match.groups()) for match in _P.finditer(clause.text)]
            found += [Claim("relation", 1 if yes else -1, "p", subject, clause.text) for yes in small]
    return found


def find_marks(body: list) -> list[tuple[int, str, int]]:
    """Return (place, kind, sign) of each word of direction that is said of something."""
    found = []
    for i, token in enumerate(body):
        kind, sign = WORDS.get(token.form, ("", 0))
        if token.form in _HAVING and _RELATED & {t.form for t in body[max(0, i - 4) : i]}:
            found.append((i, "relation", -1 if token.form == "없" else 1))
        elif token.tag.startswith(_MARK_TAGS) and not (kind == "level" and _is_modifier(body[i + 1 : i + 3])):
            found += [(i, kind, sign)] if kind else []
    return found


def _is_modifier(following: list) -> bool:
    # '높은 점수', '높게': an attribute or an adverb, said of no subject
    forms, tags = [token.form for token in following], [token.tag for token in following]
    return forms[:1] == ["게"] or (tags[:1] == ["ETM"] and tags[1:] in (["NNG"], ["NNP"]))


def count_denials(tokens: list) -> int:
    """Return how many denials the tokens hold: 않다, 못하다, 없다, 아니다."""
    return sum(token.form in _DENIALS and token.tag[0] in "VM" for token in tokens)


def _is_small(sign: str, value: str) -> bool:
    return sign != ">" and (float(value) < 0.05 or (sign == "<" and float(value) == 0.05))


# --- comparisons that the numbers refute -------------------------------------------------------

_FROM = re.compile(r"\)?(?:에서|이던|로부터|보다)(?![는도만])")
_THAN = re.compile(r"\)?(?:[가-힣 ]{0,10}보다|[을를] )")
_NEAR = re.compile(r"\D{0,30}")


def find_refuted(sentence: Sentence) -> list[str]:
    """Return the words of a sentence that its own numbers refute.

    'A에서 B로 늘었다' and 'A보다 B가 많다' need A < B, 'A로, B보다 높다' and 'A로, B를 앞섰다' A > B.
    """
    found = []
    marks = [
        (clause.tokens[i], kind, sign) for clause in sentence.clauses for i, kind, sign in find_marks(clause.tokens)
    ]
    quantities = [quantity for quantity in sentence.quantities if quantity.statistic != "SD="]
    for place, second in enumerate(quantities):
        near = _NEAR.match(sentence.text, second.end)
        first = next((q for q in reversed(quantities[:place]) if q.sort == second.sort), None)
        levels = [(t, sign) for t, kind, sign in marks if kind == "level" and second.end <= t.start < near.end()]
        if not first or not levels:
            continue
        word, sign = levels[0]
        up_from = _FROM.match(sentence.text, first.end, second.start)
        more_than = _THAN.match(sentence.text, second.end, word.start)
        # a larger effect may be a negative one
        a, b = (abs(q.value) if q.statistic else q.value for q in (first, second))
        if bool(up_from) != bool(more_than) and ((b - a) if up_from else (a - b)) * sign < 0:
            found.append(sentence.text[first.start : word.end])
    return found
