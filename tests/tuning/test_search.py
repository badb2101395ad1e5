import json
import math
import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import optuna
import pytest
from optuna.distributions import FloatDistribution

from parentcare import manifest
from parentcare.tuning import search
from tests.conftest import REPOSITORY
from tests.tuning.worker import RECIPE, SEED, SPACE

OPTIMUM = 3e-3


@pytest.fixture
def home(tmp_path, monkeypatch):
    """Return a home whose run 'r' has its three parts."""
    monkeypatch.setattr(manifest, "HOME", tmp_path)
    monkeypatch.setattr(search, "WAIT_SECONDS", 0.05)
    for part in ("train", "validation", "test"):
        manifest.write_atomically(tmp_path / "outputs" / "r" / f"{part}.jsonl", f'{{"id": "{part}"}}\n')
    return tmp_path


def start_worker(home, trials: int, *hang: int) -> subprocess.Popen:
    command = [sys.executable, "-m", "tests.tuning.worker", str(trials), str(home / "begun"), *map(str, hang)]
    return subprocess.Popen(
        command, cwd=REPOSITORY, env=os.environ | {"PARENTCARE_HOME": str(home)}, stdout=subprocess.DEVNULL
    )


def begun(home) -> list:
    path = home / "begun"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def kill_in_trial(home, trials: int, number: int) -> None:
    """Return once a worker has been killed in the middle of that trial."""
    worker = start_worker(home, trials, number)
    deadline = time.time() + 60
    while number not in [row[0] for row in begun(home)]:
        assert worker.poll() is None and time.time() < deadline
        time.sleep(0.02)
    worker.kill()
    worker.wait()


def open_study(fresh: bool = False, **changes) -> optuna.Study:
    return search.open_study("r", SPACE, RECIPE | changes, SEED, fresh)


def bowl(trial: optuna.Trial) -> float:
    """Return a loss with its lowest point at OPTIMUM and r = 32."""
    distance = math.log10(trial.params["LEARNING_RATE"] / OPTIMUM)
    return 2 + distance**2 + 0.3 * (trial.params["LORA_R"] != 32)


# --- what it finds -----------------------------------------------------------------------------


def test_the_known_optimum_of_a_synthetic_objective_is_found(home):
    study = open_study()
    search.search(study, bowl, 22)
    best = search.complete_trials(study)[0]
    assert best.params["LORA_R"] == 32 and abs(math.log10(best.params["LEARNING_RATE"] / OPTIMUM)) < 0.15
    assert best.value < bowl(study.trials[0]) - 1


def test_trial_0_is_the_recipe_and_one_outside_the_space_is_refused(home):
    study = open_study()
    search.search(study, bowl, 1)
    assert study.trials[0].params == {"LEARNING_RATE": 2e-4, "LORA_R": 16} and study.trials[0].user_attrs["recipe"]
    with pytest.raises(ValueError, match=r"LEARNING_RATE of the recipe is 0\.0002, outside FloatDistribution"):
        search.place_recipe(RECIPE, {"LEARNING_RATE": FloatDistribution(1e-3, 1e-2)})


def test_one_seed_gives_one_search(home):
    found = []
    for _ in range(2):
        study = open_study(fresh=True)
        search.search(study, bowl, 11)
        found.append([trial.params for trial in study.trials])
    assert found[0] == found[1] and len({str(params) for params in found[0]}) == 11


def test_an_importance_within_chance_is_shown_as_such(home):
    study = open_study()
    search.search(study, lambda trial: float(trial.number * 7919 % 101), 8)
    noise = search.measure_importances(study)
    # PED-ANOVA alone would call the learning rate decisive here
    assert noise["LEARNING_RATE"]["importance"] > 0.5
    assert noise["LEARNING_RATE"]["importance"] <= noise["LEARNING_RATE"]["by_chance"]


# --- crashes, budgets and pruning --------------------------------------------------------------


def test_a_crashing_trial_is_counted_with_its_last_line_and_not_lost(home, capsys):
    def objective(trial):
        if trial.number == 1:
            raise SystemExit("\n03_finetune failed in cell 9: x\nCUDA out of memory\nThe executed copy: outputs/a")
        if trial.number == 2:
            raise FloatingPointError("loss is nan")
        return bowl(trial)

    study = open_study()
    search.search(study, objective, 5)
    assert [trial.state.name for trial in study.trials] == ["COMPLETE", "FAIL", "FAIL", "COMPLETE", "COMPLETE"]
    assert [study.trials[n].user_attrs["error"] for n in (1, 2)] == ["CUDA out of memory", "loss is nan"]
    printed = capsys.readouterr().out
    assert (
        "trial  1 fail, CUDA out of memory; 2 of 5 trials done, best 3." in printed and "(trial 0), about " in printed
    )
    search.search(study, objective, 5)
    assert len(study.trials) == 5


