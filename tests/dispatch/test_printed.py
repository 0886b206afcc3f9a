"""What observers print, log and raise is theirs: kept in a log of each, and never part of the run's output."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from anew.runner.dispatch.observer_log import MOST_BYTES, ObserverLog
from anew.runner.format.redact import Redactor
from anew.runner.store.paths import RunLayout
from tests.helpers.scripts import Project, anew

LOUD = """\
import logging, os, subprocess, sys, threading, warnings

log = logging.getLogger(__name__)
early = sys.stdout


class Loud:
    '''Says in every way what it is handed.'''

    def __init__(self, ways=(), sign="loud"):
        self.ways, self.sign = ways, sign

    def handle(self, event):
        text = f"{self.sign} {type(event).__name__}"
        if "print" in self.ways:
            print(text, "print")
            print(text, "stderr", file=sys.stderr)
            sys.stdout.buffer.write(f"{text} bytes\\n".encode())
        if "logging" in self.ways:
            log.info("%s info", text)
            logging.getLogger().warning("%s root", text)
            warnings.warn(f"{text} warned", stacklevel=1)
        if "thread" in self.ways:
            thread = threading.Thread(target=lambda: threading.Thread(target=print, args=(text, "nested")).start())
            thread.start()
            thread.join()
        if "died" in self.ways:
            thread = threading.Thread(target=lambda: 1 / 0)
            thread.start()
            thread.join()
        if "past" in self.ways and type(event).__name__ == "RunStarted":
            os.write(1, f"{text} descriptor\\n".encode())
            subprocess.run(["echo", text, "child"])

    def close(self):
        print("closing", self.sign)
"""
LOOP = """\
@experiment.main
def main(n: int = 20, *, run: Run):
    for step in range(n):
        run.log({"loss": 1.0}, step=step)
    print("of the run")
"""
LOUD_ONE = "anew.observers.loud._target_=loud.Loud"


@pytest.fixture
def trial(project: Path) -> Project:
    (project / "loud.py").write_text(LOUD)
    made = Project(project)
    made.write(LOOP)
    return made


def said(trial: Project, name: str = "loud") -> str:
    return anew(trial, "logs", "1", "--observer", name).stdout


@pytest.mark.parametrize("mode", ["fd", "sys"])
def test_print_as_an_observer_does_not_feed_on_itself(trial: Project, mode: str) -> None:
    trial.write(LOOP.replace("@experiment.main", 'experiment = Experiment("t", observers=[print])\n@experiment.main'))
    done = trial.run(f"anew.output.mode={mode}")
    assert anew(trial, "logs", "1").stdout == "of the run\n"
    assert "MetricsLogged" not in done.stdout + done.stderr
    assert "what it printed: anew logs 1 --observer print" in " ".join(anew(trial, "show", "1").stdout.split())
    log = said(trial, "print")
    assert log.count("OutputCaptured(") == 1
    assert log.count("MetricsLogged(") >= 20
    assert "RunStarted(" in log
    assert "RunEnded(" in log


@pytest.mark.parametrize("host", ["process", "thread"])
@pytest.mark.parametrize("way", ["print", "logging", "thread", "died"])
def test_what_an_observer_says_is_its_own_wherever_it_lives(trial: Project, host: str, way: str) -> None:
    done = trial.run(LOUD_ONE, f"+anew.observers.loud.ways=[{way}]", f"anew.observers.loud.host={host}")
    assert anew(trial, "logs", "1").stdout == "of the run\n"
    assert "loud" not in done.stdout
    assert not trial.record().warnings
    others = (path for path in trial.folder.rglob("*.log") if path.parent.name != "observers")
    assert not any("loud" in path.read_text() for path in others)
    log = said(trial)
    expected = {
        "print": ("loud RunEnded print", "loud MetricsLogged stderr", "loud RunStarted bytes"),
        "logging": ("[loud][INFO] - loud RunEnded info", "loud MetricsLogged root", "loud RunStarted warned"),
        "thread": ("loud RunEnded nested", "loud MetricsLogged nested"),
        "died": ("ZeroDivisionError",),
    }
    for each in (*expected[way], "closing loud"):
        assert each in log


def test_past_python_it_is_told_apart_in_a_process_of_its_own(trial: Project) -> None:
    trial.run(LOUD_ONE, "+anew.observers.loud.ways=[past]")
    assert anew(trial, "logs", "1").stdout == "of the run\n"
    assert "loud RunStarted descriptor\nloud RunStarted child\n" in said(trial)


def test_what_one_of_several_printed_past_python_is_kept_under_all_their_names(trial: Project) -> None:
    other = ("anew.observers.other._target_=loud.Loud", "anew.observers.other.sign=other")
    ways = ("+anew.observers.loud.ways=[past]", "+anew.observers.other.ways=[print]")
    trial.run(LOUD_ONE, *other, *ways)
    assert "other RunEnded print" in said(trial, "other")
    assert "loud RunStarted" not in said(trial, "other").partition("[printed by one of loud, other]")[0]
    for name in ("loud", "other"):
        assert "loud RunStarted descriptor" in said(trial, name).partition("[printed by one of loud, other]")[2]


def test_what_sync_has_an_observer_print_is_in_its_log_too(trial: Project) -> None:
    trial.run(LOUD_ONE, "+anew.observers.loud.ways=[print]")
    observers = trial.folder / "runs" / "1" / "observers"
    for path in (*observers.glob("*.cursor"), observers / "loud.log"):
        path.unlink()
    done = anew(trial, "sync", "1", "--json")
    assert [each["observer"] for each in json.loads(done.stdout)] == ["loud"]
    assert "loud RunEnded print" in said(trial)


def test_logs_name_the_observers_that_there_are(trial: Project) -> None:
    trial.run(LOUD_ONE)
    done = anew(trial, "logs", "1", "--observer", "../output", code=2)
    assert "Run 1 has no observer '../output'. It has: loud." in done.stderr
    assert json.loads(anew(trial, "logs", "1", "--observer", "loud", "--json").stdout) == "closing loud\n"
    assert "All is well" in anew(trial, "check", "--deep").stdout


# --- refusals -----------------------------------------------------------------------------------------------------

FLAKY = """\
class Flaky:
    def handle(self, event):
        if type(event).__name__ == "MetricsLogged":
            self.take(event.values)

    def take(self, values):
        return values["x"]

    def close(self):
        pass
