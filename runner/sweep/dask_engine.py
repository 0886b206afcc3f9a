"""
Jobs on the workers of a Dask scheduler, each in a process of its own that the worker starts.

Dask carries the wish to have a job run, and its end. Whether a job runs at most once is decided by the claim in the
store, and what became of it is read there: a worker may die, a network may be cut, and Dask may do a thing twice.
"""

from __future__ import annotations

import functools
import json
import logging
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, wait
from contextlib import suppress
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar

from anew.runner.config.main import Ticket
from anew.runner.errors import ConfigError, MissingExtraError, SweepStoppedError
from anew.runner.sweep import dask_task
from anew.runner.sweep.elsewhere import JobProcessError, has_begun, job_command, settle
from anew.runner.sweep.reference import Attachment
from anew.runner.wording import say

_LOOK_S = 0.5
_ANSWER_S = 5.0
_GATHER_S = 20.0
_DRAIN_S = 10.0
_SAY_S = 3.0
_GONE_S = 1.0
_MOST_TRIES = 3
_T = TypeVar("_T")


@dataclass(frozen=True, kw_only=True, slots=True)
class DaskOptions:
    """
    What `hydra.launcher` says.

    Attributes:
        address: The scheduler's, or its scheduler file; None for workers in this process.
        connect_timeout_s: How long the scheduler may take to answer.
        wait_for_workers_s: How long to go on without any worker; None for ever.
        silent_s: After so long without a sign of life a worker counts as out of reach.
        interpreter: Python on the workers; None for the worker's own.
        settings: Overrides of the `anew` node for the jobs.
        tls_ca_file: The certificate authority's file, for a scheduler at tls://.
        tls_cert: This client's certificate.
        tls_key: Its key.
    """

    address: str | None = None
    connect_timeout_s: float = 10.0
    wait_for_workers_s: float | None = 600.0
    silent_s: float = 15.0
    interpreter: str | None = None
    settings: Sequence[str] = ()
    tls_ca_file: str | None = None
    tls_cert: str | None = None
    tls_key: str | None = None

    @classmethod
    def read(cls, options: Mapping[str, Any]) -> DaskOptions:
        """Return the options of a launcher. Raises ConfigError."""
        known = [each.name for each in fields(cls)]
        for name, value in options.items():
            if name not in known:
                raise ConfigError(f"hydra.launcher has no {name!r} for anew_dask; it has {', '.join(known)}.", key=name)
            if name.endswith("_s") and not _is_limit(name, value):
                raise ConfigError(f"hydra.launcher.{name} is {value!r}; it takes seconds, such as 10.", key=name)
        return cls(**options)

    @property
    def scheduler(self) -> str | None:
        """The scheduler's address, also when a file says it. Raises ConfigError when that cannot be read."""
        if self.address is None or "://" in self.address:
            return self.address
        try:
            return str(json.loads(Path(self.address).expanduser().read_bytes())["address"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ConfigError(
                f"hydra.launcher.address is {self.address!r}, which is neither an address such as tcp://10.0.0.1:8786 "
                f"nor a scheduler file: {error}. To make one: dask scheduler --scheduler-file {self.address}",
                key="address",
            ) from error


def _is_limit(name: str, value: object) -> bool:
    if value is None:
        return name == "wait_for_workers_s"
    return isinstance(value, (int, float)) and not isinstance(value, bool) and value > 0


@dataclass(slots=True)
class _Worker:
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
    future: Future[str]
    handle: Any = None
    worker: str = ""
    tries: int = 0


@dataclass(slots=True)
class _Crew:
    """Workers and jobs, to be touched with the lock held."""

    workers: dict[str, _Worker] = field(default_factory=dict)
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


class DaskEngine:
    """
    Satisfies `handout.Engine`. To be used in one thread; it has threads of its own, which settle the futures.

    Args:
        attachment: The sweep.
        options: How to reach the scheduler.
        workers: At most so many jobs at a time; None for as many as the workers have threads.

    Raises:
        ConfigError: The scheduler cannot be reached.
        MissingExtraError: Dask is not installed.
    """

    is_remote = True

    def __init__(self, attachment: Attachment, *, options: DaskOptions, workers: int | None = None) -> None:
        self._attachment = attachment
        self._options = options
        self._most = workers
        self._token = uuid.uuid4().hex
        self._run = dask_task.make_run()
        self._crew = _Crew()
        self._lock = threading.RLock()
        self._closing = threading.Event()
        self._ending = False
        self._unmanned_s = 0.0
        self._has_said = False
        self._looked_s = time.monotonic()
        self._connection = _Connection(options, workers or 1)
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

    def submit(self, ticket: Ticket) -> Future[str]:
        """Have a job run by the next worker that is free."""
        job = _Job(ticket, Future())
        job.future.set_running_or_notify_cancel()
        with self._lock:
            self._crew.waiting.append(job)
            self._place()
        return job.future

    def interrupt(self) -> None:
        """Have the jobs interrupted, as by a Ctrl-C, on workers that can be reached; begin none of those waiting."""
        self._ending = True
        with self._lock:
            waiting = list(self._crew.waiting)
            self._crew.waiting.clear()
        for job in waiting:
            job.future.set_result("")
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
                f"The Dask scheduler at {address} is gone. When it is back: anew sweep resume {self._attachment.sweep}",
                reason="failed",
                exit_code=2,
            )
        if limit_s is not None and self._unmanned_s > limit_s:
            raise SweepStoppedError(
                f"No Dask worker at {address} for {limit_s:g} s (hydra.launcher.wait_for_workers_s). Start one: dask "
                f"worker {address}, and go on: anew sweep resume {self._attachment.sweep}",
                reason="failed",
                exit_code=2,
            )

    # --- handing out ----------------------------------------------------------------------------------------------

    def _place(self) -> None:
        """Give waiting jobs to idle workers, each to one by name: Dask alone might choose one that is out of reach."""
        while self._crew.waiting and (worker := self._crew.idle()) is not None:
            job = self._crew.waiting.popleft()
            job.tries += 1
            job.worker = worker
            try:
                job.handle = self._connection.submit(
                    self._run,
                    self._token,
                    job_command(self._attachment, job.ticket, self._options.settings),
                    self._options.interpreter,
                    key=f"anew-{self._token}-{job.ticket.index}-{job.ticket.attempt}-{job.tries}",
                    worker=worker,
                )
            except Exception:  # the client has given up on its scheduler just now; `slots` says so
                self._crew.waiting.appendleft(job)
                self._crew.shun(worker)
                return
            self._crew.placed.add(job)
            job.handle.add_done_callback(functools.partial(self._done, job))

    def _done(self, job: _Job, handle: Any) -> None:
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
                self._lost(job, problem)
            else:
                settle(job.future, self._attachment, job.ticket, *answer)
            with suppress(Exception):
                self._place()

    def _lost(self, job: _Job, problem: str) -> None:
        """Have a job begun elsewhere whose worker was lost, when nobody has begun it; else the store will tell."""
        if has_begun(self._attachment, job.ticket) or job.tries >= _MOST_TRIES or self._ending:
            job.future.set_exception(JobProcessError(problem))
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
        passed_s = min(now - self._looked_s, 2 * _ANSWER_S)
        self._looked_s = now
        with self._lock:
            for address in found or {}:
                self._crew.workers.setdefault(address, _Worker())
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
            self._place()
        self._say_who_is_missing()

    def _give_up(self, address: str) -> None:
        for job in [each for each in self._crew.placed if each.worker == address]:
            self._crew.placed.discard(job)
            handle, job.handle = job.handle, None
            with suppress(Exception):
                handle.release()
            self._lost(job, f"its worker {address} is out of reach")

    def _say_who_is_missing(self) -> None:
        if not self._unmanned_s:
            self._has_said = False
        elif self._unmanned_s > _SAY_S and not self._has_said:
            self._has_said = True
            address = self._connection.address
            say(f"no Dask worker at {address}: waiting for one. To start one: dask worker {address}")


class _Connection:
    """
    A client of a scheduler; without an address, one with a worker in this process. Safe between threads.

    Args:
        options: How to reach it.
        threads: How many jobs the worker in this process runs at a time.
    """

    def __init__(self, options: DaskOptions, threads: int) -> None:
        try:
            import distributed
        except ImportError as error:
            raise MissingExtraError(
                "hydra/launcher=anew_dask needs Dask distributed. To install it: pip install 'anew[dask]'"
            ) from error
        # it writes about each reconnection; what of that matters is said by us
        logging.getLogger("distributed").setLevel(logging.CRITICAL)
        self._cluster: Any = None
        scheduler = options.scheduler
        if scheduler is None:
            # in this process: nobody else can have it run anything, since it takes no work from a port
            self._cluster = distributed.LocalCluster(  # type: ignore[no-untyped-call]
                n_workers=1,
                threads_per_worker=threads,
                processes=False,
                memory_limit=0,
                dashboard_address="127.0.0.1:0",  # what it shows of itself; None would be every address
                worker_dashboard_address="127.0.0.1:0",
                silence_logs=logging.CRITICAL,
                scheduler_kwargs={"allowed_failures": 0},
            )
        self.address = scheduler or "this process"
        self._client = self._connect(distributed, scheduler, options)
        if scheduler is not None:
            self._check_failures()

    def _connect(self, distributed: Any, scheduler: str | None, options: DaskOptions) -> Any:
        tls = {
            "tls_ca_file": options.tls_ca_file,
            "tls_client_cert": options.tls_cert,
            "tls_client_key": options.tls_key,
        }
        given = {name: value for name, value in tls.items() if value is not None}
        try:
            return distributed.Client(
                self._cluster or scheduler,
                timeout=options.connect_timeout_s,
                security=distributed.Security(**given, require_encryption=True) if given else None,
                set_as_default=False,
                direct_to_workers=False,
            )
        except (OSError, ValueError, TypeError, RuntimeError) as error:
            raise ConfigError(
                f"The Dask scheduler at {scheduler} cannot be reached ({_in_a_line(error)}). Is it running, and the "
                "address right? To start one: dask scheduler --host ADDRESS --scheduler-file FILE",
                key="address",
            ) from error

    def _check_failures(self) -> None:
        allowed = _within(_ANSWER_S, lambda: self._client.run_on_scheduler(dask_task.make_allowed_failures()))
        if allowed:
            say(
                f"the Dask scheduler at {self.address} begins work {allowed} more times when a worker dies. No "
                "job runs twice by that, since jobs are claimed in the store, but lost ones are noticed later. Better "
                "start it so: DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES=0 dask scheduler ..."
            )

    @property
    def is_lost(self) -> bool:
        """Whether the client has given up on its scheduler."""
        return self._client.status in ("closed", "closing")

    def workers(self) -> Mapping[str, Mapping[str, Any]] | None:
        """Return what the scheduler says of each worker, by address; None when it does not answer now."""
        if self._client.status != "running":
            return {} if self.is_lost else None
        try:
            found = self._client.sync(self._client.scheduler.identity, callback_timeout=_ANSWER_S)
        except Exception:
            return None
        return dict(found["workers"])

    def submit(self, function: Callable[..., Any], *arguments: Any, key: str, worker: str) -> Any:
        """Have a worker call a function, once; return Dask's future."""
        return self._client.submit(
            function, *arguments, key=key, workers=[worker], allow_other_workers=False, pure=False, retries=0
        )

    def on_workers(
        self, function: Callable[[str], int], token: str, workers: Sequence[str], limit_s: float = _ANSWER_S
    ) -> None:
        """Call a function in the process of each of *workers*, and wait for it at most so long. Never raises."""
        if workers and not self.is_lost:
            _within(limit_s, lambda: self._client.run(function, token, workers=workers, on_error="ignore"))

    def close(self) -> None:
        """Let go of the scheduler. Never raises."""
        _within(_ANSWER_S, lambda: self._client.close(timeout=_ANSWER_S / 2))
        if self._cluster is not None:
            _within(_ANSWER_S, lambda: self._cluster.close(timeout=_ANSWER_S / 2))


def _within(limit_s: float, call: Callable[[], _T]) -> _T | None:
    """Call a function in a thread of its own; return None when it fails, or takes longer than that."""
    found: list[_T] = []

    def do() -> None:
        with suppress(Exception):
            found.append(call())

    thread = threading.Thread(target=do, daemon=True)
    thread.start()
    thread.join(limit_s)
    return found[0] if found else None


def _in_a_line(error: BaseException | None) -> str:
    name = type(error).__name__
    if name == "KilledWorker":
        return "its worker died"
    return f"{name}: {error}".strip().split("\n")[0]
