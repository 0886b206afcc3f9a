"""A configuration that main is given as OmegaConf's nodes, from a class or one YAML file, composed without Hydra."""

from __future__ import annotations

import inspect
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from anew.runner.config.compose.yamltext import dump, to_yaml
from anew.runner.config.direct.words import NotPlainError, Value
from anew.runner.config.signature.spec import TaskSpec
from anew.runner.config.signature.values import arguments, declared, recorded, refuse_missing
from anew.runner.lazy.patterns import regexp

_RESOLVER = regexp(r"\$\{(?!oc\.)[\w.-]+:")
# keys of a file that mean something to Hydra, or to us
_MEANT = ("hydra", "anew", "defaults")
_HYDRAS = ("hydra", "now", "python_version")
# where a file says where its keys belong: Hydra reads that of the lines before the first key, blank ones among them
_PACKAGE = regexp(r"(?m)^\s*#\s*@")


def by_nodes(spec: TaskSpec, overrides: Sequence[Value]) -> dict[str, Any]:
    """Return what OmegaConf makes of a command line: fields of `command.Plain`. Raises whatever is wrong."""
    folder = config_folder(spec)
    cfg = composed(spec, overrides, folder)
    if spec.typed:
        refuse_missing(spec, cfg)
    lend_resolvers()
    config = recorded(cfg)
    return {
        "config": config,
        "arguments": arguments(spec, cfg),
        "unresolved": to_yaml(cfg),
        "view": dump(config),
        "folder": None if folder is None else str(folder),
    }


def composed(spec: TaskSpec, overrides: Sequence[Value], folder: Path | None) -> DictConfig:
    """
    Compose as Hydra does where there are no groups.

    Args:
        spec: Main.
        overrides: Values to be set.
        folder: Where the YAML file lies; None for no file.

    Raises:
        NotPlainError: A file says what is for Hydra to read.
        Exception: Something is wrong, which Hydra says in its own words.
    """
    if folder is not None and spec.schema is not None:
        raise NotPlainError
    cfg = OmegaConf.create({})
    if folder is not None:
        cfg.merge_with(_loaded(folder, str(spec.config_name), overrides))
    elif spec.schema is not None:
        cfg.merge_with(declared(spec.schema))
    OmegaConf.set_struct(cfg, True)
    for each in overrides:
        OmegaConf.update(cfg, each.key, each.value, merge=True)
    if _RESOLVER.search(OmegaConf.to_yaml(cfg)):
        raise NotPlainError
    return cfg


def _loaded(folder: Path, name: str, overrides: Sequence[Value]) -> DictConfig:
    # a folder beside the file is a group that an override could choose from, or stands for one of Hydra's or ours
    groups = {*_MEANT, *(each.key.partition(".")[0] for each in overrides)}
    if any((folder / each).is_dir() for each in groups) or "/" in name:
        raise NotPlainError
    path = folder / (name if name.endswith(".yaml") else f"{name}.yaml")
    text = path.read_text("utf-8")
    if _PACKAGE.search(text):
        raise NotPlainError
    loaded = OmegaConf.load(path)
    if not isinstance(loaded, DictConfig) or any(each in loaded for each in _MEANT):
        raise NotPlainError
    return loaded


def config_folder(spec: TaskSpec) -> Path | None:
    """Return the folder that the primary configuration's file lies in; None for no file. Raises NotPlainError."""
    if spec.config_name is None:
        if spec.config_path is not None:
            raise NotPlainError
        return None
    path = spec.config_path
    source = Path(inspect.unwrap(spec.function).__code__.co_filename)
    if path is None or "://" in path or not source.is_file():
        raise NotPlainError
    folder = Path(os.path.normpath(Path(os.path.realpath(source)).parent / path))
    if not folder.is_dir():
        raise NotPlainError
    return folder


def lend_resolvers() -> None:
    """Have Hydra's resolvers there for main, which bring Hydra when they are used."""
    for name in _HYDRAS:
        if not OmegaConf.has_resolver(name):
            OmegaConf.register_new_resolver(name, _bringing(name))


def _bringing(name: str) -> Any:
    def resolve(*arguments: str) -> Any:
        # with Hydra, which comes with it
        from anew.runner.config.private.loading import register_resolvers

        register_resolvers()
        return OmegaConf.create({"value": f"${{{name}:{','.join(arguments)}}}"}).value

    return resolve
