"""
Functions of a library with something beside them, which they know nothing of: their results and errors stay theirs.

What is done beside them must not fail them: an error in it is said once, and the library goes on.
"""

from __future__ import annotations

import functools
import os
import threading
from collections.abc import Callable, Mapping
from typing import Any, Protocol


class Sink(Protocol):
    """What takes what is noticed: a run."""

    def log(self, values: Mapping[str, Any], step: int | None = None) -> None:
        """Log numbers."""
        ...

    def info(self, values: Mapping[str, Any]) -> None:
        """Keep facts."""
        ...

    def log_artifact(self, path: str | os.PathLike[str], name: str | None = None) -> None:
        """Keep a file."""
        ...

    def warn(self, text: str) -> None:
        """Say what was not kept."""
        ...


# what was called, with which arguments and what it returned, after it has
After = Callable[[Any, tuple[Any, ...], dict[str, Any], Any], object]
# the arguments to call with in place of these
Before = Callable[[tuple[Any, ...], dict[str, Any]], tuple[tuple[Any, ...], dict[str, Any]]]

_INHERITED: Any = object()


class Patches:
    """
    What was put in the place of functions. To be used in one process: in a forked child the functions are as they were.

    Args:
        run: Is told what could not be kept.
    """

    def __init__(self, run: Sink) -> None:
        self.run = run
        self._put: list[tuple[Any, str, Any, Any]] = []
        self._process = os.getpid()
        self._depths = threading.local()
        self._said: set[str] = set()
        self._facts: dict[str, dict[str, Any]] = {}
        self.is_open = True

    @property
    def is_here(self) -> bool:
        """Whether this is the process that is watched, and goes on to be."""
        return self.is_open and os.getpid() == self._process

    def keep(self, kind: str, name: str, facts: Any) -> None:
        """Keep facts of one thing of a kind, beside those of the others."""
        known = self._facts.setdefault(kind, {})
        known[name] = facts
        self.run.info({kind: dict(known)})

    def depth(self, kind: str) -> int:
        """Return how many calls of a kind are under way in this thread."""
        return int(getattr(self._depths, kind, 0))

    def put(self, owner: Any, name: str, ours: Any) -> None:
        """Put something in the place of an attribute, or of one that it would inherit, until `close`."""
        self._put.append((owner, name, ours, vars(owner).get(name, _INHERITED)))
        setattr(owner, name, ours)

    def wrap(
        self,
        owner: Any,
        name: str,
        kind: str,
        after: After | None = None,
        before: Before | None = None,
        at_most: int = 0,
    ) -> None:
        """
        Do something before or after each call of a function that no more than *at_most* others of its kind enclose.

        Args:
            owner: The class or module that has it.
            name: Its name there.
            kind: Calls of which kind are counted.
            after: What is done after each call.
            before: What is done before each, which gives the arguments to call with.
            at_most: What lies deeper is a part of something else: fits inside a search, or a pipeline.
        """
        original = vars(owner)[name]
        if isinstance(original, (staticmethod, classmethod)) or not callable(original) or hasattr(original, "_anew"):
            return

        @functools.wraps(original)
        def wrapper(*given: Any, **named: Any) -> Any:
            depth = self.depth(kind)
            # what a method does by that of its base class is one call: LGBMClassifier's fit has LGBMModel's do it
            subject, above = given[0] if given and isinstance(owner, type) else None, f"{kind} of"
            outer = getattr(self._depths, above, None)
            if not self.is_here or (subject is not None and subject is outer):
                return original(*given, **named)
            is_outer = depth <= at_most
            if before is not None and is_outer:
                given, named = self.tried(lambda: before(given, named)) or (given, named)
            setattr(self._depths, kind, depth + 1)
            setattr(self._depths, above, subject)
            try:
                result = original(*given, **named)
            finally:
                setattr(self._depths, kind, depth)
                setattr(self._depths, above, outer)
            if after is not None and is_outer:
                self.tried(lambda: after(original, given, named, result))
            return result

        vars(wrapper)["_anew"] = True
        self.put(owner, name, wrapper)

    def tried(self, what: Callable[[], Any]) -> Any:
        """Do something of ours; return None where it fails, which is said once for each kind of error."""
        try:
            return what()
        except Exception as error:
            text = f"{type(error).__name__}: {error}"[:300]
            if text not in self._said:
                self._said.add(text)
                self.run.warn(f"Of what anew.autolog noticed something is not on record: {text}")
            return None

    def close(self) -> None:
        """Have everything as it was, but for what somebody else has put there since."""
        self.is_open = False
        for owner, name, ours, original in reversed(self._put):
            if vars(owner).get(name) is not ours:
                continue
            if original is _INHERITED:
                delattr(owner, name)
            else:
                setattr(owner, name, original)
        self._put.clear()


def plain(value: Any, depth: int = 0) -> Any:
    """Return a setting as a plain value; of an object what it is called."""
    if value is None or type(value) in (bool, int, float, str):
        return value[:500] if isinstance(value, str) else value
    if isinstance(value, Mapping) and depth < 4:
        return {str(key): plain(each, depth + 1) for key, each in value.items()}
    if type(value) in (list, tuple) and depth < 4 and len(value) <= 100:
        return [plain(each, depth + 1) for each in value]
    if getattr(value, "shape", None) == () and callable(getattr(value, "item", None)):
        return plain(value.item(), depth + 1)
    return getattr(value, "__qualname__", None) or type(value).__qualname__


def number(value: Any) -> float | None:
    """Return a number as Python has it; None for what is none."""
    if getattr(value, "shape", None) == () and callable(getattr(value, "item", None)):
        value = value.item()
    return value if isinstance(value, (bool, int, float)) else None


class Numbered:
    """Names for things of one kind: Adam, Adam_2, ... and how many there were."""

    def __init__(self, most: int) -> None:
        self._counts: dict[str, int] = {}
        self._most = most

    def name(self, kind: str) -> str | None:
        """Return the next name; None where there have been enough."""
        count = self._counts[kind] = self._counts.get(kind, 0) + 1
        if count > self._most:
            return None
        return kind if count == 1 else f"{kind}_{count}"
