"""What happens around SFTTrainer: the log, whole checkpoints, resuming, and the validation loss."""

import json
import math
import os
import resource
import shutil
import statistics
import time
from pathlib import Path

import torch
from transformers import TrainerCallback

from parentcare.data.records import write_jsonl
from parentcare.manifest import format_seconds, read_json, short_path, write_json
from parentcare.model.prompts import IGNORED_LABEL

COMPLETE_MARK = "complete"
# parameters that change nothing in training: a run begun with others is gone on with
WITHOUT_EFFECT = {"FRESH", "RUN", "DEVICE", "MAX_NEW_TOKENS", "CHECK_RELOAD"}
# a step's loss against the median of the last steps, of which a few must be known
SPIKE_TIMES, SPIKE_WINDOW_STEPS, SPIKE_LEAST_STEPS = 3.0, 50, 5


def response_loss(model, rows: list[dict]) -> float:
    """Return the mean negative log-likelihood per response token over `rows`, in nats.

    Every token weighs the same, whatever its row; the trainer's eval_loss averages batches instead.
    """
    tokens = [len(row["labels"]) - row["labels"].count(IGNORED_LABEL) for row in rows]
    return sum(loss * count for loss, count in zip(mean_losses(model, rows), tokens, strict=True)) / sum(tokens)


def mean_losses(model, rows: list[dict]) -> list[float]:
    """Return the mean negative log-likelihood per response token of each row, in nats."""
    losses, was_training = [], model.training
    model.eval()
    # a trainer leaves its autocast around the model it trained: a reloaded one would differ by 1e-3 without it
    with torch.no_grad(), torch.autocast(model.device.type, model.dtype, enabled=model.dtype != torch.float32):
        for row in rows:
            input_ids = torch.tensor([row["input_ids"]], device=model.device)  # (1, seq_len)
            labels = torch.tensor([row["labels"]], device=model.device)
            losses.append(model(input_ids=input_ids, labels=labels).loss.item())
    model.train(was_training)
    return losses


def keep_adapter_float32(model) -> int:
    """Return the number of trainable weights after holding them in float32.

    TRL casts QLoRA adapters to bf16, which Unsloth takes out of it on a GPU; a resume brings them back as float32.
    Where the cast stays, an interrupted run and an uninterrupted one would drift apart.
    """
    trainable = [parameter for parameter in model.parameters() if parameter.requires_grad]
    for parameter in trainable:
        parameter.data = parameter.data.float()
    return sum(parameter.numel() for parameter in trainable)


def rows_of_step(step: int, row_count: int, args) -> list[int]:
    """Return the indices of the training rows of optimizer step `step`, counted from 1, whatever the shape.

    The trainer shuffles anew in each epoch, with data_seed plus the number of the epoch (accelerate's
    SeedableRandomSampler). With several ranks the last step of an epoch is filled up with its first rows.
    """
    sequences = args.per_device_train_batch_size * args.gradient_accumulation_steps * args.world_size
    epoch, place = divmod(step - 1, math.ceil(row_count / sequences))
    order = torch.randperm(row_count, generator=torch.Generator().manual_seed(args.data_seed + epoch)).tolist()
    return order[place * sequences : (place + 1) * sequences]


def name_rows(rows: list[int], train_path: Path) -> str:
    """Return 'lines 3 (id), 9 (id) of train.jsonl', with one line of the file in memory at a time."""
    with open(train_path, encoding="utf-8") as file:
        ids = {row: json.loads(line).get("id", "no id") for row, line in enumerate(file) if row in rows}
    return f"lines {', '.join(f'{row + 1} ({ids[row]})' for row in sorted(rows))} of {Path(train_path).name}"


