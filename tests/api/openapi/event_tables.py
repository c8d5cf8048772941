"""The tables of docs/webhooks.md.

`python -m tests.api.openapi.event_tables` prints what they should be.
"""

from typing import Any

from api.openapi.event_types import EVENT_KINDS

_FORMATS = {"date-time": "time", "date": "day"}


def type_table() -> str:
    """Return the table of all types."""
    rows = [f"| `{kind.name}` | {kind.tells} |" for kind in EVENT_KINDS]
    return "\n".join(["| type | an event of it says |", "|---|---|", *rows])


def field_tables() -> list[str]:
    """Return the table of the fields of `data` of each type, once where types share it."""
    tables = [_field_table(kind.data_schema()) for kind in EVENT_KINDS]
    return list(dict.fromkeys(tables))


def _field_table(schema: dict[str, Any]) -> str:
    rows = [_row(name, field) for name, field in schema["properties"].items()]
    return "\n".join(["| field | type | |", "|---|---|---|", *rows])


def _row(name: str, field: dict[str, Any]) -> str:
    kinds = field.get("anyOf", [field])
    described = field.get("description") or kinds[0]["description"]
    types = " or ".join(_FORMATS.get(kind.get("format"), kind["type"]) for kind in kinds)
    return f"| `{name}` | {types} | {described} |"


if __name__ == "__main__":
    print("\n\n".join([type_table(), *field_tables()]))
