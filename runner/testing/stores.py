"""The suite for stores: what `RunStore` promises, asked of runs of every kind."""

from __future__ import annotations

import math
import pickle
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import field, replace
from pathlib import Path
from typing import Any

import pytest

from anew.runner import events as ev
from anew.runner.contracts import CuratedStore, RunStore
from anew.runner.dataclass import dataclass
from anew.runner.errors import (
    AmbiguousRefError,
    AnewError,
    ArtifactNotFoundError,
    FilterError,
    MetricNotFoundError,
    ObjectNotFoundError,
    RefSyntaxError,
    RunNotFoundError,
    StoreError,
)
from anew.runner.format.serial import dumps, to_json
from anew.runner.records import RunRecord, Status, SweepMembership
from anew.runner.store import curate
from anew.runner.store.folder import FolderStore
from anew.runner.store.liveness import process_facts
from anew.runner.store.run_folders import RunFolders
from anew.runner.testing.sample import ARTIFACT, LOSSES, Sample, sample_in, write_down

HOSTILE = "\x1b]0;title\x07\r\n<script>alert(1)</script> \u202e '; DROP TABLE runs; -- {{7*7}} ${oc.env:HOME} \0 \udcff"
HOSTILE_KEYS = ("a.b", "$where", "", "__proto__", "py/object", "_target_", "\0", "\udcff", "x" * 2000)
NAMES = ("completed", "failed", "interrupted", "lost", "going on", "hostile", "job of a sweep")
PARTS = ("start", "points", "end")


@dataclass(slots=True)
class Shelf:
    """
    The runs that a store is asked about.

    Attributes:
        folder: They are all recorded in this one.
        samples: By name, oldest first.
    """

    folder: FolderStore
    samples: dict[str, Sample] = field(default_factory=dict)

    def uid(self, name: str) -> str:
        """Return a run's uid."""
        return self.samples[name].record.uid


def shelf(root: Path) -> Shelf:
    """
    Record a run of each kind in a new folder.

    Those there are: completed, failed, interrupted; lost (its process has died), going on (it is this one's); one whose
    texts and names were made up by somebody hostile; and one that was a job of a sweep.
    """
    made = Shelf(FolderStore.open(root, create=True))
    alive = process_facts()
    kinds: Mapping[str, tuple[Status | None, dict[str, Any]]] = {
        "completed": (Status.COMPLETED, {}),
        "failed": (Status.FAILED, {}),
        "interrupted": (Status.INTERRUPTED, {}),
        # a process of this number started at another time
        "lost": (None, {"process": replace(alive, started_ticks=alive.started_ticks - 1)}),
        "going on": (None, {"process": alive}),
        "hostile": (Status.COMPLETED, _hostile()),
        "job of a sweep": (Status.COMPLETED, {"sweep": SweepMembership(id=7, index=3)}),
    }
    for name, (ending, changes) in kinds.items():
        made.samples[name] = sample_in(made.folder, ending, **changes)
        write_down(made.samples[name])
    return made


def _hostile() -> dict[str, Any]:
    deep: Any = HOSTILE
    for _ in range(40):
        deep = {"in": [deep]}
    config = {
        **dict.fromkeys(HOSTILE_KEYS, HOSTILE),
        "deep": deep,
        "huge": 2**200,
        "nan": math.nan,
        "bytes": "\x00\xff",
    }
    return {
        "experiment": HOSTILE,
        "config": config,
        "note": HOSTILE,
        "tags": (HOSTILE, "$tag"),
        "overrides": (HOSTILE,),
    }


