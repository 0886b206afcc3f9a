"""What a run kept comes back out of a store: by name, whole, compared with its digest, and never outside the folder."""

from __future__ import annotations

import os
import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import anew
from anew.runner.errors import (
    ArtifactNotFoundError,
    ContentDamagedError,
    ObjectNotFoundError,
    RunNotFoundError,
    StoreError,
)
from anew.runner.records import ContentRef, RunRecord
from anew.runner.store.folder import FolderStore
from anew.runner.store.getting import Kinds, pieces, place_of, write
from tests.helpers.stores import add_run, make_store

ARTIFACTS = Kinds(artifacts=True)


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    store = make_store(tmp_path / "runs")
    add_run(store, artifacts={"model.pt": b"weights", "plots/a.png": b"a", "plots/b.txt": b"b"}, output="hello\n")
    return store


def harm(store: FolderStore, data: bytes | None) -> None:
    """Put something else in the place of the first artifact's content, or nothing."""
    path = store.objects.path(store.get(1).artifacts[0].sha256)
    path.chmod(0o644)
    path.unlink()
    if data is not None:
        path.write_bytes(data)


def with_artifact(store: FolderStore, name: str, **changes: Any) -> RunRecord:
    """The record of a run as somebody may have made it, with an artifact of another name."""
    record = store.get(1)
    return replace(record, artifacts=(replace(record.artifacts[0], path=name, **changes),))


def test_an_artifact_is_had_by_its_name(store: FolderStore) -> None:
    found = anew.open_store(store.url).artifact("last", "model.pt")
    assert isinstance(found, Path)
    assert found.read_bytes() == b"weights"
    assert store.artifact(1, "plots/a.png") == store.objects.path(store.get(1).artifacts[1].sha256)


def test_an_artifact_that_is_not_there_names_those_that_are(store: FolderStore) -> None:
    with pytest.raises(ArtifactNotFoundError, match=r"model\.pt.*Did you mean 'model\.pt'.*anew show 1"):
        store.artifact(1, "model.pth")
    with pytest.raises(RunNotFoundError):
        store.artifact(9, "model.pt")


def test_artifacts_of_records_are_opened(store: FolderStore) -> None:
    for record in (store.get(1), store.find()[0]):
        with record.artifacts[0].open() as file:
            assert file.read() == b"weights"


def test_that_a_record_can_be_opened_is_no_part_of_it(store: FolderStore) -> None:
    kept = store.get(1).artifacts[0]
    alone = ContentRef(path=kept.path, sha256=kept.sha256, size=kept.size)
    assert alone == kept
    assert pickle.loads(pickle.dumps(kept)) == kept
    with pytest.raises(LookupError, match=r"store\.open_object"):
        alone.open()


def test_content_that_is_damaged_or_missing_is_never_handed_out(store: FolderStore) -> None:
    harm(store, b"weighty")
    for take in (lambda: store.artifact(1, "model.pt"), lambda: store.get(1).artifacts[0].open()):
        with pytest.raises(ContentDamagedError, match="damaged"):
            take()
    harm(store, None)
    for take in (lambda: store.artifact(1, "model.pt"), lambda: store.get(1).artifacts[0].open()):
        with pytest.raises(ObjectNotFoundError):
            take()


def test_names_choose_files_folders_and_patterns(store: FolderStore) -> None:
    def chosen(*names: str) -> list[str]:
        return [piece.name for piece in pieces(store, store.get(1), names, ARTIFACTS)]

    assert chosen() == ["model.pt", "plots/a.png", "plots/b.txt"]
    assert chosen("plots") == chosen("plots/") == ["plots/a.png", "plots/b.txt"]
    assert chosen("*.pt", "plots/*.png") == ["model.pt", "plots/a.png"]
    with pytest.raises(ArtifactNotFoundError, match="nope"):
        chosen("model.pt", "nope")


def test_a_name_with_the_letters_of_a_pattern_is_a_name_first(tmp_path: Path) -> None:
    store = make_store(tmp_path / "runs")
    add_run(store, artifacts={"a[1].txt": b"1", "a1.txt": b"2"})
    assert [piece.name for piece in pieces(store, store.get(1), ["a[1].txt"], ARTIFACTS)][:1] == ["a[1].txt"]


@pytest.mark.parametrize("name", ["../x", "/etc/x", "a/../../x", "..", "", "/", "a\0b"])
def test_a_name_that_leads_out_is_not_written(store: FolderStore, tmp_path: Path, name: str) -> None:
    into = tmp_path / "deep" / "into"
    before = {str(path) for path in tmp_path.rglob("*")}
    [piece] = pieces(store, with_artifact(store, name), (), ARTIFACTS)
    with pytest.raises(StoreError, match="leads out"):
        write(into, piece)
    assert {str(path) for path in tmp_path.rglob("*")} == before


def test_a_link_in_the_folder_does_not_lead_out(store: FolderStore, tmp_path: Path) -> None:
    into, elsewhere = tmp_path / "into", tmp_path / "elsewhere"
    into.mkdir()
    elsewhere.mkdir()
    (into / "plots").symlink_to(elsewhere)
    for name in ("plots/a.png", "plots/deep/er/a.png"):
        [piece] = pieces(store, with_artifact(store, name), (), ARTIFACTS)
        with pytest.raises(StoreError, match="link in there leads out"):
            write(into, piece)
    assert not list(elsewhere.iterdir())


