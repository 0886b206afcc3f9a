"""
Sweeps in MongoDB: what each is called there, and the files of its folder.

Collection `anew_sweeps` has a document for each, with the number that it has in this database as its `_id` and its
`uid`, for people `experiment`, `started_at`, `overrides`, `launcher`, `direction` and `host`, and in `files` the names
and digests of its files, packed. Their content is in `anew_sweep_files`, by digest:

    {_id: "UID:SHA256:PART", sweep: UID, sha256: SHA256, part: 0, parts: 1, z: <zlib of the content>}

A run's document says in `anew.sweep` which sweep it is of: {number, uid, index}. Content is inserted first, and the
list of files is compared and set: whoever is interrupted, or overtaken, leaves nothing that is half there.
"""

from __future__ import annotations

import hashlib
import json
import re
import zlib
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from anew.observers.mongo import numbers as mongo_runs
from anew.observers.mongo.client import bounded, insert_missing
from anew.observers.mongo.view import clean, value_view
from anew.runner.errors import AnewError, UnavailableError
from anew.runner.format import ids
from anew.runner.store.files import read_regular
from anew.runner.store.run_folders import RunFolders
from anew.runner.sweep_records import SweepStart

if TYPE_CHECKING:
    from pymongo.database import Database

SWEEPS = "anew_sweeps"
FILES = "anew_sweep_files"
_PART_BYTES = 8 * 2**20
_MOST_BYTES = 2**30
_MOST_PACKED = 2**28
_AT_A_TIME = 200
_ATTEMPTS = 100
_DIGEST = re.compile(r"[0-9a-f]{64}")
_PATH = re.compile(
    r"(?:sweep\.json|jobs\.jsonl|[A-Za-z0-9_-]+\.yaml|taken/[0-9]+\.[0-9]+\.(?:json|death)"
    r"|conductors/[0-9]+(?:\.ended)?\.json|(?:search|workers)/[A-Za-z0-9_][A-Za-z0-9_.-]{0,100})"
)

# path in the sweep's folder -> SHA-256, and for a sign of life when it was given, in nanoseconds since the epoch
Manifest = dict[str, tuple[str, int]]


def of_number(database: Database[dict[str, Any]], number: int) -> dict[str, Any] | None:
    """Return a sweep's document; None where there is none, or one that is nonsense."""
    found = database[SWEEPS].find_one({"_id": number})
    return found if found is not None and is_uid(found.get("uid")) else None


def called(database: Database[dict[str, Any]], prefix: str = "") -> dict[int, str]:
    """Return the sweeps whose uid begins so: number -> uid, ascending."""
    query = {"uid": {"$gte": prefix, "$lt": f"{prefix}~"}}
    documents = bounded(database, database[SWEEPS].find(query, {"uid": 1}), "sweeps")
    return dict(
        sorted((each["_id"], each["uid"]) for each in documents if _is_number(each["_id"]) and is_uid(each["uid"]))
    )


def claim(database: Database[dict[str, Any]], uid: str, experiment: str, wanted: int | None = None) -> int:
    """
    Return the number of a sweep, given to it now if it has none.

    Args:
        database: Where.
        uid: The sweep.
        experiment: The experiment's name.
        wanted: The number that it gets if that is free; None for the next.

    Raises:
        UnavailableError: Numbers are taken as fast as they are claimed.
    """
    number = wanted
    for _ in range(_ATTEMPTS):
        for found in called(database, uid):
            return found
        mongo_runs.prepare(database)
        number = number or max(called(database), default=0) + 1
        document = {"_id": number, "uid": uid, "experiment": clean(experiment)[:1000], "rev": 0}
        if not insert_missing(database[SWEEPS], [document]):
            return number
        number = None
    raise UnavailableError("No free number for the sweep was found: somebody else goes on taking them.")


def manifest_of(document: Mapping[str, Any]) -> Manifest:
    """Return the files of a sweep, none where only its runs are there; what is nonsense is left out."""
    packed = document.get("files")
    if not isinstance(packed, bytes):
        return {}
    try:
        unpacker = zlib.decompressobj()
        found = json.loads(unpacker.decompress(packed, _MOST_PACKED))
    except (zlib.error, ValueError, RecursionError):
        return {}
    if not isinstance(found, dict):
        return {}
    return {path: (told[0], told[1]) for path, told in found.items() if _is_told(path, told)}


def _is_told(path: str, told: object) -> bool:
    return (
        _PATH.fullmatch(path) is not None
        and isinstance(told, list)
        and len(told) == 2
        and isinstance(told[0], str)
        and _DIGEST.fullmatch(told[0]) is not None
        and type(told[1]) is int
        and 0 <= told[1] < 2**63
    )


def is_kept(path: str) -> bool:
    """Whether a file of a sweep's folder, by its path in there, is one of those that go along."""
    return _PATH.fullmatch(path) is not None


