"""A clock that was an hour ahead for a while: what is wrong then is right as soon as it is."""

import json
import re
import time
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from ingest.planning.decoded_batch import decode_batch
from ingest.runtime import IngestRuntime
from ingest.transaction import plan_with_lookups
from service.clock import Clock
from telemetry.topics import fixes_topic
from tests.ingest.conftest import Device, fix, running, runtime
from tests.ingest.punches.punching import HOME, Crew, punch
from tests.ingest.seam import ClockAhead, DeviceMessage, settle, term_of
from tests.ingest.tenants import Tenant, Vehicle, soon, square
from tests.servers import BrokerUnderTest, DatabaseUnderTest
from tests.waiting import until

HOUR_S = 3600
AWAY = (13.4, 52.6)
AHEAD_S = 41 * 60


def message(vehicle: Vehicle, *fixes: dict[str, Any]) -> DeviceMessage:
    return DeviceMessage(None, fixes_topic(vehicle.name), json.dumps(fixes).encode())


def told(tenant: Tenant) -> list[str]:
    rows = tenant.rows("SELECT data ->> 'transition' FROM events ORDER BY position")
    return [transition for (transition,) in rows]


def leader_of(
    database: DatabaseUnderTest, broker: BrokerUnderTest, clock: ClockAhead
) -> IngestRuntime:
    leader = runtime(database.url("opsc_ingest"), broker.url, f"ingest-{id(clock)}")
    leader.clock = Clock(
        leader.metrics.clock_jumped, lambda: time.time_ns() + round(clock.ahead_s * 1e9)
    )
    return leader


def metric(leader: IngestRuntime, name: str) -> float:
    found = re.search(rf"^{re.escape(name)} (\S+)$", leader.metrics.page().decode(), re.MULTILINE)
    assert found is not None
    return float(found[1])


async def check_judged_rightly(crew: Crew, device: Device) -> None:
    """Check that a fix and punches are judged by the time that it is."""
    tenant = crew.tenant
    vehicle, honest, sly = await tenant.vehicle(), await crew.worker(), await crew.worker()
    await device.send(vehicle, fix(soon(AHEAD_S), *AWAY))
    refused = f"SELECT reason FROM quarantine WHERE tracker_id = '{vehicle.tracker_id}'"
    await until(lambda: tenant.rows(refused) == [("future",)])
    for worker, ago_s in ((honest, 1), (sly, -AHEAD_S)):
        sent = worker.message(punch(worker.employee_id, ago_s=ago_s))
        await device.send_raw(sent.topic, sent.payload)
    columns = "SELECT verdict, claimed_at, pay_time, received_at FROM punches WHERE employee_id = "
    for worker in (honest, sly):
        await until(lambda worker=worker: tenant.rows(f"{columns}'{worker.employee_id}'"))
    ((verdict, claimed_at, pay_time, _),) = tenant.rows(f"{columns}'{honest.employee_id}'")
    assert (verdict, pay_time) == ("verified", claimed_at)
    ((verdict, claimed_at, pay_time, received_at),) = tenant.rows(f"{columns}'{sly.employee_id}'")
    assert verdict == "unverified"
    assert abs(claimed_at - pay_time) > timedelta(minutes=30)
    assert abs(soon(0) - received_at) < timedelta(minutes=10)


@pytest.mark.parametrize("restarts", [False, True])
async def test_a_clock_that_was_ahead_judges_rightly_once_it_is_right(
    tenant: Tenant,
    device: Device,
    database: DatabaseUnderTest,
    broker: BrokerUnderTest,
    *,
    restarts: bool,
) -> None:
    await tenant.zone(square(*HOME), kind="jobsite", name="Quarry")
    truck, clock = await tenant.vehicle(), ClockAhead(HOUR_S)
    receipts = "SELECT received_at FROM gps_events ORDER BY time"
    leader = leader_of(database, broker, clock)
    async with running(leader):
        await device.send(truck, fix(soon(-5), *AWAY))
        await until(lambda: len(tenant.rows(receipts)) == 1)
        clock.ahead_s = 0
        if not restarts:
            await check_judged_rightly(Crew(tenant), device)
            assert metric(leader, 'opsc_ingest_clock_jumps_total{direction="backward"}') == 1
            assert metric(leader, 'opsc_ingest_clock_jumps_total{direction="forward"}') == 0
    leader = leader_of(database, broker, clock)
    async with running(leader):
        if restarts:
            await check_judged_rightly(Crew(tenant), device)
        await device.send(truck, fix(soon(-1), *AWAY))
        await until(lambda: len(tenant.rows(receipts)) == 2)
        assert HOUR_S - 600 < metric(leader, "opsc_ingest_feed_ahead_seconds") < HOUR_S + 1
    assert metric(leader, "opsc_ingest_feed_ahead_seconds") == 0
    (first, second) = (received_at for (received_at,) in tenant.rows(receipts))
    assert first < second < first + timedelta(seconds=1)


