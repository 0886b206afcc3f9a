"""
The roll of a run that goes on: which processes write about it, and whether one of them lost something.

Who has lost something may be unable to say so in words, since the disk is full. What needs no space is a change of
name: the roll is renamed by the first of them, and the process that the run belongs to looks at its end.

A forked child may not even be able to do that: it has given up its rights, or has another root folder. It shares memory
with the process that the run belongs to, which takes no rights, no descriptor and no space: a mark that something is
lost, and how many lines each child has written, whatever becomes of its file. It is made before the first fork.
"""

from __future__ import annotations

import mmap
import os
from contextlib import suppress
from pathlib import Path

from anew.runner.format import ids
from anew.runner.guard.journal_ends import journal_ends
from anew.runner.store.files import cannot, open_regular, read_most, write_all, write_new

_NAMES = (".roll", ".lost")
_MOST_BYTES = 1 << 24
_DURABILITY_MS = 500
# eight bytes each: the mark, then the numbers of children; pages that nobody writes to cost nothing
_SLOTS = 1 << 15
# a child's line in the roll is longer than this, so that no two begin in the same of so many bytes
_LEAST_LINE = ids.UID_LENGTH


class Roll:
    """
    The roll of one run, in the folder of its journals. Safe between threads and processes.

    Args:
        events: The folder.

    Attributes:
        told: Forked child -> the number of its latest line, as it said itself; known when the roll is closed.
    """

    def __init__(self, events: Path) -> None:
        self._events = str(events)
        self._intact, self._lost = (os.path.join(self._events, name) for name in _NAMES)
        self.told: dict[str, int] = {}
        self._missed = ""
        self._is_open = False
        self._shared: memoryview | None = None

    def open(self, durability_ms: int) -> None:
        """Begin the roll, with how children sync: the process that the run belongs to, once. Raises StoreError."""
        try:
            write_new(self._intact, b"%d\n" % durability_ms, sync=False)
        except OSError as error:
            raise cannot("write", self._intact, error) from error
        self._is_open = True
        _open.append(self)

    def share(self) -> None:
        """Have memory that children which are forked from now on share; nothing where there is some, or can be none."""
        if self._shared is None:
            with suppress(OSError):
                self._shared = memoryview(mmap.mmap(-1, 8 * _SLOTS)).cast("Q")

    @property
    def durability_ms(self) -> int:
        """As for `JournalWriter`: what the run was begun with."""
        head = (self._lines() or [""])[0]
        return int(head) if ids.is_number(head) or head == "0" else _DURABILITY_MS

    def enter(self, writer: str) -> memoryview | None:
        """
        Enter a further writer, so that its journal is missed when it is gone. Never raises.

        Returns:
            Where the writer puts the number of its latest line; None where nothing is shared with the run's process.
        """
        try:
            for path in (self._intact, self._lost):
                with suppress(FileNotFoundError):
                    return self._place(self._add(path, writer))
        except OSError:
            self.lose()
        return None

    @staticmethod
    def _add(path: str, writer: str) -> int:
        """Add a line; return where in the file it begins, which is nobody else's."""
        line = f"{writer}\n".encode()
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
        try:
            write_all(descriptor, line)
            return os.lseek(descriptor, 0, os.SEEK_CUR) - len(line)
        finally:
            os.close(descriptor)

    def _place(self, begin: int) -> memoryview | None:
        """Return the slot of the writer whose line begins there."""
        slot = 1 + begin // _LEAST_LINE
        return self._shared[slot : slot + 1] if self._shared is not None and slot < _SLOTS else None

    def lose(self) -> None:
        """Say that this process has lost something. Never raises."""
        if self._shared is not None:
            self._shared[0] = 1
        with suppress(OSError):
            os.rename(self._intact, self._lost)

    def close(self) -> list[str]:
        """
        End the roll; only in the process that began it, and once.

        Returns:
            What other processes lost, and journals that are gone, in sentences.
        """
        if not self._is_open:
            return []
        self._is_open = False
        _open.remove(self)
        is_lost, lines = self._is_lost(), self._lines()
        for path in (self._intact, self._lost):
            # it is the one or the other
            with suppress(OSError):
                os.unlink(path)
                break
        found = ["a child process could not write all of its records (it says why on stderr)"] if is_lost else []
        if lines is None:
            return [*found, self._missed or f"{self._events!r} was removed or emptied while the run went on"]
        self.told = self._numbers(lines)
        return found + self._gone(lines[1:])

    def _is_lost(self) -> bool:
        return os.path.lexists(self._lost) or bool(self._shared and self._shared[0])

    def _numbers(self, lines: list[str]) -> dict[str, int]:
        """Return the number that each child has come to, as it says itself."""
        numbers, begin = {}, 0
        for line in lines:
            place = self._place(begin) if begin else None
            if place is not None and place[0]:
                numbers[line] = place[0]
            begin += len(line.encode()) + 1
        return numbers

    def _gone(self, writers: list[str]) -> list[str]:
        """Return which journals of children are gone or cut short, in sentences."""
        gone = [name for name in writers if not os.path.lexists(os.path.join(self._events, f"{name}.jsonl"))]
        ends = journal_ends(self._events) if self.told else {}
        cut = {name: told for name, told in self.told.items() if name not in gone and ends.get(name, 0) < told}
        return [f"the journal {name}.jsonl of a child process is gone" for name in gone] + [
            f"the journal {name}.jsonl of a child process was cut short: "
            f"it ends with record {ends.get(name, 0)} of {told}"
            for name, told in cut.items()
        ]

    def _lines(self) -> list[str] | None:
        for path in (self._intact, self._lost):
            try:
                with open_regular(path) as file:
                    # what a full disk cut off of the last name is no name
                    return read_most(file, _MOST_BYTES).decode("utf-8", "replace").split("\n")[:-1]
            except FileNotFoundError:
                continue
            except OSError as error:
                self._missed = f"what children wrote cannot be looked at: {error.strerror or error}"
        return None


# the rolls of runs that go on in this process, or did in the one that it was forked from
_open: list[Roll] = []


def _share() -> None:
    for roll in tuple(_open):
        roll.share()


os.register_at_fork(before=_share)
