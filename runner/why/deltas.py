"""What differs between two runs, cut into pieces of which each can be taken over alone."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Protocol

from anew.runner.dataclass import dataclass
from anew.runner.errors import AnewError
from anew.runner.format.redact import REDACTED
from anew.runner.format.values import exact_form, plain
from anew.runner.records import ContentRef, RunRecord
from anew.runner.why.draft import ABSENT, Draft, KeyPath, at
from anew.runner.why.hunks import Change, Hunk, changed, moves

KINDS = ("config", "source", "packages", "inputs", "seed", "variables", "python")
"""What `--only` names; each but the first two is one kind of difference."""
_KIND_OF = {
    "config": "config",
    "choice": "config",
    "file": "source",
    "hunk": "source",
    "package": "packages",
    "input": "inputs",
    "seed": "seed",
    "variable": "variables",
    "python": "python",
}
_MOST_TEXT_BYTES = 1 << 20
_REFERENCE = re.compile(r"\$\{([A-Za-z_][\w.]*)\}")
# said by every process for itself
_OF_ANEW = re.compile(r"ANEW_.*")

Apply = Callable[[Draft], None]


class Contents(Protocol):
    """Where the contents of a store are."""

    def open(self, sha256: str) -> Any:
        """Open content for reading."""
        ...

    def has(self, sha256: str) -> bool:
        """Whether it is there."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Delta:
    """
    One difference between two runs.

    Attributes:
        n: Its number, from 1.
        kind: "config", "choice", "file", "hunk", "input", "package", "seed", "variable" or "python".
        what: A key (`config.opt.lr`), a group, a path, `path:line` of a hunk, a distribution or a variable.
        was: What it is in the good run, a JSON value; None where it is not there.
        now: What it is in the bad one.
        lines: Of a hunk, over how many lines of the bad run's text it goes.
    """

    n: int
    kind: str
    what: str
    was: Any
    now: Any
    apply: Apply
    lines: int = 0

    @property
    def group(self) -> str:
        """Which of `KINDS` it is one of."""
        return _KIND_OF[self.kind]

    def to_json(self) -> dict[str, Any]:
        """Return it as `--json` shows it."""
        return {name: plain(getattr(self, name)) for name in ("n", "kind", "what", "was", "now")}


@dataclass(frozen=True, slots=True)
class Differences:
    """
    All differences of two runs.

    Attributes:
        deltas: In the order of `KINDS`.
        left_out: What differs, too, and cannot be taken over, and why, a sentence each.
    """

    deltas: tuple[Delta, ...]
    left_out: tuple[str, ...]


def differences(good: RunRecord, bad: RunRecord, objects: Contents, only: Collection[str] = KINDS) -> Differences:
    """
    Return what makes a run another, in pieces; what is neither on record nor can be taken over is left out, and said.

    Args:
        good: One run.
        bad: The other.
        objects: The contents of both.
        only: The kinds that are wanted, of `KINDS`.
    """
    cut = _Cut(good, bad, objects)
    cut.compare_commands()
    found = [delta for kind in KINDS if kind in only for delta in cut.of(kind)]
    numbered = (replace(delta, n=number) for number, delta in enumerate(found, start=1))
    return Differences(tuple(numbered), tuple(cut.left_out))


