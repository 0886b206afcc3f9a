"""What is asked of a search, checked: `hydra.sweeper` as plain values, and the overrides of its jobs."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import field, replace
from typing import Any

from anew.runner.attached.aims import Constraint, read_constraint
from anew.runner.dataclass import dataclass
from anew.runner.errors import ConfigError
from anew.runner.search.spaces import Choices, Parameter, Plain, grid_size, size, value_in
from anew.runner.wording import nearest

WHERE = "hydra.sweeper"
TARGET = "_target_"
DIRECTIONS = ("minimize", "maximize")
SAMPLERS: Mapping[str, tuple[str, ...]] = {
    "tpe": ("n_startup_trials", "n_ei_candidates", "multivariate", "group", "constant_liar"),
    "cmaes": (
        "n_startup_trials",
        "popsize",
        "use_separable_cma",
        "with_margin",
        "lr_adapt",
        "consider_pruned_trials",
    ),
    "grid": (),
    "random": (),
    "nsgaii": ("population_size", "mutation_prob", "crossover_prob", "swapping_prob"),
}
PRUNERS: Mapping[str, tuple[str, ...]] = {
    "median": ("n_startup_trials", "n_warmup_steps", "interval_steps", "n_min_trials"),
    "percentile": ("percentile", "n_startup_trials", "n_warmup_steps", "interval_steps", "n_min_trials"),
    "hyperband": ("min_resource", "max_resource", "reduction_factor", "bootstrap_count"),
    "successive_halving": ("min_resource", "reduction_factor", "min_early_stopping_rate", "bootstrap_count"),
    "threshold": ("lower", "upper", "n_warmup_steps", "interval_steps"),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Named:
    """A sampler or a pruner, by its name here or that of its class, and the options that it is built with."""

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class SearchSettings:
    """
    What is asked of a search.

    Attributes:
        items: The overrides of every job, in order: those that are always the same, and parameters.
        directions: "minimize" or "maximize", for each objective.
        sampler: What proposes values.
        seed: What its proposals follow from, in [0, 2**32); None to have it drawn.
        pruner: What stops jobs that promise nothing, or None.
        n_trials: How many jobs there are, over all starts of the search.
        study_name: The study's name in its storage, or None for ours.
        storage: A journal file or a URL, as it may stand on record; None for a journal in the sweep's folder.
        folder: What a relative path in it is relative to.
        max_failure_rate: The share of `n_trials` that may fail; with one more no further job begins.
        value: Keys of what main returns, or metrics, that are searched by; none where main returns numbers.
        constraints: What a result has to meet to be any good.
        patience: The search ends when so many jobs in a row were no better than the best before; None for never.
        start_from: Where the points that are tried first come from, as it was typed.
        points: Those: values of some parameters for each of the first jobs.
    """

    items: tuple[str | Parameter, ...]
    directions: tuple[str, ...]
    sampler: Named
    seed: int | None
    pruner: Named | None
    n_trials: int
    study_name: str | None
    storage: str | None
    max_failure_rate: float
    value: tuple[str, ...] = ()
    constraints: tuple[Constraint, ...] = ()
    patience: int | None = None
    folder: str | None = None
    start_from: Any = None
    points: tuple[Mapping[str, Plain], ...] = ()

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """What is searched for, in order."""
        return tuple(item for item in self.items if isinstance(item, Parameter))

    @property
    def may_fail(self) -> int:
        """How many jobs may fail."""
        return int(self.max_failure_rate * self.n_trials + 1e-9)  # 0.29 * 100 is a little less than 29


def read_settings(values: Mapping[str, Any], items: Sequence[str | Parameter]) -> SearchSettings:
    """
    Read what stands below `hydra.sweeper`.

    Args:
        values: Plain values.
        items: As in `SearchSettings`.

    Raises:
        ConfigError: Something is not as it has to be.
    """
    sampler, seed = _sampler(values["sampler"])
    directions = _directions(values["direction"])
    settings = SearchSettings(
        items=tuple(items),
        directions=directions,
        sampler=sampler,
        seed=seed,
        pruner=None if values["pruner"] is None else _read_named(values["pruner"], "pruner", PRUNERS),
        n_trials=0,
        study_name=_text_or_null(values["study_name"], "study_name"),
        storage=_text_or_null(values["storage"], "storage"),
        max_failure_rate=_share(values["max_failure_rate"]),
        value=_names(values.get("value"), directions),
        constraints=_constraints(values.get("constraints")),
        patience=_patience(values.get("patience")),
        folder=values.get("folder"),
        start_from=_start(values.get("start_from")),
    )
    _check_fit(settings)
    if isinstance(settings.start_from, list):
        settings = replace(settings, points=points_of(settings.parameters, settings.start_from))
    count = _count(values["n_trials"], grid_size(settings.parameters) if sampler.name == "grid" else None)
    return replace(settings, n_trials=count)


# What hydra-optuna-sweeper has, and this one has under another name.
_ELSEWHERE = {
    "timeout": "A time for the whole search is anew.sweep.max_time=1h.",
    "search_space": "What is searched stands below hydra.sweeper.params, or on the command line: lr=interval(0,1).",
    "custom_search_space": "A group's own keys are asked for where the group has them; what a result has to meet is "
    "hydra.sweeper.constraints=['size <= 100'].",
    "optuna_config": "Its options stand below hydra.sweeper itself: hydra.sweeper.n_trials=20.",
}


OPTIONS = (
    "constraints", "direction", "max_failure_rate", "n_jobs", "n_trials", "params", "patience", "pruner", "sampler",
    "start_from", "storage", "study_name", "value",
)  # fmt: skip


def unknown_option(option: str) -> ConfigError:
    """Return the error for an option that there is none of, with what is nearest, or has taken its place."""
    instead = _ELSEWHERE.get(option.partition(".")[0])
    more = f" {instead}" if instead else f"{nearest(option, OPTIONS)} {_list(OPTIONS)}"
    return ConfigError(f"{WHERE}.{option} is no option of anew's search.{more}", key=f"{WHERE}.{option}")


def refusal(key: str, problem: str) -> ConfigError:
    """Return the error for a value below `hydra.sweeper`."""
    return ConfigError(f"{WHERE}.{key} {problem}", key=f"{WHERE}.{key}")


def _sampler(value: Any) -> tuple[Named, int | None]:
    seed = value.get("seed") if isinstance(value, Mapping) else None
    rest = {key: each for key, each in value.items() if key != "seed"} if isinstance(value, Mapping) else value
    if seed is not None and (type(seed) is not int or not 0 <= seed < 2**32):
        raise refusal("sampler.seed", f"is {seed!r}; it takes a whole number from 0 to {2**32 - 1}, or null.")
    return _read_named(rest, "sampler", SAMPLERS), seed


def _read_named(value: Any, key: str, known: Mapping[str, tuple[str, ...]]) -> Named:
    given = {"name": value} if isinstance(value, str) else value
    if isinstance(given, Mapping) and (target := _target(given)):
        return target
    if not isinstance(given, Mapping) or not isinstance(given.get("name"), str):
        raise refusal(
            key, f"is {value!r}; it takes a name, or a mapping with one: {{name: {next(iter(known))}}}. {_list(known)}"
        )
    name = given["name"]
    if name not in known:
        raise refusal(key, f"is {name!r}, which is not known.{nearest(name, known)} {_list(known)}")
    # An option that is null is one that was left to Optuna.
    options = {option: each for option, each in given.items() if option != "name" and each is not None}
    for option in options:
        if option not in known[name]:
            raise refusal(
                f"{key}.{option}",
                f"is no option of {name}.{nearest(option, known[name])} {_list(known[name]) or 'It has none.'}",
            )
        if not isinstance(options[option], (int, float)) and options[option] != "auto":
            raise refusal(f"{key}.{option}", f"is {options[option]!r}; it takes a number, true or false.")
    return Named(name=name, options=options)


def _target(given: Mapping[str, Any]) -> Named | None:
    """Return what a configuration names by its class: `_target_`, as anywhere in Hydra, or a name with dots."""
    name = given.get(TARGET) or given.get("name")
    if not isinstance(name, str) or "." not in name.strip("."):
        return None
    options = {key: each for key, each in given.items() if key not in (TARGET, "name") and each is not None}
    return Named(name=name, options=options)


def _constraints(value: Any) -> tuple[Constraint, ...]:
    given = [] if value is None else list(value) if isinstance(value, (list, tuple)) else [value]
    found = [read_constraint(each) if isinstance(each, str) else None for each in given]
    for each, constraint in zip(given, found, strict=True):
        if constraint is None:
            raise refusal(
                "constraints",
                f"has {each!r}; it takes comparisons of a key of what main returns, or of a metric, with a number, "
                "such as: ['size <= 100', 'latency < 0.5']",
            )
    return tuple(each for each in found if each is not None)


def _patience(value: Any) -> int | None:
    if value is not None and (type(value) is not int or value < 1):
        raise refusal("patience", f"is {value!r}; it takes a whole number of jobs, from 1 on, or null.")
    return value


def _start(value: Any) -> Any:
    is_list = isinstance(value, list) and all(isinstance(each, Mapping) for each in value)
    if value is not None and not is_list and not (isinstance(value, str) and value.strip()):
        raise refusal(
            "start_from",
            f"is {value!r}; it takes a list of points, such as [{{lr: 0.1}}, {{lr: 0.01}}], or a filter of runs in the "
            "store, such as 'experiment == fit and loss < 0.2'.",
        )
    return value


def points_of(parameters: Sequence[Parameter], given: Sequence[Mapping[str, Any]]) -> tuple[Mapping[str, Plain], ...]:
    """Return points that are to be tried first, as values of the space. Raises ConfigError."""
    spaces = {each.name: each.space for each in parameters}
    points = []
    for point in given:
        values = {}
        for name, value in flat(point).items():
            if name not in spaces:
                raise refusal(
                    "start_from", f"has {name!r}, which is not searched.{nearest(name, spaces)} {_list(spaces)}"
                )
            try:
                values[name] = value_in(spaces[name], value)
            except ValueError as error:
                raise refusal("start_from", f"has {name}={value!r}, {error}.") from error
        points.append(values)
    return tuple(points)


def flat(values: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    """Return values by their dotted names."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            found |= flat(value, f"{above}{name}.")
        else:
            found[f"{above}{name}"] = value
    return found


