"""Greedy answers of a model to the project's prompt: one at a time, or many in resumable batches."""

import contextlib
import hashlib
import json
from pathlib import Path

from parentcare.data.records import write_jsonl
from parentcare.manifest import sha256
from parentcare.model.prompts import fit_text

GENERATION_SETTINGS = {"do_sample": False, "repetition_penalty": 1.0, "temperature": None, "top_p": None, "top_k": None}
# Bytes a token of Qwen2.5-7B takes while a batch is read and continued: 57 kB of key-value cache, the rest
# activations of the longest prompt.
BYTES_PER_TOKEN = 200_000
MEMORY_SHARE = 0.7
LARGEST_BATCH = 128


def load_model(base_model: str, adapter: Path, dtype):
    """Return the base with the adapter on it, by plain transformers and peft.

    Where the memory is there, 4-bit weights are written out in 16 bits, the very values that every
    step would compute anew: decoding is then bound by memory, not by unpacking.
    """
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    device = "cuda" if torch.cuda.is_available() else "cpu"
    model = AutoModelForCausalLM.from_pretrained(base_model, dtype=dtype, device_map={"": device})
    quantised = getattr(model.config, "quantization_config", None) is not None
    # num_parameters counts 4-bit weights as what they stand for
    if quantised and torch.cuda.mem_get_info()[0] > 2 * 2 * model.num_parameters():
        model = model.dequantize()
    return PeftModel.from_pretrained(model, adapter).eval()


@contextlib.contextmanager
def merged_adapter(model):
    """Yield the model with its active adapter added into copies of its weights; the weights come back untouched.

    A step of decoding then launches far fewer kernels. Quantised weights, and a card without room for
    the copies, are yielded as they are.
    """
    import torch
    from peft.tuners.tuners_utils import BaseTunerLayer

    weights = [m.get_base_layer().weight for m in model.modules() if isinstance(m, BaseTunerLayer)]
    needed = sum(weight.numel() * weight.element_size() for weight in weights)
    room = not torch.cuda.is_available() or torch.cuda.mem_get_info()[0] > 2 * needed
    if not room or not all(weight.is_floating_point() for weight in weights):
        yield model
        return
    originals = [weight.data for weight in weights]
    for weight in weights:
        weight.data = weight.data.clone()
    model.merge_adapter()
    try:
        yield model
    finally:
        model.unmerge_adapter()
        for weight, original in zip(weights, originals, strict=True):
            weight.data = original


def generate_answer(model, tokenizer, text: str, max_new_tokens: int, max_seq_length: int) -> dict:
    """Return `generate_batch` of one text, fitted so that prompt and answer stay within `max_seq_length`."""
    _, prompt = fit_text(text, tokenizer, max_seq_length - max_new_tokens)
    return generate_batch(model, tokenizer, [prompt], max_new_tokens)[0]


def generate_batch(model, tokenizer, prompts: list[list[int]], max_new_tokens: int) -> list[dict]:
    """Return `answer` (text), `tokens` and `ended` (by the model itself) for each prompt of token ids."""
    import torch

    padded = tokenizer.pad({"input_ids": prompts}, padding_side="left", return_tensors="pt")
    with torch.inference_mode():
        output = model.generate(
            **padded.to(model.device),
            max_new_tokens=max_new_tokens,
            pad_token_id=tokenizer.pad_token_id,
            eos_token_id=tokenizer.eos_token_id,
            **GENERATION_SETTINGS,
        )
    answers = []
    for new in output[:, padded["input_ids"].shape[1] :].tolist():
        ended = tokenizer.eos_token_id in new
        new = new[: new.index(tokenizer.eos_token_id)] if ended else new
        answer = tokenizer.decode(new, skip_special_tokens=True).strip()
        answers.append({"answer": answer, "tokens": len(new), "ended": ended})
    return answers


def choose_batch_size(longest_tokens: int) -> int:
    """Return how many sequences of that length, prompt and answer together, the free memory holds."""
    import torch

    if not torch.cuda.is_available():
        return LARGEST_BATCH
    free = torch.cuda.mem_get_info()[0] * MEMORY_SHARE
    return max(1, min(LARGEST_BATCH, int(free / (longest_tokens * BYTES_PER_TOKEN))))


def generate_all(model, tokenizer, prompts: dict[str, list[int]], max_new_tokens: int, path: Path) -> dict[str, dict]:
    """Return id → answer for prompts of token ids, kept one a line in `path` as each batch is done.

    The longest go first. A batch that runs out of memory is halved; what is finished is never lost,
    and a killed run goes on with what `path` lacks. `path` is for one model: its weights are not looked at.
    """
    import torch

    asked = hash_questions(model, prompts, max_new_tokens)
    done = _read_answers(path, asked)
    waiting = sorted((name for name in prompts if name not in done), key=lambda name: -len(prompts[name]))
    size = choose_batch_size(len(prompts[waiting[0]]) + max_new_tokens) if waiting else 1
    while waiting:
        batch = waiting[:size]
        try:
            answers = generate_batch(model, tokenizer, [prompts[name] for name in batch], max_new_tokens)
        except torch.cuda.OutOfMemoryError:
            if size == 1:
                raise
            size = (size + 1) // 2
            torch.cuda.empty_cache()
            continue
        with open(path, "a", encoding="utf-8") as file:
            for name, answer in zip(batch, answers, strict=True):
                done[name] = answer
                file.write(json.dumps({"id": name, "asked": asked[name], **answer}, ensure_ascii=False) + "\n")
        waiting = waiting[size:]
        print(f"row {len(prompts) - len(waiting):>4} of {len(prompts)}  batch of {len(batch)}", flush=True)
    return {name: done[name] for name in prompts}


def hash_questions(model, prompts: dict[str, list[int]], max_new_tokens: int) -> dict[str, str]:
    """Return id → hash of what its answer depends on beside the weights: prompt, limit, dtype and this file."""
    settings = [max_new_tokens, str(model.dtype), sha256(Path(__file__))]
    questions = {name: json.dumps([ids, *settings]).encode() for name, ids in prompts.items()}
    return {name: hashlib.sha256(question).hexdigest()[:16] for name, question in questions.items()}


def _read_answers(path: Path, asked: dict[str, str]) -> dict[str, dict]:
    """Return id → answer of what `path` holds for these very questions; a line that a kill cut is taken out of it."""
    from parentcare.model.training import read_log

    rows = read_log(path)
    write_jsonl(path, rows)
    made = {(row.pop("id"), row.pop("asked", None)): row for row in rows}
    return {name: made[name, key] for name, key in asked.items() if (name, key) in made}
