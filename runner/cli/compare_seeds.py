"""`anew compare --by seed`: is the difference between runs one of what they were given, or chance?"""

from __future__ import annotations

from collections.abc import Sequence

import click

from anew.runner.across.seeds import Comparison, Group, compared, group_of, pairs
from anew.runner.across.statistics import Interval, Test, has_scipy
from anew.runner.cli.context import print_json
from anew.runner.cli.render import remark, say, styled, table
from anew.runner.contracts import RunStore
from anew.runner.wording import printable, short, some


def compare_by_seed(
    store: RunStore, words: Sequence[str], metric: str | None, direction: str | None, *, as_json: bool
) -> None:
    """
    Print how groups of runs, which differ in the seed within each, compare with the first.

    Raises:
        click.UsageError: There is nothing to compare with.
        AnewError: A word names no run, or none that has a number to compare.
    """
    if len(words) < 2:
        raise click.UsageError(
            "--by seed compares two groups of runs, such as: anew compare --by seed 12 17, where a run stands for all "
            "that differ from it in the seed alone. For more of those: anew repeat 12 --seeds 5"
        )
    named = [group_of(store, word) for word in words]
    found = [compared(*pair, metric, direction) for pair in pairs(named)]
    groups = [group for each in found for group in each.groups]
    for said in (*_shared(groups), *_left_out(groups)):
        remark(said)
    if as_json:
        values = [each.to_json() for each in found]
        print_json(values[0] if len(values) == 1 else values)
        return
    _print(found)


def _shared(groups: Sequence[Group]) -> list[str]:
    """Say which runs are in both of two groups."""
    first, *others = groups
    said = []
    for other in {each.name: each for each in others}.values():
        both = sorted({*first.runs} & {*other.runs})
        if both and other is not first:
            said.append(f"In both {first.name} and {other.name}: {some([str(each) for each in both])}")
    return said


def _left_out(groups: Sequence[Group]) -> list[str]:
    """Say which runs differ from that which was named in the seed, and in the files of the project."""
    return [
        f"Not with {name}, since their source files are others: {some([str(each) for each in unlike])}. To have them "
        f"too, name them by a range, a tag or a filter: anew compare --by seed 1-5 6-9"
        for name, unlike in {group.name: group.unlike for group in groups}.items()
        if unlike
    ]


def _print(found: Sequence[Comparison]) -> None:
    rows = {}
    for each in found:
        for group, sample in zip(each.groups, each.samples, strict=True):
            mean, std = short(sample.mean), "" if sample.std is None else short(sample.std)
            rows[group.name] = [printable(group.name), str(sample.n), mean, std, _interval(sample.interval)]
    table(["", "n", f"mean {printable(found[0].metric)}", "std", "95 %"], [*rows.values()], keep=3)
    for each in found:
        say()
        say(each.sentence)
        tests = [("Welch's t", each.difference.welch), ("Mann-Whitney", each.difference.mann_whitney)]
        said = "; ".join(f"{name}: p = {_p(test)}" for name, test in tests if test is not None)
        if said:
            say(styled(said, "dim"))
    if not has_scipy():
        say(styled("For Welch's t and Mann-Whitney: pip install 'anew[stats]'", "dim"))


def _interval(interval: Interval | None) -> str:
    return "" if interval is None else f"{short(interval[0])} to {short(interval[1])}"


def _p(test: Test) -> str:
    return f"{test.p:.2g}"
