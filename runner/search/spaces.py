"""What the parameters of a search can be: plain values that know neither Hydra nor Optuna."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from anew.runner.dataclass import dataclass

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

Plain = str | int | float | bool | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Choices:
    """
    One of some values.

    Attributes:
        values: As they are reported; no two are equal.
        texts: The same as they stand in an override.
    """

    values: tuple[Plain, ...]
    texts: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Integers:
    """Whole numbers from `low` to `high`, both included; with `log` all magnitudes are equally likely."""

    low: int
    high: int
    step: int = 1
    log: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Reals:
    """Numbers from `low` to `high`, both included, any of them where `step` is None."""

    low: float
    high: float
    step: float | None = None
    log: bool = False


Space = Choices | Integers | Reals


@dataclass(frozen=True, kw_only=True, slots=True)
class Parameter:
    """
    What is searched for.

    Attributes:
        name: As it is reported.
        key: As it stands in an override, before the "=".
        space: What it can be.
    """

    name: str
    key: str
    space: Space

    def override(self, value: Plain) -> str:
        """Return the override that gives it a value of its space."""
        return f"{self.key}={_spelling(self.space, value)}"


def describe(parameters: Sequence[Parameter]) -> dict[str, Any]:
    """Return JSON values that are the same for the same spaces."""
    return {each.name: _describe(each.space) for each in parameters}


def size(space: Space) -> int | None:
    """Return how many values there are; None for any number of them."""
    if isinstance(space, Choices):
        return len(space.values)
    if space.step is None:
        return None
    return int((_exact(space.high) - _exact(space.low)) / _exact(space.step)) + 1


def grid_size(parameters: Sequence[Parameter]) -> int | None:
    """Return how many combinations there are; None for any number of them."""
    count = 1
    for each in parameters:
        length = size(each.space)
        if length is None:
            return None
        count *= length
    return count


def grid_point(parameters: Sequence[Parameter], index: int) -> dict[str, Plain]:
    """Return one of the combinations, counted from 0; the last parameter changes fastest, as in a plain sweep."""
    point: dict[str, Plain] = {}
    for each in reversed(parameters):
        index, place = divmod(index, size(each.space) or 1)
        point[each.name] = _nth(each.space, place)
    return point


def distributions(parameters: Sequence[Parameter]) -> Mapping[str, BaseDistribution]:
    """Return the spaces as Optuna has them, by name."""
    return {each.name: _distribution(each.space) for each in parameters}


def _describe(space: Space) -> dict[str, Any]:
    if isinstance(space, Choices):
        return {"choices": list(space.texts)}
    return {"type": "int" if isinstance(space, Integers) else "float", **asdict(space)}


def _nth(space: Space, place: int) -> Plain:
    if isinstance(space, Choices):
        return space.values[place]
    if isinstance(space, Integers):
        return space.low + place * space.step
    return float(_exact(space.low) + place * _exact(space.step or 0))


def _spelling(space: Space, value: Plain) -> str:
    if isinstance(space, Choices):
        # Optuna finds values that are equal to none, such as NaN.
        return space.texts[int(_distribution(space).to_internal_repr(value))]
    if isinstance(space, Integers):
        return str(int(value or 0))
    number = float(value or 0)
    if space.step is not None:
        number = float(str(_nth(space, round((number - space.low) / space.step))))
    return repr(number)


def _exact(number: float) -> Decimal:
    """Return what was meant by a number: 0.1, not the binary fraction beside it."""
    return Decimal(str(number))


def _distribution(space: Space) -> BaseDistribution:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if isinstance(space, Choices):
        return CategoricalDistribution(space.values)
    if isinstance(space, Integers):
        return IntDistribution(space.low, space.high, log=space.log, step=space.step)
    return FloatDistribution(space.low, space.high, log=space.log, step=space.step)
