"""The jobsites kept in memory, held against all versions as they are stored, between edits."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any
from uuid import UUID

import pytest

from db.core.connect import Connection, connect
from db.core.registry_revision import bump
from db.core.tenant import act_for
from db.punches import jobsites
from db.punches.jobsites import best_jobsites
from db.resources import zones
from geofence.zones.site_index import SiteBox, SitePlace, ranked
from telemetry.times import to_us
from tests.db.rows import keep_shape, zone
from tests.ingest.tenants import LONG_AGO, Tenant, soon, square
from tests.servers import DatabaseUnderTest

SEED = 20260303
MOST = 3
HALF_DEG = 0.001
VERSIONS = """
SELECT zone_id, version, (extract(epoch FROM valid_from) * 1000000)::bigint,
       coalesce((extract(epoch FROM valid_to) * 1000000)::bigint, 9223372036854775807),
       box, coalesce(zone.punch_tolerance_m, organization.punch_tolerance_m),
       shape_bytes
  FROM zone_versions AS zone JOIN organizations AS organization USING (org_id)
 WHERE kind = 'jobsite'
"""


@pytest.fixture
async def tenant(database: DatabaseUnderTest) -> Tenant:
    """A new organization."""
    return await Tenant.create(database)


def box(lon: float, lat: float) -> list[float]:
    return [lon - HALF_DEG, lat - HALF_DEG, lon + HALF_DEG, lat + HALF_DEG]


async def made(tenant: Tenant, lon: float, lat: float, **fields: Any) -> UUID:
    given = {"kind": "jobsite", "box": box(lon, lat), **fields}
    return await tenant.zone(square(lon, lat, HALF_DEG), **given)


@asynccontextmanager
async def asking(tenant: Tenant, role: str = "opsc_ingest") -> AsyncIterator[Connection]:
    """Provide a connection in a transaction of the role."""
    async with await connect(tenant.database.url(role), "test") as conn, conn.transaction():
        if role == "opsc_app":
            await act_for(conn, tenant.org_id)
        yield conn


async def best(conn: Connection, tenant: Tenant, places: dict[int, SitePlace]) -> Any:
    return await best_jobsites(conn, tenant.org_id, places, MOST)


async def names(conn: Connection, tenant: Tenant, lon: float = 8.0, lat: float = 47.0) -> set[UUID]:
    """Return the zones that are best now."""
    found = await best(conn, tenant, {0: SitePlace(lon, lat, to_us(soon(0)))})
    return {site.zone_id for site in found[0]}


async def insert(conn: Connection, zone_id: UUID, lon: float, lat: float) -> None:
    """Insert a jobsite in the caller's transaction."""
    revision, _ = await bump(conn)
    row = zone(id=zone_id, kind="jobsite", box=box(lon, lat), valid_from=LONG_AGO)
    await keep_shape(conn, row)
    await zones.insert(conn, row, revision)


def as_stored(tenant: Tenant, places: dict[int, SitePlace]) -> dict[int, list[SiteBox]]:
    """Look at all versions there are, for each place."""
    rows = tenant.rows(VERSIONS)
    ((default_m,),) = tenant.rows("SELECT punch_tolerance_m FROM organizations")
    sites = [SiteBox(*row[:4], tuple(row[4]), *row[5:]) for row in rows]

    def best_at(place: SitePlace) -> list[SiteBox]:
        in_force = [site for site in sites if site.from_us <= place.at_us < site.to_us]
        return ranked(in_force, place._replace(default_tolerance_m=default_m or 0.0))[:MOST]

    return {number: best_at(place) for number, place in places.items()}


