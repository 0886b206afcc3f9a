"""`Experiment` and `@experiment.main`. Nothing here holds the state of a run."""

from __future__ import annotations

import functools
import os
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext, suppress
from typing import TYPE_CHECKING, Any, NoReturn, overload

from anew.runner import errors
from anew.runner.errors import AnewError, ConfigError
from anew.runner.kernel.hook import hook
from anew.runner.lazy.modules import later

if TYPE_CHECKING:
    import inspect
    import pathlib
    import traceback

    from anew.runner import records, settings, sweep_records
    from anew.runner import session as conducting
    from anew.runner.config import main as configs
    from anew.runner.config.main import TaskSpec, Ticket
    from anew.runner.format import typed_values
    from anew.runner.records import RunRecord
    from anew.runner.relaunch import plan
    from anew.runner.run import debugging
    from anew.runner.run.handle import Run
    from anew.runner.session import Session
    from anew.runner.sweep.reference import Attachment
    from anew.runner.sweep_records import SweepRecord
else:
    # with a main that is decorated, or called; whoever imports a script for its functions does without
    inspect, pathlib, traceback = later("inspect"), later("pathlib"), later("traceback")
    records, settings = later("anew.runner.records"), later("anew.runner.settings")
    sweep_records, typed_values = later("anew.runner.sweep_records"), later("anew.runner.format.typed_values")
    debugging = later("anew.runner.run.debugging")
    plan, configs = later("anew.runner.relaunch.plan"), later("anew.runner.config.main")
    # not before main is called: all that a run needs comes with it, ten times as much as decorating needs
    conducting = later("anew.runner.session")

# what a script reads on its way to main is an input as well
hook.install()

