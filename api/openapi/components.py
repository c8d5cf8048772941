"""The parts of the OpenAPI document that all operations share: who we are, errors, headers."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from api.http.etags import MAX_TAGS_CHARACTERS
from api.http.problems import MEDIA_TYPE, MOST_FAULTS

SCHEMAS = "#/components/schemas/"

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

BEARER = (
    "A token of `/v1/auth/token`, or an API key (`opsk_...`). The token is a JWT, signed with"
    " Ed25519 and checked by the rules of RFC8725, so with a fixed algorithm, issuer, audience and"
    " lifetime; to a client both are opaque. The dashboard has a cookie instead, see"
    " `/v1/auth/session`."
)
PASSWORD: Mapping[str, Any] = {
    "type": "oauth2",
    "description": (
        "Email and password against such a token, by the form of RFC 6749, 4.3. `client_id` is the"
        " organization (`org_...`) where the email belongs to several, and else empty, as"
        " `client_secret` is. The token follows RFC8725."
    ),
    "flows": {
        "password": {
            "tokenUrl": "/v1/auth/token",
            "refreshUrl": "/v1/auth/refresh",
            "scopes": {},
        }
    },
}
SIGNED_IN: tuple[Mapping[str, Any], ...] = ({"bearer": []}, {"password": []})

GOOD = {
    "200": "What was asked for",
    "201": "It was made",
    "202": "It will be done",
    "204": "It was done",
}
# The name of the response, when it comes, and the code and sentence of its example.
PROBLEMS: Mapping[int, tuple[str, str, str, str]] = {
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
    414: (
        "TargetTooLong",
        "The URL is over its limit",
        "target_too_long",
        "The URL may have 8192 bytes.",
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
    431: (
        "HeadersTooLarge",
        "The headers are over their limit",
        "headers_too_large",
        "Headers may have 32768 bytes.",
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
HEADERS: Mapping[str, Mapping[str, Any]] = {
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
    "RateLimit": {
        "description": "what is left of the limit, r, and the seconds until it is whole again, t",
        "required": False,
        "schema": {"type": "string", "pattern": '^"[a-z]+";r=[0-9]+;t=[0-9]+$', "maxLength": 100},
        "example": '"organization";r=880;t=42',
    },
    "RateLimit-Policy": {
        "description": "q requests in w seconds; not sent where there is no limit",
        "required": False,
        "schema": {"type": "string", "pattern": '^"[a-z]+";q=[0-9]+;w=60$', "maxLength": 100},
        "example": '"organization";q=1000;w=60',
    },
    "WWW-Authenticate": {
        "description": "the scheme that is expected",
        "required": True,
        "schema": {"type": "string", "pattern": "^Bearer ", "maxLength": 200},
        "example": 'Bearer realm="ops-companion"',
    },
}
HEADERS_OF = {
    "200": ("ETag",),
    "201": ("ETag", "Location"),
    "202": ("ETag",),
    "304": ("ETag",),
    "401": ("WWW-Authenticate",),
    "429": ("Retry-After",),
    "503": ("Retry-After",),
}

_TAGS = {"type": "string", "maxLength": MAX_TAGS_CHARACTERS}
IF_NONE_MATCH = {
    "name": "If-None-Match",
    "in": "header",
    "required": False,
    "description": "the ETag that the client has: 304 while it is the same",
    "schema": _TAGS,
    "example": HEADERS["ETag"]["example"],
}
IF_MATCH = {
    "name": "If-Match",
    "in": "header",
    "required": False,
    "description": "the ETag that the client has seen: 412 where it is another by now",
    "schema": _TAGS,
    "example": HEADERS["ETag"]["example"],
}
IDEMPOTENCY_KEY = {
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
    errors: list[FaultItem] = Field(max_length=MOST_FAULTS)
    request_id: str = Field(
        pattern="^[A-Za-z0-9._-]+$",
        max_length=64,
        examples=[HEADERS["X-Request-Id"]["example"]],
    )


def problem_response(status: int) -> dict[str, Any]:
    """Return the documented response of a status."""
    _, description, code, detail = PROBLEMS[status]
    example = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "code": code,
        "errors": [],
        "request_id": HEADERS["X-Request-Id"]["example"],
    }
    return {
        "description": description,
        "headers": headers_of(str(status)),
        "content": {
            MEDIA_TYPE: {"schema": {"$ref": SCHEMAS + "ProblemDocument"}, "example": example}
        },
    }


def headers_of(status: str) -> dict[str, Any]:
    """Return the headers that every answer of a status has."""
    names = ("X-Request-Id", "RateLimit", "RateLimit-Policy", *HEADERS_OF.get(status, ()))
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}
