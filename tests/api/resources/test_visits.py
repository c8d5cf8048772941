"""Visits, through HTTP."""

from telemetry.ids import parse_id
from tests.api.running import Organization, RunningApi
from tests.api.shapes import square
from tests.api.stored import Carried, carried, minute, store_visit, text


async def a_zone(org: Organization) -> str:
    return (await org.admin.post("/v1/zones", {"name": "x", "geometry": square()})).json["id"]


async def test_a_visit_is_shown_with_both_its_ends(api: RunningApi, north: Organization) -> None:
    who, zone_id = await carried(north), await a_zone(north)
    visit_id = store_visit(api, north, who, zone_id, minute(1), minute(2))
    shown = await north.viewer.get(f"/v1/visits/{visit_id}")
    assert shown.json == {
        "id": visit_id,
        "asset_id": who.asset_id,
        "zone_id": zone_id,
        "zone_version": 1,
        "tracker_id": who.tracker_id,
        "entered_at": text(minute(1)),
        "entry_lat": 52.5,
        "entry_lon": 13.4,
        "entry_cause": "moved",
        "entry_inferred": None,
        "dwelled_at": None,
        "overspeed_at": None,
        "overspeed_mps": None,
        "left_at": text(minute(2)),
        "duration_s": 60,
        "exit_lat": 52.6,
        "exit_lon": 13.5,
        "exit_cause": "moved",
        "exit_inferred": None,
        "exit_tracker_id": None,
        "revision": 1,
        "retracted": False,
    }
    assert (await north.viewer.get("/v1/visits", asset_id=who.asset_id)).json["data"] == [
        shown.json
    ]


async def test_a_visit_that_lasts_has_no_end(api: RunningApi, north: Organization) -> None:
    who, zone_id = await carried(north), await a_zone(north)
    visit_id = store_visit(api, north, who, zone_id, minute(1))
    shown = (await north.viewer.get(f"/v1/visits/{visit_id}")).json
    of_an_end = ("left_at", "exit_lat", "exit_lon", "exit_cause", "exit_tracker_id")
    assert [shown[name] for name in of_an_end] == [None] * 5


async def test_a_visit_says_whose_fix_ended_it(api: RunningApi, north: Organization) -> None:
    who, other, zone_id = await carried(north), await carried(north), await a_zone(north)
    visit_id = store_visit(api, north, who, zone_id, minute(1), minute(2))
    api.sql(
        "UPDATE visits SET exit_tracker_id = %s, exit_fix_time = %s, exit_fix_seq = 7"
        " WHERE id = %s",
        parse_id("trk", other.tracker_id),
        minute(2),
        parse_id("vis", visit_id),
    )
    shown = (await north.viewer.get(f"/v1/visits/{visit_id}")).json
    assert shown["exit_tracker_id"] == other.tracker_id


async def test_a_visit_says_what_was_inferred_and_when_it_was_a_dwell_or_too_fast(
    api: RunningApi, north: Organization
) -> None:
    who, zone_id = await carried(north), await a_zone(north)
    visit_id = store_visit(api, north, who, zone_id, minute(1), minute(40))
    api.sql(
        "UPDATE visits SET entry_inferred = 'segment', exit_inferred = 'timer', dwelled_at = %s,"
        " overspeed_at = %s, overspeed_mps = 16.7,"
        " entry_cause = 'reassigned', exit_cause = 'silence' WHERE id = %s",
        minute(31),
        minute(32),
        parse_id("vis", visit_id),
    )
    shown = (await north.viewer.get(f"/v1/visits/{visit_id}")).json
    assert (shown["entry_inferred"], shown["entry_cause"]) == ("segment", "reassigned")
    assert (shown["exit_inferred"], shown["exit_cause"]) == ("timer", "silence")
    assert shown["dwelled_at"] == text(minute(31))
    assert (shown["overspeed_at"], shown["overspeed_mps"]) == (text(minute(32)), 16.7)


