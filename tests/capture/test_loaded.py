"""What is made of the loaded modules, and when it is made anew."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from anew.runner.capture.loaded import derived, one_look

NAME = "anew_test_loaded"
Modules = tuple[tuple[str, Any, bool], ...]


@pytest.fixture(autouse=True)
def _gone() -> Iterator[None]:
    yield
    sys.modules.pop(NAME, None)


class Counted:
    """Makes the file of the module in question of the loaded ones, and counts how often."""

    def __init__(self) -> None:
        self.times = 0

    def __call__(self, modules: Modules) -> Any:
        self.times += 1
        return next(((file, is_module) for name, file, is_module in modules if name == NAME), None)

    def now(self) -> Any:
        """Ask."""
        return derived(self, self)


def loaded(file: str) -> ModuleType:
    """Put a module of a file into the process."""
    module = sys.modules[NAME] = ModuleType(NAME)
    module.__file__ = file
    return module


def test_nothing_is_made_twice_of_the_same_modules() -> None:
    made = Counted()
    loaded("/a.py")
    assert [made.now() for _ in range(3)] == [("/a.py", True)] * 3
    assert made.times == 1


def test_a_module_that_comes_or_goes_or_takes_a_place_is_seen() -> None:
    made = Counted()
    assert made.now() is None
    loaded("/a.py")
    assert made.now() == ("/a.py", True)
    loaded("/b.py")
    assert made.now() == ("/b.py", True)
    del sys.modules[NAME]
    assert made.now() is None


def test_a_lazy_module_is_not_woken_and_seen_when_it_is_loaded(tmp_path: Path) -> None:
    made = Counted()
    file = tmp_path / f"{NAME}.py"
    file.write_text("value = 1\n")
    spec = importlib.util.spec_from_file_location(NAME, file)
    assert spec is not None
    assert spec.loader is not None
    spec.loader = importlib.util.LazyLoader(spec.loader)
    module = sys.modules[NAME] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert made.now() == (str(file), False)
    assert type(module) is not ModuleType
    assert module.value == 1
    assert made.now() == (str(file), True)


def test_a_lazy_module_of_the_interpreter_is_seen_when_it_is_loaded_and_is_not_asked_from_then_on() -> None:
    made = Counted()
    found = importlib.util.find_spec("stringprep")
    assert found is not None
    spec = importlib.util.spec_from_file_location(NAME, found.origin)
    assert spec is not None
    assert spec.loader is not None
    spec.loader = importlib.util.LazyLoader(spec.loader)
    module = sys.modules[NAME] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert made.now() == (found.origin, False)
    assert module.b1_set
    assert made.now() == (found.origin, True)
    assert made.now() == (found.origin, True)
    assert made.times == 2


def test_what_stands_in_the_place_of_a_module_is_not_asked_for_attributes() -> None:
    class Odd:
        def __getattribute__(self, name: str) -> Any:
            raise AssertionError(f"asked for {name}")

    sys.modules[NAME] = Odd()  # type: ignore[assignment]
    assert Counted().now() == (None, False)


def test_in_a_stretch_of_ours_modules_are_asked_once_and_one_that_comes_is_seen_all_the_same() -> None:
    made = Counted()
    module = loaded("/a.py")
    with one_look():
        assert made.now() == ("/a.py", True)
        module.__file__ = "/b.py"
        assert made.now() == ("/a.py", True)
        loaded("/c.py")
        assert made.now() == ("/c.py", True)
        del sys.modules[NAME]
        assert made.now() is None


def test_a_module_that_says_that_it_comes_from_another_file_is_seen_in_a_stretch_at_its_beginning() -> None:
    made = Counted()
    module = loaded("/a.py")
    assert made.now() == ("/a.py", True)
    module.__file__ = "/b.py"
    assert made.now() == ("/b.py", True)
    module.__file__ = "/c.py"
    with one_look(), one_look():
        assert made.now() == ("/c.py", True)
    module.__file__ = "/d.py"
    assert made.now() == ("/d.py", True)
