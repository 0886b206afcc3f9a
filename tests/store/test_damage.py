"""What was there when a run ended, and is not there any more, is named."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from anew.runner.cli import main
from anew.runner.events import RunEnded
from anew.runner.format import serial
from anew.runner.guard.journal_ends import journal_ends
from anew.runner.records import Part, Severity
from anew.runner.store.curate import delete, note, tag
from anew.runner.store.folder import FolderStore
from anew.runner.store.integrity import check_store
from anew.runner.store.journal import JournalWriter
from anew.runner.store.paths import RunLayout
from anew.runner.store.position import CursorFile
from anew.runner.store.reading import read_outcome
from tests.helpers.scripts import Project
from tests.helpers.stores import add_run, make_store

SCRIPT = """
import sys, time
from anew import Experiment, Run
experiment = Experiment("fit")
@experiment.main
def main(wait: float = 0.0, *, run: Run) -> int:
    for step in range(10):
        run.log({"loss": step})
    print("printed")
    sys.stdout.flush()
    if wait:
        print("ready", flush=True)
        sum(range(10**12))  # a call that holds the GIL: the guard has to write the outcome
    return 1
if __name__ == "__main__":
    main()
"""


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    store = make_store(tmp_path / "runs")
    add_run(store, metrics={"loss": [5, 4, 3, 2, 1]}, output="hello\n")
    add_run(store, metrics={"loss": [1]})
    return store


def what_is_wrong(store: FolderStore) -> list[str]:
    """What is said of run 1, which is the same in a list, in the record, and by a check."""
    fresh = FolderStore.open(store.root)
    listed = {record.id: record for record in fresh.find()}
    assert listed[2].damage == ()
    assert listed[1].damage == fresh.get(1).damage
    assert {finding.what for finding in check_store(fresh)} >= {each.what for each in listed[1].damage}
    return [each.what for each in listed[1].damage]


def cut_to(lines: int) -> Callable[[Path], object]:
    def cut(path: Path) -> None:
        path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:lines]))

    return cut


def flip_the_last_newline(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[:-1] + b"\x0b")


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (cut_to(4), "entry 5 is missing at its end"),
        (cut_to(2), "the entries 3 to 5 are missing at its end"),
        (cut_to(0), "the entries 1 to 5 are missing at its end"),
        (lambda path: os.truncate(path, path.stat().st_size - 2), "entry 5 is missing at its end"),
        (Path.unlink, "is missing, with its 5 entries"),
    ],
)
def test_a_journal_that_was_cut_short_or_removed_after_the_end_is_noticed(
    store: FolderStore, harm: Callable[[Path], object], said: str
) -> None:
    assert what_is_wrong(store) == []
    harm(store.layout.run(1).journal("main"))

    assert what_is_wrong(store) == [f"events/main.jsonl: {said}"]


def test_a_folder_of_journals_that_was_removed_is_noticed(store: FolderStore) -> None:
    layout = store.layout.run(1)
    layout.journal("main").unlink()
    layout.events.rmdir()

    assert what_is_wrong(store) == ["events/main.jsonl: is missing, with its 5 entries"]


@pytest.mark.parametrize("name", ["run.json", "outcome.json", "events/main.jsonl"])
def test_a_damaged_last_newline_costs_nothing(store: FolderStore, name: str) -> None:
    before = store.get(1)
    flip_the_last_newline(store.layout.run(1).folder / name)
    after = FolderStore.open(store.root).get(1)

    assert replace(after, damage=(), warnings=()) == before


def test_a_damaged_newline_between_two_lines_costs_neither(store: FolderStore) -> None:
    path = store.layout.run(1).journal("main")
    path.write_bytes(path.read_bytes().replace(b"\n", b"\x0b", 2).replace(b"\x0b", b"\n", 1))

    assert store.get(1).metrics["loss"].count == 5
    assert len(store.metrics(1, "loss").steps) == 5
    assert [each.rpartition(": ")[2] for each in what_is_wrong(store)] == [
        "the end of a line is damaged; nothing of it is lost"
    ]


def test_output_that_was_cut_short_or_removed_is_noticed(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(SCRIPT)
    subprocess.run([sys.executable, "train.py"], cwd=tmp_path, check=True, capture_output=True)
    store = FolderStore.open(tmp_path / "runs")
    ended, _ = read_outcome(store.layout.run(1), "")
    assert ended is not None
    assert (ended.writers, ended.output_bytes) == ({"main": store_length(store)}, 8)

    os.truncate(store.layout.run(1).output, 3)
    assert [each.what for each in store.get(1).damage] == ["output.log is cut short: it has 3 bytes, and had 8 or more"]
    store.layout.run(1).output.unlink()
    [damage] = store.get(1).damage
    assert (damage.part, damage.severity, damage.hides_content) == (Part.OUTPUT, Severity.ERROR, False)
    assert damage.what == "output.log is missing; it had 8 bytes or more"


def store_length(store: FolderStore) -> int:
    return len(store.layout.run(1).journal("main").read_bytes().splitlines())


def test_an_outcome_by_the_guard_says_as_much(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(SCRIPT)
    process = subprocess.Popen(
        [sys.executable, "train.py", "wait=1"], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    assert process.stdout is not None
    while b"ready" not in (line := process.stdout.readline()):
        assert line
    time.sleep(0.3)
    process.send_signal(signal.SIGTERM)
    process.wait(30)
    process.stdout.close()
    store = FolderStore.open(tmp_path / "runs")
    ended, _ = read_outcome(store.layout.run(1), "")

    assert ended is not None
    assert ended.writers == {"main": store_length(store)}
    assert ended.output_bytes in range(len("printed\nready\n") + 1)  # of what is fresh, more may yet change
    cut_to(3)(store.layout.run(1).journal("main"))
    assert any("missing at its end" in each.what for each in store.get(1).damage)


def test_what_a_writer_knows_of_its_journal_holds_whatever_became_of_the_file(store: FolderStore) -> None:
    number = add_run(store, status=None, metrics={"loss": [1, 2, 3]})
    store.layout.run(number).journal("main").unlink()
    ended, _ = read_outcome(store.layout.run(1), "")
    assert ended is not None
    assert store.finish(
        number, replace(ended, uid=store.get(number).uid, writers={"main": 3}, output_bytes=None, output_sealed=None)
    )

    assert [each.what for each in store.get(number).damage] == ["events/main.jsonl: is missing, with its 3 entries"]


def test_a_run_of_an_earlier_version_is_read_as_ever(store: FolderStore) -> None:
    """Its outcome does not say what there was."""
    path = store.layout.run(1).outcome
    data = serial.unseal(path.read_bytes())
    path.write_bytes(serial.seal({key: data[key] for key in data if key not in ("writers", "output_bytes")}))
    cut_to(3)(store.layout.run(1).journal("main"))

    assert what_is_wrong(store) == []
    ended, _ = read_outcome(store.layout.run(1), "")
    assert isinstance(ended, RunEnded)
    assert ended.writers is None


def test_what_is_written_after_the_end_is_no_damage(store: FolderStore) -> None:
    """Tags and notes, and a child that lives longer, have journals that the outcome knows little of."""
    child = JournalWriter(store.layout.run(1).journal("p1-child"), clock=lambda: 3.0)
    child.log({"late": 1.0})
    child.close()

    assert what_is_wrong(store) == []


@pytest.mark.parametrize("length", [1, 1000, 65_530, 65_536, 70_000, 3_000_000])
def test_the_end_of_a_journal_is_found_behind_lines_of_any_length(tmp_path: Path, length: int) -> None:
    layout = RunLayout(tmp_path)
    layout.events.mkdir()
    journal = JournalWriter(layout.journal("main"), clock=lambda: 1.0)
    assert journal_ends(str(layout.events)) == {}
    for number in range(1, 4):
        journal.append("n", {"x": "x" * length})
        assert journal_ends(str(layout.events)) == {"main": number}
    journal.close()
    with layout.journal("main").open("ab") as file:
        file.write(b'{"q":9,"k":"m"')
    os.mkfifo(layout.journal("fifo"))
    layout.journal("link").symlink_to(layout.journal("main"))

    assert journal_ends(str(layout.events)) == {"main": 3}


def test_a_run_that_ended_while_it_was_looked_at_counts_its_points_once(
    store: FolderStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    from anew.runner.store import reading

    path = store.layout.run(1).outcome
    data = path.read_bytes()
    path.unlink()

    def dies(*_: object) -> bool:
        path.write_bytes(data)
        return False

    monkeypatch.setattr(reading, "is_alive", dies)

    assert reading.read_run(store.layout.run(1), 1).metrics["loss"].count == 5  # type: ignore[union-attr]


def test_list_show_metrics_and_logs_say_it_on_stderr(store: FolderStore, capfd: pytest.CaptureFixture[str]) -> None:
    cut_to(3)(store.layout.run(1).journal("main"))
    for words in ("list", "list --json", "show 1", "show 1 --json", "metrics 1", "logs 1"):
        command = words.split()
        capfd.readouterr()
        assert main(["--store", store.url, *command]) == 0
        out, err = capfd.readouterr()
        assert "Run 1 is damaged: events/main.jsonl: the entries 4 to 5 are missing at its end." in err
        assert "anew check" in err
        if "--json" in command:
            json.loads(out)
    capfd.readouterr()
    assert main(["--store", store.url, "check"]) == 2
    assert "the entries 4 to 5 are missing at its end" in capfd.readouterr().out


def test_a_damaged_cursor_is_said_and_delivery_begins_anew(store: FolderStore) -> None:
    layout = store.layout.run(1)
    layout.observers.mkdir()
    for q in (1, 2):
        CursorFile(layout, "mongo").set_aside("main", q, "MetricsLogged", "refused")
    CursorFile(layout, "mongo").save(sink="7")
    path = layout.cursor("mongo")
    whole = path.read_bytes()
    assert store.get(1).damage == ()
    for at in range(0, len(whole) - 1, 7):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 4]) + whole[at + 1 :])
        assert CursorFile(layout, "mongo").cursor.aside in (0, 2)
        if CursorFile(layout, "mongo").cursor.sink != "7":
            [damage] = store.get(1).damage
            assert (damage.part, damage.severity, damage.mend) == (Part.CURSOR, Severity.WARNING, "anew sync")
    path.write_text('{"done":{"pieces":3},"aside":1}')
    assert CursorFile(layout, "mongo").cursor.aside == 1, "earlier versions wrote no seal"
    path.write_text('{"done":{"pieces":-3},"aside":1}')
    assert CursorFile(layout, "mongo").cursor.aside == 0


# --- what is given later, what is for people, what leads elsewhere ----------------------------------------------------


def test_a_tag_or_a_note_that_was_removed_is_noticed(store: FolderStore) -> None:
    tag(store, 1, ["paper"])
    note(store, 1, "seen")
    assert what_is_wrong(store) == []
    path = next(path for path in store.layout.run(1).events.glob("curate-*") if b"paper" in path.read_bytes())
    path.unlink()

    assert what_is_wrong(store) == [f"events/{path.name}: is missing, with its 1 entries"]


def test_what_is_known_of_tags_and_notes_is_sealed(store: FolderStore) -> None:
    tag(store, 1, ["paper"])
    path = store.layout.run(1).curated
    path.write_bytes(path.read_bytes().replace(b"curate", b"curbte"))

    [said] = what_is_wrong(store)
    assert said.startswith("curated.json is damaged")
    tag(store, 1, ["more"])
    assert what_is_wrong(store) == [said], "what it knew is not written over"
    path.unlink()
    assert what_is_wrong(store) == [], "earlier versions had none"
    note(store, 1, "x")
    assert len(serial.unseal(path.read_bytes())["writers"]) == 3


def test_a_view_that_was_edited_is_said_by_a_deep_check_and_read_by_no_re_run(
    project: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    trial = Project(project)
    trial.write("""
    @experiment.main
    def main(lr: float = 0.1):
        return lr
    """)
    trial.run("lr=0.2")
    layout = trial.store.layout.run(1)
    assert list(check_store(trial.store, deep=True)) == []
    for name in ("config.yaml", "files/.hydra/config.yaml"):
        path = layout.folder / name
        path.write_text(path.read_text().replace("0.2", "0.9"))

    found = {each.what: each for each in check_store(trial.store, deep=True)}
    assert set(found) == {
        f"{name} was changed since it was written; run.json has what counts"
        for name in ("config.yaml", "files/.hydra/config.yaml")
    }
    assert {each.severity for each in found.values()} == {Severity.WARNING}
    assert list(check_store(trial.store)) == []
    assert main(["rerun", "1"]) == 0
    assert trial.record("last").result == 0.2
    for name in ("config.yaml", "overrides.yaml", "hydra.yaml"):
        (layout.folder / name).unlink()
        (layout.hydra / name).unlink()
    capfd.readouterr()
    assert main(["check", "--deep"]) == 0
    assert "warning" not in capfd.readouterr().out


@pytest.mark.parametrize(
    ("call", "end", "code"),
    [("main()", "pass", 0), ("main.run(*sys.argv[2:])", "pass", 0), ("main.run(*sys.argv[2:])", "os.abort()", -6)],
    ids=["sweep", "from Python", "killed"],
)
def test_so_is_one_that_was_made_while_the_run_went_on(project: Path, call: str, end: str, code: int) -> None:
    Path(project, "train.py").write_text(
        "import logging, os, sys\n"
        "from anew import Experiment\n"
        "@Experiment('trial').main\n"
        "def main(lr: float = 0.1):\n"
        "    logging.getLogger('x').info('asks for the folder')\n"
        f"    {end}\n"
        f"if __name__ == '__main__':\n    {call}\n"
    )
    trial = Project(project)
    trial.run("-m", "lr=0.2", code=code)
    path = trial.store.layout.run(1).hydra / "config.yaml"
    before = [each.what for each in check_store(trial.store, deep=True)]
    assert code or before == []
    path.write_text(path.read_text().replace("0.2", "0.9"))

    [found] = [each for each in check_store(trial.store, deep=True) if each.what not in before]
    assert found.what == "files/.hydra/config.yaml was changed since it was written; run.json has what counts"


def test_a_file_in_run_dir_that_is_not_what_was_logged_is_noted(store: FolderStore) -> None:
    number = add_run(store, artifacts={"model.bin": b"weights"})
    path = store.layout.run(number).files / "model.bin"
    path.parent.mkdir()
    path.write_bytes(b"weights")
    assert list(check_store(store, deep=True)) == []
    path.write_bytes(b"weightz")

    [finding] = check_store(store, deep=True)
    assert finding.severity is Severity.NOTE
    assert finding.what.startswith("files/model.bin is not what was logged as an artifact")


@pytest.mark.parametrize("name", ["", "events", "run.json", "outcome.json", "output.log", "output.sums", "observers"])
def test_a_link_out_of_the_store_is_not_followed(
    store: FolderStore, name: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """A cloned store may have one that leads to anything of its reader's."""
    elsewhere = make_store(tmp_path / "secret")
    add_run(elsewhere, metrics={"secret": [4242.25]}, output="secret\n", result=4242.25, tags=["secret"])
    elsewhere.layout.run(1).observers.mkdir()
    (elsewhere.layout.run(1).observers / "secret.cursor").write_text("{}")
    path = store.layout.run(1).folder / name
    if path.is_dir():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)
    path.symlink_to(elsewhere.layout.run(1).folder / name)

    words = [
        "list",
        "list --json",
        "show 1",
        "show 1 --json",
        "metrics 1",
        "logs 1",
        "diff 1 2",
        "check --deep",
        "sync",
    ]
    for each in words:
        capfd.readouterr()
        assert main(["--store", store.url, *each.split()]) in (0, 2)
        out, err = capfd.readouterr()
        assert "Traceback" not in err
        assert "4242.25" not in out, each
        assert not [line for line in out.splitlines() if "secret" in line.replace(str(elsewhere.root), "")], each
    capfd.readouterr()
    main(["--store", store.url, "check", "--deep"])
    assert "link" in capfd.readouterr().out


