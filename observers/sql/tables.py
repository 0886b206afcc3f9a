"""The tables that `sql` writes: their columns, keys and indexes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sqlalchemy import Dialect, Table
    from sqlalchemy.types import TypeEngine

_PREFIX = "anew_"
VERSION_TABLE = f"{_PREFIX}schema"
STATUS_VIEW = f"{_PREFIX}status"
SILENT_S = 120

dumps = partial(json.dumps, ensure_ascii=False, allow_nan=False)

# table -> column -> kind, and what it means; PostgreSQL keeps that as the column's comment
TABLES: Mapping[str, Mapping[str, tuple[str, str]]] = {
    "runs": {
        "uid": ("text", "unique everywhere; text order is the order of starts"),
        "id": ("int", "the run's number in its store; other stores have a run of that number, too"),
        "store": ("text", "where the run was recorded"),
        "experiment": ("text", ""),
        "status": (
            "text",
            "RUNNING, COMPLETED, FAILED, INTERRUPTED or LOST, as last heard; as it stands now: anew_status",
        ),
        "started_at": ("time", "UTC, as all times"),
        "ended_at": ("time", ""),
        "duration_s": ("float", "seconds; null while the run is going"),
        "heartbeat_at": ("time", "when the run last gave a sign of life"),
        "result": ("float", "what main returned, if that is a number"),
        "result_json": ("json", "what main returned, whatever it is"),
        "config": ("json", "the whole configuration; anew_params has its values one by one"),
        "overrides": ("json", "what was typed on the command line, in order"),
        "choices": ("json", "config group -> chosen option"),
        "config_name": ("text", ""),
        "command": ("text", "as a shell takes it"),
        "main": ("text", "module:function"),
        "cwd": ("text", "the working directory at the start"),
        "seed": ("int", "the root seed"),
        "seeds": ("json", "what was seeded, and what was made deterministic"),
        "git_commit": ("text", ""),
        "git_branch": ("text", ""),
        "git_dirty": ("bool", "whether there were changes that no commit has"),
        "git_remote": ("text", ""),
        "python": ("text", "version"),
        "anew": ("text", "version"),
        "environment": ("json", "variables, thread settings and so on; packages are in anew_packages"),
        "host": ("text", ""),
        "os": ("text", ""),
        "pid": ("int", ""),
        "cpu_model": ("text", ""),
        "cpu_cores": ("int", ""),
        "memory_bytes": ("int", ""),
        "gpu": ("text", "the first one's name"),
        "gpu_count": ("int", ""),
        "hardware": ("json", "all that is known about the machine"),
        "rerun_of_uid": ("text", "the run that this one repeats"),
        "rerun_of_id": ("int", ""),
        "verdict": ("text", "how the repetition came out: identical, close or different"),
        "verdict_json": ("json", "what differs, where first, and what may be the cause"),
        "sweep_uid": ("text", "the sweep that it is of; other stores have one of its number, too"),
        "sweep_id": ("int", "its number in the run's store"),
        "sweep_index": ("int", "from 0"),
        "parent_uid": ("text", "the run that this one was started in"),
        "parent_id": ("int", ""),
        "pruned": ("bool", "whether it was told to stop before its end"),
        "note": ("text", ""),
        "info": ("json", "facts that the user added"),
        "warnings": ("json", "what the recorder had to say"),
        "error_type": ("text", ""),
        "error_message": ("text", ""),
        "error_traceback": ("text", ""),
        "signal": ("text", ""),
        "exit_code": ("int", ""),
    },
    "params": {
        "uid": ("text", ""),
        "key": ("text", "joined by dots, such as optimizer.lr; a dot inside a key is written \\."),
        "value_num": ("float", "if it is a number"),
        "value_text": ("text", "the value as text: 0.1, true, adam; a list as JSON; null if there is none"),
        "value_json": ("json", ""),
    },
    "metrics": {
        "uid": ("text", ""),
        "writer": ("text", "the process of the run that logged the point"),
        "q": ("int", "rises with each thing that a writer writes"),
        "name": ("text", ""),
        "step": ("int", "may repeat and go back"),
        "value": ("float", "NaN is null in a SQLite file"),
        "value_text": ("text", "the exact value, where the column value cannot hold it"),
        "t": ("float", "seconds since the run started"),
        "logged_at": ("time", ""),
    },
    "histograms": {
        "uid": ("text", ""),
        "writer": ("text", "as in metrics"),
        "q": ("int", "as in metrics"),
        "name": ("text", ""),
        "step": ("int", "may repeat and go back"),
        "counts": ("json", "how many values lie in each bin; bins are equally wide, from low to high"),
        "low": ("float", "the least finite value"),
        "high": ("float", "the greatest finite value"),
        "mean": ("float", "of the finite values"),
        "std": ("float", "of the finite values"),
        "nans": ("int", "how many values were NaN"),
        "infinities": ("int", "how many values were infinite"),
        "t": ("float", "seconds since the run started"),
        "logged_at": ("time", ""),
    },
    "artifacts": {
        "uid": ("text", ""),
        "name": ("text", ""),
        "sha256": ("text", ""),
        "size_bytes": ("int", ""),
        "added_at": ("time", ""),
    },
    "inputs": {
        "uid": ("text", ""),
        "path": ("text", "relative to the project if inside it"),
        "sha256": ("text", ""),
        "size_bytes": ("int", ""),
    },
    "sources": {
        "uid": ("text", ""),
        "path": ("text", "relative to the project"),
        "sha256": ("text", ""),
        "size_bytes": ("int", ""),
    },
    "packages": {"uid": ("text", ""), "name": ("text", ""), "version": ("text", "")},
    "tags": {"uid": ("text", ""), "tag": ("text", "")},
    "comments": {
        "uid": ("text", ""),
        "writer": ("text", "as in metrics"),
        "q": ("int", "as in metrics"),
        "text": ("text", ""),
        "author": ("text", "the login name"),
        "made_at": ("time", ""),
    },
    "output": {
        "uid": ("text", ""),
        "offset_bytes": ("int", "where the piece begins in the log"),
        "q": ("int", ""),
        "t": ("float", "seconds since the run started, about"),
        "text": ("text", ""),
    },
}
KEYS: Mapping[str, tuple[str, ...]] = {
    "runs": ("uid",),
    "params": ("uid", "key"),
    "metrics": ("uid", "writer", "q", "name"),
    "histograms": ("uid", "writer", "q", "name"),
    "artifacts": ("uid", "name"),
    "inputs": ("uid", "path"),
    "sources": ("uid", "path"),
    "packages": ("uid", "name"),
    "tags": ("uid", "tag"),
    "comments": ("uid", "writer", "q"),
    "output": ("uid", "offset_bytes"),
}
# What is asked for over many runs. A metric's points are found by name and run in the order of steps, so that the
# last one of each run is found without reading the others.
_INDEXES: Mapping[str, tuple[tuple[str, ...], ...]] = {
    "runs": (("experiment", "started_at"),),
    "params": (("key", "value_num"),),
    "metrics": (("name", "uid", "step"),),
    "histograms": (("name", "uid", "step"),),
    "artifacts": (("sha256",),),
    "inputs": (("sha256",),),
    "packages": (("name", "version"),),
    "tags": (("tag",),),
}


def make_tables(schema: str | None) -> dict[str, Table]:
    """Return the tables, by their names without the prefix; a run's rows go when the run's row is deleted."""
    import sqlalchemy as sa
    from sqlalchemy.dialects.postgresql import JSONB

    kinds: dict[str, TypeEngine[Any]] = {
        "text": sa.Text(),
        "int": sa.BigInteger(),
        "float": sa.Double(),
        "bool": sa.Boolean(),
        "time": sa.DateTime(timezone=True),
        "json": JSONB(none_as_null=True).with_variant(_json_text(), "sqlite"),
    }
    metadata = sa.MetaData(schema=schema)
    tables: dict[str, Table] = {}
    for table, columns in TABLES.items():
        name, keys = f"{_PREFIX}{table}", KEYS[table]
        of_run = [] if table == "runs" else [sa.ForeignKey(tables["runs"].c.uid, ondelete="CASCADE")]
        tables[table] = sa.Table(
            name,
            metadata,
            *(
                sa.Column(
                    column, kinds[kind], *(of_run if column == "uid" else ()), primary_key=column in keys, comment=text
                )
                for column, (kind, text) in columns.items()
            ),
            *(sa.Index("_".join((name, *index)), *index) for index in _INDEXES.get(table, ())),
            # points are looked up by their key with every insert, so SQLite keeps them in its order
            sqlite_with_rowid=table != "metrics",
        )
    tables["schema"] = sa.Table(VERSION_TABLE, metadata, sa.Column("version", sa.BigInteger(), nullable=False))
    return tables


def status_view(runs: Table, *, is_sqlite: bool) -> str:
    """
    Return the statement that makes the view of how runs stand now.

    A row stays as it was when its observer was last heard. Where that is a while ago, the run goes on, has ended, or
    was lost, and nobody can tell by the database: its status is UNKNOWN.
    """
    since = f"datetime('now', '-{SILENT_S} seconds')" if is_sqlite else f"now() - interval '{SILENT_S} seconds'"
    schema = f'"{runs.schema}".' if runs.schema else ""
    is_silent = f"status IN ('RUNNING', 'QUEUED') AND heartbeat_at < {since}"
    return (
        f"CREATE VIEW {schema}{STATUS_VIEW} AS SELECT uid, id, experiment, "
        f"CASE WHEN {is_silent} THEN 'UNKNOWN' ELSE status END AS status, heartbeat_at FROM {schema}{runs.name}"
    )


def _json_text() -> TypeEngine[Any]:
    """Return JSON in a column of text: SQLAlchemy's own for SQLite makes a column that rounds a number to a double."""
    from sqlalchemy import Text, TypeDecorator

    class JSONText(TypeDecorator[Any]):
        impl = Text
        cache_ok = True

        def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:
            return None if value is None else dumps(value)

        def process_result_value(self, value: str | None, dialect: Dialect) -> Any:
            return None if value is None else json.loads(value)

    return JSONText()
