"""A trial is a run of 03 under a name of its own; the finalists' answers are scored, and the best is judged."""

import gc
import shutil
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import optuna
from optuna.trial import FrozenTrial

from parentcare.data.records import read_jsonl
from parentcare.evaluation import comparison, metrics, systems
from parentcare.manifest import read_run, run_folder, sha256, write_atomically, write_json
from parentcare.model import adapters, generation, loading
from parentcare.runner import execute
from parentcare.tuning.search import begun_trials, complete_trials, take_lock, trial_run

# the defaults of optional/tune, once more: the notebook on disk may be the user's own
BUDGET = {"trials": 20, "steps": 0, "eval_steps": 10, "seeds": 3, "max_new_tokens": 256}
DEMO_BUDGET = {"trials": 4, "steps": 10, "eval_steps": 5, "seeds": 2, "max_new_tokens": 64}
TRIAL_LIMIT_SECONDS = 24 * 3600
# a kernel looks every second whether its papermill is gone, and may write a checkpoint until then
KERNEL_END_SECONDS = 3.0


def settle_budget(budget: dict, demo: bool) -> dict:
    """Return what is used of the budget: on the demo, its own number for what was left at the notebook's default."""
    return {name: DEMO_BUDGET[name] if demo and value == BUDGET[name] else value for name, value in budget.items()}


def read_recipe(run: str, used: dict) -> dict:
    """Return the parameters of trial 0: those of the run's own 03, for the budget's steps, without its extras."""
    section = read_run(run)["notebooks"]["03_finetune"]
    recipe = section["stamp"]["parameters"] | section["used"]
    if section["demo"]:
        recipe["BASE_MODEL"] = str(run_folder(run) / "base")
    recipe["MAX_STEPS"] = used["steps"] or recipe["MAX_STEPS"]
    # nobody reads the two example answers of a trial
    return recipe | {"EVAL_STEPS": used["eval_steps"], "MAX_NEW_TOKENS": 8, "CHECK_RELOAD": False, "SETTINGS_FILE": ""}


def make_settings(params: dict) -> dict:
    """Return 03's parameters for a trial's values: `ALPHA_OVER_R` becomes LORA_ALPHA."""
    settings = dict(params)
    if "ALPHA_OVER_R" in settings:
        settings["LORA_ALPHA"] = round(settings.pop("ALPHA_OVER_R") * settings["LORA_R"])
    return settings


def train_trial(trial: optuna.Trial, recipe: dict) -> float:
    """Return the validation loss of 03 with the trial's settings, in nats a response token.

    Raises TrialPruned where a validation on the way lags behind the trials before it.
    """
    from parentcare.model.training import read_log  # loads torch

    name, seen = trial_run(trial.study, trial), set()

    def report_validations(_: str) -> None:
        for row in read_log(run_folder(name) / "log.jsonl"):
            if "eval_loss" in row and row["step"] not in seen:
                seen.add(row["step"])
                trial.report(row["eval_loss"], row["step"])
                said = f"trial {trial.number:>2} step {row['step']:>4}  trainer's eval_loss {row['eval_loss']:.4f}"
                print(said, flush=True)
                # the recipe is what the others are compared with
                if trial.should_prune() and not trial.user_attrs.get("recipe"):
                    raise optuna.TrialPruned

    return train(trial.study.study_name, name, recipe | make_settings(trial.params), report_validations)


def train(run: str, name: str, parameters: dict, show: Callable[[str], None]) -> float:
    """Return the validation loss of 03's run `name`, made now or before, on the parts of `run`.

    `show` is called with each line that 03 prints.
    """
    folder = run_folder(name)
    if "03_finetune" not in read_run(name)["notebooks"]:
        for part in ("train.jsonl", "validation.jsonl"):
            write_atomically(folder / part, (run_folder(run) / part).read_bytes())
        try:
            execute("03_finetune", name, parameters | {"RUN": name}, TRIAL_LIMIT_SECONDS, show)
        except (optuna.TrialPruned, SystemExit):
            time.sleep(KERNEL_END_SECONDS)
            _drop_scratch(folder)
            raise
        _drop_scratch(folder)
    return read_run(name)["notebooks"]["03_finetune"]["validation_loss"]["tuned"]


def _drop_scratch(folder: Path) -> None:
    # only a run that was killed or interrupted goes on from its checkpoints
    for name in ("checkpoints", "tokens"):
        shutil.rmtree(folder / name, ignore_errors=True)


def train_seeds(study: optuna.Study, trial: FrozenTrial, seeds: int) -> list[str]:
    """Return the names of new runs of the trial's settings, one for each of as many seeds that no trial has had."""
    run, made_from, names = study.study_name, study.user_attrs["made_from"], []
    first = made_from["recipe"]["SEED"] + 1
    for seed in range(first, first + seeds):
        name = f"{trial_run(study, trial)}-seed-{seed}"
        parameters = made_from["recipe"] | make_settings(trial.params) | {"SEED": seed}
        with take_lock(run_folder(run) / "tune" / f"{name}.lock"):
            loss = train(run, name, parameters, lambda line: None)
        print(f"trial {trial.number:>2} seed {seed}  validation loss {loss:.4f}", flush=True)
        names.append(name)
    return names


