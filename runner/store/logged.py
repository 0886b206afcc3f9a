"""
What a writer knows of the metrics in its journal.

A summary of each is kept while it logs, so that nobody has to read the journal again when its run ends.
"""

from __future__ import annotations

import os
from array import array
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from json.encoder import encode_basestring_ascii as quoted
from pathlib import Path
from typing import Any

from anew.runner import events as ev
from anew.runner.dataclass import dataclass
from anew.runner.format import serial
from anew.runner.records import MetricSummary
from anew.runner.store.files import open_regular
from anew.runner.store.numeric import NotANumberError, flattened, number_text, real_number

_BUFFER = 1 << 16
_FLOATS, _NUMBERS = {float}, {float, int}
_SHORT = 1 << 16
QUICK = 2**63
"""Integers below it, and above its negative, are taken without a closer look."""
VALUES = f',"{ev.keys(ev.MetricsLogged)["values"]}":{{'
"""What stands in a line before the numbers of its metrics."""
# for how many sets of names it is kept how they stand in a line
_MOST_SETS = 64


class Metric:
    """
    One metric. Its points are taken in the turn of its journal.

    Numbers are only put down while logging, and looked at many at a time, which takes a third of the time.

    Attributes:
        name: As it was given.
        key: Its name as it stands in a line, and a colon.
        opening: What stands in a line of this one alone before its number.
        step: Of the latest point; -1 when there is none.
        add: Takes the number of a further point.
        is_odd: Whether some numbers may be NaN, which take no part in min and max.
    """

    __slots__ = ("_count", "_greatest", "_last", "_least", "_new", "add", "is_odd", "key", "name", "opening", "step")

    def __init__(self, name: str) -> None:
        self.name = name
        self.key = f"{quoted(name)}:"
        self.opening = f"{VALUES}{self.key}"
        self.step = -1
        self.is_odd = False
        self._new: list[float | int] = []
        self.add = self._new.append
        self._count = 0
        self._last: float | int = 0
        self._least: float | int | None = None
        self._greatest: float | int | None = None

    def settle(self) -> None:
        """Look at the numbers that have come since this was called last."""
        new = self._new
        if not new:
            return
        numbers = [each for each in new if each == each] if self.is_odd else new
        if numbers:
            least, greatest = min(numbers), max(numbers)
            if self._least is None or least < self._least:
                self._least = least
            if self._greatest is None or greatest > self._greatest:
                self._greatest = greatest
        self._last = new[-1]
        self._count += len(new)
        new.clear()

    def summary(self) -> MetricSummary | None:
        """Return what a reader of the journal would find; None for no points."""
        self.settle()
        if not self._count:
            return None
        return MetricSummary(last=self._last, min=self._least, max=self._greatest, count=self._count, step=self.step)


# the inner part of a line's values, of which metrics they are, and the number of each
Known = tuple[str, Sequence[Metric], Sequence[float | int]]


@dataclass(slots=True)
class Points:
    """
    What one line of metrics holds.

    Attributes:
        text: The inner part of its values.
        metrics: Of which metrics.
        numbers: The number of each.
        has_odd: Whether there may be some that are not finite.
    """

    text: str
    metrics: Sequence[Metric]
    numbers: Sequence[float | int]
    has_odd: bool = False


