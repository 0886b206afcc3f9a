"""A re-run from beginning to end: prepare, say what differs, run in a process of its own, judge."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace

from anew.runner.dispatch.pending import deliver_to
from anew.runner.errors import RefusedError, RunNotFoundError
from anew.runner.format.redact import REDACTED, Redactor
from anew.runner.records import Cause, RerunOf, RunRecord, Verdict
from anew.runner.relaunch import trust
from anew.runner.relaunch.plan import Report
from anew.runner.relaunch.sandbox import sandbox
from anew.runner.rerun import differences, led
from anew.runner.rerun.again import Again
from anew.runner.rerun.causes import Case, explain, settle
from anew.runner.rerun.options import RerunOptions
from anew.runner.rerun.refusals import refuse_idle, refuse_unfit
from anew.runner.rerun.report import RerunResult
from anew.runner.rerun.sides import Side, own_folders
from anew.runner.rerun.verdict import compare, judge, silent
from anew.runner.store import curate
from anew.runner.store.locate import open_run_folders
from anew.runner.store.run_folders import RunFolders
from anew.runner.store.stored import StoredRun
from anew.runner.wording import some

_HIDDEN = REDACTED.removesuffix(">")


def run_again(
    ref: str | int,
    overrides: Sequence[str],
    options: RerunOptions,
    *,
    store: str | os.PathLike[str] | RunFolders | None,
    stdout: int | None = None,
    stderr: int | None = None,
    tell: Callable[[str], object] | None = None,
    show: Callable[[str], object] = silent,
) -> RerunResult:
    """Do what `rerun` does, with its options in one value; *show* is told what takes long, "" after. Raises as it."""
    opened = store if isinstance(store, RunFolders) else open_run_folders(store)
    refuse_idle(overrides)
    record = opened.get(ref)
    refuse_unfit(record, options.code, opened.url)
    layout = opened.present(record.id or 0)
    trust.require_run(record, layout, given=options.trust_source, tell=tell or silent)

    def once(say: Callable[[str], object]) -> tuple[RerunResult, _Judged]:
        again = _Judged(opened, record, tuple(overrides), options, say)
        with sandbox(options.keep, again.tell) as place:
            again.prepare(place.folder)
            report = again.run(place, stdout, stderr)
            try:
                return again.judge(report, show), again
            finally:
                show("")

    result, again = once(tell or silent)
    if not options.twice or result.verdict != "different":
        return result
    # what differs before main starts has been said
    second, _ = once(silent)
    if second.verdict == "stopped":
        note = f"The second re-run, run {second.run}, did not come to its end, and tells nothing."
        (tell or silent)(note)
        return replace(result, notes=(*result.notes, note), signal=second.signal, told_to_stop=second.told_to_stop)
    return again.settle(result, second)


class _Judged(Again):
    """One re-run under way, and what came of it beside the record."""

    def judge(self, report: Report, show: Callable[[str], object]) -> RerunResult:
        """Compare, and put the verdict on record."""
        show(f"reading run {report.number} ...")
        new = self.wait_for_end(report.number)
        show("")
        self._require_reference(new)
        for note in report.notes:
            self.note(note)
        unrecorded = self._note_reads(new, report.isolated)
        self.keep_written(new)
        self.ignored = (*report.ignore, *self.options.ignore)
        if lower := differences.of_libraries(self.record, new):
            self.differences["libraries"] = lower
        was, now = Side(self.record, self.store), Side(new, self.target)
        overrides = Redactor.of_environment().arguments(self.changes)
        verdict, found = judge(
            was,
            now,
            rtol=self.options.rtol,
            ignore=self.ignored,
            overrides=overrides,
            differences=self.differences,
            stopped=self.stopped is not None,
            show=show,
        )
        show("")
        if verdict.verdict in ("different", "stopped"):
            case = Case(
                was=was,
                now=now,
                found=found,
                differences=self.differences,
                overrides=overrides,
                missed=report.missed,
                folders=own_folders(was, now),
                is_current=not self.recorded_code,
                is_stopped=verdict.verdict == "stopped",
                signal=self.stopped,
            )
            verdict = _with(verdict, explain(case))
        curate.judge(self.target, StoredRun(report.number, new), verdict)
        if verdict.first_difference is not None and _HIDDEN in str(verdict.first_difference["recorded"]):
            self.note(
                "Where the two part there is a secret on record. Whether it is the same is known of one's own runs "
                "only, and of none that a version before this recorded."
            )
        if self.options.strict and unrecorded:
            raise RefusedError(
                f"Under --strict run {report.number} is no re-run of {self.record.id}, since it read what is not on "
                f"record: {some(unrecorded)}. It came out {verdict.verdict}.",
                differences=self.differences,
            )
        return RerunResult(
            run=self._hand_over(report.number),
            uid=new.uid,
            rerun_of=RerunOf(id=self.record.id, uid=self.record.uid),
            status=new.status,
            judged=verdict,
            notes=tuple(self.notes),
            signal=self.stopped or new.signal,
            told_to_stop=self.stopped is not None,
        )

    def settle(self, first: RerunResult, second: RerunResult) -> RerunResult:
        """Tell what differs from one re-run to the next from what differs from the record; put that on record."""
        was, now = Side(self.record, self.store), Side(self.store.get(first.uid), self.store)
        between = compare(now, Side(self.store.get(second.uid), self.store), ignore=self.ignored)
        causes, told = settle(
            first.judged.reasons, compare(was, now, ignore=self.ignored), between, self.record.id or 0, second.run
        )
        judged = replace(_with(first.judged, causes), remarks=(*first.judged.remarks, told), settled=not between.all)
        curate.judge(self.store, StoredRun(now.number, now.record), judged)
        return replace(first, judged=judged)

    def _hand_over(self, number: int) -> int:
        """Deliver the new run to a store that nothing is recorded in directly; return its number there."""
        if self.target is self.store:
            return number
        uid = self.target.get(number).uid
        done = deliver_to(self.target, number, "rerun", self.store.observer)
        if done.behind:
            self.note(
                f"The new run could not be sent to {self.store.url} ({done.error}); it is run {number} in "
                f"{self.target.url}. To send it: anew sync {self.target.url} mongodb://..."
            )
            return number
        curate.delete(self.target, number)
        curate.purge(self.target, [number])
        return self.store.resolve(uid)

    def _require_reference(self, new: RunRecord) -> None:
        """Raise RunNotFoundError where there is nothing any more to compare the new run with."""
        try:
            self.store.get(self.record.uid)
        except RunNotFoundError as error:
            raise RunNotFoundError(
                f"Run {self.record.id} was deleted while it was run again, so that nothing is there to compare with. "
                f"The re-run is run {new.id} in {self.target.url}, which ended as {new.status}, and has no verdict.",
                ref=self.record.uid,
            ) from error

    def _note_reads(self, new: RunRecord, isolated: Sequence[str]) -> list[str]:
        """Say which files main read that are not the recorded ones, and what may have; return them."""
        if not self.recorded_code or self.changes:
            return []
        other, unknown = led.read_otherwise(self.record, new)
        for text in (*led.of_today(other, self.differences.get("inputs", {})), *led.of_isolated(isolated)):
            self.note(text)
        return [*other, *unknown, *isolated]


def _with(verdict: Verdict, causes: Sequence[Cause]) -> Verdict:
    """Return a verdict with its causes, as they are and in sentences."""
    return replace(verdict, reasons=tuple(causes), causes=tuple(cause.sentence for cause in causes))
