"""Deliveries follow numbers, in turns: each endpoint gets what is meant for it once."""

import asyncio
import json
import random
from uuid import UUID

import pytest

from db.core import leases
from db.core.connect import connect
from db.delivery import endpoint_health, fan_out, sequencer
from tests.waiting import until
from tests.webhooks import receivers
from tests.webhooks.endpoints import disable
from tests.webhooks.world import Endpoint, World, delivering, numbered
from webhooks.batch_size import BatchSize
from webhooks.fan_out import FanOutLimits

URL = "https://example.com/"


# What an endpoint gets ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("types", "gets"),
    [
        (["*"], True),
        (["asset.*"], True),
        (["asset.geofence_breach"], True),
        (["quote.sent", "asset.geofence_breach"], True),
        (["asset.geofence_dwell"], False),
        (["quote.*"], False),
        (["as.*"], False),
        (["asset"], False),
    ],
)
async def test_an_endpoint_gets_the_types_that_it_asked_for(world, deliver, epoch, types, gets):
    org_id = await world.organization()
    await world.endpoint(org_id, "https://example.com/", types)
    await world.events(org_id, 1)
    await world.make_deliveries(deliver, epoch)
    assert await world.states(org_id) == (["pending"] if gets else [])


async def test_what_filters_compare_is_worked_out_once_for_an_event(world, deliver, epoch):
    org_id, other = await world.organization(), await world.organization()
    for of_org in (org_id, other):
        for _ in range(20):
            await world.endpoint(of_org, "https://example.com/")
        await world.events(of_org, 10)
    await world.admin.execute(
        "UPDATE webhook_endpoints SET tags = '{crane}', asset_ids = ARRAY[id] WHERE org_id = %s",
        (org_id,),
    )
    await numbered(deliver, epoch, 100)
    values = {"org_ids": [org_id, other], "locked": [org_id, other], "rows": 1_000}
    cursor = await deliver.execute(
        f"EXPLAIN (ANALYZE, FORMAT JSON) {fan_out._FAN_OUT}", values, prepare=False
    )
    ((explained,),) = await cursor.fetchall()
    assert _calls(explained[0]["Plan"], "webhook_filter_values") == 20
    assert len(await world.deliveries(other)) == 200
    assert await world.deliveries(org_id) == []


def _calls(plan, function):
    own = plan["Actual Loops"] if plan.get("Function Name") == function else 0
    return own + sum(_calls(child, function) for child in plan.get("Plans", ()))


async def test_no_delivery_goes_to_another_organization_or_to_a_deleted_endpoint(
    world, deliver, epoch
):
    first, second = await world.organization(), await world.organization()
    await world.endpoint(second, "https://example.com/")
    await world.delete(await world.endpoint(first, "https://example.com/"))
    await world.events(first, 1)
    assert await world.make_deliveries(deliver, epoch) == 0


@pytest.mark.parametrize(
    ("plan", "addon", "deliveries"),
    [
        ("starter", False, 0),
        ("team", False, 0),
        ("starter", True, 1),
        ("team", True, 1),
        ("unlimited", False, 1),
    ],
)
async def test_webhooks_need_the_plan_or_the_add_on(world, deliver, epoch, plan, addon, deliveries):
    org_id = await world.organization()
    await world.set_plan(org_id, plan, addon=addon)
    await world.endpoint(org_id, "https://example.com/")
    await world.events(org_id, 1)
    assert await world.make_deliveries(deliver, epoch) == deliveries


# From where on, and once -------------------------------------------------------------------------


