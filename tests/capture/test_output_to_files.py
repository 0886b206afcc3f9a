"""What works with the output of a program works while it is captured: in a file above all, where programs seek."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
from pathlib import Path
from typing import Any

import pytest

from anew.runner.guard.carrier import Source
from anew.runner.guard.follower import Follower
from anew.runner.guard.output_log import OutputLog
from anew.runner.guard.pump import Capture
from tests.helpers.scripts import Project
from tests.helpers.waiting import until

PRELUDE = """\
import io, json, os, subprocess, sys, time
from pathlib import Path
from anew.runner.capture.output import OutputCapture
from anew.runner.guard.watch import Guard

capture = OutputCapture(Path("output.log"), mode="fd", limit_bytes=1 << 24, guard=Guard.shared())

def wait_for(text):
    while text not in Path("output.log").read_text():
        time.sleep(0.01)

"""

# each in a scope of its own, one after the other in one process
TRICKS = {
    "reconfigure": "sys.stdout.reconfigure(encoding='utf-8', errors='replace'); print('ü')",
    "line buffering": "sys.stdout.reconfigure(line_buffering=True); print('line')",
    "reconfigure stderr": "sys.stderr.reconfigure(encoding='utf-8'); print('err', file=sys.stderr)",
    "tell": "print('x'); sys.stdout.tell()",
    "seek to the end": "print('abc'); sys.stdout.seek(0, 2); print('end')",
    "seek back": "at = sys.stdout.tell(); print('abc'); sys.stdout.seek(at); print('new')",
    "truncate": "print('abc'); sys.stdout.truncate()",
    "seekable": "assert sys.stdout.seekable()",
    "not seekable": "assert not sys.stdout.seekable()",
    "bytes": "sys.stdout.buffer.write(b'bytes\\n'); sys.stdout.buffer.tell()",
    "codecs": "import codecs; codecs.getwriter('utf-8')(sys.stdout.buffer).write('written\\n')",
    "lseek": "os.lseek(1, 0, os.SEEK_CUR)",
    "ftruncate": "sys.stdout.flush(); os.ftruncate(1, os.lseek(1, 0, os.SEEK_CUR))",
    "fsync": "print('synced', flush=True); os.fsync(1)",
    "pwrite": "print('abcdef', flush=True); os.pwrite(1, b'X', os.lseek(1, 0, os.SEEK_CUR) - 3)",
    "writev": "sys.stdout.flush(); os.writev(1, [b'a', b'b\\n'])",
    "mmap": "import mmap; print('abc', flush=True); mmap.mmap(os.open('/dev/fd/1', os.O_RDWR), 1)",
    "fallocate": "sys.stdout.flush(); os.posix_fallocate(1, 0, 1)",
    "sendfile": "sys.stdout.flush(); os.sendfile(1, os.open('source', os.O_RDONLY), 0, 6)",
    "copy_file_range": "sys.stdout.flush(); os.copy_file_range(os.open('source', os.O_RDONLY), 1, 6)",
    "open by number": "f = open(1, 'w', closefd=False); f.write('opened\\n'); f.flush()",
    "open bytes by number": "f = open(1, 'wb', closefd=False); f.write(b'opened\\n'); f.flush(); f.tell()",
    "open by name": "sys.stdout.flush(); f = open('/dev/fd/1', 'a'); f.write('named\\n'); f.close()",
    "tofile": "import numpy; sys.stdout.flush(); numpy.arange(3).tofile(sys.stdout, sep=' ')",
    "tar": "import tarfile; tarfile.open(fileobj=sys.stdout.buffer, mode='w').addfile(tarfile.TarInfo('a'))",
    "a file": "import stat; assert stat.S_ISREG(os.fstat(1).st_mode)",
    "a pipe": "import stat; assert stat.S_ISFIFO(os.fstat(1).st_mode)",
    "the file": "assert os.path.samestat(os.fstat(1), os.stat('out.txt'))",
    "its name": "assert os.readlink('/proc/self/fd/1').endswith('out.txt')",
    "one for both": "assert os.path.sameopenfile(1, 2)",
    "appends": "import fcntl; assert fcntl.fcntl(1, fcntl.F_GETFL) & os.O_APPEND",
    "read back": "print('back', flush=True); assert open('out.txt').read().endswith('back\\n')",
    "lock": "import fcntl; fcntl.flock(1, fcntl.LOCK_EX); fcntl.lockf(1, fcntl.LOCK_EX)",
    "child": "sys.stdout.flush(); subprocess.run(['echo', 'child'], check=True)",
    "wrap": "w = io.TextIOWrapper(sys.stdout.buffer, encoding='utf-8'); w.write('w\\n'); w.detach()",
    "detach": "sys.stdout = io.TextIOWrapper(sys.stdout.detach(), encoding='utf-8'); print('detached')",
}
WAYS = {
    "file": "> out.txt",
    "both in a file": "> out.txt 2>&1",
    "at the end of a file": ">> out.txt",
    "both at the end": ">> out.txt 2>&1",
    "two files": "> out.txt 2> err.txt",
    "over a file": "1<> out.txt",
    "a pipe": "| cat > out.txt",
    "both in a pipe": "2>&1 | cat > out.txt",
    "null": "> /dev/null",
    "both to null": "> /dev/null 2>&1",
    "closed": ">&-",
}
# /dev/null is a pipe while it is captured: Python's streams do as before, what asks the system does not
OF_THE_SYSTEM = {"lseek", "open bytes by number", "tofile"}
# whether what reads the pipe was quick enough
LATE = {"read back"}


def shell(folder: Path, body: str, way: str, *, prelude: str = PRELUDE) -> int:
    """Run a script whose output goes *way*; return its exit code."""
    (folder / "script.py").write_text(prelude + textwrap.dedent(body))
    line = f"{sys.executable} script.py {way}"
    return subprocess.run(["bash", "-o", "pipefail", "-c", line], cwd=folder, timeout=60, check=False).returncode


def outcomes(folder: Path, way: str, *, captured: bool) -> tuple[dict[str, str], list[bytes]]:
    """Try all the tricks; return what came of each, and what stood in the files in the end."""
    folder.mkdir()
    (folder / "source").write_text("source\n")
    (folder / "out.txt").write_text("before\n" * 100)
    (folder / "err.txt").touch()
    body = f"""
        def attempt(trick):
            try:
                exec(trick, dict(globals()))
            except BaseException as error:
                return type(error).__name__
            return "works"

        if {captured}:
            capture.start()
        found = {{name: attempt(trick) for name, trick in {TRICKS!r}.items()}}
        if {captured}:
            assert capture.stop() is None
        Path("found").write_text(json.dumps(found))
    """
    assert shell(folder, body, way) == 0
    return json.loads((folder / "found").read_text()), [(folder / n).read_bytes() for n in ("out.txt", "err.txt")]


@pytest.mark.parametrize(("way", "unbuffered"), [*((way, "") for way in WAYS), ("file", "1"), ("null", "1")])
def test_what_works_without_a_capture_works_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str, unbuffered: str
) -> None:
    monkeypatch.setenv("PYTHONUNBUFFERED", unbuffered)
    before, files_before = outcomes(tmp_path / "without", WAYS[way], captured=False)
    after, files_after = outcomes(tmp_path / "with", WAYS[way], captured=True)
    different = {name for name in TRICKS if before[name] == "works" != after[name]}
    different -= OF_THE_SYSTEM if "null" in way else LATE if "pipe" in way else set()
    assert not different, {name: after[name] for name in different}
    assert files_after == files_before


@pytest.mark.parametrize("way", ["> out.txt 2>&1", ">> out.txt 2>&1", "1<> out.txt 2>&1"])
def test_the_log_is_what_was_added_to_the_file(tmp_path: Path, way: str) -> None:
    old = b"what was there\n" * 1000
    (tmp_path / "out.txt").write_bytes(old)
    body = """
        print("before", flush=True)
        capture.start()
        print("python")
        print("error", file=sys.stderr)
        os.write(1, "ümläut\\n".encode())
        subprocess.run(["sh", "-c", "echo child; echo its error >&2"], check=True)
        if os.fork() == 0:
            os.write(1, b"forked\\n")
            os._exit(0)
        os.wait()
        for number in range(20_000):
            print("line", number)
        assert capture.stop() is None
        print("after")
    """
    assert shell(tmp_path, body, way) == 0
    log, file = (tmp_path / "output.log").read_bytes(), (tmp_path / "out.txt").read_bytes()
    added = file.removeprefix(old) if ">>" in way else file
    printed = b"before\n" + log + b"after\n"
    assert added[: len(printed)] == printed
    assert log.splitlines()[2:6] == ["ümläut".encode(), b"child", b"its error", b"forked"]
    assert len(log.splitlines()) == 20_006


def test_what_was_printed_into_a_file_before_kill_9_is_in_the_log(tmp_path: Path) -> None:
    body = """
        capture.start()
        for number in range(20_000):
            os.write(1, b"line %d\\n" % number)
        os.kill(os.getpid(), 9)
    """
    assert shell(tmp_path, body, "> out.txt 2>&1") == 128 + signal.SIGKILL
    printed = (tmp_path / "out.txt").read_text()
    assert printed.endswith("line 19999\n")
    until_closed(tmp_path)
    assert (tmp_path / "output.log").read_text() == printed


def until_closed(folder: Path) -> None:
    """Wait until the log has its last seal, with which it is closed."""
    from tests.helpers.waiting import until

    until(lambda: '"end":true' in ((folder / "output.sums").read_text() if (folder / "output.sums").exists() else ""))


def test_a_program_that_takes_the_place_of_main_is_heard_to_its_end(tmp_path: Path) -> None:
    body = """
        capture.start()
        print("main", flush=True)
        os.execvp("sh", ["sh", "-c", "echo first; sleep 1; echo last"])
    """
    assert shell(tmp_path, body, "> out.txt") == 0
    until_closed(tmp_path)
    assert (tmp_path / "output.log").read_text() == "main\nfirst\nlast\n"


def test_a_file_that_is_renamed_or_removed_is_followed(tmp_path: Path) -> None:
    body = """
        capture.start()
        print("one", flush=True)
        os.rename("out.txt", "old.txt")
        print("two", flush=True)
        os.unlink("old.txt")
        print("three", flush=True)
        assert capture.stop() is None
    """
    assert shell(tmp_path, body, "> out.txt") == 0
    assert (tmp_path / "output.log").read_text() == "one\ntwo\nthree\n"


def test_a_stream_to_elsewhere_comes_after_what_was_in_the_file_before_it(tmp_path: Path) -> None:
    body = """
        capture.start()
        for number in range(5):
            os.write(1, b"out %d\\n" % number)
            os.write(2, b"err %d\\n" % number)
            wait_for(f"err {number}")
        assert capture.stop() is None
    """
    assert shell(tmp_path, body, "2>&1 > out.txt | cat") == 0
    assert (tmp_path / "output.log").read_text() == "".join(f"out {n}\nerr {n}\n" for n in range(5))


def test_when_the_guard_process_is_killed_the_file_is_read_here(tmp_path: Path) -> None:
    body = """
        import psutil
        capture.start()
        print("one", flush=True)
        wait_for("one")
        mine = {"-I", str(os.getpid())}
        [guard] = [p for p in psutil.process_iter(["cmdline"]) if mine <= set(p.info["cmdline"] or ())]
        guard.kill()
        print("two", flush=True)
        wait_for("two")
        print("three", flush=True)
        assert "was killed" in capture.stop()
        print("four", flush=True)
    """
    assert shell(tmp_path, body, "> out.txt") == 0
    assert (tmp_path / "output.log").read_text() == "one\ntwo\nthree\n"
    assert (tmp_path / "out.txt").read_text() == "one\ntwo\nthree\nfour\n"


# --- files that do not only grow ------------------------------------------------------------------------------------


class Followed:
    """A file and what its follower has of it."""

    def __init__(self, folder: Path) -> None:
        self.path, self._log = folder / "out.txt", folder / "output.log"
        self.path.touch()
        self._descriptor = os.open(self._log, os.O_RDWR | os.O_CREAT)
        self._output = OutputLog(self._descriptor, 1 << 20)
        read = os.open(self.path, os.O_RDONLY)
        self.follower = Follower(Source(read, follows=True), self._output, lambda _: None)

    def looked(self) -> str:
        """Have it looked at; return what was logged so far."""
        self.follower.look()
        self._output.flush()
        return self._log.read_text()

    def close(self) -> None:
        self.follower.close()
        self._output.close()
        os.close(self._descriptor)


@pytest.fixture
def followed(tmp_path: Path) -> Any:
    file = Followed(tmp_path)
    yield file
    file.close()


def test_a_file_that_is_written_anew_each_time_is_logged_each_time(followed: Followed) -> None:
    for number in range(3):
        followed.path.write_text(f"epoch {number}\n")
        logged = followed.looked()
    assert logged == "epoch 0\nepoch 1\nepoch 2\n"


def test_after_a_cut_what_is_printed_then_is_logged_alone(followed: Followed) -> None:
    followed.path.write_text("one\ntwo\nthree\n")
    assert followed.looked() == "one\ntwo\nthree\n"
    os.truncate(followed.path, 8)
    assert followed.looked() == "one\ntwo\nthree\n"
    with followed.path.open("a") as file:
        file.write("four\n")
    assert followed.looked() == "one\ntwo\nthree\nfour\n"
    os.truncate(followed.path, 0)
    followed.looked()
    followed.path.write_text("five\n")
    assert followed.looked() == "one\ntwo\nthree\nfour\nfive\n"


def test_a_line_that_is_changed_at_the_end_of_a_long_file_is_logged_alone(followed: Followed) -> None:
    text = "".join(f"line {number}\n" for number in range(5000))
    followed.path.write_text(text)
    assert followed.looked() == text
    with followed.path.open("r+b") as file:
        file.seek(-5, os.SEEK_END)
        file.write(b"what")
    assert followed.looked() == text + "line what\n"


def test_space_taken_in_advance_is_no_text_and_what_is_printed_into_it_is(followed: Followed) -> None:
    with followed.path.open("r+b", buffering=0) as file:
        os.posix_fallocate(file.fileno(), 0, 1 << 20)
        for number in range(3):
            file.write(b"line %d\n" % number)
            logged = followed.looked()
    assert logged == "line 0\nline 1\nline 2\n"


def test_a_gap_of_a_terabyte_is_passed_at_the_end(followed: Followed) -> None:
    with followed.path.open("r+b", buffering=0) as file:
        file.write(b"one\n")
        file.seek(1 << 40)
        file.write(b"two\n")
    assert followed.looked() == "one\n"
    followed.follower.finish()
    assert followed.looked() == "one\ntwo\n"


def test_a_file_of_a_short_run_is_read_at_its_end_without_a_thread(tmp_path: Path) -> None:
    path, log = tmp_path / "out.txt", os.open(tmp_path / "output.log", os.O_RDWR | os.O_CREAT)
    path.touch()
    sources = [Source(os.open(path, os.O_RDONLY), follows=True)]
    before = threading.active_count()
    capture = Capture(log, sources, limit_bytes=1 << 20, secrets=[], on_change=lambda: None)
    path.write_text("one\n")
    capture.finish()
    assert capture.ended
    assert capture.caught_up()
    assert capture.due is None
    assert threading.active_count() == before
    capture.close()
    assert (tmp_path / "output.log").read_text() == "one\n"


def test_a_file_is_followed_by_a_thread_from_when_it_is_due(tmp_path: Path) -> None:
    path, log = tmp_path / "out.txt", os.open(tmp_path / "output.log", os.O_RDWR | os.O_CREAT)
    path.touch()
    sources = [Source(os.open(path, os.O_RDONLY), follows=True)]
    capture = Capture(log, sources, limit_bytes=1 << 20, secrets=[], on_change=lambda: None)
    assert capture.due is not None
    capture.follow()
    path.write_text("one\n")
    until(lambda: (tmp_path / "output.log").read_text() == "one\n")
    capture.finish()
    until(lambda: capture.ended)
    capture.close()
    assert (tmp_path / "output.log").read_text() == "one\n"


MEETING = """
from pathlib import Path
import time
@experiment.main
def main(me: str = "a", other: str = "b"):
    print(me * 3, flush=True)
    Path(me).touch()
    while not Path(other).exists():
        time.sleep(0.01)
    time.sleep(0.1)
    print(me * 5, flush=True)
