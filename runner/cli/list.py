"""`anew list`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timezone

import click

from anew.runner.cli.context import WholeNumber, Workbench, command, json_option, print_json
from anew.runner.cli.render import VERDICT_STYLES, remark, remark_damage, say, status_style, styled, table
from anew.runner.format.serial import record_to_json
from anew.runner.query.columns import cells_of, shared_metrics, strangers, varying_inputs
from anew.runner.query.filters import parse_filter
from anew.runner.records import RunRecord
from anew.runner.wording import ago, duration

_NEWEST = 50
_SHOWN_ANYWAY = frozenset({"id", "uid", "status", "experiment", "started", "duration", "duration_s", "tag", "verdict"})


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
@json_option
def list_command(
    workbench: Workbench,
    where: tuple[str, ...],
    sort: str | None,
    columns: str | None,
    limit: int | None,
    everything: bool,
    as_json: bool,
) -> None:
    r"""
    List runs, newest first, with the configuration keys that vary between them.

    \b
    FILTER compares names with values, such as
      anew list 'loss < 0.1 and config.model.name == mlp'
      anew list 'status == FAILED and started > 2d'
    Names: a metric, config.KEY, status, experiment, tag, started, duration, result, id, note, host, seed, sweep, and
    of re-runs rerun_of and verdict.
    Comparisons: < <= > >= == != ~ in, joined by and, or, not and parentheses.
    """
    text = " ".join(where)
    most = limit if limit is not None else None if everything or as_json else _NEWEST
    store = workbench.store
    # one more than is shown tells whether there are more
    found = store.find(text, sort=sort, limit=None if most is None else most + 1)
    records = found if most is None else found[:most]
    remark_damage(records, store.url)
    if as_json:
        print_json([record_to_json(record, full=False) for record in records])
        return
    filtered = parse_filter(text).names
    if not records:
        matching = " that match" if text else ""
        say(f"No runs{matching} in {store.url}.")
        _doubt(store.find() if text else [], filtered)
        return
    sorted_by = [sort.lstrip("-").strip()] if sort else []
    wanted = [name.strip() for name in columns.split(",")] if columns else []
    _print(records, wanted or _chosen(records, (*sorted_by, *filtered)))
    if len(found) > len(records):
        say(styled(f"The {'first' if sort else 'newest'} {len(records)}. For more: --limit N or --all", "dim"))
    _doubt(records, (*sorted_by, *wanted))


def _doubt(records: Sequence[RunRecord], names: Sequence[str]) -> None:
    """Say which names mean nothing to any of these runs: most likely they are mistyped."""
    for name, near in strangers(records, names).items() if records else ():
        remark(f"None of these runs has {name!r}.{f' Did you mean {near!r}?' if near else ''}")


def _print(records: Sequence[RunRecord], chosen: Sequence[str]) -> None:
    now = datetime.now(timezone.utc)
    several = len({record.experiment for record in records}) > 1
    repeated = any(record.rerun_of is not None for record in records)
    again = ["again"] if repeated else []
    header = ["run", "started", *(["experiment"] if several else []), *again, "status", "took", *map(_heading, chosen)]
    rows, styles = [], []
    columns = [cells_of(records, name) for name in chosen]
    for number, record in enumerate(records):
        took = duration(
            record.duration_s if record.duration_s is not None else max((now - record.started_at).total_seconds(), 0)
        )
        row = [str(record.id), ago(record.started_at, now), *([record.experiment] if several else [])]
        row += [*([_again(record)] if repeated else []), record.status.value, took]
        row += [column[number] for column in columns]
        rows.append(row)
        styles.append([_style(record, text) for text in row])
    table(header, rows, keep=len(header) - len(chosen), widest=30, styles=styles)


def _again(record: RunRecord) -> str:
    """Return of a re-run what it repeats and how it came out."""
    if record.rerun_of is None:
        return ""
    of = record.rerun_of.id or record.rerun_of.uid[:8]
    return f"{of}: {record.verdict.verdict if record.verdict else 'not judged'}"


def _style(record: RunRecord, text: str) -> str | None:
    if text == record.status.value:
        return status_style(record.status)
    if record.verdict is not None and text == _again(record):
        return VERDICT_STYLES.get(record.verdict.verdict)
    return None


def _chosen(records: Sequence[RunRecord], asked: Sequence[str]) -> list[str]:
    """Return what was asked about, and the columns that tell these runs apart, the most telling first."""
    inputs = varying_inputs(records)
    metrics = shared_metrics(records)
    has_result = any(isinstance(record.result, (int, float, str)) for record in records)
    labels = [name for name in ("tags", "note") if any(getattr(record, name) for record in records)]
    telling = [*inputs[:4], *(["result"] if has_result else []), *metrics, *labels, *inputs[4:]]
    named = [name for name in dict.fromkeys(asked) if name not in _SHOWN_ANYWAY]
    return [*named, *(name for name in telling if name not in named and _heading(name) not in named)]


def _heading(column: str) -> str:
    return column.removeprefix("config.").removeprefix("choices.")
