"""
The guard: a small process beside the one that runs main, which keeps promises that one cannot.

A C call that holds the GIL stops all Python in its process. So what must happen within a second of a signal, what must
be read lest a writer blocks, and the signs of life that readers on other hosts go by, are done here. The guard is no
child of the process, is in a session of its own, and ends when the process is dead and all captured streams have ended.
It imports the standard library and its neighbours only, since its start is part of the first run's.

See `guard_protocol` for what is said between the two.
"""

from __future__ import annotations

import errno
import json
import os
import select
import signal
import socket
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import field
from typing import Any, NoReturn

from anew.runner.dataclass import dataclass
from anew.runner.guard import reserve
from anew.runner.guard.beats import Beats
from anew.runner.guard.carrier import Source
from anew.runner.guard.journal_ends import has_long_journal, journal_ends, journal_seals
from anew.runner.guard.orders import LOOK_S, Overseer, Told
from anew.runner.guard.protocol import ABSENT, FOREIGN, GREETING, ORDER, SEEN
from anew.runner.guard.pump import Capture
from anew.runner.kernel.door import kill

PATIENCE_S = 0.6
_INTERACTIVE_PATIENCE_S = 5.0
_SWITCH_S = 1.0
_LOOK_S = 0.5
_MOST_DESCRIPTORS = 16
_RECORD = "run.json"
_NOTHING: dict[str, Any] = {"problem": None, "settled": 0, "sealed": 0, "whole": True, "turns": None}


@dataclass(slots=True)
class _Alarm:
    """A signal that the process got: since when, whether its Python took note, how often it came, what was done."""

    number: int
    since: float
    seen: bool = False
    again: bool = False
    written: bool = False
    switched: float | None = None

    @property
    def outcome_due(self) -> float:
        return self.since + PATIENCE_S

    @property
    def kill_due(self) -> float:
        """
        When a process that took no note is to die.

        SIGTERM would have killed it at once, had there been no run. After Ctrl-C, Python waits for the C call to end,
        and so do we a while, unless it comes a second time.
        """
        if self.switched is not None:
            return self.switched + _SWITCH_S
        impatient = self.number != signal.SIGINT or self.again
        return self.since + (PATIENCE_S if impatient else _INTERACTIVE_PATIENCE_S)

    @property
    def due(self) -> float:
        return self.kill_due if self.written else self.outcome_due


@dataclass(slots=True)
class _Captured:
    capture: Capture
    asked: bool = False


@dataclass(slots=True)
class _State:
    """What the process has asked for; `ended` has what became of captures that ended before they were asked for."""

    watches: dict[int, dict[str, Any]] = field(default_factory=dict)
    beats: dict[int, Beats] = field(default_factory=dict)
    captures: dict[int, _Captured] = field(default_factory=dict)
    ended: dict[int, dict[str, Any]] = field(default_factory=dict)
    alarms: dict[int, _Alarm] = field(default_factory=dict)


