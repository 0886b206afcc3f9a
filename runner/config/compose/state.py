"""Hydra's state in the process: kept while one of our apps is active, and put back."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

from hydra.core.config_store import ConfigNode, ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import OmegaConf

from anew.runner.config.compose.loader import JOB_DIR_RESOLVER
from anew.runner.config.compose.quick import Primary
from anew.runner.config.private.loading import process_kept
from anew.runner.config.private.nodes import register, resolvers


@contextmanager
def hydra_kept() -> Iterator[None]:
    """Let an app have Hydra to itself; afterwards an app around it finds its own state again."""
    hydra = GlobalHydra.instance().hydra
    config = HydraConfig.instance().cfg
    resolver = resolvers().get(JOB_DIR_RESOLVER)
    GlobalHydra.instance().clear()
    try:
        with process_kept():
            yield
    finally:
        GlobalHydra.instance().hydra = hydra
        HydraConfig.instance().cfg = config
        if resolver is None:
            resolvers().pop(JOB_DIR_RESOLVER, None)
        else:
            resolvers()[JOB_DIR_RESOLVER] = resolver


@contextmanager
def configs_noted(note: Callable[[Mapping[str, Any]], object]) -> Iterator[None]:
    """Have it noted what Hydra's apps compose, references unresolved and Hydra's own node aside."""
    original = HydraConfig.set_config

    def set_config(self: HydraConfig, cfg: Any) -> None:
        with suppress(Exception):
            found = OmegaConf.to_container(cfg, resolve=False)
            if isinstance(found, dict):
                note({str(key): value for key, value in found.items() if key != "hydra"})
        original(self, cfg)

    HydraConfig.set_config = set_config  # type: ignore[method-assign]  # put back below
    try:
        yield
    finally:
        HydraConfig.set_config = original  # type: ignore[method-assign]  # as it was


@contextmanager
def stored_primary(primary: Primary) -> Iterator[None]:
    """Have a primary configuration in Hydra's store while an app is active; what else had its name comes back."""
    repo = ConfigStore.instance().repo
    key = f"{primary.name}.yaml"
    before = repo.get(key)
    # Not by `store`, which copies: loading copies anyway.
    repo[key] = ConfigNode(name=key, node=primary.node, group=None, package=None, provider="main")  # type: ignore[arg-type]  # DictConfig will do
    try:
        yield
    finally:
        if before is None:
            del repo[key]
        else:
            repo[key] = before


def resolve_job_dir(resolver: Callable[[int], str]) -> None:
    """Register what gives the output folder of a sweep's job."""
    register(JOB_DIR_RESOLVER, resolver)
