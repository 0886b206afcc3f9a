"""What is typed after `anew run`."""

from __future__ import annotations

from collections.abc import Sequence

from anew.runner.dataclass import dataclass
from anew.runner.errors import ConfigError
from anew.runner.format.typed_values import overrides_of

# options that a word follows
_TAKING = ("--name", "--store", "--config")
_TRACE, _TRACE_SETTING = "--trace", "anew.inputs.trace"
# what it is as an override
TRACED = f"{_TRACE_SETTING}=true"
# options before the program that are settings: what each takes, and which one it is
_SETTING = {
    "--metric": ("a name and a pattern, such as 'acc=accuracy: (\\S+)'", "anew.output.metrics"),
    "--metrics": ("auto", "anew.output.metrics"),
    "--artifacts": ("a pattern of files, such as 'out/*.png'", "anew.artifacts"),
}


@dataclass(frozen=True, slots=True)
class Asked:
    """
    What a command line asks for.

    Attributes:
        target: A file, or with *is_module* a module's name.
        is_module: Whether it is run as `python -m` does.
        name: What its runs are filed under; None for the program's own name.
        overrides: What follows it: values of its parameters, and flags as of any main.
        words: What follows `--`, which the program is given as it is.
        after: All that follows the target, as it was typed.
        command: The words of a command that is run in place of a program; *target* is empty then.
        config: A configuration file, whose keys are parameters.
    """

    target: str = ""
    is_module: bool = False
    name: str | None = None
    overrides: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    command: tuple[str, ...] | None = None
    config: str | None = None


def asked(words: Sequence[str]) -> Asked:
    """
    Read `[--name NAME] (FILE | -m MODULE) [KEY=VALUE ...] [-- WORD ...]`, or `[KEY=VALUE ...] -- COMMAND [WORD ...]`.

    Options before either are `--name NAME` and `--config FILE`, and `--metric NAME=PATTERN`, `--artifacts PATTERN` (any
    number of them), `--metrics auto`, `--trace` and `--autolog[=LIBRARY,...]`, which become overrides.

    Raises:
        ConfigError: It names no program and no command, or there is an option that is none.
    """
    words, settings = _without_settings(words)
    if (at := _before_command(words)) is not None:
        return _asked_command([*words[:at], *settings], words[at + 1 :])
    named, rest = _without_named(words, is_ahead=True)
    is_module = rest[:1] == ["-m"] and len(rest) > 1
    if is_module:
        del rest[0]
        if rest[0].startswith("-"):
            raise ConfigError(
                f"-m takes a module's name, not {rest[0]!r}: anew run -m pkg.train lr=0.1. To see how: anew run --help"
            )
    elif rest and rest[0].startswith("-"):
        raise ConfigError(f"anew run takes no option {rest[0]!r} before the program. To see how: anew run --help")
    if not rest:
        raise ConfigError("anew run needs a program: anew run train.py lr=0.1")
    target, *rest = rest
    at = rest.index("--") if "--" in rest else len(rest)
    # last, since flags have to come before overrides
    rest[at:at] = settings
    at += len(settings)
    return Asked(
        target,
        is_module,
        named.get("--name"),
        tuple(rest[:at]),
        tuple(rest[at + 1 :]),
        tuple(rest),
        config=named.get("--config"),
    )


def _before_command(words: Sequence[str]) -> int | None:
    """Return where the `--` stands before which no program is named; None where one is."""
    rest = iter(enumerate(words))
    for at, word in rest:
        if word == "--":
            return at
        if word in _TAKING:
            next(rest, None)
        elif word == "-m" and at + 1 < len(words):
            following = words[at + 1]
            if not following.startswith("-") and "=" not in following:
                return None
        elif not word.startswith("-") and "=" not in word:
            return None
    return None


def _asked_command(before: Sequence[str], command: Sequence[str]) -> Asked:
    named, rest = _without_named(before)
    return Asked(
        name=named.get("--name"),
        overrides=tuple(rest),
        after=(*rest, "--", *command),
        command=tuple(command),
        config=named.get("--config"),
    )


def _without_named(words: Sequence[str], *, is_ahead: bool = False) -> tuple[dict[str, str], list[str]]:
    """Return what `--name` and `--config` give, and the other words; with *is_ahead* they stand before all others."""
    found: dict[str, str] = {}
    rest: list[str] = []
    left = list(words)
    while left:
        option, mark, value = left[0].partition("=")
        if option not in ("--name", "--config"):
            if is_ahead:
                return found, left
            rest.append(left.pop(0))
            continue
        del left[0]
        if not mark and not left:
            raise ConfigError(f"{option} takes {'a name' if option == '--name' else 'a file, such as params.yaml'}")
        if option in found and option == "--config":
            raise ConfigError("--config takes one file; what a program reads beside that is recorded as its source.")
        found[option] = value if mark else left.pop(0)
    return found, rest


def _without_settings(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return words without the options that are settings, which stand before the program; and these as overrides."""
    rest: list[str] = []
    found: dict[str, list[str]] = {}
    is_traced = False
    left = list(words)
    while left and (left[0].startswith("-") or "=" in left[0]) and left[0] != "--":
        word = left.pop(0)
        option, mark, value = word.partition("=")
        if option == "--autolog":
            found.setdefault("anew.autolog", []).extend(value.split(",") if mark else ["all"])
        elif word == _TRACE:
            is_traced = True
        elif option in _SETTING:
            takes, setting = _SETTING[option]
            if not mark and not left:
                raise ConfigError(f"{option} takes {takes}")
            value = value if mark else left.pop(0)
            if option != "--artifacts" and (option == "--metrics") != (value == "auto"):
                raise ConfigError(f"{option} takes {takes}, and not {value!r}.")
            found.setdefault(setting, []).append(value)
        else:
            rest.append(word)
            if word in _TAKING and left:
                rest.append(left.pop(0))
    settings = {**found, **({_TRACE_SETTING: True} if is_traced else {})}
    return [*rest, *left], overrides_of([], settings) if settings else []