class GuardProcess:
    """
    The guard's one loop; streams are carried by threads of their own.

    Args:
        control, wakeup, question, switch: Descriptors, see `guard_protocol`; the switch may be ABSENT.
        pid: The process.
        lifeline: A descriptor of the process, or ABSENT where the system has none.
    """

    def __init__(self, control: int, wakeup: int, question: int, switch: int, pid: int, lifeline: int) -> None:
        for descriptor in (control, wakeup, question, switch, lifeline):
            if descriptor != ABSENT:
                os.set_inheritable(descriptor, False)
        self._control = socket.socket(fileno=control)
        self._question = question
        self._switch = switch
        self._pid = pid
        self._lifeline = lifeline
        self._state = _State()
        self._overseer = Overseer(pid, self._order, self._seize)
        self._received = b""
        self._descriptors: list[int] = []
        self._dead = False
        self._released = False
        woken, self._wake = os.pipe()
        os.set_blocking(self._wake, False)
        self._poller = select.poll()
        self._handlers: dict[int, Callable[[], None]] = {}
        self._listen(control, self._take_messages)
        self._listen(wakeup, lambda: self._take_signals(wakeup))
        self._listen(woken, lambda: self._take_wakes(woken))
        if lifeline != ABSENT:
            self._listen(lifeline, self._take_death)

    def run(self) -> NoReturn:
        """Serve until nothing is left to be guarded."""
        self._answer({"id": GREETING})
        while not self._over():
            for descriptor, _ in self._poller.poll(self._patience_ms()):
                self._handlers[descriptor]()
            if self._lifeline == ABSENT:
                self._look_for_process()
            if not self._dead:
                self._overseer.tend()
            for alarm in list(self._state.alarms.values()):
                self._heed(alarm)
            self._give_signs_of_life()
            self._look_after_captures()
            if self._dead:
                self._overseer.end_all()
        for watch in self._state.watches.values():
            self._look_after_end(watch)
        os._exit(0)

    def _listen(self, descriptor: int, handler: Callable[[], None]) -> None:
        self._handlers[descriptor] = handler
        self._poller.register(descriptor, select.POLLIN)

    def _over(self) -> bool:
        return (self._dead or self._released) and not self._state.captures and not self._state.alarms

    def _patience_ms(self) -> int | None:
        now = time.monotonic()
        times = [max(0.0, alarm.due - now) for alarm in self._state.alarms.values()]
        if not self._dead:
            times += [max(0.0, beats.due - now) for beats in self._state.beats.values()]
        dues = (captured.capture.due for captured in self._state.captures.values())
        times += [max(0.0, due - now) for due in dues if due is not None]
        if self._lifeline == ABSENT:
            times.append(_LOOK_S)
        if self._overseer.is_at_work:
            times.append(LOOK_S)
        return int(min(times) * 1000) + 1 if times else None

    # --- what comes in ------------------------------------------------------------------------------------------

    def _take_messages(self) -> None:
        try:
            data, descriptors, _, _ = socket.recv_fds(self._control, 1 << 16, _MOST_DESCRIPTORS)
        except OSError:
            data, descriptors = b"", []
        for descriptor in descriptors:
            # as they come, whatever is started here would have them: a pipe that it holds has no end for its reader
            os.set_inheritable(descriptor, False)
        self._descriptors += descriptors
        if not data:
            self._poller.unregister(self._control.fileno())
            self._released = True
            return
        *lines, self._received = (self._received + data).split(b"\n")
        for line in lines:
            self._obey(json.loads(line))

    def _obey(self, message: dict[str, Any]) -> None:
        kind, number = message["do"], message["id"]
        if kind == "watch":
            self._state.watches[number] = message
            self._overseer.begin(number, message["orders"], message["origin"])
            self._state.beats[number] = Beats(message["outcome"], message["origin"], message["beat_s"])
        elif kind == "unwatch":
            self._look_after_end(self._state.watches.pop(number, None))
            self._overseer.end(number)
            self._state.beats.pop(number, None)
            if not self._state.watches:
                self._state.alarms.clear()
        elif kind == "capture":
            self._begin_capture(number, message)
        elif kind == "drain":
            self._drain(number)

    @staticmethod
    def _look_after_end(watch: dict[str, Any] | None) -> None:
        """Have what a run has left compressed, in a process of its own: what is printed meanwhile waits for nothing."""
        folder = os.path.dirname(watch["outcome"]) if watch else ""
        if watch and os.path.lexists(watch["outcome"]) and has_long_journal(os.path.join(folder, "events")):
            # as this process was started, with another module and other words
            command = [*sys.orig_argv[: 1 - len(sys.argv)], sys.argv[1], "shrinking", folder]
            with suppress(OSError):
                os.posix_spawn(sys.executable, command, os.environ)

    def _begin_capture(self, number: int, message: dict[str, Any]) -> None:
        log = self._descriptors.pop(0)
        sources = [
            Source(
                self._descriptors.pop(0),
                self._descriptors.pop(0) if source["passes_on"] else None,
                source["terminal"],
                source["follows"],
                source["prints"],
            )
            for source in message["sources"]
        ]
        capture = Capture(
            log,
            sources,
            limit_bytes=message["limit_bytes"],
            secrets=message["secrets"],
            on_change=self._wake_up,
            seals=message["seals"],
        )
        self._state.captures[number] = _Captured(capture)

    def _wake_up(self) -> None:
        with suppress(BlockingIOError):
            os.write(self._wake, b"\0")

    def _take_wakes(self, woken: int) -> None:
        os.read(woken, 4096)

    def _take_death(self) -> None:
        self._poller.unregister(self._lifeline)
        self._dead = True

    def _look_for_process(self) -> None:
        try:
            os.kill(self._pid, 0)
        except ProcessLookupError:
            self._dead = True
        except PermissionError:
            return

    def _give_signs_of_life(self) -> None:
        now = time.monotonic()
        for beats in self._state.beats.values() if not self._dead else ():
            if now >= beats.due:
                beats.beat()

    # --- signals ------------------------------------------------------------------------------------------------

    def _take_signals(self, wakeup: int) -> None:
        data = os.read(wakeup, 4096)
        if not data:
            self._poller.unregister(wakeup)
        for byte in data:
            if byte >= FOREIGN:
                self._state.alarms.pop(byte - FOREIGN, None)
            elif byte >= SEEN:
                self._note(byte - SEEN, seen=True)
            elif byte == ORDER:
                self._overseer.answered(declined=True)
            else:
                self._note(byte, seen=False)

    def _note(self, number: int, *, seen: bool) -> None:
        if not any(number in watch["signals"] for watch in self._state.watches.values()):
            return
        self._overseer.answered()
        alarm = self._state.alarms.get(number)
        if alarm is None:
            alarm = self._state.alarms[number] = _Alarm(number, time.monotonic())
        elif not seen:
            alarm.again = True
        alarm.seen = alarm.seen or seen
        if not seen:
            with suppress(OSError):
                os.write(self._question, bytes([number]))

    def _heed(self, alarm: _Alarm) -> None:
        """Do what is due about a signal: write the outcomes; end a process that cannot take note."""
        now = time.monotonic()
        if not alarm.written and (self._dead or now >= alarm.outcome_due):
            for number, watch in self._state.watches.items():
                _write_outcome(watch, alarm.number, self._of_output(watch), self._overseer.told(number))
            alarm.written = True
        if alarm.written and (self._dead or alarm.seen):
            self._state.alarms.pop(alarm.number, None)
        elif alarm.written and now >= alarm.kill_due:
            self._end_process(alarm, now)

    def _order(self) -> None:
        with suppress(OSError):
            os.write(self._question, bytes([ORDER]))

    def _seize(self) -> None:
        """End a process that did not end a job: as one that takes no note of SIGTERM."""
        self._state.alarms[signal.SIGTERM] = _Alarm(signal.SIGTERM, time.monotonic())

    def _of_output(self, watch: dict[str, Any]) -> dict[str, int]:
        """Return what an outcome says of a run's output; nothing when it is not captured."""
        log = os.path.join(os.path.dirname(watch["outcome"]), "output.log")
        for captured in self._state.captures.values():
            if captured.capture.is_of(log):
                capture = captured.capture
                return {"output_bytes": capture.settled_bytes, "output_sealed": capture.sealed_bytes}
        return {}

    def _end_process(self, alarm: _Alarm, now: float) -> None:
        if alarm.switched is None:
            alarm.switched = now
            if self._switch != ABSENT:
                os.write(self._switch, (128 + alarm.number).to_bytes(8, sys.byteorder))  # as an eventfd takes it
            return
        self._state.alarms.pop(alarm.number, None)
        with suppress(OSError):
            kill(self._pid, None if self._lifeline == ABSENT else self._lifeline)

    # --- output -------------------------------------------------------------------------------------------------

    def _drain(self, number: int) -> None:
        if captured := self._state.captures.get(number):
            captured.asked = captured.capture.watched = True
            captured.capture.finish()
        else:
            self._answer({"id": number, **self._state.ended.pop(number, _NOTHING)})

    def _look_after_captures(self) -> None:
        for number, captured in list(self._state.captures.items()):
            capture = captured.capture
            if self._dead:
                capture.finish()
            elif capture.due is not None and time.monotonic() >= capture.due:
                capture.follow()
            ended = capture.ended
            if ended:
                capture.close()
                del self._state.captures[number]
            if captured.asked and (ended or capture.caught_up()):
                captured.asked = capture.watched = False
                self._answer({"id": number, **_state_of(capture)})
            elif ended:
                self._state.ended[number] = _state_of(capture)

    def _answer(self, message: dict[str, Any]) -> None:
        with suppress(OSError):
            self._control.send(json.dumps(message).encode() + b"\n", socket.MSG_DONTWAIT)


