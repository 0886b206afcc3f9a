"""
Whose code is it?

What this user's key vouches for runs unasked, on any machine. Anything else, or more, needs their word, which holds for
exactly what it was given for: all that will run, by its digest, and not for anything that a record says of itself.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from anew.runner.errors import RefusedError
from anew.runner.places import state_folder
from anew.runner.records import CommandFacts, RunRecord, SourceFacts
from anew.runner.relaunch import basis
from anew.runner.relaunch.basis import Basis
from anew.runner.store.files import replace_whole
from anew.runner.store.paths import RunLayout, SweepLayout
from anew.runner.store.typed import as_typed
from anew.runner.sweep_records import SweepStart
from anew.runner.wording import is_without_main, printable, typed

_MOST_CHANGES = 20


def require_run(
    record: RunRecord,
    layout: RunLayout,
    *,
    given: bool,
    tell: Callable[[str], object] = lambda text: None,
    again: str = "",
) -> None:
    """
    Return if this user's key vouches for all that a re-run runs, or they trusted just that; with *given*, trust it.

    Args:
        record: As it will be used.
        layout: The folder in which the record is as it was marked.
        given: The user's word.
        tell: Called with each line of what is another than what was vouched for, or trusted before.
        again: The command to type with --trust, where that is not the re-run.

    Raises:
        RefusedError: It came from elsewhere, or was changed since; the message shows what would be run, and what is
            another than it was.
    """
    host = record.hardware.hostname if record.hardware else ""
    shown = _shown(record.command, record.source, host, record.config)
    head = f"Run {record.id}"
    _require(
        head,
        basis.of_run(record),
        basis.vouched_run(layout),
        record.uid,
        [*shown],
        as_typed(again or f"anew rerun {record.id}", layout.folder.parent),
        given,
        tell,
    )


def require_sweep(
    start: SweepStart, layout: SweepLayout, *, given: bool, tell: Callable[[str], object] = lambda text: None
) -> None:
    """Do for a sweep, but for its plan, what `require_run` does for a run. Raises RefusedError."""
    shown = _shown(start.command, start.source, start.hostname, {})
    head = f"Sweep {start.id}"
    again = as_typed(f"anew sweep resume {start.id}", layout.folder.parent.parent)
    _require(head, basis.of_sweep(start), basis.vouched_sweep(layout), start.uid, [*shown], again, given, tell)


def _require(
    head: str,
    now: Basis,
    vouched: Basis | None,
    uid: str,
    shown: list[str],
    again: str,
    given: bool,
    tell: Callable[[str], object],
) -> None:
    digest = basis.digest_of(now)
    if (vouched is not None and basis.digest_of(vouched) == digest) or _is_trusted(uid, digest):
        return
    before, whose = (vouched, "you recorded it") if vouched is not None else (_remembered(uid), "you trusted it")
    lines = basis.changes(before, now) if before is not None else []
    if len(lines) > _MOST_CHANGES:
        lines = [*lines[:_MOST_CHANGES], f"  and {len(lines) - _MOST_CHANGES} more"]
    if lines:
        lines.insert(0, f"Since {whose}, this changed:")
    if given:
        for line in lines:
            tell(printable(line))
        _remember(uid, digest, now)
        return
    text = [
        f"{head} was recorded elsewhere, or changed since, and to run it again is to run somebody's code:",
        *shown,
        *lines,
        f"If you trust all of that: {again} --trust",
    ]
    raise RefusedError("\n".join(map(printable, text)), ref=head.rpartition(" ")[2])


def _shown(command: CommandFacts, source: SourceFacts, host: str, config: Mapping[str, Any]) -> Iterator[str]:
    """Yield what would be run, for whoever is to trust it."""
    git = source.git
    words = typed(command) if is_without_main(command) else " ".join(("python", *command.options, *command.argv))
    yield f"  command   {words}"
    yield f"  function  {command.function}"
    origin = f"{source.root} on {host or 'an unknown machine'}"
    yield f"  source    {origin}{f', {git.remote} at {git.commit}' if git and git.remote else ''}"
    if targets := sorted(set(targets_in(config))):
        yield f"  _target_  {', '.join(targets)}"


def targets_in(value: Any) -> Iterator[str]:
    """Yield what a configuration names to be called, at any depth."""
    if isinstance(value, Mapping):
        if isinstance(value.get("_target_"), str):
            yield value["_target_"]
        for item in value.values():
            yield from targets_in(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from targets_in(item)


# --- what was trusted ---------------------------------------------------------------------------------------------


def _folder(uid: str) -> Path:
    """Return where it is remembered what of a record was trusted; a uid may be any text."""
    return state_folder() / "trusted" / hashlib.sha256(uid.encode("utf-8", "backslashreplace")).hexdigest()[:32]


def _is_trusted(uid: str, digest: str) -> bool:
    return (_folder(uid) / f"{digest}.json").exists()


def _remembered(uid: str) -> Basis | None:
    """Return what was trusted last of a record of this uid: to be compared with, and nothing else."""
    with suppress(OSError, ValueError):
        newest = max(_folder(uid).glob("*.json"), key=lambda path: path.stat().st_mtime, default=None)
        found = json.loads(newest.read_text(encoding="ascii")) if newest is not None else None
        if isinstance(found, dict) and all(isinstance(each, dict) for each in found.values()):
            return found
    return None


def _remember(uid: str, digest: str, now: Basis) -> None:
    """Keep what is trusted; where that is impossible the word holds for this time."""
    with suppress(OSError):
        folder = _folder(uid)
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        replace_whole(folder / f"{digest}.json", json.dumps(now).encode("ascii"))
