"""`opsc backup` and `opsc restore`: what comes out is what went in, or it is said why not."""

from __future__ import annotations

import asyncio
import base64
import secrets
import shutil
import threading
from pathlib import Path
from typing import Any

import msgspec
import psycopg
import pytest
import typer
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from typer.testing import CliRunner, Result

from db.core.secrets import new_secret_key
from db.maintenance import migrate
from stack.cli.safekeeping.backup import BackupSource, _fingerprint, backup
from stack.cli.safekeeping.restore import restore
from stack.errors import StackError
from stack.servers.backup_folder import DUMP, MANIFEST, differences, fingerprints, read_manifest
from stack.servers.cluster.start import home_of
from stack.servers.runtime import keep_secret_key, load_secrets, make_data_dir
from tests.db.catalog import catalogue
from tests.db.every_table import make_tenant
from tests.db.version_0_8_0 import migrate_as_then
from tests.ingest.tenants import Tenant, Vehicle, square
from tests.servers import DatabaseUnderTest, PostgresUnderTest
from tests.stack.command import opsc

KEY = base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()
DAYS = 5

app = typer.Typer()
app.command("backup")(backup)
app.command("restore")(restore)


def _opsc(
    database: DatabaseUnderTest, *arguments: str | Path, key: str | None = KEY, data: Path
) -> Result:
    environment = {"OPSC_DATABASE_URL": database.url("admin"), "OPSC_SECRET_KEY": key}
    return CliRunner().invoke(app, [*map(str, arguments), "--data", str(data)], env=environment)


def _said(result: Result) -> str:
    """Return why it failed."""
    assert isinstance(result.exception, StackError), result.output
    return str(result.exception)


def _store_fixes(database: DatabaseUnderTest, vehicle: Vehicle, org_id: object) -> None:
    """Store a fix a minute for some days, each day a chunk of its own; and what belongs to no
    crash.
    """
    with psycopg.connect(database.url("admin")) as conn:
        conn.execute(
            """
            INSERT INTO gps_events (org_id, tracker_id, time, seq, received_at, lat, lon,
                                    accuracy_m, attributes)
            SELECT %s, %s, at, 0, at, 52.5 + random() / 1000, 13.4, random() * 100, '{"a": 1.50}'
              FROM generate_series(now() - %s * interval '1 day', now(), '1 minute') AS at
            """,
            (org_id, vehicle.tracker_id, DAYS),
        )
        conn.execute(
            "INSERT INTO sign_in_failures"
            " SELECT sha256(random()::text::bytea), 1, now(), now(), true"
        )


@pytest.fixture
def backed_up(database: DatabaseUnderTest, tmp_path: Path) -> tuple[DatabaseUnderTest, Path]:
    """A database with something in it, and its backup."""
    tenant = asyncio.run(Tenant.create(database))
    vehicle = asyncio.run(tenant.vehicle())
    asyncio.run(tenant.zone(square(13.4, 52.5)))
    _store_fixes(database, vehicle, tenant.org_id)
    made = _opsc(database, "backup", tmp_path / "made", data=tmp_path)
    assert made.exit_code == 0, made.output
    return database, tmp_path / "made"


def _rows(database: DatabaseUnderTest, query: str, role: str = "admin") -> list[tuple[Any, ...]]:
    with psycopg.connect(database.url(role), autocommit=True) as conn:
        return conn.execute(query.encode()).fetchall()


def test_what_is_restored_is_the_same_and_can_be_worked_with(
    backed_up: tuple[DatabaseUnderTest, Path], empty_database: DatabaseUnderTest, tmp_path: Path
) -> None:
    original, folder = backed_up
    restored = _opsc(empty_database, "restore", folder, data=tmp_path)
    assert restored.exit_code == 0, restored.output
    for query in (
        "SELECT * FROM gps_events ORDER BY tracker_id, time, seq",
        "SELECT * FROM audit_events ORDER BY org_id, seq",
        "SELECT range_start, range_end FROM timescaledb_information.chunks ORDER BY range_start",
    ):
        rows = _rows(original, query)
        assert rows != []
        assert _rows(empty_database, query) == rows
    # roles, rights and row-level security
    assert _rows(empty_database, "SELECT FROM gps_events", "opsc_app") == []
    # chunks are made and indexed as before, ids go on, and nothing is left of restoring
    with psycopg.connect(empty_database.url("opsc_ingest"), autocommit=True) as conn:
        conn.execute(
            "INSERT INTO gps_events SELECT org_id, tracker_id, time + interval '30 days', seq,"
            " received_at, lat, lon, flags FROM gps_events LIMIT 1"
        )
        with pytest.raises(psycopg.errors.UniqueViolation):
            conn.execute("INSERT INTO gps_events SELECT * FROM gps_events ORDER BY time LIMIT 1")
    (chunks,) = _rows(empty_database, "SELECT count(*) FROM timescaledb_information.chunks")
    assert chunks[0] >= DAYS + 1
    assert migrate.pending(empty_database.url("admin")) == []
    assert _rows(empty_database, "SHOW timescaledb.restoring") == [("off",)]


