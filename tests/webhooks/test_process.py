"""The delivering role as a process of its own: started, killed, stopped."""

import asyncio
import itertools
import json
import signal

import aiohttp
import pytest

from stack.servers.postgres import free_port
from tests.servers import ANY_PORT
from tests.waiting import until
from tests.webhooks import receivers
from tests.webhooks.delivering_process import process
from tests.webhooks.world import world_in
from webhooks.delivery.fair_queue import FairQueueLimits


async def test_killed_between_post_and_mark_it_sends_the_same_id_again(world, database):
    org_id = await world.organization()
    async with receivers.well_behaved(delay_s=0.8) as receiver:
        await world.endpoint(org_id, receiver.url)
        await world.events(org_id, 1)
        async with process(database.url("opsc_deliver")) as first:
            await until(lambda: len(receiver.requests) == 1)
            first.kill()
            await first.wait()
        assert await world.states(org_id) == ["pending"]
        receiver.delay_s = 0
        async with process(database.url("opsc_deliver")):
            await until(lambda: _all_delivered(world, org_id))
    assert list(receiver.ids.values()) == [2]
    assert len({request.body for request in receiver.requests}) == 1


async def test_killed_again_and_again_it_delivers_all(world, database):
    patient = {"OPSC_WEBHOOK_TIMEOUT_S": "20"}  # a busy receiver is not tried again, much later
    org_id = await world.organization()
    async with receivers.well_behaved() as receiver:
        await world.endpoint(org_id, receiver.url)
        await world.events(org_id, 2_000)
        for fraction in (0.2, 0.4, 0.6):
            async with process(database.url("opsc_deliver"), **patient) as victim:
                await until(lambda f=fraction: len(receiver.ids) >= 2_000 * f)
                victim.kill()
                await victim.wait()
        async with process(database.url("opsc_deliver"), **patient):
            await until(lambda: _all_delivered(world, org_id))
    assert len(receiver.ids) == 2_000
    assert await world.seqs(org_id) == list(range(1, 2_001))


async def test_killed_it_keeps_the_order(world, database):
    patient = {"OPSC_WEBHOOK_TIMEOUT_S": "20"}
    org_id = await world.organization()
    async with receivers.well_behaved(delay_s=0.005) as receiver:
        await world.change(await world.endpoint(org_id, receiver.url), is_ordered=True)
        await world.events(org_id, 150)
        async with process(database.url("opsc_deliver"), **patient) as victim:
            await until(lambda: len(receiver.ids) >= 50)
            victim.kill()
            await victim.wait()
        async with process(database.url("opsc_deliver"), **patient):
            await until(lambda: _all_delivered(world, org_id))
    seqs = [json.loads(request.body)["seq"] for request in receiver.requests]
    assert list(dict.fromkeys(seqs)) == list(range(1, 151))
    assert receiver.open_most == 1
    repeats = [later - earlier for earlier, later in itertools.pairwise(seqs) if later <= earlier]
    assert len(repeats) <= 1  # after the kill, and on in order from there
    assert all(-FairQueueLimits().ordered_waiting < repeat for repeat in repeats)


async def test_what_a_killed_process_had_claimed_is_sent_long_before_its_claims_lapse(
    world, database
):
    org_id = await world.organization()
    patient = {"OPSC_WEBHOOK_TIMEOUT_S": "60"}  # so a claim holds for three minutes
    async with receivers.well_behaved(delay_s=0.05) as receiver:
        await world.endpoint(org_id, receiver.url)
        await world.events(org_id, 400)
        async with process(database.url("opsc_deliver"), **patient) as victim:
            await until(lambda: len(receiver.requests) >= 20)
            receiver.delay_s = 60
            await asyncio.sleep(0.2)  # whatever is open now stays so
            await until(lambda: _accepted_are_marked(world, org_id, receiver))
            victim.kill()
            await victim.wait()
        in_the_air = {request.id for request in receiver.requests[-receiver.open_now :]}
        receiver.delay_s = 0
        claimed = [row for row in await world.deliveries(org_id) if row[-1]]
        assert len(claimed) > len(in_the_air) > 1
        async with process(database.url("opsc_deliver"), **patient):
            await until(lambda: _all_delivered(world, org_id))
    assert len(receiver.ids) == 400
    assert {one: count for one, count in receiver.ids.items() if count > 1} == dict.fromkeys(
        in_the_air, 2
    )


