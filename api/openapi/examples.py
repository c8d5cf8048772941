"""Examples of bodies and answers, composed from their schemas.

What a field says of itself comes first (`examples`, `const`, `enum`, a default), then what its kind
tells: a time, an id, the least number. A text that says nothing of itself is empty, which a test
finds: who adds the field is the one who knows.

An organization that is new accepts the example of a body, with ids of its own. Few examples show
ids: they leave out the ids that a body may have, and the fields that depend on them
(`dependentRequired`, `dependentSchemas`). Of two fields that exclude each other (`not`, `required`)
they show the first. Deprecated fields are left out.
"""

import re
from collections.abc import Mapping
from typing import Any

_TIME = "2026-03-01T12:00:00Z"
_ID = re.compile(r"\^[a-z]+_\[0-7\]")


def example_of(
    schema: Mapping[str, Any], document: Mapping[str, Any], *, with_references: bool = True
) -> Any:
    """Return a value that fits `schema`, if its fields say enough.

    with_references: also show the ids of other things where they may be left out.
    """
    if "$ref" in schema:
        schema = _resolved(schema["$ref"], document)
    if schema.get("examples"):
        return schema["examples"][0]
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        return schema["enum"][0]
    for kinds in ("anyOf", "oneOf", "allOf"):
        if kinds in schema:
            kind = schema[kinds][0]
            return example_of(kind, document, with_references=with_references)
    return _of_type(schema, document, with_references=with_references)


def _of_type(
    schema: Mapping[str, Any], document: Mapping[str, Any], *, with_references: bool
) -> Any:
    match schema.get("type"):
        case "object":
            excluded = frozenset(schema.get("not", {}).get("required", ())[1:])
            left_out = excluded if with_references else _references(schema)
            return {
                name: example_of(each, document, with_references=with_references)
                for name, each in schema.get("properties", {}).items()
                if name not in left_out and not each.get("deprecated")
            }
        case "array" if "items" in schema:
            return [example_of(schema["items"], document, with_references=with_references)]
        case "array":
            return []
        case "boolean":
            return schema.get("default", False)
        case "integer" | "number":
            return schema.get("default", schema.get("minimum", schema.get("exclusiveMinimum", 0)))
        case "null":
            return None
        case "string" if schema.get("format") == "date-time":
            return _TIME
    return ""


def _references(schema: Mapping[str, Any]) -> frozenset[str]:
    """Return the fields that may be left out and hold ids, and the fields that depend on them."""
    optional = schema["properties"].keys() - schema.get("required", ())
    ids = {name for name in optional if _holds_ids(schema["properties"][name])}
    needed: dict[str, list[str]] = dict(schema.get("dependentRequired", {}))
    for name, kinds in schema.get("dependentSchemas", {}).items():
        needed[name] = [each for kind in kinds["anyOf"] for each in kind["required"]]
    return frozenset(ids | {name for name, others in needed.items() if ids & set(others)})


def _holds_ids(schema: Mapping[str, Any]) -> bool:
    kind = schema.get("anyOf", [schema])[0]
    return _ID.match(kind.get("items", kind).get("pattern", "")) is not None


def _resolved(reference: str, document: Mapping[str, Any]) -> Mapping[str, Any]:
    place: Any = document
    for step in reference.removeprefix("#/").split("/"):
        place = place[step]
    return place
