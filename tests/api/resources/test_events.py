"""Events, through HTTP."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import pytest

from tests.api.running import Answer, Organization, RunningApi
from tests.api.stored import minute, store_event, text

pytestmark = pytest.mark.own_api


class About(NamedTuple):
    """An organization, and the ids of its things by a name."""

    org: Organization
    ids: dict[str, str]


def _stored(api: RunningApi, org: Organization) -> list[str]:
    """Store events 1 to 9: every third a dwell; and one that has no seq yet."""
    types = ["asset.geofence_breach", "asset.visit_amended", "asset.geofence_dwell"]
    ids = [store_event(api, org, seq, types[(seq - 1) % 3]) for seq in range(1, 10)]
    store_event(api, org, None)
    return ids


@pytest.fixture(scope="module")
def stored(api: RunningApi, north: Organization) -> list[str]:
    """The events of the module."""
    return _stored(api, north)


def seqs(answer: Answer) -> list[int]:
    assert answer.status == 200, answer.content
    return [event["seq"] for event in answer.json["data"]]


async def test_an_event_is_shown_in_its_envelope(api: RunningApi, south: Organization) -> None:
    data: dict[str, Any] = {"zone_name": "Hof ä", "lat": 52.50000000000001, "inferred": None}
    event_id = store_event(api, south, 1, data=data)
    shown = await south.viewer.get(f"/v1/events/{event_id}")
    assert shown.json == {
        "id": event_id,
        "type": "asset.geofence_breach",
        "seq": 1,
        "occurred_at": text(minute(1)),
        "created_at": text(minute(1)),
        "organization_id": south.id,
        "data": data,
    }
    assert (await south.viewer.get("/v1/events")).json["data"] == [shown.json]


@pytest.mark.usefixtures("stored")
async def test_the_newest_come_first(north: Organization) -> None:
    answer = await north.viewer.get("/v1/events", limit=4)
    assert seqs(answer) == [9, 8, 7, 6]
    assert answer.json["total"] == 9


@pytest.mark.usefixtures("stored")
async def test_after_a_seq_they_come_in_order(north: Organization) -> None:
    answer = await north.viewer.get("/v1/events", after=3, limit=4)
    assert seqs(answer) == [4, 5, 6, 7]
    assert answer.json["total"] == 6
    rest = await north.viewer.get("/v1/events", after=3, cursor=answer.json["next_cursor"])
    assert seqs(rest) == [8, 9]
    assert seqs(await north.viewer.get("/v1/events", after=9)) == []
    beyond = await north.viewer.get("/v1/events", after=10)
    assert (beyond.status, beyond.json["errors"][0]["parameter"]) == (400, "after")
    assert "The newest event is 9" in beyond.json["errors"][0]["message"]


@pytest.mark.usefixtures("stored")
@pytest.mark.parametrize(
    ("pattern", "shown"),
    [
        ("asset.geofence_dwell", [3, 6, 9]),
        ("asset.*", list(range(1, 10))),
        ("*", list(range(1, 10))),
    ],
)
async def test_a_type_or_a_group_of_types_is_chosen(
    north: Organization, pattern: str, shown: list[int]
) -> None:
    answer = await north.viewer.get("/v1/events", after=0, type=pattern)
    assert seqs(answer) == shown
    assert answer.json["total"] == len(shown)


@pytest.fixture(scope="module")
def about(api: RunningApi) -> About:
    """Events of an organization of their own about two assets, a zone, two employees."""
    with ThreadPoolExecutor(1) as thread:  # the test's own thread may have a loop already
        return thread.submit(asyncio.run, _about(api)).result()


async def _about(api: RunningApi) -> About:
    org = api.organization("About")
    first, second = [
        (await org.admin.post("/v1/assets", {"name": name})).json["id"] for name in ("A", "B")
    ]
    anna, ben = [
        (await org.admin.post("/v1/employees", {"name": name})).json["id"] for name in ("Anna", "B")
    ]
    order = (await org.admin.post("/v1/work-orders", {"title": "Cable"})).json["id"]
    circle = {"type": "Point", "coordinates": [8.3, 47.05]}
    zone = (
        await org.admin.post("/v1/zones", {"name": "Z", "geometry": circle, "radius_m": 50})
    ).json["id"]
    breach, done = "asset.geofence_breach", "work_order.completed"
    api.sql("DELETE FROM events WHERE org_id = %s", org.org_id)
    for seq, (type_, data) in enumerate(
        [
            (breach, {"asset_id": first, "zone_id": zone}),
            (breach, {"asset_id": second, "zone_id": zone}),
            (done, {"work_order_id": order, "asset_ids": [first, second], "assignee_ids": [anna]}),
            ("employee.punched_in", {"employee_id": anna, "machine_id": second, "zone_id": None}),
            ("employee.punched_in", {"employee_id": ben}),
            (done, {"work_order_id": order, "asset_ids": "none", "assignee_ids": []}),
        ],
        1,
    ):
        store_event(api, org, seq, type_, data)
    names = ("first", "second", "zone", "anna", "ben", "order")
    return About(org, dict(zip(names, (first, second, zone, anna, ben, order), strict=True)))


@pytest.mark.parametrize(
    ("parameters", "shown"),
    [
        ({"asset_id": "first"}, [3, 1]),
        ({"asset_id": "second"}, [4, 3, 2]),
        ({"zone_id": "zone"}, [2, 1]),
        ({"employee_id": "anna"}, [4, 3]),
        ({"employee_id": "ben"}, [5]),
        ({"work_order_id": "order"}, [6, 3]),
        ({"asset_id": "second", "employee_id": "anna"}, [4, 3]),
        ({"asset_id": "second", "employee_id": "anna", "work_order_id": "order"}, [3]),
        ({"asset_id": "first", "employee_id": "ben"}, []),
        ({"asset_id": "second", "types": "work_order.*,asset.geofence_breach"}, [3, 2]),
        ({"asset_id": "second", "after": 2}, [3, 4]),
        ({"types": "work_order.*,asset.geofence_breach"}, [6, 3, 2, 1]),
        ({"types": "work_order.*", "type": "asset.*"}, []),
        ({"types": "work_order.*,*", "type": "employee.*"}, [5, 4]),
        ({"from_": "2026-03-01T12:02:00Z", "to": "2026-03-01T12:05:00Z"}, [4, 3, 2]),
        ({"employee_id": "anna", "from_": "2026-03-01T12:04:00Z"}, [4]),
    ],
)
async def test_events_are_found_by_what_they_are_about(
    about: About, parameters: dict[str, Any], shown: list[int]
) -> None:
    named = {name: about.ids.get(str(value), value) for name, value in parameters.items()}
    answer = await about.org.dispatcher.get("/v1/events", **named)
    assert seqs(answer) == shown
    assert answer.json["total"] == len(shown)
    walked = await about.org.dispatcher.walk("/v1/events", **named, limit=1)
    assert [event["seq"] for event in walked] == shown


async def test_an_id_of_another_organization_is_not_found(
    about: About, north: Organization
) -> None:
    for kind in ("asset", "zone", "employee", "work_order"):
        name = {"asset": "first", "employee": "anna", "work_order": "order"}.get(kind, kind)
        answer = await north.viewer.get("/v1/events", **{f"{kind}_id": about.ids[name]})
        assert (answer.status, answer.json["code"]) == (404, "not_found")


async def test_an_event_without_a_seq_is_not_there_yet(
    api: RunningApi, north: Organization, stored: list[str]
) -> None:
    event_id = store_event(api, north, None)
    assert (await north.viewer.get(f"/v1/events/{event_id}")).status == 404
    assert len(await north.viewer.walk("/v1/events")) == len(stored)


async def test_who_reads_on_from_events_that_are_gone_is_told_so(api: RunningApi) -> None:
    org = api.organization("Acme")
    _stored(api, org)
    api.sql("UPDATE organizations SET event_seq = 9 WHERE org_id = %s", org.org_id)
    for seq, gone in ((4, 4), (9, 9)):
        api.sql("DELETE FROM events WHERE org_id = %s AND seq <= %s", org.org_id, seq)
        answer = await org.viewer.get("/v1/events", after=gone - 1)
        assert (answer.status, answer.json["code"]) == (400, "events_gone")
        assert f"after={gone}" in answer.json["errors"][0]["message"]
        assert seqs(await org.viewer.get("/v1/events", after=gone)) == list(range(gone + 1, 10))
        assert seqs(await org.viewer.get("/v1/events", after=0)) == list(range(gone + 1, 10))
