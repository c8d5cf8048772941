"""AmendedPunches punches: verdicts that a late fix or a corrected job site makes others.

    await note_new_fixes(conn, fixes)      # in the transaction that stores the fixes
    while await amend_some(conn): ...      # afterwards, a bounded number in each transaction

What is to be judged again is noted in the transaction that causes it, so a process that is killed
loses nothing of it. A late fix bears on the rule `teleport` alone, and a job site on the rules of
the place: the other reasons stay as they were, and so does the time that counts for pay. A verdict
that comes out as it was writes nothing. One that does not is kept in `punch_verdicts`, the punch
gets the new one with the next revision, and the event `punch.amended` tells it.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

import msgspec
from psycopg import sql
from psycopg.rows import args_row

from db.core.connect import Connection
from db.core.exchange import Exchange
from db.history import events
from db.history.events import Event
from db.hours import shifts
from db.hours.punches import PunchTimes
from db.punches.evidence import PunchTerms, lock_employees, places_of_employees
from db.punches.rows import WORK_ORDER, NewPunch, nearest_s
from db.punches.sites import NearZone, PunchPlace, PunchSites, near_zones
from geofence.event_data.punches import PunchAmendment
from geofence.punches.claim import (
    PUNCH_AMENDED,
    AmendmentCause,
    ClaimedPunch,
    PunchReason,
    PunchSite,
    TimedPosition,
    amendment_event_id,
    position,
)
from geofence.punches.verdict import with_leap, with_sites, worst
from telemetry.ids import format_id
from telemetry.punch import PunchKind
from telemetry.times import format_time, to_us

MOST_PUNCHES = 200
"""The punches that one transaction judges again."""


# What is noted ------------------------------------------------------------------------------------


class NewFixes(NamedTuple):
    """The times of fixes of a tracker that were just stored, the first and the last."""

    org_id: UUID
    tracker_id: UUID
    first: datetime
    last: datetime


_NOTE = """
UPDATE punch_evidence AS known SET is_outdated = true
  FROM unnest(%s::uuid[], %s::uuid[], %s::timestamptz[], %s::timestamptz[])
       AS fix (org_id, tracker_id, first, last)
  JOIN tracker_assignments AS assigned
    ON assigned.org_id = fix.org_id AND assigned.tracker_id = fix.tracker_id
   AND assigned.employee_id IS NOT NULL AND assigned.assigned_from <= fix.last
   AND (assigned.assigned_to IS NULL OR assigned.assigned_to > fix.first)
 WHERE known.org_id = fix.org_id AND known.employee_id = assigned.employee_id
   AND known.fix_time BETWEEN fix.first - interval '1 day' AND fix.last + interval '1 day'
   AND known.fix_time - make_interval(secs => known.nearest_s) < fix.last
   AND known.fix_time + make_interval(secs => known.nearest_s) > fix.first
   AND NOT known.is_outdated
"""


async def note_new_fixes(conn: Connection, fixes: Sequence[NewFixes]) -> None:
    """Note the punches beside which these fixes are new evidence. fixes: of any trackers that are
    on no asset.

    The caller has not locked any employee yet in its transaction: `amend_some` locks the punches
    first.
    """
    if fixes:
        await conn.execute(_NOTE, [list(column) for column in zip(*fixes, strict=True)])


# What is judged again -----------------------------------------------------------------------------

_OUTDATED = """
SELECT org_id, punch_id FROM punch_evidence WHERE is_outdated
 ORDER BY org_id, punch_id LIMIT %s FOR NO KEY UPDATE SKIP LOCKED
"""
_CORRECTION = """
SELECT org_id, next_at, next_id FROM jobsite_corrections
 ORDER BY worked_at LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED
"""
_BEHIND = """
SELECT org_id, id, coalesce(fix_time, claimed_at) FROM punches
 WHERE org_id = %s AND lat IS NOT NULL AND (coalesce(fix_time, claimed_at), id) > (%s, %s)
 ORDER BY coalesce(fix_time, claimed_at), id LIMIT %s
"""
_GO_ON = """
UPDATE jobsite_corrections SET next_at = %s, next_id = %s, worked_at = clock_timestamp()
 WHERE org_id = %s
