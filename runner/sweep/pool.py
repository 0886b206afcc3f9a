"""
Worker processes on this machine, by loky.

Each is an executor of its own with one process: loky ends all processes of an executor when one of them dies, and what
kills one job is not to end another.
"""

from __future__ import annotations

import os
import pickle
import signal
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from pathlib import Path

from loky import BrokenProcessPool, ProcessPoolExecutor
from loky.backend import get_context

from anew.runner.config.main import Ticket
from anew.runner.dataclass import dataclass
from anew.runner.errors import EXIT_SIGNAL
from anew.runner.lazy.patterns import regexp
from anew.runner.store.liveness import process_alive
from anew.runner.store.paths import SweepLayout
from anew.runner.sweep.engine import EngineSetup, Fate, JobEnd, read_options
from anew.runner.sweep.reference import Attachment, MainReference
from anew.runner.sweep.worker import SIGNALS, Setup, leave_when_orphaned, let_go_of_pools, work

_EXIT_CODE = regexp(r"\{([^}]*)\}")


@dataclass(frozen=True, kw_only=True, slots=True)
class PoolOptions:
    """What `hydra.launcher` says: nothing; how many workers there are is `anew.sweep.workers`."""


def make_engine(setup: EngineSetup) -> Pool:
    """Return the workers of a sweep. Raises ConfigError."""
    read_options(PoolOptions, setup.options, setup.launcher)
    given = setup.workers
    assert given is not None, "only a sweep asks for it, and says what its workers need"
    return Pool(
        given.main,
        given.attachment,
        workers=setup.most or 1,
        layout=given.layout,
        devices=visible_devices() if given.settings.gpus == "auto" else [],
    )


class Pool:
    """
    So many workers, each with one job at a time.

    Args:
        main: What they run.
        attachment: The sweep.
        workers: How many.
        layout: Where the sweep keeps what workers print before their first job.
        devices: GPUs to hand out, one to each worker in turn; none to leave it.
    """

    def __init__(
        self,
        main: MainReference,
        attachment: Attachment,
        *,
        workers: int,
        layout: SweepLayout,
        devices: Sequence[str] = (),
    ) -> None:
        self.slots = workers
        self.is_remote = False
        self._workers = [
            _Slot(
                Setup(main=main, attachment=attachment, log=str(layout.worker_log(number + 1))),
                {"CUDA_VISIBLE_DEVICES": devices[number % len(devices)]} if devices else {},
            )
            for number in range(workers)
        ]

    def submit(self, ticket: Ticket) -> Future[JobEnd]:
        """Hand a job to an idle worker."""
        return next(each for each in self._workers if each.is_idle).submit(ticket)

    def interrupt(self) -> None:
        """Have the running jobs interrupted, as by a Ctrl-C."""
        for worker in self._workers:
            worker.interrupt()

    def close(self, *, kill: bool = False) -> None:
        """Let the workers go; with *kill*, whatever they are doing."""
        for worker in self._workers:
            worker.close(kill=kill)


class _Slot:
    def __init__(self, setup: Setup, variables: dict[str, str]) -> None:
        self._setup = setup
        self._packed = pickle.dumps(setup)
        self._variables = variables
        self._executor: ProcessPoolExecutor | None = None
        self._future: Future[JobEnd] | None = None
        self._ticket: Ticket | None = None

    @property
    def is_idle(self) -> bool:
        return self._future is None or self._future.done()

    def submit(self, ticket: Ticket) -> Future[JobEnd]:
        if self._future is not None and self._future.exception() is not None:
            self.close(kill=True)
        if self._executor is None:
            # a script is imported anew only when main is in it: what it does beside that is not for workers
            context = get_context("loky_init_main" if self._setup.main.is_in_script else "loky")
            # one whose parent dies while it starts would wait for its first job for ever
            self._executor = ProcessPoolExecutor(
                max_workers=1, context=context, initializer=leave_when_orphaned, initargs=(os.getpid(),)
            )
        with _hold_signals(), _environment(self._variables):
            future: Future[JobEnd] = self._executor.submit(work, self._packed, ticket)
        self._future, self._ticket = future, ticket
        end: Future[JobEnd] = Future()
        future.add_done_callback(lambda done: end.set_result(_end_of(done)))
        return end

    def interrupt(self) -> None:
        if self._ticket is None or self.is_idle:
            return
        # one that has not begun will see that the sweep is to stop before it does
        process = self._setup.attachment.process_of(self._ticket)
        if process is not None and process_alive(process):
            with suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGINT)

    def close(self, *, kill: bool = False) -> None:
        if self._executor is not None:
            if not kill:
                with suppress(BrokenProcessPool):
                    self._executor.submit(let_go_of_pools)
            self._executor.shutdown(wait=not kill, kill_workers=kill)
            self._executor = None
            self._future = None
        log = Path(self._setup.log)
        with suppress(OSError):
            if not log.stat().st_size:
                log.unlink()


@contextmanager
def _hold_signals() -> Iterator[None]:
    """Start processes that do not hear the terminal's Ctrl-C until they are ready for it."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def _environment(variables: dict[str, str]) -> Iterator[None]:
    """Have a process that is started begin with these variables: what its script imports may look at them at once."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _end_of(future: Future[JobEnd]) -> JobEnd:
    error = future.exception()
    return future.result() if error is None else _death(error)


def _death(error: BaseException) -> JobEnd:
    """Return the end of a worker that died, as loky says it: `{SIGKILL(-9)}`, `{EXIT(3)}`."""
    found = _EXIT_CODE.search(str(error))
    if not found:
        return JobEnd(Fate.DIED, "the process died")
    name, _, text = found[1].partition("(")
    code = text.rstrip(")")
    if name.startswith("SIG"):
        return JobEnd(Fate.DIED, f"killed by {name}", EXIT_SIGNAL + getattr(signal, name, 0))
    return JobEnd(Fate.DIED, f"left by os._exit({code})", int(code)) if code else JobEnd(Fate.DIED, found[1])


def visible_devices() -> list[str]:
    """Return the GPUs of this machine that jobs may have, as `CUDA_VISIBLE_DEVICES` names them."""
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is not None:
        return [each.strip() for each in named.split(",") if each.strip() and each.strip() != "-1"]
    try:
        import pynvml

        pynvml.nvmlInit()
        return [str(number) for number in range(pynvml.nvmlDeviceGetCount())]
    except Exception:  # no driver, no library, no GPU
        return []