def _state_of(capture: Capture) -> dict[str, Any]:
    return {
        "problem": capture.problem,
        "settled": capture.settled_bytes,
        "sealed": capture.sealed_bytes,
        "whole": capture.is_whole,
        "turns": capture.turns,
    }


def _write_outcome(watch: dict[str, Any], number: int, of_output: dict[str, int], told: Told | None) -> None:
    """
    Create the outcome of a run that was interrupted, unless it has one, or has not come to be.

    Complete before it has its name, and the name is given exclusively, so that of the process and the guard one wins.
    It is synced after it can be seen: a slow disk does not hold the record up.
    """
    folder, name = os.path.split(watch["outcome"])
    if not os.path.lexists(os.path.join(folder, _RECORD)):
        return
    temporary = os.path.join(folder, f".{name}.guard{os.getpid()}")
    data = _sealed_outcome(watch, number, of_output, told)
    try:
        with open(temporary, "xb", buffering=0) as file:
            try:
                if file.write(data) != len(data):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                os.link(temporary, watch["outcome"])
            finally:
                os.unlink(temporary)
            os.fsync(file.fileno())
        reserve.sync_folder(folder)
    except FileExistsError:
        pass
    except OSError:
        with suppress(OSError):
            reserve.create_from_reserve(watch["outcome"], data)
    reserve.give_up(folder)


