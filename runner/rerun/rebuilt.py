"""
The environment of a recorded run, built again by uv and kept.

It has the Python and the distributions that are on record and nothing else, but for anew itself: that is today's, by
way of links, since it is today's that runs the run again.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import unquote

from anew.runner.dataclass import dataclass
from anew.runner.errors import AnewError, MissingExtraError, RerunError
from anew.runner.format import ids
from anew.runner.format.redact import REDACTED, redact_text
from anew.runner.format.serial import from_json
from anew.runner.lazy.patterns import regexp
from anew.runner.records import EnvironmentFacts
from anew.runner.store.files import replace_whole

_FORMAT = 1
_TODAY = "or use today's environment: --env current"
_PLAIN = {"name": re.compile(r"[a-z0-9][a-z0-9-]*"), "version": re.compile(r"\d[A-Za-z0-9.!+_-]*")}
_VERSION = "import platform; print(platform.python_implementation(), platform.python_version())"
_REASON = regexp(r"^(?:error:|  ×)", re.MULTILINE)
_MOST_LINES = 6
_PROBE = """
import json, sys
from pathlib import Path
from anew.runner.capture.environment import capture_environment
from anew.runner.format.serial import to_json
from anew.runner.settings import EnvironmentSettings
print(json.dumps(to_json(capture_environment(EnvironmentSettings(), Path(sys.argv[1])))))
"""


class EnvironmentUnavailableError(AnewError):
    """A recorded environment that cannot be built here and now; the message has uv's reason."""


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """
    An environment as on record.

    Attributes:
        python: Its interpreter.
        built: Whether it was built by this call; it was there already otherwise.
        missing: What is on record and could not be rebuilt, a sentence each.
    """

    python: Path
    built: bool
    missing: tuple[str, ...]


def cannot_rebuild(facts: EnvironmentFacts) -> tuple[str, ...]:
    """Return what no environment can have again, a sentence each: editable installs, folders, files that are gone."""
    return _asked(facts)[1]


def rebuilt(facts: EnvironmentFacts, cache: Path, *, say: Callable[[str], object]) -> Rebuilt:
    """
    Return an environment as on record, built unless it is there already; what cannot be rebuilt is left out.

    Safe between threads and processes: who asks for what another is building waits for it. Killed half-way, it leaves
    nothing that is ever taken for an environment. uv's own variables and settings hold: indexes, cache, network.

    Args:
        facts: The record.
        cache: A folder for what can be made again; made when it is missing.
        say: Told, in a sentence, what takes time.

    Raises:
        MissingExtraError: uv is not installed.
        EnvironmentUnavailableError: The Python or a distribution cannot be had, or the folder cannot be written.
    """
    requirements, missing = _asked(facts)
    folder = Path(os.path.abspath(cache), "environments", _digest(facts, requirements))
    python = folder / "bin" / "python"
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with _locked(folder.with_suffix(".lock"), say):
            for left in folder.parent.glob(f"{folder.name}-*"):
                shutil.rmtree(left, ignore_errors=True)
            # asked rather than looked at: the Python that it leads to may have been upgraded since, or removed
            absent = not _is_python(python, facts)
            if absent:
                _build(folder, facts, requirements, say)
            _link_anew(folder)
    except OSError as error:
        raise EnvironmentUnavailableError(
            f"Cannot keep an environment in {str(folder.parent)!r}: {error.strerror or error}. "
            f"Free some space or mend its permissions, {_TODAY}"
        ) from error
    return Rebuilt(python, absent, missing)


def refusal(facts: EnvironmentFacts) -> str:
    """
    Return why the distributions on record cannot stand together, in uv's words; "" where they can. Nothing is built.

    uv reads what each one needs from its index or its cache; whether they can all be installed here it does not say.

    Raises:
        MissingExtraError: uv is not installed.
    """
    uv = _find_uv()
    with tempfile.TemporaryDirectory() as folder:
        listed = Path(folder, "requirements.in")
        listed.write_text("".join(f"{line}\n" for line in _asked(facts)[0]), encoding="utf-8")
        # of the working directory's project the overrides and constraints would be heeded, too
        place = ("--project", folder, "--python", sys.executable, "--python-version", facts.python.rstrip("+"))
        return _said(uv, "pip", "compile", *place, str(listed))


# --- what to ask for --------------------------------------------------------------------------------------------


class _LostError(Exception):
    """A distribution that cannot be had again, and why."""


