"""Deliveries, tests, recovery and statistics of webhooks, through HTTP."""

from typing import Any

import pytest

from api.openapi.event_types import EVENT_TYPES
from db.core.ids import new_id
from db.delivery.endpoint_hours import CLASSES
from telemetry.ids import format_id, parse_id
from tests.api.running import Client, Organization, RunningApi
from tests.api.stored import store_event

pytestmark = pytest.mark.own_api

ENDPOINTS, DELIVERIES = "/v1/webhook-endpoints", "/v1/webhook-deliveries"
HOOK = {"url": "https://hooks.example.com/", "types": ["*"]}


@pytest.fixture
def north(api: RunningApi) -> Organization:
    """An organization without deliveries of other tests."""
    return api.organization("North")


async def _endpoint(org: Organization) -> str:
    return (await org.admin.post(ENDPOINTS, HOOK)).json["id"]


def _delivery(api: RunningApi, org: Organization, endpoint: str, *, state: str = "failed") -> str:
    """Store an event and its delivery; return the delivery's id."""
    ((seq,),) = api.sql(
        "SELECT coalesce(max(seq), 0) + 1 FROM events WHERE org_id = %s", parse_id("org", org.id)
    )
    event = store_event(api, org, seq)
    ((delivery_id,),) = api.sql(
        "INSERT INTO webhook_deliveries (org_id, endpoint_id, event_id, seq, state, attempts,"
        " last_status) VALUES (%s, %s, %s, %s, %s, 8, 503) RETURNING id",
        parse_id("org", org.id),
        parse_id("whe", endpoint),
        parse_id("evt", event),
        seq,
        state,
    )
    return format_id("dlv", delivery_id)


async def _states(client: Client, **query: str) -> list[str]:
    listed = await client.get(DELIVERIES, limit=1000, **query)
    assert listed.status == 200, listed.json
    return [each["state"] for each in listed.json["data"]]


async def test_deliveries_are_listed_newest_first_and_filtered(
    api: RunningApi, north: Organization
) -> None:
    first, second = await _endpoint(north), await _endpoint(north)
    ids = [
        _delivery(api, north, endpoint, state=state)
        for endpoint, state in ((first, "failed"), (second, "pending"), (first, "delivered"))
    ]
    listed = (await north.viewer.get(DELIVERIES)).json
    assert [each["id"] for each in listed["data"]] == ids[::-1]
    assert listed["total"] == 3
    assert await _states(north.viewer, endpoint_id=first) == ["delivered", "failed"]
    assert await _states(north.viewer, state="pending") == ["pending"]
    assert await _states(north.viewer, endpoint_id=second, state="failed") == []
    shown = (await north.viewer.get(f"{DELIVERIES}/{ids[1]}")).json
    assert shown["attempts"] == []
    assert shown["next_attempt_at"] is not None
    assert await _states(north.viewer, event_id=shown["event_id"]) == ["pending"]
    assert len(await _states(north.viewer, type=shown["type"])) == 3
    assert len(await _states(north.viewer, type="asset.*")) == 3
    assert await _states(north.viewer, type="stock.low") == []
    at = shown["created_at"]
    assert await _states(north.viewer, **{"from": at}) == ["delivered", "pending"]
    assert await _states(north.viewer, to=at) == ["failed"]
    page = (await north.viewer.get(DELIVERIES, limit=2)).json
    rest = (await north.viewer.get(DELIVERIES, limit=2, cursor=page["next_cursor"])).json
    assert [each["id"] for each in page["data"] + rest["data"]] == ids[::-1]


@pytest.mark.parametrize("query", [{"state": "lost"}, {"type": "x.y"}, {"from": "yesterday"}])
async def test_a_bad_filter_is_a_400(north: Organization, query: dict[str, str]) -> None:
    assert (await north.viewer.get(DELIVERIES, **query)).status == 400


