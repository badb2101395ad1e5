"""Which records are refused, and why: each check says in words what it found and what it expected."""

import math
import re

MIN_TEXT_CHARS, MIN_SUMMARY_CHARS = 120, 20
# Healthy Korean prose has 0.22 to 0.45 spaces per syllable; below this a reader has lost them.
MIN_SPACES_PER_HANGUL = 0.12
MIN_HANGUL_SHARE = 0.5
MAX_UNKNOWN_SHARE = 0.005
# A summary that agrees with the beginning of its text for this share of its length is a copy of it.
PREFIX_SHARE = 0.8
HANGUL = re.compile("[가-힣]")
SENTENCE = re.compile(r"(?:다|음|함|임|됨|요|까|오|자)[”’\"')\]]*[.?!]")
# "홍길동, 김철수 (2014)." and "Bowlby, J. (1969)."
REFERENCE = re.compile(r"(?:[가-힣]{2,4}|[A-Z][A-Za-z'\-]+,?\s(?:[A-Z]\.\s?)+)[^.!?\n]{0,60}?\(\d{4}[a-z]?\)\s?[.,]")
NUMBER = re.compile(r"\d[\d,]*(?:\.\d+)?|\.\d+")
# How a text may write the numbers 1 to 10 of its summary, alone or before a counter, with a particle or without.
WORDS = "한|하나|첫 두|둘|양 세|셋|석 네|넷|넉 다섯 여섯 일곱 여덟 아홉 열".split()
NUMERALS = {str(number): words for number, words in enumerate(WORDS, start=1)}
COUNTERS = (
    r"(?:째|번째|명|개|곳|번|차례|가지|집단|시점|학급|편|달|해|주|쪽)?(?:[은는이가을를의에로과와도]|에서|으로|에게)?"
)


def refuse_record(record: dict) -> tuple[str | None, list[str]]:
    """Return (why the record is refused, or None; the checks that it passed)."""
    passed = []
    for name, check in CHECKS.items():
        if reason := check(record["text"], record["summary"]):
            return reason, passed
        passed.append(name)
    return None, passed


def spaces_per_hangul(text: str) -> float:
    """Return the spaces inside lines for each Hangul syllable; 0 for a text without Hangul."""
    hangul = len(HANGUL.findall(text))
    return text.count(" ") / hangul if hangul else 0.0


def hangul_share(text: str) -> float:
    """Return the share of Hangul among the letters of a text; 0 for a text without letters."""
    return len(HANGUL.findall(text)) / max(1, sum(c.isalpha() for c in text))


def find_numbers(text: str) -> set[str]:
    """Return the numbers of a text in one spelling: 1,684 and 1684, .55 and 0.55, 2.50 and 2.5 agree."""
    found = set()
    for number in NUMBER.findall(text):
        whole, _, part = number.replace(",", "").partition(".")
        part = part.rstrip("0")
        found.add((whole.lstrip("0") or "0") + (f".{part}" if part else ""))
    return found


# Each check takes a text and its summary, and returns why they are refused, or None.


def check_length(text: str, summary: str) -> str | None:
    for name, value, least in (("text", text, MIN_TEXT_CHARS), ("summary", summary, MIN_SUMMARY_CHARS)):
        if len(value) < least:
            return f"{name} too short: {len(value)} characters, fewer than {least}"


def check_hangul(text: str, summary: str) -> str | None:
    for name, value in (("text", text), ("summary", summary)):
        if (share := hangul_share(value)) < MIN_HANGUL_SHARE:
            return f"{name} not Korean: Hangul is {share:.0%} of its letters, less than {MIN_HANGUL_SHARE:.0%}"


def check_spaces(text: str, summary: str) -> str | None:
    for name, value in (("text", text), ("summary", summary)):
        if (spaces := spaces_per_hangul(value)) < MIN_SPACES_PER_HANGUL:
            return f"{name} without spaces: {spaces:.2f} per Hangul character, fewer than {MIN_SPACES_PER_HANGUL}"


def check_glyphs(text: str, summary: str) -> str | None:
    unknown, chars = (text + summary).count("\ufffd"), len(text + summary)
    return f"unknown glyphs: {unknown} in {chars} characters" if unknown > MAX_UNKNOWN_SHARE * chars else None


def check_prose(text: str, summary: str) -> str | None:
    sentences, references = len(SENTENCE.findall(text)), len(REFERENCE.findall(text))
    if references >= 2 and references >= sentences:
        return f"citations only: {references} references and {sentences} sentences"
    return None if sentences else "no sentence: nothing in the text ends like one"


def check_summary(text: str, summary: str) -> str | None:
    flat_text, flat_summary = "".join(text.split()), "".join(summary.split())
    if len(flat_summary) >= len(flat_text):
        return f"summary longer than text: {len(summary)} and {len(text)} characters"
    start = flat_summary[: math.ceil(PREFIX_SHARE * len(flat_summary))]
    return "summary copied: the text begins with it" if flat_text.startswith(start) else None


def check_numbers(text: str, summary: str) -> str | None:
    missing = [n for n in sorted(find_numbers(summary) - find_numbers(text)) if not _in_words(n, text)]
    return f"numbers that the text lacks: {', '.join(missing)}" if missing else None


def _in_words(number: str, text: str) -> bool:
    words = NUMERALS.get(number)
    return bool(words and re.search(rf"(?<![가-힣])(?:{words}){COUNTERS}(?![가-힣])", text))


CHECKS = {
    "length": check_length,
    "hangul": check_hangul,
    "spaces": check_spaces,
    "glyphs": check_glyphs,
    "prose": check_prose,
    "summary": check_summary,
    "numbers": check_numbers,
}
