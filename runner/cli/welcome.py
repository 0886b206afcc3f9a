"""`anew` alone: where one stands, and what to type."""

from __future__ import annotations

from anew.runner.cli.context import Workbench
from anew.runner.cli.render import pairs, say, status_style, styled
from anew.runner.errors import StoreError
from anew.runner.store.typed import as_typed
from anew.runner.wording import ago


def welcome(workbench: Workbench) -> None:
    """Print the first screen."""
    say(f"{styled('anew', 'bold')}: run an experiment, and run it anew")
    say()
    try:
        store = workbench.store
    except StoreError:
        if workbench.url is not None:
            raise
        say("There are no runs here yet. To make one, decorate a function and start its script:")
        say()
        for line in _FIRST.splitlines():
            say(f"  {line}")
    else:
        newest = store.find(limit=1)
        say(f"{len(store.numbers())} runs in {store.url}")
        for record in newest:
            status = styled(record.state, status_style(record.status))
            say(f"Newest: run {record.id} of {record.experiment}, {status}, started {ago(record.started_at)}")
    say()
    named = workbench.url
    pairs(
        [(as_typed(command, named) if named else command, text) for command, text in _NEXT]
        + [("anew --help", "all commands")]
    )


_NEXT = (
    ("anew list", "the runs, with what varies between them"),
    ("anew show last", "everything known of one"),
    ("anew diff last~1 last", "what differs between two"),
    ("anew plot last NAME", "a metric's curve"),
    ("anew logs last -f", "what it prints"),
)


_FIRST = """\
from anew import Experiment, Run

experiment = Experiment("first")

@experiment.main
def main(lr: float = 0.1, *, run: Run):
    run.log({"loss": lr})

if __name__ == "__main__":
    main()
"""
