"""What an engine starts on another machine to have a job run, and what its end says."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from concurrent.futures import Future
from contextlib import suppress

from anew.runner.config.main import Ticket
from anew.runner.errors import EXIT_TAKEN
from anew.runner.sweep.reference import Attachment

LIFELINE = "--while-stdin"
_MODULE = "anew.runner.sweep.remote"


def job_command(attachment: Attachment, ticket: Ticket, settings: Sequence[str] = ()) -> list[str]:
    """
    Return the words after the interpreter that run a job; see `anew.runner.sweep.remote`.

    The machine shares the store's folder and has an environment with anew and what main needs. The job takes
    the claim, writes its own record, and ends with its stdin.
    """
    words = [attachment.root, str(attachment.sweep), str(ticket.index), str(ticket.attempt)]
    return ["-m", _MODULE, LIFELINE, *words, *settings]


class JobProcessError(Exception):
    """What an `Engine` gives for a job whose process did not come to its end by itself; the text says how."""


def settle(future: Future[str], attachment: Attachment, ticket: Ticket, code: int, said: str) -> None:
    """
    Give a future what `Engine.submit` promises, for a job's process that came to its end.

    Args:
        future: Of the job.
        attachment: The sweep.
        ticket: The job.
        code: The exit code of its process.
        said: The end of what it printed.
    """
    if code == EXIT_TAKEN:
        future.set_result("taken")
    elif not has_begun(attachment, ticket):
        future.set_result(said.strip() or f"exit code {code}")
    elif code:
        future.set_exception(JobProcessError(how_it_ended(code)))
    else:
        future.set_result("")


def has_begun(attachment: Attachment, ticket: Ticket) -> bool:
    """Whether a job was taken."""
    return attachment.folder.layout.attempt(ticket.index, ticket.attempt).exists()


def how_it_ended(code: int) -> str:
    """Say how a job's process ended, by its exit code: negative for a signal, or above 128, as shells have it."""
    number = -code if code < 0 else code - 128
    with suppress(ValueError):
        if number > 0:
            return f"killed by {signal.Signals(number).name}"
    return f"left by os._exit({code})"
