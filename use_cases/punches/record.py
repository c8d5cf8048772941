"""The record of punches: judged by the evidence of now, stored once, told by an event.

    recorded = await record(conn, punches)

Ingest and the API call it in a transaction of their own, as their own roles. The employees are
locked, so the punches of one employee are judged one after the other, whichever way they come: each
sees those before. A punch that is stored already stays as it was judged.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import NamedTuple
from uuid import UUID

from db.core.connect import Connection
from db.history import events
from db.history.events import Event
from db.hours.punches import PunchTimes
from db.punches import rows
from db.punches.evidence import (
    KnownPlace,
    PunchSender,
    PunchTerms,
    lock_employees,
    places_of_employees,
    places_of_machines,
    senders,
)
from db.punches.rows import Fate, NewPunch, PunchRow, Recorded
from db.punches.sites import NearZone, PunchPlace, near_zones
from geofence.punches.claim import (
    ClaimedPunch,
    Evidence,
    PunchSite,
    TimedPosition,
    position,
)
from geofence.punches.verdict import judge_punch
from telemetry.times import to_datetime
from use_cases.hours.derive import derive
from use_cases.punches.judged_rows import events_of, row_of

MAX_PUNCHES_PER_DAY = 500
"""Of an employee, by the day (UTC) of receipt: a phone may hold those of weeks."""


async def record(conn: Connection, punches: Sequence[NewPunch]) -> list[Recorded]:
    """Judge and store punches, write the events of those that are new, and derive their shifts.

    Returns the end of each, in their order; only those that are STORED or KNOWN are kept. Punches
    of one employee are judged in the order in which they are given.
    """
    if not punches:
        return []
    known = await _known(conn, punches)
    fates = _fates(known)
    fresh = [n for n, fate in enumerate(fates) if fate == Fate.STORED]
    if fresh:
        judged = _judged(known, await _evidence(conn, known, fresh))
        await rows.insert(conn, [one.row for one in judged])
        await events.insert(conn, [event for one in judged for event in one.events])
        await rows.insert_evidence(conn, [(one.row, one.nearest_s) for one in judged])
        await derive(conn, _credited([one.row for one in judged]))
    return [Recorded(one, fate) for one, fate in zip(known.ids, fates, strict=True)]


def _credited(rows: Sequence[PunchRow]) -> list[PunchTimes]:
    """Return by employee the credited times of punches, as one time that holds them all."""
    times: dict[tuple[UUID, UUID], list[datetime]] = defaultdict(list)
    for row in rows:
        times[row.org_id, row.employee_id].append(row.pay_time)
    return [PunchTimes(*employee, min(at), max(at)) for employee, at in times.items()]


# Facts -----------------------------------------------------------------------------------------


class _Known(NamedTuple):
    """Punches by their numbers, and what is known of their employees, who are locked."""

    punches: Sequence[NewPunch]
    ids: Sequence[UUID]
    terms: Mapping[tuple[UUID, UUID], PunchTerms]
    stored: set[UUID]
    received: Mapping[tuple[UUID, datetime], int]
    last_pay_us: Mapping[UUID, int]


async def _known(conn: Connection, punches: Sequence[NewPunch]) -> _Known:
    ids = [one.id for one in punches]
    since = _earliest(punches)
    days = sorted({(*one.employee, _day(one)) for one in punches})
    keys = [(one.org_id, own) for one, own in zip(punches, ids, strict=True)]
    return _Known(
        punches,
        ids,
        terms=await lock_employees(conn, since),
        stored=await rows.stored(conn, keys),
        received=await rows.received_in_day(conn, days, MAX_PUNCHES_PER_DAY),
        last_pay_us=await rows.last_pay_us(conn, sorted(since)),
    )


def _earliest(punches: Sequence[NewPunch]) -> dict[tuple[UUID, UUID], datetime]:
    """Return the first claimed time of each employee."""
    since_us: dict[tuple[UUID, UUID], int] = {}
    for one in punches:
        since_us[one.employee] = min(one.claimed_us, since_us.get(one.employee, one.claimed_us))
    return {employee: to_datetime(at_us) for employee, at_us in since_us.items()}


def _fates(known: _Known) -> list[Fate]:
    """Decide what becomes of each punch: of two with one identity the first is stored."""
    stored, received = set(known.stored), Counter(known.received)
    fates: list[Fate] = []
    for one, own in zip(known.punches, known.ids, strict=True):
        day = (one.employee_id, _day(one))
        if one.employee not in known.terms:
            fate = Fate.UNKNOWN_EMPLOYEE
        elif own in stored:
            fate = Fate.KNOWN
        elif received[day] >= MAX_PUNCHES_PER_DAY and not one.is_released:
            fate = Fate.TOO_MANY
        else:
            fate = Fate.STORED
            stored.add(own)
            received[day] += 1
        fates.append(fate)
    return fates


def _day(one: NewPunch) -> datetime:
    at = to_datetime(one.received_us)
    return datetime(at.year, at.month, at.day, tzinfo=UTC)


# Evidence -----------------------------------------------------------------------------------------


class _Evidence(NamedTuple):
    """The evidence beside the punches that are to be stored, by their numbers."""

    numbers: Sequence[int]
    senders: Mapping[int, PunchSender]
    machines: Mapping[int, UUID]
    zones: Mapping[int, Sequence[NearZone]]
    places: Mapping[int, Sequence[TimedPosition]]
    machine_places: Mapping[int, Sequence[TimedPosition]]


async def _evidence(conn: Connection, known: _Known, fresh: Sequence[int]) -> _Evidence:
    sent_by = await senders(conn, known.punches)
    machines = {
        number: machine
        for number in fresh
        if (machine := _machine(known.punches[number], sent_by.get(number))) is not None
    }
    places = {
        number: place
        for number in fresh
        if (place := _place(known.punches[number], known.terms)) is not None
    }
    return _Evidence(
        fresh,
        sent_by,
        machines,
        zones=await near_zones(conn, places),
        places=_by_number(await places_of_employees(conn, known.punches)),
        machine_places=_by_number(await places_of_machines(conn, known.punches, machines)),
    )


def _place(one: NewPunch, terms: Mapping[tuple[UUID, UUID], PunchTerms]) -> PunchPlace | None:
    """Return the place of a punch, limited to the sites of its employee."""
    fix = _fix(one)
    if fix is None:
        return None
    at_us = one.claimed_us if fix.time_us is None else fix.time_us
    sites = terms[one.employee].sites_at(one.claimed_us)
    return PunchPlace(one.org_id, fix.lon, fix.lat, at_us, sites)


def _machine(one: NewPunch, sender: PunchSender | None) -> UUID | None:
    return one.machine_id or (sender and sender.asset_id)


def _fix(one: NewPunch) -> TimedPosition | None:
    return position(one.fix_time_us, one.lon, one.lat, one.accuracy_m)


def _by_number(places: Sequence[KnownPlace]) -> dict[int, list[TimedPosition]]:
    found: dict[int, list[TimedPosition]] = defaultdict(list)
    for number, known in places:
        found[number].append(known)
    return found


# Verdicts -----------------------------------------------------------------------------------------


class _Judged(NamedTuple):
    """events: one, or none of a break. nearest_s: see `rows.nearest_s`."""

    row: PunchRow
    events: Sequence[Event]
    nearest_s: float


def _judged(known: _Known, beside: _Evidence) -> list[_Judged]:
    """Judge punches in order; each sees those before it."""
    judged: list[_Judged] = []
    places: dict[UUID, list[TimedPosition]] = defaultdict(list)
    last_pay_us = dict(known.last_pay_us)
    for number in beside.numbers:
        one, sender = known.punches[number], beside.senders.get(number)
        terms = known.terms[one.employee]
        fix, zones = _fix(one), beside.zones.get(number, ())
        others = [*beside.places.get(number, ()), *places[one.employee_id]]
        nearest_s, previous = rows.nearest_s(fix, others)
        evidence = Evidence(
            received_us=one.received_us,
            device_is_allowed=_is_allowed(one, terms, sender),
            by_hand=one.entered_by is not None,
            previous=previous,
            previous_pay_us=last_pay_us.get(one.employee_id),
            machine=rows.nearest_s(fix, beside.machine_places.get(number, ()))[1],
        )
        verdict = judge_punch(
            ClaimedPunch(one.kind, one.claimed_us, fix, one.mock),
            [PunchSite(zone.zone_id, zone.distance_m, zone.tolerance_m) for zone in zones],
            evidence,
            terms.rules,
        )
        if verdict.verdict != "failed" and one.entered_by is None:
            last_pay_us[one.employee_id] = verdict.pay_time_us
        if verdict.verdict != "failed" and fix is not None:
            places[one.employee_id].append(fix)
        zone = next((zone for zone in zones if zone.zone_id == verdict.site), None)
        row = row_of(known.ids[number], one, fix, verdict, zone, beside.machines.get(number))
        told = events_of(row, verdict.reasons, terms, zone)
        judged.append(_Judged(row, told, nearest_s))
    return judged


def _is_allowed(one: NewPunch, terms: PunchTerms, sender: PunchSender | None) -> bool:
    """Return whether the employee may punch in this way. Whoever enters a punch by hand may."""
    if one.entered_by is not None:
        return True
    if one.tracker_id is None:
        return "phone" in terms.by
    if sender is None:
        return False
    as_terminal = sender.is_terminal and "terminal" in terms.by
    return as_terminal or (sender.is_of_employee and "tracker" in terms.by)
