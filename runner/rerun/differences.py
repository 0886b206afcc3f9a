"""What is different today from what is on record, before main starts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

from anew.runner.capture.elsewhere import repositories_of
from anew.runner.capture.environment import THREAD_VARIABLES
from anew.runner.capture.seeds import draw_seed
from anew.runner.format.redact import REDACTED
from anew.runner.lazy.patterns import regexp
from anew.runner.records import EnvironmentFacts, GitFacts, HardwareFacts, RunRecord, SourceFacts
from anew.runner.relaunch.mirror import InputState, digest
from anew.runner.rerun.environments import is_used
from anew.runner.settings import SourceSettings

Differences = dict[str, dict[str, Any]]

# Variables that say where a process is, not what it computes.
_OF_THE_PLACE = regexp(
    r"CONDA_.*|VIRTUAL_ENV|UV_PROJECT_ENVIRONMENT|SLURM_.*|RANK|LOCAL_RANK|WORLD_SIZE|MASTER_.*|LD_LIBRARY_PATH|"
    r"LD_PRELOAD|PYTHON(?!HASHSEED|OPTIMIZE).*|HF_HOME|TORCH_HOME|(?:CUDA|NVIDIA|HIP|ROCR)_VISIBLE_DEVICES|.*_CACHE.*"
)
_HARDWARE = ("os", "cpu_model", "cpu_cores", "cpu_allowed")
_MEMORY_TOLERANCE = 0.02


def child_variables(record: RunRecord, today: Mapping[str, str], listed: Mapping[str, str]) -> dict[str, str]:
    """
    Return the environment for a re-run: today's, with what was recorded and bears on the computation put back.

    Put back are the hash seed, thread counts and the other recorded variables, but for those that say where the process
    is (virtual environment, scheduler, device numbers, library paths) and secrets.

    Args:
        record: The run.
        today: This process's environment.
        listed: Those of today's variables that a run would record.
    """
    result = dict(today)
    facts = record.environment
    if facts is None:
        return result
    recorded = {**facts.variables, **{name: value for name, value in facts.threads.items() if name.isupper()}}
    for name in {*listed, *recorded, *THREAD_VARIABLES, "PYTHONHASHSEED"}:
        value = recorded.get(name)
        if _OF_THE_PLACE.fullmatch(name) or (value is not None and REDACTED in value):
            continue
        if value is not None:
            result[name] = value
        elif record.foreign is None:
            result.pop(name, None)
    if record.seeds is not None:
        known = record.seeds.hash_randomization
        # one that nobody gave cannot be had again; that of the re-run is on record, so that it can
        result["PYTHONHASHSEED"] = known if known.isdigit() else str(draw_seed())
    return result


def find(
    record: RunRecord,
    environment: EnvironmentFacts,
    hardware: HardwareFacts,
    inputs: Sequence[InputState],
    *,
    is_laid_out: bool,
) -> Differences:
    """
    Return what differs: section -> name -> {"recorded", "now", "restored"}; sections without differences are left out.

    Args:
        record: The run.
        environment: As the re-run will find it.
        hardware: This machine.
        inputs: The recorded inputs, as they are found today.
        is_laid_out: Whether the recorded source is run.
    """
    found: Differences = {}
    was = record.environment
    if was is not None:
        python = {"version": (was.python, environment.python), "implementation": _implementations(was, environment)}
        found["python"] = _pairs(python)
        found["packages"] = _marked(_mapping(_packages(was), _packages(environment)), was)
        found["origins"] = _marked(_mapping(_without_anew(was.origins), _without_anew(environment.origins)), was)
        found["variables"] = {
            name: entry
            for name, entry in _mapping(was.variables, environment.variables).items()
            if not (_OF_THE_PLACE.fullmatch(name) or name == "PYTHONHASHSEED")
        }
        libc = {name: (was.libraries.get(name), environment.libraries.get(name)) for name in ("libc",)}
        found["libraries"] = _pairs({name: pair for name, pair in libc.items() if None not in pair})
        threads = _mapping(was.threads, environment.threads)
        found["threads"] = {name: entry for name, entry in threads.items() if name.isupper()}
    if record.hardware is not None:
        found["hardware"] = _hardware(record.hardware, hardware)
    found["inputs"] = {
        state.ref.path: {"recorded": state.ref.sha256, "now": state.now, "restored": state.restored}
        for state in inputs
        if state.now != state.ref.sha256
    }
    found["elsewhere"] = _elsewhere(record.source, restored=is_laid_out)
    found["repositories"] = _repositories(record.source, restored=is_laid_out)
    if record.foreign is not None:
        # what another program does not record is not known, and differs from nothing
        found = {
            section: {name: entry for name, entry in entries.items() if entry["recorded"]}
            for section, entries in found.items()
        }
    return {section: entries for section, entries in found.items() if entries}


def _elsewhere(source: SourceFacts, *, restored: bool) -> dict[str, Any]:
    """Return the modules from outside of the project that are others today."""
    files = {file.path: (file.sha256, digest(Path(file.path))) for file in source.files if file.path.startswith("/")}
    return {name: {**entry, "restored": restored} for name, entry in _pairs(files).items()}


def _repositories(source: SourceFacts, *, restored: bool) -> dict[str, Any]:
    """Return the repositories of such modules that are in another state today."""
    now = repositories_of(source.files, SourceSettings())
    states = {folder: (_state(facts), _state(now.get(folder))) for folder, facts in source.repositories.items()}
    pairs = {
        # of two that have changes these may be others
        folder: (f"{was}, others" if was == is_now and source.repositories[folder] != now.get(folder) else was, is_now)
        for folder, (was, is_now) in states.items()
    }
    return {name: {**entry, "restored": restored} for name, entry in _pairs(pairs).items()}


def _state(facts: GitFacts | None) -> str | None:
    if facts is None:
        return None
    return f"{(facts.commit or 'no commit yet')[:12]}{' with changes' if facts.dirty else ''}"


def lost_code(record: RunRecord) -> list[str]:
    """Return the Python files that a limit or a setting left out of the source, and that nothing brought in later."""
    known = {file.path for file in (*record.source.files, *record.inputs)}
    return [path for path in record.source.lost if path not in known]


def standing(found: Mapping[str, Mapping[str, Any]], *, every: bool = True) -> Differences:
    """
    Return the differences that the re-run does not put right.

    Args:
        found: As of `find`.
        every: Whether packages count that the recorded run did not import.
    """
    kept = {
        section: {name: entry for name, entry in entries.items() if not entry["restored"] and (every or is_used(entry))}
        for section, entries in found.items()
    }
    return {section: entries for section, entries in kept.items() if entries}


def of_libraries(was: RunRecord, now: RunRecord) -> dict[str, Any]:
    """Return which libraries below Python differ between two runs that both had them."""
    if was.environment is None or now.environment is None:
        return {}
    old, new = was.environment.libraries, now.environment.libraries
    return _pairs({name: (old[name], new[name]) for name in old if name in new})


def _marked(entries: dict[str, Any], was: EnvironmentFacts) -> dict[str, Any]:
    """Say of each package whether the recorded run imported it, None where that is not known."""
    return {name: {**entry, "imported": _was_imported(name, entry, was)} for name, entry in entries.items()}


def _was_imported(name: str, entry: Mapping[str, Any], was: EnvironmentFacts) -> bool | None:
    if not was.imported or name == "anew":
        return None
    if entry["recorded"] is None:
        return False
    modules = modules_of(name)
    if modules & set(was.imported):
        return True
    return False if modules else None


def modules_of(name: str) -> set[str]:
    """Return the first names of the modules that an installed distribution has; nothing of one that is not there."""
    try:
        files = distribution(name).files or []
    except PackageNotFoundError:
        return set()
    found = {file.parts[0].partition(".")[0] for file in files if file.suffix in (".py", ".so", ".pyd")}
    return {each for each in found if each.isidentifier()}


def _packages(facts: EnvironmentFacts) -> dict[str, Any]:
    """Return the distributions; anew's own version is known also where it is no distribution."""
    return {**_without_anew(facts.packages), "anew": facts.anew}


