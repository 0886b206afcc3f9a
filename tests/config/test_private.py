"""
What is private in Hydra and OmegaConf is used in one place, and a version that lacks some of it is refused in words.

All our sources are read, these tests and what users copy among them. A private attribute is known by its name: one
that classes of Hydra or OmegaConf have, or any that is not of the same file's own making in a room that handles their
objects.
"""

from __future__ import annotations

import ast
import inspect
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import hydra
import omegaconf
import pytest
from hydra._internal.core_plugins import basic_sweeper
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.plugins import Plugins
from hydra.core.singleton import Singleton
from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.plugins.sweeper import Sweeper

from anew.observers.memory import MemoryObserver
from anew.runner.config.build import build_observer
from anew.runner.config.private import loading, running, versions
from anew.runner.errors import UnsupportedVersionError
from tests.helpers.releases import HYDRA_1_4

ROOT = Path(__file__).resolve().parents[2]
ROOM = ROOT / "runner/config/private"
SOURCES = ("src", "runner", "observers", "integrations", "configs", "benchmarks", "examples", "scripts", "tests")
# A callback, as users write them, that shows what a job raised without raising it.
USERS = {"tests/apps/callbacks/my_app.py"}
# Where their objects are at hand, every private attribute is looked at.
THEIR_OBJECTS = ("runner/config", "runner/hydra_plugin")

# What Hydra's documentation names, or its examples of apps, launchers, sweepers and callbacks import.
DOCUMENTED = {
    "hydra": {"compose", "initialize", "initialize_config_dir", "initialize_config_module", "main"},
    "hydra.core.config_loader": {"ConfigLoader"},
    "hydra.core.config_search_path": {"ConfigSearchPath", "SearchPathQuery"},
    "hydra.core.config_store": {"ConfigNode", "ConfigStore"},
    "hydra.core.global_hydra": {"GlobalHydra"},
    "hydra.core.hydra_config": {"HydraConfig"},
    "hydra.core.object_type": {"ObjectType"},
    "hydra.core.override_parser.overrides_parser": {"OverridesParser"},
    "hydra.core.override_parser.types": {
        "ChoiceSweep",
        "IntervalSweep",
        "Override",
        "QuotedString",
        "RangeSweep",
        "Sweep",
        "Transformer",
    },
    "hydra.core.plugins": {"Plugins"},
    "hydra.core.singleton": {"Singleton"},
    "hydra.core.utils": {"JobReturn", "JobStatus", "configure_log", "filter_overrides", "run_job"},
    "hydra.errors": {
        "HydraException",
        "InstantiationException",
        "MissingConfigException",
        "OverrideParseException",
        "SearchPathException",
    },
    "hydra.experimental.callback": {"Callback"},
    "hydra.plugins.config_source": {"ConfigResult"},
    "hydra.plugins.launcher": {"Launcher"},
    "hydra.plugins.sweeper": {"Sweeper"},
    "hydra.types": {"HydraContext", "RunMode", "TaskFunction"},
    "hydra.utils": {"get_method", "get_original_cwd", "instantiate", "to_absolute_path"},
    "omegaconf": set(omegaconf.__all__),
    "omegaconf.errors": {"OmegaConfBaseException"},
}


def of_theirs(*classes: type) -> set[str]:
    """The private names that instances of these classes have."""
    return {name for cls in classes for name in vars_of(cls) if is_private(name)}


def vars_of(cls: type) -> set[str]:
    return {*dir(cls), *(name for base in cls.__mro__ for name in inspect.get_annotations(base))}


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.endswith("__")


THEIRS = of_theirs(
    *(each for each in vars(omegaconf).values() if inspect.isclass(each)),
    loading.HydrasLoader.__base__ or object,
    running.Hydra,
    running.Callbacks,
    GlobalHydra,
    HydraConfig,
    JobReturn,
    Launcher,
    Plugins,
    Singleton,
    Sweeper,
    basic_sweeper.BasicSweeper,
)


