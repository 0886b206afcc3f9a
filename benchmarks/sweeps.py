"""
What a job of a sweep costs when main does nothing: ours beside Hydra's launchers, which keep no record.

Each sample is two sweeps, of few jobs and of many; what the further jobs took is what a job takes, without the start of
Python, Hydra and workers. What recording takes of it is measured by `benchmarks.runs`.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from benchmarks.driver import Comparison, Contestants, Sample, compete, main, measure_process, workshop

FEW, MANY = 10, 110
SCRIPT = """\
{imports}


@{decorator}(config_path="conf", config_name="config", version_base="1.3")
def main(cfg):
    return float(cfg.n)


if __name__ == "__main__":
    main()
"""


def comparisons(rounds: int | None) -> Iterator[Comparison]:
    """Compare jobs of an app with a config group."""
    with workshop() as folder:
        prepare(folder)
        yield compete("a job of a sweep (aim: half of what Hydra takes)", contestants(folder), rounds=rounds or 3)


def contestants(folder: Path) -> Contestants:
    """Return the launchers to compare."""

    def sweep(script: str, *words: str) -> Sample:
        took = [
            measure_process([sys.executable, script, "-m", f"n=range({count})", *words], cwd=folder)["time_s"]
            for count in (FEW, MANY)
        ]
        return {"job_s": (took[1] - took[0]) / (MANY - FEW), "sweep_s": took[1]}

    return {
        "Hydra basic": lambda: sweep("plain.py"),
        "Hydra joblib, 2": lambda: sweep("plain.py", "hydra/launcher=joblib", "hydra.launcher.n_jobs=2"),
        "anew, in this process": lambda: sweep("recorded.py"),
        "anew, 1 worker": lambda: sweep("recorded.py", "anew.sweep.workers=1"),
        "anew, 2 workers": lambda: sweep("recorded.py", "anew.sweep.workers=2"),
    }


def prepare(folder: Path) -> None:
    """Make the two scripts and their configuration."""
    (folder / "pyproject.toml").touch()
    (folder / "plain.py").write_text(SCRIPT.format(imports="import hydra", decorator="hydra.main"))
    recorded = 'from anew import Experiment\n\nexperiment = Experiment("nothing")'
    (folder / "recorded.py").write_text(SCRIPT.format(imports=recorded, decorator="experiment.main"))
    group = folder / "conf" / "db"
    group.mkdir(parents=True)
    (folder / "conf/config.yaml").write_text("defaults:\n  - _self_\n  - db: a\nn: 1\n")
    (group / "a.yaml").write_text("name: a\n")


if __name__ == "__main__":
    main(comparisons)
