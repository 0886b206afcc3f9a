"""A database in which Sacred's collections have a prefix, as its observer's `collection_prefix` gives them one."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_plus

from anew.runner.errors import ConfigError

if TYPE_CHECKING:
    from pymongo import MongoClient
    from pymongo.collection import Collection
    from pymongo.database import Database

OPTION = "collection_prefix"
_MOST = 100
_IS_PREFIX = re.compile(r"[^\0$/\\. \"][^\0$]*").fullmatch


def parted(url: str) -> tuple[str, str]:
    """
    Return a URL without the prefix that it names, which is no option of the drivers', and the prefix; "" for none.

    Raises:
        ConfigError: It cannot be the beginning of a collection's name.
    """
    before, mark, query = url.partition("?")
    options = [each for each in query.split("&") if each] if mark else []
    given = [each.partition("=")[2] for each in options if each.partition("=")[0] == OPTION]
    if not given:
        return url, ""
    prefix = unquote_plus(given[-1])
    if not prefix:
        pass
    elif not _IS_PREFIX(prefix) or len(prefix) > _MOST or prefix.startswith("system"):
        raise ConfigError(
            f"{OPTION}={prefix!r} cannot be the beginning of a collection's name. It is what Sacred's MongoObserver "
            f"was given as {OPTION}, such as: mongodb://localhost:27017/sacred?{OPTION}=vision"
        )
    rest = "&".join(each for each in options if each.partition("=")[0] != OPTION)
    return f"{before}?{rest}" if rest else before, prefix


def prefixed(client: MongoClient[dict[str, Any]], name: str, prefix: str, **options: Any) -> Database[dict[str, Any]]:
    """
    Return a database whose collections `runs` and `metrics`, and all of ours, are called PREFIX_runs, PREFIX_metrics.

    As with Sacred, files are common to all prefixes.

    Args:
        client: The connection.
        name: The database's name.
        prefix: Without the underscore; it is the attribute `prefix` of the database.
        options: As for `Database`.
    """
    from pymongo.database import Database

    class Prefixed(Database[dict[str, Any]]):
        def __getitem__(self, name: str) -> Collection[dict[str, Any]]:
            return super().__getitem__(_named(prefix, name))

        def get_collection(self, name: str, *args: Any, **options: Any) -> Collection[dict[str, Any]]:
            return super().get_collection(_named(prefix, name), *args, **options)

        # pymongo's own makes a plain Database; its options go by name, whatever they are called in a later release
        def with_options(self, **changed: Any) -> Any:  # type: ignore[override]
            names = ("codec_options", "read_preference", "write_concern", "read_concern")
            same = {each: getattr(self, each) for each in names}
            return prefixed(self.client, self.name, prefix, **{**same, **changed})

    found = Prefixed(client, name, **options)
    vars(found)["prefix"] = prefix
    return found


def _named(prefix: str, name: str) -> str:
    return name if name == "fs" or name.startswith("fs.") else f"{prefix}_{name}"
