"""The table of docs/webhooks.md: `python -m tests.api.openapi.event_tables` prints it.

What the fields of `data` mean stands in the OpenAPI document alone.
"""

from api.openapi.event_types import EVENT_KINDS


def type_table() -> str:
    """Return the table of all types."""
    rows = [f"| `{kind.name}` | {kind.tells} |" for kind in EVENT_KINDS]
    return "\n".join(["| type | an event of it says |", "|---|---|", *rows])


if __name__ == "__main__":
    print(type_table())
