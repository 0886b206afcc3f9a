"""
The parts of a run that is going on: what has to be started for it, and must not stay behind.

They stand in one list, in the order in which they are started, and one function stops them, last first, whatever came
to pass: main returned or raised, a part could not be started, a required observer refused, a Ctrl-C came between two.
"""

from __future__ import annotations

import errno
import os
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from anew.runner import events as ev
from anew.runner.capture.cells import all_cells
from anew.runner.capture.determinism import Determinism
from anew.runner.capture.elsewhere import modules_elsewhere, repositories_of
from anew.runner.capture.environment import imported_modules, loaded_libraries
from anew.runner.capture.held import paths_of
from anew.runner.capture.output import is_within_a_line
from anew.runner.capture.source import added_modules, added_text
from anew.runner.config.output import Output
from anew.runner.dataclass import dataclass
from anew.runner.dispatch.apart import log_of
from anew.runner.errors import AnewError, StoreError
from anew.runner.format.values import decode, encode
from anew.runner.guard.watch import Watch
from anew.runner.records import ContentRef, state_of
from anew.runner.run.beginning import Beginning, without_secrets, without_source
from anew.runner.run.current import here
from anew.runner.run.handle import Run
from anew.runner.run.outcome import message
from anew.runner.run.recorder import SECRETS_VARIABLE, Recorder
from anew.runner.settings import SourceSettings
from anew.runner.store.typed import as_typed
from anew.runner.store.views import view_sums
from anew.runner.wording import duration, say

if TYPE_CHECKING:
    from anew.runner.dispatch.follow import Followers


class Part(Protocol):
    """One thing that is at work while a run goes on. Its methods are called in the thread that runs main."""

    def start(self) -> None:
        """Begin; called once at most."""
        ...

    def stop(self) -> str | None:
        """
        Undo what `start` did, as far as it came: it may have been broken off at any place, or never been called.

        Returns:
            A sentence, when something is not as it should be.

        Raises:
            StoreError: Something of the run could not be recorded; it says what.
        """
        ...


@dataclass(slots=True)
class Course:
    """
    How a run goes, as far as it has come.

    Attributes:
        called: Whether main was called.
        result: What main returned; in the end what may be kept of it.
        unkept_result: Why that is nothing, where it is.
        failure: What main raised, or what kept it from being called.
        interrupt: What broke a part off that was being stopped: the Ctrl-C of somebody who has waited enough.
        problems: What is not as it should be, in sentences.
        losses: What of the run could not be recorded, in sentences.
        ended: The outcome, once it is on record.
        unkept: Main returned, and not all of the run is on record.
    """

    called: bool = False
    result: Any = None
    unkept_result: str | None = None
    failure: BaseException | None = None
    interrupt: BaseException | None = None
    problems: list[str] = field(default_factory=list)
    losses: list[str] = field(default_factory=list)
    ended: ev.RunEnded | None = None
    unkept: StoreError | None = None


def unwind(parts: list[Part], course: Course, recorder: Recorder) -> None:
    """
    Stop all parts, last first; whatever one of them raises does not keep the next from being stopped.

    Args:
        parts: In the order in which they are started; all of them, also those whose turn never came.
        course: Takes what went wrong.
        recorder: Puts it on record, as long as it can.
    """
    while parts:
        try:
            if problem := _stop_last(parts):
                course.problems.append(problem)
                if recorder.is_open:
                    recorder.add(ev.Warned, text=problem)
        except StoreError as error:
            course.losses.append(recorder.redactor.text(str(error)))
        except Exception as error:
            # what is on record of a problem is not worth the parts that are still to be stopped
            course.problems.append(f"{type(error).__name__}: {error}")
        except BaseException as error:
            course.interrupt = course.interrupt or error


def _stop_last(parts: list[Part]) -> str | None:
    """Stop the last part; it is done with then, also when a second Ctrl-C broke that off."""
    try:
        return parts[-1].stop()
    except StoreError:
        raise
    except AnewError as error:
        return str(error)
    except OSError as error:
        if error.errno != errno.EBADF:
            return f"{type(error).__name__}: {error}"
        what = _TAKEN_BY.get(type(parts[-1]).__name__, "what it did")
        return (
            f"The program closed files that were not its own, as os.closerange does: {what} may not all be on record."
        )
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    finally:
        parts.pop()


# --- what begins first and ends last ------------------------------------------------------------------------------


_TAKEN_BY = {"NoticedInputs": "the files that it read", "OutputCapture": "what it printed"}


@cache
def _say_once(note: str) -> None:
    say(note)


class Record:
    """The record that the run begins with: from here on there is a run."""

    def __init__(self, beginning: Beginning) -> None:
        self._beginning = beginning

    def start(self) -> None:
        """Write it. Raises StoreError."""
        claim = self._beginning.claim
        beginning = self._beginning
        claim.store.start(claim.number, beginning.record, views=beginning.views, data=beginning.data)

    def stop(self) -> None:
        """It stays."""


