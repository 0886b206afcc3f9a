"""Configuration files in JSON, which has no comments: they are written anew, in the same order and as deep indented."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from anew.runner.program.configured.forms import Path, Read, UnreadableError, UnwritableError, line_of

_INDENT = re.compile(r"\n([ \t]+)\S")


class Json:
    """The form JSON."""

    def read(self, text: str) -> Read:
        """Return what a text says. Raises UnreadableError."""
        try:
            data = json.loads(text)
        except json.JSONDecodeError as error:
            raise UnreadableError(f"{error.msg}, line {error.lineno}") from None
        except RecursionError:
            raise UnreadableError("it is nested too deep") from None
        if not isinstance(data, Mapping):
            raise UnreadableError('it holds no names at its top, as in {"lr": 0.1}')
        return Read(data, lines=_lines(text, data))

    def written(self, value: Any, was: str) -> str:
        """Return a value as JSON."""
        return json.dumps(value, ensure_ascii=False)

    def whole(self, data: Mapping[str, Any], text: str) -> str | None:
        """Return all of *data*."""
        found = _INDENT.search(text)
        end = "\n" if text.endswith("\n") else ""
        try:
            return json.dumps(data, ensure_ascii=False, indent=found[1] if found else None) + end
        except (TypeError, ValueError) as error:
            raise UnwritableError(str(error)) from None


def _lines(text: str, data: Mapping[str, Any]) -> dict[Path, int]:
    """Return the line of each key, by the order in which they stand."""
    found: dict[Path, int] = {}
    _find(text, data, (), 0, found)
    return found


def _find(text: str, data: Any, above: Path, start: int, found: dict[Path, int]) -> int:
    for key, value in data.items():
        at = re.compile(re.escape(json.dumps(key)) + r"\s*:").search(text, start)
        if at is None:
            continue
        path = (*above, key)
        found[path] = line_of(text, at.start())
        start = _find(text, value, path, at.end(), found) if isinstance(value, dict) else at.end()
    return start
