"""Whose code is it? A record that somebody else made, or another machine, needs the user's word once per source."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from anew.runner.errors import RefusedError
from anew.runner.format.serial import DamagedError, unseal
from anew.runner.records import RunRecord
from anew.runner.store import marks
from anew.runner.store.files import replace_whole
from anew.runner.store.paths import RunLayout, SweepLayout
from anew.runner.wording import printable


def require(
    record: RunRecord, layout: RunLayout | SweepLayout, *, given: bool, what: str = "Run", again: str = "anew rerun"
) -> None:
    """
    Return if this user's key marked the record on this machine, or its source is trusted; with *given*, trust it.

    Args:
        record: The run.
        layout: Its folder, where the record is as it was marked.
        given: The user's word.
        what: What is recorded: "Run", or "Sweep".
        again: The command that is to be typed.

    Raises:
        RefusedError: The record came from elsewhere; the message shows what would be run.
    """
    host = record.hardware.hostname if record.hardware else ""
    own = _is_own(layout)
    if own and host == socket.gethostname():
        return
    source, path = _source(record, host, own), marks.state_folder() / "trusted.json"
    trusted = _trusted(path)
    if source in trusted:
        return
    if not given:
        raise _refusal(record, host, what, again)
    _remember(path, [*trusted, source])


def _is_own(layout: RunLayout | SweepLayout) -> bool:
    try:
        return marks.is_own(unseal(layout.record.read_bytes()))
    except (OSError, DamagedError):
        return False


def _source(record: RunRecord, host: str, own: bool) -> str:
    """Return what is trusted as a whole: a project, on a machine, by whoever marks their runs there."""
    git = record.source.git
    return json.dumps(["own" if own else "foreign", host, record.source.root, git.remote if git else None])


def _refusal(record: RunRecord, host: str, what: str, again: str) -> RefusedError:
    git = record.source.git
    origin = f"{record.source.root} on {host or 'an unknown machine'}"
    targets = sorted(set(_targets(record.config)))
    command = record.command
    lines = [
        f"{what} {record.id} was recorded elsewhere, or changed since, and to run it again is to run somebody's code:",
        f"  command   {' '.join(('python', *command.options, *command.argv))}",
        f"  function  {command.function}",
        f"  source    {origin}{f', {git.remote} at {git.commit}' if git and git.remote else ''}",
        *([f"  _target_  {', '.join(targets)}"] if targets else []),
        f"If you trust that source: {again} {record.id} --trust",
    ]
    return RefusedError("\n".join(map(printable, lines)), ref=record.id)


def _targets(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        if isinstance(value.get("_target_"), str):
            yield value["_target_"]
        for item in value.values():
            yield from _targets(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _targets(item)


def _trusted(path: Path) -> list[str]:
    with suppress(OSError, ValueError):
        found = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(found, list):
            return [item for item in found if isinstance(item, str)]
    return []


def _remember(path: Path, sources: list[str]) -> None:
    """Keep the list; where that is impossible the word holds for this time."""
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_whole(path, json.dumps(sources).encode())
