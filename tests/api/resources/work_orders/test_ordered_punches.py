"""Punches at the sites of work orders: a punch that waited in a phone counts as it would have at
once, whatever became of its order meanwhile.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from telemetry.ids import parse_id
from tests.api.punching import Worker, jobsite, rules
from tests.api.running import Organization, RunningApi
from tests.api.stored import text
from tests.db.proving import put
from tests.ingest.punches.punching import AWAY, HOME

BODIES: dict[str, Any] = {
    "hold": {"reason": "It rains."},
    "cancel": {"reason": "Nobody wants it."},
    "cannot-complete": {"reason": "The part is missing."},
    "complete": {"signer_name": "Peter Frei"},
}
# Orders of an employee with ids like those of a later time.
_NEWER = """
WITH made AS (
    INSERT INTO work_orders (org_id, id, number, title, priority, state)
    SELECT %(org)s, ('ffffffff' || substr(gen_random_uuid()::text, 9))::uuid, %(count)s * 1000 + n,
           'x', 'low', 'created'
      FROM generate_series(1, %(count)s) AS n RETURNING org_id, id)
INSERT INTO work_order_assignees (org_id, work_order_id, employee_id)
SELECT org_id, id, %(employee)s FROM made RETURNING 1
"""


async def _site(org: Organization, place: tuple[float, float] = HOME, **more: Any) -> str:
    zone = await jobsite(org, place, **({"kind": "yard"} | more))
    answer = await org.admin.post("/v1/sites", {"name": "Quarry", "zone_id": zone["id"]})
    return answer.json["id"]


def _ago(hours: float) -> str:
    return text(datetime.now(UTC) - timedelta(hours=hours))


async def _order(
    api: RunningApi,
    org: Organization,
    who: Worker,
    site: str,
    said: Mapping[str, float],
    **body: Any,
) -> str:
    """Return a work order whose verbs were said at these times, in hours before now."""
    order = {"title": "Grease the crane", "site_id": site, "assignee_ids": [who.id]} | body
    made = (await org.dispatcher.post("/v1/work-orders", order)).json
    for verb in said:
        path = f"/v1/work-orders/{made['id']}/{verb}"
        assert (await org.dispatcher.post(path, BODIES.get(verb))).status == 200
    order_id = parse_id("wo", made["id"])
    for verb, hours in ({"create": 100.0} | dict(said)).items():
        (at,) = api.sql(
            "UPDATE work_order_transitions SET created_at = now() - make_interval(secs => %s)"
            " WHERE work_order_id = %s AND verb = %s RETURNING created_at",
            hours * 3_600,
            order_id,
            verb,
        )[0]
        ends = verb in ("complete", "cancel", "cannot-complete")
        statement = (
            "UPDATE work_orders SET started_at = CASE WHEN %s THEN %s ELSE started_at END,"
            " ended_at = CASE WHEN %s THEN %s ELSE ended_at END WHERE id = %s"
        )
        put(api.database, (statement, (verb == "start", at, ends, at, order_id)))
    return made["id"]


async def _punched(who: Worker, hours: float, kind: str = "in", **more: Any) -> dict[str, Any]:
    """Return a punch that was made some hours ago and arrives now."""
    return await who.punch(kind, time=_ago(hours), fix_time=_ago(hours), **more)


async def _shift_order(org: Organization, who: Worker) -> str | None:
    (shift,) = (await org.dispatcher.get("/v1/shifts", employee_id=who.id)).json["data"]
    return shift["work_order_id"]


@pytest.mark.parametrize(
    "said",
    [
        {"assign": 5, "start": 4, "complete": 2},
        {"assign": 5, "start": 4, "complete": 2, "close": 1},
        {"assign": 5, "cannot-complete": 2},
        {"assign": 5, "cancel": 2},
    ],
    ids=" ".join,
)
async def test_a_punch_counts_at_the_site_of_an_order_that_ended_before_it_arrived(
    anna: tuple[Organization, Worker], api: RunningApi, said: dict[str, float]
) -> None:
    org, who = anna
    site = await _site(org)
    order = await _order(api, org, who, site, said)
    punch = await _punched(who, 3)
    assert (punch["site_id"], "inside" in rules(punch)) == (site, True)
    assert await _shift_order(org, who) == order
    # The way out is an hour long.
    assert (await _punched(who, 1.5, "out"))["site_id"] == site
    assert (await _punched(who, 0.5, "out"))["site_id"] is None


async def test_an_order_counts_neither_before_it_is_assigned_nor_if_it_never_is(
    anna: tuple[Organization, Worker], api: RunningApi
) -> None:
    org, who = anna
    site = await _site(org)
    await _order(api, org, who, site, {"cancel": 1})
    await _order(api, org, who, site, {"assign": 2})
    assert (await _punched(who, 4))["site_id"] is None
    assert await _shift_order(org, who) is None
    assert (await _punched(who, 2.5, "out"))["site_id"] == site  # clocks differ


async def test_work_that_has_begun_goes_on_beyond_its_planned_time(
    anna: tuple[Organization, Worker], api: RunningApi
) -> None:
    org, who = anna
    site = await _site(org)
    planned = {"planned_start": _ago(8), "planned_end": _ago(4)}
    await _order(api, org, who, site, {"assign": 10}, **planned)
    assert (await who.punch("out"))["site_id"] is None
    await _order(api, org, who, site, {"assign": 10, "start": 8}, **planned)
    assert (await who.punch("out", note="again"))["site_id"] == site
    assert (await _punched(who, 8.5))["site_id"] == site
    assert (await _punched(who, 9.5, "out"))["site_id"] is None  # before it was planned


async def test_a_shift_names_the_order_of_then_not_the_one_of_now(
    anna: tuple[Organization, Worker], api: RunningApi
) -> None:
    org, who = anna
    site = await _site(org)
    then = await _order(api, org, who, site, {"assign": 8, "start": 7, "complete": 4})
    await _order(api, org, who, site, {"assign": 3, "start": 2})
    await _punched(who, 6)
    assert await _shift_order(org, who) == then


async def test_a_shift_names_an_order_on_hold_only_beside_no_other(
    anna: tuple[Organization, Worker], api: RunningApi
) -> None:
    org, who = anna
    site = await _site(org)
    held = await _order(api, org, who, site, {"assign": 8, "start": 7, "hold": 6})
    await _punched(who, 5)
    assert await _shift_order(org, who) == held
    started = await _order(api, org, who, site, {"assign": 4, "start": 3})
    await _punched(who, 2.5, "out")
    await _punched(who, 2)
    shifts = (await org.dispatcher.get("/v1/shifts", employee_id=who.id)).json["data"]
    assert [shift["work_order_id"] for shift in shifts] == [started, held]


async def test_the_hour_after_an_order_takes_nobody_the_right_to_punch_elsewhere(
    anna: tuple[Organization, Worker], api: RunningApi
) -> None:
    org, who = anna
    home = await jobsite(org)
    site = await _site(org, AWAY)
    await _order(api, org, who, site, {"assign": 5, "start": 4, "complete": 0.5})
    punch = await who.punch("in")
    assert (punch["verdict"], punch["zone_id"]) == ("verified", home["id"])
    assert (await who.punch("out", place=AWAY))["site_id"] == site


async def test_only_so_many_orders_of_an_employee_are_looked_at_and_the_newest_come_first(
    anna: tuple[Organization, Worker], api: RunningApi
) -> None:
    org, who = anna
    site = await _site(org)
    await _order(api, org, who, site, {"assign": 1})
    for count, counts in ((499, True), (1, False)):
        api.sql_named(_NEWER, {"org": org.org_id, "count": count, "employee": who.employee_id})
        punch = await who.punch("in", note=str(count))
        assert (punch["site_id"] == site) == counts
