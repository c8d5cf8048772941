"""Reviews of punches: somebody accepts or rejects one, and its hours follow."""

from datetime import datetime
from uuid import UUID

from db.core.connect import Connection
from db.hours.punches import PunchTimes
from db.punches.punch_list import Review, StoredPunch, write_review
from use_cases.hours.derive import derive


async def record_review(
    conn: Connection,
    org_id: UUID,
    punch: StoredPunch,
    decision: Review,
    note: str | None,
    by: UUID,
    at: datetime,
) -> StoredPunch:
    """Write what user `by` decides of a punch, derive the shifts that depend on it, and return the
    punch as it is then.

    The caller has locked the employee, as whoever records their punches has.
    """
    changed = await write_review(conn, punch, decision, note, by, at)
    times = PunchTimes(org_id, punch.employee_id, punch.pay_time, punch.pay_time)
    await derive(conn, [times])
    return changed
