"""
The command `anew`, and `python -m anew`: for where that is not on PATH, or another's is.

It comes before all else that a command imports, so that a signal in that time ends it without a word.
"""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType
from typing import Any

_DEFAULTS: dict[signal.Signals, Any] = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL}


def main() -> int:
    """Do the command line of this process; return its exit code."""
    ours = [number for number, default in _DEFAULTS.items() if signal.getsignal(number) is default]
    for number in ours:
        signal.signal(number, _leave)
    from anew.runner import cli

    def ready() -> None:
        for number in ours:
            signal.signal(number, _DEFAULTS[number])

    return cli.main(ready=ready)


def _leave(number: int, frame: FrameType | None) -> None:
    # nothing was begun; an exception would be printed, or lost, where it comes up while a module is imported
    os._exit(128 + number)


if __name__ == "__main__":
    # an isolated Python has it not either, and before 3.11 no flag of its own says so
    if not (sys.flags.isolated or getattr(sys.flags, "safe_path", False)):
        del sys.path[0]  # the working directory: no file there may stand for a module that is imported from here on
    sys.exit(main())
