"""
Sub-interpreters, which share a process and nothing of a run: they are not watched, and it is said.

Each has audit hooks, modules and `sys.argv` of its own. Of their making Python tells no hook since 3.13, so that the
one function that all ways lead to is waited for.
"""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

from anew.runner.capture.noticed import UNKNOWN_INPUT
from anew.runner.kernel.importing import ImportWatch
from anew.runner.run.recorder import Recorder

_MODULES = ("_interpreters", "_xxsubinterpreters")  # as it is called since Python 3.13, and before
_KEY = "interpreters"
_INPUTS = (
    f"Files that sub-interpreters open are not noticed: what they read is {UNKNOWN_INPUT}. "
    "To have it: run.input(path), or processes (ProcessPoolExecutor)."
)
_VALUES = (
    "Sub-interpreters do not get the values that the run was given: there the program is as its file stands, and "
    "sys.argv is that of anew. To have them: hand them on as arguments, or processes (ProcessPoolExecutor)."
)


class Interpreters:
    """
    Says what a run does not know of the sub-interpreters of its program, when it makes the first.

    Args:
        recorder: Takes what is said.
        is_noticed: Whether files are noticed that the program opens without having declared them.
        is_unchanged: Whether it is a program without a main, given its values from outside.
    """

    def __init__(self, recorder: Recorder, *, is_noticed: bool, is_unchanged: bool) -> None:
        self._recorder = recorder
        self._said = " ".join(text for text, is_so in ((_VALUES, is_unchanged), (_INPUTS, is_noticed)) if is_so)
        self._watch = ImportWatch(_MODULES, self._begin)
        self._before: list[tuple[ModuleType, Callable[..., Any]]] = []

    def start(self) -> None:
        """From now on, until `stop`."""
        self._watch.start()

    def _begin(self, _name: str, module: ModuleType) -> None:
        create: Callable[..., Any] = vars(module)["create"]

        def telling(*args: Any, **options: Any) -> Any:
            if self._said and self._recorder.is_open:
                self._recorder.warn_once(_KEY, self._said)
            return create(*args, **options)

        self._before.append((module, create))
        vars(module)["create"] = telling

    def stop(self) -> None:
        """Have the function be what it was."""
        self._watch.close()
        for module, create in self._before:
            vars(module)["create"] = create
