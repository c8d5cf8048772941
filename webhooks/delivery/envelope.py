"""The body of a webhook: the envelope that every reader of events gets.

    {"id": "evt_...", "type": "asset.geofence_breach", "seq": 123, "occurred_at": "...Z",
     "created_at": "...Z", "organization_id": "org_...", "data": {...}}

The bytes depend on the stored event alone, so each attempt sends the same. A thin body has only
the ids of `data`: no name, place or sum leaves the system, and `GET /v1/events/{id}` has the rest.
"""

from functools import lru_cache
from uuid import UUID

import msgspec

from db.delivery.webhook_deliveries import ClaimedDelivery
from telemetry.ids import format_id
from telemetry.times import format_time


def message_id(claim: ClaimedDelivery) -> str:
    """Return the id that receivers know a message by, at each attempt the same."""
    return format_id("evt", claim.event_id)


def body(claim: ClaimedDelivery) -> bytes:
    """Return the exact bytes to sign and send; `data` goes through as it was written, or thin."""
    envelope: dict[str, object] = {
        "id": message_id(claim),
        "type": claim.type,
        "seq": claim.seq,
        "occurred_at": format_time(claim.occurred_us),
        "created_at": format_time(claim.created_us),
        "organization_id": _organization_id(claim.org_id),
        "data": _ids_of(claim.data) if claim.thin else msgspec.Raw(claim.data.encode()),
    }
    if claim.is_test:
        envelope["test"] = True
    return msgspec.json.encode(envelope)


@lru_cache(4_096)
def _organization_id(org_id: UUID) -> str:
    return format_id("org", org_id)


def _ids_of(data: str) -> dict[str, object]:
    """Return the fields of `data` that are ids, or lists of ids."""
    whole: dict[str, object] = msgspec.json.decode(data)
    return {name: value for name, value in whole.items() if name.endswith(("_id", "_ids"))}
