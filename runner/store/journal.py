"""
The journal: one process's append-only file of sealed lines.

A line is a JSON object with its number first and the CRC-32 of the bytes before it last, written by one unbuffered
`write`. Once that call has returned, the kernel holds the line and the death of the process cannot take it away; a
background thread makes it survive a power cut. The reader trusts nothing: a line counts when its checksum does.
"""

from __future__ import annotations

import json
import math
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from json.encoder import encode_basestring_ascii as quoted
from pathlib import Path
from typing import Any
from zlib import crc32

from anew.runner import serial
from anew.runner.errors import StoreError
from anew.runner.serial import DamagedError
from anew.runner.store.durability import forget, keep_synced, sync_descriptor
from anew.runner.store.files import cannot
from anew.runner.values import number_from_json, number_to_json

MAX_LINE = 64 * 2**20
_CHUNK = 1 << 20
_LEAST_STEP, _GREATEST_STEP = -(2**63), 2**63 - 1

_forks = 0


def _count_fork() -> None:
    global _forks
    _forks += 1


os.register_at_fork(after_in_child=_count_fork)


class JournalWriter:
    """
    Appends to one journal. Safe in threads; a forked child must go on with a `successor`.

    Args:
        path: A file that does not exist.
        clock: Seconds since the run started.
        durability_ms: How long a line may be without being synced to disk; 0 syncs in every call.

    Raises:
        StoreError: The file cannot be made.
    """

    def __init__(self, path: Path, *, clock: Callable[[], float], durability_ms: int = 500) -> None:
        self.path = path
        self._clock = clock
        self._durability_ms = durability_ms
        self._lock = threading.Lock()
        self._forks = _forks
        self._q = 0
        self._length = 0
        self._torn = False
        self._t = 0.0
        self._names: dict[str, str] = {}
        self._next: dict[str, int] = {}
        try:
            self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise cannot("write", path, error) from error
        if durability_ms:
            keep_synced(self, durability_ms / 1000)

    @property
    def forked(self) -> bool:
        """Whether this process is a fork of the one that the journal belongs to."""
        return self._forks != _forks

    def successor(self, path: Path) -> JournalWriter:
        """Return a journal for this process that goes on counting steps where this one stood at the fork."""
        writer = JournalWriter(path, clock=self._clock, durability_ms=self._durability_ms)
        writer._next = dict(self._next)
        return writer

    def append(self, kind: str, body: Mapping[str, Any]) -> int:
        """
        Write one entry whose members are JSON values; return its number.

        Raises:
            StoreError: It could not be written; the journal is as it was before and can be written to again.
        """
        members = serial.dumps(body)[1:-1]
        with self._lock:
            tail = f',"k":"{kind}","t":{self._now()!r}' + (f",{members}" if members else "")
            return self._write(tail)

    def log(self, values: Mapping[str, Any], step: int | None = None) -> dict[str, str] | None:
        """
        Write one line of metrics; see `Run.log`.

        Returns:
            The names that were left out, each with the reason; None when there are none.

        Raises:
            StoreError: As for `append`.
        """
        names = self._names
        parts: list[str] = []
        kept: list[str] = []
        odd: dict[str, Any] | None = None
        for name, value in values.items():
            key = names.get(name) if type(name) is str else None
            if key is None or not (type(value) is float and value - value == 0.0):
                odd = odd or {}
                odd[name] = value
                continue
            parts.append(f"{key}{value!r}")
            kept.append(name)
        refused = self._take_odd(odd, parts, kept) if odd else None
        if not parts:
            return refused
        if step is not None and not (type(step) is int and _LEAST_STEP <= step <= _GREATEST_STEP):
            step, why = _whole(step)
            if why:
                return {**(refused or {}), **dict.fromkeys(kept, why)}
        with self._lock:
            following = self._next
            if step is None:
                step = max([following.get(name, 0) for name in kept]) if len(kept) > 1 else following.get(kept[0], 0)
            self._write(f',"k":"m","t":{self._now()!r},"s":{step},"m":{{{",".join(parts)}}}')
            after = step + 1
            for name in kept:
                following[name] = after
        return refused or None

    def sync(self) -> None:
        """Make everything written survive a power cut. Raises StoreError."""
        try:
            sync_descriptor(self._descriptor)
        except OSError as error:
            raise cannot("sync", self.path, error) from error

    def close(self) -> None:
        """Sync and close; a second time does nothing. Raises StoreError when the disk reports a fault."""
        with self._lock:
            if self._descriptor < 0:
                return
            forget(self)
            try:
                self.sync()
            finally:
                os.close(self._descriptor)
                self._descriptor = -1

    def _now(self) -> float:
        self._t = max(self._t, round(self._clock(), 6))
        return self._t

    def _write(self, tail: str) -> int:
        """Write `{"q":N` + *tail* + seal as one line; the lock is held."""
        if self._descriptor < 0:
            raise StoreError(f"The journal {str(self.path)!r} is closed: its run has ended.")
        q = self._q + 1
        head = f'{{"q":{q}{tail}'.encode("ascii")
        line = b'%s,"c":"%08x"}\n' % (head, crc32(head))
        if self._torn:
            line = b"\n" + line
        try:
            written = os.write(self._descriptor, line)
            if written != len(line):
                os.write(self._descriptor, line[written:])
        except OSError as error:
            self._take_back()
            raise cannot("write", self.path, error) from error
        except BaseException:
            # a signal handler raised after the write: the line is there, and its number is used up
            if os.fstat(self._descriptor).st_size >= self._length + len(line):
                self._torn, self._length, self._q = False, self._length + len(line), q
            else:
                self._take_back()
            raise
        self._torn, self._length, self._q = False, self._length + len(line), q
        if not self._durability_ms:
            self.sync()
        return q

    def _take_back(self) -> None:
        """Cut off what a failed write left; where that fails too, the next line begins on a line of its own."""
        try:
            os.ftruncate(self._descriptor, self._length)
        except OSError:
            self._torn = True

    def _take_odd(self, values: Mapping[Any, Any], parts: list[str], kept: list[str]) -> dict[str, str]:
        """Take what the quick way of `log` does not: new names, other numbers, nested mappings; refuse the rest."""
        refused: dict[str, str] = {}
        for name, value in values.items():
            if not isinstance(name, str):
                refused[repr(name)] = f"a metric's name is a text, not {type(name).__name__}"
            elif isinstance(value, Mapping):
                self._take_odd_nested(name, value, parts, kept, refused)
            else:
                number, why = as_number(value)
                if why:
                    refused[name] = why
                else:
                    parts.append(f"{self._key(name)}{number}")
                    kept.append(name)
        return refused

    def _take_odd_nested(
        self, name: str, values: Mapping[Any, Any], parts: list[str], kept: list[str], refused: dict[str, str]
    ) -> None:
        inner = {f"{name}/{key}" if isinstance(key, str) else key: value for key, value in values.items()}
        refused.update(self._take_odd(inner, parts, kept))

    def _key(self, name: str) -> str:
        key = self._names.get(name)
        if key is None:
            key = self._names[name] = f"{quoted(name)}:"
        return key


