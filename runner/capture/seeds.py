"""
Seeds: one root, from which everything random is derived.

A library's seed is the first 32 bits of SHA-256 over the root and the library's name, so that libraries do not run in
step and each one's seed can be worked out by hand with `derive_seed`. `rng` uses numpy's SeedSequence, whose spawn keys
are made for independent streams.
"""

from __future__ import annotations

import hashlib
import importlib.abc
import importlib.machinery
import os
import random
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from types import ModuleType
from typing import TYPE_CHECKING, Any

from anew.runner.errors import ConfigError
from anew.runner.records import SeedFacts

if TYPE_CHECKING:
    import numpy as np

LIMIT = 2**32


def draw_seed() -> int:
    """Return a fresh root seed in [0, 2**32)."""
    return int.from_bytes(os.urandom(4), "big")


def derive_seed(root: int, name: str) -> int:
    """Return the seed in [0, 2**32) that the library *name* is given for a root seed."""
    return int.from_bytes(hashlib.sha256(f"{root}:{name}".encode()).digest()[:4], "big")


def rng(root: int, name: str) -> np.random.Generator:
    """Return a Generator that depends on the root seed and the name alone; see `Run.rng`."""
    import numpy as np

    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).digest()
    key = [int.from_bytes(digest[i : i + 4], "big") for i in range(0, 16, 4)]
    return np.random.default_rng(np.random.SeedSequence(entropy=root, spawn_key=key))


def seed_from_config(config: Mapping[str, Any]) -> int | None:
    """
    Return the configuration's own `seed`, or None when it has none.

    Raises:
        ConfigError: It is no whole number in [0, 2**32).
    """
    seed = config.get("seed")
    if seed is None or seed == "???":
        return None
    if isinstance(seed, int) and not isinstance(seed, bool) and 0 <= seed < LIMIT:
        return seed
    raise ConfigError(
        f"seed={seed!r} cannot be the root seed, which is a whole number from 0 to {LIMIT - 1}. "
        "Give one, such as seed=1, or leave it out to have one drawn."
    )


# --- libraries --------------------------------------------------------------------------------------------------


def _seed_numpy(module: Any, seed: int) -> None:
    module.seed(seed)


def _seed_torch(module: Any, seed: int) -> None:
    # seeds the CPU and every accelerator; where CUDA is not initialised yet, torch does it when it is
    module.manual_seed(seed)


def _seed_tensorflow(module: Any, seed: int) -> None:
    module.random.set_seed(seed)


_LIBRARIES: dict[str, tuple[str, Callable[[Any, int], None]]] = {
    "numpy.random": ("numpy", _seed_numpy),
    "torch": ("torch", _seed_torch),
    "tensorflow": ("tensorflow", _seed_tensorflow),
}


class Seeder:
    """
    Seeds the libraries that are imported, and those imported later at the moment of their import.

    JAX keeps no global random state: its keys are explicit, and a program makes them from `run.seed`.

    Args:
        root: In [0, 2**32).
        origin: "config" or "drawn".
    """

    def __init__(self, root: int, origin: str = "drawn") -> None:
        self.root = root
        self.origin = origin
        self._seeded: dict[str, int] = {}
        self._hook: _ImportHook | None = None
        self._on_seeded: Callable[[str, int], None] | None = None

    def facts(self) -> SeedFacts:
        """Return what is pinned so far."""
        return SeedFacts(
            root=self.root,
            origin=self.origin,
            seeded=dict(self._seeded),
            hash_randomization=os.environ.get("PYTHONHASHSEED") or ("random" if sys.flags.hash_randomization else "0"),
        )

    def apply(self, on_seeded: Callable[[str, int], None] | None = None) -> SeedFacts:
        """
        Seed what is imported, and from now on whatever is imported.

        Args:
            on_seeded: Called with library and seed for those imported later.
        """
        self._seeded["random"] = derive_seed(self.root, "random")
        random.seed(self._seeded["random"])
        waiting = set()
        for name in _LIBRARIES:
            module = sys.modules.get(name)
            if module is not None and hasattr(module, "__spec__") and not _is_loading(module):
                self._seed(name, module)
            else:
                waiting.add(name)
        self._on_seeded = on_seeded
        self._hook = _ImportHook(waiting, self._seed)
        sys.meta_path.insert(0, self._hook)
        return self.facts()

    def close(self) -> None:
        """Stop watching imports."""
        with suppress(ValueError):
            if self._hook is not None:
                self._hook.close()
                sys.meta_path.remove(self._hook)

    def _seed(self, name: str, module: Any) -> None:
        library, seed_library = _LIBRARIES[name]
        seed = derive_seed(self.root, library)
        # whatever goes wrong here, an import that worked without us works with us
        with suppress(Exception):
            seed_library(module, seed)
            self._seeded[library] = seed
            if self._on_seeded is not None:
                self._on_seeded(library, seed)


def _is_loading(module: ModuleType) -> bool:
    return bool(getattr(module.__spec__, "_initializing", False))


class _ImportHook(importlib.abc.MetaPathFinder):
    """Finds the awaited modules as the other finders do, and has them seeded once they are loaded."""

    def __init__(self, waiting: set[str], seed: Callable[[str, Any], None]) -> None:
        self._waiting = waiting
        self._seed = seed

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname not in self._waiting:
            return None
        for finder in sys.meta_path:
            if finder is self or not hasattr(finder, "find_spec"):
                continue
            spec = finder.find_spec(fullname, path, target)
            if spec is not None:
                if spec.loader is not None and hasattr(spec.loader, "exec_module"):
                    spec.loader = _SeedingLoader(spec.loader, fullname, self)
                return spec
        return None

    def close(self) -> None:
        """Seed nothing any more, not even what was found and is loaded later."""
        self._waiting.clear()

    def loaded(self, name: str, module: ModuleType) -> None:
        """Have a module seeded; not found but loaded, since many a program only asks whether a library is there."""
        if name in self._waiting:
            self._waiting.discard(name)
            self._seed(name, module)


class _SeedingLoader(importlib.abc.Loader):
    """Loads as the original does, leaves the original in its place, and then seeds."""

    def __init__(self, original: Any, name: str, hook: _ImportHook) -> None:
        self._original = original
        self._name = name
        self._hook = hook

    def __getattr__(self, name: str) -> Any:
        return getattr(vars(self).get("_original"), name)

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        created: ModuleType | None = self._original.create_module(spec)
        return created

    def exec_module(self, module: ModuleType) -> None:
        if module.__spec__ is not None:
            module.__spec__.loader = self._original
        module.__loader__ = self._original
        self._original.exec_module(module)
        self._hook.loaded(self._name, module)
