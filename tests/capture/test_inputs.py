"""Declared inputs: every file by its digest, small ones with their content, and one message for a bad path."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from anew.runner.capture.inputs import declare_inputs
from anew.runner.errors import ArtifactError
from anew.runner.places import Places
from anew.runner.records import ContentRef
from anew.runner.store.objects import ObjectStore


@pytest.fixture
def objects(tmp_path: Path) -> ObjectStore:
    return ObjectStore(tmp_path / "objects")


@pytest.fixture
def declare(project: Path, objects: ObjectStore) -> Declare:
    return Declare(project, objects)


class Declare:
    """Declares inputs of a project."""

    def __init__(self, root: Path, objects: ObjectStore) -> None:
        self.root = root
        self.objects = objects

    def __call__(self, path: Path | str, keep_bytes: int = 2**20) -> list[ContentRef]:
        return list(declare_inputs(Path(path), Places(self.root), self.objects, keep_bytes))

    def names(self, path: Path | str) -> list[str]:
        return [reference.path for reference in self(path)]


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


# --- files ------------------------------------------------------------------------------------------------------


def test_a_small_file_is_kept_with_its_content(declare: Declare, project: Path, objects: ObjectStore) -> None:
    (project / "data.csv").write_bytes(b"a,b\n")
    (project / "data.csv").chmod(0o640)
    (reference,) = declare("data.csv")
    assert reference == ContentRef(path="data.csv", sha256=digest(b"a,b\n"), size=4, mode=0o640, kept=True)
    assert objects.path(reference.sha256).read_bytes() == b"a,b\n"


def test_of_a_large_file_the_digest_alone_is_kept(declare: Declare, project: Path, objects: ObjectStore) -> None:
    data = os.urandom(3 * 2**20 + 1)
    (project / "data.bin").write_bytes(data)
    (reference,) = declare("data.bin", len(data) - 1)
    assert (reference.sha256, reference.size, reference.kept) == (digest(data), len(data), False)
    assert not objects.has(reference.sha256)
    (reference,) = declare("data.bin", len(data))
    assert (reference.sha256, reference.kept) == (digest(data), True)
    assert objects.path(reference.sha256).read_bytes() == data


def test_an_empty_file_is_an_input_as_well(declare: Declare, project: Path) -> None:
    (project / "empty").touch()
    assert [(file.size, file.kept) for file in declare("empty", 0)] == [(0, True)]


def test_paths_inside_the_project_are_relative_to_it_and_others_absolute(
    declare: Declare, project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / "data").mkdir()
    (project / "data" / "a.csv").touch()
    (tmp_path / "outside.csv").touch()
    assert declare.names(project / "data" / "a.csv") == ["data/a.csv"]
    assert declare.names(tmp_path / "outside.csv") == [str(tmp_path / "outside.csv")]
    monkeypatch.chdir(project / "data")
    assert declare.names("a.csv") == ["data/a.csv"]


def test_dots_in_a_path_never_reach_the_record(declare: Declare, project: Path, tmp_path: Path) -> None:
    (project / "data").mkdir()
    (project / "a.csv").touch()
    (tmp_path / "outside.csv").touch()
    assert declare.names("data/../a.csv") == ["a.csv"]
    assert declare.names("../outside.csv") == [str(tmp_path / "outside.csv")]
    assert declare.names(project / "data" / ".." / ".." / "outside.csv") == [str(tmp_path / "outside.csv")]
    assert declare.names("./a.csv") == ["a.csv"]


def test_a_root_that_is_a_link_is_the_same_root(declare: Declare, project: Path, tmp_path: Path) -> None:
    (project / "a.csv").touch()
    (tmp_path / "link").symlink_to(project)
    declare.root = tmp_path / "link"
    assert declare.names(project / "a.csv") == ["a.csv"]
    assert declare.names(tmp_path / "link" / "a.csv") == ["a.csv"]


def test_a_link_to_a_file_has_its_own_name_and_the_content_behind_it(
    declare: Declare, project: Path, tmp_path: Path
) -> None:
    (tmp_path / "v2.csv").write_bytes(b"2")
    (project / "latest.csv").symlink_to(tmp_path / "v2.csv")
    assert [(file.path, file.sha256, file.link) for file in declare("latest.csv")] == [
        ("latest.csv", digest(b"2"), None)
    ]


@pytest.mark.parametrize("name", ["two\nlines", 'quo"te', " space ", "ünï", os.fsdecode(b"\xff\xfe")])
def test_odd_names_are_kept_as_they_are(name: str, declare: Declare, project: Path) -> None:
    (project / name).touch()
    assert declare.names(name) == [name]


# --- folders ----------------------------------------------------------------------------------------------------


def test_a_folder_is_all_of_its_files_in_order(declare: Declare, project: Path) -> None:
    for name in ("z.csv", "a/2.csv", "a/1.csv", "b/deep/er/x", ".hidden"):
        (project / "data" / name).parent.mkdir(parents=True, exist_ok=True)
        (project / "data" / name).write_text(name)
    expected = ["data/.hidden", "data/a/1.csv", "data/a/2.csv", "data/b/deep/er/x", "data/z.csv"]
    assert declare.names("data") == expected
    assert declare.names(project / "data") == expected


def test_an_empty_folder_has_no_files(declare: Declare, project: Path) -> None:
    (project / "data").mkdir()
    assert declare("data") == []


def test_a_linked_folder_elsewhere_is_followed(declare: Declare, project: Path, tmp_path: Path) -> None:
    (tmp_path / "shared" / "deep").mkdir(parents=True)
    (tmp_path / "shared" / "deep" / "x.csv").touch()
    (project / "data").mkdir()
    (project / "data" / "shared").symlink_to(tmp_path / "shared")
    (project / "all").symlink_to(project / "data")
    assert declare.names("data") == ["data/shared/deep/x.csv"]
    assert declare.names("all") == ["all/shared/deep/x.csv"]


def test_links_in_circles_and_to_what_is_there_anyway_end(declare: Declare, project: Path, tmp_path: Path) -> None:
    for name in ("a_2024", "other"):
        (project / "data" / name).mkdir(parents=True)
        (project / "data" / name / "x.csv").touch()
    (tmp_path / "far").mkdir()
    (tmp_path / "far" / "y.csv").touch()
    links = {
        "data/A_LATEST": project / "data" / "a_2024",
        "data/other/self": project / "data" / "other",
        "data/other/up": project / "data",
        "data/other/over": project,
        "data/far": tmp_path / "far",
        "data/far_again": tmp_path / "far",
    }
    for name, target in links.items():
        (project / name).symlink_to(target)
    (tmp_path / "far" / "back").symlink_to(project / "data")
    (tmp_path / "far" / "round").symlink_to(tmp_path / "far")
    assert [name.replace("far_again", "far") for name in declare.names("data")] == [
        "data/a_2024/x.csv",
        "data/far/y.csv",
        "data/other/x.csv",
    ]


def test_what_is_no_file_in_a_folder_is_left_out(declare: Declare, project: Path) -> None:
    (project / "data").mkdir()
    (project / "data" / "x.csv").touch()
    os.mkfifo(project / "data" / "pipe")
    assert declare.names("data") == ["data/x.csv"]


# --- bad paths --------------------------------------------------------------------------------------------------


def test_a_missing_path_is_said_with_where_it_was_looked_for(declare: Declare, project: Path) -> None:
    for path in ("missing.csv", "missing/deep.csv", str(project / "missing.csv")):
        with pytest.raises(ArtifactError) as caught:
            declare(path)
        assert str(caught.value) == (
            f"There is no file or folder {path!r} to use as an input (looked for in {project})."
        )


def test_a_file_used_as_a_folder_a_circle_and_an_impossible_name_are_refused(declare: Declare, project: Path) -> None:
    (project / "file").touch()
    (project / "circle").symlink_to("circle")
    for path, why in {
        "file/inner": "Not a directory",
        "circle": "Too many levels of symbolic links",
        "n" * 300: "File name too long",
        "a\0b": ".*embedded null",
    }.items():
        with pytest.raises(ArtifactError, match=re.escape(f"The input {path!r} cannot be read: ") + why):
            declare(path)


@pytest.mark.parametrize("target", ["circle", "nowhere"])
def test_a_link_in_a_folder_that_leads_nowhere_is_refused(target: str, declare: Declare, project: Path) -> None:
    (project / "data").mkdir()
    (project / "data" / "circle").symlink_to(target)
    with pytest.raises(ArtifactError, match=re.escape("The input 'data/circle' cannot be read: ")):
        declare("data")


def test_a_pipe_and_a_device_are_refused_and_never_waited_for(project: Path) -> None:
    """In a process of its own, so that one that hangs is a failure and not the end of the tests."""
    os.mkfifo(project / "pipe")
    code = """
