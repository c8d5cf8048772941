"""A batch that makes more events than a transaction may have is cut, which changes nothing else."""

import json
import secrets
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from db.core.connect import connect
from db.core.tenant import act_for
from db.history.inbox import NewMessage, put
from ingest.planning import deferral, pace, shares
from ingest.planning.decoded_batch import decode_batch
from ingest.runtime import IngestRuntime
from ingest.transaction import plan_with_lookups
from telemetry.topics import fixes_topic
from tests.ingest.conftest import Device, fix, running, runtime
from tests.ingest.seam import now_us, settle, term_of
from tests.ingest.tenants import Tenant, Vehicle, soon, square
from tests.ingest.test_receipts import heard, listening
from tests.ingest.test_results import sent
from tests.servers import BrokerUnderTest, DatabaseUnderTest
from tests.waiting import until

HOME = (13.4, 52.5)
AWAY = (13.4, 52.5013)
ZONES = 12
VISITS = "SELECT zone_id, entered_at, left_at, entry_cause, exit_cause, revision FROM visits"
EVENTS = "SELECT data ->> 'transition', occurred_at, data ->> 'late' FROM events ORDER BY position"
FIXES = "SELECT time, seq, flags FROM gps_events ORDER BY time"
REFUSED = "SELECT reason, positions FROM quarantine"


def runtime_of(
    database: DatabaseUnderTest, broker: BrokerUnderTest, transitions: int
) -> IngestRuntime:
    leader = runtime(database.url("opsc_ingest"), broker.url, f"ingest-{secrets.token_hex(4)}")
    leader.batch_transitions = transitions
    return leader


async def tenant_with_zones(database: DatabaseUnderTest) -> tuple[Tenant, Vehicle, dict[str, int]]:
    """Return the numbers of its zones by id."""
    tenant = await Tenant.create(database)
    vehicle = await tenant.vehicle()
    await tenant.wants_receipts(vehicle)
    ids = [await tenant.zone(square(*HOME)) for _ in range(ZONES)]
    return tenant, vehicle, {str(zone_id): number for number, zone_id in enumerate(ids)}


def in_and_out(at: datetime, fixes: int) -> list[dict[str, Any]]:
    """Return positions: two away, one at home, and so on; the fourth cannot be."""
    seconds = (at + timedelta(seconds=number) for number in range(fixes))
    made = [fix(t, *(AWAY if n % 3 else HOME), seq=n) for n, t in enumerate(seconds)]
    return [*made[:3], fix(at + timedelta(seconds=3), 0, 0), *made[4:]]


def told(tenant: Tenant, numbers: dict[str, int]) -> Sequence[Any]:
    """Return what is stored, but for ids."""
    visits, events, fixes, refused = (
        tenant.rows(statement) for statement in (VISITS, EVENTS, FIXES, REFUSED)
    )
    return (
        sorted((numbers[str(zone_id)], *visit) for zone_id, *visit in visits),
        events,
        fixes,
        refused,
    )


@pytest.mark.parametrize("transitions", [1, 2 * ZONES + 1])
async def test_a_batch_in_pieces_gives_what_it_gives_whole(
    database: DatabaseUnderTest, broker: BrokerUnderTest, device: Device, transitions: int
) -> None:
    at, found, receipts = soon(-300), list[Any](), list[Any]()
    for most in (10_000, transitions):
        tenant, vehicle, numbers = await tenant_with_zones(database)
        leader = runtime_of(database, broker, most)
        leader.acceptance = leader.acceptance.__class__(max_fixes_per_s=4)
        async with running(leader), listening(broker, vehicle) as session:
            await device.send(vehicle, *in_and_out(at, 46))
            receipts += [content for _, content in await heard(session, 1)]
            found.append(told(tenant, numbers))
    assert found[0] == found[1]
    assert receipts[0] == receipts[1]
    assert receipts[0] == receipts[0] | {"count": 45, "rejected": ["bad_coordinate"]}
    assert len(found[0][1]) == (15 + 14) * ZONES


