"""Metrics in what a program prints: by a pattern of the user's, or as lines that hold nothing but names and numbers."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from anew.runner.dataclass import dataclass

AUTO = "auto"
STEP, VALUE = "step", "value"
# the first of these that a line has is its step
_STEPS = ("step", "global_step", "iteration", "iter", "epoch")
_NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?|[+-]?(?:nan|inf)"
_NAMED = r"(?P<name>[A-Za-z_][\w./-]*)\s*[:=]\s*"
_PAIR = re.compile(rf"{_NAMED}(?P<value>{_NUMBER})(?=[\s,;|]|$)(?:\s*[,;|]\s*|\s+-\s+|\s*)", re.ASCII | re.IGNORECASE)
_WHOLE = re.compile(r"[+-]?\d+", re.ASCII)
_LONGEST_LINE = 1 << 14
# what Keras prints: a line that names the epoch, then a bar, which ends with what the epoch came to
_EPOCH = re.compile(r"\s*Epoch (\d+)/\d+\s*", re.ASCII)
_KERAS = re.compile(
    r"\s*(?P<done>\d+)/(?P<all>\d+) [━ \[=>.\]-]*\d\w*(?: \d\w*/(?:step|epoch|sample))? - (?P<rest>.+)", re.ASCII
)
# what Lightning does: a bar of tqdm that begins with the epoch
_LIGHTNING = re.compile(
    r"\s*Epoch (?P<step>\d+): +100%\|[^|]*\| (?P<done>\d+)/(?P<all>\d+) \[[^\],]*, [^\],]*, (?P<rest>[^\]]*)\]\s*",
    re.ASCII,
)


@dataclass(frozen=True, slots=True)
class Pattern:
    """
    How one metric is printed.

    Attributes:
        name: The metric.
        regex: What a line is searched for; its group `value`, or else its first but `step`, is the number.
    """

    name: str
    regex: re.Pattern[str]

    @property
    def group(self) -> str | int:
        """The group that holds the number."""
        groups = self.regex.groupindex
        if VALUE in groups:
            return VALUE
        return next(number for number in range(1, self.regex.groups + 1) if number != groups.get(STEP))


@dataclass(frozen=True, slots=True)
class Found:
    """Metrics of one line: values by name, and their step; None where the line says none."""

    values: Mapping[str, float | int]
    step: int | None = None


def pattern_of(text: str) -> Pattern | None:
    """
    Read `NAME=PATTERN`, or "auto", which stands for None.

    Raises:
        ValueError: It is neither; the message says what would be right.
    """
    if text == AUTO:
        return None
    name, mark, written = text.partition("=")
    if not (mark and name.strip() and written):
        raise ValueError(rf"{text!r} is no NAME=PATTERN, such as 'acc=accuracy: (\S+)', and not {AUTO}")
    try:
        regex = re.compile(written)
    except re.error as error:
        raise ValueError(f"the pattern {written!r} of {name} is none: {error}") from None
    if regex.groups <= (STEP in regex.groupindex):
        raise ValueError(
            rf"the pattern {written!r} of {name} has no group around the number, as in 'acc=accuracy: (\S+)'"
        )
    return Pattern(name.strip(), regex)


def metrics_in(line: str, patterns: Sequence[Pattern | None]) -> Iterator[Found]:
    """Yield what a line, without its end, holds; of a very long one nothing."""
    if len(line) > _LONGEST_LINE:
        return
    for pattern in patterns:
        if pattern is None:
            found = _in_json(line) if line.lstrip().startswith("{") else _in_pairs(line)
            if found is not None:
                yield found
            continue
        for match in pattern.regex.finditer(line):
            value = _number(match[pattern.group])
            if value is not None:
                step = _number(match[STEP]) if STEP in pattern.regex.groupindex else None
                yield Found({pattern.name: value}, step if isinstance(step, int) else None)


class Bars:
    """
    Reads what Keras and Lightning print of epochs, line by line: a point for each epoch, at the end of its bar.

    A bar that is drawn anew in the same line, or in a further one (validation's results come so), counts by its last
    state: what an epoch came to is known when another line follows, or by `rest`.
    """

    def __init__(self) -> None:
        self._epoch: int | None = None
        self._waiting: Found | None = None

    def metrics_in(self, line: str) -> Iterator[Found]:
        """Yield what is known for certain with a further line."""
        if len(line) > _LONGEST_LINE:
            return
        # where nothing took it away, a log has what was drawn over
        text = line.rstrip("\r").rpartition("\r")[2].replace("\b", "")
        if begun := _EPOCH.fullmatch(text):
            yield from self.rest()
            self._epoch = int(begun[1])
            return
        lightning = _LIGHTNING.fullmatch(text)
        match = lightning or (_KERAS.fullmatch(text) if self._epoch is not None else None)
        if match is None or match["done"] != match["all"]:
            return
        found = _pairs(match["rest"])
        step = int(lightning["step"]) if lightning else self._epoch
        if self._waiting is not None and self._waiting.step != step:
            yield from self.rest()
        if found is not None:
            values = {name: each for name, each in found.values.items() if name != "v_num"}
            self._waiting = Found(values, step) if values else self._waiting

    def rest(self) -> Iterator[Found]:
        """Yield what waits for a further line, as there is none."""
        found, self._waiting = self._waiting, None
        if found is not None:
            yield found


def written_in(line: str) -> tuple[dict[str, Any], int | None] | None:
    """
    Return what a line says that was written as metrics, and its step: `loss=0.2 acc=0.5 step=3`, or an object of JSON.

    None for a line that says nothing of the kind. Of JSON any object counts, whatever is in it.
    """
    if len(line) > _LONGEST_LINE:
        return None
    if not line.lstrip().startswith("{"):
        found = _pairs(line)
        return None if found is None else (dict(found.values), found.step)
    try:
        data = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(data, dict):
        return None
    numbers = {name: each for name, each in data.items() if type(each) in (int, float)}
    step = _stepped(numbers).step
    is_step = set(numbers) - set(_stepped(numbers).values)
    return {name: each for name, each in data.items() if name not in is_step}, step


def _number(text: str | None) -> float | int | None:
    """Return a number, whole where it is written so; None for what is none."""
    try:
        return None if text is None else int(text) if _WHOLE.fullmatch(text) else float(text)
    except ValueError:
        return None


def _in_pairs(line: str) -> Found | None:
    """Read a line that is nothing but names and numbers, and has a step among them."""
    found = _pairs(line)
    return found if found is not None and found.step is not None else None


def _pairs(line: str) -> Found | None:
    """Read a line that is nothing but names and numbers."""
    text, at = line.strip(), 0
    values: dict[str, float | int] = {}
    while at < len(text):
        match = _PAIR.match(text, at)
        value = _number(match["value"]) if match else None
        if match is None or value is None or match["name"] in values:
            return None
        values[match["name"]] = value
        at = match.end()
    found = _stepped(values)
    return found if found.values else None


def _in_json(line: str) -> Found | None:
    """Read a line that is an object of JSON with numbers alone."""
    try:
        data = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not (isinstance(data, dict) and data and all(type(each) in (int, float) for each in data.values())):
        return None
    found = _stepped(data)
    return found if found.values else None


def _stepped(values: dict[str, float | int]) -> Found:
    """Return values without the first of them that is a step, and that."""
    written = {name.lower(): name for name in reversed(values)}
    for name in (written[each] for each in _STEPS if each in written):
        step = values[name]
        if isinstance(step, int) or (isinstance(step, float) and math.isfinite(step) and step.is_integer()):
            return Found({each: value for each, value in values.items() if each != name}, int(step))
    return Found(values)
