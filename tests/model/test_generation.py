"""On the trained demo: batches give what single prompts give, and a killed evaluation goes on."""

import json
from types import SimpleNamespace

import pytest

from parentcare.data.records import read_jsonl
from parentcare.model import generation
from parentcare.model.loading import load_tokenizer
from parentcare.model.prompts import fit_text


@pytest.fixture(scope="module")
def trained(demo_home):
    """Return (model, tokenizer, twelve prompts of different lengths) of the shared demo run."""
    import torch

    folder = demo_home / "outputs" / "demo"
    tokenizer = load_tokenizer(str(folder / "adapter"))
    model = generation.load_model(str(folder / "base"), folder / "adapter", torch.float32)
    records = read_jsonl(folder / "test.jsonl")[:12]
    return model, tokenizer, [fit_text(record["text"], tokenizer, 300)[1] for record in records]


def next_tokens(model, prompt: list[int], answer: list[int], pad: int, width: int):
    """Return the logits (answer tokens, vocabulary) that predict the answer, left-padded to `width`."""
    import torch

    ids = [pad] * (width - len(prompt) - len(answer)) + prompt + answer
    mask = [0] * (width - len(prompt) - len(answer)) + [1] * (len(prompt) + len(answer))
    position = (torch.tensor([mask]).cumsum(-1) - 1).clamp(min=0)
    with torch.inference_mode():
        logits = model(
            input_ids=torch.tensor([ids]), attention_mask=torch.tensor([mask]), position_ids=position
        ).logits[0]
    return logits[len(ids) - len(answer) - 1 : -1]


def test_batched_and_single_agree_teacher_forced(trained):
    model, tokenizer, prompts = trained
    answers = generation.generate_batch(model, tokenizer, prompts, 24)
    agreed = total = 0
    largest = 0.0
    for prompt, answer in zip(prompts, answers, strict=True):
        ids = tokenizer(answer["answer"], add_special_tokens=False)["input_ids"][:20]
        single = next_tokens(model, prompt, ids, tokenizer.pad_token_id, len(prompt) + len(ids))
        padded = next_tokens(model, prompt, ids, tokenizer.pad_token_id, max(map(len, prompts)) + len(ids))
        agreed += (single.argmax(-1) == padded.argmax(-1)).sum().item()
        total += len(ids)
        largest = max(largest, (single - padded).abs().max().item())
    assert total >= 100 and agreed / total >= 0.995
    assert largest < 1e-3


def test_the_order_and_size_of_batches_change_no_answer(trained):
    model, tokenizer, prompts = trained
    one_by_one = [generation.generate_batch(model, tokenizer, [prompt], 12)[0]["answer"] for prompt in prompts[:6]]
    together = [row["answer"] for row in generation.generate_batch(model, tokenizer, prompts[:6], 12)]
    assert sum(a == b for a, b in zip(one_by_one, together, strict=True)) >= 5


def test_a_killed_generation_continues_with_what_is_missing(trained, tmp_path, monkeypatch):
    model, tokenizer, prompts = trained
    named = {f"r{i}": prompt for i, prompt in enumerate(prompts[:4])}
    path = tmp_path / "a.jsonl"
    whole = generation.generate_all(model, tokenizer, named, 6, path)
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    path.write_text("".join(lines[:2]) + lines[2][:15], encoding="utf-8")
    asked = []
    real = generation.generate_batch
    monkeypatch.setattr(generation, "generate_batch", lambda *a: asked.append(len(a[2])) or real(*a))
    assert generation.generate_all(model, tokenizer, named, 6, path) == whole and sum(asked) == 2
    assert [json.loads(line)["id"] for line in path.read_text(encoding="utf-8").splitlines()][:2] == [
        json.loads(line)["id"] for line in lines[:2]
    ]


def test_answers_of_other_settings_are_made_again_and_both_are_kept(tmp_path, monkeypatch):
    asked = []

    def answer(model, tokenizer, batch, limit):
        asked.append((model.dtype, batch, limit))
        return [{"answer": f"{ids} {limit} {model.dtype}", "tokens": limit, "ended": True} for ids in batch]

    monkeypatch.setattr(generation, "generate_batch", answer)
    bf16, fp16 = (SimpleNamespace(dtype=name) for name in ("torch.bfloat16", "torch.float16"))
    others = [(bf16, [1], 64), (bf16, [1], 512), (fp16, [1], 64), (bf16, [2], 64)]
    for _ in range(2):
        for model, ids, limit in others:
            found = generation.generate_all(model, None, {"r": ids}, limit, tmp_path / "a.jsonl")
            assert found == {"r": {"answer": f"{ids} {limit} {model.dtype}", "tokens": limit, "ended": True}}
    assert asked == [(model.dtype, [ids], limit) for model, ids, limit in others]


def test_answers_of_another_version_of_the_code_are_made_again(tmp_path, monkeypatch):
    monkeypatch.setattr(generation, "generate_batch", lambda *_: [{"answer": "새", "tokens": 1, "ended": True}])
    path, model = tmp_path / "a.jsonl", SimpleNamespace(dtype="torch.float32")
    path.write_text('{"id": "r", "answer": "옛", "tokens": 1, "ended": true}\n', encoding="utf-8")
    assert generation.generate_all(model, None, {"r": [1]}, 4, path)["r"]["answer"] == "새"
    monkeypatch.setattr(generation, "sha256", lambda _: "another file")
    monkeypatch.setattr(generation, "generate_batch", lambda *_: [{"answer": "더 새", "tokens": 1, "ended": True}])
    assert generation.generate_all(model, None, {"r": [1]}, 4, path)["r"]["answer"] == "더 새"


def test_out_of_memory_halves_the_batch_and_loses_nothing(trained, tmp_path, monkeypatch):
    import torch

    model, tokenizer, prompts = trained
    sizes = []
    real = generation.generate_batch

    def small_memory(model, tokenizer, batch, new_tokens):
        sizes.append(len(batch))
        if len(batch) > 2:
            raise torch.cuda.OutOfMemoryError("out of memory")
        return real(model, tokenizer, batch, new_tokens)

    monkeypatch.setattr(generation, "generate_batch", small_memory)
    monkeypatch.setattr(generation, "choose_batch_size", lambda tokens: 8)
    named = {f"r{i}": prompt for i, prompt in enumerate(prompts[:5])}
    assert set(generation.generate_all(model, tokenizer, named, 4, tmp_path / "a.jsonl")) == set(named)
    assert sizes[:3] == [5, 4, 2] or sizes[:2] == [5, 4]


def test_a_merged_adapter_gives_the_same_logits_and_leaves_the_weights_untouched(trained):
    import torch

    model, _, prompts = trained
    ids = torch.tensor([prompts[0]])
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    with torch.inference_mode():
        apart = model(input_ids=ids).logits
        with generation.merged_adapter(model) as merged:
            together = merged(input_ids=ids).logits
            with model.disable_adapter():
                base = model(input_ids=ids).logits
    assert (apart - together).abs().max() < 1e-3 < (apart - base).abs().max()
    assert all(torch.equal(weight, before[name]) for name, weight in model.state_dict().items())
