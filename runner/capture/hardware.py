"""The machine that a run is on: processor, memory, what a container or a scheduler leaves of them, GPUs."""

from __future__ import annotations

import os
import platform
import socket
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from anew.runner.kernel.door import allowed_cores, cpu_model, memory_bytes, memory_limits
from anew.runner.records import GpuFacts, HardwareFacts

_SCHEDULER_VARIABLES = (
    "SLURM_JOB_ID",
    "SLURM_ARRAY_JOB_ID",
    "SLURM_ARRAY_TASK_ID",
    "SLURM_PROCID",
    "PBS_JOBID",
    "LSB_JOBID",
    "JOB_ID",
    "SGE_TASK_ID",
    "KUBERNETES_SERVICE_HOST",
    "POD_NAME",
)
_UNLIMITED = 2**60


@cache
def capture_hardware(*, boot_id: str) -> HardwareFacts:
    """
    Return the machine; asked once per process. A driver that fails or is missing leaves its part empty.

    Args:
        boot_id: What tells this boot from every other.
    """
    limit = _memory_limit()
    memory = _memory()
    return HardwareFacts(
        hostname=socket.gethostname(),
        os=_system(),
        cpu_model=_cpu_model(),
        cpu_cores=os.cpu_count() or 1,
        cpu_allowed=allowed_cores(),
        memory_bytes=memory,
        memory_allowed_bytes=limit if limit is not None and limit < memory else None,
        gpus=gpus(),
        boot_id=boot_id,
        container=_container(),
        scheduler={name: os.environ[name] for name in _SCHEDULER_VARIABLES if name in os.environ},
    )


def _system() -> str:
    system = os.uname()
    return f"{system.sysname} {system.release} {system.machine}"


def _cpu_model() -> str:
    return cpu_model() or platform.processor() or platform.machine()


def _memory() -> int:
    found = memory_bytes()
    if found:
        return found
    import psutil

    return int(psutil.virtual_memory().total)


def _memory_limit() -> int | None:
    least = min(memory_limits(), default=_UNLIMITED)
    return least if least < _UNLIMITED else None


def _container() -> str | None:
    if "KUBERNETES_SERVICE_HOST" in os.environ:
        return "kubernetes"
    if Path("/.dockerenv").exists():
        return "docker"
    if Path("/run/.containerenv").exists():
        return "podman"
    if "SINGULARITY_CONTAINER" in os.environ or "APPTAINER_CONTAINER" in os.environ:
        return "apptainer"
    return os.environ.get("container")


# --- GPUs -------------------------------------------------------------------------------------------------------


def load_nvml() -> Any | None:
    """
    Return the initialised `pynvml` module, or None: no NVIDIA device, no nvidia-ml-py, or a driver that fails.

    The module is only imported where there is a device, since importing it costs a few milliseconds.
    """
    if "pynvml" not in sys.modules and not any(Path(path).exists() for path in ("/dev/nvidiactl", "/dev/dxg")):
        return None
    try:
        import pynvml

        pynvml.nvmlInit()
    except Exception:
        # a broken installation or driver is not the run's concern
        return None
    return pynvml


def gpus() -> tuple[GpuFacts, ...]:
    """Return the NVIDIA GPUs, in the driver's order."""
    nvml = load_nvml()
    if nvml is None:
        return ()
    driver = asked(nvml.nvmlSystemGetDriverVersion)
    found = []
    for index in range(asked(nvml.nvmlDeviceGetCount) or 0):
        handle = asked(nvml.nvmlDeviceGetHandleByIndex, index)
        if handle is not None:
            memory = asked(nvml.nvmlDeviceGetMemoryInfo, handle)
            found.append(
                GpuFacts(
                    name=_decoded(asked(nvml.nvmlDeviceGetName, handle)),
                    memory_bytes=int(memory.total) if memory is not None else 0,
                    driver=_decoded(driver),
                    uuid=_decoded(asked(nvml.nvmlDeviceGetUUID, handle)),
                )
            )
    return tuple(found)


def asked(question: Callable[..., Any], *arguments: Any) -> Any | None:
    """Return the driver's answer, or None: not every GPU, and no slice of one, has an answer to everything."""
    try:
        return question(*arguments)
    except Exception:
        # an exception class per fault of the driver, and none of them is the run's concern
        return None


def _decoded(text: str | bytes | None) -> str:
    return text.decode(errors="replace") if isinstance(text, bytes) else text or ""
