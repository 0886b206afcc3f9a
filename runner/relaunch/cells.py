"""
The recorded cells of a notebook, run one after the other as they ran, up to the call of main that is done again.

As in a notebook an error ends its cell only. Only the last cell calls main: calls in those before it were other runs,
and end their cell.
"""

from __future__ import annotations

import asyncio
import builtins
import inspect
import sys
from ast import PyCF_ALLOW_TOP_LEVEL_AWAIT
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from anew.runner.format.cells import Cell, split
from anew.runner.relaunch.plan import LeftOff, assignment

_INSTALLERS = frozenset({"conda", "mamba", "micromamba", "pip", "uv"})


class Cells:
    """
    The cells of a file, to be run once.

    Args:
        path: The file.

    Attributes:
        module: The `__main__` that they make.
        notes: What ended otherwise than at its end, in sentences.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.module = ModuleType("__main__")
        self.notes: list[str] = []
        self._loop: asyncio.AbstractEventLoop | None = None

    def run(self, is_done: Callable[[], bool]) -> None:
        """
        Run them; return where the last one ended and has not called main.

        Args:
            is_done: Whether main was called.

        Raises:
            BaseException: What main raised.
        """
        *before, last = self._made_ready()
        for cell in before:
            assignment.is_ahead = True
            try:
                self._execute(cell)
            except LeftOff:
                self.notes.append(f"cell [{cell.number}] calls a main itself, and was left there")
            except (Exception, SystemExit) as error:
                self.notes.append(f"cell [{cell.number}] ended with {type(error).__name__}: {error}")
            finally:
                assignment.is_ahead = False
        try:
            self._execute(last)
        except Exception as error:
            if is_done():
                raise
            self.notes.append(f"cell [{last.number}] ended with {type(error).__name__}: {error}")

    def run_all(self) -> None:
        """Run them to the last, whatever they call; an error ends its cell. Raises SystemExit, KeyboardInterrupt."""
        for cell in self._made_ready():
            try:
                self._execute(cell)
            except Exception as error:
                self.notes.append(f"cell [{cell.number}] ended with {type(error).__name__}: {error}")

    def _made_ready(self) -> list[Cell]:
        """Make the module that they run in; return them."""
        vars(self.module)["__builtins__"] = builtins
        sys.modules["__main__"] = self.module
        _lend_magics(self.module)
        return split(self._path.read_text(encoding="utf-8", errors="surrogatepass"))

    def _execute(self, cell: Cell) -> None:
        # lines as in the file, for tracebacks and for whoever asks for the source of a function
        text = "\n" * (cell.line - 1) + cell.text
        code = compile(text, str(self._path), "exec", flags=PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
        running = eval(code, vars(self.module))
        if code.co_flags & inspect.CO_COROUTINE:
            self._loop = self._loop or asyncio.new_event_loop()
            self._loop.run_until_complete(running)


def _lend_magics(module: ModuleType) -> None:
    """Give a module what IPython gives one, `get_ipython` and `display` among it, where it is installed."""
    try:
        from IPython.core.interactiveshell import InteractiveShell
        from traitlets.config import Config
    except ImportError:
        return
    config = Config()
    config.HistoryManager.enabled = False
    shell = InteractiveShell.instance(config=config, user_module=module)
    shell.builtin_trap.activate()
    lent = _Magics(shell)
    vars(module)["get_ipython"] = vars(builtins)["get_ipython"] = lambda: lent


class _Magics:
    """A shell that installs nothing: what a re-run finds installed is not for the cells to change."""

    def __init__(self, shell: Any) -> None:
        self._shell = shell

    def __getattr__(self, name: str) -> Any:
        return getattr(self._shell, name)

    def run_line_magic(self, name: str, line: str, _stack_depth: int = 1) -> Any:
        """Run a magic of one line, such as `%matplotlib inline`; some look at the names of whoever calls, by depth."""
        return None if name in _INSTALLERS else self._shell.run_line_magic(name, line, _stack_depth + 1)

    def system(self, command: str) -> Any:
        """Run a command of the system, `!command`."""
        return None if _INSTALLERS & set(command.split()[:4]) else self._shell.system(command)
