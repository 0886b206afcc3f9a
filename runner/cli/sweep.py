"""`anew sweep`: list, show, resume, add, stop."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from types import ModuleType
from typing import TYPE_CHECKING

import click

from anew.runner.cli.context import WholeNumber, Workbench, command, form_option, json_option, print_json
from anew.runner.cli.render import remark, remark_damage, say, status_style, styled, table
from anew.runner.cli.sweep_jobs import print_csv, print_groups
from anew.runner.cli.sweep_search import print_search
from anew.runner.errors import StoreError
from anew.runner.records import Status
from anew.runner.store.sweep_state import Runs, ScannedOnce, job_state, read_sweep
from anew.runner.store.typed import as_typed
from anew.runner.sweep.groups import groups_of
from anew.runner.sweep.report import ranking
from anew.runner.sweep.told import group_to_json, pairs_of, search_to_json, sweep_to_json, varying
from anew.runner.sweep_records import Aim, SweepJob, SweepRecord, aim_of, best_of, is_met
from anew.runner.wording import ago, duration, printable, short

if TYPE_CHECKING:
    from anew.runner.records import RunRecord
    from anew.runner.store.run_folders import RunFolders
    from anew.runner.store.sweep_folder import SweepFolder

_MOST_METRICS = 4
_UNMET = " !"
_WATCH_S = 1.0
_MOST_JOBS = 50


@click.group("sweep", invoke_without_command=True)
@click.pass_context
def sweep_command(context: click.Context) -> None:
    """Many runs from one line: python train.py -m lr=0.1,0.01"""
    if context.invoked_subcommand is None:
        say(context.get_help())


@command("list")
@json_option
def list_command(workbench: Workbench, as_json: bool) -> None:
    """List sweeps, newest first."""
    store = workbench.folders
    runs = ScannedOnce(store)
    found = (_sweep_if_begun(store.sweep_folder(number), runs) for number in store.sweep_numbers())
    sweeps = [sweep for sweep in found if sweep is not None and not sweep.is_deleted]
    # a number says when a sweep came into this store, which is later of one that was synced
    sweeps.sort(key=lambda sweep: (sweep.start.started_at, sweep.id), reverse=True)
    remark_damage(_runs_of(sweeps, store), store.url)
    if as_json:
        print_json([sweep_to_json(sweep, jobs=False) for sweep in sweeps])
        return
    if not sweeps:
        remark(f"No sweeps in {store.url}. To make one: python train.py -m KEY=VALUE,VALUE")
        return
    rows = [
        [
            str(sweep.id),
            sweep.experiment,
            sweep.status.value,
            ago(sweep.start.started_at),
            sweep.told(),
            _best(sweep),
            " ".join(sweep.overrides),
        ]
        for sweep in sweeps
    ]
    table(["sweep", "experiment", "status", "started", "jobs", "best", "overrides"], rows)


@command("show")
@click.argument("ref", default="last")
@form_option("csv", "All jobs as CSV, each with what its group came to.")
@json_option
@click.option("--watch", is_flag=True, help="Show it again each second until it has ended.")
@click.option("--min/--max", "smallest", default=None, help="Which result is best; else what the sweep or a name says.")
@click.option("--by", metavar="METRIC", help="Order by the last value of a metric, not by the result.")
@click.option("--all", "everything", is_flag=True, help="All jobs, also those beyond the first 50.")
@click.option("--trust", is_flag=True, help="Open the storage of a search, wherever the sweep's record says it is.")
def show_command(
    workbench: Workbench,
    ref: str,
    as_csv: bool,
    as_json: bool,
    watch: bool,
    smallest: bool | None,
    by: str | None,
    everything: bool,
    trust: bool,
) -> None:
    """
    Show a sweep's jobs: the keys that vary with result and metrics, best first. REF: number, uid or last.

    Jobs that differ in the seed alone are shown as groups, too: the mean of their results, and how far they lie apart.
    """
    store = workbench.folders
    while True:
        sweep = store.sweep(ref)
        folder = store.layout.sweep(sweep.id).search
        flaws = list(store.sweep_folder(sweep.id).flaws())
        jobs, aim = ranking(sweep, by=by, smallest=smallest)
        groups = groups_of(sweep.jobs, by=by, aim=aim)
        if as_json:
            remark_damage(_runs_of([sweep], store), store.url)
            for warning in (*sweep.warnings, *flaws):
                remark(f"warning: {printable(warning)}")
            told = [group_to_json(group) for group in groups]
            print_json({**sweep_to_json(sweep, jobs=True), "groups": told, "search": search_to_json(folder, trust)})
        elif as_csv:
            remark_damage(_runs_of([sweep], store), store.url)
            print_csv(jobs, groups, by)
        else:
            if watch and sys.stdout.isatty():
                click.clear()
            most = len(jobs) if everything else _MOST_JOBS
            remark_damage(_runs_of([sweep], store), store.url)
            for flaw in flaws:
                remark(f"warning: {printable(flaw)}")
            _print(sweep, jobs[:most], aim, _shared(_runs_of([sweep], store)))
            print_groups(sweep, groups[:most], by)
            print_search(sweep, folder, trust)
            _print_rest(sweep, max(0, len(jobs) - most), store.url)
        if not watch or sweep.status is not Status.RUNNING:
            return
        time.sleep(_WATCH_S)


@command("resume")
@click.argument("ref", default="last")
@click.option("--failed", is_flag=True, help="Jobs that failed, were lost or interrupted; none that never began.")
@click.option(
    "--missing", is_flag=True, help="Jobs that never began, were lost or interrupted, or deleted; none that failed."
)
@click.option("--workers", type=WholeNumber(min=1), metavar="N", help="Jobs at a time, in processes of their own.")
@click.option("--code", type=click.Choice(["recorded", "current"]), help="Which source, when it changed since.")
@click.option("--trust", is_flag=True, help="Trust a record that came from elsewhere, and a plan that was changed.")
@click.option("-q", "--quiet", is_flag=True, help="Leave out what is said on stderr of how it goes.")
@click.argument("settings", nargs=-1)
def resume_command(
    workbench: Workbench,
    ref: str,
    failed: bool,
    missing: bool,
    workers: int | None,
    code: str | None,
    trust: bool,
    quiet: bool,
    settings: tuple[str, ...],
) -> int:
    """
    Run what has not completed of a sweep, once more each: what failed, was lost or interrupted, and what never began.

    SETTINGS are overrides of the recording, such as anew.sweep.max_time=1h, and of a search how long it is to be:
    hydra.sweeper.n_trials=40. Completed jobs are left as they are.
    """
    if "=" in ref:
        ref, settings = "last", (ref, *settings)
    changes = [each for each in settings if not each.lstrip("+~").startswith("anew.")]
    settings = tuple(each for each in settings if each not in changes)
    chosen = [
        *settings,
        *([f"anew.sweep.workers={workers}"] if workers else []),
        *(["anew.quiet=true"] if quiet else []),
    ]
    ended: int = _starting().resume(
        ref,
        store=workbench.folders,
        failed=failed,
        missing=missing,
        settings=chosen,
        changes=changes,
        code=code,
        trust_source=trust,
        tell=lambda text: remark(f"anew: {printable(text)}"),
    )
    return ended


@command("add")
@click.argument("ref")
@click.argument("words", nargs=-1, required=True)
@click.option("--code", type=click.Choice(["recorded", "current"]), help="Which source, when it changed since.")
@click.option("--trust", is_flag=True, help="Trust a record that came from elsewhere, and a plan that was changed.")
def add_command(workbench: Workbench, ref: str, words: tuple[str, ...], code: str | None, trust: bool) -> int:
    """
    Add jobs to a sweep's plan: those that it would have had with WORDS in the place of overrides of the same keys.

    Such as lr=0.5,0.6: with all else that was swept over. What it has already is not added. Resume runs them.
    """
    wrong = next((each for each in words if "=" not in each or each.lstrip("+~").startswith(("anew.", "hydra"))), None)
    if wrong is not None:
        raise click.UsageError(f"{wrong!r} says nothing of a job; what does is an override, such as lr=0.5")
    ended: int = _starting().add(
        ref,
        words,
        store=workbench.folders,
        code=code,
        trust_source=trust,
        tell=lambda text: remark(f"anew: {printable(text)}"),
    )
    return ended


def _starting() -> ModuleType:
    # what starts processes is for these commands alone: the others answer in a tenth of a second
    from anew.runner.sweep import resume

    return resume


@command("stop")
@click.argument("ref", default="last")
@click.option("--finish", is_flag=True, help="Let the jobs that are running come to their end.")
def stop_command(workbench: Workbench, ref: str, finish: bool) -> None:
    """
    Stop a sweep: running jobs are interrupted, as by a Ctrl-C, the others stay planned. Resume goes on with it.

    REF is its number, or last; of one job with its index, such as 7/3: the others go on.
    """
    ref, slash, index = ref.partition("/")
    store = workbench.folders
    folder = store.sweep_folder(ref)
    if store.recording() is not store:
        raise StoreError(
            f"Nothing runs in {store.url}. Stop sweep {folder.number} where it is recorded: --store FOLDER"
        )
    if not folder.conductor_alive():
        say(f"sweep {folder.number} is not going on: nobody hands out its jobs")
        return
    if slash:
        if finish:
            raise click.UsageError("--finish is for a whole sweep: it lets its running jobs come to their end.")
        _stop_job(workbench, folder, index)
        return
    folder.ask_to_stop("finish" if finish else "now")
    number, what = folder.number, "finish" if finish else "stop"
    say(f"sweep {number} was asked to {what}; to see it: {as_typed(f'anew sweep show {number}', folder.store)}")


def _stop_job(workbench: Workbench, folder: SweepFolder, index: str) -> None:
    number = folder.number
    planned = {str(job.index): job for job in folder.planned()}
    if index not in planned:
        shown = as_typed(f"anew sweep show {number} --all", folder.store)
        raise click.UsageError(f"Sweep {number} has no job {index!r}; it has {len(planned)}. To see them: {shown}")
    job = job_state(folder, int(index), planned[index].overrides, workbench.folders)
    if job.status.final:
        say(f"job {number}/{index} has ended already: {job.status.value}")
        return
    is_running = job.status is Status.RUNNING
    folder.halt(job.index, job.attempts + (not is_running))
    what = "was asked to stop" if is_running else "will not be begun"
    say(f"job {number}/{index} {what}; to run it: {as_typed(f'anew sweep resume {number}', folder.store)}")


_SHORT = {
    list_command: "Sweeps, newest first",
    show_command: "The jobs of a sweep, best first; live with --watch",
    resume_command: "Run what has not completed",
    add_command: "Add jobs to a sweep",
    stop_command: "Interrupt what runs, keep the rest planned",
}
for each, text in _SHORT.items():
    each.short_help = text
    sweep_command.add_command(each)


def _sweep_if_begun(folder: SweepFolder, runs: Runs) -> SweepRecord | None:
    """Return a sweep, or None for a number that was taken and never used; what is damaged is said."""
    number = folder.number
    if folder.start() is not None:
        sweep = read_sweep(folder, runs)
        for warning in sweep.warnings:
            remark(f"sweep {number}: {printable(warning)}")
        return sweep
    runs_of_it = as_typed(f"anew list sweep=={number}", folder.store)
    if os.path.lexists(folder.layout.record) or folder.layout.folder.is_symlink():
        remark(f"sweep {number}: {folder.layout.record} is damaged; its runs: {runs_of_it}")
    elif folder.is_headless():
        remark(f"sweep {number}: {folder.layout.record} is missing; its runs: {runs_of_it}")
    return None


def _runs_of(sweeps: Sequence[SweepRecord], store: RunFolders) -> list[RunRecord]:
    """Return the runs of sweeps: what is damaged of them is damaged of what is shown of the sweep."""
    numbers = [number for sweep in sweeps for job in sweep.jobs for number in job.runs]
    return list(store.runs(numbers).values())


def _best(sweep: SweepRecord) -> str:
    aim = aim_of(sweep.jobs, sweep.start.aim)
    best = best_of(sweep.jobs, aim)
    return f"{short(aim.of(best))} ({aim.words})" if best else ""


def _print_unordered(jobs: Sequence[SweepJob], aim: Aim) -> None:
    """Say of a table in which the best might come first why it does not."""
    if aim.direction is None and sum(map(aim.is_scored, jobs)) > 1:
        remark("Which result is best is not known: --min or --max; for sweeps to come anew.sweep.direction=minimize")


def _shared(runs: Sequence[RunRecord]) -> list[str]:
    """Return what people said of all runs of a sweep, in lines: its tags, and its note."""
    tags = [tag for tag in (runs[0].tags if runs else ()) if all(tag in run.tags for run in runs)]
    notes = {run.note for run in runs}
    note = notes.pop() if len(notes) == 1 else None
    return [*([f"tags  {short(tuple(tags))}"] if tags else []), *([f"note  {printable(note)}"] if note else [])]


def _print(sweep: SweepRecord, jobs: Sequence[SweepJob], aim: Aim, shared: Sequence[str]) -> None:
    start = sweep.start
    head = f"sweep {sweep.id} of {sweep.experiment}"
    order = f"  {styled(f'best first: {aim.words}', 'dim')}" if aim.direction is not None else ""
    status = "DELETED" if sweep.is_deleted else styled(sweep.status.value, status_style(sweep.status))
    say(f"{head}  {status}  {ago(start.started_at)}  {sweep.told()}{order}")
    say(f"  {printable(' '.join(sweep.overrides))}")
    for line in shared:
        say(f"  {line}")
    for warning in sweep.warnings:
        remark(f"warning: {warning}")
    if sweep.is_deleted:
        remark(f"All of its runs were deleted. To have back those in the trash: anew restore sweep:{sweep.id}")
    if not jobs:
        return
    _print_unordered(jobs, aim)
    keys = varying(sweep)
    values = {key: _column(jobs, key) for key in keys}
    metrics = _metrics(jobs)
    has_error = any(job.error for job in jobs)
    titles = ["job", "run", "status", *keys, "result", *metrics, "time", *(["why"] if has_error else [])]
    rows = [
        [
            str(job.index),
            "" if job.run is None else f"{job.run}{'*' if job.reused else ''}",
            job.state,
            *(values[key][row] for key in keys),
            f"{short(job.result)}{'' if _meets(job, aim) else _UNMET}",
            *(short(job.metrics.get(name)) for name in metrics),
            duration(job.duration_s),
            *([printable(job.error or "")] if has_error else []),
        ]
        for row, job in enumerate(jobs)
    ]
    table(titles, rows)


def _meets(job: SweepJob, aim: Aim) -> bool:
    """Whether a job that came to its end meets the constraints of its search, if there are any."""
    return job.status is not Status.COMPLETED or job.pruned or is_met(aim.constraints, job)


def _print_rest(sweep: SweepRecord, left_out: int, store: str) -> None:
    """Say what the table leaves out."""
    if left_out:
        remark(f"{left_out} more jobs; to see them: {as_typed(f'anew sweep show {sweep.id} --all', store)}")
    if any(job.reused for job in sweep.jobs):
        remark("* done before the sweep, and not run again")
    if not all(_meets(job, sweep.start.aim) for job in sweep.jobs):
        remark(f"{_UNMET.strip()} does not meet {', '.join(sweep.start.constraints)}, and is not best")


def _column(jobs: Sequence[SweepJob], key: str) -> list[str]:
    """Return what was typed for a key, in little space; in full where what differs would look the same."""
    typed = [pairs_of(job).get(key, "") for job in jobs]
    texts = [_shortened(text) for text in typed]
    return texts if len(set(texts)) == len(set(typed)) else list(map(printable, typed))


def _shortened(text: str) -> str:
    try:
        return short(float(text)) if "." in text else printable(text)
    except ValueError:
        return printable(text)


def _metrics(jobs: Sequence[SweepJob]) -> list[str]:
    names: dict[str, int] = {}
    for job in jobs:
        for name in job.metrics:
            if not name.startswith(("system/", "time/")):
                names[name] = names.get(name, 0) + 1
    return sorted(names, key=lambda name: (-names[name], name))[:_MOST_METRICS]
