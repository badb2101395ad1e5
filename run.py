#!/usr/bin/env python3
"""Run the workflow on a fresh machine with nothing but CPython ≥ 3.11 and pip.

python3 run.py [--with 05,06] [--demo] [--run NAME] [--from 03] [--fresh] [--set NAME=VALUE]
python3 run.py test                  ruff and pytest
python3 run.py publish --run NAME    images/, committed notebook outputs and the READMEs' blocks, from one run
"""

from __future__ import annotations  # an older Python must get as far as the sentence that says so

import argparse
import ast
import contextlib
import os
import platform
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent
sys.path.insert(0, str(ROOT))
MAIN_NOTEBOOKS = ("01_build_dataset", "02_explore_data", "03_finetune", "04_evaluate")
EXTRA_NOTEBOOKS = {"05": ("05_ask_papers", "ask"), "06": ("06_export", "export"), "tune": ("optional/tune", "tune")}
TIME_LIMIT_MINUTES = {"cpu": 60, "cuda": 24 * 60}


def parse_arguments(words: list[str] | None = None) -> argparse.Namespace:
    """Return the parsed command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", nargs="?", choices=("run", "test", "publish"), default="run")
    parser.add_argument(
        "--with", dest="extras", default="", metavar="05,06", help="further notebooks, with their packages"
    )
    parser.add_argument("--demo", action="store_true", help="the tiny model on the CPU, also where there is a GPU")
    parser.add_argument("--run", default="", metavar="NAME", help="name of the run folder under outputs/")
    parser.add_argument("--from", dest="start", default="", metavar="03", help="start at this notebook")
    parser.add_argument("--fresh", action="store_true", help="make everything again, finished or not")
    parser.add_argument("--set", dest="settings", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--time-limit", type=float, default=0, metavar="MINUTES", help="for each notebook")
    return parser.parse_args(words)


def choose_notebooks(arguments: argparse.Namespace) -> list[str]:
    """Return the notebooks to run, in order. Raises SystemExit for a number that is none."""
    numbers = [number for number in arguments.extras.split(",") if number]
    unknown = [number for number in numbers if number not in EXTRA_NOTEBOOKS]
    if unknown:
        sys.exit(f"--with {arguments.extras}: {', '.join(unknown)} unknown; choose from {', '.join(EXTRA_NOTEBOOKS)}")
    names = [*MAIN_NOTEBOOKS, *(EXTRA_NOTEBOOKS[number][0] for number in sorted(numbers))]
    choices, start = [_number(name) for name in names], _number(arguments.start or names[0])
    if start not in choices:
        sys.exit(f"--from {arguments.start}: no such notebook; choose from {', '.join(choices)}")
    return names[choices.index(start) :]


def _number(notebook: str) -> str:
    """Return '03' for 03_finetune and 'tune' for optional/tune."""
    return notebook.rpartition("/")[2].partition("_")[0]


def parse_settings(settings: list[str], notebooks: list[str]) -> dict[str, dict]:
    """Return notebook → overridden parameters. Raises SystemExit that lists the known names."""
    from parentcare.manifest import notebook_parameters

    known = {notebook: notebook_parameters(notebook) for notebook in notebooks}
    chosen: dict[str, dict] = {notebook: {} for notebook in notebooks}
    for setting in settings:
        name, equals, value = setting.partition("=")
        if name in ("RUN", "FRESH"):
            sys.exit(f"--set {setting}: use --{name.lower()}")
        owners = [notebook for notebook in notebooks if name in known[notebook]]
        if not owners or not equals:
            lists = "\n".join(f"  {notebook}: {', '.join(known[notebook])}" for notebook in notebooks)
            sys.exit(f"--set {setting}: expected NAME=VALUE with one of these names\n{lists}")
        with contextlib.suppress(ValueError, SyntaxError):  # a word without quotes is taken as it is
            value = ast.literal_eval(value)
        for notebook in owners:
            chosen[notebook][name] = value
    return chosen


def run_workflow(arguments: argparse.Namespace) -> None:
    """Run what is not current, each notebook in a process of its own, and print what was written."""
    from parentcare.manifest import mark_unfinished, notebook_parameters
    from parentcare.model.loading import choose_device, name_run
    from parentcare.runner import execute, print_summary, show_line

    notebooks = choose_notebooks(arguments)
    given = parse_settings(arguments.settings, notebooks)
    if arguments.demo:  # torch and unsloth leave a GPU alone
        os.environ.update(CUDA_VISIBLE_DEVICES="", UNSLOTH_FORCE_CPU="1")
    device = choose_device()
    run = name_run(arguments.run, device)
    limit = arguments.time_limit or TIME_LIMIT_MINUTES[device]
    print(f"run '{run}' on {'the CPU' if device == 'cpu' else 'the GPU'}: {', '.join(map(_number, notebooks))}")
    overrides = settle_settings(run, given, arguments.fresh)
    started, ran = time.time(), []
    for notebook in notebooks:
        if arguments.fresh or not _is_done(notebook, run, overrides[notebook]):
            fresh = {"FRESH": arguments.fresh} if "FRESH" in notebook_parameters(notebook) else {}
            mark_unfinished(notebook, run)
            execute(notebook, run, overrides[notebook] | {"RUN": run} | fresh, limit * 60, show_line)
            ran.append(notebook)
    print_summary(run, notebooks, ran, time.time() - started)


def settle_settings(run: str, given: dict[str, dict], fresh: bool) -> dict[str, dict]:
    """Return notebook → overridden parameters: with what --set gave 01 to 04 of this run before, which is kept with it.

    An upload is asked for each time. Raises SystemExit, before anything is changed, for a finished run that would be
    made differently.
    """
    from parentcare.manifest import read_run, run_folder, write_json

    content = read_run(run)
    before = content.get("set", {})
    kept = before | {notebook: before.get(notebook, {}) | chosen for notebook, chosen in given.items()}
    for notebook in given:
        if again := kept[notebook].keys() - given[notebook].keys():
            told = ", ".join(f"{name}={kept[notebook][name]}" for name in sorted(again))
            print(f"{notebook}  with {told}, as this run was given before")
        if not fresh:
            _check_done(notebook, run, kept[notebook])
    remembered = {notebook: chosen for notebook, chosen in kept.items() if chosen and notebook in MAIN_NOTEBOOKS}
    if remembered != before:
        write_json(run_folder(run) / "run.json", content | {"set": remembered})
    return {notebook: kept[notebook] for notebook in given}


def _check_done(notebook: str, run: str, overrides: dict) -> tuple[str, list[str]]:
    """Return `check_current`. Raises SystemExit where what a finished 03 was made from, or 03, would be made anew."""
    from parentcare.manifest import check_current, read_run

    state, reasons = check_current(notebook, run, overrides)
    finished = not read_run(run)["notebooks"].get("03_finetune", {"unfinished": True}).get("unfinished")
    if state == "stale" and finished and notebook in MAIN_NOTEBOOKS[:3]:
        sys.exit(
            f"run '{run}' is finished and was made differently: {_number(notebook)}: {'; '.join(reasons)}.\n"
            "It is not overwritten unasked: --fresh makes it again, --run NEW keeps it and makes another"
        )
    return state, reasons


def _is_done(notebook: str, run: str, overrides: dict) -> bool:
    """Return whether the notebook's outputs stand, and say so. Raises SystemExit for a finished run that differs."""
    state, reasons = _check_done(notebook, run, overrides)
    words = {
        "edited": f"kept: {', '.join(reasons)} changed by hand after it was written; --fresh makes it again",
        "current": "skipped: already done, nothing has changed",
        "stale": f"again, because {'; '.join(reasons)}",
    }
    if state in words:
        print(f"{notebook}  {words[state]}")
    return state in ("edited", "current")


def run_tests() -> int:
    """Return 0 where ruff and pytest pass, else 1."""
    commands = (["ruff", "check", "."], ["ruff", "format", "--check", "."], ["pytest"])
    return int(any([subprocess.call([sys.executable, "-m", *command], cwd=ROOT) for command in commands]))


def main() -> int:
    """Return the exit code of the command on the command line."""
    arguments = parse_arguments()
    if platform.system() != "Linux":
        sys.exit("ParentCare runs on Linux and on WSL2; this is " + platform.system())
    if sys.version_info < (3, 11):  # noqa: UP036
        sys.exit(f"Python 3.11 or newer is needed; {sys.executable} is {platform.python_version()}")
    from parentcare.environment import enter_environment

    chosen = [EXTRA_NOTEBOOKS[number][1] for number in arguments.extras.split(",") if number in EXTRA_NOTEBOOKS]
    enter_environment(chosen + (["dev"] if arguments.command == "test" else []))
    if arguments.command == "test":
        return run_tests()
    if arguments.command == "publish":
        from parentcare.publish import publish_run

        publish_run(arguments.run or "demo")
    else:
        run_workflow(arguments)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit("\nstopped; the same command goes on from here")
