"""Type annotations of a main function, in terms that OmegaConf knows, and the way back to the real types.

OmegaConf checks most types itself. What it lacks (Literal, tuples that stay tuples, unions with containers) is declared
to it as the nearest type it has; `Kind.restore` checks the rest and gives main the type it asked for.
"""

from __future__ import annotations

import collections.abc
import dataclasses
import types
import typing
from collections.abc import Callable, Mapping
from enum import Enum
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, Union

from anew.runner.config.signature.aliases import looked_through
from anew.runner.dataclass import dataclass

_LEAVES = (bool, int, float, str, bytes)
_LISTS = (list, collections.abc.Sequence, collections.abc.MutableSequence, collections.abc.Iterable)
_DICTS = (dict, collections.abc.Mapping, collections.abc.MutableMapping)


class UnsupportedTypeError(TypeError):
    """An annotation that no configuration can hold; the message says what could stand in its place."""


class UnresolvedTypeError(UnsupportedTypeError):
    """An annotation that names, somewhere inside, what is not there."""


class WrongValueError(ValueError):
    """A value that its annotation does not allow: `where` it is, the value, what is `wanted`."""

    def __init__(self, where: str, value: Any, wanted: str) -> None:
        super().__init__(f"{where} is {value!r}; it takes {wanted}")
        self.where = where
        self.value = value
        self.wanted = wanted


def _same(value: Any, _where: str = "") -> Any:
    return value


@dataclass(frozen=True, slots=True)
class Kind:
    """
    One annotation, understood.

    Attributes:
        schema: The annotation to give OmegaConf.
        shown: How messages call it.
        restore: (value out of OmegaConf, where) -> what main is given. Raises WrongValueError.
        lower: A default of main's -> what OmegaConf is given.
        native: Whether OmegaConf knows the annotation as it is.
        plain: Whether `restore` changes and checks nothing.
    """

    schema: Any
    shown: str
    restore: Callable[[Any, str], Any] = _same
    lower: Callable[[Any], Any] = _same
    native: bool = True
    plain: bool = True


def kind_of(annotation: Any) -> Kind:
    """Return what an annotation asks for. Raises UnsupportedTypeError."""
    annotation = _bare(annotation)
    if (meant := _meant(annotation)) is not annotation:
        # OmegaConf knows neither aliases nor type parameters
        return dataclasses.replace(kind_of(meant), native=False)
    if annotation is Any or annotation is object:
        return Kind(Any, "anything", native=annotation is Any)
    if annotation is Path:
        # As text to OmegaConf, which would write a path into YAML as a Python object.
        return Kind(str, "a path", lambda value, _: Path(value), str, plain=False)
    if annotation in _LEAVES or _is_enum(annotation):
        return Kind(annotation, _leaf_name(annotation))
    origin = typing.get_origin(annotation) or annotation
    arguments = typing.get_args(annotation)
    if origin is Literal:
        return _literal(arguments)
    if origin in (Union, types.UnionType):
        return _union(arguments)
    if origin is tuple:
        return _tuple(arguments)
    if origin in _LISTS:
        return _list(annotation, arguments)
    if origin in _DICTS:
        return _dict(annotation, arguments)
    if isinstance(annotation, type):
        return _class(annotation)
    if isinstance(annotation, typing.TypeVar):
        raise UnsupportedTypeError(
            f"{annotation.__name__} is a type parameter that may be anything. Give it a bound: [{annotation.__name__}: "
            "float]"
        )
    raise UnsupportedTypeError(f"{annotation!r} is no type of a value in a configuration. {_WHAT_IS}")


def kind_of_default(value: Any) -> Kind:
    """Return the kind of a parameter that has a default and no annotation. Raises UnsupportedTypeError."""
    if value is None:
        return kind_of(Any)
    for base in (list, tuple, dict):
        if isinstance(value, base):
            return kind_of(base)
    if isinstance(value, Path):
        return kind_of(Path)
    if type(value) is object:
        raise UnsupportedTypeError(f"its default, {value!r}, is no value of a configuration. {_WHAT_IS}")
    return kind_of(type(value))


