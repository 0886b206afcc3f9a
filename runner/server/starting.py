"""Runs that are started from the page: a run once more, or a new one with other parameters; only one's own."""

from __future__ import annotations

import re
import shlex
import unicodedata
from collections.abc import Sequence
from typing import Annotated, Any

from msgspec import Meta

from anew.runner.format.redact import REDACTED
from anew.runner.program.parameters import MISSING
from anew.runner.query.tabular import flatten
from anew.runner.records import RunRecord
from anew.runner.relaunch.basis import digest_of, of_run, vouched_run
from anew.runner.server.failures import Refused
from anew.runner.server.jobs import anew_command
from anew.runner.server.parameters import main_of
from anew.runner.server.routes import Asked
from anew.runner.server.shown import Offset, Ref, RunAsked
from anew.runner.server.site import Site
from anew.runner.server.wire import cell
from anew.runner.store.typed import STORE_VARIABLE
from anew.runner.wording import exact, some

_MOST_OVERRIDES = 200
_TYPES = ((bool, "bool"), (int, "int"), (float, "float"), (str, "str"), (list, "list"), (dict, "dict"))
Override = Annotated[str, Meta(min_length=1, max_length=10_000)]


class RerunAsked(Asked):
    """
    Which run, with which overrides.

    Attributes:
        dry: Whether it is only said what would run.
        sweep: Whether overrides with several values (lr=0.1,0.2) are each run.
    """

    run: Ref
    overrides: Annotated[list[Override], Meta(max_length=_MOST_OVERRIDES)] = []  # noqa: RUF012  # msgspec gives each its own
    dry: bool = True
    sweep: bool = False


class JobAsked(Asked):
    """Which job, and from where on what it printed is told."""

    job: Annotated[int, Meta(ge=1, le=2**31)]
    offset: Offset = 0


def form(site: Site, asked: RunAsked) -> dict[str, Any]:
    """The parameters of a run's main, with types, choices and defaults, and what the run had."""
    record = site.store.get(asked.run)
    flat = flatten(record.config)
    known = {each.name: each for each in main_of(record, site.store).parameters}
    names = dict.fromkeys((*known, *flat))
    return {
        "experiment": record.experiment,
        "run": record.id,
        "allowed": site.allow_rerun and not site.read_only and _is_own(site, record),
        "parameters": [_parameter(name, known.get(name), flat) for name in names],
    }


def _parameter(name: str, known: Any, flat: dict[str, Any]) -> dict[str, Any]:
    value = flat.get(name)
    default = None if known is None or known.default is MISSING else known.default
    kind = (
        known.type if known is not None and known.type != "any" else _type_of(value if value is not None else default)
    )
    return {
        "name": name,
        "type": kind,
        "default": cell(default),
        "choices": list(map(cell, known.choices)) or None if known is not None else None,
        "value": cell(value),
        "text": exact(value) if value is not None else "null",
    }


def _type_of(value: Any) -> str:
    return next((name for kind, name in _TYPES if isinstance(value, kind)), "any")


def _is_own(site: Site, record: RunRecord) -> bool:
    """Whether this user's key vouches for all that would run."""
    vouched = None if record.id is None else vouched_run(site.folders.present(record.id))
    return vouched is not None and digest_of(vouched) == digest_of(of_run(record))


def rerun(site: Site, asked: RerunAsked) -> dict[str, Any]:
    """Run a run again, in a process of its own; with `dry` only say what that would be."""
    record = site.store.get(asked.run)
    if not _is_own(site, record):
        raise Refused(
            409,
            f"Run {record.id} was not recorded by you on this machine, and is not started from here.",
            f"To look at what it would run, and to trust it: anew rerun {record.id}",
        )
    for each in asked.overrides:
        _refuse_odd(each)
    _refuse_without_secrets(record, asked.overrides)
    if asked.sweep:
        return _sweep(site, record, asked)
    words = ["rerun", str(record.id), "--json", "--store", site.store.url, "--", *asked.overrides]
    return _started(site, words, asked.dry)


def _refuse_odd(override: str) -> None:
    """Refuse what is no override of the program's own: a flag such as --trust, or what names code to be run."""
    key = _key(override)
    is_one = override.startswith("~") or "=" in override
    if override.startswith("-") or override != override.lstrip() or not is_one or not _is_key(key):
        raise Refused(400, f"{override!r} is no override; one looks like key=value, +key=value or ~key.")
    if odd := next((letter for letter in override if unicodedata.category(letter) == "Cc"), None):
        raise Refused(400, f"{override!r} has {odd!r} in it, which no override has.")
    if REDACTED in override:
        raise Refused(400, f"The value of {key!r} is {REDACTED}, which stands for a secret. Give the secret itself.")
    if key.partition(".")[0].partition("/")[0] in ("anew", "hydra") or "_target_" in override:
        raise Refused(400, f"{override!r} is not for the program: from here its own parameters are set.")


def _is_key(key: str) -> bool:
    """Whether it could be a key, as Hydra writes them: config.key, group@package, group@a:b."""
    return re.fullmatch(r"[^\s=,(){}\[\]'\"]+", key) is not None


def _refuse_without_secrets(record: RunRecord, overrides: Sequence[str]) -> None:
    """Refuse to start what would lack a secret, or have the word for one as its value."""
    given = {_key(each) for each in overrides}
    hidden = [each for each in (*record.overrides, *record.provenance.settings) if REDACTED in each]
    if lost := sorted({_key(each) for each in hidden} - given):
        raise Refused(
            409,
            f"Overrides of run {record.id} held secrets, which are not on record: {some(lost)}. Give them again.",
            f"Such as: {lost[0]}=VALUE",
        )


def _sweep(site: Site, record: RunRecord, asked: RerunAsked) -> dict[str, Any]:
    """Start the recorded command as a sweep: today's program, with the run's overrides and those that are asked for."""
    command = record.command
    if command.entry == "script":
        program = [command.target]
    elif command.entry == "module":
        program = ["-m", command.target]
    else:
        raise Refused(409, f"A run that came in by {command.entry!r} is no command line to make a sweep of.")
    asked_for = {_key(each) for each in asked.overrides}
    kept = [each for each in record.overrides if _key(each) not in asked_for]
    words = [command.interpreter or "python", *command.options, *program, "-m", *kept, *asked.overrides]
    told = {"command": words, "text": f"cd {shlex.quote(command.cwd)} && {shlex.join(words)}"}
    if asked.dry:
        return told
    job = site.jobs.start(words, words, folder=command.cwd, variables={STORE_VARIABLE: site.store.url})
    return {**told, "job": job.number}


def _key(override: str) -> str:
    return override.lstrip("+~").partition("=")[0]


def _started(site: Site, words: list[str], dry: bool) -> dict[str, Any]:
    shown = ["anew", *(word for word in words if word != "--json")]
    if shown[-1] == "--":
        shown.pop()
    told = {"command": shown, "text": shlex.join(shown)}
    if dry:
        return told
    job = site.jobs.start(shown, anew_command(*words))
    return {**told, "job": job.number}


def job(site: Site, asked: JobAsked) -> dict[str, Any]:
    """How a process stands that was started here: what it printed from a place on, and what came of it."""
    found = site.jobs.get(asked.job)
    code = found.exit
    text, end = found.output(asked.offset)
    answer = found.answer() if code is not None else {}
    return {
        "job": asked.job,
        "command": list(found.words),
        "state": "running" if code is None else "ended",
        "exit": code,
        "run": answer.get("run"),
        "verdict": answer.get("verdict"),
        "output": text,
        "next": end,
    }