"""


class AmendedPunches(NamedTuple):
    """The end of one transaction: how many punches it judged again, and how many are others now."""

    judged: int
    amended: int


async def amend_some(conn: Connection) -> AmendedPunches:
    """Judge again, in one transaction, up to MOST_PUNCHES that a late fix bears on, else punches
    of the organization whose turn it is, of which job sites were corrected.
    """
    async with conn.transaction():
        cursor = await conn.execute(_OUTDATED, (MOST_PUNCHES,))
        outdated = await cursor.fetchall()
        if outdated:
            return AmendedPunches(len(outdated), await _amend(conn, outdated, "late_fix"))
        return await _amend_correction(conn)


async def _amend_correction(conn: Connection) -> AmendedPunches:
    job = await (await conn.execute(_CORRECTION)).fetchone()
    if job is None:
        return AmendedPunches(0, 0)
    org_id, next_at, next_id = job
    cursor = await conn.execute(_BEHIND, (org_id, next_at, next_id, MOST_PUNCHES))
    found = await cursor.fetchall()
    amended = await _amend(conn, [one[:2] for one in found], "jobsite_changed") if found else 0
    if len(found) == MOST_PUNCHES:
        _, last_id, last_at = found[-1]
        await conn.execute(_GO_ON, (last_at, last_id, org_id))
    else:
        await conn.execute("DELETE FROM jobsite_corrections WHERE org_id = %s", (org_id,))
    return AmendedPunches(len(found) or 1, amended)


class _Stored(NamedTuple):
    """A punch as it is stored. reasons: a JSON text."""

    org_id: UUID
    id: UUID
    employee_id: UUID
    kind: PunchKind
    claimed_at: datetime
    received_at: datetime
    tracker_id: UUID | None
    entered_by: UUID | None
    fix_time: datetime | None
    lat: float | None
    lon: float | None
    accuracy_m: float | None
    mock: bool
    pay_time: datetime
    revision: int
    review: str | None
    verdict: str
    reasons: str
    zone_id: UUID | None
    zone_version: int | None
    site_id: UUID | None
    distance_m: float | None
    margin_m: float | None

    @property
    def employee(self) -> tuple[UUID, UUID]:
        return self.org_id, self.employee_id

    @property
    def as_new(self) -> NewPunch:
        """The punch as it came."""
        return NewPunch(
            org_id=self.org_id,
            employee_id=self.employee_id,
            kind=self.kind,
            claimed_us=to_us(self.claimed_at),
            received_us=to_us(self.received_at),
            tracker_id=self.tracker_id,
            fix_time_us=None if self.fix_time is None else to_us(self.fix_time),
            lat=self.lat,
            lon=self.lon,
            accuracy_m=self.accuracy_m,
            mock=self.mock,
        )

    @property
    def claim(self) -> ClaimedPunch:
        new = self.as_new
        fix = position(new.fix_time_us, new.lon, new.lat, new.accuracy_m)
        return ClaimedPunch(new.kind, new.claimed_us, fix, new.mock)

    @property
    def told(self) -> object:
        """The facts of the verdict: where they differ, it is amended."""
        rules = sorted((one["rule"], one["makes"]) for one in json.loads(self.reasons))
        return self.verdict, rules, self.zone_id, self.site_id


_READ = sql.SQL(
    "SELECT {} FROM punches JOIN unnest(%s::uuid[], %s::uuid[]) AS wanted (org_id, id)"
    " USING (org_id, id) ORDER BY org_id, id"
).format(
    sql.SQL(", ").join(
        sql.SQL("reasons::text") if name == "reasons" else sql.Identifier(name)
        for name in _Stored._fields
    )
)
_EMPLOYEES = """
SELECT org_id, employee_id, min(claimed_at) FROM punches
  JOIN unnest(%s::uuid[], %s::uuid[]) AS wanted (org_id, id) USING (org_id, id)
 GROUP BY org_id, employee_id
