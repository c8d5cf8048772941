"""The yardstick is honest: it stores every fix and finds every crossing."""

from uuid import UUID

import numpy as np
import psycopg
import pytest
import shapely

from benchmarks.common import rows as setup_rows
from benchmarks.common.baseline import ZONES, Fences, Pipeline
from benchmarks.common.payloads import Form, fix_texts, joined, topic
from benchmarks.common.workload import Floats, Plan, tracks, zone_rings
from tests.servers import DatabaseUnderTest

PLAN = Plan(trackers=20, zones=60, side_m=8_000.0)
FIXES_PER_TRACKER = 60

SQUARE = {"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1, 1], [0, 1], [0, 0]]]}
ZONE, TRACKER = UUID(int=1), UUID(int=2)


def test_a_tracker_enters_stays_and_leaves() -> None:
    fences = Fences([(ZONE, SQUARE)])
    assert fences.crossed(TRACKER, 2.0, 0.5) == []
    assert fences.crossed(TRACKER, 1.0, 0.5) == [(ZONE, "enter")]
    assert fences.crossed(TRACKER, 0.5, 0.5) == []
    assert fences.crossed(TRACKER, 0.5, 1.5) == [(ZONE, "exit")]


@pytest.mark.parametrize("fixes_per_message", [1, 20])
async def test_all_that_is_sent_is_stored_with_its_alerts(
    database: DatabaseUnderTest, fixes_per_message: int
) -> None:
    rings = zone_rings(PLAN)
    with psycopg.connect(database.url("admin"), autocommit=True) as admin:
        admin.execute("TRUNCATE organizations CASCADE")
        setup_rows.empty(admin)
        setup_rows.add_fleet(admin, PLAN.trackers, rings)
        await _send_all(database.url("opsc_ingest"), rings, fixes_per_message)
        assert setup_rows.count_fixes(admin).rows == PLAN.trackers * FIXES_PER_TRACKER
        assert setup_rows.count_events(admin) == _transitions(rings) > 0


async def _send_all(url: str, rings: list[Floats], fixes_per_message: int) -> None:
    conn = await psycopg.AsyncConnection.connect(url, autocommit=True)
    async with conn:
        zones = await (await conn.execute(ZONES)).fetchall()
        assert len(zones) == len(rings)
        trackers = {
            setup_rows.tracker_uuid(n): setup_rows.ORGANIZATION for n in range(PLAN.trackers)
        }
        pipeline = Pipeline(conn, Fences(zones), trackers)
        for fixes in tracks(PLAN, FIXES_PER_TRACKER):
            texts = fix_texts(fixes, Form.JSON)
            for start in range(0, len(texts), fixes_per_message):
                payload = joined(texts[start : start + fixes_per_message], Form.JSON)
                await pipeline.handle(topic(int(fixes["tracker"][0]), Form.JSON), payload)
        await pipeline.flush()


def _transitions(rings: list[Floats]) -> int:
    """Count by brute force how often a tracker's being inside a zone changes, beginning outside
    all.
    """
    fixes = tracks(PLAN, FIXES_PER_TRACKER)
    zones = np.array([shapely.Polygon(ring) for ring in rings])
    inside = shapely.intersects_xy(zones[:, None, None], fixes["lon"], fixes["lat"])
    return int(inside[..., 0].sum() + (inside[..., 1:] != inside[..., :-1]).sum())
