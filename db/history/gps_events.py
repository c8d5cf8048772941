"""Fixes: written by COPY in PostgreSQL's binary format, packed by numpy.

A row of the COPY stream is a count of fields and, for each, its length and its bytes; a NULL is the
length -1 and no bytes, so rows with the same NULLs have the same layout. The rows of a batch are
therefore packed per pattern of known columns, each pattern as one structured array, without a
Python object per fix. (Format: PostgreSQL documentation, COPY, "Binary Format".)
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import NamedTuple
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from db.core.connect import Connection
from db.history.binary_arrays import POSTGRES_EPOCH_US
from telemetry.fix import OPTIONAL_COLUMNS, FixBatch, Flag
from telemetry.times import to_datetime

_COPY_HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_COPY_TRAILER = b"\xff\xff"
_JSONB_VERSION = b"\x01"

_REQUIRED = (
    ("org_id", "V16"),
    ("tracker_id", "V16"),
    ("time", ">i8"),
    ("seq", ">i4"),
    ("received_at", ">i8"),
    ("lat", ">f8"),
    ("lon", ">f8"),
    ("flags", ">i2"),
)
_OPTIONAL = (
    ("altitude_m", ">f4"),
    ("speed_mps", ">f4"),
    ("course_deg", ">f4"),
    ("accuracy_m", ">f4"),
    ("battery_pct", ">f4"),
    ("satellites", ">i2"),
    ("ignition", "?"),
)
_FIELDS = len(_REQUIRED) + len(_OPTIONAL) + 1  # and attributes
_COLUMNS = (
    "org_id, tracker_id, time, seq, received_at, lat, lon, flags, altitude_m, speed_mps,"
    " course_deg, accuracy_m, battery_pct, satellites, ignition, attributes"
)
_COPY_INTO_GPS_EVENTS = f"COPY gps_events ({_COLUMNS}) FROM STDIN (FORMAT BINARY)"


class FixKey(NamedTuple):
    tracker_id: UUID
    time_us: int
    seq: int


SAME_PLACE_DEG = 1e-6
"""Positions are stored as they were decoded. The same fix in two formats differs by less than this,
by the rounding of one of them."""


class Place(NamedTuple):
    """The place where a fix was taken, degrees, as it was decoded."""

    lat: float
    lon: float

    def is_elsewhere(self, other: "Place") -> bool:
        """Return whether two places differ. 180 degrees west are 180 degrees east."""
        east_deg = abs(self.lon - other.lon)
        apart_deg = max(abs(self.lat - other.lat), min(east_deg, 360 - east_deg))
        return apart_deg > SAME_PLACE_DEG


@dataclass(frozen=True, slots=True)
class Owners:
    """The keys that go with each fix of a batch.

    org_id, tracker_id: shape (n,), dtype V16, the bytes of the UUIDs.
    received_us: when the fix reached us, microseconds since 1970, shape (n,).
    """

    org_id: NDArray[np.void]
    tracker_id: NDArray[np.void]
    received_us: NDArray[np.int64]

    def take(self, positions: NDArray[np.integer]) -> "Owners":
        return Owners(
            self.org_id[positions], self.tracker_id[positions], self.received_us[positions]
        )


def copy_stream(batch: FixBatch, owners: Owners) -> bytes:
    """Return the whole COPY BINARY stream of `batch`. Rows come out grouped by pattern, not in
    order.
    """
    return b"".join([_COPY_HEADER, *_pack(batch, owners), _COPY_TRAILER])


async def copy_new(conn: Connection, stream: bytes) -> None:
    """Append the fixes of `stream`, none of which may be stored yet.

    Raises psycopg.errors.UniqueViolation if one is stored.
    """
    async with conn.cursor() as cursor, cursor.copy(_COPY_INTO_GPS_EVENTS) as copy:
        await copy.write(stream)


async def stored(conn: Connection, fixes: Sequence[FixKey]) -> dict[FixKey, Place]:
    """Return the fixes that are stored, with their places."""
    cursor = await conn.execute(
        """
        SELECT known.tracker_id, (extract(epoch FROM known.time) * 1000000)::bigint, known.seq,
               known.lat, known.lon
          FROM unnest(%s::uuid[], %s::timestamptz[], %s::int4[]) AS asked (tracker_id, time, seq)
          JOIN gps_events AS known USING (tracker_id, time, seq)
         WHERE known.time BETWEEN %s AND %s  -- spares looking into chunks of other times
        """,
        _by_identity(fixes),
    )
    return {FixKey(*row[:3]): Place(*row[3:]) for row in await cursor.fetchall()}


_MARK = """
UPDATE gps_events SET flags = flags & ~%s::smallint | %s::smallint
  FROM unnest(%s::uuid[], %s::timestamptz[], %s::int4[]) AS marked (tracker_id, time, seq)
 WHERE gps_events.tracker_id = marked.tracker_id AND gps_events.time = marked.time
   AND gps_events.seq = marked.seq
   AND gps_events.time BETWEEN %s AND %s  -- spares looking into chunks of other times
