"""What git answered is used again by the runs of one process, and never where it would not be true any more."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from anew.runner.capture import answered, git, held, source
from anew.runner.capture.source import SourceScan
from anew.runner.records import SourceFacts
from anew.runner.settings import SourceSettings
from anew.runner.store.objects import ObjectStore


def run_git(folder: Path, *arguments: str) -> None:
    subprocess.run(["git", *arguments], cwd=folder, check=True, capture_output=True)


def commit(folder: Path) -> None:
    run_git(folder, "add", "--all")
    run_git(folder, "commit", "--quiet", "--message", "a commit")


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The folders that git was asked about, each time; no answer becomes too old in a test."""
    folders: list[Path] = []

    def ask(root: Path) -> Any:
        folders.append(root)
        return git.query(root)

    monkeypatch.setattr(answered, "_RECENT_S", 1000.0)
    monkeypatch.setattr(answered, "_answers", {})
    for each in (source, answered):
        monkeypatch.setattr(each, "query", ask)
    return folders


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A repository of one commit, with a folder in it, and data that is too large to be source."""
    folder = tmp_path / "project"
    (folder / "parts").mkdir(parents=True)
    run_git(folder, "init", "--quiet", "--initial-branch", "first")
    (folder / "train.py").write_text("lr = 1\n")
    (folder / "parts/model.py").write_text("width = 2\n")
    (folder / "large.bin").write_bytes(b"x" * 100)
    (folder / ".gitignore").write_text("*.log\n/made\n")
    (folder / "parts/hidden.py").write_text("")
    for name in ("empty", "hollow/inner", "parts/void", "logs", "kept", "made/inner"):
        (folder / name).mkdir(parents=True)
    (folder / "logs/some.log").write_text("")
    (folder / "parts/.gitignore").write_text(".gitignore\nhidden.py\n")
    (folder / "kept/.gitignore").write_text("*\n")
    (folder / "kept/new.py").write_text("")
    commit(folder)
    return folder


def scanned(folder: Path, objects: Path) -> SourceFacts:
    scan = SourceScan(folder, objects / "digests")
    return scan.finish(ObjectStore(objects), SourceSettings(max_file_bytes=50))


def in_a_new_folder(folder: Path) -> None:
    (folder / "parts/more/inner").mkdir(parents=True)
    (folder / "parts/more/inner/new.py").write_text("")


def with_packed_branches(folder: Path) -> None:
    run_git(folder, "pack-refs", "--all")
    run_git(folder, "commit", "--allow-empty", "--message", "more")


CHANGES: dict[str, Callable[[Path], object]] = {
    "a changed file": lambda folder: (folder / "train.py").write_text("lr = 2\n"),
    "a changed file that is no source": lambda folder: (folder / "large.bin").write_bytes(b"y" * 100),
    "a new file": lambda folder: (folder / "new.py").write_text(""),
    "a new file in a folder of its own": in_a_new_folder,
    "the first file in an empty folder": lambda folder: (folder / "empty/new.py").write_text(""),
    "the first file in an empty folder in one": lambda folder: (folder / "hollow/inner/new.py").write_text(""),
    "the first file in an empty folder of one with files": lambda folder: (folder / "parts/void/n.py").write_text(""),
    "the first file that is not ignored": lambda folder: (folder / "logs/new.py").write_text(""),
    "a .gitignore that ignores itself": lambda folder: (folder / "parts/.gitignore").write_text(".gitignore\n"),
    "a .gitignore that ignores all": lambda folder: (folder / "kept/.gitignore").unlink(),
    "a .gitignore that ignores all but some": lambda folder: (folder / "kept/.gitignore").write_text("*\n!*.py\n"),
    "a file that is gone": lambda folder: (folder / "parts/model.py").unlink(),
    "a file by another name": lambda folder: (folder / "train.py").rename(folder / "fit.py"),
    "another mode": lambda folder: (folder / "train.py").chmod(0o755),
    "an empty commit": lambda folder: run_git(folder, "commit", "--allow-empty", "--message", "more"),
    "a branch": lambda folder: run_git(folder, "checkout", "-b", "second"),
    "a detached HEAD": lambda folder: run_git(folder, "checkout", "--detach"),
    "a branch that is renamed": lambda folder: run_git(folder, "branch", "-m", "third"),
    "a file taken from the index": lambda folder: run_git(folder, "rm", "--cached", "train.py"),
    "what is ignored": lambda folder: (folder / ".git/info/exclude").write_text("*.md\n"),
    "a remote": lambda folder: run_git(folder, "remote", "add", "origin", "https://example.org/x.git"),
    "packed branches": with_packed_branches,
}


def settled() -> None:
    """Wait until what was written is old enough that a later change has another time."""
    time.sleep(0.12)


@pytest.mark.parametrize("what", CHANGES)
def test_an_answer_holds_until_something_changes(
    what: str, project: Path, tmp_path: Path, asked: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    settled()
    first = scanned(project, tmp_path / "objects")
    before = len(asked)
    assert scanned(project, tmp_path / "objects") == first
    assert len(asked) == before, "nothing has changed, and git was asked again"
    CHANGES[what](project)
    again = scanned(project, tmp_path / "objects")
    monkeypatch.setattr(answered, "_answers", {})
    monkeypatch.setattr(held, "_held", {})
    assert again == scanned(project, tmp_path / "objects")
    assert len(asked) > before + 1


@pytest.mark.parametrize("where", ["inside", "a further working tree"])
def test_a_commit_is_seen_from_wherever_the_repository_is_kept(
    where: str, project: Path, tmp_path: Path, asked: list[Path]
) -> None:
    root = project / "parts"
    if where == "a further working tree":
        root = tmp_path / "other"
        run_git(project, "worktree", "add", "-b", "other", str(root))
    settled()
    first = scanned(root, tmp_path / "objects")
    assert scanned(root, tmp_path / "objects") == first
    assert len(asked) == 1
    run_git(root, "commit", "--allow-empty", "--message", "more")
    again = scanned(root, tmp_path / "objects")
    assert first.git is not None
    assert again.git is not None
    assert again.git.commit != first.git.commit


def test_what_is_ignored_may_come_and_go(project: Path, tmp_path: Path, asked: list[Path]) -> None:
    settled()
    first = scanned(project, tmp_path / "objects")
    for name in ("kept/1", "made/2", "made/inner/3"):
        (project / name).mkdir()
        (project / name / "some.py").write_text("")
    assert scanned(project, tmp_path / "objects") == first
    assert len(asked) == 1


def test_what_changed_a_moment_ago_is_asked_about_again(project: Path, tmp_path: Path, asked: list[Path]) -> None:
    """It may change again within the same tick of the clock, and look as it did."""
    settled()
    (project / "large.bin").write_bytes(b"z" * 100)
    scanned(project, tmp_path / "objects")
    status = os.stat(project / "large.bin")
    (project / "large.bin").write_bytes(b"x" * 100)
    os.utime(project / "large.bin", ns=(status.st_atime_ns, status.st_mtime_ns))
    again = scanned(project, tmp_path / "objects")
    assert len(asked) == 2
    assert again.git is not None


def test_a_git_that_refuses_where_it_has_answered_leaves_nothing_of_the_answer(
    project: Path, tmp_path: Path, asked: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(root: Path) -> Any:
        raise git.GitError("it is told to")

    settled()
    scanned(project, tmp_path / "objects")
    (project / "train.py").write_text("lr = 3\n")
    monkeypatch.setattr(source, "query", refuse)
    again = scanned(project, tmp_path / "objects")
    assert (again.git, again.method) == (None, "imports")
    assert "it is told to" in again.notes[0]


def test_a_repository_that_nobody_else_looks_at_is_asked_about_again_when_any_file_has_changed(
    project: Path, asked: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answered, "_asked_before", set())
    settled()
    found = [answered.answer_about(project) for _ in range(4)]
    assert len(asked) == 2, "the answer is remembered from the second time on"
    assert all(each == found[0] for each in found)
    (project / "parts/model.py").write_text("width = 4\n")
    changed = answered.answer_about(project)
    assert len(asked) == 3
    assert changed is not None
    assert "width = 4" in (changed.facts.diff or "")


def test_what_is_remembered_of_a_project_whose_files_are_looked_at_is_no_answer_for_who_does_not(
    project: Path, tmp_path: Path, asked: list[Path]
) -> None:
    settled()
    scanned(project, tmp_path / "objects")
    assert answered.known_answer(project) is not None
    assert answered.known_answer(project, is_shared=False) is None
