"""`make pythons`: which interpreter is taken for a version, what is said where there is none, what the table keeps."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).resolve().parent.parent / "scripts" / "pythons.py"


@pytest.fixture
def pythons(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The script as a module, where there is no Python but those that a test makes."""
    spec = importlib.util.spec_from_file_location("pythons", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "pythons", module)  # where dataclasses look for their annotations
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "ROOTS", tmp_path / "roots")
    monkeypatch.setattr(module, "TABLE", tmp_path / "pythons.md")
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path / "pyenv"))
    monkeypatch.setenv("PATH", os.pathsep.join(str(tmp_path / name) for name in ("shims", "bin")))
    return module


def program(path: Path, does: str) -> Path:
    """Make a program of one line for the shell."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{does}\n")
    path.chmod(0o755)
    return path


def test_a_shim_that_does_not_run_is_passed_over(pythons: Any, tmp_path: Path) -> None:
    program(tmp_path / "shims/python3.12", "echo 'pyenv: python3.12: command not found' >&2; exit 127")
    with pytest.raises(pythons.NotHereError, match=r"pyenv install 3\.12"):
        pythons.find("3.12", may_make=False)

    inner = program(tmp_path / "pyenv/versions/3.12.1/bin/python3.12", "echo 3.12.1")
    assert pythons.find("3.12", may_make=False) == pythons.Python("3.12", "3.12.1", str(inner), "pyenv")

    on_path = program(tmp_path / "bin/python3.12", "echo 3.12.7")
    assert pythons.find("3.12", may_make=False).path == str(on_path)


def test_a_program_of_another_version_is_passed_over(pythons: Any, tmp_path: Path) -> None:
    program(tmp_path / "bin/python3.1", "echo 3.10.2")
    assert pythons.release_of([str(tmp_path / "bin/python3.1")], "3.1") == ""
    assert pythons.release_of([str(tmp_path / "bin/python3.1")], "3.10") == "3.10.2"


def test_what_is_missing_is_said_with_the_way_to_have_it(pythons: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    found, missing = pythons.search(["3.12", "3.15"], may_make=False)
    assert found == []
    assert missing[0].startswith("python3.12 is not on PATH")
    assert missing[1].endswith("make pythons")

    monkeypatch.setattr(pythons.shutil, "which", lambda name: None)
    monkeypatch.setattr(pythons.os, "geteuid", lambda: 0)
    with pytest.raises(pythons.NotHereError, match="apt-get install debootstrap"):
        pythons.find("3.15", may_make=True)

    monkeypatch.setattr(pythons.os, "geteuid", lambda: 1000)
    with pytest.raises(pythons.NotHereError, match="only root can make"):
        pythons.find("3.15", may_make=True)


def test_what_is_run_in_a_root_folder_has_mounts_of_its_own(pythons: Any, tmp_path: Path) -> None:
    python = pythons.Python("3.15", "3.15.0", "/usr/bin/python3.15", "Debian forky", tmp_path / "forky")
    command = python.command("make", "test")
    assert command[:4] == ["unshare", "--mount", "--propagation", "private"]
    assert command[-4:] == [str(tmp_path / "forky"), str(pythons.ROOT), "make", "test"]


def test_the_table_keeps_the_lines_of_pythons_that_were_not_tried(pythons: Any) -> None:
    def went(version: str, passed: int) -> Any:
        python = pythons.Python(version, f"{version}.4", "python", "PATH")
        return pythons.Outcome(python, ["1.3.8", "2.3.1"], passed, ["test_a"], Counter({"no | wheel": 2}))

    pythons.write([went("3.14", 1000), went("3.10", 10)])
    pythons.write([went("3.10", 20)])

    lines = pythons.TABLE.read_text().splitlines()[-2:]
    assert lines == [
        "| 3.10.4 | PATH | 1.3.8 | 2.3.1 | 20 | 1 | 2 | no / wheel (2) |",
        "| 3.14.4 | PATH | 1.3.8 | 2.3.1 | 1,000 | 1 | 2 | no / wheel (2) |",
    ]
