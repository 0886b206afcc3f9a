"""The workbench: what each command prints, its JSON, its exit codes, and what it says to a mistake."""

from __future__ import annotations

import csv
import importlib.metadata
import io
import json
import math
import os
import platform
import pty
import re
import shlex
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest

from anew.runner.cli import main
from anew.runner.cli.group import workbench
from anew.runner.errors import StoreFormatError
from anew.runner.records import Status
from anew.runner.store.folder import FolderStore
from tests.helpers.scripts import ANEW
from tests.helpers.stores import add_run, make_store
from tests.helpers.waiting import until

Anew = Callable[..., "Done"]


class Done:
    """What a command left: its exit code, stdout and stderr."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err

    @property
    def json(self) -> Any:
        return json.loads(self.out, parse_constant=pytest.fail)


@pytest.fixture
def store(project: Path) -> FolderStore:
    """Three runs: one good, one failed, one going on."""
    store = make_store(project / "runs")
    source = {"train.py": "lr = 0.1\nprint(lr)\n", "same.py": "x = 1\n"}
    add_run(
        store,
        config={"lr": 0.1, "model": {"name": "svm"}, "same": 5},
        metrics={"loss": [1.0, 0.5], "nan": [math.nan], "big": [2**70], "system/cpu_percent": [50.0]},
        result=0.93,
        output="hello\n\x1b[31mred\x1b[0m\n",
        source=source,
        artifacts={"model.bin": b"weights"},
        tags=["paper"],
        minutes_ago=60,
    )
    add_run(
        store,
        config={"lr": 0.2, "model": {"name": "mlp"}, "same": 5},
        metrics={"loss": [1.0, 0.25, 0.1]},
        status=Status.FAILED,
        source={**source, "train.py": "lr = 0.2\nprint(lr)\n"},
        packages={"numpy": "2.1", "torch": "2.13"},
        minutes_ago=30,
    )
    add_run(store, config={"lr": 0.3, "model": {"name": "mlp"}, "same": 5}, status=None, minutes_ago=1)
    return store


@pytest.fixture
def anew(capfd: pytest.CaptureFixture[str]) -> Anew:
    def run(*args: str) -> Done:
        capfd.readouterr()
        code = main(args)
        out, err = capfd.readouterr()
        return Done(code, out, err)

    return run


# --- reading ----------------------------------------------------------------------------------------------------


def test_list_shows_runs_newest_first_with_what_varies(store: FolderStore, anew: Anew) -> None:
    done = anew("list")
    assert (done.code, done.err) == (0, "")
    header, *rows = done.out.splitlines()
    assert header.split() == [
        "run",
        "started",
        "status",
        "took",
        "lr",
        "model.name",
        "result",
        "loss",
        "nan",
        "big",
        "tags",
    ]
    assert [row.split()[0] for row in rows] == ["3", "2", "1"]
    assert rows[2].split()[:6] == ["1", "1", "h", "ago", "COMPLETED", "12"]
    assert "same" not in header
    assert "\x1b" not in done.out


def test_list_filters_sorts_limits_and_takes_columns(store: FolderStore, anew: Anew) -> None:
    def listed(*args: str) -> list[str]:
        return [line.split()[0] for line in anew("list", *args).out.splitlines()[1:]]

    assert listed("loss < 0.3") == ["2"]
    assert listed("status", "==", "FAILED") == ["2"]
    assert listed("tag == paper or config.model.name == mlp") == ["3", "2", "1"]
    assert listed("--sort", "loss") == ["2", "1", "3"]
    assert listed("--sort=-config.lr", "--limit", "2") == ["3", "2", "The"]
    assert anew("list", "--columns", "loss,lr,host").out.splitlines()[0].split()[-3:] == ["loss", "lr", "host"]
    assert "No runs that match" in anew("list", "loss > 9").out


def test_people_get_the_newest_fifty_and_programs_all(project: Path, anew: Anew) -> None:
    store = make_store(project / "runs")
    for _ in range(53):
        add_run(store)
    done = anew("list")
    assert len(done.out.splitlines()) == 52
    assert "The newest 50. For more: --limit N or --all" in done.out
    assert len(anew("list", "--all").out.splitlines()) == 54
    assert len(anew("list", "--json").json) == 53
    assert [run["id"] for run in anew("list", "--json", "--limit", "2").json] == [53, 52]


def test_list_as_csv_has_all_runs_values_in_full_and_names_of_the_filter_language(
    store: FolderStore, anew: Anew
) -> None:
    done = anew("list", "--csv", "--sort", "config.lr")
    assert done.err == ""
    rows = list(csv.DictReader(io.StringIO(done.out)))
    assert [row["id"] for row in rows] == ["1", "2", "3"]
    assert {"started", "status", "config.lr", "config.model.name", "result", "loss", "tags"} <= set(rows[0])
    assert (rows[0]["result"], rows[0]["big"], rows[0]["tags"]) == ("0.93", str(2**70), '["paper"]')
    picked = anew("list", "--csv", "--columns", "loss,lr", "--limit", "1").out.splitlines()
    assert picked[0] == "id,started,experiment,status,duration,loss,lr"
    assert len(picked) == 2


def test_what_is_most_likely_mistyped_in_a_list_is_told_with_what_is_near(store: FolderStore, anew: Anew) -> None:
    def said(*args: str) -> str:
        done = anew("list", *args)
        assert done.code == 0
        return done.err

    assert "'loss' is a number in these runs, and 'abc' is not." in said("loss < abc")
    assert "'loss' is a number in these runs" in said("loss < abc or config.lr > 0")
    assert "'loss' is a number in these runs" in said("loss in [abc]")
    assert said("loss < 1e-9") == said("loss < nan") == said("loss == none") == ""
    assert "Did you mean 'mlp'?" in said("model.name == mpl")
    assert "there is: paper. Did you mean 'paper'?" in said("tag == papr")
    for way in ((), ("--json",), ("--csv",)):
        assert "None of these runs has 'los'. Did you mean 'loss'?" in said("--columns", "los,lr", *way)
        assert "None of these runs has 'los'. Did you mean 'loss'?" in said("los < 1", *way)
    assert said("not tag == broken") == said("dropout != 0.5") == ""


def test_no_run_is_shown_where_none_is_asked_for(store: FolderStore, anew: Anew) -> None:
    assert anew("list", "--limit", "0").out == "There are runs, none is shown. For more: --limit N or --all\n"
    assert "No runs that match" in anew("list", "loss > 9", "--limit", "0").out


def test_a_long_note_comes_last_and_pushes_no_column(store: FolderStore, anew: Anew) -> None:
    anew("note", "1", "long " * 100)
    header = anew("list").out.splitlines()[0]
    assert header.split()[-2:] == ["tags", "note"]


def test_show_tells_everything(store: FolderStore, anew: Anew) -> None:
    out = anew("show", "1").out
    for word in (
        "COMPLETED",
        "0.93",
        "model.name  svm",
        "paper",
        "model.bin",
        "1180591620717411303424",
        "numpy",
        "12 s",
    ):
        assert word in out or word == "numpy"
    assert "numpy" in anew("show", "1", "--full").out
    failed = anew("show", "2").out
    assert "ValueError: boom" in failed
    shown = anew("show", "1", "--json").json
    assert shown["metrics"]["nan"] == {"last": "NaN", "min": None, "max": None, "count": 1, "step": 0}
    assert shown["status"] == "COMPLETED"
    assert shown["source"]["files"][0]["path"] == "same.py"


@pytest.mark.parametrize("ref", ["1", "last~2"])
def test_a_run_is_named_in_many_ways(store: FolderStore, anew: Anew, ref: str) -> None:
    assert anew("show", ref, "--json").json["id"] == 1
    uid = store.get(1).uid
    assert anew("show", uid, "--json").json["id"] == 1


def test_diff_shows_each_section(store: FolderStore, anew: Anew) -> None:
    sections = anew("diff", "1", "2", "--json").json
    assert sections["config"] == {"lr": {"a": 0.1, "b": 0.2}, "model.name": {"a": "svm", "b": "mlp"}}
    assert sections["packages"] == {"numpy": {"a": "2.0", "b": "2.1"}, "torch": {"b": "2.13"}}
    assert "-lr = 0.1\n+lr = 0.2\n" in sections["source"]["train.py"]["diff"]
    assert list(sections["source"]) == ["train.py"]
    assert sections["metrics"]["loss"]["first_difference"] == {
        "index": 1,
        "a": {"step": 1, "value": 0.5},
        "b": {"step": 1, "value": 0.25},
    }
    assert sections["result"] == {"a": 0.93, "b": None}
    assert sections["hardware"] == {}
    assert all(section == {} for section in anew("diff", "1", "1", "--json").json.values())
    out = anew("diff", "1", "2").out
    assert "+lr = 0.2" in out
    assert "same in everything" in anew("diff", "1", "1").out


def test_logs_print_what_was_printed(store: FolderStore, anew: Anew) -> None:
    assert anew("logs", "1").out == "hello\n\x1b[31mred\x1b[0m\n"
    assert anew("logs", "2").out == ""


def test_logs_follow_until_the_run_ends(project: Path) -> None:
    script = project / "train.py"
    script.write_text(
        "import time\nfrom anew import Experiment\n"
        "@Experiment('x').main\ndef main(n: int = 3):\n"
        "    for i in range(n): print(i, flush=True); time.sleep(0.3)\nmain()\n"
    )
    run = subprocess.Popen([sys.executable, str(script)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    until((project / "runs/1/run.json").exists)
    follower = subprocess.run(
        [*ANEW, "logs", "1", "-f"],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert run.wait() == 0
    assert follower.stdout == "0\n1\n2\n"


def test_metrics_as_table_csv_and_json(store: FolderStore, anew: Anew) -> None:
    assert [line.split()[0] for line in anew("metrics", "1").out.splitlines()[1:]] == [
        "loss",
        "nan",
        "big",
        "system/cpu_percent",
    ]
    assert [line.split()[1:3] for line in anew("metrics", "1", "loss").out.splitlines()[1:]] == [
        ["0", "1.0"],
        ["1", "0.5"],
    ]
    rows = list(csv.DictReader(io.StringIO(anew("metrics", "1", "loss", "big", "--csv").out)))
    assert [(row["metric"], row["step"], row["value"]) for row in rows] == [
        ("loss", "0", "1.0"),
        ("loss", "1", "0.5"),
        ("big", "0", str(2**70)),
    ]
    shown = anew("metrics", "1", "--json").json
    assert shown["loss"]["values"] == [1.0, 0.5]
    assert shown["nan"]["values"] == ["NaN"]
    assert shown["big"]["values"] == [2**70]
    assert set(shown["loss"]) == {"steps", "values", "times"}


def test_plots(store: FolderStore, anew: Anew, tmp_path: Path) -> None:
    out = anew("plot", "1", "2", "loss").out
    assert out.splitlines()[0].strip() == "loss"
    assert "\x1b" not in out
    assert len(out.splitlines()) > 10
    assert "no point can be drawn" in anew("plot", "1", "nan").out
    assert anew("plot", "1", "2", "loss", "--log", "--png", str(tmp_path / "p.png")).code == 0
    assert (tmp_path / "p.png").read_bytes().startswith(b"\x89PNG")
    assert anew("plot", "1", "loss", "--png", str(tmp_path / "p.nonsense")).code == 2


# --- curating ---------------------------------------------------------------------------------------------------


def test_curating(store: FolderStore, anew: Anew, monkeypatch: pytest.MonkeyPatch) -> None:
    assert anew("tag", "1", "good", "best").out == "Run 1: paper good best\n"
    assert anew("tag", "1", "paper", "--remove").out == "Run 1: good best\n"
    assert anew("note", "1", "so it is").code == 0
    monkeypatch.setattr("sys.stdin", io.StringIO("from stdin\n"))
    anew("note", "2", "-")
    assert [run["note"] for run in anew("list", "--json").json] == [None, "from stdin", "so it is"]
    assert "anew restore 2" in anew("delete", "2").out
    assert [run["id"] for run in anew("list", "--json").json] == [3, 1]
    gone = anew("show", "2")
    assert gone.code == 2
    assert "Run 2 was deleted; to have it back: anew restore 2" in gone.err
    assert anew("restore", "2").code == 0
    assert anew("show", "2").code == 0
    anew("delete", "2")
    asked = anew("purge")
    assert asked.code == 2
    assert "anew purge --yes" in asked.err
    assert "Removed 1 run and" in anew("purge", "--yes").out
    assert anew("restore", "2").code == 2


def test_a_run_going_on_is_not_deleted(store: FolderStore, anew: Anew) -> None:
    done = anew("delete", "3")
    assert done.code == 2
    assert "Run 3 is going on" in done.err
    assert anew("show", "3").code == 0


def test_check(store: FolderStore, anew: Anew) -> None:
    fine = anew("check")
    assert fine.code == 0
    assert "All is well" in fine.out
    record = store.get(1)
    store.objects.path(record.artifacts[0].sha256).chmod(0o644)
    store.objects.path(record.artifacts[0].sha256).write_bytes(b"WEIGHTS")
    assert anew("check").code == 0
    deep = anew("check", "--deep")
    assert deep.code == 2
    assert "model.bin" in deep.out
    assert anew("check", "--deep", "--json").json["findings"][0]["severity"] == "error"


def test_check_says_whether_the_versions_are_among_those_tested(
    project: Path, anew: Anew, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = anew("check")
    assert re.search(rf"python +{re.escape(platform.python_version())} \(tested\)", told.out)
    assert re.search(r"hydra-core +1\.3\.\d+ \(tested\)", told.out)
    assert re.search(r"omegaconf +2\.3\.\d+ \(tested\)", told.out)

    monkeypatch.setattr("platform.python_version", lambda: "3.99.1")
    assert re.search(r"python +3\.99\.1 \(not among those tested: 3\.10, .*3\.15\)", anew("check").out)
    told = anew("check", "--json")
    assert told.json["tested"] == {"python": False, "hydra-core": True, "omegaconf": True}
    assert told.json["installation"]["python"] == "3.99.1"


def test_check_judges_hydra_and_omegaconf_together(project: Path, anew: Anew, monkeypatch: pytest.MonkeyPatch) -> None:
    version = importlib.metadata.version
    given = {"omegaconf": "2.4.1rc1", "antlr4-python3-runtime": "4.9.3"}
    monkeypatch.setattr(importlib.metadata, "version", lambda name: given.get(name) or version(name))
    told = anew("check")
    assert re.search(r"omegaconf +2\.4\.1rc1 \(not tested together; tested is hydra-core 1\.3\.2 or .* with", told.out)
    assert re.search(r"needs omegaconf <2\.4,>=2\.2, and 2\.4\.1rc1 is installed", " ".join(told.out.split()))
    assert anew("check", "--json").json["tested"] == {"python": True, "hydra-core": False, "omegaconf": False}


def test_a_store_whose_format_is_gone_is_one_all_the_same(store: FolderStore, anew: Anew) -> None:
    store.layout.format.unlink()
    done = anew("check")
    assert done.code == 2
    assert "write the number 1 into it" in " ".join(done.out.split())
    assert "cannot be read" in anew("list").err
    with pytest.raises(StoreFormatError):
        FolderStore.open(store.root, create=True)
    store.layout.format.write_text("1\n")
    assert anew("check").code == 0


def test_check_says_of_what_is_too_old_that_it_does_not_work(
    project: Path, anew: Anew, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = importlib.metadata.version
    monkeypatch.setattr(importlib.metadata, "version", lambda name: "1.2.0" if name == "hydra-core" else version(name))
    told = anew("check")
    assert told.code == 2
    assert "Anew does not work with hydra-core 1.2.0" in " ".join(told.out.split())
    assert "hydra-core 1.2.0 is too old" in anew("check", "--json").json["unfit"]


def test_check_names_what_each_extra_brings(project: Path, anew: Anew, monkeypatch: pytest.MonkeyPatch) -> None:
    told = anew("check", "--json").json["installation"]
    assert {"anew[dask]", "anew[optuna]", "anew[slurm]", "anew[sql]"} <= told.keys()
    assert not {"anew[all]", "anew[dev]", "anew[test]", "anew[test-integrations]"} & told.keys()

    version = importlib.metadata.version

    def without_cmaes(name: str) -> str:
        if name == "cmaes":
            raise importlib.metadata.PackageNotFoundError(name)
        return version(name)

    monkeypatch.setattr(importlib.metadata, "version", without_cmaes)
    lacking = anew("check", "--json").json["installation"]["anew[optuna]"]
    assert lacking == "without cmaes; to have it: pip install 'anew[optuna]'"


def test_check_source_shows_what_a_run_would_keep(project: Path, anew: Anew) -> None:
    (project / "train.py").write_text("x = 1\n")
    (project / "conf.yaml").write_text("password" + ": 'correct-horse-battery'\n")
    subprocess.run(["git", "init", "-q"], check=True)
    out = anew("check", "--source").out
    assert "train.py" in out
    assert "'conf.yaml' is kept as source, with what looks like a secret inside" in out
    assert not (project / "runs").exists()


# --- mistakes ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["show", "99"], "No run '99' in "),
        (["show", "last~9"], "(it holds 3 runs, 1 to 3)"),
        (["show", "0"], "does not name a run"),
        (["show", "x!"], "does not name a run"),
        (["show"], "Missing argument 'REF...'"),
        (["shwo", "1"], "Did you mean: anew show?"),
        (["list", "loss <"], "expected a value"),
        (["list", "--sotr", "x"], "--sort"),
        (["metrics", "1", "lss"], "Did you mean 'loss'?"),
        (["plot", "2", "nothing"], "it has: loss"),
        (["list", "--store", "/nowhere/at/all"], "There is no store of runs in '/nowhere/at/all'"),
        (["--store", "redis://me:secret@host/x", "list"], "cannot be opened by this version"),
        (["--store", "mongodb://me:secret@127.0.0.1:1/x", "list"], "127.0.0.1:1/x cannot be reached"),
    ],
)
def test_mistakes_get_one_message_and_exit_with_2(store: FolderStore, anew: Anew, args: list[str], said: str) -> None:
    done = anew(*args)
    assert done.code == 2
    assert said in done.err
    assert done.err.startswith("anew: ")
    assert "Traceback" not in done.err
    assert "secret" not in done.err
    assert done.out == ""


def test_a_fault_of_ours_exits_with_70_and_a_report(
    store: FolderStore, anew: Anew, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*args: object, **options: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(FolderStore, "find", broken)
    done = anew("list")
    assert done.code == 70
    assert "ZeroDivisionError" in done.err
    assert "Please report it" in done.err


def test_a_reader_that_goes_away_is_no_error(store: FolderStore) -> None:
    command = f"{shlex.join([*ANEW, 'show', '1'])} | true"
    done = subprocess.run(["bash", "-o", "pipefail", "-c", command], capture_output=True, text=True, check=False)
    assert done.stderr == ""


def test_a_record_cannot_drive_the_terminal(project: Path, anew: Anew) -> None:
    evil = "\x1b]0;owned\x07"
    store = make_store(project / "runs")
    add_run(store, config={evil: evil, "a": 1}, metrics={evil: [1.0]}, tags=[evil], note=evil, experiment=evil)
    add_run(store, config={evil: "b", "a": 2}, metrics={evil: [2.0]}, tags=[evil], experiment="x")
    for args in (["list"], ["show", "1", "--full"], ["diff", "1", "2"], ["metrics", "1"], ["tag", "1", evil], []):
        out = anew(*args).out
        assert "\x1b" not in out, args
        assert "\x07" not in out, args


# --- looks ------------------------------------------------------------------------------------------------------


def on_terminal(*args: str, columns: int = 60) -> str:
    """Run a command on a terminal of so many columns and return what it shows."""
    ours, theirs = pty.openpty()
    import fcntl
    import struct
    import termios

    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    pieces: list[bytes] = []

    def read() -> None:
        while True:
            try:
                piece = os.read(ours, 65536)
            except OSError:
                return
            if not piece:
                return
            pieces.append(piece)

    reader = threading.Thread(target=read)
    environment = {**os.environ, "TERM": "xterm", **({"NO_COLOR": "1"} if "plain" in args else {})}
    process = subprocess.Popen([*ANEW, *(arg for arg in args if arg != "plain")], stdout=theirs, env=environment)
    os.close(theirs)
    reader.start()
    process.wait()
    reader.join()
    os.close(ours)
    return b"".join(pieces).decode().replace("\r\n", "\n")


def test_a_table_fits_the_terminal_and_has_colour(store: FolderStore) -> None:
    import re

    shown = on_terminal("list")
    assert "\x1b[32mCOMPLETED\x1b[0m" in shown
    plain = re.sub(r"\x1b\[[0-9;]*m", "", shown)
    assert all(len(line) <= 60 for line in plain.splitlines()[:4])
    assert "Not shown for want of width: " in plain
    assert "\x1b" not in on_terminal("list", "plain")


def test_the_first_screen_says_what_to_type(project: Path, anew: Anew) -> None:
    assert "There are no runs here yet" in anew().out
    store = make_store(project / "runs")
    add_run(store)
    out = anew().out
    assert "Newest: run 1 of digits, COMPLETED, started 5 min ago" in out
    assert "anew diff last~1 last" in out


@pytest.mark.parametrize("name", workbench.list_commands(click.Context(workbench)))
def test_every_command_has_help(anew: Anew, name: str) -> None:
    done = anew(name, "--help")
    assert done.code == 0
    assert f"Usage: anew {name}" in done.out


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts(anew: Anew, shell: str) -> None:
    done = anew("completion", shell)
    assert "_ANEW_COMPLETE" in done.out, done.err


def test_reading_imports_neither_hydra_nor_numpy(store: FolderStore) -> None:
    code = (
        "import sys; from anew.runner.cli import main; main(['list']); main(['show', '1']);"
        "print(sorted({'hydra', 'omegaconf', 'numpy', 'pandas', 'matplotlib', 'psutil', 'yaml'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
