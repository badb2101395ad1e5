"""A text read once: its sentences, clauses and numbers, and the words around any place in it."""

import bisect
import collections
import functools
import itertools
import math
import re
from typing import NamedTuple

from parentcare.data.keywords import load_kiwi
from parentcare.data.pairing import split_sentences
from parentcare.evaluation.quantities import Quantity, agrees, find_quantities


class Decays(NamedTuple):
    """By what the weight of a word falls with each word and clause between, and behind the place."""

    word: float
    clause: float
    after: float


# Korean puts its heads last: what names a number stands before it; all chosen on the sample papers 001-060
LABEL_DECAYS, RIVAL_DECAY = Decays(word=0.8, clause=0.4, after=0.05), 0.3
# two numbers changed places where the words that tell them apart do so: at each by this share of their weight
SWAPPED_SHARE = 0.05
NUMBER_WEIGHT = 2.0
_CONTENT = ("NNG", "NNP", "NR", "XR", "SL", "VV", "VA", "VX", "MAG")
_EMPTY = frozenset(
    "하 되 지 주 보 가 오 보이 나타나 것 그렇 이렇 대하 따르 위하 통하 그러나 반면 다만 한편 이와".split()
)
_ENDINGS = frozenset(
    "으나 나 지만 고 으며 며 으면서 면서 는데 은데 ᆫ데 아 어 아서 어서 으니 니 므로 으므로 던데".split()
)


class Clause(NamedTuple):
    """One clause: its tokens outside brackets, its text with them, and its place in the sentence."""

    tokens: list
    text: str
    start: int


class Sentence(NamedTuple):
    """One sentence: its text, its clauses, its words as (key, place, clause), its numbers."""

    text: str
    clauses: list[Clause]
    words: list[tuple[str, int, int]]
    quantities: list[Quantity]


class Reading(NamedTuple):
    """A text's sentences, and in how many of them each word stands."""

    sentences: list[Sentence]
    frequency: collections.Counter

    def rarity(self, key: str) -> float:
        """Return the weight of a word: the rarer in the text, the heavier."""
        return math.log((len(self.sentences) + 1) / (self.frequency[key] + 0.5))


@functools.lru_cache(maxsize=4096)
def read(key: str) -> Reading:
    """Return the reading of a match key; each text is analysed once."""
    parts = split_sentences(key)
    sentences = [_read_sentence(*pair) for pair in zip(parts, load_kiwi().tokenize(parts), strict=True)]
    return Reading(sentences, collections.Counter(key for s in sentences for key in {word[0] for word in s.words}))


def _read_sentence(text: str, tokens: list) -> Sentence:
    clauses, quantities = split_clauses(tokens, text), find_quantities(text)
    starts = [clause.start for clause in clauses]
    words = [(t.form, t.start) for t in tokens if t.tag.startswith(_CONTENT) and t.form not in _EMPTY]
    words += [(number_key(quantity), quantity.start) for quantity in quantities]
    placed = [(key, at, max(0, bisect.bisect(starts, at) - 1)) for key, at in sorted(words, key=lambda word: word[1])]
    return Sentence(text, clauses, placed, quantities)


def number_key(quantity: Quantity) -> str:
    """Return the word that stands for a number among other words."""
    return f"#{abs(quantity.value):g}"


def split_clauses(tokens: list, text: str) -> list[Clause]:
    """Return the clauses of one sentence; a bracket goes with the clause before it."""
    starts, bodies, depth, ended = [], [], 0, True
    for token, after in itertools.zip_longest(tokens, tokens[1:]):
        if ended and depth == 0 and (not bodies or token.tag not in ("SSO", "SP")):
            starts, bodies, ended = [*starts, token.start], [*bodies, []], False
        depth += token.form == "("
        bodies[-1] += [token] if depth == 0 else []
        # an auxiliary or a denial still belongs to the verb
        bound = after is None or after.tag.startswith("VX") or after.form in ("못", "않", "있", "지")
        ended = ended or (token.tag == "EC" and token.form in _ENDINGS and depth == 0 and not bound)
        ended = ended or (token.form in ("반면", "비하", "반하", "견주") and len(bodies[-1]) > 1)
        depth = max(0, depth - (token.form == ")"))
    ends = [*starts[1:], len(text)]
    return [Clause(b, text[start:end], start) for b, start, end in zip(bodies, starts, ends, strict=False)]


