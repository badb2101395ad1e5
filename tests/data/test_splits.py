import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parentcare.data.duplicates import jaccard, near_duplicates, nearest_pair, shingles, sketch
from parentcare.data.splits import (
    PARTS,
    assign_parts,
    find_leaks,
    group_papers,
    moved_papers,
    nearest_across,
    paper_key,
    part_at,
    split_position,
    split_records,
)


def papers(count: int) -> list[dict]:
    """Return papers that have nothing in common."""
    words = [" ".join(hashlib.sha256(f"{i}/{j}".encode()).hexdigest() for j in range(3)) for i in range(count)]
    return [{"paper_id": f"p{i}", "text": word, "summary": word[:40]} for i, word in enumerate(words)]


def test_spacing_does_not_hide_a_near_duplicate():
    assert jaccard("유아의 또래 상호작용을 보았다", "유아의또래상호작용을보았다") == 1.0
    assert shingles("가나") == {"가나"}


def test_a_lightly_edited_copy_is_found_and_an_unrelated_text_is_not():
    text = (
        "만 4세 유아의 놀이 장면을 8주 동안 관찰하여 또래와 주고받은 말의 수와 길이를 헤아리고 집단별로 견주었다. " * 3
    )
    edited = text.replace("8주", "9주")
    pairs = list(near_duplicates([text, "전혀 다른 이야기를 적은 글로서 경제와 날씨를 다룬다.", edited, text]))
    assert {(i, j) for i, j, _ in pairs} == {(0, 2), (0, 3)}
    assert all(similarity >= 0.7 for *_, similarity in pairs)


def test_nearest_pair_is_the_closest_across_two_lists():
    first, second = (
        ["바다와 산과 들을 노래한 시", "유아의 놀이를 오래 보았다"],
        ["유아의 놀이를 오래 보았지만", "세금 신고 안내문"],
    )
    assert nearest_pair(first, second)[:2] == (1, 0)


def test_no_paper_and_no_near_duplicate_stands_in_two_parts():
    rows = papers(60)
    for i in range(0, 40, 2):  # near-duplicates under two paper ids
        rows.append(rows[i] | {"paper_id": f"copy{i}"})
    parts, report = split_records(rows)
    assert find_leaks(parts) == []
    assert sum(len(p) for p in parts.values()) == len(rows)
    assert report["groups"] == 60 and len(report["across_papers"]) >= 20


def test_the_check_and_the_nearest_pair_use_the_sketches_of_the_split():
    parts, _ = split_records(papers(30))
    made = sketch.cache_info().misses
    assert find_leaks(parts) == [] and nearest_across(parts)[2] < 0.7
    assert sketch.cache_info().misses == made


def test_a_group_takes_its_most_held_out_members_part():
    train = next(f"a{i}" for i in range(99) if part_at(split_position(f"a{i}")) == "train")
    test = next(f"b{i}" for i in range(99) if part_at(split_position(f"b{i}")) == "test")
    others = {f"o{i}": f"o{i}" for i in range(30)}
    part_of, _ = assign_parts({train: train, test: train, **others})
    assert part_of[train] == part_of[test] == "test"


def test_a_leak_is_named():
    rows = papers(3)
    leaks = find_leaks({"train": [rows[0]], "validation": [rows[1]], "test": [rows[2], rows[0] | {"paper_id": "x"}]})
    assert any("train" in leak and "test" in leak for leak in leaks)


@settings(max_examples=30)
@given(st.integers(30, 60), st.integers(1, 40))
def test_adding_papers_moves_no_old_one(count, more):
    before, report_before = split_records(papers(count))
    after, report = split_records(papers(count + more))
    if not report_before["messages"]:
        assert moved_papers(before, report["part_of"]) == []
    assert {r["paper_id"] for p in after.values() for r in p} >= {r["paper_id"] for p in before.values() for r in p}


def test_a_paper_that_bridges_two_groups_is_reported_as_moved():
    train = next(f"a{i}" for i in range(99) if part_at(split_position(f"a{i}")) == "train")
    test = next(f"b{i}" for i in range(99) if part_at(split_position(f"b{i}")) == "test")
    rows = [*papers(40), {"paper_id": train, "text": "다리의 한쪽 끝에 놓인 글", "summary": "한쪽 끝"}]
    before, _ = split_records(rows)
    bridge = {"paper_id": test, "text": "다리의 한쪽 끝에 놓인 글", "summary": "다른 쪽"}
    _, report = split_records([*rows, bridge])
    assert moved_papers(before, report["part_of"]) == [train]


def test_an_empty_part_takes_the_nearest_group_and_says_so():
    ids = [f"t{i}" for i in range(200) if part_at(split_position(f"t{i}")) == "train"][:5]
    part_of, messages = assign_parts({i: i for i in ids})
    assert set(part_of.values()) == set(PARTS) and len(messages) == 2
    nearest = max(ids, key=split_position)
    assert f"validation was empty and took the nearest group, {nearest}" in messages[0]


def test_too_few_papers_are_an_error_with_the_counts():
    with pytest.raises(ValueError, match="2 papers in 2 groups"):
        split_records(papers(2))


def test_without_a_paper_id_the_title_then_the_row_is_the_paper():
    assert paper_key({"title": "유아의 놀이", "text": "가"}) == paper_key({"title": "유아의  놀이 ", "text": "나"})
    assert paper_key({"text": "가"}) != paper_key({"text": "나"})
    rows = [{k: v for k, v in row.items() if k != "paper_id"} for row in papers(10)]
    assert split_records(rows)[1]["without_paper_id"] == 10


def test_groups_join_through_a_chain():
    assert len(set(group_papers(["a", "b", "c", "d"], [(0, 1, 0.8), (1, 2, 0.8)]).values())) == 2
