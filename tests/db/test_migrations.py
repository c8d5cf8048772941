"""Migrations end in the documented schema, once, whoever runs them and however often."""

from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path

import psycopg
import pytest

from db.core.ids import new_id
from db.maintenance import migrate
from operations.money import DIGITS
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


def _migrate_to(url: str, version: int) -> None:
    """Migrate as far as an older version of this program goes."""
    migrate.bootstrap(url)
    with psycopg.connect(url, autocommit=True) as conn:
        conn.execute("SET ROLE opsc_owner")
        conn.execute(migrate._LEDGER)
        for migration in migrate.migrations()[:version]:
            migrate._apply(conn, migration)


def test_secrets_that_older_versions_issued_stay_good(empty_database: DatabaseUnderTest) -> None:
    """Up to 0016 the broker knew a tracker by a hash of its own; the listener knows it by
    secret_hash."""
    admin = empty_database.url("admin")
    _migrate_to(admin, 16)
    known, org_id, ids = sha256(b"secret").digest(), new_id(), (new_id(), new_id())
    by_broker = f"$7$1${'a' * 16}${'b' * 86}=="
    with psycopg.connect(admin) as conn:
        conn.execute("INSERT INTO organizations (org_id, name) VALUES (%s, 'Acme')", (org_id,))
        for tracker_id, broker_hash in zip(ids, (by_broker, None), strict=True):
            conn.execute(
                "INSERT INTO trackers (org_id, id, secret_hash, broker_hash, revision)"
                " VALUES (%s, %s, %s, %s, 1)",
                (org_id, tracker_id, known, broker_hash),
            )
        conn.execute(
            "INSERT INTO gateways (org_id, id, name, kind, secret_hash, broker_hash)"
            " VALUES (%s, %s, 'Traccar', 'traccar', %s, %s)",
            (org_id, new_id(), known, by_broker),
        )
    migrate.migrate(admin)
    with psycopg.connect(admin) as conn:
        for table, count in (("trackers", 2), ("gateways", 1)):
            rows = conn.execute(f"SELECT secret_hash FROM {table}").fetchall()
            assert [bytes(row[0]) for row in rows] == [known] * count


def _fill_first_version(conn: psycopg.Connection) -> None:
    """Store an organization with an asset, a zone, and a visit that has ended."""
    org_id, asset_id, zone_id = new_id(), new_id(), new_id()
    conn.execute("INSERT INTO organizations (org_id, name) VALUES (%s, 'Acme')", (org_id,))
    conn.execute(
        "INSERT INTO assets (org_id, id, name, revision) VALUES (%s, %s, 'Truck', 7)",
        (org_id, asset_id),
    )
    conn.execute("INSERT INTO zones (org_id, id, version) VALUES (%s, %s, 1)", (org_id, zone_id))
    conn.execute(
        "INSERT INTO zone_versions (org_id, zone_id, version, name, kind, geometry, radius_m,"
        " valid_from, revision) VALUES (%s, %s, 1, 'Yard', 'yard', %s, 5, now(), 8)",
        (org_id, zone_id, '{"type": "Point", "coordinates": [8, 47]}'),
    )
    conn.execute(
        "INSERT INTO visits (org_id, id, asset_id, zone_id, zone_version, tracker_id, opening_time,"
        " opening_seq, entered_at, entry_lat, entry_lon, entry_cause, left_at, exit_cause)"
        " VALUES (%s, %s, %s, %s, 1, %s, now(), 0, now(), 1, 1, 'initial', now(), 'moved')",
        (org_id, new_id(), asset_id, zone_id, new_id()),
    )


