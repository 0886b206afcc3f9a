"""What a job of Slurm's does: start the process that runs a job of a sweep, and say how that ended."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Sequence

_TAIL_BYTES = 4096


def run(command: Sequence[str]) -> tuple[int, str]:
    """
    Run a command; return its exit code and the end of what it printed.

    It ends with this process, by the end of its stdin. Signals of Slurm's reach it by themselves, as they are sent to
    every process of the job; this one stays to tell of its end.
    """
    with tempfile.TemporaryFile() as said:
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=said, stderr=subprocess.STDOUT) as process:
            # not `communicate`, and no `with` around the waiting: its stdin stays open until it has ended
            code = _wait_out(process)
        said.seek(max(0, said.seek(0, 2) - _TAIL_BYTES))
        return code, said.read().decode("utf-8", "replace")


def _wait_out(process: subprocess.Popen[bytes]) -> int:
    while True:
        try:
            return process.wait()
        except KeyboardInterrupt:
            continue
