"""A main function's parameters: which one is what, and typed parameters as the schema of a configuration.

The rule is the contract's: a parameter annotated `Run`, or named `run`, gets the run. With a config path, name or class
given, or when the first other parameter has no default and is unannotated or annotated with `DictConfig`, a dataclass
or `Any`, that parameter is the config. Otherwise all other parameters are the signature.
"""

from __future__ import annotations

import dataclasses
import inspect
import sys
import types
import typing
from collections.abc import Callable, Mapping
from typing import Any

from anew.runner.config.signature.annotations import (
    Kind,
    UnresolvedTypeError,
    UnsupportedTypeError,
    default_field,
    kind_of,
    kind_of_default,
    optional,
)
from anew.runner.config.signature.hints import Unresolved, UnresolvedError, hints_of, written
from anew.runner.dataclass import dataclass
from anew.runner.errors import ConfigError

_EMPTY = inspect.Parameter.empty
RESERVED = ("hydra", "anew")
_TAKEN = {
    "hydra": "the node of every configuration that is Hydra's",
    "anew": "the node of every configuration that says how to record",
    "defaults": "Hydra's defaults list",
}


@dataclass(frozen=True, slots=True)
class Field:
    """One parameter of a signature form main: its kind, how its default is made (None: it must be given), its text."""

    name: str
    kind: Kind
    make: Callable[[], Any] | None
    text: str


@dataclass(frozen=True, slots=True)
class Roles:
    """
    Which parameter is what.

    Attributes:
        run: Name of the parameter that gets the run.
        config: Name of the parameter that gets the config.
        config_class: The dataclass or attrs class that the config parameter is annotated with.
        fields: The signature, when there is no config parameter.
    """

    run: str | None = None
    config: str | None = None
    config_class: type | None = None
    fields: tuple[Field, ...] = ()


def place(function: Callable[..., Any]) -> str:
    """Return where a function is, as file:line."""
    code = inspect.unwrap(function).__code__
    return f"{code.co_filename}:{code.co_firstlineno}"


def roles_of(function: Callable[..., Any], *, config_given: bool, known: Mapping[str, Any] | None = None) -> Roles:
    """
    Decide which parameter is what.

    Args:
        function: The function that was decorated.
        config_given: Whether a config path, name or class was given to the decorator.
        known: Annotations that were found before; see `hints_of`.

    Raises:
        UnresolvedError: An annotation that the configuration needs names what is not there.
        ConfigError: The parameters cannot become a configuration; names the parameter and the place.
    """
    _check_function(function)
    texts = written(function)
    parameters = [
        each.replace(annotation=texts.get(each.name, each.annotation))
        for each in signature_of(function).parameters.values()
    ]
    hints = hints_of(function, known)
    run = _run_parameter(function, parameters, hints)
    others = [each for each in parameters if each.name != run]
    if others and (config_given or _is_config(others[0], hints)):
        return _config_roles(function, others, hints, run)
    if not config_given:
        return Roles(run=run, fields=tuple(_field(function, each, hints) for each in others))
    return Roles(run=run)


def signature_of(function: Callable[..., Any]) -> inspect.Signature:
    """Return a function's signature, as `inspect` does, without annotations: since Python 3.14 these are evaluated."""
    plain: Any = inspect.unwrap(function, stop=lambda each: hasattr(each, "__signature__"))
    if hasattr(plain, "__signature__") or not inspect.isfunction(plain):
        return inspect.signature(plain)
    bare = types.FunctionType(plain.__code__, {}, plain.__name__, plain.__defaults__, plain.__closure__)
    bare.__kwdefaults__ = plain.__kwdefaults__
    return inspect.signature(bare)


def schema_of(name: str, fields: tuple[Field, ...]) -> type:
    """Return the dataclass that declares a signature to OmegaConf."""
    return dataclasses.make_dataclass(
        name, [(each.name, each.kind.schema, default_field(each.kind, each.make)) for each in fields]
    )


# --- the parameters -----------------------------------------------------------------------------------------------


def _refuse(function: Callable[..., Any], what: str, kind: type[ConfigError] = ConfigError) -> ConfigError:
    return kind(f"{function.__qualname__} ({place(function)}) cannot be an experiment's main: {what}")


def _check_function(function: Callable[..., Any]) -> None:
    if not inspect.isfunction(inspect.unwrap(function)):
        raise ConfigError(
            f"{function!r} cannot be an experiment's main: it is no function, such as: def main(lr: float = 0.1)"
        )
    if inspect.iscoroutinefunction(function):
        raise _refuse(function, "it is async. Make it a plain function that calls asyncio.run(...).")
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise _refuse(function, "it is a generator (it has a yield). Return a value, and log points with run.log(...).")
    if next(iter(signature_of(function).parameters), None) in ("self", "cls"):
        raise _refuse(
            function, "it is a method, and there is no object to call it on. Make it a function that makes the object."
        )


