"""`anew best`."""

from __future__ import annotations

import click

from anew.runner.attached.aims import direction_of
from anew.runner.cli.context import WholeNumber, Workbench, command, json_option, print_json, saved_filter
from anew.runner.cli.list import print_runs
from anew.runner.cli.render import remark, remark_damage, say
from anew.runner.contracts import RunStore
from anew.runner.errors import FilterError
from anew.runner.format.serial import record_to_json
from anew.runner.query.columns import chosen
from anew.runner.query.doubts import doubtful_names
from anew.runner.query.filters import parse_filter
from anew.runner.query.names import value_of
from anew.runner.store.choosing import tell_left_out
from anew.runner.store.more import Beside

_FIRST = 5


@command("best")
@click.argument("metric", metavar="METRIC")
@click.argument("where", metavar="[FILTER]", nargs=-1)
@click.option("--max", "largest", is_flag=True, help="The largest is best.")
@click.option("--min", "smallest", is_flag=True, help="The smallest is best.")
@click.option(
    "--limit", metavar="N", type=WholeNumber(min=1, max=2**31), default=_FIRST, help=f"N runs; {_FIRST} unless said."
)
@json_option
def best_command(
    workbench: Workbench,
    metric: str,
    where: tuple[str, ...],
    largest: bool,
    smallest: bool,
    limit: int,
    as_json: bool,
) -> None:
    r"""
    Show the runs with the best value of a metric, the best first.

    \b
      anew best loss
      anew best test/acc.max 'config.model == mlp and started > 7d'
      anew best result.score --max --limit 1 --json
    Whether much or little is good is told by its name (loss, err, acc, f1, ...), or by --max or --min. METRIC may be
    any name of a filter. Runs that failed or were stopped are left out, unless the filter asks for a status, and
    so are re-runs.
    """
    if largest and smallest:
        raise click.UsageError("Of --max and --min one can be meant.")
    store = workbench.store
    text = " ".join(where)
    question = parse_filter(text, saved_filter(store))
    known = f"has({_quoted(metric)})"
    parts = [known, *([f"({text})"] if text.strip() else [])]
    parts += [] if "status" in question.names else ["status in [COMPLETED, RUNNING]"]
    # what was run once more, or to find a cause, is not one more run
    parts += [f"{name} == none" for name in ("rerun_of", "why") if name not in question.names]
    more = Beside(store)
    is_small = smallest or (not largest and _is_small(metric, store))
    found = store.find(" and ".join(parts), sort=metric if is_small else f"-{metric}", limit=limit)
    records = [record for record in found if (value := value_of(record, metric, more)) == value]
    remark_damage(records, store.url)
    tell_left_out(store)
    if as_json:
        print_json([record_to_json(record, full=False) for record in records])
    elif records:
        print_runs(store, records, chosen(records, (metric, *question.names)), is_tree=False)
    else:
        say(f"No run{' that matches' if text else ''} in {store.url} has {metric!r}.")
        for doubt in doubtful_names(store.find(limit=1_000), [metric]):
            remark(doubt)


def _quoted(name: str) -> str:
    escaped = name.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _is_small(metric: str, store: RunStore) -> bool:
    """Whether little of a metric is good. Raises FilterError where its name does not tell."""
    base, _, what = metric.rpartition(".")
    if what in ("min", "max") and base and direction_of(base) is None:
        return what == "min"
    direction = direction_of(metric)
    if direction is None and not store.find(f"has({_quoted(metric)})", limit=1):
        return True  # there is nothing to sort
    if direction is None:
        raise FilterError(
            f"Whether much or little of {metric!r} is good cannot be told by its name. Say it: anew best {metric} "
            "--max, or --min",
            name=metric,
        )
    return direction == "minimize"
