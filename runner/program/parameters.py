"""What a program's parameters are: a name, a type, a default, where it stands, and how the program is given a value."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from typing import Any, Literal

from anew.runner.dataclass import dataclass
from anew.runner.errors import ConfigError

Spread = Literal["one", "many", "repeat", "comma", "json"]
Switch = Literal["word", "present", "absent", "both", "count", "const"]


class _Missing:
    def __repr__(self) -> str:
        return "MISSING"


MISSING: Any = _Missing()


@dataclass(frozen=True, slots=True)
class Flag:
    """
    An option of a command line.

    Attributes:
        option: What is typed, `--lr`.
        switch: How a truth is given: as a word after it, by its presence (true or false), by one of two options, by
            how often it is there, or as a constant.
        off: What is typed for false: an option of its own, or with `switch="word"` the word that stands for it.
        spread: How several values are given: each after the option, with the option before each, joined by commas, or
            as one text of JSON.
        const: What its presence stands for, with `switch="const"`.
        further: Options that stand for other constants of the same parameter, each after its constant.
        adds: Whether what is typed is added to the default, and does not take its place.
    """

    option: str
    switch: Switch = "word"
    off: str | None = None
    spread: Spread = "one"
    const: Any = None
    further: tuple[tuple[Any, str], ...] = ()
    adds: bool = False


@dataclass(frozen=True, slots=True)
class Positional:
    """
    A value by its place on a command line, from 0.

    Attributes:
        is_many: Whether it takes all words that are left.
        is_command: Whether it chooses which further parameters there are.
    """

    place: int
    is_many: bool = False
    is_command: bool = False


@dataclass(frozen=True, slots=True)
class Assigned:
    """A name that the program assigns a literal to, at its top level."""

    target: str


@dataclass(frozen=True, slots=True)
class InWords:
    """What stands among the words of a command, or is in its environment alone."""


@dataclass(frozen=True, slots=True)
class InFile:
    """
    A key of the program's configuration file, which it is given a copy of.

    Attributes:
        path: The keys that lead to it.
        file: The file, absolute.
    """

    path: tuple[str, ...]
    file: str


Way = Flag | Positional | Assigned | InWords | InFile


@dataclass(frozen=True, slots=True)
class Parameter:
    """
    One parameter of a program, as its source shows it.

    Attributes:
        name: Its key in the run's configuration; dots for what a program nests.
        type: "bool", "int", "float", "str", "list[int]", ..., "dict" or "any".
        line: Where it stands, from 1.
        way: How the program is given it.
        default: What the program takes without it; MISSING where it has to be given, or is not said by a literal.
        choices: What it may be, if that is said.
        is_required: Whether the program refuses to run without it.
        is_computed: Whether its default is what the program works out.
        may_be_none: Whether None is a value of it.
        only: The subcommands that it belongs to; empty for all.
        help: What the program says of it.
    """

    name: str
    type: str
    line: int
    way: Way
    default: Any = MISSING
    choices: tuple[Any, ...] = ()
    is_required: bool = False
    is_computed: bool = False
    may_be_none: bool = False
    only: tuple[str, ...] = ()
    help: str | None = None

    @property
    def is_typed(self) -> bool:
        """Whether the program is given it on its command line."""
        return isinstance(self.way, (Flag, Positional))

    def where(self, file: str) -> str:
        """Return where it stands, as file and line; *file* is the program's name."""
        return f"{os.path.relpath(self.way.file) if isinstance(self.way, InFile) else file}:{self.line}"

    def as_json(self, file: str) -> dict[str, Any]:
        """Return what `--params --json` gives of it; *file* is the program's name."""
        default = None if self.default is MISSING else self.default
        return {
            "name": self.name,
            "type": self.type,
            "default": default,
            "choices": list(self.choices) or None,
            "where": self.where(file),
        }


def command_line(parameters: Iterable[Parameter], values: Mapping[str, Any]) -> list[str]:
    """
    Return the words that give a program *values*: those that are not its defaults, each in its own way.

    Args:
        parameters: The program's, in the order of its source.
        values: Values by name; what is not in there, or is what the program takes anyway, is not given.

    Raises:
        ConfigError: There are no words that give the program a value.
    """
    known = list(parameters)
    level = [each for each in known if not each.only]
    words: list[str] = []
    while level:
        words += _words(_given(level, values))
        command = next((each for each in level if _is_command(each)), None)
        chosen = None if command is None else values.get(command.name, command.default)
        if not isinstance(chosen, str):
            break
        words.append(chosen)
        done = {*(each.name for each in known if not each.only), *(each.name for each in level)}
        level = [each for each in known if chosen in each.only and each.name not in done]
    return words


