"""Who leaves, or is sent away, while the database is asked for them leaves no place taken."""

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from db.history import event_feed, latest_positions
from db.requests import live_slots
from tests.api.live.reading import signed_in, stranger
from tests.api.running import Organization, RunningApi
from tests.waiting import until


class Held:
    """A question to the database that waits until the test lets it go on."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._monkeypatch = monkeypatch
        self._go_on = threading.Event()  # the API has a loop of its own
        self.asked = 0

    def hold(self, module: Any, name: str) -> None:
        ask = getattr(module, name)

        async def wait_and_ask(*args: Any, **options: Any) -> Any:
            self.asked += 1
            await asyncio.to_thread(self._go_on.wait)
            return await ask(*args, **options)

        self._monkeypatch.setattr(module, name, wait_and_ask)

    def let_go_on(self) -> None:
        self._go_on.set()


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> Iterator[Held]:
    made = Held(monkeypatch)
    yield made
    made.let_go_on()


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
    ("channel", "module", "question"),
    [("events", event_feed, "bounds"), ("positions", latest_positions, "changed")],
)
async def test_a_client_that_leaves_within_its_subscription(
    api: RunningApi, held: Held, channel: str, module: Any, question: str
) -> None:
    org = api.organization("Leaves")
    async with signed_in(api.url, org.viewer) as reader:
        held.hold(module, question)
        await reader.say("subscribe", id=1, channel=channel)
        await until(lambda: held.asked > 0)
        reader.socket.transport.abort()
    held.let_go_on()
    await until(lambda: is_left(api, org))


async def test_a_stream_whose_request_takes_too_long(
    api: RunningApi, held: Held, monkeypatch: pytest.MonkeyPatch
) -> None:
    org = api.organization("Waits")
    monkeypatch.setitem(vars(api.live.state.settings), "api_request_timeout_s", 0.2)
    held.hold(event_feed, "bounds")
    answer = await org.viewer.get("/v1/events/stream")
    assert (answer.status, answer.json["code"], held.asked) == (503, "unavailable", 1)
    assert is_left(api, org)


async def test_a_sign_in_that_takes_too_long(api: RunningApi, held: Held) -> None:
    org = api.organization("Signs in")
    held.hold(live_slots, "share")
    async with stranger(api.url) as reader:
        await reader.say("authenticate", token=org.viewer.token)
        assert await reader.closed() == (4005, {"code": "authentication_timeout"})
    assert held.asked
    assert is_left(api, org)
    held.let_go_on()
    async with signed_in(api.url, org.viewer):
        assert org.org_id in api.live.streams.slots.organizations
