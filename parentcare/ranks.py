"""A notebook's own code cells as one script on several GPUs: torchrun starts a process for each, a rank.

Every rank runs the cells in order. A cell tagged `shared` runs on rank 0 and its variables go to all, one tagged
`rank0`, which writes or draws, runs there alone. `python3 run.py --set GPUS=2` comes here.
"""

import ast
import datetime
import json
import os
import sys

from parentcare.manifest import code_cells, notebook_path


def launch_command(notebook: str, gpus: int, parameters: dict) -> list[str]:
    """Return the command that runs the notebook's code cells on that many GPUs of this machine."""
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={gpus}"]
    return [*torchrun, "-m", "parentcare.ranks", notebook, json.dumps(parameters)]


def run_cells(notebook: str, parameters: dict) -> None:
    """Run the cells of this rank."""
    import torch
    from accelerate import PartialState
    from accelerate.utils import broadcast_object_list

    # Unsloth deals the sequences of a step so that every rank has about as many tokens; the step keeps its rows
    os.environ["UNSLOTH_TOKEN_BALANCE"] = "1"
    # after training the others wait for rank 0 alone, which NCCL's own ten minutes would end
    hours = datetime.timedelta(hours=24)
    rank = PartialState(cpu=not torch.cuda.is_available(), timeout=hours).process_index
    if rank:
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115  what is printed is the same on every rank
    namespace = {"__name__": "__main__"}
    # the first cell only prepares Colab
    for number, (source, tags) in enumerate(code_cells(notebook)[1:], start=2):
        print(f"Executing Cell {number}---", flush=True)
        if rank == 0 or not {"rank0", "shared"} & set(tags):
            exec(compile(source, f"{notebook} code cell {number}", "exec"), namespace)
        if "parameters" in tags:
            namespace |= parameters
        if "shared" in tags:
            names = assigned_names(source)
            values = [{name: namespace[name] for name in names} if rank == 0 else None]
            namespace |= broadcast_object_list(values)[0]


def assigned_names(source: str) -> list[str]:
    """Return the names that the cell's own statements assign, those of comprehensions not counted."""
    targets = [t for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Assign) for t in node.targets]
    return sorted({node.id for target in targets for node in ast.walk(target) if isinstance(node, ast.Name)})


if __name__ == "__main__":
    from accelerate import PartialState

    os.chdir(notebook_path(sys.argv[1]).parent)
    run_cells(sys.argv[1], json.loads(sys.argv[2]))
    # a rank that is cut off from the others aborts
    PartialState().wait_for_everyone()
    PartialState().destroy_process_group()
