"""What tests have to know of the release of Hydra and OmegaConf that they run with."""

from __future__ import annotations

import re
from collections.abc import Callable

import hydra
from omegaconf import OmegaConf

# Hydra 1.4: a `version_base` below 1.3 is refused and any other is warned about; --experimental-rerun takes a folder.
HYDRA_1_4 = not hydra.__version__.startswith("1.3.")
# The one whose defaults are the oldest, and what an app is told that asks for another than the newest.
OLDEST_BASE = "1.3" if HYDRA_1_4 else "1.1"
ANOTHER_BASE: dict[str, str] = {} if HYDRA_1_4 else {"version_base": "1.2"}
CURRENT_BASE: dict[str, str] = {} if HYDRA_1_4 else {"version_base": "1.3"}
NEWEST_BASE = ".".join(hydra.__version__.split(".")[:2])

# OmegaConf 2.4 deprecates the second; before, the first was another function.
register_resolver: Callable[..., None] = OmegaConf.register_resolver if HYDRA_1_4 else OmegaConf.register_new_resolver

_DEPRECATED = re.compile(r"(?m)^\S+:\d+: Hydra1\dMigrationWarning: .*\n(?:(?!\S+:\d+: |Error |Traceback|anew: ).*\n)*")


def without_migration_warnings(text: str) -> str:
    """Return what was written to stderr without Hydra's words about its own next release."""
    return _DEPRECATED.sub("", text)
