"""A recorded run made ready, and run once more in a process of its own."""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from anew.runner.capture.environment import capture_environment, listed_variables, thread_variables
from anew.runner.capture.hardware import capture_hardware
from anew.runner.errors import AnewError, RefusedError, RerunError, StoreError
from anew.runner.format.redact import REDACTED, without_hidden
from anew.runner.kernel.door import boot_id
from anew.runner.places import Places, cache_folder
from anew.runner.records import EnvironmentFacts, RerunOf, RunRecord, WhyMembership
from anew.runner.relaunch.mirror import InputState, files_made, lay_out_beside, lay_out_source, restore_inputs
from anew.runner.relaunch.plan import SACRED, Report, Rerun, Surroundings, callable_command, read_report
from anew.runner.relaunch.pythons import with_paths
from anew.runner.relaunch.sandbox import Sandbox
from anew.runner.relaunch.supervise import run_errand
from anew.runner.rerun import differences, led
from anew.runner.rerun.options import RerunOptions
from anew.runner.rerun.rebuilt import cannot_rebuild, probed, rebuilt
from anew.runner.rerun.report import difference_lines
from anew.runner.rerun.sides import stops_of
from anew.runner.settings import EnvironmentSettings
from anew.runner.store.run_folders import RunFolders
from anew.runner.store.typed import as_typed
from anew.runner.wording import some

_NAMES = ("anew.store", "anew.tags", "anew.note", "anew.quiet")
_SETTLED_S = 3.0


def _values(overrides: Iterable[str], key: str) -> list[str]:
    """Return what overrides set a key to."""
    words = (each.lstrip("+~").partition("=") for each in overrides)
    return [value for name, _, value in words if name == key]


def _with_seed(changes: tuple[str, ...], record: RunRecord) -> tuple[str, ...]:
    """Return what is to be another, with the configuration's own seed where `anew.seed` gives the root seed anew."""
    given = _values(changes, "anew.seed")
    is_own = isinstance(record.config.get("seed"), int) and not _values(changes, "seed")
    return (*changes, f"seed={given[-1]}") if given and is_own else changes


