"""
Run the tests on every Python that anew supports, and write docs/pythons.md.

    python scripts/pythons.py [--near] [--oldest] [--only 3.14] [-n WORKERS] [--dist HOW] [PYTEST ARGUMENT]...

A Python is looked for on PATH, then among pyenv's, then in Debian root folders, which debootstrap makes for what is
found nowhere else: as root, from the mirror that apt uses here, in $ANEW_PYTHONS (/var/tmp/anew-pythons), kept between
runs. A root folder is entered in a mount namespace of its own: what is mounted there is gone with its last process.
With --oldest it is the oldest Python alone, with the lowest versions that pyproject.toml promises. What failed beside
others, on a machine that was busy with them, is run once more by itself. Tests that arguments choose are no line of the
table; those near the interpreter are one where there is none of all.
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
PROGRAMS = ("ca-certificates", "git", "iproute2", "libgomp1", "make", "openssl", "procps")
SCRIPTS = Path("/usr/share/debootstrap/scripts")
PROBE = "import sys, ensurepip, venv; print(sys.version.split()[0])"
UV = ROOT / ".venv" / "bin" / "uv"
ENVIRONMENTS = ROOT / ".venv-pythons"
DISTRIBUTIONS = ("hydra-core", "omegaconf")
REQUIREMENTS = ("tests/near.txt", "examples/digits/requirements.txt")
PASSED, FAILED = "passed", "failed"
KINDS = ("", ", lowest")
ROW = re.compile(r"\| (3\.\d+)\.\S+ \| [^|]+ \| (whole|near)(, lowest)? \|")
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
`near` are the tests near the interpreter and the demo alone, by `make pythons-near`; `lowest` are the lowest versions
that are promised, by `make oldest`. What passed only when it was run once more, by itself, is counted as `alone`.

| Python | from | tests | Hydra | OmegaConf | passed | alone | failed | skipped | why skipped |
| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |
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
class Trial:
    """
    Which tests, with what, how.

    Attributes:
        near: Those near the interpreter and the demo, not the whole suite.
        lowest: With the lowest versions that are promised.
        workers: How pytest-xdist is to spread them.
        choice: Arguments of pytest that choose some of them.
    """

    near: bool = False
    lowest: bool = False
    workers: Sequence[str] = ()
    choice: Sequence[str] = ()

    @property
    def title(self) -> str:
        """How the table calls it."""
        return ("near" if self.near else "whole") + (", lowest" if self.lowest else "")


@dataclass(frozen=True)
class Outcome:
    """How the tests went; *alone* are those that failed beside others, and passed by themselves."""

    python: Python
    trial: Trial
    versions: list[str]
    passed: int
    alone: list[str]
    failed: list[str]
    skipped: Counter[str]

    @property
    def row(self) -> str:
        """The line of the table."""
        why = "; ".join(f"{reason} ({count})" for reason, count in sorted(self.skipped.items())).replace("|", "/")
        counts = (f"{self.passed:,}", len(self.alone), len(self.failed), self.skipped.total(), why)
        cells = (self.python.release, self.python.source, self.trial.title, *self.versions, *counts)
        return f"| {' | '.join(map(str, cells))} |\n"


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


def test(python: Python, trial: Trial) -> Outcome:
    """Run tests; what they print is seen."""
    lowest = ["--lowest"] if trial.lowest else []
    name = f"{'-oldest' if trial.lowest else ''}{'-near' if trial.near else ''}"
    needed = [f"--requirements={each}" for each in REQUIREMENTS] if trial.near else ["--extra=test"]
    programs = python.environment(name, *lowest, *needed)
    # old releases use what newer ones of their own dependencies deprecate
    quiet = ["-W", "ignore::DeprecationWarning"] if trial.lowest else []
    chosen = [*trial.choice]
    if trial.near:
        near = [path for path in sorted(ROOT.glob("tests/**/test_*.py")) if "mark.interpreter" in path.read_text()]
        chosen += ["-m", "interpreter", *(str(path.relative_to(ROOT)) for path in near)]
    shutil.rmtree(ENVIRONMENTS / f"{python.version}.cache", ignore_errors=True)
    went = collected(python, programs, *quiet, *trial.workers, *chosen)
    failed = [name for name, result in went.items() if result == FAILED]
    if failed:
        say("\n-- what failed, once more, by itself")
        went.update(collected(python, programs, *quiet, *chosen, "--last-failed", "--last-failed-no-failures", "none"))
    if trial.near and not demo(python, programs):
        went["scripts/demo.sh"] = FAILED
    code = f"from importlib.metadata import version; print(*map(version, {DISTRIBUTIONS}))"
    asking = python.command(programs / "python", "-c", code)
    versions = subprocess.run(asking, check=True, stdout=subprocess.PIPE, text=True).stdout.split()
    return Outcome(
        python,
        trial,
        versions,
        list(went.values()).count(PASSED),
        [name for name in failed if went[name] == PASSED],
        [name for name, result in went.items() if result == FAILED],
        Counter(result for result in went.values() if result not in (PASSED, FAILED)),
    )


def collected(python: Python, programs: Path, *arguments: str) -> dict[str, str]:
    """Run pytest; return what became of each test: PASSED, FAILED, or why it was skipped."""
    report, cache = ENVIRONMENTS / f"{python.version}.xml", ENVIRONMENTS / f"{python.version}.cache"
    report.unlink(missing_ok=True)
    pytest = [programs / "python", "-m", "pytest", "-q", "-r", "fE"]
    files = [f"--junit-xml={report}", "-o", f"cache_dir={cache}"]
    subprocess.run(python.command(*pytest, *files, *arguments), stdin=subprocess.DEVNULL)
    if not report.exists():
        raise SystemExit(f"the tests on Python {python.release} have come to no end")
    went: dict[str, str] = {}
    for case in ElementTree.parse(report).iter("testcase"):
        name, skip = f"{case.get('classname')}::{case.get('name')}", case.find("skipped")
        if case.find("failure") is not None or case.find("error") is not None:
            went[name] = FAILED
        else:  # a test that passed may have an error of its teardown beside it
            went.setdefault(name, PASSED if skip is None else skip.get("message", ""))
    return went


def demo(python: Python, programs: Path) -> bool:
    """Whether the demo works, in short; what it printed is shown if not."""
    with tempfile.TemporaryDirectory() as store:
        command = python.command("sh", "scripts/demo.sh", programs, store, "epochs=2")
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if done.returncode:
        say(done.stdout.decode(errors="replace"))
    return done.returncode == 0


def write(outcome: Outcome) -> None:
    """Write a line of the table; what is known of all tests is not given away for what some of them say."""
    kept = TABLE.read_text().splitlines(keepends=True) if TABLE.exists() else []
    rows = {(match[1], match[3] or ""): line for line in kept if (match := ROW.match(line))}
    key = outcome.python.version, ", lowest" if outcome.trial.lowest else ""
    if not (outcome.trial.near and "| whole" in rows.get(key, "")):
        rows[key] = outcome.row
    TABLE.write_text(
        HEAD + "".join(rows[version, kind] for kind in KINDS for version in VERSIONS if (version, kind) in rows)
    )


# --- the command -----------------------------------------------------------------------------------------------------


def main() -> int:
    """Read the command line; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.strip().splitlines()[0])
    parser.add_argument("--near", action="store_true", help="the tests near the interpreter, on others that are here")
    parser.add_argument("--oldest", action="store_true", help="the oldest Python with the lowest versions promised")
    parser.add_argument("--only", action="append", choices=VERSIONS, help="this Python; may be given again")
    parser.add_argument("-n", default="0", help="how many tests at a time")
    parser.add_argument("--dist", default="load", help="how pytest-xdist hands them out")
    options, choice = parser.parse_known_args()
    own = ".".join(map(str, sys.version_info[:2])) if options.near and not options.only else ""
    wanted = VERSIONS[:1] if options.oldest else [each for each in options.only or VERSIONS if each != own]
    found, missing = search(wanted, may_make=not options.near)
    workers = ["-n", options.n, "--dist", options.dist] if options.n != "0" else []
    trial = Trial(options.near, options.oldest, workers, choice)
    outcomes = []
    for python in found:
        say(f"\n== Python {python.release} ({python.source})")
        outcomes.append(test(python, trial))
        if not choice:
            write(outcomes[-1])
    if not choice and TABLE.exists():
        say(TABLE.read_text())
    alone = [f"{each.python.version}: {name}" for each in outcomes for name in each.alone]
    failed = [f"{each.python.version}: {name}" for each in outcomes for name in each.failed]
    for lines, heading in ((missing, "not tried"), (alone, "passed only by itself"), (failed, "failed")):
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