def test_a_login_that_only_reads_can_back_up(
    backed_up: tuple[DatabaseUnderTest, Path], empty_database: DatabaseUnderTest, tmp_path: Path
) -> None:
    original, by_superuser = backed_up
    admin = original.url("admin")
    with psycopg.connect(admin, autocommit=True) as conn:
        conn.execute("CREATE ROLE reader LOGIN BYPASSRLS PASSWORD 'reading'")
        conn.execute("GRANT pg_read_all_data TO reader")
        conn.execute(f"GRANT CONNECT ON DATABASE {original.name} TO reader".encode())
    login = conninfo_to_dict(original.url("opsc_app"), user="reader", password="reading")
    environment = {"OPSC_DATABASE_URL": make_conninfo("", **login), "OPSC_SECRET_KEY": KEY}
    try:
        made = CliRunner().invoke(app, ["backup", str(tmp_path / "read")], env=environment)
        assert made.exit_code == 0, made.output
    finally:
        with psycopg.connect(admin, autocommit=True) as conn:
            conn.execute("DROP OWNED BY reader")
            conn.execute("DROP ROLE reader")
    assert read_manifest(tmp_path / "read").tables == read_manifest(by_superuser).tables
    restored = _opsc(empty_database, "restore", tmp_path / "read", data=tmp_path)
    assert restored.exit_code == 0, restored.output


def test_a_backup_has_its_name_only_when_it_is_whole(
    backed_up: tuple[DatabaseUnderTest, Path], tmp_path: Path
) -> None:
    database, folder = backed_up
    assert sorted(path.name for path in folder.iterdir()) == [DUMP, MANIFEST]
    assert KEY not in (folder / MANIFEST).read_text()
    assert "already exists" in _said(_opsc(database, "backup", folder, data=tmp_path))
    long_name = "x" * 250  # until `.partial` is added
    cut_off = _opsc(database, "backup", tmp_path / long_name, data=tmp_path)
    assert "cannot write" in _said(cut_off)
    assert [path.name for path in tmp_path.iterdir()] == ["made"]


@pytest.mark.parametrize("missing", ["folder", "key"])
def test_a_backup_into_a_folder_that_is_not_there_says_how_to_make_it(
    backed_up: tuple[DatabaseUnderTest, Path], tmp_path: Path, missing: str
) -> None:
    database, _ = backed_up
    there, nowhere = tmp_path / "copy", tmp_path / "no where" / "copy"
    targets = [nowhere] if missing == "folder" else [there, "--secret-key", nowhere]
    said = _said(_opsc(database, "backup", *targets, data=tmp_path))
    assert f"make it with `mkdir -p '{nowhere.parent}'`" in said
    assert not there.exists()


