"""`anew check`."""

from __future__ import annotations

import os
import platform
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import click

import anew
from anew.runner import errors
from anew.runner.capture.digests import Unkept
from anew.runner.capture.source import SourceScan
from anew.runner.cli.context import Workbench, command, json_option, print_json
from anew.runner.cli.render import heading, pairs, say, styled
from anew.runner.dispatch.pending import behind, pending
from anew.runner.dispatch.possible import extras, version
from anew.runner.dispatch.specs import read_specs
from anew.runner.dispatch.spool import spool_folder
from anew.runner.errors import StoreError, StoreFormatError
from anew.runner.format.serial import to_json
from anew.runner.places import project_root
from anew.runner.records import Severity, SourceFacts
from anew.runner.settings import SourceSettings
from anew.runner.store.folder import FolderStore
from anew.runner.store.integrity import Finding, check_store
from anew.runner.store.locate import default_store_path
from anew.runner.store.position import read_cursor
from anew.runner.store.run_folders import RunFolders
from anew.runner.wording import printable, size, some

if TYPE_CHECKING:
    from anew.runner.dispatch.trial import Tried
from anew.runner.config.private.versions import PYTHONS, is_tested, supported, unfit, unmet, versions

_FOR_TESTS = ("dev", "test", "test-integrations")
_NAMED = 8
_MEND_FORMAT = (
    "when it was damaged, write the number 1 into it, or 2 where there are packs, 4 where a journal is a .jsonl.gz; "
    "a newer format: pip install --upgrade anew"
)
_STYLES = {Severity.NOTE: "dim", Severity.WARNING: "yellow", Severity.ERROR: "red"}


@command("check")
@click.argument("settings", metavar="[SETTING]...", nargs=-1)
@click.option("--config-dir", metavar="DIR", help="A configuration folder, for the observers of a project.")
@click.option("--source", is_flag=True, help="Show which source files a run from here would keep.")
@click.option("--deep", is_flag=True, help="Read every byte that anew wrote, deleted runs and content included.")
@click.option("--trust", is_flag=True, help="Try observers also where somebody else's record names them.")
@json_option
def check_command(
    workbench: Workbench,
    settings: tuple[str, ...],
    config_dir: str | None,
    source: bool,
    deep: bool,
    trust: bool,
    as_json: bool,
) -> int:
    r"""
    Check the installation, the store and the observers; exits with 2 when something is lost, damaged or out of reach.

    Observers are those of the settings given, as on the command line of an experiment, or else of the newest run, if
    that is yours:

    \b
      anew check
      anew check 'anew/observers=[mongo]' anew.observers.mongo.url=mongodb://db/anew
      anew check --config-dir conf 'anew/observers=[mine]'
    """
    if source:
        return _check_source(workbench, as_json)
    store, missing, refused = _store(workbench)
    findings = [*refused, *(check_store(store, deep=deep) if store else ()), *(_check_spool() if deep else ())]
    findings += [each for folders in (store, _spool()) if folders is not None for each in _waiting(folders)]
    tried = _tried(store, settings, config_dir, trust)
    why_not = _unfit()
    lost = any(finding.severity is Severity.ERROR for finding in findings) or any(each.problem for each in tried)
    if as_json:
        items = [{name: getattr(item, name) for name in ("severity", "what", "where", "mend")} for item in findings]
        observers = [
            {
                "name": each.name,
                "where": each.where,
                "error": each.problem or None,
                "left_alone": each.left_alone or None,
            }
            for each in tried
        ]
        rows = dict(_installation())
        value = {"store": store.url if store else None, "installation": rows, "tested": _are_tested(rows)}
        value["unfit"] = why_not
        print_json({**value, "findings": items, "observers": observers})
    else:
        heading("Installation")
        pairs(_judged(_installation()))
        if why_not:
            say(f"  {styled(printable(why_not), 'red')}")
        elif lack := unmet():
            say(f"  {styled(printable(lack), 'yellow')}")
        heading("Store")
        _print_findings(store, missing, findings, deep)
        if tried:
            heading("Observers")
            pairs([(printable(each.name), _came(each)) for each in tried])
    return errors.EXIT_USAGE if lost or why_not else errors.EXIT_OK


def _store(workbench: Workbench) -> tuple[RunFolders | None, str, list[Finding]]:
    """Return the store, or why there is none, and what that is a sign of; one that was named must be there."""
    try:
        return workbench.folders, "", []
    except StoreFormatError as error:
        # it is there, and this is the command that says so
        return None, "", [Finding(Severity.ERROR, str(error), "FORMAT", _MEND_FORMAT)]
    except StoreError as error:
        if workbench.url is not None:
            raise
        return None, str(error), []


def _waiting(store: RunFolders) -> Iterator[Finding]:
    """Yield what observers have not got of runs that have ended, and what they could not take."""
    for number in pending(store):
        layout = store.layout.run(number)
        for name in read_specs(layout) if layout.outcome.exists() else ():
            if count := behind(layout, name):
                what = f"{count} events wait for the observer {name!r}"
                yield Finding(Severity.WARNING, what, f"run {number}", f"anew sync; to give them up: --drop {name}")
    for number in store.numbers():
        layout = store.layout.run(number)
        for name in read_specs(layout) if layout.observers.exists() else ():
            if count := read_cursor(layout.cursor(name)).aside:
                what = f"{count} events were none that the observer {name!r} could take; listed in {layout.aside(name)}"
                yield Finding(Severity.NOTE, what, f"run {number}", f"anew logs {number} --observer {name}")


