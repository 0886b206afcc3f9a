"""Optuna, or the error that says how to get it."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module

from anew.runner.errors import MissingExtraError


def need(*libraries: str) -> None:
    """
    Import libraries that a search cannot do without.

    Raises:
        MissingExtraError: One of them is not installed.
    """
    for library in libraries:
        try:
            import_module(library)
        except ImportError as error:
            raise MissingExtraError(
                f"A search needs {library}. To install it: pip install 'anew[optuna]'", extra="optuna"
            ) from error


@contextmanager
def allow_experiments() -> Iterator[None]:
    """
    Let Optuna build what it calls experimental, which is no news to whoever has chosen it by name.

    Changes the warning filters of the whole process for as long as it lasts.
    """
    from optuna.exceptions import ExperimentalWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        yield


@contextmanager
def without_announcements() -> Iterator[None]:
    """Keep Optuna from printing that it has made a study; main may use Optuna too, so its level is put back."""
    import optuna

    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(max(before, optuna.logging.WARNING))
    try:
        yield
    finally:
        optuna.logging.set_verbosity(before)
