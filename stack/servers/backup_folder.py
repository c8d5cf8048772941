"""The folder that `opsc backup` makes: ``manifest.json`` and ``database.dump``.

The dump is PostgreSQL's own format. The manifest says what made it and what is in it, table by
table, so that a restore can tell whether it got all of it.
"""

from __future__ import annotations

import hashlib
import os
import signal
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from db.core.connect import of_primary
from db.core.secrets import SecretKeyError, derived_keys, read_secret_keys
from db.maintenance.contents import Content, SyncConnection, content, tables
from stack.errors import StackError
from stack.host.process import Command, Process

FORMAT = 1
MANIFEST = "manifest.json"
DUMP = "database.dump"
_FINGERPRINT = b"backup-fingerprint"
_READ_BYTES = 1024 * 1024


class AppliedMigration(msgspec.Struct, frozen=True):
    """One that had run when the backup was made."""

    version: int
    name: str
    sha256: str


class Manifest(msgspec.Struct, frozen=True):
    """Contents of a backup. ``key_fingerprint``: of the first key of OPSC_SECRET_KEY, ``None``
    where not known.
    """

    format: int
    made_at: str
    made_by: str
    postgres: str
    timescaledb: str
    migrations: list[AppliedMigration]
    key_fingerprint: str | None
    dump_bytes: int
    dump_sha256: str
    deliveries_waiting: int
    letters_waiting: int
    tables: dict[str, Content]
    archived_objects: int = 0  # that the fixes of archived days are in
    archived_bytes: int = 0

    @property
    def rows(self) -> int:
        return sum(table.rows for table in self.tables.values())


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write it, and have all of the folder on the disk."""
    path = folder / MANIFEST
    path.write_bytes(msgspec.json.format(msgspec.json.encode(manifest)))
    for written in (path, folder / DUMP, folder):
        handle = os.open(written, os.O_RDONLY)
        os.fsync(handle)
        os.close(handle)


def read_manifest(folder: Path) -> Manifest:
    """Raise StackError where the folder is no backup, or one of another format."""
    try:
        text = (folder / MANIFEST).read_bytes()
    except OSError as error:
        raise StackError(f"{folder} is not a backup: {MANIFEST}: {error.strerror}") from None
    try:
        number = msgspec.json.decode(text, type=dict[str, object]).get("format")
        if number != FORMAT:
            raise StackError(
                f"{folder} has the format {number}, and this version reads the format {FORMAT}:"
                " restore it with the version that made it (`made_by` in manifest.json)"
            )
        return msgspec.json.decode(text, type=Manifest)
    except (msgspec.ValidationError, msgspec.DecodeError) as error:
        raise StackError(f"{folder / MANIFEST} is damaged: {error}") from None


def check_dump(folder: Path, manifest: Manifest) -> None:
    """Raise StackError where the dump is not the one that the manifest is about."""
    path = folder / DUMP
    try:
        size = path.stat().st_size
        if size == manifest.dump_bytes and sha256_of(path) == manifest.dump_sha256:
            return
    except OSError as error:
        raise StackError(f"cannot read {path}: {error.strerror}") from None
    raise StackError(
        f"{path} is damaged: it has {size:,} bytes or a checksum other than"
        f" {MANIFEST} says ({manifest.dump_bytes:,} bytes); take another copy of the backup"
    )


def sha256_of(path: Path) -> str:
    """Hash a file in bounded memory."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_READ_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def fingerprints(secret_key: str) -> list[str]:
    """Return a fingerprint of each key of OPSC_SECRET_KEY, which distinguishes keys and reveals
    nothing of them. Raises StackError.
    """
    try:
        keys = derived_keys(read_secret_keys(secret_key), _FINGERPRINT)
        return [key.hex()[:16] for key in keys]
    except SecretKeyError as error:
        raise StackError(str(error)) from None


def contents(conn: SyncConnection, on_rows: Callable[[int], None]) -> dict[str, Content]:
    """Return every table of ours, read to its end."""
    return {f"{table.schema}.{table.name}": content(conn, table, on_rows) for table in tables(conn)}


def differences(expected: Mapping[str, Content], restored: Mapping[str, Content]) -> list[str]:
    """Return one line for each table that is not the same."""
    lines: list[str] = []
    for name in sorted(expected.keys() | restored.keys()):
        was, now = expected.get(name), restored.get(name)
        if was == now:
            continue
        if was is None or now is None:
            lines.append(f"{name}: {'missing' if now is None else 'not in the backup'}")
        elif was.rows != now.rows:
            lines.append(f"{name}: {now.rows:,} rows instead of {was.rows:,}")
        else:
            lines.append(f"{name}: {now.rows:,} rows, but not the same")
    return lines


def start_program(
    program: Path, url: str, arguments: list[str], environment: Mapping[str, str], log: Path
) -> Process:
    """Start pg_dump or pg_restore on a database; its password is in no command line."""
    login = conninfo_to_dict(of_primary(url))
    password = login.pop("password", None)
    return Process(
        Command(
            name=program.name,
            argv=[str(program), f"--dbname={make_conninfo('', **login)}", *arguments],
            log=log,
            environment={
                **environment,
                **({} if password is None else {"PGPASSWORD": str(password)}),
            },
            stop_signals=[(signal.SIGTERM, 10.0)],
            death_signal=signal.SIGTERM,
        )
    )
