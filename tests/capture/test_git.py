"""What git knows is asked, and nothing that a repository names is run."""

from __future__ import annotations

import os
import re
import subprocess
import tracemalloc
from pathlib import Path

import pytest

from anew.runner.capture import git
from anew.runner.capture.git import GitError, query, sections, strip_url
from tests.helpers.waiting import until


def run_git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def commit_all(folder: Path, message: str = "a commit") -> str:
    run_git(folder, "add", "--all")
    run_git(folder, "commit", "--quiet", "--message", message)
    return run_git(folder, "rev-parse", "HEAD")


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with one commit of `train.py`."""
    folder = tmp_path / "repository"
    folder.mkdir()
    run_git(folder, "init", "--quiet")
    (folder / "train.py").write_text("lr = 1\n")
    commit_all(folder)
    return folder


def script(path: Path, body: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return path


def has_ended(pid: int) -> bool:
    """Whether a process that was killed is gone, or only waits for its parent to notice."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] in "ZX"
    except FileNotFoundError:
        return True


# --- what it says -----------------------------------------------------------------------------------------------


def test_a_folder_in_no_repository_has_no_listing(tmp_path: Path) -> None:
    assert query(tmp_path) is None


def test_a_clean_repository_has_a_commit_and_a_branch_and_no_diff(repository: Path) -> None:
    listing = query(repository)
    assert listing is not None
    assert listing.facts.commit == run_git(repository, "rev-parse", "HEAD")
    assert listing.facts.branch == "main"
    assert not listing.facts.dirty
    assert listing.facts.diff is None
    assert listing.facts.remote is None
    assert listing.tracked == ("train.py",)
    assert listing.notes == ()


def test_changes_staged_and_not_make_it_dirty_and_are_in_the_diff(repository: Path) -> None:
    (repository / "train.py").write_text("lr = 2\n")
    (repository / "new.py").write_text("staged = True\n")
    run_git(repository, "add", "new.py")
    listing = query(repository)
    assert listing is not None
    assert listing.facts.dirty
    assert listing.facts.diff == run_git(repository, "diff", "HEAD") + "\n"
    assert "+lr = 2" in listing.facts.diff
    assert "+staged = True" in listing.facts.diff


def test_an_untracked_file_alone_does_not_make_it_dirty(repository: Path) -> None:
    (repository / "new.py").touch()
    listing = query(repository)
    assert listing is not None
    assert not listing.facts.dirty
    assert listing.untracked == ("new.py",)


def test_a_repository_without_a_commit_has_files_and_a_branch(tmp_path: Path) -> None:
    run_git(tmp_path, "init", "--quiet")
    (tmp_path / "staged.py").touch()
    (tmp_path / "loose.py").touch()
    run_git(tmp_path, "add", "staged.py")
    listing = query(tmp_path)
    assert listing is not None
    assert (listing.facts.commit, listing.facts.branch, listing.facts.diff) == (None, "main", None)
    assert listing.facts.dirty
    assert (listing.tracked, listing.untracked) == (("staged.py",), ("loose.py",))


def test_a_detached_head_has_no_branch(repository: Path) -> None:
    run_git(repository, "checkout", "--quiet", "--detach")
    listing = query(repository)
    assert listing is not None
    assert listing.facts.branch is None
    assert listing.facts.commit is not None


def test_files_in_a_conflict_are_listed_once(repository: Path) -> None:
    run_git(repository, "checkout", "--quiet", "-b", "other")
    (repository / "train.py").write_text("lr = 3\n")
    commit_all(repository)
    run_git(repository, "checkout", "--quiet", "main")
    (repository / "train.py").write_text("lr = 4\n")
    commit_all(repository)
    assert subprocess.run(["git", "merge", "other"], cwd=repository, capture_output=True).returncode == 1
    listing = query(repository)
    assert listing is not None
    assert listing.tracked == ("train.py",)
    assert listing.facts.dirty


def test_ignored_files_are_not_listed(repository: Path) -> None:
    (repository / ".gitignore").write_text("local.py\n")
    (repository / "local.py").touch()
    listing = query(repository)
    assert listing is not None
    assert listing.untracked == (".gitignore",)


def test_a_project_in_a_part_of_a_repository_sees_that_part_alone(repository: Path) -> None:
    (repository / "part").mkdir()
    (repository / "part" / "model.py").write_text("layers = 1\n")
    commit_all(repository)
    (repository / "train.py").write_text("lr = 2\n")
    listing = query(repository / "part")
    assert listing is not None
    assert listing.tracked == ("model.py",)
    assert not listing.facts.dirty
    assert listing.facts.commit is not None


