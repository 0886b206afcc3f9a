"""
Jobs that differ in plain values alone, run without Hydra's job runner, which takes three times as long as a run does.

What is seen of them is what Hydra shows: main's configuration is made of the one that was composed, and all of it, with
Hydra's part and its three files, as soon as somebody asks. Where a job is to be anything but usual (callbacks, logging,
a folder, variables of its own), nothing is known here, and Hydra's steps are gone through.
"""

from __future__ import annotations

import os
import pickle
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf, flag_override, open_dict

from anew.runner.config.batch.packed import packed, pickled, unpack
from anew.runner.config.compose.inprocess import ShownLater, shown_later, texts_of
from anew.runner.config.compose.jobs import Jobs, Told, told_of
from anew.runner.config.compose.loader import OUR_JOB_DIR, record_overrides
from anew.runner.config.compose.yamltext import dump
from anew.runner.config.direct.logs import HYDRAS, flush, set_logging
from anew.runner.config.output import Output
from anew.runner.config.private.running import chdir_by_default, records_mode_of_runs
from anew.runner.config.signature.values import users_part
from anew.runner.dataclass import dataclass
from anew.runner.format.redact import Redactor


@dataclass(frozen=True, slots=True)
class Alike:
    """
    What jobs have in common that differ in plain values alone.

    Attributes:
        whole: The configuration of one of them, packed.
        users: The same without Hydra's part.
        settings: The `anew` node.
        name: The app's.
        told: What the record has of Hydra's part; the overrides are those of one of them.
    """

    whole: bytes
    users: bytes
    settings: Mapping[str, Any]
    name: str
    told: Told


@dataclass(frozen=True, slots=True)
class JobAlike:
    """
    One of them.

    Attributes:
        common: What it has in common with the others, packed.
        index: The job.
        overrides: As typed.
        values: What is set in it: key -> value.
        config: What it comes to, as plain values, as long as nothing in it refers to anything.
    """

    common: bytes
    index: int
    overrides: tuple[str, ...]
    values: Mapping[str, Any]
    config: Mapping[str, Any]

    @property
    def settings(self) -> Mapping[str, Any]:
        """The `anew` node."""
        return _common(self.common).settings

    @property
    def name(self) -> str:
        """The app's."""
        return _common(self.common).name

    def set_in(self, pickled_cfg: bytes) -> DictConfig:
        """Return the configuration of one of them with the values of this one; the places are all there."""
        cfg: DictConfig = pickle.loads(pickled_cfg)
        for key, value in self.values.items():
            OmegaConf.update(cfg, key, value, merge=True)
        return cfg

    def run(self, jobs: Jobs, sweep_dir: Path) -> None:
        """
        Run it, as `compose.inprocess.run_here` does.

        Args:
            jobs: They claim its place, and call main.
            sweep_dir: The sweep's folder.

        Raises:
            Exception: What main raised, and what stops a job that cannot begin.
        """
        common = _common(self.common)
        folder = Path(os.path.abspath(jobs.claim(self.index)))
        cfg = self.set_in(common.users)
        shown = ShownLater(lambda: _whole(common, self, sweep_dir, folder), lambda: output.make())
        output = Output(folder, partial(_texts, shown))
        set_logging(folder / f"{common.name}.log", output.make)
        with shown_later(shown):
            try:
                told = replace(common.told, task=self.overrides)
                jobs.execute_alike(self.index, cfg, self.config, told, output)
            finally:
                flush()


def alike(cfg: DictConfig, users: DictConfig, settings: Mapping[str, Any], overrides: Sequence[str]) -> bytes | None:
    """Return what a job has in common with those that have other values, packed; None where it is for Hydra to run."""
    if not records_mode_of_runs or not _is_usual(cfg.hydra, overrides):
        return None
    return packed(
        Alike(
            whole=pickled(cfg),
            users=pickled(users),
            settings=dict(settings),
            name=str(cfg.hydra.job.name),
            told=told_of(cfg.hydra),
        )
    )


def _is_usual(hydra: Any, overrides: Sequence[str]) -> bool:
    """Whether Hydra does nothing with a job beside what is done here."""
    written: Any = OmegaConf.to_container(hydra, resolve=False)
    job, sweep = written["job"], written["sweep"]
    is_moved = chdir_by_default() if job["chdir"] is None else job["chdir"] is not False
    texts = [job["name"], job["config_name"] or "", sweep["dir"]]
    return (
        written["mode"] is RunMode.MULTIRUN
        and written["job_logging"] == HYDRAS
        and written["verbose"] is False
        and written["output_subdir"] == ".hydra"
        and sweep["subdir"] == OUR_JOB_DIR
        and not (written["callbacks"] or job["env_set"] or is_moved)
        and (written["sweeper"] or {}).get("storage") is None
        and written["overrides"]["task"] == list(overrides)
        and all(isinstance(each, str) and "$" not in each for each in texts)
        and _holds_no_secret(hydra)
    )


def _holds_no_secret(hydra: Any) -> bool:
    """Whether Hydra's part names no secret: those in main's part, and in what was typed, are looked for in each job."""
    values: Any = OmegaConf.to_container(hydra, enum_to_str=True)
    values["overrides"]["task"] = []
    for name in ("override_dirname", "num", "id"):
        values["job"][name] = ""
    return _is_clean(dump(values))


@lru_cache(maxsize=64)
def _is_clean(text: str) -> bool:
    return Redactor.of_environment().yaml(text) == text


@lru_cache(maxsize=16)
def _common(data: bytes) -> Alike:
    """Return what was packed, the same for all jobs of this process that have it in common."""
    found = unpack(data)
    assert isinstance(found, Alike)
    return found


def _whole(common: Alike, job: JobAlike, sweep_dir: Path, folder: Path) -> DictConfig:
    """Return all of a job's configuration, as it is composed and placed by Hydra."""
    cfg = job.set_in(common.whole)
    record_overrides(cfg, OverridesParser.create().parse_overrides(list(job.overrides)))
    number(cfg, job.index)
    with flag_override(cfg, ["struct", "readonly"], [False, False]):
        cfg.hydra.sweep.dir, cfg.hydra.runtime.output_dir = str(sweep_dir), str(folder)
    OmegaConf.set_readonly(cfg.hydra, True)
    return cfg


def number(cfg: DictConfig, index: int) -> None:
    """Give a composed job its index."""
    with open_dict(cfg):
        cfg.hydra.job.id = str(index)
        cfg.hydra.job.num = index


def _texts(shown: ShownLater) -> dict[str, str]:
    cfg, hydra = shown.made()
    return texts_of(users_part(cfg), hydra)