"""


async def _amend(conn: Connection, keys: Sequence[tuple[UUID, UUID]], cause: AmendmentCause) -> int:
    """Judge punches again, and write what differs. Returns how many differ."""
    columns = [list(column) for column in zip(*keys, strict=True)]
    employees = await (await conn.execute(_EMPLOYEES, columns)).fetchall()
    exchange = Exchange(conn)
    locked = lock_employees(exchange, {(org_id, own): at for org_id, own, at in employees})
    await exchange.send()
    terms = locked.value
    async with conn.cursor(row_factory=args_row(_Stored)) as cursor:
        stored = await (await cursor.execute(_READ, columns)).fetchall()
    judge = _beside_fixes if cause == "late_fix" else _at_jobsites
    judged = await judge(conn, stored, terms)
    changed = [(old, new) for old, new in zip(stored, judged, strict=True) if old.told != new.told]
    if changed:
        await _write(conn, changed, cause)
        told = [_event(old, new, cause, terms[old.employee].name) for old, new in changed]
        await events.insert(conn, told)
        await shifts.derive(exchange, _credited([old for old, _ in changed]))
    return len(changed)


def _credited(punches: Sequence[_Stored]) -> list[PunchTimes]:
    times: dict[tuple[UUID, UUID], list[datetime]] = {}
    for punch in punches:
        times.setdefault(punch.employee, []).append(punch.pay_time)
    return [PunchTimes(*employee, min(at), max(at)) for employee, at in times.items()]


_KNOWN = """
UPDATE punch_evidence AS known SET nearest_s = fresh.nearest_s, is_outdated = false
  FROM unnest(%s::uuid[], %s::uuid[], %s::float8[]) AS fresh (org_id, punch_id, nearest_s)
 WHERE known.org_id = fresh.org_id AND known.punch_id = fresh.punch_id
"""


async def _beside_fixes(
    conn: Connection, punches: Sequence[_Stored], terms: Mapping[tuple[UUID, UUID], PunchTerms]
) -> list[_Stored]:
    """Judge by the places of the employees that are next in time to the fixes, as known now."""
    exchange, places = Exchange(conn), dict[int, list[TimedPosition]]()
    known_places = places_of_employees(exchange, [punch.as_new for punch in punches])
    await exchange.send()
    for number, place in known_places.value:
        places.setdefault(number, []).append(place)
    judged: list[_Stored] = []
    known: list[tuple[UUID, UUID, float]] = []
    for number, punch in enumerate(punches):
        claim = punch.claim
        apart_s, previous = nearest_s(claim.fix, places.get(number, ()))
        known.append((punch.org_id, punch.id, apart_s))
        reasons = with_leap(_reasons(punch), claim, previous, terms[punch.employee].rules)
        judged.append(_with_reasons(punch, reasons))
    await conn.execute(_KNOWN, [list(column) for column in zip(*known, strict=True)])
    return judged


async def _at_jobsites(
    conn: Connection, punches: Sequence[_Stored], terms: Mapping[tuple[UUID, UUID], PunchTerms]
) -> list[_Stored]:
    """Judge by the zones that were in force, as known now.

    The site of the verdict so far still counts: the work order that led there may be done.
    """
    asked: dict[int, PunchPlace] = {}
    for number, punch in enumerate(punches):
        claim = punch.claim
        if claim.fix is None:
            continue
        at_us = claim.time_us if claim.fix.time_us is None else claim.fix.time_us
        sites = terms[punch.employee].sites_at(claim.time_us)
        place = PunchPlace(punch.org_id, claim.fix.lon, claim.fix.lat, at_us, sites)
        asked[number] = place
        if punch.site_id is not None:
            asked[number + len(punches)] = place._replace(
                sites=PunchSites(frozenset({punch.site_id}))
            )
    zones = await near_zones(conn, asked)
    judged: list[_Stored] = []
    for number, punch in enumerate(punches):
        found = {zone.zone_id: zone for zone in zones.get(number + len(punches), ())}
        found |= {zone.zone_id: zone for zone in zones.get(number, ())}
        judged.append(_at(punch, list(found.values()), terms[punch.employee]))
    return judged


def _at(punch: _Stored, zones: Sequence[NearZone], terms: PunchTerms) -> _Stored:
    sites = [PunchSite(zone.zone_id, zone.distance_m, zone.tolerance_m) for zone in zones]
    received_us = to_us(punch.received_at)
    reasons, site = with_sites(_reasons(punch), punch.claim, sites, received_us, terms.rules)
    zone = next((zone for zone in zones if site and zone.zone_id == site.zone), None)
    return _with_reasons(punch, reasons)._replace(
        zone_id=zone.zone_id if zone else None,
        zone_version=zone.version if zone else None,
        site_id=zone.site_id if zone else None,
        distance_m=site.distance_m if site else None,
        margin_m=site.margin_m if site else None,
    )


def _reasons(punch: _Stored) -> list[PunchReason]:
    return [PunchReason(**reason) for reason in json.loads(punch.reasons)]


def _with_reasons(punch: _Stored, reasons: Sequence[PunchReason]) -> _Stored:
    text = json.dumps([asdict(reason) for reason in reasons])
    return punch._replace(verdict=worst(reasons), reasons=text, revision=punch.revision + 1)


# What is written ----------------------------------------------------------------------------------

_KEEP = """
INSERT INTO punch_verdicts (org_id, punch_id, revision, cause, verdict, reasons, zone_id,
                            zone_version, site_id, distance_m, margin_m)
