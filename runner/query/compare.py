"""What differs between two runs."""

from __future__ import annotations

import difflib
import io
from bisect import insort
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from hashlib import sha256
from typing import Any, Protocol

from anew.runner.attached.media import HISTOGRAM
from anew.runner.contracts import MetricSeries
from anew.runner.errors import AnewError
from anew.runner.format.serial import dumps, record_to_json, to_json
from anew.runner.format.values import exact_form, number_to_json
from anew.runner.query.columns import UNINTERESTING
from anew.runner.query.tabular import flatten
from anew.runner.records import ContentRef, RunRecord
from anew.runner.wording import printable, told_apart

LONGEST_DIFF_BYTES = 2**20
Section = dict[str, Any]


class Source(Protocol):
    """Where content and series come from."""

    def open_object(self, sha256: str) -> Any:
        """Open content for reading."""
        ...

    def metrics(self, ref: str | int, name: str) -> MetricSeries:
        """Return a series."""
        ...


def compare(
    a: RunRecord,
    b: RunRecord,
    store: Source,
    tell: Callable[[str], object] = lambda _: None,
    show: Callable[[Any, Any], tuple[Any, Any]] = told_apart,
) -> dict[str, Section]:
    """
    Return the differences of two runs of one store, JSON values, a member per section, empty when equal.

    Sections: config, choices, overrides, seed, status (as it is shown), source (per file its digests and a unified
    diff), packages (with python), variables, hardware, inputs, artifacts, result, metrics (per series both summaries
    and the first point that differs), histograms (likewise, per name). Series that measure time or the machine are left
    out.

    Args:
        a: One run.
        b: The other.
        store: Where they are.
        tell: Given a sentence for content that is damaged or missing; it is compared by its digest alone.
        show: Makes of two values that differ what stands for them; JSON unless said.
    """
    first, second = record_to_json(a), record_to_json(b)
    return {
        "config": _mapping(flatten(a.config), flatten(b.config), show),
        "choices": _mapping(a.choices, b.choices, show),
        "overrides": _single(first["overrides"], second["overrides"]),
        "seed": _single(a.seed, b.seed),
        "status": _single(a.state, b.state, show),
        "source": source_differences(a, b, store, tell),
        "packages": _mapping(_packages(first), _packages(second), show),
        "variables": _mapping(
            _part(first, "environment", "variables"), _part(second, "environment", "variables"), show
        ),
        "hardware": _mapping(_hardware(first), _hardware(second), show),
        "inputs": _contents(a.inputs, b.inputs),
        "artifacts": _contents(a.artifacts, b.artifacts),
        "result": _single(a.result, b.result, show),
        "metrics": _metrics(a, b, store),
        "histograms": _histograms(a, b, store),
    }


def source_differences(
    a: RunRecord, b: RunRecord, store: Source, tell: Callable[[str], object] = lambda _: None
) -> Section:
    """Return the source files in which two runs differ, each with its digests and a unified diff; see `compare`."""
    return _contents(a.source.files, b.source.files, lambda x, y: _text_diff(x, y, store, tell))


def content_differences(a: Sequence[ContentRef], b: Sequence[ContentRef]) -> Section:
    """Return the files that are not the same, each with its digests."""
    return _contents(a, b)


def _single(a: Any, b: Any, show: Callable[[Any, Any], tuple[Any, Any]] = told_apart) -> Section:
    return {} if exact_form(a) == exact_form(b) else dict(zip("ab", show(a, b), strict=True))


def _mapping(a: Mapping[str, Any], b: Mapping[str, Any], show: Callable[[Any, Any], tuple[Any, Any]]) -> Section:
    """Return the keys whose values differ; a side that lacks the key has none of it."""
    found: Section = {}
    for key in dict.fromkeys((*a, *b)):
        if key not in a or key not in b:
            value = a[key] if key in a else b[key]
            # beside a list that holds it, which no value is the same as
            found[key] = {"a" if key in a else "b": show(value, [value])[0]}
        elif section := _single(a[key], b[key], show):
            found[key] = section
    return found


def _part(record: Mapping[str, Any], section: str, member: str) -> Mapping[str, Any]:
    return (record.get(section) or {}).get(member) or {}


def _packages(record: Mapping[str, Any]) -> dict[str, Any]:
    environment = record.get("environment") or {}
    return {"python": environment.get("python"), **environment.get("packages", {})}


def _hardware(record: Mapping[str, Any]) -> dict[str, Any]:
    hardware = {
        key: value for key, value in (record.get("hardware") or {}).items() if key not in ("boot_id", "scheduler")
    }
    return flatten(hardware)


