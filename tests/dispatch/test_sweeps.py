"""Sweeps of several people, all called 1, in one store: none is taken for another, in whatever order they came."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from anew.runner.dispatch.transfer import to_folder
from anew.runner.errors import AmbiguousRefError, SweepNotFoundError
from anew.runner.format import serial
from anew.runner.records import RunRecord, Status, SweepMembership
from anew.runner.store.choosing import choose
from anew.runner.store.folder import FolderStore
from anew.runner.store.locate import open_run_folders
from anew.runner.store.run_folders import RunFolders
from tests.helpers.scripts import Project, anew
from tests.helpers.stores import add_run
from tests.helpers.waiting import until
from tests.helpers.wire import MongoServer, with_database

pytest_plugins = ("tests.helpers.wire",)

SCRIPT = """
@experiment.main
def main(x: int = 0, *, run: Run):
    run.log({"loss": 1.0 / (x + 1)})
    if x in (2, 20) and not os.path.exists("mended"):
        raise ValueError(x)
    return x
"""


@dataclass(frozen=True)
class Person:
    """Somebody with a project, a store and a key of their own."""

    name: str
    folder: Path
    results: dict[int, Any]
    uid: str = ""

    @property
    def env(self) -> dict[str, str]:
        """What tells their processes from another's."""
        return {"XDG_STATE_HOME": str(self.folder / "state"), "XDG_CACHE_HOME": str(self.folder / "cache")}

    @property
    def store(self) -> FolderStore:
        """Their store."""
        return FolderStore.open(self.folder / "runs")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Person, Person]:
    """Two people, whose sweeps are both called 1, and have the same jobs' indices and experiment."""
    root = tmp_path_factory.mktemp("people")
    return person(root / "ada", [1, 2, 3]), person(root / "bob", [10, 20, 30])


def empty_project(folder: Path) -> Project:
    folder.mkdir(parents=True)
    (folder / "pyproject.toml").touch()
    return Project(folder)


def person(folder: Path, values: Sequence[int], *words: str) -> Person:
    """Run a sweep as somebody; the second of its three jobs fails."""
    project = empty_project(folder)
    project.write(SCRIPT)
    found = Person(folder.name, folder, {index: value for index, value in enumerate(values) if index != 1})
    project.run("-m", f"x={','.join(map(str, values))}", *(words or ["anew.quiet=true"]), code=1, env=found.env)
    [uid] = found.store.sweeps_of_uid("").values()
    return replace(found, uid=uid)


@pytest.fixture
def people(made: tuple[Person, Person], tmp_path: Path) -> dict[str, Person]:
    """The same, in folders that a test may change; where their files lie is on record, and is as it was."""
    for each in made:
        shutil.copytree(each.folder / "runs", tmp_path / each.name / "runs")
        shutil.copytree(each.folder / "state", tmp_path / each.name / "state", dirs_exist_ok=True)
        (tmp_path / each.name / "pyproject.toml").touch()
    return {each.name: replace(each, folder=tmp_path / each.name) for each in made}


def forget_uids(runs: Path) -> None:
    """Have a store be as earlier versions wrote it: members and claims say numbers alone."""
    for path in runs.glob("[0-9]*/run.json"):
        raw = serial.unseal(path.read_bytes())
        if raw.get("sweep"):
            raw["sweep"].pop("uid")
            path.write_bytes(serial.seal(raw))
    for path in runs.glob("sweeps/*/taken/*.json"):
        raw = serial.unseal(path.read_bytes())
        raw.pop("uid")
        path.write_bytes(serial.seal(raw))
    for path in runs.glob("index.sqlite*"):
        path.unlink()


def sync(where: Person, source: Path | str, target: Path | str, code: int = 0) -> str:
    return anew(where.folder, "sync", str(source), str(target), code=code, **where.env).stdout


