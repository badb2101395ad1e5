"""An index is always whole, holds exactly the papers it was given, and finds them by parents' words too."""

import os

import bm25s
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from parentcare.assistant import index as index_module
from parentcare.assistant.index import (
    MAX_PASSAGE_CHARS,
    Passage,
    cut_passages,
    has_evidence,
    load_index,
    make_chunks,
    search,
    update_index,
)
from parentcare.assistant.words import read_synonyms
from parentcare.data.pairing import split_sentences

COMMON = {"license": "CC0-1.0", "synthetic": True, "year": 2016}
TEXTS = {
    "수면": "걸음마기 영아의 밤중 깨기와 수면 의식의 관계를 살펴보았다. 일정한 잠자리 순서가 밤잠을 늘렸다.",
    "편식": "텃밭 활동에 참여한 유아는 채소 섭취량이 늘었다. 반복하여 맛본 유아도 편식이 줄었다.",
    "낯가림": "낯선 사람이 천천히 다가오면 영아의 낯가림이 약하였다. 접근 속도를 달리하여 실험하였다.",
    "블록": "쌓기놀이를 한 유아는 공간 추론이 나아졌다. 설계도를 보고 쌓은 집단에서 더 그러하였다.",
}
CATALOGUE = {"id": "oai:kci.go.kr:ARTI/7", "title": "또래 갈등 연구", "year": 2020, "url": "https://kci.example/7"}


def record(paper: str, section: str = "결과", text: str = "") -> dict:
    return COMMON | {
        "paper_id": paper,
        "title": f"{paper} 연구",
        "section": section,
        "text": text or TEXTS[paper],
        "source": f"{paper}.pdf",
    }


@pytest.fixture
def folder(tmp_path):
    """Return a folder with an index of the four papers."""
    update_index(tmp_path, make_chunks([record(paper) for paper in TEXTS]))
    return tmp_path


@pytest.fixture(scope="module")
def sample_index(sample_records, tmp_path_factory):
    """Return the index of the sample papers' first two hundred records."""
    folder = tmp_path_factory.mktemp("index")
    update_index(folder, make_chunks(sample_records[:200]))
    return load_index(folder)


def find_papers(folder, question: str) -> list[str]:
    return [passage.paper_id for passage in search(load_index(folder), question)]


# --- chunks --------------------------------------------------------------------------------------


def test_the_whole_record_is_used_only_where_a_paper_has_no_sections():
    records = [record("수면", "whole"), record("수면", "결과"), record("편식", "whole")]
    assert [chunk["id"] for chunk in make_chunks(records)] == ["수면/결과/1", "편식/whole/1"]


def test_a_passage_is_whole_sentences_and_none_is_lost(sample_records):
    for text in [record["text"] for record in sample_records[:60]]:
        passages = cut_passages(text)
        assert " ".join(passages).split() == text.split()
        sentences = split_sentences(text)
        assert [sentence for passage in passages for sentence in split_sentences(passage)] == sentences
        longest = max(map(len, sentences))
        assert all(len(passage) <= MAX_PASSAGE_CHARS + longest for passage in passages)


def test_only_text_is_needed_of_a_record():
    (chunk,) = make_chunks([{"text": TEXTS["수면"]}])
    assert chunk["title"] == "" and chunk["year"] is None and chunk["synthetic"] is False


def test_catalogue_entries_are_marked_as_abstracts_and_those_without_one_left_out():
    rows = [CATALOGUE | {"abstract": "또래 갈등을 다루었다."}, CATALOGUE | {"id": "oai:kci.go.kr:ARTI/8"}]
    (chunk,) = make_chunks([], rows)
    assert (chunk["kind"], chunk["section"], chunk["source"]) == ("abstract", "초록", CATALOGUE["url"])
    assert make_chunks([record("수면")])[0]["kind"] == "paper"


def test_a_text_that_stands_twice_in_a_paper_is_one_passage():
    chunks = make_chunks([record("수면"), record("수면", "논의", TEXTS["수면"]), record("편식", text=TEXTS["수면"])])
    assert [chunk["id"] for chunk in chunks] == ["수면/결과/1", "편식/결과/1"]


# --- update --------------------------------------------------------------------------------------


def test_papers_are_added_changed_and_removed(folder):
    records = [record("수면"), record("편식", text="산책을 자주 한 유아는 잠이 늘었다."), record("낯가림")]
    records.append(record("새것", text="조부모와 지내는 시간이 길었다."))
    report = update_index(folder, make_chunks(records))
    assert report == {"added": 1, "changed": 1, "removed": 1, "unchanged": 2}
    assert find_papers(folder, "쌓기놀이와 공간 추론") == []
    assert find_papers(folder, "섭취량") == []
    assert find_papers(folder, "산책") == ["편식"]
    assert find_papers(folder, "조부모") == ["새것"]


def test_the_same_papers_again_change_nothing_on_disk(folder):
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    report = update_index(folder, make_chunks([record(paper) for paper in reversed(TEXTS)]))
    assert report == {"added": 0, "changed": 0, "removed": 0, "unchanged": 4}
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before


def test_an_update_gives_what_building_anew_gives(folder, tmp_path_factory):
    chunks = make_chunks([record(paper) for paper in ("수면", "낯가림")])
    update_index(folder, chunks)
    anew = tmp_path_factory.mktemp("anew")
    update_index(anew, chunks)
    question = "낯선 사람과 밤잠"
    assert search(load_index(folder), question) == search(load_index(anew), question)


