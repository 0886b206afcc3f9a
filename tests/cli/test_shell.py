"""The workbench among other programs: pipes that break, full disks, odd encodings, questions, completion."""

from __future__ import annotations

import json
import os
import pty
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping
from itertools import permutations
from pathlib import Path

import click
import pytest

from anew.runner.cli import main
from anew.runner.cli.group import workbench
from anew.runner.records import Status
from anew.runner.store.folder import FolderStore
from tests.helpers.scripts import ANEW, Project
from tests.helpers.stores import add_run, make_store


@pytest.fixture
def store(project: Path) -> FolderStore:
    store = make_store(project / "runs")
    add_run(store, config={"lr": 0.1}, metrics={"loss": [1.0, 0.5], "näme 日本": [1.0]}, output="hello\n")
    add_run(store, config={"lr": 0.2}, metrics={"loss": [1.0, 0.25]}, experiment="other")
    return store


def anew(*args: str, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[bytes]:
    environment = {**os.environ, **(env or {})}
    return subprocess.run([*ANEW, *args], capture_output=True, stdin=subprocess.DEVNULL, env=environment, check=False)


def completed(line: str) -> list[str]:
    """What bash is offered for the last word of *line*; its values."""
    words = line.split(" ")
    variables = {"_ANEW_COMPLETE": "bash_complete", "COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1)}
    done = anew(env=variables)
    assert done.stderr == b""
    return [item.partition(",")[2] for item in done.stdout.decode().split()]


# --- where output goes ------------------------------------------------------------------------------------------


def test_a_reader_that_has_enough_is_no_error(project: Path) -> None:
    store = make_store(project / "runs")
    add_run(store, metrics={"loss": [float(step) for step in range(20_000)]})
    command = f"{shlex.join(ANEW)} metrics 1 --csv | head -1; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "metric,step,value,time\n", "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_full_disk_behind_stdout_is_named_and_no_fault_of_ours(store: FolderStore) -> None:
    with open("/dev/full", "wb") as full:
        done = subprocess.run([*ANEW, "list"], stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 2
    assert "What is printed cannot be written (No space left on device)" in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_any_name_is_printed_in_any_encoding(store: FolderStore, encoding: str) -> None:
    for command in (["metrics", "1"], ["show", "1"], ["metrics", "1", "--csv"], ["plot", "1", "loss"]):
        done = anew(*command, env={"PYTHONIOENCODING": encoding})
        assert (done.returncode, done.stderr) == (0, b""), command
        done.stdout.decode(encoding)


def test_programs_get_one_json_value_and_nothing_else(store: FolderStore) -> None:
    for command in (
        ["list"],
        ["list", "loss > 99"],
        ["show", "1"],
        ["diff", "1", "2"],
        ["logs", "1"],
        ["logs", "2", "-f"],
        ["metrics", "1"],
        ["metrics", "1", "--buckets", "5"],
        ["lineage", "1"],
        ["usage", "--compute"],
        ["plot", "1", "2", "loss"],
        ["plot", "--x", "seed", "--y", "loss"],
        ["check"],
        ["check", "--source"],
    ):
        done = anew(*command, "--json")
        assert (done.returncode, done.stderr) == (0, b""), command
        assert done.stdout.isascii()
        json.loads(done.stdout, parse_constant=pytest.fail)
    assert json.loads(anew("logs", "1", "--json").stdout) == "hello\n"
    assert json.loads(anew("plot", "1", "2", "loss", "--json").stdout)["2"]["values"] == [1.0, 0.25]
    assert json.loads(anew("list", "loss > 99", "--json").stdout) == []


def test_a_mistake_leaves_stdout_empty_for_programs(store: FolderStore) -> None:
    for command in (["show", "9"], ["list", "loss <"], ["metrics", "1", "no"], ["list", "--nonsense"]):
        done = anew(*command, "--json")
        assert (done.returncode, done.stdout) == (2, b""), command
        assert done.stderr.startswith(b"anew: "), command


# --- which store ------------------------------------------------------------------------------------------------


def test_the_store_is_named_before_or_after_the_command_or_by_the_environment(
    store: FolderStore, tmp_path: Path
) -> None:
    other = make_store(tmp_path / "other")
    add_run(other, experiment="elsewhere")
    for args, env in (
        (["--store", other.url, "show", "1"], {}),
        (["show", "--store", other.url, "1"], {}),
        (["--store", store.url, "show", "1", "--store", other.url], {}),
        (["show", "1"], {"ANEW_STORE": other.url}),
        (["--store", other.url, "show", "1"], {"ANEW_STORE": store.url}),
    ):
        assert b"of elsewhere" in anew(*args, env=env).stdout, args
    assert b"of digits" in anew("show", "1").stdout


# --- what nobody has --------------------------------------------------------------------------------------------


def test_a_name_that_no_run_has_is_doubted_aloud_on_stderr(store: FolderStore) -> None:
    done = anew("list", "lsos < 1")
    assert (done.returncode, done.stderr) == (0, b"None of these runs has 'lsos'. Did you mean 'loss'?\n")
    assert b"config.lr" in anew("list", "--columns", "config.lf").stderr
    assert b"None of these runs has 'zzz'." in anew("list", "--sort", "zzz").stderr
    assert anew("list", "loss < 1", "--sort", "lr", "--columns", "loss,lr,tags,host").stderr == b""


def test_what_is_asked_about_gets_a_column(store: FolderStore) -> None:
    header = anew("list", "config.lr > 0.1 and status == completed", "--sort", "loss").stdout.splitlines()[0]
    assert header.split() == [b"run", b"started", b"status", b"took", b"loss", b"lr"]


# --- questions --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("answer", "left"), [(b"y\n", 0), (b"n\n", 1), (b"\n", 1)])
def test_purge_asks_on_a_terminal(store: FolderStore, answer: bytes, left: int) -> None:
    anew("delete", "2")
    ours, theirs = pty.openpty()
    process = subprocess.Popen([*ANEW, "purge"], stdin=theirs, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    os.close(theirs)
    os.write(ours, answer)
    out, err = process.communicate(timeout=30)
    os.close(ours)
    assert process.returncode == 0
    assert b"Remove the deleted run for good? [y/N]" in err
    assert out.lstrip().startswith(b"Nothing was removed." if left else b"Removed 1 run ")
    assert anew("restore", "2").returncode == (0 if left else 2)


def test_an_interrupt_exits_with_130_and_without_a_traceback(store: FolderStore) -> None:
    code = (
        "import sys; from anew.runner.cli import main; from anew.runner.store.folder import FolderStore\n"
        "def interrupted(*args, **options): raise KeyboardInterrupt\n"
        "FolderStore.find = interrupted\n"
        "sys.exit(main(['list']))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (130, b"", b"")


# --- completion -------------------------------------------------------------------------------------------------


def test_commands_options_runs_and_metrics_are_completed(store: FolderStore) -> None:
    assert completed("anew l") == ["log", "list", "logs", "lineage"]
    assert completed("anew list --so") == ["--sort"]
    assert completed("anew show ") == ["last", "2", "1"]
    assert completed("anew show 2") == ["2"]
    assert completed("anew metrics 1 lo") == ["loss"]
    assert completed("anew plot 1 l") == ["loss", "last"]
    assert completed("anew --store nowhere show ") == []
    assert completed("anew nonsense x") == []


def test_a_program_is_completed_by_what_it_takes_and_never_run(project: Path) -> None:
    (project / "train.py").write_text(
        "open('canary', 'w')\nimport argparse\nSIZE = 3\np = argparse.ArgumentParser()\n"
        "p.add_argument('--opt', choices=['sgd', 'adam'])\np.add_argument('--fast', action='store_true')\n"
    )
    assert completed("anew run --t") == ["--trace"]
    assert completed("anew run --metrics ") == ["auto"]
    assert completed("anew run --trace train.py ") == ["opt=", "fast=", "SIZE="]
    # as bash takes it apart, and as other shells do not
    assert completed("anew run --trace train.py opt = s") == ["sgd"]
    assert completed("anew run train.py opt =") == ["sgd", "adam"]
    assert completed("anew run train.py fast=") == ["fast=true", "fast=false"]
    assert completed("anew run train.py --pa") == ["--params"]
    assert completed("anew run nothing.py a") == []
    assert not (project / "canary").exists()
    assert "compopt -o nospace" in anew("completion", "bash").stdout.decode()


def test_bash_takes_the_script_that_is_printed(store: FolderStore) -> None:
    script = anew("completion", "bash").stdout + b"declare -F _anew_completion\n"
    done = subprocess.run(["bash"], input=script, capture_output=True, check=False)
    assert done.stdout == b"_anew_completion\n"


def test_restore_offers_the_trash(store: FolderStore) -> None:
    anew("delete", "1")
    assert completed("anew restore ") == ["1"]
    assert completed("anew show ") == ["last", "2"]


def test_completion_changes_and_says_nothing_without_a_store(project: Path) -> None:
    assert completed("anew show ") == []
    assert not (project / "runs").exists()


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells_get_help_beside_each_run(store: FolderStore, shell: str) -> None:
    words = "anew show 2" if shell == "zsh" else "anew show"
    variables = {"_ANEW_COMPLETE": f"{shell}_complete", "COMP_WORDS": words, "COMP_CWORD": "2"}
    shown = anew(env=variables).stdout.decode()
    assert "other COMPLETED 5 min ago" in shown


def test_a_command_loads_only_what_it_needs(store: FolderStore) -> None:
    """The workbench has to answer at once, so that listing never waits for what plotting needs."""
    code = (
        "import sys; from anew.runner.cli import main; main(['list', '--columns', 'loss']);"
        "loaded = {name.rpartition('.')[2] for name in sys.modules if name.startswith('anew.runner.cli.')};"
        "print(sorted(loaded), 'rich' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "['context', 'group', 'list', 'render'] False"


def test_long_values_that_differ_are_never_cut(project: Path) -> None:
    store = make_store(project / "runs")
    for end in "ab":
        add_run(store, config={"lr": end, "path": "/" + "x" * 300 + end}, overrides=("path=" + "y" * 300 + end,))
    out = anew("diff", "1", "2").stdout.decode()
    for end in "ab":
        assert "/" + "x" * 300 + end in out
        assert "path=" + "y" * 300 + end in out
    assert ["lr", "a", "b"] in [line.split() for line in out.splitlines()]


def test_who_stops_reading_a_verdict_does_not_change_it(project: Path) -> None:
    """`anew verify ... | head -1` in CI, with pipefail: what was not read counts as well."""
    trial = Project(project)
    trial.write("import random\n@experiment.main\ndef main():\n    return random.SystemRandom().random()\n")
    trial.run()
    for typed in ("rerun 1", "verify 1 1", "rerun 1 --json", "verify 1 1 --json"):
        done = subprocess.run(
            ["bash", "-c", f"{shlex.join([*ANEW])} {typed} 2>&1 | true; exit ${{PIPESTATUS[0]}}"], cwd=trial.folder
        )
        assert done.returncode == 3, typed
    assert len(trial.store.numbers()) == 5


def test_streams_that_are_closed_lead_nowhere(project: Path) -> None:
    """As cron jobs and daemons have them: the command runs, is on record, and what is printed is nobody's."""
    for words, code in ((["run", "--", "echo", "hi"], 0), (["list"], 0), (["show", "1", "--json"], 0)):
        typed = shlex.join([*ANEW, *words])
        done = subprocess.run(["sh", "-c", f"{typed} <&- >&- 2>&-"], cwd=project, check=False)
        assert done.returncode == code, words
    assert FolderStore.open(project / "runs").get(1).status is Status.COMPLETED


@pytest.mark.parametrize(
    "typed",
    [
        "list", "check", "ui --no-browser",
        "run -- true", "run train.py", "run train.py lr=1,2 -m", "run -m train", "run notes.ipynb", "run ../train.py",
        "run -- true x=1,2 -m", "run train.py --params", "run ../notes.ipynb",
    ],
)  # fmt: skip
def test_a_working_directory_that_is_gone_is_said(project: Path, typed: str) -> None:
    """As after `rm -r` or a switch of branches in another window; `.` is still there, and has no name."""
    # Python 3.13.0 itself fails at imports in such a place where the program is given by -c
    script = f'mkdir gone && cd gone && rmdir ../gone && exec {shlex.quote(sys.executable)} -m anew "$@"'
    done = subprocess.run(["sh", "-c", script, "sh", *typed.split()], cwd=project, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"anew: The working directory '{project / 'gone'}' is gone.")
    assert len(done.stderr.splitlines()) == 1


FORMS = ("--json", "--csv", "--markdown", "--dot", "--png")


def _forms(command: click.Command, name: str) -> Iterator[list[str]]:
    """Yield each pair of forms that a command, or one below it, can answer in, as typed."""
    context = click.Context(command)
    if isinstance(command, click.Group):
        for below in command.list_commands(context):
            found = command.get_command(context, below)
            assert found is not None
            yield from _forms(found, f"{name} {below}")
    offered = [form for form in FORMS if any(form in each.opts for each in command.params)]
    for pair in permutations(offered, 2):
        words = [word for form in pair for word in ((form, "x.png") if form == "--png" else (form,))]
        yield [*name.split(), *words]


def test_two_forms_of_one_answer_are_refused(project: Path, capfd: pytest.CaptureFixture[str]) -> None:
    pairs = [*_forms(workbench, "")]
    assert {typed[0] for typed in pairs} >= {"list", "usage", "metrics", "compare", "sweep", "why", "plot", "lineage"}
    for typed in pairs:
        assert main(typed) == 2, typed
        told = capfd.readouterr()
        assert told.out == "", typed
        assert "are two forms of one answer; leave out one of them." in told.err, typed
        assert not [each for each in FORMS if each in typed and each not in told.err], typed


def test_one_form_is_no_two(project: Path, capfd: pytest.CaptureFixture[str]) -> None:
    make_store(project / "runs")
    assert main(["list", "--json", "--json"]) == 0
    assert capfd.readouterr().out == "[]\n"
