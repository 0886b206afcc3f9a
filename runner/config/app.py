"""Drive Hydra for one command line, or one call from Python.

This is what `hydra.main` does, with the same parser, loader, sweepers, launchers and job runner. Ours are
the order (a place is claimed once the configuration is sound), the arguments (given, `sys.argv` is not touched), and
one message for every error before a job starts.
"""

from __future__ import annotations

import functools
import inspect
import os
import shlex
import sys
import warnings
from argparse import ArgumentParser
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from pathlib import Path
from typing import Any, NoReturn

from hydra.core.config_search_path import ConfigSearchPath, SearchPathQuery
from hydra.core.global_hydra import GlobalHydra
from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn, configure_log, run_job
from hydra.errors import SearchPathException
from hydra.types import HydraContext, RunMode
from omegaconf import DictConfig, OmegaConf, flag_override, open_dict

from anew.runner.config.compose.helptext import tell_of_anew
from anew.runner.config.compose.inprocess import run_here, shown_hydra
from anew.runner.config.compose.jobs import Jobs
from anew.runner.config.compose.loader import OUR_GROUPS, OUR_RUN_DIR, PROVIDER, Loader, is_ours, search_path
from anew.runner.config.compose.messages import Circumstances, explained, is_our_fault, report_failure
from anew.runner.config.compose.origin import config_dir, task_name
from anew.runner.config.compose.quick import Primary, is_own
from anew.runner.config.compose.state import hydra_kept, resolve_job_dir, stored_primary
from anew.runner.config.direct.called import HookFailedError, Typed
from anew.runner.config.direct.command import primary_name
from anew.runner.config.direct.logs import logging_kept
from anew.runner.config.hooks import JobHooks, Recorded
from anew.runner.config.led import lead
from anew.runner.config.private.loading import set_version_base
from anew.runner.config.private.nodes import written_below
from anew.runner.config.private.running import (
    Again,
    Callbacks,
    Hydra,
    flush_loggers,
    hydras_help_template,
    made_parser,
    parsed_arguments,
    parser_lent,
    print_debug_info,
    records_mode_of_runs,
    rerun_of,
    shows_hydra_to_sweepers,
    validate_config_path,
)
from anew.runner.config.private.versions import supported
from anew.runner.config.replayed import replay
from anew.runner.config.signature.spec import TaskSpec
from anew.runner.config.signature.values import declared, users_part
from anew.runner.errors import AnewError, ConfigError
from anew.runner.wording import say


def run(
    spec: TaskSpec, argv: Sequence[str], hooks: JobHooks, *, interactive: bool, recorded: Recorded | None = None
) -> Any:
    """Do one command line; see `anew.runner.config.main.run_app`."""
    with ExitStack() as stack:
        stack.enter_context(hydra_kept())
        if interactive:
            stack.enter_context(logging_kept())
        args = parsed_arguments(_parser(interactive), argv)
        return _App(spec, args, hooks, interactive, recorded).main()


@contextmanager
def shown(spec: TaskSpec, argv: Sequence[str], hooks: JobHooks, folder: Path) -> Iterator[None]:
    """Have Hydra show the configuration of a job that was begun without it; see `direct.running`."""
    args = parsed_arguments(_parser(True), argv)
    with hydra_kept(), _App(spec, args, hooks, interactive=True).shown(folder):
        yield


def _parser(interactive: bool) -> ArgumentParser:
    parser = made_parser()
    if interactive:

        def refuse(message: str) -> NoReturn:
            raise ConfigError(f"The overrides cannot be read: {message}")

        parser.error = refuse  # type: ignore[method-assign]  # argparse would leave the process
    return parser


