import http.server
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from parentcare.export import parity, roads
from parentcare.model.prompts import build_prompt, encode
from tests.conftest import REPOSITORY

LIMITS = {"prompts": 3, "max_seq_length": 256, "max_new_tokens": 16}
SETTINGS = {"max_new_tokens": 16, "precision": "float32", "device": "cpu"}


def ask(folder, rows, weights=""):
    return roads.measure_folder(folder, rows, SETTINGS, weights)


@pytest.fixture(scope="module")
def rows(sample_records, demo_tokenizer):
    return roads.choose_rows(sample_records[:60], demo_tokenizer, LIMITS)


@pytest.fixture(scope="module")
def here(base, adapter, rows, demo_tokenizer):
    import torch

    from parentcare.model import generation

    return roads.measure(generation.load_model(base, adapter, torch.float32), demo_tokenizer, rows, 16)


def change_json(path, **changes):
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def reasons(road, here, rows):
    return " | ".join(parity.compare(road, here, rows)["reasons"])


# --- the gate ----------------------------------------------------------------------------------


def test_a_clean_export_passes_by_every_road(exported, base, here, rows):
    for folder, weights in ((exported / "adapter_export", base), (exported / "merged", "")):
        line = parity.compare(ask(folder, rows, weights), here, rows)
        assert line["reasons"] == [] and line["prompts"] == line["same"] + line["ties"] == 3
        assert line["logits"] < 1e-3 and abs(line["loss"]) < 1e-4 and line["agreement"] > 0.99


def test_a_fresh_process_measures_the_same(exported, base, rows, here):
    measured = roads.measure_in_fresh_process(exported / "adapter_export", rows, SETTINGS, str(base))
    assert parity.compare(measured, here, rows)["reasons"] == []
    assert len(here["answers"][0]) == 16 and here["loss"] == pytest.approx(measured["loss"], abs=1e-4)


@pytest.fixture
def failing_python(tmp_path, monkeypatch):
    """Let every new process end at once, with a reason on stderr."""
    (tmp_path / "python").write_text("#!/bin/sh\necho out of luck >&2\nexit 1\n")
    (tmp_path / "python").chmod(0o755)
    monkeypatch.setattr(roads.sys, "executable", str(tmp_path / "python"))


def test_a_process_that_fails_says_why(tmp_path, rows, failing_python):
    with pytest.raises(RuntimeError, match=r"fresh process(.|\n)*out of luck"):
        roads.measure_in_fresh_process(tmp_path, rows, SETTINGS)


def test_a_wrong_template_is_caught(copied, here, rows):
    template = json.loads((copied / "merged" / "prompt.json").read_text())["template"]
    change_json(copied / "merged" / "prompt.json", template=template.removesuffix("\n"))
    assert "prompt.json gives 3 prompts other tokens" in reasons(ask(copied / "merged", rows), here, rows)


def test_a_doubled_bos_is_caught(copied, here, rows):
    from tokenizers import Tokenizer
    from tokenizers.processors import TemplateProcessing

    path, bos = str(copied / "merged" / "tokenizer.json"), "<|endoftext|>"
    tokenizer = Tokenizer.from_file(path)
    tokenizer.post_processor = TemplateProcessing(single=f"{bos} $A", special_tokens=[(bos, 0)])
    tokenizer.save(path)
    found = reasons(ask(copied / "merged", rows), here, rows)
    assert "prompt.json gives 3 prompts other tokens" in found and f"{[0, *rows[0]['prompt']]}"[:60] in found


def test_a_missing_eos_is_caught(copied, here, rows, demo_tokenizer):
    change_json(copied / "merged" / "generation_config.json", eos_token_id=None)
    found = reasons(ask(copied / "merged", rows), here, rows)
    assert f"generation ends at token None, training ended at {demo_tokenizer.eos_token_id}" in found


def test_another_chat_format_is_caught(copied, here, rows):
    chatml = "{{ '<|im_start|>user\n' ~ messages[0]['content'] ~ '<|im_end|>\n<|im_start|>assistant\n' }}"
    (copied / "merged" / "chat_template.jinja").write_text(chatml)
    found = reasons(ask(copied / "merged", rows), here, rows)
    assert "the chat template gives 3 prompts other tokens" in found and "answers differ beyond ties" in found


def test_other_weights_and_sampling_are_caught(copied, base, here, rows, tmp_path):
    shutil.copy(copied / "merged" / "model.safetensors", tmp_path)
    shutil.copy(base / "model.safetensors", copied / "merged")
    line = parity.compare(ask(copied / "merged", rows), here, rows)
    assert line["prompts"] == 3 and line["same"] < 3 and "answers differ beyond ties" in line["reasons"][0]
    assert line["divergence"] >= 1 and line["logits"] > 0.1 and line["loss"] != 0
    shutil.copy(tmp_path / "model.safetensors", copied / "merged")
    change_json(copied / "merged" / "generation_config.json", repetition_penalty=1.5)
    assert "answers differ beyond ties" in reasons(ask(copied / "merged", rows), here, rows)


