"""
`dataclass` as the standard library has it, made quicker: what is alike in all classes is written once, and the rest
when it is first used.

`dataclasses` writes the source of each method for each class and compiles it, until Python 3.13 one by one. A run
imports about 160 such classes before its main begins, and makes instances of a third of them; a quarter of the time
that a start took went into methods.
"""

from __future__ import annotations

import dataclasses
from functools import cache
from operator import attrgetter
from reprlib import recursive_repr
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dataclasses import dataclass as dataclass
else:

    def dataclass(cls=None, /, *, eq=True, repr=True, frozen=False, **options):
        """Do as `dataclasses.dataclass` does with the same options; `order` and `unsafe_hash` are not for here."""
        if cls is None:
            return lambda each: dataclass(each, eq=eq, repr=repr, frozen=frozen, **options)
        own = vars(cls)
        made = dataclasses.dataclass(eq=False, repr=False, init=False, **options)(cls)
        if "__init__" not in own:
            made.__init__ = _LaterInit(made)
        if repr and "__repr__" not in own:
            made.__repr__ = _repr
        if eq and "__eq__" not in own:
            made.__eq__ = _eq
        if eq and "__hash__" not in own:
            made.__hash__ = _hash if frozen else None
        if frozen:
            made.__setattr__, made.__delattr__ = _refuse_to_set, _refuse_to_delete
            if options.get("slots") and "__getstate__" not in own:
                made.__getstate__, made.__setstate__ = _state, _set_state
        return made


class _LaterInit:
    """`__init__` of a class, written and compiled when it is first asked for, and then in the place of this."""

    def __init__(self, cls: Any) -> None:
        self._cls = cls

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        made = _initializer(self._cls)
        self._cls.__init__ = made
        return made.__get__(instance, owner)


def _initializer(cls: Any) -> Any:
    """Return what sets the fields of a class from arguments."""
    names: dict[str, Any] = {"_set": object.__setattr__, "_factory": _FACTORY}
    fields = dataclasses.fields(cls)
    given = [each for each in fields if each.init]
    parameters = [_parameter(each) for each in given if not each.kw_only]
    if by_name := [_parameter(each) for each in given if each.kw_only]:
        parameters += ["*", *by_name]
    lines = [f"  _set(self, {each.name!r}, {_value(each)})" for each in fields if _is_set(each)]
    if hasattr(cls, "__post_init__"):
        lines.append("  self.__post_init__()")
    names |= {f"_default_{each.name}": each.default for each in fields}
    names |= {f"_make_{each.name}": each.default_factory for each in fields}
    source = f"def __init__(self, {', '.join(parameters)}):\n" + "\n".join(lines or ["  pass"])
    # compiled first: to be given a text, `exec` takes the mark away by which a Ctrl-C ends the program with its signal
    exec(compile(source, "<dataclass>", "exec"), names)
    made: Any = names["__init__"]
    made.__qualname__ = f"{cls.__qualname__}.__init__"
    made.__module__ = cls.__module__
    made.__annotations__ = {each.name: each.type for each in given} | {"return": None}
    return made


class _Factory:
    """Stands in a signature for a value that is made for each instance."""

    def __repr__(self) -> str:
        return "<factory>"


_FACTORY = _Factory()


def _is_set(field: Any) -> bool:
    return field.init or field.default_factory is not dataclasses.MISSING


def _parameter(field: Any) -> str:
    if field.default is not dataclasses.MISSING:
        return f"{field.name}=_default_{field.name}"
    return field.name if field.default_factory is dataclasses.MISSING else f"{field.name}=_factory"


def _value(field: Any) -> str:
    if field.default_factory is dataclasses.MISSING:
        return str(field.name)
    if not field.init:
        return f"_make_{field.name}()"
    return f"_make_{field.name}() if {field.name} is _factory else {field.name}"


def _refuse_to_set(self: Any, name: str, value: Any) -> None:
    raise dataclasses.FrozenInstanceError(f"cannot assign to field {name!r}")


def _refuse_to_delete(self: Any, name: str) -> None:
    raise dataclasses.FrozenInstanceError(f"cannot delete field {name!r}")


def _state(self: Any) -> list[Any]:
    return [getattr(self, each.name) for each in dataclasses.fields(self)]


def _set_state(self: Any, state: list[Any]) -> None:
    for field, value in zip(dataclasses.fields(self), state, strict=True):
        object.__setattr__(self, field.name, value)


@cache
def _names(cls: Any, kept: str) -> tuple[str, ...]:
    return tuple(field.name for field in dataclasses.fields(cls) if getattr(field, kept))


@cache
def _values(cls: Any) -> attrgetter[Any]:
    # of one name alone attrgetter gives the value and no tuple, in which NaN would equal itself
    names = _names(cls, "compare")
    return attrgetter(*names, *names[:1]) if names else attrgetter("__class__", "__class__")


@recursive_repr()
def _repr(self: Any) -> str:
    fields = (f"{name}={getattr(self, name)!r}" for name in _names(self.__class__, "repr"))
    return f"{self.__class__.__qualname__}({', '.join(fields)})"


def _eq(self: Any, other: Any) -> Any:
    if other.__class__ is not self.__class__:
        return NotImplemented
    get = _values(self.__class__)
    return get(self) == get(other)


def _hash(self: Any) -> int:
    return hash(_values(self.__class__)(self))
