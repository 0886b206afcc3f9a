"""What is private in Hydra about composing: its loader, open where ours comes in, and what it is made from."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import lru_cache
from typing import Any

from hydra import version
from hydra._internal import config_loader_impl
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.config_repository import IConfigRepository
from hydra._internal.defaults_list import DefaultsList
from hydra._internal.utils import create_config_search_path
from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.default_element import DefaultsTreeNode, InputDefault, ResultDefault
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.core.utils import JobRuntime, setup_globals
from hydra.plugins.config_source import ConfigResult
from hydra.types import RunMode
from hydra.version import VersionBase
from omegaconf import DictConfig

from anew.runner.dataclass import dataclass


def _needed(cls: type, *names: str) -> None:
    """Find out as early as for a name that is imported. Raises ImportError."""
    for name in names:
        if not hasattr(cls, name):
            raise ImportError(f"cannot import name {name!r} of {cls.__name__!r} from {cls.__module__!r}")


_needed(
    ConfigLoaderImpl,
    "_apply_overrides_to_config",
    "_compose_config_from_defaults_list",
    "_load_configuration_impl",
    "_load_single_config",
    "_parse_overrides_and_create_caching_repo",
)


# `create_config_search_path`: Hydra's own entries, the app's, and those of plugins, in their order.
# Instead: none; `initialize_config_dir` makes one and keeps it.
def search_path_of(main: str | None) -> ConfigSearchPath:
    """Return Hydra's search path for an app whose configuration is at *main*."""
    return create_config_search_path(main)


@dataclass(frozen=True, slots=True)
class Request:
    """
    One composition, as Hydra's loader is asked for it.

    Attributes:
        asked: All of it, by the names that this version of Hydra has for it.
    """

    asked: Mapping[str, Any]

    @property
    def config_name(self) -> str | None:
        """The primary configuration, if there is one."""
        name: str | None = self.asked["config_name"]
        return name

    @property
    def run_mode(self) -> RunMode:
        """Whether jobs are to be made of it."""
        mode: RunMode = self.asked["run_mode"]
        return mode

    @property
    def overrides(self) -> list[str]:
        """What was typed, with the aliases that Hydra 1.4 knows written out."""
        parsed = self.asked.get("parsed_overrides")
        return list(self.asked["overrides"]) if parsed is None else [str(each.input_line) for each in parsed]

    def with_overrides(self, overrides: Sequence[str]) -> Request:
        """Return the same request with other overrides."""
        asked = {**self.asked, "overrides": list(overrides)}
        if asked.get("parsed_overrides") is not None:
            known = {each.input_line: each for each in asked["parsed_overrides"]}
            new = [line for line in overrides if line not in known]
            known |= dict(zip(new, OverridesParser.create().parse_overrides(new) if new else (), strict=True))
            asked["parsed_overrides"] = [known[line] for line in overrides]
        return Request(asked)


# `ConfigLoaderImpl`, with `_load_configuration_impl`, `_load_single_config` and `_compose_config_from_defaults_list`
# overridden, and `_parse_overrides_and_create_caching_repo`: the `anew` node is composed with the user's configuration
# and taken out before anybody sees it; a schema is put under the first of the user's files. `IConfigRepository` and
# `ResultDefault` are what is handed around in it. Instead: a loader that is put together from public parts.
class HydrasLoader(ConfigLoaderImpl):
    """Hydra's loader, which can be told apart: what subclasses come in at has names of ours."""

    def composed(self, request: Request) -> DictConfig:
        """Answer a request; a subclass calls `compose` with it or with another."""
        return self.compose(request)

    def began(self) -> None:
        """Take note that the files of one composition are about to be read."""

    def loaded(self, path: str, found: ConfigResult) -> None:
        """Take note of one file of a composition, and change its configuration if need be."""

    def compose(self, request: Request) -> DictConfig:
        """Compose as Hydra does."""
        return super()._load_configuration_impl(**request.asked)

    def lower(self) -> DictConfig:
        """Compose Hydra's own part, without a primary configuration."""
        return super()._load_configuration_impl(None, [], RunMode.RUN)

    def files_of(self, config_name: str | None, overrides: Sequence[str]) -> IConfigRepository:
        """Return Hydra's view of the configuration's files."""
        _, files = self._parse_overrides_and_create_caching_repo(config_name, list(overrides))
        return files

    def defaults_list(
        self,
        config_name: str | None,
        overrides: Sequence[str],
        run_mode: RunMode,
        *,
        is_hidden: Callable[[str], bool],
        is_hydras: Callable[[str], bool],
    ) -> DefaultsList:
        """
        Return the defaults list as `--info` shows it.

        Args:
            config_name: The primary configuration, or None.
            overrides: As typed.
            run_mode: As for a composition.
            is_hidden: Whether a configuration is left out.
            is_hydras: Whether one is shown as a file of Hydra's that it stands in for.
        """
        found = super().compute_defaults_list(config_name, list(overrides), run_mode)
        found.defaults = [
            replace(each, is_self=False, parent="hydra/config") if is_hydras(each.config_path or "") else each
            for each in found.defaults
            if not is_hidden(each.config_path or "")
        ]
        without(found.defaults_tree, is_hidden)
        return found

    # --- what Hydra calls -----------------------------------------------------------------------------------------

    # Its parameters differ between versions; all of them call it with names.
    def _load_configuration_impl(self, *_: Any, **asked: Any) -> DictConfig:
        return self.composed(Request(asked))

    def _compose_config_from_defaults_list(self, defaults: list[ResultDefault], repo: IConfigRepository) -> DictConfig:
        self.began()
        return super()._compose_config_from_defaults_list(defaults, repo)

    def _load_single_config(self, default: ResultDefault, repo: IConfigRepository) -> ConfigResult:
        found = super()._load_single_config(default, repo)
        self.loaded(default.config_path or "", found)
        return found


