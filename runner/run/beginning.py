"""The record that a run begins with: facts captured, and secrets taken out of all that was typed and composed."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

from anew.runner.capture.beside import folders_beside
from anew.runner.capture.command import unrepeatable
from anew.runner.capture.elsewhere import with_elsewhere
from anew.runner.capture.environment import capture_environment
from anew.runner.capture.hardware import capture_hardware
from anew.runner.capture.seeds import Seeder, derive_seed, draw_seed, seed_from_config
from anew.runner.config.main import ComposedJob
from anew.runner.config.output import Output
from anew.runner.dataclass import dataclass
from anew.runner.errors import ConfigError
from anew.runner.format.redact import Redactor, secrets_in
from anew.runner.format.serial import dumps, seal_text
from anew.runner.format.start_text import object_text, start_to_texts
from anew.runner.kernel.door import boot_id
from anew.runner.places import Places
from anew.runner.records import CommandFacts, GitFacts, ParentRun, RunRecord, SourceFacts
from anew.runner.relaunch.pythons import as_recorded
from anew.runner.run.origin import Claim, Origin
from anew.runner.run.recorder import hand_down
from anew.runner.store import liveness, marks
from anew.runner.store.views import view_sums

_MARK = "origin_mark"


@dataclass(frozen=True, kw_only=True, slots=True)
class Beginning:
    """
    A run before it begins: all that is known of it, and nothing of it done.

    Attributes:
        claim: Its place.
        origin: What started it.
        record: What will be written of it, without secrets.
        data: The same as it is written.
        views: File name -> text, for people, without secrets.
        began_s: When it begins, on the monotonic clock.
        redactor: Knows the secrets that were met.
        handed_down: The same, for the environment of children.
        seeder: Will seed what is random.
        news: What of its secrets could not be kept out, in sentences.
        output: Its folder for output, where that is made when somebody asks for it.
    """

    claim: Claim
    origin: Origin
    record: RunRecord
    data: bytes
    views: Mapping[str, str]
    began_s: float
    redactor: Redactor
    handed_down: str
    seeder: Seeder
    news: tuple[str, ...] = ()
    output: Output | None = None

    def elapsed_s(self) -> float:
        """Return the seconds since the run began."""
        return time.monotonic() - self.began_s


def capture_beginning(job: ComposedJob, claim: Claim, origin: Origin) -> Beginning:
    """
    Capture what a run begins with. Nothing is written but content, and what Hydra wrote, without secrets now.

    Raises:
        ConfigError: The configuration's seed is none.
        StoreError: The source cannot be kept.
    """
    job = _as_recorded(job, origin.places)
    redactor = Redactor.of_environment(digest=marks.digest)
    redactor.learn(secret for each in claim.settings.observers for secret in secrets_in(each.spec))
    seeder = _seeder(seed_from_config(job.config), claim.settings.seed, origin.seed, _derived_seed(origin, claim))
    job, command = _without_secrets(job, origin.command, redactor)
    _redact_files(job, claim, redactor)
    if news := _named_openly(job, redactor):
        job = replace(job, notes=(*job.notes, *news))
    handed_down = hand_down(redactor.secrets)
    redactor.learn([handed_down])
    record = _record(job, command, claim, origin, _source(origin, claim, redactor), seeder, redactor)
    told = start_to_texts(record)
    mark = marks.mark_text(object_text({name: text for name, text in told.items() if name != _MARK}))
    told[_MARK] = dumps(mark)
    record = replace(record, origin_mark=mark)
    return Beginning(
        claim=claim,
        origin=origin,
        record=record,
        data=seal_text(object_text(told)),
        views=job.views,
        began_s=record.process.monotonic_s if record.process else time.monotonic(),
        redactor=redactor,
        handed_down=handed_down,
        seeder=seeder,
        news=news,
        output=job.output,
    )


def _as_recorded(job: ComposedJob, places: Places) -> ComposedJob:
    """Return a job whose paths are those of the project, not of a mirror that is gone after the run."""
    if places.mirror is None:
        return job
    provenance = replace(job.provenance, hydra_dir=places.as_recorded(job.provenance.hydra_dir))
    return replace(job, config=places.as_recorded(job.config), provenance=provenance)


def without_source(origin: Origin) -> tuple[str, ...]:
    """Return what is to be said of a run that cannot be run again; a re-run has its source."""
    return unrepeatable(origin.command) if origin.source is None else ()


def _derived_seed(origin: Origin, claim: Claim) -> int | None:
    """Return the root seed that a run has of the run that it is started in, which a re-run of that gives it again."""
    seed = origin.within.seed if origin.within is not None else None
    return seed if seed is None or claim.sweep is None else derive_seed(seed, f"job {claim.sweep.index}")


def _seeder(configured: int | None, set_apart: int | None, recorded: int | None, derived: int | None) -> Seeder:
    """Return what seeds a run. Raises ConfigError: `anew.seed` is none, or not that of the configuration."""
    if set_apart is not None and configured not in (None, set_apart):
        raise ConfigError(
            f"anew.seed={set_apart} and seed={configured} cannot both be the root seed. Leave anew.seed out: the "
            "configuration has a seed of its own."
        )
    if configured is not None:
        return Seeder(configured, "config")
    if recorded is not None:
        return Seeder(recorded, "recorded")
    if set_apart is None:
        return Seeder(draw_seed()) if derived is None else Seeder(derived, "parent")
    return Seeder(seed_from_config({"seed": set_apart}, "anew.seed") or 0, "setting")


def _record(
    job: ComposedJob,
    command: CommandFacts,
    claim: Claim,
    origin: Origin,
    source: SourceFacts,
    seeder: Seeder,
    redactor: Redactor,
) -> RunRecord:
    """Return the record, without secrets in what was not composed or typed; the project's paths stay what they are."""
    settings, provenance = claim.settings, job.provenance
    environment = capture_environment(settings.environment, origin.cache / "environment.json")
    variables = redactor.texts(origin.places.as_recorded(as_recorded(environment.variables, origin.places)))
    hardware = capture_hardware(boot_id=boot_id())
    if hardware.scheduler:
        hardware = replace(hardware, scheduler=redactor.texts(hardware.scheduler))
    return RunRecord(
        uid=claim.uid,
        id=claim.number,
        experiment=redactor.text(origin.experiment),
        started_at=datetime.now(timezone.utc),
        command=command,
        config=job.config,
        overrides=job.overrides,
        choices=redactor.texts(job.choices),
        provenance=replace(
            provenance,
            sources=redactor.texts(provenance.sources),
            hydra_dir=redactor.texts(provenance.hydra_dir),
            views=view_sums(claim.layout, job.views),
        ),
        seed=seeder.root,
        seeds=seeder.facts(),
        source=source,
        environment=environment if variables == environment.variables else replace(environment, variables=variables),
        hardware=hardware,
        process=liveness.process_facts(),
        tags=redactor.texts(settings.tags),
        note=redactor.texts(settings.note),
        sweep=claim.sweep,
        rerun_of=origin.rerun_of,
        why=origin.why,
        parent=_parent(origin, claim),
        warnings=redactor.texts((*source.notes, *job.notes, *without_source(origin))),
    )


