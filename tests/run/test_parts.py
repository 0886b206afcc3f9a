"""
The parts of a run that is going on: whichever of them fails, nothing of the others stays behind in the process.

A script would take it with it at its end; a notebook goes on, with threads that beat for a run that is none, and with
the streams and signal handlers of one.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from anew.runner.errors import EXIT_SIGINT, EXIT_UNKEPT
from anew.runner.format.redact import Redactor
from anew.runner.records import Status
from anew.runner.run.parts import Course, Part, unwind
from tests.helpers.scripts import Project

# What a notebook is: a process that goes on after a run, and looks what of it is left.
NOTEBOOK = '''\
import json, os, signal, sys, threading, time
from pathlib import Path
from anew import Experiment
from anew.runner.kernel import hook
from anew.runner.errors import AnewError
from anew.runner.guard.watch import Guard
from anew.runner.run.current import here
from anew.runner.run.lifecycle import Life

seen = []
experiment = Experiment("notebook", observers=[seen.append])
SETTINGS = ("anew.deterministic=true", "anew.inputs.notice=true", "anew.output.mode=fd")
# these live as long as the process, one of each: the lines to its helpers, and what syncs its files
LASTING = {"anew-guard", "anew-sync", "anew-observers", "anew-pulse"}

@experiment.main
def main(lr: float = 0.1):
    print("in main")
    called.append(lr)

called = []

def state():
    """What a run changes of its process."""
    return {
        "threads": sorted(each.name for each in threading.enumerate() if each.name not in LASTING),
        "descriptors": sorted(f"{n} {leads_to(n)}" for n in os.listdir("/proc/self/fd") if leads_to(n)),
        "handlers": [str(signal.getsignal(each)) for each in (signal.SIGINT, signal.SIGTERM)],
        "wakeup": wakeup(),
        "watched runs": len(Guard.shared()._interrupts._runs),
        "noticing": hook.hook.watching is not None,
        "streams": [id(sys.stdout), id(sys.stderr), os.fstat(1).st_ino, os.fstat(2).st_ino],
        "folder": os.getcwd(),
        "hook of threads": str(threading.excepthook),
        "finders": [type(each).__name__ if not isinstance(each, type) else each.__name__ for each in sys.meta_path],
        "variables": {key: value for key, value in os.environ.items() if key.startswith(("ANEW", "CUBLAS", "MKL"))},
        "run": str(here.run),
    }

def leads_to(number):
    """What a descriptor leads to; nothing for the one that the list itself is read by, nor for caches of libraries."""
    try:
        return os.readlink(f"/proc/self/fd/{number}")
    except OSError:
        return ""

def wakeup():
    found = signal.set_wakeup_fd(-1)
    signal.set_wakeup_fd(found)
    return found

def settled(before):
    """The state, once what ends by itself has had a moment to."""
    deadline = time.monotonic() + 5
    while (now := state()) != before and time.monotonic() < deadline:
        time.sleep(0.02)
    return {key: [before[key], now[key]] for key in now if before[key] != now[key]}

list_parts = Life._list_parts

def parts_with(index, change):
    """Have the next runs' parts, with one of them changed."""
    def changed(life):
        parts = list_parts(life)
        names.append(type(parts[index]).__name__)
        change(parts[index])
        return parts
    Life._list_parts = changed

names = []

def attempt(index, change):
    """One run with a changed part: what it raised, what it left, and how its record says that it ended."""
    called.clear()
    parts_with(index, change)
    raised, past = "", newest()
    try:
        main.run(*SETTINGS)
    except BaseException as error:
        raised = type(error).__name__
    left = settled(before)
    outcome = Path("runs", str(newest()), "outcome.json")
    status = json.loads(outcome.read_text())["status"] if outcome.exists() else None
    status = "no run" if newest() == past else status
    found.append({"part": names[-1], "raised": raised, "left": left, "status": status, "called": bool(called)})

