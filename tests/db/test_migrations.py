"""Migrations end in one schema, once, whoever runs them, however often, and wherever they begin."""

import asyncio
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest

from db.maintenance import contents, migrate
from db.resources.kinds import KINDS
from tests.db.catalog import catalogue
from tests.db.every_table import ADDED, RENAMED, make_tenant
from tests.db.version_0_8_0 import migrate_as_then
from tests.servers import DatabaseUnderTest

ROOT = Path(__file__).parents[2]
SCHEMA = "".join(migration.text for migration in migrate.migrations())
# Rows of a hypertable are in its chunks.
EMPTY = {"gps_events", "webhook_attempts", "listeners", "quarantine_usage"}
ONE_ROW = {"fix_hours_end", "trips_seen"}
# The last call for each table.
MADE = {
    call[1]: call[0]
    for call in re.finditer(r"^SELECT make_(?:tenant_table|resource)\('(\w+)'[^;]*;$", SCHEMA, re.M)
}


def _catalogue(database: DatabaseUnderTest) -> set[str]:
    with psycopg.connect(database.url("admin")) as conn:
        return catalogue(conn)


def _contents(database: DatabaseUnderTest) -> dict[str, contents.Content]:
    """Return what is in each table but the ledger. Renamed columns stand where they do today, and
    added ones are left out.
    """
    with contents.open_for_reading(database.url("admin")) as conn:
        return {
            table.name: contents.content(conn, _in_order_of_today(table), lambda _: None)
            for table in contents.tables(conn)
            if table.name != "schema_migrations"
        }


def _in_order_of_today(table: contents.StoredTable) -> contents.StoredTable:
    columns = set(table.columns) - ADDED.get(table.name, set())
    return table._replace(columns=sorted(columns, key=lambda name: RENAMED.get(name, name)))


def _migrate_as_0_9_0(url: str) -> None:
    """Make an empty database one of version 0.9.0, which had no migration after its base."""
    migrate.bootstrap(url)
    with psycopg.connect(url, autocommit=True) as conn:
        conn.execute("SET ROLE opsc_owner")
        conn.execute(migrate._LEDGER)
        assert migrate._apply(conn, migrate.migrations()[0]) == "base"


def test_a_second_run_applies_nothing(empty_database: DatabaseUnderTest) -> None:
    url = empty_database.url("admin")
    names = [migration.name for migration in migrate.migrations()]
    assert names[0] == "base"
    assert migrate.pending(url) == names
    assert migrate.migrate(url) == names
    assert migrate.pending(url) == []
    assert migrate.migrate(url) == []


def test_two_runs_at_once_apply_each_migration_once(empty_database: DatabaseUnderTest) -> None:
    url = empty_database.url("admin")
    with ThreadPoolExecutor(2) as pool:
        applied = [name for names in pool.map(migrate.migrate, [url, url]) for name in names]
    assert applied == [migration.name for migration in migrate.migrations()]


def test_a_migration_that_was_changed_after_it_ran_is_refused(
    empty_database: DatabaseUnderTest,
) -> None:
    url = empty_database.url("admin")
    migrate.migrate(url)
    with psycopg.connect(url, autocommit=True) as conn:
        conn.execute("UPDATE schema_migrations SET sha256 = 'other'")
    with pytest.raises(migrate.MigrationError, match="was changed after it was applied"):
        migrate.migrate(url)


def test_a_database_that_is_newer_than_the_program_is_refused(
    empty_database: DatabaseUnderTest,
) -> None:
    url = empty_database.url("admin")
    migrate.migrate(url)
    with psycopg.connect(url, autocommit=True) as conn:
        conn.execute("INSERT INTO schema_migrations VALUES (9999, '9999_later.sql', 'x')")
    with pytest.raises(migrate.MigrationError, match="newer than this version"):
        migrate.migrate(url)


def test_a_login_that_is_no_superuser_is_told_what_one_has_to_run(
    empty_database: DatabaseUnderTest,
) -> None:
    with psycopg.connect(empty_database.url("admin"), autocommit=True) as conn:
        name = empty_database.name
        conn.execute(f'GRANT CONNECT ON DATABASE "{name}" TO opsc_owner'.encode())
    with pytest.raises(migrate.BootstrapNeeded, match="CREATE EXTENSION IF NOT EXISTS timescaledb"):
        migrate.migrate(empty_database.url("opsc_owner"))


def test_the_owner_can_migrate_a_database_that_a_superuser_prepared(
    empty_database: DatabaseUnderTest,
) -> None:
    migrate.bootstrap(empty_database.url("admin"))
    names = [migration.name for migration in migrate.migrations()]
    assert migrate.migrate(empty_database.url("opsc_owner")) == names


