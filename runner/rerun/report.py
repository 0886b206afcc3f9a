"""What differs, and how a re-run came out, in lines for people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from anew.runner.records import Verdict

_MOST = 30
_TITLES = {
    "python": "Python",
    "packages": "packages",
    "origins": "where packages came from",
    "variables": "variables",
    "threads": "threads",
    "hardware": "hardware",
    "inputs": "inputs",
}


def difference_lines(ref: int, found: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """Yield a table of what differs from the record, grouped; nothing when nothing does."""
    if not found:
        return
    yield f"different from run {ref}:"
    for section, entries in found.items():
        yield f"  {_TITLES.get(section, section)}"
        names = sorted(entries)
        wide = max(len(name) for name in names[:_MOST])
        for name in names[:_MOST]:
            yield f"    {name:<{wide}}  {_change(section, entries[name])}"
        if len(names) > _MOST:
            yield f"    and {len(names) - _MOST} more"


def _change(section: str, entry: Mapping[str, Any]) -> str:
    if section == "inputs":
        state = "is not there any more" if entry["now"] is None else "has changed"
        return f"{state}; " + ("the recorded content is used" if entry["restored"] else "its content was not kept")
    if section == "packages" and (entry["recorded"] is None or entry["now"] is None):
        return f"{entry['now']}, was not there" if entry["recorded"] is None else f"was {entry['recorded']}, is missing"
    return f"{_shown(entry['recorded'])} -> {_shown(entry['now'])}"


def _shown(value: Any) -> str:
    if value is None:
        return "unset"
    return ", ".join(map(str, value)) or "none" if isinstance(value, list) else str(value)


def verdict_lines(run: int, of: int | str, verdict: Verdict) -> Iterator[str]:
    """Yield how a re-run came out."""
    changed = f" with {' '.join(verdict.overrides)}" if verdict.overrides else ""
    yield f"run {run} is a re-run of {of}{changed}: {verdict.verdict}"
    if verdict.verdict == "identical":
        return
    if verdict.max_deviation and (place := verdict.max_deviation_at):
        yield f"  largest deviation  {verdict.max_deviation:.3g} (relative), {_place(place)}"
    if verdict.first_difference:
        part = verdict.first_difference
        yield f"  first difference   {_place(part)}: {_side(part, 'recorded')} -> {_side(part, 'now')}"
    for number, cause in enumerate(verdict.causes):
        yield f"  {'it may be that' if number == 0 else '':<17}  {cause}"


def _place(part: Mapping[str, Any]) -> str:
    step = f" at step {part['step']}" if part["step"] is not None else ""
    return f"{part['what']} {part['name']}".strip() + step


def _side(part: Mapping[str, Any], side: str) -> str:
    value = part[side]
    if part["what"] == "artifact":
        return value[:12] if value else "missing"
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
