"""Work in a process forked for it: what comes while it is being forked is for that process, too."""

from __future__ import annotations

import atexit
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable

import pytest

from anew.runner.guard.forked import run_forked
from anew.runner.guard.interrupts import Terminated, terminate

_at_fork: list[Callable[[], object]] = []
# a child ends as a program does, and what the tests' own libraries do at an exit takes some of them half a minute
os.register_at_fork(
    before=lambda: [each() for each in _at_fork], after_in_child=lambda: atexit._clear() if _at_fork else None
)


def _in_another_thread(number: int) -> None:
    """Have a thread take a signal which this one has blocked."""

    def take() -> None:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [number])
        signal.raise_signal(number)

    thread = threading.Thread(target=take)
    thread.start()
    thread.join()


@pytest.mark.parametrize("send", [signal.raise_signal, _in_another_thread])
@pytest.mark.parametrize(("number", "raised"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, Terminated)])
def test_what_comes_during_the_fork_is_handed_on_and_the_child_waited_for(
    number: int, raised: type[BaseException], send: Callable[[int], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("anew.runner.guard.forked.in_foreground", lambda: True)
    before = signal.signal(signal.SIGTERM, terminate)
    began_at = time.monotonic()
    _at_fork.append(lambda: send(number))
    try:
        with pytest.raises(raised):
            run_forked(lambda: time.sleep(20))
        assert signal.getsignal(signal.SIGTERM) is terminate
    finally:
        _at_fork.clear()
        signal.signal(signal.SIGTERM, before)
    assert time.monotonic() - began_at < 15
    with pytest.raises(ChildProcessError):  # nobody is left behind
        os.waitpid(-1, os.WNOHANG)


def test_a_child_that_is_interrupted_as_it_begins_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    before = signal.signal(signal.SIGINT, lambda *_: seen.append(1))
    _at_fork.append(lambda: signal.raise_signal(signal.SIGINT))
    try:
        # once, by the child's own handler, before its work
        assert run_forked(lambda: len(seen)).value == 1
    finally:
        _at_fork.clear()
        signal.signal(signal.SIGINT, before)
    assert seen == [1]


def test_what_is_printed_during_the_fork_is_printed_once() -> None:
    script = (
        "import os, sys\n"
        "from anew.runner.guard.forked import run_forked\n"
        "print('before')\n"
        "os.register_at_fork(before=lambda: sys.stdout.write('meanwhile\\n'))\n"
        "run_forked(lambda: print('child'))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert sorted(done.stdout.split()) == ["before", "child", "meanwhile"]
