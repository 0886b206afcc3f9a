"""A client of Dask's scheduler, and what `hydra.launcher` says of it. Dask is imported when a client is made."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from anew.runner.dataclass import dataclass
from anew.runner.errors import ConfigError, MissingExtraError
from anew.runner.sweep import dask_task
from anew.runner.sweep.engine import read_options
from anew.runner.wording import in_a_line, say

ANSWER_S = 5.0
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
    def read(cls, options: Mapping[str, Any], launcher: str = "anew_dask") -> DaskOptions:
        """Return the options of a launcher. Raises ConfigError."""
        for name, value in options.items():
            if name.endswith("_s") and not _is_limit(name, value):
                raise ConfigError(f"hydra.launcher.{name} is {value!r}; it takes seconds, such as 10.", key=name)
        return read_options(cls, options, launcher)

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


class Connection:
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
                f"The Dask scheduler at {scheduler} cannot be reached ({in_a_line(error)}). Is it running, and the "
                "address right? To start one: dask scheduler --host ADDRESS --scheduler-file FILE",
                key="address",
            ) from error

    def _check_failures(self) -> None:
        allowed = _within(ANSWER_S, lambda: self._client.run_on_scheduler(dask_task.make_allowed_failures()))
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
            found = self._client.sync(self._client.scheduler.identity, callback_timeout=ANSWER_S)
        except Exception:
            return None
        return dict(found["workers"])

    def submit(self, function: Callable[..., Any], *arguments: Any, key: str, worker: str) -> Any:
        """Have a worker call a function, once; return Dask's future."""
        return self._client.submit(
            function, *arguments, key=key, workers=[worker], allow_other_workers=False, pure=False, retries=0
        )

    def on_workers(
        self, function: Callable[[str], int], token: str, workers: Sequence[str], limit_s: float = ANSWER_S
    ) -> None:
        """Call a function in the process of each of *workers*, and wait for it at most so long. Never raises."""
        if workers and not self.is_lost:
            _within(limit_s, lambda: self._client.run(function, token, workers=workers, on_error="ignore"))

    def close(self) -> None:
        """Let go of the scheduler. Never raises."""
        _within(ANSWER_S, lambda: self._client.close(timeout=ANSWER_S / 2))
        if self._cluster is not None:
            _within(ANSWER_S, lambda: self._cluster.close(timeout=ANSWER_S / 2))


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
