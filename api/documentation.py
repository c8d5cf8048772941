"""The OpenAPI document, made from the routes and completed with what FastAPI does not know of.

Which errors an operation has follows from what it is: signed in or not, with parameters, with ids,
with a body. So a new route has them without a word of its own. What a route has to say itself are
its operation id, its docstring, and bounds and examples of its fields; `api/fields.py` has types
that do, and `tests/api/test_documentation.py` says what is missing.
"""

import json
import re
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from types import ModuleType
from typing import Annotated, Any

from fastapi import FastAPI
from pydantic import BaseModel, ConfigDict, Field
from pydantic.json_schema import models_json_schema

from api.examples import example_of
from api.problems import MEDIA_TYPE

_SCHEMAS = "#/components/schemas/"
_ID = re.compile(r"\^[a-z]+_\[")
_LIST_OF = re.compile(r"ListOf_(\w+?)(?:Item)?_\b")  # ListOf_AssetItem_ is AssetList
_TIME_CHARACTERS = 40
_MAX_INT64 = 2**63 - 1

INFO: Mapping[str, Any] = {
    "description": (
        "GPS telemetry, geofences and field operations. Sign in at `/v1/auth/token` and send the"
        " token as `Authorization: Bearer ...`. Every error is a problem document (RFC 9457) with"
        " a stable `code`. Answers may get new fields; requests with unknown fields are refused."
    ),
    "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
    "contact": {"name": "OPS Companion"},
}
SERVERS = ({"url": "/", "description": "this installation (production)", "x-internal": "false"},)

_BEARER = (
    "A token of `/v1/auth/token`: a JWT, signed with Ed25519 and checked by the rules of RFC8725,"
    " so with a fixed algorithm, issuer, audience and lifetime. To a client it is opaque."
)

_GOOD = {
    "200": "What was asked for",
    "201": "It was made",
    "202": "It will be done",
    "204": "It was done",
}
# The name of the response, when it comes, and the code and sentence of its example.
_PROBLEMS: Mapping[int, tuple[str, str, str, str]] = {
    400: (
        "BadRequest",
        "An unknown parameter, a bad value of one, or a body that is not JSON",
        "unknown_parameter",
        "Known parameters: cursor, limit, offset.",
    ),
    401: (
        "Unauthorized",
        "Who asks is not known",
        "unauthorized",
        "A bearer token is needed in the Authorization header.",
    ),
    403: (
        "Forbidden",
        "Who asks is known, and may not",
        "forbidden",
        "The role viewer may not do this.",
    ),
    404: (
        "NotFound",
        "The organization has no such thing",
        "not_found",
        "There is no such asset.",
    ),
    409: (
        "Conflict",
        "It does not fit what is stored",
        "external_id_taken",
        "Another asset has this external_id.",
    ),
    412: (
        "PreconditionFailed",
        "It is not what If-Match, or If-None-Match, has",
        "precondition_failed",
        "It is not as If-Match has it: read it again.",
    ),
    413: (
        "BodyTooLarge",
        "The body is over its limit",
        "body_too_large",
        "The body may have 1048576 bytes.",
    ),
    415: (
        "UnsupportedMediaType",
        "The body is not called application/json",
        "not_json",
        "The Content-Type must be application/json.",
    ),
    422: (
        "UnprocessableContent",
        "A field that is unknown, cannot be written or has a bad value",
        "invalid_body",
        "The body is not valid.",
    ),
    429: (
        "TooManyRequests",
        "More at once, or in a minute, than is let in",
        "too_many_requests",
        "Too many requests: try again later.",
    ),
    500: (
        "InternalError",
        "A fault of ours",
        "internal_error",
        "The request failed through a fault of ours.",
    ),
    503: (
        "Unavailable",
        "The database cannot be reached or takes too long: try again",
        "unavailable",
        "The database cannot be reached or is busy.",
    ),
}
_HEADERS: Mapping[str, Mapping[str, Any]] = {
    "X-Request-Id": {
        "description": "of this request: the client's own, if it sent a short and plain one",
        "required": True,
        "schema": {"type": "string", "pattern": "^[A-Za-z0-9._-]{1,64}$", "maxLength": 64},
        "example": "0f8fad5bd9cb469fa16570867728950e",
    },
    "ETag": {
        "description": "the tag of what is shown, for If-Match and If-None-Match",
        "required": True,
        "schema": {"type": "string", "pattern": '^"[\\x21-\\x7e]*"$', "maxLength": 100},
        "example": '"3vYd8C0fX1q2Jt5bQm7R"',
    },
    "Location": {
        "description": "the path of what was made",
        "required": True,
        "schema": {"type": "string", "pattern": "^/v1/", "maxLength": 200},
        "example": "/v1/assets/ast_01jd8x0k2m4n6p8q0r2s4t6v8w",
    },
    "Retry-After": {
        "description": "seconds to wait before another try",
        "required": True,
        "schema": {"type": "integer", "format": "int32", "minimum": 0, "maximum": 86_400},
        "example": 1,
    },
    "WWW-Authenticate": {
        "description": "the scheme that is expected",
        "required": True,
        "schema": {"type": "string", "pattern": "^Bearer ", "maxLength": 200},
        "example": 'Bearer realm="ops-companion"',
    },
}
_HEADERS_OF = {
    "200": ("ETag",),
    "201": ("ETag", "Location"),
    "202": ("ETag",),
    "304": ("ETag",),
    "401": ("WWW-Authenticate",),
    "429": ("Retry-After",),
    "503": ("Retry-After",),
}

