"""What every notebook keeps to, and what one demo run of each leaves behind."""

import ast
import json
import re

import pytest

from parentcare import colab, manifest
from tests.conftest import REPOSITORY

NOTEBOOKS = sorted((REPOSITORY / "notebooks").rglob("*.ipynb"))
NAMES = [str(path.relative_to(REPOSITORY / "notebooks").with_suffix("")) for path in NOTEBOOKS]


def load(name: str) -> dict:
    return json.loads(manifest.notebook_path(name).read_text(encoding="utf-8"))


def code(name: str) -> list[str]:
    return [source for source, _ in manifest.code_cells(name)]


def lines(source: str) -> list[str]:
    return [line for line in source.splitlines() if line.strip()]


@pytest.mark.parametrize("name", NAMES)
def test_the_first_cell_says_what_is_read_written_and_needed(name):
    first = "".join(load(name)["cells"][0]["source"])
    assert first.startswith("# ")
    for word in ("**읽는 것**", "**쓰는 것**", "**하드웨어**", "**시간**"):
        assert word in first


@pytest.mark.parametrize("name", NAMES)
def test_badge_and_clone_cell_name_the_one_published_place(name):
    text = json.dumps(load(name), ensure_ascii=False)
    place = f"github/{colab.REPOSITORY}/blob/{colab.TAG}/notebooks/{name}.ipynb"
    assert place in text
    assert f"--branch {colab.TAG} https://github.com/{colab.REPOSITORY} " in text


@pytest.mark.parametrize("name", NAMES)
def test_the_setup_cell_comes_first_and_does_nothing_outside_colab(name, monkeypatch):
    monkeypatch.delenv("COLAB_RELEASE_TAG", raising=False)
    first = code(name)[0]
    tree = ast.parse(first)
    assert [type(node) for node in tree.body] == [ast.Import] * 3 + [ast.Assign, ast.If]
    exec(compile(tree, name, "exec"), {})


@pytest.mark.parametrize("name", NAMES)
def test_one_parameters_cell_with_literals_a_comment_each(name):
    tagged = [source for source, tags in manifest.code_cells(name) if "parameters" in tags]
    assert len(tagged) == 1
    assert all(re.match(r"[A-Z][A-Z0-9_]* = ", line) for line in lines(tagged[0]))
    assert manifest.notebook_parameters(name)["RUN"] == ""


@pytest.mark.parametrize("name", NAMES)
def test_cells_are_short(name):
    lengths = sorted(len(lines(source)) for source in code(name))
    assert lengths[len(lengths) // 2] <= 6 and lengths[-1] <= 30
    assert lengths[int(len(lengths) * 0.9) - 1] <= 20
    for source in code(name):
        assert not any(isinstance(node, ast.ClassDef | ast.FunctionDef) for node in ast.walk(ast.parse(source)))


@pytest.mark.parametrize("name", NAMES)
def test_outputs_come_from_one_ordered_run_of_this_source(name):
    cells = [cell for cell in load(name)["cells"] if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1))
    kinds = {output["output_type"] for cell in cells for output in cell["outputs"]}
    assert kinds <= {"stream", "display_data", "execute_result"} and "stream" in kinds


@pytest.mark.parametrize("name", NAMES)
def test_committed_notebooks_are_clean(name):
    text = manifest.notebook_path(name).read_text(encoding="utf-8")
    content = json.loads(text)
    assert len(text.encode()) < 500_000
    assert set(content["metadata"]) <= {"accelerator", "colab", "kernelspec", "language_info"}
    assert content["metadata"]["accelerator"] == "GPU"
    assert not re.search(r'"(/home|/root|/Users|/tmp|/work|/content/drive)/', text)
    for cell in content["cells"]:
        assert set(cell["metadata"]) <= {"tags", "cellView"}
        for output in cell.get("outputs", []):
            assert set(output.get("data", {})) <= {"text/plain", "image/png"} and output.get("name") != "stderr"


def test_unsloth_is_imported_before_the_libraries_it_changes():
    source = "\n".join(code("03_finetune"))
    for library in ("torch", "datasets", "transformers", "trl"):
        assert source.index("from unsloth import") < re.search(rf"^(from|import) {library}", source, re.M).start()


