"""A process's end of the line to its guard: starting one, talking to it, noticing that it is gone."""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from anew.runner.guard import kill_switch
from anew.runner.guard.detached import can_start, start_neighbour
from anew.runner.guard.protocol import ABSENT
from anew.runner.kernel.door import open_process

_SEND_S = 2.0
_START_S = 20.0


class GuardGoneError(Exception):
    """The guard does not answer any more."""


class GuardLink:
    """
    A running guard.

    Safe in threads. Not for forked children: they must `abandon` it. Descriptors given away are duplicated, never
    closed.

    Args:
        on_question: Called in a thread when the guard asks whether the handler of a signal is still ours.
        on_death: Called in the same thread when the guard has died, never when it was abandoned.
    """

    def __init__(self, on_question: Callable[[int], None], on_death: Callable[[], None]) -> None:
        self.alive = True
        self._lock = threading.Lock()
        self._asking = threading.Lock()
        self._received = b""
        self._running = False
        self._last_id = 0
        self._on_question = on_question
        self._on_death = on_death
        self._control, self.wakeup, self._questions, self._kept = _start()
        threading.Thread(target=self._listen, args=(self._questions,), name="anew-guard", daemon=True).start()

    def tell(self, byte: int) -> None:
        """Send one byte on the wake-up pipe; may be called from a signal handler."""
        with suppress(OSError):
            os.write(self.wakeup, bytes([byte]))

    def new_id(self) -> int:
        """Return a number for a watch or a capture."""
        with self._lock:
            self._last_id += 1
            return self._last_id

    def send(self, message: Mapping[str, Any], descriptors: Sequence[int] = ()) -> None:
        """
        Send a message, with descriptors.

        Raises:
            GuardGoneError: It could not be sent.
        """
        data = json.dumps(message).encode() + b"\n"
        try:
            with self._lock:
                sent = socket.send_fds(self._control, [data], descriptors) if descriptors else self._control.send(data)
                if sent < len(data):
                    self._control.sendall(data[sent:])
        except OSError as error:
            raise GuardGoneError(str(error)) from error

    def ask(self, message: Mapping[str, Any], timeout_s: float) -> dict[str, Any] | None:
        """
        Send a message and return its answer, or None when there was none in time.

        The time begins when the guard runs, which it says first of all: on a machine under load its start takes long.

        Raises:
            GuardGoneError: The guard has died.
        """
        with self._asking:
            self.send(message)
            deadline = time.monotonic() + (timeout_s if self._running else _START_S)
            while (rest := deadline - time.monotonic()) > 0:
                answer = self._answer(rest)
                if answer is None:
                    continue
                if answer["id"] == message["id"]:
                    return answer
                if not self._running:
                    self._running = True
                    deadline = time.monotonic() + timeout_s
        return None

    def _answer(self, timeout_s: float) -> dict[str, Any] | None:
        """Return the next answer, of whatever question, or None when it has not come yet."""
        if b"\n" not in self._received:
            self._control.settimeout(timeout_s)
            try:
                data = self._control.recv(1 << 16)
            except TimeoutError:
                return None
            except OSError as error:
                raise GuardGoneError(str(error)) from error
            finally:
                self._control.settimeout(_SEND_S)
            if not data:
                raise GuardGoneError("it has ended")
            self._received += data
        line, newline, rest = self._received.partition(b"\n")
        if not newline:
            return None
        self._received = rest
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _listen(self, questions: int) -> None:
        with suppress(OSError):  # a user who closes every descriptor of the process closes this one, too
            while question := os.read(questions, 1):
                self._on_question(question[0])
        self.alive = False
        self._on_death()

    def abandon(self) -> None:
        """Close a forked child's copies; the guard goes on serving the parent."""
        self.alive = False
        self._control.close()
        for descriptor in (self.wakeup, self._questions, *self._kept):
            with suppress(OSError):
                os.close(descriptor)


def _start() -> tuple[socket.socket, int, int, list[int]]:
    """
    Start a guard; return the control socket, the wake-up pipe, the question pipe, and what else must stay open.

    Raises:
        OSError: It could not be started. (One that starts and fails looks like one that has died.)
    """
    if not can_start():
        raise OSError("there is no Python to be started")
    switch = kill_switch.arm()
    lifeline = ABSENT if (own := open_process(os.getpid())) is None else own
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    wakeup_read, wakeup = os.pipe()
    questions, question_write = os.pipe()
    try:
        os.set_blocking(wakeup, False)
        given = [
            theirs.fileno(),
            wakeup_read,
            question_write,
            ABSENT if switch is None else switch,
            os.getpid(),
            lifeline,
        ]
        inherited = [number for number in (*given[:4], lifeline) if number != ABSENT]
        start_neighbour("process", [*map(str, given)], inherited)
    except OSError:
        ours.close()
        os.close(wakeup)
        os.close(questions)
        raise
    finally:
        theirs.close()
        os.close(wakeup_read)
        os.close(question_write)
        if lifeline != ABSENT:
            os.close(lifeline)
    ours.settimeout(_SEND_S)
    return ours, wakeup, questions, [] if switch is None else [switch]