def _sealed_outcome(watch: dict[str, Any], number: int, of_output: dict[str, int], told: Told | None) -> bytes:
    """Return the outcome as `serial.seal` has it, with what there is of the run, so that readers know what is gone."""
    from zlib import crc32

    now = time.time()
    events = os.path.join(os.path.dirname(watch["outcome"]), "events")
    ends = journal_ends(events)
    members = {
        **watch["template"],
        "status": "INTERRUPTED" if told is None else told.status,
        "ended_at": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now)) + f".{int(now % 1 * 1e6):06d}Z",
        "duration_s": time.monotonic() - watch["origin"],
        "result": None,
        "error": None if told is None else told.error,
        "signal": signal.Signals(number).name if told is None else None,
        "exit_code": 128 + number,
        "writers": ends,
        "seals": journal_seals(events, ends),
        **of_output,
    }
    head = json.dumps(members, separators=(",", ":"))[:-1].encode("ascii")
    return b'%s,"c":"%08x"}\n' % (head, crc32(head))


def main(words: Sequence[str]) -> NoReturn:
    """Be a guard; *words* are the arguments of `GuardProcess` in order, as text."""
    # Whoever ends a whole group of processes means the one that is guarded, too; it decides how long this one lives.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
        signal.signal(number, signal.SIG_IGN)
    # nobody waits for what is started here
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    os.chdir("/")
    sys.setswitchinterval(0.001)
    GuardProcess(*map(int, words)).run()
