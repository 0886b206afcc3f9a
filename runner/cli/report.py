"""`anew report`."""

from __future__ import annotations

import csv
import io
import subprocess
import sys
import tempfile
from datetime import datetime
from pathlib import Path

import click

import anew
from anew.runner.across.report import COMMANDS, Answer, blocks, filled, markdown_table, page
from anew.runner.cli.context import Workbench, command
from anew.runner.cli.render import say
from anew.runner.errors import ConfigError, StoreError
from anew.runner.store.files import cannot, read_regular, replace_whole
from anew.runner.wording import printable

_MOST_BYTES = 1 << 26
_ANEW = "import sys; from anew.runner.cli import main; sys.exit(main())"


@command("report")
@click.argument("name", metavar="FILE.md")
@click.option("-o", "--output", metavar="FILE.html", help="Else FILE.html beside it.")
@click.option("--freeze", is_flag=True, help="Also write FILE.frozen.md, with what was shown in place of what asks.")
def report_command(workbench: Workbench, name: str, output: str | None, freeze: bool) -> None:
    r"""
    Make one HTML file of a report in Markdown, with tables and curves of runs in it.

    \b
      ```anew
      list 'sweep == 7' --columns config.lr,loss --sort loss --limit 5
      plot 41 42 train/loss --log
      ```
    A block of the language "anew" holds what one would type after `anew`: list, compare, plot, and why --show N. What
    it shows now stands in its place; pictures are part of the file, which loads nothing from anywhere. What stays as
    it was today is FILE.frozen.md.
    """
    file = Path(name)
    text = _text(file)
    target = Path(output) if output is not None else file.with_suffix(".html")
    if target.resolve() == file.resolve():
        raise ConfigError(f"{str(target)!r} is the report itself; name another file: -o FILE.html")
    shown = printable(str(file))
    store = workbench.store.url
    found = filled(text, blocks(text, shown), lambda line, words: _answer(words, store, f"{shown}:{line}"), file.stem)
    footer = f"anew {anew.__version__}, {store}, {datetime.now().astimezone():%Y-%m-%d %H:%M %Z}"
    _write(target, page(found, file.parent, footer).encode())
    say(printable(str(target)))
    if freeze:
        for drawn, picture in found.pictures.items():
            _write(file.parent / drawn, picture)
        frozen = file.with_suffix(".frozen.md")
        _write(frozen, found.text.encode())
        say(printable(str(frozen)))


def _write(path: Path, data: bytes) -> None:
    try:
        replace_whole(path, data)
    except ValueError:  # NUL in its name
        raise ConfigError(f"{str(path)!r} is no name of a file.") from None
    except StoreError as error:
        reason = error.__cause__.strerror if isinstance(error.__cause__, OSError) else str(error)
        raise ConfigError(f"{str(path)!r} cannot be written: {reason}. To write elsewhere: -o FILE.html") from error


def _text(file: Path) -> str:
    try:
        return read_regular(file, _MOST_BYTES).decode()
    except (FileNotFoundError, NotADirectoryError):
        raise ConfigError(f"There is no file {str(file)!r}.") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{str(file)!r} is no text in UTF-8 ({error.reason} at byte {error.start}).") from None
    except OSError as error:
        raise cannot("read", file, error) from error
    except ValueError:  # NUL in its name
        raise ConfigError(f"{str(file)!r} is no name of a file.") from None


def _answer(words: tuple[str, ...], store: str, place: str) -> Answer:
    """Return what a command shows, in a process of its own, as when it is typed. Raises ConfigError where it fails."""
    form = COMMANDS[words[0]]
    with tempfile.TemporaryDirectory(prefix="anew-report-") as folder:
        picture = Path(folder) / "plot.svg"
        more = ["--svg", str(picture)] if form is None else list(form)
        done = subprocess.run(
            [sys.executable, "-c", _ANEW, *words, *more, "--store", store],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            encoding="utf-8",
            errors="backslashreplace",
            check=False,
        )
        if done.returncode and not (words[0] == "why" and done.stdout):
            why = " ".join(done.stderr.split()).removeprefix("anew: ") or f"exit code {done.returncode}"
            raise ConfigError(f"{place}: {why}")
        if form is None:
            return Answer(picture=picture.read_bytes())
    return Answer(markdown_table(csv.reader(io.StringIO(done.stdout))) if "--csv" in form else done.stdout)