def test_only_what_changed_is_tokenized_again(folder, monkeypatch):
    seen = []
    original = index_module.tokenize
    monkeypatch.setattr(index_module, "tokenize", lambda texts: seen.extend(texts) or original(texts))
    update_index(folder, make_chunks([*map(record, TEXTS), record("새것", text="조부모와 지내는 시간이 길었다.")]))
    assert seen == ["새것 연구. 조부모와 지내는 시간이 길었다."]


@pytest.mark.parametrize(
    ("owner", "step"),
    [
        (index_module, "write_jsonl"),
        (index_module, "write_atomically"),
        (bm25s.BM25, "save"),
        (os, "replace"),
        (index_module, "write_json"),
        (index_module.shutil, "rmtree"),
    ],
)
def test_a_killed_update_leaves_an_index_whole_and_the_next_one_finishes(folder, monkeypatch, owner, step):
    def die(*_, **__):
        raise KeyboardInterrupt

    records = [record(paper) for paper in ("수면", "편식")]
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(owner, step, die)
        update_index(folder, make_chunks(records))
    # only rmtree comes after the new index is in use
    assert find_papers(folder, "쌓기놀이") == ([] if step == "rmtree" else ["블록"])
    update_index(folder, make_chunks(records))
    assert find_papers(folder, "쌓기놀이") == [] and find_papers(folder, "텃밭") == ["편식"]
    assert len(list(folder.iterdir())) == 2


def test_an_index_that_is_not_there_names_the_notebook(tmp_path):
    with pytest.raises(FileNotFoundError, match="05_ask_papers"):
        load_index(tmp_path)
    with pytest.raises(ValueError, match="01_build_dataset"):
        update_index(tmp_path, [])


# --- search --------------------------------------------------------------------------------------


@pytest.mark.parametrize("question", ["", "   ", "?!… ㅠㅠ", "\0", "\ud800"])
def test_a_question_without_words_finds_nothing_and_has_no_evidence(sample_index, question):
    assert search(sample_index, question) == []
    assert not has_evidence(sample_index, question, [])


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(question=st.text(max_size=60), limit=st.integers(0, 8), per_paper=st.integers(0, 3))
def test_any_question_is_answered_within_the_limits(sample_index, question, limit, per_paper):
    passages = search(sample_index, f"영아 {question}", limit, per_paper)
    papers = [passage.paper_id for passage in passages]
    assert len(passages) <= limit
    assert all(papers.count(paper) <= per_paper for paper in papers)
    assert has_evidence(sample_index, question, passages) in (True, False)


def test_passages_come_best_first_and_at_most_two_of_a_paper(sample_index):
    passages = search(sample_index, "영아의 애착 안정성과 어머니의 민감성", limit=8)
    scores, papers = [p.score for p in passages], [p.paper_id for p in passages]
    assert len(passages) == 8 and scores == sorted(scores, reverse=True) and scores[-1] > 0
    assert max(map(papers.count, papers)) == 2
    assert len({passage.id for passage in passages}) == 8


@pytest.mark.parametrize(
    ("question", "paper"),
    [
        ("아기가 새벽에 자꾸 깨요", "수면"),
        ("야채를 안 먹어요", "편식"),
        ("모르는 사람만 보면 울어요", "낯가림"),
        ("레고가 머리에 좋나요?", "블록"),
    ],
)
def test_parents_words_find_what_research_calls_otherwise(folder, monkeypatch, question, paper):
    assert find_papers(folder, question)[0] == paper


def test_html_is_kept_as_text(tmp_path):
    text = "<script>alert('낯가림')</script> 영아의 낯가림은 p<.01 수준이었다."
    update_index(tmp_path, make_chunks([record("수면"), record("<b>표", text=text)]))
    passage = search(load_index(tmp_path), "낯가림")[0]
    assert (passage.text, passage.paper_id) == (text, "<b>표")


def test_a_passage_carries_where_it_is_from(folder):
    passage = search(load_index(folder), "밤중 깨기")[0]
    fields = ("수면/결과/1", "수면", "수면 연구", 2016, "결과", TEXTS["수면"], "paper", True, "CC0-1.0", "수면.pdf")
    assert passage == Passage(*fields, score=passage.score)


def test_what_no_paper_speaks_of_has_no_evidence(sample_index):
    for question in ("애착 안정성", "아버지와의 애착은 놀이의 질과 관련이 있나요?"):
        assert has_evidence(sample_index, question, search(sample_index, question))
    for question in ("주식 투자는 어떻게 하나요?", "김치찌개 맛있게 끓이는 법", "비행기 표는 언제 사는 것이 싼가요?"):
        assert not has_evidence(sample_index, question, search(sample_index, question))


# --- synonyms ------------------------------------------------------------------------------------


def test_a_bad_line_of_the_synonyms_is_named(tmp_path):
    path = tmp_path / "synonyms.tsv"
    path.write_text("# 설명\nparent_words\tresearch_words\n떼쓰다, 생떼\t분노발작\n낯가림\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"synonyms.tsv:4 is '낯가림'; expected"):
        read_synonyms(path)


def test_every_word_of_the_shipped_synonyms_can_be_found_in_a_question():
    assert all(needed and terms for needed, terms in read_synonyms())
    needed = [words for words, _ in read_synonyms()]
    assert len(needed) == len(set(needed)), "a word stands in two lines"
