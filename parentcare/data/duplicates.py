"""Near-duplicate texts: character 5-grams without whitespace, MinHash-LSH, then exact Jaccard.

Spacing is ignored because the same Korean abstract is often spaced differently in two places:
with spaces kept, such a pair has a Jaccard similarity of 0.88, without them 1.0.
MinHash: Broder, On the resemblance and containment of documents (1997).
"""

import re
import zlib
from collections.abc import Iterator

import numpy as np
from datasketch import MinHash, MinHashLSH

SHINGLE_CHARS = 5
NEAR_DUPLICATE_JACCARD = 0.7
PERMUTATIONS = 64
# 16 bands of 4 rows: a pair at 0.7 becomes a candidate with probability 1 − (1 − 0.7⁴)¹⁶ = 0.99
BANDS, ROWS = 16, 4


def shingles(text: str) -> set[str]:
    """Return the character 5-grams of `text` without whitespace; a shorter text is its own one."""
    flat = re.sub(r"\s+", "", text)
    return {flat[i : i + SHINGLE_CHARS] for i in range(max(1, len(flat) - SHINGLE_CHARS + 1))}


def jaccard(first: str, second: str) -> float:
    """Return the exact Jaccard similarity of two texts' shingles, 0 to 1."""
    a, b = shingles(first), shingles(second)
    return len(a & b) / len(a | b)


def sketch(text: str) -> MinHash:
    """Return the MinHash signature of a text; crc32 makes it the same on every machine."""
    signature = MinHash(num_perm=PERMUTATIONS, hashfunc=zlib.crc32)
    signature.update_batch([shingle.encode() for shingle in shingles(text)])
    return signature


def near_duplicates(texts: list[str], threshold: float = NEAR_DUPLICATE_JACCARD) -> Iterator[tuple[int, int, float]]:
    """Yield (i, j, Jaccard), i < j, for pairs at or above the threshold; memory grows with `texts`.

    Identical texts are compared once: each copy is paired with the first of its kind only.
    """
    first_seen: dict[str, int] = {}
    lsh = MinHashLSH(num_perm=PERMUTATIONS, params=(BANDS, ROWS))
    for j, text in enumerate(texts):
        flat = re.sub(r"\s+", "", text)
        if flat in first_seen:
            yield first_seen[flat], j, 1.0
            continue
        first_seen[flat] = j
        signature = sketch(text)
        for i in sorted(lsh.query(signature)):
            similarity = jaccard(texts[i], text)
            if similarity >= threshold:
                yield i, j, similarity
        lsh.insert(j, signature)


def nearest_pair(first: list[str], second: list[str]) -> tuple[int, int, float]:
    """Return (i, j, exact Jaccard) of the pair of `first` and `second` with the closest signatures.

    The cost is len(first) × len(second) × 64 comparisons of integers.
    """
    a = np.array([sketch(text).hashvalues for text in first], dtype=np.uint32)
    b = np.array([sketch(text).hashvalues for text in second], dtype=np.uint32)
    agreements = [(a == row).sum(axis=1) for row in b]
    j = int(np.argmax([column.max() for column in agreements]))
    i = int(agreements[j].argmax())
    return i, j, jaccard(first[i], second[j])
