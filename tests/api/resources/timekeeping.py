"""Timesheets of a test: punches entered, sheets read, moved and exported through HTTP."""

import csv
import io
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from db.core.connect import connect
from db.core.tenant import act_for
from db.punches.rows import NewPunch
from telemetry.ids import format_id
from telemetry.times import to_us
from tests.api.punching import Worker, by_hand
from tests.api.running import Answer, Client, Organization, RunningApi
from use_cases.punches.record import record

ZURICH = ZoneInfo("Europe/Zurich")
HOUR_S = 3600


async def quarries(api: RunningApi) -> Organization:
    """Return a new organization in Zurich."""
    made = api.organization("Quarries")
    answer = await made.admin.patch("/v1/organization", {"timezone": "Europe/Zurich"})
    assert answer.status == 200, answer.json
    return made


def zurich(day: int, hour: int = 0, minute: int = 0, *, month: int = 3, fold: int = 0) -> datetime:
    """Return a local time of 2026. 2 March is a Monday."""
    return datetime(2026, month, day, hour, minute, tzinfo=ZURICH, fold=fold)


async def enter(org: Organization, who: Worker, *punches: tuple[str, datetime]) -> list[str]:
    """Enter punches by hand, and return their ids."""
    ids: list[str] = []
    for kind, at in punches:
        answer = await by_hand(org, who.id, kind=kind, time=at.astimezone(UTC).isoformat())
        assert answer.status == 201, answer.json
        ids.append(answer.json["id"])
    return ids


async def punched(api: RunningApi, org: Organization, who: Worker, *punches: Any) -> list[str]:
    """Record punches that were received when they were made, and return their ids."""
    new = [
        NewPunch(org.org_id, who.employee_id, kind, to_us(at), to_us(at)) for kind, at in punches
    ]
    async with await connect(api.database.url("opsc_app"), "test") as conn, conn.transaction():
        await act_for(conn, org.org_id)
        return [format_id("pun", one.id) for one in await record(conn, new)]


def day_of_work(day: int, **more: Any) -> list[tuple[str, datetime]]:
    """Return punches of eight hours with a break of one."""
    return [
        ("in", zurich(day, 7, **more)),
        ("break_start", zurich(day, 12, **more)),
        ("break_end", zurich(day, 13, **more)),
        ("out", zurich(day, 16, **more)),
    ]


async def sheets(org: Organization, who: Worker, **filters: Any) -> list[dict[str, Any]]:
    """Return the timesheets of an employee, by first day."""
    rows = await org.admin.walk("/v1/timesheets", employee_id=who.id, **filters)
    return sorted(rows, key=lambda row: row["first_day"])


async def sheet(org: Organization, who: Worker) -> dict[str, Any]:
    """Return the only timesheet of an employee, with everything on it."""
    (row,) = await sheets(org, who)
    return await read(org, row["id"])


async def read(org: Organization, timesheet_id: str) -> dict[str, Any]:
    answer = await org.admin.get(f"/v1/timesheets/{timesheet_id}")
    assert answer.status == 200, answer.json
    return answer.json


async def say(caller: Client, timesheet_id: str, *verbs: str) -> Answer:
    """Say verbs of a timesheet; all but the last must be good. Return the last answer."""
    answer = None
    for verb in verbs:
        assert answer is None or answer.status == 200, answer.json
        answer = await caller.post(f"/v1/timesheets/{timesheet_id}/{verb}", None)
    assert answer is not None
    return answer


async def adjust(org: Organization, timesheet_id: str, **body: Any) -> Answer:
    whole = {"day": "2026-03-02", "seconds": 900, "reason": "Loading before the shift."} | body
    return await org.dispatcher.post(f"/v1/timesheets/{timesheet_id}/adjustments", whole)


async def export(org: Organization, timesheet_id: str, form: str, **query: str) -> Answer:
    headers = {"Accept": form}
    return await org.admin.get(f"/v1/timesheets/{timesheet_id}", headers, **query)


async def rows_of_csv(org: Organization, timesheet_id: str) -> list[dict[str, str]]:
    answer = await export(org, timesheet_id, "text/csv")
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8; header=present"
    return list(csv.DictReader(io.StringIO(answer.content.decode())))