def test_what_is_set_aside_is_sealed_and_counted(store: FolderStore) -> None:
    layout = store.layout.run(1)
    layout.observers.mkdir()
    file = CursorFile(layout, "mine")
    file.set_aside("main", 1, "MetricsLogged", "refused")
    file.set_aside("main", 2, "MetricsLogged", "refused")
    path = layout.aside("mine")
    whole = path.read_bytes()
    assert store.get(1).damage == ()
    for harmed in (whole.replace(b"refused", b"rEfused"), whole.splitlines(keepends=True)[0], None):
        path.unlink() if harmed is None else path.write_bytes(harmed)
        [damage] = store.get(1).damage
        assert damage.what.startswith("observers/mine.aside.jsonl is damaged")


@pytest.mark.parametrize("text", ["", "x", "0\n", "-1\n", "9\n", None])
def test_check_says_as_json_too_that_format_is_damaged(
    store: FolderStore, text: str | None, capfd: pytest.CaptureFixture[str]
) -> None:
    store.layout.format.unlink()
    os.mkfifo(store.layout.format) if text is None else store.layout.format.write_text(text)

    assert main(["--store", store.url, "check", "--json"]) == 2
    told = json.loads(capfd.readouterr().out)
    [finding] = told["findings"]
    assert (told["store"], finding["severity"]) == (None, "error")
    assert "FORMAT" in finding["what"] or "format" in finding["what"]
    assert "write the number 1 into it" in finding["mend"]
    assert "anew check" not in finding["what"] + finding["mend"], "which is what was typed"
    assert main(["--store", store.url, "check"]) == 2
    assert "All is well" not in capfd.readouterr().out
    assert main(["--store", store.url, "list"]) == 2


