"""
Jobs of a sweep as jobs of Slurm's, by submitit.

Slurm carries the wish to have a job run, and its end. Whether a job runs at most once is decided by the claim in the
store: one that Slurm puts back into its queue finds its claim taken, and ends at once.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import field
from pathlib import Path
from typing import Any

from anew.runner.config.main import Ticket
from anew.runner.dataclass import dataclass
from anew.runner.errors import ConfigError, MissingExtraError, SweepStoppedError
from anew.runner.sweep import slurm_task
from anew.runner.sweep.elsewhere import end_of
from anew.runner.sweep.engine import Batch, EngineSetup, Fate, JobEnd, read_options

_CANCEL_S = 30.0
_PATIENCE_S = 12.0
_ANSWER_S = 0.2
_ASKED = ("partition", "account", "qos", "constraint")
_LIVING = ("UNKNOWN", "PENDING", "CONFIGURING", "RUNNING", "COMPLETING", "REQUEUED", "READY", "SUSPENDED", "STAGE_OUT")


@dataclass(frozen=True, kw_only=True, slots=True)
class SlurmOptions:
    """
    What `hydra.launcher` says; see `hydra/launcher/anew_slurm.yaml`.

    Attributes:
        partition, account, qos, constraint: As for sbatch; None leaves it to the cluster.
        timeout_min: Minutes that a job may take.
        cpus_per_task: Cores of a job.
        mem_gb: Memory of a job, in GB.
        gpus_per_node: GPUs of a job.
        additional_parameters: Further options of sbatch.
        setup: Commands of the shell before a job starts.
        max_submitted: How many jobs are Slurm's at a time, at most.
        poll_s: Every how many seconds the files of jobs are looked at.
        ask_s: Every how many seconds Slurm is asked for the states of its jobs.
        interpreter: Python on the nodes; None for this one.
        settings: Overrides of the `anew` node for the jobs.
    """

    partition: str | None = None
    account: str | None = None
    qos: str | None = None
    constraint: str | None = None
    timeout_min: int = 60
    cpus_per_task: int = 1
    mem_gb: float | None = None
    gpus_per_node: int | None = None
    additional_parameters: Mapping[str, Any] = field(default_factory=dict)
    setup: Sequence[str] = ()
    max_submitted: int = 256
    poll_s: float = 1.0
    ask_s: float = 15.0
    interpreter: str | None = None
    settings: Sequence[str] = ()

    @classmethod
    def read(cls, options: Mapping[str, Any], launcher: str = "anew_slurm") -> SlurmOptions:
        """Return the options of a launcher. Raises ConfigError."""
        for name, value in options.items():
            numeric = name.endswith(("_s", "_min", "_task", "_submitted"))
            if numeric and (isinstance(value, bool) or not isinstance(value, (int, float)) or value <= 0):
                raise ConfigError(f"hydra.launcher.{name} is {value!r}; it takes a number above 0.", key=name)
        return read_options(cls, options, launcher)

    @property
    def parameters(self) -> dict[str, Any]:
        """What submitit is told."""
        found: dict[str, Any] = {"timeout_min": int(self.timeout_min), "cpus_per_task": int(self.cpus_per_task)}
        for name in ("mem_gb", "gpus_per_node"):
            if getattr(self, name) is not None:
                found[name] = getattr(self, name)
        found.update({f"slurm_{name}": getattr(self, name) for name in _ASKED if getattr(self, name) is not None})
        if self.setup:
            found["slurm_setup"] = list(self.setup)
        if self.additional_parameters:
            found["slurm_additional_parameters"] = dict(self.additional_parameters)
        return found


def make_engine(setup: EngineSetup) -> SlurmEngine:
    """Return what has Slurm run the jobs of a sweep. Raises ConfigError, MissingExtraError."""
    options = SlurmOptions.read(setup.options, setup.launcher)
    return SlurmEngine(setup.batch, options=options, workers=setup.most, folder=setup.folder)


class SlurmEngine:
    """
    Satisfies `engine.Engine`. To be used in one thread; it has a thread of its own, which settles the futures.

    Args:
        batch: What the jobs belong to.
        options: What Slurm is asked for.
        workers: At most so many jobs at a time; None for as many as the options say.
        folder: Where submitit keeps its files; nodes and this machine share it.

    Raises:
        ConfigError: There is no Slurm here.
        MissingExtraError: submitit is not installed.
    """

    is_remote = True

    def __init__(self, batch: Batch, *, options: SlurmOptions, workers: int | None = None, folder: Path) -> None:
        self._batch = batch
        self._options = options
        self._slots = workers or options.max_submitted
        self._executor = _executor(options, folder, batch.name)
        self._lock = threading.Lock()
        self._jobs: dict[Future[JobEnd], tuple[Ticket, Any]] = {}
        self._closing = threading.Event()
        self._asked_s = time.monotonic()
        threading.Thread(target=self._keep_looking, name="anew-slurm", daemon=True).start()

    @property
    def slots(self) -> int:
        """How many jobs may be Slurm's at a time."""
        return self._slots

    def submit(self, ticket: Ticket) -> Future[JobEnd]:
        """Hand a job to Slurm. Raises SweepStoppedError when Slurm does not take it."""
        future: Future[JobEnd] = Future()
        future.set_running_or_notify_cancel()
        interpreter = self._options.interpreter or sys.executable
        command = [interpreter, *self._batch.words(ticket, self._options.settings)]
        try:
            job = self._executor.submit(slurm_task.run, command)
        except Exception as error:
            said = str(getattr(error, "output", "") or error).strip().splitlines()[-1:]
            raise SweepStoppedError(
                f"Slurm did not take job {ticket.index}: {' '.join(said)}. When it does: {self._batch.resumption}",
                reason="failed",
                exit_code=2,
            ) from error
        with self._lock:
            self._jobs[future] = ticket, job
        return future

    def interrupt(self) -> None:
        """Have Slurm cancel all jobs: SIGTERM for those that run, and those that wait are never begun."""
        with self._lock:
            jobs = dict(self._jobs)
        if jobs:
            _cancel([str(job.job_id) for _, job in jobs.values()])
        with self._lock:
            for future, (ticket, _) in jobs.items():
                # one that has begun tells of its end in the store
                if self._jobs.pop(future, None) is not None:
                    self._wait_for_end(future, ticket)

    def close(self, *, kill: bool = False) -> None:
        """Let go; with *kill*, what is still Slurm's is cancelled."""
        if kill:
            with self._lock:
                left = [str(job.job_id) for _, job in self._jobs.values()]
            if left:
                _cancel(left)
        self._closing.set()

    def _wait_for_end(self, future: Future[JobEnd], ticket: Ticket) -> None:
        """Settle the future of a cancelled job once its run has ended, or at once when it never began."""

        def wait() -> None:
            end = time.monotonic() + _PATIENCE_S
            while self._batch.has_begun(ticket) and time.monotonic() < end:
                if self._batch.has_ended(ticket):
                    break
                time.sleep(_ANSWER_S)
            future.set_result(JobEnd(Fate.ENDED))

        threading.Thread(target=wait, daemon=True).start()

    # --- what becomes of jobs -------------------------------------------------------------------------------------

    def _keep_looking(self) -> None:
        while not self._closing.wait(self._options.poll_s):
            with suppress(
                Exception
            ):  # a file that is half there, a Slurm that does not answer: the next look will tell
                self._look()

    def _look(self) -> None:
        now = time.monotonic()
        ask = now - self._asked_s >= self._options.ask_s
        if ask:
            self._asked_s = now
        with self._lock:
            jobs = list(self._jobs.items())
        if ask and jobs:
            jobs[0][1][1].watcher.update()
        for future, (ticket, job) in jobs:
            if _has_said(job):
                self._take(future, ticket, job)
            elif ask and (state := _state(job)).split(" ")[0] not in _LIVING:
                # the file may have come while Slurm was asked
                if _has_said(job):
                    self._take(future, ticket, job)
                else:
                    self._settle(future, JobEnd(Fate.DIED, f"Slurm says {state}"))

    def _take(self, future: Future[JobEnd], ticket: Ticket, job: Any) -> None:
        """Settle a future by what its job has left: the exit code of its process, or what kept it from starting one."""
        try:
            code, said = job.result()
        except Exception as error:
            self._settle(future, JobEnd(Fate.DIED, str(error).strip().splitlines()[-1]))
            return
        with self._lock:
            if self._jobs.pop(future, None) is not None:
                future.set_result(end_of(self._batch, ticket, code, said))

    def _settle(self, future: Future[JobEnd], end: JobEnd) -> None:
        with self._lock:
            if self._jobs.pop(future, None) is not None:
                future.set_result(end)


