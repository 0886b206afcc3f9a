"""
Jobs on the workers of a Dask scheduler, each in a process of its own that the worker starts.

Dask carries the wish to have a job run, and its end. Whether a job runs at most once is decided by the claim in the
store, and what became of it is read there: a worker may die, a network may be cut, and Dask may do a thing twice.
"""

from __future__ import annotations

import functools
import itertools
import logging
import threading
import time
import uuid
from collections import deque
from collections.abc import Mapping
from concurrent.futures import Future, wait
from contextlib import suppress
from dataclasses import field
from typing import Any

from anew.runner.config.main import Ticket
from anew.runner.dataclass import dataclass
from anew.runner.errors import SweepStoppedError
from anew.runner.sweep import dask_task
from anew.runner.sweep.dask_connection import ANSWER_S, Connection, DaskOptions
from anew.runner.sweep.elsewhere import end_of
from anew.runner.sweep.engine import Batch, EngineSetup, Fate, JobEnd
from anew.runner.wording import say

_LOOK_S = 0.5
_GATHER_S = 20.0
_DRAIN_S = 10.0
_SAY_S = 3.0
_GONE_S = 1.0
_MOST_TRIES = 3


@dataclass(slots=True)
class _WorkerState:
    """A worker as the scheduler sees it; `silent_s` is how long we know of no sign of life."""

    threads: int = 0
    usable: bool = False
    last_seen: float | None = None
    silent_s: float = 0.0

    def note(self, seen: Mapping[str, Any] | None, passed_s: float) -> None:
        """Take what the scheduler says of it now, None for nothing."""
        if seen is not None and seen["last_seen"] != self.last_seen:
            self.last_seen = seen["last_seen"]
            self.silent_s = 0.0
        else:
            self.silent_s += passed_s
        if seen is not None:
            self.threads = int(seen["nthreads"])
        self.usable = seen is not None and seen.get("status", "running") == "running"


@dataclass(slots=True, eq=False)
class _Job:
    """A job that was submitted. `handle` is Dask's future, while a worker has it; `worker` is that worker's address."""

    ticket: Ticket
    future: Future[JobEnd]
    handle: Any = None
    worker: str = ""
    tries: int = 0


@dataclass(slots=True)
class _Crew:
    """Workers and jobs, to be touched with the lock held."""

    workers: dict[str, _WorkerState] = field(default_factory=dict)
    waiting: deque[_Job] = field(default_factory=deque)
    placed: set[_Job] = field(default_factory=set)

    def idle(self) -> str | None:
        """Return the worker with the most idle threads, or None when all are busy."""
        free = {address: each.threads for address, each in self.workers.items() if each.usable}
        for job in self.placed:
            if job.worker in free:
                free[job.worker] -= 1
        best = max(free, key=lambda address: free[address], default=None)
        return best if best is not None and free[best] > 0 else None

    def shun(self, address: str) -> None:
        """Give a worker no jobs until it was heard of again."""
        if address in self.workers:
            self.workers[address].usable = False

    def is_usable(self, address: str) -> bool:
        """Whether a worker can be given jobs, and heard."""
        return address in self.workers and self.workers[address].usable

    @property
    def slots(self) -> int:
        """How many jobs can run: threads of the workers that can be used, and jobs on those that cannot just now."""
        threads = sum(each.threads for each in self.workers.values() if each.usable)
        return threads + sum(1 for job in self.placed if not self.is_usable(job.worker))


def make_engine(setup: EngineSetup) -> DaskEngine:
    """Return what has Dask's workers run the jobs of a sweep. Raises ConfigError, MissingExtraError."""
    options = DaskOptions.read(setup.options, setup.launcher)
    return DaskEngine(setup.batch, options=options, workers=setup.most)


