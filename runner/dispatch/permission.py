"""
What a store says of observers, and what of it is built.

A store may be anybody's, and to build an observer is to run code with arguments that somebody chose. So what is on
record is configuration only if this user put it there, or trusts it now; even then an observer is one that was
installed as such, or of one's own run a class of its own project. What is typed on the command line is the user's own,
and is taken as it is.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from typing import Any

from anew.runner.config.build import resolved_spec
from anew.runner.dispatch.specs import RecordedObserver, is_own_record
from anew.runner.errors import AnewError
from anew.runner.records import RunRecord
from anew.runner.store.paths import RunLayout
from anew.runner.store.registry import OBSERVERS, offers

_TARGET = "_target_"


class LeftAloneError(AnewError, PermissionError):
    """
    An observer that a store names and that is not built; the message says how to allow it.

    Attributes:
        observer: Its name.
        again: The command that allows it.
    """

    def __str__(self) -> str:
        return self.message


def permitted_spec(
    layout: RunLayout,
    observer: RecordedObserver,
    record: RunRecord,
    *,
    again: str,
    typed: Mapping[str, Any] | None = None,
    trusted: bool = False,
) -> dict[str, Any]:
    """
    Return the configuration that an observer on record may be built of.

    Args:
        layout: The run's folder.
        observer: What is on record of it.
        record: The run's, for what refers to its configuration.
        again: The command that is to be typed, such as "anew sync 42".
        typed: Settings of today, which take the place of those on record.
        trusted: The user's word for what is on record.

    Raises:
        LeftAloneError: The record is not this user's own, or the observer is none that was installed as such.
        ConfigError: Something that it refers to is not there, or was not recorded.
    """
    changes = typed or {}
    recorded = {key: value for key, value in observer.written.items() if key not in changes}
    is_own = observer.marked and is_own_record(layout)
    if not (is_own or trusted):
        raise LeftAloneError(
            f"The observer {observer.name!r} is left alone: what is on record of it ({_shown(observer.written)}) is "
            f"not by you, or was changed since. If you trust it: {again} --trust",
            observer=observer.name,
            again=f"{again} --trust",
        )
    found = resolved_spec(observer.name, recorded, record.config, own=is_own)
    known = _known()
    for target in _targets(found):
        if isinstance(target, str) and is_own and _is_of_project(target, record):
            known[target] = target
        if not isinstance(target, str) or target not in known:
            allowing = f"{again} anew.observers.{observer.name}.{_TARGET}={target}"
            raise LeftAloneError(
                f"The observer {observer.name!r} is left alone: {target!r} is none of anew's, nor one that an "
                "installed package offers (entry points anew.observers), and nothing else is built of what a store "
                f"says. If it is yours, say so: {allowing}",
                observer=observer.name,
                again=allowing,
            )
    return {**_replaced(found, known), **resolved_spec(observer.name, changes, {}, own=True)}


def find_modules(layout: RunLayout | None, record: RunRecord | None, spec: Mapping[str, Any]) -> None:
    """
    Have modules of one's own found as a run finds them, for an observer that may be built and is none that is known.

    A run has its script's folder on `sys.path`, and the command `anew` has not. Nothing is imported here, and no folder
    that somebody else's record names becomes part of the path.

    Args:
        layout: The folder of a run, for folders of its project; None where there is none.
        record: Its record.
        spec: What is about to be built.
    """
    if all(target in _known() for target in _targets(spec)):
        return
    own = record.command.import_paths if layout and record and is_own_record(layout) else ()
    folders = [path for path in dict.fromkeys((*own, os.getcwd())) if path not in sys.path and os.path.isdir(path)]
    sys.path[:0] = folders


def _known() -> dict[str, str]:
    """Return where the observers of installed packages are, by that and by the names that they are offered under."""
    return {target: offer.dotted for offer in offers(OBSERVERS).values() for target in (offer.name, offer.dotted)}


def _is_of_project(target: str, record: RunRecord) -> bool:
    """Whether a target is a name in a module of the run's own source, and not in what that imports."""
    path = target.rpartition(".")[0].replace(".", "/")
    files = (f"/{file.path}" for file in record.source.files)
    return bool(path) and any(file.endswith((f"/{path}.py", f"/{path}/__init__.py")) for file in files)


def _shown(written: Mapping[str, Any]) -> str:
    return ", ".join(dict.fromkeys(str(target) for target in _targets(written)))


def _targets(value: Any) -> Iterator[Any]:
    """Yield all that would be called, at any depth."""
    if isinstance(value, Mapping):
        if _TARGET in value:
            yield value[_TARGET]
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        for item in value:
            yield from _targets(item)


def _replaced(value: Any, known: Mapping[str, str]) -> Any:
    """Return a configuration with the names of observers replaced by where they are."""
    if isinstance(value, Mapping):
        return {key: known[item] if key == _TARGET else _replaced(item, known) for key, item in value.items()}
    return [_replaced(item, known) for item in value] if isinstance(value, (list, tuple)) else value
