"""
Determinism: libraries that compute the same each time, where they can.

What is turned on, and where it is described:

- torch: `use_deterministic_algorithms` and cuDNN's flags, https://docs.pytorch.org/docs/stable/notes/randomness.html
- TensorFlow: `tf.config.experimental.enable_op_determinism`, which has no public way back and so outlasts the run
- cuBLAS: CUBLAS_WORKSPACE_CONFIG, https://docs.nvidia.com/cuda/cublas/#results-reproducibility
- XLA, under JAX: `--xla_gpu_deterministic_ops`, which excludes what is not deterministic and the choice of kernels by
  measurement, https://openxla.org/xla/determinism
- MKL: MKL_CBWR, "Specifying Code Branches" in Intel's oneMKL developer guide

OpenBLAS has no such switch, and oneDNN under torch follows torch's.
"""

from __future__ import annotations

import os
import re
import shlex
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from types import ModuleType
from typing import Any, NamedTuple

from anew.runner.kernel.importing import ImportWatch
from anew.runner.lazy.patterns import regexp


class Determinism:
    """
    Has libraries compute the same each time, where they can, and gives torch the threads of an earlier run.

    Variables are set at the start, which is early enough as long as nothing was computed yet; libraries are told when
    they are imported. Everything acts on the whole process: of two at work at once, the one started last is to be
    closed first. Processes started meanwhile inherit the variables, and when forked the rest too.

    Libraries are told strictly: where an operation has no deterministic form they raise an error, since results that
    differ in silence are what the user asked to be spared. A program that can live with such an operation says so
    itself, and that is respected: with `torch.use_deterministic_algorithms(True, warn_only=True)`, or for XLA with
    `XLA_FLAGS=--xla_gpu_deterministic_ops=false`.

    What goes wrong in a library fails neither a run nor an import: it is told in `warnings`.

    Args:
        deterministic: Whether to turn anything on; the setting `anew.deterministic`.
        torch_threads: What torch gets for its number of threads; None leaves it alone.
        on_set: Called with library -> what was turned on there: at the start, and whenever a library is imported, then
            in the thread that imports it. What it raises is passed over.
    """

    def __init__(
        self,
        *,
        deterministic: bool,
        torch_threads: int | None = None,
        on_set: Callable[[Mapping[str, str]], object],
    ) -> None:
        self._deterministic = deterministic
        self._torch_threads = torch_threads
        self._on_set = on_set
        self._warnings: list[str] = []
        self._undo = ExitStack()
        self._closed = False
        self._watch = ImportWatch(_LIBRARIES if deterministic else ("torch",), self._loaded)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What could not be done so far, in sentences with the way out; a library imported later may add one."""
        return tuple(self._warnings)

    def start(self) -> None:
        """Set the variables, tell the libraries that are imported, and from now on those that will be; call it once."""
        if self._deterministic:
            self._report(self._set_variables())
            self._look_at_hashes()
        if self._deterministic or self._torch_threads is not None:
            self._watch.start()

    def close(self) -> None:
        """Put flags, threads and variables back as they were; never raises, and may be called again."""
        self._watch.close()
        self._closed = True
        self._put_back()

    def _put_back(self) -> None:
        with suppress(Exception):
            self._undo.close()

    def _set_variables(self) -> dict[str, str]:
        done = {}
        for library, variable in _VARIABLES.items():
            before = os.environ.get(variable.name)
            value = variable.choose(before or "")
            if value is None:
                self._warnings.append(
                    f"{library} may compute differently each time, since {variable.name} is {before!r} and is "
                    f"left alone. Have it contain {_XLA_FLAG}."
                )
                continue
            if value != before:
                self._set_variable(library, variable, value, before)
            done[library] = f"{variable.name}={value}"
        return done

    def _set_variable(self, library: str, variable: _Variable, value: str, before: str | None) -> None:
        if variable.in_use() and _READ.get(variable.name) != value:
            self._warnings.append(
                f"{library} may compute differently each time, since it was in use before the run began and has read "
                f"{variable.name} already. Set {variable.name}={shlex.quote(value)} before Python starts, or use it "
                "only in main."
            )
        else:
            self._undo.callback(_note_use, variable, value)
        self._undo.callback(_put_variable, variable.name, before)
        os.environ[variable.name] = value

    def _look_at_hashes(self) -> None:
        if sys.flags.hash_randomization and os.environ.get("PYTHONHASHSEED", "") in ("", "random"):
            self._warnings.append(
                "The order of sets of texts differs from process to process, since Python hashes texts differently in "
                "each. It can only be pinned before Python starts: PYTHONHASHSEED=0 python ..."
            )

    def _loaded(self, name: str, module: ModuleType) -> None:
        if name == "torch" and self._torch_threads is not None:
            with self._warned(f"torch was not given {self._torch_threads} threads", "torch.set_num_threads()"):
                _set_threads(module, self._torch_threads, self._undo)
        if self._deterministic:
            turn_on, by_hand = _LIBRARIES[name]
            with self._warned(f"{name} may compute differently each time", by_hand):
                self._report({name: turn_on(module, self._undo)})
        # an import in another thread, which close() did not wait for
        if self._closed:
            self._put_back()

    @contextmanager
    def _warned(self, failed: str, by_hand: str) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            self._warnings.append(f"{failed} ({type(error).__name__}: {error}). Call {by_hand} in main to see why.")

    def _report(self, done: Mapping[str, str]) -> None:
        with suppress(Exception):
            self._on_set(done)


# --- variables --------------------------------------------------------------------------------------------------


class _Variable(NamedTuple):
    """An environment variable that a library reads once, when it is first used; `choose` is None to leave it alone."""

    name: str
    choose: Callable[[str], str | None]
    in_use: Callable[[], bool]


# what the library has read, by variable: what one run has set in time holds for the next run of the process as well
_READ: dict[str, str] = {}
_XLA_FLAG = "--xla_gpu_deterministic_ops=true"
_XLA_IS_ON = regexp(r"(?<!\S)--xla_gpu_deterministic_ops(=(true|1))?(?!\S)", re.IGNORECASE)


def _note_use(variable: _Variable, value: str) -> None:
    if variable.in_use():
        _READ[variable.name] = value


def _put_variable(name: str, value: str | None) -> None:
    if value is None:
        os.environ.pop(name, None)
    else:
        os.environ[name] = value


def _cublas(now: str) -> str:
    # the two values NVIDIA names, and the only ones torch takes; the first is the faster one, for 24 MiB
    return now if now in (":4096:8", ":16:8") else ":4096:8"


def _cublas_in_use() -> bool:
    torch: Any = sys.modules.get("torch")
    with suppress(Exception):
        return bool(torch.cuda.is_initialized())
    return False


def _mkl(now: str) -> str:
    # AUTO keeps to the best instructions of the processor; COMPATIBLE, the same on every one, takes several times as
    # long. STRICT has matrix products come out the same for any number of threads.
    return "AUTO,STRICT" if not now or now.upper().endswith("OFF") else now


def _xla(now: str) -> str | None:
    if _XLA_IS_ON.search(now):
        return now
    # what does not begin with dashes names a file of flags: XLA ends the process when it cannot read it
    if "xla_gpu_deterministic_ops" in now or now.lstrip()[:2] not in ("", "--"):
        return None
    return f"{now} {_XLA_FLAG}".lstrip()


def _xla_in_use() -> bool:
    # JAX has no public question for this, but for those that start XLA
    bridge: Any = sys.modules.get("jax._src.xla_bridge")
    with suppress(Exception):
        return bool(bridge.backends_are_initialized())
    return False


_VARIABLES = {
    "cublas": _Variable("CUBLAS_WORKSPACE_CONFIG", _cublas, _cublas_in_use),
    "mkl": _Variable("MKL_CBWR", _mkl, lambda: False),  # it cannot be asked
    "xla": _Variable("XLA_FLAGS", _xla, _xla_in_use),
}


# --- libraries --------------------------------------------------------------------------------------------------


def _set_threads(torch: Any, count: int, undo: ExitStack) -> None:
    undo.callback(torch.set_num_threads, torch.get_num_threads())
    torch.set_num_threads(count)


def _torch(torch: Any, undo: ExitStack) -> str:
    cudnn = torch.backends.cudnn
    # True only where the program has said so itself
    warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
    was = torch.are_deterministic_algorithms_enabled()
    undo.callback(torch.use_deterministic_algorithms, was, warn_only=warn_only)
    torch.use_deterministic_algorithms(True, warn_only=warn_only)
    for name, value in (("deterministic", True), ("benchmark", False)):
        undo.callback(setattr, cudnn, name, getattr(cudnn, name))
        setattr(cudnn, name, value)
    noted = " (warn_only)" if warn_only else ""
    return f"use_deterministic_algorithms{noted}, cudnn.deterministic, no cudnn.benchmark"


def _tensorflow(tensorflow: Any, undo: ExitStack) -> str:
    tensorflow.config.experimental.enable_op_determinism()
    return "enable_op_determinism"


_LIBRARIES: dict[str, tuple[Callable[[Any, ExitStack], str], str]] = {
    "torch": (_torch, "torch.use_deterministic_algorithms(True)"),
    "tensorflow": (_tensorflow, "tf.config.experimental.enable_op_determinism()"),
}
