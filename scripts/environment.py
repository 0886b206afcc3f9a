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
PACKAGE_FOLDERS = ("src", "runner", "observers", "integrations", "configs")
OLDEST_PYTHON = (3, 10)
STATE = ".anew-environment.json"


def main():
    """Read the command line; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.strip().splitlines()[0])
    parser.add_argument("folder", type=Path, help="where the environment is, relative to the working copy")
    parser.add_argument("--extra", action="append", default=[], help="an extra of pyproject.toml to install")
    parser.add_argument("--uv", help="a uv to install with, which is quicker than pip")
    parser.add_argument("--lowest", action="store_true", help="the lowest versions that are promised, by uv")
    parser.add_argument("--requirements", action="append", default=[], help="a file of further requirements")
    arguments = parser.parse_args()
    if sys.version_info < OLDEST_PYTHON:
        version = sys.version.split()[0]
        sys.stderr.write(
            f"anew needs Python 3.10 or newer; {sys.executable} is {version}. Try: make PYTHON=python3.12\n"
        )
        return 2
    try:
        bring_up_to_date(
            ROOT / arguments.folder, arguments.extra, arguments.requirements, arguments.uv, arguments.lowest
        )
    except subprocess.CalledProcessError as error:
        sys.stderr.write(f"{arguments.folder} could not be prepared; this failed: {' '.join(error.cmd)}\n")
        return 1
    return 0


def bring_up_to_date(folder, extras, requirements, uv=None, lowest=False):
    """
    Do what *folder* lacks: everything, or new links only, or nothing.

    Raises:
        subprocess.CalledProcessError: `venv` or `pip` failed; what it printed is on stderr.
    """
    wanted = {**wanted_state(folder, extras, requirements), **({"lowest": True} if lowest else {})}
    found = found_state(folder)
    if found == wanted:
        return
    (folder / STATE).unlink(missing_ok=True)
    if {**found, "files": None} == {**wanted, "files": None}:
        install(folder, ["--no-deps"], f"{folder.name}: linking new files ...")
    else:
        make(folder, clear=python_of(folder) != wanted["python"] or found.get("place", str(folder)) != str(folder))
        pip(folder, "install", "pip>=23.1", "setuptools>=77")
        options = [f"--requirement={name}" for name in requirements]
        if lowest and not uv:
            pip(folder, "install", "uv")
            uv = str(folder / "bin" / "uv")
        saying = f"{folder.name}: installing what is needed (once; a minute or so) ..."
        if lowest:
            options += ["--resolution", "lowest-direct"]
        install(folder, options, saying, extras, uv)
    (folder / STATE).write_text(json.dumps(wanted))


def wanted_state(folder, extras, requirements):
    """Return what an up-to-date environment was made from."""
    texts = [ROOT / "pyproject.toml", *(ROOT / name for name in requirements)]
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


def install(folder, options, saying, extras=(), uv=None):
    """Install the working copy, linked, with *extras* and what *options* name."""
    sys.stderr.write(saying + "\n")
    names = f".[{','.join(extras)}]" if extras else "."
    strict = ["--no-build-isolation", "--config-settings", "editable_mode=strict"]
    arguments = [*strict, *options, "--editable", names]
    if uv:
        # as pip does by itself: processes of tests keep nothing of what they compile, and each would compile it again
        into = ["--compile-bytecode", "--python", str(folder / "bin" / "python")]
        call([uv, "--quiet", "pip", "install", *into, *arguments])
    else:
        pip(folder, "install", *arguments)


def pip(folder, command, *arguments):
    """Run the environment's own pip."""
    call([str(folder / "bin" / "python"), "-m", "pip", command, "--no-input", *arguments])


def call(line):
    """Run an installer; what it prints is shown when it fails."""
    environment = {**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    done = subprocess.run(
        line, cwd=str(ROOT), env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    if done.returncode:
        sys.stderr.write(done.stdout.decode(errors="replace"))
        done.check_returncode()


if __name__ == "__main__":
    sys.exit(main())
