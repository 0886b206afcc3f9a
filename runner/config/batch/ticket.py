"""One job of a sweep, in the process that runs it: a ticket of ours, or the task of one of Hydra's launchers."""

from __future__ import annotations

import copy
import functools
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from hydra.core.global_hydra import GlobalHydra
from hydra.core.utils import filter_overrides
from omegaconf import DictConfig, OmegaConf, flag_override

from anew.runner.config.batch.alike import JobAlike, number
from anew.runner.config.batch.packed import unpack, unpack_shared
from anew.runner.config.batch.searching import storage_of
from anew.runner.config.compose.inprocess import run_here, shown_hydra
from anew.runner.config.compose.jobs import Jobs
from anew.runner.config.compose.loader import OUR_SWEEP_DIR
from anew.runner.config.compose.messages import report_failure
from anew.runner.config.compose.state import hydra_kept, resolve_job_dir
from anew.runner.config.direct.called import HookFailedError, Typed
from anew.runner.config.direct.logs import logging_kept
from anew.runner.config.hooks import JobHooks, Recorded, Ticket
from anew.runner.config.private.loading import register_resolvers, set_job_name, set_version_base
from anew.runner.config.private.nodes import written_below
from anew.runner.config.private.running import Callbacks
from anew.runner.config.replayed import replay
from anew.runner.config.signature.spec import TaskSpec
from anew.runner.config.signature.values import recorded, users_part
from anew.runner.errors import ConfigError
from anew.runner.format import ids
from anew.runner.guard.forked import run_forked
from anew.runner.guard.interrupts import Terminated, ToldToEnd
from anew.runner.sweep_records import PlannedJob


def as_planned(
    master: DictConfig, job: PlannedJob, compose: Callable[[], DictConfig]
) -> tuple[DictConfig, tuple[str, ...]]:
    """
    Return a job's configuration as it was planned, whatever has become of the files since, and notes where it has.

    Args:
        master: The sweep's own configuration, which stands in for one that does not compose any more.
        job: What was planned.
        compose: Composes the job from the files as they are.
    """
    try:
        cfg = compose()
    except Exception:
        cfg = copy.deepcopy(master)
        with flag_override(cfg, ["struct", "readonly"], [False, False]):
            cfg.hydra.overrides.task = list(job.overrides)
    number(cfg, job.index)
    with shown_hydra(cfg):
        if recorded(users_part(cfg)) == job.config:
            return cfg, ()
    was = Recorded(ref=f"job {job.index}", config=job.config, overrides=job.overrides)
    cfg, notes = replay(was, lambda overrides: cfg, lambda overrides, made: None)
    return cfg, notes or ("The configuration was edited after it was planned; main is given the plan's.",)


_kept: dict[tuple[int, str], Jobs] = {}


class JobFailedError(Exception):
    """How a job came to its end, in words: what main raised may not be fit to be sent to another process."""


def run_job(spec: TaskSpec, ticket: Ticket, hooks: JobHooks) -> BaseException | None:
    """Run one job of a sweep in this process; return what main raised. See `anew.runner.config.main.run_job`."""
    shared = unpack_shared(ticket.shared)
    job = _job_of(ticket)
    jobs = Jobs(spec, hooks, shared.typed, lambda: job.settings)
    conducting = GlobalHydra.instance().hydra
    with hydra_kept(), logging_kept():
        if conducting is not None:
            # in the process that hands the jobs out, as in Hydra's own sweeps: main may compose with it
            GlobalHydra.instance().initialize(conducting)
        set_version_base(spec.version_base)
        register_resolvers()
        resolve_job_dir(jobs.job_dir)
        set_job_name(job.name)
        try:
            job.run(jobs, shared.sweep_dir)
        except HookFailedError as error:
            raise error.error from None
        except ToldToEnd as error:
            return error
        except (KeyboardInterrupt, Terminated):
            raise
        except BaseException as error:
            if not jobs.executed:
                raise
            return error
        finally:
            jobs.abandon()
    return None


def run_job_apart(spec: TaskSpec, ticket: Ticket, hooks: JobHooks) -> str:
    """
    Run one job of a program in a process of its own, forked for it; return what ended that before its end, if so.

    A program takes for granted that it has an interpreter to itself: the modules that it imported, and what it set in
    libraries, would be there for the next job else. What main raised is told there.
    """

    def work() -> None:
        failure = run_job(spec, ticket, hooks)
        if isinstance(failure, Exception):
            sys.stderr.write(f"Error executing job with overrides: {filter_overrides(ticket.overrides)}\n")
            with suppress(SystemExit):
                report_failure(failure)

    ended = run_forked(work)
    # one that was interrupted has that on record, as any that is ended from outside
    if isinstance(ended.error, Exception):
        raise ended.error
    return "" if ended.is_told else ended.death


