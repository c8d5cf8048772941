"""What an operator sees of what ingest judged."""

from datetime import timedelta

from ingest.runtime import IngestRuntime
from tests.ingest.conftest import Device, fix
from tests.ingest.tenants import Tenant, soon, square
from tests.waiting import until

HOME = (13.4, 52.5)
FAR = (13.4, 53.0)


async def test_transitions_timers_and_suspect_fixes_are_counted(
    tenant: Tenant, device: Device, ingest: IngestRuntime
) -> None:
    vehicle = await tenant.vehicle()
    await tenant.zone(square(*HOME), rules={"dwell_seconds": 1})
    at = soon(-100)
    places = enumerate([HOME, FAR, FAR, FAR, HOME])
    fixes = [fix(at + timedelta(seconds=number), *place) for number, place in places]
    await device.send(vehicle, *fixes)
    counted = {
        'transitions_total{transition="enter"}': 1,
        'transitions_total{transition="dwell"}': 1,
        'transitions_total{transition="exit"}': 1,
        'transitions_total{transition="schedule"}': 0,
        "timers_total": 1,
        "fixes_healed_total": 2,
        "fixes_suspect_total": 3,
    }
    lines = {f"opsc_ingest_{name} {count:.1f}" for name, count in counted.items()}
    await until(lambda: lines <= set(ingest.metrics.page().decode().splitlines()))
