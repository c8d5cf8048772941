"""`opsc verify hours`: stored shifts are what the punches make; what is approved is listed only."""

import asyncio
import json
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from typer.testing import CliRunner, Result

from stack.cli.verify import verify
from telemetry.ids import format_id
from tests.ingest.punches.punching import Crew
from tests.ingest.tenants import Tenant
from tests.servers import DatabaseUnderTest
from tests.use_cases.hours.test_shifts import START, acting, punched
from use_cases.punches.record import record

# What the rules of version 0.4.0 made of an `in` and an `out` in one second.
AS_BEFORE = """
UPDATE shifts SET ended_at = started_at + interval '16 h', worked_s = 57600, closed_by = NULL
 WHERE worked_s = 0
"""


@pytest.fixture
async def crew(database: DatabaseUnderTest) -> Crew:
    """The employees of a new organization."""
    return Crew(await Tenant.create(database))


async def _verify(crew: Crew, *arguments: str, org_id: UUID | None = None) -> Result:
    """Run it for the organization. It has an event loop of its own."""
    environment = {"OPSC_DATABASE_URL": crew.tenant.database.url("opsc_owner")}
    line = ["hours", format_id("org", org_id or crew.tenant.org_id), *arguments]
    return await asyncio.to_thread(CliRunner().invoke, verify, line, env=environment)


async def _found(crew: Crew, *arguments: str) -> tuple[int, dict[str, Any]]:
    result = await _verify(crew, *arguments, "--json")
    return result.exit_code, json.loads(result.stdout)


async def _zero_minutes(crew: Crew, weeks: int) -> UUID:
    """Return an employee who punched in and out within a second, and a full day, each week."""
    employee_id = await crew.employee(by=("phone",))
    async with acting(crew) as conn:
        for week in range(weeks):
            at = START + timedelta(weeks=week)
            for kind, hour in (("in", 1), ("out", 1), ("in", 2), ("out", 10)):
                await record(conn, [punched(crew, employee_id, kind, at + timedelta(hours=hour))])
    return employee_id


async def test_shifts_that_earlier_rules_made_are_listed_and_written_anew(crew: Crew) -> None:
    await _zero_minutes(crew, 2)
    assert await _found(crew) == (
        0,
        {
            "organizations": 1,
            "shifts": 4,
            "approved_timesheets": 0,
            "shift_differences": [],
            "timesheet_differences": [],
        },
    )
    right = crew.tenant.rows("SELECT to_jsonb(s) FROM shifts AS s ORDER BY id")
    await crew.execute(AS_BEFORE)
    code, found = await _found(crew)
    assert (code, len(found["shift_differences"])) == (1, 2)
    one = found["shift_differences"][0]
    assert one["stored"]["worked_s"] == 57_600
    assert one["worked_out"] == {
        "started_at": "2026-03-02T07:00:00+00:00",
        "ended_at": "2026-03-02T07:00:00+00:00",
        "worked_s": 0,
        "flags": ["unverified", "unverified"],
    }
    text = (await _verify(crew)).stdout
    assert "4 shifts: 2 differ; 0 approved timesheets: 0 would change" in text
    code, found = await _found(crew, "--write")
    assert (code, [one["is_written"] for one in found["shift_differences"]]) == (0, [True, True])
    assert crew.tenant.rows("SELECT to_jsonb(s) FROM shifts AS s ORDER BY id") == right


async def test_a_shift_that_is_missing_or_too_many_is_put_right(crew: Crew) -> None:
    employee_id = await _zero_minutes(crew, 1)
    right = crew.tenant.rows("SELECT to_jsonb(s) FROM shifts AS s ORDER BY id")
    await crew.execute(
        "UPDATE shifts SET id = gen_random_uuid(), opened_by ="
        " (SELECT id FROM punches WHERE kind = 'out' LIMIT 1) WHERE worked_s > 0"
    )
    code, found = await _found(crew, "--write")
    assert code == 0
    sides = {(one["stored"] is None, one["worked_out"] is None): one for one in
             found["shift_differences"]}  # fmt: skip
    assert set(sides) == {(True, False), (False, True)}
    assert {one["employee_id"] for one in sides.values()} == {format_id("emp", employee_id)}
    assert crew.tenant.rows("SELECT to_jsonb(s) FROM shifts AS s ORDER BY id") == right


async def test_what_is_approved_is_listed_and_stays(crew: Crew) -> None:
    await _zero_minutes(crew, 2)
    await crew.execute(AS_BEFORE)
    for step in (
        "state = 'submitted', submitted_by = u.id, submitted_at = now()",
        "state = 'approved', decided_by = u.id, decided_at = now(),"
        " figures = '{\"days\": []}', rules = "
        '\'{"timesheet_rules": {}, "punch_policy": null, "timezone": "UTC"}\'',
    ):
        await crew.execute(
            f"UPDATE timesheets SET {step} FROM users AS u WHERE first_day = '2026-03-02'"
        )
    code, found = await _found(crew, "--write")
    assert code == 1
    written = [(one["is_approved"], one["is_written"]) for one in found["shift_differences"]]
    assert sorted(written) == [(False, True), (True, False)]
    assert [one["first_day"] for one in found["timesheet_differences"]] == ["2026-03-02"]
    assert found["approved_timesheets"] == 1
    rows = crew.tenant.rows("SELECT worked_s FROM shifts ORDER BY started_at")
    assert rows == [(57_600,), (28_800,), (0,), (28_800,)]
    assert (await _found(crew))[0] == 1


async def test_an_organization_that_is_not_there(crew: Crew) -> None:
    result = await _verify(crew, org_id=UUID(int=1))
    assert "there is no such organization" in str(result.exception)
