"""
Sweeps on Dask: a real scheduler and workers that were started by themselves.

How often a job was begun is counted from marks on disk, which each execution leaves: states alone would not show a job
that ran twice. Every wait has a deadline, and what was started is killed at the end.
"""

from __future__ import annotations

import json
import os
import pickle
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from anew.runner.errors import ConfigError
from anew.runner.records import Status
from anew.runner.sweep import dask_task
from anew.runner.sweep.dask_connection import DaskOptions
from anew.runner.sweep_records import SweepRecord
from tests.helpers.needs import needs
from tests.helpers.scripts import ANEW, Project
from tests.helpers.waiting import until

cloudpickle = needs("cloudpickle")
needs("distributed")

WAIT_S = 30.0
BODY = """
import pathlib, signal
VERSION = "recorded"

@experiment.main
def main(x: int = 0, kind: str = "ok", nap: float = 0.0, *, run: Run) -> float:
    pathlib.Path({marks!r}, f"{{x}}-{{VERSION}}-{{os.getpid()}}").touch()
    if kind == "gate":
        while not pathlib.Path({marks!r}).with_name("open").exists():
            time.sleep(0.05)
    if kind == "one" and x == 0:
        time.sleep(nap)
    if kind == "all":
        time.sleep(nap)
    if kind == "fates" and x % 4 == 1:
        raise ValueError("this one")
    if kind == "fates" and x % 4 == 2:
        os._exit(3) if x == 2 else sys.exit(4)
    if kind == "fates" and x == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return float(x)
"""


class Processes:
    """What was started, to be stopped hard at the end."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._started: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, name: str, *command: str, **variables: str) -> subprocess.Popen[bytes]:
        """Start a process in a session of its own; what it prints goes into a file."""
        with (self.folder / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.folder,
                env={**os.environ, **variables},
                start_new_session=True,
            )
        self._started[name] = process
        return process

    def kill(self, name: str) -> None:
        """Kill a process by SIGKILL."""
        self._started[name].kill()

    def stop(self) -> None:
        """Stop all, the last first: politely, and then by SIGKILL with all that they started."""
        processes = list(reversed(self._started.values()))
        for process in processes:
            process.terminate()
        for process in processes:
            with suppress(subprocess.TimeoutExpired):
                process.wait(timeout=2)
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait(timeout=5)


class Cluster:
    """A scheduler, and workers as they are asked for."""

    def __init__(self, processes: Processes, host: str = "127.0.0.1", allowed_failures: str = "0") -> None:
        self.processes = processes
        self.file = processes.folder / "scheduler.json"
        words = ["--host", host, "--port", "0", "--no-dashboard", "--scheduler-file", str(self.file)]
        variables = {"DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": allowed_failures}
        processes.start("scheduler", sys.executable, "-m", "distributed.cli.dask_scheduler", *words, **variables)
        until(lambda: self.file.exists() and self.file.read_bytes().endswith(b"}"), "the scheduler is up")
        self.address = str(json.loads(self.file.read_text())["address"])

    def worker(self, name: str, *before: str, interface: str = "lo") -> None:
        """Start a worker with one thread; *before* are words to start it by."""
        folder = self.processes.folder / name
        folder.mkdir()
        words = ["--nthreads", "1", "--nworkers", "1", "--no-dashboard", "--name", name, "--interface", interface]
        where = ["--local-directory", str(folder), self.address]
        self.processes.start(name, *before, sys.executable, "-m", "distributed.cli.dask_worker", *words, *where)


@pytest.fixture(scope="session")
def cluster(home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A scheduler with two workers of one thread each."""
    processes = Processes(tmp_path_factory.mktemp("dask"))
    try:
        found = Cluster(processes)
        for name in ("w1", "w2"):
            found.worker(name)
        yield found
    finally:
        processes.stop()


