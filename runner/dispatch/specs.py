"""The configuration of a run's observers, written down without secrets, so that another process can go on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from anew.runner.dataclass import dataclass
from anew.runner.format.redact import Redactor
from anew.runner.format.serial import DamagedError, seal, unseal, unseal_or_older
from anew.runner.format.values import decode, encode
from anew.runner.settings import ObserverSettings
from anew.runner.store import marks
from anew.runner.store.files import cannot, read_regular
from anew.runner.store.paths import RunLayout
from anew.runner.store.reading import MOST_RECORD_BYTES

_MARK = "origin_mark"
_MOST_BYTES = 64 * 2**20


@dataclass(frozen=True, slots=True)
class RecordedObserver:
    """
    An observer of a run, as it is on record.

    Attributes:
        name: What it is called under `anew.observers`.
        written: Its configuration before interpolation.
        marked: Whether this user wrote all of that down, here.
    """

    name: str
    written: Mapping[str, Any]
    marked: bool


def write_spec(layout: RunLayout, settings: ObserverSettings, redactor: Redactor) -> None:
    """Write an observer's configuration before interpolation, redacted, with this user's mark. Raises StoreError."""
    written = encode(redactor.value({**settings.written, "_target_": settings.spec["_target_"]}))
    path = layout.spec(settings.name)
    try:
        path.write_bytes(seal({**written, _MARK: marks.mark(_marked(layout, settings.name, written))}))
    except OSError as error:
        raise cannot("write", path, error) from error


def read_specs(layout: RunLayout) -> dict[str, RecordedObserver]:
    """Return the observers of a run by name. What is damaged is left out."""
    found: dict[str, RecordedObserver] = {}
    if layout.observers.is_symlink():
        return found
    for path in sorted(layout.observers.glob("*.json")):
        try:
            told = unseal_or_older(read_regular(path, _MOST_BYTES))
            mark = told.pop(_MARK, None)
            spec = decode(told)
        except (OSError, ValueError):
            continue
        if isinstance(spec, dict) and isinstance(spec.get("_target_"), str):
            is_own = marks.is_own({**_marked(layout, path.stem, told), _MARK: mark})
            found[path.stem] = RecordedObserver(path.stem, spec, is_own)
    return found


def is_own_record(layout: RunLayout) -> bool:
    """Whether a run's record carries this user's mark."""
    try:
        return marks.is_own(unseal(read_regular(layout.record, MOST_RECORD_BYTES)))
    except (OSError, DamagedError):
        return False


def _marked(layout: RunLayout, name: str, written: Any) -> dict[str, Any]:
    """Return what the mark is of: nothing else that is marked looks like it, nor the observer of another run."""
    try:
        uid = unseal(read_regular(layout.record, MOST_RECORD_BYTES)).get("uid")
    except (OSError, DamagedError):
        uid = None
    return {"observer": name, "configuration": written, "of": uid}
