"""`Experiment` and `@experiment.main`. Nothing here holds the state of a run."""

from __future__ import annotations

import functools
import inspect
import itertools
import os
import re
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, NoReturn, overload

from anew.runner import errors
from anew.runner.errors import AnewError, ConfigError
from anew.runner.places import Places
from anew.runner.records import CommandFacts, RunRecord, SourceFacts, Status, SweepMembership
from anew.runner.relaunch.plan import Report, active
from anew.runner.sweep_records import PlannedJob, SweepRecord

if TYPE_CHECKING:
    from anew.runner.config.main import ComposedJob, Recorded, SweepHooks, TaskSpec, Ticket
    from anew.runner.relaunch.plan import Plan
    from anew.runner.run.lifecycle import Claim, Origin
    from anew.runner.settings import Settings
    from anew.runner.store.folder import FolderStore
    from anew.runner.sweep.reference import Attachment, MainReference
    from anew.runner.sweep.session import SweepSession

UNSET: Any = object()
# flags of Hydra's that ask for something to be shown; no run comes of them
_ASKING = {"--help", "-h", "--hydra-help", "--version", "--cfg", "-c", "--info", "-i", "--shell-completion", "-sc"}


class Experiment:
    """
    A named experiment; its one main function is what its runs run.

    Args:
        name: What the runs are filed under, such as "digits".
        observers: Observers of all its runs, beside those configured, in a thread of the run's process: functions of
            one event, classes (made anew for each run) or instances. They have a tenth of a thread's time, and are
            waited for at the end like all others.

    Raises:
        ConfigError: The name is empty or no text, or what is given is no observer.
    """

    def __init__(self, name: str, *, observers: Sequence[Any] = ()) -> None:
        if not isinstance(name, str) or not name.strip() or any(ord(letter) < 32 for letter in name):
            raise ConfigError(f"{name!r} cannot name an experiment; give a text, such as Experiment('digits').")
        self.name = name
        self.observers = _named(observers)
        self._main: Main | None = None

    def __repr__(self) -> str:
        return f"Experiment({self.name!r})"

    @overload
    def main(self, config_path: Callable[..., Any], /) -> Main: ...

    @overload
    def main(
        self,
        config_path: str | None = UNSET,
        config_name: str | None = None,
        version_base: str | None = UNSET,
        *,
        config: Any = None,
    ) -> Callable[[Callable[..., Any]], Main]: ...

    def main(
        self,
        config_path: Any = UNSET,
        config_name: str | None = None,
        version_base: str | None = UNSET,
        *,
        config: Any = None,
    ) -> Any:
        """
        Make a function the experiment's main; use bare, `@experiment.main`, or with arguments.

        Args:
            config_path: Folder of YAML files, relative to the function's file, as for `hydra.main`.
            config_name: The primary config's name, as for `hydra.main`.
            version_base: As for `hydra.main`; without it, the behaviour of the installed Hydra.
            config: A dataclass (or an instance of one) that is the configuration's schema and defaults.

        Returns:
            A `Main`: called without arguments it is the command line.

        Raises:
            ConfigError: The experiment has a main already, or the function's parameters cannot become a configuration.
        """
        if callable(config_path):
            return self._made_main(config_path, UNSET, None, UNSET, None)
        return lambda function: self._made_main(function, config_path, config_name, version_base, config)

    def _made_main(
        self, function: Callable[..., Any], path: Any, name: str | None, version_base: Any, config: Any
    ) -> Main:
        try:
            self._refuse_second(function)
            arguments = {"config_name": name, "config": config}
            given = {"config_path": path, "version_base": version_base}
            arguments.update({key: value for key, value in given.items() if value is not UNSET})
            self._main = Main(self, function, arguments)
        except AnewError as error:
            if function.__module__ == "__main__" and not hasattr(sys, "ps1"):
                _leave(error)
            raise
        return self._main

    def _refuse_second(self, function: Callable[..., Any]) -> None:
        first = self._main.function if self._main else None
        if first is None or (first.__module__, first.__qualname__) == (function.__module__, function.__qualname__):
            return
        raise ConfigError(
            f"Experiment {self.name!r} has a main function already: {first.__qualname__} ({_place(first)}). "
            f"Give {function.__qualname__} ({_place(function)}) an experiment of its own: Experiment('another name')"
        )


