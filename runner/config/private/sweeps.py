"""What is private in Hydra about sweeps: its own sweeper and launcher, which are its defaults, and its ranges."""

from __future__ import annotations

from typing import Any

# Not the class itself: the scan for plugins executes the module again, which makes another.
from hydra._internal.core_plugins import basic_sweeper
from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Glob, Override, RangeSweep

# `OverrideType`: what tells `key=`, `+key=` and `++key=` apart. Instead: the signs that a word begins with.
from hydra.core.override_parser.types import OverrideType as OverrideType

# `Quote`: what a text is quoted with. Instead: a text with its quotes, parsed.
from hydra.core.override_parser.types import Quote as Quote

if not hasattr(basic_sweeper.BasicSweeper, "_parse_config"):
    raise ImportError("cannot import name '_parse_config' of 'BasicSweeper' from 'hydra._internal.core_plugins'")

# The default of `hydra/launcher`, which one of ours stands in for, and whose words are said.
# Instead: the name `basic` in `hydra.runtime.choices`, which somebody may have given to another.
BASIC_LAUNCHER = "hydra._internal.core_plugins.basic_launcher.BasicLauncher"
LAUNCHER_LOG = "hydra._internal.core_plugins.basic_launcher"


# `basic_sweeper.BasicSweeper`: its jobs are known, and planned, before the first of them begins.
# Instead: a sweeper that says so.
def is_basic(sweeper: Any) -> bool:
    """Whether a sweeper is Hydra's own."""
    return type(sweeper) is basic_sweeper.BasicSweeper


# `BasicSweeper._parse_config`, `split_arguments`, `validate_batch_is_legal`: the jobs that it is about to make,
# composed once by whoever plans them. Instead: `Sweeper.sweep`, which has them run.
def batches(sweeper: Any, loader: ConfigLoader, arguments: list[str]) -> list[list[list[str]]]:
    """Return the overrides of all jobs, as the basic sweeper is about to make them; it will not compose them itself."""
    overrides = OverridesParser.create(config_loader=loader).parse_overrides([*sweeper._parse_config(), *arguments])
    sweeper.validate_batch_is_legal = lambda batch: None
    found: list[list[list[str]]] = sweeper.split_arguments(overrides, sweeper.max_batch_size)
    return found


def empty_sweeps(sweeper: Any, loader: ConfigLoader, arguments: list[str]) -> list[str]:
    """Return the overrides that sweep over nothing, as they were typed, each with what there would be."""
    overrides = OverridesParser.create(config_loader=loader).parse_overrides([*sweeper._parse_config(), *arguments])
    return [
        f"{each.input_line} ({_offered(each, loader)})"
        for each in overrides
        if each.is_sweep_override() and next(each.sweep_string_iterator(), None) is None
    ]


# `Glob`: what it chose among is said, where that was nothing. Instead: nothing that tells one from a list.
def _offered(override: Override, loader: ConfigLoader) -> str:
    if not isinstance(override.value(), Glob):
        return "no numbers lie there"
    options = loader.get_group_options(override.key_or_group)
    return f"there is no such file; the group has: {', '.join(options)}" if options else "there is no such config group"


# `RangeSweep.transformers`: Hydra 1.4 keeps `float(range(1, 4))` as it is written, up to 1.3 it is `range(1.0, 4.0)`.
# Instead: `RangeSweep.range`, which up to 1.4.0rc3 leaves the casts out.
def limits(sweep: RangeSweep) -> tuple[int | float, int | float, int | float]:
    """Return start, stop and step of a range, cast as it was asked for."""
    found: list[Any] = [sweep.start, sweep.stop, sweep.step]
    for cast in getattr(sweep, "transformers", ()):
        found = [cast(number) for number in found]
    start, stop, step = found
    return start, stop, step
