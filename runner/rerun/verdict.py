"""Did it come out the same? Two runs compared: result, every series bit for bit, every artifact's digest."""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import field
from typing import Any

from anew.runner.dataclass import dataclass
from anew.runner.format.values import plain
from anew.runner.lazy.patterns import regexp
from anew.runner.records import RunRecord, Status, Verdict
from anew.runner.rerun.histograms import compare_histograms
from anew.runner.rerun.parts import Part, value_parts
from anew.runner.rerun.printed import compare_printed
from anew.runner.rerun.series import SeriesCompared, compare_series
from anew.runner.rerun.sides import Side
from anew.runner.wording import is_without_main, some

NOT_ENDED = (Status.INTERRUPTED, Status.LOST, Status.UNKNOWN)
# some 150 bytes each
_MOST_POINTS = 1 << 19
_ADDRESS = regexp(r"0x[0-9a-f]{6,}")


@dataclass(slots=True)
class Compared:
    """
    What became of two runs, beside each other.

    Attributes:
        parts: Where they part, what is nearest to the cause first.
        artifacts: Where artifacts part: their bytes follow from numbers.
        points: How many recorded points were compared.
        partial: Whether the recorded run broke off, so that only what it had logged is compared.
        remarks: What is no difference, in sentences.
    """

    parts: list[Part] = field(default_factory=list)
    artifacts: list[Part] = field(default_factory=list)
    points: int = 0
    partial: bool = False
    remarks: list[str] = field(default_factory=list)

    @property
    def all(self) -> list[Part]:
        """Every part."""
        return [*self.parts, *self.artifacts]


def silent(text: str) -> None:
    """Say nothing."""


def compare(was: Side, now: Side, *, ignore: Sequence[str] = (), show: Callable[[str], object] = silent) -> Compared:
    """
    Compare a re-run with the run that it repeats.

    Of a run that was interrupted, lost, or is not whole on record only what it had logged is compared; what is damaged
    is not, and is said.

    Args:
        was: The run on record.
        now: Its re-run, ended.
        ignore: Patterns of metrics to leave out; "output" leaves out what is printed.
        show: Called with how far it has got, where there is much.
    """
    # a run with a hole is FAILED for that, and main did not fail
    found = Compared(partial=was.record.status in NOT_ENDED or bool(was.record.losses))
    if was.lost:
        found.remarks.append(f"Lost, and not compared: {some(was.lost)}.")
    series = [*_series(was, now, ignore, found, show)]
    # what broke off did not come to an error, whatever would have come of it
    if not found.partial or (now.record.error is not None and not now.record.losses):
        found.parts += _ending(was, now)
    found.parts += series
    if not found.partial:
        found.parts += _result(was, now)
    found.parts += _told(was, now, found)
    found.parts += _histograms(was, now, ignore, found)
    found.artifacts += _artifacts(was, now, found)
    if not any(fnmatch.fnmatchcase("output", pattern) for pattern in ignore):
        printed = compare_printed(was, now, broken_off=found.partial)
        found.parts += printed.parts
        found.remarks += printed.remarks
    return found


def judge(
    was: Side,
    now: Side,
    *,
    rtol: float | None = None,
    ignore: Sequence[str] = (),
    overrides: tuple[str, ...] = (),
    differences: Mapping[str, Any] | None = None,
    stopped: bool = False,
    show: Callable[[str], object] = silent,
) -> tuple[Verdict, Compared]:
    """
    Say how a re-run came out; why is left to `causes`.

    With *rtol* numbers may deviate by `abs(now - recorded) <= rtol * abs(recorded)`; artifacts, whose bytes follow from
    such numbers, are then left out.

    Args:
        was: The run on record.
        now: Its re-run, ended.
        rtol: Relative tolerance; None for identity.
        ignore: Patterns of metrics to leave out.
        overrides: What was changed on purpose.
        differences: What differed before main started.
        stopped: Whether it was stopped from outside. One that was killed, or that got a signal which the run on record
            did not get, is seen to have been.
        show: As for `compare`.
    """
    found = compare(was, now, ignore=ignore, show=show)
    numbers = [part.deviation for part in found.parts]
    deviation = max((each for each in numbers if each is not None), default=0.0) if None not in numbers else None
    if now.record.losses or (now.record.status in NOT_ENDED and (stopped or _ending_of(was) != _ending_of(now))):
        word = "stopped"
    elif not found.all:
        word = "identical"
    elif rtol is not None and deviation is not None and deviation <= rtol:
        word = "close"
    else:
        word = "different"
    largest = max((part for part in found.parts if part.deviation is not None), key=_deviation, default=None)
    verdict = Verdict(
        verdict=word,
        overrides=overrides,
        rtol=rtol,
        differences=differences or {},
        # what a stopped run lacks is no difference
        first_difference=found.all[0].to_json() if found.all and word != "stopped" else None,
        max_deviation=deviation,
        max_deviation_at=largest.to_json() if largest else None,
        points=found.points if found.partial else None,
        remarks=tuple(found.remarks),
    )
    return verdict, found


def _ending_of(side: Side) -> tuple[Status, str | None]:
    """Return how a run came to its end: a program may end itself by a signal, and again each time."""
    return side.record.status, side.record.signal


def _deviation(part: Part) -> float:
    return part.deviation or 0.0


# --- what is compared ---------------------------------------------------------------------------------------------


