"""
Each Python of a re-run begins with this: what leads into today's project leads to the laid-out files.

It is copied into a folder of its own as `sitecustomize`, which stands first on `PYTHONPATH`; so it knows the standard
library only, and whoever has main's variables runs it, but for `python -I`, `-E` and `-S`.
"""

import os
import sys
from importlib.machinery import PathFinder
from importlib.util import module_from_spec

# of the finders that setuptools writes for installs in place
_TABLES = ("MAPPING", "NAMESPACES")


def moved(path: str, root: str, mirror: str) -> str:
    """Return where a path leads: what is below *root*, but for installed packages, is below *mirror*."""
    inside = path == root or path.startswith(f"{root}{os.sep}")
    return f"{mirror}{path}" if inside and "site-packages" not in path else path


def redirect(root: str, mirror: str) -> None:
    """Have `sys.path` and installs in place (editable ones) of the project lead to the laid-out files."""
    sys.path[:] = [moved(path, root, mirror) for path in sys.path]
    for finder in sys.meta_path:
        module = sys.modules.get(getattr(finder, "__module__", ""))
        for name in _TABLES:
            table = getattr(module, name, None)
            if isinstance(table, dict):
                table.update({key: _moved(value, root, mirror) for key, value in table.items()})


def _moved(value: object, root: str, mirror: str) -> object:
    if isinstance(value, list):
        return [_moved(each, root, mirror) for each in value]
    return moved(value, root, mirror) if isinstance(value, str) else value


def begin(root: str, mirror: str, folder: str) -> None:
    """Redirect, and then do what the `sitecustomize` would have done that this one in *folder* stands before."""
    sys.path[:] = [path for path in sys.path if path != folder]
    sys.path_importer_cache.pop(folder, None)
    spec = PathFinder.find_spec("sitecustomize", sys.path)
    redirect(root, mirror)
    if spec is not None and spec.loader is not None:
        sys.modules["sitecustomize"] = module = module_from_spec(spec)
        spec.loader.exec_module(module)
        redirect(root, mirror)
