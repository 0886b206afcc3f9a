"""The machine: what it has, what of it the run may use, and a driver that fails is nobody's concern."""

from __future__ import annotations

import os
import platform
import socket
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import psutil
import pytest

from anew.runner.capture import hardware
from anew.runner.capture.hardware import capture_hardware, gpus, load_nvml
from anew.runner.kernel import linux
from anew.runner.kernel.door import boot_id
from anew.runner.records import GpuFacts, HardwareFacts

GIB = 2**30


class NVMLError(Exception):
    """The error of nvidia-ml-py."""


def fake_nvml(devices: list[Mapping[str, Any]], broken: Mapping[str, Exception] | None = None) -> ModuleType:
    """Return a module that answers as nvidia-ml-py does; the functions in *broken* raise."""
    faults = broken or {}

    def function(name: str, answer: Any) -> Any:
        def call(*arguments: Any) -> Any:
            if name in faults:
                raise faults[name]
            value = answer(*arguments)
            if isinstance(value, Exception):
                raise value
            return value

        return call

    module = ModuleType("pynvml")
    answers: dict[str, Any] = {
        "nvmlInit": lambda: None,
        "nvmlSystemGetDriverVersion": lambda: "550.54",
        "nvmlDeviceGetCount": lambda: len(devices),
        "nvmlDeviceGetHandleByIndex": lambda index: index,
        "nvmlDeviceGetName": lambda handle: devices[handle]["name"],
        "nvmlDeviceGetUUID": lambda handle: devices[handle]["uuid"],
        "nvmlDeviceGetMemoryInfo": lambda handle: devices[handle]["memory"],
        "nvmlDeviceGetUtilizationRates": lambda handle: devices[handle]["use"],
    }
    for name, answer in answers.items():
        setattr(module, name, function(name, answer))
    module.NVMLError = NVMLError  # type: ignore[attr-defined]  # as the library has it
    return module


def device(number: int, **changed: Any) -> dict[str, Any]:
    memory = SimpleNamespace(total=80 * GIB, used=(number + 1) * GIB)
    facts = {"name": "H200", "uuid": f"GPU-{number}", "memory": memory, "use": SimpleNamespace(gpu=10 * number)}
    return facts | changed


def machine(monkeypatch: pytest.MonkeyPatch, files: Mapping[str, str]) -> HardwareFacts:
    """Return what is captured on a machine with these files; others are as they are here, but for cgroups."""
    here = linux._text
    patched = {"/proc/self/cgroup": "0::/\n"} | dict(files)

    def text(path: str) -> str:
        return patched.get(path, "" if path.startswith("/sys/fs/cgroup") else here(path))

    monkeypatch.setattr(linux, "_text", text)
    for name in ("allowed_cores", "cpu_model", "memory_bytes", "memory_limits"):
        monkeypatch.setattr(hardware, name, getattr(linux, name))
    return capture_hardware.__wrapped__(boot_id="a boot")


# --- host -------------------------------------------------------------------------------------------------------


def test_it_says_which_machine_this_is() -> None:
    facts = capture_hardware(boot_id=boot_id())
    assert facts.hostname == socket.gethostname()
    assert facts.os == f"{platform.system()} {platform.release()} {platform.machine()}"
    assert facts.cpu_cores == os.cpu_count()
    assert 0 < facts.cpu_allowed <= facts.cpu_cores
    assert facts.cpu_model
    assert abs(facts.memory_bytes - psutil.virtual_memory().total) < 2**20
    assert facts.boot_id == boot_id()


def test_it_is_asked_once() -> None:
    assert capture_hardware(boot_id=boot_id()) is capture_hardware(boot_id=boot_id())


def test_a_cpu_that_proc_does_not_name_is_named_by_its_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    assert machine(monkeypatch, {"/proc/cpuinfo": "processor\t: 0\nmodel name\t: Fast One\n"}).cpu_model == "Fast One"
    assert machine(monkeypatch, {"/proc/cpuinfo": "processor\t: 0\n"}).cpu_model in (
        platform.processor(),
        platform.machine(),
    )


def test_without_proc_the_memory_is_still_known(monkeypatch: pytest.MonkeyPatch) -> None:
    facts = machine(monkeypatch, {"/proc/meminfo": "", "/proc/self/cgroup": ""})
    assert facts.memory_bytes == psutil.virtual_memory().total
    assert facts.memory_allowed_bytes is None