class Editor:
    """Random edits of an organization around a place, of which some are rolled back."""

    def __init__(self, tenant: Tenant, centre: tuple[float, float], seed: int) -> None:
        self.tenant, self.random, self.centre = tenant, random.Random(seed), centre
        self.zones: list[UUID] = []

    def place(self) -> tuple[float, float]:
        lon, lat = (one + self.random.uniform(-0.01, 0.01) for one in self.centre)
        return (lon - 360 if lon > 180 else lon), min(lat, 89.99)

    async def edit(self) -> None:
        kind, old = self.random.randrange(7), self.random.choice([None, *self.zones])
        lon, lat = self.place()
        if kind == 0:
            tolerance_m = self.random.choice([None, 0.0, 900.0])
            await self.tenant.settings(punch_tolerance_m=tolerance_m)
        elif kind == 1:
            async with asking(self.tenant, "opsc_app") as conn:
                await insert(conn, UUID(int=self.random.getrandbits(128)), lon, lat)
                await best(conn, self.tenant, self.asked())  # fills nothing
                raise Undone
        elif kind == 2 or old is None:
            tolerance_m = self.random.choice([None, 0.0, 1_500.0])
            self.zones.append(await made(self.tenant, lon, lat, punch_tolerance_m=tolerance_m))
        elif kind == 3:
            self.zones.remove(old)
            await self.tenant.change_zone(old, None)
        else:
            kinds = ["jobsite", "jobsite", "restricted"]
            fields = {"box": box(lon, lat), "kind": self.random.choice(kinds)}
            await self.tenant.change_zone(old, square(lon, lat, HALF_DEG), **fields)

    def asked(self) -> dict[int, SitePlace]:
        moments = [0, 0, -0.02, -0.2, -3600]
        return {n: SitePlace(*self.place(), to_us(soon(at))) for n, at in enumerate(moments)}


class Undone(Exception):
    """The end of a transaction that is rolled back."""


@pytest.mark.parametrize("centre", [(8.0, 47.0), (179.999, -17.0), (50.0, 89.985)])
async def test_at_every_moment_the_answer_is_that_of_all_stored_versions(
    tenant: Tenant, centre: tuple[float, float]
) -> None:
    editor = Editor(tenant, centre, SEED)
    for step in range(40):
        with suppress(Undone):
            await editor.edit()
        asked = editor.asked()
        async with asking(tenant, ("opsc_app", "opsc_ingest")[step % 2]) as conn:
            found = await best(conn, tenant, asked)
        assert found == as_stored(tenant, asked)


async def test_what_a_transaction_has_not_committed_is_its_own(tenant: Tenant) -> None:
    first, second = await made(tenant, 8.0, 47.0), UUID(int=1)
    async with asking(tenant) as other:
        assert await names(other, tenant) == {first}
        async with asking(tenant, "opsc_app") as conn:
            await insert(conn, second, 8.0, 47.0)
            assert await names(conn, tenant) == {first, second}
            assert await names(other, tenant) == {first}
        assert await names(other, tenant) == {first, second}


async def test_nothing_stays_of_a_transaction_that_was_rolled_back(tenant: Tenant) -> None:
    first, undone, second = await made(tenant, 8.0, 47.0), UUID(int=2), UUID(int=3)
    with suppress(Undone):
        async with asking(tenant, "opsc_app") as conn:
            await insert(conn, undone, 8.0, 47.0)
            assert undone in await names(conn, tenant)
            raise Undone
    async with asking(tenant, "opsc_app") as conn:  # takes the same revision
        with suppress(Undone):
            async with conn.transaction():
                await insert(conn, undone, 8.0, 47.0)
                assert undone in await names(conn, tenant)
                raise Undone
        assert await names(conn, tenant) == {first}
        await insert(conn, second, 8.0, 47.0)
    async with asking(tenant) as conn:
        assert await names(conn, tenant) == {first, second}


@pytest.mark.parametrize("is_known", [True, False])
async def test_a_revision_that_was_rolled_back_is_not_taken_for_the_next_one(
    tenant: Tenant, is_known: bool
) -> None:
    first = await made(tenant, 8.0, 47.0)
    if is_known:
        async with asking(tenant) as conn:
            assert await names(conn, tenant) == {first}
    with suppress(Undone):
        async with asking(tenant, "opsc_app") as conn:
            await insert(conn, UUID(int=4), 8.0, 47.0)
            assert UUID(int=4) in await names(conn, tenant)
            raise Undone
    second = await made(tenant, 8.0, 47.0)  # nobody has asked since, and the number is the same
    async with asking(tenant) as conn:
        assert await names(conn, tenant) == {first, second}


