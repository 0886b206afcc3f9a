"""
The roll of a run that goes on: which processes write about it, and whether one of them lost something.

Who has lost something may be unable to say so in words, since the disk is full. What needs no space is a change of
name: the roll is renamed by the first of them, and the process that the run belongs to looks at its end.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from anew.runner.format import ids
from anew.runner.store.files import cannot, open_regular, write_all, write_new

_NAMES = (".roll", ".lost")
_MOST_BYTES = 1 << 24
_DURABILITY_MS = 500


class Roll:
    """
    The roll of one run, in the folder of its journals. Safe between threads and processes.

    Args:
        events: The folder.
    """

    def __init__(self, events: Path) -> None:
        self._intact, self._lost = (events / name for name in _NAMES)
        self._is_open = False

    def open(self, durability_ms: int) -> None:
        """Begin the roll, with how children sync: the process that the run belongs to, once. Raises StoreError."""
        try:
            write_new(self._intact, b"%d\n" % durability_ms, sync=False)
        except OSError as error:
            raise cannot("write", self._intact, error) from error
        self._is_open = True

    @property
    def durability_ms(self) -> int:
        """As for `JournalWriter`: what the run was begun with."""
        head = (self._lines() or [""])[0]
        return int(head) if ids.is_number(head) or head == "0" else _DURABILITY_MS

    def enter(self, writer: str) -> None:
        """Enter a further writer, so that its journal is missed when it is gone. Never raises."""
        try:
            for path in (self._intact, self._lost):
                with suppress(FileNotFoundError):
                    self._add(path, writer)
                    return
        except OSError:
            self.lose()

    @staticmethod
    def _add(path: Path, writer: str) -> None:
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
        try:
            write_all(descriptor, f"{writer}\n".encode())
        finally:
            os.close(descriptor)

    def lose(self) -> None:
        """Say that this process has lost something. Never raises."""
        with suppress(OSError):
            self._intact.rename(self._lost)

    def close(self) -> list[str]:
        """
        End the roll; only in the process that began it, and once.

        Returns:
            What other processes lost, and journals that are gone, in sentences.
        """
        if not self._is_open:
            return []
        self._is_open = False
        events = self._intact.parent
        is_lost, lines = os.path.lexists(self._lost), self._lines()
        for path in (self._intact, self._lost):
            with suppress(OSError):
                path.unlink()
        if lines is None:
            return [f"{str(events)!r} was removed or emptied while the run went on"]
        gone = [name for name in lines[1:] if not os.path.lexists(events / f"{name}.jsonl")]
        found = [f"the journal {name}.jsonl of a child process is gone" for name in gone]
        if is_lost:
            found.insert(0, "a child process could not write all of its records (it says why on stderr)")
        return found

    def _lines(self) -> list[str] | None:
        for path in (self._intact, self._lost):
            with suppress(OSError), open_regular(path) as file:
                # what a full disk cut off of the last name is no name
                return file.read(_MOST_BYTES).decode("utf-8", "replace").split("\n")[:-1]
        return None
