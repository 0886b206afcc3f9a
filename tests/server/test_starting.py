"""Runs that are started from the page: one's own alone, after what will run was shown."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from anew.runner.format import serial
from tests.helpers.scripts import Project
from tests.helpers.serving import Page, served
from tests.helpers.waiting import until

SCRIPT = """
from enum import Enum

class Kind(Enum):
    SGD = 1
    ADAM = 2

@experiment.main
def main(lr: float = 0.1, steps: int = 2, kind: Kind = Kind.SGD, *, run: Run) -> float:
    print("trained with", lr, flush=True)
    run.log({"loss": lr}, step=1)
    return lr
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project with one run."""
    folder = tmp_path_factory.mktemp("started") / "project"
    folder.mkdir()
    (folder / "pyproject.toml").touch()
    project = Project(folder)
    project.write(SCRIPT)
    project.run("lr=0.2", "anew.quiet=true")
    return project


@pytest.fixture(scope="module")
def page(project: Project) -> Iterator[Page]:
    """Its page, from which runs may be started."""
    with served(project.folder / "runs", "--allow-rerun") as page:
        yield page


def ended(page: Page, job: int) -> Any:
    """Wait for a job to end, and return how it stands."""
    until(lambda: page.get(f"jobs/{job}")["state"] == "ended", seconds=120)
    return page.get(f"jobs/{job}")


def test_the_form_has_types_choices_defaults_and_what_the_run_had(page: Page) -> None:
    told = page.get("form/1")
    found = {each["name"]: each for each in told["parameters"]}

    assert (told["experiment"], told["allowed"]) == ("trial", True)
    assert list(found) == ["lr", "steps", "kind"]
    assert (found["lr"]["type"], found["lr"]["default"], found["lr"]["value"]) == ("float", 0.1, 0.2)
    assert (found["kind"]["choices"], found["kind"]["value"]) == (["SGD", "ADAM"], "SGD")


def test_differences_from_the_default_are_known(page: Page) -> None:
    told = page.get("runs/1/config?with=default")

    assert told["differences"] == [{"key": "lr", "was": 0.1, "now": 0.2}]


def test_what_will_run_is_shown_and_nothing_is_run(page: Page, project: Project) -> None:
    before = project.store.numbers()

    told = page.post("rerun", run="1", overrides=["lr=0.5"])

    assert told["command"][:3] == ["anew", "rerun", "1"]
    assert told["command"][-1] == "lr=0.5"
    assert project.store.numbers() == before


def test_a_run_is_run_again_with_its_output_and_its_verdict(page: Page, project: Project) -> None:
    job = page.post("rerun", run="1", dry=False)["job"]
    told = ended(page, job)

    assert (told["exit"], told["verdict"]) == (0, "identical")
    assert "trained with 0.2" in told["output"]
    assert project.record(told["run"]).rerun_of is not None
    assert page.get(f"jobs/{job}", offset=told["next"])["output"] == ""


def test_a_sweep_is_begun_with_the_recorded_command(page: Page, project: Project) -> None:
    shown = page.post("rerun", run="1", overrides=["lr=0.3,0.4"], sweep=True)
    job = page.post("rerun", run="1", overrides=["lr=0.3,0.4"], sweep=True, dry=False)["job"]

    assert shown["command"][-2:] == ["-m", "lr=0.3,0.4"]
    assert ended(page, job)["exit"] == 0
    [sweep] = page.get("sweeps")["sweeps"]
    told = page.get(f"sweeps/{sweep['id']}")
    assert (told["counts"], told["swept"]) == ({"COMPLETED": 2}, ["lr"])
    assert {each["result"] for each in told["jobs"]} == {0.3, 0.4}
    assert page.post(f"sweeps/{sweep['id']}/stop", status=409)["error"]["message"]


@pytest.mark.parametrize(
    "override",
    [
        *(
            "--trust",
            "-h",
            "lr",
            "anew.seed=1",
            "+anew/observers=webhook",
            "hydra.run.dir=/tmp",
            "x._target_=os.system",
        ),
        *("=", "=x", "+=x", "~", "~=x", " lr=1", " hydra.run.dir=x", "l r=1", "lr=1\nx=2", "lr=\0", "++=", "a,b=1"),
        *("lr=<redacted>", "+ hydra.run.dir=x"),
    ],
)
def test_what_is_no_parameter_of_the_program_is_refused(page: Page, override: str) -> None:
    for dry in (True, False):
        for sweep in (True, False):
            page.post("rerun", status=400, run="1", overrides=[override], dry=dry, sweep=sweep)


def test_a_run_that_had_a_secret_asks_for_it_before_anything_is_started(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").touch()
    project = Project(tmp_path)
    project.write(SCRIPT.replace("steps: int = 2", 'api_token: str = ""'))
    project.run("lr=0.2", "api_token=hunter2hunter2", "anew.quiet=true")

    with served(project.folder / "runs", "--allow-rerun") as page:
        for sweep in (True, False):
            for dry in (True, False):
                told = page.post("rerun", status=409, run="1", overrides=["lr=0.3"], dry=dry, sweep=sweep)["error"]
                assert "held secrets" in told["message"]
                assert "api_token=VALUE" in told["hint"]
            again = page.post("rerun", run="1", overrides=["api_token=other", "lr=0.3"], sweep=sweep)
            assert "<redacted>" not in again["text"]


def test_a_run_of_somebody_else_is_not_started(page: Page, project: Project) -> None:
    source = project.store.layout.run(1).folder
    target = project.store.layout.run(90).folder
    _copy_as_foreign(source, target)
    until(lambda: 90 in [row["id"] for row in page.get("runs")["rows"]])

    assert page.get("form/90")["allowed"] is False
    assert "anew rerun 90" in page.post("rerun", status=409, run="90", dry=False)["error"]["hint"]
    assert "not recorded by you" in page.get("runs/90/source/diff?with=today", status=409)["error"]["message"]


def _copy_as_foreign(source: Path, target: Path) -> None:
    """Copy a run, with a command that its mark does not vouch for."""
    import shutil

    shutil.copytree(source, target)
    start = serial.unseal((target / "run.json").read_bytes())
    start["command"]["argv"] = ["evil.py"]
    start["uid"] = f"{start['uid'][:-1]}{'0' if start['uid'][-1] != '0' else '1'}"
    (target / "run.json").write_bytes(serial.seal(json.loads(json.dumps(start))))


def test_a_job_that_there_is_not_is_said(page: Page) -> None:
    assert "No job 999" in page.get("jobs/999", status=404)["error"]["message"]