def as_number(value: Any) -> tuple[str, str]:
    """Return a number as JSON text and "", or "" and why it is none. Calls nothing but the value's own methods."""
    if hasattr(value, "item") and getattr(value, "ndim", 0) == 0:
        try:
            value = value.item()
        except Exception as error:
            return "", f"its item() failed: {error}"
    if isinstance(value, bool):
        return str(int(value)), ""
    if isinstance(value, int):
        return _digits(int(value)), ""
    if isinstance(value, float):
        return json.dumps(number_to_json(float(value))), ""
    kind = type(value)
    if kind.__module__ in ("decimal", "_decimal", "fractions", "_pydecimal"):
        return json.dumps(number_to_json(float(value))), ""
    return "", f"a metric is one number, not {_described(value)}"


def _digits(value: int) -> str:
    try:
        return str(value)
    except ValueError:
        return json.dumps(number_to_json(math.inf if value > 0 else -math.inf))


def _described(value: Any) -> str:
    if getattr(value, "ndim", 0):
        return f"an array of shape {tuple(value.shape)}"
    return "None" if value is None else f"a value of type {type(value).__name__}"


def _whole(step: Any) -> tuple[int, str]:
    """Return a step as an int and "", or 0 and why it is none."""
    number, why = as_number(step)
    if why or isinstance(step, bool):
        return 0, f"its step is {step!r}, not a whole number"
    value = float(number.strip('"')) if not number.lstrip("-").isdigit() else int(number)
    if value != value or value in (math.inf, -math.inf) or value != int(value):
        return 0, f"its step is {step!r}, not a whole number"
    if not _LEAST_STEP <= value <= _GREATEST_STEP:
        return 0, f"its step {step!r} does not fit into 64 bits"
    return int(value), ""


