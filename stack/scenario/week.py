"""A contractor's last week, for the demo: places, machines, people, their hours and orders.

Made as it would have come about: things by the REST interface, positions over MQTT, and punches by
the use case of ingest (`use_cases.punches.record`), which is told when they came. Days and hours
are those of the town.
"""

import asyncio
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from itertools import chain
from random import Random
from typing import Any, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

from db.core.connect import connect
from db.punches.rows import NewPunch
from device_sim.plan import SimTracker
from mqtt import BrokerAddress, Session, SessionOptions
from stack.scenario.api_client import ApiClient
from stack.scenario.registration import known_to_broker
from telemetry.ids import parse_id
from telemetry.punch import PunchKind
from telemetry.times import format_time, to_us
from telemetry.topics import fixes_topic
from use_cases.punches.record import record

TOWN = ZoneInfo("Europe/Berlin")
_WORKDAYS = 5
_BEFORE = timedelta(days=14)  # zones are in force and trackers assigned since then
_A_MINUTE, _AT_WORK_EVERY = timedelta(minutes=1), timedelta(minutes=3)
_DRIVE_MIN = 12
_FIXES_OF_A_MESSAGE = 200
_METRES_PER_DEGREE = 111_320.0
_SEED = 11


class TownPlace(NamedTuple):
    """A round place. Degrees and metres."""

    name: str
    kind: str
    lat: float
    lon: float
    radius_m: float = 90.0


YARD = TownPlace("Yard Lindenhof", "yard", 52.4985, 13.3560, 110.0)
SITES = (
    TownPlace("Bridge repair Canal Street", "jobsite", 52.4905, 13.3905),
    TownPlace("School extension", "jobsite", 52.5060, 13.4330, 80.0),
    TownPlace("Sewer Orchard Road", "jobsite", 52.5330, 13.3720),
)
GAS_MAIN = TownPlace("Gas main, keep out", "restricted", 52.4934, 13.3929, 45.0)
REGION = TownPlace("Region of the hired machines", "allowed", YARD.lat, YARD.lon, 2_000.0)
MACHINES = (
    ("Excavator 21 t", "Liebherr", "other"),
    ("Wheel loader", "Volvo", "other"),
    ("Dump truck", "MAN", "vehicle"),
    ("Hired generator", "Atlas Copco", "other"),
)
PEOPLE = ("Mia Keller", "Jonas Brandt", "Aylin Demir", "Piotr Nowak", "Lena Vogt")
WEEKS_BREACHES = 3
"""Into the gas main's zone and out of it, and out of the region."""
ORDERS = (
    ("Replace the bearing of the north pillar", 0, "high", "start"),
    ("Excavate the foundation, part 2", 1, "normal", "complete"),
    ("Lay 40 m of pipe", 2, "normal", "start"),
    ("Mend the fence of the yard", None, "low", ""),
    ("Inspect the scaffolding", 1, "urgent", "assign"),
)


@dataclass(frozen=True, slots=True)
class _Made:
    """The things that were registered: ids in the order of the constants above."""

    site_ids: list[str]
    asset_ids: list[str]
    trackers: list[SimTracker]
    employee_ids: list[str]
    phones: list[str]


async def make_week(
    client: ApiClient, broker: BrokerAddress, ingest_url: str, org_id: UUID, now: datetime
) -> int:
    """Make the week before `now`; returns how many fixes were sent, which are all acknowledged.

    ingest_url: the database, as opsc_ingest. Raises ApiError, FleetError and MqttError.
    """
    days = list(workdays(now))
    made = await _registered(client, now - _BEFORE)
    await known_to_broker(broker, made.trackers[-1])
    random = Random(_SEED)
    ways = [way_of(number, days, random) for number in range(len(MACHINES))]
    await asyncio.gather(*map(_send, [broker] * len(ways), made.trackers, ways))
    async with await connect(ingest_url, "opsc demo") as conn:
        for day in days:
            async with conn.transaction():
                await record(conn, list(_punches(org_id, made, day, random)))
    await _order_work(client, made, now)
    return sum(map(len, ways))


def workdays(now: datetime) -> Iterator[datetime]:
    """Yield midnight of the last days of work before today, the oldest first."""
    today = datetime.combine(now.astimezone(TOWN).date(), time(), TOWN)
    before = (today - timedelta(days=number) for number in range(10, 0, -1))
    yield from [day for day in before if day.weekday() < 5][-_WORKDAYS:]


