"""A run's record with what a list leaves out: how far its observers have got, and whether its output is intact."""

from __future__ import annotations

import os
from dataclasses import replace

from anew.runner.records import RunRecord
from anew.runner.store.output_sums import output_damage
from anew.runner.store.paths import RunLayout
from anew.runner.store.position import observer_damage
from anew.runner.store.reading import read_outcome
from anew.runner.store.stream import observer_states


def with_the_rest(layout: RunLayout, record: RunRecord) -> RunRecord:
    """Return a run's record as `read_run` gives it with the rest. Raises StoreError, OSError."""
    ended, _ = read_outcome(layout, record.uid)
    damage = output_damage(layout, ended)
    if os.path.lexists(layout.observers):
        of_observers = observer_damage(layout)
        damage += of_observers
        record = replace(record, observers={} if of_observers else observer_states(layout))
    if not damage:
        return record
    return replace(
        record,
        damage=(*record.damage, *damage),
        warnings=(*record.warnings, *(each.what for each in damage)),
    )
