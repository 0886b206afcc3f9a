"""What a run writes into its project is no source of the next one; what it reads, or somebody changed since, is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.helpers.scripts import Project, anew

MAIN = """
import json
from pathlib import Path

@experiment.main
def main(i: int = 0, how: str = "plain", fail: str = ""):
    Path("out").mkdir(exist_ok=True)
    if how == "plain":
        Path("results.json").write_text(json.dumps({"i": i, "at": time.time_ns()}))
        Path("out", f"table{i}.yaml").write_text(f"at: {time.time_ns()}")
    if how == "moved":
        Path("out", "part").write_text(f"{time.time_ns()}")
        os.replace("out/part", "results.json")
    if how == "child":
        if (child := os.fork()) == 0:
            Path("results.json").write_text(f"{time.time_ns()}")
            os._exit(0)
        os.waitpid(child, 0)
    if how in ("counter", "update"):
        count = Path("counter.json")
        value = int(count.read_text())
        with open(count, "w" if how == "counter" else "r+") as file:
            file.write(str(value + 1))
    if fail and Path(fail).exists():
        raise ValueError("not yet")
    return i
"""


@pytest.fixture
def trial(project: Path) -> Project:
    (project / "pyproject.toml").touch()
    trial = Project(project)
    trial.write(MAIN)
    return trial


def source(trial: Project, ref: str | int = "last") -> set[str]:
    return {file.path for file in trial.record(ref).source.files}


@pytest.mark.parametrize("how", ["plain", "moved", "child"])
def test_results_in_the_project_are_no_source(trial: Project, how: str) -> None:
    for _ in range(3):
        trial.run(f"how={how}", "i=1", "anew.seed=1")
    assert (trial.folder / "results.json").exists()
    assert source(trial, 3) == source(trial, 1) == {"train.py", "pyproject.toml"}
    found = json.loads(anew(trial, "diff", "1", "3", "--json").stdout)
    assert {name for name, section in found.items() if section} == set()


@pytest.mark.parametrize("how", ["counter", "update"])
def test_what_a_run_read_before_it_wrote_it_is(trial: Project, how: str) -> None:
    (trial.folder / "counter.json").write_text("1")
    for _ in range(2):
        trial.run(f"how={how}")
    assert "counter.json" in source(trial)
    assert json.loads(anew(trial, "rerun", "2", "--json").stdout)["verdict"] == "identical"


def test_what_somebody_changed_since_is(trial: Project) -> None:
    trial.run()
    (trial.folder / "results.json").write_text("mine")
    trial.run("how=none")
    assert "results.json" in source(trial)
    assert "out/table0.yaml" not in source(trial)


def test_a_module_that_a_run_wrote_is(trial: Project) -> None:
    trial.write("""
    @experiment.main
    def main(i: int = 0):
        with open("made.py", "w") as file:
            file.write(f"VALUE = {i}")
        import made
        return made.VALUE
    """)
    trial.run("i=4")
    assert "made.py" in source(trial)
    assert json.loads(anew(trial, "rerun", "1", "--json").stdout)["verdict"] == "identical"


def test_a_file_is_none_while_it_is_being_written_by_another_run(trial: Project) -> None:
    trial.write("""
    from pathlib import Path

    @experiment.main
    def main(wait: bool = False):
        if wait:
            with open("log.json", "w") as file:
                file.write("{}")
                file.flush()
                while not Path("go").exists():
                    time.sleep(0.01)
    """)
    with trial.start("wait=true") as first:
        while not (trial.folder / "log.json").exists():
            assert first.poll() is None
        trial.run()
        (trial.folder / "go").touch()
    assert "log.json" not in source(trial, 2)


def test_a_sweep_whose_jobs_write_into_the_project_is_resumed(trial: Project) -> None:
    (trial.folder / "results.json").write_text("of long ago")
    (trial.folder / "stop").touch()
    trial.run("-m", "i=0,1", "fail=stop", code=1)
    (trial.folder / "stop").unlink()
    anew(trial, "sweep", "resume", "1")
    assert trial.store.sweep(1).status.value == "COMPLETED"


@pytest.mark.parametrize("kind", ["git", "pyproject"])
def test_a_store_under_another_name_is_no_source(trial: Project, kind: str) -> None:
    if kind == "git":
        import subprocess

        for words in (["init", "-q"], ["add", "train.py"]):
            subprocess.run(["git", *words], cwd=trial.folder, check=True)
    trial.run("anew.store=earlier/results")
    (trial.folder / "earlier" / "results" / ".gitignore").unlink()
    (trial.folder / "earlier" / "mine.yaml").touch()
    trial.run()
    assert [path for path in source(trial) if path.startswith("earlier")] == ["earlier/mine.yaml"]
