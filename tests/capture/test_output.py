"""Captured output: what a terminal would show, in a file, whatever prints it and however the process ends."""

from __future__ import annotations

import io
import os
import re
import select
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from anew.runner.capture.output import OutputCapture
from anew.runner.capture.tee import Tee
from anew.runner.errors import StoreError
from anew.runner.guard.output_log import LimitedFile, OutputLog, Veil
from anew.runner.guard.terminal_text import Screen
from anew.runner.guard.watch import Guard
from tests.helpers.waiting import until

PRELUDE = """\
import ctypes, os, subprocess, sys, time, warnings
from pathlib import Path
from anew.runner.capture.output import OutputCapture
from anew.runner.guard.watch import Guard

def begin(mode="fd", limit=1 << 24, secrets=()):
    capture = OutputCapture(
        Path("output.log"), mode=mode, limit_bytes=limit, guard=Guard.shared(), secrets=secrets
    )
    capture.start()
    return capture

"""


@pytest.fixture
def script(tmp_path: Path) -> Callable[[str], list[str]]:
    """Write a script that captures; return the command."""

    def write(body: str) -> list[str]:
        path = tmp_path / "script.py"
        path.write_text(PRELUDE + textwrap.dedent(body))
        return [sys.executable, str(path)]

    return write


@pytest.fixture
def run(
    tmp_path: Path, script: Callable[[str], list[str]]
) -> Callable[..., tuple[subprocess.CompletedProcess[str], str]]:
    """Run a script to its end; return how it ended and its log."""

    def start(body: str) -> tuple[subprocess.CompletedProcess[str], str]:
        done = subprocess.run(script(body), cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
        return done, (tmp_path / "output.log").read_text()

    return start


def on_terminal(command: list[str], folder: Path) -> tuple[int, str]:
    """Run a command on a terminal of 24 lines of 80 columns; return its exit code and what the terminal got."""
    import fcntl
    import struct
    import termios

    master, slave = os.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    process = subprocess.Popen(command, cwd=folder, stdin=slave, stdout=slave, stderr=slave, start_new_session=True)
    os.close(slave)
    seen = b""
    with process:
        while select.select([master], [], [], 30)[0]:
            try:
                block = os.read(master, 1 << 16)
            except OSError:
                break
            seen += block
    os.close(master)
    return process.returncode, seen.decode()


def shown(*pieces: str) -> str:
    """Return what is left of a stream that came in pieces."""
    screen = Screen()
    cursor = screen.cursor()
    for piece in pieces:
        cursor.feed(piece)
    screen.finish()
    return screen.take()


# --- what a terminal would show -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("printed", "left"),
    [
        ("plain\ntext\n", "plain\ntext\n"),
        ("no newline at the end", "no newline at the end"),
        ("\n\n\nblank lines\n\n", "\n\n\nblank lines\n\n"),
        ("tabs\tand  blanks \n", "tabs\tand  blanks \n"),
        ("one\r\ntwo\r\n", "one\ntwo\n"),
        ("\x1b[1;31mred\x1b[0m\x1b]0;title\x07 and \x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\\n", "red and link\n"),
        (" 10%|#   |\r 50%|##  |\r100%|####|\n", "100%|####|\n"),
        ("long line\rshort\n", "shortline\n"),
        ("long line\r\x1b[Kshort\n", "short\n"),
        ("long line\x1b[2K\rshort\n", "short\n"),
        ("abc\b\bX\n", "aXc\n"),
        ("bell\a null\0 delete\x7f\n", "bell null delete\n"),
        ("\x1b[5Cindented\n", "     indented\n"),
        ("ab\x1b[1GX\x1b[10GY\n", "Xb       Y\n"),
        ("gone\rleft \n", "left\n"),
        ("進捗 10%\r進捗 99%\n", "進捗 99%\n"),
        ("abcdef\r進\n", "進cdef\n"),
        ("進捗\rx\n", "x 捗\n"),
        ("進捗\bx\n", "進 x\n"),
        ("e\u0301e\rab\n", "ab\n"),
        ("cut off \x1b[3", "cut off "),
        ("stray \x1b", "stray "),
        ("bar at 10\nbar at 20\n\x1b[2A\rbar at 90\n\rbar at 99\n", "bar at 90\nbar at 99\n"),
        ("first\n\x1b[1A\x1b[2K\rsecond\n\x1b[1A\x1b[2K\rthird\n", "third\n"),
        ("kept\nerased\nerased\n\x1b[2A\x1b[J", "kept\n"),
        ("before\n\x1b[H\x1b[2Jframe 1\nx\n\x1b[H\x1b[2Jframe 2\n", "before\nframe 2\n"),
        ("before\n\x1b[?1049h\x1b[Hfull screen\n\x1b[?1049lafter\n", "before\nafter\n"),
        ("a\n\x1b7b\x1b8B\n", "a\nB\n"),
        ("\x1b[99999999999A\x1b[9999999C\x1b[9999999999Dx\n", "x\n"),
    ],
)
def test_text_is_left_as_a_terminal_shows_it_at_the_end(printed: str, left: str) -> None:
    assert shown(printed) == left


