"""Searching with Optuna: what is asked for, what is learnt, and what a kill costs."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from importlib.resources import files
from pathlib import Path
from statistics import median
from typing import Any

import psutil
import pytest
import yaml
from hydra import compose, initialize_config_dir
from hydra.core.config_loader import ConfigLoader
from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn, JobStatus
from hydra.errors import OverrideParseException
from hydra.types import HydraContext
from hydra_plugins.anew._spaces import items
from omegaconf import OmegaConf

from anew.runner.errors import ConfigError, MissingExtraError, StoreError, ValueRefusedError
from anew.runner.search import settings as asked
from anew.runner.search.files import SearchFiles, read_json, write_json
from anew.runner.search.outcomes import objectives
from anew.runner.search.pruning import Pruning, pruning_of
from anew.runner.search.record import read_record
from anew.runner.search.search import Search, SearchFailedError
from anew.runner.search.settings import PRUNERS, SAMPLERS, SearchSettings, read_settings
from anew.runner.search.spaces import Choices, Integers, Parameter, Reals, Space, grid_point, grid_size
from anew.runner.search.study import StudyOf
from anew.runner.search.summary import SearchSummary, summary
from tests.helpers.places import APPS
from tests.helpers.releases import CURRENT_BASE

ASKED: dict[str, Any] = {
    "sampler": {"name": "tpe", "seed": 3},
    "direction": "minimize",
    "n_trials": 8,
    "pruner": None,
    "max_failure_rate": 1.0,
    "study_name": None,
    "storage": None,
}
X = Parameter(name="x", key="x", space=Reals(low=-2.0, high=2.0))
Y = Parameter(name="y", key="+y", space=Integers(low=0, high=4))
KIND = Parameter(name="kind", key="kind", space=Choices(values=("a", "b"), texts=("a", "b")))


class Options(ConfigLoader):
    """Knows a config group, as the loader of an app does."""

    def get_group_options(self, group_name: str, *args: Any, **kwargs: Any) -> list[str]:
        return {"model": ["cnn", "mlp", "svm"]}[group_name]

    def _unused(self, *args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError

    load_configuration = load_sweep_config = get_search_path = get_sources = list_groups = _unused
    compute_defaults_list = ensure_main_config_source_available = _unused


def read(*arguments: str, params: Any = None) -> tuple[str | Parameter, ...]:
    found: tuple[str | Parameter, ...] = items(params, arguments, Options())
    return found


def space(argument: str) -> Space:
    (found,) = read(argument)
    assert isinstance(found, Parameter)
    return found.space


def settings(*parts: str | Parameter, **values: Any) -> SearchSettings:
    return read_settings({**ASKED, **values}, parts or (X, Y))


def values(overrides: Sequence[str]) -> dict[str, float]:
    pairs = (override.lstrip("+").split("=") for override in overrides)
    return {key: float(value) for key, value in pairs if key in ("x", "y")}


def bowl(overrides: Sequence[str]) -> float:
    found = values(overrides)
    return (found.get("x", 0) - 0.5) ** 2 + (found.get("y", 0) - 2) ** 2


def searched(
    sweep: Path, wanted: SearchSettings, main: Callable[[Sequence[str]], Any] = bowl, *, until: int | None = None
) -> list[list[str]]:
    """Run a search, or its first jobs, one by one; return the overrides of each."""
    sweep.mkdir(exist_ok=True)
    search = Search(sweep, wanted)
    jobs = []
    for index in range(search.jobs if until is None else until):
        jobs.append(search.job(index))
        if not search.has_ended(index):
            search.tell(index, main(jobs[-1]))
    return jobs


def found(sweep: Path) -> SearchSummary:
    told = summary(sweep)
    assert told is not None
    return told


# --- what is asked for --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("argument", "expected"),
    [
        ("x=1,2,3", Choices(values=(1, 2, 3), texts=("1", "2", "3"))),
        ("x=a,null,true,0.5", Choices(values=("a", None, True, 0.5), texts=("a", "null", "True", "0.5"))),
        ("x=choice('a b',\"1\")", Choices(values=("a b", "1"), texts=("a\\ b", '"1"'))),
        ("x='a b',\"1\"", Choices(values=("a b", "1"), texts=("'a b'", '"1"'))),
        ("x=choice([1,2],{k:v})", Choices(values=("[1,2]", "{k:v}"), texts=("[1,2]", "{k:v}"))),
        ("x=1,1.0,true", Choices(values=("1", "1.0", "True"), texts=("1", "1.0", "True"))),
        ("x=a,a,b", Choices(values=("a", "b"), texts=("a", "b"))),
        ("x=shuffle(choice(1,2))", Choices(values=(1, 2), texts=("1", "2"))),
        ("model=glob(*,exclude=s*)", Choices(values=("cnn", "mlp"), texts=("cnn", "mlp"))),
        ("x=range(5)", Integers(low=0, high=4)),
        ("x=range(1,10,4)", Integers(low=1, high=9, step=4)),
        ("x=range(10,0,-3)", Integers(low=1, high=10, step=3)),
        ("x=range(0,1,0.1)", Reals(low=0.0, high=0.9, step=0.1)),
        ("x=range(0,0.9,0.3)", Reals(low=0.0, high=0.6, step=0.3)),
        ("x=float(range(1,4))", Reals(low=1.0, high=3.0, step=1.0)),
        ("x=tag(log,range(1,100))", Integers(low=1, high=99, log=True)),
        ("x=interval(1,10)", Reals(low=1.0, high=10.0)),
        ("x=int(interval(1,10))", Integers(low=1, high=10)),
        ("x=tag(log,interval(0.001,0.1))", Reals(low=0.001, high=0.1, log=True)),
        ("x=tag(log,int(interval(1,1000)))", Integers(low=1, high=1000, log=True)),
        ("x=int(tag(log,interval(1,1000)))", Integers(low=1, high=1000, log=True)),
    ],
)
def test_hydras_grammar_says_what_can_be_chosen(argument: str, expected: Space) -> None:
    assert space(argument) == expected


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("x=range(5,5)", r"x is 'range\(5,5\)', which is empty\. Such as: choice"),
        ("x=range(1,5,0)", "which has a step of 0"),
        ("x=interval(2,1)", "whose end is not above its start"),
        ("x=tag(log,interval(0,1))", "cannot be logarithmic: that takes numbers above 0"),
        ("x=tag(log,range(0,9))", "cannot be logarithmic: that takes numbers above 0, and a step of 1"),
        ("x=tag(log,range(1,9,2))", "cannot be logarithmic"),
        ("x=tag(logg,interval(1,2))", "with the tag logg; a search knows the tag log"),
        ("x=tag(log,choice(1,2))", "with the tag log; a choice takes none"),
        ("model=glob(z*)", "which offers nothing"),
    ],
)
def test_a_space_that_is_none_is_refused(argument: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        read(argument)


def test_what_is_always_the_same_stays_as_it_was_typed_and_in_its_place() -> None:
    arguments = ["a=[1, 2]", "~b", "x=interval(0,1)", "+y@z=range(3)", "c='q \"w\"'"]

    given = read(*arguments)

    assert [each if isinstance(each, str) else (each.name, each.key) for each in given] == [
        "a=[1, 2]",
        "~b",
        ("x", "x"),
        ("y@z", "+y@z"),
        "c='q \"w\"'",
    ]


def test_the_command_line_takes_the_place_of_params() -> None:
    params = {"x": "interval(0, 1)", "y": "range(3)", "kind": "a, b"}

    given = read("x=3", "kind=choice(c,d)", params=params)

    assert given[0] == "x=3"
    assert [each.space for each in given[1:] if isinstance(each, Parameter)] == [
        Integers(low=0, high=2),
        Choices(values=("c", "d"), texts=("c", "d")),
    ]


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"x": "3"}, r"hydra\.sweeper\.params\.x is '3', which is no space to search\. Such as: choice"),
        ({"x": 3}, "which is no space to search"),
        ({"x": [1, 2]}, r"params\.x is \[1, 2\], which is no space to search"),
        ({"x": "range(1"}, "which cannot be read"),
        ({"x": "int(choice(a,b))"}, "which cannot be read"),
        (["x"], "which is no mapping of names to spaces"),
    ],
)
def test_params_that_are_no_spaces_are_refused(params: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        read(params=params)


def test_an_argument_that_cannot_be_read_is_refused_as_everywhere() -> None:
    with pytest.raises(OverrideParseException):
        read("x=range(1")


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"sampler": "tpee"}, r"hydra\.sweeper\.sampler is 'tpee'.*Did you mean tpe\? There are: tpe, cmaes"),
        ({"sampler": None}, "takes a name, or a mapping with one"),
        ({"sampler": {"name": "tpe", "n_start": 3}}, r"sampler\.n_start is no option of tpe.*There are: n_startup"),
        ({"sampler": {"name": "random", "n": 3}}, r"is no option of random\. It has none"),
        ({"sampler": {"name": "tpe", "seed": -1}}, r"sampler\.seed is -1; it takes a whole number from 0"),
        ({"sampler": {"name": "tpe", "seed": "7"}}, r"sampler\.seed is '7'"),
        ({"sampler": "grid"}, "is grid, which needs a finite space: x can be any number of an interval"),
        ({"sampler": "cmaes", "direction": ["minimize", "maximize"]}, "is cmaes, which has one direction only"),
        ({"pruner": "medium"}, "pruner is 'medium', which is not known. Did you mean median\\?"),
        ({"direction": "min"}, r"direction is 'min'; it takes minimize or maximize"),
        ({"direction": ["minimize", "up"]}, "it takes minimize or maximize, or a list of them"),
        ({"direction": []}, "it takes minimize or maximize"),
        ({"n_trials": 0}, "n_trials is 0; it takes a whole number from 1 on"),
        ({"n_trials": None}, "Only the grid sampler comes to an end by itself"),
        ({"n_trials": 2.5}, "takes a whole number"),
        ({"max_failure_rate": 2}, "max_failure_rate is 2; it takes a number from 0 to 1"),
        ({"study_name": 3}, "study_name is 3; it takes a text, or null"),
        ({"storage": "sqlite:///a.db"}, "study_name is null; a search in a storage of its own needs a name"),
    ],
)
def test_a_wrong_setting_is_refused_in_one_message(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        settings(**wrong)


def test_without_a_space_there_is_nothing_to_search() -> None:
    with pytest.raises(ConfigError, match="There is nothing to search"):
        settings("x=3")


def test_cmaes_needs_two_numbers() -> None:
    with pytest.raises(ConfigError, match="needs two or more numeric parameters; there are 1"):
        settings(X, KIND, sampler="cmaes")


def test_options_that_a_sampler_or_pruner_does_not_take_are_refused() -> None:
    from anew.runner.search.samplers import make_pruner, make_sampler

    with pytest.raises(ConfigError, match="sampler is nsgaii, which does not take its options: `population_size`"):
        make_sampler(asked.Named(name="nsgaii", options={"population_size": 1}), 0)
    with pytest.raises(ConfigError, match="pruner is percentile, which does not take its options"):
        make_pruner(asked.Named(name="percentile", options={"percentile": 120}))


def test_every_option_that_is_offered_is_taken() -> None:
    """What is chosen by name here has to be there in the Optuna that is installed, under the same name."""
    from inspect import signature

    from anew.runner.search.samplers import make_pruner, make_sampler

    for name, options in SAMPLERS.items():
        assert set(options) <= set(signature(type(make_sampler(asked.Named(name=name), 0))).parameters)
    needed: dict[str, Any] = {"percentile": {"percentile": 25.0}, "threshold": {"lower": 0.0}}
    for name, options in PRUNERS.items():
        pruner = make_pruner(asked.Named(name=name, options=needed.get(name, {})))
        assert set(options) <= set(signature(type(pruner)).parameters)


def test_what_optuna_calls_experimental_is_no_warning_to_who_has_chosen_it() -> None:
    from anew.runner.search.samplers import make_sampler

    make_sampler(asked.Named(name="tpe", options={"multivariate": True, "group": True}), 0)
    make_sampler(asked.Named(name="cmaes", options={"with_margin": True}), 0)


# --- samplers -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sampler", sorted(SAMPLERS))
def test_every_sampler_searches_and_with_a_seed_again_the_same(sampler: str, tmp_path: Path) -> None:
    parts = [KIND, Y] if sampler == "grid" else [X, Y, "fixed=1"] if sampler == "cmaes" else [X, KIND, "fixed=1", Y]
    wanted = settings(*parts, sampler={"name": sampler, "seed": 11}, n_trials=10)

    first = searched(tmp_path / "first", wanted)
    second = searched(tmp_path / "second", wanted)

    assert first == second
    assert len({tuple(job) for job in first}) > 5
    assert all(len(job) == len(parts) and ("fixed=1" in job or sampler == "grid") for job in first)
    told = found(tmp_path / "first")
    assert told.n_trials == {"COMPLETE": 10}
    assert (told.sampler, told.seed, told.directions) == (sampler, 11, ("minimize",))
    (best,) = told.best
    assert best.values[0] == min(map(bowl, first)) == bowl(first[best.index])
    assert set(told.importance) == {part.name for part in parts if isinstance(part, Parameter)}
    assert sum(told.importance.values()) == pytest.approx(1)


def test_another_seed_searches_elsewhere_and_a_drawn_one_is_on_record(tmp_path: Path) -> None:
    wanted = settings(sampler={"name": "tpe", "seed": None}, n_trials=3)

    jobs = [searched(tmp_path / name, wanted) for name in "ab"]
    again = searched(tmp_path / "c", settings(sampler={"name": "tpe", "seed": found(tmp_path / "a").seed}, n_trials=3))

    assert jobs[0] != jobs[1]
    assert jobs[0] == again
    record = json.loads((tmp_path / "a/search/search.json").read_text())
    assert record["seed"] == found(tmp_path / "a").seed
    study = study_of(tmp_path / "a")
    assert study.open(0).user_attrs == {"seed": record["seed"], "sampler": "tpe"}


def study_of(sweep: Path) -> StudyOf:
    record = read_record(sweep)
    assert record is not None
    return StudyOf(sweep, record)


def test_tpe_and_cmaes_learn(tmp_path: Path) -> None:
    """Beside jobs at random: what a sampler that forgets proposes late in a search would be no better."""
    both = [Parameter(name=name, key=name, space=Reals(low=-2.0, high=2.0)) for name in "xy"]
    late = {}
    for sampler in ("random", "tpe", "cmaes"):
        wanted = settings(*both, sampler={"name": sampler, "seed": 5}, n_trials=60)
        jobs = searched(tmp_path / sampler, wanted, distance)
        late[sampler] = median(map(distance, jobs[40:]))

    assert late["tpe"] < late["random"] / 2
    assert late["cmaes"] < late["random"] / 10


def distance(overrides: Sequence[str]) -> float:
    return sum((value - 0.3) ** 2 for value in values(overrides).values())


def test_a_grid_is_gone_through_once_in_the_order_of_a_plain_sweep(tmp_path: Path) -> None:
    step = Parameter(name="x", key="x", space=Reals(low=0.0, high=0.6, step=0.3))
    jobs = searched(tmp_path / "sweep", settings(KIND, step, sampler="grid", n_trials=None))

    assert jobs == [[f"kind={kind}", f"x={x}"] for kind in "ab" for x in ("0.0", "0.3", "0.6")]


def test_the_points_of_a_grid_are_counted() -> None:
    assert grid_size([KIND, Y]) == 10
    assert grid_size([KIND, X]) is None
    assert [grid_point([KIND, Y], index) for index in (0, 1, 5, 9)] == [
        {"kind": "a", "y": 0},
        {"kind": "a", "y": 1},
        {"kind": "b", "y": 0},
        {"kind": "b", "y": 4},
    ]


def test_a_choice_comes_as_it_was_typed_also_where_optuna_has_it_otherwise(tmp_path: Path) -> None:
    texts = ("nan", "'a, b'", "[1,2]", "null", "True", "1e-05")
    (parameter,) = read(f"kind={','.join(texts)}")

    jobs = searched(tmp_path / "sweep", settings(parameter, sampler="grid", n_trials=None), lambda job: 0.0)

    assert jobs == [[f"kind={text}"] for text in texts]


def test_jobs_side_by_side_differ(tmp_path: Path) -> None:
    search = opened(tmp_path, n_trials=6)
    jobs = [search.job(index) for index in range(6)]
    assert len({tuple(job) for job in jobs}) == 6


def opened(sweep: Path, *parts: str | Parameter, **wanted: Any) -> Search:
    return Search(sweep, settings(*parts, **wanted))


# --- what main returns --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("returned", "expected"),
    [
        (1, (1.0,)),
        (True, (1.0,)),
        (math.inf, (math.inf,)),
        ("1", "main returned '1' \\(str\\); a search needs a number to minimize, such as: return loss"),
        (None, "main returned None"),
        ([1.0], r"main returned \[1\.0\] \(list\)"),
        ({"loss": 1}, "main returned"),
        (math.nan, "main returned NaN"),
        ("long" * 100, r"\.\.\. \(str\)"),
    ],
)
def test_what_is_no_number_is_said(returned: Any, expected: Any) -> None:
    if isinstance(expected, tuple):
        assert objectives(returned, ["minimize"]) == expected
        return
    with pytest.raises(ValueRefusedError, match=expected):
        objectives(returned, ["minimize"])


@pytest.mark.parametrize("returned", [3, None, "ab", [1], [1, 2, 3], {"a": 1, "b": 2}, [1, "2"], [1, math.nan]])
def test_for_two_directions_two_numbers_are_needed(returned: Any) -> None:
    with pytest.raises(ValueRefusedError, match=r"needs 2 numbers, to minimize, maximize, such as: return a, b|NaN"):
        objectives(returned, ["minimize", "maximize"])


def test_numbers_of_numpy_are_numbers() -> None:
    import numpy as np

    assert objectives(np.float32(0.5), ["minimize"]) == objectives(np.array(0.5), ["minimize"]) == (0.5,)
    assert objectives(np.array([1.0, 2.0]), ["minimize", "minimize"]) == (1.0, 2.0)
    with pytest.raises(ValueRefusedError):
        objectives(np.array([1.0]), ["minimize"])


def test_a_failed_trial_is_told_as_one_and_the_search_goes_on(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    returned = iter([math.nan, "loss", 1.0, None, 0.5, 2.0, 3.0, 4.0])
    searched(tmp_path / "sweep", settings(), lambda job: next(returned))

    told = found(tmp_path / "sweep")
    assert told.n_trials == {"COMPLETE": 5, "FAIL": 3}
    assert told.best[0].values == (0.5,)
    assert (
        "Job 1 came to nothing that the search can compare: main returned 'loss' (str); a search needs a number"
        in caplog.text
    )
    assert study_of(tmp_path / "sweep").trial(0).user_attrs["note"].startswith("main returned NaN")


def test_of_several_objectives_those_are_kept_that_no_other_one_beats(tmp_path: Path) -> None:
    wanted = settings(direction=["minimize", "maximize"], sampler={"name": "nsgaii", "seed": 1}, n_trials=12)
    jobs = searched(tmp_path / "sweep", wanted, lambda job: (values(job)["x"], values(job)["x"] + values(job)["y"]))

    told = found(tmp_path / "sweep")
    assert told.directions == ("minimize", "maximize")
    assert told.best
    points = [(values(job)["x"], -values(job)["x"] - values(job)["y"]) for job in jobs]
    best = [
        index
        for index, (a, b) in enumerate(points)
        if not any(c <= a and d <= b and (c, d) != (a, b) for c, d in points)
    ]
    assert [each.index for each in told.best] == best
    assert set(told.importance) == {"x", "y"}


def test_importance_needs_four_jobs_and_a_difference(tmp_path: Path) -> None:
    searched(tmp_path / "few", settings(n_trials=3))
    searched(tmp_path / "same", settings(n_trials=6), lambda job: 1.0)
    searched(tmp_path / "infinite", settings(n_trials=6), lambda job: math.inf)

    assert [dict(found(tmp_path / name).importance) for name in ("few", "same", "infinite")] == [{}, {}, {}]


def test_the_parameter_that_matters_is_the_important_one(tmp_path: Path) -> None:
    both = [Parameter(name=name, key=name, space=Reals(low=-2.0, high=2.0)) for name in ("x", "other")]
    searched(tmp_path / "sweep", settings(*both, sampler={"name": "random", "seed": 1}, n_trials=30))

    importance = found(tmp_path / "sweep").importance
    assert list(importance) == ["x", "other"]
    assert importance["x"] > 0.7


def test_no_search_has_no_summary_and_one_without_jobs_an_empty_one(tmp_path: Path) -> None:
    assert summary(tmp_path) is None

    opened(tmp_path)

    assert (found(tmp_path).n_trials, found(tmp_path).best, found(tmp_path).wanted) == ({}, (), 8)


# --- going on -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sampler", sorted(SAMPLERS))
def test_a_search_in_two_starts_is_the_same_as_in_one(sampler: str, tmp_path: Path) -> None:
    """Also when it was left with a job that nobody told the end of: that one is run again as it was."""
    parts = [KIND, Y] if sampler == "grid" else [X, Y]
    wanted = settings(*parts, sampler={"name": sampler, "seed": 4}, n_trials=10)
    whole = searched(tmp_path / "whole", wanted)

    searched(tmp_path / "parts", wanted, until=4)
    left = Search(tmp_path / "parts", wanted)
    dangling = left.job(4)
    resumed = searched(tmp_path / "parts", wanted)

    assert dangling == whole[4]
    assert resumed == whole
    one, other = found(tmp_path / "whole"), found(tmp_path / "parts")
    assert (one.n_trials, one.best) == (other.n_trials, other.best)
    trials = study_of(tmp_path / "parts").latest()
    assert [trial.number for trial in trials.values()] == list(trials) == list(range(10))


@pytest.mark.parametrize("sampler", ["tpe", "cmaes", "random", "nsgaii"])
def test_a_kill_while_a_trial_is_made_leaves_no_gap(sampler: str, tmp_path: Path) -> None:
    """A trial that was left half made gets the values that it would have got, and half a line is cut off."""
    options = {"n_startup_trials": 1} if sampler in ("tpe", "cmaes") else {}
    options |= {"population_size": 2} if sampler == "nsgaii" else {}
    wanted = settings(X, Y, KIND, sampler={"name": sampler, "seed": 3, **options}, n_trials=4)
    whole = searched(tmp_path / "whole", wanted)
    lines = (tmp_path / "whole/search/journal.log").read_bytes().splitlines(keepends=True)

    for cut in range(3, len(lines)):
        sweep = tmp_path / f"cut{cut}"
        (sweep / "search").mkdir(parents=True)
        (sweep / "search/search.json").write_bytes((tmp_path / "whole/search/search.json").read_bytes())
        half = lines[cut][: len(lines[cut]) // 2]
        (sweep / "search/journal.log").write_bytes(b"".join(lines[:cut]) + half)

        assert searched(sweep, wanted) == whole, f"cut before line {cut}: {lines[cut]!r}"
        assert found(sweep).n_trials == {"COMPLETE": 4}


def test_more_trials_can_be_asked_for_later(tmp_path: Path) -> None:
    six = searched(tmp_path / "six", settings(n_trials=6))
    searched(tmp_path / "more", settings(n_trials=3))

    assert searched(tmp_path / "more", settings(n_trials=6)) == six
    assert found(tmp_path / "more").wanted == 6
    assert len(searched(tmp_path / "more", settings(n_trials=2))) == 6


@pytest.mark.parametrize(
    ("other", "key"),
    [
        ({"sampler": {"name": "random", "seed": 3}}, "sampler:"),
        ({"sampler": {"name": "tpe", "seed": 4}}, "sampler.seed: 3, now 4"),
        ({"direction": "maximize"}, "direction:"),
        ({"pruner": "median"}, "pruner:"),
        ({"study_name": "other"}, "study_name: search, now other"),
    ],
)
def test_another_search_in_the_same_folder_is_refused(other: dict[str, Any], key: str, tmp_path: Path) -> None:
    searched(tmp_path, settings(), until=1)

    with pytest.raises(ConfigError, match=rf"was begun with another hydra\.sweeper\.{key}"):
        searched(tmp_path, settings(**other))
    with pytest.raises(ConfigError, match=r"was begun with another hydra\.sweeper\.params"):
        searched(tmp_path, settings(X))


def test_a_failed_job_that_is_run_again_has_the_same_values_and_what_it_returns_is_learnt(tmp_path: Path) -> None:
    sweep = tmp_path / "sweep"
    returned = iter([1.0, None, 2.0])
    jobs = searched(sweep, settings(n_trials=4), lambda job: next(returned), until=3)

    search = Search(sweep, settings(n_trials=4))
    search.take_up(1, again=True)
    assert search.job(1) == jobs[1]
    assert json.loads(SearchFiles(sweep).trial(1).read_text())["trial"] == 3
    search.tell(1, 0.25)
    search.tell(3, bowl(search.job(3)))

    told = found(sweep)
    assert told.n_trials == {"COMPLETE": 4}
    assert (told.best[0].index, told.best[0].values) == (1, (0.25,))
    assert {index: trial.number for index, trial in study_of(sweep).latest().items()} == {0: 0, 1: 3, 2: 2, 3: 4}


def test_a_result_that_comes_after_the_trial_was_given_up_is_learnt(tmp_path: Path) -> None:
    search = opened(tmp_path)
    search.job(0)
    search.tell_failed(0, "lost")
    search.tell(0, 0.5)
    search.tell(0, 9.0)

    assert found(tmp_path).n_trials == {"COMPLETE": 1}
    assert found(tmp_path).best[0].values == (0.5,)
    assert search.failures == 0


def test_a_search_learns_from_what_else_is_in_a_shared_study(tmp_path: Path) -> None:
    shared = {"storage": f"sqlite:///{tmp_path}/studies.db", "study_name": "common", "n_trials": 3}
    searched(tmp_path / "one", settings(**shared))
    searched(tmp_path / "two", settings(**shared))

    study = study_of(tmp_path / "two")
    assert len(study.open(0).trials) == 6
    assert list(study.latest()) == [0, 1, 2]
    assert str(tmp_path / "studies.db") not in [each.path for each in psutil.Process().open_files()]
    told = summary(tmp_path / "two", trusted=True)
    assert told is not None
    assert told.n_trials == {"COMPLETE": 3}
    with pytest.raises(ConfigError, match=r"The study 'common' in .* has other directions than maximize"):
        searched(tmp_path / "three", settings(**shared, direction="maximize"))


@pytest.mark.parametrize("storage", ["sqlite:///{}/other.db", "{}/other.log", "../../other.log", "search/link.log"])
def test_only_a_storage_in_the_sweeps_own_folder_is_opened_by_reading(tmp_path: Path, storage: str) -> None:
    """A record may be anybody's: a URL names a library and a server, and a path a file that is made, locked and cut."""
    sweep = tmp_path / "sweeps" / "1"
    sweep.parent.mkdir()
    searched(sweep, settings(n_trials=2))
    (sweep / "search" / "link.log").symlink_to(tmp_path / "other.log")
    record = read_json(SearchFiles(sweep).record)
    assert record is not None
    write_json(SearchFiles(sweep).record, {**record, "storage": storage.format(tmp_path)})

    told = found(sweep)
    assert (told.unopened, told.best, told.wanted) == (storage.format(tmp_path), (), 2)
    assert not list(tmp_path.glob("other*"))
    with suppress(StoreError):
        summary(sweep, trusted=True)
    assert not list(tmp_path.glob("other*")), "reading makes nothing"


