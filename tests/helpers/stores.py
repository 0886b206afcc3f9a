"""Stores with runs in them, made without running anything."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from anew.runner import events as ev
from anew.runner.attached.media import Histogram
from anew.runner.format import ids, serial
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
from anew.runner.store import liveness
from anew.runner.store.folder import FolderStore
from anew.runner.store.journal import JournalWriter
from anew.runner.store.output_sums import seal_output


def make_store(folder: Path) -> FolderStore:
    """Return a new store."""
    return FolderStore.open(folder, create=True)


def add_run(
    store: FolderStore,
    *,
    config: Mapping[str, Any] | None = None,
    metrics: Mapping[str, Sequence[float | int]] | None = None,
    status: Status | None = Status.COMPLETED,
    result: Any = None,
    output: str = "",
    source: Mapping[str, str] | None = None,
    artifacts: Mapping[str, bytes] | None = None,
    histograms: Mapping[str, Sequence[Histogram]] | None = None,
    packages: Mapping[str, str] | None = None,
    tags: Sequence[str] = (),
    minutes_ago: float = 5,
    **changes: Any,
) -> int:
    """Write one run as a recorder does; without a status it is going on, in this process. Return its number."""
    number, layout = store.claim()
    started = datetime.now(timezone.utc) - timedelta(minutes=minutes_ago)
    files = tuple(
        ContentRef(path=path, sha256=store.objects.put_bytes(text.encode()), size=len(text.encode()), mode=0o644)
        for path, text in (source or {}).items()
    )
    record = RunRecord(
        uid=ids.new_uid(),
        id=number,
        experiment=changes.pop("experiment", "digits"),
        started_at=started,
        command=CommandFacts(argv=("train.py",), cwd="/project"),
        config=config or {},
        seed=1,
        seeds=SeedFacts(root=1),
        source=SourceFacts(root="/project", files=files, git=changes.pop("git", None)),
        environment=EnvironmentFacts(python="3.11.7", packages=packages or {"numpy": "2.0"}),
        hardware=HardwareFacts(hostname="host", os="Linux"),
        process=liveness.process_facts(),
        tags=tuple(tags),
        **changes,
    )
    store.start(number, record, views={"config.yaml": "x: 1\n"})
    ticks = iter(range(1_000_000))
    journal = JournalWriter(layout.journal("main"), clock=lambda: float(next(ticks)))
    for name, values in (metrics or {}).items():
        for step, value in enumerate(values):
            journal.log({name: value}, step)
    for name, data in (artifacts or {}).items():
        artifact = ContentRef(path=name, sha256=store.objects.put_bytes(data), size=len(data))
        journal.append(*serial.body(ev.ArtifactAdded, artifact=artifact))
    for name, those in (histograms or {}).items():
        for step, each in enumerate(those):
            journal.append(*serial.body(ev.HistogramsLogged, step=step, values={name: each}))
    journal.close()
    if output:
        layout.output.write_text(output)
        seal_output(layout, is_closed=True)
    if status is not None:
        failed = ErrorFacts(type="ValueError", message="boom", traceback="Traceback:\nValueError: boom\n")
        store.finish(
            number,
            ev.RunEnded(
                uid=record.uid,
                writer="outcome",
                q=0,
                t=12.5,
                status=status,
                ended_at=started + timedelta(seconds=12.5),
                duration_s=12.5,
                result=result,
                error=failed if status is Status.FAILED else None,
                exit_code=1 if status is Status.FAILED else 0,
                output_bytes=len(output.encode()) or None,
                output_sealed=len(output.encode()) or None,
            ),
        )
    return number