@pytest.mark.parametrize(
    "printed",
    [
        "\x1b[1mbold\x1b[0m \x1b]8;;u\x1b\\link\x1b]8;;\x1b\\\r\n 5%\r10%\r15%\n\x1b[2A\x1b[Kup\n\ndown",
        "".join(f"line {number}\n" for number in range(60)) + "\rbar 1\rbar 2\n",
        "a\x1b[2Jb\x1b[H\x1b[3;4Hc\x1b[?25l\x1b[0Jd\te\x08f\r\n",
    ],
)
def test_it_makes_no_difference_where_the_stream_is_cut(printed: str) -> None:
    assert shown(*printed) == shown(printed)


def test_lines_that_scrolled_away_are_final_and_none_is_lost_or_doubled() -> None:
    lines = "".join(f"line {number}\n" for number in range(1000))
    assert shown(lines) == lines
    assert shown(*lines.splitlines(keepends=True)) == lines
    assert shown(lines, "\x1b[1000A", "top").replace("top", "").count("line") >= 999


def test_two_streams_keep_their_own_lines_in_the_order_in_which_they_were_begun() -> None:
    screen = Screen()
    out, err = screen.cursor(), screen.cursor()
    out.feed("one\n")
    err.feed(" 10%")
    out.feed("two\nthr")
    err.feed("\r 90%")
    out.feed("ee\n")
    err.feed("\r100%\n")
    out.feed("four\n")
    screen.finish()
    assert screen.take() == "one\n100%\ntwo\nthree\nfour\n"


def test_a_progress_bar_stays_one_line_while_another_stream_prints_thousands() -> None:
    screen = Screen()
    out, err = screen.cursor(), screen.cursor()
    for number in range(1000):
        err.feed(f"\rbar {number}")
        out.feed(f"line {number}\n" * 7)
    err.feed("\n")
    screen.finish()
    text = screen.take()
    assert text.count("bar") == 1
    assert "bar 999\n" in text
    assert text.count("line") == 7000


def test_an_overlong_line_is_passed_on_whole_and_ends_before_another_stream_goes_on() -> None:
    screen = Screen()
    out, err = screen.cursor(), screen.cursor()
    out.feed("x" * 100_000)
    err.feed("warning\n")
    out.feed("y" * 10 + "\nend\n")
    screen.finish()
    assert screen.take() in (
        "x" * 100_000 + "\n" + "y" * 10 + "\nwarning\nend\n",
        "x" * 100_000 + "y" * 10 + "\nwarning\nend\n",
    )


def test_noise_is_survived() -> None:
    """Whatever bytes a program prints, they must not stop the log; and time must not grow with their square."""
    noise = bytes(range(256)) * 200 + b"\x1b]" * 5000 + b"\x1b[" * 5000 + os.urandom(100_000)
    text = noise.decode("utf-8", "backslashreplace")
    assert shown(*(text[at : at + 1000] for at in range(0, len(text), 1000)))
    assert shown(*(text[at : at + 4] for at in range(0, 80_000, 4)))


# --- the file -----------------------------------------------------------------------------------------------------


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "output.log"


def opened(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT)


def test_a_partial_line_is_on_disk_and_is_rewritten_in_place(log: Path) -> None:
    descriptor = opened(log)
    output = OutputLog(descriptor, 1 << 20)
    stream = output.stream()
    for text, on_disk in (("10%", "10%"), ("\r9", "90%"), ("\r\x1b[K", ""), ("done\nnext", "done\nnext")):
        output.print(stream, text)
        output.flush()
        assert log.read_text() == on_disk
    output.close()
    assert log.read_text() == "done\nnext"
    os.close(descriptor)


