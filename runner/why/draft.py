"""A mixture of two records under way: the good run's, into which differences of the bad one are taken over."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from anew.runner.format.override_text import key_of
from anew.runner.records import ContentRef, EnvironmentFacts, RunRecord
from anew.runner.why.hunks import Change

ABSENT: Any = object()
KeyPath = tuple[Any, ...]
Put = Callable[[bytes], str]


class Draft:
    """
    What a trial is run from. Made for one trial, in one thread.

    Attributes:
        inputs: Path -> content; also of what the bad run alone read, since a configuration may lead there.
    """

    def __init__(self, good: RunRecord, bad: RunRecord) -> None:
        self._good, self._bad = good, bad
        self._config: dict[str, Any] = copy.deepcopy(dict(good.config))
        self._overrides = list(good.overrides)
        self._choices = dict(good.choices)
        self._files = {file.path: file for file in good.source.files}
        self._hunks: dict[str, tuple[Change, set[int]]] = {}
        self.inputs = {**{file.path: file for file in bad.inputs}, **{file.path: file for file in good.inputs}}
        self._environment = good.environment
        self._seed, self._seeds = good.seed, good.seeds

    # --- what is taken over ---------------------------------------------------------------------------------------

    def put_config(self, path: KeyPath, value: Any) -> None:
        """Give a key another value, or take it away; what was typed for it goes with it."""
        self._retype(".".join(map(str, path)))
        node: Any = self._config
        for key in path[:-1]:
            node = node.setdefault(key, {})
        if value is ABSENT:
            node.pop(path[-1], None)
        else:
            node[path[-1]] = copy.deepcopy(value)

    def put_choice(self, group: str, path: KeyPath) -> None:
        """Take over what was chosen of a config group, and all that stands below it."""
        self._retype(group)
        self._choices.pop(group, None)
        if group in self._bad.choices:
            self._choices[group] = self._bad.choices[group]
        self.put_config(path, at(self._bad.config, path))

    def put_file(self, path: str, file: ContentRef | None) -> None:
        """Add a file to the source, take another in its place, or take it away."""
        if file is None:
            self._files.pop(path, None)
        else:
            self._files[path] = file

    def put_hunk(self, path: str, change: Change, index: int) -> None:
        """Take a piece of a file's change over."""
        self._hunks.setdefault(path, (change, set()))[1].add(index)

    def put_input(self, path: str, file: ContentRef) -> None:
        """Take an input's content over."""
        self.inputs[path] = file
        if path in self._files:
            self._files[path] = file

    def put_package(self, name: str, version: str | None, origin: str | None) -> None:
        """Have a distribution be of another version, or not there."""
        facts = self._facts()
        packages, origins = dict(facts.packages), dict(facts.origins)
        for known, value in ((packages, version), (origins, origin)):
            if value is None:
                known.pop(name, None)
            else:
                known[name] = value
        self._environment = replace(facts, packages=packages, origins=origins)

    def put_python(self) -> None:
        """Have it run on the bad run's Python."""
        bad = self._bad.environment
        if bad is not None:
            self._environment = replace(
                self._facts(), python=bad.python, implementation=bad.implementation, executable=bad.executable
            )

    def put_variable(self, name: str, value: str | None, *, threads: bool) -> None:
        """Set a variable of the environment, or a thread count, or have it unset."""
        facts = self._facts()
        if threads:
            self._environment = replace(facts, threads={**facts.threads, name: value})
            return
        variables = {each: known for each, known in facts.variables.items() if each != name}
        if value is not None:
            variables[name] = value
        self._environment = replace(facts, variables=variables)

    def put_seed(self) -> None:
        """Draw what the bad run drew."""
        self._seed, self._seeds = self._bad.seed, self._bad.seeds
        if "seed" in self._good.config and "seed" in self._bad.config:
            self.put_config(("seed",), self._bad.config["seed"])

    # --- what comes of it -----------------------------------------------------------------------------------------

    def record(self, put: Put) -> RunRecord:
        """
        Return the record of the mixture, in which everything but what was taken over is the good run's.

        Args:
            put: Keeps content, and returns its digest.
        """
        for path, (change, taken) in self._hunks.items():
            data = change.with_hunks(taken).encode()
            self._files[path] = replace(self._files[path], sha256=put(data), size=len(data), kept=True)
        return replace(
            self._good,
            config=self._config,
            overrides=tuple(self._overrides),
            choices=self._choices,
            source=replace(self._good.source, files=tuple(self._files.values())),
            inputs=tuple(self.inputs.values()),
            environment=self._environment,
            seed=self._seed,
            seeds=self._seeds,
        )

    def _facts(self) -> EnvironmentFacts:
        assert self._environment is not None  # else there is nothing of it that differs
        return self._environment

    def _retype(self, key: str) -> None:
        """Have the bad run's overrides of a key stand in the place of the good one's."""
        self._overrides = [each for each in self._overrides if not _is_of(each, key)]
        self._overrides += [each for each in self._bad.overrides if _is_of(each, key)]


def _is_of(override: str, key: str) -> bool:
    typed = key_of(override) or override.lstrip("+~").partition("=")[0]
    return typed == key or typed.startswith(f"{key}.")


def at(values: Mapping[Any, Any], path: Sequence[Any]) -> Any:
    """Return what stands in nested mappings at a path; ABSENT where nothing does."""
    found: Any = values
    for key in path:
        if not isinstance(found, Mapping) or key not in found:
            return ABSENT
        found = found[key]
    return found
