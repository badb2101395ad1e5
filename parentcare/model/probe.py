"""A few real steps before training, and how far the plan's predictions were from what happened."""

import copy
import gc
import itertools
import math
import statistics
import tempfile
import time

from transformers import PrinterCallback, TrainerCallback

from parentcare.model.plan import Costs, Shape, micro_batches, predict, ranks, taken_shape
from parentcare.model.prompts import count_row_tokens
from parentcare.model.recovery import set_checkpointing

# The first step of each kind pays for compilation.
WARM_UP_STEPS, TIMED_STEPS = 1, 2


class StepClock(TrainerCallback):
    """Records the seconds, the tokens of this rank and the peak memory in GiB of every optimizer step."""

    def __init__(self):
        self.steps: list[dict] = []
        self.tokens = 0

    def on_step_begin(self, args, state, control, **kwargs):
        """Start the clock."""
        _synchronize(reset=True)
        self.started = time.perf_counter()

    def on_step_end(self, args, state, control, **kwargs):
        """Stop it when the device is done."""
        allocated, reserved = _synchronize()
        seen = state.num_input_tokens_seen // args.world_size
        tokens, self.tokens = seen - self.tokens, seen
        self.steps.append(
            {
                "seconds": time.perf_counter() - self.started,
                "tokens": tokens,
                "peak_gib": allocated,
                "reserved_gib": reserved,
            }
        )


def _synchronize(reset: bool = False) -> tuple[float, float]:
    """Return the peak memory in GiB, (allocated, reserved), when all work is done; zeros on a CPU."""
    import torch

    if not torch.cuda.is_available():
        return 0.0, 0.0
    torch.cuda.synchronize()
    found = torch.cuda.max_memory_allocated() / 2**30, torch.cuda.max_memory_reserved() / 2**30
    if reset:
        torch.cuda.reset_peak_memory_stats()
    return found


def probe_plan(plan: dict, trainer_class, arguments, rows, **model_and_tokenizer) -> dict:
    """Return the plan with `probe`: measured steps, and memory and time predicted from them.

    `rows` is a Dataset; the rest are what the trainer takes: its class, `args`, `model` and `processing_class`.

    The steps are the trainer's own, at learning rate 0, which changes no weight: first the longest rows, then
    typical ones. A shape that runs out of memory is struck out and the next fastest is probed.
    """
    import torch

    lengths = count_row_tokens(rows)
    while True:
        shape = taken_shape(plan)
        try:
            settings = shape_arguments(arguments, model_and_tokenizer["model"], shape)
            picked = rows.select([i for step in probe_rows(lengths, shape) for i in step])
            points = run_probe(trainer_class, settings, picked, model_and_tokenizer)
            break
        except torch.OutOfMemoryError:
            if plan["ranks"] > 1:  # the other ranks would wait for this one
                raise
            plan = strike_out(plan, shape)
        finally:
            _forget()
    steps = micro_batches(lengths, shape, not torch.cuda.is_available(), arguments.seed)
    return plan | {"probe": {"steps": points, **predict(fit_costs(points, shape), steps)}}


def strike_out(plan: dict, shape: Shape) -> dict:
    """Return the plan without the shape that did not fit. Raises MemoryError where it was the last."""
    shapes = [row | {"fits": row["fits"] and tuple(row.values())[:3] != shape} for row in plan["shapes"]]
    fitting = [row for row in shapes if row["fits"]]
    if not fitting:
        raise MemoryError(f"{shape} ran out of memory in the probe and nothing smaller is left: lower MAX_SEQ_LENGTH")
    chosen = min(fitting, key=lambda row: row["step_seconds"])
    return plan | {
        "shapes": shapes,
        "per_device_train_batch_size": chosen["batch_size"],
        "gradient_accumulation_steps": chosen["accumulation_steps"],
        "gradient_checkpointing": chosen["checkpointing"],
        "predicted": {k: chosen[k] for k in ("peak_gib", "step_seconds")},
        "why": f"{shape} ran out of memory in the probe",
    }


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
    settings.per_device_train_batch_size = shape.batch_size
    settings.gradient_accumulation_steps = shape.accumulation_steps
    settings.gradient_checkpointing = shape.checkpointing
    set_checkpointing(model, shape.checkpointing)
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
    halves = points[:TIMED_STEPS], points[TIMED_STEPS:]
    (long, short) = (
        {k: statistics.median(p[k] for p in half) for k in ("tokens", "seconds", "peak_gib")} for half in halves
    )
    n, span = shape.accumulation_steps, (long["tokens"] - short["tokens"]) / shape.accumulation_steps
    if span < 0.1 * long["tokens"] / n:
        # rows of one length tell nothing of the slope
        return Costs(long["peak_gib"], 0.0, long["seconds"] / n, 0.0, 0.0)
    slope = max(0.0, (long["seconds"] - short["seconds"]) / n / span)
    gib = max(0.0, (long["peak_gib"] - short["peak_gib"]) / span)
    return Costs(
        static_gib=long["peak_gib"] - gib * long["tokens"] / n,
        gib_per_token=gib,
        seconds=long["seconds"] / n - slope * long["tokens"] / n,
        seconds_per_token=slope,
        least_seconds=0.0,
    )


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
    actual = {"step_seconds": step_seconds(log), "peak_gib": peak_gib}
    found = {"actual": actual}
    for stage in ("predicted", "probe"):
        if stage in plan:
            names = [name for name in actual if actual[name]]
            found[f"error_{stage}"] = {name: round(plan[stage][name] / actual[name] - 1, 3) for name in names}
    return found


def step_seconds(log: list[dict]) -> float | None:
    """Return the mean seconds of an optimizer step, without the first and without validations between."""
    seconds = [b["seconds"] - a["seconds"] for a, b in itertools.pairwise(log) if "loss" in a and "loss" in b]
    return round(statistics.mean(seconds), 4) if seconds else None


def describe_comparison(compared: dict) -> str:
    """Return one line for each stage: predicted against actual, in per cent."""
    shown = {name: value for name, value in compared["actual"].items() if value}
    lines = [f"actual: {', '.join(f'{name} {value}' for name, value in shown.items())}"]
    for stage, words in (("error_predicted", "from the architecture"), ("error_probe", "after the probe")):
        if stage in compared:
            errors = ", ".join(f"{name} {error:+.0%}" for name, error in compared[stage].items())
            lines.append(f"predicted {words}: {errors}")
    return "\n".join(lines)


def _forget() -> None:
    """Give back the memory of a trainer that is no longer needed, and forget its peak."""
    import torch

    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
