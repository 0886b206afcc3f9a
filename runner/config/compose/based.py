"""What Hydra composes for every run alike, composed to be kept; see `direct.base`."""

from __future__ import annotations

from typing import Any

from hydra.types import RunMode
from omegaconf import OmegaConf

from anew.runner.config.compose.loader import OUR_RUN_DIR, PROVIDER, Loader, search_path
from anew.runner.config.compose.quick import is_own
from anew.runner.config.compose.state import hydra_kept
from anew.runner.config.compose.yamltext import dump
from anew.runner.config.direct.base import MARK, Base
from anew.runner.config.private.loading import set_version_base
from anew.runner.config.private.nodes import written_below
from anew.runner.config.private.running import records_mode_of_runs


def made_base(version_base: str | None) -> Base | None:
    """Have Hydra compose its own part, and ours; None where a plugin, or another Hydra, adds to it."""
    with hydra_kept():
        set_version_base(version_base)
        searched = search_path(None)
        if not records_mode_of_runs or not is_own(searched, ("hydra", "schema", PROVIDER)):
            return None
        loader = Loader(searched, (), schema=None, check=lambda cfg: None)
        cfg: Any = loader.load_configuration(None, [], RunMode.RUN)
        hydra = cfg.hydra
        written = OmegaConf.to_container(hydra, resolve=False)
        if not isinstance(written, dict) or written["callbacks"] or written["job"]["env_copy"] or written["mode"]:
            return None
        if written_below(hydra.run, "dir") != OUR_RUN_DIR:
            return None
        sources = tuple(f"{each.provider}: {each.schema}://{each.path}" for each in hydra.runtime.config_sources)
        values: Any = OmegaConf.to_container(hydra, enum_to_str=True)
        _mark(values)
        return Base(dump({"hydra": values}), loader.settings, sources)


def _mark(hydra: Any) -> None:
    """Put marks where a run's own values go."""
    hydra["mode"] = "RUN"
    hydra["overrides"] |= {"hydra": ["hydra.mode=RUN"], "task": [f"{MARK}task"]}
    hydra["run"]["dir"] = hydra["runtime"]["output_dir"] = f"{MARK}dir"
    hydra["job"] |= {"name": f"{MARK}name", "override_dirname": f"{MARK}overrides", "config_name": f"{MARK}config"}
    hydra["runtime"]["cwd"] = f"{MARK}cwd"
    hydra["runtime"]["config_sources"].insert(1, {"path": f"{MARK}main", "schema": "file", "provider": "main"})
