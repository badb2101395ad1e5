"""Facts of a summary that its text does not bear out, found by rule, without a model.

A number that the text lacks or that changed places with another, a direction reversed, an age group swapped. A
finding is a reason to look, not a verdict; no finding is no proof: how often the check finds, and how often it
is wrong, is measured by `measure_checker` on summaries that it was not written on.
"""

import collections
import re
from typing import NamedTuple

from parentcare.evaluation.clauses import find_swaps, read
from parentcare.evaluation.directions import find_refuted, find_reversals
from parentcare.evaluation.quantities import Quantity, find_unsupported, match_key


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
    numbers = [quantity for sentence in borne.sentences for quantity in sentence.quantities]
    found = []
    for part in said.sentences:
        lacking = find_unsupported(part.text, part.quantities, numbers)
        found += [Finding(_kind(q), q.words, "the text has no such number") for q in lacking]
        found += [Finding("direction", words, "the numbers say otherwise") for words in find_refuted(part)]
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
    "영아": re.compile(r"영아|영유아|걸음마|신생아|아기|첫돌|돌 무렵|생후|만 [0-2]세"),
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


def check_groups(summary: str, text: str) -> list[Finding]:
    """Return a finding for each age group that the summary names, where its text knows only others.

    A text that names no group, only 아이, refutes school alone.
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
    """Return the age groups that a text names."""
    # beside 아이, an 아기 may be anyone's
    words = text.replace("아기", "") if "아이" in text else text
    return {group for group, word in _STANDS_FOR.items() if word.search(words)}


# --- the check, checked ------------------------------------------------------------------------


def measure_checker(cases: list[dict]) -> dict:
    """Return how often the check finds an error and how often it sees one where there is none.

    A case has `text`, `summary`, `faithful` and, where it is not, `kind`. `detection`, `false_alarms`
    and each of `detection_by_kind` are those of `count_rate`. Any finding counts, whatever its kind.
    Raises ValueError where one of the two sorts is missing.
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
    """Return `count`, `of`, `rate` and the 95 % Wilson interval `low` to `high` of yes among the outcomes."""
    # here, because scipy.stats takes a second to import
    from scipy.stats import binomtest

    count, of = sum(outcomes), len(outcomes)
    interval = binomtest(count, of).proportion_ci(method="wilson")
    return {"count": count, "of": of, "rate": count / of, "low": float(interval.low), "high": float(interval.high)}
