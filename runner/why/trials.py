"""Mixtures of two records, run: each is a run like any other, and none is run twice."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from statistics import fmean
from typing import Any

from anew.runner.dataclass import dataclass
from anew.runner.records import RunRecord, Status, WhyMembership
from anew.runner.store.folder import FolderStore
from anew.runner.why.deltas import Delta
from anew.runner.why.draft import Draft
from anew.runner.why.isolate import Deltas, Outcome
from anew.runner.why.measure import NOTHING, Scale, Yardstick, is_number
from anew.runner.why.order import Crew, Order
from anew.runner.why.reuse import Earlier
from anew.runner.wording import short


class BudgetSpentError(Exception):
    """As many runs as were allowed have been started."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Tried:
    """
    What came of a mixture.

    Attributes:
        taken: Which differences it had of the bad run.
        runs: The numbers of its runs, one for each seed.
        values: What each came to.
        ended_well: Whether all of them completed.
        value: Of numbers the mean; of anything else that of the first run.
        why_not: Why it did not run, in a sentence; empty when it did.
    """

    taken: Deltas
    runs: tuple[int, ...] = ()
    values: tuple[Any, ...] = ()
    ended_well: bool = False
    value: Any = NOTHING
    why_not: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Setting:
    """
    How trials are run.

    Attributes:
        env: "recorded" where packages or the Python are among the differences; else "current".
        seeds: The root seeds that each mixture is run with; none for the one on record.
        timeout_s: After how long a trial is cut off; None for never.
        most: How many runs may be started; None for no end.
        at_once: How many at a time.
    """

    env: str = "current"
    seeds: tuple[int, ...] = ()
    timeout_s: float | None = None
    most: int | None = None
    at_once: int = 1


