"""Output that Sacred captured: one text, as it came to the terminal."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from anew.observers.mongo.read.members import Notes, name_in_words
from anew.observers.mongo.view import clean
from anew.runner import events as ev

MOST_OUTPUT = 256 * 2**20
_PIECE_BYTES = 64 * 1024
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_SEQUENCE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|[\]PX^_][^\x07\x1b\n]*(?:\x07|\x1b\\)?|[ -/]*[0-~])")
_ERASE = re.compile(r"\x1b\[[012]?K")


def output_events(uid: str, text: Any, t: float, notes: Notes) -> Iterator[ev.OutputCaptured]:
    """Yield captured output in pieces, as a terminal would show it; when a line was printed is not known."""
    if not isinstance(text, str):
        if text is not None:
            notes.add(f"Captured output was left out: it is {name_in_words(text)}, not text.")
        return
    if len(text) > MOST_OUTPUT:
        notes.add(f"Captured output was cut: it has {len(text)} characters.")
    offset = 0
    for number, piece in enumerate(_pieces(text[:MOST_OUTPUT]), start=1):
        yield ev.OutputCaptured(uid=uid, writer="output", q=number, t=t, text=piece, offset=offset)
        offset += len(piece.encode("utf-8"))


def _pieces(text: str) -> Iterator[str]:
    """Yield text as it ends up on a terminal, in pieces of at most 64 KiB in UTF-8."""
    waiting: list[str] = []
    size = 0
    lines = clean(text).replace("\r\n", "\n").split("\n")
    last = len(lines) - 1
    for index, line in enumerate(lines):
        shown = _overwritten(line) if _CONTROL.search(line) else line
        waiting += (shown, "\n") if index < last else (shown,)
        size += len(shown) + 1
        if size >= _PIECE_BYTES // 2:
            yield from _cut("".join(waiting).encode("utf-8"))
            waiting, size = [], 0
    yield from _cut("".join(waiting).encode("utf-8"))


def _overwritten(line: str) -> str:
    """
    Return a line as it is at its end: of what was written over something, the later.

    The model of a terminal that runs are captured with does more, in a time that depends on what is printed; this one
    goes once over a text that somebody may have made up.
    """
    result = ""
    for part in reversed(line.split("\r")):
        text = _printed(part)
        result += text[len(result) :]
        if _ERASE.search(part):
            break
    return result


def _printed(text: str) -> str:
    text = _SEQUENCE.sub("", text)
    if "\b" in text:
        characters: list[str] = []
        for character in text:
            if character != "\b":
                characters.append(character)
            elif characters:
                characters.pop()
        text = "".join(characters)
    return _CONTROL.sub("", text)


def _cut(data: bytes) -> Iterator[str]:
    begin = 0
    while begin < len(data):
        end = _boundary(data, begin + _PIECE_BYTES)
        yield data[begin:end].decode("utf-8")
        begin = end


def _boundary(data: bytes, at: int) -> int:
    """Return the last place up to *at* where a character begins, or the end."""
    if len(data) <= at:
        return len(data)
    while data[at] & 0xC0 == 0x80:
        at -= 1
    return at
