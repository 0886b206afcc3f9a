"""The software around a run: Python, every installed distribution, variables on a list, thread settings."""

from __future__ import annotations

import fnmatch
import json
import os
import platform
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from anew.runner.records import EnvironmentFacts
from anew.runner.redact import redact_name_value, redact_text
from anew.runner.settings import EnvironmentSettings

THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "BLIS_NUM_THREADS",
    "NUMBA_NUM_THREADS",
)
VARIABLES = (
    "CONDA_DEFAULT_ENV",
    "CONDA_PREFIX",
    "CUBLAS_WORKSPACE_CONFIG",
    "CUDA_*",
    "GOMP_*",
    "HF_HOME",
    "HF_DATASETS_OFFLINE",
    "HF_HUB_OFFLINE",
    "HIP_VISIBLE_DEVICES",
    "JAX_*",
    "KMP_*",
    "LANG",
    "LANGUAGE",
    "LC_*",
    "LD_LIBRARY_PATH",
    "LD_PRELOAD",
    "LOCAL_RANK",
    "MALLOC_*",
    "MASTER_ADDR",
    "MASTER_PORT",
    "MKL_*",
    "NCCL_*",
    "NUMBA_*",
    "NVIDIA_VISIBLE_DEVICES",
    "OMP_*",
    "OPENBLAS_*",
    "PYTHON*",
    "PYTORCH_*",
    "RANK",
    "ROCR_VISIBLE_DEVICES",
    "SLURM_ARRAY_*",
    "SLURM_CPUS_*",
    "SLURM_JOB_*",
    "SLURM_NODELIST",
    "SLURM_NTASKS",
    "TF_*",
    "TORCH_*",
    "TORCHINDUCTOR_*",
    "TZ",
    "UV_PROJECT_ENVIRONMENT",
    "VIRTUAL_ENV",
    "WORLD_SIZE",
    "XLA_*",
    *THREAD_VARIABLES,
)


def capture_environment(settings: EnvironmentSettings, cache: Path) -> EnvironmentFacts:
    """
    Return the software around this process.

    Args:
        settings: Further variables to record.
        cache: A file that remembers the distributions for a state of `sys.path`; it may be missing or damaged.
    """
    import anew

    packages, origins = _distributions(cache)
    return EnvironmentFacts(
        python=platform.python_version(),
        implementation=platform.python_implementation(),
        executable=sys.executable or "",
        prefix=sys.prefix,
        packages=packages,
        origins=origins,
        variables=_variables((*VARIABLES, *settings.variables)),
        threads=_threads(),
        locale=_locale(),
        encoding=sys.getfilesystemencoding(),
        anew=anew.__version__,
    )


def _variables(allowed: tuple[str, ...]) -> dict[str, str]:
    return {
        name: redact_name_value(name, value)
        for name, value in sorted(os.environ.items())
        if any(fnmatch.fnmatchcase(name, pattern) for pattern in allowed)
    }


def _threads() -> dict[str, str | None]:
    threads = {name: os.environ.get(name) for name in THREAD_VARIABLES}
    torch = sys.modules.get("torch")
    with suppress(AttributeError, RuntimeError):
        if torch is not None:
            threads["torch"] = str(torch.get_num_threads())
    return threads


def _locale() -> str:
    import locale

    return locale.setlocale(locale.LC_CTYPE)


# --- distributions ----------------------------------------------------------------------------------------------


def _distributions(cache: Path) -> tuple[dict[str, str], dict[str, str]]:
    """Return what is installed on `sys.path`; folders that did not change since the last time are not read again."""
    remembered = _load(cache)
    folders: dict[str, dict[str, Any]] = {}
    for entry in dict.fromkeys(sys.path):
        path = entry or os.getcwd()
        state = _state(path)
        if state is None:
            continue
        known = remembered.get(path)
        folders[path] = known if known and known.get("state") == state else {"state": state, "found": _scan(path)}
    if folders != {path: remembered.get(path) for path in folders}:
        _save(cache, {**remembered, **folders})
    packages: dict[str, str] = {}
    origins: dict[str, str] = {}
    for folder in folders.values():
        for name, version, origin in folder["found"]:
            if name not in packages:
                packages[name] = version
                if origin:
                    origins[name] = origin
    return dict(sorted(packages.items(), key=lambda item: item[0].lower())), origins


def _state(path: str) -> list[int] | None:
    try:
        status = os.stat(path)
    except OSError:
        return None
    return [status.st_mtime_ns, status.st_ino] if os.path.isdir(path) else None


def _scan(path: str) -> list[list[str | None]]:
    found: list[list[str | None]] = []
    try:
        names = sorted(entry.name for entry in os.scandir(path) if entry.name.endswith((".dist-info", ".egg-info")))
    except OSError:
        return found
    for name in names:
        folder = os.path.join(path, name)
        header = _header(folder)
        if header is not None:
            found.append([*header, _origin(os.path.join(folder, "direct_url.json"))])
    return found


def _header(folder: str) -> tuple[str, str] | None:
    """Return name and version out of a distribution's metadata, or None when it has none."""
    for file in (os.path.join(folder, "METADATA"), os.path.join(folder, "PKG-INFO"), folder):
        values: dict[str, str] = {}
        try:
            with open(file, encoding="utf-8", errors="replace") as lines:
                for line in lines:
                    key, mark, value = line.partition(":")
                    if not mark:
                        break
                    values.setdefault(key.lower(), value.strip())
                    if "name" in values and "version" in values:
                        return values["name"], values["version"]
        except OSError:
            continue
    return None


def _origin(file: str) -> str | None:
    """Return where an editable, local or VCS install came from, as pip notes it (PEP 610)."""
    try:
        data = json.loads(Path(file).read_bytes())
        url = redact_text(str(data["url"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None
    vcs = data.get("vcs_info") or {}
    if vcs:
        return f"{vcs.get('vcs', 'vcs')}+{url}@{vcs.get('commit_id', '')}"
    return f"editable {url}" if (data.get("dir_info") or {}).get("editable") else url


def _load(cache: Path) -> dict[str, Any]:
    try:
        data = json.loads(cache.read_bytes())
    except (OSError, ValueError):
        return {}
    sound = isinstance(data, dict) and all(isinstance(item, dict) and "found" in item for item in data.values())
    return data if sound else {}


def _save(cache: Path, folders: Mapping[str, Any]) -> None:
    """Replace the file; failing to costs only time, so it is silent."""
    temporary = cache.with_name(f".{cache.name}.{os.getpid()}.{threading.get_ident()}")
    with suppress(OSError):
        cache.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_text(json.dumps(folders))
        temporary.replace(cache)
