"""A recorded run once more with other seeds: a sweep, from its recorded source, in a process of its own."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from anew.runner.errors import RerunError
from anew.runner.format.override_text import key_of
from anew.runner.format.redact import REDACTED
from anew.runner.format.typed_values import overrides_of
from anew.runner.places import Places
from anew.runner.records import RerunOf, RunRecord
from anew.runner.relaunch import trust
from anew.runner.relaunch.mirror import lay_out_beside, lay_out_source, restore_inputs
from anew.runner.relaunch.plan import SACRED, Repeat
from anew.runner.relaunch.pythons import VARIABLE
from anew.runner.relaunch.sandbox import Sandbox, sandbox
from anew.runner.relaunch.supervise import run_where_it_was
from anew.runner.store.locate import open_run_folders
from anew.runner.store.run_folders import RunFolders
from anew.runner.store.typed import as_typed
from anew.runner.wording import some

_SEEDS = 2**32
# what one run was called, where it went, and what came of it are its own
_OF_THE_RUN = ("anew.store", "anew.tags", "anew.note", "anew.quiet", "anew.seed", "anew.sweep")
_OF_THE_JOB = (
    "hydra.run",
    "hydra.sweep",
    "hydra.mode",
    "hydra.launcher",
    "hydra/launcher",
    "hydra.job",
    "hydra/sweeper",
)


def repeat(
    ref: str | int,
    *words: str,
    seeds: int = 5,
    store: str | os.PathLike[str] | RunFolders | None = None,
    code: str = "recorded",
    trust_source: bool = False,
    tell: Callable[[str], object] | None = None,
) -> int:
    """
    Run a recorded run, whose configuration has a seed, again with further ones, those behind its own, as a sweep.

    Args:
        ref: The run.
        words: Overrides on top: of the configuration, and settings such as "anew.sweep.skip=done" or
            "anew.sweep.workers=4".
        seeds: How many.
        store: The store's folder, or the store; None for the default.
        code: "recorded" lays the recorded source out; "current" uses today's project.
        trust_source: Trust the source of a record that came from elsewhere, from now on.
        tell: Called with each line that is to be known before it begins; None for silence.

    Returns:
        The exit code of that process: 0 when all jobs have completed.

    Raises:
        RunNotFoundError: No such run (and the other errors of `RunStore.get`).
        RerunError: It cannot be run again so.
        RefusedError: The want of trust did not let it start.
        StoreError: Files cannot be laid out.
    """
    opened = store if isinstance(store, RunFolders) else open_run_folders(store)
    record = opened.get(ref)
    _refuse_unfit(record, words, seeds, opened)
    say = tell or (lambda text: None)
    trust.require_run(record, opened.present(record.id or 0), given=trust_source, tell=say)
    with sandbox(False, say) as place:
        errand = Repeat(
            store=opened.recording().url,
            command=record.command,
            experiment=record.experiment,
            flags=record.provenance.flags,
            overrides=(*_typed(record), *_pinned(record, words)),
            repeats=RerunOf(id=record.id, uid=record.uid) if code == "recorded" else None,
            words=(*words, f"seed={','.join(map(str, further_seeds(record, seeds)))}"),
            settings=tuple(each for each in record.provenance.settings if not key_of(each).startswith(_OF_THE_RUN)),
            source=record.source if code == "recorded" else None,
            root=record.source.root or "",
            mirror=str(place.folder / "files"),
            report=str(place.folder / "report.json"),
        )
        return _run(errand, record, place, opened)


def _refuse_unfit(record: RunRecord, words: Sequence[str], seeds: int, store: RunFolders) -> None:
    if type(seeds) is not int or not 0 < seeds <= 100_000:
        raise RerunError(f"seeds={seeds!r}: how many seeds, from 1 on, such as 5.")
    if not record.status.final:
        raise RerunError(f"Run {record.id} is {record.status}. It can be repeated once it has ended.")
    if record.command.entry == SACRED:
        raise RerunError(f"Run {record.id} was recorded by Sacred. To run it again: anew rerun {record.id} seed=...")
    given = [word for word in words if _is_seed(word)]
    if given:
        again = as_typed(f"anew rerun {record.id} {given[0]}", store.url)
        raise RerunError(f"{given[0]!r}: --seeds says how many there are. For one in particular: {again}")
    if not has_own_seed(record.config):
        raise RerunError(
            f"The configuration of run {record.id} has no seed, so that no sweep can go over it. One at a time: "
            f"{as_typed(f'anew rerun {record.id} anew.seed=...', store.url)}"
        )
    known = {key_of(word) for word in words}
    hidden = [each for each in (*record.overrides, *record.provenance.settings) if REDACTED in each]
    lost = sorted({key_of(each) for each in hidden} - known)
    if lost:
        raise RerunError(
            f"Overrides of run {record.id} held secrets, which are not on record: {some(lost)}. Give them again: "
            f"anew repeat {record.id} {lost[0]}=VALUE"
        )


def _is_seed(word: str) -> bool:
    return key_of(word) in ("seed", "anew.seed")


def further_seeds(record: RunRecord, count: int) -> list[int]:
    """Return the seeds behind a run's own, which are the same each time."""
    # a root seed that was drawn may be the last that there is
    return [(record.seed + more) % _SEEDS for more in range(1, count + 1)]