"""


@pytest.mark.parametrize("host", ["process", "thread"])
def test_the_first_refusal_is_told_at_once_with_its_place(trial: Project, host: str) -> None:
    (trial.folder / "flaky.py").write_text(FLAKY)
    waiting = """
    import time
    log = run.dir.parent / "observers" / "flaky.log"
    while not log.exists():
        time.sleep(0.02)
"""
    trial.write(LOOP.replace('    print("of the run")', waiting))
    settings = ("anew.observers.flaky._target_=flaky.Flaky", f"anew.observers.flaky.host={host}", "anew.drain_s=1")
    done = trial.run(*settings)
    lines = done.stderr.splitlines()
    told = [line for line in lines if "refuses" in line]
    assert len(told) == 1
    assert "KeyError: 'x' in flaky.py:7." in told[0]
    assert "anew logs 1 --observer flaky" in told[0]
    assert "it is slow" not in done.stderr
    assert "(KeyError: 'x' in flaky.py:7)" in done.stderr
    assert 'return values["x"]' in said(trial, "flaky")


def test_an_observer_that_cannot_be_built_says_where(trial: Project) -> None:
    (trial.folder / "flaky.py").write_text("class Flaky:\n    def __init__(self):\n        {}['x']\n")
    done = trial.run("anew.observers.flaky._target_=flaky.Flaky")
    assert "KeyError: 'x' in flaky.py:3" in done.stderr
    assert "{}['x']" in said(trial, "flaky")


# --- the log itself -----------------------------------------------------------------------------------------------


def test_the_log_keeps_no_secret_and_follows_no_link(tmp_path: Path) -> None:
    layout = RunLayout(tmp_path)
    layout.observers.mkdir()
    redactor = Redactor.of_environment()
    redactor.learn(["hunter2-secret"])
    log = ObserverLog(layout, "one", redactor=redactor)
    log.write("the password is hunter2")
    log.write("-secret\nrest")
    assert layout.observer_log("one").read_text() == "the password is <redacted>\n"
    log.close()
    assert layout.observer_log("one").read_text().endswith("rest\n")
    (tmp_path / "elsewhere").write_text("as it was")
    layout.observer_log("two").symlink_to(tmp_path / "elsewhere")
    ObserverLog(layout, "two", redactor=redactor).write("lost\n")
    assert (tmp_path / "elsewhere").read_text() == "as it was"


def test_of_a_long_log_the_latest_is_kept(tmp_path: Path) -> None:
    layout = RunLayout(tmp_path)
    layout.observers.mkdir()
    log = ObserverLog(layout, "one", redactor=Redactor.of_environment())
    for number in range(24):
        log.write(f"{number:06d} " + "x" * (MOST_BYTES // 16) + "\n")
    text = layout.observer_log("one").read_text()
    assert len(text) <= MOST_BYTES
    assert "bytes before this were left out" in text.splitlines()[0]
    assert text.splitlines()[-1].startswith("000023 ")
