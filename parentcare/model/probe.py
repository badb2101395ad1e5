"""A few real steps before training, and how far the plan's predictions were from what happened."""

import copy
import itertools
import math
import statistics
import tempfile
import time

import torch
from transformers import PrinterCallback, TrainerCallback

from parentcare.model.plan import Costs, Shape, micro_batches, predict, ranks, row_shape, take_fastest, taken_shape
from parentcare.model.prompts import count_row_tokens
from parentcare.model.recovery import free_memory, set_shape

# The first step of each kind pays for compilation.
WARM_UP_STEPS, TIMED_STEPS = 1, 2


class StepClock(TrainerCallback):
    """Records the seconds, the tokens of this rank and the peak memory in GiB of every optimizer step."""

    def __init__(self):
        self.steps: list[dict] = []
        self.tokens = 0

    def on_step_begin(self, args, state, control, **kwargs):
        if torch.cuda.is_available():
            torch.cuda.synchronize()
            torch.cuda.reset_peak_memory_stats()
        self.started = time.perf_counter()

    def on_step_end(self, args, state, control, **kwargs):
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        seen = state.num_input_tokens_seen // args.world_size
        self.steps.append(
            {
                "seconds": time.perf_counter() - self.started,
                "tokens": seen - self.tokens,
                "peak_gib": torch.cuda.max_memory_allocated() / 2**30,  # 0 on a CPU
                "reserved_gib": torch.cuda.max_memory_reserved() / 2**30,
            }
        )
        self.tokens = seen


def probe_plan(plan: dict, trainer_class, arguments, rows, **model_and_tokenizer) -> dict:
    """Return the plan with `probe`: measured steps, and memory and time predicted from them.

    `rows` is a Dataset; the rest are what the trainer takes: its class, `args`, `model` and `processing_class`.
    The steps are the trainer's own, at learning rate 0, which changes no weight: first the longest rows, then
    typical ones. A shape that runs out of memory is struck out and the next fastest is probed.
    """
    lengths, model = count_row_tokens(rows), model_and_tokenizer["model"]
    while True:
        shape = taken_shape(plan)
        try:
            settings = shape_arguments(arguments, model, shape)
            picked = rows.select([i for step in probe_rows(lengths, shape) for i in step])
            points = run_probe(trainer_class, settings, picked, model_and_tokenizer)
            break
        except torch.OutOfMemoryError:
            if plan["ranks"] > 1:  # the other ranks would wait for this one
                raise
            plan = strike_out(plan, shape)
        finally:
            free_memory(model)
            if torch.cuda.is_available():
                torch.cuda.reset_peak_memory_stats()
    steps = micro_batches(lengths, shape, not torch.cuda.is_available(), arguments.seed)
    return plan | {"probe": {"steps": points, **predict(fit_costs(points, shape), steps)}}


def strike_out(plan: dict, shape: Shape) -> dict:
    """Return the plan without the shape that did not fit. Raises MemoryError where it was the last."""
    rows = [row | {"fits": row["fits"] and row_shape(row) != shape} for row in plan["shapes"]]
    if not any(row["fits"] for row in rows):
        raise MemoryError(f"{shape} ran out of memory in the probe and nothing smaller is left: lower MAX_SEQ_LENGTH")
    return plan | {"shapes": rows, **take_fastest(rows), "why": f"{shape} ran out of memory in the probe"}


