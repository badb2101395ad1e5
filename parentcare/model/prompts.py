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
    """Raise ValueError for a tokenizer with which no answer could learn to end."""
    if tokenizer.eos_token_id is None:
        raise ValueError("the base's tokenizer has no EOS token: no answer could learn to end; choose another base")
    if tokenizer.pad_token_id == tokenizer.eos_token_id:
        raise ValueError(
            f"pad and EOS are the same token ({tokenizer.eos_token!r}): padding would hide the end of every answer; "
            "set tokenizer.pad_token to another token"
        )


def tokenize_record(record: dict, tokenizer, max_seq_length: int) -> dict:
    """Return `input_ids` and `labels`, lists of the same length ≤ max_seq_length, and what was cut.

    Prompt tokens are labelled −100; the summary and exactly one EOS are trained. A text that does
    not fit loses whole sentences from its end; `text_chars_cut` says how many characters went.
    Raises RejectedRow with the token count where the summary alone does not fit.
    """
    return tokenize_batch([record], tokenizer, max_seq_length)[0]


def tokenize_batch(records: list[dict], tokenizer, max_seq_length: int) -> list[dict]:
    """Return the row of each record, as `tokenize_record`; one call of the tokenizer serves many."""
    rows = []
    frame = len(encode(tokenizer, build_prompt("")))
    prompts = encode(tokenizer, [build_prompt(record["text"]) for record in records])
    summaries = encode(tokenizer, [record["summary"] for record in records])
    for record, prompt, summary in zip(records, prompts, summaries, strict=True):
        response, text = [*summary, tokenizer.eos_token_id], record["text"]
        if frame + len(response) >= max_seq_length:
            raise RejectedRow(_too_long(len(response), frame, max_seq_length))
        if len(prompt) + len(response) > max_seq_length:
            text, prompt = fit_text(text, tokenizer, max_seq_length - len(response), prompt)
        rows.append(
            {
                "input_ids": prompt + response,
                "labels": [IGNORED_LABEL] * len(prompt) + response,
                "text_chars_cut": len(record["text"]) - len(text),
            }
        )
    return rows


def fit_text(text: str, tokenizer, max_prompt_tokens: int, prompt: list[int] | None = None) -> tuple[str, list[int]]:
    """Return (the longest run of whole sentences from the start of `text` that fits, prompt ids).

    Where not even the first sentence fits, it is cut at a space, and a text without one anywhere.
    `prompt` is the whole text's, where it is known.
    """
    prompt = prompt or encode(tokenizer, build_prompt(text))
    if len(prompt) <= max_prompt_tokens:
        return text, prompt
    kept = text
    while len(prompt) > max_prompt_tokens:
        # tokens per character of what is left, a little pessimistic, always at least one character less
        over = len(prompt) - max_prompt_tokens
        end = max(0, min(len(kept) - 1, len(kept) - int(over * len(kept) / (2 * len(prompt)))))
        kept = text[: _last_boundary(text, end)]
        prompt = encode(tokenizer, build_prompt(kept))
    return kept, prompt


def _last_boundary(text: str, end: int) -> int:
    """Return the last sentence end at or before `end`, else the last space, else `end` itself."""
    ends = [match.end() for match in SENTENCE_END.finditer(text, 0, end)]
    # a match that only ends because the slice does is no sentence end
    ends = [e for e in ends if e == len(text) or text[e - 1] == "\n" or text[e : e + 1].isspace()]
    if ends:
        return ends[-1]
    space = text.rfind(" ", 0, end)
    return space if space > 0 else end


def tokenize_records(records: Iterable[dict], tokenizer, max_seq_length: int) -> tuple[list[dict], dict]:
    """Return (rows of `input_ids` and `labels`, a report of how many texts were cut and how much).

    Raises ValueError for a tokenizer whose answers could not learn to end.
    """
    report: dict = {}
    return list(iterate_rows(records, tokenizer, max_seq_length, report)), report


