"""Quarantine, through HTTP: look, release, drop."""

from base64 import b64encode
from hashlib import sha256

import pytest

from telemetry.ids import parse_id
from tests.api.running import Organization, RunningApi
from tests.api.stored import carried, minute, store_refusal, text


async def test_a_refusal_is_shown_with_its_message(api: RunningApi, north: Organization) -> None:
    who = await carried(north)
    row_id = store_refusal(api, north, who.tracker_id, b"[1]", minute(3), positions=[0])
    shown = (await north.viewer.get(f"/v1/quarantine/{row_id}")).json
    assert shown == {
        "id": row_id,
        "tracker_id": who.tracker_id,
        "topic": f"trackers/{who.tracker_id}/fixes",
        "reason": "undecodable",
        "detail": "not JSON",
        "positions": [0],
        "payload": b64encode(b"[1]").decode(),
        "payload_bytes": 3,
        "payload_sha256": sha256(b"[1]").hexdigest(),
        "payload_kept": True,
        "counts_only": False,
        "seen": 1,
        "releases": 0,
        "released_at": None,
        "first_received_at": text(minute(3)),
        "last_received_at": text(minute(3)),
    }
    listed = (await north.viewer.get("/v1/quarantine", tracker_id=who.tracker_id)).json
    del shown["payload"]
    assert listed["data"] == [shown]


async def test_filters_choose_and_the_last_received_comes_first(
    api: RunningApi, north: Organization
) -> None:
    who = await carried(north)
    ids = [
        store_refusal(api, north, who.tracker_id, b"x", minute(number), reason=reason)
        for number, reason in enumerate(["future", "rate", "future", "rate"])
    ]

    async def listed(**filters: object) -> list[str]:
        rows = await north.viewer.walk(
            "/v1/quarantine", tracker_id=who.tracker_id, limit=1, **filters
        )
        return [row["id"] for row in rows]

    assert await listed() == ids[::-1]
    assert await listed(reason="rate") == [ids[3], ids[1]]
    assert await listed(from_=text(minute(1)), to=text(minute(3))) == [ids[2], ids[1]]
    unknown = await north.viewer.get("/v1/quarantine", reason="bad luck")
    assert (unknown.status, unknown.json["errors"][0]["parameter"]) == (400, "reason")


async def test_a_release_puts_the_message_into_the_inbox_once(
    api: RunningApi, north: Organization
) -> None:
    who = await carried(north)
    row_id = store_refusal(api, north, who.tracker_id, b"[2]")
    released = await north.dispatcher.post(f"/v1/quarantine/{row_id}/release", None)
    assert released.status == 202
    assert released.json["releases"] == 1
    assert released.json["released_at"] is not None
    rows = api.sql(
        "SELECT org_id, topic, payload FROM inbox WHERE quarantine_id = %s",
        parse_id("qua", row_id),
    )
    assert rows == [(north.org_id, f"trackers/{who.tracker_id}/fixes", b"[2]")]
    for answer in (
        await north.dispatcher.post(f"/v1/quarantine/{row_id}/release", None),
        await north.dispatcher.delete(f"/v1/quarantine/{row_id}"),
    ):
        assert (answer.status, answer.json["code"]) == (409, "release_waiting")


async def test_what_is_not_kept_cannot_be_released(api: RunningApi, north: Organization) -> None:
    who = await carried(north)
    row_id = store_refusal(api, north, who.tracker_id, None, reason="oversize")
    answer = await north.dispatcher.post(f"/v1/quarantine/{row_id}/release", None)
    assert (answer.status, answer.json["code"]) == (409, "payload_not_kept")
    assert (await north.viewer.get(f"/v1/quarantine/{row_id}")).json["payload"] is None


async def test_what_is_dropped_is_gone(api: RunningApi, north: Organization) -> None:
    who = await carried(north)
    row_id = store_refusal(api, north, who.tracker_id)
    assert (await north.dispatcher.delete(f"/v1/quarantine/{row_id}")).status == 204
    assert (await north.dispatcher.delete(f"/v1/quarantine/{row_id}")).status == 404
    assert (await north.viewer.get(f"/v1/quarantine/{row_id}")).status == 404


@pytest.mark.parametrize("role", ["viewer", "technician"])
async def test_who_reads_only_may_neither_release_nor_drop(
    api: RunningApi, north: Organization, role: str
) -> None:
    who = await carried(north)
    row_id = store_refusal(api, north, who.tracker_id)
    client = getattr(north, role)
    assert (await client.post(f"/v1/quarantine/{row_id}/release", None)).status == 403
    assert (await client.delete(f"/v1/quarantine/{row_id}")).status == 403


async def test_messages_without_an_organization_are_no_tenants(
    api: RunningApi, north: Organization
) -> None:
    who = await carried(north)
    row_id = store_refusal(api, north, who.tracker_id)
    api.sql("UPDATE quarantine SET org_id = NULL WHERE id = %s", parse_id("qua", row_id))
    assert (await north.admin.get(f"/v1/quarantine/{row_id}")).status == 404
    assert (await north.admin.post(f"/v1/quarantine/{row_id}/release", None)).status == 404
