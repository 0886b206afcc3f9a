"""The end of a sweep, told to the observers that want to hear of it: those with `sweep=one` in their settings."""

from __future__ import annotations

import time
from collections.abc import Sequence

from anew.runner.config.build import build_observer
from anew.runner.errors import UnavailableError
from anew.runner.format.redact import Redactor
from anew.runner.settings import ObserverSettings
from anew.runner.sweep_records import SweepRecord
from anew.runner.wording import in_a_line, say

_TRIES = 3
_WAIT_S = 1.0


def tell_observers(sweep: SweepRecord, observers: Sequence[ObserverSettings], redactor: Redactor) -> None:
    """Tell of a sweep that has ended, at most a few times where the other side is away. Never raises."""
    for each in observers:
        if each.spec.get("sweep") != "one":
            continue
        problem = _told(sweep, each)
        if problem is not None:
            why = redactor.text(in_a_line(str(problem), 500))
            say(f"the observer {each.name} was not told of sweep {sweep.id}: {why}")


def _told(sweep: SweepRecord, settings: ObserverSettings) -> Exception | None:
    """Tell one observer; return why it could not be told."""
    problem: Exception | None = None
    try:
        observer = build_observer(settings.name, settings.spec)
        for attempt in range(_TRIES):
            if attempt:
                time.sleep(_WAIT_S)
            try:
                observer.sweep_ended(sweep)
            except UnavailableError as error:
                problem = error
            else:
                problem = None
                break
        observer.close()
    except Exception as error:
        return error
    return problem
