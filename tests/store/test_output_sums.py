"""The output of a run has its checksums beside it: what is not what was printed is named, to the stretch."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from anew.runner.cli import main
from anew.runner.guard.output_log import STRETCH_BYTES, LimitedFile, OutputLog, Seals, Stretch, stretch_of, stretches_in
from anew.runner.records import Part, Severity
from anew.runner.store.folder import FolderStore
from anew.runner.store.integrity import check_store
from anew.runner.store.output_sums import output_damage, seal_output
from anew.runner.store.paths import RunLayout
from anew.runner.store.reading import read_outcome
from tests.helpers.scripts import Project
from tests.helpers.stores import add_run, make_store
from tests.helpers.waiting import until

LINES = STRETCH_BYTES * 3 // len("printed\n")


@pytest.fixture
def layout(tmp_path: Path) -> RunLayout:
    """A run that printed three stretches and a bit."""
    store = make_store(tmp_path / "runs")
    return store.layout.run(add_run(store, output="printed\n" * LINES + "end\n"))


def damage(layout: RunLayout) -> list[str]:
    ended, _ = read_outcome(layout, "")
    return [each.what for each in output_damage(layout, ended)]


def flip(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 4
    path.write_bytes(data)


def sums(layout: RunLayout) -> list[Stretch | None]:
    return list(stretches_in(layout.output_sums.read_bytes()))


def test_a_bit_is_said_with_its_stretch_by_logs_show_and_a_deep_check(
    layout: RunLayout, capfd: pytest.CaptureFixture[str]
) -> None:
    assert damage(layout) == []
    flip(layout.output, STRETCH_BYTES + 7)
    said = f"output.log is not what was printed in the bytes {STRETCH_BYTES} to {2 * STRETCH_BYTES}"

    assert damage(layout) == [said]
    root = str(layout.folder.parent)
    for words in (["show", "1"], ["show", "1", "--json"], ["logs", "1"], ["logs", "1", "--json"]):
        assert main(["--store", root, *words]) == 0
        assert f"Run 1 is damaged: {said}." in capfd.readouterr().err
    assert main(["--store", root, "check"]) == 0, "not a word of it without --deep"
    assert main(["--store", root, "check", "--deep"]) == 2
    assert f"error: run 1: {said}" in capfd.readouterr().out


@pytest.mark.parametrize("at", [0, STRETCH_BYTES - 1, 3 * STRETCH_BYTES, -1])
def test_any_byte_counts(layout: RunLayout, at: int) -> None:
    flip(layout.output, at)
    assert len(damage(layout)) == 1


def test_a_stretch_of_zeros_is_said_and_what_was_appended_too(layout: RunLayout) -> None:
    data = layout.output.read_bytes()
    layout.output.write_bytes(data[:10] + bytes(20) + data[30:])
    assert damage(layout) == [f"output.log is not what was printed in the bytes 0 to {STRETCH_BYTES}"]
    layout.output.write_bytes(data + b"not printed")
    assert damage(layout) == ["output.log has 11 bytes behind its end that nobody printed"]


def test_checksums_that_are_gone_cut_short_or_damaged_are_said(layout: RunLayout) -> None:
    whole = layout.output_sums.read_bytes()
    lines = whole.splitlines(keepends=True)
    size = layout.output.stat().st_size
    layout.output_sums.unlink()
    assert damage(layout) == [f"output.sums is missing: it covers 0 bytes of the output, and covered {size}"]
    layout.output_sums.write_bytes(lines[0])
    covered = f"it covers {STRETCH_BYTES} bytes of the output, and covered {size}"
    assert damage(layout) == [f"output.sums is cut short: {covered}"]
    layout.output_sums.write_bytes(whole.replace(b'"n"', b'"m"', 1))
    assert damage(layout) == ["output.sums has 1 damaged lines"]
    ended, _ = read_outcome(layout, "")
    [found] = output_damage(layout, ended)
    assert (found.part, found.severity) == (Part.OUTPUT, Severity.WARNING)
    layout.output_sums.unlink()
    os.mkfifo(layout.output_sums)
    assert damage(layout) == ["output.sums cannot be read: it is no regular file"]


def test_output_of_earlier_versions_has_no_checksums_and_is_shown_as_ever(layout: RunLayout) -> None:
    layout.output_sums.unlink()
    flip(layout.output, 3)
    assert output_damage(layout, None) == []


def test_what_was_not_sealed_yet_is_no_damage(layout: RunLayout) -> None:
    """Such as the last rows of a run whose machine went down."""
    layout.output_sums.write_bytes(b"".join(layout.output_sums.read_bytes().splitlines(keepends=True)[:2]) + b'{"at":1')
    layout.outcome.unlink()
    with layout.output.open("ab") as file:
        file.write(b"more")
    assert damage(layout) == []
    flip(layout.output, STRETCH_BYTES)
    assert damage(layout) == [f"output.log is not what was printed in the bytes {STRETCH_BYTES} to {2 * STRETCH_BYTES}"]


def test_a_line_says_what_it_said(tmp_path: Path) -> None:
    stretch = Stretch(65_536, 7, 0x1A2B3C4D, is_last=True)
    line = stretch.line()
    assert stretch_of(line[:-1]) == stretch
    for at in range(len(line) - 1):
        assert stretch_of(line[:at] + bytes([line[at] ^ 1]) + line[at + 1 : -1]) is None


# --- who writes them ------------------------------------------------------------------------------------------------


def opened(folder: Path, limit: int) -> tuple[OutputLog, RunLayout]:
    layout = RunLayout(folder)
    descriptor = os.open(layout.output, os.O_RDWR | os.O_CREAT, 0o644)
    return OutputLog(descriptor, limit, seals=str(layout.output_sums)), layout


def test_a_log_that_is_cut_to_its_limit_is_sealed_as_it_is_in_the_end(tmp_path: Path) -> None:
    log, layout = opened(tmp_path, 8 * STRETCH_BYTES)
    stream = log.stream()
    for number in range(40):
        log.print(stream, f"{number:05d}" * (STRETCH_BYTES // 10) + "\n")
        log.flush()
        assert damage(layout) == []
        assert log.sealed_bytes <= log.settled_bytes
    log.close()

    assert damage(layout) == []
    assert b"bytes left out" in layout.output.read_bytes()
    assert log.sealed_bytes == log.settled_bytes == layout.output.stat().st_size
    for at in range(0, layout.output.stat().st_size, STRETCH_BYTES // 2):
        flip(layout.output, at)
        assert len(damage(layout)) == 1
        flip(layout.output, at)


def test_nothing_printed_makes_no_file(tmp_path: Path) -> None:
    log, layout = opened(tmp_path, 1000)
    log.close()
    assert not layout.output_sums.exists()


def test_another_writer_goes_on_where_a_killed_one_stood(tmp_path: Path) -> None:
    log, layout = opened(tmp_path, 1 << 20)
    log.print(log.stream(), "x" * STRETCH_BYTES + "\nmore\n")
    log.flush()
    with layout.output_sums.open("ab") as file:
        file.write(b'{"at":655')
    descriptor = os.open(layout.output, os.O_RDWR)
    successor = OutputLog(descriptor, 1 << 20, seals=str(layout.output_sums))
    successor.print(successor.stream(), "and more\n")
    successor.close()

    assert damage(layout) == []
    assert [each.begin for each in sums(layout) if each] == [0, log.sealed_bytes]
    flip(layout.output, -3)
    assert len(damage(layout)) == 1


def test_checksums_that_cannot_be_written_cost_the_log_nothing(tmp_path: Path) -> None:
    layout = RunLayout(tmp_path)
    layout.output_sums.mkdir()
    descriptor = os.open(layout.output, os.O_RDWR | os.O_CREAT, 0o644)
    log = OutputLog(descriptor, 1 << 20, seals=str(layout.output_sums))
    log.print(log.stream(), "printed\n")
    log.close()

    assert layout.output.read_text() == "printed\n"
    assert log.problem is not None
    assert "no checksums from byte 0 on" in log.problem


def test_a_log_that_nobody_seals_has_none(tmp_path: Path) -> None:
    descriptor = os.open(tmp_path / "log", os.O_RDWR | os.O_CREAT, 0o644)
    LimitedFile(descriptor, 100).write(b"x", b"")
    seals = Seals(descriptor, None)
    seals.close(1)
    assert os.listdir(tmp_path) == ["log"]


@pytest.mark.parametrize("mode", ["fd", "sys"])
def test_the_output_of_a_run_is_sealed_before_its_outcome_is_there(project: Path, mode: str) -> None:
    trial = Project(project)
    trial.write("""
    @experiment.main
    def main():
        for _ in range(30_000):
            print("printed")
    """)
    trial.run(f"anew.output.mode={mode}")
    layout = trial.store.layout.run(1)
    ended, _ = read_outcome(layout, "")
    assert ended is not None
    assert ended.output_sealed == ended.output_bytes == layout.output.stat().st_size == 240_000
    assert len(sums(layout)) == 4
    assert not list(check_store(trial.store, deep=True))


def test_the_output_of_a_run_that_was_killed_is_sealed_by_the_guard(project: Path) -> None:
    trial = Project(project)
    trial.write("""
    @experiment.main
    def main():
        print("printed", flush=True)
        os.kill(os.getpid(), 9)
    """)
    trial.run(code=-signal.SIGKILL)
    layout = trial.store.layout.run(1)
    until(lambda: layout.output_sums.exists())
    assert damage(layout) == []
    flip(layout.output, 0)
    assert [each.what for each in FolderStore.open(trial.store.root).get(1).damage] == [
        "output.log is not what was printed in the bytes 0 to 8"
    ]


def test_what_is_laid_out_from_elsewhere_gets_its_own(layout: RunLayout) -> None:
    before = layout.output_sums.read_bytes()
    seal_output(layout, is_closed=True)
    assert layout.output_sums.read_bytes() == before
    seal_output(layout, is_closed=False)
    assert damage(layout) == []
    layout.output.unlink()
    seal_output(layout, is_closed=False)
    assert not layout.output_sums.exists()
