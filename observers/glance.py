"""
A run in few words: what a line in a terminal or in a chat has room for.

Everything here is one line, and safe to print: control characters of whoever named a metric or raised an error are
escaped.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from fnmatch import fnmatchcase

from anew.runner.events import RunEnded
from anew.runner.records import ErrorFacts, RunRecord, Status
from anew.runner.wording import duration, in_a_line, printable, short

_MOST_METRICS = 8
_MOST_NAME = 60
_MOST_RESULT = 200
_MOST_ERROR = 500
_LONG_INT = 10**15
_SHORT_UID = 10
_MACHINE = "system/*"


def shortened(text: str, most: int) -> str:
    """Return a text as one safe line of at most *most* characters."""
    line = printable(in_a_line(text, len(text)))
    return line if len(line) <= most else f"{line[: most - 3]}..."


def number_of(record: RunRecord) -> str:
    """Return what a run is called where there is little room: its number, or the beginning of its uid."""
    return str(record.id) if record.id is not None else record.uid[:_SHORT_UID]


def title(record: RunRecord) -> str:
    """Return a run's name: "run 42 of digits"."""
    return f"run {number_of(record)} of {shortened(record.experiment, _MOST_NAME)}"


def result_line(result: object) -> str:
    """Return what main returned, in little space; empty for None."""
    return shortened(short(result), _MOST_RESULT)


def error_line(error: ErrorFacts | None) -> str:
    """Return an error without its traceback: "ValueError: boom"; empty for None."""
    if error is None:
        return ""
    return shortened(f"{error.type}: {error.message}" if error.message else error.type, _MOST_ERROR)


def outcome_line(ended: RunEnded, *, pruned: bool = False) -> str:
    """
    Return how a run ended, as it follows its name: "failed after 3 min 2 s: ValueError: boom".

    Args:
        ended: The end.
        pruned: Whether it was told to stop before.
    """
    after = f"after {duration(ended.duration_s)}"
    if ended.status is Status.COMPLETED:
        result, how = result_line(ended.result), "was pruned" if pruned else "completed"
        return f"{how} {after}: result {result}" if result else f"{how} {after}"
    if ended.status is Status.INTERRUPTED:
        return f"was interrupted {after} ({ended.signal})" if ended.signal else f"was interrupted {after}"
    reason = error_line(ended.error)
    return f"failed {after}: {reason}" if reason else f"failed {after}"


def metrics_line(values: Mapping[str, float | int], patterns: Sequence[str] | None) -> str:
    """
    Return metrics as "train/loss 0.113, val/acc 0.93", at most eight of them.

    Args:
        values: Name -> number.
        patterns: Those to show, such as "val/*", in this order; None: all but those of the machine, `system/*`.
    """
    if patterns is None:
        chosen = [name for name in values if not fnmatchcase(name, _MACHINE)]
    else:
        chosen = list(dict.fromkeys(name for each in patterns for name in values if fnmatchcase(name, each)))
    shown = [f"{shortened(name, _MOST_NAME)} {_number(values[name])}" for name in chosen[:_MOST_METRICS]]
    left_out = len(chosen) - len(shown)
    return ", ".join(shown) + (f" and {left_out} more" if left_out else "")


def patterns_of(given: Sequence[str] | str | None) -> tuple[str, ...] | None:
    """Return patterns of metrics as a configuration gives them: a list, a single one, or None."""
    return None if given is None else (given,) if isinstance(given, str) else tuple(given)


def _number(value: float | int) -> str:
    """Return a number with five digits, but whole numbers of a common size as they are."""
    if isinstance(value, int):
        return str(int(value)) if abs(value) < _LONG_INT else f"{Decimal(value):.5g}"
    return f"{value:.5g}"
