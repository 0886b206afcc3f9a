"""Going on as another program: in this interpreter where it is as good as new, else in its place."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from importlib.util import find_spec
from types import ModuleType
from typing import NoReturn

from anew.runner.errors import ConfigError
from anew.runner.program.words import Asked, asked

PROGRAMS = "anew.runner.program"


def words_of(wanted: Asked, store: Sequence[str] = ()) -> list[str]:
    """Return what asks for the same, with settings where a main has them: as it is recorded."""
    name = [] if wanted.name is None else [f"--name={wanted.name}"]
    # two words, since a file that is a word is source
    name += [] if wanted.config is None else ["--config", wanted.config]
    target = [*(["-m"] if wanted.is_module else []), *([wanted.target] if wanted.command is None else [])]
    return [*name, *target, *store, *wanted.after]


def become(words: Sequence[str]) -> NoReturn:
    """Go on as what `python WORDS` is: signals and the exit code are its own."""
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, *words])


def become_main(wanted: Asked, store: Sequence[str] = ()) -> NoReturn:
    """
    Go on as a program that records itself: what is typed is its main's.

    Raises:
        ConfigError: Its runs were given another name than the experiment's.
    """
    if wanted.name is not None:
        raise ConfigError(
            f"{wanted.target!r} has a main of an experiment, whose name its runs have; leave out --name {wanted.name}"
        )
    become([*(["-m"] if wanted.is_module else []), wanted.target, *store, *wanted.after])


def be_programs(words: Sequence[str]) -> list[str]:
    """
    Have this process look as `python -m anew.runner.program` does, which spares the start of another one.

    For a process that has done nothing yet but read its command line. Returns the words for that.
    """
    with suppress(ConfigError):  # as it will say
        words = words_of(asked(words))
    sys.orig_argv[:] = [sys.executable, "-m", PROGRAMS, *words]
    spec = find_spec(f"{PROGRAMS}.__main__")
    module = ModuleType("__main__")
    vars(module).update(__file__=spec.origin if spec else None, __spec__=spec, __package__=PROGRAMS)
    sys.modules["__main__"] = module
    return list(words)
