"""What starts the runs of a command: the project as it is now, or what the record says of an errand."""

from __future__ import annotations

import functools
import inspect
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from anew.runner.capture.cells import executed_cells
from anew.runner.capture.command import capture_command, program_files
from anew.runner.capture.source import SourceScan, cache_file
from anew.runner.config.main import Recorded
from anew.runner.errors import working_directory
from anew.runner.format.cells import FILE_NAME
from anew.runner.places import STARTED_IN, Places, cache_folder, project_root
from anew.runner.records import SourceFacts
from anew.runner.relaunch.plan import Errand, OneJob, Rerun, surroundings
from anew.runner.run.enclosing import enclosing
from anew.runner.run.origin import Origin
from anew.runner.store.related import Enclosing
from anew.runner.sweep.reference import Attachment


def of_main(
    function: Callable[..., Any],
    entry: str | None,
    call: int | None,
    experiment: str,
    observers: Mapping[str, Any],
    attachment: Attachment | None,
) -> Origin:
    """Return what starts runs of the project as it is; those of a sweep are on record as the sweep was started."""
    file = _file_of(function)
    root = project_root(file.parent if file else Path(working_directory()))
    cache = cache_folder()
    is_started = entry == "start"
    cells = executed_cells(function, is_called=is_started) if attachment is None else None
    command = capture_command(function, entry if cells is None or is_started else "cells", root, call)
    if cells is not None:
        command = replace(command, target=str(Path(command.cwd, FILE_NAME)))
    origin = Origin(
        experiment=experiment,
        command=command,
        places=Places(root),
        scan=None,
        cache=cache,
        made={} if cells is None else {Places(root).name(Path(command.target)): cells},
        within=enclosing() if attachment is None else attachment.within,
        observers=observers,
    )
    if attachment is None and (laid_out := _laid_out(origin)) is not None:
        return laid_out
    if attachment is not None:
        command = replace(attachment.command, interpreter=sys.executable)
        origin = replace(origin, command=command, made=attachment.made)
        if attachment.places is not None:
            return replace(origin, places=attachment.places, source=attachment.source)
    # begun now: git's answers are under way while Hydra composes
    return replace(origin, scan=SourceScan(root, cache_file(cache, root), program_files(command), origin.made))


def _laid_out(origin: Origin) -> Origin | None:
    """Return what starts a run in a re-run, whose files were laid out: all of it at its recorded paths; else None."""
    around = surroundings()
    if around is None or origin.within is None or not around.moved:
        return None
    places, command = around.places, origin.command
    if not origin.places.root.is_relative_to(around.mirror):
        return None
    told = {"argv": command.argv, "cwd": command.cwd, "target": command.target, "import_paths": command.import_paths}
    command = replace(command, **places.as_recorded(told))
    return replace(origin, command=command, places=places, source=origin.within.source)


def of_errand(errand: Errand, experiment: str, observers: Mapping[str, Any]) -> Origin:
    """Return what starts the runs of an errand: everything as on record, but for the interpreter."""
    cache = cache_folder()
    root = Path(errand.root)
    programs = program_files(errand.command)
    origin = Origin(
        experiment=experiment,
        command=replace(errand.command, interpreter=sys.executable),
        places=errand.places,
        scan=SourceScan(root, cache_file(cache, root), programs) if errand.source is None else None,
        cache=cache,
        source=errand.source,
        within=_within(errand),
        observers=observers,
    )
    if not isinstance(errand, Rerun):
        return origin
    return replace(
        origin, rerun_of=errand.rerun_of, why=errand.why, seed=errand.seed, torch_threads=errand.torch_threads
    )


def _within(errand: Errand) -> Enclosing | None:
    """Return the run that those of an errand are started in, as on record."""
    if errand.parent is None:
        return None
    return Enclosing(parent=errand.parent, store=errand.store, source=errand.source or SourceFacts())


def recorded(errand: Errand) -> Recorded:
    """Return the configuration that an errand is to be done with."""
    if isinstance(errand, OneJob):
        ref = f"sweep:{errand.sweep}/{errand.job}"
        return Recorded(ref=ref, config=errand.config, overrides=errand.overrides, job=errand.job)
    assert isinstance(errand, Rerun)
    ref = str(errand.rerun_of.id or errand.rerun_of.uid)
    return Recorded(
        ref=ref,
        config=errand.config,
        overrides=errand.overrides,
        changes=errand.changes,
        places=errand.places,
        own=errand.own,
    )


def attachment_of(errand: Errand) -> Attachment | None:
    """Return the sweep that an errand's one job is of."""
    if not isinstance(errand, OneJob):
        return None
    attempts = {errand.job: errand.attempt}
    return Attachment(root=errand.store, sweep=errand.sweep, command=errand.command, attempts=attempts)


def _file_of(function: Callable[..., Any]) -> Path | None:
    path = os.path.join(STARTED_IN, inspect.unwrap(function).__code__.co_filename)
    # of an archive the archive itself
    return next((_resolved(each) for each in (path, os.path.dirname(path)) if os.path.isfile(each)), None)


@functools.lru_cache(maxsize=256)
def _resolved(path: str) -> Path:
    """Return where code lies that this process has loaded from a path."""
    return Path(path).resolve()
