"""Reports about movement, through HTTP: known days, and sums that equal those of the lists."""

import csv
import io
from datetime import timedelta
from typing import Any

import pytest

from api.resources.reports import movement
from archive import trips as working_out
from telemetry.ids import parse_id
from tests.api.documents.test_file_forms import cells
from tests.api.documents.test_reports import pages
from tests.api.punching import employee, phone, worker
from tests.api.resources.reports.made import asked_for, at, report, store_way, utc
from tests.api.running import Organization, RunningApi
from tests.api.shapes import square
from tests.api.stored import Carried, carried, minute, store_visit

SPREADSHEET = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
# Parked until 8, 30 km in 30 minutes, parked until 16:30, and back.
DAY = [
    ("2026-03-10T08:00", 0.0, 60.0),
    ("2026-03-10T08:30", 30.0, 60.0),
    ("2026-03-10T16:30", 30.0, 60.0),
    ("2026-03-10T17:00", 0.0, 60.0),
    ("2026-03-10T20:00", 0.0, 60.0),
]


@pytest.fixture
def org(api: RunningApi) -> Organization:
    """An organization that has nothing yet."""
    return api.organization("Acme")


async def a_truck(
    api: RunningApi, org: Organization, name: str = "Truck", **columns: Any
) -> Carried:
    who = await carried(org, name)
    store_way(api, org, who.tracker_id, "2026-03-10T07:00", DAY, **columns)
    return who


async def test_a_day_of_a_truck(api: RunningApi, org: Organization) -> None:
    who = await a_truck(api, org, speed_mps=12.5, ignition=True)
    (row,) = await report(org.viewer, "day", "2026-03-10")
    assert row == {
        "asset_id": who.asset_id,
        "employee_id": None,
        "name": "Truck",
        "day": "2026-03-10",
        "first_fix_at": utc("2026-03-10T07:00"),
        "last_fix_at": utc("2026-03-10T20:00"),
        "departed_at": utc("2026-03-10T08:00"),
        "arrived_at": utc("2026-03-10T17:00"),
        "distance_m": pytest.approx(60_000, rel=1e-3),
        "driving_s": 3_600,
        "stopped_s": 12 * 3_600,
        "idle_s": 12 * 3_600,
        "trips": 2,
        "stops": 3,
        "top_speed_mps": 12.5,
    }
    assert await report(org.viewer, "day", "2026-03-09") == []
    (used,) = await report(org.viewer, "utilization", "2026-03-10")
    assert (used["time_s"], used["unknown_s"], used["parked_s"]) == (86_400, 11 * 3_600, 0)
    assert (used["driving_share"], used["idle_share"]) == (round(1 / 24, 4), 0.5)


@pytest.mark.parametrize(
    ("day", "hours"), [("2026-03-29", 23), ("2026-10-25", 25), ("2026-05-05", 24)]
)
async def test_days_are_as_long_as_the_clocks_make_them(
    api: RunningApi, org: Organization, day: str, hours: int
) -> None:
    who = await carried(org)
    before = (at(f"{day}T12:00") - timedelta(days=2)).date()
    after = (at(f"{day}T12:00") + timedelta(days=2)).date()
    parked = [(f"{after}T12:00", 0.0, 600.0)]
    store_way(api, org, who.tracker_id, f"{before}T12:00", parked)
    (row,) = await report(org.viewer, "day", day)
    assert (row["stopped_s"], row["first_fix_at"]) == (hours * 3_600, utc(f"{day}T00:00"))
    (used,) = await report(org.viewer, "utilization", day)
    assert (used["time_s"], used["unknown_s"], used["parked_share"]) == (hours * 3_600, 0, 1)


