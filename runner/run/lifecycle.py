"""The life of a run: capture, start, call, finish. The one `try` around user code is here."""

from __future__ import annotations

import os
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from anew.runner import events as ev
from anew.runner.capture.determinism import Determinism
from anew.runner.capture.environment import capture_environment
from anew.runner.capture.hardware import capture_hardware
from anew.runner.capture.opened import OpenedFiles, noticed_inputs
from anew.runner.capture.output import OutputCapture
from anew.runner.capture.seeds import Seeder, draw_seed, seed_from_config
from anew.runner.capture.source import SourceScan, added_modules
from anew.runner.capture.system import SystemSampler
from anew.runner.errors import AnewError
from anew.runner.format import ids
from anew.runner.format.redact import Redactor, secrets_in
from anew.runner.format.serial import start_to_json
from anew.runner.format.values import encode
from anew.runner.guard.watch import Guard, Terminated, Watch
from anew.runner.places import Places
from anew.runner.records import (
    FORMAT,
    CommandFacts,
    ErrorFacts,
    RerunOf,
    RunRecord,
    SourceFacts,
    Status,
    SweepMembership,
)
from anew.runner.run.handle import Run, set_current
from anew.runner.run.pulse import Pulse
from anew.runner.run.recorder import Recorder
from anew.runner.settings import Settings
from anew.runner.store import liveness, marks
from anew.runner.store.folder import FolderStore
from anew.runner.store.paths import RunLayout
from anew.runner.wording import duration, say

if TYPE_CHECKING:
    from collections.abc import Iterator

    from anew.runner.config.main import ComposedJob
    from anew.runner.dispatch.follow import Followers


@dataclass(frozen=True, kw_only=True, slots=True)
class Claim:
    """A place in a store, taken before the run has a record."""

    store: FolderStore
    number: int
    layout: RunLayout
    settings: Settings
    sweep: SweepMembership | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Origin:
    """
    What starts runs.

    Attributes:
        experiment: Its name.
        command: How it was started.
        places: Where the project's files are.
        scan: The scan of its source under way; None where the source is given.
        source: The source, in a re-run of the recorded one.
        cache: A folder for what only saves time.
        rerun_of: The run that is repeated.
        seed: The root seed of a configuration without one; None to draw it.
        torch_threads: What torch's thread count is to be; None to leave it.
        observers: Those given in Python: name -> instance, class or function.
    """

    experiment: str
    command: CommandFacts
    places: Places
    scan: SourceScan | None
    cache: Path
    source: SourceFacts | None = None
    rerun_of: RerunOf | None = None
    seed: int | None = None
    torch_threads: int | None = None
    observers: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Started:
    """A run whose record is written; `began_s` is the monotonic time of its start."""

    claim: Claim
    record: RunRecord
    began_s: float
    redactor: Redactor
    seeder: Seeder
    origin: Origin


@dataclass(frozen=True, kw_only=True, slots=True)
class _Live:
    """A run that is going on, with what must be stopped at its end."""

    started: _Started
    recorder: Recorder
    run: Run
    watch: Watch
    output: OutputCapture
    pulse: Pulse
    determinism: Determinism
    opened: OpenedFiles | None
    followers: Followers | None


def execute(job: ComposedJob, claim: Claim, origin: Origin, call: Callable[[Run], Any]) -> Any:
    """
    Record *call* as one run and return what it returns.

    Whatever *call* raises is recorded and raised again. The status is INTERRUPTED after SIGINT or SIGTERM, FAILED after
    another exception or an exit with a code other than 0, else COMPLETED.

    Raises:
        AnewError: The run could not be started; nothing of it is left.
    """
    try:
        started = _start(job, claim, origin)
    except BaseException:
        claim.store.abandon(claim.number)
        raise
    try:
        live = _go_live(started, origin)
    except BaseException as error:
        _end_at_once(started, error)
        raise
    result: Any = None
    failure: BaseException | None = None
    process = os.getpid()
    before = set_current(live.run)
    try:
        with _thread_failures_on_record(live.recorder):
            result = call(live.run)
        return result
    except BaseException as error:
        failure = error
        raise
    finally:
        set_current(before)
        # a forked child that falls out of main is not the run, and must not end it
        if os.getpid() == process:
            live.watch.mark_done()
            _finish(live, result, failure)


# --- start ------------------------------------------------------------------------------------------------------


