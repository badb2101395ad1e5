"""The training plan: the recipe's eight sequences a step, in the shape that is fastest on this card.

A model of memory and time from the base's architecture ranks the shapes. A probe of a few real steps then replaces
what it can only guess, bytes and seconds a token, by what this card and this base do (`parentcare.model.probe`).
"""

import math
import os
import random
import time
from typing import NamedTuple

# Values a layer keeps for a token's backward pass: hidden, intermediate and key-value widths. Unsloth on one H200 kept
# 152 kB a token and layer of Qwen2.5-7B; recomputing one layer at a time took 1.7 times one layer.
KEPT_HIDDEN, KEPT_INTERMEDIATE, KEPT_KEY_VALUE = 5, 3, 2
RECOMPUTED_LAYERS = 1.7
# Forward and backward without gradients of the frozen weights; checkpointing adds a forward.
PASSES = {False: 4, True: 6}
# Share of the device's own matrix speed that a step reaches, and what a layer's kernels take to launch: a GPU works
# meanwhile, a CPU does not.
EFFICIENCY = 0.5
LAUNCH_SECONDS_PER_LAYER = {"cuda": {False: 0.010, True: 0.015}, "cpu": {False: 0.02, True: 0.03}}
# LoRA weights and gradients in float32, two 8-bit moments
BYTES_PER_TRAINED_WEIGHT = 10
MEMORY_MARGIN = 0.92
SIMULATED_STEPS = 400


class Shape(NamedTuple):
    """How the sequences of one optimizer step are computed."""

    batch_size: int
    accumulation_steps: int
    checkpointing: bool

    def __str__(self) -> str:
        how = "with" if self.checkpointing else "without"
        return f"{self.batch_size}×{self.accumulation_steps} {how} checkpointing"


class Costs(NamedTuple):
    """Of one micro-batch: bytes and seconds, each a constant and a slope by tokens, and a least time."""

    static_gib: float
    gib_per_token: float
    seconds: float
    seconds_per_token: float
    least_seconds: float = 0.0


