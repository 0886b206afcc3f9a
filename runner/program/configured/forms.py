"""What the forms of configuration files have in common: values by the keys that lead to them, and where these stand."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field
from typing import Any, Protocol

from anew.runner.dataclass import dataclass

Path = tuple[str, ...]


class UnreadableError(ValueError):
    """A text is not of the form that it is said to be; says why, and where."""


class UnwritableError(ValueError):
    """A value cannot be written where it is to stand; says why."""


@dataclass(frozen=True, slots=True)
class Span:
    """
    Where a value stands in a text.

    Attributes:
        start, end: Positions in the text.
    """

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Read:
    """
    A configuration file that was read.

    Attributes:
        data: What it says, as a program's own parser has it.
        spans: Where values stand, by the keys that lead to them; not of each value.
        lines: In which line keys stand, from 1; not of each key.
    """

    data: Mapping[str, Any]
    spans: Mapping[Path, Span] = field(default_factory=dict)
    lines: Mapping[Path, int] = field(default_factory=dict)

    def line_of(self, path: Path) -> int:
        """Return the line of a key, or of what it stands in."""
        return next((self.lines[path[:length]] for length in range(len(path), 0, -1) if path[:length] in self.lines), 1)


class Form(Protocol):
    """One form of configuration files: YAML, JSON, TOML, INI."""

    def read(self, text: str) -> Read:
        """Return what a text says. Raises UnreadableError."""
        ...

    def written(self, value: Any, was: str) -> str:
        """Return a value as it is written in place of the text *was*. Raises UnwritableError."""
        ...

    def whole(self, data: Mapping[str, Any], text: str) -> str | None:
        """Return all of *data* as a text, where the one that was cannot be kept; None where this form has no such."""
        ...


def changed(text: str, form: Form, changes: Mapping[Path, Any]) -> str:
    """
    Return a text with other values; comments, order and all else stay, as far as the form lets them.

    Raises:
        UnwritableError: It cannot be written so that a reader finds these values and no others.
    """
    read = form.read(text)
    wanted = _set(read.data, changes)
    edits: dict[Span, Any] = {}
    for path in changes:
        found = _standing(path, read.spans)
        if found is None:
            break
        edits[read.spans[found]] = _at(wanted, found)
    else:
        edited = text
        for span in sorted(edits, key=lambda each: each.start, reverse=True):
            new = form.written(edits[span], text[span.start : span.end])
            edited = edited[: span.start] + new + edited[span.end :]
        if _says(form, edited, wanted):
            return edited
    whole = form.whole(wanted, text)
    if whole is not None and _says(form, whole, wanted):
        return whole
    names = ", ".join(".".join(path) for path in changes)
    raise UnwritableError(f"{names} cannot be changed where it stands, so that nothing else changes with it")


def _says(form: Form, text: str, wanted: Any) -> bool:
    try:
        return repr(form.read(text).data) == repr(wanted)
    except UnreadableError:
        return False


def _standing(path: Path, spans: Mapping[Path, Span]) -> Path | None:
    """Return the innermost of what leads to a value, and itself, whose place is known."""
    return next((path[:length] for length in range(len(path), 0, -1) if path[:length] in spans), None)


def _at(data: Any, path: Sequence[str]) -> Any:
    for key in path:
        data = data[key]
    return data


def _set(data: Mapping[str, Any], changes: Mapping[Path, Any]) -> dict[str, Any]:
    found = dict(data)
    for path, value in changes.items():
        node = found
        for key in path[:-1]:
            node[key] = dict(node[key])
            node = node[key]
        node[path[-1]] = value
    return found


def leaves(data: Mapping[str, Any], above: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Return each value that holds no further names, and the keys that lead to it."""
    for key, value in data.items():
        if isinstance(value, Mapping) and value:
            yield from leaves(value, (*above, str(key)))
        else:
            yield (*above, str(key)), value


def line_of(text: str, position: int) -> int:
    """Return the line of a position in a text, from 1."""
    return text.count("\n", 0, position) + 1
