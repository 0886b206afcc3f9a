"""All that a re-run runs, in the form in which it uses it: what is vouched for, trusted, and compared."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

from anew.runner import events as ev
from anew.runner.format import serial
from anew.runner.format.replay import Replay
from anew.runner.format.serial import DamagedError
from anew.runner.records import RunRecord, SourceFacts
from anew.runner.store import marks
from anew.runner.store.files import read_regular
from anew.runner.store.journal_forms import journals
from anew.runner.store.lines import read_entries
from anew.runner.store.paths import RunLayout, SweepLayout
from anew.runner.store.reading import MOST_RECORD_BYTES
from anew.runner.sweep_records import SweepStart

# section -> name -> what is there, JSON values
Basis = dict[str, dict[str, Any]]
_ABSENT: Any = object()
# what is told apart by the others for people, and might not be for a machine: "a.b" and "b" in "a" look the same
_EXACT = "exact"
_MOST_SHOWN = 60
_ADDING = (ev.SourceAdded.kind, ev.InputUsed.kind)


def of_run(record: RunRecord) -> Basis:
    """Return what a re-run of a run runs: its code, its inputs, and all that it is told."""
    data = serial.to_json(record)
    facts, seeds = data["environment"] or {}, data["seeds"] or {}
    chosen = data["provenance"]
    return {
        "command": data["command"],
        "source": _files(record.source),
        "input": {each["path"]: each for each in data["inputs"]},
        "configuration": dict(_leaves(data["config"], "")),
        "override": _listed((*data["overrides"], *chosen["flags"], *chosen["settings"])),
        _EXACT: {"": _digest([data["config"], data["overrides"], chosen["flags"], chosen["settings"]])},
        "seed": {"root": data["seed"], "hash": seeds.get("hash_randomization")},
        "variable": {**facts.get("variables", {}), **facts.get("threads", {})},
        "package": {**facts.get("packages", {}), "python": [facts.get("python"), facts.get("implementation")]},
        "origin": dict(facts.get("origins", {})),
        # what an environment is rebuilt with
        "interpreter": {"executable": facts.get("executable")},
    }


def of_sweep(start: SweepStart) -> Basis:
    """Return what a sweep that is taken up again runs, beside its jobs."""
    data = serial.to_json(start)
    repeats = {} if start.repeats is None else {"repeats": {"run": start.repeats.uid}}
    return {
        **repeats,
        "command": data["command"],
        "source": _files(start.source),
        "override": _listed((*data["overrides"], *data["flags"], *data["settings"])),
        _EXACT: {"": _digest([data["overrides"], data["flags"], data["settings"]])},
        "sweeper": {"class": data["sweeper"], "launcher": data["launcher"]},
    }


def vouched_run(layout: RunLayout) -> Basis | None:
    """
    Return what this user's key vouches for of a run; None where it did not mark its record.

    What was added later (modules that main imported, files that it read) is part of it as far as it is marked, too,
    entry by entry, so that the record of a run that was killed is as good as any.
    """
    try:
        start = serial.unseal(read_regular(layout.record, MOST_RECORD_BYTES))
        if not marks.is_own(start):
            return None
        record = serial.record_from_start(start)
        state = Replay(record)
        for _, writer, entry in sorted(_added(layout, record.uid), key=lambda each: each[:2]):
            if (event := serial.event_from_entry(record.uid, writer, entry)) is not None:
                state.apply(event)
        return of_run(state.record())
    except (OSError, DamagedError):
        return None


def _added(layout: RunLayout, uid: str) -> Iterator[tuple[float, str, dict[str, Any]]]:
    """Yield time, writer and entry of what this user recorded to have been added to what a run uses."""
    for path in journals(layout):
        for entry in read_entries(path, _ADDING):
            if marks.is_own_entry(uid, entry[ev.KIND_KEY], entry):
                yield entry[serial.TIME_KEY], path.stem, entry


def vouched_sweep(layout: SweepLayout) -> Basis | None:
    """Return what this user's key vouches for of a sweep; None where it did not mark its record."""
    try:
        start = serial.unseal(read_regular(layout.record, MOST_RECORD_BYTES))
        return of_sweep(serial.from_json(SweepStart, start)) if marks.is_own(start) else None
    except (OSError, DamagedError):
        return None


def digest_of(basis: Mapping[str, Any]) -> str:
    """Return the digest by which what was trusted once is known again."""
    return _digest(basis)


def _digest(value: Any) -> str:
    return hashlib.sha256(serial.dumps(_ordered(value)).encode("ascii")).hexdigest()


def changes(was: Mapping[str, Mapping[str, Any]], now: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return what is another than it was, a line each; a file by its name, anything else with what is there now."""
    lines: list[tuple[str, str]] = []
    for section in dict.fromkeys((*was, *now)):
        old, new = was.get(section, {}), now.get(section, {})
        for name in dict.fromkeys((*old, *new)):
            a, b = old.get(name, _ABSENT), new.get(name, _ABSENT)
            if a is _ABSENT or b is _ABSENT or _ordered(a) != _ordered(b):
                lines.append((section, f"  {section:<9} {_change(name, a, b)}"))
    told = [line for section, line in lines if section != _EXACT]
    return told or ["  the order or nesting of overrides or of the configuration"] * bool(lines)


def _change(name: str, was: Any, now: Any) -> str:
    word = "is new" if was is _ABSENT else "is gone" if now is _ABSENT else "changed"
    if now is _ABSENT or isinstance(now, Mapping):
        return f"{name} {word}"
    shown = now if isinstance(now, str) else serial.dumps(now)
    return f"{name} {word}: {shown if len(shown) <= _MOST_SHOWN else f'{shown[:_MOST_SHOWN]}...'}"


def _files(source: SourceFacts) -> dict[str, Any]:
    beside = {"(beside)": _digest(serial.to_json(source)["beside"])} if source.beside else {}
    return {"(root)": source.root, **beside, **{each.path: serial.to_json(each) for each in source.files}}


def _listed(words: tuple[str, ...]) -> dict[str, Any]:
    """Return words in their order, each under its text, so that one that was added is seen as that."""
    return {f"{word}": index for index, word in enumerate(words)}


def _leaves(value: Any, where: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping) and value:
        for key, item in value.items():
            yield from _leaves(item, f"{where}.{key}" if where else str(key))
    else:
        yield where, value


def _ordered(value: Any) -> Any:
    """Return JSON values with the members of each object in one order: as they are read they may come in any."""
    if isinstance(value, Mapping):
        return {key: _ordered(value[key]) for key in sorted(value)}
    return [_ordered(item) for item in value] if isinstance(value, (list, tuple)) else value