def test_a_backup_is_of_one_instant(
    database: DatabaseUnderTest, empty_database: DatabaseUnderTest, tmp_path: Path
) -> None:
    """Each transaction writes a fix and a row of another table: neither comes without the other."""
    with psycopg.connect(database.url("admin")) as conn:
        conn.execute("TRUNCATE gps_events, asset_checkpoints")
    tenant = asyncio.run(Tenant.create(database))
    vehicle = asyncio.run(tenant.vehicle())
    ended, begun = threading.Event(), threading.Event()

    def write() -> None:
        with psycopg.connect(database.url("admin"), autocommit=True) as conn:
            for number in range(100_000):
                if ended.is_set():
                    return
                conn.execute(
                    "WITH fix AS (INSERT INTO gps_events VALUES (%(org)s, %(tracker)s,"
                    " '2026-01-01'::timestamptz + %(n)s * interval '1 hour', 0, now(), 1, 1))"
                    " INSERT INTO asset_checkpoints VALUES (%(org)s, %(tracker)s,"
                    " '2026-01-01'::timestamptz + %(n)s * interval '1 hour', 0, '')",
                    {"org": tenant.org_id, "tracker": vehicle.tracker_id, "n": number},
                )
                begun.set()

    writing = threading.Thread(target=write)
    writing.start()
    try:
        assert begun.wait(30)
        made = _opsc(database, "backup", tmp_path / "made", data=tmp_path)
    finally:
        ended.set()
        writing.join()
    assert made.exit_code == 0, made.output
    assert _opsc(empty_database, "restore", tmp_path / "made", data=tmp_path).exit_code == 0
    fixes = "SELECT tracker_id, time FROM gps_events ORDER BY 1, 2"
    others = "SELECT asset_id, time FROM asset_checkpoints ORDER BY 1, 2"
    assert _rows(empty_database, fixes) == _rows(empty_database, others) != []


def test_only_an_empty_system_is_restored_into(
    backed_up: tuple[DatabaseUnderTest, Path], tmp_path: Path
) -> None:
    database, folder = backed_up
    assert "already has data" in _said(_opsc(database, "restore", folder, data=tmp_path))


def test_a_damaged_backup_is_refused_before_anything_is_written(
    backed_up: tuple[DatabaseUnderTest, Path], empty_database: DatabaseUnderTest, tmp_path: Path
) -> None:
    _, folder = backed_up
    whole = (folder / DUMP).read_bytes()
    middle = len(whole) // 2
    flipped = whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :]
    for damaged in (flipped, whole[:-1]):
        (folder / DUMP).write_bytes(damaged)
        assert "is damaged" in _said(_opsc(empty_database, "restore", folder, data=tmp_path))
    (folder / MANIFEST).write_text('{"format": 1}')
    assert "is damaged" in _said(_opsc(empty_database, "restore", folder, data=tmp_path))
    shutil.rmtree(folder)
    assert "is not a backup" in _said(_opsc(empty_database, "restore", folder, data=tmp_path))


def _edited(folder: Path, **changes: object) -> None:
    """Change the manifest."""
    path = folder / MANIFEST
    path.write_bytes(msgspec.json.encode(msgspec.json.decode(path.read_bytes()) | changes))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"format": 2}, "has the format 2"),
        ({"timescaledb": "1.0"}, "made with TimescaleDB 1.0"),
        ({"migrations": [{"version": 9999, "name": "9999_x.sql", "sha256": ""}]}, "9999_x.sql"),
        (
            {"migrations": [{"version": 1, "name": "0001_x.sql", "sha256": ""}]},
            "with version 0.8.0",
        ),
        ({"migrations": [{"version": 0, "name": "base", "sha256": ""}]}, "base was changed"),
    ],
)
def test_what_this_version_cannot_restore_is_refused(
    backed_up: tuple[DatabaseUnderTest, Path],
    empty_database: DatabaseUnderTest,
    tmp_path: Path,
    changes: dict[str, object],
    said: str,
) -> None:
    _, folder = backed_up
    _edited(folder, **changes)
    assert said in _said(_opsc(empty_database, "restore", folder, data=tmp_path))
    assert _rows(empty_database, "SELECT FROM pg_class WHERE relname = 'gps_events'") == []


def test_a_table_that_came_out_otherwise_is_named(
    backed_up: tuple[DatabaseUnderTest, Path], empty_database: DatabaseUnderTest, tmp_path: Path
) -> None:
    _, folder = backed_up
    tables = msgspec.to_builtins(read_manifest(folder).tables)
    tables["public.assets"]["sha256"] = "0" * 64
    tables["public.zones"]["rows"] += 1
    _edited(folder, tables=tables)
    said = _said(_opsc(empty_database, "restore", folder, data=tmp_path)).splitlines()[1:]
    assert [line.partition(":")[0] for line in said] == ["public.assets", "public.zones"]
    whole = read_manifest(folder).tables
    assert differences(whole, whole) == []
    assert differences({}, whole)[0].endswith("not in the backup")


def _restore_own(folder: Path, data_dir: Path) -> Result:
    """Restore into a system of our own."""
    environment = {"OPSC_DATABASE_URL": None, "OPSC_SECRET_KEY": KEY}
    arguments = ["restore", str(folder), "--data", str(data_dir)]
    return CliRunner().invoke(app, arguments, env=environment)