class _Cut:
    """Two records, being compared."""

    def __init__(self, good: RunRecord, bad: RunRecord, objects: Contents) -> None:
        self._good, self._bad, self._objects = good, bad, objects
        self.left_out: list[str] = []
        read = {file.path for file in (*good.inputs, *bad.inputs)}
        # a file that is both is what main read: one thing, which is taken over once
        self._inputs = {side: {file.path: file for file in run.inputs} for side, run in (("was", good), ("now", bad))}
        self._files = {
            side: {file.path: file for file in run.source.files if file.path not in read}
            for side, run in (("was", good), ("now", bad))
        }

    def of(self, kind: str) -> Iterator[Delta]:
        """Yield the differences of one kind."""
        cutters: dict[str, Callable[[], Iterator[Delta]]] = {
            "config": self._of_config,
            "source": self._of_source,
            "packages": self._of_packages,
            "inputs": self._of_inputs,
            "seed": self._of_seed,
            "variables": self._of_variables,
            "python": self._of_python,
        }
        yield from cutters[kind]()

    def compare_commands(self) -> None:
        """Leave out, and say, that another main was started: trials start the good run's."""
        was, now = ((run.command.target, run.command.function, run.command.options) for run in (self._good, self._bad))
        if was != now:
            told = [" ".join(filter(None, (*options, target, function))) for target, function, options in (was, now)]
            self.left_out.append(f"What was started differs ({told[0]} and {told[1]}); trials start the first.")

    # --- configuration --------------------------------------------------------------------------------------------

    def _of_config(self) -> Iterator[Delta]:
        chosen = list(self._choices())
        yield from (
            _delta("choice", group, was, now, partial(_choose, group, path)) for group, path, was, now in chosen
        )
        below = [path for _, path, _, _ in chosen]
        changed_keys = [
            path
            for path in _changed_keys(self._good.config, self._bad.config, ())
            if not any(path[: len(each)] == each for each in below) and not self._is_seed(path)
        ]
        followers = self._followers(changed_keys)
        for path in changed_keys:
            if any(path in each for each in followers.values()):
                continue
            was, now = at(self._good.config, path), at(self._bad.config, path)
            name = f"config.{'.'.join(map(str, path))}"
            if REDACTED in f"{was}{now}":
                self.left_out.append(f"{name} is a secret, which is not kept on record.")
                continue
            values = {each: at(self._bad.config, each) for each in (path, *followers.get(path, ()))}
            yield _delta("config", name, was, now, partial(_configure, values))

    def _choices(self) -> Iterator[tuple[str, KeyPath, Any, Any]]:
        """Yield the config groups of which another option was chosen, with where the option stands."""
        for group in dict.fromkeys((*self._good.choices, *self._bad.choices)):
            was, now = self._good.choices.get(group), self._bad.choices.get(group)
            name, _, package = group.partition("@")
            path = tuple((package or name.replace("/", ".")).split("."))
            both = at(self._good.config, path), at(self._bad.config, path)
            if was != now and both[0] is not both[1] and exact_form(_known(both[0])) != exact_form(_known(both[1])):
                yield group, path, was, now

    def _is_seed(self, path: KeyPath) -> bool:
        return path == ("seed",) and self._good.config.get("seed") == self._good.seed and self._differs_in_seed()

    def _differs_in_seed(self) -> bool:
        return self._good.seed != self._bad.seed

    def _followers(self, keys: Sequence[KeyPath]) -> dict[KeyPath, list[KeyPath]]:
        """Return for each key those that were not typed or written anew, but only refer to it."""
        sources = [_parsed(run.provenance.unresolved) for run in (self._good, self._bad)]
        found: dict[KeyPath, list[KeyPath]] = {}
        for path in keys:
            texts = [at(each, path) for each in sources]
            if not isinstance(texts[0], str) or texts[0] != texts[1]:
                continue
            named = [tuple(name.split(".")) for name in _REFERENCE.findall(texts[0])]
            leader = next((each for each in keys if each != path and each in named), None)
            if leader is not None:
                found.setdefault(leader, []).append(path)
        return found

    # --- files ----------------------------------------------------------------------------------------------------

    def _of_source(self) -> Iterator[Delta]:
        was, now = self._files["was"], self._files["now"]
        hunks: list[tuple[str, Change, int, Hunk]] = []
        for path in sorted({*was, *now}):
            old, new = was.get(path), now.get(path)
            if old is not None and new is not None and _content(old) == _content(new):
                continue
            if lacking := [file for file in (old, new) if file is not None and not self._is_kept(file)]:
                self.left_out.append(f"{lacking[0].path} differs, and is on record by its digest alone.")
            elif change := self._change(old, new):
                hunks += [(path, change, index, hunk) for index, hunk in enumerate(change.hunks)]
            else:
                name = partial(_replace_file, path, new)
                yield _delta("file", path, old and old.sha256, new and new.sha256, name)
        yield from _hunks(hunks)

    def _is_kept(self, file: ContentRef) -> bool:
        return file.link is not None or (file.kept and self._objects.has(file.sha256))

    def _change(self, old: ContentRef | None, new: ContentRef | None) -> Change | None:
        """Return what differs between two texts; None for what is no text, or is another kind of file."""
        if old is None or new is None or old.link is not None or new.link is not None or old.mode != new.mode:
            return None
        texts = self._text(old), self._text(new)
        return None if texts[0] is None or texts[1] is None else changed(texts[0], texts[1])

    def _text(self, file: ContentRef) -> str | None:
        if file.size > _MOST_TEXT_BYTES:
            return None
        try:
            with self._objects.open(file.sha256) as content:
                text: str = content.read().decode("utf-8")
        except (AnewError, OSError, UnicodeDecodeError):
            return None
        return None if "\0" in text else text

    def _of_inputs(self) -> Iterator[Delta]:
        was, now = self._inputs["was"], self._inputs["now"]
        for path in sorted({*was} & {*now}):
            old, new = was[path], now[path]
            if old.sha256 == new.sha256:
                continue
            if lacking := [file for file in (old, new) if not self._is_kept(file)]:
                self.left_out.append(f"The input {lacking[0].path} differs, and is on record by its digest alone.")
            else:
                yield _delta("input", path, old.sha256, new.sha256, partial(_replace_input, path, new))

    # --- surroundings ---------------------------------------------------------------------------------------------

    def _of_packages(self) -> Iterator[Delta]:
        good, bad = self._good.environment, self._bad.environment
        if good is None or bad is None:
            return
        for name in sorted({*good.packages, *bad.packages}):
            was, now = good.packages.get(name), bad.packages.get(name)
            if was == now or name.lower() == "anew":
                continue
            if origin := good.origins.get(name) or bad.origins.get(name):
                self.left_out.append(f"{name} differs ({was} and {now}), and came from {origin}.")
                continue
            yield _delta("package", name, was, now, partial(_replace_package, name, now))

    def _of_python(self) -> Iterator[Delta]:
        good, bad = self._good.environment, self._bad.environment
        if good is not None and bad is not None and good.python != bad.python:
            yield _delta("python", "python", good.python, bad.python, Draft.put_python)

    def _of_seed(self) -> Iterator[Delta]:
        if self._differs_in_seed():
            yield _delta("seed", "seed", self._good.seed, self._bad.seed, Draft.put_seed)

    def _of_variables(self) -> Iterator[Delta]:
        good, bad = self._good.environment, self._bad.environment
        if good is None or bad is None:
            return
        for threads, was, now in ((False, good.variables, bad.variables), (True, good.threads, bad.threads)):
            known: list[Mapping[str, str | None]] = [was, now]
            for name in sorted({*known[0], *known[1]}):
                old, new = (each.get(name) for each in known)
                if old == new or _OF_ANEW.fullmatch(name) or REDACTED in f"{old}{new}":
                    continue
                yield _delta("variable", name, old, new, partial(_set_variable, name, new, threads))


