"""
Why two runs differ: found, not guessed.

In this order: what was changed on purpose; inputs that the two read otherwise; files that the re-run missed; what the
source shows to be another each time, where what differs follows from it; what differs by its look (times, temporary
names, made ids); what is another in Python, packages and machine; then what only may be. When none of it is there, that
is said.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from anew.runner.capture.environment import listed_variables
from anew.runner.dataclass import dataclass
from anew.runner.records import Cause, RunRecord
from anew.runner.relaunch.trust import targets_in
from anew.runner.rerun import environments
from anew.runner.rerun.clues import Clue, Looks
from anew.runner.rerun.contents import MOST_BYTES, Place, first_parting
from anew.runner.rerun.origins import Origin
from anew.runner.rerun.parts import Part
from anew.runner.rerun.reached import surely_reached
from anew.runner.rerun.sides import Side
from anew.runner.rerun.sources import main_function, read_sources
from anew.runner.rerun.tracing import Traced, by_kind, trace
from anew.runner.rerun.verdict import Compared
from anew.runner.store.typed import as_typed
from anew.runner.wording import printable, some

_MOST_PARTS = 40
_MOST_CAUSES = 12
_MOST_OF_A_KIND = 3
_CHANCE = ("unseeded", "time", "temporary", "place", "made", "order", "hash")


@dataclass(frozen=True, kw_only=True, slots=True)
class Case:
    """
    Two runs that differ.

    Attributes:
        was: The run on record.
        now: Its re-run.
        found: Where they part.
        differences: What differed before main started.
        overrides: What was changed on purpose.
        missed: Recorded names of files that main looked for and did not find.
        folders: Paths that are another in each of the two: of their own folders, of the project.
        is_current: Whether today's source was run.
        is_stopped: Whether the re-run did not come to its end.
        signal: What whoever ran it was sent, which main may have got as another.
    """

    was: Side
    now: Side
    found: Compared
    differences: Mapping[str, Any]
    overrides: tuple[str, ...] = ()
    missed: tuple[str, ...] = ()
    folders: Sequence[str] = ()
    is_current: bool = False
    is_stopped: bool = False
    signal: str | None = None


def explain(case: Case) -> tuple[Cause, ...]:
    """Return what may explain how two runs differ, likeliest first; never nothing."""
    was, now = case.was.record, case.now.record
    if case.is_stopped:
        return (_stopped(case, case.signal or now.signal),)
    known = [*_on_purpose(case), *_inputs(case), *_missing(case), *_lost(case)]
    evidence = _Evidence(case)
    evident, possible = evidence.causes()
    unrecorded = [*evidence.variables()]
    around = [*environments.causes(was, case.differences)]
    if case.overrides and not evident and not possible and not unrecorded:
        return (*known, *around)
    found = _distinct([*known, *evident, *around, *unrecorded, *possible])
    if not known and not evident and not possible:
        found = _distinct([*found, *_suspected(case, evidence), *_of_libraries(was)])
    return tuple(found[:_MOST_CAUSES]) or (_unknown(case),)


def _distinct(causes: Iterable[Cause]) -> list[Cause]:
    """Leave of several that name one place the first."""
    return list({(cause.kind, cause.where or cause.sentence): cause for cause in reversed([*causes])}.values())[::-1]


# --- what is known ------------------------------------------------------------------------------------------------


def _stopped(case: Case, signal: str | None) -> Cause:
    now = case.now.record
    if now.losses:
        why = f"Not all of the re-run is on record ({some(now.losses)})"
    else:
        why = f"The re-run was {f'stopped by {signal}' if signal else 'killed'} before its end"
    again = as_typed(" ".join(["anew rerun", str(case.was.record.id), *case.overrides]), case.was.store.url)
    return Cause(kind="stopped", sentence=f"{why}, so the two cannot be compared. Run it whole: {again}")


def _on_purpose(case: Case) -> Iterator[Cause]:
    if case.overrides:
        given = " ".join(case.overrides)
        yield Cause(kind="override", where=given, sentence=f"{given} was given on top.")
    if case.is_current and (changed := _changed_sources(case.was.record, case.now.record)):
        yield Cause(kind="source", where=changed[0], sentence=f"The source is another: {some(changed)}.")


def _changed_sources(was: RunRecord, now: RunRecord) -> list[str]:
    old, new = ({file.path: file.sha256 for file in record.source.files} for record in (was, now))
    return sorted(path for path in {*old, *new} if old.get(path) != new.get(path))


def _inputs(case: Case) -> Iterator[Cause]:
    """Yield the inputs that both runs opened and that differ, and those that one of them alone opened."""
    old, new = ({ref.path: ref.sha256 for ref in side.record.inputs} for side in (case.was, case.now))
    before = case.differences.get("inputs", {})
    for path in old:
        if path in new and old[path] != new[path]:
            kept = "; its recorded content was not kept" if path in before and not before[path]["restored"] else ""
            then, today = old[path][:12], new[path][:12]
            yield Cause(
                kind="input",
                where=path,
                sentence=f"The input {printable(path)} has changed: main read {then} then, {today} now{kept}.",
            )
        elif path not in new and path in before and not before[path]["restored"]:
            state = (
                "is not there any more" if before[path]["now"] is None else "has changed, and its content was not kept"
            )
            yield Cause(kind="input", where=path, sentence=f"The input {printable(path)} {state}.")
    source = case.was.record.source
    known = {file.path for file in source.files}
    names_only = {os.path.normpath(f"{folder.path}/{name}") for folder in source.beside for name in folder.names}
    for path in new:
        if path in old or path in known:
            continue
        what = (
            f"of which the name alone is on record, not what it holds. Declare it there: run.input({path!r})"
            if path in names_only
            else "which was no input of the recorded run."
        )
        yield Cause(kind="input", where=path, sentence=f"The re-run read {printable(path)}, {what}")


def _missing(case: Case) -> Iterator[Cause]:
    error = case.now.record.error
    root = case.was.record.source.root or ""
    for path in case.missed:
        # main may well do without it, then as now
        if not (
            os.path.exists(os.path.join(root, path)) or (error is not None and os.path.basename(path) in error.message)
        ):
            continue
        yield Cause(
            kind="missing",
            where=path,
            sentence=f"Main looked for {printable(path)}, which was no recorded input, and so is not in the laid-out "
            f"project. Declare it where it is recorded: run.input({path!r})",
        )


def _lost(case: Case) -> Iterator[Cause]:
    for side, which in ((case.was, "the recorded run"), (case.now, "the re-run")):
        if side.record.unkept is not None:
            yield Cause(
                kind="unkept",
                sentence=f"What main returned in {which} could not be kept, so it cannot be compared: "
                f"{side.record.unkept.rstrip('.')}. Return numbers, texts, lists and dicts.",
            )
            return
    if case.now.lost:
        yield Cause(kind="unkept", sentence=f"The record of the re-run is damaged: {some(case.now.lost)}.")


def _unknown(case: Case) -> Cause:
    again = as_typed(f"anew rerun {case.was.record.id} --twice", case.was.store.url)
    return Cause(
        kind="unknown",
        sentence=f"Nothing on record explains it. To see what differs from one re-run to the next: {again}",
    )


# --- what the source and the values show --------------------------------------------------------------------------


class _Evidence:
    """
    What the parts that differ follow from, and what they are by their look.

    Attributes:
        looks: Recognises what differs.
        traced: What the recorded source shows.
    """

    def __init__(self, case: Case) -> None:
        self._case = case
        self.looks = Looks(case.was.record, case.now.record, case.folders)
        sources = read_sources(case.was)
        self.traced = trace(sources)
        self._function = main_function(case.was.record)
        called = (name.rpartition(".")[2] for name in targets_in(case.was.record.config))
        self._reached = surely_reached(sources, [self._function, *called])
        self._left: list[Part] = []

    def causes(self) -> tuple[list[Cause], list[Cause]]:
        """Return those that are, and those that are if main came to them; of each the likeliest first."""
        found: list[tuple[Cause, bool]] = []
        for part in self._case.found.all[:_MOST_PARTS]:
            of_part = self._of_part(part)
            found += of_part
            if not of_part:
                self._left.append(part)
        sure, possible = ([cause for cause, is_sure in found if is_sure is which] for which in (True, False))
        known = {(cause.kind, cause.where) for cause in sure}
        possible = [cause for cause in possible if (cause.kind, cause.where) not in known]
        return _ordered(sure), _ordered(possible)

    def variables(self) -> Iterator[Cause]:
        """Yield the variables off the record that those parts follow from of which `causes` found nothing."""
        error = self._case.now.record.error
        for part in self._left:
            origins = {*self._origins(part)}
            if part.what in ("error", "status") and error is not None:
                # nobody raised what a variable that is missing comes to
                origins |= {each for each in self.traced.all if each.variable and each.variable in error.message}
            for origin in by_kind(origins):
                if origin.variable and not self._is_on_record(origin.variable):
                    yield self._followed(part, None, origin)[0]

    def _is_on_record(self, variable: str) -> bool:
        sides = [each.record.environment for each in (self._case.was, self._case.now)]
        kept = [{*each.variables, *each.threads} for each in sides if each is not None]
        return bool(listed_variables({variable: ""})) or any(variable in each for each in kept)

    def _of_part(self, part: Part) -> list[tuple[Cause, bool]]:
        changing = [each for each in self._origins(part) if each.kind != "variable"]
        origins = sorted(by_kind(changing), key=lambda origin: origin.where not in self._reached)
        place = self._place(part)
        clue = place.clue if place is not None else self.looks.of_values(_last_name(part), part.recorded, part.now)
        if clue is not None and clue.kind in ("time", "temporary", "place", "made"):
            # what is seen in the value itself is surer than what may have gone into it
            fitting = [each for each in origins if each.kind == clue.kind or each.kind == "unseeded" == clue.kind]
            return [(_seen(part, place, clue, fitting[:1]), True)]
        origins = [each for each in origins if _can_come_of(part, each.kind)]
        if origins:
            return [self._followed(part, place, origin) for origin in _first_of_each(origins)]
        return [] if clue is None else [(_seen(part, place, clue, []), True)]

    def _followed(self, part: Part, place: Place | None, origin: Origin) -> tuple[Cause, bool]:
        is_sure = origin.where in self._reached
        return _followed(part, place, origin, None if is_sure else self._case.was.record.id), is_sure

    def _origins(self, part: Part) -> frozenset[Origin]:
        traced = self.traced
        if part.what == "metric":
            return _looked_up(traced.metrics, part.name)
        if part.what == "info":
            return _looked_up(traced.info, part.name)
        if part.what == "result":
            return _of_result(traced, self._function, part.name)
        if part.what in ("error", "status"):
            return traced.errors
        if part.what == "output":
            return traced.printed
        return traced.files if part.what == "artifact" else frozenset()

    def _place(self, part: Part) -> Place | None:
        """Return where an artifact's contents part."""
        if part.what != "artifact" or part.recorded is None or part.now is None:
            return None
        contents = self._case.was.content(part.recorded, MOST_BYTES), self._case.now.content(part.now, MOST_BYTES)
        if contents[0] is None or contents[1] is None:
            return None
        return first_parting(contents[0], contents[1], self.looks)


