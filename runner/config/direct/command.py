"""
A command line whose configuration is plain, understood without Hydra: importing and asking Hydra takes 0.25 s.

The rule is a class, a signature, or nothing, with overrides that set plain values. What is unusual, and whatever is
wrong, is left to Hydra, which composes it from the start and says what there is to say.
"""

from __future__ import annotations

import inspect
import os
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from anew.runner.config.direct.base import Base, kept_base
from anew.runner.config.direct.fields import read_fields
from anew.runner.config.direct.words import NotPlainError, Value, read
from anew.runner.config.direct.yamlwritten import written
from anew.runner.config.signature.spec import TaskSpec
from anew.runner.dataclass import dataclass
from anew.runner.kernel.variables import variables

_VERSIONS = (None, "1.2", "1.3")


@dataclass(frozen=True, kw_only=True, slots=True)
class Plain:
    """
    A command line, understood.

    Attributes:
        base: What Hydra composes for every run alike.
        config, arguments: The configuration as plain values, and what main is called with.
        unresolved, view: The configuration as YAML, as it is written and as it comes out.
        folder: Where the primary configuration's file lies; None for no file.
        overrides, ours: As typed; those of the `anew` node apart.
        settings: The `anew` node.
        name: The app's name.
        config_name: The primary configuration's.
    """

    base: Base
    config: Mapping[str, Any]
    arguments: Mapping[str, Any]
    unresolved: str
    view: str
    folder: str | None
    overrides: tuple[str, ...]
    ours: tuple[str, ...]
    settings: Mapping[str, Any]
    name: str
    config_name: str | None

    @property
    def sources(self) -> tuple[str, ...]:
        """Where configurations are looked for, as on record."""
        if self.folder is None:
            return self.base.sources
        first, *others = self.base.sources
        return (first, f"main: file://{self.folder}", *others)

    def texts(self, folder: Path, cwd: str) -> dict[str, str]:
        """Return Hydra's three files of a job whose output goes to a folder, of a process that began it in *cwd*."""
        return {
            "config.yaml": self.unresolved,
            "hydra.yaml": self.base.filled(
                self.folder,
                self.overrides,
                overrides=",".join(sorted(self.overrides)),
                dir=str(folder),
                name=self.name,
                config=self.config_name,
                cwd=cwd,
            ),
            "overrides.yaml": written(list(self.overrides)),
        }


def could_be_plain(spec: TaskSpec, words: Sequence[str]) -> bool:
    """Whether all that speaks against it may be that Hydra's own part is not known."""
    return (
        spec.version_base in _VERSIONS
        and (spec.config_path is None) == (spec.config_name is None)
        and not any(word.startswith("-") or word.startswith(("hydra", "anew/", "+", "~")) for word in words)
        and not any(name.startswith("HYDRA_") for name in variables())
        and "IPython" not in sys.modules
    )


def understood(spec: TaskSpec, words: Sequence[str], cache: Path) -> Plain | None:
    """Return what a command line comes to; None where that is for Hydra to say."""
    if not could_be_plain(spec, words):
        return None
    try:
        values = [_read(word) for word in words]
        ours = [each for each in values if each.key.startswith("anew.")]
        theirs = [each for each in values if not each.key.startswith("anew.")]
        if any(each.key == "anew" or each.key.startswith("anew.sweep.") for each in values):
            raise NotPlainError
        # read here as well: a class of the user's may do what it likes when one is made
        base = kept_base(cache, spec.version_base)
        if base is None or _has_settings_beside(spec):
            return None
        found = _by_fields(spec, theirs)
        if found is None:
            # OmegaConf comes with them, which not every main needs
            from anew.runner.config.direct.nodes import by_nodes

            found = by_nodes(spec, theirs)
        return Plain(
            base=base,
            **found,
            overrides=tuple(word for word, each in zip(words, values, strict=True) if each in theirs),
            ours=tuple(word for word, each in zip(words, values, strict=True) if each in ours),
            settings=_settings(base, ours, found["config"]),
            name=_name(spec),
            config_name=spec.config_name or primary_name(spec),
        )
    except Exception:  # whatever it is, Hydra meets it too, and it is told from there
        return None


def _by_fields(spec: TaskSpec, overrides: Sequence[Value]) -> dict[str, Any] | None:
    """Return what a class or a signature comes to; None where that is for OmegaConf to say."""
    if spec.config_name is not None:
        return None
    try:
        config, arguments = read_fields(spec, overrides)
    except NotPlainError:
        return None
    text = written(config)
    return {"config": config, "arguments": arguments, "unresolved": text, "view": text, "folder": None}


def primary_name(spec: TaskSpec) -> str | None:
    """Name a primary configuration that is main's signature (`main()`), or a class; None for none."""
    if spec.schema is None:
        return None
    if spec.roles.fields:
        return f"{spec.function.__name__}()"
    cls = spec.schema if isinstance(spec.schema, type) else type(spec.schema)
    return cls.__name__


def _read(word: str) -> Value:
    found = read(word)
    if found is None or found.sign or found.key.partition(".")[0] in ("hydra", "defaults"):
        raise NotPlainError
    return found


def _settings(base: Base, ours: Sequence[Value], config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the `anew` node with what was typed; what is unknown in it is refused when it is read."""
    settings: dict[str, Any] = dict(base.settings)
    for each in ours:
        _, *above, last = each.key.split(".")
        below = settings
        for part in above:
            # the base is every run's; what is changed of it is copied on the way there
            below[part] = dict(below[part])
            below = below[part]
        if isinstance(below.get(last), dict) or (last == "seed" and "seed" in config) or "observers" in above:
            raise NotPlainError
        below[last] = each.value
    return settings


def _has_settings_beside(spec: TaskSpec) -> bool:
    """Whether a file lies beside the script that is not read, which is then said."""
    return os.path.exists(os.path.join(os.path.dirname(inspect.unwrap(spec.function).__code__.co_filename), "anew"))


def _name(spec: TaskSpec) -> str:
    """Return what Hydra calls the app."""
    module = spec.function.__module__
    if module in (None, "__main__"):
        stem = os.path.splitext(os.path.basename(spec.function.__code__.co_filename))[0]
        return re.sub(r"(?u)[^-\w.]", "", stem.strip().replace(" ", "_"))
    return module.rpartition(".")[2]