_WHAT_IS = (
    "A configuration holds bool, int, float, str, bytes, Path, enums, Literal, dataclasses, and lists, tuples, dicts "
    "and unions of them."
)


def _bare(annotation: Any) -> Any:
    """Take off `Annotated`, `NewType` and `Final`."""
    while True:
        if hasattr(annotation, "__supertype__"):
            annotation = annotation.__supertype__
        elif hasattr(annotation, "__metadata__") or typing.get_origin(annotation) is typing.Final:
            annotation = typing.get_args(annotation)[0]
        else:
            return annotation


def _meant(annotation: Any) -> Any:
    try:
        return looked_through(annotation)
    except RecursionError:
        raise
    except Exception as error:
        raise UnresolvedTypeError(
            f"what {annotation} stands for raises {type(error).__name__} when it is evaluated: {error}. Import what it "
            "names, and not for type checkers alone."
        ) from None


def _is_enum(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, Enum)


def _leaf_name(annotation: type) -> str:
    if issubclass(annotation, Enum):
        return f"one of: {', '.join(member.name for member in annotation)}"
    names = {bool: "true or false", int: "a whole number (int)", float: "a number (float)", str: "a text (str)"}
    return names.get(annotation, annotation.__name__)


def _literal(values: tuple[Any, ...]) -> Kind:
    """OmegaConf is told the values' common type, so that text is converted as for that type."""
    named = {value.name if isinstance(value, Enum) else value: value for value in values}
    shown = f"one of: {', '.join(str(name) for name in named)}"
    types_ = {type(value) for value in values if value is not None}
    schema: Any = types_.pop() if len(types_) == 1 else Any
    if None in values and schema is not Any:
        schema = optional(schema)

    def restore(value: Any, where: str) -> Any:
        for allowed in values:
            if type(allowed) is type(value) and allowed == value:
                return allowed
        if isinstance(value, str) and value in named:
            return named[value]
        raise WrongValueError(where, value, shown)

    return Kind(schema, shown, restore, native=False, plain=False)


def _union(members: tuple[Any, ...]) -> Kind:
    nullable = type(None) in members
    kinds = [kind_of(member) for member in members if member is not type(None)]
    shown = " or ".join([*(kind.shown for kind in kinds), *(["null"] if nullable else [])])
    if len(kinds) == 1:
        [kind] = kinds
        return dataclasses.replace(
            kind, schema=optional(kind.schema), shown=shown, restore=_or_none(kind), lower=_lower_or_none(kind)
        )
    if all(kind.schema in _LEAVES or _is_enum(kind.schema) for kind in kinds) and all(kind.plain for kind in kinds):
        union: Any = Union[tuple(kind.schema for kind in kinds)]  # noqa: UP007  # built at run time
        return Kind(optional(union) if nullable else union, shown, native=all(kind.native for kind in kinds))
    return Kind(Any, shown, _first_that_fits(kinds, nullable, shown), _lower_any, native=False, plain=False)


def optional(schema: Any) -> Any:
    """Return an annotation that allows None too."""
    return schema if schema is Any else Union[schema, None]  # noqa: UP007  # built at run time


def _lower_any(value: Any) -> Any:
    return str(value) if isinstance(value, Path) else list(value) if isinstance(value, tuple) else value


def _or_none(kind: Kind) -> Callable[[Any, str], Any]:
    return lambda value, where: None if value is None else kind.restore(value, where)


def _lower_or_none(kind: Kind) -> Callable[[Any], Any]:
    return lambda value: None if value is None else kind.lower(value)


def _first_that_fits(kinds: list[Kind], nullable: bool, shown: str) -> Callable[[Any, str], Any]:
    def restore(value: Any, where: str) -> Any:
        if value is None and nullable:
            return None
        for kind in sorted(kinds, key=lambda kind: kind.schema is not type(value)):
            try:
                return kind.restore(_converted(kind.schema, value), where)
            except ValueError:
                continue
        raise WrongValueError(where, value, shown)

    return restore