class Main:
    """
    An experiment's main function, recorded.

    Called with no arguments it is the command line: it reads `sys.argv` and leaves as a command does. Called with
    arguments it is the plain function, unrecorded, as with `hydra.main`. One run at a time in a process: runs from
    several threads wait for each other.
    """

    def __init__(self, experiment: Experiment, function: Callable[..., Any], arguments: Mapping[str, Any]) -> None:
        self.experiment = experiment
        self.function = function
        self._arguments = arguments
        self._checked: TaskSpec | None = None
        functools.update_wrapper(self, function)
        _ = self._spec

    @property
    def _spec(self) -> TaskSpec:
        if self._checked is None:
            from anew.runner.config.main import task_spec

            self._checked = task_spec(self.function, **self._arguments)
        return self._checked

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if args or kwargs:
            return self.function(*args, **kwargs)
        return self._command_line(sys.argv[1:])

    def run(self, *overrides: str, store: str | os.PathLike[str] | None = None, quiet: bool = True) -> RunRecord:
        """
        Run once, from Python or a notebook.

        Args:
            overrides: As on the command line: "lr=0.1", "model=big".
            store: A store's folder or URL; None for the default.
            quiet: Leave out the run's two lines on stderr.

        Returns:
            The finished run's record.

        Raises:
            ConfigError: The configuration cannot be composed; nothing was recorded.
            Exception: Whatever main raises, after it was recorded.
        """
        from anew.runner.config.main import run_app

        self._refuse_import()
        if plan := self._planned():
            self._do(plan, interactive=True)
            sys.exit()
        session = _Session(
            self, entry="call", options={"store": None if store is None else os.fspath(store), "quiet": quiet or None}
        )
        run_app(self._spec, list(overrides), session, interactive=True)
        return session.last_record()

    def sweep(
        self,
        *overrides: str,
        store: str | os.PathLike[str] | None = None,
        workers: int | None = None,
        quiet: bool = True,
    ) -> SweepRecord:
        """
        Run a sweep, from Python or a notebook, to its end.

        Args:
            overrides: As after `-m` on the command line: "lr=0.1,0.01", "model=svm,mlp", "seed=range(5)".
            store: A store's folder or URL; None for the default.
            workers: How many jobs at a time, in processes of their own; None for one after the other in this process.
            quiet: Leave out what is said on stderr.

        Returns:
            The sweep, with its jobs. That jobs failed is in there, and not raised.

        Raises:
            ConfigError: A configuration cannot be composed; nothing was recorded.
            SweepStoppedError: It was stopped before its end.
        """
        from anew.runner.config.main import run_app

        self._refuse_import()
        entry = "call"
        options = {"store": None if store is None else os.fspath(store), "quiet": quiet or None}
        given = [] if workers is None else [f"anew.sweep.workers={workers}"]
        session = _Session(self, entry=entry, options=options)
        done = run_app(self._spec, ["-m", *overrides, *given], session, interactive=True)
        assert isinstance(done, SweepRecord)
        return done

    def _refuse_import(self) -> None:
        """Refuse to start runs in a process that imports the script in order to run a job of it."""
        if self.function.__module__ == "__mp_main__":
            raise ConfigError(
                "This script starts runs when it is imported, and the processes that jobs run in import it. Put what "
                'starts them below: if __name__ == "__main__":'
            )

    def run_job(self, ticket: Ticket, attachment: Attachment) -> None:
        """
        Run one job of a sweep in this process, for whoever started it to do so. How it ends is on record.

        Raises:
            AnewError: It could not be begun; JobTakenError among them.
        """
        from anew.runner.config.main import run_job

        run_job(self._spec, ticket, self.attached(attachment))

    def attached(self, attachment: Attachment) -> _Session:
        """Return what records jobs of a sweep in this process."""
        session = _Session(self, entry=attachment.command.entry, options=attachment.options, sweep=attachment)
        session.record_as(attachment)
        return session

    @property
    def spec(self) -> TaskSpec:
        """The function and where its configuration comes from."""
        return self._spec

    def __reduce__(self) -> tuple[Any, ...]:
        observers = tuple(self.experiment.observers.values())
        return _main_again, (self.experiment.name, observers, self.function, dict(self._arguments))

    def _command_line(self, argv: Sequence[str]) -> Any:
        from anew.runner.config.main import run_app

        if self.function.__module__ == "__mp_main__":
            return None  # a script without `if __name__ == "__main__":`, imported by a process that a job runs in
        try:
            if plan := self._planned():
                return self._do(plan, interactive=False)
            options, rest = _own_options(argv)
            if not _ASKING & set(rest):
                _start_guard()
            session = _Session(self, entry=_entry_kind(), options=options)
            return _left(run_app(self._spec, rest, session, interactive=False))
        except AnewError as error:
            _leave(error)
        except KeyboardInterrupt:
            sys.exit(errors.EXIT_SIGINT)
        except Exception:
            _report_fault()

    def _planned(self) -> Plan | None:
        """Return the re-run that this process was started for, when it is one of this function."""
        plan = active()
        name = self.function.__qualname__
        return plan if plan is not None and plan.command.function.rpartition(":")[2] == name else None

    def _do(self, plan: Plan, *, interactive: bool) -> Any:
        """Do as planned, once; a script that would go on to a second run of its main is at its end."""
        from anew.runner.config.main import run_app

        if Path(plan.report).exists():
            sys.exit()
        _start_guard()
        session = _Session(self, entry=plan.command.entry, options={"store": plan.store}, plan=plan)
        if plan.sweep is not None and plan.job is None:
            Report(number=0).write(Path(plan.report))
            words = ["-m", *plan.flags, *plan.overrides, *plan.settings]
            return _left(run_app(self._spec, words, session, interactive=False))
        words = [*plan.flags, *plan.settings]
        return run_app(self._spec, words, session, interactive=interactive, recorded=_recorded(plan))