"""


async def mark_suspect(conn: Connection, fixes: Mapping[FixKey, bool]) -> None:
    """Set the flag `suspect` of stored fixes, or clear it."""
    for flag in (True, False):
        concerned = [fix for fix, is_suspect in fixes.items() if is_suspect is flag]
        if concerned:
            values = (int(Flag.SUSPECT), flag * int(Flag.SUSPECT), *_by_identity(concerned))
            await conn.execute(_MARK, values)


def _by_identity(fixes: Sequence[FixKey]) -> tuple[object, ...]:
    """Return the trackers, times and seqs of fixes, and the span of the times."""
    times = [to_datetime(fix.time_us) for fix in fixes]
    trackers, seqs = [fix.tracker_id for fix in fixes], [fix.seq for fix in fixes]
    return trackers, times, seqs, min(times), max(times)


class PastFix(NamedTuple):
    """A stored fix as judging needs it, and its asset."""

    asset_id: UUID
    tracker_id: UUID
    time_us: int
    seq: int
    lat: float
    lon: float
    accuracy_m: float | None
    speed_mps: float | None
    flags: int
    received_us: int


_PAST = """
SELECT wanted.asset_id, fix.tracker_id, (extract(epoch FROM fix.time) * 1000000)::bigint, fix.seq,
       fix.lat, fix.lon, fix.accuracy_m, fix.speed_mps, fix.flags,
       (extract(epoch FROM fix.received_at) * 1000000)::bigint
  FROM unnest(%s::uuid[], %s::uuid[], %s::timestamptz[], %s::int4[], %s::timestamptz[], %s::int4[])
       AS wanted (org_id, asset_id, since, since_seq, until, until_seq)
 CROSS JOIN LATERAL (
       SELECT stored.*
         FROM tracker_assignments AS assignment
         JOIN gps_events AS stored
           ON stored.tracker_id = assignment.tracker_id
          AND stored.time >= assignment.assigned_from
          AND stored.time < coalesce(assignment.assigned_to, 'infinity')
        WHERE assignment.org_id = wanted.org_id AND assignment.asset_id = wanted.asset_id
          AND stored.time BETWEEN wanted.since AND wanted.until
          AND (stored.time, stored.seq) > (wanted.since, wanted.since_seq)
          AND (stored.time, stored.seq) <= (wanted.until, wanted.until_seq)
          AND stored.time BETWEEN %s AND %s  -- spares looking into chunks of other times
        LIMIT %s) AS fix
 ORDER BY wanted.asset_id, fix.time, fix.seq
"""


class PastSpan(NamedTuple):
    """The fixes of an asset after one of them, up to another."""

    org_id: UUID
    asset_id: UUID
    since: datetime
    since_seq: int
    until: datetime
    until_seq: int


async def past(conn: Connection, spans: Sequence[PastSpan], most: int) -> list[PastFix]:
    """Read the past by asset, in order of time and seq; of an asset not more than `most`."""
    columns = [list(column) for column in zip(*spans, strict=True)]
    edges = (min(span.since for span in spans), max(span.until for span in spans))
    cursor = await conn.execute(_PAST, (*columns, *edges, most))
    return [PastFix(*row) for row in await cursor.fetchall()]


_FOLLOWING = """
SELECT assignment.asset_id, fix.tracker_id, (extract(epoch FROM fix.time) * 1000000)::bigint,
       fix.seq, fix.lat, fix.lon, fix.accuracy_m, fix.speed_mps, fix.flags,
       (extract(epoch FROM fix.received_at) * 1000000)::bigint
  FROM tracker_assignments AS assignment
 CROSS JOIN LATERAL (
       SELECT stored.*
         FROM gps_events AS stored
        WHERE stored.tracker_id = assignment.tracker_id
          AND stored.time >= assignment.assigned_from
          AND stored.time < coalesce(assignment.assigned_to, 'infinity')
          AND stored.time >= %(time)s
          AND (stored.time, stored.seq) > (%(time)s, %(seq)s)
        ORDER BY stored.time, stored.seq LIMIT %(most)s) AS fix
 WHERE assignment.org_id = %(org_id)s AND assignment.asset_id = %(asset_id)s
   AND (assignment.assigned_to IS NULL OR assignment.assigned_to > %(time)s)
 ORDER BY fix.time, fix.seq LIMIT %(most)s
