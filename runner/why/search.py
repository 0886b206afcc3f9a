"""A search under way: both ends are run again, then mixtures of them, until the causes are alone."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from itertools import combinations
from math import factorial
from typing import Any

from anew.runner.errors import RerunError, StoreError
from anew.runner.format import serial
from anew.runner.records import RunRecord, Status
from anew.runner.store.folder import FolderStore
from anew.runner.store.typed import as_typed
from anew.runner.why import explanation as words
from anew.runner.why import kept
from anew.runner.why.deltas import KINDS, differences
from anew.runner.why.elsewhere import Elsewhere, chosen
from anew.runner.why.explanation import Explanation, Trial
from anew.runner.why.isolate import NONE, Deltas, Outcome, causes
from anew.runner.why.measure import NOTHING, Scale, is_more_than_chance, is_number, yardstick
from anew.runner.why.options import FEWEST_REPEATS, REBUILDING, Options, runnable
from anew.runner.why.order import Crew, Here
from anew.runner.why.together import together
from anew.runner.why.trials import BudgetSpentError, Setting, Trials, Tried, shown
from anew.runner.wording import duration

_ALL_ORDERS = 3

Tell = Callable[[str], object]


class Search:
    """One search under way."""

    def __init__(self, store: FolderStore, good: RunRecord, bad: RunRecord, options: Options, tell: Tell) -> None:
        self._store, self._good, self._bad, self._options, self._tell = store, good, bad, options, tell
        self._yardstick = yardstick(good, bad, options.metric, options.result)
        self._scale = Scale(self._yardstick.of(good), self._yardstick.of(bad), is_failure=self._yardstick.is_failure)
        found = runnable(differences(good, bad, store.objects, options.only or KINDS), options)
        found = together(found, good, bad)
        self._deltas, self._left_out = found.deltas, found.left_out
        self._notes: list[str] = []
        self._engine = chosen(options.launcher) if options.launcher else None
        if not self._deltas:
            among = f" among {', '.join(options.only)}" if options.only else ""
            raise RerunError(
                f"Runs {good.id} and {bad.id} came out differently, and nothing{among} that could be taken over "
                f"differs between them{_because(self._left_out)}. To see what differs: "
                f"{as_typed(f'anew diff {good.id} {bad.id}', store.url)}; whether run {good.id} comes out the same "
                f"each time: {as_typed(f'anew rerun {good.id} --twice', store.url)}"
            )
        self._number: int | None = None

    # --- before ---------------------------------------------------------------------------------------------------

    def planned(self) -> Explanation:
        """Return what differs, and what finding out would cost."""
        of, once = len(self._deltas), self._good.duration_s
        most = 2 + max(of - 1, 0).bit_length() + 1
        cost = f"a trial takes about {duration(once)}" if once else "how long a trial takes is not known"
        times = f", {self._options.repeat} times each" if self._options.repeat > 1 else ""
        differ = f"{of} difference{'' if of == 1 else 's'}"
        text = f"{differ}; {cost}, and one cause among them is found by at most {most} trials{times}."
        return self._explained(words.PLANNED, text)

    def begun(self) -> Search:
        """Put the search on record."""
        known = serial.to_json(self._options)
        names = [(delta.kind, delta.what) for delta in self._deltas]
        start = kept.begin(self._store, self._good.uid, self._bad.uid, known, names)
        self._tell(f"search {start.id}: {len(self._deltas)} differences between {self._good.id} and {self._bad.id}")
        return self._with(start)

    def again(self, start: kept.Begun) -> Search:
        """Take up a search that is on record. Raises StoreError when the differences are not those any more."""
        if [(delta.kind, delta.what) for delta in self._deltas] != [tuple(each) for each in start.deltas]:
            raise StoreError(
                f"The differences between runs {self._good.id} and {self._bad.id} are not those any more that search "
                f"{start.id} was begun with, since content was purged or a package is gone. Begin it anew: "
                f"anew why {self._good.id} {self._bad.id}"
            )
        search = self._with(start)
        search._trials.take_up(self._store.get(each) for each in _runs_of(self._store, start))
        return search

    def _with(self, start: kept.Begun) -> Search:
        self._number, options = start.id, self._options
        rebuilt = any(delta.group in REBUILDING for delta in self._deltas)
        seeds = random.Random(start.uid).sample(range(1 << 31), options.repeat) if options.repeat > 1 else []
        setting = Setting(
            env="recorded" if rebuilt else "current",
            seeds=tuple(seeds),
            timeout_s=options.timeout_s,
            most=options.max_runs,
            at_once=options.workers,
        )
        self._all: Deltas = frozenset(delta.n for delta in self._deltas)
        store, engine = self._store, self._engine
        self._crew: Crew = Here(store) if engine is None else Elsewhere(store, start.id, engine, options.workers)
        self._trials = Trials(
            self._store,
            (self._good, self._bad),
            self._deltas,
            self._yardstick,
            self._scale,
            setting,
            (start.id, start.uid),
            self._tell,
            self._crew,
        )
        return self

    # --- the answer -----------------------------------------------------------------------------------------------

    def answer(self) -> Explanation:
        """Find it, and put it on record. Raises as `why`."""
        try:
            found = self._found()
        except (KeyboardInterrupt, SystemExit):
            self._tell(f"stopped; to go on: {as_typed(f'anew why --resume {self._number}', self._store.url)}")
            raise
        kept.put_answer(self._store, self._number or 0, found.to_json())
        return found

    def _found(self) -> Explanation:
        is_over = False
        try:
            found = self._ends() or self._isolated()
            is_over = True
        except BudgetSpentError:
            found = self._spent()
            is_over = True
        except (KeyboardInterrupt, SystemExit):
            self._crew.stop()
            raise
        finally:
            self._crew.close(kill=not is_over)
        return found

    def _ends(self) -> Explanation | None:
        """Run both ends again; return an answer where they do not come out as two runs that differ."""
        self._known_ends()
        self._trials.try_all([NONE, self._all])
        first, last = self._trials.tried(NONE), self._trials.tried(self._all)
        good, bad = self._good.id, self._bad.id
        for number, recorded, tried in ((good, self._scale.good, first), (bad, self._scale.bad, last)):
            if tried.why_not:
                return self._explained(words.UNRESOLVED, f"Run {number} could not be run again: {tried.why_not}")
            if self._options.repeat == 1 and shown(recorded) != shown(tried.value):
                self._notes.append(f"Run again, {number} came to {shown(tried.value)}; {shown(recorded)} is on record.")
                self._tell(self._notes[-1])
        if self._options.repeat > 1:
            return self._weighed(first, last)
        if self._trials.outcome(NONE) is not Outcome.GOOD or self._trials.outcome(self._all) is not Outcome.BAD:
            others = f" What else differs: {' '.join(self._left_out)}" if self._left_out else ""
            return self._explained(
                words.UNRESOLVED,
                f"Run again, {good} came to {shown(first.value)}, and with all {len(self._all)} differences of {bad} "
                f"to {shown(last.value)}: what made the difference is none of those, or chance.{others} To tell chance "
                f"from a cause: --repeat {FEWEST_REPEATS}",
            )
        if not self._yardstick.is_failure:
            self._trials.scale = Scale(first.value, last.value)
        return None

    def _known_ends(self) -> None:
        """Take a re-run that came out identical for an end."""
        whole = not self._left_out and not self._options.only
        ends = [(NONE, self._good)] + ([(self._all, self._bad)] if whole else [])
        for taken, record in ends if self._options.repeat == 1 else ():
            if taken in self._trials.known:
                continue
            for again in self._store.find(f"rerun_of == {record.id} and verdict == 'identical'"):
                if again.why is None and again.rerun_of is not None and again.rerun_of.uid == record.uid:
                    value = self._yardstick.of(record)
                    self._trials.remember(
                        Tried(
                            taken=taken,
                            runs=(again.id or 0,),
                            values=(value,),
                            ended_well=record.status is Status.COMPLETED,
                            value=value,
                        )
                    )
                    self._tell(f"run {record.id} was run again before, as run {again.id}, and came out identical")
                    break

    def _weighed(self, first: Tried, last: Tried) -> Explanation | None:
        """Return an answer where two groups of runs differ by no more than chance."""
        lists = [[float(value) for value in each.values if is_number(value)] for each in (first, last)]
        if any(len(each) < self._options.repeat for each in lists):
            return self._explained(words.UNRESOLVED, "Not all runs with other seeds came to a number.")
        real, p = is_more_than_chance(*lists)
        told = (
            f"{self._yardstick.name} is {shown(first.value)} and {shown(last.value)} in the mean of "
            f"{self._options.repeat} seeds each (permutation test of the means, p = {p:.2g})"
        )
        if not real:
            return self._explained(words.NOISE, f"The difference is no larger than chance: {told}.")
        self._notes.append(f"It is more than chance: {told}.")
        self._trials.scale = Scale(first.value, last.value)
        return None

    def _isolated(self) -> Explanation:
        """Narrow the differences down; then look for what is left of the change."""
        groups = [frozenset(each.n for each in self._deltas if each.group == kind) for kind in KINDS]
        ends = self._trials.scale
        steps: list[tuple[Deltas, Any]] = []
        found: Deltas = NONE
        while not steps or ends.rests(steps[-1][1], self._options.tolerance):
            if steps:
                if not self._all - found or self._trials.outcome(self._all) is not Outcome.BAD:
                    break
                self._trials.scale = Scale(steps[-1][1], ends.bad)
            try:
                more = causes([group - found for group in groups], self._trials, given=found)
            except BudgetSpentError:
                if not steps:
                    raise
                self._notes.append("The runs that were allowed did not do to look for what explains the rest.")
                break
            found |= more
            steps.append((more, self._trials.tried(found).value))
        self._trials.scale = ends
        by_number = {delta.n: delta for delta in self._deltas}
        text = words.answered(
            self._yardstick.name,
            len(self._deltas),
            ends.good,
            [([by_number[each] for each in sorted(group)], value) for group, value in steps],
            is_failure=self._yardstick.is_failure,
            bad=ends.bad,
        )
        return self._explained(words.FOUND, text, found, self._shares(found))

    def _spent(self) -> Explanation:
        left = self._trials.left
        names = [words.described(delta) for delta in self._deltas if delta.n in left]
        go_on = as_typed(f"anew why --resume {self._number}", self._store.url)
        text = (
            f"{self._options.max_runs} runs were allowed, and {len(left)} of {len(self._deltas)} differences are still "
            f"in question: {', '.join(names[:6])}{' ...' if len(names) > 6 else ''}. To go on: {go_on}"
        )
        return self._explained(words.BUDGET, text)

    def _shares(self, found: Deltas) -> dict[int, float]:
        """Return which part of the change each cause explains; none where the runs that are allowed do not do."""
        members = sorted(found)
        try:
            if len(members) <= _ALL_ORDERS:
                subsets = [frozenset(each) for size in range(len(members)) for each in combinations(members, size)]
                self._trials.try_all(subsets)
                return {each: self._over_all_orders(each, found) for each in members}
            return {each: self._alone_and_last(each, found) for each in members}
        except BudgetSpentError:
            self._notes.append("The runs that were allowed did not do to tell how much each cause explains.")
            return {}

    def _over_all_orders(self, each: int, found: Deltas) -> float:
        """Return a cause's Shapley value: L. S. Shapley, "A value for n-person games", 1953."""
        others, total = sorted(found - {each}), 0.0
        for size in range(len(others) + 1):
            weight = factorial(size) * factorial(len(others) - size) / factorial(len(found))
            for before in combinations(others, size):
                with_it = self._part(frozenset(before) | {each})
                total += weight * (with_it - self._part(frozenset(before)))
        return total

    def _alone_and_last(self, each: int, found: Deltas) -> float:
        alone = self._part(frozenset((each,))) - self._part(NONE)
        last = self._part(found) - self._part(found - {each})
        return (alone + last) / 2

    def _part(self, taken: Deltas) -> float:
        """Return which part of the change a mixture has; of what has no parts, whether it is bad."""
        tried = self._trials.tried(taken)
        share = self._trials.scale.share(tried.value)
        if share is not None:
            return share
        return float(self._trials.outcome(taken) is Outcome.BAD)

    def _explained(
        self, status: str, sentence: str, found: Deltas = NONE, shares: Mapping[int, float] | None = None
    ) -> Explanation:
        known = self._trials.known.values() if self._number is not None else ()
        return Explanation(
            id=self._number,
            status=status,
            good=self._good.id or 0,
            bad=self._bad.id or 0,
            metric=self._yardstick.name,
            deltas=self._deltas,
            causes=tuple(sorted(found)),
            shares=shares or {},
            trials=tuple(trial for tried in known for trial in self._listed(tried)),
            sentence=sentence,
            left_out=self._left_out,
            notes=tuple(self._notes),
        )

    def _listed(self, tried: Tried) -> list[Trial]:
        outcome = self._trials.scale.outcome(tried.ended_well, tried.value).value
        deltas = tuple(sorted(tried.taken))
        if not tried.runs:
            return [Trial(run=None, deltas=deltas, outcome=outcome)]
        values = tried.values or (None,) * len(tried.runs)
        return [
            Trial(run=run, deltas=deltas, outcome=outcome, value=None if value is NOTHING else value)
            for run, value in zip(tried.runs, values, strict=False)
        ]


def _runs_of(store: FolderStore, start: kept.Begun) -> list[str]:
    return [run.uid for run in store.find(f"why == {start.id}") if run.why is not None and run.why.uid == start.uid]


def _because(left_out: Sequence[str]) -> str:
    return f" ({' '.join(left_out)})" if left_out else ""