def test_refused_folders_are_put_aside_with_the_reasons_and_passed_ones_marked(tmp_path):
    for name in ("good", "bad"):
        (tmp_path / name).mkdir()
    parity.pass_or_refuse({"merged": {"reasons": []}}, [tmp_path / "good"])
    assert json.loads((tmp_path / "good" / "parity.json").read_text())["passed"] is True
    with pytest.raises(parity.ParityError, match="merged: a doubled BOS"):
        parity.pass_or_refuse({"merged": {"reasons": ["a doubled BOS"]}}, [tmp_path / "bad"])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bad.refused", "good"]


# --- verdicts on made-up roads -----------------------------------------------------------------


def road(answers, loss=1.0):
    """Return a road on which token 99 was always within a tie of the one chosen."""
    texts = [" ".join(map(str, ids)) for ids in answers]
    near = [[[token, 99] for token in ids] for ids in answers]
    return {"answers": answers, "texts": texts, "near": near, "loss": loss, "eos": 2}


def made_up(count):
    return [{"prompt": [5, 6], "summary": "요약"}] * count


def compare(candidate, reference, **settings):
    import torch

    count = len(reference["answers"])
    tensors = {"best": torch.zeros(4), "logits": torch.zeros(4, 2)}
    prompts = {"prompts": {"the chat template": [[5, 6]] * count}}
    return parity.compare(candidate | tensors | prompts, reference | tensors, made_up(count), **settings)


@pytest.mark.parametrize(
    ("other", "passes", "place"),
    [([7, 99, 5], True, 2), ([7, 98, 2], False, 2), ([7, 8, 2, 9], False, 4), ([7, 8], False, 3)],
    ids=["tie", "no tie", "runs on after EOS", "stops early"],
)
def test_only_a_tie_may_differ(other, passes, place):
    line = compare(road([other]), road([[7, 8, 2]]))
    assert (line["reasons"] == []) == passes and line["ties"] == passes and line["same"] == 0
    assert line["divergence"] == place


def test_ties_are_the_tokens_within_a_rounding_of_the_best(base, adapter, rows, demo_tokenizer, here, monkeypatch):
    import torch

    from parentcare.model import generation

    pairs = list(zip(here["answers"], here["near"], strict=True))
    assert all(token in close and len(close) < 8 for ids, near in pairs for token, close in zip(ids, near, strict=True))
    monkeypatch.setitem(roads.TIE_LOGITS, "torch.float32", 1e9)
    wide = roads.measure(generation.load_model(base, adapter, torch.float32), demo_tokenizer, rows[:1], 4)
    assert [len(close) for close in wide["near"][0]] == [8] * 4


@pytest.mark.parametrize(("loss", "passes"), [(1.02, True), (0.98, True), (1.0201, False), (0.9, False)])
def test_a_merge_into_another_base_is_held_to_its_loss_alone(loss, passes):
    line = compare(road([[1, 1]], loss=loss), road([[7, 8]]), allowed_loss=0.02000001)
    assert (line["reasons"] == []) == passes and line["same"] == 0
    assert passes or "allowed are 0.0200" in line["reasons"][0]


def test_the_table_shows_what_a_server_does_not_tell_as_a_dash():
    served = road([[7, 8, 2]]) | {"prompts": {"the server": [3]}}
    line = parity.compare(served, road([[7, 8, 2]]), made_up(1))
    assert "the server gives 1 prompts other tokens than training did: 3 for 2" in line["reasons"][0]
    table = parity.format_table({"served": line, "clean": compare(road([[7]]), road([[7]]))}).splitlines()
    assert table[1].split() == ["served", "0", "–", "–", "1", "0", "–", "–", "+0.00", "REFUSED"]
    assert table[2].split()[:3] == ["clean", "1", "100.0%"] and table[2].endswith("pass")


def test_prompts_and_answers_stay_within_the_limit(sample_records, demo_tokenizer):
    rows = roads.choose_rows(sample_records[:60], demo_tokenizer, LIMITS)
    assert len(rows) == 3 and len({row["text"] for row in rows}) == 3
    for row in rows:
        assert row["prompt"] == encode(demo_tokenizer, build_prompt(row["text"]))
        assert max(len(row["input_ids"]), len(row["prompt"]) + 16) <= 256
        assert row["labels"][len(row["prompt"]) :] == row["input_ids"][len(row["prompt"]) :]
    assert len(roads.choose_rows(sample_records[:2], demo_tokenizer, LIMITS)) == 2