def test_odd_names_come_through_as_they_are(repository: Path) -> None:
    names = ["two\nlines.py", "quo\"te's.py", " space .py", "tab\t.py", "ünï.py", os.fsdecode(b"\xff\xfe.py"), "-n.py"]
    for name in names:
        (repository / name).touch()
    listing = query(repository)
    assert listing is not None
    assert sorted(listing.untracked) == sorted(names)
    commit_all(repository)
    listing = query(repository)
    assert listing is not None
    assert sorted(listing.tracked) == sorted([*names, "train.py"])


def test_a_renamed_file_is_listed_by_its_new_name(repository: Path) -> None:
    run_git(repository, "mv", "train.py", "fit.py")
    listing = query(repository)
    assert listing is not None
    assert listing.tracked == ("fit.py",)
    assert listing.facts.dirty


def test_a_long_diff_is_cut_and_says_so_without_being_held_in_memory(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(git, "TIMEOUT_S", 300.0)  # this is not about how soon git answers
    (repository / "table.csv").write_text("".join(f"{number},1\n" for number in range(2_000_000)))
    commit_all(repository)
    (repository / "table.csv").write_text("".join(f"{number},2\n" for number in range(2_000_000)))
    tracemalloc.start()
    listing = query(repository)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert listing is not None
    assert listing.facts.diff is not None
    assert len(listing.facts.diff) == git.DIFF_LIMIT_BYTES
    assert listing.notes == (f"The diff to the commit is long; its first {git.DIFF_LIMIT_BYTES} bytes are kept.",)
    assert peak < 8 * git.DIFF_LIMIT_BYTES


@pytest.mark.parametrize(
    ("url", "kept"),
    [
        ("https://me:hunter22@example.org/a/b.git", "https://example.org/a/b.git"),
        ("https://glpat-1234567890@example.org/a.git", "https://example.org/a.git"),
        ("https://example.org/a.git?token=abc#x", "https://example.org/a.git"),
        ("ssh://git:hunter22@example.org:2222/a.git", "ssh://git@example.org:2222/a.git"),
        ("git@example.org:a/b.git", "git@example.org:a/b.git"),
        ("/srv/git/a.git", "/srv/git/a.git"),
        ("https://[me:hunter22@example.org", "https://"),
    ],
)
def test_a_remote_is_kept_without_its_password(url: str, kept: str, repository: Path) -> None:
    assert strip_url(url) == kept
    run_git(repository, "remote", "add", "origin", url)
    listing = query(repository)
    assert listing is not None
    assert listing.facts.remote == kept


def test_the_remote_is_that_of_the_branch_or_else_origin(repository: Path) -> None:
    run_git(repository, "remote", "add", "aside", "/aside")
    listing = query(repository)
    assert listing is not None
    assert listing.facts.remote == "/aside"
    run_git(repository, "remote", "add", "origin", "/origin")
    listing = query(repository)
    assert listing is not None
    assert listing.facts.remote == "/origin"
    run_git(repository, "config", "branch.main.remote", "aside")
    run_git(repository, "config", "branch.main.merge", "refs/heads/main")
    run_git(repository, "update-ref", "refs/remotes/aside/main", "HEAD")
    listing = query(repository)
    assert listing is not None
    assert listing.facts.remote == "/aside"


def test_submodules_are_named_as_such(repository: Path, tmp_path: Path) -> None:
    add_submodule(repository, tmp_path / "library")
    listing = query(repository)
    assert listing is not None
    assert listing.submodules == ("library",)
    assert sorted(listing.tracked) == [".gitmodules", "train.py"]


def test_a_submodule_that_is_dirty_makes_it_dirty_with_its_commit_and_diff(repository: Path, tmp_path: Path) -> None:
    add_submodule(repository, tmp_path / "library")
    clean = query(repository)
    assert clean is not None
    head = run_git(repository / "library", "rev-parse", "HEAD")
    assert (clean.facts.dirty, clean.facts.diff, clean.facts.submodules) == (False, None, {"library": head})
    (repository / "library" / "model.py").write_text("layers = 2\n")
    dirty = query(repository)
    assert dirty is not None
    assert dirty.facts.dirty
    assert dirty.facts.diff is not None
    assert "+layers = 2" in dirty.facts.diff
    assert [path for path, _ in git.sections(dirty.facts.diff) if path] == ["library/model.py"]


@pytest.mark.parametrize("staged", [False, True])
def test_a_submodule_that_was_moved_makes_it_dirty(staged: bool, repository: Path, tmp_path: Path) -> None:
    add_submodule(repository, tmp_path / "library")
    before = run_git(repository / "library", "rev-parse", "HEAD")
    (repository / "library" / "model.py").write_text("layers = 2\n")
    commit_all(repository / "library")
    if staged:
        run_git(repository, "add", "library")
    after = run_git(repository / "library", "rev-parse", "HEAD")
    listing = query(repository)
    assert listing is not None
    assert listing.facts.dirty
    assert listing.facts.submodules == {"library": after}
    assert listing.facts.diff is not None
    assert f"-Subproject commit {before}\n+Subproject commit {after}" in listing.facts.diff


def test_a_submodule_in_a_submodule_is_looked_at_too(repository: Path, tmp_path: Path) -> None:
    add_submodule(repository, tmp_path / "library")
    add_submodule(repository / "library", tmp_path / "inner")
    (repository / "library" / "inner" / "model.py").write_text("layers = 3\n")
    listing = query(repository)
    assert listing is not None
    assert listing.submodules == ("library", "library/inner")
    assert "diff --git a/library/inner/model.py b/library/inner/model.py" in str(listing.facts.diff)


def test_nothing_that_a_hostile_submodule_names_is_run(repository: Path, tmp_path: Path) -> None:
    add_submodule(repository, tmp_path / "library")
    library, trap = repository / "library", tmp_path / "trapped"
    for key in ("core.fsmonitor", "filter.evil.clean", "diff.external", "diff.evil.textconv", "filter.evil.process"):
        run_git(library, "config", key, f"touch {trap}; cat")
    (library / ".gitattributes").write_text("*.py filter=evil diff=evil\n")
    (library / "model.py").write_text("layers = 2\n")
    listing = query(repository)
    assert listing is not None
    assert listing.facts.dirty
    assert not trap.exists()


def add_submodule(repository: Path, library: Path) -> None:
    library.mkdir()
    run_git(library, "init", "--quiet")
    (library / "model.py").write_text("layers = 1\n")
    commit_all(library)
    run_git(repository, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(library), library.name)
    commit_all(repository)


# --- a hostile repository ---------------------------------------------------------------------------------------


def age(path: Path) -> None:
    """Make a file look changed, so that git has to look into it."""
    os.utime(path, (1, 1))


@pytest.fixture
def hostile(repository: Path, tmp_path: Path) -> Path:
    """A repository whose configuration touches a marker in `tmp_path / "markers"` wherever it can name a program."""
    markers = tmp_path / "markers"
    markers.mkdir()

    def trap(name: str, after: str = "cat") -> str:
        return str(script(tmp_path / "traps" / name, f"touch {markers}/{Path(name).name}\n{after}"))

    for name in ("data.clean", "data.process", "data.text", "data.external"):
        (repository / name).write_text("one\n")
    (repository / ".gitattributes").write_text(
        "data.clean filter=cleaning\ndata.process filter=processing\ndata.text diff=texting\n"
        "data.external diff=outside\n"
    )
    add_submodule(repository, tmp_path / "library")
    inside = repository / "library"
    (inside / ".gitattributes").write_text("model.py filter=inner\n")
    commit_all(inside)
    run_git(repository, "config", "--file", ".gitmodules", "submodule.library.ignore", "none")
    commit_all(repository)

    settings = {
        "core.fsmonitor": trap("fsmonitor", "printf '0\\0/\\0'"),
        "core.hooksPath": str(tmp_path / "traps" / "hooks"),
        "core.pager": trap("pager"),
        "core.sshCommand": trap("ssh", "exit 1"),
        "filter.cleaning.clean": trap("clean"),
        "filter.cleaning.smudge": trap("smudge"),
        "filter.processing.process": trap("process", "exit 1"),
        "filter.processing.clean": "cat",
        "diff.texting.textconv": trap("textconv", 'cat "$1"'),
        "diff.outside.command": trap("external", "exit 0"),
        "diff.external": trap("external-of-all", "exit 0"),
        "credential.helper": trap("credential"),
        "submodule.library.ignore": "none",
        "diff.submodule": "diff",
        "diff.ignoreSubmodules": "none",
        "status.submoduleSummary": "true",
    }
    trap("hooks/post-index-change", "exit 0")
    for key, value in settings.items():
        run_git(repository, "config", key, value)
    inner = {"core.fsmonitor": trap("submodule-fsmonitor", "printf '0\\0/\\0'")}
    inner |= {"filter.inner.clean": trap("submodule-clean")}
    for key, value in inner.items():
        run_git(inside, "config", key, value)

    for name in ("data.clean", "data.process", "data.text", "data.external"):
        (repository / name).write_text("two\n")
        age(repository / name)
    age(repository / "train.py")
    age(inside / "model.py")
    for marker in markers.iterdir():
        marker.unlink()
    return repository


def test_nothing_that_a_hostile_repository_names_is_run(hostile: Path, tmp_path: Path) -> None:
    listing = query(hostile)
    assert sorted(marker.name for marker in (tmp_path / "markers").iterdir()) == []
    assert listing is not None
    assert listing.facts.dirty
    assert listing.facts.diff is not None
    assert re.findall(r"^\+\+\+ b/(.*)$", listing.facts.diff, re.MULTILINE) == [
        "data.clean",
        "data.external",
        "data.process",
        "data.text",
    ]
    assert "data.clean" in listing.tracked

    # the traps are real: plain git steps into every one; the process ends git, so the others come without it
    subprocess.run(["git", "status"], cwd=hostile, capture_output=True)
    for command in (["status"], ["diff", "HEAD"], ["diff", "--no-ext-diff", "HEAD"]):
        subprocess.run(["git", "-c", "filter.processing.process=", *command], cwd=hostile, capture_output=True)
    assert sorted(marker.name for marker in (tmp_path / "markers").iterdir()) == [
        "clean",
        "external",
        "external-of-all",
        "fsmonitor",
        "post-index-change",
        "process",
        "smudge",
        "submodule-clean",
        "submodule-fsmonitor",
        "textconv",
    ]


def test_a_repository_that_fetches_what_it_lacks_is_not_let(repository: Path, tmp_path: Path) -> None:
    run_git(repository, "config", "uploadpack.allowFilter", "true")
    clone, marker = tmp_path / "clone", tmp_path / "fetched"
    run_git(tmp_path, "clone", "--quiet", "--no-checkout", "--filter=blob:none", f"file://{repository}", str(clone))
    run_git(clone, "config", "protocol.ext.allow", "always")
    run_git(clone, "config", "remote.origin.url", f"ext::touch {marker}")
    listing = query(clone)
    assert not marker.exists()
    assert listing is not None
    assert listing.facts.commit == run_git(repository, "rev-parse", "HEAD")
    assert listing.facts.diff is None
    assert [note.partition(", since ")[0] for note in listing.notes] == ["The diff to the commit was not kept"]

    subprocess.run(["git", "diff", "HEAD"], cwd=clone, capture_output=True)
    assert marker.exists()


@pytest.mark.parametrize(
    ("settings", "runs"),
    [
        ({"filter.lfs.clean": "git-lfs clean -- %f", "filter.lfs.required": "true"}, True),
        ({"filter.lfs.clean": "git-lfs clean -- %f; true", "filter.lfs.required": "true"}, False),
        ({"filter.lfs.clean": "git-lfs clean -- %f", "lfs.extension.more.clean": "anything"}, False),
    ],
)
def test_the_filter_of_git_lfs_runs_only_as_it_is_published(
    settings: dict[str, str], runs: bool, repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    marker = tmp_path / "ran"
    script(tmp_path / "bin" / "git-lfs", f"touch {marker}\ncat")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    (repository / ".gitattributes").write_text("train.py filter=lfs\n")
    commit_all(repository)
    for key, value in settings.items():
        run_git(repository, "config", key, value)
    age(repository / "train.py")
    assert query(repository) is not None
    assert marker.exists() == runs


def test_a_filter_whose_name_cannot_be_closed_makes_git_untrusted(repository: Path) -> None:
    run_git(repository, "config", "filter.a=b.clean", "true")
    with pytest.raises(GitError, match="unusual name 'a=b'"):
        query(repository)


def test_settings_of_files_that_the_configuration_includes_are_closed_too(repository: Path, tmp_path: Path) -> None:
    marker = tmp_path / "cleaned"
    (repository / ".gitattributes").write_text("train.py filter=Far.Away\n")
    commit_all(repository)
    (tmp_path / "more").write_text(f'[filter "Far.Away"]\n\tclean = touch {marker}; cat\n\trequired\n')
    run_git(repository, "config", f"includeIf.gitdir:{repository}/.path", str(tmp_path / "more"))
    age(repository / "train.py")
    assert query(repository) is not None
    assert not marker.exists()
    subprocess.run(["git", "status"], cwd=repository, capture_output=True)
    assert marker.exists()


def test_variables_of_git_do_not_mislead(repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = query(repository)
    other, marker = tmp_path / "other", tmp_path / "ran"
    other.mkdir()
    run_git(other, "init", "--quiet")
    trap = str(script(tmp_path / "trap", f"touch {marker}"))
    misleading = {
        "GIT_DIR": str(other / ".git"),
        "GIT_WORK_TREE": str(other),
        "GIT_INDEX_FILE": str(other / "index"),
        "GIT_OBJECT_DIRECTORY": str(other / "objects"),
        "GIT_CEILING_DIRECTORIES": str(repository.parent),
        "GIT_NAMESPACE": "other",
        "GIT_EXTERNAL_DIFF": trap,
        "GIT_PAGER": trap,
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": "core.fsmonitor",
        "GIT_CONFIG_VALUE_0": trap,
        "GIT_TRACE": str(marker),
        "LC_ALL": "de_DE.UTF-8",
    }
    for name, value in misleading.items():
        monkeypatch.setenv(name, value)
    assert query(repository) == expected
    assert not marker.exists()


# --- a git that does not answer ---------------------------------------------------------------------------------


def test_without_git_there_is_an_error_that_says_so(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(repository))
    with pytest.raises(GitError, match=r"git cannot be started \(No such file or directory\)"):
        query(repository)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a repository to somebody else")
def test_a_repository_of_somebody_else_is_refused_as_git_refuses_it(repository: Path) -> None:
    for path in (repository, repository / ".git"):
        os.chown(path, 12345, 12345)
    with pytest.raises(GitError, match="git refuses: detected dubious ownership"):
        query(repository)


def test_a_damaged_repository_is_an_error(repository: Path) -> None:
    (repository / ".git" / "HEAD").write_text("nonsense\n")
    with pytest.raises(GitError, match="git refuses: not a git repository"):
        query(repository)
    (repository / ".git" / "HEAD").write_text("ref: refs/heads/main\n")
    (repository / ".git" / "index").write_bytes(b"nonsense" * 10)
    with pytest.raises(GitError, match="git refuses: "):
        query(repository)


@pytest.mark.parametrize("stuck", ["config", "status", "ls-files"])
def test_a_git_that_hangs_is_ended_with_all_that_it_started(
    stuck: str, repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = subprocess.run(["which", "git"], check=True, capture_output=True, text=True).stdout.strip()
    body = f"""\
case " $* " in
*" {stuck} "*) sleep 60 & echo $$ $! > {tmp_path}/pids; wait;;
*) exec {real} "$@";;
esac"""
    script(tmp_path / "bin" / "git", body)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    monkeypatch.setattr(git, "TIMEOUT_S", 1.0)
    with pytest.raises(GitError, match="git did not answer within 1 s"):
        query(repository)
    pids = [int(pid) for pid in (tmp_path / "pids").read_text().split()]
    assert len(pids) == 2
    until(lambda: all(has_ended(pid) for pid in pids), seconds=10)


def test_where_there_may_be_no_more_threads_it_is_said_and_git_is_ended(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As while an interpreter ends, whose last runs end then."""

    def refused(_: object) -> None:
        raise RuntimeError("can't create new thread at interpreter shutdown")

    monkeypatch.setattr("threading.Timer.start", refused)
    with pytest.raises(GitError, match=r"git cannot be waited for \(can't create new thread"):
        query(repository)


def test_a_git_that_complains_at_length_is_still_heard(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script(tmp_path / "bin" / "git", "echo 'fatal: no' >&2\nyes complaint | head -c 1000000 >&2\nexit 3")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    with pytest.raises(GitError, match=r"^git refuses: no$"):
        query(repository)


def test_a_diff_is_taken_apart_by_file_whatever_files_are_called_and_hold(tmp_path: Path) -> None:
    names = ["plain.py", "with blank.py", "b/a b/x.py", "ümläut.py", 'quo"te.py', "tab\t.py", "back\\slash.py"]
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    (tmp_path / "b" / "a b").mkdir(parents=True)
    for name in names:
        (tmp_path / name).write_text("diff --git a/other b/other\n")
    subprocess.run("git add -A && git commit -qm x", shell=True, cwd=tmp_path, check=True)
    subprocess.run(["git", "config", "diff.noprefix", "true"], cwd=tmp_path, check=True)
    for name in names:
        (tmp_path / name).write_text(f"diff --git a/other b/other\nof {name!a}\n")
    listing = query(tmp_path)
    assert listing is not None
    assert listing.facts.diff is not None
    found = {path: text for path, text in sections(listing.facts.diff) if path}
    assert set(found) == set(names)
    for path, text in found.items():
        assert f"of {path!a}" in text
    assert "".join(text for _, text in sections(listing.facts.diff)) == listing.facts.diff
