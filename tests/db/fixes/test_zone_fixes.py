"""Fixes within visits of a zone: pages are what a look at all visits finds, and cost as much as
they show.
"""

import random
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any
from uuid import UUID

import psycopg
import pytest

from db.core.connect import Connection, Pool, conninfo, pool
from db.core.ids import new_id
from db.core.tenant import act_for, reading
from db.fixes import gps_history, zone_spans
from db.fixes.fix_filters import FixFilter
from db.fixes.gps_history import Cut, HistoryFix, HistoryKey
from tests.db.plans import Explaining, looked_at
from tests.db.rows import LONG_AGO
from tests.ingest.tenants import Tenant
from tests.servers import DatabaseUnderTest

MINUTES = 60
ASSETS = 3
TRACKERS = 4


@dataclass(frozen=True, slots=True)
class Stored:
    """A tenant's zone, with assets and trackers that were on them."""

    org_id: UUID
    zone_id: UUID
    assets: list[UUID]
    trackers: list[UUID]
    admin: psycopg.Connection[Any]

    def assign(self, tracker: UUID, asset: UUID, since: float, until: float | None) -> None:
        self.admin.execute(
            "INSERT INTO tracker_assignments (org_id, id, tracker_id, asset_id, assigned_from,"
            " assigned_to, revision) VALUES (%s, gen_random_uuid(), %s, %s, %s, %s, 0)",
            [self.org_id, tracker, asset, at(since), None if until is None else at(until)],
        )

    def visit(
        self, asset: UUID, since: float, until: float | None, *, retracted: bool = False
    ) -> None:
        self.admin.execute(
            "INSERT INTO visits (org_id, id, asset_id, zone_id, zone_version, tracker_id,"
            " first_fix_time, first_fix_seq, entered_at, entry_lat, entry_lon, entry_cause,"
            " left_at, exit_cause, retracted)"
            " VALUES (%(org)s, gen_random_uuid(), %(asset)s, %(zone)s, 1, %(org)s, %(since)s, 0,"
            " %(since)s, 1, 1, 'moved', %(until)s,"
            " CASE WHEN %(until)s::timestamptz IS NOT NULL THEN 'moved' END, %(retracted)s)",
            {
                "org": self.org_id,
                "asset": asset,
                "zone": self.zone_id,
                "since": at(since),
                "until": None if until is None else at(until),
                "retracted": retracted,
            },
        )

    def within_visits(self, wanted: FixFilter) -> list[HistoryKey]:
        """Return the fixes that a look at all visits finds, the newest first."""
        rows = self.admin.execute(
            """
            SELECT g.time, g.tracker_id, g.seq FROM gps_events g
              JOIN tracker_assignments a ON a.tracker_id = g.tracker_id
               AND a.assigned_from <= g.time AND (a.assigned_to > g.time OR a.assigned_to IS NULL)
             WHERE EXISTS (SELECT FROM visits v
                            WHERE v.asset_id = a.asset_id AND v.zone_id = %(zone)s
                              AND NOT v.retracted AND v.entered_at <= g.time
                              AND (v.left_at IS NULL OR v.left_at > g.time))
               AND (%(asset)s::uuid IS NULL OR a.asset_id = %(asset)s)
               AND (%(tracker)s::uuid IS NULL OR a.tracker_id = %(tracker)s)
               AND (%(since)s::timestamptz IS NULL OR g.time >= %(since)s)
               AND (%(until)s::timestamptz IS NULL OR g.time < %(until)s)
             ORDER BY g.time DESC, g.tracker_id DESC, g.seq DESC
            """,
            {
                "zone": self.zone_id,
                "asset": next(iter(wanted.asset_ids), None),
                "tracker": next(iter(wanted.tracker_ids), None),
                "since": wanted.since,
                "until": wanted.until,
            },
        )
        return [HistoryKey(*row) for row in rows.fetchall()]


