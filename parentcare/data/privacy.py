"""Personal data masked by its shape: resident numbers, telephone numbers, e-mail addresses."""

import collections
import re

# Six digits of a birth date, a hyphen or none, a digit of sex and century, six more. The checksum is not
# looked at: numbers given out since October 2020, so those of all young children, have none.
RESIDENT_NUMBER = re.compile(
    r"(?<![\d.])\d{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])(?:\s?[-–—‐]\s?[1-8][\d*●○]{6}|[1-8]\d{6})(?![\d*])"
)
E_MAIL = re.compile(r"[A-Za-z0-9._%+\-]+\s?[@＠]\s?[A-Za-z0-9\-]+(?:\.[A-Za-z0-9\-]+)*\.[A-Za-z]{2,}")
_GAP = r"\s?[-–—‐.)]\s?"
# mobile (010 …), area (02, 031 …), internet (070), personal (050x) and free (080) numbers, at home or from abroad
TELEPHONE = re.compile(
    rf"(?<![\d.\-])(?:\+\s?82{_GAP}?\(?0?\)?|\+\s?82\s|\(?0)(?:1[016789]|2|[3-6][1-5]|70|50\d|80)(?:{_GAP}|\s)\d{{3,4}}(?:{_GAP}|\s)\d{{4}}(?!\d)"
    r"|(?<![\d.\-])01[016789]\d{7,8}(?!\d)"
)
# Numbers of firms (1588-0000). 1592-1598 is a span of years, and 1588-1599 one of pages.
SERVICE = re.compile(
    r"(?<![\d.\-])(15(?:22|33|44|66|77|88|99)|16(?:00|44|61|66|70|88)|18(?:00|11|33|55|77|99))\s?[-–]\s?(\d{4})(?![\d\-])"
)
LONGEST_SPAN = 300


def mask_personal_data(text: str) -> tuple[str, collections.Counter]:
    """Return (text with [주민등록번호], [전화번호] and [이메일] for what has their shape, how many of each)."""
    counts: collections.Counter = collections.Counter()
    for mask, pattern in (("[주민등록번호]", RESIDENT_NUMBER), ("[이메일]", E_MAIL), ("[전화번호]", TELEPHONE)):
        text, count = pattern.subn(mask, text)
        counts[mask] += count
    masked = SERVICE.sub(lambda m: m[0] if 0 <= int(m[2]) - int(m[1]) < LONGEST_SPAN else "[전화번호]", text)
    counts["[전화번호]"] += len(SERVICE.findall(text)) - len(SERVICE.findall(masked))
    return masked, +counts