def _spool() -> FolderStore | None:
    folder = spool_folder()
    try:
        return FolderStore.open(folder) if os.path.lexists(folder / "FORMAT") else None
    except StoreError:
        return None


def _check_spool() -> list[Finding]:
    """Look at runs that no folder keeps and that wait in the user's cache for their observers."""
    folder = spool_folder()
    if not os.path.lexists(folder / "FORMAT"):
        return []
    try:
        found = list(check_store(FolderStore.open(folder), deep=True))
    except StoreError as error:
        return [Finding(Severity.ERROR, str(error), "the spool", f"rm -r {folder}, if no run waits in it")]
    return [replace(each, where=f"{each.where} of the spool {folder}") for each in found]


def _tried(store: RunFolders | None, settings: tuple[str, ...], config_dir: str | None, trust: bool) -> list[Tried]:
    """Try observers."""
    # not at the top: it loads Hydra, which a check without observers does without
    from anew.runner.dispatch.trial import configured, of_newest_run, tried, typed

    if settings or config_dir is not None:
        chosen = configured(list(settings), config_dir)
        return [tried(each.name, partial(typed, each.spec, store)) for each in chosen]
    return [tried(name, resolve) for name, resolve in of_newest_run(store, trusted=trust)] if store is not None else []


def _came(tried: Tried) -> str:
    if tried.problem:
        return styled(printable(tried.problem), "red")
    return styled(printable(tried.left_alone), "yellow") if tried.left_alone else printable(_answer(tried))


def _answer(tried: Tried) -> str:
    return f"it answers: {tried.where}" if tried.answers else tried.where


def _installation() -> list[tuple[str, str]]:
    names = ("hydra-core", "omegaconf", "numpy", "psutil", "rich", "click", "plotext")
    rows = [("anew", anew.__version__), ("python", platform.python_version()), ("system", platform.platform())]
    rows += [(name, version(name) or f"missing; to have it: pip install {name}") for name in names]
    for extra, distributions in sorted(extras().items()):
        if extra in _FOR_TESTS:
            continue
        found = {name: version(name) for name in distributions}
        lacking = [name for name, version in found.items() if version is None]
        absent = "not installed" if len(lacking) == len(found) else f"without {some(lacking)}"
        have = ", ".join(f"{name} {version}" for name, version in found.items())
        rows.append((f"anew[{extra}]", f"{absent}; to have it: pip install 'anew[{extra}]'" if lacking else have))
    return rows


def _unfit() -> str | None:
    """Return why what is installed cannot compose a configuration: what does so is imported, to find out."""
    if why := unfit():
        return why
    try:
        with supported():
            import_module("anew.runner.config.app")
    except errors.UnsupportedVersionError as error:
        return str(error)
    return None


def _are_tested(rows: dict[str, str]) -> dict[str, bool]:
    together = versions().are_tested
    return {"python": is_tested(rows["python"]), "hydra-core": together, "omegaconf": together}


def _judged(rows: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Say of the versions that matter most whether they are among those tested."""
    pairs_tested = f"not tested together; tested is {versions().tested}"
    others = {"python": f"not among those tested: {', '.join(PYTHONS)}"}
    judgement = {
        name: "tested" if known else styled(others.get(name, pairs_tested), "yellow")
        for name, known in _are_tested(dict(rows)).items()
    }
    return [(name, f"{value} ({judgement[name]})" if name in judgement else value) for name, value in rows]


def _print_findings(store: RunFolders | None, missing: str, findings: list[Finding], deep: bool) -> None:
    if store is not None:
        begun = sum(store.has(number) for number in store.numbers())
        pairs([("folder", store.url), ("runs", str(begun))])
    elif missing:
        say(f"  {missing}")
    alike: dict[tuple[Severity, str], list[Finding]] = {}
    for finding in findings:
        alike.setdefault((finding.severity, finding.what), []).append(finding)
    for (severity, what), group in alike.items():
        where = some([finding.where for finding in group], _NAMED)
        say(styled(f"  {severity.value}: {printable(where)}: {printable(what)}", _STYLES[severity]))
        say(f"    {printable(group[0].mend)}")
    if not findings and store is not None:
        looked = "every byte that anew wrote" if deep else "names and lengths of content; for every byte: --deep"
        say(styled("  All is well", "green") + f" (looked at all records and journals, and {looked}).")


def _check_source(workbench: Workbench, as_json: bool) -> int:
    here = Path.cwd()
    with tempfile.TemporaryDirectory() as nothing_cached:
        scan = SourceScan(project_root(here), Path(nothing_cached, "digests"))
        facts = scan.finish(Unkept(), SourceSettings(), exclude=(_store_folder(workbench, here),))
    if as_json:
        print_json(to_json(facts))
    else:
        _print_source(facts)
    return errors.EXIT_OK


def _store_folder(workbench: Workbench, here: Path) -> Path:
    """Return where runs from here go, whether there is a store yet or not."""
    try:
        return workbench.folders.layout.root
    except StoreError:
        return default_store_path(here)


def _print_source(facts: SourceFacts) -> None:
    how = "listed by git" if facts.method == "git" else "found in the folder; imported modules come to it in a run"
    say(f"A run from here keeps {len(facts.files)} files of {facts.root}, {how}:")
    pairs([(printable(file.path), f"{size(file.size):>10}") for file in facts.files])
    for note in facts.notes:
        say(styled(printable(note), "yellow"))
