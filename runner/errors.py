"""What can go wrong, in three kinds: the user can mend it, it was interrupted, or the fault is ours.

Every message says what was given, where, what would be right, and a command to type.
"""

from __future__ import annotations

import errno
import os
import sys
from typing import Any

import anew

EXIT_OK = 0
EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_DIFFERENT = 3
EXIT_REFUSED = 4
EXIT_LOST = 5
EXIT_FAULT = 70
EXIT_UNKEPT = 74
EXIT_TAKEN = 75
EXIT_SIGNAL = 128  # and the number of the signal, as shells have it
EXIT_SIGINT = 130
EXIT_SIGTERM = 143

# What is no fault of ours, with what there is to be said about it.
_MORE_FILES = " This process may open more files after: ulimit -n 1024"
_REFUSALS: dict[int | None, str] = {
    errno.ENOSPC: " Free some space, or name another store: --store FOLDER",
    errno.EDQUOT: " The quota is used up.",
    errno.EROFS: "",
    errno.EACCES: "",
    errno.EPERM: "",
    errno.EIO: " To look into it: anew check",
    errno.EFBIG: " A file may be larger after: ulimit -f unlimited",
    errno.EMFILE: _MORE_FILES,
    errno.ENFILE: " The machine has too many files open.",
    errno.ENOMEM: "",
}


class AnewError(Exception):
    """The base of every error that a user can mend; `exit_code` is what the command line exits with.

    Keyword arguments become attributes, so that code can read what was wrong; pickling keeps them.
    """

    exit_code = EXIT_USAGE

    def __init__(self, message: str, **fields: Any) -> None:
        super().__init__(message)
        self.message = message
        self.fields = fields
        for name, value in fields.items():
            setattr(self, name, value)

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.message, self.fields)


def _rebuild(kind: type[AnewError], message: str, fields: dict[str, Any]) -> AnewError:
    return kind(message, **fields)


class ConfigError(AnewError, ValueError):
    """A configuration that cannot be composed, or a main function that cannot become one."""


class StoreError(AnewError, OSError):
    """A store that cannot be opened, read or written."""

    def __str__(self) -> str:
        return self.message


class UnkeptError(StoreError):
    """
    Main returned, and not all of its run is on record.

    Attributes:
        run: The run's number.
        status: What readers see: FAILED; LOST where not even the outcome could be written.
    """

    exit_code = EXIT_UNKEPT


class ObserverRequiredError(AnewError, RuntimeError):
    """A run that did not start since a required observer did not take its first event."""


class StoreFormatError(StoreError):
    """A store, or a record in it, written by a newer version, or damaged beyond use."""


class RunNotFoundError(AnewError, LookupError):
    """A reference that matches no run."""


class SweepNotFoundError(AnewError, LookupError):
    """A number that no sweep has."""


class AmbiguousRefError(AnewError, LookupError):
    """A reference that matches more than one run."""


class RefSyntaxError(AnewError, ValueError):
    """Text that is no reference to a run."""


class MetricNotFoundError(AnewError, LookupError):
    """A run that has no metric of that name."""


class ArtifactNotFoundError(AnewError, LookupError):
    """A run that has no artifact of that name."""


class ObjectNotFoundError(AnewError, LookupError):
    """Content that a record refers to and the store does not hold."""

    exit_code = EXIT_LOST


class ContentDamagedError(StoreError):
    """Content in a store that is not what its name says."""

    exit_code = EXIT_LOST


class ValueRefusedError(AnewError, TypeError):
    """A value that a record cannot keep."""


class ArtifactError(AnewError, ValueError):
    """A file or a name that cannot become an artifact or an input."""


class FilterError(AnewError, ValueError):
    """A filter, sort key or column that cannot be understood."""


class MissingExtraError(AnewError, ImportError):
    """A feature whose library is not installed; the message names the extra."""


class SweepStoppedError(AnewError):
    """A sweep that came to an end before its plan; `reason` says why, `exit_code` what the command exits with."""

    reason: str = "stopped"


class UnsupportedVersionError(AnewError, ImportError):
    """A library that Anew stands on is there in a version that it cannot use; the message says which it can."""


class JobTakenError(AnewError, RuntimeError):
    """A job of a sweep that another process has taken."""

    exit_code = EXIT_TAKEN


class RunStateError(AnewError, RuntimeError):
    """Something asked of a run that its state does not allow."""


class RerunError(AnewError, RuntimeError):
    """A run that cannot be run again as it was asked for."""


class RefusedError(AnewError, RuntimeError):
    """A re-run that `--strict` or the want of `--trust` did not let start."""

    exit_code = EXIT_REFUSED


class UnavailableError(AnewError, ConnectionError):
    """An observer's other side cannot be reached now; what it was handed is to be delivered again."""

    def __str__(self) -> str:
        return self.message


class NowhereError(AnewError, FileNotFoundError):
    """The working directory is gone, and what was asked for needs one."""

    def __str__(self) -> str:
        return self.message


def refusal(error: BaseException) -> str | None:
    """Return what the machine refused, and what to do about it; None for an error that is no refusal, but a fault."""
    if isinstance(error, FileNotFoundError) and error.filename is None and not is_somewhere():
        return _gone()
    if not isinstance(error, OSError) or error.errno not in _REFUSALS:
        return None
    return f"{error}.{_REFUSALS[error.errno]}"


def working_directory() -> str:
    """Return where this process is. Raises NowhereError."""
    try:
        return os.getcwd()
    except FileNotFoundError as error:
        raise NowhereError(_gone()) from error


def _gone() -> str:
    # the shell's word: what a process has gone to since has no name any more
    gone = os.environ.get("PWD", "")
    name = f" {gone!r}" if gone and not os.path.isdir(gone) else ""
    return f"The working directory{name} is gone. Go to one that is there: cd .. or cd; from Python: os.chdir(FOLDER)"


def is_somewhere() -> bool:
    """Whether the working directory is there: a folder that was removed goes on as one without a name."""
    try:
        os.getcwd()
    except OSError:
        return False
    return True


def interruption(error: BaseException) -> int | None:
    """
    Return the exit code of an error that is what became of a Ctrl-C or of SIGTERM; None for any other.

    Python itself makes a RuntimeError of what is raised in `__set_name__`.
    """
    cause: BaseException | None = error
    seen: set[int] = set()
    # what is raised again where it was handled may come to be a cause of itself
    while cause is not None and id(cause) not in seen:
        if isinstance(cause, KeyboardInterrupt):
            return EXIT_SIGINT
        if isinstance(cause, SystemExit) and cause.code == EXIT_SIGTERM:
            return EXIT_SIGTERM
        seen.add(id(cause))
        cause = cause.__cause__ or cause.__context__
    return None


def fault_report() -> str:
    """Return the lines that follow a traceback of ours on stderr, ready to be pasted; no argument values in it."""
    command = " ".join([sys.argv[0].rpartition("/")[2], *(word.partition("=")[0] for word in sys.argv[1:])])
    # few commands need it
    import platform

    return (
        "\nanew: This is a fault in anew, not in what you typed. What was recorded so far is safe.\n"
        "Please report it with the traceback above and these lines:\n"
        f"  anew {anew.__version__}, Python {platform.python_version()}, {platform.platform()}\n"
        f"  command: {command}\n"
    )
