"""
What git knows of a project, asked without running anything that the repository's configuration names.

A cloned repository is somebody else's data, yet its configuration and attributes can name programs: file system
monitors, hooks, filters, text converters, external diffs, transport helpers. Each way is closed by an option or a
variable that has precedence over the repository's own.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import field, replace
from pathlib import Path
from typing import IO, TYPE_CHECKING

from anew.runner.dataclass import dataclass
from anew.runner.lazy.modules import later
from anew.runner.lazy.patterns import regexp
from anew.runner.places import upwards
from anew.runner.records import GitFacts

if TYPE_CHECKING:
    import tempfile
else:
    tempfile = later("tempfile")

TIMEOUT_S = 5.0
DIFF_LIMIT_BYTES = 2**20
_SUBMODULE = "160000"
_LFS = {
    "clean": "git-lfs clean -- %f",
    "smudge": "git-lfs smudge -- %f",
    "process": "git-lfs filter-process",
}
_SAFE = {
    "core.fsmonitor": "false",
    "core.untrackedCache": "false",
    "core.hooksPath": os.devnull,
    "core.pager": "cat",
    "core.quotePath": "false",
    "diff.external": "",
    "diff.ignoreSubmodules": "all",
    "status.submoduleSummary": "false",
    "protocol.allow": "never",
    "credential.helper": "",
    "submodule.recurse": "false",
}
_STATUS = (
    *("status", "--porcelain=v2", "--branch", "-z", "-uno"),
    # of a submodule git itself looks at the commit alone; in it, it would do what its configuration says
    *("--no-renames", "--ignore-submodules=dirty", "--", "."),
)
_LIST = ("ls-files", "-z", "-t", "-s", "-c", "-o", "--exclude-standard", "--", ".")
_OPEN = ("ls-files", "-z", "-o", "--exclude-standard", "--directory", "--")
_DIFF = (
    *("diff", "--no-ext-diff", "--no-textconv", "--no-color", "--no-renames"),
    *("--relative", "--ignore-submodules=dirty", "--submodule=short"),
)
_HEAD_WORDS = "diff --git "
_HEAD = regexp(rf"^(?={_HEAD_WORDS})", re.MULTILINE)
_ESCAPE = regexp(r"\\([0-7]{3}|.)")
_ESCAPES = {"a": "\a", "b": "\b", "t": "\t", "n": "\n", "v": "\v", "f": "\f", "r": "\r"}
_FILTER = regexp(r"filter\.(?P<name>.+)\.(?P<key>clean|smudge|process|required)", re.DOTALL | re.IGNORECASE)


class GitError(Exception):
    """Git is missing, refuses, takes too long, or must not be trusted with this repository; says why in a sentence."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Listing:
    """
    What git answered.

    Attributes:
        facts: Commit, branch, remote, whether there are changes, and which.
        tracked: Paths relative to the folder asked about; bytes that are no UTF-8 as surrogates.
        untracked: The same, for files that git neither tracks nor ignores.
        submodules: Folders that are repositories of their own.
        notes: What was cut short.
    """

    facts: GitFacts
    tracked: tuple[str, ...]
    untracked: tuple[str, ...]
    submodules: tuple[str, ...]
    notes: tuple[str, ...] = ()


def query(folder: Path) -> Listing | None:
    """
    Ask git about *folder*; None when it is in no repository. Four short processes at most, whatever its size, and as
    many for each submodule.

    Raises:
        GitError: There is a repository, but git cannot or must not answer.
    """
    return _query(folder, "") if is_in_repository(folder) else None


def open_folders(root: Path, folders: Sequence[str]) -> list[str]:
    """Return those folders in which files may come that are not ignored, of some without a file. Raises GitError."""
    with _started(root, {}, *_OPEN, *folders) as git:
        found = os.fsdecode(git.answer()).split("\0")
    return [path.removesuffix("/") for path in found if path.endswith("/")]


def is_in_repository(folder: Path) -> bool:
    """Whether a folder, or one above it, is a repository."""
    return any(os.path.exists(f"{each}{os.sep}.git") for each in upwards(folder))


def _query(folder: Path, prefix: str) -> Listing:
    """Ask about a repository whose paths have a *prefix* in the one that the question was about."""
    config = _config(folder)
    closed = _closed_filters(config)
    with ExitStack() as running:
        status, listing = (running.enter_context(_started(folder, closed, *command)) for command in (_STATUS, _LIST))
        heads, dirty = _read_status(status.answer())
        tracked, untracked, submodules = _read_listing(listing.answer())
    diff, notes = _diff(folder, closed, prefix) if dirty and heads.get("oid") else (None, ())
    facts = GitFacts(
        commit=heads.get("oid"),
        branch=heads.get("head"),
        dirty=dirty,
        remote=_remote(config, heads.get("upstream")),
        diff=diff,
    )
    found = Listing(facts=facts, tracked=tracked, untracked=untracked, submodules=submodules, notes=notes)
    for path in submodules:
        found = _with_submodule(found, folder, path, prefix)
    return found


