"""Stored fixes, through HTTP."""

from typing import Any

import pytest

from api.documents.file_forms import FIX_FORMS
from api.resources import gps_areas
from telemetry.ids import parse_id
from tests.api.running import Answer, Organization, RunningApi
from tests.api.shapes import square
from tests.api.stored import carried, minute, store_fixes, store_visit, text

pytestmark = pytest.mark.own_api


def times(answer: Answer) -> list[str]:
    assert answer.status == 200, answer.content
    return [row["time"] for row in answer.json["data"]]


async def zone_of_old(org: Organization) -> str:
    """Return a zone that was there before all fixes."""
    body = {"name": "x", "geometry": square(), "valid_from": "2020-01-01T00:00:00Z"}
    return (await org.admin.post("/v1/zones", body)).json["id"]


async def test_a_fix_is_shown_as_it_was_sent(api: RunningApi, north: Organization) -> None:
    who = await carried(north)
    columns: dict[str, Any] = {
        "altitude_m": 35.5,
        "speed_mps": 12.3,
        "course_deg": 271.0,
        "accuracy_m": 4.7,
        "battery_pct": 88.0,
        "satellites": 9,
        "ignition": True,
        "attributes": '{"fuel": 0.1}',
        "flags": 1,
    }
    store_fixes(api, north, who.tracker_id, [minute(0.125)], **columns)
    listed = await north.viewer.get("/v1/gps-events", tracker_id=who.tracker_id)
    (fix,) = listed.json["data"]
    assert fix.pop("id").startswith("fix_")
    assert fix == {
        "tracker_id": who.tracker_id,
        "asset_id": who.asset_id,
        "time": "2026-03-01T12:00:07.500Z",
        "seq": 0,
        "received_at": "2026-03-01T12:00:00Z",
        "lat": 52.5,
        "lon": 13.4,
        "altitude_m": 35.5,
        "speed_mps": 12.3,
        "course_deg": 271.0,
        "accuracy_m": 4.7,
        "satellites": 9,
        "battery_pct": 88.0,
        "ignition": True,
        "attributes": {"fuel": 0.1},
        "suspect": True,
        "rollover": False,
        "unauthenticated": False,
        "uploaded": False,
    }


async def test_what_is_not_known_is_null(api: RunningApi, north: Organization) -> None:
    who = await carried(north)
    store_fixes(api, north, who.tracker_id, [minute(0)])
    (fix,) = (await north.viewer.get("/v1/gps-events", tracker_id=who.tracker_id)).json["data"]
    unknown = ["altitude_m", "speed_mps", "course_deg", "accuracy_m", "satellites", "battery_pct"]
    assert [fix[name] for name in [*unknown, "ignition"]] == [None] * 7
    assert fix["attributes"] == {}


async def test_newest_come_first_within_a_window_whose_end_is_left_out(
    api: RunningApi, north: Organization
) -> None:
    who = await carried(north)
    store_fixes(api, north, who.tracker_id, [minute(number) for number in range(5)])
    window = {"from_": text(minute(1)), "to": text(minute(3))}
    answer = await north.viewer.get("/v1/gps-events", tracker_id=who.tracker_id, **window)
    assert times(answer) == [text(minute(2)), text(minute(1))]
    assert answer.json["total"] == 2


async def test_a_window_may_be_given_in_any_zone(api: RunningApi, north: Organization) -> None:
    who = await carried(north)
    store_fixes(api, north, who.tracker_id, [minute(0), minute(1)])
    answer = await north.viewer.get(
        "/v1/gps-events", asset_id=who.asset_id, from_="2026-03-01T14:01:00+02:00"
    )
    assert times(answer) == [text(minute(1))]


async def test_the_history_of_an_asset_follows_its_trackers(
    api: RunningApi, north: Organization
) -> None:
    first, second = await carried(north), await carried(north)
    assignments = "UPDATE tracker_assignments SET assigned_to = %s WHERE tracker_id = %s"
    api.sql(assignments, minute(2), first.tracker)
    api.sql(assignments, minute(2), second.tracker)
    for tracker, asset in (
        (first.tracker_id, second.asset_id),
        (second.tracker_id, first.asset_id),
    ):
        body = {"asset_id": asset, "assigned_from": text(minute(2))}
        moved = await north.admin.patch(f"/v1/trackers/{tracker}", body)
        assert moved.status == 200
    for tracker in (first.tracker_id, second.tracker_id):
        store_fixes(api, north, tracker, [minute(1), minute(2)])
    listed = (await north.viewer.get("/v1/gps-events", asset_id=first.asset_id)).json["data"]
    assert [(fix["tracker_id"], fix["time"]) for fix in listed] == [
        (second.tracker_id, text(minute(2))),
        (first.tracker_id, text(minute(1))),
    ]
    assert {fix["asset_id"] for fix in listed} == {first.asset_id}
    of_tracker = await north.viewer.get("/v1/gps-events", tracker_id=first.tracker_id)
    carriers = [fix["asset_id"] for fix in of_tracker.json["data"]]
    assert carriers == [second.asset_id, first.asset_id]
    both = {"tracker_id": first.tracker_id, "asset_id": second.asset_id}
    assert times(await north.viewer.get("/v1/gps-events", **both)) == [text(minute(2))]


