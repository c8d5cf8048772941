"""Positions of assets and employees, and readers of them."""

import asyncio
from datetime import UTC, datetime
from typing import Any

from db.core.ids import new_id
from telemetry.ids import parse_id
from tests.api.live.reading import Reader
from tests.api.running import Organization, RunningApi
from tests.waiting import PATIENCE_S

_PUT = """
INSERT INTO latest_positions AS known (org_id, asset_id, tracker_id, time, seq, lat, lon)
VALUES (%(org)s, %(asset)s, %(asset)s, %(time)s, 0, %(lat)s, %(lon)s)
    ON CONFLICT (org_id, asset_id) DO UPDATE
   SET lat = excluded.lat, lon = excluded.lon, changed_by = pg_current_xact_id()
RETURNING lat
"""
_PUT_EMPLOYEE = """
INSERT INTO latest_employee_positions AS known
       (org_id, employee_id, tracker_id, time, seq, lat, lon)
VALUES (%(org)s, %(employee)s, %(tracker)s, %(time)s, 0, %(lat)s, %(lon)s)
    ON CONFLICT (org_id, employee_id) DO UPDATE
   SET lat = excluded.lat, lon = excluded.lon, changed_by = pg_current_xact_id()
RETURNING lat
"""


async def made(org: Organization, name: str, **fields: Any) -> str:
    return (await org.admin.post("/v1/assets", {"name": name, **fields})).json["id"]


def put(api: RunningApi, org: Organization, asset_id: str, lat: float, lon: float) -> None:
    """Write a position, as ingest does."""
    values = {"org": org.org_id, "asset": parse_id("ast", asset_id), "time": datetime.now(UTC)}
    api.sql_named(_PUT, values | {"lat": lat, "lon": lon})


def put_employee(
    api: RunningApi,
    org: Organization,
    employee_id: str,
    lat: float,
    lon: float,
    tracker_id: str | None = None,
) -> None:
    """Write a position, as ingest does."""
    tracker = new_id() if tracker_id is None else parse_id("trk", tracker_id)
    employee = parse_id("emp", employee_id)
    values = {"org": org.org_id, "employee": employee, "tracker": tracker}
    api.sql_named(_PUT_EMPLOYEE, values | {"time": datetime.now(UTC), "lat": lat, "lon": lon})


async def places(reader: Reader, subscription_id: int = 1) -> dict[str, tuple[float, float]]:
    """Return the positions of the next message."""
    message = await asyncio.wait_for(reader.next(), PATIENCE_S)
    assert (message["op"], message["id"]) == ("positions", subscription_id), message
    shown = {each["id"]: each["position"] for each in message["positions"]}
    return {asset_id: (place["lat"], place["lon"]) for asset_id, place in shown.items()}


async def watch(reader: Reader, **wanted: Any) -> None:
    answer = await reader.ask("subscribe", id=1, channel="positions", **wanted)
    assert answer == {"op": "subscribed", "id": 1, "channel": "positions"}