def _start(job: ComposedJob, claim: Claim, origin: Origin) -> _Started:
    """Capture, and write the record."""
    redactor = Redactor.of_environment()
    redactor.learn(secret for each in claim.settings.observers for secret in secrets_in(each.spec))
    seeder = _seeder(seed_from_config(job.config), origin.seed)
    record = _record(job, claim, origin, redactor, seeder)
    claim.store.start(claim.number, record, views=_views(job, redactor))
    return _Started(
        claim=claim,
        record=record,
        began_s=record.process.monotonic_s if record.process else time.monotonic(),
        redactor=redactor,
        seeder=seeder,
        origin=origin,
    )


def _seeder(configured: int | None, recorded: int | None) -> Seeder:
    if configured is not None:
        return Seeder(configured, "config")
    return Seeder(draw_seed()) if recorded is None else Seeder(recorded, "recorded")


def _go_live(started: _Started, origin: Origin) -> _Live:
    """Begin to guard, seed, capture output and sample; what has begun is undone when the next fails."""
    claim, record, settings = started.claim, started.record, started.claim.settings
    _redact_hydra(claim, started.redactor)
    _announce(started, origin)
    with ExitStack() as undo:
        followers = _followed(started)
        recorder = Recorder(
            claim.layout,
            record.uid,
            started=lambda: time.monotonic() - started.began_s,
            durability_ms=settings.durability_ms,
            redactor=started.redactor,
        )
        undo.callback(recorder.close)
        guard = Guard.shared()
        watch = guard.watch(claim.layout.outcome, {"format": FORMAT, "uid": record.uid}, started_at=record.started_at)
        undo.callback(watch.close)
        determinism = Determinism(
            deterministic=settings.deterministic,
            torch_threads=origin.torch_threads,
            on_set=lambda facts: recorder.add(ev.SeedsSet, seeded={}, deterministic=facts),
        )
        undo.callback(determinism.close)
        determinism.start()
        undo.callback(started.seeder.close)
        seeds = started.seeder.apply(lambda name, seed: _seeded(recorder, {name: seed}))
        _seeded(recorder, seeds.seeded)
        run = Run(
            recorder,
            number=claim.number,
            seed=record.seed,
            objects=claim.store.objects,
            places=origin.places,
            inputs=settings.inputs,
        )
        output = OutputCapture.start(
            claim.layout.output,
            mode=settings.output.mode,
            limit_bytes=settings.output.limit_bytes,
            guard=guard,
            secrets=started.redactor.secrets,
        )
        undo.callback(output.stop)
        pulse = Pulse(
            recorder,
            heartbeat_s=settings.heartbeat_s,
            sample=SystemSampler().sample if settings.system.enabled else None,
            interval_s=settings.system.interval_s,
            every_tick=watch.check_handlers,
        )
        opened = _opened(claim, origin)
        if followers is not None:
            followers.require()
        undo.pop_all()
    return _Live(
        started=started,
        recorder=recorder,
        run=run,
        watch=watch,
        output=output,
        pulse=pulse,
        determinism=determinism,
        opened=opened,
        followers=followers,
    )


def _followed(started: _Started) -> Followers | None:
    """Have the run followed by its observers."""
    claim, given = started.claim, started.origin.observers
    if not claim.settings.observers and not given:
        return None
    from anew.runner.dispatch.follow import Followers

    return Followers(
        claim.layout,
        claim.settings.observers,
        given,
        drain_s=claim.settings.drain_s,
        redactor=started.redactor,
        say=say,
    )


def _opened(claim: Claim, origin: Origin) -> OpenedFiles | None:
    """Begin to notice the files that main opens, when that is wanted."""
    settings = claim.settings.inputs
    if not settings.notice:
        return None
    roots = [Path(root).expanduser() for root in settings.roots]
    mirrored = [origin.places.mirrored(root) for root in roots if root.is_absolute()]
    folders = [origin.places.project, *roots, *mirrored]
    opened = OpenedFiles(folders, exclude=(claim.store.root,), most=settings.max_files)
    opened.start()
    return opened


def _announce(started: _Started, origin: Origin) -> None:
    if started.claim.settings.quiet:
        return
    say(f"run {started.claim.number} of {started.record.experiment} in {_shown(started.claim.layout.folder)}")
    for note in origin.scan.news if origin.scan is not None else ():
        say(note)


def _end_at_once(started: _Started, error: BaseException) -> None:
    """Write the outcome of a run whose main was never called."""
    with suppress(AnewError):
        started.claim.store.finish(started.claim.number, _ended(started, None, error, None))


