"""Errands: what one process is told by another comes there as it was told."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

import pytest

from anew.runner.records import CommandFacts, ContentRef, RerunOf, SourceFacts
from anew.runner.relaunch.plan import Errand, OneJob, Report, Rerun, Resume, read_errand, read_report

COMMON: dict[str, Any] = {
    "store": "/data/runs",
    "command": CommandFacts(argv=("train.py", "lr=0.1"), cwd="/project", function="__main__:main"),
    "experiment": "digits",
    "flags": ("--config-name", "big"),
    "overrides": ("lr=0.1", "note=\udc80"),
    "settings": ("anew.quiet=true",),
    "root": "/project",
    "mirror": "/cache/files",
    "report": "/cache/report.json",
}
SOURCE = SourceFacts(root="/project", files=(ContentRef(path="train.py", sha256="0" * 64, size=3),))
CONFIG = {"lr": 0.1, "odd": float("inf"), "deep": {"list": [1, None]}}


@pytest.mark.parametrize(
    "errand",
    [
        Rerun(**COMMON, rerun_of=RerunOf(id=3, uid="abc"), config=CONFIG, changes=("lr=0.2",), seed=7, torch_threads=4),
        Rerun(**COMMON, rerun_of=RerunOf(id=3, uid="abc"), config={}, source=SOURCE),
        Resume(**COMMON, sweep=2, only=("FAILED", "LOST")),
        OneJob(**COMMON, sweep=2, job=5, attempt=3, config=CONFIG, source=SOURCE),
    ],
    ids=lambda errand: type(errand).__name__,
)
def test_an_errand_is_read_as_it_was_written_and_by_its_user_alone(errand: Errand, tmp_path: Path) -> None:
    path = tmp_path / "errand.json"
    errand.write(path)
    assert read_errand(path) == errand
    assert type(read_errand(path)) is type(errand)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert json.loads(path.read_text())["errand"] == type(errand).__name__


def test_files_are_where_they_were_unless_the_recorded_source_is_laid_out() -> None:
    today = Resume(**COMMON, sweep=2)
    recorded = Resume(**COMMON, sweep=2, source=SOURCE)
    assert today.places.project == Path("/project")
    assert recorded.places.project == Path("/cache/files/project")


def test_a_process_that_never_came_to_main_has_reported_nothing(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    assert read_report(path) is None
    Report(number=3, ignore=("time/*",), notes=("one",)).write(path)
    assert read_report(path) == Report(number=3, ignore=("time/*",), notes=("one",))
