"""Processes that were started from the page: what they print, and what came of them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from anew.runner.server.failures import Refused

# the command of this environment, also where there is no script for it; what lies in the working directory is no part
_ANEW = "import sys; sys.path[:1] = []; from anew.runner.cli import main; sys.exit(main())"
_MOST_RUNNING = 8
_MOST_KEPT = 100
_MOST_OUTPUT = 1 << 18
_MOST_ANSWER = 1 << 22


def anew_command(*words: str) -> list[str]:
    """Return the command line of an `anew` of this environment."""
    return [sys.executable, "-c", _ANEW, *words]


class Job:
    """
    One process. Safe between threads.

    Attributes:
        number: What the page calls it.
        words: What was typed, in a terminal.
    """

    def __init__(
        self,
        number: int,
        words: Sequence[str],
        place: Path,
        argv: Sequence[str],
        folder: str | None,
        variables: Mapping[str, str],
    ) -> None:
        self.number = number
        self.words = tuple(words)
        self._said = place / f"{number}.said"
        self._answer = place / f"{number}.answer"
        with self._said.open("wb") as said, self._answer.open("wb") as answer:
            # a session of its own: a Ctrl-C at the page's terminal is for the page
            self._process = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=answer,
                stderr=said,
                start_new_session=True,
                cwd=folder,
                env={**os.environ, **variables},
            )

    @property
    def exit(self) -> int | None:
        """Its exit code; None while it runs."""
        return self._process.poll()

    def output(self, offset: int) -> tuple[str, int]:
        """Return what it printed from a place on, in bytes, and where that ends."""
        with self._said.open("rb") as file:
            file.seek(min(offset, self._said.stat().st_size))
            start = file.tell()
            data = file.read(_MOST_OUTPUT)
        whole = data.decode("utf-8", "ignore") if self.exit is None else data.decode("utf-8", "backslashreplace")
        return whole, start + (len(whole.encode()) if self.exit is None else len(data))

    def answer(self) -> dict[str, Any]:
        """Return what it answered with --json; nothing where it did not."""
        with suppress(OSError, ValueError), self._answer.open("rb") as file:
            found = json.loads(file.read(_MOST_ANSWER))
            if isinstance(found, dict):
                return found
        return {}

    def stop(self) -> None:
        """Ask it to end, as a Ctrl-C does."""
        with suppress(OSError):
            self._process.terminate()


class Jobs:
    """All processes of one page; they go on when it ends, since they are runs. Safe between threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._jobs: dict[int, Job] = {}
        self._made = 0
        self._place: tempfile.TemporaryDirectory[str] | None = None

    def start(
        self,
        words: Sequence[str],
        argv: Sequence[str],
        *,
        folder: str | None = None,
        variables: Mapping[str, str] | None = None,
    ) -> Job:
        """
        Start a process.

        Args:
            words: What would be typed for it.
            argv: What it is.
            folder: Where it runs; None for the working directory.
            variables: What it finds in its environment beside what is there.

        Raises:
            Refused: So many run already, or it cannot be started.
        """
        with self._lock:
            if sum(job.exit is None for job in self._jobs.values()) >= _MOST_RUNNING:
                raise Refused(409, f"{_MOST_RUNNING} runs that were started here go on; wait for one of them.")
            if self._place is None:
                self._place = tempfile.TemporaryDirectory(prefix="anew-ui-", ignore_cleanup_errors=True)
            self._made += 1
            try:
                job = Job(self._made, words, Path(self._place.name), argv, folder, variables or {})
            except OSError as error:
                raise Refused(
                    409, f"It cannot be started: {error.strerror or os.strerror(error.errno or 0)}."
                ) from None
            self._jobs[job.number] = job
            for number in [number for number, each in self._jobs.items() if each.exit is not None][:-_MOST_KEPT]:
                del self._jobs[number]
            return job

    def get(self, number: int) -> Job:
        """Return a process. Raises Refused where there is none."""
        with self._lock:
            job = self._jobs.get(number)
        if job is None:
            raise Refused(404, f"No job {number} was started here.")
        return job

    def close(self) -> None:
        """Let go of what those that have ended printed."""
        with self._lock:
            if self._place is not None and all(job.exit is not None for job in self._jobs.values()):
                self._place.cleanup()
