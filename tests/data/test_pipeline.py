import json
import os
import shutil
from collections import Counter

import pytest

from parentcare import manifest
from parentcare.data import pipeline
from parentcare.data.papers import read_papers
from tests.conftest import REPOSITORY

SAMPLES = REPOSITORY / "data" / "papers"
ABOUT = {"license": "CC0-1.0", "synthetic": True}


@pytest.fixture
def folder(tmp_path):
    """Return a folder with three papers, one of them encrypted."""
    papers = tmp_path / "papers"
    papers.mkdir()
    for name in ("sample-001.pdf", "sample-040.hwpx", "encrypted.pdf", "about.json"):
        shutil.copy(SAMPLES / name, papers)
    return papers


@pytest.fixture(scope="module")
def result():
    (read,) = read_papers([SAMPLES / "sample-001.pdf"], processes=1)
    return pipeline.process_paper(read, ABOUT)


def test_a_record_says_where_it_comes_from(result):
    record = result["records"][0]
    assert record["paper_id"] == "10.0000/sample.2016.13.3.323" and record["id"] == f"{record['paper_id']}/whole"
    assert record["source"] == "sample-001.pdf" and record["extractor"].startswith("pypdfium2 ")
    assert record["synthetic"] is True and record["license"] == "CC0-1.0" and record["pages"] == [1, 2]
    assert record["summary_source"] == "author_abstract" and "numbers" in record["checks"]


@pytest.mark.parametrize(
    "page, expected",
    [
        ("제목\ndoi: 10.22251/jlcci.2023.23.1.101\n본문", "10.22251/jlcci.2023.23.1.101"),
        ("제목\n10.22251/jlcci.2023.\n23.1.101\n본문", "title:제목"),
        ("제목\n10.1234/abc.1.\n본문", "10.1234/abc.1"),
        ("제목\n본문\n참고문헌\nBaron. 10.1037/0022-3514.51.6.1173", "title:제목"),
        ("제목\nReferences\nART001234567", "title:제목"),
    ],
)
def test_a_cited_or_a_cut_doi_is_not_the_papers_own(page, expected):
    assert pipeline.find_paper_id({"pages": [page, "10.9/last"], "path": "a.hwpx"}, "제목") == expected


def test_two_papers_that_got_one_id_are_both_kept(result):
    (record,) = result["records"][:1]
    other = record | {
        "text": "교사의 소진과 직무 만족을 조사하였다. " * 9,
        "summary": "교사의 소진은 만족과 함께 움직였다.",
    }
    files = [{"file": name, "records": [r], "refused": [], "report": {}} for name, r in (("a", record), ("b", other))]
    kept, rejected = pipeline.collect_records([*files, files[0] | {"file": "c"}])
    assert [r["paper_id"] for r in kept] == [record["paper_id"], f"{record['paper_id']}#b"]
    assert kept[1]["id"] == f"{record['paper_id']}#b/whole" and [r["file"] for r in rejected] == ["c"]


def test_a_name_that_is_no_utf_8_and_a_changed_licence_are_read(folder, tmp_path):
    shutil.copy(SAMPLES / "sample-002.pdf", os.fsencode(folder) + b"/\xb3\xed\xb9\xae.pdf")
    found = pipeline.process_folder(folder, tmp_path / "cache.jsonl", report=lambda line: None)
    odd = next(result for result in found if result["file"] == "\\xb3\\xed\\xb9\\xae.pdf")
    assert odd["records"][0]["source"] == odd["file"] and manifest.sha256(folder)
    (folder / "about.json").write_text('{"*": {"license": "mine", "synthetic": false}}')
    again = pipeline.process_folder(folder, tmp_path / "cache.jsonl", report=lambda line: None)
    assert {record["license"] for result in again for record in result["records"]} == {"mine"}


def test_a_section_record_has_only_what_its_section_bears_out(result):
    source = json.loads((REPOSITORY / "data" / "sample_papers.jsonl").open(encoding="utf-8").readline())
    for name in source["sections"]:
        record = next(r for r in result["records"] if r["section"] == name)
        assert record["summary"] == " ".join(a["text"] for a in source["abstract"] if a["section"] == name)
        # spaces apart: one line break in a hundred is joined wrongly
        assert "".join(record["text"].split()) == "".join(source["sections"][name].split())


def test_an_unreadable_file_costs_one_line_with_its_reason():
    (read,) = read_papers([SAMPLES / "truncated.pdf"], processes=1)
    made = pipeline.process_paper(read, ABOUT)
    assert made["records"] == [] and made["report"]["why_not"].startswith("broken")
    assert pipeline.describe_file(made).startswith("truncated.pdf: broken")


