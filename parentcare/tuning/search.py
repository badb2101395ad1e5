"""The search: Optuna's trials under outputs/<run>/tune.db, with the test part moved away meanwhile.

Several processes may search together. Locks that end with the process which holds them keep a trial from being begun
twice, which SQLite alone does not, and tell a trial that runs from one that was killed.
"""

import contextlib
import fcntl
import os
import random
import shutil
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

import optuna
from optuna.distributions import BaseDistribution, distribution_to_json, json_to_distribution
from optuna.trial import FrozenTrial, TrialState

from parentcare.manifest import format_seconds, run_folder, sha256, short_path

PRUNE_AFTER_TRIALS = 4
WAIT_SECONDS = 0.5

optuna.logging.set_verbosity(optuna.logging.WARNING)


def take_lock(path: Path, kind: int = fcntl.LOCK_EX) -> IO | None:
    """Return the open file that holds the lock until it is closed, at the latest by the end of this process.

    None where `kind` has LOCK_NB and another holds it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    file = open(path, "a")  # noqa: SIM115  the caller closes it
    try:
        fcntl.flock(file, kind)
    except BlockingIOError:
        file.close()
        return None
    return file


@contextlib.contextmanager
def closed_test_part(run: str) -> Iterator[None]:
    """Move test.jsonl away for as long as any process searches; the last one brings it back."""
    test, away = _test_paths(run)
    try:
        with take_lock(away.with_name("searching.lock"), fcntl.LOCK_SH):
            with contextlib.suppress(FileNotFoundError):  # another process that searches may have moved it
                os.replace(test, away)
            yield
    finally:
        restore_test_part(run)


def restore_test_part(run: str) -> bool:
    """Return whether test.jsonl was away, as after a kill, and is back; it stays away while another searches."""
    test, away = _test_paths(run)
    lock = take_lock(away.with_name("searching.lock"), fcntl.LOCK_EX | fcntl.LOCK_NB)
    if lock is None:
        return False
    with lock:
        # where 02 has written a new one meanwhile, that one stands
        if test.exists() or not away.exists():
            return False
        os.replace(away, test)
        return True


def _test_paths(run: str) -> tuple[Path, Path]:
    return run_folder(run) / "test.jsonl", run_folder(run) / "tune" / "test.jsonl"


def place_recipe(recipe: dict, space: dict[str, BaseDistribution]) -> dict:
    """Return the recipe's place in the space. Raises ValueError where it lies outside: it is always trial 0."""
    values = recipe | {"ALPHA_OVER_R": recipe["LORA_ALPHA"] / recipe["LORA_R"]}
    for name, found in space.items():
        inside = values[name] in found.choices if hasattr(found, "choices") else found.low <= values[name] <= found.high
        if not inside:
            raise ValueError(f"{name} of the recipe is {values[name]}, outside {found}; widen the space to hold it")
    return {name: values[name] for name in space}


def open_study(run: str, space: dict[str, BaseDistribution], recipe: dict, seed: int, fresh: bool) -> optuna.Study:
    """Return the run's study, begun or gone on with; trial 0 of a new one is the recipe.

    Raises ValueError with the differences where it was begun with other data, recipe, space or seed.
    """
    folder, place = run_folder(run), place_recipe(recipe, space)
    made_from = {"recipe": recipe, "seed": seed} | {p: sha256(folder / f"{p}.jsonl") for p in ("train", "validation")}
    made_from["space"] = {name: distribution_to_json(found) for name, found in space.items()}
    with take_lock(folder / "tune" / "ask.lock"):
        if fresh or not (folder / "tune.db").exists():
            (folder / "tune.db").unlink(missing_ok=True)
            for trained in folder.parent.glob(f"{run}-trial-[0-9]*"):
                shutil.rmtree(trained)
        storage = optuna.storages.RDBStorage(f"sqlite:///{folder / 'tune.db'}?timeout=60")
        pruner = optuna.pruners.MedianPruner(n_startup_trials=PRUNE_AFTER_TRIALS)
        study = optuna.create_study(storage=storage, pruner=pruner, study_name=run, load_if_exists=True)
        before = study.user_attrs.get("made_from", made_from)
        if before != made_from:
            raise ValueError(f"{short_path(folder / 'tune.db')} was begun differently: {_changes(before, made_from)}")
        study.enqueue_trial(place, user_attrs={"recipe": True}, skip_if_exists=True)
        study.set_user_attr("made_from", made_from)
    return study


def _changes(before: dict, now: dict) -> str:
    before, now = ({**made, **made["recipe"], **made["space"], "recipe": 0, "space": 0} for made in (before, now))
    names = sorted(before.keys() | now.keys())
    changes = [f"{n} {before.get(n)!r} → {now.get(n)!r}" for n in names if before.get(n) != now.get(n)]
    return f"{'; '.join(changes)}. Set it back to go on, or start over with FRESH = True"


def search(study: optuna.Study, objective: Callable[[optuna.Trial], float], trials: int, hours: float = 0) -> None:
    """Run trials until the budget is used and no process has one running; a killed one is run again.

    `objective` returns the loss of a trial; what it raises costs that trial alone. With `hours`, none is begun that
    would end later than that from now, by the median of those before it.
    """
    started = time.time()
    while True:
        over = hours and time.time() - started + median_seconds(study) > hours * 3600
        begun = None if over else begin_trial(study, trials)
        if begun:
            trial, lock = begun
            with lock:
                finish_trial(study, trial, objective)
            print(describe_progress(study, trials), flush=True)
        elif any_running(study):
            time.sleep(WAIT_SECONDS)
        else:
            return


