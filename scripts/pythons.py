"""
Run the tests on every Python that anew supports, and write docs/pythons.md.

    python scripts/pythons.py [--near] [--oldest] [--only 3.14] [PYTEST ARGUMENT]...

A Python is looked for on PATH, then among pyenv's, then in Debian root folders, which debootstrap makes for what is
found nowhere else: as root, from the mirror that apt uses here, in $ANEW_PYTHONS (/var/tmp/anew-pythons), kept between
runs. A root folder is entered in a mount namespace of its own: what is mounted there is gone with its last process.
With --oldest it is the oldest Python alone, with the lowest versions that pyproject.toml promises.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

ROOT = Path(__file__).resolve().parent.parent
TABLE = ROOT / "docs" / "pythons.md"
VERSIONS = tuple(re.findall(r"Python :: (3\.\d+)", (ROOT / "pyproject.toml").read_text()))
SUITES = {"3.13": "trixie", "3.14": "forky", "3.15": "forky"}
ROOTS = Path(os.environ.get("ANEW_PYTHONS", "/var/tmp/anew-pythons"))
PROGRAMS = ("ca-certificates", "git", "iproute2", "make", "openssl", "procps")
SCRIPTS = Path("/usr/share/debootstrap/scripts")
PROBE = "import sys, ensurepip, venv; print(sys.version.split()[0])"
UV = ROOT / ".venv" / "bin" / "uv"
ENVIRONMENTS = ROOT / ".venv-pythons"
DISTRIBUTIONS = ("hydra-core", "omegaconf")
# $0 the root folder, $1 the working copy, then the command; what leads to packages is this machine's.
ENTER = """
repository=$1
mkdir -p "$0$repository"
touch "$0/etc/resolv.conf"
for path in /dev /proc /sys /tmp /etc/ssl /etc/resolv.conf "$repository"; do mount --rbind "$path" "$0$path"; done
export HOME=/root LANG=C.UTF-8 PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
unset TMPDIR PIP_FIND_LINKS
shift
exec chroot "$0" env --chdir="$repository" "$@"
"""
HEAD = """\
# What passed where

`make pythons` runs the whole suite on each Python and writes this table; a Python that was not found keeps its line.

| Python | from | Hydra | OmegaConf | passed | failed | skipped | why skipped |
| --- | --- | --- | --- | --- | --- | --- | --- |
"""


class NotHereError(Exception):
    """There is no such Python here; the message says how to have one."""


@dataclass(frozen=True)
class Python:
    """An interpreter, on this machine or in a root folder."""

    version: str
    release: str
    path: str
    source: str
    root: Path | None = None

    def command(self, *words: str | Path) -> list[str]:
        """Return what to start so that *words* run beside this Python."""
        if self.root is None:
            return [str(word) for word in words]
        own_mounts = ["unshare", "--mount", "--propagation", "private", "sh", "-euc", ENTER]
        return [str(word) for word in (*own_mounts, self.root, ROOT, *words)]

    def environment(self, name: str, *contents: str) -> Path:
        """Bring a virtual environment, inside the working copy, up to date; return its folder of programs."""
        folder = ENVIRONMENTS / f"{self.version}{name}"
        quick = [f"--uv={UV}"] if UV.exists() else []
        run(self.command(self.path, "scripts/environment.py", folder, *quick, *contents))
        return folder / "bin"


@dataclass(frozen=True)
class Outcome:
    """How the tests went."""

    python: Python
    versions: list[str]
    passed: int
    failed: list[str]
    skipped: Counter[str]

    @property
    def row(self) -> str:
        """The line of the table."""
        why = "; ".join(f"{reason} ({count})" for reason, count in sorted(self.skipped.items()))
        counts = f"{self.passed:,} | {len(self.failed)} | {self.skipped.total()} | {why.replace('|', '/')}"
        return f"| {self.python.release} | {self.python.source} | {' | '.join(self.versions)} | {counts} |\n"


# --- finding ---------------------------------------------------------------------------------------------------------


def find(version: str, *, may_make: bool) -> Python:
    """
    Return a Python of this version, the first that works and can make virtual environments.

    Raises:
        NotHereError: There is none, and none could be made.
    """
    for path, source in candidates(version):
        if release := release_of([path], version):
            return Python(version, release, path, source)
    return in_root(version, may_make=may_make)


def candidates(version: str) -> Iterator[tuple[str, str]]:
    """List where a Python may be; a shim of pyenv's is there, and fails, for each version that is not chosen."""
    for folder in os.get_exec_path():
        yield str(Path(folder, f"python{version}")), "PATH"
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    for path in sorted(pyenv.glob(f"versions/{version}*/bin/python{version}"), reverse=True):
        yield str(path), "pyenv"


