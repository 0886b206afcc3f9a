"""Configuration files in the form of `configparser`: sections, and names whose values are texts."""

from __future__ import annotations

import configparser
import re
from collections.abc import Mapping
from typing import Any

from anew.runner.program.configured.forms import Path, Read, Span, UnreadableError, UnwritableError

_SECTION = re.compile(r"\[(.+)\]")
_GIVEN = re.compile(r"([^\s:=#;][^:=]*?)[ \t]*[:=][ \t]*")
_TRUTHS = {"true": True, "false": False}
_WHOLE = re.compile(r"[-+]?(?:0|[1-9]\d*)", re.ASCII)
_NUMBER = re.compile(r"[-+]?(?:\d+\.\d*|\.\d+|\d+(?=[eE]))(?:[eE][-+]?\d+)?", re.ASCII)


class Ini:
    """The form INI."""

    def read(self, text: str) -> Read:
        """Return what a text says: numbers and true and false by how they look. Raises UnreadableError."""
        parser = configparser.RawConfigParser(allow_no_value=True)
        vars(parser)["optionxform"] = str
        try:
            parser.read_string(text)
        except configparser.MissingSectionHeaderError as error:
            raise UnreadableError(f"line {error.lineno} stands in no section, as in [train]") from None
        except configparser.Error as error:
            raise UnreadableError(" ".join(str(error).split())) from None
        data: dict[str, Any] = {}
        if own := parser.defaults():
            data[parser.default_section] = {key: _read(value) for key, value in own.items()}
        for section in parser.sections():
            own = vars(parser)["_sections"][section]
            data[section] = {key: _read(value) for key, value in own.items()}
        spans, lines = _spans(text)
        return Read(data, spans, lines)

    def written(self, value: Any, was: str) -> str:
        """Return a value as it is written in place of the text *was*. Raises UnwritableError."""
        if isinstance(value, bool):
            # as it was written: True, TRUE or true
            word = "true" if value else "false"
            return (
                word.capitalize()
                if was[:1].isupper() and not was.isupper()
                else word.upper()
                if was.isupper()
                else word
            )
        if isinstance(value, (int, float)):
            return repr(value)
        if isinstance(value, str) and value.strip() == value and "\n" not in value:
            return value
        raise UnwritableError(f"{value!r} is no line of text")

    def whole(self, data: Mapping[str, Any], text: str) -> str | None:
        """Return None: what cannot be changed in its place is not."""
        return None


def _read(text: str | None) -> Any:
    if text is None:
        return None
    if text.lower() in _TRUTHS:
        return _TRUTHS[text.lower()]
    if _WHOLE.fullmatch(text):
        return int(text)
    return float(text) if _NUMBER.fullmatch(text) else text


def _spans(text: str) -> tuple[dict[Path, Span], dict[Path, int]]:
    """Return where values stand, without those of several lines, and keys."""
    spans: dict[Path, Span] = {}
    lines: dict[Path, int] = {}
    section, at, last = "", 0, None
    for number, line in enumerate(text.splitlines(keepends=True), start=1):
        bare = line.strip()
        if line[:1].isspace() and bare and last is not None:
            spans.pop(last, None)
        elif found := _SECTION.match(bare):
            section, last = found[1], None
        elif (given := _GIVEN.match(line)) and bare[:1] not in "#;":
            last = (section, given[1])
            spans[last] = Span(at + given.end(), at + max(given.end(), len(line.rstrip())))
            lines[last] = number
        at += len(line)
    return spans, lines