@pytest.mark.parametrize("size", [1, 7, 90, 5000])
def test_head_and_tail_are_kept_and_the_number_of_bytes_left_out_is_said(log: Path, size: int) -> None:
    descriptor = opened(log)
    file = LimitedFile(descriptor, 10_000)
    text = "".join(f"line {number} with ümläuts\n" for number in range(3000)).encode()
    largest = 0
    for at in range(0, len(text), size):
        file.write(text[at : at + size], b"not yet final")
        largest = max(largest, log.stat().st_size)
    file.write(b"", b"")
    file.finish()
    os.close(descriptor)
    kept = log.read_bytes()
    assert largest <= 12_600 + size
    assert len(kept) <= 10_100
    match = re.search(rb"\n\[\.\.\. +(\d+) bytes left out \.\.\.\]\n", kept)
    assert match is not None
    head, tail = kept[: match.start()], kept[match.end() :]
    assert text.startswith(head + b"\n")
    assert text.endswith(tail)
    assert 7000 < len(head) <= 7500
    assert 2000 < len(tail) <= 2500
    assert len(head) + int(match[1]) + len(tail) == len(text)


def test_a_long_line_is_cut_between_characters(log: Path) -> None:
    descriptor = opened(log)
    file = LimitedFile(descriptor, 1001)
    for _ in range(100):
        file.write("ü€".encode() * 100, b"")
    file.finish()
    os.close(descriptor)
    assert set(re.sub(r"\n.*\n", "", log.read_text())) == set("ü€")


def test_a_limit_of_nothing_keeps_nothing_but_the_number(log: Path) -> None:
    descriptor = opened(log)
    file = LimitedFile(descriptor, 0)
    file.write(b"abc\n" * 1000, b"x")
    file.write(b"", b"")
    file.finish()
    os.close(descriptor)
    assert log.read_text().split() == ["[...", "4000", "bytes", "left", "out", "...]"]


def test_a_full_disk_is_reported_and_the_log_goes_on_when_there_is_space(
    log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    descriptor = opened(log)
    file = LimitedFile(descriptor, 10_000)
    file.write(b"before\n", b"partial")
    write = os.pwrite

    def full(*_: Any) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "pwrite", full)
    file.write(b"partial, lost\n", b"more")
    monkeypatch.setattr(os, "pwrite", write)
    assert file.problem == "Part of the output is not in the log: No space left on device"
    file.write(b"after\n", b"")
    os.close(descriptor)
    note = "\n[... 14 bytes could not be written: No space left on device ...]\n"
    assert log.read_text() == "before\n" + note + "after\n"


@pytest.mark.parametrize("size", [1, 3, 10, 1000])
def test_secrets_are_replaced_wherever_the_text_is_cut(size: int) -> None:
    veil = Veil(["hunter22", "correct horse battery"])
    text = "the word is hunter22, and hunter22hunter22; correct horse battery. hunter2 is none" * 3
    lifted = "".join(veil.lift(text[at : at + size]) for at in range(0, len(text), size)) + veil.rest()
    assert lifted == text.replace("hunter22", "<redacted>").replace("correct horse battery", "<redacted>")


def test_a_secret_half_printed_is_not_shown(log: Path) -> None:
    descriptor = opened(log)
    output = OutputLog(descriptor, 1 << 20, ["hunter22"])
    stream = output.stream()
    output.print(stream, "it is hunter")
    output.flush()
    assert log.read_text() == "it is "
    output.print(stream, "22!\n")
    output.close()
    assert log.read_text() == "it is <redacted>!\n"
    os.close(descriptor)


# --- a process that prints ----------------------------------------------------------------------------------------


def test_everything_that_prints_is_captured_in_order_and_passed_on(run: Any) -> None:
    done, log = run("""
        print("before", flush=True)
        capture = begin()
        print("python", flush=True)
        os.write(1, b"descriptor\\n")
        os.system("echo shell")
        subprocess.run([sys.executable, "-c", "print('child')"])
        ctypes.CDLL(None).printf(b"c library\\n")
        print("not flushed")
        assert capture.stop() is None
        print("after")
    """)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "before\n" + log + "after\n"
    assert sorted(log.splitlines()) == sorted(["python", "descriptor", "shell", "child", "c library", "not flushed"])
    assert log.splitlines()[:4] == ["python", "descriptor", "shell", "child"]


