"""The split by paper: train, validation and test parts that share no paper and no near-duplicate."""

import collections
import hashlib

from parentcare.data.duplicates import nearest_pair, similar_records
from parentcare.data.records import flat_key

PARTS = ("train", "validation", "test")
# upper ends of the parts' intervals in [0, 1): 70 % train, 10 % validation, 20 % test expected
BOUNDARIES = (0.70, 0.80, 1.00)
# above this many held-out rows, the nearest pair is looked for among the first ones only
NEAREST_PAIR_ROWS = 2_000


def has_paper_id(record: dict) -> bool:
    """Return whether the record names its paper; None, an empty text and NaN do not, 0 does."""
    paper = record.get("paper_id")
    return paper is not None and paper != "" and paper == paper


def paper_key(record: dict) -> str:
    """Return what identifies the record's paper: paper_id (a DOI or KCI id), else title, else row text."""
    if has_paper_id(record):
        return str(record["paper_id"])
    if record.get("title"):
        return "title:" + flat_key(str(record["title"]))
    return "text:" + hashlib.sha256(record["text"].encode()).hexdigest()[:16]


def name_records(records: list[dict]) -> list[dict]:
    """Return the records with an `id` of their own each: the one given, else 'row-<n>', repeated ones numbered."""
    seen: collections.Counter = collections.Counter()
    named = []
    for row, record in enumerate(records, start=1):
        name = str(record.get("id") or f"row-{row}")
        seen[name] += 1
        named.append(record | {"id": name if seen[name] == 1 else f"{name}#{seen[name]}"})
    return named


def split_position(paper: str) -> float:
    """Return the paper's place in [0, 1), from a hash of its id: the same on every machine."""
    return int.from_bytes(hashlib.sha256(paper.encode()).digest()[:8], "big") / 2**64


def part_at(position: float) -> str:
    """Return the part whose interval holds the position."""
    return next(part for part, end in zip(PARTS, BOUNDARIES, strict=True) if position < end)


def group_papers(papers: list[str], pairs: list[tuple]) -> dict[str, str]:
    """Return paper → name of its group; `pairs` begin with the places in `papers` of two records that are alike."""
    leader = {paper: paper for paper in papers}

    def find(paper: str) -> str:
        while leader[paper] != paper:
            leader[paper] = leader[leader[paper]]
            paper = leader[paper]
        return paper

    for i, j, *_ in pairs:
        a, b = sorted((find(papers[i]), find(papers[j])))
        leader[b] = a
    return {paper: find(paper) for paper in leader}


def assign_parts(groups: dict[str, str]) -> tuple[dict[str, str], list[str]]:
    """Return (paper → part, messages). A group takes its most held-out member's part.

    Raises ValueError where there are fewer groups than parts.
    """
    position: dict[str, float] = {}
    for paper, group in groups.items():
        position[group] = max(position.get(group, 0.0), split_position(paper))
    if len(position) < len(PARTS):
        raise ValueError(
            f"{len(groups)} papers in {len(position)} groups of near-duplicates are too few to split into "
            f"{', '.join(PARTS)}; at least {len(PARTS)} groups are needed, 20 test papers for a verdict"
        )
    part = {group: part_at(x) for group, x in position.items()}
    messages = [_fill_empty(name, position, part) for name in PARTS if name not in part.values()]
    return {paper: part[group] for paper, group in groups.items()}, messages


def split_records(records: list[dict]) -> tuple[dict[str, list[dict]], dict]:
    """Return (part → records, report). The report has papers, groups, near-duplicates, messages."""
    papers = [paper_key(record) for record in records]
    pairs = list(similar_records(records))
    groups = group_papers(papers, pairs)
    part_of, messages = assign_parts(groups)
    parts = {part: [r for r, p in zip(records, papers, strict=True) if part_of[p] == part] for part in PARTS}
    report = {
        "papers": {part: list(part_of.values()).count(part) for part in PARTS},
        "records": {part: len(rows) for part, rows in parts.items()},
        "groups": len(set(groups.values())),
        "near_duplicate_pairs": len(pairs),
        "across_papers": [(papers[i], papers[j], round(s, 2)) for i, j, s, _ in pairs if papers[i] != papers[j]],
        "without_paper_id": sum(not has_paper_id(r) for r in records),
        "part_of": part_of,
        "messages": messages,
    }
    return parts, report


def find_leaks(parts: dict[str, list[dict]]) -> list[str]:
    """Return in words every paper or near-duplicate that stands in two parts; empty when clean."""
    rows = [(part, record) for part in PARTS for record in parts[part]]
    places = collections.defaultdict(set)
    for part, record in rows:
        places[paper_key(record)].add(part)
    leaks = [f"paper {paper} is in {sorted(found)}" for paper, found in places.items() if len(found) > 1]
    for i, j, similarity, field in similar_records([record for _, record in rows]):
        if rows[i][0] != rows[j][0]:
            leaks.append(f"{field} of {rows[i][0]} and {rows[j][0]} agree at {similarity:.2f}")
    return leaks


def nearest_across(parts: dict[str, list[dict]]) -> tuple[dict, dict, float]:
    """Return (training record, held-out record, Jaccard of their texts) of the closest pair across the parts."""
    held_out = (parts["test"] + parts["validation"])[:NEAREST_PAIR_ROWS]
    i, j, similarity = nearest_pair([r["text"] for r in parts["train"]], [r["text"] for r in held_out])
    return parts["train"][i], held_out[j], similarity


def moved_papers(before: dict[str, list[dict]], part_of: dict[str, str]) -> list[str]:
    """Return the papers that another part held in an earlier split: only bridged groups move."""
    earlier = {paper_key(record): part for part, rows in before.items() for record in rows}
    return sorted(p for p, part in earlier.items() if part_of.get(p, part) != part)


def _fill_empty(name: str, position: dict[str, float], part: dict[str, str]) -> str:
    """Give the empty part the nearest group of a part that can spare one; return the message."""
    index = PARTS.index(name)
    start, end = (0.0, *BOUNDARIES)[index], BOUNDARIES[index]
    counts = collections.Counter(part.values())
    spare = [group for group in position if counts[part[group]] > 1]
    nearest = min(spare, key=lambda g: (max(start - position[g], position[g] - end), g))
    moved_from, part[nearest] = part[nearest], name
    return f"{name} was empty and took the nearest group, {nearest}, from {moved_from}"
