"""
Look into a built wheel: is all of the package in it, and nothing else?

    python scripts/check_wheel.py dist/anew-0.1.0-py3-none-any.whl

Prints what is wrong, a line each; the exit code is 1 when anything is.
"""

from __future__ import annotations

import configparser
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HOMES = {
    "src/anew": "anew",
    "runner/hydra_plugin": "hydra_plugins/anew",
    "runner": "anew/runner",
    "observers": "anew/observers",
    "integrations": "anew/integrations",
    "configs": "anew/configs",
    "page": "anew/runner/server/page",
}
KINDS = (".py", ".yaml", ".typed")
# what a browser loads: the page's own modules, and what make page fetches for it
PAGE = (
    *("*.html", "*.css", "src/*.js", "src/*.css", "views/*.js", "views/*.css"),
    *("vendor/*.js", "vendor/*.css", "vendor/*.txt", "vendor/*.json"),
)
ENTRIES = ("anew.observers", "anew.stores", "console_scripts")


def main() -> int:
    """Read the command line; return the exit code."""
    with zipfile.ZipFile(sys.argv[1]) as wheel:
        names = set(wheel.namelist())
        entries = [wheel.read(name).decode() for name in names if name.endswith(".dist-info/entry_points.txt")]
    found = problems(names) + entry_problems("\n".join(entries), names)
    for problem in found:
        print(f"{sys.argv[1]}: {problem}")
    return 1 if found else 0


def problems(names: set[str]) -> list[str]:
    """Return what is wrong with a wheel of these file names."""
    held = {name for name in names if ".dist-info/" not in name}
    wanted = {installed_name(path) for path in source_files()}
    found = [f"{name} is missing" for name in sorted(wanted - held)]
    found += [f"{name} does not belong there" for name in sorted(held - wanted)]
    if not any(name.endswith(".dist-info/licenses/LICENSE") for name in names):
        found.append("the licence is missing")
    return found


def entry_problems(text: str, names: set[str]) -> list[str]:
    """Return what is wrong with a wheel's entry points: groups that are missing, targets that are not in it."""
    entries = configparser.ConfigParser(delimiters=("=",), interpolation=None)
    entries.optionxform = str  # type: ignore[assignment,method-assign]  # names keep their case
    entries.read_string(text)
    found = [f"the entry points {group} are missing" for group in ENTRIES if not entries.has_section(group)]
    for group in entries.sections():
        for name, target in entries.items(group):
            path = target.partition(":")[0].strip().replace(".", "/")
            if not {f"{path}.py", f"{path}/__init__.py"} & names:
                found.append(f"the entry point {name} of {group} leads to {target}, which is not in it")
    return found


def source_files() -> list[Path]:
    """Return the files that the package consists of, relative to the working copy."""
    paths = (path for folder in HOMES if folder != "page" for path in (ROOT / folder).rglob("*"))
    page = {path.relative_to(ROOT) for pattern in PAGE for path in (ROOT / "page").glob(pattern)}
    return sorted({path.relative_to(ROOT) for path in paths if path.suffix in KINDS} | page)


def installed_name(path: Path) -> str:
    """Return where a source file is once installed."""
    folder = next(folder for folder in HOMES if path.is_relative_to(folder))
    return (Path(HOMES[folder]) / path.relative_to(folder)).as_posix()


if __name__ == "__main__":
    sys.exit(main())
