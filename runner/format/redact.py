"""Keep secrets out of every store.

Three ways a secret is known: the name it goes by (`password`, `api_key`, ...), the form it has (a password in a
URL, the published prefixes of common access tokens), and its value, once one of the other two gave it away. Names and
forms are looked at in values, where these are, before they become text of any kind: a tree of plain values, the values
in an override, the scalars of a YAML document.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from anew.runner.format.any_of import any_of
from anew.runner.format.override_text import key_of, spots
from anew.runner.format.pairs import before, beside, told
from anew.runner.format.secret_forms import (
    REDACTED,
    REFERENCE,
    is_secret,
    is_secret_name,
    is_secret_variable,
    is_token_of,
    name_parts,
    redact_text,
    secret_forms,
)
from anew.runner.format.yaml_scalars import NoYamlError, Scalar, replaced
from anew.runner.kernel.variables import variables
from anew.runner.lazy.patterns import regexp

__all__ = ["REDACTED", "Redactor", "is_secret_name", "redact_name_value", "redact_text", "secrets_in"]

_SHORTEST_SECRET = 6
_LONG_WORD = 8
_REMEMBERED = 256
_MOST_REMEMBERED = 4096
_MOST_DOCUMENTS = 16
_MOST_COMMANDS = 16
_NO_VALUE = regexp(r"(?i)null|true|false|[+-]?[0-9]*\.[0-9]+(?:e[+-]?[0-9]+)?")
# what is no secret although it stands below `credentials:`
_BESIDE = frozenset(
    {
        *("algorithm", "account_name", "backend", "class", "email", "enabled", "file", "filename", "host", "hostname"),
        *("kind", "method", "mode", "name", "path", "port", "profile", "project", "project_id", "provider", "realm"),
        *("region", "scheme", "scope", "scopes", "service", "source", "type", "url", "user", "user_name", "username"),
        *("_target_", "~enum", "backend_type", "store"),
    }
)
_PLAIN_HEADERS = frozenset({"accept", "accept-encoding", "content-type", "user-agent"})
_HOOK_CLASS = regexp(r"(?i).*webhook\w*")


def redact_name_value(name: str, value: str) -> str:
    """Return the value of an environment variable as it may be stored."""
    if value and (is_secret_variable(name) or is_secret(name, value)):
        return REDACTED
    return redact_text(value)


def secrets_in(value: Any, name: str = "") -> Iterator[str]:
    """Yield the secrets in a tree of plain values: what stands under a secret name, and what is one by its form."""
    for names, item in _leaves(value, (name,) if name else ()):
        is_number = isinstance(item, int) and not isinstance(item, bool)
        if (is_number or isinstance(item, str)) and _is_hidden(names, item) and _is_hunted(names, str(item)):
            yield str(item)
        if isinstance(item, str):
            yield from _found_forms(item)


def _is_hunted(names: Sequence[str], secret: str) -> bool:
    """Whether a secret is to be replaced elsewhere: one that is a word of its own name would take out that name."""
    return secret.lower() not in name_parts(tuple(names))


def _leaves(value: Any, names: tuple[str, ...], is_item: bool = False) -> Iterator[tuple[tuple[str, ...], Any]]:
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _leaves(item, _below(names, str(key), value))
    elif isinstance(value, (list, tuple, set, frozenset)):
        for item, below in _items(value, names, is_item):
            yield from _leaves(item, below, True)
    else:
        yield names, value


def _items(value: Iterable[Any], names: tuple[str, ...], is_item: bool) -> Iterator[tuple[Any, tuple[str, ...]]]:
    items = list(value)
    for index, item in enumerate(items):
        yield item, (*names, *before(items, index, is_nested=is_item))


def _below(names: tuple[str, ...], key: str, value: Mapping[Any, Any]) -> tuple[str, ...]:
    """Return the names that stand above what is under *key*; of an observer's webhook the URL itself is the secret."""
    target = value.get("_target_") if key == "url" else None
    if isinstance(target, str) and _HOOK_CLASS.fullmatch(target.rpartition(".")[2]):
        return (*names, "webhook_url")
    return (*names, key, *beside(key, value.get))


