"""Alerts, as ingest makes them."""

import json
from typing import Any

from db.core.ids import new_id
from db.history.events import Event
from db.resources import alerts
from geofence.model.policy import BREACH
from telemetry.ids import format_id, parse_id
from tests.api.running import Organization, RunningApi
from tests.api.stored import START
from tests.db.rows import transaction


async def store_alert(api: RunningApi, org: Organization, **data: Any) -> str:
    """Tell of a breach as ingest does, and return the id of its alert."""
    visit_id = data.pop("visit_id", format_id("vis", new_id()))
    facts = {
        "asset_id": format_id("ast", new_id()),
        "asset_name": "Truck 7",
        "zone_id": format_id("zon", new_id()),
        "zone_name": "Quarry",
        "zone_kind": "restricted",
        "visit_id": visit_id,
        "lat": 47.0,
        "lon": 8.0,
        "transition": "enter",
    }
    event = Event(org.org_id, new_id(), BREACH, START, json.dumps(facts | data))
    async with transaction(api.database, "opsc_ingest") as conn:
        await alerts.tell(conn, [event])
    return format_id("alr", parse_id("vis", visit_id) if visit_id else event.id)
