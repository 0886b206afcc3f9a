"""A few lines while the run goes on: plain, safe to print, and never in anybody's way."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from io import StringIO, TextIOWrapper
from pathlib import Path
from typing import Any

import pytest
import yaml

import anew.configs
from anew.observers.console import ConsoleObserver
from anew.runner import events as ev
from anew.runner.config.build import build_observer
from anew.runner.contracts import Observer
from anew.runner.errors import ConfigError
from anew.runner.format.values import from_iso
from anew.runner.records import CommandFacts, ContentRef, ErrorFacts, HardwareFacts, RunRecord, Status
from tests.helpers.scripts import Project

STARTED = from_iso("2026-03-01T12:00:00.250000Z")
RECORD = RunRecord(
    uid="01kjmz5n7a8y3v0c2xq9r4tw6b",
    id=7,
    experiment="digits",
    started_at=STARTED,
    command=CommandFacts(argv=("train.py",), cwd="/project"),
    hardware=HardwareFacts(hostname="gpu07", os="Linux"),
)


def start(**changes: Any) -> ev.RunStarted:
    record = replace(RECORD, **changes)
    return ev.RunStarted(uid=record.uid, writer="run", q=0, t=0.0, record=record)


def point(q: int, values: Mapping[str, float | int], step: int) -> ev.MetricsLogged:
    return ev.MetricsLogged(uid=RECORD.uid, writer="main", q=q, t=q / 2, step=step, values=values)


def artifact(q: int, path: str, size: int = 3500) -> ev.ArtifactAdded:
    file = ContentRef(path=path, sha256="0" * 64, size=size)
    return ev.ArtifactAdded(uid=RECORD.uid, writer="main", q=q, t=1.0, artifact=file)


def end(status: Status = Status.COMPLETED, **changes: Any) -> ev.RunEnded:
    return ev.RunEnded(
        uid=RECORD.uid,
        writer="outcome",
        q=0,
        t=182.0,
        status=status,
        ended_at=STARTED,
        duration_s=182.0,
        **changes,
    )


def printed(*events: ev.Event, **options: Any) -> list[str]:
    stream = StringIO()
    observer = ConsoleObserver(stream=stream, **{"interval_s": 0, **options})
    for event in events:
        observer.handle(event)
    observer.close()
    assert not stream.closed
    return stream.getvalue().splitlines()


# --- what is said -----------------------------------------------------------------------------------------------


def test_a_run_is_told_from_its_start_to_its_end() -> None:
    lines = printed(
        start(),
        point(1, {"loss": 0.5, "val/acc": 1}, 1),
        artifact(2, "model.bin"),
        point(3, {"loss": 1 / 3}, 2),
        end(result=0.9375),
    )

    assert lines == [
        "run 7 of digits started on gpu07",
        "run 7 at 0.5 s, step 1: loss 0.5, val/acc 1",
        "run 7 keeps model.bin (3.4 KiB)",
        "run 7 at 1.5 s, step 2: loss 0.33333, val/acc 1",
        "run 7 completed after 3 min 2 s: result 0.9375",
    ]


def test_how_it_ended_is_said_in_words() -> None:
    failed = ErrorFacts(type="ValueError", message="no\nluck", traceback="Traceback ...")

    assert printed(start(), end())[-1] == "run 7 completed after 3 min 2 s"
    assert printed(start(), end(Status.FAILED, error=failed))[-1] == "run 7 failed after 3 min 2 s: ValueError: no luck"
    assert printed(start(), end(Status.FAILED))[-1] == "run 7 failed after 3 min 2 s"
    told = ev.ToldToStop(uid=end().uid, writer="main", q=1, t=0.1, asked=1)
    assert printed(start(), told, end(result=2))[-1] == "run 7 was pruned after 3 min 2 s: result 2"
    interrupted = end(Status.INTERRUPTED, signal="SIGTERM")
    assert printed(start(), interrupted)[-1] == "run 7 was interrupted after 3 min 2 s (SIGTERM)"
    assert printed(start(), end(Status.INTERRUPTED))[-1] == "run 7 was interrupted after 3 min 2 s"


def test_a_run_without_a_number_goes_by_the_beginning_of_its_uid() -> None:
    assert printed(start(id=None, hardware=None)) == ["run 01kjmz5n7a of digits started"]


def test_metrics_come_now_and_then_and_the_latest_at_the_end() -> None:
    points = [point(q, {"loss": q}, q) for q in range(1, 100)]

    lines = printed(start(), *points, end(), interval_s=3600)

    assert lines[1:] == [
        "run 7 at 0.5 s, step 1: loss 1",
        "run 7 at 50 s, step 99: loss 99",
        "run 7 completed after 3 min 2 s",
    ]


def test_what_was_shown_is_not_shown_again_at_the_end() -> None:
    assert len(printed(start(), point(1, {"loss": 1}, 1), end())) == 3


def test_metrics_of_the_machine_are_left_out_unless_they_are_asked_for() -> None:
    values = {"system/cpu": 3.5, "val/acc": 0.5, "train/loss": 2, "val/loss": 1}

    assert printed(start(), point(1, {"system/cpu": 3.5}, 1), end()) == printed(start(), end())
    assert printed(point(1, values, 1))[0].endswith(": val/acc 0.5, train/loss 2, val/loss 1")
    assert printed(point(1, values, 1), metrics=["train/*", "*"])[0].endswith(
        ": train/loss 2, system/cpu 3.5, val/acc 0.5, val/loss 1"
    )
    assert printed(point(1, values, 1), metrics="val/loss")[0].endswith(": val/loss 1")


def test_of_many_metrics_eight_are_shown() -> None:
    [line] = printed(point(1, {f"m{index}": index for index in range(20)}, 1))

    assert line.endswith(", m7 7 and 12 more")


def test_numbers_are_short_whatever_they_are() -> None:
    values = {"nan": float("nan"), "inf": -float("inf"), "big": 2**70, "huge": -(10**400), "yes": True, "e": 1e-300}

    assert printed(point(1, values, 1))[0].endswith(
        ": nan nan, inf -inf, big 1.1806e+21, huge -1.0000e+400, yes 1, e 1e-300"
    )


def test_captured_output_and_warnings_are_not_said_again() -> None:
    output = ev.OutputCaptured(uid=RECORD.uid, writer="output", q=1, t=1.0, text="epoch 1\n", offset=0)
    warned = ev.Warned(uid=RECORD.uid, writer="main", q=1, t=1.0, text="mind the gap")

    assert printed(output, warned) == []


def test_repeats_print_nothing() -> None:
    events = [start(), point(1, {"loss": 1}, 1), point(2, {"loss": 2}, 2), end()]

    assert printed(*events, *events, *events[2:]) == printed(*events)


# --- manners ----------------------------------------------------------------------------------------------------


def test_nothing_in_a_name_or_an_error_drives_the_terminal() -> None:
    hostile = "\x1b]0;title\x07\x1b[2J\r\x9b31m\u202e\udc80\n"
    failed = ErrorFacts(type=f"E{hostile}", message=hostile, traceback="")

    lines = printed(
        start(experiment=f"x{hostile}"),
        point(1, {f"m{hostile}": 1}, 1),
        artifact(2, f"a{hostile}"),
        end(Status.FAILED, error=failed),
        start(uid="2", id=8, hardware=HardwareFacts(hostname=hostile, os="")),
    )

    assert len(lines) == 4
    assert all(line.isprintable() for line in lines)
    assert "\\x1b[2J" in lines[0]


def test_a_stream_that_takes_ascii_only_gets_escapes() -> None:
    reading, writing = os.pipe()
    with os.fdopen(writing, "wb", buffering=0) as raw, TextIOWrapper(raw, encoding="ascii", write_through=True) as text:
        ConsoleObserver(stream=text).handle(start(experiment="größe"))
        assert os.read(reading, 1000) == b"run 7 of gr\\xf6\\xdfe started on gpu07\n"
    os.close(reading)


def test_a_stream_that_is_gone_is_no_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    closed = StringIO()
    closed.close()
    reading, writing = os.pipe()
    os.close(reading)
    broken = os.fdopen(writing, "w", encoding="utf-8")

    for stream in (closed, broken):
        ConsoleObserver(stream=stream).handle(start())
    monkeypatch.setattr("sys.stderr", None)
    ConsoleObserver().handle(start())

    with pytest.raises(BrokenPipeError):
        broken.close()


def test_lines_go_to_stderr_as_it_is_at_that_moment(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    observer = ConsoleObserver(interval_s=0)
    observer.handle(start())
    other = StringIO()
    monkeypatch.setattr("sys.stderr", other)
    observer.handle(point(1, {"loss": 1}, 1))

    assert other.getvalue() == "run 7 at 0.5 s, step 1: loss 1\n"
    assert capsys.readouterr() == ("", "run 7 of digits started on gpu07\n")


# --- making one -------------------------------------------------------------------------------------------------


def test_an_interval_that_is_none_is_refused() -> None:
    for interval in (-1.0, float("nan")):
        with pytest.raises(ConfigError, match="interval_s"):
            ConsoleObserver(interval_s=interval)


def test_the_configuration_that_comes_along_builds_the_observer() -> None:
    spec = yaml.safe_load((Path(anew.configs.__file__).parent / "anew" / "observers" / "console.yaml").read_text())

    assert spec.pop("host") == "thread"
    observer = build_observer("console", spec)

    assert isinstance(observer, ConsoleObserver)
    assert isinstance(observer, Observer)


def test_chosen_on_the_command_line_it_shows_a_run(project: Path) -> None:
    trial = Project(project)
    trial.write("@experiment.main\ndef main(*, run: Run):\n    run.log({'loss': 0.5}, step=3)\n    print('result')\n")

    done = trial.run("anew/observers=[files,console]", "anew.observers.console.interval_s=0")

    lines = [line for line in done.stderr.splitlines() if line.startswith("run 1 ")]
    assert [line.partition(" at ")[0].partition(" after ")[0].partition(" on ")[0] for line in lines] == [
        "run 1 of trial started",
        "run 1",
        "run 1 completed",
    ]
    assert lines[1].endswith(", step 3: loss 0.5")
    assert done.stdout == "result\n"
