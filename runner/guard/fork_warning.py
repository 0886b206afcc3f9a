"""
What Python says of a fork in a process of several threads, left unsaid where the others are ours: nothing else has any.

Since Python 3.12 `os.fork` warns, after the fork, when the process has more than one thread. The program of a run did
not ask for those that follow it, which are made for forks, and with `-W error` the warning would end it. One that has
threads of its own is told as ever.
"""

from __future__ import annotations

import sys
import threading
import time
import warnings

from anew.runner.guard import kill_switch
from anew.runner.kernel.door import threads

_SAID = "This process (pid="
_LOOKS, _APART_S = 10, 0.002


class _Ours:
    """Stands for the pattern of a filter of warnings; asked when one is about to be shown."""

    def match(self, text: str) -> bool:
        """Whether a warning tells of threads that are ours alone."""
        if not text.startswith(_SAID):
            return False
        # a thread of ours that has just ended is none of Python's any more, and still one of the system's
        for _ in range(_LOOKS):
            ours = sum(each.name.startswith("anew-") for each in threading.enumerate())
            if threads() - ours - kill_switch.threads() <= 1:
                return True
            time.sleep(_APART_S)
        return False


_FILTER = ("ignore", _Ours(), DeprecationWarning, None, 0)


def leave_unsaid() -> None:
    """Put the filter before all others, if it is not: to be called before a fork, since Python 3.12 warns at once."""
    filters = warnings.filters
    # not by `filterwarnings`, after which Python shows again what it shows once
    if sys.version_info >= (3, 12) and isinstance(filters, list) and filters[:1] != [_FILTER]:
        filters[:] = [_FILTER, *(each for each in filters if each is not _FILTER)]
