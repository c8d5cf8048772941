"""Events, through HTTP."""

from typing import Any

import pytest

from tests.api.running import Answer, Organization, RunningApi
from tests.api.stored import minute, store_event, text

pytestmark = pytest.mark.own_api


@pytest.fixture(scope="module")
def stored(api: RunningApi, north: Organization) -> list[str]:
    """Events 1 to 9: every third a dwell; and one that has no seq yet."""
    types = ["asset.geofence_breach", "asset.visit_amended", "asset.geofence_dwell"]
    ids = [store_event(api, north, seq, types[(seq - 1) % 3]) for seq in range(1, 10)]
    store_event(api, north, None)
    return ids


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


async def test_an_event_without_a_seq_is_not_there_yet(
    api: RunningApi, north: Organization, stored: list[str]
) -> None:
    event_id = store_event(api, north, None)
    assert (await north.viewer.get(f"/v1/events/{event_id}")).status == 404
    assert len(await north.viewer.walk("/v1/events")) == len(stored)


@pytest.mark.usefixtures("stored")
async def test_who_reads_on_from_events_that_are_gone_is_told_so(
    api: RunningApi, north: Organization
) -> None:
    api.sql("UPDATE organizations SET event_seq = 9")
    for seq, gone in ((4, 4), (9, 9)):
        api.sql("DELETE FROM events WHERE seq <= %s", seq)
        answer = await north.viewer.get("/v1/events", after=gone - 1)
        assert (answer.status, answer.json["code"]) == (400, "events_gone")
        assert f"after={gone}" in answer.json["errors"][0]["message"]
        assert seqs(await north.viewer.get("/v1/events", after=gone)) == list(range(gone + 1, 10))
        assert seqs(await north.viewer.get("/v1/events", after=0)) == list(range(gone + 1, 10))
