"""What is captured of a run, one stream of it, and how it comes into the log: what all ways of reading share."""

from __future__ import annotations

import codecs
import os
import threading
from abc import abstractmethod
from collections.abc import Callable

from anew.runner.dataclass import dataclass
from anew.runner.guard.output_log import OutputLog

READ_BYTES = 1 << 18


@dataclass(frozen=True, slots=True)
class Source:
    """
    One captured stream, as descriptors.

    Attributes:
        read: Where what was printed comes out: a pipe's end, or a pseudo-terminal's master; or a file that is printed
            to, open for reading, at the place where it is to be read from. Whoever goes on with the reading finds that
            place with the descriptor.
        destination: Where it was going; None if it went there by itself. Of a file that held more, when it was begun,
            than lies before the place: what it is printed by, which tells how far.
        terminal: Whether both are terminals, whose size is to be kept the same.
        follows: Whether it is such a file, whose end is not the end of it.
        prints: Which descriptors lead there: 1, 2, or 3 for both.
    """

    read: int
    destination: int | None = None
    terminal: bool = False
    follows: bool = False
    prints: int = 3


class Carrier:
    """
    One stream on its way, for a thread of its own.

    Args:
        source: The stream; its descriptors are closed by `close`.
        log: Where it goes, too.
        on_change: Called after each turn with False, and with True when the stream has ended.
    """

    def __init__(self, source: Source, log: OutputLog, on_change: Callable[[bool], None]) -> None:
        self.begun = False
        self.ended = False
        self.problem: str | None = None
        self.is_whole = True
        self._source = source
        self._log: OutputLog | None = log
        self._stream = log.stream(of_errors=source.prints == 2)
        self._on_change = on_change
        self._decode = codecs.getincrementaldecoder("utf-8")("backslashreplace").decode

    def begin(self) -> None:
        """Have a thread carry, unless there is one."""
        if not self.begun:
            self.begun = True
            threading.Thread(target=self._run, name="anew-output", daemon=True).start()

    def _run(self) -> None:
        """Carry until nothing more can come."""
        try:
            while self._turn():
                self._on_change(False)
        finally:
            self.ended = True
            self._on_change(True)

    def close(self) -> None:
        """Close the descriptors; to be called after the end."""
        os.close(self._source.read)
        if self._source.destination is not None:
            os.close(self._source.destination)

    @abstractmethod
    def caught_up(self) -> bool:
        """Return whether everything printed before the call was carried."""

    @abstractmethod
    def _turn(self) -> bool:
        """Wait a while for what comes, and carry it; return whether more can come."""

    def _unreadable(self, error: OSError) -> None:
        self.problem = f"Captured output could not be read: {error.strerror}"
        self.is_whole = False

    def _print(self, text: str) -> None:
        if self._log is None:
            return
        try:
            self._log.print(self._stream, text)
        except Exception as error:
            # A fault of ours in the log must not stop what the user sees, nor block who prints.
            self.problem = f"The output log ends early: {type(error).__name__}: {error}"
            self.is_whole = False
            self._log = None
