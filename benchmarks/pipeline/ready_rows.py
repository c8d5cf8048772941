"""The rows of a fleet that has been at work for weeks, for `benchmarks.pipeline.ready`.

Fixes lie in one chunk a day; a tenth of the trackers have been silent for days, some for weeks, so
that their newest fix is in an old chunk. Statements outside db/, as in `benchmarks.common.rows`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

import msgspec

from benchmarks.common.rows import (
    ORGANIZATION,
    Admin,
    asset_uuid,
    copy_rows,
    tracker_uuid,
    zone_uuid,
)
from geofence.model.visit_ids import visit_id
from ingest.saved_states.saved_state import Run, SavedState
from ingest.saved_states.state_codec import SavedAsset, SavedPlace
from telemetry.times import to_us

_SILENT_EVERY = 10  # one tracker of so many is silent
_CLOSED_PER_OPEN = 5  # visits that have ended
_NAN = float("nan")


@dataclass(frozen=True, slots=True)
class Past:
    """The past of a fleet.

    fixes: of each tracker, evenly over the days. notes: assets of which more is remembered than
    rows tell: each has a run of fixes under way, every third is a suspect's.
    """

    trackers: int
    zones: int
    days: int = 40
    fixes: int = 24
    open_visits: int = 50_000
    notes: int = 30_000
    checkpoints: int = 20_000


def add_past(conn: Admin, past: Past, now: datetime) -> None:
    """Add a past beside a fleet that `setup_rows.add_fleet` has put there."""
    with conn.transaction():
        conn.execute("SET LOCAL session_replication_role = replica")  # no audit, as of the fleet
        conn.execute("CREATE TEMPORARY TABLE fleet (number integer, tracker uuid, asset uuid)")
        numbers = range(past.trackers)
        copy_rows(conn, "fleet", ((n, tracker_uuid(n), asset_uuid(n)) for n in numbers))
        conn.execute(
            "INSERT INTO asset_tags (org_id, asset_id, tags, valid_from, revision)"
            " SELECT org_id, id, ARRAY['van', 'night'], '-infinity', revision FROM assets"
        )
    conn.execute("ANALYZE fleet")
    _add_fixes(conn, past, now)
    _add_visits(conn, past, now)
    copy_rows(conn, "asset_state (org_id, asset_id, state)", _notes(past, now))
    conn.execute(
        "INSERT INTO asset_checkpoints (org_id, asset_id, time, seq, state)"
        " SELECT %s, asset, %s, 1, %s FROM fleet WHERE number < %s",
        (ORGANIZATION, now - timedelta(days=1), bytes(200), past.checkpoints),
    )
    conn.execute("DROP TABLE fleet")
    conn.execute("VACUUM ANALYZE")
    conn.execute("CHECKPOINT")


def _add_fixes(conn: Admin, past: Past, now: datetime) -> None:
    """Add fixes day after day, so that each statement fills one chunk."""
    begin, step = now - timedelta(days=past.days), timedelta(days=past.days) / past.fixes
    for number in range(past.fixes):
        conn.execute(
            """
            INSERT INTO gps_events (org_id, tracker_id, time, seq, received_at, lat, lon, speed_mps,
                                    course_deg, accuracy_m)
            SELECT %(org)s, tracker, %(at)s - number * '1 ms'::interval, %(seq)s, %(at)s,
                   47 + number %% 1000 * 0.001, 10 + number / 1000 * 0.001, 12.5, 90, 5
              FROM fleet
             WHERE number %% %(every)s <> 0
                OR %(seq)s <= number / %(every)s %% %(fixes)s
            """,
            {
                "org": ORGANIZATION,
                "at": begin + (number + 1) * step - timedelta(minutes=10),
                "seq": number,
                "every": _SILENT_EVERY,
                "fixes": past.fixes,
            },
        )


def _add_visits(conn: Admin, past: Past, now: datetime) -> None:
    columns = (
        "org_id, id, asset_id, zone_id, zone_version, tracker_id, first_fix_time, first_fix_seq,"
        " entered_at, entry_lat, entry_lon, entry_cause, left_at, exit_cause"
    )
    copy_rows(conn, f"visits ({columns})", _visits(past, now))


def _visits(past: Past, now: datetime) -> Iterator[tuple[object, ...]]:
    for number in range(past.open_visits * (1 + _CLOSED_PER_OPEN)):
        is_open = number < past.open_visits
        asset, zone = number % past.trackers, (number * 7) % past.zones
        at = now - timedelta(hours=1 if is_open else 100, seconds=number % 3_000)
        end = (None, None) if is_open else (at + timedelta(hours=1), "moved")
        ids = (asset_uuid(asset), zone_uuid(zone), tracker_uuid(asset))
        visit = visit_id(*ids, to_us(at), number, 0, 0)
        entry = (tracker_uuid(asset), at, number, at, 47.0, 10.0, "moved")
        yield (ORGANIZATION, visit, asset_uuid(asset), zone_uuid(zone), 1, *entry, *end)


def _notes(past: Past, now: datetime) -> Iterator[tuple[object, ...]]:
    now_us = to_us(now)
    for number in range(past.notes):
        place = SavedPlace(tracker_uuid(number).bytes, now_us, number, 47.0, 10.0, 5.0, _NAN)
        asset = SavedAsset(now_us, number, now_us, True, place, [place])
        runs = [Run(zone_uuid(number % past.zones).bytes, 2, place)]
        saved = SavedState(None if number % 3 else asset, runs, [])
        yield ORGANIZATION, asset_uuid(number), msgspec.msgpack.encode(saved)
