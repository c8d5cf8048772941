"""Rows that ingest and the sequencer would have written, put there by hand."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from db.core.ids import new_id
from telemetry.ids import format_id, parse_id
from tests.api.running import Organization, RunningApi

START = datetime(2026, 3, 1, 12, tzinfo=UTC)


def minute(number: float) -> datetime:
    """Return a time this many minutes into the story."""
    return START + timedelta(minutes=number)


def text(time: datetime) -> str:
    """Write a time as the API writes whole seconds."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass(frozen=True, slots=True)
class Carried:
    """An asset with a tracker on it since long ago."""

    asset_id: str
    tracker_id: str

    @property
    def tracker(self) -> UUID:
        return parse_id("trk", self.tracker_id)


async def carried(org: Organization, name: str = "Truck") -> Carried:
    """Create an asset that carries a tracker, through the API."""
    asset = await org.admin.post("/v1/assets", {"name": name})
    tracker = await org.admin.post(
        "/v1/trackers",
        {"name": name, "asset_id": asset.json["id"], "assigned_from": "2020-01-01T00:00:00Z"},
    )
    return Carried(asset.json["id"], tracker.json["id"])


def store_connection(
    api: RunningApi,
    org: Organization,
    tracker_id: str,
    *,
    lease_s: float | None,
    address: str = "192.0.2.7",
    shared_at: datetime | None = None,
) -> None:
    """Store a connection since START. lease_s: of its listener; None: the connection has ended."""
    listener_id = None if lease_s is None else new_id()
    api.sql(
        "INSERT INTO device_connections VALUES (%s, %s, %s, %s, 4, %s, NULL, %s)",
        org.org_id,
        parse_id("trk", tracker_id),
        listener_id,
        address,
        START,
        shared_at,
    )
    if lease_s is not None:
        expires_at = datetime.now(UTC) + timedelta(seconds=lease_s)
        api.sql("INSERT INTO listeners VALUES (%s, %s)", listener_id, expires_at)


def store_session(api: RunningApi, org: Organization, tracker_id: str) -> None:
    """Store a session that the tracker can go on with."""
    api.sql(
        "INSERT INTO device_sessions VALUES (%s, %s, 'box', true, now() + interval '1 day')",
        org.org_id,
        parse_id("trk", tracker_id),
    )


def store_fixes(
    api: RunningApi, org: Organization, tracker_id: str, times: Iterable[datetime], **columns: Any
) -> None:
    """Store fixes of one tracker, seq 0."""
    values = {"lat": 52.5, "lon": 13.4, "received_at": minute(0), **columns}
    names = ", ".join(values)
    places = ", ".join(["%s"] * len(values))
    for time in times:
        api.sql(
            f"INSERT INTO gps_events (org_id, tracker_id, time, seq, {names})"
            f" VALUES (%s, %s, %s, 0, {places})",
            org.org_id,
            parse_id("trk", tracker_id),
            time,
            *values.values(),
        )


def store_visit(
    api: RunningApi,
    org: Organization,
    who: Carried,
    zone_id: str,
    entered_at: datetime,
    left_at: datetime | None = None,
) -> str:
    """Return a visit; still open without `left_at`."""
    visit = new_id()
    api.sql(
        """
        INSERT INTO visits (org_id, id, asset_id, zone_id, zone_version, tracker_id, first_fix_time,
                            first_fix_seq, entered_at, entry_lat, entry_lon, entry_cause, left_at,
                            exit_lat, exit_lon, exit_cause)
        VALUES (%s, %s, %s, %s, 1, %s, %s, 0, %s, 52.5, 13.4, 'moved', %s, %s, %s, %s)
        """,
        org.org_id,
        visit,
        parse_id("ast", who.asset_id),
        parse_id("zon", zone_id),
        who.tracker,
        entered_at,
        entered_at,
        left_at,
        *((52.6, 13.5, "moved") if left_at else (None, None, None)),
    )
    return format_id("vis", visit)


def store_refusal(
    api: RunningApi,
    org: Organization,
    tracker_id: str,
    payload: bytes | None = b"hello",
    at: datetime = START,
    *,
    reason: str = "undecodable",
    positions: Sequence[int] = (),
) -> str:
    """Return a row of quarantine; `payload` None: it was too large to be kept."""
    row = new_id()
    api.sql(
        """
        INSERT INTO quarantine (org_id, id, tracker_id, digest, topic, reason, detail, positions,
                                payload, payload_bytes, payload_sha256, first_received_at,
                                last_received_at)
        VALUES (%s, %s, %s, sha256(%s), %s, %s, 'not JSON', %s, %s, %s, sha256(%s), %s, %s)
        """,
        org.org_id,
        row,
        parse_id("trk", tracker_id),
        row.bytes,
        f"trackers/{tracker_id}/fixes",
        reason,
        list(positions),
        payload,
        100_000 if payload is None else len(payload),
        payload or b"",
        at,
        at,
    )
    return format_id("qua", row)


def store_unknown(
    api: RunningApi,
    org: Organization,
    external_id: str | None = None,
    *,
    tracker_id: str | None = None,
    reason: str = "not_registered",
    gateway_id: str | None = None,
    at: datetime = START,
    place: tuple[float, float] | None = None,
) -> str:
    """Return a device that was not let in: one that a gateway names, or a tracker."""
    row = new_id()
    api.sql(
        """
        INSERT INTO unknown_devices (org_id, id, external_id, tracker_id, reason, gateway_id,
                                     protocol, format, seen, lat, lon, position_time,
                                     first_seen_at, last_seen_at)
        VALUES (%s, %s, %s, %s, %s, %s, 'http', 'traccar', 2, %s, %s, %s, %s, %s)
        """,
        org.org_id,
        row,
        external_id,
        None if tracker_id is None else parse_id("trk", tracker_id),
        reason,
        None if gateway_id is None else parse_id("gtw", gateway_id),
        *(place or (None, None)),
        None if place is None else at,
        at,
        at,
    )
    return format_id("unk", row)


def store_event(
    api: RunningApi,
    org: Organization,
    seq: int | None,
    type_: str = "asset.geofence_breach",
    data: dict[str, Any] | None = None,
) -> str:
    """Return an event; without `seq` the sequencer has not seen it yet."""
    event = new_id()
    api.sql(
        "INSERT INTO events (org_id, id, type, occurred_at, created_at, data, seq)"
        " VALUES (%s, %s, %s, %s, %s, %s, %s)",
        org.org_id,
        event,
        type_,
        minute(seq or 0),
        minute(seq or 0),
        json.dumps(data or {}),
        seq,
    )
    if seq is not None:
        api.sql(
            "UPDATE organizations SET event_seq = greatest(event_seq, %s) WHERE org_id = %s",
            seq,
            org.org_id,
        )
        api.sql(
            "INSERT INTO event_subjects SELECT %s, subject, %s"
            "  FROM subjects_of_event(%s::json) AS named (subject)",
            org.org_id,
            seq,
            json.dumps(data or {}),
        )
    return format_id("evt", event)
