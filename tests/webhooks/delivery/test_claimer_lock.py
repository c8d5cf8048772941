"""Who lives, as those who share the deliveries know it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from time import monotonic

from db.core.connect import connect
from tests.waiting import until
from webhooks.delivery.claimer_lock import ClaimerLock, ClaimerLockLimits

LIMITS = ClaimerLockLimits(look_s=0.25, misses=4)


@asynccontextmanager
async def claimer(database, name: str = "test-claims") -> AsyncIterator[ClaimerLock]:
    """Provide a claimer that holds its lock, until the block ends."""
    url, stop = database.url("opsc_deliver"), asyncio.Event()
    one = ClaimerLock(lambda: connect(url, name), lambda: None, LIMITS)
    running = asyncio.create_task(one.run(stop))
    try:
        await until(lambda: one.is_held)
        yield one
    finally:
        stop.set()
        await running


def holds_alive(one: ClaimerLock, other: ClaimerLock) -> bool:
    living = one.living()
    return living is not None and other.number in living


async def test_one_that_has_just_begun_does_not_know_who_lives(database):
    async with claimer(database) as one:
        began_s = monotonic()
        assert one.living() is None
        await until(lambda: one.living() == [one.number])
        assert monotonic() - began_s > 2 * LIMITS.look_s


async def test_one_that_ends_is_dead_for_the_others_soon(database):
    async with claimer(database) as one:
        async with claimer(database) as other:
            await until(lambda: holds_alive(one, other))
        await until(lambda: not holds_alive(one, other))
        assert one.living() is not None


async def test_one_whose_session_ends_and_who_comes_back_lives_on(world, database):
    end = (
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE application_name = 'test-unlucky'"
    )
    async with claimer(database) as one, claimer(database, "test-unlucky") as other:
        await until(lambda: holds_alive(one, other))
        for _ in range(2):
            await world.admin.execute(end)
            for _ in range(30):
                await asyncio.sleep(0.05)
                assert one.living() is None or holds_alive(one, other)  # None: its look is late
            await until(lambda: holds_alive(one, other))


async def test_one_that_lost_its_own_session_knows_nothing_for_a_while(world, database):
    async with claimer(database) as one:
        await until(lambda: one.living() is not None)
        await world.admin.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE application_name = 'test-claims'"
        )
        await until(lambda: one.living() is None)
        await until(lambda: one.living() is not None)
