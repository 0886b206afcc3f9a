"""Several runs side by side: only what differs, and why where that was found."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from msgspec import Meta

from anew.runner.errors import AnewError
from anew.runner.query.abreast import abreast
from anew.runner.records import ContentRef, RunRecord
from anew.runner.server.failures import Refused
from anew.runner.server.routes import Asked
from anew.runner.server.site import Site
from anew.runner.server.wire import cell, listed
from anew.runner.store.run_folders import RunFolders
from anew.runner.why import kept

_MOST = 100
_MOST_WHYS = 200


class CompareAsked(Asked):
    """Which runs, and whether what is the same in all of them is told, too."""

    runs: Annotated[str, Meta(min_length=1, max_length=20_000)]
    everything: bool = False


def compare(site: Site, asked: CompareAsked) -> dict[str, Any]:
    """What differs between runs, by sections; what `anew why` found of two of them."""
    refs = listed(asked.runs)
    if len(refs) > _MOST:
        raise Refused(400, f"{len(refs)} runs are too many to stand beside each other; {_MOST} at most.")
    records = [site.store.get(ref) for ref in refs]
    everything = asked.everything
    sections = abreast(records, everything=everything)
    results = {**sections.pop("result"), **sections.pop("metrics")}
    told = {
        "run": sections["run"],
        "config": {**sections["choices"], **sections["config"]},
        "source": _files([record.source.files for record in records], everything),
        "packages": sections["packages"],
        "inputs": _files([record.inputs for record in records], everything),
        "results": results,
        "artifacts": _files([record.artifacts for record in records], everything),
        "environment": _environment(records, everything),
    }
    return {
        "runs": [record.id for record in records],
        "sections": [
            {"name": name, "rows": [{"key": key, "values": list(map(cell, values))} for key, values in rows.items()]}
            for name, rows in told.items()
            if rows
        ],
        "why": _whys(site, records),
    }


def _files(sides: Sequence[Sequence[ContentRef]], everything: bool) -> dict[str, list[Any]]:
    by_path = [{file.path: file.sha256[:12] for file in files} for files in sides]
    return _differing({path: [each.get(path) for each in by_path] for path in _keys(by_path)}, everything)


def _environment(records: Sequence[RunRecord], everything: bool) -> dict[str, list[Any]]:
    sides: list[dict[str, Any]] = []
    for record in records:
        facts, machine = record.environment, record.hardware
        side: dict[str, Any] = {}
        if facts is not None:
            side |= {f"variable {name}": value for name, value in facts.variables.items()}
            side |= {f"threads {name}": value for name, value in facts.threads.items()}
            side |= {f"library {name}": value for name, value in facts.libraries.items()}
        if machine is not None:
            side |= {"cpu": machine.cpu_model, "memory": machine.memory_bytes, "os": machine.os}
            side |= {"gpu": [gpu.name for gpu in machine.gpus]}
        sides.append(side)
    return _differing({key: [side.get(key) for side in sides] for key in _keys(sides)}, everything)


def _keys(sides: Sequence[dict[str, Any]]) -> dict[str, None]:
    return dict.fromkeys(key for side in sides for key in side)


def _differing(rows: dict[str, list[Any]], everything: bool) -> dict[str, list[Any]]:
    return {key: values for key, values in rows.items() if everything or any(each != values[0] for each in values)}


def _whys(site: Site, records: Sequence[RunRecord]) -> list[dict[str, Any]]:
    """Return what searches for a cause came to that were between two of these runs."""
    store = site.store
    if not isinstance(store, RunFolders):
        return []
    uids = {record.uid for record in records}
    found = []
    for number in store.why_numbers()[-_MOST_WHYS:]:
        try:
            begun = kept.begun(store, number)
            if {begun.good, begun.bad} <= uids:
                found.append(kept.answer(store, number))
        except AnewError:
            continue  # one that has come to no end, or is damaged, says nothing
    return found