def _tuple(arguments: tuple[Any, ...]) -> Kind:
    if not arguments or (len(arguments) == 2 and arguments[1] is Ellipsis):
        item = kind_of(arguments[0] if arguments else Any)
        return Kind(
            list[item.schema],  # type: ignore[name-defined]  # built at run time
            f"a list of {item.shown}",
            lambda value, where: tuple(_items(item, value, where)),
            lambda value: [item.lower(each) for each in value],
            native=False,
            plain=False,
        )
    items = [kind_of(argument) for argument in arguments]
    shown = f"a list of {len(items)}: {', '.join(item.shown for item in items)}"

    def restore(value: Any, where: str) -> Any:
        if not isinstance(value, list) or len(value) != len(items):
            raise WrongValueError(where, value, shown)
        return tuple(
            _element(item, each, f"{where}[{i}]") for i, (item, each) in enumerate(zip(items, value, strict=True))
        )

    def lower(value: Any) -> Any:
        return [item.lower(each) for item, each in zip(items, value, strict=True)]

    return Kind(list[Any], shown, restore, lower, native=False, plain=False)


def _element(kind: Kind, value: Any, where: str) -> Any:
    """Restore a value that OmegaConf had no type for."""
    try:
        return kind.restore(_converted(kind.schema, value), where)
    except WrongValueError:
        raise
    except ValueError:
        raise WrongValueError(where, value, kind.shown) from None


def _list(annotation: Any, arguments: tuple[Any, ...]) -> Kind:
    item = kind_of(arguments[0] if arguments else Any)
    schema = list[item.schema]  # type: ignore[name-defined]  # built at run time
    return Kind(
        schema,
        f"a list of {item.shown}",
        _same if item.plain else lambda value, where: list(_items(item, value, where)),
        lambda value: [item.lower(each) for each in value],
        native=item.native and (typing.get_origin(annotation) or annotation) is list,
        plain=item.plain,
    )


def _items(item: Kind, value: Any, where: str) -> typing.Iterator[Any]:
    return (item.restore(each, f"{where}[{index}]") for index, each in enumerate(value))


def _dict(annotation: Any, arguments: tuple[Any, ...]) -> Kind:
    key, item = (kind_of(argument) for argument in (arguments or (Any, Any)))
    if not (key.schema in (Any, bool, int, float, str, bytes) or _is_enum(key.schema)) or not key.plain:
        raise UnsupportedTypeError(f"{annotation!r} has keys of a type that no configuration can hold; str would do.")
    return Kind(
        dict[key.schema, item.schema],  # type: ignore[name-defined]  # built at run time
        f"a mapping to {item.shown}",
        _same if item.plain else lambda value, where: {k: item.restore(v, f"{where}.{k}") for k, v in value.items()},
        lambda value: {k: item.lower(v) for k, v in value.items()},
        native=key.native and item.native and (typing.get_origin(annotation) or annotation) is dict,
        plain=item.plain,
    )


def _class(cls: type) -> Kind:
    if dataclasses.is_dataclass(cls):
        return _dataclass(cls)
    if hasattr(cls, "__attrs_attrs__"):
        shown = f"a mapping with the fields of {cls.__name__}"
        return Kind(cls, shown, lambda value, where: _instance(cls, value, where, shown), plain=False)
    if hasattr(cls, "model_fields"):
        raise UnsupportedTypeError(
            f"{cls.__name__} is a pydantic model, which Hydra cannot compose; make it a dataclass "
            "(and call the model on it inside main)."
        )
    if cls is set or cls is frozenset:
        raise UnsupportedTypeError(f"{cls.__name__} has no form in a configuration; a list has.")
    raise UnsupportedTypeError(
        f"{cls.__module__}.{cls.__qualname__} is no type of a value in a configuration. {_WHAT_IS}"
    )