def private_uses(path: Path, source: str) -> Iterator[str]:
    """Everything in a source that belongs into the room."""
    tree = ast.parse(source)
    own = made_here(tree)
    is_near = str(path.relative_to(ROOT)).startswith(THEIR_OBJECTS)
    imported = imported_modules(tree)
    for node in ast.walk(tree):
        for what in private_imports(node, imported):
            yield f"{path.relative_to(ROOT)}:{node.lineno}: {what}"  # type: ignore[attr-defined]
        name = attribute(node)
        if name is None or not is_private(name) or name in own:
            continue
        if name in THEIRS or is_near:
            yield f"{path.relative_to(ROOT)}:{node.lineno}: .{name}"  # type: ignore[attr-defined]


def private_imports(node: ast.AST, imported: dict[str, str]) -> Iterator[str]:
    if isinstance(node, ast.ImportFrom) and is_theirs(node.module):
        for alias in node.names:
            if alias.name not in DOCUMENTED.get(str(node.module), ()):
                yield f"from {node.module} import {alias.name}"
    elif isinstance(node, ast.Import):
        yield from (f"import {each.name}" for each in node.names if is_theirs(each.name) and "." in each.name)
    elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in imported:
        module = imported[node.value.id]
        if node.attr not in DOCUMENTED[module] and node.attr != "__version__":
            yield f"{module}.{node.attr}"
    elif isinstance(node, ast.Constant) and re.fullmatch(r"(hydra\._internal|omegaconf\._\w)\S*", str(node.value)):
        yield repr(node.value)


def imported_modules(tree: ast.AST) -> dict[str, str]:
    """Their modules that are imported as such, by the names they have in a file."""
    aliases = [alias for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names]
    return {alias.asname or alias.name: alias.name for alias in aliases if alias.name in ("hydra", "omegaconf")}


def attribute(node: ast.AST) -> str | None:
    """The attribute that is asked for: by a dot, by `getattr` and the like, or by `__dict__[...]`."""
    if isinstance(node, ast.Attribute):
        of_python = isinstance(node.value, ast.Name) and node.value.id in sys.stdlib_module_names
        return None if of_python else node.attr
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("getattr", "hasattr"):
        named = node.args[1]
    elif isinstance(node, ast.Subscript) and isinstance(node.value, ast.Attribute) and node.value.attr == "__dict__":
        named = node.slice
    else:
        return None
    return named.value if isinstance(named, ast.Constant) and isinstance(named.value, str) else None


def made_here(tree: ast.AST) -> set[str]:
    """The private names that a file defines: functions, methods, what it assigns to `self`, fields of its classes."""
    made = set()
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            made.add(node.name)
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            if isinstance(node.value, ast.Name) and node.value.id in ("self", "cls"):
                made.add(node.attr)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            made.add(node.id)
    return made


def overridden(tree: ast.AST) -> set[str]:
    """The methods of classes that derive from something which is not of the same file."""
    classes = [node for node in ast.walk(tree) if isinstance(node, ast.ClassDef) and node.bases]
    return {item.name for node in classes for item in node.body if isinstance(item, ast.FunctionDef)}


def is_theirs(module: str | None) -> bool:
    return str(module).partition(".")[0] in ("hydra", "omegaconf")


def sources() -> Iterator[Path]:
    for folder in SOURCES:
        for path in sorted((ROOT / folder).rglob("*.py")):
            if ROOM not in path.parents and path != Path(__file__) and str(path.relative_to(ROOT)) not in USERS:
                yield path


def test_nothing_private_of_hydra_and_omegaconf_is_used_outside_of_its_room() -> None:
    found = [use for path in sources() for use in private_uses(path, path.read_text("utf-8"))]

    assert not found, "these belong into runner/config/private:\n" + "\n".join(found)


