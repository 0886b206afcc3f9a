"""`_target_` -> object: what a configuration names, made."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from anew.runner.config.private.versions import supported
from anew.runner.errors import AnewError, ConfigError
from anew.runner.format.redact import REDACTED
from anew.runner.lazy.patterns import regexp
from anew.runner.settings import COMMON
from anew.runner.wording import place_of

# an interpolation that only refers to another value
_PLAIN = regexp(r"\$\{[\w.\[\]-]+\}")


def build_observer(name: str, spec: Mapping[str, Any]) -> Any:
    """
    Make the observer that a configuration describes.

    Args:
        name: What it is called under `anew.observers`.
        spec: Resolved plain values: `_target_`, the dotted name of a class or function, and its arguments.

    Raises:
        ConfigError: The target cannot be imported or does not take these arguments, or what it gives is no observer.
        AnewError: As the observer itself raises it, such as MissingExtraError.
    """
    with supported():
        from hydra.errors import InstantiationException

        from anew.runner.config.private.targets import made

    target = spec.get("_target_")
    if not isinstance(target, str):
        raise ConfigError(
            f"anew.observers.{name} has no _target_, the dotted name of a class, such as "
            f"anew.observers.{name}._target_=mymodule.MyObserver"
        )
    try:
        observer = made({**spec, "_convert_": "all"})
    except InstantiationException as error:
        cause = error.__cause__
        if isinstance(cause, AnewError):
            raise cause from error
        reason = (
            f"{type(cause).__name__}: {cause}{place_of(cause)}" if cause is not None else str(error).splitlines()[0]
        )
        raise ConfigError(f"anew.observers.{name}: {target} cannot be built: {reason}") from error
    return observer_of(name, observer)


class _Calling:
    """An observer that is a function of one event."""

    def __init__(self, function: Callable[[Any], object]) -> None:
        self._function = function

    def handle(self, event: Any, /) -> None:
        self._function(event)

    def close(self) -> None:
        return


def observer_of(name: str, given: Any) -> Any:
    """
    Return the observer that *given* is, or makes: an instance, a class without arguments, or a function of one event.

    Raises:
        ConfigError: It is none of these.
    """
    observer = given() if isinstance(given, type) else given
    if callable(getattr(observer, "handle", None)):
        return observer
    if callable(observer):
        return _Calling(observer)
    raise ConfigError(
        f"anew.observers.{name}: {type(observer).__name__} is no observer: it has no method handle(event), and "
        "cannot be called with an event; see anew.Observer"
    )


def read_settings(words: Sequence[str]) -> dict[str, dict[str, Any]]:
    """
    Return observer -> key -> value of words such as `anew.observers.mongo.timeout_s=1`, values read as in YAML.

    Raises:
        ConfigError: A word is something else.
    """
    from yaml import YAMLError

    with supported():
        from omegaconf import OmegaConf

    prefix = "anew.observers."
    for word in words:
        if not re.fullmatch(r"anew\.observers\.[\w-]+\.[\w.]+=.*", word, re.DOTALL):
            raise ConfigError(f"{word.partition('=')[0]!r} sets nothing; write it as {prefix}mongo.url=mongodb://...")
    try:
        tree = OmegaConf.from_dotlist([word.removeprefix(prefix) for word in words])
    except YAMLError as error:
        raise ConfigError(f"The settings cannot be read: {str(error).splitlines()[0]}") from None
    found = OmegaConf.to_container(tree, resolve=False)
    return {str(name): dict(values) for name, values in found.items()} if isinstance(found, dict) else {}


def resolved_spec(
    name: str, written: Mapping[str, Any], config: Mapping[str, Any], *, own: bool = True
) -> dict[str, Any]:
    """
    Return an observer's configuration with today's environment filled in.

    Args:
        name: What it is called under `anew.observers`.
        written: Its configuration before interpolation, as it was put on record.
        config: The run's configuration, for what refers to it.
        own: Whether it is by this user: else nothing is computed, and no variable of the environment read; it may
            refer to plain values of the configuration alone.

    Raises:
        ConfigError: Something in it is not there, or was a secret and not recorded; the message says how to give it.
    """
    with supported():
        from omegaconf import OmegaConf
        from omegaconf.errors import OmegaConfBaseException
    hidden = [key for key, value in written.items() if REDACTED in str(value)]
    if hidden:
        raise ConfigError(
            f"anew.observers.{name}.{hidden[0]} held a secret, which was not recorded. Give it: "
            f"anew sync anew.observers.{name}.{hidden[0]}=..., or for next time: '${{oc.env:VARIABLE}}'",
            observer=name,
        )
    if not own:
        config = _without_interpolation(config)
        computed = [key for key, value in written.items() if "${" in _PLAIN.sub("", str(value))]
        if computed:
            raise ConfigError(
                f"anew.observers.{name}.{computed[0]} refers to the environment, or computes something, which is done "
                f"for your own runs only. Give it: anew sync anew.observers.{name}.{computed[0]}=...",
                observer=name,
            )
    try:
        tree = OmegaConf.create({**config, "anew": {"observers": {name: dict(written)}}})
        found = OmegaConf.to_container(tree.anew.observers[name], resolve=True)
    except OmegaConfBaseException as error:
        reason = str(error).strip().splitlines()[0]
        raise ConfigError(f"anew.observers.{name} cannot be resolved: {reason}", observer=name) from error
    assert isinstance(found, dict)
    return {str(key): value for key, value in found.items() if key not in COMMON}


def _without_interpolation(value: Any) -> Any:
    """Return values without those that have an interpolation in them."""
    if isinstance(value, Mapping):
        return {key: _without_interpolation(item) for key, item in value.items() if not _interpolates(item)}
    if isinstance(value, (list, tuple)):
        return [_without_interpolation(item) for item in value if not _interpolates(item)]
    return value


def _interpolates(value: Any) -> bool:
    return isinstance(value, str) and "${" in value
