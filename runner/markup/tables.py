"""
Tables as HTML, for notebooks: everything in them is escaped, since a record may be anybody's.

Whatever is shown is cut to what fits a cell; the whole of it is an attribute away.
"""

from __future__ import annotations

import reprlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

MOST_ROWS = 30
_MOST_TEXT = 60
_MOST_KEYS = 12
_ESCAPED = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#x27;"})
_brief = reprlib.Repr()
_brief.maxdict, _brief.maxlevel, _brief.maxstring, _brief.maxother = 8, 3, 60, 60


def brief(value: object) -> str:
    """Return a value's repr, cut where it is long or deep."""
    return _brief.repr(value)


def grid(header: Sequence[str], rows: Sequence[Sequence[Any]], *, left_out: int = 0, what: str = "rows") -> str:
    """Return a table with a header; *left_out* says how many more rows there are, and of *what*."""
    head = "".join(f"<th>{escaped(name)}</th>" for name in header)
    body = "".join(f"<tr>{''.join(f'<td>{cell(value)}</td>' for value in row)}</tr>" for row in rows)
    more = f"<p>and {left_out} more {escaped(what)}</p>" if left_out > 0 else ""
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{more}"


def sheet(title: str, facts: Iterable[tuple[str, Any]]) -> str:
    """Return a table of names and what they are; empty ones are left out."""
    rows = "".join(f"<tr><th>{escaped(name)}</th><td>{cell(value)}</td></tr>" for name, value in facts if _says(value))
    return f"<table><caption>{escaped(title)}</caption><tbody>{rows}</tbody></table>"


def _says(value: Any) -> bool:
    return value is not None and value != "" and value != () and value != {}


def cell(value: Any) -> str:
    """Return a value in little space, escaped."""
    return escaped(short(value))


def escaped(text: str) -> str:
    """Return a text that HTML shows as it is; what is no Unicode, and no notebook could save, is written out."""
    return text.translate(_ESCAPED).encode("utf-8", "backslashreplace").decode()


def short(value: Any) -> str:
    """Return a value as a short text: numbers to five digits, mappings as KEY=VALUE."""
    if value is None:
        return ""
    if isinstance(value, datetime):
        return f"{value.astimezone():%Y-%m-%d %H:%M:%S}"
    if isinstance(value, float):
        return f"{value:.5g}"
    if isinstance(value, Mapping):
        items = list(value.items())[:_MOST_KEYS]
        shown = [f"{key}={brief(dict(item)) if isinstance(item, Mapping) else short(item)}" for key, item in items]
        return _cut(" ".join(shown) + (" ..." if len(value) > _MOST_KEYS else ""), 4 * _MOST_TEXT)
    if isinstance(value, (list, tuple)) and all(isinstance(item, str) for item in value):
        return _cut(" ".join(value), 4 * _MOST_TEXT)
    return _cut(value if isinstance(value, str) else brief(value), _MOST_TEXT)


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 3]}..."


def seconds(value: float | None) -> str:
    """Return a duration in seconds."""
    return "" if value is None else f"{value:.1f} s"
