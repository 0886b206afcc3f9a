"""What `anew.runner.dataclass` makes is what the standard library makes of the same class."""

from __future__ import annotations

import copy
import dataclasses
import pickle
from typing import Any

import pytest

from anew.runner.dataclass import dataclass

NAN = float("nan")
UNHASHABLE: Any = []


@dataclass(frozen=True, slots=True)
class Point:
    x: float
    y: float = dataclasses.field(default=0.0, repr=False)
    seen: int = dataclasses.field(default=0, compare=False)


@dataclass(frozen=True)
class Named(Point):
    name: str = ""


@dataclass(slots=True)
class Open:
    items: list[Any]


@dataclass(frozen=True)
class Empty:
    pass


@dataclass(frozen=True)
class Own:
    x: int

    def __repr__(self) -> str:
        return "own"

    def __eq__(self, other: object) -> bool:
        return True

    def __hash__(self) -> int:
        return 7


@dataclass(eq=False)
class Single:
    x: int


def of_the_standard_library(kind: Any, **options: Any) -> Any:
    """Return the class again, made by `dataclasses.dataclass`."""
    names = {"__annotations__": {}, "__qualname__": kind.__qualname__, "__module__": kind.__module__}
    for field in dataclasses.fields(kind):
        names["__annotations__"][field.name] = field.type
        again = dataclasses.field(repr=field.repr, compare=field.compare)
        names[field.name] = (
            again
            if field.default is dataclasses.MISSING
            else dataclasses.field(default=field.default, repr=field.repr, compare=field.compare)
        )
    return dataclasses.dataclass(**options)(type(kind.__name__, (), names))


PAIRS: Any = (
    (Point, {"frozen": True}, [(1.0,), (1.0, 2.0), (1.0, 2.0, 3), (NAN,), ("a",)]),
    (Named, {"frozen": True}, [(1.0,), (1.0, 2.0, 3, "a"), (1.0, 2.0, 4, "a")]),
    (Open, {}, [([1],), ([1],), ([],)]),
    (Empty, {"frozen": True}, [(), ()]),
)


@pytest.mark.parametrize(("kind", "options", "arguments"), PAIRS)
def test_text_equality_and_hash_are_those_of_the_standard_library(kind: Any, options: Any, arguments: Any) -> None:
    other = of_the_standard_library(kind, **options)
    ours, theirs = [kind(*each) for each in arguments], [other(*each) for each in arguments]

    assert list(map(repr, ours)) == list(map(repr, theirs))
    assert [a == b for a in ours for b in ours] == [a == b for a in theirs for b in theirs]
    if options:
        assert [hash(a) == hash(b) for a in ours for b in ours] == [hash(a) == hash(b) for a in theirs for b in theirs]


def test_only_the_same_class_is_equal() -> None:
    assert Point(1.0) != Named(1.0)
    same_values: Any = (1.0, 0.0)
    assert Point(1.0) != same_values
    assert Point(1.0).__eq__(1.0) is NotImplemented


def test_what_can_change_has_no_hash() -> None:
    with pytest.raises(TypeError, match="unhashable"):
        hash(Open([]))
    with pytest.raises(TypeError, match="unhashable"):
        hash(Point(UNHASHABLE))


def test_what_the_class_has_itself_stays() -> None:
    assert (repr(Own(1)), Own(1) == Own(2), hash(Own(1))) == ("own", True, 7)
    assert Single(1) != Single(1)
    assert len({Single(1), Single(1)}) == 2


def test_a_value_is_frozen_copied_and_pickled() -> None:
    point = Point(1.0, 2.0, 3)

    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(point, "x", 2.0)  # noqa: B010  # an assignment is what type checkers refuse already
    assert not hasattr(point, "__dict__")
    assert pickle.loads(pickle.dumps(point)) == copy.deepcopy(point) == dataclasses.replace(point)
    assert dataclasses.asdict(point) == {"x": 1.0, "y": 2.0, "seen": 3}


def test_a_value_that_holds_itself_can_be_shown() -> None:
    loop = Open([])
    loop.items.append(loop)

    assert repr(loop) == "Open(items=[...])"
