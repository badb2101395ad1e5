"""The training plan: the recipe's eight sequences a step, in the shape that fits the card."""

SEQUENCES_PER_STEP = 8
# Qwen2.5-7B in NF4 with LoRA r 16 on one H200, random weights: without checkpointing 8×1 peaked at 45.7 GiB with
# rows of about 1,200 tokens and at 30.2 with the sample's shorter ones, with it at 8.3. Where every row is as long as
# the longest, which the prediction assumes, more is needed than was seen.
LOADED_GIB = 6.0
MIB_PER_TOKEN = {False: 4.5, True: 0.35}
MEMORY_MARGIN = 0.90


def shapes(recipe_batch_size: int, recipe_accumulation_steps: int) -> list[tuple[int, int, bool]]:
    """Return (batch size, accumulation steps, checkpointing), fastest first, recipe's shape last."""
    total = recipe_batch_size * recipe_accumulation_steps
    sizes = [size for size in (8, 4, 2, 1) if total % size == 0 and size >= recipe_batch_size]
    faster = [(size, total // size, checkpointing) for checkpointing in (False, True) for size in sizes]
    return faster or [(recipe_batch_size, recipe_accumulation_steps, True)]


def predict_gib(batch_size: int, checkpointing: bool, longest_tokens: int) -> float:
    """Return the predicted peak memory in GiB of one micro-batch of the longest rows."""
    return LOADED_GIB + batch_size * longest_tokens * MIB_PER_TOKEN[checkpointing] / 1024


def choose_shape(recipe: dict, device: str, free_gib: float, longest_tokens: int) -> dict:
    """Return batch size, accumulation steps, checkpointing, predicted memory, and why.

    `recipe` has per_device_train_batch_size, gradient_accumulation_steps and fit_to_card. The
    optimizer step keeps the recipe's number of sequences whatever the shape.
    """
    batch, accumulation = recipe["per_device_train_batch_size"], recipe["gradient_accumulation_steps"]
    chosen, why = (batch, accumulation, True), "FIT_TO_CARD is False"
    if device != "cuda":
        chosen, why = (batch, accumulation, False), "the tiny model on a CPU gains nothing from another shape"
    elif recipe["fit_to_card"]:
        fitting = [
            shape
            for shape in shapes(batch, accumulation)
            if predict_gib(shape[0], shape[2], longest_tokens) < free_gib * MEMORY_MARGIN
        ]
        chosen = fitting[0] if fitting else (1, batch * accumulation, True)
        why = f"{free_gib:.0f} GiB are free and the longest row has {longest_tokens} tokens"
    predicted = predict_gib(chosen[0], chosen[2], longest_tokens) if device == "cuda" else None
    return {
        "per_device_train_batch_size": chosen[0],
        "gradient_accumulation_steps": chosen[1],
        "gradient_checkpointing": chosen[2],
        "predicted_peak_gib": predicted and round(predicted, 1),
        "why": why,
    }


def describe_plan(recipe: dict, plan: dict) -> str:
    """Return 'recipe 2×4 → running 8×1 …, because …'."""
    recipe_shape = f"{recipe['per_device_train_batch_size']}×{recipe['gradient_accumulation_steps']}"
    shape = f"{plan['per_device_train_batch_size']}×{plan['gradient_accumulation_steps']}"
    memory = f", predicted peak {plan['predicted_peak_gib']} GiB" if plan["predicted_peak_gib"] else ""
    checkpointing = "with" if plan["gradient_checkpointing"] else "without"
    return f"recipe {recipe_shape} → running {shape} {checkpointing} checkpointing{memory}, because {plan['why']}"
