"""The jobs of a sweep as CSV, and what those came to together that differ in the seed alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from anew.runner.cli.render import csv_rows, say, styled, table
from anew.runner.format.values import plain
from anew.runner.sweep.groups import Group, Spread, is_seed
from anew.runner.sweep.told import pairs_of, pairs_of_words, varying
from anew.runner.sweep_records import SweepJob, SweepRecord
from anew.runner.wording import exact, printable, short

_SPREAD = ("n", "mean", "std", "min", "max")


def print_groups(sweep: SweepRecord, groups: Sequence[Group], by: str | None) -> None:
    """Print what groups came to, a line each; nothing where there are none."""
    if not any(group.of(by) for group in groups):
        return
    keys = [key for key in varying(sweep) if not is_seed(key)]
    typed = [pairs_of_words(group.overrides) for group in groups]
    say()
    say(styled(f"{by or 'result'} over jobs that differ in the seed alone", "dim"))
    rows = [
        [*(printable(words.get(key, "")) for key in keys), *_shown(group.of(by))]
        for group, words in zip(groups, typed, strict=True)
    ]
    table([*keys, *_SPREAD], rows, keep=len(keys) + 1)


def _shown(spread: Spread | None) -> list[str]:
    if spread is None:
        return ["0", *[""] * (len(_SPREAD) - 1)]
    return [short(value) for value in _values(spread)]


def _values(spread: Spread) -> list[Any]:
    return [getattr(spread, name) for name in _SPREAD]


def print_csv(jobs: Sequence[SweepJob], groups: Sequence[Group], by: str | None) -> None:
    """Print jobs as CSV, in the order given; each with the spread of its group, where there are groups."""
    keys = list(dict.fromkeys(key for job in jobs for key in pairs_of(job)))
    metrics = list(dict.fromkeys(name for job in jobs for name in job.metrics))
    spreads = {index: group.of(by) for group in groups for index in group.jobs}
    beside = [f"{by or 'result'}.{name}" for name in _SPREAD] if groups else []
    header = ["job", "run", "status", *keys, "result", *metrics, "duration", "error", *beside]
    csv_rows(header, (_row(job, keys, metrics, spreads, bool(groups)) for job in jobs))


def _row(
    job: SweepJob, keys: Sequence[str], metrics: Sequence[str], spreads: dict[int, Spread | None], grouped: bool
) -> list[Any]:
    typed, spread = pairs_of(job), spreads.get(job.index)
    beside: list[Any] = [None] * len(_SPREAD) if spread is None else _values(spread)
    return [
        job.index,
        job.run,
        job.state,
        *(typed.get(key) for key in keys),
        _cell(job.result),
        *(_cell(job.metrics.get(name)) for name in metrics),
        job.duration_s,
        job.error,
        *(beside if grouped else ()),
    ]


def _cell(value: Any) -> Any:
    """Return a value in full: numbers and texts as they are, the rest as JSON."""
    if value is None or isinstance(value, str) or (isinstance(value, (int, float)) and not isinstance(value, bool)):
        return value
    return exact(plain(value))
