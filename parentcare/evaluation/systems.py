"""The systems that 04 compares, what each is asked, and the checks that the test part stayed closed."""

import hashlib
from pathlib import Path

from parentcare.data.records import read_jsonl, write_jsonl
from parentcare.data.splits import PARTS, find_leaks
from parentcare.manifest import HOME, REPOSITORY, check_current, read_run, run_folder, sha256, short_path
from parentcare.model.prompts import encode, fit_text
from parentcare.runner import execute

KOREAN_INSTRUCTION = (
    "다음은 육아 연구 논문의 일부입니다. 핵심 내용을 한국어로 약 {chars}자 분량으로 요약하십시오.\n\n{text}"
)
# what a chat template and the Korean instruction add to a text, more than the project's prompt does
CHAT_MARGIN_TOKENS = 96
SEEN = {
    True: "none of them seen in training",
    False: "which the adapter may have seen: its run.json names another train.jsonl than this run's, or none",
}


def check_untouched(run: str, record: dict) -> dict[str, list[dict]]:
    """Return part → records. Raises ValueError where the split was changed or a test paper was trained on.

    `record` is run.json of the adapter that is evaluated. One from elsewhere is not refused: see `is_trained_on`.
    """
    folder = run_folder(run)
    section = read_run(run)["notebooks"].get("02_explore_data")
    parts = {}
    for part in PARTS:
        path = folder / f"{part}.jsonl"
        if section is None or section["writes"].get(short_path(path)) != sha256(path):
            raise ValueError(f"{short_path(path)} is not the file that 02_explore_data wrote; run it again: --from 02")
        parts[part] = read_jsonl(path)
    leaks = find_leaks(parts)
    if leaks:
        raise ValueError(f"the test part was seen in training: {'; '.join(leaks[:5])}")
    if record == read_run(run) and not is_trained_on(record, folder / "train.jsonl"):
        raise ValueError("the adapter was trained on another train.jsonl; run 03_finetune again: --fresh --from 03")
    return parts


def is_trained_on(record: dict, train: Path) -> bool:
    """Return whether the adapter of that run.json was trained on this very train.jsonl, wherever it lay."""
    return sha256(train) in record["notebooks"]["03_finetune"].get("reads", {}).values()


def make_prompts(records: list[dict], tokenizer, max_seq_length: int, max_new_tokens: int) -> tuple[dict, dict]:
    """Return (id → prompt ids, id → the text that it holds): the same text for every system."""
    limit = max_seq_length - max_new_tokens - (CHAT_MARGIN_TOKENS if tokenizer.chat_template else 0)
    fitted = {record["id"]: fit_text(record["text"], tokenizer, limit) for record in records}
    return {i: ids for i, (_, ids) in fitted.items()}, {i: text for i, (text, _) in fitted.items()}


def make_chat_prompts(texts: dict[str, str], tokenizer, chars: int) -> dict[str, list[int]]:
    """Return id → prompt ids in the base's own chat template, with a Korean instruction and a length hint."""
    prompts = {}
    for name, text in texts.items():
        message = {"role": "user", "content": KOREAN_INSTRUCTION.format(chars=chars, text=text)}
        prompts[name] = tokenizer.apply_chat_template([message], add_generation_prompt=True, return_dict=False)
    return prompts


def read_perturbed() -> list[dict]:
    """Return the held-out summaries of the checker's own test, each with its text: of a section, or of the paper."""
    papers = read_jsonl(REPOSITORY / "data" / "sample_papers.jsonl")
    sections = {paper["paper_id"]: paper["sections"] for paper in papers}
    texts = {paper: found | {"whole": "\n".join(found.values())} for paper, found in sections.items()}
    rows = read_jsonl(REPOSITORY / "benchmarks" / "perturbed_summaries.jsonl")
    return [row | {"text": texts[row["paper_id"]][row["section"]]} for row in rows]


def read_general() -> list[str]:
    """Return paragraphs of general Korean on anything but childcare."""
    return [row["text"] for row in read_jsonl(REPOSITORY / "data" / "questions" / "general_korean.jsonl")]


def general_rows(texts: list[str], tokenizer) -> list[dict]:
    """Return rows whose every token but the first is predicted, for the loss on general Korean."""
    ids = [encode(tokenizer, text) for text in texts]
    return [{"input_ids": row, "labels": [-100, *row[1:]]} for row in ids]


def pair_with_wrong_texts(records: list[dict]) -> list[dict]:
    """Return the records with each summary kept and its text taken from another paper, if it can be of that section.

    Raises ValueError where there is no other paper.
    """
    wrong = []
    for record in records:
        others = [r for r in records if _paper(r) != _paper(record) and r["text"] != record["text"]]
        if not others:
            raise ValueError(
                f"the control needs a text of another paper for {record['id']}, and the {len(records)} training "
                "records have none: give 01_build_dataset more papers"
            )
        others = [r for r in others if r.get("section") == record.get("section")] or others
        place = int(hashlib.sha256(record["id"].encode()).hexdigest(), 16) % len(others)
        wrong.append(record | {"text": others[place]["text"]})
    return wrong


def _paper(record: dict) -> str:
    return record.get("paper_id") or record["id"]


def train_control(run: str, parameters: dict) -> Path:
    """Return the adapter of the control: 03 itself, run on the same summaries with wrong texts.

    What the tuned model gains over it was learnt about the text; the rest is form.
    """
    control, source = f"{run}-control", HOME / "outputs" / run
    folder = run_folder(control)
    write_jsonl(folder / "train.jsonl", pair_with_wrong_texts(read_jsonl(source / "train.jsonl")))
    # the control keeps its last step: a few validation records are enough to see that it trained
    write_jsonl(folder / "validation.jsonl", read_jsonl(source / "validation.jsonl")[:8])
    parameters = parameters | {"EVAL_STEPS": parameters["MAX_STEPS"], "MAX_NEW_TOKENS": 8, "CHECK_RELOAD": False}
    parameters["BASE_MODEL"] = str(source / "base")
    if check_current("03_finetune", control, parameters)[0] != "current":
        execute("03_finetune", control, parameters | {"RUN": control, "FRESH": True}, 3600, show=lambda line: None)
    return folder / "adapter"
