"""A loop that fails outside of its rows begins anew; the other loops go on meanwhile."""

import asyncio
from functools import partial
from uuid import UUID

import pytest

from db.core.connect import Connection, Pool
from db.delivery.mail_outbox import Letter
from tests.waiting import until
from tests.webhooks.poison.guards import AT_ONCE, at_work, failing, guard_of
from tests.webhooks.poison.test_letters import Taken, mailing_of, none_waits, reset
from tests.webhooks.world import World
from webhooks.mail.mailing import Mailing
from webhooks.registrations import Registrations

FAILURES = AT_ONCE.most_tries + 2


async def test_a_loop_that_fails_begins_anew_and_others_go_on(
    world: World, connections: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("webhooks.registrations.LOOK_S", 0.01)
    claimed, failed, looks = Mailing._claimed, 0, 0

    async def claimed_at_last(mailing: Mailing, conn: Connection) -> Letter | None:
        nonlocal failed
        failed += 1
        if failed <= FAILURES:
            raise TypeError("nobody foresaw this")
        return await claimed(mailing, conn)

    async def looked(_: Connection) -> list[UUID]:
        nonlocal looks
        looks += 1
        return []

    monkeypatch.setattr(Mailing, "_claimed", claimed_at_last)
    monkeypatch.setattr("webhooks.registrations.wanting", looked)
    await reset(world, await world.organization())
    mailing = mailing_of(connections, server := Taken())
    guard = guard_of(connections, AT_ONCE)
    registrations = Registrations(connections, guard)

    async def mail(stop: asyncio.Event) -> None:
        await guard.keep("mail", mailing.run, stop)

    async def register(stop: asyncio.Event) -> None:
        await guard.keep("registrations", registrations.run, stop)

    async with at_work(mail, register, wake=mailing.wake):
        await until(lambda: failed == FAILURES)
        seen = looks
        assert await failing(world.admin) == [("loop", "", False)]  # it is never set aside
        await until(partial(none_waits, world))
        await until(lambda: looks > seen)
    assert len(server.letters) == 1
    assert await failing(world.admin) == []  # at the end in order
