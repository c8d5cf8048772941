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
from tests.db.every_table import make_tenant
from tests.db.version_0_8_0 import migrate_as_then
from tests.servers import DatabaseUnderTest

ROOT = Path(__file__).parents[2]
FILES = [ROOT / "db/schema.sql", *sorted((ROOT / "db/migrations").glob("*.sql"))]
SCHEMA = "\n".join(path.read_text("utf-8") for path in FILES)
# Rows of a hypertable are in its chunks.
EMPTY = {"gps_events", "webhook_attempts", "listeners", "quarantine_usage"}
MAKING = re.compile(r"^SELECT make_(?:tenant_table|resource)\([^;]*\);$", re.MULTILINE)


def _catalogue(database: DatabaseUnderTest) -> set[str]:
    with psycopg.connect(database.url("admin")) as conn:
        return catalogue(conn)


def _contents(database: DatabaseUnderTest) -> dict[str, contents.Content]:
    """Return what is in each table but the ledger."""
    with contents.open_for_reading(database.url("admin")) as conn:
        return {
            table.name: contents.content(conn, table, lambda _: None)
            for table in contents.tables(conn)
            if table.name != "schema_migrations"
        }


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
    asyncio.run(make_tenant(empty_database))
    rows = _contents(empty_database)
    assert {table for table, content in rows.items() if not content.rows} == EMPTY
    names = [migration.name for migration in migrate.migrations()]
    assert migrate.pending(empty_database.url("admin")) == names
    assert migrate.migrate(empty_database.url(role)) == names
    assert migrate.pending(empty_database.url("admin")) == []
    assert _catalogue(empty_database) == _catalogue(database)
    assert _contents(empty_database) == rows
    ledger = "SELECT version, name, sha256 FROM schema_migrations ORDER BY version"
    assert empty_database.run("admin", ledger) == database.run("admin", ledger)


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
    made = MAKING.findall(SCHEMA)
    tables = [re.findall(r"'(\w+)'", call)[0] for call in made]
    with psycopg.connect(database.url("admin")) as conn:
        secured = conn.execute("SELECT relname FROM pg_class WHERE relrowsecurity").fetchall()
        assert sorted(tables) == sorted(table for (table,) in secured)
        before = catalogue(conn)
        conn.execute("SET ROLE opsc_owner")
        for call in made:
            conn.execute(call.encode())
        conn.execute("RESET ROLE")
        assert catalogue(conn) == before


def test_each_kind_that_the_audit_has_is_written_down_by_its_table() -> None:
    kinds = set(re.findall(r"audited_as => '(\w+)'", SCHEMA))
    assert kinds == {kind.name for kind in KINDS.values() if kind.is_audited}
    for kind in KINDS.values():
        if kind.table is not None and kind.is_audited:
            (call,) = re.findall(rf"make_resource\('{kind.table}',([^;]*)\);", SCHEMA)
            assert f"audited_as => '{kind.name}'" in call
            if kind.is_soft_deleted:
                assert "gone_at => 'deleted_at'" in call


def test_whatever_is_written_names_its_columns() -> None:
    """Their order is another in a database that was upgraded."""
    unnamed = re.compile(r"INSERT INTO \w+\s+(?:AS \w+\s+)?(?:VALUES|SELECT)|COPY \w+ (?:FROM|TO)")
    texts = [SCHEMA, *(path.read_text("utf-8") for path in (ROOT / "db").rglob("*.py"))]
    assert [found for text in texts for found in unnamed.findall(text)] == []
