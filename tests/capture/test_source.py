"""Which files of a project go on record, what is kept of them, and what is read again."""

from __future__ import annotations

import builtins
import hashlib
import importlib
import importlib.util
import json
import os
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from anew.runner.capture import digests, held, keeper, source
from anew.runner.capture.source import SourceScan, added_modules, cache_file
from anew.runner.errors import StoreError
from anew.runner.format.secret_forms import seems_secret
from anew.runner.records import ContentRef, SourceFacts
from anew.runner.settings import SourceSettings
from anew.runner.store.objects import ObjectStore


class Objects:
    """Content in memory; remembers what was put."""

    def __init__(self) -> None:
        self.content: dict[str, bytes] = {}
        self.puts = 0

    def put_bytes(self, data: bytes, *, sync: bool = True) -> str:
        self.puts += 1
        digest = hashlib.sha256(data).hexdigest()
        self.content[digest] = data
        return digest

    def touch(self, sha256: str) -> bool:
        return sha256 in self.content

    def touch_all(self, digests: tuple[str, ...]) -> bool:
        return all(each in self.content for each in digests)


class Project:
    """A project's folder, and what a scan of it says."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.cache = root.parent / "cache" / "source.json"
        self.objects = Objects()

    def write(self, path: str, text: str = "", mode: int = 0o644) -> Path:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        file.chmod(mode)
        return file

    def git(self, *arguments: str) -> None:
        subprocess.run(["git", *arguments], cwd=self.root, check=True, capture_output=True)

    def commit(self) -> None:
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", "a commit")

    def scan(self, *, store: Path | None = None, **settings: Any) -> SourceFacts:
        exclude = (store,) if store else ()
        return SourceScan(self.root, self.cache).finish(self.objects, SourceSettings(**settings), exclude=exclude)

    def text(self, file: ContentRef) -> str:
        return self.objects.content[file.sha256].decode()


@pytest.fixture(autouse=True)
def each_scan_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every scan ask git; what is used again has a test of its own."""
    monkeypatch.setattr("anew.runner.capture.answered._RECENT_S", 0.0)


@pytest.fixture
def folder(tmp_path: Path) -> Project:
    """A project in no repository."""
    (tmp_path / "project").mkdir()
    return Project(tmp_path / "project")


