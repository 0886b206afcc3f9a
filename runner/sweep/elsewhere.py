"""What an engine starts on another machine to have a job run, and what its end says."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from anew.runner.config.main import Ticket
from anew.runner.errors import EXIT_SIGNAL, EXIT_TAKEN
from anew.runner.store.folder import FolderStore
from anew.runner.store.sweep_state import job_state
from anew.runner.sweep import remote
from anew.runner.sweep.engine import Batch, Fate, JobEnd
from anew.runner.sweep.reference import Attachment


class SweepJobs:
    """The jobs of a sweep, as engines see them; satisfies `engine.Batch`."""

    def __init__(self, attachment: Attachment) -> None:
        self._attachment = attachment
        self.name = f"anew-{attachment.sweep}"
        self.resumption = attachment.resumption

    def words(self, ticket: Ticket, settings: Sequence[str]) -> list[str]:
        """
        Return the words after the interpreter that run a job; see `anew.runner.sweep.remote`.

        The machine shares the store's folder and has an environment with anew and what main needs. The job takes
        the claim, writes its own record, and ends with its stdin.
        """
        of = self._attachment
        words = [of.root, str(of.sweep), str(ticket.index), str(ticket.attempt)]
        told = [remote.LIFELINE, *([f"{remote.EXPECT}{ticket.digest}"] if ticket.digest else [])]
        return ["-m", remote.__name__, *told, *words, *settings]

    def has_begun(self, ticket: Ticket) -> bool:
        """Whether a job was taken."""
        return self._attachment.has_begun(ticket)

    def has_ended(self, ticket: Ticket) -> bool:
        """Whether the run of a job has ended."""
        of = self._attachment
        store = FolderStore(Path(of.root))
        return job_state(of.folder, ticket.index, ticket.overrides, store).status.final


def end_of(batch: Batch, ticket: Ticket, code: int, said: str) -> JobEnd:
    """
    Return how a job ended whose process came to its end.

    Args:
        batch: What it belongs to.
        ticket: The job.
        code: The exit code of its process.
        said: The end of what it printed.
    """
    if code == EXIT_TAKEN:
        return JobEnd(Fate.TAKEN)
    if not batch.has_begun(ticket) and not _was_killed(code, said):
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