async def test_a_trip_across_midnight_is_split(api: RunningApi, org: Organization) -> None:
    who = await carried(org)
    way = [
        ("2026-03-10T23:30", 0.0, 60.0),
        ("2026-03-11T00:30", 60.0, 60.0),
        ("2026-03-11T03:00", 60.0, 60.0),
    ]
    store_way(api, org, who.tracker_id, "2026-03-10T21:00", way)
    both = await report(org.viewer, "day", "2026-03-10", "2026-03-11")
    assert [(row["trips"], row["stops"], row["driving_s"]) for row in both] == [
        *((1, 1, 1_800), (0, 1, 1_800))
    ]
    # The last fix before midnight is at 23:59, and the one of 00:00 is of the next day.
    assert [row["distance_m"] for row in both] == [
        pytest.approx(29_000, rel=1e-3),
        pytest.approx(31_000, rel=1e-3),
    ]
    alone = [await report(org.viewer, "day", day) for day in ("2026-03-10", "2026-03-11")]
    assert [*alone[0], *alone[1]] == both
    (trip,) = await report(org.viewer, "trips", "2026-03-11")
    assert trip["started_at"] == utc("2026-03-10T23:30")
    hours: dict[str, Any] = {"from_": utc("2026-03-10T23:00"), "to": utc("2026-03-11T00:15")}
    parts = await org.viewer.get("/v1/reports/day", time_zone="Europe/Berlin", **hours)
    assert [row["driving_s"] for row in parts.json["data"]] == [1_800, 900]


async def test_sums_are_those_of_the_lists(api: RunningApi, org: Organization) -> None:
    first, second = await a_truck(api, org, "B"), await a_truck(api, org, "A")
    week = ("2026-03-09", "2026-03-15")
    span: dict[str, Any] = {"from_": utc("2026-03-09T00:00"), "to": utc("2026-03-16T00:00")}
    (total,) = await report(org.viewer, "distance", *week, group_by="week")
    lists = [
        (await org.viewer.get("/v1/trips", asset_id=who.asset_id, sort="started_at", **span)).json
        for who in (second, first)
    ]
    trips = [trip for each in lists for trip in each["data"]]
    assert total["distance_m"] == pytest.approx(sum(trip["distance_m"] for trip in trips), abs=0.2)
    assert total["driving_s"] == sum(trip["duration_s"] for trip in trips)
    assert (total["trips"], total["week"], total["name"]) == (4, "2026-03-09", None)
    rows = await report(org.viewer, "trips", *week)
    assert [row["name"] for row in rows] == ["A", "A", "B", "B"]
    for row, trip in zip(rows, trips, strict=True):
        same = row.keys() & trip.keys() - {"start_zones", "end_zones"}
        assert {name: row[name] for name in same} == {name: trip[name] for name in same}
    stops = await report(org.viewer, "stops", *week, asset_id=first.asset_id)
    listed = await org.viewer.get("/v1/stops", asset_id=first.asset_id, sort="started_at", **span)
    same = ("started_at", "ended_at", "duration_s", "lat", "lon", "idle_s", "is_cut")
    assert [[row[name] for name in same] for row in stops] == [
        [row[name] for name in same] for row in listed.json["data"]
    ]


async def test_groups(api: RunningApi, org: Organization) -> None:
    client = (await org.admin.post("/v1/clients", {"name": "Acme"})).json["id"]
    one, two, three = [await a_truck(api, org, name) for name in ("A", "B", "C")]
    for who, tags in ((one, ["crane", "hired"]), (two, ["crane"])):
        await org.admin.patch(f"/v1/assets/{who.asset_id}", {"tags": tags, "client_id": client})
    day = "2026-03-10"
    by_tag = await report(org.viewer, "distance", day, group_by="tag")
    assert [(row["tag"], row["trips"]) for row in by_tag] == [
        *((None, 2), ("crane", 4), ("hired", 2))
    ]
    by_client = await report(org.viewer, "distance", day, group_by="client,day")
    assert [(row["client_id"], row["day"], row["trips"]) for row in by_client] == [
        *((None, day, 2), (client, day, 4))
    ]
    some = await report(org.viewer, "distance", day, tag="crane,none")
    assert [row["asset_id"] for row in some] == [one.asset_id, two.asset_id]
    some = await report(org.viewer, "day", day, client_id=client)
    assert [row["name"] for row in some] == ["A", "B"]
    ids = f"{one.asset_id},{three.asset_id}"
    assert [row["name"] for row in await report(org.viewer, "day", day, asset_id=ids)] == ["A", "C"]