class Sweeps:
    """A project with a script whose jobs leave marks."""

    def __init__(self, folder: Path, address: str) -> None:
        self.project = Project(folder)
        self.marks = folder.parent / "marks"
        self.marks.mkdir(exist_ok=True)
        self.script = self.project.write(BODY.format(marks=str(self.marks)))
        self.launcher = ["hydra/launcher=anew_dask", f"hydra.launcher.address={address}"]

    def start(self, *words: str) -> subprocess.Popen[str]:
        """Begin a sweep."""
        return self.project.start("-m", *self.launcher, *words)

    def run(self, *words: str, code: int = 0) -> str:
        """Run a sweep to its end; return what it said."""
        return self.ended(self.start(*words), code)

    def resume(self, *words: str, code: int = 0) -> str:
        """Take the sweep up again; return what it said."""
        process = subprocess.Popen(
            [*ANEW, "sweep", "resume", "1", *words],
            cwd=self.project.folder,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        return self.ended(process, code)

    def ended(self, process: subprocess.Popen[str], code: int) -> str:
        """Wait for a process, which must have the exit code *code*; return what it said."""
        try:
            out, err = process.communicate(timeout=WAIT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            out, err = process.communicate()
            pytest.fail(f"it did not end within {WAIT_S:g} s:\n{out}\n{err}")
        assert process.returncode == code, f"exit code {process.returncode}, not {code}\n{out}\n{err}"
        return err

    @property
    def record(self) -> SweepRecord:
        """The sweep as it stands."""
        return self.project.store.sweep(1)

    @property
    def statuses(self) -> list[Status]:
        """Of each job."""
        return [job.status for job in self.record.jobs]

    @property
    def executions(self) -> Counter[int]:
        """How often each job was begun."""
        return Counter(int(path.name.split("-")[0]) for path in self.marks.iterdir())

    def running(self, x: int) -> psutil.Process:
        """The process that runs a job."""
        return psutil.Process(next(int(path.name.split("-")[2]) for path in self.marks.glob(f"{x}-*")))


@pytest.fixture
def sweeps(project: Path, cluster: Cluster) -> Sweeps:
    """A project for the session's cluster."""
    return Sweeps(project, cluster.address)


def once(count: int) -> Counter[int]:
    """Each of so many jobs, begun once."""
    return Counter(range(count))


# --- what becomes of jobs -------------------------------------------------------------------------------------------


def test_each_job_ends_in_one_state_of_its_own_and_is_begun_once(sweeps: Sweeps) -> None:
    said = sweeps.run("kind=fates", "x=range(8)", code=1)

    done, failed, lost = Status.COMPLETED, Status.FAILED, Status.LOST
    assert sweeps.statuses == [done, failed, lost, lost, done, failed, failed, done]
    assert sweeps.executions == once(8)
    assert [job.attempts for job in sweeps.record.jobs] == [1] * 8
    assert sweeps.record.jobs[2].error == "left by os._exit(3)"
    assert sweeps.record.jobs[3].error == "killed by SIGKILL"
    assert "ValueError: this one" in said
    assert "Traceback" not in said


def test_a_worker_that_is_killed_costs_its_own_job_only(sweeps: Sweeps) -> None:
    """The job is told by the end of its stdin, and puts itself on record as INTERRUPTED."""
    process = sweeps.start("kind=one", "x=range(5)", "nap=60")
    until(lambda: 0 in sweeps.executions, "job 0 is running")
    job = sweeps.running(0)
    remote = job.parent()
    assert remote is not None
    worker = remote.parent()
    assert worker is not None
    worker.kill()
    process_said = sweeps.ended(process, 1)

    assert sweeps.statuses[0] in (Status.INTERRUPTED, Status.LOST), process_said
    assert sweeps.statuses[1:] == [Status.COMPLETED] * 4
    assert sweeps.executions == once(5)
    assert not job.is_running()


def test_when_the_controller_is_killed_the_sweep_can_be_resumed_and_no_job_runs_twice(sweeps: Sweeps) -> None:
    process = sweeps.start("kind=all", "x=range(5)", "nap=0.7")
    until(lambda: len(sweeps.executions) >= 3, "the third job is running")
    process.kill()
    process.communicate(timeout=WAIT_S)
    sweeps.resume()

    assert sweeps.statuses == [Status.COMPLETED] * 5
    assert sweeps.executions == once(5)


def test_jobs_run_the_source_as_it_was_planned(sweeps: Sweeps) -> None:
    process = sweeps.start("kind=gate", "x=range(4)")
    until(lambda: len(sweeps.executions) == 2, "two jobs are running")
    sweeps.script.write_text(sweeps.script.read_text().replace('"recorded"', '"edited"'))
    sweeps.marks.with_name("open").touch()
    sweeps.ended(process, 0)

    assert sweeps.executions == once(4)
    assert {path.name.split("-")[1] for path in sweeps.marks.iterdir()} == {"recorded"}


def test_ctrl_c_interrupts_what_is_running_and_leaves_the_rest_planned(sweeps: Sweeps) -> None:
    process = sweeps.start("kind=all", "x=range(4)", "nap=60")
    until(lambda: len(sweeps.executions) == 2, "two jobs are running")
    jobs = [sweeps.running(int(x)) for x in sweeps.executions]
    process.send_signal(signal.SIGINT)
    sweeps.ended(process, 130)

    assert sorted(sweeps.statuses) == sorted([Status.INTERRUPTED] * 2 + [Status.QUEUED] * 2)
    until(lambda: not any(job.is_running() for job in jobs), "the jobs' processes have ended")


def told(process: subprocess.Popen[str], text: str) -> str:
    """Read what a process says on stderr up to the line that has *text* in it, which has to come; return it all."""
    assert process.stderr is not None
    said = ""
    for line in process.stderr:
        said += line
        if text in line:
            return said
    pytest.fail(f"{text!r} was not said:\n{said}")


# --- who runs them --------------------------------------------------------------------------------------------------


def test_workers_that_come_later_are_waited_for(project: Path, tmp_path: Path, home: Path) -> None:
    processes = Processes(tmp_path)
    try:
        cluster = Cluster(processes, allowed_failures="3")
        sweeps = Sweeps(project, str(cluster.file))
        gone = sweeps.run("x=1,2", "hydra.launcher.wait_for_workers_s=1", code=2)
        process = sweeps.start("x=1,2", "hydra.launcher.wait_for_workers_s=30")
        said = told(process, "To start one")
        cluster.worker("late")
        said += sweeps.ended(process, 0)
    finally:
        processes.stop()

    assert f"No Dask worker at {cluster.address} for 1 s" in gone
    assert said.count(f"To start one: dask worker {cluster.address}") == 1
    assert "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES=0 dask scheduler" in said
    assert sweeps.executions == Counter({1: 1, 2: 1})


def test_without_an_address_jobs_run_on_this_machine(project: Path) -> None:
    sweeps = Sweeps(project, "null")
    sweeps.run("x=range(3)", "anew.sweep.workers=2")

    assert sweeps.statuses == [Status.COMPLETED] * 3
    assert sweeps.executions == once(3)


def test_a_scheduler_that_does_not_answer_is_said_in_one_message(project: Path) -> None:
    sweeps = Sweeps(project, "tcp://127.0.0.1:1")
    said = sweeps.run("x=1,2", "hydra.launcher.connect_timeout_s=1", code=2)

    assert "The Dask scheduler at tcp://127.0.0.1:1 cannot be reached" in said
    assert "Traceback" not in said
    assert sweeps.statuses == [Status.QUEUED] * 2


def test_a_scheduler_that_dies_ends_the_sweep_with_a_message(project: Path, tmp_path: Path, home: Path) -> None:
    processes = Processes(tmp_path)
    try:
        cluster = Cluster(processes)
        sweeps = Sweeps(project, cluster.address)
        cluster.worker("w")
        process = sweeps.start("kind=all", "nap=60", "x=1,2", "hydra.launcher.connect_timeout_s=1")
        until(lambda: sweeps.executions, "a job is running")
        processes.kill("scheduler")
        said = sweeps.ended(process, 2)
    finally:
        processes.stop()

    assert f"The Dask scheduler at {cluster.address} is gone" in said
    assert sweeps.executions == Counter({1: 1})
    assert sweeps.statuses[1] is Status.QUEUED


def test_without_dask_the_extra_is_named(project: Path) -> None:
    sweeps = Sweeps(project, "null")
    script = sweeps.script.read_text()
    sweeps.script.write_text(f"import sys\nsys.modules['distributed'] = None\n{script}")
    said = sweeps.run("x=1,2", code=2)

    assert "pip install 'anew[dask]'" in said


# --- two hosts ------------------------------------------------------------------------------------------------------


class Hosts:
    """Two network namespaces, each with a host name of its own, on a bridge."""

    def __init__(self) -> None:
        self.name = f"anw{os.getpid() % 10000}"
        self.subnet = f"10.77.{os.getpid() % 250}"
        self.names = [f"{self.name}a", f"{self.name}b"]

    def make(self) -> None:
        """Make them. Raises CalledProcessError where that is refused."""
        ip("link", "add", self.name, "type", "bridge")
        ip("addr", "add", f"{self.subnet}.1/24", "dev", self.name)
        ip("link", "set", self.name, "up")
        for number, host in enumerate(self.names, 2):
            ip("netns", "add", host)
            ip("link", "add", self.link(host), "type", "veth", "peer", "name", "eth0", "netns", host)
            ip("link", "set", self.link(host), "master", self.name, "up")
            ip("-n", host, "addr", "add", f"{self.subnet}.{number}/24", "dev", "eth0")
            ip("-n", host, "link", "set", "eth0", "up")
            ip("-n", host, "link", "set", "lo", "up")

    def link(self, host: str) -> str:
        """The end of a host's cable that is on the bridge."""
        return f"v{host}"

    def enter(self, host: str) -> list[str]:
        """The words before a command that is to run there."""
        return ["ip", "netns", "exec", host, "unshare", "-u", "sh", "-c", 'hostname "$0"; exec "$@"', host]

    def remove(self) -> None:
        """Remove what there is."""
        links = [("link", "del", name) for name in (*map(self.link, self.names), self.name)]
        for words in (*links, *(("netns", "del", host) for host in self.names)):
            with suppress(OSError, subprocess.SubprocessError):
                ip(*words)


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True, text=True, timeout=10)


@pytest.fixture
def hosts() -> Iterator[Hosts]:
    """Two hosts on one machine, where that is permitted."""
    found = Hosts()
    try:
        found.make()
        subprocess.run([*found.enter(found.names[0]), "true"], check=True, capture_output=True, text=True, timeout=10)
        yield found
    except OSError as error:
        pytest.skip(f"two hosts need `ip` and `unshare`: {error}")
    except subprocess.CalledProcessError as error:
        pytest.skip(f"two hosts need network namespaces, which are refused here: {error.stderr.strip()}")
    finally:
        found.remove()


def test_a_host_that_is_cut_off_keeps_its_job_and_the_sweep_goes_on(
    project: Path, tmp_path: Path, home: Path, hosts: Hosts
) -> None:
    """The cut host still has the store's folder, as with a second network for storage: its job goes on there."""
    processes = Processes(tmp_path)
    try:
        cluster = Cluster(processes, host=f"{hosts.subnet}.1")
        for host in hosts.names:
            cluster.worker(host, *hosts.enter(host), interface="eth0")
        sweeps = Sweeps(project, cluster.address)
        process = sweeps.start("kind=one", "x=range(6)", "nap=7", "hydra.launcher.silent_s=2")
        until(lambda: 0 in sweeps.executions, "job 0 is running")
        process_facts = sweeps.project.record(sweeps.record.jobs[0].run or 0).process
        cut = process_facts.hostname if process_facts else ""
        ip("link", "set", hosts.link(cut), "down")
        said = sweeps.ended(process, 0)
    finally:
        processes.stop()

    assert cut in hosts.names, said
    assert sweeps.statuses == [Status.COMPLETED] * 6
    assert sweeps.executions == once(6)


# --- options, and what is sent --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"adress": "tcp://a:1"}, "has no 'adress'"),
        ({"silent_s": 0}, "takes seconds"),
        ({"connect_timeout_s": None}, "takes seconds"),
    ],
)
def test_options_are_checked(options: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        DaskOptions.read(options)


def test_an_address_is_what_a_scheduler_file_says(tmp_path: Path) -> None:
    (tmp_path / "scheduler.json").write_text('{"address": "tcp://10.0.0.1:8786"}')

    assert DaskOptions(address=str(tmp_path / "scheduler.json")).scheduler == "tcp://10.0.0.1:8786"
    with pytest.raises(ConfigError, match="neither an address"):
        _ = DaskOptions(address=str(tmp_path / "absent.json")).scheduler


@pytest.mark.parametrize("make", [dask_task.make_run, dask_task.make_interrupt, dask_task.make_end])
def test_what_is_sent_to_workers_needs_no_module_of_ours(make: Callable[[], object]) -> None:
    """Pickled as Dask does it: where pickle fails, cloudpickle is asked."""
    with pytest.raises((AttributeError, pickle.PicklingError)):
        pickle.dumps(make())
    code = "import sys, pickle; sys.modules['anew'] = None; print(callable(pickle.load(sys.stdin.buffer)))"
    done = subprocess.run(
        [sys.executable, "-c", code], input=cloudpickle.dumps(make()), capture_output=True, check=True
    )

    assert done.stdout == b"True\n"
