"""Each case of a punch through a listener and an ingest: stored once, judged, told by an event."""

from collections.abc import Iterator

import pytest

from telemetry.ids import format_id
from tests.ingest.punches.cases import CASES, PunchCase
from tests.ingest.punches.punching import AWAY, Crew, punch
from tests.ingest.tenants import Tenant, square
from tests.listener.running import System, running
from tests.listener.test_punches import send, signed_in
from tests.servers import DatabaseUnderTest


@pytest.fixture(scope="module")
def system(database: DatabaseUnderTest) -> Iterator[System]:
    """A listener and an ingest of this module."""
    with running(database) as running_system:
        yield running_system


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
async def test_a_punch_over_mqtt_has_its_verdict_once(
    system: System, tenant: Tenant, case: PunchCase
) -> None:
    crew = Crew(tenant)
    zones = [
        await tenant.zone(
            square(*site.place), kind="jobsite", punch_tolerance_m=site.punch_tolerance_m
        )
        for site in case.sites
    ]
    worker = await crew.worker(**({} if case.by is None else {"by": case.by}))
    sender = await crew.worker() if case.is_from_another else worker
    async with signed_in(system, sender) as session:
        for before in case.before:
            await send(session, sender, punch(worker.employee_id, **before))
        if case.is_moved:
            await tenant.change_zone(zones[0], square(*AWAY))
        sent = punch(worker.employee_id, **case.punch)
        for _ in range(2):
            await send(session, sender, sent)
    columns = "verdict, reasons, pay_time_source, zone_id, tracker_id, id"
    *earlier, (verdict, reasons, pay, zone, tracker, punch_id) = crew.stored(columns)
    assert len(earlier) == len(case.before)
    assert (verdict, [one["rule"] for one in reasons], pay) == (case.verdict, case.rules, case.pay)
    assert zone == (None if "no_fix" in case.rules else zones[case.site])
    assert tracker == sender.tracker_id
    told = crew.events()
    assert [event_type for event_type, _ in told] == case.events
    data = told[-1][1]
    assert (data["punch_id"], data["verdict"], data["reasons"]) == (
        format_id("pun", punch_id),
        verdict,
        reasons,
    )
    assert tenant.rows("SELECT FROM quarantine") == []
    shifts = tenant.rows("SELECT flags FROM shifts ORDER BY started_at")
    assert case.shifts in (None, [sorted(flag["name"] for flag in flags) for (flags,) in shifts])
