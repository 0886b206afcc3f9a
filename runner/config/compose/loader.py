"""Hydra's config loader, with the `anew` node composed beside the user's configuration and taken out again.

Everything downstream (jobs, sweepers, launchers, callbacks, `.hydra/`, `--cfg`, `--help`) sees the user's own
configuration only.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from hydra.core.config_search_path import ConfigSearchPath, SearchPathQuery
from hydra.core.object_type import ObjectType
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.plugins.config_source import ConfigResult
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf, flag_override, open_dict
from omegaconf.errors import OmegaConfBaseException

import anew.configs
from anew.runner.config.compose import quick
from anew.runner.config.private import nodes
from anew.runner.config.private.loading import (
    HydrasLoader,
    Request,
    apply_overrides,
    search_path_of,
    set_override_dirname,
)
from anew.runner.errors import ConfigError
from anew.runner.format.override_text import key_of
from anew.runner.lazy.patterns import regexp
from anew.runner.settings import WRITTEN

PROVIDER = "anew"
OUR_GROUPS = "pkg://anew.configs"
OUR_RUN_DIR = "<run>/files"
OUR_SWEEP_DIR = "<sweep>"
JOB_DIR_RESOLVER = "anew.job_dir"
OUR_JOB_DIR = f"${{{JOB_DIR_RESOLVER}:${{hydra.job.num}}}}"
_BRINGER = "hydra/env/default"
_OBSERVERS = "anew/observers/"
_SEED = "anew.seed"

_OURS = regexp(r"[+~]*anew(?:[./@=].*|$)", re.DOTALL)
_BARE_URL = regexp(r"[A-Za-z][A-Za-z0-9+.-]*://[^\s\"'$\\{}]+")
_OUR_VALUE = regexp(r"\+{0,2}(anew\..*)", re.DOTALL)


def is_ours(override: str) -> bool:
    """Whether an override is about the `anew` node."""
    return _OURS.fullmatch(override) is not None


def search_path(main: str | None) -> ConfigSearchPath:
    """Return Hydra's search path with ours around it: the shadow of its output folders first, our groups last."""
    assert anew.configs.__file__
    path = search_path_of(main)
    path.prepend(PROVIDER, f"file://{Path(anew.configs.__file__).parent / 'shadow'}")
    path.prepend(PROVIDER, OUR_GROUPS, anchor=SearchPathQuery(provider="schema"))
    return path


