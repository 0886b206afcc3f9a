"""The suite: what comes once, twice, midway or in batches has to leave the same."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pytest

from anew.runner import events as ev
from anew.runner.contracts import Batching, Beginning, Observer
from anew.runner.dataclass import dataclass
from anew.runner.records import Status
from anew.runner.testing.sample import ARTIFACT, Sample, sample_run

ENDINGS = (Status.COMPLETED, Status.FAILED, Status.INTERRUPTED)


@dataclass(frozen=True, kw_only=True, slots=True)
class FromTheFuture(ev.Event):
    """An event of a kind that a later version may have."""

    what: str = "news"


class ObserverContract:
    """
    Subclass it, with a name that pytest collects, and say how an observer is made and how its sink is read.

    Attributes:
        folder: A fresh folder for each test.
        sample: A recorded run, and its store.
    """

    folder: Path
    sample: Sample

    @pytest.fixture(autouse=True)
    def _prepared(self, tmp_path: Path) -> None:
        self.folder = tmp_path / "sink"
        self.folder.mkdir()
        self.sample = sample_run(tmp_path / "runs")

    # --- to be said by subclasses ---------------------------------------------------------------------------------

    def make_observer(self) -> Observer:
        """Return a new observer, for the sink of this test."""
        raise NotImplementedError("say how the observer is made: def make_observer(self)")

    def points(self, uid: str) -> dict[str, list[tuple[int, float]]] | None:
        """Return the metrics of a run in the sink: name -> (step, value) in logging order; None: cannot be read."""
        return None

    def status(self, uid: str) -> str | None:
        """Return the status of a run in the sink; None: cannot be read."""
        return None

    def output(self, uid: str) -> str | None:
        """Return the captured output of a run in the sink; None: cannot be read, or is not kept."""
        return None

    def artifact(self, uid: str, name: str) -> bytes | None:
        """Return the content of an artifact in the sink; None: cannot be read, or is not kept."""
        return None

    def snapshot(self, uid: str) -> Any:
        """Return whatever has to be the same however often and in whatever pieces a run was delivered."""
        return (_told(self.points(uid)), self.status(uid), self.output(uid))

    # --- delivering -----------------------------------------------------------------------------------------------

    def deliver(self, sample: Sample, events: Iterable[ev.Event] | None = None, *, at_once: bool = False) -> None:
        """Deliver events as anew does: an instance of its own, the store, the start first, then the rest."""
        observer = self.make_observer()
        try:
            if isinstance(observer, Beginning):
                observer.begin(sample.store)
            observer.handle(sample.events[0])
            rest = list(sample.events[1:] if events is None else events)
            if at_once and isinstance(observer, Batching):
                observer.handle_many(rest)
            else:
                for event in rest:
                    observer.handle(event)
        finally:
            observer.close()

    def another(self, ending: Status = Status.COMPLETED) -> Sample:
        """Return another run."""
        return sample_run(self.folder.parent / f"runs-{ending.value}", ending)

    # --- the tests ------------------------------------------------------------------------------------------------

    def test_it_is_an_observer(self) -> None:
        observer = self.make_observer()
        assert isinstance(observer, Observer)
        observer.close()

    @pytest.mark.parametrize("ending", ENDINGS)
    def test_every_kind_of_event_is_taken(self, ending: Status) -> None:
        sample = self.another(ending)
        self.deliver(sample)
        self.assert_complete(sample, ending)

    def test_many_at_a_time_leave_the_same(self) -> None:
        self.deliver(self.sample, at_once=True)
        self.assert_complete(self.sample, Status.COMPLETED)

    def test_a_repeat_of_everything_leaves_the_same(self) -> None:
        self.deliver(self.sample)
        once = self.snapshot(self.sample.record.uid)
        self.deliver(self.sample)
        assert self.snapshot(self.sample.record.uid) == once

    @pytest.mark.parametrize("at_once", [False, True])
    @pytest.mark.parametrize("cut", [0.2, 0.5, 0.9])
    def test_a_new_instance_goes_on_midway_with_the_latest_once_more(self, cut: float, at_once: bool) -> None:
        events = self.sample.events[1:]
        place = int(len(events) * cut)
        self.deliver(self.sample, events[:place], at_once=at_once)
        self.deliver(self.sample, events[max(0, place - 3) :], at_once=at_once)
        self.assert_complete(self.sample, Status.COMPLETED)

    def test_two_runs_stay_apart(self) -> None:
        other = self.another(Status.FAILED)
        self.deliver(self.sample)
        self.deliver(other)
        self.assert_complete(self.sample, Status.COMPLETED)
        self.assert_complete(other, Status.FAILED)

    def test_what_comes_after_the_end_is_taken(self) -> None:
        self.deliver(self.sample)
        before = _told(self.points(self.sample.record.uid))
        tagged = ev.TagsChanged(uid=self.sample.record.uid, writer="curate-1", q=1, t=99.0, added=("late",))
        self.deliver(self.sample, [tagged])
        assert _told(self.points(self.sample.record.uid)) == before
        assert self.status(self.sample.record.uid) in (None, "COMPLETED")

    def test_an_event_of_an_unknown_kind_is_passed_over(self) -> None:
        news = FromTheFuture(uid=self.sample.record.uid, writer="main", q=500, t=5.0)
        *events, ended = self.sample.events[1:]
        self.deliver(self.sample, [*events, news, ended])
        self.assert_complete(self.sample, Status.COMPLETED)

    def test_it_can_be_closed_before_anything_came(self) -> None:
        self.make_observer().close()

    def test_nothing_is_printed(self, capfd: pytest.CaptureFixture[str]) -> None:
        self.deliver(self.sample)
        assert capfd.readouterr().out == ""

    # --- comparing ------------------------------------------------------------------------------------------------

    def assert_complete(self, sample: Sample, ending: Status) -> None:
        """Compare what can be read back with what happened."""
        uid = sample.record.uid
        points = self.points(uid)
        if points is not None:
            assert _told(points) == _told(sample.points)
        assert self.status(uid) in (None, ending.value)
        assert self.output(uid) in (None, sample.output)
        assert self.artifact(uid, "out/model.bin") in (None, ARTIFACT)


def _told(points: dict[str, Sequence[tuple[int, float | int]]] | Any | None) -> Any:
    """Return points so that they can be compared: NaN is NaN, and an int that a sink keeps as a float is that float."""
    if points is None:
        return None
    return {
        name: [(step, "nan" if math.isnan(float(value)) else float(value)) for step, value in series]
        for name, series in points.items()
    }