@lru_cache(maxsize=256)
def _dataclass(cls: Any) -> Kind:
    """A dataclass all of whose fields OmegaConf knows is used as it is; else one like it stands in."""
    shown = f"a mapping with the fields of {cls.__name__}"
    members = {}
    try:
        hints = typing.get_type_hints(cls, include_extras=True)
    except NameError as error:
        raise UnresolvedTypeError(
            f"a field of {cls.__name__} has an annotation with {error.name!r}, which nothing defines there when the "
            "program runs. Import it, and not for type checkers alone."
        ) from None
    except Exception as error:
        raise UnresolvedTypeError(
            f"a field of {cls.__name__} has an annotation that raises {type(error).__name__} when it is evaluated: "
            f"{error}. Mend it, or import what it names, and not for type checkers alone."
        ) from None
    for name, annotation in hints.items():
        if name in cls.__dataclass_fields__:
            try:
                members[name] = kind_of(annotation)
            except UnsupportedTypeError as error:
                raise type(error)(f"field {name!r} of {cls.__name__}: {error}") from None
    if all(kind.native for kind in members.values()):
        below = {name: kind for name, kind in members.items() if not kind.plain}

        def filled(value: Any, where: str) -> Any:
            value = _instance(cls, value, where, shown)
            for name, kind in below.items():
                object.__setattr__(value, name, kind.restore(getattr(value, name), f"{where}.{name}"))
            return value

        return Kind(cls, shown, filled, plain=False)

    def restore(value: Any, where: str) -> Any:
        value = _instance(stand_in, value, where, shown)
        read = {
            item.name: members[item.name].restore(getattr(value, item.name), f"{where}.{item.name}")
            for item in dataclasses.fields(cls)
        }
        return cls(**{item.name: read[item.name] for item in dataclasses.fields(cls) if item.init})

    stand_in = dataclasses.make_dataclass(
        cls.__name__,
        [(item.name, members[item.name].schema, _field(item, members[item.name])) for item in dataclasses.fields(cls)],
    )

    def lower(value: Any) -> Any:
        if isinstance(value, Mapping):
            return dict(value)
        return stand_in(**{name: kind.lower(getattr(value, name)) for name, kind in members.items()})

    return Kind(stand_in, shown, restore, lower, native=False, plain=False)


def _instance(cls: Any, value: Any, where: str, shown: str) -> Any:
    """Return an instance for a mapping, which OmegaConf leaves as it is in a list of lists, or a dict of dicts."""
    if not isinstance(value, Mapping):
        return value
    try:
        return _converted(cls, value)
    except ValueError as error:
        why = str(error).partition("\n")[0]
        raise WrongValueError(where, value, f"{shown}: {why}") from None


def _field(item: dataclasses.Field[Any], kind: Kind) -> Any:
    if item.default is not dataclasses.MISSING:
        return default_field(kind, lambda: item.default)
    if item.default_factory is not dataclasses.MISSING:
        return default_field(kind, item.default_factory)
    return default_field(kind, None)


def default_field(kind: Kind, make: Callable[[], Any] | None) -> Any:
    """Return a dataclass field whose default is what *make* gives, or which must be given when there is no *make*."""
    if make is None:
        return dataclasses.field(default="???")
    return dataclasses.field(default_factory=lambda: _lowered(kind, make()))


def _lowered(kind: Kind, value: Any) -> Any:
    is_text = isinstance(value, str) and (value == "???" or "${" in value)
    return value if is_text else kind.lower(value)


@lru_cache(maxsize=256)
def _holder(schema: Any) -> type:
    return dataclasses.make_dataclass("Value", [("value", schema, dataclasses.field(default="???"))])


def _structured(schema: Any) -> Any:
    """Return a class as a configuration; None for another type."""
    from omegaconf import OmegaConf

    is_class = dataclasses.is_dataclass(schema) or hasattr(schema, "__attrs_attrs__")
    return OmegaConf.structured(schema) if is_class else None


def _converted(schema: Any, value: Any) -> Any:
    """Return *value* as OmegaConf converts it to a type. Raises ValueError."""
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    try:
        if isinstance(value, Mapping) and OmegaConf.is_config(made := _structured(schema)):
            return OmegaConf.to_object(OmegaConf.merge(made, value))
        node = OmegaConf.structured(_holder(schema))
        OmegaConf.update(node, "value", value, merge=False)
        converted: Any = OmegaConf.to_object(node)
        return converted.value
    except OmegaConfBaseException as error:
        raise ValueError(str(error)) from error