async def test_those_who_were_in_a_zone(api: RunningApi, org: Organization) -> None:
    one, _ = await a_truck(api, org, "A"), await a_truck(api, org, "B")
    zone = (await org.admin.post("/v1/zones", {"name": "Yard", "geometry": square()})).json["id"]
    store_visit(api, org, one, zone, at("2026-03-10T06:00"), at("2026-03-10T08:15"))
    rows = await report(org.viewer, "trips", "2026-03-10", zone_id=zone)
    assert [(row["name"], row["start_zones"]) for row in rows] == [("A", "Yard"), ("A", None)]
    assert await report(org.viewer, "trips", "2026-03-11", zone_id=zone) == []


async def test_the_phone_of_an_employee(api: RunningApi, org: Organization) -> None:
    anna = await worker(api, org, name="Anna")
    boris = await employee(org, name="Boris")
    for who in (anna.id, boris):
        device = await phone(org, who, at("2026-03-10T06:00"))
        store_way(api, org, device, "2026-03-10T07:00", DAY)
    day = "2026-03-10"
    rows = await report(org.dispatcher, "day", day, of="employee")
    assert [(row["employee_id"], row["name"], row["trips"]) for row in rows] == [
        *((anna.id, "Anna", 2), (boris, "Boris", 2))
    ]
    trips = await report(org.dispatcher, "trips", day, employee_id=boris)
    assert [row["employee_id"] for row in trips] == [boris, boris]
    # Nobody but dispatchers and admins reads of other people.
    assert [row["name"] for row in await report(org.technician, "day", day, of="employee")] == [
        "Anna"
    ]
    assert await report(org.viewer, "day", day, of="employee") == []
    assert await report(org.viewer, "day", day, employee_id=boris) == []
    assert await report(org.dispatcher, "day", day) == []
    refused = await asked_for(org.admin, "day", day, of="employee", tag="crane")
    assert refused.json["errors"][0]["message"] == (
        "A report of employees has no tag: leave it out."
    )


async def test_an_asset_that_had_two_trackers(api: RunningApi, org: Organization) -> None:
    who = await carried(org)
    noon = at("2026-03-10T12:00")
    api.sql(
        "UPDATE tracker_assignments SET assigned_to = %s WHERE tracker_id = %s",
        noon,
        who.tracker,
    )
    body = {"name": "2", "asset_id": who.asset_id, "assigned_from": noon.isoformat()}
    second = (await org.admin.post("/v1/trackers", body)).json["id"]
    store_way(api, org, who.tracker_id, "2026-03-10T07:00", DAY)
    store_way(api, org, second, "2026-03-10T07:00", DAY)
    (row,) = await report(org.viewer, "day", "2026-03-10")
    assert (row["trips"], row["driving_s"], row["stopped_s"]) == (2, 3_600, 12 * 3_600)


async def test_many_days_are_worked_out_a_few_at_a_time(api: RunningApi, org: Organization) -> None:
    who = await carried(org)
    way = [
        ("2026-03-02T08:00", 0.0, 600.0),
        ("2026-03-02T08:30", 30.0, 60.0),
        ("2026-03-20T08:00", 30.0, 3_000.0),
        ("2026-03-20T08:30", 60.0, 60.0),
        ("2026-03-21T12:00", 60.0, 600.0),
    ]
    store_way(api, org, who.tracker_id, "2026-03-02T06:00", way)
    stops = await report(org.viewer, "stops", "2026-03-02", "2026-03-21")
    assert [row["started_at"] for row in stops] == [
        utc(f"2026-03-{text}") for text in ("02T06:00", "02T08:30", "20T08:30")
    ]
    days = await report(org.viewer, "day", "2026-03-02", "2026-03-21")
    assert sum(row["stopped_s"] for row in days) == sum(row["duration_s"] for row in stops)
    assert [row["day"] for row in days if row["trips"]] == ["2026-03-02", "2026-03-20"]
    # A stop that began before the time belongs to it all the same.
    (stop,) = await report(org.viewer, "stops", "2026-03-05", "2026-03-18")
    assert stop["started_at"] == utc("2026-03-02T08:30")


