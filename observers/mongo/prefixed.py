"""A database in which Sacred's collections have a prefix, as its observer's `collection_prefix` gives them one."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_plus

from pymongo.database import Database

from anew.runner.errors import ConfigError

if TYPE_CHECKING:
    from bson.codec_options import CodecOptions
    from pymongo import MongoClient
    from pymongo.collection import Collection
    from pymongo.read_concern import ReadConcern
    from pymongo.read_preferences import _ServerMode
    from pymongo.write_concern import WriteConcern

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


class PrefixedDatabase(Database[dict[str, Any]]):
    """
    A database whose collections `runs` and `metrics`, and all of ours, are called PREFIX_runs, PREFIX_metrics, ...

    As with Sacred, files are common to all prefixes.

    Args:
        client: The connection.
        name: The database's name.
        prefix: Without the underscore.
        options: As for `Database`.
    """

    def __init__(self, client: MongoClient[dict[str, Any]], name: str, prefix: str, **options: Any) -> None:
        super().__init__(client, name, **options)
        self.prefix = prefix

    def __getitem__(self, name: str) -> Collection[dict[str, Any]]:
        return super().__getitem__(self._named(name))

    def get_collection(self, name: str, *args: Any, **options: Any) -> Collection[dict[str, Any]]:
        """Return a collection; see `Database.get_collection`."""
        return super().get_collection(self._named(name), *args, **options)

    def with_options(  # type: ignore[override]
        self,
        codec_options: CodecOptions[Any] | None = None,
        read_preference: _ServerMode | None = None,
        write_concern: WriteConcern | None = None,
        read_concern: ReadConcern | None = None,
    ) -> PrefixedDatabase:
        """Return the same database with other options; see `Database.with_options`."""
        return PrefixedDatabase(
            self.client,
            self.name,
            self.prefix,
            codec_options=codec_options or self.codec_options,
            read_preference=read_preference or self.read_preference,
            write_concern=write_concern or self.write_concern,
            read_concern=read_concern or self.read_concern,
        )

    def _named(self, name: str) -> str:
        return name if name == "fs" or name.startswith("fs.") else f"{self.prefix}_{name}"
