"""Few of many stored fixes: those that tell most, the nearest, and those received since."""

from datetime import timedelta
from typing import Any

import numpy as np
import pytest

from db.core import listing
from db.fixes import gps_history, places
from tests.api.running import Answer, Organization, RunningApi
from tests.api.stored import Carried, carried, minute, store_fixes, text

pytestmark = pytest.mark.own_api


def shown(answer: Answer) -> list[str]:
    assert answer.status == 200, answer.content
    return [row["time"] for row in answer.json["data"]]


async def driven(api: RunningApi, org: Organization, *places: tuple[float, float]) -> Carried:
    """Return a machine with a fix each minute, at these places (lon, lat)."""
    who = await carried(org)
    for number, (lon, lat) in enumerate(places):
        store_fixes(api, org, who.tracker_id, [minute(number)], lon=lon, lat=lat)
    return who


async def test_of_many_points_those_stay_that_tell_most(
    api: RunningApi, north: Organization
) -> None:
    corner = [(13.0 + 0.1 * min(n, 3), 52.0 + 0.1 * max(0, n - 3)) for n in range(7)]
    who = await driven(api, north, *corner)
    answer = await north.viewer.get("/v1/gps-events", asset_id=who.asset_id, max_points=3)
    assert shown(answer) == [text(minute(6)), text(minute(3)), text(minute(0))]
    assert (answer.json["total"], answer.json["next_cursor"]) == (7, None)
    oldest_first: dict[str, Any] = {"asset_id": who.asset_id, "max_points": 3, "sort": "time"}
    answer = await north.viewer.get("/v1/gps-events", **oldest_first)
    assert shown(answer) == [text(minute(0)), text(minute(3)), text(minute(6))]
    few = await north.viewer.get("/v1/gps-events", asset_id=who.asset_id, max_points=500)
    assert len(few.json["data"]) == 7


async def test_each_machine_has_its_own_way(api: RunningApi, north: Organization) -> None:
    first = await driven(api, north, (13.0, 52.0), (13.1, 52.0), (13.2, 52.0))
    second = await driven(api, north, (14.0, 52.0), (14.1, 52.0), (14.2, 52.0))
    both: dict[str, Any] = {"asset_id": f"{first.asset_id},{second.asset_id}"}
    answer = await north.viewer.get("/v1/gps-events", **both, max_points=4)
    assert sorted(shown(answer)) == [text(minute(0))] * 2 + [text(minute(2))] * 2
    refused = await north.viewer.get("/v1/gps-events", **both, max_points=3)
    assert (refused.status, refused.json["errors"][0]["parameter"]) == (400, "max_points")


