"""A paper is cut into its parts as a reader would cut it, on printed and on real documents."""

import itertools

import pytest

from parentcare.data.quality import spaces_per_hangul
from parentcare.data.readers import read_paper
from parentcare.data.records import read_jsonl
from parentcare.data.sections import KEYWORDS, find_year, parse_paper, read_prose
from parentcare.manifest import REPOSITORY
from tests.data.printing import REAL_DOCUMENTS, SAMPLES

SOURCE = {paper["paper_id"]: paper for paper in read_jsonl(REPOSITORY / "data" / "sample_papers.jsonl")}
# one column and two, by words and inside them, boxed abstract, private-use glyphs, HWPX
NUMBERS = (1, 3, 10, 40, 58, 65, 83, 109)


@pytest.fixture(scope="module")
def parsed() -> dict[int, dict]:
    """Return number → parsed sample paper."""
    return {n: parse_paper(read_paper(_path(n))) for n in NUMBERS}


def _path(number: int):
    return next(SAMPLES.glob(f"sample-{number:03}.*"))


def _source(number: int) -> dict:
    return SOURCE[f"sample-{number:03}"]


@pytest.mark.parametrize("number", NUMBERS)
def test_title_year_keywords_and_sections_are_the_sources(parsed, number):
    got, source = parsed[number], _source(number)
    assert {key: got[key] for key in ("title", "year", "keywords")} == {
        key: source[key] for key in ("title", "year", "keywords")
    }
    assert list(got["sections"]) == list(source["sections"])


@pytest.mark.parametrize("number", NUMBERS)
def test_every_letter_of_sections_and_abstract_is_the_sources(parsed, number):
    got, source = parsed[number], _source(number)
    for name, text in source["sections"].items():
        assert "".join(got["sections"][name]["text"].split()) == "".join(text.split())
    abstract = " ".join(sentence["text"] for sentence in source["abstract"])
    assert "".join(got["abstract"].split()) == "".join(abstract.split())


@pytest.mark.parametrize("number", NUMBERS)
def test_paragraphs_are_kept_apart(parsed, number):
    for name, text in _source(number)["sections"].items():
        assert parsed[number]["sections"][name]["text"].count("\n") == text.count("\n")


def test_pages_are_counted_from_one_and_grow(parsed):
    pages = [section["pages"] for section in parsed[1]["sections"].values()]
    assert pages[0] == [1]
    assert pages[-1][-1] == 2
    assert all(before[-1] <= after[0] for before, after in itertools.pairwise(pages))


def of_paragraphs(*paragraphs: str) -> dict:
    return parse_paper({"pages": ["\n".join(paragraphs)], "boxes": None})


def test_an_abstract_without_a_heading_is_the_prose_before_the_keywords():
    got = of_paragraphs(
        "영아 애착의 연구",
        "홍길동",
        "본 연구는 영아의 애착을 살펴보고자 하였다. 그 결과 애착은 안정되었다.",
        "주제어 : 영아, 애착",
        "Ⅰ. 서론",
        "애착은 중요하다.",
    )
    assert got["title"] == "영아 애착의 연구"
    assert got["abstract"].startswith("본 연구는")
    assert got["keywords"] == ["영아", "애착"]
    assert got["sections"] == {"서론": {"text": "애착은 중요하다.", "pages": [1]}}


def test_a_korean_abstract_under_an_english_heading_is_korean():
    got = of_paragraphs(
        "제목의 글", "Abstract", "본 연구는 애착을 보고자 하였다.", "This study examined attachment in infants."
    )
    assert got["abstract"] == "본 연구는 애착을 보고자 하였다."
    assert got["english_abstract"] == "This study examined attachment in infants."