async def test_fixes_of_a_tracker_without_an_asset_have_none(
    api: RunningApi, north: Organization
) -> None:
    tracker_id = (await north.admin.post("/v1/trackers", {})).json["id"]
    store_fixes(api, north, tracker_id, [minute(0)])
    (fix,) = (await north.viewer.get("/v1/gps-events", tracker_id=tracker_id)).json["data"]
    assert fix["asset_id"] is None


async def test_a_zone_shows_the_fixes_within_its_visits(
    api: RunningApi, north: Organization
) -> None:
    who, other = await carried(north), await carried(north)
    zone_id = await zone_of_old(north)
    store_visit(api, north, who, zone_id, minute(1), minute(3))
    store_visit(api, north, who, zone_id, minute(5))
    store_visit(api, north, other, zone_id, minute(2), minute(4))
    for tracker in (who.tracker_id, other.tracker_id):
        store_fixes(api, north, tracker, [minute(number) for number in range(7)])

    async def shown(**parameters: str) -> list[tuple[str, str]]:
        answer = await north.viewer.get("/v1/gps-events", zone_id=zone_id, **parameters)
        assert answer.json["total"] == len(answer.json["data"])
        return [(fix["asset_id"], fix["time"]) for fix in answer.json["data"]]

    def at(carrier: str, *numbers: int) -> list[tuple[str, str]]:
        return [(carrier, text(minute(number))) for number in numbers]

    assert sorted(await shown()) == sorted(at(who.asset_id, 1, 2, 5, 6) + at(other.asset_id, 2, 3))
    assert await shown(asset_id=other.asset_id) == at(other.asset_id, 3, 2)
    assert await shown(tracker_id=who.tracker_id) == at(who.asset_id, 6, 5, 2, 1)
    window = {"from_": text(minute(2)), "to": text(minute(6))}
    assert await shown(asset_id=who.asset_id, **window) == at(who.asset_id, 5, 2)


async def test_the_fixes_of_a_zone_are_counted_up_to_a_bound(
    api: RunningApi, north: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gps_areas, "_MOST_COUNTED_IN_VISITS", 2)
    who = await carried(north)
    zone_id = await zone_of_old(north)
    store_visit(api, north, who, zone_id, minute(0))
    store_fixes(api, north, who.tracker_id, [minute(number) for number in range(3)])
    page = (await north.viewer.get("/v1/gps-events", zone_id=zone_id)).json
    assert (len(page["data"]), page["total"], page["total_is_estimate"]) == (3, 2, True)


@pytest.mark.parametrize("trackers", [1, 1_000_000])
async def test_fixes_of_one_instant_are_walked_once_each_by_a_large_tenant_and_a_small_one(
    api: RunningApi, org: Organization, south: Organization, trackers: int
) -> None:
    api.sql("UPDATE pg_class SET reltuples = %s WHERE relname = 'trackers'", trackers)
    many = [await carried(org) for _ in range(5)]
    for who in many:
        store_fixes(api, org, who.tracker_id, [minute(0), minute(1)])
    other = await carried(south)
    store_fixes(api, south, other.tracker_id, [minute(0), minute(1)])
    window = {"from_": text(minute(0)), "to": text(minute(2))}
    walked = await org.viewer.walk("/v1/gps-events", limit=3, **window)
    assert len({row["id"] for row in walked}) == len(walked) == 10
    assert {row["tracker_id"] for row in walked} == {who.tracker_id for who in many}
    assert [row["time"] for row in walked] == sorted((row["time"] for row in walked), reverse=True)
    paged = [
        row["id"]
        for offset in (0, 4, 8)
        for row in (await org.viewer.get("/v1/gps-events", limit=4, offset=offset, **window)).json[
            "data"
        ]
    ]
    assert paged == [row["id"] for row in walked]
    everything = (await org.viewer.get("/v1/gps-events", limit=1000)).json
    assert [row["id"] for row in everything["data"]][:10] == paged
    assert everything["total"] == len(everything["data"])