async def test_a_window_shows_the_visits_that_were_open_at_its_edges(
    api: RunningApi, north: Organization
) -> None:
    zone_id = await a_zone(north)

    async def visit(begin: int, end: int | None) -> str:
        who: Carried = await carried(north)
        left = None if end is None else minute(end)
        return store_visit(api, north, who, zone_id, minute(begin), left)

    await visit(0, 10)  # ends as the window begins
    over_the_beginning = await visit(5, 15)
    instant = await visit(10, 10)
    within = await visit(12, 13)
    over_it_all = await visit(1, None)
    over_the_end = await visit(18, 25)
    await visit(20, 30)  # begins as the window ends
    answer = await north.viewer.get(
        "/v1/visits", zone_id=zone_id, from_=text(minute(10)), to=text(minute(20))
    )
    expected = [over_the_end, within, instant, over_the_beginning, over_it_all]
    assert [visit["id"] for visit in answer.json["data"]] == expected
    assert answer.json["total"] == 5


async def test_visits_are_filtered_by_asset_and_zone(api: RunningApi, north: Organization) -> None:
    first, second = await carried(north), await carried(north)
    here, there = await a_zone(north), await a_zone(north)
    wanted = store_visit(api, north, first, here, minute(0), minute(1))
    store_visit(api, north, first, there, minute(0), minute(1))
    store_visit(api, north, second, here, minute(0), minute(1))
    answer = await north.viewer.get("/v1/visits", asset_id=first.asset_id, zone_id=here)
    assert [visit["id"] for visit in answer.json["data"]] == [wanted]


async def test_the_visits_of_a_deleted_zone_stay(api: RunningApi, north: Organization) -> None:
    who, zone_id = await carried(north), await a_zone(north)
    visit_id = store_visit(api, north, who, zone_id, minute(0), minute(1))
    await north.admin.delete(f"/v1/zones/{zone_id}")
    answer = await north.viewer.get("/v1/visits", zone_id=zone_id)
    assert [visit["id"] for visit in answer.json["data"]] == [visit_id]


async def test_visits_that_never_were_are_listed_only_when_asked_for(
    api: RunningApi, north: Organization
) -> None:
    who, zone_id = await carried(north), await a_zone(north)
    stays = store_visit(api, north, who, zone_id, minute(0), minute(1))
    never = store_visit(api, north, who, zone_id, minute(2), minute(3))
    api.sql("UPDATE visits SET retracted = true WHERE id = %s", parse_id("vis", never))
    for asked, expected in ({}, stays), ({"retracted": "true"}, never):
        answer = await north.viewer.get("/v1/visits", zone_id=zone_id, **asked)
        assert [visit["id"] for visit in answer.json["data"]] == [expected]
        assert answer.json["total"] == 1
    assert (await north.viewer.get(f"/v1/visits/{never}")).json["retracted"] is True


async def test_open_visits_say_who_is_where_now(api: RunningApi) -> None:
    org = api.organization("Dispatched")
    body = {"name": "Yard", "geometry": square()}
    yard, pit = [(await org.admin.post("/v1/zones", body)).json["id"] for _ in range(2)]
    who = await carried(org)
    here = store_visit(api, org, who, yard, minute(3))
    there = store_visit(api, org, who, pit, minute(4))
    gone = store_visit(api, org, who, yard, minute(0), minute(1.5))
    for filters, ids in (
        ({"open": "true"}, [there, here]),
        ({"open": "true", "zone_id": yard}, [here]),
        ({"open": "false"}, [gone]),
        ({"open": "false", "zone_id": pit}, []),
        ({}, [there, here, gone]),
    ):
        listed = (await org.viewer.get("/v1/visits", **filters)).json
        assert [row["id"] for row in listed["data"]] == ids, filters
        assert listed["total"] == len(ids)
    rows = (await org.viewer.get("/v1/visits")).json["data"]
    assert [row["duration_s"] for row in rows] == [None, None, 90]
