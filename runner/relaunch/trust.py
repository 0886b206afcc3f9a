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
from anew.runner.records import CommandFacts, SourceFacts
from anew.runner.store import marks
from anew.runner.store.files import read_regular, replace_whole
from anew.runner.store.paths import RunLayout, SweepLayout
from anew.runner.store.reading import MOST_RECORD_BYTES
from anew.runner.wording import printable


def require(
    command: CommandFacts,
    source: SourceFacts,
    host: str,
    layout: RunLayout | SweepLayout,
    *,
    ref: int | None,
    given: bool,
    config: Mapping[str, Any] | None = None,
    what: str = "Run",
    again: str = "anew rerun",
) -> None:
    """
    Return if this user's key marked the record on this machine, or its source is trusted; with *given*, trust it.

    Args:
        command: What would be run.
        source: The files that it would be run from.
        host: The machine that it was recorded on; "" where that is not on record.
        layout: The folder in which the record is as it was marked.
        ref: The number of what is recorded.
        given: The user's word.
        config: What main would be given, where that is on record.
        what: What is recorded: "Run", or "Sweep".
        again: The command that is to be typed.

    Raises:
        RefusedError: The record came from elsewhere; the message shows what would be run.
    """
    own = _is_own(layout)
    if own and host == socket.gethostname():
        return
    origin, path = _origin(source, host, own), marks.state_folder() / "trusted.json"
    trusted = _trusted(path)
    if origin in trusted:
        return
    if not given:
        lines = [
            f"{what} {ref} was recorded elsewhere, or changed since, and to run it again is to run somebody's code:",
            *_shown(command, source, host, config or {}),
            f"If you trust that source: {again} {ref} --trust",
        ]
        raise RefusedError("\n".join(map(printable, lines)), ref=ref)
    _remember(path, [*trusted, origin])


def _is_own(layout: RunLayout | SweepLayout) -> bool:
    try:
        return marks.is_own(unseal(read_regular(layout.record, MOST_RECORD_BYTES)))
    except (OSError, DamagedError):
        return False


def _origin(source: SourceFacts, host: str, own: bool) -> str:
    """Return what is trusted as a whole: a project, on a machine, by whoever marks their runs there."""
    git = source.git
    return json.dumps(["own" if own else "foreign", host, source.root, git.remote if git else None])


def _shown(command: CommandFacts, source: SourceFacts, host: str, config: Mapping[str, Any]) -> Iterator[str]:
    """Yield what would be run, for whoever is to trust it."""
    git = source.git
    yield f"  command   {' '.join(('python', *command.options, *command.argv))}"
    yield f"  function  {command.function}"
    origin = f"{source.root} on {host or 'an unknown machine'}"
    yield f"  source    {origin}{f', {git.remote} at {git.commit}' if git and git.remote else ''}"
    if targets := sorted(set(_targets(config))):
        yield f"  _target_  {', '.join(targets)}"


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
