"""From a configuration that Hydra composed to a job that is recorded."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from anew.runner.config.compose.yamltext import dump, to_yaml
from anew.runner.config.direct.called import Called, Typed
from anew.runner.config.hooks import ComposedJob, JobHooks
from anew.runner.config.output import Output
from anew.runner.config.settled import asks_resolvers, settle
from anew.runner.config.signature.spec import TaskSpec
from anew.runner.config.signature.values import arguments as arguments_of
from anew.runner.config.signature.values import recorded, refuse_missing
from anew.runner.dataclass import dataclass
from anew.runner.records import Provenance


class Jobs(Called):
    """
    The jobs of one command: places claimed for them, and main called for each through the hooks.

    Attributes:
        returned: What main returned, job by job.
        notes: What of a recorded configuration could not be had again.
    """

    def __init__(
        self, spec: TaskSpec, hooks: JobHooks, typed: Typed, settings: Callable[[], Mapping[str, Any]]
    ) -> None:
        super().__init__(spec, hooks, settings)
        self.returned: list[Any] = []
        self._typed = typed
        self._texts: Mapping[str, str] | None = None
        self.notes: tuple[str, ...] = ()

    def check(self, cfg: DictConfig) -> None:
        """Refuse a configuration that main cannot be called with. Raises ConfigError."""
        if self.spec.typed:
            refuse_missing(self.spec, cfg)
            arguments_of(self.spec, cfg)

    def job_dir(self, num: int) -> str:
        """Return the output folder of a sweep's job, for the resolver of that name."""
        return str(self.claim(num))

    def have_texts(self, texts: Mapping[str, str]) -> None:
        """Take the texts of Hydra's three files of the next job, so that they need not be read or made again."""
        self._texts = texts

    def execute(self, cfg: DictConfig) -> Any:
        """Run one job; Hydra's task function, given what main is given in `hydra.main`."""
        hydra: Any = HydraConfig.get()
        num = _number(hydra)
        self.claim(num)
        try:
            job = self._composed(cfg, hydra, num)
        except Exception as error:
            if num is None:
                raise
            return self.fail(cfg, error)
        result = self.hand_over(job)
        self.returned.append(result)
        return result

    def execute_alike(self, num: int, cfg: DictConfig, config: Mapping[str, Any], told: Told, output: Output) -> Any:
        """
        Run one job of a sweep as `execute` does, of which Hydra's part and its files are there when somebody asks.

        Args:
            num: Its index.
            cfg: The user's part of its configuration.
            config: What that comes to, as long as nothing in it refers to anything.
            told: What the record has of Hydra's part.
            output: Its folder, and the files.
        """
        try:
            unresolved = to_yaml(cfg)
            if asks_resolvers(unresolved, copied=self.spec.typed):
                settle(cfg, copied=self.spec.typed)
            arguments = arguments_of(self.spec, cfg)
        except Exception as error:
            return self.fail(cfg, error)
        config = recorded(cfg) if "$" in unresolved else config
        job = self._described(told, num, config, unresolved, {}, output.path, self.call_with(arguments))
        return self.hand_over(replace(job, arguments=arguments, hydra_files=output.files, output=output, is_plain=True))

    def fail(self, cfg: DictConfig, error: BaseException) -> Any:
        """Record a job of a sweep that cannot begin, as a run that *error* ends, which is then raised."""
        hydra: Any = HydraConfig.get()
        num, config, unresolved = _number(hydra), recorded(cfg), to_yaml(cfg)

        def call(run: Any) -> Any:
            self.raised.append(error)
            raise error

        views = {"config.yaml": dump(config)}
        return self.hand_over(self._described(told_of(hydra), num, config, unresolved, views, self.claim(num), call))

    def _composed(self, cfg: DictConfig, hydra: Any, num: int | None) -> ComposedJob:
        texts = self._texts or _texts(cfg, hydra)
        self._texts = None
        if asks_resolvers(texts["config.yaml"], copied=self.spec.typed):
            settle(cfg, copied=self.spec.typed)
        arguments = arguments_of(self.spec, cfg)
        folder, config, unresolved = Path(hydra.runtime.output_dir), recorded(cfg), texts["config.yaml"]
        views = {**texts, "config.yaml": dump(config)}
        call = self.call_with(arguments)
        return replace(
            self._described(told_of(hydra), num, config, unresolved, views, folder, call),
            arguments=arguments,
            hydra_files=_files(folder, hydra, texts),
        )

    def _described(
        self,
        told: Told,
        num: int | None,
        config: Mapping[str, Any],
        unresolved: str,
        views: Mapping[str, str],
        folder: Path,
        call: Callable[[Any], Any],
    ) -> ComposedJob:
        return ComposedJob(
            call=call,
            config=config,
            unresolved=unresolved,
            overrides=self._overrides(told, num),
            choices=told.choices,
            settings=self.settings(),
            provenance=Provenance(
                config_name=told.config_name,
                sources=told.sources,
                unresolved=unresolved,
                hydra_dir=str(folder),
                flags=self._typed.flags,
                settings=self._typed.ours,
            ),
            views=views,
            notes=self.notes,
            multirun=num is not None,
            job_num=num,
        )

    def _overrides(self, told: Told, num: int | None) -> tuple[str, ...]:
        """Outside a sweep as typed; a job of a sweep has Hydra's, less the mode that Hydra itself appended."""
        typed = self._typed.overrides
        if num is None and typed:
            return typed
        hydras = [each for each in told.hydras if not each.startswith("hydra.mode=") or each in typed]
        return (*hydras, *told.task)


@dataclass(frozen=True, slots=True)
class Told:
    """
    What a job's record has of Hydra's part of its configuration.

    Attributes:
        config_name: The primary configuration.
        sources: Where configurations are looked for.
        choices: Config group -> chosen option, Hydra's own groups left out.
        hydras: Hydra's own overrides.
        task: The job's.
    """

    config_name: str | None
    sources: tuple[str, ...]
    choices: Mapping[str, Any]
    hydras: tuple[str, ...]
    task: tuple[str, ...]


def told_of(hydra: Any) -> Told:
    """Return what a job's record has of Hydra's part of its configuration."""
    # as they are written: one of them may refer to something
    written: Any = OmegaConf.to_container(hydra.overrides, resolve=False)
    return Told(
        config_name=hydra.job.config_name,
        sources=tuple(f"{each.provider}: {each.schema}://{each.path}" for each in hydra.runtime.config_sources),
        choices=_choices(hydra),
        hydras=tuple(written["hydra"]),
        task=tuple(written["task"]),
    )


def _number(hydra: Any) -> int | None:
    """Return a job's index in its sweep; None outside of one."""
    return int(hydra.job.num) if hydra.mode == RunMode.MULTIRUN else None


def _files(folder: Path, hydra: Any, names: Iterable[str]) -> tuple[Path, ...]:
    return () if hydra.output_subdir is None else tuple(folder / hydra.output_subdir / name for name in names)


def _texts(cfg: DictConfig, hydra: Any) -> dict[str, str]:
    """Return Hydra's three files of a job, as text."""
    return {
        "config.yaml": to_yaml(cfg),
        "hydra.yaml": dump({"hydra": OmegaConf.to_container(hydra, enum_to_str=True)}),
        "overrides.yaml": to_yaml(hydra.overrides.task),
    }


def _choices(hydra: Any) -> dict[str, Any]:
    found = OmegaConf.to_container(hydra.runtime.choices)
    assert isinstance(found, dict)
    return {str(group): option for group, option in found.items() if not str(group).startswith("hydra/")}
