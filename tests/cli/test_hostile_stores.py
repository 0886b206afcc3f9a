"""
Whatever becomes of a file, reading ends, soon, with what is intact, and says so.

A few of the trials are made here; many more with `make torture`, which sets the number in the environment.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from anew.runner.cli import main
from anew.runner.store.curate import delete, tag
from anew.runner.store.position import CursorFile
from tests.helpers import fuzz
from tests.helpers.fuzz import in_time
from tests.helpers.mutations import VALUES, files_of, mutate
from tests.helpers.stores import add_run, make_store

TRIALS = int(os.environ.get("ANEW_TRIALS", "40"))
LONGEST_S = 20
HARMED = int(os.environ.get("ANEW_HARMED", "12"))
COMMANDS = [
    ["list", "--json"],
    ["list", "loss < 1 and config.lr > 0", "--sort=-loss"],
    ["list"],
    ["show", "1"],
    ["show", "1", "--json"],
    ["metrics", "1"],
    ["metrics", "1", "loss", "--json"],
    ["logs", "1"],
    ["check", "--json"],
    ["check", "--deep"],
]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of four runs with some of everything; the first is the one that things happen to."""
    store = make_store(tmp_path_factory.mktemp("whole") / "runs")
    for number, lr in enumerate((0.1, 0.2, 0.3, 0.4), start=1):
        add_run(
            store,
            config={"lr": lr, "deep": {"list": [1, {"x": (1, 2)}]}},
            metrics={"loss": [lr * step for step in range(20)], "big": [2**70]},
            result=lr,
            output="printed\n" * 100,
            source={"train.py": "x = 1\n"},
            artifacts={f"model-{number}.bin": b"weights" * number},
        )
    tag(store, 1, ["paper"])
    delete(store, 4)
    layout = store.layout.run(1)
    layout.observers.mkdir()
    CursorFile(layout, "mongo").save(sink="7")
    (layout.observers / "mongo.json").write_text('{"_target_":"nothing.Here"}')
    assert main(["--store", str(store.root), "list"]) == 0
    return store.root


def looked_at(
    store: Path, capfd: pytest.CaptureFixture[str], what: object, commands: list[list[str]] = COMMANDS
) -> dict[int, Any]:
    """Call every command; return the runs that are listed."""
    listed: dict[int, Any] = {}
    for command in commands:
        capfd.readouterr()
        with in_time(LONGEST_S):
            code = main(["--store", str(store), *command])
        out, err = capfd.readouterr()
        assert code in (0, 2), f"{what}: {command} exits with {code}:\n{err[-3000:]}"
        assert "Traceback" not in err, f"{what}: {command}:\n{err}"
        if command == ["list", "--json"] and code == 0:
            listed = {item["id"]: item for item in json.loads(out)}
    return listed


def is_of_others(path: Path, store: Path) -> bool:
    """Whether what lies here is of the runs that nothing happens to."""
    return path.relative_to(store).parts[0] in ("2", "3")


@settings(
    max_examples=TRIALS,
    deadline=None,
    derandomize="ANEW_TRIALS" not in os.environ,
    database=None,
    suppress_health_check=list(HealthCheck),
)
@given(seed=st.integers(0, 2**32 - 1))
def test_whatever_becomes_of_a_file_the_rest_is_shown(
    whole: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], seed: int
) -> None:
    chance = random.Random(seed)
    store = tmp_path / "runs"
    shutil.rmtree(store, ignore_errors=True)
    shutil.copytree(whole, store)
    before = looked_at(store, capfd, "nothing", [["list", "--json"]])
    path = chance.choice([path for path in files_of(store) if not is_of_others(path, store)])
    what = mutate(path, chance)
    if chance.random() < 0.5:
        (store / "index.sqlite").unlink(missing_ok=True) if path.name != "index.sqlite" else None

    found = looked_at(store, capfd, what)

    if not path.name.startswith("FORMAT"):
        for number in (2, 3):
            assert comparable(found.get(number)) == comparable(before[number]), what


def comparable(item: dict[str, Any] | None) -> Any:
    return item and {name: item[name] for name in ("uid", "config", "metrics", "result", "tags", "status")}


