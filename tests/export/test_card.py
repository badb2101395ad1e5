import copy

from parentcare.export import card

COMPARISON = {"candidate_system": "tuned", "baseline_system": "base", "difference": 0.0321, "verdict": "better"}
EVALUATION = {
    "papers": 27,
    "records": 132,
    "seed": 3407,
    "score_names": {"rougeL": "ROUGE-L F1 (Kiwi 0.24.1 morphemes)"},
    "comparisons": [
        COMPARISON | {"score": "rougeL", "low": 0.0111, "high": 0.0555},
        COMPARISON | {"score": "loss", "low": None, "high": None, "verdict": "not distinguishable"},
    ],
}
TRAIN = [{"license": "CC-BY-4.0"}] * 3 + [{}]


def write(folder, record, evaluation=EVALUATION, merged=False):
    folder.mkdir()
    if not merged:
        (folder / "adapter_config.json").write_text("{}")
    return card.write_card(folder, "WOOJINIYA/parentcare", record, evaluation, TRAIN).read_text(encoding="utf-8")


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


def test_results_of_another_adapter_are_left_out(tmp_path, record):
    retrained = copy.deepcopy(record)
    retrained["notebooks"]["03_finetune"]["writes"] = {"outputs/mine/adapter": "another"}
    untested = copy.deepcopy(record)
    del untested["notebooks"]["04_evaluate"]
    for i, (given, evaluation) in enumerate(((retrained, EVALUATION), (untested, EVALUATION), (record, None))):
        text = write(tmp_path / str(i), given, evaluation)
        assert "0.0321" not in text and "아직 평가하지 않았습니다" in text and "has not been evaluated" in text