@pytest.mark.parametrize("role", ["admin", "opsc_owner"])
def test_the_rows_of_an_older_database_are_taken_along(
    empty_database: DatabaseUnderTest, role: str
) -> None:
    admin = empty_database.url("admin")
    _migrate_to(admin, 1)
    with psycopg.connect(admin) as conn:
        for _ in range(2):
            _fill_first_version(conn)
    later = [migration.name for migration in migrate.migrations()[1:]]
    assert migrate.migrate(empty_database.url(role)) == later
    assert describe(admin) == (ROOT / "docs/schema.md").read_text("utf-8")
    with psycopg.connect(admin) as conn:
        tags = conn.execute(
            "SELECT t.org_id = a.org_id, tags, valid_from::text, valid_to, t.revision, asset_class"
            " FROM asset_tags t JOIN assets a ON a.id = asset_id"
        ).fetchall()
        asked = conn.execute(
            "SELECT width_m, rules, schedule, assets FROM zone_versions"
        ).fetchall()
        kept = conn.execute("SELECT table_name, rows, stored FROM row_counts ORDER BY 1").fetchall()
        found = conn.execute("SELECT kind, place, term FROM search_terms ORDER BY 1").fetchall()
        inferred = conn.execute("SELECT entry_inferred, exit_inferred, dwelled_at FROM visits")
        assert kept == [("assets", 1, 1)] * 2 + [("zones", 1, 1)] * 2
        assert found == [("asset", 1, "truck")] * 2 + [("zone", 1, "yard")] * 2
        assert tags == [(True, [], "-infinity", None, 7, "other")] * 2
        assert asked == [(None, {}, None, None)] * 2
        assert inferred.fetchall() == [(None, None, None)] * 2


def test_numbers_of_an_older_database_go_on_and_what_was_deleted_counts(
    empty_database: DatabaseUnderTest,
) -> None:
    """Up to 0033 work orders had numbers of their own, and only three tables were counted."""
    admin, org_id = empty_database.url("admin"), new_id()
    _migrate_to(admin, [migration.version for migration in migrate.migrations()].index(34))
    with psycopg.connect(admin) as conn:
        conn.execute("INSERT INTO organizations (org_id, name) VALUES (%s, 'Acme')", (org_id,))
        conn.execute("INSERT INTO work_order_numbers VALUES (%s, 7)", (org_id,))
        conn.execute("INSERT INTO number_counters VALUES (%s, 'quote', 9)", (org_id,))
        conn.execute(
            "INSERT INTO clients (org_id, id, name, external_id, deleted_at)"
            " VALUES (%(org)s, %(one)s, 'Big Crane AG', 'K-1', NULL),"
            " (%(org)s, %(other)s, 'Gone', NULL, now())",
            {"org": org_id, "one": new_id(), "other": new_id()},
        )
    migrate.migrate(empty_database.url("opsc_owner"))
    with psycopg.connect(admin) as conn:
        numbers = conn.execute("SELECT kind, last FROM number_counters ORDER BY 1").fetchall()
        kept = conn.execute("SELECT table_name, rows, stored FROM row_counts").fetchall()
        terms = conn.execute("SELECT place, term FROM search_terms ORDER BY 1, 2").fetchall()
    assert numbers == [("quote", 9), ("work_order", 7)]
    assert kept == [("clients", 1, 2)]
    assert terms == [(0, "k-1"), (1, "big crane ag"), (2, "1"), (2, "ag"), (2, "crane ag")]


def test_an_order_that_was_created_twice_stays_so_and_is_not_again(
    empty_database: DatabaseUnderTest,
) -> None:
    """Up to 0050 SQL could write a second creation."""
    admin, ids = empty_database.url("admin"), {"org": new_id(), "order": new_id()}
    created = (
        "INSERT INTO work_order_transitions (org_id, id, work_order_id, verb, state, user_id)"
        " SELECT %(org)s, gen_random_uuid(), %(order)s, 'create', 'created', %(order)s"
        "   FROM generate_series(1, 3)"
    )
    _migrate_to(admin, [migration.version for migration in migrate.migrations()].index(51))
    with psycopg.connect(admin) as conn:
        conn.execute("SET session_replication_role = replica")  # no references
        conn.execute(created, ids)
    migrate.migrate(empty_database.url("opsc_owner"))
    with psycopg.connect(admin) as conn:
        conn.execute("SET session_replication_role = replica")
        assert conn.execute("SELECT count(*) FROM work_order_transitions").fetchall() == [(3,)]
        with pytest.raises(psycopg.errors.UniqueViolation):
            conn.execute(created, ids)


