import json

import pytest

from parentcare import manifest

PARAMETERS = {"RUN": "", "MAX_STEPS": 30, "FRESH": False, "TERMS": ("유아", "영아")}

PARAMETERS_CELL = 'RUN = ""\nMAX_STEPS = 30  # steps\nFRESH = False\nTERMS = ("유아", "영아")'


def notebook(folder, code: str, parameters: str = PARAMETERS_CELL):
    cells = [
        {"cell_type": "markdown", "metadata": {}, "source": ["# 제목"]},
        {"cell_type": "code", "metadata": {"tags": ["parameters"]}, "source": [parameters], "outputs": []},
        {"cell_type": "code", "metadata": {}, "source": [code], "outputs": []},
    ]
    (folder / "notebooks").mkdir(exist_ok=True)
    (folder / "notebooks" / "05_x.ipynb").write_text(json.dumps({"cells": cells}))


@pytest.fixture
def project(tmp_path, monkeypatch):
    """Return a home with one notebook that has read a.txt and written b.txt."""
    monkeypatch.setattr(manifest, "HOME", tmp_path)
    monkeypatch.setattr(manifest, "REPOSITORY", tmp_path)
    (tmp_path / "parentcare" / "data").mkdir(parents=True)
    (tmp_path / "parentcare" / "data" / "records.py").write_text("A = 1\n")
    notebook(tmp_path, "from parentcare.data import records")
    (tmp_path / "a.txt").write_text("in")
    (tmp_path / "b.txt").write_text("out")
    manifest.record("05_x", "r", PARAMETERS, reads=[tmp_path / "a.txt"], writes=[tmp_path / "b.txt"], loss=1.5)
    return tmp_path


def test_a_kill_while_writing_leaves_the_old_file_whole(tmp_path, monkeypatch):
    path = manifest.write_atomically(tmp_path / "a.json", "old")

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(manifest.os, "fsync", fail)
    with pytest.raises(OSError, match="No space"):
        manifest.write_atomically(path, "new")
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


def test_nothing_changed_is_current(project):
    assert manifest.check_current("05_x", "r", {}) == ("current", [])
    assert manifest.read_run("r")["notebooks"]["05_x"]["loss"] == 1.5


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda p: (p / "a.txt").write_text("other"), "a.txt changed"),
        (lambda p: notebook(p, "from parentcare.data import splits"), "code cells changed"),
        (lambda p: (p / "parentcare" / "data" / "records.py").write_text("A = 2\n"), "package code changed"),
        (
            lambda p: notebook(p, "from parentcare.data import records", PARAMETERS_CELL.replace("30", "40")),
            "MAX_STEPS 30 → 40",
        ),
    ],
)
def test_a_changed_input_code_or_parameter_makes_it_stale(project, change, reason):
    change(project)
    assert manifest.check_current("05_x", "r", {}) == ("stale", [reason])


def test_an_override_makes_it_stale_but_run_and_fresh_do_not(project):
    assert manifest.check_current("05_x", "r", {"MAX_STEPS": 5}) == ("stale", ["MAX_STEPS 30 → 5"])
    assert manifest.check_current("05_x", "r", {"RUN": "r", "FRESH": True})[0] == "current"


def test_a_missing_output_is_made_again_and_an_edited_one_is_kept(project):
    (project / "b.txt").write_text("edited by hand")
    assert manifest.check_current("05_x", "r", {}) == ("edited", ["b.txt"])
    (project / "b.txt").unlink()
    assert manifest.check_current("05_x", "r", {}) == ("missing", ["b.txt is not there"])
    assert manifest.check_current("05_x", "other", {})[0] == "missing"


def test_what_was_begun_again_and_did_not_end_is_made_again(project):
    manifest.mark_unfinished("05_x", "r")
    (project / "b.txt").write_text("half of the new one")
    assert manifest.check_current("05_x", "r", {})[0] == "missing"
    manifest.refuse_finished("05_x", "r", False)


def test_figures_and_prose_do_not_count(project):
    (project / "parentcare" / "figures.py").write_text("B = 1\n")
    content = json.loads((project / "notebooks" / "05_x.ipynb").read_text())
    content["cells"][0]["source"] = ["# 다른 제목"]
    (project / "notebooks" / "05_x.ipynb").write_text(json.dumps(content))
    assert manifest.check_current("05_x", "r", {})[0] == "current"


def test_a_finished_run_is_refused_unless_asked(project):
    with pytest.raises(FileExistsError, match=r"--fresh(.|\n)*--run NEW"):
        manifest.refuse_finished("05_x", "r", fresh=False)
    manifest.refuse_finished("05_x", "r", fresh=True)
    manifest.refuse_finished("05_x", "other", fresh=False)


def test_a_folder_counts_by_its_names_and_contents(tmp_path):
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "a").write_text("1")
    before = manifest.sha256(tmp_path / "d")
    (tmp_path / "d" / "b").write_text("2")
    assert manifest.sha256(tmp_path / "d") != before and manifest.sha256(tmp_path / "none") is None


@pytest.mark.parametrize("name", ["../x", "", "a/b", ".hidden", "a b"])
def test_a_run_name_that_is_no_folder_name_is_refused(name):
    with pytest.raises(ValueError, match="RUN is"):
        manifest.run_folder(name)


def test_missing_input_names_the_notebook_that_makes_it(tmp_path):
    with pytest.raises(FileNotFoundError, match="notebook 02_explore_data makes it"):
        manifest.require(tmp_path / "train.jsonl", "02_explore_data")


def test_a_damaged_run_json_says_what_to_do(project):
    (project / "outputs" / "r" / "run.json").write_text("{half")
    with pytest.raises(ValueError, match=r"run\.json is not JSON"):
        manifest.read_run("r")