def test_adding_one_paper_processes_one_and_a_changed_one_replaces_its_records(folder, tmp_path):
    said = []
    cache = tmp_path / "processed.jsonl"
    first = pipeline.process_folder(folder, cache, said.append)
    assert said[0] == f"3 files in {folder}: 0 unchanged, 3 to read"
    shutil.copy(SAMPLES / "sample-002.pdf", folder)
    second = pipeline.process_folder(folder, cache, said.append)
    assert any("3 unchanged, 1 to read" in line for line in said)
    assert [r for r in second if r["file"] != "sample-002.pdf"] == first
    shutil.copy(SAMPLES / "sample-003.pdf", folder / "sample-002.pdf")
    third = pipeline.process_folder(folder, cache, said.append)
    ids = {record["paper_id"] for record in pipeline.collect_records(third)[0]}
    assert "10.0000/sample.2013.10.2.280" in ids and "10.0000/sample.2018.15.4.290" not in ids


def test_a_cache_cut_by_a_kill_loses_only_its_last_paper(folder, tmp_path):
    cache = tmp_path / "processed.jsonl"
    first = pipeline.process_folder(folder, cache, lambda line: None)
    cache.write_bytes(cache.read_bytes()[:-40])
    said = []
    assert pipeline.process_folder(folder, cache, said.append) == first
    assert "2 unchanged, 1 to read" in said[0]


def test_the_same_paper_under_two_names_is_kept_once(result):
    other = json.loads(json.dumps(result))
    other["file"] = "copy.pdf"
    for record in other["records"]:
        record |= {"paper_id": "10.0000/other", "id": "other/" + record["section"], "source": "copy.pdf"}
    records, rejected = pipeline.collect_records([result, other])
    assert records == result["records"]
    assert len(rejected) == len(records) and all("near-duplicate of" in r["reason"] for r in rejected)


def test_personal_data_is_masked_and_counted(result):
    (read,) = read_papers([SAMPLES / "sample-001.pdf"], processes=1)
    read["pages"][1] = read["pages"][1].replace("집단별로 보면", "연락처 010-1234-5678로 집단별로 보면", 1)
    made = pipeline.process_paper(read, ABOUT)
    assert Counter(made["report"]["masked"])["[전화번호]"] >= 1
    assert not any("1234-5678" in record["text"] for record in made["records"])


def test_a_folder_without_about_json_is_not_called_synthetic(tmp_path):
    assert pipeline.about_paper("mine.pdf", tmp_path) == {"license": "unknown", "synthetic": False}
    assert pipeline.about_paper("sample-001.pdf", SAMPLES)["synthetic"] is True
    assert pipeline.about_paper("mine.pdf", SAMPLES)["synthetic"] is False


def test_an_output_that_01_did_not_make_may_not_be_replaced(tmp_path, monkeypatch):
    from parentcare import manifest

    for module in (pipeline, manifest):
        monkeypatch.setattr(module, "HOME", tmp_path)
    output = tmp_path / "data" / "output.jsonl"
    assert pipeline.may_replace(output)
    manifest.write_atomically(output, "mine\n")
    assert not pipeline.may_replace(output)
    section = {"writes": {"data/output.jsonl": manifest.sha256(output)}}
    manifest.write_json(tmp_path / "outputs" / "r" / "run.json", {"notebooks": {"01_build_dataset": section}})
    assert pipeline.may_replace(output)


def test_two_files_of_one_name_are_two_papers_and_one_paper_in_two_files_is_kept_once(folder, tmp_path):
    for name in ("a", "b"):
        (folder / name).mkdir()
    shutil.copy(SAMPLES / "sample-002.pdf", folder / "a" / "x.pdf")
    shutil.copy(SAMPLES / "sample-003.pdf", folder / "b" / "x.pdf")
    shutil.copy(SAMPLES / "sample-001.pdf", folder / "again.pdf")
    results = pipeline.process_folder(folder, tmp_path / "processed.jsonl", lambda line: None)
    records, rejected = pipeline.collect_records(results)
    assert len({record["paper_id"] for record in records}) == 4
    assert len({record["id"] for record in records}) == len(records)
    same = [item for item in rejected if item["reason"] == "the same paper as again.pdf"]
    assert len(same) == 5 and {item["file"] for item in same} == {"sample-001.pdf"}
