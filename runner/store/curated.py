"""
Which journals of tags, notes and verdicts a run has been given since it ended, so that one that is gone is missed.

The outcome names the journals that were there when it was written; `curated.json` names those that came later. It is
written after the journal that it names, so that it never names one that is not there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field

from anew.runner.dataclass import dataclass
from anew.runner.events import CURATING
from anew.runner.format import serial
from anew.runner.format.serial import DamagedError
from anew.runner.guard.journal_ends import journal_ends, journal_seals
from anew.runner.store.files import read_regular, replace_whole
from anew.runner.store.marker import move_marker
from anew.runner.store.paths import RunLayout

_MOST_BYTES = 64 * 2**20


def note_curated(layout: RunLayout) -> None:
    """
    Have the journals that a run was given later on record. Of two at the same time one may be left out until the next.

    Raises:
        StoreError: It cannot be written.
    """
    try:
        _note(layout)
    finally:
        move_marker(layout.folder.parent)


def _note(layout: RunLayout) -> None:
    try:
        before = read_curated(layout)
    except (OSError, DamagedError):
        return  # it is said to be damaged; what it knew would be gone
    now = {name: last for name, last in journal_ends(str(layout.events)).items() if name.startswith(CURATING)}
    if now.items() - before.writers.items():
        ends = {**before.writers, **now}
        seals = {**before.seals, **journal_seals(str(layout.events), now)}
        replace_whole(layout.curated, serial.seal(serial.to_json(Curated(writers=ends, seals=seals))))


@dataclass(frozen=True, kw_only=True, slots=True)
class Curated:
    """The last number in each journal that a run was given later, and the seal of that line."""

    writers: Mapping[str, int] = field(default_factory=dict)
    seals: Mapping[str, str] = field(default_factory=dict)


def read_curated(layout: RunLayout) -> Curated:
    """Return which journals a run was given later. Raises OSError, DamagedError."""
    try:
        return serial.from_json(Curated, serial.unseal(read_regular(layout.curated, _MOST_BYTES)))
    except (FileNotFoundError, NotADirectoryError):
        return Curated()