def _parent(origin: Origin, claim: Claim) -> ParentRun | None:
    """Return the run that one is started in; a spool's numbers are nobody's."""
    if origin.within is None:
        return None
    return origin.within.seen_from(claim.store.root if claim.settings.keep else Path(os.devnull))


def _source(origin: Origin, claim: Claim, redactor: Redactor) -> SourceFacts:
    if origin.source is not None:
        return origin.source
    if origin.scan is None or not claim.settings.source.enabled:
        return SourceFacts(root=str(origin.places.root))
    source = origin.scan.finish(claim.store.objects, claim.settings.source, exclude=(claim.store.root,))
    project, exclude = origin.places.project, (claim.store.root,)
    beside = folders_beside(project, source.files, exclude=exclude, settings=claim.settings.source)
    source = with_elsewhere(source, origin.places, claim.store.objects, claim.settings.source)
    git = without_secrets(source.git, redactor) if source.git is not None else None
    repositories = {folder: without_secrets(facts, redactor) for folder, facts in source.repositories.items()}
    return replace(source, git=git, repositories=repositories, beside=beside)


def without_secrets(facts: GitFacts, redactor: Redactor) -> GitFacts:
    """Return the state of a repository with a diff that holds no secret."""
    return facts if facts.diff is None else replace(facts, diff=redactor.text(facts.diff))


