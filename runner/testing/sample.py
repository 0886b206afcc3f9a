"""A recorded run with everything in it that observers and stores have to cope with."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from anew.runner import events as ev
from anew.runner.attached.comments import Comment
from anew.runner.attached.media import Histogram
from anew.runner.dataclass import dataclass
from anew.runner.format import ids, serial
from anew.runner.format.replay import replay
from anew.runner.records import (
    CommandFacts,
    ContentRef,
    EnvironmentFacts,
    ErrorFacts,
    HardwareFacts,
    RunRecord,
    SeedFacts,
    SourceFacts,
    Status,
)
from anew.runner.store.folder import FolderStore
from anew.runner.store.journal import JournalWriter
from anew.runner.store.paths import RunLayout

ARTIFACT = b"weights" * 1000
# one pixel, as PNG
PICTURE = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108000000003a7e9b550000000a49444154789c6360000000020001e221bc33"
    "0000000049454e44ae426082"
)
_HISTOGRAM = Histogram(low=-1.5, high=2.0, counts=(3, 0, 2**40), mean=0.25, std=1e-300, nans=1, infinities=2)
STEPS = (0, 1, 2, 2, 1, 7, -3)
LOSSES = (1.0, 0.5, math.nan, math.inf, -0.0, 0.1, 1e-300)


@dataclass(frozen=True, kw_only=True, slots=True)
class Sample:
    """
    A run and its store.

    Attributes:
        store: Holds the content that the events refer to.
        record: As it was at the start.
        events: All of them in order, the start first and the end last.
        final: The record as it is after them.
        points: Name -> (step, value), in logging order.
        output: What was printed, as it is at last.
    """

    store: FolderStore
    record: RunRecord
    events: tuple[ev.Event, ...]
    final: RunRecord
    points: dict[str, list[tuple[int, float | int]]]
    output: str


def sample_run(folder: Path, ending: Status = Status.COMPLETED) -> Sample:
    """
    Return a run: two writers, numbers of all kinds, steps that repeat and go back, output that is rewritten.

    Args:
        folder: For a new store.
        ending: COMPLETED, FAILED or INTERRUPTED.
    """
    return sample_in(FolderStore.open(folder, create=True), ending)


def sample_in(store: FolderStore, ending: Status | None, **changes: Any) -> Sample:
    """
    Return a run as `sample_run` does, in a store that is there; its start is written, its events are not.

    Args:
        store: The store.
        ending: COMPLETED, FAILED or INTERRUPTED; None for a run that has not ended.
        changes: Members of the record that are to be others.
    """
    number, _ = store.claim()
    source = ContentRef(path="train.py", sha256=store.objects.put_bytes(b"print('hi')\n"), size=12)
    record = replace(_record(number, source), **changes)
    artifact = ContentRef(path="out/model.bin", sha256=store.objects.put_bytes(ARTIFACT), size=len(ARTIFACT))
    store.start(number, record)
    picture = ContentRef(path="samples/2.png", sha256=store.objects.put_bytes(PICTURE), size=len(PICTURE))
    events = tuple(_events(record, artifact, picture, ending))
    points: dict[str, list[tuple[int, float | int]]] = {}
    for event in events:
        if isinstance(event, ev.MetricsLogged):
            for name, value in event.values.items():
                points.setdefault(name, []).append((event.step, value))
    return Sample(
        store=store,
        record=record,
        events=events,
        final=replay(record, events[1:]),
        points=points,
        output="epoch 1\nepoch 2 \u2713\n",
    )


def write_down(sample: Sample) -> None:
    """Write a sample's events into its store, as a recorder does."""
    number = sample.record.id or 0
    layout = sample.store.layout.run(number)
    layout.output.write_text(sample.output, encoding="utf-8")
    for writer in dict.fromkeys(event.writer for event in sample.events):
        _write_journal(layout, writer, [event for event in sample.events if event.writer == writer])
    for event in sample.events:
        if isinstance(event, ev.RunEnded):
            sample.store.finish(number, event)


def _write_journal(layout: RunLayout, writer: str, events: Sequence[ev.Event]) -> None:
    kept = [event for event in events if serial.has_entry(event)]
    if not kept:
        return
    now = 0.0
    journal = JournalWriter(layout.journal(writer), clock=lambda: now)
    for event in kept:
        now = event.t
        if isinstance(event, ev.MetricsLogged):
            journal.log(event.values, event.step)
        else:
            journal.append(*serial.event_to_body(event))
    journal.close()


