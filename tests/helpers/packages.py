"""Packages that look installed, for what is found by entry points."""

from __future__ import annotations

from pathlib import Path


def install(folder: Path, name: str, entries: str, code: str) -> Path:
    """
    Write a distribution of one module into a folder, which the caller puts on the path; return the folder.

    Args:
        folder: Made when it is not there.
        name: Of the distribution and of its module.
        entries: What its `entry_points.txt` says.
        code: The module's.
    """
    facts = folder / f"{name}-1.0.dist-info"
    facts.mkdir(parents=True)
    (facts / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (facts / "entry_points.txt").write_text(entries)
    (folder / f"{name}.py").write_text(code)
    return folder
