"""The requests of a minute are counted over all processes together, and seldom asked for.

Each `RequestLimits` here is what a process has, with connections of its own.
"""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any
from uuid import UUID

import pytest
import pytest_asyncio
from psycopg_pool import PoolTimeout

from api.limits.organization_quota import RequestLimits
from db.core.connect import Connection, connect, pool
from db.resources.organizations import create_organization
from tests.servers import DatabaseUnderTest


class Clock:
    """Time as a process sees it."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


class Processes:
    """Some processes over one database, and an organization."""

    def __init__(self, database: DatabaseUnderTest, admin: Connection, org_id: UUID) -> None:
        self._database = database
        self._admin = admin
        self._stack = AsyncExitStack()
        self.org_id = org_id

    async def start(self, **options: Any) -> RequestLimits:
        connections = pool(self._database.url("opsc_app"), "test", max_size=2)
        await self._stack.enter_async_context(connections)
        return RequestLimits(connections, **options)

    async def row(self, changes: str) -> None:
        """Change the row of the minute, as if something had happened to it."""
        await self._admin.execute(
            f"UPDATE request_minutes SET {changes} WHERE org_id = %s",
            (self.org_id,),
        )

    async def asks(self, process: RequestLimits, times: int, per_minute: int) -> int:
        """Return how many of the requests, sent one after the other, are let in."""
        quotas = [await process.spend(self.org_id, per_minute) for _ in range(times)]
        return sum(quota.is_admitted for quota in quotas)

    async def stop(self) -> None:
        await self._stack.aclose()


@asynccontextmanager
async def _an_organization(database: DatabaseUnderTest) -> AsyncIterator[UUID]:
    async with await connect(database.url("opsc_owner"), "test") as owner, owner.transaction():
        org_id = await create_organization(
            owner, name="Acme", email="a@example.com", password_hash="", plan="starter"
        )
    yield org_id


@pytest_asyncio.fixture
async def processes(database: DatabaseUnderTest) -> AsyncIterator[Processes]:
    async with (
        _an_organization(database) as org_id,
        await connect(database.url("admin"), "test") as admin,
    ):
        some = Processes(database, admin, org_id)
        yield some
        await some.stop()


async def test_one_process_lets_in_as_many_as_the_limit_has(processes: Processes) -> None:
    process = await processes.start()
    assert await processes.asks(process, 130, 100) == 100


@pytest.mark.parametrize("seed", range(6))
async def test_several_processes_never_let_in_more_together_whoever_is_asked(
    processes: Processes, seed: int
) -> None:
    """Nor many fewer: each other process may have a sixteenth of what was left, and one."""
    chance = random.Random(seed)
    some = [await processes.start() for _ in range(3)]
    weights = [chance.random() ** 3 for _ in some]
    admitted = 0
    for _ in range(150):
        group = chance.choices(some, weights, k=chance.choice((1, 1, 2, 10)))
        quotas = await asyncio.gather(*(each.spend(processes.org_id, 200) for each in group))
        admitted += sum(quota.is_admitted for quota in quotas)
    assert 200 - 2 * (200 // 16 + 1) <= admitted <= 200
    used_up = [await processes.asks(each, 200, 200) for each in some]
    assert admitted + sum(used_up) == 200


async def test_a_hundred_requests_at_once_at_each_of_two_processes_are_counted_as_well(
    processes: Processes,
) -> None:
    some = [await processes.start() for _ in range(2)]
    asked = [each.spend(processes.org_id, 70) for each in some for _ in range(100)]
    assert sum(quota.is_admitted for quota in await asyncio.gather(*asked)) == 70


async def test_what_a_process_has_and_does_not_use_is_lost_for_the_minute_and_never_doubled(
    processes: Processes,
) -> None:
    idle = await processes.start(clock=Clock())
    assert await processes.asks(idle, 300, 1000) == 300  # asks often, and so has some more
    admitted = await processes.asks(await processes.start(), 1000, 1000)
    assert 700 - 1000 // 16 <= admitted < 700
    assert await processes.asks(idle, 1000, 1000) == 700 - admitted


async def test_most_requests_cost_no_round_trip(processes: Processes) -> None:
    connections = pool(processes._database.url("opsc_app"), "test", max_size=2)
    async with connections:
        assert await processes.asks(RequestLimits(connections, Clock()), 1000, 5000) == 1000
        assert connections.get_stats()["requests_num"] < 100


async def test_a_limit_that_is_used_up_costs_no_round_trip_either(processes: Processes) -> None:
    process = await processes.start()
    assert await processes.asks(process, 11, 10) == 10
    await processes.row("taken = 0")
    assert await processes.asks(process, 1000, 10) == 0


async def test_a_new_minute_begins_with_the_first_request_after_the_last_one(
    processes: Processes,
) -> None:
    clock = Clock()
    process = await processes.start(clock=clock)
    assert await processes.asks(process, 30, 20) == 20
    quota = await process.spend(processes.org_id, 20)
    assert 0 < quota.retry_s <= 60
    clock.now_s += 60
    await processes.row("began_at = began_at - interval '60 seconds'")
    assert await processes.asks(process, 30, 20) == 20


async def test_tokens_of_a_minute_are_no_good_in_the_next_one(processes: Processes) -> None:
    """A process that was frozen has a block of a minute that is over."""
    clock = Clock()
    frozen = await processes.start(clock=clock)
    assert await processes.asks(frozen, 40, 1000) == 40
    clock.now_s += 3600
    await processes.row("began_at = began_at - interval '1 hour'")
    assert await processes.asks(await processes.start(), 1000, 1000) == 1000
    assert await processes.asks(frozen, 100, 1000) == 0


@pytest.mark.parametrize("jump", ["+ interval '1 hour'", "- interval '1 hour'"])
async def test_a_clock_that_jumps_begins_another_minute(processes: Processes, jump: str) -> None:
    assert await processes.asks(await processes.start(), 20, 10) == 10
    await processes.row(f"began_at = began_at {jump}")
    assert await processes.asks(await processes.start(), 20, 10) == 10


async def test_a_clock_that_is_set_back_a_little_makes_no_minute_longer_than_its_length(
    processes: Processes,
) -> None:
    assert await processes.asks(await processes.start(), 20, 10) == 10
    await processes.row("began_at = began_at + interval '30 seconds'")
    quota = await (await processes.start()).spend(processes.org_id, 10)
    assert not quota.is_admitted
    assert quota.retry_s <= 60


async def test_a_plan_that_changes_within_the_minute_counts_what_was_used(
    processes: Processes,
) -> None:
    process = await processes.start()
    assert await processes.asks(process, 20, 10) == 10
    assert await processes.asks(process, 100, 50) == 40
    assert await processes.asks(process, 10, 10) == 0
    assert await processes.asks(process, 100, 60) == 10


async def test_organizations_do_not_count_for_each_other(
    processes: Processes, database: DatabaseUnderTest
) -> None:
    process = await processes.start()
    async with _an_organization(database) as other:
        admitted = Counter[UUID]()
        for _ in range(60):
            for org_id in (processes.org_id, other):
                admitted[org_id] += (await process.spend(org_id, 50)).is_admitted
    assert admitted == {processes.org_id: 50, other: 50}


async def test_what_cannot_be_counted_is_not_let_in(processes: Processes) -> None:
    nowhere = pool("postgresql://opsc_app@127.0.0.1:1/none", "test", max_size=1, wait_s=0.1)
    async with nowhere:
        with pytest.raises(PoolTimeout):
            await RequestLimits(nowhere).spend(processes.org_id, 1000)
