"""The body of a webhook: the envelope that every reader of events gets.

    {"id": "evt_...", "type": "asset.geofence_breach", "seq": 123, "occurred_at": "...Z",
     "created_at": "...Z", "organization_id": "org_...", "data": {...}}

The bytes depend on the stored event alone, so each attempt sends the same.
"""

from dataclasses import dataclass
from uuid import UUID

import msgspec

from telemetry.ids import format_id
from telemetry.times import format_time


@dataclass(frozen=True, slots=True)
class Event:
    """A sequenced event as it is stored; `data` is its JSON text, times are Unix microseconds."""

    org_id: UUID
    id: UUID
    type: str
    seq: int
    occurred_us: int
    created_us: int
    data: str


def message_id(event: Event) -> str:
    """The id that receivers know a message by, at each attempt the same."""
    return format_id("evt", event.id)


def body(event: Event) -> bytes:
    """The exact bytes to sign and send; `data` goes through as it was written."""
    return msgspec.json.encode(
        {
            "id": message_id(event),
            "type": event.type,
            "seq": event.seq,
            "occurred_at": format_time(event.occurred_us),
            "created_at": format_time(event.created_us),
            "organization_id": format_id("org", event.org_id),
            "data": msgspec.Raw(event.data.encode()),
        }
    )