def _run_parameter(
    function: Callable[..., Any], parameters: list[inspect.Parameter], hints: Mapping[str, Any]
) -> str | None:
    annotated = [each.name for each in parameters if _is_run(hints.get(each.name))]
    if len(annotated) > 1:
        raise _refuse(function, f"two parameters are annotated Run: {', '.join(annotated)}. One is enough.")
    named = [each for each in parameters if each.name == "run"]
    if not annotated and named and hints.get("run", Any) is not Any:
        raise _refuse(
            function,
            f"its parameter 'run' is annotated {named[0].annotation!r}, but that name gets the run. Rename it.",
        )
    chosen = annotated or [each.name for each in named]
    for each in parameters:
        if each.name in chosen and each.kind is each.POSITIONAL_ONLY:
            raise _refuse(function, f"its parameter {each.name!r} is positional-only; move it behind the '/'.")
        if each.name in chosen and each.kind in (each.VAR_POSITIONAL, each.VAR_KEYWORD):
            raise _refuse(function, f"its parameter '{each}' takes many values; the run is one. Name it without stars.")
    return chosen[0] if chosen else None


def _is_run(annotation: Any) -> bool:
    if isinstance(annotation, Unresolved):
        return "Run" in annotation.names
    module = sys.modules.get("anew.runner.run.handle")
    kinds = typing.get_args(annotation) or (annotation,)
    return module is not None and any(kind is module.Run for kind in kinds)


def _is_config(parameter: inspect.Parameter, hints: Mapping[str, Any]) -> bool:
    if parameter.default is not _EMPTY or parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
        return False
    annotation = hints.get(parameter.name, Any)
    if isinstance(annotation, Unresolved):
        return annotation.names == ["DictConfig"]
    return annotation is Any or _is_dict_config(annotation) or is_schema(annotation)


def _is_dict_config(annotation: Any) -> bool:
    return getattr(annotation, "__module__", "") == "omegaconf.dictconfig" and annotation.__name__ == "DictConfig"


def is_schema(annotation: Any) -> bool:
    """Whether an annotation is a class that declares a configuration: a dataclass or an attrs class."""
    return isinstance(annotation, type) and (
        dataclasses.is_dataclass(annotation) or hasattr(annotation, "__attrs_attrs__")
    )


def _config_roles(
    function: Callable[..., Any], others: list[inspect.Parameter], hints: Mapping[str, Any], run: str | None
) -> Roles:
    config, *rest = others
    for each in rest:
        if each.default is _EMPTY and each.kind not in (each.VAR_POSITIONAL, each.VAR_KEYWORD):
            raise _refuse(
                function,
                f"its first parameter, {config.name!r}, is the config, and {each.name!r} has no value to be given. "
                f"Give it a default, or take everything from the config: {config.name}.{each.name}",
            )
    annotation = hints.get(config.name)
    return Roles(run=run, config=config.name, config_class=annotation if is_schema(annotation) else None)


def _field(function: Callable[..., Any], parameter: inspect.Parameter, hints: Mapping[str, Any]) -> Field:
    name = parameter.name
    if name in _TAKEN:
        raise _refuse(function, f"the name {name!r} of a parameter is taken by {_TAKEN[name]}. Rename it.")
    if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
        raise _refuse(function, f"'{parameter}' has no names to become keys. Name each parameter, or take one: cfg")
    if parameter.kind is parameter.POSITIONAL_ONLY:
        raise _refuse(function, f"its parameter {name!r} is positional-only. Take the '/' out.")
    if name not in hints and parameter.default is _EMPTY:
        raise _refuse(
            function,
            f"its parameter {name!r} has neither a type nor a default. Give it one, such as {name}: float = 0.1",
        )
    annotation = hints.get(name, _EMPTY)
    if isinstance(annotation, Unresolved):
        raise _refuse(function, f"the annotation {annotation.text!r} of {name!r} {annotation.why}", UnresolvedError)
    return Field(name, _kind(function, parameter, annotation), _maker(parameter), _text(parameter))


def _kind(function: Callable[..., Any], parameter: inspect.Parameter, annotation: Any) -> Kind:
    try:
        if annotation is _EMPTY:
            return kind_of_default(parameter.default)
        return kind_of(optional(annotation) if parameter.default is None else annotation)
    except UnsupportedTypeError as error:
        kind = UnresolvedError if isinstance(error, UnresolvedTypeError) else ConfigError
        raise _refuse(function, f"its parameter {parameter.name!r} cannot become a key: {error}", kind) from None
    except RecursionError:
        raise _refuse(function, f"the type of its parameter {parameter.name!r} contains itself.") from None


def _text(parameter: inspect.Parameter) -> str:
    """Return a parameter as it stands in the program, an annotation given as text without its quotes."""
    if not isinstance(parameter.annotation, str):
        return str(parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY))
    default = "" if parameter.default is _EMPTY else f" = {parameter.default!r}"
    return f"{parameter.name}: {parameter.annotation}{default}"


def _maker(parameter: inspect.Parameter) -> Callable[[], Any] | None:
    default = parameter.default
    return None if default is _EMPTY else lambda: default
