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


@pytest.mark.parametrize(("language", "name"), publish.READMES.items())
def test_the_readmes_blocks_are_those_of_the_published_run(language, name):
    content = manifest.read_json(PUBLISHED / "run.json")["notebooks"]
    content["evaluation"] = manifest.read_json(PUBLISHED / "evaluation.json")
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