UNSET: Any = object()
# (experiment, function) -> how often a main of that name was called in this process
_calls: Counter[tuple[str, str]] = Counter()
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
        self.observers = settings.observers_by_name(observers) if observers else {}
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

    def start(self, config: Any = None, *settings: str, observers: Sequence[Any] = (), **how: Any) -> Run:
        """Begin a run of this experiment here, without a main; arguments as for `anew.start`."""
        from anew.runner.started.start import start

        return start(self.name, config, *settings, observers=[*self.observers.values(), *observers], **how)

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

    Called with no arguments it is the command line: it reads `sys.argv`, leaves as a command does, and returns None, so
    that `sys.exit(main())` is a success, as with `hydra.main`. Called with arguments it is the plain function,
    unrecorded, as with `hydra.main`. One run at a time in a process: runs from several threads wait for each other.
    """

    def __init__(self, experiment: Experiment, function: Callable[..., Any], arguments: Mapping[str, Any]) -> None:
        self.experiment = experiment
        self.function = function
        self._arguments = arguments
        self._checked: TaskSpec | None = None
        self._said = False
        self.entry: str | None = None  # which way its command line came in, if not by a program that calls it
        functools.update_wrapper(self, function)
        self._hints = configs.hints_of(function)
        if configs.are_known(self._hints):
            # else when main is called: it may be defined further down
            with suppress(configs.UnresolvedError):
                _ = self.spec

    @property
    def spec(self) -> TaskSpec:
        """The function and where its configuration comes from."""
        if self._checked is None:
            self._hints = configs.hints_of(self.function, self._hints)
            self._checked = configs.task_spec(self.function, hints=self._hints, **self._arguments)
        return self._checked

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if args or kwargs:
            self._say_unrecorded(kwargs)
            return self.function(*args, **kwargs)
        is_shell = hasattr(sys, "ps1") and getattr(sys.modules.get("__main__"), "__file__", None) is None
        if is_shell and plan.assignment.errand is None:
            name = self.function.__name__
            raise ConfigError(
                f"{name}() is the command line, and a notebook or an interactive shell has none. To run once: "
                f"{name}.run(); with other values: {name}.run(key=value) or {name}.run('key=value')"
            )
        return self._command_line(sys.argv[1:])

    def _say_unrecorded(self, given: Mapping[str, Any]) -> None:
        """
        Say, once, that a call with arguments leaves no record.

        Not of one with a config, or a run: whoever gives that knows what the function is.
        """
        try:
            fields = {each.name for each in self.spec.roles.fields}
        except ConfigError:
            # the plain function runs, whatever its annotations name
            return
        if self._said or not fields or not set(given) <= fields:
            return
        self._said = True
        words = ", ".join(f"{name}=..." for name in given)
        name = self.function.__name__
        sys.stderr.write(
            f"anew: {name}() with arguments is the plain function: nothing is recorded. "
            f"For a run: {name}.run({words})\n"
        )

    def run(
        self,
        *overrides: str | Mapping[str, Any],
        store: str | os.PathLike[str] | None = None,
        quiet: bool = True,
        observers: Sequence[Any] = (),
        **values: Any,
    ) -> RunRecord:
        """
        Run once, from Python or a notebook.

        Args:
            overrides: As on the command line, "lr=0.1", "model=big"; or mappings, such as {"opt.lr": 0.1}.
            store: A store's folder or URL; None for the default.
            quiet: Leave out the run's two lines on stderr.
            observers: Observers of this run, beside those of the experiment; see `Experiment`.
            values: Overrides whose keys are names: lr=0.1, model="big". What they are arrives as it is.

        Returns:
            The finished run's record.

        Raises:
            ConfigError: The configuration cannot be composed, or what is given is no observer; nothing was recorded.
            Exception: Whatever main raises, after it was recorded.
        """
        words = typed_values.overrides_of(overrides, values)
        session = self._called(store, quiet, observers)
        session.run(words, interactive=True)
        return session.last_record()

    def sweep(
        self,
        *overrides: str | Mapping[str, Any],
        store: str | os.PathLike[str] | None = None,
        workers: int | None = None,
        quiet: bool | None = None,
        **values: Any,
    ) -> SweepRecord:
        """
        Run a sweep, from Python or a notebook, to its end.

        Args:
            overrides: As after `-m` on the command line, "lr=0.1,0.01", "model=svm,mlp", "seed=range(5)"; or mappings,
                such as {"opt.lr": [0.1, 0.01]}, where a list or a range stands for the values to sweep over.
            store: A store's folder or URL; None for the default.
            workers: How many jobs at a time, in processes of their own; None for one after the other in this process.
            quiet: Leave out what is said on stderr; None: but in a notebook, which is told of each job.
            values: Overrides whose keys are names: lr=[0.1, 0.01], model="mlp".

        Returns:
            The sweep, with its jobs. That jobs failed is in there, and not raised.

        Raises:
            ConfigError: A configuration cannot be composed; nothing was recorded.
            SweepStoppedError: It was stopped before its end.
        """
        words = typed_values.overrides_of(overrides, values, choices=True)
        hushed = "ipykernel" not in sys.modules if quiet is None else quiet
        given = [] if workers is None else [f"anew.sweep.workers={workers}"]
        done = self._called(store, hushed).run(["-m", *words, *given], interactive=True)
        assert isinstance(done, sweep_records.SweepRecord)
        return done

    def _called(self, store: str | os.PathLike[str] | None, quiet: bool, observers: Sequence[Any] = ()) -> Session:
        """Return what conducts a call from Python; not where it is what this process was started for: that is done."""
        self._refuse_import()
        call = self._counted()
        if errand := self._errand(call):
            self._do(errand, interactive=True)
            sys.exit()
        options = {"store": None if store is None else os.fspath(store), "quiet": quiet or None}
        given = settings.observers_by_name([*self.experiment.observers.values(), *observers])
        return self._new_session(entry="call", call=call, options=options, observers=given)

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
        self.attached(attachment).run_job(ticket)

    def attached(self, attachment: Attachment) -> Session:
        """Return what records jobs of a sweep in this process."""
        return self._session(entry=attachment.command.entry, options=attachment.options, attachment=attachment)

    def __reduce__(self) -> tuple[Any, ...]:
        observers = tuple(self.experiment.observers.values())
        return _main_again, (self.experiment.name, observers, self.function, dict(self._arguments))

    def _command_line(self, argv: Sequence[str]) -> None:
        if self.function.__module__ == "__mp_main__":
            return  # a script without `if __name__ == "__main__":`, imported by a process that a job runs in
        try:
            call = self._counted()
            if errand := self._errand(call):
                self._do(errand, interactive=False)
                return
            options, rest = _own_options(argv)
            debugs = options.pop("pdb", False)
            if debugs:
                debugging.refuse_debugging(rest)
            session = self._new_session(call=call, options=options, entry=self.entry)
            if not _ASKING & set(rest):
                session.start_guard()
            with debugging.post_mortem(lambda: session.failure) if debugs else nullcontext():
                done = session.run(rest, interactive=False)
            _leave_as_sweep(done)
            if session.stopped_with is not None and not isinstance(done, sweep_records.SweepRecord):
                sys.exit(session.stopped_with)  # main took the signal for itself, and returned; its run is INTERRUPTED
        except KeyboardInterrupt:
            sys.exit(errors.EXIT_SIGINT)
        except SystemExit as left:
            # of `sys.exit(256)` a shell would see 0, a success
            if isinstance(left.code, int) and left.code and not left.code & 0xFF:
                sys.exit(errors.EXIT_FAILED)
            raise
        except Exception as error:
            if code := errors.interruption(error):
                sys.exit(code)
            if _ASKING & set(argv) and BrokenPipeError in map(type, (error, error.__cause__, error.__context__)):
                # whoever read what was asked for has had enough of it
                os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
                return
            if isinstance(error, AnewError):
                _leave(error)
            if refused := errors.refusal(error):
                _leave(AnewError(refused))
            if debugging.is_for_debugger(error):
                raise
            _report_fault()

    @property
    def _function(self) -> str:
        return f"{self.function.__module__}:{self.function.__qualname__}"

    def _counted(self) -> int:
        """Return which call of this main in this process it is, of all mains that cannot be told from it by name."""
        _calls[self.experiment.name, self._function] += 1
        return _calls[self.experiment.name, self._function]

    def _errand(self, call: int) -> plan.Errand | None:
        """
        Return what this process was started for, when it is for this call; whatever comes after that is not run.

        Raises:
            LeftOff: The call is in a cell before the one with that call.
        """
        if plan.assignment.is_ahead:
            raise plan.LeftOff
        if plan.assignment.stage == "done":
            sys.exit()
        is_meant = plan.assignment.stage == "due" and plan.assignment.is_for(self.experiment.name, self._function, call)
        return plan.assignment.errand if is_meant else None

    def _do(self, errand: plan.Errand, *, interactive: bool) -> None:
        """Do an errand, once; a script that would go on to further mains is at its end there."""
        session = self._session(entry=errand.command.entry, options={"store": errand.store}, errand=errand)
        session.start_guard()
        plan.assignment.stage = "begun"
        try:
            done = session.run_errand(interactive=interactive)
        finally:
            plan.assignment.stage = "done"
        if isinstance(errand, (plan.Repeat, plan.Resume)):
            _leave_as_sweep(done)

    def _new_session(self, **how: Any) -> Session:
        """Return what conducts a command of this process's own; one before an errand is a step of the script alone."""
        errand = plan.assignment.errand
        if errand is None or plan.assignment.stage != "due":
            return self._session(**how)
        # what follows it needs what it does; its record is nobody's, and no observer hears of it
        passed = {
            "store": str(pathlib.Path(errand.report).parent / "passed"),
            "quiet": True,
            "observers": {settings.KEPT: {}},
        }
        return self._session(**{**how, "options": passed, "observers": {}})

    def _session(self, **how: Any) -> Session:
        """Return what conducts one command; see `Session`."""
        return conducting.Session(
            self.spec,
            experiment=self.experiment.name,
            reference=functools.partial(conducting.reference_to, self),
            **{"observers": self.experiment.observers, **how},
        )