class Loader(HydrasLoader):
    """
    Composes a user's configuration and, apart from it, the settings of the run.

    Args:
        path: What `search_path` gives.
        ours: Overrides of the `anew` node that were typed.
        schema: A dataclass (or instance) that the YAML configuration must fit, or None.
        check: Called with the configuration of every job of a sweep as it is composed.
        primary: The primary configuration, when all compositions are to be made the quick way.

    Attributes:
        settings: The `anew` node of the configuration composed last, as plain values. An observer has what it was
            before interpolation under `_written_`.
        bases: Compositions that jobs of a sweep differ from in values alone, when they are to be kept.
        planned: Holds a job that is composed once more to what was planned, given the function that composes it.
    """

    def __init__(
        self,
        path: ConfigSearchPath,
        ours: Sequence[str],
        *,
        schema: Any,
        check: Callable[[DictConfig], object],
        primary: quick.Primary | None = None,
    ) -> None:
        super().__init__(path)
        self._path = path
        self._primary = primary
        self.settings: dict[str, Any] = {}
        self._ours = tuple(ours)
        self._schema = schema
        self._schema_due = False
        self._check = check
        self.bases: quick.Bases | None = None
        self.planned: Callable[[DictConfig, Sequence[str], Callable[[], DictConfig]], DictConfig] | None = None

    def __getstate__(self) -> dict[str, Any]:
        """A launcher of Hydra's sends it to its processes, where what is composed was checked here."""
        return {**self.__dict__, "_check": _unchecked, "bases": None}

    def composed(self, request: Request) -> DictConfig:
        """Compose, and take the `anew` node and every trace of it out."""
        ours = [_forced(each) for each in (*self._ours, *filter(is_ours, request.overrides))]
        self._refuse_sweeps(ours)
        theirs = [each for each in request.overrides if not is_ours(each)]
        cfg = self._whole(request.with_overrides([*theirs, *ours]))
        self._take_out(cfg, ours)
        self._seed(cfg, theirs, ours)
        return cfg

    def _seed(self, cfg: DictConfig, theirs: list[str], ours: list[str]) -> None:
        """Have the configuration's own `seed` be the root seed that was typed, unless it was typed as well."""
        seed = self.settings.get("seed")
        if type(seed) is not int or "seed" not in cfg or not any(key_of(each) == _SEED for each in ours):
            return
        written = nodes.written_below(cfg, "seed")
        is_free = written in (None, "???") or type(written) is int
        if is_free and not any(key_of(each) == "seed" for each in theirs):
            with flag_override(cfg, ["struct", "readonly"], [False, False]):
                cfg.seed = seed

    def _whole(self, request: Request) -> DictConfig:
        """Compose with the `anew` node, from files only where it has to be."""
        if self._primary is not None and request.config_name == self._primary.name:
            parsed = OverridesParser.create().parse_overrides(request.overrides)
            if not any(each.is_sweep_override() for each in parsed) and quick.is_plain(parsed):
                return quick.compose(self._primary, parsed, path=self._path, lower=self._lower, apply=apply_overrides)
        parsed = OverridesParser.create().parse_overrides(request.overrides) if self.bases is not None else []
        if self.bases is None or any(each.is_sweep_override() for each in parsed):
            return self.compose(request)
        values = [each for each in parsed if self._is_value(each, request.config_name)]
        deciding = [line for line, each in zip(request.overrides, parsed, strict=True) if each not in values]
        key = (request.config_name, request.run_mode, *deciding)
        cfg = self.bases.copy_of(key, lambda: self.compose(request.with_overrides(deciding)))
        apply_overrides(values, cfg)
        record_overrides(cfg, parsed)
        return cfg

    def _is_value(self, override: Override, config_name: str | None) -> bool:
        """Whether an override sets a value in what is composed, and does not decide what is."""
        return override.package is None and self.names_a_value(override.key_or_group, config_name)

    def names_a_value(self, key: str, config_name: str | None) -> bool:
        """Whether a key of a job's override names a place in the configuration, and no group of files."""
        assert self.bases is not None
        if "/" in key or key.startswith(("hydra", "anew")):
            return False
        if self.bases.repo is None:
            self.bases.repo = self.files_of(config_name, [])
        return not self.bases.repo.group_exists(key)

    def apply(self, overrides: Sequence[str], cfg: DictConfig) -> None:
        """Apply overrides of values to a composed configuration. Raises as Hydra does."""
        apply_overrides(OverridesParser.create(config_loader=self).parse_overrides(list(overrides)), cfg)

    def _lower(self) -> DictConfig:
        """Compose Hydra's own part, and the `anew` node."""
        cfg = self.lower()
        _remove_traces(cfg.hydra, [])
        return cfg

    def load_sweep_config(self, master_config: DictConfig, sweep_overrides: list[str]) -> DictConfig:
        """Compose one job of a sweep; its output folder is asked for when the job starts."""

        def compose() -> DictConfig:
            return self._sweep_config(master_config, sweep_overrides)

        return compose() if self.planned is None else self.planned(master_config, sweep_overrides, compose)

    def load_unchecked(self, master_config: DictConfig, sweep_overrides: list[str]) -> DictConfig:
        """Compose one job of a sweep, whatever main would say to it."""
        return super().load_sweep_config(master_config, sweep_overrides)

    def _sweep_config(self, master_config: DictConfig, sweep_overrides: list[str]) -> DictConfig:
        cfg = super().load_sweep_config(master_config, sweep_overrides)
        with suppress(OmegaConfBaseException):  # may be had where the job runs; if not, that job fails by it
            self._check(cfg)
        sweep = _raw(cfg, "sweep")
        if sweep["dir"] == OUR_SWEEP_DIR:
            cfg.hydra.sweep.dir = _raw(master_config, "sweep")["dir"]
            if sweep["subdir"] == OUR_RUN_DIR:
                cfg.hydra.sweep.subdir = OUR_JOB_DIR
        return cfg

    def get_group_options(
        self,
        group_name: str,
        results_filter: ObjectType | None = ObjectType.CONFIG,
        config_name: str | None = None,
        overrides: list[str] | None = None,
    ) -> list[str]:
        """List a group's options; at the top, of the user's own folders only."""
        if group_name:
            return super().get_group_options(group_name, results_filter, config_name, overrides)
        repo = self.files_of(config_name, overrides or [])
        names = {
            name
            for source in repo.get_sources()
            if source.provider != PROVIDER and source.is_group("")
            for name in source.list("", results_filter)
        }
        return sorted(names)

    def compute_defaults_list(self, config_name: str | None, overrides: list[str], run_mode: RunMode) -> Any:
        """Return the defaults list as `--info` shows it: the user's own."""
        return self.defaults_list(
            config_name,
            [each for each in overrides if not is_ours(each)],
            run_mode,
            is_hidden=_is_our_config,
            # the file that brings our node in stands before an empty one of Hydra's
            is_hydras=lambda path: path == _BRINGER,
        )

    def began(self) -> None:
        """Have the schema wait for a file to be put under."""
        self._schema_due = self._schema is not None

    def loaded(self, path: str, found: ConfigResult) -> None:
        """Put the schema under the first configuration of the user's, so that all the others are checked against it."""
        if path.startswith(_OBSERVERS):
            _under_its_name(found.config, path.rpartition("/")[2])
        if self._schema_due and not _is_our_config(path, "hydra/"):
            self._schema_due = False
            found.config = _over_schema(self._schema, found.config)

    def _refuse_sweeps(self, ours: list[str]) -> None:
        for parsed in OverridesParser.create().parse_overrides(ours) if ours else ():
            if parsed.is_sweep_override():
                line = str(parsed.input_line).removeprefix("++")
                key, _, value = line.partition("=")
                as_list, as_text = shlex.quote(f"{key}=[{value}]"), shlex.quote(f'{key}="{value}"')
                raise ConfigError(
                    f"{line!r} would sweep over a setting of the recording, which is one for all jobs. For a list "
                    f"type: {as_list}; for a text with commas: {as_text}",
                    override=line,
                )

    def _take_out(self, cfg: DictConfig, ours: list[str]) -> None:
        node = nodes.child(cfg, "anew")
        self.settings = _plain(node, resolve=True)
        _add_written(self.settings.get("observers"), node)
        with flag_override(cfg, ["struct", "readonly"], [False, False]):
            cfg.pop("anew", None)
        _remove_traces(cfg.hydra, ours)
        sweep = _raw(cfg, "sweep")
        if sweep["subdir"] == OUR_RUN_DIR and sweep["dir"] != OUR_SWEEP_DIR:
            cfg.hydra.sweep.subdir = "${hydra.job.num}"


