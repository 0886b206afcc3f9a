"""The software around a run: Python, every installed distribution, variables on a list, thread settings."""

from __future__ import annotations

import fnmatch
import json
import os
import platform
import re
import stat
import sys
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import anew
from anew.runner.capture.loaded import derived
from anew.runner.format.redact import redact_name_value, redact_text
from anew.runner.kernel.variables import variables
from anew.runner.lazy.patterns import regexp
from anew.runner.records import EnvironmentFacts
from anew.runner.settings import EnvironmentSettings
from anew.runner.store.files import replace_whole

_TICK_NS = 50_000_000
_SEPARATORS = regexp(r"[-_.]+")
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
    "TF_CPP_*",
    "TF_CUDNN_*",
    "TF_DETERMINISTIC_OPS",
    "TF_ENABLE_*",
    "TF_FORCE_*",
    "TF_GPU_*",
    "TF_NUM_*",
    "TF_XLA_*",
    "TORCH_*",
    "TORCHINDUCTOR_*",
    "TZ",
    "UV_PROJECT_ENVIRONMENT",
    "VIRTUAL_ENV",
    "WORLD_SIZE",
    "XLA_*",
    *THREAD_VARIABLES,
)


# the variables of this process that were listed last: of which ones, and of which further names
_listed: list[tuple[Mapping[str, str], tuple[str, ...], dict[str, str]]] = [({}, (), {})]


def capture_environment(settings: EnvironmentSettings, memory: Path) -> EnvironmentFacts:
    """
    Return the software around this process.

    Args:
        settings: Further variables to record.
        memory: A file that remembers the distributions for a state of `sys.path`; it may be missing or damaged.
    """
    packages, origins = _distributions(memory)
    return EnvironmentFacts(
        python=platform.python_version(),
        implementation=platform.python_implementation(),
        executable=sys.executable or "",
        prefix=sys.prefix,
        packages=packages,
        origins=origins,
        variables=_listed_here(settings.variables),
        threads={**thread_variables(variables()), **_torch_threads()},
        locale=_locale(),
        encoding=sys.getfilesystemencoding(),
        anew=anew.__version__,
        libraries=_libc(),
    )


def imported_modules() -> tuple[str, ...]:
    """Return the modules of distributions that this process has imported, by their first names."""
    return derived("installed", _names_installed)


def _names_installed(modules: Iterable[tuple[str, Any, bool]]) -> tuple[str, ...]:
    firsts = ((name, file) for name, file, is_module in modules if is_module and "." not in name)
    return tuple(sorted(name for name, file in firsts if isinstance(file, str) and _is_installed(file)))


def _is_installed(file: str) -> bool:
    return f"{os.sep}site-packages{os.sep}" in file or f"{os.sep}dist-packages{os.sep}" in file


def loaded_libraries() -> dict[str, str]:
    """Return what computes below the libraries that this process has imported, such as "blas" -> version."""
    found = {}
    numpy, torch = sys.modules.get("numpy"), sys.modules.get("torch")
    # numpy says what it was built with since 1.25
    with suppress(AttributeError, LookupError, TypeError):
        blas = sys.modules["numpy.__config__"].CONFIG["Build Dependencies"]["blas"] if numpy is not None else {}
        found.update({"blas": f"{blas['name']} {blas['version']}"} if blas else {})
    with suppress(AttributeError):
        if torch is not None and torch.version.cuda:
            found["cuda"] = str(torch.version.cuda)
    return found


def _libc() -> dict[str, str]:
    with suppress(ValueError, OSError, AttributeError):
        if text := os.confstr("CS_GNU_LIBC_VERSION"):
            return {"libc": text}
    return {}


def listed_variables(environ: Mapping[str, str], further: tuple[str, ...] = ()) -> dict[str, str]:
    """Return those variables of an environment that go on record, secrets redacted; *further* names or patterns too."""
    listed = _pattern((*VARIABLES, *further))
    names = sorted(name for name in environ if listed.fullmatch(name))
    return {name: redact_name_value(name, environ[name]) for name in names}


def _listed_here(further: tuple[str, ...]) -> dict[str, str]:
    """Return those of this process, listed anew where one has changed."""
    told, latest = variables(), _listed[0]
    if latest[0] is not told or latest[1] != further:
        _listed[0] = latest = told, further, listed_variables(told, further)
    return latest[2]