async def test_one_delivery_shows_its_attempts(api: RunningApi, north: Organization) -> None:
    delivery = _delivery(api, north, await _endpoint(north))
    for number, (status, error) in enumerate([(503, None), (None, "no answer")]):
        api.sql(
            "INSERT INTO webhook_attempts VALUES"
            " (%s, %s, now() + make_interval(secs => %s), %s, %s, %s, %s, %s, now())",
            parse_id("org", north.id),
            parse_id("dlv", delivery),
            number,
            status,
            None if status is None else 41,
            error,
            None if status is None else '{"server": "x"}',
            None if status is None else "try later",
        )
    refused, silent = (await north.dispatcher.get(f"{DELIVERIES}/{delivery}")).json["attempts"]
    assert (refused["status"], refused["duration_ms"]) == (503, 41)
    assert refused["response_headers"] == {"server": "x"}
    assert refused["response_body"] == "try later"
    assert (silent["status"], silent["duration_ms"], silent["error"]) == (None, None, "no answer")
    assert silent["response_headers"] is None


@pytest.mark.parametrize("state", ["failed", "delivered", "pending"])
async def test_a_delivery_is_sent_again_whatever_became_of_it(
    api: RunningApi, north: Organization, state: str
) -> None:
    delivery = _delivery(api, north, await _endpoint(north), state=state)
    path = f"{DELIVERIES}/{delivery}"
    for client in (north.viewer, north.technician, north.dispatcher):
        assert (await client.send("POST", f"{path}/resend")).status == 403
    answer = await north.admin.send("POST", f"{path}/resend")
    assert answer.status == 202
    assert (answer.json["state"], answer.json["attempt_count"]) == ("pending", 0)
    assert answer.json["next_attempt_at"] is not None


async def test_what_is_being_attempted_is_not_sent_twice(
    api: RunningApi, north: Organization
) -> None:
    delivery = _delivery(api, north, await _endpoint(north), state="pending")
    api.sql(
        "UPDATE webhook_deliveries SET claimed_until = now() + interval '1 minute' WHERE id = %s",
        parse_id("dlv", delivery),
    )
    answer = await north.admin.send("POST", f"{DELIVERIES}/{delivery}/resend")
    assert (answer.status, answer.json["attempt_count"]) == (202, 0)
    ((is_claimed,),) = api.sql(
        "SELECT claimed_until > now() FROM webhook_deliveries WHERE id = %s",
        parse_id("dlv", delivery),
    )
    assert is_claimed


async def test_nothing_is_sent_to_an_endpoint_that_is_disabled(
    api: RunningApi, north: Organization
) -> None:
    endpoint = await _endpoint(north)
    delivery = _delivery(api, north, endpoint)
    path = f"{ENDPOINTS}/{endpoint}"
    assert (await north.admin.patch(path, {"state": "disabled"})).status == 200
    recovery = {"since": "2020-01-01T00:00:00Z", "confirm": True}
    for answer in (
        await north.admin.send("POST", f"{DELIVERIES}/{delivery}/resend"),
        await north.admin.post(f"{path}/test", {"type": "stock.low"}),
        await north.admin.post(f"{path}/recover", recovery),
    ):
        assert (answer.status, answer.json["code"]) == (409, "endpoint_not_active")
    assert await _states(north.viewer, endpoint_id=endpoint) == ["failed"]


async def test_recovery_says_how_many_failed_and_sends_them_when_that_is_confirmed(
    api: RunningApi, north: Organization
) -> None:
    endpoint, other = await _endpoint(north), await _endpoint(north)
    before = _delivery(api, north, endpoint)
    since = (await north.viewer.get(f"{DELIVERIES}/{before}")).json["created_at"]
    old = _delivery(api, north, endpoint)
    api.sql(
        "UPDATE webhook_deliveries SET created_at = '2026-01-01T00:00:00Z',"
        " id = '019b7000-0000-7000-8000-000000000000' WHERE id = %s",
        parse_id("dlv", old),
    )
    _delivery(api, north, endpoint, state="delivered")
    _delivery(api, north, other)
    path = f"{ENDPOINTS}/{endpoint}/recover"
    assert (await north.dispatcher.post(path, {"since": since})).status == 403
    asked = await north.admin.post(path, {"since": since})
    assert asked.json == {"failed": 1, "recovered": 0}
    assert sorted(await _states(north.viewer, endpoint_id=endpoint)) == [
        "delivered", "failed", "failed",
    ]  # fmt: skip
    done = await north.admin.post(path, {"since": since, "confirm": True})
    assert done.json == {"failed": 1, "recovered": 1}
    assert (await north.viewer.get(f"{DELIVERIES}/{before}")).json["state"] == "pending"
    assert sorted(await _states(north.viewer, endpoint_id=endpoint)) == [
        "delivered", "failed", "pending",
    ]  # fmt: skip
    assert await _states(north.viewer, endpoint_id=other) == ["failed"]
    again = await north.admin.post(path, {"since": since, "confirm": True})
    assert again.json == {"failed": 0, "recovered": 0}