# --- two numbers that changed places -----------------------------------------------------------


def find_swaps(said: Reading, source: Reading) -> list[str]:
    """Return pairs of a sentence's numbers, as words, that stand the other way round in the text."""
    return [
        f"{first.words}, {second.words}"
        for place, sentence in enumerate(said.sentences)
        for first, second in itertools.combinations(sentence.quantities, 2)
        if _may_swap(first, second) and _is_swapped(said, place, (first, second), source)
    ]


def _may_swap(first: Quantity, second: Quantity) -> bool:
    counters = {re.sub(r"^[\d.\s만-]+", "", q.words) for q in (first, second)}
    known = first.unit or first.statistic or first.value % 1
    one_sort = first.unit == second.unit and bool(first.statistic) == bool(second.statistic)
    alike = one_sort and len(counters) == 1 and first.digits and second.digits and known
    return bool(alike) and abs(first.value) != abs(second.value)


def _is_swapped(said: Reading, place: int, pair: tuple[Quantity, Quantity], source: Reading) -> bool:
    ours = [label(said, place, quantity) for quantity in pair]
    ignored = {number_key(quantity) for quantity in pair}
    best, verdict = 0.0, False
    for (i, first), (j, second) in itertools.product(*(_places(quantity, source) for quantity in pair)):
        if abs(i - j) > 1:
            continue
        theirs = [label(source, i, first), label(source, j, second)]
        near = sum(likeness(a, b, source) for a, b in itertools.product(ours, theirs))
        if near > best:
            best, verdict = near, _contradict(ours, theirs, ignored, source)
    return verdict


def _contradict(ours: list[dict], theirs: list[dict], ignored: set[str], source: Reading) -> bool:
    """Return whether the words of each of our two numbers stand at the other one in the text."""
    sides, total = [0.0, 0.0], 0.0
    for word in (ours[0].keys() | ours[1].keys()) - ignored:
        here, there = (two[0].get(word, 0) - two[1].get(word, 0) for two in (ours, theirs))
        sides[here < 0] += source.rarity(word) * here * there
        total += source.rarity(word) * abs(here * there)
    return total > 0 and max(sides) <= -SWAPPED_SHARE * total


def _places(quantity: Quantity, source: Reading) -> list[tuple[int, Quantity]]:
    return [(i, q) for i, sentence in enumerate(source.sentences) for q in sentence.quantities if agrees(quantity, q)]


def label(reading: Reading, place: int, quantity: Quantity) -> dict[str, float]:
    """Return the words around a number; those behind another of its sort weigh less."""
    sentence = reading.sentences[place]
    rivals = [q.start for q in sentence.quantities if q.unit == quantity.unit and q.start != quantity.start]
    return weigh_words(sentence, quantity.start, LABEL_DECAYS, rivals)


def weigh_words(sentence: Sentence, at: int, decays: Decays, rivals: list[int] = ()) -> dict[str, float]:
    """Return word → weight around character `at` of a sentence."""
    rank = bisect.bisect_left([start for _, start, _ in sentence.words], at)
    part = bisect.bisect([clause.start for clause in sentence.clauses], at) - 1
    weights: dict[str, float] = {}
    for other, (key, start, clause) in enumerate(sentence.words):
        if start != at:
            between = sum(min(start, at) < rival < max(start, at) for rival in rivals)
            weight = decays.word ** abs(other - rank) * decays.clause ** abs(clause - part) * RIVAL_DECAY**between
            weights[key] = max(weight * (1 if start < at else decays.after), weights.get(key, 0))
    return weights


def likeness(wanted: dict[str, float], found: dict[str, float], source: Reading) -> float:
    """Return the share of the wanted words' weight that the found ones have, 0 to 1; rare words count more."""
    total = shared = 0.0
    for key, weight in wanted.items():
        worth = source.rarity(key) * weight * (NUMBER_WEIGHT if key[0] == "#" else 1)
        total += worth
        shared += worth * min(1.0, found.get(key, 0) / weight)
    return shared / total if total else 0.0
