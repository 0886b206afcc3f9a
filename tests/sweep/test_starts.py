"""Jobs that are killed while they start, at every instant of it, on each engine: what that costs is this job alone."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from anew.runner.records import Status
from tests.helpers.scripts import Project, anew

pytest_plugins = ("tests.helpers.slurm",)

WAIT_S = 240.0  # some twenty processes, each of which imports all there is
SLURM = ("hydra/launcher=anew_slurm", "hydra.launcher.poll_s=0.2", "hydra.launcher.ask_s=1")
ENGINES = {
    "workers": ("anew.sweep.workers=2",),
    "dask": ("hydra/launcher=anew_dask", "anew.sweep.workers=2"),
    "slurm": SLURM,
}
# the first process to import the script is the one that hands out the jobs
SCANCEL = 'os.system("scancel " + os.environ["SLURM_JOB_ID"]); time.sleep(60)'
DYING = """
import signal
from pathlib import Path
from anew.runner.store.folder import FolderStore
from anew.runner.store.sweep_folder import SweepFolder

HERE = Path(__file__).parent


def is_first(name):
    try:
        os.close(os.open(HERE / name, os.O_CREAT | os.O_EXCL))
        return True
    except FileExistsError:
        return False


def die(instant, always=False):
    if is_first(f"died-{instant}") or always:
        (HERE / f"death-{instant}-{os.urandom(4).hex()}").touch()  # a worker may outlive SIGTERM
        %(end)s


if not is_first("conductor"):
    die("import")
    take, start = SweepFolder.take, FolderStore.start

    def dying_take(self, index, attempt, *rest, **more):
        if index == 1:
            die("before-claim")
        if index == 4:
            die("always", always=True)
        taken = take(self, index, attempt, *rest, **more)
        if index == 2:
            die("after-claim")
        return taken

    def dying_start(self, number, record, **more):
        if record.sweep.index == 3:
            die("before-record")
        return start(self, number, record, **more)

    SweepFolder.take, FolderStore.start = dying_take, dying_start


@experiment.main
def main(i: int = 0):
    (HERE / f"main-{i}-{os.getpid()}").touch()
    return i
"""


@pytest.fixture
def trial(project: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Project:
    if request.node.callspec.params["engine"] == "slurm":
        for name, value in request.getfixturevalue("slurm").items():
            monkeypatch.setenv(name, value)
    return Project(project)


@pytest.mark.long
@pytest.mark.parametrize("signal", ["SIGKILL", "SIGTERM"])
@pytest.mark.parametrize("engine", ENGINES)
def test_a_job_killed_while_it_starts_is_begun_again_and_in_the_end_lost(
    trial: Project, engine: str, signal: str
) -> None:
    is_cancelled = (engine, signal) == ("slurm", "SIGTERM")
    trial.write(DYING % {"end": SCANCEL if is_cancelled else f"os.kill(os.getpid(), signal.{signal})"})
    with trial.start("-m", "i=range(6)", *ENGINES[engine]) as process:
        _, said = process.communicate(timeout=WAIT_S)
    assert process.returncode == 1, said

    sweep = trial.store.sweep(1)
    lost = sweep.jobs[4]
    assert [job.result for job in sweep.jobs] == [0, 1, 2, 3, None, 5], said
    assert lost.status is Status.LOST
    assert str(lost.error).startswith("its process ended before main 6 times: ")
    assert is_cancelled or str(lost.error).endswith(f": killed by {signal}")
    assert sweep.status is Status.FAILED
    assert not sweep.warnings
    assert "Traceback" not in said
    # what was taken and never came to main is begun again as another attempt
    assert [job.attempts for job in sweep.jobs] == [1, 1, 2, 2, 1, 1]
    mains = Counter(path.name.split("-")[1] for path in trial.folder.glob("main-*"))
    assert mains == Counter(map(str, (0, 1, 2, 3, 5)))
    deaths = Counter(path.name.split("-", 1)[1].rpartition("-")[0] for path in trial.folder.glob("death-*"))
    assert deaths.pop("always") in (5, 6)  # it may have been the one that died at its import
    assert deaths == Counter({"import": 1, "before-claim": 1, "after-claim": 1, "before-record": 1})

    script = trial.folder / "train.py"
    script.write_text(script.read_text().replace("always=True", "always=False"))
    anew(trial, "sweep", "resume", "1", "--code", "current")
    assert [job.result for job in trial.store.sweep(1).jobs] == [0, 1, 2, 3, 4, 5]
