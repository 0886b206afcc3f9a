"""Artifacts: which files they are, what they are called, and one message for each that cannot be kept."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from anew.runner.capture.artifacts import artifact_files
from anew.runner.errors import ArtifactError
from anew.runner.records import ContentRef


@pytest.fixture
def base(project: Path) -> Path:
    """The run's own folder; the working directory is another."""
    folder = project / "runs" / "1"
    folder.mkdir(parents=True)
    return folder


def write(file: Path, text: str = "x", mode: int = 0o644) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    file.chmod(mode)
    return file


def names(path: Path | str, base: Path, name: str | None = None) -> list[str]:
    return [file.name for file in artifact_files(Path(path), name, base=base)]


# --- files ------------------------------------------------------------------------------------------------------


def test_a_file_is_called_by_its_own_name_or_the_one_given(project: Path, base: Path) -> None:
    file = write(project / "out" / "model.joblib", mode=0o755)
    (found,) = artifact_files(Path("out/model.joblib"), None, base=base)
    assert (found.path, found.name, found.mode) == (Path("out/model.joblib"), "model.joblib", 0o755)
    assert names(file, base) == ["model.joblib"]
    assert names(file, base, "best/model") == ["best/model"]
    assert found.reference("ab", 3) == ContentRef(path="model.joblib", sha256="ab", size=3, mode=0o755)


def test_the_working_folder_comes_before_that_of_the_run(project: Path, base: Path) -> None:
    write(base / "model", "of the run")
    assert artifact_files(Path("model"), None, base=base)[0].path == base / "model"
    write(project / "model", "of the working folder")
    assert artifact_files(Path("model"), None, base=base)[0].path == Path("model")


def test_an_absolute_path_may_lie_anywhere(tmp_path: Path, base: Path) -> None:
    assert names(write(tmp_path / "elsewhere" / "model"), base) == ["model"]


def test_a_link_to_a_file_keeps_its_own_name_and_the_bits_of_the_file(
    tmp_path: Path, project: Path, base: Path
) -> None:
    write(tmp_path / "epoch7.pt", mode=0o600)
    (project / "best.pt").symlink_to(tmp_path / "epoch7.pt")
    (found,) = artifact_files(Path("best.pt"), None, base=base)
    assert (found.name, found.mode) == ("best.pt", 0o600)


@pytest.mark.parametrize(
    ("name", "called"),
    [
        ("a", "a"),
        ("a/b.txt", "a/b.txt"),
        ("./a", "a"),
        ("a//b", "a/b"),
        ("a/./b/", "a/b"),
        ("..a", "..a"),
        ("ü x", "ü x"),
    ],
)
def test_names_are_relative_paths_in_plain_form(name: str, called: str, project: Path, base: Path) -> None:
    assert names(write(project / "file"), base, name) == [called]


@pytest.mark.parametrize("name", ["", ".", "/", "/a", "..", "../a", "a/../b", "a/..", " a", "a ", "a\0b", "\n"])
def test_a_name_that_leads_elsewhere_is_refused(name: str, project: Path, base: Path) -> None:
    write(project / "file")
    with pytest.raises(ArtifactError) as caught:
        names("file", base, name)
    assert str(caught.value) == (
        f"{name!r} cannot name an artifact: a name is a relative path without '..', such as 'model.joblib' or "
        "'plots/loss.png'. Give another: run.log_artifact(path, name='...')"
    )


# --- folders ----------------------------------------------------------------------------------------------------


def test_a_folder_is_all_of_its_files_in_order(project: Path, base: Path) -> None:
    for name in ("z", "a/2", "a/1", "b/deep/er/x", ".hidden"):
        write(project / "plots" / name)
    write(project / "plots" / "run.sh", mode=0o755)
    found = artifact_files(Path("plots"), None, base=base)
    below = [".hidden", "a/1", "a/2", "b/deep/er/x", "run.sh", "z"]
    assert [file.name for file in found] == [f"plots/{name}" for name in below]
    assert {file.name: file.mode for file in found}["plots/run.sh"] == 0o755
    assert names("plots/", base, "p/q") == [f"p/q/{name}" for name in below]
    assert all(file.path.read_text() == "x" for file in found)


