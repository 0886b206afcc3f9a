"""`anew.start`: a run that begins here, for programs that have no main to give."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import FrameType, FunctionType
from typing import TYPE_CHECKING, Any, NoReturn

from anew.runner.config.main import ComposedJob, Recorded, task_spec
from anew.runner.config.private.versions import supported
from anew.runner.errors import AnewError, ConfigError, RunStateError
from anew.runner.format.override_text import key_of
from anew.runner.lazy.modules import later
from anew.runner.records import Provenance
from anew.runner.relaunch.plan import LeftOff, Rerun, assignment
from anew.runner.run.current import current_run
from anew.runner.run.handle import Run
from anew.runner.session import Session
from anew.runner.settings import KEPT, observers_by_name
from anew.runner.started.given import put, values_of
from anew.runner.started.open_runs import OpenRun, open_runs
from anew.runner.wording import nearest

if TYPE_CHECKING:
    from anew.runner.config.compose import node as composing
else:
    # Hydra comes with it, which a run without settings and changes does without
    composing = later("anew.runner.config.compose.node")

# (experiment, module) -> how many runs of that name were begun in it, in this process
_calls: Counter[tuple[str, str]] = Counter()


def start(
    experiment: str,
    config: Any = None,
    *settings: str,
    store: str | os.PathLike[str] | None = None,
    quiet: bool = False,
    observers: Sequence[Any] = (),
) -> Run:
    """
    Begin a run here, in a script or a notebook that has no main to give.

    It ends with a `with` block, by `run.finish()`, or with the program: COMPLETED, FAILED by an exception that nobody
    caught or by `sys.exit`, INTERRUPTED by a signal. One that no `with` holds ends where the next one begins.

    Args:
        experiment: What the run is filed under.
        config: A dict, a namespace of argparse, an instance of a dataclass, or whatever has attributes. A re-run puts
            the recorded values, and what is given on top of them, into it, in place: read them from there, or from
            `run.config`, which is the same object.
        settings: Settings of the recording as on a command line: "anew.tags=[big]", "anew/observers=[files,mongo]".
        store: A store's folder or URL; None for the default.
        quiet: Leave out the run's two lines on stderr.
        observers: Observers of this run in this process; see `Experiment`.

    Returns:
        The run. In a process that the program begins by spawn, and that imports it: the run that is going on.

    Raises:
        ConfigError: The configuration has no names, or a setting or an observer is none; nothing was recorded.
        RunStateError: A run that `anew.start` began is going on in another thread.
    """
    frame = _caller()
    if frame.f_globals.get("__name__") == "__mp_main__":
        return current_run()
    return begin_at(_standing_for(frame), experiment, config, settings, store=store, quiet=quiet, observers=observers)


def begin_at(
    function: FunctionType,
    experiment: str,
    config: Any,
    settings: Sequence[str],
    *,
    store: str | os.PathLike[str] | None = None,
    quiet: bool = False,
    observers: Sequence[Any] = (),
) -> Run:
    """Begin a run as `start` does, of the code that a *function* stands for."""
    if assignment.is_ahead:
        raise LeftOff
    with open_runs.turn:
        open_runs.leave_off()
        if assignment.stage == "done":
            sys.exit()  # what this process was started for is over
        return _Start(experiment, function, config, settings).begin(
            {"store": None if store is None else os.fspath(store), "quiet": quiet or None}, observers_by_name(observers)
        )


def begin_for(experiment: str, config: Any = None) -> Run:
    """Begin a run as `start` does, of the program itself, which has called a library that calls this."""
    main = sys.modules["__main__"]
    file = str(getattr(main, "__file__", None) or "<cell>")
    return begin_at(_standing_at(file, 1, vars(main)), experiment, config, ())


class _Start:
    """One call of `start`."""

    def __init__(self, experiment: str, function: FunctionType, config: Any, settings: Sequence[str]) -> None:
        if not isinstance(experiment, str) or not experiment.strip() or any(ord(each) < 32 for each in experiment):
            raise ConfigError(f"{experiment!r} cannot name an experiment; give a text: anew.start('digits', config)")
        self._experiment = experiment
        self._function = function
        self._config = config
        self._settings = tuple(settings)
        self._values = values_of(config)
        _calls[experiment, function.__module__] += 1
        self._call = _calls[experiment, function.__module__]

    def begin(self, options: Mapping[str, Any], observers: Mapping[str, Any]) -> Run:
        """Begin the run that is asked for, or that this process was started for."""
        errand = assignment.errand
        is_due = errand is not None and assignment.stage == "due"
        name = f"{self._function.__module__}:{self._function.__qualname__}"
        if isinstance(errand, Rerun) and is_due and assignment.is_for(self._experiment, name, self._call):
            try:
                return self._again(errand, observers)
            except AnewError as error:
                # whoever typed the command is told, and not the program
                sys.stderr.write(f"anew: {errand.places.as_recorded(str(error))}\n")
                sys.exit(error.exit_code)
        if errand is not None and is_due:
            # what follows needs what it does; its record is nobody's
            options = {"store": str(Path(errand.report).parent / "passed"), "quiet": True, "observers": {KEPT: {}}}
            observers = {}
        session = self._session(options, observers)
        return self._begun(session, self._composed(self._settings))

    def _again(self, errand: Rerun, observers: Mapping[str, Any]) -> Run:
        assignment.stage = "begun"
        ref = str(errand.rerun_of.id or errand.rerun_of.uid)
        wanted: Mapping[str, Any] = errand.config
        if errand.changes:
            _refuse_unknown(errand.changes, wanted, ref)
            was = Recorded(ref=ref, config=wanted, overrides=errand.overrides, changes=errand.changes)
            with supported():
                wanted = composing.changed_values(was)
        if self._config is None:
            self._values = dict(wanted)
        else:
            put(wanted, self._config)
            self._values = values_of(self._config)
        session = self._session({"store": errand.store}, observers, errand)
        overrides = (*errand.overrides, *errand.changes)
        return self._begun(session, self._composed(errand.settings, overrides), is_errand=True)

    def _session(
        self, options: Mapping[str, Any], observers: Mapping[str, Any], errand: Rerun | None = None
    ) -> Session:
        session = Session(
            task_spec(self._function),
            experiment=self._experiment,
            observers=observers,
            reference=_no_reference,
            options=options,
            entry="start",
            call=self._call,
            errand=errand,
        )
        session.start_guard()
        return session

    def _composed(self, settings: Sequence[str], overrides: Sequence[str] = ()) -> ComposedJob:
        node: Mapping[str, Any] = {}
        if settings:
            with supported():
                node = composing.compose_node(settings, None)
        return ComposedJob(
            call=lambda run: None,
            config=self._values,
            unresolved="",
            overrides=tuple(overrides),
            choices={},
            settings=node,
            provenance=Provenance(settings=tuple(settings)),
            views={},
        )

    def _begun(self, session: Session, job: ComposedJob, *, is_errand: bool = False) -> Run:
        def on_end() -> None:
            if is_errand:
                assignment.stage = "done"

        session.claim(job.settings, False, None)
        begun = session.begin(job)
        run = OpenRun(begun, on_end)
        begun.run.ending, begun.run.config = run, self._values if self._config is None else self._config
        open_runs.add(run)
        return begun.run


def _no_reference(**how: Any) -> NoReturn:
    raise RunStateError("A run that anew.start begins has no jobs.")


def _caller() -> FrameType:
    """Return the frame of the user's that calls."""
    frame: FrameType | None = sys._getframe(2)
    while frame is not None and str(frame.f_globals.get("__name__", "")).startswith("anew."):
        frame = frame.f_back
    return frame or sys._getframe(2)


