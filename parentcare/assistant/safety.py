"""What a question needs before any model sees it: help now, or a doctor rather than an answer. By rule.

Signs of alarm (safety_signs.py) are weighed against words that say that the question is about something harmless
(safety_words.py): play, a lesson, a study, everyday upbringing. How often the rules miss and how often they are
wrong is measured by benchmarks/safety.py on questions that they were not written on; they do miss, above all
what is only hinted at, so the numbers to call belong on the page itself too.
"""

import functools
import itertools
import re
import unicodedata
from typing import NamedTuple

from parentcare.assistant.safety_signs import SIGNS
from parentcare.assistant.safety_words import ASKING, CLASSES, HARMLESS, INCIDENTAL, TOPICS, URGENT
from parentcare.data.keywords import load_kiwi

MESSAGES = {
    "109": """혼자 견디지 않으셔도 됩니다. 지금 자살예방 상담전화 109(24시간, 무료)로 전화해 주십시오.
당장 자신이나 아이를 해칠 것 같거나 이미 다쳤다면 119에 전화하고, 아이를 안전한 곳에 눕힌 뒤
가까운 어른을 부르십시오.""",
    "112": """아이나 가족이 위험할 수 있습니다. 학대가 의심되거나 위협을 받거나 아이를 찾을 수 없으면
지금 112에 신고하십시오. 의심만으로도 신고할 수 있고, 신고한 사람은 보호받습니다.
다친 사람이 있으면 119에 먼저 전화하십시오.""",
    "119": """응급일 수 있습니다. 답을 기다리지 말고 지금 119에 전화하거나 바로 응급실로 가십시오.
도착 전까지 할 일은 119가 알려 줍니다. 아이를 혼자 두지 말고, 먹은 것을 억지로 토하게 하지 마십시오.""",
    "no_dose": """약의 용량과 간격은 안내하지 않습니다. 아이의 몸무게와 상태를 아는 소아청소년과 의사나
약사에게 물어보십시오. 잘못 먹었거나 많이 먹었으면 지금 119에 전화하십시오.""",
    "no_diagnosis": """장애나 질환인지는 글만 보고 알 수 없어 진단하지 않습니다.
걱정되는 모습을 적어 소아청소년과에서 진료와 발달검사를 받아 보십시오.""",
}
# who needs help most, and whose own words say so most clearly, comes first
ROUTES = ("109", "112", "119", "no_dose", "no_diagnosis")
_CONTENT_TAGS = ("N", "V", "M", "XR", "XSV")
# 하다 and 되다 stand between the words that tell
_EMPTY_STEMS = {"하", "되", "이"}
# of stems that belong together, as in '숨 안 쉬'
_PHRASE_STEMS = 4
_RUN_CHARS = range(2, 13)


class Advice(NamedTuple):
    """What is shown instead of an answer: `kind` is the route, `message` says in Korean what to do now."""

    kind: str
    message: str


class Words(NamedTuple):
    """A question as the signs see it: `text` has no spaces, `phrases` are its stems and runs of stems.

    `found` has the phrases too, and what may be found in the text: short runs of letters begin where a stem does.
    """

    text: str
    phrases: frozenset[str]
    endings: frozenset[str]
    found: frozenset[str]


class Sign(NamedTuple):
    """One line of SIGNS: at least `least` of the `groups` of words have to occur and none of `never`."""

    weight: int
    least: int
    groups: list[frozenset[str]]
    never: frozenset[str]


def check_question(question: str) -> Advice | None:
    """Return what to do at once, or None where the question may be answered from the papers."""
    kind = find_route(question)
    return Advice(kind, MESSAGES[kind]) if kind else None


def find_route(question: str) -> str | None:
    """Return the first of ROUTES whose signs outweigh the harmless words, or None.

    A route of one light sign gives way to a heavier one.
    """
    text = unicodedata.normalize("NFKC", question).lower()
    words, plain = read_words(text), read_words(_INCIDENTAL.sub(" ", text))
    harmless = 2 * len(plain.phrases & _TOPICS) + len(plain.phrases & _HARMLESS)
    asking = not words.endings.isdisjoint(_ASKING) or not words.phrases.isdisjoint(_ASKING)
    urgent = not words.found.isdisjoint(_URGENT)
    weights = {}
    for route in ROUTES:
        weight = sum(sign.weight for sign in read_signs(route) if is_seen(sign, words, plain))
        if route == "119":
            weight += 3 * has_young_fever(words.text)
        against = harmless + (asking and route in ("112", "109")) - (urgent and route.isdigit())
        if weight > max(0, against):
            weights[route] = weight
    return next((route for route in weights if weights[route] > 1), next(iter(weights), None))


def read_words(text: str) -> Words:
    """Return the words of a question, by Kiwi."""
    # marks part no words; the point of 38.5 stays
    text = re.sub(r"[^\w\s.]", " ", text)
    tokens = load_kiwi().tokenize(text)
    stems = [t.form for t in tokens if t.tag.startswith(_CONTENT_TAGS) and t.form not in _EMPTY_STEMS]
    phrases = {"".join(stems[i : i + n]) for i in range(len(stems)) for n in range(1, _PHRASE_STEMS + 1)}
    # 시어머니 is a 어머니 too
    phrases |= {t.form[i:] for t in tokens if t.tag in ("NNG", "NNP") for i in range(1, len(t.form) - 1)}
    letters_before = [0, *itertools.accumulate(not letter.isspace() for letter in text)]
    starts = {letters_before[t.start] for t in tokens}
    letters = "".join(text.split())
    runs = {letters[i : i + n] for i in range(len(letters)) for n in _RUN_CHARS if n > 2 or i in starts}
    endings = frozenset(t.form for t in tokens if t.tag == "EF")
    return Words(letters, frozenset(phrases), endings, frozenset(phrases | runs))


