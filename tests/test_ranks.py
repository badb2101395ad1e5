"""The cells of a notebook as a script on several processes; gloo on a CPU stands for several GPUs."""

import json
import os
import subprocess
import sys

from parentcare.ranks import assigned_names, launch_command
from tests.conftest import REPOSITORY

CELLS = [
    ("raise SystemExit('the cell that prepares Colab ran')", []),
    ("WORD = 'default'", ["parameters"]),
    ("import os\nrank = os.environ['RANK']", []),
    ("shared = [WORD, f'made on {rank}', *(unused for unused in 'ab')]", ["shared"]),
    ("open(f'{folder}/drawn on {rank}', 'w').close()", ["rank0"]),
    ("open(f'{folder}/rank {rank}', 'w').write(repr(shared))\nprint('said by', rank)", []),
]


def test_shared_variables_go_to_all_and_rank_0_alone_writes(tmp_path):
    cells = [
        {"cell_type": "code", "source": [source.replace("{folder}", str(tmp_path))], "metadata": {"tags": tags}}
        for source, tags in CELLS
    ]
    (tmp_path / "nb.ipynb").write_text(json.dumps({"cells": cells}), encoding="utf-8")
    command = launch_command(str(tmp_path / "nb"), 2, {"WORD": "given"})
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY), "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]
    expected = repr(["given", "made on 0", "a", "b"])
    assert [(tmp_path / f"rank {rank}").read_text() for rank in (0, 1)] == [expected, expected]
    assert [path.name for path in tmp_path.glob("drawn*")] == ["drawn on 0"]
    assert "said by 0" in done.stdout and "said by 1" not in done.stdout


def test_a_rank_that_fails_ends_the_job_with_its_error(tmp_path):
    cell = (
        "import os\nif os.environ['RANK'] == '1': raise RuntimeError('this rank is lost')\nimport time; time.sleep(60)"
    )
    cells = [{"cell_type": "code", "source": [source], "metadata": {}} for source in ("", cell)]
    (tmp_path / "nb.ipynb").write_text(json.dumps({"cells": cells}), encoding="utf-8")
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY), "CUDA_VISIBLE_DEVICES": ""}
    command = launch_command(str(tmp_path / "nb"), 2, {})
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=55)
    assert done.returncode != 0 and "this rank is lost" in done.stderr


def test_names_of_comprehensions_are_not_shared():
    assert assigned_names("a, b = 1, [c for c in 'xy']\nif a:\n    d = {k: v for k, v in {}.items()}") == [
        "a",
        "b",
        "d",
    ]


def test_the_command_is_torchrun_on_one_machine():
    command = launch_command("03_finetune", 4, {"GPUS": 4})
    assert command[0] == sys.executable and "--standalone" in command and "--nproc-per-node=4" in command
