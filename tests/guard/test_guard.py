"""The guard: a signal leaves an outcome within a second, whatever main is doing, and nothing else is disturbed."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from anew.runner.format import serial
from anew.runner.guard.process import GuardProcess
from anew.runner.guard.protocol import ABSENT
from anew.runner.guard.watch import Guard
from anew.runner.kernel import door
from tests.helpers.waiting import until

PRELUDE = """\
import ctypes, os, signal, subprocess, sys, threading, time
from datetime import datetime, timezone
from pathlib import Path
from anew.runner.guard.watch import Guard, Terminated, Watch

def begin(name="outcome.json"):
    template = {"format": 1, "uid": "the-uid"}
    Path("run.json").touch()
    watch = Watch(Guard.shared(), Path(name), template, started_at=datetime.now(timezone.utc))
    watch.start()
    return watch

def ready():
    print("ready", flush=True)

def stuck():
    # In C, with the GIL, and unlike sleep(3) not to be woken by a signal.
    mutex = ctypes.create_string_buffer(64)
    for _ in range(2):
        ctypes.PyDLL(None).pthread_mutex_lock(mutex)

"""
STUCK = "stuck()"
BUSY = "while True: pass"
ASLEEP = "time.sleep(60)"
WAITING = "threading.Event().wait(60)"


class Started:
    """A script that has said that it is ready."""

    def __init__(self, process: subprocess.Popen[str], folder: Path) -> None:
        self.process = process
        self.folder = folder

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    def outcome(self, seconds: float = 5) -> dict[str, Any]:
        """Wait for the outcome and return it."""
        path = self.folder / "outcome.json"
        until(path.exists, seconds=seconds)
        return serial.unseal(path.read_bytes())

    def end(self, seconds: float = 10) -> int:
        return self.process.wait(timeout=seconds)


def ended(code: int) -> int:
    """How a process that is stuck in C ends: with this code, or killed where that is all that can be done."""
    return -signal.SIGKILL if door.CLOSED else code


def guards_of(pid: int) -> list[psutil.Process]:
    mine = {"-I", str(pid)}
    return [item for item in psutil.process_iter(["cmdline"]) if mine <= set(item.info["cmdline"] or ())]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Started]]:
    processes: list[subprocess.Popen[str]] = []

    def begin(body: str, **options: Any) -> Started:
        path = tmp_path / "script.py"
        path.write_text(PRELUDE + textwrap.dedent(body))
        command = [*options.pop("before", ()), sys.executable, str(path)]
        process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True, **options)
        processes.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        time.sleep(0.15)  # from saying so to doing it
        return Started(process, tmp_path)

    yield begin
    for process in processes:
        process.kill()
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                stream.close()
        process.wait()


# --- the outcome ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("doing", [STUCK, BUSY, ASLEEP, WAITING])
@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT"])
def test_a_signal_leaves_an_outcome_whatever_main_is_doing(start: Any, doing: str, name: str) -> None:
    script = start(f"""
        watch = begin()
        ready()
        try:
            {doing}
        finally:
            stuck()
    """)
    number = signal.Signals[name]
    script.signal(number)
    outcome = script.outcome(seconds=2)
    assert outcome["status"] == "INTERRUPTED"
    assert (outcome["format"], outcome["uid"]) == (1, "the-uid")
    assert (outcome["signal"], outcome["exit_code"]) == (name, 128 + number)
    assert (outcome["result"], outcome["error"]) == (None, None)
    assert 0 < outcome["duration_s"] < 30
    ended = serial.outcome_from_json("the-uid", outcome)
    assert abs(ended.ended_at.timestamp() - time.time()) < 30
    until(
        lambda: sorted(path.name for path in script.folder.iterdir()) == ["outcome.json", "run.json", "script.py"],
        seconds=2,
    )


def test_after_sigterm_a_process_that_cannot_take_note_ends_with_143(start: Any) -> None:
    script = start("""
        watch = begin()
        ready()
        stuck()
    """)
    script.signal(signal.SIGTERM)
    assert script.end(5) == ended(143)
    assert script.outcome(0.01)["signal"] == "SIGTERM"


def test_a_second_ctrl_c_ends_a_process_that_cannot_take_note_with_130(start: Any) -> None:
    """The first waits, as Python does, for the C call to end: there may be something to be saved."""
    script = start("""
        watch = begin()
        ready()
        stuck()
    """)
    script.signal(signal.SIGINT)
    script.outcome()
    time.sleep(0.3)
    assert script.process.poll() is None
    script.signal(signal.SIGINT)
    assert script.end(3) == ended(130)


def test_without_a_kill_switch_a_stuck_process_is_killed(start: Any) -> None:
    script = start("""
        from anew.runner.guard import kill_switch
        kill_switch.arm = lambda: None
        watch = begin()
        ready()
        stuck()
    """)
    script.signal(signal.SIGTERM)
    assert script.end(5) == -signal.SIGKILL
    assert script.outcome(0.01)["signal"] == "SIGTERM"


def test_main_gets_an_exception_and_can_clean_up_for_as_long_as_it_takes(start: Any) -> None:
    script = start("""
        watch = begin()
        ready()
        try:
            time.sleep(60)
        finally:
            deadline = time.monotonic() + 2
            while time.monotonic() < deadline:
                ctypes.PyDLL(None).usleep(10_000)
            assert watch.received == "SIGTERM"
            Path("saved").touch()
    """)
    script.signal(signal.SIGTERM)
    assert script.outcome()["status"] == "INTERRUPTED"
    assert not (script.folder / "saved").exists()
    assert script.end() == 143
    assert (script.folder / "saved").exists()


def test_a_process_that_ends_itself_in_time_leaves_its_own_outcome(start: Any) -> None:
    script = start("""
        watch = begin()
        ready()
        try:
            time.sleep(60)
        except Terminated as error:
            assert error.code == 143
            watch.mark_done()
            Path("outcome.json").write_text("mine")
            watch.stop()
            time.sleep(1)
    """)
    script.signal(signal.SIGTERM)
    assert script.end() == 0
    assert (script.folder / "outcome.json").read_text() == "mine"


def test_two_signals_at_once_are_one(start: Any) -> None:
    """timeout(1) sends two, and a parent may pass Ctrl-C on; cleaning up must not be interrupted by the second."""
    for name, code in (("SIGTERM", 143), ("SIGINT", -2)):
        script = start(f"""
            watch = begin()
            ready()
            try:
                time.sleep(60)
            finally:
                time.sleep(0.2)
                Path("saved-{name}").touch()
        """)
        script.signal(signal.Signals[name])
        script.signal(signal.Signals[name])
        assert script.end() == code
        assert (script.folder / f"saved-{name}").exists()


def test_a_second_ctrl_c_interrupts_cleaning_up(start: Any) -> None:
    script = start("""
        watch = begin()
        ready()
        try:
            time.sleep(60)
        except KeyboardInterrupt:
            Path("cleaning").touch()
            try:
                time.sleep(60)
            except KeyboardInterrupt:
                assert watch.received == "SIGINT"
                sys.exit(9)
    """)
    script.signal(signal.SIGINT)
    until((script.folder / "cleaning").exists)
    time.sleep(0.05)
    script.signal(signal.SIGINT)
    assert script.end() == 9


def test_a_signal_after_main_waits_for_the_record_to_be_complete(start: Any) -> None:
    script = start("""
        watch = begin()
        watch.mark_done()
        ready()
        while not Path("go").exists():
            time.sleep(0.01)
        Path("outcome.json").write_text("complete")
        assert watch.received is None
        watch.stop()
        time.sleep(60)
    """)
    script.signal(signal.SIGTERM)
    time.sleep(0.1)
    (script.folder / "go").touch()
    assert script.end() == -signal.SIGTERM
    assert (script.folder / "outcome.json").read_text() == "complete"


def test_a_second_ctrl_c_does_not_wait_for_the_record(start: Any) -> None:
    script = start("""
        watch = begin()
        watch.mark_done()
        ready()
        try:
            time.sleep(60)
        except KeyboardInterrupt:
            sys.exit(9)
    """)
    script.signal(signal.SIGINT)
    time.sleep(0.1)
    script.signal(signal.SIGINT)
    assert script.end() == 9


def test_a_run_that_has_not_come_to_be_gets_no_outcome(start: Any) -> None:
    script = start("""
        watch = begin()
        os.unlink("run.json")
        ready()
        stuck()
    """)
    script.signal(signal.SIGTERM)

    assert script.end() == ended(143)
    assert not (script.folder / "outcome.json").exists()


def test_a_signal_and_then_kill_9_leave_an_outcome(start: Any) -> None:
    """As batch systems do it that give little time."""
    script = start("""
        watch = begin()
        ready()
        stuck()
    """)
    script.signal(signal.SIGTERM)
    time.sleep(0.1)
    script.signal(signal.SIGKILL)
    assert script.outcome()["signal"] == "SIGTERM"


def test_kill_9_alone_leaves_none_and_no_guard(start: Any) -> None:
    script = start("""
        watch = begin()
        ready()
        time.sleep(60)
    """)
    guards = until(lambda: guards_of(script.process.pid))
    script.signal(signal.SIGKILL)
    script.end()
    until(lambda: not any(guard.is_running() and guard.status() != "zombie" for guard in guards))
    assert not (script.folder / "outcome.json").exists()


def test_after_the_run_signals_are_what_they_were(start: Any) -> None:
    script = start("""
        before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
        first, second = begin("1.json"), begin("2.json")
        second.stop()
        first.stop()
        assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before
        assert signal.set_wakeup_fd(-1) == -1
        ready()
        time.sleep(60)
    """)
    script.signal(signal.SIGTERM)
    assert script.end() == -signal.SIGTERM
    assert [each.name for each in script.folder.glob("*.json")] == ["run.json"]


# --- handlers of the user's -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("when", ["before", "during"])
def test_a_handler_of_the_users_is_left_alone(start: Any, when: str) -> None:
    script = start(f"""
        def mine(number, frame):
            Path("handled").touch()
        if {when!r} == "before":
            signal.signal(signal.SIGTERM, mine)
        watch = begin()
        if {when!r} == "during":
            signal.signal(signal.SIGTERM, mine)
        ready()
        while not Path("handled").exists():
            time.sleep(0.01)
        time.sleep(1)
        watch.check_handlers()
        watch.stop()
        assert signal.getsignal(signal.SIGTERM) is mine
    """)
    script.signal(signal.SIGTERM)
    assert script.end() == 0
    assert (script.folder / "handled").exists()
    assert not (script.folder / "outcome.json").exists()


def test_an_ignored_signal_stays_ignored(start: Any) -> None:
    script = start(
        """
        watch = begin()
        ready()
        time.sleep(1)
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
        """,
        before=("sh", "-c", 'trap "" INT; exec "$@"', "sh"),
    )
    script.signal(signal.SIGINT)
    assert script.end() == 0
    assert not (script.folder / "outcome.json").exists()


def test_a_wakeup_descriptor_of_the_users_is_left_alone(start: Any) -> None:
    script = start("""
        read, write = os.pipe()
        os.set_blocking(write, False)
        signal.set_wakeup_fd(write)
        watch = begin()
        ready()
        try:
            time.sleep(60)
        except Terminated:
            assert os.read(read, 1) == bytes([signal.SIGTERM])
            time.sleep(1)
            watch.stop()
            assert signal.set_wakeup_fd(-1) == write
    """)
    script.signal(signal.SIGTERM)
    assert script.outcome()["signal"] == "SIGTERM"
    assert script.end() == 0


def test_asyncio_works_below_a_watch(start: Any) -> None:
    script = start("""
        import asyncio
        watch = begin()
        async def main():
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
            ready()
            await stop.wait()
        stop = asyncio.Event()
        asyncio.run(main())
        watch.mark_done()
        watch.stop()
    """)
    script.signal(signal.SIGTERM)
    assert script.end() == 0


def test_outside_the_main_thread_there_are_no_handlers(start: Any) -> None:
    script = start("""
        def work():
            before = signal.getsignal(signal.SIGTERM)
            watch = begin()
            assert signal.getsignal(signal.SIGTERM) is before
            assert watch.received is None
            watch.mark_done()
            watch.stop()
            Path("done").touch()
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        ready()
    """)
    assert script.end() == 0
    assert (script.folder / "done").exists()


# --- children ---------------------------------------------------------------------------------------------------------


def test_waiting_for_all_children_does_not_wait_for_the_guard(start: Any) -> None:
    script = start("""
        watch = begin()
        child = subprocess.Popen(["true"])
        waited = 0
        while True:
            try:
                os.wait()
                waited += 1
            except ChildProcessError:
                break
        assert waited == 1
        ready()
        watch.stop()
    """)
    assert script.end() == 0


def test_a_signal_to_a_forked_child_is_the_childs_alone(start: Any) -> None:
    """Sent at once, while the child is still between fork and whatever it does then."""
    script = start("""
        import warnings
        warnings.simplefilter("ignore")
        watch = begin()
        for _ in range(50):
            child = os.fork()
            if child == 0:
                time.sleep(60)
                os._exit(0)
            os.kill(child, signal.SIGTERM)
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGTERM
        ready()
        time.sleep(1)
        assert watch.received is None
        watch.stop()
    """)
    assert script.end() == 0
    assert not (script.folder / "outcome.json").exists()


def test_a_signal_during_forks_is_not_lost(start: Any) -> None:
    script = start("""
        import warnings
        warnings.simplefilter("ignore")
        watch = begin()
        ready()
        while True:
            if (child := os.fork()) == 0:
                os._exit(0)
            os.waitpid(child, 0)
    """)
    time.sleep(0.1)
    script.signal(signal.SIGTERM)
    assert script.end(30) == 143


def test_a_forked_child_can_have_a_guard_of_its_own(start: Any) -> None:
    script = start("""
        import warnings
        warnings.simplefilter("ignore")
        watch = begin("parent.json")
        if (child := os.fork()) == 0:
            try:
                watch = begin()
                ready()
                stuck()
            finally:
                os._exit(0)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        Path("code").write_text(f"{child} {code}")
        watch.stop()
    """)
    [child] = psutil.Process(script.process.pid).children()
    child.send_signal(signal.SIGTERM)
    assert script.outcome()["signal"] == "SIGTERM"
    assert script.end() == 0
    code = int((script.folder / "code").read_text().split()[1])
    assert code in (143, -signal.SIGKILL), "the kill switch may not work after a fork; then the guard kills"
    assert not (script.folder / "parent.json").exists()


# --- the process itself -----------------------------------------------------------------------------------------------


def test_the_guard_ends_with_the_process_and_keeps_nothing_of_it_open(start: Any) -> None:
    script = start(
        """
        read, write = os.pipe()
        os.set_inheritable(write, True)
        watch = begin()
        watch.mark_done()
        watch.stop()
        os.close(write)
        assert os.read(read, 1) == b""
        ready()
        sys.stdin.read()
    """,
        stdin=subprocess.PIPE,
    )
    [guard] = until(lambda: guards_of(script.process.pid))
    assert guard.ppid() != script.process.pid
    assert os.getsid(guard.pid) != os.getsid(script.process.pid)
    until(lambda: guard.cwd() == "/")
    script.process.stdin.close()
    assert script.end() == 0
    until(lambda: not guard.is_running() or guard.status() == "zombie", seconds=2)


def test_signals_to_the_guard_do_not_end_it(start: Any) -> None:
    script = start("""
        watch = begin()
        ready()
        stuck()
    """)
    [guard] = until(lambda: guards_of(script.process.pid))
    until(lambda: guard.cwd() == "/")
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        guard.send_signal(number)
    script.signal(signal.SIGTERM)
    assert script.outcome()["status"] == "INTERRUPTED"


def test_without_a_guard_process_signals_still_interrupt_main(start: Any) -> None:
    script = start("""
        sys.executable = "/usr/bin/some-application"
        watch = begin()
        assert not Guard.shared().alive
        ready()
        try:
            time.sleep(60)
        except Terminated:
            watch.mark_done()
            assert watch.received == "SIGTERM"
            watch.stop()
            sys.exit(7)
    """)
    script.signal(signal.SIGTERM)
    assert script.end() == 7


def test_a_guard_that_was_killed_is_replaced_for_the_next_run(start: Any) -> None:
    script = start("""
        begin().stop()
        first = Guard.shared()
        ready()
        while first.alive:
            time.sleep(0.01)
        watch = begin()
        assert Guard.shared().alive
        print("ready", flush=True)
        stuck()
    """)
    [guard] = until(lambda: guards_of(script.process.pid))
    guard.kill()
    assert script.process.stdout.readline() == "ready\n"
    time.sleep(0.15)
    script.signal(signal.SIGTERM)
    assert script.outcome()["status"] == "INTERRUPTED"


def test_there_is_one_guard_for_all_threads() -> None:
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(8) as pool:
        guards = set(pool.map(lambda _: Guard.shared(), range(32)))
    assert len(guards) == 1
    assert len(until(lambda: guards_of(os.getpid()))) == 1


def test_the_outcome_is_sealed_as_the_store_seals(start: Any) -> None:
    script = start("""
        watch = begin()
        ready()
        time.sleep(60)
    """)
    script.signal(signal.SIGINT)
    script.end()
    line = (script.folder / "outcome.json").read_bytes() if (script.folder / "outcome.json").exists() else None
    line = line or until(
        lambda: (script.folder / "outcome.json").exists() and (script.folder / "outcome.json").read_bytes()
    )
    values = serial.unseal(line)
    assert serial.seal(values) == line
    assert (
        list(values)
        == list(json.loads(serial.seal(serial.outcome_to_json(serial.outcome_from_json("u", values)))))[:-1]
    )


def test_what_the_guard_is_handed_is_not_handed_on_to_what_it_starts() -> None:
    """Else whoever reads what a run prints would wait for the process that compresses a journal."""
    ours, control = socket.socketpair()
    wakeup, question = os.pipe(), os.pipe()
    guard = GuardProcess(control.detach(), wakeup[0], question[1], ABSENT, os.getpid(), ABSENT)
    with open(os.devnull) as file:
        socket.send_fds(ours, [b'{"do":"nothing","id":1}\n'], [file.fileno()] * 3)
    guard._take_messages()
    assert [os.get_inheritable(each) for each in guard._descriptors] == [False] * 3
    for each in (*guard._descriptors, *wakeup, *question):
        os.close(each)
    guard._control.close()
    ours.close()
