"""Runs that are started in another run are tied to it, in every store, and come again when it is run again."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from anew.runner.query.branches import branches
from anew.runner.records import ParentRun
from tests.helpers.scripts import Project, anew
from tests.helpers.stores import add_run

OUTER = """
import random, subprocess
inner, outer = Experiment("inner"), Experiment("outer")
@inner.main
def fit(x: int = 1):
    return x + random.random()
@outer.main
def main(n: int = 2):
    found = [fit.run(x=x).result for x in range(n)]
    swept = fit.sweep(x=[5, 6])
    subprocess.run([sys.executable, "other.py", "-q"], check=True)
    return [*found, *(job.result for job in swept.jobs)]
"""
OTHER = """
@experiment.main
def main(z: int = 3):
    return z
"""


@pytest.fixture
def trial(project: Path) -> Project:
    (project / "pyproject.toml").touch()
    trial = Project(project)
    trial.write(OUTER)
    trial.write(OTHER, "other.py")
    return trial


def test_children_are_tied_to_their_parent_and_come_again_with_it(trial: Project) -> None:
    trial.run("-q")
    parent = trial.record(1)
    assert parent.parent is None
    children = [trial.record(number) for number in range(2, 7)]
    assert {child.parent for child in children} == {ParentRun(id=1, uid=parent.uid)}
    assert [child.experiment for child in children] == [*["inner"] * 4, "trial"]
    start = trial.store.sweep_folder(1).start()
    assert start is not None
    assert start.parent == ParentRun(id=1, uid=parent.uid)

    listed = [line.split("  ")[0] for line in anew(trial, "list").stdout.splitlines()[1:]]
    assert listed == ["1", "├ 6", "├ 5", "├ 4", "├ 3", "└ 2"]
    assert len(anew(trial, "list", "--top").stdout.splitlines()) == 2
    assert len(trial.store.find("parent == 1")) == 5
    shown = anew(trial, "show", "1").stdout
    assert "Runs in it" in shown
    assert "└ 6" in shown
    assert "run 1" in anew(trial, "show", "2").stdout
    assert json.loads(anew(trial, "show", "1", "--json").stdout)["children"] == [2, 3, 4, 5, 6]

    # what the children draw follows from the parent's seed; they are recorded as what lies in the project
    assert "identical" in anew(trial, "rerun", "1").stdout
    again = [trial.record(number) for number in range(8, 13)]
    assert {child.parent for child in again} == {ParentRun(id=7, uid=trial.record(7).uid)}
    assert [(child.command.target, child.source.root) for child in again] == [
        (child.command.target, child.source.root) for child in children
    ]
    for number in (3, 12):
        assert "identical" in anew(trial, "rerun", str(number)).stdout
        assert trial.record().parent is None


def test_a_sweep_that_is_taken_up_again_stays_in_its_run(trial: Project) -> None:
    trial.write("""
    inner, outer = Experiment("inner"), Experiment("outer")
    @inner.main
    def fit(x: int = 1):
        if not os.path.exists("go"):
            raise ValueError("not yet")
        return x
    @outer.main
    def main(n: int = 2):
        fit.sweep(x=[5, 6], workers=2)
    """)
    trial.run("-q")
    (trial.folder / "go").touch()
    anew(trial, "sweep", "resume", "1")
    assert {record.parent.id for record in trial.store.find("experiment == inner") if record.parent} == {1}
    assert len(trial.store.find("parent == 1")) == 4


def test_an_unrecorded_run_is_nobodys_parent_and_the_parent_may_be_in_another_store(trial: Project) -> None:
    trial.write("""
    inner, outer = Experiment("inner"), Experiment("outer")
    @inner.main
    def fit(x: int = 1): return x
    @outer.main
    def main(n: int = 2):
        fit.run(store=os.path.abspath("others"))
    """)
    trial.run("-q", "--unrecorded")
    trial.run("-q")
    from anew.runner.store.folder import FolderStore

    others = FolderStore.open(trial.folder / "others")
    assert [record.parent for record in others.find()] == [ParentRun(id=None, uid=trial.record(1).uid), None]


def test_numbers_belong_to_a_store_and_children_outlive_their_parent(trial: Project) -> None:
    store = trial.folder / "runs"
    from anew.runner.store.folder import FolderStore

    here = FolderStore.open(store, create=True)
    add_run(here)
    parent = add_run(here)
    child = add_run(here, parent=ParentRun(id=parent, uid=here.get(parent).uid))
    there = FolderStore.open(trial.folder / "there", create=True)
    for _ in range(4):
        add_run(there)
    anew(trial, "sync", "runs", "there")
    moved = there.resolve(here.get(parent).uid)
    assert moved != parent
    [found] = there.find(f"parent == {moved}")
    assert (found.uid, found.parent) == (here.get(child).uid, ParentRun(id=moved, uid=here.get(parent).uid))
    assert there.get(found.uid).parent == found.parent
    assert there.find(f"parent == {parent}") == []

    done = anew(trial, "delete", str(parent))
    assert f"anew delete 'parent == {parent}'" in done.stdout
    assert [record.id for record in here.find(f"parent == {parent}")] == [child]
    assert len(anew(trial, "list", "--top").stdout.splitlines()) == 3
    anew(trial, "delete", f"parent == {parent}", "--yes")
    assert [record.id for record in here.find()] == [1]


def test_runs_that_name_each_other_are_all_shown(trial: Project) -> None:
    from dataclasses import replace

    from anew.runner.store.folder import FolderStore

    store = FolderStore.open(trial.folder / "runs", create=True)
    one, two = (store.get(add_run(store)) for _ in range(2))
    one = replace(one, parent=ParentRun(id=None, uid=two.uid))
    two = replace(two, parent=ParentRun(id=None, uid=one.uid))
    assert branches([two, one]) == [("", two), ("", one)]
    own = replace(one, parent=ParentRun(id=None, uid=one.uid))
    assert branches([own]) == [("", own)]