# --- secrets ------------------------------------------------------------------------------------------------------


def _without_secrets(job: ComposedJob, command: CommandFacts, redactor: Redactor) -> tuple[ComposedJob, CommandFacts]:
    """
    Return a job and the command that it came of as they may be kept: once, before anything is recorded.

    First all of it is looked at, since what gives a secret away may come after where it stands without a name.
    """
    redactor.learn(secrets_in(job.config))
    typed = job.overrides, job.provenance.settings, command.argv
    before, words = redactor.learnt, [*map(redactor.arguments, typed)]
    config = redactor.value(job.config)
    if redactor.learnt != before:
        words = [*map(redactor.arguments, typed)]
    overrides, settings, argv = words
    is_clean = config == job.config and overrides == job.overrides and _hold_none(job.views, redactor)
    if job.is_plain and is_clean:
        views, unresolved = dict(job.views), job.unresolved
    else:
        # Hydra's own part names some that are in no configuration of main's
        views = {name: redactor.yaml(job.views[name]) for name in sorted(job.views, reverse=True)}
        unresolved = redactor.yaml(job.unresolved)
        # which may have given away what stands elsewhere
        config, overrides = redactor.value(job.config), redactor.arguments(job.overrides)
        argv = redactor.arguments(command.argv)
    job = replace(
        job,
        config=config,
        unresolved=unresolved,
        overrides=overrides,
        provenance=replace(job.provenance, unresolved=unresolved, settings=settings),
        views={name: views[name] for name in job.views},
        is_plain=job.is_plain and is_clean,
    )
    return job, command if argv == command.argv else replace(command, argv=argv)


def _hold_none(texts: Mapping[str, str], redactor: Redactor) -> bool:
    """Whether no known secret is in texts, whose names say nothing."""
    return all(redactor.text(text) == text for text in texts.values())


def _redact_files(job: ComposedJob, claim: Claim, redactor: Redactor) -> None:
    """Take secrets out of what Hydra wrote, wherever its output goes."""
    if job.is_plain:
        if job.output is not None:
            job.output.hide = redactor.text
        return  # else its views were written there, and hold none
    if job.output is not None:
        job.output.make()
    made = job.output.files if job.output is not None else ()
    paths = {*job.hydra_files, *made, *claim.layout.hydra.glob("*.yaml")}
    if claim.sweep is not None and claim.sweep.id is not None:
        paths.add(claim.store.layout.sweep(claim.sweep.id).multirun)
    for path in paths:
        with suppress(OSError, UnicodeError):
            text = path.read_text("utf-8")
            redacted = redactor.yaml(text)
            if redacted != text:
                path.write_text(redacted, "utf-8")


def _named_openly(job: ComposedJob, redactor: Redactor) -> tuple[str, ...]:
    """Return a warning where the name of Hydra's output folder holds a secret: nobody but the user can change that."""
    folder = job.provenance.hydra_dir or ""
    if redactor.text(folder) == folder:
        return ()
    return (
        "The name of Hydra's output folder holds a secret, and stays as it is: rename or delete the folder, and leave "
        "the key out of names from now on: hydra.job.config.override_dirname.exclude_keys=[KEY]",
    )