class Trials:
    """
    Runs mixtures and remembers what came of them. To be asked in one thread; it runs several at once in others.

    Attributes:
        scale: By what outcomes are told; another one as soon as the ends, or a first cause, are known.
        known: What was tried.
        started: How many runs were.
        left: The differences that were last in question.
    """

    def __init__(
        self,
        store: FolderStore,
        ends: tuple[RunRecord, RunRecord],
        deltas: Sequence[Delta],
        yardstick: Yardstick,
        scale: Scale,
        setting: Setting,
        membership: tuple[int, str],
        tell: Callable[[str], object],
        crew: Crew,
    ) -> None:
        self.scale, self.known, self.started = scale, dict[Deltas, Tried](), 0
        self.at_once = setting.at_once
        self.left: Deltas = frozenset(delta.n for delta in deltas)
        self._store, self._ends, self._yardstick = store, ends, yardstick
        self._deltas = {delta.n: delta for delta in deltas}
        self._setting, self._membership, self._tell, self._crew = setting, membership, tell, crew
        self._earlier = Earlier(store, ends[0].experiment, membership[1])
        # what is told apart by variables alone, or by packages, is not told apart by what a trial was given
        self._reuses = setting.env == "current" and all(delta.group != "variables" for delta in deltas)
        # runs of an earlier attempt: what they had of the bad run, and with which of several seeds
        self._left_over: dict[tuple[Deltas, int | None], RunRecord] = {}
        self._lock = threading.Lock()

    # --- what is asked --------------------------------------------------------------------------------------------

    def outcome(self, taken: Deltas) -> Outcome:
        """Return what comes of the good run with these differences. Raises as `tried`."""
        tried = self.tried(taken)
        return self.scale.outcome(tried.ended_well, tried.value)

    def tried(self, taken: Deltas) -> Tried:
        """
        Return what came of a mixture; it is run if it was not.

        Raises:
            BudgetSpentError: No run may be started any more.
            StoreError: It cannot be laid out or recorded.
            KeyboardInterrupt, SystemExit: It was stopped by a signal that this process got.
        """
        if taken not in self.known:
            self.remember(self._tried(taken))
        return self.known[taken]

    def try_all(self, several: Sequence[Deltas]) -> None:
        """Try mixtures at once; with one at a time they wait until they are asked for."""
        new = list(dict.fromkeys(each for each in several if each not in self.known))
        if self.at_once == 1 or len(new) < 2:
            return
        with ThreadPoolExecutor(self.at_once) as pool:
            try:
                # remembered one by one, should another one be the last that is allowed
                list(pool.map(self.tried, new))
            except (KeyboardInterrupt, SystemExit):
                self._crew.stop()  # the pool waits for what it has begun
                raise

    def narrowed(self, left: Deltas) -> None:
        """Keep in mind which differences are in question, and say how many."""
        if left != self.left:
            self.left = left
            most = (len(left) - 1).bit_length()
            self._tell(f"{len(left)} differences are left; at most {most} more trials where one of them is guilty")

    def remember(self, tried: Tried) -> None:
        """Take note of what came of a mixture."""
        self.known[tried.taken] = tried

    def take_up(self, records: Iterable[RunRecord]) -> None:
        """Remember runs that an earlier attempt at the same search has left."""
        for record in records:
            if record.why is not None and record.status is not Status.INTERRUPTED and record.status.final:
                seed = record.seed if self._setting.seeds else None
                self._left_over[frozenset(record.why.deltas), seed] = record
        for taken in {taken for taken, _ in self._left_over}:
            runs = [self._left_over.get((taken, seed)) for seed in self._setting.seeds or (None,)]
            if all(runs):
                self.remember(self._judged(taken, [run for run in runs if run is not None]))

    # --- one mixture ----------------------------------------------------------------------------------------------

    def _tried(self, taken: Deltas) -> Tried:
        runs: list[RunRecord] = []
        for seed in self._setting.seeds or (None,):
            run = self._left_over.get((taken, seed)) or self._run(taken, seed)
            if isinstance(run, str):
                tried = Tried(taken=taken, runs=tuple(each.id or 0 for each in runs), why_not=run)
                self._tell(f"{self.described(taken)}: could not be run: {run}")
                return tried
            runs.append(run)
        tried = self._judged(taken, runs)
        self._say(tried)
        return tried

    def _judged(self, taken: Deltas, runs: Sequence[RunRecord]) -> Tried:
        values = tuple(self._yardstick.of(run) for run in runs)
        numbers = [float(value) for value in values if is_number(value)]
        return Tried(
            taken=taken,
            runs=tuple(run.id or 0 for run in runs),
            values=values,
            ended_well=all(run.status is Status.COMPLETED for run in runs),
            value=fmean(numbers) if len(values) > 1 and len(numbers) == len(values) else values[0],
        )

    def _run(self, taken: Deltas, seed: int | None) -> RunRecord | str:
        """Run a mixture, with another seed or the one on record; return its record, or why there is none."""
        good, bad = self._ends
        draft = Draft(good, bad)
        for number in sorted(taken):
            self._deltas[number].apply(draft)
        mixture = draft.record(self._store.objects.put_bytes)
        if seed is None and self._reuses and (run := self._earlier.same_as(mixture)) is not None:
            return run
        self._spend()
        number, uid = self._membership
        return self._crew.done(
            Order(
                mixture=mixture,
                changes=() if seed is None else (f"anew.seed={seed}",),
                env=self._setting.env,
                why=WhyMembership(id=number, uid=uid, deltas=tuple(sorted(taken))),
                timeout_s=self._setting.timeout_s,
            )
        )

    def _spend(self) -> None:
        with self._lock:
            if self._setting.most is not None and self.started >= self._setting.most:
                raise BudgetSpentError
            self.started += 1

    def _say(self, tried: Tried) -> None:
        outcome = self.scale.outcome(tried.ended_well, tried.value)
        runs = ", ".join(map(str, tried.runs))
        self._tell(f"{self.described(tried.taken)}: {outcome} ({shown(tried.value)}), run {runs}")

    def described(self, taken: Deltas) -> str:
        """Return a mixture in words: "42 with config.lr and models.py:40 of 57"."""
        good, bad = self._ends
        return mixture_in_words(
            good.id or 0, bad.id or 0, [self._deltas[each].what for each in sorted(taken)], len(self._deltas)
        )


def mixture_in_words(good: int, bad: int, names: Sequence[str], of: int) -> str:
    """Return what a trial is made of."""
    if not names:
        return f"{good} as it was"
    if len(names) == of:
        return f"{good} with all {of} differences of {bad}"
    some = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
    return f"{good} with {some} of {bad}"


def shown(value: Any) -> str:
    """Return what a run came to."""
    if value is NOTHING:
        return "it did not come so far"
    return short(value) if value is not None else "none"