def release_of(command: Sequence[str], version: str) -> str:
    """Return the release of a Python, `3.12.1`; empty when it does not run, or is of another version."""
    try:
        done = subprocess.run([*command, "-c", PROBE], capture_output=True, text=True)
    except OSError:
        return ""
    release = done.stdout.strip() if done.returncode == 0 else ""
    return release if re.match(rf"{re.escape(version)}\b", release) else ""


def in_root(version: str, *, may_make: bool) -> Python:
    """Return the Python of a Debian root folder, which is made if need be."""
    suite = SUITES.get(version)
    if suite is None:
        raise NotHereError(f"python{version} is not on PATH; pyenv has it: pyenv install {version}")
    folder = ROOTS / suite
    if not folder.is_dir():
        if not may_make:
            raise NotHereError(f"python{version} is not on PATH, and there is no {folder}: make pythons")
        make_root(folder, suite)
    if os.geteuid() != 0:
        raise NotHereError(f"python{version} is in {folder}, and only root can enter a root folder")
    path = f"/usr/bin/python{version}"
    python = Python(version, version, path, f"Debian {suite}", folder)
    release = release_of(python.command(path), version)
    if not release:
        raise NotHereError(f"{folder} has no {path} that works; to have it made again: rm -r {folder}")
    return Python(version, release, path, python.source, folder)


def make_root(folder: Path, suite: str) -> None:
    """Make a Debian root folder with the Pythons that are had from it; half of one is never left under its name."""
    if os.geteuid() != 0:
        raise NotHereError(f"only root can make {folder} by debootstrap: sudo make pythons")
    if shutil.which("debootstrap") is None:
        raise NotHereError(f"debootstrap is needed to make {folder}: apt-get install debootstrap")
    half = folder.with_name(f"{suite}.half")
    shutil.rmtree(half, ignore_errors=True)
    half.parent.mkdir(parents=True, exist_ok=True)
    packages = [f"python{version}-venv" for version, each in SUITES.items() if each == suite]
    say(f"making {folder} (once; some minutes) ...")
    # a suite that is newer than debootstrap is made as all of Debian's are
    script = [] if (SCRIPTS / suite).exists() else [str(SCRIPTS / "sid")]
    included = f"--include={','.join([*packages, *PROGRAMS])}"
    run(["debootstrap", "--variant=minbase", included, suite, str(half), mirror(), *script], quiet=True)
    half.rename(folder)


def mirror() -> str:
    """Return the mirror of Debian that apt uses here."""
    command = ["apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages"]
    listed = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.split()
    for address in listed:
        if address.rstrip("/").endswith("/debian"):
            return address
    raise NotHereError(f"apt has no mirror of Debian here, only {', '.join(sorted(set(listed))) or 'nothing'}")


# --- testing ---------------------------------------------------------------------------------------------------------


def test(python: Python, programs: Path, *arguments: str) -> Outcome:
    """Run tests in an environment; what they print is seen."""
    report = ENVIRONMENTS / f"{python.version}.xml"
    report.unlink(missing_ok=True)
    pytest = [programs / "python", "-m", "pytest", "-q", "-r", "fE", f"--junit-xml={report}"]
    subprocess.run(python.command(*pytest, *arguments), stdin=subprocess.DEVNULL)
    if not report.exists():
        raise SystemExit(f"the tests on Python {python.release} have come to no end")
    code = f"from importlib.metadata import version; print(*map(version, {DISTRIBUTIONS}))"
    asking = python.command(programs / "python", "-c", code)
    versions = subprocess.run(asking, check=True, stdout=subprocess.PIPE, text=True).stdout.split()
    cases = list(ElementTree.parse(report).iter("testcase"))
    failed = [
        f"{case.get('classname')}::{case.get('name')}"
        for case in cases
        if case.find("failure") is not None or case.find("error") is not None
    ]
    skips = [skip.get("message", "") for case in cases if (skip := case.find("skipped")) is not None]
    return Outcome(python, versions, len(cases) - len(failed) - len(skips), failed, Counter(skips))


