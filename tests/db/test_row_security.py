"""One organization never sees another's row as the application's role, chunk tables included."""

import asyncio
from collections.abc import Iterator
from uuid import UUID

import psycopg
import pytest
from psycopg import sql

from db.core.ids import new_id
from tests.db.every_table import EVERY_TABLE, make_tenant
from tests.servers import DatabaseUnderTest

# Tables that the application's role has no right to at all.
CLOSED = {
    "asset_checkpoints",
    "asset_cuts",
    "asset_state",
    "device_sessions",
    "failing_work",
    "mail_outbox",
    "webhook_cursors",
}


@pytest.fixture(scope="module")
def tenants(database: DatabaseUnderTest) -> list[UUID]:
    """Two organizations with the same-named everything: a row in every table of a tenant."""
    return [asyncio.run(make_tenant(database)) for _ in range(2)]


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
    conn.execute("CALL act_for(%s, '')", (org_id,))


def test_in_every_table_a_tenant_sees_its_own_rows_alone(
    database: DatabaseUnderTest, tenants: list[UUID], app: psycopg.Connection
) -> None:
    tables = _tables(database)
    assert len(tables) >= 21
    for org_id in tenants:
        _act_for(app, org_id)
        seen = {table: _seen(app, table) for table in tables}
        assert [table for table in tables if not seen[table]] == [], "tests/db/every_table.py"
        assert seen == {table: {org_id} for table in tables}


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
        "archive_removals",
        "leases",
        "listeners",
        "live_slots",
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
    assert tables == {
        "device_connections": "ISU",
        "device_sessions": "DISU",
        "gateway_sightings": "IS",
        "listeners": "DISU",
        "unknown_devices": "DISU",
    }
    readable = {
        "trackers": "org_id id secret_hash receipts revoked_at revision external_id",
        "imei_claims": "org_id tracker_id imei first_fix_at confirmed_at",
        "gateways": "org_id id kind mapping secret_hash revoked_at updated_at",
        "leases": "name epoch address expires_at",
        "commands": "org_id id tracker_id text repeatable created_at expires_at sends sent_at"
        " answer_until answered_at answer cancelled_at",
    }
    assert columns == {f"{table}.{name}" for table in readable for name in readable[table].split()}
    with psycopg.connect(database.url("opsc_listen")) as conn:
        for table in (
            *("trackers", "device_sessions", "device_connections", "imei_claims"),
            *("unknown_devices", "commands", "gateway_sightings"),
        ):
            assert _seen(conn, table) >= set(tenants)


# They look past nobody, but set what a statement of the application cannot.
SETTERS = {"act_for", "read_for", "say"}
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
    "showing_employees": "ARRAY[%(org_id)s]",
    "refuses_imei": "'356938035643809'",
    # Not a look-up, but a count over all: it returns the number of places for one organization.
    "share_live_slots": "%(id)s, '{}', '{}', NULL, 0, 6",
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
    assert {name for name, _, _ in found} == {*LOOK_UPS, *SETTERS}
    for name, config, is_public in found:
        assert config == ["search_path=pg_catalog, pg_temp"], name
        assert not is_public, name


@pytest.mark.parametrize("function", sorted(LOOK_UPS))
@pytest.mark.parametrize("role", ["opsc_ingest", "opsc_listen", "opsc_deliver"])
def test_only_the_application_may_look_credentials_up(
    database: DatabaseUnderTest, function: str, role: str
) -> None:
    values = {"hash": bytes(32), "org_id": new_id(), "id": new_id()}
    query = f"SELECT * FROM {function}({LOOK_UPS[function]})".encode()
    with psycopg.connect(database.url("opsc_app")) as conn:
        assert [row for row in conn.execute(query, values) if row not in ((None,), (0,))] == []
    with (
        psycopg.connect(database.url(role)) as conn,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
    ):
        conn.execute(query, values)
