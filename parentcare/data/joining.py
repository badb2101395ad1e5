"""Printed lines joined to paragraphs: which lines belong together, and where a space goes between them.

Hancom breaks Korean lines inside words, without a space at their ends; the author's spacing elsewhere stays.
"""

import collections
import itertools
import re

from parentcare.data.cleaning import SENTENCE_END, is_prose_line, line_pitch
from parentcare.data.keywords import load_kiwi
from parentcare.data.layout import Line, body_size
from parentcare.data.quality import HANGUL, hangul_share

LIST_MARK = re.compile(r"^\s*(?:\(?\d{1,2}[.)]\s|[가-하][.)]\s|[①-⑳○●■□▪◦▷▶◆◇•※]|[-–]\s|연구\s*(?:문제|가설)\s*\d)")
# a list's item or a heading even where the line before it ends no sentence
NUMBERED = re.compile(r"^\s*\d{1,2}\.\s+[가-힣“‘(<「]")
# below this share of the column, a line without a sentence's end is a heading or a cell, not a ragged line
RAGGED_SHARE = 0.6
# A paragraph begins this far inside its column, in letter sizes; further in stand cells and centred lines.
INDENT_EM = (0.25, 4.0)
# What ends a sentence of prose; the point of a cell's number or of a heading's “가.” does not.
WORDS_END = re.compile(r"(?:[가-힣]{2}|[a-z]{2}|[)\]])[\"'”’)\]]*[.?!](?:\s|$)")
# a paragraph that no sentence ends is prose if it has at least this many characters
MIN_UNENDED_CHARS = 60
# Where Kiwi wants a space at nearly all of this many breaks, the lines were broken at spaces only.
ALL_SPACES_SHARE, MIN_BREAKS = 0.93, 30
CLOSING = set(".,)]}%”’»」』】〉》:;?!~…·ㆍ․‧・/")
OPENING = set("([{“‘「『【〈《<")
# What stands behind a bracket, a quotation mark or % without a space: particles and the copula.
PARTICLE = re.compile(
    r"(?:은|는|이|가|을|를|의|에|도|만|과|와|나|로|다|고|며|인|일|씩|까지|부터|보다|처럼|마다|에서|에게|에게서|한테|으로|이나|만이|만을|만큼"
    r"|(?:으로|로|에|에서|와|과|까지|부터|만)?(?:은|는|도|의|만)|으?로(?:써|서|부터)"
    r"|이?(?:라|라는|라고|라며|라면|라도|었다|였다|었으며|였으며|었고|였고|었으나|였으나|며|고|다|지만|므로))[.,;:)”’]*"
)


def join_paragraphs(groups: list[list[Line]], paper: list[Line]) -> list[list[str]]:
    """Return, for each group of lines (a section, an abstract), its paragraphs of prose as text.

    What is no prose goes, as a figure's label, and what stood around it is one paragraph again. `paper`
    has all lines, whose own spacing decides first.
    """
    pitch, body = line_pitch(paper), body_size(paper)
    paragraphs = []
    for lines in groups:
        prose = [line for found in link_lines(lines, pitch) if is_prose(found, body) for line in found]
        paragraphs.append(link_lines(prose, pitch))
    inner = "\n".join(line.text.strip() for line in paper)
    texts = iter(join_lines([[line.text for line in lines] for group in paragraphs for lines in group], inner))
    return [[next(texts) for _ in group] for group in paragraphs]


def link_lines(lines: list[Line], pitch: float) -> list[list[Line]]:
    """Return the paragraphs of consecutive lines."""
    paragraphs: list[list[Line]] = []
    for line in lines:
        if paragraphs and goes_on(paragraphs[-1], line, pitch):
            paragraphs[-1].append(line)
        else:
            paragraphs.append([line])
    return paragraphs


def goes_on(paragraph: list[Line], line: Line, pitch: float) -> bool:
    """Return whether `line` goes on with the paragraph."""
    last = paragraph[-1]
    ends = bool(SENTENCE_END.search(last.text))
    same_page = last.page == line.page
    # prose goes up the page only to the next column
    goes_back = same_page and line.y > last.y + line.size and line.column <= max(1, last.column)
    if last.is_paragraph or goes_back or abs(last.size - line.size) > 0.12 * last.size or NUMBERED.match(line.text):
        return False
    stands_apart = same_page and last.column == line.column and last.y - line.y > 1.4 * pitch
    if ends and (stands_apart or LIST_MARK.match(line.text)):
        return False
    is_indented = line.indent_em > INDENT_EM[0]
    if not last.is_full:
        share = (last.right - last.column_left) / max(1.0, last.column_right - last.column_left)
        return not ends and not is_indented and share > RAGGED_SHARE
    if is_indented and line.indent_em < INDENT_EM[1]:
        # an indented block, as of an interview, goes on at its own edge
        return not ends or (len(paragraph) > 1 and abs(line.left - last.left) < 0.3 * line.size)
    return not is_indented


