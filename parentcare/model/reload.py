"""A saved adapter, loaded in a fresh process: the same validation loss and the same answer?

usage: python -m parentcare.model.reload '{"adapter": …, "rows": …, "max_seq_length": …, …}'
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from parentcare.data.records import read_jsonl, write_jsonl

# with these the other process would wait for more ranks
TORCHRUN_NAMES = {"RANK", "LOCAL_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"}


def reload_in_fresh_process(adapter: Path, rows: list[dict], text: str, settings: dict) -> dict:
    """Return `loss` and `answer` of the saved adapter, computed by a new Python process.

    `rows` have `input_ids` and `labels`; `settings` has max_seq_length, max_new_tokens, precision
    and device. Raises RuntimeError with the end of the process's output where it failed.
    """
    import torch

    torch.cuda.empty_cache()  # the other process needs the card too
    with tempfile.TemporaryDirectory() as folder:
        path = write_jsonl(Path(folder) / "rows.jsonl", rows)
        request = {"adapter": str(adapter), "rows": str(path), "text": text, **settings}
        command = [sys.executable, "-m", "parentcare.model.reload", json.dumps(request)]
        alone = {name: value for name, value in os.environ.items() if name not in TORCHRUN_NAMES}
        done = subprocess.run(command, env=alone, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{adapter} could not be reloaded:\n{done.stderr[-1500:]}")
    return json.loads(done.stdout.splitlines()[-1])


def main(request: dict) -> dict:
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
    loss = response_loss(model, read_jsonl(request["rows"]))
    FastLanguageModel.for_inference(model)
    limits = request["max_new_tokens"], request["max_seq_length"]
    return {"loss": loss, **generate_answer(model, tokenizer, request["text"], *limits)}


if __name__ == "__main__":
    print(json.dumps(main(json.loads(sys.argv[1])), ensure_ascii=False))
