"""Jobs of a sweep that cannot begin: each fails by what stops it, and the others go on."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import pytest

from anew.runner.records import Status
from tests.helpers.scripts import Project, anew

TYPED = """
@experiment.main
def main(x: str = "1", i: int = 0):
    return float(i)
"""
PLAIN = """
@experiment.main(config_path=None)
def main(cfg):
    return 1.0
"""
FAILED, DONE = Status.FAILED, Status.COMPLETED
HERE, BESIDE = (), ("anew.sweep.workers=2",)


@pytest.mark.parametrize("workers", [HERE, BESIDE], ids=["here", "workers"])
@pytest.mark.parametrize(
    ("main", "words", "fates", "reason"),
    [
        pytest.param(TYPED, ["x=1,2,${oc.env:NOPE}"], [DONE, DONE, FAILED], "NOPE", id="variable"),
        pytest.param(TYPED, ["x=${nokey},2"], [FAILED, DONE], "nokey", id="key"),
        pytest.param(TYPED, ["i=${oc.env:HOME},2"], [FAILED, DONE], "i", id="type"),
        pytest.param(TYPED, ["x=1,2", "hydra.sweep.subdir=${nokey}"], [FAILED, FAILED], "nokey", id="subdir"),
        pytest.param(TYPED, ["x=1,2", "hydra.job_logging.root.level=BAD"], [FAILED, FAILED], "root", id="logging"),
        pytest.param(PLAIN, ["+x=1,${oc.env:NOPE}", "+hydra.job.env_set.A=${x}"], [DONE, FAILED], "NOPE", id="env_set"),
    ],
)
def test_a_job_that_cannot_begin_fails_and_the_others_go_on(
    project: Path, workers: Sequence[str], main: str, words: list[str], fates: list[Status], reason: str
) -> None:
    trial = Project(project)
    trial.write(main)
    done = trial.run("-m", *words, *workers, code=1)
    assert "Traceback" not in done.stderr, "no line of main is at fault"
    assert reason in done.stderr
    sweep = trial.store.sweep(1)
    assert [job.status for job in sweep.jobs] == fates
    assert sweep.status is FAILED
    name, _, values = words[0].partition("=")
    assert [job.overrides for job in sweep.jobs] == [(f"{name}={value}",) for value in values.split(",")]
    for job in sweep.jobs:
        assert job.run is not None
        record = trial.record(job.run)
        assert record.overrides[-1:] == job.overrides, "Hydra's own stand before them"
        assert job.status is DONE or reason in (job.error or "")


def test_a_job_that_could_not_begin_is_run_when_the_sweep_is_taken_up_again(project: Path) -> None:
    trial = Project(project)
    trial.write(TYPED)
    trial.run("-m", "x=1,${oc.env:LATER}", code=1)
    anew(trial, "sweep", "resume", "1", LATER="now")
    sweep = trial.store.sweep(1)
    assert [job.status for job in sweep.jobs] == [DONE, DONE]
    assert trial.record(sweep.jobs[1].run or 0).config["x"] == "now"


def test_what_an_override_refers_to_stays_out_of_its_record(project: Path) -> None:
    """A typed `${oc.env:...}` is a reference; what it gives may be a secret, and another tomorrow."""
    trial = Project(project)
    trial.write(PLAIN)
    trial.run("-m", "+x=${oc.env:THING},b", "+y=[1,2],[3]", "+z='a b'", env={"THING": "what it gives"})
    kept = [job.overrides for job in trial.store.sweep(1).jobs]
    assert kept[0] == ("+x=${oc.env:THING}", "+y=[1,2]", "+z='a b'")
    assert trial.record(1).overrides == kept[0]
    assert trial.record(1).config["x"] == "what it gives"


@pytest.mark.parametrize("workers", [HERE, BESIDE], ids=["here", "workers"])
def test_hydras_own_resolvers_are_known_to_every_job(project: Path, workers: Sequence[str]) -> None:
    trial = Project(project)
    trial.write("""
    @experiment.main(config_path=None)
    def main(cfg):
        return [cfg.out, cfg.python, cfg.year, cfg.number]
    """)
    words = ["+out=${hydra:runtime.output_dir}", "+python=${python_version:minor}", "+year=${now:%Y}"]
    trial.run("-m", "+i=1,2", *words, "+number=${hydra:job.num}", *workers)
    for job in trial.store.sweep(1).jobs:
        result = trial.record(job.run or 0).result
        assert str(job.run) == Path(result[0]).relative_to(trial.store.root).parts[0]
        assert result[1:] == [".".join(map(str, sys.version_info[:2])), str(datetime.now().year), job.index]