"""


async def following(
    conn: Connection, org_id: UUID, asset_id: UUID, after: tuple[datetime, int], most: int
) -> list[PastFix]:
    """Return the next fixes of an asset after the one of this time and seq, in order; at most
    `most`.
    """
    time, seq = after
    values = {"org_id": org_id, "asset_id": asset_id, "time": time, "seq": seq, "most": most}
    cursor = await conn.execute(_FOLLOWING, values)
    return [PastFix(*row) for row in await cursor.fetchall()]


@cache
def _layout(known: int) -> tuple[np.dtype[np.void], bytes]:
    """Return the dtype of a row with this pattern, without `attributes`, and such a row, lengths
    set.
    """
    fields: list[tuple[str, str]] = [("fields", ">i2")]
    lengths: dict[str, int] = {"fields": _FIELDS}
    for name, kind in _REQUIRED + _OPTIONAL:
        present = name not in OPTIONAL_COLUMNS or bool(known & OPTIONAL_COLUMNS[name])
        fields.append((name + "_length", ">i4"))
        lengths[name + "_length"] = np.dtype(kind).itemsize if present else -1
        if present:
            fields.append((name, kind))
    dtype = np.dtype(fields)
    blank = np.zeros(1, dtype)
    for name, value in lengths.items():
        blank[name] = value
    return dtype, blank.tobytes()


def _pack(batch: FixBatch, owners: Owners) -> list[bytes]:
    pattern = batch.rows["known"].astype(np.int16)
    if batch.attributes:
        pattern[list(batch.attributes)] |= 0x100
    parts: list[bytes] = []
    for value in np.unique(pattern):
        positions = np.flatnonzero(pattern == value)
        rows = _pack_rows(batch, owners, positions, int(value) & 0xFF)
        if value & 0x100:
            parts.extend(_with_attributes(rows, positions, batch))
        else:
            parts.append(_with_null(rows))
    return parts


def _pack_rows(
    batch: FixBatch, owners: Owners, positions: NDArray[np.intp], known: int
) -> NDArray[np.void]:
    dtype, blank = _layout(known)
    packed = np.frombuffer(bytearray(blank * len(positions)), dtype)
    rows = batch.rows if len(positions) == len(batch) else batch.rows[positions]
    packed["org_id"] = owners.org_id[positions]
    packed["tracker_id"] = owners.tracker_id[positions]
    packed["time"] = rows["time_us"] - POSTGRES_EPOCH_US
    packed["received_at"] = owners.received_us[positions] - POSTGRES_EPOCH_US
    for name in ("seq", "lat", "lon", "flags"):
        packed[name] = rows[name]
    for name, _ in _OPTIONAL:
        if known & OPTIONAL_COLUMNS[name]:
            packed[name] = rows[name]
    return packed


def _with_null(rows: NDArray[np.void]) -> bytes:
    """Return the rows, each with the length -1 for `attributes` behind it."""
    size = rows.dtype.itemsize
    ended = np.full((len(rows), size + 4), 0xFF, np.uint8)
    ended[:, :size] = rows.view(np.uint8).reshape(len(rows), size)
    return ended.tobytes()


def _with_attributes(
    rows: NDArray[np.void], positions: NDArray[np.intp], batch: FixBatch
) -> list[bytes]:
    parts: list[bytes] = []
    for row, position in zip(rows, positions.tolist(), strict=True):
        text = _JSONB_VERSION + batch.attributes[position]
        parts += (row.tobytes(), len(text).to_bytes(4, "big"), text)
    return parts
