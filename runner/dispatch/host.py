"""Deliveries side by side, each in a thread of its own, until all is delivered or time is up."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import field
from pathlib import Path
from typing import Any

from anew.runner.contracts import Observer
from anew.runner.dataclass import dataclass
from anew.runner.dispatch.apart import belonging_to
from anew.runner.dispatch.delivery import Backoff, BrokenObserverError, Delivery, OutOfTimeError
from anew.runner.dispatch.observer_log import ObserverLog
from anew.runner.errors import UnavailableError
from anew.runner.format.redact import Redactor
from anew.runner.store.folder import FolderStore
from anew.runner.store.liveness import process_alive
from anew.runner.store.position import CursorFile, held
from anew.runner.store.stream import RunSource

POLL_S = 0.1
_LIVENESS_S = 1.0
# once nobody but the exit waits: a hiccup is outlasted, an outage is not waited for
_LAST_TRIES = 2
_LAST_TRIES_S = 1.5
_BETWEEN_LAST_TRIES_S = 0.3
_MOST_REST_S = 5.0
Tell = Callable[[Mapping[str, Any]], None]


@dataclass(slots=True)
class Task:
    """
    What is to be followed.

    Attributes:
        number: What the asker calls the task.
        folder: The run's folder, in a store.
        name: The observer's name.
        build: Makes it.
        drain_s: How long to go on after the end.
        finish: Set when the run has ended and somebody waits.
        deadline: On the monotonic clock: when nobody waits any more.
        share: Which part of a thread's time it may take while the run goes on.
    """

    number: int
    folder: Path
    name: str
    build: Callable[[], Observer]
    drain_s: float = 10.0
    secrets: tuple[str, ...] = ()
    finish: threading.Event = field(default_factory=threading.Event)
    deadline: float = float("inf")
    share: float = 1.0


class Host:
    """
    Follows runs for observers. Safe in threads.

    Args:
        tell: Called, from several threads, with what happens to a task: `{"id": ..., "state": ...}` where state is
            "started", "refusing" or "failing" (with "error"), "done" (with "aside") or "left" (with "error", and
            "broken" where trying again would not help).
    """

    def __init__(self, tell: Tell) -> None:
        self._tell = tell
        self._tasks: dict[int, Task] = {}
        self._threads: list[threading.Thread] = []

    def follow(self, task: Task) -> None:
        """Begin a task."""
        self._tasks[task.number] = task
        thread = threading.Thread(target=self._work, args=(task,), name=f"anew-{task.name}", daemon=True)
        self._threads = [each for each in self._threads if each.is_alive()]
        self._threads.append(thread)
        thread.start()

    def finish(self, number: int, seconds: float) -> None:
        """Say that a task's run has ended and that somebody waits so long."""
        task = self._tasks.get(number)
        if task is not None:
            task.deadline = time.monotonic() + seconds
            task.finish.set()

    def owner_gone(self) -> None:
        """Say that nobody listens any more; what is there is still delivered, as long as that may take after an end."""
        for task in list(self._tasks.values()):
            task.deadline = min(task.deadline, time.monotonic() + task.drain_s)
            task.finish.set()

    def join(self, grace_s: float) -> None:
        """Wait until every task is done or left, or *grace_s* longer than it may take."""
        until = max((task.deadline for task in list(self._tasks.values())), default=time.monotonic()) + grace_s
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))

    def _work(self, task: Task) -> None:
        try:
            with ExitStack() as stack:
                store = FolderStore.open(task.folder.parent)
                layout = store.layout.run(int(task.folder.name))
                if not stack.enter_context(held(layout, task.name)):
                    self._say(task, "left", error="it is delivered to by another process")
                    return
                source = RunSource(layout, int(task.folder.name))
                life = _Life(task, source)
                redactor = redactor_of(task.secrets)
                log = ObserverLog(layout, task.name, redactor=redactor)
                stack.callback(log.close)
                stack.enter_context(belonging_to(log))
                delivery = Delivery(
                    source,
                    CursorFile(layout, task.name),
                    name=task.name,
                    build=task.build,
                    store=store,
                    redactor=redactor,
                    log=log,
                    is_over=lambda: life.is_over,
                    tell=lambda error: self._say(task, "refusing", error=error),
                )
                stack.callback(delivery.close)
                self._deliver(task, delivery, life)
        except Exception as error:
            self._say(task, "left", error=f"{type(error).__name__}: {error}")
        finally:
            self._tasks.pop(task.number, None)

    def _deliver(self, task: Task, delivery: Delivery, life: _Life) -> None:
        backoff = Backoff()
        started = False
        last_tries, last_since = _LAST_TRIES, float("inf")
        while True:
            began = time.monotonic()
            try:
                count = delivery.step()
            except UnavailableError as error:
                backoff = backoff.longer()
                self._say(task, "failing", error=str(error))
                if task.finish.is_set() or not life.has_owner:
                    last_tries, last_since = last_tries - 1, min(last_since, began)
                had_enough = last_tries <= 0 and time.monotonic() - last_since > _LAST_TRIES_S
                if had_enough or life.is_over:
                    self._say(task, "left", error=str(error))
                    return
                task.finish.wait(backoff.seconds) if not task.finish.is_set() else time.sleep(_BETWEEN_LAST_TRIES_S)
                continue
            except OutOfTimeError:
                self._say(task, "left", error=delivery.cursor.error or "there was no time for the rest")
                return
            except BrokenObserverError as error:
                self._say(task, "left", error=str(error), broken=True)
                return
            backoff, last_tries, last_since = Backoff(), _LAST_TRIES, float("inf")
            if not started:
                started = True
                self._say(task, "started")
            if count:
                if task.share < 1 and not task.finish.is_set():
                    task.finish.wait(min(_MOST_REST_S, (time.monotonic() - began) * (1 / task.share - 1)))
                if life.is_over:
                    self._say(task, "left", error=delivery.cursor.error or "there was no time for the rest")
                    return
                continue
            if delivery.cursor.done.ended:
                delivery.close()
                self._say(task, "done", aside=delivery.cursor.aside, sink=delivery.cursor.sink)
                return
            if life.is_over or (not life.has_owner and not delivery.source.has_ended):
                # killed: nobody will write an outcome, and all that was written has been delivered
                self._say(task, "left", error="the run has not ended")
                return
            task.finish.wait(POLL_S) if not task.finish.is_set() else time.sleep(0.01)

    def _say(self, task: Task, state: str, **more: Any) -> None:
        self._tell({"id": task.number, "name": task.name, "state": state, **more})


class _Life:
    """Whether there is still a reason to go on with a task: its run goes on, somebody waits, or time is left."""

    def __init__(self, task: Task, source: RunSource) -> None:
        self._task = task
        self._process = source.record.process
        self._looked = time.monotonic()
        self.has_owner = True

    @property
    def is_over(self) -> bool:
        """Whether time is up. The death of the run's process is noticed here, and gives a last delay."""
        now = time.monotonic()
        if self.has_owner and now - self._looked > _LIVENESS_S:
            self._looked = now
            if self._process is not None and process_alive(self._process) is False:
                self.has_owner = False
                self._task.deadline = min(self._task.deadline, now + self._task.drain_s)
        return now > self._task.deadline


def redactor_of(secrets: tuple[str, ...]) -> Redactor:
    redactor = Redactor.of_environment()
    redactor.learn(secrets)
    return redactor
