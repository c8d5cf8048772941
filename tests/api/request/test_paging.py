"""Walking through a list while it changes, and what a cursor is good for."""

import re

import pytest
import pytest_asyncio

from api.request import paging
from api.request.paging import MAX_OFFSET
from tests.api.running import Organization, RunningApi
from tests.api.shapes import square
from tests.api.stored import carried, minute, store_fixes, text


async def _zones(org: Organization, n: int) -> list[str]:
    body = {"name": "Zone", "geometry": square()}
    return [(await org.admin.post("/v1/zones", body)).json["id"] for _ in range(n)]


async def test_rows_that_stay_are_shown_once_while_others_come_and_go(api: RunningApi) -> None:
    org = api.organization("Busy")
    before = await _zones(org, 30)
    shown: list[str] = []
    cursor = None
    while True:
        parameters = {"limit": 4} | ({"cursor": cursor} if cursor else {})
        page = (await org.viewer.get("/v1/zones", **parameters)).json
        shown += [zone["id"] for zone in page["data"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
        await _zones(org, 2)
        gone = before.pop(0), before.pop()  # one that is still to come, one already shown or not
        for zone_id in gone:
            await org.admin.delete(f"/v1/zones/{zone_id}")
    assert len(shown) == len(set(shown))
    assert set(before) <= set(shown)


async def test_the_total_is_that_of_the_beginning(api: RunningApi) -> None:
    org = api.organization("Counted")
    await _zones(org, 5)
    first = (await org.viewer.get("/v1/zones", limit=2)).json
    await _zones(org, 1)
    second = (await org.viewer.get("/v1/zones", limit=2, cursor=first["next_cursor"])).json
    assert (first["total"], second["total"]) == (5, 5)
    assert (first["offset"], second["offset"]) == (0, 2)
    assert (await org.viewer.get("/v1/zones", limit=2)).json["total"] == 6


async def test_counting_ends_at_a_bound_unless_the_database_keeps_the_number(
    api: RunningApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paging, "MAX_COUNTED", 2)
    org = api.organization("Many")
    for number in range(3):
        body = {"name": f"Truck {number}", "asset_class": "vehicle"}
        assert (await org.admin.post("/v1/assets", body)).status == 201
    for path, filters, total in (
        ("/v1/assets", {}, (3, False)),
        ("/v1/assets", {"q": "truck 1"}, (1, False)),
        ("/v1/assets", {"q": "truck"}, (2, True)),
        ("/v1/assets/positions", {"q": "truck"}, (2, True)),
    ):
        page = (await org.viewer.get(path, **filters)).json
        assert (page["total"], page["total_is_estimate"]) == total, (path, filters)


@pytest.mark.parametrize(
    ("path", "counts"),
    [("/v1/zones", 1), ("/v1/assets", 1), ("/v1/events", 1), ("/v1/event-types", 0)],
)
async def test_a_total_is_left_out(api: RunningApi, path: str, counts: int) -> None:
    """counts: how many statements count where it is not."""

    def counting(since: int) -> list[str]:
        return [each for each in api.statements[since:] if re.search(r"row_counts|count\(", each)]

    org = api.organization("Uncounted")
    await _zones(org, 3)
    for number in range(3):
        await org.admin.post("/v1/assets", {"name": f"Truck {number}"})
    before = len(api.statements)
    whole = (await org.viewer.get(path)).json
    assert len(counting(before)) == counts
    before = len(api.statements)
    page = (await org.viewer.get(path, total="none", limit=1000)).json
    assert counting(before) == []
    left_out = {"total", "total_is_estimate"}
    assert page.keys() == whole.keys() - left_out
    assert page["data"][:50] == whole["data"]
    assert page["next_cursor"] is None
    refused = await org.viewer.get(path, total="some")
    assert refused.status == 400


async def test_each_request_of_a_walk_chooses_whether_there_is_a_total(api: RunningApi) -> None:
    org = api.organization("Choosy")
    ids = await _zones(org, 3)
    seen: list[str] = []
    cursor: dict[str, str] = {}
    for wanted, total in (({"total": "none"}, None), ({}, 3), ({"total": "none"}, None)):
        page = (await org.viewer.get("/v1/zones", limit=1, **wanted, **cursor)).json
        assert page.get("total") == total
        seen += [zone["id"] for zone in page["data"]]
        cursor = {"cursor": page["next_cursor"]}
    assert seen == ids[::-1]


async def test_offset_and_cursor_walk_the_same_way(api: RunningApi) -> None:
    org = api.organization("Both")
    await _zones(org, 7)
    walked = [zone["id"] for zone in await org.viewer.walk("/v1/zones", limit=3)]
    paged: list[str] = []
    for offset in range(0, 9, 3):
        page = (await org.viewer.get("/v1/zones", limit=3, offset=offset)).json
        paged += [zone["id"] for zone in page["data"]]
        assert (page["offset"], page["total"]) == (offset, 7)
    assert paged == walked
    beyond = (await org.viewer.get("/v1/zones", offset=7)).json
    assert (beyond["data"], beyond["total"], beyond["next_cursor"]) == ([], 7, None)


async def test_an_offset_is_bounded_and_the_refusal_names_the_cursor(
    api: RunningApi, org: Organization
) -> None:
    """The rows before it are read, too, and a walk by cursor reads each row once."""
    assert (await org.viewer.get("/v1/zones", offset=MAX_OFFSET)).status == 200
    refused = await org.viewer.get("/v1/zones", offset=MAX_OFFSET + 1)
    assert (refused.status, refused.json["code"]) == (400, "invalid_parameter")
    (fault,) = refused.json["errors"]
    assert fault["parameter"] == "offset"
    assert "10,000 at most" in fault["message"]
    assert "cursor=<next_cursor>" in fault["message"]
    document = (await org.viewer.get("/openapi.json")).json
    (offset,) = [
        each["schema"]
        for each in document["paths"]["/v1/zones"]["get"]["parameters"]
        if each["name"] == "offset"
    ]
    assert (offset["minimum"], offset["maximum"]) == (0, MAX_OFFSET)


async def test_a_walk_may_begin_at_an_offset_and_change_its_limit(api: RunningApi) -> None:
    org = api.organization("Offset")
    ids = (await _zones(org, 6))[::-1]
    first = (await org.viewer.get("/v1/zones", limit=2, offset=1)).json
    rest = (await org.viewer.get("/v1/zones", limit=50, cursor=first["next_cursor"])).json
    assert [zone["id"] for zone in first["data"] + rest["data"]] == ids[1:]
    assert rest["offset"] == 3


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def cursor(api: RunningApi, north: Organization) -> str:
    """The cursor of page 2 of the fixes within an hour."""
    who = await carried(north)
    store_fixes(api, north, who.tracker_id, [minute(number) for number in range(3)])
    answer = await north.viewer.get("/v1/gps-events", limit=1, from_=text(minute(0)))
    return answer.json["next_cursor"]


async def test_a_cursor_is_bound_to_its_list_and_filters(north: Organization, cursor: str) -> None:
    async def status(path: str, **parameters: str) -> int:
        return (await north.viewer.get(path, cursor=cursor, **parameters)).status

    assert await status("/v1/gps-events", from_=text(minute(0))) == 200
    assert await status("/v1/gps-events", from_=text(minute(0)), limit="3") == 200
    assert await status("/v1/gps-events", from_="2026-03-01T13:00:00+01:00") == 200
    assert await status("/v1/gps-events") == 400
    assert await status("/v1/gps-events", from_=text(minute(1))) == 400
    assert await status("/v1/gps-events", from_=text(minute(0)), to=text(minute(9))) == 400
    assert await status("/v1/visits", from_=text(minute(0))) == 400
    assert await status("/v1/zones") == 400


async def test_a_cursor_that_was_changed_is_a_400(north: Organization, cursor: str) -> None:
    changed = cursor[:-1] + ("A" if cursor[-1] != "A" else "B")
    for bad in (changed, cursor[:-4], cursor + "AAAA", cursor[::-1]):
        answer = await north.viewer.get("/v1/gps-events", from_=text(minute(0)), cursor=bad)
        assert (answer.status, answer.json["errors"][0]["parameter"]) == (400, "cursor")
