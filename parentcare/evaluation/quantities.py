"""Numbers in Korean academic prose: found, normalised, looked for in another text, compared.

Only digits and native numerals with a counter are read: '만 4세', '3~5세', '.31', '1,200명', '두 집단'.
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
_DAYS = {"보름": 15} | dict(
    zip("하루 이틀 사흘 나흘 닷새 엿새 이레 여드레 아흐레 열흘".split(), range(1, 11), strict=True)
)
_COUNTERS = {
    "years of age": "세 살",
    "months": "개월 달",
    "percent": "% 퍼센트",
    "people": "명 쌍 사람 가정 가구",
    "points": "점",
    "grade": "학년",
    "years": "년 해",
    "weeks": "주",
    "days": "일",
    "minutes": "분",
    "seconds": "초",
    "hours": "시간",
    "times": "회 번 차례 차시",
    "items": "문항",
    "factors": "요인",
    "classes": "학급",
    "things": "개 곳 건 편 가지",
    "books": "권",
}
_UNITS = {word: unit for unit, words in _COUNTERS.items() for word in words.split()}
_UNIT_WORDS = "|".join(sorted(_UNITS, key=len, reverse=True))
_UNIT = re.compile(rf"\s?({_UNIT_WORDS})")
# '만' before at most two digits is 'full years'; before more it is ten thousand
_NUMBER = re.compile(r"(?<![\d.])(만\s*(?=\d{1,2}(?!\d)))?((?<![\d.\w)])-)?(\d*\.\d+|\d+)")
_NUMERAL = rf"(?<![가-힣])(?P<tens>{'|'.join(_TENS)})?(?P<ones>{'|'.join(_ONES)})?(?<=[가-힣])"
_COUNTED = re.compile(rf"{_NUMERAL}(?=\s?(?P<unit>{_UNIT_WORDS}))")
_NATIVE = re.compile(rf"{_NUMERAL}(?=\s|[은는이을를과와에의도만째번명달해])")
_NATIVE_DAY = re.compile(rf"(?<![가-힣])({'|'.join(_DAYS)})")
_JOINT = re.compile(r"\s*(?:[,~·/-]|와|과|및)\s*(?:만\s*)?")
_STATISTIC = re.compile(r"([A-Za-zα-ωχ]+)(?:²|2)?\s*(?:\([\d,\s.]+\))?\s*([=<>≤≥])\s*$")
_ABOUT_BEFORE = re.compile(r"(?:약|대략|거의)\s*$")
_ABOUT_AFTER = re.compile(r"[가-힣]{0,2}\s?(?:가량|정도|남짓|안팎|쯤|가까)")
_THRESHOLDS = (0.001, 0.01, 0.05, 0.1)
# one or two of a thing are often meant, and seldom counted, in the text
_LEAST_NATIVE = 3


class Quantity(NamedTuple):
    """A number: value, unit ('' where unknown), its words and place, and 'r=' or 'p<' before it."""

    value: float
    unit: str
    words: str
    start: int
    statistic: str

    @property
    def end(self) -> int:
        """Return the place after the last character."""
        return self.start + len(self.words)


def match_key(text: str) -> str:
    """Return the text for comparing, not for keeping: NFKC, one kind of minus and tilde, no 1,000 commas."""
    key = unicodedata.normalize("NFKC", text).translate(str.maketrans("∼〜～−–", "~~~--"))
    return re.sub(r"(?<=\d),(?=\d{3}(?!\d))", "", key)


def find_quantities(key: str) -> list[Quantity]:
    """Return the numbers written with digits, in order; in a list or range each has the last one's unit."""
    found = []
    for match in _NUMBER.finditer(key):
        unit, before = _UNIT.match(key, match.end()), _STATISTIC.search(key, 0, match.start())
        known = _UNITS[unit[1]] if unit else "years of age" if match[1] else ""
        words = match[0] + (unit[0] if unit else "")
        statistic = before[1] + before[2] if before else ""
        found.append(Quantity(float((match[2] or "") + match[3]), known, words, match.start(), statistic))
    for place in range(len(found) - 2, -1, -1):
        first, second = found[place : place + 2]
        if not first.unit and _JOINT.fullmatch(key, first.end, second.start):
            found[place] = first._replace(unit=second.unit)
    return found


