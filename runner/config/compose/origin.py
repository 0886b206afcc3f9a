"""Where an app lies: its name and the folder that a relative config path starts from."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from anew.runner.config.private.running import calling_place, configured_path, is_notebook, name_of_app


def task_name(function: Callable[..., Any]) -> str:
    """Return `hydra.job.name` as Hydra makes it; "notebook" for a function of a notebook."""
    file, module = calling_place(function)
    if file is not None and is_notebook():
        return "notebook"
    return name_of_app(file, module)


def config_dir(function: Callable[..., Any], config_path: str | None) -> str | None:
    """
    Return the search path entry for a config path.

    As Hydra does, and beyond it: an imported module need not lie in a package, and a function that is in no file (a
    notebook, a console) starts from the working directory.
    """
    if config_path is None:
        return None
    file, module = calling_place(function)
    if not os.path.isabs(config_path) and "://" not in config_path:
        folder = _folder(function, file, module)
        if folder is not None and (module is None or (folder / config_path).is_dir()):
            return os.path.normpath(folder / config_path)
    return configured_path(file, module, config_path)


def _folder(function: Callable[..., Any], file: str | None, module: str | None) -> Path | None:
    """Return the folder of the function's file; None for a module that Hydra was told to take instead."""
    plain = inspect.unwrap(function)
    if module is not None and module != plain.__module__:
        return None
    source = Path(plain.__code__.co_filename)
    if source.is_file():
        return Path(os.path.realpath(source)).parent
    return Path.cwd() if file is not None else None
