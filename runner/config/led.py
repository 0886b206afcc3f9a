"""Places in a recorded configuration: of the run's own, led into the new run; of its project, to its files."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from omegaconf import DictConfig

from anew.runner.config.hooks import Recorded
from anew.runner.config.private import nodes
from anew.runner.config.signature.values import recorded_value

Move = Callable[[str, str], "str | None"]


def lead(cfg: DictConfig, was: Recorded, folder: str, output: str) -> None:
    """
    Have values that are as on record, and that are paths, lead where they are to lead in this run.

    What was changed on top of the record is left as it is. Interpolations of other keys follow those.

    Args:
        cfg: The configuration, with recorded values.
        was: What is on record.
        folder: The new run's folder.
        output: Where its output goes.
    """
    places, own = was.places, was.own
    if places is None or own is None:
        return

    def move(key: str, text: str) -> str | None:
        return own.led(text, folder, output) or places.laid_out(text, always=key in own.of_cwd)

    # what others refer to first
    for is_reference in (False, True):
        for parent, key, value in list(_to_move(cfg, was.config, move, "", is_reference)):
            nodes.put(parent, key, value)


def _to_move(node: Any, was: Any, move: Move, where: str, is_reference: bool) -> Iterator[tuple[Any, Any, str]]:
    for name, value in was.items() if isinstance(was, Mapping) else enumerate(was):
        key = _key(node, name)
        path = f"{where}[{name}]" if isinstance(name, int) else f"{where}.{name}".lstrip(".")
        below = nodes.child(node, key)
        if isinstance(value, str) and (led := move(path, value)) is not None:
            if nodes.is_interpolation(below) is is_reference and _is_still(node, key, value):
                yield node, key, led
        elif isinstance(value, (Mapping, list, tuple)) and nodes.is_open(below):
            yield from _to_move(below, value, move, path, is_reference)


def _key(node: Any, name: Any) -> Any:
    """Return the key that is on record by its name."""
    if not isinstance(node, DictConfig):
        return name
    return next((key for key in node if getattr(key, "name", key) == name), name)


def _is_still(node: Any, key: Any, value: str) -> bool:
    try:
        return nodes.child(node, key) is not None and bool(recorded_value(node, key) == value)
    except Exception:
        return False
