"""What somebody changes is written down once, by whom, and cannot be rewritten by the API."""

import json
from collections.abc import AsyncIterator, Iterator
from typing import Any
from uuid import UUID

import psycopg
import pytest
import pytest_asyncio
from psycopg import sql

from db.core.connect import connect
from db.core.ids import new_id
from db.core.registry_revision import bump
from db.core.tenant import Actor, act_for
from db.requests import audit
from db.requests.audit import AuditEvent, AuditFilter
from db.resources import assets, batches
from tests.db import rows
from tests.ingest.tenants import Tenant, square
from tests.servers import DatabaseUnderTest

# Nobody changes these by hand: ingest and the roles write them, or they are no resource.
NOT_AUDITED = {
    "alerts",
    "archive_failures",
    "archived_days",
    "archived_trackers",
    "asset_backlogs",
    "asset_checkpoints",
    "asset_cuts",
    "asset_state",
    "attachment_pieces",
    "attachment_usage",
    "audit_events",
    "device_connections",
    "device_sessions",
    "event_subjects",
    "events",
    "failing_work",
    "fix_hours",
    "fix_hours_changed",
    "gateway_sightings",
    "gps_events",
    "idempotency_keys",
    "inbox",
    "inspection_photos",
    "inspection_template_versions",
    "job_inputs",
    "jobsite_corrections",
    "latest_employee_positions",
    "latest_positions",
    "letter_counts",
    "mail_outbox",
    "number_counters",
    "organization_logos",
    "part_fits",
    "photo_copies",
    "punch_evidence",
    "punch_verdicts",
    "quarantine",
    "quote_documents",
    "quote_evidence",
    "quote_links",
    "refresh_tokens",
    "refused_imei_claims",
    "report_schedule_runs",
    "request_minutes",
    "request_usage",
    "row_counts",
    "search_terms",
    "shifts",
    "stock_lots",
    "stock_movement_serials",
    "stock_movements",
    "told_trips",
    "trips_due",
    "unknown_devices",
    "visits",
    "webhook_attempts",
    "webhook_cursors",
    "webhook_deliveries",
    "webhook_endpoint_hours",
    "webhook_failures",
    "work_order_transitions",
    "zone_shapes",
}
ACTOR = Actor(new_id(), "api_key", new_id(), "request-1")


@pytest_asyncio.fixture
async def tenant(database: DatabaseUnderTest) -> AsyncIterator[Tenant]:
    yield await Tenant.create(database)


@pytest.fixture
def admin(database: DatabaseUnderTest) -> Iterator[psycopg.Connection]:
    with psycopg.connect(database.url("admin"), autocommit=True) as conn:
        yield conn


async def _change(database: DatabaseUnderTest, org_id: UUID, actor: Actor | None) -> UUID:
    """Create an asset, and change it in a second transaction."""
    asset = rows.asset(tags=["crane"])
    async with await connect(database.url("opsc_app"), "test") as conn:
        async with conn.transaction():
            await act_for(conn, org_id, actor)
            await assets.insert(conn, asset)
        async with conn.transaction():
            await act_for(conn, org_id, actor)
            await assets.update(conn, asset._replace(name="Lorry"), (await bump(conn))[0])
    return asset.id


async def _events(database: DatabaseUnderTest, org_id: UUID, **wanted: Any) -> list[AuditEvent]:
    async with rows.transaction(database, "opsc_app", org_id) as conn:
        found = await audit.listing(conn, AuditFilter(**wanted), after=None, limit=1000, offset=0)
    return found[::-1]


async def test_a_change_is_written_down_with_who_made_it(
    database: DatabaseUnderTest, tenant: Tenant
) -> None:
    asset_id = await _change(database, tenant.org_id, ACTOR)
    made, tagged, changed = await _events(database, tenant.org_id, resource_id=asset_id)
    for event in (made, tagged, changed):
        assert (event.user_id, event.via) == (ACTOR.user_id, ACTOR.via)
        assert (event.credential_id, event.request_id) == (ACTOR.credential_id, ACTOR.request_id)
        assert event.resource_type == "asset"
    assert [event.action for event in (made, tagged, changed)] == ["insert", "insert", "update"]
    assert json.loads(made.changes)["name"] == {"old": None, "new": "Truck"}
    assert tagged.table_name == "asset_tags"
    assert json.loads(tagged.changes)["tags"] == {"old": None, "new": ["crane"]}
    assert json.loads(changed.changes) == {"name": {"old": "Truck", "new": "Lorry"}}


async def test_what_the_system_writes_has_no_user(
    database: DatabaseUnderTest, tenant: Tenant, admin: psycopg.Connection
) -> None:
    asset_id = await _change(database, tenant.org_id, None)
    assert {event.user_id for event in await _events(database, tenant.org_id)} == {None}
    admin.execute("UPDATE assets SET name = 'by hand' WHERE id = %s", (asset_id,))
    *_, last = await _events(database, tenant.org_id, resource_id=asset_id)
    assert json.loads(last.changes) == {"name": {"old": "Lorry", "new": "by hand"}}
    query = "SELECT DISTINCT login FROM audit_events WHERE resource_id = %s"
    logins = admin.execute(query, (asset_id,))
    assert {login for (login,) in logins} > {"opsc_app"}


async def test_what_changes_nothing_of_its_own_is_not_written_down(
    database: DatabaseUnderTest, tenant: Tenant, admin: psycopg.Connection
) -> None:
    await _change(database, tenant.org_id, ACTOR)
    before = await _events(database, tenant.org_id)
    admin.execute("UPDATE assets SET revision = revision + 1, updated_at = now(), name = name")
    admin.execute("UPDATE organizations SET event_seq = event_seq + 1")  # as the sequencer does
    assert await _events(database, tenant.org_id) == before


