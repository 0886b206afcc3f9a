"""A list of source serves further runs of a process, and never where it would not be true any more."""

from __future__ import annotations

import hashlib
import json
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from anew.runner.capture import beside, held
from anew.runner.capture.source import SourceScan
from anew.runner.capture.written import WrittenFiles
from anew.runner.records import SourceFacts
from anew.runner.settings import SourceSettings
from anew.runner.store.objects import ObjectStore

NAME = "anew_test_held"


class Trial:
    """A folder that is marked as a project, looked at again and again."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "project"
        self.store = folder / "store"
        self.cache = folder / "cache"
        self.settings = SourceSettings(max_file_bytes=1000)
        (self.root / "parts").mkdir(parents=True)
        for name in ("pyproject.toml", "train.py", "parts/model.py", "parts/other.py"):
            (self.root / name).write_text(f"# {name}\n")
        (self.root / "linked.py").symlink_to("parts/other.py")

    def look(self) -> SourceFacts:
        """Return what a run from here records of its source."""
        scan = SourceScan(self.root, self.cache / "digests.json")
        return scan.finish(ObjectStore(self.store / "objects"), self.settings, exclude=(self.store,))

    def written(self) -> Path:
        """Return the file that says what runs have written."""
        return WrittenFiles(self.cache, self.root)._path


@pytest.fixture
def trial(tmp_path: Path) -> Iterator[Trial]:
    """A project that nobody has changed just now."""
    made = Trial(tmp_path)
    settle()
    yield made
    sys.modules.pop(NAME, None)


@pytest.fixture
def passes(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The projects of which a list was made."""
    found: list[Path] = []
    before = SourceScan._kept

    def kept(self: SourceScan, *given: Any) -> Any:
        found.append(self._root)
        return before(self, *given)

    monkeypatch.setattr(SourceScan, "_kept", kept)
    return found


def settle() -> None:
    """Wait until a further change has another time."""
    time.sleep(0.12)


def edited_unseen(trial: Trial) -> None:
    """Change a file, and give it back its size and its time."""
    file = trial.root / "train.py"
    status = file.stat()
    file.write_text(file.read_text().upper())
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))


def written_by_a_run(trial: Trial) -> None:
    status = (trial.root / "parts/other.py").stat()
    line = {"path": "parts/other.py", "as": [status.st_size, status.st_mtime_ns, status.st_ino]}
    trial.written().write_text(json.dumps(line) + "\n")


def in_a_new_folder(trial: Trial) -> None:
    (trial.root / "more/inner").mkdir(parents=True)
    (trial.root / "more/inner/new.py").write_text("")


def leading_elsewhere(trial: Trial) -> None:
    (trial.root / "linked.py").unlink()
    (trial.root / "linked.py").symlink_to("train.py")


CHANGES: dict[str, Callable[[Trial], object]] = {
    "a file": lambda trial: (trial.root / "parts/model.py").write_text("# another one\n"),
    "a file of the same size and time": edited_unseen,
    "a file that comes": lambda trial: (trial.root / "parts/new.py").write_text(""),
    "a folder that comes": in_a_new_folder,
    "a file that is gone": lambda trial: (trial.root / "parts/model.py").unlink(),
    "a file by another name": lambda trial: (trial.root / "train.py").rename(trial.root / "fit.py"),
    "a mode": lambda trial: (trial.root / "train.py").chmod(0o755),
    "where a link leads": leading_elsewhere,
    "a folder that becomes a store": lambda trial: (trial.root / "parts/FORMAT").write_text("1\n"),
    "a folder that becomes an environment": lambda trial: (trial.root / "parts/pyvenv.cfg").write_text(""),
    "what runs have written": written_by_a_run,
    "the settings": lambda trial: setattr(trial, "settings", SourceSettings(exclude=("parts",))),
    "where it goes": lambda trial: setattr(trial, "store", trial.store.with_name("other")),
}


