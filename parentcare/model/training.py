"""What happens around SFTTrainer: the log, whole checkpoints, resuming, and the validation loss."""

import json
import math
import os
import shutil
import time
from pathlib import Path

from transformers import TrainerCallback

from parentcare.manifest import format_seconds, read_json, short_path, write_atomically, write_json
from parentcare.model.prompts import IGNORED_LABEL

COMPLETE_MARK = "complete"


def response_loss(model, rows: list[dict]) -> float:
    """Return the mean negative log-likelihood per response token over `rows`, in nats.

    Every token weighs the same, whatever its row; the trainer's eval_loss averages batches instead.
    """
    nats, tokens = zip(*(row_loss(model, row) for row in rows), strict=True)
    return sum(nats) / sum(tokens)


def mean_losses(model, rows: list[dict]) -> list[float]:
    """Return the mean negative log-likelihood per response token of each row, in nats."""
    return [nats / tokens for nats, tokens in (row_loss(model, row) for row in rows)]


def row_loss(model, row: dict) -> tuple[float, int]:
    """Return (negative log-likelihood in nats, number of tokens) of one row's response."""
    import torch

    input_ids = torch.tensor([row["input_ids"]], device=model.device)  # (1, seq_len)
    labels = torch.tensor([row["labels"]], device=model.device)
    tokens = sum(label != IGNORED_LABEL for label in row["labels"])
    was_training = model.training
    model.eval()
    # a trainer leaves its autocast around the model it trained: a reloaded one would differ by 1e-3 without it
    with torch.no_grad(), torch.autocast(model.device.type, model.dtype, enabled=model.dtype != torch.float32):
        loss = model(input_ids=input_ids, labels=labels).loss
    model.train(was_training)
    return loss.item() * tokens, tokens


def keep_adapter_float32(model) -> int:
    """Return the number of trainable weights after holding them in float32.

    TRL casts QLoRA adapters to bf16, but a resume brings them back as float32: without this an
    interrupted run and an uninterrupted one drift apart.
    """
    trainable = [parameter for parameter in model.parameters() if parameter.requires_grad]
    for parameter in trainable:
        parameter.data = parameter.data.float()
    return sum(parameter.numel() for parameter in trainable)


