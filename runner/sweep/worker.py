"""
A worker process: runs one job after the other, as it is handed them.

The script that holds main has been imported when the first job comes, as `multiprocessing` does it (as `__mp_main__`).
What a job does to the process, the next one in this worker sees: modules stay imported, globals as they are set; but
for programs, which know nothing of jobs. When a job takes the process with it, another is started.
"""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import sys
import threading
import time
from contextlib import suppress
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from anew.runner.dataclass import dataclass
from anew.runner.errors import AnewError, JobTakenError, UnkeptError
from anew.runner.guard.forked import run_forked
from anew.runner.guard.interrupts import Terminated
from anew.runner.sweep.engine import Fate, JobEnd
from anew.runner.sweep.reference import Attachment, MainReference

_ORPHAN_S = 1.0
SIGNALS = (signal.SIGINT, signal.SIGTERM)

_busy = threading.Event()


def work(setup: bytes, ticket: Any) -> JobEnd:
    """Run one job; return how it ended. *setup* is a pickled `Setup`, the same for every job of this process."""
    try:
        runner = _runner(setup)
    except AnewError as error:
        return JobEnd(Fate.NOT_BEGUN, str(error))
    except Exception as error:
        log = pickle.loads(setup).log
        why = f"A worker cannot have main again: {type(error).__name__}: {error}. What it printed: {log}"
        return JobEnd(Fate.NOT_BEGUN, why)
    return runner.run(ticket)


@dataclass(frozen=True, kw_only=True, slots=True)
class Setup:
    """What a worker is made ready with: main, the sweep, and a file for what it prints before its first job."""

    main: MainReference
    attachment: Attachment
    log: str


@cache
def _runner(setup: bytes) -> _JobRunner:
    """Return this process, made ready: once, since main's script is imported for it."""
    return _JobRunner(pickle.loads(setup))


class _JobRunner:
    """A process made ready for jobs of one sweep."""

    def __init__(self, setup: Setup) -> None:
        # signals of a terminal are for whoever hands out the jobs, and says here who is to hear them
        with suppress(OSError):
            os.setpgid(0, 0)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        _print_into(setup.log)
        sys.argv = list(setup.attachment.command.argv) or [""]
        self._main = setup.main.load()
        self._attachment = setup.attachment
        _print_into(os.devnull)  # every job keeps what it prints with its run

    def run(self, ticket: Any) -> JobEnd:
        """Run a job; one of a program in a process forked for it, which it takes for its own."""
        if not getattr(self._main.function, "runs_apart", False):
            return self._run(ticket)
        _busy.set()
        try:
            ended = run_forked(lambda: self._run(ticket))
        finally:
            _busy.clear()
        if isinstance(ended.value, JobEnd):
            return ended.value
        return JobEnd(Fate.DIED, ended.death, ended.code) if ended.error is None else JobEnd(Fate.ENDED)

    def _run(self, ticket: Any) -> JobEnd:
        _busy.set()
        try:
            self._main.run_job(ticket, replace(self._attachment, attempts={ticket.index: ticket.attempt}))
        except JobTakenError:
            return JobEnd(Fate.TAKEN)
        except UnkeptError:
            return JobEnd(Fate.ENDED)
        except AnewError as error:
            return JobEnd(Fate.NOT_BEGUN, str(error))
        except Terminated:
            # before main, as the death of a process that had not come so far would be called
            return JobEnd(Fate.ENDED, "killed by SIGTERM")
        except KeyboardInterrupt:
            return JobEnd(Fate.ENDED)
        except Exception as error:
            # sent on, it would pass for this process's death, which nobody would see come
            return JobEnd(Fate.NOT_BEGUN, f"{type(error).__name__}: {error}")
        finally:
            _busy.clear()
        return JobEnd(Fate.ENDED)


def leave_when_orphaned(parent: int) -> None:
    """Have this process end with whoever hands out the jobs; a job that is running is let come to its end."""

    def watch() -> None:
        while os.getppid() == parent or _busy.is_set():
            time.sleep(_ORPHAN_S)
        os._exit(0)

    threading.Thread(target=watch, name="anew-orphan", daemon=True).start()


def let_go_of_pools() -> None:
    """
    End the idle processes that joblib keeps for main's next call.

    They wait for five minutes, and multiprocessing has this process wait for them before it ends: loky tells its own
    pools that it is about to, which those of joblib's copy of it are not.
    """
    for child in multiprocessing.active_children():
        if "loky" in type(child).__module__.split("."):
            child.terminate()


def _print_into(path: str) -> None:
    """Have this process print into a file, from now on."""
    if path != os.devnull:
        Path(path).parent.mkdir(exist_ok=True)
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError, AttributeError):
            stream.flush()
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
    for number in (1, 2):
        os.dup2(descriptor, number)
    os.close(descriptor)
