"""What differs between versions of Hydra about `_target_`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from hydra.types import HydraContext
from hydra.utils import instantiate

# Hydra 1.4 warns about every target that whoever calls it has not vouched for. Of a user's own class we know no more
# than Hydra does, so its word about it stands.
_OURS = "anew."
_CAN_VOUCH = hasattr(HydraContext, "execution_whitelist")


def made(spec: Mapping[str, Any]) -> Any:
    """Return what a configuration names. Raises InstantiationException."""
    if _CAN_VOUCH and all(target.startswith(_OURS) for target in _targets(spec)):
        return instantiate(spec, _execution_whitelist_=f"{_OURS}*")
    return instantiate(spec)


def _targets(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        if "_target_" in value:
            yield str(value["_target_"])
        for each in value.values():
            yield from _targets(each)
    elif isinstance(value, Sequence) and not isinstance(value, (str, bytes)):
        for each in value:
            yield from _targets(each)
