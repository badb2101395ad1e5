"""Directions that a summary reverses: more or less, related or not, rising or falling together.

A claim is a word of direction with its sign and the words around it. Each claim of the summary is laid
beside the clauses of the text that are most like its own; it is reversed where the nearest claims there
have the other sign and none nearly as near has its own. Nothing here knows what a paper means: a reversal
is found where both speak of the same thing in similar words, and missed where the summary paraphrases.
"""

import collections
import functools
import itertools
import math
import re
from typing import NamedTuple

from parentcare.data.keywords import load_kiwi
from parentcare.evaluation.clauses import (
    context_words,
    focus,
    is_content,
    is_denied,
    is_supposed,
    morpheme,
    outside_brackets,
    predicate,
    split_clauses,
    standard_of,
)
from parentcare.model.prompts import SENTENCE_END

# chosen on the sample papers 001-060: under 2 % false alarms there, also against sections of other matter
REVERSED_MARGIN = 0.25
# a text clause this much like the summary's speaks of the same thing; one less like it counts for less
SAME_MATTER = 0.3
NEARNESS_POWER = 2
NUMBER_WEIGHT = 4

_LEVEL_WORDS = {
    "height": (
        "높 높아지 오르 올라가 올리 상승 향상 웃돌 앞서 나아지 낫 뛰어나 능가",
        "낮 낮아지 내려가 떨어지 하락 저하 밑돌 뒤처지 낮추 내려앉 그치 머무르 머물",
    ),
    "amount": ("많 많아지 늘 늘어나 늘리 증가 잦 불어나 흔하", "적 적어지 줄 줄어들 줄이 감소 드물 덜"),
    "size": ("크 커지 강하 넓 넓어지 벌어지 가파르", "작 작아지 약하 약해지 좁 좁혀지 얕 옅 흐려지"),
    "length": ("길 길어지 오래", "짧 짧아지"),
    "speed": ("빠르 빨라지", "느리 느려지"),
}
LEVELS = {
    word: (family, sign)
    for family, words in _LEVEL_WORDS.items()
    for sign, column in zip((1, -1), words, strict=True)
    for word in column.split()
}
_LEVEL_NOUNS = frozenset("증가 감소 상승 하락 향상 저하 능가 오래 덜".split())
# how far a word of one family speaks for one of another: 'amount' and 'height' are often exchanged
_KIN = {("amount", "height"): 0.7, ("amount", "length"): 0.5, ("amount", "size"): 0.5, ("height", "size"): 0.6}
SLOPES = {"정적": 1, "부적": -1}
RELATION_NOUNS = frozenset("관련 관련성 상관 차이 효과 영향 관계 연관 상호작용 격차 의미 유의".split())
RELATION_VERBS = frozenset("예측 다르 달라지 갈리 이어지 연결 좌우 매개 구별 가르 관련 연관".split())
SAMENESS = frozenset("무관 비슷 엇비슷 동일 대등 어슷비슷 마찬가지 맞먹 그대로".split())
# '차이가 있다', '관련을 보이다': without such a verb the noun only names something
_HAVING = frozenset(
    "있 없 보이 나타나 나 확인 발견 찾 얻 드러나 지니 관찰 이르 보고 감지 미치 유의 뚜렷 벗어나 사라지 바뀌".split()
)
_GAPS = frozenset("격차 차이 간격 거리".split())
# a text says so, a summary that says so claims nothing that could be checked
_TEXT_ONLY = frozenset("그대로 그치 머무르 머물 statistic".split())
_NO_CONTENT = (
    frozenset(LEVELS)
    | (RELATION_NOUNS - {"상호작용", "효과", "격차"})
    | RELATION_VERBS
    | SAMENESS
    | frozenset(SLOPES)
    | _HAVING
    | frozenset("않 못하 하 되 더 보다 것".split())
)
_AS_MORE = frozenset("ᆯ수록 을수록".split())
_P_VALUE = re.compile(r"p\s*([=<>])\s*(\d*\.\d+)")
_SIGNED = re.compile(r"(?:[rβbB]\s*=\s*|상관[은이] )(-?)\d*\.\d")
_AS_GOOD_AS_NONE = re.compile(r"0에 가[깝까]|없다시피|우연의 범위")


class Claim(NamedTuple):
    """One direction: `kind` is level, relation or slope; `context` has morpheme → weight."""

    kind: str
    family: str
    sign: int
    word: str
    clause: int
    context: dict
    subject: frozenset
    standard: frozenset


class Clause(NamedTuple):
    """One clause: its text and place, its tokens, those outside brackets, its words with weights."""

    text: str
    start: int
    tokens: list
    body: list
    words: dict


