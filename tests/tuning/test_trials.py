import json
import sys
import warnings

import optuna
import pytest

from parentcare import figures, manifest
from parentcare.evaluation import comparison
from parentcare.tuning import search, trials
from parentcare.tuning.trials import BUDGET
from tests.tuning.worker import RECIPE, SEED, SPACE

SECTION = {
    "stamp": {"parameters": {**RECIPE, "MAX_STEPS": -1, "BASE_MODEL": "hub/base", "CHECK_RELOAD": True}},
    "used": {"MAX_STEPS": 40, "LEARNING_RATE": 3e-3},
    "demo": True,
    "validation_loss": {"tuned": 5.5},
}


@pytest.fixture
def home(tmp_path, monkeypatch):
    """Return a home whose run 'r' has been trained."""
    monkeypatch.setattr(manifest, "HOME", tmp_path)
    for part in ("train", "validation", "test"):
        manifest.write_atomically(tmp_path / "outputs" / "r" / f"{part}.jsonl", f'{{"id": "{part}"}}\n')
    manifest.write_json(tmp_path / "outputs" / "r" / "run.json", {"run": "r", "notebooks": {"03_finetune": SECTION}})
    return tmp_path


@pytest.fixture
def finetune(monkeypatch):
    """Stand in for 03: returns what it was called with, and logs the validations of `losses`."""
    called = []

    def execute(notebook, run, parameters, limit_seconds, show):
        folder = manifest.run_folder(run)
        called.append((run, parameters, sorted(p.name for p in folder.iterdir())))
        (folder / "checkpoints").mkdir(exist_ok=True)
        lines = ""
        for step, loss in zip((5, 10), execute.losses, strict=True):
            lines += json.dumps({"step": step, "eval_loss": loss}) + "\n"
            (folder / "log.jsonl").write_text(lines + '{"step": ')
            show(f"step {step} of 10")
        if execute.crash:
            sys.exit(execute.crash)
        section = SECTION | {"validation_loss": {"tuned": execute.losses[-1]}}
        manifest.write_json(folder / "run.json", {"run": run, "notebooks": {notebook: section}})

    execute.called, execute.losses, execute.crash = called, (6.0, 5.5), ""
    monkeypatch.setattr(trials, "execute", execute)
    monkeypatch.setattr(trials, "KERNEL_END_SECONDS", 0)
    return execute


def open_study() -> optuna.Study:
    return search.open_study("r", SPACE, RECIPE | {"LEARNING_RATE": 3e-3}, SEED, False)


def run_trials(study: optuna.Study, count: int) -> None:
    search.search(study, lambda trial: trials.train_trial(trial, study.user_attrs["made_from"]["recipe"]), count)


# --- settings ----------------------------------------------------------------------------------


def test_the_demo_takes_its_own_budget_only_for_what_was_left_alone():
    written = manifest.notebook_parameters("optional/tune")
    assert {name: written[name.upper()] for name in BUDGET} == BUDGET
    assert trials.settle_budget(BUDGET, demo=False) == BUDGET
    assert trials.settle_budget(BUDGET | {"trials": 6}, demo=True) == trials.DEMO_BUDGET | {"trials": 6}


def test_the_recipe_is_what_the_runs_own_03_used_for_as_many_steps(home):
    recipe = trials.read_recipe("r", BUDGET | {"steps": 10})
    assert (recipe["LEARNING_RATE"], recipe["MAX_STEPS"], recipe["LORA_R"]) == (3e-3, 10, 16)
    assert recipe["BASE_MODEL"] == str(home / "outputs" / "r" / "base") and recipe["CHECK_RELOAD"] is False
    assert trials.read_recipe("r", BUDGET)["MAX_STEPS"] == 40


def test_alpha_moves_with_r():
    settings = trials.make_settings({"LORA_R": 32, "ALPHA_OVER_R": 0.5, "LEARNING_RATE": 1e-4})
    assert settings == {"LORA_R": 32, "LORA_ALPHA": 16, "LEARNING_RATE": 1e-4}


# --- training ----------------------------------------------------------------------------------


def test_a_trial_is_a_run_of_03_with_its_settings_that_never_sees_the_test_part(home, finetune):
    study = open_study()
    run_trials(study, 2)
    for trial, (run, parameters, files) in zip(study.trials, finetune.called, strict=True):
        assert run == parameters["RUN"] == f"r-trial-{trial.number}"
        assert files == ["train.jsonl", "validation.jsonl"]
        assert {name: parameters[name] for name in trial.params} == trial.params
        assert trial.value == 5.5 and trial.intermediate_values == {5: 6.0, 10: 5.5}
        assert not (home / "outputs" / run / "checkpoints").exists()


def test_a_trial_that_lags_is_stopped_at_that_validation_and_its_checkpoints_go(home, finetune):
    study = open_study()
    run_trials(study, 4)
    finetune.losses = (8.0, 7.0)
    run_trials(study, 5)
    assert study.trials[4].state.name == "PRUNED" and study.trials[4].intermediate_values == {5: 8.0}
    assert not (home / "outputs" / "r-trial-4" / "checkpoints").exists()


def test_the_recipe_is_never_pruned(home, finetune):
    study = open_study()
    run_trials(study, 4)
    study.enqueue_trial(study.trials[0].params, user_attrs={"recipe": True})
    finetune.losses = (8.0, 7.0)
    run_trials(study, 5)
    assert study.trials[4].state.name == "COMPLETE"


def test_a_finished_run_whose_trial_was_killed_is_taken_as_it_is(home, finetune):
    study = open_study()
    trial, lock = search.begin_trial(study, 2)
    trials.train_trial(trial, study.user_attrs["made_from"]["recipe"])
    lock.close()
    run_trials(study, 1)
    assert study.trials[1].value == 5.5 and study.trials[1].user_attrs["again"] == 0
    assert [run for run, *_ in finetune.called] == ["r-trial-0"]


