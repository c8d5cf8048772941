"""The checks of `opsc doctor` on a server that are about its database and backups: each returns
findings and changes nothing.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from db.core.errors import DatabaseError
from db.maintenance import server_facts
from db.maintenance.server_facts import ServerFacts
from service.tcp import is_loopback
from stack.host.programs import POSTGRES_BIN
from stack.installed.installation import Installation, Unit
from stack.servers.backup_folder import DUMP, MANIFEST
from stack.servers.checks import AS_ROOT, GIB, Finding, by_amount, output, secret_keys
from stack.servers.postgres_sizes import machine_memory_bytes, sizes

BACKUPS = Path("/var/lib/ops-companion-backup")
BACKUP_IS_OLD_AFTER = timedelta(hours=36)  # of those that are made every night
LITTLE_DISK_BYTES, NO_DISK_BYTES = 20 * GIB, 4 * GIB
PG_CHECKSUMS = f"/{POSTGRES_BIN}/pg_checksums"
PGBACKREST = (
    "pgbackrest", "--output=json", "--log-level-console=off", "--log-level-file=off", "info",
)  # fmt: skip


class _MadeBackup(msgspec.Struct):
    """The time and the size of a backup, of its manifest."""

    made_at: datetime
    dump_bytes: int


def database_findings(server: Installation) -> Iterator[Finding]:
    """Yield logins, settings and disk of PostgreSQL, then backups."""
    logins = list(_logins(server))
    facts = next((said for *_, said in logins if isinstance(said, ServerFacts)), None)
    yield from _database(logins)
    if facts is not None:
        yield from _postgres(facts)
    yield from _keys(server)
    yield from _data_disk(server, facts)
    yield from _backups(server, facts)
    if facts is not None:
        yield from _archive(facts)


def data_folder(port: str) -> Path | None:
    """Return where the PostgreSQL of this machine that listens on a port has its data, by Debian's
    list of clusters.
    """
    for line in (output(["pg_lsclusters", "--no-header"]) or "").splitlines():
        _, _, listed_port, _, _, folder, *_ = line.split()
        if listed_port == port:
            return Path(folder)
    return None


def _logins(server: Installation) -> Iterator[tuple[Unit, str, ServerFacts | DatabaseError]]:
    """Yield each unit's login to the database, with what the server said."""
    for unit, url in server.databases():
        try:
            yield unit, url, server_facts.ask(url)
        except DatabaseError as error:
            yield unit, url, error


def _database(logins: Iterable[tuple[Unit, str, ServerFacts | DatabaseError]]) -> Iterator[Finding]:
    good: dict[str, None] = {}
    faults: list[Finding] = []
    for unit, url, said in logins:
        if isinstance(said, ServerFacts):
            good[place_of(url)] = None
        else:
            why = "; ".join(line.strip() for line in str(said).strip().splitlines())
            text = f"{unit.short_name} cannot connect: {why}"
            advice = "see OPSC_DATABASE_URL in its settings file"
            faults.append(Finding("fault", "database", text, advice))
    yield from faults
    if good and not faults:
        yield Finding("ok", "database", f"every login works at {', '.join(good)}")


def place_of(url: str) -> str:
    """Return the address and the name of a database, without a login."""
    parts = urlsplit(url)
    return f"{parts.netloc.rpartition('@')[2] or 'a socket'}{parts.path}"


def _local_port(server: Installation) -> str | None:
    """Return the port of the database, where it is on this machine."""
    for _, url in server.databases():
        parts = urlsplit(url)
        if "," in parts.netloc:  # several machines: which of them leads changes
            continue
        if is_loopback(parts.hostname or "localhost"):
            return str(parts.port or 5432)
    return None


def _postgres(facts: ServerFacts) -> Iterator[Finding]:
    about = f"PostgreSQL {facts.postgres} with TimescaleDB {facts.timescaledb or '(none)'}"
    yield Finding("ok", "postgres", about)
    if facts.lacks_standby:
        yield Finding(
            "fault", "standby", "no standby is connected, and nothing is committed without one",
            "see `patronictl list`, and synchronous_standby_names of PostgreSQL",
        )  # fmt: skip
    if facts.has_checksums:
        yield Finding("ok", "checksums", "PostgreSQL checks what it reads from the disk")
    else:
        yield Finding(
            "warning", "checksums", "data checksums are off: a damaged disk is not noticed",
            f"stop postgresql@17-main, then `{PG_CHECKSUMS} --enable -D FOLDER` as postgres",
        )  # fmt: skip


def _keys(server: Installation) -> Iterator[Finding]:
    """Yield the ring of secret keys, by the login of deliver: it sees all organizations."""
    for unit, url in server.databases():
        ring = unit.settings.get("OPSC_SECRET_KEY")
        if unit.role == "deliver" and ring is not None:
            yield secret_keys(ring, url)


def _data_disk(server: Installation, facts: ServerFacts | None) -> Iterator[Finding]:
    """Yield the room for data and WAL, and sizes that do not suit the machine."""
    port = _local_port(server)
    if port is None:
        if facts is not None:
            yield Finding(
                "ok", "disk", "the database is on another machine: look at its disk there"
            )
        return
    data = data_folder(port)
    if data is None:
        text = f"pg_lsclusters names no folder of a PostgreSQL at port {port}"
        yield Finding("warning", "disk", text, "look at the disk of its data yourself")
        return
    try:
        disk = shutil.disk_usage(data)
    except OSError as error:
        yield Finding("warning", "disk", f"{data}: {error.strerror}", AS_ROOT)
        return
    text = f"{disk.free / GIB:.1f} of {disk.total / GIB:.1f} GiB are free for {data}"
    advice = "make room, or use a larger disk: PostgreSQL stops where it cannot write"
    yield by_amount("disk", text, disk.free, (NO_DISK_BYTES, LITTLE_DISK_BYTES), advice)
    if facts is not None:
        yield from _wal(data / "pg_wal", facts)
        yield from _sizes(facts, disk.total)


