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
from anew.runner.config.settled import asks_resolvers, settle
from anew.runner.config.signature.spec import TaskSpec
from anew.runner.config.signature.values import arguments as arguments_of
from anew.runner.config.signature.values import recorded, refuse_missing
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

    def fail(self, cfg: DictConfig, error: BaseException) -> Any:
        """Record a job of a sweep that cannot begin, as a run that *error* ends, which is then raised."""
        hydra: Any = HydraConfig.get()
        num = _number(hydra)

        def call(run: Any) -> Any:
            self.raised.append(error)
            raise error

        return self.hand_over(self._described(cfg, hydra, num, {}, self.claim(num), call))

    def _composed(self, cfg: DictConfig, hydra: Any, num: int | None) -> ComposedJob:
        texts = self._texts or _texts(cfg, hydra)
        self._texts = None
        if asks_resolvers(texts["config.yaml"], copied=self.spec.typed):
            settle(cfg, copied=self.spec.typed)
        arguments = arguments_of(self.spec, cfg)
        folder = Path(hydra.runtime.output_dir)
        return replace(
            self._described(cfg, hydra, num, texts, folder, self.call_with(arguments)),
            arguments=arguments,
            hydra_files=_files(folder, hydra, texts),
        )

    def _described(
        self,
        cfg: DictConfig,
        hydra: Any,
        num: int | None,
        texts: Mapping[str, str],
        folder: Path,
        call: Callable[[Any], Any],
    ) -> ComposedJob:
        config = recorded(cfg)
        unresolved = texts.get("config.yaml") or to_yaml(cfg)
        return ComposedJob(
            call=call,
            config=config,
            unresolved=unresolved,
            overrides=self._overrides(hydra, num),
            choices=_choices(hydra),
            settings=self.settings(),
            provenance=Provenance(
                config_name=hydra.job.config_name,
                sources=tuple(f"{each.provider}: {each.schema}://{each.path}" for each in hydra.runtime.config_sources),
                unresolved=unresolved,
                hydra_dir=str(folder),
                flags=self._typed.flags,
                settings=self._typed.ours,
            ),
            views={**texts, "config.yaml": dump(config)},
            notes=self.notes,
            multirun=num is not None,
            job_num=num,
        )

    def _overrides(self, hydra: Any, num: int | None) -> tuple[str, ...]:
        """Outside a sweep as typed; a job of a sweep has Hydra's, less the mode that Hydra itself appended."""
        typed = self._typed.overrides
        if num is None and typed:
            return typed
        # as they are written: one of them may refer to something
        written: Any = OmegaConf.to_container(hydra.overrides, resolve=False)
        hydras = [each for each in written["hydra"] if not each.startswith("hydra.mode=") or each in typed]
        return (*hydras, *written["task"])


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
