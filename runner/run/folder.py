"""A run's folders, as its main has them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from anew.runner.store.files import cannot
from anew.runner.store.paths import RunLayout


class RunFolder:
    """
    The folder for what main writes, made when somebody asks for it. Safe between threads and processes.

    Args:
        layout: The run's.
        make: Makes it, with what Hydra writes there; None where nothing of that is to be made here.
    """

    def __init__(self, layout: RunLayout, make: Callable[[], None] | None) -> None:
        self.of_run = layout.folder
        self.path = layout.files
        self._make = make

    def made(self) -> Path:
        """Return it; it is there then. Raises StoreError."""
        if not self.path.is_dir():
            try:
                if self._make is not None:
                    self._make()
                self.path.mkdir(exist_ok=True)
            except OSError as error:
                raise cannot("make", self.path, error) from error
        return self.path
