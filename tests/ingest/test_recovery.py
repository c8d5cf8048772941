"""A walk with every rule and every change, without a broker: what is read back is what was known.

Time is the walk's own; what happens is drawn from a seed.
"""

import json
from dataclasses import replace
from datetime import timedelta
from random import Random
from typing import Any

import pytest

from geofence.judging.evaluator import NO_TIMERS_US, TICK_US
from geofence.judging.state import State
from geofence.late.amendments import Visit
from geofence.late.history import History
from geofence.late.segments import Circumstances
from ingest.late.lookup import Lookup, look_up
from ingest.late.rejudge import Spent
from ingest.metrics import IngestMetrics
from ingest.planning.plan import UNDER_WAY_US
from ingest.recovery import recover
from ingest.standby import Standby
from ingest.transaction import LEASE, LeaderTerm
from mqtt import Message
from telemetry.ids import format_id
from telemetry.topics import fixes_topic
from tests.ingest.conftest import fix
from tests.ingest.tenants import Tenant
from tests.ingest.walking import (
    BATCHES,
    BEGIN,
    EVERYTHING,
    HOME,
    Walk,
    all_known,
    fail_to_take,
    lease_of,
    microseconds,
    take,
)
from tests.servers import PostgresUnderTest

pytestmark = pytest.mark.usefixtures("checkpoints_lie_a_minute_apart")


@pytest.mark.parametrize("seed", [1, 2, 6])
async def test_what_is_read_back_after_each_batch_is_what_was_known(
    postgres: PostgresUnderTest, seed: int
) -> None:
    database = postgres.migrated_database()
    walk = await Walk.begin(database, seed)
    async with lease_of(database) as (conn, epoch):
        term = LeaderTerm(
            conn, epoch, await recover(conn), IngestMetrics(), lambda: microseconds(walk.now)
        )
        for number in range(BATCHES):
            await take(term, await walk.step(), walk.now)
            assert all_known(await recover(conn)) == all_known(term.memory), (seed, number)
    events, visits = _told(walk)
    causes = {cause for row in (*events, *visits) for cause in row[3:5]}
    assert causes >= {"moved", "zone_changed", "reassigned", "silence", "schedule_started"}
    postgres.drop(database)


async def test_an_asset_is_where_its_tracker_left_it_and_the_tracker_elsewhere_by_now(
    postgres: PostgresUnderTest,
) -> None:
    """Before the change is taken in, which a fix of the asset or the next tick would do."""
    database = postgres.migrated_database()
    tenant = await Tenant.create(database)
    left, taken_up = await tenant.vehicle(), await tenant.vehicle()
    await tenant.take_off(taken_up.tracker_id, BEGIN)
    topic = fixes_topic(format_id("trk", left.tracker_id))
    now = BEGIN + timedelta(seconds=10)
    async with lease_of(database) as (conn, epoch):
        term = LeaderTerm(
            conn, epoch, await recover(conn), IngestMetrics(), lambda: microseconds(now)
        )
        for place in (HOME, (HOME[0], HOME[1] + 0.0001)):
            payload = json.dumps(fix(now, *place)).encode()
            await take(term, [Message(topic, payload, 1, 0, False, False, None, None)], now)
            now += timedelta(microseconds=TICK_US // 4)
            if place == HOME:
                await tenant.take_off(left.tracker_id, now)
                await tenant.put_on(left.tracker_id, taken_up.asset_id, now)
                now += timedelta(microseconds=TICK_US // 4)
        known = all_known(term.memory)
        assert known.keys() == {left.asset_id, taken_up.asset_id}
        assert all_known(await recover(conn)) == known
    postgres.drop(database)


def _told(walk: Walk) -> tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]]:
    """Return events, those of one asset and zone in order, and visits.

    By names: ids are another tenant's.
    """
    events = walk.tenant.rows(
        "SELECT occurred_at, data->>'asset_name', data->>'zone_name', data->>'cause', type,"
        " data->>'transition', data->>'inferred', data->>'lat', data->>'accuracy_m',"
        " data->>'distance_m', data->>'dwell_s', data->>'zone_version' FROM events"
        " ORDER BY 2, 3, position"
    )
    visits = walk.tenant.rows(
        "SELECT entered_at, assets.name, zone_versions.name, entry_cause, exit_cause, left_at,"
        " entry_inferred, exit_inferred, dwelled_at, first_fix_time, change_time, zone_version,"
        " overspeed_at, overspeed_mps"
        " FROM visits JOIN assets ON assets.id = asset_id JOIN zone_versions USING (zone_id)"
        " WHERE zone_versions.version = zone_version ORDER BY 1, 2, 3, 6"
    )
    return events, visits


