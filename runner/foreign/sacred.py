"""
An experiment of Sacred, run once more: its main file as it is, with what Sacred is told taken from the record.

`child` imports this for the errand of a run that Sacred recorded. The main file runs as a script does. Its first run of
an experiment, however it starts that, is of the recorded command with the recorded configuration; what Sacred tells its
observers goes to a run of ours, and to nobody else: no observer of the script's own hears of it.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from anew.runner.config.compose.yamltext import dump
from anew.runner.config.signature.values import recorded
from anew.runner.errors import EXIT_USAGE, ConfigError
from anew.runner.experiment import Experiment
from anew.runner.relaunch.plan import Rerun, assignment
from anew.runner.relaunch.script import run_script
from anew.runner.run.handle import Run

try:
    import sacred
except ImportError as error:
    ref = assignment.errand.rerun_of.id if isinstance(assignment.errand, Rerun) else "REF"
    sys.stderr.write(
        f"anew: The run was recorded by Sacred, which cannot be imported here ({error}). To have it: pip install "
        f"sacred 'setuptools<81', or with the packages that it was recorded with: anew rerun {ref} --env recorded. "
        f"Its source alone: anew get {ref} --source\n"
    )
    sys.exit(EXIT_USAGE)

_TUPLE, _SET = "py/tuple", "py/set"
_UNKNOWN: Any = object()


def _config_folder() -> str:
    """Return a folder in which the recorded configuration is one that composes."""
    errand = _errand()
    folder = Path(tempfile.mkdtemp(prefix="config-", dir=Path(errand.report).parent))
    (folder / "recorded.yaml").write_text(dump(dict(errand.config)), encoding="utf-8")
    return str(folder)


def _errand() -> Rerun:
    errand = assignment.errand
    assert isinstance(errand, Rerun), "it is imported for an errand alone"
    return errand


experiment = Experiment(_errand().experiment)


@experiment.main(config_path=_config_folder(), config_name="recorded", version_base="1.3")
def main(cfg: Any, *, run: Run) -> Any:
    """Run the main file of the recorded experiment, as its record says. Raises whatever that raises."""
    errand = _errand()
    root = Path(errand.root)
    script = errand.places.here(root / errand.command.target)
    done = _Done(run, _command_of(errand), recorded(cfg))
    sys.argv = [str(script), *([done.command] if done.command else [])]
    top, package = _package_of(script)
    sys.path[:0] = [str(folder) for folder in dict.fromkeys((script.parent, top, errand.places.here(root)))]
    done.attend()
    try:
        module = run_script(script, package)
        if not done.is_begun:
            _run_what_it_made(module)
    except SystemExit:
        if not done.is_begun:
            raise
    if done.failure is not None:
        raise done.failure
    if not done.is_begun:
        raise ConfigError(
            f"{errand.command.target} was run to its end, and ran no experiment of Sacred, as it did on record."
        )
    return done.result


def _package_of(script: Path) -> tuple[Path, str]:
    """Return the folder that a script's package is imported from, and that package; "" for none."""
    names: list[str] = []
    folder = script.parent
    while (folder / "__init__.py").is_file():
        names.insert(0, folder.name)
        folder = folder.parent
    return folder, ".".join(names)


def _run_what_it_made(module: ModuleType) -> None:
    """Run the experiment of a main file that another one, which Sacred does not record, imported to run it."""
    made = {id(each): each for each in vars(module).values() if isinstance(each, sacred.Experiment)}
    if len(made) == 1:
        next(iter(made.values())).run()


def _command_of(errand: Rerun) -> str:
    """Return the recorded command, which stands behind the main file."""
    words = errand.command.argv[1:2]
    return words[0] if words and words[0] != "with" else ""


class _Done:
    """The one run that the main file is run for."""

    def __init__(self, run: Run, command: str, config: Any) -> None:
        self.command = command
        self.is_begun = False
        self.failure: BaseException | None = None
        self.result: Any = None
        self._run = run
        self._config = config

    def attend(self) -> None:
        """Have Sacred's next run be this one."""
        original: Callable[..., Any] = sacred.Experiment.run
        attending = self

        def begun(self: Any, *_args: Any, **_options: Any) -> Any:
            if attending.is_begun:
                raise SystemExit(0)
            attending.is_begun = True
            self.observers[:] = [_observer(attending._run)]
            try:
                found = original(
                    self,
                    attending.command or None,
                    config_updates=attending._updates(),
                )
                attending.result = _flat(found.result)
            except BaseException as error:
                attending.failure = error
                raise
            return found

        setattr(sacred.Experiment, "run", begun)  # noqa: B010  # a method is replaced for the life of this process

    def _updates(self) -> dict[str, Any]:
        """Return the recorded configuration as Sacred takes it, without what is not on record as it was."""
        missing: list[str] = []
        updates = _restored(self._config, "", missing)
        if missing:
            names = ", ".join(missing[:5]) + (f" and {len(missing) - 5} more" if len(missing) > 5 else "")
            self._run.info({"not as on record": f"{names}: what the experiment itself says of them was used"})
        return updates if isinstance(updates, dict) else {}


def _flat(value: Any) -> Any:
    """Return a value as Sacred's observers put it on record."""
    from sacred import serializer

    flatten: Callable[[Any], Any] = serializer.flatten
    return flatten(value)


def _restored(value: Any, name: str, missing: list[str]) -> Any:
    """Return a value of Sacred's configuration: tuples and sets again, and nothing that would have to be built."""
    if isinstance(value, Mapping):
        if set(value) == {_TUPLE} and isinstance(value[_TUPLE], list):
            return tuple(_restored(item, name, missing) for item in value[_TUPLE])
        if set(value) == {_SET} and isinstance(value[_SET], list):
            return {_restored(item, name, missing) for item in value[_SET]}
        if any(isinstance(key, str) and key.startswith("py/") for key in value):
            missing.append(name)
            return _UNKNOWN
        found = {key: _restored(item, f"{name}.{key}" if name else str(key), missing) for key, item in value.items()}
        return {key: item for key, item in found.items() if item is not _UNKNOWN}
    if isinstance(value, list):
        before = len(missing)
        items = [_restored(item, name, missing) for item in value]
        return items if len(missing) == before else _UNKNOWN
    return value


def _observer(run: Run) -> Any:
    """Return an observer of Sacred's that has a run of ours record what happens."""
    from sacred.observers import RunObserver

    class ToRun(RunObserver):  # type: ignore[misc, unused-ignore]
        def heartbeat_event(self, info: Any, captured_out: Any, beat_time: Any, result: Any) -> None:
            told = {name: _flat(item) for name, item in (info or {}).items() if name != "metrics"}
            if told:
                run.info(told)

        def log_metrics(self, metrics_by_name: Any, info: Any) -> None:
            for name, series in metrics_by_name.items():
                for step, value in zip(series["steps"], series["values"], strict=True):
                    run.log({name: value}, step=step)

        def artifact_event(self, name: str, filename: str, metadata: Any = None, content_type: Any = None) -> None:
            run.log_artifact(filename, name=name)

        def resource_event(self, filename: str) -> None:
            run.input(filename)

    return ToRun()
