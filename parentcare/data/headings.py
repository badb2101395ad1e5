"""The headings of a paper: their many spellings, and which lines of a paper are its headings."""

import re
import unicodedata

from parentcare.data.cleaning import HANGUL, SENTENCE_END
from parentcare.data.layout import Line, body_size
from parentcare.data.pairing import SECTION_NAMES

_AND = "(?:및|와|과|,|·|ㆍ|/|&)"
# (name, spellings in lower case without numbers, spaces and decoration): sections, and what stands around them.
SPELLINGS = [
    ("초록", "(?:국문|한글|국어|논문|한국어|연구)?(?:초록|요약|요지|개요|요약문)"),
    ("abstract", "(?:english|영문)?(?:abstracts?|초록|요약)|summary"),
    ("서론", "서론|서언|서설|머리말|(?:들어가|시작하)(?:며|는말|는글|기)|여는(?:말|글)|(?:문제|연구)의?제기"),
    ("서론", f"연구?의?(?:필요성|목적|배경)(?:{_AND}연구?의?(?:필요성|목적|문제))?"),
    ("서론", f"연구?의?(?:배경|필요성){_AND}(?:연구)?의?(?:목적|필요성|문제)|introduction"),
    (
        "이론적 배경",
        f"이론적?(?:배경|고찰|논의|기초|탐색)(?:{_AND}(?:선행연구|연구가설|연구모형|가설)의?(?:고찰|검토|설정)?)?",
    ),
    ("이론적 배경", "(?:선행|관련)?(?:연구|문헌)의?(?:고찰|검토|개관)|선행연구"),
    ("이론적 배경", "(?:theoretical|literature)(?:background|review|framework)|reviewofliterature"),
    (
        "연구방법",
        f"(?:연구|조사|실험|분석)의?(?:방법론?|설계|절차)(?:{_AND}(?:연구)?(?:방법|절차|대상|내용|설계|도구|자료))*",
    ),
    ("연구방법", f"방법(?:{_AND}절차)?|연구대상|(?:research)?methods?|methodology"),
    ("연구방법", f"(?:연구)?의?(?:대상|자료|재료)(?:{_AND}(?:연구|분석|조사)?의?(?:방법|절차))+"),
    ("연구방법", "materialsandmethods|methodsandmaterials"),
    (
        "결과",
        f"(?:연구|분석|실험|조사)?의?결과(?:{_AND}(?:해석|분석|논의|고찰|토의|결론))*|(?:연구)?결과의?(?:분석|해석)",
    ),
    ("결과", "(?:research)?results?(?:and(?:discussions?|interpretations?))?|findings"),
    ("논의", f"(?:종합|결과)?적?의?(?:논의|고찰|토의|토론)(?:{_AND}(?:결론|제언|시사점|요약|함의|한계))*"),
    ("논의", f"(?:결론|요약|해석){_AND}(?:제언{_AND})?(?:논의|고찰|토의|토론)(?:{_AND}(?:제언|결론))*"),
    ("논의", "(?:general)?discussions?(?:and(?:conclusions?|implications?|suggestions?))*"),
    ("결론", f"결론(?:{_AND}(?:정책적?)?(?:제언|시사점|함의|한계|요약))*|제언"),
    ("결론", f"(?:요약|정리){_AND}(?:결론|제언)(?:{_AND}제언)?|맺음말|맺는(?:말|글)|맺으며|닫는(?:말|글)|결어"),
    ("결론", "(?:나가|나오|마치|마무리하)(?:며|는말|는글|기)"),
    ("결론", "conclusions?(?:and(?:implications?|suggestions?|recommendations?))?"),
    ("참고문헌", "참고(?:문헌|자료)(?:목록)?|인용문헌|references?(?:cited)?|bibliography|literaturecited"),
    ("부록", r"부록[\d<>〈〉a-z]*|감사의(?:글|말씀|말)|사사|이해(?:관계|상충|충돌).{0,8}|미주"),
    ("부록", r"저자(?:소개|정보|기여).{0,4}|authors?(?:contributions?|information)|appendix[a-z\d]*|appendices"),
    ("부록", r"acknowledge?ments?|conflicts?ofinterests?|fundings?|orcid|notes?"),
]
MAX_HEADING_CHARS = 34
# a line of a table of contents ends in dots or in a page number
CONTENTS = re.compile(r"[·.…‥․]{3,}|\s\d{1,3}$")
ROMAN = re.compile(r"^\s*(?:[Ⅰ-Ⅻ]|(?:VI{0,3}|I{1,3}|IV|IX|X)(?=\s*[.．·:)\s])|제\s*[\d일이삼사오육]\s*장)[\s.．·:)]*")
ARABIC = re.compile(r"^\s*(?:\d{1,2}(?:\s*[.．)]|(?=\s))|[가-하][.)]|[①-⑳])[\s.．·:)]*")
DECORATION = " \t<>〈〉《》[]［］【】「」『』(){}■□▣◆◇●○◎▶▷*※|-–—=:：.,·ㆍ"
OUTER_NAMES = ("초록", "abstract", "참고문헌")
# What a main heading in the paper's own words is, by the section before it.
NAME_BY_PLACE = {"서론": "이론적 배경", "이론적 배경": "이론적 배경", "연구방법": "결과", "결과": "결과"}