def record_overrides(cfg: DictConfig, overrides: Sequence[Override]) -> None:
    """Have Hydra's part of a composed configuration say which overrides it has."""
    own = [each for each in overrides if not each.is_hydra_override()]
    with flag_override(cfg, ["struct", "readonly"], [False, False]):
        cfg.hydra.overrides.task = [each.input_line for each in own]
        set_override_dirname(cfg.hydra, own)


def _unchecked(cfg: DictConfig) -> None:
    return


def _plain(node: Any, *, resolve: bool) -> dict[str, Any]:
    found = OmegaConf.to_container(node, resolve=resolve) if isinstance(node, DictConfig) else {}
    return {str(key): value for key, value in found.items()} if isinstance(found, dict) else {}


def _add_written(observers: Any, node: Any) -> None:
    if not isinstance(observers, dict):
        return
    written = _plain(nodes.child(node, "observers"), resolve=False)
    for name, spec in observers.items():
        if isinstance(spec, dict):
            spec[WRITTEN] = written.get(name)


def _under_its_name(config: Any, name: str) -> None:
    """Put what a file of the group anew/observers holds under the file's name, so that several can be chosen."""
    node = OmegaConf.select(config, "anew.observers")
    if isinstance(node, DictConfig) and set(node) != {name}:
        with flag_override(config, ["struct", "readonly"], [False, False]):
            config.anew.observers = {name: node}


def _remove_traces(hydra: Any, ours: list[str]) -> None:
    with open_dict(hydra):
        sources = hydra.runtime.config_sources
        if any(nodes.written_below(nodes.child(sources, each), "provider") == PROVIDER for each in range(len(sources))):
            hydra.runtime.config_sources = [each for each in sources if each.provider != PROVIDER]
        for group in [each for each in hydra.runtime.choices if each == "anew" or each.startswith("anew/")]:
            del hydra.runtime.choices[group]
        if not ours:
            return
        # as written: `${...}` in an override of ours would be resolved, and what it gives may be a secret
        task = hydra.overrides.task
        typed = [nodes.written_below(task, index) for index in range(len(task))]
        theirs = [each for each in typed if each not in ours]
        hydra.overrides.task = theirs
        set_override_dirname(hydra, OverridesParser.create().parse_overrides(theirs))


def _forced(override: str) -> str:
    """Let a value be set whether the project's own anew/default.yaml has its key or not; the settings are checked."""
    found = _OUR_VALUE.fullmatch(override)
    if not found:
        return override
    key, _, value = found[1].partition("=")
    if _BARE_URL.fullmatch(value):
        # the options of a URL have characters that Hydra wants to be quoted
        value = f'"{value}"'
    return f"++{key}={value}"


def _raw(cfg: DictConfig, name: str) -> dict[str, Any]:
    node = nodes.child(cfg.hydra, name)
    return {key: nodes.written_below(node, key) for key in node}


def _over_schema(schema: Any, config: Any) -> Any:
    """Merge a configuration over the schema; the nodes `hydra` and `anew` are not the schema's business."""
    merged = OmegaConf.structured(schema)
    with flag_override(config, ["struct", "readonly"], [False, False]):
        aside = {key: config.pop(key) for key in ("hydra", "anew") if key in config}
    merged.merge_with(config)
    with open_dict(merged):
        for key, node in aside.items():
            merged[key] = node
    nodes.copy_flag("HYDRA_REMOVE_TOP_LEVEL_DEFAULTS", config, merged)
    return merged


def _is_our_config(path: str, *others: str) -> bool:
    return path.startswith(("anew/", *others))