def keywords_of(name: str, call: str) -> set[str]:
    """Return the keyword names that a notebook passes to a call."""
    for node in ast.walk(ast.parse("\n".join(code(name)))):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == call:
            return {keyword.arg for keyword in node.keywords if keyword.arg}
    raise AssertionError(f"{name} does not call {call}")


def test_the_installed_libraries_accept_every_keyword_of_03():
    import dataclasses
    import inspect

    from unsloth import FastLanguageModel  # isort: skip
    from trl import SFTConfig, SFTTrainer

    from parentcare.model.training import checkpoint_arguments

    fields = {field.name for field in dataclasses.fields(SFTConfig)}
    assert keywords_of("03_finetune", "SFTConfig") | set(checkpoint_arguments(10)) <= fields
    assert keywords_of("03_finetune", "SFTTrainer") <= set(inspect.signature(SFTTrainer.__mro__[1].__init__).parameters)
    accepted = set(inspect.signature(FastLanguageModel.get_peft_model).parameters)
    assert keywords_of("03_finetune", "FastLanguageModel.get_peft_model") <= accepted
    assert keywords_of("03_finetune", "FastLanguageModel.from_pretrained") <= gpu_loader_parameters()


def gpu_loader_parameters() -> set[str]:
    """Return the parameters of the loader that a GPU gets; its module cannot be imported without one."""
    import importlib.util
    from pathlib import Path

    loader = Path(importlib.util.find_spec("unsloth").submodule_search_locations[0]) / "models" / "loader.py"
    classes = [n for n in ast.parse(loader.read_text()).body if isinstance(n, ast.ClassDef)]
    language = next(n for n in classes if n.name == "FastLanguageModel")
    function = next(n for n in language.body if getattr(n, "name", "") == "from_pretrained")
    return {argument.arg for argument in function.args.args}


def test_03_is_the_recipe():
    recipe = manifest.notebook_parameters("03_finetune")
    expected = {
        "BASE_MODEL": "unsloth/qwen2.5-7b-instruct-bnb-4bit",
        "MAX_SEQ_LENGTH": 2048,
        "PER_DEVICE_TRAIN_BATCH_SIZE": 2,
        "GRADIENT_ACCUMULATION_STEPS": 4,
        "OPTIM": "adamw_8bit",
        "LEARNING_RATE": 2e-4,
        "LR_SCHEDULER_TYPE": "linear",
        "WARMUP_SHARE": 0.05,
        "WEIGHT_DECAY": 0.001,
        "NUM_TRAIN_EPOCHS": 3,
        "LORA_R": 16,
        "LORA_ALPHA": 16,
        "LORA_DROPOUT": 0.0,
        "EVAL_STEPS": 10,
        "PATIENCE": 3,
        "SEED": 3407,
    }
    assert {name: recipe[name] for name in expected} == expected


# --- what the demo run left ---------------------------------------------------------------------


def test_02_leaves_three_parts_without_a_leak(demo_home, demo_record):
    from parentcare.data.records import read_jsonl
    from parentcare.data.splits import PARTS, find_leaks

    parts = {part: read_jsonl(demo_home / "outputs" / "demo" / f"{part}.jsonl") for part in PARTS}
    assert find_leaks(parts) == [] and all(parts.values())
    assert demo_record["notebooks"]["02_explore_data"]["split"]["records"] == {p: len(r) for p, r in parts.items()}


def test_03_learns_and_saves_an_adapter_that_reloads(demo_home, demo_record):
    section = demo_record["notebooks"]["03_finetune"]
    loss = section["validation_loss"]
    assert loss["tuned"] < loss["base"] - 0.02
    assert abs(loss["reloaded"] - loss["tuned"]) < 1e-3
    adapter = demo_home / "outputs" / "demo" / "adapter"
    for name in ("adapter_model.safetensors", "adapter_config.json", "tokenizer.json", "prompt.json"):
        assert (adapter / name).exists(), name
    assert not list(adapter.glob("*.bin")) and not list(adapter.glob("*.pt"))


