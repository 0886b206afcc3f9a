"""
A composed job, packed for another process of this machine that was started for it. Never stored.

What is unpacked is what was composed, to the last node: a job does not read the configuration's files again.
"""

from __future__ import annotations

import copyreg
import dataclasses
import os
import pickle
import sys
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cloudpickle
from omegaconf import DictConfig, OmegaConf

from anew.runner.config.direct.called import Typed
from anew.runner.config.private.nodes import declared_by, resolvers, undeclare
from anew.runner.dataclass import dataclass

_FAST = 1


@dataclass(frozen=True, slots=True)
class Shared:
    """What all jobs of a sweep have in common."""

    typed: Typed
    sweep_dir: Path
    resolvers: Mapping[str, bytes]


def pack(cfg: DictConfig, settings: Mapping[str, Any]) -> bytes:
    """Pack one job: its configuration with Hydra's part, and the `anew` node."""
    return packed((undeclared(cfg), dict(settings)))


def undeclared(cfg: DictConfig) -> DictConfig:
    """Return a configuration that does not name a class which no other process can import."""
    if not _is_importable(declared_by(cfg)):
        # what main's signature declares has been checked, and main is not given it
        undeclare(cfg)
    return cfg


def packed(value: Any) -> bytes:
    """Pack what jobs are run by."""
    return zlib.compress(pickled(value), _FAST)


def pickled(value: Any) -> bytes:
    """Return what can be pickled as it is, or, where another process could not import its class, with that."""
    try:
        data: bytes = cloudpickle.dumps(value) if _is_interactive() else pickle.dumps(value)
    except Exception:
        data = cloudpickle.dumps(value)
    return data


def _is_importable(kind: Any) -> bool:
    if not isinstance(kind, type):
        return True
    return getattr(sys.modules.get(kind.__module__), kind.__qualname__.partition(".")[0], None) is not None


def _is_interactive() -> bool:
    """Whether classes of `__main__` are in no file that another process could import."""
    return not os.path.isfile(getattr(sys.modules.get("__main__"), "__file__", None) or "")


# By value it would be another object, and classes of a notebook are packed by value: a field without a default would
# have one.
copyreg.pickle(type(dataclasses.MISSING), lambda missing: "MISSING")


def unpack(data: bytes) -> Any:
    """Return what was packed, or pickled."""
    return pickle.loads(data if data.startswith(pickle.PROTO) else zlib.decompress(data))


def pack_shared(typed: Typed, sweep_dir: Path) -> bytes:
    """Pack what all jobs have in common, the user's own resolvers among it, as far as they can be."""
    return pickle.dumps(Shared(typed, sweep_dir, _packed_resolvers()))


def unpack_shared(data: bytes) -> Shared:
    """Return what was packed, with the resolvers registered that this process has not."""
    shared = pickle.loads(data)
    assert isinstance(shared, Shared)
    for name, packed in shared.resolvers.items():
        if not OmegaConf.has_resolver(name):
            resolvers()[name] = pickle.loads(packed)
    return shared


def _packed_resolvers() -> dict[str, bytes]:
    found = {}
    for name, resolver in resolvers().items():
        if name.startswith(("oc.", "anew.")) or name in ("hydra", "now", "python_version"):
            continue
        try:
            found[name] = cloudpickle.dumps(resolver)
        except Exception:  # one that holds a lock or a file; the script that made it makes it again
            continue
    return found