def _directions(value: Any) -> tuple[str, ...]:
    given = ["minimize"] if value is None else value if isinstance(value, (list, tuple)) else [value]
    if not given or any(each not in DIRECTIONS for each in given):
        raise refusal("direction", f"is {value!r}; it takes minimize or maximize, or a list of them.")
    return tuple(given)


def _names(value: Any, directions: Sequence[str]) -> tuple[str, ...]:
    names = [] if value is None else list(value) if isinstance(value, (list, tuple)) else [value]
    if names and (len(names) != len(directions) or not all(isinstance(each, str) and each for each in names)):
        wanted = "a name" if len(directions) == 1 else f"{len(directions)} names, as there are directions"
        raise refusal("value", f"is {value!r}; it takes {wanted}: of keys of what main returns, or of metrics.")
    return tuple(names)


def _count(value: Any, combinations: int | None) -> int:
    if value is None and combinations is not None:
        return combinations
    if type(value) is not int or value < 1:
        more = "" if value is not None else " Only the grid sampler comes to an end by itself."
        raise refusal("n_trials", f"is {value!r}; it takes a whole number from 1 on.{more}")
    return value if combinations is None else min(value, combinations)


def _share(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 1:
        raise refusal("max_failure_rate", f"is {value!r}; it takes a number from 0 to 1.")
    return float(value)


def _text_or_null(value: Any, key: str) -> str | None:
    if value is not None and (not isinstance(value, str) or not value):
        raise refusal(key, f"is {value!r}; it takes a text, or null.")
    return value


def _check_fit(settings: SearchSettings) -> None:
    """Refuse what is right by itself and does not go together."""
    parameters = settings.parameters
    if not parameters:
        raise ConfigError(
            "There is nothing to search: no override is a choice, a range or an interval. "
            "Such as: 'lr=tag(log, interval(0.001, 0.1))'"
        )
    if settings.sampler.name == "grid":
        endless = [each.key for each in parameters if size(each.space) is None]
        if endless:
            raise refusal(
                "sampler",
                f"is grid, which needs a finite space: {', '.join(endless)} can be any number of an interval. "
                "Write a range or a choice instead, or choose another sampler.",
            )
        if settings.start_from is not None:
            raise refusal("start_from", "is for other samplers than grid, which tries all points in their order.")
    if settings.sampler.name == "cmaes":
        _check_cmaes(settings)
    if settings.storage is not None and "://" in settings.storage and settings.study_name is None:
        raise refusal(
            "study_name", "is null; a search in a storage of its own needs a name: hydra.sweeper.study_name=NAME"
        )


def _check_cmaes(settings: SearchSettings) -> None:
    if len(settings.directions) > 1:
        raise refusal("sampler", "is cmaes, which has one direction only. For several: nsgaii or tpe.")
    numeric = [each for each in settings.parameters if not isinstance(each.space, Choices) and size(each.space) != 1]
    if len(numeric) < 2:
        raise refusal(
            "sampler", f"is cmaes, which needs two or more numeric parameters; there are {len(numeric)}. Such as: tpe"
        )


def _list(names: Collection[str]) -> str:
    return f"There are: {', '.join(names)}." if names else ""
