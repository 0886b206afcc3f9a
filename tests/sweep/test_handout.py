"""Handing out jobs: what dies before it comes to main, and what is refused, costs no other job anything."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest

from anew.runner.config.main import Ticket
from anew.runner.errors import SweepStoppedError
from anew.runner.records import Status
from anew.runner.sweep.engine import Fate, JobEnd
from anew.runner.sweep.handout import HandOut
from anew.runner.sweep_records import SweepJob
from tests.helpers.scripts import Project

ENDED, DIED = JobEnd(Fate.ENDED), JobEnd(Fate.DIED, "killed by SIGKILL")


class Jobs:
    """
    A sweep and its engine at once.

    Args:
        ends: For each job how its attempts end, the last for all further ones; None for one that goes on.
        slots: How many at a time.
        until: So many attempts are made before those that go on come to their end.
    """

    is_remote = False

    def __init__(self, ends: Sequence[Sequence[JobEnd | None]], *, slots: int = 1, until: int = 0) -> None:
        self.slots = slots
        self.elsewhere: set[int] = set()
        self.submitted: list[int] = []
        self.over: list[int] = []
        self.lost: dict[int, str] = {}
        self.killed: bool | None = None
        self._ends = [list(each) for each in ends]
        self._until = until
        self._going_on: dict[int, Future[JobEnd]] = {}
        self._done: set[int] = set()
        self._rest = iter(range(len(ends)))

    def hand_out(self) -> None:
        """Run them all."""
        both: Any = self
        HandOut(both, both, self._following, self.over.append).run()

    def _following(self) -> Ticket | None:
        index = next(self._rest, None)
        return None if index is None else Ticket(index=index, attempt=1, overrides=(), packed=b"", shared=b"")

    # what is asked of a ledger

    def job(self, index: int) -> SweepJob:
        done = index in self._done or index in self.lost
        status = Status.LOST if index in self.lost else Status.COMPLETED if done else Status.QUEUED
        runs = (index,) if index in self._done else ()
        return SweepJob(
            index=index, status=status, overrides=(), attempts=int(done), run=index if runs else None, runs=runs
        )

    job_ended = job

    def why_stop(self) -> None:
        return None

    def tick(self, pause_s: float) -> None:
        while self._going_on and len(self.submitted) >= self._until:
            self._end(*self._going_on.popitem(), ENDED)

    def note_begin(self, index: int) -> None: ...
    def note_not_begun(self, index: int, attempt: int | None = None) -> None: ...
    def note_end(self, job: SweepJob) -> None: ...
    def retry(self, job: SweepJob, code: int | None = None) -> None: ...

    @property
    def folder(self) -> Jobs:
        return self

    def lose(self, index: int, attempt: int, cause: str) -> bool:
        self.lost[index] = cause
        return True

    # what is asked of an engine

    def submit(self, ticket: Ticket) -> Future[JobEnd]:
        self.submitted.append(ticket.index)
        ends = self._ends[ticket.index]
        end = ends.pop(0) if len(ends) > 1 else ends[0]
        future: Future[JobEnd] = Future()
        if end is None:
            self._going_on[ticket.index] = future
        else:
            self._end(ticket.index, future, end)
        return future

    def _end(self, index: int, future: Future[JobEnd], end: JobEnd) -> None:
        if end is ENDED:
            self._done.add(index)
        future.set_result(end)

    def close(self, *, kill: bool = False) -> None:
        self.killed = kill


def test_a_job_that_dies_before_main_comes_again_after_the_others_and_is_lost_in_the_end() -> None:
    jobs = Jobs([[ENDED], [DIED], [ENDED], [ENDED]])
    jobs.hand_out()

    assert jobs.submitted == [0, 1, 1, 1, 2, 3, 1, 1, 1]
    assert jobs.over == [0, 2, 3, 1]
    assert jobs.lost == {1: "its process ended before main 6 times: killed by SIGKILL"}


def test_two_jobs_that_kill_are_lost_and_no_more() -> None:
    jobs = Jobs([[ENDED], [DIED], [DIED], [ENDED]], slots=2)
    jobs.hand_out()

    assert sorted(jobs.over) == [0, 1, 2, 3]
    assert sorted(jobs.lost) == [1, 2]


def test_a_sweep_of_which_nothing_comes_to_main_is_given_up() -> None:
    jobs = Jobs([[DIED]] * 20)
    with pytest.raises(SweepStoppedError, match=r"could not be begun: killed by SIGKILL\. 8 processes in a row"):
        jobs.hand_out()

    assert len(jobs.submitted) == 8
    assert not jobs.lost


def test_a_machine_that_has_no_more_memory_ends_a_sweep_that_has_begun_and_loses_no_job() -> None:
    jobs = Jobs([[ENDED], *[[DIED]] * 20])
    with pytest.raises(SweepStoppedError, match="8 processes in a row"):
        jobs.hand_out()

    assert jobs.over == [0]
    assert not jobs.lost


def test_deaths_before_main_that_come_to_an_end_cost_nothing() -> None:
    jobs = Jobs([[DIED] * 3 + [ENDED], [DIED] * 2 + [ENDED], [ENDED]], slots=2)
    jobs.hand_out()

    assert sorted(jobs.over) == [0, 1, 2]
    assert Counter(jobs.submitted) == Counter({0: 4, 1: 3, 2: 1})


def test_what_runs_is_waited_for_before_a_job_is_begun_for_the_last_time() -> None:
    """It may be what takes the memory that the others die for."""
    jobs = Jobs([[None], [DIED] * 5 + [ENDED]], slots=2, until=6)
    jobs.hand_out()

    assert jobs.submitted == [0, *[1] * 6]
    assert jobs.over == [0, 1]


def test_a_job_that_is_refused_ends_the_sweep_and_not_what_runs() -> None:
    jobs = Jobs([[None], [JobEnd(Fate.NOT_BEGUN, "no main")], [ENDED]], slots=2, until=2)
    with pytest.raises(SweepStoppedError, match="Job 1 could not be begun: no main"):
        jobs.hand_out()

    assert jobs.submitted == [0, 1]
    assert jobs.over == [0]
    assert jobs.killed is False


def test_workers_that_are_killed_before_main_end_no_sweep(project: Path) -> None:
    trial = Project(project)
    trial.write("""
    import signal
    from pathlib import Path
    if __name__ == "__mp_main__":
        died = len(list(Path().glob("died*")))
        if died < 6:
            Path(f"died{died}-{os.getpid()}").touch()
            os.kill(os.getpid(), signal.SIGKILL)

    @experiment.main
    def main(i: int = 0):
        return i
    """)
    trial.run("-m", "i=range(4)", "anew.sweep.workers=2")

    assert [job.result for job in trial.store.sweep(1).jobs] == [0, 1, 2, 3]
    assert len(list(trial.folder.glob("died*"))) >= 6
