"""
What Hydra composes for every run alike, kept on disk: its own part as YAML, and the settings of the recording.

It is composed by Hydra once for an installation. What it depends on, the files of Hydra, of OmegaConf and of ours, and
the folders that plugins can lie in, is looked at each time, a `stat` for each; where one of them has changed, or is
new, nothing is known here.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any
from zlib import crc32

import anew
import anew.configs
from anew.runner.config.direct.words import NotPlainError
from anew.runner.config.direct.yamlwritten import is_simple, text_written
from anew.runner.dataclass import dataclass

MARK = "ANEW-MARK-"
_MAIN = f"    - path: {MARK}main\n      schema: file\n      provider: main\n"
_PACKAGES = ("hydra", "omegaconf")
_OURS = ("default.yaml", "observers/files.yaml")
_SHADOW = ("output", "env")


@dataclass(frozen=True, slots=True)
class Base:
    """
    Hydra's own part of a configuration, and ours.

    Attributes:
        hydra: Hydra's, as YAML, with marks where a run's own values go.
        settings: The `anew` node, as plain values.
        sources: Where configurations are looked for, the user's folder left out.
    """

    hydra: str
    settings: Mapping[str, Any]
    sources: tuple[str, ...]

    def filled(self, main: str | None, task: Sequence[str], **values: str | None) -> str:
        """
        Return Hydra's part of one run's configuration.

        Args:
            main: The user's folder of YAML files, if there is one.
            task: The overrides.
            values: The rest, by the names of the marks.
        """
        if not all(each is None or each == "" or is_simple(each) for each in (main, *task, *values.values())):
            return self._filled_by_yaml(main, task, values)
        text = self.hydra.replace(_MAIN, "") if main is None else self.hydra.replace(f"{MARK}main", text_written(main))
        text = text.replace(f"\n    - {MARK}task", "".join(f"\n    - {text_written(each)}" for each in task) or " []")
        for name, value in values.items():
            text = text.replace(f"{MARK}{name}", "null" if value is None else text_written(value) or "''")
        return text

    def _filled_by_yaml(self, main: str | None, task: Sequence[str], values: Mapping[str, str | None]) -> str:
        """Return the same where a text has to be written in quotes, or on several lines."""
        # not at the top: few runs need it
        import yaml

        from anew.runner.config.compose.yamltext import dump

        def fill(node: Any) -> Any:
            if isinstance(node, dict):
                return {key: fill(value) for key, value in node.items()}
            if isinstance(node, list):
                return [fill(value) for value in node if main is not None or not is_main(value)]
            return values[node.removeprefix(MARK)] if isinstance(node, str) and node.startswith(MARK) else node

        def is_main(node: Any) -> bool:
            return isinstance(node, dict) and node.get("path") == f"{MARK}main"

        found = yaml.safe_load(self.hydra)
        found["hydra"]["overrides"]["task"] = list(task)
        values = {**values, "main": main}
        return dump(fill(found))


@dataclass(frozen=True, slots=True)
class _Kept:
    """What is known in this process, and what it depends on, where packages are looked for among it."""

    base: Base
    stamps: list[Any]
    places: list[Any]


_known: dict[tuple[Path, str | None], _Kept] = {}


def kept_base(cache: Path, version_base: str | None) -> Base | None:
    """Return what Hydra composed earlier; None when that does not hold here any more."""
    with suppress(OSError, ValueError, KeyError, TypeError, NotPlainError):
        places, key = _places(), (cache, version_base)
        known = _known.get(key)
        if known is not None and known.places == places and known.stamps == [_stamp(path) for path, *_ in known.stamps]:
            return known.base
        path = _path(cache, version_base)
        data = path.read_bytes()
        head, _, body = data.partition(b"\n")
        if int(head, 16) != crc32(body):
            return None
        found = json.loads(body)
        if found["stamps"] != _stamps():
            return None
        base = Base(found["hydra"], found["settings"], tuple(found["sources"]))
        _known[key] = _Kept(base, found["stamps"], places)
        return base
    return None


def keep_base(cache: Path, version_base: str | None, base: Base) -> None:
    """Keep what Hydra composed; where it cannot be kept it is composed again next time."""
    with suppress(OSError, ValueError, TypeError, NotPlainError):
        stamps = _stamps()
        body = json.dumps(
            {"stamps": stamps, "hydra": base.hydra, "settings": base.settings, "sources": base.sources}
        ).encode()
        path = _path(cache, version_base)
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_name(f"{path.name}.{os.getpid()}")
        beside.write_bytes(b"%08x\n" % crc32(body) + body)
        beside.replace(path)


def _path(cache: Path, version_base: str | None) -> Path:
    homes = (str(_home(name)) for name in (*_PACKAGES, "anew"))
    where = "\n".join((anew.__version__, sys.version, version_base or "", *homes)).encode()
    return cache / "hydra" / f"{crc32(where):08x}.json"


def _stamps() -> list[Any]:
    """Return what Hydra's own part is composed from, as `stat` shows it. Raises NotPlainError, OSError."""
    homes = {name: _home(name) for name in _PACKAGES}
    configs = Path(str(anew.configs.__file__)).parent
    ours = [configs / "anew" / name for name in _OURS]
    shadows = [configs / "shadow" / "hydra" / name / "default.yaml" for name in _SHADOW]
    files = [home / each for home in homes.values() for each in ("__init__.py", "version.py")]
    places = [os.path.join(each or os.curdir, "hydra_plugins") for each in sys.path]
    # of a plugin that somebody works on no folder's time tells whether it has changed
    known = {
        str(homes["hydra"].parent / "hydra_plugins"),
        str(Path(str(anew.__file__)).parent.parent / "hydra_plugins"),
    }
    plugins = [each for each in places if os.path.isdir(each)]
    if any(os.path.abspath(each) not in known for each in plugins):
        raise NotPlainError
    # what is installed there leaves its name in it, be it a link to a folder elsewhere
    sites = [each for each in sys.path if each.endswith("-packages")]
    return [_stamp(each) for each in (*map(str, (*files, *ours, *shadows)), *plugins, *sites)]


def _home(package: str) -> Path:
    """Return the folder of a package that need not have been imported."""
    for each in sys.path:
        if os.path.isfile(os.path.join(each or os.curdir, package, "__init__.py")):
            return Path(each or os.curdir, package)
    raise NotPlainError


def _places() -> list[Any]:
    """
    Return where packages are looked for, as `stat` shows it: with a package, or a folder of plugins, a place changes.

    That is a look for each place, and not for each place and name.
    """
    found: list[Any] = [os.getcwd()]
    for each in sys.path:
        try:
            found.append(_stamp(each or os.curdir))
        except OSError:
            found.append(each)
    return found


def _stamp(path: str) -> list[Any]:
    found = os.stat(path)
    return [path, found.st_mtime_ns, found.st_size, found.st_ino]
