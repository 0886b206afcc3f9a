"""`anew lineage`."""

from __future__ import annotations

import os
from collections.abc import Iterator

import click

from anew.runner.across.lineage import FILE, Lineage, Node, dot, lineage
from anew.runner.cli import offers
from anew.runner.cli.context import Workbench, command, form_option, json_option, print_json
from anew.runner.cli.render import drawn, say, styled
from anew.runner.wording import ago, printable

_STATES = {"changed": "changed since", "gone": "not there any more"}


@command("lineage")
@click.argument("word", metavar="REF or FILE", shell_complete=offers.runs)
@click.option("--up", is_flag=True, help="What it came from alone.")
@click.option("--down", is_flag=True, help="What came of it alone.")
@form_option("dot", "For Graphviz: anew lineage 42 --dot | dot -Tsvg > lineage.svg")
@json_option
def lineage_command(workbench: Workbench, word: str, up: bool, down: bool, as_dot: bool, as_json: bool) -> None:
    """
    Show which runs made what a run or a file came from, and what came of it, over any number of steps.

    Runs are joined by content: what one logged as an artifact and another read as an input has one digest, whatever it
    was called. A file may be named by its path, by what it was kept as, or by the beginning of its SHA-256; that of an
    input is marked which is another now, or gone.
    """
    store = workbench.store
    found = lineage(store, word, up=up or not down, down=down or not up)
    if as_json:
        print_json(found.to_json())
    elif as_dot:
        drawn(dot(found, _label))
    else:
        _print(found)


def _label(node: Node) -> str:
    if node.kind == FILE:
        name = printable(os.path.relpath(node.path or "") if os.path.isabs(node.path or "") else node.path or "")
        marked = f"{name} ({(node.sha256 or '')[:8]})"
        return f"{marked}, {_STATES[node.state]}" if node.state in _STATES else marked
    record = node.record
    assert record is not None
    return f"run {node.ref}  {printable(record.experiment)} {record.state} {ago(record.started_at)}"


def _print(found: Lineage) -> None:
    above = [*_branches(found, up=True)]
    below = [*_branches(found, up=False)]
    say(styled(_label(found.nodes[found.root]), "bold"))
    for title, lines in (("came from", above), ("came of it", below)):
        if lines:
            say(styled(f"  {title}", "dim"))
        for line, state in lines:
            say(styled(line, "red") if state in _STATES else line)
    if not above and not below:
        say(styled("  nothing on record", "dim"))


def _branches(found: Lineage, *, up: bool) -> Iterator[tuple[str, str | None]]:
    """Yield the lines of a tree below the root, each with the state of its file; what came before is not gone into."""
    beside: dict[str, list[str]] = {}
    for start, end in found.edges:
        near, far = (end, start) if up else (start, end)
        beside.setdefault(near, []).append(far)
    seen: set[str] = set()
    due = [(each, 2) for each in reversed(beside.get(found.root, []))]
    while due:
        node, depth = due.pop()
        goes_on = beside.get(node, [])
        more = ", see above" if node in seen and goes_on else ""
        yield f"{'  ' * depth}{_label(found.nodes[node])}{more}", found.nodes[node].state
        if node not in seen:
            seen.add(node)
            due += [(each, depth + 1) for each in reversed(goes_on)]
