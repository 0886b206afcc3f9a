"""What to send when the fault is ours."""

from __future__ import annotations

import platform
import sys


def fault_report() -> str:
    """Return the lines that follow a traceback of ours on stderr, ready to be pasted; no argument values in it."""
    import anew

    command = " ".join([sys.argv[0].rpartition("/")[2], *(word.partition("=")[0] for word in sys.argv[1:])])
    return (
        "\nanew: This is a fault in anew, not in what you typed. What was recorded so far is safe.\n"
        "Please report it with the traceback above and these lines:\n"
        f"  anew {anew.__version__}, Python {platform.python_version()}, {platform.platform()}\n"
        f"  command: {command}\n"
    )
