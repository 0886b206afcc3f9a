"""The observers of one run, as the run's own process sees them: started, required, waited for, reported."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import field
from functools import partial
from typing import Any

from anew.runner.config.build import build_observer, observer_of
from anew.runner.dataclass import dataclass
from anew.runner.dispatch import link
from anew.runner.dispatch.apart import ApartStreams, aloud
from anew.runner.dispatch.host import Host, Task
from anew.runner.dispatch.permission import LeftAloneError, permitted_spec
from anew.runner.dispatch.specs import read_specs, write_spec
from anew.runner.errors import AnewError, ObserverRequiredError
from anew.runner.format.redact import Redactor
from anew.runner.settings import ObserverSettings
from anew.runner.store.paths import RunLayout
from anew.runner.store.position import read_cursor
from anew.runner.store.stream import RunSource
from anew.runner.store.typed import as_typed
from anew.runner.wording import sentence

REQUIRED_S = 5.0
_GRACE_S = 0.5
_LOOK_S = 0.1
# an observer in the run's own process has a tenth of a thread's time
_SHARE = 0.1


@dataclass(slots=True)
class _Follower:
    """One observer; `state` is "", "started", "failing", "done" or "left"."""

    name: str
    begin: Callable[[_Follower], None]
    end: Callable[[float], None] = lambda seconds: None
    required: bool = False
    beside: bool = False
    kept: bool = True
    state: str = ""
    error: str = ""
    told: str = ""
    refusal: str = ""
    sink: str = ""
    restarted: bool = False
    has_started: bool = False
    refused: bool = False
    is_over: threading.Event = field(default_factory=threading.Event)


class Followers:
    """
    Observers that follow one run. Safe in threads.

    Args:
        layout: The run's folder, its record written.
        chosen: Those configured.
        given: Those given in Python: name -> instance, class or function.
        drain_s: How long the end waits.
        redactor: Knows the secrets.
        say: Prints a line.
    """

    def __init__(
        self,
        layout: RunLayout,
        chosen: Sequence[ObserverSettings],
        given: Mapping[str, Any],
        *,
        drain_s: float,
        redactor: Redactor,
        say: Callable[[str], None],
    ) -> None:
        self._layout = layout
        self._chosen = chosen
        self._given = given
        self._drain_s = drain_s
        self._redactor = redactor
        self._say = say
        self._changed = threading.Condition()
        self._host: Host | None = None
        self._streams = ApartStreams(root_is_theirs=False)
        self._followers: list[_Follower] = []
        self._is_ending = False

    def start(self) -> None:
        """Have the run followed from its record on."""
        self._layout.observers.mkdir(exist_ok=True)
        for settings in self._chosen:
            write_spec(self._layout, settings, self._redactor)
            beside = settings.host == "process"
            begin = partial(self._beside, settings) if beside else partial(self._within, self._builder(settings))
            self._begin(_Follower(settings.name, begin, required=settings.required, beside=beside))
        for name, observer in self._given.items():
            self._begin(_Follower(name, partial(self._within, partial(observer_of, name, observer)), kept=False))

    def require(self) -> None:
        """
        Wait until every required observer has taken its first event.

        Raises:
            ObserverRequiredError: One of them did not, within 5 s.
        """
        deadline = time.monotonic() + REQUIRED_S
        for follower in self._followers:
            if not follower.required:
                continue
            with self._changed:
                while not (follower.has_started or follower.is_over.is_set()):
                    if not self._changed.wait(max(0.0, deadline - time.monotonic())):
                        break
            if not follower.has_started:
                follower.refused = True
                raise ObserverRequiredError(
                    f"The observer {follower.name!r} is required and did not take the start of the run within "
                    f"{REQUIRED_S:.0f} s: {follower.error or 'it did not answer'}. Nothing was run. To see what is "
                    f"wrong: anew check. To run without it: anew.observers.{follower.name}.required=false"
                )

    def finish(self, in_a_hurry: Callable[[], bool] = lambda: False) -> list[str]:
        """
        Wait until all is delivered, at most `drain_s`; return a sentence for each observer that has not all.

        One that was required and refused has had its time: in this process it gives up, and it is not waited for.

        Args:
            in_a_hurry: Asked while waiting; True ends it.
        """
        try:
            return self._finish(in_a_hurry)
        finally:
            self._streams.end()

    def _finish(self, in_a_hurry: Callable[[], bool]) -> list[str]:
        began = time.monotonic()
        self._is_ending = True
        for follower in self._followers:
            gives_up = follower.refused and not follower.beside
            follower.end(0.0 if gives_up else max(self._drain_s - _GRACE_S, self._drain_s / 2))
        for follower in self._followers:
            deadline = began + (_GRACE_S if follower.refused else self._drain_s)
            while not follower.is_over.is_set() and (rest := deadline - time.monotonic()) > 0 and not in_a_hurry():
                follower.is_over.wait(min(rest, _LOOK_S))
        return [sentence for follower in self._followers if (sentence := self._remains(follower))]

    @property
    def sinks(self) -> tuple[str, ...]:
        """What the observers that have all of the run call it, such as "mongo: run 17 in localhost:27017/anew"."""
        done = [follower for follower in self._followers if follower.state == "done"]
        return tuple(f"{each.name}: {each.sink}" if each.sink else each.name for each in done)

    # --- one observer -------------------------------------------------------------------------------------------

    def _begin(self, follower: _Follower) -> None:
        self._followers.append(follower)
        try:
            follower.begin(follower)
        except link.SidecarGoneError as error:
            self._take_message(
                follower, {"state": "left", "error": f"the process beside the run cannot be had: {error}"}
            )

    def _beside(self, settings: ObserverSettings, follower: _Follower) -> None:
        sidecar = link.shared()
        task = {
            "folder": str(self._layout.folder),
            "name": settings.name,
            "spec": settings.spec,
            "drain_s": self._drain_s,
            "secrets": self._redactor.secrets,
        }
        number = sidecar.follow(task, partial(self._take_message, follower))
        follower.end = partial(sidecar.finish, number)

    def _within(self, build: Callable[[], Any], follower: _Follower) -> None:
        if self._host is None:
            self._host = Host(lambda message: self._take_message(self._followers[message["id"]], message))
            self._streams.begin()
        number = len(self._followers) - 1
        task = Task(
            number=number,
            folder=self._layout.folder,
            name=follower.name,
            build=build,
            drain_s=self._drain_s,
            secrets=self._redactor.secrets,
            share=_SHARE,
        )
        follower.end = partial(self._host.finish, number)
        self._host.follow(task)

    def _builder(self, settings: ObserverSettings) -> Callable[[], Any]:
        return partial(build_observer, settings.name, settings.spec)

    def _take_message(self, follower: _Follower, message: Mapping[str, Any]) -> None:
        state = message["state"]
        if state == "gone":
            if follower.is_over.is_set():
                return
            if not follower.restarted:
                follower.restarted = True
                self._again(follower)
                return
            state, message = "left", {"error": "the process beside the run was killed"}
        news = ""
        with self._changed:
            error = str(message.get("error", ""))
            # of one that is required the run does not go on; whoever waits for it says why
            waits = follower.required and not follower.has_started
            if state == "refusing" and not follower.refusal:
                news = f"refuses what it is handed: {sentence(error)} The run goes on; in full: {self._logs(follower)}"
            if state == "failing" and not follower.error and not waits and error != follower.told:
                news = f"is behind: {sentence(error)} The run goes on, and it is tried again."
                follower.told = error
            # at the end of the run it is said anyway
            if message.get("broken") and not follower.required and not self._is_ending:
                news = f"gets nothing: {sentence(error)} The run goes on."
            if state == "refusing":
                follower.refusal = error
            else:
                follower.state, follower.error = state, error
            follower.sink = str(message.get("sink", ""))
            follower.has_started = follower.has_started or state in ("started", "done")
            if state in ("done", "left"):
                follower.is_over.set()
            self._changed.notify_all()
        if news:
            with aloud():
                self._say(f"the observer {follower.name!r} {news}")

    def _again(self, follower: _Follower) -> None:
        try:
            follower.begin(follower)
        except link.SidecarGoneError as error:
            self._take_message(follower, {"state": "left", "error": str(error)})

    def _logs(self, follower: _Follower) -> str:
        words = f"anew logs {self._layout.folder.name} --observer {follower.name}"
        return as_typed(words, self._layout.folder.parent)

    def _remains(self, follower: _Follower) -> str:
        cursor = read_cursor(self._layout.cursor(follower.name))
        if follower.state == "done":
            if not cursor.aside:
                return ""
            path = self._layout.aside(follower.name)
            return f"the observer {follower.name!r} could not take {cursor.aside} events; they are listed in {path}"
        error = follower.error or follower.refusal or ("it is slow" if follower.has_started else "it did not answer")
        source = RunSource(self._layout, None)
        behind = source.behind(cursor.done)
        how = f"To deliver them: {self._command(follower, source)}" if follower.kept else "They are in the record."
        return f"{behind} events are still to be delivered to {follower.name!r} ({error.rstrip('.')}). {how}"

    def _command(self, follower: _Follower, source: RunSource) -> str:
        """Return the command that delivers the rest, where need be with what the record alone does not allow."""
        again = as_typed(f"anew sync {self._layout.folder.name}", self._layout.folder.parent)
        try:
            permitted_spec(self._layout, read_specs(self._layout)[follower.name], source.record, again=again)
        except LeftAloneError as error:
            return str(error.fields["again"])
        except (AnewError, LookupError, OSError):
            pass  # whoever types it is told
        return again
