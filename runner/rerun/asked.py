"""Running a recorded run again, as Python asks for it."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

from anew.runner.rerun.conduct import run_again
from anew.runner.rerun.options import RerunOptions
from anew.runner.rerun.report import RerunResult
from anew.runner.store.run_folders import RunFolders


def rerun(
    ref: str | int,
    *overrides: str,
    store: str | os.PathLike[str] | RunFolders | None = None,
    code: str = "recorded",
    env: str = "current",
    strict: bool | str = False,
    rtol: float | None = None,
    ignore: Sequence[str] = (),
    trust_source: bool = False,
    keep: bool = False,
    twice: bool = False,
    stdout: int | None = None,
    stderr: int | None = None,
    tell: Callable[[str], object] | None = None,
) -> RerunResult:
    """
    Run a recorded run again, in a process of its own, and compare the two.

    Args:
        ref: A run number, a uid or its beginning, "last", ...
        overrides: What is to be another this time, as on the command line: "lr=0.2".
        store: The store's folder or URL, or the store; None for the default.
        code: "recorded" lays the recorded source out; "current" uses today's project.
        env: "current" uses this Python; "recorded" one with the recorded distributions, built by uv.
        strict: Refuse when anything differs that the re-run does not put right; of packages those count that the
            recorded run imported, with "all" every one.
        rtol: Relative tolerance for numbers; None for identity.
        ignore: Patterns of metrics that need not come out the same, beside the run's own; "output" is what a program
            prints.
        trust_source: Trust the source of a record that came from elsewhere, from now on.
        keep: Leave the laid-out files where they are, and say where.
        twice: Run it once more when it came out different, to tell what differs each time from what differs from the
            record.
        stdout: Where what main prints goes, as for `subprocess`; it is on record in any case.
        stderr: The same for its stderr.
        tell: Called with each line of what differs and what could not be had; None for silence.

    Raises:
        RunNotFoundError: No such run (and the other errors of `RunStore.get`).
        RerunError: It cannot be run again as asked for.
        RefusedError: `strict` or the want of trust did not let it start.
        StoreError: Files cannot be laid out.
    """
    options = RerunOptions(
        code=code,
        env=env,
        strict=strict,
        rtol=rtol,
        ignore=ignore,
        trust_source=trust_source,
        keep=keep,
        twice=twice,
    )
    return run_again(ref, overrides, options, store=store, stdout=stdout, stderr=stderr, tell=tell)
