"""
The one door to what not every POSIX system has.

On Linux it leads to `linux`, where a process is asked for in /proc, told of by a pidfd, and files share their blocks;
on every other system to `posix`, which does the same by what they all have and by psutil, more slowly or less exactly
as its functions say. With ANEW_POSIX_ONLY in the environment it is closed on Linux as well, in this process and those
that it starts: the tests go round by the other way so, and whoever suspects the quick one can.
"""

from __future__ import annotations

import os
import sys

CLOSED = not sys.platform.startswith("linux") or bool(os.environ.get("ANEW_POSIX_ONLY"))

# not told apart by sys.platform alone, so that type checkers hold both to the same signatures
if CLOSED:
    from anew.runner.kernel.posix import (
        MOUNTS,
        SYSTEM_FOLDERS,
        allocate,
        allow_tracing,
        allowed_cores,
        below,
        boot_id,
        cpu_model,
        end_other_with,
        end_with,
        end_with_start,
        first_uses,
        is_held,
        kill,
        limit_written,
        mapped_files,
        memory_bytes,
        memory_limits,
        nameless_file,
        names_of,
        open_process,
        open_switch,
        open_watch,
        path_of,
        share_blocks,
        state_of,
        sync_data,
        threads,
        tracers,
        unnamed_file,
        usage_of_tree,
        was_rebooted,
        watch_first_use,
    )
else:
    from anew.runner.kernel.linux import (
        MOUNTS,
        SYSTEM_FOLDERS,
        allocate,
        allow_tracing,
        allowed_cores,
        below,
        boot_id,
        cpu_model,
        end_other_with,
        end_with,
        end_with_start,
        first_uses,
        is_held,
        kill,
        limit_written,
        mapped_files,
        memory_bytes,
        memory_limits,
        nameless_file,
        names_of,
        open_process,
        open_switch,
        open_watch,
        path_of,
        share_blocks,
        state_of,
        sync_data,
        threads,
        tracers,
        unnamed_file,
        usage_of_tree,
        was_rebooted,
        watch_first_use,
    )

__all__ = [
    "CLOSED",
    "MOUNTS",
    "SYSTEM_FOLDERS",
    "allocate",
    "allow_tracing",
    "allowed_cores",
    "below",
    "boot_id",
    "cpu_model",
    "end_other_with",
    "end_with",
    "end_with_start",
    "first_uses",
    "is_held",
    "kill",
    "limit_written",
    "mapped_files",
    "memory_bytes",
    "memory_limits",
    "nameless_file",
    "names_of",
    "open_process",
    "open_switch",
    "open_watch",
    "path_of",
    "share_blocks",
    "state_of",
    "sync_data",
    "threads",
    "tracers",
    "unnamed_file",
    "usage_of_tree",
    "was_rebooted",
    "watch_first_use",
]