class Metrics:
    """
    The metrics of one journal. Safe in threads.

    Attributes:
        known: Name -> metric, of those that there are.
        short: The same, of those of which a line with a single number is never too long.
        strays: The steps at which metrics were NaN or infinite for the first time, each with their names and values.
    """

    def __init__(self) -> None:
        self.known: dict[str, Metric] = {}
        self.short: dict[str, Metric] = {}
        self.strays: deque[tuple[int, dict[str, str]]] = deque()
        self._strayed: set[str] = set()
        self._sets: dict[tuple[str, ...], tuple[str, tuple[Metric, ...]]] = {}

    def go_on_from(self, others: Metrics) -> None:
        """Count steps from where those of another journal stand, and know what was said of them."""
        for name, metric in others.known.items():
            self._metric(name).step = metric.step
        self._strayed = set(others._strayed)

    def take(self, values: Mapping[Any, Any]) -> tuple[Points, dict[str, str] | None]:
        """Return the points that there are in *values*, and what is left out: name -> reason, None for nothing."""
        if type(values) is dict and (known := self.as_known(values)) is not None:
            return Points(*known), None
        texts: list[str] = []
        metrics: list[Metric] = []
        numbers: list[float | int] = []
        odd: dict[Any, Any] = {}
        for name, value in values.items():
            metric, kind = self.known.get(name), type(value)
            if metric is not None and (
                (kind is float and value - value == 0.0) or (kind is int and -QUICK < value < QUICK)
            ):
                texts.append(f"{metric.key}{value!r}")
                metrics.append(metric)
                numbers.append(value)
            else:
                odd[name] = value
        refused = self._take_odd(odd, texts, metrics, numbers) if odd else None
        if metrics and not odd and type(values) is dict and tuple(values) not in self._sets:
            self._keep_set(metrics)
        return Points(",".join(texts), metrics, numbers, bool(odd)), refused

    def as_known(self, values: Mapping[Any, Any]) -> Known | None:
        """Return how finite numbers stand in a line, where their names came together before; else None."""
        found = self._sets.get(tuple(values))
        if found is None:
            return None
        given = tuple(values.values())
        kinds = {*map(type, given)}
        if kinds != _FLOATS and not (kinds <= _NUMBERS and max(map(abs, given)) < QUICK):
            return None
        total = sum(given)
        if total - total != 0:  # so that one of them may not be finite
            return None
        return found[0] % given, found[1], given

    def _keep_set(self, metrics: Sequence[Metric]) -> None:
        """Have the way ready in which these stand in a line together: they are most likely to come again."""
        if len(self._sets) >= _MOST_SETS:
            self._sets.clear()
        text = ",".join([f"{metric.key.replace('%', '%%')}%r" for metric in metrics])
        self._sets[tuple([metric.name for metric in metrics])] = text, tuple(metrics)

    def _take_odd(
        self, values: Mapping[Any, Any], texts: list[str], metrics: list[Metric], numbers: list[float | int]
    ) -> dict[str, str] | None:
        """Take what the quick way does not: new names, other numbers, nested mappings; refuse the rest."""
        refused: dict[str, str] = {}
        taken = {metric.name for metric in metrics}
        for name, value in flattened(values):
            if not isinstance(name, str):
                refused[repr(name)] = f"a metric's name is a text, not {type(name).__name__}"
                continue
            if name in taken:
                refused[name] = "it was given twice in one call"
                continue
            try:
                number = real_number(value)
            except NotANumberError as error:
                refused[name] = str(error)
                continue
            metric = self._metric(name)
            if type(number) is float and number - number != 0.0:
                metric.is_odd = True
            texts.append(f"{metric.key}{number_text(number)}")
            metrics.append(metric)
            numbers.append(number)
            taken.add(name)
        return refused or None

    def _metric(self, name: str) -> Metric:
        found = self.known.get(name)
        # of two threads that come with a new name at once, both get the same
        if found is None:
            found = self.known.setdefault(name, Metric(name))
            if len(found.key) < _SHORT:
                self.short[name] = found
        return found

    def note_strays(self, points: Points, step: int) -> None:
        """Take note of metrics that are not finite for the first time, together where they came together."""
        found = {
            metric.name: number_text(number).strip('"')
            for metric, number in zip(points.metrics, points.numbers, strict=True)
            if type(number) is float and number - number != 0.0 and metric.name not in self._strayed
        }
        if found:
            self._strayed.update(found)
            self.strays.append((step, found))

    def settle(self) -> None:
        """Look at the numbers that have come since this was called last."""
        for metric in list(self.known.values()):
            metric.settle()

    def summaries(self) -> dict[str, MetricSummary]:
        """Return the summaries of those that have points."""
        found = {name: metric.summary() for name, metric in self.known.items()}
        return {name: summary for name, summary in found.items() if summary is not None}


@dataclass(frozen=True, slots=True)
class Told:
    """
    What a journal holds, as its writer knows when it is closed.

    Attributes:
        path: The journal.
        file: What it is, as `os.fstat` has it.
        length: How many bytes it has.
        number: Of its last line.
        t: When that was written, in seconds since the run began.
        metrics: What its lines of metrics come to.
        apart: Where the lines of any other kind begin, in bytes.
        lines: Those lines, as far as their seals; None where there were too many to keep.
    """

    path: Path
    file: os.stat_result
    length: int
    number: int
    t: float
    metrics: Mapping[str, MetricSummary]
    apart: array[int]
    lines: tuple[bytes, ...] | None = None

    def is_so(self) -> bool:
        """Whether the file is still that one, and as long."""
        try:
            status = os.lstat(self.path)
        except OSError:
            return False
        return os.path.samestat(status, self.file) and status.st_size == self.length

    @property
    def ends(self) -> dict[str, int]:
        """The number of its last line, by its writer; nothing of one without lines."""
        return {self.path.stem: self.number} if self.number else {}

    def knows(self, path: Path) -> bool:
        """Whether it is that journal."""
        return path == self.path

    def placed(self, path: Path) -> Iterator[tuple[float, dict[str, Any]]]:
        """Yield `entries`, each behind the time that it is in order by. Raises as that."""
        return ((entry[serial.TIME_KEY], entry) for entry in self.entries())

    def entries(self) -> Iterator[dict[str, Any]]:
        """
        Yield the entries of the lines of any other kind, in order.

        Raises:
            DamagedError: One of them is not as it was written, or cannot be read.
        """
        if self.lines is not None:
            for line in self.lines:
                yield serial.parsed(line + b"}")
            return
        try:
            with open_regular(self.path, buffering=_BUFFER) as file:
                for begin in self.apart:
                    file.seek(begin)
                    entry = serial.unseal(file.readline())
                    serial.check_place(entry)
                    yield entry
        except OSError as error:
            raise serial.DamagedError(str(error)) from error