def test_stderr_goes_to_stderr_and_into_the_same_log(run: Any) -> None:
    done, log = run("""
        capture = begin()
        print("out", flush=True)
        print("err", file=sys.stderr, flush=True)
        os.system("echo child >&2")
        assert capture.stop() is None
    """)
    assert (done.stdout, done.stderr) == ("out\n", "err\nchild\n")
    assert sorted(log.splitlines()) == ["child", "err", "out"]


def test_one_destination_for_both_keeps_their_order(tmp_path: Path, script: Any) -> None:
    command = script("""
        capture = begin()
        for number in range(500):
            os.write(1 + number % 2, b"line %d\\n" % number)
        assert capture.stop() is None
    """)
    done = subprocess.run(
        command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=True
    )
    assert done.stdout == "".join(f"line {number}\n" for number in range(500))
    assert (tmp_path / "output.log").read_text() == done.stdout


def test_a_c_call_that_holds_the_gil_may_print_more_than_a_pipe_holds(run: Any) -> None:
    done, log = run("""
        capture = begin()
        libc = ctypes.PyDLL(None)
        for number in range(50):
            libc.printf(b"%0100000d\\n", number)
        libc.fflush(None)
        assert capture.stop() is None
    """)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout) == 50 * 100_001
    assert log == done.stdout


def test_what_was_printed_before_kill_9_is_in_the_log(tmp_path: Path, script: Any) -> None:
    command = script("""
        import signal
        capture = begin()
        for number in range(20_000):
            os.write(1, b"line %d\\n" % number)
        os.kill(os.getpid(), signal.SIGKILL)
    """)
    done = subprocess.run(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True, check=False, timeout=30)
    assert done.returncode == -signal.SIGKILL
    assert done.stdout.splitlines()[-1] == "line 19999"
    assert (tmp_path / "output.log").read_text() == done.stdout


def test_a_line_of_fifty_megabytes_passes(tmp_path: Path, script: Any) -> None:
    command = script("""
        capture = begin(limit=1 << 20)
        sys.stdout.write("x" * 50_000_000)
        sys.stdout.write("\\nend\\n")
        assert capture.stop() is None
    """)
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        size = 0
        while block := process.stdout.read(1 << 20):
            size += len(block)
    assert process.returncode == 0
    assert size == 50_000_005
    log = (tmp_path / "output.log").read_text()
    assert len(log) <= (1 << 20) + 100
    assert log.startswith("xxx")
    assert log.endswith("x\nend\n")


def test_a_child_that_outlives_main_is_not_waited_for_and_still_heard(tmp_path: Path, script: Any) -> None:
    command = script("""
        capture = begin()
        os.write(1, b"main\\n")
        warnings.simplefilter("ignore")  # from 3.12 on, Python warns of threads at a fork, and that would be captured
        if os.fork() == 0:
            os.write(1, b"early\\n")
            while not Path("go").exists():
                time.sleep(0.01)
            os.write(1, b"late\\n")
            os._exit(0)
        while "early" not in Path("output.log").read_text():
            time.sleep(0.01)
        assert capture.stop() is None
        os.write(1, b"afterwards\\n")
    """)
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.wait(timeout=20) == 0
        (tmp_path / "go").touch()
        assert process.stdout.read() == b"main\nearly\nafterwards\nlate\n"
    until(lambda: (tmp_path / "output.log").read_text() == "main\nearly\nlate\n")


def test_a_living_child_has_arrived_as_far_as_it_got_when_stop_returns(run: Any) -> None:
    done, log = run("""
        capture = begin()
        child = subprocess.Popen(["sh", "-c", "echo so far; echo ready > ready; sleep 30"], start_new_session=True)
        while not Path("ready").exists():
            time.sleep(0.01)
        assert capture.stop() is None
        assert "so far" in Path("output.log").read_text()
        child.kill()
        child.wait()
        os.killpg(child.pid, 9) if Path(f"/proc/{child.pid}").exists() else None
        os.system("pkill -9 -g %d" % child.pid)
    """)
    assert done.returncode == 0, done.stderr
    assert done.stdout == log == "so far\n"