def _job_of(ticket: Ticket) -> JobAlike | _Composed:
    found = unpack(ticket.packed)
    if isinstance(found, JobAlike):
        return found
    cfg, settings = found
    return _Composed(cfg, settings, ticket.refused)


class _Composed:
    """A job as it was composed, with which all steps of Hydra's job runner are gone through."""

    def __init__(self, cfg: DictConfig, settings: Mapping[str, Any], refused: str) -> None:
        self._cfg = cfg
        self._refused = refused
        self.settings = settings
        self.name = str(cfg.hydra.job.name)

    def run(self, jobs: Jobs, sweep_dir: Path) -> None:
        """Run it; one that cannot begin fails by what stops it, as one that main fails."""
        cfg = self._cfg
        if written_below(cfg.hydra.sweep, "dir") == OUR_SWEEP_DIR:
            with flag_override(cfg, ["struct", "readonly"], [False, False]):
                cfg.hydra.sweep.dir = str(sweep_dir)
        storage_of(cfg)
        try:
            if self._refused:
                raise ConfigError(self._refused)
            run_here(_task(jobs), cfg, Callbacks(cfg), jobs.have_texts, _sweep_place)
        except Exception as error:
            if jobs.executed:
                raise
            with shown_hydra(cfg):
                jobs.fail(users_part(cfg), error)


def _task(jobs: Jobs) -> Callable[[DictConfig], Any]:
    """Return what callbacks see as the task function."""

    @functools.wraps(jobs.spec.function)
    def task(cfg: DictConfig) -> Any:
        return jobs.execute(cfg)

    return task


def _sweep_place(cfg: DictConfig) -> Path:
    return Path(str(OmegaConf.select(cfg, "hydra.sweep.dir")), str(OmegaConf.select(cfg, "hydra.sweep.subdir")))


class ForeignTask:
    """
    The task function as a launcher of Hydra's sees it; can be pickled to the processes that it starts.

    Args:
        spec: Main and where its configuration comes from.
        hooks: Records jobs, in this process; in another one hooks are made there.
        typed: The command line.
        plan: The jobs to be run, by index.
        settings: The `anew` node.
    """

    def __init__(
        self,
        spec: TaskSpec,
        hooks: JobHooks,
        typed: Typed,
        plan: Mapping[int, PlannedJob],
        settings: Mapping[str, Any],
    ) -> None:
        self.__name__ = spec.function.__name__
        self.__module__ = spec.function.__module__
        self.__doc__ = spec.function.__doc__
        self._plan = dict(plan)
        self._typed = typed
        self._settings = dict(settings)
        self._notes: tuple[str, ...] = ()
        self._make = hooks.task()
        self._key = ids.new_uid()
        self._keep(spec, hooks)

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        # a launcher asks for the output folder before it calls the task
        resolve_job_dir(lambda num: self._here().job_dir(num))

    def __call__(self, cfg: DictConfig) -> Any:
        """
        Run one job; return what main returned, where it is plain.

        Raises:
            JobFailedError: The job failed, which is on record.
        """
        jobs = self._here()
        jobs.notes = self._notes
        try:
            return _plain(jobs.execute(cfg))
        except ToldToEnd:
            raise JobFailedError("it was told to end, as its record says") from None
        except (KeyboardInterrupt, Terminated):
            raise
        except HookFailedError as error:
            raise JobFailedError(str(error.error)) from None
        except BaseException as error:
            raise JobFailedError(f"{type(error).__name__}: {_text(error)}") from None
        finally:
            jobs.abandon()
            jobs.forget()

    def planned(self, master: DictConfig, overrides: Sequence[str], compose: Callable[[], DictConfig]) -> DictConfig:
        """Return a job's configuration as it was planned, whatever became of the files since."""
        job = next(each for each in self._plan.values() if each.overrides == tuple(overrides))
        cfg, self._notes = as_planned(master, job, compose)
        storage_of(cfg)
        return cfg

    def _here(self) -> Jobs:
        """Return the jobs of this process: launchers copy the task, and a copy must not claim a job again."""
        found = _kept.get((os.getpid(), self._key))
        return found if found is not None else self._keep(*self._make())

    def _keep(self, spec: TaskSpec, hooks: JobHooks) -> Jobs:
        jobs = _kept[os.getpid(), self._key] = Jobs(spec, hooks, self._typed, lambda: self._settings)
        resolve_job_dir(jobs.job_dir)
        return jobs


def _plain(value: Any) -> Any:
    """Return a result as other processes can have it in any case, or None."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    with suppress(TypeError, ValueError):
        return float(value)
    return None


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:
        return "?"