async def test_a_zone_made_while_the_clock_of_the_database_was_ahead_is_entered_and_judges_nobody(
    tenant: Tenant, device: Device, database: DatabaseUnderTest, broker: BrokerUnderTest
) -> None:
    """It reaches back: what was received before it was made opens no visit."""
    await tenant.zone(square(*HOME), kind="jobsite", name="Quarry")
    zone_id, truck = await tenant.zone(square(*AWAY)), await tenant.vehicle()
    await Crew(tenant).execute(
        "UPDATE zone_versions SET created_at = now() + interval '1 hour' WHERE zone_id = %s",
        (zone_id,),
    )
    async with running(leader_of(database, broker, ClockAhead())):
        await check_judged_rightly(Crew(tenant), device)
        await device.send(truck, fix(soon(-1), *AWAY))
        await until(lambda: tenant.rows("SELECT zone_id FROM visits") == [(zone_id,)])


# Without a fix ------------------------------------------------------------------------------------


async def test_a_stay_is_told_of_once_a_clock_that_was_ahead_is_right(
    tenant: Tenant, database: DatabaseUnderTest
) -> None:
    await tenant.zone(square(*HOME), kind="yard", rules={"dwell_seconds": 3})
    truck, clock = await tenant.vehicle(), ClockAhead(HOUR_S)
    async with term_of(database, clock) as term:
        await settle(term, [])
        clock.ahead_s = 0
        await settle(term, [message(truck, fix(soon(-2), *HOME))])
        assert told(tenant) == []
        clock.ahead_s = 2
        await settle(term, [])
    assert told(tenant) == ["dwell"]


async def test_hours_that_begin_once_a_clock_that_was_ahead_is_right_are_told_of(
    tenant: Tenant, database: DatabaseUnderTest
) -> None:
    begin = (soon(60) + timedelta(minutes=1)).replace(second=0, microsecond=0)
    days = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
    end = begin + timedelta(minutes=10)
    window = {"days": days, "from": f"{begin:%H:%M}", "to": f"{end:%H:%M}"}
    await tenant.zone(square(*HOME), schedule={"timezone": "UTC", "windows": [window]})
    truck, clock = await tenant.vehicle(), ClockAhead(HOUR_S)
    async with term_of(database, clock) as term:
        await settle(term, [])
        clock.ahead_s = 0
        await settle(term, [message(truck, fix(soon(-2), *HOME))])
        assert told(tenant) == []
        clock.ahead_s = (begin - soon(-2)).total_seconds()
        await settle(term, [])
    assert tenant.rows("SELECT data ->> 'cause' FROM events") == [("schedule_started",)]


async def test_a_silence_that_was_none_is_taken_back_and_the_next_fixes_are_not_late(
    tenant: Tenant, database: DatabaseUnderTest
) -> None:
    await tenant.zone(square(*HOME), rules={"close_after_silence_seconds": HOUR_S // 2})
    truck, clock = await tenant.vehicle(), ClockAhead()
    left = "SELECT left_at IS NOT NULL, exit_cause FROM visits"
    async with term_of(database, clock) as term:
        await settle(term, [message(truck, fix(soon(-5), *HOME))])
        clock.ahead_s = HOUR_S
        await settle(term, [])
        assert tenant.rows(left) == [(True, "silence")]
        clock.ahead_s = 0
        for ago_s in (3, 2, 1):
            await settle(term, [message(truck, fix(soon(-ago_s), *HOME))])
            assert tenant.rows(left) == [(False, None)]
        assert b"opsc_ingest_fixes_late_total 1.0" in term.metrics.page()


async def test_nothing_falls_due_with_a_message_that_is_stored_alone(
    tenant: Tenant, database: DatabaseUnderTest
) -> None:
    clock = ClockAhead(HOUR_S)
    async with term_of(database, clock) as term:
        await settle(term, [])
        clock.ahead_s = 0
        alone = replace(term.memory.in_order(decode_batch([], clock())), alone=True)
        for arrivals, is_tick in ((alone, False), (replace(alone, alone=False), True)):
            plan = await plan_with_lookups(term.conn, arrivals, term.memory, clock)
            assert (plan.delta.ticked_us != term.memory.state.ticked_us) == is_tick


async def test_a_zone_drawn_around_a_parked_vehicle_meanwhile_is_found(
    tenant: Tenant, database: DatabaseUnderTest
) -> None:
    truck, clock = await tenant.vehicle(), ClockAhead()
    async with term_of(database, clock) as term:
        await settle(term, [message(truck, fix(soon(-5), *HOME))])
        clock.ahead_s = HOUR_S
        await settle(term, [])
        await tenant.zone(square(*HOME), valid_from=soon(-3))
        clock.ahead_s += 1
        await settle(term, [])
        clock.ahead_s = 0
        await settle(term, [])
    assert tenant.rows("SELECT entry_cause FROM visits") == [("zone_changed",)]
