"""What an engine starts on another machine to have a job run, and what its end says."""

from __future__ import annotations

from collections.abc import Sequence

from anew.runner.config.main import Ticket
from anew.runner.errors import EXIT_TAKEN, EXIT_USAGE
from anew.runner.sweep.reference import Attachment

LIFELINE = "--while-stdin"
_MODULE = "anew.runner.rerun.remote"


def job_command(attachment: Attachment, ticket: Ticket, settings: Sequence[str] = ()) -> list[str]:
    """
    Return the words after the interpreter that run a job; see `anew.runner.rerun.remote`.

    The machine shares the store's folder and has an environment with anew and what main needs. The job takes
    the claim, writes its own record, and ends with its stdin.
    """
    words = [attachment.root, str(attachment.sweep), str(ticket.index), str(ticket.attempt)]
    return ["-m", _MODULE, LIFELINE, *words, *settings]


class JobProcessError(Exception):
    """What an `Engine` gives for a job whose process did not come to its end by itself; the text says how."""


def ended(code: int, said: str) -> str:
    """
    Return what an `Engine` gives for a job's process that ended.

    Args:
        code: Its exit code.
        said: The end of what it printed.
    """
    if code == EXIT_TAKEN:
        return "taken"
    if code == EXIT_USAGE:
        return said.strip() or "exit code 2"
    return ""
