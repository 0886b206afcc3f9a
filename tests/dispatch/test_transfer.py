"""Whole runs between stores: what is damaged is not copied as good, and no link is followed out of a store."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from anew.runner.dispatch.transfer import to_folder
from anew.runner.errors import StoreError
from anew.runner.store.curate import contents
from anew.runner.store.folder import FolderStore
from tests.helpers.scripts import anew
from tests.helpers.stores import add_run, make_store

ANEW = "import sys; from anew.runner.cli import main; sys.exit(main(sys.argv[1:]))"
SECRET = "-----BEGIN OPENSSH PRIVATE KEY-----"


def sync(*args: str | Path, code: int = 0) -> str:
    done = subprocess.run(
        [sys.executable, "-c", ANEW, "sync", *map(str, args)], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout + done.stderr


@pytest.fixture
def source(tmp_path: Path) -> FolderStore:
    made = make_store(tmp_path / "from")
    for number in range(2):
        add_run(
            made, artifacts={f"model{number}.bin": b"weights%d" % number}, metrics={"loss": [1.0]}, output="hello\n"
        )
    (tmp_path / "key").write_text(SECRET)
    return made


def holds_secret(folder: Path) -> list[Path]:
    """Return the files, not links, in which the secret is."""
    files = (Path(at, name) for at, _, names in os.walk(folder) for name in names)
    return [path for path in files if not path.is_symlink() and SECRET.encode() in path.read_bytes()]


@pytest.mark.parametrize("how", ["flipped", "shorter", "a link", "a link to the same", "a folder", "a pipe"])
def test_damaged_content_is_not_copied_as_good(source: FolderStore, tmp_path: Path, how: str) -> None:
    [artifact] = source.get(1).artifacts
    path = source.objects.path(artifact.sha256)
    data = path.read_bytes()
    path.unlink()
    if how == "flipped":
        path.write_bytes(bytes([data[0] ^ 1]) + data[1:])
    elif how == "shorter":
        path.write_bytes(data[:-1])
    elif how == "a folder":
        path.mkdir()
    elif how == "a pipe":
        os.mkfifo(path)
    else:
        (tmp_path / "same").write_bytes(data)
        path.symlink_to(tmp_path / ("same" if how == "a link to the same" else "key"))
    told = sync(tmp_path / "from", tmp_path / "to", code=1)
    assert "model0.bin is damaged" in told
    target = FolderStore.open(tmp_path / "to")
    assert not target.objects.has(artifact.sha256)
    assert [file.path for file in contents(target.get(2)) if target.objects.verify(file.sha256)] == ["model1.bin"]
    assert target.get(1).metrics["loss"].count == 1
    assert not holds_secret(tmp_path / "to")
    assert not list(target.root.glob(".*content*"))
    with pytest.raises((StoreError, LookupError)):
        target.open_object(artifact.sha256)


@pytest.mark.parametrize(
    "what", ["output.log", "run.json", "outcome.json", "events", "events/main.jsonl", "events/x.jsonl"]
)
def test_a_link_out_of_a_run_is_not_followed(source: FolderStore, tmp_path: Path, what: str) -> None:
    path = source.layout.run(1).folder / what
    outside = tmp_path / "outside"
    if path.is_dir():
        path.rename(outside)
    else:
        outside = tmp_path / "key"
        path.unlink(missing_ok=True)
    path.symlink_to(outside)
    told = sync(tmp_path / "from", tmp_path / "to", code=1)
    assert "is a link, which is not followed" in told
    target = FolderStore.open(tmp_path / "to")
    assert [record.artifacts[0].path for record in target.find()] == ["model1.bin"]
    assert not holds_secret(tmp_path / "to")


def test_a_journal_that_is_added_later_is_no_link_either(source: FolderStore, tmp_path: Path) -> None:
    sync(tmp_path / "from", tmp_path / "to")
    (source.layout.run(1).events / "curate-x.jsonl").symlink_to(tmp_path / "key")
    assert "is a link" in sync(tmp_path / "from", tmp_path / "to", code=1)
    assert not holds_secret(tmp_path / "to")


def test_links_that_main_made_in_its_own_folder_stay_links(source: FolderStore, tmp_path: Path) -> None:
    files = source.layout.run(1).files
    files.mkdir()
    (files / "epoch3").write_text("3")
    (files / "latest").symlink_to("epoch3")
    sync(tmp_path / "from", tmp_path / "to")
    assert (tmp_path / "to" / "1" / "files" / "latest").readlink() == Path("epoch3")


def test_what_is_damaged_or_leads_out_is_named_and_not_sent(source: FolderStore, tmp_path: Path) -> None:
    number = add_run(source, artifacts={"model.bin": b"weights"})
    sha256 = source.get(number).artifacts[0].sha256
    source.objects.path(sha256).chmod(0o644)
    source.objects.path(sha256).write_bytes(b"weightz")
    linked = add_run(source, output="printed")
    source.layout.run(linked).output.unlink()
    source.layout.run(linked).output.symlink_to("/etc/passwd")
    target = make_store(tmp_path / "target")
    moved = {each.number: each for each in to_folder(source, target)}

    assert moved[number].damaged
    assert "model.bin" in moved[number].detail
    assert not target.objects.has(sha256)
    assert moved[linked].what == "failed"
    assert "is a link" in moved[linked].detail


def test_a_target_that_is_not_there_yet_is_made(source: FolderStore, tmp_path: Path) -> None:
    done = anew(tmp_path, "sync", f"{source.url}/", "ud")
    assert "A store was made in" in done.stderr
    assert FolderStore.open(tmp_path / "ud").numbers() == source.numbers()
    assert "A store was made" not in anew(tmp_path, "sync", source.url, "ud").stderr


@pytest.mark.parametrize("words", [("{}",), ("{}", "42"), ("{}", "last~1"), ("42", "{}", "43"), ("{}", "{}", "{}")])
def test_a_place_among_runs_is_not_taken_for_one(source: FolderStore, tmp_path: Path, words: tuple[str, ...]) -> None:
    done = anew(tmp_path, "sync", *(word.format(f"{source.url}/") for word in words), code=2)
    assert f"anew sync --store {source.url}/" in done.stderr
    assert not [path for path in tmp_path.iterdir() if path.name in ("42", "43", "last~1")]


def test_jobs_of_sweeps_are_no_places(source: FolderStore) -> None:
    done = anew(source.root.parent, "--store", source.url, "sync", "sweep:1/0", "sweep:1/1", code=2)
    assert "No run 'sweep:1/0'" in done.stderr
