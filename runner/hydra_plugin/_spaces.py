"""Overrides of Hydra's grammar, read as what a search can choose from. Hydra's plugin scan passes over this file."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import (
    ChoiceSweep,
    IntervalSweep,
    Override,
    QuotedString,
    RangeSweep,
    Sweep,
    Transformer,
)
from hydra.errors import HydraException
from omegaconf import DictConfig

from anew.runner.config.private.nodes import text_below
from anew.runner.config.private.sweeps import Quote, limits
from anew.runner.errors import ConfigError
from anew.runner.lazy.patterns import regexp
from anew.runner.search.spaces import Choices, Integers, Parameter, Plain, Reals, Space

_WRAPPED = regexp(r"(?:choice|shuffle|tag|sort)\((.*)\)", re.DOTALL)
_CHOICE = regexp(r"""(?:"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|\[[^\]]*\]|\{[^}]*\}|[^,"'\[{])+""")
_EXAMPLES = "choice(a, b), range(1, 10), interval(0, 1), int(interval(1, 100)) or tag(log, interval(0.001, 0.1))"


def items(
    params: Any, arguments: Sequence[str], loader: ConfigLoader, config: DictConfig | None = None
) -> tuple[str | Parameter, ...]:
    """
    Return the overrides of every job of a search, in order: those that are always the same, and parameters.

    Args:
        params: What stands below `hydra.sweeper.params`, as plain values.
        arguments: As typed; one with the key of a param takes its place.
        loader: Knows which options there are, for glob().
        config: What is searched around: choices for a text are texts, however they are written.

    Raises:
        ConfigError: Something is no space to search.
        OverrideParseException: An argument is not in Hydra's grammar.
    """
    parser = OverridesParser.create(config_loader=loader)
    found: dict[str, str | Parameter] = {}
    for name, text in _params(params).items():
        override = _parse(parser, name, text)
        found[_name(override)] = _space_of(override, f"hydra.sweeper.params.{name}", config)
    for override in parser.parse_overrides(list(arguments)):
        is_space = override.is_sweep_override()
        found[_name(override)] = (
            _space_of(override, override.get_key_element(), config) if is_space else str(override.input_line)
        )
    return tuple(found.values())


def _params(params: Any) -> Mapping[str, Any]:
    if params is None:
        return {}
    if not isinstance(params, Mapping):
        raise _refusal("hydra.sweeper.params", params, "which is no mapping of names to spaces")
    return params


def _parse(parser: OverridesParser, name: str, text: Any) -> Override:
    where = f"hydra.sweeper.params.{name}"
    if not isinstance(text, str):
        raise _refusal(where, text, "which is no space to search")
    try:
        override = parser.parse_override(f"{name}={text}")
    except HydraException as error:
        reason = str(error).strip().split("\n")[0]
        raise _refusal(where, text, f"which cannot be read ({reason})") from error
    if not override.is_sweep_override():
        raise _refusal(where, text, "which is no space to search")
    return override


def _refusal(where: str, text: Any, problem: str) -> ConfigError:
    return ConfigError(f"{where} is {text!r}, {problem}. Such as: {_EXAMPLES}", key=where)


def _name(override: Override) -> str:
    """Return a key without the "+" of an addition or the "~" of a deletion."""
    package = f"@{override.package}" if override.package is not None else ""
    return f"{override.key_or_group}{package}"


def _space_of(override: Override, where: str, config: DictConfig | None) -> Parameter:
    value = override.value()
    try:
        if isinstance(value, RangeSweep):
            space = _range(value)
        elif isinstance(value, IntervalSweep):
            space = _interval(value)
        else:
            space = _choices(_elements(override, config), value)
        return Parameter(name=_name(override), key=override.get_key_element(), space=space)
    except ValueError as error:
        raise _refusal(where, override.get_value_string(), str(error)) from error


def _elements(override: Override, config: DictConfig | None) -> list[Any]:
    """Return what is to be chosen from. A shuffled choice stays in order, since the sampler draws anyway."""
    value = override.value()
    found = list(value.list) if isinstance(value, ChoiceSweep) else list(override.sweep_iterator())
    kind = None if config is None else text_below(config, _name(override))
    found = [_quoted(each) if isinstance(each, str) and not _reads_as_text(each) else each for each in found]
    if kind is None:
        return found
    typed = _typed(override, len(found))
    return [
        each if isinstance(each, (str, QuotedString)) or (each is None and kind.takes_none) else _quoted(text)
        for each, text in zip(found, typed or map(Transformer.str, found), strict=True)
    ]


def _reads_as_text(text: str) -> bool:
    """Whether a text that stood in quotes is one without them too; `true` and `1e3` are not."""
    spelled = str(Transformer.str(text))
    try:
        return isinstance(OverridesParser.create().parse_override(f"k={spelled}").value(), str)
    except HydraException:
        return False


def _typed(override: Override, count: int) -> list[str]:
    """Return how each of some choices was typed; none where that is not plain to see."""
    text = str(override.input_line).partition("=")[2].strip()
    while wrapped := _WRAPPED.fullmatch(text):
        text = wrapped[1].strip()
    parts = [each.strip() for each in _CHOICE.findall(text)]
    return parts if len(parts) == count else []


def _quoted(text: str) -> QuotedString:
    return QuotedString(text=text, quote=Quote.double)


def _choices(elements: Sequence[Any], sweep: Any) -> Choices:
    if isinstance(sweep, Sweep):
        _log(sweep, allowed=False)
    if not elements:
        raise ValueError("which offers nothing")
    values: dict[str, Plain] = {}
    for element in elements:
        plain = element.text if isinstance(element, QuotedString) else element
        # a quoted text stays one: without its quotes "true" would be something else
        text = element.with_quotes() if isinstance(element, QuotedString) else str(Transformer.str(element))
        values[text] = plain if plain is None or isinstance(plain, (str, int, float, bool)) else text
    # Where 1 and 1.0 and true are different choices, they are told apart by their texts.
    texts = tuple(values)
    are_distinct = len(set(values.values())) == len(values)
    return Choices(values=tuple(values.values()) if are_distinct else texts, texts=texts)


def _range(sweep: RangeSweep) -> Space:
    written = limits(sweep)
    start, stop, step = (Decimal(str(number)) for number in written)
    if step == 0:
        raise ValueError("which has a step of 0")
    count = math.ceil((stop - start) / step)
    if count < 1:
        raise ValueError("which is empty")
    low, high = sorted((start, start + (count - 1) * step))
    log = _log(sweep)
    if log and (low <= 0 or abs(step) != 1):
        raise ValueError("which cannot be logarithmic: that takes numbers above 0, and a step of 1")
    if all(isinstance(number, int) for number in written):
        return Integers(low=int(low), high=int(high), step=int(abs(step)), log=log)
    if log:
        raise ValueError("which cannot be logarithmic: an interval can, or a range of whole numbers")
    return Reals(low=float(low), high=float(high), step=float(abs(step)))


def _interval(sweep: IntervalSweep) -> Space:
    low, high = sweep.start, sweep.end
    if low is None or high is None or not (math.isfinite(low) and math.isfinite(high)) or low > high:
        raise ValueError("whose end is not above its start")
    log = _log(sweep)
    if log and low <= 0:
        raise ValueError("which cannot be logarithmic: that takes numbers above 0")
    if isinstance(low, int) and isinstance(high, int):
        return Integers(low=low, high=high, log=log)
    return Reals(low=low, high=high, log=log)


def _log(sweep: Sweep, *, allowed: bool = True) -> bool:
    unknown = set(sweep.tags) - ({"log"} if allowed else set())
    if unknown:
        known = "; a search knows the tag log" if allowed else "; a choice takes none"
        raise ValueError(f"with the tag {', '.join(sorted(unknown))}{known}")
    return "log" in sweep.tags
