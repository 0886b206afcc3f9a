"""
What an interpreter can change under us: the tests here, and those marked the same elsewhere, are run on every Python.

`make pythons-near` runs them on the other Pythons that are found; what a version changed is tried here on any of them.
"""

from __future__ import annotations

import argparse
import io
import re
import signal
import subprocess
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import pytest

from anew import Experiment
from anew.runner.config.private import running
from anew.runner.records import Status
from tests.helpers.scripts import Project, anew

pytestmark = pytest.mark.interpreter


@pytest.fixture
def trial(project: Path) -> Project:
    return Project(project)


# --- the command line's parser ---------------------------------------------------------------------------------------


@pytest.fixture
def curious(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have argparse look into the help of every option that is added, as it does since Python 3.14."""
    add: Any = argparse._ActionsContainer.add_argument

    def add_argument(self: Any, *names: Any, **options: Any) -> Any:
        assert "%" not in (options.get("help") or "")
        return add(self, *names, **options)

    monkeypatch.setattr(argparse._ActionsContainer, "add_argument", add_argument)


@pytest.mark.usefixtures("curious", "project")
def test_an_argparse_that_looks_into_every_help_does_not_stop_a_command() -> None:
    """Of `--shell-completion`, Hydra gives an object that is no text: Python 3.14 raises `badly formed help string`."""
    experiment = Experiment("trial")

    @experiment.main
    def main(lr: float = 0.1) -> float:
        return lr

    assert main.run("lr=0.5").result == 0.5


@pytest.mark.usefixtures("curious", "project")
@pytest.mark.parametrize(
    "line", [["--help", "hydra.help.template=$FLAGS_HELP"], ["--hydra-help"]], ids=["app", "hydra"]
)
def test_help_tells_of_every_option_as_ever(line: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    experiment = Experiment("trial")
    monkeypatch.setattr("sys.argv", ["train.py", *line])

    @experiment.main
    def main(lr: float = 0.1) -> float:
        return lr

    with redirect_stdout(io.StringIO()) as told, pytest.raises(SystemExit) as end:
        main()

    assert end.value.code == 0
    assert "--shell-completion,-sc : Install or Uninstall shell completion:\n    Bash - Install:" in told.getvalue()
    assert "--multirun,-m : Run multiple jobs" in told.getvalue()


@pytest.mark.usefixtures("curious", "project")
def test_a_line_is_completed_as_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hydra makes a parser of its own for the line that is to be completed."""
    monkeypatch.setattr("sys.argv", ["train.py", "-sc", "query=bash"])
    monkeypatch.setenv("COMP_LINE", "python train.py rat")
    monkeypatch.setenv("COMP_POINT", "19")
    before = running.app_module.get_args_parser

    @Experiment("trial").main
    def main(rate: float = 0.1) -> None: ...

    with redirect_stdout(io.StringIO()) as told:
        main()

    assert told.getvalue() == "rate=\n"
    assert running.app_module.get_args_parser is before


@pytest.mark.usefixtures("project")
def test_the_argparse_of_others_is_as_it_was(tmp_path: Path) -> None:
    """Neither the module nor its parser is changed, not even while main runs: main may have a parser of its own."""
    before = dict(vars(argparse)), dict(vars(argparse._ActionsContainer)), dict(vars(argparse.ArgumentParser))
    seen: list[Any] = []
    experiment = Experiment("trial")

    @experiment.main
    def main(lr: float = 0.1) -> None:
        seen.append((dict(vars(argparse)), dict(vars(argparse._ActionsContainer)), dict(vars(argparse.ArgumentParser))))
        seen.append(vars(running)["app_module"].argparse)  # what Hydra imported

    main.run()

    assert seen == [before, argparse]


# --- child processes -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_a_child_belongs_to_the_run_it_was_started_in_however_it_began(trial: Project, method: str) -> None:
    """
    The server of forkserver, the default since Python 3.14, is started once in a process: here in the first run.

    What its children inherit is the server's, and so were the variables, the output and the opened files.
    """
    (trial.folder / "rows.txt").write_text("1 2 3")
    trial.write(f"""
    import multiprocessing
    def grandchild(n):
        anew.current_run().log({{"grandchild": n}})
        print("grandchild of", n)
    def child(n):
        print("child of", n)
        print("error of", n, file=sys.stderr)
        open("rows.txt").read()
        anew.current_run().log({{"child": n}})
        assert os.environ["ANEW_RUN"] == str(anew.current_run().dir.parent)  # what other programs go by
        below = context.Process(target=grandchild, args=(n,))
        below.start(); below.join(); assert below.exitcode == 0
    context = multiprocessing.get_context({method!r})
    @experiment.main
    def main(n: int = 0, *, run: Run):
        process = context.Process(target=child, args=(n,))
        process.start(); process.join(); assert process.exitcode == 0
    def runs():
        for n in (1, 2): main.run(f"n={{n}}")
    if __name__ == "__main__":
        runs()
        sys.exit()
    """)

    trial.run("anew.quiet=true")

    for number in (1, 2):
        record = trial.record(number)
        points = {name: (metric.last, metric.count) for name, metric in record.metrics.items() if "/" not in name}
        assert points == {"child": (number, 1), "grandchild": (number, 1)}
        assert [each.path for each in record.inputs] == ["rows.txt"]
        said = (trial.folder / f"runs/{number}/output.log").read_text()
        assert sorted(said.splitlines()) == [f"child of {number}", f"error of {number}", f"grandchild of {number}"]


@pytest.mark.parametrize("kind", ["Pool", "ProcessPoolExecutor"])
def test_what_a_pool_of_the_default_kind_does_is_on_record(trial: Project, kind: str) -> None:
    (trial.folder / "rows.txt").write_text("1 2 3")
    trial.write(f"""
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing import Pool
    def work(n):
        anew.current_run().log({{f"part{{n}}": n}})
        return len(open("rows.txt").read())
    @experiment.main
    def main(n: int = 2):
        with {kind}(n) as pool:
            return sum(pool.map(work, range(n)))
    """)

    trial.run()

    record = trial.record()
    assert record.result == 10
    assert {name for name in record.metrics if "/" not in name} == {"part0", "part1"}
    assert [each.path for each in record.inputs] == ["rows.txt"]


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_the_tracker_of_shared_memory_ends_with_the_program_in_silence(trial: Project, method: str) -> None:
    """It holds the output of the process that it was started in, is told of what children made, and is waited for."""
    trial.write(f"""
    import multiprocessing
    from multiprocessing.shared_memory import SharedMemory
    def child(name):
        memory = SharedMemory(name)
        memory.buf[0] += 1
        memory.close()
    context = multiprocessing.get_context({method!r})
    @experiment.main
    def main(n: int = 0, *, run: Run):
        memory = SharedMemory(create=True, size=8)
        process = context.Process(target=child, args=(memory.name,))
        process.start(); process.join(); assert process.exitcode == 0
        done = memory.buf[0]
        memory.close(); memory.unlink()
        print("done")
        return done
    def runs():
        for n in (1, 2): main.run(f"n={{n}}")
    if __name__ == "__main__":
        runs()
        sys.exit()
    """)

    done = trial.run("anew.quiet=true")

    assert (done.stdout, done.stderr) == ("done\n" * 2, "")
    assert [(trial.record(number).result, trial.record(number).status) for number in (1, 2)] == [
        (1, Status.COMPLETED)
    ] * 2


# --- annotations -----------------------------------------------------------------------------------------------------

LATE = pytest.mark.skipif(sys.version_info < (3, 14), reason="before Python 3.14 the script itself fails there")
HOW = pytest.mark.parametrize("first", ["from __future__ import annotations", pytest.param("", marks=LATE)])


@pytest.mark.parametrize(
    "first", ["from __future__ import annotations", pytest.param("", marks=LATE)], ids=["text", "late"]
)
def test_annotations_may_name_what_type_checkers_alone_import(trial: Project, first: str) -> None:
    (trial.folder / "train.py").write_text(f"""{first}
from typing import TYPE_CHECKING
from anew import Experiment
if TYPE_CHECKING:
    from nowhere import Result
    from anew import Run
experiment = Experiment("trial")
Size = int

@experiment.main
def main(rate: float = 0.1, layers: list[Size] = [1], *, run: Run) -> Result:
    run.log({{"rate": rate}})
    return type(rate).__name__, layers

if __name__ == "__main__":
    main()
""")
    trial.run("rate=2", "layers=[3]")
    record = trial.record()
    assert (record.result, record.config) == (("float", [3]), {"rate": 2.0, "layers": [3]})

    assert trial.run("layers=[x]", code=2).stderr.startswith("anew: ")


@pytest.mark.parametrize("first", ["from __future__ import annotations", ""])
def test_dataclasses_are_configurations_however_their_annotations_are_kept(trial: Project, first: str) -> None:
    (trial.folder / "train.py").write_text(f"""{first}
from dataclasses import dataclass, field
from typing import Literal, Optional, Union
from anew import Experiment, Run
experiment = Experiment("trial")

@dataclass
class Adam:
    lr: float = 0.1
    betas: tuple[float, float] = (0.9, 0.99)

@dataclass
class Config:
    optimiser: Adam = field(default_factory=Adam)
    layers: Union[int, list[int], None] = None
    mode: Literal["fit", "test"] = "fit"
    name: Optional[str] = None

@experiment.main(config=Config)
def main(cfg: Config, run: Run | None):
    return [cfg.optimiser.lr, list(cfg.optimiser.betas), cfg.layers, cfg.mode, cfg.name]

if __name__ == "__main__":
    main()
""")
    trial.run("optimiser.lr=1", "layers=[1,2]", "mode=test")
    assert trial.record().result == [1.0, [0.9, 0.99], [1, 2], "test", None]


def test_a_name_that_nothing_defines_is_refused_with_a_message(trial: Project) -> None:
    (trial.folder / "train.py").write_text("""
from __future__ import annotations
from anew import Experiment
@Experiment("trial").main
def main(rate: Missing = 0.1): ...
main()
""")
    told = trial.run(code=2).stderr
    assert "the annotation 'Missing' of 'rate' names nothing that is defined there. Import it." in told
    assert "Traceback" not in told


@pytest.mark.parametrize(
    "first", ["from __future__ import annotations", pytest.param("", marks=LATE)], ids=["text", "late"]
)
def test_a_field_whose_type_nothing_defines_is_refused_with_a_message(trial: Project, first: str) -> None:
    (trial.folder / "train.py").write_text(f"""{first}
from dataclasses import dataclass
from anew import Experiment
@dataclass
class Config:
    rate: Missing = 0.1
@Experiment("trial").main(config=Config)
def main(cfg): ...
main()
""")
    told = trial.run(code=2).stderr
    assert "Missing" in told
    assert "Traceback" not in told


# --- signals and tracebacks ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_main_that_is_in_asyncio(trial: Project, sent: signal.Signals) -> None:
    """`asyncio.run` takes SIGINT for itself where Python's own handler is in place."""
    trial.write("""
    import asyncio
    async def wait():
        print("waiting", flush=True)
        await asyncio.sleep(60)
    @experiment.main
    def main(n: int = 1):
        asyncio.run(wait())
    """)
    with trial.start() as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "waiting\n"
        process.send_signal(sent)
        _, said = process.communicate(timeout=30)

    assert process.returncode == 128 + sent, said
    assert trial.record().status is Status.INTERRUPTED


def test_a_traceback_on_record_is_plain_text_that_begins_in_main(trial: Project) -> None:
    """Python colours tracebacks since 3.13, marks the place since 3.11, and has groups of exceptions since 3.11."""
    trial.write("""
    def fail(n):
        raise ValueError(f"no {n}") from KeyError("cause")
    @experiment.main
    def main(n: int = 1):
        fail(n)
    """)
    told = trial.run(code=1, env={"FORCE_COLOR": "1"}).stderr
    error = trial.record().error
    assert "ValueError: no 1" in re.sub(r"\x1b\[[\d;]*m", "", told)
    assert error is not None
    assert (error.type, error.message) == ("ValueError", "no 1")
    assert "\x1b" not in error.traceback
    lines = [line for line in error.traceback.splitlines() if line.startswith("  File ")]
    assert all("train.py" in line for line in lines)
    assert lines[-2].endswith("in main")
    assert lines[-1].endswith("in fail")


@pytest.mark.skipif(sys.version_info < (3, 11), reason="Python has no groups of exceptions before 3.11")
def test_a_group_of_exceptions_is_a_failure_with_all_its_parts(trial: Project) -> None:
    trial.write("""
    @experiment.main
    def main(n: int = 1):
        raise ExceptionGroup("several", [ValueError("first"), OSError("second")])
    """)
    trial.run(code=1)
    error = trial.record().error
    assert error is not None
    assert error.type == "ExceptionGroup"
    assert "ValueError: first" in error.traceback
    assert "OSError: second" in error.traceback


@pytest.mark.skipif(sys.version_info < (3, 12), reason="Python has no sys.monitoring before 3.12")
def test_a_tool_that_monitors_the_program_is_left_alone(trial: Project) -> None:
    """As coverage and debuggers do: what they see of main goes on, and what they set is there at the end."""
    trial.write("""
    seen = []
    tool, events = sys.monitoring.COVERAGE_ID, sys.monitoring.events
    sys.monitoring.use_tool_id(tool, "mine")
    sys.monitoring.register_callback(tool, events.PY_START, lambda code, at: seen.append(code.co_name))
    sys.monitoring.set_events(tool, events.PY_START)
    def step(): pass
    @experiment.main
    def main(n: int = 1):
        step()
        return "main" in seen and "step" in seen
    import atexit
    atexit.register(lambda: print(sys.monitoring.get_tool(tool), sys.monitoring.get_events(tool) == events.PY_START))
    """)
    assert trial.run().stdout == "mine True\n"
    assert trial.record().result is True


@pytest.mark.skipif(sys.version_info < (3, 14), reason="Python has no sys.remote_exec before 3.14")
def test_what_is_sent_into_main_from_outside_belongs_to_the_run(trial: Project, tmp_path: Path) -> None:
    """As debuggers and profilers do, which attach to a run while it goes on."""
    trial.write("""
    seen = []
    @experiment.main
    def main(n: int = 1):
        print("waiting", flush=True)
        while not seen:
            time.sleep(0.01)
        return seen
    """)
    sent = tmp_path / "sent.py"
    sent.write_text("import __main__, anew\nanew.current_run().log({'sent': 1})\n__main__.seen.append('sent')\n")
    with trial.start() as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "waiting\n"
        try:
            remote_exec: Any = getattr(sys, "remote_exec")  # noqa: B009  # types of Python 3.10 do not know it
            remote_exec(process.pid, str(sent))
        except PermissionError:
            process.kill()
            pytest.skip("this system lets no process look into another: sysctl kernel.yama.ptrace_scope=0")
        process.communicate(timeout=60)

    assert process.returncode == 0
    assert (trial.record().result, trial.record().metrics["sent"].last) == (["sent"], 1)


@pytest.mark.skipif(sys.version_info < (3, 14), reason="Python has no pools of interpreters before 3.14")
def test_work_in_sub_interpreters_is_recorded_and_told_that_it_cannot_log(trial: Project) -> None:
    trial.write("""
    from concurrent.futures import InterpreterPoolExecutor
    import beside
    @experiment.main
    def main(run: Run):
        with InterpreterPoolExecutor(2) as pool:
            run.log({"sum": sum(pool.map(beside.square, range(4)))})
            return pool.submit(beside.refused).result()
    """)
    (trial.folder / "beside.py").write_text(
        "import anew\n"
        "def square(x): return x * x\n"
        "def refused():\n"
        "    try: anew.current_run().log({'x': 1})\n"
        "    except anew.AnewError as error: return str(error)\n"
    )
    trial.run()
    record = trial.record()
    assert "sub-interpreter" in record.result
    assert {name: metric.last for name, metric in record.metrics.items()} == {"sum": 14}
    assert not record.damage


@pytest.mark.skipif(sys.version_info < (3, 14), reason="Python has no pools of interpreters before 3.14")
@pytest.mark.parametrize("words", [("SCALE=5",), ("anew.inputs.notice=false",)])
def test_a_program_with_sub_interpreters_is_told_once_what_does_not_reach_them(
    trial: Project, words: tuple[str, ...]
) -> None:
    Path(trial.folder, "rows.txt").write_text("x")
    Path(trial.folder, "scale.py").write_text(
        "from concurrent.futures import InterpreterPoolExecutor\n"
        "SCALE = 2\n"
        "def scaled(n):\n    open('rows.txt').close()\n    return n * SCALE\n"
        "if __name__ == '__main__':\n"
        "    with InterpreterPoolExecutor(2) as pool:\n        print(list(pool.map(scaled, range(8))))\n"
        "    import _interpreters\n    print(_interpreters.create.__name__)\n"
    )
    said = anew(trial, "run", "scale.py", *words).stderr
    record = trial.record()
    (warning,) = record.warnings
    assert said.count(warning) == 1
    assert "do not get the values" in warning
    assert ("not on record as an input" in warning) == (words == ("SCALE=5",))
    assert not record.inputs


def test_whoever_makes_a_sub_interpreter_below_main_is_told_what_is_not_noticed(trial: Project) -> None:
    trial.write("""
    try:
        import _interpreters as interpreters
    except ImportError:
        import _xxsubinterpreters as interpreters
    create = interpreters.create
    @experiment.main
    def main(n: int = 1):
        for _ in range(2):
            interpreters.destroy(interpreters.create())
    def run():
        main.run()
        assert interpreters.create is create
    if __name__ == "__main__":
        run()
        sys.exit()
    """)
    said = trial.run("anew.quiet=true").stderr
    (warning,) = trial.record().warnings
    assert said.count("sub-interpreters open are not noticed") == 1
    assert "not on record as an input" in warning
    assert "values" not in warning


# --- flags of Python --------------------------------------------------------------------------------------------------

FLAGS = [
    ("-bb",),
    ("-X", "warn_default_encoding", "-W", "error"),
    ("-X", "dev", "-W", "error"),
    ("-I",),
]


@pytest.mark.parametrize("flags", FLAGS, ids=" ".join)
def test_a_program_and_a_main_run_whatever_python_is_strict_about(trial: Project, flags: tuple[str, ...]) -> None:
    """Of what is wrong in ours nothing may end a program, or be said where it is none of the program's."""
    Path(trial.folder, "plain.py").write_text("LR = 0.1\nKEY = b'x'\nprint(LR)\n")
    trial.write("""
    @experiment.main
    def main(lr: float = 0.1):
        print(lr)
    """)
    for words in (["-m", "anew", "run", "plain.py", "LR=0.3"], ["train.py", "lr=0.3"], ["-m", "anew", "rerun", "1"]):
        command = [sys.executable, *flags, *words]
        done = subprocess.run(command, cwd=trial.folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert "Warning" not in done.stderr
        assert "0.3" in done.stdout


# --- a fork -----------------------------------------------------------------------------------------------------------

FORKS = """\
import multiprocessing, os, sys, threading

def child() -> None:
    print("child", flush=True)

if __name__ == "__main__":
    if "OF_ITS_OWN" in os.environ:
        threading.Thread(target=threading.Event().wait, daemon=True).start()
    pid = os.fork()
    if not pid:
        os._exit(0)
    os.waitpid(pid, 0)
    process = multiprocessing.get_context("fork").Process(target=child)
    process.start()
    process.join()
    print("done")
"""


@pytest.mark.parametrize("shown", ["default", "error::DeprecationWarning"])
def test_the_threads_of_a_run_are_none_of_the_programs_where_python_warns_of_a_fork(trial: Project, shown: str) -> None:
    Path(trial.folder, "forks.py").write_text(FORKS)
    bare = subprocess.run([sys.executable, "-W", shown, "forks.py"], cwd=trial.folder, capture_output=True, text=True)
    assert (bare.returncode, bare.stdout, bare.stderr) == (0, "child\ndone\n", "")
    ran = anew(trial, "run", "forks.py", PYTHONWARNINGS=shown)
    assert ran.stdout == bare.stdout
    assert "multi-threaded" not in ran.stderr
    assert trial.record().status is Status.COMPLETED


@pytest.mark.skipif(sys.version_info < (3, 12), reason="Python says nothing of threads at a fork before 3.12")
def test_a_program_with_threads_of_its_own_is_warned_of_its_forks_as_ever(trial: Project) -> None:
    Path(trial.folder, "forks.py").write_text(FORKS)
    assert "multi-threaded" in anew(trial, "run", "forks.py", OF_ITS_OWN="1").stderr
