"""Trips and stops, through HTTP."""

import random
from datetime import datetime, timedelta
from typing import Any

import pytest

from archive import trips as working_out
from telemetry.ids import parse_id
from tests.api.punching import employee, phone
from tests.api.running import Answer, Organization, RunningApi
from tests.api.shapes import square
from tests.api.stored import carried, minute, store_visit, text

pytestmark = pytest.mark.every_python

Fixes = list[tuple[float, float]]  # minutes, kilometres to the east


def day() -> Fixes:
    """Return what a truck sends a minute: parked for 20, 10 km in 10, parked for 30, 5 km back."""
    parked = [(float(number), 0.0) for number in range(21)]
    out = [(20.0 + number, float(number)) for number in range(1, 11)]
    there = [(float(number), 10.0) for number in range(31, 61)]
    back = [(60.0 + number, 10.0 - number) for number in range(1, 6)]
    return [*parked, *out, *there, *back]


def store(
    api: RunningApi, org: Organization, tracker_id: str, fixes: Fixes, **columns: Any
) -> None:
    values = {"received_at": minute(0), **columns}
    names, places = ", ".join(values), ", ".join(["%s"] * len(values))
    for at, km in fixes:
        api.sql(
            f"INSERT INTO gps_events (org_id, tracker_id, time, seq, lat, lon, {names})"
            f" VALUES (%s, %s, %s, 0, 0, %s, {places})",
            org.org_id,
            parse_id("trk", tracker_id),
            minute(at),
            9.0 + km / 111.3195,
            *values.values(),
        )


def spans(answer: Answer) -> list[tuple[float, float | None]]:
    """Return the minutes at which each begins and ends."""
    assert answer.status == 200, answer.content
    return [
        (_minutes(row["started_at"]), row["ended_at"] and _minutes(row["ended_at"]))
        for row in answer.json["data"]
    ]


def _minutes(at: str) -> float:
    return (datetime.fromisoformat(at) - minute(0)) / timedelta(minutes=1)


def window(first: float = 0, last: float = 120) -> dict[str, Any]:
    return {"from_": text(minute(first)), "to": text(minute(last))}


async def test_a_day_of_a_truck(api: RunningApi, north: Organization) -> None:
    who = await carried(north)
    store(api, north, who.tracker_id, day(), speed_mps=15.5, accuracy_m=5)
    asked: dict[str, Any] = {"asset_id": who.asset_id, **window()}
    found = await north.viewer.get("/v1/trips", **asked)
    assert spans(found) == [(60, None), (20, 30)]
    assert found.json["total"] == 2
    assert found.json["data"][1] == {
        "asset_id": who.asset_id,
        "tracker_id": None,
        "employee_id": None,
        "started_at": "2026-03-01T12:20:00Z",
        "ended_at": "2026-03-01T12:30:00Z",
        "duration_s": 600,
        "is_cut": False,
        "start_lat": 0,
        "start_lon": 9,
        "start_zones": [],
        "end_lat": 0,
        "end_lon": pytest.approx(9 + 10 / 111.3195),
        "end_zones": [],
        "distance_m": pytest.approx(10_000, rel=1e-3),
        "odometer_m": None,
        "top_speed_mps": 15.5,
        "mean_speed_mps": pytest.approx(16.67, rel=1e-3),
        "has_gap": False,
        "is_carried": False,
    }
    stops = await north.viewer.get("/v1/stops", sort="started_at", **asked)
    assert spans(stops) == [(0, 20), (30, 60)]
    first, second = stops.json["data"]
    assert (first["lat"], first["lon"], first["idle_s"]) == (0, 9, None)
    assert second["lon"] == pytest.approx(9 + 10 / 111.3195)


async def test_they_do_not_depend_on_the_order_of_arrival(
    api: RunningApi, north: Organization
) -> None:
    wanted = None
    for seed in range(3):
        who, fixes = await carried(north), day()
        random.Random(seed).shuffle(fixes)
        store(api, north, who.tracker_id, fixes)
        asked: dict[str, Any] = {"asset_id": who.asset_id, **window()}
        answers = [await north.viewer.get(f"/v1/{kind}", **asked) for kind in ("trips", "stops")]
        found = [spans(answer) for answer in answers]
        wanted = wanted or found
        assert found == wanted