def _seeded(recorder: Recorder, seeded: Mapping[str, int]) -> None:
    recorder.add(ev.SeedsSet, seeded=seeded)


def _record(job: ComposedJob, claim: Claim, origin: Origin, redactor: Redactor, seeder: Seeder) -> RunRecord:
    settings = claim.settings
    config = redactor.value(job.config)
    source = _source(origin, claim, redactor)
    environment = capture_environment(settings.environment, origin.cache / "environment.json")
    unresolved = redactor.yaml(job.unresolved)
    record = RunRecord(
        uid=ids.new_uid(),
        id=claim.number,
        experiment=origin.experiment,
        started_at=datetime.now(timezone.utc),
        command=replace(origin.command, argv=redactor.arguments(origin.command.argv)),
        config=config,
        overrides=redactor.arguments(job.overrides),
        choices=job.choices,
        provenance=replace(job.provenance, unresolved=unresolved, settings=redactor.arguments(job.provenance.settings)),
        seed=seeder.root,
        seeds=seeder.facts(),
        source=source,
        environment=environment,
        hardware=capture_hardware(boot_id=liveness.boot_id()),
        process=liveness.process_facts(),
        tags=settings.tags,
        note=settings.note,
        sweep=claim.sweep,
        rerun_of=origin.rerun_of,
        warnings=(*source.notes, *job.notes),
    )
    return replace(record, origin_mark=marks.mark(start_to_json(record)))


def _source(origin: Origin, claim: Claim, redactor: Redactor) -> SourceFacts:
    if origin.source is not None:
        return origin.source
    if origin.scan is None or not claim.settings.source.enabled:
        return SourceFacts(root=str(origin.places.root))
    source = origin.scan.finish(claim.store.objects, claim.settings.source, exclude=(claim.store.root,))
    if source.git is None or source.git.diff is None:
        return source
    return replace(source, git=replace(source.git, diff=redactor.text(source.git.diff)))


def _views(job: ComposedJob, redactor: Redactor) -> Mapping[str, str]:
    return {name: redactor.yaml(text) for name, text in job.views.items()}


def _redact_hydra(claim: Claim, redactor: Redactor) -> None:
    """Take secrets out of what Hydra wrote into the store."""
    paths = list(claim.layout.hydra.glob("*.yaml"))
    if claim.sweep is not None and claim.sweep.id is not None:
        paths.append(claim.store.layout.sweep(claim.sweep.id).multirun)
    for path in paths:
        with suppress(OSError):
            text = path.read_text()
            redacted = redactor.yaml(text)
            if redacted != text:
                path.write_text(redacted)


def _shown(path: Path) -> str:
    """Return a path as it is shortest to type from here."""
    try:
        relative = os.path.relpath(path)
    except (OSError, ValueError):
        return str(path)
    return relative if len(relative) < len(str(path)) else str(path)


@contextmanager
def _thread_failures_on_record(recorder: Recorder) -> Iterator[None]:
    """Put an exception that ends a thread on record; what is printed stays as it was."""
    before = threading.excepthook

    def hook(args: threading.ExceptHookArgs) -> None:
        name = args.thread.name if args.thread else "?"
        text = f"The thread {name!r} ended with {args.exc_type.__name__}: {_message(args.exc_value)}"
        recorder.add(ev.Warned, text=recorder.redactor.text(text))
        before(args)

    threading.excepthook = hook
    try:
        yield
    finally:
        if threading.excepthook is hook:
            threading.excepthook = before


# --- finish -----------------------------------------------------------------------------------------------------


def _finish(live: _Live, result: Any, failure: BaseException | None) -> None:
    """Stop what was started, in reverse, and write the outcome; one part's failure does not stop the next."""
    claim, recorder = live.started.claim, live.recorder
    problems: list[str] = []
    if live.opened is not None:
        live.opened.stop()
    for text in live.determinism.warnings:
        recorder.warn_once(text, text)
    parts = (
        live.pulse.stop,
        live.started.seeder.close,
        live.determinism.close,
        lambda: _add_modules(live),
        lambda: _add_inputs(live),
    )
    for stop in (*parts, live.output.stop):
        problem = _stopped(stop)
        if problem:
            problems.append(problem)
            recorder.add(ev.Warned, text=problem)
    kept = _kept_result(recorder, result)
    problems += filter(None, [recorder.close()])
    ended = _ended(live.started, kept, failure, live.watch.received)
    ended = replace(ended, writers=recorder.written, output_bytes=live.output.settled_bytes)
    try:
        if not claim.store.finish(claim.number, ended):
            ended = replace(ended, status=Status.INTERRUPTED)
    except AnewError as error:
        problems.append(str(error))
    if live.followers is not None:
        problems += _stopped_followers(live.followers, live.watch)
    for problem in problems:
        say(problem)
    if not claim.settings.quiet:
        say(f"run {claim.number} {ended.status.value} after {duration(ended.duration_s)}, {_where(live)}")
    # last of all: a signal that has waited acts now
    live.watch.close()