def _contents(
    a: Sequence[ContentRef],
    b: Sequence[ContentRef],
    explain: Callable[[ContentRef | None, ContentRef | None], str | None] | None = None,
) -> Section:
    left, right = {file.path: file for file in a}, {file.path: file for file in b}
    found: Section = {}
    for path in sorted({*left, *right}):
        old, new = left.get(path), right.get(path)
        if old is not None and new is not None and old.sha256 == new.sha256:
            continue
        found[path] = {side: file.sha256 for side, file in (("a", old), ("b", new)) if file is not None}
        if explain is not None and (text := explain(old, new)) is not None:
            found[path]["diff"] = text
    return found


def _text_diff(
    old: ContentRef | None, new: ContentRef | None, store: Source, tell: Callable[[str], object]
) -> str | None:
    texts = [_lines(file, store, tell) for file in (old, new)]
    if any(text is None for text in texts):
        return None
    # a line break in a name would be a line of the diff
    name = printable((old or new or ContentRef(path="", sha256="", size=0)).path)
    return "".join(
        line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n"
        for line in difflib.unified_diff(texts[0] or [], texts[1] or [], f"a/{name}", f"b/{name}")
    )


def _lines(file: ContentRef | None, store: Source, tell: Callable[[str], object]) -> list[str] | None:
    """Return a file's lines; none for one that is not there, None for one that is no text or cannot be had."""
    if file is None:
        return []
    if file.size > LONGEST_DIFF_BYTES or not file.kept:
        return None
    try:
        with store.open_object(file.sha256) as content:
            data: bytes = content.read(file.size + 1)
    except AnewError as error:
        tell(str(error))
        return None
    if sha256(data).hexdigest() != file.sha256:
        tell(f"The content of {file.path} ({file.sha256[:12]}) is damaged, as anew check --deep shows.")
        return None
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return None
    # str.splitlines would also break lines at form feeds and the like
    return list(io.StringIO(text, newline="\n"))


def _metrics(a: RunRecord, b: RunRecord, store: Source) -> Section:
    found: Section = {}
    first, second = record_to_json(a, full=False)["metrics"], record_to_json(b, full=False)["metrics"]
    for name in dict.fromkeys((*first, *second)):
        if name.startswith(UNINTERESTING):
            continue
        sides = {side: values[name] for side, values in (("a", first), ("b", second)) if name in values}
        if len(sides) < 2:
            found[name] = sides
            continue
        point = _first_difference(*(store.metrics(record.uid or record.id or "", name) for record in (a, b)))
        if point is not None:
            found[name] = {**sides, "first_difference": point}
    return found


def _histograms(a: RunRecord, b: RunRecord, store: Source) -> Section:
    """Return the histograms that are not the same, with the first step at which they are not."""
    found: Section = {}
    kept = [{name: each for name, each in run.media.items() if each.kind == HISTOGRAM} for run in (a, b)]
    names = dict.fromkeys((*kept[0], *kept[1]))
    if not names or not hasattr(store, "histograms"):
        return found
    first, second = (_logged(store, run, names) for run in (a, b))
    for name in names:
        steps = sorted({*first[name], *second[name]})
        parting = next((step for step in steps if first[name].get(step) != second[name].get(step)), None)
        if parting is not None:
            sides = {side: to_json(each[name]) for side, each in zip("ab", kept, strict=True) if name in each}
            found[name] = {**sides, "first_difference": {"step": parting}} if len(sides) == 2 else sides
    return found


def _logged(store: Any, run: RunRecord, names: Collection[str]) -> dict[str, dict[int, list[str]]]:
    """Return by name and step what was logged, as text that is the same where it is bit for bit."""
    found: dict[str, dict[int, list[str]]] = {name: {} for name in names}
    for event in store.histograms(store.resolve(run.uid or run.id or ""), names):
        for name, each in event.values.items():
            if name in found:
                insort(found[name].setdefault(event.step, []), dumps(to_json(each)))
    return found


def _first_difference(a: MetricSeries, b: MetricSeries) -> Section | None:
    """Return where two series part, in steps or in values, bit for bit; NaN equals NaN."""
    for index, (x, y) in enumerate(zip(_points(a), _points(b), strict=False)):
        # 1 and 1.0 are written differently, as are 0.0 and -0.0
        if x != y or repr(x[1]) != repr(y[1]):
            return {"index": index, "a": {"step": x[0], "value": x[1]}, "b": {"step": y[0], "value": y[1]}}
    if len(a.exact) != len(b.exact):
        return {"index": min(len(a.exact), len(b.exact)), "a": {"count": len(a.exact)}, "b": {"count": len(b.exact)}}
    return None


def _points(series: MetricSeries) -> Iterable[tuple[int, Any]]:
    return ((int(step), number_to_json(value)) for step, value in zip(series.steps, series.exact, strict=True))