def _asked(facts: EnvironmentFacts) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the requirements in their one order, and a sentence on each distribution that cannot be required."""
    asked, lost = [], []
    for normal, name in sorted((re.sub(r"[-_.]+", "-", name).lower(), name) for name in facts.packages):
        if normal == "anew":
            continue
        try:
            asked.append(_requirement(normal, facts.packages[name], facts.origins.get(name, "")))
        except _LostError as reason:
            lost.append(redact_text(f"{name} {facts.packages[name]} {reason}."))
    return tuple(asked), tuple(lost)


def _requirement(name: str, version: str, origin: str) -> str:
    """Return the line that asks uv for a distribution. Raises _LostError."""
    asked = {"name": name} if origin else {"name": name, "version": version}
    for what, text in asked.items():
        # a record may come from elsewhere, and a line more in uv's list could be an option
        if not _PLAIN[what].fullmatch(text):
            raise _LostError(f"has a {what} that cannot be asked for")
    return f"{name} @ {_address(origin)}" if origin else f"{name}=={version}"


def _address(origin: str) -> str:
    """Return the URL of a distribution that came from no index. Raises _LostError."""
    if origin.startswith("editable "):
        raise _LostError(
            f"was installed in place from {origin.split(maxsplit=1)[1]}, whose state then is not on record"
        )
    # a login is left to uv, git and what they know, but a token in the address itself is lost
    url = origin.replace(f":{REDACTED}@", "@").replace(f"{REDACTED}@", "")
    if REDACTED in url or any(letter.isspace() for letter in url):
        raise _LostError(f"came from {origin}, an address that is not on record in full")
    scheme, _, place = url.partition("://")
    path = Path(unquote(place.rpartition("@")[0] if scheme == "git+file" else place))
    if "+" in scheme and not scheme.startswith("git+"):
        raise _LostError(f"came from {origin}, and uv reads no repositories but git's")
    if scheme in ("file", "git+file") and not path.exists():
        raise _LostError(f"came from {str(path)!r}, which is gone")
    if scheme == "file" and path.is_dir():
        raise _LostError(f"came from the folder {str(path)!r}, whose state then is not on record")
    return url


def _digest(facts: EnvironmentFacts, requirements: tuple[str, ...]) -> str:
    # with the platform, since home folders are shared between machines
    python = [facts.implementation, facts.python, sysconfig.get_platform()]
    text = json.dumps({"format": _FORMAT, "python": python, "requirements": requirements}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:24]


# --- building ---------------------------------------------------------------------------------------------------


@contextmanager
def _locked(path: Path, say: Callable[[str], object]) -> Iterator[None]:
    with path.open("ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("waiting for another process, which is building the same environment ...")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _build(folder: Path, facts: EnvironmentFacts, requirements: tuple[str, ...], say: Callable[[str], object]) -> None:
    """Build an environment beside its place and move it there; the caller holds the lock."""
    uv = _find_uv()
    count = f"{len(requirements)} package{'' if len(requirements) == 1 else 's'}"
    say(f"building an environment of {count} with {_name(facts)} (kept for next time) ...")
    # The uv of a killed process may still be at work: each attempt has a folder of its own, which it alone completes.
    draft = folder.with_name(f"{folder.name}-{ids.new_uid()}")
    try:
        _make(uv, draft, facts)
        _fill(uv, draft, requirements)
        if folder.exists():
            shutil.rmtree(folder)
        draft.rename(folder)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise


def _find_uv() -> str:
    try:
        return shutil.which("uv") or import_module("uv").find_uv_bin()
    except (ImportError, FileNotFoundError) as error:
        raise MissingExtraError(
            f"Building a recorded environment needs uv. To install it: pip install 'anew[uv]', {_TODAY}"
        ) from error


def _make(uv: str, folder: Path, facts: EnvironmentFacts) -> None:
    """Make an empty environment with the Python on record: at its place then, this one, or one that uv knows of."""
    choice = os.environ.get("UV_PYTHON_DOWNLOADS")
    words = ("venv", "--no-project", "--relocatable", *(() if choice else ("--no-python-downloads",)), str(folder))
    places = [path for path in (facts.executable, sys.executable) if path and os.path.isfile(path)]
    reason = ""
    for request in (*places, f"{facts.implementation.lower()}@{facts.python.rstrip('+')}"):
        reason = _run(uv, *words, "--python", request)
        if not reason and _is_python(folder / "bin" / "python", facts):
            return
        shutil.rmtree(folder, ignore_errors=True)
    if reason and "interpreter" not in reason:
        raise _unavailable(reason)
    fetch = "Install it" if choice else "To let uv fetch it: UV_PYTHON_DOWNLOADS=automatic"
    raise EnvironmentUnavailableError(
        f"{_name(facts)}, which the run's environment had, cannot be found on this machine. {fetch}, {_TODAY}"
    )


def _fill(uv: str, folder: Path, requirements: tuple[str, ...]) -> None:
    listed = folder / "requirements.txt"
    listed.write_text("".join(f"{line}\n" for line in requirements), encoding="utf-8")
    # Not `pip install`: it heeds a project's overrides, and would silently install another version.
    failed = _run(uv, "pip", "sync", "--python", str(folder / "bin" / "python"), str(listed))
    if failed:
        raise _unavailable(failed)


def _run(uv: str, *words: str) -> str:
    """Run uv; return why it failed, in a few lines, or ""."""
    said = _said(uv, *words)
    return _reason(said) if said else ""


def _said(uv: str, *words: str) -> str:
    """Run uv; return what it said when it failed, else "". Interrupted, it leaves no process."""
    # Not into a pipe, whose end a daemon of git's could hold open. In a session of its own, so that Ctrl-C reaches this
    # process alone, which then ends uv with all that it has started, and so that nothing asks for a password.
    with tempfile.TemporaryFile() as said:
        environment = {name: value for name, value in os.environ.items() if name != "UV_VENV_SEED"}
        command = [uv, "--quiet", "--no-progress", "--color", "never", *words]
        # an interrupt that came while the process starts would leave nobody who knows of it
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=said, stderr=said, env=environment, start_new_session=True
            )
            try:
                signal.pthread_sigmask(signal.SIG_SETMASK, mask)
                code = process.wait()
            except BaseException:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                raise
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        said.seek(0)
        return (said.read().decode(errors="replace").strip() or f"exit code {code}") if code else ""


def _reason(said: str) -> str:
    """Return the lines that say what went wrong, without secrets: the first ones, and where it ended."""
    start = _REASON.search(said)
    lines = [line for line in said[start.start() if start else 0 :].splitlines() if line.strip()]
    half = _MOST_LINES // 2
    return redact_text("\n".join(lines if len(lines) <= _MOST_LINES else [*lines[:half], "  ...", *lines[-half:]]))


def _unavailable(reason: str) -> EnvironmentUnavailableError:
    return EnvironmentUnavailableError(
        f"The environment cannot be rebuilt; uv says:\n{reason}\n"
        f"Check the network, name the index that has it (UV_INDEX=URL), {_TODAY}"
    )


def _name(facts: EnvironmentFacts) -> str:
    return f"{'Python' if facts.implementation == 'CPython' else facts.implementation} {facts.python}"


def _is_python(path: Path, facts: EnvironmentFacts) -> bool:
    """Whether an interpreter is there, and is the one on record."""
    try:
        done = subprocess.run([path, "-I", "-S", "-c", _VERSION], capture_output=True, stdin=subprocess.DEVNULL)
    except OSError:
        return False
    return done.stdout.decode(errors="replace").split() == [facts.implementation, facts.python]


# --- today's anew -----------------------------------------------------------------------------------------------


def _link_anew(environment: Path) -> None:
    """Make today's anew importable in an environment; one that runs there keeps the links that it started with."""
    links = _links()
    name = hashlib.sha256(json.dumps(links).encode()).hexdigest()[:12]
    # called so because what lies there is nobody's own source, wherever the cache is
    folder = environment / "anew-link" / name / "site-packages"
    if not folder.exists():
        draft = folder.parent.with_name(ids.new_uid())
        for place, source in links.items():
            link = draft / folder.name / place
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(source)
        draft.rename(folder.parent)
    for site in environment.glob("lib/*/site-packages"):
        # relative: in which encoding an interpreter reads the file depends on its version and the locale
        line, path = os.path.relpath(folder, site), site / "anew-link.pth"
        if not path.exists() or path.read_text(encoding="utf-8") != line:
            replace_whole(path, line.encode())