def _has_said(job: Any) -> bool:
    with suppress(OSError):
        # a network file system shows what is new in a folder after this
        folder = job.paths.folder
        folder.chmod(folder.stat().st_mode)
    return bool(job.paths.result_pickle.exists())


def _state(job: Any) -> str:
    return str(job.watcher.get_state(job.job_id, mode="cache")) or "UNKNOWN"


def _cancel(numbers: Sequence[str]) -> None:
    with suppress(OSError, subprocess.TimeoutExpired):
        subprocess.run(["scancel", *numbers], capture_output=True, timeout=_CANCEL_S, check=False)


def _executor(options: SlurmOptions, folder: Path, name: str) -> Any:
    try:
        import submitit
    except ImportError as error:
        raise MissingExtraError(
            "hydra/launcher=anew_slurm needs submitit. To install it: pip install 'anew[slurm]'"
        ) from error
    missing = [program for program in ("sbatch", "scancel", "srun", "sacct") if shutil.which(program) is None]
    if missing:
        raise ConfigError(
            f"hydra/launcher=anew_slurm needs Slurm's own commands, and {', '.join(missing)} is not on the PATH here. "
            "Start the sweep on a login node, or choose another launcher, such as anew.sweep.workers=4"
        )
    executor = submitit.AutoExecutor(folder=folder, cluster="slurm")
    try:
        executor.update_parameters(name=name, **options.parameters)
    except (TypeError, ValueError, NameError) as error:
        raise ConfigError(f"Slurm cannot be asked for {options.parameters}: {error}") from error
    return executor
