"""
A sweep: what Hydra's sweeper sees as its launcher, and what Hydra's launchers see as the task.

Every job is composed once, when it is planned. Launchers of ours run what was composed then; those of Hydra's compose
again, in the process that runs the job, and are held to the plan.
"""

from __future__ import annotations

import itertools
import logging
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.utils import JobReturn, JobStatus, filter_overrides
from hydra.errors import HydraException
from hydra.plugins.sweeper import Sweeper
from omegaconf import DictConfig

from anew.runner.config.batch.composing import Composing
from anew.runner.config.batch.launching import launching
from anew.runner.config.batch.packed import pack_shared
from anew.runner.config.batch.planning import counted
from anew.runner.config.batch.queue import Tickets
from anew.runner.config.batch.searching import Ground, refuse_direction
from anew.runner.config.batch.ticket import ForeignTask, JobFailedError, run_job, run_job_apart
from anew.runner.config.compose.inprocess import shown_hydra
from anew.runner.config.compose.loader import OUR_SWEEP_DIR, Loader
from anew.runner.config.compose.messages import Circumstances, explained, is_our_fault
from anew.runner.config.compose.quick import Bases
from anew.runner.config.direct.called import HookFailedError, Typed, hooked
from anew.runner.config.hooks import Due, JobHooks, SweepHooks, Ticket, Undue
from anew.runner.config.private.nodes import written_below
from anew.runner.config.private.sweeps import LAUNCHER_LOG, batches, empty_sweeps, is_basic
from anew.runner.config.signature.spec import TaskSpec
from anew.runner.config.signature.values import recorded, users_part
from anew.runner.errors import EXIT_FAILED, AnewError, ConfigError, SweepStoppedError
from anew.runner.format import serial
from anew.runner.format.values import encode
from anew.runner.lazy.patterns import regexp
from anew.runner.records import Status
from anew.runner.sweep_records import PlannedJob, SweepRecord
from anew.runner.wording import without_noise

_ESCAPED = regexp(r"\\([\\()\[\]{}:=, \t])")
_log = logging.getLogger(LAUNCHER_LOG)


class _StopSweepError(BaseException):
    """Takes the end of a sweep past the sweeper, which would take an Exception for a job's."""

    def __init__(self, error: SweepStoppedError) -> None:
        super().__init__(error)
        self.error = error


