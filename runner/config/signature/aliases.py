"""What an annotation stands for where it is an alias, `type Rate = float`, or a type parameter, `main[T: float]`."""

from __future__ import annotations

import typing
from typing import Any, Union


def meaning(annotation: Any) -> Any:
    """Return what an annotation stands for: it looks through aliases, `type Rate = float`, and type parameters."""
    meant = looked_through(annotation)
    return annotation if meant is annotation else meaning(meant)


def looked_through(annotation: Any) -> Any:
    """Return what an alias or a type parameter stands for at once; any other annotation itself. Raises what it does."""
    if isinstance(annotation, typing.TypeVar):
        return _of_parameter(annotation)
    # by its name: Python has it since 3.12, and typing_extensions before
    alias = typing.get_origin(annotation) or annotation
    if type(alias).__name__ != "TypeAliasType":
        return annotation
    value = alias.__value__
    given = dict(zip(alias.__type_params__, typing.get_args(annotation), strict=False))
    if value in alias.__type_params__:
        return given.get(value, value)
    free = getattr(value, "__parameters__", ())
    return value[tuple(given.get(each, each) for each in free)] if free and given else value


def _of_parameter(parameter: Any) -> Any:
    """Return the default of a type parameter, or what it is bound to."""
    if hasattr(parameter, "has_default") and parameter.has_default():
        return parameter.__default__
    if parameter.__bound__ is not None:
        return parameter.__bound__
    return Union[parameter.__constraints__] if parameter.__constraints__ else parameter  # noqa: UP007  # at run time
