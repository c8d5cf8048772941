"""The database side of a measurement: rows to start from, emptying between rounds, counting.

Statements outside db/, on purpose: the product neither registers thousands of trackers at once nor
counts its history. Connections here are a superuser's.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple, TypeAlias
from uuid import UUID

import psycopg

from benchmarks.common.payloads import tracker_id, tracker_secret
from benchmarks.common.workload import Floats
from db.core.secrets import secret_hash
from db.resources.zones import geometry_hash
from geofence.shapes.geojson import read_shape
from geofence.shapes.stored import write_wkb
from telemetry.ids import derived_id, parse_id

Admin: TypeAlias = psycopg.Connection[tuple[Any, ...]]

ORGANIZATION = derived_id(b"bench org", b"\x00")
BEFORE_ANY_FIX = datetime(2025, 1, 1, tzinfo=UTC)
REVISION = 1


class Stored(NamedTuple):
    """Rows committed, and when the database looked (seconds since 1970)."""

    rows: int
    at_s: float


def claim_imeis(conn: Admin, organization: UUID, imeis: Mapping[int, str]) -> None:
    """Let trackers of an organization, by their numbers, have claimed IMEIs."""
    claims = ((organization, tracker_uuid(n), imei, BEFORE_ANY_FIX) for n, imei in imeis.items())
    with conn.transaction():
        conn.execute("SET LOCAL session_replication_role = replica")
        copy_rows(conn, "imei_claims (org_id, tracker_id, imei, claimed_at)", claims)


def add_fleet(
    conn: Admin,
    trackers: int,
    rings: Sequence[Floats],
    *,
    organization: UUID = ORGANIZATION,
    first: int = 0,
) -> None:
    """Add one organization, its trackers, each with an asset, and restricted zones: all transitions
    alert. The triggers are off: what they keep is counted once, and nothing is written down.

    first: the number of the first tracker, and of the first zone.
    """
    numbers = range(first, first + trackers)
    zones = [(zone_uuid(n), n, *_shape(ring)) for n, ring in enumerate(rings, first)]
    with conn.transaction():
        conn.execute("SET LOCAL session_replication_role = replica")
        conn.execute("UPDATE zones_revision SET revision = %s", (REVISION,))
        copy_rows(conn, "organizations (org_id, name)", [(organization, "Benchmark")])
        copy_rows(
            conn,
            "assets (org_id, id, name, revision)",
            ((organization, asset_uuid(n), f"Asset {n}", REVISION) for n in numbers),
        )
        copy_rows(
            conn,
            "trackers (org_id, id, secret_hash, revision)",
            (
                (organization, tracker_uuid(n), secret_hash(tracker_secret(n)), REVISION)
                for n in numbers
            ),
        )
        copy_rows(
            conn,
            "tracker_assignments (org_id, id, tracker_id, asset_id, assigned_from, revision)",
            (
                (
                    organization,
                    _numbered(b"bench assignment", n),
                    tracker_uuid(n),
                    asset_uuid(n),
                    BEFORE_ANY_FIX,
                    REVISION,
                )
                for n in numbers
            ),
        )
        copy_rows(
            conn,
            "zones (org_id, id, version)",
            ((organization, zone, 1) for zone, *_ in zones),
        )
        copy_rows(
            conn,
            "zone_shapes (org_id, geometry_sha256, geometry, shape)",
            ((organization, geometry_hash(text), text, wkb) for _, _, text, wkb in zones),
        )
        copy_rows(
            conn,
            "zone_versions (org_id, zone_id, version, name, kind, geometry_sha256, shape_bytes,"
            " valid_from, revision)",
            (
                (
                    organization,
                    zone,
                    1,
                    f"Zone {n}",
                    "restricted",
                    geometry_hash(text),
                    len(wkb),
                    BEFORE_ANY_FIX,
                    REVISION,
                )
                for zone, n, text, wkb in zones
            ),
        )
        totals = {"assets": trackers, "trackers": trackers, "zones": len(zones)}
        copy_rows(
            conn,
            "row_counts (org_id, table_name, rows, stored)",
            ((organization, table, rows, rows) for table, rows in totals.items()),
        )
    conn.execute("ANALYZE")


def _shape(ring: Floats) -> tuple[str, bytes]:
    """Return a zone's geometry, and its shape as it is stored."""
    geometry = {"type": "Polygon", "coordinates": [ring.tolist()]}
    return json.dumps(geometry), write_wkb(read_shape(geometry))


