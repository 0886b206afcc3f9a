"""What could stand next in a filter: names where a name belongs, values of it behind an operator."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Any

from msgspec import Meta

from anew.runner.query.filters import OPERATORS, WORDS, tokens
from anew.runner.query.names import value_of
from anew.runner.records import RunRecord
from anew.runner.server.asking import columns_of
from anew.runner.server.routes import Asked
from anew.runner.server.shapes import Completion, Option
from anew.runner.server.site import Site
from anew.runner.wording import short

_MOST = 50
_PLAIN = re.compile(r"[^\s()\[\],<>=!~\"']+")
_BEFORE_NAMES = ("", "and", "or", "not", "(")
_LONGEST = 200


class CompletionAsked(Asked):
    """A filter as far as it is written, and where in it one writes, in characters."""

    q: Annotated[str, Meta(max_length=50_000)] = ""
    at: Annotated[int, Meta(ge=0, le=50_000)] = 0


def complete(site: Site, asked: CompletionAsked) -> Completion:
    """What could stand where one writes in a filter."""
    at = min(asked.at, len(asked.q))
    text = asked.q[:at]
    begin, word, before = _place(text)
    records = site.rows.telling()
    what, name = _expected(before)
    if what == "name":
        options = [*_names(records, word), *_saved(site, word)]
    elif what == "value":
        options = [*_values(records, name, word)]
    elif what == "operator":
        options = [Option(text=each, what="comparison") for each in OPERATORS if each.startswith(word)]
    else:
        options = [Option(text=each, what="word") for each in ("and", "or") if each.startswith(word.lower())]
    return Completion(begin=begin, end=_end(asked.q, at), options=options[:_MOST])


def _place(text: str) -> tuple[int, str, list[str]]:
    """Return where the word begins that is being written, the word, and what stands before it."""
    found = tokens(text)
    if found and found[-1][1] == len(text) and text and not text[-1].isspace() and found[-1][2] not in "()[],<>=!~":
        start, _, word = found[-1]
        if word not in OPERATORS:
            return start, word.strip("\"'"), [each for _, _, each in found[:-1]]
    return len(text), "", [each for _, _, each in found]


def _end(text: str, at: int) -> int:
    """Return where the word ends that is being written."""
    match = _PLAIN.match(text, at)
    is_inside = at > 0 and _PLAIN.fullmatch(text[at - 1]) is not None
    return match.end() if match and is_inside else at


def _expected(before: list[str]) -> tuple[str, str]:
    """Return what belongs behind some tokens: "name", "operator", "value" (and of what) or "word"."""
    last = before[-1].lower() if before else ""
    if last == "not" and len(before) > 1 and _is_name(before[:-1]):
        return "operator", before[-2]
    if last in _BEFORE_NAMES:
        return "name", ""
    if last in OPERATORS or last == "in":
        return "value", _unquoted(before[-2 if before[-2:-1] != ["not"] else -3]) if len(before) > 1 else ""
    if last in ("[", ","):
        opened = max((index for index, each in enumerate(before) if each == "["), default=0)
        words = [each for each in before[:opened] if each.lower() not in (*OPERATORS, "in", "not")]
        return "value", _unquoted(words[-1]) if words else ""
    return ("operator", last) if _is_name(before) else ("word", "")


def _is_name(before: list[str]) -> bool:
    """Whether the last of some tokens stands where a name belongs."""
    rest = before[:-1]
    last = rest[-1].lower() if rest else ""
    is_value = last in OPERATORS or last == "in" or last in ("[", ",")
    return not is_value and before[-1] not in (")", "]") and last in _BEFORE_NAMES


def _unquoted(token: str) -> str:
    return token[1:-1] if token[:1] in "\"'" and len(token) > 1 else token


def _names(records: list[RunRecord], word: str) -> Iterator[Option]:
    """Yield names that begin so, then those in which it stands, those that runs differ in first."""
    columns = columns_of(records)
    low = word.lower()
    ranked = sorted(
        (not each.name.lower().startswith(low), not each.varying, place, each)
        for place, each in enumerate(columns)
        if low in each.name.lower()
    )
    yield from (Option(text=_as_name(each.name), what=each.kind) for *_, each in ranked)


def _as_name(name: str) -> str:
    return name if _PLAIN.fullmatch(name) else _quoted(name)


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _saved(site: Site, word: str) -> Iterator[Option]:
    views = getattr(site.store, "views", None)
    if views is None or not word.startswith("@"):
        return
    yield from (Option(text=f"@{name}", what="view") for name in views().names() if f"@{name}".startswith(word))


def _values(records: list[RunRecord], name: str, word: str) -> Iterator[Option]:
    """Yield the values that runs have of a name, those that most have first."""
    counts: dict[str, int] = {}
    for record in records:
        for value in _items(value_of(record, name) if name else None):
            if (text := _as_value(value)) is not None:
                counts[text] = counts.get(text, 0) + 1
    for text in WORDS.get(name, ()):
        counts.setdefault(text, 0)
    low = word.lower()
    found = [text for text in counts if text.strip('"').lower().startswith(low)]
    yield from (Option(text=text, what=f"{counts[text]} runs") for text in sorted(found, key=lambda t: -counts[t]))


def _items(value: Any) -> tuple[Any, ...]:
    return tuple(value) if isinstance(value, (tuple, list)) else () if value is None else (value,)


def _as_value(value: Any) -> str | None:
    """Return a value as it is typed in a filter; None for one that is not offered."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (int, float)):
        return short(value)
    if isinstance(value, datetime):
        return f"{value.astimezone():%Y-%m-%d}"
    if not isinstance(value, str) or len(value) > _LONGEST or "\n" in value:
        return None
    return value if _PLAIN.fullmatch(value) else _quoted(value)
