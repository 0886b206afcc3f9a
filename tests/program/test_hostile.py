"""Programs that are no friends of who records them: each runs as Python runs it, and the record says what is so."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from anew.runner.records import Status
from tests.helpers.scripts import Project, anew

CLOSES = (
    "import os\nos.closerange(3, 256)\nfile = open('own.txt', 'w')\nfile.write('own')\nfile.close()\nprint('closed')\n"
)
LEAVES_NOTHING = """\
import os, tempfile
open("read.txt").read()
folder = tempfile.mkdtemp()
os.chdir(folder)
os.rmdir(folder)
open({path!r}).read()
print("done")
"""


@pytest.fixture
def trial(project: Path) -> Project:
    return Project(project)


def _put(trial: Project, name: str, content: bytes | str) -> Path:
    path = trial.folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def test_one_that_closes_what_is_not_its_own_goes_on(trial: Project) -> None:
    _put(trial, "train.py", CLOSES)
    said = anew(trial, "run", "train.py").stderr
    assert "Traceback" not in said
    assert "Bad file descriptor" not in said
    record = trial.record()
    assert record.status is Status.COMPLETED
    assert any("closed files that were not its own" in each for each in record.warnings)
    assert (trial.folder / "own.txt").read_text() == "own"
    assert "closed\n" in anew(trial, "logs", "1").stdout


def test_one_whose_working_directory_is_gone_still_has_its_inputs_noticed(trial: Project, tmp_path: Path) -> None:
    outside = tmp_path / "outside.txt"
    outside.write_text("data")
    _put(trial, "read.txt", "data")
    _put(trial, "train.py", LEAVES_NOTHING.format(path=str(outside)))
    done = anew(trial, "run", "train.py")
    assert "FileNotFoundError" not in done.stderr
    assert str(outside) in {each.path for each in trial.record().inputs}


def test_a_script_that_is_a_link_finds_what_lies_beside_its_file(trial: Project) -> None:
    _put(trial, "real/sibling.py", "V = 5\n")
    script = _put(
        trial, "real/train.py", "import sibling, os, sys\nN = 1\nprint(sibling.V, N, os.path.basename(sys.path[0]))\n"
    )
    link = trial.folder / "linked.py"
    link.symlink_to(Path("real") / "train.py")
    bare = subprocess.run(
        [sys.executable, "linked.py"], cwd=trial.folder, capture_output=True, text=True, check=True
    ).stdout  # fmt: skip
    assert anew(trial, "run", "linked.py").stdout == bare == "5 1 real\n"
    script.unlink()
    assert "is a re-run of 1: identical" in anew(trial, "rerun", "1").stdout


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("train.py", b"x = 1\nname = 'caf\xe9'\n", "line 2 is no text in UTF-8. A file in another encoding says so"),
        ("train.py", b"# coding: nothing\nx = 1\n", "unknown encoding: nothing"),
        ("train.py", b"x = 1\n\0\n", "null bytes"),
        ("tool", b"\x7fELF\0\0\xff", "it is no text. For a command: anew run -- ./tool"),
    ],
)
def test_what_is_no_text_of_python_is_said_with_what_to_do(
    trial: Project, name: str, content: bytes, told: str
) -> None:
    _put(trial, name, content)
    said = anew(trial, "run", name, code=2).stderr
    assert told in said
    assert name in said
    assert not trial.has_runs


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"x = 1\nname = 'caf\xe9'\n", "line 2 is no text in UTF-8"),
        (b"# coding: nothing\nx = 1\n", "unknown encoding: nothing"),
        (b"x = 1\n\0\n", "null bytes"),
        (b"\x7fELF\0\0\xff", "it is no text"),
        (b"\xef\xbb\xbf# coding: latin-1\n", "encoding problem"),
    ],
)
@pytest.mark.parametrize("name", ["pkg/odd.py", "pkg/odd/__main__.py"])
def test_a_module_that_is_no_text_is_said_in_a_sentence(trial: Project, name: str, content: bytes, told: str) -> None:
    for each in ("pkg/__init__.py", "pkg/odd/__init__.py")[: name.count("/")]:
        _put(trial, each, "")
    _put(trial, name, content)
    said = anew(trial, "run", "-m", "pkg.odd", "x=2", code=2).stderr
    assert said.startswith("anew: The module 'pkg.odd' ('")
    assert told in said
    assert f"{name}')" in said
    assert len(said.splitlines()) == 1
    assert not trial.has_runs


def test_an_archive_is_run_as_a_command(trial: Project) -> None:
    with zipfile.ZipFile(trial.folder / "app.pyz", "w") as archive:
        archive.writestr("__main__.py", "print('in the archive')\n")
    assert "anew run -- python app.pyz" in anew(trial, "run", "app.pyz", code=2).stderr
    assert "in the archive" in anew(trial, "run", "--", sys.executable, "app.pyz").stdout


def test_a_script_is_no_command(trial: Project) -> None:
    _put(trial, "train.py", "x = 1\n")
    assert "anew run ./train.py" in anew(trial, "run", "--", "./train.py", code=2).stderr
