"""Runs and questions of every kind, to compare what different ways of answering say."""

from __future__ import annotations

import math
import random
from typing import Any

from hypothesis import strategies as st

from anew.runner.format import ids
from anew.runner.query.filters import parse_filter
from anew.runner.query.names import More
from anew.runner.query.sorting import sort_records
from anew.runner.query.tree import passes
from anew.runner.records import GitFacts, ParentRun, RerunOf, RunRecord, Status, SweepMembership
from anew.runner.store.folder import FolderStore
from tests.helpers.stores import add_run

VALUES: list[Any] = [
    *(0.1, 0.01, 1, 0, -3, 2**70, 10**30, 2**53 + 1, math.nan, math.inf, -0.0, True, False, None),
    *("mlp", "MLP", "Straße", "İx", "1", "true", "", "2h", "a\0b", "\ud800", "K"),
    *([1, 2], [], ["a", "B"], [[1], 2], [None], {"deep": 1}, {}, {"x": [1, {"y": "mlp"}]}, [64, 32]),
]
KEYS = ["lr", "model", "a.b", "loss", "seed", "gpu", "n"]
NAMES = [
    *("lr", "loss", "config.lr", "config.model", "config.model.deep", "model.x.1.y", "config.a.b", "loss.min", "n"),
    *("loss.max", "loss.count", "loss.first", "loss.mean", "loss.at(1)", "metric.acc", "acc.best", "result", "seed"),
    *("result.k", "status", "tag", "note", "experiment", "started", "ended", "duration", "sweep", "sweep.uid", "id"),
    *("rerun_of", "parent", "commit", "branch", "dirty", "gpu", "host", "pkg.torch", "pkg.Num_Py", "python", "verdict"),
    *("artifact", "artifact.sha256", "error", "config.gpu", "choices.m", "info.z", "uid", "missing", "run.gpu"),
]
LITERALS = [
    *(
        "0.1",
        "1",
        "0",
        "-3",
        "1e-2",
        "true",
        "false",
        "none",
        "nan",
        "inf",
        "mlp",
        "'MLP'",
        "'1'",
        "''",
        "2h",
        "Straße",
    ),
    *("1180591620717411303424", "64", "deep", "2.1", "2.1.0", "2.*", "today", "a"),
    *(
        "2020-01-01",
        "3",
        "7",
        "paper",
        "abcd",
        "abcdef12",
        "main",
        "ValueError",
        "digits",
        "host",
        "9007199254740992",
        "k",
    ),
]


def some_runs(store: FolderStore, count: int, *, going_on: bool = True) -> None:
    """Fill a store; with *going_on* some runs have no end."""
    chance = random.Random(11)
    last = None if going_on else Status.INTERRUPTED

    def any_value() -> Any:
        return chance.choice(VALUES)

    uids: list[str] = []
    sweeps = [ids.new_uid() for _ in range(3)]
    for number in range(count):
        config = {key: any_value() for key in KEYS if chance.random() < 0.6}
        finite = [value for value in VALUES if isinstance(value, (int, float)) and not isinstance(value, bool)]
        metrics = {
            name: [chance.choice(finite) for _ in range(chance.randrange(1, 4))]
            for name in ("loss", "acc", "n", "loss.min")
            if chance.random() < 0.5
        }
        commit = chance.choice(["abcdef1234", "abcd99", None])
        changes: dict[str, Any] = {"git": GitFacts(commit=commit, branch="main", dirty=chance.random() < 0.5)}
        if chance.random() < 0.3:
            changes["sweep"] = SweepMembership(id=chance.choice([3, 7, None]), index=0, uid=sweeps[number % 3])
        if uids and chance.random() < 0.3:
            changes["rerun_of"] = RerunOf(id=chance.choice([1, 99, None]), uid=chance.choice([*uids, "01gone"]))
        if uids and chance.random() < 0.3:
            changes["parent"] = ParentRun(id=1, uid=chance.choice(uids))
        made = add_run(
            store,
            config=config,
            metrics=metrics,
            status=chance.choice([Status.COMPLETED, Status.COMPLETED, Status.FAILED, last]),
            result=any_value() if chance.random() < 0.5 else {"k": any_value()},
            artifacts={"model.pt": b"x"} if chance.random() < 0.3 else None,
            packages={"torch": chance.choice(["2.1.0+cu121", "2.0", "1.13", "odd"]), "num-py": "1"},
            tags=[name for name in ("paper", "Ä", "b") if chance.random() < 0.3],
            minutes_ago=chance.choice([1.0, 100.0, 100_000.0]),
            choices={"m": chance.choice(["small", "big"])},
            info={"z": any_value()} if chance.random() < 0.4 else {},
            note=chance.choice([None, "a fine run"]),
            **changes,
        )
        uids.append(store.get(made).uid)


def one_by_one(
    records: list[RunRecord], more: More, where: str, sort: str | None, limit: int | None = None
) -> list[str]:
    """What a question means: the uids of those of *records*, in order."""
    tree = parse_filter(where).tree
    found = [record for record in records if passes(tree, record, more)]
    return [record.uid for record in (found if sort is None else sort_records(found, sort, more))][:limit]


NAME = st.sampled_from(NAMES)
LITERAL = st.sampled_from(LITERALS)
LEAF = st.one_of(
    st.builds("{} {} {}".format, NAME, st.sampled_from(["<", "<=", ">", ">=", "==", "!="]), LITERAL),
    st.builds("{} in [{}, {}]".format, NAME, LITERAL, LITERAL),
    st.builds("{} not in [{}]".format, NAME, LITERAL),
    st.builds("{} == [{}, {}]".format, NAME, LITERAL, LITERAL),
    st.builds("{} ~ '{}'".format, NAME, st.sampled_from(["^m", "a|b", "1", "True", "S", ".", "^$"])),
    st.builds("has({})".format, NAME),
)
_ANY = st.recursive(
    LEAF,
    lambda inner: st.one_of(
        st.builds("not ({})".format, inner),
        st.builds("({}) and ({})".format, inner, inner),
        st.builds("({}) or ({})".format, inner, inner),
    ),
    max_leaves=5,
)


def _is_one(text: str) -> bool:
    try:
        parse_filter(text)
    except ValueError:
        return False
    return True


QUERY = _ANY.filter(_is_one)
SORT = st.none() | NAME | NAME.map("-{}".format)
