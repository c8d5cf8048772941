"""All kinds of devices with all their faults, against a listener, an ingest and a database: what is
acknowledged is stored, and nothing is stored twice.

Where they hear of no session their stacks throw away what is unacknowledged (MQTT-3.2.2-5). They
find the session that they ask for, so that with QoS 1 and 2 they throw nothing away.
"""

import asyncio
import secrets
from collections import Counter

import numpy as np
from numpy.typing import NDArray

from device_sim.devices import Qos, Version, devices
from device_sim.faults import Faults, with_faults
from device_sim.fleet import run_fleet
from device_sim.motion import StreetPlan
from device_sim.plan import FleetPlan, SimTracker
from mqtt import BrokerAddress
from telemetry.ids import format_id
from tests.ingest.tenants import Tenant
from tests.listener.registering import rotate
from tests.listener.running import System, running
from tests.servers import beside

FLEET = 18  # two of each version and QoS
RATE_HZ, SECONDS = 4, 8
FAULTS = Faults(
    {
        "cut": 0.01,
        "trickle": 0.02,
        "silent": 0.3,
        "twice": 0.003,
        "deaf": 0.01,
        "retry": 0.5,
        "duplicate": 0.02,
    }
)
Identity = tuple[str, int, int]


async def _trackers(tenant: Tenant) -> list[SimTracker]:
    made: list[SimTracker] = []
    for _ in range(FLEET):
        vehicle, secret = await tenant.vehicle(), secrets.token_urlsafe(32)
        await rotate(tenant, vehicle.tracker_id, secret)
        made.append(SimTracker(vehicle.name, secret))
    return made


def _identities(plan: FleetPlan, rows: NDArray[np.void]) -> set[Identity]:
    return {
        (plan.trackers[row["tracker"]].tracker_id, int(row["time_us"]), int(row["seq"]))
        for row in rows
    }


def _stored(tenant: Tenant) -> Counter[Identity]:
    rows = tenant.rows(
        "SELECT tracker_id, (extract(epoch FROM time) * 1000000)::bigint, seq FROM gps_events"
    )
    return Counter((format_id("trk", tracker), time_us, seq) for tracker, time_us, seq in rows)


async def _break_ingest(system: System) -> None:
    """Freeze ingest so that devices repeat, then kill it: the listener keeps what it holds."""
    await asyncio.sleep(SECONDS / 4)
    system.ingest.freeze()
    await asyncio.sleep(1.5)
    await asyncio.to_thread(system.ingest.kill)
    await beside(system.ingest.start)


async def test_all_kinds_of_devices_lose_nothing_that_was_acknowledged(tenant: Tenant) -> None:
    streets = StreetPlan(FLEET, RATE_HZ, SECONDS, seed=1)
    plan = FleetPlan(
        await _trackers(tenant),
        with_faults(streets.slices, FAULTS, 1),
        connects_per_s=50,
        faults=FAULTS,
        seed=1,
        qos=Qos.MIXED,
        version=Version.MIXED,
    )
    has_answers = [one.qos > 0 for one in devices(FLEET, Qos.MIXED, Version.MIXED, FAULTS, 1)]
    with running(tenant.database) as system:
        address = BrokerAddress.parse(system.url)
        async with asyncio.TaskGroup() as group:
            run = group.create_task(run_fleet(plan, address))
            group.create_task(_break_ingest(system))
        ledger, final = run.result().ledger, run.result().final
        assert ledger is not None
        stored = _stored(tenant)
    acknowledged = _identities(plan, ledger.acknowledged_fixes())
    doubtful = _identities(plan, ledger.doubtful_fixes())
    assert [row for row in ledger.doubtful_fixes() if has_answers[row["tracker"]]] == []
    assert final.failed == 0
    assert final.connects == FLEET
    assert acknowledged <= stored.keys()
    assert stored.keys() <= acknowledged | doubtful
    assert set(stored.values()) == {1}