@pytest.fixture
def repository(folder: Project) -> Project:
    """A project in a repository, with one commit of `train.py`."""
    folder.git("init", "--quiet")
    folder.write("train.py", "lr = 1\n")
    folder.commit()
    return folder


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Import modules from a folder; they are forgotten at the end."""
    before = set(sys.modules)

    def import_from(place: Path | str, *names: str) -> None:
        with monkeypatch.context() as patch:
            patch.syspath_prepend(str(place))
            for name in names:
                importlib.import_module(name)

    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    yield import_from
    for name in set(sys.modules) - before:
        del sys.modules[name]


def paths(facts: SourceFacts) -> list[str]:
    return [file.path for file in facts.files]


def by_path(facts: SourceFacts) -> dict[str, ContentRef]:
    return {file.path: file for file in facts.files}


# --- which files ------------------------------------------------------------------------------------------------


def test_in_a_repository_tracked_files_of_every_kind_and_untracked_source_are_kept(repository: Project) -> None:
    repository.write("notes.md", "tracked")
    repository.write("LICENSE", "tracked")
    repository.write(".gitignore", "*.log\nlocal.yaml\n")
    repository.commit()
    repository.write("new/model.py", "untracked")
    repository.write("conf/config.yaml", "untracked")
    repository.write("Makefile", "untracked")
    repository.write("data.csv", "untracked, no source")
    repository.write("run.log", "ignored")
    repository.write("local.yaml", "ignored")
    facts = repository.scan()
    assert facts.method == "git"
    assert facts.root == str(repository.root)
    assert facts.git is not None
    assert facts.git.branch == "main"
    assert facts.notes == ()
    assert paths(facts) == [
        ".gitignore",
        "LICENSE",
        "Makefile",
        "conf/config.yaml",
        "new/model.py",
        "notes.md",
        "train.py",
    ]
    assert repository.text(by_path(facts)["new/model.py"]) == "untracked"


def test_the_content_is_that_of_the_working_folder_not_of_the_commit(repository: Project) -> None:
    repository.write("train.py", "lr = 2\n")
    facts = repository.scan()
    assert repository.text(by_path(facts)["train.py"]) == "lr = 2\n"
    assert facts.git is not None
    assert facts.git.dirty


def test_a_tracked_file_that_was_removed_is_not_on_record(repository: Project) -> None:
    (repository.root / "train.py").unlink()
    facts = repository.scan()
    assert paths(facts) == []
    assert facts.notes == ()


def test_an_imported_module_is_kept_although_git_ignores_it(repository: Project, load: Callable[..., None]) -> None:
    repository.write(".gitignore", "secret_sauce.py\nother_sauce.py\n")
    repository.write("secret_sauce.py", "spice = 1\n")
    repository.write("other_sauce.py", "spice = 2\n")
    load(repository.root, "secret_sauce")
    assert paths(repository.scan()) == ["secret_sauce.py", "train.py"]


def test_files_of_a_submodule_are_kept_as_plain_files(repository: Project, tmp_path: Path) -> None:
    library = Project(tmp_path / "library")
    library.root.mkdir()
    library.git("init", "--quiet")
    library.write("model.py", "layers = 1\n")
    library.write("weights.bin", "no source")
    library.commit()
    repository.git("-c", "protocol.file.allow=always", "submodule", "add", str(library.root), "library")
    repository.commit()
    assert paths(repository.scan()) == [".gitmodules", "library/model.py", "train.py"]


def test_outside_of_a_repository_imported_modules_and_configuration_are_kept(
    folder: Project, load: Callable[..., None]
) -> None:
    folder.write("used_part/__init__.py")
    folder.write("used_part/inner.py", "depth = 1\n")
    folder.write("unused_part.py")
    folder.write("conf/config.yaml", "lr: 1\n")
    folder.write("requirements.txt", "numpy\n")
    for left_out in (
        ".hidden/a.yaml",
        "node_modules/a/package.json",
        "__pycache__/a.json",
        "outputs/2026-01-01/config.yaml",
        "multirun/config.yaml",
        "env/lib/python3.11/site-packages/a/a.json",
        "env/share/a.yaml",
        "conda/share/a.yaml",
        "other/share/a.yaml",
        "runs/1/config.yaml",
    ):
        folder.write(left_out)
    folder.write("env/pyvenv.cfg")
    (folder.root / "conda" / "conda-meta").mkdir()
    folder.write("other/.git", "gitdir: elsewhere")
    load(folder.root, "used_part.inner")
    facts = folder.scan(store=folder.root / "runs")
    assert (facts.method, facts.git, facts.notes) == ("imports", None, ())
    assert paths(facts) == ["conf/config.yaml", "requirements.txt", "used_part/__init__.py", "used_part/inner.py"]


def test_the_store_is_no_source_even_where_git_tracks_it(repository: Project) -> None:
    repository.write("runs/1/run.json", "{}")
    repository.write("runs_of_mine.py")
    repository.commit()
    assert paths(repository.scan(store=repository.root / "runs")) == ["runs_of_mine.py", "train.py"]


def test_modules_of_installed_packages_below_the_root_are_no_source(
    repository: Project, load: Callable[..., None]
) -> None:
    repository.write(".gitignore", "venv/\n")
    repository.write("venv/lib/site-packages/installed_thing.py")
    load(repository.root / "venv/lib/site-packages", "installed_thing")
    assert paths(repository.scan()) == ["train.py"]


def test_a_module_imported_by_way_of_a_detour_has_its_plain_path(
    folder: Project, load: Callable[..., None], tmp_path: Path
) -> None:
    folder.write("scripts/start.yaml")
    folder.write("detoured.py")
    (tmp_path / "outside_of_it.py").touch()
    load(f"{folder.root}/scripts/..", "detoured")
    load(f"{folder.root}/..", "outside_of_it")
    assert paths(folder.scan()) == ["detoured.py", "scripts/start.yaml"]


def test_a_root_reached_by_a_link_holds_modules_imported_by_its_real_path(
    folder: Project, load: Callable[..., None], tmp_path: Path
) -> None:
    folder.write("linked_to.py")
    load(folder.root, "linked_to")
    (tmp_path / "link").symlink_to(folder.root)
    folder.root = tmp_path / "link"
    assert paths(folder.scan()) == ["linked_to.py"]


def test_looking_for_imported_modules_wakes_none_and_survives_odd_ones(
    folder: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Touchy:
        def __getattribute__(self, name: str) -> Any:
            raise RuntimeError("do not touch")

    class Slotted:
        __slots__ = ()

    spec = importlib.util.spec_from_file_location("sleeping_one", folder.write("sleeping_one.py", "1 / 0\n"))
    assert spec is not None
    assert spec.loader is not None
    spec.loader = importlib.util.LazyLoader(spec.loader)
    sleeping = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(sleeping)
    odd = {"sleeping_one": sleeping, "touchy": Touchy(), "slotted": Slotted(), "blocked": None}
    for name, module in odd.items():
        monkeypatch.setitem(sys.modules, name, module)
    folder.scan()
    assert type(sleeping).__name__ == "_LazyModule"


def test_modules_imported_later_are_added_at_the_end(folder: Project, load: Callable[..., None]) -> None:
    folder.write("early_one.py")
    folder.write("late_one.py", "late = True\n")
    load(folder.root, "early_one")
    facts = folder.scan()
    assert paths(facts) == ["early_one.py"]
    load(folder.root, "late_one")
    added = added_modules(facts, folder.root, folder.objects, SourceSettings())
    assert [file.path for file in added] == ["late_one.py"]
    assert folder.text(added[0]) == "late = True\n"


def test_a_walk_that_ends_early_says_so(folder: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "_MOST_WALKED", 3)
    for number in range(5):
        folder.write(f"{number}.yaml")
    facts = folder.scan()
    assert paths(facts) == ["0.yaml", "1.yaml", "2.yaml"]
    assert facts.notes == (f"Below {str(folder.root)!r} only the first 3 files were looked at.",)


# --- git that does not answer -----------------------------------------------------------------------------------


def test_without_git_a_marked_project_is_kept_whole_and_a_note_says_why(
    repository: Project, load: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    repository.write("imported_anyway.py")
    repository.write("config.yaml")
    load(repository.root, "imported_anyway")
    monkeypatch.setenv("PATH", "/nowhere")
    facts = repository.scan()
    assert (facts.method, facts.git) == ("imports", None)
    assert paths(facts) == ["config.yaml", "imported_anyway.py", "train.py"]
    assert facts.notes == (
        "The source was not listed by git, since git cannot be started (No such file or directory); "
        "imported modules were kept instead.",
    )


def test_a_repository_that_git_refuses_is_captured_by_imports(repository: Project) -> None:
    (repository.root / ".git" / "HEAD").unlink()
    facts = repository.scan()
    assert facts.method == "imports"
    assert len(facts.notes) == 1
    assert "git refuses: not a git repository" in facts.notes[0]


# --- names, links, bits -----------------------------------------------------------------------------------------


def test_odd_names_are_kept_and_survive_json(repository: Project) -> None:
    names = ["two\nlines.py", "quo\"te's.py", " space .py", "ünï.py", os.fsdecode(b"\xff\xfe.py")]
    for name in names:
        repository.write(name, name.encode("utf-8", "backslashreplace").decode())
    facts = repository.scan()
    assert set(names) < set(paths(facts))
    assert json.loads(json.dumps(paths(facts))) == paths(facts)
    again = repository.scan()
    assert again == facts


def test_permission_bits_are_on_record(repository: Project) -> None:
    repository.write("start.sh", "#!/bin/sh\n", mode=0o755)
    repository.write("private.py", "", mode=0o600)
    files = by_path(repository.scan())
    assert (files["start.sh"].mode, files["private.py"].mode) == (0o755, 0o600)


def test_a_link_inside_the_project_is_kept_as_a_link(repository: Project) -> None:
    (repository.root / "conf").mkdir()
    (repository.root / "conf" / "alias.py").symlink_to("../train.py")
    (repository.root / "folder.py").symlink_to("conf")
    repository.commit()
    files = by_path(repository.scan())
    assert files["conf/alias.py"].link == "../train.py"
    assert files["folder.py"].link == "conf"
    assert repository.text(files["conf/alias.py"]) == "../train.py"
    assert files["conf/alias.py"].size == len("../train.py")
    assert files["train.py"].link is None


def test_a_link_that_leaves_the_project_is_kept_as_a_link_and_said(
    repository: Project, tmp_path: Path, load: Callable[..., None]
) -> None:
    (tmp_path / "shared.yaml").write_text("secret: 1\n")
    (tmp_path / "shared").mkdir()
    (tmp_path / "common_code.py").write_text("shared = 1\n")
    (repository.root / "relative.yaml").symlink_to("../shared.yaml")
    (repository.root / "absolute.yaml").symlink_to(tmp_path / "shared.yaml")
    (repository.root / "inside.yaml").symlink_to(repository.root / "train.py")
    (repository.root / "folder.yaml").symlink_to("../shared")
    (repository.root / "dangling.yaml").symlink_to("../nothing")
    (repository.root / "common_code.py").symlink_to("../common_code.py")
    repository.commit()
    load(repository.root, "common_code")
    facts = repository.scan()
    files = by_path(facts)
    assert {path: file.link for path, file in files.items()} == {
        "relative.yaml": "../shared.yaml",
        "absolute.yaml": str(tmp_path / "shared.yaml"),
        "inside.yaml": None,
        "folder.yaml": "../shared",
        "dangling.yaml": "../nothing",
        "common_code.py": None,
        "train.py": None,
    }
    assert repository.text(files["inside.yaml"]) == "lr = 1\n"
    # code that ran is kept wherever it lies
    assert repository.text(files["common_code.py"]) == "shared = 1\n"
    assert not any(b"secret" in data for data in repository.objects.content.values())
    [note] = facts.notes
    assert "'absolute.yaml', 'dangling.yaml', 'folder.yaml' and 1 more are linked to what lies outside" in note


def test_beside_a_script_in_no_project_texts_json_and_stores_are_left_alone(folder: Project) -> None:
    for path in (
        "passwords.txt",
        "notes/diary.txt",
        "package.json",
        "elsewhere/FORMAT",
        "elsewhere/1/config.yaml",
        "elsewhere/1/run.json",
        "elsewhere/objects/sha256/ab/cd",
    ):
        folder.write(path)
    folder.write("conf/config.yaml")
    (folder.root / "passwd.yaml").symlink_to("/etc/passwd")
    facts = folder.scan()
    assert {file.path: file.link for file in facts.files} == {"conf/config.yaml": None, "passwd.yaml": "/etc/passwd"}
    assert "'passwd.yaml' is linked" in facts.notes[0]


def test_a_link_in_a_circle_and_a_pipe_stop_nobody(repository: Project) -> None:
    (repository.root / "circle.py").symlink_to("circle.py")
    repository.commit()
    (repository.root / "train.py").unlink()
    os.mkfifo(repository.root / "train.py")
    os.mkfifo(repository.root / "pipe.yaml")
    facts = repository.scan()
    assert [(file.path, file.link) for file in facts.files] == [("circle.py", "circle.py")]


# --- limits -----------------------------------------------------------------------------------------------------


def test_a_large_file_is_left_out_and_a_note_names_it_and_the_setting(repository: Project) -> None:
    repository.write("weights.json", "1" * 101)
    repository.write("config.json", "1" * 100)
    facts = repository.scan(max_file_bytes=100)
    assert paths(facts) == ["config.json", "train.py"]
    assert facts.notes == ("'weights.json' is larger than anew.source.max_file_bytes=100 and not kept as source.",)


def test_more_files_than_allowed_are_left_out_and_a_note_names_the_setting(repository: Project) -> None:
    for number in range(5):
        repository.write(f"{number}.yaml", "text")
    facts = repository.scan(max_files=2)
    assert len(facts.files) == 2
    assert facts.notes == (
        "4 source files are beyond anew.source.max_files=2 or anew.source.max_total_bytes=209715200 and were not kept.",
    )
    assert len(repository.scan(max_total_bytes=15).files) == 3


@pytest.mark.parametrize("kind", [".json", ".yaml", ".csv", ".py"])
def test_what_lies_there_by_the_thousand_is_left_out_first(
    kind: str, repository: Project, load: Callable[..., None]
) -> None:
    for number in range(40):
        repository.write(f"all/data/{number % 20}/{number}{kind}", "1")
    repository.write("zoo/conf/model/big.yaml", "size: 3")
    repository.write("zoo/helper.py")
    repository.write("zoo/last_one.py")
    repository.commit()
    load(repository.root / "zoo", "last_one")
    facts = repository.scan(max_files=4)
    wanted = ["train.py", "zoo/conf/model/big.yaml", "zoo/helper.py", "zoo/last_one.py"]
    # what was imported is there, whatever the limit
    assert "zoo/last_one.py" in paths(repository.scan(max_files=0))
    assert (wanted if kind != ".py" else [each for each in wanted if each.endswith(".py")]) == [
        path for path in paths(facts) if not path.startswith("all")
    ]


@pytest.mark.parametrize(("kind", "is_source"), [(".csv", False), (".json", False), (".yaml", True), (".sh", True)])
def test_data_is_no_source(kind: str, is_source: bool, repository: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "_MOST_OF_A_KIND", 10)
    for number in range(20):
        repository.write(f"data/{number % 2}/{number}{kind}", "1")
    repository.write(f"conf/few{kind}")
    repository.commit()
    facts = repository.scan()
    assert f"conf/few{kind}" in paths(facts)
    assert sum(path.startswith("data/") for path in paths(facts)) == (20 if is_source else 0)
    assert facts.notes == ()


def test_a_marked_folder_is_walked_where_there_is_little_first(
    folder: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source, "_MOST_WALKED", 8)
    folder.write("pyproject.toml")
    for number in range(20):
        folder.write(f"all/{number}.json")
        folder.write(f"conf/deep/data/{number}.json")
    folder.write("zoo/model.yaml")
    folder.write("conf/deep/main.yaml")
    kept = paths(folder.scan())
    assert {"pyproject.toml", "zoo/model.yaml"} <= set(kept)


def test_an_imported_module_is_kept_however_large_and_one_that_is_not_kept_is_said(
    repository: Project, load: Callable[..., None]
) -> None:
    repository.write("large_one.py", "#" * 200)
    repository.write("other.py", "#" * 200)
    load(repository.root, "large_one")
    facts = repository.scan(max_file_bytes=100)
    assert paths(facts) == ["large_one.py", "train.py"]
    assert facts.lost == ("other.py",)
    assert facts.notes[1:] == ("'other.py' is code: whatever imports it will fail when the run is run again.",)
    assert repository.scan(max_file_bytes=100, max_total_bytes=150).lost == ("large_one.py", "other.py")
    assert repository.scan(exclude=("large*",)).lost == ("large_one.py",)


def test_globs_leave_files_out(repository: Project) -> None:
    for path in ("conf/a.yaml", "conf/deep/b.yaml", "data/c.json"):
        repository.write(path)
    assert paths(repository.scan(exclude=("conf/*",))) == ["data/c.json", "train.py"]


def test_many_names_are_counted_not_listed(repository: Project) -> None:
    for number in range(5):
        repository.write(f"{number}.json", "1" * 10)
    note = repository.scan(max_file_bytes=9).notes[0]
    assert note.startswith("'0.json', '1.json', '2.json' and 2 more are larger than anew.source.max_file_bytes=9")


def test_an_unreadable_file_is_named_in_a_note(repository: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: str, mode: str) -> Any:
        if path.endswith("train.py"):
            raise PermissionError(13, "Permission denied", path)
        return builtins.open(path, mode)

    monkeypatch.setattr(keeper, "open", refuse, raising=False)
    repository.write("config.yaml")
    facts = repository.scan()
    assert paths(facts) == ["config.yaml"]
    assert facts.notes == ("'train.py' is unreadable and not kept as source.",)


def test_a_store_that_cannot_be_written_is_no_unreadable_file(repository: Project) -> None:
    class Full(Objects):
        def put_bytes(self, data: bytes, *, sync: bool = True) -> str:
            raise StoreError("No space left on device")

    repository.objects = Full()
    with pytest.raises(StoreError, match="No space left"):
        repository.scan()


# --- secrets ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "-----BEGIN RSA PRIVATE KEY-----\nMIIE\n",
        "-----BEGIN PRIVATE KEY-----\nMIIE\n",
        "key = 'AKIAIOSFODNN7EXAMPLA'\n",
        "db_password = 'correct horse'.split()\npassword = 'hunter2hunter2'\n",
        '{"api_key": "0123456789abcdef"}',
        "auth_token: '0123456789abcdef'\n",
    ],
)
def test_a_file_that_seems_to_hold_a_secret_is_named_and_the_secret_is_not(text: str, repository: Project) -> None:
    repository.write("settings.py", text)
    for facts in (repository.scan(), repository.scan()):
        assert facts.notes == (
            "'settings.py' is kept as source, with what looks like a secret inside; to leave such files out: "
            "anew.source.exclude=[PATTERN]",
        )
        assert "settings.py" in paths(facts)


@pytest.mark.parametrize(
    "text",
    [
        "password = os.environ['PASSWORD']\n",
        "password: ${oc.env:PASSWORD}\n",
        "password = '${oc.env:PASSWORD}'\n",
        "api_key = 'your-key-goes-here'\n",
        "password = ''\n",
        "pad_token = '<pad-pad-pad>'\n",
        "",
    ],
)
def test_a_file_that_only_speaks_of_secrets_is_not_named(text: str) -> None:
    assert not seems_secret(text.encode())


def test_binary_files_are_not_searched_for_secrets() -> None:
    assert not seems_secret(b"\0password = 'hunter2hunter2'")


# --- reading once -----------------------------------------------------------------------------------------------


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The files that scans opened, by name; and every file counts as old enough to be remembered."""
    names: list[str] = []

    def noted(path: str, mode: str) -> Any:
        names.append(os.path.basename(path))
        return builtins.open(path, mode)

    monkeypatch.setattr(keeper, "open", noted, raising=False)
    monkeypatch.setattr(digests, "is_settled", lambda *_: True)
    return names


