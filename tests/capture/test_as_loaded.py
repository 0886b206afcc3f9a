"""What is on record of modules whose files were edited after they had been loaded: what runs."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from anew.runner.capture.source import SourceScan
from anew.runner.records import ContentRef, SourceFacts
from anew.runner.settings import SourceSettings
from anew.runner.store.objects import ObjectStore

NAME = "anew_test_edited"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A project with a module that is loaded."""
    root = tmp_path / "project"
    root.mkdir()
    (root / "pyproject.toml").touch()
    (root / f"{NAME}.py").write_text("value = 1\n")
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.syspath_prepend(str(root))
    importlib.import_module(NAME)
    yield root
    sys.modules.pop(NAME, None)


def scanned(folder: Path, objects: ObjectStore) -> tuple[SourceFacts, ContentRef]:
    facts = SourceScan(folder, folder.parent / "digests").finish(objects, SourceSettings())
    return facts, next(file for file in facts.files if file.path == f"{NAME}.py")


def edited(folder: Path) -> None:
    (folder / f"{NAME}.py").write_text("value = 22\n")


def test_an_edited_module_counts_once_it_is_loaded_again(folder: Path, tmp_path: Path) -> None:
    objects = ObjectStore(tmp_path / "objects")
    _, first = scanned(folder, objects)
    edited(folder)
    for _ in range(2):
        facts, found = scanned(folder, objects)
        assert found == first
        assert [note for note in facts.notes if f"'{NAME}.py' is kept as loaded" in note]
    importlib.invalidate_caches()
    importlib.reload(sys.modules[NAME])
    facts, found = scanned(folder, objects)
    assert found.sha256 != first.sha256
    assert (facts.notes, found.size) == ((), len("value = 22\n"))


def test_a_module_that_is_imported_anew_counts_as_it_is(folder: Path, tmp_path: Path) -> None:
    objects = ObjectStore(tmp_path / "objects")
    _, first = scanned(folder, objects)
    edited(folder)
    del sys.modules[NAME]
    importlib.import_module(NAME)
    facts, found = scanned(folder, objects)
    assert found.sha256 != first.sha256
    assert facts.notes == ()


def test_where_what_was_loaded_is_not_in_the_store_that_is_said(folder: Path, tmp_path: Path) -> None:
    scanned(folder, ObjectStore(tmp_path / "objects"))
    edited(folder)
    facts, found = scanned(folder, ObjectStore(tmp_path / "others"))
    assert found.size == len("value = 22\n")
    assert [note for note in facts.notes if f"'{NAME}.py' is not as loaded" in note]