def _links() -> dict[str, str]:
    """Return what anew consists of, wherever it is installed: its place in the folder of links -> where it is."""
    found = {f"anew/{path.name}": str(path) for path in sorted(_folder("anew").iterdir()) if path.name != "__pycache__"}
    for part in ("runner", "observers", "integrations", "configs"):
        found[f"anew/{part}"] = str(_folder(f"anew.{part}"))
    with suppress(ModuleNotFoundError):
        found["hydra_plugins/anew"] = str(_folder("hydra_plugins.anew"))
    return found


def _folder(package: str) -> Path:
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError(f"{package} is not installed as a folder.", name=package)
    return Path(os.path.abspath(next(iter(spec.submodule_search_locations))))


def probed(python: str, variables: Mapping[str, str], folder: Path) -> EnvironmentFacts:
    """
    Return what an interpreter says of its environment, with those variables, as a run in it would.

    Args:
        python: The interpreter.
        variables: Its variables.
        folder: Where it starts, and keeps what it found.

    Raises:
        RerunError: Anew does not work in it.
    """
    command = [python, "-c", _PROBE, str(folder / "environment.json")]
    done = subprocess.run(
        command,
        env=dict(variables),
        cwd=folder,
        capture_output=True,
        text=True,
        encoding="utf-8",
        errors="replace",
        check=False,
    )
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise RerunError(
            f"In the rebuilt environment ({python}) anew itself does not work: {last}. To use today's: --env current"
        )
    return from_json(EnvironmentFacts, json.loads(done.stdout))
