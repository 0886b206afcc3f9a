"""What a shell is offered after `anew run`: its options, files, and a program's parameters with what they may be."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress

from click.shell_completion import CompletionItem

from anew.runner.errors import AnewError
from anew.runner.program.parameters import Parameter
from anew.runner.program.reading import read_target
from anew.runner.program.words import Asked, asked

_BEFORE = {
    "-m": "a module, or before -- a sweep",
    "--trace": "have strace tell which files all processes of it open",
    "--autolog": "notice what libraries fit and train",
    "--metrics": "auto: metrics from what is printed",
    "--metric": "a metric from what is printed: 'acc=accuracy: (\\S+)'",
    "--artifacts": "files that it writes: 'out/*.png'",
    "--config": "a file whose keys are parameters",
    "--name": "what its runs are filed under",
}
_AFTER = {
    "-m": "a sweep",
    "-q": "say nothing but what it prints",
    "--params": "list its parameters, and run nothing",
    "--help": "its parameters, and what it says of them",
    "--": "words as they are",
}
_FILES = [CompletionItem("", type="file")]


def offered(words: Sequence[str], incomplete: str) -> list[CompletionItem]:
    """
    Return what may follow *words*; nothing of a program is run for it.

    A shell that takes `=` for a word of its own (bash) has a value completed alone, any other with its name.
    """
    try:
        wanted = asked(words)
    except AnewError:
        return _before(words, incomplete)
    with suppress(AnewError):  # there may be no such program
        return _after(wanted, incomplete)
    return []


def _before(words: Sequence[str], incomplete: str) -> list[CompletionItem]:
    last = words[-1] if words else ""
    if last == "--metrics":
        return _beginning({"auto": ""}, incomplete)
    if last in ("--metric", "--artifacts", "--name"):
        return []
    return _beginning(_BEFORE, incomplete) if incomplete.startswith("-") else _FILES


def _after(wanted: Asked, incomplete: str) -> list[CompletionItem]:
    if wanted.command is not None or "--" in wanted.after:
        return _FILES
    if incomplete.startswith("-"):
        return _beginning(_AFTER, incomplete)
    found = read_target(wanted.target, is_module=wanted.is_module, config=wanted.config).found.by_name
    name, mark, begun = incomplete.partition("=")
    if mark:
        return _beginning({f"{name}={each}": "" for each in _values(found.get(name))}, incomplete)
    # options before the program are among the overrides, at their end
    before = [each for each in wanted.overrides if each != "=" and not each.startswith("anew.")]
    if before and before[-1] in found:
        return _beginning(dict.fromkeys(_values(found[before[-1]]), ""), begun or incomplete)
    return _beginning({f"{each.name}=": each.help or each.type for each in found.values()}, incomplete)


def _values(parameter: Parameter | None) -> Iterable[str]:
    if parameter is None:
        return ()
    return map(str, parameter.choices) if parameter.choices else ("true", "false") if parameter.type == "bool" else ()


def _beginning(offers: dict[str, str], incomplete: str) -> list[CompletionItem]:
    return [CompletionItem(each, help=why or None) for each, why in offers.items() if each.startswith(incomplete)]
