"""The one prompt of training, evaluation, serving and export, and its tokens and labels."""

import itertools
import json
import re
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

from parentcare.data.records import RejectedRow

INSTRUCTION = (
    "Below is a text from a research paper on early childhood. "
    "Summarize the key findings or main points of the following text."
)
# Ends with exactly one newline: the Qwen vocabulary merges ":" and "\n" into one token, so a prompt
# without it would not be a prefix of what was trained on.
TEMPLATE = "### Instruction:\n{instruction}\n\n### Input:\n{text}\n\n### Response:\n"
IGNORED_LABEL = -100
BATCH_RECORDS = 256
# A plain rule, without a language model: a closing mark, perhaps a quote or bracket, then a space.
SENTENCE_END = re.compile(r"[.!?。][”’\"')\]]*(?=\s|$)|\n")


def build_prompt(text: str, instruction: str = INSTRUCTION) -> str:
    """Return the prompt for one text, up to and with the newline after '### Response:'."""
    return TEMPLATE.format(instruction=instruction, text=text)


def encode(tokenizer, text: str | list[str]) -> list:
    """Return the token ids of plain text, or of each text; '<|im_end|>' inside a paper is text, not the end mark."""
    return tokenizer(text, add_special_tokens=False, split_special_tokens=True)["input_ids"]


def check_tokenizer(tokenizer) -> None:
    """Raise ValueError for a tokenizer with which no answer could learn to end, or that needs other prompts."""
    if tokenizer.eos_token_id is None:
        raise ValueError("the base's tokenizer has no EOS token: no answer could learn to end; choose another base")
    if tokenizer.pad_token_id == tokenizer.eos_token_id:
        raise ValueError(
            f"pad and EOS are the same token ({tokenizer.eos_token!r}): padding would hide the end of every answer; "
            "set tokenizer.pad_token to another token"
        )
    if tokenizer.bos_token_id is not None and tokenizer("가")["input_ids"][0] == tokenizer.bos_token_id:
        raise ValueError(
            f"the base's tokenizer begins every text with {tokenizer.bos_token!r}, and this project's prompts do not: "
            "use a base of the Qwen2.5 or Qwen3 family"
        )


def tokenize_records(records: Iterable[dict], tokenizer, max_seq_length: int) -> tuple[list[dict], dict]:
    """Return (rows of `input_ids` and `labels`, a report of how many texts were cut and how much).

    Both lists have the same length ≤ max_seq_length. Prompt tokens are labelled −100; the summary and exactly one EOS
    are trained. A text that does not fit loses whole sentences from its end. Raises RejectedRow with the token count
    where the summary alone does not fit, and ValueError for a tokenizer whose answers could not learn to end.
    """
    report: dict = {}
    return list(_iterate_rows(records, tokenizer, max_seq_length, report)), report


def tokenize_file(path: Path, tokenizer, max_seq_length: int, folder: Path) -> tuple:
    """Return `tokenize_records` of a file, the rows as a Dataset in `folder`: a batch of records is in memory."""
    from datasets import Dataset

    shutil.rmtree(folder, ignore_errors=True)
    report: dict = {}

    def rows():
        with open(path, encoding="utf-8") as file:
            yield from _iterate_rows(map(json.loads, file), tokenizer, max_seq_length, report)

    # the name spares hashing the tokenizer; the folder is made anew each time
    return Dataset.from_generator(rows, cache_dir=str(folder), fingerprint=folder.name), report


def _iterate_rows(records: Iterable[dict], tokenizer, max_seq_length: int, report: dict) -> Iterator[dict]:
    """Yield the row of each record, and fill the report."""
    check_tokenizer(tokenizer)
    report |= dict.fromkeys(("rows", "texts_cut", "share_of_chars_cut", "tokens", "trained_tokens"), 0)
    chars, chars_cut, frame = 0, 0, len(encode(tokenizer, build_prompt("")))
    for record, prompt, response in _iterate_ids(records, tokenizer):
        _check_room(len(response), frame, max_seq_length)
        text, prompt = fit_text(record["text"], tokenizer, max_seq_length - len(response), prompt)
        cut = len(record["text"]) - len(text)
        chars, chars_cut = chars + len(record["text"]), chars_cut + cut
        report["rows"] += 1
        report["texts_cut"] += cut > 0
        report["tokens"] += len(prompt) + len(response)
        report["trained_tokens"] += len(response)
        yield {"input_ids": prompt + response, "labels": [IGNORED_LABEL] * len(prompt) + response}
    report["share_of_chars_cut"] = round(chars_cut / max(chars, 1), 4)


