"""The rows that `benchmarks.api.run` asks about: a fleet with weeks of history behind it.

Statements outside db/, as in `benchmarks.common.rows`, without the triggers: nobody changed these
rows, so there is nothing to write down of them.
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from benchmarks.common import rows as setup_rows
from benchmarks.common.rows import ORGANIZATION, Admin, asset_uuid, tracker_uuid, zone_uuid
from benchmarks.common.workload import Floats
from db.core.secrets import API_KEY, new_secret, secret_hash
from telemetry.ids import derived_id

USER = derived_id(b"bench user", b"\x00")
SIGN_IN = derived_id(b"bench sign-in", b"\x00")
_PER_STATEMENT = timedelta(hours=6)  # of history


@dataclass(frozen=True, slots=True)
class History:
    """fixes: millions, of the first `busy` trackers, evenly over the days before `now`; the others
    have one each, of the last day. Each zone has `visits` a day, of two hours."""

    fixes: float
    now: datetime
    days: int = 30
    busy: int = 1_000
    visits: int = 10


def add_history(conn: Admin, assets: int, rings: Sequence[Floats], history: History) -> None:
    """Add the whole history. The connection has no triggers from here on."""
    conn.execute("SET session_replication_role = replica")
    setup_rows.add_fleet(conn, assets, rings)
    conn.execute(
        """
        UPDATE assets SET make = 'Volvo', model = 'FH16', asset_class = 'vehicle',
               created_at = %(now)s - substr(name, 7)::int * interval '1 minute';
        """,
        {"now": history.now},
    )
    conn.execute(
        "INSERT INTO asset_tags (org_id, asset_id, tags, valid_from, revision)"
        " SELECT org_id, id, ARRAY['night', 'van'], '-infinity', revision FROM assets"
    )
    conn.execute("CREATE TEMPORARY TABLE fleet (number integer, tracker uuid, asset uuid)")
    numbers = range(assets)
    setup_rows.copy_rows(conn, "fleet", ((n, tracker_uuid(n), asset_uuid(n)) for n in numbers))
    conn.execute("CREATE TEMPORARY TABLE places (number integer, zone uuid)")
    setup_rows.copy_rows(conn, "places", ((n, zone_uuid(n)) for n in range(len(rings))))
    conn.execute("ANALYZE fleet, places")
    _add_fixes(conn, history)
    _add_visits(conn, history)
    _add_events(conn)
    conn.execute("DROP TABLE fleet, places")
    conn.execute("RESET session_replication_role")
    conn.execute("VACUUM ANALYZE")
    conn.execute("CHECKPOINT")


def add_caller(conn: Admin) -> str:
    """Add a dispatcher with a sign-in, and return an API key of the dispatcher."""
    key = new_secret(API_KEY)
    conn.execute(
        "INSERT INTO users (org_id, id, email, role)"
        " VALUES (%s, %s, 'bench@example.com', 'dispatcher')",
        (ORGANIZATION, USER),
    )
    conn.execute(
        "INSERT INTO sign_ins (org_id, id, user_id, kind, expires_at)"
        " VALUES (%s, %s, %s, 'token', now() + interval '1 day')",
        (ORGANIZATION, SIGN_IN, USER),
    )
    conn.execute(
        "INSERT INTO api_keys (org_id, id, user_id, name, secret_hash, last4)"
        " VALUES (%s, %s, %s, 'bench', %s, %s)",
        (
            ORGANIZATION,
            derived_id(b"bench key", secrets.token_bytes(8)),
            USER,
            secret_hash(key),
            key[-4:],
        ),
    )
    return key


def at_work_us(conn: Admin) -> float:
    """Return how long the database has been at work on what clients asked, us."""
    row = conn.execute(
        "SELECT pg_stat_force_next_flush(), active_time FROM pg_stat_database"
        " WHERE datname = current_database()"
    ).fetchone()
    assert row is not None
    return float(row[1]) * 1e3


def _add_fixes(conn: Admin, history: History) -> None:
    """Add fixes in order of time, as they come: each statement fills a part of one chunk."""
    per_tracker = history.fixes * 1e6 / history.busy
    step = timedelta(days=history.days) / per_tracker
    statement = """
        INSERT INTO gps_events (org_id, tracker_id, time, seq, received_at, lat, lon, altitude_m,
                                speed_mps, course_deg, accuracy_m, satellites)
        SELECT %(org)s, tracker, at + number * interval '1 ms', 0, at + interval '1 s',
               47 + number %% 1000 * 0.001, 10 + number / 1000 * 0.001, 441, 12.5, 90, 5, 11
          FROM generate_series(%(since)s, %(until)s - interval '1 us', %(step)s) AS at, fleet
         WHERE number >= %(first)s AND number < %(last)s
    """
    since = history.now - timedelta(days=history.days)
    busy = {"org": ORGANIZATION, "step": step, "first": 0, "last": history.busy}
    while since < history.now:
        until = min(since + _PER_STATEMENT, history.now)
        conn.execute(statement, busy | {"since": since, "until": until})
        since = until
    conn.execute(
        statement,
        {
            "org": ORGANIZATION,
            "step": timedelta(days=1),
            "since": history.now - timedelta(hours=20),
            "until": history.now,
            "first": history.busy,
            "last": 1_000_000_000,
        },
    )


def _add_visits(conn: Admin, history: History) -> None:
    conn.execute(
        """
        INSERT INTO visits (org_id, id, asset_id, zone_id, zone_version, tracker_id, first_fix_time,
                            first_fix_seq, entered_at, entry_lat, entry_lon, entry_cause, left_at,
                            exit_lat, exit_lon, exit_cause)
        SELECT %(org)s, gen_random_uuid(), asset, zone, 1, tracker, entered_at, 0, entered_at, 47,
               10, 'moved', entered_at + interval '2 hours', 47, 10, 'moved'
          FROM (SELECT *, %(since)s + (day + times::float8 / %(visits)s) * interval '1 day'
                          + place.number * interval '1 second' AS entered_at
                  FROM places AS place, generate_series(0, %(days)s - 2) AS day,
                       generate_series(0, %(visits)s - 1) AS times) AS visit
          JOIN fleet ON fleet.number = (visit.number * 7 + day * 13 + times * 31) %% %(busy)s
        """,
        {
            "org": ORGANIZATION,
            "since": history.now - timedelta(days=history.days),
            "days": history.days,
            "visits": history.visits,
            "busy": history.busy,
        },
    )


def _add_events(conn: Admin) -> None:
    conn.execute(
        """
        INSERT INTO events (org_id, id, type, occurred_at, created_at, data, seq)
        SELECT org_id, gen_random_uuid(), 'asset.entered_zone', entered_at, entered_at,
               json_build_object('asset_id', asset_id, 'zone_id', zone_id, 'visit_id', id),
               row_number() OVER (ORDER BY entered_at, id)
          FROM visits
        """
    )
    conn.execute(
        "UPDATE organizations SET event_seq = (SELECT max(seq) FROM events) WHERE org_id = %s",
        (ORGANIZATION,),
    )
