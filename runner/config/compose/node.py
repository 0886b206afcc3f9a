"""The `anew` node alone, composed for whoever has no main at hand; and recorded values with changes on top."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hydra.core.config_search_path import SearchPathQuery
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from anew.runner.config.compose.loader import Loader, is_ours, search_path
from anew.runner.config.compose.messages import explained_node
from anew.runner.config.compose.state import hydra_kept
from anew.runner.config.hooks import Recorded
from anew.runner.config.replayed import overlaid
from anew.runner.config.signature.values import recorded, users_part
from anew.runner.errors import ConfigError


def compose_node(settings: Sequence[str], config_dir: str | None) -> dict[str, Any]:
    """
    Return the `anew` node as overrides make it.

    Args:
        settings: Overrides of the node, as typed.
        config_dir: A configuration folder, or None.

    Raises:
        ConfigError: An override is about something else, or it cannot be composed.
    """
    for each in settings:
        if not is_ours(each):
            raise ConfigError(f"{each!r} is no setting of the recording; they begin with anew. or anew/")
    path = search_path(None)
    if config_dir is not None:
        folder = Path(config_dir).absolute()
        if not folder.is_dir():
            raise ConfigError(f"There is no folder {config_dir!r}.")
        path.prepend("command-line", f"file://{folder}", anchor=SearchPathQuery(provider="schema"))
    with hydra_kept():
        loader = Loader(path, settings, schema=None, check=lambda cfg: None)
        try:
            loader.load_configuration(None, [], RunMode.RUN)
        except (HydraException, OmegaConfBaseException) as error:
            raise explained_node(error, loader) from error
    return loader.settings


def compose_launcher(words: Sequence[str]) -> tuple[str, str, dict[str, Any]]:
    """
    Return the engine, the launcher's name, and what else `hydra.launcher` says, for whoever has no sweep at hand.

    Args:
        words: Overrides of `hydra/launcher` and what is in `hydra.launcher`, as typed.

    Raises:
        ConfigError: An override is about something else, it cannot be composed, or the launcher is none of anew's.
    """
    for each in words:
        if not each.lstrip("+~").startswith(("hydra/launcher=", "hydra.launcher.")):
            raise ConfigError(f"{each!r} says nothing of the launcher, as hydra/launcher=anew_slurm does.", key=each)
    with hydra_kept():
        loader = Loader(search_path(None), (), schema=None, check=lambda cfg: None)
        try:
            cfg = loader.load_configuration(None, list(words), RunMode.MULTIRUN)
            option = str(cfg.hydra.runtime.choices.get("hydra/launcher", ""))
            said: Any = OmegaConf.to_container(cfg.hydra.launcher, resolve=True)
        except (HydraException, OmegaConfBaseException) as error:
            raise explained_node(error, loader) from error
    known = {key: value for key, value in said.items() if key not in ("_target_", "_convert_")}
    engine = known.pop("engine", None)
    if not isinstance(engine, str):
        raise ConfigError(
            f"hydra/launcher={option} is Hydra's own; here one of anew's is needed: hydra/launcher=anew_dask or "
            "hydra/launcher=anew_slurm",
            key="hydra/launcher",
        )
    return engine, option, known


def changed_values(was: Recorded) -> Mapping[str, Any]:
    """
    Return recorded values with the changes on top, as plain values.

    Raises:
        ConfigError: A change cannot be applied, or a secret is not on record, and nothing gives it.
    """
    with hydra_kept():
        loader = Loader(search_path(None), (), schema=None, check=lambda cfg: None)
        try:
            cfg = overlaid(was, lambda overrides: loader.load_configuration(None, [], RunMode.RUN), loader.apply)
        except (HydraException, OmegaConfBaseException) as error:
            raise explained_node(error, loader) from error
        return recorded(users_part(cfg))
