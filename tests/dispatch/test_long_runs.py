"""What an observer has not got of a long run comes to it in time that grows with what that is."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from anew.runner import events as ev
from anew.runner.dispatch.pending import deliver_to
from anew.runner.store import journal_forms, lines, stream
from anew.runner.store.journal import JournalWriter
from anew.runner.store.position import CursorFile, Position
from anew.runner.store.stream import RunSource
from tests.helpers.stores import add_run, make_store

POINTS = 6000


class OneByOne:
    """Takes events, and remembers them."""

    def __init__(self) -> None:
        self.seen: list[ev.Event] = []

    def handle(self, event: ev.Event, /) -> None:
        self.seen.append(event)

    def close(self) -> None:
        pass


def test_a_quick_observer_costs_a_look_at_the_journal_now_and_then_and_not_for_every_few_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = make_store(tmp_path / "runs")
    number = add_run(store, metrics={"loss": [float(step) for step in range(POINTS)]})
    calls: Counter[str] = Counter()

    def opened(path: Path, **options: Any) -> Any:
        calls["opened"] += 1
        return journal_forms.open_journal(path, **options)

    save = CursorFile.save

    def saved(self: CursorFile, **changes: Any) -> None:
        calls["saved"] += 1
        save(self, **changes)

    for module in (lines, stream):
        monkeypatch.setattr(module, "open_journal", opened)
    monkeypatch.setattr(CursorFile, "save", saved)
    observer = OneByOne()
    done = deliver_to(store, number, "mine", lambda: observer)

    assert (done.behind, done.error) == (0, "")
    assert [event.step for event in observer.seen if isinstance(event, ev.MetricsLogged)] == [*range(POINTS)]
    assert calls["opened"] < 12
    assert calls["saved"] < 40


@pytest.mark.parametrize("most_bytes", [1, 500, 4096, 1 << 19])
def test_batches_of_any_length_come_to_the_same_while_the_run_goes_on(most_bytes: int, tmp_path: Path) -> None:
    store = make_store(tmp_path / "runs")
    layout = store.layout.run(add_run(store, metrics={"loss": [0.0] * 40}, status=None))
    journal = JournalWriter(layout.journal("child"), clock=lambda: 1.0)
    source, again, position, found = (
        RunSource(layout, 1),
        RunSource(layout, 1),
        Position(started=True),
        list[ev.Event](),
    )
    for step in range(200):
        if step < 60:
            journal.log({"acc": 1.0}, step)
        batch = source.next(position, most_bytes=most_bytes)
        assert again.next(position, batch.after).events == batch.events
        found += batch.events
        position = batch.after
    journal.close()
    whole = RunSource(layout, 1).next(Position(started=True)).events
    assert sorted((each.writer, each.q) for each in found) == sorted((each.writer, each.q) for each in whole)
    assert len(found) == 100
