"""YAML of plain values whose texts need no quotes, byte for byte as `compose.yamltext` writes it, without a library."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from anew.runner.lazy.patterns import regexp

# begins as no number, date or mark of YAML does, and holds nothing that ends a text or has to be escaped
_SIMPLE = regexp(r"[A-Za-z_/][A-Za-z0-9_./=+,@%~()\[\]-]*")
# what YAML, or OmegaConf, takes for something else: in quotes, or, in whatever other case, left to the library
_QUOTED = frozenset(("true", "false", "null", "yes", "no", "on", "off", "y", "n", "Y", "N"))
_WORDS = frozenset(("true", "false", "null", "yes", "no", "on", "off", "nan", "inf", "infinity", "none", "_"))


def is_simple(text: str) -> bool:
    """Whether a text stands in YAML as it is, or in simple quotes."""
    return text in _QUOTED or (_SIMPLE.fullmatch(text) is not None and text.lower() not in _WORDS)


def text_written(text: str) -> str:
    """Return a text that is simple as it stands in YAML."""
    return f"'{text}'" if text in _QUOTED else text


def written(values: Any) -> str:
    """Return plain values as YAML: of texts those that are simple, no number that is not finite."""
    if not values:
        return f"{_flow(values)}\n"
    return "\n".join(_lines(values)) + "\n"


def _lines(values: Any) -> Iterator[str]:
    if isinstance(values, Mapping):
        for key, value in values.items():
            if value and isinstance(value, Mapping):
                yield f"{text_written(key)}:"
                yield from (f"  {line}" for line in _lines(value))
            elif value and isinstance(value, list):
                yield f"{text_written(key)}:"
                yield from _lines(value)
            else:
                yield f"{text_written(key)}: {_flow(value)}"
        return
    for value in values:
        if value and isinstance(value, (Mapping, list)):
            first, *others = _lines(value)
            yield f"- {first}"
            yield from (f"  {line}" for line in others)
        else:
            yield f"- {_flow(value)}"


def _flow(value: Any) -> str:
    """Return what fits on a line."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        text = repr(value)
        # YAML knows no number with an exponent and without a point
        return text.replace("e", ".0e", 1) if "e" in text and "." not in text else text
    if isinstance(value, Mapping):
        return "{}"
    if isinstance(value, str):
        return text_written(value)
    return "[]" if isinstance(value, list) else str(value)
