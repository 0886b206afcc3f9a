"""`--pdb`: main's failure debugged, once it is on record."""

from __future__ import annotations

import sys
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
def post_mortem(raised: Callable[[], BaseException | None]) -> Iterator[None]:
    """Debug what main raised, once it is on record and was told, in the frame where it was raised."""
    try:
        yield
    except SystemExit:
        failure = raised()
        if failure is not None and failure.__traceback__ is not None:
            import pdb

            sys.stderr.write(f"\nanew: {type(failure).__name__}, where it was raised. To leave: q; for more: help\n")
            pdb.post_mortem(failure.__traceback__)
        raise
