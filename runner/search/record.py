"""What is known of a search beside its trials: enough to go on with it, and to make it again."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

from anew.runner.dataclass import dataclass
from anew.runner.errors import ConfigError, StoreError
from anew.runner.search.files import SearchFiles, read_json, write_json
from anew.runner.search.settings import WHERE, Named, SearchSettings
from anew.runner.search.spaces import describe
from anew.runner.search.storage import JOURNAL, STUDY, Place


@dataclass(frozen=True, kw_only=True, slots=True)
class SearchRecord:
    """
    A search as it was begun.

    Attributes:
        uid: Marks its trials, since a storage can hold those of others in the same study.
        study: The study's name.
        storage: A URL, or the path of a journal, as it may stand on record: see `storage.Place`.
        sampler: What proposes values.
        seed: What its proposals follow from, in [0, 2**32), given or drawn.
        pruner: What stops jobs, or None.
        directions: "minimize" or "maximize", for each objective.
        space: What can be chosen, by parameter; see `spaces.describe`.
        n_trials: How many jobs there are, as it was asked for last.
        optuna: The version of Optuna that it was begun with.
        folder: What a relative path in `storage` is relative to; None in the sweep's folder.
        value: Keys of what main returns, or metrics, that are searched by.
        constraints: What a result has to meet to be any good, as it was typed.
        start_from: Where the points that are tried first come from, as it was typed.
        points: Those: values of some parameters for each of the first jobs.
    """

    uid: str
    study: str
    storage: str
    sampler: Named
    seed: int
    pruner: Named | None
    directions: tuple[str, ...]
    space: Mapping[str, Any]
    n_trials: int
    optuna: str
    folder: str | None = None
    value: tuple[str, ...] = ()
    constraints: tuple[str, ...] = ()
    start_from: Any = None
    points: tuple[Mapping[str, Any], ...] = ()

    @property
    def place(self) -> Place:
        """Where the study is kept."""
        return Place(words=self.storage, folder=self.folder)


_NAMES = frozenset(each.name for each in fields(SearchRecord))


def read_record(sweep: Path) -> SearchRecord | None:
    """Return what is known of the search in a sweep's folder; None when there is none. Raises StoreError."""
    path = SearchFiles(sweep).record
    values = read_json(path)
    if values is None:
        return None
    try:
        pruner = values["pruner"]
        known = {key: value for key, value in values.items() if key in _NAMES}  # later versions may say more
        return SearchRecord(
            **{
                **known,
                "sampler": Named(**values["sampler"]),
                "pruner": None if pruner is None else Named(**pruner),
                "directions": tuple(map(str, values["directions"])),
                "value": tuple(map(str, values.get("value", ()))),
                "constraints": tuple(map(str, values.get("constraints", ()))),
                "points": tuple(map(dict, values.get("points", ()))),
            }
        )
    except (TypeError, LookupError, ValueError) as error:
        raise StoreError(f"Cannot read {str(path)!r}: it describes no search: {error}", path=str(path)) from error


def begin_record(sweep: Path, settings: SearchSettings) -> SearchRecord:
    """
    Return the record of a search, written when it begins and when it is to have another number of trials.

    Raises:
        ConfigError: There was a search here before, and it was another one.
        StoreError: It cannot be read or written.
    """
    before = read_record(sweep)
    if before is None:
        now = _new(settings)
    else:
        _check_same(before, settings, sweep)
        now = replace(before, n_trials=settings.n_trials)
    if now != before:
        write_json(SearchFiles(sweep).record, asdict(now))
    return now


def _new(settings: SearchSettings) -> SearchRecord:
    import optuna

    return SearchRecord(
        uid=secrets.token_hex(8),
        study=settings.study_name or STUDY,
        storage=settings.storage or JOURNAL,
        folder=settings.folder,
        sampler=settings.sampler,
        seed=secrets.randbits(32) if settings.seed is None else settings.seed,
        pruner=settings.pruner,
        directions=settings.directions,
        space=describe(settings.parameters),
        n_trials=settings.n_trials,
        optuna=optuna.__version__,
        value=settings.value,
        constraints=tuple(each.text for each in settings.constraints),
        start_from=settings.start_from,
        points=settings.points[: settings.n_trials],
    )


def _check_same(before: SearchRecord, settings: SearchSettings, sweep: Path) -> None:
    pairs = {
        "sampler": (before.sampler, settings.sampler),
        "sampler.seed": (before.seed, before.seed if settings.seed is None else settings.seed),
        "pruner": (before.pruner, settings.pruner),
        "direction": (before.directions, settings.directions),
        "study_name": (before.study, settings.study_name or STUDY),
        "storage": (before.storage, settings.storage or JOURNAL),
        "params": (before.space, describe(settings.parameters)),
        "value": (before.value, settings.value) if before.value else ((), ()),
        "constraints": (before.constraints, tuple(each.text for each in settings.constraints)),
        "start_from": (before.start_from, settings.start_from),
    }
    for key, (was, now) in pairs.items():
        if was != now:
            raise ConfigError(
                f"The search in {str(sweep)!r} was begun with another {WHERE}.{key}: {_as_typed(was)}, now "
                f"{_as_typed(now)}. To go on with it leave that as it was; for another search take another folder.",
                key=f"{WHERE}.{key}",
            )


def _as_typed(value: Any) -> str:
    return str({"name": value.name, **value.options} if isinstance(value, Named) else value)
