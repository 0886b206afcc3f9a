"""
Carries what was printed to where it was going, and to the log.

Runs in the guard process; in the process itself only when there is no guard (any longer).
"""

from __future__ import annotations

import errno
import os
import select
import time
from collections.abc import Callable, Sequence

from anew.runner.guard.carrier import READ_BYTES, Carrier, Source
from anew.runner.guard.follower import Follower
from anew.runner.guard.output_log import FLUSH_S, OutputLog

_WINDOW_S = 0.5


class Capture:
    """
    The streams of one run and their log, a thread for each stream; for a file that is followed not before it is `due`,
    since most runs of many have ended by then.

    A destination that does not take more holds its own stream up, and no other. One that takes nothing ever again (a
    closed pipe, a terminal gone) is given up: the log goes on, and the writer is not told, since a run is worth more
    than its listener.

    Args:
        log: Descriptor of the log, open for reading and writing.
        on_change: Called from the threads when a stream has ended, and while `watched`, whenever one has caught up.
        seals: Where the log's checksums belong.
    """

    def __init__(
        self,
        log: int,
        sources: Sequence[Source],
        *,
        limit_bytes: int,
        secrets: Sequence[str],
        on_change: Callable[[], None],
        seals: str | None = None,
    ) -> None:
        self.watched = False
        self._descriptor = log
        self._on_change = on_change
        self._sources = tuple(sources)
        self._log = OutputLog(log, limit_bytes, secrets, seals=seals)
        self._followers = [Follower(each, self._log, self._changed) for each in sources if each.follows]
        pumps = [Pump(each, self._log, self._changed, first=self._look) for each in sources if not each.follows]
        self._carriers: list[Carrier] = [*pumps, *self._followers]
        self._due_at = time.monotonic() + FLUSH_S
        for pump in pumps:
            pump.begin()

    def _changed(self, ended: bool) -> None:
        if ended or self.watched:
            self._on_change()

    def _look(self) -> None:
        for follower in self._followers:
            follower.look()

    @property
    def due(self) -> float | None:
        """When `follow` is to be called, on the monotonic clock; None where it was, or need not be."""
        return None if all(each.begun or each.ended for each in self._followers) else self._due_at

    def follow(self) -> None:
        """Begin to read files that are followed, as they grow."""
        for follower in self._followers:
            if not follower.ended:
                follower.begin()

    def finish(self) -> None:
        """Have nothing taken of files that are followed but what they hold by now; streams end by themselves."""
        for follower in self._followers:
            follower.finish()

    @property
    def ended(self) -> bool:
        """Whether no stream can bring anything more."""
        return all(each.ended for each in self._carriers)

    def caught_up(self) -> bool:
        """Return whether everything printed before the call has arrived; then it is on disk, too."""
        if not all(each.caught_up() for each in self._carriers):
            return False
        self._log.flush()
        return True

    def is_of(self, path: str) -> bool:
        """Whether this is the log that lies at *path*."""
        try:
            return os.path.samestat(os.fstat(self._descriptor), os.lstat(path))
        except OSError:
            return False

    @property
    def settled_bytes(self) -> int:
        """How many bytes of the log will not change any more."""
        return self._log.settled_bytes

    @property
    def sealed_bytes(self) -> int:
        """How many of them have their checksums on record."""
        return self._log.sealed_bytes

    @property
    def turns(self) -> tuple[int, ...] | None:
        """How many lines of the log are of stdout, of stderr, and so on by turns; None where that cannot be told."""
        return None if any(each.prints == 3 for each in self._sources) else self._log.turns

    @property
    def problem(self) -> str | None:
        """What could not be written, as a sentence."""
        return self._log.problem or next((each.problem for each in self._carriers if each.problem), None)

    @property
    def is_whole(self) -> bool:
        """Whether all that was printed is in the log, but for what is beyond its limit."""
        return self._log.problem is None and all(each.is_whole for each in self._carriers)

    def close(self) -> None:
        """Finish the log and close every descriptor; to be called once, when all streams have ended."""
        self._log.close()
        os.close(self._descriptor)
        for carrier in self._carriers:
            carrier.close()


class Pump(Carrier):
    """
    One stream on its way: a pipe, or a pseudo-terminal.

    Args:
        first: Called before what was read is printed: what other streams got earlier comes before it.
    """

    def __init__(
        self, source: Source, log: OutputLog, on_change: Callable[[bool], None], *, first: Callable[[], None]
    ) -> None:
        super().__init__(source, log, on_change)
        self._destination = source.destination
        self._first = first
        self._busy = False
        self._looked = time.monotonic()
        self._readable = select.poll()
        self._readable.register(source.read, select.POLLIN)

    def caught_up(self) -> bool:
        """Return whether everything printed before the call was carried."""
        if self.ended:
            return True
        # In this order: `_busy` is set before the bytes leave the pipe.
        return not _ready(self._source.read, select.POLLIN, 0) and not self._busy

    def _turn(self) -> bool:
        ready = self._readable.poll(self._patience_ms())
        if self._source.terminal and time.monotonic() - self._looked > _WINDOW_S:
            self._copy_window()
        if not ready:
            return True
        self._busy = True
        data = self._read()
        if not data:
            self._print(self._decode(b"", True))
            return False
        self._deliver(data)
        self._first()
        self._print(self._decode(data))
        self._busy = False
        return True

    def _patience_ms(self) -> int | None:
        due = self._log.tick() if self._log else None
        if self._source.terminal:
            due = min(_WINDOW_S, due or _WINDOW_S)
        return None if due is None else int(due * 1000) + 1

    def _read(self) -> bytes:
        try:
            return os.read(self._source.read, READ_BYTES)
        except OSError as error:
            if error.errno != errno.EIO:  # a pseudo-terminal's way of saying that its last writer has gone
                self._unreadable(error)
            return b""

    def _deliver(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest and self._destination is not None:
            try:
                rest = rest[os.write(self._destination, rest) :]
            except BlockingIOError:
                _ready(self._destination, select.POLLOUT, None)
            except OSError as error:
                self._destination = None
                if error.errno != errno.EPIPE:
                    self.problem = f"Output could not be passed on: {error.strerror}; it is in the log"

    def _copy_window(self) -> None:
        """Give the pseudo-terminal the size of the real one; nobody else can, since its signal goes to the process."""
        self._looked = time.monotonic()
        if self._destination is None:
            return
        import fcntl
        import termios

        try:
            real = fcntl.ioctl(self._destination, termios.TIOCGWINSZ, bytes(8))
            if fcntl.ioctl(self._source.read, termios.TIOCGWINSZ, bytes(8)) != real:
                fcntl.ioctl(self._source.read, termios.TIOCSWINSZ, real)
        except OSError:
            return


def _ready(descriptor: int, event: int, timeout_ms: int | None) -> bool:
    poller = select.poll()
    poller.register(descriptor, event)
    return bool(poller.poll(timeout_ms))
