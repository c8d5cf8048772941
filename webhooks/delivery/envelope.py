"""The body of a webhook: the envelope that every reader of events gets.

    {"id": "evt_...", "type": "asset.geofence_breach", "seq": 123, "occurred_at": "...Z",
     "created_at": "...Z", "organization_id": "org_...", "data": {...}}

The bytes depend on the stored event alone, so each attempt sends the same.
"""

import msgspec

from db.delivery.webhook_deliveries import ClaimedDelivery
from telemetry.ids import format_id
from telemetry.times import format_time


def message_id(claim: ClaimedDelivery) -> str:
    """Return the id that receivers know a message by, at each attempt the same."""
    return format_id("evt", claim.event_id)


def body(claim: ClaimedDelivery) -> bytes:
    """Return the exact bytes to sign and send; `data` goes through as it was written."""
    return msgspec.json.encode(
        {
            "id": message_id(claim),
            "type": claim.type,
            "seq": claim.seq,
            "occurred_at": format_time(claim.occurred_us),
            "created_at": format_time(claim.created_us),
            "organization_id": format_id("org", claim.org_id),
            "data": msgspec.Raw(claim.data.encode()),
        }
    )