async def test_an_endpoint_gets_what_is_numbered_after_it_has_become_active(world, deliver, epoch):
    org_id = await world.organization()
    first = await world.endpoint(org_id, URL)
    await world.events(org_id, 2)
    await numbered(deliver, epoch, 100)  # 1, 2: their deliveries are made later
    later = await world.endpoint(org_id, URL)
    off = await world.endpoint(org_id, URL)
    await disable(world, off)
    gone = await world.endpoint(org_id, URL)
    await world.delete(gone)
    await world.events(org_id, 2)
    await numbered(deliver, epoch, 100)  # 3, 4
    await world.change(off, state="active", disabled_reason=None, disabled_at=None)
    await world.change(gone, deleted_at=None)
    await world.change(first, types=["*", "quote.*"])  # stays active: it begins nowhere anew
    await world.events(org_id, 1)
    assert await world.make_deliveries(deliver, epoch) == 5 + 3 + 1 + 1
    got = {each: await _got(world, each) for each in (first, later, off, gone)}
    assert got == {first: [1, 2, 3, 4, 5], later: [3, 4, 5], off: [5], gone: [5]}


async def _got(world: World, endpoint: Endpoint) -> list[int]:
    cursor = await world.admin.execute(
        "SELECT seq FROM webhook_deliveries WHERE endpoint_id = %s ORDER BY seq", (endpoint.id,)
    )
    return [seq for (seq,) in await cursor.fetchall()]


async def test_an_endpoint_that_commits_late_misses_nothing(world, deliver, epoch):
    """It has read a number, and is not seen before it commits: its organization waits."""
    org_id, other = await world.organization(), await world.organization()
    for of_org in (org_id, other):
        await world.endpoint(of_org, URL)
    await world.events(org_id, 1)
    await world.make_deliveries(deliver, epoch)
    async with world.admin.transaction():
        late = await world.endpoint(org_id, URL)
        for of_org in (org_id, other):
            await world.events(of_org, 1)
        await numbered(deliver, epoch, 100)
        done = await fan_out.fan_out(deliver, epoch, [org_id, other], rows=100)
        assert done == (1, [org_id], [])
    assert await world.make_deliveries(deliver, epoch) == 2
    assert await _got(world, late) == [2]


@pytest.mark.parametrize("seed", range(6))
async def test_what_endpoints_get_follows_from_when_they_were_active(
    world, database, deliver, epoch, seed
):
    """Numbers, turns that are cut off before they commit, endpoints that come and go, at random."""
    chances = random.Random(seed)
    org_ids = [await world.organization() for _ in range(3)]
    endpoints: list[Endpoint] = []
    is_active: dict[Endpoint, bool] = {}
    owed: dict[Endpoint, set[int]] = {}
    last_seq = dict.fromkeys(org_ids, 0)
    made = dict.fromkeys(org_ids, 0)

    async def turn() -> None:
        asked = chances.sample(org_ids, chances.randint(1, 3))
        killed = chances.random() < 0.3
        async with await connect(database.url("opsc_deliver"), "turn") as conn:
            async with conn.transaction(force_rollback=killed):
                await fan_out.fan_out(conn, epoch, asked, rows=chances.choice([1, 3, 50]))
            if killed:
                return
        for org_id, seq in await _cursors(world):
            for endpoint in endpoints:
                if endpoint.org_id == org_id and is_active[endpoint]:
                    wanted = range(made[org_id] + 1, seq + 1)
                    owed[endpoint] |= {each for each in wanted if each > began[endpoint]}
            made[org_id] = seq

    began: dict[Endpoint, int] = {}
    for _ in range(60):
        org_id = chances.choice(org_ids)
        match chances.choice(["events", "events", "number", "turn", "turn", "endpoint", "switch"]):
            case "events":
                await world.events(org_id, chances.randint(1, 5))
            case "number":
                await numbered(deliver, epoch, chances.choice([1, 4, 100]))
                for each, seqs in [(each, await world.seqs(each)) for each in org_ids]:
                    last_seq[each] = max((seq for seq in seqs if seq), default=0)
            case "turn":
                await turn()
            case "endpoint":
                endpoint = await world.endpoint(org_id, URL)
                endpoints.append(endpoint)
                is_active[endpoint], began[endpoint] = True, last_seq[org_id]
                owed[endpoint] = set()
            case _ if endpoints:
                endpoint = chances.choice(endpoints)
                is_active[endpoint] = not is_active[endpoint]
                if is_active[endpoint]:
                    began[endpoint] = last_seq[endpoint.org_id]
                    await world.change(
                        endpoint, state="active", disabled_reason=None, disabled_at=None
                    )
                else:
                    await disable(world, endpoint)
            case _:
                pass
    assert {each: set(await _got(world, each)) for each in endpoints} == owed