def _is_hidden(names: Sequence[str], value: Any) -> bool:
    """Whether a value is a secret by the names above it: its own, or that of what it is a part of."""
    if type(value) is str and len(value) <= _REMEMBERED:
        return _is_hidden_text(tuple(names), value)
    return _is_under_secret(names, value)


# Runs of one process are alike: most of their texts, and those of Hydra's own part, have been looked at before.


@lru_cache(maxsize=_MOST_REMEMBERED)
def _is_hidden_text(names: tuple[str, ...], value: str) -> bool:
    return _is_under_secret(names, value)


@lru_cache(maxsize=_MOST_REMEMBERED)
def _forms_in(text: str) -> tuple[str, ...]:
    return tuple(secret_forms(text))


@lru_cache(maxsize=_MOST_REMEMBERED)
def _without_forms(text: str) -> str:
    return redact_text(text)


# of a long text: the diff of a repository, which takes milliseconds, is that of many runs
_long_without_forms = lru_cache(maxsize=4)(redact_text)


def _found_forms(text: str) -> Iterable[str]:
    """Return the secrets that `redact_text` takes out."""
    return _forms_in(text) if len(text) <= _REMEMBERED else secret_forms(text)


def _is_under_secret(names: Sequence[str], value: Any) -> bool:
    if not names or isinstance(value, bool) or not isinstance(value, (str, int, bytes)):
        return False
    if value == b"" if isinstance(value, bytes) else value in ("", "???"):
        return False
    if isinstance(value, str) and (REFERENCE.fullmatch(value) or value == REDACTED):
        return False
    if is_secret(names[-1], value) or (isinstance(value, str) and is_token_of(*((" ", *names)[-2:]))):
        return True
    if names[-1].lower() == "url" and any(map(_is_hook, names[-2:-1])):
        return True
    # `credentials: {user: .., value: ..}`: all of it; but a hook has settings beside its URL
    if names[-1].lower() in _BESIDE:
        return False
    if isinstance(value, str) and "headers" in names[:-1] and any(map(_is_hook, names[:-1])):
        return names[-1].lower() not in _PLAIN_HEADERS
    return any(is_secret_name(each) and not _is_hook(each) for each in names[:-1])


def _is_hook(name: str) -> bool:
    return "webhook" in name.lower() or ("hook" in name.lower() and is_secret_name(name))


class _Pattern(NamedTuple):
    """What finds known secrets in a text, and which these are."""

    secrets: frozenset[str]
    words: dict[str, str]
    compiled: re.Pattern[str] | None


