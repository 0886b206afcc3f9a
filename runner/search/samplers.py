"""Optuna's samplers and pruners, built from their names and options."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from anew.runner.search.extra import allow_experiments, need
from anew.runner.search.settings import Named, refusal

if TYPE_CHECKING:
    from optuna.pruners import BasePruner
    from optuna.samplers import BaseSampler


def derived_seed(seed: int, *path: int | str) -> int:
    """
    Return the seed of one proposal, in [0, 2**32).

    It depends on nothing else, so that a search which was killed goes on with the proposals that it would have made.
    """
    text = "/".join(map(str, (seed, *path)))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big")


def make_sampler(named: Named, seed: int) -> BaseSampler:
    """
    Build a sampler.

    Raises:
        MissingExtraError: Optuna, or a library of this sampler, is not installed.
        ConfigError: The sampler refuses its options.
    """
    need("optuna", *(["cmaes"] if named.name == "cmaes" else []))
    from optuna import samplers

    options = dict(named.options)
    if named.name == "cmaes":
        # Said once, when the search begins, and not for each proposal.
        options["warn_independent_sampling"] = False
    kinds: dict[str, Callable[..., BaseSampler]] = {
        "tpe": samplers.TPESampler,
        "cmaes": samplers.CmaEsSampler,
        # The values of a grid are given to each trial, which leaves nothing to sample.
        "grid": samplers.RandomSampler,
        "random": samplers.RandomSampler,
        "nsgaii": samplers.NSGAIISampler,
    }
    sampler: BaseSampler = _build(kinds[named.name], "sampler", named.name, {**options, "seed": seed})
    return sampler


def make_pruner(named: Named | None) -> BasePruner:
    """Build a pruner; None gives one that stops nothing. Raises MissingExtraError, ConfigError."""
    need("optuna")
    from optuna import pruners

    if named is None:
        return pruners.NopPruner()
    kinds: dict[str, Callable[..., BasePruner]] = {
        "median": pruners.MedianPruner,
        "percentile": pruners.PercentilePruner,
        "hyperband": pruners.HyperbandPruner,
        "successive_halving": pruners.SuccessiveHalvingPruner,
        "threshold": pruners.ThresholdPruner,
    }
    pruner: BasePruner = _build(kinds[named.name], "pruner", named.name, named.options)
    return pruner


def _build(kind: Callable[..., Any], key: str, name: str, options: Any) -> Any:
    try:
        with allow_experiments():
            return kind(**options)
    except (TypeError, ValueError) as error:
        raise refusal(key, f"is {name}, which does not take its options: {error}") from error