def has_own_seed(config: Mapping[str, Any]) -> bool:
    """Whether a configuration has a seed, and so can be swept over it: `anew.seed` is one for all jobs of a sweep."""
    return "seed" in config and type(config["seed"]) in (int, type(None))


def _typed(record: RunRecord) -> Iterator[str]:
    """Yield what was typed for the run, but for its seed, its secrets, and where its output went."""
    for each in record.overrides:
        if REDACTED not in each and not _is_seed(each) and not key_of(each).startswith(_OF_THE_JOB):
            yield each


def _pinned(record: RunRecord, words: Sequence[str]) -> list[str]:
    """Return overrides of what would come out otherwise each time, such as ${now:...}: values as they are on record."""
    import yaml

    try:
        written = yaml.safe_load(record.provenance.unresolved or "{}")
    except yaml.YAMLError:
        return []
    given = {key_of(word) for word in (*words, *record.overrides)}
    found = dict(_resolved_by(written, record.config, ""))
    return overrides_of([{key: value for key, value in found.items() if key not in given and key != "seed"}], {})


def _resolved_by(written: Any, values: Any, prefix: str) -> Iterator[tuple[str, Any]]:
    """Yield the keys whose values a resolver gave, and the values."""
    if not isinstance(written, Mapping) or not isinstance(values, Mapping):
        return
    for key, value in written.items():
        if not isinstance(key, str) or key not in values or not key.replace("_", "").isalnum():
            continue
        now = values[key]
        if isinstance(value, Mapping):
            yield from _resolved_by(value, now, f"{prefix}{key}.")
        elif _asks_the_world(value) and now != value and REDACTED not in str(now):
            yield f"{prefix}{key}", now


def _asks_the_world(written: Any) -> bool:
    return isinstance(written, str) and ":" in written.partition("${")[2]


def _run(errand: Repeat, record: RunRecord, place: Sandbox, store: RunFolders) -> int:
    places = errand.places
    if errand.source is not None:
        again = as_typed(f"anew repeat {record.id} --code current", store.url)
        lay_out_source(errand.source, places, store.objects, ref=record.id, again=again)
        restore_beside(record, places, store)
    return run_where_it_was(errand, place, import_paths=import_paths_of(record)).exit_code


def restore_beside(record: RunRecord, places: Places, store: RunFolders) -> None:
    """Lay out what a run had beside its source: its inputs, and the names of the rest. Raises RerunError, OSError."""
    restore_inputs(record.inputs, places, store.objects)
    lay_out_beside(record.source, record.inputs, places)


def import_paths_of(record: RunRecord) -> str | None:
    """Return where the process of a run found modules, as its variables said."""
    return record.environment.variables.get(VARIABLE) if record.environment else None
