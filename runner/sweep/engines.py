"""The engines by name. What one needs is imported when it is chosen: Dask and Slurm's take their time."""

from __future__ import annotations

from importlib import import_module

from anew.runner.errors import ConfigError
from anew.runner.sweep.engine import Engine, EngineSetup
from anew.runner.wording import some

# what `engine` says in configs/hydra/launcher/*.yaml -> the module of this room whose make_engine(setup) returns it
ENGINES = {
    "local": "pool",
    "dask": "dask_engine",
    "slurm": "slurm_engine",
}


def make_engine(name: str | None, setup: EngineSetup) -> Engine:
    """Return what runs the jobs of a sweep. Raises ConfigError, MissingExtraError."""
    if name not in ENGINES:
        known = some(list(ENGINES), len(ENGINES))
        raise ConfigError(
            f"hydra/launcher={setup.launcher} asks for the engine {name!r}. There are: {known}.", key="engine"
        )
    engine: Engine = import_module(f"{__package__}.{ENGINES[name]}").make_engine(setup)
    return engine
