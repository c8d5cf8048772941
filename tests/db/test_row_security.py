"""One organization never sees another's row as the application's role, chunk tables included."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from uuid import UUID

import psycopg
import pytest
from psycopg import sql

from db.core.ids import new_id
from telemetry.ids import format_id
from tests.ingest.tenants import Tenant, square
from tests.servers import DatabaseUnderTest

# Tables that the application's role has no right to at all.
CLOSED = {"asset_checkpoints", "asset_cuts", "asset_state", "device_sessions", "mail_outbox"}
EVERY_TABLE = (
    "SELECT c.relname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid"
    " WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' AND a.attname = 'org_id'"
)
NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def tenants(database: DatabaseUnderTest) -> list[UUID]:
    """Two organizations with the same-named everything: a row in every table of a tenant."""
    return [asyncio.run(_make_tenant(database)) for _ in range(2)]


async def _make_tenant(database: DatabaseUnderTest) -> UUID:
    tenant = await Tenant.create(database)
    vehicle = await tenant.vehicle()
    zone_id = await tenant.zone(square(13.4, 52.5))
    with psycopg.connect(database.url("admin")) as conn:
        _fill(conn, tenant.org_id, vehicle.tracker_id, vehicle.asset_id, zone_id)
    return tenant.org_id


def _fill(
    conn: psycopg.Connection, org_id: UUID, tracker_id: UUID, asset_id: UUID, zone_id: UUID
) -> None:
    event_id, endpoint_id = new_id(), new_id()
    conn.execute("INSERT INTO asset_state VALUES (%s, %s, 'x')", (org_id, asset_id))
    conn.execute("INSERT INTO asset_checkpoints VALUES (%s, %s, now(), 0, 'x')", (org_id, asset_id))
    conn.execute("INSERT INTO asset_cuts VALUES (%s, %s, now())", (org_id, asset_id))
    conn.execute("INSERT INTO latest_positions VALUES (%s, %s)", (org_id, asset_id))
    conn.execute("INSERT INTO asset_backlogs VALUES (%s, %s, now(), 0, 'x', 0)", (org_id, asset_id))
    conn.execute(
        "INSERT INTO device_sessions VALUES (%s, %s, 'x', false, now())", (org_id, tracker_id)
    )
    conn.execute(
        "INSERT INTO device_connections VALUES (%s, %s, NULL, '::1', 5, now())",
        (org_id, tracker_id),
    )
    for day in range(3):
        conn.execute(
            "INSERT INTO gps_events (org_id, tracker_id, time, seq, received_at, lat, lon)"
            " VALUES (%s, %s, %s, 0, now(), 52.5, 13.4)",
            (org_id, tracker_id, NOW + timedelta(days=day)),
        )
    conn.execute(
        "INSERT INTO visits (org_id, id, asset_id, zone_id, zone_version, tracker_id, opening_time,"
        " opening_seq, entered_at, entry_lat, entry_lon, entry_cause)"
        " VALUES (%s, %s, %s, %s, 1, %s, %s, 0, %s, 1, 1, 'moved')",
        (org_id, new_id(), asset_id, zone_id, tracker_id, NOW, NOW),
    )
    conn.execute(
        "INSERT INTO events (org_id, id, type, occurred_at, data, seq)"
        " VALUES (%s, %s, 'asset.geofence_breach', %s, '{}', 1)",
        (org_id, event_id, NOW),
    )
    conn.execute(
        "INSERT INTO event_subjects (org_id, subject, seq) VALUES (%s, %s, 1)",
        (org_id, format_id("ast", asset_id)),
    )
    conn.execute(
        "INSERT INTO webhook_endpoints (org_id, id, url, types, secret_encrypted)"
        " VALUES (%s, %s, 'https://example.com', '{*}', 'x')",
        (org_id, endpoint_id),
    )
    conn.execute(
        "INSERT INTO webhook_deliveries (org_id, endpoint_id, event_id, seq)"
        " VALUES (%s, %s, %s, 1)",
        (org_id, endpoint_id, event_id),
    )
    conn.execute(
        "INSERT INTO webhook_attempts (org_id, delivery_id, attempted_at) VALUES (%s, %s, %s)",
        (org_id, new_id(), NOW),
    )
    conn.execute(
        "INSERT INTO webhook_endpoint_hours VALUES (%s, %s, %s, 1, 1, array_fill(0, '{49}'))",
        (org_id, endpoint_id, NOW),
    )
    conn.execute(
        "INSERT INTO webhook_failures (org_id, endpoint_id) VALUES (%s, %s)", (org_id, endpoint_id)
    )
    conn.execute(
        "INSERT INTO quarantine (org_id, id, digest, topic, reason, detail, positions,"
        " payload_bytes,"
        " payload_sha256, first_received_at, last_received_at)"
        " VALUES (%s, %s, sha256(%s), 't', 'rate', '', '{}', 1, 'x', now(), now())",
        (org_id, new_id(), org_id.bytes),
    )
    conn.execute(
        "INSERT INTO idempotency_keys (org_id, operation, key, fingerprint, answer_encrypted,"
        " expires_at) VALUES (%s, 'createAsset', 'k', sha256('x'), 'x', now())",
        (org_id,),
    )
    client_id, site_id, attachment_id = new_id(), new_id(), new_id()
    conn.execute("INSERT INTO clients (org_id, id, name) VALUES (%s, %s, 'x')", (org_id, client_id))
    conn.execute(
        "INSERT INTO sites (org_id, id, client_id, zone_id, name) VALUES (%s, %s, %s, %s, 'x')",
        (org_id, site_id, client_id, zone_id),
    )
    employee_id = new_id()
    conn.execute(
        "INSERT INTO employees (org_id, id, name) VALUES (%s, %s, 'x')", (org_id, employee_id)
    )
    punch_id = new_id()
    conn.execute(
        "INSERT INTO punches (org_id, id, employee_id, kind, claimed_at, received_at, verdict,"
        " reasons, pay_time, pay_time_source)"
        " VALUES (%s, %s, %s, 'in', now(), now(), 'verified', '[]', now(), 'claimed')",
        (org_id, punch_id, employee_id),
    )
    conn.execute(
        "INSERT INTO punch_verdicts (org_id, punch_id, revision, cause, verdict, reasons)"
        " VALUES (%s, %s, 1, 'late_fix', 'failed', '[]')",
        (org_id, punch_id),
    )
    conn.execute(
        "INSERT INTO punch_evidence (org_id, punch_id, employee_id, fix_time, nearest_s)"
        " VALUES (%s, %s, %s, now(), 0)",
        (org_id, punch_id, employee_id),
    )
    conn.execute("INSERT INTO jobsite_corrections (org_id, next_at) VALUES (%s, now())", (org_id,))
    conn.execute(
        "INSERT INTO shifts (org_id, id, employee_id, opened_by, started_at, break_s, worked_s,"
        " verdicts, flags, lapses_at, lapsed)"
        " VALUES (%s, %s, %s, %s, now(), 0, 0, '{}', '[]', now(), '{}')",
        (org_id, new_id(), employee_id, punch_id),
    )
    order_id = new_id()
    conn.execute(
        "INSERT INTO work_orders (org_id, id, number, title, priority, state)"
        " VALUES (%s, %s, 1, 'x', 'normal', 'created')",
        (org_id, order_id),
    )
    conn.execute(
        "INSERT INTO work_order_assignees VALUES (%s, %s, %s)", (org_id, order_id, employee_id)
    )
    conn.execute("INSERT INTO work_order_assets VALUES (%s, %s, %s)", (org_id, order_id, asset_id))
    timesheet_id = new_id()
    conn.execute(
        "INSERT INTO timesheets (org_id, id, employee_id, first_day, last_day)"
        " VALUES (%s, %s, %s, '2026-03-02', '2026-03-08')",
        (org_id, timesheet_id, employee_id),
    )
    conn.execute(
        "INSERT INTO gateways (org_id, id, name, kind, secret_hash)"
        " VALUES (%s, %s, 'x', 'tts', sha256('x'))",
        (org_id, new_id()),
    )
    part_id, warehouse_id = new_id(), new_id()
    conn.execute(
        "INSERT INTO parts (org_id, id, number, name, unit, currency, fits)"
        " VALUES (%s, %s, 'x', 'x', 'piece', 'EUR', '[{\"model\": \"x\"}]')",
        (org_id, part_id),
    )
    conn.execute(
        "INSERT INTO warehouses (org_id, id, name) VALUES (%s, %s, 'x')", (org_id, warehouse_id)
    )
    for table, more in (
        ("inventory", ""),
        ("stock_movements", ", kind, quantity_milli, on_hand_change_milli, reserved_change_milli"),
    ):
        conn.execute(
            f"INSERT INTO {table} (org_id, id, part_id, warehouse_id{more})"  # noqa: S608
            f" VALUES (%s, %s, %s, %s{', %s, 1, 1, 0' if more else ''})",
            (org_id, new_id(), part_id, warehouse_id, *(["adjust"] if more else [])),
        )
    conn.execute(
        "INSERT INTO stock_lots (org_id, id, part_id, warehouse_id, lot, is_serial, on_hand_milli,"
        " created_at, updated_at) VALUES (%s, %s, %s, %s, 'x', false, 0, now(), now())",
        (org_id, new_id(), part_id, warehouse_id),
    )
    conn.execute(
        "INSERT INTO stock_movement_serials SELECT org_id, 'x', id FROM stock_movements"
        " WHERE org_id = %s",
        (org_id,),
    )
    conn.execute(
        "INSERT INTO attachments (org_id, id, site_id, file_name, media_type, size_bytes, sha256,"
        " created_by) VALUES (%s, %s, %s, 'x', 'text/plain', 1, sha256('x'), %s)",
        (org_id, attachment_id, site_id, new_id()),
    )
    conn.execute("INSERT INTO attachment_pieces VALUES (%s, %s, 0, 'x')", (org_id, attachment_id))
    conn.execute(
        "INSERT INTO photo_copies VALUES (%s, %s, 'thumb', 'image/png', 1, 1, sha256('x'), 'x')",
        (org_id, attachment_id),
    )
    conn.execute(
        "INSERT INTO organization_logos VALUES (%s, 'image/png', 1, 1, 'x', 'x')", (org_id,)
    )
    quote_id = new_id()
    conn.execute(
        "INSERT INTO quotes (org_id, id, number, revision, client_id, title, lines, currency,"
        " valid_until, subtotal_cents, discount_cents, tax_cents, total_cents)"
        " VALUES (%s, %s, 1, 1, %s, 'x', '[{}]', 'CHF', '2099-01-01', 0, 0, 0, 0)",
        (org_id, quote_id, client_id),
    )
    conn.execute("INSERT INTO quote_documents VALUES (%s, %s, 'x', 'x')", (org_id, quote_id))
    conn.execute(
        "INSERT INTO quote_evidence VALUES (%s, %s, 1, 'x', sha256('x'))", (org_id, quote_id)
    )
    conn.execute(
        "INSERT INTO quote_links (org_id, token_hash, quote_id)"
        " VALUES (%(org_id)s, sha256(uuid_send(%(id)s)), %(id)s)",
        {"org_id": org_id, "id": quote_id},
    )
    conn.execute("INSERT INTO number_counters VALUES (%s, 'quote', 1)", (org_id,))
    conn.execute("INSERT INTO attachment_usage VALUES (%s, 1, 1)", (org_id,))
    conn.execute("INSERT INTO request_minutes (org_id) VALUES (%s)", (org_id,))
    conn.execute("INSERT INTO request_usage VALUES (%s, now(), 1, 1)", (org_id,))
    _fill_identity(conn, org_id)
    conn.execute(
        "INSERT INTO timesheet_adjustments (org_id, id, timesheet_id, day, seconds, reason,"
        " created_by) SELECT org_id, %s, %s, '2026-03-02', 60, 'x', id FROM users"
        " WHERE org_id = %s LIMIT 1",
        (new_id(), timesheet_id, org_id),
    )
    for columns, values in (
        ("work_order_comments (org_id, id, work_order_id, user_id, text)", "'x'"),
        (
            "work_order_transitions (org_id, id, work_order_id, user_id, verb, state)",
            "'create', 'created'",
        ),
    ):
        conn.execute(
            f"INSERT INTO {columns} SELECT org_id, %s, %s, id, {values} FROM users"  # noqa: S608
            " WHERE org_id = %s LIMIT 1",
            (new_id(), order_id, org_id),
        )
    conn.execute(
        "INSERT INTO work_order_parts (org_id, id, work_order_id, part_id, planned_milli)"
        " SELECT org_id, %s, %s, id, 1 FROM parts WHERE org_id = %s LIMIT 1",
        (new_id(), order_id, org_id),
    )
    _fill_inspections(conn, org_id, attachment_id, order_id)
    conn.execute("INSERT INTO inbox (org_id, topic, payload) VALUES (%s, 't', 'x')", (org_id,))


def _fill_inspections(
    conn: psycopg.Connection, org_id: UUID, attachment_id: UUID, order_id: UUID
) -> None:
    """Fill the tables of inspections. A form of a work order has a defect that another mends."""
    template_id, form_id = new_id(), new_id()
    conn.execute(
        "INSERT INTO inspection_templates (org_id, id, name, version) VALUES (%s, %s, 'x', 1)",
        (org_id, template_id),
    )
    conn.execute(
        "INSERT INTO inspection_template_versions (org_id, template_id, version, name, sections,"
        " questions, created_by) SELECT org_id, %s, 1, 'x', '[]', 1, id FROM users"
        " WHERE org_id = %s LIMIT 1",
        (template_id, org_id),
    )
    conn.execute(
        "INSERT INTO inspection_forms (org_id, id, template_id, template_version, work_order_id,"
        " state, answers, defects, created_by)"
        " SELECT org_id, %s, %s, 1, %s, 'draft', '{}', '[]', id FROM users"
        " WHERE org_id = %s LIMIT 1",
        (form_id, template_id, order_id, org_id),
    )
    conn.execute(
        "UPDATE inspection_forms SET state = 'submitted', submitted_by = created_by,"
        " submitted_at = now() WHERE id = %s",
        (form_id,),
    )
    conn.execute(
        "INSERT INTO work_orders (org_id, id, number, title, priority, state, inspection_form_id,"
        " question_id) VALUES (%s, %s, 2, 'x', 'normal', 'created', %s, 'brakes')",
        (org_id, new_id(), form_id),
    )
    conn.execute(
        "INSERT INTO inspection_photos VALUES (%s, %s, %s)", (org_id, form_id, attachment_id)
    )


def _fill_identity(conn: psycopg.Connection, org_id: UUID) -> None:
    user_id, sign_in_id = new_id(), new_id()
    conn.execute(
        "INSERT INTO users (org_id, id, email, role) VALUES (%s, %s, 'x@example.com', 'admin')",
        (org_id, user_id),
    )
    conn.execute(
        "INSERT INTO sign_ins (org_id, id, user_id, kind, expires_at)"
        " VALUES (%s, %s, %s, 'token', now() + interval '1 day')",
        (org_id, sign_in_id, user_id),
    )
    conn.execute(
        "INSERT INTO refresh_tokens (org_id, token_hash, sign_in_id, expires_at)"
        " VALUES (%s, sha256(%s), %s, now() + interval '1 day')",
        (org_id, org_id.bytes, sign_in_id),
    )
    conn.execute(
        "INSERT INTO api_keys (org_id, id, user_id, name, secret_hash, last4)"
        " VALUES (%s, %s, %s, 'x', sha256(%s), 'abcd')",
        (org_id, new_id(), user_id, org_id.bytes),
    )
    conn.execute(
        "INSERT INTO user_links (org_id, token_hash, user_id, purpose, expires_at)"
        " VALUES (%s, sha256(%s), %s, 'invitation', now() + interval '1 day')",
        (org_id, org_id.bytes, user_id),
    )
    conn.execute(
        "INSERT INTO mail_outbox (org_id, id, purpose, email)"
        " VALUES (%s, %s, 'invitation', 'x@example.com')",
        (org_id, new_id()),
    )


@pytest.fixture
def app(database: DatabaseUnderTest) -> Iterator[psycopg.Connection]:
    with psycopg.connect(database.url("opsc_app")) as conn:
        yield conn


def _tables(database: DatabaseUnderTest) -> list[str]:
    with psycopg.connect(database.url("admin")) as conn:
        return [name for (name,) in conn.execute(EVERY_TABLE) if name not in CLOSED]


def _seen(conn: psycopg.Connection, table: str) -> set[UUID]:
    query = sql.SQL("SELECT org_id FROM {}").format(sql.Identifier(table))
    return {org_id for (org_id,) in conn.execute(query)}


def _act_for(conn: psycopg.Connection, org_id: UUID) -> None:
    conn.execute("SELECT set_config('app.org_id', %s, true)", (str(org_id),))


def test_in_every_table_a_tenant_sees_its_own_rows_alone(
    database: DatabaseUnderTest, tenants: list[UUID], app: psycopg.Connection
) -> None:
    tables = _tables(database)
    assert len(tables) >= 21
    for org_id in tenants:
        _act_for(app, org_id)
        assert {table: _seen(app, table) for table in tables} == {t: {org_id} for t in tables}


def test_without_a_tenant_nothing_is_seen(
    database: DatabaseUnderTest, tenants: list[UUID], app: psycopg.Connection
) -> None:
    assert {table: _seen(app, table) for table in _tables(database)} == {
        table: set() for table in _tables(database)
    }


def test_the_tenant_ends_with_the_transaction(tenants: list[UUID], app: psycopg.Connection) -> None:
    _act_for(app, tenants[0])
    assert _seen(app, "assets")
    app.commit()
    assert not _seen(app, "assets")


def test_no_chunk_can_be_read_past_its_hypertable(
    database: DatabaseUnderTest, tenants: list[UUID]
) -> None:
    with psycopg.connect(database.url("admin")) as conn:
        chunks = [name for (name,) in conn.execute("SELECT show_chunks('gps_events')::text")]
        logged = [name for (name,) in conn.execute("SELECT show_chunks('webhook_attempts')::text")]
    assert len(chunks) == 3
    assert all(chunk.startswith("gps_chunks.") for chunk in chunks)
    assert len(logged) == 1
    assert all(chunk.startswith("attempt_chunks.") for chunk in logged)
    chunks += logged
    for chunk in chunks:
        with psycopg.connect(database.url("opsc_app")) as conn:
            _act_for(conn, tenants[0])
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                conn.execute(f"SELECT FROM {chunk}".encode())


@pytest.mark.parametrize("table", sorted(CLOSED))
def test_a_closed_table_cannot_be_read_and_is_secured_as_the_others(
    database: DatabaseUnderTest, tenants: list[UUID], app: psycopg.Connection, table: str
) -> None:
    with psycopg.connect(database.url("admin")) as conn:
        secured = conn.execute(
            "SELECT relrowsecurity, relforcerowsecurity FROM pg_class WHERE relname = %s", (table,)
        ).fetchone()
    assert secured == (True, True)
    _act_for(app, tenants[0])
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        _seen(app, table)


@pytest.mark.parametrize("view", ["pg_stats", "pg_stats_ext", "pg_stats_ext_exprs", "pg_statistic"])
def test_statistics_do_not_tell_values_of_chunks(
    database: DatabaseUnderTest, tenants: list[UUID], app: psycopg.Connection, view: str
) -> None:
    with psycopg.connect(database.url("admin"), autocommit=True) as conn:
        conn.execute("ANALYZE")
    _act_for(app, tenants[0])
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        app.execute(sql.SQL("SELECT FROM {}").format(sql.Identifier(view)))


def test_a_row_cannot_be_written_for_another_tenant(
    tenants: list[UUID], app: psycopg.Connection
) -> None:
    _act_for(app, tenants[0])
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="row-level security"):
        app.execute(
            "INSERT INTO assets (org_id, id, name, revision) VALUES (%s, %s, 'x', 1)",
            (tenants[1], new_id()),
        )


def test_a_row_of_another_tenant_cannot_be_changed_or_taken(
    tenants: list[UUID], app: psycopg.Connection
) -> None:
    _act_for(app, tenants[0])
    cursor = app.execute("UPDATE assets SET name = 'mine' WHERE org_id = %s", (tenants[1],))
    assert cursor.rowcount == 0
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        app.execute("UPDATE assets SET org_id = %s", (tenants[1],))


def test_tags_of_an_asset_can_be_ended_but_not_rewritten(
    tenants: list[UUID], app: psycopg.Connection
) -> None:
    _act_for(app, tenants[0])
    cursor = app.execute("UPDATE asset_tags SET valid_to = now(), revision = 2")
    assert cursor.rowcount == 1
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        app.execute("UPDATE asset_tags SET tags = '{}'")


def test_a_reference_to_a_row_of_another_tenant_is_refused(
    database: DatabaseUnderTest, tenants: list[UUID], app: psycopg.Connection
) -> None:
    with psycopg.connect(database.url("admin")) as conn:
        query = "SELECT id FROM assets WHERE org_id = %s"
        (foreign,) = conn.execute(query, (tenants[1],)).fetchone() or (None,)
    _act_for(app, tenants[0])
    (tracker,) = app.execute("SELECT id FROM trackers").fetchone() or (None,)
    with pytest.raises(psycopg.errors.ForeignKeyViolation):
        app.execute(
            "INSERT INTO tracker_assignments (org_id, id, tracker_id, asset_id, assigned_from,"
            " assigned_to, revision) VALUES (%s, %s, %s, %s, '2001-01-01', '2002-01-01', 1)",
            (tenants[0], new_id(), tracker, foreign),
        )


@pytest.mark.parametrize("role", ["opsc_app", "opsc_listen", "opsc_owner"])
def test_the_role_is_under_row_level_security(database: DatabaseUnderTest, role: str) -> None:
    with psycopg.connect(database.url("admin")) as conn:
        row = conn.execute(
            "SELECT rolsuper, rolbypassrls FROM pg_roles WHERE rolname = %s", (role,)
        ).fetchone()
    assert row == (False, False)


@pytest.mark.parametrize(
    "table",
    [
        "leases",
        "listeners",
        "zones_revision",
        "schema_migrations",
        "quarantine_usage",
        "sign_in_failures",
    ],
)
def test_tables_without_a_tenant_give_the_application_no_more_than_it_needs(
    database: DatabaseUnderTest, table: str
) -> None:
    with psycopg.connect(database.url("admin")) as conn:
        rights = {
            right
            for (right,) in conn.execute(
                "SELECT privilege_type FROM information_schema.table_privileges"
                " WHERE table_name = %s AND grantee = 'opsc_app'",
                (table,),
            )
        }
    needed = {
        "listeners": {"SELECT"},
        "zones_revision": {"SELECT", "UPDATE"},
        "sign_in_failures": {"SELECT", "INSERT", "UPDATE", "DELETE"},
    }
    assert rights == needed.get(table, set())


def test_the_listener_may_read_who_signs_in_and_write_who_is_connected_and_no_more(
    database: DatabaseUnderTest, tenants: list[UUID]
) -> None:
    with psycopg.connect(database.url("admin")) as conn:
        tables = dict(
            conn.execute(
                "SELECT table_name, string_agg(left(privilege_type, 1), '' ORDER BY privilege_type)"
                "  FROM information_schema.table_privileges WHERE grantee = 'opsc_listen'"
                " GROUP BY table_name"
            ).fetchall()
        )
        columns = {
            f"{table}.{column}"
            for table, column in conn.execute(
                "SELECT table_name, column_name FROM information_schema.column_privileges"
                " WHERE grantee = 'opsc_listen'"
            )
            if table not in tables
        }
    assert tables == {"device_connections": "ISU", "device_sessions": "DISU", "listeners": "DISU"}
    readable = ("org_id", "id", "secret_hash", "receipts", "revoked_at", "revision")
    assert columns == {f"trackers.{name}" for name in readable} | {
        f"leases.{name}" for name in ("name", "epoch", "address", "expires_at")
    }
    with psycopg.connect(database.url("opsc_listen")) as conn:
        for table in ("trackers", "device_sessions", "device_connections"):
            assert _seen(conn, table) >= set(tenants)


LOOK_UPS = {
    "api_access_of": "ARRAY[%(org_id)s]",
    "caller_of_api_key": "%(hash)s",
    "caller_of_session": "%(hash)s, interval '1 day'",
    "caller_of_sign_in": "%(org_id)s, %(id)s",
    "event_seqs": "ARRAY[%(org_id)s]",
    "org_of_email": "'nobody@example.com'",
    "org_of_quote_link": "%(hash)s",
    "org_of_refresh_token": "%(hash)s",
    "org_of_user_link": "%(hash)s",
}


def test_the_functions_that_look_past_tenants_are_these_alone(
    database: DatabaseUnderTest,
) -> None:
    with psycopg.connect(database.url("admin")) as conn:
        found = conn.execute(
            "SELECT proname, proconfig, has_function_privilege('public', oid, 'EXECUTE')"
            "  FROM pg_proc WHERE pronamespace = 'public'::regnamespace AND prosecdef"
            "   AND has_function_privilege('opsc_app', oid, 'EXECUTE')"
        ).fetchall()
    assert {name for name, _, _ in found} == set(LOOK_UPS)
    for name, config, is_public in found:
        assert config == ["search_path=pg_catalog, pg_temp"], name
        assert not is_public, name


@pytest.mark.parametrize("function", sorted(LOOK_UPS))
@pytest.mark.parametrize("role", ["opsc_ingest", "opsc_listen", "opsc_deliver"])
def test_only_the_application_may_look_credentials_up(
    database: DatabaseUnderTest, function: str, role: str
) -> None:
    values = {"hash": bytes(32), "org_id": new_id(), "id": new_id()}
    query = f"SELECT * FROM {function}({LOOK_UPS[function]})".encode()  # noqa: S608
    with psycopg.connect(database.url("opsc_app")) as conn:
        assert [row for row in conn.execute(query, values) if row != (None,)] == []
    with (
        psycopg.connect(database.url(role)) as conn,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
    ):
        conn.execute(query, values)