# --- stopping early -----------------------------------------------------------------------------------------------

REPORTS = """\
import json, sys
from pathlib import Path
from anew.runner.search.pruning import pruning_of

sweep, index, level, steps = Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4])
pruning = pruning_of(sweep, index)
for step in range(steps):
    pruning.report(level + step / 100, step)
    if pruning.should_stop():
        print(json.dumps(step))
        break
else:
    print("null")
"""
MEDIAN = {"name": "median", "n_startup_trials": 2, "n_warmup_steps": 1}


def reporting(sweep: Path, index: int, level: float, steps: int = 5) -> subprocess.Popen[str]:
    """Start a process that reports for a job and says at which step it was to stop."""
    command = [sys.executable, "-W", "error", "-c", REPORTS, str(sweep), str(index), str(level), str(steps)]
    return subprocess.Popen(command, text=True, stdout=subprocess.PIPE)


def said(process: subprocess.Popen[str]) -> Any:
    with process:
        out, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    return json.loads(out)


def test_two_jobs_side_by_side_and_the_hopeless_one_is_stopped(tmp_path: Path) -> None:
    search = opened(tmp_path, pruner=MEDIAN, n_trials=4)
    for index, level in enumerate((0.1, 0.2)):
        search.job(index)
        assert said(reporting(tmp_path, index, level)) is None
        search.tell(index, level)
    for index in (2, 3):
        search.job(index)
    good, bad = reporting(tmp_path, 2, 0.05), reporting(tmp_path, 3, 7.0)

    assert (said(good), said(bad)) == (None, 1)
    search.tell(3, 7.01)
    search.tell(2, 0.05)
    told = found(tmp_path)
    assert told.n_trials == {"COMPLETE": 3, "PRUNED": 1}
    assert told.best[0].index == 2
    pruned = study_of(tmp_path).trial(3)
    assert pruned.intermediate_values == {0: 7.0, 1: 7.01}
    assert pruned.value == 7.01


