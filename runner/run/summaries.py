"""Metrics read from the event files that a program writes for TensorBoard."""

from __future__ import annotations

import gc
import os
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext, suppress
from pathlib import Path
from typing import Any

from anew.runner.capture.summary_files import SummaryFiles
from anew.runner.format.event_files import EventReader, Scalar
from anew.runner.lazy.patterns import regexp
from anew.runner.run.recorder import Recorder
from anew.runner.store.files import open_regular

_EVERY_S = 0.5
_AT_ONCE = 1 << 20
# what writes such files in Python, and keeps what is yet to be written
_WRITERS = ("tensorboard.summary.writer.event_file_writer", "tensorboardX.event_file_writer")
_MOMENT = regexp(r"\d{4,}|\d\d[-_:]\d\d")


class Summaries:
    """
    Logs the scalars of event files that the run begins: while it goes on, and the rest at its end.

    A metric is called as the tag is; see `_Names` for files of several folders. Of each metric the last point waits for
    the next one, or for the end: what the program itself logs under that name at that step takes its place. It has to
    be stopped before the recorder. In a forked child it does nothing.

    Args:
        recorder: Takes the metrics.
        store: The store's folder.
        apart: What is opened within it is no input of the run.
    """

    def __init__(
        self, recorder: Recorder, store: Path, apart: Callable[[], AbstractContextManager[None]] = nullcontext
    ) -> None:
        self._recorder = recorder
        own = str(recorder.layout.files.absolute())
        self._finder = SummaryFiles(os.getcwd(), own, os.path.abspath(store), self._heed)
        self._apart = apart
        self._log = recorder.log
        self._logged: set[tuple[str, int]] = set()
        self._last: dict[str, int] = {}
        self._files: list[_File] = []
        self._names = _Names()
        self._held: dict[str, tuple[int, float]] = {}
        self._ending = threading.Event()
        self._thread: threading.Thread | None = None
        self._pid = os.getpid()

    def start(self) -> None:
        """Begin to look for them, in a thread."""
        self._finder.start()
        self._thread = threading.Thread(target=self._follow, name="anew-summaries", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Read the rest."""
        try:
            if self._thread is None or os.getpid() != self._pid:
                return
            self._ending.set()
            self._thread.join()
            if self._recorder.is_open:
                _flush_writers()
                self._read(is_last=True)
                for name, (step, value) in self._held.items():
                    self._take(name, step, value)
        finally:
            self._finder.stop()
            vars(self._recorder).pop("log", None)

    def _follow(self) -> None:
        while not self._ending.wait(_EVERY_S):
            self._read(is_last=False)

    def _read(self, *, is_last: bool) -> None:
        self._files += [_File(path) for path in self._finder.found(is_last=is_last)]
        for file in self._files:
            try:
                for scalar in file.read(self._apart):
                    self._hold(self._names.of(os.path.dirname(file.path), scalar.tag), scalar)
            except FileNotFoundError:
                continue  # not there yet, or gone before it was read
            except (OSError, ValueError) as error:
                file.is_over = True
                why = (isinstance(error, OSError) and error.strerror) or error
                self._recorder.warn_once(file.path, f"{file.path} was not read for metrics: {why}")

    def _hold(self, name: str, scalar: Scalar) -> None:
        if (before := self._held.get(name)) is not None:
            self._take(name, *before)
        self._held[name] = (scalar.step, scalar.value)

    def _take(self, name: str, step: int, value: float) -> None:
        if (name, step) not in self._logged:
            self._log({name: value}, step)

    # --- what the program logs ----------------------------------------------------------------------------------

    def _heed(self) -> None:
        """Note from now on what is logged: as long as there is no such file, nobody pays for that."""
        vars(self._recorder)["log"] = self._log_noting

    def _log_noting(self, values: Mapping[str, Any], step: int | None) -> None:
        self._log(values, step)
        names = [*_names_in(values)]
        if step is None:
            step = max((self._last.get(name, -1) for name in names), default=-1) + 1
        for name in names:
            with suppress(TypeError, ValueError):
                self._last[name] = at = int(step)
                self._logged.add((name, at))


class _File:
    """One file, as far as it was read."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.is_over = False
        self._reader = EventReader()
        self._at = 0

    def read(self, apart: Callable[[], AbstractContextManager[None]]) -> Iterator[Scalar]:
        """Yield what is there since the last time. Raises OSError, ValueError."""
        if self.is_over:
            return
        with apart(), open_regular(Path(self.path)) as file:
            while data := os.pread(file.fileno(), _AT_ONCE, self._at):
                self._at += len(data)
                found = self._reader.feed(data)
                if self._reader.is_ours:
                    self.is_over = True
                    return
                yield from found


class _Names:
    """
    What metrics are called: as their tags, when the files lie in one folder.

    Below the folder of the first file, a folder's path comes before the tag: `loss_valid/loss`. Of others the name does
    (`validation/epoch_loss`) where the tag is one that a folder before had. A folder that is named by a moment, and so
    differs each time, is called by its number: `writer2/loss`.
    """

    def __init__(self) -> None:
        self._labels: dict[str, str] = {}
        self._owners: dict[str, str] = {}
        self._base = ""

    def of(self, folder: str, tag: str) -> str:
        """Return the name of a tag in a folder's files."""
        if not self._labels:
            self._base = folder
        is_below = folder.startswith(self._base + os.sep)
        label = self._labels.get(folder)
        if label is None:
            written = os.path.relpath(folder, self._base).replace(os.sep, "/") if is_below else os.path.basename(folder)
            label = f"writer{len(self._labels) + 1}" if _MOMENT.search(written) else written
            if label in self._labels.values():
                label = f"writer{len(self._labels) + 1}"
            self._labels[folder] = label
        if is_below or self._owners.setdefault(tag, folder) != folder:
            return f"{label}/{tag}"
        return tag


def _names_in(values: Mapping[str, Any], before: str = "") -> Iterator[str]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _names_in(value, f"{before}{name}/")
        else:
            yield f"{before}{name}"


def _flush_writers() -> None:
    """Have what writers of this process keep in memory be written, as it would be when they are closed."""
    classes = tuple(sys.modules[name].EventFileWriter for name in _WRITERS if name in sys.modules)
    if classes:
        for each in gc.get_objects():
            # by its type, since an object may do anything when it is asked for its class
            if type(each) in classes:
                # one that was closed has nothing to write
                with suppress(Exception):
                    each.flush()
