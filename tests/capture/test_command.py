"""How a run was started: what a re-run needs to start it so again."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

SCRIPT = """
import json
from pathlib import Path
from anew.runner.capture.command import capture_command
from anew.runner.format.serial import to_json

def main(): pass

if __name__ == "__main__":
    import {package}
    print(json.dumps(to_json(capture_command(main, {entry!r}, Path({root!r})))))
"""


@pytest.fixture
def started(tmp_path: Path) -> Any:
    """Start a script of a project that has a package in `src`, and return what is captured."""
    root = tmp_path / "project"
    (root / "src/digits").mkdir(parents=True)
    (root / "src/digits/__init__.py").touch()

    def start(entry: str, *words: str, package: str = "json") -> dict[str, Any]:
        (root / "train.py").write_text(SCRIPT.format(package=package, entry=entry, root=str(root)))
        command = [sys.executable, *words]
        done = subprocess.run(command, cwd=root, capture_output=True, text=True, env={"PYTHONPATH": str(root / "src")})
        assert done.returncode == 0, done.stderr
        found: dict[str, Any] = json.loads(done.stdout)
        return {**found, "root": str(root)}

    return start


def test_a_script_is_captured_with_its_words_and_the_interpreters(started: Any) -> None:
    found = started("script", "-X", "utf8", "-O", "train.py", "lr=0.1", "-q")
    assert found["argv"] == ["train.py", "lr=0.1", "-q"]
    assert found["options"] == ["-X", "utf8", "-O"]
    assert found["interpreter"] == sys.executable
    assert (found["entry"], found["function"]) == ("script", "__main__:main")
    assert found["target"] == f"{found['root']}/train.py"
    assert found["cwd"] == found["root"]


def test_a_module_is_captured_by_its_name(started: Any) -> None:
    found = started("module", "-m", "train", "lr=0.1")
    assert found["target"] == "train"
    assert found.get("options", []) == []


def test_folders_of_the_project_that_modules_come_from_are_captured_and_no_others(started: Any) -> None:
    found = started("script", "train.py", package="digits")
    assert found["import_paths"] == [found["root"], f"{found['root']}/src"]