def _ending(was: Side, now: Side) -> Iterator[Part]:
    if was.record.state != now.record.state:
        yield Part("status", "", None, was.record.state, now.record.state, None)
    elif was.record.error is not None and now.record.error is not None:
        for name in ("type", "message"):
            old, new = getattr(was.record.error, name), getattr(now.record.error, name)
            # an object's address in a message is another in every process
            if _ADDRESS.sub("0x", old) != _ADDRESS.sub("0x", new):
                yield Part("error", name, None, old, new, None)
                return


def _result(was: Side, now: Side) -> Iterator[Part]:
    """Yield where results part; one that could not be kept is like no other."""
    for side in (was, now):
        if side.record.unkept is not None:
            yield Part("result", "", None, _kept(was), _kept(now), None)
            return
    yield from value_parts(was.record.result, now.record.result, "result")


def _kept(side: Side) -> Any:
    return plain(side.record.result) if side.record.unkept is None else "could not be kept"


def _series(
    was: Side, now: Side, ignore: Sequence[str], found: Compared, show: Callable[[str], object]
) -> Iterator[Part]:
    first: list[tuple[float, Part]] = []
    rest: list[Part] = []
    further = found.partial or was.lost_points
    every = dict.fromkeys((*was.record.metrics, *(() if further else now.record.metrics)))
    names = [name for name in every if not any(fnmatch.fnmatchcase(name, pattern) for pattern in ignore)]
    for name, compared in _each_series(names, was, now, found.partial, show):
        found.points += compared.points
        if compared.reordered:
            found.remarks.append(f"The points of {name} came in another order: several processes or threads logged it.")
        first += compared.parts[:1]
        rest += [part for _, part in compared.parts[1:]]
    # the one that parts first in time is nearest to the cause
    yield from (part for _, part in sorted(first, key=lambda item: item[0]))
    yield from rest


def _each_series(
    names: Sequence[str], was: Side, now: Side, partial: bool, show: Callable[[str], object]
) -> Iterator[tuple[str, SeriesCompared]]:
    """Yield how each series compares; as many are read at once as fit into memory, since journals hold all of them."""
    counts = {name: (_count(was, name), _count(now, name)) for name in names}
    done, total = 0, sum(map(sum, counts.values()))
    for some_names in _together({name: sum(count) for name, count in counts.items()}):
        show(f"{done} of {total} points compared")
        both = [name for name in some_names if name in was.record.metrics and name in now.record.metrics]
        old, new = was.lanes(both), now.lanes(both)
        for name in some_names:
            done += sum(counts[name])
            if name in both:
                yield name, compare_series(name, old[name], new[name], broken_off=partial, lost=was.lost_points)
            else:
                first, second = (f"{count} points" for count in counts[name])
                part = Part("metric", name, None, first, second, None)
                yield name, SeriesCompared(points=counts[name][0], parts=[(float("inf"), part)])


def _count(side: Side, name: str) -> int:
    return side.record.metrics[name].count if name in side.record.metrics else 0


def _together(counts: Mapping[str, int]) -> Iterator[list[str]]:
    """Yield names, as many at once as have a certain number of points, one at least."""
    group: list[str] = []
    points = 0
    for name, count in counts.items():
        if group and points + count > _MOST_POINTS:
            yield group
            group, points = [], 0
        group.append(name)
        points += count
    if group:
        yield group


def _histograms(was: Side, now: Side, ignore: Sequence[str], found: Compared) -> Iterator[Part]:
    further = found.partial or was.lost_points
    media = {**({} if further else now.record.media), **was.record.media}
    names = [name for name in media if not any(fnmatch.fnmatchcase(name, pattern) for pattern in ignore)]
    if not names:
        return
    # a name may also stand for a picture by now
    old, new = was.histograms(names), now.histograms(names)
    for name in dict.fromkeys((*old, *(() if further else new))):
        yield from compare_histograms(name, old.get(name, []), new.get(name, []), more=further)


def _told(was: Side, now: Side, found: Compared) -> Iterator[Part]:
    """Yield where the facts and the tags part that main set."""
    # what a program's own parser made of its words is no outcome, and may hold paths and computed defaults
    old, new = (_without_parsed(side.record) for side in (was, now))
    fewer = found.partial or was.lost_points
    yield from value_parts(old, {key: new[key] for key in old if key in new} if fewer else new, "info")
    tags, tags_now = was.tags(), now.tags()
    if not (tags <= tags_now if fewer else tags == tags_now):
        yield Part("tags", "", None, sorted(tags), sorted(tags_now), None)


def _without_parsed(record: RunRecord) -> Mapping[str, Any]:
    is_parsed = is_without_main(record.command)
    return {key: value for key, value in record.info.items() if not (is_parsed and key == "parsed")}


def _artifacts(was: Side, now: Side, found: Compared) -> Iterator[Part]:
    old, new = ({item.path: item.sha256 for item in side.record.artifacts} for side in (was, now))
    fewer = found.partial or was.lost_points
    for name in old if fewer else dict.fromkeys((*old, *new)):
        if old.get(name) == new.get(name):
            continue
        # what a run that broke off had kept last may have been replaced since, in the one that went on
        if not (fewer and name in new and old[name] in now.versions(name)):
            yield Part("artifact", name, None, old.get(name), new.get(name), None)
