"""Words that a program is given as they are: options among them are values of its parameters."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

from anew.runner.errors import ConfigError
from anew.runner.program.found import Found
from anew.runner.program.parameters import Flag, Parameter, Positional

_UNREADABLE: Any = object()
_SWEEPERS = "hydra.sweeper.params."


def values_in(words: Sequence[str], found: Found, typed: Sequence[str]) -> dict[str, Any] | None:
    """
    Return the values that `--lr 0.3`, `--lr=0.3` and `--fast` give to parameters, by name.

    None where there is anything else among the words, or the program would not take the values for the same when it is
    given them as parameters; it has to be given the words themselves then.

    Args:
        words: What follows `--`.
        found: What was found in the program.
        typed: Overrides beside them.
    """
    # fire goes by how a value is written, and what is not known may stand among the words in any place
    if found.is_partial or found.reads_argv or "fire" in found.imports or found.main is not None:
        return None
    if any(isinstance(each.way, Positional) and each.way.is_command for each in found.parameters):
        return None
    known: dict[str, Parameter] = {each.way.option: each for each in found.parameters if isinstance(each.way, Flag)}
    values: dict[str, Any] = {}
    left = list(words)
    while left:
        option, mark, text = left.pop(0).partition("=")
        each = known.get(option)
        if each is None or each.name in values or is_typed(each, typed):
            return None
        if not mark and _takes_a_word(each):
            if not left or left[0].startswith("-"):
                return None
            text = left.pop(0)
        value = _value(each, text if mark or _takes_a_word(each) else None)
        if value is _UNREADABLE:
            return None
        values[each.name] = value
    missing = [each for each in found.parameters if each.is_required and not is_typed(each, typed)]
    return None if any(each.name not in values for each in missing) else values


def unsaid(found: Found, typed: Sequence[str]) -> frozenset[str]:
    """Return the names of parameters of whose values nothing can be said, where words are given as they are."""
    return frozenset(each.name for each in found.parameters if each.is_typed and not is_typed(each, typed))


def refuse_twice(words: Sequence[str], parameters: Iterable[Parameter], typed: Sequence[str]) -> None:
    """Raise ConfigError where an option is given as a parameter and among the words, too: the words would win."""
    options = {word.partition("=")[0] for word in words}
    for each in parameters:
        if isinstance(each.way, Flag) and each.way.option in options and is_typed(each, typed):
            raise ConfigError(
                f"{each.name} is given twice: as {each.name}=..., and after the -- as {each.way.option}. Leave out one."
            )


def is_typed(parameter: Parameter, typed: Iterable[str]) -> bool:
    """Whether overrides give a parameter a value, or several."""
    for word in typed:
        key = word.partition("=")[0].lstrip("+~").removeprefix(_SWEEPERS)
        if parameter.name == key or parameter.name.startswith(f"{key}."):
            return True
    return False


def _takes_a_word(parameter: Parameter) -> bool:
    return isinstance(parameter.way, Flag) and parameter.way.switch == "word"


def _value(parameter: Parameter, text: str | None) -> Any:
    """Return what an option's text means to the program, and _UNREADABLE where that cannot be told."""
    way = parameter.way
    if not isinstance(way, Flag) or not parameter.name.isidentifier():
        return _UNREADABLE
    if text is None:
        return True if way.switch == "present" and parameter.type == "bool" else _UNREADABLE
    if way.switch != "word" or way.spread != "one" or parameter.type not in ("int", "float", "str"):
        return _UNREADABLE
    try:
        value = {"int": int, "float": float, "str": str}[parameter.type](text)
    except ValueError:
        return _UNREADABLE
    is_finite = not isinstance(value, float) or math.isfinite(value)
    return value if is_finite and (not parameter.choices or value in parameter.choices) else _UNREADABLE