def test_a_reader_that_goes_away_does_not_stop_the_run(tmp_path: Path, script: Any) -> None:
    command = script("""
        capture = begin()
        for number in range(5000):
            print("line", number, flush=number % 100 == 0)
        problem = capture.stop()
        Path("problem").write_text(str(problem))
    """)
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.stdout.close()
    assert process.returncode == 0
    assert (tmp_path / "problem").read_text() == "None"
    assert (tmp_path / "output.log").read_text().splitlines()[-1] == "line 4999"


def test_a_destination_that_takes_nothing_for_a_while_loses_nothing(tmp_path: Path, script: Any) -> None:
    command = script("""
        capture = begin()
        for number in range(60):
            os.write(1, b"%063d\\n" % number * 1024)
        Path("written").touch()
        capture.stop()
    """)
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        time.sleep(0.3)
        assert not (tmp_path / "written").exists(), "a writer has to wait for its reader, as it would without us"
        assert len(process.stdout.read()) == 60 << 16
    assert len((tmp_path / "output.log").read_bytes()) == 60 << 16


def test_a_descriptor_closed_from_the_start_is_left_alone(tmp_path: Path, script: Any) -> None:
    """Whatever is opened next gets its number: a file of the user's, or one of ours."""
    command = script("""
        capture = begin()
        print("nowhere")
        print("err", file=sys.stderr)
        os.write(1, b"data")
        assert capture.stop() is None
    """)
    path = Path(command[-1])
    # before all else: on some systems a library that is imported keeps a file of its own open (libffi, of ctypes)
    first = 'import os; assert os.open("mine", os.O_WRONLY | os.O_CREAT) == 1\n'
    path.write_text(first + path.read_text())
    subprocess.run(["sh", "-c", '"$@" >&-', "sh", *command], cwd=tmp_path, check=True, timeout=30)
    assert (tmp_path / "output.log").read_text() == "err\n"
    assert (tmp_path / "mine").read_text() == "data"


def test_a_redirection_of_the_users_own_is_left_in_place(run: Any) -> None:
    _, log = run("""
        capture = begin()
        print("captured", flush=True)
        mine = os.open("mine", os.O_WRONLY | os.O_CREAT)
        os.dup2(mine, 1)
        print("mine", flush=True)
        assert capture.stop() is None
        print("still mine", flush=True)
        assert Path("mine").read_text() == "mine\\nstill mine\\n"
    """)
    assert log == "captured\n"


def test_runs_one_after_another_and_inside_each_other_have_their_own_logs(tmp_path: Path, script: Any) -> None:
    command = script("""
        def begin(name):
            capture = OutputCapture(Path(name), mode="fd", limit_bytes=1 << 20, guard=Guard.shared())
            capture.start()
            return capture
        for number in range(20):
            capture = begin(f"{number}.log")
            print("run", number)
            assert capture.stop() is None
        outer = begin("outer.log")
        print("outer 1")
        inner = begin("inner.log")
        print("inner")
        assert inner.stop() is None
        print("outer 2")
        assert outer.stop() is None
    """)
    subprocess.run(command, cwd=tmp_path, check=True, timeout=30, capture_output=True)
    assert [(tmp_path / f"{number}.log").read_text() for number in range(20)] == [f"run {n}\n" for n in range(20)]
    assert (tmp_path / "inner.log").read_text() == "inner\n"
    assert (tmp_path / "outer.log").read_text() == "outer 1\ninner\nouter 2\n"


def test_nothing_is_left_open_in_the_process(run: Any) -> None:
    done, _ = run("""
        def descriptors():
            return sorted(os.listdir("/proc/self/fd"))
        begin().stop()
        before = descriptors()
        for mode in ("fd", "sys", "off"):
            capture = begin(mode)
            print("x")
            capture.stop()
        assert descriptors() == before, (before, descriptors())
    """)
    assert done.returncode == 0, done.stderr


# --- on a terminal ------------------------------------------------------------------------------------------------


