"""The room's door: read what was decorated, and run it. Importing this module imports no Hydra."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from anew.runner.config.compose.turns import Turns
from anew.runner.config.direct.base import keep_base, kept_base
from anew.runner.config.direct.command import Plain, could_be_plain, understood
from anew.runner.config.direct.running import run as run_plain
from anew.runner.config.hooks import ComposedJob, Due, JobHooks, Launching, Recorded, SweepHooks, Ticket, Undue
from anew.runner.config.private.versions import supported
from anew.runner.config.signature.hints import UnresolvedError, are_known, hints_of
from anew.runner.config.signature.spec import UNSET, Form, TaskSpec, task_spec
from anew.runner.lazy.modules import later

if TYPE_CHECKING:
    from anew.runner.config.direct import apart
else:
    # the first call of an installation has use for it
    apart = later("anew.runner.config.direct.apart")

__all__ = [
    "UNSET",
    "ComposedJob",
    "Due",
    "Form",
    "JobHooks",
    "Launching",
    "Recorded",
    "SweepHooks",
    "TaskSpec",
    "Ticket",
    "Undue",
    "UnresolvedError",
    "are_known",
    "hints_of",
    "run_app",
    "run_job",
    "task_spec",
]

_turns = Turns()


def run_app(
    spec: TaskSpec,
    argv: Sequence[str],
    hooks: JobHooks,
    *,
    interactive: bool,
    cache: Path | None = None,
    recorded: Recorded | None = None,
) -> Any:
    """
    Do what `python train.py ARGV` does, or the same from Python. Calls from several threads wait for each other.

    Args:
        spec: Main and where its configuration comes from.
        argv: Hydra's flags and overrides, without the program's name.
        hooks: Records the jobs.
        interactive: Called from Python: what main raises is raised as it is, nothing is printed, and the logging of the
            process is put back. Otherwise main's failure is printed as Hydra prints it.
        cache: A folder for what only saves time; None for none, and for Hydra each time.
        recorded: What a run's configuration was, to have it again; *argv* then holds flags and overrides of the `anew`
            node alone.

    Returns:
        What main returned; for a sweep its record; None for `--cfg`, `--help` and the like.

    Raises:
        ConfigError: The configuration cannot be composed, or main cannot be called with it; nothing was written.
        UnsupportedVersionError: Hydra or OmegaConf is there in a version that cannot be used.
        SystemExit: With 1 after main failed, unless *interactive*; as argparse and Hydra leave after `--help`.
        Exception: Whatever a hook raises; whatever main raises, when *interactive*.
    """
    with _turns.turn():
        # where Hydra is there, its store may hold what nobody sees from outside, and most of its price is paid
        is_first = "hydra" not in sys.modules and recorded is None
        if is_first and cache is not None and (plain := _plain(spec, argv, cache, interactive)) is not None:
            return run_plain(spec, plain, hooks, interactive=interactive)
        with supported():
            # Hydra comes with it, which a main that is only decorated, or whose configuration is plain, does without
            from anew.runner.config.app import run
        if is_first and cache is not None and could_be_plain(spec, argv):
            _keep_base(cache, spec.version_base)
        return run(spec, argv, hooks, interactive=interactive, recorded=recorded)


def _plain(spec: TaskSpec, argv: Sequence[str], cache: Path, interactive: bool) -> Plain | None:
    """Return what a command line comes to without Hydra; None where that is for Hydra to say."""
    plain = understood(spec, argv, cache)
    if plain is None and interactive and could_be_plain(spec, argv) and apart.has_kept_apart(cache, spec.version_base):
        return understood(spec, argv, cache)
    return plain


def _keep_base(cache: Path, version_base: str | None) -> None:
    """Have the next command line do without Hydra."""
    if kept_base(cache, version_base) is not None:
        return
    # as Hydra
    from anew.runner.config.compose.based import made_base

    base = made_base(version_base)
    if base is not None:
        keep_base(cache, version_base, base)


def run_job(spec: TaskSpec, ticket: Ticket, hooks: JobHooks) -> None:
    """
    Run one job of a sweep in this process, as it was composed when it was planned. How it ends is on record.

    Raises:
        AnewError: It could not be begun; JobTakenError among them.
        KeyboardInterrupt, SystemExit: It was interrupted, by SIGINT or SIGTERM, which is on record too.
    """
    with supported():
        # as above
        from anew.runner.config.batch import ticket as room
    room.run_job(spec, ticket, hooks)