def test_all(python: Python, name: str, contents: Sequence[str], arguments: Sequence[str]) -> Outcome:
    """Run the whole suite, or what the arguments choose of it."""
    return test(python, python.environment(name, "--extra=test", *contents), *arguments)


def test_near(python: Python, name: str, contents: Sequence[str], arguments: Sequence[str]) -> Outcome:
    """Run the tests marked as near the interpreter, README's first screen among them, and the demo in short."""
    needed = [f"--requirements={name}" for name in ("tests/near.txt", "examples/digits/requirements.txt")]
    programs = python.environment(f"{name}-near", *contents, *needed)
    files = [path for path in sorted(ROOT.glob("tests/**/test_*.py")) if "mark.interpreter" in path.read_text()]
    went = test(python, programs, "-m", "interpreter", *(str(path.relative_to(ROOT)) for path in files), *arguments)
    with tempfile.TemporaryDirectory() as store:
        run(python.command("sh", "scripts/demo.sh", programs, store, "epochs=2"), quiet=True)
    return went


def write(outcomes: Sequence[Outcome]) -> None:
    """Write the table; the line of a Python that was not tried stays."""
    kept = TABLE.read_text().splitlines(keepends=True) if TABLE.exists() else []
    rows = {match.group(1): line for line in kept if (match := re.match(r"\| (3\.\d+)\.", line))}
    rows.update({each.python.version: each.row for each in outcomes})
    TABLE.write_text(HEAD + "".join(rows[version] for version in VERSIONS if version in rows))


# --- the command -----------------------------------------------------------------------------------------------------


def main() -> int:
    """Read the command line; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.strip().splitlines()[0])
    parser.add_argument("--near", action="store_true", help="the tests near the interpreter, on others that are here")
    parser.add_argument("--oldest", action="store_true", help="the oldest Python with the lowest versions promised")
    parser.add_argument("--only", action="append", choices=VERSIONS, help="this Python; may be given again")
    options, arguments = parser.parse_known_args()
    own = ".".join(map(str, sys.version_info[:2])) if options.near and not options.oldest else ""
    wanted = VERSIONS[:1] if options.oldest else [version for version in options.only or VERSIONS if version != own]
    found, missing = search(wanted, may_make=not options.near)
    outcomes = []
    for python in found:
        say(f"\n== Python {python.release} ({python.source})")
        kind = ("-oldest", ["--lowest"]) if options.oldest else ("", [])
        if options.oldest:  # old releases use what newer ones of their own dependencies deprecate
            arguments = [*arguments, "-W", "ignore::DeprecationWarning"]
        outcomes.append((test_near if options.near else test_all)(python, *kind, arguments))
    if not options.near and not options.oldest:
        write(outcomes)
        say(TABLE.read_text())
    failed = [f"{each.python.version}: {name}" for each in outcomes for name in each.failed]
    for lines, heading in ((missing, "not tried"), (failed, "failed")):
        for line in lines:
            say(f"{heading}: {line}")
    say(f"tried: {', '.join(f'{python.release} ({python.source})' for python in found) or 'none'}")
    return 1 if failed else 0


def search(wanted: Sequence[str], *, may_make: bool) -> tuple[list[Python], list[str]]:
    """Return the Pythons that are here, and a line for each that is not."""
    found, missing = [], []
    for version in wanted:
        try:
            found.append(find(version, may_make=may_make))
        except NotHereError as error:
            missing.append(str(error))
    return found, missing


def run(command: Sequence[str], *, quiet: bool = False) -> None:
    """Run a command that has to succeed; what a *quiet* one prints is shown when it fails."""
    output = subprocess.PIPE if quiet else None
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT if quiet else None)
    if done.returncode:
        sys.stderr.write((done.stdout or b"").decode(errors="replace"))
        raise SystemExit(f"this failed: {' '.join(command)}")


def say(text: str) -> None:
    """Print, in order with what the tests print."""
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main())
