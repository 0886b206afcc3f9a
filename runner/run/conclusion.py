"""The part of a run that comes after all others: what of it is missing, and its outcome, on record."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import replace

from anew.runner import events as ev
from anew.runner.capture.output import OutputCapture
from anew.runner.errors import StoreError, UnkeptError
from anew.runner.guard.watch import Watch
from anew.runner.records import Status
from anew.runner.run.beginning import Beginning
from anew.runner.run.outcome import ending
from anew.runner.run.parts import Course
from anew.runner.run.recorder import Recorder
from anew.runner.store.files import open_regular, replace_whole
from anew.runner.store.reading import read_outcome
from anew.runner.wording import is_without_main, sentence, some

_SHORT = 1000


class Outcome:
    """How the run ends, on record: complete for readers as soon as it is there, so that it comes after all the rest."""

    def __init__(
        self, beginning: Beginning, course: Course, watch: Watch, recorder: Recorder, capture: OutputCapture
    ) -> None:
        self._beginning = beginning
        self._course = course
        self._watch = watch
        self._recorder = recorder
        self._capture = capture
        self._why = "Its outcome is damaged."

    def start(self) -> None:
        """Nothing is known of it yet."""

    def stop(self) -> None:
        """Write it, where there is a run that it is the outcome of."""
        course, layout = self._course, self._beginning.claim.layout
        if not course.called and not os.path.exists(layout.record):
            return
        try:
            self._conclude(course.failure or course.interrupt)
        except Exception as error:
            # nobody foresaw it: a run without an outcome must not pass for one that went well
            if course.ended is None:
                self._why = f"{type(error).__name__}: {error}"
                self._note_unkept(course.failure or course.interrupt)
            raise

    def _conclude(self, failure: BaseException | None) -> None:
        course = self._course
        self._look_for_losses()
        if course.losses and self._beginning.claim.settings.on_loss == "fail" and self._would_complete(failure):
            failure = course.unkept = self._hole()
        course.ended = self._written(failure)
        if course.ended is None:
            self._note_unkept(failure)
        elif course.ended.status is not Status.FAILED:
            course.unkept = None  # a signal came first

    def _look_for_losses(self) -> None:
        """Find out what is not there any more: main may have removed anything."""
        claim, losses = self._beginning.claim, self._course.losses
        self._look_at_record()
        # the source of a re-run was kept by another run, and perhaps in another store
        kept = self._beginning.record.source.files if self._beginning.origin.source is None else ()
        try:
            claim.store.settle(claim.number, self._recorder.told)
        except StoreError as error:
            losses.append(str(error))
        contents = {**{file.sha256: file.path for file in kept if file.kept}, **self._recorder.contents}
        if missing := [contents[each] for each in claim.store.objects.missing(contents)]:
            losses.append(f"the content of {some(missing)} is gone from the store")

    def _look_at_record(self) -> None:
        """See that the record is what was written; put back what was taken away or changed."""
        claim, record, losses = self._beginning.claim, self._beginning.claim.layout.record, self._course.losses
        if not os.path.exists(record):
            losses.append(f"{str(record)!r} was removed while the run went on")
            with suppress(StoreError):
                claim.store.start(claim.number, self._beginning.record, data=self._beginning.data)
            return
        written = self._beginning.data
        try:
            # one byte more, to tell what was added
            with open_regular(record) as file:
                found = file.read(len(written) + 1)
            if found != written:
                losses.append(f"{str(record)!r} was changed while the run went on")
                replace_whole(record, written, sync=True)
        except StoreError as error:
            losses.append(str(error))
        except OSError as error:
            losses.append(f"{str(record)!r} cannot be looked at: {error.strerror or error}")

    def _would_complete(self, failure: BaseException | None) -> bool:
        is_fine = failure is None or (isinstance(failure, SystemExit) and not failure.code)
        return is_fine and self._watch.received is None

    def _hole(self) -> UnkeptError:
        number = self._beginning.claim.number
        return UnkeptError(
            f"Run {number} is FAILED, since main returned and not all of it is on record: "
            f"{'; '.join(self._course.losses)}. To have such runs COMPLETED, with a warning: anew.on_loss=warn",
            run=number,
            status=Status.FAILED,
        )

    def _written(self, failure: BaseException | None) -> ev.RunEnded | None:
        """Write the outcome; return what is on record of it, None for nothing."""
        claim, ended = self._beginning.claim, self._ended(failure)
        try:
            if claim.store.finish(claim.number, ended):
                return ended
        except StoreError as error:
            self._why = str(error)
            self._course.problems.append(self._why)
            if read_outcome(claim.layout, ended.uid)[0] is None:
                return self._written_short(ended, error)
        # the guard was first, after a signal that was not reacted to in time; or it is there, and could not be synced
        return read_outcome(claim.layout, ended.uid)[0]

    def _written_short(self, ended: ev.RunEnded, refused: StoreError) -> ev.RunEnded | None:
        """Write the outcome in less space: without what main returned, and without the traceback."""
        claim, course = self._beginning.claim, self._course
        failure = course.failure or course.interrupt
        if ended.result is not None and claim.layout.folder.exists():
            cause = refused.__cause__
            why = cause.strerror if isinstance(cause, OSError) and cause.strerror else refused
            course.losses.append(f"what main returned could not be written: {why}")
            if claim.settings.on_loss == "fail" and self._would_complete(failure):
                failure = course.unkept = self._hole()
        ended = self._ended(failure or course.unkept)
        error = ended.error and replace(ended.error, traceback="", message=ended.error.message[:_SHORT])
        losses = ended.losses and tuple(each[:_SHORT] for each in ended.losses)
        short = replace(ended, result=None, error=error, losses=losses)
        with suppress(StoreError):
            if claim.store.finish(claim.number, short):
                return short
        return read_outcome(claim.layout, short.uid)[0]

    def _ended(self, failure: BaseException | None) -> ev.RunEnded:
        beginning, course = self._beginning, self._course
        uid, elapsed_s = beginning.record.uid, beginning.elapsed_s()
        watch = self._watch
        ended = ending(uid, elapsed_s, course.result, failure, watch.received, beginning.redactor, watch.told)
        losses = tuple(course.losses) or None
        return replace(
            ended,
            writers=self._recorder.written,
            output_bytes=self._capture.settled_bytes,
            output_sealed=self._capture.sealed_bytes,
            output_turns=self._capture.turns if is_without_main(beginning.record.command) else None,
            unkept=course.unkept_result,
            losses=losses,
        )

    def _note_unkept(self, failure: BaseException | None) -> None:
        """Say that there is no outcome; main's own failure, where there is one, is raised all the same."""
        course, number = self._course, self._beginning.claim.number
        course.problems = [each for each in course.problems if each != self._why]
        error = UnkeptError(
            f"{sentence(self._why)} So run {number} has no outcome on record, and will be shown as LOST.",
            run=number,
            status=Status.LOST,
        )
        if failure is None or isinstance(failure, UnkeptError) or self._would_complete(failure):
            course.unkept = error
        else:
            course.problems.append(str(error))
