import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parentcare.data.records import (
    check_rejected_share,
    normalise_text,
    read_jsonl,
    read_records,
    write_jsonl,
)

GOOD = {"text": "유아의 놀이를 관찰하였다.", "summary": "놀이를 보았다."}


def write(tmp_path, *lines: bytes):
    path = tmp_path / "output.jsonl"
    path.write_bytes(b"\n".join(lines) + b"\n")
    return path


def encode(row) -> bytes:
    return json.dumps(row, ensure_ascii=False).encode()


def test_what_is_written_is_read_again(tmp_path):
    rows = [GOOD | {"id": "a/1", "pages": [1, 2], "더": "있음"}]
    path = write_jsonl(tmp_path / "output.jsonl", rows)
    assert "유아의" in path.read_text(encoding="utf-8")
    assert read_jsonl(path) == rows
    assert read_records(path)[0] == rows


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"{not json", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b'"a string"', "not a JSON object"),
        (encode({"text": "글"}), "no summary"),
        (encode({"summary": "글"}), "no text"),
        (encode(GOOD | {"summary": 3}), "summary is not a string"),
        (encode(GOOD | {"text": ["글"]}), "text is not a string"),
        (encode(GOOD | {"summary": ""}), "summary is empty"),
        (encode(GOOD | {"text": " \u200b\n"}), "text is empty"),
        (encode(GOOD | {"text": "널\x00문자"}), "text has a NUL or a lone surrogate"),
        (b'{"text": "\\ud800", "summary": "a"}', "text has a NUL or a lone surrogate"),
        (b'{"text": "a", "summary": "b", "title": "\\udfff"}', "another field has a lone surrogate"),
        (b'{"text": "' + b"a" * 10_000_001 + b'", "summary": "b"}', "longer than 10 MB"),
    ],
)
def test_a_bad_row_is_kept_with_line_reason_and_raw_bytes(tmp_path, line, reason):
    path = write(tmp_path, encode(GOOD), line, encode(GOOD))
    records, rejected, _ = read_records(path)
    assert records == [GOOD, GOOD]
    (row,) = rejected
    assert (row["line"], row["reason"]) == (2, reason)
    assert row["raw"] == line[:2000].decode() and len(row["sha256"]) == 64
    json.dumps(rejected, ensure_ascii=False).encode("utf-8")


def test_raw_bytes_that_are_cut_inside_a_character_are_escaped(tmp_path):
    line = encode({"text": "가" * 2000})
    assert "\\x" in read_records(write(tmp_path, encode(GOOD), line))[1][0]["raw"]


def test_bom_crlf_nfd_and_zero_width_are_normalised_and_counted(tmp_path):
    nfd = unicodedata.normalize("NFD", "놀이")
    rows = [GOOD, {"text": f"{nfd}를\u200b 보았다", "summary": "가\r\n나"}]
    path = tmp_path / "output.jsonl"
    path.write_bytes(b"\xef\xbb\xbf" + b"\r\n".join(map(encode, rows)) + b"\r\n")
    records, rejected, counts = read_records(path)
    assert not rejected and records[1] == {"text": "놀이를 보았다", "summary": "가\n나"}
    assert counts["byte order mark"] == counts["decomposed Hangul (NFD)"] == 1
    assert counts["zero-width characters"] == counts["CRLF line ends"] == 1


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", ["is empty", "01_build_dataset"]),
        (encode([GOOD]), ["JSON array", "one JSON object a line", "python3 -c"]),
        ((json.dumps(GOOD, ensure_ascii=False) + "\n").encode("cp949"), [":1 is not UTF-8", "CP949", "iconv"]),
        (encode(GOOD) + b"\n" + b"\xff\xfe\x81 \n", [":2 is not UTF-8", "iconv"]),
        ((json.dumps(GOOD) + "\n").encode("utf-16"), ["UTF-16", "iconv"]),
        (encode({"body": "글", "abstract": "초록"}), ["keys found: abstract, body", "TEXT_FIELD"]),
    ],
)
def test_an_unreadable_file_says_what_was_found_and_what_to_do(tmp_path, content, words):
    path = tmp_path / "output.jsonl"
    path.write_bytes(content)
    with pytest.raises(ValueError) as error:
        read_records(path)
    assert all(word in str(error.value) for word in [*words, "output.jsonl"]), error.value


def test_a_missing_file_names_the_notebook_that_makes_it(tmp_path):
    with pytest.raises(FileNotFoundError, match="01_build_dataset"):
        read_records(tmp_path / "output.jsonl")


def test_the_command_in_the_array_message_converts_the_array(tmp_path, monkeypatch):
    import subprocess
    import sys

    from parentcare.data import records

    monkeypatch.setattr(records, "short_path", str)
    path = tmp_path / "output.jsonl"
    path.write_bytes(encode([GOOD, GOOD]))
    with pytest.raises(ValueError) as error:
        read_records(path)
    command = str(error.value).split("Convert it: ")[1].replace("python3", sys.executable)
    subprocess.run(command, shell=True, check=True, cwd=tmp_path)
    assert read_records(tmp_path / "converted.jsonl")[0] == [GOOD, GOOD]


def test_other_field_names_are_read_and_renamed(tmp_path):
    path = write(tmp_path, encode({"body": "글이다.", "abstract": "요약.", "id": 1}))
    assert read_records(path, "body", "abstract")[0] == [{"id": 1, "text": "글이다.", "summary": "요약."}]


def test_too_many_rejected_rows_stop_with_a_table_of_reasons():
    rejected = [{"reason": "not JSON"}] * 5 + [{"reason": "no text"}]
    check_rejected_share(rejected, 120, 0.05)
    with pytest.raises(ValueError, match=r"6 of 100 rows(.|\n)*5 rows: not JSON(.|\n)*1 rows: no text"):
        check_rejected_share(rejected, 100, 0.05)


@given(st.text())
def test_normalising_twice_changes_nothing_more(text):
    once = normalise_text(text.encode("utf-8", "ignore").decode())
    assert normalise_text(once) == once and unicodedata.is_normalized("NFC", once)
