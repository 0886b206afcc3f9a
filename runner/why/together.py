"""Packages of which the one needs the other in its new version: one difference, which is taken over whole."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from anew.runner.lazy.modules import later
from anew.runner.records import EnvironmentFacts, RunRecord
from anew.runner.why.deltas import Delta, Differences
from anew.runner.why.draft import Draft

if TYPE_CHECKING:
    from anew.runner.rerun import rebuilt as rebuilding
else:
    rebuilding = later("anew.runner.rerun.rebuilt")

Refusal = Callable[[EnvironmentFacts], str]
_WORD = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")


def together(found: Differences, good: RunRecord, bad: RunRecord) -> Differences:
    """
    Return the differences, with those packages as one that are only to be had together.

    uv is asked about the good run's packages with each one that differs in its new version; where it refuses, those
    that differ and that it names go with it, until it agrees. Where even the good run's own are refused, as without a
    network, each stays alone: what cannot be installed is then worked around by the search.

    Raises:
        MissingExtraError: uv is not installed.
    """
    packages = [delta for delta in found.deltas if delta.kind == "package"]
    if len(packages) < 2:
        return found
    groups = _groups(packages, good, bad, rebuilding.refusal)
    deltas = [delta for delta in found.deltas if delta.kind != "package"]
    place = found.deltas.index(packages[0])
    deltas[place:place] = [_joined(group) for group in groups]
    return replace(found, deltas=tuple(replace(delta, n=number) for number, delta in enumerate(deltas, start=1)))


def _groups(packages: Sequence[Delta], good: RunRecord, bad: RunRecord, refusal: Refusal) -> list[list[Delta]]:
    """Return which go together, each in one group, in their order."""
    found = [[delta] for delta in packages]
    if refusal(_mixture((), good, bad)):
        return found
    for delta in packages:
        needed = _needed(delta, packages, lambda taken: refusal(_mixture(taken, good, bad)))
        touched = [group for group in found if any(each in needed for each in group)]
        merged = [each for each in packages if any(each in group for group in touched)]
        found = [merged if group is touched[0] else group for group in found if group not in touched[1:]]
    return found


def _needed(first: Delta, packages: Sequence[Delta], refused: Callable[[Iterable[Delta]], str]) -> list[Delta]:
    """Return a package with those that it is to be had with; itself alone where no company helps."""
    taken = [first]
    while said := refused(taken):
        named = {_normal(word) for word in _WORD.findall(said)}
        further = [each for each in packages if each not in taken and _normal(each.what) in named]
        if not further:
            return [first]
        taken += further
    return taken


def _mixture(taken: Iterable[Delta], good: RunRecord, bad: RunRecord) -> EnvironmentFacts:
    draft = Draft(good, bad)
    for delta in taken:
        delta.apply(draft)
    facts = draft.record(lambda _: "").environment
    assert facts is not None  # else no package would differ
    return facts


def _joined(group: Sequence[Delta]) -> Delta:
    if len(group) == 1:
        return group[0]
    was, now = ({delta.what: getattr(delta, side) for delta in group} for side in ("was", "now"))
    return replace(
        group[0], what=" and ".join(delta.what for delta in group), was=was, now=now, apply=partial(_apply_all, group)
    )


def _apply_all(group: Iterable[Delta], draft: Draft) -> None:
    for delta in group:
        delta.apply(draft)


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