@pytest.mark.parametrize("value", VALUES, ids=lambda value: repr(value)[:20])
@pytest.mark.parametrize("key", ["t", "q", "s", "m", "k"])
def test_a_line_that_makes_no_sense_costs_itself(
    key: str, value: Any, whole: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    from anew.runner.format import serial

    store = tmp_path / "runs"
    shutil.copytree(whole, store)
    journal = store / "1" / "events" / "main.jsonl"
    lines = journal.read_bytes().splitlines(keepends=True)
    entry = {**serial.unseal(lines[5]), key: value}
    lines[5] = serial.seal(entry)
    journal.write_bytes(b"".join(lines))

    found = looked_at(store, capfd, (key, value), [["list", "--json"], ["show", "1"], ["metrics", "1", "loss"]])

    assert sorted(found) == [1, 2, 3]
    assert found[1]["metrics"]["loss"]["count"] in (19, 20)


@pytest.mark.parametrize("kind", ["fifo", "loop", "zero", "folder", "huge"])
@pytest.mark.parametrize(
    "name",
    ["run.json", "outcome.json", "output.log", "events/main.jsonl", "events", "observers", "observers/mongo.cursor"],
)
def test_only_files_are_read_as_files(
    name: str, kind: str, whole: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    store = tmp_path / "runs"
    shutil.copytree(whole, store)
    path = store / "1" / name
    if kind != "huge":
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    elif path.is_dir():
        return
    make: dict[str, Callable[[], object]] = {
        "fifo": lambda: os.mkfifo(path),
        "loop": lambda: path.symlink_to(path.name),
        "zero": lambda: path.symlink_to("/dev/zero"),
        "folder": path.mkdir,
        "huge": lambda: os.truncate(path, 2**42),
    }
    make[kind]()

    found = looked_at(store, capfd, (name, kind))

    assert sorted(found) == [1, 2, 3]


def test_numbers_that_no_run_can_have_are_none(whole: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    store = tmp_path / "runs"
    shutil.copytree(whole, store)
    for name in ("9" * 16, "9" * 40, "1" * 200):
        (store / name).mkdir()
        (store / "trash" / name).mkdir(exist_ok=True)

    assert sorted(looked_at(store, capfd, "numbers")) == [1, 2, 3]
    for ref in ("9" * 40, "9" * 5000, f"last~{'9' * 5000}", f"sweep:{'9' * 5000}/1"):
        assert main(["--store", str(store), "show", ref]) == 2


@pytest.mark.long
def test_a_hundred_thousand_scattered_numbers_are_read_in_seconds(whole: Path, tmp_path: Path) -> None:
    from anew.runner.format import serial
    from anew.runner.store.folder import FolderStore

    store = tmp_path / "runs"
    shutil.copytree(whole, store)
    numbers = random.Random(1).sample(range(1, 10**12), 100_000)
    lines = [serial.seal({"q": q, "k": "m", "t": 1.0, "s": 1, "m": {"loss": 1.0}}) for q in numbers]
    (store / "1" / "events" / "main.jsonl").write_bytes(b"".join(lines))
    began = time.process_time()
    record = FolderStore.open(store).get(1)
    series = FolderStore.open(store).metrics(1, "loss")

    assert time.process_time() - began < 20
    assert record.metrics["loss"].count == len(series.steps) == 100_000
    assert 10 < len(record.damage) < 50


@pytest.mark.long
def test_thousands_of_claims_do_not_hold_up_a_list(
    whole: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    store = tmp_path / "runs"
    shutil.copytree(whole, store)
    for number in range(10, 20_010):
        (store / str(number)).mkdir()
    began = time.process_time()
    found = looked_at(store, capfd, "claims", [["list", "--limit", "1"], ["show", "last"], ["list", "--json"]])
    taken = time.process_time() - began

    assert sorted(found) == [1, 2, 3]
    # some fifteen times what it takes, on any machine, to look into each of these folders
    assert taken < 100 * _cpu_of_looking_into(store)


def _cpu_of_looking_into(store: Path) -> float:
    began = time.process_time()
    for folder in store.iterdir():
        folder.lstat()
        if folder.is_dir():
            list(folder.iterdir())
    return time.process_time() - began


def test_a_run_of_a_newer_version_is_a_row_that_says_so(
    whole: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    from anew.runner.format import serial

    store = tmp_path / "runs"
    shutil.copytree(whole, store)
    path = store / "1" / "run.json"
    path.write_bytes(serial.seal({**serial.unseal(path.read_bytes()), "format": 99}))

    found = looked_at(store, capfd, "format 99")

    assert sorted(found) == [1, 2, 3]
    assert "pip install --upgrade anew" in found[1]["warnings"][0]
    assert found[1]["damage"][0]["part"] == "record"


@pytest.mark.long
def test_no_harm_to_any_file_shows_other_values_without_a_word(filled: Path, tmp_path: Path) -> None:
    """Commands that read a store in which one file is not as it was written: `make torture` tries thousands."""
    count = fuzz.run(filled, tmp_path, HARMED, seed=15)

    assert count.trials == HARMED
    assert not count.wrong, "\n".join(f"{kind}: {each}" for kind, found in count.wrong.items() for each in found)


def test_what_is_shown_otherwise_without_a_word_is_found(filled: Path, tmp_path: Path) -> None:
    """The trial itself is tried: a result that somebody changed, and sealed as it was, is told by nothing."""
    from anew.runner.format import serial

    trial = fuzz.Fuzz(filled, tmp_path)
    path = trial.store / "1" / "outcome.json"
    commands = fuzz.looks(trial.store, path)
    for words in commands:
        trial.was(words)
    path.write_bytes(serial.seal({**serial.unseal(path.read_bytes()), "result": 99.0}))
    trial.judge("forged", commands, is_judged=True)

    assert {each.rpartition(": ")[2] for each in trial.count.wrong["silent"]} >= {"list --json", "show 1 --json"}