def _standing_for(frame: FrameType) -> FunctionType:
    """Return a function that stands where the code of a frame does, as a run's main is one."""
    return _standing_at(frame.f_code.co_filename, frame.f_lineno, frame.f_globals)


def _standing_at(file: str, line: int, names: dict[str, Any]) -> FunctionType:
    def start() -> None: ...

    code = start.__code__.replace(co_filename=file, co_firstlineno=line)
    function = FunctionType(code, names, "start")
    function.__module__, function.__qualname__ = str(names.get("__name__", "__main__")), "start"
    return function


def _refuse_unknown(changes: Sequence[str], config: Mapping[str, Any], ref: str) -> None:
    """Raise ConfigError for a change of what the recorded configuration does not have."""
    names = [*_dotted(config)]
    for each in changes:
        key = key_of(each)
        if not each.startswith(("+", "~")) and key not in names and not key.startswith("anew."):
            has = f"It has: {', '.join(names[:8])}." if names else "It has none."
            raise ConfigError(
                f"{key} is no key of the configuration of run {ref}.{nearest(key, names)} {has} To add it: +{each}"
            )


def _dotted(config: Mapping[str, Any], prefix: str = "") -> list[str]:
    found = []
    for key, value in config.items():
        found.append(f"{prefix}{key}")
        if isinstance(value, Mapping):
            found += _dotted(value, f"{prefix}{key}.")
    return found
