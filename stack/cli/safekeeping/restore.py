"""``opsc restore``: a backup into a system that has nothing yet, compared with what it was made of.

A system of our own gets its database under another name first, and its data folder a mark, so that
a restore that was cut off never looks like a whole one and can be done again; a database elsewhere
gets everything in one transaction. The schema is the one that was backed up: `opsc up` and `opsc
migrate` bring it up to date.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import psycopg
import typer
from psycopg import sql

from db.archive.archived_days import ArchivedDay
from db.core.errors import DatabaseError
from db.maintenance import contents as database_contents
from db.maintenance import migrate
from db.maintenance.archived import needed_objects
from db.maintenance.contents import SyncConnection
from stack.cli.options import DataDir, say
from stack.cli.safekeeping.archive_copies import given_store, restore_objects
from stack.cli.safekeeping.backup import BackupProgress, wait_for
from stack.errors import StackError
from stack.host.os_user import reachable_home
from stack.host.programs import Programs, provision, provision_clients
from stack.servers.backup_folder import (
    DUMP,
    Manifest,
    check_dump,
    contents,
    differences,
    fingerprints,
    read_manifest,
    start_program,
)
from stack.servers.cluster.start import home_of
from stack.servers.postgres import Postgres, free_port
from stack.servers.runtime import (
    DEFAULT_DATA_DIR,
    begin_restore,
    end_restore,
    keep_secret_key,
    known_secret_key,
    make_data_dir,
    sole_owner,
)
from stack.servers.system import DATABASE

_UNFINISHED = f"{DATABASE}_restoring"
_ANY_PORT = 0


def restore(
    folder: Annotated[Path, typer.Argument(help="Folder that `opsc backup` wrote.")],
    secret_key: Annotated[
        Path | None, typer.Option(help="File with OPSC_SECRET_KEY, as `opsc backup` wrote it.")
    ] = None,
    without_secret_key: Annotated[
        bool,
        typer.Option(
            "--without-secret-key", help="Restore without the key: stored webhook secrets are lost."
        ),
    ] = False,
    data: DataDir = DEFAULT_DATA_DIR,
) -> None:
    """Restore a backup into an empty system.

    It is the database of OPSC_DATABASE_URL (a superuser's login), which must be empty, else a data
    folder on which nothing runs and which has no data yet.
    """
    manifest = read_manifest(folder)
    _check_schema(manifest)
    key = _key(data, secret_key)
    _check_key(manifest, key, is_given_up=without_secret_key)
    check_dump(folder, manifest)
    try:
        if url := os.environ.get("OPSC_DATABASE_URL"):
            archived = _restore_into(url, folder, manifest, provision_clients(say))
        else:
            data_dir, programs = make_data_dir(data, restores=True), provision(None, say)
            archived = _restore_own(data_dir, key, folder, manifest, programs)
    except DatabaseError as error:
        raise StackError(f"the database cannot be restored: {str(error).strip()}") from error
    print(f"restored: {manifest.rows:,} rows of {len(manifest.tables)} tables, equal to the backup")
    if manifest.deliveries_waiting or manifest.letters_waiting:
        say(
            f"{manifest.deliveries_waiting:,} webhook deliveries and {manifest.letters_waiting:,}"
            " letters were waiting when the backup was made: `opsc deliver` will send them, also"
            " where the old system has done so since"
        )
    _restore_archive(folder, archived)


def _restore_archive(folder: Path, needed: list[ArchivedDay]) -> None:
    """Check the objects that the database needs, and bring back those that are lacking."""
    if not needed:
        return
    store = given_store()
    if store is None:
        say(
            f"{len(needed):,} objects of the archive are needed and were not looked at: set"
            " OPSC_ARCHIVE_URL to have them checked, and brought back from a backup with --archive"
        )
        return
    progress = BackupProgress(lambda done: f"{done:,} of {len(needed):,} objects checked")
    written = restore_objects(store, folder, needed, progress)
    print(f"archive: {len(needed):,} objects are as they were, {written:,} of them written anew")


def _check_schema(manifest: Manifest) -> None:
    """Raise StackError where this version does not know what was done to the schema."""
    try:
        migrate.missing({m.version: (m.name, m.sha256) for m in manifest.migrations})
    except migrate.MigrationError as error:
        raise StackError(f"the backup was made by {manifest.made_by}: {error}") from None


def _key(data_dir: Path, file: Path | None) -> str | None:
    """Return the key from the file, the data folder or the environment, whichever has one first.

    For a database elsewhere the environment goes first: the folder may be of another system.
    """
    if file is not None:
        try:
            return file.read_text().strip()
        except OSError as error:
            raise StackError(f"cannot read {file}: {error.strerror}") from None
    given = os.environ.get("OPSC_SECRET_KEY") or None
    if given is not None and os.environ.get("OPSC_DATABASE_URL"):
        return given
    return known_secret_key(data_dir) or given


def _check_key(manifest: Manifest, key: str | None, *, is_given_up: bool) -> None:
    if is_given_up:
        return
    if key is None:
        raise StackError(
            "stored webhook secrets can be read only with the old system's OPSC_SECRET_KEY: give"
            " it with --secret-key FILE, or put its secrets.json into the data folder;"
            " --without-secret-key gives them up (every endpoint then needs a new secret)"
        )
    if manifest.key_fingerprint not in (None, *fingerprints(key)):
        raise StackError("this OPSC_SECRET_KEY is not that of the system that was backed up")


def _restore_own(
    data_dir: Path, key: str | None, folder: Path, manifest: Manifest, programs: Programs
) -> list[ArchivedDay]:
    """Restore into a server of our own, which runs as long as this takes; returns what it needs of
    the archive.
    """
    if home_of(data_dir).exists():
        raise _has_data(f"{data_dir}, of `opsc up --cluster`,")
    with (
        sole_owner(data_dir),
        _own_server(data_dir, programs) as server,
        psycopg.connect(server.url(), autocommit=True) as conn,
    ):
        if _is_there(conn, DATABASE):
            with database_contents.open_for_reading(server.url(DATABASE)) as known:
                _check_empty(known, str(data_dir))
        begin_restore(data_dir)  # never where there is data: `opsc up` refuses the folder then
        _drop(conn, DATABASE)
        _drop(conn, _UNFINISHED)
        unfinished, whole = sql.Identifier(_UNFINISHED), sql.Identifier(DATABASE)
        conn.execute(sql.SQL("CREATE DATABASE {}").format(unfinished))
        archived = _restore_into(server.url(_UNFINISHED), folder, manifest, programs)
        if key is not None:  # before the name: what is cut off here can be done again
            keep_secret_key(data_dir, key)
        conn.execute(sql.SQL("ALTER DATABASE {} RENAME TO {}").format(unfinished, whole))
        end_restore(data_dir)
        return archived


@contextmanager
def _own_server(data_dir: Path, programs: Programs) -> Iterator[Postgres]:
    home = reachable_home(data_dir) / "postgres"
    if not (home / "cluster").exists():
        begin_restore(data_dir)  # before there is a file that `opsc up` would not know
    server = Postgres(programs, home, free_port(_ANY_PORT), data_dir / "log" / "postgres.log")
    process = server.start()
    try:
        yield server
    finally:
        process.stop()


def _restore_into(
    url: str, folder: Path, manifest: Manifest, programs: Programs
) -> list[ArchivedDay]:
    """Restore all or nothing; returns what it needs of the archive. Raises StackError where the
    database is not empty, or not the same then.
    """
    with database_contents.open_for_reading(url) as conn:
        _check_empty(conn, f"the database {conn.info.dbname}")
        _check_timescaledb(conn, manifest)
        _bootstrap(url)
        # Only between these two the catalog of chunks is written as any table is.
        conn.execute("SELECT timescaledb_pre_restore()")
        try:
            _run_pg_restore(conn, url, folder, programs)
        finally:
            conn.execute("SELECT timescaledb_post_restore()")
    with database_contents.open_for_reading(url) as conn:
        _compare(conn, manifest)
        conn.execute("ANALYZE")  # the planner knows nothing of the tables yet
        return needed_objects(conn)


def _check_empty(conn: SyncConnection, where: str) -> None:
    if database_contents.tables(conn):
        raise _has_data(where)


def _has_data(where: str) -> StackError:
    return StackError(
        f"{where} already has data: a backup can be restored only into an empty system."
        " Name another --data folder, or make a new database"
    )


def _check_timescaledb(conn: SyncConnection, manifest: Manifest) -> None:
    here = database_contents.available_timescaledb(conn)
    if here != manifest.timescaledb:
        raise StackError(
            f"the backup was made with TimescaleDB {manifest.timescaledb}, and this server has"
            f" {here or 'none'}: restore it where the version is the same, and update it there"
        )


def _bootstrap(url: str) -> None:
    """Create the roles and extensions, which belong to the server and are in no dump."""
    try:
        migrate.bootstrap(url)
    except migrate.MigrationError as error:
        raise StackError(str(error)) from error


def _run_pg_restore(conn: SyncConnection, url: str, folder: Path, programs: Programs) -> None:
    with tempfile.TemporaryDirectory() as logs:
        program = start_program(
            programs.postgres_bin / "pg_restore",
            url,
            ["--exit-on-error", "--single-transaction", str(folder / DUMP)],
            programs.postgres_environment,
            Path(logs) / "pg_restore.log",
        )
        try:
            size_mb = database_contents.size_mb
            wait_for(program, BackupProgress(lambda _: f"restoring: {size_mb(conn):,} MB"))
        finally:
            program.stop()


def _compare(conn: SyncConnection, manifest: Manifest) -> None:
    """Raise StackError where a row is not as it was."""
    restored = contents(
        conn, BackupProgress(lambda rows: f"{rows:,} of {manifest.rows:,} rows compared")
    )
    if wrong := differences(manifest.tables, restored):
        raise StackError("the restored rows differ from the backup:\n" + "\n".join(wrong))


def _is_there(conn: SyncConnection, database: str) -> bool:
    rows = conn.execute("SELECT FROM pg_database WHERE datname = %s", (database,))
    return rows.fetchone() is not None


def _drop(conn: SyncConnection, database: str) -> None:
    conn.execute(sql.SQL("DROP DATABASE IF EXISTS {}").format(sql.Identifier(database)))
