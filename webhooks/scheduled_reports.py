"""The loop that mails reports when their day, week or month is over. Any number of processes may
run it.

One transaction writes the letters of a schedule and the time of the next ones, so each period is
mailed once, whoever dies. Of periods that ended while no process ran, the newest is mailed alone.
"""

import asyncio
import random
from datetime import UTC, datetime, timedelta
from functools import partial
from uuid import UUID

import structlog

from db.core.connect import Connection, Pool
from db.core.tenant import as_application
from db.delivery import mail_outbox, report_runs
from db.delivery.report_runs import DueSchedule, Run
from db.resources.quotas import QuotaExceeded, count_letter
from operations.errors import RuleError
from operations.hours.local_days import Period
from operations.report_schedules import last_due, next_due, timing_of
from service.background.pauses import pause
from service.background.row_guard import RowGuard, WorkRow
from webhooks.outages import TROUBLE, Outage

LOOK_S = 2.0
_AT_ONCE = 100
_AGAIN_AFTER = timedelta(days=1)  # where the time zone is not known

_log = structlog.get_logger("webhooks")


class ScheduledReports:
    def __init__(self, connections: Pool, guard: RowGuard) -> None:
        self._connections, self._guard = connections, guard
        self._outage = Outage("reports by mail", random.Random())

    async def run(self, stop: asyncio.Event) -> None:
        """Mail reports until `stop`."""
        while not stop.is_set():
            try:
                await self.mail_due()
                self._outage.end()
                await pause(stop, LOOK_S)
            except TROUBLE as error:
                await pause(stop, self._outage.begin(error))

    async def mail_due(self) -> None:
        """Write the letters that are due now."""
        async with self._connections.connection() as conn:
            due = await report_runs.due(conn, _AT_ONCE)
        for org_id, schedule_id in due:
            row = WorkRow(report_runs.KIND, str(schedule_id), org_id)
            await self._guard.run(row, partial(self._mail, org_id, schedule_id), is_due=True)

    async def _mail(self, org_id: UUID, schedule_id: UUID) -> None:
        async with as_application(self._connections, org_id) as conn:
            schedule = await report_runs.lock_due(conn, schedule_id)
            if schedule is None:
                return
            now_s = int(schedule.now.timestamp())
            try:
                timing = timing_of(schedule)
            except RuleError as error:
                _log.warning("a report has no time", schedule=str(schedule_id), error=str(error))
                await report_runs.run_next(conn, schedule_id, schedule.now + _AGAIN_AFTER)
                return
            period = last_due(timing, now_s).period
            next_run_at = datetime.fromtimestamp(next_due(timing, now_s).time_s, UTC)
            if period == (schedule.period_from, schedule.period_to):  # due again by another time
                await report_runs.run_next(conn, schedule_id, next_run_at)
                return
            run = await _letters(conn, schedule, period)
            await report_runs.ran(conn, schedule_id, run, next_run_at)


async def _letters(conn: Connection, schedule: DueSchedule, period: Period) -> Run:
    """Write the letters about a period: all that the organization has room for, or none."""
    found = await report_runs.recipients(conn, schedule.id, schedule.recipient_ids)
    got_it = {recipient.user_id for recipient in found}
    left_out = [user_id for user_id in schedule.recipient_ids if user_id not in got_it]
    error = None
    try:
        async with conn.transaction():
            if found:
                await count_letter(conn, len(found))
                emails = [recipient.email for recipient in found]
                await mail_outbox.add_reports(conn, schedule.id, *period, emails)
    except QuotaExceeded as full:
        error = (
            f"letters_a_day: {full.used} of {full.limit} are used, and {len(found)} more are due"
        )
    return Run(*period, left_out, error)