class Again:
    """One re-run under way. To be used in one thread."""

    def __init__(
        self,
        store: RunFolders,
        record: RunRecord,
        changes: tuple[str, ...],
        options: RerunOptions,
        tell: Callable[[str], object],
        why: WhyMembership | None = None,
    ) -> None:
        self.store = store
        # where the new run is recorded
        self.target = store.recording()
        self.record = record
        self.changes = changes
        self.options = options
        self.recorded_code = options.code == "recorded"
        self.tell = tell
        self._why = why
        self.notes: list[str] = []
        self.differences: dict[str, dict[str, Any]] = {}
        self.python = sys.executable
        self.ignored: tuple[str, ...] = ()
        self.variables: dict[str, str] = {}
        # the signal that this process was sent meanwhile; main may have got another in its place
        self.stopped: str | None = None

    # --- before main ----------------------------------------------------------------------------------------------

    def prepare(self, folder: Path) -> None:
        """Lay out files, find what differs, say it; refuse under *strict*. Raises as `rerun`."""
        env, strict, record = self.options.env, self.options.strict, self.record
        if any(damage.hides_content for damage in record.damage):
            self.note(f"The record of run {record.id} is damaged, and what is lost is not compared.")
        if self.recorded_code and (lost := differences.lost_code(record)):
            self.note(
                f"Not on record, so that whatever imports it will fail: {some(lost)}. "
                f"Why: {as_typed(f'anew show {record.id}', self.store.url)}"
            )
        self.places = Places(Path(record.source.root or ""), folder / "files", moved=self.recorded_code)
        self.variables = self._child_variables(folder)
        if env == "recorded":
            self._rebuild(bool(strict))
        inputs = self._lay_out()
        environment = self._environment(folder, env)
        self.differences = differences.find(
            record, environment, capture_hardware(boot_id=boot_id()), inputs, is_laid_out=self.recorded_code
        )
        self._note_paths()
        for line in difference_lines(record.id or 0, self.differences):
            self.tell(line)
        if self.differences.get("inputs") and not self.recorded_code:
            self.tell("note: Recorded content is what run.input(PATH) gives; what main opens itself is today's.")
        left = differences.standing(self.differences, every=strict == "all")
        if strict and (left or self.notes):
            what = ", ".join(f"{name} ({section})" for section, entries in left.items() for name in entries)
            raise RefusedError(
                f"Run {record.id} was not run again, since --strict was given and this differs: "
                f"{what or ' '.join(self.notes)}. "
                f"To run it all the same: {as_typed(f'anew rerun {record.id}', self.store.url)}",
                differences=self.differences,
            )

    def note(self, text: str) -> None:
        """Say something that stays on record with the verdict."""
        self.notes.append(text)
        self.tell(text)

    def _child_variables(self, folder: Path) -> dict[str, str]:
        further = tuple(self.record.environment.variables) if self.record.environment else ()
        variables = differences.child_variables(self.record, os.environ, listed_variables(os.environ, further))
        for name in ("ANEW_RUN", "ANEW_STORE", "ANEW_SECRETS"):
            variables.pop(name, None)
        around = Surroundings(
            store=self.target.url,
            root=str(self.places.root),
            mirror=str(self.places.mirror),
            moved=self.recorded_code,
        )
        variables.update(around.variables())
        # no repository around the laid-out files is theirs
        variables["GIT_CEILING_DIRECTORIES"] = str(folder)
        recorded = self.record.environment.variables.get("PYTHONPATH") if self.record.environment else None
        return with_paths(variables, recorded, Path(self.record.command.cwd), self.places)

    def _rebuild(self, strict: bool) -> None:
        facts = self.record.environment
        if facts is None:
            raise RerunError(f"The environment of run {self.record.id} is not on record. To use today's: --env current")
        if strict and (lost := self._beside_the_project(cannot_rebuild(facts))):
            raise RefusedError(f"{' '.join(lost)} Under --strict run {self.record.id} is not run again without it.")
        try:
            found = rebuilt(facts, cache_folder(), say=self.tell)
        except AnewError as error:
            if not strict:
                raise
            raise RefusedError(f"Under --strict run {self.record.id} is not run again: {error}") from error
        for text in self._beside_the_project(found.missing):
            self.note(text)
        self.python = str(found.python)

    def _beside_the_project(self, sentences: Sequence[str]) -> list[str]:
        """Leave out what is said of the project itself, whose files are laid out, and of anew."""
        root = self.record.source.root or "\0"
        return [text for text in sentences if not (self.recorded_code and f"{root}" in text)]

    def _lay_out(self) -> list[InputState]:
        try:
            if self.recorded_code:
                again = as_typed(f"anew rerun {self.record.id} --code current", self.store.url)
                objects, ref = self.store.objects, self.record.id
                todays = lay_out_source(self.record.source, self.places, objects, ref=ref, again=again)
                if todays:
                    self.note(f"The source is on record by its digests alone; today's files are the same ({todays}).")
            inputs = restore_inputs(self.record.inputs, self.places, self.store.objects)
            if self.recorded_code:
                lay_out_beside(self.record.source, self.record.inputs, self.places)
            self.cwd = self._working_dir()
        except (OSError, StoreError) as error:
            reason = (error.__cause__ if isinstance(error.__cause__, OSError) else error) or error
            raise RerunError(
                f"The files of run {self.record.id} cannot be laid out in {str(self.places.mirror)!r}: {reason}. "
                "Free some space, or name another place: XDG_CACHE_HOME=FOLDER"
            ) from error
        return inputs

    def _working_dir(self) -> Path:
        """Return where the child starts: in the laid-out project where the run did, else where it was."""
        # Sacred does not record where a run was started
        recorded = Path(self.record.command.cwd) if self.record.command.cwd else self.places.root
        mirrored = self.places.mirrored(recorded)
        if self.recorded_code and recorded.is_relative_to(self.places.root):
            mirrored.mkdir(parents=True, exist_ok=True)
            return mirrored
        if recorded.is_dir():
            return recorded
        mirrored.mkdir(parents=True, exist_ok=True)
        return mirrored

    def _environment(self, folder: Path, env: str) -> EnvironmentFacts:
        if env == "recorded":
            facts = probed(self.python, self.variables, folder)
        else:
            facts = capture_environment(EnvironmentSettings(), folder.parent.parent / "environment.json")
        further = tuple(self.record.environment.variables) if self.record.environment else ()
        return replace(
            facts, variables=listed_variables(self.variables, further), threads=thread_variables(self.variables)
        )

    def _note_paths(self) -> None:
        """Say which values of the configuration lead elsewhere than they did, or into the project as it is today."""
        self.own = led.own_places(self.record, self.store)
        told, noted = led.sentences(self.record, self.places, self.own)
        for text in told:
            self.tell(text)
        for text in noted:
            self.note(text)

    # --- main -----------------------------------------------------------------------------------------------------

    def run(self, place: Sandbox, stdout: int | None, stderr: int | None, timeout_s: float | None = None) -> Report:
        """
        Run main in a process of its own, which is terminated after so many seconds; return what it reported.

        Raises:
            RerunError: It never came to main.
            KeyboardInterrupt: For that reason; SystemExit for SIGTERM, SIGHUP and SIGQUIT.
        """
        errand = self._errand(place.folder)
        ended = run_errand(
            errand,
            place,
            cwd=self.cwd,
            variables=led.variables(self.variables, self.record, self.places),
            python=self.python,
            stdout=stdout,
            stderr=stderr,
            timeout_s=timeout_s,
        )
        self.stopped = ended.signal.name if ended.signal else None
        report = read_report(Path(errand.report))
        if report is None and ended.signal is not None:
            ended.leave()
        if report is None:
            raise RerunError(
                f"The re-run of {self.record.id} ended with exit code {ended.code} before its main function was "
                "called, and has said why." + differences.way_back(self.differences, self.options.env),
                process_exit_code=ended.code,
            )
        return report

    def _errand(self, folder: Path) -> Rerun:
        record = self.record
        threads = record.environment.threads.get("torch") if record.environment else None
        return Rerun(
            store=self.target.url,
            why=self._why,
            rerun_of=RerunOf(id=record.id, uid=record.uid, stops=stops_of(record, self.store)),
            command=callable_command(record.command),
            experiment=record.experiment,
            config=self._known_config(),
            flags=record.provenance.flags,
            # those of Sacred's command line are other than ours, and what came of them is in the configuration
            overrides=() if record.command.entry == SACRED else record.overrides,
            changes=_with_seed(self.changes, record),
            settings=self._settings(),
            seed=None if _values(self.changes, "anew.seed") else record.seed,
            source=record.source if self.recorded_code else None,
            root=str(self.places.root),
            mirror=str(self.places.mirror),
            torch_threads=int(threads) if threads and threads.isdigit() else None,
            report=str(folder / "report.json"),
            own=self.own,
        )

    def _known_config(self) -> Mapping[str, Any]:
        """Return the configuration as on record; of Sacred's without secrets, for which its source has values."""
        config, hidden = self.record.config, list[str]()
        if self.record.command.entry != SACRED:
            return config
        known = without_hidden(config, hidden)
        if hidden:
            self.note(f"Secrets are not on record, and are what the recorded source says: {some(hidden)}.")
        return known

    def _settings(self) -> tuple[str, ...]:
        """Return the settings to record by; one that held a secret is not on record, and left out."""
        typed = [each for each in self.record.provenance.settings if not each.lstrip("+~").startswith(_NAMES)]
        if _values(self.changes, "seed") or _values(self.changes, "anew.seed"):
            typed = [each for each in typed if not _values([each], "anew.seed")]
        hidden = [each for each in typed if REDACTED in each]
        if hidden:
            keys = ", ".join(each.lstrip("+~").partition("=")[0] for each in hidden)
            self.note(f"Left out, since they held secrets, which are not on record: {keys}.")
        return tuple(each for each in typed if each not in hidden)

    # --- after main -----------------------------------------------------------------------------------------------

    def wait_for_end(self, number: int) -> RunRecord:
        """Return the new run once its outcome is there; its guard may be a moment behind its process."""
        end = time.monotonic() + _SETTLED_S
        while self.target.goes_on(number) and time.monotonic() < end:
            time.sleep(0.05)
        return self.target.get(number)

    def keep_written(self, new: RunRecord) -> None:
        """Move what main wrote beside its source into the new run's folder, where it stays."""
        if not self.recorded_code or new.id is None:
            return
        known = {file.path for file in (*self.record.source.files, *self.record.inputs)}
        found = list(files_made(self.places, known))
        target = self.target.layout.run(new.id).files / "written"
        for relative in found:
            (target / relative).parent.mkdir(parents=True, exist_ok=True)
            shutil.move(self.places.project / relative, target / relative)
        if found:
            self.tell(f"what main wrote into the project ({len(found)} files) is in {target}")
