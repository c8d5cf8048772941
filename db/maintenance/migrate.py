"""The migration of a database to the schema of this version.

A new database gets `db/schema.sql`, which the ledger calls `base`, and then the numbered files of
`db/migrations`. Each runs once, in its own transaction, as opsc_owner; its SHA-256 is kept, and a
file that was changed after it ran is refused. An advisory lock lets one process migrate at a time.
The first line of a file says whether the roles of the version before may go on meanwhile
(`Migration.kind`).
A database that has the 67 migrations of version 0.8.0 has the schema of `base`: its ledger is
replaced. What needs a superuser (extensions, roles) is `db/bootstrap.sql`: run where the login is
one, else shown in BootstrapNeeded.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from importlib.resources import files
from time import monotonic, sleep
from typing import Any, TypeAlias

import psycopg
from psycopg import sql
from psycopg.errors import LockNotAvailable

from db.core.connect import of_primary

ROLES = ("opsc_owner", "opsc_app", "opsc_ingest", "opsc_listen", "opsc_deliver")

_BASE = 0
_ONLINE = "online"
# All that come later wait for who waits for a lock: for less than they have.
_LOCK_S, _PAUSE_S, _TRIES = 2, 2, 30
_ENDING_S = 10  # a role that was stopped may be connected for a moment yet
_LOCK = 0x0707_5C01  # any number that is ours alone
_LEDGER = """
CREATE TABLE IF NOT EXISTS schema_migrations (
    version integer PRIMARY KEY,
    name text NOT NULL,
    sha256 text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now()
)
"""

# The migrations of version 0.8.0: the commit that has them all, and the hash of their ledger.
_LAST_COMMIT = "14d85a6afd788e59409d8ccda113a1cc548f064d"
_LAST_LEDGER = "dcefd74f6c117f7384d8b32018256a694ad029a0d21cb52d6a66966fbf61e124"

_Sync: TypeAlias = psycopg.Connection[tuple[Any, ...]]


class MigrationError(Exception):
    """The database and the migrations of this version do not fit."""


class BootstrapNeeded(MigrationError):
    """The login is no superuser, and what only one may do has not been done."""

    def __init__(self, statements: str) -> None:
        super().__init__(
            "a superuser has to run these statements once in this database:\n\n" + statements
        )
        self.statements = statements


class RolesConnected(MigrationError):
    """A migration needs the roles stopped, and some of them are connected."""

    def __init__(self, offline: "Migration", connected: list[str]) -> None:
        super().__init__(
            f"the roles have to be stopped for {offline.name} ({offline.kind}), and these are"
            f" connected: {', '.join(connected)}. Nothing was migrated. Stop them first; --force"
            " migrates nevertheless"
        )


@dataclass(frozen=True, slots=True)
class Migration:
    """One numbered file, or `base` with the number 0."""

    version: int
    name: str
    text: str

    @property
    def kind(self) -> str:
        """`online`: the roles of the version before go on while it runs and after it; or
        `offline: why`. What does not say is offline: `base`, and all before 0018.
        """
        first = self.text.partition("\n")[0].removeprefix("-- ")
        return first if first == _ONLINE or first.startswith("offline: ") else "offline"

    @property
    def is_online(self) -> bool:
        return self.kind == _ONLINE

    @property
    def sha256(self) -> str:
        return sha256(self.text.encode()).hexdigest()


def migrations() -> list[Migration]:
    """Return the migrations of this version, in order."""
    numbered = [
        Migration(int(entry.name.split("_", 1)[0]), entry.name, entry.read_text("utf-8"))
        for entry in files("db").joinpath("migrations").iterdir()
        if entry.name.endswith(".sql")
    ]
    base = Migration(_BASE, "base", _text("make_resource.sql") + _text("schema.sql"))
    return [base, *sorted(numbered, key=lambda migration: migration.version)]


def migrate(url: str, *, force: bool = False) -> list[str]:
    """Apply what is missing and return the names of the applied migrations.

    `url`: a login that is a superuser, or a member of opsc_owner in a bootstrapped database. force:
    also what is offline while roles are connected. Raises MigrationError; RolesConnected before
    anything is applied.
    """
    with psycopg.connect(of_primary(url), autocommit=True) as conn:
        conn.execute("SELECT pg_advisory_lock(%s)", (_LOCK,))
        _bootstrap(conn)
        conn.execute("SET ROLE opsc_owner")
        with conn.transaction():
            conn.execute(_LEDGER)
        wanted = missing(_ledger(conn))
        if not force:
            _check_stopped(conn, wanted)
        return [_apply(conn, migration) for migration in wanted]


def bootstrap(url: str) -> None:
    """Do what only a superuser may, again for a database that was made from a template."""
    with psycopg.connect(of_primary(url), autocommit=True) as conn:
        _bootstrap(conn)


def pending(url: str) -> list[str]:
    """Return the names of the migrations that `migrate` would apply."""
    with psycopg.connect(of_primary(url), autocommit=True) as conn:
        row = conn.execute("SELECT to_regclass('schema_migrations')").fetchone()
        if row is None or row[0] is None:
            return [migration.name for migration in migrations()]
        return [migration.name for migration in missing(_ledger(conn))]


def set_role_passwords(url: str, passwords: dict[str, str]) -> None:
    """Set the passwords of our roles, as a superuser."""
    with psycopg.connect(of_primary(url)) as conn:
        for role, password in passwords.items():
            if role not in ROLES:
                raise ValueError(f"{role!r} is none of our roles: {', '.join(ROLES)}")
            # Only its verifier: the server may write the statement into its log.
            verifier = conn.pgconn.encrypt_password(
                password.encode(), role.encode(), b"scram-sha-256"
            )
            conn.execute(
                sql.SQL("ALTER ROLE {} PASSWORD {}").format(
                    sql.Identifier(role), sql.Literal(verifier.decode())
                )
            )


def _bootstrap(conn: _Sync) -> None:
    statements = _text("bootstrap.sql")
    row = conn.execute(
        "SELECT rolsuper FROM pg_roles WHERE rolname = current_user",
    ).fetchone()
    if row is not None and row[0]:
        with conn.transaction():
            conn.execute(statements.encode())
    elif not _is_bootstrapped(conn):
        raise BootstrapNeeded(statements)


def _is_bootstrapped(conn: _Sync) -> bool:
    row = conn.execute(
        """
        SELECT (SELECT count(*) FROM pg_roles WHERE rolname = ANY (%s)) = %s
           AND (SELECT count(*) FROM pg_extension
                 WHERE extname IN ('timescaledb', 'btree_gist')) = 2
           AND NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'opsc_app'
                 AND has_function_privilege(oid, 'set_config(text, text, boolean)', 'EXECUTE'))
           AND EXISTS (SELECT FROM pg_roles WHERE rolname = 'opsc_app'
                 AND pg_has_role('opsc_deliver', oid, 'SET'))
        """,
        (list(ROLES), len(ROLES)),
    ).fetchone()
    return row is not None and bool(row[0])


def _ledger(conn: _Sync) -> dict[int, tuple[str, str]]:
    rows = conn.execute("SELECT version, name, sha256 FROM schema_migrations").fetchall()
    return {version: (name, digest) for version, name, digest in rows}


def missing(applied: Mapping[int, tuple[str, str]]) -> list[Migration]:
    """Return the migrations that are not among those applied, which are names and SHA-256 by
    version. All are missing where those applied are the ones of version 0.8.0.

    Raises MigrationError where one of them is not known here, or is another.
    """
    if applied and _BASE not in applied:
        _check_last_ledger(applied)
        return migrations()
    known = {migration.version: migration for migration in migrations()}
    for version, (name, digest) in applied.items():
        migration = known.get(version)
        if migration is None:
            raise MigrationError(
                f"the database is newer than this version: it has migration {name}, which we lack"
            )
        if migration.sha256 != digest:
            raise MigrationError(f"migration {migration.name} was changed after it was applied")
    return [migration for version, migration in known.items() if version not in applied]


def _check_last_ledger(applied: Mapping[int, tuple[str, str]]) -> None:
    lines = [f"{version} {name} {digest}" for version, (name, digest) in sorted(applied.items())]
    if sha256("\n".join(lines).encode()).hexdigest() != _LAST_LEDGER:
        raise MigrationError(
            "the schema is older than that of version 0.8.0: it ends with migration"
            f" {applied[max(applied)][0]}. Migrate it with version 0.8.0 first, at commit"
            f" {_LAST_COMMIT}"
        )


def _check_stopped(conn: _Sync, wanted: list[Migration]) -> None:
    """Raise RolesConnected where one needs the roles stopped, and they are not soon."""
    offline = next((migration for migration in wanted if not migration.is_online), None)
    if offline is None:
        return
    until_s = monotonic() + _ENDING_S
    while connected := _connected_roles(conn):
        if monotonic() >= until_s:
            raise RolesConnected(offline, connected)
        sleep(0.1)


def _connected_roles(conn: _Sync) -> list[str]:
    """Return who is connected to this database with the login of a role."""
    rows = conn.execute(
        """
        SELECT DISTINCT coalesce(nullif(application_name, ''), usename)
          FROM pg_stat_activity
         WHERE datname = current_database() AND usename = ANY (%s) AND pid <> pg_backend_pid()
         ORDER BY 1
        """,
        ([role for role in ROLES if role != "opsc_owner"],),
    ).fetchall()
    return [name for (name,) in rows]


def _apply(conn: _Sync, migration: Migration) -> str:
    """Apply a migration, an online one when its locks are free; return its name."""
    for tries_left in reversed(range(_TRIES if migration.is_online else 1)):
        try:
            _apply_once(conn, migration)
            break
        except LockNotAvailable as error:
            if not tries_left:
                raise MigrationError(
                    f"{migration.name}: a transaction that lasts holds a lock that it needs."
                    f" PostgreSQL says: {error}"
                ) from error
        sleep(_PAUSE_S)
    return migration.name


def _apply_once(conn: _Sync, migration: Migration) -> None:
    with conn.transaction():
        if migration.is_online:
            conn.execute(f"SET LOCAL lock_timeout = '{_LOCK_S}s'".encode())
        # A table with rows whose deferred triggers wait cannot be altered.
        conn.execute("SET CONSTRAINTS ALL IMMEDIATE")
        if migration.version == _BASE and _ledger(conn):
            _leave_last_ledger(conn)
        else:
            conn.execute(migration.text.encode())
        conn.execute(
            "INSERT INTO schema_migrations (version, name, sha256) VALUES (%s, %s, %s)",
            (migration.version, migration.name, migration.sha256),
        )


def _leave_last_ledger(conn: _Sync) -> None:
    """Empty the ledger of a database of version 0.8.0, whose schema is `base` but for the functions
    that make what its tables have in common.
    """
    conn.execute(_text("make_resource.sql").encode())
    conn.execute("DROP FUNCTION audit(regclass, text, text, text)")
    conn.execute("DELETE FROM schema_migrations")


def _text(file: str) -> str:
    return files("db").joinpath(file).read_text("utf-8")
