"""Which columns tell runs apart, and which names nobody has."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timezone
from typing import Any

from anew.runner.query.columns import shared_metrics, strangers, varying_inputs
from anew.runner.records import CommandFacts, MetricSummary, RunRecord


def run(config: dict[str, Any] | None = None, metrics: tuple[str, ...] = (), **choices: str) -> RunRecord:
    summary = MetricSummary(last=1.0, min=1.0, max=1.0, count=1)
    return RunRecord(
        uid="0" * 26,
        experiment="x",
        started_at=datetime.now(timezone.utc),
        command=CommandFacts(argv=(), cwd="/"),
        config=config or {},
        choices=choices,
        metrics=dict.fromkeys(metrics, summary),
    )


def test_what_varies_and_most_runs_have_comes_first() -> None:
    runs = [run({"same": 1, "rare": index, "m": {"lr": index % 2, "n": index}}) for index in range(4)]
    runs.append(run({"same": 1, "m": {"lr": 7, "n": 9}}))
    assert varying_inputs(runs) == ["config.m.lr", "config.m.n", "config.rare"]
    assert varying_inputs(runs, most=1) == ["config.m.lr"]
    assert varying_inputs(runs[:1]) == []
    assert varying_inputs([]) == []


def test_a_chosen_group_stands_for_the_keys_below_it() -> None:
    runs = [run({"model": {"k": 3}, "lr": 1}, model="knn"), run({"model": {"depth": 2}, "lr": 2}, model="tree")]
    assert varying_inputs(runs) == ["choices.model", "config.lr"]


def test_equal_numbers_of_other_types_and_lists_differ_as_written() -> None:
    assert varying_inputs([run({"a": 1}), run({"a": 1.0})]) == ["config.a"]
    assert varying_inputs([run({"a": [1, 2]}), run({"a": [1, 2]})]) == []


def test_metrics_that_most_runs_have_come_first_and_those_of_the_machine_never() -> None:
    runs = [run(metrics=("rare", "loss", "system/cpu_percent")), run(metrics=("loss", "time/step"))]
    assert shared_metrics(runs) == ["loss", "rare"]
    assert shared_metrics(runs, most=1) == ["loss"]


def test_names_that_nobody_has_are_told_with_the_nearest() -> None:
    runs = [run({"lr": 0.1}, ("train/loss",)), run({"lr": 0.2, "depth": 1}, model="mlp")]
    assert strangers(runs, ["lr", "config.depth", "train/loss", "status", "note", "choices.model"]) == {}
    assert strangers(runs, ["train/lss", "config.dpth", "zzz"]) == {
        "train/lss": "train/loss",
        "config.dpth": "config.depth",
        "zzz": None,
    }


def test_keys_below_a_varying_group_are_told_that_were_typed_or_differ_among_those_that_have_them() -> None:
    tree = [run({"model": {"depth": depth, "leaf": 1, "split": "gini"}, "lr": 1}, model="tree") for depth in (2, 3)]
    typed = replace(tree[1], overrides=("model=tree", "model.leaf=1"))
    knn = replace(run({"model": {"k": 3}, "lr": 1}, model="knn"), overrides=("model=knn",))
    assert varying_inputs([knn, tree[0], typed]) == ["choices.model", "config.model.depth", "config.model.leaf"]
    assert varying_inputs([knn, tree[1]]) == ["choices.model"]


def test_columns_are_in_the_order_of_the_parameters() -> None:
    runs = [run({"b": index, "m": {"x": index % 2}, "a": index % 3}, m=str(index % 2)) for index in range(6)]
    assert varying_inputs(runs) == ["config.b", "choices.m", "config.m.x", "config.a"]
    assert varying_inputs([run({"z": n, "a": n % 2, "k": -n}) for n in range(4)]) == [
        "config.z",
        "config.a",
        "config.k",
    ]