def choose_finalists(study: optuna.Study, count: int) -> list[FrozenTrial]:
    """Return the recipe's trial and the `count` others of the lowest validation loss.

    Raises RuntimeError with the errors where the recipe, or every other trial, did not run to its end.
    """
    complete = complete_trials(study)
    recipe = [trial for trial in complete if trial.user_attrs.get("recipe")]
    others = [trial for trial in complete if not trial.user_attrs.get("recipe")]
    if not recipe or not others:
        errors = {t.user_attrs["error"] for t in study.trials if "error" in t.user_attrs}
        raise RuntimeError(
            f"of {len(begun_trials(study))} trials {len(complete)} ran to their end, "
            f"{'the' if recipe else 'but not the'} recipe's among them; raise TRIALS, or see: {'; '.join(errors)}"
        )
    return [recipe[0], *others[:count]]


def score_runs(run: str, names: list[str], max_new_tokens: int) -> dict[str, list[float]]:
    """Return run name → ROUGE-L on Kiwi morphemes of its greedy answer to each validation record."""
    records, rows = read_jsonl(run_folder(run) / "validation.jsonl"), []
    for name in names:
        answers = answer_records(run, name, records, max_new_tokens)
        for record in records:
            prediction = answers[record["id"]]["answer"]
            rows.append({"prediction": prediction, "reference": record["summary"], "text": record["text"]})
    scores = iter(metrics.score_predictions(rows))
    return {name: [next(scores)["rougeL"] for _ in records] for name in names}


def answer_records(run: str, name: str, records: list[dict], max_new_tokens: int) -> dict[str, dict]:
    """Return record id → answer of the run's adapter, kept under outputs/<run>/tune; the model's memory is freed."""
    import torch

    section, adapter = read_run(name)["notebooks"]["03_finetune"], run_folder(name) / "adapter"
    tokenizer = loading.load_tokenizer(str(adapter))
    prompts, _ = systems.make_prompts(records, tokenizer, section["max_seq_length"], max_new_tokens)
    path = run_folder(run) / "tune" / "answers" / f"{sha256(adapter)[:12]}-{max_new_tokens}.jsonl"
    with take_lock(path.with_suffix(".lock")):
        base = str(adapters.find_folder(section["base"]))
        model = generation.load_model(base, adapter, loading.choose_dtype("auto", loading.choose_device()))
        with generation.merged_adapter(model):
            answers = generation.generate_all(model, tokenizer, prompts, max_new_tokens, path)
    del model
    gc.collect()
    torch.cuda.empty_cache()
    return answers


def judge(best: list[list[float]], recipe: list[list[float]], papers: list[str]) -> dict:
    """Return the comparison over papers of two settings' scores, each a list of seeds of scores of the records.

    `best_seeds` and `recipe_seeds` are the means of the seeds. One is called better only where interval and test say
    so, and where besides no seed of the worse reaches one of the better.
    """
    averaged = [[statistics.fmean(scores) for scores in zip(*seeds, strict=True)] for seeds in (best, recipe)]
    compared = comparison.compare_systems(*averaged, papers)
    one, other = (
        [statistics.fmean(comparison.average_over_papers(scores, papers).values()) for scores in seeds]
        for seeds in (best, recipe)
    )
    apart = min(one) > max(other) or max(one) < min(other)
    if compared["verdict"] in (comparison.BETTER, comparison.WORSE) and not apart:
        compared["verdict"] = comparison.NOT_DISTINGUISHABLE
    return compared | {"best_seeds": one, "recipe_seeds": other}


def write_settings(study: optuna.Study, trial: FrozenTrial, judged: dict) -> Path:
    """Return best_settings.json, written for 03's parameter SETTINGS_FILE: the settings, and how sure they are."""
    made_by = {"run": study.study_name, "trial": trial.number, "validation_loss": trial.value}
    path = run_folder(study.study_name) / "best_settings.json"
    return write_json(path, {"settings": make_settings(trial.params), **made_by, "rougeL_against_the_recipe": judged})


def describe_trials(study: optuna.Study) -> list[dict]:
    """Return number, state, loss, settings, seconds and error of each trial that counts."""
    return [
        {
            "number": trial.number,
            "state": trial.state.name.lower(),
            "validation_loss": trial.value,
            "recipe": trial.user_attrs.get("recipe", False),
            "settings": trial.params,
            "seconds": round(trial.duration.total_seconds(), 1) if trial.duration else None,
            "error": trial.user_attrs.get("error"),
        }
        for trial in begun_trials(study)
    ]
