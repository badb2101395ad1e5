"""A saved adapter, loaded in a fresh process: the same validation loss and the same answer?

`python -m parentcare.model.reload` reads the request as JSON and prints the answer as JSON.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

# with these the other process would wait for more ranks
TORCHRUN_NAMES = {"RANK", "LOCAL_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"}

# what the other process's CUDA and a row's logits take beside the weights
ROOM_GIB = 1.5


def reload_in_fresh_process(adapter: Path, rows: list[dict], text: str, settings: dict) -> dict:
    """Return `loss` and `answer` of the saved adapter, computed by a new Python process.

    `rows` have `input_ids` and `labels`; `settings` has max_seq_length, max_new_tokens, precision
    and device. Raises RuntimeError with the end of the process's output where it failed.
    """
    import torch

    torch.cuda.empty_cache()  # the other process needs the card too
    request = json.dumps({"adapter": str(adapter), "rows": rows, "text": text, **settings})
    command = [sys.executable, "-m", "parentcare.model.reload"]
    alone = {name: value for name, value in os.environ.items() if name not in TORCHRUN_NAMES}
    done = subprocess.run(command, input=request, env=alone, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{adapter} could not be reloaded:\n{done.stderr[-1500:]}")
    return json.loads(done.stdout.splitlines()[-1])


def has_room(model) -> bool:
    """Return whether a second model of this size fits beside this one on its card, or there is no card."""
    import torch

    if model.device.type != "cuda":
        return True
    torch.cuda.empty_cache()
    weights = sum(tensor.numel() * tensor.element_size() for tensor in model.parameters())
    return torch.cuda.mem_get_info()[0] > weights + ROOM_GIB * 2**30


def answer_request(request: dict) -> dict:
    """Return what `reload_in_fresh_process` asked for."""
    from unsloth import FastLanguageModel

    from parentcare.model.generation import generate_answer
    from parentcare.model.loading import choose_dtype
    from parentcare.model.training import response_loss

    model, tokenizer = FastLanguageModel.from_pretrained(
        request["adapter"],
        max_seq_length=request["max_seq_length"],
        load_in_4bit=request["device"] == "cuda",
        dtype=choose_dtype(request["precision"], request["device"]),
        use_exact_model_name=True,
    )
    loss = response_loss(model, request["rows"])
    FastLanguageModel.for_inference(model)
    limits = request["max_new_tokens"], request["max_seq_length"]
    return {"loss": loss, **generate_answer(model, tokenizer, request["text"], *limits)}


if __name__ == "__main__":
    print(json.dumps(answer_request(json.load(sys.stdin))))