SELECT org_id, id, revision, %s, verdict, reasons, zone_id, zone_version, site_id, distance_m,
       margin_m
  FROM punches JOIN unnest(%s::uuid[], %s::uuid[]) AS amended (org_id, id) USING (org_id, id)
"""
_VERDICT = (
    "verdict", "reasons", "zone_id", "zone_version", "site_id", "distance_m", "margin_m",
    "revision",
)  # fmt: skip
# The work order follows the site, as when the punch was recorded.
_REPLACE = sql.SQL(
    """
    UPDATE punches AS stored
       SET ({columns}) = ROW ({fresh}),
           work_order_id = CASE
               WHEN (stored.site_id, stored.verdict = 'failed')
                    IS DISTINCT FROM (punch.site_id, punch.verdict = 'failed') THEN {work_order}
               ELSE stored.work_order_id END
      FROM jsonb_populate_recordset(NULL::punches, %s::jsonb) AS punch
     WHERE stored.org_id = punch.org_id AND stored.id = punch.id
    """
).format(
    columns=sql.SQL(", ").join(map(sql.Identifier, _VERDICT)),
    fresh=sql.SQL(", ").join(sql.Identifier("punch", name) for name in _VERDICT),
    work_order=sql.SQL(WORK_ORDER),
)


async def _write(
    conn: Connection, changed: Sequence[tuple[_Stored, _Stored]], cause: AmendmentCause
) -> None:
    """Keep the verdicts that are replaced, and write the new ones."""
    keys = [[old.org_id for old, _ in changed], [old.id for old, _ in changed]]
    await conn.execute(_KEEP, (cause, *keys))
    rows: list[dict[str, Any]] = [
        {
            "org_id": new.org_id,
            "id": new.id,
            "employee_id": new.employee_id,
            "kind": new.kind,
            "claimed_at": new.claimed_at,
            **{name: getattr(new, name) for name in _VERDICT},
            "reasons": json.loads(new.reasons),
        }
        for _, new in changed
    ]
    await conn.execute(_REPLACE, (msgspec.json.encode(rows).decode(),))


def _event(old: _Stored, new: _Stored, cause: AmendmentCause, employee_name: str) -> Event:
    data = PunchAmendment(
        punch_id=format_id("pun", new.id),
        employee_id=format_id("emp", new.employee_id),
        employee_name=employee_name,
        kind=new.kind,
        claimed_at=format_time(to_us(new.claimed_at)),
        pay_time=format_time(to_us(new.pay_time)),
        revision=new.revision,
        cause=cause,
        verdict=new.verdict,
        reasons=json.loads(new.reasons),
        previous_verdict=old.verdict,
        previous_reasons=json.loads(old.reasons),
        site_id=None if new.site_id is None else format_id("sit", new.site_id),
        zone_id=None if new.zone_id is None else format_id("zon", new.zone_id),
        zone_version=new.zone_version,
        distance_m=new.distance_m,
        margin_m=new.margin_m,
        review=new.review,
    )
    event_id = amendment_event_id(new.id, new.revision)
    text = msgspec.json.encode(data).decode()
    return Event(new.org_id, event_id, PUNCH_AMENDED, new.pay_time, text)


# What replaced verdicts were ----------------------------------------------------------------------


class EarlierVerdict(NamedTuple):
    """A verdict that was replaced. cause: of the replacement."""

    revision: int
    cause: AmendmentCause
    replaced_at: datetime
    verdict: str
    reasons: Sequence[Mapping[str, Any]]
    site_id: UUID | None
    zone_id: UUID | None
    zone_version: int | None
    distance_m: float | None
    margin_m: float | None


MOST_EARLIER = 100
"""The earlier verdicts of a punch that are shown, the first ones."""


async def earlier_verdicts(conn: Connection, punch_id: UUID) -> list[EarlierVerdict]:
    """Return the verdicts of a punch that were replaced, the first one first."""
    statement = sql.SQL(
        "SELECT {} FROM punch_verdicts WHERE punch_id = %s ORDER BY revision LIMIT %s"
    )
    columns = sql.SQL(", ").join(map(sql.Identifier, EarlierVerdict._fields))
    async with conn.cursor(row_factory=args_row(EarlierVerdict)) as cursor:
        await cursor.execute(statement.format(columns), (punch_id, MOST_EARLIER))
        return await cursor.fetchall()
