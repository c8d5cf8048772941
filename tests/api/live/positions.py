"""Positions of assets, and readers of them."""

import asyncio
from datetime import UTC, datetime
from typing import Any

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


async def made(org: Organization, name: str, **fields: Any) -> str:
    return (await org.admin.post("/v1/assets", {"name": name, **fields})).json["id"]


def put(api: RunningApi, org: Organization, asset_id: str, lat: float, lon: float) -> None:
    """Write a position, as ingest does."""
    values = {"org": org.org_id, "asset": parse_id("ast", asset_id), "time": datetime.now(UTC)}
    api.sql_named(_PUT, values | {"lat": lat, "lon": lon})


async def places(reader: Reader, subscription_id: int = 1) -> dict[str, tuple[float, float]]:
    """Return the positions of the next message."""
    message = await asyncio.wait_for(reader.next(), PATIENCE_S)
    assert (message["op"], message["id"]) == ("positions", subscription_id), message
    shown = {each["id"]: each["position"] for each in message["positions"]}
    return {asset_id: (place["lat"], place["lon"]) for asset_id, place in shown.items()}


async def watch(reader: Reader, **wanted: Any) -> None:
    answer = await reader.ask("subscribe", id=1, channel="positions", **wanted)
    assert answer == {"op": "subscribed", "id": 1, "channel": "positions"}
