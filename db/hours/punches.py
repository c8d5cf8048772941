"""Stored punches, as far as hours depend on them.

What is read begins where the rules of shifts may begin (`operations.hours.shifts`): with the second
in which the last stored shift before the wanted time opened, and nobody punched out. It ends with
the first second after the wanted time that has an `out` and no `in`, or before the first `in` in
whose second nobody punched out, that opens a stored shift and comes so long after any other `in`
that it opens one whatever was before. So the shifts of the wanted time are those that all punches
of the employee would make, and of somebody who never punches out no more is read. Of somebody who
always comes in the second in which they go, all is read.

A punch that somebody else entered by hand counts as accepted until a review says otherwise:
somebody who was not linked to the employee at that time.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from db.core.connect import Connection
from db.core.fetch import columns, rows_of, value_of
from db.hours.rules import EmployeeKey
from operations.hours.shift_rules import ShiftRules
from operations.hours.shifts import CreditedPunch


class PunchTimes(NamedTuple):
    """A time of an employee, from `since` to `until`, both included: credited times of punches."""

    org_id: UUID
    employee_id: UUID
    since: datetime
    until: datetime


_AROUND = """
SELECT wanted.org_id, wanted.employee_id, punch.id, punch.kind,
       (extract(epoch FROM punch.pay_time) * 1000000)::bigint, punch.verdict,
       (extract(epoch FROM punch.server_time) * 1000000)::bigint,
       CASE WHEN punch.review IS NULL AND punch.entered_by IS NOT NULL AND NOT punch.is_own_entry
            THEN 'accepted' ELSE punch.review END,
       punch.site_id, punch.asset_id, punch.work_order_id
  FROM unnest(%(org_ids)b::uuid[], %(employee_ids)b::uuid[], %(since)b::timestamptz[],
              %(until)b::timestamptz[]) AS wanted (org_id, employee_id, since, until)
  JOIN employees AS employee
    ON employee.org_id = wanted.org_id AND employee.id = wanted.employee_id
  JOIN organizations AS organization ON organization.org_id = wanted.org_id
 CROSS JOIN LATERAL (
       SELECT coalesce((
           SELECT shift.started_at FROM shifts AS shift
            WHERE shift.org_id = wanted.org_id AND shift.employee_id = wanted.employee_id
              AND shift.started_at < date_trunc('second', wanted.since)
              AND NOT EXISTS (
                  SELECT FROM punches AS ending
                   WHERE ending.org_id = wanted.org_id
                     AND ending.employee_id = wanted.employee_id
                     AND ending.pay_time >= shift.started_at
                     AND ending.pay_time < shift.started_at + interval '1 s'
                     AND ending.kind = 'out' AND ending.review IS DISTINCT FROM 'rejected')
            ORDER BY shift.started_at DESC LIMIT 1), '-infinity') AS at) AS opened
 CROSS JOIN LATERAL (
       SELECT coalesce((
           SELECT later.second + interval '1 s' * (later.kind = 'out')::int FROM (
                  SELECT passed.id, passed.kind, passed.pay_time,
                         date_trunc('second', passed.pay_time) AS second,
                         passed.pay_time - coalesce(
                             max(passed.pay_time) FILTER (WHERE passed.kind = 'in')
                             OVER (ORDER BY passed.pay_time, passed.id
                                   ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING),
                             wanted.until) AS since_in
                    FROM punches AS passed
                   WHERE passed.org_id = wanted.org_id AND passed.employee_id = wanted.employee_id
                     AND passed.kind IN ('in', 'out') AND passed.review IS DISTINCT FROM 'rejected'
                     AND passed.pay_time >= date_trunc('second', wanted.until) + interval '1 s'
                  ) AS later
            WHERE NOT EXISTS (
                      SELECT FROM punches AS other
                       WHERE other.org_id = wanted.org_id
                         AND other.employee_id = wanted.employee_id
                         AND other.pay_time >= later.second
                         AND other.pay_time < later.second + interval '1 s'
                         AND other.kind = CASE later.kind WHEN 'in' THEN 'out' ELSE 'in' END
                         AND other.review IS DISTINCT FROM 'rejected')
              AND (later.kind = 'out'
                   OR later.since_in > make_interval(secs => 1 + coalesce(
                      (organization.timesheet_rules ->> 'longest_shift_s')::float8, %(longest_s)s))
                  AND EXISTS (SELECT FROM shifts AS shift
                               WHERE shift.org_id = wanted.org_id AND shift.opened_by = later.id))
            ORDER BY later.pay_time, later.id LIMIT 1), 'infinity') AS at) AS ended
 CROSS JOIN LATERAL (
       SELECT * FROM punches AS found
        WHERE found.org_id = wanted.org_id AND found.employee_id = wanted.employee_id
          AND found.pay_time >= opened.at AND found.pay_time < ended.at
        ORDER BY found.pay_time LIMIT %(at_most)s) AS punch
"""


async def punches_around(
    conn: Connection, wanted: Sequence[PunchTimes], at_most: int | None = None
) -> dict[EmployeeKey, list[CreditedPunch]]:
    """Return the punches that decide the shifts of these times, by employee.

    wanted: one time of each employee. at_most: of each; None: all.
    """
    org_ids, employee_ids, since, until = columns(wanted)
    values = {"org_ids": org_ids, "employee_ids": employee_ids, "since": since, "until": until}
    values |= {"at_most": at_most, "longest_s": ShiftRules().longest_shift_s}
    found: dict[EmployeeKey, list[CreditedPunch]] = {one[:2]: [] for one in wanted}
    for org_id, employee_id, *punch in await rows_of(conn, _AROUND, values):
        found[org_id, employee_id].append(CreditedPunch(*punch))
    return found


async def last_pay_time(conn: Connection, employee: EmployeeKey, since: datetime) -> datetime:
    """Return the last credited time of an employee's punches after a time, or that time."""
    last = await value_of(
        conn,
        "SELECT max(pay_time) FROM punches WHERE org_id = %s AND employee_id = %s"
        " AND pay_time > %s",
        (*employee, since),
    )
    return last or since


# All punches --------------------------------------------------------------------------------------

_EMPLOYEES = """
SELECT id FROM employees
 WHERE org_id = current_org_id()
   AND EXISTS (SELECT FROM punches
                WHERE punches.org_id = employees.org_id AND punches.employee_id = employees.id)
 ORDER BY id
"""
_TIMES = """
SELECT org_id, employee_id, min(pay_time), max(pay_time) FROM punches
 WHERE org_id = current_org_id() AND employee_id = %s GROUP BY org_id, employee_id
"""
# As whoever records their punches does.
_LOCK = """
SELECT FROM employees WHERE org_id = current_org_id() AND id = %s FOR NO KEY UPDATE
"""


async def employees_who_punched(conn: Connection) -> list[UUID]:
    """Return each employee of the tenant who ever punched."""
    cursor = await conn.execute(_EMPLOYEES)
    return [employee_id for (employee_id,) in await cursor.fetchall()]


async def lock_all_punches(conn: Connection, employee_id: UUID) -> PunchTimes:
    """Lock an employee who has punched, and return the times of all their punches."""
    await conn.execute(_LOCK, (employee_id,))
    cursor = await conn.execute(_TIMES, (employee_id,))
    (times,) = await cursor.fetchall()
    return PunchTimes(*times)
