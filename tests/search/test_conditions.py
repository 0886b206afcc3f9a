"""What a search is held to before it begins, what of it is asked for when, and where it starts."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from anew.runner.records import Status
from anew.runner.search.settings import Named
from anew.runner.search.spaces import Choices, Integers, Parameter, Reals, grid_point, grid_size, value_in
from tests.helpers.scripts import Project, anew

MAIN = """
@experiment.main
def main(k: int = 1, s: str = "a", o: str | None = None, rate: float = 0.5, *, run: Run):
    run.log({"size": k, "loss": rate})
    return {"rate": rate, "s": s, "o": o}
"""
GROUPS = """
@experiment.main(config_path="conf", config_name="config")
def main(cfg, run: Run):
    return float(cfg.rate + cfg.model.get("width", 0))
"""
SEARCH = ("-m", "hydra/sweeper=optuna", "hydra.sweeper.value=rate")


@pytest.fixture
def trial(project: Path) -> Project:
    pytest.importorskip("optuna")
    trial = Project(project)
    trial.write(MAIN)
    return trial


@pytest.fixture
def grouped(trial: Project) -> Project:
    trial.write(GROUPS)
    (trial.folder / "conf/model").mkdir(parents=True)
    (trial.folder / "conf/config.yaml").write_text("defaults: [model: linear, _self_]\nrate: 0.1\n")
    for name, text in {"linear": "kind: linear", "mlp": "width: 3", "cnn": "width: 3\nchannels: 2"}.items():
        (trial.folder / f"conf/model/{name}.yaml").write_text(f"{text}\n")
    return trial


# --- before it begins ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["k=interval(0,3)"], "cannot try k=0.0: Error merging override"),
        (["k=1,2,x"], "cannot try k=x: "),
        (["rate=interval(0,1)", "widht=range(3)"], "has no parameter 'widht'"),
        (["rate=interval(0,1)", "hydra.sweep.dir='${nokey}'"], "Interpolation key 'nokey' not found"),
        (["rate=interval(0,1)", "+hydra.sweeper.timeout=3"], "hydra.sweeper.timeout is no option.*anew.sweep.max_time"),
        (["rate=interval(0,1)", "hydra.sweeper.timeout=3"], "hydra.sweeper.timeout is no option.*anew.sweep.max_time"),
        (["rate=interval(0,1)", "+hydra.sweeper.search_space={}"], "search_space is no option.*hydra.sweeper.params"),
        (["rate=interval(0,1)", "+hydra.sweeper.n_trial=3"], "n_trial is no option.*Did you mean n_trials"),
        (["rate=interval(0,1)", "hydra.sweeper.direction=minimize", "anew.sweep.direction=maximize"], "Leave one of"),
        (["rate=interval(0,1)", "hydra.sweeper.start_from=[{rat: 1}]"], "has 'rat', which is not searched. Did you"),
        (["rate=interval(0,1)", "hydra.sweeper.start_from=[{rate: 2}]"], "has rate=2, which is not from 0 to 1"),
        (["rate=interval(0,1)", "hydra.sweeper.start_from='loss <'"], "loss <"),
        (["rate=interval(0,1)", "hydra.sweeper.constraints=[size]"], "constraints has 'size'; it takes comparisons"),
        (["rate=interval(0,1)", "hydra.sweeper.patience=0"], "patience is 0"),
        (["rate=interval(0,1)", "hydra.sweeper.sampler=optuna.samplers.None"], "which cannot be imported"),
        (["rate=interval(0,1)", "hydra.sweeper.sampler=pathlib.Path"], "is no sampler of Optuna"),
    ],
)
def test_what_can_never_be_had_is_refused_and_leaves_nothing(trial: Project, words: list[str], message: str) -> None:
    done = trial.run(*SEARCH, *words, code=2)
    assert "Traceback" not in done.stderr
    assert re.search(message, done.stderr), done.stderr
    assert not list((trial.folder / "runs").glob("sweeps/*"))


def test_a_plain_sweep_whose_folder_cannot_be_named_leaves_nothing(trial: Project) -> None:
    trial.run("-m", "k=1,2", "hydra.sweep.dir='${nokey}'", code=2)
    done = trial.run("-m", 'hydra.sweeper.params={rate: "range(3,1)"}', code=2)
    assert "hydra.sweeper.params is null where it was declared" in done.stderr
    assert not list((trial.folder / "runs").glob("sweeps/*"))


def test_a_job_that_cannot_be_composed_fails_by_it_once_and_the_search_goes_on(trial: Project) -> None:
    many = ",".join(map(str, range(60)))  # more than are looked at beforehand
    points = "hydra.sweeper.start_from=[{k: 1},{k: x},{k: 2}]"
    trial.run(*SEARCH, f"k={many},x", points, "hydra.sweeper.n_trials=3", code=1)
    for _ in range(2):
        jobs = trial.store.sweep(1).jobs
        assert [job.status for job in jobs] == [Status.COMPLETED, Status.FAILED, Status.COMPLETED]
        assert "Error merging override k=x" in (jobs[1].error or "")
        assert [len(job.runs) for job in jobs] == [1, 1, 1]
        anew(trial, "sweep", "resume", "1", code=1)


def test_choices_for_a_text_are_texts(trial: Project) -> None:
    words = ['s="true",1e3,null,no', "o=null,true"]
    trial.run(*SEARCH, *words, "hydra/sweeper/sampler=grid", "hydra.sweeper.n_trials=null")
    found = [(job.result["s"], job.result["o"]) for job in trial.store.sweep(1).jobs]
    assert found == [(s, o) for s in ("true", "1e3", "null", "no") for o in (None, "true")]


# --- a group's own keys -------------------------------------------------------------------------------------------


def test_a_groups_own_keys_are_asked_for_where_it_has_them(grouped: Project) -> None:
    space = ["model=linear,mlp,cnn", "model.width=1,2", "model.channels=5,6"]
    grouped.run("-m", "hydra/sweeper=optuna", *space, "hydra/sweeper/sampler=grid", "hydra.sweeper.n_trials=null")
    assert [job.overrides for job in grouped.store.sweep(1).jobs] == [
        ("model=linear",),
        *(("model=mlp", f"model.width={width}") for width in (1, 2)),
        *(("model=cnn", f"model.width={width}", f"model.channels={each}") for width in (1, 2) for each in (5, 6)),
    ]
    record = json.loads((grouped.folder / "runs/sweeps/1/search/search.json").read_text())
    assert record["space"]["model.channels"]["when"] == [{"model": ["cnn"]}]


def test_a_key_that_was_given_for_all_and_one_option_lacks_is_refused(grouped: Project) -> None:
    done = grouped.run("-m", "hydra/sweeper=optuna", "model=mlp,linear", "model.width=4", "rate=interval(0,1)", code=2)
    assert "model.width" in done.stderr
    assert not list((grouped.folder / "runs").glob("sweeps/*"))


MODEL = Parameter(name="model", key="model", space=Choices(values=("a", "b"), texts=("a", "b")))
WIDTH = Parameter(name="w", key="w", space=Integers(low=1, high=3), when=({"model": ("b",)},))
RATE = Parameter(name="r", key="r", space=Choices(values=(1, 2), texts=("1", "2")))


def test_the_points_of_a_conditional_grid_are_counted_once_each() -> None:
    assert grid_size([RATE, MODEL, WIDTH]) == 8
    points = [tuple(grid_point([RATE, MODEL, WIDTH], index).items()) for index in range(8)]
    assert len(set(points)) == 8
    assert points[0] == (("r", 1), ("model", "a"))
    assert points[2] == (("r", 1), ("model", "b"), ("w", 1))


@pytest.mark.parametrize(
    ("space", "given", "expected"),
    [
        (Choices(values=(1, "1", True), texts=("1", '"1"', "True")), True, True),
        (Choices(values=("a", None), texts=("a", "null")), None, None),
        (Integers(low=1, high=9, step=4), 5, 5),
        (Reals(low=0.0, high=0.9, step=0.1), 0.3, 0.3),
    ],
)
def test_a_value_is_found_in_its_space(space: Any, given: Any, expected: Any) -> None:
    assert value_in(space, given) is expected or value_in(space, given) == expected


@pytest.mark.parametrize(
    ("space", "given"),
    [(Integers(low=1, high=9, step=4), 6), (Integers(low=1, high=9), 2.5), (Reals(low=0, high=1), "x")],
)
def test_a_value_outside_is_refused(space: Any, given: Any) -> None:
    with pytest.raises(ValueError, match="which is"):
        value_in(space, given)


# --- where it starts, what is best, when it ends ------------------------------------------------------------------


def test_the_best_of_earlier_runs_are_tried_first(trial: Project) -> None:
    trial.run("-m", "rate=0.4,0.9,0.2,0.7")
    words = ["rate=interval(0,0.8)", "hydra.sweeper.start_from='experiment == trial and loss > 0.3'"]
    trial.run(*SEARCH, *words, "hydra.sweeper.direction=maximize", "hydra.sweeper.n_trials=3")
    jobs = trial.store.sweep(2).jobs
    assert [job.overrides for job in jobs[:2]] == [("rate=0.7",), ("rate=0.4",)]


def test_the_settings_direction_a_key_and_constraints_say_what_is_best(trial: Project) -> None:
    words = ["k=1,2,3", "hydra/sweeper/sampler=grid", "hydra.sweeper.n_trials=null", "anew.sweep.direction=maximize"]
    trial.run(
        "-m", "hydra/sweeper=optuna", *words, "hydra.sweeper.value=size", "hydra.sweeper.constraints=['size < 3']"
    )
    sweep = trial.store.sweep(1)
    assert sweep.start.direction == "maximize"
    assert sweep.best is not None
    assert sweep.best.overrides == ("k=2",)
    assert sweep.pareto == (sweep.best,)
    shown = json.loads(anew(trial, "sweep", "show", "--json").stdout)
    assert (shown["best"], shown["search"]["best"][0]["index"]) == (1, 1)
    assert anew(trial, "sweep", "show").stdout.splitlines()[3].split()[0] == "1"


def test_several_directions_have_a_front_and_the_study_is_had_from_python(trial: Project) -> None:
    words = ["k=1,2,3", "rate=0.1,0.2", "hydra/sweeper/sampler=grid", "hydra.sweeper.n_trials=null"]
    both = ["hydra.sweeper.value=[size,loss]", "hydra.sweeper.direction=[maximize,minimize]"]
    trial.run("-m", "hydra/sweeper=optuna", *words, *both)
    sweep = trial.store.sweep(1)
    assert sweep.best is None
    assert [job.overrides for job in sweep.pareto] == [("k=3", "rate=0.1")]
    assert [each.params for each in sweep.study.best_trials] == [{"k": 3, "rate": 0.1}]
    assert len(sweep.study.trials) == 6
    assert set(sweep.importance) == {"k", "rate"}
    sweep.study.add_trial(sweep.study.trials[0])
    assert len(sweep.study.trials) == 6, "it is a copy"


def test_a_search_ends_when_nothing_improves_and_is_made_longer_later(trial: Project) -> None:
    words = ["rate=interval(0,1)", "hydra.sweeper.start_from=[{rate: 0.0}]", "hydra.sweeper.sampler.seed=1"]
    done = trial.run(*SEARCH, *words, "hydra.sweeper.patience=3", "hydra.sweeper.n_trials=20")
    assert "none of the last 3 jobs was better than job 0 (hydra.sweeper.patience)" in done.stdout + done.stderr
    assert len(trial.store.sweep(1).jobs) == 4
    anew(trial, "sweep", "resume", "1", "hydra.sweeper.patience=null", "hydra.sweeper.n_trials=6")
    assert len(trial.store.sweep(1).jobs) == 6
    assert trial.store.sweep(1).status is Status.COMPLETED
    done = anew(trial, "sweep", "resume", "1", "k=3", code=2)
    assert "'k=3' is nothing that a sweep can be taken up again with" in done.stderr


def test_any_sampler_and_pruner_is_had_by_its_class_and_one_that_is_done_ends_the_search(trial: Project) -> None:
    words = ["k=1,2,3", "hydra.sweeper.sampler=optuna.samplers.BruteForceSampler", "hydra.sweeper.n_trials=9"]
    pruner = (
        "{_target_: optuna.pruners.PatientPruner, patience: 1, wrapped_pruner: {_target_: optuna.pruners.NopPruner}}"
    )
    trial.run(*SEARCH, *words, f"hydra.sweeper.pruner={pruner}")
    assert sorted(job.overrides for job in trial.store.sweep(1).jobs) == [("k=1",), ("k=2",), ("k=3",)]


def test_jobs_side_by_side_are_proposed_as_a_batch() -> None:
    pytest.importorskip("optuna")
    from anew.runner.search.samplers import make_sampler

    def lies(beside: int, **options: Any) -> Any:
        return vars(make_sampler(Named(name="tpe", options=options), 0, beside=beside))["_constant_liar"]

    assert (lies(2), lies(2, constant_liar=False)) == (True, False)


# --- where it is kept ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("typed", "workers"),
    [(True, ()), (False, ()), (True, ("anew.sweep.workers=1",))],
    ids=["typed", "by_a_variable", "typed_for_a_worker"],
)
def test_a_password_of_the_storage_is_on_no_record_and_paths_are_those_of_the_start(
    trial: Project, typed: bool, workers: tuple[str, ...]
) -> None:
    trial.write(
        MAIN.replace('    run.log({"size"', '    run.report(rate, 0)\n    run.should_stop()\n    run.log({"size"')
    )
    url = "sqlite:///studies.db?password=hunter2secret"
    storage = f'"{url}"' if typed else "${oc.env:STUDIES}"
    words = ["rate=interval(0,1)", f"hydra.sweeper.storage={storage}", "hydra.sweeper.study_name=s"]
    env = {"STUDIES": url, "PYTHONWARNINGS": "ignore"}
    trial.run(*SEARCH, *words, *workers, "hydra.sweeper.pruner=median", "hydra.sweeper.n_trials=2", env=env)
    leaks = [path for path in trial.folder.rglob("*") if path.is_file() and b"hunter2" in path.read_bytes()]
    assert not leaks
    elsewhere = trial.folder / "elsewhere"
    elsewhere.mkdir()
    show = ("--store", "../runs", "sweep", "show", "--trust", "--json")
    for each in (elsewhere, trial.folder):
        there = sorted(each.iterdir())
        found = (
            json.loads(anew(each, *show, STUDIES=url, PYTHONWARNINGS="ignore").stdout)["search"]
            if each is elsewhere
            else {}
        )
        assert sorted(each.iterdir()) == there, "reading makes nothing"
        if found and typed:
            assert "whose password is not on record" in found["error"]
        elif found:
            assert found["trials"] == {"COMPLETE": 2}
    if not typed:
        done = json.loads(anew(elsewhere, *show).stdout)["search"]
        assert "the variable STUDIES is not set here" in done["error"]


def test_a_journal_of_ones_own_lies_where_the_search_was_started_and_is_read_where_nothing_can_be_written(
    trial: Project,
) -> None:
    words = ["rate=interval(0,1)", "hydra.sweeper.storage=mine.log", "hydra.sweeper.n_trials=2"]
    trial.run(*SEARCH, *words)
    journal = trial.folder / "mine.log"
    before = journal.read_bytes() + b'{"half'
    journal.write_bytes(before)
    (trial.folder / "mine.log.lock").unlink()
    shown = json.loads(anew(trial, "sweep", "show", "--trust", "--json").stdout)["search"]
    assert shown["trials"] == {"COMPLETE": 2}
    assert journal.read_bytes() == before
    assert not (trial.folder / "mine.log.lock").exists()
    journal.unlink()
    assert "mine.log" in json.loads(anew(trial, "sweep", "show", "--trust", "--json").stdout)["search"]["error"]
    assert not journal.exists()