@pytest.mark.parametrize("is_known", [True, False])
async def test_a_statement_older_than_the_tree_has_the_answer_of_then(
    tenant: Tenant, is_known: bool
) -> None:
    old = await made(tenant, 8.0, 47.0)
    async with await connect(tenant.database.url("opsc_ingest"), "test") as conn:
        await conn.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
        await conn.execute("SELECT 1")
        before = SitePlace(8.0, 47.0, to_us(soon(0)))
        if is_known:
            assert await names(conn, tenant) == {old}
        await tenant.change_zone(old, None)
        new = await made(tenant, 8.0, 47.0)
        async with asking(tenant) as later:
            assert await names(later, tenant) == {new}
        assert {one.zone_id for one in (await best(conn, tenant, {0: before}))[0]} == {old}
        await conn.execute("COMMIT")
    async with asking(tenant) as later:
        assert await names(later, tenant) == {new}


async def test_an_empty_cache_that_two_fill_forgets_what_ended_between_them(
    tenant: Tenant,
) -> None:
    """The first one's tree has a zone that ended, of which the second one reads nothing."""
    ended = await made(tenant, 8.0, 47.0)
    sites = jobsites._OpenSites()
    at = {0: SitePlace(8.0, 47.0, to_us(soon(3600)))}
    first, second = [], []
    for changes in (first, second):
        async with asking(tenant) as conn:
            changes.append(await jobsites._changes(conn, tenant.org_id, at[0].at_us, -1))
        await tenant.change_zone(ended, None) if changes is first else None
        await made(tenant, 9.0, 47.0) if changes is first else None
    for (changes,) in (first, second):
        found = sites.best(changes, at, MOST)
    assert found is not None
    assert ended not in {site.zone_id for site in found[0]}


async def test_the_cache_keeps_what_was_used_last_within_its_bound(
    tenant: Tenant, database: DatabaseUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = jobsites._cache  # that of the process: what tests before have left there goes first
    tenants = [tenant, *[await Tenant.create(database) for _ in range(3)]]
    zones_of = {one.org_id: await made(one, 8.0, 47.0) for one in tenants}
    monkeypatch.setattr(jobsites, "MAX_BOXES", 2 * 51)
    for one in [*tenants, tenants[2], tenants[0]]:
        async with asking(one) as conn:
            assert await names(conn, one) == {zones_of[one.org_id]}
    assert list(cache._kept) == [tenants[2].org_id, tenants[0].org_id]
    assert cache._boxes == 2 * 51
    monkeypatch.setattr(jobsites, "MAX_BOXES", 10)
    async with asking(tenant) as conn:
        assert await names(conn, tenant) == {zones_of[tenant.org_id]}
    assert not cache._kept
    assert cache._boxes == 0


async def test_several_event_loops_share_the_cache(tenant: Tenant) -> None:
    editor = Editor(tenant, (8.0, 47.0), seed=7)
    for _ in range(10):
        editor.zones.append(await made(tenant, *editor.place()))

    async def ask(seed: int) -> None:
        asker = Editor(tenant, (8.0, 47.0), seed)
        async with await connect(tenant.database.url("opsc_ingest"), "test") as conn:
            for _ in range(60):
                async with conn.transaction():
                    found = await best(conn, tenant, asker.asked())
                assert all(len(of_place) == MOST for of_place in found.values())

    loops = [asyncio.to_thread(asyncio.run, ask(seed)) for seed in range(4)]

    async def edit() -> None:
        for zone_id in editor.zones[MOST:] * 3:
            lon, lat = editor.place()
            await tenant.change_zone(zone_id, square(lon, lat, HALF_DEG), box=box(lon, lat))

    await asyncio.gather(edit(), *loops)
    asked = editor.asked()
    async with asking(tenant) as conn:
        found = await best(conn, tenant, asked)
    assert found == as_stored(tenant, asked)