def _iterate_ids(records: Iterable[dict], tokenizer) -> Iterator[tuple[dict, list[int], list[int]]]:
    """Yield (record, ids of the prompt with its whole text, ids of the summary and EOS); a call serves many."""
    records = iter(records)
    while batch := list(itertools.islice(records, BATCH_RECORDS)):
        prompts = encode(tokenizer, [build_prompt(record["text"]) for record in batch])
        summaries = encode(tokenizer, [record["summary"] for record in batch])
        for record, prompt, summary in zip(batch, prompts, summaries, strict=True):
            yield record, prompt, [*summary, tokenizer.eos_token_id]


def fit_text(text: str, tokenizer, max_prompt_tokens: int, prompt: list[int] | None = None) -> tuple[str, list[int]]:
    """Return (the longest run of whole sentences from the start of `text` that fits, prompt ids).

    Where not even the first sentence fits, it is cut at a space, and a text without one anywhere.
    `prompt` is the whole text's, where it is known. Raises ValueError where not even the prompt without text fits.
    """
    kept, prompt = text, prompt or encode(tokenizer, build_prompt(text))
    while (over := len(prompt) - max_prompt_tokens) > 0:
        if not kept:
            raise ValueError(
                f"the prompt without any text has {len(prompt)} tokens, {max_prompt_tokens} are left for it: "
                "raise MAX_SEQ_LENGTH or lower MAX_NEW_TOKENS"
            )
        # tokens per character of what is left, a little pessimistic, always at least one character less
        end = max(0, min(len(kept) - 1, len(kept) - int(over * len(kept) / (2 * len(prompt)))))
        kept = text[: _last_boundary(text, end)]
        prompt = encode(tokenizer, build_prompt(kept))
    return kept, prompt


def _last_boundary(text: str, end: int) -> int:
    """Return the last sentence end at or before `end`, else the last space, else `end` itself."""
    ends = (match.end() for match in SENTENCE_END.finditer(text))
    last = max(itertools.takewhile(lambda place: place <= end, ends), default=0)
    return last or max(0, text.rfind(" ", 0, end)) or end


def _check_room(response_tokens: int, frame_tokens: int, max_seq_length: int) -> None:
    """Raise RejectedRow where summary and EOS leave no room for any text in the prompt, whose frame is given."""
    if frame_tokens + response_tokens >= max_seq_length:
        raise RejectedRow(
            f"the summary has {response_tokens} tokens and the prompt around the text {frame_tokens}: "
            f"nothing is left for the text within {max_seq_length}"
        )


def reject_too_long(records: list[dict], tokenizer, max_seq_length: int) -> tuple[list[dict], list[dict]]:
    """Return (records whose summary fits the limit, rejected rows with the token counts)."""
    frame = len(encode(tokenizer, build_prompt("")))
    fitting, rejected = [], []
    for record in records:
        try:
            _check_room(len(encode(tokenizer, record["summary"])) + 1, frame, max_seq_length)
            fitting.append(record)
        except RejectedRow as error:
            raw = json.dumps(record, ensure_ascii=False)[:2000]
            rejected.append({"line": None, "reason": str(error), "raw": raw})
    return fitting, rejected


def count_tokens(records: list[dict], tokenizer) -> tuple[list[int], list[int]]:
    """Return (tokens of each prompt with its whole text, tokens of each summary with its EOS)."""
    counts = [(len(prompt), len(response)) for _, prompt, response in _iterate_ids(records, tokenizer)]
    return [prompt for prompt, _ in counts], [response for _, response in counts]


def count_row_tokens(rows) -> list[int]:
    """Return the number of tokens of each row of a Dataset."""
    import pyarrow.compute

    return pyarrow.compute.list_value_length(rows.data["input_ids"]).to_pylist()


def mark_trained(row: dict, tokenizer) -> str:
    """Return the row as text with 【】 around what carries loss, so that a reader can see the mask."""
    first = row["labels"].count(IGNORED_LABEL)
    return f"{tokenizer.decode(row['input_ids'][:first])}【{tokenizer.decode(row['input_ids'][first:])}】"
