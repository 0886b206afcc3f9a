"""
A report: Markdown in which some blocks are what one would type after `anew`, and what they show stands in their place.

Markdown is read and written as HTML by markdown-it-py; HTML in it stays text, so that a report runs nothing.
"""

from __future__ import annotations

import base64
import html
import mimetypes
import shlex
from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

from anew.runner.dataclass import dataclass
from anew.runner.errors import ConfigError
from anew.runner.lazy.patterns import regexp
from anew.runner.wording import nearest

WORD = "anew"
# command -> what has it answer in a form that a report can hold; None where it is a picture
COMMANDS: Mapping[str, tuple[str, ...] | None] = {
    "list": ("--markdown",),
    "compare": ("--csv",),
    "why": ("--markdown",),
    "plot": None,
}
# what writes or removes something, or gives another form
_REFUSED = ("--save", "--forget", "--png", "--svg", "--json", "--csv", "--markdown", "--store")
_MOST_BYTES = 1 << 25
_TIME = regexp(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[.\d]*Z")
_LONG_NUMBER = regexp(r"-?\d+\.\d{6,}(?:e[+-]?\d+)?")
_STYLE = """
:root { color-scheme: light dark; --line: #8885; --dim: #777; }
body { font: 16px/1.6 system-ui, sans-serif; max-width: 52rem; margin: 2rem auto; padding: 0 1rem; }
h1, h2, h3 { line-height: 1.25; margin: 2em 0 .6em; } h1 { margin-top: 0; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .9rem; }
table { display: block; overflow-x: auto; }
th, td { padding: .25rem .7rem; border-bottom: 1px solid var(--line); text-align: left; white-space: nowrap; }
pre, code { font-family: ui-monospace, monospace; font-size: .9em; } pre { overflow-x: auto; }
img { max-width: 100%; background: #fff; border-radius: 4px; } blockquote { color: var(--dim); margin-left: 1rem; }
footer { color: var(--dim); font-size: .85rem; border-top: 1px solid var(--line); }
footer { margin-top: 3rem; padding-top: .5rem; }
"""


@dataclass(frozen=True, slots=True)
class Block:
    """
    A block that asks something.

    Attributes:
        first: Its first line in the file, from 0, with the fence.
        end: The line behind its last one.
        commands: Line from 1, and the words of each command in it.
    """

    first: int
    end: int
    commands: tuple[tuple[int, tuple[str, ...]], ...]


@dataclass(frozen=True, slots=True)
class Answer:
    """What a command showed: Markdown, or a picture as SVG."""

    text: str = ""
    picture: bytes | None = None


def blocks(text: str, name: str) -> list[Block]:
    """
    Return the blocks of a report that ask something.

    Args:
        text: The report.
        name: What messages call it.

    Raises:
        ConfigError: One of them says what is no command, or is none for reports.
    """
    found = []
    for token in _reader().parse(text):
        if token.type == "fence" and token.info.split()[:1] == [WORD] and token.map:
            first, end = token.map
            lines = enumerate(token.content.splitlines(), first + 2)
            commands = tuple((number, _words(line, f"{name}:{number}")) for number, line in lines if _asks(line))
            found.append(Block(first, end, commands))
    return found


def _asks(line: str) -> bool:
    return bool(line.strip()) and not line.lstrip().startswith("#")


def _words(line: str, place: str) -> tuple[str, ...]:
    try:
        words = shlex.split(line)
    except ValueError as error:
        raise ConfigError(f"{place}: {line.strip()!r} is no command: {error}.") from None
    if words[:1] == ["$"]:
        words = words[1:]
    if words[:1] == [WORD]:
        words = words[1:]
    command = words[0] if words else ""
    if command not in COMMANDS:
        raise ConfigError(
            f"{place}: {command!r} is no command for a report; {', '.join(COMMANDS)} are.{nearest(command, COMMANDS)}"
        )
    for word in words:
        if word.partition("=")[0] in _REFUSED:
            raise ConfigError(f"{place}: {word} has no place in a report, which decides itself how that is shown.")
    # as its first word, since further on it could be the value of another option
    if command == "why" and words[1:2] != ["--show"]:
        raise ConfigError(f"{place}: A report begins no search; to show one: why --show N")
    return tuple(words)


def filled(text: str, asking: list[Block], answer: Callable[[int, tuple[str, ...]], Answer], stem: str) -> Filled:
    """
    Put what blocks show in their places.

    Args:
        text: The report.
        asking: Its blocks.
        answer: Gives what a command shows; it is told the line, too.
        stem: What the names of pictures begin with.

    Raises:
        AnewError: As *answer*.
    """
    lines, pictures = text.splitlines(), dict[str, bytes]()
    parts: dict[int, list[str]] = {}
    for block in asking:
        for line, words in block.commands:
            shown = answer(line, words)
            if shown.picture is not None:
                name = f"{stem}-{len(pictures) + 1}.svg"
                pictures[name] = shown.picture
                shown = Answer(f"![{html.escape(shlex.join(words))}]({name})")
            parts.setdefault(block.first, []).append(shown.text.strip())
    for block in reversed(asking):
        lines[block.first : block.end] = "\n\n".join(parts.get(block.first, [])).splitlines()
    return Filled("\n".join(lines) + "\n", pictures)


@dataclass(frozen=True, slots=True)
class Filled:
    """A report without anything that asks: Markdown, and pictures by the names that stand in it."""

    text: str
    pictures: Mapping[str, bytes]


def page(report: Filled, folder: Path, footer: str) -> str:
    """
    Return a report as one HTML file that asks no other one, and no other host.

    Args:
        report: What it says.
        folder: Where the pictures lie that it names itself; none outside of it is taken in.
        footer: What stands below.
    """
    reader = _reader()
    reader.add_render_rule("image", _image(report.pictures, folder))
    tokens = reader.parse(report.text)
    for before, token in pairwise(tokens):
        if before.type == "td_open" and len(token.children or ()) == 1:
            token.children[0].content = _short(token.children[0].content)
    titles = [after.content for token, after in pairwise(tokens) if token.type == "heading_open"]
    body = reader.renderer.render(tokens, reader.options, {})
    policy = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
    return (
        f'<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{html.escape(titles[0] if titles else 'Report')}</title>\n<style>{_STYLE}</style>\n"
        f"<main>\n{body}</main>\n<footer>{html.escape(footer)}</footer>\n</html>\n"
    )


def _short(text: str) -> str:
    """Return a number or a time as people read it; the Markdown has all of it."""
    if _TIME.fullmatch(text):
        return f"{text[:10]} {text[11:16]}"
    return f"{float(text):.6g}" if _LONG_NUMBER.fullmatch(text) else text


def _image(pictures: Mapping[str, bytes], folder: Path) -> Callable[..., str]:
    def drawn(renderer: Any, tokens: Any, index: int, options: Any, env: Any) -> str:
        token = tokens[index]
        name, text = str(token.attrs.get("src", "")), html.escape(token.content)
        data = pictures.get(name) or _content(folder, name)
        if data is None:
            return f"<em>{text} ({html.escape(name)})</em>"
        kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
        return f'<img alt="{text}" src="data:{kind};base64,{base64.b64encode(data).decode()}">'

    return drawn


def _content(folder: Path, name: str) -> bytes | None:
    """Return a picture that lies below the report's folder; None for any other."""
    path = (folder / name).resolve()
    kind = mimetypes.guess_type(name)[0] or ""
    if not kind.startswith("image/") or not path.is_relative_to(folder.resolve()) or not path.is_file():
        return None
    return path.read_bytes() if path.stat().st_size <= _MOST_BYTES else None


def _reader() -> Any:
    from markdown_it import MarkdownIt

    return MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"])


def markdown_table(rows: Iterator[list[str]]) -> str:
    """Return rows, the first of them the header, as a table in Markdown."""
    lines = ["| " + " | ".join(_cell(each) for each in row) + " |" for row in rows]
    if lines:
        lines.insert(1, "|" + " --- |" * (lines[0].count(" | ") + 1))
    return "\n".join(lines)


def _cell(text: str) -> str:
    return " ".join(text.replace("\\", "\\\\").replace("|", "\\|").split())