async def test_a_test_is_a_delivery_and_no_event_of_any_list(
    api: RunningApi, north: Organization
) -> None:
    endpoint = await _endpoint(north)
    path = f"{ENDPOINTS}/{endpoint}/test"
    assert (await north.dispatcher.post(path, {"type": "stock.low"})).status == 403
    sent = await north.admin.post(path, {"type": "stock.low"})
    assert sent.status == 202
    assert (sent.json["test"], sent.json["seq"], sent.json["state"]) == (True, None, "pending")
    event = sent.json["event_id"]
    assert (await north.viewer.get(f"/v1/events/{event}")).status == 404
    listed = (await north.viewer.get("/v1/events", limit=1000)).json["data"]
    assert event not in [each["id"] for each in listed]
    bad = await north.admin.post(path, {"type": "stock.*"})
    assert [fault["pointer"] for fault in bad.json["errors"]] == ["/type"]
    assert all(name in bad.json["errors"][0]["message"] for name in EVENT_TYPES)


async def test_recovery_finds_no_tests(api: RunningApi, north: Organization) -> None:
    path = f"{ENDPOINTS}/{await _endpoint(north)}"
    sent = (await north.admin.post(f"{path}/test", {"type": "stock.low"})).json
    api.sql(
        "UPDATE webhook_deliveries SET state = 'failed' WHERE id = %s", parse_id("dlv", sent["id"])
    )
    recovery = {"since": "2020-01-01T00:00:00Z", "confirm": True}
    answer = await north.admin.post(f"{path}/recover", recovery)
    assert answer.json == {"failed": 0, "recovered": 0}