def find_counted(key: str) -> list[Quantity]:
    """Return the native numerals that stand before a counter, such as '여덟 명'."""
    return [
        Quantity(_native_value(match), _UNITS[match["unit"]], f"{match[0]} {match['unit']}", match.start(), "")
        for match in _COUNTED.finditer(key)
    ]


def native_values(key: str) -> set[float]:
    """Return the values of all native numerals and day names in a text, whatever follows them."""
    days = {float(_DAYS[day]) for day in _NATIVE_DAY.findall(key)}
    return days | {_native_value(match) for match in _NATIVE.finditer(key)}


def _native_value(match: re.Match) -> float:
    return float(_TENS.get(match["tens"], 0) + _ONES.get(match["ones"], 0))


# --- numbers that a text lacks -----------------------------------------------------------------


def unsupported_quantities(summary: str, text: str) -> list[Quantity]:
    """Return the summary's numbers that its text lacks; both are match keys.

    The unit counts where both sides have one: 5세 is not supported by 5명.
    """
    source, natives = find_quantities(text), native_values(text)
    counted = {(quantity.value, quantity.unit) for quantity in find_counted(text)}
    missing = [
        quantity
        for quantity in find_quantities(summary)
        if not any(_agrees(quantity, other) for other in source)
        and (quantity.value, quantity.unit) not in counted
        and not (quantity.unit in ("", "days", "weeks", "years") and quantity.value in natives)
        and not _is_threshold(quantity, source)
        and not _is_about(quantity, summary, source)
    ]
    digits = {other.value for other in source}
    missing += [
        quantity
        for quantity in find_counted(summary)
        if quantity.value >= _LEAST_NATIVE and quantity.value not in digits | natives
    ]
    return missing


def _agrees(quantity: Quantity, other: Quantity) -> bool:
    same_unit = quantity.unit == other.unit or other.unit == "" or quantity.unit == "years"
    names = {q.statistic.rstrip("=<>≤≥") for q in (quantity, other)} - {""}
    both_p = names == {"p"} and quantity.statistic and other.statistic
    same_side = not both_p or quantity.statistic == other.statistic
    # '부적 상관(.31)' and r=-.31 are the same
    same = quantity.value == other.value or (quantity.value == -other.value and not quantity.statistic)
    return same and same_unit and same_side and len(names) < 2


def _is_threshold(quantity: Quantity, source: list[Quantity]) -> bool:
    """Return whether 'p<.05' is how one would report a p-value that the text gives exactly."""
    if quantity.statistic not in ("p<", "p≤"):
        return False
    exact = [other.value for other in source if other.statistic == "p="]
    return any(quantity.value == min((t for t in _THRESHOLDS if t > p), default=None) for p in exact)


def _is_about(quantity: Quantity, summary: str, source: list[Quantity]) -> bool:
    """Return whether the summary says 'about' and the text has a number within a tenth of it."""
    about = _ABOUT_BEFORE.search(summary, 0, quantity.start) or _ABOUT_AFTER.match(summary, quantity.end)
    return bool(about) and any(
        abs(other.value - quantity.value) <= 0.1 * abs(quantity.value) + 0.5
        and (other.unit == quantity.unit or "" in (other.unit, quantity.unit))
        for other in source
    )


# --- comparisons that their own numbers refute -------------------------------------------------

