import json
import subprocess
import sys

import pytest

import run
from parentcare import environment, manifest
from tests.conftest import REPOSITORY, run_py


def test_set_takes_literals_for_the_notebooks_that_know_the_name():
    arguments = run.parse_arguments(["--set", "MAX_SEQ_LENGTH=256", "--set", "BASE_MODEL=my/base"])
    chosen = run.parse_settings(arguments.settings, ["02_explore_data", "03_finetune"])
    assert chosen["02_explore_data"] == chosen["03_finetune"] == {"MAX_SEQ_LENGTH": 256, "BASE_MODEL": "my/base"}


@pytest.mark.parametrize("setting", ["MAX_STEP=3", "LEARNING_RATE"])
def test_an_unknown_parameter_is_an_error_that_lists_the_known_ones(setting):
    with pytest.raises(SystemExit, match=r"03_finetune: RUN, .*LEARNING_RATE"):
        run.parse_settings([setting], ["02_explore_data", "03_finetune"])


@pytest.mark.parametrize("setting", ["RUN=other", "FRESH=True"])
def test_what_has_an_option_of_its_own_is_no_setting(setting):
    with pytest.raises(SystemExit, match=f"--{setting.partition('=')[0].lower()}"):
        run.parse_settings([setting], ["02_explore_data", "03_finetune"])


def test_a_run_keeps_what_it_was_given_and_the_newest_counts(tmp_path, monkeypatch):
    monkeypatch.setattr(manifest, "HOME", tmp_path)
    given = {"01_build_dataset": {"PAPERS_FOLDER": "mine"}, "02_explore_data": {}}
    assert run.settle_settings("r", given, False) == given
    later = run.settle_settings("r", {"01_build_dataset": {}, "03_finetune": {"SEED": 1}}, False)
    assert later == {"01_build_dataset": {"PAPERS_FOLDER": "mine"}, "03_finetune": {"SEED": 1}}
    newest = run.settle_settings("r", {"01_build_dataset": {"PAPERS_FOLDER": "other"}}, False)
    assert newest == {"01_build_dataset": {"PAPERS_FOLDER": "other"}}
    assert run.settle_settings("another", {"01_build_dataset": {}}, False) == {"01_build_dataset": {}}


def test_an_upload_is_asked_for_each_time(tmp_path, monkeypatch):
    monkeypatch.setattr(manifest, "HOME", tmp_path)
    given = {"06_export": {"PUSH_TO": "me/model", "DRY_RUN": False}}
    assert run.settle_settings("r", given, False) == given
    assert run.settle_settings("r", {"06_export": {}}, False) == {"06_export": {}}


def test_from_starts_at_that_notebook_and_an_unknown_one_is_named():
    assert run.choose_notebooks(run.parse_arguments(["--from", "03"]))[0] == "03_finetune"
    with pytest.raises(SystemExit, match="--from 09"):
        run.choose_notebooks(run.parse_arguments(["--from", "09"]))
    with pytest.raises(SystemExit, match="--with 07"):
        run.choose_notebooks(run.parse_arguments(["--with", "07"]))


def test_requirements_are_pinned_with_a_reason_each():
    for name in ("requirements.txt", "requirements-unsloth.txt"):
        for line in (REPOSITORY / name).read_text().splitlines():
            if line and not line.startswith("#"):
                assert "==" in line
                assert name != "requirements.txt" or "#" in line, line


def test_a_machines_own_torch_is_left_out_of_the_requirements():
    assert "torch==2.13.0" in environment.requirement_lines(keep_torch=False)
    assert not any(line.startswith("torch==") for line in environment.requirement_lines(keep_torch=True))


def test_an_old_python_is_told_so_in_one_sentence():
    probe = "import sys; sys.version_info = (3, 9, 1); sys.argv = ['run.py']; import run; run.main()"
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, cwd=REPOSITORY)
    assert done.returncode == 1 and done.stderr.startswith("Python 3.11 or newer is needed")


def test_a_failed_installation_ends_in_one_sentence(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(environment, "VENV", tmp_path)
    command = [sys.executable, "-c", "import sys; sys.exit('Max retries exceeded')"]
    with pytest.raises(SystemExit, match="could not reach a package index"):
        environment._step("installing", command)
    assert "Max retries" in (tmp_path / "install.log").read_text()


def test_the_first_run_shows_cells_times_and_what_was_written(demo_home):
    text = (demo_home / "first_run.txt").read_text(encoding="utf-8")
    assert "02_explore_data  cell " in text and "step   40 of 40" in text
    assert "outputs/demo/adapter" in text and "in all" in text


def test_a_second_run_skips_everything(demo_home):
    done = run_py(demo_home, "--demo", timeout=60)
    assert done.returncode == 0 and "03_finetune  skipped: already done" in done.stdout
    assert "again" not in done.stdout


def test_a_finished_run_is_not_overwritten_by_other_settings(demo_home):
    done = run_py(demo_home, "--demo", "--set", "LEARNING_RATE=0.1", timeout=60)
    assert done.returncode != 0
    assert "LEARNING_RATE 0.0002 → 0.1" in done.stderr and "--fresh" in done.stderr and "--run NEW" in done.stderr


def test_what_a_finished_run_was_made_from_is_not_made_anew_either(demo_home):
    parts = {path: path.read_bytes() for path in (demo_home / "outputs" / "demo").glob("*.j*")}
    done = run_py(demo_home, "--demo", "--set", "SEED=1", timeout=60)
    assert done.returncode != 0 and "01: SEED 3407 → 1" in done.stderr and "--run NEW" in done.stderr
    assert {path: path.read_bytes() for path in parts} == parts


def test_an_output_changed_by_hand_is_kept_and_named(demo_home):
    path = demo_home / "outputs" / "demo" / "rejected_rows.jsonl"
    before = path.read_bytes()
    try:
        path.write_text("mine\n")
        done = run_py(demo_home, "--demo", timeout=60)
        assert "kept: outputs/demo/rejected_rows.jsonl changed by hand" in done.stdout and path.read_text() == "mine\n"
    finally:
        path.write_bytes(before)


def test_a_failing_notebook_names_cell_error_and_copy(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "output.jsonl").write_text('[{"text": "a"}]')
    done = run_py(tmp_path, "--demo", "--from", "02", timeout=120)
    assert done.returncode != 0
    for words in ("02_explore_data failed in cell", "JSON array", "outputs/demo/notebooks/02_explore_data.ipynb"):
        assert words in done.stderr, done.stderr


def test_a_notebook_over_its_time_limit_is_stopped_and_says_so(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "output.jsonl").write_bytes((REPOSITORY / "data" / "output.jsonl").read_bytes())
    done = run_py(tmp_path, "--demo", "--from", "02", "--time-limit", "0.05", timeout=60)
    assert done.returncode != 0 and "ran longer than the limit" in done.stderr
    assert manifest.read_json(tmp_path / "outputs" / "demo" / "run.json") is None


def test_the_run_record_has_what_the_readme_quotes(demo_record):
    section = demo_record["notebooks"]["03_finetune"]
    for key in ("base", "device", "stamp", "seed", "commit", "plan", "actual", "validation_loss", "reads", "writes"):
        assert key in section, key
    assert json.dumps(demo_record, ensure_ascii=False)
