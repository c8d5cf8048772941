"""Quotas: how much of everything an organization may have, by its plan, or by what the operator has
set for it alone.

Rows count with those that are soft-deleted, since they are kept. `row_counts` has their number as
of each COMMIT, where transactions take turns: one that has asked for room and would go beyond does
not commit. What a program records all the time (fixes, punches, movements of stock, inspections)
has a quota by the day, or a rate, and no quota of rows.
"""

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import NamedTuple

from db.core.connect import Connection
from db.core.fetch import fetch_one, value_of
from db.core.table import db_now
from db.resources.kinds import KINDS
from db.resources.plans import PlanName

ATTACHMENT_BYTES = "attachment_bytes"
"""Bytes of attachments with their copies, and of the documents of quotes: a setting of the
installation, whatever the plan.
"""
FORMS_A_DAY = "inspection_forms_a_day"
"""Inspection forms that are made in any 24 hours."""
LETTERS_A_DAY = "letters_a_day"
"""Letters that users ask for, with quotes, invitations and reports, in a day in UTC."""
MOVEMENTS_A_DAY = "stock_movements_a_day"
"""Movements of one part in one warehouse, in a day in UTC."""


def _plans(starter: int, team: int, unlimited: int) -> Mapping[PlanName, int]:
    return {"starter": starter, "team": team, "unlimited": unlimited}


ROWS: dict[str, Mapping[PlanName, int]] = {
    kind.table: _plans(*kind.most_rows)
    for kind in KINDS.values()
    if kind.table is not None and kind.most_rows is not None
}
"""The most rows, by table."""
A_DAY: dict[str, Mapping[PlanName, int]] = {
    FORMS_A_DAY: _plans(1_000, 10_000, 50_000),
    LETTERS_A_DAY: _plans(500, 2_000, 10_000),
    MOVEMENTS_A_DAY: _plans(1_000, 5_000, 20_000),
}
BY_PLAN = ROWS | A_DAY
_BY_PLAN_JSON = {table: json.dumps(dict(by_plan)) for table, by_plan in ROWS.items()}
WEBHOOK_TESTS = 1_000
"""The most test events of webhooks that are kept: each for a day."""
_DAY = timedelta(days=1)
# The bound is said to the trigger that counts at COMMIT.
_ROOM = """
SELECT now, plan, own, used,
       say('app.quota_' || %(table)s,
           coalesce(own ->> %(table)s, %(by_plan)s::jsonb ->> plan))
  FROM (SELECT clock_timestamp() AS now, plan,
               (SELECT jsonb_object_agg(quota, most) FROM organization_quotas) AS own,
               coalesce((SELECT stored FROM row_counts WHERE table_name = %(table)s), 0) AS used
          FROM organizations) AS known
"""
_COUNT_LETTER = """
WITH counted AS (
    INSERT INTO letter_counts AS kept (org_id, day, letters)
    VALUES (current_org_id(), (clock_timestamp() AT TIME ZONE 'UTC')::date, %(more)s)
    ON CONFLICT (org_id) DO UPDATE
       SET letters = CASE WHEN kept.day < excluded.day THEN 0 ELSE kept.letters END + %(more)s,
           day = greatest(kept.day, excluded.day)
    RETURNING letters
)
SELECT letters, plan, (SELECT most FROM organization_quotas WHERE quota = 'letters_a_day')
  FROM counted CROSS JOIN organizations
"""


class QuotaExceeded(Exception):
    """More than the plan has room for. quota: its name. used: without what is refused."""

    def __init__(self, quota: str, limit: int, used: int) -> None:
        super().__init__(f"{quota}: {used} of {limit}")
        self.quota, self.limit, self.used = quota, limit, used


class Room(NamedTuple):
    """The facts of a quota. now: the present time, as `db_now` returns it. own: quotas that are set
    for the tenant alone. used: the stored rows; 0 for a table whose rows are not counted.
    """

    table: str
    now: datetime
    plan: PlanName
    own: Mapping[str, int] | None
    used: int

    def check(self, more: int = 1) -> datetime:
        """Return the time where there is room for `more` rows. Raises QuotaExceeded."""
        if self.table in ROWS:
            check(self.table, self.limit(self.table), self.used, more=more)
        return self.now

    def limit(self, quota: str) -> int:
        """Return how much the tenant may have."""
        own = (self.own or {}).get(quota)
        return BY_PLAN[quota][self.plan] if own is None else own


class QuotaUsage(NamedTuple):
    """A quota, and what is used of it."""

    quota: str
    limit: int
    used: int


async def check_room(conn: Connection, table: str, *, more: int = 1) -> datetime:
    """Return the present time, as `db_now` does, where the tenant has room for `more` rows of the
    table. Raises QuotaExceeded; CheckViolation ("quota_exceeded") at COMMIT, where others were
    faster.
    """
    return (await read_room(conn, table)).check(more)


