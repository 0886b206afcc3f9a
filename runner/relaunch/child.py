"""
The process that runs main once more. Started by path with an errand's file and the end of a pipe; never imported.

When the other end of the pipe is closed, whoever started this process has died, and it is terminated.

It makes this interpreter what the recorded one was (import paths, argv), with the laid-out files in place of the
project's, and then starts the recorded script, module or function; `Main` finds the errand and does it.
"""

import os
import signal
import sys

if __name__ == "__main__" and sys.path and os.path.abspath(sys.path[0]) == os.path.dirname(os.path.abspath(__file__)):
    del sys.path[0]  # this folder's modules are the package's, not top-level ones

if __name__ == "__main__":
    # this package is the one that this file is of, also where the project holds it, and a part of it was laid out
    sys.path.insert(0, os.path.abspath(os.path.join(__file__, *[os.pardir] * 4)))
    import anew  # noqa: F401

    del sys.path[0]

from anew.runner.kernel.door import end_with

if __name__ == "__main__":
    end_with(int(sys.argv[2]))  # before anything that takes its time

import importlib
import pkgutil
import runpy
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

from anew.runner.errors import EXIT_SIGINT, EXIT_USAGE
from anew.runner.format.cells import FILE_NAME
from anew.runner.places import Places
from anew.runner.relaunch.cells import Cells
from anew.runner.relaunch.plan import Errand, assignment, read_errand, read_report
from anew.runner.relaunch.script import run_script
from anew.runner.relaunch.startup import redirect
from anew.runner.wording import some

# runs what has no main of its own; it stands above this room, and is started by its name, as it was on record
PROGRAMS = "anew.runner.program"


def main(path: str) -> None:
    """Do the errand in the file *path*. Leaves as the recorded program does."""
    errand = read_errand(Path(path))
    places = errand.places
    assignment.errand = errand
    if places.moved:
        redirect(str(places.root), str(places.mirror))
    _set_up(errand, places)
    try:
        _start(errand, places)
    except SystemExit as end:
        if end.code:
            raise
    except NameError:
        if assignment.stage == "due" and sys.version_info < (3, 14):
            sys.stderr.write(
                "anew: Since Python 3.14 annotations may name what is not there when a function is defined. For a "
                "Python before it, a script with such ones begins with: from __future__ import annotations\n"
            )
        raise
    finally:
        _note_leaks(errand, places)
    if assignment.stage == "due":
        # what the script does now is other than what it did
        call = f", call {errand.command.call} of it," if (errand.command.call or 1) > 1 else ""
        what = "Call" if errand.command.entry == "start" else "The main function"
        _refuse(
            f"{what} {errand.command.function!r}{call} of experiment {errand.experiment!r} was not called, "
            "though what called it on record was run to its end: which main to run cannot be told."
        )


def _start(errand: Errand, places: Places) -> None:
    command = errand.command
    module, _, name = command.function.partition(":")
    script = Path(command.target)
    if command.entry == "cells":
        _run_cells(places.here(script), errand, module, name)
    elif command.entry == "start" and script.name == FILE_NAME:
        _run_all_cells(places.here(script), errand)
    elif command.entry in ("program", "command", "notebook"):
        runpy.run_module(PROGRAMS, run_name="__main__")
    elif command.runs_module:
        runpy.run_module(command.target, run_name="__main__", alter_sys=True)
    elif command.entry != "start" and module != "__main__" and "<locals>" not in name:
        _call(module, name, errand.experiment)
    elif script.is_absolute() and _is_application(places.here(script)):
        runpy.run_path(str(places.here(script)), run_name="__main__")
    elif script.is_absolute() and places.here(script).is_file():
        run_script(places.here(script))
    else:
        _refuse(f"Its main function {name!r} was made in no file (a console or a notebook), and cannot be had again.")


def _is_application(path: Path) -> bool:
    """Whether a path is a folder or an archive, which holds a `__main__`."""
    return pkgutil.get_importer(str(path)) is not None


