"""One run, as `anew show --json` gives it."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta

from anew.runner.server.routes import Asked
from anew.runner.server.site import Site
from anew.runner.sweep.told import run_to_json

Ref = Annotated[str, Meta(min_length=1, max_length=200, description="A reference: a number, a uid, last, sweep:7/3.")]


class RunAsked(Asked):
    """Which run."""

    run: Ref


def run(site: Site, asked: RunAsked) -> dict[str, Any]:
    """Everything known of a run."""
    record = site.store.get(asked.run)
    return {**run_to_json(record, site.store), "deleted": False}
