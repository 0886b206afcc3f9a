"""A search as Hydra's sweeper has it done: what is asked for, where it begins, and what it leaves."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from hydra.core.config_loader import ConfigLoader
from hydra.core.utils import JobReturn
from hydra_plugins.anew._spaces import items
from omegaconf import DictConfig, OmegaConf

from anew.runner.config.batch.searching import Ground, fitted, points_from, refuse_direction, storage_of
from anew.runner.config.private.running import returned
from anew.runner.format.redact import Redactor
from anew.runner.search import samplers, summary
from anew.runner.search.search import Search
from anew.runner.search.settings import SearchSettings, read_settings, refusal, unknown_option
from anew.runner.sweep_records import Aim

_log = logging.getLogger(__name__)


def asked(
    values: Mapping[str, Any],
    arguments: Sequence[str],
    config: DictConfig,
    loader: ConfigLoader,
    fit: SearchSettings | None,
) -> SearchSettings:
    """
    Return what is asked of a search.

    Args:
        values: What stands below `hydra.sweeper`, as plain values.
        arguments: As typed.
        config: What is searched around.
        loader: Knows config groups.
        fit: The same, held to what it stands on, once that was done.

    Raises:
        ConfigError: Something is not as it has to be.
        MissingExtraError: Optuna is not installed.
    """
    for option in values["unknown"]:
        raise unknown_option(option)
    n_jobs = values["n_jobs"]
    if type(n_jobs) is not int or n_jobs < 1:
        raise refusal("n_jobs", f"is {n_jobs!r}; it takes a whole number from 1 on.")
    found = items(values["params"], arguments, loader, config) if fit is None else fit.items
    folder = str(Path.cwd()) if values["storage"] is not None else None
    storage = None if values["storage"] is None else storage_of(config) or values["storage"]
    given = read_settings({**values, "storage": storage, "folder": folder}, found)
    samplers.make_sampler(given.sampler, 0)
    samplers.make_pruner(given.pruner)
    return given if fit is None or not fit.points else replace(given, points=fit.points)


def settled(given: SearchSettings, ground: Ground) -> SearchSettings:
    """Return what is asked of a search, held to what it stands on. Raises ConfigError, FilterError."""
    held = replace(given, items=fitted(given.items, ground))
    if isinstance(given.start_from, str) and not ground.has_begun:
        value = given.value[0] if len(given.value) == 1 else ""
        aim = Aim(given.directions[0], value=value, constraints=given.constraints)
        held = replace(held, points=points_from(ground.earlier(given.start_from), given.parameters, aim))
        _log.info("Of earlier runs %d points are tried first", min(len(held.points), given.n_trials))
    return held


def direction_of(own: Any, ground: Ground) -> Any:
    """Return which result is best, by the sweep's settings and the search's own. Raises ConfigError if they differ."""
    if ground.direction is None:
        return own
    if own is not None and own not in (ground.direction, [ground.direction]):
        raise refuse_direction(ground.direction, own)
    return ground.direction


def begin(config: DictConfig, given: SearchSettings, *, beside: int) -> Search:
    """Begin a search in the folder of its sweep, or go on with it. Raises as `Search`."""
    folder = Path(str(config.hydra.sweep.dir)).absolute()
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "multirun.yaml").write_text(Redactor().yaml(OmegaConf.to_yaml(config)), encoding="utf-8")
    return Search(folder, given, beside=beside)


def conclude(begun: Search) -> None:
    """Write what a search has found."""
    folder = begun.files.sweep
    found = summary.summary(folder, trusted=True)
    assert found is not None
    OmegaConf.save(OmegaConf.create(summary.results(found)), begun.files.results)
    summary.keep(folder, found)
    if begun.has_failed:
        raise begun.failure


def failure_of(done: JobReturn) -> str:
    """Return in a line what a failed job raised, without raising it, which Hydra would print."""
    error = returned(done)
    return f"{type(error).__name__}: {error}".split("\n")[0]
