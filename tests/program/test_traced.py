"""`anew run --trace`: what all processes of a run open is told by strace, and a run behaves as without it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from anew.runner.capture.strace_lines import Opening, openings
from anew.runner.records import RunRecord, Status
from tests.helpers.scripts import ANEW, Project, anew

needs_strace = pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed: apt install strace")
FIT = """\
cat "dätä/x y.csv" > out.dat
cd sub
cat in.dat >> ../out.dat
cat "$1" >> ../out.dat
mv ../out.dat ../final.dat
cat ../final.dat
"""


@pytest.fixture
def trial(project: Path) -> Project:
    for name in ("dätä/x y.csv", "sub/in.dat", "unread.dat"):
        (project / name).parent.mkdir(exist_ok=True)
        (project / name).write_text(f"{name}\n")
    return Project(project)


@pytest.fixture
def outside(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("elsewhere") / "e.dat"
    path.write_text("far\n")
    return path


def _inputs(record: RunRecord) -> set[str]:
    return {each.path for each in record.inputs}


# --- what is told ---------------------------------------------------------------------------------------------------


def _told(*lines: str) -> list[tuple[str, int]]:
    data = [os.fsencode(line) + b"\n" for line in lines]
    return [(each.path, each.flags) for each in openings(data, b"/home") if not each.is_missing]


def test_a_path_is_relative_to_where_its_process_is() -> None:
    assert _told(
        '7 openat(AT_FDCWD</a>, "x", O_RDONLY|O_CLOEXEC) = 3</a/x>',
        '7 chdir("../b") = 0',
        '7 open("x", O_RDONLY) = 3</b/x>',
        "7 clone(child_stack=NULL, flags=SIGCHLD <unfinished ...>",
        '8 rename("o", "n") = 0',
        "7 <... clone resumed>) = 8",
        "8 fchdir(3</c>) = 0",
        '8 creat("y", 0666 <unfinished ...>',
        '7 openat(5</d>, "z", O_RDWR|O_CREAT, 0666) = 6</d/z>',
        "8 <... creat resumed>) = 4</c/y>",
        '9 open("w", O_RDONLY) = 3</home/w>',
    ) == [
        ("/a/x", os.O_CLOEXEC),
        ("/b/x", 0),
        ("/b/n", os.O_WRONLY | os.O_CREAT | os.O_TRUNC),
        ("/d/z", os.O_RDWR | os.O_CREAT),
        ("/c/y", os.O_WRONLY | os.O_CREAT | os.O_TRUNC),
        ("/home/w", 0),
    ]


def test_names_are_as_they_were() -> None:
    assert _told(r'7 openat(AT_FDCWD</\303\244\74>, "\"\\ \303\251\n\0011", O_RDONLY) = 3</x>') == [
        ('/ä</"\\ é\n\x011', 0)
    ]


def test_what_fails_is_a_file_that_is_missing_or_nothing() -> None:
    lines = [
        b'7 openat(AT_FDCWD</a>, "x", O_RDONLY) = -1 ENOENT (No such file or directory)\n',
        b'7 openat(AT_FDCWD</a>, "y", O_RDONLY) = -1 EACCES (Permission denied)\n',
        b'7 openat(AT_FDCWD</a>, ".", O_RDONLY|O_DIRECTORY) = 3</a>\n',
        b'7 execve("/a/tool", ["tool", "x"...], 0x7f /* 3 vars */) = -1 ENOENT (No such file or directory)\n',
        b"strace: something else\n",
        b"7 openat(AT_FDCWD</a>, \n",
    ]
    assert list(openings(lines, b"/")) == [Opening("/a/x", 0, is_missing=True)]


# --- a run ----------------------------------------------------------------------------------------------------------


@needs_strace
def test_what_a_command_reads_is_an_input_and_what_it_writes_is_none(trial: Project, outside: Path) -> None:
    (trial.folder / "fit.sh").write_text(FIT)
    anew(trial, "run", "--trace", "--", "sh", "fit.sh", str(outside))
    record = trial.record()
    assert _inputs(record) - {"fit.sh"} == {"dätä/x y.csv", "sub/in.dat", str(outside)}
    assert not record.warnings


@needs_strace
def test_it_is_run_again_with_them_and_traced_again(trial: Project, outside: Path) -> None:
    (trial.folder / "fit.sh").write_text(FIT)
    first = anew(trial, "run", "--trace", "--", "sh", "fit.sh", str(outside))
    (trial.folder / "sub/in.dat").write_text("changed\n")
    (trial.folder / "final.dat").unlink()
    again = anew(trial, "rerun", "1")
    assert "far" in first.stdout
    assert first.stdout in again.stdout
    assert _inputs(trial.record(2)) == _inputs(trial.record(1))
    assert (trial.folder / "sub/in.dat").read_text() == "changed\n"


@needs_strace
def test_a_python_program_and_what_it_starts(trial: Project, outside: Path) -> None:
    (trial.folder / "train.py").write_text(
        "import subprocess\n"
        "print(open('unread.dat').read())\n"
        f"subprocess.run('cat sub/in.dat {outside}; echo made > made.txt', shell=True, check=True)\n"
        "print(open('made.txt').read())\n"
    )
    anew(trial, "run", "--trace", "train.py")
    assert _inputs(trial.record()) == {"unread.dat", "sub/in.dat", str(outside)}


@needs_strace
@pytest.mark.parametrize(("script", "code"), [("exit 7", 7), ("kill -TERM $$", 143), ("cat; exit 0", 0)])
def test_its_end_and_its_input_are_as_without(trial: Project, script: str, code: int) -> None:
    done = subprocess.run(
        [*ANEW, "run", "--trace", "--", "sh", "-c", script],
        cwd=trial.folder,
        input="typed",
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code, done.stderr
    assert done.stdout == ("typed" if code == 0 else "")


@needs_strace
def test_a_signal_reaches_it_and_nothing_is_left(trial: Project) -> None:
    script = "trap 'echo told; exit 0' TERM; sleep 60 & echo $!; wait"
    with subprocess.Popen(
        [*ANEW, "run", "--trace", "--", "bash", "-c", script], cwd=trial.folder, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        below = psutil.Process(int(process.stdout.readline()))
        tracer = psutil.Process(_tracer_of(below.pid))
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 143
        assert process.stdout.readline() == "told\n"
    gone, alive = psutil.wait_procs([below, tracer], timeout=30)
    assert len(gone) == 2, alive
    assert trial.record().status is Status.INTERRUPTED


def _tracer_of(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith("TracerPid")))


@needs_strace
def test_one_that_is_traced_already_goes_on_and_it_is_said(trial: Project) -> None:
    done = subprocess.run(
        [
            "strace",
            "-f",
            "-o",
            os.devnull,
            "-e",
            "trace=none",
            *ANEW,
            "run",
            "--trace",
            "--",
            "sh",
            "-c",
            "cat sub/in.dat",
        ],
        cwd=trial.folder,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "sub/in.dat\n"
    assert "Tracing is not permitted here" in done.stderr
    assert _inputs(trial.record()) == {"sub/in.dat"}


def test_without_strace_it_is_named_with_how_to_have_it(trial: Project) -> None:
    done = anew(trial, "run", "--trace", "--", sys.executable, "-c", "", code=2, PATH=str(trial.folder))
    assert "sudo apt install strace" in done.stderr or "Linux alone" in done.stderr
    assert not trial.has_runs
