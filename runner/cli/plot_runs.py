"""`anew plot --x KEY --y NAME` and `--parallel A,B,C`: runs as points, or as lines from axis to axis."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from anew.runner.cli.chosen import light_of
from anew.runner.cli.context import print_json
from anew.runner.cli.render import coloured, drawn, remark, say
from anew.runner.contracts import RunStore
from anew.runner.errors import StoreError
from anew.runner.format.values import plain
from anew.runner.query.doubts import doubtful_names
from anew.runner.query.filters import value_of
from anew.runner.query.scatter import (
    Scale,
    drawable,
    parallel_picture,
    scatter_picture,
    terminal_parallel,
    terminal_scatter,
)
from anew.runner.records import RunRecord
from anew.runner.store.choosing import choose
from anew.runner.store.more import Beside
from anew.runner.wording import printable


def plot_runs(
    store: RunStore,
    words: Sequence[str],
    names: Sequence[str],
    logs: Sequence[bool],
    *,
    file: Path | None,
    size: tuple[int, int],
    as_json: bool,
) -> None:
    """
    Draw runs over what their names are; those that lack one are left out, and counted.

    Args:
        store: Where they are.
        words: Which; all of none.
        names: Of the filter language: two, or for lines from axis to axis more.
        logs: Of each, whether its scale is logarithmic.
        file: Where the picture goes; None for the terminal.
        size: Columns and lines of the terminal.
        as_json: Whether the values are printed.

    Raises:
        StoreError: The picture cannot be written.
    """
    records = _records(store, words)
    more = Beside(store)
    values = [[value_of(record, name, more) for name in names] for record in records]
    whole = [index for index, each in enumerate(values) if None not in each]
    if as_json:
        rows = [{"run": records[index].id, **dict(zip(names, values[index], strict=True))} for index in whole]
        print_json(plain(rows))
        return
    columns = zip(*(values[index] for index in whole), strict=True) if whole else ([] for _ in names)
    scales = [
        Scale.of(printable(name), list(column), log=log) for name, column, log in zip(names, columns, logs, strict=True)
    ]
    shown = drawable(scales)
    count = len(shown[0].values)
    if not count:
        doubts = doubtful_names(records, names) if records else ()
        say(f"None of {len(records)} runs has a place by {', '.join(map(printable, names))}.")
        for doubt in doubts:
            remark(doubt)
        return
    if file is not None:
        _write(shown, file)
        say(f"Written: {file}")
    elif len(names) > 2:
        drawn(terminal_parallel(shown, width=size[0], height=size[1], colours=coloured()))
    else:
        drawn(terminal_scatter(shown[0], shown[1], width=size[0], height=size[1], colours=coloured()))
    if count < len(records):
        remark(f"{len(records) - count} of {len(records)} runs have no place by {', '.join(map(printable, names))}.")


def _records(store: RunStore, words: Sequence[str]) -> list[RunRecord]:
    if not words:
        return store.find()
    chosen = choose(store, words)
    for _, error in chosen.refused:
        raise error
    return light_of(store, chosen.numbers)


def _write(scales: Sequence[Scale], file: Path) -> None:
    try:
        if len(scales) == 2:
            scatter_picture(scales[0], scales[1], file)
        else:
            parallel_picture(scales, file)
    except (OSError, ValueError) as error:
        raise StoreError(f"The picture {str(file)!r} cannot be written: {error}") from error
