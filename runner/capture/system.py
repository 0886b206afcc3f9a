"""What a run uses of its machine, sampled: CPU and memory of its process tree, and its GPUs."""

from __future__ import annotations

import os
import sys
import time
from contextlib import suppress
from pathlib import Path

from anew.runner.capture.hardware import asked, load_nvml


class SystemSampler:
    """
    Samples the tree of the process that made it. Never raises; what cannot be had is left out.

    Not thread-safe: CPU use is that since the sample before.
    """

    def __init__(self) -> None:
        self._pid = os.getpid()
        self._nvml = load_nvml()
        self._before = (time.monotonic(), _tree(self._pid)[0])

    def sample(self) -> dict[str, float]:
        """
        Return `system/cpu_percent` (100 is one core), `system/memory_bytes` (resident, the tree's sum), and per GPU
        `system/gpu_percent/N` and `system/gpu_memory_bytes/N` (of the whole GPU).
        """
        now, (cpu_s, memory) = time.monotonic(), _tree(self._pid)
        then, cpu_before_s = self._before
        self._before = (now, cpu_s)
        # the time of a child that was not waited for leaves the tree with it
        percent = max(0.0, (cpu_s - cpu_before_s) / max(now - then, 1e-3) * 100)
        return {"system/cpu_percent": round(percent, 2), "system/memory_bytes": float(memory), **self._gpus()}

    def _gpus(self) -> dict[str, float]:
        values: dict[str, float] = {}
        nvml = self._nvml
        if nvml is None:
            return values
        for index in range(asked(nvml.nvmlDeviceGetCount) or 0):
            handle = asked(nvml.nvmlDeviceGetHandleByIndex, index)
            use = asked(nvml.nvmlDeviceGetUtilizationRates, handle)
            memory = asked(nvml.nvmlDeviceGetMemoryInfo, handle)
            if use is not None:
                values[f"system/gpu_percent/{index}"] = float(use.gpu)
            if memory is not None:
                values[f"system/gpu_memory_bytes/{index}"] = float(memory.used)
        return values


def _tree(pid: int) -> tuple[float, int]:
    """Return CPU seconds used and resident bytes of a process and everything below it."""
    return _tree_of_proc(pid) if sys.platform.startswith("linux") else _tree_of_psutil(pid)


def _tree_of_proc(pid: int) -> tuple[float, int]:
    ticks = pages = 0
    todo = [pid]
    while todo:
        current = todo.pop()
        try:
            fields = Path(f"/proc/{current}/stat").read_bytes().rpartition(b") ")[2].split()
            # utime, stime, and those of children that were waited for; then resident pages: proc(5)
            ticks += sum(int(field) for field in fields[11:15])
            pages += int(fields[21])
            for task in os.listdir(f"/proc/{current}/task"):
                todo += map(int, Path(f"/proc/{current}/task/{task}/children").read_bytes().split())
        except (OSError, ValueError, IndexError):
            continue
    return ticks / os.sysconf("SC_CLK_TCK"), pages * os.sysconf("SC_PAGE_SIZE")


def _tree_of_psutil(pid: int) -> tuple[float, int]:
    import psutil

    cpu_s, memory = 0.0, 0
    with suppress(psutil.Error):
        root = psutil.Process(pid)
        for process in (root, *root.children(recursive=True)):
            with suppress(psutil.Error):
                times = process.cpu_times()
                cpu_s += times.user + times.system
                memory += process.memory_info().rss
    return cpu_s, memory
