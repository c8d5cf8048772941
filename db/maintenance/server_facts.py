"""Settings and state of a PostgreSQL server, for its operator; any login may read them."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import NamedTuple

import psycopg
from psycopg.rows import args_row

from db.core.connect import Limits, conninfo
from db.maintenance.contents import SyncConnection

SIZES = (
    "shared_buffers", "effective_cache_size", "work_mem", "maintenance_work_mem", "max_wal_size",
    "min_wal_size",
)  # fmt: skip
CONNECT_TIMEOUT_S, STATEMENT_TIMEOUT_S = 3, 5
ARCHIVED_WITHIN = timedelta(minutes=10)


class ServerFacts(NamedTuple):
    """sizes: bytes by the name of the setting. lacks_standby: commits wait for one, and none is
    connected. not_archived_since: when WAL was archived last, where that fails or does not happen.
    """

    postgres: str
    timescaledb: str | None
    has_checksums: bool
    sizes: Mapping[str, int]
    lacks_standby: bool
    is_archiving: bool
    not_archived_since: datetime | None


def ask(url: str) -> ServerFacts:
    """Return the facts of the server that a login is for; raises DatabaseError."""
    bounded = conninfo(url, "opsc doctor", Limits(statement_s=STATEMENT_TIMEOUT_S))
    with psycopg.connect(bounded, connect_timeout=CONNECT_TIMEOUT_S) as conn:
        return read(conn)


def read(conn: SyncConnection, archived_within: timedelta = ARCHIVED_WITHIN) -> ServerFacts:
    """Return the facts of the server behind a connection.

    An archive_command that cannot be started is no failure to PostgreSQL: WAL that waits for longer
    than `archived_within` counts, too.
    """
    with conn.cursor(row_factory=args_row(ServerFacts)) as cursor:
        cursor.execute(
            """
            SELECT current_setting('server_version'),
                   (SELECT extversion FROM pg_extension WHERE extname = 'timescaledb'),
                   current_setting('data_checksums') = 'on',
                   (SELECT jsonb_object_agg(name, pg_size_bytes(current_setting(name)))
                      FROM unnest(%s::text[]) AS name),
                   current_setting('synchronous_standby_names') <> ''
                   AND NOT EXISTS (SELECT FROM pg_stat_replication),
                   current_setting('archive_mode') <> 'off',
                   (SELECT since
                      FROM pg_stat_archiver,
                           coalesce(last_archived_time, pg_postmaster_start_time()) AS since,
                           pg_split_walfile_name(pg_walfile_name(pg_current_wal_lsn())) AS writing,
                           pg_split_walfile_name(substring(
                               coalesce(last_archived_wal, repeat('0', 24)), '^[0-9A-F]{24}'
                           )) AS archived  -- of none: 0; of a file without WAL: NULL
                     WHERE last_failed_time > coalesce(last_archived_time, '-infinity')
                        OR since < now() - %s
                       AND writing.segment_number > archived.segment_number + 1)
            """,
            (list(SIZES), archived_within),
        )
        facts = cursor.fetchone()
    assert facts is not None  # a SELECT without FROM
    return facts