def _looked_up(named: Mapping[str, frozenset[Origin]], name: str) -> frozenset[Origin]:
    for key in (name, name.replace(".", "/"), name.partition(".")[0]):
        if key in named:
            return named[key]
    return named.get("", frozenset())


def _of_result(traced: Traced, function: str, name: str) -> frozenset[Origin]:
    keyed = traced.results.get(function)
    if keyed is None:
        return frozenset()
    fitting = [key for key in keyed if key and (name == key or name.startswith((f"{key}.", f"{key}[")))]
    return keyed[max(fitting, key=len)] if fitting else keyed.get("", frozenset())


def _can_come_of(part: Part, kind: str) -> bool:
    """Whether a difference can come of such an origin: another order makes a list no longer."""
    sides = part.recorded, part.now
    are_lists = all(isinstance(side, (list, tuple)) for side in sides)
    return kind != "order" or not are_lists or len(sides[0]) == len(sides[1])


def _last_name(part: Part) -> str:
    return part.name.rpartition("/")[2]


def _first_of_each(origins: Sequence[Origin]) -> list[Origin]:
    return list({each.kind: each for each in reversed(origins)}.values())[::-1]


def _ordered(causes: Sequence[Cause]) -> list[Cause]:
    order = {kind: place for place, kind in enumerate(_CHANCE)}
    found = sorted(_distinct(causes), key=lambda cause: order.get(cause.kind, len(order)))
    return [*_some_of_each(found)]


