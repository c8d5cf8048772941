"""Who leaves, or is sent away, while the database is asked for them leaves no place taken."""

from dataclasses import replace

import pytest

from tests.api.live.feeds.locking import locked
from tests.api.live.reading import signed_in, stranger
from tests.api.running import Organization, RunningApi
from tests.waiting import until


def is_left(api: RunningApi, org: Organization) -> bool:
    """Return whether nobody of the organization is connected, subscribed or counted."""
    live = api.live
    return (
        not [each for each in live.streams.all() if each.credential.caller.org_id == org.org_id]
        and org.org_id not in live.streams.slots.organizations
        and live.events.subscriptions == 0
        and live.positions.subscriptions == 0
    )


@pytest.mark.parametrize(
    ("channel", "table"), [("events", "events"), ("positions", "latest_positions")]
)
async def test_a_client_that_leaves_within_its_subscription(
    api: RunningApi, channel: str, table: str
) -> None:
    org = api.organization("Leaves")
    async with signed_in(api.url, org.viewer) as reader:
        with locked(api, table) as waiting:
            await reader.say("subscribe", id=1, channel=channel)
            await until(waiting)
            reader.socket.transport.abort()
    await until(lambda: is_left(api, org))


async def test_a_stream_whose_request_takes_too_long(
    api: RunningApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    org = api.organization("Waits")
    monkeypatch.setitem(vars(api.live.state.settings), "api_request_timeout_s", 1)
    api.statements.clear()
    with locked(api, "events"):
        answer = await org.viewer.get("/v1/events/stream")
        assert (answer.status, answer.json["code"]) == (503, "unavailable")
        assert is_left(api, org)
    assert [text for text in api.statements if "FROM events" in text]


async def test_a_sign_in_that_takes_too_long(
    api: RunningApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    org = api.organization("Signs in")
    with monkeypatch.context() as hasty, locked(api, "live_slots") as waiting:
        hasty.setattr(api.live, "limits", replace(api.live.limits, authentication_s=2))
        async with stranger(api.url) as reader:
            await reader.say("authenticate", token=org.viewer.token)
            await until(waiting)
            assert await reader.closed() == (4005, {"code": "authentication_timeout"})
        assert is_left(api, org)
    async with signed_in(api.url, org.viewer):
        assert org.org_id in api.live.streams.slots.organizations
