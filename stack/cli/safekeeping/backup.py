"""``opsc backup``: the whole database of a system, which may be at work meanwhile, into a folder.

All of it is as of one instant: pg_dump and the count of rows read the same snapshot. The folder has
its name only when it is whole.
"""

from __future__ import annotations

import os
import shlex
import shutil
import time
from collections.abc import Callable
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, NamedTuple

import typer

from archive.store import Store
from db.core.errors import DatabaseError
from db.maintenance import contents as database_contents
from db.maintenance.archived import needed_objects
from db.maintenance.contents import Content, SyncConnection
from stack.cli.options import DataDir, say
from stack.cli.safekeeping.archive_copies import LIST, copy_objects, given_store, write_list
from stack.errors import StackError
from stack.host.process import PartFailed, Process, how_it_ended
from stack.host.programs import Programs, provision_clients
from stack.servers.backup_folder import (
    DUMP,
    FORMAT,
    AppliedMigration,
    Manifest,
    contents,
    fingerprints,
    sha256_of,
    start_program,
    write_manifest,
)
from stack.servers.runtime import DEFAULT_DATA_DIR, read_stack

COMPRESSION = "zstd:3"
REPORT_EVERY_S = 5.0
_POLL_S = 0.2


class BackupSource(NamedTuple):
    """A system to back up. secret_key: ``None`` where nobody has said it."""

    database_url: str
    secret_key: str | None


class BackupProgress:
    """A line to stderr now and then, made of how many rows were read so far."""

    def __init__(self, line: Callable[[int], str]) -> None:
        self._line = line
        self._rows, self._said_at_s = 0, time.monotonic()

    def __call__(self, rows: int = 0) -> None:
        self._rows += rows
        if time.monotonic() - self._said_at_s >= REPORT_EVERY_S:
            self._said_at_s = time.monotonic()
            say(self._line(self._rows))


def backup(
    folder: Annotated[Path, typer.Argument(help="Folder to create; it must not exist yet.")],
    secret_key: Annotated[
        Path | None,
        typer.Option(help="File to write OPSC_SECRET_KEY to: keep it apart from the folder."),
    ] = None,
    archive: Annotated[
        bool,
        typer.Option("--archive", help="Copy the objects of the archive (OPSC_ARCHIVE_URL), too."),
    ] = False,
    data: DataDir = DEFAULT_DATA_DIR,
) -> None:
    """Write a backup of the database of a running system into a folder.

    It is that of OPSC_DATABASE_URL (a login that may read everything), else of the `opsc up` that
    runs on this machine. The key that stored webhook secrets are encrypted with is not in the
    folder.
    """
    source = _source(data)
    store = given_store() if archive else None
    if archive and store is None:
        raise StackError("--archive needs OPSC_ARCHIVE_URL, as `opsc deliver` has it")
    for target in (folder, *([] if secret_key is None else [secret_key])):
        if target.exists():
            raise StackError(f"{target} already exists: name a new folder or file")
        if not target.parent.is_dir():
            raise StackError(
                f"there is no folder {target.parent} to write {target.name} into:"
                f" make it with `mkdir -p {shlex.quote(str(target.parent))}`"
            )
    if secret_key is not None and source.secret_key is None:
        raise StackError("the secret key is unknown: set OPSC_SECRET_KEY")
    manifest = make_backup(source, folder, store)
    if secret_key is not None and source.secret_key is not None:
        _write_key(secret_key, source.secret_key)
    size_mb = manifest.dump_bytes / 1_000_000
    print(f"{folder}: {manifest.rows:,} rows of {len(manifest.tables)} tables, {size_mb:,.1f} MB")
    if manifest.archived_objects and store is None:
        say(
            f"{manifest.archived_objects:,} objects of the archive"
            f" ({manifest.archived_bytes / 1_000_000:,.1f} MB) are not in the backup, which needs"
            f" them: {LIST} lists them, and --archive copies them"
        )
    if secret_key is None:
        say(
            "OPSC_SECRET_KEY is not in the backup; without it stored webhook secrets are lost."
            " Save it elsewhere with --secret-key FILE"
        )


