"""Summaries without a model, made of the text's own sentences: lead-3, TextRank and the oracle.

Authors' abstracts borrow from the body, so these are strong; a tuned model has to be read beside them.
"""

import collections
import math

import numpy as np

from parentcare.data.pairing import split_sentences
from parentcare.evaluation.metrics import analyse

SENTENCES = 3
DAMPING = 0.85
# what carries meaning: nouns, roots, verbs, adjectives, adverbs, foreign words, Hanja, numbers
CONTENT_TAGS = ("NN", "NP", "NR", "XR", "VV", "VA", "MAG", "SL", "SH", "SN")


def extract_lead(texts: list[str], sentences: int = SENTENCES) -> list[str]:
    """Return the first sentences of each text."""
    return [" ".join(split_sentences(text)[:sentences]) for text in texts]


# --- TextRank ----------------------------------------------------------------------------------


def extract_textrank(texts: list[str], sentences: int = SENTENCES) -> list[str]:
    """Return the most central sentences of each text, in the text's order.

    Mihalcea & Tarau, TextRank: Bringing Order into Text (2004), over Kiwi's content morphemes.
    """
    split = [split_sentences(text) for text in texts]
    analyses = analyse(sentence for parts in split for sentence in parts)
    extracts = []
    for parts in split:
        words = [{form for form, tag in analyses[part] if tag.startswith(CONTENT_TAGS)} for part in parts]
        ranks = rank_nodes(similarity_graph(words))
        # a stable sort: equally central sentences keep the text's order
        best = sorted(np.argsort(-ranks, kind="stable")[:sentences])
        extracts.append(" ".join(parts[i] for i in best))
    return extracts


def similarity_graph(words: list[set[str]]) -> np.ndarray:
    """Return (sentences, sentences) weights: shared words over the logarithms of both lengths."""
    graph = np.zeros((len(words), len(words)))
    for i, first in enumerate(words):
        for j, second in enumerate(words[:i]):
            # sentences of one word have no logarithm to divide by
            lengths = math.log(max(len(first), 2)) + math.log(max(len(second), 2))
            graph[i, j] = graph[j, i] = len(first & second) / lengths
    return graph


def rank_nodes(graph: np.ndarray) -> np.ndarray:
    """Return (nodes,) ranks that sum to the number of nodes.

    A node without edges passes its rank to all, as PageRank does.
    """
    nodes = len(graph)
    out = graph.sum(axis=1, keepdims=True)
    transition = np.where(out > 0, graph / np.where(out > 0, out, 1), 1 / max(1, nodes))
    ranks = np.linalg.solve(np.eye(nodes) - DAMPING * transition.T, np.full(nodes, 1 - DAMPING))
    # equal ranks that differ by rounding only stay equal
    return ranks.round(9)


# --- oracle ------------------------------------------------------------------------------------


def extract_oracle(texts: list[str], references: list[str]) -> list[str]:
    """Return for each text the sentences that come closest to its reference: a ceiling, not a system.

    Greedy: the sentence that raises ROUGE-1 plus ROUGE-L F1 most is added until none does
    (Nallapati et al., SummaRuNNer, 2017).
    """
    split = [split_sentences(text) for text in texts]
    analyses = analyse([*(part for parts in split for part in parts), *references])
    morphemes = {text: [form for form, _ in pairs] for text, pairs in analyses.items()}
    extracts = []
    for parts, reference in zip(split, references, strict=True):
        chosen = choose_sentences([morphemes[part] for part in parts], morphemes[reference])
        extracts.append(" ".join(parts[i] for i in chosen))
    return extracts


def choose_sentences(sentences: list[list[str]], reference: list[str]) -> list[int]:
    """Return the places of the greedily chosen sentences, ascending; none where no word is shared."""
    chosen: list[int] = []
    best = 0.0
    while len(chosen) < len(sentences):
        options = [sorted([*chosen, i]) for i in range(len(sentences)) if i not in chosen]
        gains = [closeness([form for i in option for form in sentences[i]], reference) for option in options]
        if max(gains) <= best:
            break
        best = max(gains)
        chosen = options[gains.index(best)]
    return chosen


def closeness(candidate: list[str], reference: list[str]) -> float:
    """Return ROUGE-1 plus ROUGE-L F1 of two token lists, 0 to 2."""
    total = len(candidate) + len(reference)
    shared = (collections.Counter(candidate) & collections.Counter(reference)).total()
    return 2 * (shared + lcs_length(candidate, reference)) / total if total else 0.0


def lcs_length(first: list[str], second: list[str]) -> int:
    """Return the length of the longest common subsequence, by bit vectors (Hyyrö, 2004).

    One big-integer step per token of `second`: greedy choice asks for thousands of lengths.
    """
    places: dict[str, int] = collections.defaultdict(int)
    for i, token in enumerate(first):
        places[token] |= 1 << i
    full = (1 << len(first)) - 1
    row = full
    for token in second:
        matches = row & places.get(token, 0)
        row = ((row + matches) | (row - matches)) & full
    return len(first) - row.bit_count()
