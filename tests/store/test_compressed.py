"""Long journals, compressed when their run has ended: nothing is lost at any instant, and all readers see the same."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import anew
from anew.runner import events as ev
from anew.runner.dispatch.transfer import to_folder
from anew.runner.errors import StoreFormatError
from anew.runner.guard import shrinking
from anew.runner.guard.shrinking import shrink
from anew.runner.records import RunRecord, Status
from anew.runner.store import columns, packing
from anew.runner.store.curate import tag
from anew.runner.store.folder import FolderStore
from anew.runner.store.format_file import check_format
from anew.runner.store.integrity import check_store
from anew.runner.store.paths import RunLayout
from anew.runner.store.position import Position
from anew.runner.store.stream import RunSource
from tests.helpers.power import STRENGTHS, Call, Disk, compiler, recorded
from tests.helpers.scripts import Project
from tests.helpers.stores import add_run, make_store
from tests.helpers.waiting import until

POINTS = 2_600
# what is compressed without the tests' asking for less
LONG = 13_000
DICE = random.Random(30)
VALUES = [DICE.random() for _ in range(POINTS)]


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FolderStore:
    monkeypatch.setattr(shrinking, "LONG_BYTES", 100_000)
    monkeypatch.setattr(columns, "LEAST_BYTES", 1_000)
    store = make_store(tmp_path / "runs")
    add_run(store, metrics={"loss": VALUES, "odd": [1.0, float("nan")]}, artifacts={"a": b"content"})
    return store


@pytest.fixture
def layout(store: FolderStore) -> RunLayout:
    return store.layout.run(1)


def lines_of(layout: RunLayout) -> Path:
    return layout.journal("main")


def gzip_of(layout: RunLayout) -> Path:
    return layout.events / "main.jsonl.gz"


def everything(root: Path) -> tuple[Any, ...]:
    """Return all that can be read of run 1 by each way that there is, as another process opens the store."""
    store = FolderStore.open(root)
    record, series = store.get(1), store.metrics(1, "loss")
    batches: list[ev.Event] = []
    position = Position(started=True)
    source = RunSource(store.layout.run(1), 1)
    while (batch := source.next(position)).events:
        batches += batch.events
        position = batch.after
    return (
        record,
        [*series.steps],
        [*series.values],
        [*store.points(1, "loss")],
        {name: [*column.values] for name, column in store.by_writer(1, "loss").items()},
        [repr(event) for event in store.events(1)],
        [repr(event) for event in batches],
        position,
        source.behind(Position(started=True)),
    )


def damage(store: FolderStore) -> str:
    return " ".join(each.what for each in FolderStore.open(store.root).get(1).damage)


def test_all_that_is_read_of_it_is_what_was_read_before(store: FolderStore, layout: RunLayout) -> None:
    text = lines_of(layout).read_bytes()
    before = everything(store.root)
    assert shrink(str(layout.folder)) == ["main"]
    assert everything(store.root) == before
    assert [path.name for path in layout.events.iterdir()] == ["main.jsonl.gz"]
    assert not [*check_store(FolderStore.open(store.root), deep=True)]
    assert subprocess.run(["gzip", "-dc", gzip_of(layout)], capture_output=True, check=True).stdout == text
    store.layout.index.unlink()
    assert everything(store.root) == before
    # and is what it was for whoever takes it apart
    subprocess.run(["gunzip", gzip_of(layout)], check=True)
    assert everything(store.root) == before


def test_columns_that_were_kept_are_gone_on_with(store: FolderStore, layout: RunLayout) -> None:
    column = store.column(1, "loss")
    assert column is not None
    shrink(str(layout.folder))
    for _ in range(2):
        again = FolderStore.open(store.root).column(1, "loss")
        assert again is not None
        assert (again.steps, again.values, again.times) == (column.steps, column.values, column.times)


def test_earlier_versions_refuse_the_store(store: FolderStore, layout: RunLayout) -> None:
    check_format(store.root, 1)
    shrink(str(layout.folder))
    with pytest.raises(StoreFormatError, match="has format 4; this version of anew reads up to 2"):
        check_format(store.root, 2)
    # packs of it, too, though they alone would have format 2
    packing.pack(store, [1])
    assert store.layout.format.read_text() == "4\n"


@pytest.mark.parametrize("name", ["outcome.json", "FORMAT", "run ended later"])
def test_what_has_not_ended_as_its_outcome_says_stays(store: FolderStore, layout: RunLayout, name: str) -> None:
    if name == "outcome.json":
        layout.outcome.unlink()
    elif name == "FORMAT":
        store.layout.format.write_text("no number\n")
    else:
        with lines_of(layout).open("ab") as file:
            file.write(b'{"q":99999,"k":"h","t":1.0,"c":"00000000"}\n')
    assert shrink(str(layout.folder)) == []
    assert [path.name for path in layout.events.iterdir()] == ["main.jsonl"]


def test_short_journals_and_those_with_holes_stay(store: FolderStore, layout: RunLayout) -> None:
    number = add_run(store, metrics={"loss": VALUES[:100]})
    assert shrink(str(store.layout.run(number).folder)) == []
    text = lines_of(layout).read_bytes()
    with lines_of(layout).open("wb") as file:
        file.seek(1 << 30)
        file.write(text)
    assert shrink(str(layout.folder)) == []


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="who has a file open is not told here")
def test_the_journal_of_a_child_stays_while_it_may_write(store: FolderStore, layout: RunLayout) -> None:
    outcome = json.loads(layout.outcome.read_text())
    for part in ("writers", "seals"):
        outcome[part]["child"] = outcome[part].pop("main")
    layout.outcome.write_text(json.dumps(outcome))
    lines_of(layout).rename(layout.journal("child"))
    with layout.journal("child").open("ab"):
        assert shrink(str(layout.folder)) == []
    assert shrink(str(layout.folder)) == ["child"]


STEPS = ("compress", "_are_same", "raise_format", "_refuse_changed", "_link", "sync_folder", "os.unlink")


@pytest.mark.parametrize("is_after", [False, True])
@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("is_named", [False, True])
def test_killed_at_any_step_nothing_is_lost_and_the_next_one_goes_on(
    store: FolderStore, layout: RunLayout, monkeypatch: pytest.MonkeyPatch, step: str, is_after: bool, is_named: bool
) -> None:
    before = everything(store.root)
    child = os.fork()
    if child == 0:
        if is_named:
            monkeypatch.setattr(shrinking, "nameless_file", lambda _: None)
        _die_at(step, is_after, monkeypatch)
        shrink(str(layout.folder))
        os._exit(1)
    assert os.waitpid(child, 0)[1] == 9 << 8
    assert everything(store.root) == before
    assert not [*check_store(FolderStore.open(store.root), deep=True)]
    is_left = lines_of(layout).exists()
    assert shrink(str(layout.folder)) == (["main"] if is_left else [])
    assert [path.name for path in layout.events.iterdir() if path.name[0] != "."] == ["main.jsonl.gz"]
    assert everything(store.root) == before


def _die_at(step: str, is_after: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    of, name = (os, step[3:]) if step.startswith("os.") else (shrinking, step)
    real: Callable[..., Any] = getattr(of, name)

    def die(*args: Any, **kwargs: Any) -> None:
        if is_after:
            real(*args, **kwargs)
        os._exit(9)

    monkeypatch.setattr(of, name, die)


@pytest.mark.parametrize("step", ["compress", "_are_same", "_link"])
def test_what_is_not_what_was_written_and_what_cannot_be_leaves_the_journal_as_it_is(
    store: FolderStore, layout: RunLayout, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    def fail(*args: Any) -> bool:
        if step == "_are_same":
            return False
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(shrinking, step, fail)
    assert shrink(str(layout.folder)) == []
    assert [path.name for path in layout.events.iterdir()] == ["main.jsonl"]


def test_it_is_synced_before_it_has_its_name_and_that_before_the_lines_go(
    store: FolderStore, layout: RunLayout, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = []

    def noted(of: Any, name: str) -> None:
        real = getattr(of, name)

        def call(*args: Any) -> Any:
            done.append(name if name != "fsync" or os.fstat(args[0]).st_size > 10_000 else "other")
            return real(*args)

        monkeypatch.setattr(of, name, call)

    noted(os, "fsync")
    noted(os, "unlink")
    noted(shrinking, "_link")
    noted(shrinking, "sync_folder")
    assert shrink(str(layout.folder)) == ["main"]
    assert [name for name in done if name != "other"] == ["fsync", "_link", "sync_folder", "unlink"]


def test_a_journal_that_is_written_to_meanwhile_stays(
    store: FolderStore, layout: RunLayout, monkeypatch: pytest.MonkeyPatch
) -> None:
    def slow(*args: Any) -> None:
        with lines_of(layout).open("ab") as file:
            file.write(b"x")

    monkeypatch.setattr(shrinking, "raise_format", slow)
    assert shrink(str(layout.folder)) == []
    assert [path.name for path in layout.events.iterdir()] == ["main.jsonl"]


def test_an_older_copy_of_its_lines_beside_it_does_not_count(store: FolderStore, layout: RunLayout) -> None:
    before, text = everything(store.root), lines_of(layout).read_bytes()
    shrink(str(layout.folder))
    lines_of(layout).write_bytes(text[: len(text) // 2])
    assert everything(store.root) == before
    assert shrink(str(layout.folder)) == []


def test_flipped_bits_are_said_and_cost_what_stands_near_them(store: FolderStore, layout: RunLayout) -> None:
    shrink(str(layout.folder))
    whole = gzip_of(layout).read_bytes()
    for place in [*DICE.sample(range(len(whole)), 12), 3, len(whole) - 3]:
        data = bytearray(whole)
        data[place] ^= 4
        gzip_of(layout).write_bytes(data)
        assert "compressed form" in damage(store), place
        assert len(FolderStore.open(store.root).metrics(1, "loss").values) > POINTS - 900


def test_what_is_cut_off_or_gone_is_said(store: FolderStore, layout: RunLayout) -> None:
    shrink(str(layout.folder))
    whole = gzip_of(layout).read_bytes()
    gzip_of(layout).write_bytes(whole[: len(whole) // 2])
    assert "are missing at its end" in damage(store)
    gzip_of(layout).write_bytes(b"")
    assert "gunzip" in damage(store)
    gzip_of(layout).unlink()
    assert f"is missing, with its {POINTS + 3} entries" in damage(store)


def test_how_it_is_mended_is_said_and_mends_it(store: FolderStore, layout: RunLayout) -> None:
    """A backup may be of before it was compressed."""
    before, text = everything(store.root), lines_of(layout).read_bytes()
    shrink(str(layout.folder))
    gzip_of(layout).write_bytes(gzip_of(layout).read_bytes()[:5000])
    for each in FolderStore.open(store.root).get(1).damage:
        assert each.where == "events/main.jsonl.gz"
        assert "main.jsonl in its place, and remove it" in each.mend
    lines_of(layout).write_bytes(text)
    gzip_of(layout).unlink()
    assert everything(store.root) == before


def test_a_link_in_its_place_is_not_followed(store: FolderStore, layout: RunLayout, tmp_path: Path) -> None:
    shrink(str(layout.folder))
    gzip_of(layout).rename(tmp_path / "elsewhere")
    gzip_of(layout).symlink_to(tmp_path / "elsewhere")
    assert "no regular file" in damage(store)
    [moved] = to_folder(FolderStore.open(store.root), make_store(tmp_path / "copy"))
    assert (moved.what, "is a link" in moved.detail) == ("failed", True)


def test_a_copy_has_the_same_form_and_its_store_the_format(store: FolderStore, tmp_path: Path) -> None:
    layout, copy = store.layout.run(1), make_store(tmp_path / "copy")
    before = everything(store.root)
    shrink(str(layout.folder))
    assert [moved.what for moved in to_folder(store, copy)] == ["copied"]
    assert everything(copy.root)[1:] == before[1:]
    assert copy.layout.format.read_text() == "4\n"
    # what came since is added, and its lines are not laid beside it
    tag(store, 1, ["later"])
    assert [moved.what for moved in to_folder(store, copy)] == ["updated"]
    assert [moved.what for moved in to_folder(store, copy)] == ["there already"]
    assert copy.get(1).tags == ("later",)
    assert not lines_of(copy.layout.run(1)).exists()


def test_a_compressed_journal_that_is_added_to_a_copy_raises_the_format_of_its_store(
    store: FolderStore, tmp_path: Path
) -> None:
    """As that of a child which wrote on when the run was copied, taken for lost."""
    copy = make_store(tmp_path / "copy")
    assert [moved.what for moved in to_folder(store, copy)] == ["copied"]
    lines_of(copy.layout.run(1)).unlink()
    shrink(str(store.layout.run(1).folder))
    assert [moved.what for moved in to_folder(store, copy)] == ["updated"]
    assert gzip_of(copy.layout.run(1)).exists()
    assert copy.layout.format.read_text() == "4\n"


def test_a_copy_of_its_lines_is_no_other_run(store: FolderStore, layout: RunLayout, tmp_path: Path) -> None:
    copy = make_store(tmp_path / "copy")
    assert [moved.what for moved in to_folder(store, copy)] == ["copied"]
    shrink(str(layout.folder))
    assert [moved.what for moved in to_folder(store, copy)] == ["there already"]


def test_a_run_whose_journal_is_compressed_while_it_is_copied_or_packed_is_whole(
    store: FolderStore, layout: RunLayout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = everything(store.root)
    listed = shutil.copytree

    def copytree(*paths: Any, copy_function: Callable[[str, str], None], **words: Any) -> Any:
        def copy(one: str, other: str) -> None:
            shrink(str(layout.folder))
            copy_function(one, other)

        monkeypatch.setattr(shutil, "copytree", listed)
        return listed(*paths, **{**words, "copy_function": copy})

    kept = tmp_path / "kept"
    shutil.copytree(layout.events, kept)
    monkeypatch.setattr(shutil, "copytree", copytree)
    copy = make_store(tmp_path / "copy")
    assert [moved.what for moved in to_folder(store, copy)] == ["copied"]
    assert everything(copy.root)[1:] == before[1:]

    shutil.rmtree(layout.events)
    listed(kept, layout.events)
    fill = packing._fill

    def filled(path: Path, runs: Any) -> None:
        shrink(str(layout.folder))
        fill(path, runs)

    monkeypatch.setattr(packing, "_fill", filled)
    assert packing.pack(store, [1]).runs == (1,)
    assert everything_packed(store) == before[:5]


def test_a_run_of_which_one_journal_after_the_other_is_compressed_is_packed(
    store: FolderStore, layout: RunLayout, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy(lines_of(layout), layout.journal("child"))
    add, left = packing._add, [layout.journal("child"), lines_of(layout)]

    def added(database: Any, path: Path, *words: Any) -> None:
        if path.suffix == ".jsonl":
            going = left.pop(0)
            going.rename(f"{going}.gz")  # what is in it does not matter here
        add(database, path, *words)

    monkeypatch.setattr(packing, "_add", added)
    assert packing.pack(store, [1]).runs == (1,)


def everything_packed(store: FolderStore) -> tuple[Any, ...]:
    """Return what `everything` begins with, of a run that has no folder."""
    opened = FolderStore.open(store.root)
    series = opened.metrics(1, "loss")
    columns = {name: [*column.values] for name, column in opened.by_writer(1, "loss").items()}
    return opened.get(1), [*series.steps], [*series.values], [*opened.points(1, "loss")], columns


def test_it_goes_into_a_pack_and_out_again(store: FolderStore, layout: RunLayout) -> None:
    before = everything(store.root)
    shrink(str(layout.folder))
    packing.pack(store, [1])
    assert everything_packed(store) == before[:5]
    packing.unpack(store, [1])
    assert everything(store.root) == before
    assert gzip_of(layout).exists()


SCRIPT = f"""
@experiment.main
def main(end: str = "", *, run: Run):
    for step in range({LONG}):
        run.log({{"loss": step / 7}}, step)
    if end:
        import os, signal
        os.kill(os.getpid(), getattr(signal, end))
