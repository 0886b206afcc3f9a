"""
The rooms of the package and who may import whom: right only, never left or across.

Every import counts, also one inside a function or below TYPE_CHECKING: an import that hides from a cycle means that a
name is in the wrong room.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
HOMES = {
    "runner/hydra_plugin": "hydra_plugins.anew",
    "runner": "anew.runner",
    "observers": "anew.observers",
    "configs": "anew.configs",
    "src/anew": "anew",
}

# Each room may import those of the lines below its own. Rooms of one line do not know each other.
LINE = (
    ("cli",),
    ("experiment", "query"),
    ("lifecycle",),
    ("run", "pulse"),
    ("recorder", "artifacts", "observers", "testing"),
    ("config", "capture", "store"),
    ("guard",),
    ("filters", "liveness", "settings", "project"),
    ("replay",),
    ("serial", "contracts"),
    ("redact", "values"),
    ("events",),
    ("records",),
    ("ids",),
    ("errors", "fault", "guard_process", "configs"),
)
PLACES = {room: place for place, rooms in enumerate(LINE) for room in rooms}

# Whoever reads a configuration, or extends Hydra, knows Hydra; nobody else does.
HYDRA = {"hydra", "omegaconf", "hydra_plugins"}
# Loaded by whoever needs them when they need them, so that `import anew` and a bare `anew` stay quick.
HEAVY = {
    "matplotlib",
    "numpy",
    "pandas",
    "platformdirs",
    "plotext",
    "psutil",
    "pynvml",
    "rich",
    "sklearn",
    "torch",
    "yaml",
}


@dataclass(frozen=True, slots=True)
class Import:
    """One import: who, what, on which line; `early` when it happens as soon as the module is imported."""

    module: str
    target: str
    line: int
    early: bool

    def __str__(self) -> str:
        return f"{self.module}, line {self.line}: {self.target}"


def modules() -> dict[str, Path]:
    """Every module of the package, by its name once installed."""
    found: dict[str, Path] = {}
    for folder in HOMES:
        for path in sorted((ROOT / folder).rglob("*.py")):
            relative = path.relative_to(ROOT)
            home = next(home for home in HOMES if relative.is_relative_to(home))
            parts = relative.relative_to(home).with_suffix("").parts
            found[".".join([HOMES[home], *(part for part in parts if part != "__init__")])] = path
    return found


MODULES = modules()


def room(module: str) -> str:
    """The room that a module of ours is in; "" for the face."""
    if module.startswith("hydra_plugins."):
        return "config"
    parts = module.removeprefix("anew").removeprefix(".runner").split(".")
    return parts[1] if len(parts) > 1 else ""


def imports(module: str) -> Iterator[Import]:
    """Every import in a module; names of a package of ours that are modules count as those modules."""
    tree = ast.parse(MODULES[module].read_text(encoding="utf-8"))
    later = {id(inner) for outer in ast.walk(tree) if happens_later(outer) for inner in ast.walk(outer)}
    for node in ast.walk(tree):
        early = id(node) not in later
        if isinstance(node, ast.Import):
            yield from (Import(module, alias.name, node.lineno, early) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}, line {node.lineno}: imports are absolute here"
            for alias in node.names:
                name = f"{node.module}.{alias.name}"
                yield Import(module, name if name in MODULES else str(node.module), node.lineno, early)


def happens_later(node: ast.AST) -> bool:
    """Whether what is inside is not run when the module is imported."""
    if isinstance(node, ast.If):
        return "TYPE_CHECKING" in ast.dump(node.test)
    return isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))


IMPORTS = [found for module in MODULES for found in imports(module)]


def test_every_room_has_its_place_in_the_line() -> None:
    unknown = {room(module) for module in MODULES} - {""} - PLACES.keys()

    assert not unknown, f"say where these stand in LINE (and in ARCHITECTURE.md): {sorted(unknown)}"


def test_rooms_import_to_the_right_only() -> None:
    wrong = [
        f"{found} ({room(found.module)} may not know {room(found.target)})"
        for found in IMPORTS
        if found.target in MODULES and not may_know(room(found.module), room(found.target))
    ]

    assert not wrong, "\n".join(wrong)


def may_know(importer: str, imported: str) -> bool:
    """Whether a room may import another. The face hands out names of any room; rooms do not import the face."""
    if importer in ("", imported) or imported == "":
        return True
    return PLACES.get(importer, -1) < PLACES.get(imported, len(LINE))


def test_no_module_imports_itself_by_way_of_others() -> None:
    graph = {
        module: {found.target for found in IMPORTS if found.module == module and found.target in MODULES}
        - {"anew", module}
        for module in MODULES
    }
    left = dict(graph)
    while free := [module for module, targets in left.items() if not targets & left.keys()]:
        for module in free:
            del left[module]

    assert not left, f"these modules are in a cycle, or lead to one: {sorted(left)}"


def test_rooms_take_nothing_but_the_version_from_the_face() -> None:
    for module, path in MODULES.items():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "anew":
                assert node.attr in ("__version__", "__file__"), f"{module}, line {node.lineno}: anew.{node.attr}"
            if isinstance(node, ast.ImportFrom) and node.module == "anew":
                names = {alias.name for alias in node.names}
                assert names <= {"__version__", "runner", "observers", "configs"}, (
                    f"{module}, line {node.lineno}: {names}"
                )


def test_only_the_room_of_configuration_knows_hydra() -> None:
    wrong = [found for found in IMPORTS if top(found.target) in HYDRA and room(found.module) != "config"]

    assert not wrong, "\n".join(map(str, wrong))


def test_the_runner_knows_no_observer_by_name() -> None:
    wrong = [
        found for found in IMPORTS if found.target.startswith("anew.observers") and room(found.module) != "observers"
    ]

    assert not wrong, "\n".join(map(str, wrong))


def test_heavy_libraries_are_imported_when_they_are_used_and_not_before() -> None:
    wrong = [found for found in IMPORTS if found.early and top(found.target) in HEAVY]

    assert not wrong, "\n".join(map(str, wrong))


def test_the_guard_process_stands_alone() -> None:
    """It is started without site-packages, by path, and has to be up within milliseconds."""
    if "anew.runner.guard_process" not in MODULES:
        pytest.fail("there is no runner/guard_process.py; if it has moved, this test goes with it")
    foreign = [
        found
        for found in IMPORTS
        if found.module == "anew.runner.guard_process" and top(found.target) not in sys.stdlib_module_names
    ]

    assert not foreign, "\n".join(map(str, foreign))


def top(name: str) -> str:
    """The package that a module is in."""
    return name.partition(".")[0]
