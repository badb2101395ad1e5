"""The demo base: a tiny Qwen2 and its tokenizer, made in place from the training papers.

It proves that the workflow runs. It says nothing about Korean, about speed, or about the 7B model.
"""

import time
from pathlib import Path

from parentcare.manifest import read_json, sha256, write_json

VOCABULARY_SIZE = 4_096
# Of the shapes tried, the one with the lowest held-out loss a minute: small, short windows, large steps.
PRETRAIN_STEPS = 400
PRETRAIN_BATCH, PRETRAIN_TOKENS = 16, 64
PRETRAIN_LEARNING_RATE = 8e-3
SHAPE = {
    "hidden_size": 128,
    "intermediate_size": 384,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 2_048,
    "tie_word_embeddings": True,
}


def training_texts(records: list[dict]) -> list[str]:
    """Return each distinct text and summary of the training records, in order."""
    return list(dict.fromkeys(record[field] for record in records for field in ("text", "summary")))


def train_tokenizer(records: list[dict], folder: Path):
    """Return the byte-level BPE tokenizer trained on `records` and saved in `folder`.

    It has Qwen2's own pre-tokenizer and end mark, so that prompt and mask meet the same cases.
    """
    from transformers import Qwen2Tokenizer

    from parentcare.model.prompts import build_prompt

    texts = [*training_texts(records), *[build_prompt("")] * 50]
    tokenizer = Qwen2Tokenizer(eos_token="<|im_end|>", pad_token="<|endoftext|>").train_new_from_iterator(
        texts, VOCABULARY_SIZE, show_progress=False
    )
    tokenizer.model_max_length = SHAPE["max_position_embeddings"]
    tokenizer.save_pretrained(folder)
    return tokenizer


def pretrain_base(records: list[dict], folder: Path, seed: int) -> Path:
    """Return `folder` with the weights of a tiny Qwen2 trained as a language model on `records`.

    The tokenizer must be there (02 makes it); weights that are already there are kept, unless it changed. The mean loss
    of the last ten steps goes to pretraining.json beside them.
    """
    import torch
    from transformers import AutoTokenizer, Qwen2Config, Qwen2ForCausalLM

    made_from = {"tokenizer": sha256(folder / "tokenizer.json"), "steps": PRETRAIN_STEPS, "seed": seed}
    if read_json(folder / "pretraining.json", {}).get("made_from") == made_from:
        print("the demo base is there, made from the same tokenizer and seed")
        return folder
    tokenizer = AutoTokenizer.from_pretrained(folder)
    torch.manual_seed(seed)
    ends = {"bos_token_id": None, "eos_token_id": tokenizer.eos_token_id, "pad_token_id": tokenizer.pad_token_id}
    model = Qwen2ForCausalLM(Qwen2Config(vocab_size=len(tokenizer), **ends, **SHAPE)).float()
    texts = tokenizer(training_texts(records))["input_ids"]
    stream = torch.tensor([i for ids in texts for i in [*ids, tokenizer.pad_token_id]])
    losses = _train_language_model(model, stream)
    model.save_pretrained(folder)
    loss = round(sum(losses[-10:]) / 10, 3)
    write_json(folder / "pretraining.json", {"made_from": made_from, "tokens": len(stream), "loss": loss})
    return folder


def _train_language_model(model, stream) -> list[float]:
    """Return the loss of each step of next-token training on random windows of `stream` (tokens,)."""
    import torch

    steps, rate = PRETRAIN_STEPS, PRETRAIN_LEARNING_RATE
    optimizer = torch.optim.AdamW(model.parameters(), lr=rate, betas=(0.9, 0.95), weight_decay=0.1)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=steps, pct_start=0.1)
    losses, started = [], time.time()
    for step in range(1, steps + 1):
        starts = torch.randint(0, len(stream) - PRETRAIN_TOKENS, (PRETRAIN_BATCH,)).tolist()
        batch = torch.stack([stream[i : i + PRETRAIN_TOKENS] for i in starts])  # (batch, seq_len)
        loss = model(input_ids=batch, labels=batch).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        losses.append(loss.item())
        if step % 80 == 0:
            left = (time.time() - started) / step * (steps - step)
            print(f"step {step:>3} of {steps}  loss {loss.item():.2f}  {left:.0f} s left")
    return losses