def test_no_class_outside_of_the_room_overrides_what_is_private() -> None:
    found = [
        f"{path.relative_to(ROOT)}: {name}"
        for path in sources()
        if str(path.relative_to(ROOT)).startswith(THEIR_OBJECTS)
        for name in overridden(ast.parse(path.read_text("utf-8"))) & THEIRS
    ]

    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    "source",
    [
        "from hydra._internal.hydra import Hydra",
        "from hydra.core.utils import JobRuntime",
        "from hydra.core.utils import JobReturn, _flush_loggers",
        "from omegaconf import _utils",
        "from omegaconf.basecontainer import BaseContainer",
        "import hydra._internal.utils as utils",
        "import hydra\nhydra.core.utils.run_job",
        "def f(cfg): return cfg._get_node('a')",
        "def f(node): return getattr(node, '_value')()",
        "def f(cfg): return cfg.__dict__['_content']",
        "TARGET = 'hydra._internal.core_plugins.basic_launcher.BasicLauncher'",
        "def f(done): return done._return_value",
        "def f(loader): return loader._apply_overrides_to_config",
    ],
)
def test_the_line_is_seen_when_it_is_crossed(source: str) -> None:
    assert list(private_uses(ROOT / "runner/cli/show.py", source))


@pytest.mark.parametrize(
    "source",
    [
        "class A:\n    def _value(self): pass\n    def b(self): return self._value()",
        "import hydra\n@hydra.main(config_path=None)\ndef main(cfg): pass",
        "from omegaconf import OmegaConf, open_dict",
    ],
)
def test_what_is_ours_or_documented_is_no_crossing(source: str) -> None:
    assert not list(private_uses(ROOT / "runner/config/app.py", source))


def test_every_private_name_says_what_it_is_for_and_what_is_to_take_its_place() -> None:
    for path in sorted(ROOM.glob("*.py")):
        text = path.read_text("utf-8")
        said = [block for block in comments(text) if "Instead:" in block]
        for name in sorted(named_private(ast.parse(text))):
            assert any(re.search(rf"\b{name}\b", block) for block in said), f"{path.name}: {name}"


def comments(text: str) -> list[str]:
    return re.findall(r"(?m)(?:^[ \t]*#.*\n)+", text)


def named_private(tree: ast.AST) -> set[str]:
    """What a file of the room takes of theirs without being offered it: imported, or asked of their objects."""
    found = {name for node in ast.walk(tree) if (name := attribute(node)) is not None and is_private(name)}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and is_theirs(node.module):
            documented = DOCUMENTED.get(str(node.module), set())
            # modules that stand for a name in them which not every version has
            found |= {alias.name for alias in node.names if alias.name not in documented and alias.asname is None}
    return found - made_here(tree)


def test_observers_of_ours_are_made_without_a_word_from_hydra() -> None:
    observer = build_observer("memory", {"_target_": "anew.observers.memory.MemoryObserver"})

    assert isinstance(observer, MemoryObserver)


# --- versions -----------------------------------------------------------------------------------------------------

SCRIPT = """
from anew import Experiment


@Experiment("demo").main
def main(lr: float = 0.1):
    return lr


main()
"""


def test_the_pins_are_those_that_a_refusal_tells_to_type() -> None:
    pinned = (ROOT / "pyproject.toml").read_text("utf-8")

    assert all(f'"{each.requirement}"' in pinned for each in (versions.HYDRA, versions.OMEGACONF))


def test_the_versions_are_those_that_are_installed() -> None:
    found = versions.versions()

    assert (found.hydra, found.omegaconf) == (hydra.__version__, omegaconf.__version__)


def test_asking_for_the_versions_imports_neither() -> None:
    code = (
        "import sys; from anew.runner.config.private.versions import versions; versions();"
        "assert not {'hydra', 'omegaconf'} & set(sys.modules)"
    )

    subprocess.run([sys.executable, "-c", code], check=True)


def test_an_experiment_begins_without_what_only_a_refusal_needs() -> None:
    code = "import sys; import anew.runner.config.main; assert 'importlib.metadata' not in sys.modules"

    subprocess.run([sys.executable, "-c", code], check=True)


def pretend(folder: Path, version: str, text: str) -> dict[str, str]:
    """Put a Hydra of another version before the one that is installed; return the environment in which it is there."""
    (folder / "hydra").mkdir(parents=True)
    (folder / "hydra/__init__.py").write_text(f"__version__ = {version!r}\n{text}\n")
    (folder / f"hydra_core-{version}.dist-info").mkdir()
    (folder / f"hydra_core-{version}.dist-info/METADATA").write_text(f"Name: hydra-core\nVersion: {version}\n")
    return {**os.environ, "PYTHONPATH": str(folder)}


