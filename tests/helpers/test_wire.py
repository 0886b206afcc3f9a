"""The server and the wire that tests of observers stand on: what they promise, seen by a real client."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
from pymongo import MongoClient
from pymongo.collection import Collection
from pymongo.errors import (
    AutoReconnect,
    ConnectionFailure,
    NetworkTimeout,
    OperationFailure,
    ServerSelectionTimeoutError,
)

from tests.helpers.needs import marked
from tests.helpers.places import ROOT
from tests.helpers.wire import HAS_OPENSSL, Fault, FaultyProxy, Message, MongoServer, client_of

pytest_plugins = ("tests.helpers.wire",)


@pytest.fixture
def once(faulty_wire: FaultyProxy) -> Iterator[MongoClient[dict[str, Any]]]:
    """A client that does not try writes again by itself, behind the faulty wire."""
    with faulty_wire.client(retryWrites=False, retryReads=False) as client:
        yield client


@pytest.fixture
def points(once: MongoClient[dict[str, Any]], database_name: str) -> Collection[dict[str, Any]]:
    """A collection behind the faulty wire, with the connection made."""
    once.admin.command("ping")
    return once[database_name].points


@pytest.fixture
def kept(mongo_server: MongoServer, database_name: str) -> Iterator[Collection[dict[str, Any]]]:
    """The same collection, seen without the faulty wire."""
    with mongo_server.client() as client:
        yield client[database_name].points
        client.drop_database(database_name)


def test_what_the_journal_has_is_there_after_a_kill_and_a_restart(fresh_mongo: MongoServer) -> None:
    with fresh_mongo.client(journal=True) as client:
        client.db.points.create_index("name", unique=True, sparse=True)
        client.db.points.insert_many({"_id": number} for number in range(1000))
        port = fresh_mongo.port
        fresh_mongo.kill()
        assert not fresh_mongo.is_running
        fresh_mongo.start()
        assert fresh_mongo.port == port
        assert client.db.points.count_documents({}) == 1000
        assert client.db.points.index_information()["name_1"]["unique"]


def test_a_server_that_syncs_on_commit_loses_nothing_when_it_is_killed(tmp_path: Path) -> None:
    with MongoServer(tmp_path, options=["--sync-on-commit"]) as server, server.client() as client:
        client.db.points.insert_many({"_id": number} for number in range(1000))
        client.db.points.update_one({"_id": 1}, {"$set": {"name": "first"}})
        server.kill()
        server.start()
        assert client.db.points.count_documents({}) == 1000
        assert client.db.points.find_one({"name": "first"}) == {"_id": 1, "name": "first"}


def test_a_client_finds_the_server_again_after_a_stop(fresh_mongo: MongoServer) -> None:
    with fresh_mongo.client(serverSelectionTimeoutMS=300) as client:
        client.db.points.insert_one({"_id": 1})
        fresh_mongo.stop()
        with pytest.raises(ConnectionFailure):
            client.db.points.insert_one({"_id": 2})
        fresh_mongo.start()
        with client_of(fresh_mongo.url) as another:
            assert [point["_id"] for point in another.db.points.find()] == [1]


@marked("secantus", "SecantusDB")
def test_a_server_does_not_outlive_the_tests_that_were_killed(tmp_path: Path) -> None:
    body = f"""
        import os
        from pathlib import Path
        from tests.helpers.wire import MongoServer
        server = MongoServer(Path({str(tmp_path)!r})).start()
        print(server._process.pid, flush=True)
        os.kill(os.getpid(), 9)
    """
    command = [sys.executable, "-c", textwrap.dedent(body)]
    root = ROOT
    result = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=60)
    assert result.returncode == -9, result.stderr
    pid = int(result.stdout)
    for _ in range(500):
        if not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
            return
        time.sleep(0.02)
    pytest.fail("the server is still there")


def test_a_server_that_cannot_start_says_why(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match=r"server\.log:(.|\n)*--no-such-option"):
        MongoServer(tmp_path, options=["--no-such-option"]).start()


def test_only_who_has_the_password_gets_in(tmp_path: Path) -> None:
    with MongoServer(tmp_path, auth=True) as server:
        with server.client() as client:
            client.db.points.insert_one({"_id": 1})
        with client_of(f"mongodb://127.0.0.1:{server.port}/") as stranger, pytest.raises(OperationFailure):
            stranger.db.points.find_one()
        assert server.password not in server.log.read_text()
        server.stop()
        with server.start().client() as client:
            assert client.db.points.count_documents({}) == 1


@pytest.mark.skipif(not HAS_OPENSSL, reason="the command openssl is not here")
def test_a_connection_can_be_encrypted(tmp_path: Path) -> None:
    with MongoServer(tmp_path, tls=True) as server:
        with server.client() as client:
            client.db.points.insert_one({"_id": 1})
        plain = client_of(f"mongodb://127.0.0.1:{server.port}/", serverSelectionTimeoutMS=300)
        distrustful = client_of(f"mongodb://127.0.0.1:{server.port}/?tls=true", serverSelectionTimeoutMS=300)
        for client in (plain, distrustful):
            with client, pytest.raises(ServerSelectionTimeoutError):
                client.admin.command("ping")


def test_a_server_is_a_replica_set_or_stands_alone(mongo_server: MongoServer, tmp_path: Path) -> None:
    with mongo_server.client() as client:
        assert client.admin.command("hello")["setName"]
        with client.start_session() as session, session.start_transaction():
            client.db.points.insert_one({}, session=session)
    with MongoServer(tmp_path, standalone=True) as server, server.client() as client:
        assert "setName" not in client.admin.command("hello")
        client.db.points.insert_one({"_id": 1})


def test_a_server_fails_at_the_command_that_it_is_told_to(fresh_mongo: MongoServer) -> None:
    with fresh_mongo.client(retryWrites=False) as client:
        fault = {"failCommands": ["insert"], "errorCode": 11601}
        client.admin.command({"configureFailPoint": "failCommand", "mode": {"times": 1}, "data": fault})
        with pytest.raises(OperationFailure) as caught:
            client.db.points.insert_one({"_id": 1})
        assert caught.value.code == 11601
        client.db.points.insert_one({"_id": 1})


def test_the_wire_passes_on_what_it_is_given(faulty_wire: FaultyProxy, database_name: str) -> None:
    with faulty_wire.client() as client:
        points = client[database_name].points
        sent = {"_id": 1, "data": os.urandom(10_000_000), "nested": {"a": [1, 2.5, None]}}
        points.insert_one(sent)
        points.insert_many({"_id": number} for number in range(2, 1002))
        assert points.find_one({"_id": 1}) == sent
        assert len(list(points.find(batch_size=100))) == 1001
        assert faulty_wire.requests["insert"] == 2
        assert faulty_wire.requests["getMore"] >= 9
        client.drop_database(database_name)


def test_connections_are_reset_and_the_next_one_works(faulty_wire: FaultyProxy) -> None:
    with socket.create_connection(("127.0.0.1", faulty_wire.port)) as connection:
        while not faulty_wire.cut():
            time.sleep(0.01)
        with pytest.raises(ConnectionResetError):
            connection.recv(1)
    with faulty_wire.client() as client:
        client.admin.command("ping")


def test_a_command_under_way_ends_when_the_connection_is_cut(
    faulty_wire: FaultyProxy, points: Collection[dict[str, Any]], kept: Collection[dict[str, Any]]
) -> None:
    caught: list[BaseException] = []

    def insert() -> None:
        try:
            points.insert_one({"_id": 1})
        except AutoReconnect as error:
            caught.append(error)

    faulty_wire.delay(60)
    writer = threading.Thread(target=insert)
    writer.start()
    while kept.count_documents({}) == 0:
        time.sleep(0.01)
    faulty_wire.cut()
    writer.join(20)
    assert len(caught) == 1


def test_whoever_is_refused_comes_in_later(faulty_wire: FaultyProxy, mongo_server: MongoServer) -> None:
    faulty_wire.refuse()
    refused = pytest.raises(ServerSelectionTimeoutError, match="refused")
    with faulty_wire.client(serverSelectionTimeoutMS=300) as client, refused:
        client.admin.command("ping")
    faulty_wire.refuse(False)
    with faulty_wire.client() as client:
        client.admin.command("ping")


def test_a_server_that_is_down_is_down_behind_the_wire_too(fresh_mongo: MongoServer) -> None:
    with FaultyProxy(fresh_mongo) as proxy, proxy.client(serverSelectionTimeoutMS=300) as client:
        client.admin.command("ping")
        fresh_mongo.kill()
        with pytest.raises(ConnectionFailure):
            client.admin.command("ping")
        fresh_mongo.start()
        with proxy.client() as another:
            another.admin.command("ping")


def test_replies_come_late(faulty_wire: FaultyProxy, database_name: str, kept: Collection[dict[str, Any]]) -> None:
    with faulty_wire.client(retryWrites=False, socketTimeoutMS=500, serverSelectionTimeoutMS=20_000) as client:
        points = client[database_name].points
        points.insert_one({"_id": 1})
        faulty_wire.delay(5)
        with pytest.raises(NetworkTimeout):
            points.insert_one({"_id": 2})
        faulty_wire.delay(0)
        points.insert_one({"_id": 3})
        assert {point["_id"] for point in kept.find()} == {1, 2, 3}


def test_a_wire_that_stalls_is_noticed_by_a_timeout(
    faulty_wire: FaultyProxy, database_name: str, kept: Collection[dict[str, Any]]
) -> None:
    with faulty_wire.client(retryWrites=False, socketTimeoutMS=500, serverSelectionTimeoutMS=20_000) as client:
        points = client[database_name].points
        points.insert_one({"_id": 1})
        faulty_wire.stall()
        with pytest.raises(NetworkTimeout):
            points.insert_one({"_id": 2})
        assert [point["_id"] for point in kept.find()] == [1]
        faulty_wire.stall(False)
        points.insert_one({"_id": 3})
        assert {1, 3} <= {point["_id"] for point in kept.find()}


def test_a_write_whose_reply_is_lost_was_done(
    faulty_wire: FaultyProxy, points: Collection[dict[str, Any]], kept: Collection[dict[str, Any]]
) -> None:
    faulty_wire.lose_replies()
    with pytest.raises(AutoReconnect):
        points.insert_one({"_id": 1})
    assert kept.find_one() == {"_id": 1}
    points.insert_one({"_id": 2})
    assert faulty_wire.faults == ["lose_reply insert"]


def test_replies_are_lost_of_the_requests_that_are_meant(
    faulty_wire: FaultyProxy, points: Collection[dict[str, Any]], kept: Collection[dict[str, Any]]
) -> None:
    def is_second_point(request: Message) -> bool:
        return request.command == "update" and b"second" in request.raw

    faulty_wire.lose_replies(2, when=is_second_point)
    points.insert_one({"_id": "second"})
    points.update_one({"_id": "first"}, {"$set": {"n": 1}}, upsert=True)
    for _ in range(2):
        with pytest.raises(AutoReconnect):
            points.update_one({"_id": "second"}, {"$inc": {"n": 1}})
    points.update_one({"_id": "second"}, {"$inc": {"n": 1}})
    assert kept.find_one({"_id": "second"}) == {"_id": "second", "n": 3}


def test_a_retryable_write_is_done_once_though_its_reply_is_lost(
    faulty_wire: FaultyProxy, database_name: str, kept: Collection[dict[str, Any]]
) -> None:
    with faulty_wire.client() as client:
        points = client[database_name].points
        points.insert_one({"_id": 1, "values": []})
        faulty_wire.lose_replies()
        points.update_one({"_id": 1}, {"$push": {"values": {"$each": [1, 2]}}})
        assert kept.find_one() == {"_id": 1, "values": [1, 2]}
        faulty_wire.lose_replies(2)
        with pytest.raises(AutoReconnect):
            points.update_one({"_id": 1}, {"$push": {"values": 3}})
        assert kept.find_one() == {"_id": 1, "values": [1, 2, 3]}


def test_a_retry_that_a_program_makes_is_a_new_write(
    faulty_wire: FaultyProxy, points: Collection[dict[str, Any]], kept: Collection[dict[str, Any]]
) -> None:
    """Which is what an observer has to guard against by itself: nothing below it does."""
    points.insert_one({"_id": 1, "values": []})
    faulty_wire.lose_replies()
    with pytest.raises(AutoReconnect):
        points.update_one({"_id": 1}, {"$push": {"values": 1}})
    points.update_one({"_id": 1}, {"$push": {"values": 1}})
    assert kept.find_one() == {"_id": 1, "values": [1, 1]}


@pytest.mark.parametrize("after_bytes", [0, 3, 16, 40])
def test_a_reply_that_breaks_off_is_no_reply(
    faulty_wire: FaultyProxy, points: Collection[dict[str, Any]], kept: Collection[dict[str, Any]], after_bytes: int
) -> None:
    faulty_wire.cut_mid_message(after_bytes)
    with pytest.raises(AutoReconnect):
        points.insert_one({"_id": 1})
    assert kept.find_one() == {"_id": 1}
    assert list(points.find()) == [{"_id": 1}]


@pytest.mark.parametrize("after_bytes", [0, 3, 16, 60])
def test_a_request_that_breaks_off_is_not_carried_out(
    faulty_wire: FaultyProxy, points: Collection[dict[str, Any]], kept: Collection[dict[str, Any]], after_bytes: int
) -> None:
    faulty_wire.cut_mid_message(after_bytes, request=True)
    with pytest.raises(AutoReconnect):
        points.insert_one({"_id": 1})
    assert kept.find_one() is None
    points.insert_one({"_id": 2})
    faulty_wire.drop_requests()
    with pytest.raises(AutoReconnect):
        points.insert_one({"_id": 3})
    assert list(kept.find()) == [{"_id": 2}]


def faults_of(server: MongoServer, name: str, seed: int) -> tuple[list[str], set[int]]:
    """Insert many documents over a wire that fails at random; return its faults and what the server has."""
    with FaultyProxy(server, seed=seed) as proxy:
        proxy.fail_at_random(0.3)
        for number in range(60):
            with proxy.client(retryWrites=False) as client, suppress(AutoReconnect):
                client[name].points.insert_one({"_id": number})
    with server.client() as client:
        found = {point["_id"] for point in client[name].points.find()}
        client.drop_database(name)
        return proxy.faults, found


def test_faults_at_random_are_the_same_for_the_same_seed(mongo_server: MongoServer, database_name: str) -> None:
    faults, found = faults_of(mongo_server, database_name, 1)
    assert (faults, found) == faults_of(mongo_server, database_name, 1)
    assert faults != faults_of(mongo_server, database_name, 2)[0]
    assert {fault.split()[0] for fault in faults} == {fault.value for fault in Fault}
    lost = sum(fault.startswith(("drop", "cut_request")) for fault in faults)
    assert len(found) == 60 - lost


def test_a_wire_heals(faulty_wire: FaultyProxy, points: Collection[dict[str, Any]]) -> None:
    faulty_wire.lose_replies(1000)
    faulty_wire.delay(60)
    faulty_wire.refuse()
    faulty_wire.stall()
    faulty_wire.heal()
    points.insert_one({"_id": 1})
    points.database.client.drop_database(points.database.name)
    assert not faulty_wire.faults
