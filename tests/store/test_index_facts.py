"""What filters look at in the index: every value as it was, nothing believed that was not written, nothing late."""

from __future__ import annotations

import math
import os
import random
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from anew.runner.errors import FilterError
from anew.runner.query.filters import parse_filter
from anew.runner.query.names import MISSING, Digest, Place, Version
from anew.runner.query.tree import Compare, holds, leaves
from anew.runner.store import folder, index_spans
from anew.runner.store.folder import FolderStore
from anew.runner.store.index import Index
from anew.runner.store.index_ask import Asked
from anew.runner.store.index_look import Look
from anew.runner.store.index_values import ABSENT, SPAN, Relation, Trial, Values, encoded
from anew.runner.store.more import Beside
from anew.runner.store.stamps import Stamp
from tests.helpers.questions import QUERY, one_by_one, some_runs
from tests.helpers.stores import add_run, make_store

QUESTIONS = [
    ("config.lr < 1", "-loss"),
    ("loss > 0.001", None),
    ("status == FAILED or model == mlp", "config.lr"),
    ("not tag == paper and loss.mean > 0.5", "started"),
]
ZONES = st.just(timezone.utc) | st.integers(-1439, 1439).map(lambda each: timezone(timedelta(minutes=each or 1)))
MOMENT = datetime(2024, 5, 17, 1, 2, 3, 4, timezone.utc)
SOME: list[Any] = [
    *(0.5, -0.0, 0.0, math.nan, math.inf, 1, True, False, None, 2**70, "mlp", "MLP", "a\0b", "2.1", "", [1, ["b"]]),
    *((), ("x",), Version("2.1"), Digest("abcdef12"), MOMENT, Relation("01a", 7), MISSING, ABSENT),
]


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> FolderStore:
    """A store whose runs were written long ago."""
    store = make_store(tmp_path_factory.mktemp("facts") / "runs")
    some_runs(store, 40, going_on=False)
    grow_old(store.root)
    return store


@pytest.fixture(autouse=True)
def asks_the_index(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folder, "FEW", 0)


@pytest.fixture
def store(filled: FolderStore, tmp_path: Path) -> FolderStore:
    subprocess.run(["cp", "-a", filled.root, tmp_path / "runs"], check=True)
    return FolderStore.open(tmp_path / "runs")


def grow_old(root: Path) -> None:
    """Have all that is below a folder, and itself, be as if written an hour ago."""
    for above, _, names in os.walk(root, topdown=False):
        for name in [*names, "."]:
            status = os.lstat(os.path.join(above, name))
            os.utime(os.path.join(above, name), ns=(status.st_mtime_ns - 7200 * 10**9,) * 2, follow_symlinks=False)


def answers(store: FolderStore, limit: int | None = 3) -> list[list[str]]:
    return [[run.uid for run in store.find(text, sort=sort, limit=limit)] for text, sort in QUESTIONS]


def meant(store: FolderStore, limit: int | None = 3) -> list[list[str]]:
    records = [store.get(number) for number in store.numbers()]
    more = Beside(store)
    return [one_by_one(records, more, text, sort, limit) for text, sort in QUESTIONS]


# --- values -----------------------------------------------------------------------------------------------------------


def same(one: Any, other: Any) -> bool:
    return type(one) is type(other) and repr(one) == repr(other)


@given(
    values=st.lists(
        st.sampled_from(SOME)
        | st.floats()
        | st.integers()
        | st.datetimes(timezones=ZONES).map(lambda each: each.replace(fold=0))
    )
)
def test_values_come_back_as_they_were(values: list[Any]) -> None:
    data = encoded(values)
    found = Values.of_bytes(data).all() if data else []
    found += [ABSENT] * (len(values) - len(found))
    assert all(map(same, found, values))


