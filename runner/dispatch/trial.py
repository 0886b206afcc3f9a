"""Try observers without a run: can they be built, and is their other side there?"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import redirect_stdout, suppress
from functools import partial
from typing import Any

from anew.runner.config.build import build_observer
from anew.runner.config.private.versions import supported
from anew.runner.contracts import Checking
from anew.runner.dataclass import dataclass
from anew.runner.dispatch.permission import LeftAloneError, find_modules, permitted_spec
from anew.runner.dispatch.specs import RecordedObserver, read_specs
from anew.runner.errors import AnewError
from anew.runner.format.redact import Redactor, secrets_in
from anew.runner.records import RunRecord
from anew.runner.settings import ObserverSettings, Settings
from anew.runner.store.paths import RunLayout
from anew.runner.store.run_folders import RunFolders
from anew.runner.store.stream import RunSource
from anew.runner.wording import place_of


@dataclass(frozen=True, kw_only=True, slots=True)
class Tried:
    """
    What came of trying an observer: one of three sentences.

    Attributes:
        name: The observer.
        where: Where it delivers to.
        problem: What is wrong.
        left_alone: Why it was not tried, and how to allow it.
        answers: Whether it was asked, and not only built.
    """

    name: str
    where: str = ""
    problem: str = ""
    left_alone: str = ""
    answers: bool = False


def configured(settings: Sequence[str], config_dir: str | None) -> tuple[ObserverSettings, ...]:
    """
    Return the observers that settings on a command line choose.

    Args:
        settings: Such as "anew/observers=[mongo]".
        config_dir: A folder of configuration that may have observers of its own, in anew/observers.

    Raises:
        ConfigError: They cannot be composed.
    """
    with supported():
        # not at the top: it loads Hydra
        from anew.runner.config.compose.node import compose_node

    return Settings.from_mapping(compose_node(settings, config_dir)).observers


def of_newest_run(store: RunFolders, *, trusted: bool = False) -> Iterator[tuple[str, Callable[[], Mapping[str, Any]]]]:
    """Yield for each observer of the newest run its name, and a function that gives what it may be built of."""
    for run in store.newest(1):
        layout = store.present(run.number)
        for name, observer in read_specs(layout).items():
            record = RunSource(layout, run.number).record
            yield name, partial(_permitted, layout, observer, record, trusted)


def _permitted(layout: RunLayout, observer: RecordedObserver, record: RunRecord, trusted: bool) -> Mapping[str, Any]:
    spec = permitted_spec(layout, observer, record, again="anew check", trusted=trusted)
    find_modules(layout, record, spec)
    return spec


def typed(spec: Mapping[str, Any], store: RunFolders | None) -> Mapping[str, Any]:
    """Return what was typed, with its modules found here, and where the newest run found them, if that is one's own."""
    layout, record = None, None
    if store is not None:
        for run in store.newest(1):
            layout, record = store.present(run.number), run.record
    find_modules(layout, record, spec)
    return spec


def tried(name: str, resolve: Callable[[], Mapping[str, Any]]) -> Tried:
    """Build an observer and ask whether its other side is there. Never raises."""
    redactor = Redactor.of_environment()
    try:
        spec = resolve()
        redactor.learn(secrets_in(spec))
        # what it prints is not the answer
        with redirect_stdout(sys.stderr):
            observer = build_observer(name, spec)
            try:
                where = observer.check() if isinstance(observer, Checking) else "can be built"
            finally:
                with suppress(Exception):
                    observer.close()
    except LeftAloneError as error:
        return Tried(name=name, left_alone=str(error))
    except AnewError as error:
        return Tried(name=name, problem=redactor.text(str(error)))
    except Exception as error:
        return Tried(name=name, problem=redactor.text(f"{type(error).__name__}: {error}{place_of(error)}"))
    return Tried(name=name, where=where, answers=isinstance(observer, Checking))
