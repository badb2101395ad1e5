import json

import pytest

from parentcare import manifest
from parentcare.data.records import write_jsonl
from parentcare.evaluation import report, systems


def record(i: int, paper: str) -> dict:
    text = f"{paper}의 본문 {i * 7919} 가지 서로 다른 이야기를 담은 글 {i**3}"
    return {
        "id": f"{paper}/{i}",
        "paper_id": paper,
        "section": "결과",
        "text": text,
        "summary": f"요약 {i * 31} {i**5}",
    }


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Return the name of a run with three parts and the records of how 02 and 03 made and read them."""
    for module in (manifest, systems):
        monkeypatch.setattr(module, "HOME", tmp_path)
    folder = manifest.run_folder("r")
    for start, part in enumerate(("train", "validation", "test")):
        write_jsonl(folder / f"{part}.jsonl", [record(i, f"p{i}") for i in range(start * 5, start * 5 + 5)])
    hashes = {f"outputs/r/{p}.jsonl": manifest.sha256(folder / f"{p}.jsonl") for p in ("train", "validation", "test")}
    notebooks = {"02_explore_data": {"writes": hashes}, "03_finetune": {"reads": dict(list(hashes.items())[:2])}}
    manifest.write_json(folder / "run.json", {"run": "r", "notebooks": notebooks})
    return folder


def test_an_untouched_split_is_read(run):
    parts = systems.check_untouched("r", manifest.read_run("r"))
    assert {part: len(rows) for part, rows in parts.items()} == {
        "train": 5,
        "validation": 5,
        "test": 5,
    }


def test_a_changed_test_part_stops_the_notebook(run):
    write_jsonl(run / "test.jsonl", [record(0, "p0")])
    with pytest.raises(ValueError, match=r"test\.jsonl is not the file that 02_explore_data wrote"):
        systems.check_untouched("r", manifest.read_run("r"))


def test_a_test_paper_found_in_training_stops_the_notebook(run):
    write_jsonl(run / "test.jsonl", [record(0, "p0")])
    content = manifest.read_run("r")
    content["notebooks"]["02_explore_data"]["writes"]["outputs/r/test.jsonl"] = manifest.sha256(run / "test.jsonl")
    manifest.write_json(run / "run.json", content)
    with pytest.raises(ValueError, match="the test part was seen in training: paper p0"):
        systems.check_untouched("r", manifest.read_run("r"))


def test_an_adapter_of_another_training_part_stops_the_notebook(run):
    content = manifest.read_run("r")
    content["notebooks"]["03_finetune"]["reads"]["outputs/r/train.jsonl"] = "other"
    manifest.write_json(run / "run.json", content)
    with pytest.raises(ValueError, match=r"trained on another train\.jsonl"):
        systems.check_untouched("r", content)


@pytest.mark.parametrize("reads", [{"outputs/r/train.jsonl": "other"}, {}, None], ids=["other", "none", "unknown"])
def test_a_foreign_adapter_is_not_refused_nor_called_unseen(run, reads):
    section = {} if reads is None else {"reads": reads}
    foreign = {"run": "r", "notebooks": {"03_finetune": section}}
    assert len(systems.check_untouched("r", foreign)["test"]) == 5
    assert not systems.is_trained_on(foreign, run / "train.jsonl")
    assert "may have seen" in systems.SEEN[False]


def test_an_adapter_from_elsewhere_of_the_same_training_part_has_seen_no_test_paper(run):
    section = {"reads": {"/content/outputs/x/train.jsonl": manifest.sha256(run / "train.jsonl")}}
    assert systems.is_trained_on({"run": "x", "notebooks": {"03_finetune": section}}, run / "train.jsonl")


def test_the_control_has_every_summary_and_no_text_of_its_own():
    records = [record(i, f"p{i // 2}") for i in range(12)]
    wrong = systems.pair_with_wrong_texts(records)
    assert [row["summary"] for row in wrong] == [row["summary"] for row in records]
    by_text = {row["text"]: row["paper_id"] for row in records}
    assert all(by_text[row["text"]] != row["paper_id"] for row in wrong)


def test_the_control_takes_another_papers_text_of_any_section_where_its_own_has_none():
    records = [record(0, "p0"), record(1, "p1"), record(2, "p1") | {"section": "논의"}, record(3, "p1")]
    wrong = systems.pair_with_wrong_texts(records)
    assert wrong[2]["text"] == records[0]["text"] and wrong[0]["text"] in (records[1]["text"], records[3]["text"])
    nameless = [{key: row[key] for key in ("id", "text", "summary")} for row in records]
    assert all(a["text"] != b["text"] for a, b in zip(systems.pair_with_wrong_texts(nameless), nameless, strict=True))


def test_a_control_of_a_single_paper_says_what_is_missing():
    with pytest.raises(ValueError, match="another paper for p0/0, and the 3 training records have none"):
        systems.pair_with_wrong_texts([record(i, "p0") for i in range(3)])


def test_the_perturbed_summaries_have_their_sections_text():
    rows = systems.read_perturbed()
    assert len(rows) >= 300 and all(row["text"] for row in rows)
    assert {row["kind"] for row in rows if not row["faithful"]} == {"number", "direction", "age_group"}


def test_the_oracle_beats_lead_and_a_shuffled_answer_by_construction(sample_records):
    from parentcare.evaluation.baselines import extract_lead, extract_oracle

    records = sample_records[1:40]
    texts, references = [r["text"] for r in records], [r["summary"] for r in records]
    systems_ = {
        "oracle": extract_oracle(texts, references),
        "lead": extract_lead(texts),
        "shuffled": references[1:] + references[:1],
    }
    answers = {
        name: {r["id"]: {"answer": a, "ended": True} for r, a in zip(records, found, strict=True)}
        for name, found in systems_.items()
    }
    scores = report.score_systems(answers, records)
    means = report.describe_systems(scores)
    assert means["oracle"]["rougeL"] > means["lead"]["rougeL"] > means["shuffled"]["rougeL"]
    assert report.stronger_base(scores, ["lead", "shuffled"]) == "lead"
    rows = report.prediction_rows(answers, records)
    assert len(rows) == 3 * len(records) and json.dumps(rows[0], ensure_ascii=False)
    best, worst = (report.pick_examples(scores["lead"], records)[name]["id"] for name in ("best", "worst"))
    assert best != worst