def _main_again(name: str, observers: Sequence[Any], function: Callable[..., Any], arguments: Any) -> Main:
    """Make a main function in another process."""
    return Main(Experiment(name, observers=observers), function, arguments)


def _leave_as_sweep(done: Any) -> None:
    """Leave with 1 when it is a sweep of which a job failed, and not only planned."""
    if (
        isinstance(done, sweep_records.SweepRecord)
        and done.status is not records.Status.COMPLETED
        and done.reason != "added"
    ):
        sys.exit(errors.EXIT_FAILED)


def _place(function: Callable[..., Any]) -> str:
    code = inspect.unwrap(function).__code__
    return f"{code.co_filename}:{code.co_firstlineno}"


def _own_options(argv: Sequence[str]) -> tuple[dict[str, Any], list[str]]:
    """Take `-q`, `--quiet`, `--store URL`, `--unrecorded` and `--pdb` out of a command line; the rest is Hydra's."""
    options: dict[str, Any] = {}
    rest: list[str] = []
    words = iter(argv)
    for word in words:
        if word in ("-q", "--quiet"):
            options["quiet"] = True
        elif word == "--unrecorded":
            options["record"] = False
        elif word == "--pdb":
            options["pdb"] = True
        elif word == "--store" or word.startswith("--store="):
            options["store"] = word[8:] if "=" in word else next(words, None)
            if not options["store"]:
                raise ConfigError("--store takes a folder or a URL, such as: --store runs")
        else:
            rest.append(word)
    return options, rest


def _leave(error: AnewError) -> NoReturn:
    errand = plan.assignment.errand
    # a re-run's files are laid out somewhere that is gone afterwards; whoever reads this knows the project's
    text = str(error) if errand is None else errand.places.as_recorded(str(error))
    sys.stderr.write(f"anew: {text}\n")
    sys.exit(error.exit_code)


def _report_fault() -> NoReturn:
    traceback.print_exc()
    sys.stderr.write(errors.fault_report())
    sys.exit(errors.EXIT_FAULT)