def put(
    database: Database[dict[str, Any]],
    document: Mapping[str, Any],
    start: SweepStart,
    files: Mapping[str, tuple[bytes, int]],
) -> bool:
    """
    Have a sweep's files be these; return False when somebody else has changed them since the document was read.

    Args:
        database: Where.
        document: The sweep's.
        start: What is known of it since it began.
        files: Path -> content, and when it was touched last, where that is a sign of life; else 0.
    """
    uid, before = document["uid"], manifest_of(document)
    contents = {hashlib.sha256(data).hexdigest(): data for data, _ in files.values()}
    manifest = {path: (hashlib.sha256(data).hexdigest(), touched) for path, (data, touched) in files.items()}
    if manifest == before:
        return True
    known = {sha256 for sha256, _ in before.values()}
    pending: list[dict[str, Any]] = []
    for sha256 in contents.keys() - known:
        for part in _parts(uid, sha256, contents[sha256]):
            pending.append(part)
            if len(pending) >= _AT_A_TIME or len(part["z"]) > 2**20:
                insert_missing(database[FILES], pending)
                pending = []
    insert_missing(database[FILES], pending)
    packed = zlib.compress(json.dumps({path: list(told) for path, told in sorted(manifest.items())}).encode())
    rev = document.get("rev")
    changes = {"files": packed, "rev": (rev if type(rev) is int else 0) + 1, **_view(start)}
    if (
        not database[SWEEPS]
        .update_one({"_id": document["_id"], "uid": uid, "rev": rev}, {"$set": changes})
        .matched_count
    ):
        return False
    gone = known - contents.keys()
    if gone:
        database[FILES].delete_many({"sweep": uid, "sha256": {"$in": sorted(gone)}})
    return True


def _view(start: SweepStart) -> dict[str, Any]:
    """Return what is there for people, and for scripts that read plain documents."""
    return {
        "experiment": clean(start.experiment)[:1000],
        "started_at": start.started_at,
        "command": value_view(list(start.command.argv), most=2**16),
        "overrides": value_view(list(start.overrides), most=2**16),
        "sweeper": clean(start.sweeper)[:1000],
        "launcher": clean(start.launcher)[:1000],
        "direction": start.direction,
        "host": clean(start.hostname)[:1000],
    }


def _parts(uid: str, sha256: str, data: bytes) -> list[dict[str, Any]]:
    packed = zlib.compress(data, 1)
    pieces = [packed[begin : begin + _PART_BYTES] for begin in range(0, len(packed), _PART_BYTES)]
    return [
        {
            "_id": f"{uid}:{sha256}:{part}",
            "sweep": uid,
            "sha256": sha256,
            "part": part,
            "parts": len(pieces),
            "z": piece,
        }
        for part, piece in enumerate(pieces)
    ]


def content(database: Database[dict[str, Any]], uid: str, digests: Iterable[str]) -> dict[str, bytes]:
    """Return the content of files by digest; what is missing, or is not what its digest says, is left out."""
    wanted = sorted(set(digests))
    found: dict[str, bytes] = {}
    for begin in range(0, len(wanted), _AT_A_TIME):
        some = wanted[begin : begin + _AT_A_TIME]
        pieces: dict[str, dict[int, bytes]] = {}
        for each in database[FILES].find({"sweep": uid, "sha256": {"$in": some}}):
            sha256, part, packed = each.get("sha256"), each.get("part"), each.get("z")
            if sha256 in some and type(part) is int and isinstance(packed, bytes):
                pieces.setdefault(sha256, {})[part] = packed
        for sha256, parts in pieces.items():
            data = _unpacked(b"".join(parts[part] for part in sorted(parts)))
            if hashlib.sha256(data).hexdigest() == sha256:
                found[sha256] = data
    return found


def _unpacked(packed: bytes) -> bytes:
    try:
        return zlib.decompressobj().decompress(packed, _MOST_BYTES)
    except zlib.error:
        return b""


def begin(database: Database[dict[str, Any]], number: int, store: RunFolders, uid: str) -> None:
    """
    Have a sweep's plan be there as soon as one of its runs is, as far as it is known by then; `anew sync` brings all.

    Args:
        database: Where.
        number: The sweep's there.
        store: Where it is recorded.
        uid: The sweep's.
    """
    document = database[SWEEPS].find_one({"_id": number, "uid": uid, "files": {"$exists": False}})
    if document is None:
        return
    try:
        layout = store.sweep_folder(uid).layout
        start = store.sweep_folder(uid).start()
        paths = [path for path in (layout.record, layout.jobs) if path.exists()]
        files = {path.name: (read_regular(path, _MOST_BYTES), 0) for path in paths}
    except (AnewError, OSError):
        return
    if start is not None:
        put(database, document, start, files)


def mark_runs(database: Database[dict[str, Any]], number: int, uid: str, members: Mapping[str, int]) -> None:
    """
    Have documents of runs say of which sweep they are, where they do not: an earlier version sent them.

    Args:
        database: Where.
        number: The sweep's.
        uid: The sweep's.
        members: Uid of a run -> the job that it did.
    """
    from pymongo import UpdateOne

    uids = sorted(members)
    for begin in range(0, len(uids), _AT_A_TIME):
        query = {"anew.uid": {"$in": uids[begin : begin + _AT_A_TIME]}, "anew.sweep": {"$exists": False}}
        found = [each["anew"]["uid"] for each in database["runs"].find(query, {"anew.uid": 1})]
        updates = [
            UpdateOne(
                {"anew.uid": run}, {"$set": {"anew.sweep": {"number": number, "uid": uid, "index": members[run]}}}
            )
            for run in found
        ]
        if updates:
            database["runs"].bulk_write(updates, ordered=False)


def is_uid(value: object) -> bool:
    """Whether a value of a document is a uid; whoever can write there may write anything."""
    return isinstance(value, str) and len(value) == ids.UID_LENGTH and value.isascii() and value.isalnum()


def _is_number(value: object) -> bool:
    return type(value) is int and 0 < value <= mongo_runs.GREATEST
