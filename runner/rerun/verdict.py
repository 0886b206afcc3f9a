"""Did it come out the same? Two runs compared: result, every series bit for bit, every artifact's digest."""

from __future__ import annotations

import fnmatch
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from anew.runner.contracts import MetricSeries
from anew.runner.format.values import number_to_json, plain
from anew.runner.records import RunRecord, Status, Verdict

_NOT_ENDED = (Status.INTERRUPTED, Status.LOST)
_ADDRESS = re.compile(r"0x[0-9a-f]{6,}")


class Series(Protocol):
    """Where series come from: any store."""

    def metrics(self, ref: str | int, name: str) -> MetricSeries:
        """Return a series."""
        ...


@dataclass(frozen=True, slots=True)
class Part:
    """A place where two runs part; deviation is relative, None when the two are no numbers or infinitely apart."""

    what: str
    name: str
    step: int | None
    recorded: Any
    now: Any
    deviation: float | None

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "what": self.what,
            "name": self.name,
            "step": self.step,
            "recorded": plain(self.recorded),
            "now": plain(self.now),
        }


def judge(
    was: RunRecord,
    now: RunRecord,
    store: Series,
    *,
    rtol: float | None = None,
    ignore: Sequence[str] = (),
    overrides: tuple[str, ...] = (),
    differences: Mapping[str, Any] | None = None,
) -> Verdict:
    """
    Compare a re-run with the run that it repeats.

    Of a run that was interrupted or lost only what it had logged is compared. With *rtol* numbers may deviate by
    `abs(now - recorded) <= rtol * abs(recorded)`; artifacts, whose bytes follow from such numbers, are then left out.

    Args:
        was: The run on record.
        now: Its re-run, ended.
        store: Holds both.
        rtol: Relative tolerance; None for identity.
        ignore: Patterns of metrics to leave out.
        overrides: What was changed on purpose.
        differences: What differed before main started, for the causes.
    """
    partial = was.status in _NOT_ENDED
    parts = [*_series(was, now, store, ignore, partial)]
    if not partial:
        parts = [*_ending(was, now), *parts, *_values(plain(was.result), plain(now.result), "result", "")]
    artifacts = [] if partial else [*_artifacts(was, now)]
    numbers = [part.deviation for part in parts]
    deviation = max((each for each in numbers if each is not None), default=0.0) if None not in numbers else None
    if not parts and not artifacts:
        word = "identical"
    elif rtol is not None and deviation is not None and deviation <= rtol:
        word = "close"
    else:
        word = "different"
    all_parts = [*parts, *artifacts]
    largest = max((part for part in parts if part.deviation is not None), key=_deviation, default=None)
    verdict = Verdict(
        verdict=word,
        overrides=overrides,
        rtol=rtol,
        differences=differences or {},
        first_difference=all_parts[0].to_json() if all_parts else None,
        max_deviation=deviation,
        max_deviation_at=largest.to_json() if largest else None,
    )
    if word != "different":
        return verdict
    return replace(verdict, causes=tuple(_causes(was, now, differences or {}, overrides)))


def _deviation(part: Part) -> float:
    return part.deviation or 0.0


# --- what is compared ---------------------------------------------------------------------------------------------


def _ending(was: RunRecord, now: RunRecord) -> Iterator[Part]:
    if was.status is not now.status:
        yield Part("status", "", None, was.status.value, now.status.value, None)
    elif was.error is not None and now.error is not None:
        for name in ("type", "message"):
            old, new = getattr(was.error, name), getattr(now.error, name)
            # an object's address in a message is another in every process
            if _ADDRESS.sub("0x", old) != _ADDRESS.sub("0x", new):
                yield Part("error", name, None, old, new, None)
                return


def _series(was: RunRecord, now: RunRecord, store: Series, ignore: Sequence[str], partial: bool) -> Iterator[Part]:
    first: list[tuple[float, Part]] = []
    rest: list[Part] = []
    for name in dict.fromkeys((*was.metrics, *(() if partial else now.metrics))):
        if any(fnmatch.fnmatchcase(name, pattern) for pattern in ignore):
            continue
        if name not in was.metrics or name not in now.metrics:
            counts = [record.metrics[name].count if name in record.metrics else 0 for record in (was, now)]
            rest.append(Part("metric", name, None, f"{counts[0]} points", f"{counts[1]} points", None))
            continue
        old, new = store.metrics(was.uid, name), store.metrics(now.uid, name)
        found = [*_points(old, new, partial)]
        if found:
            first.append((found[0][0], found[0][1]))
            rest += [part for _, part in found[1:]]
    # the one that parts first in time is nearest to the cause
    yield from (part for _, part in sorted(first, key=lambda item: item[0]))
    yield from rest


