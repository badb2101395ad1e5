"""The roads by which a model can be asked: the adapter here, an exported folder in a fresh process, a server."""

import contextlib
import json
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

from parentcare.manifest import REPOSITORY, read_json
from parentcare.model import generation
from parentcare.model.loading import choose_dtype
from parentcare.model.prompts import IGNORED_LABEL, build_prompt, encode, fit_text
from parentcare.runner import _die_with_parent

BATCH = {"cuda": 8, "cpu": 32}  # the logits of a batch are kept while it is answered
# Two tokens whose logits are this close may change places by rounding: in 16 bits, logits of 16 to 32 are 1/8 (bf16)
# or 1/64 (fp16) apart, and a few such steps add up.
TIE_LOGITS = {"torch.float32": 1e-3, "torch.float16": 0.1, "torch.bfloat16": 0.5}
SERVER_START_SECONDS = 600


def choose_rows(records: list[dict], tokenizer, limits: dict) -> list[dict]:
    """Return `text`, `summary`, `prompt`, `input_ids` and `labels` of limits["prompts"] records, evenly spread.

    Texts are fitted so that prompt and answer stay within max_seq_length, whichever answer is longer. Raises
    ValueError where nothing would be asked or answered.
    """
    if min(limits["prompts"], limits["max_new_tokens"]) < 1:
        raise ValueError("PROMPTS and MAX_NEW_TOKENS must be at least 1: parity is judged by answers")
    count, rows = min(limits["prompts"], len(records)), []
    for record in (records[i * len(records) // count] for i in range(count)):
        response = [*encode(tokenizer, record["summary"]), tokenizer.eos_token_id]
        room = limits["max_seq_length"] - max(len(response), limits["max_new_tokens"])
        text, prompt = fit_text(record["text"], tokenizer, room)
        row = {"text": text, "summary": record["summary"], "prompt": prompt, "input_ids": prompt + response}
        rows.append(row | {"labels": [IGNORED_LABEL] * len(prompt) + response})
    return rows


def measure(model, tokenizer, rows: list[dict], max_new_tokens: int, prompts: list | None = None) -> dict:
    """Return `loss`, `best`, `logits`, `eos`, and greedy `answers` (ids), `texts` and `near` to `prompts`.

    `best` (response_tokens,) and `logits` (response_tokens, watched) are teacher-forced over all rows; watched are
    the tokens of any response. `near` has, for each token of an answer, those within a tie of it. Without `prompts`
    the training's own are asked, by the project's settings; with them, by the model's own generation settings.
    """
    import torch
    from transformers import GenerationConfig

    from parentcare.model.training import response_loss

    if prompts is None:
        prompts = [row["prompt"] for row in rows]
        ends = {"eos_token_id": tokenizer.eos_token_id, "pad_token_id": tokenizer.pad_token_id}
        model.generation_config = GenerationConfig(**ends, **generation.GENERATION_SETTINGS)
    watched = sorted({label for row in rows for label in row["labels"]} - {IGNORED_LABEL})
    best, logits, answers, size = [], [], [], BATCH[model.device.type]
    for row in rows:
        with torch.inference_mode():
            found = model(input_ids=torch.tensor([row["input_ids"]], device=model.device)).logits
        found = found[0, len(row["prompt"]) - 1 : -1].float().cpu()
        best.append(found.argmax(-1))
        logits.append(found[:, watched])
    for start in range(0, len(rows) if max_new_tokens else 0, size):
        answers += _answer(model, tokenizer, prompts[start : start + size], max_new_tokens)
    return {
        "loss": response_loss(model, rows),
        "best": torch.cat(best),
        "logits": torch.cat(logits),
        "eos": model.generation_config.eos_token_id,
        "answers": [ids for ids, _ in answers],
        "texts": [tokenizer.decode(ids, skip_special_tokens=True) for ids, _ in answers],
        "near": [near for _, near in answers],
    }


def _answer(model, tokenizer, prompts: list[list[int]], max_new_tokens: int) -> list[tuple[list, list]]:
    """Return (token ids, the tokens within a tie of each) for each prompt of one batch."""
    import torch

    batch = tokenizer.pad({"input_ids": prompts}, padding_side="left", return_tensors="pt").to(model.device)
    with torch.inference_mode():
        kept = {"output_logits": True, "return_dict_in_generate": True}
        output = model.generate(**batch, max_new_tokens=max_new_tokens, **kept)
    top = [[part.cpu() for part in step.float().topk(8)] for step in output.logits]  # (batch, 8) a step
    limit, eos, answers = TIE_LOGITS[str(model.dtype)], model.generation_config.eos_token_id, []
    for i, ids in enumerate(output.sequences[:, batch["input_ids"].shape[1] :].tolist()):
        near = [tokens[i][values[i] >= values[i, 0] - limit].tolist() for values, tokens in top]
        length = ids.index(eos) + 1 if eos in ids else len(ids)
        answers.append((ids[:length], near[:length]))
    return answers


def measure_folder(folder: Path, rows: list[dict], settings: dict, weights: str = "") -> dict:
    """Return `measure` of an exported folder by plain transformers (and peft), and its `prompts`.

    Tokenizer, chat template, prompt.json and generation settings are the folder's. `settings` has max_new_tokens,
    precision and device; `weights` is the base of an adapter, or a model to measure in place of the folder's.
    """
    from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig

    dtype = choose_dtype(settings["precision"], settings["device"])
    if (folder / "adapter_config.json").exists():
        model = generation.load_model(weights, folder, dtype)
        model.generation_config = GenerationConfig.from_pretrained(folder)
    else:
        place = "auto" if settings["device"] == "cuda" else "cpu"
        model = AutoModelForCausalLM.from_pretrained(weights or folder, dtype=dtype, device_map=place)
    tokenizer, saved = AutoTokenizer.from_pretrained(folder), read_json(folder / "prompt.json")
    chats = [[{"role": "user", "content": row["text"]}] for row in rows]
    asked = [tokenizer.apply_chat_template(chat, return_dict=False) for chat in chats]
    texts = [saved["template"].format(instruction=saved["instruction"], text=row["text"]) for row in rows]
    prompts = {"the chat template": asked, "prompt.json": [tokenizer(text)["input_ids"] for text in texts]}
    return measure(model, tokenizer, rows, settings["max_new_tokens"], asked) | {"prompts": prompts}


def measure_in_fresh_process(folder: Path, rows: list[dict], settings: dict, weights: str = "") -> dict:
    """Return `measure_folder` of a new Python process. Raises RuntimeError with the end of its output if it failed."""
    import torch

    with tempfile.TemporaryDirectory() as temporary:
        asked, measured = f"{temporary}/asked.json", f"{temporary}/measured.pt"
        Path(asked).write_text(json.dumps([str(folder), rows, settings, str(weights)]))
        command = [sys.executable, "-m", "parentcare.export.roads", asked, measured]
        done = subprocess.run(command, capture_output=True, text=True, cwd=REPOSITORY)
        if done.returncode:
            raise RuntimeError(f"{folder} could not be asked in a fresh process:\n{done.stderr[-1500:]}")
        return torch.load(measured, weights_only=True)


def main(asked: str, measured: str) -> None:
    """Write what `measure_in_fresh_process` asked for."""
    import torch

    folder, *arguments = read_json(asked)
    torch.save(measure_folder(Path(folder), *arguments), measured)


@contextlib.contextmanager
def serve(folder: Path, settings: dict):
    """Yield the address of `transformers serve` with the merged model, until the block ends. Raises RuntimeError.

    `settings` has precision and device, as for `measure_folder`.
    """
    dtype = str(choose_dtype(settings["precision"], settings["device"])).removeprefix("torch.")
    device = "auto" if settings["device"] == "cuda" else "cpu"
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "transformers.cli.transformers", "serve", str(folder)]
    command += f"--port {port} --dtype {dtype} --device {device}".split()
    deadline, up = time.time() + SERVER_START_SECONDS, False
    with (
        tempfile.TemporaryFile() as log,
        subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, preexec_fn=_die_with_parent) as process,
    ):
        try:
            while not up:
                if process.poll() is not None or time.time() > deadline:
                    log.seek(0)
                    raise RuntimeError(f"`transformers serve` did not start:\n{log.read().decode()[-1500:]}")
                time.sleep(0.2)
                with contextlib.suppress(OSError):
                    up = urllib.request.urlopen(f"http://localhost:{port}/health").status == 200
            yield f"http://localhost:{port}/v1"
        finally:
            process.terminate()