# --- what is allowed --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("files", "cores", "memory"),
    [
        ({}, None, None),
        ({"/sys/fs/cgroup/cpu.max": "max 100000\n", "/sys/fs/cgroup/memory.max": "max\n"}, None, None),
        ({"/sys/fs/cgroup/cpu.max": "50000 100000\n", "/sys/fs/cgroup/memory.max": "1048576\n"}, 0.5, 2**20),
        (
            {
                "/proc/self/cgroup": "0::/a.slice/b\n",
                "/sys/fs/cgroup/a.slice/b/cpu.max": "max 100000\n",
                "/sys/fs/cgroup/a.slice/cpu.max": "25000 100000\n",
                "/sys/fs/cgroup/a.slice/b/memory.max": "4194304\n",
                "/sys/fs/cgroup/a.slice/memory.max": "2097152\n",
            },
            0.25,
            2**21,
        ),
        (
            {
                "/proc/self/cgroup": "4:memory:/docker/abc\n3:cpu,cpuacct:/docker/abc\n1:name=systemd:/docker/abc\n",
                "/sys/fs/cgroup/cpu/cpu.cfs_quota_us": "20000\n",
                "/sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
                "/sys/fs/cgroup/memory/docker/abc/memory.limit_in_bytes": "1048576\n",
                "/sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
            },
            0.2,
            2**20,
        ),
        (
            {
                "/proc/self/cgroup": "3:cpu:/\n4:memory:/\n",
                "/sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1\n",
                "/sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
                "/sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
            },
            None,
            None,
        ),
        ({"/sys/fs/cgroup/cpu.max": "nonsense", "/sys/fs/cgroup/memory.max": "1e9"}, None, None),
        ({"/sys/fs/cgroup/cpu.max": "100 0"}, None, None),
        ({"/proc/self/cgroup": "nonsense\n\n:\n"}, None, None),
    ],
    ids=["none", "unlimited", "v2", "v2 nested", "v1", "v1 unlimited", "nonsense", "no period", "no cgroup"],
)
def test_the_limits_of_the_control_group_count(
    files: Mapping[str, str], cores: float | None, memory: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    facts = machine(monkeypatch, files)
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    assert facts.cpu_allowed == (cores if cores is not None else allowed)
    assert facts.memory_allowed_bytes == memory


def test_a_limit_beyond_the_memory_there_is_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    assert machine(monkeypatch, {"/sys/fs/cgroup/memory.max": str(2**50)}).memory_allowed_bytes is None


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system has no CPU affinity")
def test_the_affinity_of_the_process_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {3})
    assert machine(monkeypatch, {}).cpu_allowed == 1.0


# --- containers and schedulers ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("variables", "file", "kind"),
    [
        ({}, None, None),
        ({"KUBERNETES_SERVICE_HOST": "10.0.0.1"}, "/.dockerenv", "kubernetes"),
        ({}, "/.dockerenv", "docker"),
        ({}, "/run/.containerenv", "podman"),
        ({"APPTAINER_CONTAINER": "/a.sif"}, None, "apptainer"),
        ({"SINGULARITY_CONTAINER": "/a.sif"}, None, "apptainer"),
        ({"container": "lxc"}, None, "lxc"),
    ],
)
def test_the_kind_of_container_is_known(
    variables: Mapping[str, str], file: str | None, kind: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("KUBERNETES_SERVICE_HOST", "APPTAINER_CONTAINER", "SINGULARITY_CONTAINER", "container"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    exists = Path.exists
    marks = ("/.dockerenv", "/run/.containerenv")
    monkeypatch.setattr(
        Path, "exists", lambda path, **options: str(path) == file if str(path) in marks else exists(path, **options)
    )
    assert capture_hardware.__wrapped__(boot_id="a boot").container == kind


def test_the_ids_that_a_scheduler_gives_are_on_record(monkeypatch: pytest.MonkeyPatch) -> None:
    given = {"SLURM_JOB_ID": "17", "SLURM_ARRAY_TASK_ID": "3", "PBS_JOBID": "4.host"}
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("SLURM_JWT", "secret")
    assert capture_hardware.__wrapped__(boot_id="a boot").scheduler == given


# --- GPUs -------------------------------------------------------------------------------------------------------


def test_gpus_are_named_by_their_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    odd = device(1, name=b"Old \xff", uuid=b"GPU-1")
    monkeypatch.setitem(sys.modules, "pynvml", fake_nvml([device(0), odd]))
    expected = (
        GpuFacts(name="H200", memory_bytes=80 * GIB, driver="550.54", uuid="GPU-0"),
        GpuFacts(name="Old \ufffd", memory_bytes=80 * GIB, driver="550.54", uuid="GPU-1"),
    )
    assert gpus() == expected
    assert capture_hardware.__wrapped__(boot_id="a boot").gpus == expected


def test_a_gpu_without_an_answer_to_everything_is_still_on_record(monkeypatch: pytest.MonkeyPatch) -> None:
    shared = device(0, memory=NVMLError("Not Supported"), uuid=NVMLError("Insufficient Permissions"))
    monkeypatch.setitem(sys.modules, "pynvml", fake_nvml([shared, device(1)]))
    assert [(gpu.name, gpu.memory_bytes, gpu.uuid) for gpu in gpus()] == [
        ("H200", 0, ""),
        ("H200", 80 * GIB, "GPU-1"),
    ]


@pytest.mark.parametrize("error", [NVMLError("Driver Not Loaded"), OSError("libnvidia-ml.so"), AttributeError("no")])
@pytest.mark.parametrize("function", ["nvmlInit", "nvmlDeviceGetCount", "nvmlDeviceGetHandleByIndex"])
def test_a_driver_that_fails_leaves_the_gpus_out(
    function: str, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", fake_nvml([device(0)], {function: error}))
    assert gpus() == ()
    assert capture_hardware.__wrapped__(boot_id="a boot").gpus == ()


def test_a_machine_without_the_device_does_not_even_import_the_library(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "pynvml.py").write_text("1 / 0\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "pynvml", raising=False)
    monkeypatch.setattr(Path, "exists", lambda path: False)
    assert load_nvml() is None
    monkeypatch.setattr(Path, "exists", lambda path: True)
    assert load_nvml() is None  # where there is one, an import that fails costs the run nothing either
    assert gpus() == ()
