"""What a program without a main prints is what comes of it: a re-run that prints another text is no identical one."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from anew.runner.guard.terminal_text import Screen
from tests.helpers.scripts import Project, anew, checked


@pytest.fixture
def trial(project: Path) -> Project:
    return Project(project)


def _again(trial: Project, text: str, *words: str, code: int = 0) -> Any:
    (trial.folder / "train.py").write_text(text)
    anew(trial, "run", "train.py")
    done = anew(trial, "rerun", "1", "--json", *words, code=code)
    return json.loads(done.stdout)


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ("import time; print('at', time.time_ns())", "time"),
        ("import datetime; print('began', datetime.datetime.now())", "time"),
        ("import os; print('drawn', os.urandom(8).hex())", "unseeded"),
        ("import numpy as np; print('drawn', np.random.default_rng().random())", "unseeded"),
        ("import tempfile; print(tempfile.mkdtemp())", "temporary"),
        ("import os; os.system('date +%s%N')", "time"),
    ],
)
def test_another_text_is_a_difference_with_its_cause(trial: Project, line: str, kind: str) -> None:
    judged = _again(trial, f"print('same')\n{line}\nprint('end')\n", code=3)
    assert judged["verdict"] == "different"
    part = judged["first_difference"]
    assert part["what"] == "output"
    if "system" not in line:
        assert part["name"] == "line 2"
    assert kind in {each["kind"] for each in judged["reasons"]}
    assert anew(trial, "rerun", "1", "--ignore", "output").stdout.count("identical") == 1


@pytest.mark.parametrize(
    "text",
    [
        "import os\nprint(__file__, os.getcwd(), object())\n",
        "import sys, time\nprint('a')\nprint(time.time_ns(), file=sys.stderr)\nprint('b')\n",
        "import logging\nlogging.basicConfig(format='%(asctime)s %(process)d')\nlogging.warning('x')\nprint('b')\n",
        "import time\nnow = time.time_ns()\n"
        "for n in range(3):\n    print(f'\\r{n * 50}%|##| {n}/2 [00:00<00:00, {now}it/s]', end='')\n",
        "",
    ],
)
def test_places_errors_and_bars_make_no_difference(trial: Project, text: str) -> None:
    judged = _again(trial, text)
    assert (judged["verdict"], judged["remarks"]) == ("identical", [])


def test_numbers_may_be_as_far_apart_as_is_allowed(trial: Project) -> None:
    text = "import time\nprint('loss', 1 + time.time() % 1 * 1e-9)\n"
    assert _again(trial, text, "--rtol", "1e-6")["verdict"] == "close"
    assert anew(trial, "rerun", "1", "--rtol", "1e-16", code=3)


def test_further_lines_are_a_difference(trial: Project) -> None:
    text = "import pathlib\nseen = pathlib.Path.home() / 'seen'\nprint('a')\nif seen.exists():\n    print('b')\n"
    (trial.folder / "train.py").write_text(text)
    home = trial.folder / "home"
    home.mkdir()
    anew(trial, "run", "train.py", HOME=str(home))
    (home / "seen").touch()
    judged = json.loads(anew(trial, "rerun", "1", "--json", code=3, HOME=str(home)).stdout)
    first = judged["first_difference"]
    assert (first["name"], first["recorded"], first["now"]) == ("line 2", None, "b")


@pytest.mark.parametrize(
    ("setting", "said"), [("anew.output.limit_bytes=2000", "left out"), ("anew.output.mode=off", "captured")]
)
def test_what_is_not_on_record_is_said(trial: Project, setting: str, said: str) -> None:
    (trial.folder / "train.py").write_text("for n in range(2000):\n    print(n)\n")
    anew(trial, "run", "train.py", setting)
    done = anew(trial, "rerun", "1")
    assert "What it printed is not compared" in done.stdout
    assert said in done.stdout


def test_a_run_on_one_terminal_is_compared_too(trial: Project) -> None:
    text = "import sys\nfor n in range(3):\n    print(n)\n    print('said', n, file=sys.stderr)\n"
    (trial.folder / "train.py").write_text(text)
    command = anew_command("run", "train.py")
    subprocess.run(command, cwd=trial.folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=True)
    assert "identical" in anew(trial, "rerun", "1").stdout
    assert "identical" in anew(trial, "verify", "1").stdout


@pytest.mark.parametrize("is_recorded_as_one", [False, True])
@pytest.mark.parametrize(("was", "now"), [("", "two"), ("two", ""), ("two", "two")])
def test_fewer_errors_are_no_difference_where_one_run_was_on_one_terminal_and_more_are_doubted(
    trial: Project, is_recorded_as_one: bool, was: str, now: str
) -> None:
    """What Python warns of is another text in each version of it."""
    text = "import os, sys\nprint('one')\nif os.environ['MORE']:\n    print(os.environ['MORE'], file=sys.stderr)\n"
    (trial.folder / "train.py").write_text(text)
    _ran(trial, "run", "train.py", as_one=is_recorded_as_one, MORE=was)
    # more lines on the one terminal than the other run had on stdout and stderr: they may be stdout's
    is_unknown = (was if is_recorded_as_one else now) > (now if is_recorded_as_one else was)
    told = _ran(trial, "rerun", "1", as_one=not is_recorded_as_one, code=3 if is_unknown else 0, MORE=now)
    assert ("identical" in told) != is_unknown
    assert ("Where that came by stderr" in told) == is_unknown
    assert ("'two'" in told) == is_unknown
    assert "None -> None" not in told


def test_another_stdout_is_a_difference_where_one_run_was_on_one_terminal(trial: Project) -> None:
    text = "import os, sys\nprint(os.environ['MORE'])\nprint('two', file=sys.stderr)\n"
    (trial.folder / "train.py").write_text(text)
    _ran(trial, "run", "train.py", MORE="a")
    told = _ran(trial, "rerun", "1", as_one=True, code=3, MORE="b")
    assert "'a' -> None" in told
    assert "None -> None" not in told


def _ran(trial: Project, *words: str, as_one: bool = False, code: int = 0, **env: str) -> str:
    """Run `anew`, its stdout and stderr two pipes, or one; return what it said on them."""
    done = subprocess.run(
        anew_command(*words),
        cwd=trial.folder,
        env={**os.environ, **env},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT if as_one else subprocess.PIPE,
        text=True,
        check=False,
    )
    return checked(done, code).stdout


def anew_command(*words: str) -> list[str]:
    from tests.helpers.scripts import ANEW

    return [*ANEW, *words]


def test_lines_are_told_apart_by_their_stream() -> None:
    screen = Screen()
    out, err = screen.cursor(), screen.cursor(of_errors=True)
    out.feed("a\n" * 70)
    err.feed("x\r")
    out.feed("b\nc")
    err.feed("y\nz\n")
    out.feed("d\n" + "w" * 20_000)
    err.feed("v\n")
    out.feed("w\n")
    assert screen.turns() is not None
    before = screen.turns()
    screen.finish()
    text = screen.take()
    assert screen.turns() == before
    counts = before or ()
    assert sum(counts) == text.count("\n")
    assert sum(counts[1::2]) == sum(set(line) <= set("xyzv") for line in text.split("\n")[:-1])
