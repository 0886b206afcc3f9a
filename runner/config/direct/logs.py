"""Python's logging, set as Hydra's default for jobs sets it: to stdout, and to a file named after the app."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_FORMAT = "[%(asctime)s][%(name)s][%(levelname)s] - %(message)s"
_FORMATTER = logging.Formatter(_FORMAT)
# what Hydra says by default, which is what is done here
HYDRAS: Mapping[str, Any] = {
    "version": 1,
    "formatters": {"simple": {"format": _FORMAT}},
    "handlers": {
        "console": {"class": "logging.StreamHandler", "formatter": "simple", "stream": "ext://sys.stdout"},
        "file": {
            "class": "logging.FileHandler",
            "formatter": "simple",
            "filename": "${hydra.runtime.output_dir}/${hydra.job.name}.log",
        },
    },
    "root": {"level": "INFO", "handlers": ["console", "file"]},
    "disable_existing_loggers": False,
}


class _LaterFile(logging.FileHandler):
    """A file that is made, in a folder that is made, when something is logged."""

    def __init__(self, file: Path, make: Callable[[], object]) -> None:
        self._make = make
        super().__init__(file, encoding="locale", delay=True)

    def _open(self) -> Any:
        self._make()
        return super()._open()


def set_logging(file: Path, make: Callable[[], object] | None = None) -> None:
    """
    Log to stdout and to a file; what logged before is closed, as `logging.config.dictConfig` does.

    Args:
        file: The file.
        make: Makes its folder, when something is logged; None where the file is to be there from the start, as Hydra's.
    """
    root = logging.getLogger()
    logging.shutdown()
    for handler in list(root.handlers):
        root.removeHandler(handler)
    for logger in logging.Logger.manager.loggerDict.values():
        if isinstance(logger, logging.Logger):
            logger.disabled = False
    root.setLevel(logging.INFO)
    handlers: tuple[tuple[str, logging.Handler], ...] = (
        ("console", logging.StreamHandler(sys.stdout)),
        ("file", logging.FileHandler(file, encoding="locale") if make is None else _LaterFile(file, make)),
    )
    for name, each in handlers:
        each.set_name(name)
        each.setFormatter(_FORMATTER)
        root.addHandler(each)


def flush() -> None:
    """Write out what was logged."""
    for handler in logging.getLogger().handlers:
        handler.flush()


@contextmanager
def logging_kept() -> Iterator[None]:
    """Put the root logger's handlers and level back: a notebook goes on after a run."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    try:
        yield
    finally:
        for handler in root.handlers:
            if handler not in handlers:
                handler.close()
        root.handlers[:] = handlers
        root.setLevel(level)
