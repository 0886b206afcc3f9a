"""Where the output of a job goes that was called from Python: a folder that is made when somebody asks for it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path


class Output:
    """
    The folder of one job's output, with what Hydra writes beside it. Safe between threads and forked processes.

    Whoever calls main from Python a thousand times has no use for a thousand folders that nobody looks into. All that
    would stand there is in the run's record.

    Args:
        path: The folder.
        texts: Gives Hydra's files: name -> text.

    Attributes:
        hide: Takes secrets out of a text before it is written.
        made: Called when Hydra's files have been written.
    """

    def __init__(self, path: Path, texts: Callable[[], Mapping[str, str]]) -> None:
        self.path = path
        self.texts = texts
        self.hide: Callable[[str], str] = str
        self.made: Callable[[], object] = bool
        self._is_made = False
        self._lock = threading.Lock()

    @property
    def files(self) -> tuple[Path, ...]:
        """Hydra's files, whether they are there or not."""
        return tuple(self.path / ".hydra" / name for name in ("config.yaml", "hydra.yaml", "overrides.yaml"))

    def make(self) -> None:
        """Make the folder, and write Hydra's files, once. Raises OSError."""
        if self._is_made:
            return
        beside = self.path / ".hydra"
        beside.mkdir(parents=True, exist_ok=True)
        # who cannot have it is the child of a process that was forked by a thread meanwhile, and finds the files there
        if not self._lock.acquire(timeout=1):
            return
        try:
            for name, text in self.texts().items():
                with suppress(FileExistsError), open(beside / name, "x", encoding="utf-8") as file:
                    file.write(self.hide(text))
            self._is_made = True
        finally:
            self._lock.release()
        self.made()