def _points(old: MetricSeries, new: MetricSeries, partial: bool) -> Iterator[tuple[float, Part]]:
    """Yield the first point that parts, the one that deviates most, and a part that one of the two lacks."""
    count = min(len(old.exact), len(new.exact))
    worst: tuple[float, Part] | None = None
    begun = False
    if old.exact[:count] != new.exact[:count] or old.steps[:count].tolist() != new.steps[:count].tolist():
        for index in range(count):
            steps = int(old.steps[index]), int(new.steps[index])
            a, b = old.exact[index], new.exact[index]
            if steps[0] == steps[1] and _same(a, b):
                continue
            apart = _apart(a, b) if steps[0] == steps[1] else None
            part = Part("metric", old.name, steps[0], number_to_json(a), number_to_json(b), apart)
            if not begun:
                begun = True
                yield float(old.times[index]), part
            elif apart is None or worst is None or apart > (worst[1].deviation or 0.0):
                worst = float(old.times[index]), part
                if apart is None:
                    break
    if worst is not None:
        yield worst
    if len(old.exact) != len(new.exact) and not (partial and len(new.exact) >= len(old.exact)):
        lengths = f"{len(old.exact)} points", f"{len(new.exact)} points"
        yield math.inf, Part("metric", old.name, None, *lengths, None)


def _same(a: Any, b: Any) -> bool:
    if isinstance(a, float) and isinstance(b, float) and math.isnan(a):
        return math.isnan(b)
    return bool(a == b) and math.copysign(1, a) == math.copysign(1, b)


def _apart(a: Any, b: Any) -> float | None:
    """Return how far a number is from the recorded one, relative to that; None when no tolerance spans it."""
    try:
        difference, size = abs(float(b) - float(a)), abs(float(a))
    except (OverflowError, ValueError):
        return None
    if not math.isfinite(difference):
        return None
    if size == 0:
        return 0.0 if difference == 0 else None
    return difference / size


def _values(was: Any, now: Any, what: str, where: str) -> Iterator[Part]:
    if isinstance(was, Mapping) and isinstance(now, Mapping) and set(was) == set(now):
        for key in was:
            yield from _values(was[key], now[key], what, f"{where}.{key}".lstrip("."))
    elif isinstance(was, list) and isinstance(now, list) and len(was) == len(now):
        for index, (old, new) in enumerate(zip(was, now, strict=True)):
            yield from _values(old, new, what, f"{where}[{index}]")
    elif _is_number(was) and _is_number(now):
        if not _same(was, now):
            yield Part(what, where, None, was, now, _apart(was, now))
    elif was != now:
        yield Part(what, where, None, was, now, None)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _artifacts(was: RunRecord, now: RunRecord) -> Iterator[Part]:
    old, new = ({item.path: item.sha256 for item in record.artifacts} for record in (was, now))
    for name in dict.fromkeys((*old, *new)):
        if old.get(name) != new.get(name):
            yield Part("artifact", name, None, old.get(name), new.get(name), None)


# --- why ----------------------------------------------------------------------------------------------------------


def _causes(
    was: RunRecord, now: RunRecord, differences: Mapping[str, Any], overrides: tuple[str, ...]
) -> Iterator[str]:
    """Yield what may explain a difference, likeliest first; a re-run that was cut short needs no other reason."""
    if now.status in _NOT_ENDED:
        how = f"stopped by {now.signal}" if now.signal else "killed"
        yield f"The re-run was {how} before its end, so the two cannot be compared. Run it whole: anew rerun {was.id}"
        return
    if overrides:
        yield f"{' '.join(overrides)} was given on top."
    if was.result is not None and was.source.files and _sources(was) != _sources(now):
        yield "The source is another."
    for path, entry in differences.get("inputs", {}).items():
        if not entry["restored"]:
            state = "is not there any more" if entry["now"] is None else "has changed, and its content was not kept"
            yield f"The input {path} {state}."
    for name, entry in differences.get("python", {}).items():
        yield f"Python's {name} was {entry['recorded']}, now {entry['now']}."
    for name, entry in differences.get("packages", {}).items():
        yield f"The package {name} was {entry['recorded'] or 'not installed'}, now {entry['now'] or 'not installed'}."
    for section in ("variables", "threads", "hardware"):
        for name, entry in differences.get(section, {}).items():
            yield f"{name} was {entry['recorded']}, now {entry['now']}."
    if overrides:
        return
    if was.seeds is not None and was.seeds.hash_randomization == "random":
        yield (
            "Hash randomisation was on, so sets of texts come in another order in every process. To pin it: "
            "PYTHONHASHSEED=0"
        )
    yield from _of_libraries(was)


def _sources(record: RunRecord) -> dict[str, str]:
    return {file.path: file.sha256 for file in record.source.files}


def _of_libraries(was: RunRecord) -> Iterator[str]:
    seeds, environment = was.seeds, was.environment
    if seeds is None or environment is None:
        return
    if "torch" in seeds.seeded and "torch" not in seeds.deterministic:
        yield "torch was not told to be deterministic. To do so: anew.deterministic=true"
    if "jax" in environment.packages:
        yield "JAX takes its keys from the program; no seed of ours reaches it unless they are made from run.seed."
    for name in ("cupy", "mxnet", "paddlepaddle"):
        if name in environment.packages:
            yield f"No seed of ours reaches {name}."
