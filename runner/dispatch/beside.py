"""
What is printed in the process beside a run, where all of it is observers': past Python's streams, too.

C code and child processes write to the descriptors 1 and 2, which lead into a pipe here. Whose a line is is certain
while one observer is at work; of several it is kept under all their names.
"""

from __future__ import annotations

import ctypes
import logging
import os
import sys
import threading
import time
from codecs import getincrementaldecoder
from contextlib import suppress
from pathlib import Path
from select import select

from anew.runner.dispatch.apart import ApartStreams
from anew.runner.dispatch.host import Task, redactor_of
from anew.runner.dispatch.observer_log import ObserverLog
from anew.runner.store.paths import RunLayout

_BLOCK = 1 << 16
_DRAIN_S = 2.0
_SETTLE_S = 0.2


class PrintedBeside:
    """The descriptors and streams of this process, from `begin` to `end`. Safe in threads."""

    def __init__(self) -> None:
        self._streams = ApartStreams(root_is_theirs=True)
        self._lock = threading.Lock()
        self._tasks: dict[int, Task] = {}
        self._reader: threading.Thread | None = None
        self._log: ObserverLog | None = None
        self._pipe = -1

    def begin(self) -> None:
        """Lead what is printed to the logs of observers."""
        self._pipe, write = os.pipe()
        for number in (1, 2):
            os.dup2(write, number)
        os.close(write)
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                stream.reconfigure(line_buffering=True)  # type: ignore[union-attr]
        # as under Hydra: else only warnings would be heard
        logging.getLogger().setLevel(logging.INFO)
        self._streams.begin()
        self._reader = threading.Thread(target=self._read, name="anew-printed", daemon=True)
        self._reader.start()

    def expect(self, task: Task) -> None:
        """Take it that an observer is at work."""
        self._settle()
        with self._lock:
            self._tasks[task.number] = task
            self._turn()

    def forget(self, number: int) -> None:
        """Take it that it is no more. What is printed is kept as before until another comes."""
        with self._lock:
            self._tasks.pop(number, None)

    def end(self) -> None:
        """Wait a moment until all is in the logs. The descriptors lead nowhere from now on."""
        with suppress(OSError, AttributeError):
            ctypes.CDLL(None).fflush(None)
        with suppress(OSError, ValueError, AttributeError):
            sys.stdout.flush()
            sys.stderr.flush()
        nowhere = os.open(os.devnull, os.O_WRONLY)
        for number in (1, 2):
            os.dup2(nowhere, number)
        if self._reader is not None:
            self._reader.join(_DRAIN_S)
        if self._log is not None:
            self._log.close()

    def _turn(self) -> None:
        """Have lines from now on kept under the names of those at work, in the folder of the run that came last."""
        last = max(self._tasks)
        folder = self._tasks[last].folder
        here = [task for task in self._tasks.values() if task.folder == folder]
        secrets = tuple(secret for task in self._tasks.values() for secret in task.secrets)
        before, layout = self._log, RunLayout(Path(folder))
        self._log = ObserverLog(layout, *(task.name for task in here), redactor=redactor_of(secrets))
        if before is not None:
            before.close()

    def _settle(self) -> None:
        """Wait a moment until what was printed so far is kept."""
        until = time.monotonic() + _SETTLE_S
        while select([self._pipe], [], [], 0)[0] and time.monotonic() < until:
            time.sleep(0.001)

    def _read(self) -> None:
        decoder = getincrementaldecoder("utf-8")("replace")
        with suppress(OSError):
            while data := os.read(self._pipe, _BLOCK):
                with self._lock:
                    if self._log is not None:
                        self._log.write(decoder.decode(data))
