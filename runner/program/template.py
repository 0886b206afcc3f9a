"""A command whose words may have parameters in them: `Rscript fit.R --rate {rate}`."""

from __future__ import annotations

import json
import keyword
import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from anew.runner.dataclass import dataclass
from anew.runner.errors import ConfigError
from anew.runner.lazy.patterns import regexp
from anew.runner.program.parameters import InWords, Parameter
from anew.runner.wording import nearest

_NAME = r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*"
# `{{name}}` is the text `{name}`, and `${NAME}` is a shell's
_KEY = regexp(rf"\{{\{{({_NAME})\}}\}}|(?<!\$)\{{({_NAME})\}}", re.ASCII)
_GIVEN = regexp(rf"[+~]*({_NAME})=", re.ASCII)
_SETTINGS = ("anew", "hydra")
# what stands in a command's words for the copy of its configuration file
CONFIG = "config"


@dataclass(frozen=True, slots=True)
class Template:
    """
    A command, as it was typed.

    Attributes:
        words: Its words; `{name}` in them stands for a parameter.
        overrides: What gives the parameters values, and flags as of any main.
        names: The parameters: those in the words, then those that are given and stand in none of them.
        in_file: Those of a configuration file; those of them that stand in words are among the names, too.
    """

    words: tuple[str, ...]
    overrides: tuple[str, ...]
    names: tuple[str, ...]
    in_file: tuple[Parameter, ...] = ()

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """The same, as what a configuration is made of; each that is in no file has to be given."""
        known = {each.name for each in self.in_file}
        own = [Parameter(name, "any", 1, InWords(), is_required=True) for name in self.names if name not in known]
        return (*own, *self.in_file)

    def filled(self, values: Mapping[str, Any]) -> list[str]:
        """Return the words with the parameters' values in place of their names."""

        def put(found: re.Match[str]) -> str:
            return as_text(values[found[2]]) if found[2] else f"{{{found[1]}}}"

        return [_KEY.sub(put, word) for word in self.words]


def template_of(
    before: Sequence[str], words: Sequence[str], in_file: Sequence[Parameter] | None = None, *, is_partial: bool = False
) -> Template:
    """
    Return what `BEFORE -- WORDS` means: the last words may be values of parameters, too; *is_partial*: some may lack.

    Of a command with a configuration file *in_file* has the parameters in that, and `{config}` stands for its copy.

    Raises:
        ConfigError: There is no command, or a parameter has no value, or a name that none can have.
    """
    rest = list(words)
    given = [_name_of(word) for word in before]
    before_names = [name for name in given if name and name.partition(".")[0] not in _SETTINGS]
    known = {each.name for each in in_file or ()}
    keys = [each for each in _keys_in(rest) if in_file is None or each != CONFIG]
    names = dict.fromkeys([*keys, *(name for name in before_names if name not in known)])
    _refuse_mistyped([name for name in names if name not in keys], known)
    after: list[str] = []
    while len(rest) > 1 and not _keys_in(rest[-1:]) and _is_given(rest[-1], {*names, *known}):
        after.insert(0, rest.pop())
    if not rest:
        raise ConfigError("anew run -- needs a command: anew run -- Rscript fit.R --rate {rate} rate=0.1")
    if not is_partial:
        _check(names, {*before_names, *known, *map(_name_of, after)}, rest)
    # Hydra takes flags before overrides, or between, but not both
    is_flag = [each.startswith("-") or "=" not in each for each in before]
    flags = [each for each, is_one in zip(before, is_flag, strict=True) if is_one]
    values = [each for each, is_one in zip(before, is_flag, strict=True) if not is_one]
    return Template(tuple(rest), (*flags, *values, *after), tuple(names), tuple(in_file or ()))


def _refuse_mistyped(names: Sequence[str], known: Collection[str]) -> None:
    """Raise ConfigError for what is given, stands in none of the words, and is nearly a key of the file."""
    for name in names:
        if hint := nearest(name, known):
            raise ConfigError(f"{name} is no key of the configuration file, and stands in none of the words.{hint}")


def _name_of(word: str) -> str | None:
    found = _GIVEN.match(word)
    return found[1] if found else None


def _is_given(word: str, names: Collection[str]) -> bool:
    """Whether a word at the end of a command is meant for us: a parameter's value, or a setting of the run's."""
    name = _name_of(word) or ""
    return name in names or name.startswith(tuple(f"{each}." for each in _SETTINGS))


def _keys_in(words: Sequence[str]) -> list[str]:
    return [found[2] for word in words for found in _KEY.finditer(word) if found[2]]


def _check(names: Mapping[str, Any], given: set[str | None], words: Sequence[str]) -> None:
    for name in names:
        if name not in given:
            typed = [found for word in words if (found := _name_of(word))]
            where = "before the --, or as the last of all words" if name in typed else "at the end"
            near = "" if name in typed else nearest(name, typed)
            raise ConfigError(
                f"The parameter {{{name}}} has no value: give it {where}, as in {name}=0.1.{near} "
                f"To give the command these letters as they are: {{{{{name}}}}}"
            )
        if any(keyword.iskeyword(part) for part in name.split(".")):
            raise ConfigError(f"No parameter can be called {name!r}, which is a word of Python's; try {name}_")
    variables: dict[str, str] = {}
    for name in names:
        other = variables.setdefault(variable_of(name), name)
        if other != name:
            raise ConfigError(f"{other} and {name} would both be {variable_of(name)}; call one of them something else.")
        if any(each.startswith(f"{name}.") for each in names):
            raise ConfigError(
                f"{name} cannot be a parameter and have others below it ({name}.…); call it another name."
            )


def variable_of(name: str) -> str:
    """Return the variable of the environment that a parameter is in."""
    return f"ANEW_PARAM_{name.replace('.', '_').upper()}"


def as_text(value: Any) -> str:
    """Return a value as a command is given it: a text as it is, anything else as JSON has it."""
    if isinstance(value, str):
        return value
    if isinstance(value, float):
        return repr(value)
    return json.dumps(value)
