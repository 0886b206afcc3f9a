"""What a whole process pays: a script that does nothing, under `hydra.main` and under `@experiment.main`."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from benchmarks.driver import Aim, Comparison, Contestants, Sample, compete, main, measure_process, workshop

PLAIN = """\
import hydra


@hydra.main(config_path=None, version_base="1.3")
def main(cfg):
    return 0.0


if __name__ == "__main__":
    main()
"""
RECORDED = """\
from anew import Experiment

experiment = Experiment("nothing")


@experiment.main(config_path=None, version_base="1.3")
def main(cfg):
    return 0.0


if __name__ == "__main__":
    main()
"""
SIGNATURE = """\
from anew import Experiment

experiment = Experiment("nothing")


@experiment.main
def main(n: int = 1):
    return 0.0


if __name__ == "__main__":
    main()
"""
NAMES = "from anew import Experiment, Run"
AIMS = [
    Aim(contestant="@experiment.main", quantity="time_s", limit=0.060, more=True),
    Aim(contestant="a signature", quantity="time_s", limit=0.060, more=True),
    Aim(contestant="@experiment.main", quantity="peak_bytes", limit=25e6, more=True),
]


def comparisons(rounds: int | None) -> Iterator[Comparison]:
    """Compare in a folder with nothing else in it, and in a git project of 1,000 files."""
    with workshop() as folder:
        for title, place in (
            ("start-up of a bare script", bare(folder / "bare")),
            ("start-up in a git project of 1,000 files", project(folder / "project", files=1_000)),
        ):
            yield compete(title, contestants(place), rounds=rounds or 15, aims=AIMS)


def contestants(place: Path) -> Contestants:
    """Return the scripts to compare."""

    def script(name: str) -> Sample:
        return measure_process([sys.executable, name], cwd=place)

    return {
        "hydra.main": lambda: script("plain.py"),
        "@experiment.main": lambda: script("recorded.py"),
        "a signature": lambda: script("signature.py"),
        NAMES: lambda: measure_process([sys.executable, "-c", NAMES], cwd=place),
        "python -c pass": lambda: measure_process([sys.executable, "-c", "pass"], cwd=place),
    }


def bare(folder: Path) -> Path:
    """Make a folder with the scripts."""
    folder.mkdir()
    (folder / "plain.py").write_text(PLAIN)
    (folder / "recorded.py").write_text(RECORDED)
    (folder / "signature.py").write_text(SIGNATURE)
    return folder


def project(folder: Path, files: int) -> Path:
    """Make a git repository of *files* modules, one commit, with a changed file and one that is not tracked yet."""
    bare(folder)
    for number in range(files):
        package = folder / f"package_{number % 20}"
        package.mkdir(exist_ok=True)
        (package / f"module_{number}.py").write_text(f'"""Module {number}."""\n\nVALUE = {number}\n' * 20)
    (folder / ".gitignore").write_text("outputs/\nruns/\n__pycache__/\n")
    git = ["git", "-C", str(folder), "-c", "user.name=Nobody", "-c", "user.email=nobody@example.invalid"]
    for arguments in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "All of it"]):
        subprocess.run([*git, *arguments], check=True)
    (folder / "package_0/module_0.py").write_text("VALUE = -1\n")
    (folder / "package_0/new.py").write_text("VALUE = -2\n")
    return folder


if __name__ == "__main__":
    main(comparisons)
