"""What the classes for other libraries share: the run that they log into, and plain values."""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import FunctionType
from typing import Any

from anew.runner.errors import MissingExtraError, RunStateError
from anew.runner.run.current import current_run
from anew.runner.run.handle import Run
from anew.runner.started.start import begin_for

_DEEPEST = 6
_LONGEST = 500


def run_of(run: Run | None, name: str, config: Any = None) -> Run:
    """
    Return the run to log into: the one that is given, or that is going on, or else one that begins here.

    Args:
        run: What the user gave.
        name: The experiment that a new run is filed under.
        config: Its configuration.
    """
    if run is not None:
        return run
    try:
        return current_run()
    except RunStateError:
        return begin_for(name, config)


def missing(module: str, library: str, error: ModuleNotFoundError) -> ImportError:
    """Return the error of a module of ours whose library is not there; *error* itself, where something else is not."""
    if error.name is not None and error.name.partition(".")[0] not in (library, f"pytorch_{library}"):
        return error
    return MissingExtraError(
        f"anew.integrations.{module} needs {library}, which is not installed. To install it: pip install {library}"
    )


def numbers(values: Mapping[Any, Any]) -> dict[str, float]:
    """Return what is a number among values, by names; of tensors and arrays that which is in them."""
    found: dict[str, float] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            found.update({f"{name}/{below}": each for below, each in numbers(value).items()})
            continue
        item = getattr(value, "item", None)
        try:
            number = item() if callable(item) else value
        except (RuntimeError, ValueError, TypeError):
            continue  # a tensor of several
        if isinstance(number, (bool, int, float)):
            found[str(name)] = number
    return found


def plain(value: Any, depth: int = 0) -> Any:
    """Return a setting as a plain value; of an object that is none, what it is called."""
    if value is None or isinstance(value, (bool, int, str)):
        return value if type(value) in (type(None), bool, int, str) else str(value)[:_LONGEST]
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else str(value)
    if depth < _DEEPEST and isinstance(value, Mapping):
        return {str(key): plain(each, depth + 1) for key, each in value.items()}
    if depth < _DEEPEST and isinstance(value, (list, tuple, set, frozenset)):
        items = sorted(value, key=repr) if isinstance(value, (set, frozenset)) else value
        return [plain(each, depth + 1) for each in items]
    if depth < _DEEPEST and hasattr(value, "__dict__") and type(value).__name__ in ("Namespace", "SimpleNamespace"):
        return plain(vars(value), depth + 1)
    if isinstance(value, (type, FunctionType)):
        return value.__qualname__
    item = getattr(value, "item", None)
    if callable(item) and getattr(value, "shape", None) == ():
        return plain(item(), depth + 1)
    return type(value).__qualname__