def is_prose(paragraph: list[Line], body: float) -> bool:
    """Return whether a sentence ends in the lines, they are long, or one fills its column in `body` points."""
    text = " ".join(line.text for line in paragraph)
    is_long = bool(WORDS_END.search(text)) or len(text) >= MIN_UNENDED_CHARS
    return is_long or any(line.is_full and is_prose_line(line, body) for line in paragraph)


def is_korean(text: str) -> bool:
    """Return whether most letters are Hangul."""
    return hangul_share(text) > 0.5


def join_lines(paragraphs: list[list[str]], inner: str) -> list[str]:
    """Return each paragraph's lines as one text, with a space or none at each break.

    A space glyph at the break is a space. Between Hangul the paper's other lines, `inner`, decide, else
    Kiwi, given the paragraph glued at its breaks; beside Latin letters, digits and signs a rule does.
    """
    habits = count_habits(inner)
    breaks = _find_breaks(paragraphs)
    kiwi = [wanted for found in breaks for left, right, wanted in found if is_hangul_break(left, right)]
    by_words = len(kiwi) >= MIN_BREAKS and sum(kiwi) > ALL_SPACES_SHARE * len(kiwi)
    texts = []
    for lines, found in zip(paragraphs, breaks, strict=True):
        text = lines[0].strip()
        for left, right, wanted in found:
            if is_hangul_break(left, right):
                space = by_words or own_spacing(left, right, inner, default=wanted)
            else:
                space = left.endswith(" ") or space_beside_signs(left, right, habits)
            text += (" " if space else "") + right.strip()
        texts.append(text.replace("\t", " "))
    return texts


def _find_breaks(paragraphs: list[list[str]]) -> list[list[tuple[str, str, bool]]]:
    """Return (line, next line, whether Kiwi puts a space between them) of each paragraph's breaks."""
    glued = ["".join(line.strip() for line in lines) for lines in paragraphs]
    breaks = []
    for lines, spaced in zip(paragraphs, load_kiwi().space(glued), strict=True):
        # counted in characters that are no spaces
        word_ends = set(itertools.accumulate(map(len, spaced.split())))
        line_ends = itertools.accumulate(len("".join(line.split())) for line in lines)
        breaks.append(
            [(a, b, end in word_ends) for (a, b), end in zip(itertools.pairwise(lines), line_ends, strict=False)]
        )
    return breaks


def is_hangul_break(left: str, right: str) -> bool:
    """Return whether a break stands between two Hangul syllables, without a space glyph."""
    return bool(HANGUL.match(left[-1:]) and HANGUL.match(right.lstrip()[:1]))


def own_spacing(left: str, right: str, inner: str, default: bool) -> bool:
    """Return whether the paper writes a space between these two where it has them inside a line.

    The last word of `left` with the first syllable of `right`, else the two syllables on either side:
    twice as often with a space as without, or the reverse, decides. Kiwi alone is right less often:
    benchmarks/results/papers.json.
    """
    word, first = left.split(" ")[-1], right.lstrip()
    pairs = [(f" {word}", first[:1])] if word != left else []
    if " " not in left[-2:] + first[:2]:
        pairs.append((left[-2:], first[:2]))
    for before, after in pairs:
        glued, spaced = inner.count(before + after), inner.count(f"{before} {after}")
        if max(glued, spaced) >= max(1, 2 * min(glued, spaced)):
            return spaced > glued
    return default


def kind(char: str) -> str:
    """Return H for Hangul, D for a digit, L for another letter, else the character."""
    return "H" if HANGUL.match(char) else "D" if char.isdigit() else "L" if char.isalpha() else char


def count_habits(inner: str) -> tuple[collections.Counter, collections.Counter]:
    """Return how often two kinds of characters touch in a text, and how often one space is between."""
    kinds = "".join(map(kind, inner))
    touching = collections.Counter(itertools.pairwise(kinds))
    spaced = collections.Counter((a, b) for a, gap, b in zip(kinds, kinds[1:], kinds[2:], strict=False) if gap == " ")
    return touching, spaced


def space_beside_signs(left: str, right: str, habits: tuple[collections.Counter, collections.Counter]) -> bool:
    """Return whether a space belongs at a break beside a Latin letter, a digit or a sign."""
    left, right = left.rstrip(), right.lstrip()
    before, after = left[-1], right[0]
    a = kind(before)
    b = "D" if re.match(r"[-−]?\.?\d", right) else kind(after)
    if a == b and a in "LD":
        return a == "L"
    if a in OPENING or b in CLOSING or (a == "-" and b == "L") or (before == "제" and b == "D"):
        return False
    if re.search(r"\d,$", left) and re.match(r"\d{3}(?!\d)", right):
        return False
    if before == "." and b == "D":
        return bool(re.search(r"[가-힣)\]][.]$", left))
    if b == "H" and a in ")]”’%":
        return not PARTICLE.fullmatch(right.split(" ")[0])
    touching, spaced = habits[0][a, b], habits[1][a, b]
    if max(touching, spaced) >= 2 * min(touching, spaced) + 2:
        return spaced > touching
    if b == "(" or b == "[":
        return a == "L"
    return before in ".,:;?!" or b in OPENING or (a, b) in {("H", "D"), ("H", "L")}
