"""Each case of a punch through HTTP: stored once, judged as over MQTT, told by an event."""

from typing import Any

import pytest

from tests.api.punching import Worker, employee, jobsite, punch_events, rules, worker
from tests.api.running import Organization, RunningApi
from tests.ingest.punches.cases import CASES, PunchCase
from tests.ingest.punches.punching import AWAY
from tests.ingest.tenants import square


async def anna(api: RunningApi, org: Organization, case: PunchCase) -> Worker:
    """Return the employee of a case, and who sends the punch."""
    rights: dict[str, Any] = {"punch_rights": {"by": ["phone"] if case.by is None else case.by}}
    if case.is_by_hand:
        return Worker(await employee(org, **rights), org.dispatcher)
    if case.is_from_another:
        await worker(api, org)
        return Worker(await employee(org, **rights), org.technician)
    return await worker(api, org, **rights)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
async def test_a_punch_over_rest_has_its_verdict_once(
    api: RunningApi, org: Organization, case: PunchCase
) -> None:
    zones = [
        await jobsite(org, site.place, name=f"S{n}", punch_tolerance_m=site.punch_tolerance_m)
        for n, site in enumerate(case.sites)
    ]
    sender = await anna(api, org, case)
    for before in case.before:
        await sender.punch(**before)
    if case.is_moved:
        path = f"/v1/zones/{zones[0]['id']}"
        assert (await org.admin.patch(path, {"geometry": square(*AWAY)})).status == 200
    claim = sender.claim(**case.punch) | ({"reason": "forgotten"} if case.is_by_hand else {})
    answers = [await sender.client.post("/v1/punches", claim) for _ in range(2)]
    assert [one.status for one in answers] == [case.rest.status] * 2
    if case.rest.status != 201:
        assert (
            (await org.dispatcher.get("/v1/punches")).json["total"]
            == len(punch_events(api, org))
            == 0
        )
        return
    stored, again = (one.json for one in answers)
    assert again == stored == (await org.dispatcher.get(f"/v1/punches/{stored['id']}")).json
    assert (await org.dispatcher.get("/v1/punches")).json["total"] == len(case.before) + 1
    assert (stored["verdict"], rules(stored), stored["pay_time_source"]) == (
        case.verdict,
        case.rules,
        case.rest.pay or case.pay,
    )
    assert stored["zone_id"] == (None if "no_fix" in case.rules else zones[case.site]["id"])
    is_disputed = stored["pay_time_source"] == "disputed"
    assert stored["server_time"] == (stored["received_at"] if is_disputed else None)
    assert (stored["tracker_id"], stored["revision"]) == (None, 1)
    assert (stored["entered_by"] is not None) == case.is_by_hand
    events = punch_events(api, org)
    assert [event_type for event_type, _ in events] == case.events
    data = events[-1][1]
    names = ("verdict", "reasons", "zone_id", "margin_m")
    assert data["punch_id"] == stored["id"]
    assert {name: data[name] for name in names} == {name: stored[name] for name in names}
    shifts = (await org.dispatcher.get("/v1/shifts", sort="started_at")).json["data"]
    flags = [sorted(flag["name"] for flag in one["flags"]) for one in shifts]
    assert case.shifts in (None, flags)
