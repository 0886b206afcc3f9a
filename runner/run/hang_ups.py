"""SIGHUP as an exception, where it would end the process without a word, and its runs with it."""

from __future__ import annotations

import signal
import sys
import threading
from types import FrameType

from anew.runner.errors import EXIT_SIGNAL

CODE = EXIT_SIGNAL + signal.SIGHUP


class HangUps:
    """
    Has SIGHUP raise SystemExit with 129, the code that a shell gives a process which it ends, in the main thread.

    Whoever ignores or handles it (`nohup`) goes on to. To be started and stopped in the main thread; in others it does
    nothing.
    """

    def __init__(self) -> None:
        self._is_ours = False

    def start(self) -> None:
        """Have it raise."""
        is_main = threading.current_thread() is threading.main_thread()
        if is_main and not self._is_ours and signal.getsignal(signal.SIGHUP) is signal.SIG_DFL:
            self._is_ours = True
            signal.signal(signal.SIGHUP, _hang_up)

    def stop(self) -> None:
        """Have it end the process again, unless somebody else handles it now."""
        is_main = threading.current_thread() is threading.main_thread()
        if is_main and self._is_ours:
            self._is_ours = False
            if signal.getsignal(signal.SIGHUP) is _hang_up:
                signal.signal(signal.SIGHUP, signal.SIG_DFL)


def _hang_up(number: int, frame: FrameType | None) -> None:
    # not raised here: whoever is told of exits is told of this one, too
    sys.exit(CODE)
