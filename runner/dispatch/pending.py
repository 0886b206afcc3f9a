"""Deliver what observers have not got yet: after an outage, a crash, or from another machine."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any

from anew.runner.config.build import build_observer
from anew.runner.contracts import Observer
from anew.runner.dataclass import dataclass
from anew.runner.dispatch.apart import ApartStreams, belonging_to
from anew.runner.dispatch.delivery import BrokenObserverError, Delivery
from anew.runner.dispatch.observer_log import ObserverLog
from anew.runner.dispatch.outside import leads_out
from anew.runner.dispatch.permission import find_modules, permitted_spec
from anew.runner.dispatch.specs import RecordedObserver, is_own_record, read_specs
from anew.runner.errors import AnewError, UnavailableError
from anew.runner.format.redact import Redactor, secrets_in
from anew.runner.store.paths import RunLayout
from anew.runner.store.position import CursorFile, held, read_cursor
from anew.runner.store.run_folders import RunFolders
from anew.runner.store.stream import RunSource
from anew.runner.store.typed import as_typed

_TRIES = 3
_WAIT_S = 0.5
_GOING_S = 3.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Delivered:
    """
    What came of delivering to one observer of a run.

    Attributes:
        number: The run.
        observer: Its name.
        events: How many were delivered now.
        behind: How many are still to be delivered.
        aside: How many the observer could not take, in all.
        sink: What the observer calls the run.
        error: Why not all of it was delivered; empty when it was.
    """

    number: int
    observer: str
    events: int = 0
    behind: int = 0
    aside: int = 0
    sink: str = ""
    error: str = ""


def pending(store: RunFolders) -> Iterator[int]:
    """Yield the runs, oldest first, that observers have not all of. Raises StoreError."""
    for number in reversed(store.numbers()):
        layout = store.layout.run(number)
        if layout.observers.exists() and any(behind(layout, name) for name in read_specs(layout)):
            yield number


def behind(layout: RunLayout, name: str) -> int:
    """Return how many events an observer has not got. Raises StoreError, OSError."""
    return RunSource(layout, None).behind(read_cursor(layout.cursor(name)).done)


def drop(store: RunFolders, number: int, name: str) -> int:
    """
    Give up what an observer has not got of a run: it is none of the run's observers any more.

    Returns:
        How many events it will not get; 0 when there were none, or another process delivers them now.
    """
    layout = store.layout.run(number)
    waiting = behind(layout, name) if name in read_specs(layout) and not leads_out(layout) else 0
    if not waiting:
        return 0
    with held(layout, name) as mine:
        if not mine:
            return 0
        layout.spec(name).unlink(missing_ok=True)
        layout.cursor(name).unlink(missing_ok=True)
    return waiting


def deliver(
    store: RunFolders, number: int, changes: Mapping[str, Mapping[str, Any]], *, trusted: bool = False
) -> list[Delivered]:
    """
    Deliver to every observer of a run what is there. Safe beside a run that goes on, and beside others that do this.

    What is on record of an observer is built as `permission.permitted_spec` says; one that is left alone has the reason
    as its error.

    Args:
        store: The store.
        number: The run.
        changes: Observer -> settings that take the place of those on record, such as an URL with its password.
        trusted: The user's word for what is on record.

    Raises:
        StoreError: The run cannot be read, or its cursors not be written.
    """
    layout = store.layout.run(number)
    return [
        _deliver_recorded(store, number, observer, changes.get(observer.name, {}), trusted)
        for observer in read_specs(layout).values()
        if behind(layout, observer.name)
    ]


def _deliver_recorded(
    store: RunFolders, number: int, observer: RecordedObserver, typed: Mapping[str, Any], trusted: bool
) -> Delivered:
    layout, name = store.layout.run(number), observer.name
    try:
        record, again = RunSource(layout, number).record, as_typed(f"anew sync {number}", store.url)
        spec = permitted_spec(layout, observer, record, again=again, typed=typed, trusted=trusted)
    except AnewError as error:
        return Delivered(number=number, observer=name, behind=behind(layout, name), error=str(error))
    find_modules(layout, record, spec)
    build, secrets = partial(build_observer, name, spec), tuple(secrets_in(spec))
    with _in_folder(record.command.cwd if is_own_record(layout) else ""):
        return deliver_to(store, number, name, build, secrets=secrets)


@contextmanager
def _in_folder(folder: str) -> Iterator[None]:
    """Be where the run was, if that is there: relative paths of its observers mean what they meant in it."""
    before = os.getcwd()
    with suppress(OSError):
        os.chdir(folder or before)
    try:
        yield
    finally:
        os.chdir(before)


def deliver_to(
    store: RunFolders, number: int, name: str, build: Callable[[], Observer], *, secrets: tuple[str, ...] = ()
) -> Delivered:
    """Deliver to one observer of a run what is there; see `deliver`."""
    layout = store.present(number)
    if outside := leads_out(layout):
        return Delivered(number=number, observer=name, behind=behind(layout, name), error=outside)
    layout.observers.mkdir(exist_ok=True)
    redactor = Redactor.of_environment()
    redactor.learn(secrets)
    # the process beside a run that has just ended may be about to go
    with held(layout, name, wait_s=_GOING_S if layout.outcome.exists() else 0.0) as mine:
        if not mine:
            waiting = behind(layout, name)
            return Delivered(number=number, observer=name, behind=waiting, error="another process delivers it now")
        source = RunSource(layout, number)
        log, streams = ObserverLog(layout, name, redactor=redactor), ApartStreams(root_is_theirs=True)
        cursor = CursorFile(layout, name)
        delivery = Delivery(source, cursor, name=name, build=build, store=store, redactor=redactor, log=log)
        streams.begin()
        try:
            with belonging_to(log):
                try:
                    events, error = _deliver_all(delivery)
                finally:
                    delivery.close()
        finally:
            streams.end()
            log.close()
        return Delivered(
            number=number,
            observer=name,
            events=events,
            behind=source.behind(delivery.cursor.done),
            aside=delivery.cursor.aside,
            sink=delivery.cursor.sink,
            error=error,
        )


def _deliver_all(delivery: Delivery) -> tuple[int, str]:
    """Deliver until there is nothing more; return how many events that were, and what stopped it."""
    events = failures = 0
    while True:
        try:
            count = delivery.step()
        except UnavailableError as error:
            failures += 1
            if failures >= _TRIES:
                return events, str(error)
            time.sleep(_WAIT_S)
            continue
        except BrokenObserverError as error:
            return events, str(error)
        failures = 0
        if not count:
            return events, ""
        events += count
