"""Reading, checking and writing the records of output.jsonl (UTF-8, NFC, one JSON object a line)."""

import codecs
import collections
import hashlib
import json
import re
import unicodedata
from collections.abc import Iterable, Iterator
from pathlib import Path

from parentcare.manifest import short_path, write_atomically

MAX_LINE_BYTES = 10_000_000
RAW_BYTES_KEPT = 2_000
# zero-width space, joiners, word joiner, byte order mark inside a text, soft hyphen
INVISIBLE = re.compile("[\u200b\u200c\u200d\u2060\ufeff\u00ad]")
UNSAFE = re.compile("[\x00\ud800-\udfff]")


class RejectedRow(ValueError):
    """A row that cannot be used; the message is the reason."""


def normalise_text(text: str) -> str:
    """Return `text` in NFC (NFKC would rewrite ①, ㎝ and Ⅰ), with plain line ends, without invisible characters."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return unicodedata.normalize("NFC", INVISIBLE.sub("", text)).strip()


def flat_key(text: str) -> str:
    """Return `text` for comparing: case, spaces and ways of writing the same characters do not count."""
    return "".join(unicodedata.normalize("NFKC", text).casefold().split())


def read_records(
    path: Path, text_field: str = "text", summary_field: str = "summary"
) -> tuple[list[dict], list[dict], collections.Counter]:
    """Return (records, rejected rows, counts of what was normalised); records keep keys beside `text` and `summary`.

    A rejected row has `line`, `reason`, `raw` (the first bytes, escaped) and `sha256`. Raises FileNotFoundError or
    ValueError where the file as a whole cannot be read.
    """
    records, rejected, counts, keys = [], [], collections.Counter(), set()
    for number, line in _lines(Path(path), counts):
        try:
            row = _parse_row(line)
            keys |= row.keys()
            records.append(_check_row(row, text_field, summary_field, counts))
        except RejectedRow as error:
            found = {"raw": line[:RAW_BYTES_KEPT].decode(errors="backslashreplace")}
            found["sha256"] = hashlib.sha256(line).hexdigest()
            rejected.append({"line": number, "reason": str(error)} | found)
    if keys and not {text_field, summary_field} & keys:
        raise ValueError(
            f"{short_path(path)}: no row has '{text_field}' or '{summary_field}'; keys found: "
            f"{', '.join(sorted(keys))}. Set TEXT_FIELD and SUMMARY_FIELD in 02_explore_data"
        )
    return records, rejected, counts


def check_rejected_share(rejected: list[dict], total: int, max_rejected_share: float) -> None:
    """Raise ValueError with a table of reasons where too many of `total` rows were rejected."""
    if total and len(rejected) / total > max_rejected_share:
        reasons = collections.Counter(row["reason"] for row in rejected).most_common()
        table = "\n".join(f"{count:7,} rows: {reason}" for reason, count in reasons)
        raise ValueError(
            f"{len(rejected):,} of {total:,} rows were rejected, more than MAX_REJECTED_SHARE "
            f"({max_rejected_share:.0%}):\n{table}\nThe rows are in rejected_rows.jsonl"
        )


def write_jsonl(path: Path, rows: Iterable[dict]) -> Path:
    """Return `path` after writing one JSON object a line, Hangul readable."""
    return write_atomically(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))


def read_jsonl(path: Path) -> list[dict]:
    """Return the rows of a JSON Lines file that this project wrote."""
    with open(path, encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def any_synthetic(path: Path) -> bool:
    """Return whether any record of the file says that it is synthetic, a line in memory at a time."""
    with open(path, encoding="utf-8") as file:
        return any(json.loads(line).get("synthetic") for line in file)


def _parse_row(line: bytes) -> dict:
    """Return the JSON object on one line. Raises RejectedRow."""
    if len(line) > MAX_LINE_BYTES:
        raise RejectedRow(f"longer than {MAX_LINE_BYTES // 10**6} MB")
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise RejectedRow("not JSON") from error
    if not isinstance(row, dict):
        raise RejectedRow("not a JSON object")
    return row


def _check_row(row: dict, text_field: str, summary_field: str, counts: collections.Counter) -> dict:
    """Return the row as a record with normalised `text` and `summary`. Raises RejectedRow."""
    record = {key: value for key, value in row.items() if key not in (text_field, summary_field)}
    for name, field in (("text", text_field), ("summary", summary_field)):
        if field not in row:
            raise RejectedRow(f"no {name}")
        value = row[field]
        if not isinstance(value, str):
            raise RejectedRow(f"{name} is not a string")
        if UNSAFE.search(value):
            raise RejectedRow(f"{name} has a NUL or a lone surrogate")
        record[name] = normalise_text(value)
        if not record[name]:
            raise RejectedRow(f"{name} is empty")
        counts["CRLF line ends"] += "\r" in value
        counts["decomposed Hangul (NFD)"] += not unicodedata.is_normalized("NFC", value)
        counts["zero-width characters"] += bool(INVISIBLE.search(value))
    if UNSAFE.search(json.dumps(record, ensure_ascii=False)):
        raise RejectedRow("another field has a lone surrogate")
    return record


def _lines(path: Path, counts: collections.Counter) -> Iterator[tuple[int, bytes]]:
    """Yield (line number, line) of the non-blank lines, memory flat."""
    if not path.is_file():
        raise FileNotFoundError(
            f"{short_path(path)} is missing. Notebook 01_build_dataset makes data/output.jsonl "
            "from data/papers/, or put your own there: one JSON object with text and summary a line"
        )
    if path.stat().st_size == 0:
        raise ValueError(f"{short_path(path)} is empty: 01_build_dataset makes it, or put your own there")
    with open(path, "rb") as file:
        for number, line in enumerate(file, start=1):
            if number == 1:
                counts["byte order mark"] += line.startswith(codecs.BOM_UTF8)
                line = line.removeprefix(codecs.BOM_UTF8)
                _refuse_array(path, line)
            line = line.strip()
            try:
                line.decode()
            except UnicodeDecodeError as error:
                encoding = "UTF-16" if line[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) else "CP949"
                raise ValueError(
                    f"{short_path(path)}:{number} is not UTF-8. If it is {encoding}, convert the file: "
                    f"iconv -f {encoding} -t UTF-8 {short_path(path)} > converted.jsonl"
                ) from error
            if line:
                yield number, line


def _refuse_array(path: Path, line: bytes) -> None:
    if line.lstrip().startswith(b"["):
        name = short_path(path)
        rows = f"json.load(open('{name}', encoding='utf-8-sig'))"
        command = f"import json; [print(json.dumps(r, ensure_ascii=False)) for r in {rows}]"
        raise ValueError(
            f"{name} is a JSON array, expected one JSON object a line. "
            f'Convert it: python3 -c "{command}" > converted.jsonl'
        )