def _given(level: list[Parameter], values: Mapping[str, Any]) -> list[tuple[Parameter, Any]]:
    found = []
    for each in level:
        value = values.get(each.name, MISSING)
        if value is MISSING or _is_command(each):
            continue
        # positions are counted, so that none before one that is given can be left out
        is_place = isinstance(each.way, Positional) and value is not None
        if is_place or not _is_same(value, each.default):
            found.append((each, value))
    return found


def _is_command(parameter: Parameter) -> bool:
    return isinstance(parameter.way, Positional) and parameter.way.is_command


def _is_same(value: Any, default: Any) -> bool:
    return type(value) is type(default) and repr(value) == repr(default)


def _words(chosen: list[tuple[Parameter, Any]]) -> list[str]:
    """Return options that take several values first: whatever follows those would be one of them."""
    several: list[str] = []
    single: list[str] = []
    places: list[tuple[int, list[str]]] = []
    for parameter, value in chosen:
        way = parameter.way
        if isinstance(way, Flag):
            given = _given_words(parameter, way, value)
            (several if way.spread == "many" else single).extend(given)
        elif isinstance(way, Positional):
            many = value if way.is_many and isinstance(value, (list, tuple)) else [value]
            places.append((way.place, [as_word(each) for each in many]))
    positional = [word for _, words in sorted(places) for word in words]
    needs_end = positional and ((several and not single) or any(word.startswith("-") for word in positional))
    return [*several, *single, *(["--"] if needs_end else []), *positional]


def _given_words(parameter: Parameter, flag: Flag, value: Any) -> list[str]:
    """Return what is typed so that an option of a program gets a value other than its default; at least a word."""
    start = parameter.default
    more = value
    if flag.adds and isinstance(start, int) and isinstance(value, int):
        more = value - start
    elif flag.adds and isinstance(start, (list, tuple)) and start and isinstance(value, (list, tuple)):
        more = value[len(start) :] if list(value[: len(start)]) == list(start) else []
    words = option_words(flag, more)
    # None is what the program has without a word, as far as anybody can tell
    if words or value is None or start is MISSING or (not value and not start):
        return words
    added = f": what is typed is added to {start!r}" if flag.adds else ""
    raise ConfigError(
        f"{parameter.name}={value} cannot be given to the program, whose command line has no words for it{added}."
    )


def option_words(flag: Flag, value: Any) -> list[str]:
    """Return what is typed so that an option gets a value."""
    if flag.switch == "count":
        return [flag.option] * int(value)
    if flag.switch in ("present", "both", "absent") and isinstance(value, bool):
        if value is (flag.switch != "absent"):
            return [flag.option]
        return [] if flag.off is None else [flag.off]
    if flag.switch == "const":
        options = ((flag.const, flag.option), *flag.further)
        return next(([option] for const, option in options if _is_same(value, const)), [])
    if value is None:
        return []
    if value is False and flag.off is not None:
        return _joined(flag.option, flag.off)
    if flag.spread == "json" and isinstance(value, (list, tuple, dict)):
        return [f"{flag.option}={json.dumps(value)}"]
    if isinstance(value, (list, tuple)):
        return _several(flag, list(value))
    return _joined(flag.option, as_word(value))


def _several(flag: Flag, values: list[Any]) -> list[str]:
    if flag.spread == "repeat" and values and all(isinstance(each, (list, tuple)) for each in values):
        return [word for each in values for word in (flag.option, *map(as_word, each))]
    words = [as_word(each) for each in values]
    if flag.spread == "many":
        return [flag.option, *words]
    if flag.spread == "repeat":
        return [each for word in words for each in _joined(flag.option, word)]
    return _joined(flag.option, ",".join(words))


def _joined(option: str, word: str) -> list[str]:
    # a value that begins with a dash is one only when it is joined to its option; `-n=3` would be the text "=3"
    return [f"{option}={word}"] if option.startswith("--") else [f"{option}{word}"]


def as_word(value: Any) -> str:
    """Return a value as it is typed."""
    return value if isinstance(value, str) else str(value)
