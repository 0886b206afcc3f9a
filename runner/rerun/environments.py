"""Of what differed around main, what may explain another outcome: Python, packages that were imported, the machine."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from anew.runner.records import Cause, RunRecord

_SECTIONS = {"variables": "variable", "threads": "thread", "hardware": "hardware", "libraries": "library"}


def causes(was: RunRecord, differences: Mapping[str, Any]) -> Iterator[Cause]:
    """Yield them, likeliest first; a package that main did not import explains nothing."""
    for name, entry in differences.get("python", {}).items():
        yield Cause(
            kind="python",
            where=name,
            sentence=f"Python's {name} was {entry['recorded']}, now {entry['now']}.",
        )
    packages = differences.get("packages", {})
    used = [name for name in packages if is_used(packages[name])]
    yield from (_package(name, packages[name]) for name in used)
    for section, kind in _SECTIONS.items():
        for name, entry in differences.get(section, {}).items():
            if not entry["restored"]:
                yield Cause(kind=kind, where=name, sentence=f"{name} was {entry['recorded']}, now {entry['now']}.")


def is_used(entry: Mapping[str, Any]) -> bool:
    """Whether the recorded run imported a package that differs; where that is not on record, it may have."""
    return entry.get("imported") is not False


def _package(name: str, entry: Mapping[str, Any]) -> Cause:
    was, now = entry["recorded"] or "not installed", entry["now"] or "not installed"
    return Cause(kind="package", where=name, sentence=f"The package {name} was {was}, now {now}.")
