"""The OpenAPI document, made from the routes and completed with what FastAPI does not know of.

Which errors an operation has follows from what it is: signed in or not, with parameters, with ids,
with a body. So a new route has them without a word of its own. What a route has to say itself are
its operation id, its docstring, and bounds and examples of its fields; `api/http/fields.py` has
types that do, and `tests/api/openapi/test_openapi_rules.py` says what is missing.
"""

import json
import re
from collections.abc import Iterator, Mapping
from types import ModuleType
from typing import Any

from fastapi import FastAPI
from fastapi.routing import APIRoute
from pydantic.json_schema import models_json_schema

from api.openapi.components import (
    COMPONENTS,
    IDEMPOTENCY_KEY,
    IF_MATCH,
    IF_NONE_MATCH,
    POSITION,
    SCHEMAS,
    SIGNED_IN,
    ProblemDocument,
    headers_of,
    problem_responses,
)
from api.openapi.events import add_events
from api.openapi.examples import example_of
from telemetry.times import MAX_CHARACTERS

_ID = re.compile(r"\^[a-z]+_\[")
_LIST_OF = re.compile(r"ListOf[_\[]([A-Za-z]+?)(?:Item)?[_\]]")  # ListOf_AssetItem_ is AssetList

_MAX_INT64 = 2**63 - 1
_LIMITS = frozenset({"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"})


def tags_of(resources: tuple[ModuleType, ...]) -> list[dict[str, str]]:
    """Return the tag of each resource, described by the first paragraph of its module, or of the
    first of several.
    """
    described: dict[str, str] = {}
    for module in resources:
        paragraph = " ".join((module.__doc__ or "").partition("\n\n")[0].split())
        described.setdefault(module.router.tags[0], paragraph)
    return [{"name": name, "description": text} for name, text in described.items()]


def complete(app: FastAPI) -> dict[str, Any]:
    """Return the document of `app`, whose routes must all be there; kept by the application."""
    document = json.loads(_LIST_OF.sub(r"\1List", json.dumps(app.openapi())))
    app.openapi_schema = document
    document["info"] |= COMPONENTS["info"]
    document["servers"] = COMPONENTS["servers"]
    _, problems = models_json_schema(
        [(ProblemDocument, "serialization")], ref_template=SCHEMAS + "{model}"
    )
    components = document["components"]
    components["securitySchemes"]["bearer"]["description"] = COMPONENTS["bearer"]
    components["securitySchemes"]["password"] = COMPONENTS["password"]
    for unused in ("HTTPValidationError", "ValidationError"):  # FastAPI's own, never sent
        components["schemas"].pop(unused, None)
    components["schemas"] |= problems["$defs"]
    components["headers"] = COMPONENTS["headers"]
    components["responses"] = problem_responses()
    _name_bodies(document)
    add_events(document)
    for schema in _schemas(document):
        _bound(schema)
    history = _history(app)
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            if operation["operationId"] in history:
                operation["parameters"] = [*operation.get("parameters", ()), POSITION]
            _complete_operation(document, method, path, operation)
    return document


def _history(app: FastAPI) -> set[str]:
    """Return the ids of the operations that read history (`api.request.access.HistoryReader`)."""
    return {
        route.unique_id
        for route in app.routes
        if isinstance(route, APIRoute)
        and any(getattr(each.call, "reads_history", False) for each in route.dependant.dependencies)
    }


def _name_bodies(document: dict[str, Any]) -> None:
    """Name the schema of each body that a route describes itself, with a title."""
    for operations in document["paths"].values():
        for operation in operations.values():
            for content in operation.get("requestBody", {}).get("content", {}).values():
                if name := content["schema"].get("title"):
                    document["components"]["schemas"][name] = content["schema"]
                    content["schema"] = {"$ref": SCHEMAS + name}


