"""Stored punches, as far as hours depend on them.

What is read begins where the rules of shifts may begin: with the punch that opened the last stored
shift before the wanted time. It ends with the first `out` after the wanted time. So the shifts of
the wanted time are those that all punches of the employee would make (`operations.hours.shifts`).

A punch that somebody else entered by hand counts as accepted until a review says otherwise.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from db.core.exchange import Exchange, Reply, Rows
from db.hours.rules import EmployeeKey
from operations.hours.shifts import CreditedPunch


class PunchTimes(NamedTuple):
    """A time of an employee, from `since` to `until`, both included: credited times of punches."""

    org_id: UUID
    employee_id: UUID
    since: datetime
    until: datetime


# At the instant of the opening `in`, what ends comes before it; at that of the last `out`, what
# begins comes behind it (`operations.hours.shifts`).
_AROUND = """
SELECT wanted.org_id, wanted.employee_id, punch.id, punch.kind,
       (extract(epoch FROM punch.pay_time) * 1000000)::bigint, punch.verdict,
       (extract(epoch FROM punch.server_time) * 1000000)::bigint,
       CASE WHEN punch.review IS NULL AND punch.entered_by <> coalesce(employee.user_id, punch.id)
            THEN 'accepted' ELSE punch.review END,
       punch.site_id, punch.asset_id, punch.work_order_id
  FROM unnest(%(org_ids)b::uuid[], %(employee_ids)b::uuid[], %(since)b::timestamptz[],
              %(until)b::timestamptz[]) AS wanted (org_id, employee_id, since, until)
  JOIN employees AS employee
    ON employee.org_id = wanted.org_id AND employee.id = wanted.employee_id
 CROSS JOIN LATERAL (
       SELECT coalesce((
           SELECT opener.pay_time FROM shifts AS shift
             JOIN punches AS opener
               ON opener.org_id = shift.org_id AND opener.id = shift.opened_by
            WHERE shift.org_id = wanted.org_id AND shift.employee_id = wanted.employee_id
              AND shift.started_at < date_trunc('second', wanted.since)
            ORDER BY shift.started_at DESC LIMIT 1), '-infinity') AS at) AS opened
 CROSS JOIN LATERAL (
       SELECT coalesce(min(later.pay_time), 'infinity') AS at FROM punches AS later
        WHERE later.org_id = wanted.org_id AND later.employee_id = wanted.employee_id
          AND later.kind = 'out' AND later.review IS DISTINCT FROM 'rejected'
          AND later.pay_time > wanted.until) AS ended
 CROSS JOIN LATERAL (
       SELECT * FROM punches AS found
        WHERE found.org_id = wanted.org_id AND found.employee_id = wanted.employee_id
          AND found.pay_time BETWEEN opened.at AND ended.at
          AND NOT (found.pay_time = opened.at AND found.kind IN ('out', 'break_end'))
          AND NOT (found.pay_time = ended.at AND found.kind IN ('in', 'break_start'))
        ORDER BY found.pay_time LIMIT %(at_most)s) AS punch
"""


def punches_around(
    exchange: Exchange, wanted: Sequence[PunchTimes], at_most: int | None = None
) -> Reply[dict[EmployeeKey, list[CreditedPunch]]]:
    """Ask for the punches that decide the shifts of these times, by employee.

    wanted: one time of each employee. at_most: of each; None: all.
    """
    org_ids, employee_ids, since, until = (list(column) for column in zip(*wanted, strict=True))
    values = {"org_ids": org_ids, "employee_ids": employee_ids, "since": since, "until": until}

    def read(rows: Rows) -> dict[EmployeeKey, list[CreditedPunch]]:
        found: dict[EmployeeKey, list[CreditedPunch]] = {one[:2]: [] for one in wanted}
        for org_id, employee_id, *punch in rows:
            found[org_id, employee_id].append(CreditedPunch(*punch))
        return found

    return exchange.ask(_AROUND, values | {"at_most": at_most}, read)