def remove_fleet(conn: Admin) -> None:
    """Remove the fleet, with what its trackers sent."""
    empty(conn)
    conn.execute("TRUNCATE organizations CASCADE")


def server_pids(conn: Admin) -> list[int]:
    """Return the processes of the database server that stay, but for our own connection's."""
    rows = conn.execute(
        """
        SELECT pid FROM pg_stat_activity
         WHERE backend_type IN ('client backend', 'walwriter', 'background writer', 'checkpointer')
           AND pid <> pg_backend_pid()
        """
    )
    return [pid for (pid,) in rows.fetchall()]


def commit_times(conn: Admin, trackers: Sequence[UUID]) -> list[tuple[UUID, int, int]]:
    """Return of each fix its tracker, its time and when it was committed, microseconds since 1970.

    The time of a commit is taken before its log is written to the disk: see `flush_ms`.
    """
    return conn.execute(
        """
        SELECT tracker_id, (extract(epoch FROM time) * 1000000)::bigint,
               (extract(epoch FROM pg_xact_commit_timestamp(xmin)) * 1000000)::bigint
          FROM gps_events WHERE tracker_id = ANY(%s)
        """,
        (list(trackers),),
    ).fetchall()


def flushes(conn: Admin) -> tuple[int, float]:
    """Return how often the log was written to the disk, and how long that took altogether, ms."""
    row = conn.execute("SELECT wal_sync, wal_sync_time FROM pg_stat_wal").fetchone()
    assert row is not None
    return int(row[0]), float(row[1])


def empty(conn: Admin) -> None:
    """Empty the database of fixes, with nothing left for it to write behind our back."""
    conn.execute(
        "TRUNCATE gps_events, visits, events, event_subjects, quarantine, asset_state,"
        " asset_checkpoints CASCADE"
    )
    conn.execute("UPDATE leases SET expires_at = '-infinity'")
    conn.execute("CHECKPOINT")


def count_fixes(conn: Admin) -> Stored:
    """Count the fixes exactly, of one instant."""
    row = conn.execute(
        "SELECT count(*), extract(epoch FROM statement_timestamp())::float8 FROM gps_events"
    ).fetchone()
    assert row is not None
    return Stored(*row)


def count_fixes_of(conn: Admin, organization: UUID) -> int:
    row = conn.execute(
        "SELECT count(*) FROM gps_events WHERE org_id = %s", (organization,)
    ).fetchone()
    assert row is not None
    return int(row[0])


def bytes_per_fix(conn: Admin) -> tuple[int, float, float]:
    """Return the fixes in the table, and the bytes of each in it and in its index."""
    row = conn.execute(
        """
        SELECT (SELECT count(*) FROM gps_events), sum(table_bytes), sum(index_bytes)
          FROM chunks_detailed_size('gps_events')
        """
    ).fetchone()
    assert row is not None
    return int(row[0]), float(row[1]) / row[0], float(row[2]) / row[0]


def wal_bytes(conn: Admin) -> int:
    """Return the bytes of WAL that were ever written."""
    row = conn.execute("SELECT pg_current_wal_insert_lsn() - '0/0'").fetchone()
    assert row is not None
    return int(row[0])


def database_bytes(conn: Admin) -> int:
    row = conn.execute("SELECT pg_database_size(current_database())").fetchone()
    assert row is not None
    return int(row[0])


def count_events(conn: Admin) -> int:
    row = conn.execute("SELECT count(*) FROM events").fetchone()
    assert row is not None
    return int(row[0])


def server_versions(conn: Admin) -> dict[str, str]:
    row = conn.execute(
        "SELECT current_setting('server_version'),"
        " (SELECT extversion FROM pg_extension WHERE extname = 'timescaledb')"
    ).fetchone()
    assert row is not None
    return {"postgresql": row[0], "timescaledb": row[1]}


def tracker_uuid(number: int) -> UUID:
    return parse_id("trk", tracker_id(number))


def asset_uuid(number: int) -> UUID:
    return _numbered(b"bench asset", number)


def zone_uuid(number: int) -> UUID:
    return _numbered(b"bench zone", number)


def _numbered(kind: bytes, number: int) -> UUID:
    return derived_id(kind, number.to_bytes(4, "big"))


def copy_rows(conn: Admin, target: str, rows: Iterable[tuple[object, ...]]) -> None:
    """COPY into a constant target: a table, perhaps with columns."""
    statement = f"COPY {target} FROM STDIN".encode()
    with conn.cursor() as cursor, cursor.copy(statement) as copy:
        for row in rows:
            copy.write_row(row)
