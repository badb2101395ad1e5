"""A run killed with SIGKILL goes on, three times over, and ends where an uninterrupted one ends."""

import json
from pathlib import Path

import kills
import pytest

# eight steps are not a whole number of epochs of 44 rows: a run killed after its last step must not take another
SETTINGS = {"MAX_STEPS": 8, "EVAL_STEPS": 2, "MAX_NEW_TOKENS": 8, "CHECK_RELOAD": False}
ROWS = {"train": 44, "validation": 8}


def go_until(folder: Path, condition) -> None:
    """Start 03 and kill it as soon as the condition holds."""
    process = kills.start(folder, SETTINGS)
    assert kills.wait_for(lambda: kills.printed_steps(folder), process, 400), printed(folder)
    known = kills.family(process)
    assert kills.wait_for(condition, process, 400), printed(folder)
    kills.kill(process, known)
    assert not (folder / "adapter").exists()


def printed(folder: Path) -> str:
    return (folder / "printed.txt").read_text(encoding="utf-8")[-3000:]


@pytest.fixture(scope="module")
def demo_parts(demo_home) -> Path:
    return demo_home / "outputs" / "demo"


def test_a_run_killed_three_times_ends_with_the_losses_of_an_uninterrupted_one(demo_parts, tmp_path):
    whole = kills.make_home(tmp_path / "whole", "demo", demo_parts, ROWS)
    assert kills.start(whole, SETTINGS).wait(400) == 0, printed(whole)

    folder = kills.make_home(tmp_path / "killed", "demo", demo_parts, ROWS)
    go_until(folder, lambda: max(kills.printed_steps(folder)) >= 3)  # in the middle of a step
    assert kills.checkpoints(folder) == [2]
    go_until(folder, lambda: kills.being_written(folder))  # while a checkpoint is being written
    assert kills.printed_steps(folder)[0] == 3 and kills.checkpoints(folder, complete=False) == [4]
    go_until(folder, lambda: (folder / ".adapter.tmp").exists())  # while the adapter is being saved
    assert kills.printed_steps(folder)[0] == 3 and len(kills.checkpoints(folder)) <= 3

    assert kills.start(folder, SETTINGS).wait(400) == 0, printed(folder)
    assert kills.printed_steps(folder) == [] and (folder / "adapter" / "adapter_model.safetensors").exists()
    assert not (folder / ".adapter.tmp").exists() and not kills.checkpoints(folder, complete=False)
    assert list(kills.log_rows(folder)) == list(range(1, 9))
    assert max(kills.largest_gaps(whole, folder).values()) <= 1e-3
    one, two = (json.loads((f / "run.json").read_text())["notebooks"]["03_finetune"] for f in (whole, folder))
    assert abs(one["validation_loss"]["tuned"] - two["validation_loss"]["tuned"]) <= 1e-3


def test_03_hands_over_what_a_resume_must_not_change(demo_parts):
    settings = json.loads((demo_parts / "checkpoints" / "settings.json").read_text(encoding="utf-8"))
    recipe = {"LORA_R", "LORA_ALPHA", "BASE_MODEL", "LEARNING_RATE", "MAX_SEQ_LENGTH", "EVAL_STEPS", "SEED"}
    assert recipe | {"train", "validation", "used"} <= settings.keys() and "FRESH" not in settings
    assert settings["used"]["base_model"].endswith("base")
