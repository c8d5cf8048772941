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
from db.hours import shifts
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
from db.punches.judged_rows import events_of, row_of
from db.punches.rows import Fate, NewPunch, PunchRow, Recorded
from db.punches.sites import NearZone, PunchPlace, near_zones
from geofence.punches.claim import (
    Claim,
    Evidence,
    PunchSite,
    TimedPosition,
    position,
)
from geofence.punches.verdict import judge_punch
from telemetry.times import to_datetime

MAX_PUNCHES_PER_DAY = 500
"""Of an employee, by the day (UTC) of receipt: a phone may hold those of weeks."""


async def record(conn: Connection, punches: Sequence[NewPunch]) -> list[Recorded]:
    """Judge and store punches, write the events of those that are new, and derive their shifts.

    Returns the end of each, in their order; only those that are STORED or KNOWN are kept. Punches
    of one employee are judged in the order in which they are given.
    """
    if not punches:
        return []
    rights = await lock_employees(conn, [one.employee for one in punches])
    fates = await _fates(conn, punches, rights)
    fresh = [one for one, fate in zip(punches, fates, strict=True) if fate == Fate.STORED]
    if fresh:
        judged = _judged(fresh, rights, await _knowledge(conn, fresh, rights))
        stored = await rows.insert_missing(conn, [one.row for one in judged])
        told = [event for one in judged if one.row.id in stored for event in one.events]
        await events.insert(conn, told)
        await rows.insert_evidence(
            conn, [(one.row, one.nearest_s) for one in judged if one.row.id in stored]
        )
        await shifts.derive(conn, _credited([one.row for one in judged if one.row.id in stored]))
    return [Recorded(one.id, fate) for one, fate in zip(punches, fates, strict=True)]


def _credited(rows: Sequence[PunchRow]) -> list[PunchTimes]:
    """Return by employee the credited times of punches, as one time that holds them all."""
    times: dict[tuple[UUID, UUID], list[datetime]] = defaultdict(list)
    for row in rows:
        times[row.org_id, row.employee_id].append(row.pay_time)
    return [PunchTimes(*employee, min(at), max(at)) for employee, at in times.items()]


async def _fates(
    conn: Connection, punches: Sequence[NewPunch], rights: Mapping[tuple[UUID, UUID], PunchTerms]
) -> list[Fate]:
    """Decide what becomes of each punch: of two with one identity the first is stored."""
    stored = await rows.stored(conn, punches)
    days = {(*one.employee, _day(one)) for one in punches if one.employee in rights}
    received = Counter(await rows.received_in_day(conn, sorted(days)) if days else {})
    fates: list[Fate] = []
    for one in punches:
        day = (one.employee_id, _day(one))
        if one.employee not in rights:
            fate = Fate.UNKNOWN_EMPLOYEE
        elif one.id in stored:
            fate = Fate.KNOWN
        elif received[day] >= MAX_PUNCHES_PER_DAY and not one.is_released:
            fate = Fate.TOO_MANY
        else:
            fate = Fate.STORED
            stored.add(one.id)
            received[day] += 1
        fates.append(fate)
    return fates


def _day(one: NewPunch) -> datetime:
    at = to_datetime(one.received_us)
    return datetime(at.year, at.month, at.day, tzinfo=UTC)


# Evidence -----------------------------------------------------------------------------------------


class _Knowledge(NamedTuple):
    """The evidence beside punches, by their numbers; last_pay_us by employee."""

    senders: Mapping[int, PunchSender]
    machines: Mapping[int, UUID]
    zones: Mapping[int, Sequence[NearZone]]
    places: Mapping[int, Sequence[TimedPosition]]
    machine_places: Mapping[int, Sequence[TimedPosition]]
    last_pay_us: dict[UUID, int]


async def _knowledge(
    conn: Connection, punches: Sequence[NewPunch], rights: Mapping[tuple[UUID, UUID], PunchTerms]
) -> _Knowledge:
    sent_by = await senders(conn, punches)
    machines = {
        number: machine
        for number, one in enumerate(punches)
        if (machine := _machine(one, sent_by.get(number))) is not None
    }
    questions = {
        number: PunchPlace(
            one.org_id,
            fix.lon,
            fix.lat,
            one.claimed_us if fix.time_us is None else fix.time_us,
            rights[one.employee].sites_at(one.claimed_us),
        )
        for number, one in enumerate(punches)
        if (fix := _fix(one)) is not None
    }
    return _Knowledge(
        sent_by,
        machines,
        await near_zones(conn, questions),
        _by_number(await places_of_employees(conn, punches)),
        _by_number(await places_of_machines(conn, punches, machines)),
        await rows.last_pay_us(conn, sorted({one.employee for one in punches})),
    )


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


def _judged(
    punches: Sequence[NewPunch],
    rights: Mapping[tuple[UUID, UUID], PunchTerms],
    known: _Knowledge,
) -> list[_Judged]:
    """Judge punches in order; each sees those before it."""
    judged: list[_Judged] = []
    places: dict[UUID, list[TimedPosition]] = defaultdict(list)
    for number, one in enumerate(punches):
        fix, zones = _fix(one), known.zones.get(number, ())
        others = [*known.places.get(number, ()), *places[one.employee_id]]
        nearest_s, previous = rows.nearest_s(fix, others)
        evidence = Evidence(
            received_us=one.received_us,
            device_is_allowed=_is_allowed(one, rights[one.employee], known.senders.get(number)),
            by_hand=one.entered_by is not None,
            previous=previous,
            previous_pay_us=known.last_pay_us.get(one.employee_id),
            machine=rows.nearest_s(fix, known.machine_places.get(number, ()))[1],
        )
        verdict = judge_punch(
            Claim(one.kind, one.claimed_us, fix, one.mock),
            [PunchSite(zone.zone_id, zone.distance_m, zone.tolerance_m) for zone in zones],
            evidence,
            rights[one.employee].rules,
        )
        if verdict.verdict != "failed" and one.entered_by is None:
            known.last_pay_us[one.employee_id] = verdict.pay_time_us
        if verdict.verdict != "failed" and fix is not None:
            places[one.employee_id].append(fix)
        zone = next((zone for zone in zones if zone.zone_id == verdict.site), None)
        row = row_of(one, fix, verdict, zone, known.machines.get(number))
        judged.append(_Judged(row, events_of(row, rights[one.employee], zone), nearest_s))
    return judged


def _is_allowed(one: NewPunch, rights: PunchTerms, sender: PunchSender | None) -> bool:
    """Return whether the employee may punch in this way. Whoever enters a punch by hand may."""
    if one.entered_by is not None:
        return True
    if one.tracker_id is None:
        return "phone" in rights.by
    if sender is None:
        return False
    as_terminal = sender.is_terminal and "terminal" in rights.by
    return as_terminal or (sender.is_of_employee and "tracker" in rights.by)