@pytest.mark.parametrize(
    ("version", "text", "why"),
    [
        ("1.2.0", "raise ValueError('mutable default <class OverrideDirname>')", "ValueError: mutable default"),
        ("1.5.0", "", "ModuleNotFoundError: No module named 'hydra.core'"),
        # tested, but not with the OmegaConf that is here
        ("1.3.8" if HYDRA_1_4 else "1.4.0rc3", "import omegaconf._no_such", "No module named 'omegaconf._no_such'"),
    ],
)
def test_a_version_that_cannot_be_used_is_refused_in_one_message(
    project: Path, tmp_path: Path, version: str, text: str, why: str
) -> None:
    (project / "train.py").write_text(SCRIPT)

    done = subprocess.run(
        [sys.executable, "train.py"], env=pretend(tmp_path / "other", version, text), capture_output=True, text=True
    )

    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    assert done.stderr.startswith(f"anew: Anew does not work with hydra-core {version} and omegaconf ")
    assert why in done.stderr
    assert "1.3.2 or 1.3.8 with omegaconf 2.3.0 or 2.3.1" in done.stderr
    assert "python -m pip install 'hydra-core>=1.3.2,<1.4' 'omegaconf>=2.3,<2.4'" in done.stderr
    assert not (project / "runs").exists()


@pytest.mark.parametrize("name", ["attr.py", "yaml.py", "omegaconf.py"])
def test_a_script_that_hides_a_library_is_named(project: Path, name: str) -> None:
    (project / name).write_text(SCRIPT)

    done = subprocess.run([sys.executable, name, "-m", "lr=1,2"], cwd=project, capture_output=True, text=True)

    assert done.returncode == 2, done.stderr
    assert f"{name} has the name of a library, {name[:-3]}," in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.skipif(HYDRA_1_4, reason="Hydra 1.4 has its own antlr4")
def test_a_library_below_hydra_that_does_not_fit_it_is_named(project: Path, tmp_path: Path) -> None:
    (project / "train.py").write_text(SCRIPT)
    folder = tmp_path / "other"
    (folder / "antlr4").mkdir(parents=True)
    (folder / "antlr4/__init__.py").write_text("raise Exception('Could not deserialize ATN')\n")
    told = folder / "antlr4_python3_runtime-4.13.2.dist-info"
    told.mkdir()
    (told / "METADATA").write_text("Name: antlr4-python3-runtime\nVersion: 4.13.2\n")
    variables = {**os.environ, "PYTHONPATH": str(folder)}

    # a plain run may do without Hydra, and so without what is below it
    for command in (["train.py", "hydra.job.name=x"], ["train.py", "-m", "lr=1,2"], ["-m", "anew", "check"]):
        done = subprocess.run([sys.executable, *command], env=variables, cwd=project, capture_output=True, text=True)
        said = " ".join((done.stdout + done.stderr).split())
        assert done.returncode == 2, said
        assert "needs antlr4-python3-runtime ==4.9.*, and 4.13.2 is installed. Tested is" in said
        assert "Traceback" not in said


def test_a_version_that_is_too_old_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(omegaconf, "__version__", "2.2.3")

    with pytest.raises(UnsupportedVersionError, match=r"omegaconf 2\.2\.3 is too old"), versions.supported():
        pass


@pytest.mark.parametrize("version", ["1.3.9", "1.4.0", "2.0.0.dev1"])
def test_a_newer_version_that_has_all_names_is_taken(monkeypatch: pytest.MonkeyPatch, version: str) -> None:
    monkeypatch.setattr(hydra, "__version__", version)

    with versions.supported():
        from anew.runner.config import app

    assert callable(app.run)


def test_a_fault_of_ours_stays_one_with_versions_that_were_tested() -> None:
    with pytest.raises(ImportError, match="ours") as caught, versions.supported():
        raise ImportError("ours")

    assert not isinstance(caught.value, UnsupportedVersionError)