async def test_a_walk_by_asset_and_by_zone_shows_each_fix_once(
    api: RunningApi, north: Organization
) -> None:
    who = await carried(north)
    zone_id = await zone_of_old(north)
    for begin in (0, 10, 20):
        store_visit(api, north, who, zone_id, minute(begin), minute(begin + 5))
    store_fixes(api, north, who.tracker_id, [minute(number) for number in range(30)])
    by_asset = await north.viewer.walk("/v1/gps-events", limit=7, asset_id=who.asset_id)
    assert [row["time"] for row in by_asset] == [
        text(minute(number)) for number in range(29, -1, -1)
    ]
    by_zone = await north.viewer.walk("/v1/gps-events", limit=4, zone_id=zone_id)
    inside = [number for number in range(29, -1, -1) if number % 10 < 5]
    assert [row["time"] for row in by_zone] == [text(minute(number)) for number in inside]


@pytest.mark.parametrize("trackers", [1, 1_000_000])
async def test_the_oldest_come_first_where_that_is_asked(api: RunningApi, trackers: int) -> None:
    org = api.organization("Old")
    api.sql("UPDATE pg_class SET reltuples = %s WHERE relname = 'trackers'", trackers)
    first, second = await carried(org), await carried(org)
    zone_id = await zone_of_old(org)
    store_visit(api, org, first, zone_id, minute(1), minute(30))
    numbers = [0, 1, 2, 3, 10, 20, 100, 5_000, 50_000, 50_001, 300_000]
    for who in (first, second):
        store_fixes(api, org, who.tracker_id, [minute(number) for number in numbers])
    since, until = text(minute(2)), text(minute(50_001))
    cases: list[tuple[int, dict[str, str]]] = [
        (22, {}),
        (11, {"tracker_id": first.tracker_id}),
        (11, {"asset_id": second.asset_id}),
        (5, {"zone_id": zone_id}),
        (18, {"from_": since}),
        (14, {"from_": since, "to": until}),
        (18, {"from_": "2001-01-01T00:00:00Z", "to": until}),
    ]
    for rows, wanted in cases:
        newest_first = await org.viewer.walk("/v1/gps-events", limit=4, **wanted)
        oldest_first = await org.viewer.walk("/v1/gps-events", limit=3, sort="time", **wanted)
        assert len(newest_first) == rows
        assert oldest_first == newest_first[::-1]
        assert [row["time"] for row in oldest_first] == sorted(row["time"] for row in oldest_first)
        behind = await org.viewer.get("/v1/gps-events", sort="time", offset=2, limit=2, **wanted)
        assert behind.json["data"] == oldest_first[2:4]
    nothing = {"sort": "time", "to": "2001-01-01T00:00:00Z"}
    assert (await org.viewer.get("/v1/gps-events", **nothing)).json["data"] == []
    cursor = (await org.viewer.get("/v1/gps-events", limit=1)).json["next_cursor"]
    other = await org.viewer.get("/v1/gps-events", limit=1, sort="time", cursor=cursor)
    assert other.status == 400


async def test_two_fixes_of_one_instant_are_told_apart_by_seq(
    api: RunningApi, north: Organization
) -> None:
    who = await carried(north)
    store_fixes(api, north, who.tracker_id, [minute(0)])
    api.sql(
        "INSERT INTO gps_events (org_id, tracker_id, time, seq, received_at, lat, lon)"
        " VALUES (%s, %s, %s, 1, now(), 1, 1)",
        north.org_id,
        parse_id("trk", who.tracker_id),
        minute(0),
    )
    rows = await north.viewer.walk("/v1/gps-events", limit=1, tracker_id=who.tracker_id)
    assert [row["seq"] for row in rows] == [1, 0]
    assert rows[0]["id"] != rows[1]["id"]


@pytest.mark.parametrize("media_type", ["application/pdf", "image/*", "application/json;q=0"])
async def test_an_export_that_there_is_not_is_a_406(north: Organization, media_type: str) -> None:
    answer = await north.viewer.get("/v1/gps-events", {"Accept": media_type})
    assert answer.status == 406
    assert answer.json["media_types"] == ["application/json", *FIX_FORMS]
    for accepted in ("*/*", "application/*", "text/csv;q=0.1, application/json"):
        answer = await north.viewer.get("/v1/gps-events", {"Accept": accepted})
        assert (answer.status, answer.headers["Content-Type"]) == (200, "application/json")