"""


@pytest.mark.parametrize(("end", "status"), [("", Status.COMPLETED), ("SIGTERM", Status.INTERRUPTED)])
def test_a_long_run_takes_few_bytes_a_point_soon_after_its_end(tmp_path: Path, end: str, status: Status) -> None:
    project = Project(tmp_path).write(SCRIPT)
    subprocess.run([sys.executable, project, *([f"end={end}"] if end else [])], cwd=tmp_path, check=False)
    layout = FolderStore.open(tmp_path / "runs").layout.run(1)
    until(lambda: gzip_of(layout).exists() and not lines_of(layout).exists(), "compressing it")
    record: RunRecord = anew.open_store(str(tmp_path / "runs")).get(1)
    assert (record.status, record.damage, record.metrics["loss"].count) == (status, (), LONG)
    taken = sum(path.stat().st_size for path in layout.folder.rglob("*") if path.is_file())
    assert taken <= 40 * LONG
    assert [path.name for path in layout.events.iterdir() if path.name[0] == "."] == []


def test_of_a_killed_run_the_lines_stay(tmp_path: Path) -> None:
    project = Project(tmp_path).write(SCRIPT)
    subprocess.run([sys.executable, project, "end=SIGKILL"], cwd=tmp_path, check=False)
    layout = FolderStore.open(tmp_path / "runs").layout.run(1)
    assert shrink(str(layout.folder)) == []
    assert lines_of(layout).exists()


@pytest.mark.skipif(compiler() is None or not sys.platform.startswith("linux"), reason="there is no C compiler here")
@pytest.mark.parametrize("strength", STRENGTHS)
def test_a_power_cut_at_any_place_leaves_all_of_it(
    store: FolderStore, layout: RunLayout, tmp_path: Path, strength: str
) -> None:
    work, before = tmp_path / "work", everything(store.root)[1:3]
    work.mkdir()
    disk = Disk(store.root)
    for path in sorted(store.root.rglob("*")):
        disk.do(Call("mkdir" if path.is_dir() else "create", 0.0, 1, str(path), "", 0, b""))
        if path.is_file():
            disk.do(Call("write", 0.0, 1, str(path), "", 0, path.read_bytes()))
        disk.do(Call("sync", 0.0, 1, str(path), "", 0, b""))
        disk.do(Call("sync", 0.0, 1, str(path.parent), "", 0, b""))
    program = (
        "from anew.runner.guard import shrinking; shrinking.LONG_BYTES = 1; "
        f"assert shrinking.shrink({str(layout.folder)!r})"
    )
    calls = recorded([sys.executable, "-c", program], store.root, work, {"ANEW_POSIX_ONLY": "1"})
    assert {"create", "write", "sync", "link", "rename", "unlink"} <= {call.what for call in calls}
    chosen = {*DICE.sample(range(len(calls)), 4), *range(len(calls) - 6, len(calls))}
    dice = random.Random(7)
    for place, call in enumerate(calls):
        disk.do(call)
        if place in chosen or call.what not in ("write",):
            disk.build(tmp_path / "after", strength, dice)
            found = FolderStore.open(tmp_path / "after")
            series = found.metrics(1, "loss")
            assert ([*series.steps], [*series.values]) == before
            assert not found.get(1).damage
            shutil.rmtree(tmp_path / "after")
