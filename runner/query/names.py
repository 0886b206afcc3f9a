"""
What the names of the filter language mean: the one place where a name becomes a value of a run.

A name has one or more places, and means the first that a run has anything at: `loss` is a metric's last value, or else
a key of the configuration. What stands in no record, such as the points of a series, is asked of a `More`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Protocol

from anew.runner.attached.aims import direction_of
from anew.runner.dataclass import dataclass
from anew.runner.errors import FilterError
from anew.runner.format.values import as_float
from anew.runner.lazy.patterns import regexp
from anew.runner.records import ContentRef, RunRecord
from anew.runner.wording import key_name

MISSING: Any = object()
"""What a run has where it has nothing: not even None."""


class Version(str):
    """A text that is compared as a version of a package."""


class Digest(str):
    """A text that the beginning of it is equal to."""


@dataclass(frozen=True, slots=True)
class Place:
    """
    Where in a run a value stands.

    Attributes:
        part: "field", one of `TREES`, one of `SUMMARIES`, one of `OF_SERIES`, "at 100", or "package".
        name: A field, the path of a key ("" for the whole tree), a metric, or a package.
    """

    part: str
    name: str


class More(Protocol):
    """What is known of runs beside their light records."""

    def packages(self, record: RunRecord) -> Mapping[str, str]:
        """Return the packages of a run, by their names in `canonical` form."""
        ...

    def points(self, record: RunRecord, name: str) -> tuple[Sequence[int], Sequence[float | int]] | None:
        """Return the steps and values of a metric, in logging order; None where there is none."""
        ...


# --- fields -----------------------------------------------------------------------------------------------------


def _paths(files: Sequence[ContentRef]) -> tuple[str, ...]:
    return tuple(file.path for file in files)


def _digests(files: Sequence[ContentRef]) -> tuple[Digest, ...]:
    return tuple(Digest(file.sha256) for file in files)


def _commit(record: RunRecord) -> Any:
    git = record.source.git
    return Digest(git.commit) if git and git.commit else None


def _git(name: str) -> Callable[[RunRecord], Any]:
    return lambda record: getattr(record.source.git, name) if record.source.git else None


def _hardware(name: str) -> Callable[[RunRecord], Any]:
    return lambda record: getattr(record.hardware, name) or None if record.hardware else None


def _gpus(record: RunRecord) -> tuple[str, ...]:
    return tuple(gpu.name for gpu in record.hardware.gpus) if record.hardware else ()


def _python(record: RunRecord) -> Any:
    return Version(record.environment.python) if record.environment else None


def _error(name: str) -> Callable[[RunRecord], Any]:
    return lambda record: getattr(record.error, name) if record.error else None


# what a name means first of all, whatever a metric or a key is called
FIELDS: dict[str, Callable[[RunRecord], Any]] = {
    "id": lambda record: record.id,
    "uid": lambda record: record.uid,
    "status": lambda record: record.state,
    "experiment": lambda record: record.experiment,
    "tag": lambda record: record.tags,
    "tags": lambda record: record.tags,
    "started": lambda record: record.started_at,
    "ended": lambda record: record.ended_at,
    "duration": lambda record: record.duration_s,
    "duration_s": lambda record: record.duration_s,
    "host": lambda record: record.hardware.hostname if record.hardware else None,
    "note": lambda record: record.note,
    "seed": lambda record: record.seed,
    "sweep": lambda record: record.sweep.id if record.sweep else None,
    "sweep.uid": lambda record: record.sweep.uid if record.sweep else None,
    "rerun_of": lambda record: record.rerun_of.id if record.rerun_of else None,
    "why": lambda record: record.why.id if record.why else None,
    "parent": lambda record: record.parent.id if record.parent else None,
    "verdict": lambda record: record.verdict.verdict if record.verdict else None,
    "_id": lambda record: record.foreign.id if record.foreign else None,
}
# what a name means where a run has neither a metric nor a key of the configuration that is called so
LATE: dict[str, Callable[[RunRecord], Any]] = {
    "git.commit": _commit,
    "git.branch": _git("branch"),
    "git.dirty": _git("dirty"),
    "git.remote": _git("remote"),
    "gpu": _gpus,
    "gpus": lambda record: len(_gpus(record)),
    "cpu": _hardware("cpu_model"),
    "os": _hardware("os"),
    "python": _python,
    "user": lambda record: record.command.user or None,
    "input": lambda record: _paths(record.inputs),
    "input.sha256": lambda record: _digests(record.inputs),
    "artifact": lambda record: _paths(record.artifacts),
    "artifact.sha256": lambda record: _digests(record.artifacts),
    "error": _error("type"),
    "error.message": _error("message"),
}
_ALIASES = {"commit": "git.commit", "branch": "git.branch", "dirty": "git.dirty", "error.type": "error"}
_ALIASES |= {"inputs": "input", "artifacts": "artifact"}
_SAME = {"tags": "tag", "duration_s": "duration"}
FIELD_NAMES = frozenset((*FIELDS, *LATE, *_ALIASES, "result"))
TIMES = ("started", "ended")
LISTS = ("tag", "gpu", "input", "input.sha256", "artifact", "artifact.sha256")
"""Fields that are lists, however few items they have."""
HERE = ("id", "sweep", "sweep.uid", "rerun_of", "parent")
"""Fields whose values belong to the store that a run is in."""
TREES: dict[str, Callable[[RunRecord], Any]] = {
    "config": lambda record: record.config,
    "result": lambda record: record.result,
    "info": lambda record: record.info,
    "choices": lambda record: record.choices,
}
SUMMARIES = ("last", "min", "max", "count", "step")
OF_SERIES = ("first", "mean")
_AT = regexp(r"(?P<metric>.+)\.at\((?P<step>-?\d{1,18})\)", re.DOTALL)
PREFIXES = ("metric", *TREES, "pkg", "run")


def canonical(package: str) -> str:
    """Return a package's name as it is compared: `Foo_Bar` is `foo-bar`."""
    return re.sub(r"[-_.]+", "-", package).lower()