async def test_an_organization_has_a_bounded_number_of_tests(
    north: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = f"{ENDPOINTS}/{await _endpoint(north)}/test"
    monkeypatch.setattr("api.resources.webhooks.recovery.WEBHOOK_TESTS", 1)
    await north.admin.post(path, {"type": "stock.low"})
    answer = await north.admin.post(path, {"type": "stock.low"})
    assert (answer.status, answer.json["code"]) == (403, "quota_exceeded")
    assert answer.json["quota"] == "webhook_tests"


def _hour(api: RunningApi, org: Organization, endpoint: str, hour: str, *figures: Any) -> None:
    attempts, accepted, durations = figures
    api.sql(
        "INSERT INTO webhook_endpoint_hours VALUES (%s, %s, %s, %s, %s, %s)",
        parse_id("org", org.id),
        parse_id("whe", endpoint),
        hour,
        attempts,
        accepted,
        durations,
    )


async def test_statistics_are_by_the_hour_and_of_the_window(
    api: RunningApi, north: Organization
) -> None:
    endpoint = await _endpoint(north)
    quick = [0] * 10 + [98] + [0] * (CLASSES - 11)  # up to 10 ms
    slow = [0] * 30 + [2] + [0] * (CLASSES - 31)  # up to 1,000 ms
    _hour(api, north, endpoint, "2026-03-01T10:00:00Z", 100, 98, quick)
    _hour(api, north, endpoint, "2026-03-01T11:00:00Z", 2, 0, slow)
    path = f"{ENDPOINTS}/{endpoint}/statistics"
    shown = await north.viewer.get(
        path, **{"from": "2026-03-01T10:00:00Z", "to": "2026-03-02T00:00:00Z"}
    )
    assert shown.status == 200
    whole = shown.json
    hours = whole.pop("hours")
    assert [each["hour"] for each in hours] == ["2026-03-01T10:00:00Z", "2026-03-01T11:00:00Z"]
    assert (whole["attempts"], whole["accepted"]) == (102, 98)
    assert whole["success_rate"] == pytest.approx(98 / 102, abs=1e-6)
    assert 7.9 <= whole["p50_ms"] <= 10
    assert 794 <= whole["p99_ms"] <= 1000
    assert hours[1]["success_rate"] == 0
    empty = (await north.viewer.get(path)).json
    assert empty == {
        "attempts": 0, "accepted": 0, "success_rate": None, "p50_ms": None, "p99_ms": None,
        "pending": 0, "oldest_due_at": None, "hours": [],
    }  # fmt: skip
    long = await north.viewer.get(
        path, **{"from": "2026-01-01T00:00:00Z", "to": "2026-03-01T00:00:00Z"}
    )
    assert long.status == 400


async def test_statistics_show_what_waits_and_since_when(
    api: RunningApi, north: Organization
) -> None:
    endpoint, other = await _endpoint(north), await _endpoint(north)
    path = f"{ENDPOINTS}/{endpoint}/statistics"
    due = [("2026-03-02", False), ("2026-03-01", True), ("2026-03-03", True), ("2999-01-01", False)]
    for at, is_ordered in due:
        api.sql(
            "UPDATE webhook_deliveries SET next_attempt_at = %s, is_ordered = %s WHERE id = %s",
            at,
            is_ordered,
            parse_id("dlv", _delivery(api, north, endpoint, state="pending")),
        )
    _delivery(api, north, endpoint)
    _delivery(api, north, other, state="pending")
    assert (
        await north.admin.post(f"{ENDPOINTS}/{endpoint}/test", {"type": "stock.low"})
    ).status == 202
    shown = (await north.viewer.get(path)).json
    assert (shown["pending"], shown["oldest_due_at"]) == (4, "2026-03-01T00:00:00Z")
    api.sql(
        "UPDATE webhook_deliveries SET next_attempt_at = '2999-01-01'"
        " WHERE endpoint_id = %s AND seq > 0",
        parse_id("whe", endpoint),
    )
    shown = (await north.viewer.get(path)).json
    assert (shown["pending"], shown["oldest_due_at"]) == (4, None)


@pytest.mark.parametrize(
    "window",
    [
        {"to": "0001-01-01T00:00:00Z"},
        {"from": "0001-01-01T00:00:00Z", "to": "0001-03-01T00:00:00Z"},
        {"from": "9999-12-31T00:00:00Z", "to": "9999-12-31T23:59:59.999999Z"},
    ],
)
async def test_statistics_of_any_time_are_shown(
    north: Organization, window: dict[str, str]
) -> None:
    answer = await north.viewer.get(f"{ENDPOINTS}/{await _endpoint(north)}/statistics", **window)
    assert (answer.status, answer.json["attempts"]) == (200, 0)


async def test_another_organization_sees_and_does_nothing(
    api: RunningApi, north: Organization, south: Organization
) -> None:
    endpoint = await _endpoint(north)
    delivery = _delivery(api, north, endpoint)
    assert await _states(south.admin) == []
    assert (await south.admin.get(DELIVERIES, endpoint_id=endpoint)).status == 404
    recovery = {"since": "2020-01-01T00:00:00Z", "confirm": True}
    for answer in (
        await south.admin.get(f"{DELIVERIES}/{delivery}"),
        await south.admin.send("POST", f"{DELIVERIES}/{delivery}/resend"),
        await south.admin.get(f"{ENDPOINTS}/{endpoint}/statistics"),
        await south.admin.post(f"{ENDPOINTS}/{endpoint}/recover", recovery),
        await south.admin.post(f"{ENDPOINTS}/{endpoint}/test", {"type": "stock.low"}),
        await south.admin.post(f"{ENDPOINTS}/{endpoint}/rotate", {}),
        await south.admin.patch(f"{ENDPOINTS}/{endpoint}", {"state": "disabled"}),
    ):
        assert answer.status == 404
    assert await _states(north.viewer, endpoint_id=endpoint) == ["failed"]


async def test_a_delivery_that_is_not_there_is_a_404(north: Organization) -> None:
    path = f"{DELIVERIES}/{format_id('dlv', new_id())}"
    assert (await north.admin.get(path)).status == 404
    assert (await north.admin.send("POST", f"{path}/resend")).status == 404
