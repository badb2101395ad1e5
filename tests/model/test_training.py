import json
import math
from pathlib import Path
from types import SimpleNamespace

import pytest

from parentcare.model import training


def checkpoint(folder: Path, step: int, complete: bool = True) -> Path:
    path = folder / f"checkpoint-{step}"
    path.mkdir(parents=True)
    (path / "adapter_model.safetensors").write_bytes(b"weights")
    if complete:
        (path / training.COMPLETE_MARK).touch()
    return path


def state(step: int, max_steps: int = 30):
    return SimpleNamespace(global_step=step, max_steps=max_steps, epoch=step / 10, num_input_tokens_seen=step * 100)


def test_a_half_written_checkpoint_is_never_loaded(tmp_path):
    whole = checkpoint(tmp_path, 20)
    half = checkpoint(tmp_path, 30, complete=False)
    assert training.last_complete_checkpoint(tmp_path) == str(whole)
    assert not half.exists() and training.last_complete_checkpoint(tmp_path / "none") is None


def test_the_newest_checkpoint_goes_by_number_not_by_name(tmp_path):
    checkpoint(tmp_path, 90)
    newest = checkpoint(tmp_path, 100)
    assert training.last_complete_checkpoint(tmp_path) == str(newest)


def test_a_resume_with_other_settings_is_refused_with_the_difference(tmp_path):
    assert training.begin_or_resume(tmp_path, {"LORA_R": 16, "train": "abc"}, fresh=False) is None
    path = checkpoint(tmp_path, 10)
    assert training.begin_or_resume(tmp_path, {"LORA_R": 16, "train": "abc"}, fresh=False) == str(path)
    with pytest.raises(ValueError, match=r"LORA_R 16 → 8(.|\n)*--fresh(.|\n)*--run NEW"):
        training.begin_or_resume(tmp_path, {"LORA_R": 8, "train": "abc"}, fresh=False)
    assert training.begin_or_resume(tmp_path, {"LORA_R": 8}, fresh=True) is None and not path.exists()


def test_the_mark_is_the_last_thing_written(tmp_path):
    path = checkpoint(tmp_path, 10, complete=False)
    training.MarkComplete().on_save(SimpleNamespace(output_dir=str(tmp_path)), state(10), None)
    assert (path / training.COMPLETE_MARK).exists()


def test_the_log_of_a_resumed_run_goes_on_from_the_checkpoint(tmp_path):
    path = tmp_path / "log.jsonl"
    rows = [{"step": step, "loss": 5.0, "seconds": 2.0 * step} for step in range(1, 15)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows) + '{"step": 15, "lo')
    log = training.RunLog(path)
    log.on_train_begin(None, state(10), None)
    log.on_log(None, state(11), None, {"loss": 4.5, "learning_rate": 1e-4})
    read = training.read_log(path)
    assert [row["step"] for row in read] == list(range(1, 12))
    assert read[-1]["loss"] == 4.5 and read[-1]["seconds"] >= 20.0 and read[-1]["tokens"] == 1100


@pytest.mark.parametrize("loss", [math.nan, math.inf])
def test_a_loss_that_is_not_finite_stops_the_run_and_is_logged(tmp_path, loss):
    log = training.RunLog(tmp_path / "log.jsonl")
    log.on_train_begin(None, state(0), None)
    with pytest.raises(FloatingPointError, match="step 3"):
        log.on_log(None, state(3), None, {"loss": loss})
    assert training.read_log(tmp_path / "log.jsonl")[-1]["step"] == 3


def test_the_progress_line_shows_step_loss_and_time_left(tmp_path, capsys):
    log = training.RunLog(tmp_path / "log.jsonl")
    log.on_train_begin(None, state(0), None)
    log.started -= 10
    log.on_log(None, state(10), None, {"eval_loss": 3.25})
    assert capsys.readouterr().out == "step   10 of 30  validation loss 3.2500  0:20 left\n"


def test_response_loss_weighs_every_token_the_same(monkeypatch):
    losses = {1: (2.0, 1), 2: (30.0, 10)}
    monkeypatch.setattr(training, "row_loss", lambda model, row: losses[row])
    assert training.response_loss(None, [1, 2]) == pytest.approx(32.0 / 11)
