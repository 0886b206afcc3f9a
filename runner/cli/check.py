"""`anew check`."""

from __future__ import annotations

import importlib.metadata
import platform
import tempfile
from pathlib import Path

import click

import anew
from anew.runner import errors
from anew.runner.cli.context import Workbench, command, json_option, print_json
from anew.runner.cli.render import heading, pairs, say, styled
from anew.runner.errors import StoreError
from anew.runner.records import SourceFacts
from anew.runner.store.folder import FolderStore
from anew.runner.store.integrity import Finding, check_store
from anew.runner.store.locate import default_store_path
from anew.runner.tested import TESTED, is_tested, tested_with
from anew.runner.wording import printable, size

_EXTRAS = {
    "gpu": "nvidia-ml-py",
    "mongo": "pymongo",
    "pandas": "pandas",
    "parquet": "pyarrow",
    "plot": "matplotlib",
    "sql": "sqlalchemy",
    "tensorboard": "tensorboard",
    "uv": "uv",
}
_NAMED = 8
_STYLES = {"note": "dim", "warning": "yellow", "error": "red"}


@command("check")
@click.argument("settings", metavar="[SETTING]...", nargs=-1)
@click.option("--config-dir", metavar="DIR", help="A configuration folder, for the observers of a project.")
@click.option("--source", is_flag=True, help="Show which source files a run from here would keep.")
@click.option("--deep", is_flag=True, help="Read every piece of content and compare its digest.")
@json_option
def check_command(
    workbench: Workbench, settings: tuple[str, ...], config_dir: str | None, source: bool, deep: bool, as_json: bool
) -> int:
    r"""
    Check the installation, the store and the observers; exits with 2 when something is lost, damaged or out of reach.

    Observers are those of the settings given, as on the command line of an experiment, or else of the newest run:

    \b
      anew check
      anew check 'anew/observers=[mongo]' anew.observers.mongo.url=mongodb://db/anew
      anew check --config-dir conf 'anew/observers=[mine]'
    """
    if source:
        return _check_source(workbench, as_json)
    store, missing = _store(workbench)
    findings = list(check_store(store, deep=deep)) if store else []
    tried = _tried(store, settings, config_dir)
    lost = any(finding.severity == "error" for finding in findings) or any(problem for _, _, problem in tried)
    if as_json:
        items = [{name: getattr(item, name) for name in ("severity", "what", "where", "mend")} for item in findings]
        observers = [{"name": name, "where": where, "error": problem or None} for name, where, problem in tried]
        rows = dict(_installation())
        value = {"store": store.url if store else None, "installation": rows, "tested": _are_tested(rows)}
        print_json({**value, "findings": items, "observers": observers})
    else:
        heading("Installation")
        pairs(_judged(_installation()))
        heading("Store")
        _print_findings(store, missing, findings, deep)
        if tried:
            heading("Observers")
            pairs([(name, styled(printable(problem), "red") if problem else where) for name, where, problem in tried])
    return errors.EXIT_USAGE if lost else errors.EXIT_OK


def _store(workbench: Workbench) -> tuple[FolderStore | None, str]:
    """Return the store, or why there is none; one that was named must be there."""
    try:
        return workbench.store, ""
    except StoreError as error:
        if workbench.url is not None:
            raise
        return None, str(error)


def _tried(store: FolderStore | None, settings: tuple[str, ...], config_dir: str | None) -> list[tuple[str, str, str]]:
    """Try observers; return name, where it delivers to, and what is wrong."""
    from functools import partial

    from anew.runner.dispatch.trial import configured, of_newest_run, tried

    if settings or config_dir is not None:
        return [
            (each.name, *tried(each.name, partial(dict, each.spec))) for each in configured(list(settings), config_dir)
        ]
    return [(name, *tried(name, resolve)) for name, resolve in of_newest_run(store)] if store is not None else []


def _installation() -> list[tuple[str, str]]:
    names = ("hydra-core", "omegaconf", "numpy", "psutil", "rich", "click", "plotext")
    rows = [("anew", anew.__version__), ("python", platform.python_version()), ("system", platform.platform())]
    rows += [(name, _version(name) or f"missing; to have it: pip install {name}") for name in names]
    for extra, distribution in _EXTRAS.items():
        version = _version(distribution)
        absent = f"not installed; to have it: pip install 'anew[{extra}]'"
        rows.append((f"anew[{extra}]", f"{distribution} {version}" if version else absent))
    return rows


def _are_tested(rows: dict[str, str]) -> dict[str, bool]:
    return {name: is_tested(name, rows[name]) for name in TESTED}


def _judged(rows: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Say of the versions that matter most whether they are among those tested."""
    tested = _are_tested(dict(rows))
    untested = {name: f"not among those tested, {tested_with(name)}" for name, known in tested.items() if not known}
    judgement = {name: styled(untested[name], "yellow") if name in untested else "tested" for name in tested}
    return [(name, f"{value} ({judgement[name]})" if name in judgement else value) for name, value in rows]


def _version(distribution: str) -> str | None:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


def _print_findings(store: FolderStore | None, missing: str, findings: list[Finding], deep: bool) -> None:
    if store is None:
        say(f"  {missing}")
        return
    pairs([("folder", store.url), ("runs", str(len(store.numbers())))])
    alike: dict[tuple[str, str], list[Finding]] = {}
    for finding in findings:
        alike.setdefault((finding.severity, finding.what), []).append(finding)
    for (severity, what), group in alike.items():
        more = f" and {len(group) - _NAMED} more" if len(group) > _NAMED else ""
        where = f"{', '.join(finding.where for finding in group[:_NAMED])}{more}"
        say(styled(f"  {severity}: {printable(where)}: {printable(what)}", _STYLES[severity]))
        say(f"    {printable(group[0].mend)}")
    if not findings:
        looked = "every byte of content" if deep else "names and lengths of content; for every byte: --deep"
        say(styled("  All is well", "green") + f" (looked at all records and journals, and {looked}).")


class _Hashing:
    """A place for content that keeps nothing and says that it has everything."""

    def put_bytes(self, data: bytes, *, sync: bool = True) -> str:
        import hashlib

        return hashlib.sha256(data).hexdigest()

    def touch(self, sha256: str) -> bool:
        return True


def _check_source(workbench: Workbench, as_json: bool) -> int:
    from anew.runner.capture.source import SourceScan
    from anew.runner.project import project_root
    from anew.runner.settings import SourceSettings

    here = Path.cwd()
    with tempfile.TemporaryDirectory() as nothing_cached:
        scan = SourceScan(project_root(here), Path(nothing_cached, "digests"))
        facts = scan.finish(_Hashing(), SourceSettings(), exclude=(_store_folder(workbench, here),))
    if as_json:
        from anew.runner.serial import to_json

        print_json(to_json(facts))
    else:
        _print_source(facts)
    return errors.EXIT_OK


def _store_folder(workbench: Workbench, here: Path) -> Path:
    """Return where runs from here go, whether there is a store yet or not."""
    try:
        return workbench.store.root
    except StoreError:
        return default_store_path(here)


def _print_source(facts: SourceFacts) -> None:
    how = "listed by git" if facts.method == "git" else "found in the folder; imported modules come to it in a run"
    say(f"A run from here keeps {len(facts.files)} files of {facts.root}, {how}:")
    pairs([(printable(file.path), f"{size(file.size):>10}") for file in facts.files])
    for note in facts.notes:
        say(styled(printable(note), "yellow"))