class Reading(NamedTuple):
    """What a text claims: clauses, claims, and in how many sentences each morpheme stands."""

    clauses: list[Clause]
    claims: list[Claim]
    frequency: collections.Counter
    sentences: int


def find_reversals(summary: str, text: str) -> list[tuple[str, str]]:
    """Return (the summary's words, why) for each claim that the text, or its own p-value, reverses.

    Both are match keys.
    """
    said, source = read_claims(summary), read_claims(text)
    found = []
    for claim in said.claims:
        words = said.clauses[claim.clause].text.strip()
        if claim.sign == 0:
            found.append((words, "its own p-value says otherwise"))
        elif claim.word not in _TEXT_ONLY:
            support, opposition, word = weigh_claim(claim, source)
            if opposition - support > REVERSED_MARGIN:
                found.append((words, f"'{claim.word}', where the text has '{word}'"))
    return list(dict.fromkeys(found))


# --- weighing ----------------------------------------------------------------------------------


def weigh_claim(claim: Claim, source: Reading) -> tuple[float, float, str]:
    """Return (support, opposition, the opposing word): each is the nearest clause's weight, 0 to 1.1."""
    nearness = [likeness(claim.context, clause.words, source) for clause in source.clauses]
    best, support, opposition, word = max(nearness, default=0), 0.0, 0.0, ""
    if best == 0:
        return support, opposition, word
    by_clause = collections.defaultdict(list)
    for other in source.claims:
        if other.kind == claim.kind:
            by_clause[other.clause].append((agreement(claim, other), other.word))
    for place, agreements in by_clause.items():
        near = (nearness[place] / best) ** NEARNESS_POWER * min(1, best / SAME_MATTER) ** 2
        for_it, against = max(agreements)[0], min(agreements)
        # a clause that says both speaks for the claim
        if for_it >= -against[0]:
            support = max(support, near * for_it)
        elif near * -against[0] > opposition:
            opposition, word = near * -against[0], against[1]
    return support, opposition, word


def agreement(claim: Claim, other: Claim) -> float:
    """Return how much `other` speaks for the claim, negative where it speaks against it."""
    if claim.kind == "relation":
        weight = 0.8 if other.word == "p" else 1.0
    elif claim.word == other.word:
        weight = 1.1
    else:
        weight = 1.0 if claim.family == other.family else _KIN.get(tuple(sorted((claim.family, other.family))), 0.15)
    # 'A more than B' is 'B less than A'
    exchanged = (
        claim.kind == "level"
        and (claim.standard - other.standard) & other.subject
        and (other.standard - claim.standard) & claim.subject
    )
    return weight * claim.sign * other.sign * (-1 if exchanged else 1)


def likeness(context: dict, words: dict, source: Reading) -> float:
    """Return the share of the context, rare morphemes counting more, that the words have, 0 to 1."""
    found = total = 0.0
    for word, weight in context.items():
        rarity = math.log((source.sentences + 1) / (source.frequency[word] + 0.5))
        rarity *= NUMBER_WEIGHT if word[1] == "SN" else 1
        total += weight * rarity
        found += weight * rarity * words.get(word, 0)
    return found / total if total else 0.0


# --- reading -----------------------------------------------------------------------------------


@functools.lru_cache(maxsize=2048)
def read_claims(text: str) -> Reading:
    """Return the claims of a match key; each text is analysed once."""
    ends = [0, *(match.end() for match in SENTENCE_END.finditer(text)), len(text)]
    spans = [(a, b) for a, b in itertools.pairwise(ends) if text[a:b].strip()]
    clauses: list[Clause] = []
    frequency: collections.Counter = collections.Counter()
    for (start, _), tokens in zip(spans, load_kiwi().tokenize([text[a:b] for a, b in spans]), strict=True):
        frequency.update({morpheme(token) for token in tokens if is_content(token)})
        parts = split_clauses(tokens)
        for place, part in enumerate(parts):
            at, end = start + part[0].start, start + part[-1].end
            words = context_words(parts, place, _NO_CONTENT)
            clauses.append(Clause(text[at:end], at, part, outside_brackets(part), words))
    claims = [claim for place, clause in enumerate(clauses) for claim in claims_of(clause, place)]
    return Reading(clauses, claims, frequency, len(spans))


