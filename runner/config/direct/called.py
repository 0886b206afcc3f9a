"""The jobs of one command on their way to the hooks: places claimed for them, and main called for each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from anew.runner.config.hooks import ComposedJob, JobHooks
from anew.runner.config.signature.spec import TaskSpec
from anew.runner.dataclass import dataclass
from anew.runner.errors import UnkeptError

R = TypeVar("R")


class HookFailedError(BaseException):
    """Carries what a hook raised past Hydra, which would take it for main's failure and go on with the next job."""

    def __init__(self, error: Exception) -> None:
        super().__init__(error)
        self.error = error


@dataclass(frozen=True, slots=True)
class Typed:
    """A command line: overrides, those of the `anew` node, and Hydra's flags that choose the configuration."""

    overrides: tuple[str, ...]
    ours: tuple[str, ...]
    flags: tuple[str, ...]


class Called:
    """
    Jobs, claimed and called.

    Attributes:
        settings: Gives the `anew` node that was composed with the job at hand.
        raised: What main raised, job by job.
        executed: Whether a job was given to the hooks.
    """

    def __init__(self, spec: TaskSpec, hooks: JobHooks, settings: Callable[[], Mapping[str, Any]]) -> None:
        self.spec = spec
        self.settings = settings
        self.raised: list[BaseException] = []
        self.executed = False
        self._hooks = hooks
        self._folders: dict[int | None, Path] = {}
        self._pending = False

    def claim(self, num: int | None = None) -> Path:
        """Return the folder of a job, claimed when it is first asked for; *num* is its index in a sweep."""
        if num not in self._folders:
            self._folders[num] = hooked(self._hooks.claim, self.settings(), num is not None, num)
            self._pending = True
        return self._folders[num]

    def abandon(self) -> None:
        """Give up the place that was claimed for a job which will not be executed, if there is one."""
        if self._pending:
            self._pending = False
            self._hooks.abandon()

    def forget(self) -> None:
        """Forget the places of jobs that were executed: the same job may be run again."""
        self._folders.clear()

    def call_with(self, arguments: Mapping[str, Any]) -> Callable[[Any], Any]:
        """Return what calls main with the run that it is given."""

        def call(run: Any) -> Any:
            try:
                return self.spec.call(arguments, run)
            except BaseException as error:
                self.raised.append(error)
                raise

        return call

    def hand_over(self, job: ComposedJob) -> Any:
        """Have the hooks execute a job; return what main returned."""
        self._pending = False
        self.executed = True
        try:
            return hooked(self._hooks.execute, job, expected=self.raised)
        except HookFailedError as failed:
            if not (job.multirun and isinstance(failed.error, UnkeptError)):
                raise
            # main was called and its run has ended: that is this job's failure, and none of the sweep's
            self.raised.append(failed.error)
            raise failed.error from None


def hooked(hook: Callable[..., R], *args: Any, expected: list[BaseException] | None = None) -> R:
    """Call a hook; what it raises, but for what is *expected*, is carried past Hydra. Raises HookFailedError."""
    try:
        return hook(*args)
    except Exception as error:
        if any(error is each for each in expected or ()):
            raise
        raise HookFailedError(error) from error