# Things -------------------------------------------------------------------------------------------


async def _registered(client: ApiClient, since: datetime) -> _Made:
    from_then = format_time(to_us(since))

    async def post(path: str, **body: Any) -> dict[str, Any]:
        return await client.post(f"/v1/{path}", body)

    async def zone(place: TownPlace, **more: Any) -> str:
        shape = {"type": "Point", "coordinates": [place.lon, place.lat]}
        body = {"name": place.name, "kind": place.kind, "radius_m": place.radius_m, **more}
        return (await post("zones", geometry=shape, valid_from=from_then, **body))["id"]

    await client.patch("/v1/organization", {"timezone": TOWN.key})
    await zone(YARD)
    await zone(GAS_MAIN)
    await zone(REGION, assets={"tags": ["hired"]})
    town = (await post("clients", name="City of Lindenhof", email="works@lindenhof.example"))["id"]
    sites = [
        await post(
            "sites", name=site.name, client_id=town, zone_id=await zone(site), lat=site.lat,
            lon=site.lon,
        )
        for site in SITES
    ]  # fmt: skip
    assets, trackers = list[str](), list[SimTracker]()
    for name, maker, kind in MACHINES:
        tags = ["hired"] if name.startswith("Hired") else []
        asset = await post("assets", name=name, make=maker, asset_class=kind, tags=tags)
        tracker = await post("trackers", name=name, asset_id=asset["id"], assigned_from=from_then)
        assets.append(asset["id"])
        trackers.append(SimTracker(tracker["id"], tracker["secret"]))
    employees, phones = list[str](), list[str]()
    for name in PEOPLE:
        employee = await post("employees", name=name, punch_rights={"by": ["tracker"]})
        phone = await post(
            "trackers", name=f"{name}'s phone", employee_id=employee["id"], assigned_from=from_then
        )
        employees.append(employee["id"])
        phones.append(phone["id"])
    return _Made([site["id"] for site in sites], assets, trackers, employees, phones)


async def _order_work(client: ApiClient, made: _Made, now: datetime) -> None:
    verbs = ("assign", "start", "complete")
    for number, (title, site, priority, last) in enumerate(ORDERS):
        begin = now + timedelta(hours=8 * number - 20)
        order = await client.post(
            "/v1/work-orders",
            {
                "title": title,
                "priority": priority,
                "site_id": None if site is None else made.site_ids[site],
                "asset_ids": [made.asset_ids[number % len(MACHINES)]],
                "planned_start": format_time(to_us(begin)),
                "planned_end": format_time(to_us(begin + timedelta(hours=6))),
            },
        )
        for verb in verbs[: verbs.index(last) + 1] if last else ():
            bodies: dict[str, dict[str, Any]] = {
                "assign": {"assignee_ids": [made.employee_ids[number]]},
                "complete": {"signer_name": "K. Schulz"},
            }
            await client.post(f"/v1/work-orders/{order['id']}/{verb}", bodies.get(verb, {}))


# Positions ----------------------------------------------------------------------------------------


def way_of(number: int, days: list[datetime], random: Random) -> list[dict[str, Any]]:
    """Return the fixes of a machine: to a site in the morning, and back to the yard at night. One
    drives where it must not, and one that stands in the yard is taken away at night.
    """
    if MACHINES[number][0].startswith("Hired"):
        return list(_taken_away(days[2], random))
    fixes: list[dict[str, Any]] = []
    for day in days:
        site = SITES[number % len(SITES)]
        begin = day + timedelta(hours=6, minutes=random.randint(20, 35))
        fixes += _drive(begin, YARD, site, random)
        begin += _DRIVE_MIN * _A_MINUTE
        end = day + timedelta(hours=16, minutes=random.randint(0, 15))
        fixes += _work(begin, end, site, random)
        if number == 0 and day is days[2]:
            fixes += _work(end, end + 9 * _A_MINUTE, GAS_MAIN, random)
            end += 9 * _A_MINUTE
        fixes += _drive(end, site, YARD, random)
        fixes += _work(end + _DRIVE_MIN * _A_MINUTE, end + 20 * _A_MINUTE, YARD, random, 0.2)
    return fixes


