"""
What the journals of a run that has ended come to, so that its points are read once.

The index keeps it of long runs: a summary of each metric, and the entries of every other kind. It holds while the
journals are as they were; those that a run is given later, with tags and notes, are read beside it.
"""

from __future__ import annotations

import json
import time
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from anew.runner import events as ev
from anew.runner.dataclass import dataclass
from anew.runner.format import serial
from anew.runner.format.codecs import MALFORMED, DamagedError, codec_of
from anew.runner.records import MetricSummary
from anew.runner.store.journal_forms import State, state_of
from anew.runner.store.stamps import YOUNG_NS

LEAST_BYTES = 1 << 17
"""What is read within milliseconds anyway is not kept."""
# of a run of which little but points is to be left out
_MOST_BYTES, _MOST_ENTRIES = 1 << 22, 1 << 14
_QUICK = 1
Placed = tuple[float, dict[str, Any]]
"""An entry behind the time that it is in order by, among those of other writers."""


@dataclass(frozen=True, slots=True)
class Summed:
    """
    What some journals come to, none of which is damaged.

    Attributes:
        files: Writer -> what its journal was when it was read.
        ends: Writer -> the number of its last entry.
        t: The latest time of an entry that is not kept, in seconds since the run began.
        metrics: What the points come to.
        apart: Writer -> its entries, those left out that say no more than this.
    """

    files: Mapping[str, State]
    ends: Mapping[str, int]
    t: float
    metrics: Mapping[str, MetricSummary]
    apart: Mapping[str, Sequence[Placed]]

    def knows(self, path: Path) -> bool:
        """Whether a journal is among them."""
        return path.stem in self.files

    def placed(self, path: Path) -> Iterator[Placed]:
        """Yield the entries of one of them that are neither metrics nor signs of life."""
        return iter(self.apart.get(path.stem, ()))

    def encoded(self) -> bytes:
        """Return it as bytes. Raises ValueError where these would be too many, or something in it is no strict JSON."""
        metrics = {name: serial.to_json(each) for name, each in self.metrics.items()}
        text = serial.dumps([self.files, self.ends, self.t, metrics, self.apart])
        if len(text) > _MOST_BYTES:
            raise ValueError(f"it has {len(text)} bytes")
        return zlib.compress(text.encode("ascii"), _QUICK)

    @classmethod
    def decoded(cls, data: bytes) -> Summed:
        """Return what `encoded` gave. Raises DamagedError for anything else."""
        try:
            # of what is anybody's, no more is inflated than was written
            files, ends, t, metrics, apart = json.loads(zlib.decompressobj().decompress(data, _MOST_BYTES))
            return cls(
                files={writer: tuple(state) for writer, state in files.items()},
                ends=codec_of(Mapping[str, int]).load(ends),
                t=_time(t),
                metrics={name: serial.from_json(MetricSummary, each) for name, each in metrics.items()},
                apart={writer: [_placed(*each) for each in some] for writer, some in apart.items()},
            )
        except (*MALFORMED, zlib.error) as error:
            raise DamagedError(str(error)) from error


def _time(t: Any) -> float:
    serial.check_place({serial.NUMBER_KEY: 1, serial.TIME_KEY: t})
    return float(t)


def _placed(latest: Any, entry: dict[str, Any]) -> Placed:
    serial.check_place(entry)
    return _time(latest), entry


class Summing:
    """
    Gathers what journals come to while they are read in order of time. Not thread-safe.

    Args:
        files: Writer -> what its journal is, as it was before it was read.
    """

    def __init__(self, files: Mapping[str, State]) -> None:
        self.files = files
        newest = max(max(changed, written) for _, changed, written, _ in files.values())
        # in the same moment as another one a change may leave a file's times as they are
        self._is_young = newest > time.time_ns() - YOUNG_NS
        self._apart: dict[str, list[Placed]] = {}
        self._count = 0
        self._t = self._latest = -serial.LONGEST_S

    def leave_out(self, t: float) -> None:
        """Take note of the time of an entry that is not kept."""
        if t > self._t:
            self._t = t

    def keep(self, writer: str, entry: dict[str, Any]) -> None:
        """Keep an entry, unless it only is a sign of life."""
        t = entry[serial.TIME_KEY]
        if entry.get(ev.KIND_KEY) == ev.Heartbeat.kind and not writer.startswith(ev.CURATING):
            self.leave_out(t)
            return
        self._count += 1
        if self._count <= _MOST_ENTRIES:
            # one that is of an earlier time than the one before it comes right behind that, whatever others have
            self._latest = max(self._latest, self._t, t)
            self._apart.setdefault(writer, []).append((self._latest, entry))

    def summed(self, metrics: Mapping[str, MetricSummary], ends: Mapping[str, int]) -> Summed | None:
        """
        Return what they come to, given what their points do and their last numbers.

        None where too much of them would have to be kept, or one was written just now.
        """
        if self._count > _MOST_ENTRIES or self._is_young:
            return None
        return Summed(self.files, ends, max(self._t, 0.0), metrics, self._apart)


@dataclass(frozen=True, slots=True)
class Kept:
    """
    Where it is kept of one run.

    Attributes:
        read: Gives what is kept, if anything is.
        write: Keeps it.
    """

    read: Callable[[], Summed | None]
    write: Callable[[Summed], None]

    def of(self, files: Mapping[str, State]) -> Summed | None:
        """Return what is kept, if its journals are as they were."""
        found = self.read()
        return found if found is not None and found.files.items() <= files.items() else None

    def keep(self, summing: Summing, metrics: Mapping[str, MetricSummary], ends: Mapping[str, int]) -> None:
        """Keep what journals come to; see `Summing.summed`."""
        if (summed := summing.summed(metrics, ends)) is not None:
            self.write(summed)


def long_files(paths: Sequence[Path]) -> dict[str, State] | None:
    """Return what the journals of a run are, by writer; None where they are short, or one cannot be looked at."""
    try:
        files = {path.stem: state_of(path) for path in paths}
    except OSError:
        return None
    return files if sum(size for size, *_ in files.values()) >= LEAST_BYTES else None