class _App:
    """One command line, one call, or a recorded configuration once more."""

    def __init__(
        self, spec: TaskSpec, args: Any, hooks: JobHooks, interactive: bool, recorded: Recorded | None = None
    ) -> None:
        self.spec = spec
        self.args = args
        self.interactive = interactive
        self.recorded = recorded
        self.ours = [each for each in args.overrides if is_ours(each)]
        self.overrides = [each for each in args.overrides if not is_ours(each)]
        if recorded is not None:
            self.overrides = [*recorded.overrides, *recorded.changes]
        self.config_name = args.config_name if args.config_name is not None else spec.config_name
        self.loader: Loader | None = None
        self.hooks = hooks
        self.typed = Typed(tuple(self.overrides), tuple(self.ours), _flags(args))
        self.jobs = Jobs(spec, hooks, self.typed, lambda: self.loader.settings if self.loader else {})

    def main(self) -> Any:
        """Do it; tell main's failure, Hydra's refusal and a fault of ours apart."""
        stopped: Exception
        try:
            set_version_base(self.spec.version_base, self.spec.function)
            return self._rerun() if self.args.experimental_rerun is not None else self._command()
        except HookFailedError as error:
            stopped = error.error
        except Exception as error:
            stopped = self._told(error)
        finally:
            self.jobs.abandon()
        if not self.interactive and any(stopped is each for each in self.jobs.raised):
            report_failure(stopped)
        raise stopped

    def _told(self, error: Exception) -> Exception:
        if isinstance(error, AnewError) or any(error is each for each in self.jobs.raised) or is_our_fault(error):
            return error
        seen = Circumstances(self.spec, self.loader, self.config_name, tuple(self.overrides))
        return explained(error, seen)

    # --- what was asked for ---------------------------------------------------------------------------------------

    def _command(self) -> Any:
        with self._begun():
            return self._asked_for()

    @contextmanager
    def _begun(self) -> Iterator[None]:
        """Have Hydra ready."""
        if self.spec.schema is None or self.config_name is not None:
            self.hydra = self._made_hydra(Primary(None, None) if self.config_name is None else None)
            yield
            return
        primary = Primary(primary_name(self.spec), declared(self.spec.schema))
        self.config_name = primary.name
        with stored_primary(primary):
            self.hydra = self._made_hydra(primary)
            yield

    @contextmanager
    def shown(self, folder: Path) -> Iterator[None]:
        """Have Hydra show the configuration of a job whose output goes to a folder, and run nothing."""
        set_version_base(self.spec.version_base)
        with self._begun():
            cfg = self._composed(RunMode.RUN)
            with open_dict(cfg.hydra.runtime):
                cfg.hydra.run.dir = cfg.hydra.runtime.output_dir = str(folder)
            OmegaConf.set_readonly(cfg.hydra, True)
            with shown_hydra(cfg):
                yield

    def _made_hydra(self, primary: Primary | None) -> Hydra:
        """Build the search path and the loader; *primary* is the primary configuration, if it is in no file."""
        path = self.args.config_path if self.args.config_path is not None else self.spec.config_path
        validate_config_path(path)
        searched = search_path(config_dir(self.spec.function, path))
        if self.args.config_dir is not None:
            folder = Path(self.args.config_dir).absolute()
            if not folder.is_dir():
                raise SearchPathException(f"Additional config directory '{folder}' not found")
            # before our groups, too, which an `anew/default.yaml` in it stands in for
            searched.prepend("command-line", f"file://{folder}", anchor=SearchPathQuery(PROVIDER, OUR_GROUPS))
        self.loader = Loader(
            searched,
            self.ours,
            schema=self.spec.schema if primary is None else None,
            check=self.jobs.check,
            primary=primary if primary is not None and self._is_quick(primary, searched) else None,
        )
        hydra = Hydra(task_name=task_name(self.spec.function), config_loader=self.loader)
        GlobalHydra.instance().initialize(hydra)
        return hydra

    def _is_quick(self, primary: Primary, searched: ConfigSearchPath) -> bool:
        """Whether more than one composition is to come, all of the same parts but the overrides."""
        if self.recorded is not None:
            return False
        repeated = self.interactive or self.args.multirun
        has_defaults_list = primary.node is not None and "defaults" in set(primary.node)
        return repeated and not has_defaults_list and is_own(searched, ("hydra", "schema", PROVIDER))

    def _asked_for(self) -> Any:
        args = self.args
        if args.help or args.hydra_help:
            show = self.hydra.app_help if args.help else self.hydra.hydra_help
            show(config_name=self.config_name, args_parser=made_parser(), args=self._plain_args())
            if args.help and not self.interactive:
                tell_of_anew(self.spec, self._has_hydras_help())
            return None if self.interactive else sys.exit(0)
        self._refuse_contradictions()
        if args.cfg:
            return self._show_cfg()
        if args.shell_completion:
            with parser_lent():
                return self.hydra.shell_completion(config_name=self.config_name, overrides=self.overrides)
        if args.info:
            return self.hydra.show_info(args.info, config_name=self.config_name, overrides=self.overrides)
        return self._run_or_sweep()

    def _has_hydras_help(self) -> bool:
        """Whether nobody has set another template for what --help shows."""
        cfg = self.hydra.compose_config(self.config_name, self.overrides, RunMode.RUN)
        return bool(written_below(cfg.hydra.help, "template") == hydras_help_template())

    def _plain_args(self) -> Any:
        """Return the arguments without overrides of the `anew` node."""
        self.args.overrides = self.overrides
        return self.args

    def _refuse_contradictions(self) -> None:
        args = self.args
        if args.resolve and not args.cfg:
            raise ConfigError("The --resolve flag can only be used in conjunction with --cfg or --help")
        if args.run + bool(args.cfg) + args.multirun + args.shell_completion + (args.info is not None) > 1:
            raise ConfigError("Only one of --run, --multirun, --cfg, --info and --shell_completion can be specified")

    def _show_cfg(self) -> None:
        self.hydra.show_cfg(
            config_name=self.config_name,
            overrides=self.overrides,
            cfg_type=self.args.cfg,
            package=self.args.package,
            resolve=self.args.resolve,
        )

    # --- run and sweep --------------------------------------------------------------------------------------------

    def _run_or_sweep(self) -> Any:
        """Composed once where `hydra.main` composes twice, the first time for the mode alone."""
        if self.recorded is not None:
            return self._run_recorded(self._as_recorded(self.recorded))
        if self.args.multirun:
            return self._sweep()
        try:
            cfg = self._composed(RunMode.RUN)
        except Exception:
            if not self._is_multirun():
                raise
            return self._sweep()
        return self._sweep() if cfg.hydra.mode == RunMode.MULTIRUN else self._run(cfg)

    def _is_multirun(self) -> bool:
        """Whether the configuration chooses a sweep, which `a=1,2` can be part of."""
        try:
            cfg = self.hydra.compose_config(
                config_name=self.config_name,
                overrides=self.overrides,
                run_mode=RunMode.MULTIRUN,
                validate_sweep_overrides=False,
            )
        except Exception:
            return False
        return bool(cfg.hydra.mode == RunMode.MULTIRUN)

    def _as_recorded(self, was: Recorded) -> DictConfig:
        """Return a recorded configuration, in a job of its own."""
        assert self.loader is not None
        loader = self.loader

        def compose(overrides: Sequence[str] | None) -> DictConfig:
            name = None if overrides is None else self.config_name
            return loader.load_configuration(name, list(overrides or ()), RunMode.RUN)

        cfg, self.jobs.notes = replay(was, compose, loader.apply)
        has_own_folder = cfg.hydra.job.chdir and written_below(cfg.hydra.run, "dir") != OUR_RUN_DIR
        with flag_override(cfg, ["struct", "readonly"], [False, False]):
            cfg.hydra.mode = RunMode.RUN
            if was.job is not None:
                cfg.hydra.job.id, cfg.hydra.job.num = str(was.job), was.job
            if not has_own_folder:
                cfg.hydra.run.dir = OUR_RUN_DIR
        return cfg

    def _composed(self, mode: RunMode) -> DictConfig:
        """Compose; a configuration that names no mode gets this one, and Hydra's record of it."""
        cfg = self.hydra.compose_config(config_name=self.config_name, overrides=self.overrides, run_mode=mode)
        if mode is RunMode.MULTIRUN and cfg.hydra.mode == RunMode.RUN:
            warnings.warn(
                "\n\tRunning Hydra app with --multirun, overriding with `hydra.mode=MULTIRUN`.",
                UserWarning,
                stacklevel=1,
            )
            cfg.hydra.mode = None
        if cfg.hydra.mode is None:
            cfg.hydra.mode = mode
            if mode is RunMode.MULTIRUN or records_mode_of_runs:
                cfg.hydra.overrides.hydra.append(f"hydra.mode={mode.name}")
        return cfg

    def _configure_log(self, cfg: DictConfig, mode: RunMode) -> None:
        configure_log(cfg.hydra.hydra_logging, cfg.hydra.verbose)
        print_debug_info(self.hydra, self.config_name, self.overrides, mode)

    def _context(self, cfg: DictConfig) -> HydraContext:
        assert self.loader is not None
        return HydraContext(config_loader=self.loader, callbacks=Callbacks(cfg))

    def _task(self) -> Callable[[DictConfig], Any]:
        @functools.wraps(self.spec.function)
        def task(cfg: DictConfig) -> Any:
            return self.jobs.execute(cfg)

        return task

    def _run(self, cfg: DictConfig) -> Any:
        self.jobs.check(cfg)
        self._say_what_is_in_vain()
        if not self.interactive:
            self._configure_log(cfg, RunMode.RUN)
        context = self._context(cfg)
        folder = self.jobs.claim()
        if written_below(cfg.hydra.run, "dir") == OUR_RUN_DIR:
            cfg.hydra.run.dir = str(folder)
        if self.recorded is not None:
            self._lead(cfg, self.recorded, folder)
        context.callbacks.on_run_start(config=cfg, config_name=self.config_name)
        done = self._job_done(cfg, context)
        context.callbacks.on_run_end(config=cfg, config_name=self.config_name, job_return=done)
        return done.return_value

    def _say_what_is_in_vain(self) -> None:
        """Say which settings that were typed, or that lie beside the script, are not for this run."""
        if self.recorded is not None:
            return
        for each in self.ours:
            if each.lstrip("+").startswith("anew.sweep."):
                say(f"{each} is for sweeps, and this is one run. For a sweep add -m, and values to sweep over: lr=1,2")
        if self.spec.config_path is None and self.args.config_path is None and self.args.config_dir is None:
            main = Path(inspect.unwrap(self.spec.function).__code__.co_filename)
            if (beside := main.with_name("anew") / "default.yaml").is_file():
                how = f"--config-dir {shlex.quote(str(main.parent))}"
                say(f"{beside} is not read, since main names no configuration folder. To have it read: {how}")

    def _run_recorded(self, cfg: DictConfig) -> Any:
        """Run a recorded configuration; a sweep's job that cannot begin fails by what stops it."""
        try:
            return self._run(cfg)
        except Exception as error:
            if self.jobs.executed or self.recorded is None or self.recorded.job is None:
                raise
            with shown_hydra(cfg):
                return self.jobs.fail(users_part(cfg), error)

    def _lead(self, cfg: DictConfig, was: Recorded, folder: Path) -> None:
        """Have what led to the recorded run's own places, or to its project's files, lead to those of this run."""
        with shown_hydra(cfg):
            output = Path(os.path.abspath(str(OmegaConf.select(cfg, "hydra.run.dir"))))
        if was.places is not None and was.own is not None and str(output) == was.own.output and was.own.is_apart:
            # the same for each run; relative paths lead from there where they led
            output = was.places.mirrored(output)
        with flag_override(cfg, ["struct", "readonly"], [False, False]):
            cfg.hydra.run.dir = str(output)
        lead(cfg, was, str(folder.parent), str(output))

    def _job_done(self, cfg: DictConfig, context: HydraContext) -> JobReturn:
        if self.interactive:
            return run_here(self._task(), cfg, context.callbacks, self.jobs.have_texts)
        return run_job(
            task_function=self._task(),
            config=cfg,
            job_dir_key="hydra.run.dir",
            job_subdir_key=None,
            hydra_context=context,
        )

    def _sweep(self) -> Any:
        cfg = self._composed(RunMode.MULTIRUN)
        self._configure_log(cfg, RunMode.MULTIRUN)
        resolve_job_dir(self.jobs.job_dir)
        with shown_hydra(cfg) if shows_hydra_to_sweepers else nullcontext():
            return self._conducted(cfg)

    def _conducted(self, cfg: DictConfig) -> Any:
        with supported():
            from anew.runner.config.batch.sweeping import Sweeping
        assert self.loader is not None
        context = self._context(cfg)
        context.callbacks.on_multirun_start(config=cfg, config_name=self.config_name)
        sweeper = Plugins.instance().instantiate_sweeper(config=cfg, hydra_context=context, task_function=self._task())
        arguments: Any = OmegaConf.to_container(cfg.hydra.overrides.task, resolve=False)
        sweeping = Sweeping(self.spec, self.loader, cfg, sweeper, self.hooks, self.typed, interactive=self.interactive)
        done = sweeping.run(arguments)
        context.callbacks.on_multirun_end(config=cfg, config_name=self.config_name)
        if sweeping.failure is not None and not self.interactive:
            # told at the end, as Hydra does, and in its words
            sys.stderr.write(f"Error executing job with overrides: {list(sweeping.failed)}\n")
            self.jobs.raised.append(sweeping.failure)
            raise sweeping.failure
        return done

    def _rerun(self) -> Any:
        """Hydra's own, experimental: a job from a pickled configuration, or composed again, as its version has it."""
        again = rerun_of(self.args.experimental_rerun, self.args.overrides)
        if again.cfg is None:
            return self._command_again(again)
        result = self.jobs.execute(again.cfg)
        flush_loggers()
        return result

    def _command_again(self, again: Again) -> Any:
        if self.args.multirun or self.args.config_name is not None:
            flag = "--multirun" if self.args.multirun else "--config-name"
            raise ConfigError(f"--experimental-rerun does not support {flag}")
        self.overrides = [each for each in again.overrides if not is_ours(each)]
        if self.spec.schema is None or again.config_name != primary_name(self.spec):
            self.config_name = again.config_name
        return self._command()


def _flags(args: Any) -> tuple[str, ...]:
    """Return the flags that choose the configuration, as they could be typed."""
    given = {"--config-path": args.config_path, "--config-name": args.config_name, "--config-dir": args.config_dir}
    return tuple(word for flag, value in given.items() if value is not None for word in (flag, str(value)))