class _Session:
    """What happens between Hydra and the store while one command or one `Main.run` is going on."""

    def __init__(
        self,
        main: Main,
        *,
        entry: str,
        options: Mapping[str, Any],
        plan: Plan | None = None,
        sweep: Attachment | None = None,
    ) -> None:
        self._main = main
        self._options = options
        self._plan = plan
        self._origin = _origin(main, entry) if plan is None else _planned_origin(main, plan)
        self._claims: list[Claim] = []
        self._sweep: SweepSession | Attachment | None = sweep if plan is None else _attachment(plan)
        self._last: RunRecord | None = None

    @property
    def _is_rerun(self) -> bool:
        return self._plan is not None and self._plan.sweep is None

    def record_as(self, attachment: Attachment) -> None:
        """Record the command of a sweep, not of this process; and its source, where that was laid out."""
        command = replace(attachment.command, interpreter=sys.executable)
        self._origin = replace(self._origin, command=command)
        if attachment.places is not None:
            self._origin = replace(self._origin, places=attachment.places, source=attachment.source, scan=None)

    def claim(self, settings: Mapping[str, Any], multirun: bool, job_num: int | None) -> Path:
        """Take a run number; return the folder for the job's output."""
        from anew.runner.run.lifecycle import Claim
        from anew.runner.sweep.ledger import take

        checked = self._settings(settings)
        store = self._store(checked)
        number, layout = store.claim()
        sweep = None
        if self._plan is not None and self._plan.job is not None:
            multirun, job_num = True, self._plan.job
        if multirun and self._sweep is not None and job_num is not None:
            sweep = SweepMembership(id=take(store, self._sweep, job_num, number), index=job_num)
        self._claims.append(Claim(store=store, number=number, layout=layout, settings=checked, sweep=sweep))
        return layout.files

    def planned(self) -> Sequence[PlannedJob]:
        """Return the jobs of the sweep that is taken up again."""
        if self._plan is None or self._plan.sweep is None:
            return ()
        return self._store(self._settings({})).sweep_folder(self._plan.sweep).planned()

    def sweep(self, settings: Mapping[str, Any]) -> tuple[Path, SweepHooks]:
        """Take a sweep number; return the sweep's folder, and what conducts it."""
        from anew.runner.sweep.reference import reference_to
        from anew.runner.sweep.session import SweepSession

        checked = self._settings(settings)
        store = self._store(checked)
        session = SweepSession(
            store,
            checked,
            experiment=self._origin.experiment,
            command=self._origin.command,
            source=lambda: self._source(store, checked),
            main=lambda: reference_to(self._main),
            options={"store": store.url} if checked.keep else {},
            resume=self._plan.sweep if self._plan is not None else None,
            only=[Status(each) for each in self._plan.only] if self._plan is not None else (),
            places=self._origin.places if self._origin.source is not None else None,
            quiet=checked.quiet,
        )
        self._sweep = session
        return session.folder.layout.folder, session

    def task(self) -> Callable[[], tuple[TaskSpec, _Session]]:
        """Return what another process makes main and its session by."""
        from anew.runner.sweep.reference import reference_to
        from anew.runner.sweep.session import SweepSession

        assert isinstance(self._sweep, SweepSession)
        return functools.partial(_attach, reference_to(self._main, script=False), self._sweep.attachment())

    def _source(self, store: FolderStore, settings: Settings) -> SourceFacts:
        if self._origin.scan is None or not settings.source.enabled:
            return self._origin.source or SourceFacts(root=str(self._origin.places.root))
        return self._origin.scan.finish(store.objects, settings.source, exclude=(store.root,))

    def execute(self, job: ComposedJob) -> Any:
        """Record one job as a run."""
        from anew.runner.run.lifecycle import execute

        if self._plan is not None and (self._plan.sweep is None or self._plan.job is not None):
            claim = self._claims[-1]
            Report(number=claim.number, ignore=claim.settings.rerun.ignore).write(Path(self._plan.report))
        claim = self._claims[-1]
        try:
            return execute(job, claim, self._origin, job.call)
        finally:
            # what became of a sweep's jobs is read from their runs
            if not claim.settings.keep and claim.sweep is None:
                self._last = self._unspooled(claim)

    def abandon(self) -> None:
        """Give up the number taken last."""
        claim = self._claims.pop()
        claim.store.abandon(claim.number)

    def last_record(self) -> RunRecord:
        """Return the record of the run that ended last."""
        claim = self._claims[-1]
        return claim.store.get(claim.number) if claim.settings.keep or self._last is None else self._last

    def _unspooled(self, claim: Claim) -> RunRecord | None:
        """Return the record of a run that no folder keeps; the spool is gone once every observer has all of it."""
        from anew.runner.dispatch.spool import remove_delivered

        try:
            record = claim.store.get(claim.number)
            remove_delivered(claim.store, claim.number)
        except AnewError:
            return None
        return record

    def _settings(self, settings: Mapping[str, Any]) -> Settings:
        from anew.runner.settings import KEPT, Settings

        chosen = {key: value for key, value in self._options.items() if value is not None}
        if self._is_rerun and isinstance(observers := settings.get("observers"), Mapping):
            # what is compared afterwards has to be in the store
            chosen["observers"] = {**observers, KEPT: {}}
        # what a run was called is no part of what is repeated
        unnamed = {"tags": (), "note": None} if self._is_rerun else {}
        return Settings.from_mapping({**settings, **chosen, **unnamed})

    def _store(self, settings: Settings) -> FolderStore:
        from anew.runner.store.locate import open_for_recording

        if not settings.keep:
            return open_for_recording(self._origin.cache / "spool")
        return open_for_recording(settings.store, start=self._origin.places.root)


