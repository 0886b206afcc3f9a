"""What a run uses of its machine, sampled: CPU and memory of its process tree, and its GPUs."""

from __future__ import annotations

import os
import time

from anew.runner.capture.hardware import asked, load_nvml
from anew.runner.kernel.door import usage_of_tree


class SystemSampler:
    """
    Samples the tree of the process that made it. Never raises; what cannot be had is left out.

    Not thread-safe: CPU use is that since the sample before.
    """

    def __init__(self) -> None:
        self._pid = os.getpid()
        self._nvml = load_nvml()
        self._before = (time.monotonic(), usage_of_tree(self._pid)[0])

    def sample(self) -> dict[str, float]:
        """
        Return `system/cpu_percent` (100 is one core), `system/memory_bytes` (resident, the tree's sum), and per GPU
        `system/gpu_percent/N` and `system/gpu_memory_bytes/N` (of the whole GPU).
        """
        now, (cpu_s, memory) = time.monotonic(), usage_of_tree(self._pid)
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
