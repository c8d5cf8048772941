"""The types of events, and the patterns that choose among them: `*`, `asset.*`, one type."""

from typing import Annotated

from pydantic import AfterValidator, Field, WithJsonSchema

EVENT_TYPES = (
    "asset.geofence_breach",
    "asset.geofence_dwell",
    "asset.visit_amended",
    "employee.punched_in",
    "employee.punched_out",
    "inspection.submitted",
    "quote.accepted",
    "quote.created",
    "quote.declined",
    "quote.expired",
    "quote.sent",
    "stock.low",
    "webhook_endpoint.disabled",
    "work_order.assigned",
    "work_order.cancelled",
    "work_order.completed",
    "work_order.created",
    "work_order.started",
    "work_order.updated",
)

_GROUPS = {event_type.partition(".")[0] + ".*" for event_type in EVENT_TYPES}


def read_pattern(text: str) -> str:
    """`text`, if it chooses any type at all. Raises ValueError."""
    if text == "*" or text in _GROUPS or text in EVENT_TYPES:
        return text
    raise ValueError(f"must be *, a group like asset.* or one of {', '.join(EVENT_TYPES)}")


EventType = Annotated[str, WithJsonSchema({"type": "string", "enum": list(EVENT_TYPES)})]
TypePattern = Annotated[
    str,
    AfterValidator(read_pattern),
    WithJsonSchema({"type": "string", "enum": ["*", *sorted(_GROUPS), *EVENT_TYPES]}),
]
TypePatterns = Annotated[list[TypePattern], Field(min_length=1, max_length=50)]
