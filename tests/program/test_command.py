"""`anew run -- COMMAND`: any command is a run, with parameters in its words and its environment."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from anew.runner.errors import ConfigError
from anew.runner.program.template import template_of
from anew.runner.records import Status
from tests.helpers.scripts import ANEW, Project, anew
from tests.helpers.waiting import until

FIT = """\
#!/bin/sh
echo "word=$1 variable=$ANEW_PARAM_RATE"
echo left > "$ANEW_RUN_DIR/left.txt"
"""


@pytest.fixture
def trial(project: Path) -> Project:
    return Project(project)


def _put(trial: Project, text: str, name: str = "fit.sh") -> Path:
    path = trial.folder / name
    path.write_text(text)
    path.chmod(0o755)
    return path


def _started(trial: Project, *words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*ANEW, "run", "--", *words],
        cwd=trial.folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )


def _first_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


# --- what is typed ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "words", "command", "overrides"),
    [
        ([], ["./fit", "{rate}", "rate=0.1"], ["./fit", "R"], ["rate=0.1"]),
        (["rate=1"], ["./fit", "--r={rate}"], ["./fit", "--r=R"], ["rate=1"]),
        (["rate=1"], ["./fit", "x=2"], ["./fit", "x=2"], ["rate=1"]),
        ([], ["make", "RATE={rate}", "rate=1"], ["make", "RATE=R"], ["rate=1"]),
        ([], ["make", "rate={rate}", "rate=1"], ["make", "rate=R"], ["rate=1"]),
        ([], ["make", "CC=gcc"], ["make", "CC=gcc"], []),
        ([], ["sh", "-c", "echo ${HOME} $1 {}"], ["sh", "-c", "echo ${HOME} $1 {}"], []),
        ([], ["echo", "{{rate}}", '{"a": 1}'], ["echo", "{rate}", '{"a": 1}'], []),
        (["rate=1", "-m"], ["./fit", "{x}", "x=1,2"], ["./fit", "X"], ["-m", "rate=1", "x=1,2"]),
        (["-m"], ["./fit", "{rate}", "rate=1,2", "anew.sweep.workers=2"], ["./fit", "R"],
         ["-m", "rate=1,2", "anew.sweep.workers=2"]),
    ],
)  # fmt: skip
def test_what_is_the_commands_and_what_is_ours(
    before: list[str], words: list[str], command: list[str], overrides: list[str]
) -> None:
    template = template_of(before, words)
    assert template.filled({"rate": "R", "x": "X"}) == command
    assert list(template.overrides) == overrides


@pytest.mark.parametrize(
    ("value", "word"), [(0.001, "0.001"), (True, "true"), (None, "null"), ([1, 2], "[1, 2]"), ("a b", "a b"), (3, "3")]
)
def test_a_value_is_one_word(value: object, word: str) -> None:
    assert template_of([], ["fit", "{x}", "x=1"]).filled({"x": value}) == ["fit", word]


def test_parameters_that_share_a_variable_are_refused() -> None:
    with pytest.raises(ConfigError, match="ANEW_PARAM_A_B"):
        template_of(["a.b=1", "a_b=2"], ["fit"])


# --- as a run -------------------------------------------------------------------------------------------------------


def test_a_command_is_a_run(trial: Project) -> None:
    _put(trial, FIT)
    done = anew(trial, "run", "--", "./fit.sh", "{rate}", "rate=0.5")
    assert done.stdout == "word=0.5 variable=0.5\n"
    record = trial.record()
    assert (record.experiment, record.status, record.config) == ("fit", Status.COMPLETED, {"rate": 0.5})
    assert record.command is not None
    assert record.command.entry == "command"
    assert record.command.argv == ("--", "./fit.sh", "{rate}", "rate=0.5")
    assert record.source is not None
    assert "fit.sh" in {file.path for file in record.source.files}
    assert anew(trial, "logs", "1").stdout == "word=0.5 variable=0.5\n"
    assert (trial.folder / "runs/1/files/left.txt").read_text() == "left\n"


def test_a_parameter_with_a_dot_is_nested(trial: Project) -> None:
    _put(trial, FIT)
    words = ("run", "--", "sh", "-c", 'echo "$0 $ANEW_PARAM_OPT_LR"', "{opt.lr}")
    done = anew(trial, *words, "opt.lr=0.5")
    assert done.stdout == "0.5 0.5\n"
    assert trial.record().config == {"opt": {"lr": 0.5}}
    anew(trial, "run", "-m", "-q", *words[1:], "opt.lr=0.1,0.2")
    assert [trial.record(number).config for number in (2, 3)] == [{"opt": {"lr": 0.1}}, {"opt": {"lr": 0.2}}]


def test_it_is_run_anew_as_it_was(trial: Project) -> None:
    script = _put(trial, FIT)
    anew(trial, "run", "rate=0.5", "--", str(script), "{rate}")
    _put(trial, "#!/bin/sh\nexit 3\n")
    assert "word=0.5 variable=0.5" in anew(trial, "rerun", "1").stdout
    assert "word=0.25 variable=0.25" in anew(trial, "rerun", "1", "rate=0.25").stdout
    assert trial.record(2).config == {"rate": 0.5}
    assert trial.record(2).status is Status.COMPLETED


@pytest.mark.parametrize("workers", [(), ("anew.sweep.workers=2",)])
def test_it_is_swept_as_any_main(trial: Project, workers: tuple[str, ...]) -> None:
    _put(trial, FIT)
    anew(trial, "run", "-m", *workers, "--", "./fit.sh", "{rate}", "rate=0.1,0.2")
    printed = sorted((trial.folder / f"runs/{each.id}/output.log").read_text() for each in trial.store.find())
    assert printed == ["word=0.1 variable=0.1\n", "word=0.2 variable=0.2\n"]
    assert {record.status for record in trial.store.find()} == {Status.COMPLETED}


def test_a_sweep_whose_job_fails_says_so(trial: Project) -> None:
    anew(trial, "run", "-m", "--", "sh", "-c", "exit {code}", "code=0,3", code=1)
    assert sorted(record.exit_code or 0 for record in trial.store.find()) == [0, 3]


@pytest.mark.parametrize(("script", "code"), [("exit 0", 0), ("exit 7", 7), ("kill -KILL $$", 137)])
def test_its_status_is_the_runs(trial: Project, script: str, code: int) -> None:
    anew(trial, "run", "--", "sh", "-c", script, code=code)
    record = trial.record()
    assert record.exit_code == code
    assert record.status is (Status.FAILED if code else Status.COMPLETED)


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
def test_a_makefile_is_run(trial: Project) -> None:
    (trial.folder / "Makefile").write_text("fit:\n\t@echo rate is $(RATE) of $(ANEW_PARAM_RATE)\n")
    anew(trial, "run", "--", "make", "-s", "fit", "RATE={rate}", "rate=3")
    (trial.folder / "Makefile").write_text("fit:\n\t@exit 1\n")
    assert "rate is 3 of 3" in anew(trial, "rerun", "1").stdout


@pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")
def test_a_program_of_node_is_run(trial: Project) -> None:
    (trial.folder / "fit.js").write_text("console.log(process.argv.slice(2), process.env.ANEW_PARAM_RATE)\n")
    done = anew(trial, "run", "--", "node", "fit.js", "--rate", "{rate}", "rate=0.1")
    assert done.stdout == "[ '--rate', '0.1' ] 0.1\n"
    assert trial.record().experiment == "fit"


def test_standard_input_is_its_own(trial: Project) -> None:
    done = subprocess.run(
        [*ANEW, "run", "--", "tr", "a", "b"], cwd=trial.folder, input="aaa", capture_output=True, text=True, check=True
    )
    assert done.stdout == "bbb"


# --- its end --------------------------------------------------------------------------------------------------------

TRAP = "trap 'echo told; exit 0' INT TERM HUP; sleep 60 & echo $!; wait"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_reaches_it_and_all_below_it_ends(trial: Project, number: signal.Signals) -> None:
    with _started(trial, "bash", "-c", TRAP) as process:
        below = psutil.Process(int(_first_line(process)))
        process.send_signal(number)
        assert process.wait(60) == 128 + number
        assert _first_line(process) == "told"
    psutil.wait_procs([below], timeout=30)
    assert not below.is_running()
    record = trial.record()
    assert record.exit_code == 128 + number
    assert record.status is (Status.FAILED if number == signal.SIGHUP else Status.INTERRUPTED)
    assert number != signal.SIGHUP or (record.error is not None and record.error.type == "SystemExit")


def test_a_signal_that_comes_while_it_is_started_ends_it_too(tmp_path: Path) -> None:
    script = """