def newest():
    return max((int(each.name) for each in Path("runs").iterdir() if each.name.isdigit()))

found = []
count = []

def counted(life):
    parts = list_parts(life)
    count.append(len(parts))
    return parts

Life._list_parts = counted
main.run(*SETTINGS)  # what a first run leaves for the next ones is no matter here
while any(each.name not in (*LASTING, "MainThread") for each in threading.enumerate()):
    time.sleep(0.02)
before = state()

class Broken(Exception):
    pass

def fail(*args, **options):
    raise Broken("it cannot be had")

def interrupt():
    signal.raise_signal(signal.SIGINT)

def in_place_of_start(part):
    part.start = fail

def after(method, act):
    def change(part):
        real = getattr(part, method)
        def late(*args, **options):
            result = real(*args, **options)
            act()
            return result
        setattr(part, method, late)
    return change

def in_place_of_stop(part):
    """Fails, and is stopped all the same: what a part itself leaves when its own end fails is its own affair."""
    after("stop", fail)(part)

def broken_off(part):
    """A Ctrl-C of somebody who has waited enough: the first one waits for the record, the second does not."""
    def act():
        if type(part).__name__ == "Watch":
            return
        interrupt()
        time.sleep(0.1)  # one that comes sooner is taken for the same, passed on by a parent
        interrupt()
    after("stop", act)(part)

CHANGES = {
    "its start fails": in_place_of_start,
    "its start fails at the end": after("start", fail),
    "a Ctrl-C comes after its start": after("start", interrupt),
    "its stop fails": in_place_of_stop,
    "two Ctrl-C come after its stop": broken_off,
}
for index in range(count[0]):
    attempt(index, CHANGES[sys.argv[1]])
sys.__stdout__.write("\\n" + json.dumps(found) + "\\n")
'''


@pytest.fixture
def notebook(project: Path) -> Any:
    """Run the notebook with one change to each part in turn; return what was found of each."""

    def run(change: str) -> list[dict[str, Any]]:
        trial = Project(project)
        (trial.folder / "notebook.py").write_text(NOTEBOOK)
        with trial.start(change, name="notebook.py") as process:
            out, err = process.communicate(timeout=300)
        assert process.returncode == 0, err
        found: list[dict[str, Any]] = json.loads(out.splitlines()[-1])
        assert len({each["part"] for each in found}) == len(found) >= 14, "a part of each kind"
        return found

    return run


def left_by(found: list[dict[str, Any]]) -> dict[str, Any]:
    """What was left, by the part that was changed."""
    return {each["part"]: each["left"] for each in found if each["left"]}


@pytest.mark.parametrize("change", ["its start fails", "its start fails at the end"])
def test_a_part_that_cannot_be_started_leaves_nothing_behind_and_an_outcome(notebook: Any, change: str) -> None:
    found = notebook(change)
    assert left_by(found) == {}
    assert {(each["raised"], each["called"]) for each in found} == {("Broken", False)}
    without = {"Watch"} if change == "its start fails at the end" else {"Watch", "Record"}
    assert {each["part"] for each in found if each["status"] == "no run"} == without
    assert {each["status"] for each in found} == {"no run", "FAILED"}


def test_a_ctrl_c_between_two_starts_leaves_nothing_behind_and_an_outcome(notebook: Any) -> None:
    found = notebook("a Ctrl-C comes after its start")
    assert left_by(found) == {}
    assert {each["raised"] for each in found} == {"KeyboardInterrupt"}
    assert [each["part"] for each in found if each["status"] != "INTERRUPTED"] == ["Watch"]
    assert found[0]["status"] == "no run"
    assert not any(each["called"] for each in found)


def test_a_part_whose_end_fails_keeps_no_other_from_ending(notebook: Any) -> None:
    found = notebook("its stop fails")
    assert left_by(found) == {}
    assert {(each["raised"], each["status"]) for each in found} == {("", "COMPLETED")}


def test_whoever_does_not_wait_for_the_end_has_it_all_the_same(notebook: Any) -> None:
    """What had not ended by then is ended at once, so that there is an outcome: whether all of it is there is in it."""
    found = notebook("two Ctrl-C come after its stop")
    assert left_by(found) == {}
    by_name = {each["part"]: each for each in found}
    assert by_name.pop("Watch")["raised"] == ""
    assert {each["raised"] for each in by_name.values()} == {"KeyboardInterrupt"}
    ended = {name: each["status"] for name, each in by_name.items()}
    after = {"Outcome", "Following", "Announcement", "Record"}
    assert {ended[name] for name in after} == {"COMPLETED"}
    assert {ended[name] for name in ended.keys() - after} == {"INTERRUPTED"}


REFUSED = '''\
import json, os, threading, time
from anew import Experiment