async def test_a_turn_that_ends_between_two_pieces_is_gone_on_with_by_the_next(
    database: DatabaseUnderTest, broker: BrokerUnderTest, device: Device
) -> None:
    at, found = soon(-300), list[Any]()
    for most in (10_000, 1):
        tenant, vehicle, numbers = await tenant_with_zones(database)
        leader = runtime_of(database, broker, most)
        client_id = leader.session_options.client_id
        async with running(leader):
            await device.send(vehicle, *in_and_out(at, 46))
            await until(lambda tenant=tenant: len(tenant.rows(FIXES)) > 0)
        again = runtime(database.url("opsc_ingest"), broker.url, client_id)
        async with running(again):
            await until(lambda tenant=tenant: len(tenant.rows(FIXES)) == 45)
        found.append(told(tenant, numbers))
    assert [found[0][0], found[0][1], found[0][2]] == [found[1][0], found[1][1], found[1][2]]


async def test_those_who_make_few_events_do_not_wait_for_one_who_makes_many(
    database: DatabaseUnderTest, broker: BrokerUnderTest, device: Device
) -> None:
    many, of_many, _ = await tenant_with_zones(database)
    few, of_few, _ = await tenant_with_zones(database)
    at = soon(-800)
    async with running(runtime_of(database, broker, 1)):
        await device.send(of_many, *in_and_out(at, 100))
        await until(lambda: len(many.rows(EVENTS)) > 0)
        await device.send(of_few, fix(soon(-5), *HOME))
        await until(lambda: len(few.rows(EVENTS)) == ZONES)
        told_then = len(many.rows(EVENTS))
        await until(lambda: len(many.rows(EVENTS)) == (33 + 32) * ZONES)
    assert told_then < (33 + 32) * ZONES


async def test_a_message_that_comes_again_is_not_finished_before_its_fixes_are_stored(
    database: DatabaseUnderTest, broker: BrokerUnderTest, device: Device
) -> None:
    tenant, vehicle, _ = await tenant_with_zones(database)
    sent = in_and_out(soon(-300), 46)
    async with running(runtime_of(database, broker, 1)), listening(broker, vehicle) as session:
        await device.send(vehicle, *sent)
        await until(lambda: len(tenant.rows(FIXES)) > 0)
        await device.send(vehicle, *sent)
        await heard(session, 1)
        assert len(tenant.rows(FIXES)) == 45


