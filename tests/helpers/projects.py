"""Projects of tests/projects to be changed at will, and real environments for them to run in."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from anew.runner.records import EnvironmentFacts
from anew.runner.rerun.rebuilt import rebuilt
from tests.helpers.places import PROJECTS
from tests.helpers.wheelhouse import tiny_wheel, wheelhouse

_NEEDED = ("hydra-core", "omegaconf", "numpy", "platformdirs", "psutil", "rich", "click", "plotext")


def _with_what_they_need(names: tuple[str, ...]) -> dict[str, str]:
    """Return versions of distributions and of all that they need here."""
    found: dict[str, str] = {}
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        distribution = importlib.metadata.distribution(name)
        if distribution.name in found:
            continue
        found[distribution.name] = distribution.version
        for requirement in distribution.requires or ():
            if "extra ==" in requirement:
                continue
            needed = re.split(r"[\s<>=!~;\[(]", requirement)[0]
            try:
                importlib.metadata.distribution(needed)
            except importlib.metadata.PackageNotFoundError:
                continue
            waiting.append(needed)
    return found


def copy_project(name: str, folder: Path) -> None:
    """Copy a project, with the data that it reads."""
    shutil.copytree(PROJECTS / name, folder, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "pyproject.toml").touch()
    _make_data(folder)


@dataclass(frozen=True)
class Tiny:
    """A distribution of one module: its name, its version, its text, and what it needs."""

    name: str
    version: str
    text: str
    needs: tuple[str, ...] = ()


def environments_with(
    package: str, versions: Mapping[str, str], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> list[str]:
    """As `environments_of`, for each version of one module, given as version -> its text."""
    return environments_of([[Tiny(package, *each)] for each in versions.items()], folder, monkeypatch)


def environments_of(contents: Sequence[Sequence[Tiny]], folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """
    Build environments, by uv from wheels of what is installed here and of tiny modules; no network is used.

    Args:
        contents: The tiny modules of each.
        folder: For the wheels and what uv keeps.
        monkeypatch: Has uv use them, in this test and what it starts.

    Returns:
        The interpreters. They are where a re-run with recorded packages looks for such environments.
    """
    packages = _with_what_they_need(_NEEDED)
    wheels = wheelhouse(folder / "wheels", packages)
    for each in dict.fromkeys(tiny for content in contents for tiny in content):
        tiny_wheel(wheels, each.name, each.version, each.text, each.needs)
    monkeypatch.setenv("UV_OFFLINE", "1")
    monkeypatch.setenv("UV_FIND_LINKS", str(wheels))
    monkeypatch.setenv("UV_CACHE_DIR", str(folder / "uv"))
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    cache = Path(os.environ["XDG_CACHE_HOME"], "anew")
    found = []
    for content in contents:
        versions = {each.name: each.version for each in content}
        facts = EnvironmentFacts(python=platform.python_version(), packages={**packages, **versions})
        found.append(str(rebuilt(facts, cache, say=print).python))
    return found


def _make_data(folder: Path) -> None:
    if folder.name == "digits":
        from sklearn.datasets import load_digits

        digits = load_digits()
        (folder / "data").mkdir(exist_ok=True)
        np.savetxt(folder / "data" / "pixels.csv", digits.data[:300], delimiter=",", fmt="%d")
        np.savetxt(folder / "data" / "labels.csv", digits.target[:300], fmt="%d")
    if folder.name == "net":
        np.save(folder / "rows.npy", np.random.default_rng(0).normal(size=(64, 9)).astype(np.float32))
