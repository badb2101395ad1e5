"""A folder of papers: every file is accounted for, in order, whatever is in it."""

import os
import random
import signal
import subprocess
import sys
import threading
import time
import zlib

import pytest

from parentcare.data import papers
from parentcare.data.papers import FILES_PER_READER, READER, describe_death, find_papers, read_papers
from parentcare.manifest import REPOSITORY
from tests.data.printing import SAMPLES, filler, print_pdf

sys.path.insert(0, str(REPOSITORY / "benchmarks"))

GOOD = SAMPLES / "sample-001.pdf"


def make_bomb(path):
    """Return a PDF of 0.2 MB whose one page unpacks to 100 MB of text."""
    pack = zlib.compressobj(9)
    stream = pack.compress(b"BT /F 12 Tf ") + b"".join(pack.compress(b"(AAAAAAAAAA) Tj " * 2**16) for _ in range(100))
    stream += pack.compress(b" ET") + pack.flush()
    parts = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 600 800]/Contents 4 0 R/Resources<</Font<</F 5 0 R>>>>>>",
        b"<</Length %d/Filter/FlateDecode>>stream\n" % len(stream) + stream + b"\nendstream",
        b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
    ]
    body = b"".join(b"%d 0 obj\n%s\nendobj\n" % (i, part) for i, part in enumerate(parts, start=1))
    path.write_bytes(b"%PDF-1.4\n" + body + b"trailer<</Size 6/Root 1 0 R>>\n%%EOF")
    return path


def test_papers_are_found_in_order_in_folders_inside(tmp_path):
    names = ["b.pdf", "a.HWPX", "inside/c.hwp", "notes.txt", ".hidden.pdf"]
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    assert [path.name for path in find_papers(tmp_path)] == ["a.HWPX", "b.pdf", "c.hwp"]
    with pytest.raises(FileNotFoundError, match="no folder"):
        find_papers(tmp_path / "missing")


def test_results_come_in_the_order_of_the_paths_whatever_the_number_of_readers():
    numbers = [3, 1, 2, *range(4, 4 + FILES_PER_READER)]
    paths = [SAMPLES / "encrypted.pdf", *(SAMPLES / f"sample-{i:03}.pdf" for i in numbers)]
    one, two = list(read_papers(paths, 1)), list(read_papers(paths, 2))
    assert one == two
    assert [paper["path"] for paper in one] == list(map(str, paths))
    assert ["reason" in paper for paper in one] == [True, *[False] * len(numbers)]


def test_a_file_that_eats_memory_costs_only_itself(tmp_path):
    bomb = make_bomb(tmp_path / "bomb.pdf")
    before, hostile, after = read_papers([GOOD, bomb, GOOD], 1, seconds=20, memory_mib=400)
    assert "400 MiB" in hostile["reason"]
    assert before["pages"] == after["pages"]


def test_a_file_that_takes_too_long_costs_only_itself(tmp_path):
    pipe = tmp_path / "never.pdf"
    os.mkfifo(pipe)
    start = time.monotonic()
    hanging, after = read_papers([pipe, GOOD], 1, seconds=1)
    assert hanging["reason"] == "slow: not read within 1 seconds"
    assert len(after["pages"]) == 2
    assert time.monotonic() - start < 8


def test_stopping_early_ends_the_readers():
    papers = read_papers([GOOD] * 20, 2)
    next(papers)
    papers.close()
    children = subprocess.run(["ps", "-o", "args", "--ppid", str(os.getpid())], capture_output=True, text=True).stdout
    assert READER[-1] not in children


def test_deaths_are_named():
    assert describe_death(-signal.SIGALRM, 60, 2048) == "slow: not read within 60 seconds"
    assert (
        describe_death(-signal.SIGSEGV, 60, 2048) == "broken or huge: its reader ended with SIGSEGV (limit 2,048 MiB)"
    )
    assert "exit code 1" in describe_death(1, 60, 2048)


def test_200_mutated_files_are_all_accounted_for(tmp_path):
    from papers import mutate

    chance = random.Random(7)
    names = ["001.pdf", "003.pdf", "017.pdf", "040.hwpx", "083.hwpx"]
    sources = [(SAMPLES / f"sample-{name}").read_bytes() for name in names]
    paths = [tmp_path / f"{i:03}.pdf" for i in range(200)]
    for path in paths:
        path.write_bytes(mutate(chance.choice(sources), sources, chance))
    found = list(read_papers(paths, 2, seconds=10, memory_mib=1024))
    assert [paper["path"] for paper in found] == list(map(str, paths))
    assert all(paper.get("reason") or paper.get("pages") for paper in found)


def test_reading_does_not_depend_on_the_working_folder(tmp_path, monkeypatch):
    path = print_pdf(tmp_path / "a.pdf", [filler()])
    monkeypatch.chdir(tmp_path)
    assert "pages" in next(read_papers(["a.pdf"], 1))
    assert path.exists()


def test_half_a_line_of_a_reader_that_was_killed_costs_one_file(monkeypatch):
    script = "import os, sys; print('{\"pages\": [\"', end='', flush=True); os.kill(os.getpid(), 9)"
    monkeypatch.setattr(papers, "READER", [sys.executable, "-c", script])
    assert ["SIGKILL" in found["reason"] for found in read_papers([GOOD, GOOD], 1)] == [True, True]


def test_a_caller_that_stops_early_waits_for_no_reader(tmp_path):
    os.mkfifo(tmp_path / "waits.pdf")
    reading = read_papers([GOOD, tmp_path / "waits.pdf"], 2, seconds=600)
    assert "pages" in next(reading)
    closing = threading.Thread(target=reading.close, daemon=True)
    closing.start()
    closing.join(60)
    assert not closing.is_alive()