async def read_room(conn: Connection, table: str) -> Room:
    """Return the room that the tenant has in a table."""
    values = {"table": table, "by_plan": _BY_PLAN_JSON.get(table)}
    return Room(table, *(await fetch_one(await conn.execute(_ROOM, values)))[:-1])


def check(quota: str, limit: int, used: int, *, more: int = 1) -> None:
    """Raise QuotaExceeded where `more` would be too much."""
    if used + more > limit:
        raise QuotaExceeded(quota, limit, used)


async def check_forms_a_day(conn: Connection, room: Room) -> datetime:
    """Return the time of `room`, which is that of inspection forms, where the tenant may have one
    more then. Raises QuotaExceeded.
    """
    limit = room.limit(FORMS_A_DAY)
    if room.used >= limit:  # else those of a day are fewer, too
        check(FORMS_A_DAY, limit, await _forms_since(conn, room.now - _DAY, limit))
    return room.now


async def claim_bytes(conn: Connection, more: int, limit: int, *, files: int = 0) -> None:
    """Count bytes that the tenant keeps more. files: the new attachments. limit: of the
    installation. Others who keep more wait for the outcome. Raises QuotaExceeded.
    """
    kept = await count_bytes(conn, more, files=files)
    if more > 0:
        own = await _own_quotas(conn)
        check(ATTACHMENT_BYTES, own.get(ATTACHMENT_BYTES, limit), kept - more, more=more)


async def count_bytes(conn: Connection, more: int, *, files: int = 0) -> int:
    """Count as `claim_bytes` does what is kept in any case; return the bytes that are kept now."""
    return await value_of(
        conn,
        """
        INSERT INTO attachment_usage AS usage (org_id, files, bytes)
        VALUES (current_org_id(), %(files)s, greatest(%(more)s, 0))
        ON CONFLICT (org_id) DO UPDATE
           SET files = usage.files + %(files)s, bytes = usage.bytes + %(more)s
        RETURNING bytes
        """,
        {"files": files, "more": more},
    )


async def count_letter(conn: Connection, more: int = 1) -> None:
    """Count letters that the tenant asks for. Others who ask for one wait for the outcome. Raises
    QuotaExceeded.
    """
    cursor = await conn.execute(_COUNT_LETTER, {"more": more})
    for letters, plan, own in await cursor.fetchall():
        limit = A_DAY[LETTERS_A_DAY][plan] if own is None else own
        check(LETTERS_A_DAY, limit, letters - more, more=more)


async def set_own(conn: Connection, quota: str, most: int | None) -> None:
    """Set a quota for the tenant alone, as opsc_owner; None: that of the plan counts again."""
    if most is None:
        await conn.execute("DELETE FROM organization_quotas WHERE quota = %s", (quota,))
        return
    await conn.execute(
        "INSERT INTO organization_quotas (org_id, quota, most) VALUES (current_org_id(), %s, %s)"
        " ON CONFLICT (org_id, quota) DO UPDATE SET most = excluded.most",
        (quota, most),
    )


async def _own_quotas(conn: Connection) -> dict[str, int]:
    cursor = await conn.execute("SELECT quota, most FROM organization_quotas")
    return dict(await cursor.fetchall())


async def plan_of(conn: Connection) -> PlanName:
    """Return the plan of the tenant."""
    return await value_of(conn, "SELECT plan FROM organizations")


async def usage(conn: Connection, attachment_bytes: int) -> list[QuotaUsage]:
    """Return all quotas of the tenant by name, with what is used. attachment_bytes: what may be
    kept. Of `stock_movements_a_day`, the part in a warehouse that has had the most is shown.
    """
    plan, now = await plan_of(conn), await db_now(conn)
    limits = {quota: by_plan[plan] for quota, by_plan in BY_PLAN.items()}
    limits |= {ATTACHMENT_BYTES: attachment_bytes} | await _own_quotas(conn)
    cursor = await conn.execute("SELECT table_name, stored FROM row_counts")
    used = dict(await cursor.fetchall()) | {
        ATTACHMENT_BYTES: await value_of(
            conn, "SELECT coalesce(max(bytes), 0)::bigint FROM attachment_usage"
        ),
        FORMS_A_DAY: await _forms_since(conn, now - _DAY, limits[FORMS_A_DAY]),
        LETTERS_A_DAY: await value_of(
            conn,
            "SELECT coalesce(max(letters), 0) FROM letter_counts WHERE day = %s",
            (now.date(),),
        ),
        MOVEMENTS_A_DAY: await value_of(
            conn,
            "SELECT coalesce(max(moved_times), 0) FROM inventory WHERE moved_on = %s",
            (now.date(),),
        ),
    }
    return [QuotaUsage(quota, limits[quota], used.get(quota, 0)) for quota in sorted(limits)]


async def _forms_since(conn: Connection, since: datetime, most: int) -> int:
    """Count the inspection forms that were made since then, up to `most`."""
    return await value_of(
        conn,
        "SELECT count(*) FROM"
        " (SELECT FROM inspection_forms WHERE created_at >= %s LIMIT %s) AS counted",
        (since, most),
    )