def test_an_abstract_behind_the_references_is_found_and_the_references_are_not():
    got = of_paragraphs(
        "Ⅰ. 서론",
        "애착은 중요하다.",
        "참고문헌",
        "홍길동 (2010). 애착의 연구. 가상학회지, 3, 1-9.",
        "국문초록",
        "애착을 보고자 하였다.",
    )
    assert got["sections"]["서론"]["text"] == "애착은 중요하다."
    assert got["abstract"] == "애착을 보고자 하였다."


def test_a_heading_and_its_abstract_may_share_a_line():
    assert of_paragraphs("[초록] 본 연구는 영아의 애착을 살펴보고자 하였다.")["abstract"].startswith("본 연구는")


@pytest.mark.parametrize(
    "text",
    [
        "주제어: 가",
        "주 제 어 : 가",
        "핵심어 | 가",
        "주제어(Key words): 가",
        "□ 키워드 : 가",
        "Keywords: 가",
        "[주요어] 가",
    ],
)
def test_labels_of_keywords_are_recognised(text):
    assert KEYWORDS.match(text)[1] == "가"


def test_a_sentence_about_key_terms_is_no_label():
    assert not KEYWORDS.match("주요어는 다음과 같이 정의하였다.")


@pytest.mark.parametrize(
    ("head", "year"),
    [
        ("한국견본학회지 제13권 제3호 (2016), pp. 1998~2012", 2016),
        ("Korean Journal of Samples 2015, Vol. 36, No. 2, 1-20", 2015),
        ("https://doi.org/10.0000/sample.2014.11.4.183", 2014),
        ("논문접수: 2012. 12. 30. / 게재확정: 2013. 2. 1.", 2013),
        ("영아의 애착", None),
    ],
)
def test_the_year_is_that_of_publication(head, year):
    assert find_year({"pages": [head]}) == year


def test_a_document_of_nothing_has_no_parts():
    got = parse_paper({"pages": [""], "boxes": [[]]})
    assert (got["title"], got["year"], got["abstract"], got["keywords"], got["sections"]) == ("", None, "", [], {})


# --- real documents ----------------------------------------------------------------------------

needs_real_documents = pytest.mark.skipif(
    not REAL_DOCUMENTS.is_dir(), reason="../shared/samples/pdf is not beside the clone"
)


@pytest.fixture(scope="module")
def real() -> dict[str, str]:
    """Return name → prose of the two Hancom documents."""
    return {path.stem: "\n".join(read_prose(read_paper(path))) for path in REAL_DOCUMENTS.glob("*.pdf")}


@needs_real_documents
def test_real_documents_keep_their_spaces(real):
    assert len(real) == 2
    for text in real.values():
        assert 0.22 <= spaces_per_hangul(text) <= 0.45


@needs_real_documents
def test_sentences_across_lines_columns_and_pages_are_whole(real):
    minutes, report = real["national_assembly_minutes_two_column"], real["review_report_one_column"]
    # lines broken inside words
    assert "각 안건의 내용은 배부해 드린 유인물과 단말기를 참고하여 주시기 바랍니다." in minutes
    # from the foot of a page's right column to the head of the next page's left one
    assert "직원 파견을 요청하는 경우는 허용하고 있습니다. 문제는 외형상" in minutes
    # from the left column to the right one
    assert "◯위원장 박정 그러면 의사일정 제1항 2023년도 국정감사 결과보고서 채택의 건과" in minutes
    # from one page to the next of one column
    assert (
        "농어민, 중소상공인, 시민사회단체 등 다양한 사회계층의 대표성이 반영될 수 있도록 하여야 함을 규정하고" in report
    )
    assert "사회적으로" not in report.split("그런데 「탄소중립기본법」이")[0]


@needs_real_documents
def test_real_documents_lose_heads_page_numbers_and_footnotes(real):
    minutes, report = real["national_assembly_minutes_two_column"], real["review_report_one_column"]
    assert "제414회-환경노동제1차" not in minutes
    assert "- 3 -" not in report
    assert "영농조합법인" not in report
    assert "현행법1)" not in report
