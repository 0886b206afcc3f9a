"""A recorded configuration, exactly: composed again for the types, then overlaid with the values on record.

What is on record are plain values: interpolations resolved, enums by name, paths as text. Composing again gives the
nodes that main saw, with their types; each is given its recorded value, and keys that are not on record are taken out.
An interpolation of another node stays one as long as it resolves to what is on record. A resolver (`${now:}`,
`${oc.env:}`) is not asked again. With overrides on top, what they change compared with a composition without them is
taken from the new composition, and the rest from the record.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from enum import Enum
from typing import Any, Union, get_args, get_origin

from omegaconf import DictConfig, ListConfig, OmegaConf, flag_override

from anew.runner.config.hooks import Recorded
from anew.runner.config.private import nodes
from anew.runner.config.signature.parameters import RESERVED
from anew.runner.config.signature.values import recorded, recorded_value, users_part
from anew.runner.errors import ConfigError
from anew.runner.format.redact import REDACTED
from anew.runner.lazy.patterns import regexp

Path = tuple[Any, ...]
Compose = Callable[[Sequence[str] | None], DictConfig]
Apply = Callable[[Sequence[str], DictConfig], None]
_ABSENT: Any = object()
_INTERPOLATION = regexp(r"(\\*)\$\{")
_RESOLVER = regexp(r"\$\{[^${}]*:")
_NAMES_KEYS = regexp(r"\$\{oc\.(?:select|dict\.|deprecated)|\$\{[^${}]*:.*\$\{", re.DOTALL)
_FROM_VARIABLE = regexp(r"\$\{oc\.env:\s*([A-Za-z_]\w*)")
_OVERRIDE_KEY = regexp(r"[+~]*([^=]+)")
# where a run's output goes and how it is launched is new in every run
_OF_THE_JOB = regexp(
    r"[+~]*hydra(?:\.(?:run|sweep|mode|launcher|sweeper|output_subdir)\b.*|/(?:launcher|sweeper|output)\b.*)", re.DOTALL
)


class _NotAsRecordedError(Exception):
    """The composed nodes cannot hold the recorded values."""


def replay(was: Recorded, compose: Compose, apply: Apply) -> tuple[DictConfig, tuple[str, ...]]:
    """
    Return the configuration of a re-run, and what could not be as on record, in sentences.

    Args:
        was: What is on record.
        compose: Composes the configuration, Hydra's part with it, from overrides; given None, Hydra's part alone.
        apply: Applies overrides to a composed configuration.

    Raises:
        ConfigError: A secret is not on record, and nothing gives its value now.
        Exception: Whatever *compose* and *apply* raise for the changes.
    """
    try:
        usable = _usable(was)
        base = compose(usable)
        cfg = compose([*usable, *_on_top(was)]) if was.changes else base
    except Exception as error:
        if was.changes and _composes(compose, usable):
            raise
        return _untyped(was, compose, apply, _first_line(error))
    try:
        changed = set(_changes(base, cfg, ())) if was.changes else set()
        _Overlay(was, changed).apply(cfg)
        if not was.changes:
            now = users_part(cfg)
            _check(was.config, recorded(now), OmegaConf.to_container(now, resolve=False))
    except _NotAsRecordedError as error:
        return _untyped(was, compose, apply, str(error))
    return cfg, ()


def _composes(compose: Compose, overrides: Sequence[str]) -> bool:
    try:
        compose(overrides)
    except Exception:
        return False
    return True


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error).strip()}".split("\n")[0]


def _untyped(was: Recorded, compose: Compose, apply: Apply, why: str) -> tuple[DictConfig, tuple[str, ...]]:
    """Return the recorded values in a configuration without types, for one that no longer composes."""
    return overlaid(was, compose, apply), (
        f"The configuration does not compose any more as it did ({why}). "
        "Main is given the recorded values without the types that they had.",
    )


def overlaid(was: Recorded, compose: Compose, apply: Apply) -> DictConfig:
    """
    Return the recorded values in a configuration without types, changes on top; arguments as for `replay`.

    Raises:
        ConfigError: A secret is not on record, and no change gives it.
        Exception: Whatever *apply* raises for the changes.
    """
    cfg = compose(None)
    with flag_override(cfg, ["struct", "readonly"], [False, False]):
        for key in [key for key in cfg if key not in RESERVED]:
            nodes.drop(cfg, key)
        for key, value in was.config.items():
            cfg[key] = _literal(value)
    OmegaConf.set_struct(cfg, True)
    apply(was.changes, cfg)
    for path in _redacted(was.config, ()):
        if _holds_secret(OmegaConf.select(cfg, _dotted(path), throw_on_missing=False)):
            raise _secret_needed(was.ref, _dotted(path), None)
    return cfg


# --- overrides ----------------------------------------------------------------------------------------------------


def _usable(was: Recorded) -> list[str]:
    """Return the recorded overrides, without those of the job and with changes in place of secrets."""
    changes = {_key(change): change for change in was.changes}
    found = []
    for override in was.overrides:
        if _OF_THE_JOB.fullmatch(override):
            continue
        if REDACTED not in override:
            found.append(override)
        elif change := changes.get(_key(override)):
            found.append(f"{override.partition('=')[0]}={change.partition('=')[2]}")
    return found


def _on_top(was: Recorded) -> list[str]:
    """Return the changes, without those that only give a secret again."""
    secrets = {_key(override) for override in was.overrides if REDACTED in override}
    return [change for change in was.changes if _key(change) not in secrets]


def _key(override: str) -> str:
    found = _OVERRIDE_KEY.match(override)
    return found[1] if found else override


# --- what the changes change --------------------------------------------------------------------------------------


def _changes(base: Any, new: Any, path: Path) -> Iterator[Path]:
    """Yield the paths at which the composition with the changes is another than that without them."""
    keys = [*_keys(base), *(key for key in _keys(new) if key not in set(_keys(base)))]
    for key in keys:
        if not path and key in RESERVED:
            continue
        old, now = nodes.child(base, key), nodes.child(new, key)
        if old is None or now is None:
            yield (*path, key)
        elif nodes.is_open(old) and nodes.is_open(now) and type(old) is type(now) and _same_length(old, now):
            yield from _changes(old, now, (*path, key))
        elif _has_changed(base, new, key):
            yield (*path, key)


def _has_changed(base: Any, new: Any, key: Any) -> bool:
    raw, now = nodes.written_below(base, key), nodes.written_below(new, key)
    if type(raw) is not type(now) or (isinstance(raw, str) and raw != now):
        return True
    if not (isinstance(raw, str) and nodes.is_interpolation(nodes.child(base, key))):
        return not _equal(_resolved(base, key, None), _resolved(new, key, None))
    asks_the_world = _RESOLVER.search(raw) and not _NAMES_KEYS.search(raw)
    return not asks_the_world and not _equal(_resolved(base, key, None), _resolved(new, key, None))


def _resolved(parent: Any, key: Any, otherwise: Any) -> Any:
    """Return a value as it would be on record, or *otherwise* when it cannot be resolved."""
    try:
        return recorded_value(parent, key)
    except Exception:
        return otherwise


# --- the recorded values ------------------------------------------------------------------------------------------


class _Overlay:
    """Puts recorded values into composed nodes."""

    def __init__(self, was: Recorded, changed: set[Path]) -> None:
        self._was = was
        self._changed = changed
        self._references: list[tuple[Any, Any, Any]] = []

    def apply(self, cfg: DictConfig) -> None:
        """Raises ConfigError for a secret, _NotAsRecordedError for a value that does not fit."""
        self._into_dict(cfg, self._was.config, ())
        for parent, key, value in self._references:
            if not _equal(_resolved(parent, key, _ABSENT), value):
                self._put(parent, key, value)

    def _into(self, node: Any, value: Any, path: Path) -> None:
        if isinstance(node, DictConfig):
            self._into_dict(node, value, path)
        else:
            for index, item in enumerate(value):
                self._one(node, index, item, (*path, index))

    def _into_dict(self, node: DictConfig, values: Mapping[Any, Any], path: Path) -> None:
        keys = {key.name if isinstance(key, Enum) else key: key for key in _keys(node)}
        for name, key in keys.items():
            is_ours = not path and name in RESERVED
            if name not in values and not is_ours and (*path, key) not in self._changed:
                nodes.drop(node, key)
        for name, value in values.items():
            key = keys.get(name, name)
            if (*path, key) in self._changed:
                continue
            if key in keys.values():
                self._one(node, key, value, (*path, key))
            elif _holds_secret(value):
                raise _secret_needed(self._was.ref, _dotted((*path, key)), None)
            else:
                self._put(node, _typed_key(node, key), value)

    def _one(self, parent: Any, key: Any, value: Any, path: Path) -> None:
        """Give one node its recorded value, if it has another."""
        if path in self._changed:
            return
        node = nodes.child(parent, key)
        if _holds_secret(value):
            self._keep_secret(parent, key, path)
        elif nodes.is_interpolation(node):
            self._interpolation(parent, key, nodes.written(node), value)
        elif nodes.is_open(node) and _fits(node, value):
            self._into(node, value, path)
        elif nodes.is_container(node) or not _equal(_resolved(parent, key, _ABSENT), value):
            self._put(parent, key, value)

    def _interpolation(self, parent: Any, key: Any, raw: str, value: Any) -> None:
        if raw == value:
            return  # it could not be resolved before main either
        if _RESOLVER.search(raw):
            self._put(parent, key, value)
        else:
            self._references.append((parent, key, value))

    def _keep_secret(self, parent: Any, key: Any, path: Path) -> None:
        """Leave a secret to what gives it now: the source, a variable, an override."""
        if _was_typed(self._was, _dotted(path)):
            raise _secret_needed(self._was.ref, _dotted(path), None)
        raw = nodes.written_below(parent, key)
        found = _resolved(parent, key, None)
        if found in (None, "???") or _holds_secret(found) or (isinstance(found, str) and "${" in found):
            variable = _FROM_VARIABLE.search(raw) if isinstance(raw, str) else None
            raise _secret_needed(self._was.ref, _dotted(path), variable[1] if variable else None)

    def _put(self, parent: Any, key: Any, value: Any) -> None:
        try:
            nodes.put(parent, key, _built(nodes.hint(parent, key), value))
        except Exception as error:
            raise _NotAsRecordedError(f"{key}: {_first_line(error)}") from error


def _typed_key(node: DictConfig, key: Any) -> Any:
    kind = nodes.key_type(node)
    if isinstance(kind, type) and issubclass(kind, Enum) and isinstance(key, str) and key in kind.__members__:
        return kind[key]
    return key


def _built(hint: Any, value: Any) -> Any:
    """Return a recorded value as it is to be assigned to a node of a type."""
    if get_origin(hint) is Union or type(hint).__name__ == "UnionType":
        hint = next((each for each in get_args(hint) if each is not type(None)), Any)
    if isinstance(value, Mapping) and _is_structured(hint):
        node = OmegaConf.structured(hint)
        _Overlay(Recorded(ref="", config=value, overrides=()), set()).apply(node)
        return node
    arguments = get_args(hint)
    if isinstance(value, Mapping):
        inner = arguments[1] if len(arguments) == 2 else Any
        return {key: _built(inner, item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_built(arguments[0] if arguments else Any, item) for item in value]
    return _literal(value)


def _is_structured(hint: Any) -> bool:
    return isinstance(hint, type) and (hasattr(hint, "__dataclass_fields__") or hasattr(hint, "__attrs_attrs__"))


def _literal(value: Any) -> Any:
    """Return a value with its texts escaped, so that none of them is taken for an interpolation."""
    if isinstance(value, str):
        return _INTERPOLATION.sub(lambda found: found[1] * 2 + "\\${", value)
    if isinstance(value, Mapping):
        return {key: _literal(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_literal(item) for item in value]
    return value


# --- nodes --------------------------------------------------------------------------------------------------------


def _keys(node: Any) -> list[Any]:
    return list(range(len(node))) if isinstance(node, ListConfig) else list(node)


def _fits(node: Any, value: Any) -> bool:
    if isinstance(node, ListConfig):
        return isinstance(value, (list, tuple)) and len(value) == len(node)
    return isinstance(value, Mapping)


def _same_length(a: Any, b: Any) -> bool:
    return not isinstance(a, ListConfig) or len(a) == len(b)


def _equal(a: Any, b: Any) -> bool:
    if isinstance(a, Mapping) and isinstance(b, Mapping):
        return list(a) == list(b) and all(_equal(a[key], b[key]) for key in a)
    if isinstance(a, (list, tuple)) and isinstance(b, (list, tuple)):
        return len(a) == len(b) and all(map(_equal, a, b))
    if isinstance(a, float) and isinstance(b, float) and math.isnan(a):
        return math.isnan(b)
    return type(a) is type(b) and bool(a == b)


def _check(was: Any, now: Any, written: Any, path: Path = ()) -> None:
    """Compare what main will be given with what is on record, secrets apart, and what could not be resolved then."""
    if _holds_secret(was) or (isinstance(was, str) and was == written):
        return
    if isinstance(was, Mapping) and isinstance(now, Mapping) and set(was) == set(now):
        for key in was:
            _check(was[key], now[key], _below(written, key), (*path, key))
    elif isinstance(was, (list, tuple)) and isinstance(now, (list, tuple)) and len(was) == len(now):
        for index, (old, new) in enumerate(zip(was, now, strict=True)):
            _check(old, new, _below(written, index), (*path, index))
    elif not _equal(was, now):
        raise _NotAsRecordedError(f"{_dotted(path) or 'its keys'} would not be what is on record")


def _below(written: Any, key: Any) -> Any:
    try:
        return written[key]
    except (LookupError, TypeError):
        return None  # the whole of it is a reference


# --- secrets ------------------------------------------------------------------------------------------------------


def _holds_secret(value: Any) -> bool:
    return isinstance(value, str) and REDACTED in value


def _was_typed(was: Recorded, key: str) -> bool:
    """Whether a secret was an override's, which no change gives again: a default in code or YAML is another one."""
    given = [_key(change) for change in was.changes]
    typed = [_key(override) for override in was.overrides if REDACTED in override]
    return any(_is_within(key, each) for each in typed) and not any(_is_within(key, each) for each in given)


def _is_within(key: str, outer: str) -> bool:
    return key == outer or key.startswith((f"{outer}.", f"{outer}["))


def _redacted(value: Any, path: Path) -> Iterator[Path]:
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _redacted(item, (*path, key))
    elif isinstance(value, (list, tuple)):
        for index, item in enumerate(value):
            yield from _redacted(item, (*path, index))
    elif _holds_secret(value):
        yield path


def _dotted(path: Path) -> str:
    text = ""
    for key in path:
        name = key.name if isinstance(key, Enum) else key
        text += f"[{name}]" if isinstance(name, int) else f".{name}" if text else str(name)
    return text


def _secret_needed(ref: str, key: str, variable: str | None) -> ConfigError:
    source = f" It came from the environment: set {variable}, or" if variable else " To"
    # of a list Hydra takes all or nothing
    whole, bracket, _ = key.partition("[")
    again = f"'{whole}=[...]'" if bracket else f"{key}=VALUE"
    return ConfigError(
        f"The value of {key} is a secret, which is not kept on record.{source} give it again: anew rerun {ref} {again}",
        key=key,
    )
