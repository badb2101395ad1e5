import copy
import json
import re

import pytest

from parentcare import manifest, publish
from tests.conftest import REPOSITORY

SOURCE = {
    "cells": [
        {"cell_type": "markdown", "id": "m", "metadata": {}, "source": ["# 제목"]},
        {
            "cell_type": "code",
            "id": "a",
            "metadata": {},
            "source": ["print(1)"],
            "outputs": [],
            "execution_count": None,
        },
    ]
}
PUBLISHED = REPOSITORY / "outputs" / "published" / "demo"


def executed(*outputs: dict) -> dict:
    made = copy.deepcopy(SOURCE)
    made["cells"].insert(1, {"cell_type": "code", "id": "p", "metadata": {}, "source": ["RUN = 'x'"], "outputs": []})
    made["cells"][2] |= {"outputs": list(outputs), "execution_count": 7}
    return made


def test_only_text_and_png_of_the_run_are_kept_and_counted_from_one():
    outputs = [
        {"output_type": "stream", "name": "stderr", "text": ["warning"]},
        {"output_type": "stream", "name": "stdout", "text": [f"{manifest.HOME}/outputs/demo\n"]},
        {
            "output_type": "execute_result",
            "execution_count": 7,
            "metadata": {"w": 1},
            "data": {"text/html": "<b>", "image/png": "aGk=", "text/plain": "x"},
        },
    ]
    cell = publish.clean_notebook(copy.deepcopy(SOURCE), executed(*outputs))["cells"][1]
    assert cell["execution_count"] == 1
    assert [output["output_type"] for output in cell["outputs"]] == ["stream", "execute_result"]
    assert cell["outputs"][0]["text"] == ["outputs/demo\n"]
    assert set(cell["outputs"][1]["data"]) == {"image/png", "text/plain"} and cell["outputs"][1]["metadata"] == {}


def test_outputs_of_other_source_are_never_grafted():
    made = executed()
    made["cells"][2]["source"] = ["print(2)"]
    with pytest.raises(ValueError, match="differs from the notebook"):
        publish.clean_notebook(copy.deepcopy(SOURCE), made)


def test_a_block_is_replaced_between_its_marks_only():
    text = "앞\n<!-- run -->\n옛\n<!-- /run -->\n뒤"
    assert publish.replace_block(text, "run", "새 \\1") == "앞\n<!-- run -->\n새 \\1\n<!-- /run -->\n뒤"
    with pytest.raises(ValueError, match="has no <!-- other -->"):
        publish.replace_block(text, "other", "")


def published() -> dict:
    """Return what the READMEs' blocks are made of, in the published demo run."""
    content = manifest.read_json(PUBLISHED / "run.json")["notebooks"]
    return content | {"evaluation": manifest.read_json(PUBLISHED / "evaluation.json")}


def as_real(content: dict, synthetic: bool) -> dict:
    """Return the content as a run of the recipe's base on a GPU would have it."""
    content = copy.deepcopy(content)
    real = {"demo": False, "device": "NVIDIA H200", "synthetic": synthetic}
    content["03_finetune"] |= real | {"base": "unsloth/qwen"}
    content["evaluation"] |= real
    return content


@pytest.mark.parametrize("language", publish.READMES)
def test_only_a_demo_run_is_called_the_demo(language):
    for synthetic in (False, True):
        content = as_real(published(), synthetic)
        run, times, evaluation = (render(content, language) for render in publish.BLOCKS.values())
        for text in (run, times, evaluation.partition("|")[0]):
            assert not re.search("demo|데모|CPU|control", text), text
        assert "NVIDIA H200" in times and "unsloth/qwen" in run
        assert ("합성 논문" in run or "synthetic" in run) == synthetic
    run, times, evaluation = (render(published(), language) for render in publish.BLOCKS.values())
    for text in (run, times, evaluation):
        assert re.search("demo|데모", text)
    assert re.search("2-core CPU|2코어 CPU", times)


