"""Alerts, through HTTP: what people do with them, and what stays of it."""

import json
from typing import Any

import pytest

from db.core.ids import new_id
from db.resources.alerts import MAX_LOG
from telemetry.ids import format_id, parse_id
from tests.api.resources.alerting import store_alert
from tests.api.running import Organization, RunningApi
from tests.api.stored import START, carried, minute, store_visit, text


async def test_an_alert_goes_from_hand_to_hand(api: RunningApi, org: Organization) -> None:
    who, zone_id = await carried(org), format_id("zon", new_id())
    visit_id = store_visit(api, org, who, zone_id, minute(1), minute(2))
    alert_id = await store_alert(api, org, visit_id=visit_id, asset_id=who.asset_id)
    path = f"/v1/alerts/{alert_id}"
    shown = (await org.viewer.get(path)).json
    assert (shown["state"], shown["told"], shown["log"]) == ("new", ["enter"], [])
    assert shown["left_at"] == text(minute(2))
    me = (await org.dispatcher.get("/v1/users/me")).json["id"]
    steps: list[tuple[dict[str, Any], str, str | None]] = [
        ({"state": "acknowledged", "text": "I look."}, "acknowledged", None),
        ({"assigned_to": me}, "assigned", me),
        ({"text": "The driver was lost."}, "assigned", me),
        ({"assigned_to": None}, "acknowledged", None),
        ({"assigned_to": me, "state": "resolved"}, "resolved", me),
        ({"assigned_to": None}, "resolved", None),
        ({"state": "new"}, "new", None),
    ]
    changed = None
    for body, state, assignee in steps:
        changed = await org.dispatcher.patch(path, body)
        assert changed.status == 200, changed.json
        assert (changed.json["state"], changed.json["assigned_to"]) == (state, assignee)
    assert changed is not None
    log = (await org.viewer.get(path)).json["log"]
    assert [(entry["state"], entry["assigned_to"]) for entry in log] == [
        (state, assignee) for _, state, assignee in steps
    ]
    assert [entry["text"] for entry in log if entry["text"]] == ["I look.", "The driver was lost."]
    assert {entry["user_id"] for entry in log} == {me}
    assert all(entry["user_name"] for entry in log)
    listed = (await org.viewer.get("/v1/alerts", asset_id=who.asset_id)).json["data"]
    assert listed == [{k: v for k, v in changed.json.items() if k != "log"}]


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"state": "assigned"}, "/assigned_to"),
        ({"state": "closed"}, "/state"),
        ({"text": ""}, "/text"),
        ({"text": "x" * 2_001}, "/text"),
    ],
)
async def test_what_cannot_be_is_refused(
    api: RunningApi, org: Organization, body: dict[str, Any], pointer: str
) -> None:
    alert_id = await store_alert(api, org)
    refused = await org.dispatcher.patch(f"/v1/alerts/{alert_id}", body)
    assert refused.status == 422
    assert [fault["pointer"] for fault in refused.json["errors"]] == [pointer]
    me = (await org.dispatcher.get("/v1/users/me")).json["id"]
    both = {"state": "acknowledged", "assigned_to": me}
    assert (await org.dispatcher.patch(f"/v1/alerts/{alert_id}", both)).status == 422
    assert (await org.viewer.get(f"/v1/alerts/{alert_id}")).json["log"] == []


async def test_who_may_and_for_whom(
    api: RunningApi, org: Organization, south: Organization
) -> None:
    alert_id = await store_alert(api, org)
    path = f"/v1/alerts/{alert_id}"
    assert (await org.viewer.patch(path, {"state": "acknowledged"})).status == 403
    assert (await south.admin.patch(path, {"state": "acknowledged"})).status == 404
    assert (await south.admin.get(path)).status == 404
    stranger = (await south.admin.get("/v1/users/me")).json["id"]
    assert (await org.admin.patch(path, {"assigned_to": stranger})).status == 404
    assert (await org.admin.get(path)).json["state"] == "new"


async def test_lists_are_narrowed(api: RunningApi, org: Organization) -> None:
    ids = [await store_alert(api, org) for _ in range(3)]
    me = (await org.admin.get("/v1/users/me")).json["id"]
    await org.admin.patch(f"/v1/alerts/{ids[0]}", {"state": "resolved"})
    await org.admin.patch(f"/v1/alerts/{ids[1]}", {"assigned_to": me})

    async def found(**query: Any) -> list[str]:
        rows = (await org.viewer.get("/v1/alerts", **query)).json["data"]
        return sorted(row["id"] for row in rows)

    assert await found(open="true") == sorted(ids[1:])
    assert await found(open="false") == ids[:1]
    assert await found(state="assigned") == ids[1:2]
    assert await found(assigned_to=me) == ids[1:2]
    assert await found() == sorted(ids)


async def test_two_who_change_it_at_once_hear_of_each_other(
    api: RunningApi, org: Organization
) -> None:
    path = f"/v1/alerts/{await store_alert(api, org)}"
    known = {"If-Match": (await org.admin.get(path)).headers["etag"]}
    for state, status in (("resolved", 200), ("new", 412)):
        answer = await org.admin.send("PATCH", path, known, json={"state": state})
        assert answer.status == status


async def test_a_log_keeps_the_newest(api: RunningApi, org: Organization) -> None:
    alert_id = await store_alert(api, org)
    entry = {"at": START.isoformat(), "user_id": None, "state": "new"}
    api.sql(
        "UPDATE alerts SET log = %s::jsonb WHERE id = %s RETURNING id",
        json.dumps([entry] * MAX_LOG),
        parse_id("alr", alert_id),
    )
    changed = await org.admin.patch(f"/v1/alerts/{alert_id}", {"text": "one more"})
    assert (changed.status, len(changed.json["log"])) == (200, MAX_LOG)
    assert changed.json["log"][-1]["text"] == "one more"


async def test_only_who_may_work_on_it_gets_it(api: RunningApi, org: Organization) -> None:
    path = f"/v1/alerts/{await store_alert(api, org)}"
    viewer = (await org.viewer.get("/v1/users/me")).json["id"]
    assert (await org.admin.patch(path, {"assigned_to": viewer})).status == 422
    nothing = await org.admin.patch(path, {"assigned_to": None})
    assert (nothing.json["state"], nothing.json["log"]) == ("new", [])


async def test_what_never_was_is_not_opened_again(api: RunningApi, org: Organization) -> None:
    alert_id = await store_alert(api, org)
    api.sql(
        "UPDATE alerts SET retracted = true, state = 'resolved' WHERE id = %s RETURNING id",
        parse_id("alr", alert_id),
    )
    assert (await org.admin.patch(f"/v1/alerts/{alert_id}", {"state": "new"})).status == 422
    noted = await org.admin.patch(f"/v1/alerts/{alert_id}", {"text": "Well."})
    assert noted.status == 200
