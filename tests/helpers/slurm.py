"""
A real Slurm of one node, for tests: its three daemons, a queue of two cores, and nothing outside a temporary folder.

A test module gets the fixture by `pytest_plugins = ("tests.helpers.slurm",)`
(PYTEST_DONT_REWRITE: it also imports from here).
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.helpers.hooks import free_port

# There is no accounting here, which submitit asks; real clusters have it.
SACCT = """\
#!/bin/sh
echo "JobID|State|NodeList"
scontrol -o show job | sed -n 's/^JobId=\\([0-9]*\\) .* JobState=\\([A-Z_]*\\) .* NodeList=\\([^ ]*\\) .*/\\1|\\2|\\3/p'
"""
CONFIG = """\
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={control}
SlurmdPort={node}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.sock
CredType=cred/munge
MpiDefault=none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
ReturnToService=2
KillWait=5
MinJobAge=600
JobRequeue=1
NodeName={host} NodeAddr=127.0.0.1 CPUs=2 RealMemory=2000 State=UNKNOWN
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""
NEEDED = ("slurmctld", "slurmd", "munged", "sbatch")


@pytest.fixture(scope="session")
def slurm() -> Iterator[dict[str, str]]:
    """Start Slurm; give the variables by which its commands find it."""
    missing = [name for name in NEEDED if _program(name) is None]
    if missing or os.geteuid() != 0:
        pytest.skip(f"Slurm is not tried: {', '.join(missing) or 'root'} is missing (apt-get install slurm-wlm munge)")
    # sockets have short paths
    folder = Path(tempfile.mkdtemp(prefix="anew-slurm-"))
    try:
        yield from _served(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _served(folder: Path) -> Iterator[dict[str, str]]:
    for name in ("state", "spool", "bin"):
        (folder / name).mkdir()
    key = folder / "munge.key"
    key.write_bytes(os.urandom(1024))
    key.chmod(0o400)
    (folder / "bin/sacct").write_text(SACCT)
    (folder / "bin/sacct").chmod(0o755)
    host = socket.gethostname().split(".")[0]
    text = CONFIG.format(folder=folder, host=host, control=free_port(), node=free_port())
    (folder / "slurm.conf").write_text(text)
    variables = {"SLURM_CONF": str(folder / "slurm.conf"), "PATH": f"{folder / 'bin'}:{os.environ['PATH']}"}
    _start("munged", *(f"--{name}={folder}/munge.{kind}" for name, kind in MUNGE), "--force")
    _start("slurmctld", "-c", "-f", str(folder / "slurm.conf"))
    _start("slurmd", "-c", "-f", str(folder / "slurm.conf"), "-N", host)
    try:
        _wait_for_node(folder, variables)
        yield variables
    finally:
        subprocess.run(["scancel", "--full", "--user=root"], env={**os.environ, **variables}, check=False, timeout=30)
        for name in ("slurmd.pid", "slurmctld.pid", "munge.pid"):
            _stop(folder / name)


MUNGE = (("key-file", "key"), ("socket", "sock"), ("pid-file", "pid"), ("log-file", "log"), ("seed-file", "seed"))


def _program(name: str) -> str | None:
    return shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin:/sbin")


def _start(name: str, *words: str) -> None:
    program = _program(name)
    assert program is not None
    subprocess.run([program, *words], check=True, timeout=30, stdin=subprocess.DEVNULL)


def _wait_for_node(folder: Path, variables: dict[str, str]) -> None:
    end = time.monotonic() + 30
    while True:
        done = subprocess.run(
            ["sinfo", "-h", "-o", "%T"], env={**os.environ, **variables}, capture_output=True, text=True, check=False
        )
        if done.stdout.strip() == "idle":
            return
        logs = (folder / "slurmctld.log").read_text()[-2000:] if (folder / "slurmctld.log").exists() else ""
        assert time.monotonic() < end, f"no node: {done.stdout}{done.stderr}{logs}"
        time.sleep(0.2)


def _stop(file: Path) -> None:
    with suppress(OSError, ValueError):
        pid = int(file.read_text())
        os.kill(pid, signal.SIGTERM)
        end = time.monotonic() + 5
        while time.monotonic() < end and Path(f"/proc/{pid}").exists():
            time.sleep(0.1)
        os.kill(pid, signal.SIGKILL)
