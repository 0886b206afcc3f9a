"""Which Hydra and OmegaConf were tried, and what is said to whoever has others. Imports neither of them."""

from __future__ import annotations

import importlib.metadata
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from anew.runner.errors import AnewError, UnsupportedVersionError


@dataclass(frozen=True, slots=True)
class Library:
    """
    A library that more is used of than it documents.

    Attributes:
        distribution: Its name for pip.
        module: Its name for `import`.
        floor: The lowest version that works.
        below: The lowest version that pip does not choose, until it has been released and tried.
        tested: The versions that the tests were run with.
    """

    distribution: str
    module: str
    floor: str
    below: str
    tested: tuple[str, ...]

    @property
    def requirement(self) -> str:
        """What pip is told."""
        return f"{self.distribution}>={self.floor},<{self.below}"

    def installed(self) -> str | None:
        """Return the version that is installed, as far as pip knows; None for none."""
        try:
            return importlib.metadata.version(self.distribution)
        except importlib.metadata.PackageNotFoundError:
            return None

    def imported(self) -> str | None:
        """Return the version that was imported; None before that."""
        return getattr(sys.modules.get(self.module), "__version__", None)


LIBRARIES = (
    Library(
        distribution="hydra-core",
        module="hydra",
        floor="1.3.2",
        below="1.4",
        tested=("1.3.2", "1.3.3", "1.3.4", "1.3.5", "1.3.6", "1.3.7", "1.3.8", "1.4.0rc3"),
    ),
    Library(
        distribution="omegaconf",
        module="omegaconf",
        floor="2.3",
        below="2.4",
        tested=("2.3.0", "2.3.1", "2.4.1rc1"),
    ),
)
_COMMAND = f"python -m pip install {' '.join(repr(each.requirement) for each in LIBRARIES)}"


@dataclass(frozen=True, slots=True)
class Installed:
    """
    A library as it is installed here.

    Attributes:
        version: None when it is not installed.
        is_tested: Whether the tests were run with this version.
        tested: The versions that they were run with, for people.
        command: How to have one of those that pip chooses.
    """

    distribution: str
    version: str | None
    is_tested: bool
    tested: str
    command: str


def versions() -> tuple[Installed, ...]:
    """Return what is installed of the libraries whose versions matter; neither of them is imported."""
    return tuple(
        Installed(
            distribution=each.distribution,
            version=version,
            is_tested=version in each.tested,
            tested=_in_words(each.tested),
            command=_COMMAND,
        )
        for each in LIBRARIES
        for version in [each.installed()]
    )


@contextmanager
def supported() -> Iterator[None]:
    """
    Import, inside the block, what uses Hydra or OmegaConf.

    Raises:
        UnsupportedVersionError: They lack something, and are not among those that were tried; or they are too old.
    """
    try:
        yield
    except Exception as error:
        # whatever it was: Hydra 1.2, say, cannot be imported by Python 3.11 and raises ValueError
        if isinstance(error, AnewError) or all(each.is_tested for each in versions()):
            raise
        why = f"{type(error).__name__}: {str(error).strip()}".split("\n")[0]
        raise UnsupportedVersionError(_refusal(why)) from error
    if _are_imported_too_old():
        raise UnsupportedVersionError(_refusal("too old"))


def _are_imported_too_old() -> bool:
    return any(
        version is not None and version not in each.tested and _numbers(version) < _numbers(each.floor)
        for each in LIBRARIES
        for version in [each.imported()]
    )


def _refusal(why: str) -> str:
    here = " and ".join(f"{each.distribution} {each.version or '(none)'}" for each in versions())
    tried = "; ".join(f"{each.distribution} {_in_words(each.tested)}" for each in LIBRARIES)
    return f"Anew does not work with {here}: {why}. It works with {tried}. Type: {_COMMAND}"


def _in_words(tested: tuple[str, ...]) -> str:
    """Return versions as people write them: the first and the last of each series."""
    series: dict[tuple[int, ...], list[str]] = {}
    for version in tested:
        series.setdefault(_numbers(version)[:2], []).append(version)
    return ", ".join(group[0] if len(group) == 1 else f"{group[0]} to {group[-1]}" for group in series.values())


def _numbers(version: str) -> tuple[int, ...]:
    """Return the numbers that a version begins with; a release candidate counts as the release."""
    found = re.match(r"\d+(?:\.\d+)*", version)
    return tuple(int(number) for number in found[0].split(".")) if found else ()
