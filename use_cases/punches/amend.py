"""Amended punches: verdicts that a late fix or a corrected job site makes others.

What is to be judged again was noted (`db.punches.amendments`). A late fix bears on the rule
`teleport` alone, and a job site on the rules of the place: the other reasons stay as they were, and
so does the time that counts for pay. A verdict that comes out as it was writes nothing. One that
does not is kept in `punch_verdicts`, the punch gets the new one with the next revision, and the
event `punch.amended` tells it.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

import msgspec

from db.core.connect import Connection
from db.history import events
from db.history.events import Event
from db.hours.punches import PunchTimes
from db.punches import amendments
from db.punches.amendments import JudgedPunch, PunchKey
from db.punches.evidence import PunchTerms, lock_employees, places_of_employees
from db.punches.rows import nearest_s
from db.punches.sites import NearZone, PunchPlace, PunchSites, near_zones
from geofence.event_data.punches import PunchAmendment
from geofence.punches.claim import (
    PUNCH_AMENDED,
    AmendmentCause,
    PunchReason,
    PunchSite,
    TimedPosition,
    amendment_event_id,
)
from geofence.punches.verdict import with_leap, with_sites, worst
from telemetry.ids import format_id
from telemetry.times import format_time, to_us
from use_cases.hours.derive import derive

MOST_PUNCHES = 200
"""The most punches that one transaction judges again."""


class AmendedPunches(NamedTuple):
    """The end of one transaction: how many punches it judged again, and how many are others now."""

    judged: int
    amended: int


async def amend_outdated(conn: Connection, keys: Sequence[PunchKey]) -> AmendedPunches:
    """Judge those of the punches again, in one transaction, that a late fix bears on."""
    async with conn.transaction():
        outdated = await amendments.lock_outdated(conn, keys)
        amended = await _amend(conn, outdated, "late_fix") if outdated else 0
        return AmendedPunches(len(outdated), amended)


async def amend_correction(conn: Connection, org_id: UUID) -> AmendedPunches:
    """Judge up to MOST_PUNCHES again, in one transaction, since job sites of the organization were
    corrected.
    """
    async with conn.transaction():
        job = await amendments.lock_correction(conn, org_id)
        if job is None:
            return AmendedPunches(0, 0)
        found = await amendments.corrected(conn, job, MOST_PUNCHES)
        amended = await _amend(conn, [one[:2] for one in found], "jobsite_changed") if found else 0
        if len(found) == MOST_PUNCHES:
            _, last_id, last_at = found[-1]
            await amendments.go_on_behind(conn, job.org_id, last_at, last_id)
        else:
            await amendments.end_correction(conn, job.org_id)
        return AmendedPunches(len(found) or 1, amended)


async def _amend(conn: Connection, keys: Sequence[PunchKey], cause: AmendmentCause) -> int:
    """Judge punches again, and write what differs. Returns how many differ."""
    terms = await lock_employees(conn, await amendments.first_claims(conn, keys))
    stored = await amendments.judged_punches(conn, keys)
    judge = _beside_fixes if cause == "late_fix" else _at_jobsites
    judged = await judge(conn, stored, terms)
    changed = [
        (old, new) for old, new in zip(stored, judged, strict=True) if _told(old) != _told(new)
    ]
    if changed:
        await amendments.replace_verdicts(conn, changed, cause)
        told = [_event(old, new, cause, terms[old.employee].name) for old, new in changed]
        await events.insert(conn, told)
        await derive(conn, _credited([old for old, _ in changed]))
    return len(changed)


def _credited(punches: Sequence[JudgedPunch]) -> list[PunchTimes]:
    times: dict[tuple[UUID, UUID], list[datetime]] = {}
    for punch in punches:
        times.setdefault(punch.employee, []).append(punch.pay_time)
    return [PunchTimes(*employee, min(at), max(at)) for employee, at in times.items()]


def _told(punch: JudgedPunch) -> object:
    """Return the facts of a verdict: where they differ, it is amended."""
    rules = sorted((one["rule"], one["makes"]) for one in json.loads(punch.reasons))
    return punch.verdict, rules, punch.zone_id, punch.site_id


async def _beside_fixes(
    conn: Connection, punches: Sequence[JudgedPunch], terms: Mapping[tuple[UUID, UUID], PunchTerms]
) -> list[JudgedPunch]:
    """Judge by the places of the employees that are next in time to the fixes, as known now."""
    places: dict[int, list[TimedPosition]] = {}
    known_places = await places_of_employees(conn, [punch.as_new for punch in punches])
    for number, place in known_places:
        places.setdefault(number, []).append(place)
    judged: list[JudgedPunch] = []
    known: list[tuple[UUID, UUID, float]] = []
    for number, punch in enumerate(punches):
        claim = punch.claim
        apart_s, previous = nearest_s(claim.fix, places.get(number, ()))
        known.append((punch.org_id, punch.id, apart_s))
        reasons = with_leap(_reasons(punch), claim, previous, terms[punch.employee].rules)
        judged.append(_with_reasons(punch, reasons))
    await amendments.note_evidence(conn, known)
    return judged


async def _at_jobsites(
    conn: Connection, punches: Sequence[JudgedPunch], terms: Mapping[tuple[UUID, UUID], PunchTerms]
) -> list[JudgedPunch]:
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
    judged: list[JudgedPunch] = []
    for number, punch in enumerate(punches):
        found = {zone.zone_id: zone for zone in zones.get(number + len(punches), ())}
        found |= {zone.zone_id: zone for zone in zones.get(number, ())}
        judged.append(_at(punch, list(found.values()), terms[punch.employee]))
    return judged


def _at(punch: JudgedPunch, zones: Sequence[NearZone], terms: PunchTerms) -> JudgedPunch:
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


def _reasons(punch: JudgedPunch) -> list[PunchReason]:
    return [PunchReason(**reason) for reason in json.loads(punch.reasons)]


def _with_reasons(punch: JudgedPunch, reasons: Sequence[PunchReason]) -> JudgedPunch:
    text = json.dumps([asdict(reason) for reason in reasons])
    return punch._replace(verdict=worst(reasons), reasons=text, revision=punch.revision + 1)


def _event(old: JudgedPunch, new: JudgedPunch, cause: AmendmentCause, employee_name: str) -> Event:
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