def test_many_processes_report_at_once_and_nothing_is_lost(tmp_path: Path) -> None:
    search = opened(tmp_path, pruner={"name": "threshold", "upper": 100.0}, n_trials=4)
    for index in range(4):
        search.job(index)
    running = [reporting(tmp_path, index, 1.0, steps=20) for index in range(4)]

    assert [said(process) for process in running] == [None] * 4
    for index in range(4):
        assert len(study_of(tmp_path).trial(index).intermediate_values) == 20


def test_a_process_that_dies_while_it_reports_holds_up_nobody(tmp_path: Path) -> None:
    """Optuna's own locks would have the others wait for half a minute, and half a line would spoil the journal."""
    search = opened(tmp_path, pruner={"name": "threshold", "upper": 100.0}, n_trials=2)
    search.job(0)
    holding = (
        "import fcntl, os, sys, time\n"
        "lock = os.open(sys.argv[1] + '.lock', os.O_RDWR)\n"
        "fcntl.flock(lock, fcntl.LOCK_EX)\n"
        "open(sys.argv[1], 'ab').write(b'{\"op_code\":')\n"
        "print('held', flush=True)\n"
        "time.sleep(60)\n"
    )
    journal = str(tmp_path / "search/journal.log")
    with subprocess.Popen([sys.executable, "-c", holding, journal], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(signal.SIGKILL)
        process.wait()
    began = time.monotonic()
    search.tell(0, 1.0)
    search.job(1)
    search.tell(1, 2.0)

    assert time.monotonic() - began < 5
    assert found(tmp_path).n_trials == {"COMPLETE": 2}


@pytest.mark.parametrize(
    "pruner",
    [
        {"name": "percentile", "percentile": 25.0, "n_startup_trials": 1},
        {"name": "hyperband", "max_resource": 9},
        {"name": "successive_halving", "min_resource": 1, "reduction_factor": 2},
        {"name": "threshold", "upper": 5.0},
    ],
)
def test_every_pruner_stops_the_hopeless(pruner: dict[str, Any], tmp_path: Path) -> None:
    """Hyperband deals jobs out to brackets, some of which stop nothing for long; so there are several of them."""
    search = opened(tmp_path, pruner=pruner, n_trials=12)
    stopped = []
    for index in range(12):
        search.job(index)
        level = 0.1 if index < 4 else 100.0
        pruning = pruned(tmp_path, index)
        stopped.append(any(reported(pruning, level, step) for step in range(9)))
        search.tell(index, level)

    assert stopped[0] is False
    assert any(stopped[4:])
    assert found(tmp_path).n_trials["PRUNED"] == sum(stopped)


def pruned(sweep: Path, index: int) -> Pruning:
    pruning = pruning_of(sweep, index)
    assert pruning is not None
    return pruning


def reported(pruning: Pruning, value: float, step: int) -> bool:
    pruning.report(value, step)
    return pruning.should_stop()


def test_without_a_pruner_nothing_is_written_and_outside_of_a_search_there_is_nothing(tmp_path: Path) -> None:
    search = opened(tmp_path)
    search.job(0)
    before = (tmp_path / "search/journal.log").read_bytes()

    assert not reported(pruned(tmp_path, 0), 1e9, 0)
    assert pruning_of(tmp_path, 1) is None
    assert pruning_of(tmp_path / "other", 0) is None
    assert (tmp_path / "search/journal.log").read_bytes() == before


def test_with_several_objectives_no_job_is_stopped_which_is_said_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    opened(tmp_path, pruner="median", direction=["minimize", "minimize"]).job(0)
    pruning = pruned(tmp_path, 0)

    assert not any(reported(pruning, 1.0, step) for step in range(3))
    assert caplog.text.count("A search with several objectives stops no job early") == 1


def test_a_job_that_is_run_again_is_not_stopped_for_what_a_killed_attempt_said(tmp_path: Path) -> None:
    pruner = {"name": "threshold", "upper": 5.0}
    opened(tmp_path, pruner=pruner).job(0)
    assert reported(pruned(tmp_path, 0), 9.0, 3)

    search = opened(tmp_path, pruner=pruner)
    search.job(0)
    again = pruned(tmp_path, 0)
    assert not again.should_stop()
    assert not reported(again, 1.0, 0)
    search.tell(0, 1.0)

    assert found(tmp_path).n_trials == {"COMPLETE": 1}


def test_a_job_whose_trial_was_given_up_goes_on_unharmed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    search = opened(tmp_path, pruner={"name": "threshold", "upper": 5.0})
    search.job(0)
    pruning = pruned(tmp_path, 0)
    search.tell_failed(0, "lost")

    assert not any(reported(pruning, 9.0, step) for step in range(3))
    assert caplog.text.count("Job 0 is not stopped early any more") == 1


@pytest.mark.parametrize(("value", "step"), [("a", 0), (None, 0), (1.0, -1), (1.0, 0.5), (1.0, None)])
def test_a_report_that_is_none_is_refused(value: Any, step: Any, tmp_path: Path) -> None:
    opened(tmp_path).job(0)
    with pytest.raises(ValueRefusedError, match=r"report\(\) takes"):
        pruned(tmp_path, 0).report(value, step)


# --- without Optuna -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("library", ["optuna", "cmaes"])
def test_a_missing_library_is_named_with_the_extra_that_brings_it(
    library: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    both = [Parameter(name=name, key=name, space=Reals(low=0.0, high=1.0)) for name in "xy"]
    wanted = settings(*both, sampler="cmaes", n_trials=2, pruner="median")
    searched(tmp_path / "before", wanted)
    monkeypatch.setitem(sys.modules, library, None)
    message = rf"A search needs {library}\. To install it: pip install 'anew\[optuna\]'"

    with pytest.raises(MissingExtraError, match=message):
        searched(tmp_path / "after", wanted)
    if library == "optuna":
        with pytest.raises(MissingExtraError, match=message):
            summary(tmp_path / "before")
        with pytest.raises(MissingExtraError, match=message):
            pruned(tmp_path / "before", 0).report(1.0, 0)


def test_hydra_finds_the_sweeper_without_loading_optuna_or_our_rooms() -> None:
    report = (
        "import sys\n"
        "from hydra.core.plugins import Plugins\n"
        "from hydra.plugins.sweeper import Sweeper\n"
        "print(sorted(each.__name__ for each in Plugins.instance().discover(Sweeper)))\n"
        "print(sorted(name for name in sys.modules if name in ('optuna', 'anew', 'hydra_plugins.anew._spaces')))\n"
    )
    done = subprocess.run([sys.executable, "-W", "error", "-c", report], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["['BasicSweeper', 'OptunaSweeper']", "[]"]


# --- the sweeper --------------------------------------------------------------------------------------------------


class Streaming:
    """
    A launcher with `stream`, as the sweeper has to find it: some jobs at a time, told in another order, and what is on
    record not run again.
    """

    def __init__(self, main: Callable[[Sequence[str]], Any], beside: int = 1) -> None:
        self.main = main
        self.beside = beside
        self.ran: list[int] = []
        self.record: dict[int, JobReturn] = {}
        self.again = False
        self.left: int | None = None

    def stream(self, ask: Callable[[], list[str] | None], tell: Callable[[int, JobReturn], object]) -> None:
        count = 0
        running: list[tuple[int, list[str]]] = []
        while True:
            while len(running) < self.beside and (overrides := ask()) is not None:
                index, count = count, count + 1
                if (done := self.recorded(index)) is not None:
                    tell(index, done)
                else:
                    running.append((index, overrides))
            if not running:
                return
            index, overrides = running.pop()
            self.ran.append(index)
            if self.left == len(self.ran):
                raise KeyboardInterrupt
            self.record[index] = ended(self.main, overrides)
            tell(index, self.record[index])

    def recorded(self, index: int) -> JobReturn | None:
        done = self.record.get(index)
        return None if done is None or (self.again and done.status is JobStatus.FAILED) else done


def ended(main: Callable[[Sequence[str]], Any], overrides: Sequence[str]) -> JobReturn:
    done = JobReturn(overrides=overrides)
    try:
        done.return_value = main(overrides)
        done.status = JobStatus.COMPLETED
    except Exception as error:
        done.return_value = error
        done.status = JobStatus.FAILED
    return done


class Batches:
    """A launcher as Hydra has them."""

    def __init__(self, main: Callable[[Sequence[str]], Any]) -> None:
        self.main = main
        self.launched: list[tuple[int, int]] = []

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> list[JobReturn]:
        self.launched.append((initial_job_idx, len(job_overrides)))
        return [ended(self.main, overrides) for overrides in job_overrides]


def sweeper_of(sweep: Path, *overrides: str, launcher: Any = None, arguments: Sequence[str] = ()) -> Any:
    """Compose a configuration as an app does, and have Hydra make the sweeper."""
    app = sweep.parent / "conf"
    app.mkdir(exist_ok=True)
    (app / "config.yaml").write_text("x: 0.0\ny: 1\nkind: a\n")
    with initialize_config_dir(str(app), **CURRENT_BASE):
        cfg = compose(
            "config",
            [
                "hydra.searchpath=[pkg://anew.configs]",
                "hydra/sweeper=optuna",
                f"hydra.sweep.dir={sweep}",
                *overrides,
            ],
            return_hydra_config=True,
        )
        OmegaConf.set_readonly(cfg.hydra, False)
        cfg.hydra.overrides.task = list(arguments)
        context = HydraContext(config_loader=Options(), callbacks=None)  # type: ignore[arg-type]  # not called here
        made = Plugins.instance().instantiate_sweeper(config=cfg, hydra_context=context, task_function=lambda cfg: 0)
    if launcher is not None:
        made.launcher = launcher
    return made


ARGUMENTS = ["x=interval(-2,2)", "kind=a", "+y=range(5)"]
SEEDED = "hydra.sweeper.sampler.seed=7"


def swept(sweep: Path, launcher: Any, *overrides: str, arguments: Sequence[str] = ARGUMENTS) -> dict[str, Any]:
    sweeper_of(sweep, SEEDED, *overrides, launcher=launcher, arguments=arguments).sweep(list(arguments))
    written: dict[str, Any] = yaml.safe_load((sweep / "optimization_results.yaml").read_text())
    return written


def test_a_launcher_that_streams_is_handed_one_job_after_the_other(tmp_path: Path) -> None:
    launcher = Streaming(bowl)
    written = swept(tmp_path / "sweep", launcher, "hydra.sweeper.n_trials=6")

    assert launcher.ran == list(range(6))
    best = min(launcher.record.values(), key=lambda done: done.return_value)
    params = {key: type(value)(values(best.overrides or ())[key]) for key, value in written["best_params"].items()}
    assert written == {"name": "optuna", "best_params": params, "best_value": best.return_value}
    assert all((done.overrides or ())[1] == "kind=a" for done in launcher.record.values())
    assert (tmp_path / "sweep/multirun.yaml").exists()


def test_jobs_side_by_side_are_told_in_any_order(tmp_path: Path) -> None:
    launcher = Streaming(bowl, beside=3)
    swept(tmp_path / "sweep", launcher, "hydra.sweeper.n_trials=8")

    assert sorted(launcher.ran) == list(range(8))
    assert launcher.ran != list(range(8))
    for index, trial in study_of(tmp_path / "sweep").latest().items():
        assert trial.value == launcher.record[index].return_value


def test_any_other_launcher_is_handed_batches(tmp_path: Path) -> None:
    launcher = Batches(bowl)
    swept(tmp_path / "sweep", launcher, "hydra.sweeper.n_trials=7", "hydra.sweeper.n_jobs=3")

    assert launcher.launched == [(0, 3), (3, 3), (6, 1)]
    assert found(tmp_path / "sweep").n_trials == {"COMPLETE": 7}


def test_what_was_not_finished_is_handed_to_it_first_and_nothing_else_again(tmp_path: Path) -> None:
    sweep = tmp_path / "sweep"
    calls = iter(range(100))

    def main(overrides: Sequence[str]) -> float:
        if next(calls) in (2, 4):
            raise KeyboardInterrupt
        return bowl(overrides)

    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            swept(sweep, Batches(main), "hydra.sweeper.n_trials=7", "hydra.sweeper.n_jobs=2")
    launcher = Batches(main)
    swept(sweep, launcher, "hydra.sweeper.n_trials=7", "hydra.sweeper.n_jobs=2")

    assert launcher.launched == [(2, 2), (4, 2), (6, 1)]
    assert found(sweep).n_trials == {"COMPLETE": 7}


def test_a_stream_that_was_left_goes_on_and_failed_jobs_are_run_again(tmp_path: Path) -> None:
    sweep = tmp_path / "sweep"
    whole = Streaming(bowl)
    swept(tmp_path / "whole", whole, "hydra.sweeper.n_trials=8")

    def fails(overrides: Sequence[str]) -> float:
        if len(launcher.ran) == 3:
            raise ValueError("bad luck")
        return bowl(overrides)

    launcher = Streaming(fails)
    launcher.left = 5
    with pytest.raises(KeyboardInterrupt):
        swept(sweep, launcher, "hydra.sweeper.n_trials=8")
    assert found(sweep).n_trials == {"COMPLETE": 3, "FAIL": 1, "RUNNING": 1}
    launcher.left, launcher.again, launcher.main = None, True, bowl
    swept(sweep, launcher, "hydra.sweeper.n_trials=8")

    assert launcher.ran == [0, 1, 2, 3, 4, 2, 4, 5, 6, 7]
    assert found(sweep).n_trials == {"COMPLETE": 8}
    jobs = [[done.overrides for _, done in sorted(each.record.items())] for each in (launcher, whole)]
    assert jobs[0][:3] == jobs[1][:3]


def test_a_job_that_ended_while_nobody_listened_is_learnt_and_not_run_again(tmp_path: Path) -> None:
    sweep = tmp_path / "sweep"
    launcher = Streaming(bowl)
    launcher.left = 3
    with pytest.raises(KeyboardInterrupt):
        swept(sweep, launcher, "hydra.sweeper.n_trials=5")
    (left,) = (trial for trial in study_of(sweep).latest().values() if trial.state.name == "RUNNING")
    launcher.record[left.number] = ended(lambda overrides: -1.0, [])
    launcher.left = None
    swept(sweep, launcher, "hydra.sweeper.n_trials=5")

    assert launcher.ran == [0, 1, 2, 3, 4]
    assert found(sweep).best[0].values == (-1.0,)
    assert found(sweep).n_trials == {"COMPLETE": 5}


def test_a_job_that_was_stopped_while_nobody_listened_is_a_pruned_one(tmp_path: Path) -> None:
    sweep = tmp_path / "sweep"
    pruner = "hydra.sweeper.pruner={name: threshold, upper: 5.0}"
    launcher = Streaming(bowl)
    launcher.left = 2
    with pytest.raises(KeyboardInterrupt):
        swept(sweep, launcher, "hydra.sweeper.n_trials=3", pruner)
    assert reported(pruned(sweep, 1), 9.0, 0)
    launcher.record[1] = ended(lambda overrides: 9.0, [])
    launcher.left = None
    swept(sweep, launcher, "hydra.sweeper.n_trials=3", pruner)

    assert launcher.ran == [0, 1, 2]
    assert found(sweep).n_trials == {"COMPLETE": 2, "PRUNED": 1}


def test_a_launcher_with_nothing_on_record_runs_again_what_it_is_handed_and_what_is_known_stays(tmp_path: Path) -> None:
    sweep = tmp_path / "sweep"
    for _ in range(2):
        launcher = Streaming(bowl)
        launcher.recorded = lambda index: None  # type: ignore[method-assign]
        swept(sweep, launcher, "hydra.sweeper.n_trials=4")

    assert launcher.ran == [0, 1, 2, 3]
    assert found(sweep).n_trials == {"COMPLETE": 4}


@pytest.mark.parametrize("make", [Streaming, Batches])
def test_failed_jobs_end_the_search_only_when_there_are_too_many(make: Any, tmp_path: Path) -> None:
    def fails(overrides: Sequence[str]) -> Any:
        if values(overrides)["y"] > 2:
            raise ValueError("bad luck\nmore of it")
        return bowl(overrides)

    written = swept(tmp_path / "goes_on", make(fails), "hydra.sweeper.n_trials=8")
    told = found(tmp_path / "goes_on")
    assert told.n_trials["FAIL"] > 0
    assert written["best_value"] == told.best[0].values[0]

    launcher = make(fails)
    with pytest.raises(SearchFailedError, match=r"1 of 8 jobs failed, and .*max_failure_rate=0 lets 0 fail"):
        swept(tmp_path / "ends", launcher, "hydra.sweeper.n_trials=8", "hydra.sweeper.max_failure_rate=0")
    assert found(tmp_path / "ends").n_trials["FAIL"] == 1
    assert (tmp_path / "ends/optimization_results.yaml").exists()


def test_a_main_that_returns_no_number_has_no_best(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    launcher = Streaming(lambda overrides: None)
    with pytest.raises(SearchFailedError, match=r"ended with job 0: main returned None .*; a search needs a number"):
        swept(tmp_path / "sweep", launcher, "hydra.sweeper.n_trials=2")

    written = yaml.safe_load((tmp_path / "sweep/optimization_results.yaml").read_text())
    assert written == {"name": "optuna", "best_params": {}, "best_value": None}
    assert caplog.text.count("main returned None (NoneType); a search needs a number to minimize") == 1


def test_several_objectives_have_solutions(tmp_path: Path) -> None:
    launcher = Streaming(lambda overrides: [bowl(overrides), values(overrides)["x"]])
    written = swept(
        tmp_path / "sweep",
        launcher,
        "hydra/sweeper/sampler=nsgaii",
        "hydra.sweeper.n_trials=8",
        "hydra.sweeper.direction=[minimize,maximize]",
    )

    assert written["name"] == "optuna"
    assert [set(solution) for solution in written["solutions"]] == [{"params", "values"}] * len(written["solutions"])
    assert len(written["solutions"]) == len(found(tmp_path / "sweep").best)


@pytest.mark.parametrize("sampler", sorted(SAMPLERS))
def test_each_sampler_has_a_file_with_all_its_options(sampler: str, tmp_path: Path) -> None:
    shipped = yaml.safe_load((files("anew.configs") / f"hydra/sweeper/sampler/{sampler}.yaml").read_text())
    assert shipped == {"name": sampler, "seed": None, **dict.fromkeys(SAMPLERS[sampler])}
    arguments = ["x=range(4)", "+y=range(5)"]
    overrides = (f"hydra/sweeper/sampler={sampler}", "hydra.sweeper.n_trials=2")
    swept(tmp_path / "sweep", Streaming(bowl), *overrides, arguments=arguments)
    assert found(tmp_path / "sweep").sampler == sampler


def test_a_sampler_by_name_and_params_from_the_configuration(tmp_path: Path) -> None:
    sweeper = sweeper_of(
        tmp_path / "sweep",
        "hydra.sweeper.sampler=random",
        "hydra.sweeper.pruner={name: median, n_startup_trials: 1}",
        "hydra.sweeper.params={x: 'interval(0, 1)', y: 'range(3)'}",
        "hydra.sweeper.direction=maximize",
        "hydra.sweeper.n_trials=3",
        launcher=Streaming(bowl),
        arguments=["y=4"],
    )
    assert sweeper.direction == "maximize"
    sweeper.sweep(["y=4"])

    assert all(done.overrides[1] == "y=4" for done in sweeper.launcher.record.values())
    assert found(tmp_path / "sweep").directions == ("maximize",)
    assert not list((tmp_path / "sweep/search").glob(".*"))


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("hydra.sweeper.sampler=tpee", r"Did you mean tpe\?"),
        ("hydra.sweeper.sampler.n_startup_trials=x", r"sampler\.n_startup_trials is 'x'; it takes a number"),
        ("hydra.sweeper.direction=up", "direction is 'up'"),
        ("hydra/sweeper/sampler=grid", "is grid, which needs a finite space"),
        ("hydra.sweeper.params={x: 3}", r"params\.x is 3, which is no space to search"),
        ("hydra.sweeper.n_jobs=0", "n_jobs is 0; it takes a whole number from 1 on"),
        ("hydra.sweeper.pruner=medium", r"Did you mean median\?"),
    ],
)
def test_a_wrong_configuration_is_refused_before_anything_is_written(
    override: str, message: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=message):
        sweeper_of(tmp_path / "sweep", override, arguments=ARGUMENTS)
    assert not (tmp_path / "sweep").exists()


# --- an app, and kill -9 ------------------------------------------------------------------------------------------

APP = """\
import os, sys, time
from pathlib import Path
import hydra, mended
from hydra.core.hydra_config import HydraConfig

@hydra.main(config_path="conf", config_name="config", version_base="1.3")
def main(cfg):
    job = HydraConfig.get().job.num
    with open(Path(__file__).parent / "marks", "a") as marks:
        marks.write(f"{job}\\n")
    if os.environ.get("KILLED_IN") == str(job):
        os.kill(os.getpid(), 9)
    if job == 1 and os.environ.get("FAILS"):
        raise ValueError("bad luck")
    return (cfg.x - 0.5) ** 2 + cfg.y

main()
"""


def app(folder: Path, *overrides: str, code: int = 0, **environment: str) -> str:
    """Run a small Hydra app that searches; return what it printed."""
    (folder / "conf").mkdir(parents=True, exist_ok=True)
    (folder / "conf/config.yaml").write_text(
        textwrap.dedent(
            """\
            defaults:
              - override hydra/sweeper: optuna
              - _self_
            x: 0.0
            y: 1
            hydra:
              searchpath: [pkg://anew.configs]
              sweep: {dir: multirun}
              sweeper: {n_trials: 8, sampler: {seed: 5, n_startup_trials: 3}}
            """
        )
    )
    (folder / "app.py").write_text(APP if CURRENT_BASE else APP.replace(', version_base="1.3"', ""))
    done = subprocess.run(
        [sys.executable, "-W", "error", "app.py", "-m", "x=interval(-2,2)", "y=range(3)", *overrides],
        cwd=folder,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(APPS), **environment},
        timeout=120,
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_a_search_that_was_killed_and_resumed_equals_one_that_was_not(tmp_path: Path) -> None:
    app(tmp_path / "whole")
    for job in ("2", "5"):
        app(tmp_path / "killed", code=-signal.SIGKILL, KILLED_IN=job)
    app(tmp_path / "killed")

    one, other = found(tmp_path / "whole/multirun"), found(tmp_path / "killed/multirun")
    assert one.n_trials == other.n_trials == {"COMPLETE": 8}
    assert one.best == other.best
    both = [study_of(tmp_path / name / "multirun").latest() for name in ("whole", "killed")]
    assert [trial.params for trial in both[0].values()] == [trial.params for trial in both[1].values()]
    marks = (tmp_path / "killed/marks").read_text().split()
    assert marks == ["0", "1", "2", "2", "3", "4", "5", "5", "6", "7"]
    results = [(tmp_path / name / "multirun/optimization_results.yaml").read_text() for name in ("whole", "killed")]
    assert results[0] == results[1]


def test_an_app_with_a_failing_job_searches_to_the_end(tmp_path: Path) -> None:
    out = app(tmp_path, FAILS="1")

    assert "Job 1 of the search failed: ValueError: bad luck" in out
    assert found(tmp_path / "multirun").n_trials == {"COMPLETE": 7, "FAIL": 1}
