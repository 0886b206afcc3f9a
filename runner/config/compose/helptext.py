"""What `--help` says beside Hydra's own text: what main does and takes, and what anew takes."""

from __future__ import annotations

import inspect
import sys

from anew.runner.config.signature.spec import TaskSpec
from anew.runner.wording import printable

_OURS = """\
== Recording by anew ==
  -q, --quiet      without the run's two lines on stderr
  --store URL      the store's folder; else ANEW_STORE, else runs/ of this project
  anew.KEY=VALUE   a setting: 'anew.tags=[a,b]' anew.note=... anew.seed=1 anew.store=FOLDER
                   anew.quiet, observers, output, system, source, inputs, deterministic, ...
  -m KEY=A,B       a run for each: a sweep, with anew.sweep.workers=4 so many at a time
To see the runs: anew list. All settings: docs/settings.md"""


def tell_of_anew(spec: TaskSpec, is_hydras: bool) -> None:
    """
    Print it below Hydra's text.

    On stdout for a main of typed parameters. An app of Hydra's prints there what it has always printed, and so does
    whoever has a template of their own: then it is told on stderr.
    """
    parts = [inspect.getdoc(spec.function) or "", _parameters(spec), _OURS]
    text = "\n\n".join(part for part in parts if part)
    out = sys.stdout if is_hydras and spec.form in ("signature", "none") else sys.stderr
    out.write("\n".join(map(printable, text.split("\n"))) + "\n")


def _parameters(spec: TaskSpec) -> str:
    fields = spec.roles.fields
    lines = [f"  {each.text}" for each in fields]
    return "\n".join([f"== Parameters of {spec.function.__qualname__} ==", *lines]) if fields else ""