class MadeViews:
    """What Hydra writes for a main that is called from Python, once somebody asks for it: its checksums."""

    def __init__(self, output: Output, recorder: Recorder) -> None:
        self._output = output
        self._recorder = recorder

    def start(self) -> None:
        """Have them on record as soon as it is there, and at once where it came since the record."""
        self._output.made = self._note
        if os.path.isdir(self._recorder.layout.hydra):
            self._note()

    def stop(self) -> None:
        """What is made from now on is nobody's."""
        self._output.made = bool

    def _note(self) -> None:
        if sums := view_sums(self._recorder.layout, {}):
            self._recorder.add(ev.ViewsMade, sums=sums)


class Announcement:
    """What is said of a run on stderr, at its beginning and at its end."""

    def __init__(
        self, beginning: Beginning, course: Course, followers: Followers | None, is_pruned: Callable[[], bool]
    ) -> None:
        self._beginning = beginning
        self._course = course
        self._followers = followers
        self._is_pruned = is_pruned
        self._is_quiet = beginning.claim.settings.quiet

    def start(self) -> None:
        """Say which run begins, and what is new about its source; quiet or not, once, that there is none to be had."""
        claim, scan = self._beginning.claim, self._beginning.origin.scan
        for note in without_source(self._beginning.origin) if claim.settings.record else ():
            _say_once(note)
        if self._is_quiet:
            return
        if not claim.settings.record:
            say(f"a run of {self._beginning.record.experiment}, unrecorded: nothing of it stays")
            return
        say(f"run {claim.number} of {self._beginning.record.experiment} in {self._shown(claim.layout.folder)}")
        for note in scan.news if scan is not None else ():
            say(note)
        for note in self._beginning.news:
            _say_once(note)

    def stop(self) -> None:
        """Say what went wrong, quiet or not, and how the run ended; of main never called, its caller says enough."""
        lines = [*dict.fromkeys((*self._course.problems, *self._course.losses))]
        ended = self._course.ended
        claim = self._beginning.claim
        if not (self._is_quiet or ended is None or not self._course.called):
            took = f"{state_of(ended.status, self._is_pruned())} after {duration(ended.duration_s)}"
            is_kept = claim.settings.record
            lines.append(f"run {claim.number} {took}, {self._where()}" if is_kept else f"{took}, unrecorded")
        if lines and is_within_a_line(claim.layout.output):
            with suppress(OSError, ValueError, AttributeError):
                sys.stderr.write("\n")
        for line in lines:
            say(line)

    def _where(self) -> str:
        claim = self._beginning.claim
        if claim.settings.keep:
            return f"see: {as_typed(f'anew show {claim.number}', claim.store.url, self._beginning.record.command.cwd)}"
        sinks = self._followers.sinks if self._followers is not None else ()
        return f"kept by {', '.join(sinks)}" if sinks else f"spooled in {self._shown(claim.layout.folder)}"

    def _shown(self, path: Path) -> str:
        """Return a path as it is shortest to type from where the run was started; Hydra may have moved since."""
        places = self._beginning.origin.places
        start = self._beginning.record.command.cwd if places.mirror is None else os.curdir
        try:
            relative = os.path.relpath(path, start)
        except (OSError, ValueError):
            return str(path)
        return relative if len(relative) < len(str(path)) else str(path)


class Following:
    """The run's observers."""

    def __init__(self, followers: Followers, watch: Watch, course: Course) -> None:
        self._followers = followers
        self._watch = watch
        self._course = course

    def start(self) -> None:
        """Have them follow the run."""
        self._followers.start()

    def stop(self) -> str | None:
        """Wait until they have all of it, while nobody is in a hurry."""
        try:
            self._course.problems += self._followers.finish(in_a_hurry=lambda: self._watch.is_waiting)
        except Exception as error:
            return f"the observers could not be waited for: {type(error).__name__}: {error}"
        return None


class Result:
    """What main returned."""

    def __init__(self, course: Course, recorder: Recorder) -> None:
        self._course = course
        self._recorder = recorder

    def start(self) -> None:
        """There is none yet."""

    def stop(self) -> None:
        """Leave of it what may be kept; say it when that is nothing."""
        result, self._course.result = self._course.result, None
        try:
            written = encode(result, "the result of main")
            hidden = self._recorder.redactor.told_apart(written)
            self._course.result = result if hidden == written else decode(hidden)
        except Exception as error:
            # the user's object may raise anything when it is looked at
            self._course.unkept_result = self._recorder.redactor.text(str(error))
            self._recorder.warn_once("result", f"The result of main was not kept: {error}")


# --- what notices, seeds and samples ------------------------------------------------------------------------------


