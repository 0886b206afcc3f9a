"""
The rooms of the package and who may import whom: right only, never left or across.

Every import counts, also one inside a function or below TYPE_CHECKING: an import that hides from a cycle means that a
name is in the wrong room. What type checkers alone see may go both ways inside one room.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
HOMES = {
    "runner/hydra_plugin": "hydra_plugins.anew",
    "runner": "anew.runner",
    "observers": "anew.observers",
    "integrations": "anew.integrations",
    "configs": "anew.configs",
    "src/anew": "anew",
}

# Each room may import those of the lines below its own. Rooms of one line do not know each other.
LINE = (
    (
        "cli",
        "foreign",
    ),
    ("server",),
    ("integrations", "program", "why"),
    ("experiment",),
    ("started",),
    ("session",),
    ("origins",),
    (
        "rerun",
        "run",
        "sweep",
    ),
    (
        "across",
        "autolog",
        "capture",
        "dispatch",
        "observers",
        "relaunch",
        "testing",
    ),
    (
        "config",
        "store",
    ),
    (
        "query",
        "search",
        "settings",
    ),
    ("wording",),
    (
        "contracts",
        "format",
    ),
    (
        "events",
        "guard",
        "sweep_records",
    ),
    (
        "configs",
        "errors",
        "kernel",
        "places",
        "records",
    ),
    ("attached",),
    (
        "dataclass",
        "markup",
    ),
    ("lazy",),
)
PLACES = {room: place for place, rooms in enumerate(LINE) for room in rooms}

# Whoever reads a configuration, or extends Hydra, knows Hydra; nobody else does.
HYDRA = {"hydra", "omegaconf", "hydra_plugins"}
# Loaded by whoever needs them when they need them, so that `import anew` and a bare `anew` stay quick.
HEAVY = {
    "cmaes",
    "dask",
    "distributed",
    "google",
    "matplotlib",
    "msgspec",
    "numpy",
    "optuna",
    "pandas",
    "platformdirs",
    "packaging",
    "plotext",
    "polars",
    "psutil",
    "psycopg",
    "pyarrow",
    "pymongo",
    "sqlalchemy",
    "starlette",
    "submitit",
    "tensorboard",
    "pynvml",
    "regex",
    "rich",
    "scipy",
    "sklearn",
    "torch",
    "uvicorn",
    "yaml",
}


@dataclass(frozen=True, slots=True)
class Import:
    """
    One import: who, what, on which line.

    Attributes:
        early: Whether it happens as soon as the module is imported.
        typing: Whether it is there for type checkers only, and never happens.
    """

    module: str
    target: str
    line: int
    early: bool
    typing: bool

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
    return parts[1] if len(parts) > 1 and parts[1] != "__main__" else ""


def imports(module: str) -> Iterator[Import]:
    """Every import in a module; names of a package of ours that are modules count as those modules."""
    tree = ast.parse(MODULES[module].read_text(encoding="utf-8"))
    typing = below(tree, lambda node: isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test))
    called = below(tree, lambda node: isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)))
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}, line {node.lineno}: imports are absolute here"
            longer = [f"{node.module}.{alias.name}" for alias in node.names]
            names = [name if name in MODULES else str(node.module) for name in longer]
        else:
            continue
        for name in names:
            yield Import(module, name, node.lineno, node not in typing | called, node in typing)
    yield from (Import(module, name, line, early=False, typing=False) for name, line in later(tree))


def later(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """The modules that a module has imported when it first uses them, by `lazy.modules`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "later":
            yield from ((str(each.value), node.lineno) for each in node.args[:1] if isinstance(each, ast.Constant))


def below(tree: ast.AST, chosen: Callable[[ast.AST], bool]) -> set[ast.AST]:
    """Everything inside the nodes that are chosen."""
    return {inner for outer in ast.walk(tree) if chosen(outer) for inner in ast.walk(outer)}


IMPORTS = [found for module in MODULES for found in imports(module)]