def test_unchanged_files_are_not_opened_again(repository: Project, opened: list[str]) -> None:
    repository.write("config.yaml", "lr: 1\n")
    facts = repository.scan()
    assert sorted(opened) == ["config.yaml", "train.py"]
    opened.clear()
    puts = repository.objects.puts
    assert repository.scan() == facts
    assert opened == []
    assert repository.objects.puts == puts


def test_a_changed_file_is_read_again_and_it_alone(repository: Project, opened: list[str]) -> None:
    file = repository.write("config.yaml", "lr: 1\n")
    repository.scan()
    opened.clear()
    times = file.stat().st_mtime_ns
    file.write_text("lr: 2\n")
    os.utime(file, ns=(times, times))
    facts = repository.scan()
    assert opened == ["config.yaml"]
    assert repository.text(by_path(facts)["config.yaml"]) == "lr: 2\n"


def test_a_file_replaced_by_another_of_the_same_size_and_time_is_read_again(
    repository: Project, opened: list[str]
) -> None:
    file = repository.write("config.yaml", "lr: 1\n")
    repository.scan()
    other = repository.write("other", "lr: 2\n")
    os.utime(other, ns=(file.stat().st_mtime_ns, file.stat().st_mtime_ns))
    other.replace(file)
    assert repository.text(by_path(repository.scan())["config.yaml"]) == "lr: 2\n"