def _complete_operation(
    document: Mapping[str, Any], method: str, path: str, operation: dict[str, Any]
) -> None:
    operation["summary"] = operation["summary"].capitalize()
    operation["description"] = " ".join(operation["description"].split())
    operation["security"] = list(SIGNED_IN) if operation.get("security") else []
    for parameter in operation.get("parameters", ()):
        parameter["schema"] = _without_null(parameter["schema"])
    good = {
        status: response
        for status, response in operation["responses"].items()
        if status.startswith("2")
    }
    for status, response in good.items():
        response["description"] = COMPONENTS["good"].get(status, response["description"])
        is_change = method != "get" and bool(operation["security"])
        response["headers"] = headers_of(status, is_change=is_change)
        if "{" not in path and "content" in response:
            place = "/id" if status == "201" else "/data/0/id"
            response["links"] = _links(document["paths"], path, place)
    conditions = _conditions(method, path, operation)
    if conditions:
        operation["parameters"] = [*operation.get("parameters", ()), *conditions]
    if IF_NONE_MATCH in conditions:
        good["304"] = {
            "description": "It is what If-None-Match has",
            "headers": headers_of("304"),
        }
    operation["responses"] = good | {
        str(status): {"$ref": f"#/components/responses/{COMPONENTS['problems'][status]['name']}"}
        for status in _error_statuses(document, method, operation)
    }
    for content in _contents(operation.get("requestBody", {})):
        shown = example_of(content["schema"], document, with_references=False)
        content.setdefault("example", shown)
    for response in operation["responses"].values():
        for content in _contents(response):
            content.setdefault("example", example_of(content["schema"], document))


def _links(paths: Mapping[str, Any], path: str, place: str) -> dict[str, Any]:
    """Return the links to what can be done with the thing whose id stands at `place`
    of the answer.
    """
    return {
        operation["operationId"]: {
            "operationId": operation["operationId"],
            "parameters": {"id": f"$response.body#{place}"},
        }
        for below, operations in paths.items()
        if below.startswith(path + "/{id}")
        for operation in operations.values()
    }


def _conditions(method: str, path: str, operation: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the headers that the operation heeds."""
    if method == "get":
        return [IF_NONE_MATCH]
    if not operation["security"]:
        return []
    single = path.startswith("/v1/organization") or path == "/v1/users/me"
    heeded = [IF_MATCH] if "{" in path or single else []
    return [*heeded, IDEMPOTENCY_KEY] if method == "post" else heeded


def _contents(holder: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield each body of a request or a response."""
    yield from (each for each in holder.get("content", {}).values() if "schema" in each)


def _error_statuses(
    document: Mapping[str, Any], method: str, operation: Mapping[str, Any]
) -> list[int]:
    statuses = {400, 414, 429, 431, 500, 503}
    if operation["security"]:
        statuses |= {401, 403}
    elif "requestBody" in operation:
        statuses |= {401}
    if "requestBody" in operation:
        statuses |= {413, 415, 422}
    if method != "get" and operation["security"]:
        statuses |= {409}
    parameters = operation.get("parameters", ())
    if IF_MATCH in parameters:
        statuses |= {412}
    if IDEMPOTENCY_KEY in parameters:
        statuses |= {422}
    if _takes_ids(document, operation) or "404" in operation["responses"]:
        statuses |= {404}
    if "406" in operation["responses"]:
        statuses |= {406}
    return sorted(statuses)


def _takes_ids(document: Mapping[str, Any], operation: Mapping[str, Any]) -> bool:
    """Return whether a parameter or a field of the body is an id."""
    taken: list[Any] = [parameter["schema"] for parameter in operation.get("parameters", ())]
    body = operation.get("requestBody", {})
    taken += [content["schema"] for content in body.get("content", {}).values()]
    text = json.dumps(taken)
    seen: set[str] = set()
    while names := set(re.findall(SCHEMAS + r"(\w+)", text)) - seen:
        seen |= names
        text += json.dumps([document["components"]["schemas"][name] for name in names])
    return _ID.search(text) is not None


def _without_null(schema: dict[str, Any]) -> dict[str, Any]:
    """Remove null from a parameter's schema: a parameter may be left out, and is never null."""
    kinds = [kind for kind in schema.get("anyOf", ()) if kind != {"type": "null"}]
    if len(kinds) != 1:
        return schema
    rest = {key: value for key, value in schema.items() if key != "anyOf"}
    return kinds[0] | rest


def _schemas(node: Any) -> Iterator[dict[str, Any]]:
    """Yield every schema below `node`: whatever says its type."""
    if isinstance(node, dict):
        if isinstance(node.get("type"), str):
            yield node
        for value in node.values():
            yield from _schemas(value)
    elif isinstance(node, list):
        for value in node:
            yield from _schemas(value)


def _bound(schema: dict[str, Any]) -> None:
    """Add bounds that hold for all values of a kind."""
    if schema["type"] == "integer":
        for name in _LIMITS & schema.keys():
            schema[name] = int(schema[name])  # FastAPI writes 1.0
        low, high = schema.get("minimum", -_MAX_INT64), schema.get("maximum", _MAX_INT64)
        schema.setdefault("format", "int32" if low >= -(2**31) and high < 2**31 else "int64")
    elif schema.get("format") == "date-time":
        schema.setdefault("maxLength", MAX_CHARACTERS)
