"""What is typed after `anew run`."""

from __future__ import annotations

from collections.abc import Sequence

from anew.runner.dataclass import dataclass
from anew.runner.errors import ConfigError


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
    """

    target: str
    is_module: bool = False
    name: str | None = None
    overrides: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    after: tuple[str, ...] = ()


def asked(words: Sequence[str]) -> Asked:
    """Read `[--name NAME] (FILE | -m MODULE) [KEY=VALUE ...] [-- WORD ...]`. Raises ConfigError."""
    rest = list(words)
    name = None
    is_module = False
    while rest and rest[0].startswith("-"):
        word = rest.pop(0)
        if word == "--name" and rest:
            name = rest.pop(0)
        elif word.startswith("--name="):
            name = word.partition("=")[2]
        elif word == "-m" and rest:
            is_module = True
            break
        else:
            raise ConfigError(f"anew run takes no option {word!r} before the program. To see how: anew run --help")
    if not rest:
        raise ConfigError("anew run needs a program: anew run train.py lr=0.1")
    target, *rest = rest
    at = rest.index("--") if "--" in rest else len(rest)
    return Asked(target, is_module, name, tuple(rest[:at]), tuple(rest[at + 1 :]), tuple(rest))
