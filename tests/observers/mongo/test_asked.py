"""What MongoDB is asked leaves out no run that passes: it answers as the folder does that the runs came from."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings

from anew.observers.mongo.read.asked import likely_query
from anew.observers.mongo.read.store import MongoStore, open_url
from anew.runner.dispatch.transfer import to_observer
from anew.runner.query.filters import parse_filter
from anew.runner.records import RunRecord
from anew.runner.store.more import Beside
from tests.helpers.questions import QUERY, SORT, one_by_one, some_runs
from tests.helpers.stores import make_store
from tests.helpers.wire import MongoServer, with_database

pytest_plugins = ("tests.helpers.wire",)


@pytest.fixture(scope="module")
def both(
    mongo_server: MongoServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[MongoStore, list[RunRecord], Beside]]:
    folder = tmp_path_factory.mktemp("both")
    store = make_store(folder / "runs")
    some_runs(store, 40, going_on=False)
    with pytest.MonkeyPatch.context() as patch, mongo_server.client() as client:
        client.drop_database("asked_in_tests")
        patch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        mongo = open_url(with_database(mongo_server.url, "asked_in_tests"))
        for moved in to_observer(store, mongo.url, mongo.observer, lambda uid: bool(mongo.of_uid(uid))):
            assert moved.what != "failed", moved.detail
        yield mongo, [mongo.get(number) for number in mongo.numbers()], Beside(mongo)
        mongo.database.client.drop_database("asked_in_tests")


@pytest.mark.long
# the records are many words, which hypothesis would rather not print beside the question that failed
@pytest.mark.filterwarnings("ignore::hypothesis.errors.HypothesisWarning")
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(where=QUERY, sort=SORT)
def test_the_database_and_the_records_answer_alike(
    both: tuple[MongoStore, list[RunRecord], Beside], where: str, sort: str | None
) -> None:
    mongo, records, more = both
    assert [record.uid for record in mongo.find(where, sort=sort)] == one_by_one(records, more, where, sort)


def test_less_is_fetched_than_there_is(both: tuple[MongoStore, list[RunRecord], Beside]) -> None:
    mongo, records, _ = both
    for question in ("status == FAILED", "config.lr == 0.1 and has(loss)", "started > 2h"):
        found = [*mongo.likely(parse_filter(question).tree)]
        assert 0 < len(found) < len(records), question
    # a tag that was given later stands in the record alone
    assert likely_query(parse_filter("tag == paper").tree) == {}
    assert likely_query(parse_filter("not config.lr == 0.1").tree) == {}
