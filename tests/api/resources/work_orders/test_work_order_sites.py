"""Work orders at their sites, through HTTP: punches, shifts, machines and costs."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from telemetry.ids import parse_id
from tests.api.punching import Worker, employee, jobsite
from tests.api.resources.dispatching import made_order, moved
from tests.api.running import Organization, RunningApi
from tests.api.stocked import stocked
from tests.api.stored import carried, minute, store_visit, text
from tests.ingest.punches.punching import HOME

# Punches and machines -----------------------------------------------------------------------------


async def _site(org: Organization, place: tuple[float, float] = HOME, **more: Any) -> str:
    zone = await jobsite(org, place, **more)
    answer = await org.admin.post("/v1/sites", {"name": "Quarry", "zone_id": zone["id"]})
    return answer.json["id"]


async def _order_at(org: Organization, who: Worker, site: str, **body: Any) -> dict[str, Any]:
    order = await made_order(org, site_id=site, assignee_ids=[who.id], **body)
    return await moved(org, order, "assign")


async def test_the_site_of_an_assigned_order_is_one_to_punch_at(
    anna: tuple[Organization, Worker],
) -> None:
    org, who = anna
    site = await _site(org, kind="yard")
    assert (await who.punch("in"))["verdict"] == "unverified"  # no jobsite
    order = await _order_at(org, who, site)
    punch = await who.punch("out")
    assert (punch["verdict"], punch["site_id"]) == ("verified", site)
    await moved(org, order, "cancel")
    assert (await who.punch("in", note="again"))["verdict"] == "verified"  # for one more hour


@pytest.mark.parametrize(("start", "end", "counts"), [(-60, 60, True), (600, 660, False)])
async def test_an_order_counts_within_its_planned_time(
    anna: tuple[Organization, Worker], start: int, end: int, counts: bool
) -> None:
    org, who = anna
    now = datetime.now(UTC)
    planned = {
        "planned_start": text(now + timedelta(minutes=start)),
        "planned_end": text(now + timedelta(minutes=end)),
    }
    await _order_at(org, who, await _site(org, kind="yard"), **planned)
    assert ((await who.punch("in"))["verdict"] == "verified") == counts


async def test_a_shift_names_the_one_order_that_is_at_the_site(
    anna: tuple[Organization, Worker], api: RunningApi
) -> None:
    org, who = anna
    site = await _site(org)
    order = await _order_at(org, who, site)
    await who.punch("in")
    (shift,) = (await org.dispatcher.get("/v1/shifts", employee_id=who.id)).json["data"]
    assert shift["work_order_id"] == order["id"]
    api.sql(
        "UPDATE shifts SET ended_at = started_at + interval '1 hour', worked_s = 3600,"
        " lapses_at = NULL, lapsed = NULL WHERE org_id = %s",
        org.org_id,
    )
    assert (await org.viewer.get(f"/v1/work-orders/{order['id']}")).json["worked_s"] == 3600


async def test_a_shift_names_no_order_where_there_are_two(
    anna: tuple[Organization, Worker],
) -> None:
    org, who = anna
    site = await _site(org)
    for _ in range(2):
        await _order_at(org, who, site)
    await who.punch("in")
    (shift,) = (await org.dispatcher.get("/v1/shifts", employee_id=who.id)).json["data"]
    assert shift["work_order_id"] is None


async def test_machines_at_the_site_are_listed_from_the_start_to_the_end(
    anna: tuple[Organization, Worker], api: RunningApi
) -> None:
    org, who = anna
    site = await _site(org)
    zone = (await org.viewer.get(f"/v1/sites/{site}")).json["zone_id"]
    order = await _order_at(org, who, site)
    path = f"/v1/work-orders/{order['id']}/assets-on-site"
    truck = await carried(org)
    inside = [(10, 20), (25, 40)]
    stays = [store_visit(api, org, truck, zone, minute(a), minute(b)) for a, b in inside]
    store_visit(api, org, truck, zone, minute(1), minute(5))
    store_visit(api, org, truck, zone, minute(50), minute(60))
    assert (await org.viewer.get(path)).json["data"] == []  # not started
    await moved(org, order, "start", "complete")
    _at_minutes(api, org, start=15, complete=30)
    rows = await org.viewer.walk(path, limit=1)
    assert [row["id"] for row in rows] == stays[::-1]


def _at_minutes(api: RunningApi, org: Organization, **minutes: int) -> None:
    """Give the last transition by each verb its time."""
    for verb, of_hour in minutes.items():
        api.sql(
            "UPDATE work_order_transitions SET created_at = %s WHERE id = (SELECT max(id::text)"
            "::uuid FROM work_order_transitions WHERE org_id = %s AND verb = %s)",
            minute(of_hour),
            org.org_id,
            verb,
        )


async def test_machines_stay_listed_when_the_site_has_another_geofence(
    anna: tuple[Organization, Worker], api: RunningApi
) -> None:
    """The site has a second geofence from minute 20 on; work ends at 40, and goes on at 50."""
    org, who = anna
    site = await _site(org)
    first = (await org.viewer.get(f"/v1/sites/{site}")).json["zone_id"]
    second = (await jobsite(org, HOME))["id"]
    order = await _order_at(org, who, site)
    path = f"/v1/work-orders/{order['id']}/assets-on-site"
    truck, car = await carried(org), await carried(org)
    stays = {
        name: store_visit(api, org, machine, zone, minute(since), minute(until))
        for name, machine, zone, since, until in [
            ("before", truck, first, 1, 5),
            ("at first", truck, first, 8, 15),
            ("there too early", car, second, 11, 19),
            ("over the change", truck, first, 16, 25),
            ("there too long", truck, first, 31, 34),
            ("at second", car, second, 32, 36),
            ("meanwhile", car, second, 42, 46),
            ("again", car, second, 52, 56),
        ]
    }

    async def listed() -> list[str]:
        rows = await org.viewer.walk(path, limit=2)
        names = {visit_id: name for name, visit_id in stays.items()}
        return [names[row["id"]] for row in rows][::-1]

    await moved(org, order, "start")
    _at_minutes(api, org, start=10)
    await org.admin.patch(f"/v1/sites/{site}", {"zone_id": second})
    assert await listed() == ["at first", "over the change", "there too long"]
    await moved(org, order, "hold", "resume", "complete", "reopen", "start")
    api.sql(
        "UPDATE work_order_transitions SET created_at = %s WHERE org_id = %s AND verb = 'start'"
        " AND zone_id = %s",
        minute(10),
        org.org_id,
        parse_id("zon", first),
    )
    _at_minutes(api, org, hold=15, resume=20, complete=40, reopen=45, start=50)
    assert await listed() == ["at first", "over the change", "at second", "again"]


# Costs --------------------------------------------------------------------------------------------


async def test_an_order_costs_the_hours_of_its_shifts_and_its_parts(
    anna: tuple[Organization, Worker],
) -> None:
    org, who = anna
    zone = await jobsite(org)
    site = {"name": "Lot 4", "zone_id": zone["id"]}
    site_id = (await org.admin.post("/v1/sites", site)).json["id"]
    order = await made_order(org, assignee_ids=[who.id], site_id=site_id)
    await moved(org, order, "assign", "start")
    begin = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=3)
    await who.punch("in", time=text(begin), fix_time=text(begin))
    end = text(begin + timedelta(minutes=90))
    await who.punch("out", time=end, fix_time=end)
    part = await stocked(org, quantity=3)
    use = {"quantity": 2, "warehouse_id": part["warehouses"]}
    path = f"/v1/work-orders/{order['id']}"
    assert (await org.technician.post(f"{path}/parts/{part['parts']}/consume", use)).status == 200

    async def costs() -> dict[str, Any]:
        shown = (await org.dispatcher.get(path, include="costs")).json
        assert shown["worked_s"] == 5_400
        return shown["costs"]

    of_parts = {"currency": "EUR", "labour_cents": 0, "parts_cents": 500, "total_cents": 500}
    assert await costs() == {"sums": [of_parts], "uncosted_s": 5_400}
    rate = {"hourly_cost_cents": 4_801, "currency": "EUR"}
    assert (await org.dispatcher.patch(f"/v1/employees/{who.id}", rate)).status == 200
    both = {"currency": "EUR", "labour_cents": 7_202, "parts_cents": 500, "total_cents": 7_702}
    assert await costs() == {"sums": [both], "uncosted_s": 0}
    await org.dispatcher.patch(path, {"labour_cost_cents": 100, "currency": "CHF"})
    assert [(each["currency"], each["total_cents"]) for each in (await costs())["sums"]] == [
        ("CHF", 100),
        ("EUR", 500),
    ]
    for caller in (org.viewer, org.technician):
        assert (await caller.get(path, include="costs")).status == 403
        assert "costs" not in (await caller.get(path)).json
    assert (await org.viewer.get(path, include="price")).status == 400


async def test_what_an_hour_costs_is_for_dispatchers_and_admins_alone(org: Organization) -> None:
    who = await employee(org)
    path, rate = f"/v1/employees/{who}", {"hourly_cost_cents": 4_800, "currency": "CHF"}
    assert (await org.dispatcher.patch(path, rate)).json["hourly_cost_cents"] == 4_800
    for caller, shown in (
        (org.admin, rate),
        (org.dispatcher, rate),
        (org.technician, dict.fromkeys(rate)),
        (org.viewer, dict.fromkeys(rate)),
    ):
        rows = [await caller.get(path)]
        listed = (await caller.get("/v1/employees", limit=1000)).json["data"]
        for row in [rows[0].json, *[each for each in listed if each["id"] == who]]:
            assert row | shown == row
    alone = await org.dispatcher.patch(path, {"currency": None})
    assert alone.json["errors"][0]["pointer"] == "/currency"
    seen = {"If-Match": (await org.dispatcher.get(path)).headers["ETag"]}
    changed = await org.dispatcher.send("PATCH", path, headers=seen, json={"name": "Ben K."})
    assert changed.status == 200
