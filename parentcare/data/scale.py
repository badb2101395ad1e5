"""From papers to records on many machines: the functions of `pipeline` as steps of datatrove.

`python -m parentcare.data.scale --papers FOLDER --out FOLDER --tasks N --executor local|slurm|ray`, run again, does
what is not finished; OUT/output.jsonl has notebook 01's records whatever N. SBATCH_PARTITION and SBATCH_TIMELIMIT hold.
Near-duplicates are found in the memory of one machine at the end; beyond it datatrove's MinHash stages take over.
"""

import argparse
import functools
import os
from collections.abc import Callable
from pathlib import Path

from datatrove.executor import LocalPipelineExecutor, RayPipelineExecutor, SlurmPipelineExecutor
from datatrove.executor.base import PipelineExecutor

from parentcare.data.papers import find_papers, read_papers
from parentcare.data.pipeline import about_paper, code_version, collect_records, process_paper
from parentcare.data.records import read_jsonl, write_jsonl
from parentcare.manifest import REPOSITORY, read_json, sha256, write_json


def claim_folder(options: argparse.Namespace) -> None:
    """Write OUT/job.json, what the job is. Raises ValueError where OUT has files that would pass for its own."""
    papers = [[str(p), p.stat().st_size, p.stat().st_mtime_ns] for p in find_papers(options.papers)]
    made_by = {"code": code_version(), "about": sha256(options.papers / "about.json")}
    job = {"folder": str(options.papers), "tasks": options.tasks, "papers": papers} | made_by
    if options.out.exists() and any(options.out.iterdir()) and read_json(options.out / "job.json") != job:
        raise ValueError(f"{options.out} has files of another job (papers, tasks or code differ); give a new --out")
    write_json(options.out / "job.json", job)


def process_share(data: None, rank: int, world_size: int, out: Path) -> None:
    """Write the task's part: one line a paper, its place among all and what `process_paper` returns."""
    job = read_json(out / "job.json")
    share = [(place, Path(path)) for place, (path, *_) in enumerate(job["papers"])][rank::world_size]
    found = zip(share, read_papers((path for _, path in share), processes=1), strict=True)
    results = (
        process_paper(read, about_paper(path.name, Path(job["folder"])))
        | {"place": place, "file": path.relative_to(job["folder"]).as_posix()}
        for (place, path), read in found
    )
    write_jsonl(out / "parts" / f"{rank:05}.jsonl", results)


def merge_parts(data: None, rank: int, world_size: int, out: Path) -> None:
    """Write output.jsonl and rejected_papers.jsonl, the papers in the order of their names."""
    results = [result for part in (out / "parts").glob("*.jsonl") for result in read_jsonl(part)]
    records, rejected = collect_records(sorted(results, key=lambda result: result["place"]))
    write_jsonl(out / "rejected_papers.jsonl", rejected)
    write_jsonl(out / "output.jsonl", records)


def make_executor(options: argparse.Namespace, function: Callable, tasks: int, depends=None) -> PipelineExecutor:
    """Return datatrove's executor of the function; which tasks are complete stands in OUT/logs."""
    name = function.__name__
    given = {"pipeline": [functools.partial(function, out=options.out)], "tasks": tasks, "depends": depends}
    given["logging_dir"] = str(options.out / "logs" / name)
    if options.executor == "local":
        return LocalPipelineExecutor(**given, workers=min(tasks, os.cpu_count() or 1))
    given["mem_per_cpu_gb"] = 4  # a reader's limit of address space, and Kiwi's model beside it
    if options.executor == "ray":
        return RayPipelineExecutor(**given)
    given |= {"partition": "cpu", "time": "12:00:00", "qos": None, "job_name": name}
    return SlurmPipelineExecutor(**given, env_command=f'export PYTHONPATH="{REPOSITORY}"')


def main(words: list[str] | None = None) -> None:
    """Run what is not finished of the job, first the tasks, then the merge; on Slurm, submit both."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--papers", type=Path, required=True, help="folder of PDF, HWPX, HWP")
    parser.add_argument("--out", type=Path, required=True, help="folder that all tasks see")
    parser.add_argument("--tasks", type=int, default=os.cpu_count())
    parser.add_argument("--executor", choices=("local", "slurm", "ray"), default="local")
    options = parser.parse_args(words)
    options.papers, options.out = options.papers.resolve(), options.out.resolve()
    claim_folder(options)
    reading = make_executor(options, process_share, options.tasks)
    reading.run()
    # Ray only warns of failed tasks, and a merge that depends on them would wait for ever
    if options.executor != "slurm" and (left := reading.get_incomplete_ranks(skip_completed=True)):
        raise RuntimeError(f"tasks {left} failed, see {reading.logging_dir.path}; the same command tries them again")
    make_executor(options, merge_parts, 1, depends=reading).run()


if __name__ == "__main__":
    from parentcare.data import scale  # other processes look for its functions by this name, not in __main__

    scale.main()