@pytest.mark.parametrize("leads_to", ["/etc/passwd", "../../x", "../.."])
def test_links_are_made_only_inside(store: FolderStore, tmp_path: Path, leads_to: str) -> None:
    [piece] = pieces(store, with_artifact(store, "link", link=leads_to), (), ARTIFACTS)
    with pytest.raises(StoreError, match="it is a link to"):
        write(tmp_path / "into", piece)
    assert not os.path.lexists(tmp_path / "into" / "link")
    [piece] = pieces(store, with_artifact(store, "sub/link", link="../model.pt"), (), ARTIFACTS)
    assert os.readlink(write(tmp_path / "into", piece)) == "../model.pt"


def test_a_link_of_the_record_does_not_lead_the_next_file_out(store: FolderStore, tmp_path: Path) -> None:
    into = tmp_path / "into"
    [link] = pieces(store, with_artifact(store, "a", link="."), (), ARTIFACTS)
    write(into, link)
    [file] = pieces(store, with_artifact(store, "a/x"), (), ARTIFACTS)
    assert Path(os.path.realpath(write(into, file))).parent == Path(os.path.realpath(into))


def test_what_is_there_stays_unless_it_may_be_replaced(store: FolderStore, tmp_path: Path) -> None:
    [piece] = pieces(store, store.get(1), ["model.pt"], ARTIFACTS)
    (tmp_path / "model.pt").write_text("mine")
    with pytest.raises(StoreError, match="--force"):
        write(tmp_path, piece)
    assert (tmp_path / "model.pt").read_text() == "mine"
    write(tmp_path, piece, force=True)
    assert (tmp_path / "model.pt").read_bytes() == b"weights"


def test_a_link_that_is_there_is_replaced_and_not_followed(store: FolderStore, tmp_path: Path) -> None:
    [piece] = pieces(store, store.get(1), ["model.pt"], ARTIFACTS)
    (tmp_path / "precious").write_text("mine")
    (tmp_path / "into").mkdir()
    (tmp_path / "into" / "model.pt").symlink_to(tmp_path / "precious")
    with pytest.raises(StoreError, match="--force"):
        write(tmp_path / "into", piece)
    write(tmp_path / "into", piece, force=True)
    assert (tmp_path / "precious").read_text() == "mine"
    assert not (tmp_path / "into" / "model.pt").is_symlink()


def test_nothing_is_left_of_what_is_damaged_and_what_was_there_stays(store: FolderStore, tmp_path: Path) -> None:
    [piece] = pieces(store, store.get(1), ["model.pt"], ARTIFACTS)
    harm(store, b"weighty")
    (tmp_path / "into").mkdir()
    (tmp_path / "into" / "model.pt").write_text("mine")
    with pytest.raises(ContentDamagedError):
        write(tmp_path / "into", piece, force=True)
    assert [path.read_text() for path in (tmp_path / "into").iterdir()] == ["mine"]


def test_rights_come_back_but_none_that_a_record_could_misuse(store: FolderStore, tmp_path: Path) -> None:
    [piece] = pieces(store, with_artifact(store, "tool", mode=0o6755), (), ARTIFACTS)
    assert write(tmp_path / "into", piece).stat().st_mode & 0o7777 == 0o755


def test_source_and_inputs_lie_below_folders_of_their_own(store: FolderStore, tmp_path: Path) -> None:
    kept = store.get(1).artifacts[0]
    record = replace(
        store.get(1),
        source=replace(store.get(1).source, files=(replace(kept, path="pkg/train.py"),)),
        inputs=(replace(kept, path="/data/big.csv"), replace(kept, path="data/small.csv")),
    )
    both = pieces(store, record, (), Kinds(source=True, inputs=True, output=True))
    assert [str(place_of(tmp_path, piece).relative_to(tmp_path)) for piece in both] == [
        "source/pkg/train.py",
        "inputs/data/big.csv",
        "inputs/data/small.csv",
        "output.log",
    ]
    assert write(tmp_path / "into", both[-1]).read_text() == "hello\n"


def test_an_input_that_was_not_kept_is_said(store: FolderStore, tmp_path: Path) -> None:
    record = replace(store.get(1), inputs=(replace(store.get(1).artifacts[0], path="x", kept=False),))
    [piece] = pieces(store, record, (), Kinds(inputs=True))
    with pytest.raises(ObjectNotFoundError, match="not kept"):
        write(tmp_path, piece)


def test_a_name_that_no_file_can_have_is_refused_and_the_disk_of_the_folder_is_meant(
    store: FolderStore, tmp_path: Path
) -> None:
    [piece] = pieces(store, with_artifact(store, "CON\ud800x"), [], ARTIFACTS)
    with pytest.raises(StoreError, match="no file of that name"):
        write(tmp_path / "got", piece)
    [piece] = pieces(store, with_artifact(store, "n" * 300), [], ARTIFACTS)
    with pytest.raises(StoreError, match="--to DIR"):
        write(tmp_path / "got", piece)
    assert not [path for path in tmp_path.rglob("got/*") if path.is_file()]