experiment = Experiment("notebook")

class Away:
    """An observer whose other side is away."""
    def handle(self, event): raise ConnectionError("the other side is away")
    def close(self): pass

@experiment.main
def main(lr: float = 0.1): raise SystemError("main was called")

if __name__ == "__main__":
    before = {each.name for each in threading.enumerate()}
    said = ""
    try:
        main.run("+anew.observers.mine._target_=refusing.Away", f"anew.observers.mine.host={os.environ['HOST']}",
                 "anew.observers.mine.required=true")
    except Exception as error:
        said = f"{type(error).__name__}: {error}"
    lasting = {"anew-guard", "anew-sync", "anew-observers", "anew-pulse"}
    deadline = time.monotonic() + 5
    while (left := {each.name for each in threading.enumerate()} - before - lasting) and time.monotonic() < deadline:
        time.sleep(0.02)
    print("\\n" + json.dumps({"said": said, "left": sorted(left)}))
'''


@pytest.mark.parametrize("host", ["process", "thread"])
def test_a_required_observer_that_refuses_leaves_no_thread_behind(project: Path, host: str) -> None:
    trial = Project(project)
    (trial.folder / "refusing.py").write_text(REFUSED)
    done = trial.run(name="refusing.py", env={"HOST": host})
    found = json.loads(done.stdout.splitlines()[-1])
    assert "'mine' is required" in found["said"]
    assert found["left"] == []
    assert trial.record().status is Status.FAILED


# --- ends that are broken off -------------------------------------------------------------------------------------


class Stopping:
    """A part that notes that it was stopped, and does something then."""

    def __init__(self, stopped: list[int], number: int, act: Any = None) -> None:
        self.stopped, self.number, self.act = stopped, number, act

    def start(self) -> None: ...

    def stop(self) -> str | None:
        self.stopped.append(self.number)
        return self.act() if self.act else None


class Closed:
    """A recorder whose journal cannot be written."""

    is_open = True

    def __init__(self, error: BaseException) -> None:
        self.error = error
        self.redactor = Redactor()

    def add(self, *_: Any, **__: Any) -> None:
        raise self.error


@pytest.mark.parametrize("error", [OSError(9, "Bad file descriptor"), KeyboardInterrupt(), RuntimeError("odd")])
def test_a_problem_that_cannot_be_put_on_record_keeps_no_part_from_being_stopped(error: BaseException) -> None:
    stopped: list[int] = []
    course = Course()
    parts: list[Part] = [Stopping(stopped, 1), Stopping(stopped, 2, lambda: "a problem"), Stopping(stopped, 3)]

    unwind(parts, course, Closed(error))  # type: ignore[arg-type]

    assert stopped == [3, 2, 1]
    assert course.problems[0] == "a problem"
    assert course.interrupt is (error if isinstance(error, KeyboardInterrupt) else None)


LATE = """\
import sys, signal, threading, anew
from anew import Experiment
from anew.runner.guard.watch import Watch
from anew.runner.run import parts
experiment = Experiment("late")
@experiment.main
def main(lr: float = 0.1): return lr
main.run("anew.quiet=true")
before = sorted(thread.name for thread in threading.enumerate())
done = Watch.mark_done
def interrupted(self):
    Watch.mark_done = done
    raise KeyboardInterrupt
Watch.mark_done = interrupted
try:
    main.run("anew.quiet=true")
except KeyboardInterrupt:
    print("interrupted")
after = sorted(thread.name for thread in threading.enumerate())
print(after == before, signal.getsignal(2) is signal.default_int_handler)
print(threading.excepthook is threading.__excepthook__)
print(parts.here.run)
"""


def test_a_ctrl_c_before_the_end_has_begun_leaves_nothing_behind(project: Path) -> None:
    (project / "late.py").write_text(LATE)
    done = subprocess.run([sys.executable, "late.py"], cwd=project, capture_output=True, text=True, timeout=60)

    assert done.stdout == "interrupted\nTrue True\nTrue\nNone\n", done.stderr
    assert Project(project).record(2).status is not Status.RUNNING


def test_a_run_whose_descriptors_were_all_closed_ends_all_the_same(project: Path) -> None:
    """Libraries that make daemons do so; what could not be written is said, and the run has an outcome."""
    trial = Project(project)
    trial.write("@experiment.main\ndef main(run: Run):\n    run.log({'x': 1})\n    os.closerange(3, 1000)\n")
    done = trial.run()

    assert trial.record().status is Status.COMPLETED
    assert "fault in anew" not in done.stderr


SWALLOWED = """\
import enum
from anew import Experiment
experiment = Experiment("swallowed")
@experiment.main
def main(lr: float = 0.1): raise SystemError("main was called")
if __name__ == "__main__":
    from anew.runner.store import folder
    class Late:
        def __set_name__(self, owner, name): raise KeyboardInterrupt
    def interrupted(*_, **__):
        class Owner: late = Late()  # Python up to 3.11 makes a RuntimeError of it
        raise SystemError("it was not raised")
    folder.FolderStore.claim = interrupted
    main()
"""


def test_a_ctrl_c_that_became_another_error_is_still_one(project: Path) -> None:
    (project / "swallowed.py").write_text(SWALLOWED)
    done = Project(project).run(name="swallowed.py", code=EXIT_SIGINT)
    assert "Traceback" not in done.stderr


# with fewer the C library cannot load what ends a thread, and aborts
@pytest.mark.parametrize("most", range(6, 20))
def test_a_process_that_may_open_few_files_has_an_outcome_or_says_what_is_wrong(project: Path, most: int) -> None:
    trial = Project(project)
    trial.write("@experiment.main\ndef main(run: Run):\n    run.log({'x': 1})\n")
    shell = ["sh", "-c", f'ulimit -n {most}; exec "$@"', "sh", sys.executable, "train.py"]
    done = subprocess.run(shell, cwd=project, capture_output=True, text=True, timeout=60)

    assert done.returncode in (0, 1, 2, EXIT_UNKEPT), done.stderr
    assert "fault in anew" not in done.stderr
    if done.returncode == 2:
        assert "Too many open files" in done.stderr
        assert "ulimit -n" in done.stderr
    if done.returncode == 0:
        assert (record := trial.record()).status is Status.COMPLETED
        assert record.metrics["x"].count == 1


def test_a_run_whose_outcome_cannot_be_written_is_not_called_completed(project: Path) -> None:
    trial = Project(project)
    trial.write(
        "@experiment.main\ndef main(run: Run):\n    import resource, signal\n"
        "    (run.dir.parent / '.outcome.reserve').unlink()\n    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))\n"
    )
    done = trial.run(code=EXIT_UNKEPT)

    assert "COMPLETED" not in done.stderr
    assert "has no outcome on record, and will be shown as LOST" in done.stderr.splitlines()[-1]
    assert trial.record().status is Status.LOST