def heading_name(text: str) -> str | None:
    """Return the canonical name of a line that is a heading, however numbered, spaced or decorated.

    "Ⅰ. 서 론", "< 요 약 >", "III. 연구방법", "결과 및 해석" and "Discussion" are headings; a line of
    a table of contents and a sentence are not.
    """
    text = text.strip()
    if len(text) > MAX_HEADING_CHARS or SENTENCE_END.search(text) or CONTENTS.search(text):
        return None
    bare = ARABIC.sub("", ROMAN.sub("", text.lstrip(DECORATION), count=1), count=1)
    bare = re.sub(r"\s*\([^)]*\)\s*$", "", unicodedata.normalize("NFKC", bare))
    key = re.sub(r"\s+", "", bare).casefold().strip(DECORATION)
    if HANGUL.search(key):
        key = re.sub("[a-z]+", "", key).strip(DECORATION)
    return next((name for name, spelling in SPELLINGS if re.fullmatch(spelling, key)), None)


def find_headings(lines: list[Line]) -> dict[int, str]:
    """Return index → name of the headings: those of the body in an order that a paper can have.

    Cells of tables and lines of a table of contents are often the same words; of all candidates
    the heaviest chain in the usual order of sections is taken.
    """
    named = {i: name for i, line in enumerate(lines) if (name := heading_name(line.text))}
    # "요약" with a number closes a paper, without one it opens it
    named = {i: "결론" if n == "초록" and _number_weight(lines[i].text) else n for i, n in named.items()}
    body = body_size(lines)
    candidates = [(i, name, _weight(lines[i], body)) for i, name in named.items() if name in SECTION_NAMES]
    references = max((i for i, name in named.items() if name == "참고문헌"), default=len(lines))
    chosen = heaviest_chain([found for found in candidates if found[0] < references] or candidates)
    chosen |= name_unknown_headings(lines, chosen)
    first, last = min(chosen, default=len(lines)), max(chosen, default=-1)
    for i, name in named.items():
        # within the body such words head a summary or a box, and do not end it
        if (name in OUTER_NAMES and not first < i < last) or (name == "부록" and i > last):
            chosen[i] = name
    return dict(sorted(chosen.items()))


def heaviest_chain(candidates: list[tuple[int, str, float]]) -> dict[int, str]:
    """Return index → name of the candidates (index, name, weight) whose names never go back in the
    order of SECTION_NAMES and whose weights have the largest sum."""
    # rank of a chain's last name → (total weight, minus the last index: of equals the earliest, chain)
    best: dict[int, tuple[float, int, dict[int, str]]] = {0: (0.0, 0, {})}
    for i, name, weight in candidates:
        rank = SECTION_NAMES.index(name)
        total, _, chain = max((found for last, found in best.items() if last <= rank), key=lambda found: found[:2])
        if rank not in best or total + weight > best[rank][0]:
            best[rank] = (total + weight, -i, chain | {i: name})
    return max(best.values(), key=lambda found: found[:2])[2]


def name_unknown_headings(lines: list[Line], chosen: dict[int, str]) -> dict[int, str]:
    """Return index → name of main headings in words of the paper's own, named by where they stand:
    after the introduction the background, after the method the results."""
    if not any(ROMAN.match(lines[i].text) for i in chosen):
        return {}
    found, name = {}, None
    for i, line in enumerate(lines):
        is_short = len(line.text) <= 2 * MAX_HEADING_CHARS and not line.is_full and not SENTENCE_END.search(line.text)
        if i in chosen:
            name = chosen[i]
        elif name in NAME_BY_PLACE and is_short and ROMAN.match(line.text) and not heading_name(line.text):
            found[i] = name = NAME_BY_PLACE[name]
    return found


def _number_weight(text: str) -> float:
    return 1.5 if ROMAN.match(text) else 0.5 if ARABIC.match(text) else 0.0


def _weight(line: Line, body: float) -> float:
    """Return how much a line looks like a main heading: by its number, its letters' size and its place."""
    off_middle = abs(line.left + line.right - line.column_left - line.column_right) / 2
    is_centred = line.indent_em > 2 and off_middle < line.size
    return 1.0 + _number_weight(line.text) + (line.size > 1.06 * body) + 0.5 * is_centred