def list_shapes(sequences: int) -> list[Shape]:
    """Return the shapes of one optimizer step of that many sequences on this rank, largest batch first."""
    sizes = [size for size in (8, 4, 2, 1) if sequences % size == 0]
    return [Shape(size, sequences // size, checkpointing) for checkpointing in (False, True) for size in sizes]


def micro_batches(lengths: list[int], shape: Shape, padded: bool, seed: int) -> list[list[int]]:
    """Return the tokens of each micro-batch of each optimizer step, over shuffled epochs.

    A padded batch counts its longest row for every row; a padding-free one only what is there.
    """
    order, steps = random.Random(seed), []
    per_step = min(len(lengths), shape.batch_size * shape.accumulation_steps)
    while len(steps) < SIMULATED_STEPS:
        shuffled = order.sample(lengths, len(lengths))
        for start in range(0, len(shuffled) - per_step + 1, per_step):
            rows = shuffled[start : start + per_step]
            batches = [rows[i : i + shape.batch_size] for i in range(0, per_step, shape.batch_size)]
            steps.append([max(b) * len(b) if padded else sum(b) for b in batches])
    return steps


def model_costs(model, shape: Shape, card: dict) -> Costs:
    """Return the costs that follow from the architecture, before anything was measured; `card` as measured."""
    c = model.config
    hidden, layers = c.hidden_size, c.num_hidden_layers
    key_value = c.num_key_value_heads * hidden // c.num_attention_heads
    kept = KEPT_HIDDEN * hidden + KEPT_INTERMEDIATE * c.intermediate_size + KEPT_KEY_VALUE * key_value
    kept_layers = RECOMPUTED_LAYERS if shape.checkpointing else layers
    launch = layers * LAUNCH_SECONDS_PER_LAYER[card["device"]][shape.checkpointing]
    weights = layers * hidden * (2 * hidden + 2 * key_value + 3 * c.intermediate_size)
    return Costs(
        static_gib=card["static_gib"],
        gib_per_token=kept * kept_layers * model.dtype.itemsize / 2**30,
        seconds=launch if card["device"] == "cpu" else 0.0,
        seconds_per_token=weights * PASSES[shape.checkpointing] / (card["flops_per_second"] * EFFICIENCY),
        least_seconds=launch,
    )


def predict(costs: Costs, steps: list[list[int]]) -> dict:
    """Return `peak_gib` of the largest micro-batch and the mean `step_seconds`."""
    seconds = [max(costs.least_seconds, costs.seconds + costs.seconds_per_token * t) for step in steps for t in step]
    peak = costs.static_gib + costs.gib_per_token * max(max(step) for step in steps)
    return {"peak_gib": round(peak, 2), "step_seconds": round(sum(seconds) / len(steps), 4)}


def measure_card(model, trained_weights: int) -> dict:
    """Return `device`, `static_gib` (weights and adapter), `flops_per_second` of a matrix product, and `free_gib`.

    That is what this process may take in all on its GPU, its own memory included and a cap counted; None on a CPU.
    """
    import torch

    device, free_gib, static_gib, seconds = model.device.type, None, 0.0, []
    size = 8192 if device == "cuda" else 1024
    a = torch.randn(size, size, device=model.device, dtype=model.dtype)
    for _ in range(4):
        started = time.perf_counter()
        torch.mm(a, a)
        if device == "cuda":
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - started)
    del a
    if device == "cuda":
        static_gib = torch.cuda.memory_allocated() / 2**30
        free, total = torch.cuda.mem_get_info()
        cap = torch.cuda.get_per_process_memory_fraction() * total
        free_gib = round(min(free + torch.cuda.memory_reserved(), cap) / 2**30, 2)
    return {
        "device": device,
        "free_gib": free_gib,
        "static_gib": static_gib + trained_weights * BYTES_PER_TRAINED_WEIGHT / 2**30,
        "flops_per_second": 2 * size**3 / min(seconds),
    }


def count_adapter_weights(config, r: int) -> int:
    """Return the number of LoRA weights of rank r on all seven linear layers."""
    hidden, wide = config.hidden_size, config.intermediate_size
    key_value = config.num_key_value_heads * hidden // config.num_attention_heads
    ends = 2 * (hidden + hidden) + 2 * (hidden + key_value) + 3 * (hidden + wide)
    return config.num_hidden_layers * r * ends


def ranks() -> int:
    """Return how many processes train together under torchrun."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def check_ranks(gpus: int) -> None:
    """Raise ValueError where the number of processes is not that of the GPUs asked for."""
    if gpus != ranks():
        raise ValueError(
            f"GPUS is {gpus} and {ranks()} process is here: several GPUs need one each, "
            f"python3 run.py --from 03 --set GPUS={gpus}"
        )


def make_plan(recipe: dict, model, lengths: list[int], lora_r: int, seed: int) -> dict:
    """Return the shapes with their predictions, the one taken, and why.

    `recipe` has per_device_train_batch_size, gradient_accumulation_steps and fit_to_card; `lengths` are
    the tokens of each row. Raises MemoryError that says what would fit where nothing does.
    """
    batch, accumulation = recipe["per_device_train_batch_size"], recipe["gradient_accumulation_steps"]
    if batch * accumulation % ranks() or (accumulation % ranks() and not recipe["fit_to_card"]):
        raise ValueError(f"{batch}×{accumulation} sequences a step cannot be shared by {ranks()} GPUs evenly")
    card = measure_card(model, count_adapter_weights(model.config, lora_r))
    on_cpu = card["device"] == "cpu"
    own = Shape(batch, accumulation // ranks(), not on_cpu)
    rows = []
    for shape in list_shapes(batch * accumulation // ranks()) if recipe["fit_to_card"] else [own]:
        found = predict(model_costs(model, shape, card), micro_batches(lengths, shape, on_cpu, seed))
        fits = on_cpu or found["peak_gib"] < card["free_gib"] * MEMORY_MARGIN
        rows.append({**shape._asdict(), **found, "fits": fits})
    if not any(row["fits"] for row in rows):
        raise MemoryError(_what_would_fit(model, card, max(lengths), row_shape(rows[-1])))
    return {
        "recipe": f"{batch}×{accumulation}",
        "shapes": rows,
        **take_fastest(rows, own if on_cpu else None),
        "free_gib": card["free_gib"],
        "ranks": ranks(),
        "why": _why(recipe, rows, card),
    }


def take_fastest(rows: list[dict], preferred: Shape | None = None) -> dict:
    """Return what a plan says of the row it takes: the preferred shape's where it fits, else the fastest that does."""
    fitting = [row for row in rows if row["fits"]]
    row = min(fitting, key=lambda row: (row_shape(row) != preferred, row["step_seconds"]))
    return {
        "per_device_train_batch_size": row["batch_size"],
        "gradient_accumulation_steps": row["accumulation_steps"],
        "gradient_checkpointing": row["checkpointing"],
        "predicted": {name: row[name] for name in ("peak_gib", "step_seconds")},
    }


def _why(recipe: dict, rows: list[dict], card: dict) -> str:
    if not recipe["fit_to_card"]:
        return "FIT_TO_CARD is False"
    if card["device"] == "cpu":
        return "a CPU keeps the recipe's own batch, so that every machine computes the same numbers"
    if all(row["fits"] for row in rows):
        return "every shape fits and this one is predicted to be the fastest"
    return f"{card['free_gib']:.1f} GiB are free and of what fits it is predicted to be the fastest"


def _what_would_fit(model, card: dict, longest_tokens: int, shape: Shape) -> str:
    """Return the sentence for a card on which not even `shape`, the smallest that was tried, fits."""
    costs, room = model_costs(model, shape, card), card["free_gib"] * MEMORY_MARGIN
    tokens = (room - costs.static_gib) / costs.gib_per_token / shape.batch_size
    would = f"MAX_SEQ_LENGTH = {math.floor(tokens / 64) * 64} would" if tokens >= 256 else "a smaller base would"
    if shape.batch_size > 1 and costs.static_gib + costs.gib_per_token * longest_tokens < room:
        would = "with FIT_TO_CARD = True fewer at a time would"
    needed = costs.static_gib + costs.gib_per_token * longest_tokens * shape.batch_size
    return (
        f"{card['free_gib']:.1f} GiB are free, {room:.1f} of them to be used; {shape.batch_size} of the longest rows "
        f"({longest_tokens} tokens) at a time, with checkpointing, are predicted to need {needed:.1f} GiB: {would} fit"
    )


def row_shape(row: dict) -> Shape:
    """Return the shape that a row of plan["shapes"] describes."""
    return Shape(row["batch_size"], row["accumulation_steps"], row["checkpointing"])


def taken_shape(plan: dict) -> Shape:
    """Return the shape that the plan runs."""
    names = ("per_device_train_batch_size", "gradient_accumulation_steps", "gradient_checkpointing")
    return Shape(*(plan[name] for name in names))


def describe_plan(plan: dict) -> str:
    """Return the shapes with predicted memory and time, and 'recipe 2×4 → running 8×1 …, because …'."""
    taken = taken_shape(plan)
    lines = [f"{'shape':<28} {'peak GiB':>9} {'s/step':>8}"]
    for row in plan["shapes"]:
        mark = "  ← taken" if row_shape(row) == taken else "" if row["fits"] else "  does not fit"
        lines.append(f"{row_shape(row)!s:<28} {row['peak_gib']:>9.2f} {row['step_seconds']:>8.3f}{mark}")
    together = f" on each of {plan['ranks']} GPUs" if plan["ranks"] > 1 else ""
    return "\n".join([*lines, f"recipe {plan['recipe']} → running {taken}{together}, because {plan['why']}"])
