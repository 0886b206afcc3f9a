"""Optuna's samplers and pruners, built from their names and options."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from inspect import signature
from typing import TYPE_CHECKING, Any

from anew.runner.errors import ConfigError, MissingExtraError
from anew.runner.search.extra import allow_experiments, need
from anew.runner.search.settings import TARGET, Named, refusal

if TYPE_CHECKING:
    from optuna.pruners import BasePruner
    from optuna.samplers import BaseSampler
    from optuna.trial import FrozenTrial


def derived_seed(seed: int, *path: int | str) -> int:
    """
    Return the seed of one proposal, in [0, 2**32).

    It depends on nothing else, so that a search which was killed goes on with the proposals that it would have made.
    """
    text = "/".join(map(str, (seed, *path)))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big")


def make_sampler(
    named: Named,
    seed: int,
    *,
    constraints: Callable[[FrozenTrial], Sequence[float]] | None = None,
    beside: int = 1,
) -> BaseSampler:
    """
    Build a sampler.

    Args:
        named: Which, and its options.
        seed: What its proposals follow from, where it takes one.
        constraints: Says by how much a trial fails to meet each of some constraints, for samplers that heed them.
        beside: How many jobs there are at a time. With more than one, tpe takes those that are running for bad ones
            unless its options say otherwise, so that what is proposed side by side differs.

    Raises:
        MissingExtraError: Optuna, or a library of this sampler, is not installed.
        ConfigError: There is no such sampler, or it refuses its options.
    """
    need("optuna", *(["cmaes"] if named.name == "cmaes" else []))
    from optuna import samplers
    from optuna.trial import Trial

    options = dict(named.options)
    if named.name == "cmaes":
        # Said once, when the search begins, and not for each proposal.
        options["warn_independent_sampling"] = False
    kinds: dict[str, type[BaseSampler]] = {
        "tpe": samplers.TPESampler,
        "cmaes": samplers.CmaEsSampler,
        # The values of a grid are given to each trial, which leaves nothing to sample.
        "grid": samplers.RandomSampler,
        "random": samplers.RandomSampler,
        "nsgaii": samplers.NSGAIISampler,
    }
    kind: Any = kinds.get(named.name) or _imported("sampler", named.name)
    given: dict[str, Any] = {"seed": seed}
    if constraints is not None and not hasattr(Trial, "set_constraint"):  # since Optuna 5 they stand in the trial
        given["constraints_func"] = constraints
    if beside > 1 and issubclass(kind, samplers.TPESampler):
        given["constant_liar"] = True
    taken = {key: value for key, value in given.items() if _takes(kind, key)}
    sampler: BaseSampler = _checked("sampler", named.name, samplers.BaseSampler, kind, {**taken, **options})
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
    kind = kinds.get(named.name) or _imported("pruner", named.name)
    pruner: BasePruner = _checked("pruner", named.name, pruners.BasePruner, kind, named.options)
    return pruner


def _imported(key: str, name: str) -> Any:
    """Return the class of a dotted name. Raises ConfigError."""
    module, _, attribute = name.rpartition(".")
    try:
        found = getattr(import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise refusal(key, f"is {name}, which cannot be imported: {error}") from error
    if not isinstance(found, type):
        raise refusal(key, f"is {name}, which is no class.")
    return found


def _takes(kind: Any, option: str) -> bool:
    parameters = signature(kind).parameters
    return option in parameters


def _checked(key: str, name: str, base: type, kind: Callable[..., Any], options: Mapping[str, Any]) -> Any:
    try:
        with allow_experiments():
            made = kind(**{option: _made(key, value) for option, value in options.items()})
    except ImportError as error:
        raise MissingExtraError(f"hydra.sweeper.{key}={name} needs {error.name}: {error}") from error
    except ConfigError:
        raise
    except Exception as error:
        raise refusal(key, f"is {name}, which does not take its options: {error}") from error
    if not isinstance(made, base):
        raise refusal(key, f"is {name}, which is no {key} of Optuna's.")
    return made


def _made(key: str, value: Any) -> Any:
    """Return an option, built where it names a class of its own, such as the pruner that a patient one waits for."""
    if isinstance(value, Mapping):
        built = {name: _made(key, each) for name, each in value.items() if name != TARGET}
        return _imported(key, value[TARGET])(**built) if isinstance(value.get(TARGET), str) else built
    return [_made(key, each) for each in value] if isinstance(value, (list, tuple)) else value
