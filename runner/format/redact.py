"""Keep secrets out of every store.

Three ways a secret is known: the name it goes by (`password`, `api_key`, ...), the form it has (a password in a
URL, the published prefixes of common access tokens), and its value, once one of the other two gave it away.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import unquote

REDACTED = "<redacted>"
_SHORTEST_SECRET = 6

_SECRET_NAME = re.compile(
    r"(?:^|.*[_.\-])(?:"
    r"passwords?|passwd|passphrase|pwd|secrets?|secret[_-]?key|client[_-]?secret|credentials?|"
    r"api[_-]?keys?|access[_-]?keys?(?:[_-]id)?|account[_-]?key|private[_-]?key|signing[_-]?key|encryption[_-]?key|"
    r"(?:auth|access|api|bearer|refresh|session|bot|personal|deploy|hf|hub|github|gitlab|gh|slack|npm|pypi)[_-]?token|"
    r"webhook(?:[_-]url)?|authorization"
    r")$|^token$",
    re.IGNORECASE,
)
_SECRET_VARIABLE = re.compile(r"(?:^|_)(?:KEY|TOKEN|PASS|PASSWORD|PASSWD|SECRET|CREDENTIALS?|DSN)$", re.IGNORECASE)
_URL_PASSWORD = re.compile(r"(?P<head>\b[a-zA-Z][a-zA-Z0-9+.\-]*://[^\s/:@'\"]*:)(?P<secret>[^\s@/'\"]+)(?=@)")
_URL_QUERY = re.compile(
    r"(?P<head>[?&](?:access_token|token|api_key|apikey|key|password|secret|sig|signature)=)(?P<secret>[^&\s'\"#]+)",
    re.IGNORECASE,
)
_KNOWN_FORM = re.compile(
    r"\b(?:AKIA[0-9A-Z]{16}|gh[pousr]_[A-Za-z0-9]{36,}|github_pat_[A-Za-z0-9_]{40,}|glpat-[A-Za-z0-9_\-]{20,}|"
    r"xox[abpr]-[A-Za-z0-9\-]{10,}|hf_[A-Za-z0-9]{30,}|sk-[A-Za-z0-9_\-]{32,}|"
    r"eyJ[A-Za-z0-9_\-]{10,}\.eyJ[A-Za-z0-9_\-]{10,}\.[A-Za-z0-9_\-]{10,})"
)
# says where a secret is, not what it is
_REFERENCE = re.compile(r"""['"]?\$\{[\w.:]+\}['"]?""")
_OVERRIDE = re.compile(r"(?P<head>[+~\-]*(?P<key>[A-Za-z_][\w.@/\-]*)=)(?P<secret>.+)", re.DOTALL)

_YAML_LINE = re.compile(r"(?P<head>\s*(?:- )*['\"]?(?P<key>[\w.\-]+)['\"]?:\s+)(?P<value>\S.*)")

_NO_SECRET_NAMES = ("PWD",)
_YAML_ITEM = re.compile(r"(?P<head>\s*- ['\"]?)(?P<value>[^\s=:]+=.*)")
_NO_SECRET = ("${", "'${", '"${', "null", "???")


def is_secret_name(name: str) -> bool:
    """Whether values of this name are secrets: `db.password`, `OPENAI_API_KEY`; but not `pad_token` or `sort_key`."""
    last = name.rpartition(".")[2]
    return name not in _NO_SECRET_NAMES and any(_SECRET_NAME.match(part) for part in (name, last))


def redact_text(text: str) -> str:
    """Return *text* without passwords in URLs and without tokens of well-known form."""
    if "://" in text:
        text = _URL_PASSWORD.sub(_keep_head, text)
        text = _URL_QUERY.sub(_keep_head, text)
    return _KNOWN_FORM.sub(REDACTED, text)


def redact_name_value(name: str, value: str) -> str:
    """Return the value of an environment variable as it may be stored."""
    if value and (is_secret_name(name) or _SECRET_VARIABLE.search(name)):
        return REDACTED
    return redact_text(value)


def _keep_head(match: re.Match[str]) -> str:
    return match["head"] + REDACTED