def test_on_a_terminal_everything_looks_like_a_terminal(tmp_path: Path, script: Any) -> None:
    command = script("""
        capture = begin()
        assert sys.stdout.isatty() and sys.stderr.isatty() and os.isatty(1)
        assert tuple(os.get_terminal_size(1)) == (80, 24)
        print("colour \\x1b[31mred\\x1b[0m")
        os.write(2, b"two\\rlines\\n")
        os.system("test -t 1 && echo child")
        assert capture.stop() is None
        print("end")
    """)
    code, seen = on_terminal(command, tmp_path)
    assert code == 0, seen
    assert seen == "colour \x1b[31mred\x1b[0m\r\ntwo\rlines\r\nchild\r\nend\r\n"
    assert (tmp_path / "output.log").read_text() == "colour red\nlines\nchild\n"


def test_a_new_window_size_is_passed_on(tmp_path: Path, script: Any) -> None:
    command = script("""
        import fcntl, struct, termios
        capture = begin()
        fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 132, 0, 0))
        deadline = time.monotonic() + 5
        while tuple(os.get_terminal_size(1)) != (132, 50) and time.monotonic() < deadline:
            time.sleep(0.05)
        print(*os.get_terminal_size(1))
        capture.stop()
    """)
    assert on_terminal(command, tmp_path) == (0, "132 50\r\n")


def test_progress_bars_of_tqdm_leave_one_line_each(tmp_path: Path, script: Any) -> None:
    command = script("""
        from tqdm import tqdm, trange
        capture = begin()
        for _ in trange(300, desc="single", mininterval=0):
            pass
        with tqdm(total=100, desc="upper", position=0, mininterval=0) as upper:
            with tqdm(total=100, desc="lower", position=1, mininterval=0) as lower:
                for step in range(100):
                    upper.update()
                    lower.update()
                    if step == 50:
                        tqdm.write("a message")
        capture.stop()
    """)
    code, seen = on_terminal(command, tmp_path)
    assert code == 0, seen
    assert seen.count("\r") > 300, "the bars were drawn live"
    lines = (tmp_path / "output.log").read_text().splitlines()
    assert [line.split(":")[0] for line in lines if line] == ["single", "a message", "lower", "upper"]
    assert all("100%" in line for line in lines if ":" in line)


def test_progress_of_rich_leaves_its_last_state(tmp_path: Path, script: Any) -> None:
    command = script("""
        from rich.progress import Progress
        capture = begin()
        with Progress(refresh_per_second=50) as progress:
            tasks = [progress.add_task(f"task {number}", total=50) for number in range(3)]
            for step in range(50):
                for task in tasks:
                    progress.update(task, advance=1)
                if step == 25:
                    progress.console.print("a message")
                progress.refresh()
        print("end")
        capture.stop()
    """)
    code, seen = on_terminal(command, tmp_path)
    assert code == 0, seen
    lines = (tmp_path / "output.log").read_text().splitlines()
    assert [line[:6] for line in lines] == ["a mess", "task 0", "task 1", "task 2", "end"]
    assert all("100%" in line for line in lines[1:4])


# --- Python's own streams -----------------------------------------------------------------------------------------


def test_in_the_mode_sys_python_alone_is_captured(run: Any) -> None:
    done, log = run("""
        import logging
        out, err = sys.stdout, sys.stderr
        capture = begin("sys")
        print("out", flush=True)
        logging.warning("logged")
        sys.stdout.buffer.write(b"bytes\\n")
        sys.stdout.writelines(["a\\n", "b\\n"])
        os.system("echo child")
        assert sys.stdout.fileno() == 1 and sys.stdout.encoding == out.encoding
        assert capture.stop() is None
        assert (sys.stdout, sys.stderr) == (out, err)
        print("after")
    """)
    assert done.returncode == 0, done.stderr
    assert sorted(done.stdout.split()) == ["a", "after", "b", "bytes", "child", "out"]
    assert log == "out\nWARNING:root:logged\nbytes\na\nb\n"


def test_streams_that_lead_elsewhere_are_captured_too(run: Any) -> None:
    """As in notebooks and below test runners, where sys.stdout is not the descriptor 1."""
    done, log = run("""
        import io
        sys.stdout = io.StringIO()
        capture = begin()
        print("notebook")
        os.write(1, b"descriptor\\n")
        assert capture.stop() is None
        assert sys.stdout.getvalue() == "notebook\\n"
    """)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "descriptor\n"
    assert sorted(log.split()) == ["descriptor", "notebook"]