@pytest.mark.parametrize("what", CHANGES)
def test_a_list_serves_until_something_changes(
    what: str, trial: Trial, passes: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = trial.look()
    assert trial.look() is first
    assert len(passes) == 1
    CHANGES[what](trial)
    again = trial.look()
    assert len(passes) == 2, f"{what} has changed, and the list is as it was"
    monkeypatch.setattr(held, "_held", {})
    assert again == trial.look()
    objects = ObjectStore(trial.store / "objects")
    assert objects.missing(file.sha256 for file in again.files) == []


def test_a_store_among_the_folders_that_is_none_any_more_is_noticed(trial: Trial, passes: list[Path]) -> None:
    (trial.root / "parts/FORMAT").write_text("1\n")
    settle()
    first = trial.look()
    assert trial.look() is first
    assert {file.path for file in first.files} == {"linked.py", "pyproject.toml", "train.py"}
    (trial.root / "parts/FORMAT").write_text("what is no number\n")
    assert {file.path for file in trial.look().files} > {"parts/model.py", "parts/other.py"}


def test_an_environment_that_is_none_any_more_is_noticed(trial: Trial, passes: list[Path]) -> None:
    (trial.root / "parts/pyvenv.cfg").write_text("")
    settle()
    first = trial.look()
    assert trial.look() is first
    assert "parts/model.py" not in {file.path for file in first.files}
    (trial.root / "parts/pyvenv.cfg").unlink()
    assert "parts/model.py" in {file.path for file in trial.look().files}


def test_an_imported_module_that_no_list_had_is_noticed(trial: Trial, passes: list[Path]) -> None:
    (trial.root / "large.py").write_text("#" * 5000)
    settle()
    assert "large.py" not in {file.path for file in trial.look().files}
    module = sys.modules[NAME] = ModuleType(NAME)
    module.__file__ = str(trial.root / "large.py")
    assert "large.py" in {file.path for file in trial.look().files}


def test_what_changed_a_moment_ago_is_looked_at_again(trial: Trial, passes: list[Path]) -> None:
    """It may change again within the same tick of the clock, and look as it did."""
    (trial.root / "train.py").write_text("# now\n")
    trial.look()
    trial.look()
    assert len(passes) == 2


def test_where_whole_seconds_are_told_a_file_is_looked_at_again_for_as_long(
    trial: Trial, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As over sshfs: within one, a file that was edited twice looks as it did after the first time."""
    before = os.lstat

    def told(path: Any, **words: Any) -> Any:
        found = before(path, **words)
        whole = {f"st_{name}_ns": getattr(found, f"st_{name}_ns") // 10**9 * 10**9 for name in ("mtime", "ctime")}
        return SimpleNamespace(st_mode=found.st_mode, st_ino=found.st_ino, st_size=found.st_size, **whole)

    monkeypatch.setattr(os, "lstat", told)
    time.sleep(1.01 - time.time() % 1)
    for text in ("# one\n", "# two\n", "# six\n"):
        (trial.root / "train.py").write_text(text)
        settle()
        [file] = [each for each in trial.look().files if each.path == "train.py"]
        assert file.sha256 == hashlib.sha256(text.encode()).hexdigest()


def test_what_is_beside_is_told_to_whoever_asked_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another thread may ask about the same project, with other settings, at any moment."""
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()

    def asked(without: str) -> list[str]:
        found = beside.folders_beside(tmp_path, (), exclude=[tmp_path / without], settings=SourceSettings())
        return [each.path for each in found]

    class Slow(dict[Any, Any]):
        def __setitem__(self, key: Any, value: Any) -> None:
            super().__setitem__(key, value)
            if threading.current_thread() is threading.main_thread():
                other = threading.Thread(target=asked, args=("two",))
                other.start()
                other.join()

    monkeypatch.setattr(beside, "_latest", Slow())
    assert asked("one") == [".", "two"]


def test_content_that_is_gone_from_the_store_is_put_there_again(trial: Trial, passes: list[Path]) -> None:
    objects = ObjectStore(trial.store / "objects")
    digest = trial.look().files[0].sha256
    trial.look()
    objects.path(digest).unlink()
    trial.look()
    assert objects.verify(digest)
    assert len(passes) == 2


def test_a_project_with_digests_alone_needs_no_content(trial: Trial, passes: list[Path]) -> None:
    trial.settings = SourceSettings(keep="digest")
    assert trial.look() is trial.look()
    assert not trial.store.exists()