async def test_what_lies_across_the_ends_of_the_window_is_whole(
    api: RunningApi, north: Organization
) -> None:
    who = await carried(north)
    store(api, north, who.tracker_id, day())
    asked: dict[str, Any] = {"asset_id": who.asset_id}
    found = await north.viewer.get("/v1/trips", **asked, **window(25, 26))
    stops = await north.viewer.get("/v1/stops", **asked, **window(40, 41))
    assert (spans(found), spans(stops)) == ([(20, 30)], [(30, 60)])
    assert spans(await north.viewer.get("/v1/trips", **asked, **window(40, 41))) == []
    assert spans(await north.viewer.get("/v1/stops", **asked, **window(30, 60))) == [(30, 60)]


async def test_a_stop_of_weeks_is_found_from_amid_it(api: RunningApi, north: Organization) -> None:
    who = await carried(north)
    weeks = 21 * 24 * 60.0
    before = [(number - 40.0, -20.0 + number / 2) for number in range(40)]
    store(api, north, who.tracker_id, [*before, (0, 0), (5, 0), (6, 0), (weeks, 0)])
    asked: dict[str, Any] = {"asset_id": who.asset_id, **window(weeks / 2, weeks / 2 + 1)}
    (stop,) = (await north.viewer.get("/v1/stops", **asked)).json["data"]
    assert (_minutes(stop["started_at"]), stop["ended_at"], stop["is_cut"]) == (0, None, False)
    assert stop["duration_s"] == weeks * 60


async def test_pages_follow_one_another(api: RunningApi, north: Organization) -> None:
    who = await carried(north)
    store(api, north, who.tracker_id, day())
    asked: dict[str, Any] = {"asset_id": who.asset_id, "limit": 1, **window()}
    for sort, wanted in (("started_at", [(20, 30), (60, None)]), ("-started_at", None)):
        first = await north.viewer.get("/v1/trips", sort=sort, **asked)
        second = await north.viewer.get(
            "/v1/trips", sort=sort, cursor=first.json["next_cursor"], **asked
        )
        assert [*spans(first), *spans(second)] == (wanted or [(60, None), (20, 30)])
        assert second.json["next_cursor"] is None
        assert (first.json["total"], second.json["total"]) == (2, 2)
        by_offset = await north.viewer.get("/v1/trips", sort=sort, offset=1, **asked)
        assert spans(by_offset) == spans(second)


async def test_zones_are_those_of_the_visits(api: RunningApi, north: Organization) -> None:
    who = await carried(north)
    store(api, north, who.tracker_id, day())
    made = await north.admin.post("/v1/zones", {"name": "Yard", "geometry": square()})
    yard = {"id": made.json["id"], "name": "Yard"}
    store_visit(api, north, who, yard["id"], minute(0), minute(21))
    asked: dict[str, Any] = {"asset_id": who.asset_id, **window(0, 40)}
    (trip,) = (await north.viewer.get("/v1/trips", **asked)).json["data"]
    assert (trip["start_zones"], trip["end_zones"]) == ([yard], [])
    second, first = (await north.viewer.get("/v1/stops", **asked)).json["data"]
    assert (first["zones"], second["zones"]) == ([yard], [])


async def test_an_odometer_and_ignition_that_are_sent(api: RunningApi, north: Organization) -> None:
    who = await carried(north)
    for at, km in day():
        is_on = 8 <= at <= 31 or at >= 58
        attributes = f'{{"odometer": {1_000 + at}}}'
        store(api, north, who.tracker_id, [(at, km)], ignition=is_on, attributes=attributes)
    asked: dict[str, Any] = {"asset_id": who.asset_id, "sort": "started_at", **window()}
    trip, _ = (await north.viewer.get("/v1/trips", **asked)).json["data"]
    assert trip["odometer_m"] == 10
    first, second = (await north.viewer.get("/v1/stops", **asked)).json["data"]
    assert (first["idle_s"], second["idle_s"]) == (12 * 60, 4 * 60)


