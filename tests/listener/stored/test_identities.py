"""Who may sign in follows the database, and is known without it."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from uuid import UUID

import psycopg
import pytest

from db.core import leases
from db.core.connect import connect
from db.core.ids import new_id
from listener.stored.gateways import Gateways
from listener.stored.identities import Identities, Identity
from telemetry.ids import format_id
from tests.ingest.tenants import Tenant
from tests.listener.registering import revoke, rotate
from tests.servers import DatabaseUnderTest, PostgresUnderTest
from tests.waiting import PATIENCE_S, until

SECRET = b"secret"  # that a tenant's trackers have at first


class Kept:
    """Identities that are kept current, and the trackers whose connections are to be cut."""

    def __init__(self) -> None:
        self.changed: list[UUID] = []
        self.identities = Identities(self.changed.append, Gateways(self.changed.append))

    def check(self, tracker_id: UUID, secret: bytes = SECRET) -> Identity | None:
        return self.identities.check(format_id("trk", tracker_id), secret)


@asynccontextmanager
async def kept_from(database: DatabaseUnderTest) -> AsyncIterator[Kept]:
    """Provide identities that have read the database."""
    kept = Kept()
    keeping = asyncio.create_task(kept.identities.keep(database.url("opsc_listen")))
    try:
        await until(lambda: kept.identities.age_s is not None)
        yield kept
    finally:
        keeping.cancel()
        await asyncio.wait([keeping])


@pytest.fixture
async def kept(database: DatabaseUnderTest) -> AsyncIterator[Kept]:
    async with kept_from(database) as kept:
        yield kept


async def look(kept: Kept) -> None:
    assert await kept.identities.look_soon(PATIENCE_S)


async def test_a_tracker_signs_in_with_its_id_and_its_secret(tenant: Tenant, kept: Kept) -> None:
    tracker_id = await tenant.loose_tracker()
    await look(kept)
    assert kept.check(tracker_id) == Identity(tracker_id, tenant.org_id, False)


async def test_nobody_else_does(tenant: Tenant, kept: Kept) -> None:
    tracker_id = await tenant.loose_tracker()
    await look(kept)
    name = format_id("trk", tracker_id)
    wrong: list[tuple[str, bytes | None]] = [
        (name, b"secreT"),
        (name, b""),
        (name, None),
        (name.upper(), SECRET),
        (str(tracker_id), SECRET),
        (format_id("trk", new_id()), SECRET),
        (format_id("trk", UUID(int=0)), SECRET),
        (format_id("gtw", tracker_id), SECRET),
        ("", SECRET),
        ("trk_\u00e9", SECRET),
    ]
    assert [pair for pair in wrong if kept.identities.check(*pair) is not None] == []


async def test_a_certificate_stands_for_a_secret_that_is_missing(
    tenant: Tenant, kept: Kept
) -> None:
    tracker_id, unknown = await tenant.loose_tracker(), format_id("trk", new_id())
    await look(kept)
    name = format_id("trk", tracker_id)
    found = kept.identities.check(name, None, name)
    assert found is not None
    assert found.tracker_id == tracker_id
    for wrong in [(name, None, unknown), (name, b"wrong", name), (unknown, None, unknown)]:
        assert kept.identities.check(*wrong) is None


async def test_a_rotated_tracker_is_cut_and_signs_in_with_its_new_secret_alone(
    tenant: Tenant, kept: Kept
) -> None:
    tracker_id = await tenant.loose_tracker()
    await look(kept)
    await rotate(tenant, tracker_id, "another")
    await until(lambda: kept.changed == [tracker_id])
    assert kept.check(tracker_id) is None
    assert kept.check(tracker_id, b"another") is not None


async def test_a_revoked_tracker_is_cut_and_does_not_sign_in(tenant: Tenant, kept: Kept) -> None:
    tracker_id, other = await tenant.loose_tracker(), await tenant.loose_tracker()
    await look(kept)
    await revoke(tenant, tracker_id)
    await until(lambda: kept.changed == [tracker_id])
    assert kept.check(tracker_id) is None
    assert kept.check(other) is not None


async def test_a_refused_name_is_of_its_organization_as_long_as_there_is_its_tracker(
    tenant: Tenant, kept: Kept
) -> None:
    tracker_id = await tenant.loose_tracker()
    names = (format_id("trk", tracker_id), format_id("trk", new_id()), "trk_1", "")
    for _ in range(2):
        await look(kept)
        owners = [kept.identities.owner_of(name) for name in names]
        assert owners == [(tenant.org_id, tracker_id), None, None, None]
        await revoke(tenant, tracker_id)


async def test_a_change_that_leaves_the_secret_cuts_nobody(tenant: Tenant, kept: Kept) -> None:
    tracker_id = await tenant.loose_tracker()
    await look(kept)
    with psycopg.connect(tenant.database.url("admin")) as conn:
        conn.execute("UPDATE zones_revision SET revision = revision + 1")
        conn.execute(
            "UPDATE trackers SET receipts = true, revision = zones_revision.revision"
            "  FROM zones_revision WHERE id = %s",
            (tracker_id,),
        )
    await look(kept)
    assert kept.check(tracker_id) == Identity(tracker_id, tenant.org_id, True)
    assert kept.changed == []


async def test_sign_ins_go_on_while_the_database_is_away(
    private_postgres: Callable[[], PostgresUnderTest],
) -> None:
    postgres = private_postgres()
    database = postgres.migrated_database()
    tenant = await Tenant.create(database)
    tracker_id, lost = await tenant.loose_tracker(), await tenant.loose_tracker()
    async with kept_from(database) as kept:
        postgres.kill()
        assert not await kept.identities.look_soon(0.3)
        age_s = kept.identities.age_s
        assert age_s is not None
        assert age_s > 0.25
        assert kept.check(tracker_id) is not None
        assert kept.check(lost) is not None
        postgres.start()
        with psycopg.connect(database.url("admin")) as conn:  # as a backup from before has it
            conn.execute("DELETE FROM trackers WHERE id = %s", (lost,))
        await until(lambda: kept.changed == [lost])
        assert kept.check(tracker_id) is not None
        assert kept.check(lost) is None
        later = await tenant.loose_tracker()
        await look(kept)
        assert kept.check(later) is not None


async def test_the_listener_finds_the_owner_of_a_lease_while_it_lasts(
    database: DatabaseUnderTest,
) -> None:
    async with (
        await connect(database.url("opsc_ingest"), "test") as ingest,
        await connect(database.url("opsc_listen"), "test") as listen,
    ):
        assert await leases.holder(listen, "ingest") is None
        epoch = await leases.acquire(ingest, "ingest", "one", 60.0, "127.0.0.1:9")
        assert epoch is not None
        assert await leases.holder(listen, "ingest") == (epoch, "127.0.0.1:9")
        await leases.release(ingest, "ingest", epoch)
        assert await leases.holder(listen, "ingest") is None
        await leases.acquire(ingest, "ingest", "two", 60.0)
        assert await leases.holder(listen, "ingest") is None