def probe_rows(lengths: list[int], shape: Shape) -> list[list[int]]:
    """Return the row indices of each probed optimizer step: the longest micro-batch repeated, then typical ones."""
    ordered = sorted(range(len(lengths)), key=lengths.__getitem__)
    ordered = ordered * math.ceil(shape.batch_size / len(ordered))
    middle = max(0, (len(ordered) - shape.batch_size) // 2)
    times = shape.accumulation_steps * ranks()
    longest = ordered[-shape.batch_size :] * times
    typical = ordered[middle : middle + shape.batch_size] * times
    return [longest, typical] * WARM_UP_STEPS + [longest] * TIMED_STEPS + [typical] * TIMED_STEPS


def shape_arguments(arguments, model, shape: Shape):
    """Return a copy of the arguments for this shape, after switching the model's checkpointing on or off."""
    settings = copy.copy(arguments)
    set_shape(settings, model, shape)
    return settings


def run_probe(trainer_class, arguments, rows, model_and_tokenizer: dict) -> list[dict]:
    """Return seconds, tokens and peak memory of each timed step; `arguments` is changed."""
    clock = StepClock()
    with tempfile.TemporaryDirectory() as folder:
        changes = {
            "output_dir": folder,
            "learning_rate": 0.0,
            "max_steps": 2 * (WARM_UP_STEPS + TIMED_STEPS),
            "eval_strategy": "no",
            "save_strategy": "no",
            "load_best_model_at_end": False,
            "logging_strategy": "no",
            "train_sampling_strategy": "sequential",
        }
        for name, value in changes.items():
            setattr(arguments, name, value)
        trainer = trainer_class(args=arguments, train_dataset=rows, callbacks=[clock], **model_and_tokenizer)
        trainer.remove_callback(PrinterCallback)
        trainer.train()
    return [{k: round(v, 4) for k, v in step.items()} for step in clock.steps[2 * WARM_UP_STEPS :]]


def fit_costs(points: list[dict], shape: Shape) -> Costs:
    """Return the costs of a micro-batch through the two kinds of probed steps, long and typical."""
    long, short = (
        {name: statistics.median(point[name] for point in half) for name in ("tokens", "seconds", "peak_gib")}
        for half in (points[:TIMED_STEPS], points[TIMED_STEPS:])
    )
    n = shape.accumulation_steps
    tokens, seconds, span = long["tokens"] / n, long["seconds"] / n, (long["tokens"] - short["tokens"]) / n
    if span < 0.1 * tokens:
        # rows of one length tell nothing of the slope
        return Costs(long["peak_gib"], 0.0, seconds, 0.0)
    slope = max(0.0, (long["seconds"] - short["seconds"]) / n / span)
    gib = max(0.0, (long["peak_gib"] - short["peak_gib"]) / span)
    return Costs(long["peak_gib"] - gib * tokens, gib, seconds - slope * tokens, slope)


def describe_probe(plan: dict) -> str:
    """Return the probed steps, and the prediction before and after them."""
    found, before = plan["probe"], plan["predicted"]
    steps = [f"{s['tokens']:>6} tokens in {s['seconds']:.3f} s, peak {s['peak_gib']:.2f} GiB" for s in found["steps"]]
    shown = [f"{name} {before[name]} → {found[name]}" for name in before]
    return "\n".join([f"probed {taken_shape(plan)}", *steps, f"predicted {', '.join(shown)}"])


def compare_plan(plan: dict, log: list[dict], peak_gib: float | None) -> dict:
    """Return what happened beside what was predicted: `actual`, and the relative error before and after the probe.

    `log` are the rows of log.jsonl; a step's seconds count only where no validation lay between.
    """
    seconds = [b["seconds"] - a["seconds"] for a, b in itertools.pairwise(log) if "loss" in a and "loss" in b]
    mean_seconds = round(statistics.mean(seconds), 4) if seconds else None
    found = {"actual": {"step_seconds": mean_seconds, "peak_gib": peak_gib}}
    measured = {name: value for name, value in found["actual"].items() if value}
    for stage in ("predicted", "probe"):
        if stage in plan:
            errors = {name: round(plan[stage][name] / value - 1, 3) for name, value in measured.items()}
            found[f"error_{stage}"] = errors
    return found


def describe_comparison(compared: dict) -> str:
    """Return one line for each stage: predicted against actual, in per cent."""
    lines = [f"actual: {', '.join(f'{name} {value}' for name, value in compared['actual'].items() if value)}"]
    for stage, words in (("error_predicted", "from the architecture"), ("error_probe", "after the probe")):
        if stage in compared:
            errors = ", ".join(f"{name} {error:+.0%}" for name, error in compared[stage].items())
            lines.append(f"predicted {words}: {errors}")
    return "\n".join(lines)
