import copy
import json

import pytest

from parentcare import manifest
from parentcare.data.records import write_jsonl
from parentcare.export import card

COMPARISON = {"candidate_system": "tuned", "baseline_system": "base", "difference": 0.0321, "verdict": "better"}
EVALUATION = {
    "papers": 27,
    "records": 132,
    "seed": 3407,
    "unseen": True,
    "score_names": {"rougeL": "ROUGE-L F1 (Kiwi 0.24.1 morphemes)"},
    "comparisons": [
        COMPARISON | {"score": "rougeL", "low": 0.0111, "high": 0.0555},
        COMPARISON | {"score": "loss", "low": None, "high": None, "verdict": "not distinguishable"},
    ],
}
TRAIN = [{"license": "CC-BY-4.0"}] * 3 + [{}]


def write(folder, record, evaluation=EVALUATION, merged=False, train=TRAIN):
    folder.mkdir()
    if not merged:
        (folder / "adapter_config.json").write_text("{}")
    return card.write_card(folder, "WOOJINIYA/parentcare", record, evaluation, train).read_text(encoding="utf-8")


def test_every_number_comes_from_the_records_in_both_languages(tmp_path, record):
    text = write(tmp_path / "a", record)
    korean, english = text.split("# English")
    for part in (korean, english):
        for fact in ("NVIDIA H200", "123.4", "torch 2.13.0", "0123456789ab", "f00d", "2.500", "1.250", "CC-BY-4.0 (3)"):
            assert fact in part, fact
        assert "[+0.0111, +0.0555]" in part and "+0.0321" in part and "27" in part and "2048" in part
        assert "not given (1)" in part
    assert "| `learning_rate` | 0.0002 |" in korean and "| train | 8 | 40 |" in korean
    assert "나음" in korean and "| better |" in english and "ROUGE-L F1 (Kiwi 0.24.1 morphemes)" in korean
    assert "합성" not in korean and "ynthetic" not in english and "demo" not in english


def test_the_hub_reads_licence_base_and_library(tmp_path, record):
    from huggingface_hub import ModelCard

    write(tmp_path / "adapter", record)
    text = write(tmp_path / "merged", record, merged=True)
    data = ModelCard.load(tmp_path / "adapter" / "README.md").data
    assert (data.language, data.license, data.library_name) == ("ko", "apache-2.0", "peft")
    assert data.base_model == "unsloth/qwen2.5-7b-instruct-bnb-4bit"
    assert ModelCard.load(tmp_path / "merged" / "README.md").data.library_name == "transformers"
    assert 'AutoModelForCausalLM.from_pretrained("WOOJINIYA/parentcare")' in text


def test_an_unknown_bases_licence_is_not_guessed(tmp_path, record):
    other = copy.deepcopy(record)
    other["notebooks"]["03_finetune"]["base"] = "someone/else"
    assert "license: other" in write(tmp_path / "a", other)


def test_synthetic_data_and_the_demo_say_so_in_both_languages(tmp_path, record):
    demo = copy.deepcopy(record)
    demo["notebooks"]["03_finetune"] |= {"synthetic": True, "demo": True}
    korean, english = write(tmp_path / "a", demo).split("# English")
    assert "합성 논문" in korean and "데모 모델" in korean and "- synthetic" in korean
    assert "Synthetic papers" in english and "demo model" in english


@pytest.fixture
def run(tmp_path):
    """Return (a run's folder with adapter, evaluation.json and train.jsonl, the run.json that names them)."""
    (tmp_path / "adapter").mkdir()
    (tmp_path / "adapter" / "adapter_model.safetensors").write_text("own")
    evaluation = EVALUATION | {"adapter_sha256": manifest.sha256(tmp_path / "adapter")}
    (tmp_path / "evaluation.json").write_text(json.dumps(evaluation))
    train = write_jsonl(tmp_path / "train.jsonl", TRAIN)
    return tmp_path, {"notebooks": {"03_finetune": {"reads": {"outputs/mine/train.jsonl": manifest.sha256(train)}}}}


def test_scores_and_licences_are_those_of_the_very_adapter(run):
    folder, record = run
    evaluation, train = card.read_own(folder, folder / "adapter", record)
    assert evaluation["comparisons"] == EVALUATION["comparisons"] and train == TRAIN


def test_another_adapter_gets_neither_the_runs_scores_nor_its_licences(run):
    folder, record = run
    (folder / "other").mkdir()
    (folder / "other" / "adapter_model.safetensors").write_text("another")
    foreign = {"notebooks": {"03_finetune": {"reads": {"outputs/mine/train.jsonl": "another"}}}}
    assert card.read_own(folder, folder / "other", foreign) == (None, [])
    # trained again after 04, or trained before 02 made another split
    assert card.read_own(folder, folder / "other", record) == (None, TRAIN)
    assert card.read_own(folder, folder / "adapter", foreign)[1] == []
    (folder / "evaluation.json").unlink()
    assert card.read_own(folder, folder / "adapter", record)[0] is None


def test_what_is_not_known_is_said_in_both_languages(tmp_path, record):
    korean, english = write(tmp_path / "a", record, None, train=[]).split("# English")
    assert "아직 평가하지 않았습니다" in korean and "has not been evaluated" in english
    assert "0.0321" not in korean + english
    assert "알 수 없음" in korean and "Licences (records): not known" in english and "CC-BY" not in korean + english
    korean, english = write(tmp_path / "b", record, EVALUATION | {"unseen": False}).split("# English")
    assert "학습에 들어갔을 수도 있는 논문 27편" in korean and "27 papers that training may have seen" in english
