"""Examples of bodies and answers, composed from their schemas.

What a field says of itself comes first (`examples`, `const`, `enum`, a default), then what its kind
tells: a time, an id, the least number. A text that says nothing of itself is empty, which a test
finds: who adds the field is the one who knows.
"""

from collections.abc import Mapping
from typing import Any

_TIME = "2026-03-01T12:00:00Z"


def example_of(schema: Mapping[str, Any], document: Mapping[str, Any]) -> Any:
    """A value that fits `schema`, if its fields say enough."""
    if "$ref" in schema:
        return example_of(_resolved(schema["$ref"], document), document)
    if schema.get("examples"):
        return schema["examples"][0]
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        return schema["enum"][0]
    for kinds in ("anyOf", "oneOf", "allOf"):
        if kinds in schema:
            return example_of(schema[kinds][0], document)
    return _of_type(schema, document)


def _of_type(schema: Mapping[str, Any], document: Mapping[str, Any]) -> Any:
    match schema.get("type"):
        case "object":
            properties = schema.get("properties", {})
            return {name: example_of(each, document) for name, each in properties.items()}
        case "array":
            return [example_of(schema["items"], document)] if "items" in schema else []
        case "boolean":
            return schema.get("default", False)
        case "integer" | "number":
            return schema.get("default", schema.get("minimum", schema.get("exclusiveMinimum", 0)))
        case "null":
            return None
        case "string" if schema.get("format") == "date-time":
            return _TIME
    return ""


def _resolved(reference: str, document: Mapping[str, Any]) -> Mapping[str, Any]:
    place: Any = document
    for step in reference.removeprefix("#/").split("/"):
        place = place[step]
    return place
