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
    assert {part: len(rows) for part, rows in systems.check_untouched("r").items()} == {
        "train": 5,
        "validation": 5,
        "test": 5,
    }


def test_a_changed_test_part_stops_the_notebook(run):
    write_jsonl(run / "test.jsonl", [record(0, "p0")])
    with pytest.raises(ValueError, match=r"test\.jsonl is not the file that 02_explore_data wrote"):
        systems.check_untouched("r")


def test_a_test_paper_found_in_training_stops_the_notebook(run):
    write_jsonl(run / "test.jsonl", [record(0, "p0")])
    content = manifest.read_run("r")
    content["notebooks"]["02_explore_data"]["writes"]["outputs/r/test.jsonl"] = manifest.sha256(run / "test.jsonl")
    manifest.write_json(run / "run.json", content)
    with pytest.raises(ValueError, match="the test part was seen in training: paper p0"):
        systems.check_untouched("r")


def test_an_adapter_of_another_training_part_stops_the_notebook(run):
    content = manifest.read_run("r")
    content["notebooks"]["03_finetune"]["reads"]["outputs/r/train.jsonl"] = "other"
    manifest.write_json(run / "run.json", content)
    with pytest.raises(ValueError, match=r"trained on another train\.jsonl"):
        systems.check_untouched("r")


def test_the_control_has_every_summary_and_no_text_of_its_own():
    records = [record(i, f"p{i // 2}") for i in range(12)]
    wrong = systems.pair_with_wrong_texts(records)
    assert [row["summary"] for row in wrong] == [row["summary"] for row in records]
    by_text = {row["text"]: row["paper_id"] for row in records}
    assert all(by_text[row["text"]] != row["paper_id"] for row in wrong)


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