class Sweeping:
    """
    The jobs of one sweep, composed, planned and handed out.

    It stands in the place of the sweeper's launcher.

    Attributes:
        failure: What main raised first, of the jobs that ran in this process.
        failed: That job's overrides.
    """

    def __init__(
        self,
        spec: TaskSpec,
        loader: Loader,
        master: DictConfig,
        sweeper: Sweeper,
        hooks: JobHooks,
        typed: Typed,
        *,
        interactive: bool,
    ) -> None:
        self._spec = spec
        self._loader = loader
        self._master = master
        self._sweeper = sweeper
        self._hooks = hooks
        self._typed = typed
        self._interactive = interactive
        self._settings = dict(loader.settings)
        loader.bases = Bases()
        self._inner: Any = getattr(sweeper, "launcher", None)
        self._launching = launching(self._inner, master, typed, sweeper)
        self._composing = Composing(spec, loader, master)
        self._planned: dict[int, PlannedJob] = {}
        self._launched: set[int] = set()
        self._shared = b""
        self._sweep: SweepHooks | None = None
        self.failure: Exception | None = None
        self.failed: Sequence[str] = ()
        self._failed_index: int | None = None
        self._is_basic = is_basic(sweeper)
        self._adds = False

    def run(self, arguments: list[str]) -> SweepRecord:
        """
        Run the sweep.

        Raises:
            Exception: What Hydra refuses, before anything is written.
            SweepStoppedError: It was stopped; what was planned stays planned.
        """
        self._planned = {job.index: job for job in hooked(self._hooks.planned)}
        self._prepare()
        self._adds = hooked(self._hooks.adds)
        if self._adds and not self._is_basic:
            raise ConfigError(
                "A search chooses its jobs itself, and takes none that are added. For more of them resume it with a "
                "larger hydra.sweeper.n_trials."
            )
        if self._is_basic:
            self._compose_all(arguments)
            if not self._planned:
                raise self._nothing_to_do(arguments)
        self._refuse_no_folder()
        folder, self._sweep = hooked(self._hooks.sweep, self._settings)
        if written_below(self._master.hydra.sweep, "dir") == OUR_SWEEP_DIR:
            self._master.hydra.sweep.dir = str(folder)
        self._shared = pack_shared(self._typed, folder)
        self._launching = replace(self._launching, multirun=self._multirun())
        hooked(self._sweep.begin, self._launching, self._typed.overrides, self._typed.flags, self._typed.ours)
        self._sweeper.launcher = self  # type: ignore[assignment]  # it has what sweepers call
        try:
            hooked(self._sweep.plan, [self._planned[index] for index in sorted(self._planned)])
            if self._adds:
                return hooked(self._sweep.end, "added")
            self._sweeper.sweep(arguments=arguments)
            self._launch_rest()
        except _StopSweepError as stopped:
            record = hooked(self._sweep.end, stopped.error.reason, str(stopped.error))
            if record.status is Status.FAILED:
                stopped.error.exit_code = stopped.error.exit_code or EXIT_FAILED
            raise HookFailedError(stopped.error) from None
        except KeyboardInterrupt:
            self._sweep.end("interrupted")
            raise
        except BaseException as error:
            if not self._planned:
                with suppress(Exception):
                    self._sweep.withdraw()
                raise
            with suppress(Exception):
                self._sweep.end("interrupted" if isinstance(error, SystemExit) else "failed", _line(error))
            raise
        return hooked(self._sweep.end, "done")

    def _prepare(self) -> None:
        """Have a sweeper of ours look at what it stands on, and hold any to what is best by the settings."""
        asked = self._settings.get("sweep", {}).get("direction")
        direction = asked if asked in ("minimize", "maximize") else None
        if hasattr(self._sweeper, "prepare"):
            self._sweeper.prepare(
                Ground(
                    direction=direction,
                    beside=self._beside(),
                    has_begun=bool(self._planned),
                    is_group=lambda key: bool(self._loader.get_group_options(key)) if key else False,
                    composed=lambda words: self._tried(self._loader.load_unchecked, words),
                    check=lambda words: self._tried(self._loader.load_sweep_config, words),
                    earlier=lambda where: hooked(self._hooks.earlier, self._settings, where),
                )
            )
        self._launching = launching(self._inner, self._master, self._typed, self._sweeper)
        if direction is not None and self._launching.direction not in (None, direction):
            raise refuse_direction(direction, self._launching.direction)

    def _beside(self) -> int:
        """Return how many jobs there are to be at a time, as far as that is known: 2 for more than one."""
        if self._launching.engine is None:
            return int(getattr(self._sweeper, "n_jobs", 1) or 1)
        workers = self._settings.get("sweep", {}).get("workers")
        return int(workers) if isinstance(workers, int) else 1 if self._launching.engine == "local" else 2

    def _tried(self, load: Callable[[DictConfig, list[str]], DictConfig], words: Sequence[str]) -> DictConfig:
        """Compose a job that is not to be run. Raises ConfigError, of what Hydra raises."""
        try:
            return load(self._master, [_as_typed(each) for each in words])
        except Exception as error:
            raise self._told(error, words) from error

    def _told(self, error: Exception, words: Sequence[str]) -> Exception:
        if isinstance(error, AnewError) or is_our_fault(error):
            return error
        name = self._master.hydra.job.config_name
        return explained(error, Circumstances(self._spec, self._loader, name, tuple(words)))

    def _refuse_no_folder(self) -> None:
        """Have Hydra say what is wrong with `hydra.sweep.dir` while there is nothing that it would leave behind."""
        if written_below(self._master.hydra.sweep, "dir") != OUR_SWEEP_DIR:
            with shown_hydra(self._master):
                str(self._master.hydra.sweep.dir)

    def _compose_all(self, arguments: list[str]) -> None:
        jobs = list(itertools.chain(*batches(self._sweeper, self._loader, arguments)))
        if self._adds:
            self._compose_added(jobs)
            return
        for index, overrides in counted(jobs, quiet=bool(self._settings.get("quiet"))):
            if index not in self._planned:
                self._compose(index, overrides)

    def _compose_added(self, jobs: Sequence[Sequence[str]]) -> None:
        """Compose the jobs that the sweep has not; numbered on from those that it has."""
        known = {_key(job.config) for job in self._planned.values()}
        first = index = max(self._planned, default=-1) + 1
        for overrides in jobs:
            self._compose(index, overrides)
            if _key(self._planned[index].config) in known:
                del self._planned[index]
                continue
            known.add(_key(self._planned[index].config))
            index += 1
        if index == first:
            raise ConfigError("There is nothing to add: the sweep has all jobs of that configuration.")

    def _nothing_to_do(self, arguments: list[str]) -> ConfigError:
        empty = empty_sweeps(self._sweeper, self._loader, arguments)
        return ConfigError(f"There is nothing to run. Swept over nothing: {', '.join(empty) or 'the whole sweep'}")

    def _multirun(self) -> Path | None:
        # what is wrong with it is Hydra's to say
        with suppress(Exception), shown_hydra(self._master):
            return Path(os.path.abspath(str(self._master.hydra.sweep.dir)), "multirun.yaml")
        return None

    # --- what a sweeper calls -------------------------------------------------------------------------------------

    def __getattr__(self, name: str) -> Any:
        """Let a sweeper find what else its launcher has."""
        return getattr(self._inner, name)

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> list[JobReturn]:
        """Run a batch of jobs; return how they ended, in order."""
        sweep = self._began
        indices = [self._plan(initial_job_idx + offset, overrides) for offset, overrides in enumerate(job_overrides)]
        self._launched.update(indices)
        if self._launching.engine is None:
            for index in indices:
                # Hydra's launchers would compose it again
                if self._planned[index].refused and isinstance(ticket := self._ticket(index), Ticket):
                    self._run_here(ticket)
            while due := [index for index in indices if isinstance(hooked(sweep.due, index), Due)]:
                for first, count in _stretches(due):
                    self._launch_foreign(first, count)
        else:
            if self._is_here:
                _log.info(f"Launching {len(job_overrides)} jobs locally")
            rest = iter(indices)
            self._conduct(Tickets(self._ticket, lambda: next(rest, None), _nothing), _nothing)
        return [self._returned(index) for index in indices]

    def _launch_rest(self) -> None:
        """Run what is planned and no job of the sweeper's: somebody added it to the plan, and was trusted."""
        if self._is_basic:
            for index in sorted(set(self._planned) - self._launched):
                self.launch([self._planned[index].overrides], index)

    @property
    def _is_here(self) -> bool:
        """Whether jobs run in this process, as they would with Hydra's own launcher, and are announced in its words."""
        if self._settings.get("quiet") or self._interactive:
            return False
        return self._launching.engine == "local" and self._settings.get("sweep", {}).get("workers") is None

    def stream(self, ask: Callable[[], Sequence[str] | None], tell: Callable[[int, JobReturn], object]) -> None:
        """
        Run jobs that are chosen one by one.

        Args:
            ask: Gives the overrides of the next job, None for no more; called before earlier jobs have ended.
            tell: Called with a job's index, from 0 in the order of asking, and how it ended.
        """
        if self._launching.engine is None:
            self._stream_in_batches(ask, tell)
            return
        count = itertools.count()

        def more() -> int | None:
            overrides = ask()
            return None if overrides is None else self._plan(next(count), overrides)

        def over(index: int) -> None:
            tell(index, self._returned(index))

        self._conduct(Tickets(self._ticket, more, over), over)

    def _stream_in_batches(self, ask: Any, tell: Any) -> None:
        size = int(getattr(self._sweeper, "n_jobs", 1) or 1)
        first = 0
        while batch := [each for each in (ask() for _ in range(size)) if each is not None]:
            for offset, done in enumerate(self.launch(batch, first)):
                tell(first + offset, done)
            first += len(batch)

    def recorded(self, index: int) -> JobReturn | None:
        """Return how a job ended that an earlier start of the sweep ran; None when it is to be run in this one."""
        is_over = hooked(self._began.due, index) is Undue.NOT_DUE
        return None if not is_over or not hooked(self._began.job, index).status.final else self._returned(index)

    def _returned(self, index: int) -> JobReturn:
        """Return how a job ended, as on record; asking for the result of one that failed raises JobFailedError."""
        done = JobReturn(overrides=list(self._planned[index].overrides))
        if self._is_basic:
            # that one has no use for results, and would end the sweep at the first failure
            done.return_value, done.status = None, JobStatus.COMPLETED
            return done
        job = hooked(self._began.job, index)
        if job.status is Status.COMPLETED:
            done.return_value, done.status = job.result, JobStatus.COMPLETED
            vars(done)["metrics"] = job.metrics  # for a search that goes by one of them
        else:
            done.return_value, done.status = JobFailedError(f"{job.status}: {job.error}"), JobStatus.FAILED
        return done

    @property
    def _began(self) -> SweepHooks:
        assert self._sweep is not None
        return self._sweep

    def _conduct(self, following: Callable[[], Ticket | None], tell: Callable[[int], object]) -> None:
        try:
            hooked(self._began.conduct, following, self._run_here, tell)
        except HookFailedError as error:
            if isinstance(error.error, SweepStoppedError):
                raise _StopSweepError(error.error) from None
            raise

    # --- planning -------------------------------------------------------------------------------------------------

    def _plan(self, index: int, overrides: Sequence[str]) -> int:
        if index not in self._planned:
            try:
                self._compose(index, overrides)
            except Exception as error:
                told = self._told(error, overrides)
                # what none of its jobs can do, is no job's failure
                if not self._planned or not isinstance(told, ConfigError):
                    raise told from error
                self._refuse(index, [_as_typed(each) for each in overrides], told)
            hooked(self._began.plan, [self._planned[index]])
        return index

    def _refuse(self, index: int, words: Sequence[str], error: ConfigError) -> None:
        """Plan a job that cannot be composed: it is to fail by that, and the others go on."""
        line = " ".join(each.strip() for each in error.message.splitlines() if each.strip())
        with shown_hydra(self._master):
            config = recorded(users_part(self._master))
        self._planned[index] = PlannedJob(index=index, overrides=tuple(words), config=config, refused=line)

    def _compose(self, index: int, overrides: Sequence[str]) -> None:
        words = tuple(map(_as_typed, overrides))
        self._planned[index] = PlannedJob(index=index, overrides=words, config=self._composing.compose(index, words))

    def _ticket(self, index: int) -> Ticket | Undue:
        """Return what a job is run by, or why it is not to be run now."""
        due = hooked(self._began.due, index)
        if isinstance(due, Undue):
            return due
        job = self._planned[index]
        return Ticket(
            index=index,
            attempt=due.attempt,
            overrides=job.overrides,
            packed=self._composing.packed(job),
            shared=self._shared,
            refused=job.refused,
        )

    def _run_here(self, ticket: Ticket) -> str:
        """Run a job; return what ended its process, where it has one of its own and did not come to its end."""
        if self._is_here:
            words = filter_overrides(ticket.overrides)
            # what was typed is told as it was typed; what a search has drawn is noise from some digit on
            _log.info(f"\t#{ticket.index} : {' '.join(words if self._is_basic else map(without_noise, words))}")
        if getattr(self._spec.function, "runs_apart", False) and not self._interactive:
            return run_job_apart(self._spec, ticket, self._hooks)
        failure = run_job(self._spec, ticket, self._hooks)
        if self._failed_index not in (None, ticket.index):
            return ""
        # of one that is begun again, what counts is how it ended last
        self.failure, self._failed_index = None, None
        if isinstance(failure, Exception):
            self.failure, self.failed, self._failed_index = failure, filter_overrides(ticket.overrides), ticket.index
        return ""

    # --- launchers of Hydra's -------------------------------------------------------------------------------------

    def _launch_foreign(self, first: int, count: int) -> None:
        sweep, inner = self._began, self._inner
        indices = range(first, first + count)
        plan = {index: self._planned[index] for index in indices}
        task = ForeignTask(self._spec, self._hooks, self._typed, plan, self._settings)
        inner.task_function = task
        self._loader.planned = task.planned

        def launch() -> None:
            inner.launch([list(plan[index].overrides) for index in indices], initial_job_idx=first)

        try:
            hooked(sweep.watch, launch, list(indices))
        except HookFailedError as error:
            if isinstance(error.error, SweepStoppedError):
                raise _StopSweepError(error.error) from None
            raise
        finally:
            self._loader.planned = None


def _as_typed(word: str) -> str:
    r"""Return an override without what a sweeper escapes needlessly: of `x=${oc.env:A}` it makes `x=$\{oc.env\:A\}`."""
    if "\\" not in word:
        return word
    plain = _ESCAPED.sub(r"\1", word)
    with suppress(HydraException):
        ours, theirs = OverridesParser.create().parse_overrides([plain, word])
        if replace(ours, input_line=None) == replace(theirs, input_line=None):
            return plain
    return word


def _key(config: Mapping[str, Any]) -> str:
    return serial.dumps(encode(config))


def _stretches(indices: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Yield (first, count) of numbers that follow each other: a launcher of Hydra's counts on from the first."""
    for _, group in itertools.groupby(enumerate(indices), key=lambda pair: pair[1] - pair[0]):
        members = [index for _, index in group]
        yield members[0], len(members)


def _nothing(index: int) -> None:
    return


def _line(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}".split("\n")[0]