class DaskEngine:
    """
    Satisfies `engine.Engine`. To be used in one thread; it has threads of its own, which settle the futures.

    Args:
        batch: What the jobs belong to.
        options: How to reach the scheduler.
        workers: At most so many jobs at a time; None for as many as the workers have threads.

    Raises:
        ConfigError: The scheduler cannot be reached.
        MissingExtraError: Dask is not installed.
    """

    is_remote = True

    def __init__(self, batch: Batch, *, options: DaskOptions, workers: int | None = None) -> None:
        self._batch = batch
        self._options = options
        self._most = workers
        self._token = uuid.uuid4().hex
        self._run = dask_task.make_run()
        self._crew = _Crew()
        self._submissions = itertools.count(1)
        self._lock = threading.RLock()
        self._closing = threading.Event()
        self._ending = False
        self._unmanned_s = 0.0
        self._has_said = False
        self._looked_s = time.monotonic()
        self._connection = Connection(options, workers or 1)
        self._look()
        threading.Thread(target=self._keep_looking, name="anew-dask", daemon=True).start()

    # --- what the session calls -----------------------------------------------------------------------------------

    @property
    def slots(self) -> int:
        """How many jobs can run now. Raises SweepStoppedError when there was no worker for too long."""
        with self._lock:
            slots = self._crew.slots
            if not slots:
                self._check_deadline()
        return slots if self._most is None else min(slots, self._most)

    def submit(self, ticket: Ticket) -> Future[JobEnd]:
        """Have a job run by the next worker that is free."""
        job = _Job(ticket, Future())
        job.future.set_running_or_notify_cancel()
        with self._lock:
            self._crew.waiting.append(job)
            self._hand_out()
        return job.future

    def interrupt(self) -> None:
        """Have the jobs interrupted, as by a Ctrl-C, on workers that can be reached; begin none of those waiting."""
        self._ending = True
        with self._lock:
            waiting = list(self._crew.waiting)
            self._crew.waiting.clear()
        for job in waiting:
            job.future.set_result(JobEnd(Fate.ENDED))
        self._connection.on_workers(dask_task.make_interrupt(), self._token, self._busy_workers(), limit_s=0)

    def close(self, *, kill: bool = False) -> None:
        """Let go of the scheduler once the jobs have ended; with *kill*, end them now."""
        if kill:
            self._ending = True
            self._connection.on_workers(dask_task.make_end(), self._token, self._busy_workers())
        with self._lock:
            futures = [job.future for job in self._crew.placed if self._crew.is_usable(job.worker)]
        # what is in the store already may yet be on its way to observers
        wait(futures, timeout=_DRAIN_S)
        self._closing.set()
        self._connection.close()

    def _busy_workers(self) -> list[str]:
        with self._lock:
            return sorted({job.worker for job in self._crew.placed})

    def _check_deadline(self) -> None:
        limit_s = self._options.wait_for_workers_s
        address = self._connection.address
        if self._connection.is_lost:
            raise SweepStoppedError(
                f"The Dask scheduler at {address} is gone. When it is back: {self._batch.resumption}",
                reason="failed",
                exit_code=2,
            )
        if limit_s is not None and self._unmanned_s > limit_s:
            raise SweepStoppedError(
                f"No Dask worker at {address} for {limit_s:g} s (hydra.launcher.wait_for_workers_s). Start one: dask "
                f"worker {address}, and go on: {self._batch.resumption}",
                reason="failed",
                exit_code=2,
            )

    # --- handing out ----------------------------------------------------------------------------------------------

    def _hand_out(self) -> None:
        """Give waiting jobs to idle workers, each to one by name: Dask alone might choose one that is out of reach."""
        while self._crew.waiting and (worker := self._crew.idle()) is not None:
            job = self._crew.waiting.popleft()
            job.tries += 1
            job.worker = worker
            try:
                job.handle = self._connection.submit(
                    self._run,
                    self._token,
                    self._batch.words(job.ticket, self._options.settings),
                    self._options.interpreter,
                    # one of its own each time: Dask takes what has a key that it knows for done
                    key=f"anew-{self._token}-{job.ticket.index}-{job.ticket.attempt}-{next(self._submissions)}",
                    worker=worker,
                )
            except Exception:  # the client has given up on its scheduler just now; `slots` says so
                self._crew.waiting.appendleft(job)
                self._crew.shun(worker)
                return
            self._crew.placed.add(job)
            job.handle.add_done_callback(functools.partial(self._note_done, job))

    def _note_done(self, job: _Job, handle: Any) -> None:
        # called in the one thread that Dask has for this, where waiting for one result would hold up all others
        threading.Thread(target=self._collect, args=(job, handle), daemon=True).start()

    def _collect(self, job: _Job, handle: Any) -> None:
        """Take what Dask says of a job, and let Dask forget it."""
        problem = "its worker died"
        answer: tuple[int, str] | None = None
        try:
            if handle.status == "finished":
                answer = handle.result(timeout=_GATHER_S)
            elif handle.status == "error":
                problem = _in_a_line(handle.exception(timeout=_GATHER_S))
        except Exception as error:
            problem = f"its end could not be learnt: {_in_a_line(error)}"
        with suppress(Exception):
            handle.release()
        with self._lock:
            if job.handle is not handle or job not in self._crew.placed:
                return
            self._crew.placed.discard(job)
            if answer is None:
                self._crew.shun(job.worker)
                self._note_lost(job, problem)
            else:
                job.future.set_result(end_of(self._batch, job.ticket, *answer))
            with suppress(Exception):
                self._hand_out()

    def _note_lost(self, job: _Job, problem: str) -> None:
        """Have a job begun elsewhere whose worker was lost, when nobody has begun it; else the store will tell."""
        if self._batch.has_begun(job.ticket) or job.tries >= _MOST_TRIES or self._ending:
            job.future.set_result(JobEnd(Fate.DIED, problem))
            return
        job.handle = None
        self._crew.waiting.appendleft(job)

    # --- who is there ---------------------------------------------------------------------------------------------

    def _keep_looking(self) -> None:
        while not self._closing.wait(_LOOK_S):
            try:
                self._look()
            except Exception as error:  # the next look may go well; a thread that died would leave the sweep waiting
                logging.getLogger(__name__).debug("looking for workers failed: %s", error)

    def _look(self) -> None:
        """Ask the scheduler who is there; give up on jobs of workers that are not, and place those that wait."""
        found = self._connection.workers()
        now = time.monotonic()
        # a look may come late because this process was stopped, which is no silence of the others
        passed_s = min(now - self._looked_s, 2 * ANSWER_S)
        self._looked_s = now
        with self._lock:
            for address in found or {}:
                self._crew.workers.setdefault(address, _WorkerState())
            for address, worker in list(self._crew.workers.items()):
                is_gone = found is not None and address not in found
                worker.note((found or {}).get(address), passed_s)
                if worker.silent_s > (_GONE_S if is_gone else self._options.silent_s):
                    worker.usable = False
                    self._give_up(address)
                    if is_gone:
                        del self._crew.workers[address]
            is_manned = any(each.usable for each in self._crew.workers.values())
            self._unmanned_s = 0.0 if is_manned else self._unmanned_s + passed_s
            self._hand_out()
        self._say_who_is_missing()

    def _give_up(self, address: str) -> None:
        for job in [each for each in self._crew.placed if each.worker == address]:
            self._crew.placed.discard(job)
            handle, job.handle = job.handle, None
            with suppress(Exception):
                handle.release()
            self._note_lost(job, f"its worker {address} is out of reach")

    def _say_who_is_missing(self) -> None:
        if not self._unmanned_s:
            self._has_said = False
        elif self._unmanned_s > _SAY_S and not self._has_said:
            self._has_said = True
            address = self._connection.address
            say(f"no Dask worker at {address}: waiting for one. To start one: dask worker {address}")


def _in_a_line(error: BaseException | None) -> str:
    name = type(error).__name__
    if name == "KilledWorker":
        return "its worker died"
    return f"{name}: {error}".strip().split("\n")[0]