def at(minute: float) -> datetime:
    return LONG_AGO + timedelta(minutes=minute)


@pytest.fixture
async def stored(database: DatabaseUnderTest) -> AsyncIterator[Stored]:
    org_id = (await Tenant.create(database)).org_id
    with psycopg.connect(database.url("admin"), autocommit=True) as admin:
        made = Stored(
            org_id,
            new_id(),
            [new_id() for _ in range(ASSETS)],
            [new_id() for _ in range(TRACKERS)],
            admin,
        )
        for asset in made.assets:
            admin.execute(
                "INSERT INTO assets (org_id, id, name, revision) VALUES (%s, %s, 'Truck', 0)",
                [org_id, asset],
            )
        for tracker in made.trackers:
            admin.execute(
                "INSERT INTO trackers (org_id, id, secret_hash, revision)"
                " VALUES (%s, %s, sha256(%s::uuid::text::bytea), 0)",
                [org_id, tracker, tracker],
            )
        yield made


@pytest.fixture
async def connections(database: DatabaseUnderTest) -> AsyncIterator[Pool]:
    async with pool(database.url("opsc_app"), "test", max_size=1) as opened:
        yield opened


@pytest.mark.parametrize("seed", range(8))
async def test_every_page_is_what_a_look_at_all_visits_finds(
    stored: Stored, connections: Pool, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(zone_spans, "_FIRST_VISITS", 1)  # so that there are many stretches
    chances = random.Random(seed)
    fill(stored, chances)
    asset, tracker = chances.choice(stored.assets), chances.choice(stored.trackers)
    windows = [(None, None), (at(20), None), (None, at(40)), (at(25), at(35)), (at(30.5), at(31))]
    async with reading(connections, stored.org_id) as conn:
        for since, until in windows:
            zone = FixFilter(zone_id=stored.zone_id, since=since, until=until)
            of_asset, of_tracker = (
                replace(zone, asset_ids=[asset]),
                replace(zone, tracker_ids=[tracker]),
            )
            for wanted in (zone, of_asset, of_tracker):
                newest_first = stored.within_visits(wanted)
                limit = chances.choice((1, 3, 7, 200))
                assert await walked(conn, wanted, limit, descending=True) == newest_first
                assert await walked(conn, wanted, limit, descending=False) == newest_first[::-1]
                cut = Cut(True, None, limit, 5)
                behind = await gps_history.listing(conn, wanted, cut)
                assert keys(behind) == newest_first[5 : 5 + limit]
        assert len(stored.within_visits(FixFilter(zone_id=stored.zone_id))) > MINUTES / 2


def fill(stored: Stored, chances: random.Random) -> None:
    """Store visits of each asset, one after the other, some of an instant; trackers that change
    assets meanwhile; and a fix of each tracker a minute.
    """
    for asset in stored.assets:
        for since, until in pairwise(sorted(chances.sample(range(MINUTES), 12))):
            kind = chances.choice(("inside", "inside", "outside", "instant", "retracted"))
            if kind in ("inside", "retracted"):
                stored.visit(asset, since, until, retracted=kind == "retracted")
            if kind == "instant" or chances.random() < 0.3:
                stored.visit(asset, since, since)
    stored.visit(stored.assets[0], MINUTES, None)
    assets = [*stored.assets, None]
    for since, until in ((-5, 15), (15, 45), (45, None)):
        chances.shuffle(assets)
        for tracker, asset in zip(stored.trackers, assets, strict=True):
            if asset is not None:
                stored.assign(tracker, asset, since, until)
    stored.admin.execute(
        "INSERT INTO gps_events (org_id, tracker_id, time, seq, received_at, lat, lon)"
        " SELECT %s, tracker, %s + minute * interval '1 minute', 0, now(), 1, 1"
        " FROM unnest(%s::uuid[]) AS tracker, generate_series(-10, %s) AS minute",
        [stored.org_id, LONG_AGO, stored.trackers, MINUTES + 10],
    )


async def walked(
    conn: Connection, wanted: FixFilter, limit: int, *, descending: bool
) -> list[HistoryKey]:
    shown: list[HistoryKey] = []
    while True:
        cut = Cut(descending, shown[-1] if shown else None, limit, 0)
        rows = await gps_history.listing(conn, wanted, cut)
        shown += keys(rows)
        if len(rows) < limit:
            return shown


def keys(rows: list[HistoryFix]) -> list[HistoryKey]:
    return [HistoryKey(row.time, row.tracker_id, row.seq) for row in rows]


CYCLES = 2_000  # of each asset: five minutes in the zone, and five elsewhere
MIDDLE, END = at(CYCLES * 5), at(CYCLES * 10)
MOST_LOOKED_AT = 1_500
"""Rows of all nodes of the plans of a page. All visits would be 6,000, with 12,000 fixes."""


async def test_a_page_costs_as_much_as_it_shows(
    stored: Stored, database: DatabaseUnderTest
) -> None:
    fill_much(stored)
    day, ten_minutes = timedelta(days=1), timedelta(minutes=10)
    cases: list[tuple[datetime | None, datetime | None, datetime | None, int]] = [
        (None, None, None, 51),
        (MIDDLE, None, None, 51),
        (None, MIDDLE, None, 51),
        (None, None, MIDDLE, 51),
        (None, MIDDLE, MIDDLE + ten_minutes, 4),
        (None, END + day, END + 2 * day, 0),
        (None, LONG_AGO - 2 * day, LONG_AGO - day, 0),
    ]
    Explaining.plans = []
    url = conninfo(database.url("opsc_app"), "test")
    async with await Connection.connect(url, cursor_factory=Explaining) as conn:
        await act_for(conn, stored.org_id)
        for descending in (True, False):
            for place, since, until, rows in cases:
                Explaining.plans = []
                key = None if place is None else HistoryKey(place, UUID(int=1), 0)
                wanted = FixFilter(zone_id=stored.zone_id, since=since, until=until)
                found = await gps_history.listing(conn, wanted, Cut(descending, key, 51, 0))
                assert len(found) == rows
                assert sum(map(looked_at, Explaining.plans)) <= MOST_LOOKED_AT


def fill_much(stored: Stored) -> None:
    """Store visits and fixes. The last asset was in the zone once, and in another one since."""
    elsewhere = new_id()
    for tracker, asset in zip(stored.trackers, stored.assets, strict=False):
        stored.assign(tracker, asset, 0, None)
        left_after = 1 if asset == stored.assets[-1] else CYCLES
        stored.admin.execute(
            "INSERT INTO visits (org_id, id, asset_id, zone_id, zone_version, tracker_id,"
            " first_fix_time, first_fix_seq, entered_at, entry_lat, entry_lon, entry_cause,"
            " left_at, exit_cause)"
            " SELECT %s, gen_random_uuid(), %s, CASE WHEN cycle < %s THEN %s ELSE %s END, 1, %s,"
            " at, 0, at, 1, 1, 'moved', at + interval '5 minutes', 'moved'"
            " FROM generate_series(0, %s - 1) AS cycle,"
            " LATERAL (SELECT %s + cycle * interval '10 minutes' AS at) AS begun",
            [
                *(stored.org_id, asset, left_after, stored.zone_id, elsewhere, tracker),
                *(CYCLES, LONG_AGO),
            ],
        )
        stored.admin.execute(
            "INSERT INTO gps_events (org_id, tracker_id, time, seq, received_at, lat, lon)"
            " SELECT %s, %s, %s + number * interval '150 s', 0, now(), 1, 1"
            " FROM generate_series(0, %s - 1) AS number",
            [stored.org_id, tracker, LONG_AGO, 4 * CYCLES],
        )
    stored.admin.execute("ANALYZE visits, gps_events, tracker_assignments")
