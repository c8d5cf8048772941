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
        "parameters": deepcopy(COMPONENTS["webhooks"]["parameters"]),
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": reference, "example": example}},
        },
        "responses": deepcopy(COMPONENTS["webhooks"]["responses"]),
    }