async def test_suspect_and_inaccurate_fixes_say_nothing(
    api: RunningApi, north: Organization
) -> None:
    who = await carried(north)
    store(api, north, who.tracker_id, day())
    store(api, north, who.tracker_id, [(5.5, 80), (5.6, 80), (5.7, 80)], flags=1)
    store(api, north, who.tracker_id, [(6.5, 80), (6.6, 80), (6.7, 80)], accuracy_m=900)
    found = await north.viewer.get("/v1/trips", asset_id=who.asset_id, **window())
    assert spans(found) == [(60, None), (20, 30)]


async def test_those_of_a_tracker_and_of_an_employee(api: RunningApi, north: Organization) -> None:
    worker = await employee(north)
    device = await phone(north, worker, minute(-10))
    store(api, north, device, day())
    for asked in ({"tracker_id": device}, {"employee_id": worker}):
        found = await north.admin.get("/v1/trips", **asked, **window())
        assert spans(found) == [(60, None), (20, 30)]
        for row in found.json["data"]:
            assert {name: row[name] for name in asked} == asked
    for other in (north.viewer, north.technician):
        assert spans(await other.get("/v1/trips", employee_id=worker, **window())) == []
    fixes = await north.admin.get("/v1/gps-events", employee_id=worker)
    assert fixes.json["total"] == len(day())
    assert (await north.viewer.get("/v1/gps-events", employee_id=worker)).json["total"] == 0


async def test_rules_may_be_others(api: RunningApi, north: Organization) -> None:
    who = await carried(north)
    store(api, north, who.tracker_id, day())
    asked: dict[str, Any] = {"asset_id": who.asset_id, **window()}
    stops = await north.viewer.get("/v1/stops", stop_after_s=25 * 60, **asked)
    assert spans(stops) == [(30, 60)]


@pytest.mark.parametrize(
    ("changes", "parameter", "message"),
    [
        ({"asset_id": None}, "asset_id", "Name one of asset_id, tracker_id and employee_id."),
        ({"to": text(minute(0))}, "from", "from must be earlier than to."),
        (
            {"to": text(minute(32 * 24 * 60))},
            "to",
            "to must be at most 31 days later than from.",
        ),
        (
            {"trip_min_m": 20},
            "trip_min_m",
            "trip_min_m must be at least stop_radius_m.",
        ),
    ],
)
async def test_questions_that_cannot_be_answered(
    api: RunningApi,
    north: Organization,
    changes: dict[str, Any],
    parameter: str,
    message: str,
) -> None:
    who = await carried(north)
    asked: dict[str, Any] = {"asset_id": who.asset_id, **window(), **changes}
    answer = await north.viewer.get(
        "/v1/trips", **{name: value for name, value in asked.items() if value is not None}
    )
    assert answer.status == 400
    (fault,) = answer.json["errors"]
    assert (fault["parameter"], fault["message"]) == (parameter, message)


@pytest.mark.own_api
async def test_too_many_fixes_are_said_to_be_so(
    api: RunningApi, north: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    who = await carried(north)
    store(api, north, who.tracker_id, day())
    monkeypatch.setattr(working_out, "MOST_FIXES", 20)
    asked: dict[str, Any] = {"asset_id": who.asset_id}
    answer = await north.viewer.get("/v1/trips", **asked, **window())
    assert answer.status == 400
    (fault,) = answer.json["errors"]
    assert fault["message"] == "There are more than 20 fixes: ask for a shorter time."
    monkeypatch.setattr(working_out, "_MARGINS", (timedelta(minutes=2), timedelta(hours=6)))
    cut = (await north.viewer.get("/v1/stops", **asked, **window(40, 50))).json["data"]
    assert [(_minutes(stop["started_at"]), stop["is_cut"]) for stop in cut] == [(38, True)]


async def test_nobody_sees_those_of_another_organization(
    api: RunningApi, north: Organization, south: Organization
) -> None:
    who = await carried(north)
    store(api, north, who.tracker_id, day())
    for name, value in (("asset_id", who.asset_id), ("tracker_id", who.tracker_id)):
        answer = await south.admin.get("/v1/stops", **{name: value}, **window())
        assert answer.status == 404
