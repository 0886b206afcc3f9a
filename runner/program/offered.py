"""What a program of any language is offered while it runs: `$ANEW_METRICS` to write into, `$ANEW_RUN_DIR` for files."""

from __future__ import annotations

import os
import select
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from anew.runner.errors import ArtifactError, ValueRefusedError
from anew.runner.format.metric_lines import written_in
from anew.runner.lazy.modules import later
from anew.runner.run.handle import Run
from anew.runner.wording import say

if TYPE_CHECKING:
    import shutil
else:
    shutil = later("shutil")

METRICS_VARIABLE = "ANEW_METRICS"
RUN_DIR_VARIABLE = "ANEW_RUN_DIR"
_MOST_AT_ONCE = 1 << 16
_LONGEST_LINE = 1 << 14


@contextmanager
def offered(run: Run) -> Iterator[None]:
    """
    Offer both to a program while it runs, and to all that it starts.

    Lines that it writes into `$ANEW_METRICS` are logged; files that it leaves in `$ANEW_RUN_DIR` become artifacts.
    """
    folder = run.dir
    folder.mkdir(parents=True, exist_ok=True)
    before, process = set(_files(folder)), os.getpid()
    os.environ[RUN_DIR_VARIABLE] = str(folder.absolute())
    try:
        with metrics_taken(run):
            yield
    finally:
        os.environ.pop(RUN_DIR_VARIABLE, None)
        if os.getpid() == process:
            for path in sorted(set(_files(folder)) - before):
                _keep(run, path, path.relative_to(folder).as_posix())


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and ".hydra" not in path.relative_to(folder).parts]


def _keep(run: Run, path: Path, name: str) -> None:
    try:
        run.log_artifact(path, name)
    except ArtifactError as error:
        run.warn(str(error))


@contextmanager
def metrics_taken(run: Run) -> Iterator[None]:
    """
    Have `$ANEW_METRICS` name a pipe, while a program runs, whose lines are logged into the run.

    A pipe and no file: what is written is taken at once, whoever writes, with `>` as with `>>`; nobody ever waits for a
    reader. Where no pipe can be made the variable is not set, which is said.
    """
    before = os.environ.pop(METRICS_VARIABLE, None)
    try:
        folder = _own_folder()
    except OSError as error:
        say(f"{METRICS_VARIABLE} is not set: {error}")
        yield
        return
    try:
        pipe = _Pipe(folder / "metrics", run)
        os.environ[METRICS_VARIABLE] = str(pipe.path)
        try:
            yield
        finally:
            os.environ.pop(METRICS_VARIABLE, None)
            pipe.close()
    finally:
        _remove(folder)
        if before is not None:
            os.environ[METRICS_VARIABLE] = before


class _Pipe:
    """A named pipe, and the thread that reads it."""

    def __init__(self, path: Path, run: Run) -> None:
        self.path = path
        self._run = run
        self._rest = b""
        self._pid = os.getpid()
        os.mkfifo(path, 0o600)
        # for writing too: it has no end, and whoever opens it does not wait
        self._descriptor = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        self._bell, self._rope = os.pipe()
        # a program may close all that it has not opened itself, and be given the same numbers for files of its own
        self._own = {number: _identity(number) for number in (self._descriptor, self._bell, self._rope)}
        self._thread = threading.Thread(target=self._follow, name="anew-written", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Read what is there, and no more."""
        if os.getpid() != self._pid:
            return
        if any(_identity(number) != own for number, own in self._own.items()):
            self._run.warn(
                f"{METRICS_VARIABLE} was closed by the program: what was written there since is not on record."
            )
            for number in [number for number, own in self._own.items() if _identity(number) == own]:
                os.close(number)
            return
        os.write(self._rope, b".")
        self._thread.join()
        self._say_if_replaced()
        if self._rest:
            self._log(self._rest)
        for descriptor in (self._descriptor, self._bell, self._rope):
            os.close(descriptor)

    def _say_if_replaced(self) -> None:
        """Say it where the pipe is none any more: what was written there then is on no record."""
        try:
            there: os.stat_result | None = os.lstat(self.path)
        except OSError:
            there = None
        own = os.fstat(self._descriptor)
        if there is not None and (there.st_dev, there.st_ino) == (own.st_dev, own.st_ino):
            return
        what = (
            "was removed"
            if there is None
            else f"was replaced by a {'folder' if stat.S_ISDIR(there.st_mode) else 'file'}"
        )
        self._run.warn(f"{METRICS_VARIABLE} {what}: what was written there since is not on record.")

    def _follow(self) -> None:
        is_over = False
        while not is_over:
            try:
                is_over = self._bell in select.select([self._descriptor, self._bell], [], [])[0]
            except (OSError, ValueError):  # the program has closed it
                return
            while data := self._read():
                *lines, self._rest = (self._rest + data).split(b"\n")
                for line in lines:
                    self._log(line)
                if len(self._rest) > _LONGEST_LINE:
                    self._log(self._rest)
                    self._rest = b""

    def _read(self) -> bytes:
        try:
            return os.read(self._descriptor, _MOST_AT_ONCE)
        except OSError:  # nothing is there, or the program has closed it
            return b""

    def _log(self, line: bytes) -> None:
        text = line.decode("utf-8", "replace").strip()
        if not text or text.startswith("#"):
            return
        found = written_in(text)
        try:
            if found is None:
                raise ValueRefusedError('it takes lines such as: loss=0.2 step=3, or {"loss": 0.2, "step": 3}')
            self._run.log(*found)
        except Exception as error:  # whatever is written must not end the thread that writers rely on
            self._run.warn(f"{METRICS_VARIABLE}: {text[:80]!r} was not logged: {error}")


def _own_folder() -> Path:
    """Make a folder among temporary files, of this user alone; `tempfile` takes 10 ms to import. Raises OSError."""
    places = [place for place in (os.environ.get("TMPDIR"), "/tmp", "/var/tmp", os.curdir) if place]
    for place in places:
        path = Path(os.path.abspath(place), f"anew-metrics-{os.urandom(8).hex()}")
        try:
            path.mkdir(0o700)
        except OSError:
            if place == places[-1]:
                raise
        else:
            return path
    raise FileNotFoundError(places)


def _remove(folder: Path) -> None:
    """Remove it with what there is; whatever a program put there beside is removed, too."""
    try:
        os.unlink(folder / "metrics")
        folder.rmdir()
    except OSError:
        shutil.rmtree(folder, ignore_errors=True)


def _identity(descriptor: int) -> tuple[int, int] | None:
    """Return which file a descriptor is of; None where it is closed."""
    try:
        found = os.fstat(descriptor)
    except OSError:
        return None
    return found.st_dev, found.st_ino
