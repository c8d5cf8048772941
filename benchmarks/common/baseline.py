"""The pipeline that most people would write, as a yardstick: honest, working, and not ours.

    python -m benchmarks.common.baseline BROKER_URL DATABASE_URL METRICS_PORT

aiomqtt, `json.loads`, an rtree of the zones' boxes with one exact shapely test per candidate, who
is where in a dictionary, and `executemany` of 500 rows a transaction into the tables that ingest
writes. It acknowledges as aiomqtt 2 does: when a message is received, not when it is stored.
"""

import asyncio
import json
import sys
import time
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID, uuid4

import aiomqtt
import psycopg
from prometheus_client import Counter, start_http_server
from rtree import index
from shapely.geometry import Point, shape
from shapely.geometry.base import BaseGeometry
from shapely.prepared import PreparedGeometry, prep

from telemetry.ids import parse_id

ROWS_PER_TRANSACTION = 500
ZONES = """
SELECT zone_id, geometry FROM zone_versions JOIN zone_shapes USING (org_id, geometry_sha256)
"""
FLUSH_AFTER_S = 1.0

INSERT_FIX = """
INSERT INTO gps_events (org_id, tracker_id, time, seq, received_at, lat, lon, altitude_m,
                        speed_mps, course_deg, accuracy_m, satellites)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING
"""
INSERT_ALERT = """
INSERT INTO events (org_id, id, type, occurred_at, data)
VALUES (%s, %s, 'asset.geofence_breach', %s, %s)
"""

STORED = Counter("baseline_fixes_stored", "Fixes whose rows are committed")


class Fences:
    """The zones, and where each tracker is."""

    def __init__(self, zones: Iterable[tuple[UUID, dict[str, Any]]]) -> None:
        self.tree = index.Index()
        self.zones: list[tuple[UUID, PreparedGeometry[BaseGeometry]]] = []
        for zone_id, geometry in zones:
            polygon = shape(geometry)
            self.tree.insert(len(self.zones), polygon.bounds)
            self.zones.append((zone_id, prep(polygon)))
        self.inside: dict[UUID, set[UUID]] = {}

    def crossed(self, tracker: UUID, lat: float, lon: float) -> list[tuple[UUID, str]]:
        """Return the zones that the tracker entered or left with this position."""
        point = Point(lon, lat)
        now = {
            self.zones[number][0]
            for number in self.tree.intersection((lon, lat, lon, lat))
            if self.zones[number][1].covers(point)
        }
        before = self.inside.get(tracker, set())
        self.inside[tracker] = now
        left = [(zone, "exit") for zone in before - now]
        return left + [(zone, "enter") for zone in now - before]


class Pipeline:
    """Rows waiting for their transaction."""

    def __init__(
        self,
        conn: psycopg.AsyncConnection[tuple[Any, ...]],
        fences: Fences,
        trackers: dict[UUID, UUID],
    ) -> None:
        self.conn, self.fences, self.trackers = conn, fences, trackers
        self.fixes: list[tuple[object, ...]] = []
        self.alerts: list[tuple[object, ...]] = []
        self.flushed_at = time.monotonic()
        self.lock = asyncio.Lock()

    async def handle(self, topic: str, payload: bytes) -> None:
        tracker = parse_id("trk", topic.split("/")[1])
        org = self.trackers[tracker]
        body = json.loads(payload)
        received_at = datetime.now(UTC)
        for fix in body if isinstance(body, list) else [body]:
            self.add(org, tracker, fix, received_at)
            if len(self.fixes) >= ROWS_PER_TRANSACTION:
                await self.flush()

    def add(self, org: UUID, tracker: UUID, fix: dict[str, Any], received_at: datetime) -> None:
        at = datetime.fromisoformat(fix["time"])
        lat, lon = fix["lat"], fix["lon"]
        self.fixes.append(
            (
                org,
                tracker,
                at,
                fix.get("seq", 0),
                received_at,
                lat,
                lon,
                fix.get("altitude_m"),
                fix.get("speed_mps"),
                fix.get("course_deg"),
                fix.get("accuracy_m"),
                fix.get("satellites"),
            )
        )
        for zone, transition in self.fences.crossed(tracker, lat, lon):
            alert = {
                "tracker_id": str(tracker),
                "zone_id": str(zone),
                "transition": transition,
                "lat": lat,
                "lon": lon,
            }
            self.alerts.append((org, uuid4(), at, json.dumps(alert)))

    async def flush(self) -> None:
        async with self.lock:
            fixes, alerts = self.fixes, self.alerts
            self.fixes, self.alerts = [], []
            async with self.conn.transaction(), self.conn.cursor() as cursor:
                await cursor.executemany(INSERT_FIX, fixes)
                if alerts:
                    await cursor.executemany(INSERT_ALERT, alerts)
            STORED.inc(len(fixes))
            self.flushed_at = time.monotonic()

    async def flush_what_waits(self) -> None:
        """Flush rows that came before a lull."""
        while True:
            await asyncio.sleep(FLUSH_AFTER_S)
            if self.fixes and time.monotonic() - self.flushed_at > FLUSH_AFTER_S:
                await self.flush()


async def run(broker_url: str, database_url: str, metrics_port: int) -> None:
    broker = urlsplit(broker_url)
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as conn:
        zones = await (await conn.execute(ZONES)).fetchall()
        trackers = await (await conn.execute("SELECT id, org_id FROM trackers")).fetchall()
        pipeline = Pipeline(conn, Fences(zones), dict(trackers))
        async with aiomqtt.Client(broker.hostname or "", broker.port or 1883) as client:
            await client.subscribe("trackers/+/fixes", qos=1)
            start_http_server(metrics_port, "127.0.0.1")  # answers from here on: we are ready
            flusher = asyncio.create_task(pipeline.flush_what_waits())
            async for message in client.messages:
                await pipeline.handle(message.topic.value, message.payload)
            flusher.cancel()


if __name__ == "__main__":
    asyncio.run(run(sys.argv[1], sys.argv[2], int(sys.argv[3])))
