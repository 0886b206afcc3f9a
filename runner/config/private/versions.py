"""Which Pythons, Hydras and OmegaConfs were tried, and what is said to whoever has others. Imports none of them."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from anew.runner.dataclass import dataclass
from anew.runner.errors import AnewError, UnsupportedVersionError


@dataclass(frozen=True, slots=True)
class Library:
    """
    A library that more is used of than it documents.

    Attributes:
        distribution: Its name for pip.
        module: Its name for `import`.
        floor: The lowest version that works.
        below: The lowest version that pip does not choose, until it has been released and tested.
    """

    distribution: str
    module: str
    floor: str
    below: str

    @property
    def requirement(self) -> str:
        """What pip is told."""
        return f"{self.distribution}>={self.floor},<{self.below}"

    def installed(self) -> str | None:
        """Return the version that is installed, as far as pip knows; None for none."""
        import importlib.metadata  # sixty modules, which a run that begins does not need

        try:
            return importlib.metadata.version(self.distribution)
        except importlib.metadata.PackageNotFoundError:
            return None

    def imported(self) -> str | None:
        """Return the version that was imported; None before that."""
        return getattr(sys.modules.get(self.module), "__version__", None)


HYDRA = Library(distribution="hydra-core", module="hydra", floor="1.3.2", below="1.4")
OMEGACONF = Library(distribution="omegaconf", module="omegaconf", floor="2.3", below="2.4")
PYTHONS = ("3.10", "3.11", "3.12", "3.13", "3.14", "3.15")
# What the tests were run with: any of the first with any of the second.
TESTED = (
    (("1.3.2", "1.3.8"), ("2.3.0", "2.3.1")),
    (("1.4.0rc3",), ("2.4.1rc1",)),
)
# what they import by its name, and what people call scripts, too
_BELOW = ("attr", "yaml", "antlr4", "hydra", "omegaconf", "packaging")
_COMMAND = f"python -m pip install '{HYDRA.requirement}' '{OMEGACONF.requirement}'"


@dataclass(frozen=True, slots=True)
class Versions:
    """
    What is installed of the libraries whose versions matter.

    Attributes:
        hydra, omegaconf: The versions; None for one that is not installed.
        are_tested: Whether the tests were run with the two.
        tested: What they were run with, for people.
        command: How to have what pip chooses.
    """

    hydra: str | None
    omegaconf: str | None
    are_tested: bool
    tested: str
    command: str


def versions() -> Versions:
    """Return what is installed; neither of them is imported."""
    hydra, omegaconf = HYDRA.installed(), OMEGACONF.installed()
    return Versions(
        hydra=hydra,
        omegaconf=omegaconf,
        are_tested=any(hydra in first and omegaconf in second for first, second in TESTED),
        tested=", or ".join(
            f"{HYDRA.distribution} {' or '.join(first)} with {OMEGACONF.distribution} {' or '.join(second)}"
            for first, second in TESTED
        ),
        command=_COMMAND,
    )


def is_tested(python: str) -> bool:
    """Return whether a Python is of a version that was tested: `3.14.8`, where it is all of 3.14."""
    return ".".join(python.split(".")[:2]) in PYTHONS


def unmet() -> str:
    """Return what one of the two needs and is not there, as a sentence without an end; nothing where all is."""
    import importlib.metadata  # as above, and only when something is wrong already, or to find out

    from packaging.requirements import Requirement

    for each in (HYDRA, OMEGACONF):
        for need in map(Requirement, _needs(each.distribution)):
            if need.marker is not None and not need.marker.evaluate({"extra": ""}):
                continue
            try:
                installed = importlib.metadata.version(need.name)
            except importlib.metadata.PackageNotFoundError:
                return f"{each.distribution} {each.installed()} needs {need}, which is not installed"
            if not need.specifier.contains(installed, prereleases=True):
                what = f"{each.distribution} {each.installed()} needs {need.name} {need.specifier}"
                return f"{what}, and {installed} is installed"
    return ""


def shadowed() -> str:
    """Return that a file beside the script has the name of a library that the two import; nothing where none has."""
    for name in _BELOW:
        file = getattr(sys.modules.get(name), "__file__", None)
        if file and Path(file).parent == Path(sys.path[0]).resolve() and not file.endswith("__init__.py"):
            return (
                f"{file} has the name of a library, {name}, which {HYDRA.distribution} and {OMEGACONF.distribution} "
                "cannot have then. Give the file another name."
            )
    return ""


def _needs(distribution: str) -> list[str]:
    import importlib.metadata  # as above

    try:
        return importlib.metadata.requires(distribution) or []
    except importlib.metadata.PackageNotFoundError:
        return []


@contextmanager
def supported() -> Iterator[None]:
    """
    Import, inside the block, what uses Hydra or OmegaConf.

    Raises:
        UnsupportedVersionError: They lack something, and were not tested together; or they are too old.
    """
    try:
        yield
    except Exception as error:
        # whatever it was: Hydra 1.2, say, cannot be imported by Python 3.11 and raises ValueError
        if isinstance(error, AnewError):
            raise
        if why := shadowed():
            raise UnsupportedVersionError(why) from error
        why = unmet()
        if versions().are_tested and not why:
            raise
        raise _refusal(why or f"{type(error).__name__}: {str(error).strip()}".split("\n")[0]) from error
    for each in (HYDRA, OMEGACONF):
        version = each.imported()
        if version is not None and _numbers(version) < _numbers(each.floor):
            raise _refusal(f"{each.distribution} {version} is too old")


def unfit() -> str | None:
    """Return why what is installed cannot work, and what to type; None where nothing speaks against it."""
    for each in (HYDRA, OMEGACONF):
        version = each.installed()
        if version is None:
            return str(_refusal(f"{each.distribution} is not installed"))
        if _numbers(version) < _numbers(each.floor):
            return str(_refusal(f"{each.distribution} {version} is too old"))
    return None


def _refusal(why: str) -> UnsupportedVersionError:
    found = versions()
    return UnsupportedVersionError(
        f"Anew does not work with {HYDRA.distribution} {found.hydra or '(none)'} and {OMEGACONF.distribution} "
        f"{found.omegaconf or '(none)'}: {why}. Tested is {found.tested}. Type: {found.command}"
    )


def _numbers(version: str) -> tuple[int, ...]:
    """Return the numbers that a version begins with; a release candidate counts as the release."""
    found = re.match(r"\d+(?:\.\d+)*", version)
    return tuple(int(number) for number in found[0].split(".")) if found else ()
