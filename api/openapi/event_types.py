"""The types of events that exist, and the patterns that choose among them: `*`, `asset.*`, a type.

Nothing emits a type that is not listed here. The OpenAPI document (`api.openapi.events`) and the
table of docs/webhooks.md follow from this list.
"""

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, NamedTuple

import msgspec
from pydantic import AfterValidator, Field, WithJsonSchema

from api.openapi.examples import example_of
from geofence.event_data.inspections import INSPECTION_SUBMITTED, SubmittedInspection
from geofence.event_data.punches import PunchAmendment, Punched
from geofence.event_data.quotes import (
    QUOTE_ACCEPTED,
    QUOTE_CREATED,
    QUOTE_DECLINED,
    QUOTE_EXPIRED,
    QUOTE_SENT,
    QuoteEvent,
)
from geofence.event_data.stock import STOCK_LOW, LowStock
from geofence.event_data.timesheets import TIMESHEET_APPROVED, ApprovedTimesheet
from geofence.event_data.trips import (
    ASSET_STOPPED,
    TRIP_AMENDED,
    TRIP_ENDED,
    TRIP_STARTED,
    AmendedTrip,
    EndedTrip,
    StartedTrip,
    StoppedAsset,
)
from geofence.event_data.visits import BreachOrDwell, Overspeed, VisitAmendment
from geofence.event_data.webhook_endpoints import ENDPOINT_DISABLED, DisabledEndpoint
from geofence.event_data.work_orders import (
    WORK_ORDER_ASSIGNED,
    WORK_ORDER_CANCELLED,
    WORK_ORDER_COMPLETED,
    WORK_ORDER_CREATED,
    WORK_ORDER_STARTED,
    WORK_ORDER_UPDATED,
    ChangedWorkOrder,
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


_UNSENT = {"sent_to": None}
_UNACCEPTED = {"accepted_how": None, "noted_by": None}
_UNDECIDED = {"decided_by": None, "decline_reason": None} | _UNACCEPTED

_UNSIGNED = {"reason": None, "signer_name": None}
EVENT_KINDS = (
    EventKind(
        BREACH,
        "An asset enters or leaves a zone that alerts, or is in the wrong place when hours begin.",
        BreachOrDwell,
        {"inferred": None, "dwell_s": None},
    ),
    EventKind(
        DWELL,
        "An asset has stayed in a zone for the zone's `dwell_seconds`.",
        BreachOrDwell,
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
        ASSET_STOPPED,
        "An asset has stayed at a place for five minutes: once of each stop.",
        StoppedAsset,
        {},
    ),
    EventKind(
        TRIP_STARTED,
        "An asset is under way.",
        StartedTrip,
        {"revision": 1},
    ),
    EventKind(
        TRIP_ENDED,
        "A trip has ended: its stop shows it, or no fix has come for an hour.",
        EndedTrip,
        {},
    ),
    EventKind(
        TRIP_AMENDED,
        "What was told of a trip is not so: a late fix shows it, or disproves a deadline.",
        AmendedTrip,
        {"revision": 3},
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
        STOCK_LOW,
        "A movement left a part at its reorder point, or below it: once, until it was above again.",
        LowStock,
        {},
    ),
    EventKind(
        QUOTE_CREATED,
        "Somebody made a quote, or a revision of one: a draft.",
        QuoteEvent,
        {"status": "draft"} | _UNSENT | _UNDECIDED,
    ),
    EventKind(
        QUOTE_SENT,
        "The mail server has taken the letter with a quote.",
        QuoteEvent,
        _UNDECIDED,
    ),
    EventKind(
        QUOTE_ACCEPTED,
        "A customer accepted a quote, or a dispatcher noted that they did.",
        QuoteEvent,
        {"status": "accepted", "decline_reason": None, "noted_by": None},
    ),
    EventKind(
        QUOTE_DECLINED,
        "A customer declined a quote, or a dispatcher noted that they did.",
        QuoteEvent,
        {"status": "declined"} | _UNACCEPTED,
    ),
    EventKind(
        QUOTE_EXPIRED,
        "The last day of a quote is over, or a dispatcher ended it.",
        QuoteEvent,
        {"status": "expired"} | _UNDECIDED,
    ),
    EventKind(
        WORK_ORDER_CREATED,
        "A work order is made, or a draft is issued.",
        ChangedWorkOrder,
        {"status": "created", "verb": None, "changed": []} | _UNSIGNED,
    ),
    EventKind(
        WORK_ORDER_ASSIGNED,
        "A work order is given to employees.",
        ChangedWorkOrder,
        _UNSIGNED,
    ),
    EventKind(
        WORK_ORDER_STARTED,
        "An employee begins to work on a work order.",
        ChangedWorkOrder,
        {"status": "started", "verb": "start", "changed": []} | _UNSIGNED,
    ),
    EventKind(
        WORK_ORDER_COMPLETED,
        "A work order is done, and somebody has signed for it.",
        ChangedWorkOrder,
        {"status": "completed", "verb": "complete", "changed": [], "reason": None},
    ),
    EventKind(
        WORK_ORDER_UPDATED,
        "A work order is changed, or comes to another status than those that have a type.",
        ChangedWorkOrder,
        {"verb": None} | _UNSIGNED,
    ),
    EventKind(
        WORK_ORDER_CANCELLED,
        "A work order will not be done.",
        ChangedWorkOrder,
        {"status": "cancelled", "verb": "cancel", "changed": [], "signer_name": None},
    ),
    EventKind(
        INSPECTION_SUBMITTED,
        "An inspection form is submitted, with its result and the failed questions.",
        SubmittedInspection,
        {"supersedes_id": None},
    ),
    EventKind(
        ENDPOINT_DISABLED,
        "The system has disabled a webhook endpoint: it failed for days, or is gone.",
        DisabledEndpoint,
        {},
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


def chosen_types(patterns: Iterable[str]) -> frozenset[str] | None:
    """Return the types that any of the patterns chooses; None where it is all of them.

    Raises ValueError where a pattern chooses none.
    """
    prefixes = tuple(read_pattern(text).removesuffix("*") for text in patterns)
    chosen = {
        name for name in EVENT_TYPES if name in prefixes or name.startswith(_groups(prefixes))
    }
    return None if len(chosen) == len(EVENT_TYPES) else frozenset(chosen)


def _groups(prefixes: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(prefix for prefix in prefixes if prefix == "" or prefix.endswith("."))


def read_type(text: str) -> str:
    """Return `text`, if it is a type. Raises ValueError."""
    if text in EVENT_TYPES:
        return text
    raise ValueError(f"must be a type: {', '.join(EVENT_TYPES)}")


EventType = Annotated[str, WithJsonSchema({"type": "string", "enum": list(EVENT_TYPES)})]
KnownType = Annotated[EventType, AfterValidator(read_type)]
TypePattern = Annotated[
    str,
    AfterValidator(read_pattern),
    WithJsonSchema({"type": "string", "enum": ["*", *sorted(_GROUPS), *EVENT_TYPES]}),
]


def _read_list(text: str) -> str:
    chosen_types(text.split(","))
    return text


TypeList = Annotated[
    str,
    AfterValidator(_read_list),
    Field(
        max_length=1000,
        pattern=r"^[a-z_.*]+(,[a-z_.*]+)*$",
        description="types and groups of types, with commas; left out: all",
        examples=["asset.*,work_order.completed"],
    ),
]
"""Several patterns in a parameter."""
TypePatterns = Annotated[list[TypePattern], Field(min_length=1, max_length=50)]
# An endpoint may have been made for types that are offered no more: it gets none of them.
StoredPatterns = Annotated[
    list[Annotated[str, Field(max_length=100, pattern=r"^[a-z_.*]+$", examples=["asset.*"])]],
    Field(max_length=50),
]