def test_a_lagging_trial_is_pruned_and_counts(home):
    def objective(trial):
        trial.report(9.0 if trial.number == 6 else 2.0 + trial.number / 100, 10)
        if trial.should_prune():
            raise optuna.TrialPruned
        return bowl(trial)

    study = open_study()
    search.search(study, objective, 8)
    assert len(study.trials) == 8 and study.trials[6].state.name == "PRUNED"


def test_no_trial_begins_that_would_end_past_the_hours(home):
    study = open_study()
    search.search(study, lambda trial: time.sleep(0.3) or 1.0, 50, hours=0.7 / 3600)
    assert 1 <= len(study.trials) <= 2


def test_a_study_of_other_data_or_another_recipe_is_refused_and_fresh_begins_anew(home):
    search.search(open_study(), bowl, 2)
    with pytest.raises(ValueError, match=r"tune\.db was begun differently: MAX_STEPS None → 10\. .*FRESH = True"):
        open_study(MAX_STEPS=10)
    manifest.write_atomically(home / "outputs" / "r" / "train.jsonl", '{"id": "more"}\n')
    with pytest.raises(ValueError, match="train '"):
        open_study()
    (home / "outputs" / "r-trial-1").mkdir()
    (home / "outputs" / "r-trial").mkdir()
    assert [trial.state.name for trial in open_study(fresh=True).trials] == ["WAITING"]
    assert not (home / "outputs" / "r-trial-1").exists() and (home / "outputs" / "r-trial").exists()


# --- kills, and several processes --------------------------------------------------------------


def test_a_killed_search_ends_as_an_uninterrupted_one_with_the_test_part_back(home):
    kill_in_trial(home, 6, 3)
    test = home / "outputs" / "r" / "test.jsonl"
    assert [row[2] for row in begun(home)] == [False] * 4 and not test.exists()

    seen = []
    with search.closed_test_part("r"):
        study = open_study()
        search.search(study, lambda trial: seen.append(test.exists()) or trial.params["LEARNING_RATE"], 6)
    assert seen == [False] * 3 and test.read_text() == '{"id": "test"}\n'
    kept = search.begun_trials(study)
    assert len(kept) == 6 and len(study.trials) == 7 and search.was_killed(study.trials[3])
    again = next(trial for trial in kept if trial.user_attrs.get("again") == 3)
    assert again.params == study.trials[3].params and search.trial_run(study, again) == "r-trial-3"

    whole = open_study(fresh=True)
    search.search(whole, lambda trial: trial.params["LEARNING_RATE"], 6)
    assert [trial.params for trial in whole.trials] == [trial.params for trial in kept]


def test_two_processes_share_a_search_and_begin_no_trial_twice(home):
    workers = [start_worker(home, 16), start_worker(home, 16)]
    assert [worker.wait(timeout=120) for worker in workers] == [0, 0]
    rows = begun(home)
    assert sorted(row[0] for row in rows) == list(range(16))
    assert len({str(row[1]) for row in rows}) == 16
    assert not any(row[2] for row in rows) and (home / "outputs" / "r" / "test.jsonl").exists()


def test_a_trial_that_another_process_runs_is_waited_for_and_the_test_part_stays_away(home):
    worker = start_worker(home, 2, 1)
    while len(begun(home)) < 2:
        assert worker.poll() is None
        time.sleep(0.02)
    study = open_study()
    assert search.any_running(study) and search.begin_trial(study, 2) is None
    assert not search.restore_test_part("r")
    worker.kill()
    worker.wait()
    assert not search.any_running(study)
    trial, lock = search.begin_trial(study, 2)
    with lock:
        assert trial.user_attrs["again"] == 1
    assert search.restore_test_part("r") and (home / "outputs" / "r" / "test.jsonl").exists()


# --- the test part -----------------------------------------------------------------------------


def test_the_test_part_is_away_while_it_searches_and_back_after_an_error(home):
    test = home / "outputs" / "r" / "test.jsonl"
    with pytest.raises(KeyboardInterrupt), search.closed_test_part("r"):
        assert not test.exists()
        with search.closed_test_part("r"):
            assert not test.exists()
        assert not test.exists()
        raise KeyboardInterrupt
    assert test.read_text() == '{"id": "test"}\n'


def test_many_that_begin_at_once_move_the_test_part_once_and_the_last_brings_it_back(home):
    test, barrier = home / "outputs" / "r" / "test.jsonl", threading.Barrier(8, timeout=10)

    def search_once(_):
        barrier.wait()
        with search.closed_test_part("r"):
            barrier.wait()
            return test.exists()

    for _ in range(20):
        with ThreadPoolExecutor(8) as pool:
            assert not any(pool.map(search_once, range(8)))
        assert test.read_text() == '{"id": "test"}\n'


def test_a_test_part_that_02_wrote_meanwhile_stands(home):
    test = home / "outputs" / "r" / "test.jsonl"
    with search.closed_test_part("r"):
        test.write_text("newer\n")
    assert test.read_text() == "newer\n"
    with search.closed_test_part("r"):
        assert not test.exists()
    assert test.read_text() == "newer\n"
