"""What a program cannot be given by name before it runs, each with what is to be typed instead."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING

from anew.runner.errors import ConfigError
from anew.runner.lazy.modules import later
from anew.runner.program.parameters import Flag, Parameter, Positional, command_line
from anew.runner.program.program import Program
from anew.runner.settings import places_of
from anew.runner.wording import nearest

if TYPE_CHECKING:
    from anew.runner.config.private import running
else:
    # what most command lines have needs no Hydra to be known
    running = later("anew.runner.config.private.running")
_COMMON = ("-m", "--multirun", "--store")


def refuse_unfit(program: Program, overrides: Sequence[str]) -> None:
    """Raise ConfigError for the first of what was typed before a `--` that gives the program nothing."""
    _refuse_options(program, overrides)
    _refuse_bare(program, overrides)
    _refuse_unnamed(program, overrides)
    _refuse_unknown(program, overrides)


def is_option_of_ours(word: str) -> bool:
    """Whether a word is an option of a recorded main, which Hydra has not."""
    return word in ("-q", "--quiet", "--unrecorded") or word.startswith("--store=")


def _refuse_options(program: Program, words: Sequence[str]) -> None:
    """Refuse an option of the program's own that stands before a `--`."""
    options = {each.way.option: (each, each.way) for each in program.found.parameters if isinstance(each.way, Flag)}
    for at, word in enumerate(words):
        option, mark, value = word.partition("=")
        is_theirs = option in options and option.startswith("--")
        if not option.startswith("-") or (_is_flag(option) and not is_theirs):
            continue
        known = options.get(option)
        rest = words[at + 1 :]
        if not mark:
            value = rest[0] if rest and not rest[0].startswith("-") and "=" not in rest[0] else ""
        given = shlex.join([*(word for word in words[:at] if not word.startswith("-")), "--", *words[at:]])
        as_it_is = f"anew run {program.typed} {given}"
        if known is None:
            raise ConfigError(f"{option} is no option of anew's. To give it to the program as it is: {as_it_is}")
        parameter, way = known
        if not mark and way.switch != "word":
            value = "false" if way.switch == "absent" else "true"
        raise ConfigError(
            f"{option} is typed as a parameter: anew run {program.typed} {parameter.name}="
            f"{shlex.quote(value or 'VALUE')}. To give words as they are: {as_it_is}"
        )


def _is_flag(option: str) -> bool:
    """Whether an option is one that any main has."""
    if option in _COMMON or is_option_of_ours(option):
        return True
    return any(option in action.option_strings for action in running.made_parser()._actions)


def _refuse_bare(program: Program, words: Sequence[str]) -> None:
    """Refuse a word that is no NAME=VALUE, such as a subcommand, or a file by its place."""
    bare = [at for at, word in enumerate(words) if "=" not in word and not word.startswith(("-", "~")) and word]
    # of Hydra's options a word may follow: `--cfg job`
    bare = [at for at in bare if at == 0 or not words[at - 1].startswith("--")]
    if not bare or program.entry == "notebook":
        return
    word = words[bare[0]]
    others = [each for at, each in enumerate(words) if at not in bare]
    given = shlex.join([*others, "--", *(words[at] for at in bare)])
    as_it_is = f"anew run {program.typed} {given}"
    meant = _placed(program, word)
    if meant is None:
        raise ConfigError(f"{word!r} is no NAME=VALUE. To give it to the program as it is: {as_it_is}")
    named = [f"{meant.name}={word}" if at == bare[0] else each for at, each in enumerate(words)]
    raise ConfigError(
        f"{word!r} is given by name: anew run {program.typed} {shlex.join(named)}. "
        f"To give words as they are: {as_it_is}"
    )


def _placed(program: Program, word: str) -> Parameter | None:
    """Return the parameter that a word without a name stands for: that of a subcommand, or the first by its place."""
    places = [(each, each.way) for each in program.found.parameters if isinstance(each.way, Positional)]
    for each, way in places:
        if way.is_command and word in each.choices:
            return each
    own = [(way.place, each) for each, way in places if not way.is_command and not each.only]
    return min(own, key=lambda pair: pair[0])[1] if own else None


def _refuse_unnamed(program: Program, words: Sequence[str]) -> None:
    """Refuse a parameter whose name no configuration can hold."""
    unnamed = {each.name: each for each in program.found.unnamed}
    for word in words:
        key, mark, value = word.partition("=")
        if mark and key in unnamed:
            each = unnamed[key]
            how = "in the file itself"
            if each.is_typed:
                how = f"anew run {program.typed} -- {shlex.join(command_line([each], {key: value}))}"
            raise ConfigError(f"{key} is a name that Python, Hydra or anew keeps for itself. To give it: {how}")


def _refuse_unknown(program: Program, words: Sequence[str]) -> None:
    """Refuse a name that is no parameter's."""
    names = {each.partition(".")[0]: None for each in program.found.by_name}
    for word in words:
        key, mark, value = word.partition("=")
        first = key.partition(".")[0].partition("/")[0]
        if mark and not key.startswith(("-", "+", "~")) and first not in (*names, "anew", "hydra"):
            raise ConfigError(_unknown(program, key, value, list(names)))


def _unknown(program: Program, key: str, value: str, names: list[str]) -> str:
    found = program.found
    text = f"{key} is no parameter of {program.typed!r} that reading it shows"
    text += ": it looks at sys.argv by itself." if found.reads_argv and not found.has_command_line else "."
    text += f" It is typed as {same}=..." if (same := _of_option(program, key)) else nearest(key, names)
    text += f" It has: {', '.join(names)}." if names else ""
    if settings := places_of(key):
        text += f" A setting of the recording is given in full: {' or '.join(f'{each}=...' for each in settings)}."
    if program.entry == "notebook" or (found.has_command_line and not found.is_partial):
        return text
    # a parser that stands in another file is not read, nor one that the program makes up
    as_typed = f"{key}={value}" if found.reads_argv else f"--{key.replace('_', '-')}={value}"
    return f"{text} To give it words as they are: anew run {program.typed} -- {shlex.quote(as_typed)}"


def _of_option(program: Program, key: str) -> str | None:
    """Return the parameter that an option of that name sets, where it is called otherwise: by `dest`."""
    for each in program.found.parameters:
        if isinstance(each.way, Flag) and each.way.option.lstrip("-").replace("-", "_") == key.replace("-", "_"):
            return each.name
    return None