def tokenize_file(path: Path, tokenizer, max_seq_length: int, folder: Path) -> tuple:
    """Return (Dataset of `input_ids` and `labels` that lies in `folder`, the report of `tokenize_records`).

    However many records the file has, a batch of them is in memory.
    """
    from datasets import Dataset

    shutil.rmtree(folder, ignore_errors=True)
    report: dict = {}

    def rows():
        with open(path, encoding="utf-8") as file:
            yield from iterate_rows(map(json.loads, file), tokenizer, max_seq_length, report)

    # the name spares hashing the tokenizer; the folder is made anew each time
    return Dataset.from_generator(rows, cache_dir=str(folder), fingerprint=folder.name), report


def count_row_tokens(rows) -> list[int]:
    """Return the number of tokens of each row of a Dataset."""
    import pyarrow.compute

    return pyarrow.compute.list_value_length(rows.data["input_ids"]).to_pylist()


def iterate_rows(records: Iterable[dict], tokenizer, max_seq_length: int, report: dict) -> Iterator[dict]:
    """Yield `input_ids` and `labels` of each record, and fill the report."""
    check_tokenizer(tokenizer)
    report |= dict.fromkeys(("rows", "texts_cut", "share_of_chars_cut", "tokens", "trained_tokens"), 0)
    chars = chars_cut = 0
    records = iter(records)
    while batch := list(itertools.islice(records, BATCH_RECORDS)):
        for record, row in zip(batch, tokenize_batch(batch, tokenizer, max_seq_length), strict=True):
            cut, labels = row.pop("text_chars_cut"), row["labels"]
            assert labels[-1] == tokenizer.eos_token_id, "every answer ends with a trained EOS"
            assert len(labels) <= max_seq_length, "no row is longer than the limit"
            chars, chars_cut = chars + len(record["text"]), chars_cut + cut
            report["rows"] += 1
            report["texts_cut"] += cut > 0
            report["share_of_chars_cut"] = round(chars_cut / max(chars, 1), 4)
            report["tokens"] += len(labels)
            report["trained_tokens"] += len(labels) - labels.count(IGNORED_LABEL)
            yield row


def reject_too_long(records: list[dict], tokenizer, max_seq_length: int) -> tuple[list[dict], list[dict]]:
    """Return (records whose summary fits the limit, rejected rows with the token counts)."""
    frame = len(encode(tokenizer, build_prompt("")))
    fitting, rejected = [], []
    for record in records:
        response = len(encode(tokenizer, record["summary"])) + 1
        if frame + response < max_seq_length:
            fitting.append(record)
        else:
            reason = _too_long(response, frame, max_seq_length)
            rejected.append({"line": None, "reason": reason, "raw": json.dumps(record, ensure_ascii=False)[:2000]})
    return fitting, rejected


def count_tokens(records: list[dict], tokenizer) -> tuple[list[int], list[int]]:
    """Return (tokens of each prompt with its whole text, tokens of each summary with its EOS)."""
    prompt_tokens = [len(ids) for ids in encode(tokenizer, [build_prompt(record["text"]) for record in records])]
    summary_tokens = [len(ids) + 1 for ids in encode(tokenizer, [record["summary"] for record in records])]
    return prompt_tokens, summary_tokens


def _too_long(response_tokens: int, frame_tokens: int, max_seq_length: int) -> str:
    return (
        f"the summary has {response_tokens} tokens and the prompt around the text {frame_tokens}: "
        f"nothing is left for the text within {max_seq_length}"
    )


def mark_trained(row: dict, tokenizer) -> str:
    """Return the row as text with 【】 around what carries loss, so that a reader can see the mask."""
    first = next(i for i, label in enumerate(row["labels"]) if label != IGNORED_LABEL)
    return f"{tokenizer.decode(row['input_ids'][:first])}【{tokenizer.decode(row['input_ids'][first:])}】"