class Redactor:
    """
    Redaction with a memory: what was once seen to be a secret is replaced wherever it turns up later.

    Values shorter than six characters are only replaced under their own name, since replacing every "1234" in a log
    would do more harm than good. Threads may share one; of what two of them learn at the same moment one may be lost.

    Attributes:
        clean: Names, of metrics, that were looked at and hold no secret that is known now.
        learnt: How often something has been learnt.

    Args:
        secrets: What is known to be secret.
        digest: Makes a short keyed digest of a secret, for `told_apart`; empty, or None, where there is no key.
    """

    def __init__(self, secrets: Iterable[str] = (), *, digest: Callable[[str], str] | None = None) -> None:
        self._secrets: frozenset[str] = frozenset()
        self._words: dict[str, str] = {}
        self._pattern = _Pattern(self._secrets, self._words, None)
        self._digest = digest
        self._documents: dict[str, str] = {}
        self.learnt = 0
        self.clean: set[str] = set()
        self.learn(secrets)

    @classmethod
    def of_environment(
        cls, environ: Mapping[str, str] | None = None, *, digest: Callable[[str], str] | None = None
    ) -> Redactor:
        """Return one that knows the values of variables with secret names, and secrets in others by their form."""
        return cls(_in_variables(tuple((variables() if environ is None else environ).items())), digest=digest)

    @property
    def secrets(self) -> tuple[str, ...]:
        """The values known to be secret, longest first."""
        return tuple(sorted(self._secrets, key=len, reverse=True))

    def learn(self, secrets: Iterable[str]) -> None:
        """Remember values to be replaced from now on."""
        fresh = {secret for secret in secrets if len(secret) >= _SHORTEST_SECRET and REDACTED not in secret}
        # a key of several lines is printed line by line
        lines = {line for each in fresh if "\n" in each for line in each.split("\n")}
        fresh |= {line for line in lines if len(line) >= 2 * _SHORTEST_SECRET}
        if not fresh <= self._secrets:
            # a set of its own: another thread may be looking at the one before
            self._secrets = self._secrets | fresh
            self._forget()

    def _learn_words(self, words: Mapping[str, str]) -> None:
        """Remember whole words such as "password=1234", whose secret is too short to be replaced elsewhere."""
        if any(self._words.get(word) != shown for word, shown in words.items()):
            self._words = {**self._words, **words}
            self._forget()

    def _forget(self) -> None:
        self.clean.clear()
        self._documents.clear()
        self.learnt += 1

    def _known(self) -> re.Pattern[str] | None:
        """Return what finds all that is known now; made when it is asked for, since many may be learnt in a row."""
        secrets, words = self._secrets, self._words
        made = self._pattern
        if made.secrets is not secrets or made.words is not words:
            known = {*secrets, *words}
            compiled = re.compile(any_of(known, _ending)) if known else None
            self._pattern = made = _Pattern(secrets, words, compiled)
        return made.compiled

    def text(self, text: str) -> str:
        """Return *text* with every known secret replaced."""
        without_forms = _without_forms if len(text) <= _REMEMBERED else _long_without_forms
        return self._without_known(without_forms(text), lambda secret: REDACTED)

    def _replaced(self, text: str, show: Callable[[str], str]) -> str:
        return self._without_known(redact_text(text, show), show)

    def _without_known(self, text: str, show: Callable[[str], str]) -> str:
        pattern = self._known()
        if pattern is None:
            return text
        return pattern.sub(lambda match: self._words.get(match[0]) or show(match[0]), text)

    def told_apart(self, value: Any) -> Any:
        """
        Return a result or message as it may be kept: as `value` does, but so that two of them can be compared.

        In place of each secret stands "<redacted DIGEST>", by a key that is on no record: the same for the same
        secret and user. Where there is no key nothing is the same.
        """
        self.learn(secrets_in(value))
        return _mapped(value, (), self._marked)

    def _marked(self, names: tuple[str, ...], item: Any) -> Any:
        if _is_hidden(names, item):
            return self._mark(str(item))
        if self._is_known_number(item):
            return self._mark(str(item))
        return self._replaced(item, self._mark) if isinstance(item, str) else item

    def _mark(self, secret: str) -> str:
        digest = self._digest(secret) if self._digest is not None else ""
        return f"{REDACTED[:-1]} {digest or os.urandom(8).hex()}>"

    def named(self, values: Any) -> Any:
        """Return metrics with known secrets replaced in their names, at every depth; `clean` learns of the others."""
        if not isinstance(values, Mapping):
            return values
        for name, value in values.items():
            if isinstance(name, str) and not isinstance(value, Mapping) and self.text(name) == name:
                self.clean.add(name)
        return {
            self.text(name) if isinstance(name, str) and name not in self.clean else name: self.named(value)
            for name, value in values.items()
        }

    def value(self, value: Any, name: str = "") -> Any:
        """Return a tree of plain values with secrets replaced; what stands under a secret name is remembered."""
        self.learn(secrets_in(value, name))
        return _mapped(value, (name,) if name else (), self._item)

    def _item(self, names: tuple[str, ...], item: Any) -> Any:
        if _is_hidden(names, item) or self._is_known_number(item):
            return REDACTED
        return self.text(item) if isinstance(item, str) else item

    def _is_known_number(self, item: Any) -> bool:
        return isinstance(item, int) and not isinstance(item, bool) and str(item) in self._secrets

    def texts(self, value: Any) -> Any:
        """Return a tree of plain values with known secrets replaced in its texts and keys; names say nothing here."""
        return _mapped(value, (), lambda _, item: self.text(item) if isinstance(item, str) else item)

    def yaml(self, text: str) -> str:
        """
        Return a YAML document with its secrets replaced, scalar by scalar; everything else stays as it is written.

        References stay. Of what is no YAML nothing is kept.
        """
        if (known := self._documents.get(text)) is not None:
            return known
        before = self.learnt
        try:
            found = replaced(text, self._scalars)
        except NoYamlError:
            return f"# left out: it cannot be read, and may hold secrets\n{REDACTED!r}\n"
        if len(self._documents) >= _MOST_DOCUMENTS:
            self._documents.clear()
        # Hydra writes each of its files twice; where nothing was learnt from one, it comes out the same
        self._documents[text] = found
        if self.learnt != before:
            self._documents.pop(text, None)
        return found

    def _scalars(self, scalars: Sequence[Scalar]) -> list[str]:
        found: list[str] = []
        cuts = [_cut_scalar(scalar, found) for scalar in scalars]
        return self._shown([scalar.value for scalar in scalars], cuts, found)

    def _shown(self, values: Sequence[str], cuts: Sequence[str], found: Iterable[str]) -> list[str]:
        """
        Return what is to stand in the place of values.

        All of them were looked at before: what a later one gives away may stand in an earlier one.

        Args:
            values: As they were.
            cuts: The same, without what is secret by its name.
            found: The secrets in all of them.
        """
        self.learn(found)
        hidden = [cut if cut == REDACTED else self.text(cut) for cut in cuts]
        cut_up = ((value, shown) for value, cut, shown in zip(values, cuts, hidden, strict=True) if cut != value)
        self._learn_words({value.lstrip("+~"): shown.lstrip("+~") for value, shown in cut_up if shown != REDACTED})
        return [shown if shown == REDACTED else self.text(shown) for shown in hidden]

    def argument(self, argument: str) -> str:
        """Return a word such as `db.password=x`, `users=[{password:x}]` or `--token=x` as it may be stored."""
        found: list[str] = []
        cut = _cut(argument, found)
        return self._shown([argument], [cut], found)[0]

    def arguments(self, arguments: Sequence[str]) -> tuple[str, ...]:
        """Return a command line as it may be stored; the word after `--password` is a secret too."""
        result, secrets, words = _redacted(tuple(arguments), self._secrets, tuple(self._words.items()))
        self.learn(secrets)
        self._learn_words(dict(words))
        return result

    def _arguments(self, arguments: Sequence[str]) -> tuple[str, ...]:
        found: list[str] = []
        cuts: list[str] = []
        for earlier, argument in zip(("", *arguments), arguments, strict=False):
            is_flag = earlier.startswith("--") and "=" not in earlier and argument not in ("", REDACTED)
            if is_flag and (is_secret_name(earlier[2:]) or _is_hidden((earlier[2:],), argument)):
                found.append(argument)
                cuts.append(REDACTED)
            else:
                cuts.append(_cut(argument, found))
        return tuple(self._shown(arguments, cuts, found))


