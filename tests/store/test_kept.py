"""Stores that earlier versions wrote are read for ever: each command says of them what it said then."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from anew.runner.cli import main
from anew.runner.records import Status
from anew.runner.store.locate import open_store
from tests.helpers.kept import STORES, fill, kept_folder, shown
from tests.helpers.wire import MongoServer, with_database

if TYPE_CHECKING:
    from pymongo.database import Database

pytest_plugins = ("tests.helpers.wire",)
pytestmark = pytest.mark.slow

FORMATS = sorted(int(path.name) for path in STORES.iterdir() if path.name.isdigit())
# what depends on when files were last touched, and on the store that a run is read from; and the digest of what a run
# did, which has come to tell more apart since
OF_THE_STORE = {"heartbeat_at", "observers", "key"}

Anew = Callable[..., str]


@pytest.fixture
def anew(capfd: pytest.CaptureFixture[str]) -> Anew:
    """The command, in this process; it returns what it prints."""

    def run(*words: str, code: int = 0) -> str:
        capfd.readouterr()
        ended = main(words)
        out, err = capfd.readouterr()
        assert ended == code, out + err
        return out

    return run


@pytest.fixture(params=FORMATS)
def version(request: pytest.FixtureRequest) -> int:
    """Each format of which a store is kept."""
    return int(request.param)


@pytest.fixture(params=["folder", "mongodb"])
def url(
    request: pytest.FixtureRequest, version: int, project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> str:
    """The folder, then the database; it is the store of the commands, too."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    if request.param == "folder":
        url = str(kept_folder(version, project))
    else:
        server: MongoServer = request.getfixturevalue("mongo_server")
        database: Database[dict[str, Any]] = request.getfixturevalue("database")
        fill(database, version)
        url = with_database(server.url, database.name)
    monkeypatch.setenv("ANEW_STORE", url)
    return url


def then(version: int) -> dict[str, Any]:
    """What the commands said when the store was made."""
    said: dict[str, Any] = json.loads((STORES / str(version) / "shown.json").read_text())
    return said


def now_said(said: Any, url: str) -> Any:
    """Return what is said of a store now: that a run died is not known by a database which never heard its end."""
    if not url.startswith("mongodb"):
        return said
    if isinstance(said, dict):
        return {name: now_said(value, url) for name, value in said.items()}
    if isinstance(said, list):
        return [now_said(value, url) for value in said]
    return Status.UNKNOWN.value if said == Status.LOST.value else said


def assert_still_said(now: Any, before: Any, where: str) -> None:
    """Compare; members that have come since then are no difference."""
    if isinstance(before, dict):
        assert isinstance(now, dict), where
        for name in before.keys() - OF_THE_STORE:
            assert name in now, f"{where} lacks {name}"
            assert_still_said(now[name], before[name], f"{where}.{name}")
    elif isinstance(before, list):
        assert isinstance(now, list), where
        assert len(now) == len(before), where
        for index, (one, other) in enumerate(zip(now, before, strict=True)):
            assert_still_said(one, other, f"{where}[{index}]")
    else:
        assert now == before, where


@pytest.mark.parametrize("what", ["list", "show", "metrics", "logs", "diff"])
def test_the_commands_say_what_they_said_then(anew: Anew, url: str, version: int, what: str) -> None:
    assert_still_said(shown(anew, what)[what], now_said(then(version)[what], url), what)


def test_its_runs_are_of_every_kind(url: str, version: int) -> None:
    store = open_store(url)
    records = {record.id: record for record in store.find()}
    assert {number: record.status for number, record in records.items()} == {
        int(number): Status(record["status"]) for number, record in now_said(then(version)["show"], url).items()
    }
    unheard = Status.LOST if url.startswith("mongodb") else Status.UNKNOWN
    assert {record.status for record in records.values()} == set(Status) - {Status.QUEUED, Status.RUNNING, unheard}
    first = records[1]
    assert (first.tags, first.note) == (("first", "paper"), "the first of all")
    assert (first.metrics["größe"].last, first.metrics["huge"].last) == (2**70, math.inf)
    assert math.isnan(first.metrics["odd"].last)
    assert list(store.metrics(1, "größe").exact) == [2**70]
    assert "".join(store.output(1)) == f"w is {first.result}\n"
    for content in (*first.source.files, *first.inputs, *first.artifacts):
        with store.open_object(content.sha256) as file:
            assert len(file.read()) == content.size
    again, changed = records[10], records[11]
    assert again.verdict is not None
    assert again.verdict.verdict == "identical"
    assert again.rerun_of is not None
    assert again.rerun_of.uid == first.uid
    assert changed.verdict is not None
    assert changed.verdict.verdict == "different"
    assert {record.sweep.index for record in records.values() if record.sweep} == {0, 1, 2, 3}


@pytest.mark.usefixtures("url")
def test_a_run_of_it_is_run_again(anew: Anew, version: int) -> None:
    """By this Python and these packages: what then differs is listed, and what came out is compared."""
    said = json.loads(anew("rerun", "1", "--trust", "--json"))
    assert said["verdict"] == "identical"
    assert json.loads(anew("show", "last", "--json"))["result"] == then(version)["show"]["1"]["result"]


def test_a_folder_of_it_is_whole(anew: Anew, version: int, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = kept_folder(version, project)
    monkeypatch.syspath_prepend(STORES / "project")
    said = anew("--store", str(folder), "check", "--deep")
    assert "damage" not in said
    assert_still_said(shown(anew, "sweeps")["sweeps"], then(version)["sweeps"], "sweeps")


def test_what_is_pending_and_deleted_in_a_folder_of_it_can_still_be_had(
    anew: Anew, version: int, project: Path
) -> None:
    folder = kept_folder(version, project)
    observers = json.loads(anew("show", "12", "--json"))["observers"]
    assert_still_said(observers, then(version)["show"]["12"]["observers"], "observers")
    anew("restore", "5")
    assert open_store(folder).get(5).status is Status.COMPLETED


def test_damage_to_a_folder_of_it_is_found(anew: Anew, version: int, project: Path) -> None:
    folder = kept_folder(version, project)
    journal = folder / "1/events/main.jsonl"
    journal.write_text(journal.read_text().replace('"loss":4.1', '"loss":4.2', 1))
    said = anew("check", "--deep", code=2)
    assert "1" in said