async def test_of_the_fixes_of_a_machine_one_id_is_sorted(
    api: RunningApi, north: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    who = await driven(api, north, *((13.0 + 0.1 * number, 52.0) for number in range(6)))
    sizes, unique = list[int](), np.unique

    def noted(values: Any, **options: Any) -> Any:
        sizes.append(np.size(values))
        return unique(values, **options)

    monkeypatch.setattr(np, "unique", noted)
    answer = await north.viewer.get("/v1/gps-events", asset_id=who.asset_id, max_points=3)
    assert (len(shown(answer)), sizes) == (3, [1])


async def test_points_are_chosen_within_an_area(api: RunningApi, north: Organization) -> None:
    who = await driven(api, north, *((13.0 + 0.001 * number, 52.0) for number in range(6)))
    near: dict[str, Any] = {"asset_id": who.asset_id, "near": "52.0,13.002,100"}
    answer = await north.viewer.get("/v1/gps-events", **near, max_points=2)
    assert shown(answer) == [text(minute(3)), text(minute(1))]
    assert answer.json["total"] == 3


@pytest.mark.parametrize("name", ["limit", "offset", "cursor", "total", "received_after"])
async def test_what_does_not_go_with_max_points(north: Organization, name: str) -> None:
    values: dict[str, Any] = {"total": "none", "received_after": text(minute(0)), "cursor": "x"}
    answer = await north.viewer.get(
        "/v1/gps-events", max_points="5", **{name: values.get(name, "1")}
    )
    assert (answer.status, answer.json["errors"][0]["parameter"]) == (400, name)


async def test_there_may_be_too_many_to_choose_from(
    api: RunningApi, north: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(places, "MOST_PLACES", 2)
    who = await driven(api, north, (13.0, 52.0), (13.1, 52.0), (13.2, 52.0))
    answer = await north.viewer.get("/v1/gps-events", asset_id=who.asset_id, max_points=2)
    assert (answer.status, answer.json["errors"][0]["parameter"]) == (400, "max_points")
    nearest: dict[str, Any] = {
        "lat": 52.0,
        "lon": 13.0,
        "asset_id": who.asset_id,
        "from_": text(minute(0)),
    }
    assert shown(await north.viewer.get("/v1/gps-events/nearest", **nearest, to=text(minute(1))))
    answer = await north.viewer.get(
        "/v1/gps-events/nearest", **nearest, to=text(minute(9)), limit=9
    )
    assert (answer.status, answer.json["errors"][0]["parameter"]) == (400, "to")


async def test_the_nearest_fix_of_each_machine(api: RunningApi, org: Organization) -> None:
    near = await driven(api, org, (13.5, 52.0), (13.001, 52.0), (13.002, 52.0))
    far = await driven(api, org, (13.3, 52.0), (13.2, 52.0), (13.4, 52.0))
    await driven(api, org, (20.0, 52.0))
    place = {"lat": 52.0, "lon": 13.0, "from_": text(minute(0)), "to": text(minute(60))}
    answer = await org.viewer.get("/v1/gps-events/nearest", **place)
    assert [(row["asset_id"], row["time"]) for row in answer.json["data"]] == [
        (near.asset_id, text(minute(1))),
        (far.asset_id, text(minute(1))),
    ]
    first, second = (row["distance_m"] for row in answer.json["data"])
    assert first == pytest.approx(68.7, abs=0.1)
    assert second == pytest.approx(13_732, rel=1e-3)
    one = await org.viewer.get("/v1/gps-events/nearest", **place, limit="1")
    assert [row["asset_id"] for row in one.json["data"]] == [near.asset_id]
    of_one = await org.viewer.get("/v1/gps-events/nearest", **place, asset_id=far.asset_id)
    assert [row["asset_id"] for row in of_one.json["data"]] == [far.asset_id]


async def test_nearest_is_of_a_month_at_most(north: Organization) -> None:
    place = {"lat": 52.0, "lon": 13.0, "from_": "2026-01-01T00:00:00Z"}
    answer = await north.viewer.get("/v1/gps-events/nearest", **place, to="2026-02-02T00:00:00Z")
    assert (answer.status, answer.json["errors"][0]["parameter"]) == (400, "to")


async def test_a_phone_is_near_for_those_who_may_see_it(api: RunningApi, org: Organization) -> None:
    employee = (await org.admin.post("/v1/employees", {"name": "Eva"})).json["id"]
    body = {"employee_id": employee, "assigned_from": "2020-01-01T00:00:00Z"}
    phone = (await org.admin.post("/v1/trackers", body)).json["id"]
    store_fixes(api, org, phone, [minute(0)], lon=13.0, lat=52.0)
    place = {"lat": 52.0, "lon": 13.0, "from_": text(minute(0)), "to": text(minute(60))}
    seen = await org.dispatcher.get("/v1/gps-events/nearest", **place)
    assert [row["tracker_id"] for row in seen.json["data"]] == [phone]
    assert (await org.viewer.get("/v1/gps-events/nearest", **place)).json["data"] == []


async def test_what_was_received_since_comes_in_the_order_of_receipt(
    api: RunningApi, org: Organization
) -> None:
    """A late fix comes when it was received."""
    who, other = await carried(org), await carried(org)
    for number, time in enumerate([5, 1, 9]):
        received_at = minute(100 + number)
        store_fixes(api, org, who.tracker_id, [minute(time)], received_at=received_at)
    store_fixes(api, org, other.tracker_id, [minute(3)], received_at=minute(101.5))
    since = text(minute(100))
    walked = await org.viewer.walk("/v1/gps-events", received_after=since, limit=1)
    assert [row["time"] for row in walked] == [text(minute(number)) for number in (1, 3, 9)]
    again = await org.viewer.get("/v1/gps-events", received_after=walked[-1]["received_at"])
    assert (again.json["data"], again.json["total"]) == ([], 0)
    of_one = await org.viewer.get(
        "/v1/gps-events", received_after=since, asset_id=other.asset_id, to=text(minute(4))
    )
    assert (shown(of_one), of_one.json["total"]) == ([text(minute(3))], 1)


async def test_what_was_received_long_ago_is_found_in_few_looks(
    api: RunningApi, org: Organization
) -> None:
    who = await carried(org)
    store_fixes(api, org, who.tracker_id, [minute(0)], received_at=minute(0))
    long_ago = minute(0) - timedelta(days=3_000)
    answer = await org.viewer.get("/v1/gps-events", received_after=text(long_ago))
    assert shown(answer) == [text(minute(0))]


@pytest.mark.parametrize("name", ["sort", "offset", "bbox", "near"])
async def test_what_does_not_go_with_received_after(north: Organization, name: str) -> None:
    values: dict[str, Any] = {"sort": "time", "offset": "0", "bbox": "1,2,3,4", "near": "1,2,3"}
    answer = await north.viewer.get(
        "/v1/gps-events", received_after=text(minute(0)), **{name: values[name]}
    )
    assert (answer.status, answer.json["errors"][0]["parameter"]) == (400, name)


async def test_in_the_far_future_nothing_was_received(north: Organization) -> None:
    at = "9999-12-31T23:59:59Z"
    answer = await north.viewer.get("/v1/gps-events", received_after=at)
    assert shown(answer) == []


async def test_large_fixes_find_room(
    api: RunningApi, org: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "MAX_PAGE_BYTES", 1_000)
    for number in range(3):
        who = await carried(org)
        large = '{"text": "' + "x" * 600 + '"}'
        store_fixes(
            api, org, who.tracker_id, [minute(number)], lon=13.0, lat=52.0, attributes=large
        )
    place = {"lat": 52.0, "lon": 13.0, "from_": text(minute(0)), "to": text(minute(60))}
    answer = await org.viewer.get("/v1/gps-events/nearest", **place)
    assert len(shown(answer)) == 2
    refused = await org.viewer.get("/v1/gps-events", max_points=6)
    assert (refused.status, refused.json["errors"][0]["parameter"]) == (400, "max_points")
    monkeypatch.setattr(gps_history, "MOST_PLACES", 3)
    walked = await org.viewer.walk("/v1/gps-events", near="52.0,13.0,100", limit=5)
    assert [row["time"] for row in walked] == [text(minute(number)) for number in (2, 1, 0)]
