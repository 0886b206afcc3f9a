"""`--unrecorded`: everything is as in any run, and nothing of it stays; `--pdb`: a debugger where main failed."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.scripts import Project, anew
from tests.helpers.waiting import until

SCRIPT = """
@experiment.main
def main(lr: float = 0.1, seed: int = 3, fail: bool = False, wait: bool = False, *, run: Run) -> float:
    marker = "a local of main"
    run.log({"loss": lr}, step=0)
    (run.dir / "model.pt").write_text("weights")
    run.log_artifact("model.pt")
    run.input("train.py")
    run.tag("x")
    print("printed", lr, run.seed, flush=True)
    if wait:
        open("waiting", "w").close()
        time.sleep(60)
    if fail:
        raise ValueError("boom")
    return lr
"""


@pytest.fixture
def trial(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project, whose temporary files and caches are looked at."""
    (tmp_path / "temporary").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    trial = Project(project)
    trial.write(SCRIPT)
    return trial


def left(trial: Project, tmp_path: Path) -> list[str]:
    """What a run has left anywhere, but for compiled code and what only saves time."""
    spool = tmp_path / "cache" / "anew" / "spool"
    folders = (trial.folder, tmp_path / "temporary", *([spool] if spool.exists() else []))
    found = [path.relative_to(tmp_path) for folder in folders for path in folder.rglob("*")]
    return sorted(str(path) for path in found if "__pycache__" not in path.parts and path.name != "pyproject.toml")


@pytest.mark.parametrize("word", ["--unrecorded", "anew.record=false"])
def test_a_run_leaves_nothing(trial: Project, tmp_path: Path, word: str) -> None:
    before = left(trial, tmp_path)
    done = trial.run("lr=0.5", word)
    assert done.stdout == "printed 0.5 3\n"
    assert "unrecorded: nothing of it stays" in done.stderr
    assert "anew show" not in done.stderr
    done = trial.run("fail=true", word, code=1)
    assert "ValueError: boom" in done.stderr
    assert left(trial, tmp_path) == before


def test_its_configuration_is_checked_as_ever(trial: Project, tmp_path: Path) -> None:
    before = left(trial, tmp_path)
    assert "lr" in trial.run("--unrecorded", "lr=abc", code=2).stderr
    assert trial.run("--unrecorded", "--cfg", "job").stdout.startswith("lr: 0.1")
    assert left(trial, tmp_path) == before


def test_nobody_follows_it(trial: Project, tmp_path: Path) -> None:
    trial.write("seen = []\nexperiment = Experiment('seen', observers=[seen.append])\n" + SCRIPT, "seen.py")
    before = left(trial, tmp_path)
    exported = "anew.observers.export.dir=exported"
    trial.run("--unrecorded", "anew/observers=[files,export]", exported, name="seen.py")
    assert left(trial, tmp_path) == before


@pytest.mark.parametrize("how", [[], ["anew.sweep.workers=2"]])
def test_a_sweep_leaves_nothing(trial: Project, tmp_path: Path, how: list[str]) -> None:
    before = left(trial, tmp_path)
    done = trial.run("-m", "lr=1,2", "fail=true,false", "--unrecorded", *how, code=1)
    assert "2 COMPLETED" in done.stderr
    assert "ValueError: boom" in done.stderr
    assert "anew sweep" not in done.stderr
    assert left(trial, tmp_path) == before


def test_a_sweep_on_other_machines_is_refused(trial: Project) -> None:
    done = trial.run("-m", "lr=1,2", "--unrecorded", "hydra/launcher=anew_slurm", code=2)
    assert "leave the launcher out" in done.stderr
    assert not trial.has_runs


@pytest.mark.parametrize(
    ("number", "code"),
    [
        (signal.SIGINT, 130),
        (signal.SIGTERM, 143),
        (signal.SIGHUP, -signal.SIGHUP),
        (signal.SIGQUIT, -signal.SIGQUIT),
    ],
)
def test_one_that_is_stopped_leaves_nothing(trial: Project, tmp_path: Path, number: int, code: int) -> None:
    before = left(trial, tmp_path)
    process = trial.start("wait=true", "--unrecorded", start_new_session=True)
    until((trial.folder / "waiting").exists)
    process.send_signal(number)
    process.communicate(timeout=60)
    assert process.returncode == code
    (trial.folder / "waiting").unlink()
    assert left(trial, tmp_path) == before


def test_a_forked_child_that_falls_out_of_main_takes_nothing_away(trial: Project) -> None:
    trial.write(
        """
        @experiment.main
        def main(*, run: Run) -> str:
            child = os.fork()
            if child == 0:
                raise SystemExit(0)
            os.waitpid(child, 0)
            (run.dir / "x").write_text("still here")
            run.log_artifact("x")
            print((run.dir / "x").read_text())
        """
    )
    assert "still here" in trial.run("--unrecorded").stdout


def test_from_python_the_record_is_returned_and_nothing_else_is_there(trial: Project, tmp_path: Path) -> None:
    before = left(trial, tmp_path)
    code = (
        "import train; r = train.main.run('anew.record=false', lr=2); print(r.status, r.result, r.metrics['loss'].last)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=trial.folder, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "COMPLETED 2.0 2.0"
    assert left(trial, tmp_path) == before


def test_a_rerun_is_recorded_whatever_the_project_says(trial: Project) -> None:
    trial.run()
    done = anew(trial, "rerun", "1", "anew.record=false")
    assert "identical" in done.stdout
    assert trial.store.numbers() == [2, 1]


# --- debugging ----------------------------------------------------------------------------------------------------


def debugged(trial: Project, *words: str, typed: str) -> str:
    """What is said on a terminal by a run that fails, when *typed* is typed."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "train.py", *words]
    with subprocess.Popen(command, cwd=trial.folder, stdin=theirs, stdout=theirs, stderr=theirs) as process:
        os.close(theirs)
        os.write(ours, typed.encode())
        said = b""
        while True:
            try:
                block = os.read(ours, 1 << 16)
            except OSError:
                break
            if not block:
                break
            said += block
    os.close(ours)
    assert process.returncode == 1
    return said.decode()


@pytest.mark.parametrize("unrecorded", [[], ["--unrecorded"]])
def test_the_debugger_begins_where_main_raised(trial: Project, unrecorded: list[str]) -> None:
    said = debugged(trial, "fail=true", "--pdb", *unrecorded, typed="p marker\nq\n")
    assert "'a local of main'" in said
    assert "ValueError: boom" in said
    if not unrecorded:
        record = trial.record()
        assert record.status.value == "FAILED"
        assert "boom" in str(record.error)


def test_the_debugger_waits_for_nothing_where_main_returned(trial: Project) -> None:
    ours, theirs = pty.openpty()
    command = [sys.executable, "train.py", "--pdb"]
    done = subprocess.run(
        command, cwd=trial.folder, stdin=theirs, stdout=theirs, stderr=theirs, timeout=60, check=False
    )
    os.close(ours)
    os.close(theirs)
    assert done.returncode == 0


def test_the_debugger_is_refused_where_nobody_could_use_it(trial: Project) -> None:
    assert "--pdb debugs in a terminal" in trial.run("--pdb", code=2).stderr
    assert not trial.has_runs