def test_dots_stand_for_the_folder_they_mean(project: Path, base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(project / "plots" / "a")
    (project / "plots" / "inner").mkdir()
    assert names("plots/inner/..", base) == ["plots/a"]
    monkeypatch.chdir(project / "plots")
    assert names(".", base) == ["plots/a"]
    monkeypatch.chdir(project / "plots" / "inner")
    assert names("..", base) == ["plots/a"]


def test_an_empty_folder_is_refused(project: Path, base: Path) -> None:
    (project / "empty").mkdir()
    with pytest.raises(ArtifactError, match="'empty' is empty"):
        names("empty", base)


def test_a_folder_that_is_itself_a_link_is_kept_under_its_name(tmp_path: Path, project: Path, base: Path) -> None:
    write(tmp_path / "far" / "a")
    (project / "near").symlink_to(tmp_path / "far")
    assert names("near", base) == ["near/a"]


def test_links_inside_of_a_folder_are_kept_as_the_files_they_lead_to(project: Path, base: Path) -> None:
    write(project / "out" / "epoch7.pt", "weights", mode=0o600)
    (project / "out" / "best.pt").symlink_to("epoch7.pt")
    found = {file.name: file for file in artifact_files(Path("out"), None, base=base)}
    assert sorted(found) == ["out/best.pt", "out/epoch7.pt"]
    assert found["out/best.pt"].mode == 0o600
    assert found["out/best.pt"].path.read_text() == "weights"


@pytest.mark.parametrize("name", ["two\nlines", 'quo"te', "ünï", os.fsdecode(b"\xff\xfe"), " space "])
def test_odd_names_in_a_folder_are_kept_as_they_are(name: str, project: Path, base: Path) -> None:
    write(project / "out" / name)
    assert names("out", base) == [f"out/{name}"]


# --- what cannot be kept ----------------------------------------------------------------------------------------


def test_a_missing_path_is_said_with_where_it_was_looked_for(project: Path, base: Path) -> None:
    with pytest.raises(ArtifactError) as caught:
        names("missing", base)
    assert str(caught.value) == (
        f"There is no file or folder 'missing' in {project} or {base} to keep as an artifact. "
        "Write it before run.log_artifact(path)."
    )
    with pytest.raises(ArtifactError, match=re.escape("There is no file or folder '/nowhere/x' to keep as an")):
        names("/nowhere/x", base)


def test_a_file_used_as_a_folder_a_circle_and_an_impossible_path_are_refused(project: Path, base: Path) -> None:
    write(project / "file")
    (project / "circle").symlink_to("circle")
    for path, why in {
        "file/inner": "Not a directory",
        "circle": "Too many levels of symbolic links",
        "n" * 300: "File name too long",
        "a\0b": ".*embedded null",
    }.items():
        with pytest.raises(ArtifactError, match=re.escape(f"The artifact {path!r} cannot be read: ") + why):
            names(path, base)


@pytest.mark.parametrize("target", ["circle", "nowhere", "../project/out/circle"])
def test_a_link_in_a_folder_that_leads_nowhere_is_refused(target: str, project: Path, base: Path) -> None:
    write(project / "out" / "a")
    (project / "out" / "circle").symlink_to(target)
    with pytest.raises(ArtifactError, match=re.escape(f"The link '{project}/out/circle' leads nowhere or in circles")):
        names("out", base)


@pytest.mark.parametrize("absolute", [True, False])
def test_a_link_out_of_the_folder_is_refused(absolute: bool, project: Path, base: Path) -> None:
    secret = write(project / "secret")
    write(project / "out" / "a")
    (project / "out" / "link").symlink_to(secret if absolute else "../secret")
    with pytest.raises(ArtifactError, match=re.escape(f"leads out of the artifact's folder, to '{secret}'.")):
        names("out", base)


def test_a_link_to_another_folder_of_the_artifact_has_what_that_has(project: Path, base: Path) -> None:
    write(project / "out" / "step-2" / "deep" / "a")
    (project / "out" / "latest").symlink_to("step-2")
    (project / "out" / "step-2" / "again").symlink_to(project / "out" / "step-2" / "deep")
    below = ["again/a", "deep/a"]
    assert names("out", base) == [f"out/{folder}/{name}" for folder in ("latest", "step-2") for name in below]


def test_a_link_to_a_folder_that_leads_out_or_in_circles_is_refused(tmp_path: Path, project: Path, base: Path) -> None:
    write(project / "out" / "deep" / "a")
    write(project / "other" / "a")
    link = project / "out" / "deep" / "link"
    for target, why in {
        project / "out" / "deep": "leads in circles",
        project / "out": "leads in circles",
        project / "other": "leads out of the artifact's folder",
        tmp_path: "leads out of the artifact's folder",
    }.items():
        link.symlink_to(target)
        with pytest.raises(ArtifactError, match=re.escape(f"The link '{link}' {why}, to '{target}'")):
            names("out", base)
        link.unlink()
    (project / "out" / "wide").mkdir()
    link.symlink_to("../wide")
    (project / "out" / "wide" / "back").symlink_to("../deep")
    with pytest.raises(ArtifactError, match="leads in circles"):
        names("out", base)


def test_a_folder_that_cannot_be_read_is_said(project: Path, base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(project / "out" / "closed" / "a")
    scandir = os.scandir

    def closed(path: str) -> object:
        if str(path).endswith("closed"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", closed)
    with pytest.raises(ArtifactError, match=re.escape(f"The folder '{project}/out/closed' cannot be read: Permission")):
        names("out", base)


def test_a_pipe_and_a_device_are_refused_and_never_waited_for(project: Path) -> None:
    """In a process of its own, so that one that hangs is a failure and not the end of the tests."""
    (project / "out").mkdir()
    for pipe in ("pipe", "out/pipe"):
        os.mkfifo(project / pipe)
    code = """
from pathlib import Path
from anew.runner.capture.artifacts import artifact_files
from anew.runner.errors import ArtifactError
for path in ("pipe", "out", "/dev/zero"):
    try:
        artifact_files(Path(path), None, base=Path.cwd())
    except ArtifactError as error:
        print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=project, capture_output=True, text=True, timeout=30)
    assert done.stdout.splitlines() == [
        f"{path!r} is no regular file or folder and cannot be kept as an artifact."
        for path in ("pipe", f"{project}/out/pipe", "/dev/zero")
    ]