def test_an_interval_beside_zero_is_not_printed_as_zero():
    row = next(row for row in published()["evaluation"]["comparisons"] if row["score"] == "rougeL")
    near = row | {"difference": -0.0015483, "low": -0.0033791, "high": -3.25e-05}
    assert "| -0.00155 | [-0.00338, -0.00003] |" in publish._comparison_row(near, "en")
    far = row | {"difference": 0.0, "low": -0.0031, "high": 0.0043}
    assert "| +0.0000 | [-0.0031, +0.0043] |" in publish._comparison_row(far, "en")
    assert "| +1.0000 | – |" in publish._comparison_row(row | {"difference": 1.0, "low": None, "high": None}, "en")


@pytest.mark.parametrize("missing", ["03_finetune", "04_evaluate"])
def test_a_run_without_training_or_evaluation_is_refused_before_anything_is_written(missing, tmp_path, monkeypatch):
    record = {"run": "r", "notebooks": published()}
    del record["notebooks"]["evaluation"], record["notebooks"][missing]
    monkeypatch.setattr(manifest, "HOME", tmp_path)
    monkeypatch.setattr(manifest, "check_current", lambda *_: ("current", []))
    monkeypatch.setattr(manifest, "write_atomically", lambda path, _: pytest.fail(f"{path} was written"))
    folder = tmp_path / "outputs" / "r"
    (folder / "notebooks" / "optional").mkdir(parents=True)
    (folder / "run.json").write_text(json.dumps(record), encoding="utf-8")
    for notebook in record["notebooks"]:
        (folder / "notebooks" / f"{notebook}.ipynb").write_bytes(manifest.notebook_path(notebook).read_bytes())
    with pytest.raises(SystemExit, match=f"run 'r' has no finished {missing}; run it first"):
        publish.publish_run("r")


@pytest.mark.parametrize(("language", "name"), publish.READMES.items())
def test_the_readmes_blocks_are_those_of_the_published_run(language, name):
    content = published()
    text = (REPOSITORY / name).read_text(encoding="utf-8")
    for block, render in publish.BLOCKS.items():
        assert publish.replace_block(text, block, render(content, language)) == text, block


def test_published_charts_and_data_are_those_of_the_published_run():
    from PIL import Image

    content = manifest.read_json(PUBLISHED / "run.json")["notebooks"]
    assert content["01_build_dataset"]["writes"]["data/output.jsonl"] == manifest.sha256(
        REPOSITORY / "data" / "output.jsonl"
    )
    for section in content.values():
        for path, digest in section["writes"].items():
            if "/images/" in path:
                picture = REPOSITORY / "images" / path.rsplit("/", 1)[1]
                assert manifest.sha256(picture) == digest and Image.open(picture).text["Run"] == "demo"


def test_both_readmes_have_the_same_commands_links_and_numbers():
    korean, english = ((REPOSITORY / name).read_text(encoding="utf-8") for name in publish.READMES.values())
    for pattern in (r"`python3 [^`]+`", r"\]\(([^)]+)\)", r"\d+(?:[.,]\d+)+"):
        one, other = (sorted(re.findall(pattern, text)) for text in (korean, english))
        same = [x for x in one if "README" not in x], [x for x in other if "README" not in x]
        assert same[0] == same[1], pattern


def test_every_linked_file_exists():
    for name in ("README.md", "README.en.md", "data/README.md", "CONTRIBUTING.md"):
        path = REPOSITORY / name
        for link in re.findall(r"\]\((?!http)([^)#]+)\)", path.read_text(encoding="utf-8")):
            assert (path.parent / link).exists(), f"{name}: {link}"


def test_tracked_json_is_whole():
    for path in (REPOSITORY / "benchmarks" / "results").glob("*.json"):
        rows = json.loads(path.read_text(encoding="utf-8"))
        assert rows and all({"setting", "device", "date"} <= row.keys() for row in rows), path.name
