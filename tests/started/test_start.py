"""`anew.start`: a run for programs that have no main to give, ended whatever ends them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from anew.runner.records import ParentRun, RunRecord, Status
from tests.helpers.scripts import Project, anew

SCRIPT = """\
import argparse, dataclasses, os, pathlib, random, signal, sys, threading, time
import anew

parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float, default=0.1)
parser.add_argument("--how", default="")
args = parser.parse_args()
how = args.how

if how == "loop":
    for lr in (0.1, 0.2, 0.3):
        config = {"lr": lr, "deep": {"a": [1, 2], "f": print}}
        run = anew.start("loop", config, quiet=True)
        run.log({"x": run.config["lr"] * config["lr"]})
elif how == "with":
    @dataclasses.dataclass(frozen=True)
    class Config:
        lr: float = 0.1
        path: pathlib.Path = pathlib.Path("a")
        pair: tuple = (1, 2)
    config = Config()
    try:
        with anew.start("with", config, quiet=True) as run:
            print(config)
            raise KeyError("x")
    except KeyError:
        pass
elif how == "nested":
    with anew.start("outer", quiet=True):
        anew.start("inner", quiet=True)
        experiment = anew.Experiment("own")
        with experiment.start({"k": 1}, "anew.tags=[t]", quiet=True):
            pass
elif how == "thread":
    run = anew.start("thread", quiet=True)
    def other():
        for call in (lambda: anew.start("b"), run.finish):
            try:
                call()
            except anew.AnewError as error:
                print(error)
    thread = threading.Thread(target=other)
    thread.start()
    thread.join()