# --- reading ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Damage:
    """
    Something in a journal that is not what was written.

    Attributes:
        offset: Where, in bytes from the start.
        what: A sentence.
        torn: Whether it is only the unfinished last line of a writer that lives or was killed.
    """

    offset: int
    what: str
    torn: bool = False

    def __str__(self) -> str:
        return f"at byte {self.offset}: {self.what}"


def iter_journal(path: Path) -> Iterator[dict[str, Any] | Damage]:
    """
    Yield every entry that is intact, in order, and a `Damage` wherever something is missing or wrong.

    An unfinished last line is passed over. Never raises on account of the content; memory stays bounded.

    Raises:
        OSError: The file cannot be read.
    """
    expected = 1
    for offset, line, whole in _lines(path):
        if line is None:
            yield Damage(offset, f"a line longer than {MAX_LINE} bytes was passed over")
            continue
        if not line:
            continue
        try:
            entry = serial.unseal(line)
            q = entry["q"]
        except (DamagedError, KeyError) as error:
            if whole:
                yield Damage(offset, f"a damaged line was passed over: {error}")
            continue
        if q != expected:
            yield Damage(offset, _gap(expected, q))
        expected = q + 1 if isinstance(q, int) else expected
        yield entry


def _gap(expected: int, found: Any) -> str:
    if isinstance(found, int) and found > expected:
        return f"the entries {expected} to {found - 1} are missing"
    return f"entry {found} stands where {expected} should"


def _lines(path: Path) -> Iterator[tuple[int, bytes | None, bool]]:
    """Yield (offset, line, whether it ends in a newline); None for a line that is too long."""
    offset = 0
    with path.open("rb", buffering=_CHUNK) as file:
        while line := file.readline(MAX_LINE):
            start = offset
            offset += len(line)
            if line.endswith(b"\n"):
                yield start, line[:-1], True
            elif len(line) < MAX_LINE:
                yield start, line, False
            else:
                while line and not line.endswith(b"\n"):
                    line = file.readline(MAX_LINE)
                    offset += len(line)
                yield start, None, True


def tail(path: Path, offset: int) -> tuple[list[dict[str, Any]], int]:
    """
    Return the intact entries from *offset* on, and where to go on; a line without its end is left for the next time.

    Raises:
        OSError: The file cannot be read.
    """
    with path.open("rb") as file:
        file.seek(offset)
        data = file.read()
    end = data.rfind(b"\n") + 1
    entries = []
    for line in data[:end].splitlines():
        with suppress(DamagedError):
            entries.append(serial.unseal(line))
    return entries, offset + end


def read_points(path: Path, name: str) -> Iterator[tuple[float, int, float | int]]:
    """
    Yield (time, step, value) of one metric, in order; lines that lack the name's bytes are not even parsed.

    Raises:
        OSError: The file cannot be read.
    """
    mark = f"{quoted(name)}:".encode("ascii")
    for _, line, _ in _lines(path):
        if line is None or mark not in line:
            continue
        try:
            entry = serial.unseal(line)
            if entry.get("k") == "m" and name in entry["m"]:
                yield entry["t"], entry["s"], number_from_json(entry["m"][name])
        except (DamagedError, KeyError, TypeError, ValueError):
            continue
