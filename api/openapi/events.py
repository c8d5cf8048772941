"""The description of webhooks' events in the OpenAPI document.

`webhooks` has an entry for each type, with the schema and the example of the whole body.
"""

from copy import deepcopy
from typing import Any

from api.openapi.components import COMPONENTS, SCHEMAS
from api.openapi.event_types import EVENT_KINDS, EventKind
from api.openapi.examples import example_of

_ENVELOPE = "EventItem"


def add_events(document: dict[str, Any]) -> None:
    """Add the schemas of all types, and the webhooks that carry them."""
    schemas = document["components"]["schemas"]
    for kind in EVENT_KINDS:
        schemas[kind.data.__name__] = kind.data_schema()
        reference = {"$ref": SCHEMAS + kind.data.__name__}
        schemas[_schema_name(kind)] = _event_schema(kind, schemas[_ENVELOPE], reference)
    document["webhooks"] = {kind.name: {"post": _webhook(kind, document)} for kind in EVENT_KINDS}


def standalone_schema(kind: EventKind, envelope: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a whole event, with nothing that stands elsewhere. envelope: the schema
    of any event.
    """
    return _event_schema(kind, envelope, kind.data_schema())


def event_example(kind: EventKind, envelope: dict[str, Any]) -> dict[str, Any]:
    """Return a whole event of the type."""
    schema = standalone_schema(kind, envelope)
    return example_of(schema, {}) | {"data": kind.data_example()}


def _schema_name(kind: EventKind) -> str:
    """Return AssetGeofenceBreach of asset.geofence_breach."""
    return "".join(word.capitalize() for word in kind.name.replace("_", ".").split("."))


def _event_schema(
    kind: EventKind, envelope: dict[str, Any], data: dict[str, Any]
) -> dict[str, Any]:
    properties = deepcopy(envelope["properties"]) | {
        "type": {"type": "string", "const": kind.name},
        "data": data,
    }
    described = {"title": _schema_name(kind), "description": kind.tells}
    return envelope | described | {"properties": properties}


def _webhook(kind: EventKind, document: dict[str, Any]) -> dict[str, Any]:
    example = event_example(kind, document["components"]["schemas"][_ENVELOPE])
    reference = {"$ref": SCHEMAS + _schema_name(kind)}
    return {
        "operationId": "on" + _schema_name(kind),
        "tags": ["events"],
        "summary": kind.name,
        "description": kind.tells,
        "security": [],
        "parameters": deepcopy(COMPONENTS["webhooks"]["parameters"]),
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": reference, "example": example}},
        },
        "responses": deepcopy(COMPONENTS["webhooks"]["responses"]),
    }
