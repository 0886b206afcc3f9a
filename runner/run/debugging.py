"""`--pdb`: a debugger where main raised, once the run is on record."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from anew.runner.errors import ConfigError


def refuse_debugging(words: Sequence[str]) -> None:
    """Raise ConfigError where nobody could debug."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise ConfigError("--pdb debugs in a terminal, and there is none. Leave it out, or start this in a terminal.")
    if {"-m", "--multirun"} & set(words):
        raise ConfigError("--pdb debugs one run, and -m starts many. Leave out one of the two.")


@contextmanager
def post_mortem(failed: Callable[[], BaseException | None]) -> Iterator[None]:
    """
    Debug what main raised, once it is on record and was told, in the frame where it was raised.

    Args:
        failed: Gives what main raised, if it did.
    """
    try:
        yield
    except SystemExit:
        failure = failed()
        if failure is not None and failure.__traceback__ is not None:
            import pdb

            sys.stderr.write(f"\nanew: {type(failure).__name__}, where it was raised. To leave: q; for more: help\n")
            pdb.post_mortem(failure.__traceback__)
        raise


def is_for_debugger(error: Exception) -> bool:
    """Whether main raised it, which only a debugger is given, or the debugger itself, in order to end."""
    return type(error).__module__ == "bdb" or any(
        frame.f_code.co_name == "call" and frame.f_globals.get("__name__") == "anew.runner.config.signature.spec"
        for frame, _ in traceback.walk_tb(error.__traceback__)
    )
