"""What is installed: all of the package, nothing beside it, and light to import."""

from __future__ import annotations

import importlib
import importlib.metadata
import json
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from anew.runner.config.private.versions import PYTHONS, TESTED

ROOT = Path(__file__).resolve().parent.parent
# what is ours and comes with the first call of a main, in one place
LATE = [
    "anew.runner.session",
    "anew.runner.run.lifecycle",
    "anew.runner.config.app",
    "anew.runner.store.folder",
    "anew.runner.capture",
    "anew.runner.dispatch",
    # not its `journal_ends`, fifty lines of the standard library, which journals of children are looked at with
    "anew.runner.guard.link",
    "anew.runner.guard.output_log",
    "anew.runner.guard.pump",
    "anew.runner.guard.watch",
    "anew.runner.sweep",
]
HEAVY = [
    "click",
    "hydra",
    "matplotlib",
    "msgspec",
    "numpy",
    "omegaconf",
    "pandas",
    "platformdirs",
    "psutil",
    "rich",
    "starlette",
]
HEAVY += ["uvicorn", "yaml"]


@pytest.fixture(scope="module")
def settings() -> Any:
    """What pyproject.toml says."""
    toml = importlib.import_module("tomllib" if sys.version_info >= (3, 11) else "tomli")
    return toml.loads((ROOT / "pyproject.toml").read_text())


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel of this working copy, built from a copy of it so that no build folder comes to lie here."""
    copy = tmp_path_factory.mktemp("wheel") / "copy"
    unneeded = shutil.ignore_patterns(".*", "__pycache__", "build", "dist", "node_modules", "runs", "*.egg-info")
    shutil.copytree(ROOT, copy, ignore=unneeded)
    build = "import setuptools.build_meta as backend; print(backend.build_wheel('.'))"
    done = run(sys.executable, "-c", build, cwd=copy)
    return copy / done.stdout.splitlines()[-1]


def run(*command: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """Run a command that has to succeed."""
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done


def loaded_after(code: str, among: list[str] = HEAVY) -> set[str]:
    """Those of the heavy libraries that a fresh interpreter has loaded after running *code*."""
    report = f"import sys, json; print(json.dumps([name for name in {among!r} if name in sys.modules]))"
    return set(json.loads(run(sys.executable, "-c", f"{code}\n{report}").stdout))


def test_importing_anew_loads_nothing_heavy() -> None:
    assert loaded_after("import anew") == set()


def test_the_names_for_a_script_load_nothing_heavy() -> None:
    """Hydra comes when main is decorated, numpy when `rng` is called, rich when a table is drawn."""
    assert loaded_after("from anew import AnewError, Experiment, Run, RunRecord, RunStore, Observer") == set()


def test_a_decorated_main_has_loaded_nothing_of_ours_that_only_a_run_needs() -> None:
    """A script is imported more often than run: by the processes of a sweep, by tests, by whoever wants its classes."""
    code = "from anew import Experiment, Run\n@Experiment('x').main\ndef main(lr: float = 0.1, *, run: Run): pass"
    assert loaded_after(code, LATE) == set()
    assert loaded_after("import anew", ["anew.runner", "dataclasses"]) == set()


def test_an_unknown_name_is_answered_with_the_known_ones() -> None:
    import anew

    with pytest.raises(AttributeError, match=r"no attribute 'Experimnt'; it has: .*Experiment"):
        _ = anew.Experimnt


def test_every_public_name_can_be_had() -> None:
    import anew

    for name in anew.__all__:
        assert getattr(anew, name) is not None
    assert set(anew.__all__) <= set(dir(anew))


def test_the_version_has_one_place(settings: Any) -> None:
    import anew

    assert settings["project"]["dynamic"] == ["version"]
    assert settings["tool"]["setuptools"]["dynamic"]["version"] == {"attr": "anew.__version__"}
    lines = (ROOT / "src/anew/__init__.py").read_text().splitlines()
    assert f'__version__ = "{anew.__version__}"' in lines


def test_every_package_of_the_source_is_listed(settings: Any) -> None:
    """The list in pyproject.toml is typed by hand; a package forgotten there is missed by those who install only."""
    homes = {folder: name for name, folder in settings["tool"]["setuptools"]["package-dir"].items()}
    found = set()
    for init in ROOT.glob("*/**/__init__.py"):
        folder = init.parent.relative_to(ROOT)
        home = next((str(path) for path in (folder, *folder.parents) if str(path) in homes), None)
        if home is not None:
            found.add(".".join([homes[home], *folder.relative_to(home).parts]))

    # what a browser loads is no package of Python, and goes along as one
    page = {"anew.runner.server.page"}
    assert found | page == set(settings["tool"]["setuptools"]["packages"])


def test_the_command_leads_to_a_function(settings: Any) -> None:
    scripts = settings["project"]["scripts"]
    assert list(scripts) == ["anew"]

    point = importlib.metadata.EntryPoint("anew", scripts["anew"], "console_scripts")
    assert callable(point.load())


def test_extras_that_messages_name_exist(settings: Any) -> None:
    assert {"gpu", "pandas", "plot"} <= set(settings["project"]["optional-dependencies"])


@pytest.mark.slow
def test_the_wheel_holds_the_package_and_nothing_else(wheel: Path) -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "scripts/check_wheel.py", wheel], capture_output=True, text=True, check=False
    )

    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.slow
def test_a_wheel_with_something_missing_or_foreign_is_noticed(wheel: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.whl"
    with zipfile.ZipFile(wheel) as whole, zipfile.ZipFile(other, "w") as changed:
        for name in whole.namelist():
            changed.writestr(name.replace("anew/runner/format/ids.py", "runner/format/ids.py"), whole.read(name))

    done = subprocess.run(
        [sys.executable, ROOT / "scripts/check_wheel.py", other], capture_output=True, text=True, check=False
    )

    assert done.returncode == 1
    assert "anew/runner/format/ids.py is missing" in done.stdout
    assert "runner/format/ids.py does not belong there" in done.stdout


@pytest.mark.slow
def test_a_wheel_whose_entry_points_lead_nowhere_is_noticed(wheel: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.whl"
    with zipfile.ZipFile(wheel) as whole, zipfile.ZipFile(other, "w") as changed:
        for name in whole.namelist():
            data = whole.read(name)
            if name.endswith("/entry_points.txt"):
                data = data.replace(b"[anew.stores]", b"[old.stores]").replace(b"read.store:", b"read.gone:")
            changed.writestr(name, data)

    done = subprocess.run(
        [sys.executable, ROOT / "scripts/check_wheel.py", other], capture_output=True, text=True, check=False
    )

    assert done.returncode == 1
    assert "the entry points anew.stores are missing" in done.stdout
    assert "mongodb+srv of old.stores leads to anew.observers.mongo.read.gone:open_url" in done.stdout


@pytest.mark.slow
def test_the_wheel_states_version_licence_and_limits(wheel: Path) -> None:
    import anew

    with zipfile.ZipFile(wheel) as held:
        name = next(name for name in held.namelist() if name.endswith(".dist-info/METADATA"))
        metadata = importlib.metadata.PathDistribution(zipfile.Path(held, f"{Path(name).parent}/")).metadata

    assert metadata["Version"] == anew.__version__
    assert metadata["License-Expression"] == "Apache-2.0"
    assert metadata["Requires-Python"] == ">=3.10"
    assert "hydra-core<1.4,>=1.3.2" in metadata.get_all("Requires-Dist", [])


@pytest.mark.parametrize("name", ["anew", "anew.runner.cli", "anew.observers.memory"])
def test_on_windows_an_import_says_in_a_sentence_what_is_missing_and_what_to_do(name: str) -> None:
    code = f"import sys; sys.platform = 'win32'; import {name}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    last = done.stderr.strip().splitlines()[-1]
    assert done.returncode == 1
    assert last.startswith("ImportError: Anew needs a POSIX system")
    assert "fcntl" in last
    assert "WSL" in last


def test_the_distribution_says_that_it_is_for_posix() -> None:
    assert "Operating System :: POSIX" in (importlib.metadata.metadata("anew").get_all("Classifier") or [])


# --- versions ---------------------------------------------------------------------------------------------------------


def test_the_versions_that_are_tested_are_those_that_are_promised(settings: Any) -> None:
    """One table; what else names versions has to agree."""
    project = settings["project"]
    named = [each.rpartition(" ")[2] for each in project["classifiers"] if ":: Python :: 3." in each]

    assert tuple(named) == PYTHONS
    assert project["requires-python"] == f">={PYTHONS[0]}"
    assert f"Python {PYTHONS[0]} to {PYTHONS[-1]} on Linux or macOS" in (ROOT / "README.md").read_text()
    for place, name in enumerate(("hydra-core", "omegaconf")):
        [pin] = [each.removeprefix(name) for each in project["dependencies"] if each.startswith(name)]
        lowest, beyond = (bound.strip("<>=") for bound in pin.split(","))
        known = [version for pair in TESTED for version in pair[place]]
        assert {lowest, f"{lowest}.0"} & {*known}
        assert not {beyond, f"{beyond}.0"} & {*known}
