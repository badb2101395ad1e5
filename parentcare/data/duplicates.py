"""Near-duplicate texts: character 5-grams without whitespace, MinHash-LSH, then exact Jaccard.

The same Korean abstract is often spaced differently in two places: such a pair has a Jaccard similarity of 0.88 with
spaces and 1.0 without. MinHash: Broder, On the resemblance and containment of documents (1997).
"""

import functools
import zlib
from collections.abc import Iterator

import numpy as np
from datasketch import MinHash, MinHashLSH

SHINGLE_CHARS = 5
NEAR_DUPLICATE_JACCARD = 0.7
# crc32 makes it the same on every machine
EMPTY_SKETCH = MinHash(num_perm=64, hashfunc=zlib.crc32)
# 16 bands of 4 rows: a pair at 0.7 becomes a candidate with probability 1 − (1 − 0.7⁴)¹⁶ = 0.99
BANDS, ROWS = 16, 4


def shingles(text: str) -> set[str]:
    """Return the character 5-grams of `text` without whitespace; a shorter text is its own one."""
    flat = "".join(text.split())
    return {flat[i : i + SHINGLE_CHARS] for i in range(max(1, len(flat) - SHINGLE_CHARS + 1))}


def jaccard(first: str, second: str) -> float:
    """Return the exact Jaccard similarity of two texts' shingles, 0 to 1."""
    a, b = shingles(first), shingles(second)
    return len(a & b) / len(a | b)


@functools.cache
def sketch(text: str) -> MinHash:
    """Return the MinHash signature of a text, made once: the split, its check and the nearest pair ask for the same."""
    signature = EMPTY_SKETCH.copy()
    signature.update_batch([shingle.encode() for shingle in shingles(text)])
    return signature


def near_duplicates(texts: list[str]) -> Iterator[tuple[int, int, float]]:
    """Yield (i, j, Jaccard), i < j, for pairs at or above the threshold; memory grows with `texts`.

    Identical texts are compared once: each copy is paired with the first of its kind only.
    """
    first_seen: dict[str, int] = {}
    lsh = MinHashLSH(num_perm=EMPTY_SKETCH.num_perm, params=(BANDS, ROWS))
    for j, text in enumerate(texts):
        first = first_seen.setdefault("".join(text.split()), j)
        if first != j:
            yield first, j, 1.0
            continue
        for i in sorted(lsh.query(sketch(text))):
            similarity = jaccard(texts[i], text)
            if similarity >= NEAR_DUPLICATE_JACCARD:
                yield i, j, similarity
        lsh.insert(j, sketch(text))


def similar_records(records: list[dict]) -> Iterator[tuple[int, int, float, str]]:
    """Yield (i, j, Jaccard, field) for records that are near-duplicates in `text`, then in `summary`."""
    for field in ("text", "summary"):
        for pair in near_duplicates([record[field] for record in records]):
            yield *pair, field


def nearest_pair(first: list[str], second: list[str]) -> tuple[int, int, float]:
    """Return (i, j, exact Jaccard) of the pair of `first` and `second` with the closest signatures.

    The cost is len(first) × len(second) × 64 comparisons of integers.
    """
    a, b = (np.array([sketch(text).hashvalues for text in texts]) for texts in (first, second))
    agreements = np.array([(a == row).sum(axis=1, dtype=np.uint8) for row in b])
    j, i = np.unravel_index(agreements.argmax(), agreements.shape)
    return i, j, jaccard(first[i], second[j])
