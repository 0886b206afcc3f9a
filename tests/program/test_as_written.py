"""Programs the way people write them: each is recorded, swept and run again without a change to it."""

from __future__ import annotations

import shutil
from importlib.util import find_spec
from pathlib import Path

import pytest

from anew.runner.records import Status
from tests.helpers.places import TESTS
from tests.helpers.scripts import Project, anew

pytestmark = pytest.mark.long

SCRIPTS = TESTS / "projects" / "as_written"
FILES = [path for path in SCRIPTS.iterdir() if path.is_file()]
# what is typed before the values of parameters; and what it needs that is not everywhere
CASES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "subcommands.py": (("subcommands.py", "-m", "command=fit", "verbose=true"), ()),
    "clicked.py": (("clicked.py", "-m", "shuffle=true"), ()),
    "typed.py": (("typed.py",), ()),
    "names.py": (("names.py",), ()),
    "from_yaml.py": (("--config", "from_yaml.yaml", "from_yaml.py"), ()),
    "spawned.py": (("spawned.py",), ()),
    "loaders.py": (("loaders.py",), ("torch", "tensorboard")),
    "lightened.py": (("lightened.py",), ("torch", "lightning")),
    "transformed.py": (("transformed.py",), ("torch", "transformers", "accelerate")),
    "cells.ipynb": (("cells.ipynb",), ()),
    "fit.sh": (("--", "./fit.sh", "{rate}"), ()),
    "fit.R": (("--", "Rscript", "fit.R", "{rate}"), ("Rscript",)),
    "fit.js": (("--", "node", "fit.js", "{rate}"), ("node",)),
    "Makefile": (("--", "make", "-s", "RATE={rate}", "fit"), ("make",)),
}
INTEGRATIONS = "pip install 'anew[test-integrations]'"
HOW = {"torch": "pip install torch==2.13.0", "Rscript": "apt-get install r-base-core", "node": "apt-get install nodejs"}
HOW |= dict.fromkeys(("lightning", "transformers", "accelerate"), INTEGRATIONS)


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_it_is_recorded_and_swept_and_comes_out_the_same(project: Path, name: str) -> None:
    words, needed = CASES[name]
    for each in needed:
        if find_spec(each) is None and shutil.which(each) is None:
            pytest.skip(f"{each} is not here: {HOW.get(each, each)}")
    shutil.copytree(SCRIPTS, project, dirs_exist_ok=True)
    trial = Project(project)
    is_command = words[0] == "--"
    flag = () if "-m" in words else ("-m",)
    values = ("rate=0.2,0.4",)
    anew(trial, "run", *(*flag, *words) if is_command else (*words, *flag), *values)
    records = [trial.record(number) for number in (1, 2)]
    assert [(each.status, each.config["rate"]) for each in records] == [
        (Status.COMPLETED, 0.2), (Status.COMPLETED, 0.4),
    ]  # fmt: skip
    printed = [anew(trial, "logs", ref).stdout for ref in ("1", "2")]
    assert printed[0] != printed[1]
    for path in FILES:
        assert (project / path.name).read_bytes() == path.read_bytes()
        # that they are gone makes no difference
        (project / path.name).unlink()
    assert "is a re-run of 2: identical" in anew(trial, "rerun", "2").stdout