@pytest.mark.parametrize(
    "number", [pytest.param(signal.SIGTERM, marks=pytest.mark.fresh_start), signal.SIGINT]
)
async def test_it_stops_in_order(world, database, number):
    org_id = await world.organization()
    async with receivers.well_behaved(delay_s=0.3) as receiver:
        await world.endpoint(org_id, receiver.url)
        await world.events(org_id, 1)
        async with process(database.url("opsc_deliver")) as running:
            await until(lambda: receiver.requests)
            running.send_signal(number)
            assert await running.wait() == 0
    assert await world.states(org_id) == ["delivered"]
    leases = await world.admin.execute(
        "SELECT FROM leases WHERE name = 'sequencer' AND expires_at > now()"
    )
    assert leases.rowcount == 0


async def test_a_database_that_is_killed_only_delays(private_postgres):
    postgres = private_postgres()
    database = postgres.migrated_database()
    address = f"127.0.0.1:{free_port(ANY_PORT)}"
    async with receivers.well_behaved() as receiver:
        async with world_in(database) as world:
            org_id = await world.organization()
            await world.endpoint(org_id, receiver.url)
            await world.events(org_id, 2_000)
        async with process(database.url("opsc_deliver"), OPSC_DELIVER_HTTP=address) as running:
            await until(lambda: len(receiver.ids) >= 100)
            await asyncio.to_thread(postgres.kill)
            await until(lambda: _is_ready(address, 503))
            await asyncio.to_thread(postgres.start)
            async with world_in(database) as world:
                await until(lambda: _all_delivered(world, org_id))
            await until(lambda: _is_ready(address, 200))
            assert running.returncode is None
    assert len(receiver.ids) == 2_000


async def test_a_database_that_is_not_there_yet_is_waited_for(private_postgres):
    postgres = private_postgres()
    database = postgres.migrated_database()
    await asyncio.to_thread(postgres.stop)
    address = f"127.0.0.1:{free_port(ANY_PORT)}"
    async with process(database.url("opsc_deliver"), OPSC_DELIVER_HTTP=address) as running:
        await until(lambda: _is_ready(address, 503))
        await asyncio.to_thread(postgres.start)
        await until(lambda: _is_ready(address, 200))
        assert running.returncode is None


async def test_it_tells_how_it_is(world, database):
    address = f"127.0.0.1:{free_port(ANY_PORT)}"
    async with process(database.url("opsc_deliver"), OPSC_DELIVER_HTTP=address):
        await until(lambda: _is_ready(address, 200))
        async with aiohttp.ClientSession(f"http://{address}") as session:
            assert (await session.get("/healthz")).status == 200
            metrics = await (await session.get("/metrics")).text()
    for name in ("opsc_webhook_pending", "opsc_webhook_lag_seconds", "opsc_events_sequenced"):
        assert name in metrics


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [
        ("OPSC_SECRET_KEY", "short", 2),
        ("OPSC_DELIVER_HTTP", "nowhere", 2),
        ("OPSC_WEBHOOK_TIMEOUT_S", "0", 2),
        ("OPSC_DELIVER_HTTP", "192.0.2.1:9102", 1),
    ],
)
async def test_settings_that_cannot_be_are_said(database, name, value, code):
    async with process(database.url("opsc_deliver"), **{name: value}) as running:
        assert await asyncio.wait_for(running.wait(), timeout=60) == code


async def _all_delivered(world, org_id) -> bool:
    return set(await world.states(org_id)) == {"delivered"}


async def _accepted_are_marked(world, org_id, receiver) -> bool:
    accepted = len(receiver.requests) - receiver.open_now
    return (await world.states(org_id)).count("delivered") == accepted


async def _is_ready(address: str, status: int) -> bool:
    try:
        async with aiohttp.ClientSession() as session:
            return (await session.get(f"http://{address}/readyz")).status == status
    except aiohttp.ClientError:
        return False