"""


def test_runs_that_print_into_one_file_take_little_of_each_other_and_say_so(project: Path) -> None:
    trial = Project(project)
    trial.write(MEETING)
    with (project / "log").open("ab") as log:
        first = subprocess.Popen([sys.executable, "train.py"], cwd=project, stdout=log, stderr=log)
        until((project / "a").exists)
        second = subprocess.run([sys.executable, "train.py", "me=b", "other=a"], cwd=project, stdout=log, stderr=log)
    assert (first.wait(timeout=60), second.returncode) == (0, 0)
    said = {record.config["me"]: record for record in trial.store.find()}
    output = {me: "".join(trial.store.output(record.id or 0)) for me, record in said.items()}
    assert output["b"] == "bbb\nbbbbb\n"
    assert [line for line in output["a"].splitlines() if set(line) == {"a"}] == ["aaa", "aaaaa"]
    assert any("Another run printed into the same file" in text for text in said["a"].warnings)
    assert not any("Another run" in text for text in said["b"].warnings)
    with (project / "log").open("ab") as log:
        subprocess.run([sys.executable, "train.py"], cwd=project, stdout=log, stderr=log, check=True)
    assert trial.record("last").warnings == ()


def test_jobs_of_a_launcher_that_print_into_one_file_have_each_their_own(project: Path) -> None:
    trial = Project(project)
    trial.write("""
    @experiment.main
    def main(i: int = 0):
        for _ in range(3):
            print(f"job {i}", flush=True)
            time.sleep(0.2)
    """)
    words = ["-m", "i=1,2", "hydra/launcher=joblib", "hydra.launcher.n_jobs=2"]
    with (project / "log").open("ab") as log:
        subprocess.run([sys.executable, "train.py", *words], cwd=project, stdout=log, stderr=log, check=True)
    for record in trial.store.find():
        assert "".join(trial.store.output(record.id or 0)) == f"job {record.config['i']}\n" * 3
        assert record.warnings == ()