def test_where_no_trial_is_left_to_choose_from_the_errors_are_named(home, finetune):
    study = open_study()
    run_trials(study, 1)
    finetune.crash = "\n03_finetune failed in cell 9: x\nCUDA out of memory\nThe executed copy: a"
    run_trials(study, 3)
    with pytest.raises(RuntimeError, match=r"of 3 trials 1 ran to their end, the recipe's .*CUDA out of memory"):
        trials.choose_finalists(study, 3)


def test_best_and_recipe_are_trained_again_with_seeds_that_no_trial_had(home, finetune):
    study = open_study()
    run_trials(study, 3)
    names = trials.train_seeds(study, study.trials[2], 2)
    trained = {run: parameters["SEED"] for run, parameters, _ in finetune.called}
    seeds = [trained.pop(name) for name in names]
    assert names == [f"r-trial-2-seed-{seed}" for seed in seeds]
    assert len(set(seeds)) == 2 and not set(seeds) & set(trained.values())
    assert finetune.called[-1][1]["LEARNING_RATE"] == study.trials[2].params["LEARNING_RATE"]
    trials.train_seeds(study, study.trials[2], 2)
    assert len(finetune.called) == 5


# --- scores and verdict ------------------------------------------------------------------------


def test_finalists_are_scored_by_rouge_l_on_morphemes(home, monkeypatch):
    record = {"id": "a", "text": "유아의 놀이는 자기조절을 돕는다.", "summary": "유아의 놀이는 자기조절을 도왔다."}
    manifest.write_atomically(home / "outputs" / "r" / "validation.jsonl", json.dumps(record) + "\n")
    said = {"same": record["summary"], "other": "날씨가 맑다."}
    monkeypatch.setattr(trials, "answer_records", lambda run, name, *rest: {"a": {"answer": said[name]}})
    scores = trials.score_runs("r", ["same", "other"], 64)
    assert scores == {"same": [1.0], "other": [0.0]}


PAPERS = [f"p{i}" for i in range(25)]


def shifted(by: float, wave: int = 0) -> list[float]:
    """Return one score a paper that differs by `by` and a little more from that of `shifted(0)`."""
    return [0.2 + i / 100 + by + 0.002 * ((i + wave) % 3) for i in range(25)]


def test_a_gain_in_every_seed_is_better_with_its_interval():
    judged = trials.judge([shifted(0.05, 1), shifted(0.06, 2)], [shifted(0), shifted(0.01)], PAPERS)
    assert judged["verdict"] == comparison.BETTER and judged["low"] < 0.05 < judged["high"]
    assert judged["difference"] == pytest.approx(0.05, abs=1e-3) and len(judged["best_seeds"]) == 2
    other = trials.judge([shifted(0), shifted(0.01)], [shifted(0.05, 1), shifted(0.06, 2)], PAPERS)
    assert other["verdict"] == comparison.WORSE


def test_a_gain_that_seeds_alone_could_make_is_not_distinguishable():
    one, other = [shifted(0.10, 1), shifted(0.0, 2)], [shifted(0.01), shifted(0.02)]
    averaged = [[sum(pair) / 2 for pair in zip(*seeds, strict=True)] for seeds in (one, other)]
    assert comparison.compare_systems(*averaged, PAPERS)["verdict"] == comparison.BETTER
    assert trials.judge(one, other, PAPERS)["verdict"] == comparison.NOT_DISTINGUISHABLE


def test_the_demos_validation_papers_are_too_few_to_tell():
    few = trials.judge([shifted(0.1)[:13]], [shifted(0)[:13]], PAPERS[:13])
    assert few["verdict"] == comparison.TOO_FEW_PAPERS


def test_the_settings_file_holds_names_of_03_and_how_sure_they_are(home, finetune):
    study = open_study()
    run_trials(study, 2)
    judged = trials.judge([shifted(0.1)], [shifted(0)], PAPERS)
    written = manifest.read_json(trials.write_settings(study, study.trials[1], judged))
    assert written["settings"] == study.trials[1].params and written["trial"] == 1
    assert set(written["settings"]) <= set(manifest.notebook_parameters("03_finetune"))
    assert written["rougeL_against_the_recipe"]["verdict"] == comparison.BETTER


def test_the_three_pictures_render_whatever_became_of_the_trials(home, finetune, tmp_path):
    study = open_study()
    for count in (1, 2, 3, 4):
        finetune.losses = (6.0, 5.5 - count / 10)
        run_trials(study, count)
    finetune.losses = (8.0, 7.0)
    run_trials(study, 5)
    finetune.losses, finetune.crash = (5.0, 4.0), "loss is nan"
    run_trials(study, 6)
    rows = trials.describe_trials(study)
    assert [row["state"] for row in rows] == ["complete"] * 4 + ["pruned", "fail"] and rows[5]["error"] == "loss is nan"
    drawn = [figures.plot_search_history(rows, "시도 6"), figures.plot_slices(rows, "시도 6")]
    drawn.append(figures.plot_importances(search.measure_importances(study, shuffles=5), 4, "시도 6"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for number, figure in enumerate(drawn):
            figures.save_figure(figure, tmp_path / f"{number}.png", "r", "h", 1)
    labels = [text.get_text() for text in drawn[0].axes[0].get_legend().get_texts()]
    assert labels == ["지금까지의 최저", "끝남 (4)", "가지치기 (1)", "실패 (1)", "레시피"]
    assert [axes.get_xlabel() for axes in drawn[1].axes] == list(SPACE)