def is_seen(sign: Sign, words: Words, plain: Words) -> bool:
    """Return whether the sign is in the question; `plain` is the question without INCIDENTAL."""
    seen = sum(not words.found.isdisjoint(group) for group in sign.groups)
    return seen >= sign.least and plain.found.isdisjoint(sign.never)


@functools.cache
def read_signs(route: str) -> list[Sign]:
    """Return the signs of a route, its lines of safety_words.py read."""
    lines = re.sub(r"\n {10,}", " ", SIGNS[route]).strip().splitlines()
    return [_read_sign(line.strip()) for line in lines]


def _read_sign(line: str) -> Sign:
    strong, two, wanted, never = re.fullmatch(r"(! )?(2 of )?(.+?)(?: - (.+))?", line).groups()
    groups = [_expand(group) for group in wanted.split(" + ")]
    return Sign(2 if strong else 1, 2 if two else len(groups), groups, _expand(never or ""))


def _expand(group: str) -> frozenset[str]:
    return frozenset(re.sub(r"<(\w+)>", lambda name: CLASSES[name[1]], group).split())


_TOPICS = frozenset(TOPICS.split())
_HARMLESS = frozenset(HARMLESS.split())
# an ending begins with a final consonant, which Kiwi writes as one
_ASKING = frozenset(ASKING.replace("ㄴ", "\u11ab").replace("ㄹ", "\u11af").split())
_URGENT = frozenset(URGENT.split())
_INCIDENTAL = re.compile("|".join(r"\s*".join(phrase) for phrase in INCIDENTAL.split()))

# --- fever under three months --------------------------------------------------------------------

_DIGITS = {digit: str(value) for value, digit in enumerate("영일이삼사오육칠팔구")}
_YOUNG = re.compile(
    r"신생아|갓난|갓태어|조리원|배냇|(?:백|100)일(?:도|이)?(?:채)?(?:전|안|미만|직전|못)|(?:[삼3세석])(?:개월|달)(?:도|이)?(?:채)?(?:미만|전|안)"
    r"|(?:한|두|둘째|1|2)달(?!전|에|동안|뒤|후|만|째)|(?<!\d)[12]개월(?!전|째|동안|간|뒤|후|마다|넘게|만에)"
    r"|(?:태어|나온|낳|출산)\D{0,4}지(?:며칠|일주일|[이삼]주|보름|열흘|한달|두달)"
    r"|(?:(?:한|두|세|네|다섯|여섯|일곱|여덟|아홉|열|열한|열두)|(?<!\d)(?:[1-9]|1[0-2]))주(?!일|전|동안|에|후|뒤|간)(?:차|된|짜리|아|신|인|쯤)?"
)
_DAYS_OLD = re.compile(
    r"(?:생후|태어난지|낳은지|출생|출산)(\d{1,3})일|(?<!\d)(\d{1,3})일(?:된|짜리|차|인데|아기|애기|아가|신생|갓)|태어난지(\d{1,3})"
)
_THREE_MONTHS_DAYS = 91
_TEMPERATURE = re.compile(
    r"(?<![\d.])(3[4-9]|4[0-2])(?:\.|도|점|℃|°c?)?(\d(?!\d|개월|시간|일|번|분))?(?!개월|주|일|kg|키로|주차|살|세|cm|명)"
)
_FEVER_WORDS = re.compile(r"열이|열나|열은|열도|고열|미열|뜨끈|펄펄|불덩|뜨거워|뜨겁|열\d")
_ROOM = re.compile(r"기온|실내|방온도|물온도|목욕물|분유물|날씨|폭염|수온")


def has_young_fever(text: str) -> bool:
    """Return whether a child under three months has 38 °C or more, or a fever that nobody measured.

    `text` has no spaces; ages and temperatures may be written in digits or in words ('백일 전', '삼십팔도 오부').
    """
    text = re.sub(r"([일이삼사오육칠팔구]?)십([일이삼사오육칠팔구]?)(?=도|일|점)", _to_digits, text)
    text = re.sub(
        r"(?<=\d점)[영일이삼사오육칠팔구]|(?<=\d도)[일이삼사오육칠팔구](?=부|분)", lambda m: _DIGITS[m[0]], text
    )
    days = [int(next(filter(None, found))) for found in _DAYS_OLD.findall(text)]
    if not (_YOUNG.search(text) or any(day <= _THREE_MONTHS_DAYS for day in days)):
        return False
    if _ROOM.search(text) and not re.search("체온|열이|열나", text):
        return False
    measured = [float(f"{whole}.{part or 0}") for whole, part in _TEMPERATURE.findall(text)]
    return max(measured) >= 38 if measured else bool(_FEVER_WORDS.search(text))


def _to_digits(match: re.Match) -> str:
    return _DIGITS.get(match[1], "1") + _DIGITS.get(match[2], "0")
