"""Where assets were last, and in which zones they are, through HTTP."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from telemetry.ids import parse_id
from tests.api.running import Organization, RunningApi
from tests.api.shapes import square
from tests.api.stored import carried, minute, store_fixes, store_visit

NOW = datetime.now(UTC).replace(microsecond=0)
DAY = timedelta(days=1)


async def _last(org: Organization, asset_id: str) -> Any:
    """Return what one asset, a list and the positions show: the same."""
    one = (await org.viewer.get(f"/v1/assets/{asset_id}", include="last_position")).json
    listed = (await org.viewer.get("/v1/assets", include="last_position")).json["data"]
    positions = (await org.viewer.get("/v1/assets/positions")).json["data"]
    (in_list,) = (row["last_position"] for row in listed if row["id"] == asset_id)
    (position,) = (row["position"] for row in positions if row["id"] == asset_id)
    assert one["last_position"] == in_list == position
    return position


def _text(time: datetime) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ")


async def test_the_last_position_is_that_of_the_newest_fix(
    api: RunningApi, north: Organization
) -> None:
    who, other = await carried(north), await carried(north)
    assert await _last(north, who.asset_id) is None
    store_fixes(api, north, who.tracker_id, [NOW - 3 * DAY, NOW - DAY], lat=1, lon=2)
    store_fixes(api, north, other.tracker_id, [NOW], lat=9, lon=9)
    store_fixes(
        api, north, who.tracker_id, [NOW - DAY / 2], lat=3, lon=4, speed_mps=5, course_deg=6
    )
    store_fixes(api, north, who.tracker_id, [NOW - 40 * DAY], lat=7, lon=8)
    assert await _last(north, who.asset_id) == {
        "tracker_id": who.tracker_id,
        "time": _text(NOW - DAY / 2),
        "lat": 3,
        "lon": 4,
        "speed_mps": 5,
        "course_deg": 6,
        "accuracy_m": None,
    }


@pytest.mark.parametrize("days", [1, 3, 29])
async def test_a_fix_of_the_last_month_is_found_whenever_it_was(
    api: RunningApi, north: Organization, days: int
) -> None:
    who = await carried(north)
    store_fixes(api, north, who.tracker_id, [NOW - days * DAY], lat=days)
    assert (await _last(north, who.asset_id))["lat"] == days


async def test_an_older_one_is_found_of_one_asset(api: RunningApi, north: Organization) -> None:
    who, _ = await carried(north), await carried(north)
    store_fixes(api, north, who.tracker_id, [NOW - 90 * DAY, NOW - 91 * DAY], lat=5)
    one = await north.viewer.get(f"/v1/assets/{who.asset_id}", include="last_position")
    assert one.json["last_position"]["time"] == _text(NOW - 90 * DAY)
    rows = (await north.viewer.get("/v1/assets/positions")).json["data"]
    assert [row["position"] for row in rows if row["id"] == who.asset_id] == [None]


async def test_a_fix_that_is_held_to_be_wrong_is_no_position(
    api: RunningApi, north: Organization
) -> None:
    who = await carried(north)
    store_fixes(api, north, who.tracker_id, [NOW - 2 * DAY], lat=1)
    store_fixes(api, north, who.tracker_id, [NOW - DAY], lat=80, flags=1)
    assert (await _last(north, who.asset_id))["lat"] == 1


async def test_an_asset_is_where_it_was_while_it_carried_the_tracker(
    api: RunningApi, north: Organization
) -> None:
    first, second = await carried(north), await carried(north)
    tracker = f"/v1/trackers/{first.tracker_id}"
    store_fixes(api, north, first.tracker_id, [NOW - DAY], lat=1)
    await north.admin.patch(f"/v1/trackers/{second.tracker_id}", {"asset_id": None})
    moved = await north.admin.patch(tracker, {"asset_id": second.asset_id})
    assert moved.status == 200, moved.json
    assert await _last(north, second.asset_id) is None
    assert (await _last(north, first.asset_id))["lat"] == 1
    store_fixes(api, north, first.tracker_id, [datetime.now(UTC) + DAY / 24], lat=2)
    assert (await _last(north, second.asset_id))["lat"] == 2
    assert (await _last(north, first.asset_id))["lat"] == 1


async def test_zones_that_an_asset_is_in_now(api: RunningApi, north: Organization) -> None:
    who = await carried(north)
    body = {"name": "Yard", "geometry": square()}
    zones = [(await north.admin.post("/v1/zones", body)).json["id"] for _ in range(4)]
    store_visit(api, north, who, zones[0], minute(5))
    store_visit(api, north, who, zones[1], minute(0), minute(9))
    store_visit(api, north, who, zones[2], minute(1))
    gone = store_visit(api, north, who, zones[3], minute(1))
    api.sql("UPDATE visits SET retracted = true WHERE id = %s", parse_id("vis", gone))
    one = await north.viewer.get(f"/v1/assets/{who.asset_id}", include="zone_ids")
    assert one.json["zone_ids"] == [zones[2], zones[0]]
    assert "last_position" not in one.json
    plain = (await north.viewer.get(f"/v1/assets/{who.asset_id}")).json
    assert not {"last_position", "zone_ids"} & plain.keys()


async def test_what_moves_by_itself_does_not_stand_in_the_way_of_a_change(
    api: RunningApi, north: Organization
) -> None:
    who = await carried(north)
    path = f"/v1/assets/{who.asset_id}"
    tag = (await north.viewer.get(path)).headers["ETag"]
    store_fixes(api, north, who.tracker_id, [NOW])
    changed = await north.admin.send(
        "PATCH", path, headers={"If-Match": tag}, json={"name": "Lorry"}
    )
    assert changed.status == 200


async def test_positions_are_a_map_where_geojson_is_accepted(api: RunningApi) -> None:
    org = api.organization("Mapped")
    who, silent = await carried(org, "Truck"), await carried(org, "Silent")
    store_fixes(api, org, who.tracker_id, [NOW], lat=47.5, lon=8.25)
    accepted = {"Accept": "application/geo+json"}
    answer = await org.viewer.get("/v1/assets/positions", headers=accepted)
    assert answer.headers["Content-Type"] == "application/geo+json"
    assert "Accept" in answer.headers["Vary"].split(", ")
    found = answer.json
    assert (found["type"], found["total"], found["next_cursor"]) == ("FeatureCollection", 2, None)
    nowhere, truck = found["features"]
    assert nowhere == {
        "type": "Feature",
        "id": silent.asset_id,
        "geometry": None,
        "properties": {"name": "Silent"},
    }
    assert truck["geometry"] == {"type": "Point", "coordinates": [8.25, 47.5]}
    assert truck["properties"] == {
        "name": "Truck",
        "tracker_id": who.tracker_id,
        "time": _text(NOW),
        "speed_mps": None,
        "course_deg": None,
        "accuracy_m": None,
    }
    again = {**accepted, "If-None-Match": answer.headers["ETag"]}
    assert (await org.viewer.get("/v1/assets/positions", headers=again)).status == 304


@pytest.mark.parametrize(
    ("accept", "is_geojson"),
    [
        ("*/*", False),
        ("application/json", False),
        ("application/geo+json, application/json", False),
        ("application/geo+json, application/json;q=0.9", True),
        ("application/json;q=0.5, application/geo+json;q=0.4", False),
        ("text/html, APPLICATION/GEO+JSON ; q=0.1, */*;q=0.05", True),
        ("text/html, APPLICATION/GEO+JSON ; q=0.1, */*", False),
        ("application/geo+json, */*", True),
        ("application/json, */*, application/geo+json;q=0.9", False),
        ("application/geo+json;q=0", False),
        ("application/geo+json;q=nonsense", False),
        ("", False),
    ],
)
async def test_the_accepted_type_of_the_highest_quality_counts(
    north: Organization, accept: str, is_geojson: bool
) -> None:
    answer = await north.viewer.get("/v1/assets/positions", headers={"Accept": accept})
    wanted = "application/geo+json" if is_geojson else "application/json"
    assert answer.headers["Content-Type"] == wanted
