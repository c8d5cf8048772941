"""The catalogue of events: the types that exist, with the JSON Schema of each and an example."""

from functools import cache
from typing import Annotated, Any, NamedTuple

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field
from starlette.responses import Response

from api.openapi.event_types import EVENT_KINDS, EventKind, EventType
from api.openapi.events import event_example, standalone_schema
from api.request.access import Reader
from api.request.paging import ListOf, ListQuery, Page, Total
from api.request.route import TenantRoute
from api.resources.events import EventItem

router = APIRouter(prefix="/v1/event-types", tags=["events"], route_class=TenantRoute)


class EventTypeItem(BaseModel):
    """A type of event."""

    type: EventType
    description: str = Field(max_length=500, examples=[EVENT_KINDS[0].tells])
    json_schema: dict[str, Any] = Field(
        alias="schema",
        description="JSON Schema (2020-12) of the whole event, as a webhook has it",
        examples=[{"type": "object"}],
    )
    example: dict[str, Any] = Field(
        description="an event that fits the schema", examples=[{"type": EVENT_KINDS[0].name}]
    )


class EventTypeKey(NamedTuple):
    """The place of a type in the catalogue."""

    place: int


@router.get("", operation_id="listEventTypes", response_model=ListOf[EventTypeItem])
async def list_event_types(access: Reader, query: Annotated[ListQuery, Query()]) -> Response:
    """List the types of events that exist. An endpoint can subscribe to no other."""
    page = Page(access, query, "event-types", EventTypeKey)
    first = page.fetch_offset if page.after is None else page.after.place + 1
    rows = list(enumerate(EVENT_KINDS))[first : first + page.fetch_limit]
    return await page.response(
        rows,
        Total(len(EVENT_KINDS)),
        key=lambda row: EventTypeKey(row[0]),
        item=lambda row: _item(row[1]),
    )


@cache
def _envelope() -> dict[str, Any]:
    return EventItem.model_json_schema()


def _item(kind: EventKind) -> dict[str, Any]:
    return {
        "type": kind.name,
        "description": kind.tells,
        "schema": standalone_schema(kind, _envelope()),
        "example": event_example(kind, _envelope()),
    }
