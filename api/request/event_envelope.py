"""The envelope of an event: the same in lists, in webhooks, over WebSocket and SSE."""

from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import BaseModel, Field

from api.http import fields
from api.http.encoding import id_text, raw_json, time_text
from api.openapi.event_types import EVENT_KINDS, EventType
from db.history.events import ListedEvent
from telemetry.ids import format_id


class EventItem(BaseModel):
    """The envelope that webhooks carry too."""

    id: fields.EventId
    type: EventType
    seq: fields.Count
    occurred_at: datetime
    created_at: datetime
    organization_id: fields.OrganizationId
    data: dict[str, Any] = Field(examples=[EVENT_KINDS[0].data_example()])


def event_item(org_id: UUID, event: ListedEvent) -> dict[str, Any]:
    """Return an event as the API shows it."""
    return {
        "id": format_id("evt", event.id),
        "type": event.type,
        "seq": event.seq,
        "occurred_at": time_text(event.occurred_at),
        "created_at": time_text(event.created_at),
        "organization_id": id_text("org", org_id),
        "data": raw_json(event.data),
    }
