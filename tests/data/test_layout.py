"""Lines know their columns, and whether they reach a column's end."""

from parentcare.data.layout import Line, body_size, place_lines
from tests.data.printing import FILLER


def page(rows: list[tuple[float, float, str]], size: float = 10.0) -> dict:
    """Return a paper of one page with lines (left, right, text), 16 points apart."""
    boxes = [[left, 700 - 16 * i, right, size] for i, (left, right, _) in enumerate(rows)]
    return {"pages": ["\n".join(text for *_, text in rows)], "boxes": [boxes]}


def test_two_columns_are_told_from_one():
    two = page([(60, 280, FILLER)] * 8 + [(310, 530, FILLER)] * 8)
    assert [line.column for line in place_lines(two)] == [1] * 8 + [2] * 8
    one = page([(60, 530, FILLER)] * 8 + [(60, 200, FILLER[:20])])
    assert {line.column for line in place_lines(one)} == {0}


def test_a_line_across_both_columns_belongs_to_neither():
    lines = place_lines(page([(60, 530, FILLER)] + [(60, 280, FILLER)] * 8 + [(310, 530, FILLER)] * 8))
    assert (lines[0].column, lines[1].column, lines[-1].column) == (0, 1, 2)
    assert lines[0].is_full


def test_only_lines_at_the_columns_end_are_full():
    lines = place_lines(page([(60, 530, FILLER)] * 8 + [(60, 300, FILLER[:25])]))
    assert [line.is_full for line in lines] == [True] * 8 + [False]


def test_lines_of_an_inset_block_are_full_at_its_own_edge():
    lines = place_lines(
        page([(60, 530, FILLER)] * 8 + [(90, 500, FILLER), (90, 500.3, FILLER), (90, 200, FILLER[:15])])
    )
    assert [line.is_full for line in lines[8:]] == [True, True, False]


def test_ragged_lines_are_full_unless_a_long_word_would_have_fitted():
    rights = [530, 505, 520, 480, 512, 498, 525, 490, 300]
    lines = place_lines(page([(60, right, FILLER) for right in rights]))
    assert [line.is_full for line in lines] == [True] * 8 + [False]


def test_the_body_size_is_that_of_most_letters():
    paper = page([(60, 530, FILLER)] * 3, size=9.9)
    paper["boxes"][0][0][3] = 14.0
    assert body_size(place_lines(paper)) == 10.0


def test_without_boxes_each_line_is_a_paragraph():
    lines = place_lines({"pages": ["가나다\n라마바"], "boxes": None})
    assert lines == [Line("가나다", 1, is_paragraph=True), Line("라마바", 1, is_paragraph=True)]
