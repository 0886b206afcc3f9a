"""
Where an answer ended, so that the live stream goes on from there, and no point falls between.

A cursor is text that a page hands back: the change of the store up to which rows are known, and of each run that goes
on how many points of each metric, by writer, were sent. One of another process of the server is not understood.
"""

from __future__ import annotations

import base64
import json
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

BOOT = secrets.token_urlsafe(6)
_MOST = 1 << 18
Counts = dict[str, dict[str, dict[str, int]]]


@dataclass(frozen=True)
class Cursor:
    """
    Where answers ended.

    Attributes:
        version: See `store.changes`; None where no rows were sent.
        points: Run -> metric -> writer -> how many of its points were sent.
    """

    version: int | None = None
    points: Counts = field(default_factory=dict)

    @property
    def text(self) -> str:
        """The cursor as a page is given it."""
        data = json.dumps([BOOT, self.version, self.points], separators=(",", ":")).encode()
        return base64.urlsafe_b64encode(data).decode().rstrip("=")


def understood(texts: Iterable[str]) -> Cursor | None:
    """Return what cursors say together; None where one was given by another process, or is none."""
    version: int | None = None
    points: Counts = {}
    for text in texts:
        if (one := _one(text)) is None:
            return None
        if one.version is not None:
            version = one.version if version is None else min(version, one.version)
        for run, names in one.points.items():
            points.setdefault(run, {}).update(names)
    return Cursor(version, points)


def _one(text: str) -> Cursor | None:
    if len(text) > _MOST:
        return None
    try:
        boot, version, points = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except (ValueError, TypeError, RecursionError):
        return None
    is_ours = boot == BOOT and (version is None or type(version) is int) and _are_counts(points)
    return Cursor(version, points) if is_ours else None


def _are_counts(points: object) -> bool:
    return isinstance(points, Mapping) and all(
        isinstance(names, Mapping)
        and all(
            isinstance(lanes, Mapping) and all(type(count) is int and count >= 0 for count in lanes.values())
            for lanes in names.values()
        )
        for names in points.values()
    )