def test_a_number_whose_run_never_started_is_not_counted(store: FolderStore, capfd: pytest.CaptureFixture[str]) -> None:
    store.claim()
    assert main(["--store", store.url, "check"]) == 0
    assert re.search(r"runs +2\n", capfd.readouterr().out)


def test_deleted_runs_content_without_a_run_and_what_is_none_of_ours_are_looked_at(store: FolderStore) -> None:
    number = add_run(store, metrics={"loss": [1, 2]}, output="printed\n")
    delete(store, number)
    cut_to(1)(store.layout.trashed(number).journal("main"))
    sha256 = store.objects.put_bytes(b"nobody refers to it")
    store.objects.path(sha256).chmod(0o644)
    store.objects.path(sha256).write_bytes(b"nobody refers to IT")
    (store.root / "notes.txt").write_text("mine")
    (store.root / "1" / "scratch").mkdir()
    (store.root / "1" / "pipe").mkdir()
    os.mkfifo(store.root / "1" / "hydra.yaml")

    found = {
        (each.where.removeprefix(str(store.root)), each.what.partition(":")[0])
        for each in check_store(store, deep=True)
    }
    assert found >= {
        (f"deleted run {number}", "events/main.jsonl"),
        (
            str(store.objects.path(sha256)).removeprefix(str(store.root)),
            f"the content {sha256[:12]} is damaged; no run refers to it",
        ),
        ("/notes.txt", "is not anew's"),
        ("/1/scratch", "is not anew's"),
        ("/1/hydra.yaml", "is a pipe or a device where anew has a file"),
    }
    assert ("/1/scratch", "is not anew's") not in {
        (each.where.removeprefix(str(store.root)), each.what) for each in check_store(store)
    }


