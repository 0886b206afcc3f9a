"""Compose many configurations that have much in common, without reading files again every time.

A signature, or a class, over Hydra's own configuration: the lower part is the same for every run of a process, so it
is composed by Hydra once, kept pickled, and the rest is done as Hydra does it. Whatever could change the lower part (a
config folder, a group override, `hydra.searchpath`, a search path plugin, another entry in Hydra's store) is composed
by Hydra from the start.
"""

from __future__ import annotations

import copy
import os
import pickle
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.config_store import ConfigStore
from hydra.core.override_parser.types import Override
from omegaconf import DictConfig, OmegaConf, open_dict

from anew.runner.config.private.loading import job_name, set_override_dirname, version_base
from anew.runner.dataclass import dataclass

_MOST_KEPT = 8


@dataclass(frozen=True, slots=True)
class _Base:
    """Hydra's own part, pickled, with the store's nodes held so that none of their identities is used again."""

    pickled: bytes
    nodes: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Primary:
    """A primary configuration that is in no file: its name, and what it declares (None for nothing)."""

    name: str | None
    node: DictConfig | None


_bases: dict[Any, _Base] = {}


class Bases:
    """
    What was composed already, to be had again as a copy; files are read once for each combination of groups.

    Attributes:
        repo: Hydra's view of the configuration's files, once it was asked for.
    """

    def __init__(self) -> None:
        self.repo: Any = None
        self._kept: dict[Any, tuple[bytes | None, DictConfig]] = {}

    def copy_of(self, key: Any, compose: Callable[[], DictConfig]) -> DictConfig:
        """Return a configuration of its own, composed when there is none of this key."""
        if key not in self._kept:
            cfg = compose()
            try:
                data = pickle.dumps(cfg)
            except Exception:  # a class that is in no module
                data = None
            self._kept[key] = data, cfg
        data, cfg = self._kept[key]
        found = copy.deepcopy(cfg) if data is None else pickle.loads(data)
        assert isinstance(found, DictConfig)
        return found


def is_plain(overrides: Sequence[Override]) -> bool:
    """Whether overrides set values only, and none that decides what is composed."""
    groups = ConfigStore.instance().repo
    return not any(
        each.package is not None
        or "/" in each.key_or_group
        or each.key_or_group in ("hydra", "anew", "hydra.searchpath")
        or isinstance(groups.get(each.key_or_group), dict)
        for each in overrides
    )


def is_own(path: ConfigSearchPath, providers: Sequence[str]) -> bool:
    """Whether a search path holds Hydra's own entries and ours alone."""
    return all(entry.provider in providers for entry in path.get_path())


def compose(
    primary: Primary,
    overrides: Sequence[Override],
    *,
    path: ConfigSearchPath,
    lower: Callable[[], DictConfig],
    apply: Callable[[list[Override], DictConfig], None],
) -> DictConfig:
    """
    Compose as Hydra does for a primary configuration that is a class without a defaults list.

    Args:
        primary: The primary configuration.
        overrides: Those for which `is_plain` holds.
        path: The search path.
        lower: Has Hydra compose its own part, without a primary configuration and overrides.
        apply: Hydra's, applies overrides to a configuration.
    """
    cfg = _copy_of_base(path, lower)
    if primary.node is not None:
        cfg.merge_with(primary.node)
    OmegaConf.set_struct(cfg, True)
    OmegaConf.set_readonly(cfg.hydra, False)
    apply(list(overrides), cfg)
    _fill_in(cfg.hydra, overrides, primary.name)
    return cfg


def _fill_in(hydra: Any, overrides: Sequence[Override], config_name: str | None) -> None:
    own = [each for each in overrides if not each.is_hydra_override()]
    hydra.overrides.hydra.extend([each.input_line for each in overrides if each.is_hydra_override()])
    hydra.overrides.task.extend([each.input_line for each in own])
    if hydra.job.env_copy:
        with open_dict(hydra):
            hydra.job.env_set.update({key: os.environ[key] for key in hydra.job.env_copy})
    hydra.runtime.cwd = str(Path.cwd())  # as Hydra has it
    if "name" not in hydra.job:
        hydra.job.name = job_name()
    set_override_dirname(hydra, own)
    hydra.job.config_name = config_name


def _copy_of_base(path: ConfigSearchPath, lower: Callable[[], DictConfig]) -> DictConfig:
    entries = tuple((entry.provider, entry.path) for entry in path.get_path())
    nodes = tuple(_nodes(ConfigStore.instance().repo.get("hydra", {})))
    key = (entries, version_base(), tuple(id(node) for node in nodes))
    base = _bases.get(key)
    if base is None:
        if len(_bases) >= _MOST_KEPT:
            _bases.clear()
        base = _bases[key] = _Base(_pickled(lower()), nodes)
    cfg = pickle.loads(base.pickled)
    assert isinstance(cfg, DictConfig)
    return cfg


def _pickled(cfg: DictConfig) -> bytes:
    cfg.hydra.job.name = "???"
    OmegaConf.clear_cache(cfg)
    OmegaConf.set_struct(cfg, False)
    return pickle.dumps(cfg)


def _nodes(repo: Any) -> Iterator[Any]:
    for value in repo.values():
        if isinstance(value, dict):
            yield from _nodes(value)
        else:
            yield value
