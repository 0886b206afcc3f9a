"""What a program's own parser made of its command line, taken from the running program."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING, Any

from anew.runner.format.redact import Redactor
from anew.runner.lazy.modules import later

if TYPE_CHECKING:
    from anew.runner.config.compose import state
else:
    state = later("anew.runner.config.compose.state")

# the fact of a run that it is kept as
PARSED = "parsed"
_DEEPEST = 6
_LONGEST = 2000
_MOST = 500


class Understood:
    """
    What is known of a program's command line so far; what was parsed last counts.

    Args:
        keep: Called with all of it, plain and without secrets, whenever more is known. What it raises is passed over.
    """

    def __init__(self, keep: Callable[[Mapping[str, Any]], object]) -> None:
        self._keep = keep
        self._process = os.getpid()
        self._known: dict[str, Any] = {}

    def note(self, values: Mapping[str, Any]) -> None:
        """Take what a parser returned; in a forked child nothing."""
        if os.getpid() != self._process:
            return
        # whatever the program's objects do when they are looked at is no matter of the program's
        with suppress(Exception):
            found = {str(key): _plain(value, 0) for key, value in [*values.items()][:_MOST]}
            if any(self._known.get(key, self) != value for key, value in found.items()):
                self._known.update(found)
                self._keep(Redactor.of_environment().value(self._known))


def _plain(value: Any, depth: int) -> Any:
    if value is None or isinstance(value, (bool, int, float)):
        return value if type(value) in (type(None), bool, int, float) else _text(value)
    if isinstance(value, str):
        return value[:_LONGEST]
    if depth < _DEEPEST and type(value) in (list, tuple, set, frozenset):
        items = sorted(value, key=repr) if isinstance(value, (set, frozenset)) else value
        return [_plain(each, depth + 1) for each in items][:_MOST]
    if depth < _DEEPEST and isinstance(value, dict):
        return {str(key): _plain(each, depth + 1) for key, each in [*value.items()][:_MOST]}
    if depth < _DEEPEST and type(value).__name__ == "Namespace":
        return _plain(vars(value), depth + 1)
    return _text(value)


def _text(value: Any) -> str:
    is_named = callable(value) and hasattr(value, "__qualname__")
    return str(value.__qualname__ if is_named else value)[:_LONGEST]


@contextmanager
def understood(keep: Callable[[Mapping[str, Any]], object], imports: frozenset[str]) -> Iterator[None]:
    """
    Have it kept what argparse, click, absl and Hydra make of the command line, while a program runs.

    Args:
        keep: Called with what is known, whenever more is.
        imports: The top-level packages that the program's file imports; of others nothing is looked at.
    """
    noted = Understood(keep)
    with ExitStack() as stack:
        if "argparse" in imports:
            stack.enter_context(_argparse(noted))
        if imports & {"click", "typer"}:
            stack.enter_context(_click(noted))
        if "hydra" in imports:
            stack.enter_context(state.configs_noted(noted.note))
        try:
            yield
        finally:
            if "absl" in imports:
                _of_absl(noted)


@contextmanager
def _argparse(noted: Understood) -> Iterator[None]:
    import argparse

    original = argparse.ArgumentParser.parse_known_args
    depth = 0

    def parse_known_args(self: Any, *given: Any, **named: Any) -> Any:
        nonlocal depth
        depth += 1
        try:
            result = original(self, *given, **named)
        finally:
            depth -= 1
        # a parser of a subcommand is called by the one above it
        if not depth:
            with suppress(Exception):
                noted.note(vars(result[0]))
        return result

    with _in_place(argparse.ArgumentParser, "parse_known_args", original, parse_known_args):
        yield


@contextmanager
def _click(noted: Understood) -> Iterator[None]:
    try:
        from click.core import Command
    except Exception:  # the program will see for itself
        yield
        return
    original = Command.invoke

    def invoke(self: Any, ctx: Any) -> Any:
        with suppress(Exception):
            noted.note(ctx.params)
        return original(self, ctx)

    with _in_place(Command, "invoke", original, invoke):
        yield


@contextmanager
def _in_place(owner: type, name: str, original: Any, ours: Any) -> Iterator[None]:
    ours.__name__, ours.__qualname__, ours.__doc__ = original.__name__, original.__qualname__, original.__doc__
    ours.__module__, ours.__wrapped__ = original.__module__, original
    setattr(owner, name, ours)
    try:
        yield
    finally:
        # the program may have put its own there since
        if owner.__dict__.get(name) is ours:
            setattr(owner, name, original)


def _of_absl(noted: Understood) -> None:
    with suppress(Exception):
        flags = vars(sys.modules["absl.flags"])["FLAGS"]
        if flags.is_parsed():
            by_module = flags.flags_by_module_dict()
            own = by_module.get(sys.argv[0], []) or by_module.get("__main__", [])
            noted.note({flag.name: flag.value for flag in own})
