"""
Seeds: one root, from which everything random is derived.

A library's seed is the first 32 bits of SHA-256 over the root and the library's name, so that libraries do not run in
step and each one's seed can be worked out by hand with `derive_seed`. `rng` uses numpy's SeedSequence, whose spawn keys
are made for independent streams.
"""

from __future__ import annotations

import hashlib
import os
import random
import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from anew.runner.errors import ConfigError
from anew.runner.kernel.importing import ImportWatch
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


def seed_from_config(config: Mapping[str, Any], name: str = "seed") -> int | None:
    """
    Return the configuration's own `seed`, or None when it has none; *name* is what it is called in a message.

    Raises:
        ConfigError: It is no whole number in [0, 2**32).
    """
    seed = config.get("seed")
    if seed is None or seed == "???":
        return None
    if isinstance(seed, int) and not isinstance(seed, bool) and 0 <= seed < LIMIT:
        return seed
    raise ConfigError(
        f"{name}={seed!r} cannot be the root seed, which is a whole number from 0 to {LIMIT - 1}. "
        f"Give one, such as {name}=1, or leave it out to have one drawn."
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
        origin: As in `SeedFacts`.
    """

    def __init__(self, root: int, origin: str = "drawn") -> None:
        self.root = root
        self.origin = origin
        self._seeded: dict[str, int] = {}
        self._watch = ImportWatch(_LIBRARIES, self._seed)
        self._on_seeded: Callable[[str, int], object] | None = None

    def facts(self) -> SeedFacts:
        """Return what is pinned so far."""
        return SeedFacts(
            root=self.root,
            origin=self.origin,
            seeded=dict(self._seeded),
            hash_randomization=os.environ.get("PYTHONHASHSEED") or ("random" if sys.flags.hash_randomization else "0"),
        )

    def apply(self, on_seeded: Callable[[str, int], object] | None = None) -> SeedFacts:
        """
        Seed what is imported, and from now on whatever is imported.

        Args:
            on_seeded: Called with library and seed for those imported later.
        """
        self._seeded["random"] = derive_seed(self.root, "random")
        random.seed(self._seeded["random"])
        self._watch.start()
        self._on_seeded = on_seeded
        return self.facts()

    def close(self) -> None:
        """Stop watching imports."""
        self._watch.close()

    def _seed(self, name: str, module: Any) -> None:
        library, seed_library = _LIBRARIES[name]
        seed = derive_seed(self.root, library)
        seed_library(module, seed)
        self._seeded[library] = seed
        if self._on_seeded is not None:
            self._on_seeded(library, seed)
