"""What a search stands on: its space held to the schema, what depends on which choice, and points from earlier runs."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from anew.runner.config.private import nodes
from anew.runner.dataclass import dataclass
from anew.runner.errors import AnewError, ConfigError
from anew.runner.format.redact import redact_text
from anew.runner.lazy.patterns import regexp
from anew.runner.records import RunRecord
from anew.runner.search.settings import WHERE, flat
from anew.runner.search.spaces import Parameter, Plain, Reals, samples, value_in
from anew.runner.search.storage import remember
from anew.runner.sweep_records import Aim, SweepJob

_MOST_LEAVES = 200
_MOST_SAMPLES = 50
_KEPT = regexp(r"\$\{oc\.env:[A-Za-z_]\w*(?:,[^{}]*)?\}")
_REFERENCE = regexp(r"\$\{([\w.\[\]]+)\}")

Items = tuple[str | Parameter, ...]
Leaf = Mapping[str, str | None]


@dataclass(frozen=True, kw_only=True, slots=True)
class Ground:
    """
    What a search is told of the sweep that it is, before anything is written.

    Attributes:
        direction: Which result is best by the settings of the sweep, or None.
        beside: How many jobs there are to be at a time.
        has_begun: Whether the sweep is taken up again.
        is_group: Whether a key is a config group's.
        composed: Composes a job of these overrides, as it is before main's own types have a say. Raises ConfigError.
        check: Composes a job of these overrides and has main's types take it. Raises ConfigError.
        earlier: Returns the runs of the store that meet a filter.
    """

    direction: str | None
    beside: int
    has_begun: bool
    is_group: Callable[[str], bool]
    composed: Callable[[Sequence[str]], DictConfig]
    check: Callable[[Sequence[str]], object]
    earlier: Callable[[str], Sequence[RunRecord]]


def fitted(items: Items, ground: Ground) -> Items:
    """
    Return a search's overrides, each parameter with what has to be chosen for it to be asked for.

    A key that only some options of a config group have is asked for where one of them was chosen.

    Raises:
        ConfigError: A value of the space can never be had; Hydra's reason is in the message.
    """
    parameters = [each for each in items if isinstance(each, Parameter)]
    groups = [each for each in parameters if ground.is_group(each.name.partition("@")[0])]
    values = [each for each in parameters if each not in groups]
    leaves = _leaves(items, groups, ground)
    asked = {each.name: _where_asked(items, each, leaves, ground) for each in values}
    asked |= {each.name: [leaf for leaf in leaves if leaf[each.name] is not None] for each in groups}
    fit = {each.name: replace(each, when=_conditions(each, asked[each.name], leaves, groups)) for each in parameters}
    for each in values:
        _check_values(items, each, asked, parameters, ground)
    return tuple(each if isinstance(each, str) else fit[each.name] for each in items)


# --- what is asked for, and where ---------------------------------------------------------------------------------


def _leaves(items: Items, groups: Sequence[Parameter], ground: Ground) -> list[Leaf]:
    """Return every combination of options that composes; None for a group that others leave no place for."""
    count = math.prod(len(samples(each.space)) for each in groups)
    if count > _MOST_LEAVES:
        # too many to look at all: each option once, beside the first of the others
        first = {each.name: each.text(samples(each.space)[0]) for each in groups}
        wanted = [{**first, each.name: each.text(value)} for each in groups for value in samples(each.space)]
        return [_composable(items, leaf, ground) for leaf in wanted]
    options = [[(each.name, each.text(value)) for value in samples(each.space)] for each in groups]
    found: list[Leaf] = []
    for combination in itertools.product(*options):
        leaf = _composable(items, dict(combination), ground)
        if leaf not in found:
            found.append(leaf)
    return found


def _composable(items: Items, leaf: Mapping[str, str], ground: Ground) -> Leaf:
    """Return a combination of options, without those groups that there is no place for beside the others."""
    error: AnewError | None = None
    for count in range(min(len(leaf), 3)) or (0,):
        for left_out in itertools.combinations(list(leaf)[::-1], count):
            tried = {name: None if name in left_out else text for name, text in leaf.items()}
            try:
                ground.composed(_words(items, tried, {}))
            except ConfigError as refused:
                error = error or refused
            else:
                return tried
    assert error is not None
    raise ConfigError(f"The search cannot try {_said(items, leaf)}{error.message}") from error


def _said(items: Items, leaf: Mapping[str, str | None]) -> str:
    words = [word for word in _words(items, leaf, {}) if word not in items]
    return f"{' '.join(words)}: " if words else "this: "


def _where_asked(items: Items, parameter: Parameter, leaves: Sequence[Leaf], ground: Ground) -> list[Leaf]:
    """Return the combinations of options whose configuration has a key. Raises ConfigError when none has."""
    error: ConfigError | None = None
    found = []
    for leaf in leaves:
        value = {parameter.name: samples(parameter.space)[0]}
        try:
            if not _has(ground.composed(_words(items, leaf, {})), parameter.name):
                ground.composed(_words(items, leaf, value))  # it may be open to new keys, or be told to take one
            found.append(leaf)
        except ConfigError as refused:
            error = error or refused
    if not found:
        assert error is not None
        # what is tried is a value of ours, and no hint for what was typed
        tried = parameter.override(samples(parameter.space)[0])
        raise ConfigError(error.message.replace(tried, f"{parameter.key}=...")) from error
    return found


def _has(cfg: DictConfig, name: str) -> bool:
    node: Any = cfg
    for part in name.split("."):
        if not nodes.is_open(node) or (node := nodes.child(node, int(part) if part.isdigit() else part)) is None:
            return False
    return True


def _conditions(
    parameter: Parameter, asked: Sequence[Leaf], leaves: Sequence[Leaf], groups: Sequence[Parameter]
) -> tuple[Mapping[str, tuple[str | None, ...]], ...]:
    """Return what tells the combinations in which a parameter is asked for from the others, in few words."""
    if len(asked) == len(leaves):
        return ()
    names = [each.name for each in groups if each.name != parameter.name]
    texts = {name: tuple(dict.fromkeys(leaf[name] for leaf in asked)) for name in names}

    def tells(chosen: Sequence[str]) -> bool:
        return all(all(leaf[name] in texts[name] for name in chosen) == (leaf in asked) for leaf in leaves)

    for count in range(1, len(names) + 1):
        for chosen in itertools.combinations(names, count):
            if tells(chosen):
                return ({name: texts[name] for name in chosen},)
    return tuple({name: (leaf[name],) for name in names} for leaf in asked)


# --- whether all of it can be had ---------------------------------------------------------------------------------


def _check_values(
    items: Items,
    parameter: Parameter,
    asked: Mapping[str, Sequence[Leaf]],
    parameters: Sequence[Parameter],
    ground: Ground,
) -> None:
    """Refuse a parameter one of whose values is refused whatever the others are. Raises ConfigError."""
    leaf = asked[parameter.name][0]
    others = [each for each in parameters if each.name != parameter.name and each.name not in leaf]
    beside = [each for each in others if leaf in asked[each.name]]
    for value in samples(parameter.space)[:_MOST_SAMPLES]:
        error: ConfigError | None = None
        for surroundings in _surroundings(beside):
            try:
                ground.check(_words(items, leaf, {**surroundings, parameter.name: value}))
                break
            except ConfigError as refused:
                error = error or refused
        else:
            assert error is not None
            word = parameter.override(value)
            hint = f"\nFor whole numbers: {parameter.key}=int(interval(...))" if "to Integer" in error.message else ""
            is_real = isinstance(parameter.space, Reals)
            raise ConfigError(f"The search cannot try {word}: {error.message}{hint if is_real else ''}") from error


def _surroundings(others: Sequence[Parameter]) -> Iterator[dict[str, Plain]]:
    """Yield values for the other parameters: those between, the first, the last, and what is configured."""
    found = [{each.name: samples(each.space)[place] for each in others} for place in (0, -1)]
    middle = {each.name: samples(each.space)[len(samples(each.space)) // 2] for each in others}
    yield from (middle, *found, {}) if others else ({},)


def _words(items: Items, leaf: Leaf, values: Mapping[str, Plain]) -> list[str]:
    """Return the overrides of a job that has some of the parameters."""
    words = []
    for each in items:
        if isinstance(each, str):
            words.append(each)
        elif leaf.get(each.name) is not None:
            words.append(f"{each.key}={leaf[each.name]}")
        elif each.name in values:
            words.append(each.override(values[each.name]))
    return words


# --- points from earlier runs -------------------------------------------------------------------------------------


def points_from(
    records: Sequence[RunRecord], parameters: Sequence[Parameter], aim: Aim
) -> tuple[Mapping[str, Plain], ...]:
    """Return the points of a space that earlier runs were at, the best first; those without a result after them."""
    sign = -1 if aim.direction == "maximize" else 1

    def key(record: RunRecord) -> tuple[bool, Any, int]:
        job = SweepJob(
            index=0,
            status=record.status,
            overrides=(),
            result=record.result,
            metrics={name: each.last for name, each in record.metrics.items()},
        )
        return (False, sign * aim.of(job), record.id or 0) if aim.is_scored(job) else (True, 0, record.id or 0)

    points: list[Mapping[str, Plain]] = []
    for record in sorted(records, key=key):
        point = _point(record, parameters)
        if point and point not in points:
            points.append(point)
    return tuple(points)


def _point(record: RunRecord, parameters: Sequence[Parameter]) -> dict[str, Plain]:
    """Return where in a space a run was; {} where it was outside."""
    values = {**flat(record.config), **record.choices}
    point: dict[str, Plain] = {}
    for each in parameters:
        if each.name in values:
            try:
                point[each.name] = value_in(each.space, values[each.name])
            except ValueError:
                return {}
    return point


# --- where it is kept ---------------------------------------------------------------------------------------------


def storage_of(cfg: DictConfig) -> str | None:
    """
    Return where a search is kept as it may stand on record: variables of the environment by name, secrets left out.

    What that stands for is remembered in this process.
    """
    node = OmegaConf.select(cfg, "hydra.sweeper", throw_on_missing=False)
    written = nodes.written_below(node, "storage") if isinstance(node, DictConfig) else None
    if not isinstance(written, str):
        return None
    words = _expanded(cfg, written)
    if "${" in _KEPT.sub("", words):
        with suppress(OmegaConfBaseException):
            words = str(node.storage)
    told = redact_text(words)
    if told != words:
        with suppress(OmegaConfBaseException):
            remember(told, str(node.storage))
    return told


def _expanded(cfg: DictConfig, written: str, depth: int = 0) -> str:
    """Return a text in which what refers to other values is what these are as written."""

    def replaced(found: re.Match[str]) -> str:
        parent, _, key = found[1].rpartition(".")
        node = OmegaConf.select(cfg, parent) if parent else cfg
        value = nodes.written_below(node, key) if isinstance(node, DictConfig) else None
        return _expanded(cfg, value, depth + 1) if isinstance(value, str) and depth < 10 else found[0]

    return _REFERENCE.sub(replaced, written)


def refuse_direction(asked: str, own: Any) -> ConfigError:
    """Return the error for a sweep whose settings and whose sweeper call different results the best."""
    return ConfigError(
        f"anew.sweep.direction={asked} and {WHERE}.direction={own} call different results the best. Leave one of "
        "them out.",
        key="anew.sweep.direction",
    )
