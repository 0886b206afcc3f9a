"""
Anew: run an experiment, and run it anew.

The public names; each is loaded when it is first used, so that importing this package costs next to nothing.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

# sys.platform is bound to another name, since type checkers on other systems take what follows a test of it for dead
_SYSTEM = sys.platform
if _SYSTEM == "win32":
    raise ImportError(
        "Anew needs a POSIX system, and Windows lacks file locks (fcntl), fork and Unix signals, on which its promises "
        "rest: use it inside WSL (wsl --install, then pip install anew there)."
    )

if TYPE_CHECKING:
    from anew.runner.contracts import Observer, RunStore
    from anew.runner.errors import AnewError
    from anew.runner.experiment import Experiment
    from anew.runner.records import RunRecord
    from anew.runner.rerun.asked import rerun
    from anew.runner.rerun.report import RerunResult
    from anew.runner.run.autologged import autolog
    from anew.runner.run.current import current_run
    from anew.runner.run.handle import Run
    from anew.runner.run.watching import watch
    from anew.runner.server.notebook import ui
    from anew.runner.started.start import start
    from anew.runner.store.locate import open_store
    from anew.runner.sweep_records import SweepRecord
    from anew.runner.why.asked import why
    from anew.runner.why.explanation import Explanation

_HOMES = {
    "AnewError": "errors",
    "Experiment": "experiment",
    "Explanation": "why.explanation",
    "Observer": "contracts",
    "RerunResult": "rerun.report",
    "Run": "run.handle",
    "RunRecord": "records",
    "RunStore": "contracts",
    "SweepRecord": "sweep_records",
    "autolog": "run.autologged",
    "current_run": "run.current",
    "load_ipython_extension": "started.magic",
    "open_store": "store.locate",
    "rerun": "rerun.asked",
    "start": "started.start",
    "ui": "server.notebook",
    "watch": "run.watching",
    "why": "why.asked",
}

__all__ = [
    "AnewError",
    "Experiment",
    "Explanation",
    "Observer",
    "RerunResult",
    "Run",
    "RunRecord",
    "RunStore",
    "SweepRecord",
    "autolog",
    "current_run",
    "open_store",
    "rerun",
    "start",
    "ui",
    "watch",
    "why",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'anew' has no attribute {name!r}; it has: {', '.join(__all__)}")
    from importlib import import_module

    value = getattr(import_module(f"anew.runner.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
