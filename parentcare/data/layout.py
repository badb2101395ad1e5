"""The printed lines of a paper with their places: columns, and which lines reach a column's end."""

import collections
import dataclasses
import itertools
import statistics

# Lines of at least this many characters show where a column begins and ends.
LONG_CHARS = 12
# A justified line ends within this many letter sizes of the column's end; where lines end ragged,
# one that ends further from it than a long word would fit ends its paragraph.
JUSTIFIED_SLACK_EM, RAGGED_SLACK_EM = 0.7, 8.0
# Lines of an inset block end at the same place to this many points.
INSET_PT = 0.8
# fewer long lines than this on a page do not show its columns; the whole paper's are taken
MIN_COLUMN_LINES = 6


@dataclasses.dataclass(slots=True)
class Line:
    """One printed line; lengths in points, y upwards. `page` counts from 1."""

    text: str
    page: int
    left: float = 0.0
    y: float = 0.0
    right: float = 0.0
    size: float = 0.0
    # 0: the page's only column, or across both; 1 and 2: the left and the right one
    column: int = 0
    column_left: float = 0.0
    column_right: float = 0.0
    # whether the line reaches its column's end, so that the next one may go on in mid-sentence
    is_full: bool = False
    # a whole paragraph, as HWPX gives it, not one printed line of several
    is_paragraph: bool = False

    @property
    def indent_em(self) -> float:
        """Return how far the line begins inside its column, in letter sizes."""
        return (self.left - self.column_left) / self.size if self.size else 0.0


def place_lines(paper: dict) -> list[Line]:
    """Return the lines of a paper as `readers.read_paper` gives it, in reading order, with columns."""
    pages = [text.split("\n") for text in paper["pages"]]
    if paper["boxes"] is None:
        return [Line(text, page, is_paragraph=True) for page, texts in enumerate(pages, start=1) for text in texts]
    lines = [
        Line(text, page, *box)
        for page, (texts, boxes) in enumerate(zip(pages, paper["boxes"], strict=True), start=1)
        for text, box in zip(texts, boxes, strict=False)  # a page without lines has one empty text
    ]
    set_columns(lines)
    return lines


def body_size(lines: list[Line]) -> float:
    """Return the letter size in which most of the paper is set, in points to one half; 0 without sizes."""
    sizes: collections.Counter = collections.Counter()
    for line in lines:
        sizes[round(line.size * 2) / 2] += len(line.text)
    return sizes.most_common(1)[0][0] if sizes else 0.0


def set_columns(lines: list[Line]) -> None:
    """Set `column`, its edges and `is_full` of every line."""
    long = [line for line in lines if len(line.text) >= LONG_CHARS]
    if not long:
        return
    # odd and even pages may have other margins
    middles = [_middle([line for line in long if line.page % 2 == odd] or long) for odd in (0, 1)]
    for line in lines:
        line.column = _side(line, middles[line.page % 2])
    two_columns = _two_column_pages(long)
    for line in lines:
        line.column = line.column if line.page in two_columns else 0
    _set_edges(lines, long)
    near = sum(line.right > line.column_right - JUSTIFIED_SLACK_EM * line.size for line in long)
    slack = JUSTIFIED_SLACK_EM if near > 0.5 * len(long) else RAGGED_SLACK_EM
    for line in lines:
        line.is_full = line.right > line.column_right - slack * line.size
    for line, after in itertools.pairwise(lines):
        # an inset block: neighbouring long lines that end at one place inside the column
        same_edge = abs(line.right - after.right) < INSET_PT and (line.page, line.column) == (after.page, after.column)
        if same_edge and min(len(line.text), len(after.text)) >= LONG_CHARS and "\t" not in line.text + after.text:
            line.is_full = after.is_full = True


def _middle(long: list[Line]) -> float:
    left, right = sorted(line.left for line in long), sorted(line.right for line in long)
    return (left[len(left) // 20] + right[-1 - len(right) // 20]) / 2


def _side(line: Line, middle: float) -> int:
    """Return 1 for a line left of the page's middle, 2 for one right of it, 0 for one across it."""
    if line.right < middle + line.size / 2:
        return 1
    return 2 if line.left > middle - line.size / 2 else 0


def _two_column_pages(long: list[Line]) -> set[int]:
    """Return the pages with lines in both halves, and where there are such, those with few lines across."""
    counts = collections.defaultdict(collections.Counter)
    for line in long:
        counts[line.page][line.column] += 1
    found = {page for page, n in counts.items() if min(n[1], n[2]) >= MIN_COLUMN_LINES and n[1] + n[2] > 0.5 * n[0]}
    return found | {page for page, n in counts.items() if found and n[1] + n[2] > 2 * n[0]}


def _set_edges(lines: list[Line], long: list[Line]) -> None:
    """Set the columns' edges, where a page has too few lines to tell from all odd or even pages."""
    on_page, on_side, edges = collections.defaultdict(list), collections.defaultdict(list), {}
    for line in long:
        on_page[line.page, line.column].append(line)
        on_side[line.page % 2, line.column].append(line)
    for line in lines:
        key = (line.page, line.column)
        if key not in edges:
            found = on_page[key] if len(on_page[key]) >= MIN_COLUMN_LINES else on_side[line.page % 2, line.column]
            found = found or long
            edges[key] = _common([x.left for x in found], -1), _common([x.right for x in found], 1)
        line.column_left, line.column_right = edges[key]


def _common(values: list[float], direction: int) -> float:
    """Return the edge at which most values lie, to 2 points; the outer decile where they scatter."""
    value, count = collections.Counter(round(x / 2) for x in values).most_common(1)[0]
    if count >= 0.3 * len(values):
        return statistics.fmean(x for x in values if round(x / 2) == value)
    return sorted(values, reverse=direction > 0)[len(values) // 10]