def assert_apart(store: RunFolders, people: Sequence[Person]) -> None:
    """Whatever names a sweep of a store names one person's, whole."""
    numbers = {each.name: next(iter(store.sweeps_of_uid(each.uid))) for each in people}
    assert len(set(numbers.values())) == len(people)
    assert sorted(store.sweep_numbers()) == sorted(numbers.values())
    for each in people:
        number = numbers[each.name]
        for ref in (number, each.uid, each.uid[:12], f"sweep:{number}"):
            if ref == each.uid[:12] and sum(other.uid.startswith(str(ref)) for other in people) > 1:
                continue
            sweep = store.sweep(ref)
            assert (sweep.id, sweep.start.uid, sweep.warnings) == (number, each.uid, ())
            assert {job.index: job.result for job in sweep.jobs if job.status is Status.COMPLETED} == each.results
            assert [job.status for job in sweep.jobs] == [Status.COMPLETED, Status.FAILED, Status.COMPLETED]
        members = store.find(f"sweep == {number}")
        assert sorted(record.config["x"] for record in members) == sorted([*each.results.values(), _failed(each)])
        assert {record.uid for record in store.find(f"sweep.uid == {each.uid}")} == _uids(members)
        for word in (f"sweep:{number}", f"sweep:{each.uid}"):
            chosen = choose(store, [word])
            assert not chosen.refused
            assert {store.get(run).uid for run in chosen.numbers} == _uids(members)
        for index, result in each.results.items():
            for ref in (f"sweep:{number}/{index}", f"sweep:{each.uid}/{index}"):
                found = store.get(ref)
                assert found.result == result
                assert found.sweep is not None
                assert (found.sweep.id, found.sweep.uid) == (number, each.uid)


def _failed(each: Person) -> int:
    return int(sum(each.results.values())) // 2


def _uids(records: Sequence[RunRecord]) -> set[str]:
    return {record.uid for record in records}


ORDERS = ["ada into bob", "bob into ada", "both into new", "the other way into new"]


def merge(people: dict[str, Person], order: str, target: str) -> str:
    """Merge the stores, everything twice; return where to."""
    ada, bob = people["ada"], people["bob"]
    if order == "ada into bob":
        steps, to = [ada], str(bob.folder / "runs")
    elif order == "bob into ada":
        steps, to = [bob], str(ada.folder / "runs")
    else:
        steps, to = ([ada, bob] if order == "both into new" else [bob, ada]), target
    first = [sync(each, each.folder / "runs", to) for each in steps]
    assert all("3 runs and 1 sweep copied" in said for said in first), first
    again = [sync(each, each.folder / "runs", to) for each in steps]
    assert all(said == "0 runs copied; 3 runs and 1 sweep were there already.\n" for said in again), again
    return to


@pytest.mark.parametrize(
    ("order", "age"),
    [
        *((order, "now") for order in ORDERS),
        ("ada into bob", "earlier"),
        ("the other way into new", "earlier"),
        ("bob into ada", "mixed"),
        ("both into new", "mixed"),
    ],
)
def test_two_peoples_sweeps_of_a_number_are_two(
    people: dict[str, Person], tmp_path: Path, order: str, age: str
) -> None:
    for name in {"now": (), "earlier": ("ada", "bob"), "mixed": ("ada",)}[age]:
        forget_uids(people[name].folder / "runs")
    to = merge(people, order, str(tmp_path / "new"))
    assert_apart(FolderStore.open(Path(to)), list(people.values()))
    assert "All is well" in anew(tmp_path, "check", "--deep", "--store", to, code=0, **people["ada"].env).stdout


@pytest.fixture
def url(mongo_server: MongoServer, database: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "reader"))
    return with_database(mongo_server.url, database.name)


@pytest.mark.long
@pytest.mark.parametrize("age", ["now", "mixed"])
def test_two_peoples_sweeps_go_through_a_database(
    people: dict[str, Person], url: str, database: Any, tmp_path: Path, age: str
) -> None:
    if age == "mixed":
        forget_uids(people["ada"].folder / "runs")
    merge(people, "the other way into new", url)
    both = list(people.values())
    assert_apart(open_run_folders(url), both)
    # what a dashboard's users see
    for each in both:
        number = next(iter(open_run_folders(url).sweeps_of_uid(each.uid)))
        documents = list(database["runs"].find({"omniboard.tags": f"sweep:{number}"}))
        assert [found["meta"]["sweep"] for found in documents] == [found["anew"]["sweep"] for found in documents]
        assert sorted(found["config"]["x"] for found in documents) == sorted([*each.results.values(), _failed(each)])
        assert {found["anew"]["sweep"]["uid"] for found in documents} == {each.uid}
        assert database["anew_sweeps"].find_one({"uid": each.uid})["overrides"]
    assert all(record.tags == () for record in open_run_folders(url).find())
    # from there into a folder, one that has a sweep of its own, and one that it came from
    assert "6 runs and 2 sweeps copied" in sync(people["bob"], url, tmp_path / "new")
    assert_apart(FolderStore.open(tmp_path / "new"), both)
    assert "3 runs and 1 sweep copied; 3 runs and 1 sweep were" in sync(
        people["bob"], url, people["bob"].folder / "runs"
    )
    assert_apart(people["bob"].store, both)