elif how == "threads":
    said, gate = [], threading.Barrier(6)
    def one(number):
        gate.wait()
        try:
            run = anew.start("threads", {"number": number}, quiet=True)
        except anew.AnewError as error:
            said.append(str(error))
        else:
            run.log({"number": number})
            gate.wait()
            run.finish()
            return
        gate.wait()
    threads = [threading.Thread(target=one, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(len(said), len([each for each in said if "is going on in another thread" in each]))
elif how == "fork":
    run = anew.start("fork", quiet=True)
    if not (child := os.fork()):
        run.log({"child": 1})
        run.finish()
        sys.exit(7)
    os.waitpid(child, 0)
    run.log({"parent": 1})
else:
    run = anew.start("plain", args, quiet=True)
    print(args.lr, random.random())
    run.log({"loss": args.lr * 2}, step=0)
    if how == "raise":
        raise ValueError("no")
    if how == "exit":
        sys.exit(3)
    if how == "caught":
        try:
            sys.exit(4)
        except SystemExit:
            pass
    if how == "cleaned":
        try:
            sys.exit(4)
        finally:
            print("cleaned")
    if how == "finish":
        run.finish()
        run.finish()
    if how in ("SIGINT", "SIGTERM"):
        os.kill(os.getpid(), getattr(signal, how))
        time.sleep(10)
    if how == "gone":
        os._exit(0)
"""
ENDS = {
    "": (Status.COMPLETED, 0, None),
    "finish": (Status.COMPLETED, 0, None),
    "caught": (Status.COMPLETED, 0, None),
    "raise": (Status.FAILED, 1, "ValueError"),
    "exit": (Status.FAILED, 3, "SystemExit"),
    "cleaned": (Status.FAILED, 4, "SystemExit"),
    "SIGINT": (Status.INTERRUPTED, -2, None),
    "SIGTERM": (Status.INTERRUPTED, 143, None),
    "gone": (Status.LOST, 0, None),
}


@pytest.fixture(scope="module")
def trial(tmp_path_factory: pytest.TempPathFactory) -> Project:
    folder = tmp_path_factory.mktemp("start")
    (folder / "pyproject.toml").touch()
    (folder / "train.py").write_text(SCRIPT)
    return Project(folder)


def _run(trial: Project, how: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "train.py", *(["--how", how] if how else [])]
    done = subprocess.run(words, cwd=trial.folder, capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stderr
    return done


@pytest.mark.parametrize("how", ENDS)
def test_it_ends_as_the_program_does(trial: Project, how: str) -> None:
    status, code, error = ENDS[how]
    done = _run(trial, how, code)
    record = trial.record()
    assert (record.experiment, record.status, record.config) == ("plain", status, {"lr": 0.1, "how": how})
    assert record.command is not None
    assert (record.command.entry, record.command.target) == ("start", str(trial.folder / "train.py"))
    assert record.metrics["loss"].last == 0.2
    assert (record.error and record.error.type) == error
    if how == "raise":
        assert record.error is not None
        assert 'raise ValueError("no")' in (record.error.traceback or "")
        assert "ValueError: no" in done.stderr


def test_it_is_run_anew_with_what_is_recorded_and_what_is_given(trial: Project) -> None:
    said = _run(trial, "").stdout
    number = trial.record().id
    again = anew(trial, "rerun", str(number))
    assert again.stdout.startswith(said)
    assert "identical" in again.stdout
    given = anew(trial, "rerun", str(number), "lr=1")
    assert given.stdout.split()[:2] == ["1.0", said.split()[1]]
    assert trial.record().config == {"lr": 1.0, "how": ""}
    assert trial.record().overrides == ("lr=1",)
    for word, told in (("lrr=1", "Did you mean lr?"), ("lr=a", "lr=a does not fit")):
        refused = anew(trial, "rerun", str(number), word, code=2)
        assert told in refused.stderr
        assert "Traceback" not in refused.stderr


def test_one_that_no_with_holds_ends_where_the_next_begins(trial: Project) -> None:
    _run(trial, "loop")
    third = trial.record()
    first, second = (trial.record((third.id or 0) - back) for back in (2, 1))
    assert [each.status for each in (first, second, third)] == [Status.COMPLETED] * 3
    assert second.config == {"lr": 0.2, "deep": {"a": [1, 2], "f": "builtins.print"}}
    assert "identical" in anew(trial, "rerun", str(second.id)).stdout
    assert "different" in anew(trial, "rerun", str(second.id), "lr=2").stdout
    assert trial.record().metrics["x"].last == 4.0
    assert not list((trial.folder / "runs" / str(trial.record().id)).rglob("written"))


def test_a_frozen_dataclass_is_given_what_a_rerun_changes(trial: Project) -> None:
    said = _run(trial, "with").stdout
    record = trial.record()
    assert (record.status, record.config) == (Status.FAILED, {"lr": 0.1, "path": "a", "pair": [1, 2]})
    assert "PosixPath('a')" in said
    given = anew(trial, "rerun", str(record.id), "path=b", "pair=[3]", code=1)
    assert "path=PosixPath('b'), pair=(3,)" in given.stdout


def test_runs_in_it_are_its_own(trial: Project) -> None:
    _run(trial, "nested")
    own = trial.record()
    inner, outer = (trial.record((own.id or 0) - back) for back in (1, 2))
    assert (own.experiment, own.config, own.tags) == ("own", {"k": 1}, ("t",))
    assert [each.parent for each in (inner, own)] == [ParentRun(id=outer.id, uid=outer.uid)] * 2
    assert inner.ended_at is not None
    assert own.started_at is not None
    assert inner.ended_at <= own.started_at


def test_another_thread_and_a_forked_child_do_not_end_it(trial: Project) -> None:
    said = _run(trial, "thread").stdout
    assert "is going on in another thread" in said
    assert "is to be ended there" in said
    _run(trial, "fork")
    record: RunRecord = trial.record()
    assert (record.status, set(record.metrics)) == (Status.COMPLETED, {"child", "parent"})


def test_of_threads_that_begin_runs_at_once_one_does(trial: Project) -> None:
    """They look whether there is one at the same time, and would have each other's output and streams."""
    done = _run(trial, "threads")
    assert (done.stdout.split(), done.stderr) == (["5", "5"], "")
    record = trial.record()
    assert (record.experiment, record.status) == ("threads", Status.COMPLETED)
    assert record.metrics["number"].last == record.config["number"]


KERNEL = """
import sys
from jupyter_client.manager import start_new_kernel
manager, client = start_new_kernel(kernel_name="python3", cwd=sys.argv[1])
try:
    for cell in open(sys.argv[2]).read().split("---\\n"):
        done = client.execute_interactive(cell, timeout=60, output_hook=lambda message: None)
        print(done["content"].get("ename", "ok"))
finally:
    client.stop_channels()
    manager.shutdown_kernel(now=False)
"""
CELLS = """\
%load_ext anew
import anew, os, random, signal, time
---
config = {"lr": 0.1}
run = anew.start("cells", config)
---
run.log({"loss": config["lr"] + random.random()})
1 / 0
---
run.finish()
---
%%anew magic lr=0.2 how=big
anew.current_run().log({"x": lr + random.random()})
---
%%anew magic lr=0.3
1 / 0
---
run = anew.start("interrupted")
---
os.kill(os.getpid(), signal.SIGINT)
time.sleep(10)
---
run = anew.start("left")
"""


def test_in_a_notebook_it_ends_by_what_is_called_and_interrupted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("ipykernel")
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    (tmp_path / "pyproject.toml").touch()
    cells = tmp_path / "cells.txt"
    cells.write_text(CELLS)
    words = [sys.executable, "-c", KERNEL, str(tmp_path), str(cells)]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    ends = ["ok", "ok", "ZeroDivisionError", "ok", "ok", "ZeroDivisionError", "ok", "KeyboardInterrupt", "ok"]
    assert done.stdout.split() == ends, done.stderr
    trial = Project(tmp_path)
    found = [trial.record(number) for number in range(1, 6)]
    assert [(each.experiment, each.status.name) for each in found] == [
        ("cells", "COMPLETED"),
        ("magic", "COMPLETED"),
        ("magic", "FAILED"),
        ("interrupted", "INTERRUPTED"),
        ("left", "COMPLETED"),
    ]
    assert found[1].config == {"lr": 0.2, "how": "big"}
    assert "identical" in anew(trial, "rerun", "1").stdout
    assert "identical" in anew(trial, "rerun", "2").stdout
    anew(trial, "rerun", "2", "lr=1")
    assert trial.record().config == {"lr": 1, "how": "big"}


INNER = """\
import argparse
import anew

parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float, default=0.1)
args = parser.parse_args()
run = anew.start("inner", args)
run.log({"loss": run.config.lr})
if args.lr > 1:
    raise ValueError("too much")
"""


def test_in_a_program_that_is_run_it_ends_with_that_and_is_run_again_alone(project: Path) -> None:
    trial = Project(project)
    (trial.folder / "tune.py").write_text(INNER)
    anew(trial, "run", "tune.py", "-m", "lr=0.2,3", code=1)
    runs = [trial.record(number) for number in (1, 2, 3, 4)]
    assert [each.experiment for each in runs] == ["tune", "inner"] * 2
    assert [each.status for each in runs] == [Status.COMPLETED] * 2 + [Status.FAILED] * 2
    assert [each.error and each.error.type for each in runs] == [None, None, "ValueError", "ValueError"]
    assert all(
        one.ended_at and other.ended_at and one.ended_at <= other.ended_at for one, other in [runs[1::-1], runs[:1:-1]]
    )
    assert runs[1].parent == ParentRun(id=1, uid=runs[0].uid)
    assert "identical" in anew(trial, "rerun", "2").stdout
    changed = anew(trial, "rerun", "2", "lr=0.4")
    assert "metric loss at step 0: 0.2 -> 0.4" in changed.stdout


def test_one_in_a_main_that_fails_has_what_that_raised(project: Path) -> None:
    trial = Project(project)
    (trial.folder / "own.py").write_text(
        "import anew\n"
        "@anew.Experiment('outer').main\n"
        "def main(x: int = 1):\n"
        "    anew.start('inner', {'x': x})\n"
        "    raise KeyError(x)\n"
        "main()\n"
    )
    done = subprocess.run([sys.executable, "own.py"], cwd=trial.folder, capture_output=True, check=False)
    assert done.returncode == 1
    assert [trial.record(each).error.type for each in (1, 2)] == ["KeyError"] * 2  # type: ignore[union-attr]


def test_a_hang_up_ends_it(project: Path) -> None:
    trial = Project(project)
    (trial.folder / "hang.py").write_text(
        "import anew, os, signal, time\nrun = anew.start('hang')\nos.kill(os.getpid(), signal.SIGHUP)\ntime.sleep(60)\n"
    )
    done = subprocess.run([sys.executable, "hang.py"], cwd=trial.folder, capture_output=True, check=False)
    record = trial.record()
    assert (done.returncode, record.status) == (129, Status.FAILED)
    assert record.error is not None
    assert record.error.type == "SystemExit"
