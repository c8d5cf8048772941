"""Reports that are due by mail: which schedules, for whom, and the letters.

`due`, `letter_of` and `was_not_sent` are for a role that is not under row-level security, the
others for the application.
"""

from collections.abc import Sequence
from datetime import date, datetime
from typing import NamedTuple
from uuid import UUID

from psycopg import sql
from psycopg.rows import args_row

from db.core.connect import Connection
from db.core.fetch import rows_of
from db.history.failing_work import WorkKind, not_waiting

KIND: WorkKind = "report"
"""The rows of this work are schedules."""

# Who gets a report, if the link in it is to show something: employees' ways are for dispatchers and
# admins.
_GETS_IT = sql.SQL("""
u.password_hash IS NOT NULL AND (u.deactivated_at IS NULL OR u.deactivated_at > now())
AND (u.role IN ('dispatcher', 'admin')
     OR NOT (schedule.filters ? 'employee_id' OR schedule.filters @> '{"of": "employee"}'))
""")
_RECIPIENTS = sql.SQL("""
SELECT u.id, u.email
  FROM report_schedules AS schedule JOIN users AS u
    ON u.org_id = schedule.org_id AND u.id = ANY (%(users)s)
 WHERE schedule.id = %(schedule)s AND {gets_it}
""").format(gets_it=_GETS_IT)
_LETTER = sql.SQL("""
SELECT schedule.name, schedule.report, schedule.filters, schedule.time_zone,
       letter.period_from, letter.period_to
  FROM mail_outbox AS letter
  JOIN report_schedules AS schedule
    ON schedule.org_id = letter.org_id AND schedule.id = letter.schedule_id
  JOIN users AS u ON u.org_id = letter.org_id AND u.email = letter.email
 WHERE letter.org_id = %s AND letter.id = %s AND {gets_it}
""").format(gets_it=_GETS_IT)


_DUE = f"""
SELECT org_id, schedule_id FROM report_schedule_runs
 WHERE next_run_at <= now() AND {not_waiting(KIND, "report_schedule_runs.schedule_id::text")}
 ORDER BY next_run_at LIMIT %s
"""  # noqa: S608  # constants


class DueSchedule(NamedTuple):
    """A schedule that is due. period_from, period_to: of the report that was mailed last."""

    id: UUID
    cadence: str
    weekday: int
    month_day: int
    local_time: str
    time_zone: str
    recipient_ids: Sequence[UUID]
    period_from: date | None
    period_to: date | None
    now: datetime


class Recipient(NamedTuple):
    """A user who gets a report."""

    user_id: UUID
    email: str


class Run(NamedTuple):
    """The outcome of a run. left_out: recipients that got none. error: why nobody got one."""

    period_from: date
    period_to: date
    left_out: Sequence[UUID]
    error: str | None


class ReportLetter(NamedTuple):
    """The contents of the letter about a report."""

    schedule: str
    report: str
    filters: dict[str, str]
    time_zone: str
    period_from: date
    period_to: date


async def due(conn: Connection, limit: int) -> list[tuple[UUID, UUID]]:
    """Return the organization and the id of schedules that are due, the longest ones first."""
    rows = await rows_of(conn, _DUE, (limit,))
    return [(org_id, schedule_id) for org_id, schedule_id in rows]


async def lock_due(conn: Connection, schedule_id: UUID) -> DueSchedule | None:
    """Lock a schedule of the tenant until the transaction ends; None where it is not due any more,
    or somebody else has it.
    """
    async with conn.cursor(row_factory=args_row(DueSchedule)) as cursor:
        await cursor.execute(
            """
            SELECT schedule.id, schedule.cadence, schedule.weekday, schedule.month_day,
                   schedule.local_time, schedule.time_zone, schedule.recipient_ids,
                   run.period_from, run.period_to, clock_timestamp()
              FROM report_schedule_runs AS run JOIN report_schedules AS schedule
                ON schedule.org_id = run.org_id AND schedule.id = run.schedule_id
             WHERE run.schedule_id = %s AND run.next_run_at <= now()
               FOR UPDATE OF run SKIP LOCKED
            """,
            (schedule_id,),
        )
        return await cursor.fetchone()


async def recipients(
    conn: Connection, schedule_id: UUID, user_ids: Sequence[UUID]
) -> list[Recipient]:
    """Return those of the users who are active and may read the report."""
    values = {"schedule": schedule_id, "users": list(user_ids)}
    return [Recipient(*row) for row in await rows_of(conn, _RECIPIENTS, values)]


async def run_next(conn: Connection, schedule_id: UUID, at: datetime | None) -> None:
    """Let a schedule run at `at`; None: not any more."""
    await conn.execute(
        "UPDATE report_schedule_runs SET next_run_at = %s WHERE schedule_id = %s",
        (at, schedule_id),
    )


async def ran(conn: Connection, schedule_id: UUID, run: Run, next_run_at: datetime) -> None:
    """Write what became of a run, and when the next one is."""
    await conn.execute(
        """
        UPDATE report_schedule_runs
           SET next_run_at = %s, last_run_at = clock_timestamp(), period_from = %s,
               period_to = %s, left_out = %s, last_error = %s
         WHERE schedule_id = %s
        """,
        (
            next_run_at,
            run.period_from,
            run.period_to,
            list(run.left_out),
            run.error,
            schedule_id,
        ),
    )


async def letter_of(conn: Connection, org_id: UUID, letter_id: UUID) -> ReportLetter | None:
    """Return what is to be sent; None where the schedule is gone, or the user may not read it."""
    async with conn.cursor(row_factory=args_row(ReportLetter)) as cursor:
        await cursor.execute(_LETTER, (org_id, letter_id))
        return await cursor.fetchone()


async def was_not_sent(conn: Connection, org_id: UUID, letter_id: UUID, reason: str) -> None:
    """Write down for a schedule why a letter of it could not be sent."""
    await conn.execute(
        """
        UPDATE report_schedule_runs AS run SET last_error = %s
          FROM mail_outbox AS letter
         WHERE letter.org_id = %s AND letter.id = %s
           AND run.org_id = letter.org_id AND run.schedule_id = letter.schedule_id
        """,
        (reason[:500] or "not said", org_id, letter_id),
    )
