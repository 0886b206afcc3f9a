"""The life of a run: capture, start, call, finish. The one `try` around user code is here."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

from anew.runner.capture.loaded import one_look
from anew.runner.capture.output import OutputCapture
from anew.runner.capture.system import SystemSampler
from anew.runner.config.main import ComposedJob
from anew.runner.dispatch.apart import log_of
from anew.runner.events import RunEnded
from anew.runner.guard import reserve
from anew.runner.guard.watch import Guard, Watch
from anew.runner.lazy.modules import later
from anew.runner.records import FORMAT
from anew.runner.run.autologged import Autologged
from anew.runner.run.beginning import Beginning, capture_beginning
from anew.runner.run.children import Children
from anew.runner.run.conclusion import Outcome
from anew.runner.run.current import RUN_VARIABLE
from anew.runner.run.enclosing import inner
from anew.runner.run.handle import Run
from anew.runner.run.interpreters import Interpreters
from anew.runner.run.matched import MatchedArtifacts
from anew.runner.run.noticing import NoticedInputs
from anew.runner.run.origin import Claim, Origin
from anew.runner.run.parts import (
    AddedSource,
    Announcement,
    Course,
    Following,
    Imports,
    MadeViews,
    Part,
    Presence,
    Record,
    Result,
    SameResults,
    Seeding,
    ThreadFailures,
    unwind,
)
from anew.runner.run.printed import PrintedMetrics
from anew.runner.run.pulse import LEAST_BEAT_S, Pulse
from anew.runner.run.recorder import SECRETS_VARIABLE, Recorder
from anew.runner.run.stopping import ended_itself
from anew.runner.store.known import Known
from anew.runner.wording import say

if TYPE_CHECKING:
    from anew.runner.dispatch.follow import Followers
    from anew.runner.run import summaries
else:
    summaries = later("anew.runner.run.summaries")

# what is run by `anew run`, without a line for that in it
_UNCHANGED = ("program", "command", "notebook")

TellEnd = Callable[[RunEnded | None, Known | None], object]


def execute(
    job: ComposedJob,
    claim: Claim,
    origin: Origin,
    call: Callable[[Run], Any],
    tell_end: TellEnd = lambda ended, known: None,
) -> Any:
    """
    Record *call* as one run and return what it returns.

    Whatever *call* raises is recorded and raised again. The status is INTERRUPTED after SIGINT or SIGTERM, FAILED after
    another exception or an exit with a code other than 0, else COMPLETED: FAILED, too, when main returned and something
    of the run could not be recorded (`anew.on_loss`). What raises `optuna.TrialPruned` has completed, and is
    pruned. *tell_end* is called with what is on record of its end, and with all that is known to be on record.

    Raises:
        UnkeptError: That is so, or the outcome could not be written.
        AnewError: The run could not be started; nothing of it is left.
        ObserverRequiredError: An observer refused that must not; the run is on record, as FAILED.
    """
    life: Life | None = None
    course = Course()
    process = os.getpid()
    try:
        with one_look():
            life = Life(capture_beginning(job, claim, origin), course)
            life.start()
        course.called = True
        course.result = _called(call, life.run)
        return course.result
    except BaseException as error:
        if life is None or not (course.called and ended_itself(error)) or os.getpid() != process:
            course.failure = error
            raise
        life.run.stopping.give_up()
        # whoever called main from Python, such as a study of Optuna's, is told; a command has done what it should
        if origin.command.entry in ("call", "cells") and claim.sweep is None:
            raise
        return None
    finally:
        # a forked child that falls out of main is not the run, and must not end it
        if os.getpid() == process:
            _conclude(life, course, claim, tell_end)


def _called(call: Callable[[Run], Any], run: Run) -> Any:
    """Call main; what it has begun and not ended ends with it, by what it raised."""
    count, process = len(inner.ends), os.getpid()
    failure: BaseException | None = None
    try:
        return call(run)
    except BaseException as error:
        failure = error
        raise
    finally:
        if os.getpid() == process:
            inner.end_since(count, failure)
        # its traceback leads here
        del failure


class Begun:
    """
    A run whose main is no function: what comes between its making and `end`, in the thread that does both.

    Args:
        job, claim, origin: As for `execute`; the job's call is not used.

    Raises:
        Exception: As `execute` before main is called.
    """

    def __init__(self, job: ComposedJob, claim: Claim, origin: Origin, tell_end: TellEnd) -> None:
        self._claim = claim
        self._tell_end = tell_end
        self._course = Course()
        self._life: Life | None = None
        try:
            with one_look():
                self._life = Life(capture_beginning(job, claim, origin), self._course)
                self._life.start()
            self._course.called = True
            self.run = self._life.run
        except BaseException as error:
            self._course.failure = error
            self.end(error)
            raise

    def end(self, failure: BaseException | None) -> None:
        """
        End it, as `execute` does when main raised *failure*, or returned.

        Raises:
            UnkeptError: As for `execute`.
        """
        self._course.failure = failure
        if failure is not None and self._course.called and ended_itself(failure):
            self.run.stopping.give_up()
            self._course.failure = None
        _conclude(self._life, self._course, self._claim, self._tell_end)


def _conclude(life: Life | None, course: Course, claim: Claim, tell_end: TellEnd) -> None:
    """Stop what was started, and tell how it ended."""
    try:
        _end(life)
    finally:
        # what a Ctrl-C broke off that came before the end, or between the ends of two parts; else nothing
        _end(life)
        tell_end(course.ended, life.known if life is not None else None)
        # gives the number back, where no record came to be
        if not course.called:
            claim.store.abandon(claim.number)


def _end(life: Life | None) -> None:
    if life is not None:
        life.end()


class Life:
    """
    One run while it goes on. Making one begins nothing.

    Args:
        beginning: What is known of it.
        course: Takes how it goes.
    """

    def __init__(self, beginning: Beginning, course: Course) -> None:
        self._beginning = beginning
        self._course = course
        claim = beginning.claim
        settings, record, redactor = claim.settings, beginning.record, beginning.redactor
        self._guard = Guard.shared()
        self._files_limit = reserve.files_limit()
        template = {"format": FORMAT, "uid": record.uid}
        self._watch = Watch(
            self._guard,
            claim.layout.outcome,
            template,
            started_at=record.started_at,
            beat_s=max(settings.heartbeat_s, LEAST_BEAT_S),
            orders=claim.orders,
        )
        self._recorder = Recorder(
            claim.layout,
            record.uid,
            began_s=beginning.began_s,
            durability_ms=settings.durability_ms,
            redactor=redactor,
            make_folder=beginning.output.make if beginning.output is not None else None,
        )
        self._followers = self._make_followers()
        self.run = Run(
            self._recorder,
            number=claim.number,
            seed=record.seed,
            objects=claim.store.objects,
            places=beginning.origin.places,
            inputs=settings.inputs,
        )
        self._parts = self._list_parts()

    def start(self) -> None:
        """
        Start the parts, the record among them.

        Raises:
            StoreError: The store cannot be written.
            ObserverRequiredError: A required observer did not take its first event.
        """
        for part in self._parts:
            part.start()
        if self._followers is not None:
            self._followers.require()

    def end(self) -> None:
        """
        Stop what was started and write the outcome; raise what broke that off. Does nothing when all is stopped.

        Raises:
            UnkeptError: Main returned, and not all of the run is on record, or no outcome.
        """
        if not self._parts:
            return
        self._watch.mark_done()
        with reserve.enough_files(self._files_limit), one_look():
            unwind(self._parts, self._course, self._recorder)
        # its traceback leads here, and to all that main had: a circle that would keep that in memory for a while
        self._course.failure = None
        if self._course.interrupt is not None:
            raise self._course.interrupt
        if self._course.unkept is not None:
            raise self._course.unkept

    @property
    def known(self) -> Known | None:
        """What is on record of the run, once it has ended; None where that is not known for certain."""
        ended, told = self._course.ended, self._recorder.told
        if ended is None or told is None or self._course.losses or self._beginning.claim.sweep is not None:
            return None
        return Known(self._beginning.data, ended, told)

    def _list_parts(self) -> list[Part]:
        """Return the parts in the order in which they are started; they are stopped in the other one."""
        beginning, course, recorder, watch = self._beginning, self._course, self._recorder, self._watch
        followers, capture, entry = self._followers, self._make_capture(), beginning.record.command.entry
        noticed = NoticedInputs(beginning, recorder, self.run) if beginning.claim.settings.inputs.notice else None
        parts: list[Part] = [
            watch,  # stopped last of all: a signal that has waited acts then; no record is there without it
            Record(beginning),
            Announcement(beginning, course, followers, lambda: self.run.stopping.is_due),
            *([Following(followers, watch, course)] if followers is not None else []),
            Outcome(beginning, course, watch, recorder, capture),
            recorder,
            *([MadeViews(beginning.output, recorder)] if beginning.output is not None else []),
            Result(course, recorder),
            *self._list_printed(),
            capture,
            AddedSource(beginning, recorder),
            Imports(recorder),
            *self._list_matched(),
            *self._list_summaries(noticed),
            SameResults(beginning, recorder),
            Seeding(beginning, recorder),
            *([noticed] if noticed is not None else []),
            self._make_pulse(),
            ThreadFailures(recorder),
            Autologged(beginning.claim.settings.autolog, self.run),
            Presence(self.run, beginning.handed_down),
            Children(self._variables_of_children(), noticed.opened if noticed is not None else None),
            Interpreters(recorder, is_noticed=noticed is not None, is_unchanged=entry in _UNCHANGED),
        ]
        return parts

    def _list_printed(self) -> list[Part]:
        """Return what reads metrics from the output, where that is wanted: to its end, which the capture's is."""
        claim = self._beginning.claim
        if not claim.settings.output.metrics:
            return []
        return [PrintedMetrics(self._recorder, claim.layout.output, claim.settings.output)]

    def _list_matched(self) -> list[Part]:
        """Return what has files become artifacts, where that is wanted."""
        patterns = self._beginning.claim.settings.artifacts
        return [MatchedArtifacts(patterns, self.run)] if patterns else []

    def _list_summaries(self, noticed: NoticedInputs | None) -> list[Part]:
        """Return what reads metrics from event files, where that is wanted."""
        wanted = self._beginning.claim.settings.tensorboard
        if wanted is None:
            wanted = self._beginning.record.command.entry in _UNCHANGED
        if not wanted:
            return []
        apart: Callable[[], AbstractContextManager[None]] = nullcontext
        if noticed is not None:
            apart = noticed.opened.undisturbed
        return [summaries.Summaries(self._recorder, self._beginning.claim.store.root, apart)]

    def _variables_of_children(self) -> dict[str, str]:
        beginning = self._beginning
        secrets = {SECRETS_VARIABLE: beginning.handed_down} if beginning.handed_down else {}
        return {RUN_VARIABLE: str(beginning.claim.layout.folder), **secrets}

    def _make_followers(self) -> Followers | None:
        claim, given = self._beginning.claim, self._beginning.origin.observers
        if not claim.settings.observers and not given:
            return None
        # not at the top: a run without observers is not to wait for what delivers to them, some 5 ms
        from anew.runner.dispatch.follow import Followers

        return Followers(
            claim.layout,
            claim.settings.observers,
            given,
            drain_s=claim.settings.drain_s,
            redactor=self._beginning.redactor,
            say=say,
        )

    def _make_capture(self) -> OutputCapture:
        claim = self._beginning.claim
        return OutputCapture(
            claim.layout.output,
            mode=claim.settings.output.mode,
            limit_bytes=claim.settings.output.limit_bytes,
            guard=self._guard,
            secrets=self._beginning.redactor.secrets,
            places=self._beginning.origin.cache / "printed",
            # jobs of a sweep in processes of a launcher print into one file
            follows=not claim.is_attached,
            is_apart=lambda: log_of() is not None,
        )

    def _make_pulse(self) -> Pulse:
        settings = self._beginning.claim.settings
        return Pulse(
            self._recorder,
            heartbeat_s=settings.heartbeat_s,
            is_needed=lambda: not self._watch.has_guard,
            sampler=SystemSampler if settings.system.enabled else None,
            interval_s=settings.system.interval_s,
            every_tick=self._watch.check_handlers,
        )