def _main_again(name: str, observers: Sequence[Any], function: Callable[..., Any], arguments: Any) -> Main:
    """Make a main function in another process."""
    return Main(Experiment(name, observers=observers), function, arguments)


def _attach(reference: MainReference, attachment: Attachment) -> tuple[TaskSpec, _Session]:
    """Make main and a session for one sweep in a process that somebody else started."""
    main = reference.load()
    return main.spec, main.attached(attachment)


def _left(done: Any) -> Any:
    """Leave with 1 when a job of a sweep failed; pass on what is none."""
    if not isinstance(done, SweepRecord):
        return done
    if done.status is not Status.COMPLETED:
        sys.exit(errors.EXIT_FAILED)
    return done


def _named(observers: Sequence[Any]) -> dict[str, Any]:
    """Return observers under names that are file names, each its own."""
    named: dict[str, Any] = {}
    for observer in observers:
        if not callable(observer) and not callable(getattr(observer, "handle", None)):
            raise ConfigError(
                f"{observer!r} is no observer: give a function of one event, or a class or instance with handle(event) "
                "and close(); see anew.Observer"
            )
        stem = re.sub(r"\W+", "_", getattr(observer, "__name__", type(observer).__name__)) or "observer"
        numbered = (f"{stem}_{number}" for number in itertools.count(2))
        named[stem if stem not in named else next(name for name in numbered if name not in named)] = observer
    return named


def _origin(main: Main, entry: str) -> Origin:
    from anew.runner.capture.source import SourceScan, cache_file
    from anew.runner.places import project_root
    from anew.runner.run.lifecycle import Origin

    file = _file_of(main.function)
    root = project_root(file.parent if file else Path.cwd())
    cache = _cache_folder()
    return Origin(
        experiment=main.experiment.name,
        command=_command(main.function, entry, root),
        places=Places(root),
        scan=SourceScan(root, cache_file(cache, root)),
        cache=cache,
        observers=main.experiment.observers,
    )


