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


def outcome(pythons: Any, version: str, passed: int, *, near: bool = False, lowest: bool = False) -> Any:
    python = pythons.Python(version, f"{version}.4", "python", "PATH")
    trial = pythons.Trial(near=near, lowest=lowest)
    return pythons.Outcome(python, trial, ["1.3.8", "2.3.1"], passed, ["a"], ["b", "c"], Counter({"no | wheel": 2}))


def test_the_table_keeps_the_lines_of_pythons_that_were_not_tried(pythons: Any) -> None:
    for version, passed in (("3.14", 1000), ("3.10", 10), ("3.10", 20)):
        pythons.write(outcome(pythons, version, passed))
    pythons.write(outcome(pythons, "3.10", 5, lowest=True))

    assert pythons.TABLE.read_text().splitlines()[-3:] == [
        "| 3.10.4 | PATH | whole | 1.3.8 | 2.3.1 | 20 | 1 | 2 | 2 | no / wheel (2) |",
        "| 3.14.4 | PATH | whole | 1.3.8 | 2.3.1 | 1,000 | 1 | 2 | 2 | no / wheel (2) |",
        "| 3.10.4 | PATH | whole, lowest | 1.3.8 | 2.3.1 | 5 | 1 | 2 | 2 | no / wheel (2) |",
    ]


def test_a_few_tests_are_a_line_where_there_is_none_of_all(pythons: Any) -> None:
    for near, passed in ((True, 7), (True, 8), (False, 1000), (True, 9)):
        pythons.write(outcome(pythons, "3.14", passed, near=near))
        pythons.write(outcome(pythons, "3.14", 1, near=True, lowest=True))
        lines = pythons.TABLE.read_text().splitlines()[-2:]
        kind, count = ("near", str(passed)) if passed < 9 else ("whole", "1,000")
        assert [line.split(" | ")[2] for line in lines] == [kind, "near, lowest"]
        assert lines[0].split(" | ")[5] == count


SUITE = """
import pathlib, pytest
class Test:
    def test_beside_others(self):
        seen = pathlib.Path("seen")
        there = seen.exists()
        seen.touch()
        assert there
    @pytest.mark.parametrize("n", [1, 2])
    def test_never(self, n): assert n == 1
    def test_not_here(self): pytest.skip("no wheel")
"""


@pytest.fixture
def suite(pythons: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A suite of a few tests, and this Python as the only one there is."""
    folder = tmp_path / "suite"
    (folder / "tests").mkdir(parents=True)
    (folder / "tests/test_it.py").write_text(SUITE)
    (folder / "pytest.ini").touch()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("PATH", os.defpath)
    monkeypatch.setattr(pythons, "ROOT", folder)
    monkeypatch.setattr(pythons, "ENVIRONMENTS", folder / "environments")
    monkeypatch.setattr(pythons.Python, "environment", lambda *_: Path(sys.executable).parent)
    found = pythons.Python("3.12", "3.12.1", sys.executable, "PATH")
    monkeypatch.setattr(pythons, "search", lambda *_, **__: ([found], ["python3.15 is not there"]))
    return pythons


def test_what_failed_has_to_pass_by_itself(
    suite: Any, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["pythons.py"])
    assert suite.main() == 1
    assert "| 3.12.1 | PATH | whole |" in suite.TABLE.read_text()
    assert suite.TABLE.read_text().endswith("| 2 | 1 | 1 | 1 | no wheel (1) |\n")

    told = capfd.readouterr().out.splitlines()
    assert told[-4:] == [
        "not tried: python3.15 is not there",
        "passed only by itself: 3.12: tests.test_it.Test::test_beside_others",
        "failed: 3.12: tests.test_it.Test::test_never[2]",
        "tried: 3.12.1 (PATH)",
    ]


def test_tests_that_arguments_choose_are_no_line_of_the_table(suite: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["pythons.py", "-k", "not_here"])
    assert suite.main() == 0
    assert not suite.TABLE.exists()


def test_a_demo_that_does_not_work_is_a_failure(suite: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    (suite.ROOT / "tests/test_it.py").write_text("import pytest\n@pytest.mark.interpreter\ndef test_a(): pass\n")
    (suite.ROOT / "pytest.ini").write_text("[pytest]\nmarkers = interpreter\n")
    program(suite.ROOT / "scripts/demo.sh", "exit 0")
    monkeypatch.setattr("sys.argv", ["pythons.py", "--near"])
    assert suite.main() == 0

    program(suite.ROOT / "scripts/demo.sh", "exit 1")
    assert suite.main() == 1