@pytest.mark.own_api
async def test_days_with_too_many_fixes_are_worked_out_alone(
    api: RunningApi, org: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    who = await carried(org)
    way = [(f"2026-03-{day}T23:30", 30.0 * (day % 2), 600.0) for day in range(10, 15)]
    store_way(api, org, who.tracker_id, "2026-03-10T06:00", way)
    wanted = await report(org.viewer, "day", "2026-03-10", "2026-03-14")
    assert len(wanted) == 5
    monkeypatch.setattr(working_out, "MOST_FIXES", 300)
    assert await report(org.viewer, "day", "2026-03-10", "2026-03-14") == wanted
    monkeypatch.setattr(working_out, "MOST_FIXES", 20)
    refused = await asked_for(org.viewer, "day", "2026-03-10", "2026-03-14")
    assert refused.json["errors"][0]["message"] == (
        "Truck has more than 20 fixes around 2026-03-10."
    )


async def test_pages_follow_one_another(api: RunningApi, org: Organization) -> None:
    for name in ("A", "B", "C"):
        await a_truck(api, org, name)
    asked: dict[str, Any] = {
        "from_": "2026-03-10",
        "to": "2026-03-10",
        "time_zone": "Europe/Berlin",
    }
    rows = await org.viewer.walk("/v1/reports/trips", limit=2, **asked)
    assert rows == await report(org.viewer, "trips", "2026-03-10")
    by_offset = await org.viewer.get("/v1/reports/trips", limit=2, offset=3, **asked)
    assert by_offset.json["data"] == rows[3:5]
    names = await org.viewer.get("/v1/reports/trips", fields="name", limit=1, **asked)
    assert names.json["data"] == [{"name": "A"}]


async def test_files_have_the_rows_and_no_formula(api: RunningApi, org: Organization) -> None:
    await a_truck(api, org, "=HYPERLINK(1)")
    for name in ("day", "trips", "stops", "distance", "utilization"):
        rows = await report(org.viewer, name, "2026-03-10")
        answer = await asked_for(org.viewer, name, "2026-03-10", accept="text/csv")
        read = list(csv.DictReader(io.StringIO(answer.content.decode(), newline="")))
        assert [list(row) for row in read] == [list(row) for row in rows]
        assert {row["name"] for row in read} == {"'=HYPERLINK(1)"}
        answer = await asked_for(org.viewer, name, "2026-03-10", accept=SPREADSHEET)
        disposition = f'attachment; filename="report-{name}-2026-03-10.xlsx"'
        assert answer.headers["Content-Disposition"] == disposition
        head, first, *_ = cells(answer.content)
        assert head == [("inlineStr", column) for column in rows[0]]
        assert ("inlineStr", "=HYPERLINK(1)") in first


@pytest.mark.own_api
async def test_a_report_is_bounded(
    api: RunningApi, org: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("A", "B"):
        await a_truck(api, org, name)

    def message(answer: Any) -> str:
        assert answer.status == 400
        return answer.json["errors"][0]["message"]

    long = ("2026-03-01", "2026-04-01")
    assert message(await asked_for(org.viewer, "day", *long)) == (
        "A report has 31 days at most, and 366 as CSV or XLSX."
    )
    answer = await asked_for(org.viewer, "day", *long, accept="text/csv")
    assert answer.status == 200
    too_long = ("2025-03-01", "2026-04-01")
    assert message(await asked_for(org.viewer, "day", *too_long, accept="text/csv")) == (
        "A report has 366 days at most."
    )
    monkeypatch.setattr(movement, "MOST_THING_DAYS", 3)
    monkeypatch.setattr(movement, "MOST_THING_DAYS_OF_FILE", 5)
    assert message(await asked_for(org.viewer, "day", "2026-03-09", "2026-03-10")) == (
        "There are more than 1 assets, the most for a report of 2 days: ask for fewer assets or"
        " days, or for CSV or XLSX."
    )
    two_days = await asked_for(org.viewer, "day", "2026-03-09", "2026-03-10", accept="text/csv")
    assert two_days.status == 200
    assert message(
        await asked_for(org.viewer, "day", "2026-03-08", "2026-03-10", accept="text/csv")
    ).endswith("ask for fewer assets or days.")
    assert message(await asked_for(org.viewer, "day", "2026-03-10", "2026-03-09")) == (
        "from must be earlier than to, and than now."
    )


@pytest.mark.parametrize(
    ("asked", "parameter", "message"),
    [
        ({"from_": "2026-13-01"}, "from", "must be a day, like 2026-01-31, or a time, like"),
        ({"group_by": "colour"}, "group_by", "must be of thing, client, tag, day and week"),
        ({"asset_id": "ast_1"}, "asset_id", "must be the id of an asset"),
        ({"tag": "Crane"}, "tag", "must be of small letters"),
    ],
)
async def test_questions_that_cannot_be_answered(
    north: Organization, asked: dict[str, Any], parameter: str, message: str
) -> None:
    answer = await north.viewer.get("/v1/reports/distance", **asked)
    assert answer.status == 400
    fault = answer.json["errors"][0]
    assert fault["parameter"].startswith(parameter)
    assert fault["message"].startswith(message)


async def test_nobody_reads_of_another_organization(
    api: RunningApi, north: Organization, south: Organization
) -> None:
    mine, theirs = await a_truck(api, south, "Mine"), await a_truck(api, north, "Theirs")
    for name in ("day", "trips", "stops", "visits", "distance", "utilization", "presence"):
        ids = f"{mine.asset_id},{theirs.asset_id}"
        answer = await asked_for(south.admin, name, "2026-03-10", asset_id=ids)
        assert answer.status == 404
        assert answer.json["errors"][0]["parameter"] == "asset_id"
        for row in await report(south.admin, name, "2026-03-10"):
            assert row["asset_id"] != theirs.asset_id


async def test_without_a_time_it_is_today(api: RunningApi, org: Organization) -> None:
    who = await carried(org)
    api.sql(
        "INSERT INTO gps_events (org_id, tracker_id, time, seq, received_at, lat, lon)"
        " VALUES (%s, %s, now() - interval '1 second', 0, %s, 1, 1)",
        org.org_id,
        parse_id("trk", who.tracker_id),
        minute(0),
    )
    answer = await org.viewer.get("/v1/reports/day", time_zone="Etc/GMT-14")
    assert len(answer.json["data"]) in (0, 1)  # 0 in the second after midnight
    assert (await org.viewer.get("/v1/reports/utilization")).json["total"] == 1


async def test_a_report_is_printed_with_a_map_of_one_day(
    api: RunningApi, org: Organization
) -> None:
    who = await a_truck(api, org, speed_mps=12.5)
    zone = (
        await org.admin.post("/v1/zones", {"name": "Quarry", "geometry": square(9.1, -0.005)})
    ).json["id"]
    store_visit(api, org, who, zone, at("2026-03-10T06:00"), at("2026-03-10T08:15"))
    pdf: dict[str, Any] = {"accept": "application/pdf"}
    one = await asked_for(org.viewer, "day", "2026-03-10", **pdf)
    assert one.headers["Content-Type"] == "application/pdf"
    assert "report-day-2026-03-10.pdf" in one.headers["Content-Disposition"]
    text = " ".join(pages(one.content))
    for part in ("Acme", "Daily report", "Truck Tue 10 Mar 07:00 20:00 08:00 17:00 60.0", "Quarry"):
        assert part in text
    await a_truck(api, org, "Other")
    for name in ("day", "trips", "stops", "visits", "distance", "utilization", "presence"):
        several = await asked_for(org.viewer, name, "2026-03-10", **pdf)
        assert several.status == 200
        assert "Truck" in " ".join(pages(several.content))
    refused = await asked_for(org.viewer, "day", "2026-03-10", accept="application/geo+json")
    assert refused.status == 406
