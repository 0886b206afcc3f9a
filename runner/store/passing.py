"""A store for what is not to be kept: made for one command, and gone with it."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from anew.runner.errors import StoreError
from anew.runner.store.files import cannot
from anew.runner.store.folder import FolderStore


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
            self._folder = Path(tempfile.mkdtemp(prefix="anew-unrecorded-"))
        except OSError as error:
            if isinstance(error, StoreError):
                raise
            raise cannot("make a folder in", Path(tempfile.gettempdir()), error) from error
        self._process = os.getpid()
        self.store = FolderStore.open(self._folder / "runs", create=True)

    def remove(self) -> None:
        """Remove it with all that is in it; a forked child that comes here leaves it to its parent. Never raises."""
        if os.getpid() == self._process:
            shutil.rmtree(self._folder, ignore_errors=True)