def thread_variables(environ: Mapping[str, str]) -> dict[str, str | None]:
    """Return the variables of an environment that set thread counts, None for those that are unset."""
    return {name: environ.get(name) for name in THREAD_VARIABLES}


@cache
def _pattern(allowed: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile("|".join(fnmatch.translate(pattern) for pattern in allowed))


def _torch_threads() -> dict[str, str | None]:
    torch = sys.modules.get("torch")
    with suppress(AttributeError, RuntimeError):
        if torch is not None:
            return {"torch": str(torch.get_num_threads())}
    return {}


def _locale() -> str:
    import locale

    return locale.setlocale(locale.LC_CTYPE)


# --- distributions ----------------------------------------------------------------------------------------------


_Found = tuple[dict[str, str], dict[str, str]]
# what was found last, by the file that remembers it, and for which states of folders
_latest: dict[Path, tuple[list[tuple[str, list[int] | None]], _Found]] = {}


def _distributions(memory: Path) -> _Found:
    """Return what is installed on `sys.path`; folders that did not change since the last time are not read again."""
    states = [(path, _state(path)) for path in dict.fromkeys(entry or os.getcwd() for entry in sys.path)]
    if memory in _latest and _latest[memory][0] == states:
        return _latest[memory][1]
    remembered = _load(memory)
    is_settled = True
    scanned: dict[str, dict[str, Any]] = {}
    found: list[list[Any]] = []
    for path, state in states:
        if state is None:
            continue
        known = remembered.get(path)
        if known is None or known.get("state") != state:
            now_ns = time.time_ns()
            known = {"state": state, "found": _scan(path)}
            # what is installed within the same tick of the clock would not change the state
            if now_ns - state[0] > _TICK_NS:
                scanned[path] = known
            else:
                is_settled = False
        found += known["found"]
    if scanned:
        _save(memory, {path: known for path, known in remembered.items() if os.path.isdir(path)} | scanned)
    packages: dict[str, str] = {}
    origins: dict[str, str] = {}
    seen: set[str] = set()
    for name, version, origin in found:
        normal = _normal(name)
        if normal not in seen:
            seen.add(normal)
            packages[name] = version
            if origin:
                origins[name] = origin
    answer = dict(sorted(packages.items(), key=lambda item: item[0].lower())), origins
    _latest.pop(memory, None)
    if is_settled:
        _latest[memory] = (states, answer)
    return answer


def _normal(name: str) -> str:
    """Return a distribution's name as indexes compare it (PEP 503)."""
    return _SEPARATORS.sub("-", name).lower()


def _state(path: str) -> list[int] | None:
    try:
        status = os.stat(path)
    except OSError:
        return None
    return [status.st_mtime_ns, status.st_ino] if stat.S_ISDIR(status.st_mode) else None


def _scan(path: str) -> list[list[str | None]]:
    found: list[list[str | None]] = []
    ends = (".dist-info", ".egg-info", *(("egg-info",) if path.endswith(".egg") else ()))
    try:
        names = sorted(entry.name for entry in os.scandir(path) if entry.name.lower().endswith(ends))
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
        if vcs := data.get("vcs_info"):
            return f"{vcs['vcs']}+{url}@{vcs['commit_id']}"
        return f"editable {url}" if data.get("dir_info", {}).get("editable") else url
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return None


def _load(memory: Path) -> dict[str, Any]:
    try:
        data = json.loads(memory.read_bytes())
    except (OSError, ValueError):
        return {}
    return data if isinstance(data, dict) and all(map(_is_sound, data.values())) else {}


def _is_sound(item: Any) -> bool:
    found = item.get("found") if isinstance(item, dict) else None
    return isinstance(found, list) and all(
        isinstance(row, list) and [type(word) for word in row[:2]] == [str, str] and len(row) == 3 for row in found
    )


def _save(memory: Path, folders: Mapping[str, Any]) -> None:
    """Replace the file; failing to costs only time, so it is silent."""
    with suppress(OSError):
        memory.parent.mkdir(parents=True, exist_ok=True)
        replace_whole(memory, json.dumps(folders).encode())