def test_every_room_has_its_place_in_the_line() -> None:
    unknown = {room(module) for module in MODULES} - {""} - PLACES.keys()

    assert not unknown, f"say where these stand in LINE (and in ARCHITECTURE.md): {sorted(unknown)}"


def test_the_page_on_architecture_shows_the_line() -> None:
    page = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    shown = [" | ".join(name for name in rooms if name != "configs") for rooms in LINE]

    assert "```\n" + "\n".join(shown) + "\n```" in page


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
    left: dict[str, set[str]] = {module: set() for module in MODULES}
    for found in IMPORTS:
        if found.target in MODULES and found.target not in ("anew", found.module) and not found.typing:
            left[found.module].add(found.target)
    while outside := [module for module in left if not left[module] or module not in set().union(*left.values())]:
        left = {module: targets - set(outside) for module, targets in left.items() if module not in outside}

    assert not left, f"these modules are in a cycle, or between two: {left}"


def test_rooms_take_nothing_but_the_version_from_the_face() -> None:
    for module, path in MODULES.items():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "anew":
                assert node.attr in ("__version__", "__file__", "configs"), (
                    f"{module}, line {node.lineno}: anew.{node.attr}"
                )
            if isinstance(node, ast.ImportFrom) and node.module == "anew":
                names = {alias.name for alias in node.names}
                assert names <= {"__version__", "runner", "observers", "integrations", "configs"}, (
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
    """The rooms of configuration and of the server are free to: they are loaded late as a whole."""
    wrong = [
        found
        for found in IMPORTS
        if found.early and top(found.target) in HEAVY and room(found.module) not in ("config", "server")
    ]

    assert not wrong, "\n".join(map(str, wrong))


@pytest.mark.parametrize("started", ["process", "shrinking"])
def test_the_guard_process_and_all_it_imports_need_the_standard_library_alone(started: str) -> None:
    """It is started without site-packages, beside every run, and has to be up within milliseconds."""
    needed, waiting = set(), [f"anew.runner.guard.{started}"]
    while waiting:
        needed.add(module := waiting.pop())
        for found in IMPORTS:
            if found.module == module and found.target in MODULES and found.target not in needed and not found.typing:
                waiting.append(found.target)
    foreign = [
        found
        for found in IMPORTS
        if found.module in needed and found.target not in MODULES and top(found.target) not in sys.stdlib_module_names
        # what a process uses is measured with psutil where there is no /proc, and not by the guard
        if found.early or room(found.module) != "kernel"
    ]

    # of the two that `kernel.door` leads to, one is loaded
    assert len(needed) - 1 < 15, f"the guard has come to load much of the package: {sorted(needed)}"
    assert not foreign, "\n".join(map(str, foreign))


def top(name: str) -> str:
    """The package that a module is in."""
    return name.partition(".")[0]


def test_imports_of_our_own_hide_in_functions_only_where_start_up_needs_it() -> None:
    """Each saves a command, or the start of a run, what it does not use; a name in the wrong room needs more."""
    hidden = {
        (found.module, found.line)
        for found in IMPORTS
        if found.target in MODULES and not found.early and not found.typing
    }
    # what is put off at the top of a module is there to be seen
    for module, path in MODULES.items():
        hidden -= {(module, line) for _, line in later(ast.parse(path.read_text(encoding="utf-8")))}

    assert len(hidden) < 27, "\n".join(f"{module}, line {line}" for module, line in sorted(hidden))


def test_no_module_has_grown_beyond_its_subject() -> None:
    lines = {module: len(path.read_text(encoding="utf-8").splitlines()) for module, path in MODULES.items()}
    loose = [path.name for path in (ROOT / "runner").glob("*.py") if path.name != "__init__.py"]

    assert not {module: count for module, count in lines.items() if count > 475}
    assert len(loose) <= 11, f"which room do these belong to? {loose}"


def test_state_of_a_module_is_rebound_nowhere_but_where_a_process_has_one() -> None:
    found = [
        f"{module}, line {node.lineno}"
        for module, path in MODULES.items()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Global)
    ]

    assert len(found) < 5, "\n".join(found)
