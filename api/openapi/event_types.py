"""The types of events that exist, and the patterns that choose among them: `*`, `asset.*`, a type.

Nothing emits a type that is not listed here. The OpenAPI document (`api.openapi.events`) and the
tables of docs/webhooks.md follow from this list.
"""

from collections.abc import Mapping
from typing import Annotated, Any, NamedTuple

import msgspec
from pydantic import AfterValidator, Field, WithJsonSchema

from api.openapi.examples import example_of
from geofence.event_data import (
    INSPECTION_SUBMITTED,
    TIMESHEET_APPROVED,
    Alert,
    ApprovedTimesheet,
    Overspeed,
    PunchAmendment,
    Punched,
    SubmittedInspection,
    VisitAmendment,
)
from geofence.model.policy import AMENDED, BREACH, DWELL, OVERSPEED
from geofence.punches.claim import PUNCH_AMENDED, PUNCHED_IN, PUNCHED_OUT


class EventKind(NamedTuple):
    """A type of event. shown: the values of its example that differ from those of the fields."""

    name: str
    tells: str
    data: type[msgspec.Struct]
    shown: Mapping[str, object]

    def data_schema(self) -> dict[str, Any]:
        """Return the JSON Schema of `data`."""
        _, schemas = msgspec.json.schema_components([self.data])
        return schemas[self.data.__name__]

    def data_example(self) -> dict[str, Any]:
        """Return an example of `data`."""
        return example_of(self.data_schema(), {}) | self.shown


EVENT_KINDS = (
    EventKind(
        BREACH,
        "An asset enters or leaves a zone that alerts, or is in the wrong place when hours begin.",
        Alert,
        {"inferred": None, "dwell_s": None},
    ),
    EventKind(
        DWELL,
        "An asset has stayed in a zone for the zone's `dwell_seconds`.",
        Alert,
        {"transition": "dwell", "inferred": "timer"},
    ),
    EventKind(
        OVERSPEED,
        "An asset in a zone is faster than the zone's `speed_limit_mps`: the first time of a stay.",
        Overspeed,
        {},
    ),
    EventKind(
        AMENDED,
        "What was told of a visit is not so: a late fix shows it, or disproves a deadline.",
        VisitAmendment,
        {},
    ),
    EventKind(
        PUNCHED_IN,
        "An employee begins work: the punch, its verdict and the evidence.",
        Punched,
        {"entered_by": None, "server_time": None},
    ),
    EventKind(
        PUNCHED_OUT,
        "An employee ends work: the same.",
        Punched,
        {"entered_by": None, "server_time": None},
    ),
    EventKind(
        PUNCH_AMENDED,
        "The verdict on a punch is another one: a late fix or a corrected job site shows it.",
        PunchAmendment,
        {"verdict": "verified", "review": None},
    ),
    EventKind(
        TIMESHEET_APPROVED,
        "Somebody approved a timesheet: the hours to be paid.",
        ApprovedTimesheet,
        {},
    ),
    EventKind(
        INSPECTION_SUBMITTED,
        "An inspection form is submitted, with its result and the failed questions.",
        SubmittedInspection,
        {"supersedes_id": None},
    ),
)
EVENT_TYPES = tuple(kind.name for kind in EVENT_KINDS)

_GROUPS = {event_type.partition(".")[0] + ".*" for event_type in EVENT_TYPES}


def read_pattern(text: str) -> str:
    """Return `text`, if it chooses any type at all. Raises ValueError."""
    if text == "*" or text in _GROUPS or text in EVENT_TYPES:
        return text
    groups = ", ".join(sorted(_GROUPS))
    raise ValueError(f"must be *, a group ({groups}) or a type: {', '.join(EVENT_TYPES)}")


EventType = Annotated[str, WithJsonSchema({"type": "string", "enum": list(EVENT_TYPES)})]
TypePattern = Annotated[
    str,
    AfterValidator(read_pattern),
    WithJsonSchema({"type": "string", "enum": ["*", *sorted(_GROUPS), *EVENT_TYPES]}),
]
TypePatterns = Annotated[list[TypePattern], Field(min_length=1, max_length=50)]
# An endpoint may have been made for types that are offered no more: it gets none of them.
StoredPatterns = Annotated[
    list[Annotated[str, Field(max_length=100, pattern=r"^[a-z_.*]+$", examples=["asset.*"])]],
    Field(max_length=50),
]