def _cut_scalar(scalar: Scalar, found: list[str]) -> str:
    """As `_cut`, of a scalar of a YAML document."""
    if _is_hidden(scalar.names, scalar.value):
        found += [scalar.value] if _is_hunted(scalar.names, scalar.value) else []
        return REDACTED
    if scalar.is_item and key_of(scalar.value):
        return _cut(scalar.value, found)
    found += _found_forms(scalar.value)
    return scalar.value


def _cut(argument: str, found: list[str]) -> str:
    """Return a word without the values that are secrets by the names above them; *found* learns of all its secrets."""
    found += _found_forms(argument)
    key, _, rest = argument.partition("=")
    names = tuple(part for part in re.split(r"[./@]", key_of(argument).lstrip("-")) if part)
    if names and rest and not _NO_VALUE.fullmatch(rest) and _is_hidden(names, rest):
        said = (rest, rest.strip("'\""), *_parts(argument))
        found += [each for each in said if _is_hunted(names, each)]
        return f"{key}={REDACTED}"
    pieces, end = [], 0
    for spot, beside_it in told(argument):
        value, above = argument[spot.start : spot.end], (*names, *spot.names[1:], *beside_it)
        if not _NO_VALUE.fullmatch(value) and _is_hidden(above, value):
            found += [value] if _is_hunted(above, value) else []
            pieces += [argument[end : spot.start], REDACTED]
            end = spot.end
    return "".join((*pieces, argument[end:]))