def test_runs_that_are_sent_as_they_go_on_are_apart_and_a_sweep_shows_with_them(url: str, tmp_path: Path) -> None:
    """Nothing was synced: the observers alone tell."""
    observers = ["anew/observers=[files,mongo]", f"anew.observers.mongo.url={url}", "anew.quiet=true"]
    people = [person(tmp_path / name, values, *observers) for name, values in (("cy", [1, 2, 3]), ("di", [10, 20, 30]))]
    assert_apart(open_run_folders(url), people)
    listed = json.loads(anew(tmp_path, "sweep", "list", "--json", "--store", url).stdout)
    assert {each["id"]: each["uid"] for each in listed} == open_run_folders(url).sweeps_of_uid("")
    for each in people:
        assert "1 sweep" in sync(each, each.folder / "runs", url)
    assert_apart(open_run_folders(url), people)


def test_runs_that_an_earlier_version_sent_are_told_apart_once_their_sweep_comes(
    people: dict[str, Person], url: str, database: Any
) -> None:
    for each in people.values():
        forget_uids(each.folder / "runs")
    for each in people.values():
        sync(each, each.folder / "runs", url)
    for name in ("anew_sweeps", "anew_sweep_files"):
        database[name].drop()
    database["runs"].update_many({}, {"$unset": {"anew.sweep": "", "meta.sweep": ""}})
    store = open_run_folders(url)
    for ref in ("sweep:1/0", "sweep:1"):
        assert any(isinstance(error, AmbiguousRefError) for _, error in choose(store, [ref]).refused)
    for each in people.values():
        assert "1 sweep" in sync(each, each.folder / "runs", url)
    assert_apart(open_run_folders(url), list(people.values()))


# --- and what is done with them -----------------------------------------------------------------------------------


def test_a_merged_sweep_is_gone_on_with_by_whoever_trusts_it(
    people: dict[str, Person], made: tuple[Person, Person]
) -> None:
    ada, bob = people.values()
    sync(ada, ada.folder / "runs", bob.folder / "runs")
    [number] = bob.store.sweeps_of_uid(ada.uid)
    assert number == 2
    assert "--trust" in anew(bob.folder, "sweep", "resume", str(number), code=4, **bob.env).stderr
    with mended(made[0]):
        anew(bob.folder, "sweep", "resume", ada.uid, "--trust", code=0, **bob.env)
    sweep = bob.store.sweep(number)
    assert [(job.status, job.result) for job in sweep.jobs] == [(Status.COMPLETED, x) for x in (1, 2, 3)]
    assert bob.store.sweep(1).status is Status.FAILED
    # and back to where it came from
    assert "4 runs and 2 sweeps copied" in sync(ada, bob.folder / "runs", ada.folder / "runs")
    assert ada.store.sweep(1).status is Status.COMPLETED
    assert [len(job.runs) for job in ada.store.sweep(1).jobs] == [1, 2, 1]


def test_a_sweep_in_a_database_is_gone_on_with_and_nothing_stays_in_the_spool(
    people: dict[str, Person], made: tuple[Person, Person], url: str
) -> None:
    ada, bob = people.values()
    for each in (bob, ada):
        sync(each, each.folder / "runs", url)
    store = open_run_folders(url)
    [number] = store.sweeps_of_uid(ada.uid)
    before = {record.uid for record in store.find()}
    with mended(made[0]):
        said = anew(ada.folder, "sweep", "resume", str(number), "--store", url, code=0, **ada.env).stderr
    assert f"sweep {number} of " in said
    assert "3 COMPLETED" in said
    [new] = {record.uid for record in store.find()} - before
    job = store.sweep(number).jobs[1]
    assert (job.status, job.result, len(job.runs)) == (Status.COMPLETED, 2, 2)
    assert store.get(new).sweep == store.get(job.run or 0).sweep
    spool = FolderStore.open(ada.folder / "cache" / "anew" / "spool")
    assert (spool.find(), spool.sweep_numbers()) == ([], [])
    refused = anew(ada.folder, "sweep", "stop", str(number), "--store", url, code=2, **ada.env).stderr
    assert "where it is recorded" in refused
    # the one that it came from learns of it
    sync(ada, url, ada.folder / "runs")
    assert ada.store.sweep(ada.uid).status is Status.COMPLETED