def _some_of_each(causes: Sequence[Cause]) -> Iterator[Cause]:
    counts: dict[str, int] = {}
    for cause in causes:
        counts[cause.kind] = counts.get(cause.kind, 0) + 1
        if counts[cause.kind] <= _MOST_OF_A_KIND:
            yield cause


def _name(part: Part, place: Place | None = None) -> str:
    name = f"{part.what} {printable(part.name)}".strip()
    return f"{name} ({printable(place.where)})" if place is not None else name


def _seen(part: Part, place: Place | None, clue: Clue, origins: Sequence[Origin]) -> Cause:
    where = origins[0].where if origins else part.name
    source = f", from {printable(origins[0].code)} in {origins[0].where}" if origins else ""
    sides = f": {printable(place.recorded)} -> {printable(place.now)}" if place is not None and place.recorded else ""
    subject = f"In the {_name(part, place)} stands" if place is not None else f"In the {_name(part)} is"
    return Cause(kind=clue.kind, where=where, sentence=f"{subject} {clue.what}{source}{sides}.")


_FOLLOWS = {
    "unseeded": "is random and has no seed; for one: run.rng(NAME), or a seed made from run.seed",
    "time": "reads a clock",
    "temporary": "makes a temporary name",
    "place": "says where it runs",
    "order": "comes in another order each time: of a folder's files, threads or processes",
    "hash": "goes by the hash of texts, another in every process; to pin it: PYTHONHASHSEED=0, or sorted(...)",
    "variable": "reads a variable that is not on record, and may be another now; to have it recorded, and restored: "
    "anew.environment.variables=[{variable}]",
}


