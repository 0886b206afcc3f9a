"""What an engine starts on another machine to have a job run, and what its end says."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from contextlib import suppress

from anew.runner.config.main import Ticket
from anew.runner.errors import EXIT_SIGNAL, EXIT_TAKEN
from anew.runner.sweep import remote
from anew.runner.sweep.engine import Fate, JobEnd
from anew.runner.sweep.reference import Attachment


def job_command(attachment: Attachment, ticket: Ticket, settings: Sequence[str] = ()) -> list[str]:
    """
    Return the words after the interpreter that run a job; see `anew.runner.sweep.remote`.

    The machine shares the store's folder and has an environment with anew and what main needs. The job takes
    the claim, writes its own record, and ends with its stdin.
    """
    words = [attachment.root, str(attachment.sweep), str(ticket.index), str(ticket.attempt)]
    told = [remote.LIFELINE, *([f"{remote.EXPECT}{ticket.digest}"] if ticket.digest else [])]
    return ["-m", remote.__name__, *told, *words, *settings]


def end_of(attachment: Attachment, ticket: Ticket, code: int, said: str) -> JobEnd:
    """
    Return how a job ended whose process came to its end.

    Args:
        attachment: The sweep.
        ticket: The job.
        code: The exit code of its process.
        said: The end of what it printed.
    """
    if code == EXIT_TAKEN:
        return JobEnd(Fate.TAKEN)
    if not attachment.has_begun(ticket) and not _was_killed(code, said):
        return JobEnd(Fate.NOT_BEGUN, said.strip() or f"exit code {code}")
    if code:
        return JobEnd(Fate.DIED, how_it_ended(code), code if code > 0 else EXIT_SIGNAL - code)
    return JobEnd(Fate.ENDED)


def _was_killed(code: int, said: str) -> bool:
    """Whether a signal ended a process, and nothing that would end it the next time, too."""
    # Python that is interrupted before it is up leaves with 1
    return _signal(code) is not None or (code == 1 and said.rstrip().endswith("KeyboardInterrupt"))


def _signal(code: int) -> signal.Signals | None:
    number = -code if code < 0 else code - EXIT_SIGNAL
    with suppress(ValueError):
        return signal.Signals(number) if number > 0 else None
    return None


def how_it_ended(code: int) -> str:
    """Say how a job's process ended, by its exit code: negative for a signal, or above 128, as shells have it."""
    number = _signal(code)
    return f"left by os._exit({code})" if number is None else f"killed by {number.name}"