def _record(number: int, source: ContentRef) -> RunRecord:
    return RunRecord(
        uid=ids.new_uid(),
        id=number,
        experiment="sample",
        started_at=datetime.now(timezone.utc) - timedelta(seconds=30),
        command=CommandFacts(argv=("train.py", "lr=0.1"), cwd="/project", target="train.py", function="train:main"),
        config={"lr": 0.1, "model": {"name": "mlp", "sizes": [8, 8]}, "odd.$key": None, "seed": 7},
        overrides=("lr=0.1",),
        seed=7,
        seeds=SeedFacts(root=7),
        source=SourceFacts(root="/project", files=(source,)),
        environment=EnvironmentFacts(python="3.11.7", packages={"numpy": "2.0"}),
        hardware=HardwareFacts(hostname="node1", os="Linux 6.1 x86_64"),
        tags=("first",),
        note="a sample",
    )


class _Writer:
    """Numbers the events of one writer."""

    def __init__(self, uid: str, name: str) -> None:
        self._uid, self._name, self._q = uid, name, 0

    def __call__(self, kind: type[ev.Event], t: float, **values: object) -> ev.Event:
        self._q += 1
        return kind(uid=self._uid, writer=self._name, q=self._q, t=t, **values)


def _events(record: RunRecord, artifact: ContentRef, picture: ContentRef, ending: Status | None) -> list[ev.Event]:
    main, child, output = (_Writer(record.uid, name) for name in ("main", f"p7-{ids.new_uid()}", "output"))
    events: list[ev.Event] = [ev.RunStarted(uid=record.uid, writer="run", q=0, t=0.0, record=record)]
    events.append(main(ev.SeedsSet, 0.01, seeded={"python": 7}))
    events += [
        main(ev.MetricsLogged, 0.1 + index / 100, step=step, values={"loss": loss, "train/acc": index})
        for index, (step, loss) in enumerate(zip(STEPS, LOSSES, strict=True))
    ]
    events += [
        output(ev.OutputCaptured, 0.2, offset=0, text="epoch 1\n"),
        output(ev.OutputCaptured, 0.25, offset=8, text="epoch 2 ..."),
        output(ev.OutputCaptured, 0.3, offset=8, text="epoch 2 \u2713\n"),
        child(ev.MetricsLogged, 0.35, step=1, values={"odd.$näme": 2**70, "with,comma": -(2**63)}),
        main(ev.InfoSet, 0.4, values={"best": {"epoch": 3}}),
        main(ev.InfoSet, 0.41, values={"best": {"acc": 0.9}, "a.b": {"$c": [1, math.nan]}}),
        main(ev.ArtifactAdded, 0.5, artifact=artifact),
        main(ev.ArtifactAdded, 0.505, artifact=picture, form="image", series="samples", step=2),
        main(ev.HistogramsLogged, 0.506, step=2, values={"odd.$w": _HISTOGRAM}),
        main(ev.InputUsed, 0.51, input=ContentRef(path="/data/x.csv", sha256="0" * 64, size=3, kept=False)),
        main(ev.TagsChanged, 0.6, added=("second",), removed=("first",)),
        main(ev.NoteSet, 0.61, text="noted"),
        main(ev.Commented, 0.612, comment=Comment(text="so\nfar", by="me", at=record.started_at)),
        main(ev.ModulesImported, 0.615, names=("numpy",), libraries={"blas": "openblas 0.3"}),
        main(ev.ViewsMade, 0.616, sums={"files/.hydra/config.yaml": "0badcafe"}),
        *([main(ev.ToldToStop, 0.617, asked=4, step=3)] if ending is Status.INTERRUPTED else []),
        main(ev.Warned, 0.62, text="mind the step"),
        main(ev.Heartbeat, 10.0),
    ]
    if ending is None:
        return events
    error = None
    if ending is Status.FAILED:
        error = ErrorFacts(type="ValueError", message="diverged", traceback="Traceback ...\nValueError: diverged\n")
    ended = ev.RunEnded(
        uid=record.uid,
        writer="outcome",
        q=0,
        t=12.5,
        status=ending,
        ended_at=record.started_at + timedelta(seconds=12.5),
        duration_s=12.5,
        result={"acc": 0.9} if ending is Status.COMPLETED else None,
        error=error,
        signal="SIGINT" if ending is Status.INTERRUPTED else None,
        exit_code={Status.COMPLETED: 0, Status.FAILED: 1}.get(ending, 130),
    )
    return [*events, ended]
