"""Run one job for a caller in Python: the steps of Hydra's own job runner, a few milliseconds instead of many.

The same things happen, seen from main and from callbacks, in the same order. Nothing is copied that main cannot change
anyway, YAML is written by libyaml where PyYAML has it, and what main raises is raised as it is.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import JobReturn, JobStatus, configure_log
from omegaconf import DictConfig, OmegaConf, open_dict

from anew.runner.config.compose.yamltext import to_yaml
from anew.runner.config.private import nodes
from anew.runner.config.private.loading import job_name
from anew.runner.config.private.running import Callbacks, chdir_by_default, flush_loggers, variables_set
from anew.runner.config.signature.values import users_part


def run_here(
    task: Callable[[DictConfig], Any],
    cfg: DictConfig,
    callbacks: Callbacks,
    on_saved: Callable[[Mapping[str, str]], object],
    folder: Callable[[DictConfig], Path] = lambda cfg: Path(str(OmegaConf.select(cfg, "hydra.run.dir"))),
) -> JobReturn:
    """
    Run *task* with a composed configuration.

    Args:
        task: Called with the user's part of the configuration.
        cfg: All of it; becomes read-only in Hydra's part.
        callbacks: Told of the job's start and end.
        on_saved: Given the texts of Hydra's three files, by name, before *task* is called.
        folder: Says where the job's output goes.

    Returns:
        What Hydra's runner returns, for callbacks; the status is COMPLETED.

    Raises:
        Exception: What *task* raised, after the callbacks were told.
    """
    with _placed(cfg, folder) as hydra, _working_dir(hydra):
        overrides: Any = OmegaConf.to_container(hydra.overrides.task, resolve=False)
        done = JobReturn(
            cfg=users_part(cfg),
            hydra_cfg=HydraConfig.instance().cfg,  # type: ignore[arg-type]  # Hydra's annotation says the node's class
            overrides=overrides,
            working_dir=str(Path.cwd()),
        )
        configure_log(hydra.job_logging, hydra.verbose)
        on_saved(_save(done, hydra))
        with variables_set(hydra.job.env_set):
            callbacks.on_job_start(config=cfg, task_function=task)
            try:
                done.return_value = task(done.cfg)  # type: ignore[arg-type]  # set above
                done.status = JobStatus.COMPLETED
            except Exception as error:
                done.return_value = error
                done.status = JobStatus.FAILED
                raise
            finally:
                if done.status is not JobStatus.UNKNOWN:
                    done.task_name = job_name()
                    flush_loggers()
                    callbacks.on_job_end(config=cfg, job_return=done)
    return done


@contextmanager
def shown_hydra(cfg: DictConfig) -> Iterator[None]:
    """
    Make a configuration the one that `HydraConfig` and `${hydra:...}` show.

    `HydraConfig.set_config` would do it with three copies; here the node itself is shown, its parent unchanged so that
    it can refer to the user's part.
    """
    with _answering(_shown(cfg)):
        yield


def _shown(cfg: DictConfig) -> DictConfig:
    shown = OmegaConf.create({})
    nodes.show(shown, "hydra", nodes.child(cfg, "hydra"))
    return shown


class ShownLater:
    """
    A configuration that is made when somebody asks what `HydraConfig` and `${hydra:...}` show.

    Args:
        make: Makes it.
        on_asked: Called once it is there, the first time that somebody asks.
    """

    def __init__(self, make: Callable[[], DictConfig], on_asked: Callable[[], object]) -> None:
        self._make = make
        self._on_asked = on_asked
        self._made: tuple[DictConfig, DictConfig] | None = None

    def made(self) -> tuple[DictConfig, DictConfig]:
        """Return the whole configuration, and what is shown of it."""
        if self._made is None:
            cfg = self._make()
            self._made = cfg, _shown(cfg)
        return self._made

    def __getattr__(self, name: str) -> Any:
        """Give what is shown to whoever asks for something in it."""
        _, shown = self.made()
        instance: Any = HydraConfig.instance()
        if instance.cfg is self:
            instance.cfg = shown
            self._on_asked()
        return getattr(shown, name)


@contextmanager
def shown_later(later: ShownLater) -> Iterator[None]:
    """Make a configuration the one that `HydraConfig` and `${hydra:...}` show, as `shown_hydra` does."""
    with _answering(later):
        yield


@contextmanager
def _answering(shown: DictConfig | ShownLater) -> Iterator[None]:
    """Have something answer for `HydraConfig`."""
    instance: Any = HydraConfig.instance()  # its annotation says the node's class
    before, instance.cfg = instance.cfg, shown
    try:
        yield
    finally:
        instance.cfg = before


@contextmanager
def _placed(cfg: DictConfig, place: Callable[[DictConfig], Path]) -> Iterator[Any]:
    """Show a configuration, with its output folder, which is made."""
    with shown_hydra(cfg):
        folder = Path(os.path.abspath(place(cfg)))  # may not exist
        with open_dict(cfg.hydra.runtime):
            cfg.hydra.runtime.output_dir = str(folder)
        folder.mkdir(parents=True, exist_ok=True)
        OmegaConf.set_readonly(cfg.hydra, True)
        yield cfg.hydra


@contextmanager
def _working_dir(hydra: Any) -> Iterator[None]:
    """Change into the output folder when `hydra.job.chdir` says so; unset, it meant yes before Hydra 1.2."""
    chdir = hydra.job.chdir
    if chdir is None:
        chdir = chdir_by_default()
    before = Path.cwd()
    if chdir:
        os.chdir(hydra.runtime.output_dir)
    try:
        yield
    finally:
        if chdir:
            os.chdir(before)


def _save(done: JobReturn, hydra: Any) -> dict[str, str]:
    texts = texts_of(done.cfg, done.hydra_cfg)
    if hydra.output_subdir is not None:
        folder = Path(hydra.runtime.output_dir, hydra.output_subdir)
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in texts.items():
            (folder / name).write_text(text, "utf-8")
    return texts


def texts_of(users: Any, shown: Any) -> dict[str, str]:
    """Return Hydra's three files of a job: name -> text."""
    nodes = {"config.yaml": users, "hydra.yaml": shown, "overrides.yaml": shown.hydra.overrides.task}
    return {name: to_yaml(node) for name, node in nodes.items()}
