"""Whether an observer can work at all, as far as that is known without importing what it is made of."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from anew.runner.dispatch.arguments import unfit_arguments
from anew.runner.errors import ConfigError, MissingExtraError
from anew.runner.lazy.patterns import regexp
from anew.runner.settings import ObserverSettings

_EXTRA = regexp(r"extra == ['\"]([\w-]+)['\"]")
_NAME = regexp(r"[\w.-]+")
# what a module may make names by that are not written in it
_MAKES_NAMES = regexp(r"import\s+\*|__getattr__|globals|setattr|exec|vars")


def refuse_impossible(observers: Iterable[ObserverSettings]) -> None:
    """
    Refuse observers that could never be built here.

    Raises:
        ConfigError: What `_target_` names is not there, or does not take its arguments.
        MissingExtraError: A library is not installed.
    """
    for each in observers:
        target = str(each.spec["_target_"])
        if why := _missing(target):
            raise ConfigError(
                f"The observer {each.name!r} cannot work: its _target_ is {target!r}, and {why}. "
                f"To see: anew check anew.observers.{each.name}._target_={target}",
                observer=each.name,
            )
        if extra := _lacking(target):
            raise MissingExtraError(
                f"The observer {each.name!r} cannot work without {extras()[extra][0]}, which is not installed. "
                f"To have it: pip install 'anew[{extra}]'",
                extra=extra,
            )
        if unfit := unfit_arguments(each.name, each.spec):
            raise ConfigError(f"The observer {each.name!r} cannot work: {unfit}", observer=each.name)


def extras() -> dict[str, list[str]]:
    """Return the distributions that each extra brings, the chief one first, as the installed package says."""
    import importlib.metadata  # sixty modules, which a run without observers does not need

    found: dict[str, list[str]] = {}
    for each in importlib.metadata.requires("anew") or ():
        extra, name = _EXTRA.search(each), _NAME.match(each)
        if extra and name and name[0] != "anew":
            found.setdefault(extra[1], []).append(name[0])
    return found


def version(distribution: str) -> str | None:
    """Return the version of what is installed; None where it is not."""
    import importlib.metadata

    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


@cache
def _missing(target: str) -> str:
    """Return what of a dotted name is not there, where that is certain; else nothing."""
    module, _, name = target.rpartition(".")
    package = module.partition(".")[0]
    if not module or package == "__main__":
        return "" if package else "it names no module"
    try:
        # of a package the part below is looked for where that imports nothing
        spec = find_spec(module if package in ("anew", module) else package)
    except (ImportError, ValueError):
        return f"there is no module {module!r}" if package == "anew" and _is_module(module) else ""
    if spec is None:
        return f"there is no module {(module if package == 'anew' else package)!r}" if _is_module(module) else ""
    if module in sys.modules:
        return "" if hasattr(sys.modules[module], name) else f"{module} has no {name}"
    if spec.name != module or not (spec.origin or "").endswith(".py"):
        return ""
    text = Path(str(spec.origin)).read_text("utf-8", "replace")
    is_written = re.search(rf"\b{re.escape(name)}\b", text) or _MAKES_NAMES.search(text)
    return "" if is_written else f"{spec.origin} has no {name}"


def _is_module(name: str) -> bool:
    """Whether the part before the last dot is a module's name, and not a class's with a method of it behind."""
    return not name.rpartition(".")[2][:1].isupper()


@cache
def _lacking(target: str) -> str | None:
    """Return the extra whose chief library one of anew's own observers lacks."""
    if not target.startswith("anew.observers."):
        return None
    import importlib.metadata

    for entry in importlib.metadata.distribution("anew").entry_points:
        if entry.group == "anew.observers" and target.startswith(f"{entry.module}.") and entry.extras:
            extra = entry.extras[0]
            return None if version(extras()[extra][0]) else extra
    return None
