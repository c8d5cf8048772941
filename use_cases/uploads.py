"""The points of an uploaded track, given to ingest by its inbox as fixes of the tracker that the
asset had at each time.

Where the asset had none, its points are those of a tracker called `upload`, one for each asset,
which is on it for just these spans. A point whose fix is stored is known; one whose time has
another fix, stored or earlier in the track, is a conflict and is not given on.
"""

import secrets
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from uuid import UUID

import msgspec
import numpy as np
from numpy.typing import NDArray

from db.core.connect import Connection
from db.core.ids import new_id
from db.core.registry_revision import bump
from db.history import inbox
from db.history.gps_events import FixKey, Place, stored
from db.history.inbox import NewMessage
from db.resources import trackers
from db.resources.quotas import check_room
from db.resources.trackers import Tracker, TrackerSpan
from operations.jobs import Fault, Piece
from telemetry.fix import FixBatch, Flag
from telemetry.formats.encode import encode_json
from telemetry.ids import format_id
from telemetry.times import format_time, to_datetime
from telemetry.tracks import TrackFormat

_SECRET_BYTES = 32
_NO_TRACKER = "The asset had no tracker at that time."
_REVOKED = "The tracker that the asset had at that time is revoked."
_CONFLICT = "Another fix of that time is stored."


class UploadedFile(msgspec.Struct, array_like=True, frozen=True):
    """What a job reads of an upload. webhooks: whether endpoints get its events."""

    form: TrackFormat
    content: bytes
    webhooks: bool = False


async def cover(conn: Connection, asset_id: UUID, times_us: NDArray[np.int64]) -> None:
    """Put the tracker for uploads on the asset wherever it had none. times_us: of all points, in
    order, shape (n,).

    Raises QuotaExceeded, and psycopg.errors.ExclusionViolation where that tracker is elsewhere.
    """
    if not _gaps(await trackers.spans_of_asset(conn, asset_id), times_us):
        return
    revision, at = await bump(conn)  # from now on nobody else assigns
    external_id = f"upload:{format_id('ast', asset_id)}"
    tracker_id = await trackers.find_by_external_id(conn, external_id)
    if tracker_id is None:
        await check_room(conn, "trackers")
        tracker_id = new_id()
        row = Tracker(tracker_id, "upload", external_id, False, None, None, None, at, at)
        await trackers.insert(conn, row, secrets.token_urlsafe(_SECRET_BYTES), revision)
    for since_us, until_us in _gaps(await trackers.spans_of_asset(conn, asset_id), times_us):
        await trackers.add_past_assignment(
            conn,
            tracker_id=tracker_id,
            asset_id=asset_id,
            span=(to_datetime(since_us), to_datetime(until_us)),
            revision=revision,
        )


def _gaps(spans: Sequence[TrackerSpan], times_us: NDArray[np.int64]) -> list[tuple[int, int]]:
    """Return [since, until) of the points between spans, one for each gap that has any."""
    if not spans:
        return [(int(times_us[0]), int(times_us[-1]) + 1)] if len(times_us) else []
    place = np.searchsorted([span.since_us for span in spans], times_us, side="right") - 1
    ends_us = np.array([span.until_us for span in spans])
    is_free = (place < 0) | (times_us >= ends_us[np.maximum(place, 0)])
    return [
        (int(of_gap[0]), int(of_gap[-1]) + 1)
        for gap in np.unique(place[is_free]).tolist()
        if len(of_gap := times_us[is_free & (place == gap)])
    ]


async def give(
    conn: Connection, org_id: UUID, asset_id: UUID, points: FixBatch, *, webhooks: bool
) -> Piece:
    """Put points, which are in order of time, into the inbox, and return what came of them.

    webhooks: whether endpoints get the events of the points.
    """
    flags = Flag.UPLOADED if webhooks else Flag.UPLOADED | Flag.QUIET
    spans = await trackers.spans_of_asset(conn, asset_id)
    faults: list[Fault] = []
    sent = known = conflicts = 0
    for span, rows in _by_span(spans, points):
        if span is None or span.is_revoked:
            message = _NO_TRACKER if span is None else _REVOKED
            faults += [_fault(points, row, message) for row in rows]
            continue
        keys = [FixKey(span.tracker_id, *_identity(points, row)) for row in rows]
        places = await stored(conn, keys)
        fresh: list[int] = []
        for row, key in zip(rows, keys, strict=True):
            place = Place(float(points.rows["lat"][row]), float(points.rows["lon"][row]))
            other = places.setdefault(key, place)
            if other is place:
                fresh.append(row)
            elif other.is_elsewhere(place):
                conflicts += 1
                faults.append(_fault(points, row, _CONFLICT))
            else:
                known += 1
        if fresh:
            topic = f"trackers/{format_id('trk', span.tracker_id)}/fixes"
            payload = encode_json(points.take(np.array(fresh)))
            await inbox.put(conn, NewMessage(org_id, topic, payload, fix_flags=flags))
            sent += len(fresh)
    return Piece(len(points), sent, known, conflicts, faults)


def _identity(points: FixBatch, row: int) -> tuple[int, int]:
    return int(points.rows["time_us"][row]), int(points.rows["seq"][row])


def _fault(points: FixBatch, row: int, message: str) -> Fault:
    return Fault(message, time=format_time(int(points.rows["time_us"][row])))


def _by_span(
    spans: Sequence[TrackerSpan], points: FixBatch
) -> Iterator[tuple[TrackerSpan | None, list[int]]]:
    """Yield the rows that fall into each span, and those that fall into none."""
    begins_us = [span.since_us for span in spans]
    found: dict[int | None, list[int]] = {}
    for row, time_us in enumerate(points.rows["time_us"].tolist()):
        place = bisect_right(begins_us, time_us) - 1
        is_within = place >= 0 and time_us < spans[place].until_us
        found.setdefault(place if is_within else None, []).append(row)
    for place, rows in found.items():
        yield (None if place is None else spans[place]), rows