_MORE = (
    "늘[었어고며]|증가|높아|높[았은게고아]|올[라랐]|길어|길[었고]|커[졌지]|컸|많[았아고은]|상승|향상|앞[섰서]|웃[돌도]|불어|"
    "넘[었어]|잦|크고|강해|빨라"
)
_LESS = (
    "줄[었어고며]|감소|낮아|낮[았은게고아]|내[려렸]|떨어|짧아|짧[았고]|작아|작[았고]|적[었어고]|하락|저하|뒤처|밑[돌도]|좁혀|"
    "그[쳤치]|머물|불과|약해|느려"
)
_WORD = re.compile(f"(?P<more>{_MORE})|(?P<less>{_LESS})")
_TAIL = re.compile(r"[^\d.。\n]{0,30}")
_MOST_BETWEEN_CHARS = 45


def refuted_comparisons(summary: str) -> list[str]:
    """Return the summary's words where two of its numbers refute what it says of them.

    'A에서 B로 늘었다' needs A < B, 'A로, B보다 높다' A > B, 'A인 데 비해 B에 그쳤다' A > B.
    """
    quantities = find_quantities(summary)
    found = []
    for place, second in enumerate(quantities):
        before = quantities[place - 1] if place else None
        if before and summary[before.end : second.start] == "~" and before.value > second.value:
            found.append(summary[before.start : second.end])
        tail = _TAIL.match(summary, second.end)[0]
        word = _WORD.search(tail)
        first = next((q for q in reversed(quantities[:place]) if _comparable(q, second)), None)
        if not word or first is None:
            continue
        holds = _holds(first, second, summary[first.end : second.start], tail[: word.end()], word)
        if holds is False:
            found.append(summary[first.start : second.end + word.end()])
    return found + refuted_superlatives(summary, quantities)


def refuted_superlatives(summary: str, quantities: list[Quantity]) -> list[str]:
    """Return 'N으로 가장 높았다' where the same sentence has a higher number of the kind, and the reverse."""
    found = []
    ends = [match.end() for match in re.finditer(r"[^\d][.!?](?=\s)", summary)]
    for quantity in quantities:
        match = re.compile(rf"\)?(?:으?로|이어서|라) (?:비교적 )?가장 (?:{_WORD.pattern})").match(summary, quantity.end)
        if not match or quantity.unit == "years of age":
            continue
        start = max((end for end in ends if end <= quantity.start), default=0)
        stop = min((end for end in ends if end > quantity.start), default=len(summary))
        others = [q.value for q in quantities if start <= q.start < stop and _comparable(q, quantity)]
        extreme = max(others) if match["more"] else min(others)
        if quantity.value != extreme:
            found.append(summary[quantity.start : match.end()])
    return found


def _comparable(first: Quantity, second: Quantity) -> bool:
    return first.unit == second.unit and bool(first.statistic) == bool(second.statistic)


def _holds(first: Quantity, second: Quantity, between: str, tail: str, word: re.Match) -> bool | None:
    """Return whether the comparison holds; None where the words compare nothing."""
    if len(between) > _MOST_BETWEEN_CHARS or re.search(r"[.。!?]\s", between) or first.value == second.value:
        return None
    more, rising = word["more"] is not None, second.value > first.value
    listed = re.fullmatch(r"\s*,\s*", between) and re.match(r"\)?으?로", tail)
    from_to = re.match(r"\)?(?:에서|이던)(?![는도만])", between) and re.match(r"\)?(?:까지|으?로)", tail)
    if listed or (from_to and "보다" not in tail) or (re.match(r"\)?보다", between) and "보다" not in tail):
        return rising == more
    if re.match(r"\)?(?:[가-힣]{0,6} )?[가-힣]{0,4}보다", tail) and not re.match(r"\)?에서(?!는)", between):
        return rising != more
    if re.match(r"\)?(?:인|이던)?[^,]{0,12}[을를] ", tail) and re.match(r"앞|웃|밑|넘|뒤처", word[0]):
        return rising != more
    return not rising if re.match(r"그|머물|불과|뒤처", word[0]) else None
