"""The numbers of the data card, measured again on all sample papers: they are held, not remembered."""

import pytest

from parentcare.data.papers import read_papers
from parentcare.data.records import read_jsonl
from parentcare.data.sections import parse_paper


@pytest.fixture(scope="module")
def measured():
    """Return setting → value of benchmarks/papers.py for every sample paper, without speed and fuzzing."""
    import papers as benchmark

    sources = read_jsonl(benchmark.SOURCE)
    found = read_papers(benchmark.FOLDER / benchmark.document_name(paper) for paper in sources)
    parsed = [parse_paper(paper) for paper in found]
    measures = (
        benchmark.measure_text,
        benchmark.measure_joins,
        benchmark.measure_furniture,
        benchmark.measure_alignment,
    )
    return {row["setting"]: row["value"] for measure in measures for row in measure(sources, parsed)}


@pytest.mark.parametrize(
    ("setting", "least", "most"),
    [
        ("character error rate of section text", 0, 1),
        ("sections found", 98, 100),
        ("line breaks joined right", 95, 100),
        ("heads, notes, cells and references left in the text", 0, 0),
        ("abstract sentences aligned right (documents, papers 061-120, held out)", 95, 100),
    ],
)
def test_the_data_cards_numbers_hold(measured, setting, least, most):
    assert least <= measured[setting] <= most
