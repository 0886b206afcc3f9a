"""
Two runs' points of one metric, compared.

Of one writer, in one thread, the points are compared in the order in which they were logged. Of several, whose order of
arrival is chance, by step; within a step those of one writer in order. Of a run that broke off the points that there
are have to come again.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field
from typing import Any

from anew.runner.dataclass import dataclass
from anew.runner.format.values import number_to_json
from anew.runner.rerun.parts import Part, apart, same, sign

Point = tuple[float, int, "float | int"]
Lanes = Mapping[tuple[str, int], Sequence[Point]]


@dataclass(slots=True)
class SeriesCompared:
    """
    How two series compare.

    Attributes:
        parts: Where they part, each with the time in the recorded run: the first, the one that deviates most, and a
            part that one of the two lacks.
        points: How many points of the recorded run were compared.
        reordered: Whether the same points came in another order, of several writers.
    """

    points: int
    parts: list[tuple[float, Part]] = field(default_factory=list)
    reordered: bool = False


def compare_series(name: str, was: Lanes, now: Lanes, *, broken_off: bool, lost: bool) -> SeriesCompared:
    """
    Compare a series with that of a re-run.

    Args:
        name: The metric.
        was: Points on record, by who logged them.
        now: Those of the re-run.
        broken_off: The recorded run did not come to its end, so that more may come now.
        lost: Some of its points may be lost, anywhere.
    """
    compared = SeriesCompared(points=sum(map(len, was.values())))
    old, new = _merged(was), _merged(now)
    if len(was) <= 1 and len(now) <= 1 and not lost:
        compared.parts = [*_in_order(name, old, new, broken_off)]
    elif len(was) <= 1 and len(now) <= 1:
        compared.parts = [*_within(name, old, new)]
    else:
        compared.parts = [*_by_step(name, was, now, more=broken_off or lost)]
        compared.reordered = not compared.parts and not _begins_alike(old, new)
    return compared


def _merged(lanes: Lanes) -> list[Point]:
    if len(lanes) == 1:
        return list(next(iter(lanes.values())))
    return sorted((point for lane in lanes.values() for point in lane), key=lambda point: point[0])


def _begins_alike(old: Sequence[Point], new: Sequence[Point]) -> bool:
    return all(a[1] == b[1] and same(a[2], b[2]) for a, b in zip(old, new, strict=False))


def _in_order(name: str, old: Sequence[Point], new: Sequence[Point], broken_off: bool) -> Iterator[tuple[float, Part]]:
    """Yield the first point that parts, the one that deviates most, and a part that one of the two lacks."""
    worst: tuple[float, Part] | None = None
    begun = False
    for (time, step, a), (_, now_step, b) in zip(old, new, strict=False):
        if step == now_step and same(a, b):
            continue
        distance = apart(a, b) if step == now_step else None
        part = Part("metric", name, step, number_to_json(a), number_to_json(b), distance)
        if not begun:
            begun = True
            yield time, part
        elif distance is None or worst is None or distance > (worst[1].deviation or 0.0):
            worst = time, part
            if distance is None:
                break
    if worst is not None:
        yield worst
    if len(old) != len(new) and not (broken_off and len(new) >= len(old)):
        yield math.inf, Part("metric", name, None, f"{len(old)} points", f"{len(new)} points", None)


def _within(name: str, old: Sequence[Point], new: Sequence[Point]) -> Iterator[tuple[float, Part]]:
    """Yield the first recorded point that does not come again, after those before it."""
    begin = 0
    for time, step, value in old:
        found = next((at for at in range(begin, len(new)) if new[at][1] == step and same(new[at][2], value)), None)
        if found is None:
            there = next((number for _, now_step, number in new[begin:] if now_step == step), None)
            other = None if there is None else number_to_json(there)
            distance = None if there is None else apart(value, there)
            yield time, Part("metric", name, step, number_to_json(value), other, distance)
            return
        begin = found + 1


# --- several writers ----------------------------------------------------------------------------------------------


def _by_step(name: str, was: Lanes, now: Lanes, *, more: bool) -> Iterator[tuple[float, Part]]:
    """Yield the first step whose points part, the one that deviates most, and one that lacks points."""
    old, new = _steps(was), _steps(now)
    first: tuple[float, Part] | None = None
    worst: tuple[float, Part] | None = None
    lacking: tuple[float, Part] | None = None
    for step in sorted({*old, *new}):
        for time, part in _step_parts(name, step, old.get(step, []), new.get(step, []), more=more):
            if part.deviation is None and isinstance(part.recorded, str) and part.recorded.endswith(" points"):
                lacking = lacking or (time, part)
            elif first is None:
                first = time, part
            elif part.deviation is None or worst is None or part.deviation > (worst[1].deviation or 0.0):
                worst = time, part
    yield from (each for each in (first, worst, lacking) if each is not None)


def _steps(lanes: Lanes) -> dict[int, list[list[Point]]]:
    """Return step -> the points of each writer at that step."""
    found: dict[int, list[list[Point]]] = defaultdict(list)
    for lane in lanes.values():
        of_lane: dict[int, list[Point]] = defaultdict(list)
        for point in lane:
            of_lane[point[1]].append(point)
        for step, points in of_lane.items():
            found[step].append(points)
    return found


def _step_parts(
    name: str, step: int, old: list[list[Point]], new: list[list[Point]], *, more: bool
) -> Iterator[tuple[float, Part]]:
    was, now = [point for lane in old for point in lane], [point for lane in new for point in lane]
    time = was[0][0] if was else math.inf
    counts = Counter(_key(point[2]) for point in was), Counter(_key(point[2]) for point in now)
    if counts[0] == counts[1]:
        if len(old) == len(new) == 1 and [_key(p[2]) for p in was] != [_key(p[2]) for p in now]:
            at = next(i for i in range(len(was)) if not same(was[i][2], now[i][2]))
            yield time, _part(name, step, was[at][2], now[at][2])
        return
    gone = sorted((counts[0] - counts[1]).elements(), key=str)
    come = sorted((counts[1] - counts[0]).elements(), key=str)
    for a, b in zip(gone, come, strict=False):
        yield time, _part(name, step, _value(a), _value(b))
    if len(gone) > len(come) or (len(come) > len(gone) and not more):
        yield time, Part("metric", name, step, f"{len(was)} points", f"{len(now)} points", None)


def _part(name: str, step: int, a: Any, b: Any) -> Part:
    return Part("metric", name, step, number_to_json(a), number_to_json(b), apart(a, b))


def _key(value: Any) -> tuple[Any, ...]:
    """Return what stands for a number in a count: NaN is NaN, 1 is not 1.0, and 0.0 is not -0.0."""
    if value != value:
        return (None, 1.0)
    return value, sign(value), isinstance(value, float)


def _value(key: tuple[Any, ...]) -> Any:
    return math.nan if key[0] is None else key[0]