def make_backup(source: BackupSource, folder: Path, store: Store | None = None) -> Manifest:
    """Write a backup beside the folder, then rename it into place. store: whose objects are copied,
    too.
    """
    partial = folder.with_name(f"{folder.name}.partial")
    try:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(mode=0o700)
        manifest = _fill(source, partial, provision_clients(say), store)
        write_manifest(partial, manifest)
        partial.rename(folder)
    except OSError as error:
        raise StackError(f"cannot write {error.filename}: {error.strerror}") from error
    except DatabaseError as error:
        raise StackError(f"the database cannot be read: {str(error).strip()}") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return manifest


def wait_for(program: Process, progress: BackupProgress) -> None:
    """Wait until the program has ended."""
    while (code := program.exit_code) is None:
        progress()
        time.sleep(_POLL_S)
    if code != 0:
        log = program.command.log
        raise PartFailed(program.command.name, f"failed ({how_it_ended(code)})", log)


def _source(data_dir: Path) -> BackupSource:
    if url := os.environ.get("OPSC_DATABASE_URL"):
        return BackupSource(url, os.environ.get("OPSC_SECRET_KEY") or None)
    stack = read_stack(data_dir)
    return BackupSource(stack.database["admin"], stack.secret_key)


def _fill(source: BackupSource, folder: Path, programs: Programs, store: Store | None) -> Manifest:
    with database_contents.open_for_reading(source.database_url) as conn:
        conn.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        made_at = datetime.now(UTC).isoformat(timespec="seconds")
        tables = _dump(conn, source, folder, programs)
        deliveries, letters = database_contents.waiting(conn)
        archived = needed_objects(conn)
        if archived:
            write_list(folder, archived)
        if store is not None:
            progress = BackupProgress(lambda done: f"{done:,} of {len(archived):,} objects copied")
            copy_objects(store, folder, archived, progress)
        dump = folder / DUMP
        return Manifest(
            format=FORMAT,
            made_at=made_at,
            made_by=f"ops-companion {version('ops-companion')}",
            postgres=conn.info.parameter_status("server_version") or "",
            timescaledb=database_contents.timescaledb_version(conn) or "",
            migrations=_migrations(conn),
            key_fingerprint=_fingerprint(source),
            dump_bytes=dump.stat().st_size,
            dump_sha256=sha256_of(dump),
            deliveries_waiting=deliveries,
            letters_waiting=letters,
            tables=tables,
            archived_objects=len(archived),
            archived_bytes=sum(day.size_bytes for day in archived),
        )


def _dump(
    conn: SyncConnection, source: BackupSource, folder: Path, programs: Programs
) -> dict[str, Content]:
    """Dump the database while the same rows are read here: pg_dump and this transaction share one
    snapshot.
    """
    row = conn.execute("SELECT pg_export_snapshot()").fetchone()
    assert row is not None  # a SELECT without FROM
    dump, log = folder / DUMP, folder / "pg_dump.log"
    program = start_program(
        programs.postgres_bin / "pg_dump",
        source.database_url,
        [
            "--format=custom",
            f"--compress={COMPRESSION}",
            f"--snapshot={row[0]}",
            "--no-unlogged-table-data",
            f"--file={dump}",
        ],
        programs.postgres_environment,
        log,
    )
    progress = BackupProgress(lambda rows: f"{rows:,} rows read, {_size_mb(dump):,.0f} MB written")
    try:
        tables = contents(conn, progress)
        wait_for(program, progress)
    finally:
        program.stop()
    log.unlink()
    return tables


def _size_mb(path: Path) -> float:
    return path.stat().st_size / 1_000_000 if path.exists() else 0.0


def _fingerprint(source: BackupSource) -> str | None:
    return None if source.secret_key is None else fingerprints(source.secret_key)[0]


def _migrations(conn: SyncConnection) -> list[AppliedMigration]:
    rows = conn.execute("SELECT version, name, sha256 FROM schema_migrations ORDER BY version")
    return [AppliedMigration(*row) for row in rows]


def _write_key(path: Path, secret_key: str) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(secret_key + "\n")
