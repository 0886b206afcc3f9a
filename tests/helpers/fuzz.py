"""What commands that read make of a store of which one file was harmed: do they end, and do they say it?"""

from __future__ import annotations

import io
import json
import os
import random
import shutil
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from anew.runner.cli import main
from tests.helpers.mutations import cut, files_of, flip, flip_last, mutate, zero

LONGEST_S = 30
# what a disk does: each has to be said. What somebody forged, and sealed anew, cannot be told from what was written.
OF_DISKS: list[Callable[[Path, random.Random], None]] = [flip, flip, flip, flip_last, cut, zero]


class TooLongError(BaseException):
    """A command has taken longer than anybody waits."""


@contextmanager
def in_time(seconds: int) -> Iterator[None]:
    """Raise TooLongError when it lasts longer."""

    def ring(*_: object) -> None:
        raise TooLongError

    before = signal.signal(signal.SIGALRM, ring)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a command came to."""

    code: int
    out: str
    err: str


def ask(store: Path, words: list[str]) -> Answer:
    """Call a command in this process."""
    out, err = io.TextIOWrapper(io.BytesIO(), write_through=True), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err), in_time(LONGEST_S):
        code = main(["--store", str(store), *words])
    data = out.buffer
    assert isinstance(data, io.BytesIO)
    return Answer(code, data.getvalue().decode("utf-8", "replace"), err.getvalue())


def looks(store: Path, path: Path) -> list[list[str]]:
    """Return the commands that may read a file: those of its run or sweep, and those that read all."""
    first, second = (*path.relative_to(store).parts, "")[:2]
    found = [["list", "--json"], ["sweep", "list", "--json"], ["check", "--json"], ["check", "--deep", "--json"]]
    if first.isdecimal():
        found += [["show", first, "--json"], ["logs", first], ["metrics", first, "loss", "--json"]]
        found += [["diff", first, "2" if first == "1" else "1", "--json"]]
    elif first == "sweeps" and second.isdecimal():
        found += [["sweep", "show", second, "--json"]]
    elif first == "objects" or first.startswith("FORMAT"):
        found += [["show", "1", "--json"], ["diff", "1", "2", "--json"]]
    return found


@dataclass(slots=True)
class Count:
    """What was tried and what was wrong; `wrong` has a line for each."""

    trials: int = 0
    commands: int = 0
    wrong: dict[str, list[str]] = field(default_factory=dict)

    def note(self, kind: str, what: str) -> None:
        """Write down one thing that went wrong."""
        self.wrong.setdefault(kind, []).append(what)


class Fuzz:
    """
    Harms one file of a store after the other, and puts it back. For one thread.

    Args:
        whole: The store, which is copied.
        folder: Where to.
    """

    def __init__(self, whole: Path, folder: Path) -> None:
        self.count = Count()
        self._folder = folder
        self._whole = whole
        self.store = folder / "runs"
        shutil.copytree(whole, self.store, symlinks=True)
        self._before: dict[tuple[str, ...], Answer] = {}

    def trial(self, chance: random.Random) -> None:
        """Harm one file, call what reads it, and judge what came of it."""
        path = chance.choice([path for path in files_of(self.store) if self._may_be_harmed(path)])
        commands = looks(self.store, path)
        for words in commands:
            self.was(words)
        by_disk = path.is_file() and chance.random() < 0.6
        other = self._other_of(path, chance) if by_disk and chance.random() < 0.2 else None
        try:
            if other is not None:
                what = f"swapped {path} and {other}"
                one, two = path.read_bytes(), other.read_bytes()
                self._put(path, two)
                self._put(other, one)
            elif by_disk:
                kind = chance.choice(OF_DISKS)
                path.chmod(0o644)
                kind(path, chance)
                what = f"{kind.__name__} {path}"
            else:
                what = mutate(path, chance)
            self.judge(what, commands, is_judged=by_disk and not self._is_open([path, *([other] if other else [])]))
            if not by_disk or chance.random() < 0.1:
                self._sync(what)
        finally:
            self._restore(path, other)
        self.count.trials += 1

    # --- what it was ----------------------------------------------------------------------------------------------

    def was(self, words: list[str]) -> Answer:
        """Return what a command came to before anything was harmed."""
        if tuple(words) not in self._before:
            self._before[tuple(words)] = ask(self.store, words)
        return self._before[tuple(words)]

    def _may_be_harmed(self, path: Path) -> bool:
        return path.name != "files" and "files" not in path.parts and not path.name.endswith(".lock")

    def _other_of(self, path: Path, chance: random.Random) -> Path | None:
        """Return a file of the same name elsewhere that says something else."""
        same = [each for each in files_of(self.store) if each.name == path.name and each != path and each.is_file()]
        other = chance.choice(same) if same and self._may_be_harmed(path) else None
        is_other = other is not None and other.read_bytes() != path.read_bytes() and "files" not in other.parts
        return other if is_other else None

    def _is_open(self, paths: list[Path]) -> bool:
        """Whether nobody can tell: what a run wrote last that nobody ended."""
        return any(_of_lost(path) for path in paths)

    @staticmethod
    def _put(path: Path, data: bytes) -> None:
        path.chmod(0o644)
        path.write_bytes(data)

    def _restore(self, *paths: Path | None) -> None:
        for path in filter(None, paths):
            whole = self._whole / path.relative_to(self.store)
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            elif os.path.lexists(path):
                path.unlink()
            shutil.copytree(whole, path, symlinks=True) if whole.is_dir() else shutil.copy2(whole, path)
        shutil.copy2(self._whole / "index.sqlite", self.store / "index.sqlite")

    # --- what it is -----------------------------------------------------------------------------------------------

    def judge(self, what: str, commands: list[list[str]], *, is_judged: bool) -> None:
        """Call commands; where all that is wrong has to be said, compare what they show with what it was."""
        answers = {}
        for words in commands:
            answers[tuple(words)] = self._ask(words, what)
        deep = answers[("check", "--deep", "--json")]
        if deep is None or not is_judged:
            return
        is_found = deep.code != 0 or deep.out != self.was(["check", "--deep", "--json"]).out
        for words in commands:
            now, was = answers[tuple(words)], self.was(words)
            if words[0] == "check" or now is None or shown(now) == shown(was):
                continue
            if now.code == was.code and now.err == was.err:
                self.count.note("said by check alone" if is_found else "silent", f"{what}: {' '.join(words)}")

    def _ask(self, words: list[str], what: str) -> Answer | None:
        self.count.commands += 1
        try:
            answer = ask(self.store, words)
        except TooLongError:
            self.count.note("hang", f"{what}: {' '.join(words)}")
            return None
        # a sync that leaves something exits with 1
        if answer.code not in (0, 2) + (1,) * (words[0] == "sync") or "Traceback" in answer.err:
            self.count.note("fault", f"{what}: {' '.join(words)} exits with {answer.code}:\n{answer.err[-2000:]}")
        return answer

    def _sync(self, what: str) -> None:
        to = self._folder / "synced"
        shutil.rmtree(to, ignore_errors=True)
        self._ask(["sync", str(self.store), str(to)], what)
        shutil.rmtree(to, ignore_errors=True)


def shown(answer: Answer) -> Any:
    """Return what an answer shows, without what tells of damage, or of how long ago things were."""
    try:
        return _plain(json.loads(answer.out))
    except ValueError:
        return answer.out


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items() if name not in ("damage", "warnings")}
    return [_plain(item) for item in value] if isinstance(value, list) else value


def _of_lost(path: Path) -> bool:
    """Whether this is a file of a run that has no outcome."""
    return any((up / "run.json").exists() and not (up / "outcome.json").exists() for up in path.parents)


def run(whole: Path, folder: Path, trials: int, seed: int) -> Count:
    """Make so many trials; return what came of them."""
    fuzz = Fuzz(whole, folder)
    for number in range(trials):
        fuzz.trial(random.Random(f"{seed}-{number}"))
    return fuzz.count