async def _cursors(world: World) -> list[tuple[UUID, int]]:
    cursor = await world.admin.execute("SELECT org_id, seq FROM webhook_cursors")
    return await cursor.fetchall()


async def test_an_epoch_that_has_passed_makes_nothing(world, deliver, epoch):
    org_id = await world.organization()
    await world.endpoint(org_id, URL)
    await world.events(org_id, 1)
    await numbered(deliver, epoch, 100)
    await leases.release(deliver, sequencer.LEASE, epoch)
    await leases.acquire(deliver, sequencer.LEASE, "successor", 60)
    with pytest.raises(leases.LeaseLost):
        await fan_out.fan_out(deliver, epoch, [org_id], rows=100)
    assert await world.deliveries(org_id) == []


async def test_sessions_that_are_ended_again_and_again_lose_and_double_nothing(world, database):
    org_id = await world.organization()
    endpoints = [await world.endpoint(org_id, "http://127.0.0.1:9/") for _ in range(20)]
    async with delivering(database, fan_out_limits=FanOutLimits(rows=100)):
        for _ in range(10):
            await world.events(org_id, 50)
            await world.admin.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE usename = 'opsc_deliver' AND datname = current_database()"
            )
            await asyncio.sleep(0.1)
        await until(lambda: world.all_are_made(org_id))
    for endpoint in endpoints:
        assert await _got(world, endpoint) == list(range(1, 501))


# In turns ----------------------------------------------------------------------------------------


async def test_each_organization_has_its_share_of_a_turn(world, deliver, epoch):
    much, little, none = [await world.organization() for _ in range(3)]
    for _ in range(40):
        await world.endpoint(much, URL)
    await world.endpoint(little, URL)
    await world.events(much, 100)
    for of_org in (little, none):
        await world.events(of_org, 3)
    await numbered(deliver, epoch, 1_000)
    done = await fan_out.fan_out(deliver, epoch, [much, little, none], rows=200)
    assert done == (2 * 40 + 3, [], [much])
    done = await fan_out.fan_out(deliver, epoch, [much], rows=200)
    assert done == (5 * 40, [], [much])


async def test_what_a_turn_has_no_room_for_keeps_its_place(world, deliver, epoch):
    org_ids = [await world.organization() for _ in range(4)]
    for org_id in org_ids:
        for _ in range(10):
            await world.endpoint(org_id, URL)
        await world.events(org_id, 1)
    await numbered(deliver, epoch, 100)
    assert await fan_out.fan_out(deliver, epoch, org_ids, rows=15) == (20, org_ids[2:], [])


async def test_numbers_do_not_wait_for_deliveries(world, database, deliver):
    """Somebody holds an endpoint's row against its deliveries: all events have their numbers."""
    org_id, other = await world.organization(), await world.organization()
    held = await world.endpoint(org_id, "http://127.0.0.1:9/")
    async with delivering(database):
        async with await connect(database.url("admin"), "test") as holder, holder.transaction():
            await holder.execute(
                "SELECT FROM webhook_endpoints WHERE id = %s FOR UPDATE", (held.id,)
            )
            await world.events(org_id, 1)
            await until(lambda: _waits_for_a_lock(world))
            await world.events(other, 3)
            await world.events(org_id, 3)
            await until(lambda: _are_numbered(world, org_id, other))
            assert await world.deliveries(org_id) == []
        await until(lambda: world.all_are_made(org_id))
    assert await _got(world, held) == [1, 2, 3, 4]


async def _waits_for_a_lock(world: World) -> bool:
    cursor = await world.admin.execute(
        "SELECT FROM pg_stat_activity WHERE usename = 'opsc_deliver' AND wait_event_type = 'Lock'"
        " AND datname = current_database()"
    )
    return cursor.rowcount > 0