import sys
from pathlib import Path
from anew.runner.capture.inputs import declare_inputs
from anew.runner.errors import ArtifactError
from anew.runner.places import Places
from anew.runner.store.objects import ObjectStore
for path in ("pipe", "/dev/zero"):
    try:
        list(declare_inputs(Path(path), Places(Path.cwd()), ObjectStore(Path("objects")), 10))
    except ArtifactError as error:
        print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=project, capture_output=True, text=True, timeout=30)
    assert done.stdout.splitlines() == [
        f"{path!r} is no regular file or folder and cannot be declared as an input." for path in ("pipe", "/dev/zero")
    ]


def test_what_cannot_be_read_is_said(declare: Declare, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (project / "data" / "closed").mkdir(parents=True)
    (project / "large.bin").write_bytes(b"12345678901")
    scandir, opened = os.scandir, os.open

    def closed(path: str) -> object:
        if str(path).endswith("closed"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    def refused(path: Path, flags: int, mode: int = 0o777) -> int:
        if str(path).endswith("large.bin"):
            raise PermissionError(13, "Permission denied", str(path))
        return opened(path, flags, mode)

    monkeypatch.setattr(os, "scandir", closed)
    monkeypatch.setattr(os, "open", refused)
    with pytest.raises(ArtifactError, match=re.escape("The input folder 'data/closed' cannot be read: Permission")):
        declare("data")
    with pytest.raises(ArtifactError, match=re.escape("The input 'large.bin' cannot be read: Permission denied.")):
        declare("large.bin", 10)
