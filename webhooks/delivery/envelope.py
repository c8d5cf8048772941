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

_SECOND_US = 1_000_000


def message_id(claim: ClaimedDelivery) -> str:
    """Return the id that receivers know a message by, at each attempt the same."""
    return format_id("evt", claim.event_id)


def body(claim: ClaimedDelivery, message: str) -> bytes:
    """Return the exact bytes to sign and send; `data` goes through as it was written, or thin.
    message: of `message_id`.
    """
    return (
        f'{{"id":"{message}","type":{_json_text(claim.type)},"seq":{claim.seq},'
        f'"occurred_at":"{_time(claim.occurred_us)}","created_at":"{_time(claim.created_us)}",'
        f'"organization_id":"{_organization_id(claim.endpoint.org_id.int)}",'
        f'"data":{_ids_of(claim.data) if claim.endpoint.thin else claim.data}'
        f"{_IS_TEST if claim.is_test else '}'}"
    ).encode()


_IS_TEST = ',"test":true}'


@lru_cache(4_096)
def _organization_id(number: int) -> str:
    return format_id("org", UUID(int=number))


@lru_cache(4_096)
def _json_text(text: str) -> str:
    return msgspec.json.encode(text).decode()


def _time(time_us: int) -> str:
    """Return `format_time` of it. Most events of a moment have the same second."""
    seconds, fraction_us = divmod(time_us, _SECOND_US)
    if not fraction_us:
        return f"{_second(seconds)}Z"
    if fraction_us % 1_000:
        return f"{_second(seconds)}.{fraction_us:06}Z"
    return f"{_second(seconds)}.{fraction_us // 1_000:03}Z"


@lru_cache(4_096)
def _second(seconds: int) -> str:
    return format_time(seconds * _SECOND_US).removesuffix("Z")


def _ids_of(data: str) -> str:
    """Return the fields of `data` that are ids, or lists of ids."""
    whole: dict[str, object] = msgspec.json.decode(data)
    ids = {name: value for name, value in whole.items() if name.endswith(("_id", "_ids"))}
    return msgspec.json.encode(ids).decode()