_TAGS = {"type": "string", "pattern": '^(\\*|"[\\x21\\x23-\\x7e]*")$', "maxLength": 100}
_IF_NONE_MATCH = {
    "name": "If-None-Match",
    "in": "header",
    "required": False,
    "description": "the ETag that the client has: 304 while it is the same",
    "schema": _TAGS,
    "example": _HEADERS["ETag"]["example"],
}
_IF_MATCH = {
    "name": "If-Match",
    "in": "header",
    "required": False,
    "description": "the ETag that the client has seen: 412 where it is another by now",
    "schema": _TAGS,
    "example": _HEADERS["ETag"]["example"],
}
_IDEMPOTENCY_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "done once for each key: who sends it again gets the same answer",
    "schema": {"type": "string", "pattern": "^[!#-+\\--~]+$", "maxLength": 255},
    "example": "6f1f5a52-0c1b-4f0e-9d0e-0a4b0e5f3c11",
}

_Text = Annotated[str, Field(max_length=10_000)]


class FaultItem(BaseModel):
    """One thing that is wrong."""

    message: Annotated[_Text, Field(examples=["There is no such parameter."])]
    pointer: _Text | None = Field(
        default=None, description="JSON pointer into the body", examples=["/name"]
    )
    parameter: _Text | None = Field(
        default=None, description="name of a query parameter", examples=["asset"]
    )


class ProblemDocument(BaseModel):
    """An error (RFC 9457). A problem with a geometry adds ring, vertex, position and repaired."""

    model_config = ConfigDict(extra="allow")

    type: Annotated[_Text, Field(examples=["about:blank"])]
    title: Annotated[_Text, Field(examples=["Bad Request"])]
    status: int = Field(ge=400, le=599, examples=[400])
    detail: Annotated[_Text, Field(examples=["The body is not valid."])]
    code: str = Field(
        description="stable, for programs",
        pattern="^[a-z][a-z0-9_]*$",
        max_length=100,
        examples=["invalid_body"],
    )
    errors: list[FaultItem] = Field(max_length=10_000)
    request_id: str = Field(
        pattern="^[A-Za-z0-9._-]+$",
        max_length=64,
        examples=[_HEADERS["X-Request-Id"]["example"]],
    )


def tags_of(resources: tuple[ModuleType, ...]) -> list[dict[str, str]]:
    """The tag of each resource, described by the first paragraph of its module, or of the first of
    several."""
    described: dict[str, str] = {}
    for module in resources:
        paragraph = " ".join((module.__doc__ or "").partition("\n\n")[0].split())
        described.setdefault(module.router.tags[0], paragraph)
    return [{"name": name, "description": text} for name, text in described.items()]


def complete(app: FastAPI) -> dict[str, Any]:
    """The document of `app`, whose routes must all be there; kept by the application."""
    document = json.loads(_LIST_OF.sub(r"\1List", json.dumps(app.openapi())))
    app.openapi_schema = document
    document["info"] |= INFO
    document["servers"] = list(SERVERS)
    _, problems = models_json_schema(
        [(ProblemDocument, "serialization")], ref_template=_SCHEMAS + "{model}"
    )
    components = document["components"]
    components["securitySchemes"]["bearer"]["description"] = _BEARER
    for unused in ("HTTPValidationError", "ValidationError"):  # FastAPI's own, never sent
        components["schemas"].pop(unused, None)
    components["schemas"] |= problems["$defs"]
    components["headers"] = dict(_HEADERS)
    components["responses"] = {
        name: _problem_response(status) for status, (name, *_) in _PROBLEMS.items()
    }
    _name_bodies(document)
    for schema in _schemas(document):
        _bound(schema)
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            _complete_operation(document, method, path, operation)
    return document


def _name_bodies(document: dict[str, Any]) -> None:
    """A body that a route describes itself, with a title, becomes a schema of that name."""
    for operations in document["paths"].values():
        for operation in operations.values():
            for content in operation.get("requestBody", {}).get("content", {}).values():
                if name := content["schema"].get("title"):
                    document["components"]["schemas"][name] = content["schema"]
                    content["schema"] = {"$ref": _SCHEMAS + name}


