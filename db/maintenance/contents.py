"""The contents of a database, for a comparison of two: the rows of each table and a hash over them.

Only tables of ours that a crash does not empty count, and each chunk of the fixes is a table of its
own. Rows are hashed in the order of the table's key, as COPY writes them: two tables with the same
digest have the same rows. Memory is bounded by one row.
"""

from collections.abc import Callable
from hashlib import sha256
from typing import Any, LiteralString, NamedTuple, TypeAlias

import msgspec
import psycopg
from psycopg import sql

from db.core.connect import of_primary

SyncConnection: TypeAlias = psycopg.Connection[tuple[Any, ...]]

# A row reads the same whatever the server's own settings are. Without row_security, a login that
# does not see every row is refused instead of seeing fewer.
_OPTIONS = (
    "-c TimeZone=UTC -c DateStyle=ISO -c IntervalStyle=postgres -c bytea_output=hex"
    " -c extra_float_digits=1 -c client_encoding=UTF8 -c row_security=off"
)
_ROWS_BETWEEN_REPORTS = 10_000

# Columns by name: their order is not what a dump promises. Keys: the primary key, or the unique
# index of a table without one.
_TABLES = """
SELECT space.nspname, class.relname,
       (SELECT array_agg(attname ORDER BY attname) FROM pg_attribute
         WHERE attrelid = class.oid AND attnum > 0 AND NOT attisdropped),
       (SELECT array_agg(format('%I', attname) || CASE WHEN attcollation = 0 THEN ''
                                                       ELSE ' COLLATE "C"' END ORDER BY place)
          FROM (SELECT indkey, indnkeyatts FROM pg_index
                 WHERE indrelid = class.oid AND indisunique
                   AND indpred IS NULL AND indexprs IS NULL
                 ORDER BY indisprimary DESC, indexrelid LIMIT 1) AS best
         CROSS JOIN LATERAL unnest(indkey) WITH ORDINALITY AS part (number, place)
          JOIN pg_attribute ON attrelid = class.oid AND attnum = part.number
         WHERE place <= indnkeyatts)
  FROM pg_class AS class JOIN pg_namespace AS space ON space.oid = class.relnamespace
 WHERE class.relkind = 'r' AND class.relpersistence = 'p'
   AND space.nspname IN ('public', 'gps_chunks', 'attempt_chunks')
   AND NOT EXISTS (SELECT FROM pg_depend
                    WHERE classid = 'pg_class'::regclass AND objid = class.oid AND deptype = 'e')
 ORDER BY space.nspname, class.relname
"""


class StoredTable(NamedTuple):
    """One table. `key`: the expressions that put its rows in order."""

    schema: str
    name: str
    columns: list[str]
    key: list[str]


class Content(msgspec.Struct, frozen=True):
    """The rows of one table."""

    rows: int
    sha256: str


def open_for_reading(url: str) -> SyncConnection:
    """Return a connection to read a whole database with; raises psycopg.OperationalError."""
    return psycopg.connect(
        of_primary(url),
        autocommit=True,
        options=_OPTIONS,
        application_name="opsc backup",
        connect_timeout=10,
    )


def tables(conn: SyncConnection) -> list[StoredTable]:
    """Return the tables of ours, in the order of their names. Empty in a database that is new."""
    return [StoredTable(*row) for row in conn.execute(_TABLES).fetchall()]


def content(conn: SyncConnection, table: StoredTable, on_rows: Callable[[int], None]) -> Content:
    """Read the table; `on_rows` is called with the number of each few thousand more rows."""
    statement = sql.SQL("COPY (SELECT {} FROM ONLY {} ORDER BY {}) TO STDOUT").format(
        sql.SQL(", ").join(map(sql.Identifier, table.columns)),
        sql.Identifier(table.schema, table.name),
        sql.SQL(", ").join(sql.SQL(part) for part in table.key),  # pyright: ignore[reportArgumentType]: quoted by PostgreSQL
    )
    digest, rows, reported = sha256(), 0, 0
    with conn.cursor() as cursor, cursor.copy(statement) as copy:
        for row in copy:
            digest.update(row)
            rows += 1
            if rows - reported == _ROWS_BETWEEN_REPORTS:
                on_rows(rows - reported)
                reported = rows
    on_rows(rows - reported)
    return Content(rows, digest.hexdigest())


def waiting(conn: SyncConnection) -> tuple[int, int]:
    """Count the webhook deliveries and letters that are still to be sent."""
    deliveries = _one(conn, "SELECT count(*) FROM webhook_deliveries WHERE state = 'pending'")
    return deliveries, _one(conn, "SELECT count(*) FROM mail_outbox WHERE gave_up_at IS NULL")


def timescaledb_version(conn: SyncConnection) -> str | None:
    """Return the version of the extension in this database; None where it is not there."""
    return _one(conn, "SELECT extversion FROM pg_extension WHERE extname = 'timescaledb'")


def available_timescaledb(conn: SyncConnection) -> str | None:
    """Return the version that this server has, or gives to a database; None where it has none."""
    return _one(
        conn,
        "SELECT coalesce(installed_version, default_version) FROM pg_available_extensions"
        " WHERE name = 'timescaledb'",
    )


def size_mb(conn: SyncConnection) -> int:
    """Return the size of the database on the disk."""
    return _one(conn, "SELECT pg_database_size(current_database()) / 1000000")


def _one(conn: SyncConnection, query: LiteralString) -> Any:
    row = conn.execute(query).fetchone()
    return None if row is None else row[0]