def _delta(kind: str, what: str, was: Any, now: Any, apply: Apply, lines: int = 0) -> Delta:
    return Delta(n=0, kind=kind, what=what, was=_known(was), now=_known(now), apply=apply, lines=lines)


def _known(value: Any) -> Any:
    return None if value is ABSENT else value


def _changed_keys(was: Mapping[Any, Any], now: Mapping[Any, Any], above: KeyPath) -> Iterator[KeyPath]:
    """Yield the paths of values that differ; a list is one value, and so is what is a mapping on one side alone."""
    for key in dict.fromkeys((*was, *now)):
        old, new = was.get(key, ABSENT), now.get(key, ABSENT)
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            yield from _changed_keys(old, new, (*above, key))
        elif old is ABSENT or new is ABSENT or exact_form(old) != exact_form(new):
            yield (*above, key)


def _parsed(text: str) -> Mapping[str, Any]:
    import yaml

    try:
        found = yaml.safe_load(text)
    except yaml.YAMLError:  # a tag of Python's, which is not read
        return {}
    return found if isinstance(found, Mapping) else {}


def _content(file: ContentRef) -> tuple[Any, ...]:
    return file.sha256, file.link, file.mode


def _hunks(found: Sequence[tuple[str, Change, int, Hunk]]) -> Iterator[Delta]:
    """Yield hunks as differences; one that takes lines away that another adds goes with it."""
    together: dict[int, int] = dict(moves([hunk for _, _, _, hunk in found]))
    second = set(together.values())
    for number, (_, _, _, hunk) in enumerate(found):
        if number in second:
            continue
        members = [found[each] for each in (number, together.get(number)) if each is not None]
        what = " and ".join(f"{each[0]}:{each[3].line}" for each in members)
        was = "".join(line for each in members for line in each[3].was)
        now = "".join(line for each in members for line in each[3].now)
        taken = [(each[0], each[1], each[2]) for each in members]
        yield _delta("hunk", what, was, now, partial(_take_hunks, taken), lines=hunk.last - hunk.line + 1)


# --- taking over ---------------------------------------------------------------------------------------------------


def _choose(group: str, path: KeyPath, draft: Draft) -> None:
    draft.put_choice(group, path)


def _configure(values: Mapping[KeyPath, Any], draft: Draft) -> None:
    for path, value in values.items():
        draft.put_config(path, value)


def _replace_file(path: str, file: ContentRef | None, draft: Draft) -> None:
    draft.put_file(path, file)


def _take_hunks(hunks: Iterable[tuple[str, Change, int]], draft: Draft) -> None:
    for path, change, index in hunks:
        draft.put_hunk(path, change, index)


def _replace_input(path: str, file: ContentRef, draft: Draft) -> None:
    draft.put_input(path, file)


def _replace_package(name: str, version: str | None, draft: Draft) -> None:
    draft.put_package(name, version, None)


def _set_variable(name: str, value: str | None, threads: bool, draft: Draft) -> None:
    draft.put_variable(name, value, threads=threads)
