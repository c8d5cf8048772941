"""Migrations end in the documented schema, once, whoever runs them and however often."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest

from db import migrate
from tests.db.catalog import describe
from tests.servers import DatabaseUnderTest

ROOT = Path(__file__).parents[2]


def test_the_migrations_end_in_the_documented_schema(database: DatabaseUnderTest) -> None:
    assert describe(database.url("admin")) == (ROOT / "docs/schema.md").read_text("utf-8")


def test_a_second_run_applies_nothing(empty_database: DatabaseUnderTest) -> None:
    url = empty_database.url("admin")
    names = [migration.name for migration in migrate.migrations()]
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
