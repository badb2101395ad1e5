"""A text read once: its sentences, clauses, words and numbers; and numbers that changed places."""

import collections
import functools
import itertools
import math
import re
from typing import NamedTuple

from parentcare.data.keywords import load_kiwi
from parentcare.data.pairing import split_sentences
from parentcare.evaluation.quantities import Quantity, agrees, find_quantities

_CONTENT = ("NNG", "NNP", "NR", "XR", "SL", "VV", "VA", "MAG")
_EMPTY = frozenset(
    "하 되 지 주 보 가 오 있 없 않 못 보이 나타나 것 관계 의미 집단 점수 평균 가장 더 더욱 다소 조금 약간 "
    "그렇 이렇 대하 따르 위하 통하 그러나 반면 다만 한편 이와".split()
)
_ENDINGS = frozenset(
    "으나 나 지만 고 으며 며 으면서 면서 는데 은데 ᆫ데 아 어 아서 어서 으니 니 므로 으므로 던데".split()
)
# a bracket goes with the clause before it
_CLAUSE_REST = re.compile(r"(?:\s*\([^)]*\))?,?\s*")
_BRACKETS = re.compile(r"\([^)]*\)")


class Clause(NamedTuple):
    """One clause: its text, its tokens, its content words; a number among these is '#3.5'."""

    text: str
    tokens: list
    words: set[str]


class Sentence(NamedTuple):
    """One sentence: its text, its clauses, its content words with their places, its numbers."""

    text: str
    clauses: list[Clause]
    words: list[tuple[str, int]]
    quantities: list[Quantity]


class Reading(NamedTuple):
    """A text's sentences, and in how many of them each word stands."""

    sentences: list[Sentence]
    frequency: collections.Counter

    def rarity(self, word: str) -> float:
        """Return the weight of a word: the rarer in the text, the heavier."""
        return math.log((len(self.sentences) + 1) / (self.frequency[word] + 0.5))


@functools.lru_cache(maxsize=4096)
def read(key: str) -> Reading:
    """Return the reading of a match key; each text is analysed once."""
    parts = split_sentences(key)
    sentences = [_read_sentence(*pair) for pair in zip(parts, load_kiwi().tokenize(parts), strict=True)]
    return Reading(sentences, collections.Counter(word for s in sentences for word in {word for word, _ in s.words}))


def _read_sentence(text: str, tokens: list) -> Sentence:
    quantities = find_quantities(text)
    words = [(t.form, t.start) for t in tokens if t.tag.startswith(_CONTENT) and t.form not in _EMPTY]
    words += [(f"#{abs(quantity.value):g}", quantity.start) for quantity in quantities]
    # what stands in brackets is not what the clause claims, and ends none
    brackets = [match.span() for match in _BRACKETS.finditer(text)]
    outside = [token for token in tokens if not any(start <= token.start < end for start, end in brackets)]
    clauses = []
    for start, end in itertools.pairwise([0, *_clause_ends(outside, text)]):
        inside = [token for token in outside if start <= token.start < end]
        clauses.append(Clause(text[start:end], inside, {word for word, at in words if start <= at < end}))
    return Sentence(text, clauses, words, quantities)


def _clause_ends(tokens: list, text: str) -> list[int]:
    # an auxiliary still belongs to the verb
    ends = [
        _CLAUSE_REST.match(text, token.end).end()
        for token, after in itertools.pairwise(tokens)
        if token.tag == "EC" and token.form in _ENDINGS and not after.tag.startswith("VX")
    ]
    return [*ends, len(text)]


# --- two numbers that changed places -----------------------------------------------------------


def find_swaps(said: Reading, source: Reading) -> list[str]:
    """Return pairs of a sentence's numbers, as words, where what the text says of each is said of the other."""
    found = []
    for sentence in said.sentences:
        for pair in itertools.combinations(sentence.quantities, 2):
            if pair[0].sort != pair[1].sort or abs(pair[0].value) == abs(pair[1].value):
                continue
            first, second = (label(sentence, quantity) for quantity in pair)
            one, other = (_labels_in(source, quantity) for quantity in pair)
            first, second, one, other = first - second, second - first, one - other, other - one
            if first & other and second & one and not (first & one or second & other):
                found.append(", ".join(quantity.words for quantity in pair))
    return found


def label(sentence: Sentence, quantity: Quantity) -> set[str]:
    """Return the words between a number and the one of its sort before it: in Korean what names it stands there."""
    start = max((q.end for q in sentence.quantities if q.sort == quantity.sort and q.start < quantity.start), default=0)
    return {word for word, at in sentence.words if start <= at < quantity.start and word[0] != "#"}


def _labels_in(source: Reading, quantity: Quantity) -> set[str]:
    places = [(sentence, other) for sentence in source.sentences for other in sentence.quantities]
    return {word for sentence, other in places if agrees(quantity, other) for word in label(sentence, other)}