def test_new_permission_bits_are_noticed(repository: Project, opened: list[str]) -> None:
    file = repository.write("start.sh", "")
    repository.scan()
    file.chmod(0o755)
    assert by_path(repository.scan())["start.sh"].mode == 0o755


def test_a_change_within_one_tick_of_the_clock_is_noticed(repository: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file system's clock stands still: what is read and what is there later agree in size, times and inode."""
    file = repository.write("config.yaml", "lr: 1\n")
    frozen = file.lstat()
    clock = [frozen.st_mtime_ns + 1_000_000]

    class Slow(Objects):
        def put_bytes(self, data: bytes, *, sync: bool = True) -> str:
            clock[0] += 10**10
            return super().put_bytes(data)

    (repository.root / "train.py").unlink()
    repository.objects = Slow()
    monkeypatch.setattr(digests, "time", SimpleNamespace(time_ns=lambda: clock[0]))
    lstat = os.lstat
    monkeypatch.setattr(os, "lstat", lambda path: frozen if str(path) == str(file) else lstat(path))
    repository.scan()
    file.write_text("lr: 2\n")
    assert repository.text(by_path(repository.scan())["config.yaml"]) == "lr: 2\n"


def test_content_that_the_store_lost_is_put_again(repository: Project, opened: list[str]) -> None:
    facts = repository.scan()
    repository.objects.content.clear()
    assert repository.scan() == facts
    assert set(repository.objects.content) == {file.sha256 for file in facts.files}


@pytest.mark.parametrize(
    "damage",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff\xfe",
        dict.fromkeys,
        lambda entries: {path: [*entry[:4], None, False] for path, entry in entries.items()},
        lambda entries: {path: [*entry[:4], entry[4], "no"] for path, entry in entries.items()},
        lambda entries: {path: entry[:5] for path, entry in entries.items()},
    ],
)
def test_a_damaged_memory_is_ignored_and_mended(damage: Any, repository: Project, opened: list[str]) -> None:
    facts = repository.scan()
    if callable(damage):
        damage = json.dumps(damage(json.loads(repository.cache.read_bytes()))).encode()
    repository.cache.write_bytes(damage)
    assert repository.scan() == facts
    opened.clear()
    assert repository.scan() == facts
    assert opened == []