def test_audit_events_of_an_older_database_stay_and_go_on_behind_the_last(
    empty_database: DatabaseUnderTest,
) -> None:
    """Up to 0021 each organization counted its own from 1 on."""
    admin = empty_database.url("admin")
    _migrate_to(admin, 21)
    busy, quiet = new_id(), new_id()
    with psycopg.connect(admin) as conn:
        for org_id in (busy, quiet):
            conn.execute("INSERT INTO organizations (org_id, name) VALUES (%s, 'Acme')", (org_id,))
            conn.commit()
        for name in ("A", "B", "C"):
            conn.execute("UPDATE organizations SET name = %s WHERE org_id = %s", (name, busy))
    migrate.migrate(admin)
    with psycopg.connect(admin) as conn:
        conn.execute("UPDATE organizations SET name = 'Z'")
        conn.execute("SET CONSTRAINTS ALL IMMEDIATE")
        query = "SELECT seq FROM audit_events WHERE org_id = %s ORDER BY seq"
        of_busy, of_quiet = [[seq for (seq,) in conn.execute(query, (x,))] for x in (busy, quiet)]
    assert of_busy[:-1] == [1, 2, 3, 4]
    assert of_quiet[:-1] == [1]
    assert sorted([of_busy[-1], of_quiet[-1]]) == [5, 6]


def test_quotes_in_currencies_without_cents_wait_for_their_amounts_to_be_confirmed(
    empty_database: DatabaseUnderTest,
) -> None:
    """Up to 0054 amounts were hundredths of every currency."""
    admin, org_id = empty_database.url("admin"), new_id()
    names = [migration.name for migration in migrate.migrations()]
    _migrate_to(admin, names.index("0056_accepted_quotes.sql"))
    currencies = [*DIGITS, "CHF", "EUR", "USD", "MGA"]
    with psycopg.connect(admin) as conn:
        conn.execute("SET session_replication_role = replica")  # no references
        conn.execute("INSERT INTO organizations (org_id, name) VALUES (%s, 'Acme')", (org_id,))
        for number, currency in enumerate(currencies, 1):
            conn.execute(
                "INSERT INTO quotes (org_id, id, number, revision, client_id, title, lines,"
                " currency, valid_until, subtotal_cents, discount_cents, tax_cents, total_cents)"
                " VALUES (%s, gen_random_uuid(), %s, 1, gen_random_uuid(), 'x', '[{}]', %s,"
                " '2099-01-01', 0, 0, 0, 0)",
                (org_id, number, currency),
            )
        before = "SELECT updated_at FROM quotes ORDER BY number"
        times = conn.execute(before).fetchall()
    migrate.migrate(empty_database.url("opsc_owner"))
    with psycopg.connect(admin) as conn:
        marked = conn.execute("SELECT currency FROM quotes WHERE NOT amounts_confirmed").fetchall()
        assert {currency for (currency,) in marked} == set(DIGITS)
        assert conn.execute(before).fetchall() == times
        assert conn.execute("SELECT count(*) FROM audit_events").fetchall() == [(0,)]


def test_webhook_endpoints_of_an_older_database_get_what_comes_next(
    empty_database: DatabaseUnderTest,
) -> None:
    """Up to 0056 an endpoint did not have the number from which on it gets events."""
    admin, org_id = empty_database.url("admin"), new_id()
    names = [migration.name for migration in migrate.migrations()]
    _migrate_to(admin, names.index("0057_fan_out.sql"))
    with psycopg.connect(admin) as conn:
        conn.execute(
            "INSERT INTO organizations (org_id, name, event_seq) VALUES (%s, 'Acme', 7)", (org_id,)
        )
        conn.execute(
            "INSERT INTO webhook_endpoints (org_id, id, url, types, secret_encrypted)"
            " SELECT %s, gen_random_uuid(), 'https://a.example', '{*}', 'x'"
            "   FROM generate_series(1, 2)",
            (org_id,),
        )
        conn.commit()
        audited = conn.execute("SELECT count(*) FROM audit_events").fetchall()
    migrate.migrate(empty_database.url("opsc_owner"))
    with psycopg.connect(admin) as conn:
        endpoints = conn.execute("SELECT event_seq FROM webhook_endpoints").fetchall()
        assert endpoints == [(7,), (7,)]
        assert conn.execute("SELECT org_id, seq FROM webhook_cursors").fetchall() == [(org_id, 7)]
        assert conn.execute("SELECT count(*) FROM audit_events").fetchall() == audited
