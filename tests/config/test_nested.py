"""Classes inside lists of lists and dicts of dicts: checked, and given to main as what they are."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.helpers.scripts import Project

BODY = """
from dataclasses import dataclass, field

@dataclass
class Plain:
    a: int = 1

@dataclass
class Tupled:
    a: int = 1
    t: tuple[int, ...] = (1, 2)

@dataclass
class Outer:
    rows: list[list[Plain]] = field(default_factory=list)

@experiment.main
def main(
    p: list[list[Plain]] = [[Plain()]],
    dd: dict[str, dict[str, Plain]] = {"a": {"b": Plain(2)}},
    dl: dict[str, list[Tupled]] = {"x": [Tupled(3)]},
    ld: list[dict[str, Tupled]] = [{"k": Tupled(4)}],
    outer: Outer = Outer(),
):
    print(p, dd, dl, ld, outer, sep="\\n")
"""
DEFAULTS = """\
[[Plain(a=1)]]
{'a': {'b': Plain(a=2)}}
{'x': [Tupled(a=3, t=(1, 2))]}
[{'k': Tupled(a=4, t=(1, 2))}]
Outer(rows=[])
"""
GIVEN = """\
[[Plain(a=5), Plain(a=1)], []]
{'a': {'b': Plain(a=2)}, 'y': {'z': Plain(a=6)}}
{'x': [Tupled(a=3, t=(1, 2))], 'y': [Tupled(a=1, t=(7,))]}
[{'k': Tupled(a=8, t=(1, 2))}]
Outer(rows=[[Plain(a=9)]])
"""
WORDS = ["p=[[{a:5},{}],[]]", "dd={y:{z:{a:6}}}", "dl={y:[{t:[7]}]}", "ld=[{k:{a:8}}]", "outer={rows:[[{a:9}]]}"]


@pytest.fixture
def trial(project: Path) -> Project:
    trial = Project(project)
    trial.write(BODY)
    return trial


def test_main_is_given_instances(trial: Project) -> None:
    assert trial.run().stdout == DEFAULTS
    assert trial.run(*WORDS).stdout == GIVEN


@pytest.mark.parametrize(
    ("word", "place"),
    [
        ("p=[[{a:x}]]", "p[0][0]"),
        ("p=[[{b:1}]]", "p[0][0]"),
        ("dd={y:{z:{a:x}}}", "dd.y.z"),
        ("dl={y:[{t:[x]}]}", "dl.y[0]"),
        ("ld=[{k:{b:1}}]", "ld[0].k"),
        ("outer={rows:[[{a:x}]]}", "outer.rows[0][0]"),
    ],
)
def test_a_wrong_value_is_refused_with_its_place(trial: Project, word: str, place: str) -> None:
    done = trial.run(word, code=2)
    assert f"{place} is {{" in done.stderr
    assert "it takes a mapping with the fields of" in done.stderr
    assert not trial.has_runs


@pytest.mark.parametrize("is_chained", [False, True])
def test_a_failure_of_a_run_in_a_run_shows_no_frames_of_ours(project: Path, is_chained: bool) -> None:
    trial = Project(project)
    trial.write("""
outer = Experiment("outer")

@experiment.main
def inner(a: int = 1):
    raise ValueError("deep")

def chained():
    try:
        inner.run(a=2)
    except ValueError as error:
        raise RuntimeError("chained") from error

@outer.main
def main(chain: bool = False):
    chained() if chain else inner.run(a=2)
""")
    done = trial.run(f"chain={is_chained}", code=1)
    failed = next(record for record in trial.store.find() if record.experiment == "outer")
    assert failed.error is not None
    for told in (done.stderr, failed.error.traceback):
        assert 'raise ValueError("deep")' in told
        assert "inner.run(a=2)" in told
        assert "anew/runner" not in told