@pytest.mark.parametrize(
    "values",
    [
        [number / 7 for number in range(300)],
        [*range(300)],
        [f"text {number}" for number in range(SPAN)],
        [MOMENT.replace(minute=number % 60, hour=number // 60) for number in range(300)],
        [MOMENT.astimezone(timezone(timedelta(hours=number % 24 - 12))) for number in range(300)],
        [ABSENT, *(number / 7 for number in range(300)), ABSENT, 0.5],
    ],
)
@given(text=QUERY)
@example(text="lr in [0.1, nan]")
def test_a_leaf_holds_for_many_values_as_for_each(values: list[Any], text: str) -> None:
    for leaf in leaves(parse_filter(text).tree):
        if isinstance(leaf, Compare) and leaf.literal.text.endswith("h"):
            continue  # the clock goes on
        found = Values.of_bytes(encoded(values)).flags(Trial(leaf))
        assert [*map(bool, found)] == [value is not ABSENT and holds(leaf, value) for value in values][: len(found)]


# --- damage -----------------------------------------------------------------------------------------------------------


def test_no_flipped_bit_changes_an_answer(store: FolderStore) -> None:
    expected = meant(store)
    assert answers(store) == expected
    whole = store.layout.index.read_bytes()
    chance = random.Random(20)
    for _ in range(25):
        data = bytearray(whole)
        for _ in range(chance.choice((1, 1, 30))):
            data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        store.layout.index.write_bytes(data)
        assert answers(FolderStore.open(store.root)) == expected


HARMS = {
    "a row that is gone": "DELETE FROM facts WHERE name = {name}",
    "a directory that is gone": "DELETE FROM facts WHERE name = 0",
    "a catalog that is gone": "DELETE FROM state",
    "the values of another name": (
        "UPDATE facts SET data = (SELECT data FROM facts AS other WHERE other.name = {name} + 1) WHERE name = {name}"
    ),
    "a value of another type": "UPDATE facts SET data = 'x' WHERE name = {name}",
    "no value": "UPDATE facts SET data = NULL WHERE name = {name}",
    "a catalog of another type": "UPDATE state SET value = x'00'",
}


@pytest.mark.parametrize("harm", HARMS)
def test_a_row_that_is_not_what_was_written_is_not_believed(store: FolderStore, harm: str) -> None:
    expected = meant(store)
    assert answers(store) == expected
    with closing(sqlite3.connect(store.layout.index)) as database:
        names = [name for (name,) in database.execute("SELECT DISTINCT name FROM facts WHERE name > 0 LIMIT 12")]
    for name in names[:: 1 if "{name}" in HARMS[harm] else len(names)]:
        with closing(sqlite3.connect(store.layout.index)) as database, database:
            database.execute(HARMS[harm].format(name=name))
        assert answers(FolderStore.open(store.root)) == expected


def test_a_row_of_an_earlier_time_is_not_believed(store: FolderStore) -> None:
    """What a power cut may leave: some pages as they were before."""
    assert answers(store) == meant(store)
    with closing(sqlite3.connect(store.layout.index)) as database:
        before = database.execute("SELECT * FROM facts").fetchall()
    add_run(store, config={"lr": 0.25}, metrics={"loss": [0.25]})
    expected = meant(store)
    assert answers(store) == expected
    for row in before[:: len(before) // 12]:
        with closing(sqlite3.connect(store.layout.index)) as database, database:
            database.execute("INSERT OR REPLACE INTO facts VALUES (?, ?, ?)", row)
        assert answers(FolderStore.open(store.root)) == expected


@pytest.mark.parametrize(
    "data",
    [
        b"b\1\0\1" + b'[{"?":1}]',
        b"b\1\0\2[1]",
        b"b\1\0\1[]",
        b"h\1\0\2\0[1]",
        b"b\1\0\1" + b'[{"z":[0,90000000000]}]',
        b"b\1\0\1" + b'[{"s":[]}]',
        b"b\1\0\1" + b"[" * 100_000,
    ],
)
def test_an_index_that_is_anybodys_is_not_believed(
    store: FolderStore, monkeypatch: pytest.MonkeyPatch, data: bytes
) -> None:
    """With checksums that are right: a store may come from anywhere, and its index with it."""
    expected = meant(store)
    store.layout.index.unlink(missing_ok=True)
    with monkeypatch.context() as patch:
        patch.setattr(index_spans, "encoded", lambda values: data if encoded(values) else b"")
        with suppress(Exception):
            answers(FolderStore.open(store.root))
    assert answers(FolderStore.open(store.root)) == expected


def test_a_directory_that_is_too_short_is_not_believed(store: FolderStore, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = meant(store)
    store.layout.index.unlink(missing_ok=True)
    with monkeypatch.context() as patch:
        patch.setattr(index_spans.Directory, "encoded", lambda self: b"\2")
        with suppress(Exception):
            answers(FolderStore.open(store.root))
    assert answers(FolderStore.open(store.root)) == expected


def test_a_pattern_that_takes_too_long_says_nothing_of_the_index(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = make_store(tmp_path / "runs")
    add_run(store, config={"name": f"{'a' * 3000}b"})
    store.find("config.name == 'x'")
    forgotten: list[Index] = []
    monkeypatch.setattr(Index, "forget", forgotten.append)
    with pytest.raises(FilterError, match="takes longer than"):
        store.find("config.name ~ '(a|aa|a.)+c$'")
    assert not forgotten


# --- what is looked at ------------------------------------------------------------------------------------------------


@contextmanager
def counted(monkeypatch: pytest.MonkeyPatch, owner: Any, name: str) -> Iterator[list[Any]]:
    """Count the calls of a method."""
    calls: list[Any] = []
    called = getattr(owner, name)

    def counting(*args: Any, **kwargs: Any) -> Any:
        calls.append(args)
        return called(*args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(owner, name, counting)
        yield calls


def test_runs_that_nobody_has_touched_are_not_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither are they listed: the time of the folder that they lie in says that none has come or gone."""
    store = make_store(tmp_path / "runs")
    for loss in range(20):
        add_run(store, metrics={"loss": [float(loss)]})
    grow_old(store.root)
    store.find("loss > 0")
    grow_old_alone(store.root)
    store.find("loss > 0")
    reader = FolderStore.open(store.root)
    reader._index.sampled_at = math.inf
    with counted(monkeypatch, Index, "present") as listed, counted(monkeypatch, Stamp, "holds") as looked_at:
        found = reader.find("has(loss)", sort="-loss", limit=5)
    assert len(found) == 5
    assert not listed
    assert len(looked_at) == len(found)


def grow_old_alone(folder: Path) -> None:
    """Have a folder be as if nothing had come or gone for an hour."""
    before = os.stat(folder).st_mtime_ns - 3600 * 10**9
    os.utime(folder, ns=(before, before))


def test_a_question_does_not_move_the_time_of_the_folder(store: FolderStore) -> None:
    """Else the next one would list all runs again, and so on."""
    store.find("loss > 0")
    before = os.stat(store.root).st_mtime_ns
    for _ in range(3):
        store.layout.index.chmod(0o644)
        FolderStore.open(store.root).find("loss.at(1) > 0")
    assert os.stat(store.root).st_mtime_ns == before


def test_the_first_value_and_the_mean_are_known_without_reading_points(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = make_store(tmp_path / "runs")
    for values in ([0.1, 0.2, 0.7], [3, 1], [math.nan, 5.0], [-0.0], [2**70, 0.5], [math.nan]):
        add_run(store, metrics={"loss": values})
    texts = ["loss.first > 0", "loss.mean < 3", "not has(loss.mean)"]
    records = [store.get(number) for number in store.numbers()]
    expected = [one_by_one(records, Beside(store), text, "-loss.first") for text in texts]
    store.find("has(loss)")
    with counted(monkeypatch, Beside, "points") as read:
        found = [[run.uid for run in FolderStore.open(store.root).find(text, sort="-loss.first")] for text in texts]
    assert found == expected
    assert [*map(len, found)] == [3, 3, 1]
    assert not read


ASKED = ["loss.at(1) > 0", "not has(loss.at(1))", "loss.mean > 0.5", "pkg.torch ~ '^2'", "not pkg.torch == 2.0"]


def _as_records_say(store: FolderStore, limit: int | None = None) -> list[list[str]]:
    records = [store.get(number) for number in store.numbers()]
    return [one_by_one(records, Beside(store), text, sort, limit) for text in ASKED for sort in (None, "-loss.at(1)")]


def _found(store: FolderStore, limit: int | None = None) -> list[list[str]]:
    orders = (None, "-loss.at(1)")
    return [[run.uid for run in store.find(text, sort=sort, limit=limit)] for text in ASKED for sort in orders]


@pytest.mark.parametrize("limit", [None, 2])
def test_what_the_index_cannot_take_note_of_is_asked_of_the_records(
    store: FolderStore, monkeypatch: pytest.MonkeyPatch, limit: int | None
) -> None:
    """It is too busy, or the disk is full: series and packages are then known for the runs alone that were read."""
    store.find("has(loss)")
    monkeypatch.setattr(Look, "add", lambda self, key, values, lacking: None)
    expected = _as_records_say(store, limit)
    assert _found(store, limit) == expected
    assert store.matching(ASKED[0]) == [store.get(uid).id for uid in _as_records_say(store)[0]]


def test_what_was_cleared_since_it_was_noted_is_asked_of_the_records(
    store: FolderStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process has read a run anew, which was tagged meanwhile."""
    expected = _as_records_say(store)
    derive = Asked._derive
    numbers = store.numbers()

    def derived(self: Asked, look: Look, place: Place) -> None:
        derive(self, look, place)
        other = FolderStore.open(store.root)
        for number in numbers[::5]:
            other.tag(number, f"after {place.part}")
        other.find("has(loss)")

    monkeypatch.setattr(Asked, "_derive", derived)
    assert _found(store) == expected


# --- what others do ---------------------------------------------------------------------------------------------------

OTHER = """
import sys
from pathlib import Path
from anew.runner.store.curate import delete, note, restore, tag
from anew.runner.store.folder import FolderStore

store = FolderStore.open(Path(sys.argv[1]))
for line in sys.stdin:
    exec(line)
    print("done", flush=True)
"""


def test_what_another_process_does_to_a_run_that_ended_long_ago_is_seen_at_once(store: FolderStore) -> None:
    store.find("loss > 0")
    store._index.sampled_at = math.inf  # not by chance
    steps = [
        ("tag(store, 3, ['late'])", "tag == late", [3]),
        ("tag(store, 3, [], ['late'])", "tag == late", []),
        ("note(store, 4, 'so it is')", "note == 'so it is'", [4]),
        ("delete(store, 5)", "id == 5", []),
        ("restore(store, 5)", "id == 5", [5]),
        ("delete(store, 3); restore(store, 3); tag(store, 3, ['again'])", "tag == again and id == 3", [3]),
    ]
    with subprocess.Popen(
        [sys.executable, "-c", OTHER, store.root], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdin is not None
        assert other.stdout is not None
        for step, question, expected in steps:
            print(step, file=other.stdin, flush=True)
            assert other.stdout.readline() == "done\n", step
            assert [run.id for run in store.find(question)] == expected, step
            assert [run.id for run in FolderStore.open(store.root).find(question)] == expected, step


def test_what_was_read_before_a_change_is_not_written_over_what_came_after(store: FolderStore) -> None:
    """A reader that was held up, between reading a run and writing its row, must not undo another's."""
    late = FolderStore.open(store.root)
    store.layout.index.unlink()
    with closing(late._index.look()) as look:
        [*late._index.rows(look, [3], late._read)]
        store.tag(3, "after")
        assert [run.id for run in store.find("tag == after")] == [3]
    reader = FolderStore.open(store.root)
    reader._index.sampled_at = math.inf
    assert [run.id for run in reader.find("tag == after")] == [3]