def test_the_owner_waits_until_a_superuser_has_taken_set_config_from_the_application(
    empty_database: DatabaseUnderTest,
) -> None:
    migrate.migrate(empty_database.url("admin"))
    with psycopg.connect(empty_database.url("admin"), autocommit=True) as conn:
        conn.execute("GRANT EXECUTE ON FUNCTION set_config TO PUBLIC")  # as in older versions
    with pytest.raises(migrate.BootstrapNeeded, match="ON FUNCTION pg_catalog"):
        migrate.migrate(empty_database.url("opsc_owner"))
    migrate.bootstrap(empty_database.url("admin"))
    assert migrate.migrate(empty_database.url("opsc_owner")) == []


@pytest.mark.parametrize("role", ["admin", "opsc_owner"])
def test_a_database_of_0_8_0_becomes_a_new_one_with_its_rows(
    empty_database: DatabaseUnderTest, database: DatabaseUnderTest, role: str
) -> None:
    migrate_as_then(empty_database.url("admin"))
    names = [migration.name for migration in migrate.migrations()]
    _check_becomes_new(empty_database, database, role, names)


@pytest.mark.parametrize("role", ["admin", "opsc_owner"])
def test_a_database_of_0_9_0_becomes_a_new_one_with_its_rows(
    empty_database: DatabaseUnderTest, database: DatabaseUnderTest, role: str
) -> None:
    _migrate_as_0_9_0(empty_database.url("admin"))
    names = [migration.name for migration in migrate.migrations()[1:]]
    _check_becomes_new(empty_database, database, role, names)


def _check_becomes_new(
    old: DatabaseUnderTest, new: DatabaseUnderTest, role: str, names: list[str]
) -> None:
    """Check that these migrations make a database equal to a new one, and keep a row in each table
    and in each column that has another name by now.
    """
    asyncio.run(make_tenant(old, before_0001=True))
    old.close()  # roles end before offline migrations
    rows = _contents(old)
    assert {table for table, content in rows.items() if not content.rows} == EMPTY
    assert migrate.pending(old.url("admin")) == names
    assert migrate.migrate(old.url(role)) == names
    assert migrate.pending(old.url("admin")) == []
    assert _catalogue(old) == _catalogue(new)
    old.run("admin", "DELETE FROM leases WHERE name = 'trips' RETURNING 1")  # new, as its loop is
    kept = _contents(old)
    assert {table: kept[table] for table in rows} == rows
    added = kept.keys() - rows.keys() - ONE_ROW
    assert {kept[table].rows for table in added} == {0}
    ledger = "SELECT version, name, sha256 FROM schema_migrations ORDER BY version"
    assert old.run("admin", ledger) == new.run("admin", ledger)


def test_an_older_database_is_told_what_to_go_through(empty_database: DatabaseUnderTest) -> None:
    url = empty_database.url("admin")
    migrate_as_then(url, most=12)
    before = _catalogue(empty_database)
    for run in (migrate.pending, migrate.migrate):
        with pytest.raises(
            migrate.MigrationError,
            match=r"0012_asset_backlogs\.sql\. Migrate it with version 0\.8\.0 .* commit 14d85a6a",
        ):
            run(url)
    assert _catalogue(empty_database) == before


def test_a_ledger_of_0_8_0_that_was_changed_is_no_ledger_of_it(
    empty_database: DatabaseUnderTest,
) -> None:
    url = empty_database.url("admin")
    migrate_as_then(url)
    empty_database.run("admin", "UPDATE schema_migrations SET sha256 = 'x' WHERE version = 7")
    with pytest.raises(migrate.MigrationError, match=r"with version 0\.8\.0 first"):
        migrate.migrate(url)


def test_each_table_of_tenants_has_what_would_be_made_for_it_today(
    database: DatabaseUnderTest,
) -> None:
    with psycopg.connect(database.url("admin")) as conn:
        secured = conn.execute("SELECT relname FROM pg_class WHERE relrowsecurity").fetchall()
        assert set(MADE) == {table for (table,) in secured}
        before = catalogue(conn)
        conn.execute("SET ROLE opsc_owner")
        for call in MADE.values():
            conn.execute(call.encode())
        conn.execute("RESET ROLE")
        assert catalogue(conn) == before


def test_each_kind_that_the_audit_has_is_written_down_by_its_table() -> None:
    kinds = set(re.findall(r"audited_as => '(\w+)'", "".join(MADE.values())))
    assert kinds == {kind.name for kind in KINDS.values() if kind.is_audited}
    for kind in KINDS.values():
        if kind.table is not None and kind.is_audited:
            assert f"audited_as => '{kind.name}'" in MADE[kind.table]
            if kind.is_soft_deleted:
                assert "gone_at => 'deleted_at'" in MADE[kind.table]


def test_whatever_is_written_names_its_columns() -> None:
    """Their order is another in a database that was upgraded."""
    unnamed = re.compile(r"INSERT INTO \w+\s+(?:AS \w+\s+)?(?:VALUES|SELECT)|COPY \w+ (?:FROM|TO)")
    texts = [SCHEMA, *(path.read_text("utf-8") for path in (ROOT / "db").rglob("*.py"))]
    assert [found for text in texts for found in unnamed.findall(text)] == []
