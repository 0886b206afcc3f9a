"""Observers of real runs: in a process beside them, behind an outage, after a kill, and as `anew sync` goes on."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from anew.runner.dispatch.spool import spool_folder
from anew.runner.format import serial
from anew.runner.records import ObserverState, Status
from anew.runner.store.folder import FolderStore
from tests.helpers.scripts import ANEW, Project, anew
from tests.helpers.waiting import until

MINE = """\
import json, os, time
from pathlib import Path

class Lines:
    '''A line of JSON for each event; `trouble` is a folder in which a file named "down" takes the other side away.'''

    def __init__(self, path="seen.jsonl", trouble="", poison="", url="", slow=0.0):
        self.path, self.trouble, self.poison, self.slow = Path(path), trouble, poison, slow

    def handle(self, event):
        if self.trouble and Path(self.trouble, "down").exists():
            raise ConnectionError("the other side is away")
        if type(event).__name__ == self.poison:
            raise ValueError("this one cannot be taken")
        time.sleep(self.slow)
        body = {"uid": event.uid, "writer": event.writer, "q": event.q, "pid": os.getpid()}
        body["kind"] = type(event).__name__
        for name in ("step", "values", "text", "offset"):
            if hasattr(event, name):
                body[name] = getattr(event, name)
        with self.path.open("a") as file:
            file.write(json.dumps(body) + "\\n")

    def close(self):
        pass
"""
TARGET = "anew.observers.mine._target_=mine.Lines"
LOOP = """\
@experiment.main
def main(n: int = 100, pause: float = 0.0, *, run: Run):
    for step in range(n):
        run.log({"loss": 1 / (step + 1)}, step=step)
        time.sleep(pause)
    print("the end is near")
    return n
