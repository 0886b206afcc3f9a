"""Questions that were given a name: a filter with what is shown of the runs that it finds, a file for each."""

from __future__ import annotations

from pathlib import Path

from anew.runner.dataclass import dataclass
from anew.runner.errors import FilterError
from anew.runner.format import serial
from anew.runner.format.serial import DamagedError
from anew.runner.lazy.patterns import regexp
from anew.runner.store.files import cannot, make_folders, names_in, read_regular, replace_whole
from anew.runner.wording import closest

_NAME = regexp(r"[A-Za-z][A-Za-z0-9_-]{0,63}")
_MOST_BYTES = 1 << 20


@dataclass(frozen=True, kw_only=True, slots=True)
class View:
    """
    A question, as `anew list` takes it.

    Attributes:
        filter, sort, by: As they are typed; empty for none.
        columns: Names of the filter language; empty for those that tell the runs apart.
        page: What the page of `anew ui` keeps of it, as JSON text of its own; empty where it was saved elsewhere.
    """

    filter: str = ""
    sort: str = ""
    by: str = ""
    columns: tuple[str, ...] = ()
    page: str = ""


class Views:
    """
    The questions of a store that have names. Safe between threads and processes: of two under one name the last stays.

    Args:
        folder: Where their files are; made with the first.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def names(self) -> list[str]:
        """Return their names, in order."""
        found = [name.removesuffix(".json") for name in names_in(self._folder) if name.endswith(".json")]
        return sorted(name for name in found if _NAME.fullmatch(name))

    def save(self, name: str, view: View) -> None:
        """Give a question a name. Raises FilterError for one that is none; StoreError where it cannot be written."""
        if not _NAME.fullmatch(name):
            raise FilterError(
                f"{name!r} is no name for a question: it begins with a letter, and goes on with letters, digits, - or "
                "_, 64 at most. Such as: anew list 'loss < 0.1' --save good",
                name=name,
            )
        try:
            make_folders(self._folder)
        except OSError as error:
            raise cannot("write", self._folder, error) from error
        replace_whole(self._path(name), serial.seal(serial.to_json(view)))

    def remove(self, name: str) -> None:
        """Take the name from a question. Raises FilterError where there is none, StoreError where it cannot be."""
        self._known(name)
        try:
            self._path(name).unlink(missing_ok=True)
        except OSError as error:
            raise cannot("remove", self._path(name), error) from error

    def saved_at(self, name: str) -> float | None:
        """Return when a question was given its name, in seconds since 1970; None where that cannot be told."""
        try:
            return self._path(name).lstat().st_mtime
        except OSError:
            return None

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}.json"

    def forget(self, name: str) -> View:
        """Remove the question of a name; return what it was. Raises FilterError as `get`, StoreError."""
        view, path = self.get(name), self._folder / f"{name}.json"
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise cannot("remove", path, error) from error
        return view

    def get(self, name: str) -> View:
        """Return the question of a name. Raises FilterError where there is none, or it is damaged."""
        self._known(name)
        try:
            return serial.from_json(View, serial.unseal(read_regular(self._path(name), _MOST_BYTES)))
        except (OSError, DamagedError) as error:
            raise FilterError(
                f"What was saved as @{name} cannot be read ({error}). To save it anew: anew list FILTER --save {name}",
                name=name,
            ) from error

    def _known(self, name: str) -> None:
        """Raise FilterError where nothing is saved under a name."""
        names = self.names()
        if name not in names:
            called = f"@{name}" if _NAME.fullmatch(name) else repr(name)
            near = closest(name, names)
            hint = f" Did you mean @{near}?" if near else ""
            there = f"there are: {', '.join(f'@{each}' for each in names)}" if names else "none is"
            raise FilterError(
                f"No question is saved as {called}; {there}.{hint} To save one: anew list FILTER --save "
                f"{name if _NAME.fullmatch(name) else 'NAME'}",
                name=name,
            )
