"""The jobs of a sweep, composed when they are planned, and kept until they are run."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

from omegaconf import DictConfig, flag_override

from anew.runner.config.batch.alike import JobAlike, alike, number
from anew.runner.config.batch.packed import pack, pickled, undeclared
from anew.runner.config.batch.plain import Templates
from anew.runner.config.batch.ticket import as_planned
from anew.runner.config.compose.inprocess import shown_hydra
from anew.runner.config.compose.loader import Loader
from anew.runner.config.signature.spec import TaskSpec
from anew.runner.config.signature.values import recorded, users_part
from anew.runner.sweep_records import PlannedJob


class Composing:
    """
    Composes jobs, those that are alike once. To be used in one thread.

    Args:
        spec: Main.
        loader: Composes.
        master: The sweep's own configuration.
    """

    def __init__(self, spec: TaskSpec, loader: Loader, master: DictConfig) -> None:
        self._loader = loader
        self._master = master
        config_name = master.hydra.job.config_name
        self.templates = Templates(spec, lambda key: loader.names_a_value(key, config_name))
        self._kept: dict[int, bytes] = {}

    def compose(self, index: int, words: Sequence[str]) -> Mapping[str, Any]:
        """Return what a job comes to. Raises what Hydra raises."""
        made = self.templates.made(words)
        if made is not None:
            return made.config
        return self._keep(index, words, self._loader.load_sweep_config(self._master, [*words]))

    def packed(self, job: PlannedJob) -> bytes:
        """
        Return what a planned job is run by, once.

        One that another process planned, or that was planned without being composed, is held to the plan.
        """
        if (kept := self._kept.pop(job.index, None)) is not None:
            return kept
        if job.refused:
            return self._refused(job)
        made = self.templates.made(job.overrides)
        if made is not None and made.common is not None and made.config == job.config:
            return pickled(JobAlike(made.common, job.index, job.overrides, made.values, made.config))
        cfg, notes = as_planned(
            self._master, job, lambda: self._loader.load_sweep_config(self._master, [*job.overrides])
        )
        if notes:
            return pack(cfg, self._loader.settings)
        self._keep(job.index, job.overrides, cfg)
        return self._kept.pop(job.index)

    def _keep(self, index: int, words: Sequence[str], cfg: DictConfig) -> dict[str, Any]:
        """Keep a job as it was composed; return what it comes to."""
        number(undeclared(cfg), index)
        with shown_hydra(cfg):
            users = users_part(cfg)
            config = recorded(users)
        common = alike(cfg, users, self._loader.settings, words)
        self.templates.learn(words, users, config, common)
        if common is None:
            self._kept[index] = pack(cfg, self._loader.settings)
        else:
            self._kept[index] = pickled(JobAlike(common, index, tuple(words), {}, config))
        return config

    def _refused(self, job: PlannedJob) -> bytes:
        """Return a job that cannot be composed: it is to fail by that."""
        cfg = copy.deepcopy(self._master)
        with flag_override(cfg, ["struct", "readonly"], [False, False]):
            cfg.hydra.overrides.task = list(job.overrides)
        number(cfg, job.index)
        return pack(cfg, self._loader.settings)