# `DefaultsList`, `DefaultsTreeNode`, `InputDefault`: `--info defaults` and `defaults-tree` without our files.
# Instead: none.
def without(tree: DefaultsTreeNode, is_hidden: Callable[[str], bool]) -> None:
    """Take configurations out of a tree; a node that had no other children is a leaf again."""
    kept = []
    for child in tree.children or ():
        node = _node(child)
        if not node.is_self() and is_hidden(node.get_config_path()):
            continue
        if isinstance(child, DefaultsTreeNode):
            without(child, is_hidden)
        kept.append(child)
    hidden_alone = len(kept) < len(tree.children or ()) and all(_node(child).is_self() for child in kept)
    tree.children = None if hidden_alone else kept


def _node(child: DefaultsTreeNode | InputDefault) -> InputDefault:
    return child.node if isinstance(child, DefaultsTreeNode) else child


# `ConfigLoaderImpl._apply_overrides_to_config`: values set in what is composed already, with Hydra's messages.
# Instead: `OmegaConf.update`, which knows no `+`, `~` and no messages of Hydra's.
def apply_overrides(overrides: Sequence[Override], cfg: DictConfig) -> None:
    """Apply overrides of values to a composed configuration. Raises as Hydra does."""
    ConfigLoaderImpl._apply_overrides_to_config(list(overrides), cfg)


# `config_loader_impl.get_overrides_dirname`: `hydra.job.override_dirname` without our overrides, which the loader fills
# in up to 1.3. Instead: the resolver that 1.4 has.
_get_overrides_dirname = getattr(config_loader_impl, "get_overrides_dirname", None)


def set_override_dirname(hydra: Any, overrides: Sequence[Override]) -> None:
    """Have `hydra.job.override_dirname` say these overrides, where it is not worked out when it is read."""
    if _get_overrides_dirname is not None:
        shape = hydra.job.config.override_dirname
        hydra.job.override_dirname = _get_overrides_dirname(
            overrides=list(overrides), kv_sep=shape.kv_sep, item_sep=shape.item_sep, exclude_keys=shape.exclude_keys
        )


# `JobRuntime`: the app's name, which `hydra.job.name` is by default. Instead: none.
def job_name() -> str:
    """Return the name of the app that is active."""
    return str(JobRuntime.instance().get("name"))


def set_job_name(name: str) -> None:
    """Give the app that is active a name."""
    JobRuntime.instance().set("name", name)


# `setup_globals`: what launchers call in their processes, and `hydra.main` in its own. Instead: none.
def register_resolvers() -> None:
    """Have `${hydra:...}`, `${now:...}` and `${python_version:}` resolved in this process."""
    setup_globals()


# `hydra.version`, `version._UNSPECIFIED_`: what `hydra.main` does with its `version_base`; 1.4 warns about every one
# that is given, None included. Instead: none; 1.5 is to have none of it.
_UNSET_VERSION = None if hasattr(version, "base_at_least") else version._UNSPECIFIED_


def set_version_base(wanted: str | None, asked_by: Callable[..., Any] | None = None) -> None:
    """
    Take the defaults of a version of Hydra.

    Args:
        wanted: A version; None for the installed one.
        asked_by: The function that is decorated with it, where Hydra's warning about it belongs; None for no warning.
    """
    if wanted is None:
        version.setbase(_UNSET_VERSION)
    else:
        VersionBase.instance().setbase(_base(wanted, asked_by))


# Once for each main: whoever catches warnings has all those that were shown before be shown again.
@lru_cache(maxsize=64)
def _base(wanted: str, asked_by: Callable[..., Any] | None) -> Any:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        version.setbase(wanted)
    code = getattr(inspect.unwrap(asked_by), "__code__", None) if asked_by is not None else None
    if code is not None:
        for each in caught:
            warnings.warn_explicit(each.message, each.category, code.co_filename, code.co_firstlineno)
    return version.getbase()


def version_base() -> str:
    """Return the version whose defaults are taken."""
    return str(version.getbase())


# `JobRuntime.conf`, `VersionBase`: state of the process, to be put back. Instead: `Singleton.get_state`, which copies
# every resolver and scans for plugins when it is put back.
@contextmanager
def process_kept() -> Iterator[None]:
    """Put the active app's name and the version of its defaults back."""
    job = JobRuntime.instance().conf.copy()
    base = VersionBase.instance().getbase()
    try:
        yield
    finally:
        JobRuntime.instance().conf = job
        VersionBase.instance().version_base = base