async def test_what_is_rolled_back_is_not_written_down(
    database: DatabaseUnderTest, tenant: Tenant
) -> None:
    before = await _events(database, tenant.org_id)
    async with rows.transaction(database, "opsc_app", tenant.org_id) as conn:
        await assets.insert(conn, rows.asset())
        raise psycopg.Rollback
    assert await _events(database, tenant.org_id) == before


async def test_a_secret_is_never_written_down(
    database: DatabaseUnderTest, tenant: Tenant, admin: psycopg.Connection
) -> None:
    vehicle = await tenant.vehicle()
    admin.execute(
        "UPDATE trackers SET secret_hash = sha256('other'), name = 'x' WHERE id = %s",
        (vehicle.tracker_id,),
    )
    *_, last = await _events(database, tenant.org_id, resource_id=vehicle.tracker_id)
    changes = json.loads(last.changes)
    assert changes["secret_hash"] == {"secret": True}
    assert changes["name"]["new"] == "x"
    (users,) = await _events(database, tenant.org_id, resource_type="user")
    assert json.loads(users.changes)["password_hash"] == {"secret": True}


async def test_of_a_large_value_the_hash_is_written_down(
    database: DatabaseUnderTest, tenant: Tenant, admin: psycopg.Connection
) -> None:
    zone_id = await tenant.zone(square(13.4, 52.5))
    admin.execute(
        "UPDATE zone_versions SET rules = jsonb_build_object('x', repeat('y', 20000))"
        " WHERE zone_id = %s",
        (zone_id,),
    )
    *_, last = await _events(database, tenant.org_id, resource_id=zone_id)
    new = json.loads(last.changes)["rules"]["new"]
    assert (new["bytes"], len(new["sha256"])) == (20009, 64)
    admin.execute("UPDATE zone_versions SET valid_to = now() WHERE zone_id = %s", (zone_id,))
    columns = "org_id, zone_id, name, kind, valid_from, created_at, revision, geometry_sha256"
    admin.execute(
        f"INSERT INTO zone_versions ({columns}, shape_bytes, version, rules)"
        f" SELECT {columns}, shape_bytes, 2, rules FROM zone_versions WHERE zone_id = %s",
        (zone_id,),
    )
    *_, last = await _events(database, tenant.org_id, resource_id=zone_id)
    assert (last.action, json.loads(last.changes)["rules"]) == ("insert", {"new": new, "old": None})


async def test_of_many_new_rows_each_is_written_down(
    database: DatabaseUnderTest, tenant: Tenant
) -> None:
    made = [rows.asset(name=f"Truck {number}") for number in range(300)]
    async with rows.transaction(database, "opsc_app", tenant.org_id) as conn:
        await batches.insert_assets(conn, made)
    found = await _events(database, tenant.org_id, resource_type="asset")
    names = {
        event.resource_id: json.loads(event.changes)["name"]
        for event in found
        if event.table_name == "assets"
    }
    assert names == {asset.id: {"old": None, "new": asset.name} for asset in made}
    assert len(found) == 2 * len(made)  # and their tags


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_events SET changes = '{}'",
        "DELETE FROM audit_events",
        "TRUNCATE audit_events",
        "INSERT INTO audit_events OVERRIDING SYSTEM VALUE SELECT * FROM audit_events",
        "SELECT make_resource('assets', audited_as => 'user')",
        "DROP TRIGGER audit ON assets",
        "DROP TRIGGER audit_insert ON assets",
        "ALTER TABLE assets DISABLE TRIGGER audit",
        "ALTER TABLE assets DISABLE TRIGGER audit_insert",
        "SET session_replication_role = replica",
    ],
)
async def test_the_application_can_neither_rewrite_nor_avoid_it(
    database: DatabaseUnderTest, tenant: Tenant, statement: str
) -> None:
    async with rows.transaction(database, "opsc_app", tenant.org_id) as conn:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            async with conn.transaction():
                await conn.execute(statement.encode())


async def test_writers_of_an_organization_do_not_wait_for_each_other(
    database: DatabaseUnderTest, tenant: Tenant
) -> None:
    rename = "UPDATE assets SET name = 'Lorry' WHERE id = %s"
    one, other = await tenant.asset(), await tenant.asset()
    async with rows.transaction(database, "opsc_app", tenant.org_id) as conn:
        await conn.execute(rename, (one,))
        await conn.execute("SET CONSTRAINTS ALL IMMEDIATE")  # the trigger has run
        async with rows.transaction(database, "opsc_app", tenant.org_id) as second:
            await second.execute("SET LOCAL lock_timeout = '200ms'")
            await second.execute(rename, (other,))
    first, last = (await _events(database, tenant.org_id))[-2:]
    assert (first.resource_id, last.resource_id) == (one, other)
    assert first.seq < last.seq


def test_every_table_of_a_tenant_is_audited_or_named_above(admin: psycopg.Connection) -> None:
    query = sql.SQL(
        "SELECT c.relname, EXISTS (SELECT FROM pg_trigger t WHERE t.tgrelid = c.oid"
        " AND t.tgname IN ('audit', 'audit_insert') AND t.tgenabled = 'O')"
        "  FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'org_id'"
        " WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r'"
    )
    found = dict(admin.execute(query).fetchall())
    assert {table for table, is_audited in found.items() if not is_audited} == NOT_AUDITED
