"""Configuration files in YAML. Values are replaced where they stand, so that comments, order and anchors stay."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import cache
from typing import Any

from anew.runner.program.configured.forms import Path, Read, Span, UnreadableError

_PLAIN = re.compile(r"[A-Za-z_][\w./-]*", re.ASCII)
# YAML 1.2 and OmegaConf take it for a number, PyYAML does not: what it is to be called is what a user means by it
_FLOAT = re.compile(r"[-+]?(?:\d[\d_]*(?:\.\d*)?|\.\d+)[eE][-+]?\d+")
_COMMENT = re.compile(r"(?m)(?:^|[ \t])#.*$")


class Yaml:
    """The form YAML."""

    def read(self, text: str) -> Read:
        """Return what a text says. Raises UnreadableError."""
        import yaml

        try:
            loader = _loader()(text)
            try:
                node = loader.get_single_node()
                data = None if node is None else loader.construct_document(node)
            finally:
                loader.dispose()
        except yaml.composer.ComposerError as error:
            raise UnreadableError(f"it holds more than one document, or an alias of nothing: {_said(error)}") from None
        except (yaml.YAMLError, ValueError, RecursionError, TypeError) as error:
            raise UnreadableError(_said(error)) from None
        if data is None:
            return Read({})
        if not isinstance(data, Mapping):
            raise UnreadableError("it holds no names at its top, as in lr: 0.1")
        spans: dict[Path, Span] = {}
        lines: dict[Path, int] = {}
        _add_spans(node, (), spans, lines, text, set())
        return Read(data, spans, lines)

    def written(self, value: Any, was: str) -> str:
        """Return a value as it is written in place of the text *was*."""
        if isinstance(value, str) and was[:1] == "'" and "\n" not in value:
            return "'" + value.replace("'", "''") + "'"
        is_quoted = was[:1] == '"'
        # a block or folded text, and a list or dict in lines, is followed by the next key
        before, after = " " if was[:1] in (" ", "\n", "\r", "\t") else "", "\n" if was.endswith("\n") else ""
        return f"{before}{_flow(value, is_quoted)}{after}"

    def whole(self, data: Mapping[str, Any], text: str) -> str | None:
        """Return all of *data*; comments are lost."""
        import yaml

        try:
            # an own copy of each: what is the same object would come out as an alias
            plain = json.loads(json.dumps(data))
        except (TypeError, ValueError):
            return None
        return str(yaml.safe_dump(plain, sort_keys=False, allow_unicode=True))


@cache
def _loader() -> Any:
    """Return a loader that takes 1e-3 for a number, and leaves tags of the program's own alone."""
    import yaml

    class Loader(yaml.SafeLoader):
        pass

    Loader.yaml_implicit_resolvers = {
        first: list(known) for first, known in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }
    for first in "-+0123456789.":
        known = Loader.yaml_implicit_resolvers.setdefault(first, [])
        known.insert(0, ("tag:yaml.org,2002:float", re.compile(f"^(?:{_FLOAT.pattern})$")))
    Loader.add_multi_constructor("!", lambda loader, tag, node: Tagged(yaml.serialize(node)))
    return Loader


class Tagged:
    """A value with a tag of the program's own, which only that can read."""

    def __init__(self, said: str) -> None:
        self._said = said

    def __repr__(self) -> str:
        return self._said


def _said(error: Exception) -> str:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or str(error)
    return f"{problem}, line {mark.line + 1}" if mark is not None else str(problem)


def _add_spans(
    node: Any, above: Path, spans: dict[Path, Span], lines: dict[Path, int], text: str, seen: set[int]
) -> None:
    for key, value in node.value:
        if key.id != "scalar" or key.tag == "tag:yaml.org,2002:merge":
            continue
        path = (*above, str(key.value))
        lines[path] = key.start_mark.line + 1
        # what an alias means stands where its anchor is, and would change there
        if id(value) in seen:
            continue
        seen.add(id(value))
        end = _end(value)
        between = _COMMENT.sub("", text[key.end_mark.index : value.start_mark.index])
        # an anchor or a tag
        if not between.strip(": \n\t\r") and value.id in ("scalar", "sequence"):
            start = _start(key, value, text)
            spans[path] = Span(start, end)
        if value.id == "mapping":
            _add_spans(value, path, spans, lines, text, seen)


def _start(key: Any, value: Any, text: str) -> int:
    """Return where a value begins: after the colon, where a list stands in lines of its own."""
    if value.id == "sequence" and not value.flow_style:
        return text.index(":", key.end_mark.index) + 1
    return int(value.start_mark.index)


def _end(node: Any) -> int:
    """Return where a node ends, without the comments that follow a list in lines."""
    if node.id == "sequence" and not node.flow_style and node.value:
        return _end(node.value[-1])
    if node.id == "mapping" and not node.flow_style and node.value:
        return _end(node.value[-1][1])
    return int(node.end_mark.index)


def _flow(value: Any, is_quoted: bool = False) -> str:
    if isinstance(value, str):
        return value if not is_quoted and _is_plain(value) else json.dumps(value, ensure_ascii=False)
    if isinstance(value, float):
        return _number(value)
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(_flow(each) for each in value)}]"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_flow(str(key))}: {_flow(each)}" for key, each in value.items()) + "}"
    return json.dumps(value)


def _number(value: float) -> str:
    text = repr(value)
    if text in ("inf", "-inf", "nan"):
        return text.replace("inf", ".inf").replace("nan", ".nan")
    # 1e-05 is a text to YAML 1.1, which PyYAML reads; 1.0e-05 is a number to all
    return text if "e" not in text or "." in text else text.replace("e", ".0e")


def _is_plain(text: str) -> bool:
    if not _PLAIN.fullmatch(text):
        return False
    return isinstance(_loader()(text).get_single_data(), str)
