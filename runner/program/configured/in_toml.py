"""Configuration files in TOML. Values are replaced where they stand, so that comments and order stay."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from contextlib import suppress
from importlib import import_module
from typing import Any

from anew.runner.errors import ConfigError
from anew.runner.program.configured.forms import Path, Read, Span, UnreadableError, UnwritableError, line_of

_PART = r"""(?:[A-Za-z0-9_-]+|"(?:[^"\\\n]|\\.)*"|'[^'\n]*')"""
_KEY = rf"{_PART}(?:[ \t]*\.[ \t]*{_PART})*"
_TABLE = re.compile(rf"[ \t]*\[(\[?)[ \t]*({_KEY})[ \t]*\]")
_GIVEN = re.compile(rf"[ \t]*({_KEY})[ \t]*=[ \t]*")
_TOKEN = re.compile(r'"""|\'\'\'|"|\'|[\[{]|[\]}]|#|\n')
_ENDS = {'"""': re.compile(r'(?:[^\\]|\\.)*?"""(?!")', re.DOTALL), "'''": re.compile(r".*?'''(?!')", re.DOTALL),
         '"': re.compile(r'(?:[^"\\\n]|\\.)*"'), "'": re.compile(r"[^'\n]*'")}  # fmt: skip


class Toml:
    """The form TOML."""

    def read(self, text: str) -> Read:
        """Return what a text says. Raises UnreadableError, and ConfigError where Python has no reader for it."""
        reader = _reader()
        try:
            data = reader.loads(text)
        except (reader.TOMLDecodeError, RecursionError) as error:
            raise UnreadableError(str(error)) from None
        spans, lines = _spans(text)
        return Read(data, spans, lines)

    def written(self, value: Any, was: str) -> str:
        """Return a value as it is written in place of another. Raises UnwritableError."""
        return _written(value)

    def whole(self, data: Mapping[str, Any], text: str) -> str | None:
        """Return None: what cannot be changed in its place is not."""
        return None


def _reader() -> Any:
    for name in ("tomllib", "tomli"):  # the standard library's from Python 3.11 on
        with suppress(ImportError):
            return import_module(name)
    raise ConfigError("To read TOML, Python 3.10 needs tomli: pip install tomli")


def _spans(text: str) -> tuple[dict[Path, Span], dict[Path, int]]:
    """Return where values stand, and keys; of a text that is known to be sound."""
    spans: dict[Path, Span] = {}
    lines: dict[Path, int] = {}
    table: Path | None = ()
    at = 0
    while at < len(text):
        if found := _TABLE.match(text, at):
            # a list of tables has no names
            table = None if found[1] else _names(found[2])
        elif found := _GIVEN.match(text, at):
            end = _end(text, found.end())
            if table is not None:
                path = (*table, *_names(found[1]))
                spans[path], lines[path] = Span(found.end(), end), line_of(text, at)
            at = end
        line_end = text.find("\n", at)
        at = len(text) if line_end < 0 else line_end + 1
    return spans, lines


def _names(key: str) -> Path:
    parts = re.findall(_PART, key)
    return tuple(json.loads(each) if each[0] == '"' else each.strip("'") for each in parts)


def _end(text: str, start: int) -> int:
    """Return where a value ends that begins there."""
    at, depth = start, 0
    while (found := _TOKEN.search(text, at)) is not None:
        token, at = found[0], found.end()
        if token in _ENDS:
            closing = _ENDS[token].match(text, at)
            at = closing.end() if closing else at
        elif token in "[{":
            depth += 1
        elif token in "]}":
            depth -= 1
        elif token == "#" and depth:
            at = text.find("\n", at)
        elif not depth:
            return start + len(text[start : found.start()].rstrip())
    return start + len(text[start:].rstrip())


def _written(value: Any) -> str:
    if value is None:
        raise UnwritableError("TOML has no null")
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, float):
        return repr(value) if math.isfinite(value) else str(value)
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(_written, value))}]"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{json.dumps(str(key))} = {_written(each)}" for key, each in value.items()) + "}"
    if isinstance(value, (bool, int)):
        return json.dumps(value)
    return str(value)  # dates and times
