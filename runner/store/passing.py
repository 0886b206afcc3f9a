"""A store for what is not to be kept: made for one command, and gone with it."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from anew.runner.errors import StoreError
from anew.runner.lazy.modules import later
from anew.runner.store.files import cannot
from anew.runner.store.folder import FolderStore

if TYPE_CHECKING:
    import shutil
    import tempfile
else:
    shutil = later("shutil")
    tempfile = later("tempfile")

_PREFIX = "anew-unrecorded-"


def is_passing(store: Path) -> bool:
    """Whether a store's folder is one that is gone with its command."""
    return store.parent.name.startswith(_PREFIX)


class PassingStore:
    """
    A store in the system's folder for temporary files.

    Attributes:
        store: The store.

    Raises:
        StoreError: It cannot be made.
    """

    def __init__(self) -> None:
        try:
            self._folder = Path(tempfile.mkdtemp(prefix=_PREFIX))
        except OSError as error:
            if isinstance(error, StoreError):
                raise
            raise cannot("make a folder in", Path(tempfile.gettempdir()), error) from error
        self._process = os.getpid()
        self.store = FolderStore.open(self._folder / "runs", create=True)
        self._remove_at_signals()

    def _remove_at_signals(self) -> None:
        """Remove it, too, where the terminal is closed, or SIGQUIT comes: these end a process without a word."""
        if threading.current_thread() is not threading.main_thread():
            return
        for number in (signal.SIGHUP, signal.SIGQUIT):
            if signal.getsignal(number) == signal.SIG_DFL:
                signal.signal(number, self._ended_by)

    def _ended_by(self, number: int, frame: object) -> None:
        self.remove()
        signal.signal(number, signal.SIG_DFL)
        signal.raise_signal(number)

    def remove(self) -> None:
        """Remove it with all that is in it; a forked child that comes here leaves it to its parent. Never raises."""
        if os.getpid() == self._process:
            shutil.rmtree(self._folder, ignore_errors=True)
