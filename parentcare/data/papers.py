"""A folder of papers read in processes of their own, so that no file can end or hang the run."""

import collections
import json
import math
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

SUFFIXES = (".pdf", ".hwpx", ".hwp")
SECONDS_PER_FILE = 60
# of address space: a reader needs about 300 before its first file
MEMORY_MIB = 2_048
# to a reader, so that what a library leaks does not add up, and a hundredth of a second is lost a file
FILES_PER_READER = 10
# run by its path, which needs no installed package, and without the folder beside it on sys.path
READER = [sys.executable, "-P", str(Path(__file__).with_name("readers.py"))]


def find_papers(folder: Path) -> list[Path]:
    """Return the PDF, HWPX and HWP files in a folder and the folders inside it, sorted by name.

    Raises FileNotFoundError where there is no such folder.
    """
    if not Path(folder).is_dir():
        raise FileNotFoundError(f"{folder} is no folder; put PDF, HWPX or HWP files there, or set PAPERS_FOLDER")
    found = (path for path in Path(folder).rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())
    return sorted(path for path in found if not path.name.startswith("."))


def read_papers(
    paths: Iterable[Path],
    processes: int | None = None,
    seconds: float = SECONDS_PER_FILE,
    memory_mib: int = MEMORY_MIB,
) -> Iterator[dict]:
    """Yield, in the order of `paths`, {"path", "pages", "boxes", "extractor", "version"} or {"path", "reason"}.

    Readers, `processes` at a time (default: one per core), read each file within the limits; one that
    ends its reader costs only itself. Memory stays flat however many paths there are.
    """
    paths, processes = list(paths), processes or os.cpu_count() or 1
    size = max(1, min(FILES_PER_READER, math.ceil(len(paths) / processes)))
    batches, waiting = (paths[i : i + size] for i in range(0, len(paths), size)), collections.deque()
    running, stopped = set(), threading.Event()
    pool = ThreadPoolExecutor(processes)
    try:
        for batch in batches:
            waiting.append(pool.submit(read_batch, batch, (seconds, memory_mib), running, stopped))
            if len(waiting) > 2 * processes:
                yield from waiting.popleft().result()
        while waiting:
            yield from waiting.popleft().result()
    finally:
        # where the caller stops early, no reader is waited for
        stopped.set()
        for process in list(running):
            process.kill()
        pool.shutdown(cancel_futures=True)


def read_batch(paths: list[Path], limits: tuple[float, int], running: set, stopped: threading.Event) -> list[dict]:
    """Return what `readers.read_paper` returns, or {"reason"}, for each path, from a new reader after each death.

    `limits` are seconds and MiB. The reader is in `running`, to be killed; once `stopped`, no other is begun.
    """
    answers: list[dict] = []
    while len(answers) < len(paths) and not stopped.is_set():
        command = [*READER, *map(str, limits), *map(str, paths[len(answers) :])]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
            running.add(process)
            if stopped.is_set():
                process.kill()
            # one that is killed leaves half a line
            answers += map(json.loads, process.stdout.read().split(b"\n")[:-1])
        running.discard(process)
        if len(answers) < len(paths):
            answers.append({"reason": describe_death(process.returncode, *limits)})
    return [{"path": str(path), **answer} for path, answer in zip(paths, answers, strict=False)]


def describe_death(code: int, seconds: float, memory_mib: int) -> str:
    """Return the reason for a file whose reader ended with `code`."""
    if code == -signal.SIGALRM:
        return f"slow: not read within {seconds:g} seconds"
    name = signal.Signals(-code).name if code < 0 else f"exit code {code}"
    return f"broken or huge: its reader ended with {name} (limit {memory_mib:,} MiB)"
