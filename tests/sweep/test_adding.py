"""What comes to a sweep that is on record: more jobs, runs that are deleted, claims that are found again."""

from __future__ import annotations

import json

import pytest

from anew.runner.records import Status
from tests.helpers.scripts import Project, anew

BODY = """
@experiment.main
def main(x: int = 0, y: int = 0, seed: int = 0):
    return 10 * x + y
"""


@pytest.fixture
def trial(project: object) -> Project:
    made = Project(project)  # type: ignore[arg-type]
    made.write(BODY)
    return made


def results(trial: Project) -> list[object]:
    return [job.result for job in trial.store.sweep(1).jobs]


def test_jobs_are_added_planned_as_the_others_and_run_by_resume(trial: Project) -> None:
    trial.run("-m", "x=1,2", "y=3")
    added = anew(trial, "sweep", "add", "1", "x=2,4")

    sweep = trial.store.sweep(1)
    assert [job.overrides for job in sweep.jobs] == [("x=1", "y=3"), ("x=2", "y=3"), ("y=3", "x=4")]
    assert [job.status for job in sweep.jobs] == [Status.COMPLETED, Status.COMPLETED, Status.QUEUED]
    assert "anew sweep resume 1" in added.stderr
    assert sweep.reason == "added"

    assert "has all jobs" in anew(trial, "sweep", "add", "1", "x=4", code=2).stderr
    assert "'z'" in anew(trial, "sweep", "add", "1", "z=4", code=2).stderr
    assert "says nothing of a job" in anew(trial, "sweep", "add", "1", "anew.seed=4", code=2).stderr

    anew(trial, "sweep", "resume", "1", "--workers", "2")
    assert results(trial) == [13, 23, 43]
    assert [job.attempts for job in trial.store.sweep(1).jobs] == [1, 1, 1]
    assert trial.store.sweep(1).status is Status.COMPLETED


def test_a_plan_that_somebody_else_wrote_is_not_added_to(trial: Project) -> None:
    trial.run("-m", "x=1,2")
    plan = trial.folder / "runs/sweeps/1/jobs.jsonl"
    lines = plan.read_text().splitlines()
    other = trial.folder.parent / "other"
    trial.run("-m", "x=7,8", f"anew.store={other}")
    strange = (other / "sweeps/1/jobs.jsonl").read_text().splitlines()
    plan.write_text("\n".join([lines[0], strange[1]]) + "\n")
    (trial.folder / "runs/sweeps/1/taken/1.1.json").unlink()

    assert "were not written by you" in anew(trial, "sweep", "add", "1", "x=4", code=4).stderr


def test_a_job_whose_run_was_deleted_is_not_run_again_but_when_asked(trial: Project) -> None:
    trial.run("-m", "x=1,2")
    anew(trial, "delete", "1")

    job = trial.store.sweep(1).jobs[0]
    assert (job.status, job.deleted, job.state) == (Status.LOST, True, "DELETED")
    said = anew(trial, "sweep", "resume", "1").stderr
    assert "1 of its runs that were deleted" in said
    assert "anew sweep resume 1 --missing" in said
    anew(trial, "sweep", "add", "1", "x=3")
    assert "was deleted" not in anew(trial, "sweep", "resume", "1", code=1).stderr.split("DELETED")[1]
    assert results(trial) == [None, 20, 30]

    anew(trial, "restore", "1")
    assert results(trial) == [10, 20, 30]
    anew(trial, "delete", "1")
    anew(trial, "purge", "--yes")
    assert json.loads(anew(trial, "sweep", "show", "1", "--json").stdout)["jobs"][0]["deleted"]
    anew(trial, "sweep", "resume", "1", "--missing")
    assert results(trial) == [10, 20, 30]
    assert "All is well" in anew(trial, "check", "--deep").stdout


def test_a_claim_that_is_gone_is_found_again_whatever_was_typed_for_hydra(trial: Project) -> None:
    trial.run("-m", "x=1,2", "hydra.job.chdir=false", "hydra.verbose=false")
    (trial.folder / "runs/sweeps/1/taken/1.1.json").unlink()

    assert trial.store.sweep(1).status is Status.COMPLETED
    said = anew(trial, "sweep", "resume", "1").stderr
    assert "run 2 did the job" in said
    assert len(trial.store.numbers()) == 2


@pytest.mark.parametrize("workers", [(), ("anew.sweep.workers=1",)])
def test_a_job_that_is_refused_after_it_was_taken_is_shown_with_its_reason(
    trial: Project, workers: tuple[str, ...]
) -> None:
    done = trial.run("-m", "seed=1,2", "anew.seed=3", *workers, code=2)

    job = trial.store.sweep(1).jobs[0]
    assert "RUNNING" not in done.stderr
    assert job.status is Status.LOST
    assert "cannot both be the root seed" in str(job.error)
