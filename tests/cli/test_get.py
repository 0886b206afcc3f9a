"""`anew get`: files of runs, back in a folder or on stdout."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from anew.runner.store.folder import FolderStore
from tests.helpers.scripts import ANEW, anew
from tests.helpers.stores import add_run, make_store


@pytest.fixture
def store(project: Path) -> FolderStore:
    store = make_store(project / "runs")
    for index in range(2):
        files = {"model.pt": b"\x00\xff%d" % index, "plots/a.png": b"a"}
        add_run(
            store,
            config={"lr": index, "text": "1e-3"},
            artifacts=files,
            source={"train.py": "lr\n"},
            output="hello\n",
            tags=["paper"],
        )
    return store


def test_artifacts_come_into_a_folder_and_nothing_there_is_replaced(store: FolderStore, project: Path) -> None:
    anew(project, "get", "1", "--to", "got")
    assert (project / "got/model.pt").read_bytes() == b"\x00\xff0"
    assert (project / "got/plots/a.png").read_bytes() == b"a"
    (project / "got/model.pt").unlink()
    (project / "got/plots/a.png").write_text("mine")
    done = anew(project, "get", "1", "--to", "got", code=2)
    assert "got/plots/a.png is there already, and nothing was written" in done.stderr
    assert "--force" in done.stderr
    assert not (project / "got/model.pt").exists()
    anew(project, "get", "1", "--to", "got", "--force")
    assert (project / "got/plots/a.png").read_bytes() == b"a"


@pytest.mark.parametrize("words", [["model.pt", "-"], ["*.pt", "--to", "-"]])
def test_one_file_goes_to_stdout_as_it_is(store: FolderStore, project: Path, words: list[str]) -> None:
    done = subprocess.run([*ANEW, "get", "2", *words], cwd=project, capture_output=True, check=True)
    assert done.stdout == b"\x00\xff1"
    assert "stdout takes one" in anew(project, "get", "1", "-", code=2).stderr


def test_the_other_parts_of_a_run_are_had_by_options(store: FolderStore, project: Path) -> None:
    anew(project, "get", "1", "--source", "--output", "--config", "--to", "got")
    found = sorted(str(path.relative_to(project / "got")) for path in (project / "got").rglob("*") if path.is_file())
    assert found == ["config.yaml", "output.log", "source/train.py"]
    assert (project / "got/config.yaml").read_text() == "lr: 0\ntext: '1e-3'\n"
    assert (project / "got/output.log").read_text() == "hello\n"
    anew(project, "get", "1", "model.pt", "--config", "--to", "both")
    assert {path.name for path in (project / "both").iterdir()} == {"config.yaml", "model.pt"}


def test_of_several_runs_each_has_a_folder(store: FolderStore, project: Path) -> None:
    rows = json.loads(anew(project, "get", "tag:paper", "model.pt", "--to", "got", "--json").stdout)
    assert [(row["run"], row["path"], row["error"]) for row in rows] == [
        (1, "got/1/model.pt", None),
        (2, "got/2/model.pt", None),
    ]
    assert (project / "got/2/model.pt").read_bytes() == b"\x00\xff1"


def test_what_is_damaged_or_missing_is_said_and_the_rest_is_written(store: FolderStore, project: Path) -> None:
    damaged, missing = (store.objects.path(artifact.sha256) for artifact in store.get(1).artifacts)
    damaged.chmod(0o644)
    damaged.write_bytes(b"abc")
    missing.unlink()
    done = anew(project, "get", "1", "model.pt", "plots", "--source", "--to", "all", code=2)
    assert "no such file 'model.pt'" in done.stderr
    done = anew(project, "get", "1", "--to", "got", code=5)
    assert "'model.pt' is damaged" in done.stderr
    assert "does not hold the content" in done.stderr
    assert not (project / "got/model.pt").exists()
    assert "damaged" in anew(project, "get", "1", "model.pt", "-", code=5).stderr


def test_a_run_or_a_name_that_is_not_there_is_said_and_the_others_are_had(store: FolderStore, project: Path) -> None:
    add_run(store)
    done = anew(project, "get", "1-3", "99", "model.pt", "--to", "got", code=2)
    assert "No run '99'" in done.stderr
    assert "Run 3 has no artifact 'model.pt'" in done.stderr
    assert {path.name for path in (project / "got").iterdir()} == {"1", "2"}
    assert "model.pt" in anew(project, "get", "1", "model.pth", code=2).stderr
