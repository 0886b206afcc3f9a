"""What a shell is offered in place of references to runs and names of metrics; nothing when there is no store."""

from __future__ import annotations

import io
from collections.abc import Sequence
from contextlib import redirect_stderr, suppress

import click
from click.shell_completion import CompletionItem

from anew.runner.cli.context import Workbench
from anew.runner.errors import AnewError
from anew.runner.records import RunRecord
from anew.runner.wording import ago, printable

_OFFERED = 50


def runs(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Offer the newest runs by number, each with what it is."""
    # nothing is said in the middle of a line that is being typed
    with suppress(AnewError), redirect_stderr(io.StringIO()):
        return _items(_store(context).store.find(limit=_OFFERED), incomplete, last=True)
    return []


def deleted_runs(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Offer the runs in the trash."""
    from anew.runner.store.curate import trashed

    with suppress(AnewError):
        return _items(trashed(_store(context).folders)[:_OFFERED], incomplete, last=False)
    return []


def metrics(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Offer the metrics of the run that was named before, or else runs."""
    named = context.params.get("words") or ()
    return _metrics(context, named[0], incomplete) if named else runs(context, parameter, incomplete)


def runs_or_metrics(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Offer metrics of the first run that was named, and runs: `plot` takes runs until its last word."""
    named = [*(context.params.get("refs") or ()), *filter(None, [context.params.get("name")])]
    found = _metrics(context, named[0], incomplete) if named else []
    return found + runs(context, parameter, incomplete)


def _store(context: click.Context) -> Workbench:
    return context.ensure_object(Workbench)


def _items(records: Sequence[RunRecord], incomplete: str, *, last: bool) -> list[CompletionItem]:
    items = [CompletionItem("last", help="the newest run")] if last and records else []
    for record in records:
        what = f"{printable(record.experiment)} {record.state} {ago(record.started_at)}"
        items.append(CompletionItem(str(record.id), help=what))
    return [item for item in items if item.value.startswith(incomplete)]


def _metrics(context: click.Context, ref: str, incomplete: str) -> list[CompletionItem]:
    with suppress(AnewError):
        names = _store(context).store.get(ref).metrics
        return [CompletionItem(printable(name)) for name in names if name.startswith(incomplete)]
    return []