def _complete_operation(
    document: Mapping[str, Any], method: str, path: str, operation: dict[str, Any]
) -> None:
    operation["summary"] = operation["summary"].capitalize()
    operation["description"] = " ".join(operation["description"].split())
    operation.setdefault("security", [])
    for parameter in operation.get("parameters", ()):
        parameter["schema"] = _without_null(parameter["schema"])
    good = {
        status: response
        for status, response in operation["responses"].items()
        if status.startswith("2")
    }
    for status, response in good.items():
        response["description"] = _GOOD.get(status, response["description"])
        response["headers"] = _header_references(status)
    conditions = _conditions(method, path, operation)
    if conditions:
        operation["parameters"] = [*operation.get("parameters", ()), *conditions]
    if _IF_NONE_MATCH in conditions:
        good["304"] = {
            "description": "It is what If-None-Match has",
            "headers": _header_references("304"),
        }
    operation["responses"] = good | {
        str(status): {"$ref": f"#/components/responses/{_PROBLEMS[status][0]}"}
        for status in _error_statuses(document, method, operation)
    }
    for content in _contents(operation):
        content.setdefault("example", example_of(content["schema"], document))


def _conditions(method: str, path: str, operation: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The headers that the operation heeds."""
    if method == "get":
        return [_IF_NONE_MATCH, _IF_MATCH]
    if not operation["security"]:
        return []
    heeded = [_IF_MATCH] if "{" in path else []
    return [*heeded, _IDEMPOTENCY_KEY] if method == "post" else heeded


def _contents(operation: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Each body that the operation takes or gives."""
    holders = [operation.get("requestBody", {}), *operation["responses"].values()]
    for holder in holders:
        yield from (each for each in holder.get("content", {}).values() if "schema" in each)


def _error_statuses(
    document: Mapping[str, Any], method: str, operation: Mapping[str, Any]
) -> list[int]:
    statuses = {400, 429, 500, 503}
    if operation["security"]:
        statuses |= {401, 403}
    elif "requestBody" in operation:
        statuses |= {401}
    if "requestBody" in operation:
        statuses |= {413, 415, 422}
    if method != "get" and operation["security"]:
        statuses |= {409}
    parameters = operation.get("parameters", ())
    if _IF_MATCH in parameters:
        statuses |= {412}
    if _IDEMPOTENCY_KEY in parameters:
        statuses |= {422}
    if _takes_ids(document, operation):
        statuses |= {404}
    return sorted(statuses)


def _takes_ids(document: Mapping[str, Any], operation: Mapping[str, Any]) -> bool:
    """Whether a parameter or a field of the body is an id."""
    taken: list[Any] = [parameter["schema"] for parameter in operation.get("parameters", ())]
    body = operation.get("requestBody", {})
    taken += [content["schema"] for content in body.get("content", {}).values()]
    text = json.dumps(taken)
    seen: set[str] = set()
    while names := set(re.findall(_SCHEMAS + r"(\w+)", text)) - seen:
        seen |= names
        text += json.dumps([document["components"]["schemas"][name] for name in names])
    return _ID.search(text) is not None


def _without_null(schema: dict[str, Any]) -> dict[str, Any]:
    """A parameter may be left out; it is never null."""
    kinds = [kind for kind in schema.get("anyOf", ()) if kind != {"type": "null"}]
    if len(kinds) != 1:
        return schema
    rest = {key: value for key, value in schema.items() if key != "anyOf"}
    return kinds[0] | rest


def _problem_response(status: int) -> dict[str, Any]:
    _, description, code, detail = _PROBLEMS[status]
    example = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "code": code,
        "errors": [],
        "request_id": _HEADERS["X-Request-Id"]["example"],
    }
    return {
        "description": description,
        "headers": _header_references(str(status)),
        "content": {
            MEDIA_TYPE: {"schema": {"$ref": _SCHEMAS + "ProblemDocument"}, "example": example}
        },
    }


def _header_references(status: str) -> dict[str, Any]:
    names = ("X-Request-Id", *_HEADERS_OF.get(status, ()))
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


def _schemas(node: Any) -> Iterator[dict[str, Any]]:
    """Every schema below `node`: whatever says its type."""
    if isinstance(node, dict):
        if isinstance(node.get("type"), str):
            yield node
        for value in node.values():
            yield from _schemas(value)
    elif isinstance(node, list):
        for value in node:
            yield from _schemas(value)


def _bound(schema: dict[str, Any]) -> None:
    """Bounds that hold for all values of a kind."""
    if schema["type"] == "integer":
        low, high = schema.get("minimum", -_MAX_INT64), schema.get("maximum", _MAX_INT64)
        schema.setdefault("format", "int32" if low >= -(2**31) and high < 2**31 else "int64")
    elif schema.get("format") == "date-time":
        schema.setdefault("maxLength", _TIME_CHARACTERS)
