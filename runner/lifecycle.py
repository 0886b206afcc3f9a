"""The life of a run: capture, start, call, finish. The one `try` around user code is here."""

from __future__ import annotations

import os
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from anew.runner import events as ev
from anew.runner import ids, liveness
from anew.runner.capture.environment import capture_environment
from anew.runner.capture.hardware import capture_hardware
from anew.runner.capture.output import OutputCapture
from anew.runner.capture.seeds import Seeder, draw_seed, seed_from_config
from anew.runner.capture.source import SourceScan, added_modules
from anew.runner.capture.system import SystemSampler
from anew.runner.errors import AnewError, ValueRefusedError
from anew.runner.guard import Guard, Terminated, Watch
from anew.runner.pulse import Pulse
from anew.runner.recorder import Recorder, say
from anew.runner.records import (
    FORMAT,
    CommandFacts,
    ErrorFacts,
    RunRecord,
    SourceFacts,
    Status,
    SweepMembership,
)
from anew.runner.redact import Redactor
from anew.runner.run import Run, set_current
from anew.runner.settings import Settings
from anew.runner.store.folder import FolderStore
from anew.runner.store.layout import RunLayout
from anew.runner.values import encode

if TYPE_CHECKING:
    from collections.abc import Iterator

    from anew.runner.config.main import ComposedJob


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
    """What starts runs: the experiment, how it was started, and the scan of its source under way."""

    experiment: str
    command: CommandFacts
    root: Path
    scan: SourceScan | None
    cache: Path


@dataclass(kw_only=True, slots=True)
class _Live:
    """A run that is going on, with what must be stopped at its end."""

    claim: Claim
    record: RunRecord
    started: float
    redactor: Redactor
    recorder: Recorder
    run: Run
    seeder: Seeder
    watch: Watch
    output: OutputCapture
    pulse: Pulse


def execute(job: ComposedJob, claim: Claim, origin: Origin, call: Callable[[Run], Any]) -> Any:
    """
    Record *call* as one run and return what it returns.

    Whatever *call* raises is recorded and raised again. The status is INTERRUPTED after SIGINT or SIGTERM, FAILED after
    another exception or an exit with a code other than 0, else COMPLETED.

    Raises:
        AnewError: The run could not be started; nothing of it is left.
    """
    try:
        live = _start(job, claim, origin)
    except BaseException:
        claim.store.abandon(claim.number)
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


def _start(job: ComposedJob, claim: Claim, origin: Origin) -> _Live:
    redactor = Redactor.of_environment()
    seed = seed_from_config(job.config)
    seeder = Seeder(draw_seed() if seed is None else seed, "drawn" if seed is None else "config")
    record = _record(job, claim, origin, redactor, seeder)
    started = record.process.monotonic_s if record.process else time.monotonic()
    claim.store.start(claim.number, record, views=_views(job, redactor))
    _redact_hydra(claim, redactor)
    if not claim.settings.quiet:
        say(f"run {claim.number} of {record.experiment} in {_shown(claim.layout.folder)}")
    recorder = Recorder(
        claim.layout,
        record.uid,
        started=lambda: time.monotonic() - started,
        durability_ms=claim.settings.durability_ms,
        redactor=redactor,
    )
    return _live(claim, record, started, redactor, recorder, seeder, origin)


def _live(
    claim: Claim,
    record: RunRecord,
    started: float,
    redactor: Redactor,
    recorder: Recorder,
    seeder: Seeder,
    origin: Origin,
) -> _Live:
    settings = claim.settings
    if origin.scan is not None and not settings.quiet:
        for note in origin.scan.news:
            say(note)
    guard = Guard.shared()
    watch = guard.watch(claim.layout.outcome, {"format": FORMAT, "uid": record.uid}, started_at=record.started_at)
    sampler = SystemSampler() if settings.system.enabled else None
    seeds = seeder.apply(lambda name, seed: _seeded(recorder, {name: seed}))
    _seeded(recorder, seeds.seeded)
    return _Live(
        claim=claim,
        record=record,
        started=started,
        redactor=redactor,
        recorder=recorder,
        run=Run(
            recorder,
            number=claim.number,
            seed=record.seed,
            objects=claim.store.objects,
            root=origin.root,
            inputs=settings.inputs,
        ),
        seeder=seeder,
        watch=watch,
        output=OutputCapture.start(
            claim.layout.output,
            mode=settings.output.mode,
            limit_bytes=settings.output.limit_bytes,
            guard=guard,
            secrets=redactor.secrets,
        ),
        pulse=Pulse(
            recorder,
            heartbeat_s=settings.heartbeat_s,
            sample=sampler.sample if sampler else None,
            interval_s=settings.system.interval_s,
            every_tick=watch.check_handlers,
        ),
    )