def _recorded(plan: Plan) -> Recorded:
    from anew.runner.config.main import Recorded

    of = plan.rerun_of
    return Recorded(
        ref=str(of.id or of.uid) if of is not None else f"sweep:{plan.sweep}/{plan.job}",
        config=plan.config,
        overrides=plan.overrides,
        changes=plan.changes,
        job=plan.job,
    )


def _attachment(plan: Plan) -> Attachment | None:
    """Return the sweep that a plan's one job is of."""
    if plan.sweep is None or plan.job is None:
        return None
    from anew.runner.sweep.reference import Attachment

    return Attachment(root=plan.store, sweep=plan.sweep, command=plan.command, attempts={plan.job: plan.attempt})


def _planned_origin(main: Main, plan: Plan) -> Origin:
    """Return what starts a re-run: everything as on record, but for the interpreter."""
    from anew.runner.capture.source import SourceScan, cache_file
    from anew.runner.run.lifecycle import Origin

    cache = _cache_folder()
    root = Path(plan.root)
    return Origin(
        experiment=main.experiment.name,
        command=replace(plan.command, interpreter=sys.executable),
        places=plan.places,
        scan=SourceScan(root, cache_file(cache, root)) if plan.source is None else None,
        cache=cache,
        source=plan.source,
        rerun_of=plan.rerun_of,
        seed=plan.seed,
        torch_threads=plan.torch_threads,
        observers=main.experiment.observers,
    )


def _start_guard() -> None:
    """Start the guard process now: it is up by the time that the configuration is composed."""
    from anew.runner.guard.watch import Guard

    Guard.shared()


def _cache_folder() -> Path:
    from platformdirs import user_cache_path

    return user_cache_path("anew")


def _command(function: Callable[..., Any], entry: str, root: Path) -> CommandFacts:
    main = sys.modules.get("__main__")
    spec = getattr(main, "__spec__", None)
    target = spec.name if spec is not None and entry == "module" else str(getattr(main, "__file__", "") or "")
    return CommandFacts(
        argv=tuple(sys.argv),
        cwd=str(Path.cwd()),
        entry=entry,
        target=target,
        function=f"{function.__module__}:{function.__qualname__}",
        interpreter=sys.executable,
        options=_interpreter_options(),
        import_paths=_import_paths(root),
    )


def _interpreter_options() -> tuple[str, ...]:
    """Return what stands between the interpreter and the script on its command line."""
    words = sys.orig_argv[1 : max(1, len(sys.orig_argv) - len(sys.argv))]
    return tuple(word for word in words if word not in ("-m", "-c"))


def _import_paths(root: Path) -> tuple[str, ...]:
    """Return the folders of the project that modules come from: on `sys.path`, or by an installer's own finder."""
    prefix = f"{root}{os.sep}"
    inside = [path for path in sys.path if path == str(root) or path.startswith(prefix)]
    for name, module in list(sys.modules.items()):
        paths = vars(module).get("__path__") if "." not in name and type(module) is ModuleType else None
        if isinstance(paths, list) and paths and str(paths[0]).startswith(prefix):
            inside.append(os.path.dirname(paths[0]))
    return tuple(path for path in dict.fromkeys(inside) if "site-packages" not in path)


def _entry_kind() -> str:
    return "module" if getattr(sys.modules.get("__main__"), "__spec__", None) is not None else "script"


def _file_of(function: Callable[..., Any]) -> Path | None:
    name = inspect.unwrap(function).__code__.co_filename
    path = Path(name)
    return path.resolve() if path.is_file() else None


def _place(function: Callable[..., Any]) -> str:
    code = inspect.unwrap(function).__code__
    return f"{code.co_filename}:{code.co_firstlineno}"


def _own_options(argv: Sequence[str]) -> tuple[dict[str, Any], list[str]]:
    """Take `-q`, `--quiet` and `--store URL` out of a command line; the rest is Hydra's."""
    options: dict[str, Any] = {}
    rest: list[str] = []
    words = iter(argv)
    for word in words:
        if word in ("-q", "--quiet"):
            options["quiet"] = True
        elif word == "--store" or word.startswith("--store="):
            options["store"] = word[8:] if "=" in word else next(words, None)
            if not options["store"]:
                raise ConfigError("--store takes a folder or a URL, such as: --store runs")
        else:
            rest.append(word)
    return options, rest


def _leave(error: AnewError) -> NoReturn:
    sys.stderr.write(f"anew: {error}\n")
    sys.exit(error.exit_code)


def _report_fault() -> NoReturn:
    from anew.runner.errors import fault_report

    traceback.print_exc()
    sys.stderr.write(fault_report())
    sys.exit(errors.EXIT_FAULT)
