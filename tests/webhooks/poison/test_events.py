"""Events, their deliveries and attempts that fail as nobody foresaw: the others go on, no later one
gets ahead where an order is kept, and an operator lets them go again.
"""

import json
from functools import partial
from uuid import UUID

import pytest

from db.delivery.webhook_deliveries import ClaimedDelivery
from tests.servers import DatabaseUnderTest
from tests.waiting import until
from tests.webhooks import receivers
from tests.webhooks.poison.guards import AT_ONCE, failing, is_set_aside, let_go, poisoned
from tests.webhooks.receivers import Receiver
from tests.webhooks.world import World, delivering
from webhooks.delivery import envelope

EVENTS = 10
NUMBERS = list(range(1, EVENTS + 1))


async def subscriber(world: World, url: str, *, ordered: bool = False) -> UUID:
    """Return an organization whose events go to the URL."""
    org_id = await world.organization()
    endpoint = await world.endpoint(org_id, url)
    await world.change(endpoint, is_ordered=ordered)
    return org_id


def numbers(receiver: Receiver) -> list[int]:
    return [json.loads(request.body)["data"]["number"] for request in receiver.requests]


async def has_its_events(receiver: Receiver) -> bool:
    return sorted(numbers(receiver)) == NUMBERS


async def test_an_event_without_a_number_lets_its_organization_wait_alone(
    world: World, database: DatabaseUnderTest
) -> None:
    async with receivers.well_behaved() as bad, receivers.well_behaved() as good:
        bad_org, good_org = [await subscriber(world, one.url) for one in (bad, good)]
        condition = f"NEW.org_id = '{bad_org}' AND NEW.data ->> 'number' = '3'"
        async with delivering(database, guard_limits=AT_ONCE):
            async with poisoned(world.admin, "UPDATE ON events", condition):
                for org_id in (bad_org, good_org):
                    await world.events(org_id, EVENTS)
                await until(partial(has_its_events, good))
                await until(partial(is_set_aside, world.admin, "sequencer"))
                assert set(await world.seqs(bad_org)) == {None}
                await world.events(good_org, 5)
                await until(lambda: len(good.requests) == EVENTS + 5)
            assert await failing(world.admin) == [("sequencer", str(bad_org), True)]
            await let_go(world.admin, "sequencer")
            await until(partial(has_its_events, bad))
            assert await world.seqs(bad_org) == NUMBERS
            await until(partial(nothing_fails, world))


async def test_deliveries_that_cannot_be_made_let_their_organization_wait_alone(
    world: World, database: DatabaseUnderTest
) -> None:
    async with receivers.well_behaved() as bad, receivers.well_behaved() as good:
        bad_org = await subscriber(world, bad.url, ordered=True)
        good_org = await subscriber(world, good.url)
        condition = f"NEW.org_id = '{bad_org}'"
        async with delivering(database, guard_limits=AT_ONCE):
            async with poisoned(world.admin, "INSERT ON webhook_deliveries", condition):
                for org_id in (bad_org, good_org):
                    await world.events(org_id, EVENTS)
                await until(partial(has_its_events, good))
                await until(partial(is_set_aside, world.admin, "fan_out"))
            assert bad.requests == []
            await let_go(world.admin, "fan_out")
            await until(partial(has_its_events, bad))
            assert numbers(bad) == NUMBERS
            await until(partial(nothing_fails, world))


@pytest.mark.parametrize("ordered", [False, True])
async def test_a_delivery_that_cannot_be_written_waits_and_only_what_is_ordered_behind_it(
    world: World,
    database: DatabaseUnderTest,
    monkeypatch: pytest.MonkeyPatch,
    ordered: bool,
) -> None:
    write, is_poisoned = envelope.body, True

    def body(claim: ClaimedDelivery, message_id: str) -> bytes:
        if is_poisoned and json.loads(claim.data)["number"] == 3:
            raise TypeError("nobody foresaw this")
        return write(claim, message_id)

    monkeypatch.setattr(envelope, "body", body)
    async with receivers.well_behaved() as receiver:
        org_id = await subscriber(world, receiver.url, ordered=ordered)
        async with delivering(database, guard_limits=AT_ONCE):
            await world.events(org_id, EVENTS)
            await until(partial(is_set_aside, world.admin, "delivery"))
            others = [1, 2] if ordered else [1, 2, *NUMBERS[3:]]
            await until(lambda: sorted(numbers(receiver)) == others)
            is_poisoned = False
            await let_go(world.admin, "delivery")
            await until(partial(has_its_events, receiver))
            assert not ordered or numbers(receiver) == NUMBERS
            await until(lambda: world.all_are(org_id, "delivered", EVENTS))
            attempts = await world.rows("webhook_deliveries", "attempts", "seq", org_id)
            assert attempts == [(1,)] * EVENTS
            assert await failing(world.admin) == []


async def test_a_mark_that_cannot_be_written_keeps_no_other_from_being_written(
    world: World, database: DatabaseUnderTest
) -> None:
    async with receivers.well_behaved() as receiver:
        org_id = await subscriber(world, receiver.url)
        condition = f"NEW.org_id = '{org_id}' AND NEW.seq = 3 AND NEW.state = 'delivered'"
        async with (
            poisoned(world.admin, "UPDATE ON webhook_deliveries", condition),
            delivering(database, guard_limits=AT_ONCE),
        ):
            await world.events(org_id, EVENTS)
            await until(partial(is_set_aside, world.admin, "delivery"))
            await until(partial(all_but_one_are_delivered, world, org_id))
    assert set(receiver.ids.values()) <= {1, AT_ONCE.most_tries}


async def all_but_one_are_delivered(world: World, org_id: UUID) -> bool:
    return sorted(await world.states(org_id)) == ["delivered"] * (EVENTS - 1) + ["pending"]


async def nothing_fails(world: World) -> bool:
    return await failing(world.admin) == []