def test_a_memory_that_cannot_be_written_costs_only_time(
    repository: Project, opened: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    repository.cache.parent.write_text("a file in its place")
    first = repository.scan()
    monkeypatch.setattr(held, "_held", {})  # as in another process
    assert repository.scan() == first
    assert opened == ["train.py", "train.py"]


def test_the_memory_holds_what_is_there_and_nothing_else_is_left_beside_it(
    repository: Project, opened: list[str]
) -> None:
    gone = repository.write("gone.py")
    repository.scan()
    gone.unlink()
    repository.write("new.py")
    repository.scan()
    assert sorted(json.loads(repository.cache.read_bytes())) == [
        str(repository.root / "new.py"),
        str(repository.root / "train.py"),
    ]
    assert [path.name for path in repository.cache.parent.iterdir()] == [repository.cache.name]


def test_projects_do_not_share_a_memory(tmp_path: Path) -> None:
    assert cache_file(tmp_path, Path("/a")) != cache_file(tmp_path, Path("/b"))
    assert cache_file(tmp_path, Path("/a")).parent == tmp_path


def test_in_a_real_store_content_is_kept_once_and_read_only(repository: Project, tmp_path: Path) -> None:
    repository.write("copy.py", "lr = 1\n")
    objects = ObjectStore(tmp_path / "objects")
    facts = SourceScan(repository.root, repository.cache).finish(objects, SourceSettings())
    assert paths(facts) == ["copy.py", "train.py"]
    (digest,) = objects.all()
    assert {file.sha256 for file in facts.files} == {digest}
    assert objects.path(digest).read_bytes() == b"lr = 1\n"
    assert stat.S_IMODE(objects.path(digest).stat().st_mode) == 0o444


def test_a_secret_in_a_file_that_did_not_change_is_on_record_but_no_news(
    repository: Project, opened: list[str]
) -> None:
    repository.write("settings.py", "password = 'hunter2hunter2'\n")
    news = []
    for _ in range(2):
        scan = SourceScan(repository.root, repository.cache)
        facts = scan.finish(repository.objects, SourceSettings(max_file_bytes=100))
        assert len(facts.notes) == 1
        news.append(scan.news == facts.notes)
    assert news == [True, False]


@pytest.mark.parametrize("name", ["tests/settings.py", "deep/test/data.py", "test_settings.py"])
def test_a_secret_of_tests_is_on_record_but_no_news(repository: Project, name: str) -> None:
    """What tests call a password is made up: said at every start, it would have the next one overlooked."""
    repository.write(name, "password = 'hunter2hunter2'\n")
    scan = SourceScan(repository.root, repository.cache)
    facts = scan.finish(repository.objects, SourceSettings())
    assert len(facts.notes) == 1
    assert scan.news == ()
    repository.write("settings.py", "password = 'hunter2hunter2'\n")
    scan = SourceScan(repository.root, repository.cache)
    scan.finish(repository.objects, SourceSettings())
    assert len(scan.news) == 1