def _run_cells(path: Path, errand: Errand, module: str, name: str) -> None:
    """Run the cells that main was made in, and call main where the last of them came not so far."""
    if not path.is_file():
        _refuse(f"Its main function {name!r} was made in a notebook's cells, which are not on record.")
    report = Path(errand.report)
    assignment.is_direct = True  # of the last cell the first call is as good as another
    cells = Cells(path)
    try:
        cells.run(report.exists)
        if not report.exists():
            _call(module, name, errand.experiment, f" Of its cells, {some(cells.notes)}." if cells.notes else "")
    except NameError:
        if cells.notes:
            _add_note(report, f"What main lacks may be of cells that came before it: {some(cells.notes)}.")
        raise


def _run_all_cells(path: Path, errand: Errand) -> None:
    """Run the cells that ran, one of which calls `anew.start`; an error ends its cell, as it did."""
    if not path.is_file():
        _refuse("It was started in a notebook's cells, which are not on record.")
    cells = Cells(path)
    cells.run_all()
    if cells.notes:
        _add_note(Path(errand.report), f"Of its cells, {some(cells.notes)}.")


def _call(module: str, name: str, experiment: str, more: str = "") -> None:
    """Import the module of a main function that was not in the script itself, and call it."""
    found: Any = importlib.import_module(module)
    for part in name.split("."):
        found = getattr(found, part, None)
    if not callable(found):
        text = f"There is no function {name!r} in the module {module!r}; one made inside another cannot be had again."
        _refuse(text + more)
    its = getattr(getattr(found, "experiment", None), "name", None)
    # what stands there under its own name, and was not made a main in that place, would be run unrecorded
    if its != experiment and (its is not None or getattr(found, "__qualname__", None) == name):
        what = f"of experiment {its!r}" if its else "a plain function"
        _refuse(
            f"{name!r} in the module {module!r} is {what}, and not the "
            f"main function of experiment {experiment!r}, which cannot be had again under this name."
        )
    assignment.is_direct = True
    found()


def _refuse(text: str) -> None:
    sys.stderr.write(f"anew: {text}\n")
    sys.exit(EXIT_USAGE)


# --- this interpreter ---------------------------------------------------------------------------------------------


def _set_up(errand: Errand, places: Places) -> None:
    """Set argv and the import path as they were."""
    command = errand.command
    first, *rest = command.argv or ("",)
    sys.argv = [str(places.here(Path(first))) if os.path.isabs(first) else first, *rest]
    if command.entry in ("program", "command", "notebook"):
        sys.argv.insert(0, PROGRAMS)
    folders = [str(places.here(Path(path))) for path in command.import_paths]
    if command.runs_module:
        folders.insert(0, os.getcwd())
    elif command.target and not _is_application(places.here(Path(command.target))):
        folders.insert(0, str(places.here(Path(command.target)).parent))
    # the script's own folder comes first, whatever else leads there
    new = [each for index, each in enumerate(dict.fromkeys(folders)) if index == 0 or each not in sys.path]
    sys.path[:0] = [each for each in new if os.path.isdir(each)]


def _note_leaks(errand: Errand, places: Places) -> None:
    """Say which modules came from today's project all the same."""
    report = read_report(Path(errand.report))
    if report is None or not places.moved:
        return
    prefix = f"{places.root}{os.sep}"
    # anew is what runs the re-run, installed from wherever: it is no part of what is repeated
    loaded = [module for name, module in list(sys.modules.items()) if name.partition(".")[0] != "anew"]
    files = [vars(module).get("__file__") for module in loaded if type(module) is ModuleType]
    leaked = sorted(
        file for file in files if isinstance(file, str) and file.startswith(prefix) and "site-packages" not in file
    )
    if leaked:
        _add_note(
            Path(errand.report), f"Modules came from today's project, not from the recorded source: {some(leaked)}."
        )


def _add_note(path: Path, text: str) -> None:
    report = read_report(path)
    if report is not None:
        replace(report, notes=(*report.notes, text)).write(path)


if __name__ == "__main__":
    try:
        try:
            main(sys.argv[1])
        except KeyboardInterrupt:
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # the same comes twice, from the terminal and handed on
            raise
    except KeyboardInterrupt:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # and the second time in the line above
        if assignment.errand is None or not os.path.exists(assignment.errand.report):
            sys.exit(EXIT_SIGINT)  # main was not called yet, and whoever waits for this says what came to pass
        raise