def _stopped_followers(followers: Followers, watch: Watch) -> list[str]:
    try:
        return followers.finish(in_a_hurry=lambda: watch.is_waiting)
    except Exception as error:
        return [f"the observers could not be waited for: {type(error).__name__}: {error}"]


def _where(live: _Live) -> str:
    claim = live.started.claim
    if claim.settings.keep:
        return f"see: anew show {claim.number}"
    sinks = live.followers.sinks if live.followers is not None else ()
    return f"kept by {', '.join(sinks)}" if sinks else f"spooled in {_shown(claim.layout.folder)}"


def _stopped(stop: Callable[[], str | None]) -> str | None:
    """Stop one part; return what went wrong. Whatever it is, the outcome has to be written."""
    try:
        return stop()
    except AnewError as error:
        return str(error)
    except Exception as error:
        return f"{type(error).__name__}: {error}"


def _add_modules(live: _Live) -> None:
    claim = live.started.claim
    if claim.settings.source.enabled:
        store = claim.store
        source, root = live.started.record.source, live.started.origin.places.project
        files = added_modules(source, root, store.objects, claim.settings.source, exclude=(store.root,))
        if files:
            live.recorder.add(ev.SourceAdded, files=files)


def _add_inputs(live: _Live) -> None:
    """Put the files that main opened on record, those that were declared apart."""
    opened, recorder = live.opened, live.recorder
    if opened is None:
        return
    started = live.started
    try:
        cache = started.origin.cache / "inputs.json"
        keep = started.claim.settings.inputs.keep_bytes
        objects = started.claim.store.objects
        found, notes = noticed_inputs(opened, started.origin.places, objects, keep, cache, live.run.declared)
        for reference in found:
            recorder.add(ev.InputUsed, input=reference)
        for note in notes:
            recorder.warn_once(note, note)
    finally:
        opened.close()


def _kept_result(recorder: Recorder, result: Any) -> Any:
    try:
        encode(result, "the result of main")
        return recorder.redactor.value(result)
    except Exception as error:
        # the user's object may raise anything when it is looked at
        recorder.warn_once("result", f"The result of main was not kept: {error}")
        return None


def _ended(started: _Started, result: Any, failure: BaseException | None, received: str | None) -> ev.RunEnded:
    duration = time.monotonic() - started.began_s
    status, signal, code = _verdict(failure, received)
    return ev.RunEnded(
        uid=started.record.uid,
        writer="outcome",
        q=0,
        t=duration,
        status=status,
        ended_at=datetime.now(timezone.utc),
        duration_s=duration,
        result=result,
        error=_error(failure, started.redactor) if status is Status.FAILED else None,
        signal=signal,
        exit_code=code,
    )


def _verdict(failure: BaseException | None, received: str | None) -> tuple[Status, str | None, int]:
    if received or isinstance(failure, (KeyboardInterrupt, Terminated)):
        signal = received or ("SIGTERM" if isinstance(failure, Terminated) else "SIGINT")
        return Status.INTERRUPTED, signal, 143 if signal == "SIGTERM" else 130
    if failure is None:
        return Status.COMPLETED, None, 0
    if isinstance(failure, SystemExit):
        code = failure.code
        number = code if isinstance(code, int) else 0 if code is None else 1
        return (Status.FAILED if number else Status.COMPLETED), None, number
    return Status.FAILED, None, 1


def _error(failure: BaseException | None, redactor: Redactor) -> ErrorFacts | None:
    if failure is None:
        return None
    kind = type(failure)
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    trace = failure.__traceback__
    while trace is not None and trace.tb_frame.f_globals.get("__name__", "").startswith("anew.runner."):
        trace = trace.tb_next
    text = "".join(traceback.TracebackException(kind, failure, trace).format())
    return ErrorFacts(type=name, message=redactor.text(_message(failure)), traceback=redactor.text(text))


def _message(failure: BaseException | None) -> str:
    try:
        return str(failure)
    except Exception as error:
        return f"<the message cannot be printed: {type(error).__name__}>"
