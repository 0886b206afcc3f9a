"""
Make a virtual environment with this working copy in it, or bring one up to date.

    python scripts/environment.py .venv --extra dev

Needs Python and its `venv` module only; an environment that is up to date costs a look at the file names. The install
is a strict editable one, a tree of links with one link per file: what is edited is seen at once, and when a file comes,
goes or moves, this makes the links anew.
"""

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGE_FOLDERS = ("src", "runner", "observers", "configs")
OLDEST_PYTHON = (3, 10)
STATE = ".anew-environment.json"


def main():
    """Read the command line; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.strip().splitlines()[0])
    parser.add_argument("folder", type=Path, help="where the environment is, relative to the working copy")
    parser.add_argument("--extra", action="append", default=[], help="an extra of pyproject.toml to install")
    parser.add_argument("--requirements", type=Path, help="a file of further requirements")
    arguments = parser.parse_args()
    if sys.version_info < OLDEST_PYTHON:
        version = sys.version.split()[0]
        sys.stderr.write(
            f"anew needs Python 3.10 or newer; {sys.executable} is {version}. Try: make PYTHON=python3.12\n"
        )
        return 2
    try:
        bring_up_to_date(ROOT / arguments.folder, arguments.extra, arguments.requirements)
    except subprocess.CalledProcessError as error:
        sys.stderr.write(f"{arguments.folder} could not be prepared; this failed: {' '.join(error.cmd)}\n")
        return 1
    return 0


def bring_up_to_date(folder, extras, requirements):
    """
    Do what *folder* lacks: everything, or new links only, or nothing.

    Raises:
        subprocess.CalledProcessError: `venv` or `pip` failed; what it printed is on stderr.
    """
    wanted = wanted_state(folder, extras, requirements)
    found = found_state(folder)
    if found == wanted:
        return
    (folder / STATE).unlink(missing_ok=True)
    if {**found, "files": None} == {**wanted, "files": None}:
        install(folder, ["--no-deps"], f"{folder.name}: linking new files ...")
    else:
        make(folder, clear=python_of(folder) != wanted["python"] or found.get("place", str(folder)) != str(folder))
        pip(folder, "install", "pip>=23.1", "setuptools>=77")
        options = ["--requirement", str(requirements)] if requirements else []
        install(folder, options, f"{folder.name}: installing what is needed (once; a minute or so) ...", extras)
    (folder / STATE).write_text(json.dumps(wanted))


def wanted_state(folder, extras, requirements):
    """Return what an up-to-date environment was made from."""
    texts = [ROOT / "pyproject.toml", *([ROOT / requirements] if requirements else [])]
    return {
        "python": f"{sys.base_prefix} {sys.version}",
        "place": str(folder),
        "extras": sorted(extras),
        "requirements": [digest(path.read_bytes()) for path in texts],
        "files": digest("\n".join(package_files()).encode()),
    }


def found_state(folder):
    """Return what the environment says that it was made from; empty when there is none, or half of one."""
    try:
        return json.loads((folder / STATE).read_text())
    except (OSError, ValueError):
        return {}


def python_of(folder):
    """Return which Python an environment is of, whoever made it; None when there is none that works."""
    probe = [str(folder / "bin" / "python"), "-c", "import sys; print(sys.base_prefix, sys.version)"]
    try:
        return subprocess.run(probe, stdout=subprocess.PIPE).stdout.decode().rstrip("\n")
    except OSError:
        return None


def package_files():
    """Return the names of the files that the package consists of."""
    paths = (path for name in PACKAGE_FOLDERS for path in (ROOT / name).rglob("*"))
    return sorted(
        str(path.relative_to(ROOT)) for path in paths if path.suffix in (".py", ".yaml", ".typed") and path.is_file()
    )


def digest(data):
    """Return a short name for *data*."""
    return hashlib.sha256(data).hexdigest()


def make(folder, clear):
    """Make an environment; with *clear*, in place of what is there."""
    options = ["--clear"] if clear else []
    done = subprocess.run([sys.executable, "-m", "venv", *options, str(folder)], stdout=2)
    if done.returncode:
        # Debian and its kin ship Python without what venv needs, and leave half an environment behind.
        shutil.rmtree(folder, ignore_errors=True)
        sys.stderr.write("Python's venv module does not work here; on Debian: apt install python3-venv\n")
        done.check_returncode()


def install(folder, options, saying, extras=()):
    """Install the working copy, linked, with *extras* and what *options* name."""
    sys.stderr.write(saying + "\n")
    names = f".[{','.join(extras)}]" if extras else "."
    strict = ["--no-build-isolation", "--config-settings", "editable_mode=strict"]
    pip(folder, "install", *strict, *options, "--editable", names)


def pip(folder, command, *arguments):
    """Run the environment's own pip; what it prints is shown when it fails."""
    python = str(folder / "bin" / "python")
    environment = {**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    line = [python, "-m", "pip", command, "--no-input", *arguments]
    done = subprocess.run(
        line, cwd=str(ROOT), env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    if done.returncode:
        sys.stderr.write(done.stdout.decode(errors="replace"))
        done.check_returncode()


if __name__ == "__main__":
    sys.exit(main())