def _taken_away(day: datetime, random: Random) -> Iterator[dict[str, Any]]:
    yield from _work(day + timedelta(hours=7), day + timedelta(hours=17), YARD, random, 0.05)
    away = TownPlace("", "", YARD.lat - 0.08, YARD.lon - 0.06)
    yield from _drive(day + timedelta(hours=26), YARD, away, random, minutes=20)


def _drive(
    begin: datetime, start: TownPlace, end: TownPlace, random: Random, minutes: int = _DRIVE_MIN
) -> Iterator[dict[str, Any]]:
    """Yield a fix a minute of a way that bends like a street."""
    north, east = end.lat - start.lat, end.lon - start.lon
    metres = math.hypot(north, east * math.cos(math.radians(start.lat))) * _METRES_PER_DEGREE
    for minute in range(minutes):
        done = minute / minutes
        bend = 0.12 * math.sin(math.pi * done)
        place = start.lat + north * done + east * bend, start.lon + east * done - north * bend
        course_deg = math.degrees(math.atan2(east, north)) % 360
        speed_mps = metres / minutes / 60 * random.uniform(0.8, 1.2)
        yield _fix(begin + minute * _A_MINUTE, *place, speed_mps, course_deg, random)


def _work(
    begin: datetime, end: datetime, place: TownPlace, random: Random, part: float = 0.5
) -> Iterator[dict[str, Any]]:
    """Yield fixes of somebody who is about in a part of the place."""
    at = begin
    while at < end:
        reach = part * place.radius_m / _METRES_PER_DEGREE
        lat, lon = random.uniform(-reach, reach), random.uniform(-reach, reach)
        yield _fix(at, place.lat + lat, place.lon + lon, random.uniform(0, 0.9), 0.0, random)
        at += _AT_WORK_EVERY


def _fix(
    at: datetime, lat: float, lon: float, speed_mps: float, course_deg: float, random: Random
) -> dict[str, Any]:
    return {
        "time": format_time(to_us(at.astimezone(UTC))),
        "lat": round(lat, 6),
        "lon": round(lon, 6),
        "speed_mps": round(speed_mps, 1),
        "course_deg": round(course_deg, 1),
        "accuracy_m": round(random.uniform(3, 9), 1),
    }


async def _send(broker: BrokerAddress, tracker: SimTracker, fixes: list[dict[str, Any]]) -> None:
    options = SessionOptions(
        client_id=tracker.tracker_id,
        username=tracker.tracker_id,
        password=tracker.secret.encode(),
    )
    async with Session(broker, options) as session:
        for start in range(0, len(fixes), _FIXES_OF_A_MESSAGE):
            part = fixes[start : start + _FIXES_OF_A_MESSAGE]
            await session.publish(fixes_topic(tracker.tracker_id), json.dumps(part).encode())


# Hours --------------------------------------------------------------------------------------------


def _punches(org_id: UUID, made: _Made, day: datetime, random: Random) -> Iterator[NewPunch]:
    """Yield the punches of a day in their order. Now and then somebody forgets to punch out, or
    punches on the way.
    """
    days = (_day_of(number, org_id, made, day, random) for number in range(len(PEOPLE)))
    yield from sorted(chain.from_iterable(days), key=lambda punch: punch.claimed_us)


def _day_of(
    number: int, org_id: UUID, made: _Made, day: datetime, random: Random
) -> Iterator[NewPunch]:
    site = SITES[number % len(SITES)]
    hours: dict[PunchKind, time] = {
        "in": time(6, random.randint(45, 59)),
        "break_start": time(12, random.randint(0, 9)),
        "break_end": time(12, random.randint(30, 39)),
        "out": time(16, random.randint(0, 20)),
    }
    if number == 3 and day.weekday() == 2:
        del hours["out"]
    away_deg = 0.02 if number == 1 and day.weekday() == 3 else 0.0
    for kind, hour in hours.items():
        at_us = to_us(datetime.combine(day.date(), hour, TOWN).astimezone(UTC))
        yield NewPunch(
            org_id=org_id,
            employee_id=parse_id("emp", made.employee_ids[number]),
            kind=kind,
            claimed_us=at_us,
            received_us=at_us + 2_000_000,
            tracker_id=parse_id("trk", made.phones[number]),
            fix_time_us=at_us - 5_000_000,
            lat=site.lat + random.uniform(-3e-4, 3e-4) + away_deg * (kind == "in"),
            lon=site.lon + random.uniform(-3e-4, 3e-4),
            accuracy_m=round(random.uniform(5, 15), 1),
        )