def claims_of(clause: Clause, place: int) -> list[Claim]:
    """Return the claims of one clause: its levels, at most one relation, and its slopes."""
    standard = standard_of(clause.body)
    subject = frozenset(word for word, weight in clause.words.items() if weight == 1) - standard

    def claim(kind: str, family: str, sign: int, word: str, token) -> Claim:
        context = focus(clause.words, clause.tokens, token) if kind == "level" else clause.words
        return Claim(kind, family, sign, word, place, context, subject, standard)

    first, levels = clause.tokens[0], levels_of(clause.body)
    relation = relation_of(clause)
    return [
        *(claim("level", family, sign, token.form, token) for token, family, sign in levels),
        *([claim("relation", "relation", *relation, first)] if relation else []),
        *(claim("slope", "slope", sign, word, first) for sign, word in slopes_of(clause, levels)),
    ]


def slopes_of(clause: Clause, levels: list[tuple]) -> list[tuple[int, str]]:
    """Return (sign, word) of what rises or falls together: 정적, r=-.31, '높을수록 낮다'."""
    slopes = [(SLOPES[token.form], token.form) for token in clause.body if token.form in SLOPES]
    signs = {match[1] for match in _SIGNED.finditer(clause.text)}
    if len(signs) == 1:
        slopes.append((-1 if signs == {"-"} else 1, "statistic"))
    turn = next((token for token in clause.body if token.form in _AS_MORE), None)
    if turn is not None:
        before = [sign for token, _, sign in levels if token.start < turn.start]
        after = [sign for token, _, sign in levels if token.start > turn.start]
        if after:
            slopes.append((([1, *before])[-1] * after[0], turn.form))
    return slopes


def levels_of(body: list) -> list[tuple]:
    """Return (token, family, sign) of the words of more and less that are claimed, not denied."""
    found = []
    for place, token in enumerate(body):
        # 길, 낮, 줄 and 늘 are other words where they are no verbs; with an object 적다 is 'to write'
        word = token.tag[0] == "V" or token.form in _LEVEL_NOUNS
        if token.form not in LEVELS or not word or (token.form == "적" and any(t.tag == "JKO" for t in body[:place])):
            continue
        rest = predicate(body, place)
        adverbial = len(rest) > 1 and (rest[1].form, rest[1].tag) == ("게", "EC")
        if token.tag.startswith("VX") or adverbial or is_denied(rest) or is_supposed(body, place, rest):
            continue
        family, sign = LEVELS[token.form]
        before = {earlier.form for earlier in body[max(0, place - 4) : place]}
        found.append((token, "gap" if before & _GAPS else family, sign))
    return found


def relation_of(clause: Clause) -> tuple[int, str] | None:
    """Return (1, word) where the clause claims a relation or difference, (−1, word) where it denies one.

    A p-value speaks where no word does; (0, 'p') where word and p-value disagree.
    """
    p_signs = {1 if _is_small(*found) else -1 for found in _P_VALUE.findall(clause.text)}
    words = [(-1, "0", "verb")] if _AS_GOOD_AS_NONE.search(clause.text) else relation_words(clause.body)
    if not words:
        return (p_signs.pop(), "p") if len(p_signs) == 1 else None
    nouns = [word for word in words if word[2] == "noun"]
    # '유의한 관련을 얻지 못하다': what is denied is the noun's
    sign, word, _ = nouns[-1] if nouns and len({w[0] for w in words}) > 1 else words[-1]
    return (0, "p") if p_signs == {-sign} else (sign, word)


def _is_small(sign: str, value: str) -> bool:
    return sign != ">" and (float(value) < 0.05 or (sign == "<" and float(value) == 0.05))


def relation_words(body: list) -> list[tuple[int, str, str]]:
    """Return (sign, word, 'same' | 'verb' | 'noun') of the clause's words of relation."""
    found, denied_at_end = [], is_denied(body[-5:])
    for place, token in enumerate(body):
        rest = predicate(body, place)
        if is_supposed(body, place, rest):
            continue
        denied, attributive = is_denied(rest), rest[-1].tag == "ETM"
        after = {later.form for later in rest[1:]}
        if token.form in SAMENESS and token.tag[0] in "VXMN" and not attributive:
            found.append((1 if denied else -1, token.form, "same"))
        elif is_relation_verb(token, rest) and not attributive:
            found.append((-1 if denied else 1, token.form, "verb"))
        elif token.form == "유의" or (token.form in RELATION_NOUNS and after & _HAVING):
            denied = denied or (denied_at_end and token.form != "유의" and attributive)
            # 'not large' is not 'none'
            if not (denied and after & {"크", "뚜렷", "분명"} and token.form != "유의"):
                found.append((-1 if denied else 1, token.form, "verb" if token.form == "유의" else "noun"))
    return found


def is_relation_verb(token, rest: list) -> bool:
    """Return whether the token is a verb of relation, or its noun made one by 하다 or 되다."""
    made = rest[1:2] and rest[1].form in ("하", "되")
    return token.form in RELATION_VERBS and (token.tag[0] == "V" or bool(made))
