"""What is asked of a search, and what of that is possible here."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import replace
from importlib.util import find_spec

from anew.runner.dataclass import dataclass
from anew.runner.errors import RerunError
from anew.runner.why.deltas import KINDS, Delta, Differences
from anew.runner.wording import nearest, some

REBUILDING = ("packages", "python")
FEWEST_REPEATS = 4


@dataclass(frozen=True, kw_only=True, slots=True)
class Options:
    """
    What is asked for.

    Attributes:
        metric: By what the runs are told apart: a metric, or another name that filters know.
        result: Whether it is by what main returned.
        only: The kinds of differences that are in question, of `KINDS`; none for all.
        max_runs: How many runs may be started.
        workers: How many at a time.
        repeat: With how many seeds each mixture is run; 1 for the one on record.
        tolerance: How far from the bad run's number is near enough; None for a tenth of the difference.
        timeout_s: After how many seconds a trial is cut off.
        launcher: The engine that runs trials on other machines, as overrides of `hydra/launcher` and `hydra.launcher`;
            none for this machine.

    Raises:
        RerunError: A value is none of those.
    """

    metric: str | None = None
    result: bool = False
    only: tuple[str, ...] = ()
    max_runs: int | None = None
    workers: int = 1
    repeat: int = 1
    tolerance: float | None = None
    timeout_s: float | None = None
    launcher: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for kind in self.only:
            if kind not in KINDS:
                raise RerunError(f"only={kind!r} is no kind of difference; {', '.join(KINDS)}.{nearest(kind, KINDS)}")
        if self.metric is not None and self.result:
            raise RerunError("A metric and the result: by one of them runs are told apart. Leave one out.")
        for name, value, least in (("max_runs", self.max_runs, 1), ("workers", self.workers, 1)):
            if value is not None and value < least:
                raise RerunError(f"{name}={value} is too few; at least {least}.")
        if self.repeat != 1 and self.repeat < FEWEST_REPEATS:
            raise RerunError(
                f"repeat={self.repeat} is too few to tell a difference from chance; at least {FEWEST_REPEATS}."
            )
        for name, amount in (("tolerance", self.tolerance), ("timeout", self.timeout_s)):
            if amount is not None and not amount >= 0:
                raise RerunError(f"{name}={amount} is not a number from 0 on.")


def runnable(found: Differences, options: Options) -> Differences:
    """Leave out packages and Pythons where no environment can be built; of several seeds none is the seed."""
    deltas, left_out = found.deltas, list(found.left_out)
    if options.repeat > 1:
        deltas = tuple(delta for delta in deltas if delta.group != "seed")
    if any(delta.group in REBUILDING for delta in deltas) and not (shutil.which("uv") or find_spec("uv")):
        names = [delta.what for delta in deltas if delta.group in REBUILDING]
        deltas = tuple(delta for delta in deltas if delta.group not in REBUILDING)
        left_out.append(
            f"Packages differ ({some(names)}), and are left out: to build an environment uv is needed. To install "
            "it: pip install 'anew[uv]'."
        )
    return Differences(_numbered(deltas), tuple(left_out))


def _numbered(deltas: Sequence[Delta]) -> tuple[Delta, ...]:
    return tuple(replace(delta, n=number) for number, delta in enumerate(deltas, start=1))
