"""A process whose database is away: nobody stays unchecked for ever, and it stops at once."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

from api.auth.caller import Caller
from api.context import ApiState
from api.live import closing
from api.live.closing import Closing
from api.live.credential import LiveCredential
from api.live.limits import LiveLimits
from api.live.live import Live
from api.live.streams import Streams
from db.core.connect import pool
from db.core.ids import new_id
from tests.api.live.feeds.locking import locked
from tests.api.running import CLOCK, Organization, RunningApi
from tests.waiting import until

POOL_WAIT_S = 60.0


@pytest.fixture
async def state(api: RunningApi) -> AsyncIterator[ApiState]:
    """A process with one connection: a test that takes it leaves none."""
    url = api.database.url("opsc_app")
    async with pool(url, "test", max_size=1, wait_s=POOL_WAIT_S) as connections:
        built = ApiState.build(api.settings, connections, CLOCK)
        yield built
        await built.close()


class Silent:
    """A connection that takes all it gets."""

    scopes = ()
    unsent_bytes = 0

    def __init__(self, org: Organization, expires_at: datetime) -> None:
        caller = Caller(org.org_id, new_id(), "viewer", "token", new_id())
        self.credential = LiveCredential(caller, b"key", expires_at)
        self.ended: list[Closing] = []

    def is_too_slow(self, now_s: float) -> bool:
        return False

    def end(self, why: Closing) -> None:
        self.ended.append(why)


async def test_rights_that_cannot_be_looked_up_end(state: ApiState, north: Organization) -> None:
    streams = Streams(state, 10, LiveLimits(rights_s=0.05, unchecked_s=0.5))
    now = datetime.now(UTC)
    expired, good = Silent(north, now), Silent(north, now + timedelta(hours=1))
    await streams.add(expired)
    await streams.add(good)
    state.connections.timeout = 0.1
    held = await state.connections.getconn()
    running = asyncio.create_task(streams.run(asyncio.Event()))
    await until(lambda: expired.ended)
    assert (expired.ended[0], good.ended) == (closing.TOKEN_EXPIRED, [])
    await until(lambda: good.ended)
    assert good.ended[0] == closing.UNAVAILABLE
    running.cancel()
    await state.connections.putconn(held)


async def test_a_database_that_does_not_answer_is_away(
    api: RunningApi, state: ApiState, north: Organization
) -> None:
    streams = Streams(state, 10, LiveLimits(rights_s=0.05, unchecked_s=0.5))
    expires_at = datetime.now(UTC) + timedelta(seconds=0.2)
    expired, good = Silent(north, expires_at), Silent(north, expires_at + timedelta(hours=1))
    await streams.add(expired)
    await streams.add(good)
    with locked(api, "sign_ins") as waiting:
        running = asyncio.create_task(streams.run(asyncio.Event()))
        await until(lambda: expired.ended)
        assert (expired.ended[0], good.ended) == (closing.TOKEN_EXPIRED, [])
        await until(lambda: good.ended)
        assert (good.ended[0], waiting()) == (closing.UNAVAILABLE, 1)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_a_process_stops_without_its_database(state: ApiState, north: Organization) -> None:
    live, clock = Live(state, LiveLimits()), asyncio.get_running_loop()
    async with live.running():
        await live.events.subscribe(north.org_id, None, None, lambda: None)
        held = await state.connections.getconn()
        await until(lambda: state.connections.get_stats().get("requests_waiting", 0) > 0)
        began_s = clock.time()
    assert clock.time() - began_s < POOL_WAIT_S / 2
    await state.connections.putconn(held)
