"""The OpenAPI of the page's interface, made of the table of what can be asked."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, get_origin

import msgspec
from starlette.responses import Response

import anew
from anew.runner.server.routes import Asked, Way

_IN_PATH = re.compile(r"{(\w+)(?::\w+)?}")
_REF = "#/components/schemas/{name}"


class Problem(msgspec.Struct):
    """
    What was wrong.

    Attributes:
        hint: What would be right.
        start, end: Where in a filter.
    """

    message: str
    hint: str | msgspec.UnsetType = msgspec.UNSET
    start: int | msgspec.UnsetType = msgspec.UNSET
    end: int | msgspec.UnsetType = msgspec.UNSET


class Failure(msgspec.Struct):
    """The answer to what cannot be answered."""

    error: Problem


def openapi(ways: Iterable[Way], streams: Iterable[tuple[str, type[Asked], str]]) -> dict[str, Any]:
    """
    Return the description, as JSON values.

    Args:
        ways: What can be asked.
        streams: Path, what is asked, and what it is, of what answers as a stream of events.
    """
    ways = list(ways)
    streams = list(streams)
    answers = [way.answer for way in ways if _is_shape(way.answer)]
    kinds = [Failure, *answers, *(way.asked for way in ways), *(asked for _, asked, _ in streams)]
    _, components = msgspec.json.schema_components(list(dict.fromkeys(kinds)), ref_template=_REF)
    paths: dict[str, dict[str, Any]] = {}
    for way in ways:
        path = _IN_PATH.sub(r"{\1}", way.path)
        paths.setdefault(path, {})[way.method.lower()] = _operation(way, components)
    for path, asked, what in streams:
        content = {"text/event-stream": {"schema": {"type": "string"}}}
        responses = {"200": {"description": what, "content": content}, **_failures()}
        paths[path] = {
            "get": {"summary": what, "parameters": _parameters(path, asked, components), "responses": responses}
        }
    return {
        "openapi": "3.1.0",
        "info": {"title": "Anew", "version": anew.__version__},
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{"token": []}],
    }


def _is_shape(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)


def _operation(way: Way, components: dict[str, Any]) -> dict[str, Any]:
    summary = (way.handler.__doc__ or "").strip()
    operation: dict[str, Any] = {
        "summary": summary,
        "operationId": f"{way.method.lower()}_{way.handler.__name__}_{len(way.path)}",
        "responses": {"200": {"description": summary, "content": _content(way)}, **_failures()},
    }
    if way.method == "GET":
        operation["parameters"] = _parameters(way.path, way.asked, components)
        return operation
    schema = dict(components[way.asked.__name__])
    in_path = _IN_PATH.findall(way.path)
    operation["parameters"] = [each for each in _parameters(way.path, way.asked, components) if each["in"] == "path"]
    schema["properties"] = {name: each for name, each in schema["properties"].items() if name not in in_path}
    schema["required"] = [name for name in schema.get("required", []) if name not in in_path]
    schema["additionalProperties"] = False
    operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": schema}}}
    return operation


def _content(way: Way) -> dict[str, Any]:
    kind = way.answer
    if _is_shape(kind) and not issubclass(kind, Response):
        return {"application/json": {"schema": {"$ref": _REF.format(name=kind.__name__)}}}
    if get_origin(kind) is dict or kind is dict:
        return {"application/json": {"schema": {"type": "object"}}}
    return {"*/*": {"schema": {}}}


def _failures() -> dict[str, Any]:
    content = {"application/json": {"schema": {"$ref": _REF.format(name="Failure")}}}
    told = {
        "400": "It cannot be understood.",
        "401": "The token is missing.",
        "403": "That is not allowed here.",
        "404": "There is none.",
        "405": "That is not asked so.",
        "408": "It took too long to be sent.",
        "409": "The state of things does not allow it.",
        "413": "It is too large.",
        "415": "It is no JSON.",
        "421": "The server does not go by that name.",
    }
    return {status: {"description": text, "content": content} for status, text in told.items()}


def _parameters(path: str, asked: type[Asked], components: dict[str, Any]) -> list[dict[str, Any]]:
    schema = components[asked.__name__]
    in_path = _IN_PATH.findall(path)
    return [
        {
            "name": name,
            "in": "path" if name in in_path else "query",
            "required": name in in_path or name in schema.get("required", []),
            "schema": each,
        }
        for name, each in schema["properties"].items()
    ]