def _with_submodule(listing: Listing, folder: Path, path: str, prefix: str) -> Listing:
    """Add what is to be said of a submodule, which is asked as a repository of its own, as safely."""
    if not (folder / path / ".git").exists():
        return listing
    try:
        inner = _query(folder / path, f"{prefix}{path}/")
    except GitError as error:
        note = f"Whether the submodule {prefix + path!r} is changed is not known, since {error}."
        return replace(listing, notes=(*listing.notes, note))
    facts, its = listing.facts, inner.facts
    inside = {f"{path}/{name}": commit for name, commit in its.submodules.items()}
    facts = replace(
        facts,
        dirty=facts.dirty or its.dirty,
        diff=_joined(facts.diff, its.diff),
        submodules={**facts.submodules, **({path: its.commit} if its.commit else {}), **inside},
    )
    nested = tuple(f"{path}/{name}" for name in inner.submodules)
    return replace(
        listing, facts=facts, submodules=(*listing.submodules, *nested), notes=(*listing.notes, *inner.notes)
    )


def _joined(diff: str | None, further: str | None) -> str | None:
    if diff is None or further is None:
        return diff if further is None else further
    return f"{diff}{further}" if diff.endswith("\n") or not diff else f"{diff}\n{further}"


# --- running git ------------------------------------------------------------------------------------------------


def _environment() -> dict[str, str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    return {
        **clean,
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ALLOW_PROTOCOL": "none",
        "GIT_NO_LAZY_FETCH": "1",
        "GIT_ASKPASS": "",
        "SSH_ASKPASS": "",
        "LC_ALL": "C",
    }


@dataclass(slots=True)
class _Git:
    """A git at work; its complaints go to a file, since a full pipe that nobody reads would stop it."""

    process: subprocess.Popen[bytes]
    complaints: IO[bytes]
    _is_late: threading.Event = field(default_factory=threading.Event)

    def answer(self, most: int = -1) -> bytes:
        """Return what it writes, or the first *most* bytes of it. Raises GitError."""
        assert self.process.stdout is not None
        watch = threading.Timer(TIMEOUT_S, self._expire)
        try:
            watch.start()
        except RuntimeError as error:  # where the interpreter ends, or there may be no more threads
            raise GitError(f"git cannot be waited for ({error})") from error
        try:
            output = self.process.stdout.read(most)
            if len(output) == most:
                return output
            code = self.process.wait()
        finally:
            watch.cancel()
        if self._is_late.is_set():
            raise GitError(f"git did not answer within {TIMEOUT_S:.0f} s")
        if code:
            self.complaints.seek(0)
            words = self.complaints.read().decode(errors="replace").strip().splitlines() or [f"exit code {code}"]
            raise GitError(f"git refuses: {words[0].removeprefix('fatal: ')}")
        return output

    def _expire(self) -> None:
        self._is_late.set()
        self.stop()

    def stop(self) -> None:
        """End it and whatever it started, unless it has ended by itself."""
        if self.process.returncode is None:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self.process.pid, signal.SIGKILL)


@contextmanager
def _started(folder: Path, options: Mapping[str, str], *command: str) -> Iterator[_Git]:
    settings = [word for key, value in {**_SAFE, **options}.items() for word in ("-c", f"{key}={value}")]
    with tempfile.TemporaryFile() as complaints:
        try:
            process = subprocess.Popen(
                ["git", "--no-pager", "--literal-pathspecs", *settings, *command],
                cwd=folder,
                env=_environment(),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=complaints,
                start_new_session=True,
            )
        except OSError as error:
            raise GitError(f"git cannot be started ({error.strerror})") from error
        git = _Git(process, complaints)
        with process:
            try:
                yield git
            finally:
                git.stop()


# --- reading its answers ----------------------------------------------------------------------------------------


def _config(folder: Path) -> list[tuple[str, str]]:
    with _started(folder, {}, "config", "-z", "--list") as git:
        output = os.fsdecode(git.answer())
    pairs = (item.partition("\n") for item in output.split("\0") if item)
    return [(key, value) for key, _, value in pairs]


def _closed_filters(config: Sequence[tuple[str, str]]) -> dict[str, str]:
    """
    Return settings that take the command out of every filter.

    That of git-lfs may stay, as it is published, unless it is told to run further programs.
    """
    lfs_is_plain = not any(key.startswith("lfs.extension.") for key, _ in config)
    found: dict[str, dict[str, set[str]]] = {}
    for key, value in config:
        if match := _FILTER.fullmatch(key):
            found.setdefault(match["name"], {}).setdefault(match["key"].lower(), set()).add(value)
    closed: dict[str, str] = {}
    for name, commands in found.items():
        if "=" in name:
            raise GitError(f"its configuration has a filter with the unusual name {name!r}, and is not trusted")
        published = all(commands.get(key, set()) <= {command} for key, command in _LFS.items())
        if name == "lfs" and lfs_is_plain and published:
            continue
        closed.update({f"filter.{name}.{key}": "" for key in ("clean", "smudge", "process")})
        closed[f"filter.{name}.required"] = "false"
    return closed


