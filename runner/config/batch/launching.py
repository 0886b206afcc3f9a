"""Who runs the jobs of a sweep, and what its sweeper says of itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hydra.plugins.sweeper import Sweeper
from omegaconf import DictConfig

from anew.runner.config.direct.called import Typed
from anew.runner.config.hooks import Launching
from anew.runner.config.private.sweeps import BASIC_LAUNCHER, is_basic


def launching(inner: Any, master: DictConfig, typed: Typed, sweeper: Sweeper) -> Launching:
    """Return what a sweeper says of itself, and who runs its jobs: an engine of ours, or a launcher of Hydra's."""
    option = str(master.hydra.runtime.choices.get("hydra/launcher", ""))
    target = str(master.hydra.launcher.get("_target_", ""))
    chosen = any(each.lstrip("+").startswith("hydra/launcher=") for each in typed.overrides)
    engine = getattr(inner, "engine", None)
    options = dict(getattr(inner, "options", {}))
    if target == BASIC_LAUNCHER and not chosen:
        engine, option = "local", "anew_local"
    settled = getattr(sweeper, "settled", None)
    direction = getattr(sweeper, "direction", None) if settled is None else _single(settled.directions)
    return Launching(
        engine=engine,
        option=option,
        options=options,
        sweeper=f"{type(sweeper).__module__}.{type(sweeper).__qualname__}",
        planned_ahead=is_basic(sweeper),
        direction=str(direction) if direction in ("maximize", "minimize") else None,
        directions=() if settled is None else settled.directions,
        value=() if settled is None else settled.value,
        constraints=() if settled is None else tuple(each.text for each in settled.constraints),
    )


def _single(directions: Sequence[str]) -> str | None:
    return directions[0] if len(directions) == 1 else None