class AddedSource:
    """Modules of the project that main imports."""

    def __init__(self, beginning: Beginning, recorder: Recorder) -> None:
        self._beginning = beginning
        self._recorder = recorder

    def start(self) -> None:
        """Those imported so far are in the record."""

    def stop(self) -> None:
        """Keep those that came since. Raises StoreError."""
        claim, settings = self._beginning.claim, self._beginning.claim.settings.source
        if not settings.enabled or not self._recorder.is_open:
            return
        source, root = self._beginning.record.source, self._beginning.origin.places.project
        files = added_modules(source, root, claim.store.objects, settings, exclude=(claim.store.root,))
        files = (*files, *self._cells(settings))
        known = paths_of(source)
        elsewhere = modules_elsewhere(self._beginning.origin.places, claim.store.objects, settings, known=known)
        found = repositories_of(elsewhere, settings, known=source.repositories)
        repositories = {folder: without_secrets(facts, self._recorder.redactor) for folder, facts in found.items()}
        if files or elsewhere:
            self._recorder.add(ev.SourceAdded, files=(*files, *elsewhere), repositories=repositories)

    def _cells(self, settings: SourceSettings) -> tuple[ContentRef, ...]:
        """Keep the cells that ran, where the run goes on in further ones than that which began it."""
        made = self._beginning.origin.made
        text = all_cells() if made and self._beginning.record.command.entry == "start" else None
        if text is None:
            return ()
        root, objects = self._beginning.origin.places.project, self._beginning.claim.store.objects
        return tuple(each for path in made for each in added_text(path, text, root, objects, settings))


class Imports:
    """Modules of distributions that main imports: of what is installed, this is what bears on the outcome."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder

    def start(self) -> None:
        """They are looked at once, at the end."""

    def stop(self) -> None:
        """Put them on record."""
        if self._recorder.is_open:
            self._recorder.add(ev.ModulesImported, names=imported_modules(), libraries=loaded_libraries())


class SameResults:
    """Libraries that compute the same each time, where that is wanted."""

    def __init__(self, beginning: Beginning, recorder: Recorder) -> None:
        self._recorder = recorder
        self._determinism = Determinism(
            deterministic=beginning.claim.settings.deterministic,
            torch_threads=beginning.origin.torch_threads,
            on_set=lambda facts: recorder.add(ev.SeedsSet, seeded={}, deterministic=facts),
        )

    def start(self) -> None:
        """Tell them."""
        self._determinism.start()

    def stop(self) -> None:
        """Have them as they were; say what could not be done."""
        for text in self._determinism.warnings:
            self._recorder.warn_once(text, text)
        self._determinism.close()


class Seeding:
    """Seeds for what is random."""

    def __init__(self, beginning: Beginning, recorder: Recorder) -> None:
        self._seeder = beginning.seeder
        self._recorder = recorder

    def start(self) -> None:
        """Seed what is imported, and from now on whatever is."""
        facts = self._seeder.apply(lambda name, seed: self._recorder.add(ev.SeedsSet, seeded={name: seed}))
        self._recorder.add(ev.SeedsSet, seeded=facts.seeded)

    def stop(self) -> None:
        """Seed nothing any more."""
        self._seeder.close()


class ThreadFailures:
    """Exceptions that end threads, on record; what is printed of them stays as it was."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._before: Callable[[threading.ExceptHookArgs], Any] = threading.excepthook
        self._hook = self._record  # one object, to be recognised by

    def start(self) -> None:
        """Be told of them."""
        self._before = threading.excepthook
        threading.excepthook = self._hook

    def stop(self) -> None:
        """Be told no more, unless somebody else has come between."""
        if threading.excepthook is self._hook:
            threading.excepthook = self._before

    def _record(self, args: threading.ExceptHookArgs) -> None:
        if log_of(args.thread) is not None:
            # an observer's: on record, it would be an event that the observer gets
            self._before(args)
            return
        name = args.thread.name if args.thread else "?"
        text = f"The thread {name!r} ended with {args.exc_type.__name__}: {message(args.exc_value)}"
        self._recorder.add(ev.Warned, text=text)
        self._before(args)


class Presence:
    """The run as what `current_run` finds, here and in children."""

    def __init__(self, run: Run, handed_down: str) -> None:
        self._run = run
        self._handed_down = handed_down
        self._before: tuple[Run | None, str | None] = None, None
        self._is_set = False

    def start(self) -> None:
        """Have it found."""
        self._before, self._is_set = (here.run, os.environ.get(SECRETS_VARIABLE)), True
        here.set(self._run)
        _set_variable(SECRETS_VARIABLE, self._handed_down)

    def stop(self) -> None:
        """Have found what was before."""
        if self._is_set:
            here.set(self._before[0])
            _set_variable(SECRETS_VARIABLE, self._before[1])


def _set_variable(name: str, value: str | None) -> None:
    if value:
        os.environ[name] = value
    else:
        os.environ.pop(name, None)
