"""`anew.sweep.skip=done` takes results of the same work only: the same code, on the same, with the same."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.scripts import HEADER, Project

MAIN = """
@experiment.main
def main(i: int = 0):
    return i
"""
SWEEP = ("-m", "i=1,2", "anew.sweep.skip=done")


@pytest.fixture
def trial(project: Path) -> Project:
    (project / "pyproject.toml").touch()
    trial = Project(project)
    trial.write(MAIN)
    return trial


def reused(trial: Project, *args: str, **options: Any) -> int:
    trial.run(*SWEEP, *args, **options)
    return sum(job.reused for job in trial.store.sweep("last").jobs)


def test_the_same_is_not_done_again_also_where_main_imports_late_and_writes_results(trial: Project) -> None:
    (trial.folder / "late.py").write_text("VALUE = 1")
    trial.write("""
    @experiment.main
    def main(i: int = 0):
        import late
        with open(f"results{i}.json", "w") as file:
            file.write(str(time.time()))
        return i + late.VALUE
    """)
    assert [reused(trial) for _ in range(2)] == [0, 2]
    (trial.folder / "late.py").write_text("VALUE = 2")
    assert [reused(trial) for _ in range(2)] == [0, 2]


def test_another_script_with_an_experiment_of_that_name_is_other_work(trial: Project) -> None:
    trial.write(MAIN.replace("return i", "return -i"), "other.py")
    assert reused(trial) == 0
    assert reused(trial, name="other.py") == 0
    assert [job.result for job in trial.store.sweep("last").jobs] == [-1, -2]
    assert reused(trial) == reused(trial, name="other.py") == 2


def test_another_function_of_the_script_is_other_work(trial: Project) -> None:
    trial.write("""
    if "two" in sys.argv:
        sys.argv.remove("two")
        @experiment.main
        def double(i: int = 0):
            return 2 * i
        main = double
    else:
        @experiment.main
        def main(i: int = 0):
            return i
    """)
    assert reused(trial) == 0
    assert reused(trial, "two") == 0


@pytest.mark.parametrize(
    ("setting", "why"),
    [
        ("anew.source.enabled=false", "the source is not recorded"),
        ("anew.source.exclude=[helper.py]", "without helper.py"),
        ("anew.inputs.notice=false", "inputs are not noticed"),
    ],
)
def test_where_the_code_is_not_known_nothing_is_reused_and_that_is_said(trial: Project, setting: str, why: str) -> None:
    (trial.folder / "helper.py").write_text("VALUE = 1")
    trial.write(f"import helper\n{MAIN}")
    for _ in range(2):
        done = trial.run(*SWEEP, setting)
        assert why in done.stderr
        assert "all jobs are run" in done.stderr
        assert not any(job.reused for job in trial.store.sweep("last").jobs)


def test_a_script_from_stdin_is_not_known(trial: Project) -> None:
    script = HEADER + MAIN + "main()"
    for _ in range(2):
        command = [sys.executable, "-", *SWEEP]
        done = subprocess.run(command, cwd=trial.folder, input=script, capture_output=True, text=True, check=True)
        assert "in no file" in done.stderr
        assert not any(job.reused for job in trial.store.sweep("last").jobs)


def test_a_main_that_is_made_of_a_text_is_not_known(trial: Project) -> None:
    """Neither are its runs, as of a cell or a prompt after a script, taken for those of the script."""
    typed = MAIN.replace("return i", "return -i") + '\nmain.sweep("i=1,2")\n'
    (trial.folder / "train.py").write_text(f"{HEADER}exec({typed!r})")
    subprocess.run([sys.executable, "train.py"], cwd=trial.folder, check=True)
    assert [job.result for job in trial.store.sweep(1).jobs] == [-1, -2]
    trial.write(MAIN)
    assert reused(trial) == 0


@pytest.mark.parametrize("how", ["content", "place"])
def test_a_module_on_pythonpath_is_code_too(trial: Project, tmp_path: Path, how: str) -> None:
    trial.write("import aside\n" + MAIN.replace("return i", "return i + aside.VALUE"))
    for name, value in (("one", 1), ("two", 2)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "aside.py").write_text(f"VALUE = {value}")
    here = {"PYTHONPATH": f"{tmp_path / 'one'}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"}
    assert [reused(trial, env=here) for _ in range(2)] == [0, 2]
    if how == "content":
        (tmp_path / "one" / "aside.py").write_text("VALUE = 3  # changed")
    else:
        here = {"PYTHONPATH": here["PYTHONPATH"].replace("one", "two")}
    assert reused(trial, env=here) == 0


def test_state_that_is_read_and_written_is_not_known(trial: Project) -> None:
    trial.write("""
    from pathlib import Path

    @experiment.main
    def main(i: int = 0):
        count = int(Path("count.dat").read_text())
        Path("count.dat").write_text(str(count + 1))
        return count
    """)
    (trial.folder / "count.dat").write_text("0")
    assert [reused(trial) for _ in range(2)] == [0, 0]
