"""
Sweeps by hydra-ray-launcher, which is none of ours, in an environment of its own: it needs another cloudpickle than we.

All else comes from the environment that the tests run in.
"""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from anew.runner.records import Status
from tests.helpers.scripts import Project

pytestmark = [pytest.mark.slow, pytest.mark.long]

WAIT_S = 300.0
NEEDED = ("ray", "hydra-ray-launcher")
BODY = """
import signal

@experiment.main
def main(i: int = 0):
    if i == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    if i == 2:
        raise ValueError("no")
    return i
"""


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment with Ray."""
    if sys.version_info >= (3, 14):
        pytest.skip("hydra-ray-launcher needs a cloudpickle below 3, and Python 3.14 one that is newer")
    folder = tmp_path_factory.mktemp("ray") / "env"
    # pip asks a compiler for its version, which makes itself at home
    variables = {**os.environ, "HOME": str(folder.parent)}
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True, timeout=WAIT_S, env=variables)
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    ours = sysconfig.get_paths()["purelib"]
    (folder / "lib" / version / "site-packages" / "ours.pth").write_text(f"import site; site.addsitedir({ours!r})\n")
    made = folder / "bin" / "python"
    command = [str(made), "-m", "pip", "install", "--quiet", "--only-binary=:all:", *NEEDED]
    done = subprocess.run(command, capture_output=True, text=True, timeout=WAIT_S, env=variables, check=False)
    if done.returncode:
        said = done.stderr.strip().splitlines()[-1:]
        pytest.skip(f"{' and '.join(NEEDED)} cannot be had for Python 3.{sys.version_info.minor}: {' '.join(said)}")
    return made


def test_a_job_that_crashes_under_ray_is_lost_and_the_others_go_on(
    python: Path, project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    trial = Project(project)
    trial.write(BODY)
    words = ["-m", "i=range(4)", "hydra/launcher=ray", "+hydra.launcher.ray.init.num_cpus=2"]
    more = ["+hydra.launcher.ray.init.include_dashboard=false"]
    done = subprocess.run(
        [str(python), "train.py", *words, *more],
        cwd=trial.folder,
        capture_output=True,
        text=True,
        timeout=WAIT_S,
        env={**os.environ, "RAY_TMPDIR": "/tmp"},
        check=False,
    )

    jobs = trial.store.sweep(1).jobs
    assert done.returncode == 1, done.stderr
    assert [job.status for job in jobs] == [Status.COMPLETED, Status.LOST, Status.FAILED, Status.COMPLETED], done.stderr
    assert [job.result for job in jobs] == [0, None, None, 3]
    assert [job.attempts for job in jobs] == [1, 1, 1, 1]
    assert trial.store.sweep(1).start.launcher == "ray"