@pytest.mark.parametrize("seed", [4, 5])
async def test_restarts_transactions_that_fail_and_late_fixes_left_over_change_nothing(
    postgres: PostgresUnderTest, seed: int
) -> None:
    told = [await _walk(postgres, seed, troubled) for troubled in (False, True)]
    assert told[0] == told[1]
    assert len(told[0][0]) > 20


async def _walk(
    postgres: PostgresUnderTest, seed: int, troubled: bool
) -> tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]]:
    database, trouble = postgres.migrated_database(), Random(seed)
    walk, standby = await Walk.begin(database, seed), Standby(LEASE)
    async with lease_of(database) as (conn, epoch):
        memory = await recover(conn)
        for _ in range(BATCHES):
            term = LeaderTerm(conn, epoch, memory, IngestMetrics(), lambda: microseconds(walk.now))
            messages = await walk.step()
            if troubled and trouble.random() < 0.3:
                await fail_to_take(term, messages, walk.now)
                term = replace(term, memory=await recover(conn))
            if troubled and trouble.random() < 0.3:
                await standby.refresh(conn)
            if troubled and trouble.random() < 0.3:
                term.memory.late_pace.saw(
                    {0: Spent(1, 10.0)}, 0.0
                )  # a plan judges one late fix, then more
            await take(term, messages, walk.now)
            memory = term.memory
            if troubled and trouble.random() < 0.3:
                memory = await recover(conn, standby.registry_of(epoch + 1))
                standby = Standby(LEASE)
    told = _told(walk)
    postgres.drop(database)
    return told


@pytest.mark.parametrize("seed", [7, 8, 9])
async def test_late_fixes_end_in_the_visits_of_the_order_of_time(
    postgres: PostgresUnderTest, seed: int
) -> None:
    """All that is stored of an asset, judged in one go, gives the visits that are stored."""
    database = postgres.migrated_database()
    walk = await Walk.begin(database, seed)
    async with lease_of(database) as (conn, epoch):
        term = LeaderTerm(
            conn, epoch, await recover(conn), IngestMetrics(), lambda: microseconds(walk.now)
        )
        for _ in range(BATCHES):
            await take(term, await walk.step(), walk.now)
        memory, due_us = term.memory, microseconds(walk.now) - UNDER_WAY_US
        need = Lookup(assets=dict.fromkeys(range(len(memory.registry.assets)), EVERYTHING))
        known = await look_up(conn, need, memory.registry)
    amended = walk.tenant.rows("SELECT count(*) FROM visits WHERE revision > 1")
    assert amended[0][0] > 5
    for asset, past in known.assets.items():
        agenda = memory.registry.agenda_since(asset, 0, due_us)
        circumstances = Circumstances(memory.registry.index, memory.registry.gates, agenda)
        history = History(asset, State())
        assert past.rows is not None
        history.recall(past.rows, [], NO_TIMERS_US, circumstances)
        history.pass_time(due_us, circumstances)
        expected = sorted(map(_span, history.visits.values()))
        assert sorted(_span(visit) for visit in past.visits if not visit.retracted) == expected
    postgres.drop(database)


def _span(visit: Visit) -> tuple[int, int, float]:
    return visit.key.zone, visit.entered.time_us, visit.end_us