def test_where_a_restore_did_not_end_no_system_starts_and_it_can_be_done_again(
    backed_up: tuple[DatabaseUnderTest, Path], data_dir: Path
) -> None:
    _, folder = backed_up
    whole = (folder / MANIFEST).read_bytes()
    tables = msgspec.to_builtins(read_manifest(folder).tables)
    tables["public.zones"]["rows"] += 1
    _edited(folder, tables=tables)
    assert "differ from the backup" in _said(_restore_own(folder, data_dir))
    for command in ("up", "doctor"):
        done = opsc(command, "--data", data_dir)
        assert done.returncode == 1
        assert f"a restore into {data_dir} has not ended" in done.stdout + done.stderr
    (folder / MANIFEST).write_bytes(whole)
    again = _restore_own(folder, data_dir)
    assert again.exit_code == 0, again.output
    for _ in range(2):  # what is refused leaves no mark
        assert make_data_dir(data_dir) == data_dir
        assert "already has data" in _said(_restore_own(folder, data_dir))


def test_a_folder_of_a_cluster_is_not_restored_into(
    backed_up: tuple[DatabaseUnderTest, Path], data_dir: Path
) -> None:
    keep_secret_key(make_data_dir(data_dir), KEY)
    home_of(data_dir).mkdir(parents=True)
    assert "already has data" in _said(_restore_own(backed_up[1], data_dir))
    assert make_data_dir(data_dir) == data_dir


def test_the_secret_key_is_asked_for(
    backed_up: tuple[DatabaseUnderTest, Path], empty_database: DatabaseUnderTest, tmp_path: Path
) -> None:
    database, folder = backed_up
    other = KEY[::-1].strip("=")[:42] + "A="
    without = _opsc(empty_database, "restore", folder, key=None, data=tmp_path)
    assert "--without-secret-key" in _said(without)
    wrong = _opsc(empty_database, "restore", folder, key=other, data=tmp_path)
    assert "is not that of the system that was backed up" in _said(wrong)
    file = tmp_path / "key"
    again = _opsc(database, "backup", tmp_path / "again", "--secret-key", file, data=tmp_path)
    assert (again.exit_code, file.read_text().strip()) == (0, KEY)
    assert file.stat().st_mode & 0o777 == 0o600
    given = ("restore", folder, "--secret-key", file)
    assert _opsc(empty_database, *given, key=other, data=tmp_path).exit_code == 0


def test_the_key_of_another_system_on_this_machine_does_not_count(
    backed_up: tuple[DatabaseUnderTest, Path], empty_database: DatabaseUnderTest, tmp_path: Path
) -> None:
    assert load_secrets(tmp_path).secret_key != KEY
    ring = f"{new_secret_key()},{KEY}"  # any key of the ring may be the one of then
    restored = _opsc(empty_database, "restore", backed_up[1], key=ring, data=tmp_path)
    assert restored.exit_code == 0, restored.output


def test_the_fingerprint_of_a_backup_is_that_of_the_first_key() -> None:
    first, second = new_secret_key(), new_secret_key()
    assert fingerprints(f"{first},{second}") == [*fingerprints(first), *fingerprints(second)]
    source = BackupSource("", f"{first},{second}")
    assert _fingerprint(source) == fingerprints(first)[0] != fingerprints(second)[0]


def test_a_backup_of_0_8_0_is_restored_as_it_was_and_migrated_then(
    postgres: PostgresUnderTest, tmp_path: Path
) -> None:
    old, new, fresh = (postgres.empty_database() for _ in range(3))
    migrate_as_then(old.url("admin"))
    asyncio.run(make_tenant(old, before_0001=True))
    assert _opsc(old, "backup", tmp_path / "made", data=tmp_path).exit_code == 0
    assert _opsc(new, "restore", tmp_path / "made", data=tmp_path).exit_code == 0
    names = [migration.name for migration in migrate.migrations()]
    for database in (new, fresh):
        assert migrate.pending(database.url("admin")) == names
        assert migrate.migrate(database.url("admin")) == names
    with psycopg.connect(new.url("admin")) as one, psycopg.connect(fresh.url("admin")) as other:
        assert catalogue(one) == catalogue(other)
    for database in (old, new, fresh):
        postgres.drop(database)