def test_a_sweep_that_was_gone_on_with_in_both_places_has_both(people: dict[str, Person], tmp_path: Path) -> None:
    ada = people["ada"]
    sync(ada, ada.folder / "runs", tmp_path / "copy")
    copy = FolderStore.open(tmp_path / "copy")
    for store in (ada.store, copy):
        folder = store.sweep_folder(1)
        number = add_run(store, result=store.url, sweep=SweepMembership(id=1, index=1, uid=ada.uid))
        assert folder.take(1, 2, number, store.get(number).uid)
        folder.conducted(folder.conduct(), "done")
    sync(ada, tmp_path / "copy", ada.folder / "runs")
    sync(ada, ada.folder / "runs", tmp_path / "copy")
    for store in (ada.store, copy):
        [job] = [each for each in store.sweep(1).jobs if each.index == 1]
        assert len(job.runs) == 3
        assert {store.get(run).result for run in job.runs} >= {ada.store.url, copy.url}
        assert store.sweep(1).warnings == ()
    for _ in range(2):
        assert "0 runs copied" in sync(ada, tmp_path / "copy", ada.folder / "runs")


def test_a_sweep_that_goes_on_is_said_and_the_rest_comes_the_next_time(tmp_path: Path, url: str) -> None:
    project = empty_project(tmp_path / "eve")
    project.write("""
    @experiment.main
    def main(x: int = 0):
        while x and not os.path.exists("go"):
            open("begun", "w").close()
            time.sleep(0.05)
        return x
    """)
    with project.start("-m", "x=0,1,2", "anew.quiet=true") as process:
        try:
            until((project.folder / "begun").exists)
            said = [anew(project, "sync", "runs/", target, code=1).stdout for target in (str(tmp_path / "copy"), url)]
            there = [open_run_folders(target).sweep(1) for target in (str(tmp_path / "copy"), url)]
        finally:
            (project.folder / "go").touch()
            process.communicate(timeout=120)
        assert process.returncode == 0
    assert ["sweep 1 -> 1: going on" in text for text in said] == [True, True]
    for sweep in there:
        assert sweep.status is Status.RUNNING
        assert [job.overrides for job in sweep.jobs] == [("x=0",), ("x=1",), ("x=2",)]
        assert sweep.jobs[2].status is Status.QUEUED
    for target in (str(tmp_path / "copy"), url):
        assert "1 sweep copied" in anew(project, "sync", "runs/", target).stdout
        sweep = open_run_folders(target).sweep(1)
        assert [(job.status, job.result) for job in sweep.jobs] == [(Status.COMPLETED, x) for x in (0, 1, 2)]
        assert (sweep.status, sweep.warnings) == (Status.COMPLETED, ())
        assert "0 runs copied" in anew(project, "sync", "runs/", target).stdout


def test_an_interrupted_copy_is_gone_on_with(people: dict[str, Person], tmp_path: Path) -> None:
    """Whatever instant it was killed at: half a sweep is never there."""
    ada = people["ada"]
    store, target = ada.store, FolderStore.open(tmp_path / "copy", create=True)
    list(to_folder(store, target))
    assert target.sweep_numbers() == []
    assert {record.sweep.id for record in target.find() if record.sweep} == {None}
    with pytest.raises(SweepNotFoundError):
        target.sweep(ada.uid)
    # as one that was killed left it
    shutil.copytree(store.layout.sweep(1).folder, target.layout.sweeps / ".sweep-half")
    assert "1 sweep copied; 3 were there already" in sync(ada, ada.folder / "runs", tmp_path / "copy")
    folder = target.sweep_folder(1).layout
    for path in (*folder.taken.glob("*.json"), *folder.conductors.glob("*.ended.json")):
        path.unlink()
    sync(ada, ada.folder / "runs", tmp_path / "copy")
    assert_apart(target, [ada])


def test_what_a_search_has_learnt_goes_along(tmp_path: Path, url: str) -> None:
    pytest.importorskip("optuna")
    project = empty_project(tmp_path / "fay")
    project.write("""
    @experiment.main
    def main(x: float = 0.0):
        return x * x
    """)
    words = ["hydra/sweeper=optuna", "hydra.sweeper.n_trials=4", "hydra.sweeper.direction=minimize"]
    project.run("-m", *words, "x=interval(-1,1)", "hydra.sweeper.sampler.seed=1", "anew.quiet=true")
    told = json.loads(anew(project, "sweep", "show", "1", "--json").stdout)
    anew(project, "sync", "runs/", url)
    anew(project, "sync", url, "copy/")
    for there in (url, "copy"):
        again = json.loads(anew(project, "sweep", "show", "1", "--json", "--store", there).stdout)
        assert again["search"] == told["search"]
        assert again["best"] == told["best"]
        assert [job["overrides"] for job in again["jobs"]] == [job["overrides"] for job in told["jobs"]]


@contextmanager
def mended(each: Person) -> Iterator[None]:
    """Have the job that failed succeed, in the project that the sweep was started in."""
    path = each.folder / "mended"
    path.touch()
    try:
        yield
    finally:
        path.unlink()