def test_every_step_is_in_the_log_and_the_training_loss_falls(demo_home, demo_record):
    from parentcare.model.training import read_log

    losses = [row["loss"] for row in read_log(demo_home / "outputs" / "demo" / "log.jsonl") if "loss" in row]
    assert len(losses) == demo_record["notebooks"]["03_finetune"]["actual"]["steps"] == 40
    assert sum(losses[-10:]) < sum(losses[:10])


def test_every_chart_was_drawn_and_carries_its_run(demo_home):
    from PIL import Image

    for name in ("keyword_distribution", "token_lengths", "training_loss"):
        picture = Image.open(demo_home / "outputs" / "demo" / "images" / f"{name}.png")
        assert picture.text["Run"] == "demo" and picture.width >= 1000


def test_no_notebook_before_04_reads_the_test_part():
    for name in NAMES:
        if name.startswith(("01", "03")) or "tune" in name:
            # that it is away while settings are searched may be asserted
            source = "\n".join(code(name)).replace('assert not (folder / "test.jsonl").exists()', "")
            assert 'open("test.jsonl' not in source and 'folder / "test.jsonl"' not in source, name


def test_01_makes_the_shipped_output_byte_for_byte(demo_home):
    assert (demo_home / "data" / "output.jsonl").read_bytes() == (REPOSITORY / "data" / "output.jsonl").read_bytes()
    rejected = (demo_home / "outputs" / "demo" / "rejected_papers.jsonl").read_text(encoding="utf-8")
    assert all(reason in rejected for reason in ("scanned", "encrypted", "broken"))


def test_04_says_better_only_where_interval_and_test_agree(demo_home):
    evaluation = manifest.read_json(demo_home / "outputs" / "demo" / "evaluation.json")
    assert evaluation["papers"] >= 20
    for row in evaluation["comparisons"]:
        outside = row["low"] > 0 or row["high"] < 0
        assert (row["verdict"] in ("better", "worse")) == (outside and row["p_value"] < 0.05)
    loss = next(row for row in evaluation["comparisons"] if row["score"] == "loss")
    assert loss["baseline_system"] == "base" and loss["verdict"] == "better"
    means = evaluation["systems"]
    assert means["oracle"]["rougeL"] > means["lead-3"]["rougeL"] > means["tuned"]["rougeL"]


def test_every_prediction_is_kept_with_what_is_needed_to_score_it_again(demo_home):
    from parentcare.data.records import read_jsonl

    rows = read_jsonl(demo_home / "outputs" / "demo" / "predictions.jsonl")
    evaluation = manifest.read_json(demo_home / "outputs" / "demo" / "evaluation.json")
    assert len(rows) == evaluation["records"] * len(evaluation["systems"])
    assert {"system", "id", "prediction", "reference", "text"} <= rows[0].keys()


def test_05_cites_every_sentence_and_refuses_what_the_papers_do_not_answer(demo_home):
    text = (demo_home / "outputs" / "demo" / "cited_answers.txt").read_text(encoding="utf-8")
    sentences = re.findall(r"^- .*$", text, re.M)
    assert len(sentences) >= 4 and all(re.search(r" \[\d\]$", sentence) for sentence in sentences)
    assert "근거를 찾지 못했습니다" in text and "지금 119에 전화" in text
    assert text.count("[AI 생성]") == 4 and "합성 표본 논문" in text


def test_06_exports_only_what_answers_the_same_by_every_road(demo_home, demo_record):
    lines = demo_record["notebooks"]["06_export"]["parity"]
    assert len(lines) == 4 and all(line["reasons"] == [] for line in lines.values())
    assert all(line["same"] == line["prompts"] == 32 for line in lines.values())
    for name in ("adapter_export", "merged"):
        folder = demo_home / "outputs" / "demo" / name
        assert manifest.read_json(folder / "parity.json")["passed"] and (folder / "README.md").exists()


def test_03s_plan_stands_beside_what_happened(demo_record):
    plan = demo_record["notebooks"]["03_finetune"]["plan"]
    assert len(plan["shapes"]) == 8 and plan["probe"]["steps"] and plan["actual"]["step_seconds"] > 0
    assert set(plan["error_predicted"]) == set(plan["error_probe"]) == {"step_seconds"}
