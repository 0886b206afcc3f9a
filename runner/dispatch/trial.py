"""Try observers without a run: can they be built, and is their other side there?"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

from anew.runner.config.build import build_observer, resolved_spec
from anew.runner.contracts import Checking
from anew.runner.dispatch.specs import read_specs
from anew.runner.errors import AnewError
from anew.runner.format.redact import Redactor, secrets_in
from anew.runner.settings import ObserverSettings, Settings
from anew.runner.store.run_folders import RunFolders


def configured(settings: Sequence[str], config_dir: str | None) -> tuple[ObserverSettings, ...]:
    """
    Return the observers that settings on a command line choose.

    Args:
        settings: Such as "anew/observers=[mongo]".
        config_dir: A folder of configuration that may have observers of its own, in anew/observers.

    Raises:
        ConfigError: They cannot be composed.
    """
    from anew.runner.config.compose.node import compose_node

    return Settings.from_mapping(compose_node(settings, config_dir)).observers


def of_newest_run(store: RunFolders) -> Iterator[tuple[str, Callable[[], Mapping[str, Any]]]]:
    """Yield for each observer of the newest run its name, and a function that gives its configuration."""
    for run in store.newest(1):
        for name, written in read_specs(store.layout.run(run.number)).items():
            yield name, partial(resolved_spec, name, written, run.record.config)


def tried(name: str, resolve: Callable[[], Mapping[str, Any]]) -> tuple[str, str]:
    """Return where an observer delivers to, and what is wrong: one of them is empty."""
    redactor = Redactor.of_environment()
    try:
        spec = resolve()
        redactor.learn(secrets_in(spec))
        observer = build_observer(name, spec)
        try:
            where = observer.check() if isinstance(observer, Checking) else "can be built"
        finally:
            with suppress(Exception):
                observer.close()
    except AnewError as error:
        return "", redactor.text(str(error))
    except Exception as error:
        return "", redactor.text(f"{type(error).__name__}: {error}")
    return where, ""
