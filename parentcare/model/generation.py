"""Greedy answers of a model to the project's prompt."""

from parentcare.model.prompts import fit_text

GENERATION_SETTINGS = {"do_sample": False, "repetition_penalty": 1.0, "temperature": None, "top_p": None, "top_k": None}


def generate_answer(model, tokenizer, text: str, max_new_tokens: int, max_seq_length: int) -> dict:
    """Return `answer` (text), `tokens` and `ended` (True if the model itself stopped) for one text.

    The text is fitted as in training, so that prompt and answer stay within `max_seq_length`.
    """
    import torch

    _, prompt = fit_text(text, tokenizer, max_seq_length - max_new_tokens)
    input_ids = torch.tensor([prompt], device=model.device)  # (1, seq_len)
    with torch.inference_mode():
        output = model.generate(
            input_ids=input_ids,
            attention_mask=torch.ones_like(input_ids),
            max_new_tokens=max_new_tokens,
            pad_token_id=tokenizer.pad_token_id,
            eos_token_id=tokenizer.eos_token_id,
            **GENERATION_SETTINGS,
        )
    new = output[0, len(prompt) :].tolist()
    ended = tokenizer.eos_token_id in new
    new = new[: new.index(tokenizer.eos_token_id)] if ended else new
    return {"answer": tokenizer.decode(new, skip_special_tokens=True).strip(), "tokens": len(new), "ended": ended}