def begin_trial(study: optuna.Study, trials: int) -> tuple[optuna.Trial, IO] | None:
    """Return the next trial and the lock that says it runs, or None where `trials` have been begun."""
    made_from = study.user_attrs["made_from"]
    with take_lock(_lock_path(study, "ask")):
        requeue_killed(study)
        count = len(begun_trials(study))
        if count >= trials:
            return None
        # with one seed for all, two processes, or one that goes on after a kill, would draw the same settings twice
        study.sampler = optuna.samplers.TPESampler(seed=made_from["seed"] + count)
        trial = study.ask({name: json_to_distribution(text) for name, text in made_from["space"].items()})
        return trial, take_lock(_lock_path(study, f"trial-{trial.number}"))


def finish_trial(study: optuna.Study, trial: optuna.Trial, objective: Callable[[optuna.Trial], float]) -> None:
    """Tell the study the objective's value, that it was pruned, or the last line of its error."""
    try:
        value = objective(trial)
    except optuna.TrialPruned:
        study.tell(trial, state=TrialState.PRUNED)
    except (Exception, SystemExit) as error:  # runner.execute says with SystemExit that a notebook failed
        lines = [line for line in str(error).splitlines() if not line.startswith("The executed copy: ")]
        trial.set_user_attr("error", lines[-1] if lines else type(error).__name__)
        study.tell(trial, state=TrialState.FAIL)
    else:
        study.tell(trial, value)


def requeue_killed(study: optuna.Study) -> None:
    """Fail the trials whose process is gone, and queue their settings again under the same run name."""
    for trial in study.get_trials(states=[TrialState.RUNNING]):
        # it may have come to its end since
        if not _is_held(study, trial) and study.trials[trial.number].state == TrialState.RUNNING:
            study.tell(trial.number, state=TrialState.FAIL)
    queued = {trial.user_attrs.get("again") for trial in study.trials}
    for trial in study.trials:
        if was_killed(trial) and trial.number not in queued:
            values = trial.system_attrs.get("fixed_params", {}) | trial.params
            attributes = trial.user_attrs | {"again": trial.number, "run": trial_run(study, trial)}
            study.enqueue_trial(values, user_attrs=attributes)


def any_running(study: optuna.Study) -> bool:
    """Return whether another process has a trial running."""
    return any(_is_held(study, trial) for trial in study.get_trials(states=[TrialState.RUNNING]))


def _is_held(study: optuna.Study, trial: FrozenTrial) -> bool:
    lock = take_lock(_lock_path(study, f"trial-{trial.number}"), fcntl.LOCK_EX | fcntl.LOCK_NB)
    if lock:
        lock.close()
    return lock is None


def _lock_path(study: optuna.Study, name: str) -> Path:
    return run_folder(study.study_name) / "tune" / f"{name}.lock"


def trial_run(study: optuna.Study, trial: FrozenTrial | optuna.Trial) -> str:
    """Return the run folder's name of a trial; one that is run again keeps its first, and its checkpoints."""
    return trial.user_attrs.get("run", f"{study.study_name}-trial-{trial.number}")


def was_killed(trial: FrozenTrial) -> bool:
    """Return whether the trial's process ended without a word: a crash leaves its error."""
    return trial.state == TrialState.FAIL and "error" not in trial.user_attrs


def begun_trials(study: optuna.Study) -> list[FrozenTrial]:
    """Return the trials that count: running, complete, pruned or crashed, but neither killed nor waiting."""
    return [trial for trial in study.trials if trial.state != TrialState.WAITING and not was_killed(trial)]


def complete_trials(study: optuna.Study) -> list[FrozenTrial]:
    """Return the trials that ran to their end, the lowest validation loss first."""
    return sorted(study.get_trials(states=[TrialState.COMPLETE]), key=lambda trial: trial.value)


def measure_importances(study: optuna.Study, shuffles: int = 100) -> dict[str, dict[str, float]]:
    """Return setting → `importance` (PED-ANOVA, 1 in all) and `by_chance`, which 95 % of shuffled losses stay below.

    From a few trials PED-ANOVA gives continuous settings nearly all, whatever the losses: only what stands out from
    chance means something.
    """
    complete, rng = complete_trials(study), random.Random(study.user_attrs["made_from"]["seed"])
    found, losses, chance = optuna.importance.get_param_importances(study), [t.value for t in complete], []
    for _ in range(shuffles):
        rng.shuffle(losses)
        shuffled = optuna.create_study()
        for trial, loss in zip(complete, losses, strict=True):
            shuffled.add_trial(optuna.create_trial(params=trial.params, distributions=trial.distributions, value=loss))
        chance.append(optuna.importance.get_param_importances(shuffled))
    limits = {n: statistics.quantiles([draw[n] for draw in chance], n=20, method="inclusive")[-1] for n in found}
    return {name: {"importance": found[name], "by_chance": limits[name]} for name in found}


def median_seconds(study: optuna.Study) -> float:
    """Return the median time of a complete trial so far, 0 where there is none."""
    seconds = [trial.duration.total_seconds() for trial in complete_trials(study)]
    return statistics.median(seconds) if seconds else 0.0


def describe_progress(study: optuna.Study, trials: int) -> str:
    """Return how the last trial ended, the best so far, and the time left."""
    ended = [trial for trial in begun_trials(study) if trial.state.is_finished()]
    last = max(ended, key=lambda trial: trial.datetime_complete)
    how = last.user_attrs.get("error") or f"validation loss {last.value:.4f}"
    best = next(iter(complete_trials(study)), None)
    so_far = f"best {best.value:.4f} (trial {best.number})" if best else "none complete yet"
    left = format_seconds(median_seconds(study) * max(0, trials - len(ended)))
    begin = f"trial {last.number:>2} {last.state.name.lower()}, {how}"
    return f"{begin}; {len(ended)} of {trials} trials done, {so_far}, about {left} left"