class RunLog(TrainerCallback):
    """Appends each logged step to log.jsonl, prints it with the time left, and stops at a NaN."""

    def __init__(self, path: Path):
        self.path = Path(path)
        self.seconds_before = 0.0

    def on_train_begin(self, args, state, control, **kwargs):
        """Drop what an interrupted run logged after the checkpoint that this one goes on from."""
        kept = [row for row in read_log(self.path) if row["step"] <= state.global_step]
        write_atomically(self.path, "".join(json.dumps(row) + "\n" for row in kept))
        self.seconds_before = max((row.get("seconds", 0.0) for row in kept), default=0.0)
        self.started, self.first_step = time.time(), state.global_step

    def on_log(self, args, state, control, logs=None, **kwargs):
        """Write and print one line. Raises FloatingPointError at a loss that is not finite."""
        names = ("loss", "eval_loss", "learning_rate", "grad_norm")
        row = {name: logs[name] for name in names if name in logs}
        if "loss" not in row and "eval_loss" not in row:
            return
        seconds = time.time() - self.started
        row = {"step": state.global_step, "epoch": round(state.epoch, 3), **row}
        row |= {"tokens": state.num_input_tokens_seen, "seconds": round(self.seconds_before + seconds, 1)}
        with open(self.path, "a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
        loss = row.get("loss", row.get("eval_loss"))
        if not math.isfinite(loss):
            raise FloatingPointError(
                f"the loss at step {state.global_step} is {loss}: lower LEARNING_RATE, or look at the rows of this step"
            )
        if "eval_loss" in row or state.global_step % max(1, state.max_steps // 30) == 0:
            print(self._line(row, state, seconds), flush=True)

    def _line(self, row: dict, state, seconds: float) -> str:
        per_step = seconds / max(1, state.global_step - self.first_step)
        left = per_step * (state.max_steps - state.global_step)
        kind, loss = ("loss", row["loss"]) if "loss" in row else ("validation loss", row["eval_loss"])
        return f"step {state.global_step:>4} of {state.max_steps}  {kind} {loss:.4f}  {format_seconds(left)} left"


class MarkComplete(TrainerCallback):
    """Marks a checkpoint whose every file is written, so that a half-written one is never loaded."""

    def on_save(self, args, state, control, **kwargs):
        """Write the mark last; the folder without it is deleted by the next run."""
        checkpoint = Path(args.output_dir) / f"checkpoint-{state.global_step}"
        for path in checkpoint.iterdir():
            with open(path, "rb") as file:
                os.fsync(file.fileno())
        write_atomically(checkpoint / COMPLETE_MARK, "")


def checkpoint_arguments(every_steps: int) -> dict:
    """Return the SFTConfig fields of logging, checkpoints, the best one of them, and of a quiet notebook."""
    return {
        "eval_steps": every_steps,
        "save_strategy": "steps",
        "save_steps": every_steps,
        "save_total_limit": 2,
        "load_best_model_at_end": True,
        "metric_for_best_model": "eval_loss",
        "greater_is_better": False,
        "restore_callback_states_from_checkpoint": True,
        "logging_strategy": "steps",
        "logging_steps": 1,
        "logging_nan_inf_filter": False,
        "include_num_input_tokens_seen": "non_padding",
        "disable_tqdm": True,
        "report_to": "none",
        "dataset_num_proc": None,
    }


def last_complete_checkpoint(folder: Path) -> str | None:
    """Return the newest checkpoint with its mark, or None; half-written ones are deleted."""
    found = {int(path.name.split("-")[1]): path for path in Path(folder).glob("checkpoint-*")}
    for path in found.values():
        if not (path / COMPLETE_MARK).exists():
            shutil.rmtree(path)
    complete = [step for step, path in found.items() if path.exists()]
    return str(found[max(complete)]) if complete else None


def begin_or_resume(folder: Path, settings: dict, fresh: bool) -> str | None:
    """Return the checkpoint to go on from, or None for a new run in `folder`.

    Raises ValueError with the differences where an unfinished run was begun with other settings.
    """
    if fresh:
        shutil.rmtree(folder, ignore_errors=True)
    before = read_json(folder / "settings.json")
    checkpoint = last_complete_checkpoint(folder)
    if before is not None and checkpoint is not None:
        settings = json.loads(json.dumps(settings))
        keys = sorted(before.keys() | settings.keys())
        changes = [f"{k} {before.get(k)!r} → {settings.get(k)!r}" for k in keys if before.get(k) != settings.get(k)]
        if changes:
            raise ValueError(
                f"{short_path(folder)} has an unfinished run with other settings: {'; '.join(changes)}. "
                "Set them back to go on, start over with --fresh (FRESH = True), or take another name, --run NEW (RUN)"
            )
    write_json(folder / "settings.json", settings)
    return checkpoint


def read_log(path: Path) -> list[dict]:
    """Return the whole lines of log.jsonl; a last line cut by a kill is left out."""
    if not Path(path).exists():
        return []
    lines = Path(path).read_text(encoding="utf-8").split("\n")
    return [json.loads(line) for line in lines[:-1]]


def save_adapter(model, tokenizer, folder: Path, prompt: dict) -> Path:
    """Return `folder` after writing adapter, tokenizer and prompt there in one step."""
    beside = folder.with_name(f".{folder.name}.tmp")
    shutil.rmtree(beside, ignore_errors=True)
    model.save_pretrained(beside, safe_serialization=True)
    tokenizer.save_pretrained(beside)
    write_json(beside / "prompt.json", prompt)
    shutil.rmtree(folder, ignore_errors=True)
    os.replace(beside, folder)
    return folder


def memory_gib(device: str) -> dict:
    """Return the peak memory so far in GiB: allocated and reserved on a GPU, resident on a CPU."""
    if device == "cuda":
        import torch

        return {
            "peak_allocated_gib": round(torch.cuda.max_memory_allocated() / 2**30, 2),
            "peak_reserved_gib": round(torch.cuda.max_memory_reserved() / 2**30, 2),
        }
    import resource

    return {"peak_resident_gib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 2)}
