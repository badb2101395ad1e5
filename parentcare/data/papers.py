"""A folder of papers read in processes of their own, so that no file can end or hang the run."""

import collections
import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from parentcare.manifest import REPOSITORY

SUFFIXES = (".pdf", ".hwpx", ".hwp")
SECONDS_PER_FILE = 60
# of address space: a reader needs about 300 before its first file
MEMORY_MIB = 2_048
# A reader is replaced after this many files, so that what a library leaks does not add up.
FILES_PER_READER = 200


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

    Each of `processes` readers (default: one per core) reads one file at a time within the limits;
    a file that ends its reader, or keeps it too long, costs only itself. Memory stays flat however
    many paths there are.
    """
    processes = processes or os.cpu_count() or 1
    readers = [Reader(seconds, memory_mib) for _ in range(processes)]
    free = collections.deque(readers)

    def read(path: Path) -> dict:
        reader = free.popleft()
        try:
            return {"path": str(path), **reader.read(path)}
        finally:
            free.append(reader)

    waiting: collections.deque = collections.deque()
    pool = ThreadPoolExecutor(processes)
    try:
        for path in paths:
            waiting.append(pool.submit(read, path))
            if len(waiting) > 2 * processes:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        # also when the caller stops early: kill first, so that no thread waits for an answer
        for reader in readers:
            reader.stop()
        pool.shutdown(cancel_futures=True)
        for reader in readers:
            reader.stop_process()


class Reader:
    """A process that reads papers one after the other, started anew when a file has ended it."""

    def __init__(self, seconds: float, memory_mib: int):
        self.limits = (seconds, memory_mib)
        self.process: subprocess.Popen | None = None
        self.files_read = 0
        self.stopped = False

    def read(self, path: Path) -> dict:
        """Return what `readers.read_paper` returns, or {"reason"}."""
        if self.stopped:
            return {"reason": "not read: the run was stopped"}
        process = self.start()
        # the process has its own alarm; this timer is for one that cannot hear it
        timer = threading.Timer(self.limits[0] + 10, process.kill)
        timer.start()
        try:
            process.stdin.write(json.dumps(os.fspath(path)).encode() + b"\n")
            process.stdin.flush()
            answer = process.stdout.readline()
        except OSError:
            answer = b""
        finally:
            timer.cancel()
        if answer.endswith(b"\n"):
            return json.loads(answer)
        return {"reason": describe_death(self.stop_process(), *self.limits)}

    def start(self) -> subprocess.Popen:
        """Return the running process, a new one where there is none or it has read enough."""
        if self.process and self.files_read >= FILES_PER_READER:
            self.stop_process()
        if self.process is None:
            command = [sys.executable, "-m", "parentcare.data.readers", *map(str, self.limits)]
            paths = os.pathsep.join(filter(None, [str(REPOSITORY), os.environ.get("PYTHONPATH")]))
            pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
            self.process = subprocess.Popen(command, env=os.environ | {"PYTHONPATH": paths}, **pipes)
            self.files_read = 0
        self.files_read += 1
        return self.process

    def stop_process(self) -> int:
        """Return how the process ended, after ending it where it still runs."""
        process, self.process = self.process, None
        if process is None:
            return 0
        with contextlib.suppress(OSError):
            process.stdin.close()
        try:
            code = process.wait(timeout=2)
        except subprocess.TimeoutExpired:
            process.kill()
            code = process.wait()
        process.stdout.close()
        return code

    def stop(self) -> None:
        """Take no more files, and end the process."""
        self.stopped = True
        if process := self.process:
            process.kill()


def describe_death(code: int, seconds: float, memory_mib: int) -> str:
    """Return the reason for a reader that ended with `code` while it read a file."""
    if code == -signal.SIGALRM:
        return f"slow: not read within {seconds:g} seconds"
    name = signal.Signals(-code).name if code < 0 else f"exit code {code}"
    return f"broken or huge: its reader ended with {name} (limit {memory_mib:,} MiB)"
