"""Where an app lies: its name and the folder that a relative config path starts from."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hydra._internal.utils import (
    compute_search_path_dir,
    detect_calling_file_or_module_from_task_function,
    detect_task_name,
    is_notebook,
)


def task_name(function: Callable[..., Any]) -> str:
    """Return `hydra.job.name` as Hydra makes it; "notebook" for a function of a notebook."""
    file, module = detect_calling_file_or_module_from_task_function(function)
    if file is not None and is_notebook():
        return "notebook"
    return detect_task_name(file, module)


def config_dir(function: Callable[..., Any], config_path: str | None) -> str | None:
    """
    Return the search path entry for a config path.

    As Hydra does, and beyond it: an imported module need not lie in a package, and a function that is in no file (a
    notebook, a console) starts from the working directory.
    """
    if config_path is None:
        return None
    file, module = detect_calling_file_or_module_from_task_function(function)
    if not os.path.isabs(config_path) and "://" not in config_path:
        folder = _folder(function, file, module)
        if folder is not None and (module is None or (folder / config_path).is_dir()):
            return os.path.normpath(folder / config_path)
    return compute_search_path_dir(file, module, config_path)


def _folder(function: Callable[..., Any], file: str | None, module: str | None) -> Path | None:
    """Return the folder of the function's file; None for a module that Hydra was told to take instead."""
    plain = inspect.unwrap(function)
    if module is not None and module != plain.__module__:
        return None
    source = Path(plain.__code__.co_filename)
    if source.is_file():
        return Path(os.path.realpath(source)).parent
    return Path.cwd() if file is not None else None