def test_a_stream_of_the_users_own_is_not_replaced_at_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    capture = OutputCapture(tmp_path / "output.log", mode="sys", limit_bytes=1000, guard=Guard.shared())
    capture.start()
    mine = io.StringIO()
    monkeypatch.setattr(sys, "stdout", mine)
    assert capture.stop() is None
    assert sys.stdout is mine


def test_what_a_stream_refuses_is_not_copied() -> None:
    copied: list[bytes] = []
    tee: Any = Tee(io.StringIO(), copied.append)
    with pytest.raises(TypeError):
        tee.write(b"bytes")
    assert tee.write("text \udc80") == 6
    assert copied == [b"text \\udc80"]
    assert not hasattr(tee, "buffer")


def test_the_mode_off_makes_no_log(tmp_path: Path) -> None:
    capture = OutputCapture(tmp_path / "output.log", mode="off", limit_bytes=1000, guard=Guard.shared())
    capture.start()
    assert capture.stop() is None
    assert not (tmp_path / "output.log").exists()


def test_a_log_that_cannot_be_made_is_reported_and_nothing_else_changes(tmp_path: Path) -> None:
    before = os.fstat(1), sys.stdout
    path = tmp_path / "missing" / "output.log"
    capture = OutputCapture(path, mode="fd", limit_bytes=1000, guard=Guard.shared())
    capture.start()
    assert (os.fstat(1), sys.stdout) == before
    with pytest.raises(StoreError, match="No such file") as caught:
        capture.stop()
    assert repr(str(path)) in str(caught.value)


# --- without a guard process --------------------------------------------------------------------------------------


def test_without_a_guard_process_pythons_streams_are_captured(run: Any) -> None:
    done, log = run("""
        sys.executable = ""
        capture = begin()
        print("python")
        os.system("echo child")
        assert capture.stop() is None
        print("after")
    """)
    assert done.returncode == 0, done.stderr
    assert sorted(done.stdout.split()) == ["after", "child", "python"]
    assert log == "python\n"


def test_a_guard_process_that_starts_slowly_is_waited_for(run: Any) -> None:
    """On a machine under load; what is printed meanwhile waits in the pipe, and nothing is reported."""
    done, log = run("""
        slow = Path("slow-python")
        slow.write_text(f"#!/bin/sh\\nsleep 2.5\\nexec {sys.executable} \\"$@\\"\\n")
        slow.chmod(0o755)
        sys.executable = str(slow.resolve())
        capture = begin()
        print("python", flush=True)
        os.system("echo child")
        assert capture.stop() is None
    """)
    assert done.returncode == 0, done.stderr
    assert done.stdout == log == "python\nchild\n"


@pytest.mark.parametrize("terminal", [False, True])
def test_when_the_guard_process_is_killed_the_run_goes_on(tmp_path: Path, script: Any, terminal: bool) -> None:
    command = script("""
        import psutil
        capture = begin()
        print("one", flush=True)
        waiting = "until test -e go; do sleep 0.02; done; echo from the child"
        child = subprocess.Popen(["timeout", "10", "sh", "-c", waiting])
        while "one" not in Path("output.log").read_text():
            time.sleep(0.01)
        mine = {"-I", str(os.getpid())}
        [guard] = [p for p in psutil.process_iter(["cmdline"]) if mine <= set(p.info["cmdline"] or ())]
        stream = os.fstat(1)
        guard.suspend()
        print("stuck in the stream", flush=True)
        guard.kill()
        while os.path.samestat(os.fstat(1), stream):
            time.sleep(0.01)
        print("two", flush=True)
        Path("go").touch()
        child.wait()
        print("three", flush=True)
        Path("problem").write_text(str(capture.stop()))
        print("four", flush=True)
        again = begin()
        assert Guard.shared().alive
        again.stop()
    """)
    if terminal:
        code, seen = on_terminal(command, tmp_path)
    else:
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=30, check=False)
        code, seen = done.returncode, done.stdout + done.stderr
    assert code == 0, seen
    lines = seen.replace("\r\n", "\n").splitlines()
    assert sorted(lines) == sorted(["one", "stuck in the stream", "two", "from the child", "three", "four"])
    assert "was killed" in (tmp_path / "problem").read_text()