class RunLog(TrainerCallback):
    """Appends each logged step to log.jsonl, prints it with the time left, and names the rows of a NaN or a spike.

    `train_path` is the file whose lines are the rows of the training set, in this order. Only rank 0 writes.
    """

    def __init__(self, path: Path, train_path: Path | None = None):
        self.path, self.train_path = Path(path), train_path

    def on_train_begin(self, args, state, control, **kwargs):
        """Drop what an interrupted run logged after the checkpoint that this one goes on from."""
        kept = [row for row in read_log(self.path) if row["step"] <= state.global_step]
        if state.is_world_process_zero:
            write_jsonl(self.path, kept)
        self.seconds_before = max((row.get("seconds", 0.0) for row in kept), default=0.0)
        self.losses = [row["loss"] for row in kept if "loss" in row]
        self.started, self.first_step = time.time(), state.global_step

    def on_log(self, args, state, control, logs=None, train_dataloader=None, **kwargs):
        """Write and print one line. Raises FloatingPointError at a loss or gradient that is not finite."""
        if "loss" not in logs and "eval_loss" not in logs:
            return
        seconds = time.time() - self.started
        row = {"step": state.global_step, "epoch": round(state.epoch, 3)}
        row |= {name: logs[name] for name in ("loss", "eval_loss", "learning_rate", "grad_norm") if name in logs}
        row |= {"tokens": state.num_input_tokens_seen, "seconds": round(self.seconds_before + seconds, 1)}
        broken, spike = self._find_broken(row, args), self._find_spike(row)
        said, advice = broken or spike, "start over with a lower LEARNING_RATE"
        if said and "loss" in row and self.train_path:
            rows = rows_of_step(state.global_step, len(train_dataloader.dataset), args)
            row |= {"found": said, "lines": sorted(index + 1 for index in rows)}
            said, advice = f"{said}; {name_rows(rows, self.train_path)}", f"look at these rows, or {advice}"
        if state.is_world_process_zero:
            with open(self.path, "a", encoding="utf-8") as file:
                file.write(json.dumps(row) + "\n")
        if broken:
            raise FloatingPointError(f"step {state.global_step}: {said}: {advice}")
        if "loss" in row:
            self.losses.append(row["loss"])
        if spike:
            print(f"step {state.global_step}: {said}", flush=True)
        elif "eval_loss" in row or state.global_step % max(1, state.max_steps // 30) == 0:
            left = seconds / max(1, state.global_step - self.first_step) * (state.max_steps - state.global_step)
            shown = f"loss {row['loss']:.4f}" if "loss" in row else f"validation loss {row['eval_loss']:.4f}"
            step = f"step {state.global_step:>4} of {state.max_steps}"
            print(f"{step}  {shown}  {format_seconds(left)} left", flush=True)

    def _find_broken(self, row: dict, args) -> str | None:
        # in fp16 the gradient scaler skips a step whose gradient overflows, as it must now and then
        names = ["loss", "eval_loss"] if args.fp16 else ["loss", "eval_loss", "grad_norm"]
        return next((f"{name} is {row[name]}" for name in names if not math.isfinite(row.get(name, 0.0))), None)

    def _find_spike(self, row: dict) -> str | None:
        if "loss" not in row or len(self.losses) < SPIKE_LEAST_STEPS:
            return None
        usual = statistics.median(self.losses[-SPIKE_WINDOW_STEPS:])
        return f"loss {row['loss']:.2f}, lately {usual:.2f}" if row["loss"] > SPIKE_TIMES * usual else None


class TellEpoch(TrainerCallback):
    """Tells the innermost sampler its epoch, from which its order follows: the loader of a resumed run, on several
    ranks, does not reach that far.
    """

    def on_epoch_begin(self, args, state, control, train_dataloader=None, **kwargs):
        sequences = args.per_device_train_batch_size * args.gradient_accumulation_steps * args.world_size
        sampler = train_dataloader.batch_sampler
        while inner := getattr(sampler, "batch_sampler", None) or getattr(sampler, "sampler", None):
            sampler = inner
        if hasattr(sampler, "set_epoch"):
            sampler.set_epoch(state.global_step // math.ceil(len(train_dataloader.dataset) / sequences))


class MarkComplete(TrainerCallback):
    """Marks a checkpoint whose every file is written, so that a half-written one is never loaded."""

    def on_save(self, args, state, control, **kwargs):
        """Write the names and sizes of all files, last: the next run deletes a folder that does not match them."""
        if args.world_size > 1:
            torch.distributed.barrier()  # each rank has written its own random state
        if not state.is_world_process_zero:
            return
        checkpoint = Path(args.output_dir) / f"checkpoint-{state.global_step}"
        sizes = file_sizes(checkpoint)
        for name in sizes:
            with open(checkpoint / name, "rb") as file:
                os.fsync(file.fileno())
        write_json(checkpoint / COMPLETE_MARK, sizes)


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
    """Return the newest checkpoint that is whole, or None; half-written and half-deleted ones are deleted."""
    found = {int(path.name.split("-")[1]): path for path in Path(folder).glob("checkpoint-*")}
    for path in found.values():
        if not is_complete(path):
            shutil.rmtree(path)
    complete = [step for step, path in found.items() if path.exists()]
    return str(found[max(complete)]) if complete else None


def is_complete(checkpoint: Path) -> bool:
    """Return whether the checkpoint has its mark, and every file that the mark names, in its size.

    The trainer deletes old checkpoints file by file: a kill then leaves one with its mark and without its weights.
    """
    sizes = read_json(checkpoint / COMPLETE_MARK)
    return sizes is not None and sizes.items() <= file_sizes(checkpoint).items()


def file_sizes(folder: Path) -> dict[str, int]:
    """Return name → bytes of everything in the folder."""
    return {path.name: path.stat().st_size for path in folder.iterdir()}


def begin_or_resume(folder: Path, settings: dict, fresh: bool) -> str | None:
    """Return the checkpoint to go on from, or None for a new run in `folder`.

    Raises ValueError with the differences where an unfinished run was begun with other settings.
    """
    if fresh:
        shutil.rmtree(folder, ignore_errors=True)
    # through JSON, as they were kept
    settings = json.loads(json.dumps({name: v for name, v in settings.items() if name not in WITHOUT_EFFECT}))
    checkpoint = last_complete_checkpoint(folder)
    before = read_json(folder / "settings.json", settings) if checkpoint else settings
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
    """Return the whole lines of a JSON Lines file, none where it is missing; a last line cut by a kill is left out."""
    lines = Path(path).read_bytes().split(b"\n") if Path(path).exists() else []
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
        return {
            "peak_allocated_gib": round(torch.cuda.max_memory_allocated() / 2**30, 2),
            "peak_reserved_gib": round(torch.cuda.max_memory_reserved() / 2**30, 2),
        }
    return {"peak_resident_gib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 2)}
