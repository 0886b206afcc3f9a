"""`anew run PROGRAM.py`: an unmodified program is recorded, swept and run again, and notices nothing of it."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from anew.runner.records import RunRecord, Status
from tests.helpers.places import APPS
from tests.helpers.scripts import ANEW, Project, anew
from tests.helpers.waiting import until

TRAIN = """\
import argparse
import json
import random

SCALE = 2.0
SIZES = [1, 2]
parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float, default=0.1)
parser.add_argument("--model", choices=["mlp", "cnn"], default="mlp")
parser.add_argument("--verbose", action="store_true")
if __name__ == "__main__":
    args = parser.parse_args()
    print(json.dumps({**vars(args), "SCALE": SCALE, "SIZES": SIZES, "drawn": random.random()}))
"""


@pytest.fixture
def trial(project: Path) -> Project:
    return Project(project)


def _put(trial: Project, text: str, name: str = "train.py") -> Path:
    path = trial.folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def _printed(done: subprocess.CompletedProcess[str]) -> Any:
    return json.loads(done.stdout.splitlines()[-1])


def _last(trial: Project) -> RunRecord:
    return trial.record()


def test_an_unmodified_program_is_a_run(trial: Project) -> None:
    _put(trial, TRAIN)
    done = anew(trial, "run", "train.py", "lr=0.5", "SCALE=3", "SIZES=[4]", "verbose=true")
    assert {**_printed(done), "drawn": 0} == {
        "lr": 0.5, "model": "mlp", "verbose": True, "SCALE": 3.0, "SIZES": [4], "drawn": 0,
    }  # fmt: skip
    record = _last(trial)
    assert record.experiment == "train"
    assert record.status is Status.COMPLETED
    assert record.config == {"lr": 0.5, "model": "mlp", "verbose": True, "SCALE": 3.0, "SIZES": [4]}
    assert record.command is not None
    assert record.command.entry == "program"
    assert record.command.target == str(trial.folder / "train.py")
    assert record.command.argv == ("train.py", "lr=0.5", "SCALE=3", "SIZES=[4]", "verbose=true")
    assert record.source is not None
    assert "train.py" in {file.path for file in record.source.files}


def test_it_is_run_anew_as_it_was(trial: Project) -> None:
    program = _put(trial, TRAIN)
    first = _printed(anew(trial, "run", "train.py", "lr=0.5", "SCALE=3"))
    program.write_text("raise SystemExit('of today')\n")
    done = anew(trial, "rerun", "1")
    assert json.loads(done.stdout.splitlines()[0]) == first
    assert "identical" in done.stdout
    assert trial.record(2).config == trial.record(1).config
    changed = anew(trial, "rerun", "1", "lr=0.25")
    assert json.loads(next(line for line in changed.stdout.splitlines() if line.startswith("{")))["lr"] == 0.25


@pytest.mark.parametrize("workers", [(), ("anew.sweep.workers=2",)])
def test_it_is_swept_as_any_main(trial: Project, workers: tuple[str, ...]) -> None:
    _put(trial, TRAIN)
    anew(trial, "run", "train.py", "-m", "lr=0.1,0.2", "SCALE=3,4", *workers)
    found = sorted((record.config["lr"], record.config["SCALE"]) for record in trial.store.find())
    assert found == [(0.1, 3.0), (0.1, 4.0), (0.2, 3.0), (0.2, 4.0)]
    assert {record.status for record in trial.store.find()} == {Status.COMPLETED}
    assert "4 COMPLETED" in anew(trial, "sweep", "show", "1").stdout


def test_a_module_of_a_package_is_run_as_python_does(trial: Project) -> None:
    _put(trial, "", "pkg/__init__.py")
    _put(trial, "RATE = 3\n", "pkg/rates.py")
    _put(trial, "from .rates import RATE\nTIMES = 2\nprint(__package__, __spec__.name, RATE * TIMES)\n", "pkg/train.py")
    done = anew(trial, "run", "-m", "pkg.train", "TIMES=5")
    assert done.stdout.splitlines()[-1] == "pkg pkg.train 15"
    assert "identical" in anew(trial, "rerun", "1").stdout


def test_it_runs_as_the_interpreter_runs_it(trial: Project) -> None:
    _put(trial, "X = 1\n", "sub/beside.py")
    _put(
        trial,
        "import os, pickle, sys\n"
        "import beside\n"
        "from dataclasses import dataclass\n"
        "@dataclass\n"
        "class Point:\n"
        "    x: int = 1\n"
        "print(__name__, __file__, sys.argv, os.getcwd(), sys.path[0], __spec__, beside.X)\n"
        "print(pickle.loads(pickle.dumps(Point(3))), sys.modules['__main__'].Point is Point)\n",
        "sub/train.py",
    )
    lines = anew(trial, "run", "sub/train.py").stdout.splitlines()
    path = trial.folder / "sub/train.py"
    assert lines[0] == f"__main__ {path} ['{path}'] {trial.folder} {path.parent} None 1"
    assert lines[1] == "Point(x=3) True"


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_its_own_processes_find_what_is_changed(trial: Project, method: str) -> None:
    _put(trial, "", "pkg/__init__.py")
    _put(trial, "X = 1\n", "pkg/beside.py")
    _put(
        trial,
        "import multiprocessing, os\n"
        "from .beside import X\n"
        "POWER = 2\n"
        "class Odd(Exception):\n"
        "    pass\n"
        "def inner(x):\n"
        "    return x**POWER, os.path.basename(__file__), __name__, Odd\n"
        "def work(x):\n"
        f"    with multiprocessing.get_context({method!r}).Pool(1) as pool:\n"
        "        return inner(x), pool.apply(inner, (x,))\n"
        "if __name__ == '__main__':\n"
        "    from concurrent.futures import ProcessPoolExecutor\n"
        f"    with ProcessPoolExecutor(1, multiprocessing.get_context({method!r})) as pool:\n"
        "        print(pool.submit(work, 2).result())\n",
        "pkg/train.py",
    )
    said = anew(trial, "run", "-m", "pkg.train", "POWER=3").stdout.splitlines()[-1]
    one = "(8, 'train.py', '__mp_main__', <class '__main__.Odd'>)"
    assert said == f"({one}, {one})"


@pytest.mark.parametrize("method", ["spawn", "fork", "forkserver"])
def test_its_own_processes_find_what_is_in_it(trial: Project, method: str) -> None:
    _put(
        trial,
        "import multiprocessing\n"
        "POWER = 2\n"
        "def work(x):\n"
        "    return x**2\n"
        "if __name__ == '__main__':\n"
        f"    with multiprocessing.get_context({method!r}).Pool(2) as pool:\n"
        "        print(sum(pool.map(work, range(4))) * POWER)\n",
    )
    assert anew(trial, "run", "train.py", "POWER=3").stdout.splitlines()[-1] == "42"


@pytest.mark.parametrize(
    ("end", "code", "status"),
    [
        ("raise SystemExit", 0, Status.COMPLETED),
        ("raise SystemExit(3)", 3, Status.FAILED),
        ("raise ValueError('odd')", 1, Status.FAILED),
        ("import os; os._exit(5)", 5, Status.FAILED),
    ],
)
def test_it_leaves_as_it_would(trial: Project, end: str, code: int, status: Status) -> None:
    _put(trial, f"print('began')\n\n{end}\n")
    done = anew(trial, "run", "train.py", code=code)
    assert done.stdout == "began\n"
    until(lambda: _last(trial).status is not Status.RUNNING)
    if "_exit" not in end:
        assert _last(trial).status is status


def test_what_it_raises_is_shown_from_its_own_line_on(trial: Project) -> None:
    _put(trial, "LR = 0.1\n\n\ndef fit():\n    raise ValueError(LR)\n\n\nfit()\n")
    done = anew(trial, "run", "train.py", "LR=7", code=1)
    assert 'train.py", line 5, in fit' in done.stderr
    assert "runner/program" not in done.stderr
    assert "ValueError: 7" in done.stderr
    error = _last(trial).error
    assert error is not None
    assert "runner/program" not in str(error.traceback)


def test_signals_are_its_own(trial: Project) -> None:
    _put(trial, "import time\nprint('up', flush=True)\ntime.sleep(60)\n")
    with subprocess.Popen(
        [*ANEW, "run", "train.py"], cwd=trial.folder, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 128 + signal.SIGTERM
    assert _last(trial).status is Status.INTERRUPTED


def test_words_after_two_dashes_are_given_as_they_are(trial: Project) -> None:
    _put(trial, "import sys\nprint(sys.argv[1:])\n")
    done = anew(trial, "run", "train.py", "--", "--lr", "0.1", "a=b", "--")
    assert done.stdout.splitlines()[-1] == "['--lr', '0.1', 'a=b', '--']"
    assert _last(trial).config == {"argv": ["--lr", "0.1", "a=b", "--"]}
    assert "identical" in anew(trial, "rerun", "1").stdout


def test_what_it_takes_is_listed_and_nothing_runs(trial: Project) -> None:
    _put(trial, f"{TRAIN}open('canary', 'w')\n")
    listed = json.loads(anew(trial, "run", "train.py", "--params", "--json").stdout)
    assert listed[0] == {"name": "lr", "type": "float", "default": 0.1, "choices": None, "where": "train.py:8"}
    assert [each["name"] for each in listed] == ["lr", "model", "verbose", "SCALE", "SIZES"]
    assert "train.py:9" in anew(trial, "run", "--params", "train.py").stdout
    assert not (trial.folder / "canary").exists()
    assert not trial.has_runs


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("train.py", "lrr=0.1"), "Did you mean lr?"),
        (("train.py", "lr=fast"), "lr"),
        (("train.py", "model=big"), "one of: mlp, cnn"),
        (("trian.py",), "Did you mean 'train.py'?"),
        (("broken.py",), "SyntaxError"),
        (("data.bin",), "no file of Python"),
        (("odd.py",), "unknown encoding: nonsense"),
        (("pipe",), "is a pipe"),
        (("sub",), "is a folder"),
        (("-m", "no.such"), "There is no module 'no.such'"),
        ((), "anew run train.py lr=0.1"),
        (("by_hand.py", "lr=0.1"), "anew run by_hand.py -- lr=0.1"),
        (("--fast", "train.py"), "--fast"),
    ],
)
def test_a_mistake_gets_one_message_and_no_run(trial: Project, words: tuple[str, ...], said: str) -> None:
    _put(trial, TRAIN)
    _put(trial, "x = (\n", "broken.py")
    _put(trial, "from sys import argv\nprint(argv[1:])\n", "by_hand.py")
    (trial.folder / "data.bin").write_bytes(b"\xff\xfe\x00")
    _put(trial, "# -*- coding: nonsense -*-\n", "odd.py")
    os.mkfifo(trial.folder / "pipe")
    (trial.folder / "sub").mkdir()
    done = anew(trial, "run", *words, code=2)
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert not trial.has_runs


def test_its_text_may_be_of_any_encoding_that_it_names(trial: Project) -> None:
    (trial.folder / "latin.py").write_bytes(b"# -*- coding: latin-1 -*-\nNAME = 1\nprint(ascii('\xe9'), NAME)\n")
    (trial.folder / "marked.py").write_bytes(b"\xef\xbb\xbfNAME = 1\r\nprint('a', NAME)\r\n")
    assert anew(trial, "run", "latin.py", "NAME=2").stdout == "'\\xe9' 2\n"
    assert anew(trial, "run", "marked.py", "NAME=2").stdout == "a 2\n"


def test_a_run_of_it_can_be_looked_up_from_inside(trial: Project) -> None:
    _put(trial, "import anew\nanew.current_run().log({'loss': 0.5}, step=1)\n")
    anew(trial, "run", "train.py")
    assert _last(trial).metrics["loss"].last == 0.5


def test_the_experiment_has_the_name_that_is_given(trial: Project) -> None:
    _put(trial, "X = 1\n")
    anew(trial, "run", "--name", "fit", "train.py")
    assert _last(trial).experiment == "fit"
    anew(trial, "rerun", "1")
    assert _last(trial).experiment == "fit"


def test_the_store_that_is_named_is_where_it_goes(trial: Project) -> None:
    _put(trial, "X = 1\n")
    anew(trial, "--store", "elsewhere", "run", "train.py")
    anew(trial, "run", "--store", "elsewhere", "train.py")
    anew(trial, "run", "train.py", "--store", "elsewhere")
    assert {"1", "2", "3"} <= set(os.listdir(trial.folder / "elsewhere"))


def test_its_logging_is_its_own(trial: Project) -> None:
    _put(
        trial,
        "import logging\nlogging.basicConfig(format='%(levelname)s %(message)s')\n"
        "logging.info('no')\nlogging.error('x')\n",
    )
    done = anew(trial, "run", "train.py")
    assert done.stdout == ""
    assert "ERROR x\n" in done.stderr


def test_what_its_parser_made_of_it_is_on_record(trial: Project) -> None:
    _put(
        trial,
        "import argparse, os\n"
        "parser = argparse.ArgumentParser()\n"
        "names = ['alpha']\n"
        "for name in names:\n"
        "    parser.add_argument(f'--{name}', type=float, default=1.0)\n"
        "parser.add_argument('--out', default=os.getcwd())\n"
        "parser.add_argument('--api-key', default='hunter2' * 2)\n"
        "args = parser.parse_args()\n"
        "assert 'runner' not in argparse.ArgumentParser.parse_known_args.__module__\n",
    )
    anew(trial, "run", "train.py", "--", "--alpha", "3")
    parsed = _last(trial).info["parsed"]
    assert "redacted" in parsed["api_key"]
    assert (parsed["alpha"], parsed["out"]) == (3.0, str(trial.folder))
    assert "identical" in anew(trial, "rerun", "1").stdout


def test_a_main_of_hydras_is_given_its_words(trial: Project) -> None:
    (trial.folder / "conf").mkdir()
    (trial.folder / "conf" / "config.yaml").write_text("lr: 0.1\nmodel:\n  depth: 2\n")
    _put(
        trial,
        "import hydra, mended\n"
        "@hydra.main(version_base=None, config_path='conf', config_name='config')\n"
        "def main(cfg):\n"
        "    print(cfg.lr * cfg.model.depth)\n"
        "if __name__ == '__main__':\n"
        "    main()\n",
    )
    done = anew(trial, "run", "train.py", "lr=0.5", "model.depth=4", "-q", PYTHONPATH=str(APPS))
    assert done.stdout == "2.0\n"
    record = _last(trial)
    assert record.config == {"argv": ["lr=0.5", "model.depth=4"]}
    assert record.info["parsed"] == {"lr": 0.5, "model": {"depth": 4}}
    assert "identical" in anew(trial, "rerun", "1").stdout


def test_a_main_of_ours_is_run_as_it_is(trial: Project) -> None:
    trial.write("@experiment.main\ndef main(run: Run, lr: float = 0.1):\n    return lr\n")
    anew(trial, "run", "train.py", "lr=0.5")
    record = _last(trial)
    assert (record.experiment, record.result, record.config) == ("trial", 0.5, {"lr": 0.5})
    assert record.command is not None
    assert record.command.argv == ("train.py", "lr=0.5")
    assert record.command.entry == "script"
    assert "leave out --name" in anew(trial, "run", "--name", "x", "train.py", code=2).stderr


@pytest.mark.parametrize("words", [("--lr", "0.3"), ("--lr=0.3", "--verbose")])
def test_options_after_two_dashes_are_the_configurations_values(trial: Project, words: tuple[str, ...]) -> None:
    _put(trial, TRAIN)
    assert _printed(anew(trial, "run", "train.py", "--", *words))["lr"] == 0.3
    is_loud = "--verbose" in words
    assert _last(trial).config == {"lr": 0.3, "model": "mlp", "verbose": is_loud, "SCALE": 2.0, "SIZES": [1, 2]}
    assert trial.store.find("lr == 0.01 or lr == 0.1") == []
    assert "identical" in anew(trial, "rerun", "1").stdout
    anew(trial, "rerun", "1", "lr=0.25")
    assert (_last(trial).config["lr"], _last(trial).info["parsed"]["lr"]) == (0.25, 0.25)


def test_of_other_words_no_default_is_said_to_be_a_value(trial: Project) -> None:
    _put(trial, f"{TRAIN}".replace('"--lr", type', '"-l", "--lr", type'))
    assert _printed(anew(trial, "run", "train.py", "model=cnn", "--", "-l", "0.3"))["lr"] == 0.3
    assert _last(trial).config == {"model": "cnn", "SCALE": 2.0, "SIZES": [1, 2], "argv": ["-l", "0.3"]}
    assert "identical" in anew(trial, "rerun", "1").stdout
    anew(trial, "run", "train.py", "-m", "model=mlp,cnn", "--", "-l", "0.3")
    jobs = [record for record in trial.store.find() if record.sweep is not None]
    assert sorted(record.config["model"] for record in jobs) == ["cnn", "mlp"]
    assert [record.info["parsed"]["lr"] for record in jobs] == [0.3, 0.3]
    assert not any("lr" in record.config for record in jobs)


def test_what_must_be_given_may_be_among_the_words(trial: Project) -> None:
    text = (
        "import argparse\np = argparse.ArgumentParser()\np.add_argument('data')\np.add_argument('--lr', type=float)\n"
    )
    _put(trial, f"{text}print(p.parse_args())\n")
    done = anew(trial, "run", "train.py", "--", "x.csv", "--lr", "0.3")
    assert done.stdout.splitlines()[-1] == "Namespace(data='x.csv', lr=0.3)"
    assert _last(trial).config == {"argv": ["x.csv", "--lr", "0.3"]}
    assert "lr is given twice" in anew(trial, "run", "train.py", "lr=0.1", "--", "--lr", "0.3", code=2).stderr


NEEDY = """\
import argparse
parser = argparse.ArgumentParser()
parser.add_argument("data", help="where it lies")
parser.add_argument("--lr", type=float, required=True, help="learning rate")
parser.add_argument("--fast", action="store_true")
print(parser.parse_args())
"""


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("bad.py",), "anew run bad.py data=VALUE lr=VALUE"),
        (("-m", "bad"), "anew run -m bad data=VALUE lr=VALUE"),
        (("bad.py", "--lr", "0.1"), "anew run bad.py lr=0.1. To give words as they are: anew run bad.py -- --lr 0.1"),
        (("bad.py", "--lr=0.1"), "anew run bad.py lr=0.1. To give words as they are: anew run bad.py -- --lr=0.1"),
        (("bad.py", "data=x", "--fast"), "anew run bad.py fast=true. "),
        (("bad.py", "data=x", "-l", "3"), "anew run bad.py data=x -- -l 3"),
    ],
)
def test_what_is_right_is_said_as_it_is_to_be_typed(trial: Project, words: tuple[str, ...], said: str) -> None:
    _put(trial, NEEDY, "bad.py")
    done = anew(trial, "run", *words, code=2)
    assert said in done.stderr
    assert "Hydra" not in done.stderr
    assert "usage" not in done.stderr
    assert not trial.has_runs


def test_its_help_is_of_its_parameters(trial: Project) -> None:
    _put(trial, NEEDY, "bad.py")
    for word in ("--help", "-h"):
        said = anew(trial, "run", "bad.py", word).stdout
        assert "anew run bad.py [NAME=VALUE]" in said
        assert next(each for each in said.splitlines() if each.startswith("lr")).split() == [
            "lr", "float", "(required)", "learning", "rate",
        ]  # fmt: skip
        assert "powered by" not in said
    assert "PROGRAM.py" in anew(trial, "run", "--help").stdout
    assert not trial.has_runs


def test_a_search_that_is_told_of_no_number_begins_nothing(trial: Project) -> None:
    _put(trial, "lr = 0.1\nprint('step: 1 loss:', lr)\n")
    search = ("-m", "lr=1,2", "hydra/sweeper=optuna", "hydra.sweeper.n_trials=2")
    for words in (("train.py", *search), (*search, "--", "echo", "{lr}")):
        said = anew(trial, "run", *words, code=2).stderr
        assert "hydra.sweeper.value=loss" in said
        assert "--metric" in said
        assert "anew log" in said
    assert not trial.has_runs
    anew(trial, "run", "--metric", r"loss=loss: (\S+)", "train.py", *search, "hydra.sweeper.value=loss")
    found = [(record.metrics["loss"].last, record.config["lr"]) for record in trial.store.find()]
    assert [loss for loss, _ in found] == [lr for _, lr in found]
    assert len(found) == 2


def test_the_command_that_is_shown_can_be_typed_again(trial: Project) -> None:
    _put(trial, "lr = 0.1\nname = 'a'\nprint(name)\n")
    anew(trial, "run", "train.py", "lr=0.5", "name='a b'")
    anew(trial, "run", "rate=0.1", "--", "echo", "a b", "{rate}")
    for number in (1, 2):
        shown = anew(trial, "show", str(number)).stdout
        line = next(each for each in shown.splitlines() if each.strip().startswith("command"))
        program, *words = shlex.split(line.split(maxsplit=1)[1])
        assert (program, words[0]) == ("anew", "run")
        anew(trial, *words)
        assert _last(trial).config == trial.record(number).config


def test_names_that_a_configuration_keeps_for_itself_are_given_as_words(trial: Project) -> None:
    _put(
        trial,
        "import argparse\n"
        "anew = 3\n"
        "p = argparse.ArgumentParser()\n"
        "for_all = dict(type=int, default=0)\n"
        "p.add_argument('--hydra', type=int, default=0)\n"
        "p.add_argument('--defaults', type=int, default=0)\n"
        "p.add_argument('--argv', type=int, default=0)\n"
        "p.add_argument('--class', type=int, default=0)\n"
        "p.add_argument('--config', type=int, default=0)\n"
        "p.add_argument('--run', type=int, default=0)\n"
        "print(sorted(vars(p.parse_args()).items()))\n",
    )
    assert "('config', 2)" in anew(trial, "run", "train.py", "config=2", "run=3").stdout
    assert _last(trial).config == {"config": 2, "run": 3}
    for name in ("hydra", "defaults", "argv", "class"):
        refused = anew(trial, "run", "train.py", f"{name}=5", code=2).stderr
        assert f"anew run train.py -- --{name}=5" in refused
        assert f"('{name}', 5)" in anew(trial, "run", "train.py", "--", f"--{name}=5").stdout
    assert "in the file itself" in anew(trial, "run", "train.py", "anew=5", code=2).stderr
    assert "class is given as a word" in anew(trial, "run", "train.py", "--params").stderr
