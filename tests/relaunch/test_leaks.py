"""Which modules are said to have come from today's project."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from anew.runner.places import Places
from anew.runner.relaunch import child
from anew.runner.relaunch.plan import Report, read_report


def test_anew_itself_is_no_part_of_what_is_repeated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may be installed from the project's folder: its own, or one that has an environment in it."""
    for name in ("anew.made_up", "made_up_module"):
        module = ModuleType(name)
        module.__file__ = str(tmp_path / f"{name}.py")
        monkeypatch.setitem(sys.modules, name, module)
    report = tmp_path / "report"
    Report(number=1).write(report)
    errand: Any = SimpleNamespace(report=str(report))
    child._note_leaks(errand, Places(tmp_path, tmp_path / "mirror", moved=True))
    told = read_report(report)
    assert told is not None
    (note,) = told.notes
    assert "made_up_module.py" in note
    assert "anew.made_up" not in note
