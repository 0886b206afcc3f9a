"""`anew list`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

import click

from anew.runner.cli.context import (
    WholeNumber,
    Workbench,
    command,
    form_option,
    how_of,
    json_option,
    names_of,
    print_json,
    saved_filter,
)
from anew.runner.cli.render import (
    VERDICT_STYLES,
    csv_rows,
    markdown,
    plain_cell,
    remark,
    remark_damage,
    say,
    status_style,
    styled,
    table,
)
from anew.runner.contracts import RunStore
from anew.runner.format.serial import record_to_json
from anew.runner.lazy.modules import later
from anew.runner.query.branches import branches
from anew.runner.query.columns import cells_of, chosen, heading_of
from anew.runner.query.doubts import doubtful_names, doubtful_values
from anew.runner.query.filters import Filter, parse_filter, value_of
from anew.runner.records import RunRecord
from anew.runner.store.choosing import tell_left_out
from anew.runner.store.more import Beside
from anew.runner.store.saved import View
from anew.runner.wording import ago, duration

if TYPE_CHECKING:
    from anew.runner.cli import list_groups, views
else:
    # for those who ask for groups, or by a name
    list_groups = later("anew.runner.cli.list_groups")
    views = later("anew.runner.cli.views")

_NEWEST = 50
_TELLING = 1_000


@command("list")
@click.argument("where", metavar="[FILTER]", nargs=-1)
@click.option(
    "--sort", metavar="KEY", help="Sort by a name of the filter language; --sort=-loss for the largest first."
)
@click.option("--columns", metavar="A,B", help="These columns in place of the ones chosen: loss,config.lr,host")
@click.option(
    "--limit", metavar="N", type=WholeNumber(min=0, max=2**31), help=f"At most N runs; {_NEWEST} unless said."
)
@click.option("--all", "everything", is_flag=True, help="All runs.")
@click.option("--top", is_flag=True, help="Without the runs that were started in another one.")
@click.option("--by", metavar="A,B", help="A row for each group of runs that are alike in these: mean, std, min, max.")
@click.option("--save", metavar="NAME", help="Keep this question: it is asked again by @NAME.")
@click.option("--saved", is_flag=True, help="Which questions were saved.")
@click.option("--forget", metavar="NAME", help="Remove a saved question.")
@form_option("csv", "All runs as CSV, values in full; columns as filters name them.")
@form_option("markdown", "As a table in Markdown.")
@json_option
def list_command(
    workbench: Workbench,
    where: tuple[str, ...],
    sort: str | None,
    columns: str | None,
    limit: int | None,
    everything: bool,
    top: bool,
    by: str | None,
    save: str | None,
    saved: bool,
    forget: str | None,
    as_csv: bool,
    as_markdown: bool,
    as_json: bool,
) -> None:
    r"""
    List runs, newest first, with the configuration keys that vary between them.

    \b
    FILTER compares names with values, such as
      anew list 'loss < 0.1 and config.model.name == mlp'
      anew list 'status == FAILED and started > 2d'
      anew list 'pkg.torch >= 2.1 and not has(config.dropout)' --by config.model
    Names: a metric (loss, loss.min, loss.at(100)), config.KEY, status, experiment, tag, started, duration, result, id,
    note, host, gpu, git.commit, pkg.NAME, input, artifact, seed, sweep, parent (the run that it was started in), and
    of re-runs rerun_of and verdict.
    Comparisons: < <= > >= == != ~ in, has(NAME), joined by and, or, not and parentheses.
    """
    text = " ".join(where)
    store = workbench.store
    if forget is not None:
        views.forget_view(store, forget)
        return
    if saved:
        views.print_views(store, as_json=as_json)
        return
    named = (views.as_saved(store, text) if text.strip().startswith("@") else None) or View()
    sort, columns, by = sort or named.sort or None, columns or ",".join(named.columns) or None, by or named.by or None
    if save is not None:
        views.save_view(store, save, View(filter=text, sort=sort or "", by=by or "", columns=tuple(names_of(columns))))
    question = parse_filter(text, saved_filter(store))
    if by is not None:
        list_groups.print_groups(
            store, text, sort, names_of(by), names_of(columns), how_of(as_json, as_csv, as_markdown)
        )
        return
    most = limit if limit is not None else None if everything or as_json or as_csv or as_markdown else _NEWEST
    # one more than is shown tells whether there are more
    found = store.find(text, sort=sort, limit=None if most is None or top else most + 1)
    if top:
        found = _without_children(store, found)
    records = found if most is None else found[:most]
    remark_damage(records, store.url)
    tell_left_out(store)
    sorted_by = [sort.lstrip("-").strip()] if sort else []
    wanted = names_of(columns)
    if as_json:
        print_json([record_to_json(record, full=False) for record in records])
    elif as_csv:
        csv_rows(*_in_full(store, records, wanted or chosen(records, (*sorted_by, *question.names), in_full=True)))
    elif as_markdown:
        markdown(*_in_full(store, records, wanted or chosen(records, (*sorted_by, *question.names))))
    elif records:
        print_runs(store, records, wanted or chosen(records, (*sorted_by, *question.names)), is_tree=sort is None)
    elif not found:
        say(f"No runs{' that match' if text else ''} in {store.url}.")
    if len(found) > len(records) and not (as_json or as_csv or as_markdown):
        shown = f"The {'first' if sort else 'newest'} {len(records)}" if records else "There are runs, none is shown"
        say(styled(f"{shown}. For more: --limit N or --all", "dim"))
    _doubt(store, found, question, (*sorted_by, *wanted))


def _doubt(store: RunStore, found: Sequence[RunRecord], question: Filter, names: Sequence[str]) -> None:
    """Say what of a question is most likely mistyped, by the runs that it found; if none, by the newest there are."""
    # the newest tell what there is; of all of them one need not know
    records = found or store.find(limit=_TELLING)
    ordered = [each for each in question.comparisons if each.operator != "=="]
    asked = question.names if not found else ()
    for doubt in doubtful_names(records, (*asked, *names)) if records else ():
        remark(doubt)
    for doubt in doubtful_values(records, ordered if found else question.comparisons):
        remark(doubt)


def _in_full(
    store: RunStore, records: Sequence[RunRecord], columns: Sequence[str]
) -> tuple[list[str], Iterator[list[Any]]]:
    """Return a header and rows with all that is asked for, each value in full."""
    within = ["parent"] if any(record.parent for record in records) else []
    names = [*dict.fromkeys(("id", *within, "started", "experiment", "status", "duration", *columns))]
    more = Beside(store)
    return names, ([plain_cell(value_of(record, name, more)) for name in names] for record in records)


def _without_children(store: RunStore, found: Sequence[RunRecord]) -> list[RunRecord]:
    """Leave out what was started in a run that is there, too."""
    if not any(record.parent for record in found):
        return list(found)
    there = {record.uid for record in store.find()}
    return [record for record in found if record.parent is None or record.parent.uid not in there]


def print_runs(store: RunStore, records: Sequence[RunRecord], columns: Sequence[str], *, is_tree: bool) -> None:
    """Print a line for each run; as a tree, each below the run that it was started in."""
    rows_of = branches(records) if is_tree else [("", record) for record in records]
    names = [f"{branch}{record.id}" for branch, record in rows_of]
    records = [record for _, record in rows_of]
    # a run whose parent is not above it
    strays = [_parent(record) if not branch else "" for branch, record in rows_of]
    now = datetime.now(timezone.utc)
    several = len({record.experiment for record in records}) > 1
    repeated = any(record.rerun_of is not None for record in records)
    again = ["again"] if repeated else []
    within = ["in"] if any(strays) and "parent" not in columns else []
    header = [
        "run",
        *within,
        "started",
        *(["experiment"] if several else []),
        *again,
        "status",
        "took",
        *map(heading_of, columns),
    ]
    rows, styles = [], []
    more = Beside(store)
    texts = [cells_of(records, name, more) for name in columns]
    for number, record in enumerate(records):
        took = duration(
            record.duration_s if record.duration_s is not None else max((now - record.started_at).total_seconds(), 0)
        )
        row = [
            names[number],
            *([strays[number]] if within else []),
            ago(record.started_at, now),
            *([record.experiment] if several else []),
        ]
        row += [*([_again(record)] if repeated else []), record.state, took]
        row += [column[number] for column in texts]
        rows.append(row)
        styles.append([_style(record, text) for text in row])
    table(header, rows, keep=len(header) - len(columns), widest=30, styles=styles)


def _parent(record: RunRecord) -> str:
    """Return what the run is called that one was started in."""
    return "" if record.parent is None else str(record.parent.id or record.parent.uid[:8])


def _again(record: RunRecord) -> str:
    """Return of a re-run what it repeats and how it came out."""
    if record.rerun_of is None:
        return ""
    of = record.rerun_of.id or record.rerun_of.uid[:8]
    if record.why is not None:
        return f"{of}: why {record.why.id}"
    return f"{of}: {record.verdict.verdict if record.verdict else 'not judged'}"


def _style(record: RunRecord, text: str) -> str | None:
    if text == record.state:
        return status_style(record.state)
    if record.verdict is not None and text == _again(record):
        return VERDICT_STYLES.get(record.verdict.verdict)
    return None
