"""The description of webhooks' events in the OpenAPI document.

`webhooks` has an entry for each type, with the schema and the example of the whole body.
"""

from copy import deepcopy
from typing import Any

from api.openapi.components import SCHEMAS
from api.openapi.event_types import EVENT_KINDS, EventKind
from api.openapi.examples import example_of

_ENVELOPE = "EventItem"
_HEADERS: list[dict[str, Any]] = [
    {
        "name": name,
        "in": "header",
        "required": True,
        "description": description,
        "schema": {"type": "string", "maxLength": 200},
        "example": example,
    }
    for name, description, example in (
        (
            "webhook-id",
            "the id of the event, the same at each attempt",
            "evt_06bqt0k1vhd8f3z7n2mwx9c5ra",
        ),
        ("webhook-timestamp", "when it is sent, seconds since 1970", "1767225600"),
        (
            "webhook-signature",
            "HMAC-SHA256 in base64",
            "v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4=",
        ),
    )
]
_ANSWERS = {
    "2XX": {"description": "The event is accepted"},
    "410": {"description": "No more of this event: it is given up at once"},
    "default": {"description": "The event is sent again later"},
}


def add_events(document: dict[str, Any]) -> None:
    """Add the schemas of all types, and the webhooks that carry them."""
    schemas = document["components"]["schemas"]
    for kind in EVENT_KINDS:
        schemas[kind.data.__name__] = kind.data_schema()
        schemas[_schema_name(kind)] = _event_schema(kind, schemas[_ENVELOPE])
    document["webhooks"] = {kind.name: {"post": _webhook(kind, document)} for kind in EVENT_KINDS}


def _schema_name(kind: EventKind) -> str:
    """Return AssetGeofenceBreach of asset.geofence_breach."""
    return "".join(word.capitalize() for word in kind.name.replace("_", ".").split("."))


def _event_schema(kind: EventKind, envelope: dict[str, Any]) -> dict[str, Any]:
    properties = deepcopy(envelope["properties"]) | {
        "type": {"type": "string", "const": kind.name},
        "data": {"$ref": SCHEMAS + kind.data.__name__},
    }
    described = {"title": _schema_name(kind), "description": kind.tells}
    return envelope | described | {"properties": properties}


def _webhook(kind: EventKind, document: dict[str, Any]) -> dict[str, Any]:
    schema = document["components"]["schemas"][_schema_name(kind)]
    example = example_of(schema, document) | {"data": kind.data_example()}
    reference = {"$ref": SCHEMAS + _schema_name(kind)}
    return {
        "operationId": "on" + _schema_name(kind),
        "tags": ["events"],
        "summary": kind.name,
        "description": kind.tells,
        "security": [],
        "parameters": deepcopy(_HEADERS),
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": reference, "example": example}},
        },
        "responses": deepcopy(_ANSWERS),
    }
