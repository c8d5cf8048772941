"""Devices that would send and are not let in, as the listener writes them down.

A device that a gateway names has one row by its external id, and a tracker whose sign-ins fail has
one, whichever listeners have seen it. An organization has at most `MOST_OF_ORGANIZATION` rows of
each kind, so that failed sign-ins push out nothing that gateways forward: those that were seen
longest ago go.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from db.core.connect import Connection
from db.core.ids import new_id

MOST_OF_ORGANIZATION = 1_000

_LOCK = 0x0707_5C04  # any number that is ours alone


class LastPosition(NamedTuple):
    """lat, lon: degrees, WGS 84. time: as the device says."""

    lat: float
    lon: float
    time: datetime


class UnregisteredDevice(NamedTuple):
    """A device that a gateway names by an id that no tracker of its organization has.

    format: of what it sent. seen: the messages since the last write.
    """

    org_id: UUID
    external_id: str
    gateway_id: UUID
    protocol: str
    format: str
    seen: int
    first_seen_at: datetime
    last_seen_at: datetime
    position: LastPosition | None


class FailedSignIn(NamedTuple):
    """A tracker that could not sign in. format: None where nothing says what it would send. seen:
    the attempts since the last write.
    """

    org_id: UUID
    tracker_id: UUID
    protocol: str
    format: str | None
    seen: int
    first_seen_at: datetime
    last_seen_at: datetime


# What is known of a device that has a row. A position stays where no newer one is known.
_SEEN_AGAIN = """
    ON CONFLICT (org_id, external_id, tracker_id) DO UPDATE
       SET reason = excluded.reason, gateway_id = excluded.gateway_id,
           protocol = excluded.protocol, format = coalesce(excluded.format, known.format),
           seen = known.seen + excluded.seen,
           lat = coalesce(excluded.lat, known.lat), lon = coalesce(excluded.lon, known.lon),
           position_time = coalesce(excluded.position_time, known.position_time),
           last_seen_at = greatest(known.last_seen_at, excluded.last_seen_at)
"""
# The id of a revoked tracker stands for this tracker, whose positions are not stored any more.
_WRITE_UNREGISTERED = f"""
INSERT INTO unknown_devices AS known
       (org_id, id, external_id, tracker_id, reason, gateway_id, protocol, format, seen,
        first_seen_at, last_seen_at, lat, lon, position_time)
SELECT noted.org_id, noted.id, CASE WHEN revoked.id IS NULL THEN noted.external_id END, revoked.id,
       CASE WHEN revoked.id IS NULL THEN 'not_registered' ELSE 'revoked' END,
       gateway_id, protocol, format, seen, first_seen_at, last_seen_at,
       CASE WHEN revoked.id IS NULL THEN lat END, CASE WHEN revoked.id IS NULL THEN lon END,
       CASE WHEN revoked.id IS NULL THEN position_time END
  FROM unnest(%s::uuid[], %s::uuid[], %s::text[], %s::uuid[], %s::text[], %s::text[], %s::bigint[],
              %s::timestamptz[], %s::timestamptz[], %s::float8[], %s::float8[], %s::timestamptz[])
       AS noted (id, org_id, external_id, gateway_id, protocol, format, seen, first_seen_at,
                 last_seen_at, lat, lon, position_time)
  JOIN gateways ON gateways.org_id = noted.org_id AND gateways.id = noted.gateway_id
  LEFT JOIN trackers AS revoked
    ON revoked.org_id = noted.org_id AND revoked.external_id = noted.external_id
   AND revoked.revoked_at IS NOT NULL
{_SEEN_AGAIN}
"""  # noqa: S608  # a constant
_WRITE_FAILED = f"""
INSERT INTO unknown_devices AS known
       (org_id, id, tracker_id, reason, protocol, format, seen, first_seen_at, last_seen_at)
SELECT noted.org_id, noted.id, noted.tracker_id,
       CASE WHEN trackers.revoked_at IS NULL THEN 'wrong_secret' ELSE 'revoked' END,
       protocol, format, seen, first_seen_at, last_seen_at
  FROM unnest(%s::uuid[], %s::uuid[], %s::uuid[], %s::text[], %s::text[], %s::bigint[],
              %s::timestamptz[], %s::timestamptz[])
       AS noted (id, org_id, tracker_id, protocol, format, seen, first_seen_at, last_seen_at)
  JOIN trackers ON trackers.org_id = noted.org_id AND trackers.id = noted.tracker_id
{_SEEN_AGAIN}
"""  # noqa: S608  # a constant
# Devices that were registered while this was written are known by now.
_TIDY = """
DELETE FROM unknown_devices AS known
 USING unnest(%s::uuid[]) AS touched (org_id)
 CROSS JOIN LATERAL (
       SELECT device.id,
              row_number() OVER (
                  PARTITION BY device.gateway_id IS NULL
                      ORDER BY device.last_seen_at DESC, device.id DESC) AS place,
              EXISTS (SELECT FROM trackers
                       WHERE trackers.org_id = device.org_id
                         AND trackers.external_id = device.external_id) AS is_registered
         FROM unknown_devices AS device WHERE device.org_id = touched.org_id) AS placed
 WHERE (placed.place > %s OR placed.is_registered)
   AND known.org_id = touched.org_id AND known.id = placed.id
"""


async def write(
    conn: Connection,
    unregistered: Sequence[UnregisteredDevice],
    failed: Sequence[FailedSignIn],
) -> None:
    """Write what was seen since the last time, one of each device, in one transaction.

    Listeners take turns: together they keep to the bound.
    """
    async with conn.transaction():
        await conn.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
        if unregistered:
            places = [each.position or (None, None, None) for each in unregistered]
            rows = [
                (new_id(), *each[:-1], *place)
                for each, place in zip(unregistered, places, strict=True)
            ]
            await conn.execute(_WRITE_UNREGISTERED.encode(), _columns(rows))
        if failed:
            await conn.execute(
                _WRITE_FAILED.encode(), _columns([(new_id(), *each) for each in failed])
            )
        touched = {each.org_id for each in (*unregistered, *failed)}
        await conn.execute(_TIDY, (list(touched), MOST_OF_ORGANIZATION))


def _columns(rows: Sequence[tuple[object, ...]]) -> list[list[object]]:
    return [list(column) for column in zip(*rows, strict=True)]
