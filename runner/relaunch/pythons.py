"""Where the Pythons of a re-run find modules: main's, and every one that it starts."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from anew.runner.places import Places
from anew.runner.relaunch import startup

VARIABLE = "PYTHONPATH"


def with_paths(variables: Mapping[str, str], recorded: str | None, cwd: Path, places: Places) -> dict[str, str]:
    """
    Return an environment in which modules are found as they were, in the laid-out files where these are run.

    Args:
        variables: Today's; its own folders come last, since this installation may be found by them.
        recorded: `PYTHONPATH` as on record.
        cwd: The working directory as on record.
        places: Where the project was and is now. In the parent of the mirror a folder is made for what each Python
            begins with.

    Raises:
        OSError: That cannot be written.
    """
    told = [_placed(each, cwd, places) for each in _split(recorded)]
    told += [_moved(each, places) for each in _split(variables.get(VARIABLE))]
    if places.moved:
        told.insert(0, str(_write(places)))
    rest = {name: value for name, value in variables.items() if name != VARIABLE}
    return {**rest, VARIABLE: os.pathsep.join(dict.fromkeys(told))} if told else rest


def as_recorded(variables: Mapping[str, str], places: Places) -> dict[str, str]:
    """Return the variables of a process of a re-run with the import path that a record of it is to have."""
    folder = _folder(places)
    if folder is None or VARIABLE not in variables:
        return dict(variables)
    told = [each for each in _split(variables[VARIABLE]) if each != str(folder)]
    rest = {name: value for name, value in variables.items() if name != VARIABLE}
    paths = [str(places.origin(Path(each))) if os.path.isabs(each) else each for each in told]
    return {**rest, VARIABLE: os.pathsep.join(dict.fromkeys(paths))} if paths else rest


def _split(value: str | None) -> list[str]:
    return [each for each in (value or "").split(os.pathsep) if each]


def _placed(path: str, cwd: Path, places: Places) -> str:
    """Return where a recorded folder is now. A relative one stays so, where the process starts where it did."""
    if not os.path.isabs(path) and (not places.moved or cwd.is_relative_to(places.root)):
        return path
    return _moved(os.path.normpath(cwd / path), places)


def _moved(path: str, places: Places) -> str:
    return startup.moved(path, str(places.root), str(places.mirror)) if places.moved else path


def _folder(places: Places) -> Path | None:
    return places.mirror.parent / "startup" if places.mirror is not None and places.moved else None


def _write(places: Places) -> Path:
    folder = _folder(places)
    assert folder is not None
    folder.mkdir(exist_ok=True)
    text = Path(startup.__file__).read_text(encoding="utf-8")
    call = f"begin({str(places.root)!r}, {str(places.mirror)!r}, {str(folder)!r})"
    (folder / "sitecustomize.py").write_text(f"{text}\n\n{call}\n", encoding="utf-8")
    return folder
