"""Numbers in Korean academic prose: found, normalised, looked for in another text, compared.

Digits, and native numerals with a counter, are read: '만 4세', '3~5세', '.31', '1,200명', '여덟 명', '닷새'.
"""

import re
import unicodedata
from typing import NamedTuple

_TENS = {"스무": 20} | dict(zip("열 스물 서른 마흔 쉰 예순 일흔 여든 아흔".split(), range(10, 100, 10), strict=True))
_ONES = {
    word: value
    for value, words in enumerate("한 하나,두 둘,세 셋 석,네 넷 넉,다섯,여섯,일곱,여덟,아홉".split(","), start=1)
    for word in words.split()
}
_DAYS = dict(zip("하루 이틀 사흘 나흘 닷새 엿새 이레 여드레 아흐레 열흘".split(), range(1, 11), strict=True))
# all that is counted is one unit: a text says 94곳 where its summary says 94가정, or 9개 for 9학급
_COUNTERS = {
    "years of age": "세 살",
    "months": "개월 달",
    "percent": "% 퍼센트",
    "points": "점",
    "grade": "학년",
    "years": "년 해",
    "weeks": "주",
    "days": "일",
    "minutes": "분",
    "seconds": "초",
    "hours": "시간",
    "clock": "시",
    "times": "회 번 차례 차시",
    "count": "명 쌍 사람 가정 가구 곳 개 학급 건 편 가지 권 장 문항 요인 집",
}
_UNITS = {word: unit for unit, words in _COUNTERS.items() for word in words.split()}
# 시점 and 집단 begin with a counter and are none
_UNIT = f"(?:{'|'.join(sorted(_UNITS, key=len, reverse=True))})(?<!시(?=[점각]))(?<!집(?=단))"
# '만' before at most two digits is 'full years'; '3분의 1' is no number of minutes
_NUMBER = re.compile(
    r"(?<![\d.])(?<!분의 )(?P<full>(?<![가-힣])만\s*(?=\d{1,2}(?!\d)))?(?P<value>(?:(?<![\d.\w)])-)?(?:\d*\.\d+|\d+))"
    rf"(?!\d|분의\s?\d)(?:\s?(?P<unit>{_UNIT}))?|(?<![가-힣])(?:(?P<day>{'|'.join(_DAYS)})|"
    rf"(?P<tens>{'|'.join(_TENS)})?(?P<ones>{'|'.join(_ONES)})?(?<=[가-힣])\s?(?P<counter>{_UNIT}))"
)
_JOINT = re.compile(r"\s*(?:[,~·/-]|와|과|및)\s*(?:만\s*)?")
_STATISTIC = re.compile(r"([A-Za-zα-ωχ]+)(?:²|2)?\s*(?:\([\d,\s.]+\))?\s*([=<>≤≥])\s*$")
_ABOUT = re.compile(r"(?:약|대략|거의)\s*$"), re.compile(r"[가-힣]{0,2}\s?(?:가량|정도|남짓|안팎|쯤|가까)")
_THRESHOLDS = (0.001, 0.01, 0.05, 0.1)
# two or three of a thing are often meant, and seldom counted, in the text
_LEAST_NATIVE = 4


class Quantity(NamedTuple):
    """A number: value, unit ('' where unknown), its words and place, 'r=' or 'p<' before it, whether in digits."""

    value: float
    unit: str
    words: str
    start: int
    statistic: str
    digits: bool

    @property
    def end(self) -> int:
        """Return the place after the last character."""
        return self.start + len(self.words)

    @property
    def sort(self) -> tuple:
        """Return what numbers that may be compared have in common: what is counted, and the statistic."""
        return re.sub(r"[\d.\s-]|만", "", self.words), self.unit, self.statistic


def match_key(text: str) -> str:
    """Return the text for comparing, not for keeping: NFKC, one kind of minus and tilde, no 1,000 commas."""
    key = unicodedata.normalize("NFKC", text).translate(str.maketrans("∼〜～−–", "~~~--"))
    return re.sub(r"(?<=\d),(?=\d{3}(?!\d))", "", key)


def find_quantities(key: str) -> list[Quantity]:
    """Return the numbers of a match key in order; in a list or range each has the last one's unit."""
    found = [_read(match, key) for match in _NUMBER.finditer(key)]
    for place in range(len(found) - 2, -1, -1):
        first, second = found[place : place + 2]
        if not first.unit and _JOINT.fullmatch(key, first.end, second.start):
            found[place] = first._replace(unit=second.unit)
    return found


def _read(match: re.Match, key: str) -> Quantity:
    if match["value"]:
        before = _STATISTIC.search(key, 0, match.start())
        unit = _UNITS[match["unit"]] if match["unit"] else "years of age" if match["full"] else ""
        statistic = before[1] + before[2] if before else ""
        return Quantity(float(match["value"]), unit, match[0], match.start(), statistic, True)
    value = _DAYS[match["day"]] if match["day"] else _TENS.get(match["tens"], 0) + _ONES.get(match["ones"], 0)
    return Quantity(float(value), _UNITS.get(match["counter"], "days"), match[0], match.start(), "", False)


# --- numbers that a text lacks -----------------------------------------------------------------


def find_unsupported(key: str, quantities: list[Quantity], source: list[Quantity]) -> list[Quantity]:
    """Return those numbers of a summary, `key`, that are not among the numbers of its text, `source`."""
    return [
        quantity
        for quantity in quantities
        if (quantity.value >= _LEAST_NATIVE or (quantity.digits and (quantity.unit or quantity.value % 1)))
        and not any(agrees(quantity, other) for other in source)
        and not _is_threshold(quantity, source)
        and not _is_about(quantity, key, source)
    ]


def agrees(quantity: Quantity, other: Quantity) -> bool:
    """Return whether both are one number: '2주' is '14일', 5세 is not 5명, r=.17 is not p=.17."""
    names = {q.statistic.rstrip("=<>≤≥") for q in (quantity, other)} - {""}
    if len(names) > 1 or ("p" in names and quantity.statistic and quantity.statistic != other.statistic):
        return False
    days = [q.value * {"weeks": 7, "days": 1}.get(q.unit, 0) for q in (quantity, other)]
    # '부적 상관(.31)' and r=-.31 are the same
    same = quantity.value == other.value or (quantity.value == -other.value and not quantity.statistic)
    one_unit = quantity.unit == other.unit or other.unit == "" or quantity.unit == "years"
    # a numeral's counter is free: '두 사람' is '2명', but never an age
    free = not (quantity.digits and other.digits) and "years of age" not in (quantity.unit, other.unit)
    return (days[0] > 0 and days[0] == days[1]) or (same and (one_unit or free))


def _is_threshold(quantity: Quantity, source: list[Quantity]) -> bool:
    # 'p<.05' is how one reports a p-value that the text gives exactly
    exact = [other.value for other in source if other.statistic == "p="]
    limits = [min((t for t in _THRESHOLDS if t > p), default=None) for p in exact]
    return quantity.statistic in ("p<", "p≤") and quantity.value in limits


def _is_about(quantity: Quantity, key: str, source: list[Quantity]) -> bool:
    about = _ABOUT[0].search(key, 0, quantity.start) or _ABOUT[1].match(key, quantity.end)
    return bool(about) and any(
        abs(other.value - quantity.value) <= 0.1 * abs(quantity.value) + 0.5
        and (other.unit == quantity.unit or "" in (other.unit, quantity.unit))
        for other in source
    )
