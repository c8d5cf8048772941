"""The row and the event that a judged punch gives."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from db.history.events import Event
from db.punches.evidence import PunchTerms
from db.punches.rows import NewPunch, PunchRow
from db.punches.sites import NearZone
from geofence.event_data.punches import Punched
from geofence.punches.claim import EVENT_TYPES, PunchReason, TimedPosition, punch_event_id
from geofence.punches.verdict import Verdict
from telemetry.ids import format_id
from telemetry.times import format_time, to_datetime, to_us


def row_of(
    punch_id: UUID,
    one: NewPunch,
    fix: TimedPosition | None,
    verdict: Verdict,
    zone: NearZone | None,
    machine_id: UUID | None,
) -> PunchRow:
    """Return the row of a judged punch. fix: its position as it counts. zone: the best one."""
    server_us = verdict.server_time_us
    return PunchRow(
        org_id=one.org_id,
        id=punch_id,
        employee_id=one.employee_id,
        kind=one.kind,
        claimed_at=to_datetime(one.claimed_us),
        received_at=to_datetime(one.received_us),
        tracker_id=one.tracker_id,
        entered_by=one.entered_by,
        entry_reason=one.entry_reason,
        note=one.note,
        fix_time=None if one.fix_time_us is None else to_datetime(one.fix_time_us),
        lat=fix.lat if fix else None,
        lon=fix.lon if fix else None,
        accuracy_m=fix.accuracy_m if fix else None,
        mock=one.mock,
        verdict=verdict.verdict,
        reasons=msgspec.json.encode(verdict.reasons).decode(),
        zone_id=zone.zone_id if zone else None,
        zone_version=zone.version if zone else None,
        site_id=zone.site_id if zone else None,
        distance_m=verdict.distance_m,
        margin_m=verdict.margin_m,
        fix_age_s=verdict.fix_age_s,
        asset_id=machine_id,
        machine_distance_m=verdict.machine_distance_m,
        pay_time=to_datetime(verdict.pay_time_us),
        pay_time_source=verdict.pay_time_source,
        server_time=None if server_us is None else to_datetime(server_us),
        is_own_entry=one.is_own_entry,
    )


def events_of(
    row: PunchRow, reasons: Sequence[PunchReason], rights: PunchTerms, zone: NearZone | None
) -> list[Event]:
    """Return the event of a punch, at the time that counts for pay: a wrong clock does not reach
    it. A break has none.
    """
    if row.kind not in EVENT_TYPES:
        return []
    delay_s = (row.received_at - row.claimed_at).total_seconds()
    data = Punched(
        punch_id=format_id("pun", row.id),
        employee_id=format_id("emp", row.employee_id),
        employee_name=rights.name,
        tracker_id=_id("trk", row.tracker_id),
        entered_by=_id("usr", row.entered_by),
        claimed_at=_time(row.claimed_at),
        detected_at=_time(row.received_at),
        late=delay_s > rights.rules.max_clock_error_s,
        pay_time=_time(row.pay_time),
        pay_time_source=row.pay_time_source,
        server_time=None if row.server_time is None else _time(row.server_time),
        verdict=row.verdict,
        reasons=[_told(reason) for reason in reasons],
        site_id=_id("sit", row.site_id),
        zone_id=_id("zon", row.zone_id),
        zone_name=zone.name if zone else None,
        zone_version=row.zone_version,
        fix_time=None if row.fix_time is None else _time(row.fix_time),
        lat=row.lat,
        lon=row.lon,
        accuracy_m=row.accuracy_m,
        mock=row.mock,
        distance_m=row.distance_m,
        margin_m=row.margin_m,
        fix_age_s=row.fix_age_s,
        machine_id=_id("ast", row.asset_id),
        machine_distance_m=row.machine_distance_m,
    )
    text = msgspec.json.encode(data).decode()
    event_type, event_id = EVENT_TYPES[row.kind], punch_event_id(row.id)
    return [Event(row.org_id, event_id, event_type, row.pay_time, text)]


def _told(reason: PunchReason) -> dict[str, Any]:
    return {"rule": reason.rule, "makes": reason.makes, "figures": dict(reason.figures)}


def _id(prefix: str, of: UUID | None) -> str | None:
    return None if of is None else format_id(prefix, of)


def _time(at: datetime) -> str:
    return format_time(to_us(at))
