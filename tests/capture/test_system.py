"""What the run's processes and GPUs use, sampled without ever raising."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import IO, Any

import psutil
import pytest

from anew.runner.capture.system import SystemSampler
from anew.runner.kernel import linux, posix

MIB = 2**20


class NVMLError(Exception):
    """The error of nvidia-ml-py."""


@contextmanager
def child(code: str) -> Iterator[subprocess.Popen[bytes]]:
    """A child process that has said "ready"."""
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", code], stdin=pipe, stdout=pipe) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        try:
            yield process
        finally:
            process.kill()


def work(seconds: float) -> None:
    until = time.process_time() + seconds
    while time.process_time() < until:
        sum(range(1000))


def test_a_sample_has_cpu_and_memory_under_system() -> None:
    sample = SystemSampler().sample()
    assert {"system/cpu_percent", "system/memory_bytes"} <= set(sample)
    assert all(isinstance(value, float) for value in sample.values())
    own = psutil.Process().memory_info().rss
    assert sample["system/memory_bytes"] >= own * 0.9


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="psutil is what is used elsewhere")
def test_proc_and_psutil_agree() -> None:
    with child("print('ready', flush=True); input()"):
        by_proc = linux.usage_of_tree(os.getpid())
        by_psutil = posix.usage_of_tree(os.getpid())
    assert by_psutil[0] == pytest.approx(by_proc[0], abs=0.5)
    assert by_psutil[1] == pytest.approx(by_proc[1], rel=0.2)
    assert by_psutil[1] > 0


def test_cpu_use_is_that_since_the_sample_before() -> None:
    sampler = SystemSampler()
    began = time.monotonic()
    work(0.4)
    busy = sampler.sample()["system/cpu_percent"]
    lasted = time.monotonic() - began
    assert busy == pytest.approx(0.4 / lasted * 100, rel=0.5)
    time.sleep(0.3)
    assert sampler.sample()["system/cpu_percent"] < busy / 2


def test_children_and_their_children_count() -> None:
    hungry = f"data = bytearray({64 * MIB}); print('ready', flush=True); input()"
    outer = (
        "import subprocess, sys\n"
        f"inner = subprocess.Popen([sys.executable, '-c', {hungry!r}], stdin=subprocess.PIPE)\n"
        "inner.wait()\n"
    )
    sampler = SystemSampler()
    before = sampler.sample()["system/memory_bytes"]
    with subprocess.Popen([sys.executable, "-c", outer], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        during = sampler.sample()["system/memory_bytes"]
        for grandchild in psutil.Process(process.pid).children():
            grandchild.kill()
        process.wait()
    assert during - before > 64 * MIB
    assert sampler.sample()["system/memory_bytes"] < during - 32 * MIB


def test_a_child_that_ends_makes_no_negative_use() -> None:
    with child("sum(range(3_000_000)); print('ready', flush=True); input()") as process:
        sampler = SystemSampler()
        process.kill()
        process.wait()
    assert sampler.sample()["system/cpu_percent"] >= 0


def test_processes_that_are_gone_or_hidden_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    assert linux.usage_of_tree(2**22 + 1) == (0.0, 0)
    assert posix.usage_of_tree(2**22 + 1) == (0.0, 0)

    def refuse(path: str, mode: str = "r", **options: Any) -> IO[Any]:
        if path.endswith("children"):
            raise PermissionError
        return open(path, mode, **options)

    monkeypatch.setattr(linux, "open", refuse, raising=False)
    assert linux.usage_of_tree(os.getpid())[1] > 0
    monkeypatch.setattr(linux, "open", lambda path, mode: io.BytesIO(b"nonsense"), raising=False)
    assert linux.usage_of_tree(os.getpid()) == (0.0, 0)


def fake_nvml(count: Any, rates: Any, memory: Any) -> Any:
    return SimpleNamespace(
        NVMLError=NVMLError,
        nvmlInit=lambda: None,
        nvmlDeviceGetCount=count,
        nvmlDeviceGetHandleByIndex=lambda index: index,
        nvmlDeviceGetUtilizationRates=rates,
        nvmlDeviceGetMemoryInfo=memory,
    )


def fail(*arguments: Any) -> Any:
    raise NVMLError("Not Supported")


def rates(handle: int) -> Any:
    return SimpleNamespace(gpu=10 + handle)


def memory(handle: int) -> Any:
    return SimpleNamespace(used=1000 + handle)


def gpu_values(sampler: SystemSampler) -> dict[str, float]:
    return {name: value for name, value in sampler.sample().items() if "gpu" in name}


def test_gpus_are_sampled_by_their_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", fake_nvml(lambda: 2, rates, memory))
    assert gpu_values(SystemSampler()) == {
        "system/gpu_percent/0": 10.0,
        "system/gpu_memory_bytes/0": 1000.0,
        "system/gpu_percent/1": 11.0,
        "system/gpu_memory_bytes/1": 1001.0,
    }


def test_what_a_gpu_does_not_tell_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def of_the_second(handle: int) -> Any:
        return rates(handle) if handle == 1 else fail()

    monkeypatch.setitem(sys.modules, "pynvml", fake_nvml(lambda: 2, of_the_second, memory))
    assert gpu_values(SystemSampler()) == {
        "system/gpu_memory_bytes/0": 1000.0,
        "system/gpu_percent/1": 11.0,
        "system/gpu_memory_bytes/1": 1001.0,
    }


def test_a_driver_that_fails_midway_leaves_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    module = fake_nvml(lambda: 1, rates, memory)
    monkeypatch.setitem(sys.modules, "pynvml", module)
    sampler = SystemSampler()
    assert len(gpu_values(sampler)) == 2
    module.nvmlDeviceGetCount = fail
    assert gpu_values(sampler) == {}
    assert sampler.sample()["system/memory_bytes"] > 0