def test_an_index_that_is_damaged_is_said_before_it_is_made_anew(store: FolderStore) -> None:
    store.find()
    whole = store.layout.index.read_bytes()
    assert list(check_store(store, deep=True)) == []
    at = whole.index(b"digits")
    store.layout.index.write_bytes(whole[:at] + b"D" + whole[at + 1 :])

    [finding] = check_store(FolderStore.open(store.root), deep=True)
    assert "1 of its rows are not what was written" in finding.what
    for harmed in (whole[:1000], b"", bytes(len(whole))):
        store.layout.index.write_bytes(harmed)
        [finding] = check_store(FolderStore.open(store.root), deep=True)
        assert finding.where == str(store.layout.index)


def test_files_of_two_runs_that_were_exchanged_are_noticed(store: FolderStore) -> None:
    add_run(store, metrics={"loss": [9, 8, 7, 6, 5]}, output="HELLO\n", result=9)
    tag(store, 1, ["one"])
    tag(store, 3, ["two"])
    layouts = [store.layout.run(number) for number in (1, 3)]
    curated = [next(layout.events.glob("curate-*")) for layout in layouts]
    other = "is not the one that was written: it may be another run's journal"
    pairs = {
        "outcome.json": "outcome.json is damaged (it is another run's); how the run ended is not known",
        "run.json": "outcome.json is damaged (it is another run's); how the run ended is not known",
        "events/main.jsonl": f"events/main.jsonl: entry 5 {other}",
        "output.log": "output.log is not what was printed in the bytes 0 to 6",
        "curated": f"events/{curated[0].name}: entry 1 {other}",
    }
    for name, said in pairs.items():
        paths = curated if name == "curated" else [layout.folder / name for layout in layouts]
        data = [path.read_bytes() for path in paths]
        paths[0].write_bytes(data[1])
        paths[1].write_bytes(data[0])
        assert said in {each.what for each in FolderStore.open(store.root).get(1).damage}, name
        paths[0].write_bytes(data[0])
        paths[1].write_bytes(data[1])
    assert store.get(1).damage == ()


def test_zeros_at_the_end_of_a_journal_are_no_half_line_of_a_killed_writer(store: FolderStore) -> None:
    number = add_run(store, status=None, metrics={"loss": [1, 2, 3]})
    path = store.layout.run(number).journal("main")
    whole = path.read_bytes()
    path.write_bytes(whole[:-10])
    assert store.get(number).damage == ()
    path.write_bytes(whole[:-10] + bytes(10))
    assert "its end is zeros" in store.get(number).damage[0].what