def _seeded(recorder: Recorder, seeded: Mapping[str, int]) -> None:
    recorder.add(ev.SeedsSet, seeded=seeded)


def _record(job: ComposedJob, claim: Claim, origin: Origin, redactor: Redactor, seeder: Seeder) -> RunRecord:
    settings = claim.settings
    config = redactor.value(job.config)
    source = _source(origin, claim, redactor)
    environment = capture_environment(settings.environment, origin.cache / "environment.json")
    unresolved = redactor.yaml(job.unresolved)
    return RunRecord(
        uid=ids.new_uid(),
        id=claim.number,
        experiment=origin.experiment,
        started_at=datetime.now(timezone.utc),
        command=replace(origin.command, argv=redactor.arguments(origin.command.argv)),
        config=config,
        overrides=redactor.arguments(job.overrides),
        choices=job.choices,
        provenance=replace(job.provenance, unresolved=unresolved),
        seed=seeder.root,
        seeds=seeder.facts(),
        source=source,
        environment=environment,
        hardware=capture_hardware(),
        process=liveness.process_facts(),
        tags=settings.tags,
        note=settings.note,
        sweep=claim.sweep,
        warnings=source.notes,
    )


def _source(origin: Origin, claim: Claim, redactor: Redactor) -> SourceFacts:
    if origin.scan is None or not claim.settings.source.enabled:
        return SourceFacts(root=str(origin.root))
    source = origin.scan.finish(claim.store.objects, claim.settings.source, exclude=(claim.store.root,))
    if source.git is None or source.git.diff is None:
        return source
    return replace(source, git=replace(source.git, diff=redactor.text(source.git.diff)))


def _views(job: ComposedJob, redactor: Redactor) -> Mapping[str, str]:
    return {name: redactor.yaml(text) for name, text in job.views.items()}


def _redact_hydra(claim: Claim, redactor: Redactor) -> None:
    """Take secrets out of what Hydra wrote into the store."""
    paths = list((claim.layout.files / ".hydra").glob("*.yaml"))
    if claim.sweep is not None and claim.sweep.id is not None:
        paths.append(claim.store.layout.sweeps / str(claim.sweep.id) / "multirun.yaml")
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
    claim, recorder = live.claim, live.recorder
    problems: list[str] = []
    for stop in (live.pulse.stop, live.seeder.close, lambda: _add_modules(live), live.output.stop):
        try:
            problem = stop()
        except (AnewError, OSError) as error:
            problem = str(error)
        if problem:
            problems.append(problem)
            recorder.add(ev.Warned, text=problem)
    kept = _kept_result(recorder, result)
    problems += filter(None, [recorder.close()])
    ended = _ended(live, kept, failure)
    try:
        if not claim.store.finish(claim.number, ended):
            ended = replace(ended, status=Status.INTERRUPTED)
    except AnewError as error:
        problems.append(str(error))
    for problem in problems:
        say(problem)
    if not claim.settings.quiet:
        length = _duration(ended.duration_s)
        say(f"run {claim.number} {ended.status.value} after {length}, see: anew show {claim.number}")
    # last of all: a signal that has waited acts now
    live.watch.close()


def _add_modules(live: _Live) -> None:
    if live.claim.settings.source.enabled:
        store = live.claim.store
        files = added_modules(live.record.source, store.objects, live.claim.settings.source, exclude=(store.root,))
        if files:
            live.recorder.add(ev.SourceAdded, files=files)


def _kept_result(recorder: Recorder, result: Any) -> Any:
    try:
        encode(result, "the result of main")
    except ValueRefusedError as error:
        recorder.warn_once("result", str(error))
        return None
    return recorder.redactor.value(result)


def _ended(live: _Live, result: Any, failure: BaseException | None) -> ev.RunEnded:
    duration = time.monotonic() - live.started
    status, signal, code = _verdict(failure, live.watch.received)
    return ev.RunEnded(
        uid=live.record.uid,
        writer="outcome",
        q=0,
        t=duration,
        status=status,
        ended_at=datetime.now(timezone.utc),
        duration_s=duration,
        result=result,
        error=_error(failure, live.redactor) if status is Status.FAILED else None,
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


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"
