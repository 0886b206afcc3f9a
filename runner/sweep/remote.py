"""
One job of a sweep, on the machine of a worker: `python -m anew.runner.sweep.remote STORE SWEEP INDEX ATTEMPT`.

For whatever starts processes on other machines. The store's folder is shared with this machine. The job's source is
what the sweep has on record: where it lies on this machine as it was, it is used in place, else it is laid out. The
job's own record says how it ended; this process leaves with what main's process left with. With `--while-stdin` the job
is terminated when stdin comes to its end: whoever holds the other end has died. With `--expect=DIGEST` it is run if it
is what whoever hands it out has planned, whosever key has marked it; without, if this user's has.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from anew.runner import errors
from anew.runner.errors import AnewError, StoreError
from anew.runner.store.folder import FolderStore
from anew.runner.sweep.resume import run_job

LIFELINE = "--while-stdin"
EXPECT = "--expect="


def main(words: Sequence[str]) -> int:
    """Run one job; return the exit code. An error of what was given is said on stderr, with 2."""
    expected = next((word.removeprefix(EXPECT) for word in words if word.startswith(EXPECT)), None)
    rest = [word for word in words if word != LIFELINE and not word.startswith(EXPECT)]
    try:
        root, sweep, index, attempt, *settings = rest
        numbers = int(sweep), int(index), int(attempt)
    except ValueError:
        sys.stderr.write(f"{__doc__}\n")
        return errors.EXIT_USAGE
    if LIFELINE in words:
        end_with_stdin()
    try:
        code = _run(Path(root), *numbers, settings, expected)
    except AnewError as error:
        sys.stderr.write(f"anew: {error}\n")
        return error.exit_code
    return code if code >= 0 else 128 - code  # as a shell says which signal it was


def _run(root: Path, sweep: int, index: int, attempt: int, settings: Sequence[str], expected: str | None) -> int:
    store = FolderStore.open(root)
    planned = {job.index: job for job in store.sweep_folder(sweep).planned()}
    if index not in planned:
        raise StoreError(f"Sweep {sweep} in {store.url} has no job {index}; it has {len(planned)}.")
    return run_job(store, sweep, planned[index], attempt, settings=settings, expected=expected)


def end_with_stdin() -> None:
    """Have this process terminated when its stdin comes to its end, from now on."""

    def watch() -> None:
        try:
            while os.read(0, 4096):
                pass
        except OSError:
            pass
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, daemon=True).start()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