def _without_anew(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if name != "anew"}


def _implementations(was: EnvironmentFacts, now: EnvironmentFacts) -> tuple[str, str]:
    return was.implementation, now.implementation


def _pairs(values: Mapping[str, tuple[Any, Any]]) -> dict[str, Any]:
    return {name: _entry(was, now) for name, (was, now) in values.items() if was != now}


def _entry(was: Any, now: Any) -> dict[str, Any]:
    return {"recorded": was, "now": now, "restored": False}


def _mapping(was: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, Any]:
    names = dict.fromkeys((*was, *now))
    return _pairs({name: (was.get(name), now.get(name)) for name in names})


def _hardware(was: HardwareFacts, now: HardwareFacts) -> dict[str, Any]:
    values: dict[str, tuple[Any, Any]] = {name: (getattr(was, name), getattr(now, name)) for name in _HARDWARE}
    if abs(was.memory_bytes - now.memory_bytes) > _MEMORY_TOLERANCE * was.memory_bytes:
        values["memory_bytes"] = (was.memory_bytes, now.memory_bytes)
    values["gpus"] = ([gpu.name for gpu in was.gpus], [gpu.name for gpu in now.gpus])
    drivers = sorted({gpu.driver for gpu in was.gpus}), sorted({gpu.driver for gpu in now.gpus})
    values["gpu driver"] = drivers
    return _pairs(values)


def way_back(found: Mapping[str, Mapping[str, Any]], env: str) -> str:
    """Return a sentence on packages that are missing, where there are some."""
    gone = [name for name, entry in found.get("packages", {}).items() if entry["now"] is None]
    if not gone:
        return ""
    if env == "recorded":
        return f" Not in the rebuilt environment: {', '.join(gone)}. To try it with today's: --env current"
    return f" Not installed any more: {', '.join(gone)}. To have the recorded packages: --env recorded"
