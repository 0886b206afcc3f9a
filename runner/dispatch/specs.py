"""The configuration of a run's observers, written down without secrets, so that another process can go on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from anew.runner.format.redact import Redactor
from anew.runner.format.serial import dumps, parsed
from anew.runner.format.values import decode, encode
from anew.runner.settings import ObserverSettings
from anew.runner.store.files import cannot, read_regular
from anew.runner.store.paths import RunLayout

_MOST_BYTES = 64 * 2**20


def write_spec(layout: RunLayout, settings: ObserverSettings, redactor: Redactor) -> None:
    """Write an observer's configuration before interpolation, redacted. Raises StoreError."""
    written = redactor.value({**settings.written, "_target_": settings.spec["_target_"]})
    path = layout.spec(settings.name)
    try:
        path.write_text(dumps(encode(written)), encoding="ascii")
    except OSError as error:
        raise cannot("write", path, error) from error


def read_specs(layout: RunLayout) -> dict[str, Mapping[str, Any]]:
    """Return the observers of a run: name -> configuration before interpolation. What is damaged is left out."""
    found: dict[str, Mapping[str, Any]] = {}
    for path in sorted(layout.observers.glob("*.json")):
        try:
            spec = decode(parsed(read_regular(path, _MOST_BYTES)))
        except (OSError, ValueError):
            continue
        if isinstance(spec, dict) and isinstance(spec.get("_target_"), str):
            found[path.stem] = spec
    return found
