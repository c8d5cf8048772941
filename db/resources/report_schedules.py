"""Schedules of reports by mail as the API keeps them, with what has become of each
(`db.delivery.report_runs`).
"""

from collections.abc import Sequence
from datetime import date, datetime
from typing import NamedTuple
from uuid import UUID

from db.core.connect import Connection
from db.core.table import Table


class ReportSchedule(NamedTuple):
    """One row. filters: of the report, as in the query of its URL.

    next_run_at: None where it is switched off. period_from, period_to: the first and the last day
    of the report that was mailed last. left_out: the recipients that did not get it.
    """

    id: UUID
    name: str
    report: str
    filters: dict[str, str]
    cadence: str
    weekday: int
    month_day: int
    local_time: str
    time_zone: str
    recipient_ids: Sequence[UUID]
    enabled: bool
    next_run_at: datetime | None
    last_run_at: datetime | None
    period_from: date | None
    period_to: date | None
    left_out: Sequence[UUID] | None
    last_error: str | None
    created_at: datetime
    updated_at: datetime


report_schedules = Table(
    "report_schedules",
    ReportSchedule,
    jsonb=["filters"],
    computed={
        "next_run_at": "run.next_run_at",
        "last_run_at": "run.last_run_at",
        "period_from": "run.period_from",
        "period_to": "run.period_to",
        "left_out": "run.left_out",
        "last_error": "run.last_error",
    },
    joins="JOIN report_schedule_runs AS run ON run.schedule_id = report_schedules.id",
    has_row_count=True,
)


async def insert(conn: Connection, row: ReportSchedule) -> None:
    """Insert a new schedule."""
    await report_schedules.insert(conn, row)
    await conn.execute(
        "INSERT INTO report_schedule_runs (org_id, schedule_id, next_run_at)"
        " VALUES (current_org_id(), %s, %s)",
        (row.id, row.next_run_at),
    )


async def delete(conn: Connection, schedule_id: UUID) -> None:
    """Delete a schedule. Letters of it that wait are not sent any more."""
    await conn.execute("DELETE FROM report_schedules WHERE id = %s", (schedule_id,))