def _followed(part: Part, place: Place | None, origin: Origin, doubted: int | None) -> Cause:
    """Return the cause that an origin is; of one that main need not have come to, what tells, for the run doubted."""
    follows = _FOLLOWS[origin.kind].format(variable=origin.variable)
    origin_told = f"{printable(origin.code)} in {origin.where}, which {follows}"
    sentence = f"The {_name(part, place)} follows from {origin_told}."
    if doubted is not None:
        sentence = (
            f"The {_name(part, place)} may follow from {origin_told}; whether main came there is not on record. To see "
            f"whether it differs each time: anew rerun {doubted} --twice"
        )
    return Cause(kind=origin.kind, where=origin.where, sentence=sentence)


# --- what only may be ---------------------------------------------------------------------------------------------


def _suspected(case: Case, evidence: _Evidence) -> Iterator[Cause]:
    """Yield what the source has that is another each time, where nothing ties it to what differs."""
    origins = [each for each in evidence.traced.all if each.kind != "hash" or _has_random_hashes(case.was.record)]
    parts = case.found.all[:_MOST_PARTS]
    may_be_time = any(evidence.looks.may_be_duration(part.recorded, part.now) for part in parts)
    for origin in by_kind(origins):
        if origin.kind in ("place", "temporary", "variable") or (origin.kind == "time" and not may_be_time):
            continue
        if not any(_can_come_of(part, origin.kind) for part in parts):
            continue
        yield Cause(
            kind=origin.kind,
            where=origin.where,
            sentence=f"It may be that it follows from {printable(origin.code)} in {origin.where}, which "
            f"{_FOLLOWS[origin.kind]}.",
        )


def _has_random_hashes(record: RunRecord) -> bool:
    return record.seeds is not None and record.seeds.hash_randomization == "random"


def _of_libraries(was: RunRecord) -> Iterator[Cause]:
    seeds, environment = was.seeds, was.environment
    if seeds is None or environment is None:
        return
    imported = set(environment.imported)
    if "torch" in seeds.seeded and "torch" not in seeds.deterministic:
        text = "torch was not told to be deterministic. To do so: anew.deterministic=true"
        yield Cause(kind="library", where="torch", sentence=text)
    if "jax" in (imported or environment.packages):
        text = "JAX takes its keys from the program; no seed of ours reaches it unless they are made from run.seed."
        yield Cause(kind="library", where="jax", sentence=text)
    for name in ("cupy", "mxnet", "paddlepaddle"):
        if name in (imported or environment.packages):
            yield Cause(kind="library", where=name, sentence=f"No seed of ours reaches {name}.")


def settle(
    causes: Sequence[Cause], found: Compared, between: Compared, ref: int, second: int
) -> tuple[list[Cause], str]:
    """
    Return the causes that stand after a second re-run, and what that showed, in a sentence.

    Args:
        causes: Of the first re-run.
        found: Where that parts from the record.
        between: Where the two re-runs part.
        ref: The run on record.
        second: The second re-run.
    """
    again = {(part.what, part.name) for part in between.all}
    names = {(part.what, part.name): _name(part) for part in found.all}
    fixed = [name for key, name in names.items() if key not in again]
    moving = [name for key, name in names.items() if key in again]
    told = f"A second re-run, run {second},"
    if not again:
        left = [cause for cause in causes if cause.kind not in _CHANCE]
        told = f"{told} came out as the first: what differs from run {ref} is no matter of chance."
        return left or [Cause(kind="unknown", sentence="Nothing on record explains it.")], told
    if not fixed:
        chance = [cause for cause in causes if cause.kind in _CHANCE]
        told = f"{told} differs from the first in the same places: main comes out otherwise each time."
        return chance or list(causes), told
    told = (
        f"{told} differs from the first in {some(moving) or 'other places'}; in {some(fixed)} it came out as the first"
    )
    return list(causes), f"{told}, and other than run {ref}."
