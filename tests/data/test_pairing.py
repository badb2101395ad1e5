"""Records are the author's own: summaries whole, texts at sentence ends, sentences with their sections."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parentcare.data.pairing import align_abstract, best_path, find_terms, fit_body, make_records, split_sentences
from parentcare.data.records import read_jsonl
from parentcare.manifest import REPOSITORY

SECTIONS = {
    "서론": "애착은 영아의 발달에 중요하다. 그러나 아버지의 애착은 드물게 연구되었다.",
    "연구방법": "아버지 61쌍의 가정을 방문하여 애착 Q분류를 실시하였다. 놀이는 20분 동안 녹화하였다.",
    "결과": "평일 돌봄 시간은 애착과 무관하였다(r=.09). 신체 놀이의 질은 애착을 예측하였다(β=.31).",
    "논의": "돌봄의 길이보다 놀이의 질이 중요하다고 볼 수 있다. 후속 연구가 필요하다.",
}


def test_sentences_are_aligned_with_the_sections_that_bear_them_out():
    sentences = [
        "아버지의 애착은 드물게 연구되었다.",
        "아버지 61쌍을 방문하여 애착을 재었다.",
        "돌봄 시간은 애착과 무관하였다(r=.09).",
        "돌봄의 길이보다 놀이의 질이 중요하다.",
    ]
    assert align_abstract(sentences, SECTIONS) == ["서론", "연구방법", "결과", "논의"]


def test_a_sentence_that_nothing_bears_out_has_no_section():
    assert align_abstract(["환율은 국제 유가와 함께 올랐다."], SECTIONS) == [None]
    assert align_abstract([], SECTIONS) == []
    assert align_abstract(["아버지의 애착."], {}) == [None]


def test_numbers_count_in_any_spelling():
    assert find_terms([], "r=.09, 0.31, 1,684명") == {"#0.09", "#0.31", "#1684"}


def test_alignment_of_held_out_sample_papers_is_right():
    papers = read_jsonl(REPOSITORY / "data" / "sample_papers.jsonl")[60::6]
    pairs = [
        (section, sentence["section"])
        for paper in papers
        for section, sentence in zip(
            align_abstract([s["text"] for s in paper["abstract"]], paper["sections"]), paper["abstract"], strict=True
        )
    ]
    assert sum(a == b for a, b in pairs) >= 0.95 * len(pairs)


@given(st.lists(st.lists(st.floats(0, 1), min_size=3, max_size=3), min_size=1, max_size=6))
def test_a_path_has_one_section_for_each_sentence(scores):
    path = best_path(scores)
    assert len(path) == len(scores)
    assert set(path) <= {0, 1, 2}


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("하나였다. 둘이었다.", 2),
        ("차이가 있었다(p=.03). 그러나 작았다.", 2),
        ("평균은 3.5점이었다.", 1),
        ("“좋다.”라고 하였다. 그랬다.", 2),
        ("첫 문단이다.\n둘째 문단이다.", 2),
    ],
)
def test_sentences_are_cut_at_their_ends_only(text, count):
    assert len(split_sentences(text)) == count


def test_sample_abstracts_are_cut_as_they_were_written():
    for paper in read_jsonl(REPOSITORY / "data" / "sample_papers.jsonl"):
        sentences = [sentence["text"] for sentence in paper["abstract"]]
        assert split_sentences(" ".join(sentences)) == sentences


def sections_with_pages() -> dict[str, dict]:
    return {name: {"text": text, "pages": [page]} for page, (name, text) in enumerate(SECTIONS.items(), start=1)}


def test_a_paper_gives_one_record_and_one_for_each_reported_section():
    common = {"paper_id": "p", "title": "t", "year": 2016, "source": "s", "license": "l", "synthetic": True}
    abstract = [
        {"text": "가.", "section": "결과"},
        {"text": "나.", "section": None},
        {"text": "다.", "section": "결과"},
    ]
    records = make_records(common | {"sections": sections_with_pages(), "abstract": abstract})
    assert [(record["id"], record["summary"]) for record in records] == [
        ("p/whole", "가. 나. 다."),
        ("p/결과", "가. 다."),
    ]
    assert records[0]["pages"] == [1, 2, 3, 4]


def test_a_body_that_does_not_fit_loses_whole_sentences_of_the_less_reported_sections():
    sections = sections_with_pages()
    needed = len(SECTIONS["결과"]) + len(SECTIONS["논의"]) + 2
    assert fit_body(sections, needed) == SECTIONS["결과"] + "\n" + SECTIONS["논의"]
    assert fit_body(sections, needed + 40).startswith("아버지 61쌍의")
