"""Where the places lead that a record names: to the new run, to the laid-out project, or to the project of today."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

from anew.runner.places import OwnPlaces, Places
from anew.runner.records import RunRecord
from anew.runner.store.run_folders import RunFolders
from anew.runner.wording import some

_OF_CWD = "${hydra:runtime.cwd}"


def own_places(record: RunRecord, store: RunFolders) -> OwnPlaces:
    """Return a recorded run's own places."""
    folders = [str(store.layout.run(record.id).folder)] if record.id is not None else []
    output = record.provenance.hydra_dir or ""
    parent, name = os.path.split(output)
    if name == "files" and os.path.basename(parent).isdigit():
        folders.append(parent)  # where the store was
    return OwnPlaces(
        folders=tuple(dict.fromkeys(folders)),
        output=output,
        cwd=record.command.cwd,
        of_cwd=tuple(key for key, text in texts(_unresolved(record), "") if _OF_CWD in text),
    )


def leading(record: RunRecord, places: Places, own: OwnPlaces) -> tuple[list[str], list[str], list[str]]:
    """Return which keys lead to the run's own places, into the laid-out project, into today's."""
    found: tuple[list[str], list[str], list[str]] = ([], [], [])
    for key, text in texts(record.config, ""):
        if own.led(text, "", "") is not None:
            found[0].append(key)
        elif places.laid_out(text, always=key in own.of_cwd) is not None:
            found[1].append(key)
        elif places.laid_out(text, always=True) is not None and _is_there(text):
            found[2].append(key)
    return found


def sentences(record: RunRecord, places: Places, own: OwnPlaces) -> tuple[list[str], list[str]]:
    """Return what there is to say of paths in the configuration: of those led elsewhere; of those into today's."""
    to_own, moved, today = leading(record, places, own)
    told = []
    if to_own:
        told.append(
            f"note: {some(to_own)} in the configuration led to run {record.id}'s own folder, and now to the new run's."
        )
    if moved:
        told.append(f"note: {some(moved)} in the configuration lead into the laid-out project.")
    if many := [folder.path for folder in record.source.beside if folder.more]:
        told.append(f"note: In {some(many)} were more files than are named on record; the inputs on record are there.")
    noted = [f"{some(today)} in the configuration lead into {places.root} as it is today."] if today else []
    return told, noted


def of_today(read: Sequence[str], inputs: Mapping[str, Any]) -> Iterator[str]:
    """Yield a sentence for each file that main read as it is today, though its recorded content was laid out."""
    for path in read:
        if path not in inputs or inputs[path]["restored"]:
            yield (
                f"Main read {path} as it is today, not as it is on record: it opened it by an absolute path, which "
                "leads there. To have the recorded content: run.input(PATH), or a path relative to the script."
            )


def of_isolated(started: Sequence[str]) -> Iterator[str]:
    """Yield a sentence on Pythons that heed no variables, so that the laid-out project is not theirs."""
    if started:
        yield f"{some(started)}: a Python that main started so finds modules as they are installed today."


def variables(given: Mapping[str, str], record: RunRecord, places: Places) -> dict[str, str]:
    """Return variables for main; recorded ones that are paths to what is laid out lead there."""
    known = record.environment.variables if record.environment is not None else {}
    return {
        name: (places.laid_out(value) if known.get(name) == value else None) or value for name, value in given.items()
    }


def read_otherwise(was: RunRecord, now: RunRecord) -> tuple[list[str], list[str]]:
    """Return the project's files that a re-run read with another content than is on record, and those with none."""
    known: dict[str, set[str]] = {}
    for path, sha256 in (*((ref.path, ref.sha256) for ref in was.inputs), *_source(was)):
        known.setdefault(path, set()).add(sha256)
    read = {ref.path: ref.sha256 for ref in now.inputs if not os.path.isabs(ref.path)}
    other = [path for path, sha256 in read.items() if path in known and sha256 not in known[path]]
    return other, [path for path in read if path not in known]


def _source(record: RunRecord) -> Iterator[tuple[str, str]]:
    return ((file.path, file.sha256) for file in record.source.files)


def texts(value: Any, where: str) -> Iterator[tuple[str, str]]:
    """Yield each text in plain values, and its key."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from texts(item, f"{where}.{key}".lstrip("."))
    elif isinstance(value, (list, tuple)):
        for index, item in enumerate(value):
            yield from texts(item, f"{where}[{index}]")
    elif isinstance(value, str):
        yield where, value


def _unresolved(record: RunRecord) -> Any:
    import yaml

    with suppress(yaml.YAMLError):  # a tag of Python's, which is not read
        return yaml.safe_load(record.provenance.unresolved)
    return None


def _is_there(text: str) -> bool:
    return os.path.exists(text.rpartition("//")[2] if "://" in text else text)