import os, signal, subprocess, sys, time
from anew.runner.program.process import run_process
class Popen(subprocess.Popen):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        print(self.pid, flush=True)
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(1)
subprocess.Popen = Popen
signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(143))
run_process(["sleep", "600"], os.environ)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=tmp_path, timeout=60)
    assert done.returncode == 143, done.stderr
    assert not psutil.pid_exists(int(done.stdout))


def test_one_that_does_not_listen_is_killed_by_a_second_interrupt(trial: Project) -> None:
    with _started(trial, "bash", "-c", "trap 'echo no' INT; echo $$; while :; do sleep 0.05; done") as process:
        below = psutil.Process(int(_first_line(process)))
        process.send_signal(signal.SIGINT)
        assert _first_line(process) == "no"
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
    assert not below.is_running()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux tells a child")
def test_it_is_ended_with_a_run_that_is_killed(trial: Project) -> None:
    with _started(trial, "bash", "-c", "echo $$; exec sleep 60") as process:
        below = psutil.Process(int(_first_line(process)))
        process.kill()
        process.wait()
        psutil.wait_procs([below], timeout=30)
        assert not below.is_running()
    until(lambda: trial.record().status is Status.LOST)


# --- mistakes -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--", "no-such-command"), "no command 'no-such-command' on PATH"),
        (("--", "./none.sh"), "There is no file './none.sh'"),
        (("--", "./plain.sh"), "chmod +x ./plain.sh"),
        (("--", "plain.sh"), "./plain.sh"),
        (("--", "./sub"), "is a folder"),
        (("--", "echo", "{rate}"), "{rate} has no value"),
        (("--", "echo", "{rate}", "rte=0.1"), "Did you mean rte?"),
        (("--", "echo", "{rate}", "rate=0.1", "more"), "as the last of all words"),
        (("--", "echo", "{lambda}", "lambda=1"), "a word of Python's"),
        (("--", "echo", "{rate}", "rate=0.1,0.2"), "rate"),
        (("--",), "needs a command"),
        (("--fast", "--", "echo"), "--fast"),
    ],
)
def test_a_mistake_gets_one_message_and_no_run(trial: Project, words: tuple[str, ...], said: str) -> None:
    (trial.folder / "plain.sh").write_text("echo\n")
    (trial.folder / "sub").mkdir()
    done = anew(trial, "run", *words, code=2)
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert not trial.has_runs


def test_what_cannot_be_executed_is_said(trial: Project) -> None:
    _put(trial, "echo hi\n")
    done = anew(trial, "run", "--", "./fit.sh", code=126)
    assert "To run it: sh ./fit.sh" in done.stderr
    assert "Traceback" not in done.stderr


def test_its_parameters_are_listed_and_nothing_runs(trial: Project) -> None:
    done = anew(trial, "run", "--params", "--json", "--", "sh", "-c", "touch canary {rate}")
    assert '"rate"' in done.stdout
    assert not os.path.exists(trial.folder / "canary")
    assert not trial.has_runs
