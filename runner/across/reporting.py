"""Reports made: their blocks answered by processes of our own, and the whole as one HTML file."""

from __future__ import annotations

import csv
import io
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path

import anew
from anew.runner.across.report import COMMANDS, Answer, Filled, blocks, filled, markdown_table, page
from anew.runner.dataclass import dataclass
from anew.runner.errors import ConfigError

# what lies in the working directory is no part of it
_ANEW = "import sys; sys.path[:1] = []; from anew.runner.cli import main; sys.exit(main())"


Tell = Callable[[str], object]


def _silent(text: str) -> None:
    """Say nothing."""


@dataclass(frozen=True, slots=True)
class Patience:
    """
    How long a report is waited for.

    Attributes:
        each_s: How long each command may take, in seconds; None for as long as it does.
        before: Called before each, and raises where nobody waits any more.
    """

    each_s: float | None = None
    before: Callable[[], object] = lambda: None


def made(
    text: str, file: Path, *, name: str, store: str, patience: Patience | None = None, tell: Tell = _silent
) -> tuple[Filled, str]:
    """
    Return a report with what its blocks show in their places, and as one HTML file.

    Args:
        text: The report.
        file: Where it lies, or would: pictures below its folder are taken in.
        name: What messages call it.
        store: The URL of the store that is asked.
        patience: How long it is waited for.
        tell: Is told, once each, what the commands remark beside their answers.

    Raises:
        ConfigError: A block says what is no command for a report, a command fails, or takes too long.
    """
    patience = patience or Patience()
    told: set[str] = set()

    def answer(line: int, words: tuple[str, ...]) -> Answer:
        patience.before()
        found, remarks = _answer(words, store, f"{name}:{line}", patience.each_s)
        for each in remarks:
            if each not in told:
                told.add(each)
                tell(each)
        return found

    found = filled(text, blocks(text, name), answer, file.stem)
    footer = f"anew {anew.__version__}, {store}, {datetime.now().astimezone():%Y-%m-%d %H:%M %Z}"
    return found, page(found, file.parent, footer)


def _answer(words: tuple[str, ...], store: str, place: str, patience_s: float | None) -> tuple[Answer, Sequence[str]]:
    """
    Return what a command shows, in a process of its own, as when it is typed, and the lines that it says beside it.

    Raises:
        ConfigError: It fails.
    """
    form = COMMANDS[words[0]]
    with tempfile.TemporaryDirectory(prefix="anew-report-") as folder:
        picture = Path(folder) / "plot.svg"
        more = ["--svg", str(picture)] if form is None else list(form)
        try:
            done = subprocess.run(
                [sys.executable, "-c", _ANEW, *words, *more, "--store", store],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                encoding="utf-8",
                errors="backslashreplace",
                check=False,
                timeout=patience_s,
            )
        except subprocess.TimeoutExpired:
            raise ConfigError(f"{place}: It took longer than {patience_s:g} s; typed in a terminal it may.") from None
        except ValueError:
            raise ConfigError(f"{place}: There is a NUL in it, which no command can have.") from None
        if done.returncode and not (words[0] == "why" and done.stdout):
            why = " ".join(done.stderr.split()).removeprefix("anew: ") or f"exit code {done.returncode}"
            raise ConfigError(f"{place}: {why}")
        if form is None:
            return Answer(picture=picture.read_bytes()), done.stderr.splitlines()
    text = markdown_table(csv.reader(io.StringIO(done.stdout))) if "--csv" in form else done.stdout
    return Answer(text), done.stderr.splitlines()
