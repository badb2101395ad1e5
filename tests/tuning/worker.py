"""A process that searches on a made-up objective: `python -m tests.tuning.worker TRIALS LOG [hang number]`.

Each trial writes its number and settings to LOG as it begins. The trial with the number to hang at never ends.
"""

import json
import os
import sys
import time

from optuna.distributions import CategoricalDistribution, FloatDistribution

from parentcare.tuning import search

SPACE = {
    "LEARNING_RATE": FloatDistribution(1e-5, 1e-2, log=True),
    "LORA_R": CategoricalDistribution([8, 16, 32]),
}
RECIPE = {"LEARNING_RATE": 2e-4, "LORA_R": 16, "LORA_ALPHA": 16, "SEED": 3408}
SEED = 3407


def run_worker(trials: int, log: str, hang: int | None = None) -> None:
    def objective(trial):
        # one write of one line, so that two processes do not mix theirs
        line = json.dumps([trial.number, trial.params, (search.run_folder("r") / "test.jsonl").exists()])
        with open(log, "a") as file:
            file.write(line + "\n")
        time.sleep(600 if trial.number == hang else 0.02)
        return trial.params["LEARNING_RATE"]

    with search.closed_test_part("r"):
        study = search.open_study("r", SPACE, RECIPE, SEED, fresh=False)
        search.search(study, objective, trials)


if __name__ == "__main__":
    assert "PARENTCARE_HOME" in os.environ
    run_worker(int(sys.argv[1]), sys.argv[2], *map(int, sys.argv[3:]))
