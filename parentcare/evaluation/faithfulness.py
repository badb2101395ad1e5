"""Facts of a summary that its text does not bear out, found by rule, without a model.

A number that the text lacks or that changed places with another, a direction reversed, an age group swapped. A
finding is a reason to look, not a verdict; no finding is no proof: how often the check finds, and how often it
is wrong, is measured by `measure_checker` on summaries that it was not written on.
"""

import collections
import math
import re
from statistics import NormalDist
from typing import NamedTuple

from parentcare.evaluation.clauses import find_swaps, read
from parentcare.evaluation.directions import find_reversals
from parentcare.evaluation.quantities import Quantity, find_refuted, find_unsupported, match_key


class Finding(NamedTuple):
    """What is doubtful: `kind`, the summary's `words`, and `why`."""

    kind: str
    words: str
    why: str


def check_summary(summary: str, text: str) -> list[Finding]:
    """Return the findings of one summary against its text; empty where nothing is doubtful.

    Kinds: 'number', 'age', 'sample size', 'p-value', 'direction', 'age group'.
    """
    key, source = match_key(summary), match_key(text)
    said, borne = read(key), read(source)
    # a sentence that the text has itself needs no bearing out
    said = said._replace(sentences=[sentence for sentence in said.sentences if sentence.text not in source])
    rows = [sentence.quantities for sentence in borne.sentences]
    numbers = [quantity for row in rows for quantity in row]
    found = []
    for part in said.sentences:
        lacking = find_unsupported(part.text, part.quantities, numbers)
        found += [Finding(_kind(q), q.words, "the text has no such number") for q in lacking]
        refuted = find_refuted(part.text, part.quantities, rows)
        found += [Finding("direction", words, "the numbers say otherwise") for words in refuted]
    found += [Finding("number", words, "the text has them the other way round") for words in find_swaps(said, borne)]
    found += [Finding("direction", words, why) for words, why in find_reversals(said, borne)]
    return found + check_groups(key, source)


def _kind(quantity: Quantity) -> str:
    if quantity.statistic.startswith("p"):
        return "p-value"
    if quantity.statistic[:1] in ("n", "N") or re.search("[명쌍]$", quantity.words):
        return "sample size"
    return "age" if quantity.unit in ("years of age", "months") else "number"


# --- age groups --------------------------------------------------------------------------------

# what stands for each group in a text: 영아 is under three, 유아 three to five, 아동 wider, 초등 six and more
_STANDS_FOR = {
    "영아": re.compile(r"영아|영유아|걸음마|신생아|아기|첫돌|돌 무렵"),
    "유아": re.compile(r"유아|유치원|만 [3-5]세"),
    "아동": re.compile(r"아동|어린이(?!집)|초등|학령|\d학년"),
    "초등": re.compile(r"초등(?!학교[^.]{0,3}병설)|학령|\d학년|학교(?!의? ?병설)"),
    "청소년": re.compile(r"청소년|중학|고등학"),
}
# the names themselves, not as part of another word
_NAMES = {
    "영아": re.compile(r"(?<![가-힣])영아"),
    "유아": re.compile(r"(?<![가-힣])유아(?!교육|용|특수)|유치원(?:생|에 다니|에 갓)"),
    "아동": re.compile(r"(?<![가-힣])아동(?!학|기관)"),
    "초등": re.compile(r"(?<![가-힣])초등|(?<![가-힣])학령기"),
    "청소년": re.compile(r"(?<![가-힣])(?:청소년|중학|고등학)"),
}
# months of age; a group that the text names may reach a little further
_MONTHS = {"영아": (0, 36), "유아": (36, 84), "아동": (84, 156), "초등": (72, 156), "청소년": (144, 228)}
_MONTHS_IF_NAMED = {"영아": (0, 42), "유아": (24, 84), "아동": (36, 156), "초등": (72, 156), "청소년": (144, 228)}
# '3개월 뒤' is a delay, '10개월이고' a duration, '만 4세 6개월' one age
_AGES = re.compile(
    r"(?<!세 )(?<![\d.])(\d{1,3})(?:\.\d+)?\s?(?:(세)|개월(?!\s?(?:뒤|후|동안|간|전|만|마다|이|에 걸|가량)))"
)


def check_groups(summary: str, text: str) -> list[Finding]:
    """Return a finding for each age group that the summary names, where its text knows only others.

    A text that names no group and no age, only 아이, refutes school alone.
    """
    present = groups_in(text)
    found = []
    for group, name in _NAMES.items():
        match = name.search(summary)
        # 아동 may stand for two groups together, or for anyone's child
        umbrella = group == "아동" and (len(present) > 1 or "자녀" in text)
        if match and group not in present and not umbrella and (present or group in ("초등", "청소년")):
            found.append(Finding("age group", match[0], f"the text speaks of {', '.join(sorted(present)) or '아이'}"))
    return found


def groups_in(text: str) -> set[str]:
    """Return the age groups that a text names, and those of ages that no named group covers."""
    # beside 아이, an 아기 may be anyone's
    words = text.replace("아기", "") if "아이" in text else text
    named = {group for group, word in _STANDS_FOR.items() if word.search(words)}
    ages = [int(value) * (12 if years else 1) for value, years in _AGES.findall(text)]
    covered = [_MONTHS_IF_NAMED[group] for group in named]
    alone = [age for age in ages if not any(low <= age < high for low, high in covered)]
    return named | {group for group, (low, high) in _MONTHS.items() if any(low <= age < high for age in alone)}


# --- the check, checked ------------------------------------------------------------------------


def measure_checker(cases: list[dict]) -> dict:
    """Return how often the check finds an error and how often it sees one where there is none.

    A case has `text`, `summary`, `faithful` and, where it is not, `kind`. `detection`, `false_alarms`
    and each of `detection_by_kind` have `count`, `of`, `rate`, `low` and `high`, the 95 % Wilson
    interval. Any finding counts, whatever its kind. Raises ValueError where one of the two sorts is missing.
    """
    alarms = collections.defaultdict(list)
    for case in cases:
        alarm = bool(check_summary(case["summary"], case["text"]))
        alarms["faithful" if case["faithful"] else case["kind"]].append(alarm)
    faithful = alarms.pop("faithful", [])
    if not faithful or not alarms:
        raise ValueError(
            f"{len(cases)} cases, {len(faithful)} of them faithful: both faithful and unfaithful ones are needed"
        )
    return {
        "detection": count_rate([alarm for kind in alarms.values() for alarm in kind]),
        "detection_by_kind": {kind: count_rate(found) for kind, found in sorted(alarms.items())},
        "false_alarms": count_rate(faithful),
    }


def count_rate(outcomes: list[bool]) -> dict:
    """Return `count`, `of`, `rate` and the 95 % Wilson interval `low` to `high` of yes among the outcomes.

    Wilson, Probable inference, the law of succession, and statistical inference (1927).
    """
    count, of = sum(outcomes), len(outcomes)
    z = NormalDist().inv_cdf(0.975)
    rate, spread = count / of, 1 + z * z / of
    middle = (rate + z * z / (2 * of)) / spread
    half = z * math.sqrt(rate * (1 - rate) / of + z * z / (4 * of * of)) / spread
    return {"count": count, "of": of, "rate": rate, "low": max(0.0, middle - half), "high": min(1.0, middle + half)}
