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
from db.core.exchange import Exchange, Reply
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
from db.punches.jobsites import AskedJobsites
from db.punches.rows import Fate, NewPunch, PunchRow, Recorded
from db.punches.sites import (
    NearZone,
    PunchPlace,
    PunchSites,
    ask_all_jobsites,
    ask_zones_of_sites,
    nearest_zones,
)
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
    exchange = Exchange(conn)
    asked = _ask(exchange, punches)
    await exchange.send()
    rights = asked.rights.value
    fates = _fates(asked, rights)
    fresh = [n for n, fate in enumerate(fates) if fate == Fate.STORED]
    if fresh:
        judged = _judged(asked, rights, await _evidence(exchange, asked, fresh))
        rows.insert(exchange, [one.row for one in judged])
        events.insert_with(exchange, [event for one in judged for event in one.events])
        rows.insert_evidence(exchange, [(one.row, one.nearest_s) for one in judged])
        await derive(exchange, _credited([one.row for one in judged]))
    return [Recorded(one, fate) for one, fate in zip(asked.ids, fates, strict=True)]


def _credited(rows: Sequence[PunchRow]) -> list[PunchTimes]:
    """Return by employee the credited times of punches, as one time that holds them all."""
    times: dict[tuple[UUID, UUID], list[datetime]] = defaultdict(list)
    for row in rows:
        times[row.org_id, row.employee_id].append(row.pay_time)
    return [PunchTimes(*employee, min(at), max(at)) for employee, at in times.items()]


# Questions ----------------------------------------------------------------------------------------


class _Asked(NamedTuple):
    """Punches by their numbers, and the questions that can be asked about them at once."""

    punches: Sequence[NewPunch]
    ids: Sequence[UUID]
    rights: Reply[dict[tuple[UUID, UUID], PunchTerms]]
    stored: Reply[set[UUID]]
    received: Reply[dict[tuple[UUID, datetime], int]]
    senders: Reply[dict[int, PunchSender]]
    places: Reply[list[KnownPlace]]
    last_pay_us: Reply[dict[UUID, int]]
    jobsites: Mapping[UUID, AskedJobsites]


def _ask(exchange: Exchange, punches: Sequence[NewPunch]) -> _Asked:
    """Lock the employees, and ask all that can be asked without their rights."""
    ids = [one.id for one in punches]
    since = _earliest(punches)
    employees = sorted(since)
    days = sorted({(*one.employee, _day(one)) for one in punches})
    places = [place for one in punches if (place := _place(one, None)) is not None]
    return _Asked(
        punches,
        ids,
        lock_employees(exchange, since),
        rows.stored(exchange, [(one.org_id, own) for one, own in zip(punches, ids, strict=True)]),
        rows.received_in_day(exchange, days, MAX_PUNCHES_PER_DAY),
        senders(exchange, punches),
        places_of_employees(exchange, punches),
        rows.last_pay_us(exchange, employees),
        ask_all_jobsites(exchange, places),
    )


def _earliest(punches: Sequence[NewPunch]) -> dict[tuple[UUID, UUID], datetime]:
    """Return the first claimed time of each employee."""
    since_us: dict[tuple[UUID, UUID], int] = {}
    for one in punches:
        since_us[one.employee] = min(one.claimed_us, since_us.get(one.employee, one.claimed_us))
    return {employee: to_datetime(at_us) for employee, at_us in since_us.items()}


def _fates(asked: _Asked, rights: Mapping[tuple[UUID, UUID], PunchTerms]) -> list[Fate]:
    """Decide what becomes of each punch: of two with one identity the first is stored."""
    stored, received = set(asked.stored.value), Counter(asked.received.value)
    fates: list[Fate] = []
    for one, own in zip(asked.punches, asked.ids, strict=True):
        day = (one.employee_id, _day(one))
        if one.employee not in rights:
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
    machines: Mapping[int, UUID]
    zones: Mapping[int, Sequence[NearZone]]
    places: Mapping[int, Sequence[TimedPosition]]
    machine_places: Mapping[int, Sequence[TimedPosition]]


async def _evidence(exchange: Exchange, asked: _Asked, fresh: Sequence[int]) -> _Evidence:
    rights, sent_by = asked.rights.value, asked.senders.value
    machines = {
        number: machine
        for number in fresh
        if (machine := _machine(asked.punches[number], sent_by.get(number))) is not None
    }
    places = {
        number: place
        for number in fresh
        if (place := _place(asked.punches[number], rights)) is not None
    }
    machine_places = places_of_machines(exchange, asked.punches, machines)
    of_sites = ask_zones_of_sites(exchange, places.values())
    await exchange.send()
    return _Evidence(
        fresh,
        machines,
        await nearest_zones(exchange, places, asked.jobsites, of_sites.value),
        _by_number(asked.places.value),
        _by_number(machine_places.value),
    )


def _place(
    one: NewPunch, rights: Mapping[tuple[UUID, UUID], PunchTerms] | None
) -> PunchPlace | None:
    """Return the place of a punch, limited to the sites of its employee. rights: None where they
    are not known yet.
    """
    fix = _fix(one)
    if fix is None:
        return None
    at_us = one.claimed_us if fix.time_us is None else fix.time_us
    sites = PunchSites() if rights is None else rights[one.employee].sites_at(one.claimed_us)
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


def _judged(
    asked: _Asked, rights: Mapping[tuple[UUID, UUID], PunchTerms], known: _Evidence
) -> list[_Judged]:
    """Judge punches in order; each sees those before it."""
    judged: list[_Judged] = []
    places: dict[UUID, list[TimedPosition]] = defaultdict(list)
    last_pay_us = dict(asked.last_pay_us.value)
    for number in known.numbers:
        one, sender = asked.punches[number], asked.senders.value.get(number)
        fix, zones = _fix(one), known.zones.get(number, ())
        others = [*known.places.get(number, ()), *places[one.employee_id]]
        nearest_s, previous = rows.nearest_s(fix, others)
        evidence = Evidence(
            received_us=one.received_us,
            device_is_allowed=_is_allowed(one, rights[one.employee], sender),
            by_hand=one.entered_by is not None,
            previous=previous,
            previous_pay_us=last_pay_us.get(one.employee_id),
            machine=rows.nearest_s(fix, known.machine_places.get(number, ()))[1],
        )
        verdict = judge_punch(
            ClaimedPunch(one.kind, one.claimed_us, fix, one.mock),
            [PunchSite(zone.zone_id, zone.distance_m, zone.tolerance_m) for zone in zones],
            evidence,
            rights[one.employee].rules,
        )
        if verdict.verdict != "failed" and one.entered_by is None:
            last_pay_us[one.employee_id] = verdict.pay_time_us
        if verdict.verdict != "failed" and fix is not None:
            places[one.employee_id].append(fix)
        zone = next((zone for zone in zones if zone.zone_id == verdict.site), None)
        row = row_of(asked.ids[number], one, fix, verdict, zone, known.machines.get(number))
        told = events_of(row, verdict.reasons, rights[one.employee], zone)
        judged.append(_Judged(row, told, nearest_s))
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