@lru_cache(maxsize=2000)
def places(name: str) -> tuple[Place, ...]:
    """
    Return where a name's value may stand; a run's is the first that it has.

    Raises:
        FilterError: It asks for the best value of a metric of which it cannot be told whether much or little is good.
    """
    if name.startswith("metric."):
        metric = name.removeprefix("metric.")
        return (Place("last", metric), *of_metric(metric))
    tree, dot, path = name.partition(".")
    if name in TREES or (dot and tree in TREES):
        # `config` alone has no value to compare, and may be what a metric or a key is called
        return (Place(tree, path),) if dot or name == "result" else (Place("last", name), Place("config", name))
    if name in FIELDS:
        return (Place("field", _SAME.get(name, name)),)
    found = [Place("last", name), Place("config", name), *of_metric(name)]
    late = _ALIASES.get(name, name)
    if tree == "run" and dot:
        late = _ALIASES.get(path, path)
        late = _SAME.get(late, late)
        found += [Place("field", late)] if late in FIELDS or late in LATE else []
    elif late in LATE:
        found.append(Place("field", late))
    elif tree == "pkg" and path:
        found.append(Place("package", canonical(path)))
    return tuple(found)


def of_metric(name: str) -> tuple[Place, ...]:
    """Return the places of `loss.min`, `loss.at(5)` and their like, where a name is one. Raises as `places` does."""
    if at := _AT.fullmatch(name):
        return (Place(f"at {int(at['step'])}", at["metric"]),)
    metric, _, what = name.rpartition(".")
    if not metric:
        return ()
    if what == "best":
        direction = direction_of(metric)
        if direction is None:
            raise FilterError(
                f"Whether much or little is best of {metric!r} cannot be told by its name. Write {metric}.min or "
                f"{metric}.max",
                name=name,
            )
        what = "min" if direction == "minimize" else "max"
    return (Place(what, metric),) if what in (*SUMMARIES, *OF_SERIES) else ()


def value_of(record: RunRecord, name: str, more: More | None = None) -> Any:
    """Return what *name* is for a run, or None when it lacks it. Raises FilterError as `places` does."""
    value = look_up(record, name, more)
    return None if value is MISSING else value


def look_up(record: RunRecord, name: str, more: More | None = None) -> Any:
    """Return what *name* is for a run; MISSING when it lacks it. Raises FilterError as `places` does."""
    for place in places(name):
        value = at(record, place, more)
        if value is not MISSING:
            return value
    return MISSING


def at(record: RunRecord, place: Place, more: More | None) -> Any:
    """Return what stands at a place of a run."""
    part, name = place.part, place.name
    if part == "field":
        return (FIELDS.get(name) or LATE[name])(record)
    if part in TREES:
        return below(TREES[part](record), name)
    if part in SUMMARIES:
        metric = record.metrics.get(name)
        value = MISSING if metric is None else getattr(metric, part)
        return MISSING if value is None else value
    if part == "package":
        packages = more.packages(record) if more is not None else canonical_packages(record)
        return Version(packages[name]) if name in packages else MISSING
    points = more.points(record, name) if more is not None and name in record.metrics else None
    return MISSING if points is None else of_points(part, *points)


def canonical_packages(record: RunRecord) -> dict[str, str]:
    """Return the packages that are on record, by the names that are compared."""
    found = record.environment.packages if record.environment else {}
    return {canonical(name): version for name, version in found.items()}


def of_points(part: str, steps: Sequence[int], values: Sequence[float | int]) -> Any:
    """Return of a series its first value, the mean of those that are numbers, or the last at a step; else MISSING."""
    if part == "first":
        return values[0] if len(values) else MISSING
    if part == "mean":
        # added up exactly, so that it is the same in whatever order the points of several writers come
        known = [as_float(value) for value in values if value == value]
        try:
            return math.fsum(known) / len(known) if known else MISSING
        except (OverflowError, ValueError):
            return sum(known) / len(known)
    wanted = int(part.removeprefix("at "))
    found = [value for step, value in zip(steps, values, strict=True) if step == wanted]
    return found[-1] if found else MISSING


def below(value: Any, path: str) -> Any:
    """Return what stands at a dotted path of key names; a key with a dot in it is found by its letters, too."""
    if not path:
        return value
    if isinstance(value, Sequence) and not isinstance(value, str):
        head, _, rest = path.partition(".")
        # no more digits than an index can have: Python refuses to read thousands
        inside = head.isascii() and head.isdecimal() and len(head) < 10 and int(head) < len(value)
        return below(value[int(head)], rest) if inside else MISSING
    if not isinstance(value, Mapping):
        return MISSING
    for key, item in value.items():
        name = key_name(key)
        if path == name:
            return item
        if path.startswith(f"{name}.") and (found := below(item, path[len(name) + 1 :])) is not MISSING:
            return found
    return value.get(path, MISSING)
