import os
import shutil
from pathlib import Path

import pytest

pytest.importorskip("datatrove", reason="the extra `scale` is not installed")

from parentcare.data import pipeline, scale
from parentcare.data.records import read_jsonl
from tests.conftest import REPOSITORY

SAMPLES = REPOSITORY / "data" / "papers"
NAMES = [f"sample-00{i}.pdf" for i in range(1, 8)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Return a folder with seven papers and an encrypted one, which sorts first."""
    papers = tmp_path_factory.mktemp("papers")
    for name in (*NAMES, "encrypted.pdf", "about.json"):
        shutil.copy(SAMPLES / name, papers)
    return papers


@pytest.fixture(scope="module")
def words(folder, tmp_path_factory) -> list[str]:
    """Return the command line of a job that three tasks of the local executor have finished."""
    words = ["--papers", str(folder), "--out", str(tmp_path_factory.mktemp("out")), "--tasks", "3"]
    scale.main(words)
    return words


def states(folder: Path) -> dict[str, tuple[int, int]]:
    """Return name → (inode, time of change) of the files that the steps write."""
    found = [path for path in folder.rglob("*") if path.is_file() and path.name != "job.json"]
    return {str(path.relative_to(folder)): (path.stat().st_ino, path.stat().st_mtime_ns) for path in found}


def test_three_tasks_give_the_records_of_the_notebook(folder, words, tmp_path):
    results = pipeline.process_folder(folder, tmp_path / "processed.jsonl", report=lambda line: None)
    records, rejected = pipeline.collect_records(results)
    out = Path(words[3])
    assert [len(read_jsonl(out / "parts" / f"0000{i}.jsonl")) for i in range(3)] == [3, 3, 2]
    assert read_jsonl(out / "output.jsonl") == records
    assert sorted({record["source"] for record in records}) == NAMES
    assert read_jsonl(out / "rejected_papers.jsonl") == rejected
    assert any(row["file"] == "encrypted.pdf" for row in rejected)


def test_a_finished_job_does_nothing_again(words):
    before = states(Path(words[3]))
    scale.main(words)
    assert states(Path(words[3])) == before


def test_a_job_killed_on_the_way_does_only_the_task_that_was_left(words, tmp_path, monkeypatch):
    out = tmp_path / "out"
    shutil.copytree(words[3], out)
    for lost in ("logs/process_share/completions/00001", "parts/00001.jsonl", "output.jsonl"):
        (out / lost).unlink()
    shutil.rmtree(out / "logs" / "merge_parts")
    before = states(out)
    # a pool of one runs in this process
    monkeypatch.setattr(os, "cpu_count", lambda: 1)
    scale.main(["--papers", words[1], "--out", str(out), "--tasks", "3"])
    after = states(out)
    assert after["parts/00000.jsonl"] == before["parts/00000.jsonl"] and "parts/00001.jsonl" in after
    assert (out / "output.jsonl").read_bytes() == (Path(words[3]) / "output.jsonl").read_bytes()


@pytest.mark.parametrize("tasks", ["2", "4"])
def test_a_folder_of_another_job_is_refused(words, tasks):
    with pytest.raises(ValueError, match="another job"):
        scale.main([*words[:5], tasks])


def test_a_file_that_the_job_did_not_make_is_not_replaced(words, tmp_path):
    (tmp_path / "output.jsonl").write_text("mine\n", encoding="utf-8")
    with pytest.raises(ValueError, match="new --out"):
        scale.main(["--papers", words[1], "--out", str(tmp_path), "--tasks", "3"])
    assert (tmp_path / "output.jsonl").read_text(encoding="utf-8") == "mine\n"


def test_slurm_is_given_the_tasks_and_a_merge_that_waits_for_them(folder, tmp_path, monkeypatch):
    program, called = tmp_path / "bin" / "sbatch", tmp_path / "called.txt"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\necho "$@" >> {called}\necho Submitted batch job 7\n', encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent), prepend=os.pathsep)
    out = tmp_path / "out"
    scale.main(["--papers", str(folder), "--out", str(out), "--tasks", "3", "--executor", "slurm"])
    script = (out / "logs" / "process_share" / "launch_script.slurm").read_text(encoding="utf-8")
    assert "#SBATCH --array=0-2" in script and "#SBATCH --partition=cpu" in script
    calls = called.read_text(encoding="utf-8").splitlines()
    assert "dependency" not in calls[0] and any("--dependency=afterok:7" in call for call in calls[1:])
    assert not (out / "parts").exists()
