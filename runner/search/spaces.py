"""What the parameters of a search can be: plain values that know neither Hydra nor Optuna."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
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
        when: What has to have been chosen for it to be asked for: one of these, each of which says of some parameters
            which of their texts will do, None for one that is itself not asked for. Always, where there is none.
    """

    name: str
    key: str
    space: Space
    when: tuple[Mapping[str, tuple[str | None, ...]], ...] = ()

    def is_asked(self, chosen: Mapping[str, str]) -> bool:
        """Whether it is asked for where other parameters have got these texts."""
        return not self.when or any(
            all(chosen.get(name) in texts for name, texts in each.items()) for each in self.when
        )

    def text(self, value: Plain) -> str:
        """Return a value of its space as it stands in an override."""
        return _spelling(self.space, value)

    def override(self, value: Plain) -> str:
        """Return the override that gives it a value of its space."""
        return f"{self.key}={self.text(value)}"


def describe(parameters: Sequence[Parameter]) -> dict[str, Any]:
    """Return JSON values that are the same for the same spaces."""
    return {
        each.name: {**_describe(each.space), **({"when": _plain(each.when)} if each.when else {})}
        for each in parameters
    }


def deciding(parameters: Sequence[Parameter]) -> tuple[Parameter, ...]:
    """Return the parameters that others wait for, those first that wait for none."""
    names = {name for each in parameters for condition in each.when for name in condition}
    return tuple(sorted((each for each in parameters if each.name in names), key=lambda each: bool(each.when)))


def in_order(parameters: Sequence[Parameter]) -> tuple[Parameter, ...]:
    """Return parameters in the order in which they can be asked for: those first that others wait for."""
    first = deciding(parameters)
    return (*first, *(each for each in parameters if each not in first))


def size(space: Space) -> int | None:
    """Return how many values there are; None for any number of them."""
    if isinstance(space, Choices):
        return len(space.values)
    if space.step is None:
        return None
    return int((_exact(space.high) - _exact(space.low)) / _exact(space.step)) + 1


def grid_size(parameters: Sequence[Parameter]) -> int | None:
    """Return how many combinations there are; None for any number of them."""
    if any(size(each.space) is None for each in parameters):
        return None
    return sum(_product(rest) for _, rest in _blocks(parameters))


def grid_point(parameters: Sequence[Parameter], index: int) -> dict[str, Plain]:
    """Return one of the combinations, counted from 0; the last parameter changes fastest, as in a plain sweep."""
    for point, rest in _blocks(parameters):
        count = _product(rest)
        if index >= count:
            index -= count
            continue
        for each in reversed(rest):
            index, place = divmod(index, size(each.space) or 1)
            point[each.name] = _nth(each.space, place)
        return {each.name: point[each.name] for each in parameters if each.name in point}
    raise IndexError(index)


def _blocks(parameters: Sequence[Parameter]) -> Iterator[tuple[dict[str, Plain], list[Parameter]]]:
    """Yield the values of the parameters that others wait for, with those that are then left to be chosen."""
    first = deciding(parameters)
    rest = [each for each in parameters if each not in first]

    def descend(place: int, point: dict[str, Plain], chosen: dict[str, str]) -> Iterator[Any]:
        if place == len(first):
            yield dict(point), [each for each in rest if each.is_asked(chosen)]
            return
        each = first[place]
        if not each.is_asked(chosen):
            yield from descend(place + 1, point, chosen)
            return
        for number in range(size(each.space) or 1):
            value = _nth(each.space, number)
            yield from descend(place + 1, {**point, each.name: value}, {**chosen, each.name: each.text(value)})

    return descend(0, {}, {})


def _product(parameters: Sequence[Parameter]) -> int:
    return math.prod(size(each.space) or 1 for each in parameters)


def value_in(space: Space, given: Any) -> Plain:
    """
    Return the value of a space that somebody means by *given*: equal to it, or written as it is.

    Raises:
        ValueError: There is none; the message says what there is.
    """
    if isinstance(space, Choices):
        for value, text in zip(space.values, space.texts, strict=True):
            if given is value or (type(given) is type(value) and given == value) or str(given) == str(value) == text:
                return value
        for value, text in zip(space.values, space.texts, strict=True):
            if given == value or str(given) == text:
                return value
        raise ValueError(f"which is none of {', '.join(space.texts)}")
    if isinstance(given, bool) or not isinstance(given, (int, float)):
        raise ValueError("which is no number")  # noqa: TRY004  one error for whatever is outside
    if not space.low <= given <= space.high:
        raise ValueError(f"which is not from {space.low:g} to {space.high:g}")
    if isinstance(space, Integers) and given != int(given):
        raise ValueError("which is no whole number")
    if space.step is not None and (_exact(given) - _exact(space.low)) % _exact(space.step) != 0:
        raise ValueError(f"which is no step of {space.step:g} from {space.low:g} on")
    return int(given) if isinstance(space, Integers) else float(given)


def samples(space: Space) -> tuple[Plain, ...]:
    """Return values that show whether all of a space can be had: every choice, both ends, and one between."""
    if isinstance(space, Choices):
        return space.values
    if isinstance(space, Integers):
        return tuple(dict.fromkeys((space.low, space.high)))
    between = space.low + (space.high - space.low) * 0.37 if space.step is None else _nth(space, 1)
    return tuple(dict.fromkeys((space.low, float(between or 0) if space.low < space.high else space.low, space.high)))


def distributions(parameters: Sequence[Parameter]) -> Mapping[str, BaseDistribution]:
    """Return the spaces as Optuna has them, by name."""
    return {each.name: _distribution(each.space) for each in parameters}


def _plain(when: Sequence[Mapping[str, Sequence[str | None]]]) -> list[dict[str, list[str | None]]]:
    return [{name: list(texts) for name, texts in each.items()} for each in when]


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
