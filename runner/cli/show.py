"""`anew show`."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from itertools import islice, takewhile

import click

from anew.runner.attached.media import HISTOGRAM
from anew.runner.cli import offers
from anew.runner.cli.chosen import say_refused
from anew.runner.cli.context import Workbench, command, json_option, print_json
from anew.runner.cli.render import VERDICT_STYLES, heading, pairs, remark_damage, say, status_style, styled, table
from anew.runner.contracts import RunStore
from anew.runner.dispatch.observer_log import printers
from anew.runner.errors import AnewError
from anew.runner.query.branches import branches
from anew.runner.query.columns import UNINTERESTING
from anew.runner.query.tabular import flatten
from anew.runner.records import ContentRef, ObserverState, RunRecord, Status
from anew.runner.store.choosing import choose
from anew.runner.store.folder import FolderStore
from anew.runner.store.paths import TRANSFER
from anew.runner.store.run_folders import RunFolders
from anew.runner.store.typed import as_typed
from anew.runner.sweep.told import nested, run_to_json
from anew.runner.sweep.work import work_key
from anew.runner.why.kept import begun
from anew.runner.wording import ago, duration, exact, short, size, some, typed

_MOST_METRICS = 40
_MOST_CHILDREN = 50


@command("show")
@click.argument("refs", metavar="REF...", nargs=-1, required=True, shell_complete=offers.runs)
@click.option("--full", is_flag=True, help="All files, packages and variables, not only how many there are.")
@json_option
def show_command(workbench: Workbench, refs: tuple[str, ...], full: bool, as_json: bool) -> int:
    """Show everything known of runs; with --json one as an object, several as a list."""
    store = workbench.store
    chosen = choose(store, refs)
    records = [store.get(number) for number in chosen.numbers]
    remark_damage(records, store.url)
    if as_json:
        shown = [run_to_json(record, store) for record in records]
        if shown or not chosen.is_one:
            print_json(shown[0] if chosen.is_one else shown)
        return say_refused(chosen)
    for count, record in enumerate(records):
        if count:
            say()
        _print(record, store, full)
    return say_refused(chosen)


def _print(record: RunRecord, store: RunStore, full: bool) -> None:
    _head(record, store)
    # what main's end says by itself is not said twice
    told = record.error.message if record.error is not None else ""
    for text in (each for each in record.warnings if each.rstrip(".") not in told):
        say(styled(f"  warning: {text}", "yellow"))
    _comments(record)
    _error(record)
    _section("Configuration", ((key, exact(value)) for key, value in flatten(record.config).items()))
    _metrics(record, full, store.url)
    _section("Pictures and more", _media(record, full, store.url))
    _section("Info", ((key, exact(value)) for key, value in flatten(record.info).items()))
    _files("Artifacts", record.artifacts if full else _besides_series(record))
    _files("Inputs", record.inputs)
    _source(record, full)
    _environment(record, full)
    _hardware(record)
    _section("Observers", _observers(record, store))
    _runs_in_it(record, store)
    _next(record, store)


def _head(record: RunRecord, store: RunStore) -> None:
    say(f"Run {styled(str(record.id), 'bold')} of {styled(record.experiment, 'bold')}")
    ended = f", exit code {record.exit_code}" if record.exit_code else ""
    stopped = f" by {record.signal}" if record.signal else ""
    pairs(
        [
            ("status", styled(record.state, status_style(record.state)) + stopped + ended + _unheard(record)),
            ("started", f"{record.started_at.astimezone():%Y-%m-%d %H:%M:%S} ({ago(record.started_at)})"),
            ("took", duration(record.duration_s)),
            ("last sign of life", ago(record.heartbeat_at) if _unfinished(record) and record.heartbeat_at else ""),
            ("result", exact(record.result) if record.result is not None else ""),
            ("command", typed(record.command)),
            ("by", record.command.user),
            ("in", record.command.cwd),
            ("overrides", " ".join(record.overrides)),
            ("choices", " ".join(f"{key}={value}" for key, value in record.choices.items())),
            ("seed", f"{record.seed} ({record.seeds.origin})" if record.seeds else str(record.seed)),
            ("tags", short(record.tags)),
            ("note", "\n".join((record.note or "").splitlines())),
            ("sweep", f"{record.sweep.id or record.sweep.uid}, job {record.sweep.index}" if record.sweep else ""),
            ("started in", _parent(record)),
            ("re-run of", _rerun_of(record)),
            ("trial of", _trial_of(record, store)),
            ("uid", record.uid),
            (f"{record.foreign.program} _id" if record.foreign else "", record.foreign.id if record.foreign else ""),
            ("key", work_key(record)),
        ]
    )


def _comments(record: RunRecord) -> None:
    _section(
        "Comments",
        ((f"{each.by}, {each.at.astimezone():%Y-%m-%d %H:%M}", each.text.rstrip()) for each in record.comments),
    )


def _parent(record: RunRecord) -> str:
    return "" if record.parent is None else f"run {record.parent.id or record.parent.uid}"


def _runs_in_it(record: RunRecord, store: RunStore) -> None:
    """Show what was started in a run, as a tree."""
    tree = branches([replace(record, parent=None), *(each for each in nested(store) if each.uid != record.uid)])
    below = list(takewhile(lambda branch: branch[0], tree[1:]))
    if not below:
        return
    heading("Runs in it")
    rows = [
        [f"  {branch}{each.id}", each.experiment, each.state, duration(each.duration_s), short(each.result)]
        for branch, each in below[:_MOST_CHILDREN]
    ]
    table(["  run", "experiment", "status", "took", "result"], rows)
    if len(below) > len(rows):
        listed = as_typed(f"anew list 'parent == {record.id}'", store.url)
        say(styled(f"  and {len(below) - len(rows)} more: {listed}", "dim"))


def _trial_of(record: RunRecord, store: RunStore) -> str:
    """Return of which search a run is a trial, and what it took over of the bad run, as far as that is here."""
    if record.why is None:
        return ""
    number = record.why.id
    try:
        start = begun(store, number) if isinstance(store, RunFolders) else None
    except AnewError:
        start = None
    if start is None or start.uid != record.why.uid:
        return f"search {number} of another store"
    names = [start.deltas[each - 1][1] for each in record.why.deltas if each <= len(start.deltas)]
    taken = some(names) if names else "nothing"
    return f"search {number}, with {taken} of the bad run: anew why --show {number}"


def _rerun_of(record: RunRecord) -> str:
    if record.rerun_of is None:
        return ""
    number = str(record.rerun_of.id or record.rerun_of.uid)
    if record.verdict is None or record.why is not None:
        return number
    changed = f" ({' '.join(record.verdict.overrides)})" if record.verdict.overrides else ""
    return f"{number}{changed}: {styled(record.verdict.verdict, VERDICT_STYLES.get(record.verdict.verdict, 'bold'))}"


def _unfinished(record: RunRecord) -> bool:
    return record.status in (Status.RUNNING, Status.LOST, Status.UNKNOWN)


def _unheard(record: RunRecord) -> str:
    """Return what is meant by a status that is not known."""
    if record.status is not Status.UNKNOWN:
        return ""
    host = f" on {record.process.hostname}" if record.process else ""
    return f": not heard of since, it goes on or has ended{host}, where `anew sync` delivers what is pending"


def _section(title: str, items: Iterable[tuple[str, str]]) -> None:
    present = list(items)
    if present:
        heading(title)
        pairs([(name, text) for name, text in present])


def _observers(record: RunRecord, store: RunStore) -> Iterator[tuple[str, str]]:
    logs: list[str] = []
    if record.observers and record.id is not None and isinstance(store, RunFolders):
        with suppress(OSError):
            logs = printers(store.present(record.id))
    for name, state in record.observers.items():
        told = [state.state]
        if state.behind:
            told.append(f"{state.behind} events {_of_pending(name, state, record, store.url)}")
        if state.aside and isinstance(store, RunFolders) and record.id is not None:
            told.append(f"{state.aside} set aside, listed in {store.present(record.id).aside(name)}")
        if name in logs:
            told.append(
                f"what it printed: {as_typed(f'anew logs {record.id} --observer {shlex.quote(name)}', store.url)}"
            )
        yield name, "; ".join(told)


def _of_pending(name: str, state: ObserverState, record: RunRecord, store: str) -> str:
    """Return what there is to say about events that an observer has not got."""
    if state.recorded:
        return f"are pending, to deliver them: {as_typed(f'anew sync {record.id}', store)}"
    if name.startswith(TRANSFER):
        return "are pending, which the same `anew sync SOURCE TARGET` copies"
    if record.status is Status.RUNNING:
        return "are pending"
    return "were not delivered, and cannot be later: it was given in Python; they are in the record"


def _error(record: RunRecord) -> None:
    if record.error is None:
        return
    heading("Error")
    for line in record.error.traceback.rstrip().splitlines():
        say(f"  {line}")


def _metrics(record: RunRecord, full: bool, store: str) -> None:
    if not record.metrics:
        return
    heading("Metrics")
    ordered = sorted(record.metrics.items(), key=lambda item: item[0].startswith(UNINTERESTING))
    shown = ordered if full else ordered[:_MOST_METRICS]
    table(
        ["  name", "last", "min", "max", "points", "last step"],
        [[f"  {name}", short(m.last), short(m.min), short(m.max), str(m.count), str(m.step)] for name, m in shown],
    )
    if len(shown) < len(ordered):
        say(
            styled(
                f"  and {len(ordered) - len(shown)} more; all of them: {as_typed(f'anew metrics {record.id}', store)}",
                "dim",
            )
        )


def _media(record: RunRecord, full: bool, store: str) -> Iterator[tuple[str, str]]:
    shown = len(record.media) if full else _MOST_METRICS
    for name, each in islice(record.media.items(), shown):
        count = f"{each.count} {each.kind}{'' if each.count == 1 else 's'}"
        at = "" if each.step is None else f", the last at step {each.step}"
        command = as_typed(f"anew plot {record.id} {shlex.quote(name)}", store)
        yield name, f"{count}{at}: {command if each.kind == HISTOGRAM else each.path}"
    if shown < len(record.media):
        yield "...", f"and {len(record.media) - shown} more; to list them: --full"


def _besides_series(record: RunRecord) -> tuple[ContentRef, ...]:
    """Return the artifacts without those of series of pictures and the like but the last of each."""
    series = tuple(f"{name}/" for name, each in record.media.items() if each.path.startswith(f"{name}/"))
    last = {each.path for each in record.media.values()}
    return tuple(file for file in record.artifacts if file.path in last or not file.path.startswith(series or "\0"))


def _files(title: str, files: tuple[ContentRef, ...]) -> None:
    if files:
        heading(title)
        pairs([(file.path, f"{size(file.size):>10}  {file.sha256[:12]}{_remark(file)}") for file in files])


def _remark(file: ContentRef) -> str:
    return "" if file.kept else "  (its content was not kept)"


def _source(record: RunRecord, full: bool) -> None:
    source = record.source
    heading("Source")
    git = source.git
    hint = "" if full or not source.files else " (to list them: --full)"
    unkept = ", known by their digests alone" if source.files and not any(each.kept for each in source.files) else ""
    state = f"{git.commit or 'no commit yet'} on {git.branch or 'no branch'}" if git else ""
    pairs(
        [
            ("root", source.root or ""),
            ("git", f"{state}{', with changes' if git and git.dirty else ''}"),
            ("remote", git.remote or "" if git else ""),
            ("files", f"{len(source.files)}, {size(sum(file.size for file in source.files))}{unkept}{hint}"),
        ]
    )
    if full:
        _files("Source files", source.files)


def _environment(record: RunRecord, full: bool) -> None:
    environment = record.environment
    if environment is None:
        return
    heading("Environment")
    threads = " ".join(f"{name}={value}" for name, value in environment.threads.items() if value is not None)
    pairs(
        [
            ("python", f"{environment.implementation} {environment.python} ({environment.executable})"),
            ("packages", f"{len(environment.packages)}{'' if full else ' (to list them: --full)'}"),
            ("not from an index", ", ".join(f"{name}: {url}" for name, url in environment.origins.items())),
            ("threads", threads),
            ("libraries", ", ".join(f"{name} {version}" for name, version in environment.libraries.items())),
            ("anew", environment.anew),
        ]
    )
    if full:
        _section("Packages", ((name, version) for name, version in environment.packages.items()))
        _section("Variables", ((name, value) for name, value in environment.variables.items()))


def _hardware(record: RunRecord) -> None:
    hardware = record.hardware
    if hardware is None:
        return
    allowed = f", {hardware.cpu_allowed:g} allowed" if hardware.cpu_allowed != hardware.cpu_cores else ""
    gpus = Counter(f"{gpu.name}, {size(gpu.memory_bytes)}, driver {gpu.driver}" for gpu in hardware.gpus)
    heading("Machine")
    pairs(
        [
            ("host", hardware.hostname),
            ("system", hardware.os),
            ("cpu", f"{hardware.cpu_model}, {hardware.cpu_cores} cores{allowed}"),
            ("memory", size(hardware.memory_bytes)),
            ("gpu", "\n".join(f"{count} x {name}" for name, count in gpus.items())),
            ("container", hardware.container or ""),
            ("scheduler", " ".join(f"{name}={value}" for name, value in hardware.scheduler.items())),
        ]
    )


def _next(record: RunRecord, store: RunStore) -> None:
    say()
    folder = f"Its folder: {store.layout.run(record.id or 0).folder}. " if isinstance(store, RunFolders) else ""
    if isinstance(store, FolderStore) and (pack := store.packs.holding(record.id or 0)) is not None:
        folder = f"It is in {pack.path}. "
    hints = [as_typed(f"anew logs {record.id}", store.url)]
    if record.metrics:
        name = next((name for name in record.metrics if not name.startswith(UNINTERESTING)), next(iter(record.metrics)))
        hints.append(as_typed(f"anew plot {record.id} {shlex.quote(name)}", store.url))
    say(styled(f"{folder}Next: {'; '.join(hints)}", "dim"))