async def _are_numbered(world: World, *org_ids: UUID) -> bool:
    return all([None not in await world.seqs(org_id) for org_id in org_ids])


# Too much waits ----------------------------------------------------------------------------------


async def test_an_endpoint_for_which_too_much_waits_is_disabled_and_the_others_are_told(
    world, database
):
    org_id = await world.organization()
    await world.admin.execute("UPDATE users SET password_hash = 'x' WHERE org_id = %s", (org_id,))
    limits = FanOutLimits(waiting_of_endpoint=20, count_s=0.05)
    async with (
        receivers.well_behaved(statuses=[500] * 1_000) as bad,
        receivers.well_behaved() as ok,
    ):
        full = await world.endpoint(org_id, bad.url)
        other = await world.endpoint(org_id, ok.url, ["webhook_endpoint.*", "quote.*"])
        async with delivering(database, fan_out_limits=limits):
            await world.events(org_id, 21)
            await until(lambda: _is_disabled(world, org_id))
            await world.events(org_id, 5, kind="quote.sent")
            await until(lambda: len(ok.ids) == 6)
    assert len(await _got(world, full)) == 21
    told = [json.loads(request.body) for request in ok.requests]
    (disabled,) = [body["data"] for body in told if body["type"] == "webhook_endpoint.disabled"]
    assert disabled["reason"] == "backlog"
    assert await world.rows("webhook_endpoints", "id, disabled_reason", "created_at", org_id) == [
        (full.id, "backlog"),
        (other.id, None),
    ]
    letters = await world.rows("mail_outbox", "purpose, endpoint_id", "id", org_id)
    assert letters == [("endpoint_disabled", full.id)]


async def _is_disabled(world: World, org_id: UUID) -> bool:
    return ("disabled",) in await world.rows("webhook_endpoints", "state", "id", org_id)


async def test_of_an_organization_those_go_for_which_most_waits(world, deliver, epoch):
    org_id = await world.organization()
    few, more, most = [await world.endpoint(org_id, URL) for _ in range(3)]
    for endpoint, count in ((few, 5), (more, 20), (most, 30)):
        await world.admin.execute(
            """
            WITH made AS (
                INSERT INTO events (org_id, id, type, occurred_at, data, is_test)
                SELECT %(org_id)s, gen_random_uuid(), 'quote.sent', now(), '{}', true
                  FROM generate_series(1, %(count)s)
                RETURNING org_id, id)
            INSERT INTO webhook_deliveries (org_id, endpoint_id, event_id, seq)
            SELECT org_id, %(endpoint_id)s, id, 1 FROM made
            """,
            {"org_id": org_id, "endpoint_id": endpoint.id, "count": count},
        )

    async def disabled(of_endpoint: int, of_organization: int) -> list[Endpoint]:
        await endpoint_health.disable_overfull(
            deliver, org_id, of_endpoint=of_endpoint, of_organization=of_organization
        )
        rows = dict(await world.rows("webhook_endpoints", "id, state", "id", org_id))
        return [each for each in (few, more, most) if rows[each.id] == "disabled"]

    assert await disabled(30, 55) == []
    assert await disabled(30, 54) == [most]
    await world.change(most, state="active", disabled_reason=None, disabled_at=None)
    assert await disabled(29, 1_000) == [most]
    # What waits for a disabled endpoint waits there, too.
    assert await disabled(1_000, 35) == [more, most]


# How much at once --------------------------------------------------------------------------------


def test_a_batch_grows_only_after_several_passes_that_went_well():
    size = BatchSize(1_000, passes=3)
    sizes = []
    for outcome in [0, 1, 1, 0, *[1] * 10]:
        if outcome:
            size.went_well()
        else:
            size.shrink()
        sizes.append(size.now)
    assert sizes == [250, 250, 250, 62, 62, 62, 124, 124, 124, 248, 248, 248, 496, 496]
    for _ in range(10):
        size.shrink()
    assert size.now == 1
