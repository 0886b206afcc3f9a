"""`anew report`."""

from __future__ import annotations

from pathlib import Path

import click

from anew.runner.across.reporting import made
from anew.runner.cli.context import Workbench, command
from anew.runner.cli.render import remark, say
from anew.runner.errors import ConfigError, StoreError
from anew.runner.store.files import cannot, read_regular, replace_whole
from anew.runner.wording import printable

_MOST_BYTES = 1 << 26


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
    found, page = made(text, file, name=shown, store=store, tell=remark)
    _write(target, page.encode())
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