"""


@pytest.fixture
def trial(project: Path) -> Project:
    (project / "mine.py").write_text(MINE)
    made = Project(project)
    made.write(LOOP)
    return made


def seen(trial: Project, path: str = "seen.jsonl") -> list[dict[str, Any]]:
    """Return what arrived, repeats left out."""
    file = trial.folder / path
    lines = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
    return list({(line["uid"], line["writer"], line["q"]): line for line in lines}.values())


def points(lines: list[dict[str, Any]]) -> list[tuple[int, float]]:
    return [
        (each["step"], each["values"]["loss"])
        for each in lines
        if each["kind"] == "MetricsLogged" and "loss" in each["values"]
    ]


def expected(n: int) -> list[tuple[int, float]]:
    return [(step, 1 / (step + 1)) for step in range(n)]


# --- all is well ------------------------------------------------------------------------------------------------


def test_every_event_arrives_in_order_in_a_process_beside_the_run(trial: Project) -> None:
    trial.run(TARGET, "n=300")
    lines = seen(trial)
    record = trial.record()
    assert points(lines) == expected(300)
    assert lines[0]["kind"] == "RunStarted"
    assert lines[-1]["kind"] == "RunEnded"
    assert "".join(each["text"] for each in lines if each["kind"] == "OutputCaptured") == "the end is near\n"
    assert {each["uid"] for each in lines} == {record.uid}
    assert record.process is not None
    assert record.process.pid not in {each["pid"] for each in lines}
    assert record.observers["mine"].state == "delivered"
    assert "delivered" in anew(trial, "show", "1").stdout


def test_several_observers_follow_one_run_each_from_its_own_cursor(trial: Project) -> None:
    other = "anew.observers.other._target_=mine.Lines"
    trial.run(TARGET, other, "anew.observers.other.path=other.jsonl", "anew.observers.other.slow=0.001")
    assert points(seen(trial)) == points(seen(trial, "other.jsonl")) == expected(100)


def test_a_function_given_in_python_is_an_observer_in_the_runs_own_process(trial: Project) -> None:
    script = LOOP.replace(
        "@experiment.main",
        "kinds = []\ndef note(event):\n    kinds.append(type(event).__name__)\n"
        "experiment = Experiment('trial', observers=[note])\n@experiment.main",
    )
    trial.write(script + "\nimport atexit\natexit.register(lambda: open('kinds', 'w').write(' '.join(kinds)))\n")
    trial.run()
    kinds = (trial.folder / "kinds").read_text().split()
    assert kinds.count("MetricsLogged") >= 100
    assert (kinds[0], kinds[-1]) == ("RunStarted", "RunEnded")


def test_a_function_given_to_one_run_hears_of_that_run_alone(trial: Project) -> None:
    body = (
        "of_all, of_one = [], []\n"
        "def note(event):\n    of_all.append((event.uid, type(event).__name__))\n"
        "experiment = Experiment('trial', observers=[note])\n"
        "@experiment.main\ndef main(n: int = 1, *, run: Run):\n    run.log({'loss': n})\n"
        "def loop():\n"
        "    first = main.run(n=1, observers=[lambda event: of_one.append((event.uid, type(event).__name__))])\n"
        "    second = main.run(n=2)\n"
        "    assert {uid for uid, _ in of_one} == {first.uid}, of_one\n"
        "    assert {uid for uid, _ in of_all} == {first.uid, second.uid}, of_all\n"
        "    assert [kind for _, kind in of_one][-1] == 'RunEnded', of_one\n"
        "    try:\n        main.run(n=3, observers=[7])\n"
        "    except anew.AnewError as error:\n        print(error)\n"
    )
    trial.write(body).write_text((trial.folder / "train.py").read_text().replace("    main()\n", "    loop()\n"))
    done = trial.run()
    assert "7 is no observer" in done.stdout
    assert len(trial.store.numbers()) == 2


def test_runs_in_a_loop_have_an_observer_each(trial: Project) -> None:
    body = (
        LOOP + "\ndef loop():\n    for n in (1, 2, 3):\n"
        "        main.run(f'n={n}', 'anew.observers.mine._target_=mine.Lines')\n"
    )
    trial.write(body).write_text((trial.folder / "train.py").read_text().replace("    main()\n", "    loop()\n"))
    trial.run()
    ends = [line["uid"] for line in seen(trial) if line["kind"] == "RunEnded"]
    assert ends == [trial.record(number).uid for number in (1, 2, 3)]


def test_children_of_the_run_are_followed_too(trial: Project) -> None:
    trial.write(
        """
        import multiprocessing
        def work(index):
            anew.current_run().log({"loss": float(index)}, step=index)
        @experiment.main
        def main(*, run: Run):
            context = multiprocessing.get_context("fork")
            children = [context.Process(target=work, args=(index,)) for index in range(3)]
            for child in children: child.start()
            for child in children: child.join()
        """
    )
    trial.run(TARGET)
    assert sorted(points(seen(trial))) == [(0, 0.0), (1, 1.0), (2, 2.0)]


# --- outages ----------------------------------------------------------------------------------------------------


def test_with_the_other_side_away_the_run_runs_and_sync_delivers(trial: Project) -> None:
    (trial.folder / "down").touch()
    trouble = "anew.observers.mine.trouble=."
    done = trial.run(TARGET, trouble)
    assert trial.record().status is Status.COMPLETED
    assert "anew sync 1" in done.stderr
    assert "the other side is away" in done.stderr
    assert trial.record().observers["mine"].state == "failing"
    assert "are still pending" in anew(trial, "sync", code=1).stdout
    (trial.folder / "down").unlink()
    assert "events delivered" in anew(trial, "sync").stdout
    assert points(seen(trial)) == expected(100)
    assert "Nothing is pending" in anew(trial, "sync").stdout


def test_an_outage_in_the_middle_loses_nothing_and_doubles_nothing(trial: Project) -> None:
    trial.write(
        LOOP.replace(
            "        time.sleep(pause)",
            "        if step == 50: open('down', 'w').close()\n        if step == 150: os.remove('down')\n"
            "        time.sleep(0.005)",
        )
    )
    trial.run(TARGET, "anew.observers.mine.trouble=.", "n=300")
    assert points(seen(trial)) == expected(300)


def test_what_was_logged_before_a_kill_is_delivered_after_it(trial: Project) -> None:
    with trial.start(TARGET, "n=100000", "pause=0.001", "anew.observers.mine.slow=0.002") as process:
        until(lambda: len(points(seen(trial))) > 20)
        process.send_signal(signal.SIGKILL)
    until(lambda: trial.record().status is Status.LOST)
    kept = list(trial.store.metrics("last", "loss").exact)
    until(lambda: [value for _, value in points(seen(trial))] == kept)


def test_sync_goes_on_where_a_killed_process_beside_the_run_stopped(trial: Project) -> None:
    with trial.start(TARGET, "n=100000", "pause=0.001", "anew.observers.mine.slow=0.01") as process:
        until(lambda: len(points(seen(trial))) > 5)
        os.kill(seen(trial)[0]["pid"], signal.SIGKILL)
        process.send_signal(signal.SIGKILL)
    kept = list(trial.store.metrics("last", "loss").exact)
    anew(trial, "sync", "1", "anew.observers.mine.slow=0")
    assert [value for _, value in points(seen(trial))] == kept


def test_a_killed_process_beside_the_run_is_started_again(trial: Project) -> None:
    with trial.start(TARGET, "n=200", "pause=0.01") as process:
        until(lambda: len(points(seen(trial))) > 5)
        os.kill(seen(trial)[0]["pid"], signal.SIGKILL)
        assert process.wait(60) == 0
    assert points(seen(trial)) == expected(200)
    # repeats too: killed before its cursor moved, all that the first one delivered comes again from the second
    lines = (trial.folder / "seen.jsonl").read_text().splitlines()
    assert len({json.loads(line)["pid"] for line in lines}) == 2


def test_an_event_that_cannot_be_taken_is_set_aside_and_the_rest_arrives(trial: Project) -> None:
    done = trial.run(TARGET, "anew.observers.mine.poison=OutputCaptured")
    assert "could not take 1 events" in done.stderr
    assert "1 events were none that the observer 'mine' could take" in anew(trial, "check").stdout
    assert points(seen(trial)) == expected(100)
    [line] = (trial.folder / "runs/1/observers/mine.aside.jsonl").read_text().splitlines()
    assert serial.unseal(line.encode()) == {
        "writer": "output",
        "q": 1,
        "event": "OutputCaptured",
        "error": "ValueError: this one cannot be taken in mine.py:14",
    }
    shown = anew(trial, "show", "1").stdout
    listed = trial.folder / "runs/1/observers/mine.aside.jsonl"
    assert f"delivered; 1 set aside, listed in {listed}" in " ".join(shown.split())
    assert "anew sync" not in shown
    assert trial.record().observers["mine"] == ObserverState(state="delivered", aside=1)
    assert "Nothing is pending" in anew(trial, "sync", "1").stdout


def test_of_a_function_that_failed_is_said_that_nothing_delivers_later(trial: Project) -> None:
    script = "experiment = Experiment('trial', observers=[lambda event: {}['x']])\n@experiment.main"
    trial.write(LOOP.replace("@experiment.main", script))
    trial.run("n=3")
    shown = " ".join(anew(trial, "show", "1").stdout.split())
    assert "events were not delivered, and cannot be later: it was given in Python" in shown
    assert "anew sync" not in shown


def test_a_slow_observer_does_not_hold_the_end_longer_than_it_may(trial: Project) -> None:
    begun = time.monotonic()
    done = trial.run(TARGET, "anew.observers.mine.slow=0.2", "anew.drain_s=1", "n=200")
    assert time.monotonic() - begun < 20  # all of it would take 40 s
    assert "anew sync 1" in done.stderr
    anew(trial, "sync", "anew.observers.mine.slow=0")
    assert points(seen(trial)) == expected(200)


def test_the_command_that_is_named_delivers_also_to_a_class_from_elsewhere(trial: Project, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/theirs.py").write_text(MINE)
    env = {"PYTHONPATH": str(tmp_path / "elsewhere")}
    words = ("anew.observers.mine._target_=theirs.Lines", "anew.observers.mine.slow=0.05", "anew.drain_s=0.5", "n=30")
    said = trial.run(*words, env=env).stderr
    command = next(line.partition("To deliver them: anew ")[2] for line in said.splitlines() if "To deliver" in line)
    anew(trial, *shlex.split(command), PYTHONPATH=env["PYTHONPATH"])
    assert points(seen(trial)) == expected(30)


def test_a_ctrl_c_ends_the_waiting_for_observers(trial: Project) -> None:
    with trial.start(TARGET, "anew.observers.mine.slow=0.5", "anew.drain_s=50") as process:
        until(lambda: (trial.folder / "runs/1/outcome.json").exists())
        begun = time.monotonic()
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=40)
    assert time.monotonic() - begun < 20  # all of it would take 50 s
    assert process.returncode == 130
    assert "anew sync 1" in err
    assert trial.record().status is Status.COMPLETED


def test_sync_watches_until_it_is_stopped(trial: Project) -> None:
    (trial.folder / "down").touch()
    trial.run(TARGET, "anew.observers.mine.trouble=.")
    command = [*ANEW, "sync", "--watch", "--every", "0.1"]
    with subprocess.Popen(command, cwd=trial.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as watcher:
        time.sleep(1)
        assert watcher.poll() is None
        (trial.folder / "down").unlink()
        until(lambda: points(seen(trial)) == expected(100))
        watcher.send_signal(signal.SIGINT)
        assert watcher.wait(20) == 130


# --- required, mistakes -----------------------------------------------------------------------------------------


def test_a_run_does_not_start_without_an_observer_that_is_required(trial: Project) -> None:
    (trial.folder / "down").touch()
    trial.write(LOOP.replace("    for step", "    open('ran', 'w').close()\n    for step"))
    done = trial.run(TARGET, "anew.observers.mine.trouble=.", "anew.observers.mine.required=true", code=2)
    assert "'mine' is required" in done.stderr
    assert "anew check" in done.stderr
    assert "is behind" not in done.stderr
    assert not (trial.folder / "ran").exists()
    assert (trial.record().status, trial.record().exit_code) == (Status.FAILED, 2)
    (trial.folder / "down").unlink()
    trial.run(TARGET, "anew.observers.mine.trouble=.", "anew.observers.mine.required=true")
    assert (trial.folder / "ran").exists()


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["anew/observers=[files,sqll]"], ["'sqll'", "sql", "webhook"]),
        (["anew.observers.mine.path=x"], ["_target_", "anew.observers.mine"]),
        (["anew/observers=[]"], ["Nothing would keep the run"]),
        ([TARGET, "anew.observers.mine.url=mongodb://ada:tops3cret@db/x?a=b c"], ["<redacted>"]),
        ([TARGET, "anew.observers.mine.host=moon"], ["process or thread"]),
        ([TARGET, "anew.observers.mine.required=maybe"], ["true or false"]),
        ([TARGET, "anew.observers.mine.url=${oc.env:NOT_THERE}"], ["NOT_THERE", "anew.observers.mine.url"]),
    ],
)
def test_a_mistake_is_refused_before_anything_is_written(trial: Project, args: list[str], said: list[str]) -> None:
    done = trial.run(*args, code=2)
    assert all(text in done.stderr for text in said), done.stderr
    assert "Traceback" not in done.stderr
    assert "tops3cret" not in done.stderr
    assert not trial.has_runs


def test_an_observer_that_cannot_be_built_costs_the_run_nothing(trial: Project) -> None:
    done = trial.run(TARGET, "anew.observers.mine.path=5")
    assert trial.record().status is Status.COMPLETED
    assert "PathLike" in done.stderr


def test_check_tries_the_observers_that_are_named(trial: Project) -> None:
    settings = ["anew/observers=[mongo]", "anew.observers.mongo.url=mongodb://ada:secret99@127.0.0.1:1/x"]
    done = anew(trial, "check", *settings, "anew.observers.mongo.timeout_s=0.5", code=2)
    assert "127.0.0.1:1" in done.stdout
    assert "secret99" not in done.stdout + done.stderr
    trial.run("anew/observers=[files,sql]")
    assert "sql" in anew(trial, "check").stdout


# --- secrets ----------------------------------------------------------------------------------------------------


def test_a_password_is_nowhere_and_sync_asks_for_it(trial: Project) -> None:
    (trial.folder / "down").touch()
    url = "anew.observers.mine.url=mongodb://ada:tops3cret@db/x"
    trial.write(LOOP.replace("    for step", "    print(open('/proc/self/cmdline').read().count('x'))\n    for step"))
    with trial.start(TARGET, url, "anew.observers.mine.trouble=.", "n=100", "pause=0.01") as process:
        until(lambda: list((trial.folder / "runs/1/observers").glob("*.lock")))
        others = [
            Path("/proc", name, "cmdline").read_bytes()
            for name in os.listdir("/proc")
            if name.isdigit() and int(name) != process.pid and Path("/proc", name, "cmdline").exists()
        ]
        _, err = process.communicate(timeout=60)
    assert not any(b"tops3cret" in each for each in others)
    assert "tops3cret" not in err
    files = [path for path in (trial.folder / "runs").rglob("*") if path.is_file()]
    assert not [path for path in files if b"tops3cret" in path.read_bytes()]
    (trial.folder / "down").unlink()
    assert "anew sync anew.observers.mine.url=" in anew(trial, "sync", code=1).stdout
    anew(trial, "sync", url)
    assert points(seen(trial)) == expected(100)


def test_what_is_written_as_a_variable_is_read_again_by_sync(trial: Project) -> None:
    (trial.folder / "down").touch()
    args = [TARGET, "anew.observers.mine.trouble=.", "anew.observers.mine.path=${oc.env:WHERE}"]
    trial.run(*args, env={"WHERE": "first.jsonl"})
    record = trial.record()
    assert record.overrides == ()
    assert args[2] in record.provenance.settings
    (trial.folder / "down").unlink()
    anew(trial, "sync", WHERE="second.jsonl")
    assert points(seen(trial, "second.jsonl")) == expected(100)


# --- without a folder -------------------------------------------------------------------------------------------


@pytest.fixture
def spool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return spool_folder()


def test_a_run_that_no_folder_keeps_is_gone_once_it_is_delivered(trial: Project, spool: Path) -> None:
    done = trial.run(TARGET, "anew.observers.files=null")
    assert points(seen(trial)) == expected(100)
    assert "kept by mine" in done.stderr
    assert not (trial.folder / "runs").exists()
    assert FolderStore.open(spool).numbers() == []


def test_a_run_that_no_folder_keeps_waits_until_it_is_delivered(trial: Project, spool: Path) -> None:
    (trial.folder / "down").touch()
    trial.run(TARGET, "anew.observers.files=null", "anew.observers.mine.trouble=.")
    assert FolderStore.open(spool).numbers() == [1]
    (trial.folder / "down").unlink()
    anew(trial, "sync")
    assert points(seen(trial)) == expected(100)
    assert FolderStore.open(spool).numbers() == []


def test_from_python_the_record_is_given_though_no_folder_keeps_it(trial: Project, spool: Path) -> None:
    trial.write(
        LOOP + "\ndef loop():\n    record = main.run('anew.observers.files=null', 'anew.observers.mine._target_="
        "mine.Lines')\n    print(record.result, record.status.value)\n"
    )
    path = trial.folder / "train.py"
    path.write_text(path.read_text().replace("    main()\n", "    loop()\n"))
    assert "100 COMPLETED" in trial.run().stdout


# --- whole runs -------------------------------------------------------------------------------------------------


def test_whole_runs_go_from_folder_to_folder_once_and_later_tags_follow(trial: Project) -> None:
    trial.write(LOOP.replace("    return n", "    run.log_artifact('mine.py')\n    return n"))
    trial.run("n=3")
    trial.run("n=4")
    assert "2 runs copied" in anew(trial, "sync", "runs/", "there/").stdout
    there = FolderStore.open(trial.folder / "there")
    for number in (1, 2):
        assert there.get(number) == trial.record(number)
        assert list(there.metrics(number, "loss").exact) == list(trial.store.metrics(number, "loss").exact)
        for artifact in there.get(number).artifacts:
            with there.open_object(artifact.sha256) as file:
                assert file.read() == MINE.encode()
    anew(trial, "tag", "1", "good")
    anew(trial, "sync", "runs/", "there/")
    assert there.get(1).tags == ("good",)
    assert "0 runs copied" in anew(trial, "sync", "runs/", "there/").stdout
    assert "All is well" in anew(trial, "check", "--store", "there", "--deep").stdout


def test_a_number_that_is_taken_there_gives_way_to_the_next(trial: Project) -> None:
    trial.run("n=1")
    trial.run("n=2", "--store", "there")
    anew(trial, "sync", "runs/", "there/")
    there = FolderStore.open(trial.folder / "there")
    assert [there.get(number).config["n"] for number in (1, 2)] == [2, 1]