async def test_late_fixes_of_an_asset_are_cut_too_and_give_what_they_give_whole(
    database: DatabaseUnderTest,
    broker: BrokerUnderTest,
    device: Device,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    at, newest, found = soon(-300), soon(-1), list[Any]()
    for most in (10_000, 7):
        monkeypatch.setattr(shares, "MOST_LATE", most)
        tenant, vehicle, numbers = await tenant_with_zones(database)
        async with running(runtime_of(database, broker, 10_000)):
            await device.send(vehicle, fix(newest, *AWAY, seq=99))
            await until(lambda tenant=tenant: len(tenant.rows(FIXES)) == 1)
            await device.send(vehicle, *in_and_out(at, 46))
            await until(lambda tenant=tenant: len(tenant.rows(FIXES)) == 46)
        visits, _, fixes, refused = told(tenant, numbers)
        found.append((sorted(row[:3] for row in visits), fixes, refused))
    assert len(found[0][0]) == 15 * ZONES
    assert found[0] == found[1]


@pytest.mark.parametrize("way", ["broker", "inbox"])
async def test_one_with_more_than_a_batch_left_over_holds_up_nobody(
    database: DatabaseUnderTest, broker: BrokerUnderTest, device: Device, way: str
) -> None:
    many, of_many, _ = await tenant_with_zones(database)
    few, of_few, _ = await tenant_with_zones(database)
    leader = runtime_of(database, broker, 1)
    leader.batch_fixes = 200
    made = in_and_out(soon(-800), 700)
    async with running(leader):
        if way == "inbox":
            await put_into_inbox(many, of_many, made)
        else:
            for begin in range(0, len(made), 100):
                await device.send(of_many, *made[begin : begin + 100])
        await until(lambda: len(many.rows(EVENTS)) > 0)
        if way == "inbox":
            await put_into_inbox(few, of_few, [fix(soon(-5), *HOME)])
        else:
            await device.send(of_few, fix(soon(-5), *HOME))
        await until(lambda: len(few.rows(FIXES)) == 1)
        left_then = len(made) - len(many.rows(FIXES))
    assert left_then > leader.batch_fixes, "it was not waited for until a batch was left"


async def put_into_inbox(tenant: Tenant, vehicle: Vehicle, fixes: list[dict[str, Any]]) -> None:
    async with await connect(tenant.database.url("opsc_app"), "test") as conn, conn.transaction():
        await act_for(conn, tenant.org_id)
        payload = json.dumps(fixes).encode()
        await put(conn, NewMessage(tenant.org_id, fixes_topic(vehicle.name), payload))


@pytest.mark.parametrize("share", [10_000, 20])
async def test_late_fixes_of_one_are_cut_where_others_have_fixes_and_nothing_else_changes(
    database: DatabaseUnderTest,
    broker: BrokerUnderTest,
    device: Device,
    monkeypatch: pytest.MonkeyPatch,
    share: int,
) -> None:
    monkeypatch.setattr(shares, "MOST_LATE_SHARE", share)
    monkeypatch.setattr(shares, "MOST_DOUBTFUL_SHARE", share)
    monkeypatch.setattr(deferral, "SLOW_FIXES", share)
    many, of_many, _ = await tenant_with_zones(database)
    few, of_few, _ = await tenant_with_zones(database)
    leader = runtime_of(database, broker, 10_000)
    leader.limits = replace(leader.limits, latency_ms=300)  # one batch of both
    async with running(leader):
        await device.send(of_many, fix(soon(-1), *AWAY, seq=99))
        await until(lambda: len(many.rows(FIXES)) == 1)
        await device.send(of_many, *in_and_out(soon(-300), 46))
        await device.send(of_few, fix(soon(-5), *HOME))
        await until(lambda: len(many.rows(FIXES)) == 46)
        await until(lambda: len(few.rows(FIXES)) == 1)
    assert len(many.rows(VISITS)) == 15 * ZONES


async def test_whose_messages_are_refused_has_little_of_the_next_batch(
    database: DatabaseUnderTest,
) -> None:
    many, few = await Tenant.create(database), await Tenant.create(database)
    of_many, of_few = await many.vehicle(), await few.vehicle()
    refused = [sent(of_many, fix(soon(-9), 0, n / 1e6), topic=f"no/{n}") for n in range(150)]
    good = [sent(of_few, fix(soon(n - 90), *HOME)) for n in range(40)]
    async with term_of(database) as term:
        await settle(term, refused[: shares.MOST_REFUSED_SHARE])
        await settle(term, [*refused, *good[:20]])
        batch = deferral.shared(decode_batch([*refused, *good[20:]], now_us()), term.memory, 1_000)
        of_each = Counter(one.identity for one in batch.messages)
        assert of_each == {of_many.tracker_id: deferral.SLOW_FIXES, of_few.tracker_id: 20}
        assert [len(one.part.messages) for one in batch.behind] == [150 - deferral.SLOW_FIXES]
        await settle(term, [*refused[:1], *good[20:]])
        assert deferral.shared(decode_batch(refused, now_us()), term.memory, 1_000).behind == ()
    assert many.rows("SELECT count(*), sum(seen) FROM quarantine") == [(150, 215)]


async def test_whose_fixes_conflict_has_little_of_the_next_batch(
    database: DatabaseUnderTest,
) -> None:
    many, few = await Tenant.create(database), await Tenant.create(database)
    of_many, of_few = await many.vehicle(), await few.vehicle()
    moment = soon(-9)
    conflicts = [sent(of_many, fix(moment, 13.0, 50 + n / 100)) for n in range(150)]
    good = [sent(of_few, fix(soon(n - 90), *HOME)) for n in range(20)]
    async with term_of(database) as term:
        await settle(term, [*conflicts, *good[:10]])
        batch = deferral.shared(
            decode_batch([*conflicts, *good[10:]], now_us()), term.memory, 1_000
        )
        assert [len(one.part.messages) for one in batch.behind] == [150 - deferral.SLOW_FIXES]
    assert many.rows("SELECT count(*) FROM quarantine WHERE reason = 'conflict'") == [(149,)]


async def test_of_one_that_crosses_zones_a_plan_has_little_while_others_send(
    database: DatabaseUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pace, "TRANSITIONS_S", 0.003)
    monkeypatch.setattr(pace, "_COMPANY_US", 600_000_000)
    many, of_many, _ = await tenant_with_zones(database)
    few = await Tenant.create(database)
    of_few = await few.vehicle()
    crossing = decode_batch([sent(of_many, *in_and_out(soon(-300), 100))], now_us())
    async with term_of(database) as term:
        term.memory.most_transitions = 100_000
        plan = await plan_with_lookups(term.conn, crossing, term.memory, now_us)
        assert (len(plan.evaluation.transitions), len(plan.deferred)) == ((33 + 32) * ZONES, 0)
        assert not plan.slow
        term.memory.company.saw([term.memory.registry.organizations.number(few.org_id)], now_us())
        plan = await plan_with_lookups(term.conn, crossing, term.memory, now_us)
        assert 30 <= len(plan.evaluation.transitions) < 30 + 2 * ZONES
        assert plan.slow == {term.memory.registry.organizations.number(many.org_id)}
        await settle(term, [sent(of_few, fix(soon(-3), *HOME))])
        assert not term.memory.slow


async def test_a_batch_has_little_of_each_where_several_send(database: DatabaseUnderTest) -> None:
    many, few = await Tenant.create(database), await Tenant.create(database)
    of_many, of_few = await many.vehicle(), await few.vehicle()
    much = [
        sent(of_many, *(fix(soon(n - 9_000), *HOME) for n in range(begin, begin + 400)))
        for begin in range(0, 2_000, 400)
    ]
    good = [sent(of_few, fix(soon(n - 90), *HOME)) for n in range(40)]
    async with term_of(database) as term:
        batch = decode_batch([*much, *good], now_us())
        assert deferral.shared(batch, term.memory, 20_000).behind == ()
        term.memory.company.is_shared = True
        batch = deferral.shared(batch, term.memory, 20_000)
        of_each = Counter(one.identity for one in batch.messages)
        assert of_each == {of_many.tracker_id: 3, of_few.tracker_id: 40}
        assert deferral.SHARED_FIXES == 1_000


async def test_what_waits_of_each_goes_before_what_came_and_is_cut_by_its_share(
    database: DatabaseUnderTest,
) -> None:
    many, few = await Tenant.create(database), await Tenant.create(database)
    of_many, of_few = await many.vehicle(), await few.vehicle()
    waiting = [sent(of_many, fix(soon(n - 900), *HOME)) for n in range(150)]
    came = [sent(of_many, fix(soon(-1), *HOME)), sent(of_few, fix(soon(-1), *HOME))]
    async with term_of(database) as term:
        memory = term.memory
        memory.deferred = [
            *deferral.by_organization(decode_batch(waiting[:90], now_us()), memory.registry),
            *deferral.by_organization(decode_batch(waiting[90:], now_us()), memory.registry),
        ]
        memory.slow = frozenset({memory.registry.organizations.number(many.org_id)})
        batch = deferral.shared(decode_batch(came, now_us()), memory, 1_000)
    assert batch.messages == [*waiting[: deferral.SLOW_FIXES], came[1]]
    left = [message for one in batch.behind for message in one.part.messages]
    assert left == [*waiting[deferral.SLOW_FIXES :], came[0]]