class RunStoreContract:
    """
    Subclass it, with a name that pytest collects, and say how a store is made that holds the runs it is handed.

    Most tests share one store, so that it may be dear to make; those that change something make their own.
    """

    # --- to be said by subclasses ---------------------------------------------------------------------------------

    def make_store(self, runs: FolderStore, folder: Path) -> RunStore:
        """
        Return a store that holds all runs of a folder, whichever way they come there.

        Args:
            runs: A store in a folder, which stays as it is and where it is.
            folder: An empty one, for whatever the store needs.
        """
        raise NotImplementedError("say how the store is made: def make_store(self, runs, folder)")

    def damage(self, store: RunStore, number: int, part: str) -> RunStore | None:
        """
        Damage what the store keeps of a run, and return the store opened again; None if nobody can damage that.

        Args:
            store: As `make_store` gave it.
            number: What it calls the run.
            part: "start" (what was known before main), "points" (a metric's) or "end" (how it ended).
        """
        return None

    # --- what the tests are handed --------------------------------------------------------------------------------

    @pytest.fixture(scope="class")
    @classmethod
    def shelf(cls, tmp_path_factory: pytest.TempPathFactory) -> Shelf:
        """The runs."""
        return shelf(tmp_path_factory.mktemp("shelf") / "runs")

    @pytest.fixture(scope="class")
    @classmethod
    def store(cls, shelf: Shelf, tmp_path_factory: pytest.TempPathFactory) -> RunStore:
        """The store that the tests share."""
        return cls().make_store(shelf.folder, tmp_path_factory.mktemp("store"))

    @pytest.fixture
    def fresh(self, tmp_path: Path) -> tuple[Shelf, RunStore]:
        """Runs, and a store of a test's own, which it may change."""
        made = shelf(tmp_path / "runs")
        (tmp_path / "store").mkdir()
        return made, self.make_store(made.folder, tmp_path / "store")

    # --- which runs there are -------------------------------------------------------------------------------------

    def test_it_is_a_store(self, store: RunStore) -> None:
        assert isinstance(store, RunStore)
        assert store.url
        assert isinstance(store.url, str)

    def test_numbers_come_newest_first_and_each_names_its_run(self, store: RunStore, shelf: Shelf) -> None:
        numbers = store.numbers()
        assert numbers == sorted(set(numbers), reverse=True)
        assert len(numbers) == len(NAMES)
        assert all(type(number) is int and number > 0 for number in numbers)
        assert [store.get(number).id for number in numbers] == numbers
        assert [store.get(number).uid for number in numbers] == [shelf.uid(name) for name in reversed(NAMES)]

    @pytest.mark.parametrize("name", NAMES)
    def test_a_run_is_found_by_its_number_its_uid_and_a_beginning_of_it(
        self, store: RunStore, shelf: Shelf, name: str
    ) -> None:
        uid = shelf.uid(name)
        number = store.get(uid).id
        assert number is not None
        others = [shelf.uid(other) for other in NAMES if other != name]
        most = next(length for length in range(1, 27) if not any(other.startswith(uid[:length]) for other in others))
        for ref in (number, str(number), f" {number} ", uid, uid.upper(), uid[:most]):
            assert store.get(ref).uid == uid

    def test_the_newest_are_found_by_age_and_a_job_by_its_sweep(self, store: RunStore, shelf: Shelf) -> None:
        for back, name in enumerate(reversed(NAMES)):
            assert store.get(f"last~{back}").uid == shelf.uid(name)
        assert store.get("last").uid == shelf.uid(NAMES[-1])
        assert store.get("sweep:7/3").uid == shelf.uid("job of a sweep")

    # --- a record -------------------------------------------------------------------------------------------------

    @pytest.mark.parametrize("name", NAMES)
    def test_a_record_is_the_replay_of_what_happened(self, store: RunStore, shelf: Shelf, name: str) -> None:
        found, final = store.get(shelf.uid(name)), shelf.samples[name].final
        status = {"lost": Status.LOST, "going on": Status.RUNNING}.get(name, final.status)
        assert found.status is status
        if name == "lost":
            assert found.duration_s is not None
            found = replace(found, duration_s=None)
        assert _told(replace(found, status=final.status)) == _told(final)

    def test_records_are_given_by_value(self, store: RunStore, shelf: Shelf) -> None:
        uid = shelf.uid("completed")
        before = _told(store.get(uid))
        assert _told(store.get(uid)) == before
        assert store.get(uid).started_at.tzinfo is not None

    # --- finding --------------------------------------------------------------------------------------------------

    def test_finding_gives_all_runs_newest_first(self, store: RunStore, shelf: Shelf) -> None:
        found = store.find()
        assert [record.id for record in found] == store.numbers()
        for record, name in zip(found, reversed(NAMES), strict=True):
            whole = store.get(shelf.uid(name))
            for member in ("uid", "experiment", "status", "config", "metrics", "tags", "note", "result", "sweep"):
                assert repr(getattr(record, member)) == repr(getattr(whole, member)), (name, member)

    @pytest.mark.parametrize(
        ("where", "names"),
        [
            ("", NAMES),
            ("status == FAILED", ["failed"]),
            ("status == LOST or status == RUNNING", ["lost", "going on"]),
            ("not status == COMPLETED", ["failed", "interrupted", "lost", "going on"]),
            ("config.lr == 0.1 and status == COMPLETED", ["completed", "job of a sweep"]),
            ("tag == second and status == INTERRUPTED", ["interrupted"]),
            ("experiment == sample and status in (COMPLETED, FAILED)", ["completed", "failed", "job of a sweep"]),
            ("train/acc > 1000", []),
        ],
    )
    def test_finding_takes_the_filter_language(
        self, store: RunStore, shelf: Shelf, where: str, names: list[str]
    ) -> None:
        assert [record.uid for record in store.find(where)] == [shelf.uid(name) for name in reversed(names)]

    def test_finding_sorts_and_limits(self, store: RunStore, shelf: Shelf) -> None:
        oldest_first = [shelf.uid(name) for name in NAMES]
        assert [record.uid for record in store.find(sort="started")] == oldest_first
        assert [record.uid for record in store.find(sort="-started", limit=2)] == oldest_first[:-3:-1]
        assert [record.uid for record in store.find(limit=3)] == oldest_first[:-4:-1]
        assert store.find(limit=0) == []
        assert len(store.find(limit=1000)) == len(NAMES)
        assert [record.uid for record in store.find("status == COMPLETED", limit=1)] == [shelf.uid("job of a sweep")]

    @pytest.mark.parametrize("where", ["loss <", "( loss < 1", "loss === 1", "status == ", "and", "__import__('os')"])
    def test_what_is_no_filter_is_refused(self, store: RunStore, where: str) -> None:
        with pytest.raises(FilterError) as caught:
            store.find(where)
        assert isinstance(caught.value, ValueError)
        assert str(caught.value)

    def test_a_table_has_a_row_for_each_run(self, store: RunStore, shelf: Shelf) -> None:
        pytest.importorskip("pandas")
        table = store.table("status == COMPLETED", sort="started")
        assert list(table["uid"]) == [shelf.uid(name) for name in ("completed", "hostile", "job of a sweep")]
        assert list(table["train/acc"]) == [len(LOSSES) - 1] * 3
        assert len(store.table(limit=2)) == 2

    # --- what does not exist --------------------------------------------------------------------------------------

    @pytest.mark.parametrize(
        "ref", [987_654, "987654", "last~99", "sweep:9/9", "sweep:7/4", "7zzzzzzzzzzzzzzzzzzzzzzzzz"]
    )
    def test_a_run_that_is_not_there_says_what_is(self, store: RunStore, ref: str | int) -> None:
        with pytest.raises(RunNotFoundError) as caught:
            store.get(ref)
        error = caught.value
        assert isinstance(error, LookupError)
        assert vars(error)["ref"] == str(ref)
        for part in (repr(str(ref)), store.url, f"{len(NAMES)} runs", "anew list"):
            assert part in str(error)
        with pytest.raises(RunNotFoundError):
            store.metrics(ref, "loss")
        with pytest.raises(RunNotFoundError):
            list(store.output(ref))

    def test_the_beginning_of_several_uids_names_them(self, store: RunStore, shelf: Shelf) -> None:
        with pytest.raises(AmbiguousRefError) as caught:
            # made within one second, they have the same beginning
            store.get(shelf.uid("completed")[:6])
        assert isinstance(caught.value, LookupError)
        assert sorted(vars(caught.value)["candidates"]) == sorted(store.numbers())
        assert shelf.uid("completed") in str(caught.value)

    @pytest.mark.parametrize(
        "ref", ["", "no run", "last~x", "sweep:7", "-1", "1.5", "../1", "sweep:7/x", "1;2", HOSTILE]
    )
    def test_what_is_no_reference_is_refused(self, store: RunStore, ref: str) -> None:
        with pytest.raises(RefSyntaxError) as caught:
            store.get(ref)
        assert isinstance(caught.value, ValueError)

    def test_a_metric_that_is_not_there_names_those_that_are(self, store: RunStore, shelf: Shelf) -> None:
        with pytest.raises(MetricNotFoundError) as caught:
            store.metrics(shelf.uid("completed"), "los")
        error = caught.value
        assert isinstance(error, LookupError)
        assert set(vars(error)["candidates"]) == set(shelf.samples["completed"].points)
        assert vars(error)["name"] == "los"
        assert "Did you mean 'loss'?" in str(error)

    @pytest.mark.parametrize("digest", ["0" * 64, "", "../../etc/passwd", "A" * 64, "/etc/passwd", "g" * 64])
    def test_content_that_is_not_there_is_said(self, store: RunStore, digest: str) -> None:
        with pytest.raises(ObjectNotFoundError) as caught:
            store.open_object(digest)
        assert isinstance(caught.value, LookupError)

    def test_errors_can_be_pickled(self, store: RunStore, shelf: Shelf) -> None:
        calls: list[Callable[[], Any]] = [
            lambda: store.get(987_654),
            lambda: store.get("0"),
            lambda: store.get("no run"),
            lambda: store.metrics(shelf.uid("failed"), "los"),
            lambda: store.open_object("0" * 64),
            lambda: store.find("loss <"),
        ]
        for call in calls:
            with pytest.raises(AnewError) as caught:
                call()
            again = pickle.loads(pickle.dumps(caught.value))
            assert (type(again), str(again)) == (type(caught.value), str(caught.value))

    # --- what a run holds -----------------------------------------------------------------------------------------

    @pytest.mark.parametrize("name", NAMES)
    def test_a_series_has_every_point_exactly(self, store: RunStore, shelf: Shelf, name: str) -> None:
        number = store.get(shelf.uid(name)).id
        assert number is not None
        for metric, points in shelf.samples[name].points.items():
            series = store.metrics(number, metric)
            assert series.name == metric
            assert [str(each.dtype) for each in (series.steps, series.values, series.times)] == [
                "int64",
                "float64",
                "float64",
            ]
            assert series.steps.tolist() == [step for step, _ in points]
            assert [repr(value) for value in series.exact] == [repr(value) for _, value in points]
            assert [repr(value) for value in series.values.tolist()] == [repr(float(value)) for _, value in points]
            assert (series.times[:-1] <= series.times[1:]).all()

    @pytest.mark.parametrize("name", NAMES)
    def test_output_is_what_was_printed(self, store: RunStore, shelf: Shelf, name: str) -> None:
        assert "".join(store.output(shelf.uid(name))) == shelf.samples[name].output

    @pytest.mark.parametrize("name", ["completed", "lost"])
    def test_following_a_run_that_is_over_comes_to_an_end(self, store: RunStore, shelf: Shelf, name: str) -> None:
        assert "".join(store.output(shelf.uid(name), follow=True)) == shelf.samples[name].output

    @pytest.mark.parametrize("name", NAMES)
    def test_content_is_given_by_its_digest(self, store: RunStore, shelf: Shelf, name: str) -> None:
        record = store.get(shelf.uid(name))
        [source], artifact = record.source.files, record.artifacts[0]
        with store.open_object(artifact.sha256) as file:
            assert file.read() == ARTIFACT
        with store.open_object(source.sha256) as file:
            assert file.read(5) == b"print"

    def test_an_artifact_is_given_by_its_name(self, store: RunStore, shelf: Shelf) -> None:
        if not isinstance(store, CuratedStore):
            pytest.skip("it gives content by digest alone")
        uid = shelf.uid(NAMES[0])
        found = store.artifact(uid, "out/model.bin")
        assert (found if isinstance(found, bytes) else found.read_bytes()) == ARTIFACT
        with store.get(uid).artifacts[0].open() as file:
            assert file.read() == ARTIFACT
        with pytest.raises(ArtifactNotFoundError, match="out/model"):
            store.artifact(uid, "model.bin")

    def test_threads_share_it(self, store: RunStore, shelf: Shelf) -> None:
        def look(name: str) -> str:
            uid = shelf.uid(name)
            return _told(store.get(uid)) + repr(store.metrics(uid, "loss").exact) + str(len(store.find()))

        alone = [look(name) for name in NAMES]
        with ThreadPoolExecutor(8) as pool:
            assert list(pool.map(look, NAMES * 4)) == alone * 4

    # --- damage ---------------------------------------------------------------------------------------------------

    @pytest.mark.parametrize("part", PARTS)
    def test_damage_costs_what_is_damaged_and_is_said(self, fresh: tuple[Shelf, RunStore], part: str) -> None:
        shelf, store = fresh
        uid, number = shelf.uid("failed"), store.get(shelf.uid("failed")).id or 0
        others = [name for name in NAMES if name != "failed"]
        before = {name: _told(store.get(shelf.uid(name))) for name in others}
        damaged = self.damage(store, number, part)
        if damaged is None:
            pytest.skip("nobody can damage that")
        try:
            found = damaged.get(number)
        except AnewError as error:
            assert str(error)  # noqa: PT017  # it may be refused, or be shown with a warning
        else:
            assert found.warnings != shelf.samples["failed"].final.warnings
            assert found.uid in ("", uid)
        listed = [record.uid for record in damaged.find()]
        assert [each for each in listed if each not in ("", uid)] == [shelf.uid(name) for name in reversed(others)]
        assert {name: _told(damaged.get(shelf.uid(name))) for name in others} == before

    # --- changing, where a store can ------------------------------------------------------------------------------

    def test_tags_and_notes_can_be_given_later(self, fresh: tuple[Shelf, RunStore]) -> None:
        shelf, store = fresh
        uid = shelf.uid("completed")
        folders = _folders(store)
        # earlier versions, and other programs, give tags of any letters
        folders.add_event(folders.look_up(uid), ev.TagsChanged, added=(HOSTILE,), removed=())
        assert curate.tag(folders, uid, ["late"]).tags == ("second", HOSTILE, "late")
        assert curate.tag(folders, uid, [], ["second"]).tags == (HOSTILE, "late")
        assert curate.note(folders, uid, HOSTILE).note == HOSTILE
        assert [record.uid for record in store.find("tag == late")] == [uid]
        assert store.get(uid).note == HOSTILE
        assert not curate.note(folders, uid, "").note
        curate.comment(folders, uid, "first")
        assert [each.text for each in curate.comment(folders, uid, HOSTILE).comments][-2:] == ["first", HOSTILE]
        assert store.get(uid).comments[-1].by
        assert len(store.numbers()) == len(NAMES)

    def test_a_deleted_run_can_be_had_back_or_deleting_is_refused(self, fresh: tuple[Shelf, RunStore]) -> None:
        shelf, store = fresh
        folders, uid = _folders(store), shelf.uid("completed")
        before = _told(store.get(uid))
        try:
            number = curate.delete(folders, uid)
        except StoreError as error:
            assert str(error)  # noqa: PT017  # the other way to keep the promise
            assert _told(store.get(uid)) == before
            return
        with pytest.raises(RunNotFoundError, match=f"anew restore {number}"):
            store.get(number)
        assert uid not in [record.uid for record in store.find()]
        assert curate.restore(folders, number) == number
        assert _told(store.get(uid)) == before


def _folders(store: RunStore) -> RunFolders:
    if not isinstance(store, RunFolders):
        pytest.skip("this store can be looked at only")
    return store


def _told(record: RunRecord) -> str:
    """Return what of a record has to be the same in every store, as text, since NaN is not equal to itself."""
    return dumps(to_json(replace(record, id=None, observers={})))