def secrets_in(value: Any, name: str = "") -> Iterator[str]:
    """Yield the secrets in a tree of plain values: what stands under a secret name, and passwords in URLs."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from secrets_in(item, str(key))
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from secrets_in(item, name)
    elif isinstance(value, str):
        if is_secret_name(name):
            yield value
        for pattern in (_URL_PASSWORD, _URL_QUERY):
            for match in pattern.finditer(value):
                yield match["secret"]
                yield unquote(match["secret"])


class Redactor:
    """
    Redaction with a memory: what was once seen to be a secret is replaced wherever it turns up later.

    Values shorter than six characters are only replaced under their own name, since replacing every "1234" in a log
    would do more harm than good. Threads may share one after `learn` was called for the last time.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._secrets: set[str] = set()
        self._pattern: re.Pattern[str] | None = None
        self.learn(secrets)

    @classmethod
    def of_environment(cls, environ: Mapping[str, str] | None = None) -> Redactor:
        """Return one that knows the values of variables with secret names, and the passwords in URLs among them."""
        redactor = cls()
        for name, value in (os.environ if environ is None else environ).items():
            if is_secret_name(name) or _SECRET_VARIABLE.search(name):
                redactor.learn([value])
            elif "://" in value:
                redactor.learn(match["secret"] for match in _URL_PASSWORD.finditer(value))
        return redactor

    @property
    def secrets(self) -> tuple[str, ...]:
        """The values known to be secret, longest first."""
        return tuple(sorted(self._secrets, key=len, reverse=True))

    def learn(self, secrets: Iterable[str]) -> None:
        """Remember values to be replaced from now on."""
        fresh = {secret for secret in secrets if len(secret) >= _SHORTEST_SECRET and secret != REDACTED}
        if fresh <= self._secrets:
            return
        self._secrets |= fresh
        self._pattern = re.compile("|".join(re.escape(secret) for secret in self.secrets))

    def text(self, text: str) -> str:
        """Return *text* with every known secret replaced."""
        text = redact_text(text)
        return self._pattern.sub(REDACTED, text) if self._pattern else text

    def value(self, value: Any, name: str = "") -> Any:
        """Return a tree of plain values with secrets replaced; what stands under a secret name is remembered."""
        if isinstance(value, Mapping):
            return {key: self.value(item, str(key)) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return type(value)(self.value(item, name) for item in value)
        if name and is_secret_name(name) and isinstance(value, (str, int, bytes)) and not isinstance(value, bool):
            return self._learned(value)
        if isinstance(value, str):
            self.learn(match["secret"] for match in _URL_PASSWORD.finditer(value))
            return self.text(value)
        return value

    def _learned(self, value: str | int | bytes) -> Any:
        if value in ("", b"", "???"):
            return value
        if isinstance(value, str):
            self.learn([value])
        return REDACTED

    def yaml(self, text: str) -> str:
        """Return YAML text with what stands under a secret name replaced; interpolations stay."""
        lines: list[str] = []
        hidden_below: int | None = None
        for line in text.split("\n"):
            indent = len(line) - len(line.lstrip())
            if hidden_below is not None and (not line.strip() or indent > hidden_below):
                continue
            hidden_below = None
            match = _YAML_LINE.fullmatch(line)
            if (
                match
                and is_secret_name(match["key"])
                and not match["value"].startswith(("${", "null", "'${", '"${', "???"))
            ):
                hidden_below = indent
                line = match["head"] + f"'{REDACTED}'"
            elif item := _YAML_ITEM.fullmatch(line):
                line = item["head"] + self.argument(item["value"])
            lines.append(self.text(line))
        return "\n".join(lines)

    def argument(self, argument: str) -> str:
        """Return a word such as `db.password=x`, `+db.url=..` or `--token=x` as it may be stored; references stay."""
        match = _OVERRIDE.fullmatch(argument)
        if match and is_secret_name(match["key"].lstrip("-")) and not _REFERENCE.fullmatch(match["secret"]):
            self._learned(match["secret"].strip("'\""))
            return match["head"] + REDACTED
        return str(self.value(argument))

    def arguments(self, arguments: Sequence[str]) -> tuple[str, ...]:
        """Return a command line as it may be stored; the word after `--password` is a secret too."""
        result: list[str] = []
        for before, argument in zip(("", *arguments), arguments, strict=False):
            if before.startswith("--") and "=" not in before and is_secret_name(before[2:]):
                self._learned(argument)
                result.append(REDACTED)
            else:
                result.append(self.argument(argument))
        return tuple(result)


def has_known_form(text: str) -> bool:
    """Whether there is a token of well-known form in *text*."""
    return _KNOWN_FORM.search(text) is not None