def _wal(folder: Path, facts: ServerFacts) -> Iterator[Finding]:
    try:
        used = sum(path.stat().st_size for path in folder.iterdir() if path.is_file())
        free = shutil.disk_usage(folder).free
    except PermissionError:
        yield Finding("warning", "WAL", f"{folder} can be read by root only", AS_ROOT)
        return
    except OSError as error:  # a file was renamed meanwhile
        yield Finding("warning", "WAL", f"{folder}: {error.strerror}", "look again")
        return
    bound = facts.sizes["max_wal_size"]
    text = (
        f"{folder} has {used / GIB:.1f} GiB, max_wal_size is {bound / GIB:.1f} GiB,"
        f" {free / GIB:.1f} GiB are free"
    )
    if used <= 2 * bound:
        yield Finding("ok", "WAL", text)
        return
    advice = "WAL is kept: look at pg_stat_archiver, pg_replication_slots and wal_keep_size"
    yield Finding("fault" if free < used else "warning", "WAL", text, advice)


def _sizes(facts: ServerFacts, disk_bytes: int) -> Iterator[Finding]:
    """Yield settings that are less than half, or more than twice, of what suits the machine."""
    odd = [
        f"{size.name} is {_size(facts.sizes[size.name])}, not about {_size(size.size_bytes)}"
        for size in sizes(machine_memory_bytes(), disk_bytes)
        if not size.size_bytes / 2 <= facts.sizes[size.name] <= size.size_bytes * 2
    ]
    about = f"shared_buffers is {_size(facts.sizes['shared_buffers'])}"
    if not odd:
        yield Finding("ok", "sizes", f"{about}, and the other sizes suit this machine, too")
        return
    advice = "`opsc doctor --postgres` prints what suits this machine"
    yield Finding("warning", "sizes", "; ".join(odd), advice)


def _size(size_bytes: int) -> str:
    return f"{size_bytes / GIB:.1f} GiB" if size_bytes >= GIB else f"{size_bytes >> 20} MiB"


def _backups(server: Installation, facts: ServerFacts | None) -> Iterator[Finding]:
    timer = server.unit("opsc-backup.timer")
    is_nightly = timer is not None and timer.state == "active"
    is_only_way = facts is None or not facts.is_archiving
    if not is_nightly and is_only_way:
        text = "opsc-backup.timer does not run: no backup is made every night"
        advice = "`systemctl enable --now opsc-backup.timer`; docs/install.md says what it needs"
        yield Finding("warning", "backup", text, advice)
    try:
        made = max(
            (made_at for path in BACKUPS.iterdir() if (made_at := _backup(path))), default=None
        )
    except FileNotFoundError:
        made = None
    except PermissionError:
        yield Finding("warning", "backup", f"{BACKUPS} can be read by root only", AS_ROOT)
        return
    if made is not None:
        yield _newest("backup", *made, may_be_old=not is_nightly and not is_only_way)
    elif is_nightly:
        text = f"{BACKUPS} has no complete backup"
        yield Finding("fault", "backup", text, "`systemctl start opsc-backup` makes one now")


def _backup(folder: Path) -> tuple[datetime, str] | None:
    """Return time and place of a backup; None for one that is not complete."""
    try:
        made = msgspec.json.decode((folder / MANIFEST).read_bytes(), type=_MadeBackup)
        is_whole = (folder / DUMP).stat().st_size == made.dump_bytes
    except (FileNotFoundError, NotADirectoryError, msgspec.DecodeError):
        return None
    is_named = not folder.name.endswith(".partial")
    return (made.made_at, str(folder)) if is_whole and is_named else None


def _newest(subject: str, made_at: datetime, place: str, *, may_be_old: bool = False) -> Finding:
    age = datetime.now(UTC) - made_at
    text = f"the newest, {place}, is {age / timedelta(hours=1):.1f} hours old"
    if age <= BACKUP_IS_OLD_AFTER or may_be_old:
        return Finding("ok", subject, text)
    return Finding("fault", subject, text, "`systemctl list-timers 'opsc-*'`, and docs/backup.md")


def _archive(facts: ServerFacts) -> Iterator[Finding]:
    """Yield whether point-in-time recovery would work, where WAL is archived."""
    if not facts.is_archiving:
        return
    if facts.not_archived_since is not None:
        text = f"WAL has not been archived since {facts.not_archived_since:%Y-%m-%d %H:%M} UTC"
        advice = "see PostgreSQL's log, and `pgbackrest --stanza=opsc check` as postgres"
        yield Finding("fault", "archive", text, advice)
    else:
        yield Finding("ok", "archive", "WAL is archived")
    if shutil.which(PGBACKREST[0]) is None:
        return  # something else archives
    try:
        stanzas = json.loads(output(PGBACKREST) or "")
    except ValueError:
        text = f"`{' '.join(PGBACKREST)}` does not answer: base backups are unknown"
        advice = AS_ROOT if os.geteuid() else "try it, as postgres as well"
        yield Finding("warning", "archive", text, advice)
        return
    made = [backup for stanza in stanzas for backup in stanza["backup"]]
    if not made:
        text = "pgBackRest has no base backup"
        yield Finding("fault", "archive", text, "docs/backup.md says how to make one")
        return
    newest = max(made, key=lambda backup: backup["timestamp"]["stop"])
    made_at = datetime.fromtimestamp(newest["timestamp"]["stop"], UTC)
    yield _newest("archive", made_at, f"base backup {newest['label']}")
