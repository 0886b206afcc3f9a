"""Overrides that set plain values, read as Hydra's grammar reads them, and without Hydra, which takes 1 ms for each."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

from anew.runner.dataclass import dataclass
from anew.runner.lazy.patterns import regexp

KEY = r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*"
_WORD = regexp(rf"(?P<sign>\+{{0,2}})(?P<key>{KEY})=(?P<value>.*)", re.DOTALL | re.ASCII)
_INT = regexp(r"[+-]?(?:0|[1-9][0-9]{0,17})")
_FLOAT = regexp(r"[+-]?(?:0|[1-9][0-9]*)(?:\.[0-9]+(?:[eE][+-]?[0-9]+)?|[eE][+-]?[0-9]+)")
_TEXT = regexp(r"[A-Za-z_/][A-Za-z0-9_./-]*")
_CONSTANTS = {"true": True, "false": False, "null": None}
_NO_TEXT = frozenset(("true", "false", "null", "nan", "inf"))


class NotPlainError(Exception):
    """What something comes to is for Hydra, or for OmegaConf, to say."""


@dataclass(frozen=True, slots=True)
class Value:
    """An override that sets a value: how it sets it ("", "+" or "++"), where, and what."""

    sign: str
    key: str
    value: Any


@lru_cache(maxsize=4096)
def read(word: str) -> Value | None:
    """Return what an override sets, where that is seen at once: null, a number, a word, or a list of those."""
    found = _WORD.fullmatch(word)
    if found is None:
        return None
    text = found["value"]
    try:
        if text.startswith("[") and text.endswith("]"):
            inner = text[1:-1]
            return Value(found["sign"], found["key"], [_plain(each) for each in inner.split(",")] if inner else [])
        return Value(found["sign"], found["key"], _plain(text))
    except NotPlainError:
        return None


def _plain(text: str) -> Any:
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    if _INT.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text):
        value = float(text)
        if value - value == 0:
            return value
    elif _TEXT.fullmatch(text) and text.lower() not in _NO_TEXT:
        return text
    raise NotPlainError