# --- the server --------------------------------------------------------------------------------


@pytest.fixture
def server(demo_tokenizer):
    """Yield (address, requests seen, the list of (text, tokens) it will answer with)."""
    seen, replies = [], []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            seen.append((self.path, body))
            text, tokens = replies.pop(0)
            choice = {"message": {"content": text}} if "messages" in body else {"text": text}
            reply = {"choices": [choice], "usage": {"completion_tokens": tokens, "prompt_tokens": 7}}
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps(reply).encode())

        def log_message(self, *words):
            pass

    listening = http.server.HTTPServer(("localhost", 0), Handler)
    threading.Thread(target=listening.serve_forever, daemon=True).start()
    yield f"http://localhost:{listening.server_port}/v1", seen, replies
    listening.shutdown()
    listening.server_close()


def test_a_server_is_asked_with_the_trained_prompt_and_for_no_other_settings(server, demo_tokenizer):
    address, seen, replies = server
    ids = [*encode(demo_tokenizer, "유아의 놀이가 늘었다."), demo_tokenizer.eos_token_id]
    reference, rows = {"answers": [ids]}, [{"text": "글", "prompt": [1] * 7}]
    replies += [("유아의 놀이가 늘었다.", len(ids)), (" 유아의 놀이가 늘었다.\n", len(ids))]
    raw = roads.measure_server(address, demo_tokenizer, rows, reference)
    chat = roads.measure_server(address, demo_tokenizer, rows, reference, chat=True)
    assert raw["answers"] == chat["answers"] == [ids] and raw["prompts"] == {"the server": [7]}
    assert seen[0] == ("/v1/completions", {"prompt": build_prompt("글"), "max_tokens": len(ids)})
    message = {"role": "user", "content": "글"}
    assert seen[1] == ("/v1/chat/completions", {"messages": [message], "max_tokens": len(ids)})


def test_a_served_answer_that_differs_diverges_at_the_right_token(demo_tokenizer):
    words = encode(demo_tokenizer, "유아의 놀이가 늘었다. 교사의 지지가 늘었다.")
    ids = [*words, demo_tokenizer.eos_token_id]
    for cut in range(len(words)):
        text = demo_tokenizer.decode(words[:cut]).rstrip("\ufffd") + "QQ"
        found = roads._align(text, cut + 2, ids, demo_tokenizer)
        kept = next(i for i, (a, b) in enumerate(zip(found, ids, strict=False)) if a != b)
        assert demo_tokenizer.decode(words[:kept]).rstrip("\ufffd") == demo_tokenizer.decode(words[:cut]).rstrip(
            "\ufffd"
        )


def test_the_same_text_in_another_count_of_tokens_is_no_pass(demo_tokenizer):
    ids = [*encode(demo_tokenizer, "유아의 놀이"), demo_tokenizer.eos_token_id]
    for tokens in (len(ids) - 1, len(ids) + 1):
        assert roads._align("유아의 놀이", tokens, ids, demo_tokenizer) != ids
    assert roads._align("유아의 놀이", len(ids), ids, demo_tokenizer) == ids


def test_a_server_that_does_not_start_says_why(tmp_path, failing_python):
    with (
        pytest.raises(RuntimeError, match=r"did not start(.|\n)*out of luck"),
        roads.serve(tmp_path / "nothing", SETTINGS),
    ):
        raise AssertionError("never served")


def test_a_killed_notebook_leaves_no_server_behind(tmp_path):
    script, told = tmp_path / "python", tmp_path / "pid"
    script.write_text(f"#!/bin/sh\necho $$ > {told}.new\nmv {told}.new {told}\nexec sleep 120\n")
    script.chmod(0o755)
    code = "import sys; from parentcare.export import roads; roads.choose_dtype = lambda *_: 'torch.float32'; "
    code += f"sys.executable = {str(script)!r}; roads.serve({str(tmp_path)!r}, {SETTINGS!r}).__enter__()"
    notebook = subprocess.Popen([sys.executable, "-c", code], cwd=REPOSITORY)
    assert happens(told.exists)
    notebook.kill()
    notebook.wait()
    server = int(told.read_text())
    try:
        assert happens(lambda: not is_running(server))
    finally:
        if is_running(server):
            os.kill(server, signal.SIGKILL)


def happens(condition, seconds=30):
    end = time.time() + seconds
    while not condition() and time.time() < end:
        time.sleep(0.05)
    return condition()


def is_running(pid):
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    # dead, and nobody has waited for it
    return state != "Z"