@lru_cache(maxsize=1)
def _in_variables(variables: tuple[tuple[str, str], ...]) -> tuple[str, ...]:
    """Return the secrets in an environment, which is the same for many runs of a process."""
    found: list[str] = []
    for name, value in variables:
        if is_secret_variable(name) or is_secret(name, value):
            # `POSTGRES_PASSWORD=postgres` of a developer's machine says nothing of a host of that name
            if not (value.isalpha() and len(value) < _LONG_WORD) and _is_hunted((name,), value):
                found.append(value)
        elif "://" in value:
            found += secret_forms(value)
    return tuple(found)


def _ending(secret: str) -> str:
    """Return what has to hold where a known text ends: a number is none that has more digits."""
    return rf"(?<![0-9.]{secret})(?![0-9])" if secret.isdecimal() else ""


def _parts(argument: str) -> Iterator[str]:
    """Yield the values of an override one by one: of a sweep over passwords each."""
    return (argument[spot.start : spot.end] for spot in spots(argument))


@lru_cache(maxsize=_MOST_COMMANDS)
def _redacted(
    arguments: tuple[str, ...], secrets: frozenset[str], words: tuple[tuple[str, str], ...]
) -> tuple[tuple[str, ...], frozenset[str], tuple[tuple[str, str], ...]]:
    """Return a command line as it may be stored, and all that is known then: the jobs of a sweep have the same one."""
    redactor = Redactor()
    redactor._secrets, redactor._words = secrets, dict(words)
    return redactor._arguments(arguments), redactor._secrets, tuple(redactor._words.items())


def _mapped(
    value: Any, names: tuple[str, ...], change: Callable[[tuple[str, ...], Any], Any], is_item: bool = False
) -> Any:
    """Return a tree with its leaves and the texts of its keys changed."""
    if isinstance(value, str):  # as most are, and quicker to tell than what is none
        return change(names, value)
    if isinstance(value, Mapping):
        return {
            change((), key) if isinstance(key, str) else key: _mapped(item, _below(names, str(key), value), change)
            for key, item in value.items()
        }
    if type(value) in (list, tuple, set, frozenset):
        return type(value)(_mapped(item, below, change, True) for item, below in _items(value, names, is_item))
    return change(names, value)


def without_hidden(values: Mapping[str, Any], hidden: list[str], prefix: str = "") -> dict[str, Any]:
    """Return nested mappings without the values that a secret was taken out of; their names are added to *hidden*."""
    found: dict[str, Any] = {}
    for key, item in values.items():
        name = f"{prefix}{key}"
        if isinstance(item, Mapping):
            found[key] = without_hidden(item, hidden, f"{name}.")
        elif REDACTED in str(item):
            hidden.append(name)
        else:
            found[key] = item
    return found