def measure_server(address: str, tokenizer, rows: list[dict], reference: dict, chat: bool = False) -> dict:
    """Return `answers`, `texts` and the counts of `prompts`, asked for raw completions or through the chat template.

    A server tells text and counts only: as far as both agree with the reference's, its ids are taken.
    """
    limit = max(map(len, reference["answers"]))
    found = {"answers": [], "texts": [], "prompts": {"the server": []}}
    for row, ids in zip(rows, reference["answers"], strict=True):
        message = {"role": "user", "content": row["text"]}
        body = {"messages": [message]} if chat else {"prompt": build_prompt(row["text"])}
        path = f"{address}/chat/completions" if chat else f"{address}/completions"
        data = json.dumps(body | {"max_tokens": limit}).encode()
        with urllib.request.urlopen(urllib.request.Request(path, data, {"Content-Type": "application/json"})) as reply:
            reply = json.load(reply)
        text = reply["choices"][0]["message"]["content"] if chat else reply["choices"][0]["text"]
        found["texts"].append(text)
        found["answers"].append(_align(text, reply["usage"]["completion_tokens"], ids, tokenizer))
        found["prompts"]["the server"].append(reply["usage"]["prompt_tokens"])
    return found


def _align(text: str, tokens: int, ids: list[int], tokenizer) -> list[int]:
    """Return `ids` as far as `text` goes along with them, then the text's own; −1 where only the count differs."""
    # a chat endpoint strips the answer, as the project does; half a character ends in U+FFFD
    starts = [tokenizer.decode(ids[:n], skip_special_tokens=True) for n in range(len(ids) + 1)]
    starts = [start.lstrip().rstrip("\ufffd") for start in starts]
    text = text.strip().rstrip("\ufffd")
    if text == starts[-1].rstrip():
        return ids if tokens == len(ids) else [*ids[:tokens], -1]
    kept = max(n for n, start in enumerate(starts) if text.startswith(start))
    return [*ids[:kept], *encode(tokenizer, text[len(starts[kept]) :]), tokenizer.eos_token_id]


if __name__ == "__main__":
    main(*sys.argv[1:])
