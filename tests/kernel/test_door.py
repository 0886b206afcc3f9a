"""What not every POSIX system has is asked of one room, and with its door closed all goes on by the other way."""

from __future__ import annotations

import ast
import inspect
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from anew.runner.kernel import door, linux, posix

ROOT = Path(__file__).resolve().parents[2]
# what is in no other system's Python or file system, or not in all of them
LINUX_ONLY = re.compile(
    r"^/proc\b|^/sys/|pidfd|eventfd|memfd|timerfd|signalfd|FICLONE|fdatasync|sched_.etaffinity|epoll|prctl|inotify|"
    r"posix_f|sendfile|os\.splice|copy_file_range|pipe2|O_TMPFILE|O_PATH|SOCK_CLOEXEC|sigtimedwait|SIGRTM|gettid|"
    r"unshare|setns|getrandom|preadv|pwritev|F_OFD|sync_file_range|renameat2|^sys\.platform$"
)
# the package says of Windows that it is not for it
ELSEWHERE = {
    "src/anew/__init__.py": {"sys.platform"},
    # a short cut; where it is not taken, platformdirs knows all systems
    "runner/places.py": {"sys.platform"},
    # macOS has a desktop without a variable that says so
    "runner/server/serve.py": {"sys.platform"},
    # a word of strace, which is asked for on Linux alone
    "runner/capture/strace_lines.py": {"renameat2"},
    # a name to look for in recorded source
    "runner/rerun/origins.py": {"os.getrandom"},
}


def names_in(tree: ast.AST) -> Iterator[str]:
    """Every attribute, as `os.link`, and every text of a module that is not a docstring."""
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    docs = {ast.get_docstring(node, clean=False) for node in ast.walk(tree) if isinstance(node, documented)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            yield f"{node.value.id}.{node.attr}" if isinstance(node.value, ast.Name) else node.attr
        elif isinstance(node, ast.ImportFrom) and node.module in ("os", "sys", "signal", "socket", "fcntl", "select"):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value not in docs:
            yield node.value


def test_what_only_some_systems_have_is_behind_the_door() -> None:
    found = {
        f"{path.relative_to(ROOT)}: {name}"
        for folder in ("src", "runner", "observers", "integrations")
        for path in (ROOT / folder).rglob("*.py")
        if path.parent != ROOT / "runner" / "kernel"
        for name in names_in(ast.parse(path.read_text()))
        if LINUX_ONLY.search(name) and name not in ELSEWHERE.get(str(path.relative_to(ROOT)), ())
    }
    assert found == set()


def test_both_ways_offer_the_same() -> None:
    names = [name for name in door.__all__ if name not in ("CLOSED", "MOUNTS", "SYSTEM_FOLDERS")]
    for name in names:
        assert inspect.signature(getattr(linux, name)) == inspect.signature(getattr(posix, name)), name
    assert {name for name, item in vars(posix).items() if inspect.isfunction(item) or hasattr(item, "cache_info")} >= {
        *names
    }


@pytest.mark.skipif(door.CLOSED, reason="this is the other way already")
def test_both_ways_say_the_same_of_a_process() -> None:
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        lives = [way.state_of(process.pid) for way in (linux, posix)]
        assert [each is not None and each[0] for each in lives] == [True, True]
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        zombie = [way.state_of(process.pid) for way in (linux, posix)]
        assert [each is not None and each[0] for each in zombie] == [False, False]
        assert [a == b for a, b in zip(lives, zombie, strict=True)] == [False, False]
    finally:
        process.communicate()
    assert [way.state_of(process.pid) for way in (linux, posix)] == [None, None]
    assert linux.boot_id() != posix.boot_id()


@pytest.mark.long
@pytest.mark.slow
@pytest.mark.parametrize(
    ("tests", "chosen"),
    [("tests/guard", ""), ("tests/store/test_liveness.py", ""), ("tests/run/test_recording.py", "every_way or killed")],
)
def test_with_the_door_closed_the_same_holds(tests: str, chosen: str, tmp_path: Path) -> None:
    """Signals while main is stuck in C, killed processes, children, output: what Linux makes easy, without it."""
    options = ["-q", "-p", "no:cacheprovider", f"--basetemp={tmp_path / 'trials'}", "-k", chosen]
    inner = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST_")}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, tests],
        cwd=ROOT,
        env=inner | {"ANEW_POSIX_ONLY": "1"},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stdout[-6000:]
