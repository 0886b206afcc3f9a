"""
Hydra's own part, composed by another process: this one then needs no Hydra, now and in all runs that are to come.

A process into which Hydra was once imported asks it for each run, since its store may hold what nobody sees from
outside; that takes four times as long as a run without it. So who calls main from Python, and may do it a thousand
times, has another process ask, once for an installation.
"""

from __future__ import annotations

import json
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from anew.runner.config.direct.base import kept_base
from anew.runner.guard.detached import can_start
from anew.runner.lazy.modules import later

if TYPE_CHECKING:
    import subprocess
else:
    subprocess = later("subprocess")

_PATIENCE_S = 30
# modules are found as they are here
_CODE = """\
import json, sys
given = json.load(sys.stdin)
sys.path[:] = given["path"]
from pathlib import Path
from anew.runner.config.compose.based import made_base
from anew.runner.config.direct.base import keep_base
base = made_base(given["version_base"])
if base is not None:
    keep_base(Path(given["cache"]), given["version_base"], base)
"""


def has_kept_apart(cache: Path, version_base: str | None) -> bool:
    """Have Hydra's own part kept where it is not; return whether it is by now, and was not before. Never raises."""
    if kept_base(cache, version_base) is not None or not can_start():
        return False
    given = {"path": sys.path, "version_base": version_base, "cache": os.path.abspath(cache)}
    with suppress(OSError, ValueError, TypeError, subprocess.SubprocessError):
        subprocess.run(
            [sys.executable, *(["-B"] * sys.dont_write_bytecode), "-c", _CODE],
            input=json.dumps(given).encode(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=_PATIENCE_S,
            check=False,
        )
    return kept_base(cache, version_base) is not None