def _read_status(output: bytes) -> tuple[dict[str, str], bool]:
    heads: dict[str, str] = {}
    dirty = False
    for item in os.fsdecode(output).split("\0"):
        if item.startswith("# branch."):
            key, _, value = item.removeprefix("# branch.").partition(" ")
            heads[key] = value
        elif item:
            dirty = True
    absent = {"oid": "(initial)", "head": "(detached)"}
    return {key: value for key, value in heads.items() if value != absent.get(key)}, dirty


def _read_listing(output: bytes) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    tracked: dict[str, None] = {}
    untracked: list[str] = []
    submodules: list[str] = []
    for item in os.fsdecode(output).split("\0"):
        tag, _, rest = item.partition(" ")
        if tag == "?":
            untracked.append(rest)
        elif rest:
            mode, _, path = rest.partition("\t")
            if mode.startswith(_SUBMODULE):
                submodules.append(path)
            else:
                tracked[path] = None
    return tuple(tracked), tuple(untracked), tuple(submodules)


def _diff(folder: Path, closed: Mapping[str, str], prefix: str) -> tuple[str | None, tuple[str, ...]]:
    try:
        # paths as in the listing, whatever the user's settings
        named = (f"--src-prefix=a/{prefix}", f"--dst-prefix=b/{prefix}", "HEAD", "--", ".")
        with _started(folder, closed, *_DIFF, *named) as git:
            output = git.answer(DIFF_LIMIT_BYTES + 1)
    except GitError as error:
        return None, (f"The diff to the commit was not kept, since {error}.",)
    text = output[:DIFF_LIMIT_BYTES].decode(errors="backslashreplace")
    if len(output) <= DIFF_LIMIT_BYTES:
        return text, ()
    return text, (f"The diff to the commit is long; its first {DIFF_LIMIT_BYTES} bytes are kept.",)


def sections(diff: str) -> Iterator[tuple[str, str]]:
    """
    Yield the parts of a diff, each with its file's path as git's listing has it; "" for what stands before the first.

    Lines of a file begin with a blank, a sign or a backslash, so that no file can make what looks like a head.
    """
    for text in _HEAD.split(diff):
        yield _path_in(text.partition("\n")[0]), text


def _path_in(head: str) -> str:
    """Return the path in a line such as `diff --git a/x b/x`, where both are the same, and quoted in odd cases."""
    if not head.startswith(_HEAD_WORDS):
        return ""
    both = head.removeprefix(_HEAD_WORDS)
    first = both[: (len(both) - 1) // 2]
    if not first.startswith('"'):
        return first.partition("/")[2]
    octal = _ESCAPE.sub(lambda match: _unescaped(match[1]), first[1:-1])
    return os.fsdecode(octal.encode("latin-1", "ignore")).partition("/")[2]


def _unescaped(code: str) -> str:
    return chr(int(code, 8)) if code.isdigit() else _ESCAPES.get(code, code)


def _remote(config: Sequence[tuple[str, str]], upstream: str | None) -> str | None:
    urls = {
        key.removeprefix("remote.").removesuffix(".url"): value
        for key, value in config
        if key.startswith("remote.") and key.endswith(".url")
    }
    name = (upstream or "").partition("/")[0]
    url = urls.get(name) or urls.get("origin") or next(iter(urls.values()), None)
    return strip_url(url) if url else None


def strip_url(url: str) -> str:
    """Return a remote's URL without user name, password, query and fragment; `git@host:path` stays as it is."""
    if "://" not in url:
        return url
    from urllib.parse import urlsplit, urlunsplit

    try:
        parts = urlsplit(url)
    except ValueError:
        return f"{url.partition('://')[0]}://"
    host = parts.netloc.rpartition("@")[2]
    keep_user = parts.scheme in ("ssh", "git+ssh") and "@" in parts.netloc
    user = f"{parts.netloc.rpartition('@')[0].partition(':')[0]}@" if keep_user else ""
    return urlunsplit((parts.scheme, f"{user}{host}", parts.path, "", ""))


def without_left_out(facts: GitFacts, is_left_out: Callable[[str], bool]) -> GitFacts:
    """Return facts with a diff that leaves out what the source does."""
    if facts.diff is None:
        return facts
    return replace(facts, diff="".join(text for path, text in sections(facts.diff) if not is_left_out(path)))
