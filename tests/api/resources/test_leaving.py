"""Employees who leave: what counts until their last day, and what ends with it."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.api.punching import Worker, employee, new_user, user_of, worker
from tests.api.resources.timekeeping import (
    HOUR_S,
    day_of_work,
    enter,
    punched,
    quarries,
    sheet,
)
from tests.api.running import PASSWORD, Client, Organization, RunningApi
from tests.api.waiting import until_let_in, until_refused

EMPLOYEES = "/v1/employees"


def today() -> str:
    return datetime.now(UTC).date().isoformat()


def days_from_now(days: int) -> str:
    return (datetime.now(UTC).date() + timedelta(days=days)).isoformat()


async def leave(caller: Client, who: Worker, **body: Any) -> dict[str, Any]:
    answer = await caller.patch(f"{EMPLOYEES}/{who.id}", body)
    assert answer.status == 200, answer.json
    return answer.json


async def hours_of(org: Organization, who: Worker) -> tuple[int, list[tuple[str, bool]]]:
    """Return the seconds worked, and the flags of punches outside of shifts."""
    shown = await sheet(org, who)
    return shown["worked_s"], [(each["name"], each["settled"]) for each in shown["loose_flags"]]


# What counts --------------------------------------------------------------------------------------


async def test_punches_until_the_last_day_count_whenever_they_arrive(api: RunningApi) -> None:
    org = await quarries(api)
    anna = Worker(await employee(org), org.admin)
    await leave(org.dispatcher, anna, left_on="2026-03-03")
    await enter(org, anna, *day_of_work(4))
    assert await hours_of(org, anna) == (0, [("not_employed", False)] * 4)
    await enter(org, anna, *day_of_work(3))  # they come later, and were made before
    assert await hours_of(org, anna) == (8 * HOUR_S, [("not_employed", False)] * 4)
    (shift,) = (await org.admin.get("/v1/shifts", employee_id=anna.id)).json["data"]
    assert shift["started_at"] == "2026-03-03T06:00:00Z"


async def test_the_last_day_ends_at_its_midnight_where_the_employee_is(api: RunningApi) -> None:
    org = await quarries(api)
    anna = Worker(await employee(org, timezone="America/New_York"), org.admin)
    await leave(org.dispatcher, anna, left_on="2026-03-02")
    begin = datetime(2026, 3, 3, 4, tzinfo=UTC)  # 23:00 of the day before in New York
    await punched(api, org, anna, ("in", begin), ("out", begin + timedelta(hours=2)))
    (shift,) = (await org.admin.get("/v1/shifts", employee_id=anna.id)).json["data"]
    assert (shift["ended_at"], shift["worked_s"]) == ("2026-03-03T05:00:00Z", HOUR_S)
    assert "missing_out" in [flag["name"] for flag in shift["flags"]]


async def test_another_last_day_counts_the_punches_anew(api: RunningApi) -> None:
    org = await quarries(api)
    anna = Worker(await employee(org), org.admin)
    for day in (2, 3, 4):
        await enter(org, anna, *day_of_work(day))
    for left_on, days in (("2026-03-03", 2), (None, 3), ("2026-03-01", 0), ("2026-03-02", 1)):
        await leave(org.dispatcher, anna, left_on=left_on)
        flags = [("not_employed", False)] * 4 * (3 - days)
        assert await hours_of(org, anna) == (days * 8 * HOUR_S, flags), left_on
        shifts = (await org.admin.get("/v1/shifts", employee_id=anna.id)).json["data"]
        assert len(shifts) == days, left_on


async def test_an_approved_timesheet_keeps_its_hours_and_says_so(api: RunningApi) -> None:
    org = await quarries(api)
    anna = Worker(await employee(org), org.admin)
    await enter(org, anna, *day_of_work(3))
    path = f"/v1/timesheets/{(await sheet(org, anna))['id']}"
    for verb in ("submit", "approve"):
        assert (await org.dispatcher.post(f"{path}/{verb}", None)).status == 200
    await leave(org.dispatcher, anna, left_on="2026-03-02")
    shown = (await org.admin.get(path)).json
    assert (shown["worked_s"], shown["changed_since_approval"]) == (8 * HOUR_S, True)


async def test_a_punch_of_somebody_who_left_is_stored_and_told(
    api: RunningApi, org: Organization
) -> None:
    anna = await worker(api, org)
    await leave(org.admin, anna, left_on=days_from_now(-1))
    sent = await Worker(anna.id, org.admin).send(anna.claim() | {"reason": "found"})
    assert (await org.admin.get(f"/v1/punches/{sent['id']}")).json == sent
    rows = await org.admin.walk("/v1/timesheets", employee_id=anna.id)
    shown = [(await org.admin.get(f"/v1/timesheets/{row['id']}")).json for row in rows]
    flags = [(flag["name"], flag["punch_id"]) for one in shown for flag in one["loose_flags"]]
    assert flags == [("not_employed", sent["id"])]


# What is said -------------------------------------------------------------------------------------


async def test_active_false_is_today_and_active_true_takes_it_back(org: Organization) -> None:
    anna = Worker(await employee(org), org.admin)
    shown = await leave(org.dispatcher, anna, active=False)
    assert (shown["active"], shown["left_on"]) == (False, today())
    again = await leave(org.dispatcher, anna, active=False)
    assert again == shown
    shown = await leave(org.dispatcher, anna, active=True)
    assert (shown["active"], shown["left_on"]) == (True, None)
    await leave(org.dispatcher, anna, left_on=days_from_now(3))
    shown = await leave(org.dispatcher, anna, active=True)
    assert (shown["active"], shown["left_on"]) == (True, None)
    assert (await org.viewer.get(f"{EMPLOYEES}/{anna.id}")).json == shown


async def test_active_follows_from_the_last_day(org: Organization) -> None:
    anna = Worker(await employee(org), org.admin)
    for left_on, active in (
        (days_from_now(30), True),
        (today(), True),  # until midnight
        (days_from_now(-1), False),
        (None, True),
    ):
        shown = await leave(org.dispatcher, anna, left_on=left_on)
        assert (shown["active"], shown["left_on"]) == (active, left_on)
        for filtered in (True, False):
            rows = (await org.viewer.get(EMPLOYEES, active=str(filtered).lower())).json["data"]
            assert ([row["id"] for row in rows] == [anna.id]) == (filtered == active)


async def test_the_day_of_today_is_that_of_the_employee(org: Organization) -> None:
    """Where it is tomorrow already, and where it is still yesterday."""
    zones = {"Pacific/Kiritimati": 14, "Pacific/Pago_Pago": -11}
    for timezone, hours in zones.items():
        anna = Worker(await employee(org, timezone=timezone), org.admin)
        shown = await leave(org.dispatcher, anna, active=False)
        there = datetime.now(UTC) + timedelta(hours=hours)
        assert shown["left_on"] == there.date().isoformat()


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"active": True, "left_on": "2020-01-31"}, "/active"),
        ({"active": False, "left_on": "2099-12-31"}, "/left_on"),
        ({"active": False, "left_on": None}, "/left_on"),
        ({"left_on": "9999-12-31"}, "/left_on"),
    ],
)
async def test_what_contradicts_itself_is_refused(
    org: Organization, body: dict[str, Any], pointer: str
) -> None:
    anna = Worker(await employee(org), org.admin)
    for answer in (
        await org.dispatcher.patch(f"{EMPLOYEES}/{anna.id}", body),
        await org.dispatcher.post(EMPLOYEES, {"name": "Ben"} | body),
    ):
        assert answer.status == 422, answer.json
        assert [fault["pointer"] for fault in answer.json["errors"]] == [pointer]


async def test_somebody_who_has_left_can_be_made(org: Organization) -> None:
    made = await org.dispatcher.post(EMPLOYEES, {"name": "Ben", "left_on": "2020-01-31"})
    assert (made.status, made.json["active"], made.json["left_on"]) == (201, False, "2020-01-31")
    made = await org.dispatcher.post(EMPLOYEES, {"name": "Ben", "active": False})
    assert (made.status, made.json["active"], made.json["left_on"]) == (201, False, today())
    user = await new_user(org)
    body = {"name": "Ben", "left_on": "2020-01-31", "user_id": user}
    assert (await org.admin.post(EMPLOYEES, body)).status == 201
    assert (await org.admin.get(f"/v1/users/{user}")).json["active"] is False


# What ends ----------------------------------------------------------------------------------------


async def test_nobody_who_has_left_is_given_a_work_order(org: Organization) -> None:
    anna = Worker(await employee(org), org.admin)
    order = {"title": "Grease the crane", "assignee_ids": [anna.id]}
    held = (await org.dispatcher.post("/v1/work-orders", order)).json
    free = (await org.dispatcher.post("/v1/work-orders", {"title": "x"})).json
    await leave(org.dispatcher, anna, left_on=days_from_now(3))
    assert (await org.dispatcher.post("/v1/work-orders", order)).status == 201  # until then
    await leave(org.dispatcher, anna, active=False)
    for answer in (
        await org.dispatcher.post("/v1/work-orders", order),
        await org.dispatcher.patch(f"/v1/work-orders/{free['id']}", {"assignee_ids": [anna.id]}),
    ):
        assert (answer.status, answer.json["code"]) == (409, "employee_left"), answer.json
        assert answer.json["errors"][0]["pointer"] == "/assignee_ids"
    path = f"/v1/work-orders/{held['id']}"
    assert (await org.dispatcher.patch(path, {"title": "y"})).json["assignee_ids"] == [anna.id]


async def test_their_trackers_are_free(org: Organization) -> None:
    anna = Worker(await employee(org), org.admin)
    tracker = (await org.dispatcher.post("/v1/trackers", {"employee_id": anna.id})).json
    path = f"/v1/trackers/{tracker['id']}"
    await leave(org.dispatcher, anna, left_on=days_from_now(3))
    assert (await org.dispatcher.get(path)).json["employee_id"] == anna.id
    await leave(org.dispatcher, anna, active=False)
    assert (await org.dispatcher.get(path)).json["employee_id"] is None


async def test_trackers_of_somebody_who_is_gone_are_freed_by_the_next_change(
    api: RunningApi, org: Organization
) -> None:
    anna = Worker(await employee(org), org.admin)
    tracker = (await org.dispatcher.post("/v1/trackers", {"employee_id": anna.id})).json
    api.sql(  # the day has come
        "UPDATE employees SET left_on = current_date - 2 WHERE org_id = %s", org.org_id
    )
    await leave(org.dispatcher, anna, active=False)
    shown = (await org.dispatcher.get(f"/v1/trackers/{tracker['id']}")).json
    assert shown["employee_id"] is None


async def test_whoever_was_inactive_before_there_were_last_days_gets_one(
    api: RunningApi, org: Organization
) -> None:
    anna = await worker(api, org)
    api.sql("UPDATE employees SET active = false WHERE org_id = %s", org.org_id)
    user = user_of(api, org, "technician")
    assert (await org.admin.get(f"/v1/users/{user}")).json["active"] is True
    shown = await leave(org.dispatcher, anna, left_on="2020-01-31")
    assert (shown["active"], shown["left_on"]) == (False, "2020-01-31")
    assert (await org.admin.get(f"/v1/users/{user}")).json["active"] is False


async def test_another_time_zone_moves_the_end_of_the_last_day(
    api: RunningApi, org: Organization
) -> None:
    anna = await worker(api, org, timezone="Europe/Zurich")
    user = user_of(api, org, "technician")
    await leave(org.dispatcher, anna, left_on="2099-03-31")
    await leave(org.dispatcher, anna, timezone="America/New_York")
    shown = (await org.admin.get(f"/v1/users/{user}")).json
    assert shown["deactivated_at"] == "2099-04-01T04:00:00Z"
    # A form that is sent whole changes nothing of it.
    same = await org.admin.patch(f"/v1/users/{user}", {"name": "Anna", "active": True})
    assert same.json["deactivated_at"] == "2099-04-01T04:00:00Z"


async def test_a_last_day_takes_no_turn_of_ingest(api: RunningApi, org: Organization) -> None:
    """The revision, which ingest waits for, is taken only to free trackers."""
    anna = Worker(await employee(org), org.admin)
    before = len(api.statements)
    for body in ({"left_on": "2001-01-01"}, {"left_on": None}, {"active": False}):
        await leave(org.dispatcher, anna, **body)
    assert not [text for text in api.statements[before:] if "zones_revision" in text]


async def _session(api: RunningApi, org: Organization, email: str) -> int:
    body = {"email": email, "password": PASSWORD, "organization_id": org.id}
    return (await api.anonymous.post("/v1/auth/token", body)).status


async def test_the_user_their_tokens_and_keys_end(api: RunningApi, org: Organization) -> None:
    anna = await worker(api, org)
    user = user_of(api, org, "technician")
    made = await org.admin.post("/v1/api-keys", {"name": "phone", "user_id": user})
    key = Client(api.url, made.json["secret"])
    for caller in (anna.client, key):
        assert (await caller.get("/v1/users/me")).status == 200
    await leave(org.dispatcher, anna, active=False)
    for caller in (anna.client, key):
        await until_refused(caller)
    assert await _session(api, org, "technician@example.com") == 401
    shown = (await org.admin.get(f"/v1/users/{user}")).json
    assert (shown["active"], shown["deactivated_at"] is None) == (False, False)
    # Whoever comes back signs in anew: what ended stays ended.
    await leave(org.admin, anna, active=True)
    assert (await org.admin.get(f"/v1/users/{user}")).json["active"] is False
    shown = (await org.admin.patch(f"/v1/users/{user}", {"active": True})).json
    assert (shown["active"], shown["deactivated_at"]) == (True, None)
    assert await _session(api, org, "technician@example.com") == 200
    assert (await key.get("/v1/users/me")).status == 401


async def test_the_user_ends_at_the_end_of_the_last_day_by_the_clock_alone(
    api: RunningApi, org: Organization
) -> None:
    assert (await org.admin.patch("/v1/organization", {"timezone": "Europe/Zurich"})).status == 200
    anna = await worker(api, org)
    user = user_of(api, org, "technician")
    await leave(org.dispatcher, anna, left_on="2099-03-31")
    shown = (await org.admin.get(f"/v1/users/{user}")).json
    assert (shown["active"], shown["deactivated_at"]) == (True, "2099-03-31T22:00:00Z")
    assert await _session(api, org, "technician@example.com") == 200
    made = await org.admin.post("/v1/api-keys", {"name": "phone", "user_id": user})
    key = Client(api.url, made.json["secret"])
    assert (await key.get("/v1/users/me")).status == 200
    api.sql(  # it has come
        "UPDATE users SET deactivated_at = now() WHERE org_id = %s AND role = 'technician'",
        org.org_id,
    )
    for caller in (anna.client, key):
        await until_refused(caller)
    assert await _session(api, org, "technician@example.com") == 401
    rows = (await org.admin.get("/v1/users", active="false")).json["data"]
    assert [row["id"] for row in rows] == [user]


async def test_a_user_who_is_made_active_again_stays_so_whatever_else_changes(
    api: RunningApi, org: Organization
) -> None:
    anna = await worker(api, org)
    user = user_of(api, org, "technician")
    gone = {"active": False, "left_on": days_from_now(-1)}
    await leave(org.dispatcher, anna, **gone)
    await org.admin.patch(f"/v1/users/{user}", {"active": True})
    await leave(org.dispatcher, anna, name="Anna Frei", **gone)  # a form that is sent whole
    assert (await org.admin.get(f"/v1/users/{user}")).json["active"] is True


async def test_who_stays_after_all_keeps_what_they_have(api: RunningApi, org: Organization) -> None:
    anna = await worker(api, org)
    user = user_of(api, org, "technician")
    await leave(org.dispatcher, anna, left_on=days_from_now(3))
    await leave(org.dispatcher, anna, left_on=None)
    shown = (await org.admin.get(f"/v1/users/{user}")).json
    assert (shown["active"], shown["deactivated_at"]) == (True, None)
    await leave(org.dispatcher, anna, left_on=days_from_now(3))
    await leave(org.admin, anna, user_id=None)
    shown = (await org.admin.get(f"/v1/users/{user}")).json
    assert (shown["active"], shown["deactivated_at"]) == (True, None)
    await until_let_in(anna.client)


async def test_who_may_end_whose_rights(api: RunningApi, org: Organization) -> None:
    admin, dispatcher, anna = [
        await worker(api, org, role) for role in ("admin", "dispatcher", "technician")
    ]
    body = {"active": False}
    for caller, who in (
        (org.dispatcher, admin),  # an admin's rights
        (org.dispatcher, dispatcher),  # their own
        (org.admin, admin),
        (anna.client, anna),
    ):
        answer = await caller.patch(f"{EMPLOYEES}/{who.id}", body)
        assert answer.status == 403, answer.json
    assert (await leave(org.admin, dispatcher, **body))["active"] is False
    assert (await leave(org.admin, anna, **body))["active"] is False


async def test_the_last_admin_stays(api: RunningApi, org: Organization) -> None:
    boss = await worker(api, org, "admin")
    other = (await org.admin.post("/v1/users", {"email": "two@example.com", "role": "admin"})).json
    api.sql(  # they have accepted
        "UPDATE users SET password_hash = (SELECT password_hash FROM users WHERE org_id = %s"
        " AND role = 'dispatcher') WHERE org_id = %s AND email = 'two@example.com'",
        org.org_id,
        org.org_id,
    )
    rows = api.sql(
        "SELECT id FROM users WHERE email = 'two@example.com' AND org_id = %s", org.org_id
    )
    second = api.client(org.org_id, rows[0][0])
    path = f"{EMPLOYEES}/{boss.id}"
    assert (await second.patch(path, {"left_on": days_from_now(9)})).status == 200
    # The one who leaves counts no more, so the other one is the last.
    answer = await org.admin.patch(f"/v1/users/{other['id']}", {"role": "viewer"})
    assert (answer.status, answer.json["code"]) == (409, "last_admin")
    link = {"name": "Two", "user_id": other["id"]}
    two = Worker((await org.admin.post(EMPLOYEES, link)).json["id"], second)
    answer = await org.admin.patch(f"{EMPLOYEES}/{two.id}", {"left_on": days_from_now(9)})
    assert (answer.status, answer.json["code"]) == (409, "last_admin")


async def test_an_adjustment_of_ones_own_hours_is_flagged(api: RunningApi) -> None:
    org = await quarries(api)
    boss = await worker(api, org, "dispatcher")
    await enter(org, Worker(boss.id, org.admin), *day_of_work(2))
    path = f"/v1/timesheets/{(await sheet(org, boss))['id']}"
    for caller, own in ((org.admin, False), (org.dispatcher, True)):
        body = {"day": "2026-03-02", "seconds": 900, "reason": "Loading."}
        made = await caller.post(f"{path}/adjustments", body)
        assert made.status == 201, made.json
        assert made.json["adjustments"][-1]["own"] is own
    adjustment = made.json["adjustments"][-1]
    flags = [flag for flag in made.json["flags"] if flag["name"] == "own_adjustment"]
    assert flags == [
        {
            "name": "own_adjustment",
            "punch_id": None,
            "adjustment_id": adjustment["id"],
            "time": adjustment["created_at"],
            "settled": False,
        }
    ]
    for verb in ("submit", "approve"):  # whoever approves looks at it
        answer = await org.admin.post(f"{path}/{verb}", None)
        assert answer.status == 200, answer.json
    assert flags[0] in answer.json["flags"]
    csv = await org.admin.get(path, {"Accept": "text/csv"})
    assert csv.content.decode().count("(own hours)") == 1
